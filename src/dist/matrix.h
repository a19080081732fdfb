/* matrix: what the multivariate families share: vectors and matrices out of arguments and values,
   the sentences about them, and scratch memory.

   Derivatives in a symmetric matrix are those of the function f((A + A')/2) of all n*n entries, as
   the densities read it: a symmetric matrix, of which an entry off the diagonal is half of the
   derivative along the symmetric direction that moves both places at once. */
#ifndef NORN_DIST_MATRIX_H
#define NORN_DIST_MATRIX_H
#include "dist/dist.h"
#include "num/la.h"

/* A view of an array of numbers of that rank (0: any); false: something else. */
bool dist_numbers(norn_datum, int rank, norn_view *);
static inline double dist_real_at(const norn_view *v, int64_t k)
{
  return v->elem == NORN_F64 ? v->f[k] : (double)v->i[k];
}
void dist_fill(const norn_view *, double *out /* (n) */);
void dist_fill_symmetric(const norn_view *, double *out /* (m, m) */);   /* (A + A')/2 */

/* ---- arguments: each sets the error about argument i and says so by its status --------------- */

/* A finite number, above 0 where `positive`. */
norn_status dist_want_number(norn_state *, const norn_dist *, int i, bool positive, double *out);
/* A number above `least`, which is shown as `text`. */
norn_status dist_want_above(norn_state *, const norn_dist *, int i, double least, const char *text,
                            double *out);
/* A vector of finite numbers, of length n if that is not 0. */
norn_status dist_want_vector(norn_state *, const norn_dist *, int i, int64_t n, norn_view *);
/* A square matrix of finite numbers; of order n, to go with argument `with`, if n is not 0. */
norn_status dist_want_square(norn_state *, const norn_dist *, int i, int64_t n, int with,
                             norn_view *);
/* ... that is symmetric (to 1e-8 of its entries) and positive definite. */
norn_status dist_want_definite(norn_state *, const norn_dist *, int i, int64_t n, int with,
                               norn_view *);
/* ... that is lower triangular with a positive diagonal. */
norn_status dist_want_factor(norn_state *, const norn_dist *, int i, int64_t n, int with,
                             norn_view *);
/* la_cholesky, which also stops at the first leading minor that is 0 but for rounding. */
int64_t dist_cholesky(double *a /* (n, n) */, int64_t n, bool *rounding);
/* Cholesky's factor in place of the matrix that is argument i. */
norn_status dist_factor(norn_state *, const norn_dist *, int i, double *a /* (n, n) */, int64_t n);

/* ---- values ---------------------------------------------------------------------------------- */

/* The view of a value that must be an array of numbers of that shape, none of them NaN. */
norn_status dist_want_value(norn_state *, const norn_dist *, norn_datum x, int rank,
                            const int64_t *dims, norn_view *);
/* Whether a(n, n) is symmetric to 1e-8 of its entries. */
bool dist_is_symmetric(const norn_view *, int64_t *row, int64_t *column);
/* The place of the first number that is not finite (nan only: `finite` false), or -1. */
int64_t dist_not_finite(const norn_view *, bool finite);
/* A draw that rounding left without a Cholesky factor: its entries off the diagonal are shrunk by
   some 2^-52 until it has one.  scratch (n, n) */
void dist_keep_definite(double *a /* (n, n) */, double *scratch, int64_t n);
/* log Gamma(a + d/2) - log Gamma(a) - d/2 log a, without cancellation; and its slope in a. */
double dist_gamma_rise(double a, int64_t d);
double dist_gamma_rise_slope(double a, int64_t d);

/* ---- scratch memory -------------------------------------------------------------------------- */

typedef struct dist_space {
  norn_state *st;
  double *p;
  size_t bytes;             /* 0: in `small` */
  double small[256];
} dist_space;
/* n numbers; NULL: out of memory, and the error says so. */
double *dist_space_open(dist_space *, norn_state *, int64_t n);
void    dist_space_close(dist_space *);
/* A new array of that shape, and where its numbers go; NULL: error set. */
double *dist_new_array(norn_state *, int rank, const int64_t *dims, norn_datum *out);
#endif
