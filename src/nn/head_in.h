/* head_in.h: what the files of heads share: a row for each kind, and the loops over many logits that are
   compiled for each CPU level (head_level.c). */
#ifndef NORN_NN_HEAD_IN_H
#define NORN_NN_HEAD_IN_H
#include "nn/head.h"

typedef struct nn_head_row {
  int outputs;                 /* raw outputs for each of n; 0: one in all */
  /* One question: -log q(target); its gradient into dz (width) unless NULL. */
  double (*loss)(const nn_head *, const float *z, double target, float *dz);
  double (*logq)(const nn_head *, const float *z, double x);
  double (*draw)(const nn_head *, const float *z, norn_rng *);
  double (*cdf)(const nn_head *, const float *z, double x);
  double (*quantile)(const nn_head *, const float *z, double p);       /* 0 < p < 1 */
  void   (*moments)(const nn_head *, const float *z, double *mean, double *variance);
} nn_head_row;
extern const nn_head_row head_bars, head_categories, head_bernoulli, head_mixture, head_counts;

/* The greatest of n logits; the sum of e[i] = exp(z[i] - top), e may be NULL; e[i] *= by. */
typedef struct head_loops {
  float  (*top)(const float *z, int n);
  double (*sum)(const float *z, int n, float top, float *e);
  void   (*scale)(float *e, int n, float by);
} head_loops;
extern const head_loops head_base, head_avx2, head_avx512;
const head_loops *head_best(void);

/* log sum exp of n logits, `step` apart, in f64. */
double head_logsum(const float *z, int n);
/* A category by its logits: the first whose share of the sum passes u in (0, 1); *rest: where in its share,
   in (0, 1). */
int    head_pick(const float *z, int n, double u, double *rest);

static inline float head_float(double x)       /* a gradient as float: finite unless it is NaN */
{
  return x > 1e30 ? 1e30f : x < -1e30 ? -1e30f : (float)x;
}
#endif
