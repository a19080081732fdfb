/* density_paths.h: the paths of a recording (density_record.c), which branches part for a while (density_branch.c). */
#ifndef NORN_INFER_DENSITY_PATHS_H
#define NORN_INFER_DENSITY_PATHS_H
#include "infer/gradient/density.h"

typedef enum { GOING, WEIGHED, ANSWERED, WAITING, ENDED, JOINED, DEAD } stand;
/* A run and its log weight since it left the state `from` by `pick`: sum of nodes `term` + fixed. */
typedef struct path {
  norn_run *run;
  stand at;
  uint32_t from, pick;
  uint32_t *term; size_t nterm, cterm;
  double fixed;
  uint32_t *known; size_t nknown, cknown;      /* picks of latents that were not forgotten */
  size_t nchoice;                      /* continuous choices met */
  size_t passed;                       /* observations */
  int64_t nrow; norn_span row;         /* observations since the last meeting of all, the first one */
  norn_event ev;
  norn_ref *dist; norn_dist seen;      /* the event's distribution without latents, if it had some */
  norn_ref *value;                     /* ANSWERED: the answer; ENDED: what was returned */
} path;

typedef struct paths {
  recording *r;
  path *path; size_t n, c;
  norn_ref **answer; size_t nanswer, canswer;    /* of continuous choices recorded so far */
  path *now;                           /* whose run is going */
  uint32_t forgotten;                  /* a latent that was looked at nevertheless, or NOTHING */
  size_t forks;
  uint32_t lane;
  const struct way *ways;              /* that are being gone: of branches (density_branch.c) */
  bool turned;                         /* a branch must leave a guard after all: the recording is void */
  bool outside;          /* the run has weight 0 here, or a parameter left its domain */
} paths;

norn_status paths_memory(norn_state *);                  /* the error that is set, or memory's */
norn_datum  paths_node(const graph *, uint32_t);
void paths_free(paths *, path *);
/* Nobody else is there and nothing is pending: weights go to the target as they come. */
bool path_alone(const paths *, const path *);
bool path_weigh(paths *, path *, norn_datum lw);         /* false: no memory */
bool path_know(paths *, path *, uint32_t pick);
/* To the run's next event, and what it weighs, or which value it gets (p->at); JOINED: the end of a way. */
norn_status path_next(paths *, path *);
/* The branch at which p's run stands: both ways are recorded, and p goes on behind it; or it leaves a guard. */
norn_status path_branch(paths *, path *);
/* Flags of a run that stands still before branches, if this density's do. */
unsigned    branches_flags(const norn_density *);
/* After an error: fewer branches are recorded both ways from now on; false: none was. */
bool        branches_less(recording *);
#endif
