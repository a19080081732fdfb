/* lane: the C dialect in which a formula is written once and compiled many times (DESIGN 1.7, 4).

   A `lanes` is one double where LANES is 1, which is everywhere but in the files that are compiled
   once per CPU level, and there LANES doubles of one vector register.  The dialect is + - * / and
   unary minus, comparisons, & and | of comparisons, the macros below, and the functions of vmath.h
   and vspecial.h.  No branch on a value but by SEL, PICK and `if (ANY(c))`; no && || ! ?: of lanes;
   no fma and no contraction: every width and every CPU level gives the same bits.

     SEL(c, a, b)    a where c holds, else b; cheap a and b: both may be computed
     PICK(c, a, b)   the same for costly a and b: a side that no lane needs is not computed
     ANY(c)          whether c holds in some lane
     NOT(c)          where c does not hold (also where a comparison met NaN)
     LANE(x)         a number in every lane

   The same files are also a text (graph/dialect.h) with which generated code begins: C for the host
   compiler, or C++ for NVRTC, where a thread is a lane.  There NORN_DIALECT is defined, and
   NORN_F32 makes a lane a float: the text then has floats for literals, and vmath_f32.h what
   depends on the format.  So a formula says lane_real for the number in a lane, not double.

     NORN_KERNEL void f(...)      what the host calls: a function, or a kernel of the device
     NORN_DEVICE                  before a function of the text's own */
#ifndef NORN_LANE_H
#define NORN_LANE_H

#ifdef __CUDACC_RTC__
#pragma nv_diag_suppress 177                   /* functions that this text has no use for */
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef int int32_t;
typedef unsigned uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define inline __device__ __forceinline__
#define NORN_KERNEL extern "C" __global__
#define NORN_DEVICE static __device__ __forceinline__
#define LANE_INLINE static inline
#define LANE_CALLED static __device__ __noinline__
#define LANE_LARGE LANE_CALLED                  /* inline on the host, called on a device */
#define LANE_UNROLL _Pragma("unroll")
#ifndef NAN
#define restrict __restrict__
#define HUGE_VAL __longlong_as_double(0x7ff0000000000000)
#define NAN __int_as_float(0x7fffffff)
#endif
#else
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef NORN_MOCK                               /* a stand-in for a device, which looks for this word */
#define NORN_KERNEL __global__
#else
#define NORN_KERNEL
#endif
#define NORN_DEVICE static inline
#define LANE_INLINE static inline __attribute__((always_inline))
#define LANE_CALLED static __attribute__((noinline, unused))
#define LANE_LARGE static inline
#define LANE_UNROLL _Pragma("GCC unroll 32")
#endif

#ifndef LANES
#define LANES 1
#endif

#ifdef NORN_F32
typedef float lane_real;
typedef uint32_t lane_word;
typedef int32_t lane_int;
#undef HUGE_VAL
#ifdef __CUDACC_RTC__
#define HUGE_VAL __int_as_float(0x7f800000)
#else
#define HUGE_VAL __builtin_huge_valf()
#endif
#else
typedef double lane_real;
typedef uint64_t lane_word;
typedef int64_t lane_int;
#endif

#if LANES == 1
typedef lane_real lanes;
typedef int lane_mask;
typedef lane_word lane_bits;
typedef lane_int lane_ints;
#define SEL(c, a, b) ((c) ? (a) : (b))
#define PICK(c, a, b) ((c) ? (a) : (b))
#define ANY(c) (c)
#define NOT(c) (!(c))
#define LANE(x) ((lanes)(x))
#if defined __CUDACC_RTC__ && defined NORN_F32
static inline lanes lane_of(lane_bits u) { return __uint_as_float(u); }
static inline lane_bits lane_to_bits(lanes x) { return __float_as_uint(x); }
static inline lanes lane_sqrt(lanes x) { return __fsqrt_rn(x); }
static inline lanes lane_floor(lanes x) { return floorf(x); }
static inline lanes lane_fma(lanes a, lanes b, lanes c) { return __fmaf_rn(a, b, c); }
#elif defined __CUDACC_RTC__
static inline lanes lane_of(lane_bits u) { return __longlong_as_double((long long)u); }
static inline lane_bits lane_to_bits(lanes x) { return (lane_bits)__double_as_longlong(x); }
static inline lanes lane_sqrt(lanes x) { return __dsqrt_rn(x); }
static inline lanes lane_floor(lanes x) { return floor(x); }
#else
static inline lanes lane_of(lane_bits u) { lanes d; memcpy(&d, &u, sizeof d); return d; }
static inline lane_bits lane_to_bits(lanes x) { lane_bits u; memcpy(&u, &x, sizeof u); return u; }
#ifdef NORN_F32
static inline lanes lane_sqrt(lanes x) { return __builtin_sqrtf(x); }
static inline lanes lane_floor(lanes x) { return __builtin_floorf(x); }
static inline lanes lane_fma(lanes a, lanes b, lanes c) { return __builtin_fmaf(a, b, c); }
#else
static inline lanes lane_sqrt(lanes x) { return __builtin_sqrt(x); }
static inline lanes lane_floor(lanes x) { return __builtin_floor(x); }
#endif
#endif
static inline lanes lane_from_int(lane_bits k) { return (lanes)(lane_int)k; }
static inline lanes lane_from_word(lane_bits k) { return (lanes)k; }
/* b where one is NaN or both are 0 */
static inline lanes lane_max(lanes a, lanes b) { return a > b ? a : b; }
static inline lanes lane_min(lanes a, lanes b) { return a < b ? a : b; }
static inline lanes lane_load(const lane_real *p) { return *p; }
static inline void lane_store(lane_real *p, lanes x) { *p = x; }
/* table[k]; k is a whole number inside the table */
static inline lanes lane_table(const lane_real *table, lanes k) { return table[(int)k]; }
/* i + 0, 1, ... in the lanes */
static inline lane_bits lane_count(uint32_t i) { return i; }

#else
typedef lane_real lanes __attribute__((vector_size(sizeof(lane_real) * LANES)));
typedef lane_int lane_mask __attribute__((vector_size(sizeof(lane_real) * LANES)));
typedef lane_word lane_bits __attribute__((vector_size(sizeof(lane_real) * LANES)));
typedef lane_mask lane_ints;
#ifndef NORN_F32
#if LANES == 8 && defined __AVX512F__ || LANES == 4 && defined __AVX2__ || \
  LANES == 2 && defined __SSE2__
#define LANE_X86
#endif
#endif

/* Instructions that the compiler does not find by itself.  A text is compiled while somebody waits, and most of that time
   would go into <immintrin.h> (.4 of .5 s): where the compiler has words of its own for them, which are gcc's, it does
   without. */
#if defined LANE_X86 && defined NORN_DIALECT && defined __has_builtin
#if LANES == 8
#if __has_builtin(__builtin_ia32_movapd512_mask) && __has_builtin(__builtin_ia32_cvtq2mask512) && \
  __has_builtin(__builtin_ia32_maxpd512_mask) && __has_builtin(__builtin_ia32_minpd512_mask) && \
  __has_builtin(__builtin_ia32_sqrtpd512_mask) && __has_builtin(__builtin_ia32_pmuludq512_mask) && \
  __has_builtin(__builtin_ia32_gathersiv8di) && __has_builtin(__builtin_ia32_scalefpd512_mask)
#define LANE_WORDS
#endif
#elif LANES == 4
#if __has_builtin(__builtin_ia32_blendvpd256) && __has_builtin(__builtin_ia32_movmskpd256) && \
  __has_builtin(__builtin_ia32_maxpd256) && __has_builtin(__builtin_ia32_minpd256) && \
  __has_builtin(__builtin_ia32_sqrtpd256) && __has_builtin(__builtin_ia32_pmuludq256)
#define LANE_WORDS
#endif
#elif __has_builtin(__builtin_ia32_movmskpd) && __has_builtin(__builtin_ia32_maxpd) && \
  __has_builtin(__builtin_ia32_minpd) && __has_builtin(__builtin_ia32_sqrtpd) && \
  __has_builtin(__builtin_ia32_pmuludq128)
#define LANE_WORDS
#endif
#endif
#ifdef LANE_WORDS
typedef int lane_halves __attribute__((vector_size(8 * LANES)));
typedef long long lane_longs __attribute__((vector_size(8 * LANES)));
#if LANES == 8
typedef int lane_places __attribute__((vector_size(32)));
#define LANE_ALL ((unsigned char)-1)
#define LANE_X_BITS(c) __builtin_ia32_cvtq2mask512((lane_longs)(c))
#define LANE_X_SEL(c, a, b) __builtin_ia32_movapd512_mask(a, b, LANE_X_BITS(c))
#define LANE_X_MAX(a, b) __builtin_ia32_maxpd512_mask(a, b, a, LANE_ALL, 4)     /* 4: rounded as ever */
#define LANE_X_MIN(a, b) __builtin_ia32_minpd512_mask(a, b, a, LANE_ALL, 4)
#define LANE_X_SQRT(x) __builtin_ia32_sqrtpd512_mask(x, x, LANE_ALL, 4)
#define LANE_X_TIMES(a, b) __builtin_ia32_pmuludq512_mask((lane_halves)(a), (lane_halves)(b), (lane_longs)(a), LANE_ALL)
#define LANE_X_GATHER(x, at) __builtin_ia32_gathersiv8di((lane_longs){0}, x, at, LANE_ALL, 8)
#define LANE_X_SCALED(y, k) __builtin_ia32_scalefpd512_mask(y, k, y, LANE_ALL, 4)
#elif LANES == 4
#define LANE_X_BITS(c) __builtin_ia32_movmskpd256((lanes)(c))
#define LANE_X_SEL(c, a, b) __builtin_ia32_blendvpd256(b, a, (lanes)(c))
#define LANE_X_MAX(a, b) __builtin_ia32_maxpd256(a, b)
#define LANE_X_MIN(a, b) __builtin_ia32_minpd256(a, b)
#define LANE_X_SQRT(x) __builtin_ia32_sqrtpd256(x)
#define LANE_X_TIMES(a, b) __builtin_ia32_pmuludq256((lane_halves)(a), (lane_halves)(b))
#else
#define LANE_X_BITS(c) __builtin_ia32_movmskpd((lanes)(c))
#define LANE_X_MAX(a, b) __builtin_ia32_maxpd(a, b)
#define LANE_X_MIN(a, b) __builtin_ia32_minpd(a, b)
#define LANE_X_SQRT(x) __builtin_ia32_sqrtpd(x)
#define LANE_X_TIMES(a, b) __builtin_ia32_pmuludq128((lane_halves)(a), (lane_halves)(b))
#endif
#elif defined LANE_X86
#include <immintrin.h>
#if LANES == 8
typedef __m256i lane_places;
#define LANE_X_BITS(c) _mm512_movepi64_mask((__m512i)(c))
#define LANE_X_SEL(c, a, b) _mm512_mask_mov_pd(b, LANE_X_BITS(c), a)
#define LANE_X_MAX(a, b) _mm512_max_pd(a, b)
#define LANE_X_MIN(a, b) _mm512_min_pd(a, b)
#define LANE_X_SQRT(x) _mm512_sqrt_pd(x)
#define LANE_X_TIMES(a, b) _mm512_mul_epu32((__m512i)(a), (__m512i)(b))
#define LANE_X_GATHER(x, at) _mm512_i32gather_epi64(at, x, 8)
#define LANE_X_SCALED(y, k) _mm512_scalef_pd(y, k)
#elif LANES == 4
#define LANE_X_BITS(c) _mm256_movemask_pd((__m256d)(c))
#define LANE_X_SEL(c, a, b) _mm256_blendv_pd(b, a, (__m256d)(c))
#define LANE_X_MAX(a, b) _mm256_max_pd(a, b)
#define LANE_X_MIN(a, b) _mm256_min_pd(a, b)
#define LANE_X_SQRT(x) _mm256_sqrt_pd(x)
#define LANE_X_TIMES(a, b) _mm256_mul_epu32((__m256i)(a), (__m256i)(b))
#else
#define LANE_X_BITS(c) _mm_movemask_pd((__m128d)(c))
#define LANE_X_MAX(a, b) _mm_max_pd(a, b)
#define LANE_X_MIN(a, b) _mm_min_pd(a, b)
#define LANE_X_SQRT(x) _mm_sqrt_pd(x)
#define LANE_X_TIMES(a, b) _mm_mul_epu32((__m128i)(a), (__m128i)(b))
#endif
#endif
#define LANE(x) ((x) - (lanes){0})            /* x - 0 is x, also for -0 */
#define NOT(c) (~(c))
#define SEL(c, a, b) lane_sel(c, LANE(a), LANE(b))
#define ANY(c) lane_any(c)
#define PICK(c, a, b) __extension__({                                                              \
    lane_mask pick_c = (c);                                                                        \
    lanes pick_r = {0};                                                                             \
    if (lane_any(pick_c)) pick_r = LANE(a);                                                        \
    if (lane_any(~pick_c)) pick_r = lane_sel(pick_c, pick_r, LANE(b));                             \
    pick_r; })
static inline lanes lane_of(lane_bits u) { return (lanes)u; }
static inline lane_bits lane_to_bits(lanes x) { return (lane_bits)x; }
static inline lanes lane_load(const lane_real *p) { lanes x; memcpy(&x, p, sizeof x); return x; }
static inline void lane_store(lane_real *p, lanes x) { memcpy(p, &x, sizeof x); }
static inline lanes lane_table(const lane_real *table, lanes k)
{
  lanes r;
  for (int i = 0; i < LANES; i++) r[i] = table[(int)k[i]];
  return r;
}
static inline lanes lane_sel(lane_mask c, lanes a, lanes b)
{
#ifdef LANE_X_SEL
  return LANE_X_SEL(c, a, b);
#else
  return (lanes)((c & (lane_mask)a) | (~c & (lane_mask)b));
#endif
}
static inline bool lane_any(lane_mask c)
{
#ifdef LANE_X86
  return LANE_X_BITS(c) != 0;
#else
  lane_int any = 0;
  for (int i = 0; i < LANES; i++) any |= c[i];
  return any != 0;
#endif
}
static inline lanes lane_max(lanes a, lanes b)
{
#ifdef LANE_X86
  return LANE_X_MAX(a, b);
#else
  return lane_sel(a > b, a, b);
#endif
}
static inline lanes lane_min(lanes a, lanes b)
{
#ifdef LANE_X86
  return LANE_X_MIN(a, b);
#else
  return lane_sel(a < b, a, b);
#endif
}
static inline lanes lane_sqrt(lanes x)
{
#ifdef LANE_X86
  return LANE_X_SQRT(x);
#else
  for (int i = 0; i < LANES; i++)
    x[i] = sizeof x[i] == 4 ? (lane_real)__builtin_sqrtf((float)x[i]) : (lane_real)__builtin_sqrt(x[i]);
  return x;
#endif
}
static inline lanes lane_floor(lanes x)
{
  for (int i = 0; i < LANES; i++)
    x[i] = sizeof x[i] == 4 ? (lane_real)__builtin_floorf((float)x[i]) : (lane_real)__builtin_floor(x[i]);
  return x;
}
static inline lanes lane_from_int(lane_bits k) { return __builtin_convertvector((lane_mask)k, lanes); }
static inline lanes lane_from_word(lane_bits k) { return __builtin_convertvector(k, lanes); }
static inline lane_bits lane_count(uint32_t i)
{
  lane_bits k;
  for (int j = 0; j < LANES; j++) k[j] = i + (uint32_t)j;
  return k;
}
#ifdef NORN_F32
static inline lanes lane_fma(lanes a, lanes b, lanes c)
{
  for (int i = 0; i < LANES; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
}
#endif
#endif
#endif
