// Attention over a K/V cache whose heads keep different numbers of channels. Included by
// CKernels.h.
#ifndef LEANK_CACHE_ATTENTION_H
#define LEANK_CACHE_ATTENTION_H

#include <stddef.h>

#include "cache_codec.h"

// Cached tokens of one KV head that are seen through the same channels. A query may be that of several
// tokens, rows, whose heads lie one row's after another's.
typedef struct {
  // The tile of token 0; not read when `width` is 0.
  const void *keys;
  // [tokens][value_width], beginning with token 0.
  const void *values;
  // [width][group], the scale of scores multiplied in.
  const float *query;
  size_t width;
  // The last row sees the tokens first ..< first + count, each earlier one a token less than the next,
  // at least one. Of rows that see the same tokens rows may be 1: they are then as more heads.
  size_t first, count, rows;
  // cap * tanh(score / cap) on the scores; 0 = no cap.
  float softcap;
} leank_attention_run;

// `state` of a run for `group` query heads, group * (2 + value_width) floats: the largest score
// [group], sum of exp(score - largest) [group], sum of exp(score - largest) * value
// [group][value_width]. Depends on the run alone, not on others computed beside it.
void leank_attention_attend(
    int level, float *state, const leank_attention_run *run, size_t group, size_t value_width,
    leank_element type);

// out[group][value_width] from `count` states, stored one after another and merged in that order;
// 0 where there are none.
void leank_attention_merge(
    int level, float *out, const float *states, size_t count, size_t group, size_t value_width);

// out[g * out_stride + i] = the score of the run's i-th token for query head g, without the cap. The
// products of a score are added one after another in ascending order of channels.
void leank_attention_scores(
    int level, float *out, size_t out_stride, const leank_attention_run *run, size_t group,
    leank_element type);

// out[g * value_width + c] += the run's values weighted by weights[g * stride + i], one token after
// another.
void leank_attention_add_values(
    int level, float *out, const float *weights, size_t stride, const leank_attention_run *run,
    size_t group, size_t value_width, leank_element type);

// Sum of `count` floats: a stream of reads, to measure what memory delivers.
float leank_read_stream(int level, const float *from, size_t count);

#endif
