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
/* For n coordinates; its density, d, is set by whoever uses it.  false: error set. */
bool slicer_new(norn_state *, slicer *, int64_t n);
void slicer_free(norn_state *, slicer *);
void slicer_start(slicer *);                                   /* first widths */
/* Every coordinate once; learn: widths follow the moves.  false: error set. */
bool slicer_archive(norn_archive *, slicer *);                 /* of a checkpoint: into one of that size */
bool slicer_sweep(slicer *, norn_rng *, bool learn);
#endif
