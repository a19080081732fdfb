/* diagnose: effective sample size and split R-hat of draws from chains.

   Vehtari, Gelman, Simpson, Carpenter, Buerkner 2021, "Rank-normalization, folding, and
   localization: an improved R-hat": chains are split in halves, draws replaced by normal scores of
   their ranks, autocorrelations combined over chains and summed by Geyer's initial monotone
   positive sequence. R-hat is the larger of that of the scores and that of the folded scores. */
#include "infer/engine.h"
#include <stdlib.h>
#include <string.h>

/* Normal quantile: Wichura 1988, algorithm AS 241 (PPND16), relative error about 1e-16. */
static double normal_quantile(double p)
{
  static const double a[8] = { 3.3871328727963666080,   1.3314166789178437745e2,
                               1.9715909503065514427e3, 1.3731693765509461125e4,
                               4.5921953931549871457e4, 6.7265770927008700853e4,
                               3.3430575583588128105e4, 2.5090809287301226727e3 };
  static const double b[8] = { 1,
                               4.2313330701600911252e1,
                               6.8718700749205790830e2,
                               5.3941960214247511077e3,
                               2.1213794301586595867e4,
                               3.9307895800092710610e4,
                               2.8729085735721942674e4,
                               5.2264952788528545610e3 };
  static const double c[8] = { 1.42343711074968357734,    4.63033784615654529590,
                               5.76949722146069140550,    3.64784832476320460504,
                               1.27045825245236838258,    2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4 };
  static const double d[8] = { 1,
                               2.05319162663775882187,
                               1.67638483018380384940,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9 };
  double q = p - .5, r, num, den;
  if (fabs(q) <= .425) {
    r = .180625 - q * q;
    num = a[7]; den = b[7];
    for (int i = 6; i >= 0; i--) { num = num * r + a[i]; den = den * r + b[i]; }
    return q * num / den;
  }
  /* p is never nearer to 0 than 1e-11: one tail is enough */
  r = sqrt(-log(q < 0 ? p : 1 - p)) - 1.6;
  num = c[7]; den = d[7];
  for (int i = 6; i >= 0; i--) { num = num * r + c[i]; den = den * r + d[i]; }
  return q < 0 ? -num / den : num / den;
}

static int by_value(const void *a, const void *b)
{
  const double *x = *(const double *const *)a, *y = *(const double *const *)b;
  return *x < *y ? -1 : *x > *y;
}

/* z = normal scores of the ranks of x (n); ties get their mean rank.  at (n) is scratch. */
static void rank_scores(const double *x, double *z, const double **at, size_t n)
{
  for (size_t i = 0; i < n; i++) at[i] = &x[i];
  qsort(at, n, sizeof *at, by_value);
  for (size_t i = 0, j; i < n; i = j) {
    for (j = i + 1; j < n && *at[j] == *at[i]; j++) { }
    double rank = .5 * (double)(i + j - 1) + 1,
           s = normal_quantile((rank - .375) / ((double)n + .25));
    for (size_t k = i; k < j; k++) z[at[k] - x] = s;
  }
}

/* Between- and within-chain variance of z (m, n): returns R-hat; var_plus and within for the
   ESS. */
static double chains_rhat(const double *z, int m, int64_t n, double *within, double *var_plus,
                          double *mean)
{
  double grand = 0, b = 0, w = 0;
  for (int c = 0; c < m; c++) {
    double s = 0, q = 0;
    for (int64_t i = 0; i < n; i++) s += z[c * n + i];
    mean[c] = s / (double)n;
    for (int64_t i = 0; i < n; i++) q += (z[c * n + i] - mean[c]) * (z[c * n + i] - mean[c]);
    w += q / (double)(n - 1) / m;
    grand += mean[c] / m;
  }
  for (int c = 0; c < m; c++) b += (mean[c] - grand) * (mean[c] - grand) / (m - 1);
  *within = w;
  *var_plus = w * (double)(n - 1) / (double)n + b;
  return sqrt(*var_plus / w);
}

/* Mean over chains of the autocovariance at a lag. */
static double chains_autocov(const double *z, int m, int64_t n, const double *mean, int64_t lag)
{
  double s = 0;
  for (int c = 0; c < m; c++) {
    const double *x = z + c * n;
    for (int64_t i = 0; i + lag < n; i++) s += (x[i] - mean[c]) * (x[i + lag] - mean[c]);
  }
  return s / (double)n / m;
}

/* Geyer's initial monotone positive sequence; the first even lag after it counts once (Vehtari et
   al., appendix A; as Stan does it). */
static double chains_ess(const double *z, int m, int64_t n, double within, double var_plus,
                         const double *mean)
{
  double tau = -1, least = HUGE_VAL, all = (double)m * (double)n;
  for (int64_t lag = 0; lag + 3 < n; lag += 2) {
    double even = lag ? 1 - (within - chains_autocov(z, m, n, mean, lag)) / var_plus : 1;
    double odd = 1 - (within - chains_autocov(z, m, n, mean, lag + 1)) / var_plus;
    if (even + odd < 0) {
      if (even > 0) tau += even;
      break;
    }
    if (even + odd < least) least = even + odd;
    tau += 2 * least;
  }
  return all / (tau > 1 / log10(all) ? tau : 1 / log10(all));
}

bool diagnose_chains(norn_state *st, const double *x, int chains, int64_t n, double *ess,
                     double *rhat)
{
  int64_t half = n / 2, all = 2 * half * chains;
  size_t bytes = (size_t)all * sizeof(double);
  int m = 2 * chains;
  *ess = *rhat = NAN;
  if (half < 2) return true;
  double *y = engine_get(st, bytes), *z = engine_get(st, bytes),
         *mean = engine_get(st, (size_t)m * sizeof *mean);
  const double **at = engine_get(st, (size_t)all * sizeof *at);
  bool good = y && z && mean && at, varies = false;
  if (good) {
    double w, v;
    for (int c = 0; c < chains; c++) {           /* an odd draw in the middle is left out */
      memcpy(y + 2 * c * half, x + c * n, (size_t)half * sizeof *y);
      memcpy(y + (2 * c + 1) * half, x + (c + 1) * n - half, (size_t)half * sizeof *y);
    }
    for (int64_t i = 1; i < all; i++) varies |= y[i] != y[0];
    if (varies) {
      rank_scores(y, z, at, (size_t)all);
      double bulk = chains_rhat(z, m, half, &w, &v, mean);
      *ess = w > 0 ? chains_ess(z, m, half, w, v, mean) : m;
      double median = all & 1 ? *at[all / 2] : .5 * (*at[all / 2 - 1] + *at[all / 2]);
      for (int64_t i = 0; i < all; i++) y[i] = fabs(y[i] - median);
      rank_scores(y, z, at, (size_t)all);
      double tail = chains_rhat(z, m, half, &w, &v, mean);
      *rhat = tail > bulk ? tail : bulk;         /* a NaN tail (all equal) does not count */
    }
  }
  engine_put(st, y, bytes);
  engine_put(st, z, bytes);
  engine_put(st, mean, (size_t)m * sizeof *mean);
  engine_put(st, at, (size_t)all * sizeof *at);
  return good;
}
