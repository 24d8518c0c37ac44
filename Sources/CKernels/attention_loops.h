// The loops of decode attention. instruction_sets.h includes it from decode_attention.c.

// Tokens whose scores are held at once: their keys and values stay in the nearest caches while
// several passes read them.
#define DA_BLOCK 128
// Query heads of one pass; of a wide one, where there are as many.
#define DA_GROUP 4
#if LK_REGISTERS == 32
#define DA_WIDE 12
#else
#define DA_WIDE 4
#endif
// Tokens whose values all passes go through before the next ones: they stay in the nearest cache, and
// memory sees one stream of whole rows. The hardware fetches that ahead better than the program can:
// its own requests have to share the few that a core's nearest cache has under way.
#define DA_ROWS 8

LK_INLINE float LK_NAME(exp_one)(float x) {
  VF v = {x};
  return LK_NAME(exp_vector)(v)[0];
}

// Asks for the first line of every page of what comes next: at a page's end the hardware stops
// fetching ahead, and finding the next page takes a while. Small windows lie in small pages.
LK_INLINE void LK_NAME(open_pages)(const char *next, size_t bytes) {
  for (size_t offset = 0; offset < bytes; offset += 4096)
    __builtin_prefetch(next + offset, 0, 2);
}

// Scores of one tile for `group` query heads, a constant; `stride` is the query's full group.
LK_INLINE void LK_NAME(score_tile)(
    float (*scores)[DA_BLOCK], const float *query, size_t stride, size_t group, const void *keys,
    size_t width, leank_element type) {
  // Two vectors for four heads: enough sums at once to cover the latency of a product.
  enum { vectors = 2, step = vectors * LK_LANES };
  for (size_t lane = 0; lane < LEANK_KEY_TILE; lane += step) {
    VF total[DA_WIDE][vectors];
#pragma clang loop unroll(full)
    for (size_t g = 0; g < group; g++)
#pragma clang loop unroll(full)
      for (size_t v = 0; v < vectors; v++) total[g][v] = (VF){0};
    const char *line = (const char *)keys + lane * leank_bytes(type, 1);
    const float *q = query;
    for (size_t c = 0; c < width; c++) {
      VF key[vectors];
#pragma clang loop unroll(full)
      for (size_t v = 0; v < vectors; v++) key[v] = LK_NAME(load)(line, v * LK_LANES, type);
#pragma clang loop unroll(full)
      for (size_t g = 0; g < group; g++)
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) total[g][v] += q[g] * key[v];
      line += LEANK_KEY_TILE * leank_bytes(type, 1);
      q += stride;
    }
#pragma clang loop unroll(full)
    for (size_t g = 0; g < group; g++)
#pragma clang loop unroll(full)
      for (size_t v = 0; v < vectors; v++) *(VF *)(scores[g] + lane + v * LK_LANES) = total[g][v];
  }
}

// Adds the weighted values of `count` tokens to `heads` rows of `chunks` vectors, both constants.
LK_INLINE void LK_NAME(value_tile)(
    float *out, size_t out_stride, const float (*weights)[DA_BLOCK], size_t heads, size_t chunks,
    const void *values, size_t value_width, size_t column, size_t count, leank_element type) {
  VF total[DA_GROUP][8];
#pragma clang loop unroll(full)
  for (size_t g = 0; g < heads; g++)
#pragma clang loop unroll(full)
    for (size_t c = 0; c < chunks; c++)
      total[g][c] = *(const VF *)(out + g * out_stride + column + c * LK_LANES);
  const char *row = (const char *)values + column * leank_bytes(type, 1);
  for (size_t t = 0; t < count; t++) {
    VF value[8];
#pragma clang loop unroll(full)
    for (size_t c = 0; c < chunks; c++) {
      value[c] = LK_NAME(load)(row, c * LK_LANES, type);
    }
#pragma clang loop unroll(full)
    for (size_t g = 0; g < heads; g++) {
      float weight = weights[g][t];
#pragma clang loop unroll(full)
      for (size_t c = 0; c < chunks; c++) total[g][c] += weight * value[c];
    }
    row += value_width * leank_bytes(type, 1);
  }
#pragma clang loop unroll(full)
  for (size_t g = 0; g < heads; g++)
#pragma clang loop unroll(full)
    for (size_t c = 0; c < chunks; c++)
      *(VF *)(out + g * out_stride + column + c * LK_LANES) = total[g][c];
}

// `chunks` vectors of every row for all heads, `heads` at a time, both constants.
LK_INLINE void LK_NAME(value_columns)(
    float *out, const float (*weights)[DA_BLOCK], size_t group, size_t heads, size_t chunks,
    const void *values, size_t value_width, size_t column, size_t count, leank_element type) {
  size_t g = 0;
  for (; g + heads <= group; g += heads)
    LK_NAME(value_tile)(
        out + g * value_width, value_width, weights + g, heads, chunks, values, value_width, column,
        count, type);
  for (; g < group; g++)
    LK_NAME(value_tile)(
        out + g * value_width, value_width, weights + g, 1, chunks, values, value_width, column,
        count, type);
}

LK_INLINE void LK_NAME(add_values)(
    float *out, const float (*weights)[DA_BLOCK], size_t group, const void *values,
    size_t value_width, size_t count, leank_element type) {
  // As many sums as half the registers hold; rather more of a row than more heads, but two heads at
  // least, so that a value that is widened serves twice.
  enum { sums = LK_REGISTERS / 2 };
  size_t column = 0;
  for (; sums == 16 && column + 8 * LK_LANES <= value_width; column += 8 * LK_LANES)
    LK_NAME(value_columns)(
        out, weights, group, 2, 8, values, value_width, column, count, type);
  for (; column + 4 * LK_LANES <= value_width; column += 4 * LK_LANES)
    LK_NAME(value_columns)(
        out, weights, group, sums / 4, 4, values, value_width, column, count, type);
  for (; column + LK_LANES <= value_width; column += LK_LANES)
    LK_NAME(value_columns)(
        out, weights, group, DA_GROUP, 1, values, value_width, column, count, type);
  for (; column < value_width; column++)
    for (size_t g = 0; g < group; g++)
      for (size_t t = 0; t < count; t++)
        out[g * value_width + column] +=
            weights[g][t] * LK_NAME(widen_one)(values, t * value_width + column, type);
}

// The tokens of one block for query head `head` and the ones after it, `group` of them: one online softmax,
// block by block. `state` has the run's `heads`.
LK_INLINE void LK_NAME(attend_block)(
    float *state, size_t heads, float (*scores)[DA_BLOCK], const leank_attention_run *run,
    size_t head, size_t group, size_t start, size_t end, size_t value_width, leank_element type) {
  float *largest = state + head, *sums = largest + heads;
  float *out = state + 2 * heads + head * value_width;
  size_t tile_size = run->width * LEANK_KEY_TILE * leank_bytes(type, 1);
  size_t tiles = (end - start + LEANK_KEY_TILE - 1) / LEANK_KEY_TILE;
  for (size_t t = 0; t < tiles; t++) {
    float(*tile)[DA_BLOCK] = (float(*)[DA_BLOCK])(scores[0] + t * LEANK_KEY_TILE);
    const char *keys = (const char *)run->keys + (start / LEANK_KEY_TILE + t) * tile_size;
    LK_NAME(open_pages)(keys + tile_size, tile_size);
    LK_NAME(score_tile)(tile, run->query + head, heads, group, keys, run->width, type);
  }
  size_t first = start < run->first ? run->first - start : 0;
  // Where each head's tokens of the block end: an earlier row sees one less of the run's last ones.
  size_t counts[DA_WIDE];
  for (size_t g = 0; g < group; g++) {
    size_t later = run->rows - 1 - (head + g) / (heads / run->rows);
    size_t last = run->first + run->count - later;
    counts[g] = (last < end ? last : end) - start;
    // Nothing of this block.
    if (last <= start) counts[g] = 0;
  }
  if (run->softcap > 0)
    for (size_t g = 0; g < group; g++)
      for (size_t i = first; i < counts[g]; i++)
        scores[g][i] = tanhf(scores[g][i] / run->softcap) * run->softcap;
  for (size_t g = 0; g < group; g++) {
    if (counts[g] == 0) continue;
    size_t lanes = (counts[g] + LEANK_KEY_TILE - 1) / LEANK_KEY_TILE * LEANK_KEY_TILE;
    for (size_t i = 0; i < first; i++) scores[g][i] = -INFINITY;
    for (size_t i = counts[g]; i < lanes; i++) scores[g][i] = -INFINITY;
    VF top = {0};
    top += largest[g];
    for (size_t i = 0; i < lanes; i += LK_LANES) {
      VF s = *(const VF *)(scores[g] + i);
      VI greater = (VI)(s > top);
      top = (VF)((greater & (VI)s) | (~greater & (VI)top));
    }
    float maximum = top[0];
    for (size_t i = 1; i < LK_LANES; i++) maximum = top[i] > maximum ? top[i] : maximum;
    if (maximum > largest[g]) {
      float factor = LK_NAME(exp_one)(largest[g] - maximum);
      for (size_t c = 0; c < value_width; c++) out[g * value_width + c] *= factor;
      sums[g] *= factor;
      largest[g] = maximum;
    }
    VF total = {0};
    for (size_t i = 0; i < lanes; i += LK_LANES) {
      VF e = LK_NAME(exp_vector)(*(const VF *)(scores[g] + i) - maximum);
      *(VF *)(scores[g] + i) = e;
      total += e;
    }
    float sum = 0;
    for (size_t i = 0; i < LK_LANES; i++) sum += total[i];
    sums[g] += sum;
  }
  // Values that all heads see, and then those that only later rows do.
  size_t step = run->rows > 1 ? DA_BLOCK : DA_ROWS, row = leank_bytes(type, value_width);
  for (size_t t = first; t < counts[0]; t += step) {
    size_t rest = counts[0] - t;
    const char *values = (const char *)run->values + (start + t) * row;
    if (run->rows == 1) LK_NAME(open_pages)(values + step * row, step * row);
    LK_NAME(add_values)(
        out, (const float(*)[DA_BLOCK])(scores[0] + t), group, values, value_width,
        rest < step ? rest : step, type);
  }
  for (size_t g = 1; g < group; g++) {
    size_t t = counts[0] > first ? counts[0] : first;
    if (t < counts[g])
      LK_NAME(add_values)(
          out + g * value_width, (const float(*)[DA_BLOCK])(scores[g] + t), 1,
          (const char *)run->values + (start + t) * row, value_width, counts[g] - t, type);
  }
}

LK_INLINE void LK_NAME(attend_typed)(
    float *state, const leank_attention_run *run, size_t group, size_t value_width,
    leank_element type) {
  for (size_t g = 0; g < group; g++) state[g] = -INFINITY;
  memset(state + group, 0, group * (1 + value_width) * sizeof(float));
  float scores[DA_WIDE][DA_BLOCK];
  size_t last = run->first + run->count;
  size_t start = run->first / LEANK_KEY_TILE * LEANK_KEY_TILE;
  for (; start < last; start += DA_BLOCK) {
    size_t end = last - start < DA_BLOCK ? last : start + DA_BLOCK;
    // Later passes find the block's keys and values in the cache.
    size_t g = 0;
#define DA_PASS(heads) \
  LK_NAME(attend_block)(state, group, scores, run, g, heads, start, end, value_width, type)
    for (; DA_WIDE > DA_GROUP && g + DA_WIDE <= group; g += DA_WIDE) DA_PASS(DA_WIDE);
    for (; g + 4 <= group; g += 4) DA_PASS(4);
    switch (group - g) {
    case 3: DA_PASS(3); break;
    case 2: DA_PASS(2); break;
    case 1: DA_PASS(1); break;
    }
#undef DA_PASS
  }
}

LK_TARGET static void LK_NAME(attend)(
    float *state, const leank_attention_run *run, size_t group, size_t value_width,
    leank_element type) {
  switch (type) {
  case leank_f32: LK_NAME(attend_typed)(state, run, group, value_width, leank_f32); break;
  case leank_bf16: LK_NAME(attend_typed)(state, run, group, value_width, leank_bf16); break;
  case leank_f16: LK_NAME(attend_typed)(state, run, group, value_width, leank_f16); break;
  }
}

LK_TARGET static void LK_NAME(merge)(
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
      float factor = LK_NAME(exp_one)(state[g] - maximum);
      const float *values = state + 2 * group + g * value_width;
      sum += factor * state[group + g];
      for (size_t c = 0; c < value_width; c++) out[g * value_width + c] += factor * values[c];
    }
    for (size_t c = 0; count > 0 && c < value_width; c++) out[g * value_width + c] /= sum;
  }
}

// The scores of one tile for all query heads, DA_GROUP at a time, into rows of `out`.
LK_INLINE void LK_NAME(scores_typed)(
    float *out, size_t out_stride, const leank_attention_run *run, size_t group,
    leank_element type) {
  size_t tile_size = leank_bytes(type, run->width * LEANK_KEY_TILE);
  size_t last = run->first + run->count;
  float scores[DA_GROUP][DA_BLOCK];
  for (size_t start = run->first / LEANK_KEY_TILE * LEANK_KEY_TILE; start < last;
       start += LEANK_KEY_TILE) {
    const char *keys = (const char *)run->keys + start / LEANK_KEY_TILE * tile_size;
    size_t from = start < run->first ? run->first - start : 0;
    size_t to = last - start < LEANK_KEY_TILE ? last - start : LEANK_KEY_TILE;
    for (size_t g = 0; g < group; g += DA_GROUP) {
      size_t heads = group - g < DA_GROUP ? group - g : DA_GROUP;
      switch (heads) {
      case 4: LK_NAME(score_tile)(scores, run->query + g, group, 4, keys, run->width, type); break;
      case 3: LK_NAME(score_tile)(scores, run->query + g, group, 3, keys, run->width, type); break;
      case 2: LK_NAME(score_tile)(scores, run->query + g, group, 2, keys, run->width, type); break;
      default: LK_NAME(score_tile)(scores, run->query + g, group, 1, keys, run->width, type);
      }
      for (size_t h = 0; h < heads; h++)
        for (size_t i = from; i < to; i++)
          out[(g + h) * out_stride + start + i - run->first] = scores[h][i];
    }
  }
}

LK_TARGET static void LK_NAME(scores)(
    float *out, size_t out_stride, const leank_attention_run *run, size_t group,
    leank_element type) {
  switch (type) {
  case leank_f32: LK_NAME(scores_typed)(out, out_stride, run, group, leank_f32); break;
  case leank_bf16: LK_NAME(scores_typed)(out, out_stride, run, group, leank_bf16); break;
  case leank_f16: LK_NAME(scores_typed)(out, out_stride, run, group, leank_f16); break;
  }
}

LK_INLINE void LK_NAME(add_values_typed)(
    float *out, const float *weights, size_t stride, const leank_attention_run *run, size_t group,
    size_t value_width, leank_element type) {
  float block[DA_GROUP][DA_BLOCK];
  for (size_t t = 0; t < run->count; t += DA_BLOCK) {
    size_t count = run->count - t < DA_BLOCK ? run->count - t : DA_BLOCK;
    const char *values =
        (const char *)run->values + leank_bytes(type, (run->first + t) * value_width);
    for (size_t g = 0; g < group; g += DA_GROUP) {
      size_t heads = group - g < DA_GROUP ? group - g : DA_GROUP;
      for (size_t h = 0; h < heads; h++)
        memcpy(block[h], weights + (g + h) * stride + t, count * sizeof(float));
      LK_NAME(add_values)(
          out + g * value_width, (const float(*)[DA_BLOCK])block, heads, values, value_width, count,
          type);
    }
  }
}

LK_TARGET static void LK_NAME(add_run)(
    float *out, const float *weights, size_t stride, const leank_attention_run *run, size_t group,
    size_t value_width, leank_element type) {
  switch (type) {
  case leank_f32:
    LK_NAME(add_values_typed)(out, weights, stride, run, group, value_width, leank_f32);
    break;
  case leank_bf16:
    LK_NAME(add_values_typed)(out, weights, stride, run, group, value_width, leank_bf16);
    break;
  case leank_f16:
    LK_NAME(add_values_typed)(out, weights, stride, run, group, value_width, leank_f16);
    break;
  }
}

LK_TARGET static float LK_NAME(read)(const float *from, size_t count) {
  VF total[8] = {{0}};
  size_t i = 0;
  for (; i + 8 * LK_LANES <= count; i += 8 * LK_LANES)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < 8; v++) {
      if (v * LK_LANES % 16 == 0) __builtin_prefetch(from + i + v * LK_LANES + 1536);
      total[v] += *(const VF *)(from + i + v * LK_LANES);
    }
  float sum = 0;
  for (size_t v = 0; v < 8; v++)
    for (size_t lane = 0; lane < LK_LANES; lane++) sum += total[v][lane];
  for (; i < count; i++) sum += from[i];
  return sum;
}

static const attention_loops LK_NAME(table) = {
    LK_NAME(attend), LK_NAME(merge), LK_NAME(scores), LK_NAME(add_run), LK_NAME(read),
};

#undef DA_GROUP
#undef DA_WIDE
#undef DA_BLOCK
#undef DA_ROWS
