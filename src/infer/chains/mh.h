/* mh: the parts of a Metropolis-Hastings transition (kernel.h) and what they share.

       mh.c            the engine: chains of transitions, starts, draws
       mh_kernel.c     a transition: the pick, the run, the ratio
       mh_drift.c      random walks instead of draws from the prior, and what they learn
       mh_proposal.c   proposals of the user's own
       mh_graph.c      a transition without a run, where the trace has been recorded */
#ifndef NORN_INFER_MH_H
#define NORN_INFER_MH_H
#include "infer/chains/kernel.h"
#include "infer/chains/pattern.h"
#include "graph/incremental.h"

enum {
  MH_DRAWS, MH_BURN, MH_THIN, MH_CHAINS, MH_STEPS, MH_PROPOSAL, MH_ON, MH_DRIFT, MH_BLOCK, MH_INCREMENTAL
};

/* How a choice of the proposed run came to its value (trace_choice.mark). */
enum { MH_FRESH, MH_REUSED, MH_MOVED, MH_GIVEN };

/* ---- mh_drift.c ---- */
/* A walk's size for each address: log of its standard deviation in R^n, and how often it has learnt. */
typedef struct drift_size { uint64_t addr; double log_size; int64_t learnt; bool none; } drift_size;
typedef struct drift {
  double size;                         /* of all; NaN: by pattern */
  patterns by; norn_ref *sizes;        /* patterns in order, and an array of their sizes */
  drift_size *at; size_t n, cap;
  uint32_t *table; size_t mask;        /* by address: place + 1 */
  uint32_t *moved; size_t nmoved, cmoved;      /* of this transition */
  int64_t dim;                         /* its coordinates */
} drift;
norn_status drift_new(norn_state *, drift *, norn_datum option);
void        drift_free(norn_state *, drift *);
/* Moves the value of a choice; MH_MOVED with *v and *jacobian (log |dx'/du'| - log |dx/du|), MH_FRESH:
   it does not drift; -1: error set.  *v NONE: it left its support. */
int         drift_move(norn_state *, drift *, const norn_event *, norn_datum old, norn_rng *,
                       norn_datum *v, double *jacobian);
/* A transition with this acceptance probability ends. */
void        drift_learn(drift *, double accept);

bool        drift_archive(norn_archive *, drift *);            /* of a checkpoint: into one that was made alike */

/* ---- mh_proposal.c ---- */
/* A run of the proposal: its choices, and the log density of them. */
typedef struct proposal_run { trace t; double logq; } proposal_run;
typedef struct proposer {
  norn_ref *f;
  proposal_run forth, back;
} proposer;
norn_status proposer_new(norn_state *, proposer *, norn_datum option);
void        proposer_free(norn_state *, proposer *);
typedef struct mh_kernel mh_kernel;
/* Draws new values given `t` into forth.  false: error set. */
bool        proposer_forth(kernel *, const trace *t);
/* Scores the way back, from `new` to the values of `old`, into back: logq is -inf where it does not
   lead there.  false: error set. */
bool        proposer_back(kernel *, const trace *new, const trace *old);
/* Every value of forth was used by a run that went to its end; false: error set. */
bool        proposer_used(kernel *);

/* ---- mh_graph.c ---- */
/* An argument of a choice's distribution: a place of the graph, or (place NONE) a value. */
typedef struct graph_arg { uint32_t place; norn_datum value; } graph_arg;
/* A choice of the recorded trace.  easy: its numbers are inputs.  depends: on others; watched: its support
   may move with them.  One of several numbers has its distribution as it was recorded, others the
   arguments. */
typedef struct graph_choice {
  bool easy, depends, watched;
  const norn_dist_row *row;
  int n;
  graph_arg arg[NORN_DIST_P];
  norn_ref *dist;
  size_t input, ninput;                /* places of its inputs: input[...] of mh_graph */
  uint32_t prior;                      /* a place; NONE: it is a constant */
} graph_choice;
typedef struct mh_graph {
  bool off, ready, stale;              /* stale: the trace's result is that of an earlier state */
  bool again_now;                      /* read from a checkpoint: there was a graph */
  bool away;                           /* it can't be recorded in this thread */
  bool apart;                          /* whole numbers are latent values, not nodes */
  char why[200];                       /* off: why, if the program can't be recorded */
  graph *g;
  incremental *inc;
  graph_choice *c; size_t n, cap;
  uint32_t *input; size_t ninput, cinput;
  norn_ref *result, *like;             /* recorded; and what it was then, of which the kinds are right */
  double fixed;                        /* weight of observations that depend on no choice */
  uint64_t version;                    /* the trace as the graph left it */
  uint32_t *picked; size_t npicked, cpicked;    /* of this transition: places in the trace */
  norn_datum *to; size_t cto;          /* their new values */
  int64_t wait, again, served;         /* runs until it is recorded; the last wait; transitions made since */
  int64_t litter;                      /* values made on the heap since the last run */
  int64_t steps, recorded;             /* transitions made on graphs; recordings */
} mh_graph;
void mh_graph_free(norn_state *, mh_graph *);
/* A transition of the picked choices: 1: made; 0: it must be made by a run; -1: error set; 2: the trace
   must be recorded in the caller's thread first (branches.h). */
int  mh_graph_step(kernel *, trace *);
/* Records the trace if that seems to pay; false: error set. */
bool mh_graph_look(kernel *, trace *);
/* Notes for info(): "incremental", the share of transitions that were made on a graph, and why none was. */
void mh_graph_note(kernel *);
/* What another kernel has counted, and why it was not recorded (`first`: before this one's); both from a
   checkpoint. */
void mh_graph_add(kernel *, const kernel *, bool first);
bool mh_graph_counts(norn_archive *, kernel *);
/* For norn explain: how a step of this inference by mh, which has not begun, goes.  false: error set. */
bool mh_explain(norn_infer *, text *);
/* Of a checkpoint: what was recorded is recorded again by the next transition. */
bool mh_graph_archive(kernel *, const trace *, norn_archive *);
/* Brings the trace's result up to date; false: error set. */
bool mh_graph_settle(kernel *, trace *);

/* ---- mh_kernel.c ---- */
struct mh_kernel {
  int64_t steps, left;                 /* transitions of a step; still to come of this one */
  bool has_on, has_block, has_drift, has_proposal;
  patterns on, block;
  drift drift;
  proposer q;
  mh_graph graph;
  bool going;
  execution x;
  const target *whole;                 /* what the caller gave */
  target g;                            /* that of this transition, without what `on` excludes */
  trace new;
  const trace *old;
  sites here, there;                   /* of the trace and of the proposed one */
  size_t blocked[2];                   /* how many of them are in the block */
  uint64_t blocked_stamp;
  size_t site;                         /* in `old`; its size: the block, or there is nothing to pick */
  bool whole_block;
  double log_ratio, old_excess;
  uint64_t of, own;                    /* own: stream of the kernel's decisions under stream `of` */
};
norn_rng    mh_numbers(mh_kernel *, uint32_t event, uint32_t draw);
/* Is this choice of the present trace one that the transition renews? */
bool        mh_picked(mh_kernel *, const trace_choice *);
/* A transition with this log alpha ends: whether it is taken, and what is learnt from it. */
bool        mh_decide(kernel *, double log_alpha);
/* Fails if a pattern of its options has fit no choice so far, nor fits one of this trace. */
norn_status mh_patterns(kernel *, const trace *);
/* Whether `on` and the target let this address change. */
bool        mh_movable(mh_kernel *, uint64_t addr);
#endif
