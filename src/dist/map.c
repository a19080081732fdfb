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
#include "num/special.h"
#include <float.h>

/* One kind of support.  constrain gives the log Jacobian; adjoint adds to gu and to the derivatives
   by the two bounds; work has norn_support_elems numbers. */
typedef struct map {
  double (*constrain)(const norn_support *, const double *u, double *x);
  bool (*unconstrain)(const norn_support *, const double *x, double *u);
  void (*adjoint)(const norn_support *, const double *u, const double *x, const double *gx,
                  double gj, double *gu, double *gbound, double *work);
} map;

static double above(double bound, double x) { return x <= bound ? nextafter(bound, HUGE_VAL) : x; }
static double below(double bound, double x) { return x >= bound ? nextafter(bound, -HUGE_VAL) : x; }
static double positive(double x) { return x < DBL_MIN ? DBL_MIN : x; }

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
  *x = above(s->lower, s->lower + v_exp(*u));
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
  *x = below(s->upper, s->upper - v_exp(*u));
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
  *x = below(b, above(a, *x));
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

/* z = V u, z of n + 1 components and sum 0: column j of V is (1, ..., 1, -(j+1), 0, ...) over
   sqrt((j+1)(j+2)), with j + 1 ones.  The last component is returned. */
static double ilr(const double *u /* (n) */, int64_t n, double *z /* (n) */)
{
  double sum = 0, last = 0;
  for (int64_t j = n; j-- > 0;) {
    double k = (double)(j + 1), w = u[j] / sqrt(k * (k + 1));
    double z_next = sum - k * w;
    if (j + 1 < n) z[j + 1] = z_next;
    else last = z_next;
    sum += w;
    z[j] = sum;
  }
  return last;
}

/* Component j of V'z where `sum` is z[0] + ... + z[j]. */
static double ilr_free(double sum, double next, int64_t j)
{
  double k = (double)(j + 1);
  return (sum - k * next) / sqrt(k * (k + 1));
}

static double zero_constrain(const norn_support *s, const double *u, double *x)
{
  int64_t n = s->size - 1;
  if (n < 0) return 0;
  double last = ilr(u, n, x);
  x[n] = last;
  return -0.5 * v_log((double)s->size);
}

static bool zero_unconstrain(const norn_support *s, const double *x, double *u)
{
  double sum = 0, size = 0;
  for (int64_t j = 0; j < s->size; j++) {
    if (j > 0) u[j - 1] = ilr_free(sum, x[j], j - 1);
    sum += x[j];
    size += fabs(x[j]);
  }
  return fabs(sum) <= 1e-8 * fmax(size, 1) && size < HUGE_VAL;
}

static void zero_adjoint(const norn_support *s, const double *u, const double *x, const double *gx,
                         double gj, double *gu, double *gbound, double *work)
{
  double sum = 0;
  (void)u, (void)x, (void)gj, (void)gbound, (void)work;
  for (int64_t j = 0; j + 1 < s->size; j++) {
    sum += gx[j];
    gu[j] += ilr_free(sum, gx[j + 1], j);
  }
}

/* p = softmax(V u) of n + 1 parts, the last of them returned; *log_jacobian = sum log p +
   log(n+1)/2.  The parts stay positive where exp underflows. */
static double soft(const double *u /* (n) */, int64_t n, double *p /* (n) */, double *log_jacobian)
{
  double last = ilr(u, n, p), top = last, sum = 0, logs = 0;
  for (int64_t k = 0; k < n; k++) top = fmax(top, p[k]);
  for (int64_t k = 0; k < n; k++) {
    logs += p[k] - top;
    p[k] = v_exp(p[k] - top);
    sum += p[k];
  }
  logs += last - top;
  last = v_exp(last - top);
  sum += last;
  for (int64_t k = 0; k < n; k++) p[k] = positive(p[k] / sum);
  double parts = (double)(n + 1);
  *log_jacobian = logs - parts * v_log(sum) + 0.5 * v_log(parts);
  return positive(last / sum);
}

/* gu += V'gz with gz[k] = p[k] (gp[k] - gp.p) + gj (1 - (n+1) p[k]), the reverse of soft. */
static void soft_adjoint(int64_t n, const double *p /* (n) */, double last,
                         const double *gp /* (n) */, double glast, double gj, double *gu)
{
  double dot = glast * last, sum = 0, parts = (double)(n + 1);
  for (int64_t k = 0; k < n; k++) dot += gp[k] * p[k];
  for (int64_t k = 0; k < n; k++) {
    bool end = k + 1 == n;
    double pk = end ? last : p[k + 1], gk = end ? glast : gp[k + 1];
    sum += p[k] * (gp[k] - dot) + gj * (1 - parts * p[k]);
    gu[k] += ilr_free(sum, pk * (gk - dot) + gj * (1 - parts * pk), k);
  }
}

static double simplex_constrain(const norn_support *s, const double *u, double *x)
{
  double log_jacobian = 0;
  if (s->size > 0) x[s->size - 1] = soft(u, s->size - 1, x, &log_jacobian);
  return log_jacobian;
}

static bool simplex_unconstrain(const norn_support *s, const double *x, double *u)
{
  double sum = 0, total = 0;
  for (int64_t j = 0; j < s->size; j++) {
    if (!(x[j] > 0)) return false;
    double z = v_log(x[j]);
    if (j > 0) u[j - 1] = ilr_free(sum, z, j - 1);
    sum += z;
    total += x[j];
  }
  return fabs(total - 1) <= 1e-8;
}

static void simplex_adjoint(const norn_support *s, const double *u, const double *x,
                            const double *gx, double gj, double *gu, double *gbound, double *work)
{
  int64_t n = s->size - 1;
  (void)u, (void)gbound, (void)work;
  if (n > 0) soft_adjoint(n, x, x[n], gx, gx[n], gj, gu);
}

/* ---- vectors in rising order, with a bound on either side or none ---------------------------- */

/* x[0] = u[0] or a + exp u[0]; x[k] = x[k-1] + exp u[k]; under an upper bound alone from the other
   end.  Between two bounds the n + 1 gaps over b - a are a simplex. */
static double ordered_constrain(const norn_support *s, const double *u, double *x)
{
  int64_t n = s->size;
  bool from = s->lower > -HUGE_VAL, to = s->upper < HUGE_VAL;
  double log_jacobian = 0, sum = 0, w = s->upper - s->lower;
  if (from && to) {
    soft(u, n, x, &log_jacobian);
    for (int64_t k = 0; k < n; k++) {
      sum += x[k];
      x[k] = above(k ? x[k - 1] : s->lower, s->lower + w * sum);
    }
    return log_jacobian + (double)n * v_log(w);
  }
  for (int64_t i = 0; i < n; i++) {
    int64_t k = to ? n - 1 - i : i;
    bool first = i == 0 && !from && !to;
    double base = i ? x[to ? k + 1 : k - 1] : to ? s->upper : s->lower;
    log_jacobian += first ? 0 : u[k];
    x[k] = first ? u[k] : to ? below(base, base - v_exp(u[k])) : above(base, base + v_exp(u[k]));
  }
  return log_jacobian;
}

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
    u[k] = ilr_free(sum, next, k);
  }
  if (from && to) return true;
  for (int64_t k = 0; k < n; k++)
    if (to) u[k] = v_log((k + 1 < n ? x[k + 1] : s->upper) - x[k]);
    else u[k] = k ? v_log(x[k] - x[k - 1]) : from ? v_log(x[k] - s->lower) : x[k];
  return true;
}

/* Between two bounds, x[k] = a + w (g[0] + ... + g[k]). */
static void gaps_adjoint(const norn_support *s, const double *u, const double *gx, double gj,
                         double *gu, double *gbound, double *gap /* (n) */)
{
  int64_t n = s->size;
  double w = s->upper - s->lower, log_jacobian, last = soft(u, n, gap, &log_jacobian);
  double share = 0, after = 0, dot = 0, sum = 0, parts = (double)(n + 1), inner = 0;
  for (int64_t k = 0; k < n; k++) {
    share += gap[k];
    gbound[0] += gx[k] * (1 - share);
    gbound[1] += gx[k] * share;
    dot += w * gx[k] * share;
    after += w * gx[k];
  }
  gbound[0] -= gj * (double)n / w;
  gbound[1] += gj * (double)n / w;
  for (int64_t k = 0; k < n; k++) {   /* soft_adjoint with gp[k] = w (gx[k] + ... + gx[n-1]) */
    sum += gap[k] * (after - inner - dot) + gj * (1 - parts * gap[k]);
    inner += w * gx[k];
    double pk = k + 1 < n ? gap[k + 1] : last, gk = k + 1 < n ? after - inner : 0;
    gu[k] += ilr_free(sum, pk * (gk - dot) + gj * (1 - parts * pk), k);
  }
}

static void ordered_adjoint(const norn_support *s, const double *u, const double *x,
                            const double *gx, double gj, double *gu, double *gbound, double *work)
{
  int64_t n = s->size;
  bool from = s->lower > -HUGE_VAL, to = s->upper < HUGE_VAL;
  double after = 0;   /* of the components that move with this one */
  (void)x;
  if (from && to) { gaps_adjoint(s, u, gx, gj, gu, gbound, work); return; }
  for (int64_t i = n; i-- > 0;) {
    int64_t k = to ? n - 1 - i : i;
    after += gx[k];
    if (i == 0 && !from && !to) gu[k] += after;
    else gu[k] += (to ? -after : after) * v_exp(u[k]) + gj;
  }
  if (from) gbound[0] += after;
  if (to) gbound[1] += after;
}

/* ---- vectors of length 1 --------------------------------------------------------------------- */

/* x = u / |u| of n free numbers.  The term is such that the integral of f over the sphere is that
   of f(x(u)) exp(term) over R^n: with u standard normal, x is uniform on the sphere, whose area is
   2 pi^(n/2) / Gamma(n/2); so the term is -|u|^2/2 + (1 - n/2) log 2 - log Gamma(n/2). */
static double unit_constrain(const norn_support *s, const double *u, double *x)
{
  double top = 0, sum = 0, n = (double)s->size;
  for (int64_t k = 0; k < s->size; k++) top = fmax(top, fabs(u[k]));
  if (!(top > 0)) top = 1;
  for (int64_t k = 0; k < s->size; k++) sum += (u[k] / top) * (u[k] / top);
  double length = sqrt(sum);
  for (int64_t k = 0; k < s->size; k++) x[k] = u[k] / top / length;
  double size = top * length;
  return -0.5 * size * size + (1 - 0.5 * n) * V_LOG_2 - special_lgamma(0.5 * n);
}

static bool unit_unconstrain(const norn_support *s, const double *x, double *u)
{
  double sum = 0;
  for (int64_t k = 0; k < s->size; k++) {
    sum += x[k] * x[k];
    u[k] = x[k];
  }
  return fabs(sum - 1) <= 1e-8;
}

static void unit_adjoint(const norn_support *s, const double *u, const double *x, const double *gx,
                         double gj, double *gu, double *gbound, double *work)
{
  double dot = 0, square = 0;
  (void)gbound, (void)work;
  for (int64_t k = 0; k < s->size; k++) {
    dot += gx[k] * x[k];
    square += u[k] * u[k];
  }
  double length = sqrt(square);
  for (int64_t k = 0; k < s->size; k++) gu[k] += (gx[k] - dot * x[k]) / length - gj * u[k];
}

/* ---- matrices: L -> L L' --------------------------------------------------------------------- */

/* x = L L' of the L in the lower triangle of x. */
static void square_up(double *x /* (n, n) */, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++) {
      double sum = 0;
      for (int64_t k = 0; k <= i; k++) sum += x[i * n + k] * x[j * n + k];
      x[i * n + j] = sum;
    }
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t k = 0; k <= i; k++) sum += x[i * n + k] * x[i * n + k];
    x[i * n + i] = sum;
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) x[i * n + j] = x[j * n + i];
}

/* The derivative by L[i, j] of a function of L L' whose derivative is g: ((g + g') L)[i, j]. */
static double square_adjoint(const double *g, const double *l, int64_t n, int64_t i, int64_t j)
{
  double sum = 0;
  for (int64_t k = j; k < n; k++) sum += (g[i * n + k] + g[k * n + i]) * l[k * n + j];
  return sum;
}

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

/* u is the lower triangle of L, row by row, with the logarithm of the diagonal. */
static double factor_constrain(const norn_support *s, const double *u, double *x)
{
  int64_t n = s->size, at = 0;
  double log_jacobian = 0;
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < n; j++) x[i * n + j] = j < i ? u[at++] : 0;
    log_jacobian += u[at];
    x[i * n + i] = above(0, v_exp(u[at++]));
  }
  return log_jacobian;
}

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

static void factor_adjoint(const norn_support *s, const double *u, const double *x,
                           const double *gx, double gj, double *gu, double *gbound, double *work)
{
  int64_t n = s->size, at = 0;
  (void)x, (void)gbound, (void)work;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++, at++)
      gu[at] += j < i ? gx[i * n + j] : gx[i * n + i] * v_exp(u[at]) + gj;
}

/* log |d L L' / dL| = n log 2 + sum over i = 0 .. n-1 of (n - i) log L[i, i] */
static double cov_constrain(const norn_support *s, const double *u, double *x)
{
  int64_t n = s->size, at = 0;
  double log_jacobian = factor_constrain(s, u, x) + (double)n * V_LOG_2;
  for (int64_t i = 0; i < n; i++, at++) {
    at += i;
    log_jacobian += (double)(n - i) * u[at];
  }
  square_up(x, n);
  return log_jacobian;
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

static void cov_adjoint(const norn_support *s, const double *u, const double *x, const double *gx,
                        double gj, double *gu, double *gbound, double *work)
{
  int64_t n = s->size, at = 0;
  (void)x, (void)gbound;
  factor_constrain(s, u, work);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++, at++) {
      double g = square_adjoint(gx, work, n, i, j);
      gu[at] += j < i ? g : g * work[i * n + i] + gj * (double)(n - i + 1);
    }
}

/* ---- Cholesky factors of correlation matrices, correlation matrices -------------------------- */

/* Row i of L has length 1: L[i, j] = r[j] tanh u[j], r[j+1] = r[j] / cosh u[j], r[0] = 1, and r[i]
   stands on the diagonal.  u holds the rows without the diagonal.  Each 1 / cosh enters the log
   Jacobian twice for the slope of tanh and once for every later element of the row off the
   diagonal; `more` times again for what follows from L. */
static double row_constrain(const double *u, int64_t i, int64_t more, double *row)
{
  double r = 1, log_jacobian = 0;
  for (int64_t j = 0; j < i; j++) {
    double e = v_exp(-fabs(u[j])), sech = 2 * e / (1 + e * e);
    row[j] = r * tanh(u[j]);
    r *= sech;
    log_jacobian += (double)(1 + i - j + more) * (V_LOG_2 - fabs(u[j]) - v_log1p(e * e));
  }
  row[i] = positive(r);
  return log_jacobian;
}

static double corr_rows(const norn_support *s, const double *u, double *x, bool whole)
{
  int64_t n = s->size;
  double log_jacobian = 0;
  for (int64_t i = 0; i < n; i++) {
    log_jacobian += row_constrain(u + i * (i - 1) / 2, i, whole ? n - 1 - i : 0, x + i * n);
    for (int64_t j = i + 1; j < n; j++) x[i * n + j] = 0;
  }
  return log_jacobian;
}

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

/* From the last element of a row on; the derivative by L[i, j] is grow[j stride], by r[i] gr. */
static void row_adjoint(const double *u, int64_t i, int64_t more, const double *row,
                        const double *grow, int64_t stride, double gr, double gj, double *gu)
{
  double r = row[i];
  for (int64_t j = i; j-- > 0;) {
    double e = v_exp(-fabs(u[j])), sech = 2 * e / (1 + e * e), t = tanh(u[j]);
    double g = grow[j * stride];
    r = hypot(r, row[j]);   /* r[j] */
    gu[j] += r * sech * (g * sech - gr * t) - gj * t * (double)(1 + i - j + more);
    gr = g * t + gr * sech;
  }
}

static double corr_factor_constrain(const norn_support *s, const double *u, double *x)
{
  return corr_rows(s, u, x, false);
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

static void corr_factor_adjoint(const norn_support *s, const double *u, const double *x,
                                const double *gx, double gj, double *gu, double *gbound,
                                double *work)
{
  int64_t n = s->size;
  (void)gbound, (void)work;
  for (int64_t i = 0; i < n; i++) {
    int64_t at = i * (i - 1) / 2;
    row_adjoint(u + at, i, 0, x + i * n, gx + i * n, 1, gx[i * n + i], gj, gu + at);
  }
}

/* log |d L L' / dL| = sum over i of (n - 1 - i) log L[i, i] */
static double corr_constrain(const norn_support *s, const double *u, double *x)
{
  double log_jacobian = corr_rows(s, u, x, true);
  square_up(x, s->size);
  for (int64_t i = 0; i < s->size; i++) x[i * s->size + i] = 1;
  return log_jacobian;
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

/* The derivative by row i of L stands in column i of work, above the diagonal. */
static void corr_adjoint(const norn_support *s, const double *u, const double *x, const double *gx,
                         double gj, double *gu, double *gbound, double *work)
{
  int64_t n = s->size;
  (void)x, (void)gbound;
  corr_rows(s, u, work, true);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = i * (i - 1) / 2;
    for (int64_t j = 0; j < i; j++) work[j * n + i] = square_adjoint(gx, work, n, i, j);
    row_adjoint(u + at, i, n - 1 - i, work + i * n, work + i, n,
                square_adjoint(gx, work, n, i, i), gj, gu + at);
  }
}

/* ---- the table and the calls ----------------------------------------------------------------- */

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
