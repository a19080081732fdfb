/* start.h: where chains over R^n begin (start.c). */
#ifndef NORN_INFER_START_H
#define NORN_INFER_START_H
#include "infer/engine.h"

/* The option `init`: "random", "prior", "pathfinder", or a record of values by address. */
typedef enum { START_RANDOM, START_PRIOR, START_PATHFINDER, START_GIVEN } start_kind;
typedef struct start_way { int kind; norn_ref *given; } start_way;
norn_status start_option(norn_infer *, start_way *);
void        start_free(start_way *);

/* A point q (n) with a finite density and gradient g, in at most 100 tries, *tries of them made; rng: of
   start `index`.  Random ones come in pairs, start 2 k + 1 opposite to start 2 k: each is uniform on
   (-2, 2), but of two modes on both sides of 0 the pair can't miss one.  NORN_STEP_FAIL: error set. */
typedef struct start_point { double *q, *g, logp; int tries; } start_point;
norn_step start_find(norn_infer *, norn_density *, const start_way *, norn_rng, uint32_t index,
                     start_point *);
/* Is density and gradient of a point finite. */
bool start_finite(double logp, const double *g, int64_t n);
#endif
