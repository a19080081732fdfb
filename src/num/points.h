/* points: m uniform numbers in order, and the whole parts of residual resampling: what the resampling of the CPU
   (infer/particles/resample.c) and that of a GPU (gpu/drawn.h, of whose text this is a part) have in common.

   With u_k uniform, the k-th of m ordered uniform numbers is 1 - exp(-(e_0 + ... + e_k)), e_k = -log(u_k) / (m - k)
   (Renyi 1953: of m exponential variables the spacings are independent).  The e_k are whole numbers of units of
   2^-53, so that their sums do not depend on how they are added up.  u >= 2^-53 and m < 2^31: a sum is below
   53 log(2) (log(m) + 1) < 1,024 units of 1. */
#ifndef NORN_POINTS_H
#define NORN_POINTS_H
#include "num/philox.h"

#ifndef NORN_F32
/* e_k of u = u_k; left: m - k. */
static inline uint64_t points_spacing(double u, uint32_t left)
{
  return (uint64_t)(v_log(u) * (-0x1p53 / (double)left) + 0.5);
}
/* The number whose spacings, with its own, have that sum. */
static inline double points_at(uint64_t sum) { return 1 - v_exp((double)sum * -0x1p-53); }
#endif

/* Of x expected offspring so many are certain, the rest is drawn.  Within 2^-36 below a whole number x is it: with
   equal weights the 1 that each expects may come out as less by rounding.  Of 2^31 particles the whole parts are
   no more than are expected of all, for all that. */
static inline uint32_t points_whole(double x) { return (uint32_t)(x + 0x1p-36); }
static inline double points_rest(double x, uint32_t whole) { return x > (double)whole ? x - (double)whole : 0; }
#endif
