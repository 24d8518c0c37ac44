// Includes LK_LOOPS, the name of a file of loops, once per instruction set. Such a file is written with
// the compiler's portable vectors and with
//   LK_LANES        floats of one vector
//   LK_REGISTERS    vectors that fit into registers
//   LK_TARGET       what makes the compiler use the instruction set in a function
//   LK_NAME(name)   the name of the set's own function or type
//   LK_NATIVE_HALF  whether the set converts f16
// and with what vectors.h makes of them.

// Level 0: 128-bit vectors, SSE2 or NEON.
#define LK_LANES 4
#define LK_TARGET
#define LK_NAME(name) name##_baseline
#if defined(__aarch64__)
#define LK_REGISTERS 32
#define LK_NATIVE_HALF 1
#else
#define LK_REGISTERS 16
#define LK_NATIVE_HALF 0
#endif
#include "vectors.h"
#include LK_LOOPS
#include "vectors_end.h"

#if defined(__x86_64__)
#define LK_LANES 8
#define LK_REGISTERS 16
#define LK_TARGET __attribute__((target("avx2,fma,f16c")))
#define LK_NAME(name) name##_avx2
#define LK_NATIVE_HALF 1
#include "vectors.h"
#include LK_LOOPS
#include "vectors_end.h"

#define LK_LANES 16
#define LK_REGISTERS 32
#define LK_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define LK_NAME(name) name##_avx512
#define LK_NATIVE_HALF 1
#include "vectors.h"
#include LK_LOOPS
#include "vectors_end.h"
#endif
