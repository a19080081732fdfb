/* branches: engines whose chains are independent, each chain on a thread of its own.

   The engine that users name is the *trunk*: it holds what all chains have counted together.  Each chain is
   a *branch*, an inference like any other with a state of its own to work with: that of a worker of a crew
   (norn_infer.h, norn_crew_work), whose draws the trunk takes over between two rounds, or the trunk's own,
   where there is one thread.  A chain's numbers depend on its place among the chains only, so which thread
   ran it, and when, changes nothing; draws and columns of the posterior are put in the order of chains. */
#ifndef NORN_INFER_BRANCHES_H
#define NORN_INFER_BRANCHES_H
#include "infer/engine.h"

typedef struct branches_row {
  size_t size;                                           /* of what a chain keeps, and the trunk of all */
  /* Reads the options; of the trunk, then of each chain (branch_index). */
  norn_status (*init)(norn_infer *, void *);
  norn_step   (*step)(norn_infer *, void *);             /* of a chain; DONE: it is over */
  void        (*free)(norn_infer *, void *);
  norn_status (*archive)(norn_infer *, void *, norn_archive *);
  void        (*add)(void *all, const void *one);        /* a chain is over: what it has counted */
  bool        (*counts)(norn_archive *, void *all);      /* of a checkpoint: what `add` has added */
  int64_t     (*chains)(const void *all);
  /* Of a chain, or of none yet: done and total steps, and a word about it. */
  void        (*progress)(const void *, norn_progress *);
  bool        (*alone)(norn_infer *, const void *all);   /* one thread only?  NULL: never */
} branches_row;

typedef struct branch {
  norn_infer *inf;                       /* NULL: there is none */
  norn_step at;                          /* what its last step gave */
} branch;
/* The trunk's self.  The functions are those of a norn_engine. */
enum { BRANCHES_THREADS = 64 };
typedef struct branches {
  const branches_row *row;
  void *all;
  int64_t chains;
  int next, over;                        /* the chain that begins next; how many are over */
  int k;                                 /* that go on at once */
  bool failing;                          /* no chain begins any more */
  norn_crew *crew;                       /* NULL: in the caller's thread */
  branch b[BRANCHES_THREADS];
} branches;
norn_status branches_init(norn_infer *, void *self, const branches_row *);
norn_step   branches_step(norn_infer *, void *self);
static inline void *branches_all(void *self) { return ((branches *)self)->all; }
void        branches_progress(norn_infer *, void *self, norn_progress *);
void        branches_free(norn_infer *, void *self);
norn_status branches_archive(norn_infer *, void *self, norn_archive *);
/* The chain that a branch is; 0 of a trunk. */
int         branch_index(const norn_infer *);
bool        branch_is(const norn_infer *);               /* a chain, and no trunk? */
/* A run of a branch must go on in the caller's thread: the step to return. */
norn_step   branch_away(norn_infer *);
#endif
