/* pmmh: particle marginal Metropolis-Hastings (Andrieu, Doucet, Holenstein 2010, section 2.4.2).

   Parameters are proposed together by a random walk in R^n; a particle filter in which they are fixed
   gives an unbiased estimate of the evidence, which takes the place of the likelihood.  The draws are
   exact for any number of particles; too few make it stick.  A filter all of whose particles die has
   evidence 0: the proposal is rejected.

   Parameters are the choices before the first observation, or those whose address `on` fits.  A
   continuous one is put through the map of its support (norn.h, norn_support); a discrete one is kept or,
   as often, drawn anew from its prior.  The shape and size of the walk are learnt in the burn-in by
   robust adaptive Metropolis (Vihola 2012, equation 1):

       S S' <- S (I + eta_k (a - a*) z z' / |z|^2) S',   eta_k = min(1, n k^(-2/3)),

   z the normal step, a its acceptance, a* .234 (.44 in one dimension); after it they stay.

   Behind its last draw a chain runs some filters more at the state where it stands: how much the log of their
   evidences varies says whether the particles are enough.  A standard deviation of 1 to 1.7 costs least (Doucet,
   Pitt, Deligiannidis, Kohn 2015); far above that lucky evidences make chains stick.

   How particles go through a filter is marginal.h's: as runs, or in lanes, to the same draws.

   Random numbers: iteration k of chain c has a stream of its own for its filter; the engine's decisions
   lie in lane c, event k of another.  Chains go on on threads (branches.h). */
#include "infer/chains/branches.h"
#include "infer/chains/chains.h"
#include "infer/checkpoint.h"
#include "infer/gradient/coords.h"
#include "infer/infer.h"
#include "infer/chains/pattern.h"
#include "infer/particles/marginal.h"
#include <stdio.h>
#include <string.h>

enum { STARTS = 100, REPEATS = 10 };
#define SD_MOST 2.5                      /* of the log of an evidence: a filter that has so much is a warning */

typedef struct param {
  uint64_t addr;
  bool discrete, fresh;                /* fresh: this proposal draws it anew */
  int64_t from, nfree;                 /* coordinates in u */
  double logp;                         /* log prior and log Jacobian */
  size_t value;                        /* its place in `values` */
} param;
/* A state of the chain, or a proposal. */
typedef struct point {
  double *u; size_t cu;
  double log_prior, log_z;             /* log_prior of a proposal: see param_propose */
  param *p; size_t np, cp;
  column values;                       /* of the parameters */
} point;

typedef struct pmmh {
  int64_t particles, draws, burn, thin, chains;
  bool named; patterns on;             /* parameters are what fits a pattern */
  uint64_t stream;
  marginal m;
  point x[2]; int now;                 /* current: x[now] */
  double *z, *y, *S, *work;            /* (n), (n), (n, n), (n, n) */
  int64_t n;                           /* coordinates; -1: not known yet */
  int chain;
  int64_t at, start;
  bool started, taken;                 /* taken: a filter's, its history is being found */
  size_t met;                          /* parameters met by particle 0 */
  bool in_lanes; norn_lanes_report went;        /* (of all) of their particles */
  int64_t accepted, proposed, moved, stuck;
  int64_t repeats, dead;               /* filters at the last state so far; of them without an evidence */
  double z_mean, z_squares;            /* of the others: mean, and sum of squared differences from it */
  double variance;                     /* of all: sum over chains */
} pmmh;

static int64_t steps_of(const pmmh *e) { return e->burn + e->draws * e->thin; }
static bool repeats(const pmmh *e) { return e->started && e->at >= steps_of(e); }

static marginal_said pmmh_ask(void *user, bool first, norn_run *run, const norn_event *ev, norn_datum *v);

static norn_status pmmh_chain_init(norn_infer *inf, void *self)
{
  pmmh *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_datum on = norn_infer_option(inf, 5);
  if (!option_int(inf, 0, 1, &e->particles) || !option_int(inf, 1, 1, &e->draws) ||
      !option_int(inf, 2, 0, &e->burn) || !option_int(inf, 3, 1, &e->thin) ||
      !option_int(inf, 4, 1, &e->chains))
    return NORN_EDOMAIN;
  if (e->particles > 1 << 24 || e->chains > 100000)
    return norn_fail(st, NORN_EDOMAIN, -1, "%s of pmmh must be at most %d",
                     e->chains > 100000 ? "chains" : "particles",
                     e->chains > 100000 ? 100000 : 1 << 24);
  if (on.tag != NORN_MISSING && on.tag != NORN_NONE) {
    e->named = true;
    if (!patterns_new(st, &e->on, on, "on of pmmh")) return NORN_ETYPE;
  }
  e->n = -1;
  e->chain = branch_index(inf);
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 8, 0);
  const particles_ops *ops = particles_choose(inf, 6, (size_t)e->particles, false);
  if (!ops) return NORN_EDOMAIN;
  e->in_lanes = marginal_lanes(ops);
  bool good = !branch_is(inf) || marginal_new(inf, &e->m, ops, (size_t)e->particles, e->named, pmmh_ask, inf);
  return good ? NORN_OK : norn_error(st)->code;
}

static norn_rng own_numbers(const pmmh *e, uint32_t event)
{
  return (norn_rng){.stream = e->stream, .lane = (uint32_t)e->chain, .event = event,
                    .iter = (uint32_t)(e->started ? STARTS + e->at : e->start)};
}

/* ---- parameters ---- */

static bool is_param(norn_state *st, pmmh *e, const norn_run *run, uint64_t addr)
{
  norn_state *here = norn_run_state(run);
  if (!e->named) return marginal_leg(&e->m) == 0;
  return here == st ? patterns_have(&e->on, addr) : patterns_elsewhere(&e->on, here, addr) >= 0;
}

static param *param_of(point *x, uint64_t addr)
{
  for (size_t i = 0; i < x->np; i++)
    if (x->p[i].addr == addr) return &x->p[i];
  return NULL;
}

static norn_status changed_set(norn_state *st, const norn_event *ev)
{
  engine_fail(st, NORN_EINFER, ev->span, "pmmh needs the same parameters in every run");
  norn_hint(st, "on = \"...\" says which choices are parameters; pgibbs() and mh() run programs whose "
                "choices change");
  return NORN_EINFER;
}

/* Particle 0 meets a parameter of a proposal: its value is made. */
static norn_status param_propose(norn_infer *inf, pmmh *e, norn_run *run, const norn_event *ev,
                                 norn_datum *v)
{
  norn_state *st = norn_infer_state(inf);
  point *old = &e->x[e->now], *new = &e->x[!e->now];
  norn_rng g = own_numbers(e, 100 + (uint32_t)e->met);
  norn_support s;
  double excess, jacobian = 0;
  if (e->met >= old->np || old->p[e->met].addr != ev->addr) return changed_set(st, ev);
  param p = old->p[e->met];
  norn_datum was = column_at(st, &old->values, p.value);
  p.fresh = p.discrete && norn_rng_uniform(&g) < 0.5;
  *v = was;
  if (p.fresh && !engine_sample(st, run, ev, false, v, &excess)) return norn_error(st)->code;
  if (!p.discrete) {
    norn_status status = norn_dist_support(st, ev->dist, &s);
    if (status) return status;
    if (norn_support_free(&s) * s.count != p.nfree) return changed_set(st, ev);
    *v = coords_value(st, ev->dist, &s, new->u + p.from, was, &jacobian);
    if (norn_is_none(*v)) return NORN_EMEMORY;
  }
  if (!engine_logp(st, ev->dist, *v, ev->span, &p.logp)) return norn_error(st)->code;
  p.logp += jacobian;
  /* what is drawn from its prior in both directions does not count: its old term takes its place */
  double term = p.fresh ? old->p[e->met].logp : p.logp;
  p.value = new->values.n;
  if (!engine_room(st, &new->p, &new->cp, new->np + 1, sizeof *new->p) ||
      !column_push(st, &new->values, *v))
    return NORN_EMEMORY;
  new->log_prior += term;
  new->p[new->np++] = p;
  e->met++;
  return NORN_OK;
}

/* A start: the parameter is drawn from its prior. */
static norn_status param_draw(norn_infer *inf, pmmh *e, norn_run *run, const norn_event *ev,
                              norn_datum *v)
{
  norn_state *st = norn_infer_state(inf);
  point *new = &e->x[!e->now];
  norn_support s;
  double excess;
  param p = {.addr = ev->addr, .discrete = engine_is_discrete(ev->dist), .value = new->values.n};
  if (!engine_sample(st, run, ev, false, v, &excess)) return norn_error(st)->code;
  norn_status status = norn_dist_support(st, ev->dist, &s);
  if (status) return status;
  if (!p.discrete && s.kind >= NORN_SUPPORT_BOOL)
    return engine_fail(st, NORN_EINFER, ev->span, "pmmh can't move this parameter: its support has no "
                       "map to R^n");
  p.from = new->np ? new->p[new->np - 1].from + new->p[new->np - 1].nfree : 0;
  p.nfree = p.discrete ? 0 : norn_support_free(&s) * s.count;
  if (!engine_room(st, &new->p, &new->cp, new->np + 1, sizeof *new->p) ||
      !column_push(st, &new->values, *v))
    return NORN_EMEMORY;
  if (!engine_room(st, &new->u, &new->cu, (size_t)(p.from + p.nfree + 1), sizeof *new->u))
    return NORN_EMEMORY;
  bool good = engine_logp(st, ev->dist, *v, ev->span, &p.logp) &&
    (p.discrete || coords_of(st, ev->dist, &s, *v, new->u + p.from, &p.logp));
  new->log_prior += p.logp;
  new->p[new->np++] = p;
  if (good) return NORN_OK;
  return norn_error(st)->code ? norn_error(st)->code
                              : engine_fail(st, NORN_EDOMAIN, ev->span, "this value is not in its support");
}

static marginal_said pmmh_ask(void *user, bool first, norn_run *run, const norn_event *ev, norn_datum *v)
{
  norn_infer *inf = user;
  pmmh *e = inf->self;
  norn_state *st = norn_infer_state(inf);
  point *x = &e->x[repeats(e) ? e->now : !e->now];
  if (!is_param(st, e, run, ev->addr)) return e->on.failed ? MARGINAL_FAILED : MARGINAL_DRAWN;
  param *p = v ? param_of(x, ev->addr) : NULL;
  if (!v) return MARGINAL_GIVEN;
  if (p) {
    *v = column_at(st, &x->values, p->value);
    return MARGINAL_GIVEN;
  }
  if (!first) return changed_set(st, ev), MARGINAL_LATE;
  norn_status s = e->started ? param_propose(inf, e, run, ev, v) : param_draw(inf, e, run, ev, v);
  return s ? MARGINAL_FAILED : MARGINAL_GIVEN;
}

/* ---- the walk ---- */

static bool walk_room(norn_state *st, pmmh *e)
{
  size_t n = (size_t)e->n;
  e->z = engine_get(st, (2 * n + 2 * n * n + 1) * sizeof *e->z);
  if (!e->z) return false;
  e->y = e->z + n;
  e->S = e->y + n;
  e->work = e->S + n * n;
  return true;
}

/* u' = u + S z */
static void walk_step(pmmh *e)
{
  const point *old = &e->x[e->now];
  point *new = &e->x[!e->now];
  norn_rng g = own_numbers(e, 0);
  for (int64_t i = 0; i < e->n; i++) e->z[i] = norn_rng_normal(&g);
  for (int64_t i = 0; i < e->n; i++) {
    double d = 0;
    for (int64_t k = 0; k <= i; k++) d += e->S[i * e->n + k] * e->z[k];
    new->u[i] = old->u[i] + d;
  }
}

/* Robust adaptive Metropolis: the Cholesky factor of S (I + c z z' / |z|^2) S'. */
static void walk_learn(pmmh *e, double accept)
{
  int64_t n = e->n;
  double zz = 0, *M = e->work, *S = e->S;
  double eta = fmin(1, (double)n * pow((double)e->at + 1, -2.0 / 3));
  for (int64_t i = 0; i < n; i++) zz += e->z[i] * e->z[i];
  if (!n || !(zz > 0)) return;
  double c = eta * (accept - (n == 1 ? 0.44 : 0.234)) / zz;
  for (int64_t i = 0; i < n; i++) {
    e->y[i] = 0;
    for (int64_t k = 0; k <= i; k++) e->y[i] += S[i * n + k] * e->z[k];
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double v = c * e->y[i] * e->y[j];
      for (int64_t k = 0; k <= j; k++) v += S[i * n + k] * S[j * n + k];
      M[i * n + j] = v;
    }
  for (int64_t j = 0; j < n; j++) {                   /* Cholesky, in place */
    double d = M[j * n + j];
    for (int64_t k = 0; k < j; k++) d -= M[j * n + k] * M[j * n + k];
    if (!(d > 1e-300)) return;                        /* rounding: S stays */
    d = M[j * n + j] = sqrt(d);
    for (int64_t i = j + 1; i < n; i++) {
      double v = M[i * n + j];
      for (int64_t k = 0; k < j; k++) v -= M[i * n + k] * M[j * n + k];
      M[i * n + j] = v / d;
    }
  }
  memcpy(S, M, (size_t)(n * n) * sizeof *S);
}

/* ---- a filter ---- */

static bool filter_begin(pmmh *e)
{
  norn_state *st = norn_infer_state(e->m.inf);
  point *new = &e->x[!e->now];
  norn_rng g = {.stream = e->stream, .lane = (uint32_t)e->chain, .event = 1, .iter = (uint32_t)(STARTS + e->at)};
  uint32_t k = (uint32_t)(e->started ? STARTS + e->at : e->start);
  if (repeats(e)) {
    g.event = 4;
    g.iter = (uint32_t)e->repeats;
    return marginal_begin(&e->m, norn_stream_split(e->stream, (uint32_t)e->chain, g.iter, 2), g);
  }
  new->log_prior = 0;
  new->np = 0;
  column_clear(st, &new->values);
  e->met = 0;
  if (e->started) walk_step(e);
  return marginal_begin(&e->m, norn_stream_split(e->stream, (uint32_t)e->chain, k, 1), g);
}

static norn_status pmmh_record(norn_infer *inf, pmmh *e)
{
  norn_state *st = norn_infer_state(inf);
  int64_t k = e->at - e->burn;
  if (k <= 0 || k % e->thin) return NORN_OK;
  for (size_t i = 0; i < e->m.naddr; i++)
    if (norn_infer_choice(inf, e->m.addr[i], column_at(st, &e->m.path, i))) return NORN_EMEMORY;
  return norn_infer_draw(inf, norn_get(e->m.value), 0);
}

/* The new state becomes the present one; its history is picked. */
static norn_step state_taken(pmmh *e)
{
  e->x[!e->now].log_z = e->m.log_z;
  e->taken = true;
  return marginal_pick(&e->m, own_numbers(e, 2)) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

/* A start's filter has ended. */
static norn_step filter_started(norn_infer *inf, pmmh *e)
{
  norn_state *st = norn_infer_state(inf);
  point *new = &e->x[!e->now];
  if (!(e->m.sum > 0)) {
    if (++e->start < STARTS) return NORN_STEP_MORE;
    return blame_all_dead(st, &inf->dead, "particle");
  }
  if (!new->np) {
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, e->named
                ? "no choice of this model fits the pattern of pmmh(on = ...)"
                : "this model has no choices before its first observation, so pmmh has no parameters");
    norn_hint(st, "pgibbs() needs no parameters; on = \"...\" names them");
    return NORN_STEP_FAIL;
  }
  param *last = &new->p[new->np - 1];
  int64_t n = last->from + last->nfree;
  if (e->n < 0) {
    e->n = n;
    if (!walk_room(st, e)) return NORN_STEP_FAIL;
  }
  if (n != e->n) return engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "pmmh needs the same "
                                    "parameters in every run"), NORN_STEP_FAIL;
  point *spare = &e->x[e->now];                       /* for proposals */
  if (!engine_room(st, &spare->u, &spare->cu, (size_t)(n + 1), sizeof *spare->u))
    return NORN_STEP_FAIL;
  memset(e->S, 0, (size_t)(n * n) * sizeof *e->S);
  for (int64_t i = 0; i < n; i++) e->S[i * n + i] = 0.3;
  return state_taken(e);
}

/* A step of the chain is done. */
static norn_step chain_on(norn_infer *inf, pmmh *e)
{
  e->at++;
  return pmmh_record(inf, e) ? NORN_STEP_FAIL : NORN_STEP_MORE;
}

/* A filter at the last state has ended. */
static norn_step filter_repeated(pmmh *e)
{
  e->repeats++;
  if (e->m.sum > 0) {
    double d = e->m.log_z - e->z_mean;
    e->z_mean += d / (double)(e->repeats - e->dead);
    e->z_squares += d * (e->m.log_z - e->z_mean);
  } else e->dead++;
  return e->repeats < REPEATS ? NORN_STEP_MORE : NORN_STEP_DONE;
}

/* The history of the new state is there. */
static norn_step state_followed(norn_infer *inf, pmmh *e)
{
  e->taken = false;
  e->now = !e->now;
  if (e->started) return chain_on(inf, e);
  e->started = true;
  return NORN_STEP_MORE;
}

/* A proposal's filter has ended. */
static norn_step filter_judged(norn_infer *inf, pmmh *e)
{
  const point *old = &e->x[e->now], *new = &e->x[!e->now];
  norn_rng g = own_numbers(e, 3);
  bool lives = e->m.sum > 0;
  double gone = 0, a = 0;
  for (size_t i = 0; i < old->np; i++) gone += old->p[i].logp;
  if (lives) a = exp(fmin(0, e->m.log_z - old->log_z + new->log_prior - gone));
  if (!(a >= 0)) a = 0;
  e->proposed++;
  if (e->at < e->burn) walk_learn(e, a);
  if (!lives || !(norn_rng_uniform(&g) < a)) return chain_on(inf, e);
  e->accepted++;
  e->moved += e->at >= e->burn;
  return state_taken(e);
}

static norn_step pmmh_chain_step(norn_infer *inf, void *self)
{
  pmmh *e = self;
  for (int work = 0; work < 64; work++) {
    norn_step step;
    if (e->taken) {
      step = marginal_follow(&e->m);
      if (step == NORN_STEP_DONE) step = state_followed(inf, e);
    } else {
      if (!e->m.going && !filter_begin(e)) return NORN_STEP_FAIL;
      step = marginal_step(&e->m);
      if (step == NORN_STEP_DONE)
        step = repeats(e) ? filter_repeated(e) : e->started ? filter_judged(inf, e) : filter_started(inf, e);
    }
    if (step != NORN_STEP_MORE) return step;
    if (e->m.waited) break;                      /* in a leg that waits lanes can't be saved */
  }
  e->m.waited = false;
  return NORN_STEP_MORE;
}

static void pmmh_add(void *all, const void *one)
{
  pmmh *e = all;
  const pmmh *c = one;
  e->accepted += c->accepted;
  e->proposed += c->proposed;
  e->stuck += c->moved == 0;
  marginal_add(&e->went, &c->m.went);
  e->variance += c->dead ? HUGE_VAL : c->z_squares / (REPEATS - 1);
}

static bool pmmh_counts(norn_archive *a, void *all)
{
  pmmh *e = all;
  return norn_archive_i64(a, &e->accepted) && norn_archive_i64(a, &e->proposed) &&
         norn_archive_i64(a, &e->stuck) && norn_archive_f64(a, &e->variance) && marginal_went_archive(a, &e->went);
}

static int64_t pmmh_chains(const void *all) { return ((const pmmh *)all)->chains; }

/* How well evidences are known where the chains stand. */
static void note_variance(norn_infer *inf, const pmmh *e)
{
  double sd = sqrt(e->variance / (double)e->chains);
  norn_span nowhere = {0, 0, 0};
  norn_infer_note(inf, "log_evidence_sd", norn_real(sd));
  if (sd <= SD_MOST) return;
  double want = (double)e->particles * sd * sd / 2;      /* the variance falls as they grow: to 2 */
  double unit = pow(10, floor(log10(want)));
  if (isinf(sd))
    norn_infer_warn(inf, nowhere, "%lld particles may all die where the parameters are good: take more",
                    (long long)e->particles);
  else
    norn_infer_warn(inf, nowhere, "the log of the evidence that %lld particles estimate has a standard deviation of "
                    "%.2g, and chains stick above 2: take more, about %.0f", (long long)e->particles, sd,
                    ceil(want / unit) * unit);
}

static norn_status pmmh_finish(norn_infer *inf, void *self)
{
  pmmh *e = branches_all(self);
  norn_span nowhere = {0, 0, 0};
  double rate = e->proposed ? (double)e->accepted / (double)e->proposed : 0;
  norn_infer_note(inf, "acceptance", norn_real(rate));
  marginal_note(inf, &e->went, e->in_lanes);
  note_variance(inf, e);
  if (e->stuck)
    norn_infer_warn(inf, nowhere, "%lld of %lld chains never moved: take more particles, so that the "
                    "evidence of a proposal is known better", (long long)e->stuck,
                    (long long)e->chains);
  return chains_report(inf, (int)e->chains, e->draws, "more particles");
}

static void pmmh_progress(const void *self, norn_progress *p)
{
  const pmmh *e = self;
  p->done = (double)e->at;
  p->total = (double)steps_of(e);
  snprintf(p->state, sizeof p->state, "%s, acceptance %.2f", e->at < e->burn ? ", burning in" : "",
           e->proposed ? (double)e->accepted / (double)e->proposed : 0);
}

static void pmmh_free(norn_infer *inf, void *self)
{
  pmmh *e = self;
  norn_state *st = norn_infer_state(inf);
  marginal_free(&e->m);
  for (int k = 0; k < 2; k++) {
    point *x = &e->x[k];
    engine_put(st, x->u, x->cu * sizeof *x->u);
    engine_put(st, x->p, x->cp * sizeof *x->p);
    column_free(st, &x->values);
  }
  size_t n = e->n > 0 ? (size_t)e->n : 0;
  if (e->z) engine_put(st, e->z, (2 * n + 2 * n * n + 1) * sizeof *e->z);
  if (e->named) patterns_free(&e->on);
}

static bool point_archive(norn_archive *a, point *x, int64_t n)
{
  size_t free = n > 0 && x->u ? (size_t)n : 0;
  norn_archive_size(a, &free);
  norn_archive_array(a, &x->u, &x->cu, free, sizeof *x->u);
  norn_archive_f64(a, &x->log_prior);
  norn_archive_f64(a, &x->log_z);
  norn_archive_size(a, &x->np);
  norn_archive_array(a, &x->p, &x->cp, x->np, sizeof *x->p);
  return column_archive(a, &x->values);
}

/* A start that is on its way has coordinates of which no one knows yet how many they will be. */
static int64_t coordinates(const pmmh *e)
{
  const point *x = &e->x[!e->now];
  int64_t met = x->np ? x->p[x->np - 1].from + x->p[x->np - 1].nfree : 0;
  return e->n > met ? e->n : met;
}

static norn_status pmmh_archive(norn_infer *inf, void *self, norn_archive *a)
{
  pmmh *e = self;
  int64_t *count[] = { &e->n, &e->at, &e->start, &e->accepted, &e->proposed, &e->moved, &e->stuck,
                       &e->repeats, &e->dead };
  int64_t n = coordinates(e);
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  norn_archive_f64(a, &e->z_mean);
  norn_archive_f64(a, &e->z_squares);
  norn_archive_int(a, &e->chain);
  norn_archive_int(a, &e->now);
  bool *is[] = { &e->started, &e->taken };
  for (int i = 0; i < NORN_COUNT(is); i++) norn_archive_bool(a, is[i]);
  norn_archive_size(a, &e->met);
  if (!norn_archive_status(a) && (e->now < 0 || e->now > 1 || e->n < -1 || e->n > 1 << 20))
    norn_archive_fail(a, "its parameters are not whole");
  bool walks = e->z != NULL;
  norn_archive_bool(a, &walks);
  if (norn_archive_status(a)) return norn_archive_status(a);
  if (walks && !e->z && (e->n < 0 || !walk_room(norn_infer_state(inf), e))) return NORN_EMEMORY;
  size_t k = e->n > 0 ? (size_t)e->n : 0;
  if (walks) norn_archive_bytes(a, e->z, (2 * k + k * k) * sizeof *e->z);
  if (!point_archive(a, &e->x[0], n) || !point_archive(a, &e->x[1], n)) return norn_archive_status(a);
  marginal_archive(a, &e->m);
  return norn_archive_status(a);
}

static const branches_row pmmh_row = {
  .size = sizeof(pmmh), .init = pmmh_chain_init, .step = pmmh_chain_step, .free = pmmh_free,
  .archive = pmmh_archive, .add = pmmh_add, .counts = pmmh_counts, .chains = pmmh_chains,
  .progress = pmmh_progress};

static norn_status pmmh_init(norn_infer *inf, void *self) { return branches_init(inf, self, &pmmh_row); }

static const norn_option pmmh_options[] = {
  {"particles", "100", "particles of a filter"},
  {"draws", "1000", "draws kept of each chain"},
  {"burn", "1000", "steps before, in which the walk is learnt"},
  {"thin", "1", "steps from draw to draw"},
  {"chains", "4", "chains, each from a draw of the prior"},
  {"on", "missing", "which choices are parameters, such as \"theta*\"; else those before the first "
                    "observation; several patterns: an array"},
  {"executor", "\"auto\"",
   "as smc's: scalar: a run of the VM for each particle; lanes: one run for all that are in the same state; "
   "generated: lanes whose arithmetic is compiled; auto: lanes where they are faster, compiled where that "
   "pays.  The draws are the same"},
};

const norn_engine engine_pmmh = {
  .version = NORN_ENGINE_VERSION, .name = "pmmh",
  .doc = "Particle marginal Metropolis-Hastings: moves parameters by the evidence that a particle filter "
         "estimates for them; for series with parameters.",
  .options = pmmh_options, .noptions = NORN_COUNT(pmmh_options), .size = sizeof(branches),
  .init = pmmh_init, .step = branches_step, .finish = pmmh_finish, .progress = branches_progress,
  .free = branches_free, .archive = branches_archive};
