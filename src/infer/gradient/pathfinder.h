/* pathfinder.h: starts for chains by Pathfinder (pathfinder.c). */
#ifndef NORN_INFER_PATHFINDER_H
#define NORN_INFER_PATHFINDER_H
#include "infer/engine.h"

/* A point near where the mass of the density is, u (n): one path from a random start, then one of
   25 draws from its best normal by importance weight.  Its numbers are those of a stream split off
   at *g. An error is set where no start of 100 has a finite density, or the model fails. */
norn_status pathfinder_start(norn_state *, norn_density *, const norn_rng *g, double *u);
#endif
