/* gp: gaussian_process(x, kernel, mean, noise): a normal vector whose covariance is a kernel of the
   points x, plus noise^2 on the diagonal (Rasmussen and Williams 2006, "Gaussian processes for
   machine learning", algorithm 2.1, equations 2.30 and 5.9). */
#include "dist/gp.h"
#include "dist/matrix.h"
#include "num/vmath.h"
#include <stdio.h>

/* ---- points and covariances ------------------------------------------------------------------ */

norn_status gp_points_read(norn_state *st, norn_datum x, int arg, const char *what, gp_points *to)
{
  char got[120];
  norn_view *v = &to->view;
  bool good = dist_numbers(x, 0, v) && v->rank <= 2 && v->n > 0;
  if (!good)
    return norn_fail(st, NORN_ETYPE, arg, "%s must be a vector of numbers or a matrix of points as "
                     "rows, got %s", what, norn_describe(st, x, got, sizeof got));
  to->n = v->dims[0];
  to->dim = v->rank == 2 ? v->dims[1] : 1;
  int64_t k = dist_not_finite(v, true);
  if (k < 0) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, arg, "%s must be finite, but point %lld has %s", what,
                   (long long)(k / to->dim), norn_show(st, norn_real(v->f[k]), true, 40));
}

void gp_cov(const gp_kernel *kernel, int64_t dim, const double *x, int64_t nx, const double *y,
            int64_t ny, double *cov)
{
  for (int64_t i = 0; i < nx; i++)
    for (int64_t j = 0; j < ny; j++)
      cov[i * ny + j] = gp_kernel_at(kernel, x + i * dim, y + j * dim, dim);
}

void gp_cov_self(const gp_kernel *kernel, int64_t dim, const double *x, int64_t n, double noise,
                 double *cov)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double k = gp_kernel_at(kernel, x + i * dim, x + j * dim, dim);
      cov[i * n + j] = cov[j * n + i] = i == j ? k + noise * noise : k;
    }
}

norn_status gp_factor(norn_state *st, int arg, double *cov, int64_t n)
{
  bool rounding;
  int64_t minor = dist_cholesky(cov, n, &rounding);
  if (!minor) return NORN_OK;
  norn_fail(st, NORN_EDOMAIN, arg, "the covariance matrix of the kernel at these points must be "
            "positive definite, but its leading minor of order %lld is %s", (long long)minor,
            rounding ? "0 but for rounding" : "not positive");
  norn_hint(st, "points close together: a small noise, as noise = 1e-4, makes it so");
  return NORN_EDOMAIN;
}

/* ---- the distribution ------------------------------------------------------------------------ */

enum { X, KERNEL, MEAN, NOISE };

typedef struct process {
  norn_state *st;
  const norn_dist *d;
  gp_points points;
  gp_kernel kernel;
  bool constant;              /* the mean is one number */
  norn_view mean;
  double level, noise;
  double *x, *l, *inverse, *y, *a;   /* (n, dim), (n, n) twice, (n) twice */
  dist_space space;
} process;

static double mean_at(const process *p, int64_t k)
{
  return p->constant ? p->level : dist_real_at(&p->mean, k);
}

/* The arguments; errors as of a check. */
static norn_status process_view(norn_state *st, const norn_dist *d, process *p)
{
  p->st = st;
  p->d = d;
  norn_status status = gp_points_read(st, d->args[X], X, "x of gaussian_process", &p->points);
  if (!status) status = gp_kernel_read(st, d->args[KERNEL], KERNEL, &p->kernel);
  if (status) return status;
  p->constant = norn_array_length(d->args[MEAN]) < 0;
  status = p->constant ? dist_want_number(st, d, MEAN, false, &p->level)
                       : dist_want_vector(st, d, MEAN, p->points.n, &p->mean);
  if (!status) status = dist_want_number(st, d, NOISE, false, &p->noise);
  if (!status && p->noise < 0)
    status = norn_fail(st, NORN_EDOMAIN, NOISE, "noise of gaussian_process must be 0 or more, got "
                       "%s", norn_show(st, d->args[NOISE], true, 40));
  return status;
}

static norn_status process_open(norn_state *st, const norn_dist *d, process *p)
{
  norn_status status = process_view(st, d, p);
  if (status) return status;
  int64_t n = p->points.n;
  p->x = dist_space_open(&p->space, st, p->points.view.n + 2 * n * n + 2 * n);
  if (!p->x) return NORN_EMEMORY;
  p->l = p->x + p->points.view.n;
  p->inverse = p->l + n * n;
  p->y = p->inverse + n * n;
  p->a = p->y + n;
  dist_fill(&p->points.view, p->x);
  gp_cov_self(&p->kernel, p->points.dim, p->x, n, p->noise, p->l);
  status = gp_factor(st, KERNEL, p->l, n);
  if (status) dist_space_close(&p->space);
  return status;
}

static norn_status process_check(norn_state *st, const norn_dist *d)
{
  process p;
  norn_status status = process_open(st, d, &p);
  if (!status) dist_space_close(&p.space);
  return status;
}

/* mean + L z */
static norn_status process_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  process p;
  norn_status status = process_open(st, d, &p);
  if (status) return status;
  int64_t n = p.points.n;
  double *f = dist_new_array(st, 1, &n, out);
  norn_rng_normals(g, p.y, n);
  if (f) la_mul_vector(false, n, n, p.l, p.y, f);
  for (int64_t k = 0; f && k < n; k++) f[k] += mean_at(&p, k);
  dist_space_close(&p.space);
  return f ? NORN_OK : norn_error(st)->code;
}

/* y = L^-1 (value - mean) */
static norn_status process_residuals(process *p, norn_datum x)
{
  norn_view v;
  norn_status status = dist_want_value(p->st, p->d, x, 1, &p->points.n, &v);
  if (status) return status;
  for (int64_t k = 0; k < v.n; k++) p->y[k] = dist_real_at(&v, k) - mean_at(p, k);
  la_solve_lower(false, p->l, v.n, p->y, 1);
  return NORN_OK;
}

/* -n/2 log 2 pi - 1/2 log det K - 1/2 |y|^2 */
static norn_status process_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  process p;
  norn_status status = process_open(st, d, &p);
  if (status) return status;
  int64_t n = p.points.n;
  status = process_residuals(&p, x);
  if (!status)
    *out = -0.5 * (la_cholesky_log_det(p.l, n) + la_dot(p.y, p.y, n)) -
        (double)n * V_LOG_SQRT_2PI;
  dist_space_close(&p.space);
  return status;
}

/* With a = K^-1 (value - mean), the derivative in K is 1/2 (a a' - K^-1): each pair of points hands
   its share on to the kernel. */
static void matrix_partials(const process *p, double scale, double *gx, double *gk, double *gnoise)
{
  int64_t n = p->points.n, dim = p->points.dim;
  la_cholesky_inverse(p->l, n, p->inverse);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double g = 0.5 * scale * (p->a[i] * p->a[j] - p->inverse[i * n + j]);
      if (i == j) *gnoise += g * 2 * p->noise;
      gp_kernel_partials(&p->kernel, p->x + i * dim, p->x + j * dim, dim, i == j ? g : 2 * g, gk,
                         gx + i * dim, gx + j * dim);
    }
}

static norn_status process_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                    double *gx, double *g)
{
  process p;
  norn_status status = process_open(st, d, &p);
  if (status) return status;
  int64_t n = p.points.n;
  if (!(status = process_residuals(&p, x))) {
    for (int64_t k = 0; k < n; k++) p.a[k] = p.y[k];
    la_solve_lower(true, p.l, n, p.a, 1);
    for (int64_t k = 0; gx && k < n; k++) gx[k] -= scale * p.a[k];
    if (g) {
      double *gmean = g + dist_leaf(d, MEAN);
      for (int64_t k = 0; k < n; k++) gmean[p.constant ? 0 : k] += scale * p.a[k];
      matrix_partials(&p, scale, g, g + dist_leaf(d, KERNEL), g + dist_leaf(d, NOISE));
    }
  }
  dist_space_close(&p.space);
  return status;
}

static void process_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  *out = (norn_support){NORN_SUPPORT_REAL, -HUGE_VAL, HUGE_VAL, 1, norn_array_length(d->args[X]),
                        -1, -1};
}

/* The mean, and k(x, x) + noise^2. */
static norn_status process_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                   norn_datum *variance)
{
  process p;
  norn_status status = process_open(st, d, &p);
  if (status) return status;
  int64_t n = p.points.n, dim = p.points.dim;
  double *m = dist_new_array(st, 1, &n, mean), *v = dist_new_array(st, 1, &n, variance);
  for (int64_t k = 0; m && v && k < n; k++) {
    m[k] = mean_at(&p, k);
    v[k] = gp_kernel_at(&p.kernel, p.x + k * dim, p.x + k * dim, dim) + p.noise * p.noise;
  }
  dist_space_close(&p.space);
  return m && v ? NORN_OK : norn_error(st)->code;
}

static const norn_dist_row rows[] = {
  {.name = "gaussian_process", .params = "x, kernel, mean = 0, noise = 0",
   .flags = NORN_DIST_CONTINUOUS,
   .doc = "The values of a Gaussian process at the points x: a normal vector.\n"
          "x is a vector of numbers or a matrix with a point of R^d in each row; mean is a number "
          "or a vector.\nThe covariance is the kernel of each two points, with noise^2 added on "
          "the diagonal.\n"
          "Example: sd(gaussian_process([0, 1], rbf(3, 0.5), noise = 4))\n=> [5.0, 5.0]",
   .check = process_check, .sample = process_sample, .logp = process_logp,
   .partials = process_partials, .support = process_support, .moments = process_moments},
};

const dist_shelf dist_gps = {rows, sizeof rows / sizeof rows[0]};
