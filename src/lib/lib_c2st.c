/* lib_c2st.c: the classifier two-sample test (nn/c2st.h). */
#include "lib/lib.h"
#include "nn/c2st.h"
#include <math.h>

/* A sample: an array of numbers, or a matrix whose rows are points; columns in *d. */
static const double *sample(norn_state *st, const norn_datum *args, int i, int64_t *n, int64_t *d)
{
  const char *what = i ? "y" : "x";
  norn_view v;
  int64_t all;
  if (!norn_want_array(st, args, i, what, &v)) return NULL;
  if (v.rank > 2 || v.elem == NORN_VALUES || v.n == 0) {
    lib_wrong(st, args, i, what, "an array of numbers, or of vectors of one length, which are its points");
    return NULL;
  }
  const double *x = norn_want_reals(st, args, i, what, &all);
  if (!x) return NULL;
  *n = v.dims[0];
  *d = v.rank == 2 ? v.dims[1] : 1;
  for (int64_t k = 0; k < all; k++)
    if (!isfinite(x[k])) {
      norn_fail(st, NORN_EDOMAIN, i, "%s has %g in point %lld: c2st compares finite numbers", what, x[k],
                (long long)(k / *d));
      return NULL;
    }
  return x;
}

static norn_status l_c2st(norn_state *st, const norn_datum *args, int narg, norn_datum *out)
{
  int64_t n, m, d, e, folds, seed;
  double accuracy;
  bool overfit;
  (void)narg;
  *out = norn_unit();
  const double *x = sample(st, args, 0, &n, &d), *y = x ? sample(st, args, 1, &m, &e) : NULL;
  if (!y || !norn_want_int(st, args, 2, "folds", &folds) || !norn_want_int(st, args, 3, "seed", &seed) ||
      !lib_want_bool(st, args, 4, "overfit", &overfit))
    return lib_failed(st);
  if (d != e)
    return norn_fail(st, NORN_ETYPE, 1, "points of x have %lld numbers, those of y %lld", (long long)d,
                     (long long)e);
  if (d > C2ST_WIDEST)
    return norn_fail(st, NORN_EDOMAIN, 0, "points of c2st have at most %d numbers, not %lld", C2ST_WIDEST,
                     (long long)d);
  if (folds < 2 || folds > C2ST_FOLDS)
    return norn_fail(st, NORN_EDOMAIN, 2, "folds must be from 2 to %d, got %lld", C2ST_FOLDS,
                     (long long)folds);
  if (n < folds || m < folds || n > INT32_MAX / 4 || m > INT32_MAX / 4)
    return norn_fail(st, NORN_EDOMAIN, n < folds || n > INT32_MAX / 4 ? 0 : 1,
                     "c2st with %lld folds needs at least as many points of each sample, got %lld and %lld",
                     (long long)folds, (long long)n, (long long)m);
  norn_status code = nn_c2st(st, n, x, m, y, d, (int)folds, (uint64_t)seed, overfit, &accuracy);
  if (!code) *out = norn_real(accuracy);
  return code;
}

static const norn_native natives[] = {
  { "c2st", "x, y, folds = 5, seed = 1, overfit = false",
    "How well a classifier tells two samples apart: 0.5, not at all (they are alike), to 1.\n"
    "x and y are arrays of numbers or of vectors. A perceptron with two hidden layers of ten times the\n"
    "dimension learns on four of five parts of the points, standardised by x, from which sample each is,\n"
    "and tells it of the fifth; the accuracy over all five is given (Lopez-Paz and Oquab 2017). Learning\n"
    "ends where the loss of points set aside is least. overfit = true: where that of the points it learns\n"
    "on falls no more, as in the benchmark sbibm; in many dimensions such a classifier overfits and sees\n"
    "less, so use it for figures beside others of that kind only. Of the larger sample as many points as\n"
    "the smaller has are drawn by chance.\n"
    "Example: let a = for i in 0..100 { i % 10 }; let b = for i in 0..100 { 20 + i % 10 }; c2st(a, b)\n"
    "=> 1.0",
    l_c2st, 0, NULL },
};

norn_status lib_c2st_open(norn_state *st) { return norn_add_natives(st, NULL, natives, NORN_COUNT(natives)); }
