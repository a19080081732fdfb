/* verdict.h: the worst that draws over R^n say about their chains (verdict.c): of nuts, hmc, chees. */
#ifndef NORN_INFER_VERDICT_H
#define NORN_INFER_VERDICT_H
#include "infer/engine.h"

/* Where the draws of chains lie: at(of, c, k) is the k-th of chain c, (n) unconstrained coordinates. */
typedef struct verdict_draws {
  norn_density *density;
  int64_t chains, draws, n;
  int64_t groups;                        /* superchains; 0: there are none */
  const double *(*at)(const void *of, int64_t c, int64_t k);
  const void *of;
} verdict_draws;

/* rhat: split R-hat, or of superchains the nested one, 0: unknown; limit: what is above is too much (that
   of the number which exceeds its own most).  ess infinite: nothing varies. */
typedef struct verdict {
  double rhat, limit, ess;
  char worst[160], apart[160];           /* names of the number with the least ESS, the greatest R-hat */
  int64_t draws;                         /* of each chain that they are of */
} verdict;

/* Over the coordinates of these draws; where a run goes on (more), over the choices of the old and the new
   draws together.  Of the old ones the values of choices are kept, not the coordinates; that changes neither
   ranks nor, so, what is asked here of numbers.  Where choices were not kept, the new draws are judged
   alone. */
norn_status verdict_of(norn_infer *, const verdict_draws *, verdict *);
/* Energy Bayesian fraction of missing information (Betancourt 2016) of energies e (n), `step` numbers apart:
   sums over the chain of squares about the mean, and of squared differences. */
void        verdict_energy(const double *e, int64_t n, int64_t step, double *var, double *jump);
#endif
