/* resample: numbers of offspring with expectation n w_i, in one pass each.

   Systematic and stratified: Kitagawa 1996; residual: Liu and Chen 1998 (whole parts, then a
   multinomial of the rest); multinomial: ordered uniforms from exponential spacings.  Cumulative sums
   are in double: their error is below 1e-10 of a particle at a million particles. */
#include "infer/engine.h"

const char *const resample_names[RESAMPLE_COUNT] = { "systematic", "stratified", "residual", "multinomial" };

/* Offspring of points (i + u_i) / n; one u for all, or one each. */
static void resample_comb(bool stratified, const double *w, double sum, uint32_t *count, size_t n, norn_rng *rng)
{
  double scale = (double)n / sum, cum = w[0] * scale, u = norn_rng_uniform(rng);
  size_t j = 0;
  for (size_t i = 0; i < n; i++) count[i] = 0;
  for (size_t i = 0; i < n; i++) {
    if (stratified && i) u = norn_rng_uniform(rng);
    double at = (double)i + u;
    while (at >= cum && j + 1 < n) cum += w[++j] * scale;
    while (w[j] <= 0 && j) j--;                 /* rounding at the end: never a dead one */
    count[j]++;
  }
}

/* m draws by weight w - floor part; adds to count. */
static void resample_multinomial(const double *w, double sum, uint32_t *count, size_t n, size_t m, norn_rng *rng)
{
  double left = 1, cum = w[0] / sum, at = 0;
  size_t j = 0;
  for (size_t i = 0; i < m; i++) {              /* the smallest of m - i uniforms on the rest of (0, 1) */
    double gap = -expm1(log(norn_rng_uniform(rng)) / (double)(m - i));
    at += left * gap;
    left *= 1 - gap;
    while (at >= cum && j + 1 < n) cum += w[++j] / sum;
    while (w[j] <= 0 && j) j--;
    count[j]++;
  }
}

/* Whole parts of n w_i, the rest by the fractions; these are made anew as they are read. */
static void resample_residual(const double *w, double sum, uint32_t *count, size_t n, norn_rng *rng)
{
  double scale = (double)n / sum, rest = 0;
  size_t given = 0;
  for (size_t i = 0; i < n; i++) {
    double x = w[i] * scale;
    count[i] = (uint32_t)x;
    given += count[i];
    rest += x - count[i];
  }
  size_t m = n - given, j = 0;
  double left = 1, at = 0, cum = (w[0] * scale - count[0]) / rest;
  uint32_t whole = count[0];                    /* of particle j, before what it gets here */
  for (size_t i = 0; i < m; i++) {
    double gap = -expm1(log(norn_rng_uniform(rng)) / (double)(m - i));
    at += left * gap;
    left *= 1 - gap;
    while (at >= cum && j + 1 < n) {
      j++;
      whole = count[j];
      cum += (w[j] * scale - whole) / rest;
    }
    count[j]++;
  }
}

void resample(resample_kind kind, const double *w, double sum, uint32_t *count, size_t n, norn_rng *rng)
{
  switch (kind) {
  case RESAMPLE_RESIDUAL: resample_residual(w, sum, count, n, rng); return;
  case RESAMPLE_MULTINOMIAL:
    for (size_t i = 0; i < n; i++) count[i] = 0;
    resample_multinomial(w, sum, count, n, n, rng);
    return;
  default: resample_comb(kind == RESAMPLE_STRATIFIED, w, sum, count, n, rng);
  }
}

/* One offspring or none beyond the whole part f of n w_i: f (1 - f), for points on a comb as for the
   rest of residual resampling (there to first order); n w_i (1 - w_i) for a multinomial. */
double resample_spread(resample_kind kind, const double *w, double sum, size_t n)
{
  double scale = (double)n / sum, s = 0;
  for (size_t i = 0; i < n; i++) {
    double x = w[i] * scale, f = x - (double)(uint32_t)x;
    s += kind == RESAMPLE_MULTINOMIAL ? x * (1 - w[i] / sum) : kind == RESAMPLE_RESIDUAL ? f : f * (1 - f);
  }
  return s / (double)n;
}
