/* mock_device: what NVRTC's C++ has and C has not, for texts that run on the CPU (mock.h). */
#ifndef NORN_MOCK_DEVICE_H
#define NORN_MOCK_DEVICE_H
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { unsigned x, y, z; } norn_dim;
struct norn_thread { norn_dim thread, block, threads, blocks; int number; };
struct norn_rt {
  struct norn_thread *now;
  char *room;
  void *block_start, *block_end;
  int (*barrier)(int at, int is);
  void (*shuffle)(unsigned mask, void *value, int n, int how, int what, int width);
  unsigned (*ballot)(unsigned mask, int is);
  void (*warp)(unsigned mask);
  void (*access)(const void *p, unsigned n, unsigned how, const void *code);
  const void *base;
  char *stack;
  int code;
};
static struct norn_rt *norn_rt;

/* ---- accesses to memory, of which the compiler tells (mock_race.c) ---- */
#define NORN_HOOK __attribute__((noinline, no_sanitize("thread"), visibility("hidden"))) void
#ifdef NORN_MOCK_RACES
static inline __attribute__((no_sanitize("thread")))
void norn_access(const void *p, unsigned n, unsigned how, const void *code)
{
  if (norn_rt->access) norn_rt->access(p, n, how, code);
}
#define NORN_HOOKS(n)                                                                                              \
  NORN_HOOK __tsan_read##n(void *p) { norn_access(p, n, 1, __builtin_return_address(0)); }                         \
  NORN_HOOK __tsan_write##n(void *p) { norn_access(p, n, 2, __builtin_return_address(0)); }                        \
  NORN_HOOK __tsan_unaligned_read##n(void *p) { norn_access(p, n, 1, __builtin_return_address(0)); }               \
  NORN_HOOK __tsan_unaligned_write##n(void *p) { norn_access(p, n, 2, __builtin_return_address(0)); }              \
  NORN_HOOK __tsan_read_write##n(void *p) { norn_access(p, n, 3, __builtin_return_address(0)); }                   \
  NORN_HOOK __tsan_unaligned_read_write##n(void *p) { norn_access(p, n, 3, __builtin_return_address(0)); }         \
  NORN_HOOK __tsan_volatile_read##n(void *p) { norn_access(p, n, 5, __builtin_return_address(0)); }                \
  NORN_HOOK __tsan_volatile_write##n(void *p) { norn_access(p, n, 6, __builtin_return_address(0)); }               \
  NORN_HOOK __tsan_unaligned_volatile_read##n(void *p) { norn_access(p, n, 5, __builtin_return_address(0)); }      \
  NORN_HOOK __tsan_unaligned_volatile_write##n(void *p) { norn_access(p, n, 6, __builtin_return_address(0)); }
NORN_HOOKS(1) NORN_HOOKS(2) NORN_HOOKS(4) NORN_HOOKS(8) NORN_HOOKS(16)
NORN_HOOK __tsan_read_range(void *p, size_t n) { norn_access(p, (unsigned)n, 1, __builtin_return_address(0)); }
NORN_HOOK __tsan_write_range(void *p, size_t n) { norn_access(p, (unsigned)n, 2, __builtin_return_address(0)); }
NORN_HOOK __tsan_func_entry(void *p) { (void)p; }
NORN_HOOK __tsan_func_exit(void) {}
NORN_HOOK __tsan_init(void) {}
#ifdef __clang__                               /* copies of structs are calls */
#define NORN_COPIES(memcpy, memmove, memset)                                                                       \
  __attribute__((noinline, no_sanitize("thread"), visibility("hidden")))                                           \
  void *memmove(void *to, const void *from, size_t n)                                                              \
  {                                                                                                                \
    volatile char *a = (volatile char *)to;                                                                        \
    const volatile char *b = (const volatile char *)from;                                                          \
    norn_access(from, (unsigned)n, 1, __builtin_return_address(0));                                                \
    norn_access(to, (unsigned)n, 2, __builtin_return_address(0));                                                  \
    for (size_t k = 0; a < b && k < n; k++) a[k] = b[k];                                                           \
    for (size_t k = n; a > b && k; k--) a[k - 1] = b[k - 1];                                                       \
    return to;                                                                                                     \
  }                                                                                                                \
  __attribute__((noinline, no_sanitize("thread"), visibility("hidden")))                                           \
  void *memcpy(void *to, const void *from, size_t n) { return memmove(to, from, n); }                              \
  __attribute__((noinline, no_sanitize("thread"), visibility("hidden")))                                           \
  void *memset(void *to, int c, size_t n)                                                                          \
  {                                                                                                                \
    norn_access(to, (unsigned)n, 2, __builtin_return_address(0));                                                  \
    for (size_t k = 0; k < n; k++) ((volatile char *)to)[k] = (char)c;                                             \
    return to;                                                                                                     \
  }
NORN_COPIES(memcpy, memmove, memset)
NORN_COPIES(__tsan_memcpy, __tsan_memmove, __tsan_memset)
#endif
/* of these it does not tell */
static inline __attribute__((always_inline)) void *norn_memcpy(void *to, const void *from, size_t n)
{
  norn_access(from, (unsigned)n, 1, __builtin_return_address(0));
  norn_access(to, (unsigned)n, 2, __builtin_return_address(0));
  return __builtin_memcpy(to, from, n);
}
#define memcpy(to, from, n) norn_memcpy(to, from, n)
#endif

#define __global__ NORN_MOCK_GLOBAL
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __constant__ static
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("norn_shared")))
#define KERNEL __global__ void
#define DEVICE static inline __attribute__((unused))
#define SHARED __shared__
#define SHARED_ROOM(type, name) type *name = (type *)norn_rt->room
#define NORN_MOCK 1

#define threadIdx (norn_rt->now->thread)
#define blockIdx (norn_rt->now->block)
#define blockDim (norn_rt->now->threads)
#define gridDim (norn_rt->now->blocks)
#define warpSize 32

/* ---- the threads of a block ---- */
#define __syncthreads() ((void)norn_rt->barrier(__LINE__, 0))
#define __syncthreads_count(p) norn_rt->barrier(__LINE__, (p) != 0)
#define __syncthreads_or(p) (norn_rt->barrier(__LINE__, (p) != 0) != 0)
#define __syncthreads_and(p) (norn_rt->barrier(__LINE__, (p) == 0) == 0)
#define __threadfence() ((void)0)
#define __threadfence_block() ((void)0)

/* ---- the lanes of a warp ---- */
#define norn_width(...) (((int[]){ 32, ##__VA_ARGS__ })[sizeof((int[]){ 32, ##__VA_ARGS__ }) / sizeof(int) - 1])
#define norn_shuffle(mask, v, how, what, ...) __extension__({                                              \
    __typeof__(v) norn_v = (v);                                                                            \
    norn_rt->shuffle((mask), &norn_v, (int)sizeof norn_v, how, (int)(what), norn_width(__VA_ARGS__));      \
    norn_v; })
#define __shfl_sync(mask, v, lane, ...) norn_shuffle(mask, v, 0, lane, ##__VA_ARGS__)
#define __shfl_xor_sync(mask, v, bits, ...) norn_shuffle(mask, v, 1, bits, ##__VA_ARGS__)
#define __shfl_down_sync(mask, v, by, ...) norn_shuffle(mask, v, 2, by, ##__VA_ARGS__)
#define __shfl_up_sync(mask, v, by, ...) norn_shuffle(mask, v, 3, by, ##__VA_ARGS__)
#define __ballot_sync(mask, p) norn_rt->ballot((mask), (p) != 0)
#define __any_sync(mask, p) (norn_rt->ballot((mask), (p) != 0) != 0)
#define __all_sync(mask, p) (norn_rt->ballot((mask), (p) == 0) == 0)
#define norn_mask(...) (((unsigned[]){ 0xffffffffu, ##__VA_ARGS__ })[sizeof((unsigned[]){ 0u, ##__VA_ARGS__ }) / 4 - 1])
#define __syncwarp(...) norn_rt->warp(norn_mask(__VA_ARGS__))

/* ---- memory ---- */
#define __ldg(p) (*(p))
#define __ldcs(p) (*(p))
#define __ldcg(p) (*(p))
#define __stcs(p, v) ((void)(*(p) = (v)))
#define __stcg(p, v) ((void)(*(p) = (v)))
#define norn_atomic(p, expression) __extension__({                                                         \
    volatile __typeof__(*(p)) *norn_p = (p);                                                               \
    __typeof__(*(p)) norn_old = *norn_p;                                                                   \
    *norn_p = (expression);                                                                                \
    norn_old; })
#define atomicAdd(p, v) norn_atomic(p, norn_old + (v))
#define atomicSub(p, v) norn_atomic(p, norn_old - (v))
#define atomicMax(p, v) norn_atomic(p, norn_old > (v) ? norn_old : (v))
#define atomicMin(p, v) norn_atomic(p, norn_old < (v) ? norn_old : (v))
#define atomicOr(p, v) norn_atomic(p, norn_old | (v))
#define atomicAnd(p, v) norn_atomic(p, norn_old & (v))
#define atomicXor(p, v) norn_atomic(p, norn_old ^ (v))
#define atomicExch(p, v) norn_atomic(p, (v))
#define atomicCAS(p, c, v) norn_atomic(p, norn_old == (c) ? (v) : norn_old)

/* ---- bits and arithmetic ---- */
#define __expf(x) expf(x)            /* functions of these names are in glibc */
#define __logf(x) logf(x)
static inline float __int_as_float(int x) { float r; memcpy(&r, &x, 4); return r; }
static inline float __uint_as_float(unsigned x) { float r; memcpy(&r, &x, 4); return r; }
static inline int __float_as_int(float x) { int r; memcpy(&r, &x, 4); return r; }
static inline unsigned __float_as_uint(float x) { unsigned r; memcpy(&r, &x, 4); return r; }
static inline double __longlong_as_double(long long x) { double r; memcpy(&r, &x, 8); return r; }
static inline long long __double_as_longlong(double x) { long long r; memcpy(&r, &x, 8); return r; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
static inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static inline long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline double __dsqrt_rn(double x) { return sqrt(x); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fdividef(float a, float b) { return a / b; }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline int __double2int_rn(double x) { return (int)nearbyint(x); }
static inline long long __double2ll_rn(double x) { return (long long)nearbyint(x); }
static inline long long __double2ll_rd(double x) { return (long long)floor(x); }
static inline int __float2int_rn(float x) { return (int)nearbyintf(x); }
static inline int __float2int_rz(float x) { return (int)x; }
static inline int __float2int_rd(float x) { return (int)floorf(x); }
static inline int __double2int_rz(double x) { return (int)x; }
static inline int __double2int_rd(double x) { return (int)floor(x); }
static inline float __int2float_rn(int x) { return (float)x; }
static inline float __double2float_rn(double x) { return (float)x; }
static inline unsigned __brev(unsigned x)
{
  unsigned r = 0;
  for (int k = 0; k < 32; k++) r |= (x >> k & 1) << (31 - k);
  return r;
}
#endif
