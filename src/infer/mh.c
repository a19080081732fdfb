/* mh: single-site Metropolis-Hastings on traces (Wingate, Stuhlmueller, Goodman 2011, "Lightweight
   implementations of probabilistic programming languages", with the ratio of Le, Yang, Wood 2016).

   A trace is the list of a run's choices.  A step picks one of them at random, runs the program
   again, draws that choice anew, and gives the others their old values.  An old value is used only
   where the address, the family and the support of the choice are the same: a symmetric relation,
   so the way back is possible whenever the way there is.  All else is fresh.

       log alpha = log w'/w                         observations, factors
                 + log n/n'                         numbers of choices: the way back picks with 1/n'
                 + sum over reused (log p' - log p) their densities under changed parameters
                 + sum over fresh e' - sum over stale e

   Fresh and stale choices (and the one that was picked) are drawn from their prior, whose density
   cancels against the target's; under `via` what is left of each is e = log prior - log proposal.

   Lanes: chain c runs in lane c; the k-th try for a start is iteration k < 1000, step s is
   iteration 1000 + s.  Which choice and the acceptance come from the engine's own stream in the
   same lane and iteration.  Observations are weighed inside the VM. */
#include "infer/chains.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include <stdio.h>
#include <string.h>

enum { STARTS = 1000, FAMILIES = 64 };

/* One choice.  Values that point into the heap are kept by ref, which stays with the entry. */
typedef struct choice {
  uint64_t addr, support;
  const norn_dist_row *row;
  double logp, excess;
  norn_datum value;
  norn_ref *ref;
  uint64_t reused;           /* the step that last reused it */
} choice;
typedef struct trace {
  choice *c; size_t n, cap;
  /* address -> place + 1, where key is of this filling */
  uint64_t *key; uint32_t *place; size_t size;
  double logw, excess;       /* excess: of all */
} trace;

typedef struct mh {
  int64_t draws, burn, thin, chains;
  uint64_t stream, step;     /* step: in all, for marks */
  int chain;
  int64_t start, at;         /* tries for a start; steps of this chain */
  bool started;
  trace t[2];                /* current and proposed */
  int now;
  norn_run *run;
  size_t site;               /* in the current trace; its size when none */
  double log_ratio, old_excess;
  bool impossible;           /* a reused value outside the support */
  norn_datum value; norn_ref *value_ref;         /* what the current trace returns */
  /* moved_here: moves of this chain after its burn-in */
  int64_t accepted, proposed, moved_here, stuck;
  norn_posterior before; bool resuming;
} mh;

/* ---- traces ---- */

static norn_datum choice_value(const choice *c)
{
  return c->ref && c->value.tag == NORN_NONE ? norn_get(c->ref) : c->value;
}

static bool keep_value(norn_state *st, norn_datum *value, norn_ref **ref, norn_datum v)
{
  *value = v;
  if (!(v.tag & 0x40)) return true;
  *value = norn_none();
  if (*ref) norn_set(*ref, v);
  else *ref = norn_keep(st, v);
  return *ref;
}

static void trace_clear(trace *t)
{
  t->n = 0;
  t->logw = t->excess = 0;
  if (t->size) memset(t->place, 0, t->size * sizeof *t->place);
}

static choice *trace_find(const trace *t, uint64_t addr)
{
  if (!t->size) return NULL;
  for (size_t k = addr & (t->size - 1); t->place[k]; k = (k + 1) & (t->size - 1))
    if (t->key[k] == addr) return &t->c[t->place[k] - 1];
  return NULL;
}

static void trace_index(trace *t, size_t i)
{
  size_t k = t->c[i].addr & (t->size - 1);
  while (t->place[k]) k = (k + 1) & (t->size - 1);
  t->key[k] = t->c[i].addr;
  t->place[k] = (uint32_t)i + 1;
}

static choice *trace_add(norn_state *st, trace *t, uint64_t addr)
{
  if (!engine_room(st, &t->c, &t->cap, t->n + 1, sizeof *t->c)) return NULL;
  if (2 * (t->n + 1) > t->size) {
    size_t m = t->size ? 2 * t->size : 16;
    uint64_t *key = engine_get(st, m * sizeof *key);
    uint32_t *place = engine_get(st, m * sizeof *place);
    if (!key || !place) {
      engine_put(st, key, m * sizeof *key);
      engine_put(st, place, m * sizeof *place);
      return NULL;
    }
    engine_put(st, t->key, t->size * sizeof *key);
    engine_put(st, t->place, t->size * sizeof *place);
    t->key = key;
    t->place = place;
    t->size = m;
    for (size_t i = 0; i < t->n; i++) trace_index(t, i);
  }
  choice *c = &t->c[t->n++];
  c->addr = addr;
  trace_index(t, t->n - 1);
  return c;
}

static void trace_free(norn_state *st, trace *t)
{
  for (size_t i = 0; i < t->cap; i++) if (t->c[i].ref) norn_drop(t->c[i].ref);
  engine_put(st, t->c, t->cap * sizeof *t->c);
  engine_put(st, t->key, t->size * sizeof *t->key);
  engine_put(st, t->place, t->size * sizeof *t->place);
}

/* ---- the engine ---- */

static norn_status mh_init(norn_infer *inf, void *self)
{
  mh *e = self;
  if (!option_int(inf, 0, 1, &e->draws) || !option_int(inf, 1, 0, &e->burn) ||
      !option_int(inf, 2, 1, &e->thin) || !option_int(inf, 3, 1, &e->chains))
    return NORN_EDOMAIN;
  if (e->chains > 100000)
    return norn_fail(norn_infer_state(inf), NORN_EDOMAIN, -1,
                     "chains of mh must be at most 100000");
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 4, 0);
  e->resuming = !norn_is_none(infer_resumed(inf));
  if (e->resuming) e->burn = 0;
  return NORN_OK;
}

/* What two distributions must share, beside the row, for a value to go from one to the other.
   Where a row tells no bounds but lists its values, they are its support. */
static uint64_t support_key(norn_state *st, const norn_dist *d)
{
  norn_support s = { NORN_SUPPORT_ANY, 0, 0, 0, 1, -1, -1 };
  if (d->row->support) d->row->support(st, d, &s);
  uint64_t lo, hi, h;
  memcpy(&lo, &s.lower, 8);
  memcpy(&hi, &s.upper, 8);
  h = hash_mix(lo * 3 + hi * 5 + (uint64_t)(s.size * s.count) * 7 + (uint64_t)s.kind);
  if (s.kind != NORN_SUPPORT_ANY || !d->row->enumerate || !(norn_dist_flags(d) & NORN_DIST_FINITE))
    return h;
  for (int64_t k = 0; k < FAMILIES; k++) {
    norn_datum v;
    if (norn_dist_enumerate(st, d, k, &v)) { norn_clear(st); break; }
    if (norn_is_none(v)) break;
    h = hash_mix(h + norn_hash(v));
  }
  return h;
}

/* The value that the posterior which goes on has for this choice at the end of this chain; NONE. */
static norn_datum mh_resumed(norn_infer *inf, mh *e, uint64_t addr)
{
  norn_state *st = norn_infer_state(inf);
  char name[256];
  norn_posterior p;
  if (!e->resuming || !norn_addr_name(st, addr, name, sizeof name)) return norn_none();
  if (!norn_posterior_view(st, infer_resumed(inf), &p) || norn_kind_of(p.choices) != NORN_RECORD)
    return norn_none();
  norn_datum kept = norn_record_get(st, p.choices, name);
  int64_t n = norn_array_length(kept);
  if (n < 1) return norn_none();
  norn_datum v = norn_array_at(st, kept, n / e->chains * (e->chain + 1) - 1);
  return v.tag == NORN_MISSING ? norn_none() : v;
}

/* Answers a choice of the proposed run; false: error set. */
static bool mh_sample(norn_infer *inf, mh *e, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  trace *cur = &e->t[e->now], *new = &e->t[!e->now];
  choice *old = e->started ? trace_find(cur, ev->addr) : NULL;
  uint64_t support = support_key(st, ev->dist);
  double logp = NAN, excess = 0;
  norn_datum v = norn_none();
  bool reuse =
    old && old != &cur->c[e->site] && old->row == ev->dist->row && old->support == support;
  if (!e->started && e->start == 0) v = mh_resumed(inf, e, ev->addr);
  if (reuse) v = choice_value(old);
  bool fresh = norn_is_none(v);
  if (fresh && !engine_sample(st, e->run, ev, true, &v, &excess)) return false;
  /* never reused: checked below */
  if (fresh && ev->dist->row->flags & NORN_DIST_POSTERIOR && !ev->dist->row->enumerate) logp = 0;
  else if (!engine_logp(st, ev->dist, v, ev->span, &logp)) return false;
  if (!fresh) {
    double q;
    if (ev->proposal) {
      if (!engine_logp(st, ev->proposal, v, ev->span, &q)) return false;
      excess = logp - q;
    }
    if (logp == -HUGE_VAL) e->impossible = true;
  }
  if (reuse) {
    old->reused = e->step;
    e->log_ratio += logp - old->logp;
    e->old_excess -= old->excess;
  } else {
    e->log_ratio += excess;
  }
  choice *c = trace_add(st, new, ev->addr);
  if (!c) return false;
  c->row = ev->dist->row;
  c->support = support;
  c->logp = logp;
  c->excess = excess;
  c->reused = 0;
  new->excess += excess;
  if (!keep_value(st, &c->value, &c->ref, v)) return false;
  norn_run_answer(e->run, v);
  return true;
}

static bool mh_begin(norn_infer *inf, mh *e)
{
  trace *cur = &e->t[e->now];
  norn_rng g = { .stream = e->stream,
                 .lane = (uint32_t)e->chain,
                 .iter = (uint32_t)(STARTS + e->at) };
  uint32_t iter = e->started ? (uint32_t)(STARTS + e->at) : (uint32_t)e->start;
  e->step++;
  e->log_ratio = 0;
  e->old_excess = cur->excess;
  e->impossible = false;
  e->site = e->started && cur->n ? (size_t)norn_rng_below(&g, cur->n) : cur->n;
  trace_clear(&e->t[!e->now]);
  unsigned flags = NORN_RUN_SCORE | (e->started ? 0 : NORN_RUN_NAMES | NORN_RUN_CHECK);
  e->run = norn_infer_run(inf, (uint32_t)e->chain, iter, flags | NORN_RUN_NAMES);
  return e->run;
}

/* Takes the proposed trace as the current one. */
static bool mh_take(norn_infer *inf, mh *e, norn_datum value, double logw)
{
  e->now = !e->now;
  e->t[e->now].logw = logw;
  return keep_value(norn_infer_state(inf), &e->value, &e->value_ref, value);
}

/* The current trace is a draw if its time has come. */
static norn_status mh_record(norn_infer *inf, mh *e)
{
  int64_t k = e->at - e->burn;
  if (k <= 0 || k % e->thin) return NORN_OK;
  const trace *t = &e->t[e->now];
  for (size_t i = 0; i < t->n; i++)
    if (norn_infer_choice(inf, t->c[i].addr, choice_value(&t->c[i]))) return NORN_EMEMORY;
  return norn_infer_draw(
    inf, e->value_ref && e->value.tag == NORN_NONE ? norn_get(e->value_ref) : e->value, 0);
}

/* A run for a start has ended. */
static norn_step mh_started(norn_infer *inf, mh *e, const norn_event *ev)
{
  double lw = norn_run_logw(e->run);
  bool alive = ev->kind == NORN_DONE && lw > -HUGE_VAL && !e->impossible;
  if (alive && !mh_take(inf, e, ev->value, lw)) return NORN_STEP_FAIL;
  if (ev->kind == NORN_DEAD) norn_infer_dead(inf, ev->span);
  norn_run_free(e->run);
  e->run = NULL;
  e->started = alive;
  e->start++;
  if (alive || e->start < STARTS) return NORN_STEP_MORE;
  norn_state *st = norn_infer_state(inf);
  char place[200];
  norn_span s = norn_infer_blame(inf, NULL);
  norn_span_text(st, s, place, sizeof place);
  engine_fail(st, NORN_EINFER, s,
              "mh found no start: each of %d draws from the prior has weight 0, most after the "
              "observation at %s",
              STARTS, *place ? place : "an unknown place");
  if (*inf->dead.why) norn_hint(st, "the first went wrong so: %s", inf->dead.why);
  else norn_hint(st, "make the observation less strict, or use smc or rejection");
  return NORN_STEP_FAIL;
}

/* A proposal has ended. */
static norn_step mh_judge(norn_infer *inf, mh *e, const norn_event *ev)
{
  const trace *cur = &e->t[e->now], *new = &e->t[!e->now];
  norn_rng g = {
    .stream = e->stream, .lane = (uint32_t)e->chain, .iter = (uint32_t)(STARTS + e->at), .draw = 8
  };
  double lw = norn_run_logw(e->run);
  bool take = ev->kind == NORN_DONE && lw > -HUGE_VAL && !e->impossible;
  if (take) {
    double a = lw - cur->logw + e->log_ratio - e->old_excess;
    if (cur->n) a += log((double)cur->n / (double)new->n);
    take = a >= 0 || log(norn_rng_uniform(&g)) < a;
  }
  e->proposed++;
  if (take) {
    e->accepted++;
    e->moved_here += e->at >= e->burn;
    if (!mh_take(inf, e, ev->value, lw)) return NORN_STEP_FAIL;
  }
  norn_run_free(e->run);
  e->run = NULL;
  e->at++;
  return mh_record(inf, e) ? NORN_STEP_FAIL : NORN_STEP_MORE;
}

static void mh_next_chain(mh *e)
{
  if (!e->moved_here) e->stuck++;
  e->chain++;
  e->started = false;
  e->start = e->at = e->moved_here = 0;
  trace_clear(&e->t[e->now]);
}

static norn_step mh_step(norn_infer *inf, void *self)
{
  mh *e = self;
  norn_event ev;
  for (int work = 0; work < 256 && e->chain < e->chains;) {
    if (!e->run && !mh_begin(inf, e)) return NORN_STEP_FAIL;
    norn_event_kind k = norn_run_next(e->run, &ev);
    norn_step s = NORN_STEP_MORE;
    if (k == NORN_SAMPLE) {
      if (!mh_sample(inf, e, &ev)) return NORN_STEP_FAIL;
      if (e->impossible && e->started) { ev.kind = NORN_DEAD; s = mh_judge(inf, e, &ev); }
    } else if (k == NORN_INFER) {
      s = norn_infer_wait(inf, e->run, &ev);
    } else if (k == NORN_DONE || k == NORN_DEAD) {
      work++;
      s = e->started ? mh_judge(inf, e, &ev) : mh_started(inf, e, &ev);
    } else if (k == NORN_ERROR) {
      s = NORN_STEP_FAIL;
    }
    if (s != NORN_STEP_MORE) return s;
    if (e->started && e->at >= e->burn + e->draws * e->thin) mh_next_chain(e);
  }
  return e->chain < e->chains ? NORN_STEP_MORE : NORN_STEP_DONE;
}

/* ---- the end ---- */

static norn_status mh_finish(norn_infer *inf, void *self)
{
  mh *e = self;
  norn_span nowhere = { 0, 0, 0 };
  norn_infer_note(inf, "acceptance",
                  norn_real(e->proposed ? (double)e->accepted / (double)e->proposed : 1));
  norn_infer_note(inf, "thin", norn_int(e->thin));
  bool choices = e->t[e->now].n || e->t[!e->now].n;
  if (!choices) return chains_report(inf, (int)e->chains, e->draws, "a larger thin");
  if (e->stuck == e->chains) {
    norn_infer_warn(inf, nowhere, "no move was accepted: each chain is one value, %lld times",
                    (long long)e->draws);
    return chains_report(inf, (int)e->chains, e->draws, NULL);
  }
  if (e->stuck)
    norn_infer_warn(inf, nowhere, "%lld of %lld chains never moved", (long long)e->stuck,
                    (long long)e->chains);
  return chains_report(inf, (int)e->chains, e->draws, "a larger thin");
}

static void mh_progress(norn_infer *inf, void *self, norn_progress *p)
{
  mh *e = self;
  double each = (double)(e->burn + e->draws * e->thin);
  (void)inf;
  p->done = each * e->chain + (double)e->at;
  p->total = each * (double)e->chains;
  if (e->chain < e->chains)
    snprintf(p->state, sizeof p->state, "chain %d%s", e->chain + 1,
             e->at < e->burn ? ", burning in" : "");
}

static void mh_free(norn_infer *inf, void *self)
{
  mh *e = self;
  norn_state *st = norn_infer_state(inf);
  if (e->run) norn_run_free(e->run);
  trace_free(st, &e->t[0]);
  trace_free(st, &e->t[1]);
  if (e->value_ref) norn_drop(e->value_ref);
}

static const norn_option mh_options[] = {
  { "draws", "1000", "draws kept of each chain" },
  { "burn", "1000", "steps before the first draw" },
  { "thin", "1", "steps from draw to draw" },
  { "chains", "4", "chains, each from a start of its own" }
};

const norn_engine engine_mh = { .version = NORN_ENGINE_VERSION,
                                .name = "mh",
                                .doc = "Single-site Metropolis-Hastings: one choice at a time is "
                                       "drawn anew and the program run again.",
                                .options = mh_options,
                                .noptions = NORN_COUNT(mh_options),
                                .size = sizeof(mh),
                                .init = mh_init,
                                .step = mh_step,
                                .finish = mh_finish,
                                .progress = mh_progress,
                                .free = mh_free };
