/* mover: moves each particle of a swarm by a kernel (kernel.h), which leaves the target of the barrier
   at which they stand unchanged: the program's first k observations to the power beta (Gilks and
   Berzuini 2001, "Following a moving target").  For move, anneal and the blocks.

       particle i --past--> choices --the program's prefix, answered with them--> trace
                  --kernel--> trace' --> choices of its own, and the run that stands at the barrier

   A particle whose trace did not change keeps its run; one that was moved still shares with others the
   past before the first choice that changed.

   Between barriers a particle that has come to its end stays as it is, and no move makes one that stands
   at the barrier end before it.  So where runs make different numbers of observations, whoever has ended
   has its last weight, and estimates stay unbiased when all particles have ended and the engine stops.  (Were
   ended ones moved to traces that go on, stopping then would leave those out: 10 % of a probability in
   the test with two particles.)  A swarm of whole runs has no barriers, and all of its particles move.

   Random numbers: the stream of the mover, lane i for particle i, iteration the number of the round. */
#ifndef NORN_INFER_MOVER_H
#define NORN_INFER_MOVER_H
#include "infer/chains/kernel.h"
#include "infer/particles/swarm.h"

typedef struct mover {
  norn_infer *inf;
  kernel *k;
  target g;
  trace t;
  execution x;
  swarm *s;
  enum { MOVER_REST, MOVER_BUILD, MOVER_MOVE } at;
  size_t next;                         /* the particle that is moved */
  uint32_t *path; size_t cpath, npath, used;
  bool lost;                           /* the program made another choice than the particle did */
} mover;

/* `inside`: who wants it, for the error about an engine that is no kernel. */
norn_status mover_init(mover *, norn_infer *, norn_datum kernel, const char *inside, uint64_t stream);
/* All particles: DONE when they are.  Call again after MORE and WAIT. */
norn_step   mover_step(mover *, swarm *);
void        mover_free(mover *);
/* The swarm that it moves has been archived before. */
bool        mover_archive(norn_archive *, mover *, swarm *);
#endif
