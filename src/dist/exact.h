/* exact: log densities in any precision, from the textbook formulas.  They share nothing with the
   formulas of kernel.h, so each checks the other. */
#ifndef NORN_EXACT_H
#define NORN_EXACT_H
#include "dist/dist.h"
#include "num/real.h"

typedef const bignum *num;
/* A scalar family: log density at x; log P(X <= x) and log P(X > x) where these are closed forms. */
typedef struct exact_row {
  const char *name;
  int n;                                 /* parameters */
  num (*logp)(calc *, num x, const num *p);
  num (*lower)(calc *, num x, const num *p);
  num (*upper)(calc *, num x, const num *p);
} exact_row;
const exact_row *exact_find(const char *name);   /* NULL: no such family */

/* Families of arrays: log mass or density of x (n, as the family counts it) with parameters. */
num exact_categorical_logit(calc *, int64_t k, const num *beta, int64_t n);
/* Category k of n + 1 with cuts c (n): F(eta - c[k-1]) - F(eta - c[k]); F logistic or normal. */
num exact_ordered(calc *, int64_t k, num eta, const num *c, int64_t n, bool probit);
num exact_multinomial(calc *, const num *y, const num *p, int64_t n);
num exact_dirichlet_multinomial(calc *, const num *y, const num *alpha, int64_t n);
num exact_dirichlet(calc *, const num *x, const num *alpha, int64_t n);
/* Vectors and matrices (exact_matrix.c): x the numbers of a value inside the support, row-major, of a
   record those of its fields in the order of the formula.  NULL: no such family. */
num exact_matrix(calc *, norn_state *, const norn_dist *, const num *x);
num exact_log_add(calc *, num a, num b);
#endif
