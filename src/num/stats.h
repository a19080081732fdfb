/* stats: sums, weighted moments and quantiles of plain arrays of doubles.

   A sum over a plate uses one fixed tree in every executor: eight partial sums by index modulo 8,
   then ((0+4) + (2+6)) + ((1+5) + (3+7)).  */
#ifndef NORN_STATS_H
#define NORN_STATS_H
#include <stdbool.h>
#include <stdint.h>

typedef struct { double part[8]; } stats_tree;
static inline void stats_tree_add(stats_tree *t, int64_t i, double x) { t->part[i & 7] += x; }
static inline double stats_tree_sum(const stats_tree *t)
{
  const double *p = t->part;
  return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
}

double stats_sum(const double *x /* (n) */, int64_t n);
double stats_mean(const double *x /* (n) */, int64_t n);
double stats_variance(const double *x /* (n) */, int64_t n);             /* over n - 1 */
/* w: weights >= 0 of any sum, or NULL for equal ones.  The variance is over the sum of weights. */
double stats_weighted_mean(const double *x, const double *w, int64_t n);
double stats_weighted_variance(const double *x, const double *w, int64_t n);
double stats_covariance(const double *x, const double *y, const double *w, int64_t n);
double stats_correlation(const double *x, const double *y, const double *w, int64_t n);
double stats_logsumexp(const double *x /* (n) */, int64_t n);            /* -inf of none */
/* Turns log weights into weights of sum 1 (w may be lw); gives the log of their mean.  If all are
   -inf, w is 0. */
double stats_normalise(const double *lw /* (n) */, double *w /* (n) */, int64_t n);
/* (sum w)^2 / sum w^2, Kish 1965 */
double stats_ess(const double *w /* (n) */, int64_t n);
/* Rising, NaN last, in place. */
void stats_sort(double *x /* (n) */, int64_t n);
/* order[k] is the index of the k-th smallest; equal values keep their order. */
void stats_order(const double *x /* (n) */, int64_t *order /* (n) */, int64_t *scratch /* (n) */,
                 int64_t n);
/* Quantile of sorted values by linear interpolation (type 7 of Hyndman and Fan 1996). */
double stats_quantile_sorted(const double *x /* (n) */, int64_t n, double p);
/* Quantile of weighted values; order as from stats_order; w as above.  Interpolates between the
   middles of the steps of the distribution function, so equal weights give type 5. */
double stats_quantile_weighted(const double *x, const double *w, const int64_t *order, int64_t n,
                               double p);
#endif
