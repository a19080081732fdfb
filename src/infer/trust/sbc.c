/* sbc: simultaneous confidence bands for the empirical distribution function of uniform numbers
   (Saeilynoja, Buerkner, Vehtari 2022, "Graphical test for discrete uniformity and its
   applications in goodness-of-fit evaluation and multiple sample comparison", Statistics and
   Computing 32(32)).

   X_i, how many of n numbers are at most z_i = i / k, is binomial(n, z_i); a pointwise band takes
   its quantiles at gamma / 2 and 1 - gamma / 2.  The probability that the path stays inside of
   all is summed forward over i: given X_i the rest falls before z_{i+1} with probability
   (z_{i+1} - z_i) / (1 - z_i).  gamma is the largest with which that is at least the coverage. */
#include "infer/trust/sbc.h"
#include "infer/engine.h"
#include <string.h>

typedef struct band { int n, k; double *lfact; } band;    /* lfact (n + 1): log i! */

static double log_binomial(const band *b, int n, int x, double p)
{
  if (p >= 1) return x == n ? 0 : -HUGE_VAL;
  return b->lfact[n] - b->lfact[x] - b->lfact[n - x] + x * log(p) + (n - x) * log1p(-p);
}

static bool band_open(norn_state *st, band *b, int n, int k)
{
  *b = (band){ n, k, engine_get(st, ((size_t)n + 1) * sizeof(double)) };
  for (int i = 1; b->lfact && i <= n; i++) b->lfact[i] = b->lfact[i - 1] + log((double)i);
  return b->lfact;
}

static void band_close(norn_state *st, band *b)
{
  engine_put(st, b->lfact, ((size_t)b->n + 1) * sizeof(double));
}

/* The bounds of one gamma: least x with P(X <= x) > gamma / 2, and from above by symmetry. */
static void pointwise_bounds(const band *b, double gamma, int *lower, int *upper)
{
  for (int i = 1; i < b->k; i++) {
    double cdf = 0;
    int x = 0;
    while (x < b->n && (cdf += exp(log_binomial(b, b->n, x, (double)i / b->k))) <= gamma / 2) x++;
    lower[i - 1] = x;
    upper[b->k - i - 1] = b->n - x;
  }
}

/* p, q (n + 1): probabilities of X_i inside so far; at the next i. */
static double path_inside(const band *b, const int *lower, const int *upper, double *p, double *q)
{
  double sum = 0;
  memset(p, 0, ((size_t)b->n + 1) * sizeof *p);
  p[0] = 1;
  for (int i = 1, from = 0, to = 0; i < b->k; i++) {
    double step = 1 / (double)(b->k - i + 1);
    memset(q, 0, ((size_t)b->n + 1) * sizeof *q);
    for (int x = from; x <= to; x++)
      for (int y = x > lower[i - 1] ? x : lower[i - 1]; p[x] > 0 && y <= upper[i - 1]; y++)
        q[y] += p[x] * exp(log_binomial(b, b->n - x, y - x, step));
    from = lower[i - 1];
    to = upper[i - 1];
    double *swap = p;
    p = q;
    q = swap;
  }
  for (int x = 0; x <= b->n; x++) sum += p[x];
  return sum;
}

bool sbc_coverage(norn_state *st, int n, int k, const int *lower, const int *upper, double *out)
{
  band b;
  double *p = engine_get(st, 2 * ((size_t)n + 1) * sizeof *p);
  bool good = band_open(st, &b, n, k) && p;
  if (good) *out = path_inside(&b, lower, upper, p, p + n + 1);
  band_close(st, &b);
  engine_put(st, p, 2 * ((size_t)n + 1) * sizeof *p);
  return good;
}

bool sbc_band(norn_state *st, int n, int k, double coverage, int *lower, int *upper)
{
  band b;
  double *p = engine_get(st, 2 * ((size_t)n + 1) * sizeof *p);
  bool good = band_open(st, &b, n, k) && p;
  /* the pointwise level lies between what all together need and what one alone would */
  double lo = log((1 - coverage) / k), hi = log(1 - coverage);
  for (int turn = 0; good && turn < 20; turn++) {
    double gamma = (lo + hi) / 2;
    pointwise_bounds(&b, exp(gamma), lower, upper);
    if (path_inside(&b, lower, upper, p, p + n + 1) >= coverage) lo = gamma;
    else hi = gamma;
  }
  if (good) pointwise_bounds(&b, exp(lo), lower, upper);
  band_close(st, &b);
  engine_put(st, p, 2 * ((size_t)n + 1) * sizeof *p);
  return good;
}
