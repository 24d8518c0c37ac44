#include "CKernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

// The loops of one instruction set.
typedef struct {
  void (*attend)(float *, const leank_attention_run *, size_t, size_t, leank_element);
  void (*merge)(float *, const float *, size_t, size_t, size_t);
  void (*scores)(float *, size_t, const leank_attention_run *, size_t, leank_element);
  void (*add_values)(
      float *, const float *, size_t, const leank_attention_run *, size_t, size_t, leank_element);
  float (*read)(const float *, size_t);
} attention_loops;

#define LK_LOOPS "attention_loops.h"
#include "instruction_sets.h"

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

void leank_attention_scores(
    int level, float *out, size_t out_stride, const leank_attention_run *run, size_t group,
    leank_element type) {
  levels[level]->scores(out, out_stride, run, group, type);
}

void leank_attention_add_values(
    int level, float *out, const float *weights, size_t stride, const leank_attention_run *run,
    size_t group, size_t value_width, leank_element type) {
  levels[level]->add_values(out, weights, stride, run, group, value_width, type);
}

float leank_read_stream(int level, const float *from, size_t count) {
  return levels[level]->read(from, count);
}
