/* psis: Pareto smoothed importance sampling (Vehtari, Simpson, Gelman, Yao, Gabry 2024, "Pareto
   smoothed importance sampling", JMLR 25(72)).

   The M largest weights, M = min(S / 5, 3 sqrt(S / r_eff)), are taken as draws of a generalised
   Pareto distribution above the largest of the others, fitted after Zhang and Stephens 2009 ("A
   new and efficient estimation method for the generalized Pareto distribution", Technometrics
   51), and replaced by its quantiles at (j - 1/2) / M, in order.  Smoothed weights are cut off at
   the largest raw one.  Weights are kept as logarithms, relative to the largest. */
#include "infer/trust/psis.h"
#include "infer/engine.h"
#include <stdlib.h>

typedef struct weight { double logw; size_t at; } weight;

enum { LEAST = 5 };         /* a tail of fewer says nothing */

static int by_logw(const void *a, const void *b)
{
  const weight *x = a, *y = b;
  if (x->logw != y->logw) return x->logw < y->logw ? -1 : 1;
  return x->at < y->at ? -1 : 1;
}

double psis_threshold(size_t n)
{
  double k = 1 - 1 / log10((double)n);
  return k < .7 ? k : .7;
}

size_t psis_tail(size_t n, double r_eff)
{
  double s = (double)n, some = 3 * sqrt(s / (r_eff > 0 && r_eff < HUGE_VAL ? r_eff : 1));
  return (size_t)ceil(some < .2 * s ? some : .2 * s);
}

/* Mean of log(1 - theta x): the shape that is likeliest at theta = -k / sigma. */
static double fit_shape(const double *x, size_t n, double theta)
{
  double s = 0;
  for (size_t i = 0; i < n; i++) s += log1p(-theta * x[i]);
  return s / (double)n;
}

/* Log likelihood of theta for one observation, k at its best; at theta = 0 the exponential's. */
static double fit_loglik(const double *x, size_t n, double theta)
{
  double k = fit_shape(x, n, theta), mean = 0;
  if (theta != 0 && k != 0) return log(-theta / k) - k - 1;
  for (size_t i = 0; i < n; i++) mean += x[i] / (double)n;
  return -log(mean) - 1;
}

/* Zhang and Stephens' posterior mean of theta over a grid of m quantiles of their prior, whose
   scale is set by the first quartile of x:
       theta_j = 1/max + (1 - sqrt(m / (j - 1/2))) / (3 quartile) */
void psis_fit(const double *x, size_t n, double *k, double *sigma)
{
  int m = 30 + (int)sqrt((double)n);
  double quartile = x[(size_t)((double)n / 4 + .5) - 1], most = -HUGE_VAL, sum = 0, theta = 0;
  *k = *sigma = NAN;
  if (!(quartile > 0) || !(x[n - 1] < HUGE_VAL)) return;
  for (int pass = 0; pass < 2; pass++)           /* the largest likelihood; then relative to it */
    for (int j = 1; j <= m; j++) {
      double t = 1 / x[n - 1] + (1 - sqrt(m / (j - .5))) / (3 * quartile),
             l = (double)n * fit_loglik(x, n, t);
      if (pass) { theta += t * exp(l - most); sum += exp(l - most); }
      else if (l > most) most = l;
    }
  theta /= sum;
  *k = fit_shape(x, n, theta);
  *sigma = theta != 0 ? -*k / theta : NAN;
  /* the weak prior for k: ten observations at 1/2 */
  *k = (*k * (double)n + 10 * .5) / ((double)n + 10);
}

/* Quantile of the generalised Pareto distribution. */
static double pareto_quantile(double p, double k, double sigma)
{
  double e = -log1p(-p);
  return fabs(k) < 1e-12 ? sigma * e : sigma * expm1(k * e) / k;
}

/* The tail w (m, rising, relative to the largest weight), which lies above `cut`; x (m): scratch. */
static void smooth_tail(weight *w, size_t m, double cut, double *x, double *khat)
{
  double k, sigma, base = exp(cut);
  if (w[m - 1].logw == w[0].logw) { *khat = -HUGE_VAL; return; }
  for (size_t j = 0; j < m; j++) x[j] = base > 0 ? base * expm1(w[j].logw - cut) : exp(w[j].logw);
  psis_fit(x, m, &k, &sigma);
  if (!isfinite(k) || !(sigma > 0)) return;
  *khat = k;
  for (size_t j = 0; j < m; j++) {
    double l = log(base + pareto_quantile(((double)j + .5) / (double)m, k, sigma));
    w[j].logw = l < 0 ? l : 0;
  }
}

bool psis_smooth(norn_state *st, double *logw, size_t n, double r_eff, double *khat)
{
  size_t m = psis_tail(n, r_eff);
  double most = -HUGE_VAL;
  *khat = HUGE_VAL;
  for (size_t i = 0; i < n; i++) {
    if (isnan(logw[i])) return true;
    if (logw[i] > most) most = logw[i];
  }
  if (m < LEAST || m >= n || fabs(most) == HUGE_VAL) return true;
  weight *w = engine_get(st, n * sizeof *w);
  double *x = engine_get(st, m * sizeof *x);
  if (w && x) {
    for (size_t i = 0; i < n; i++) w[i] = (weight){ logw[i] - most, i };
    qsort(w, n, sizeof *w, by_logw);
    smooth_tail(w + n - m, m, w[n - m - 1].logw, x, khat);
    for (size_t j = n - m; j < n; j++) logw[w[j].at] = w[j].logw + most;
  }
  engine_put(st, w, n * sizeof *w);
  engine_put(st, x, m * sizeof *x);
  return w && x;
}
