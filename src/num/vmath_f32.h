/* vmath_f32: what vmath.h says of doubles, for floats (NORN_F32 of lane.h): the same functions with
   the same edges.  A sum here is a fused multiplication and addition, which every machine rounds
   alike, so that the host's floats are the device's.  The polynomials are minimax fits, made for
   this file (relative error of each fit beside it); errors are below 1.5 ulp. */
#ifndef NORN_VMATH_F32_H
#define NORN_VMATH_F32_H
#ifdef NORN_F32
#include "num/lane.h"

#define V_ROUND 12582912.0                      /* 1.5 * 2^23: adding it rounds to an integer */
#define V_WHOLE 0x1p23                          /* numbers from here on are whole */
#define V_TINY 0x1p-126                         /* the smallest normal and the largest number */
#define V_HUGE 0x1.fffffep127
#define V_LOG_MAX 88.0                          /* exp of it is finite, and normal of minus it */
#define V_LOG_END 110.0                         /* exp of minus it is 0, also times a few bits */
#define V_SQUARE_MAX 1e18                       /* its square is finite */
#define V_SAFE_MAX 1e36                         /* times a few bits it is still finite */
#define V_GAMMA_MAX 1e36                        /* log Gamma of it is finite */
#define V_STIRLING 3                            /* from here on Stirling's series is exact */

static inline lanes v_abs(lanes x) { return lane_of(lane_to_bits(x) & 0x7fffffffu); }

/* log x of a positive normal x: the exponent k such that m = x / 2^k is in [2/3, 4/3) comes in the
   place where it stands, times 2^23.  log(1 + f) = f - f^2/2 + f^3 P(f), 4.6e-9. */
static inline lanes v_log_normal(lanes x)
{
  lane_bits u = lane_to_bits(x), e = (u - 0x3f2aaaabu) & 0xff800000u;
  lanes f = lane_of(u - e) - 1, k = lane_from_int(e), s = f * f;
  lanes a = lane_fma(LANE(-0.1288637719), f, LANE(0.1398475671));
  lanes b = lane_fma(LANE(-0.1218535734), f, LANE(0.1400580183));
  lanes c = lane_fma(LANE(-0.1668041746), f, LANE(0.2001041029));
  lanes d = lane_fma(LANE(-0.2499979901), f, LANE(0.333332159));
  lanes p = lane_fma(lane_fma(lane_fma(a, s, b), s, c), s, d);
  lanes r = lane_fma(lane_fma(p, f, LANE(-0.5)), s, f);
  return lane_fma(k, LANE(8.262958294e-8), r);       /* log 2 / 2^23 */
}

/* log x of what is not a positive normal number: zero, subnormal, negative, infinite, NaN. */
LANE_LARGE lanes v_log_rest(lanes x)
{
  lanes tiny = v_log_normal(x * 0x1p24) - 16.63553233;         /* 24 log 2 */
  lanes edge = SEL(x == 0, -HUGE_VAL, SEL(x < 0, (lane_real)NAN, tiny));
  return SEL(x < 1, edge, x);
}

/* x = k log 2 + r, |r| <= log(2)/2; k stands in the low bits of k + V_ROUND. */
static inline lanes v_exp_reduce(lanes x, lanes *shifted)
{
  *shifted = lane_fma(x, LANE(1.442695041), LANE(V_ROUND));
  lanes k = *shifted - V_ROUND;
  return lane_fma(k, LANE(-1.428606766e-6), lane_fma(k, LANE(-0.6931457520), x));
}

/* exp x; overflows to infinity and underflows through the subnormals to 0.  Of the reduced number
   1 + r + r^2 P(r), 3.1e-9; 2^k comes in two factors. */
static inline lanes v_exp(lanes x)
{
  lanes c = SEL(x < -105, -105, SEL(x > 90, 90, x)), n, r = v_exp_reduce(c, &n);    /* NaN stays */
  lanes p = lane_fma(LANE(0.001381447595), r, LANE(0.008368780471));
  p = lane_fma(lane_fma(lane_fma(p, r, LANE(0.04166839402)), r, LANE(0.1666652011)), r,
               LANE(0.4999999341));
  lanes y = lane_fma(lane_fma(p, r, LANE(1.0)), r, LANE(1.0));
  lane_bits k = lane_to_bits(n) - 0x4b400000u, a = (lane_bits)((lane_ints)k >> 1);
  return y * lane_of((a << 23) + 0x3f800000u) * lane_of(((k - a) << 23) + 0x3f800000u);
}

/* exp x - 1 = 2^k (e + 1) - 1, e = exp r - 1 = r + r^2 P(r), 2.4e-10 */
static inline lanes v_expm1(lanes x)
{
  lanes c = SEL(x < -20, -20, SEL(x > V_LOG_MAX, V_LOG_MAX, x)), n, r = v_exp_reduce(c, &n);
  lanes p = lane_fma(LANE(0.0001991430293), r, LANE(0.001394110217));
  p = lane_fma(lane_fma(p, r, LANE(0.00833327283)), r, LANE(0.04166635354));
  p = lane_fma(lane_fma(p, r, LANE(0.1666666682)), r, LANE(0.5000000047));
  lanes e = lane_fma(p * r, r, r), s = lane_of((lane_to_bits(n) << 23) + 0x3f800000u);
  return SEL(x > V_LOG_MAX, v_exp(x), lane_fma(s, e, s - 1));
}

/* sin and cos of 2 pi u for |u| <= 2^20, as polynomials of the rest t of quarters of a turn: 3.3e-9
   and 6.4e-11 */
static inline void v_sincos2pi(lanes u, lanes *sine, lanes *cosine)
{
  lanes q = 4 * u, n = q + V_ROUND, t = q - (n - V_ROUND), z = t * t;
  lane_bits k = lane_to_bits(n);                               /* the quadrant */
  lanes s = lane_fma(LANE(-0.004601625894), z, LANE(0.07968002267));
  s = t * lane_fma(lane_fma(s, z, LANE(-0.6459634595)), z, LANE(1.570796322));
  lanes c = lane_fma(LANE(0.0009037602743), z, LANE(-0.02086016241));
  c = lane_fma(lane_fma(lane_fma(c, z, LANE(0.2536692256)), z, LANE(-1.233700543)), z, LANE(1.0));
  lanes a = SEL((k & 1) != 0, c, s), b = SEL((k & 1) != 0, s, c);
  *sine = lane_of(lane_to_bits(a) ^ (k & 2) << 30);
  *cosine = lane_of(lane_to_bits(b) ^ ((k + 1) & 2) << 30);
}
#endif
#endif
