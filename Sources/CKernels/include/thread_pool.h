// Threads that wait ready for short pieces of work. Included by CKernels.h.
#ifndef LEANK_THREAD_POOL_H
#define LEANK_THREAD_POOL_H

#include <stddef.h>

typedef struct leank_pool leank_pool;

// A pool of `threads` threads, the calling one included; NULL where memory or threads are lacking.
leank_pool *leank_pool_create(size_t threads);

// Ends the threads. No call of leank_pool_run may be under way.
void leank_pool_destroy(leank_pool *pool);

// Calls body(context, i) once for every i below `count`, on the pool's threads and the calling one,
// and returns when all calls have. A call that finds the pool at work, such as one from inside `body`,
// runs on the calling thread alone.
void leank_pool_run(
    leank_pool *pool, size_t count, void (*body)(void *context, size_t index), void *context);

#endif
