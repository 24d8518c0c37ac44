#include "CKernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

// The loops of one instruction set.
typedef struct {
  void (*widen)(float *, const void *, size_t, leank_element);
  void (*dot_rows)(
      float *, size_t, const float *, size_t, size_t, const void *, size_t, size_t, size_t,
      leank_element);
  void (*add_rows)(
      float *, size_t, const float *, size_t, size_t, const void *, size_t, size_t, size_t,
      leank_element);
  float (*exp_sum)(float *, size_t, float);
  float (*largest)(const float *, size_t);
  void (*silu_product)(float *, const float *, size_t);
  void (*silu_gradient)(float *, float *, const float *, const float *, size_t);
  void (*pack)(float *, const float *, size_t, size_t, size_t);
  void (*multiply)(
      float *, size_t, const float *, size_t, const void *, size_t, size_t, size_t, leank_element,
      float *);
  void (*multiply_columns)(
      float *, size_t, const float *, size_t, const float *, size_t, size_t, size_t);
  void (*ordered_dots)(
      float *, size_t, const float *, size_t, size_t, const float *, size_t, size_t, size_t);
  size_t pack_step, multiply_room;
} leank_kernels;

#define LK_LOOPS "weight_loops.h"
#include "instruction_sets.h"

static const leank_kernels *const levels[LEANK_LEVELS] = {
    &table_baseline,
#if defined(__x86_64__)
    &table_avx2,
    &table_avx512,
#endif
};

int leank_has_level(int level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                   __builtin_cpu_supports("f16c");
  if (level == 1) return avx2;
  if (level == 2)
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
  return level == 0;
}

void leank_widen(int level, float *to, const void *from, size_t count, leank_element type) {
  levels[level]->widen(to, from, count, type);
}

void leank_dot_rows(
    int level, float *out, size_t out_stride, const float *x, size_t x_stride, size_t vectors,
    const void *w, size_t w_stride, size_t rows, size_t width, leank_element type) {
  levels[level]->dot_rows(
      out, out_stride, x, x_stride, vectors, w, w_stride, rows, width, type);
}

void leank_add_rows(
    int level, float *out, size_t out_stride, const float *p, size_t p_stride, size_t vectors,
    const void *w, size_t w_stride, size_t rows, size_t width, leank_element type) {
  levels[level]->add_rows(
      out, out_stride, p, p_stride, vectors, w, w_stride, rows, width, type);
}

float leank_exp_sum(int level, float *x, size_t count, float shift) {
  return levels[level]->exp_sum(x, count, shift);
}

float leank_largest(int level, const float *x, size_t count) {
  return levels[level]->largest(x, count);
}

void leank_silu_product(int level, float *gate, const float *up, size_t count) {
  levels[level]->silu_product(gate, up, count);
}

void leank_silu_gradient(
    int level, float *gradient, float *up_gradient, const float *gate, const float *up,
    size_t count) {
  levels[level]->silu_gradient(gradient, up_gradient, gate, up, count);
}

size_t leank_packed_count(int level, size_t tokens, size_t width) {
  const size_t lanes = (size_t)4 << level;
  return (tokens + lanes - 1) / lanes * lanes * width;
}

size_t leank_pack_step(int level) { return levels[level]->pack_step; }

void leank_pack(
    int level, float *packed, const float *x, size_t x_stride, size_t tokens, size_t width) {
  levels[level]->pack(packed, x, x_stride, tokens, width);
}

size_t leank_multiply_room(int level) { return levels[level]->multiply_room; }

void leank_multiply(
    int level, float *out, size_t out_stride, const float *packed, size_t tokens, const void *w,
    size_t w_stride, size_t rows, size_t width, leank_element type, float *room) {
  levels[level]->multiply(
      out, out_stride, packed, tokens, w, w_stride, rows, width, type, room);
}

void leank_multiply_columns(
    int level, float *out, size_t out_stride, const float *packed, size_t tokens, const float *w,
    size_t w_stride, size_t columns, size_t width) {
  levels[level]->multiply_columns(out, out_stride, packed, tokens, w, w_stride, columns, width);
}

void leank_ordered_dots(
    int level, float *out, size_t out_stride, const float *x, size_t x_stride, size_t vectors,
    const float *w, size_t w_stride, size_t rows, size_t width) {
  levels[level]->ordered_dots(out, out_stride, x, x_stride, vectors, w, w_stride, rows, width);
}
