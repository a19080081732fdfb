/* la: dense linear algebra on row-major arrays of doubles (m, n).  Small matrices are worked on
   here; large ones go to OpenBLAS with its LAPACK, opened at first use (this is its door) and
   called with one thread.  Without it everything still works, slower.  The same call at the same
   shape gives the same bits.  Nothing here allocates but what says so (and then fails with false
   when memory ends). */
#ifndef NORN_LA_H
#define NORN_LA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* c (m, n) = alpha op(a) op(b) + beta c, op(a) (m, k), op(b) (k, n); ta: a is stored (k, m). */
void la_mul(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
            const double *b, double beta, double *c);
/* Of floats: c (m, n) = op(a) op(b), or added to c; lda, ldb and ldc from row to row as stored.  Any thread. */
void la_product_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                    int64_t ldb, bool add, float *c, int64_t ldc);
/* y (m) = a (m, n) x; ta: a' x, y (n) */
void la_mul_vector(bool ta, int64_t m, int64_t n, const double *a, const double *x, double *y);
double la_dot(const double *x, const double *y, int64_t n);

/* The lower Cholesky factor in place of a symmetric a (n, n), of which the lower half is read; the
   upper half becomes 0.  0, or the order (1 ..) of the first leading minor that is not positive. */
int64_t la_cholesky(double *a, int64_t n);
/* b (n, m) = L^-1 b, or L^-T b; L lower triangular (n, n) */
void la_solve_lower(bool transpose, const double *l, int64_t n, double *b, int64_t m);
/* The inverse (n, n) of L L' into out. */
void la_cholesky_inverse(const double *l, int64_t n, double *out);
/* log det of L L' = 2 sum log l[i,i] */
double la_cholesky_log_det(const double *l, int64_t n);
/* Reverse mode of a = L L': from the derivative in L (lower half of gl) to the symmetric derivative
   in a, in place.  Murray 2016, "Differentiation of the Cholesky decomposition", section 3. */
void la_cholesky_adjoint(const double *l, double *gl, int64_t n);

/* x of a x = b in place of b (n, m); a (n, n) is overwritten by its LU factors, the upper one with
   the pivots on its diagonal.  false: singular. */
bool la_solve(double *a, int64_t n, double *b, int64_t m);
/* sign and log |det|; a is overwritten.  sign 0: singular. */
void la_log_det(double *a, int64_t n, double *sign, double *log_abs);
/* The next three are also false for numbers that are not finite, or if they do not converge.  Of an
   eigenvector or left singular vector the first element that is at least half as large as its
   largest is positive.
   Thin QR of a (m, n), m >= n: q (m, n) in place of a, r (n, n) upper with a positive diagonal. */
bool la_qr(double *a, int64_t m, int64_t n, double *r);                             /* allocates */
/* Eigenvalues, rising, and vectors (columns of a) of a symmetric a (n, n). */
bool la_eigen_symmetric(double *a, int64_t n, double *values);                      /* allocates */
/* a (m, n) = u (m, k) diag(s) vt (k, n), k = min(m, n), s falling; a is overwritten. */
bool la_svd(double *a, int64_t m, int64_t n, double *u, double *s, double *vt);     /* allocates */

/* out = exp(a), a (n, n), which is overwritten; false also if something is not finite. */
bool la_exp(double *a, int64_t n, double *out);                                     /* allocates */

/* "OpenBLAS 0.3.21, SkylakeX" or "own"; loads it. */
const char *la_name(void);
#endif
