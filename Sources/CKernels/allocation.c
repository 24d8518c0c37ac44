#include "allocation.h"

#if defined(__GLIBC__) || defined(__linux__)
#include <features.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

void leank_keep_freed_memory(size_t block, size_t total) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, (int)block);
  mallopt(M_TRIM_THRESHOLD, (int)total);
#else
  (void)block;
  (void)total;
#endif
}
