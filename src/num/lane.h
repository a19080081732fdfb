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
     LANE(x)         a number in every lane */
#ifndef NORN_LANE_H
#define NORN_LANE_H
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifndef LANES
#define LANES 1
#endif

#if LANES == 1
typedef double lanes;
typedef int lane_mask;
typedef uint64_t lane_bits;
#define SEL(c, a, b) ((c) ? (a) : (b))
#define PICK(c, a, b) ((c) ? (a) : (b))
#define ANY(c) (c)
#define NOT(c) (!(c))
#define LANE(x) (x)
static inline lanes lane_of(lane_bits u) { lanes d; memcpy(&d, &u, 8); return d; }
static inline lane_bits lane_to_bits(lanes x) { lane_bits u; memcpy(&u, &x, 8); return u; }
static inline lanes lane_sqrt(lanes x) { return __builtin_sqrt(x); }
/* b where one is NaN or both are 0 */
static inline lanes lane_max(lanes a, lanes b) { return a > b ? a : b; }
static inline lanes lane_min(lanes a, lanes b) { return a < b ? a : b; }
static inline lanes lane_load(const double *p) { return *p; }
static inline void lane_store(double *p, lanes x) { *p = x; }
/* table[k]; k is a whole number inside the table */
static inline lanes lane_table(const double *table, lanes k) { return table[(int)k]; }

#else
typedef double lanes __attribute__((vector_size(8 * LANES)));
typedef int64_t lane_mask __attribute__((vector_size(8 * LANES)));
typedef uint64_t lane_bits __attribute__((vector_size(8 * LANES)));
#if LANES == 8 && defined __AVX512F__ || LANES == 4 && defined __AVX2__ || \
  LANES == 2 && defined __SSE2__
#define LANE_X86
#include <immintrin.h>
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
static inline lanes lane_load(const double *p) { lanes x; memcpy(&x, p, sizeof x); return x; }
static inline void lane_store(double *p, lanes x) { memcpy(p, &x, sizeof x); }
static inline lanes lane_table(const double *table, lanes k)
{
  lanes r;
  for (int i = 0; i < LANES; i++) r[i] = table[(int)k[i]];
  return r;
}
static inline lanes lane_sel(lane_mask c, lanes a, lanes b)
{
#if defined LANE_X86 && LANES == 8
  return _mm512_mask_mov_pd(b, _mm512_movepi64_mask((__m512i)c), a);
#elif defined LANE_X86 && LANES == 4
  return _mm256_blendv_pd(b, a, (__m256d)c);
#else
  return (lanes)((c & (lane_mask)a) | (~c & (lane_mask)b));
#endif
}
static inline bool lane_any(lane_mask c)
{
#if defined LANE_X86 && LANES == 8
  return _mm512_movepi64_mask((__m512i)c) != 0;
#elif defined LANE_X86 && LANES == 4
  return _mm256_movemask_pd((__m256d)c) != 0;
#elif defined LANE_X86 && LANES == 2
  return _mm_movemask_pd((__m128d)c) != 0;
#else
  int64_t any = 0;
  for (int i = 0; i < LANES; i++) any |= c[i];
  return any != 0;
#endif
}
static inline lanes lane_max(lanes a, lanes b)
{
#if defined LANE_X86 && LANES == 8
  return _mm512_max_pd(a, b);
#elif defined LANE_X86 && LANES == 4
  return _mm256_max_pd(a, b);
#elif defined LANE_X86 && LANES == 2
  return _mm_max_pd(a, b);
#else
  return lane_sel(a > b, a, b);
#endif
}
static inline lanes lane_min(lanes a, lanes b)
{
#if defined LANE_X86 && LANES == 8
  return _mm512_min_pd(a, b);
#elif defined LANE_X86 && LANES == 4
  return _mm256_min_pd(a, b);
#elif defined LANE_X86 && LANES == 2
  return _mm_min_pd(a, b);
#else
  return lane_sel(a < b, a, b);
#endif
}
static inline lanes lane_sqrt(lanes x)
{
#if defined LANE_X86 && LANES == 8
  return _mm512_sqrt_pd(x);
#elif defined LANE_X86 && LANES == 4
  return _mm256_sqrt_pd(x);
#elif defined LANE_X86 && LANES == 2
  return _mm_sqrt_pd(x);
#else
  for (int i = 0; i < LANES; i++) x[i] = __builtin_sqrt(x[i]);
  return x;
#endif
}
#endif
#endif
