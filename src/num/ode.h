/* ode: initial value problems y' = f(t, y) with sensitivities.

   S = dy/dv for k directions v (initial values, parameters) obeys S' = J S + df/dv, and is solved
   together with y, on the same steps and to the same tolerance:

       w = | y (n) ... | S (n, row) |      row >= k, even: rows of S are registers

   ode_rk45 is for problems that are not stiff, ode_bdf for those that are: it needs the Jacobian.
   (Not GSL's steppers: with these S shares the one small factorisation and the steps of y, nothing
   is allocated, and no error handler can be reached.  test_ode compares with GSL.) */
#ifndef NORN_NUM_ODE_H
#define NORN_NUM_ODE_H
#include <stddef.h>
#include <stdint.h>

/* What the functions of a system give: 0; OUTSIDE: not finite there, try a shorter step; STOP. */
enum { ODE_FINE, ODE_OUTSIDE, ODE_STOP };
typedef struct ode_system {
  int64_t n, k, row, jrow;
  /* dy (n) */
  int (*f)(void *user, double t, const double *y, double *dy);
  /* dy, and ds (n, row) = J s + df/dv */
  int (*fs)(void *user, double t, const double *y, const double *s, double *dy, double *ds);
  /* j (n, jrow): by y (n columns), then df/dv (k columns) */
  int (*jac)(void *user, double t, const double *y, double *dy, double *j);
  void *user;
} ode_system;
typedef struct ode_options {
  double rel_tol, abs_tol;
  int64_t max_steps;                 /* between two times of ts */
  const double *unit;                /* (k): abs_tol of direction l is abs_tol * unit[l] */
} ode_options;

typedef enum {
  ODE_DONE,
  ODE_END_STEPS,                     /* max_steps */
  ODE_END_SMALL,                     /* the step has become too small */
  ODE_END_OUTSIDE,                   /* f is not finite at the start */
  ODE_END_STOP                       /* f said so */
} ode_end;
typedef struct ode_report { double t; int64_t steps, rejected, evals; } ode_report;

/* Doubles of work that a solver needs. */
size_t  ode_rk45_room(int64_t n, int64_t row);
size_t  ode_bdf_room(int64_t n, int64_t row, int64_t jrow);
/* From y (n), s (n, row) at t0, which are overwritten, to out (nt, n) and sout (nt, n * row) at
   ts (nt, not falling, none before t0).  s, sout: NULL if k is 0. */
ode_end ode_rk45(const ode_system *, const ode_options *, double t0, const double *ts, int64_t nt,
                 const double *y, const double *s, double *out, double *sout, double *work,
                 ode_report *);
ode_end ode_bdf(const ode_system *, const ode_options *, double t0, const double *ts, int64_t nt,
                const double *y, const double *s, double *out, double *sout, double *work,
                ode_report *);
#endif
