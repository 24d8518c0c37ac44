#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

// A token of a small model has hundreds of pieces of work of some microseconds each, and waking a thread
// through the kernel takes as long as one of them. So threads look out for work for a while before they
// sleep.
#define POOL_SPINS 4000

struct leank_pool {
  // What is being run; written only while `open` is 0 and no thread is inside.
  void (*body)(void *, size_t);
  void *context;
  size_t count;
  atomic_size_t next;

  // Whether threads may join the run, and how many are in it.
  atomic_int open;
  atomic_int inside;
  // Counts runs, so that a thread joins each once.
  atomic_uint generation;
  // Held by the caller of a run.
  atomic_flag busy;

  atomic_int sleepers;
  atomic_int stopping;
  pthread_mutex_t mutex;
  pthread_cond_t condition;

  size_t threads;
  pthread_t handles[];
};

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void work(leank_pool *pool) {
  for (;;) {
    size_t index = atomic_fetch_add(&pool->next, 1);
    if (index >= pool->count) return;
    pool->body(pool->context, index);
  }
}

// Waits for a run after `seen`; returns its number.
static unsigned wait_for_run(leank_pool *pool, unsigned seen) {
  for (int i = 0; i < POOL_SPINS; i++) {
    unsigned now = atomic_load(&pool->generation);
    if (now != seen) return now;
    relax();
  }
  pthread_mutex_lock(&pool->mutex);
  // The caller of a run counts it up before it looks for sleepers, and they count themselves before they
  // look at it: one of the two sees the other.
  atomic_fetch_add(&pool->sleepers, 1);
  unsigned now;
  while ((now = atomic_load(&pool->generation)) == seen)
    pthread_cond_wait(&pool->condition, &pool->mutex);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
  return now;
}

static void *serve(void *argument) {
  leank_pool *pool = argument;
  unsigned seen = 0;
  while (!atomic_load(&pool->stopping)) {
    seen = wait_for_run(pool, seen);
    // A thread that comes late finds the run closed and leaves it alone.
    atomic_fetch_add(&pool->inside, 1);
    if (atomic_load(&pool->open)) work(pool);
    atomic_fetch_sub(&pool->inside, 1);
  }
  return NULL;
}

static void announce(leank_pool *pool) {
  atomic_fetch_add(&pool->generation, 1);
  if (atomic_load(&pool->sleepers) == 0) return;
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->condition);
  pthread_mutex_unlock(&pool->mutex);
}

leank_pool *leank_pool_create(size_t threads) {
  size_t others = threads > 1 ? threads - 1 : 0;
  leank_pool *pool = calloc(1, sizeof(leank_pool) + others * sizeof(pthread_t));
  if (!pool) return NULL;
  atomic_flag_clear(&pool->busy);
  if (pthread_mutex_init(&pool->mutex, NULL) != 0 || pthread_cond_init(&pool->condition, NULL) != 0) {
    free(pool);
    return NULL;
  }
  for (size_t i = 0; i < others; i++) {
    if (pthread_create(&pool->handles[i], NULL, serve, pool) != 0) {
      // Fewer threads do the same work.
      break;
    }
    pool->threads++;
  }
  return pool;
}

void leank_pool_destroy(leank_pool *pool) {
  atomic_store(&pool->stopping, 1);
  announce(pool);
  for (size_t i = 0; i < pool->threads; i++) pthread_join(pool->handles[i], NULL);
  pthread_cond_destroy(&pool->condition);
  pthread_mutex_destroy(&pool->mutex);
  free(pool);
}

void leank_pool_run(
    leank_pool *pool, size_t count, void (*body)(void *context, size_t index), void *context) {
  if (count < 2 || pool->threads == 0 || atomic_flag_test_and_set(&pool->busy)) {
    for (size_t i = 0; i < count; i++) body(context, i);
    return;
  }
  pool->body = body;
  pool->context = context;
  pool->count = count;
  atomic_store(&pool->next, 0);
  atomic_store(&pool->open, 1);
  announce(pool);
  work(pool);
  atomic_store(&pool->open, 0);
  // Whoever is inside is at its last piece of work, unless the system took its processor away.
  for (unsigned spins = 0; atomic_load(&pool->inside) != 0; spins++) {
    if (spins % 1024 == 1023) sched_yield();
    relax();
  }
  atomic_flag_clear(&pool->busy);
}
