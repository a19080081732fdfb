/* ready: programs with rows that get ready for many runs at once (norn.h, norn_dist_row's `ready`): language models.
   Engines that drive many runs step them in rounds: all to their next NORN_READY or to where they wait for each
   other, then one norn_events_ready for all that stand, and on.  No draw depends on it. */
#ifndef NORN_INFER_READY_H
#define NORN_INFER_READY_H
#include "infer/engine.h"

/* NORN_RUN_READY where programs may meet such rows, else 0. */
static inline unsigned ready_flag(norn_state *st) { return norn_may_get_ready(st) ? NORN_RUN_READY : 0; }
/* Does the model?  A run from the prior says so, which goes to the first such row (or some way: PROBED barriers) and
   evaluates nothing.  Then its particles are runs, which lanes and threads would ask for one by one. */
bool ready_met(norn_infer *);
/* info(post).ready: which row, and where first; if there is one. */
void ready_note(norn_infer *);

/* For runs that go on one by one: what the next events of n of them (READY_AHEAD at most) will need is found at once,
   by copies that go so far and are dropped.  What fails there is not told: the runs will say it. */
enum { READY_AHEAD = 256 };
void ready_ahead(norn_infer *, norn_run *const *, size_t n);

/* Runs that go in rounds.  begin; each `add`ed; then for k = take(): step place[k] on, and if it stands at NORN_READY
   again, stand() it; -1: all have been, and ask() begins the next round; none stands: it is over. */
typedef struct rounds {
  norn_state *st;
  uint32_t *place;          /* (n) those that go on in this round, from `at` on; before them those that stand */
  norn_run **run;           /* (n) of those that stand */
  norn_event *met;
  size_t n, at, stood, cap;
  bool on;                  /* a leg has begun */
} rounds;
bool     rounds_new(norn_state *, rounds *, size_t n);               /* false: no memory */
void     rounds_free(rounds *);
void     rounds_begin(rounds *);
static inline void rounds_add(rounds *r, size_t place) { r->place[r->n++] = (uint32_t)place; }
void     rounds_stand(rounds *, norn_run *, const norn_event *);      /* the one at `at` stands again */
/* All of a round have been stepped: the next begins.  1: there is one, 0: the leg is over, -1: error set. */
int      rounds_next(rounds *);
/* Of a checkpoint: those that still go on in a leg that has begun.  n: of how many; 0: there are no rounds. */
bool     rounds_archive(norn_archive *, rounds *, size_t n);
#endif
