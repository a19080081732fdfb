/* hmc.h: what the Hamiltonian engines share: a point with its gradient, the metric, one leapfrog
   step, and how step size and metric are learnt (hmc.c, adapt.c). */
#ifndef NORN_INFER_HMC_H
#define NORN_INFER_HMC_H
#include "infer/engine.h"

/* A position in R^n with its log density and gradient, and a momentum. */
typedef struct phase { double *q, *p, *g; double logp; } phase;

/* The kinetic energy is p' M^-1 p / 2; inverse (n) is the diagonal of M^-1. */
typedef struct hmc {
  norn_state *st;
  norn_density *density;
  int64_t n;
  double *inverse;                       /* (n) */
  double step;
  uint64_t leapfrogs;
  norn_status failed;                    /* an error of the program, set */
} hmc;

bool   phase_new(norn_state *, phase *, int64_t n);      /* false: error set */
void   phase_free(norn_state *, phase *, int64_t n);
void   phase_copy(phase *to, const phase *from, int64_t n);
/* p ~ normal(0, M) */
void   hmc_momentum(const hmc *, phase *, norn_rng *);
/* M^-1 p */
void   hmc_velocity(const hmc *, const double *p, double *v);
/* -log density + kinetic energy; infinite outside */
double hmc_energy(const hmc *, const phase *);
/* Density and gradient at q; logp is -inf outside and after an error. */
void   hmc_evaluate(hmc *, phase *);
/* One step of size e (which may be negative). */
void   hmc_leapfrog(hmc *, phase *, double e);
/* Doubles or halves the step size until one step's acceptance crosses 0.8 (Stan's rule). */
void   hmc_first_step(hmc *, const phase *, norn_rng *, phase *work);

/* ---- adaptation ---- */

/* Nesterov's dual averaging of log step size (Hoffman and Gelman 2014, section 3.2), with Stan's
   gamma .05, kappa .75, t0 10. */
typedef struct averaging { double target, mu, bar, x_bar, count; } averaging;
void   averaging_start(averaging *, double target, double step);
double averaging_update(averaging *, double accept);     /* the next step size */
double averaging_final(const averaging *);

/* Running means and sums of squares (Welford 1962) of draws and of gradients. */
typedef struct moments { double *mean, *square, *gmean, *gsquare; int64_t count; } moments;

typedef enum { ADAPT_NUTPIE, ADAPT_STAN } adapt_kind;
typedef struct adapt {
  adapt_kind kind;
  bool unit;                             /* the metric stays 1 */
  int64_t n, warmup, at;
  averaging step;
  moments now, next;                     /* nutpie: foreground and background; Stan: now */
  int64_t window_end, window;            /* Stan's windows */
} adapt;
bool adapt_new(norn_state *, adapt *, adapt_kind, int64_t n, int64_t warmup, double target);
void adapt_free(norn_state *, adapt *);
/* At the first point, whose step size hmc_first_step has found. */
void adapt_start(adapt *, hmc *, const phase *);
/* After a transition of warm-up.  true: the metric has changed so that a step size should be sought
   anew. */
bool adapt_update(adapt *, hmc *, const phase *, double accept);
void adapt_restart(adapt *, hmc *);      /* after that search */
void adapt_finish(adapt *, hmc *);       /* warm-up is over */
#endif
