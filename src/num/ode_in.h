/* ode_in.h: what the two solvers of ode.h share (ode.c). */
#ifndef NORN_NUM_ODE_IN_H
#define NORN_NUM_ODE_IN_H
#include "num/ode.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Numbers of w: y, padded to even, then S. */
static inline int64_t ode_even(int64_t n) { return (n + 1) & ~(int64_t)1; }
static inline int64_t ode_width(const ode_system *o)
{
  return ode_even(o->n) + (o->k ? o->n * o->row : 0);
}

typedef double ode_pair __attribute__((vector_size(16), aligned(8)));

/* w' at (t, w) */
int    ode_slope(const ode_system *, ode_report *, double t, const double *w, double *dw);
/* The largest root mean square of e / (abs_tol + rel_tol max(|a|, |b|)) over y and each
   direction. */
double ode_norm(const ode_system *, const ode_options *, const double *e, const double *a,
                const double *b);
/* A first step of a method of this order (Hairer, Norsett, Wanner 1993, II.4); dw: w' at t0;
   room for 3 widths in work.  0: stop. */
double ode_first_step(const ode_system *, const ode_options *, ode_report *, int order, double t0,
                      double end, const double *w, const double *dw, double *work, int *status);
void   ode_give(const ode_system *, const double *w, double *out, double *sout);
#endif
