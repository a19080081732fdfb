/* Linear algebra: residuals against what rounding allows (n eps times the size of the terms, summed
   in long double), exact small cases, the determinant of Hilbert matrices in MPFR, the adjoint of
   Cholesky against differences.  All of it without OpenBLAS too, in a child. */
#include "num/la_in.h"
#include "num/level.h"
#include "big.h"
#include "unit.h"
#include <float.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 700     /* past every size at which the way of working changes */
#define EPS DBL_EPSILON

static double *matrix(int64_t m, int64_t n)
{
  double *a = malloc((size_t)(m * n) * sizeof *a);
  if (!a) exit(99);
  return a;
}

/* Elements in (-1, 1), by a generator of this file, so that no other test moves these numbers. */
static double *randoms(int64_t m, int64_t n, uint64_t seed)
{
  double *a = matrix(m, n);
  uint64_t s = seed * 0x9e3779b97f4a7c15u + 1;
  for (int64_t k = 0; k < m * n; k++) {
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    a[k] = (double)(int64_t)s * 0x1p-63;
  }
  return a;
}

/* Well conditioned: g g' / n + 1. */
static double *positive(int64_t n, uint64_t seed)
{
  double *g = randoms(n, n, seed), *a = matrix(n, n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double s = 0;
      for (int64_t p = 0; p < n; p++) s += g[i * n + p] * g[j * n + p];
      a[i * n + j] = a[j * n + i] = s / (double)n + (i == j);
    }
  free(g);
  return a;
}

/* The largest |c - (alpha op(a) op(b) + beta c0)| over its bound (k + 4) eps (sum of sizes). */
static double product_error(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha,
                            const double *a, const double *b, double beta, const double *c0,
                            const double *c)
{
  double worst = 0;
  int64_t step = m * n * k > 4000000 ? m / 7 + 1 : 1;
  for (int64_t i = 0; i < m; i += step)
    for (int64_t j = 0; j < n; j++) {
      long double s = 0, size = 0;
      for (int64_t p = 0; p < k; p++) {
        long double t = (long double)a[ta ? p * m + i : i * k + p] *
                        b[tb ? j * k + p : p * n + j];
        s += t;
        size += fabsl(t);
      }
      double past = beta == 0 ? 0 : beta * c0[i * n + j];
      s = alpha * s + past;
      size = fabs(alpha) * size + fabs(past);
      double e = (double)(fabsl(s - c[i * n + j]) / ((double)(k + 4) * EPS * size + 1e-300L));
      if (!(e <= worst)) worst = e;
    }
  return worst;
}

static void check_product(int64_t m, int64_t n, int64_t k)
{
  double *a = randoms(m, k, 1), *b = randoms(k, n, 2), *c0 = randoms(m, n, 3), *c = matrix(m, n);
  for (int form = 0; form < 8; form++) {
    bool ta = form & 1, tb = form & 2;
    double alpha = form & 4 ? -0.7 : 1, beta = form & 4 ? 1.3 : 0;
    memcpy(c, c0, (size_t)(m * n) * sizeof *c);
    if (beta == 0) c[0] = NAN;
    la_mul(ta, tb, m, n, k, alpha, a, b, beta, c);
    CHECK(product_error(ta, tb, m, n, k, alpha, a, b, beta, c0, c) <= 1);
    double first = c[m * n - 1];
    memcpy(c, c0, (size_t)(m * n) * sizeof *c);
    la_mul(ta, tb, m, n, k, alpha, a, b, beta, c);
    CHECK(memcmp(&first, c + m * n - 1, sizeof first) == 0);
  }
  free(a), free(b), free(c0), free(c);
}

static void test_products(void)
{
  static const int64_t shape[][3] = {
    { 1, 1, 1 }, { 2, 2, 2 }, { 3, 5, 2 }, { 4, 16, 7 }, { 5, 17, 40 }, { 7, 33, 3 },
    { 10, 10, 10 }, { 31, 31, 31 }, { 32, 32, 32 }, { 33, 65, 129 }, { 1, 90, 200 },
    { 90, 1, 200 }, { 64, 64, 300 }, { 150, 130, 170 }, { N, 40, 300 }, { 9, 129, 1 } };
  for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
    check_product(shape[s][0], shape[s][1], shape[s][2]);
  double c[2] = { 5, 6 };
  la_mul(false, false, 1, 2, 0, 1, c, c, 1, c);      /* a sum of nothing */
  CHECK(c[0] == 5 && c[1] == 6);
  la_mul(false, false, 1, 2, 0, 1, c, c, 0, c);
  CHECK(c[0] == 0 && c[1] == 0);
}

static void test_vectors(void)
{
  for (int64_t n = 1; n <= 70; n += n < 20 ? 1 : 7) {
    int64_t m = 2 * n + 1;
    double *a = randoms(m, n, 4), *x = randoms(m, 1, 5), *y = matrix(m, 1);
    la_mul_vector(false, m, n, a, x, y);
    CHECK(product_error(false, false, m, 1, n, 1, a, x, 0, NULL, y) <= 1);
    la_mul_vector(true, m, n, a, x, y);
    CHECK(product_error(true, false, n, 1, m, 1, a, x, 0, NULL, y) <= 1);
    double d = la_dot(a, x, n);
    CHECK(product_error(false, false, 1, 1, n, 1, a, x, 0, NULL, &d) <= 1);
    free(a), free(x), free(y);
  }
}

/* The largest |l l' - a|: at most (n + 2) eps sqrt(a_ii a_jj) (Higham 2002, theorem 10.3). */
static double cholesky_error(const double *l, const double *a, int64_t n)
{
  double worst = 0;
  int64_t step = n > 200 ? n / 20 : 1;
  for (int64_t i = 0; i < n; i += step)
    for (int64_t j = 0; j <= i; j++) {
      long double s = 0;
      for (int64_t p = 0; p <= j; p++) s += (long double)l[i * n + p] * l[j * n + p];
      double bound = (double)(n + 2) * EPS * sqrt(a[i * n + i] * a[j * n + j]);
      double e = (double)fabsl(s - a[i * n + j]) / bound;
      if (!(e <= worst)) worst = e;
    }
  return worst;
}

/* |t x - b| <= (n + 2) eps |t| |x| (Higham 2002, theorem 8.5), t = l or l'. */
static double solve_error(bool transposed, const double *l, const double *b, const double *x,
                          int64_t n, int64_t m)
{
  double worst = 0;
  for (int64_t i = 0; i < n; i += n > 200 ? 13 : 1)
    for (int64_t j = 0; j < m; j += m > 200 ? 17 : 1) {
      long double s = 0, size = 0;
      for (int64_t p = transposed ? i : 0; p < (transposed ? n : i + 1); p++) {
        long double t = (long double)l[transposed ? p * n + i : i * n + p] * x[p * m + j];
        s += t;
        size += fabsl(t);
      }
      double e = (double)(fabsl(s - b[i * m + j]) / ((double)(n + 2) * EPS * size));
      if (!(e <= worst)) worst = e;
    }
  return worst;
}

/* |a x - 1| for the inverse of a matrix with condition at most 3: n eps times that, twice. */
static double inverse_error(const double *a, const double *x, int64_t n)
{
  double worst = 0;
  for (int64_t i = 0; i < n; i += n > 200 ? 29 : 1)
    for (int64_t j = 0; j < n; j++) {
      long double s = i == j ? -1 : 0;
      for (int64_t p = 0; p < n; p++) s += (long double)a[i * n + p] * x[p * n + j];
      if (!(fabsl(s) <= worst)) worst = (double)fabsl(s);
    }
  return worst / (10 * (double)n * EPS);
}

static const int64_t sizes[] = { 1, 2, 3, 7, 8, 9, 16, 31, 32, 33, 63, 64, 65, 100, 130, 257, N };
#define NSIZES (sizeof sizes / sizeof *sizes)

static void check_cholesky(int64_t n)
{
  double *a = positive(n, 6), *l = matrix(n, n), *x = matrix(n, n), *b = randoms(n, n, 7);
  size_t bytes = (size_t)(n * n) * sizeof *a;
  memcpy(l, a, bytes);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++) l[i * n + j] = NAN;      /* only the lower half is read */
  CHECK(la_cholesky(l, n) == 0);
  CHECK(cholesky_error(l, a, n) <= 1);
  bool zero = true, same = true;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++) zero = zero && l[i * n + j] == 0;
  CHECK(zero);
  for (int transposed = 0; transposed < 2; transposed++)
    for (int64_t m = 1; m <= n; m += m < 3 ? 1 : n / 2 + 1) {
      memcpy(x, b, (size_t)(n * m) * sizeof *x);
      la_solve_lower(transposed, l, n, x, m);
      CHECK(solve_error(transposed, l, b, x, n, m) <= 1);
    }
  la_cholesky_inverse(l, n, x);
  CHECK(inverse_error(a, x, n) <= 1);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) same = same && x[i * n + j] == x[j * n + i];
  CHECK(same);
  for (int64_t k = 0; k < n; k += n / 5 + 1) {      /* a bad minor, and one of NaN */
    memcpy(l, a, bytes);
    l[k * n + k] = -1;
    CHECK(la_cholesky(l, n) == k + 1);
    memcpy(l, a, bytes);
    l[k * n + k / 2] = NAN;
    CHECK(la_cholesky(l, n) == k + 1);
  }
  free(a), free(l), free(x), free(b);
}

static void test_cholesky(void)
{
  for (size_t s = 0; s < NSIZES; s++) check_cholesky(sizes[s]);
  double a[9] = { 4, 0, 0, 12, 37, 0, -16, -43, 98 };
  static const double known[9] = { 2, 0, 0, 6, 1, 0, -8, 5, 3 };      /* by hand */
  CHECK(la_cholesky(a, 3) == 0);
  CHECK(memcmp(a, known, sizeof a) == 0);
  CHECK_NEAR(la_cholesky_log_det(a, 3), log(36), 4 * EPS);
}

/* f = sum c[i, j] l[i, j]: its derivative along a symmetric direction d by a difference of fourth
   order against the sum of ga d. */
static double along(const double *a, const double *d, double h, const double *c, int64_t n)
{
  double *l = matrix(n, n), s = 0;
  for (int64_t k = 0; k < n * n; k++) l[k] = a[k] + h * d[k];
  CHECK(la_cholesky(l, n) == 0);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) s += c[i * n + j] * l[i * n + j];
  free(l);
  return s;
}

static void check_adjoint(int64_t n)
{
  double *a = positive(n, 8), *l = matrix(n, n), *g = randoms(n, n, 9), *c = matrix(n, n),
         *d = positive(n, 10), h = 1e-3;
  memcpy(l, a, (size_t)(n * n) * sizeof *l);
  la_cholesky(l, n);
  memcpy(c, g, (size_t)(n * n) * sizeof *c);
  la_cholesky_adjoint(l, g, n);
  double s = 0, size = 0;
  bool symmetric = true;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      s += g[i * n + j] * d[i * n + j];
      size += fabs(g[i * n + j] * d[i * n + j]);
      symmetric = symmetric && g[i * n + j] == g[j * n + i];
    }
  CHECK(symmetric);
  double near = along(a, d, h, c, n) - along(a, d, -h, c, n);
  double far = along(a, d, 2 * h, c, n) - along(a, d, -2 * h, c, n);
  /* the term left out is h^4 / 30 times a fifth derivative */
  CHECK_NEAR(s, (8 * near - far) / (12 * h), 1e-9 * size);
  free(a), free(l), free(g), free(c), free(d);
}

static void test_adjoint(void)
{
  static const int64_t n[] = { 1, 2, 3, 10, 31, 33, 70, 150 };
  for (size_t s = 0; s < sizeof n / sizeof *n; s++) check_adjoint(n[s]);
}

/* |a x - b| <= 3 n eps |l| |u| |x|: with pivots that grow 8 times at most, 24 n eps max|a| |x|. */
static void check_solve(int64_t n)
{
  int64_t m = n % 3 + 1;
  double *a = randoms(n, n, 11), *lu = matrix(n, n), *b = randoms(n, m, 12), *x = matrix(n, m);
  double worst = 0, sign, log_abs;
  memcpy(lu, a, (size_t)(n * n) * sizeof *a);
  memcpy(x, b, (size_t)(n * m) * sizeof *b);
  CHECK(la_solve(lu, n, x, m));
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < m; j++) {
      long double s = -b[i * m + j], size = 0;
      for (int64_t p = 0; p < n; p++) {
        s += (long double)a[i * n + p] * x[p * m + j];
        size += fabs(x[p * m + j]);
      }
      worst = fmax(worst, (double)(fabsl(s) / (24 * (double)n * EPS * size)));
    }
  CHECK(worst <= 1);
  memcpy(lu, a, (size_t)(n * n) * sizeof *a);
  if (n > 2) memcpy(lu + n * (n - 1), lu, (size_t)n * sizeof *a);      /* a row twice */
  la_log_det(lu, n, &sign, &log_abs);
  CHECK(n <= 2 || sign == 0 || fabs(lu[n * n - 1]) <= 24 * (double)n * EPS);
  free(a), free(lu), free(b), free(x);
}

/* det H_n = c_n^4 / c_2n, c_n = 1! 2! ... (n-1)!; the condition of H_n is exp(3.5 n) or less. */
static void check_hilbert(int64_t n)
{
  double *h = matrix(n, n), sign, log_abs;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) h[i * n + j] = 1 / (double)(i + j + 1);
  big_reset();
  big c = num(0), c2 = num(0);
  for (int64_t i = 1; i < 2 * n; i++) {
    if (i < n) c = add(c, lnfact(num((double)i)));
    c2 = add(c2, lnfact(num((double)i)));
  }
  double exact = dbl(sub(mul(num(4), c), c2));
  double tol = (double)n * EPS * exp(3.5 * (double)n);
  la_log_det(h, n, &sign, &log_abs);
  CHECK(sign == 1);
  CHECK_NEAR(log_abs, exact, tol);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) h[i * n + j] = 1 / (double)(i + j + 1);
  CHECK(la_cholesky(h, n) == 0);
  CHECK_NEAR(la_cholesky_log_det(h, n), exact, tol);
  free(h);
}

static void test_lu(void)
{
  for (size_t s = 0; s < NSIZES; s++) check_solve(sizes[s]);
  for (int64_t n = 1; n <= 8; n++) check_hilbert(n);
  double a[4] = { 0, 2, 3, 1 }, b[2] = { 4, 5 }, sign, log_abs;
  CHECK(la_solve(a, 2, b, 1));
  CHECK(b[0] == 1 && b[1] == 2);
  double p[9] = { 0, 0, 2, 3, 0, 0, 0, 4, 0 };      /* an even permutation of 2, 3, 4 */
  la_log_det(p, 3, &sign, &log_abs);
  CHECK(sign == 1);
  CHECK_NEAR(log_abs, log(24), 4 * EPS);
  double flat[4] = { 1, 2, 2, 4 };
  CHECK(!la_solve(flat, 2, b, 1));
  double hole[4] = { 1, NAN, 2, 4 };
  la_log_det(hole, 2, &sign, &log_abs);
  CHECK(isnan(log_abs));
}

/* ---- CPU levels ---- */

/* The kernels of a level against those of the base: the same bits. */
static void check_level(const la_kernels *f)
{
  enum { SIZE = LA_SMALL * 64 };
  const la_kernels *g = &la_base;
  double *a = randoms(LA_SMALL, 64, 30), *b = randoms(LA_SMALL, 64, 31), *x = matrix(SIZE, 1),
         *y = matrix(SIZE, 1);
  for (int64_t n = 1; n <= LA_SMALL; n++) {
    int64_t m = LA_SMALL + 1 - n / 2, k = n % 7 + 1;
    memcpy(x, b, SIZE * sizeof *x);
    memcpy(y, b, SIZE * sizeof *y);
    f->block(m / 2, n, k, 0.3, a, 64, 1, b, 64, x, 64);
    g->block(m / 2, n, k, 0.3, a, 64, 1, b, 64, y, 64);
    for (int back = 0; back < 2; back++) {
      f->tri(a, 1, 64, n, back, !back, x, 40, m);
      g->tri(a, 1, 64, n, back, !back, y, 40, m);
    }
    CHECK(memcmp(x, y, SIZE * sizeof *x) == 0);
    f->axpy(0.7, a, x, 20 * n + 3);
    g->axpy(0.7, a, y, 20 * n + 3);
    CHECK(memcmp(x, y, SIZE * sizeof *x) == 0);
    double s = f->dot(a, b, 30 * n + 5), t = g->dot(a, b, 30 * n + 5);
    CHECK(memcmp(&s, &t, sizeof s) == 0);
    /* a matrix of its exact size; the sum of a row is that of dot() */
    double *end_to_end = matrix(m, n);
    memcpy(end_to_end, a, (size_t)(m * n) * sizeof *a);
    f->rows(m, n, end_to_end, b, x);
    g->rows(m, n, end_to_end, b, y);
    for (int64_t i = 0; i < m; i++) CHECK(x[i] == f->dot(end_to_end + i * n, b, n));
    f->columns(m, n, end_to_end, b, x);
    g->columns(m, n, end_to_end, b, y);
    CHECK(memcmp(x, y, SIZE * sizeof *x) == 0);
    end_to_end[n * (m / 2)] = NAN;                 /* stays in its row */
    f->rows(m, n, end_to_end, b, x);
    for (int64_t i = 0; i < m; i++) CHECK(isnan(x[i]) == (i == m / 2));
    free(end_to_end);
    memcpy(x, y, SIZE * sizeof *x);
    double *p = positive(n, 32), diff = 0;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < LA_SMALL; j++)
        x[i * LA_SMALL + j] = y[i * LA_SMALL + j] = j < n ? p[i * n + j] : 0;
    CHECK(f->chol(x, n) == 0 && g->chol(y, n) == 0);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = i; j < n; j++) diff += x[i * LA_SMALL + j] != y[i * LA_SMALL + j];
    CHECK(diff == 0);
    free(p);
  }
  free(a), free(b), free(x), free(y);
}

static void test_levels(void)
{
  check_level(&la_base);               /* where there is no other */
#ifdef HAVE_X86_LEVELS
  if (level_has(LEVEL_AVX2)) check_level(&la_avx2);
  if (level_has(LEVEL_AVX512)) check_level(&la_avx512);
#endif
}

/* ---- QR, eigenvalues, singular values ---- */

/* The largest |x' x - 1| of the columns of x (m, n). */
static double orthogonality(const double *x, int64_t m, int64_t n)
{
  double worst = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      long double s = i == j ? -1 : 0;
      for (int64_t p = 0; p < m; p++) s += (long double)x[p * n + i] * x[p * n + j];
      if (!(fabsl(s) <= worst)) worst = (double)fabsl(s);
    }
  return worst;
}

/* The largest |x diag(s) y - a|, x (m, k), y (k, n), over the Frobenius norm of a; s or NULL. */
static double product_residual(const double *x, const double *s, const double *y, const double *a,
                               int64_t m, int64_t k, int64_t n)
{
  double worst = 0, norm = 1e-300;
  for (int64_t i = 0; i < m * n; i++) norm = hypot(norm, a[i]);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      long double sum = -a[i * n + j];
      for (int64_t p = 0; p < k; p++)
        sum += (long double)x[i * k + p] * (s ? s[p] : 1) * y[p * n + j];
      if (!(fabsl(sum) <= worst)) worst = (double)fabsl(sum);
    }
  return worst / norm;
}

/* A matrix of a kind: 0 ordinary, 1 of rank 2, 2 zero, 3 columns from 1e-12 to 1e150. */
static double *of_kind(int kind, int64_t m, int64_t n)
{
  double *a = randoms(m, n, 20);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      if (kind == 1) a[i * n + j] = (double)i * (double)(j % 2) - (double)(j % 3);
      if (kind == 2) a[i * n + j] = 0;
      if (kind == 3) a[i * n + j] *= pow(10, -12 + 162 * (double)j / (double)n);
    }
  return a;
}

static void check_qr(int kind, int64_t m, int64_t n)
{
  double *a = of_kind(kind, m, n), *q = matrix(m, n), *r = matrix(n, n);
  bool upper = true;
  memcpy(q, a, (size_t)(m * n) * sizeof *a);
  CHECK(la_qr(q, m, n, r));
  CHECK(orthogonality(q, m, n) <= 4 * (double)m * EPS);
  CHECK(product_residual(q, NULL, r, a, m, n, n) <= 4 * (double)m * EPS);
  for (int64_t i = 0; i < n; i++) {
    CHECK(r[i * n + i] >= 0);
    for (int64_t j = 0; j < i; j++) upper = upper && r[i * n + j] == 0;
  }
  CHECK(upper);
  free(a), free(q), free(r);
}

static bool sign_rule(const double *x, int64_t n, int64_t step)
{
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(x[i * step]));
  for (int64_t i = 0; i < n; i++)
    if (fabs(x[i * step]) >= most / 2) return x[i * step] >= 0;
  return false;
}

static void check_svd(int kind, int64_t m, int64_t n)
{
  int64_t k = m < n ? m : n;
  double *a = of_kind(kind, m, n), *w = matrix(m, n), *u = matrix(m, k), *s = matrix(1, k),
         *vt = matrix(k, n), *v = matrix(n, k);
  memcpy(w, a, (size_t)(m * n) * sizeof *a);
  CHECK(la_svd(w, m, n, u, s, vt));
  double tol = 8 * (double)(m + n) * EPS;
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = 0; j < n; j++) v[j * k + i] = vt[i * n + j];
  CHECK(orthogonality(u, m, k) <= tol);
  CHECK(orthogonality(v, n, k) <= tol);
  CHECK(product_residual(u, s, vt, a, m, k, n) <= tol);
  for (int64_t j = 0; j < k; j++) {
    CHECK(s[j] >= 0 && (j == 0 || s[j] <= s[j - 1]));
    CHECK(sign_rule(u + j, m, k));
  }
  if (kind == 1 && k > 2) CHECK(s[2] <= tol * s[0] && s[1] > 1e-6 * s[0]);
  free(a), free(w), free(u), free(s), free(vt), free(v);
}

/* The second difference: eigenvalues 2 - 2 cos(k pi / (n + 1)). */
static void check_eigen(int64_t n)
{
  double *a = matrix(n, n), *v = matrix(n, n), *w = matrix(1, n), *vt = matrix(n, n),
         pi = acos(-1.0);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) a[i * n + j] = i == j ? 2 : i - j == 1 || j - i == 1 ? -1 : 0;
  for (int dense = 0; dense < 3; dense++) {
    if (dense == 1) free(a), a = positive(n, 21);
    for (int64_t i = 0; i < n * n && dense == 2; i++) a[i] *= 1e200;
    memcpy(v, a, (size_t)(n * n) * sizeof *a);
    CHECK(la_eigen_symmetric(v, n, w));
    for (int64_t i = 0; i < n; i++) {
      CHECK(i == 0 || w[i] >= w[i - 1]);
      CHECK(sign_rule(v + i, n, n));
      if (!dense)
        CHECK_NEAR(w[i], 2 - 2 * cos((double)(i + 1) * pi / (double)(n + 1)), 8 * (double)n * EPS);
      for (int64_t j = 0; j < n; j++) vt[i * n + j] = v[j * n + i];
    }
    CHECK(orthogonality(v, n, n) <= 8 * (double)n * EPS);
    CHECK(product_residual(v, w, vt, a, n, n, n) <= 8 * (double)n * EPS);
  }
  a[n * n - 1] = NAN;
  CHECK(!la_eigen_symmetric(a, n, w));
  free(a), free(v), free(w), free(vt);
}

/* exp of a matrix of norm up to `size` against the series in long double. */
static void check_exp(int64_t n, double size)
{
  double *a = randoms(n, n, 33), *w = matrix(n, n), *x = matrix(n, n);
  long double *term = malloc((size_t)(2 * n * n) * sizeof *term), *sum = term + n * n, row[40];
  if (!term) exit(99);
  for (int64_t k = 0; k < n * n; k++) {
    a[k] *= size / (double)n;
    term[k] = sum[k] = k % (n + 1) == 0;
  }
  for (int step = 1; step < 200; step++)
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < n; j++) {
        row[j] = 0;
        for (int64_t p = 0; p < n; p++) row[j] += term[i * n + p] * a[p * n + j];
      }
      for (int64_t j = 0; j < n; j++) sum[i * n + j] += term[i * n + j] = row[j] / step;
    }
  double worst = 0, most = 0;
  memcpy(w, a, (size_t)(n * n) * sizeof *a);
  CHECK(la_exp(w, n, x));
  for (int64_t k = 0; k < n * n; k++) {
    worst = fmax(worst, (double)fabsl(x[k] - sum[k]));
    most = fmax(most, fabs(x[k]));
  }
  CHECK(worst <= 8 * (double)n * (1 + size) * EPS * most);
  free(a), free(w), free(x), free(term);
}

static void test_exp(void)
{
  for (int64_t n = 1; n <= 40; n += 13)
    for (double size = 0.01; size < 40; size *= 7) check_exp(n, size);
  double a[1] = { 800 }, x[1], nil[4] = { 0, 1e300, 0, 0 }, y[4];
  CHECK(la_exp(a, 1, x) && x[0] > 1e308);
  CHECK(la_exp(nil, 2, y));
  CHECK(y[0] == 1 && y[1] == 1e300 && y[2] == 0 && y[3] == 1);
}

static void test_factors(void)
{
  static const int64_t shape[][2] = { { 1, 1 }, { 3, 1 }, { 5, 5 }, { 12, 12 }, { 13, 13 },
                                      { 20, 7 }, { 33, 33 }, { 90, 40 }, { 120, 120 } };
  for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
    for (int kind = 0; kind < 4; kind++) {
      check_qr(kind, shape[s][0], shape[s][1]);
      check_svd(kind, shape[s][0], shape[s][1]);
      check_svd(kind, shape[s][1], shape[s][0]);
    }
  for (int64_t n = 1; n <= 130; n += n < 20 ? 3 : 37) check_eigen(n);
  double two[4] = { 2, 1, 1, 2 }, w[2], a[4] = { 3, 0, 4, 5 }, u[4], s[2], vt[4];
  CHECK(la_eigen_symmetric(two, 2, w));
  CHECK_NEAR(w[0], 1, 4 * EPS);
  CHECK_NEAR(w[1], 3, 4 * EPS);
  CHECK_NEAR(two[0], sqrt(0.5), 4 * EPS);      /* (1, -1) and (1, 1) */
  CHECK_NEAR(two[2], -sqrt(0.5), 4 * EPS);
  CHECK_NEAR(two[1], sqrt(0.5), 4 * EPS);
  CHECK(la_svd(a, 2, 2, u, s, vt));            /* a a' = [[9, 12], [12, 41]]: 45 and 5 */
  CHECK_NEAR(s[0], sqrt(45), 16 * EPS);
  CHECK_NEAR(s[1], sqrt(5), 16 * EPS);
  double hole[4] = { 1, INFINITY, 2, 3 };
  CHECK(!la_svd(hole, 2, 2, u, s, vt));
  CHECK(!la_qr(hole, 2, 2, s));
}

static void tests(void)
{
  test_products();
  test_vectors();
  test_cholesky();
  test_adjoint();
  test_lu();
  test_factors();
  test_levels();
  test_exp();
}

int main(void)
{
  int status = 0;
  pid_t child = fork();
  if (child == 0) {
    setenv("NORN_BLAS", "own", 1);
    tests();
    CHECK_STR(la_name(), "own");
    return unit_end();
  }
  if (child < 0 || waitpid(child, &status, 0) < 0) return 99;
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  printf("%s\n", la_name());
  tests();
  return unit_end();
}
