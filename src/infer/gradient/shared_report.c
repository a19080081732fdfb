/* shared_report: what is told at the end of an inference of many chains (chees.h). */
#include "infer/gradient/chees.h"
#include "infer/infer.h"
#include "infer/trust/verdict.h"
#include "infer/watch.h"
#include <stdio.h>
#include <string.h>

enum { WATCHED = 32 };                   /* chains whose draws are looked at for tails and jumps */

static const double *draw_at(const void *of, int64_t c, int64_t k)
{
  const shared *e = of;
  return e->q + (k * e->plan.chains + c) * e->n;
}

/* Over all chains: one has few draws. */
static double bfmi_of(const shared *e)
{
  double var = 0, jump = 0;
  for (int64_t c = 0; c < e->plan.chains; c++)
    verdict_energy(e->stat + c * CHAINS_STATS + CHAINS_ENERGY, e->kept, e->plan.chains * CHAINS_STATS, &var,
                   &jump);
  return var > 0 ? jump / var : (double)NAN;
}

/* Chains of which all draws are one point. */
static int64_t stuck_of(const shared *e)
{
  int64_t stuck = 0;
  for (int64_t c = 0; c < e->plan.chains && e->kept > 1; c++) {
    bool moved = false;
    for (int64_t k = 1; k < e->kept && !moved; k++)
      moved = memcmp(draw_at(e, c, k), draw_at(e, c, 0), (size_t)e->n * sizeof(double)) != 0;
    stuck += !moved;
  }
  return stuck;
}

/* ---- notes ---- */

/* Places of the draws whose transition diverged. */
static void note_divergent(norn_infer *inf, const shared *e)
{
  int64_t n = 0, m = e->plan.chains, all = e->kept * m;
  void *to;
  for (int64_t i = 0; i < all; i++) n += e->stat[i * CHAINS_STATS + CHAINS_DIVERGED] != 0;
  norn_datum v = norn_array(norn_infer_state(inf), NORN_I64, 1, &n, &to);
  if (norn_is_none(v)) return;
  int64_t *at = to;
  for (int64_t c = 0; c < m; c++)
    for (int64_t k = 0; k < e->kept; k++)
      if (e->stat[(k * m + c) * CHAINS_STATS + CHAINS_DIVERGED] != 0) *at++ = c * e->kept + k;
  norn_infer_note(inf, "divergent", v);
}

/* What more() goes on from. */
static norn_status note_resume(norn_infer *inf, const shared *e)
{
  static const char *const names[] = {"stream", "transitions", "length", "points"};
  norn_state *st = norn_infer_state(inf);
  const shared_plan *p = &e->plan;
  int64_t dims[] = {p->chains, e->n};
  double *q, *scale;
  norn_datum points = infer_reals(st, 2, dims, &q), inverse = infer_reals(st, 1, &e->n, &scale);
  if (norn_is_none(points) || norn_is_none(inverse) || e->run.ops->read(e->run.self, q, NULL))
    return NORN_EMEMORY;
  for (int64_t i = 0; i < e->n; i++) scale[i] = e->a.scale[i] * e->a.scale[i];
  norn_datum v[] = {norn_int((int64_t)p->stream), norn_int(p->before + shared_transitions(p)),
                    norn_real(e->a.length), points};
  norn_status s = infer_note_must(inf, "resume", norn_record(st, NORN_COUNT(v), names, v));
  if (!s) s = infer_note_must(inf, "inverse_metric", inverse);
  return s ? s : infer_note_must(inf, "step_size", norn_real(e->a.step));
}

/* What the density itself says, by the draws of some chains. */
static norn_status watch_draws(norn_infer *inf, const shared *e)
{
  norn_state *st = norn_infer_state(inf);
  int64_t m = e->plan.chains < WATCHED ? e->plan.chains : WATCHED, each = e->kept * e->n;
  const double *chain[WATCHED];
  double *q = engine_get(st, (size_t)(m * each) * sizeof *q);
  if (!q) return NORN_EMEMORY;
  for (int64_t c = 0; c < m; c++) {
    chain[c] = q + c * each;
    for (int64_t k = 0; k < e->kept; k++)
      memcpy(q + c * each + k * e->n, draw_at(e, c * e->plan.chains / m, k), (size_t)e->n * sizeof *q);
  }
  watched w = {inf, e->density, chain, m, e->kept, e->n};
  norn_status status = watch_tails(&w);
  if (!status) status = watch_jumps(&w);
  engine_put(st, q, (size_t)(m * each) * sizeof *q);
  return status;
}

/* ---- warnings ---- */

static void warn_chains(norn_infer *inf, const shared *e, const verdict *v, bool nested)
{
  norn_span nowhere = {0, 0, 0};
  if (nested && v->rhat > v->limit)
    norn_infer_warn(inf, nowhere, "nested R-hat of %s is %.4g, above %.4g (what %lld superchains exceed by "
                    "chance one time in 10,000): they have not forgotten their starts; take a longer warmup, "
                    "or look for several modes", v->apart, v->rhat, v->limit, (long long)e->plan.groups);
  if (!nested && v->rhat > 1.01 && e->kept >= 50)
    norn_infer_warn(inf, nowhere, "R-hat is %.5g, above 1.01: the chains do not agree; take more draws, or "
                    "look for several modes", v->rhat);
  if (v->ess < 400)
    norn_infer_warn(inf, nowhere, "the effective sample size of %s is %.3g of %.0f draws: take more draws, "
                    "or chains", v->worst, v->ess, (double)(e->plan.chains * v->draws));
}

static void warn(norn_infer *inf, const shared *e, const verdict *v, bool nested)
{
  norn_span nowhere = {0, 0, 0};
  double total = (double)(e->plan.chains * e->plan.draws * e->plan.thin), bfmi = bfmi_of(e);
  double mean = e->accept_sum / e->accepts;
  /* chains that would not move in few draws, with room for some at which less is taken */
  double by_chance = (double)e->plan.chains * pow(1 - mean, 0.5 * (e->accepts - 1));
  int64_t stuck = stuck_of(e);
  if (stuck == e->plan.chains || e->moved == 0) {
    norn_infer_warn(inf, nowhere, "none of %lld chains ever moved: each is one value, %lld times; the step "
                    "size %.3g is too large, or the density jumps", (long long)e->plan.chains,
                    (long long)e->plan.draws, e->a.step);
    return;
  }
  if (e->divergent)
    norn_infer_warn(inf, nowhere, "%lld of %.0f transitions diverged: the posterior has places that the "
                    "sampler can't enter, so the draws may be biased; write scales times standardised "
                    "choices (non-centred), or %s", (long long)e->divergent, total,
                    e->plan.step > 0 ? "give a smaller step_size" : "raise target_accept");
  if (e->plan.thin == 1 && bfmi < 0.3)
    norn_infer_warn(inf, nowhere, "E-BFMI is %.2g, below 0.3: the chains explore energies slowly (heavy "
                    "tails, or a scale that its members depend on); reparameterise, or tighten priors", bfmi);
  if (stuck && by_chance < 0.01)
    norn_infer_warn(inf, nowhere, "%lld of %lld chains never moved", (long long)stuck,
                    (long long)e->plan.chains);
  if (mean < 0.1)
    norn_infer_warn(inf, nowhere, "the mean acceptance is %.2g: the step size is too large", mean);
  if (!e->plan.steps && e->a.length / e->a.step > 0.99 * (double)e->plan.max_steps)
    norn_infer_warn(inf, nowhere, "trajectories reached max_steps %lld: the draws are right but slow; look "
                    "at scales and correlations, or raise max_steps", (long long)e->plan.max_steps);
  warn_chains(inf, e, v, nested);
}

/* Seconds by what they were for. */
static void note_phases(norn_infer *inf, const shared *e)
{
  static const char *const names[PHASES] = {
    [PHASE_RECORD] = "record", [PHASE_COMPILE] = "compile", [PHASE_START] = "start",
    [PHASE_WARMUP] = "warmup", [PHASE_DRAWS] = "draws", [PHASE_READ] = "read", [PHASE_DIAGNOSE] = "diagnose"};
  norn_datum v[PHASES];
  for (int i = 0; i < PHASES; i++) v[i] = norn_real(e->spent[i]);
  norn_datum all = norn_record(norn_infer_state(inf), PHASES, names, v);
  if (!norn_is_none(all)) norn_infer_note(inf, "phases", all);
}

norn_status shared_finish(norn_infer *inf, shared *e)
{
  double begun = infer_seconds();
  bool nested = e->plan.groups > 1 && e->plan.groups < e->plan.chains;
  verdict v;
  verdict_draws d = {.density = e->density, .chains = e->plan.chains, .draws = e->plan.draws, .n = e->n,
                     .groups = nested ? e->plan.groups : 0, .at = draw_at, .of = e};
  norn_status status = verdict_of(inf, &d, &v);
  if (status) return status;
  infer_chains(inf, (int)e->plan.chains, e->plan.draws);
  if ((status = density_note_summed(e->density, inf))) return status;
  norn_infer_note(inf, "acceptance", norn_real(e->accept_sum / e->accepts));
  norn_infer_note(inf, "divergences", norn_int(e->divergent));
  note_divergent(inf, e);
  norn_infer_note(inf, "leapfrogs", norn_int(e->leapfrogs));
  if (!e->plan.steps) norn_infer_note(inf, "trajectory_length", norn_real(e->a.length));
  norn_infer_note(inf, "ess", v.ess < HUGE_VAL ? norn_real(v.ess) : norn_missing());
  if (nested) norn_infer_note(inf, "superchains", norn_int(e->plan.groups));
  if (v.rhat > 0) norn_infer_note(inf, nested ? "nested_rhat" : "rhat", norn_real(v.rhat));
  if (nested && v.rhat > 0) norn_infer_note(inf, "nested_rhat_limit", norn_real(v.limit));
  if ((status = watch_draws(inf, e))) return status;
  warn(inf, e, &v, nested);
  e->spent[PHASE_DIAGNOSE] += infer_seconds() - begun;
  note_phases(inf, e);
  return note_resume(inf, e);
}
