/* minimise: a local minimum of a smooth function with its gradient: BFGS with a line search
   (Nocedal and Wright 2006, algorithms 6.1 and 3.5), ended by Newton's steps, for which the Hessian
   is made of differences of the gradient.  (Not GSL's, whose minimisers end in an error handler
   where a function is not finite; test_functions compares with GSL.) */
#ifndef NORN_NUM_MINIMISE_H
#define NORN_NUM_MINIMISE_H
#include <stddef.h>
#include <stdint.h>

typedef struct minimise {
  int64_t n;
  /* 0; 1: not finite; 2: stop */
  int (*f)(void *user, const double *x, double *y, double *gradient);
  void *user;
  double tol;                        /* of x: tol (1 + |x|) */
  int64_t max_steps;
} minimise;
typedef enum {
  MINIMISE_DONE, MINIMISE_STEPS, MINIMISE_FLAT /* the Hessian is not positive there */,
  MINIMISE_FAR /* x runs away */, MINIMISE_OUTSIDE, MINIMISE_STOP
} minimise_end;
size_t       minimise_room(int64_t n);           /* doubles of work */
/* x (n) becomes the minimum; *y its value. */
minimise_end minimise_run(const minimise *, double *x, double *y, double *work);
/* h (n, n) = the Hessian at x, by central differences; work (3 n).  0; 1; 2 as f. */
int          minimise_hessian(const minimise *, const double *x, double *h, double *work);
#endif
