/* swarm: runs of one program that go from barrier to barrier (the k-th observation of each), with the
   choices that they made, for engines that decide themselves what a choice is answered with (particle
   Gibbs, particle marginal Metropolis-Hastings) or change choices that were made (move, anneal, the
   blocks of `import inference`).  (smc keeps its own loop, whose samples never leave the VM.)

   A choice is kept once for all descendants of the particle that made it:

       particle i --past[i]--> (addr, value) --parent--> (addr, value) --parent--> ... NONE

   Choices that no particle has in its past any more are dropped when there are twice as many as there
   were after the last time: O(T + N log N) of them are left after T barriers (Jacob, Murray, Rubenthaler
   2015), as long as choices of the past do not move.

   Weights: logw is of the target, the observations' log weight times beta plus the excess of proposals;
   lik is the observations' alone, from the start.

   Where rows get ready for many at once (ready.h), swarm_advance goes in rounds; between legs no run has
   NORN_RUN_READY.

   Lanes: the particle at place i runs in lane i; iteration is the number of barriers passed. */
#ifndef NORN_INFER_SWARM_H
#define NORN_INFER_SWARM_H
#include "infer/engine.h"
#include "infer/particles/ready.h"

#define SWARM_NONE UINT32_MAX
enum { SWARM_FLAGS = NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_NAMES };
typedef struct swarm_choice { uint64_t addr; uint32_t parent, value; } swarm_choice;
/* Gives the value of particle i's choice, and the log weight that it adds (as of a proposal). */
typedef norn_status swarm_answer(void *user, size_t i, norn_run *, const norn_event *, norn_datum *v,
                                 double *lw);
typedef struct swarm {
  norn_infer *inf;                     /* for whom it works */
  norn_state *st;
  size_t n;
  norn_run **run;                      /* (n) NULL: ended or dead */
  double *logw, *w;                    /* (n) since the last resampling; scratch: weights */
  double *lik, beta;                   /* (n); 1 unless it is set after swarm_start */
  uint32_t *past, *ended;              /* (n) last choice; place of the returned value, or NONE */
  uint32_t *from;                      /* (n) scratch: ancestors */
  uint64_t stream;
  bool whole;                          /* no barriers: a leg goes to the end; set before swarm_start */
  void (*died)(void *user, size_t i, norn_span); void *died_user;   /* NULL: norn_infer_dead */
  /* NULL, or asked at each observation of runs without SCORE: MORE to go on, DONE: the particle is dead, FAIL: error
     set. */
  norn_step (*seen)(void *user, size_t i, const norn_event *); void *seen_user;
  swarm_choice *choice; size_t nchoice, cchoice;
  norn_ref *asked; uint64_t asked_addr;    /* the distribution of a choice at which `next` stands */
  size_t compacted;                    /* choices that were left by the last compaction */
  column value, result;                /* of choices; returned */
  size_t next, running;                /* the particle that is stepped; those not at their end */
  bool in_rounds; rounds rounds;       /* next: counts those that are there */
  uint32_t barrier;
} swarm;

bool      swarm_new(norn_infer *, swarm *, size_t n);                  /* false: error set */
/* The same for no inference, of a population that is read. */
bool      swarm_make(norn_state *, swarm *, size_t n, bool in_rounds);
void      swarm_free(swarm *);
/* n fresh runs whose random numbers come from `stream`; false: error set. */
bool      swarm_start(swarm *, uint64_t stream);
/* Every particle to its next barrier or its end: DONE when all are there.  answer NULL: DONE at each choice
   too, which is s->asked then; swarm_tell answers it (in a copy of this swarm). */
norn_step swarm_advance(swarm *, swarm_answer *, void *user);
static inline bool swarm_dead(const swarm *s, size_t i)
{
  return !s->run[i] && s->ended[i] == SWARM_NONE;
}
/* The places in s->choice of particle i's choices, oldest first, *n of them, in a growing array; false:
   no memory. */
bool      swarm_path(const swarm *, size_t i, uint32_t **path, size_t *cpath, size_t *n);
/* Choices of particle i's draw, for norn_infer_choice. */
norn_status swarm_choices(const swarm *, size_t i, uint32_t **path, size_t *cpath);
/* Particle i chose v at addr, after all that it chose so far; false: no memory. */
bool      swarm_choose(swarm *, size_t i, uint64_t addr, norn_datum v);
bool      swarm_tell(swarm *, uint64_t addr, norn_datum);
/* Particle i has come to an observation, its end or its death, with this event; false: no memory.  (For who steps
   the runs of a swarm by itself: together.h.) */
bool      swarm_arrive(swarm *, size_t i, const norn_event *);
/* s->w: weights over their greatest; gives their sum, 0 if all are dead; *top: log of the greatest. */
double    swarm_weights(swarm *, double *top);
/* Particle to[k] becomes a copy of from[k], k < n; both rise, no place is in both.  Weights stay. */
bool      swarm_places(swarm *, const uint32_t *to, const uint32_t *from, size_t n);
/* All are at a barrier: from here they go to the next.  (swarm_copy does so too.) */
void      swarm_leg(swarm *);
/* Drops choices that are in nobody's past, if there are many (swarm_advance does at its begin). */
bool      swarm_tidy(swarm *);
/* s->from: ancestors by systematic resampling with weights s->w of that sum; false: no memory. */
bool      swarm_ancestors(swarm *, double sum, norn_rng *);
/* A swarm of particles from[i] of `old`, which stays as it is: n of them, at the same barrier with the
   same weights, for inference `inf` (or NULL), whose numbers come from `stream`.  false: error set;
   swarm_free `new` in any case. */
bool      swarm_fork(swarm *new, const swarm *old, const uint32_t *from, size_t n, norn_infer *,
                     uint64_t stream);
/* Each particle but the first `kept` becomes a copy of particle from[i]; weights are 1 again. */
bool      swarm_copy(swarm *, const uint32_t *from, size_t kept);
/* Of a checkpoint; read into a swarm of as many. */
bool      swarm_archive(norn_archive *, swarm *);
/* Of one that has started and was read: places are places. */
bool      swarm_fits(const swarm *);
/* One of n by weights with that sum. */
size_t    swarm_pick(const double *w, size_t n, double sum, norn_rng *);
/* The same by log weights (n), which become weights; none of them may be infinite but below.  0 if all are
   dead. */
size_t    swarm_pick_log(double *lw, size_t n, norn_rng *);
/* Adds the log density of v, chosen elsewhere, at this choice: -infinity if it can't be chosen here. */
void      swarm_weigh_value(norn_state *, const norn_event *, norn_datum v, double *lw);
#endif
