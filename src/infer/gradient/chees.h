/* chees.h: many chains with one step size, one metric and one length of trajectories.

       engine_chees.c   chees and its options; hmc(shared = true) comes here too
       shared.c         one inference of many chains: starts, transitions, draws, checkpoints
       shared_adapt.c   what warm-up learns
       shared_report.c  what is told at the end
       shared_device.c  where the chains run
       chains_cpu.c     the executor on threads and lanes (graph/chains.h)

   After warm-up nothing that chains share changes any more: they are then independent, given what it
   learnt, and reversible.  A transition's number of steps comes from a sequence known beforehand.

   Random numbers: chain c is lane c of a stream of the engine's own; iteration 0 is the start,
   i + 1 transition i (counted on by more()), 0x80000000 + i the i-th trial of a first step size.
   Events: 0 the transition (graph/chains.h); 300 discrete choices that were summed out. */
#ifndef NORN_INFER_CHEES_H
#define NORN_INFER_CHEES_H
#include "graph/chains.h"
#include "infer/gradient/density.h"
#include "infer/device.h"
#include "infer/gradient/hmc.h"
#include "infer/gradient/start.h"

/* ---- the executor of the host (chains_cpu.c) ---- */

/* Chains of `d`, which is borrowed, on up to `threads` threads; recorded: seconds that a density more
   costs.  false: error set. */
bool chains_cpu_new(norn_state *, norn_density *d, int64_t chains, int threads, double recorded,
                    uint64_t stream, chains_run *out);

/* ---- what warm-up learns (shared_adapt.c) ---- */

/* The length of trajectories in units of the metric: Adam (Kingma and Ba 2015) without momentum on its
   logarithm, and the average that counts at the end. */
typedef struct length_walk { double log, square, average, count, least; } length_walk;
typedef struct shared_adapt {
  int64_t n, warmup, at, approach, metric_end;     /* ends of the approach and of the metric's learning */
  bool learns_step, learns_length, learns_metric;
  double *memory;                        /* (6, n): the four rows below, then scale and a scratch row */
  double *mean, *var, *gmean, *gvar;     /* of positions and gradients over chains and late transitions */
  double *scale;                         /* M^-1 = scale^2 */
  double batches;
  averaging step_walk;
  double step, length, last_accept;     /* last_accept: mean acceptance of the last transition */
  length_walk walk;
  int64_t max_steps;
} shared_adapt;
bool shared_adapt_new(norn_state *, shared_adapt *, int64_t n);
void shared_adapt_free(norn_state *, shared_adapt *);
/* Takes in moments m (4, n) of the chains as they are (graph/chains.h): a new metric. */
void shared_adapt_moments(shared_adapt *, const double *m);
/* The first step size is known: the rest begins. */
void shared_adapt_start(shared_adapt *, double target);
/* Acceptances below count as that (graph/chains.h, least). */
double shared_adapt_least(const shared_adapt *, int64_t chains);
/* After a transition of warm-up, whose paths were `travelled` long. */
void shared_adapt_update(shared_adapt *, const chains_told *, double travelled);
void shared_adapt_finish(shared_adapt *);
bool shared_adapt_archive(norn_archive *, shared_adapt *);
/* The i-th number of van der Corput's sequence in base 2, i from 1: in (0, 1). */
double shared_halton(uint64_t i);

/* ---- one inference of many chains (shared.c) ---- */

typedef struct shared_plan {
  int64_t chains, groups;                /* superchains: groups that have a start in common */
  int64_t draws, warmup, thin, max_steps;
  int64_t steps;                         /* hmc's; 0: by the length of trajectories */
  double target, jitter, step, length;   /* step, length: given, or 0 */
  int metric;                            /* METRIC_DIAG or METRIC_UNIT */
  start_way start;
  device_wish wish;
  uint64_t stream;
  int64_t before;                        /* transitions of the run that goes on */
} shared_plan;

/* Where the time goes, for info(post).phases. */
enum {
  PHASE_RECORD, PHASE_COMPILE, PHASE_START, PHASE_WARMUP, PHASE_DRAWS, PHASE_READ, PHASE_DIAGNOSE, PHASES
};

typedef struct shared {
  shared_plan plan;
  double spent[PHASES];                  /* seconds */
  norn_density *density;
  double recorded;
  chains_run run;
  int64_t n;
  shared_adapt a;
  bool begun, searched, verified;        /* chains are at their starts; there is a first step size */
  int64_t at, kept, told;                /* transitions; draws of each chain; draws given, of all chains */
  double *q;                             /* (draws, chains, n) */
  double *stat;                          /* (draws, chains, CHAINS_STATS) */
  double *used;                          /* (draws, 2): step size, steps */
  int64_t divergent, warm_divergent, leapfrogs, moved;
  double accept_sum, accepts;
} shared;

/* Which group a chain is of. */
static inline int64_t shared_group(const shared_plan *p, int64_t chain)
{
  return chain * p->groups / p->chains;
}
int64_t     shared_transitions(const shared_plan *);
norn_status shared_hmc_init(norn_infer *, shared *);      /* engine_chees.c: of hmc's options */
norn_status shared_init(norn_infer *, shared *);          /* after the plan has been filled in */
norn_step   shared_step(norn_infer *, shared *);
/* Fills in `run`: by what is wished and can be had (shared_device.c). */
norn_status shared_executor(norn_infer *, shared *);
/* A line of norn explain: whether a GPU could have such chains. */
void        shared_explain(const norn_density *, text *);
/* verify = true, on a GPU: a transition from where the chains are, and the draws of row k, are compared
   with the CPU's; an error where they differ by more than rounding. */
bool        shared_verifies(const shared *);
norn_status shared_verify_start(norn_infer *, shared *);
norn_status shared_verify_draws(norn_infer *, shared *, int64_t k);
norn_status shared_finish(norn_infer *, shared *);        /* shared_report.c */
void        shared_progress(norn_infer *, shared *, norn_progress *);
void        shared_free(norn_infer *, shared *);
norn_status shared_archive(norn_infer *, shared *, norn_archive *);
#endif
