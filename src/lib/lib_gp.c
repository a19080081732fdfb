/* lib_gp.c: Gaussian processes as functions: kernels, which are records (dist/gp_kernel.h), their
   matrices, and prediction in closed form. */
#include "lib/lib.h"
#include "dist/gp.h"
#include "dist/matrix.h"
#include <math.h>

/* ---- kernels ---- */

/* {kernel: NAME, ...}.  A number is checked here, so that a mistake shows where it was made; what
   is no number yet (a node of a graph) is left to the distribution. */
static norn_status simple(norn_state *st, gp_kernel_kind kind, const norn_datum *args,
                          norn_datum *out)
{
  const gp_kernel_shape *shape = gp_kernel_shape_of(kind);
  const char *names[4] = { "kernel" };
  norn_datum v[4];
  double x;
  for (int i = 0; i < shape->n; i++) {
    names[i + 1] = shape->param[i];
    v[i + 1] = args[i];
    if (norn_kind_of(args[i]) == NORN_NODE) continue;
    if (!norn_want_real(st, args, i, shape->param[i], &x)) return lib_failed(st);
    norn_status code = gp_kernel_want(st, shape, i, x, i);
    if (code) return code;
  }
  v[0] = norn_cstring(st, shape->name);
  if (norn_is_none(v[0])) return lib_failed(st);
  return lib_give(st, norn_record(st, shape->n + 1, names, v), out);
}

#define SIMPLE(name, kind) \
  static norn_status name(norn_state *st, const norn_datum *args, int n, norn_datum *out) \
  { (void)n; return simple(st, kind, args, out); }
SIMPLE(k_rbf, GP_RBF)
SIMPLE(k_matern12, GP_MATERN12)
SIMPLE(k_matern32, GP_MATERN32)
SIMPLE(k_matern52, GP_MATERN52)
SIMPLE(k_periodic, GP_PERIODIC)
SIMPLE(k_linear, GP_LINEAR)

static norn_status combined(norn_state *st, gp_kernel_kind kind, const norn_datum *args, int n,
                            norn_datum *out)
{
  const char *const names[] = { "kernel", "parts" };
  if (n < 1) return norn_fail(st, NORN_EDOMAIN, -1, "no kernels to combine");
  for (int i = 0; i < n; i++) {
    norn_datum name = norn_record_get(st, args[i], "kernel");
    if (!norn_string_view(name, NULL)) return lib_wrong(st, args, i, "each argument", "a kernel");
  }
  norn_datum v[] = { norn_cstring(st, gp_kernel_shape_of(kind)->name),
                     norn_array_pack(st, args, n) };
  if (norn_is_none(v[0]) || norn_is_none(v[1])) return lib_failed(st);
  return lib_give(st, norn_record(st, 2, names, v), out);
}

static norn_status k_sum(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return combined(st, GP_SUM, args, n, out);
}

static norn_status k_product(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return combined(st, GP_PRODUCT, args, n, out);
}

/* ---- matrices ---- */

static double *points_of(norn_state *st, const norn_datum *args, int i, const char *what,
                         gp_points *p)
{
  norn_datum keep;
  if (gp_points_read(st, args[i], i, what, p)) return NULL;
  double *x = lib_reals(st, p->view.n, &keep);
  if (x) dist_fill(&p->view, x);
  return x;
}

static norn_status other_dimension(norn_state *st, int arg, const char *a, int64_t da,
                                   const char *b, int64_t db)
{
  return norn_fail(st, NORN_ETYPE, arg, "the points of %s and %s differ in dimension: %lld and "
                   "%lld", a, b, (long long)da, (long long)db);
}

static norn_status gp_cov_matrix(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  gp_kernel kernel;
  gp_points px, py;
  norn_status code = gp_kernel_read(st, args[0], 0, &kernel);
  if (code) return code;
  const double *x = points_of(st, args, 1, "x of cov_matrix", &px), *y = x;
  bool self = !lib_given(args, 2, n);
  py = px;
  if (x && !self) y = points_of(st, args, 2, "y of cov_matrix", &py);
  if (!x || !y) return lib_failed(st);
  if (px.dim != py.dim) return other_dimension(st, 2, "x", px.dim, "y", py.dim);
  norn_datum made;
  double *cov = dist_new_array(st, 2, (int64_t[]){ px.n, py.n }, &made);
  if (!cov) return lib_failed(st);
  if (self) gp_cov_self(&kernel, px.dim, x, px.n, 0, cov);
  else gp_cov(&kernel, px.dim, x, px.n, y, py.n, cov);
  *out = made;
  return NORN_OK;
}

/* ---- prediction ---- */

typedef struct prediction {
  gp_kernel kernel;
  gp_points px, pnew;
  const double *x, *xnew;
  double noise, level;
  norn_view y;
} prediction;

static norn_status predict_read(norn_state *st, const norn_datum *args, prediction *p)
{
  norn_status code = gp_kernel_read(st, args[0], 0, &p->kernel);
  if (code) return code;
  if (!(p->x = points_of(st, args, 1, "x of gp_predict", &p->px))) return lib_failed(st);
  if (!dist_numbers(args[2], 1, &p->y) || p->y.n != p->px.n) {
    char got[120];
    return norn_fail(st, NORN_ETYPE, 2, "y of gp_predict must be a vector of %lld numbers, one for "
                     "each point, got %s", (long long)p->px.n,
                     norn_describe(st, args[2], got, sizeof got));
  }
  if (dist_not_finite(&p->y, true) >= 0)
    return norn_fail(st, NORN_EDOMAIN, 2, "y of gp_predict must be finite");
  if (!(p->xnew = points_of(st, args, 3, "xnew of gp_predict", &p->pnew))) return lib_failed(st);
  if (p->px.dim != p->pnew.dim)
    return other_dimension(st, 3, "x", p->px.dim, "xnew", p->pnew.dim);
  if (!norn_want_real(st, args, 4, "noise", &p->noise) ||
      !norn_want_real(st, args, 5, "mean", &p->level))
    return lib_failed(st);
  if (!(p->noise >= 0 && isfinite(p->noise)))
    return norn_fail(st, NORN_EDOMAIN, 4, "noise of gp_predict must be 0 or more and finite, got "
                     "%g", p->noise);
  return NORN_OK;
}

/* With K = k(x, x) + noise^2 = L L' and V = L^-1 k(x, xnew) the mean is
   level + V' L^-1 (y - level) and the covariance k(xnew, xnew) - V' V (Rasmussen and Williams 2006, algorithm 2.1). */
static norn_status predict(norn_state *st, const prediction *p, double *mean, double *cov)
{
  int64_t n = p->px.n, m = p->pnew.n, dim = p->px.dim;
  norn_datum keep;
  double *l = lib_reals(st, n * n + n * m + n, &keep), *v = l + n * n, *y = v + n * m;
  if (!l) return lib_failed(st);
  gp_cov_self(&p->kernel, dim, p->x, n, p->noise, l);
  norn_status code = gp_factor(st, 0, l, n);
  if (code) return code;
  gp_cov(&p->kernel, dim, p->x, n, p->xnew, m, v);
  gp_cov_self(&p->kernel, dim, p->xnew, m, 0, cov);
  for (int64_t k = 0; k < n; k++) y[k] = dist_real_at(&p->y, k) - p->level;
  la_solve_lower(false, l, n, y, 1);
  la_solve_lower(false, l, n, v, m);
  la_mul_vector(true, n, m, v, y, mean);
  for (int64_t k = 0; k < m; k++) mean[k] += p->level;
  la_mul(true, false, m, m, n, -1, v, v, 1, cov);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < i; j++) cov[i * m + j] = cov[j * m + i];
  return NORN_OK;
}

static norn_status gp_predict(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  static const char *const names[] = { "mean", "cov" };
  prediction p;
  norn_datum v[2];
  (void)n;
  norn_status code = predict_read(st, args, &p);
  if (code) return code;
  double *mean = dist_new_array(st, 1, &p.pnew.n, &v[0]);
  double *cov = mean ? dist_new_array(st, 2, (int64_t[]){ p.pnew.n, p.pnew.n }, &v[1]) : NULL;
  if (!cov) return lib_failed(st);
  if ((code = predict(st, &p, mean, cov))) return code;
  return lib_give(st, norn_record(st, 2, names, v), out);
}

#define FN(name, params, fn, flags, sentence, example, result) \
  { name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE | (flags), NULL }

static const norn_native natives[] = {
  FN("rbf", "alpha, rho", k_rbf, 0,
     "The kernel alpha^2 exp(-r^2 / (2 rho^2)) of points at distance r.",
     "rbf(1, 0.5)", "{kernel: \"rbf\", alpha: 1, rho: 0.5}"),
  FN("matern12", "alpha, rho", k_matern12, 0,
     "The kernel alpha^2 exp(-r / rho) of points at distance r.",
     "cov_matrix(matern12(2, 1), [0], [0])", "[[4.0]]"),
  FN("matern32", "alpha, rho", k_matern32, 0,
     "The kernel alpha^2 (1 + s) exp(-s) of points at distance r, s = sqrt(3) r / rho.",
     "cov_matrix(matern32(2, 1), [0], [0])", "[[4.0]]"),
  FN("matern52", "alpha, rho", k_matern52, 0,
     "The kernel alpha^2 (1 + s + s^2/3) exp(-s) of points at distance r, s = sqrt(5) r / rho.",
     "cov_matrix(matern52(2, 1), [0], [0])", "[[4.0]]"),
  FN("periodic", "alpha, rho, period", k_periodic, 0,
     "The kernel alpha^2 exp(-2 q / rho^2) of points, q the sum of sin(pi d / period)^2 over the "
     "differences d of their coordinates.",
     "cov_matrix(periodic(2, 1, 3), [0], [6])", "[[4.0]]"),
  FN("linear", "alpha, bias = 0", k_linear, 0,
     "The kernel bias^2 + alpha^2 x . y of points x and y: straight lines.",
     "cov_matrix(linear(2, bias = 1), [1, 2])", "[[5.0, 9.0], [9.0, 17.0]]"),
  FN("kernel_sum", "kernels...", k_sum, NORN_VARIADIC,
     "The sum of kernels: functions that add up.",
     "cov_matrix(kernel_sum(linear(1), linear(2)), [1], [3])", "[[15.0]]"),
  FN("kernel_product", "kernels...", k_product, NORN_VARIADIC,
     "The product of kernels.",
     "cov_matrix(kernel_product(linear(1), linear(2)), [1], [3])", "[[36.0]]"),
  FN("cov_matrix", "kernel, x, y = missing", gp_cov_matrix, 0,
     "The matrix of a kernel between points x and points y, or x itself; rows of a matrix are "
     "points.",
     "cov_matrix(linear(1), [[1, 2], [3, 4]])", "[[5.0, 11.0], [11.0, 25.0]]"),
  FN("gp_predict", "kernel, x, y, xnew, noise = 0, mean = 0", gp_predict, 0,
     "What a Gaussian process seen as y at x (with that noise) is at xnew: {mean, cov} of the "
     "noiseless values.",
     "gp_predict(linear(2), [1], [6], [2])", "{mean: [12.0], cov: [[0.0]]}"),
};

norn_status lib_gp_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
