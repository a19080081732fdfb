/* map: the maps between R^m and the supports, with log Jacobians and their reverse mode.

   Source: Stan reference manual 2.36, "Constraint Transforms".  The simplex and vectors of sum 0
   use its isometric log ratio (Egozcue et al. 2003, "Isometric logratio transformations for
   compositional data analysis"), not the older stick-breaking: it treats all components alike and
   loses no digits in long vectors.  Correlation matrices use canonical partial correlations
   (Lewandowski, Kurowicka and Joe 2009), kept as products of hyperbolic secants so that nothing is
   taken from 1.

   A unit is one number, vector or matrix of a support.  Its Jacobian is taken in these free
   coordinates: the first n - 1 components of a simplex or a vector of sum 0, the lower triangle
   of a matrix (without the diagonal where that is given).  Rounding leaves no open support. */
#include "dist/dist.h"
#include "dist/kernel_map.h"
#include "num/special.h"

/* One kind of support.  constrain gives the log Jacobian; adjoint adds to gu and to the derivatives
   by the two bounds; work has norn_support_elems numbers. */
typedef struct map {
  double (*constrain)(const norn_support *, const double *u, double *x);
  bool (*unconstrain)(const norn_support *, const double *x, double *u);
  void (*adjoint)(const norn_support *, const double *u, const double *x, const double *gx,
                  double gj, double *gu, double *gbound, double *work);
} map;


/* ---- numbers --------------------------------------------------------------------------------- */

static double real_constrain(const norn_support *s, const double *u, double *x)
{
  (void)s;
  *x = *u;
  return 0;
}

static bool real_unconstrain(const norn_support *s, const double *x, double *u)
{
  (void)s;
  *u = *x;
  return isfinite(*x);
}

static void real_adjoint(const norn_support *s, const double *u, const double *x, const double *gx,
                         double gj, double *gu, double *gbound, double *work)
{
  (void)s, (void)u, (void)x, (void)gj, (void)gbound, (void)work;
  *gu += *gx;
}

/* x = a + exp u */
static double lower_constrain(const norn_support *s, const double *u, double *x)
{
  *x = map_above(s->lower, s->lower + v_exp(*u));
  return *u;
}

static bool lower_unconstrain(const norn_support *s, const double *x, double *u)
{
  *u = v_log(*x - s->lower);
  return isfinite(*u);
}

static void lower_adjoint(const norn_support *s, const double *u, const double *x, const double *gx,
                          double gj, double *gu, double *gbound, double *work)
{
  (void)s, (void)x, (void)work;
  *gu += *gx * v_exp(*u) + gj;
  gbound[0] += *gx;
}

/* x = b - exp u */
static double upper_constrain(const norn_support *s, const double *u, double *x)
{
  *x = map_below(s->upper, s->upper - v_exp(*u));
  return *u;
}

static bool upper_unconstrain(const norn_support *s, const double *x, double *u)
{
  *u = v_log(s->upper - *x);
  return isfinite(*u);
}

static void upper_adjoint(const norn_support *s, const double *u, const double *x, const double *gx,
                          double gj, double *gu, double *gbound, double *work)
{
  (void)s, (void)x, (void)work;
  *gu += gj - *gx * v_exp(*u);
  gbound[1] += *gx;
}

/* x = a + (b - a) p, p = 1 / (1 + exp -u), from the bound that is nearer.
   log dx/du = log(b - a) + log p + log(1 - p) */
static double interval_constrain(const norn_support *s, const double *u, double *x)
{
  double a = s->lower, b = s->upper, w = b - a, e = v_exp(-fabs(*u)), p = e / (1 + e);
  if (w < HUGE_VAL) *x = *u < 0 ? a + w * p : b - w * p;
  else *x = *u < 0 ? a * (1 - p) + b * p : b * (1 - p) + a * p;
  *x = map_below(b, map_above(a, *x));
  double log_w = w < HUGE_VAL ? v_log(w) : v_log(0.5 * b - 0.5 * a) + V_LOG_2;
  return log_w - fabs(*u) - 2 * v_log1p(e);
}

static bool interval_unconstrain(const norn_support *s, const double *x, double *u)
{
  double f = s->upper - s->lower < HUGE_VAL ? 1 : 0.5;   /* no overflow */
  *u = v_log((f * *x - f * s->lower) / (f * s->upper - f * *x));
  return isfinite(*u);
}

static void interval_adjoint(const norn_support *s, const double *u, const double *x,
                             const double *gx, double gj, double *gu, double *gbound, double *work)
{
  double w = s->upper - s->lower, p = special_logit_inv(*u), q = special_logit_inv(-*u);
  (void)x, (void)work;
  *gu += *gx * w * p * q + gj * (q - p);
  gbound[0] += *gx * q - gj / w;
  gbound[1] += *gx * p + gj / w;
}

/* ---- the isometric log ratio: vectors of sum 0, simplexes ------------------------------------ */

static bool zero_unconstrain(const norn_support *s, const double *x, double *u)
{
  double sum = 0, size = 0;
  for (int64_t j = 0; j < s->size; j++) {
    if (j > 0) u[j - 1] = map_ilr_free(sum, x[j], j - 1);
    sum += x[j];
    size += fabs(x[j]);
  }
  return fabs(sum) <= 1e-8 * fmax(size, 1) && size < HUGE_VAL;
}

static bool simplex_unconstrain(const norn_support *s, const double *x, double *u)
{
  double sum = 0, total = 0;
  for (int64_t j = 0; j < s->size; j++) {
    if (!(x[j] > 0)) return false;
    double z = v_log(x[j]);
    if (j > 0) u[j - 1] = map_ilr_free(sum, z, j - 1);
    sum += z;
    total += x[j];
  }
  return fabs(total - 1) <= 1e-8;
}

/* ---- vectors in rising order, with a bound on either side or none ---------------------------- */

static bool ordered_unconstrain(const norn_support *s, const double *x, double *u)
{
  int64_t n = s->size;
  bool from = s->lower > -HUGE_VAL, to = s->upper < HUGE_VAL;
  double w = s->upper - s->lower, sum = 0;
  for (int64_t k = 0; k < n; k++)
    if (!(isfinite(x[k]) && (k ? x[k] > x[k - 1] : x[k] > s->lower) && x[k] < s->upper))
      return false;
  for (int64_t k = 0; k < n && from && to; k++) {
    double z = v_log((x[k] - (k ? x[k - 1] : s->lower)) / w);
    double next = v_log(((k + 1 < n ? x[k + 1] : s->upper) - x[k]) / w);
    sum += z;
    u[k] = map_ilr_free(sum, next, k);
  }
  if (from && to) return true;
  for (int64_t k = 0; k < n; k++)
    if (to) u[k] = v_log((k + 1 < n ? x[k + 1] : s->upper) - x[k]);
    else u[k] = k ? v_log(x[k] - x[k - 1]) : from ? v_log(x[k] - s->lower) : x[k];
  return true;
}

/* ---- vectors of length 1 --------------------------------------------------------------------- */

static bool unit_unconstrain(const norn_support *s, const double *x, double *u)
{
  double sum = 0;
  for (int64_t k = 0; k < s->size; k++) {
    sum += x[k] * x[k];
    u[k] = x[k];
  }
  return fabs(sum - 1) <= 1e-8;
}

/* ---- matrices: L -> L L' --------------------------------------------------------------------- */

/* Whether x is symmetric. */
static bool symmetric(const double *x /* (n, n) */, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) {
      double scale = sqrt(fabs(x[i * n + i])) * sqrt(fabs(x[j * n + j]));
      if (!(fabs(x[i * n + j] - x[j * n + i]) <= 1e-8 * scale)) return false;
    }
  return true;
}

static bool zero_above_diagonal(const double *x /* (n, n) */, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++)
      if (x[i * n + j] != 0) return false;
  return true;
}

/* ---- Cholesky factors of covariance matrices, covariance matrices ---------------------------- */

static bool factor_unconstrain(const norn_support *s, const double *x, double *u)
{
  int64_t n = s->size, at = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++, at++) {
      u[at] = j < i ? x[i * n + j] : v_log(x[i * n + i]);
      if (!isfinite(u[at])) return false;
    }
  return zero_above_diagonal(x, n);
}

/* Cholesky's factor into u. */
static bool cov_unconstrain(const norn_support *s, const double *x, double *u)
{
  int64_t n = s->size;
  if (!symmetric(x, n)) return false;
  for (int64_t i = 0; i < n; i++) {
    double *row = u + i * (i + 1) / 2;
    for (int64_t j = 0; j <= i; j++) {
      const double *other = u + j * (j + 1) / 2;
      double sum = x[i * n + j];
      for (int64_t k = 0; k < j; k++) sum -= row[k] * other[k];
      row[j] = j < i ? sum / other[j] : sqrt(sum);
    }
    if (!(row[i] > 0 && row[i] < HUGE_VAL)) return false;
  }
  for (int64_t i = 0; i < n; i++) u[i * (i + 3) / 2] = v_log(u[i * (i + 3) / 2]);
  return true;
}

/* ---- Cholesky factors of correlation matrices, correlation matrices -------------------------- */

/* sinh u[j] = L[i, j] / r[j+1]; r[j+1]^2 is the sum of the squares that follow in the row, without
   cancellation.  row may be u. */
static void row_unconstrain(const double *row, int64_t i, double diagonal, double *u)
{
  double r = diagonal;
  for (int64_t j = i; j-- > 0;) {
    double l = row[j];
    u[j] = asinh(l / r);
    r = hypot(r, l);
  }
}

static bool corr_factor_unconstrain(const norn_support *s, const double *x, double *u)
{
  int64_t n = s->size;
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t j = 0; j <= i; j++) sum += x[i * n + j] * x[i * n + j];
    if (!(x[i * n + i] > 0) || !(fabs(sum - 1) <= 1e-8)) return false;
    row_unconstrain(x + i * n, i, x[i * n + i], u + i * (i - 1) / 2);
  }
  return zero_above_diagonal(x, n);
}

static double diagonal_of(const double *row, int64_t i)
{
  double rest = 1;
  for (int64_t j = 0; j < i; j++) rest -= row[j] * row[j];
  return sqrt(rest);
}

/* Cholesky's factor without its diagonal into u, then row by row. */
static bool corr_unconstrain(const norn_support *s, const double *x, double *u)
{
  int64_t n = s->size;
  if (!symmetric(x, n)) return false;
  for (int64_t i = 0; i < n; i++) {
    double *row = u + i * (i - 1) / 2;
    if (!(fabs(x[i * n + i] - 1) <= 1e-8)) return false;
    for (int64_t j = 0; j < i; j++) {
      const double *other = u + j * (j - 1) / 2;
      double sum = x[i * n + j];
      for (int64_t k = 0; k < j; k++) sum -= row[k] * other[k];
      row[j] = sum / diagonal_of(other, j);
    }
    if (!(diagonal_of(row, i) > 0)) return false;
  }
  for (int64_t i = n; i-- > 0;) {
    double *row = u + i * (i - 1) / 2;
    row_unconstrain(row, i, diagonal_of(row, i), row);
  }
  return true;
}

/* ---- the table and the calls ----------------------------------------------------------------- */

/* The structured ones: formulas of kernel_map.h, in steps of 1.  The unit vectors' constant is their first "bound". */
static double lower_of(const norn_support *s)
{
  double n = (double)s->size;
  return s->kind == NORN_SUPPORT_UNIT_VECTOR ? (1 - 0.5 * n) * V_LOG_2 - special_lgamma(0.5 * n) : s->lower;
}

#define STRUCTURED(F) F(zero) F(simplex) F(ordered) F(unit) F(factor) F(cov) F(corr_factor) F(corr)
#define OF_KERNEL(name)                                                                            \
  static double name##_constrain(const norn_support *s, const double *u, double *x)                \
  {                                                                                                \
    return map_##name(lower_of(s), s->upper, u, x, s->size, 1);                                    \
  }                                                                                                \
  static void name##_adjoint(const norn_support *s, const double *u, const double *x, const double *gx, \
                             double gj, double *gu, double *gbound, double *work)                  \
  {                                                                                                \
    map_##name##_back(lower_of(s), s->upper, u, x, gx, gj, gu, gbound, work, s->size, 1);          \
  }
STRUCTURED(OF_KERNEL)

#define MAP(name) {name##_constrain, name##_unconstrain, name##_adjoint}
static const map maps[] = {
  [NORN_SUPPORT_REAL] = MAP(real), [NORN_SUPPORT_LOWER] = MAP(lower),
  [NORN_SUPPORT_UPPER] = MAP(upper), [NORN_SUPPORT_INTERVAL] = MAP(interval),
  [NORN_SUPPORT_SIMPLEX] = MAP(simplex), [NORN_SUPPORT_ORDERED] = MAP(ordered),
  [NORN_SUPPORT_POSITIVE_ORDERED] = MAP(ordered), [NORN_SUPPORT_UNIT_VECTOR] = MAP(unit),
  [NORN_SUPPORT_SUM_TO_ZERO] = MAP(zero), [NORN_SUPPORT_CORR] = MAP(corr),
  [NORN_SUPPORT_COV] = MAP(cov), [NORN_SUPPORT_CHOLESKY_CORR] = MAP(corr_factor),
  [NORN_SUPPORT_CHOLESKY_COV] = MAP(factor),
};

const char *dist_map_kernel(const norn_support *s, double bound[2])
{
  static const char *const name[] = {
    [NORN_SUPPORT_SIMPLEX] = "simplex", [NORN_SUPPORT_ORDERED] = "ordered",
    [NORN_SUPPORT_POSITIVE_ORDERED] = "ordered", [NORN_SUPPORT_UNIT_VECTOR] = "unit",
    [NORN_SUPPORT_SUM_TO_ZERO] = "zero", [NORN_SUPPORT_CORR] = "corr", [NORN_SUPPORT_COV] = "cov",
    [NORN_SUPPORT_CHOLESKY_CORR] = "corr_factor", [NORN_SUPPORT_CHOLESKY_COV] = "factor",
  };
  bool positive = s->kind == NORN_SUPPORT_POSITIVE_ORDERED;
  bound[0] = positive ? 0 : lower_of(s);
  bound[1] = positive ? HUGE_VAL : s->upper;
  return (size_t)s->kind < sizeof name / sizeof *name ? name[s->kind] : NULL;
}

/* The map of a support; a bound that is infinite is none, and a positive one begins at 0. */
static const map *map_of(const norn_support *s, norn_support *out)
{
  *out = *s;
  if (s->kind == NORN_SUPPORT_POSITIVE_ORDERED) {
    out->lower = 0;
    out->upper = HUGE_VAL;
  }
  if (s->kind <= NORN_SUPPORT_INTERVAL) {
    bool from = s->kind != NORN_SUPPORT_REAL && s->kind != NORN_SUPPORT_UPPER &&
        !(s->lower == -HUGE_VAL);
    bool to = s->kind >= NORN_SUPPORT_UPPER && !(s->upper == HUGE_VAL);
    return &maps[from ? to ? NORN_SUPPORT_INTERVAL : NORN_SUPPORT_LOWER
                      : to ? NORN_SUPPORT_UPPER : NORN_SUPPORT_REAL];
  }
  return s->kind < NORN_SUPPORT_BOOL ? &maps[s->kind] : NULL;
}

int64_t norn_support_free(const norn_support *s)
{
  int64_t n = s->size;
  switch (s->kind) {
  case NORN_SUPPORT_REAL: case NORN_SUPPORT_LOWER: case NORN_SUPPORT_UPPER:
  case NORN_SUPPORT_INTERVAL: return 1;
  case NORN_SUPPORT_SIMPLEX: case NORN_SUPPORT_SUM_TO_ZERO: return n > 0 ? n - 1 : 0;
  case NORN_SUPPORT_ORDERED: case NORN_SUPPORT_POSITIVE_ORDERED: case NORN_SUPPORT_UNIT_VECTOR:
    return n;
  case NORN_SUPPORT_CORR: case NORN_SUPPORT_CHOLESKY_CORR: return n * (n - 1) / 2;
  case NORN_SUPPORT_COV: case NORN_SUPPORT_CHOLESKY_COV: return n * (n + 1) / 2;
  default: return -1;
  }
}

int64_t norn_support_elems(const norn_support *s)
{
  switch (s->kind) {
  case NORN_SUPPORT_CORR: case NORN_SUPPORT_COV:
  case NORN_SUPPORT_CHOLESKY_CORR: case NORN_SUPPORT_CHOLESKY_COV: return s->size * s->size;
  case NORN_SUPPORT_ANY: return -1;
  default: return s->size;
  }
}

void norn_support_constrain(const norn_support *support, const double *u, double *x,
                            double *log_jacobian)
{
  norn_support s;
  const map *m = map_of(support, &s);
  double log_term = m ? m->constrain(&s, u, x) : 0;
  if (log_jacobian) *log_jacobian += log_term;
}

bool norn_support_unconstrain(const norn_support *support, const double *x, double *u)
{
  norn_support s;
  const map *m = map_of(support, &s);
  return m && m->unconstrain(&s, x, u);
}

void norn_support_adjoint(const norn_support *support, const double *u, const double *x,
                          const double *gx, double gj, double *gu, double *glower, double *gupper,
                          double *work)
{
  norn_support s;
  const map *m = map_of(support, &s);
  double gbound[2] = {0, 0};
  if (!m) return;
  m->adjoint(&s, u, x, gx, gj, gu, gbound, work);
  if (glower) *glower += gbound[0];
  if (gupper) *gupper += gbound[1];
}
