/* nuts: the no-U-turn sampler as Stan has it: multinomial sampling from the trajectory (Betancourt
   2017, "A conceptual introduction to Hamiltonian Monte Carlo", appendix A.5), the generalised
   criterion with the momentum sum rho, and two further checks across the halves of a tree.

   Chains run one after the other; chain c draws in lane c of a stream of the engine's own, so a
   chain's draws do not depend on how many there are.  Iteration i of the counter is transition i. */
#include "infer/hmc.h"
#include "infer/infer.h"
#include "num/rng.h"
#include <stdio.h>
#include <string.h>

#define MAX_DELTA 1000.0                 /* energy error of a divergence */

/* The ends of a subtree that later checks need: momenta and velocities at both, and their sum. */
typedef struct span_of { double *p_begin, *p_end, *v_begin, *v_end, *rho; } span_of;

enum { VECTORS = 8 };                    /* a level's: p, v of two inner ends; rho of two; a sum */
typedef struct level { double *v[VECTORS]; phase other; } level;

typedef struct nuts {
  int64_t chains, draws, warmup, thin, max_depth, chain, at;
  double target;
  int adapt_by, metric, start;
  norn_ref *given;                       /* start: a record of values */
  hmc h;
  adapt a;
  double *unit;                          /* memory of vectors */
  phase z, forward, backward, sample, propose;
  span_of f, b;                          /* forward and backward halves */
  double *rho, *sum;
  level *level;
  uint64_t stream;
  double *kept;                          /* (chains, draws, n) in unconstrained coordinates */
  double *energy;                        /* (draws) of this chain */
  double *bfmi, *steps;                  /* (chains) */
  double *inverses;                      /* (chains, n): the metric that each ended with */
  int64_t divergent, deep, moved, stuck;
  double accept_sum, accepts;
  norn_ref *where;                       /* indices of divergent draws */
  bool started, ready;
} nuts;

/* One transition in the making. */
typedef struct tree {
  nuts *e;
  norn_rng *g;
  double start, weight, metro;           /* energy, log sum of weights, sum of acceptances */
  int64_t leaps;
  bool diverged;
} tree;

static double dot(const double *x, const double *y, int64_t n)
{
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += x[i] * y[i];
  return s;
}

static void put(double *to, const double *from, int64_t n)
{
  memcpy(to, from, (size_t)n * sizeof *to);
}

static void sum_of(double *to, const double *x, const double *y, int64_t n)
{
  for (int64_t i = 0; i < n; i++) to[i] = x[i] + y[i];
}

/* Does the trajectory still move away at both ends? */
static bool goes_on(const double *v_begin, const double *v_end, const double *rho, int64_t n)
{
  return dot(v_begin, rho, n) > 0 && dot(v_end, rho, n) > 0;
}

/* ---- trees ---- */

/* One step; its end is both ends of a tree of depth 0. */
static bool tree_leaf(tree *t, int way, phase *propose, span_of *s, double *weight)
{
  nuts *e = t->e;
  hmc *h = &e->h;
  hmc_leapfrog(h, &e->z, way * h->step);
  t->leaps++;
  double error = hmc_energy(h, &e->z) - t->start;
  if (!(error <= MAX_DELTA)) t->diverged = true;
  *weight = log_add(*weight, -error);
  t->metro += error < 0 ? 1 : exp(-error);
  phase_copy(propose, &e->z, h->n);
  put(s->p_begin, e->z.p, h->n);
  put(s->p_end, e->z.p, h->n);
  hmc_velocity(h, e->z.p, s->v_begin);
  put(s->v_end, s->v_begin, h->n);
  for (int64_t i = 0; i < h->n; i++) s->rho[i] += e->z.p[i];
  return !t->diverged;
}

/* A tree of 2^depth steps from e->z on; adds its momenta to s->rho and its weight to *weight; its
   proposal is drawn by weight.  false: it diverged or turned. */
static bool tree_grow(tree *t, int64_t depth, int way, phase *propose, span_of *s, double *weight)
{
  nuts *e = t->e;
  int64_t n = e->h.n;
  if (depth == 0) return tree_leaf(t, way, propose, s, weight);
  level *l = &e->level[depth];
  double **v = l->v;
  double w_first = -HUGE_VAL, w_second = -HUGE_VAL;
  span_of first = {s->p_begin, v[0], s->v_begin, v[1], v[2]};
  span_of second = {v[3], s->p_end, v[4], s->v_end, v[5]};
  memset(v[2], 0, (size_t)n * sizeof *v[2]);
  memset(v[5], 0, (size_t)n * sizeof *v[5]);
  if (!tree_grow(t, depth - 1, way, propose, &first, &w_first)) return false;
  if (!tree_grow(t, depth - 1, way, &l->other, &second, &w_second)) return false;
  double both = log_add(w_first, w_second);
  *weight = log_add(*weight, both);
  if (w_second > both || rng_uniform(t->g) < exp(w_second - both))
    phase_copy(propose, &l->other, n);
  sum_of(v[6], first.rho, second.rho, n);
  for (int64_t i = 0; i < n; i++) s->rho[i] += v[6][i];
  bool on = goes_on(s->v_begin, s->v_end, v[6], n);
  sum_of(v[6], first.rho, second.p_begin, n);
  on = on && goes_on(s->v_begin, second.v_begin, v[6], n);
  sum_of(v[6], second.rho, first.p_end, n);
  return on && goes_on(first.v_end, s->v_end, v[6], n);
}

/* Doubles the trajectory forwards or backwards: the new half replaces that end. */
static bool tree_double(tree *t, int64_t depth, double *weight)
{
  nuts *e = t->e;
  int64_t n = e->h.n;
  bool ahead = rng_uniform(t->g) > 0.5;
  phase *end = ahead ? &e->forward : &e->backward;
  span_of *grown = ahead ? &e->f : &e->b, *old = ahead ? &e->b : &e->f;
  phase_copy(&e->z, end, n);
  put(old->rho, e->rho, n);
  /* the old trajectory's end that meets the new half */
  if (ahead) { put(e->b.p_end, e->f.p_end, n); put(e->b.v_end, e->f.v_end, n); }
  else { put(e->f.p_begin, e->b.p_begin, n); put(e->f.v_begin, e->b.v_begin, n); }
  memset(grown->rho, 0, (size_t)n * sizeof *grown->rho);
  span_of s = ahead ? (span_of){e->f.p_begin, e->f.p_end, e->f.v_begin, e->f.v_end, e->f.rho}
                    : (span_of){e->b.p_end, e->b.p_begin, e->b.v_end, e->b.v_begin, e->b.rho};
  bool good = tree_grow(t, depth, ahead ? 1 : -1, &e->propose, &s, weight);
  phase_copy(end, &e->z, n);
  return good;
}

/* Is the whole trajectory, backward half b and forward half f, still going? */
static bool tree_whole(nuts *e)
{
  int64_t n = e->h.n;
  sum_of(e->rho, e->b.rho, e->f.rho, n);
  bool on = goes_on(e->b.v_begin, e->f.v_end, e->rho, n);
  sum_of(e->sum, e->b.rho, e->f.p_begin, n);
  on = on && goes_on(e->b.v_begin, e->f.v_begin, e->sum, n);
  sum_of(e->sum, e->f.rho, e->b.p_end, n);
  return on && goes_on(e->b.v_end, e->f.v_end, e->sum, n);
}

/* From e->sample to the next e->sample; gives the mean acceptance. */
static double transition(nuts *e, norn_rng *g, bool *diverged, int64_t *depth, int64_t *leaps)
{
  int64_t n = e->h.n;
  tree t = {.e = e, .g = g};
  hmc_momentum(&e->h, &e->sample, g);
  phase_copy(&e->z, &e->sample, n);
  phase_copy(&e->forward, &e->z, n);
  phase_copy(&e->backward, &e->z, n);
  double *ends[] = {e->f.p_begin, e->f.p_end, e->b.p_begin, e->b.p_end};
  double *speeds[] = {e->f.v_begin, e->f.v_end, e->b.v_begin, e->b.v_end};
  for (int i = 0; i < 4; i++) {
    put(ends[i], e->z.p, n);
    hmc_velocity(&e->h, e->z.p, speeds[i]);
  }
  put(e->rho, e->z.p, n);
  t.start = hmc_energy(&e->h, &e->z);
  for (*depth = 0; *depth < e->max_depth;) {
    double weight = -HUGE_VAL;
    if (!tree_double(&t, *depth, &weight)) break;
    ++*depth;
    if (weight > t.weight || rng_uniform(g) < exp(weight - t.weight))
      phase_copy(&e->sample, &e->propose, n);
    t.weight = log_add(t.weight, weight);
    if (!tree_whole(e)) break;
  }
  *diverged = t.diverged;
  *leaps = t.leaps;
  return t.leaps ? t.metro / (double)t.leaps : 0;
}

/* ---- chains ---- */

static norn_rng chain_rng(const nuts *e, uint32_t iteration)
{
  return (norn_rng){.stream = e->stream, .lane = (uint32_t)e->chain, .iter = iteration};
}

/* A start with a finite density and gradient, in at most 100 tries. */
static norn_step chain_start(norn_infer *inf, nuts *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_rng g = chain_rng(e, 0);
  int tries = e->start == 2 ? 1 : 100;
  for (int i = 0; i < tries; i++) {
    g.event = (uint32_t)i;
    for (int64_t k = 0; k < e->h.n; k++) e->sample.q[k] = 4 * rng_uniform(&g) - 2;
    if (e->start == 1 && norn_density_prior(e->h.density, &g, e->sample.q)) return NORN_STEP_FAIL;
    if (e->start == 2 && norn_density_at(e->h.density, norn_get(e->given), e->sample.q))
      return NORN_STEP_FAIL;
    hmc_evaluate(&e->h, &e->sample);
    if (e->h.failed) return NORN_STEP_FAIL;
    if (!(e->sample.logp > -HUGE_VAL)) continue;
    for (int64_t k = 0; k < e->h.n; k++) e->h.inverse[k] = 1;
    e->h.step = 1;
    adapt_start(&e->a, &e->h, &e->sample);
    g.event = 200;
    hmc_first_step(&e->h, &e->sample, &g, &e->z);
    adapt_restart(&e->a, &e->h);
    e->at = 0;
    e->moved = 0;
    return NORN_STEP_MORE;
  }
  engine_fail(st, NORN_EINFER, norn_density_blame(e->h.density),
              "no start of chain %lld has a finite log density and gradient, in %d tries: this term "
              "was not finite", (long long)e->chain + 1, tries);
  norn_hint(st, "nuts(init = \"prior\") starts from draws of the prior, init = { name: value } from "
                "values of yours");
  return NORN_STEP_FAIL;
}

/* Energy Bayesian fraction of missing information (Betancourt 2016). */
static double bfmi_of(const double *x, int64_t n)
{
  double mean = 0, var = 0, jump = 0;
  for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
  for (int64_t i = 0; i < n; i++) {
    var += (x[i] - mean) * (x[i] - mean);
    if (i) jump += (x[i] - x[i - 1]) * (x[i] - x[i - 1]);
  }
  return var > 0 ? jump / var : (double)NAN;
}

static norn_status chain_stats(norn_infer *inf, const nuts *e, double accept, bool diverged,
                               int64_t depth, int64_t leaps)
{
  const struct { const char *name; double x; } stats[] = {
    {"lp", e->sample.logp}, {"acceptance_rate", accept}, {"step_size", e->h.step},
    {"tree_depth", (double)depth}, {"n_steps", (double)leaps}, {"diverging", diverged},
    {"energy", hmc_energy(&e->h, &e->sample)}};
  norn_status status = NORN_OK;
  norn_infer_chain(inf, (int)e->chain);
  for (int i = 0; i < NORN_COUNT(stats) && !status; i++)
    status = norn_infer_stat(inf, stats[i].name, stats[i].x);
  return status;
}

static norn_status chain_draw(norn_infer *inf, nuts *e, bool diverged, int64_t depth)
{
  int64_t k = (e->at - e->warmup) / e->thin;
  double *row = e->kept + (e->chain * e->draws + k) * e->h.n;
  put(row, e->sample.q, e->h.n);
  e->energy[k] = hmc_energy(&e->h, &e->sample);
  if (diverged && norn_push(e->where, norn_int(e->chain * e->draws + k))) return NORN_EMEMORY;
  e->divergent += diverged;
  e->deep += depth >= e->max_depth;
  norn_rng g = chain_rng(e, (uint32_t)e->at + 1);
  g.event = 300;
  return norn_density_draw(e->h.density, inf, e->sample.q, 0, &g);
}

static norn_step chain_step(norn_infer *inf, nuts *e)
{
  bool diverged;
  int64_t depth, leaps;
  norn_rng g = chain_rng(e, (uint32_t)e->at + 1);
  double before = e->sample.logp, accept = transition(e, &g, &diverged, &depth, &leaps);
  if (e->h.failed) return NORN_STEP_FAIL;
  e->moved += before != e->sample.logp;
  if (e->at < e->warmup) {
    if (adapt_update(&e->a, &e->h, &e->sample, accept)) {
      g.event = 1;
      hmc_first_step(&e->h, &e->sample, &g, &e->z);
      adapt_restart(&e->a, &e->h);
    }
    if (e->at + 1 == e->warmup) {
      adapt_finish(&e->a, &e->h);
      e->moved = 0;
    }
  } else {
    e->accept_sum += accept;
    e->accepts++;
    if ((e->at - e->warmup) % e->thin == 0 &&
        (chain_stats(inf, e, accept, diverged, depth, leaps) || chain_draw(inf, e, diverged, depth)))
      return NORN_STEP_FAIL;
  }
  if (++e->at < e->warmup + e->draws * e->thin) return NORN_STEP_MORE;
  e->bfmi[e->chain] = bfmi_of(e->energy, e->draws);
  e->steps[e->chain] = e->h.step;
  put(e->inverses + e->chain * e->h.n, e->h.inverse, e->h.n);
  e->stuck += e->moved == 0;
  e->chain++;
  e->started = false;
  return e->chain < e->chains ? NORN_STEP_MORE : NORN_STEP_DONE;
}

/* ---- the engine ---- */

/* Room for everything, once the dimension is known. */
static bool nuts_room(norn_state *st, nuts *e)
{
  int64_t n = e->h.n, vectors = 13 + VECTORS * (e->max_depth + 1);
  phase *phases[] = {&e->z, &e->forward, &e->backward, &e->sample, &e->propose};
  for (int i = 0; i < NORN_COUNT(phases); i++)
    if (!phase_new(st, phases[i], n)) return false;
  double *at = e->unit = engine_get(st, (size_t)(vectors * n + 1) * sizeof *at);
  e->level = engine_get(st, (size_t)(e->max_depth + 1) * sizeof *e->level);
  e->kept = engine_get(st, (size_t)(e->chains * e->draws * n + 1) * sizeof *e->kept);
  e->energy = engine_get(st, (size_t)e->draws * sizeof *e->energy);
  e->bfmi = engine_get(st, (size_t)(2 * e->chains) * sizeof *e->bfmi);
  e->inverses = engine_get(st, (size_t)(e->chains * n + 1) * sizeof *e->inverses);
  if (!at || !e->inverses || !e->level || !e->kept || !e->energy || !e->bfmi) return false;
  e->steps = e->bfmi + e->chains;
  double **own[] = {&e->h.inverse, &e->rho, &e->sum, &e->f.p_begin, &e->f.p_end, &e->f.v_begin,
                    &e->f.v_end, &e->f.rho, &e->b.p_begin, &e->b.p_end, &e->b.v_begin, &e->b.v_end,
                    &e->b.rho};
  for (int i = 0; i < NORN_COUNT(own); i++, at += n) *own[i] = at;
  for (int64_t d = 0; d <= e->max_depth; d++) {
    if (!phase_new(st, &e->level[d].other, n)) return false;
    for (int i = 0; i < VECTORS; i++, at += n) e->level[d].v[i] = at;
  }
  return true;
}

static norn_status nuts_option_start(norn_infer *inf, nuts *e)
{
  static const char *const names[] = {"random", "prior"};
  norn_datum v = norn_infer_option(inf, 7);
  if (norn_record_size(v) < 0)
    return option_choice(inf, 7, names, 2, &e->start) ? NORN_OK : NORN_ETYPE;
  e->start = 2;
  e->given = norn_keep(norn_infer_state(inf), v);
  return e->given ? NORN_OK : NORN_EMEMORY;
}

static norn_status nuts_init(norn_infer *inf, void *self)
{
  static const char *const metrics[] = {"diag", "unit"}, *const ways[] = {"nutpie", "stan"};
  nuts *e = self;
  norn_state *st = norn_infer_state(inf);
  void *data;
  int64_t none = 0;
  if (!option_int(inf, 0, 1, &e->draws) || !option_int(inf, 1, 0, &e->warmup) ||
      !option_int(inf, 2, 1, &e->chains) || !option_real(inf, 3, &e->target) ||
      !option_int(inf, 4, 1, &e->max_depth) || !option_choice(inf, 5, metrics, 2, &e->metric) ||
      !option_choice(inf, 6, ways, 2, &e->adapt_by) || !option_int(inf, 8, 1, &e->thin))
    return norn_error(st)->code;
  if (!(e->target > 0 && e->target < 1))
    return norn_fail(st, NORN_EDOMAIN, 3, "target_accept of nuts must be between 0 and 1, got %g",
                     e->target);
  if (e->max_depth > 30 || e->chains > 100000)
    return norn_fail(st, NORN_EDOMAIN, e->max_depth > 30 ? 4 : 2, "%s of nuts must be at most %d",
                     e->max_depth > 30 ? "max_depth" : "chains", e->max_depth > 30 ? 30 : 100000);
  norn_status status = nuts_option_start(inf, e);
  if (status) return status;
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 3, 0);
  e->where = norn_keep(st, norn_array(st, NORN_I64, 1, &none, &data));
  e->h.st = st;
  return e->where ? NORN_OK : NORN_EMEMORY;
}

/* The first step records the program. */
static norn_step nuts_record(norn_infer *inf, nuts *e)
{
  norn_state *st = norn_infer_state(inf);
  e->h.density = norn_density_new(st, norn_infer_model(inf), norn_infer_stream(inf), 0);
  if (!e->h.density) return NORN_STEP_FAIL;
  e->h.n = norn_density_dim(e->h.density);
  if (e->h.n == 0) {
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "this model makes no choice that nuts can "
                "move");
    return NORN_STEP_FAIL;
  }
  if (!nuts_room(st, e) ||
      !adapt_new(st, &e->a, (adapt_kind)e->adapt_by, e->h.n, e->warmup, e->target))
    return NORN_STEP_FAIL;
  e->a.unit = e->metric == 1;
  e->ready = true;
  return NORN_STEP_MORE;
}

static norn_step nuts_step(norn_infer *inf, void *self)
{
  nuts *e = self;
  norn_step s = NORN_STEP_MORE;
  if (!e->ready) return nuts_record(inf, e);
  uint64_t limit = e->h.leapfrogs + 500;       /* a bounded piece */
  do {
    if (!e->started) {
      s = chain_start(inf, e);
      e->started = true;
    } else s = chain_step(inf, e);
  } while (s == NORN_STEP_MORE && e->h.leapfrogs < limit);
  return s;
}

/* The worst R-hat and effective sample size over coordinates. */
static norn_status nuts_diagnose(norn_infer *inf, const nuts *e, double *rhat, double *ess,
                                 char *worst, size_t size)
{
  norn_state *st = norn_infer_state(inf);
  int64_t total = e->chains * e->draws;
  double *x = engine_get(st, (size_t)total * sizeof *x);
  *rhat = 0;
  *ess = HUGE_VAL;
  if (!x) return NORN_EMEMORY;
  for (int64_t i = 0; i < e->h.n; i++) {
    double one, r;
    for (int64_t k = 0; k < total; k++) x[k] = e->kept[k * e->h.n + i];
    if (!diagnose_chains(st, x, (int)e->chains, e->draws, &one, &r)) break;
    if (r > *rhat) *rhat = r;
    if (one < *ess) {
      *ess = one;
      norn_density_name(e->h.density, i, worst, size);
    }
  }
  engine_put(st, x, (size_t)total * sizeof *x);
  return NORN_OK;
}

/* (m, n) as an array of arrays. */
static norn_datum chain_rows(norn_state *st, const double *x, int64_t m, int64_t n)
{
  int64_t dims[] = {m, n};
  void *to;
  norn_datum out = norn_array(st, NORN_F64, 2, dims, &to);
  if (!norn_is_none(out)) memcpy(to, x, (size_t)(m * n) * sizeof *x);
  return out;
}

static norn_status nuts_finish(norn_infer *inf, void *self)
{
  nuts *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_span nowhere = {0, 0, 0};
  double rhat, ess, least = HUGE_VAL;
  char worst[160] = "";
  if (e->chain < e->chains) return NORN_OK;
  norn_status status = nuts_diagnose(inf, e, &rhat, &ess, worst, sizeof worst);
  if (status) return status;
  infer_chains(inf, (int)e->chains, e->draws);
  if ((status = density_note_summed(e->h.density, inf))) return status;
  norn_infer_note(inf, "acceptance", norn_real(e->accept_sum / e->accepts));
  norn_infer_note(inf, "divergences", norn_int(e->divergent));
  norn_infer_note(inf, "divergent", norn_get(e->where));
  norn_infer_note(inf, "max_depth_reached", norn_int(e->deep));
  norn_infer_note(inf, "leapfrogs", norn_int((int64_t)e->h.leapfrogs));
  norn_infer_note(inf, "step_size", norn_array_f64(st, e->steps, e->chains));
  norn_infer_note(inf, "inverse_metric", chain_rows(st, e->inverses, e->chains, e->h.n));
  norn_infer_note(inf, "bfmi", norn_array_f64(st, e->bfmi, e->chains));
  norn_infer_note(inf, "ess", norn_real(ess));
  if (rhat > 0) norn_infer_note(inf, "rhat", norn_real(rhat));
  for (int64_t c = 0; c < e->chains; c++) least = fmin(least, e->bfmi[c]);
  double total = (double)(e->chains * e->draws);
  if (e->divergent)
    norn_infer_warn(inf, nowhere, "%lld of %.0f transitions diverged: the posterior has places that "
                    "the sampler can't enter, so the draws may be biased; write scales times "
                    "standardised choices (non-centred), or raise target_accept",
                    (long long)e->divergent, total);
  if (e->deep)
    norn_infer_warn(inf, nowhere, "%lld of %.0f trajectories reached max_depth %lld: the draws are "
                    "right but slow; look at scales and correlations, or raise max_depth",
                    (long long)e->deep, total, (long long)e->max_depth);
  if (least < 0.3)
    norn_infer_warn(inf, nowhere, "E-BFMI is %.2g, below 0.3: the chains explore energies slowly "
                    "(heavy tails, or a scale that its members depend on); reparameterise, or "
                    "tighten priors", least);
  if (e->stuck)
    norn_infer_warn(inf, nowhere, "%lld of %lld chains never moved", (long long)e->stuck,
                    (long long)e->chains);
  if (rhat > 1.01)
    norn_infer_warn(inf, nowhere, "R-hat is %.5g, above 1.01: the chains do not agree; take more "
                    "draws, or look for several modes", rhat);
  if (ess < 100 * (double)e->chains)
    norn_infer_warn(inf, nowhere, "the effective sample size of %s is %.3g of %.0f draws: take more "
                    "draws", worst, ess, total);
  return NORN_OK;
}

static void nuts_progress(norn_infer *inf, void *self, norn_progress *p)
{
  nuts *e = self;
  double each = (double)(e->warmup + e->draws * e->thin);
  (void)inf;
  p->done = each * (double)e->chain + (double)e->at * (e->chain < e->chains);
  p->total = each * (double)e->chains;
  if (e->chain < e->chains)
    snprintf(p->state, sizeof p->state, "chain %lld%s, step %.3g, %lld divergences",
             (long long)e->chain + 1, e->at < e->warmup ? ", warm-up" : "", e->h.step,
             (long long)e->divergent);
}

static void nuts_free(norn_infer *inf, void *self)
{
  nuts *e = self;
  norn_state *st = norn_infer_state(inf);
  int64_t n = e->h.n, vectors = 13 + VECTORS * (e->max_depth + 1);
  phase *phases[] = {&e->z, &e->forward, &e->backward, &e->sample, &e->propose};
  for (int i = 0; i < NORN_COUNT(phases); i++) phase_free(st, phases[i], n);
  for (int64_t d = 0; e->level && d <= e->max_depth; d++) phase_free(st, &e->level[d].other, n);
  adapt_free(st, &e->a);
  engine_put(st, e->unit, (size_t)(vectors * n + 1) * sizeof(double));
  engine_put(st, e->level, (size_t)(e->max_depth + 1) * sizeof *e->level);
  engine_put(st, e->kept, (size_t)(e->chains * e->draws * n + 1) * sizeof(double));
  engine_put(st, e->inverses, (size_t)(e->chains * n + 1) * sizeof(double));
  engine_put(st, e->energy, (size_t)e->draws * sizeof(double));
  engine_put(st, e->bfmi, (size_t)(2 * e->chains) * sizeof(double));
  norn_density_free(e->h.density);
  if (e->given) norn_drop(e->given);
  if (e->where) norn_drop(e->where);
}

static const norn_option nuts_options[] = {
  {"draws", "1000", "draws kept of each chain"},
  {"warmup", "1000", "transitions before, in which step size and metric are learnt"},
  {"chains", "4", "chains, each from a start of its own"},
  {"target_accept", "0.8", "the mean acceptance that the step size is adapted to"},
  {"max_depth", "10", "at most 2^max_depth - 1 steps a transition"},
  {"metric", "\"diag\"", "\"diag\" (learnt) or \"unit\""},
  {"adapt", "\"nutpie\"", "\"nutpie\": from draws and gradients; \"stan\": from draws in windows"},
  {"init", "\"random\"", "\"random\" (uniform on (-2, 2), unconstrained), \"prior\", or a record of "
                         "values by address"},
  {"thin", "1", "transitions from draw to draw"},
};

const norn_engine engine_nuts = {
  .version = NORN_ENGINE_VERSION, .name = "nuts",
  .doc = "The no-U-turn sampler: Hamiltonian Monte Carlo that finds the length of its trajectories; "
         "for models whose choices are all continuous.",
  .options = nuts_options, .noptions = NORN_COUNT(nuts_options), .size = sizeof(nuts),
  .init = nuts_init, .step = nuts_step, .finish = nuts_finish, .progress = nuts_progress,
  .free = nuts_free};
