/* vmath: log, exp and sine of doubles without library calls, branches or tables.

   These are the width-1 forms of the functions that every executor uses (DESIGN 4, Bits):
   additions, multiplications, divisions, square roots and selects in a fixed order, no contraction,
   so that lanes, generated C and the scalar VM give the same bits.  Reductions and coefficients are
   those of fdlibm (Sun Microsystems 1993: e_log.c, e_exp.c, k_sin.c, k_cos.c), summed for speed:
   errors are below 1 ulp for exp and 2 for the others. */
#ifndef NORN_VMATH_H
#define NORN_VMATH_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#define V_LOG_SQRT_2PI 0.91893853320467274178   /* log(2 pi) / 2 */
#define V_LOG_2 0.69314718055994530942
#define V_LOG_PI 1.1447298858494001741
#define V_PI 3.14159265358979323846
#define V_SQRT_1_2 0.70710678118654752440
#define V_ROUND 6755399441055744.0              /* 1.5 * 2^52: adding it rounds to an integer */

static inline double v_double(uint64_t bits) { double d; memcpy(&d, &bits, 8); return d; }
static inline uint64_t v_bits(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }

/* log x of a positive normal x. */
static inline double v_log_normal(double x)
{
  /* exponent such that m is in [sqrt(1/2), sqrt(2)) */
  uint64_t u = v_bits(x), top = u - 0x3fe6a09e667f3bcdu;
  uint64_t e = top & 0xfff0000000000000u;
  double k = (double)((int32_t)(top >> 32) >> 20);
  double f = v_double(u - e) - 1, s = f / (2 + f), z = s * s, w = z * z;
  double even = w * ((3.999999999940941908e-01 + w * 2.222219843214978396e-01) +
                     w * w * 1.531383769920937332e-01);
  double odd = z * ((6.666666666666735130e-01 + w * 2.857142874366239149e-01) +
                    w * w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01));
  double h = 0.5 * f * f;
  return (((f - h) + k * 1.90821492927058770002e-10) + s * (h + (even + odd))) +
         k * 6.93147180369123816490e-01;
}

/* log x of what is not a positive normal number: zero, subnormal, negative, infinite, NaN. */
static inline double v_log_rest(double x)
{
  if (x == 0) return -HUGE_VAL;
  if (x < 0) return (double)NAN;
  if (x < 1) return v_log_normal(x * 0x1p54) - 54 * V_LOG_2;   /* subnormal */
  return x;
}

static inline double v_log(double x)
{
  uint64_t u = v_bits(x);
  if (__builtin_expect(u - 0x0010000000000000u >= 0x7fe0000000000000u, 0)) return v_log_rest(x);
  return v_log_normal(x);
}

/* log(1 + x): the rounding error of 1 + x is put back to first order. */
static inline double v_log1p(double x)
{
  double y = 1 + x;
  if (__builtin_expect(!(y > 0 && y < 0x1p60), 0)) return v_log(y);
  return v_log(y) + (x - (y - 1)) / y;
}

/* exp x; overflows to infinity and underflows through the subnormals to 0. */
static inline double v_exp(double x)
{
  double c = x < -746 ? -746 : x > 710 ? 710 : x;              /* NaN stays */
  double k = (c * 1.44269504088896338700 + V_ROUND) - V_ROUND;
  double hi = c - k * 6.93147180369123816490e-01, lo = k * 1.90821492927058770002e-10;
  double r = hi - lo, t = r * r;
  double q = r - t * (1.66666666666666019037e-01 + t * (-2.77777777770155933842e-03 +
             t * (6.61375632143793436117e-05 + t * (-1.65339022054652515390e-06 +
             t * 4.13813679705723846039e-08))));
  double y = 1 - ((lo - (r * q) / (2 - q)) - hi);
  double k1 = (k * 0.5 + V_ROUND) - V_ROUND;                   /* 2^k in two factors */
  uint64_t a = v_bits(k1 + V_ROUND), b = v_bits((k - k1) + V_ROUND);
  return y * v_double((a + 1023) << 52) * v_double((b + 1023) << 52);
}

/* sin and cos of 2 pi u for |u| <= 2^20. */
static inline void v_sincos2pi(double u, double *sine, double *cosine)
{
  double q = 4 * u, n = q + V_ROUND;
  uint64_t k = v_bits(n);                                      /* the quadrant */
  double r = (q - (n - V_ROUND)) * 1.57079632679489661923, z = r * r, w = z * z;
  double s = r + r * z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 +
             z * (-1.98412698298579493134e-04) + w * (2.75573137070700676789e-06 +
             z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10))));
  double t = z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03) +
             w * (2.48015872894767294178e-05 + z * (-2.75573143513906633035e-07 +
             z * (2.08757232129817482790e-09 - z * 1.13596475577881948265e-11))));
  double c = (1 - 0.5 * z) + z * t;
  double a = k & 1 ? c : s, b = k & 1 ? s : c;
  *sine = v_double(v_bits(a) ^ (k & 2) << 62);
  *cosine = v_double(v_bits(b) ^ ((k + 1) & 2) << 62);
}
#endif
