// The decoder's inner loops, compiled once per instruction set and chosen at run time: Swift emits
// the platform's baseline only, and unsafe compiler flags would bar leank from being a dependency.
#ifndef LEANK_CKERNELS_H
#define LEANK_CKERNELS_H

#include <stddef.h>

#include "elements.h"

// Instruction sets, 0 being the platform's baseline; higher ones are faster.
#define LEANK_LEVELS 3

// Whether this machine and this build have the loops of `level`. The functions below may be called
// with such a level only. Strides and widths count elements; the elements of a row are contiguous.
int leank_has_level(int level);

// to[i] = from[i] widened to f32.
void leank_widen(int level, float *to, const void *from, size_t count, leank_element type);

// out[v * out_stride + r] = x[v] . w[r] for `vectors` rows of x and `rows` rows of w, all of
// `width` channels. No result depends on which others are computed with it, nor does the order in
// which its products are summed.
void leank_dot_rows(
    int level, float *out, size_t out_stride, const float *x, size_t x_stride, size_t vectors,
    const void *w, size_t w_stride, size_t rows, size_t width, leank_element type);

// out[v] += sum over r of p[v * p_stride + r] * w[r], in the order of r.
void leank_add_rows(
    int level, float *out, size_t out_stride, const float *p, size_t p_stride, size_t vectors,
    const void *w, size_t w_stride, size_t rows, size_t width, leank_element type);

// x[i] = exp(x[i] - shift), returns the sum; meant for x[i] <= shift, -infinity gives 0.
float leank_exp_sum(int level, float *x, size_t count, float shift);

// Largest of `count` floats, of which none is NaN; -infinity where there are none.
float leank_largest(int level, const float *x, size_t count);

// gate[i] = gate[i] * sigmoid(gate[i]) * up[i].
void leank_silu_product(int level, float *gate, const float *up, size_t count);

// The derivatives behind it: `gradient` comes by the product and goes by the gate; `up_gradient` is
// written.
void leank_silu_gradient(
    int level, float *gradient, float *up_gradient, const float *gate, const float *up,
    size_t count);

// Elements that `leank_pack` writes.
size_t leank_packed_count(int level, size_t tokens, size_t width);

// A number of tokens: those that a multiple of it begins can be packed apart from those before, to where
// `leank_packed_count` of those ends.
size_t leank_pack_step(int level);

// Rearranges `tokens` rows of x for `leank_multiply`.
void leank_pack(
    int level, float *packed, const float *x, size_t x_stride, size_t tokens, size_t width);

// Floats that `leank_multiply` needs to work in.
size_t leank_multiply_room(int level);

// out[t * out_stride + r] = x[t] . w[r] for the packed tokens x and `rows` rows. No result depends on
// which others are computed with it, nor does the order in which its products are summed.
void leank_multiply(
    int level, float *out, size_t out_stride, const float *packed, size_t tokens, const void *w,
    size_t w_stride, size_t rows, size_t width, leank_element type, float *room);

// out[t * out_stride + c] = sum over r of x[t][r] * w[r * w_stride + c] for the packed tokens x, whose
// width is the number of rows, and `columns` f32 columns; otherwise as `leank_multiply`.
void leank_multiply_columns(
    int level, float *out, size_t out_stride, const float *packed, size_t tokens, const float *w,
    size_t w_stride, size_t columns, size_t width);

// out[v * out_stride + r] = x[v] . w[r] over f32 rows, the products added one after another in ascending
// order of channels: a channel that is 0 on one side adds nothing, so a row with zeros gives the bits of
// the narrower row without them.
void leank_ordered_dots(
    int level, float *out, size_t out_stride, const float *x, size_t x_stride, size_t vectors,
    const float *w, size_t w_stride, size_t rows, size_t width);

#include "allocation.h"

#include "cache_codec.h"

#include "cache_attention.h"
#include "thread_pool.h"

#endif
