/* swarm: runs of one program that go from barrier to barrier (the k-th observation of each), with the
   choices that they made, for engines that decide themselves what a choice is answered with: particle
   Gibbs and particle marginal Metropolis-Hastings.  (smc keeps its own loop, whose samples never leave
   the VM.)

   A choice is kept once for all descendants of the particle that made it:

       particle i --past[i]--> (addr, value) --parent--> (addr, value) --parent--> ... NONE

   Lanes: the particle at place i runs in lane i; iteration is the number of barriers passed. */
#ifndef NORN_INFER_SWARM_H
#define NORN_INFER_SWARM_H
#include "infer/engine.h"

#define SWARM_NONE UINT32_MAX
typedef struct swarm_choice { uint64_t addr; uint32_t parent, value; } swarm_choice;
/* Gives the value of particle i's choice, and the log weight that it adds (as of a proposal). */
typedef norn_status swarm_answer(void *user, size_t i, norn_run *, const norn_event *, norn_datum *v,
                                 double *lw);
typedef struct swarm {
  norn_infer *inf;
  size_t n;
  norn_run **run;                      /* (n) NULL: ended or dead */
  double *logw, *w;                    /* (n) since the last resampling; scratch: weights */
  uint32_t *past, *ended;              /* (n) last choice; place of the returned value, or NONE */
  uint32_t *from;                      /* (n) scratch: ancestors */
  swarm_choice *choice; size_t nchoice, cchoice;
  column value, result;                /* of choices; returned */
  size_t next, running;                /* the particle that is stepped; those not at their end */
  uint32_t barrier;
} swarm;

bool      swarm_new(norn_infer *, swarm *, size_t n);                  /* false: error set */
void      swarm_free(swarm *);
/* n fresh runs whose random numbers come from `stream`; false: error set. */
bool      swarm_start(swarm *, uint64_t stream);
/* Every particle to its next barrier or its end: DONE when all are there. */
norn_step swarm_advance(swarm *, swarm_answer *, void *user);
/* s->w: weights over their greatest; gives their sum, 0 if all are dead; *top: log of the greatest. */
double    swarm_weights(swarm *, double *top);
/* Each particle but the first `kept` becomes a copy of particle from[i]; weights are 1 again. */
bool      swarm_copy(swarm *, const uint32_t *from, size_t kept);
/* One of n by weights with that sum. */
size_t    swarm_pick(const double *w, size_t n, double sum, norn_rng *);
#endif
