/* exp_f32.h: exp of floats in vector registers, for files that are compiled once per CPU level.

   A register has 2 LANES floats, so 16 numbers are 4, 2 or 1 registers (base, AVX2, AVX-512), and a sum of
   many numbers keeps 16 accumulators by index modulo 16 whatever the level.  Products and sums are not
   fused: every level gives the same bits.

   x = k log 2 + r, |r| <= log(2)/2, by a log 2 in two parts of which the first times k is exact; exp r =
   1 + r + r^2 P(r) with P of degree 4, a fit of least greatest error (3.1e-9, that of num/vmath_f32.h).  The
   error is below 2 ulp.  Below -87 it is 0, so that there are no subnormals; above 88 it is as of 88. */
#ifndef NORN_NN_EXP_F32_H
#define NORN_NN_EXP_F32_H
#include <stdint.h>
#include <string.h>

#ifndef LANES
#define LANES 2
#endif
enum { F32_WIDE = 2 * LANES, F32_SIDE = 16 / F32_WIDE };
typedef float f32v __attribute__((vector_size(4 * 2 * LANES)));
typedef int32_t i32v __attribute__((vector_size(4 * 2 * LANES)));

static inline f32v f32v_load(const float *p)
{
  f32v x;
  memcpy(&x, p, sizeof x);
  return x;
}
static inline void f32v_store(float *p, f32v x) { memcpy(p, &x, sizeof x); }
static inline f32v f32v_all(float x) { return x - (f32v){ 0 }; }
static inline f32v f32v_max(f32v a, f32v b)
{
  i32v c = a > b;
  return (f32v)((c & (i32v)a) | (~c & (i32v)b));
}
static inline f32v f32v_exp(f32v x)
{
  const float round = 12582912.0f;                             /* 1.5 * 2^23: adding it rounds */
  i32v none = x < -87.0f, much = x > 88.0f;
  x = (f32v)((~(none | much) & (i32v)x) | (much & (i32v)f32v_all(88.0f)));
  f32v n = x * 1.442695041f + round, k = n - round;
  f32v r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  f32v p = r * 0.001381447595f + 0.008368780471f;
  p = ((p * r + 0.04166839402f) * r + 0.1666652011f) * r + 0.4999999341f;
  f32v y = (p * r + 1.0f) * r + 1.0f;
  i32v scale = ((i32v)n << 23) + 0x3f800000;                   /* the low bits of n are k */
  y *= (f32v)scale;
  return (f32v)(~none & (i32v)y);
}
#endif
