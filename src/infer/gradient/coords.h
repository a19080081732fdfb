/* coords: a continuous choice as a point of R^n, through the map of its support (norn.h,
   norn_support), for walks. */
#ifndef NORN_INFER_COORDS_H
#define NORN_INFER_COORDS_H
#include "infer/engine.h"

/* Coordinates of values of d; -1: it has none (it is discrete, or its support has no map). */
int64_t    coords_count(norn_state *, const norn_dist *, norn_support *);
/* u (coords_count) of a value, and log |dx/du| there, added to *jacobian.  false without an error: it is
   not inside of its support. */
bool       coords_of(norn_state *, const norn_dist *, const norn_support *, norn_datum v, double *u,
                     double *jacobian);
/* The value at u, of the shape of `like`.  NONE: error set. */
norn_datum coords_value(norn_state *, const norn_dist *, const norn_support *, const double *u,
                        norn_datum like, double *jacobian);
#endif
