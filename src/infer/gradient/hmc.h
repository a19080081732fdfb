/* hmc.h: what the Hamiltonian engines share.

       engine_hmc.c   nuts and hmc: options, chains on threads, draws, warnings
       chain.c        one chain: its transitions, its warm-up, what it keeps
       trajectory.c   one transition: the no-U-turn tree, or a path of given length
       adapt.c        step size and windows of warm-up;  metric.c, metric_fit.c: the metric
       hmc.c          points, leapfrog steps, the first step size

   From chain.c down nothing uses the state: chains run on threads of their own, with memory that
   was taken before (a density that must record anew locks the state by itself). */
#ifndef NORN_INFER_HMC_H
#define NORN_INFER_HMC_H
#include "infer/engine.h"
#include "base/pool.h"

/* ---- points ---- */

/* A position in R^n with its log density and gradient, a momentum p and its velocity v = M^-1 p.
   index: leapfrog steps from the start of its trajectory, with their sign. */
typedef struct phase { double *q, *p, *g, *v; double logp; int64_t index; } phase;

bool phase_new(norn_state *, phase *, int64_t n);        /* false: error set */
void phase_free(norn_state *, phase *, int64_t n);
void phase_copy(phase *to, const phase *from, int64_t n);

/* ---- the metric: kinetic energy p' M^-1 p / 2 (metric.c) ---- */

typedef enum { METRIC_DIAG, METRIC_DENSE, METRIC_LOW_RANK, METRIC_UNIT, METRIC_COUNT } metric_kind;
extern const char *const metric_names[METRIC_COUNT];

/* diag, unit:  M^-1 = D^2
   low rank:    M^-1 = D (I + U' (L - I) U) D, rows of U orthonormal
   dense:       M^-1 = full = factor factor' */
typedef struct metric {
  metric_kind kind;
  int64_t n, rank, most;
  double *scale;                         /* D (n) */
  double *u, *value;                     /* U (rank, n) and L (rank), of room `most` */
  double *full, *factor;                 /* (n, n) */
  double *work;                          /* (n + most) */
} metric;

bool metric_new(norn_state *, metric *, metric_kind, int64_t n, int64_t most);
void metric_free(norn_state *, metric *);
void metric_unit(metric *);                              /* M = I */
/* M^-1 = diag(x), x (n); what low rank and dense have besides is gone. */
void metric_diagonal(metric *, const double *x);
/* Dense: M^-1 = full, as it was just written; false: it is not positive, and M = I now. */
bool metric_factor(metric *);
void metric_velocity(const metric *, const double *p, double *v);        /* v = M^-1 p */
void metric_momentum(const metric *, norn_rng *, double *p);             /* p ~ normal(0, M) */
/* As Norn has it: an array (n), rows (n, n), or { diagonal, values, vectors }; and back again,
   false: it is not of this metric. */
norn_datum metric_value(norn_state *, const metric *);
bool       metric_take(norn_state *, metric *, norn_datum);

bool metric_archive(norn_archive *, metric *);           /* of a checkpoint: into one of that kind and size */

/* ---- steps (hmc.c) ---- */

typedef struct hmc {
  norn_density *density;
  pool *pool;                            /* tells when to stop; NULL: never */
  int64_t n;
  metric m;
  double step;
  uint64_t leapfrogs;
  norn_status failed;                    /* an error of the program, set */
  bool stopped;                          /* the pool said so: what goes on is worth nothing */
} hmc;

void   hmc_momentum(const hmc *, phase *, norn_rng *);   /* p and v */
/* -log density + kinetic energy; infinite outside */
double hmc_energy(const hmc *, const phase *);
/* Density and gradient at q; logp is -inf outside and after an error. */
void   hmc_evaluate(hmc *, phase *);
/* One step of size e (which may be negative). */
void   hmc_leapfrog(hmc *, phase *, double e);
/* Doubles or halves the step size until one step's acceptance crosses 0.8 (Stan's rule).  false: it
   passed 1e7 (STEP_LARGE) or vanished (STEP_SMALL). */
typedef enum { STEP_FOUND, STEP_LARGE, STEP_SMALL } step_search;
step_search hmc_first_step(hmc *, const phase *, norn_rng *, phase *work);

/* ---- transitions (trajectory.c) ---- */

#define MAX_DELTA 1000.0                 /* the energy error that is a divergence */

/* What a transition tells: mean acceptance over its steps, min(1, e^-d), and in its symmetric form
   2 min(1, e^-d) / (1 + e^-d); the place of the new point in its trajectory. */
typedef struct transition {
  double accept, symmetric;
  int64_t leaps, depth, index;
  bool diverged;
} transition;

/* The ends of a subtree that later checks need: momenta and velocities at both, and their sum. */
typedef struct span_of { double *p_begin, *p_end, *v_begin, *v_end, *rho; } span_of;
enum { TREE_VECTORS = 7 };               /* a level's: p, v of two inner ends; rho of two; a sum */
typedef struct tree_level { double *v[TREE_VECTORS]; phase other; } tree_level;
typedef struct tree {
  int64_t n, max_depth;
  double *memory;
  phase z, forward, backward, propose;   /* z: where the integrator stands, or diverged */
  span_of f, b;                          /* forward and backward halves */
  double *rho, *sum;
  tree_level *level;
} tree;
bool tree_new(norn_state *, tree *, int64_t n, int64_t max_depth);
void tree_free(norn_state *, tree *);
/* From *sample to the next one. */
void tree_transition(tree *, hmc *, phase *sample, norn_rng *, transition *);
/* A path of so many steps, accepted or not. */
void path_transition(tree *, hmc *, phase *sample, int64_t steps, norn_rng *, transition *);

/* ---- adaptation (adapt.c) ---- */

/* Nesterov's dual averaging of log step size (Hoffman and Gelman 2014, section 3.2), with Stan's
   gamma .05, kappa .75, t0 10; steps stay below e^most. */
typedef struct averaging { double target, mu, bar, x_bar, count, most; } averaging;
void   averaging_start(averaging *, double target, double step);
double averaging_update(averaging *, double accept);     /* the next step size */
double averaging_final(const averaging *);

/* Running means and sums of squares (Welford 1962) of draws and of gradients. */
typedef struct moments { double *mean, *square, *gmean, *gsquare; int64_t count; } moments;
/* Draws and gradients themselves, rows first .. count - 1 of room: what a dense or low-rank metric
   is fitted to.  split: where the younger window begins. */
typedef struct window_rows { double *q, *g; int64_t room, first, split, count; } window_rows;

typedef enum { ADAPT_NUTPIE, ADAPT_STAN } adapt_kind;
typedef struct fit fit;                  /* work space of metric_fit.c */
typedef struct adapt {
  adapt_kind kind;
  int64_t n, warmup, at;
  bool fixed;                            /* the step size is given */
  averaging step;
  moments now, next;                     /* nutpie: foreground and background; Stan: now */
  double *square;                        /* Stan, dense: sum of products (n, n) */
  window_rows rows;
  fit *fit;
  int64_t window, window_end, first, last;     /* Stan's windows; fast intervals before and after */
  int64_t early, final, size, updated;   /* nutpie's */
  bool changed;                          /* nutpie: the metric is no longer the first guess */
} adapt;
bool adapt_new(norn_state *, adapt *, adapt_kind, metric_kind, int64_t n, int64_t warmup,
               double target, double fixed_step);
void adapt_free(norn_state *, adapt *);
/* At the first point: the first metric.  A step size is sought after it. */
void adapt_start(adapt *, hmc *, const phase *);
/* After a transition of warm-up.  true: the metric has changed so that a step size should be sought
   anew. */
bool adapt_update(adapt *, hmc *, const phase *, const transition *);
void adapt_restart(adapt *, hmc *);      /* after that search */
void adapt_finish(adapt *, hmc *);       /* warm-up is over */
bool adapt_archive(norn_archive *, adapt *);

/* ---- the fit of a metric to draws and gradients (metric_fit.c) ---- */

/* Windows have at most this many rows. */
enum { FIT_ROWS = 400 };
fit *fit_new(norn_state *, int64_t n, int64_t rows);
void fit_free(norn_state *, fit *);
/* Of draws q and gradients g (rows, n) to a dense or low-rank metric.  false: as it was. */
bool fit_metric(fit *, metric *, const double *q, const double *g, int64_t rows);

/* ---- chains (chain.c) ---- */

enum { STAT_LP, STAT_ACCEPTANCE, STAT_STEP, STAT_DEPTH, STAT_LEAPS, STAT_DIVERGING, STAT_ENERGY,
       STAT_COUNT };

/* What all chains of an inference share. */
typedef struct hmc_plan {
  int64_t draws, warmup, thin;
  int64_t steps;                         /* hmc's; 0: nuts */
  double jitter, length_jitter;          /* parts of the step size, of the number of steps */
  uint64_t stream;
  int64_t before;                        /* transitions of the run that goes on */
  int64_t points_max;                    /* divergences whose place is kept, of each chain */
} hmc_plan;

typedef struct hmc_chain {
  const hmc_plan *plan;
  int index;
  int64_t n;
  hmc h;
  adapt a;
  tree t;
  phase sample;
  int64_t at;                            /* transitions done */
  int64_t kept, told;                    /* draws in the rows below; given to the inference */
  double *q;                             /* (draws, n) in unconstrained coordinates */
  double *stat;                          /* (draws, STAT_COUNT) */
  uint64_t *clock;                       /* (draws): leapfrogs when it came */
  double *point;                         /* (points, n): where trajectories diverged */
  int64_t points, divergent, deep, moved, warm_divergent;
  double accept_sum, accepts;
  bool started;                          /* a step size has been found */
  step_search search;
} hmc_chain;

bool chain_new(norn_state *, hmc_chain *, const hmc_plan *, int index, int64_t n,
               int64_t max_depth);
void chain_free(norn_state *, hmc_chain *);
/* The random numbers of transition i - 1, or of the start: i = 0. */
norn_rng chain_rng(const hmc_chain *, int64_t i);
bool chain_over(const hmc_chain *);
/* Transitions until so many leapfrogs are done in all, or it is over, stopped or failed. */
void chain_advance(hmc_chain *, uint64_t leapfrogs);
/* Of a checkpoint, between two rounds: into one that chain_new, metric_new and adapt_new have made. */
bool chain_archive(norn_archive *, hmc_chain *);
#endif
