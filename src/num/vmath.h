/* vmath: log, exp and sine of doubles without library calls, branches or tables, in the dialect of
   lane.h: additions, multiplications, divisions, square roots and selects in a fixed order, so that
   lanes, generated C and the scalar VM give the same bits (DESIGN 4, Bits).  Reductions and
   coefficients are those of fdlibm (Sun Microsystems 1993: e_log.c, e_exp.c, k_sin.c, k_cos.c),
   summed for speed: errors are below 1 ulp for exp and 2 for the others.  Floats: vmath_f32.h. */
#ifndef NORN_VMATH_H
#define NORN_VMATH_H
#include "num/lane.h"
#include "num/vmath_f32.h"

#define V_LOG_SQRT_2PI 0.91893853320467274178   /* log(2 pi) / 2 */
#define V_LOG_2 0.69314718055994530942
#define V_LOG_PI 1.1447298858494001741
#define V_PI 3.14159265358979323846
#define V_SQRT_1_2 0.70710678118654752440

#ifdef __CUDACC_RTC__
static inline double v_double(uint64_t bits) { return __longlong_as_double((long long)bits); }
static inline uint64_t v_bits(double x) { return (uint64_t)__double_as_longlong(x); }
#else
static inline double v_double(uint64_t bits) { double d; memcpy(&d, &bits, 8); return d; }
static inline uint64_t v_bits(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
#endif

#ifndef NORN_F32
#define V_ROUND 6755399441055744.0              /* 1.5 * 2^52: adding it rounds to an integer */
#define V_WHOLE 0x1p52                          /* numbers from here on are whole */
#define V_TINY 2.2250738585072014e-308          /* the smallest normal and the largest number */
#define V_HUGE 1.7976931348623157e308
#define V_LOG_MAX 700.0                         /* exp of it is finite, and normal of minus it */
#define V_LOG_END 750.0                         /* exp of minus it is 0, also times a few bits */
#define V_SQUARE_MAX 1e150                      /* its square is finite */
#define V_SAFE_MAX 1e300                        /* times a few bits it is still finite */
#define V_GAMMA_MAX 1e305                       /* log Gamma of it is finite */
#define V_STIRLING 10                           /* from here on Stirling's series is exact */

static inline lanes v_abs(lanes x) { return lane_of(lane_to_bits(x) & 0x7fffffffffffffffu); }

/* log x of a positive normal x. */
static inline lanes v_log_normal(lanes x)
{
  /* exponent k such that m = x / 2^k is in [sqrt(1/2), sqrt(2)); k + 1024 is put into the low bits
     of 2^52 */
  lane_bits u = lane_to_bits(x), top = u - 0x3fe6a09e667f3bcdu;
  lane_bits e = top & 0xfff0000000000000u;
  lanes k = lane_of(((top + 0x4000000000000000u) >> 52) | 0x4330000000000000u) - (0x1p52 + 1024);
  lanes f = lane_of(u - e) - 1, s = f / (2 + f), z = s * s, w = z * z;
  lanes even = w * ((3.999999999940941908e-01 + w * 2.222219843214978396e-01) +
                   w * w * 1.531383769920937332e-01);
  lanes odd = z * ((6.666666666666735130e-01 + w * 2.857142874366239149e-01) +
                  w * w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01));
  lanes h = 0.5 * f * f;
  return (((f - h) + k * 1.90821492927058770002e-10) + s * (h + (even + odd))) +
         k * 6.93147180369123816490e-01;
}

/* log x of what is not a positive normal number: zero, subnormal, negative, infinite, NaN. */
LANE_LARGE lanes v_log_rest(lanes x)
{
  lanes tiny = v_log_normal(x * 0x1p54) - 54 * V_LOG_2;         /* subnormal */
  lanes edge = SEL(x == 0, -HUGE_VAL, SEL(x < 0, (lane_real)NAN, tiny));
  return SEL(x < 1, edge, x);
}

/* y 2^k of a whole k in -1100 .. 1100, rounded once. */
static inline lanes v_scaled(lanes y, lanes k)
{
#if defined LANE_X86 && LANES == 8
  return LANE_X_SCALED(y, k);
#else
  lanes k1 = (k * 0.5 + V_ROUND) - V_ROUND;                     /* 2^k in two factors */
  lane_bits a = lane_to_bits(k1 + V_ROUND), b = lane_to_bits((k - k1) + V_ROUND);
  return y * lane_of((a + 1023) << 52) * lane_of((b + 1023) << 52);
#endif
}

/* exp x; overflows to infinity and underflows through the subnormals to 0. */
static inline lanes v_exp(lanes x)
{
  lanes c = lane_max(LANE(-746.0), lane_min(LANE(710.0), x));   /* NaN stays */
  lanes k = (c * 1.44269504088896338700 + V_ROUND) - V_ROUND;
  lanes hi = c - k * 6.93147180369123816490e-01, lo = k * 1.90821492927058770002e-10;
  lanes r = hi - lo, t = r * r;
  lanes q = r - t * (1.66666666666666019037e-01 + t * (-2.77777777770155933842e-03 +
           t * (6.61375632143793436117e-05 + t * (-1.65339022054652515390e-06 +
           t * 4.13813679705723846039e-08))));
  return v_scaled(1 - ((lo - (r * q) / (2 - q)) - hi), k);
}

/* sin and cos of 2 pi u for |u| <= 2^20. */
static inline void v_sincos2pi(lanes u, lanes *sine, lanes *cosine)
{
  lanes q = 4 * u, n = q + V_ROUND;
  lane_bits k = lane_to_bits(n);                               /* the quadrant */
  lanes r = (q - (n - V_ROUND)) * 1.57079632679489661923, z = r * r, w = z * z;
  lanes s = r + r * z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 +
           z * (-1.98412698298579493134e-04) + w * (2.75573137070700676789e-06 +
           z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10))));
  lanes t = z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03) +
           w * (2.48015872894767294178e-05 + z * (-2.75573143513906633035e-07 +
           z * (2.08757232129817482790e-09 - z * 1.13596475577881948265e-11))));
  lanes c = (1 - 0.5 * z) + z * t;
  lanes a = SEL((k & 1) != 0, c, s), b = SEL((k & 1) != 0, s, c);
  *sine = lane_of(lane_to_bits(a) ^ (k & 2) << 62);
  *cosine = lane_of(lane_to_bits(b) ^ ((k + 1) & 2) << 62);
}
#endif

static inline lanes v_max(lanes a, lanes b) { return lane_max(a, b); }       /* b if one is NaN */
static inline lanes v_min(lanes a, lanes b) { return lane_min(a, b); }
/* The whole number below, |x| < V_WHOLE / 2. */
static inline lanes v_floor(lanes x)
{
  lanes r = (x + V_ROUND) - V_ROUND;
  return SEL(r > x, r - 1, r);
}

static inline lanes v_log(lanes x)
{
  lane_mask rest = NOT((x >= V_TINY) & (x < HUGE_VAL));
#if LANES == 1
  if (__builtin_expect(rest, 0)) return v_log_rest(x);
  return v_log_normal(x);
#else
  lanes y = v_log_normal(x);
  if (__builtin_expect(ANY(rest), 0)) y = SEL(rest, v_log_rest(x), y);
  return y;
#endif
}

/* log(1 + x): the rounding error of 1 + x is put back to first order. */
static inline lanes v_log1p(lanes x)
{
  lanes y = 1 + x, l = v_log(y);
  return SEL((y > 0) & (y < 0x1p60), l + (x - (y - 1)) / y, l);
}

/* arc sine of x in [0, 1], below 2 ulp: the rational approximation of fdlibm's e_asin.c, and beyond 1/2 by
   asin x = pi/2 - 2 asin sqrt((1 - x)/2). */
static inline lanes v_asin_unit(lanes x)
{
  lane_mask small = x <= 0.5;
  lanes z = SEL(small, x * x, 0.5 * (1 - x)), s = SEL(small, x, lane_sqrt(z));
  lanes p = z * (1.66666666666666657415e-01 + z * (-3.25565818622400915405e-01 +
           z * (2.01212532134862925881e-01 + z * (-4.00555345006794114027e-02 +
           z * (7.91534994289814532176e-04 + z * 3.47933107596021167570e-05)))));
  lanes q = 1 + z * (-2.40339491173441421878e+00 + z * (2.02094576023350569471e+00 +
           z * (-6.88283971605453293030e-01 + z * 7.70381505559019352791e-02)));
  lanes r = s * (p / q), rest = 0.25 * V_PI - 2 * s;
  return SEL(small, s + r, 0.25 * V_PI - ((2 * r - 6.12323399573676603587e-17) - rest));
}
#endif
