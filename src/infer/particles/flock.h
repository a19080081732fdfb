/* flock: independent draws that go on together, FLOCK at a time, where rows get ready for many at once (ready.h);
   for engines that otherwise make one draw after the other.  The draws are the same. */
#ifndef NORN_INFER_FLOCK_H
#define NORN_INFER_FLOCK_H
#include "infer/particles/swarm.h"

enum { FLOCK = 256 };
typedef struct flock {
  bool wanted;              /* the program has such rows (flock_wanted) */
  bool on;                  /* draws from .. from + s.n - 1 go on, or have ended */
  bool proposals;           /* `via` draws from its proposal, which weighs; else from the prior */
  /* NULL, or the swarm's `seen` and `died` (swarm.h), set after flock_wanted. */
  norn_step (*seen)(void *user, size_t i, const norn_event *);
  void (*died)(void *user, size_t i, norn_span);
  void *user;
  swarm s;
  uint32_t *path; size_t cpath;
} flock;
void      flock_wanted(norn_infer *, flock *, bool proposals);
/* Draw first + i of at most n: in lane first + i, iteration 0, with those flags of a run.  Then all go on: DONE when
   they have ended.  It is called until then, and begins where none go on. */
norn_step flock_step(norn_infer *, flock *, int64_t first, int64_t n, unsigned flags);
/* Of those that have ended: is draw i dead; its choices, to norn_infer_choice; what it returned. */
static inline bool flock_dead(const flock *f, size_t i) { return swarm_dead(&f->s, i); }
bool       flock_choices(flock *, size_t i);
norn_datum flock_value(const flock *, size_t i);
void       flock_end(flock *);                             /* the next call of flock_step begins anew */
void       flock_free(norn_infer *, flock *);
bool       flock_archive(norn_infer *, norn_archive *, flock *, int64_t first, int64_t n, unsigned flags);
#endif
