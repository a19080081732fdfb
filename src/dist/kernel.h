/* kernel: the formula of each scalar family, once, with its partial derivatives, in the dialect of
   num/lane.h: the host compiles it to doubles, block.c to vector registers, NVRTC to the GPU.

   NAME_logp(t, x, parameters) is the log density (or log mass), -inf outside the support.
   NAME_partials(t, x, parameters, d) writes d logp / d (x, parameters) to d[0..] and gives logp;
   d[0] of a discrete family is 0.  Only the dialect and the functions of vmath.h and vspecial.h; `t`
   goes to the macros of terms.h.  Scales enter as 1/s and log s, so that hoisting changes no
   bit.  Parameters are taken as checked.  Names and parameters are Stan's; formulas are those of the
   Stan functions reference, 2.33, unless a source is named. */
#ifndef NORN_KERNEL_H
#define NORN_KERNEL_H
#include "num/lane.h"
#if LANES == 1
#include "num/special.h"
#endif
#include "dist/terms.h"
#include "dist/kernel_real.h"
#include "dist/kernel_count.h"
#endif
