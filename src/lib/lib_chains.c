/* lib_chains.c: how far draws can be trusted: effective sample size, split R-hat and Monte-Carlo
   error of a posterior's numbers (infer/diagnose.c; Vehtari et al. 2021, "Rank-normalization,
   folding, and localization: an improved R-hat").  Of a posterior of arrays: of each element. */
#include "infer/engine.h"
#include "infer/posterior.h"
#include "lib/lib.h"
#include <math.h>
#include <string.h>

typedef enum { ESS, RHAT, MCSE } measure;

/* Of n numbers x with normalised weights w (NULL: equal), from `chains` chains of equal length. */
static bool measure_of(norn_state *st, measure what, const double *x, const double *w, int64_t n,
                       int chains, double *out)
{
  double ess = (double)n, rhat = (double)NAN, mean = 0, var = 0, square = 0;
  for (int64_t i = 0; i < n; i++) mean += (w ? w[i] : 1 / (double)n) * x[i];
  for (int64_t i = 0; i < n; i++) {
    double p = w ? w[i] : 1 / (double)n;
    var += p * (x[i] - mean) * (x[i] - mean);
    square += p * p;
  }
  if (chains > 0) {
    if (!diagnose_chains(st, x, chains, n / chains, &ess, &rhat)) return false;
  } else if (w) ess = 1 / square;
  *out = what == ESS ? ess : what == RHAT ? rhat : sqrt(var / ess);
  return true;
}

static norn_status each_number(norn_state *st, const norn_datum *args, measure what,
                               norn_datum *out)
{
  norn_posterior post;
  const double *w;
  norn_view shape;
  double *r = NULL;
  norn_datum keep, result = norn_none();
  if (!lib_is_posterior(args[0]) || !norn_posterior_view(st, args[0], &post))
    return lib_wrong(st, args, 0, "the argument", "a posterior");
  if (!lib_weights(st, &post, &w)) return lib_failed(st);
  int chains = posterior_chains(st, post.info, post.n);
  norn_datum first = norn_array_at(st, post.values, 0);
  bool array = norn_array_view(first, &shape);
  int64_t m = array ? shape.n : 1;
  double *x = lib_reals(st, post.n, &keep);
  if (!x) return lib_failed(st);
  if (array) {
    result = norn_array(st, NORN_F64, shape.rank, shape.dims, (void **)&r);
    if (norn_is_none(result)) return lib_failed(st);
  }
  for (int64_t k = 0; k < m; k++) {
    double one;
    for (int64_t i = 0; i < post.n; i++) {
      x[i] = norn_elem_real(norn_array_at(st, post.values, i), k);
      if (x[i] != x[i])
        return norn_fail(st, NORN_ETYPE, 0, "the draws must be numbers or arrays of numbers of one "
                         "shape: ask for a field, as in ess(post.mu)");
    }
    if (!measure_of(st, what, x, w, post.n, chains, &one)) return lib_failed(st);
    if (array) r[k] = one;
    else result = norn_real(one);
  }
  *out = result;
  return NORN_OK;
}

static norn_status f_ess(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return each_number(st, args, ESS, out);
}
static norn_status f_rhat(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_posterior post;
  if (lib_is_posterior(args[0]) && norn_posterior_view(st, args[0], &post) &&
      posterior_chains(st, post.info, post.n) == 0)
    return norn_fail(st, NORN_ETYPE, 0, "these draws are not from chains: there is no R-hat");
  return each_number(st, args, RHAT, out);
}
static norn_status f_mcse(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return each_number(st, args, MCSE, out);
}

#define EXAMPLE "\nExample: model m() { let x ~ normal(0, 1); x }; "
static const norn_native natives[] = {
  {"ess", "post", "The effective sample size of a posterior's numbers: of chains the bulk ESS of "
   "rank-normalised split chains, of weighted draws (sum w)^2 / sum w^2."
   EXAMPLE "ess(infer(m(), forward(100)))\n=> 100.0", f_ess, 0, NULL},
  {"rhat", "post", "Split R-hat of draws from chains, the larger of the rank-normalised and the "
   "folded one: near 1 if the chains agree."
   EXAMPLE "rhat(infer(m(), mh(draws = 500))) < 1.2\n=> true", f_rhat, 0, NULL},
  {"mcse", "post", "The Monte-Carlo standard error of a posterior's mean: sd / sqrt(ess)."
   EXAMPLE "mcse(infer(m(), forward(400))) < 0.1\n=> true", f_mcse, 0, NULL},
};

norn_status lib_chains_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
