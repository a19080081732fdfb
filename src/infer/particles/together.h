/* together: particles of a swarm (swarm.h) that go on event by event side by side, for answers that are
   cheaper for many choices at once than one by one: a net's.

       pass:  each that goes, to its next choice, its barrier or its end
              -> all that stand at a choice are answered

   Which of them stand together changes no number that is drawn: those come from each particle's own
   counters. */
#ifndef NORN_INFER_TOGETHER_H
#define NORN_INFER_TOGETHER_H
#include "infer/particles/swarm.h"

/* The choices of particles who (n), at which runs stand with events ev: gives their values and the log
   weights that they add; -infinity: the particle is dead.  false: error set. */
typedef bool together_answers(void *user, int n, const int32_t *who, norn_run *const *run,
                              const norn_event *ev, norn_datum *value, double *lw);
typedef struct together {
  swarm *s;
  size_t from, to, most;               /* places; most of them at once */
  size_t next;                         /* the one that is stepped */
  bool blind;                          /* observations are passed over (runs without SCORE) */
  bool waits;                          /* for a nested inference */
  uint8_t *at;                         /* (most) goes, stands, is there */
  norn_event *ev;                      /* (most) */
  int32_t *who;
  norn_run **run;
  norn_event *met;
  norn_datum *value;
  double *lw; /* (most) of those that stand */
} together;

bool      together_new(together *, swarm *, size_t most);      /* false: error set */
void      together_free(together *);
/* The leg of the particles at places from .. to - 1 that have a run. */
void      together_begin(together *, size_t from, size_t to);
/* Of a checkpoint, between two passes, when the swarm has been archived: into one of the same swarm. */
bool      together_archive(norn_archive *, together *);
/* One pass: MORE; DONE: all are at their barrier or their end; WAIT and FAIL as ever. */
norn_step together_pass(together *, together_answers *, void *user);
#endif
