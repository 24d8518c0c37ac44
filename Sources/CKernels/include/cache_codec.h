// How keys and values lie in a cache: the one place that knows. Included by CKernels.h.
#ifndef LEANK_CACHE_CODEC_H
#define LEANK_CACHE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "elements.h"

// Tokens of one tile of keys.
//
// Keys are stored as tiles of LEANK_KEY_TILE tokens, [width][LEANK_KEY_TILE] each: a line of memory holds
// one channel of several tokens, so that scores need no sum across lanes, whatever `width`. Values are
// stored in rows, [tokens][value_width].
#define LEANK_KEY_TILE 32

// Bytes of whole tiles of keys for `tokens` tokens, and of their values.
size_t leank_cache_key_bytes(leank_element type, size_t tokens, size_t width);
size_t leank_cache_value_bytes(leank_element type, size_t tokens, size_t value_width);

// Writes key and value of `token` into tiles of `width` channels and rows of `value_width`, rounded
// to `type`. `channels` says which channels of `key` are stored; NULL = the first `width`.
void leank_cache_store(
    void *keys, void *values, size_t token, const float *key, const int32_t *channels, size_t width,
    const float *value, size_t value_width, leank_element type);

// Copies `from_token`, stored with `from_width` channels, to `token` of tiles that keep those of
// `channels`, `width` of them; NULL = the first `width`.
void leank_cache_move(
    void *keys, void *values, size_t token, const void *from_keys, const void *from_values,
    size_t from_token, const int32_t *channels, size_t width, size_t from_width, size_t value_width,
    leank_element type);

// to[i] += row `token` of `values`.
void leank_cache_add_value(
    double *to, const void *values, size_t token, size_t value_width, leank_element type);

#endif
