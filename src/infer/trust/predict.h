/* predict.h: the engines behind loo and prediction (predict.c), and the estimate of leaving one out
   (loo.c). */
#ifndef NORN_INFER_PREDICT_H
#define NORN_INFER_PREDICT_H
#include "norn.h"

extern const norn_engine engine_pointwise, engine_simulate;

/* Can a run be answered with its choices: are they kept, draw by draw? */
norn_status predict_check(norn_state *, norn_datum posterior);

/* Of one row: elpd = log p(y_i | y_-i) by Pareto smoothed importance sampling, lpd = log of the
   posterior mean of its density, the shape of the tail of its weights. */
typedef struct loo_row { double elpd, lpd, khat; } loo_row;
/* ll (n): log densities of the row at the draws; logw (n): log weights of the draws, NULL if equal;
   chains: of which they are, 0: independent.  false: no memory. */
bool loo_of(norn_state *, const double *ll, const double *logw, size_t n, int chains, loo_row *);
#endif
