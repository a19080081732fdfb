/* weights: from log weights to numbers of offspring, for particles: a few passes over numbers that lie
   side by side, without branches; one object per CPU level (weights_level.c), each with the same bits.

     logw --exp(logw - top)--> w --running sums, number of points below each--> below
     points: k + u_k, k < n, on the scale on which all weights together are n long

   below rises, and its differences are the numbers of offspring: u_k all equal is systematic, one for
   each k stratified resampling (Kitagawa 1996).  Their sum is n and no weight of 0 has any, whatever
   the rounding: a running sum is one chain of additions, so it does not rise over a zero. */
#ifndef NORN_WEIGHTS_H
#define NORN_WEIGHTS_H
#include "num/level.h"
#include <stddef.h>
#include <stdint.h>

typedef struct weights_sum { double top, sum, squares; } weights_sum;
/* w = exp(logw - top), their sum and the sum of their squares; top: the greatest.  When all are
   -infinity, w and the sums are 0. */
weights_sum weights_exp(const double *logw, double *w, size_t n);
/* below (n) from w (n), whose sum is > 0; u: one number, or with each = true n of them, all in (0, 1).
   Gives the mean over particles of the variance of their number of offspring. */
double      weights_below(const double *w, double sum, size_t n, const double *u, bool each,
                          uint32_t *below);
/* Copies that make the offspring: places with none, rising, get one each of the further offspring of
   those with several.  to, from: room for n + WEIGHTS_ROOM.  Gives how many. */
enum { WEIGHTS_ROOM = 4 };
size_t      weights_copies(const uint32_t *below, size_t n, uint32_t *to, uint32_t *from);

/* The same at a level: for tests. */
typedef struct weights_fns {
  weights_sum (*exp)(const double *logw, double *w, size_t n);
  double (*below)(const double *w, double sum, size_t n, const double *u, bool each, uint32_t *below);
} weights_fns;
extern const weights_fns weights_base, weights_avx2, weights_avx512;
const weights_fns *weights_at(int level);
#endif
