/* c2st.h: the classifier two-sample test (Lopez-Paz, Oquab 2017, "Revisiting Classifier Two-Sample Tests"):
   how often a classifier tells, of points that it has not seen, from which of two samples they are. */
#ifndef NORN_NN_C2ST_H
#define NORN_NN_C2ST_H
#include "norn.h"

enum { C2ST_FOLDS = 64, C2ST_WIDEST = 1000 };       /* most folds; most numbers of a point */

/* The accuracy, over all folds of a cross-validation, of a perceptron with two hidden layers of 10 d
   rectified units between x (n, d) and y (m, d), standardised by the means and standard deviations of x: as
   Lueckmann et al. 2021, "Benchmarking Simulation-Based Inference", have it.  Training ends where the loss
   of a tenth of the points that it does not see is least; overfit: where the loss of those that it sees
   falls no more, as theirs does, which sees less of a difference in more than a few dimensions.  Of the
   larger sample as many as of the smaller are drawn.  A function of the arguments, not of threads.  The
   numbers are finite, n and m at least folds. */
norn_status nn_c2st(norn_state *, int64_t n, const double *x, int64_t m, const double *y, int64_t d,
                    int folds, uint64_t seed, bool overfit, double *accuracy);
#endif
