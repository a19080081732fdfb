/* slice.h: slice sampling of a density over R^n, coordinate by coordinate (slice.c). */
#ifndef NORN_INFER_SLICE_H
#define NORN_INFER_SLICE_H
#include "infer/engine.h"

typedef struct slicer {
  norn_density *d;
  int64_t n;
  double *u, *v, *width, *moved;       /* (n) each: point, proposal, widths, sums of moves */
  double logp;                         /* at u */
  int64_t learnt, evaluations;         /* sweeps in which widths were learnt */
} slicer;
bool slicer_new(norn_state *, slicer *, norn_density *);       /* false: error set */
void slicer_free(norn_state *, slicer *);
void slicer_start(slicer *);                                   /* first widths */
/* Every coordinate once; learn: widths follow the moves.  false: error set. */
bool slicer_sweep(slicer *, norn_rng *, bool learn);
#endif
