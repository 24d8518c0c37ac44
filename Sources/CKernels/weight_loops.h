// The decoder's loops over weights. instruction_sets.h includes it from kernels.c.

// Products of packed tokens. A tile in registers is LK_ROWS rows of weights by LK_PANELS vectors of
// tokens. What a core works on stays in its second cache: LK_TILE rows, LK_RUN channels of them at a time,
// which LK_GROUP tokens go through before the next ones.
#if LK_REGISTERS == 32
#define LK_ROWS 8
#define LK_PANELS 3
#else
#define LK_ROWS 6
#define LK_PANELS 2
#endif
#define LK_STEP (LK_PANELS * LK_LANES)
#define LK_TILE 96
#define LK_RUN 512
#define LK_GROUP (576 / LK_STEP * LK_STEP)
// Floats of a line of memory.
#define LK_LINE 16
// From one row of widened weights to the next, and from one token of a tile to the next: no powers of two,
// with which all of them would share a few places of the nearest cache.
#define LK_WIDE (LK_RUN + LK_LINE)
#define LK_TURNED_ROW (LK_TILE + LK_LINE)

// Four floats, whatever the instruction set.
#define V4 LK_NAME(v4)
typedef float V4 __attribute__((vector_size(16), aligned(4), may_alias));

LK_INLINE float LK_NAME(sum)(VF v) {
  // Halves are added until one lane is left.
  float lanes[LK_LANES];
  *(VF *)lanes = v;
  V4 total = *(const V4 *)lanes;
#if LK_LANES == 8
  total += *(const V4 *)(lanes + 4);
#elif LK_LANES == 16
  total += *(const V4 *)(lanes + 8);
  total += *(const V4 *)(lanes + 4) + *(const V4 *)(lanes + 12);
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

// Four rows of four floats, turned: to[j * to_stride + i] = from[i * from_stride + j].
LK_INLINE void LK_NAME(turn_four)(
    float *to, size_t to_stride, const float *from, size_t from_stride) {
  const V4 a = *(const V4 *)from, b = *(const V4 *)(from + from_stride);
  const V4 c = *(const V4 *)(from + 2 * from_stride), d = *(const V4 *)(from + 3 * from_stride);
  const V4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const V4 cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const V4 ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const V4 cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *(V4 *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  *(V4 *)(to + to_stride) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  *(V4 *)(to + 2 * to_stride) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  *(V4 *)(to + 3 * to_stride) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

// `rows` rows of `columns` floats, turned: to[j * to_stride + i] = from[i * from_stride + j].
LK_INLINE void LK_NAME(turn)(
    float *to, size_t to_stride, const float *from, size_t from_stride, size_t rows,
    size_t columns) {
  size_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    size_t j = 0;
    for (; j + 4 <= columns; j += 4)
      LK_NAME(turn_four)(to + j * to_stride + i, to_stride, from + i * from_stride + j, from_stride);
    for (; j < columns; j++)
      for (size_t n = i; n < i + 4; n++) to[j * to_stride + n] = from[n * from_stride + j];
  }
  for (; i < rows; i++)
    for (size_t j = 0; j < columns; j++) to[j * to_stride + i] = from[i * from_stride + j];
}

// LK_ROWS rows of widened weights against `panels` vectors of tokens, a constant, over one run of `count`
// channels: lanes are tokens, a weight is broadcast. Each run is summed by itself and then added to
// `sums`, [rows][LK_STEP], which keeps rounding small and its order one and the same for every row and
// token.
LK_INLINE void LK_NAME(multiply_tile)(
    float *sums, const float *xt, size_t panels, const float *w, size_t count, int isFirst) {
  VF part[LK_ROWS][LK_PANELS];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < LK_ROWS; r++)
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++) part[r][p] = (VF){0};
  for (size_t k = 0; k < count; k++) {
    VF x[LK_PANELS];
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++) x[p] = *(const VF *)(xt + (k * panels + p) * LK_LANES);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < LK_ROWS; r++) {
      const float weight = w[r * LK_WIDE + k];
#pragma clang loop unroll(full)
      for (size_t p = 0; p < panels; p++) part[r][p] += weight * x[p];
    }
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < LK_ROWS; r++)
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++) {
      VF *sum = (VF *)(sums + r * LK_STEP + p * LK_LANES);
      *sum = (isFirst ? (VF){0} : *sum) + part[r][p];
    }
}

// One run for `rows` rows, a multiple of LK_ROWS.
LK_INLINE void LK_NAME(multiply_panel)(
    float *sums, const float *xt, size_t panels, const float *w, size_t rows, size_t count,
    int isFirst) {
  for (size_t r = 0; r < rows; r += LK_ROWS)
    LK_NAME(multiply_tile)(
        sums + r * LK_STEP, xt, panels, w + r * LK_WIDE, count, isFirst);
}

// `rows` rows from element `w_first` on against `tokens` tokens, at most LK_TILE and LK_GROUP.
LK_INLINE void LK_NAME(multiply_group)(
    float *out, size_t out_stride, const float *packed, size_t tokens, const void *w,
    size_t w_first, size_t w_stride, size_t rows, size_t width, leank_element type, float *room) {
  const size_t all = (rows + LK_ROWS - 1) / LK_ROWS * LK_ROWS;
  float *wide = room, *sums = room + LK_TILE * LK_WIDE;
  // Rows that fill up the last tile in registers give sums that nobody reads.
  memset(wide + rows * LK_WIDE, 0, (all - rows) * LK_WIDE * sizeof(float));
  for (size_t first = 0; first == 0 || first < width; first += LK_RUN) {
    const size_t count = width - first < LK_RUN ? width - first : LK_RUN;
    for (size_t r = 0; r < rows; r++) {
      const size_t place = w_first + r * w_stride + first;
      LK_NAME(widen_typed)(
          wide + r * LK_WIDE, (const char *)w + leank_bytes(type, place), count, type);
    }
    const float *panel = packed;
    for (size_t t = 0; t < tokens; t += LK_STEP) {
      const size_t panels = LK_NAME(panels)(tokens - t);
      const float *xt = panel + first * panels * LK_LANES;
      float *to = sums + t * LK_TILE;
      if (panels == LK_PANELS)
        LK_NAME(multiply_panel)(to, xt, LK_PANELS, wide, all, count, first == 0);
      else if (panels == 2)
        LK_NAME(multiply_panel)(to, xt, 2, wide, all, count, first == 0);
      else
        LK_NAME(multiply_panel)(to, xt, 1, wide, all, count, first == 0);
      panel += panels * LK_LANES * width;
    }
  }
  // Turned here first, so that `out` gets long pieces: its rows are often a power of two apart.
  float turned[LK_STEP * LK_TURNED_ROW];
  for (size_t t = 0; t < tokens; t += LK_STEP) {
    const size_t count = tokens - t < LK_STEP ? tokens - t : LK_STEP;
    LK_NAME(turn)(turned, LK_TURNED_ROW, sums + t * LK_TILE, LK_STEP, rows, count);
    for (size_t i = 0; i < count; i++)
      memcpy(out + (t + i) * out_stride, turned + i * LK_TURNED_ROW, rows * sizeof(float));
  }
}

LK_INLINE void LK_NAME(multiply_typed)(
    float *out, size_t out_stride, const float *packed, size_t tokens, const void *w,
    size_t w_stride, size_t rows, size_t width, leank_element type, float *room) {
  for (size_t t = 0; t < tokens; t += LK_GROUP) {
    const size_t group = tokens - t < LK_GROUP ? tokens - t : LK_GROUP;
    for (size_t r = 0; r < rows; r += LK_TILE)
      LK_NAME(multiply_group)(
          out + t * out_stride + r, out_stride, packed + t * width, group, w, r * w_stride, w_stride,
          rows - r < LK_TILE ? rows - r : LK_TILE, width, type, room);
  }
}

LK_TARGET static void LK_NAME(multiply)(
    float *out, size_t out_stride, const float *packed, size_t tokens, const void *w,
    size_t w_stride, size_t rows, size_t width, leank_element type, float *room) {
  switch (type) {
  case leank_f32:
    LK_NAME(multiply_typed)(
        out, out_stride, packed, tokens, w, w_stride, rows, width, leank_f32, room);
    break;
  case leank_bf16:
    LK_NAME(multiply_typed)(
        out, out_stride, packed, tokens, w, w_stride, rows, width, leank_bf16, room);
    break;
  case leank_f16:
    LK_NAME(multiply_typed)(
        out, out_stride, packed, tokens, w, w_stride, rows, width, leank_f16, room);
    break;
  }
}

// `nr` rows of f32 weights against `panels` vectors of tokens, both constants: lanes are tokens, a
// weight is broadcast. The weights lie column by column: element k of row r is w[k * w_stride + r]. Sums
// are added up run by run as in multiply_tile.
LK_INLINE void LK_NAME(columns_tile)(
    float *out, size_t out_stride, size_t tokens, const float *xt, size_t panels, const float *w,
    size_t w_stride, size_t nr, size_t width) {
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
        const float weight = w[k * w_stride + r];
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

LK_INLINE void LK_NAME(columns_panel)(
    float *out, size_t out_stride, size_t tokens, const float *xt, size_t panels, const float *w,
    size_t w_stride, size_t rows, size_t width) {
  size_t r = 0;
  for (; r + LK_ROWS <= rows; r += LK_ROWS)
    LK_NAME(columns_tile)(
        out + r, out_stride, tokens, xt, panels, w + r, w_stride, LK_ROWS, width);
  for (; r < rows; r++)
    LK_NAME(columns_tile)(
        out + r, out_stride, tokens, xt, panels, w + r, w_stride, 1, width);
}

LK_TARGET static void LK_NAME(multiply_columns)(
    float *out, size_t out_stride, const float *packed, size_t tokens, const float *w, size_t w_stride,
    size_t rows, size_t width) {
  for (size_t t = 0; t < tokens;) {
    const size_t rest = tokens - t;
    const size_t panels = LK_NAME(panels)(rest);
    const size_t count = rest < panels * LK_LANES ? rest : panels * LK_LANES;
    float *o = out + t * out_stride;
    if (panels == LK_PANELS)
      LK_NAME(columns_panel)(
          o, out_stride, count, packed, LK_PANELS, w, w_stride, rows, width);
    else if (panels == 2)
      LK_NAME(columns_panel)(
          o, out_stride, count, packed, 2, w, w_stride, rows, width);
    else
      LK_NAME(columns_panel)(
          o, out_stride, count, packed, 1, w, w_stride, rows, width);
    packed += panels * LK_LANES * width;
    t += count;
  }
}

LK_TARGET static void LK_NAME(pack)(
    float *packed, const float *x, size_t x_stride, size_t tokens, size_t width) {
  for (size_t t = 0; t < tokens;) {
    const size_t rest = tokens - t;
    const size_t lanes = LK_NAME(panels)(rest) * LK_LANES;
    const size_t count = rest < lanes ? rest : lanes;
    // A line of a token's row at a time, so that each is fetched once.
    for (size_t first = 0; first < width; first += LK_LINE) {
      const size_t channels = width - first < LK_LINE ? width - first : LK_LINE;
      float *to = packed + first * lanes;
      LK_NAME(turn)(to, lanes, x + t * x_stride + first, x_stride, count, channels);
      for (size_t k = 0; k < channels; k++)
        for (size_t i = count; i < lanes; i++) to[k * lanes + i] = 0;
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
    LK_NAME(exp_sum), LK_NAME(largest), LK_NAME(silu_product), LK_NAME(silu_gradient), LK_NAME(pack),
    LK_NAME(multiply), LK_NAME(multiply_columns), LK_NAME(ordered_dots), LK_STEP, LK_TILE * (LK_WIDE + LK_GROUP),
};

#undef LK_ROWS
#undef LK_PANELS
#undef LK_STEP
#undef LK_TILE
#undef LK_RUN
#undef LK_GROUP
#undef LK_LINE
#undef LK_WIDE
#undef LK_TURNED_ROW
#undef LK_TURNED
#undef V4
