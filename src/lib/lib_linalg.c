/* lib_linalg.c: factors of matrices, what they solve, and what follows from them.

   A matrix is an array of rank 2; what is needed square or symmetric is checked, and so is that its
   elements are numbers: a factor of nan is no answer.  Symmetric is equal to 1e-8 of the largest
   element.  The work is num/la.h's. */
#include "lib/lib.h"
#include "num/la.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A numeric matrix x (m, n), borrowed. */
typedef struct matrix { const double *x; int64_t m, n; } matrix;

/* ---- arguments ---- */

static bool want_matrix(norn_state *st, const norn_datum *args, int i, const char *name, matrix *a)
{
  norn_view v;
  char what[80];
  int64_t n;
  if (!norn_array_view(args[i], &v) || v.rank != 2 || v.elem == NORN_VALUES) {
    snprintf(what, sizeof what, "argument %d of %s", i + 1, name);
    lib_wrong(st, args, i, what, "a matrix of numbers");
    return false;
  }
  a->x = v.elem == NORN_F64 ? v.f : norn_want_reals(st, args, i, "a matrix", &n);
  a->m = v.dims[0];
  a->n = v.dims[1];
  return a->x != NULL || a->m * a->n == 0;
}

static bool want_finite(norn_state *st, int i, const matrix *a)
{
  for (int64_t k = 0; k < a->m * a->n; k++)
    if (!(fabs(a->x[k]) < (double)INFINITY)) {
      norn_fail(st, NORN_EDOMAIN, i, "the matrix has the element %s at [%lld, %lld]",
                isnan(a->x[k]) ? "nan" : a->x[k] > 0 ? "inf" : "-inf", (long long)(k / a->n),
                (long long)(k % a->n));
      return false;
    }
  return true;
}

static bool want_square(norn_state *st, const norn_datum *args, int i, const char *name, matrix *a)
{
  if (!want_matrix(st, args, i, name, a)) return false;
  if (a->m == a->n) return want_finite(st, i, a);
  norn_fail(st, NORN_ETYPE, i, "%s needs a square matrix, got one of %lld rows and %lld columns",
            name, (long long)a->m, (long long)a->n);
  return false;
}

static bool want_symmetric(norn_state *st, const norn_datum *args, int i, const char *name,
                           matrix *a)
{
  double most = 0;
  if (!want_square(st, args, i, name, a)) return false;
  for (int64_t k = 0; k < a->n * a->n; k++) most = a->x[k] > most ? a->x[k] : most;
  for (int64_t p = 0; p < a->n; p++)
    for (int64_t q = 0; q < p; q++) {
      double x = a->x[p * a->n + q], y = a->x[q * a->n + p];
      if (x == y || fabs(x - y) <= 1e-8 * fmax(most, fabs(x))) continue;
      norn_fail(st, NORN_EDOMAIN, i,
                "the matrix is not symmetric: [%lld, %lld] is %.17g and [%lld, %lld] is %.17g",
                (long long)q, (long long)p, y, (long long)p, (long long)q, x);
      norn_hint(st, "0.5 * (a + a') is the symmetric part of a");
      return false;
    }
  return true;
}

/* What a matrix of `rows` rows is applied to: a vector (rank 1, m = 1) or a matrix (rows, m). */
typedef struct side { const double *x; int64_t m; int rank; } side;
static bool want_side(norn_state *st, const norn_datum *args, int i, const char *name, int64_t rows,
                      side *b)
{
  norn_view v;
  char what[80];
  int64_t n;
  bool array = norn_array_view(args[i], &v) && v.rank <= 2 && (v.n == 0 || v.elem != NORN_VALUES);
  if (array && v.dims[0] == rows) {
    b->rank = v.rank;
    b->m = v.rank == 2 ? v.dims[1] : 1;
    b->x = v.elem == NORN_F64 ? v.f : norn_want_reals(st, args, i, "a right-hand side", &n);
    return b->x != NULL || v.n == 0;
  }
  snprintf(what, sizeof what, "argument %d of %s", i + 1, name);
  if (!array) lib_wrong(st, args, i, what, "a vector or a matrix of numbers");
  else
    norn_fail(st, NORN_ETYPE, i, "%s must have as many rows as the matrix, %lld, but has %lld",
              what, (long long)rows, (long long)v.dims[0]);
  return false;
}

/* ---- results ---- */

static double *new_matrix(norn_state *st, int64_t m, int64_t n, norn_datum *a)
{
  int64_t dims[2] = { m, n };
  void *p = NULL;
  *a = norn_array(st, NORN_F64, 2, dims, &p);
  return norn_is_none(*a) ? NULL : p;
}

static double *new_side(norn_state *st, int64_t rows, const side *b, norn_datum *a)
{
  return b->rank == 1 ? lib_reals(st, rows, a) : new_matrix(st, rows, b->m, a);
}

static void copy(double *to, const double *from, int64_t n)
{
  if (n > 0) memcpy(to, from, (size_t)n * sizeof *to);
}

static double *copy_of(norn_state *st, const matrix *a, norn_datum *value)
{
  double *p = new_matrix(st, a->m, a->n, value);
  if (p) copy(p, a->x, a->m * a->n);
  return p;
}

static norn_status no_convergence(norn_state *st, const char *name)
{
  return norn_fail(st, NORN_EMEMORY, 0, "%s found no memory, or did not converge", name);
}

static norn_status give_record(norn_state *st, int n, const char *const *names,
                               const norn_datum *values, norn_datum *out)
{
  return lib_give(st, norn_record(st, n, names, values), out);
}

/* ---- Cholesky ---- */

static double *factor(norn_state *st, const norn_datum *args, const char *name, matrix *a,
                      norn_datum *value)
{
  if (!want_symmetric(st, args, 0, name, a)) return NULL;
  double *l = copy_of(st, a, value);
  int64_t bad = l ? la_cholesky(l, a->n) : 0;
  if (bad == 0) return l;
  norn_fail(st, NORN_EDOMAIN, 0,
            "the matrix is not positive definite: the leading minor of order %lld is not positive",
            (long long)bad);
  norn_hint(st, "where only rounding is to blame, a little on the diagonal helps: "
                "a + 1e-9 * identity_matrix(%lld)", (long long)a->n);
  return NULL;
}

static norn_status l_cholesky(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  return factor(st, args, "cholesky", &a, out) ? NORN_OK : lib_failed(st);
}

static norn_status l_solve_pd(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  side b;
  norn_datum keep;
  double *l = factor(st, args, "solve_pd", &a, &keep), *x;
  if (!l || !want_side(st, args, 1, "solve_pd", a.n, &b) || !(x = new_side(st, a.n, &b, out)))
    return lib_failed(st);
  copy(x, b.x, a.n * b.m);
  la_solve_lower(false, l, a.n, x, b.m);
  la_solve_lower(true, l, a.n, x, b.m);
  return NORN_OK;
}

static norn_status l_inverse_pd(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  norn_datum keep;
  double *l = factor(st, args, "inverse_pd", &a, &keep), *x = l ? new_matrix(st, a.n, a.n, out)
                                                                : NULL;
  if (!x) return lib_failed(st);
  la_cholesky_inverse(l, a.n, x);
  return NORN_OK;
}

static norn_status l_log_det_pd(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  norn_datum keep;
  double *l = factor(st, args, "log_det_pd", &a, &keep);
  if (!l) return lib_failed(st);
  *out = norn_real(la_cholesky_log_det(l, a.n));
  return NORN_OK;
}

/* t x = b with t = a (lower) or a' (upper), which la_solve_lower takes as a lower triangle. */
static norn_status triangular(norn_state *st, const norn_datum *args, const char *name, bool upper,
                              norn_datum *out)
{
  matrix a;
  side b;
  norn_datum keep;
  if (!want_square(st, args, 0, name, &a) || !want_side(st, args, 1, name, a.n, &b))
    return lib_failed(st);
  for (int64_t i = 0; i < a.n; i++)
    if (a.x[i * a.n + i] == 0)
      return norn_fail(st, NORN_EDOMAIN, 0, "the matrix is singular: [%lld, %lld] is 0",
                       (long long)i, (long long)i);
  double *x = new_side(st, a.n, &b, out), *t = x && upper ? new_matrix(st, a.n, a.n, &keep) : NULL;
  if (!x || (upper && !t)) return lib_failed(st);
  for (int64_t i = 0; i < a.n && upper; i++)
    for (int64_t j = i; j < a.n; j++) t[j * a.n + i] = a.x[i * a.n + j];
  copy(x, b.x, a.n * b.m);
  la_solve_lower(upper, upper ? t : a.x, a.n, x, b.m);
  return NORN_OK;
}

static norn_status l_solve_lower(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return triangular(st, args, "solve_lower", false, out);
}

static norn_status l_solve_upper(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return triangular(st, args, "solve_upper", true, out);
}

/* ---- LU ---- */

static norn_status singular(norn_state *st, int64_t column)
{
  norn_status code = column < 0
    ? norn_fail(st, NORN_EDOMAIN, 0, "the matrix is singular")
    : norn_fail(st, NORN_EDOMAIN, 0,
                "the matrix is singular to working precision: column %lld (from 0) is a "
                "combination of those before it", (long long)column);
  norn_hint(st, "lstsq(a, b) and pinv(a) give the solution of least norm");
  return code;
}

/* After elimination a pivot that is no more than rounding in its column of a: the column, or -1. */
static int64_t lost_pivot(const matrix *a, const double *lu)
{
  for (int64_t j = 0; j < a->n; j++) {
    double most = 0;
    for (int64_t i = 0; i < a->n; i++) most = fmax(most, fabs(a->x[i * a->n + j]));
    if (fabs(lu[j * a->n + j]) <= (double)a->n * DBL_EPSILON * most) return j;
  }
  return -1;
}

/* x (n, m) = a^-1 x */
static norn_status solve(norn_state *st, const matrix *a, double *x, int64_t m)
{
  norn_datum keep;
  double *lu = copy_of(st, a, &keep);
  if (!lu) return lib_failed(st);
  if (!la_solve(lu, a->n, x, m)) return singular(st, -1);
  int64_t lost = lost_pivot(a, lu);
  return lost >= 0 ? singular(st, lost) : NORN_OK;
}

static norn_status l_solve(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  side b;
  double *x;
  if (!want_square(st, args, 0, "solve", &a) || !want_side(st, args, 1, "solve", a.n, &b) ||
      !(x = new_side(st, a.n, &b, out))) return lib_failed(st);
  copy(x, b.x, a.n * b.m);
  return solve(st, &a, x, b.m);
}

static void set_identity(double *x, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) x[i * n + j] = i == j;
}

static norn_status l_inverse(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  double *x;
  if (!want_square(st, args, 0, "inverse", &a) || !(x = new_matrix(st, a.n, a.n, out)))
    return lib_failed(st);
  set_identity(x, a.n);
  return solve(st, &a, x, a.n);
}

/* The determinant as the product of the pivots, so that small integers give integers, and its
   logarithm, which neither overflows nor vanishes. */
static norn_status determinant(norn_state *st, const norn_datum *args, const char *name,
                               double *log_abs, double *product)
{
  matrix a;
  norn_datum keep;
  double sign;
  double *lu = want_square(st, args, 0, name, &a) ? copy_of(st, &a, &keep) : NULL;
  if (!lu) return lib_failed(st);
  la_log_det(lu, a.n, &sign, log_abs);
  *product = sign;
  for (int64_t i = 0; i < a.n && sign != 0; i++) *product *= fabs(lu[i * a.n + i]);
  return NORN_OK;
}

static norn_status l_det(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  double log_abs, product;
  norn_status code = determinant(st, args, "det", &log_abs, &product);
  if (!code) *out = norn_real(product);
  return code;
}

static norn_status l_log_det(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  double log_abs, product;
  norn_status code = determinant(st, args, "log_det", &log_abs, &product);
  if (!code) *out = norn_real(log_abs);
  return code;
}

/* ---- orthogonal factors ---- */

static norn_status l_qr(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  static const char *const names[] = { "q", "r" };
  matrix a;
  norn_datum v[2];
  if (!want_matrix(st, args, 0, "qr", &a) || !want_finite(st, 0, &a)) return lib_failed(st);
  if (a.m < a.n) {
    norn_fail(st, NORN_ETYPE, 0,
              "qr needs as many rows as columns or more, got %lld rows and %lld columns",
              (long long)a.m, (long long)a.n);
    norn_hint(st, "qr(a') factors the transpose");
    return NORN_ETYPE;
  }
  double *q = copy_of(st, &a, &v[0]), *r = q ? new_matrix(st, a.n, a.n, &v[1]) : NULL;
  if (!r) return lib_failed(st);
  if (!la_qr(q, a.m, a.n, r)) return no_convergence(st, "qr");
  return give_record(st, 2, names, v, out);
}

static norn_status l_eigen(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  static const char *const names[] = { "values", "vectors" };
  matrix a;
  norn_datum v[2];
  if (!want_symmetric(st, args, 0, "eigen", &a)) return lib_failed(st);
  double *x = copy_of(st, &a, &v[1]), *w = x ? lib_reals(st, a.n, &v[0]) : NULL;
  if (!w) return lib_failed(st);
  if (!la_eigen_symmetric(x, a.n, w)) return no_convergence(st, "eigen");
  return give_record(st, 2, names, v, out);
}

/* a (m, n) = u (m, k) diag(s) vt (k, n) */
typedef struct svd { double *u, *s, *vt; int64_t k; norn_datum us, ss; } svd;
static norn_status decompose(norn_state *st, const matrix *a, const char *name, svd *f)
{
  norn_datum keep;
  f->k = a->m < a->n ? a->m : a->n;
  double *w = copy_of(st, a, &keep);
  f->u = w ? new_matrix(st, a->m, f->k, &f->us) : NULL;
  f->s = f->u ? lib_reals(st, f->k, &f->ss) : NULL;
  f->vt = f->s ? new_matrix(st, f->k, a->n, &keep) : NULL;
  if (!f->vt) return lib_failed(st);
  return la_svd(w, a->m, a->n, f->u, f->s, f->vt) ? NORN_OK : no_convergence(st, name);
}

/* How many singular values are more than rounding: max(m, n) eps times the largest. */
static int64_t rank_of(const svd *f, int64_t m, int64_t n)
{
  int64_t r = 0;
  double least = f->k ? (double)(m > n ? m : n) * DBL_EPSILON * f->s[0] : 0;
  while (r < f->k && f->s[r] > least) r++;
  return r;
}

static norn_status l_svd(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  static const char *const names[] = { "u", "s", "v" };
  matrix a;
  svd f;
  norn_datum v[3];
  if (!want_matrix(st, args, 0, "svd", &a) || !want_finite(st, 0, &a)) return lib_failed(st);
  norn_status code = decompose(st, &a, "svd", &f);
  if (code) return code;
  double *x = new_matrix(st, a.n, f.k, &v[2]);
  if (!x) return lib_failed(st);
  for (int64_t i = 0; i < f.k; i++)
    for (int64_t j = 0; j < a.n; j++) x[j * f.k + i] = f.vt[i * a.n + j];
  v[0] = f.us;
  v[1] = f.ss;
  return give_record(st, 3, names, v, out);
}

static norn_status l_rank(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  svd f;
  if (!want_matrix(st, args, 0, "matrix_rank", &a) || !want_finite(st, 0, &a))
    return lib_failed(st);
  norn_status code = decompose(st, &a, "matrix_rank", &f);
  if (!code) *out = norn_int(rank_of(&f, a.m, a.n));
  return code;
}

/* x (n, m) = v diag(1 / s) u' b, over the singular values that are more than rounding: of all x
   that make a x - b least, the one that is least itself.  ub is scratch (k, m). */
static void least_squares(const svd *f, const matrix *a, const double *b, int64_t m, double *ub,
                          double *x)
{
  int64_t r = rank_of(f, a->m, a->n);
  la_mul(true, false, f->k, m, a->m, 1, f->u, b, 0, ub);
  for (int64_t i = 0; i < f->k; i++)
    for (int64_t j = 0; j < m; j++) ub[i * m + j] = i < r ? ub[i * m + j] / f->s[i] : 0;
  la_mul(true, false, a->n, m, f->k, 1, f->vt, ub, 0, x);
}

static norn_status l_pinv(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  svd f;
  norn_datum keep;
  if (!want_matrix(st, args, 0, "pinv", &a) || !want_finite(st, 0, &a)) return lib_failed(st);
  norn_status code = decompose(st, &a, "pinv", &f);
  if (code) return code;
  double *x = new_matrix(st, a.n, a.m, out), *one = x ? new_matrix(st, a.m, a.m, &keep) : NULL,
         *ub = one ? new_matrix(st, f.k, a.m, &keep) : NULL;
  if (!ub) return lib_failed(st);
  set_identity(one, a.m);
  least_squares(&f, &a, one, a.m, ub, x);
  return NORN_OK;
}

/* A tall matrix is first made square: of a = q r, r x = q' b has the same solution. */
static norn_status squared(norn_state *st, matrix *a, side *b)
{
  norn_datum keep;
  double *q = copy_of(st, a, &keep), *r = q ? new_matrix(st, a->n, a->n, &keep) : NULL,
         *qb = r ? new_matrix(st, a->n, b->m, &keep) : NULL;
  if (!qb) return lib_failed(st);
  if (!la_qr(q, a->m, a->n, r)) return no_convergence(st, "lstsq");
  la_mul(true, false, a->n, b->m, a->m, 1, q, b->x, 0, qb);
  a->x = r;
  a->m = a->n;
  b->x = qb;
  return NORN_OK;
}

static norn_status l_lstsq(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  side b;
  svd f;
  norn_datum keep;
  if (!want_matrix(st, args, 0, "lstsq", &a) || !want_finite(st, 0, &a) ||
      !want_side(st, args, 1, "lstsq", a.m, &b)) return lib_failed(st);
  norn_status code = a.m > a.n ? squared(st, &a, &b) : NORN_OK;
  if (!code) code = decompose(st, &a, "lstsq", &f);
  if (code) return code;
  double *x = new_side(st, a.n, &b, out), *ub = x ? new_matrix(st, f.k, b.m, &keep) : NULL;
  if (!ub) return lib_failed(st);
  least_squares(&f, &a, b.x, b.m, ub, x);
  return NORN_OK;
}

/* ---- products and small things ---- */

static norn_status l_crossprod(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  matrix a, b;
  double *x;
  if (!want_matrix(st, args, 0, "crossprod", &a)) return lib_failed(st);
  b = a;
  if (lib_given(args, 1, n) && !want_matrix(st, args, 1, "crossprod", &b)) return lib_failed(st);
  if (a.m != b.m)
    return norn_fail(st, NORN_ETYPE, 1, "crossprod needs matrices with equally many rows, got %lld "
                     "and %lld", (long long)a.m, (long long)b.m);
  if (!(x = new_matrix(st, a.n, b.n, out))) return lib_failed(st);
  la_mul(true, false, a.n, b.n, a.m, 1, a.x, b.x, 0, x);
  return NORN_OK;
}

/* b' a b */
static norn_status l_quad_form(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  side b;
  norn_datum keep, q;
  if (!want_square(st, args, 0, "quad_form", &a) ||
      !want_side(st, args, 1, "quad_form", a.n, &b)) return lib_failed(st);
  double *ab = new_matrix(st, a.n, b.m, &keep), *x = ab ? new_matrix(st, b.m, b.m, &q) : NULL;
  if (!x) return lib_failed(st);
  la_mul(false, false, a.n, b.m, a.n, 1, a.x, b.x, 0, ab);
  la_mul(true, false, b.m, b.m, a.n, 1, b.x, ab, 0, x);
  *out = b.rank == 1 ? norn_real(x[0]) : q;
  return NORN_OK;
}

static norn_status l_kron(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a, b;
  double *x;
  if (!want_matrix(st, args, 0, "kron", &a) || !want_matrix(st, args, 1, "kron", &b) ||
      !(x = new_matrix(st, a.m * b.m, a.n * b.n, out))) return lib_failed(st);
  for (int64_t i = 0; i < a.m * b.m; i++)
    for (int64_t j = 0; j < a.n * b.n; j++)
      *x++ = a.x[i / b.m * a.n + j / b.n] * b.x[i % b.m * b.n + j % b.n];
  return NORN_OK;
}

static norn_status l_matrix_exp(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  norn_datum keep;
  double *w = want_square(st, args, 0, "matrix_exp", &a) ? copy_of(st, &a, &keep) : NULL;
  double *x = w ? new_matrix(st, a.n, a.n, out) : NULL;
  if (!x) return lib_failed(st);
  if (la_exp(w, a.n, x)) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, 0, "the matrix is too large: its exponential overflows, or "
                   "memory ends");
}

static norn_status l_trace(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  matrix a;
  double s = 0;
  if (!want_matrix(st, args, 0, "trace", &a)) return lib_failed(st);
  if (a.m != a.n)
    return norn_fail(st, NORN_ETYPE, 0, "trace needs a square matrix, got one of %lld rows and "
                     "%lld columns", (long long)a.m, (long long)a.n);
  for (int64_t i = 0; i < a.n; i++) s += a.x[i * a.n + i];
  *out = norn_real(s);
  return NORN_OK;
}

static norn_status l_identity(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t m;
  if (!norn_want_int(st, args, 0, "the number of rows", &m)) return lib_failed(st);
  if (m < 0 || m > 1 << 24)
    return norn_fail(st, NORN_EDOMAIN, 0, "no matrix has %lld rows and columns", (long long)m);
  double *x = new_matrix(st, m, m, out);
  if (!x) return lib_failed(st);
  set_identity(x, m);
  return NORN_OK;
}

/* (sum |x|^p)^(1/p) of the elements, scaled by the largest so that nothing overflows. */
static double norm_of(const double *x, int64_t n, double p)
{
  double most = 0, s = 0;
  for (int64_t i = 0; i < n; i++) {
    if (isnan(x[i])) return x[i];
    most = fmax(most, fabs(x[i]));
  }
  if (most == 0 || isinf(most) || isinf(p)) return most;
  int e;
  frexp(most, &e);
  for (int64_t i = 0; i < n; i++) {
    double t = fabs(ldexp(x[i], -e));
    s += p == 2 ? t * t : p == 1 ? t : pow(t, p);
  }
  return ldexp(p == 2 ? sqrt(s) : p == 1 ? s : pow(s, 1 / p), e);
}

static norn_status l_norm(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t m;
  double p = 2;
  const double *x = norn_want_reals(st, args, 0, "the argument of norm", &m);
  if (!x || (lib_given(args, 1, n) && !norn_want_real(st, args, 1, "p", &p)))
    return lib_failed(st);
  if (!(p >= 1)) return norn_fail(st, NORN_EDOMAIN, 1, "p must be 1 or more, got %g", p);
  *out = norn_real(norm_of(x, m, p));
  return NORN_OK;
}

const char *norn_linear_algebra(void) { return la_name(); }

/* ---- the table ---- */

#define FN(name, params, fn, sentence, example, result) \
  { name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE, NULL }

static const norn_native natives[] = {
  FN("cholesky", "a", l_cholesky,
     "The lower triangular l with a positive diagonal and l @ l' == a, of a positive definite a.",
     "cholesky([[4, 2], [2, 10]])", "[[2.0, 0.0], [1.0, 3.0]]"),
  FN("solve", "a, b", l_solve,
     "The solution x of a @ x == b, for a vector b or the columns of a matrix.",
     "solve([[2, 0], [0, 4]], [2, 2])", "[1.0, 0.5]"),
  FN("solve_pd", "a, b", l_solve_pd,
     "The solution x of a @ x == b for a symmetric, positive definite a.",
     "solve_pd([[4, 0], [0, 16]], [2, 4])", "[0.5, 0.25]"),
  FN("solve_lower", "l, b", l_solve_lower,
     "The solution x of l @ x == b; of the square matrix l only the lower triangle is read.",
     "solve_lower([[2, 0], [1, 4]], [2, 5])", "[1.0, 1.0]"),
  FN("solve_upper", "u, b", l_solve_upper,
     "The solution x of u @ x == b; of the square matrix u only the upper triangle is read.",
     "solve_upper([[2, 1], [0, 4]], [3, 4])", "[1.0, 1.0]"),
  FN("inverse", "a", l_inverse, "The inverse of a square matrix.", "inverse([[2, 0], [0, 4]])",
     "[[0.5, 0.0], [0.0, 0.25]]"),
  FN("inverse_pd", "a", l_inverse_pd,
     "The inverse of a symmetric, positive definite matrix, symmetric itself.",
     "inverse_pd([[4, 0], [0, 16]])", "[[0.25, 0.0], [0.0, 0.0625]]"),
  FN("det", "a", l_det, "The determinant of a square matrix.", "det([[4, 1], [2, 3]])", "10.0"),
  FN("log_det", "a", l_log_det,
     "The logarithm of the absolute determinant of a square matrix; -inf if it is singular.",
     "log_det([[0, 1], [1, 0]])", "0.0"),
  FN("log_det_pd", "a", l_log_det_pd,
     "The logarithm of the determinant of a symmetric, positive definite matrix.",
     "log_det_pd([[1, 0], [0, 1]])", "0.0"),
  FN("qr", "a", l_qr,
     "The record {q, r}: q @ r == a, q with orthonormal columns, r upper, its diagonal not "
     "negative.",
     "qr([[0, 2], [1, 0]]).r", "[[1.0, 0.0], [0.0, 2.0]]"),
  FN("eigen", "a", l_eigen,
     "The record {values, vectors} of a symmetric matrix: rising eigenvalues, eigenvectors as "
     "columns.",
     "eigen([[2, 0], [0, 1]])", "{values: [1.0, 2.0], vectors: [[0.0, 1.0], [1.0, 0.0]]}"),
  FN("svd", "a", l_svd,
     "The record {u, s, v}: u @ diag(s) @ v' == a, singular values s falling, u and v with "
     "orthonormal columns.",
     "svd([[0, 3], [2, 0]]).s", "[3.0, 2.0]"),
  FN("matrix_rank", "a", l_rank,
     "How many columns of a matrix are independent: its singular values above rounding.",
     "matrix_rank([[1, 2], [2, 4]])", "1"),
  FN("pinv", "a", l_pinv, "The pseudoinverse of Moore and Penrose of a matrix.",
     "pinv([[2, 0], [0, 0]])", "[[0.5, 0.0], [0.0, 0.0]]"),
  FN("lstsq", "a, b", l_lstsq,
     "The x that makes the squares of a @ x - b least; the shortest, where there are several.",
     "lstsq([[2, 0], [0, 0]], [4, 1])", "[2.0, 0.0]"),
  FN("crossprod", "x, y = missing", l_crossprod, "x' @ y, or x' @ x.",
     "crossprod([[1, 2], [3, 4]])", "[[10.0, 14.0], [14.0, 20.0]]"),
  FN("quad_form", "a, b", l_quad_form,
     "b' @ a @ b: a number for a vector b, a matrix for a matrix.", "quad_form([[2, 0], [0, 1]], "
     "[1, 3])", "11.0"),
  FN("kron", "a, b", l_kron, "The Kronecker product of two matrices.",
     "kron([[1, 2]], [[1], [10]])", "[[1.0, 2.0], [10.0, 20.0]]"),
  FN("matrix_exp", "a", l_matrix_exp, "The exponential of a square matrix.",
     "matrix_exp([[0, 1], [0, 0]])", "[[1.0, 1.0], [0.0, 1.0]]"),
  FN("trace", "a", l_trace, "The sum of the diagonal of a square matrix.",
     "trace([[1, 2], [3, 4]])", "5.0"),
  FN("identity_matrix", "n", l_identity, "The identity matrix with n rows.", "identity_matrix(2)",
     "[[1.0, 0.0], [0.0, 1.0]]"),
  FN("norm", "x, p = 2", l_norm,
     "The length of a vector, (sum abs(x)^p)^(1/p), p = inf the largest; of a matrix, that of its "
     "elements.",
     "norm([3, 4])", "5.0"),
};

norn_status lib_linalg_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
