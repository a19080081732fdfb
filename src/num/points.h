/* points: m uniform numbers in order, and the whole parts of residual resampling: what the resampling of the CPU
   (infer/particles/resample.c) and that of a GPU (gpu/drawn.h, of whose text this is a part) have in common.

   With u_k uniform, the k-th of m ordered uniform numbers is 1 - exp(-(e_0 + ... + e_k)), e_k = -log(u_k) / (m - k)
   (Renyi 1953: of m exponential variables the spacings are independent).  The e_k are whole numbers of units of
   2^-53, so that their sums do not depend on how they are added up.  u >= 2^-53 and m < 2^31: a sum is below
   53 log(2) (log(m) + 1) < 1,024 units of 1. */
#ifndef NORN_POINTS_H
#define NORN_POINTS_H
#include "num/philox.h"

/* log u of 0 < u < 1 and exp x of -746 < x <= 0, as num/vmath.h has them of doubles: in doubles here also where the
   numbers of a text are floats, so that all have the same points. */
static inline double points_log(double u)
{
  const uint64_t bits = v_bits(u), top = bits - 0x3fe6a09e667f3bcdu, e = top & 0xfff0000000000000u;
  const double k = v_double(((top + 0x4000000000000000u) >> 52) | 0x4330000000000000u) - (0x1p52 + 1024);
  const double f = v_double(bits - e) - 1, s = f / (2 + f), z = s * s, w = z * z;
  const double even = w * ((3.999999999940941908e-01 + w * 2.222219843214978396e-01) + w * w * 1.531383769920937332e-01);
  const double odd = z * ((6.666666666666735130e-01 + w * 2.857142874366239149e-01) +
                          w * w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01));
  const double h = 0.5 * f * f;
  return (((f - h) + k * 1.90821492927058770002e-10) + s * (h + (even + odd))) + k * 6.93147180369123816490e-01;
}
static inline double points_exp(double x)
{
  const double up = 6755399441055744.0;              /* 1.5 2^52: adding it rounds to an integer */
  const double c = x < -746 ? -746 : x, k = (c * 1.44269504088896338700 + up) - up;
  const double hi = c - k * 6.93147180369123816490e-01, lo = k * 1.90821492927058770002e-10;
  const double r = hi - lo, t = r * r;
  const double q = r - t * (1.66666666666666019037e-01 + t * (-2.77777777770155933842e-03 +
                   t * (6.61375632143793436117e-05 + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
  const double y = 1 - ((lo - (r * q) / (2 - q)) - hi), k1 = (k * 0.5 + up) - up;
  return y * v_double((v_bits(k1 + up) + 1023) << 52) * v_double((v_bits((k - k1) + up) + 1023) << 52);
}

/* e_k of u = u_k; left: m - k. */
static inline uint64_t points_spacing(double u, uint32_t left)
{
  return (uint64_t)(points_log(u) * (-0x1p53 / (double)left) + 0.5);
}
/* The number whose spacings, with its own, have that sum. */
static inline double points_at(uint64_t sum) { return 1 - points_exp((double)sum * -0x1p-53); }

/* Of x expected offspring so many are certain, the rest is drawn.  Within 2^-36 below a whole number x is it: with
   equal weights the 1 that each expects may come out as less by rounding.  Of 2^31 particles the whole parts are
   no more than are expected of all, for all that. */
static inline uint32_t points_whole(double x) { return (uint32_t)(x + 0x1p-36); }
static inline double points_rest(double x, uint32_t whole) { return x > (double)whole ? x - (double)whole : 0; }
#endif
