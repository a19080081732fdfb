/* kde: the density of draws as a smooth curve on a grid.

   Gaussian kernels.  The bandwidth is the mean of Silverman's rule and of the improved
   Sheather-Jones of Botev, Grotowski and Kroese 2010, "Kernel density estimation via diffusion",
   Annals of Statistics 38(5), section 5.1, but at most twice the latter and at least a quarter of
   the former: the first alone smooths several modes away, the second alone follows every knot of
   draws from a chain.  At an end where draws pile up the kernels are
   reflected, so that an exponential or a uniform density stands there at its full height; at other
   ends the curve runs out to 0. */
#ifndef NORN_KDE_H
#define NORN_KDE_H
#include "base/base.h"

enum { KDE_GRID = 512 };
/* y[i] is the density at lo + i (hi - lo) / (KDE_GRID - 1).  below, above: the weight of draws
   outside, where long tails were cut off. */
typedef struct kde {
  double lo, hi, bandwidth, peak, below, above;
  bool wall_lo, wall_hi;          /* reflected there */
  double y[KDE_GRID];
} kde;

/* Of finite x (n), not all equal, rising; w: their weights of sum 1, NULL: equal. */
bool kde_fit(mem *, kde *, const double *x, const double *w, int64_t n);
/* Only the ends: lo, hi, below, above. */
void kde_ends(kde *, const double *x, const double *w, int64_t n);
/* Of other draws of the same quantity, `part` of them, on the grid of `whole` and between its
   walls. */
void kde_fit_part(const kde *whole, kde *, const double *x, const double *w, int64_t n,
                  double part);
static inline double kde_at(const kde *k, int i)
{
  return k->lo + (k->hi - k->lo) * i / (KDE_GRID - 1);
}
/* The p-quantile of rising x with weights w (NULL: equal): the middles of steps, interpolated. */
double kde_quantile(const double *x, const double *w, int64_t n, double p);
#endif
