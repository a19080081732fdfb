/* head_bars.c: a density of n pieces: piece k lies between border[k] and border[k + 1] and has probability
   softmax(z)[k], spread evenly; the first and the last are halves of normal distributions that reach out from
   border[1] and border[n - 1] (Mueller et al. 2022).

       log q(x) = z[k] - logsumexp(z) - log(border[k + 1] - border[k])                   inside
                = z[k] - logsumexp(z) + log(2 / (s sqrt(2 pi))) - (x - b)^2 / (2 s^2)    in a tail

   How far out a target lies in a tail moves the loss, not its gradient. */
#include "nn/head_in.h"
#include "num/special.h"
#include <math.h>

#define HALF_LOG_2_PI 0.91893853320467274178
#define LOG_2 0.69314718055994530942

/* The piece of x: the last whose lower border is <= x. */
static int piece(const nn_head *h, double x)
{
  int lo = 0, hi = h->n - 1;                     /* border[lo] counts as -inf */
  while (lo < hi) {
    int mid = lo + (hi - lo + 1) / 2;
    if (h->border[mid] <= x) lo = mid;
    else hi = mid - 1;
  }
  return lo;
}
/* Where a tail begins, and its standard deviation with a sign: away from the middle. */
static double tail_from(const nn_head *h, int k, double *s)
{
  *s = k == 0 ? -h->tail[0] : h->tail[1];
  return k == 0 ? h->border[1] : h->border[h->n - 1];
}
/* log density of piece k at x */
static double inside(const nn_head *h, int k, double x)
{
  if (k > 0 && k < h->n - 1) return -log(h->border[k + 1] - h->border[k]);
  double s, b = tail_from(h, k, &s), t = (x - b) / s;
  return LOG_2 - HALF_LOG_2_PI - log(fabs(s)) - .5 * t * t;
}

static double bars_loss(const nn_head *h, const float *z, double target, float *dz)
{
  const head_loops *loops = head_best();
  float top = loops->top(z, h->n);
  double sum = loops->sum(z, h->n, top, dz);
  int k = piece(h, target);
  if (dz) {
    loops->scale(dz, h->n, (float)(1 / sum));
    dz[k] -= 1;
  }
  return log(sum) + ((double)top - (double)z[k]) - inside(h, k, target);
}
static double bars_logq(const nn_head *h, const float *z, double x)
{
  if (isnan(x)) return NAN;
  if (isinf(x)) return -INFINITY;
  int k = piece(h, x);
  return z[k] - head_logsum(z, h->n) + inside(h, k, x);
}

/* Where in piece k a share u of it lies below. */
static double within(const nn_head *h, int k, double u)
{
  if (k > 0 && k < h->n - 1) return h->border[k] + u * (h->border[k + 1] - h->border[k]);
  double s, b = tail_from(h, k, &s);
  return b + s * -special_norm_quantile(.5 * (k == 0 ? u : 1 - u));
}
static double bars_draw(const nn_head *h, const float *z, norn_rng *g)
{
  int k = head_pick(z, h->n, norn_rng_uniform(g), NULL);
  return within(h, k, norn_rng_uniform(g));
}
static double bars_quantile(const nn_head *h, const float *z, double p)
{
  double rest;
  int k = head_pick(z, h->n, p, &rest);
  return within(h, k, rest);
}
static double bars_cdf(const nn_head *h, const float *z, double x)
{
  double all = head_logsum(z, h->n), s, b, sum = 0;
  if (isnan(x)) return NAN;
  int k = piece(h, x);
  if (k == h->n - 1) {
    b = tail_from(h, k, &s);
    return 1 - exp(z[k] - all) * 2 * special_norm_cdf(-(x - b) / s);
  }
  for (int i = 0; i < k; i++) sum += exp(z[i] - all);
  b = tail_from(h, 0, &s);
  double share = k == 0 ? 2 * special_norm_cdf((b - x) / s)
                        : (x - h->border[k]) / (h->border[k + 1] - h->border[k]);
  return fmin(sum + exp(z[k] - all) * share, 1);
}
static void bars_piece(const nn_head *h, int k, double *mean, double *variance)
{
  if (k > 0 && k < h->n - 1) {
    double w = h->border[k + 1] - h->border[k];
    *mean = h->border[k] + .5 * w;
    *variance = w * w / 12;
    return;
  }
  double s, b = tail_from(h, k, &s);
  *mean = b + s * .79788456080286535588;         /* sqrt(2 / pi) */
  *variance = s * s * .36338022763241865692;     /* 1 - 2 / pi */
}
static void bars_moments(const nn_head *h, const float *z, double *mean, double *variance)
{
  double all = head_logsum(z, h->n), m = 0, v = 0, mk, vk;
  for (int k = 0; k < h->n; k++) {
    bars_piece(h, k, &mk, &vk);
    m += mk * exp(z[k] - all);
  }
  for (int k = 0; k < h->n; k++) {
    bars_piece(h, k, &mk, &vk);
    v += (vk + (mk - m) * (mk - m)) * exp(z[k] - all);
  }
  *mean = m;
  *variance = v;
}
const nn_head_row head_bars = { 1, bars_loss, bars_logq, bars_draw, bars_cdf, bars_quantile, bars_moments };
