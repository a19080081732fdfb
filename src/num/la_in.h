/* la_in: what the files of la share: OpenBLAS as it was opened, and products with row strides. */
#ifndef NORN_LA_IN_H
#define NORN_LA_IN_H
#include "num/la.h"

#define LA_SMALL 32     /* up to this order a factor fits the kernels of la_level.c */
#define LA_DEPTH 128    /* terms of a product that are summed before they are added to c */

/* What la_level.c has at each CPU level. */
typedef struct la_kernels {
  /* c (m, n) += alpha a b; a[i, p] at a[i ai + p ap], b (k, n) in memory that is readable up to
     whole tiles of two registers, k <= LA_DEPTH */
  void (*block)(int64_t m, int64_t n, int64_t k, double alpha, const double *a, int64_t ai,
                int64_t ap, const double *b, int64_t ldb, double *c, int64_t ldc);
  /* t x = b in place of b (n, m), t triangular: t[i, p] at t[i ti + p tp], p < i, or p > i if
     back; unit: the diagonal is 1 */
  void (*tri)(const double *t, int64_t ti, int64_t tp, int64_t n, bool back, bool unit, double *b,
              int64_t ldb, int64_t m);
  /* the upper factor of the upper half of u (n, LA_SMALL) in place, rubbish below it; 0 or the
     order of the first minor that is not positive */
  int64_t (*chol)(double *u, int64_t n);
  double (*dot)(const double *x, const double *y, int64_t n);
  void (*axpy)(double c, const double *x, double *y, int64_t n);      /* y += c x */
  /* y (m) = a x and y (n) += a' x; a (m, n), rows end to end */
  void (*rows)(int64_t m, int64_t n, const double *a, const double *x, double *y);
  void (*columns)(int64_t m, int64_t n, const double *a, const double *x, double *y);
} la_kernels;
extern const la_kernels la_base, la_avx2, la_avx512;
/* The same of floats, from la_f32_level.c: block: c += a b, with whole tiles of two registers of
   floats; dots: c += a b', where b is (n, k), read as it lies: for few rows of a (NULL: the level
   below has it). */
typedef struct la_kernels_f32 {
  void (*block)(int64_t m, int64_t n, int64_t k, const float *a, int64_t ai, int64_t ap, const float *b,
                int64_t ldb, float *c, int64_t ldc);
  void (*dots)(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
               int64_t ldc);
} la_kernels_f32;
extern const la_kernels_f32 la_f32_base, la_f32_avx2, la_f32_avx512;

/* The functions of OpenBLAS that are used; integers are int, matrices of LAPACK column-major, and
   Fortran passes the length of each text argument at the end. */
typedef struct la_blas {
  void (*gemm)(int order, int ta, int tb, int m, int n, int k, double alpha, const double *a,
               int lda, const double *b, int ldb, double beta, double *c, int ldc);
  void (*gemm_f32)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                   const float *b, int ldb, float beta, float *c, int ldc); /* NULL: the library has none */
  void (*gelqf)(const int *m, const int *n, double *a, const int *lda, double *tau, double *work,
                const int *lwork, int *info);
  void (*orglq)(const int *m, const int *n, const int *k, double *a, const int *lda,
                const double *tau, double *work, const int *lwork, int *info);
  void (*syevd)(const char *jobz, const char *uplo, const int *n, double *a, const int *lda,
                double *w, double *work, const int *lwork, int *iwork, const int *liwork, int *info,
                size_t, size_t);
  void (*gesdd)(const char *jobz, const int *m, const int *n, double *a, const int *lda, double *s,
                double *u, const int *ldu, double *vt, const int *ldvt, double *work,
                const int *lwork, int *iwork, int *info, size_t);
  char name[80];
} la_blas;

/* OpenBLAS, opened at the first call; NULL without it. */
const la_blas *la_open(void);
/* c (m, n) += alpha op(a) op(b); lda, ldb and ldc from row to row as stored. */
void la_add_product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha,
                    const double *a, int64_t lda, const double *b, int64_t ldb, double *c,
                    int64_t ldc);
/* c = op(a) op(b), or added to c, by the library. */
void la_gemm_f32(const la_blas *, bool ta, bool tb, int m, int n, int k, const float *a, int lda,
                 const float *b, int ldb, bool add, float *c, int ldc);
void la_axpy(double c, const double *x, double *y, int64_t n);   /* y += c x */
#endif
