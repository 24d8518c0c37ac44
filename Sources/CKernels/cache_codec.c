#include "cache_codec.h"

#include <stdint.h>
#include <string.h>

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

static float widen(const void *from, size_t index, leank_element type) {
  if (type == leank_f32) return ((const float *)from)[index];
  uint32_t half = ((const uint16_t *)from)[index], bits = half << 16;
  float value;
  if (type == leank_f16) {
    // Exponent and mantissa moved into place, then rescaled: exact, subnormal numbers included.
    bits = (half & 0x7FFF) << 13;
    memcpy(&value, &bits, 4);
    value *= 0x1p112f;
    memcpy(&bits, &value, 4);
    bits |= (half & 0x8000) << 16;
    if ((half & 0x7C00) == 0x7C00) bits |= 0x7F800000;
  }
  memcpy(&value, &bits, 4);
  return value;
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

void leank_cache_store(
    void *keys, void *values, size_t token, const float *key, const int32_t *channels, size_t width,
    const float *value, size_t value_width, leank_element type) {
  size_t first = tile_index(token, width);
  for (size_t c = 0; c < width; c++)
    put(keys, first + c * LEANK_KEY_TILE, key[channels ? (size_t)channels[c] : c], type);
  for (size_t c = 0; c < value_width; c++) put(values, token * value_width + c, value[c], type);
}

void leank_cache_move(
    void *keys, void *values, size_t token, const void *from_keys, const void *from_values,
    size_t from_token, const int32_t *channels, size_t width, size_t from_width, size_t value_width,
    leank_element type) {
  size_t size = leank_bytes(type, 1);
  char *to = (char *)keys + tile_index(token, width) * size;
  const char *from = (const char *)from_keys + tile_index(from_token, from_width) * size;
  size_t step = LEANK_KEY_TILE * size;
  for (size_t c = 0; c < width; c++)
    memcpy(to + c * step, from + (channels ? (size_t)channels[c] : c) * step, size);
  size_t row = leank_bytes(type, value_width);
  memcpy((char *)values + token * row, (const char *)from_values + from_token * row, row);
}

void leank_cache_add_value(
    double *to, const void *values, size_t token, size_t value_width, leank_element type) {
  const char *row = (const char *)values + token * leank_bytes(type, value_width);
  for (size_t c = 0; c < value_width; c++) to[c] += widen(row, c, type);
}

size_t leank_cache_key_bytes(leank_element type, size_t tokens, size_t width) {
  size_t tiles = (tokens + LEANK_KEY_TILE - 1) / LEANK_KEY_TILE;
  return leank_bytes(type, tiles * LEANK_KEY_TILE * width);
}

size_t leank_cache_value_bytes(leank_element type, size_t tokens, size_t value_width) {
  return leank_bytes(type, tokens * value_width);
}
