/* amortized.h: posteriors by a net: what the parts of the engine share.

       amortized.c         the engine: options, the net, weighted draws, their verdict, falling back
       amortized_draw.c    blocks of draws
       amortized_crew.c    the same on threads
       amortized_leave.c   what becomes of draws: a posterior of weights, of chains, of predictions
       amortized_smc.c     the net inside of smc */
#ifndef NORN_INFER_AMORTIZED_H
#define NORN_INFER_AMORTIZED_H
#include "infer/net/net.h"
#include "infer/particles/together.h"

enum {
  AMORTIZED_NET,
  AMORTIZED_DRAWS,
  AMORTIZED_CORRECT,
  AMORTIZED_DEFENSIVE,
  AMORTIZED_FALLBACK,
  AMORTIZED_CHECK
};
typedef enum { CORRECT_WEIGHTS, CORRECT_NOT, CORRECT_MH, CORRECT_SMC } correct_how;
typedef enum {
  AMORTIZED_BEGIN,
  AMORTIZED_DRAW,
  AMORTIZED_LEAVE,
  AMORTIZED_END,
  AMORTIZED_PARTICLES
} amortized_phase;

/* Sums over the draws: log mean weight and its error; effective draws; KL(posterior || proposal) as the weights have it; the
   share of the weights that the prior's part of the proposal carries; the shape of their tail; draws of weight above 0. */
typedef struct amortized_sums { double log_z, se, ess, kl, share, khat; int64_t alive; } amortized_sums;

/* Who makes blocks of draws, a run each, side by side: the engine, or a worker of its crew. */
enum { AMORTIZED_BLOCK = 128 };
typedef struct drawer {
  struct amortized *of;
  norn_infer *inf;                     /* whose runs they are: the engine's own, or a branch of it */
  net_asked *asked;
  swarm *s;                            /* whole runs; place i is draw first + i */
  int64_t first;
  together t;
  bool going;                          /* a block is on its way, of so many draws */
  int64_t block;
  size_t most;
  double *q, *p; bool *draw; int32_t *who;         /* (most) */
  uint64_t *missing; size_t nmissing, cmissing;    /* addresses of missing observations, rising */
} drawer;

typedef struct amortized {
  const net *net;
  net *own;                            /* read from a file */
  correct_how how;
  bool chosen;                         /* correct was given */
  bool predicts;                       /* a pfn beside other choices: predictions, uncorrected */
  amortized_phase at;
  double defensive;
  bool fallback;
  int64_t check;
  int64_t n, done, left;               /* draws; done so far; of those, given to the inference */
  drawer d;
  swarm s;                             /* (n) */
  struct draws_crew *crew;             /* NULL: no threads (yet) */
  double *logq, *logp;                 /* (n) of the choices: under the net, under the prior */
  double *logw, *smooth;               /* (n) of the draws; smoothed */
  bool *prior;                         /* (n) drawn from the prior's part */
  amortized_sums sums;
  uint32_t *path; size_t cpath;
  /* of correct = mh(...) */
  int64_t draws, burn, thin, chains, now, proposed, accepted;
  /* of correct = smc(...) */
  void *smc;
  norn_ref *engine;
} amortized;

/* The net of an option: a value, or read from the file of that name into *own (else NULL); of this model's
   program. NULL: error set. */
const net  *amortized_net(norn_infer *, int option, net **own);

/* ---- amortized_draw.c ---- */

/* Room for blocks in the swarm; asked is the caller's to set.  false: error set. */
bool        drawer_new(drawer *, amortized *, norn_infer *, swarm *);
void        drawer_free(drawer *);
/* A piece of the block that begins at draw i, at most to draw n: MORE; DONE: it is there, d->block draws, with their
   weights; WAIT and FAIL as ever. */
norn_step   drawer_step(drawer *, int64_t i, int64_t n);
/* The address of a missing observation is one of d's.  false: no memory. */
bool        drawer_missing(drawer *, uint64_t addr);
/* A piece of the engine's draws. */
norn_step   amortized_draw(norn_infer *, amortized *);

/* ---- amortized_crew.c ---- */

/* Some blocks from e->done on, on threads, as drawer_step makes them.  DONE: they are there; MORE: it is not worth it, or
   can't be: they are to be made here. */
norn_step   draws_on_crew(norn_infer *, amortized *);
void        draws_crew_free(amortized *);

/* ---- amortized_leave.c ---- */
norn_status mh_options_of(norn_infer *, amortized *, norn_datum engine);
/* A piece of the draws to the inference. */
norn_step   amortized_leave(norn_infer *, amortized *);
/* Notes of the verdict. */
void        amortized_note(norn_infer *, const amortized *);
norn_status amortized_report(norn_infer *, amortized *);
/* Of log weights (n): the shape of their tail, -infinity if they are so even that they have none; smoothed in
   place where that can be. */
bool        amortized_khat(norn_state *, double *logw, size_t n, double *khat);

/* ---- amortized_smc.c ---- */
norn_status amortized_smc_begin(norn_infer *, amortized *);
norn_status amortized_smc_finish(norn_infer *, amortized *);

/* The generator of an engine's decision about a choice. */
void        amortized_numbers(const norn_run *, const norn_event *, norn_rng *);
#endif
