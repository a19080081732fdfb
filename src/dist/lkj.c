/* lkj: correlation matrices and their factors: lkj_corr(n, eta), lkj_corr_cholesky(n, eta).
   Lewandowski, Kurowicka and Joe 2009, "Generating random correlation matrices based on vines and
   extended onion method" (LKJ below).

   The density det(R)^(eta-1) / c is over the n(n-1)/2 entries below the diagonal.  Draws go by the
   C-vine (LKJ section 2.4): partial correlations p[i, k], i > k, given the variables before k, are
   independent, (p+1)/2 beta(b, b) with b = eta + (n-2-k)/2, and L[i, k] is p[i, k] times the
   sqrt(1 - p[i, j]^2), j < k. */
#include "dist/matrix.h"
#include "num/special.h"
#include "num/rng.h"
#include <string.h>

#define LKJ_MOST 65536   /* the largest order */

static void lkj_view(const norn_dist *d, int64_t *n, double *eta)
{
  *n = d->args[0].i;
  *eta = 1;
  norn_as_real(d->args[1], eta);
}

static norn_status lkj_check(norn_state *st, const norn_dist *d)
{
  char what[120];
  double eta;
  bool whole = d->n > 0 && d->args[0].tag == NORN_INT;
  if (!whole || d->args[0].i < 1 || d->args[0].i > LKJ_MOST)
    return norn_fail(st, whole ? NORN_EDOMAIN : NORN_ETYPE, 0,
                     "n of %s must be an integer from 1 to %d, got %s", d->row->name, LKJ_MOST,
                     d->n < 1 ? "nothing" : norn_as_real(d->args[0], &eta)
                     ? norn_show(st, d->args[0], true, 40)
                     : norn_describe(st, d->args[0], what, sizeof what));
  return dist_want_number(st, d, 1, true, &eta);
}

/* -log c (LKJ eq. 16).  Written with Gamma(eta + (n-1)/2)^(n-1) over the Gamma(eta + (n-1-k)/2),
   k = 1..n-1, ratios of neighbours by a half are left: with m = 1..n-1, (n-m) times
   log Gamma(h + 1/2) - log Gamma(h) - log(pi)/2 at h = eta + (n-1-m)/2. */
static double lkj_constant(int64_t n, double eta)
{
  double sum = 0;
  for (int64_t m = 1; m < n; m++)
    sum += (double)(n - m) * (special_half_gamma_ratio(eta + 0.5 * (double)(n - 1 - m)) -
                              0.5 * V_LOG_PI);
  return sum;
}

static double lkj_constant_slope(int64_t n, double eta)
{
  double sum = 0;
  for (int64_t m = 1; m < n; m++) {
    double h = eta + 0.5 * (double)(n - 1 - m);
    sum += (double)(n - m) * (dist_gamma_rise_slope(h, 1) + 0.5 / h);
  }
  return sum;
}

/* ---- draws ----------------------------------------------------------------------------------- */

/* With t half the difference of two log gamma(b) draws, p = tanh t and sqrt(1 - p^2) = 1 / cosh t:
   no p near 1 loses the latter. */
static void vine_draw(norn_rng *g, double b, double *p, double *rest)
{
  double t = 0.5 * (dist_draw_log_gamma(g, b) - dist_draw_log_gamma(g, b));
  double e = v_exp(-fabs(t)), s = 1 + e * e;
  *p = t < 0 ? (e * e - 1) / s : (1 - e * e) / s;
  *rest = 2 * e / s;
}

/* l (n, n), of rows of length 1 */
static void lkj_draw(norn_rng *g, int64_t n, double eta, double *l)
{
  memset(l, 0, (size_t)(n * n) * sizeof *l);
  for (int64_t i = 0; i < n; i++) {
    double left = 1, p, rest;
    for (int64_t k = 0; k < i; k++) {
      vine_draw(g, eta + 0.5 * (double)(n - 2 - k), &p, &rest);
      l[i * n + k] = left * p;
      left *= rest;
    }
    l[i * n + i] = dist_clamp_positive(left);
  }
}

static norn_status cholesky_sample(norn_state *st, const norn_dist *d, norn_rng *g,
                                   norn_datum *out)
{
  int64_t n;
  double eta;
  lkj_view(d, &n, &eta);
  double *l = dist_new_array(st, 2, (int64_t[]){n, n}, out);
  if (!l) return norn_error(st)->code;
  lkj_draw(g, n, eta, l);
  return NORN_OK;
}

static norn_status corr_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  int64_t n;
  double eta;
  dist_space s;
  lkj_view(d, &n, &eta);
  double *l = dist_space_open(&s, st, n * n);
  if (!l) return NORN_EMEMORY;
  double *r = dist_new_array(st, 2, (int64_t[]){n, n}, out);
  if (r) {
    lkj_draw(g, n, eta, l);
    for (int64_t i = 0; i < n; i++) {
      r[i * n + i] = 1;
      for (int64_t j = 0; j < i; j++)
        r[i * n + j] = r[j * n + i] = la_dot(l + i * n, l + j * n, j + 1);
    }
    dist_keep_definite(r, l, n);
  }
  dist_space_close(&s);
  return r ? NORN_OK : norn_error(st)->code;
}

/* ---- densities ------------------------------------------------------------------------------- */

static norn_status lkj_value(norn_state *st, const norn_dist *d, norn_datum x, norn_view *v)
{
  int64_t n = d->args[0].i;
  return dist_want_value(st, d, x, 2, (int64_t[]){n, n}, v);
}

/* The Cholesky factor of a correlation matrix into l; false: it is none. */
static bool corr_factor(const norn_view *v, double *l)
{
  int64_t n = v->dims[0], row, column;
  if (!dist_is_symmetric(v, &row, &column)) return false;
  for (int64_t i = 0; i < n; i++)
    if (!(fabs(dist_real_at(v, i * (n + 1)) - 1) <= 1e-8)) return false;
  dist_fill_symmetric(v, l);
  return la_cholesky(l, n) == 0;
}

/* Whether v is lower triangular with a positive diagonal and rows of length 1. */
static bool is_corr_factor(const norn_view *v)
{
  int64_t n = v->dims[0];
  for (int64_t i = 0; i < n; i++) {
    double square = 0;
    for (int64_t j = 0; j < n; j++) {
      double a = dist_real_at(v, i * n + j);
      if (j > i ? a != 0 : j == i && !(a > 0)) return false;
      square += a * a;
    }
    if (!(fabs(square - 1) <= 1e-8)) return false;
  }
  return true;
}

/* (eta - 1) log det R - log c; -inf off the support */
static norn_status corr_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  int64_t n;
  double eta;
  norn_view v;
  dist_space s;
  norn_status status = lkj_value(st, d, x, &v);
  if (status) return status;
  lkj_view(d, &n, &eta);
  double *l = dist_space_open(&s, st, n * n);
  if (!l) return NORN_EMEMORY;
  *out = !corr_factor(&v, l) ? -HUGE_VAL :
      (eta - 1) * la_cholesky_log_det(l, n) + lkj_constant(n, eta);
  dist_space_close(&s);
  return NORN_OK;
}

/* det R is prod L[i, i]^2, and the map from L's entries below the diagonal to those of R has the
   Jacobian prod L[i, i]^(n-1-i): sum over i >= 1 of (n-1-i + 2 eta - 2) log L[i, i], - log c. */
static norn_status cholesky_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  int64_t n;
  double eta;
  norn_view v;
  norn_status status = lkj_value(st, d, x, &v);
  if (status) return status;
  lkj_view(d, &n, &eta);
  *out = -HUGE_VAL;
  if (!is_corr_factor(&v)) return NORN_OK;
  *out = lkj_constant(n, eta);
  for (int64_t i = 1; i < n; i++)
    *out += ((double)(n - 1 - i) + 2 * (eta - 1)) * v_log(dist_real_at(&v, i * (n + 1)));
  return NORN_OK;
}

/* In R (eta - 1) R^-1; in eta log det R and the constant's. */
static norn_status corr_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                 double *gx, double *g)
{
  int64_t n;
  double eta;
  norn_view v;
  dist_space s;
  norn_status status = lkj_value(st, d, x, &v);
  if (status) return status;
  lkj_view(d, &n, &eta);
  double *l = dist_space_open(&s, st, 2 * n * n), *inverse = l + n * n;
  if (!l) return NORN_EMEMORY;
  if (corr_factor(&v, l)) {
    if (g) g[1] += scale * (la_cholesky_log_det(l, n) + lkj_constant_slope(n, eta));
    if (gx) la_cholesky_inverse(l, n, inverse);
    for (int64_t k = 0; gx && k < n * n; k++) gx[k] += scale * (eta - 1) * inverse[k];
  }
  dist_space_close(&s);
  return NORN_OK;
}

static norn_status cholesky_partials(norn_state *st, const norn_dist *d, norn_datum x,
                                     double scale, double *gx, double *g)
{
  int64_t n;
  double eta, half = 0;
  norn_view v;
  norn_status status = lkj_value(st, d, x, &v);
  if (status) return status;
  lkj_view(d, &n, &eta);
  if (!is_corr_factor(&v)) return NORN_OK;
  for (int64_t i = 1; i < n; i++) {
    double l = dist_real_at(&v, i * (n + 1));
    half += v_log(l);
    if (gx) gx[i * (n + 1)] += scale * ((double)(n - 1 - i) + 2 * (eta - 1)) / l;
  }
  if (g) g[1] += scale * (2 * half + lkj_constant_slope(n, eta));
  return NORN_OK;
}

/* ---- support and moments --------------------------------------------------------------------- */

static void corr_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  *out = (norn_support){NORN_SUPPORT_CORR, -1, 1, d->args[0].i, 1, -1, -1};
}
static void cholesky_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  *out = (norn_support){NORN_SUPPORT_CHOLESKY_CORR, -1, 1, d->args[0].i, 1, -1, -1};
}

/* The identity; off the diagonal (r+1)/2 is beta(b, b), b = eta + (n-2)/2, of variance 1/(2b+1). */
static norn_status corr_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                norn_datum *variance)
{
  int64_t n;
  double eta;
  lkj_view(d, &n, &eta);
  double *m = dist_new_array(st, 2, (int64_t[]){n, n}, mean);
  double *v = dist_new_array(st, 2, (int64_t[]){n, n}, variance);
  for (int64_t k = 0; m && v && k < n * n; k++) {
    bool diagonal = k / n == k % n;
    m[k] = diagonal;
    v[k] = diagonal ? 0 : 1 / (2 * eta + (double)(n - 1));
  }
  return m && v ? NORN_OK : norn_error(st)->code;
}

/* Products over the independent p: E p^2 = 1/(2b+1), E(1-p^2) = 2b/(2b+1), and
   E sqrt(1-p^2) = 2 B(b+1/2, b+1/2) / B(b, b) = 2 (Gamma(b+1/2)/Gamma(b))^2 / (2b). */
static norn_status cholesky_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                    norn_datum *variance)
{
  int64_t n;
  double eta;
  lkj_view(d, &n, &eta);
  double *m = dist_new_array(st, 2, (int64_t[]){n, n}, mean);
  double *v = dist_new_array(st, 2, (int64_t[]){n, n}, variance);
  for (int64_t i = 0; m && v && i < n; i++) {
    double first = 1, second = 1;
    for (int64_t k = 0; k < n; k++) {
      double b = eta + 0.5 * (double)(n - 2 - k);
      m[i * n + k] = k == i ? first : 0;
      v[i * n + k] = k > i ? 0 : k == i ? fmax(second - first * first, 0) : second / (2 * b + 1);
      if (k >= i) continue;
      first *= v_exp(2 * special_half_gamma_ratio(b)) / b;
      second *= 2 * b / (2 * b + 1);
    }
  }
  return m && v ? NORN_OK : norn_error(st)->code;
}

static const norn_dist_row rows[] = {
  {.name = "lkj_corr", .params = "n, eta", .flags = NORN_DIST_CONTINUOUS,
   .doc = "A correlation matrix of order n: uniform at eta = 1, near the identity for large eta.\n"
          "Density det(R)^(eta - 1) / c over the entries below the diagonal; eta > 0.\n"
          "Example: pdf(lkj_corr(2, 1), [[1, 0.3], [0.3, 1]])\n=> 0.5",
   .check = lkj_check, .sample = corr_sample, .logp = corr_logp, .partials = corr_partials,
   .support = corr_support, .moments = corr_moments},
  {.name = "lkj_corr_cholesky", .params = "n, eta", .flags = NORN_DIST_CONTINUOUS,
   .doc = "The lower Cholesky factor L of a correlation matrix L L' that is lkj_corr(n, eta).\n"
          "Density prod over i of L[i, i]^(n - 1 - i + 2 eta - 2) / c, i from 0, over the entries "
          "below\nthe diagonal; the rows of L have length 1.",
   .check = lkj_check, .sample = cholesky_sample, .logp = cholesky_logp,
   .partials = cholesky_partials, .support = cholesky_support, .moments = cholesky_moments},
};

const dist_shelf dist_lkjs = {rows, sizeof rows / sizeof rows[0]};
