/* la.c: products, triangular solves, Cholesky and LU factors.

   Everything rests on two kernels (la_level.c, for each CPU level): a product of blocks and the
   solution with a small triangle; factors are made block by block from those, as Golub and Van
   Loan, Matrix Computations (4th ed. 2013), sections 3.2 and 4.2.  From some size on, which depends
   on nothing but the shape, OpenBLAS does the products.  This file is its door. */
#include "num/la_in.h"
#include "num/level.h"
#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the machine has: CPU level and OpenBLAS ---- */

static const la_kernels *kernels(void)
{
#ifdef HAVE_X86_LEVELS
  static const la_kernels *const levels[LEVELS] = { &la_base, &la_avx2, &la_avx512 };
  return levels[level_best()];
#else
  return &la_base;
#endif
}

/* What outlives a call here.  It is a property of the process, written once before its first reader
   (pthread_once) and never again, the same for every state; with a handle in each state the library
   would be loaded and asked again each time. */
static pthread_once_t blas_once = PTHREAD_ONCE_INIT;
static la_blas blas_found;

/* OpenBLAS picks kernels for CPUs that were known when it was built, and for a newer one takes the
   oldest it has (Prescott: a fifth of the speed).  So it is told by what the CPU can do. */
static const char *core_type(void)
{
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) return "SkylakeX";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
  return NULL;
}

/* Opens the library, which reads its settings from the environment only: those that the user has
   not made are there meanwhile. */
static void *open_library(const char *file)
{
  const char *core = getenv("OPENBLAS_CORETYPE") ? NULL : core_type();
  bool threads = !getenv("OPENBLAS_NUM_THREADS");
  if (core) setenv("OPENBLAS_CORETYPE", core, 0);
  if (threads) setenv("OPENBLAS_NUM_THREADS", "1", 0);   /* it starts no pool of its own */
  void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (core) unsetenv("OPENBLAS_CORETYPE");
  if (threads) unsetenv("OPENBLAS_NUM_THREADS");
  return handle;
}

/* A function pointer from dlsym, which gives an object pointer. */
static bool find(void *handle, const char *name, void *to)
{
  void *f = dlsym(handle, name);
  memcpy(to, &f, sizeof f);
  return f != NULL;
}

static void name_blas(void *handle, la_blas *b)
{
  char *(*config)(void) = NULL, *(*core)(void) = NULL;
  char version[40] = "OpenBLAS";
  if (find(handle, "openblas_get_config", &config)) {
    const char *text = config();
    size_t n = strcspn(text, " ");
    n += text[n] ? 1 + strcspn(text + n + 1, " ") : 0;
    snprintf(version, sizeof version, "%.*s", (int)n, text);
  }
  find(handle, "openblas_get_corename", &core);
  snprintf(b->name, sizeof b->name, "%s, %.30s", version, core ? core() : "unknown core");
}

/* NORN_BLAS names another library with these functions; "own" leaves it out. */
static void find_blas(void)
{
  la_blas b = { .name = "own" };
  void (*set_threads)(int) = NULL;
  const char *file = getenv("NORN_BLAS");
  if (!file || !*file) file = "libopenblas.so.0";
  void *handle = strcmp(file, "own") == 0 ? NULL : open_library(file);
  if (!handle) return;
  if (find(handle, "cblas_dgemm", &b.gemm) && find(handle, "dgelqf_", &b.gelqf) &&
      find(handle, "dorglq_", &b.orglq) && find(handle, "dsyevd_", &b.syevd) &&
      find(handle, "dgesdd_", &b.gesdd)) {
    find(handle, "cblas_sgemm", &b.gemm_f32);
    if (find(handle, "openblas_set_num_threads", &set_threads)) set_threads(1);
    name_blas(handle, &b);
    blas_found = b;
  } else dlclose(handle);
}

const la_blas *la_open(void)
{
  pthread_once(&blas_once, find_blas);
  return blas_found.gemm ? &blas_found : NULL;
}

const char *la_name(void)
{
  const la_blas *b = la_open();
  return b ? b->name : "own";
}

/* The constants of cblas.h. */
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

/* ---- products ---- */

void la_gemm_f32(const la_blas *b, bool ta, bool tb, int m, int n, int k, const float *x, int ldx, const float *y,
                 int ldy, bool add, float *c, int ldc)
{
  b->gemm_f32(ROW_MAJOR, ta ? TRANS : NO_TRANS, tb ? TRANS : NO_TRANS, m, n, k, 1, x, ldx, y, ldy, add, c, ldc);
}

/* Below, calling and packing cost OpenBLAS more than they bring. */
static bool big_product(int64_t m, int64_t n, int64_t k, int64_t ld)
{
  return m >= 8 && n >= 8 && k >= 8 && m * n >= 1024 && (double)m * (double)n * (double)k > 5e4 &&
         m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && ld <= INT_MAX;
}

#define PACK 64     /* columns of b that are packed together; whole tiles at every level */

/* b[p0 .. p0 + k, j0 .. j0 + n) where the kernel can read whole tiles: as it lies, or in pack. */
static const double *packed(bool tb, const double *b, int64_t ldb, int64_t p0, int64_t k,
                            int64_t j0, int64_t n, double *pack, int64_t *ld)
{
  if (!tb && n % 16 == 0 && ldb <= 2 * PACK) {
    *ld = ldb;
    return b + p0 * ldb + j0;
  }
  int64_t wide = *ld = (n + 15) / 16 * 16;
  for (int64_t p = 0; p < k && !tb; p++) {
    memcpy(pack + p * wide, b + (p0 + p) * ldb + j0, (size_t)n * sizeof *pack);
    for (int64_t j = n; j < wide; j++) pack[p * wide + j] = 0;
  }
  for (int64_t j = 0; j < wide && tb; j++)
    for (int64_t p = 0; p < k; p++) pack[p * wide + j] = j < n ? b[(j0 + j) * ldb + p0 + p] : 0;
  return pack;
}

/* A handful of terms, to the bits of the kernel. */
static void tiny_product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha,
                         const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                         int64_t ldc)
{
  int64_t ai = ta ? 1 : lda, ap = ta ? lda : 1, bp = tb ? 1 : ldb, bj = tb ? ldb : 1;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double s = 0;
      for (int64_t p = 0; p < k; p++) s += a[i * ai + p * ap] * b[p * bp + j * bj];
      c[i * ldc + j] += alpha * s;
    }
}

static void own_product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha,
                        const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                        int64_t ldc)
{
  double pack[LA_DEPTH * PACK];
  const la_kernels *f = kernels();
  int64_t ai = ta ? 1 : lda, ap = ta ? lda : 1, ld;
  for (int64_t p = 0; p < k; p += LA_DEPTH) {
    int64_t depth = k - p < LA_DEPTH ? k - p : LA_DEPTH;
    for (int64_t j = 0; j < n; j += PACK) {
      int64_t wide = n - j < PACK ? n - j : PACK;
      const double *q = packed(tb, b, ldb, p, depth, j, wide, pack, &ld);
      f->block(m, wide, depth, alpha, a + p * ap, ai, ap, q, ld, c + j, ldc);
    }
  }
}

void la_add_product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha,
                    const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                    int64_t ldc)
{
  int64_t ld = lda > ldb ? lda : ldb;
  const la_blas *blas = big_product(m, n, k, ld > ldc ? ld : ldc) ? la_open() : NULL;
  if (blas)
    blas->gemm(ROW_MAJOR, ta ? TRANS : NO_TRANS, tb ? TRANS : NO_TRANS, (int)m, (int)n, (int)k,
               alpha, a, (int)lda, b, (int)ldb, 1, c, (int)ldc);
  else if (m * n <= 64 && m * n * k <= 64)
    tiny_product(ta, tb, m, n, k, alpha, a, lda, b, ldb, c, ldc);
  else own_product(ta, tb, m, n, k, alpha, a, lda, b, ldb, c, ldc);
}

void la_mul(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
            const double *b, double beta, double *c)
{
  if (m == 0 || n == 0) return;
  if (beta == 0) memset(c, 0, (size_t)(m * n) * sizeof *c);   /* also over NaN */
  else if (beta != 1)
    for (int64_t i = 0; i < m * n; i++) c[i] *= beta;
  if (k > 0)
    la_add_product(ta, tb, m, n, k, alpha, a, ta ? m : k, b, tb ? k : n, c, n);
}

void la_axpy(double c, const double *x, double *y, int64_t n) { kernels()->axpy(c, x, y, n); }

double la_dot(const double *x, const double *y, int64_t n) { return kernels()->dot(x, y, n); }

void la_mul_vector(bool ta, int64_t m, int64_t n, const double *a, const double *x, double *y)
{
  const la_kernels *f = kernels();
  if (!ta) {
    f->rows(m, n, a, x, y);
    return;
  }
  enum { ROWS = 256 };                           /* so that they stay near while columns pass */
  if (n > 0) memset(y, 0, (size_t)n * sizeof *y);
  for (int64_t i = 0; i < m; i += ROWS)
    f->columns(m - i < ROWS ? m - i : ROWS, n, a + i * n, x + i, y);
}

/* ---- triangles ---- */

/* t x = b in place of b (n, m), its rows ldb apart; t is the lower triangle of l, its transpose, or
   the upper triangle of l; with `unit` its diagonal is 1. */
typedef enum { T_LOWER, T_LOWER_TRANSPOSED, T_UPPER } triangle;

/* One column, so nothing to share: a row by scalar products, a column by sums of columns. */
static void solve_vector(triangle kind, bool unit, const double *l, int64_t ldl, int64_t n,
                         double *x)
{
  const la_kernels *f = kernels();
  for (int64_t step = 0; step < n; step++) {
    int64_t i = kind == T_LOWER ? step : n - 1 - step;
    const double *row = l + i * ldl;
    if (kind == T_LOWER) x[i] -= f->dot(row, x, i);
    else if (kind == T_UPPER) x[i] -= f->dot(row + i + 1, x + i + 1, n - 1 - i);
    if (!unit) x[i] /= row[i];
    if (kind == T_LOWER_TRANSPOSED) f->axpy(-x[i], row, x, i);
  }
}

static void solve_blocks(triangle kind, bool unit, const double *l, int64_t ldl, int64_t n,
                         double *b, int64_t ldb, int64_t m)
{
  const la_kernels *f = kernels();
  bool back = kind != T_LOWER, turn = kind == T_LOWER_TRANSPOSED;
  for (int64_t done = 0; done < n; done += LA_SMALL) {
    int64_t size = n - done < LA_SMALL ? n - done : LA_SMALL;
    int64_t i = back ? n - done - size : done, p = back ? i + size : 0;
    if (done)
      la_add_product(turn, false, size, m, done, -1, turn ? l + p * ldl + i : l + i * ldl + p, ldl,
                     b + p * ldb, ldb, b + i * ldb, ldb);
    f->tri(l + i * ldl + i, turn ? 1 : ldl, turn ? ldl : 1, size, back, unit, b + i * ldb, ldb, m);
  }
}

static void solve_triangle(triangle kind, bool unit, const double *l, int64_t ldl, int64_t n,
                           double *b, int64_t ldb, int64_t m)
{
  if (m == 1 && ldb == 1) solve_vector(kind, unit, l, ldl, n, b);
  else solve_blocks(kind, unit, l, ldl, n, b, ldb, m);
}

void la_solve_lower(bool transpose, const double *l, int64_t n, double *b, int64_t m)
{
  solve_triangle(transpose ? T_LOWER_TRANSPOSED : T_LOWER, false, l, n, n, b, m, m);
}

/* ---- Cholesky ---- */

/* Column by column in place, to the bits of the kernel, which is slower for so few. */
static int64_t tiny_cholesky(double *a, int64_t lda, int64_t n)
{
  for (int64_t k = 0; k < n; k++) {
    double d = a[k * lda + k];
    if (!(d > 0)) return k + 1;
    d = a[k * lda + k] = sqrt(d);
    for (int64_t i = k + 1; i < n; i++) a[i * lda + k] /= d;
    for (int64_t i = k + 1; i < n; i++) {
      double c = a[i * lda + k];
      for (int64_t j = k + 1; j <= i; j++) a[i * lda + j] -= c * a[j * lda + k];
    }
  }
  return 0;
}

/* The factor of one block a (n, n), n <= LA_SMALL, through its transpose, whose rows are long. */
static int64_t small_cholesky(double *a, int64_t lda, int64_t n)
{
  double u[LA_SMALL * LA_SMALL];
  if (n <= 12) return tiny_cholesky(a, lda, n);
  memset(u, 0, (size_t)n * LA_SMALL * sizeof *u);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) u[j * LA_SMALL + i] = a[i * lda + j];
  int64_t bad = kernels()->chol(u, n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) a[i * lda + j] = u[j * LA_SMALL + i];
  return bad;
}

/* Rows x of a (m, n) become x l'^-1: blocks of rows as columns. */
static void solve_rows(const double *l, int64_t ld, int64_t n, double *a, int64_t m)
{
  double t[LA_SMALL * LA_SMALL];
  for (int64_t i0 = 0; i0 < m; i0 += LA_SMALL) {
    int64_t rows = m - i0 < LA_SMALL ? m - i0 : LA_SMALL;
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < n; j++) t[j * LA_SMALL + i] = a[(i0 + i) * ld + j];
    kernels()->tri(l, ld, 1, n, false, false, t, LA_SMALL, rows);
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < n; j++) a[(i0 + i) * ld + j] = t[j * LA_SMALL + i];
  }
}

int64_t la_cholesky(double *a, int64_t n)
{
  for (int64_t k = 0; k < n; k += LA_SMALL) {
    int64_t size = n - k < LA_SMALL ? n - k : LA_SMALL;
    double *block = a + k * n + k;
    if (k)
      la_add_product(false, true, n - k, size, k, -1, a + k * n, n, a + k * n, n, block, n);
    int64_t bad = small_cholesky(block, n, size);
    if (bad) return k + bad;
    solve_rows(block, n, size, block + size * n, n - k - size);
  }
  for (int64_t i = 0; i < n; i++)
    if (i + 1 < n) memset(a + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof *a);
  return 0;
}

static void mirror_lower(double *a, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) a[j * n + i] = a[i * n + j];
}

double la_cholesky_log_det(const double *l, int64_t n)
{
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += log(l[i * n + i]);
  return 2 * s;
}

/* gl = L' gl, both lower: of row i the terms are rows i, i + 1, ..., which are still to come; so gl
   may be L.  Above the diagonal is rubbish then. */
static void lower_transposed_times(const double *l, double *gl, int64_t n)
{
  for (int64_t k = 0; k < n; k += LA_SMALL) {
    int64_t size = n - k < LA_SMALL ? n - k : LA_SMALL, end = k + size;
    for (int64_t i = k; i < end; i++) {
      double d = l[i * n + i], *row = gl + i * n;
      for (int64_t j = 0; j <= i; j++) row[j] *= d;
      for (int64_t p = i + 1; p < end; p++) la_axpy(l[p * n + i], gl + p * n, row, i + 1);
    }
    if (end < n)
      la_add_product(true, false, size, end, n - end, 1, l + end * n + k, n, gl + end * n, n,
                     gl + k * n, n);
  }
}

/* L'^-1 L^-1: columns of L^-1 have zeros above the diagonal, so block columns begin there. */
void la_cholesky_inverse(const double *l, int64_t n, double *out)
{
  memset(out, 0, (size_t)(n * n) * sizeof *out);
  for (int64_t k = 0; k < n; k += LA_SMALL) {
    int64_t size = n - k < LA_SMALL ? n - k : LA_SMALL;
    for (int64_t i = k; i < k + size; i++) out[i * n + i] = 1;
    solve_triangle(T_LOWER, false, l + k * n + k, n, n - k, out + k * n + k, n, size);
  }
  lower_transposed_times(out, out, n);
  mirror_lower(out, n);
}

static void transpose(double *a, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) {
      double t = a[i * n + j];
      a[i * n + j] = a[j * n + i];
      a[j * n + i] = t;
    }
}

/* Murray 2016, equations (9) and (10), made symmetric: with X the lower half of L' gl, its diagonal
   halved, ga = L'^-1 (X + X')/2 L^-1. */
void la_cholesky_adjoint(const double *l, double *gl, int64_t n)
{
  lower_transposed_times(l, gl, n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) gl[i * n + j] *= 0.5;
  mirror_lower(gl, n);
  la_solve_lower(true, l, n, gl, n);
  transpose(gl, n);
  la_solve_lower(true, l, n, gl, n);
  mirror_lower(gl, n);
}

/* ---- LU ---- */

static void swap_rows(double *a, int64_t i, int64_t j, int64_t ld, int64_t n)
{
  for (int64_t k = 0; k < n; k++) {
    double t = a[i * ld + k];
    a[i * ld + k] = a[j * ld + k];
    a[j * ld + k] = t;
  }
}

/* The row of the pivot of column j: the largest, or the first NaN. */
static int64_t pivot_row(const double *a, int64_t n, int64_t j)
{
  int64_t best = j;
  for (int64_t i = j + 1; i < n && !isnan(a[best * n + j]); i++)
    if (!(fabs(a[i * n + j]) <= fabs(a[best * n + j]))) best = i;
  return best;
}

/* The columns k .. k + size of p a = l u; rows of a, and of b (n, m), are exchanged as a whole. */
static bool lu_panel(double *a, int64_t n, int64_t k, int64_t size, double *b, int64_t m,
                     double *sign)
{
  const la_kernels *f = kernels();
  for (int64_t j = k; j < k + size; j++) {
    int64_t p = pivot_row(a, n, j);
    if (a[p * n + j] == 0) return false;
    if (p != j) {
      swap_rows(a, p, j, n, n);
      swap_rows(b, p, j, m, m);
      *sign = -*sign;
    }
    for (int64_t i = j + 1; i < n; i++) {
      double *row = a + i * n, c = row[j] /= a[j * n + j];
      f->axpy(-c, a + j * n + j + 1, row + j + 1, k + size - j - 1);
    }
  }
  return true;
}

/* b = l^-1 p b and a = l u, b (n, m) or m = 0; *sign is that of the permutation. */
static bool factor_lu(double *a, int64_t n, double *b, int64_t m, double *sign)
{
  *sign = 1;
  for (int64_t k = 0; k < n; k += LA_SMALL) {
    int64_t size = n - k < LA_SMALL ? n - k : LA_SMALL, end = k + size, rest = n - end;
    double *block = a + k * n + k;
    if (!lu_panel(a, n, k, size, b, m, sign)) return false;
    if (rest) {
      solve_triangle(T_LOWER, true, block, n, size, block + size, n, rest);
      la_add_product(false, false, rest, rest, size, -1, block + size * n, n, block + size, n,
                     block + size * n + size, n);
    }
    if (m == 0) continue;
    solve_triangle(T_LOWER, true, block, n, size, b + k * m, m, m);
    if (rest)
      la_add_product(false, false, rest, m, size, -1, block + size * n, n, b + k * m, m,
                     b + end * m, m);
  }
  return true;
}

bool la_solve(double *a, int64_t n, double *b, int64_t m)
{
  double sign;
  if (!factor_lu(a, n, b, m, &sign)) return false;
  solve_triangle(T_UPPER, false, a, n, n, b, m, m);
  return true;
}

void la_log_det(double *a, int64_t n, double *sign, double *log_abs)
{
  *log_abs = 0;
  if (!factor_lu(a, n, NULL, 0, sign)) {
    *sign = 0;
    *log_abs = -(double)INFINITY;
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    double d = a[i * n + i];
    if (d < 0) *sign = -*sign;
    *log_abs += log(fabs(d));
  }
}
