// The loops of decode attention, written with the compiler's portable vectors. Included by
// decode_attention.c once per instruction set; DA_LANES, DA_TARGET, DA_NAME and DA_NATIVE_HALF say
// which.

#define DA_INLINE static inline __attribute__((always_inline)) DA_TARGET
#define VF DA_NAME(vf)
#define VI DA_NAME(vi)
#define VH DA_NAME(vh)

// Tokens whose scores are held at once: their keys and values stay in the nearest caches while
// several passes read them.
#define DA_BLOCK 128
// Query heads of one pass.
#define DA_GROUP 4
// Bytes ahead of the reading position that are asked for: what a core has under way from memory,
// and the time without reads between two passes.
#define DA_AHEAD 6144

typedef float VF __attribute__((vector_size(DA_LANES * 4), aligned(4), may_alias));
typedef int32_t VI __attribute__((vector_size(DA_LANES * 4), aligned(4), may_alias));
typedef uint16_t VH __attribute__((vector_size(DA_LANES * 2), aligned(2), may_alias));

DA_INLINE VF DA_NAME(load)(const void *p, size_t i, leank_element type) {
  if (type == leank_f32) return *(const VF *)((const float *)p + i);
  VH raw = *(const VH *)((const uint16_t *)p + i);
  if (type == leank_bf16) return (VF)(__builtin_convertvector(raw, VI) << 16);
#if DA_NATIVE_HALF
  typedef _Float16 half __attribute__((vector_size(DA_LANES * 2)));
  return __builtin_convertvector((half)raw, VF);
#else
  // Exponent and mantissa moved into place, then rescaled: exact, subnormal numbers included.
  VI h = __builtin_convertvector(raw, VI);
  VI bits = (VI)((VF)((h & 0x7FFF) << 13) * 0x1p112f);
  VI special = (VI)((h & 0x7C00) == 0x7C00);
  return (VF)(bits | (h & 0x8000) << 16 | (special & 0x7F800000));
#endif
}

DA_INLINE float DA_NAME(load_one)(const void *p, size_t i, leank_element type) {
  if (type == leank_f32) return ((const float *)p)[i];
  uint16_t raw[DA_LANES] = {((const uint16_t *)p)[i]};
  return DA_NAME(load)(raw, 0, type)[0];
}

DA_INLINE size_t DA_NAME(size)(leank_element type) { return type == leank_f32 ? 4 : 2; }

DA_INLINE VF DA_NAME(exp_vector)(VF x) {
  // 2^n * exp(r) with n the nearest integer to x / ln 2; about one unit in the last place. Never
  // asked for a positive x; below -87 the result is 0.
  VI visible = (VI)(x >= -87.0f);
  VF bounded = (VF)(visible & (VI)x);
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  VF shifted = bounded * 1.44269504088896341f + magic;
  VF n = shifted - magic;
  VF r = bounded - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  VF p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  VF scale = (VF)(((VI)shifted + 127) << 23);
  return (VF)(visible & (VI)(p * scale));
}

DA_INLINE float DA_NAME(exp_one)(float x) {
  VF v = {x};
  return DA_NAME(exp_vector)(v)[0];
}

// Scores of one tile for `group` query heads, a constant; `stride` is the query's full group.
DA_INLINE void DA_NAME(score_tile)(
    float (*scores)[DA_BLOCK], const float *query, size_t stride, size_t group, const void *keys,
    size_t width, leank_element type) {
  // Two vectors for four heads: enough sums at once to cover the latency of a product.
  enum { vectors = 2, step = vectors * DA_LANES };
  for (size_t lane = 0; lane < LEANK_KEY_TILE; lane += step) {
    VF total[DA_GROUP][vectors] = {{{0}}};
    const char *line = (const char *)keys + lane * DA_NAME(size)(type);
    const float *q = query;
    for (size_t c = 0; c < width; c++) {
#pragma clang loop unroll(full)
      for (size_t byte = 0; byte < step * DA_NAME(size)(type); byte += 64)
        __builtin_prefetch(line + DA_AHEAD + byte);
      VF key[vectors];
#pragma clang loop unroll(full)
      for (size_t v = 0; v < vectors; v++) key[v] = DA_NAME(load)(line, v * DA_LANES, type);
#pragma clang loop unroll(full)
      for (size_t g = 0; g < group; g++)
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) total[g][v] += q[g] * key[v];
      line += LEANK_KEY_TILE * DA_NAME(size)(type);
      q += stride;
    }
#pragma clang loop unroll(full)
    for (size_t g = 0; g < group; g++)
#pragma clang loop unroll(full)
      for (size_t v = 0; v < vectors; v++) *(VF *)(scores[g] + lane + v * DA_LANES) = total[g][v];
  }
}

// Adds the weighted values of `count` tokens to `heads` rows of `chunks` vectors, both constants.
DA_INLINE void DA_NAME(value_tile)(
    float *out, size_t out_stride, const float (*weights)[DA_BLOCK], size_t heads, size_t chunks,
    const void *values, size_t value_width, size_t column, size_t count, int is_first,
    leank_element type) {
  VF total[DA_GROUP][8];
#pragma clang loop unroll(full)
  for (size_t g = 0; g < heads; g++)
#pragma clang loop unroll(full)
    for (size_t c = 0; c < chunks; c++)
      total[g][c] = *(const VF *)(out + g * out_stride + column + c * DA_LANES);
  const char *row = (const char *)values + column * DA_NAME(size)(type);
  size_t ahead = is_first ? value_width * DA_NAME(size)(type) : 0;
  for (size_t t = 0; t < count; t++) {
    // The first pass asks for whole rows, so that memory sees one stream.
    for (size_t byte = 0; byte < ahead; byte += 64) __builtin_prefetch(row + DA_AHEAD + byte);
    VF value[8];
#pragma clang loop unroll(full)
    for (size_t c = 0; c < chunks; c++) {
      value[c] = DA_NAME(load)(row, c * DA_LANES, type);
    }
#pragma clang loop unroll(full)
    for (size_t g = 0; g < heads; g++) {
      float weight = weights[g][t];
#pragma clang loop unroll(full)
      for (size_t c = 0; c < chunks; c++) total[g][c] += weight * value[c];
    }
    row += value_width * DA_NAME(size)(type);
  }
#pragma clang loop unroll(full)
  for (size_t g = 0; g < heads; g++)
#pragma clang loop unroll(full)
    for (size_t c = 0; c < chunks; c++)
      *(VF *)(out + g * out_stride + column + c * DA_LANES) = total[g][c];
}

DA_INLINE void DA_NAME(add_values)(
    float *out, const float (*weights)[DA_BLOCK], size_t group, const void *values,
    size_t value_width, size_t count, leank_element type) {
  // Sixteen registers hold two rows of sums, thirty-two four.
  enum { chunks = 4, heads = DA_LANES == 16 ? 4 : 2 };
  size_t column = 0;
  for (; column + chunks * DA_LANES <= value_width; column += chunks * DA_LANES) {
    size_t g = 0;
#define DA_ROWS(n)                                                                            \
  DA_NAME(value_tile)(                                                                        \
      out + g * value_width, value_width, weights + g, n, chunks, values, value_width, column, \
      count, column + g == 0, type)
    for (; g + heads <= group; g += heads) DA_ROWS(heads);
    switch (group - g) {
    case 3: DA_ROWS(3); break;
    case 2: DA_ROWS(2); break;
    case 1: DA_ROWS(1); break;
    }
#undef DA_ROWS
  }
  for (; column + DA_LANES <= value_width; column += DA_LANES)
    DA_NAME(value_tile)(
        out, value_width, weights, group, 1, values, value_width, column, count, column == 0, type);
  for (; column < value_width; column++)
    for (size_t g = 0; g < group; g++)
      for (size_t t = 0; t < count; t++)
        out[g * value_width + column] +=
            weights[g][t] * DA_NAME(load_one)(values, t * value_width + column, type);
}

// The tokens of one run for up to DA_GROUP query heads: one online softmax, block by block.
DA_INLINE void DA_NAME(attend_block)(
    float *largest, float *sums, float *out, float (*scores)[DA_BLOCK], const float *query,
    size_t stride, size_t group, const leank_attention_run *run, size_t start, size_t end,
    size_t value_width, leank_element type) {
  size_t tile_size = run->width * LEANK_KEY_TILE * DA_NAME(size)(type);
  size_t tiles = (end - start + LEANK_KEY_TILE - 1) / LEANK_KEY_TILE;
  for (size_t t = 0; t < tiles; t++) {
    float(*tile)[DA_BLOCK] = (float(*)[DA_BLOCK])(scores[0] + t * LEANK_KEY_TILE);
    DA_NAME(score_tile)(
        tile, query, stride, group,
        (const char *)run->keys + (start / LEANK_KEY_TILE + t) * tile_size, run->width, type);
  }
  size_t first = start < run->first ? run->first - start : 0;
  size_t lanes = tiles * LEANK_KEY_TILE;
  for (size_t g = 0; g < group; g++) {
    for (size_t i = 0; i < first; i++) scores[g][i] = -INFINITY;
    for (size_t i = end - start; i < lanes; i++) scores[g][i] = -INFINITY;
    VF top = {0};
    top += largest[g];
    for (size_t i = 0; i < lanes; i += DA_LANES) {
      VF s = *(const VF *)(scores[g] + i);
      VI greater = (VI)(s > top);
      top = (VF)((greater & (VI)s) | (~greater & (VI)top));
    }
    float maximum = top[0];
    for (size_t i = 1; i < DA_LANES; i++) maximum = top[i] > maximum ? top[i] : maximum;
    if (maximum > largest[g]) {
      float factor = DA_NAME(exp_one)(largest[g] - maximum);
      for (size_t c = 0; c < value_width; c++) out[g * value_width + c] *= factor;
      sums[g] *= factor;
      largest[g] = maximum;
    }
    VF total = {0};
    for (size_t i = 0; i < lanes; i += DA_LANES) {
      VF e = DA_NAME(exp_vector)(*(const VF *)(scores[g] + i) - maximum);
      *(VF *)(scores[g] + i) = e;
      total += e;
    }
    float sum = 0;
    for (size_t i = 0; i < DA_LANES; i++) sum += total[i];
    sums[g] += sum;
  }
  const float(*weights)[DA_BLOCK] = (const float(*)[DA_BLOCK])(scores[0] + first);
  DA_NAME(add_values)(
      out, weights, group,
      (const char *)run->values + (start + first) * value_width * DA_NAME(size)(type), value_width,
      end - start - first, type);
}

DA_INLINE void DA_NAME(attend_typed)(
    float *state, const leank_attention_run *run, size_t group, size_t value_width,
    leank_element type) {
  float *largest = state, *sums = state + group, *out = state + 2 * group;
  for (size_t g = 0; g < group; g++) largest[g] = -INFINITY;
  memset(sums, 0, group * (1 + value_width) * sizeof(float));
  float scores[DA_GROUP][DA_BLOCK];
  size_t last = run->first + run->count;
  size_t start = run->first / LEANK_KEY_TILE * LEANK_KEY_TILE;
  for (; start < last; start += DA_BLOCK) {
    size_t end = last - start < DA_BLOCK ? last : start + DA_BLOCK;
    // Later passes find the block's keys and values in the cache.
    size_t g = 0;
#define DA_PASS(heads)                                                                         \
  DA_NAME(attend_block)(                                                                       \
      largest + g, sums + g, out + g * value_width, scores, run->query + g, group, heads, run, \
      start, end, value_width, type)
    for (; g + 4 <= group; g += 4) DA_PASS(4);
    switch (group - g) {
    case 3: DA_PASS(3); break;
    case 2: DA_PASS(2); break;
    case 1: DA_PASS(1); break;
    }
#undef DA_PASS
  }
}

DA_TARGET static void DA_NAME(attend)(
    float *state, const leank_attention_run *run, size_t group, size_t value_width,
    leank_element type) {
  switch (type) {
  case leank_f32: DA_NAME(attend_typed)(state, run, group, value_width, leank_f32); break;
  case leank_bf16: DA_NAME(attend_typed)(state, run, group, value_width, leank_bf16); break;
  case leank_f16: DA_NAME(attend_typed)(state, run, group, value_width, leank_f16); break;
  }
}

DA_TARGET static void DA_NAME(merge)(
    float *out, const float *states, size_t count, size_t group, size_t value_width) {
  size_t length = group * (2 + value_width);
  memset(out, 0, group * value_width * sizeof(float));
  for (size_t g = 0; g < group; g++) {
    float maximum = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++) {
      float largest = states[i * length + g];
      maximum = largest > maximum ? largest : maximum;
    }
    for (size_t i = 0; i < count; i++) {
      const float *state = states + i * length;
      float factor = DA_NAME(exp_one)(state[g] - maximum);
      const float *values = state + 2 * group + g * value_width;
      sum += factor * state[group + g];
      for (size_t c = 0; c < value_width; c++) out[g * value_width + c] += factor * values[c];
    }
    for (size_t c = 0; count > 0 && c < value_width; c++) out[g * value_width + c] /= sum;
  }
}

DA_TARGET static float DA_NAME(read)(const float *from, size_t count) {
  VF total[8] = {{0}};
  size_t i = 0;
  for (; i + 8 * DA_LANES <= count; i += 8 * DA_LANES)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < 8; v++) {
      if (v * DA_LANES % 16 == 0)
        __builtin_prefetch((const char *)(from + i + v * DA_LANES) + DA_AHEAD);
      total[v] += *(const VF *)(from + i + v * DA_LANES);
    }
  float sum = 0;
  for (size_t v = 0; v < 8; v++)
    for (size_t lane = 0; lane < DA_LANES; lane++) sum += total[v][lane];
  for (; i < count; i++) sum += from[i];
  return sum;
}

static const attention_loops DA_NAME(table) = {DA_NAME(attend), DA_NAME(merge), DA_NAME(read)};

#undef VF
#undef VI
#undef VH
#undef DA_INLINE
#undef DA_GROUP
#undef DA_BLOCK
#undef DA_AHEAD
#undef DA_LANES
#undef DA_TARGET
#undef DA_NAME
#undef DA_NATIVE_HALF
