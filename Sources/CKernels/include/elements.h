// Element types of stored weights and caches. Included by CKernels.h.
#ifndef LEANK_ELEMENTS_H
#define LEANK_ELEMENTS_H

#include <stddef.h>

// Arithmetic is always f32.
typedef enum { leank_f32 = 0, leank_bf16 = 1, leank_f16 = 2 } leank_element;

// Bytes of `count` elements.
static inline size_t leank_bytes(leank_element type, size_t count) {
  return count * (type == leank_f32 ? 4 : 2);
}

#endif
