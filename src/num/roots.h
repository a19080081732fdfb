/* roots: zeros of functions.  (Not GSL's: its solvers end in an error handler where a function
   is not finite; test_functions compares with GSL.) */
#ifndef NORN_NUM_ROOTS_H
#define NORN_NUM_ROOTS_H
#include <stddef.h>
#include <stdint.h>

typedef enum {
  ROOTS_DONE,
  ROOTS_BRACKET,                     /* f has one sign at both ends */
  ROOTS_STEPS,                       /* not within max_steps */
  ROOTS_STUCK,                       /* a place that is no root, and no way on */
  ROOTS_OUTSIDE,                     /* f is not finite where it is needed */
  ROOTS_STOP
} roots_end;
/* Functions give 0; 1: not finite; 2: stop. */

/* A zero of f between a and b (Brent 1973, chapter 4), to within tol (1 + |x|). */
roots_end roots_between(int (*f)(void *user, double x, double *y), void *user, double a, double b,
                        double tol, int64_t max_steps, double *x, double *y);

/* A zero of f: R^n -> R^n near x, which becomes it; j (n, n) is its Jacobian.  Newton's steps
   within a region of trust (Powell's dog leg; Nocedal and Wright 2006, algorithm 11.5), until one
   is below tol (1 + |x|) and f is as small as rounding lets it be, or 0.  y (n): f there. */
typedef struct roots_system {
  int64_t n;
  int (*f)(void *user, const double *x, double *y);
  int (*jac)(void *user, const double *x, double *y, double *j);
  void *user;
  double tol;
  int64_t max_steps;
} roots_system;
size_t    roots_room(int64_t n);     /* doubles of work */
roots_end roots_near(const roots_system *, double *x, double *y, double *work);
#endif
