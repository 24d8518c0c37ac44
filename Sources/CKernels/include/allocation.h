// How the C library's allocator treats large blocks. Included by CKernels.h.
#ifndef LEANK_ALLOCATION_H
#define LEANK_ALLOCATION_H

#include <stddef.h>

// Keeps freed blocks of up to `block` bytes, `total` in all, for the next ones instead of giving them back
// to the system. Does nothing where the allocator cannot be told. For programs, not libraries.
void leank_keep_freed_memory(size_t block, size_t total);

#endif
