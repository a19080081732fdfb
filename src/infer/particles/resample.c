/* resample: m offspring of n particles, m w_i expected of each, in one pass each: one number after the
   other, and for many particles (resample_below, as many offspring) by vectors, num/weights.h.

   Systematic and stratified: Kitagawa 1996; residual: Liu and Chen 1998 (whole parts, then a
   multinomial of the rest); multinomial: ordered uniforms (num/points.h).  Cumulative
   sums are in double: their error is below 1e-10 of a particle at a million particles. */
#include "infer/engine.h"
#include "num/points.h"
#include "num/weights.h"

const char *const resample_names[RESAMPLE_COUNT] = { "systematic", "stratified", "residual",
                                                     "multinomial" };

/* Offspring of the points (i + u) / m: ceil(c - u) of them lie below c / m. */
static void resample_systematic(const double *w, double sum, uint32_t *count, size_t n, size_t m,
                                norn_rng *rng)
{
  double scale = (double)m / sum, c = -norn_rng_uniform(rng);
  uint32_t before = 0;
  size_t last = 0;
  for (size_t i = 0; i < n; i++) {
    c += w[i] * scale;
    /* ceil(c) but for whole c, which is as good: u is not on a grid */
    int64_t k = (int64_t)(c + 1);
    uint32_t below = c <= 0 ? 0 : k < (int64_t)m ? (uint32_t)k : (uint32_t)m;
    count[i] = below - before;
    before = below;
    if (w[i] > 0) last = i;
  }
  count[last] += (uint32_t)m - before;           /* rounding at the end */
}

/* The same with a u of its own for each point. */
static void resample_stratified(const double *w, double sum, uint32_t *count, size_t n, size_t m,
                                norn_rng *rng)
{
  enum { PART = 256 };                  /* of an array that goes on (norn_rng_uniforms) */
  double scale = (double)m / sum, cum = w[0] * scale, u[PART];
  size_t j = 0;
  for (size_t i = 0; i < n; i++) count[i] = 0;
  for (size_t i = 0; i < m; i++) {
    if (i % PART == 0) norn_rng_uniforms(rng, u, (int64_t)(m - i < PART ? m - i : PART));
    double at = (double)i + u[i % PART];
    while (at >= cum && j + 1 < n) cum += w[++j] * scale;
    while (w[j] <= 0 && j) j--;                 /* rounding at the end: never a dead one */
    count[j]++;
  }
}

/* m draws by weight. */
static void resample_multinomial(const double *w, double sum, uint32_t *count, size_t n, size_t m,
                                 norn_rng *rng)
{
  double cum = w[0] / sum;
  uint64_t spacings = 0;
  size_t j = 0;
  for (size_t i = 0; i < n; i++) count[i] = 0;
  for (size_t i = 0; i < m; i++) {
    double at = points_at(spacings += points_spacing(norn_rng_uniform(rng), (uint32_t)(m - i)));
    while (at >= cum && j + 1 < n) cum += w[++j] / sum;
    while (w[j] <= 0 && j) j--;
    count[j]++;
  }
}

/* Whole parts of m w_i, the rest by the fractions; these are made anew as they are read. */
static void resample_residual(const double *w, double sum, uint32_t *count, size_t n, size_t m, norn_rng *rng)
{
  double scale = (double)m / sum, rest = 0;
  size_t given = 0, last = 0;                   /* last: of those with a fraction */
  for (size_t i = 0; i < n; i++) {
    double x = w[i] * scale, f;
    given += count[i] = points_whole(x);
    if ((f = points_rest(x, count[i])) > 0) last = i;
    rest += f;
  }
  double cum = points_rest(w[0] * scale, count[0]) / rest;
  uint64_t spacings = 0;
  size_t j = 0;
  for (size_t i = given; i < m; i++) {
    double at = points_at(spacings += points_spacing(norn_rng_uniform(rng), (uint32_t)(m - i)));
    while (at >= cum && j < last) {
      j++;
      cum += points_rest(w[j] * scale, count[j]) / rest;
    }
    count[j]++;
  }
}

void resample_to(resample_kind kind, const double *w, double sum, uint32_t *count, size_t n, size_t m,
                 norn_rng *rng)
{
  switch (kind) {
  case RESAMPLE_RESIDUAL: resample_residual(w, sum, count, n, m, rng); return;
  case RESAMPLE_MULTINOMIAL: resample_multinomial(w, sum, count, n, m, rng); return;
  case RESAMPLE_STRATIFIED: resample_stratified(w, sum, count, n, m, rng); return;
  default: resample_systematic(w, sum, count, n, m, rng);
  }
}

void resample(resample_kind kind, const double *w, double sum, uint32_t *count, size_t n,
              norn_rng *rng)
{
  resample_to(kind, w, sum, count, n, n, rng);
}

/* Systematic: the whole part of x = n w, and one more with probability f, its fraction.
   Stratified: the cells at both ends of (c, c + x) are hit with probability of what they share.
   Residual: m draws for the fractions.  Multinomial: n draws. */
static double spread_one(resample_kind kind, double x, double c, double n, double m)
{
  double f = x - floor(x), a = ceil(c) - c, b = c + x - floor(c + x);
  switch (kind) {
  case RESAMPLE_MULTINOMIAL: return x * (1 - x / n);
  case RESAMPLE_RESIDUAL:
    f = points_rest(x, points_whole(x));
    return m > 0 ? f * (1 - f / m) : 0;
  case RESAMPLE_STRATIFIED:
    return floor(c) == floor(c + x) ? x * (1 - x) : a * (1 - a) + b * (1 - b);
  default: return f * (1 - f);
  }
}

double resample_spread(resample_kind kind, const double *w, double sum, size_t n)
{
  double scale = (double)n / sum, s = 0, c = 0, m = 0;
  if (kind == RESAMPLE_SYSTEMATIC) {
    for (size_t i = 0; i < n; i++) {
      double x = w[i] * scale, f = x - (double)(int64_t)x;
      s += f * (1 - f);
    }
    return s / (double)n;
  }
  if (kind == RESAMPLE_RESIDUAL)
    for (size_t i = 0; i < n; i++) m += points_rest(w[i] * scale, points_whole(w[i] * scale));
  for (size_t i = 0; i < n; i++) {
    double x = w[i] * scale;
    s += spread_one(kind, x, c, (double)n, m);
    c += x;
  }
  return s / (double)n;
}

double resample_below(resample_kind kind, const double *w, double sum, uint32_t *below, size_t n,
                      norn_rng *rng, double *work)
{
  if (kind == RESAMPLE_SYSTEMATIC || kind == RESAMPLE_STRATIFIED) {
    bool each = kind == RESAMPLE_STRATIFIED;
    if (each) norn_rng_uniforms(rng, work, (int64_t)n);
    else work[0] = norn_rng_uniform(rng);
    return weights_below(w, sum, n, work, each, below);
  }
  resample(kind, w, sum, below, n, rng);
  for (size_t i = 1; i < n; i++) below[i] += below[i - 1];
  return resample_spread(kind, w, sum, n);
}
