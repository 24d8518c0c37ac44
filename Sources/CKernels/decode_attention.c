#include "CKernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

// The loops of one instruction set.
typedef struct {
  void (*attend)(float *, const leank_attention_run *, size_t, size_t, leank_element);
  void (*merge)(float *, const float *, size_t, size_t, size_t);
  float (*read)(const float *, size_t);
} attention_loops;

#define LK_LOOPS "attention_loops.h"
#include "instruction_sets.h"

static uint16_t narrow_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if (x != x) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static uint16_t narrow_f16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  bits &= 0x7FFFFFFF;
  if (bits > 0x7F800000) return sign | 0x7E00;
  if (bits >= 0x477FF000) return sign | 0x7C00;  // rounds past the largest number
  if (bits < 0x38800000) {
    // Subnormal: adding 1/2 leaves units of 2^-24 in the lowest bits, rounded as they should be.
    float magnitude;
    memcpy(&magnitude, &bits, 4);
    magnitude += 0.5f;
    memcpy(&bits, &magnitude, 4);
    return (uint16_t)(sign | (bits - 0x3F000000));
  }
  return (uint16_t)(sign | (bits - 0x38000000 + 0xFFF + (bits >> 13 & 1)) >> 13);
}

static void put(void *to, size_t index, float x, leank_element type) {
  switch (type) {
  case leank_f32: ((float *)to)[index] = x; break;
  case leank_bf16: ((uint16_t *)to)[index] = narrow_bf16(x); break;
  case leank_f16: ((uint16_t *)to)[index] = narrow_f16(x); break;
  }
}

static size_t tile_index(size_t token, size_t width) {
  return token / LEANK_KEY_TILE * width * LEANK_KEY_TILE + token % LEANK_KEY_TILE;
}

void leank_attention_store(
    void *keys, void *values, size_t token, const float *key, const int32_t *channels, size_t width,
    const float *value, size_t value_width, leank_element type) {
  size_t first = tile_index(token, width);
  for (size_t c = 0; c < width; c++)
    put(keys, first + c * LEANK_KEY_TILE, key[channels ? (size_t)channels[c] : c], type);
  for (size_t c = 0; c < value_width; c++) put(values, token * value_width + c, value[c], type);
}

void leank_attention_move(
    void *keys, void *values, size_t token, const void *from_keys, const void *from_values,
    size_t from_token, const int32_t *channels, size_t width, size_t from_width, size_t value_width,
    leank_element type) {
  size_t to = tile_index(token, width), from = tile_index(from_token, from_width);
  if (type == leank_f32) {
    for (size_t c = 0; c < width; c++)
      ((float *)keys)[to + c * LEANK_KEY_TILE] =
          ((const float *)from_keys)[from + (size_t)channels[c] * LEANK_KEY_TILE];
  } else {
    for (size_t c = 0; c < width; c++)
      ((uint16_t *)keys)[to + c * LEANK_KEY_TILE] =
          ((const uint16_t *)from_keys)[from + (size_t)channels[c] * LEANK_KEY_TILE];
  }
  size_t row = value_width * (type == leank_f32 ? 4 : 2);
  memcpy((char *)values + token * row, (const char *)from_values + from_token * row, row);
}

void leank_attention_add_row(
    double *to, const void *values, size_t token, size_t value_width, leank_element type) {
  const char *row = (const char *)values + token * value_width * (type == leank_f32 ? 4 : 2);
  for (size_t c = 0; c < value_width; c++) to[c] += widen_one_baseline(row, c, type);
}

static const attention_loops *const levels[LEANK_LEVELS] = {
    &table_baseline,
#if defined(__x86_64__)
    &table_avx2,
    &table_avx512,
#endif
};

void leank_attention_attend(
    int level, float *state, const leank_attention_run *run, size_t group, size_t value_width,
    leank_element type) {
  levels[level]->attend(state, run, group, value_width, type);
}

void leank_attention_merge(
    int level, float *out, const float *states, size_t count, size_t group, size_t value_width) {
  levels[level]->merge(out, states, count, group, value_width);
}

float leank_read_stream(int level, const float *from, size_t count) {
  return levels[level]->read(from, count);
}
