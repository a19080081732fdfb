/* psis.h: Pareto smoothed importance sampling: weights whose largest are replaced by what a
   generalised Pareto tail expects, and k-hat, which says whether they can be trusted. */
#ifndef NORN_INFER_PSIS_H
#define NORN_INFER_PSIS_H
#include "norn.h"
#include <stdbool.h>
#include <stddef.h>

/* Smooths log weights (n) in place; their sum is not kept, and none becomes larger than the largest
   was.  r_eff: effective draws per draw, 1 for independent ones.  *khat: the shape of the tail
   (infinite: too few draws or weights that are not numbers; -infinity: the largest weights are equal,
   there is nothing to smooth).  false: no memory, error set. */
bool   psis_smooth(norn_state *, double *logw, size_t n, double r_eff, double *khat);
/* Above it k-hat says that n draws are too few for an average of these weights. */
double psis_threshold(size_t n);
/* How many of n weights are the tail. */
size_t psis_tail(size_t n, double r_eff);
/* Shape *k and scale *sigma of a generalised Pareto distribution (location 0) for x (n), rising,
   nonnegative; with the weak prior for k.  k is not finite where there is no fit. */
void   psis_fit(const double *x, size_t n, double *k, double *sigma);
#endif
