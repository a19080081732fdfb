/* loo: what a model would have said of each observation had it been left out.

   log p(y_i | y_-i) is estimated from draws of the whole posterior by importance sampling with
   weights 1 / p(y_i | theta), Pareto smoothed (Vehtari, Gelman, Gabry 2017, "Practical Bayesian
   model evaluation using leave-one-out cross-validation and WAIC", Statistics and Computing 27,
   eq. 10). */
#include "infer/trust/predict.h"
#include "infer/engine.h"
#include "infer/trust/psis.h"

/* Effective draws per draw of the density itself, for the length of the tail: 1 if it does not
   vary, or draws are weighted or independent. */
static bool relative_ess(norn_state *st, const double *ll, size_t n, int chains, double *scratch,
                         double *out)
{
  double most = -HUGE_VAL, ess;
  *out = 1;
  if (chains < 1) return true;
  for (size_t i = 0; i < n; i++) if (ll[i] > most) most = ll[i];
  for (size_t i = 0; i < n; i++) scratch[i] = exp(ll[i] - most);
  if (!diagnose(st, DIAGNOSE_ESS_MEAN, 0, scratch, chains, (int64_t)n / chains, &ess)) return false;
  if (ess > 0) *out = ess / (double)n;
  return true;
}

bool loo_of(norn_state *st, const double *ll, const double *logw, size_t n, int chains,
            loo_row *out)
{
  double *lw = engine_get(st, n * sizeof *lw), *x = engine_get(st, n * sizeof *x), r_eff;
  bool good = lw && x && relative_ess(st, ll, n, logw ? 0 : chains, x, &r_eff);
  if (good) {
    for (size_t i = 0; i < n; i++) {
      lw[i] = (logw ? logw[i] : 0) - ll[i];
      x[i] = (logw ? logw[i] : 0) + ll[i];
    }
    out->lpd = log_sum(x, n) - (logw ? log_sum(logw, n) : log((double)n));
    good = psis_smooth(st, lw, n, r_eff, &out->khat);
    for (size_t i = 0; i < n; i++) x[i] = lw[i] + ll[i];
    out->elpd = log_sum(x, n) - log_sum(lw, n);
  }
  engine_put(st, lw, n * sizeof *lw);
  engine_put(st, x, n * sizeof *x);
  return good;
}
