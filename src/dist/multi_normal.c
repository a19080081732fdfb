/* multi_normal: normal and Student t vectors: multi_normal(mu, sigma), multi_normal_prec(mu, omega),
   multi_normal_cholesky(mu, l), multi_student_t(nu, mu, sigma).

   The matrix gives a lower triangular L: sigma = L L' or omega = L L'.  With the residuals of the
   rows as columns of y (n, rows), z = L^-1 y (or L' y) has unit covariance and a = sigma^-1 y.  A
   matrix mu (rows, n) makes independent rows with one factorisation.  Formulas: Stan functions
   reference, "Distributions over unbounded vectors"; derivatives: Petersen and Pedersen 2012, "The
   matrix cookbook", (57), (61). */
#include "dist/matrix.h"
#include "num/special.h"
#include <string.h>

typedef enum { COVARIANCE, CHOLESKY, PRECISION } form;

typedef struct gauss {
  norn_state *st;
  const norn_dist *d;
  form form;
  int at_mu, at_matrix;         /* their arguments */
  bool student;
  int64_t n, rows;
  norn_view mu, matrix;
  double *l, *y, *z, *a, *inverse;   /* (n, n), (n, rows) three times, (n, n) */
  dist_space space;
} gauss;

static form form_of(const norn_dist_row *row)
{
  return strstr(row->name, "cholesky") ? CHOLESKY : strstr(row->name, "prec") ? PRECISION :
      COVARIANCE;
}

/* Shapes; no numbers yet. */
static void gauss_view(norn_state *st, const norn_dist *d, gauss *g)
{
  g->st = st;
  g->d = d;
  g->form = form_of(d->row);
  g->student = d->n == 3;
  g->at_mu = g->student;
  g->at_matrix = g->at_mu + 1;
  dist_numbers(d->args[g->at_mu], 0, &g->mu);
  dist_numbers(d->args[g->at_matrix], 2, &g->matrix);
  g->n = g->mu.dims[g->mu.rank - 1];
  g->rows = g->mu.rank == 2 ? g->mu.dims[0] : 1;
}

/* L, and room for the rest. */
static norn_status gauss_open(norn_state *st, const norn_dist *d, gauss *g)
{
  gauss_view(st, d, g);
  int64_t square = g->n * g->n, block = g->n * g->rows;
  g->l = dist_space_open(&g->space, st, 2 * square + 3 * block);
  if (!g->l) return NORN_EMEMORY;
  g->y = g->l + square;
  g->z = g->y + block;
  g->a = g->z + block;
  g->inverse = g->a + block;
  if (g->form == CHOLESKY) {
    dist_fill(&g->matrix, g->l);
    return NORN_OK;
  }
  dist_fill_symmetric(&g->matrix, g->l);
  norn_status status = dist_factor(st, d, g->at_matrix, g->l, g->n);
  if (status) dist_space_close(&g->space);
  return status;
}

static void gauss_close(gauss *g) { dist_space_close(&g->space); }

/* ---- check ----------------------------------------------------------------------------------- */

static norn_status want_mu(norn_state *st, const norn_dist *d, int i, norn_view *mu)
{
  if (i >= d->n || !dist_numbers(d->args[i], 2, mu) || mu->n < 1)
    return dist_want_vector(st, d, i, 0, mu);
  int64_t k = dist_not_finite(mu, true), n = mu->dims[1];
  if (k < 0) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, i, "mu of %s must be finite, but element [%lld, %lld] is %s",
                   d->row->name, (long long)(k / n), (long long)(k % n),
                   norn_show(st, norn_real(mu->f[k]), true, 40));
}

static norn_status gauss_check(norn_state *st, const norn_dist *d)
{
  norn_view mu, matrix;
  double nu;
  int at_mu = d->n == 3;
  norn_status status = at_mu ? dist_want_number(st, d, 0, true, &nu) : NORN_OK;
  if (!status) status = want_mu(st, d, at_mu, &mu);
  if (status) return status;
  return (form_of(d->row) == CHOLESKY ? dist_want_factor : dist_want_definite)
    (st, d, at_mu + 1, mu.dims[mu.rank - 1], at_mu, &matrix);
}

/* ---- draws ----------------------------------------------------------------------------------- */

/* mu + s L z, or mu + s L'^-1 z where L is of the precision; s = sqrt(nu / chi-square(nu)) of each
   row of a Student t, else 1. */
static norn_status gauss_sample(norn_state *st, const norn_dist *d, norn_rng *rng, norn_datum *out)
{
  gauss g;
  norn_status status = gauss_open(st, d, &g);
  if (status) return status;
  double nu, *x = dist_new_array(st, g.mu.rank, g.mu.dims, out), *from = g.y;
  norn_rng_normals(rng, g.z, g.n * g.rows);
  if (g.form == PRECISION) la_solve_lower(true, g.l, g.n, from = g.z, g.rows);
  else la_mul(false, false, g.n, g.rows, g.n, 1, g.l, g.z, 0, g.y);
  for (int64_t r = 0; x && r < g.rows; r++) {
    double s = 1;
    if (g.student && norn_as_real(d->args[0], &nu))
      s = v_exp(0.5 * (v_log(0.5 * nu) - dist_draw_log_gamma(rng, 0.5 * nu)));
    for (int64_t k = 0; k < g.n; k++) {
      double y = dist_real_at(&g.mu, r * g.n + k) + s * from[k * g.rows + r];
      x[r * g.n + k] = fmax(fmin(y, 1.7976931348623157e308), -1.7976931348623157e308);
    }
  }
  gauss_close(&g);
  return x ? NORN_OK : norn_error(st)->code;
}

/* ---- density --------------------------------------------------------------------------------- */

/* y = x - mu and z, by columns. */
static norn_status gauss_residuals(gauss *g, norn_datum x)
{
  norn_view v;
  norn_status status = dist_want_value(g->st, g->d, x, g->mu.rank, g->mu.dims, &v);
  if (status) return status;
  for (int64_t r = 0; r < g->rows; r++)
    for (int64_t k = 0; k < g->n; k++)
      g->y[k * g->rows + r] = dist_real_at(&v, r * g->n + k) - dist_real_at(&g->mu, r * g->n + k);
  if (g->form == PRECISION) {
    la_mul(true, false, g->n, g->rows, g->n, 1, g->l, g->y, 0, g->z);
  } else {
    memcpy(g->z, g->y, (size_t)(g->n * g->rows) * sizeof *g->z);
    la_solve_lower(false, g->l, g->n, g->z, g->rows);
  }
  return NORN_OK;
}

/* |z|^2 of row r, as most^2 * the returned number: neither overflows. */
static double row_square(const gauss *g, int64_t r, double *most)
{
  double sum = 0, top = 0;
  for (int64_t k = 0; k < g->n; k++) top = fmax(top, fabs(g->z[k * g->rows + r]));
  *most = top < 1e150 ? 1 : top;
  for (int64_t k = 0; k < g->n; k++) {
    double z = g->z[k * g->rows + r] / *most;
    sum += z * z;
  }
  return sum;
}

/* log(1 + |z|^2 / nu) */
static double student_spread(const gauss *g, int64_t r, double nu)
{
  double most, q = row_square(g, r, &most);
  return most == 1 ? v_log1p(q / nu) : 2 * v_log(most) + v_log(q) - v_log(nu);
}

/* -1/2 log det sigma */
static double gauss_half_log_det(const gauss *g)
{
  double half = 0.5 * la_cholesky_log_det(g->l, g->n);
  return g->form == PRECISION ? half : -half;
}

/* rows * (-n/2 log 2 pi - 1/2 log det sigma) - 1/2 sum z^2 */
static norn_status normal_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  gauss g;
  norn_status status = gauss_open(st, d, &g);
  if (status) return status;
  if (!(status = gauss_residuals(&g, x))) {
    double row = gauss_half_log_det(&g) - (double)g.n * V_LOG_SQRT_2PI;
    *out = (double)g.rows * row - 0.5 * la_dot(g.z, g.z, g.n * g.rows);
  }
  gauss_close(&g);
  return status;
}

/* Of a row: log Gamma((nu+n)/2) - log Gamma(nu/2) - n/2 log(nu pi) - 1/2 log det sigma
   - (nu+n)/2 log(1 + |z|^2/nu) */
static norn_status student_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  gauss g;
  double nu = 0;
  norn_status status = gauss_open(st, d, &g);
  if (status) return status;
  norn_as_real(d->args[0], &nu);
  if (!(status = gauss_residuals(&g, x))) {
    double front = dist_gamma_rise(0.5 * nu, g.n) - (double)g.n * V_LOG_SQRT_2PI +
        gauss_half_log_det(&g);
    *out = 0;
    for (int64_t r = 0; r < g.rows; r++)
      *out += front - 0.5 * (nu + (double)g.n) * student_spread(&g, r, nu);
  }
  gauss_close(&g);
  return status;
}

/* ---- derivatives ----------------------------------------------------------------------------- */

/* a = sigma^-1 y */
static void gauss_weights(gauss *g)
{
  if (g->form == PRECISION) {
    la_mul(false, false, g->n, g->rows, g->n, 1, g->l, g->z, 0, g->a);
  } else {
    memcpy(g->a, g->z, (size_t)(g->n * g->rows) * sizeof *g->a);
    la_solve_lower(true, g->l, g->n, g->a, g->rows);
  }
}

/* Adds c a to row r of to. */
static void add_row(const gauss *g, int64_t r, double c, double *to)
{
  for (int64_t k = 0; to && k < g->n; k++) to[r * g->n + k] += c * g->a[k * g->rows + r];
}

/* left (n, rows) diag(pull) right', symmetric if left is right, minus rows * inverse, times c. */
static void add_outer(const gauss *g, double c, const double *left, const double *right,
                      const double *pull, double *to)
{
  for (int64_t i = 0; i < g->n; i++)
    for (int64_t j = 0; j < g->n; j++) {
      double sum = 0;
      for (int64_t r = 0; r < g->rows; r++)
        sum += (pull ? pull[r] : 1) * left[i * g->rows + r] * right[j * g->rows + r];
      to[i * g->n + j] += c * (sum - (double)g->rows * g->inverse[i * g->n + j]);
    }
}

/* The derivative in the matrix: 1/2 (a a' - sigma^-1); 1/2 (sigma - y y'); or a z' - diag(1/L) in
   the lower half of L, which alone the density reads. */
static void gauss_matrix_partials(gauss *g, double scale, const double *pull, double *to)
{
  if (g->form == CHOLESKY) {
    for (int64_t i = 0; i < g->n; i++)
      for (int64_t j = 0; j <= i; j++) {
        double sum = i == j ? -(double)g->rows / g->l[i * g->n + i] : 0;
        for (int64_t r = 0; r < g->rows; r++) sum += g->a[i * g->rows + r] * g->z[j * g->rows + r];
        to[i * g->n + j] += scale * sum;
      }
    return;
  }
  la_cholesky_inverse(g->l, g->n, g->inverse);
  if (g->form == PRECISION) add_outer(g, -0.5 * scale, g->y, g->y, NULL, to);
  else add_outer(g, 0.5 * scale, g->a, g->a, pull, to);
}

static norn_status normal_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                   double *gx, double *leaf)
{
  gauss g;
  norn_status status = gauss_open(st, d, &g);
  if (status) return status;
  if (!(status = gauss_residuals(&g, x))) {
    gauss_weights(&g);
    for (int64_t r = 0; r < g.rows; r++) {
      add_row(&g, r, -scale, gx);
      add_row(&g, r, scale, leaf);
    }
    if (leaf) gauss_matrix_partials(&g, scale, NULL, leaf + g.mu.n);
  }
  gauss_close(&g);
  return status;
}

/* pull = (nu + n) / (nu + |z|^2); in nu, 1/2 (psi((nu+n)/2) - psi(nu/2) - n/nu - log(1 + |z|^2/nu)
   + pull |z|^2 / nu).  A row's z and a are measured in its largest, so that no square overflows. */
static void student_row(gauss *g, int64_t r, double nu, double scale, double *gx, double *leaf)
{
  double most, q = row_square(g, r, &most), n = (double)g->n;
  double pull = (nu + n) / (nu / most / most + q);
  for (int64_t k = 0; k < g->n; k++) g->a[k * g->rows + r] /= most;
  add_row(g, r, -scale * pull / most, gx);
  add_row(g, r, scale * pull / most, leaf ? leaf + 1 : NULL);
  if (leaf)
    leaf[0] += scale * 0.5 * (dist_gamma_rise_slope(0.5 * nu, g->n) - student_spread(g, r, nu) +
                              pull * q / nu);
  g->y[r] = pull;            /* the residuals are not needed any more */
}

static norn_status student_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                    double *gx, double *leaf)
{
  gauss g;
  double nu = 0;
  norn_status status = gauss_open(st, d, &g);
  if (status) return status;
  norn_as_real(d->args[0], &nu);
  if (!(status = gauss_residuals(&g, x))) {
    gauss_weights(&g);
    for (int64_t r = 0; r < g.rows; r++) student_row(&g, r, nu, scale, gx, leaf);
    if (leaf) gauss_matrix_partials(&g, scale, g.y, leaf + 1 + g.mu.n);
  }
  gauss_close(&g);
  return status;
}

/* ---- support and moments --------------------------------------------------------------------- */

static void gauss_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  gauss g;
  gauss_view(st, d, &g);
  *out = (norn_support){NORN_SUPPORT_REAL, -HUGE_VAL, HUGE_VAL, 1, g.mu.n, -1, -1};
}

/* sigma[k, k] */
static double gauss_variance(const gauss *g, int64_t k)
{
  if (g->form == CHOLESKY) return la_dot(g->l + k * g->n, g->l + k * g->n, g->n);
  return g->form == PRECISION ? g->inverse[k * (g->n + 1)] : dist_real_at(&g->matrix,
      k * (g->n + 1));
}

/* mu and the diagonal of sigma; of a Student t mu for nu > 1 and nu/(nu-2) of it for nu > 2. */
static norn_status gauss_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                 norn_datum *variance)
{
  gauss g;
  double nu = HUGE_VAL;
  norn_status status = gauss_open(st, d, &g);
  if (status) return status;
  if (g.student) norn_as_real(d->args[0], &nu);
  double *m = dist_new_array(st, g.mu.rank, g.mu.dims, mean);
  double *v = dist_new_array(st, g.mu.rank, g.mu.dims, variance);
  if (g.form == PRECISION) la_cholesky_inverse(g.l, g.n, g.inverse);
  double grow = !g.student ? 1 : nu > 2 ? nu / (nu - 2) : nu > 1 ? HUGE_VAL : (double)NAN;
  for (int64_t k = 0; m && v && k < g.mu.n; k++) {
    m[k] = nu > 1 ? dist_real_at(&g.mu, k) : (double)NAN;
    v[k] = grow * gauss_variance(&g, k % g.n);
  }
  gauss_close(&g);
  return m && v ? NORN_OK : norn_error(st)->code;
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define ROWS "A matrix mu (rows, n) makes independent rows.  "

static const norn_dist_row rows[] = {
  {.name = "multi_normal", .params = "mu, sigma", .flags = NORN_DIST_CONTINUOUS,
   .doc = "The normal vector with mean mu and covariance matrix sigma.\n" ROWS "\n"
          "Density (2 pi)^(-n/2) det(sigma)^(-1/2) exp(-(x - mu)' sigma^-1 (x - mu) / 2).\n"
          "Example: logpdf(multi_normal([0, 0], [[1, 0], [0, 1]]), [1, 2]) + log(2 * pi)\n=> -2.5",
   .hint = "multi_normal(mu, sigma) takes the covariance matrix; multi_normal_cholesky its factor",
   .check = gauss_check, .sample = gauss_sample, .logp = normal_logp, .partials = normal_partials,
   .support = gauss_support, .moments = gauss_moments},
  {.name = "multi_normal_cholesky", .params = "mu, l", .flags = NORN_DIST_CONTINUOUS,
   .doc = "The normal vector with mean mu and covariance l l', l lower triangular.\n" ROWS "\n"
          "Density (2 pi)^(-n/2) prod(1 / l[i, i]) exp(-|l^-1 (x - mu)|^2 / 2).",
   .check = gauss_check, .sample = gauss_sample, .logp = normal_logp, .partials = normal_partials,
   .support = gauss_support, .moments = gauss_moments},
  {.name = "multi_normal_prec", .params = "mu, omega", .flags = NORN_DIST_CONTINUOUS,
   .doc = "The normal vector with mean mu and precision matrix omega, the inverse of its "
          "covariance.\n" ROWS "\n"
          "Density (2 pi)^(-n/2) det(omega)^(1/2) exp(-(x - mu)' omega (x - mu) / 2).",
   .check = gauss_check, .sample = gauss_sample, .logp = normal_logp, .partials = normal_partials,
   .support = gauss_support, .moments = gauss_moments},
  {.name = "multi_student_t", .params = "nu, mu, sigma", .flags = NORN_DIST_CONTINUOUS,
   .doc = "Student's t vector: nu degrees of freedom, location mu, scale matrix sigma.\n" ROWS "\n"
          "Density Gamma((nu+n)/2) / Gamma(nu/2) (nu pi)^(-n/2) det(sigma)^(-1/2)\n"
          "(1 + (x - mu)' sigma^-1 (x - mu) / nu)^(-(nu+n)/2); covariance nu/(nu-2) sigma.",
   .check = gauss_check, .sample = gauss_sample, .logp = student_logp,
   .partials = student_partials, .support = gauss_support, .moments = gauss_moments},
};

const dist_shelf dist_multi_normals = {rows, sizeof rows / sizeof rows[0]};
