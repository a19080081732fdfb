/* lib_chains.c: how far draws can be trusted: effective sample sizes, split R-hat and Monte-Carlo
   errors of a posterior's numbers (infer/trust/diagnose.c; Vehtari et al. 2021, "Rank-normalization,
   folding, and localization: an improved R-hat").  Of a posterior of arrays: of each element. */
#include "infer/engine.h"
#include "infer/posterior.h"
#include "lib/lib.h"
#include "num/special.h"
#include "num/stats.h"
#include <math.h>
#include <string.h>

/* What is asked of the n numbers x with normalised weights w (NULL: equal). */
typedef struct question {
  diagnose_what what;
  double p;                            /* the level of a quantile */
  const double *w;
  int64_t n; int chains; bool exact;
} question;

static double weight_at(const question *q, int64_t i) { return q->w ? q->w[i] : 1 / (double)q->n; }

/* Half the distance of the quantiles between which the level's beta distribution has probability
   .68 (as diagnose.c's mcse_quantile). */
static double error_of_quantile(norn_state *st, const question *q, const double *x, double ess)
{
  double a = ess * q->p + 1, b = ess * (1 - q->p) + 1;
  const int64_t *order = lib_order(st, x, q->n);
  if (!order) return NAN;
  return (stats_quantile_weighted(x, q->w, order, q->n, special_beta_inv(a, b, .8413447)) -
          stats_quantile_weighted(x, q->w, order, q->n, special_beta_inv(a, b, .1586553))) / 2;
}

/* Weighted or independent draws have one effective sample size, Kish's, from which their errors
   follow; what is exact has none. */
static bool independent(norn_state *st, const question *q, const double *x, double *out)
{
  double mean = 0, second = 0, fourth = 0, square = 0;
  for (int64_t i = 0; i < q->n; i++) mean += weight_at(q, i) * x[i];
  for (int64_t i = 0; i < q->n; i++) {
    double w = weight_at(q, i), d = (x[i] - mean) * (x[i] - mean);
    second += w * d;
    fourth += w * d * d;
    square += w * w;
  }
  double ess = q->w ? 1 / square : (double)q->n;
  *out = ess;
  if (q->what >= DIAGNOSE_MCSE_MEAN && q->exact) *out = 0;
  else if (q->what == DIAGNOSE_MCSE_MEAN) *out = sqrt(second / ess);
  else if (q->what == DIAGNOSE_MCSE_SD) *out = sqrt((fourth - second * second) / ess / second / 4);
  else if (q->what == DIAGNOSE_MCSE_QUANTILE) *out = error_of_quantile(st, q, x, ess);
  return q->what != DIAGNOSE_MCSE_QUANTILE || q->exact || !isnan(*out);
}

/* Number k of each draw into x. */
static norn_status numbers_at(norn_state *st, norn_datum values, int64_t k, double *x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) {
    x[i] = norn_elem_real(norn_array_at(st, values, i), k);
    if (x[i] != x[i])
      return norn_fail(st, NORN_ETYPE, 0, "the draws must be numbers or arrays of numbers of one "
                       "shape: ask for a field, as in ess(post.mu)");
  }
  return NORN_OK;
}

static norn_status each_number(norn_state *st, const norn_datum *args, diagnose_what what, double p,
                               norn_datum *out)
{
  norn_posterior post;
  question q = { .what = what, .p = p };
  norn_view shape;
  double *r = NULL, one;
  norn_datum keep, result = norn_none();
  norn_status code;
  if (!lib_is_posterior(args[0]) || !norn_posterior_view(st, args[0], &post))
    return lib_no_posterior(st, args, 0);
  if (!lib_weights(st, &post, &q.w)) return lib_failed(st);
  q.n = post.n;
  q.exact = post.exact;
  q.chains = posterior_chains(st, post.info, post.n);
  bool array = norn_array_view(norn_array_at(st, post.values, 0), &shape);
  double *x = lib_reals(st, post.n, &keep);
  if (!x) return lib_failed(st);
  if (array) {
    result = norn_array(st, NORN_F64, shape.rank, shape.dims, (void **)&r);
    if (norn_is_none(result)) return lib_failed(st);
  }
  for (int64_t k = 0; k < (array ? shape.n : 1); k++) {
    if ((code = numbers_at(st, post.values, k, x, post.n))) return code;
    if (q.chains ? !diagnose(st, what, p, x, q.chains, post.n / q.chains, &one)
                 : !independent(st, &q, x, &one))
      return lib_failed(st);
    if (array) r[k] = one;
    else result = norn_real(one);
  }
  *out = result;
  return NORN_OK;
}

static norn_status f_ess(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return each_number(st, args, DIAGNOSE_ESS_BULK, 0, out);
}
static norn_status f_ess_tail(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return each_number(st, args, DIAGNOSE_ESS_TAIL, 0, out);
}
static norn_status f_ess_mean(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return each_number(st, args, DIAGNOSE_ESS_MEAN, 0, out);
}
static norn_status f_ess_sd(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return each_number(st, args, DIAGNOSE_ESS_SD, 0, out);
}
static norn_status f_mcse(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return each_number(st, args, DIAGNOSE_MCSE_MEAN, 0, out);
}
static norn_status f_mcse_sd(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return each_number(st, args, DIAGNOSE_MCSE_SD, 0, out);
}

static norn_status at_level(norn_state *st, const norn_datum *args, diagnose_what what,
                            norn_datum *out)
{
  double p;
  if (!norn_want_real(st, args, 1, "the level", &p)) return lib_failed(st);
  if (!(p > 0 && p < 1))
    return norn_fail(st, NORN_EDOMAIN, 1, "the level of a quantile must be between 0 and 1, got %g",
                     p);
  return each_number(st, args, what, p, out);
}

static norn_status f_ess_quantile(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return at_level(st, args, DIAGNOSE_ESS_QUANTILE, out);
}
static norn_status f_mcse_quantile(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return at_level(st, args, DIAGNOSE_MCSE_QUANTILE, out);
}

static norn_status f_rhat(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_posterior post;
  if (lib_is_posterior(args[0]) && norn_posterior_view(st, args[0], &post) &&
      posterior_chains(st, post.info, post.n) == 0)
    return norn_fail(st, NORN_ETYPE, 0, "these draws are not from chains: there is no R-hat");
  return each_number(st, args, DIAGNOSE_RHAT, 0, out);
}

static norn_status f_nested_rhat(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_posterior post;
  int64_t groups = 0, chains = 0;
  if (lib_is_posterior(args[0]) && norn_posterior_view(st, args[0], &post)) {
    chains = posterior_chains(st, post.info, post.n);
    groups = posterior_superchains(st, post.info, post.n);
  }
  if (args[1].tag != NORN_MISSING) {
    if (!norn_want_int(st, args, 1, "the number of superchains", &groups)) return lib_failed(st);
    if (chains && (groups < 2 || chains % groups))
      return norn_fail(st, NORN_EDOMAIN, 1, "superchains must be at least 2 and divide the %lld chains, got %lld",
                       (long long)chains, (long long)groups);
  }
  if (lib_is_posterior(args[0]) && (!chains || !groups)) {
    norn_fail(st, NORN_ETYPE, 0, "these draws are not from superchains: there is no nested R-hat");
    norn_hint(st, "chees() makes superchains; of other chains say how many there are, each with starts in common");
    return NORN_ETYPE;
  }
  return each_number(st, args, DIAGNOSE_NESTED, (double)groups, out);
}

#define EXAMPLE "\nExample: model m() { let x ~ normal(0, 1); x }; "
#define INDEPENDENT "\nOf draws that are not from chains it is ess(post)."
static const norn_native natives[] = {
  {"ess", "post", "The effective sample size of a posterior's numbers: of chains the bulk ESS of "
   "rank-normalised split chains, of weighted draws (sum w)^2 / sum w^2."
   EXAMPLE "ess(infer(m(), forward(100)))\n=> 100.0", f_ess, 0, NULL},
  {"ess_bulk", "post", "The same as ess(post)."
   EXAMPLE "ess_bulk(infer(m(), forward(100)))\n=> 100.0", f_ess, 0, NULL},
  {"ess_tail", "post",
   "The effective sample size for the 5 % and the 95 % quantile, the smaller one." INDEPENDENT
   EXAMPLE "ess_tail(infer(m(), forward(100)))\n=> 100.0", f_ess_tail, 0, NULL},
  {"ess_mean", "post",
   "The effective sample size for the mean, of the draws as they are." INDEPENDENT
   EXAMPLE "ess_mean(infer(m(), forward(100)))\n=> 100.0", f_ess_mean, 0, NULL},
  {"ess_sd", "post", "The effective sample size for the sd, of distances from the mean." INDEPENDENT
   EXAMPLE "ess_sd(infer(m(), forward(100)))\n=> 100.0", f_ess_sd, 0, NULL},
  {"ess_quantile", "post, p", "The effective sample size for the quantile of level p." INDEPENDENT
   EXAMPLE "ess_quantile(infer(m(), forward(100)), 0.9)\n=> 100.0", f_ess_quantile, 0, NULL},
  {"rhat", "post", "Split R-hat of draws from chains, the larger of the rank-normalised and the "
   "folded one: near 1 if the chains agree."
   EXAMPLE "rhat(infer(m(), mh(draws = 500))) < 1.2\n=> true", f_rhat, 0, NULL},
  {"nested_rhat", "post, superchains = missing", "Nested R-hat of draws from superchains, groups of chains "
   "that began at one point: near 1 once they have forgotten where, however few draws a chain has."
   EXAMPLE "nested_rhat(infer(m(), chees(draws = 5, warmup = 100))) < 1.1\n=> true", f_nested_rhat, 0, NULL},
  {"mcse", "post", "The Monte-Carlo standard error of a posterior's mean: sd / sqrt(ess_mean)."
   EXAMPLE "mcse(infer(m(), forward(400))) < 0.1\n=> true", f_mcse, 0, NULL},
  {"mcse_sd", "post", "The Monte-Carlo standard error of a posterior's sd."
   EXAMPLE "mcse_sd(infer(m(), forward(400))) < 0.1\n=> true", f_mcse_sd, 0, NULL},
  {"mcse_quantile", "post, p",
   "The Monte-Carlo standard error of a posterior's quantile of level p."
   EXAMPLE "mcse_quantile(infer(m(), forward(400)), 0.5) < 0.2\n=> true", f_mcse_quantile, 0, NULL},
};

norn_status lib_chains_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
