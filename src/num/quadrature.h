/* quadrature: integrals of a function with several results over an interval, each bound of which
   may be infinite: adaptive bisection with the rule of Gauss and Kronrod of 21 points (Piessens and
   others 1983, "QUADPACK", whose error estimate this is).  The first result is the integrand; the
   others, its derivatives, are integrated on the same points, to the same tolerance of their
   absolute values. (Not GSL's: several results share their points here, nothing is allocated, and
   its routines end in an error handler where an integral does not converge.  test_functions
   compares with GSL.) */
#ifndef NORN_NUM_QUADRATURE_H
#define NORN_NUM_QUADRATURE_H
#include <stddef.h>
#include <stdint.h>

typedef struct quadrature {
  int64_t m;                         /* results */
  int (*f)(void *user, double x, double *out);   /* 0; 1: not finite; 2: stop */
  void *user;
  double rel_tol, abs_tol;
  int64_t intervals;                 /* at most */
} quadrature;
typedef enum {
  QUADRATURE_DONE,
  QUADRATURE_INTERVALS,              /* all are used */
  QUADRATURE_SMALL,                  /* an interval can't be halved: not integrable, at x */
  QUADRATURE_OUTSIDE,                /* f is not finite at x */
  QUADRATURE_STOP
} quadrature_end;
typedef struct quadrature_report { double error, x; int64_t evals; } quadrature_report;

size_t         quadrature_room(const quadrature *);      /* doubles of work */
/* out (m) = the integrals from a to b; with an error of the first. */
quadrature_end quadrature_run(const quadrature *, double a, double b, double *out, double *work,
                              quadrature_report *);
#endif
