// The decoder's loops over weights. instruction_sets.h includes it from kernels.c.

// Weight rows by vectors of tokens of one tile of a matrix product, as registers allow.
#if LK_REGISTERS == 32
#define LK_ROWS 8
#define LK_PANELS 3
#else
#define LK_ROWS 6
#define LK_PANELS 2
#endif

LK_INLINE float LK_NAME(sum)(VF v) {
  // Halves are added until one lane is left.
  float lanes[LK_LANES];
  *(VF *)lanes = v;
  typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
  four total = *(const four *)lanes;
#if LK_LANES == 8
  total += *(const four *)(lanes + 4);
#elif LK_LANES == 16
  total += *(const four *)(lanes + 8);
  total += *(const four *)(lanes + 4) + *(const four *)(lanes + 12);
#endif
  return (total[0] + total[2]) + (total[1] + total[3]);
}

// Vectors of the next panel of packed tokens, of which `rest` are left.
static inline size_t LK_NAME(panels)(size_t rest) {
  const size_t vectors = (rest + LK_LANES - 1) / LK_LANES;
  return vectors < LK_PANELS ? vectors : LK_PANELS;
}

LK_INLINE void LK_NAME(widen_typed)(
    float *to, const void *from, size_t count, leank_element type) {
  size_t i = 0;
  for (; i + LK_LANES <= count; i += LK_LANES) *(VF *)(to + i) = LK_NAME(load)(from, i, type);
  for (; i < count; i++) to[i] = LK_NAME(widen_one)(from, i, type);
}

// `nv` vectors against `nr` rows, both constants: every load serves several products.
LK_INLINE void LK_NAME(dot_tile)(
    float *out, size_t out_stride, const float *x, size_t x_stride, size_t nv, const void *w,
    size_t w_first, size_t w_stride, size_t nr, size_t width, leank_element type) {
  VF total[4][4] = {{{0}}};
  size_t i = 0;
  for (; i + LK_LANES <= width; i += LK_LANES) {
    VF row[4];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < nr; r++) {
      const size_t place = w_first + r * w_stride + i;
      // The next tile's rows: a row is often a page, at whose end the hardware stops fetching ahead.
      // Into the second cache, which can have more lines under way than the nearest one.
      __builtin_prefetch(
          (const char *)w + leank_bytes(type, place + nr * w_stride), 0, 2);
      row[r] = LK_NAME(load)(w, place, type);
    }
#pragma clang loop unroll(full)
    for (size_t v = 0; v < nv; v++) {
      VF vector = *(const VF *)(x + v * x_stride + i);
#pragma clang loop unroll(full)
      for (size_t r = 0; r < nr; r++) total[v][r] += vector * row[r];
    }
  }
#pragma clang loop unroll(full)
  for (size_t v = 0; v < nv; v++)
#pragma clang loop unroll(full)
    for (size_t r = 0; r < nr; r++) {
      float result = LK_NAME(sum)(total[v][r]);
      for (size_t j = i; j < width; j++)
        result += x[v * x_stride + j] * LK_NAME(widen_one)(w, w_first + r * w_stride + j, type);
      out[v * out_stride + r] = result;
    }
}

LK_INLINE void LK_NAME(dot_typed)(
    float *out, size_t out_stride, const float *x, size_t x_stride, size_t vectors, const void *w,
    size_t w_stride, size_t rows, size_t width, leank_element type) {
  size_t v = 0;
  for (; v + 4 <= vectors; v += 4) {
    float *o = out + v * out_stride;
    const float *p = x + v * x_stride;
    size_t r = 0;
    for (; r + 2 <= rows; r += 2)
      LK_NAME(dot_tile)(o + r, out_stride, p, x_stride, 4, w, r * w_stride, w_stride, 2, width, type);
    if (r < rows)
      LK_NAME(dot_tile)(o + r, out_stride, p, x_stride, 4, w, r * w_stride, w_stride, 1, width, type);
  }
  for (; v + 2 <= vectors; v += 2) {
    float *o = out + v * out_stride;
    const float *p = x + v * x_stride;
    size_t r = 0;
    for (; r + 4 <= rows; r += 4)
      LK_NAME(dot_tile)(o + r, out_stride, p, x_stride, 2, w, r * w_stride, w_stride, 4, width, type);
    for (; r < rows; r++)
      LK_NAME(dot_tile)(o + r, out_stride, p, x_stride, 2, w, r * w_stride, w_stride, 1, width, type);
  }
  for (; v < vectors; v++) {
    float *o = out + v * out_stride;
    const float *p = x + v * x_stride;
    size_t r = 0;
    for (; r + 4 <= rows; r += 4)
      LK_NAME(dot_tile)(o + r, out_stride, p, x_stride, 1, w, r * w_stride, w_stride, 4, width, type);
    for (; r < rows; r++)
      LK_NAME(dot_tile)(o + r, out_stride, p, x_stride, 1, w, r * w_stride, w_stride, 1, width, type);
  }
}

LK_INLINE void LK_NAME(add_tile)(
    float *out, size_t out_stride, const float *p, size_t p_stride, size_t nv, const void *w,
    size_t w_stride, size_t rows, size_t column, size_t chunks, leank_element type) {
  VF total[4][4];
#pragma clang loop unroll(full)
  for (size_t v = 0; v < nv; v++)
#pragma clang loop unroll(full)
    for (size_t c = 0; c < chunks; c++)
      total[v][c] = *(const VF *)(out + v * out_stride + column + c * LK_LANES);
  for (size_t r = 0; r < rows; r++) {
    VF row[4];
#pragma clang loop unroll(full)
    for (size_t c = 0; c < chunks; c++)
      row[c] = LK_NAME(load)(w, r * w_stride + column + c * LK_LANES, type);
#pragma clang loop unroll(full)
    for (size_t v = 0; v < nv; v++) {
      float factor = p[v * p_stride + r];
#pragma clang loop unroll(full)
      for (size_t c = 0; c < chunks; c++) total[v][c] += factor * row[c];
    }
  }
#pragma clang loop unroll(full)
  for (size_t v = 0; v < nv; v++)
#pragma clang loop unroll(full)
    for (size_t c = 0; c < chunks; c++)
      *(VF *)(out + v * out_stride + column + c * LK_LANES) = total[v][c];
}

LK_INLINE void LK_NAME(add_columns)(
    float *out, size_t out_stride, const float *p, size_t p_stride, size_t nv, const void *w,
    size_t w_stride, size_t rows, size_t width, leank_element type) {
  size_t column = 0;
  for (; column + 2 * LK_LANES <= width; column += 2 * LK_LANES)
    LK_NAME(add_tile)(out, out_stride, p, p_stride, nv, w, w_stride, rows, column, 2, type);
  for (; column + LK_LANES <= width; column += LK_LANES)
    LK_NAME(add_tile)(out, out_stride, p, p_stride, nv, w, w_stride, rows, column, 1, type);
  for (; column < width; column++)
    for (size_t v = 0; v < nv; v++)
      for (size_t r = 0; r < rows; r++)
        out[v * out_stride + column] +=
            p[v * p_stride + r] * LK_NAME(widen_one)(w, r * w_stride + column, type);
}

LK_INLINE void LK_NAME(add_typed)(
    float *out, size_t out_stride, const float *p, size_t p_stride, size_t vectors, const void *w,
    size_t w_stride, size_t rows, size_t width, leank_element type) {
  size_t v = 0;
  for (; v + 4 <= vectors; v += 4)
    LK_NAME(add_columns)(
        out + v * out_stride, out_stride, p + v * p_stride, p_stride, 4, w, w_stride, rows, width,
        type);
  for (; v < vectors; v++)
    LK_NAME(add_columns)(
        out + v * out_stride, out_stride, p + v * p_stride, p_stride, 1, w, w_stride, rows, width,
        type);
}

LK_TARGET static float LK_NAME(exp_sum)(float *x, size_t count, float shift) {
  VF total = {0};
  size_t i = 0;
  for (; i + LK_LANES <= count; i += LK_LANES) {
    VF e = LK_NAME(exp_vector)(*(const VF *)(x + i) - shift);
    *(VF *)(x + i) = e;
    total += e;
  }
  float result = LK_NAME(sum)(total);
  if (i < count) {
    float rest[LK_LANES] = {0};
    memcpy(rest, x + i, (count - i) * sizeof(float));
    *(VF *)rest = LK_NAME(exp_vector)(*(const VF *)rest - shift);
    memcpy(x + i, rest, (count - i) * sizeof(float));
    for (size_t j = i; j < count; j++) result += x[j];
  }
  return result;
}

LK_TARGET static float LK_NAME(largest)(const float *x, size_t count) {
  VF top = (VF){0} - INFINITY;
  size_t i = 0;
  for (; i + LK_LANES <= count; i += LK_LANES) {
    VF value = *(const VF *)(x + i);
    VI greater = (VI)(value > top);
    top = (VF)((greater & (VI)value) | (~greater & (VI)top));
  }
  float result = top[0];
  for (size_t lane = 1; lane < LK_LANES; lane++) result = top[lane] > result ? top[lane] : result;
  for (; i < count; i++) result = x[i] > result ? x[i] : result;
  return result;
}

LK_TARGET static void LK_NAME(silu_product)(float *gate, const float *up, size_t count) {
  size_t i = 0;
  for (; i < count; i += LK_LANES) {
    size_t n = count - i < LK_LANES ? count - i : LK_LANES;
    if (n == LK_LANES) {
      VF g = *(const VF *)(gate + i);
      *(VF *)(gate + i) = g / (1.0f + LK_NAME(exp_vector)(-g)) * *(const VF *)(up + i);
    } else {
      float rest[LK_LANES] = {0};
      memcpy(rest, gate + i, n * sizeof(float));
      VF g = *(const VF *)rest;
      *(VF *)rest = g / (1.0f + LK_NAME(exp_vector)(-g));
      for (size_t j = 0; j < n; j++) gate[i + j] = rest[j] * up[i + j];
    }
  }
}

LK_INLINE void LK_NAME(silu_gradient_vector)(
    float *gradient, float *up_gradient, const float *gate, const float *up) {
  const VF g = *(const VF *)gate, d = *(const VF *)gradient;
  const VF sigmoid = 1.0f / (1.0f + LK_NAME(exp_vector)(-g));
  *(VF *)up_gradient = d * g * sigmoid;
  *(VF *)gradient = d * *(const VF *)up * sigmoid * (1.0f + g * (1.0f - sigmoid));
}

LK_TARGET static void LK_NAME(silu_gradient)(
    float *gradient, float *up_gradient, const float *gate, const float *up, size_t count) {
  size_t i = 0;
  for (; i + LK_LANES <= count; i += LK_LANES)
    LK_NAME(silu_gradient_vector)(gradient + i, up_gradient + i, gate + i, up + i);
  if (i < count) {
    const size_t rest = (count - i) * sizeof(float);
    float d[LK_LANES] = {0}, du[LK_LANES], g[LK_LANES] = {0}, u[LK_LANES] = {0};
    memcpy(d, gradient + i, rest);
    memcpy(g, gate + i, rest);
    memcpy(u, up + i, rest);
    LK_NAME(silu_gradient_vector)(d, du, g, u);
    memcpy(gradient + i, d, rest);
    memcpy(up_gradient + i, du, rest);
  }
}

// `nr` rows of f32 weights against `panels` vectors of tokens, both constants: lanes are tokens, a
// weight is broadcast. Element k of row r is w[r * w_row + k * w_element], one of which is 1 and
// constant. Partial sums over LK_RUN channels are added up apart, which keeps rounding
// small and its order one and the same for every row and token.
#define LK_RUN 512
LK_INLINE void LK_NAME(multiply_tile)(
    float *out, size_t out_stride, size_t tokens, const float *xt, size_t panels, const float *w,
    size_t w_row, size_t w_element, size_t nr, size_t width) {
  VF sum[LK_ROWS][LK_PANELS];
  for (size_t first = 0; first == 0 || first < width; first += LK_RUN) {
    const size_t end = width - first < LK_RUN ? width : first + LK_RUN;
    VF part[LK_ROWS][LK_PANELS];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < nr; r++)
#pragma clang loop unroll(full)
      for (size_t p = 0; p < panels; p++) part[r][p] = (VF){0};
    for (size_t k = first; k < end; k++) {
      VF x[LK_PANELS];
#pragma clang loop unroll(full)
      for (size_t p = 0; p < panels; p++)
        x[p] = *(const VF *)(xt + (k * panels + p) * LK_LANES);
#pragma clang loop unroll(full)
      for (size_t r = 0; r < nr; r++) {
        const float weight = w[r * w_row + k * w_element];
#pragma clang loop unroll(full)
        for (size_t p = 0; p < panels; p++) part[r][p] += weight * x[p];
      }
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < nr; r++)
#pragma clang loop unroll(full)
      for (size_t p = 0; p < panels; p++)
        sum[r][p] = first == 0 ? (VF){0} + part[r][p] : sum[r][p] + part[r][p];
  }
  for (size_t r = 0; r < nr; r++) {
    const float *values = (const float *)sum[r];
    for (size_t t = 0; t < tokens; t++) out[t * out_stride + r] = values[t];
  }
}

LK_INLINE void LK_NAME(multiply_panel)(
    float *out, size_t out_stride, size_t tokens, const float *xt, size_t panels, const float *w,
    size_t w_row, size_t w_element, size_t rows, size_t width) {
  size_t r = 0;
  for (; r + LK_ROWS <= rows; r += LK_ROWS)
    LK_NAME(multiply_tile)(
        out + r, out_stride, tokens, xt, panels, w + r * w_row, w_row, w_element, LK_ROWS, width);
  for (; r < rows; r++)
    LK_NAME(multiply_tile)(
        out + r, out_stride, tokens, xt, panels, w + r * w_row, w_row, w_element, 1, width);
}

LK_INLINE void LK_NAME(multiply_any)(
    float *out, size_t out_stride, const float *packed, size_t tokens, const float *w, size_t w_row,
    size_t w_element, size_t rows, size_t width) {
  for (size_t t = 0; t < tokens;) {
    const size_t rest = tokens - t;
    const size_t panels = LK_NAME(panels)(rest);
    const size_t count = rest < panels * LK_LANES ? rest : panels * LK_LANES;
    float *o = out + t * out_stride;
    if (panels == LK_PANELS)
      LK_NAME(multiply_panel)(
          o, out_stride, count, packed, LK_PANELS, w, w_row, w_element, rows, width);
    else if (panels == 2)
      LK_NAME(multiply_panel)(
          o, out_stride, count, packed, 2, w, w_row, w_element, rows, width);
    else
      LK_NAME(multiply_panel)(
          o, out_stride, count, packed, 1, w, w_row, w_element, rows, width);
    packed += panels * LK_LANES * width;
    t += count;
  }
}

LK_TARGET static void LK_NAME(multiply)(
    float *out, size_t out_stride, const float *packed, size_t tokens, const float *w,
    size_t w_stride, size_t rows, size_t width) {
  LK_NAME(multiply_any)(out, out_stride, packed, tokens, w, w_stride, 1, rows, width);
}

LK_TARGET static void LK_NAME(multiply_columns)(
    float *out, size_t out_stride, const float *packed, size_t tokens, const float *w,
    size_t w_stride, size_t columns, size_t width) {
  LK_NAME(multiply_any)(out, out_stride, packed, tokens, w, 1, w_stride, columns, width);
}

// Channels of a line of memory.
#define LK_LINE 16
LK_TARGET static void LK_NAME(pack)(
    float *packed, const float *x, size_t x_stride, size_t tokens, size_t width) {
  for (size_t t = 0; t < tokens;) {
    const size_t rest = tokens - t;
    const size_t lanes = LK_NAME(panels)(rest) * LK_LANES;
    const size_t count = rest < lanes ? rest : lanes;
    // A line of a token's row at a time, so that each is fetched once.
    for (size_t first = 0; first < width; first += LK_LINE) {
      const size_t end = width - first < LK_LINE ? width : first + LK_LINE;
      for (size_t i = 0; i < count; i++)
        for (size_t k = first; k < end; k++) packed[k * lanes + i] = x[(t + i) * x_stride + k];
      for (size_t k = first; k < end; k++)
        for (size_t i = count; i < lanes; i++) packed[k * lanes + i] = 0;
    }
    packed += lanes * width;
    t += count;
  }
}

LK_TARGET static void LK_NAME(widen)(
    float *to, const void *from, size_t count, leank_element type) {
  switch (type) {
  case leank_f32: LK_NAME(widen_typed)(to, from, count, leank_f32); break;
  case leank_bf16: LK_NAME(widen_typed)(to, from, count, leank_bf16); break;
  case leank_f16: LK_NAME(widen_typed)(to, from, count, leank_f16); break;
  }
}

LK_TARGET static void LK_NAME(dot_rows)(
    float *out, size_t os, const float *x, size_t xs, size_t vectors, const void *w, size_t ws,
    size_t rows, size_t width, leank_element type) {
  switch (type) {
  case leank_f32: LK_NAME(dot_typed)(out, os, x, xs, vectors, w, ws, rows, width, leank_f32); break;
  case leank_bf16:
    LK_NAME(dot_typed)(out, os, x, xs, vectors, w, ws, rows, width, leank_bf16);
    break;
  case leank_f16: LK_NAME(dot_typed)(out, os, x, xs, vectors, w, ws, rows, width, leank_f16); break;
  }
}

LK_TARGET static void LK_NAME(add_rows)(
    float *out, size_t os, const float *p, size_t ps, size_t vectors, const void *w, size_t ws,
    size_t rows, size_t width, leank_element type) {
  switch (type) {
  case leank_f32: LK_NAME(add_typed)(out, os, p, ps, vectors, w, ws, rows, width, leank_f32); break;
  case leank_bf16:
    LK_NAME(add_typed)(out, os, p, ps, vectors, w, ws, rows, width, leank_bf16);
    break;
  case leank_f16: LK_NAME(add_typed)(out, os, p, ps, vectors, w, ws, rows, width, leank_f16); break;
  }
}

// Channels of rows that are turned at a time: they stay in the nearest cache.
#define LK_TURNED 256
// Lanes are rows, turned so that a vector holds one channel of each; every lane keeps its own order.
LK_TARGET static void LK_NAME(ordered_dots)(
    float *out, size_t out_stride, const float *x, size_t x_stride, size_t vectors, const float *w,
    size_t w_stride, size_t rows, size_t width) {
  float turned[LK_TURNED * LK_LANES];
  for (size_t r = 0; r < rows; r += LK_LANES) {
    const size_t lanes = rows - r < LK_LANES ? rows - r : LK_LANES;
    for (size_t first = 0; first == 0 || first < width; first += LK_TURNED) {
      const size_t count = width - first < LK_TURNED ? width - first : LK_TURNED;
      for (size_t lane = 0; lane < LK_LANES; lane++)
        for (size_t c = 0; c < count; c++)
          turned[c * LK_LANES + lane] =
              lane < lanes ? w[(r + lane) * w_stride + first + c] : 0;
      for (size_t v = 0; v < vectors; v++) {
        float *o = out + v * out_stride + r;
        VF total = {0};
        if (first > 0)
          for (size_t lane = 0; lane < lanes; lane++) total[lane] = o[lane];
        const float *q = x + v * x_stride + first;
        for (size_t c = 0; c < count; c++) total += q[c] * *(const VF *)(turned + c * LK_LANES);
        for (size_t lane = 0; lane < lanes; lane++) o[lane] = total[lane];
      }
    }
  }
}

static const leank_kernels LK_NAME(table) = {
    LK_NAME(widen),   LK_NAME(dot_rows),     LK_NAME(add_rows),
    LK_NAME(exp_sum), LK_NAME(largest), LK_NAME(silu_product),
    LK_NAME(silu_gradient), LK_NAME(pack), LK_NAME(multiply), LK_NAME(multiply_columns),
    LK_NAME(ordered_dots), LK_PANELS * LK_LANES,
};

#undef LK_ROWS
#undef LK_PANELS
#undef LK_RUN
#undef LK_LINE
#undef LK_TURNED
