/* amortized_leave: what becomes of the draws of a net (amortized.h): weighted draws, chains, or
   predictions. */
#include "infer/net/amortized.h"
#include "infer/chains/chains.h"
#include "infer/infer.h"
#include "infer/chains/mh.h"
#include "infer/trust/psis.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORK = 256, LANE_ACCEPT = 21 };

/* ---- k-hat ---- */

static int rising(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Of weights with few values (those of discrete programs), where a tail has no end of its own: it begins
   below all that are as large as its least.  x (n), rising, relative to the greatest. */
static double khat_of_ties(double *x, size_t n)
{
  size_t m = psis_tail(n, 1), from = n - m;
  double k, sigma, cut;
  while (from > 0 && x[from - 1] >= x[n - m] - 1e-9) from--;
  cut = from ? exp(x[from - 1]) : 0;
  if (x[from] >= x[n - 1] - 1e-9) return -HUGE_VAL; /* as many of the greatest as that: a bounded tail */
  for (size_t i = from; i < n; i++) x[i] = exp(x[i]) - cut;
  psis_fit(x + from, n - from, &k, &sigma);
  return k;
}

/* Is none of them EVEN times their mean?  A net that is nearly right leaves weights that differ by a few per cent
   but for some at the edge of its draws, and the shape that is fitted to these may be anything (k-hat above 1 at
   an efficiency of .997, for one data set in forty of a coin's).  Weights of a mode that the net has missed are
   far above it: the prior's part finds them with 1 / defensive = 20 times. */
static bool even(const double *logw, size_t n, double most)
{
  enum { EVEN = 3 };
  return most - log_sum(logw, n) + log((double)n) < log(EVEN);
}

bool amortized_khat(norn_state *st, double *logw, size_t n, double *khat)
{
  double most = -HUGE_VAL;
  for (size_t i = 0; i < n; i++) most = fmax(most, logw[i]);
  if (fabs(most) < HUGE_VAL && even(logw, n, most)) {
    *khat = -HUGE_VAL;
    return true;
  }
  if (!psis_smooth(st, logw, n, 1, khat)) return false;
  most = -HUGE_VAL;
  for (size_t i = 0; i < n; i++) most = fmax(most, logw[i]);
  if (*khat < HUGE_VAL || !(fabs(most) < HUGE_VAL)) return true;
  double *x = engine_get(st, n * sizeof *x);
  if (!x) return false;
  for (size_t i = 0; i < n; i++) x[i] = logw[i] - most;
  qsort(x, n, sizeof *x, rising);
  *khat = khat_of_ties(x, n);
  if (*khat != *khat) *khat = HUGE_VAL;
  engine_put(st, x, n * sizeof *x);
  return true;
}

/* ---- notes ---- */

void amortized_note(norn_infer *inf, const amortized *e)
{
  static const char *const how[] = {"importance weights", "none", "mh", "smc"};
  norn_state *st = norn_infer_state(inf);
  norn_infer_note(inf, "fallback", norn_missing());
  norn_infer_note(inf, "correction",
                  norn_cstring(st, e->predicts ? "none: predictions of a pfn net" : how[e->how]));
  if (e->predicts || e->how == CORRECT_SMC) return;
  norn_infer_note(inf, "khat", norn_real(e->sums.khat));
  norn_infer_note(inf, "khat_limit", norn_real(psis_threshold((size_t)e->n)));
  norn_infer_note(inf, "efficiency", norn_real(e->sums.ess / (double)e->n));
  norn_infer_note(inf, "kl", norn_real(e->sums.kl));
  if (e->defensive > 0) norn_infer_note(inf, "prior_share", norn_real(e->sums.share));
}

norn_status amortized_report(norn_infer *inf, amortized *e)
{
  norn_state *st = norn_infer_state(inf);
  amortized_note(inf, e);
  if (e->predicts) {
    norn_infer_note(inf, "uncorrected",
                    norn_cstring(st, "each missing observation by itself, given those that are "
                                     "there; nothing is known of the model's other choices"));
    return NORN_OK;
  }
  if (e->how == CORRECT_NOT) {
    norn_infer_note(inf, "uncorrected",
                    norn_cstring(st, "draws of the net as they are: no better than the net"));
    return NORN_OK;
  }
  norn_infer_evidence(inf, e->sums.log_z, e->sums.se);
  if (e->how == CORRECT_MH) {
    norn_infer_note(inf, "acceptance",
                    norn_real(e->proposed ? (double)e->accepted / (double)e->proposed : 1));
    norn_infer_note(inf, "thin", norn_int(e->thin));
    return chains_report(inf, (int)e->chains, e->draws, "more training of the net");
  }
  norn_infer_note(inf, "ess", norn_real(e->sums.ess));
  if (e->sums.ess < 100 && e->sums.ess < (double)e->n / 10)
    norn_infer_warn(
        inf, norn_infer_blame(inf, NULL),
        "the effective sample size is %.3g of %lld draws: use more draws, or train the net for longer",
        e->sums.ess, (long long)e->n);
  return NORN_OK;
}

/* ---- chains of independent proposals ---- */

norn_status mh_options_of(norn_infer *inf, amortized *e, norn_datum engine)
{
  norn_state *st = norn_infer_state(inf);
  if (!engine_option_int(st, engine, MH_DRAWS, 1, &e->draws) ||
      !engine_option_int(st, engine, MH_BURN, 0, &e->burn) ||
      !engine_option_int(st, engine, MH_THIN, 1, &e->thin) ||
      !engine_option_int(st, engine, MH_CHAINS, 1, &e->chains))
    return NORN_EDOMAIN;
  for (int i = MH_STEPS; i <= MH_BLOCK; i++)
    if (engine_option_given(st, engine, i)) {
      norn_fail(st, NORN_EDOMAIN, -1, "%s of mh has no place in amortized: the net proposes whole runs",
                engine_mh.options[i].name);
      return NORN_EDOMAIN;
    }
  if (engine_option_given(st, norn_get(inf->options), AMORTIZED_DRAWS)) e->draws = e->n;
  double all = (double)e->chains * ((double)e->burn + (double)e->draws * (double)e->thin);
  if (all > INT32_MAX) return option_must(inf, "correct", "mh of at most 2147483647 steps in all", all);
  e->n = (int64_t)all;
  e->now = -1;
  return e->n >= 25 ? NORN_OK : option_must(inf, "correct", "mh of at least 25 steps in all", all);
}

/* The k-th draw of the net is the proposal of chain k / length; gives whether the chain's state is a draw. */
static bool chain_step(norn_infer *inf, amortized *e, int64_t k)
{
  int64_t length = e->n / e->chains, chain = k / length, at = k % length;
  norn_rng g = {.stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, LANE_ACCEPT, 0),
                .lane = (uint32_t)chain, .event = (uint32_t)at};
  if (!at) e->now = -1;
  if (e->now < 0) {
    if (e->logw[k] > -HUGE_VAL) e->now = k;
  } else {
    e->proposed++;
    if (log(norn_rng_uniform(&g)) < e->logw[k] - e->logw[e->now]) {
      e->now = k;
      e->accepted++;
    }
  }
  return e->now >= 0 && at >= e->burn && (at - e->burn) % e->thin == e->thin - 1;
}

/* ---- predictions ---- */

static int by_address(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Of a draw the missing observations alone: as choices, and as its value, a record by address. */
static norn_datum predicted(norn_infer *inf, amortized *e, size_t i)
{
  norn_state *st = norn_infer_state(inf);
  size_t n, m = 0;
  norn_datum out = norn_none();
  if (!swarm_path(&e->s, i, &e->path, &e->cpath, &n)) return out;
  norn_datum *v = engine_get(st, (n + 1) * sizeof *v);
  char (*names)[256] = engine_get(st, (n + 1) * sizeof *names);
  const char **name = engine_get(st, (n + 1) * sizeof *name);
  bool good = v && names && name;
  for (size_t k = 0; good && k < n; k++) {
    const swarm_choice *c = &e->s.choice[e->path[k]];
    if (!bsearch(&c->addr, e->d.missing, e->d.nmissing, sizeof *e->d.missing, by_address)) continue;
    v[m] = column_at(st, &e->s.value, c->value);
    norn_addr_name(st, c->addr, names[m], sizeof names[m]);
    name[m] = names[m];
    good = !norn_infer_choice(inf, c->addr, v[m++]);
  }
  if (good) out = norn_record(st, (int)m, name, v);
  engine_put(st, v, (n + 1) * sizeof *v);
  engine_put(st, names, (n + 1) * sizeof *names);
  engine_put(st, name, (n + 1) * sizeof *name);
  return out;
}

/* ---- a piece of them ---- */

static norn_status give(norn_infer *inf, amortized *e, int64_t i, double logw)
{
  norn_state *st = norn_infer_state(inf);
  if (e->predicts) {
    norn_datum v = predicted(inf, e, (size_t)i);
    return norn_is_none(v) ? NORN_EMEMORY : norn_infer_draw(inf, v, 0);
  }
  norn_status s = swarm_choices(&e->s, (size_t)i, &e->path, &e->cpath);
  if (!s && e->how == CORRECT_WEIGHTS) s = norn_infer_stat(inf, "log_ratio", e->logw[i]);
  return s ? s : norn_infer_draw(inf, column_at(st, &e->s.result, e->s.ended[i]), logw);
}

norn_step amortized_leave(norn_infer *inf, amortized *e)
{
  for (int work = 0; work < WORK && e->left < e->n; work++, e->left++) {
    int64_t i = e->left;
    norn_status s = NORN_OK;
    if (e->how == CORRECT_MH) {
      norn_infer_chain(inf, (int)(i / (e->n / e->chains)));
      if (chain_step(inf, e, i)) s = give(inf, e, e->now, 0);
    } else if (!swarm_dead(&e->s, (size_t)i) && (e->predicts || e->logw[i] > -HUGE_VAL)) {
      s = give(inf, e, i, e->how == CORRECT_NOT ? 0 : e->smooth[i]);
    }
    if (s) return NORN_STEP_FAIL;
  }
  if (e->left < e->n) return NORN_STEP_MORE;
  e->at = AMORTIZED_END;
  return NORN_STEP_DONE;
}
