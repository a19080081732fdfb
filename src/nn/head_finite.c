/* head_finite.c: categories 0 .. n - 1 by logits, and one bit by its log odds. */
#include "nn/head_in.h"
#include "num/special.h"
#include <math.h>

/* The category that a target is; -1: none. */
static int category(const nn_head *h, double x)
{
  return x >= 0 && x < h->n && x == floor(x) ? (int)x : -1;
}

static double categories_loss(const nn_head *h, const float *z, double target, float *dz)
{
  const head_loops *loops = head_best();
  float top = loops->top(z, h->n);
  double sum = loops->sum(z, h->n, top, dz);
  int k = category(h, target);
  if (dz) loops->scale(dz, h->n, k < 0 ? 0 : (float)(1 / sum));
  if (k < 0) return INFINITY;
  if (dz) dz[k] -= 1;
  return log(sum) + ((double)top - (double)z[k]);
}
static double categories_logq(const nn_head *h, const float *z, double x)
{
  int k = category(h, x);
  return k < 0 ? -INFINITY : z[k] - head_logsum(z, h->n);
}
static double categories_draw(const nn_head *h, const float *z, norn_rng *g)
{
  return head_pick(z, h->n, norn_rng_uniform(g), NULL);
}
static double categories_cdf(const nn_head *h, const float *z, double x)
{
  double all = head_logsum(z, h->n), sum = 0;
  if (x >= h->n - 1) return 1;
  for (int k = 0; k < h->n && k <= x; k++) sum += exp(z[k] - all);
  return fmin(sum, 1);
}
static double categories_quantile(const nn_head *h, const float *z, double p)
{
  return head_pick(z, h->n, p, NULL);
}
static void categories_moments(const nn_head *h, const float *z, double *mean, double *variance)
{
  double all = head_logsum(z, h->n), m = 0, v = 0;
  for (int k = 0; k < h->n; k++) m += k * exp(z[k] - all);
  for (int k = 0; k < h->n; k++) v += (k - m) * (k - m) * exp(z[k] - all);
  *mean = m;
  *variance = v;
}
const nn_head_row head_categories = { 1, categories_loss, categories_logq, categories_draw, categories_cdf,
                                      categories_quantile, categories_moments };

/* q(1) = 1 / (1 + exp -z) */
static double bernoulli_logq(const nn_head *h, const float *z, double x)
{
  (void)h;
  return x == 1 ? -special_log1pexp(-z[0]) : x == 0 ? -special_log1pexp(z[0]) : -INFINITY;
}
static double bernoulli_loss(const nn_head *h, const float *z, double target, float *dz)
{
  bool fine = target == 0 || target == 1;
  if (dz) dz[0] = fine ? (float)(special_logit_inv(z[0]) - target) : 0;
  return -bernoulli_logq(h, z, target);
}
static double bernoulli_draw(const nn_head *h, const float *z, norn_rng *g)
{
  (void)h;
  return norn_rng_uniform(g) < special_logit_inv(z[0]) ? 1 : 0;
}
static double bernoulli_cdf(const nn_head *h, const float *z, double x)
{
  (void)h;
  return x < 0 ? 0 : x < 1 ? special_logit_inv(-z[0]) : 1;
}
static double bernoulli_quantile(const nn_head *h, const float *z, double p)
{
  (void)h;
  return p <= special_logit_inv(-z[0]) ? 0 : 1;
}
static void bernoulli_moments(const nn_head *h, const float *z, double *mean, double *variance)
{
  (void)h;
  *mean = special_logit_inv(z[0]);
  *variance = *mean * special_logit_inv(-z[0]);
}
const nn_head_row head_bernoulli = { 0, bernoulli_loss, bernoulli_logq, bernoulli_draw, bernoulli_cdf,
                                     bernoulli_quantile, bernoulli_moments };
