/* dists.h: what lib_stats.c asks of distributions that are not posteriors (lib_dist.c). */
#ifndef NORN_LIB_DISTS_H
#define NORN_LIB_DISTS_H
#include "norn.h"

typedef enum { DISTS_MEAN, DISTS_VARIANCE, DISTS_SD } dists_what;
norn_status dists_moment(norn_state *, const norn_dist *, dists_what, norn_datum *out);
/* np probabilities, or one with np = -1: then the result is no array. */
norn_status dists_quantiles(norn_state *, const norn_dist *, const double *p, int64_t np,
                            norn_datum *out);
#endif
