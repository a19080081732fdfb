/* stream: many uniforms or normals of one event at once, by the counters that rng.h tells; one
   object per CPU level (stream_level.c). */
#ifndef NORN_STREAM_H
#define NORN_STREAM_H
#include "norn.h"
#include "num/level.h"

/* n numbers of the blocks from g->draw on, which must end below RNG_FULL. */
typedef void (*stream_fn)(const norn_rng *g, double *out, int64_t n);
#define RNG_ELEMENT 0x80000000u     /* in g->draw, for the following */
/* The first number of each of n lanes: lane[k], or g->lane + k where lane is NULL; rng_uniform and
   rng_normal of the counter (that lane, event, iter, draw), to the bit.  With RNG_ELEMENT in g->draw the rest of it is
   a number e, and each lane's is number e of the array that norn_rng_uniforms or norn_rng_normals begins at draw 0. */
typedef void (*stream_lanes)(const norn_rng *g, const uint32_t *lane, double *out, int64_t n);
typedef struct stream_fns {
  stream_fn uniforms, normals;
  stream_lanes lane_uniforms, lane_normals;
} stream_fns;
extern const stream_fns stream_base, stream_avx2, stream_avx512;

/* norn_rng_uniforms and norn_rng_normals at a level: for tests and the benchmark. */
void stream_uniforms(int level, norn_rng *, double *out, int64_t n);
void stream_normals(int level, norn_rng *, double *out, int64_t n);
/* The widest that the CPU has. */
const stream_fns *stream_best(void);
#endif
