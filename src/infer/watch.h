/* watch.h: what the density itself says against a posterior, beside its chains (watch.c). */
#ifndef NORN_INFER_WATCH_H
#define NORN_INFER_WATCH_H
#include "infer/engine.h"

/* Draws in unconstrained coordinates: of each chain an array (draws, n). */
typedef struct watched {
  norn_infer *inf;
  norn_density *density;
  const double *const *chain;            /* (chains) */
  int64_t chains, draws, n;
} watched;

/* Warns where the density does not fall off: the posterior is not proper. */
norn_status watch_tails(const watched *);
/* Warns where it jumps at a branch on a choice. */
norn_status watch_jumps(const watched *);
/* Why the log density at u is -inf, in words, and where; false: it can't be told (a choice is summed
   out before).  model: that of the density. */
bool watch_why(norn_density *, norn_state *, norn_datum model, const double *u, norn_span *, char *out,
               size_t n);
#endif
