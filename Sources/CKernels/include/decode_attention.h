// Attention of one decoded token over a K/V cache whose heads keep different numbers of channels.
// Included by CKernels.h.
#ifndef LEANK_DECODE_ATTENTION_H
#define LEANK_DECODE_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

// Tokens of one tile of keys.
#define LEANK_KEY_TILE 32

// Cached tokens of one KV head that are seen through the same channels.
//
// Keys are stored as tiles of LEANK_KEY_TILE tokens, [width][LEANK_KEY_TILE] each: a line of memory
// holds one channel of several tokens, so that scores need no sum across lanes, whatever `width`.
typedef struct {
  // The tile of token 0; not read when `width` is 0.
  const void *keys;
  // [tokens][value_width], beginning with token 0.
  const void *values;
  // [width][group], the scale of scores multiplied in.
  const float *query;
  size_t width;
  // The tokens first ..< first + count, at least one.
  size_t first, count;
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

// Sum of `count` floats: a stream of reads, to measure what memory delivers.
float leank_read_stream(int level, const float *from, size_t count);

// Writes key and value of `token` into tiles of `width` channels and rows of `value_width`, rounded
// to `type`. `channels` says which channels of `key` are stored; NULL = the first `width`.
void leank_attention_store(
    void *keys, void *values, size_t token, const float *key, const int32_t *channels, size_t width,
    const float *value, size_t value_width, leank_element type);

// Copies `from_token`, stored with `from_width` channels, to `token` of tiles that keep those of
// `channels`, `width` of them.
void leank_attention_move(
    void *keys, void *values, size_t token, const void *from_keys, const void *from_values,
    size_t from_token, const int32_t *channels, size_t width, size_t from_width, size_t value_width,
    leank_element type);

// to[i] += row `token` of `values`.
void leank_attention_add_row(
    double *to, const void *values, size_t token, size_t value_width, leank_element type);

#endif
