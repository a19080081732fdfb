/* mh_kernel: Metropolis-Hastings on traces (Wingate, Stuhlmueller, Goodman 2011, "Lightweight
   implementations of probabilistic programming languages", with the ratio of Le, Yang, Wood 2016).

   A transition picks one of the choices at random, runs the program again, draws that choice anew, and
   gives the others their old values.  An old value is used only where the address, the family and the
   support of the choice are the same: a symmetric relation, so the way back is possible whenever the
   way there is.  All else is fresh.

       log alpha = beta (log w' - log w)              observations, factors
                 + log n/n'                         numbers of choices: the way back picks with 1/n'
                 + sum over reused (log p' - log p) their densities under changed parameters
                 + sum over fresh e' - sum over stale e

   Fresh and stale choices (and the one that was picked) are drawn from their prior, whose density
   cancels against the target's; under `via` what is left of each is e = log prior - log proposal.

   What is picked is one of the choices that `on` and the target let change; those that `block` fits
   are picked together, as one of n.  A choice that drifts (mh_drift.c) counts as reused, with the
   Jacobian of its map.  With a proposal of the user's own nothing is picked (mh_proposal.c).

   Random numbers: choices by the program's own; which choice (event 0, draw 0), the acceptance (draw 8)
   and walks (event 1) from the engine's stream in the same lane and iteration.  A proposal's run, and
   further transitions of a step (steps > 1), have streams of their own. */
#include "infer/chains/mh.h"
#include "infer/chains/branches.h"
#include "infer/infer.h"

norn_rng mh_numbers(mh_kernel *m, uint32_t event, uint32_t draw)
{
  const target *g = &m->g;
  if (g->stream != m->of || !m->own) m->own = norn_stream_split(g->stream, ENGINE_LANE, 4, 0);
  m->of = g->stream;
  return (norn_rng){.stream = m->own, .lane = g->lane, .event = event, .iter = g->iter, .draw = draw};
}

/* ---- what may change ---- */

bool mh_movable(mh_kernel *m, uint64_t addr)
{
  if (m->whole->movable && !m->whole->movable(m->whole->user, addr)) return false;
  return !m->has_on || patterns_have(&m->on, addr);
}

bool kernel_mh_proposes(const kernel *k)
{
  return k->row == &kernel_mh && ((const mh_kernel *)k->self)->has_proposal;
}

static bool movable(void *user, uint64_t addr) { return mh_movable(user, addr); }

/* How many of those that may change are in the block. */
static size_t count_blocked(mh_kernel *m, const trace *t, const sites *s)
{
  size_t n = 0;
  for (size_t i = 0; m->has_block && i < s->n; i++)
    n += patterns_have(&m->block, t->c[sites_at(s, i)].addr);
  return n;
}

/* How many picks there are. */
static size_t picks(const sites *s, size_t blocked) { return s->n - blocked + (blocked > 0); }

/* The k-th of those outside of the block. */
static size_t single(mh_kernel *m, const trace *t, const sites *s, size_t k)
{
  for (size_t i = 0;; i++) {
    size_t at = sites_at(s, i);
    if (!m->has_block || !patterns_have(&m->block, t->c[at].addr)) {
      if (!m->has_block) return sites_at(s, k);
      if (!k--) return at;
    }
  }
}

static bool sites_look(kernel *k, sites *s, size_t *blocked, const trace *t)
{
  mh_kernel *m = k->self;
  bool same = s->stamp == t->stamp;
  if (!sites_of(norn_infer_state(k->inf), s, t, &m->g)) return false;
  if (!same) *blocked = count_blocked(m, t, s);
  return !m->on.failed && !m->block.failed;
}

/* Picks; false: error set. */
static bool site_pick(kernel *k, const trace *t)
{
  mh_kernel *m = k->self;
  if (!sites_look(k, &m->here, &m->blocked[0], t)) return false;
  norn_rng r = mh_numbers(m, 0, 0);
  size_t n = picks(&m->here, m->blocked[0]), i = n ? (size_t)norn_rng_below(&r, n) : 0;
  m->site = t->n;
  m->whole_block = n && m->blocked[0] && i == n - 1;
  if (n && !m->whole_block) m->site = single(m, t, &m->here, i);
  return true;
}

bool mh_picked(mh_kernel *m, const trace_choice *c)
{
  if (m->has_proposal) return false;
  if (!m->whole_block) return c == &m->old->c[m->site];
  return patterns_have(&m->block, c->addr) && mh_movable(m, c->addr);
}

/* ---- the run ---- */

/* The value of a choice and how it came to it; -1: error set. */
static int mh_answer(mh_kernel *m, execution *x, const norn_event *ev, const trace_choice *old, bool same,
                     norn_datum *v)
{
  norn_state *st = norn_infer_state(x->inf);
  trace_choice *given = m->has_proposal ? trace_find(&m->q.forth.t, ev->addr) : NULL;
  double jacobian;
  *v = norn_none();
  if (given) {
    given->mark = 1;
    *v = trace_value(given);
    return MH_GIVEN;
  }
  if (!same) return MH_FRESH;
  if (!mh_picked(m, old)) {
    *v = trace_value(old);
    return MH_REUSED;
  }
  if (!m->has_drift) return MH_FRESH;
  norn_rng g = mh_numbers(m, 1 + (uint32_t)m->drift.nmoved, 0);
  int how = drift_move(st, &m->drift, ev, trace_value(old), &g, v, &jacobian);
  if (how == MH_MOVED) m->log_ratio += jacobian;
  if (how == MH_MOVED && norn_is_none(*v)) {
    x->impossible = true;                      /* it left its support: the old value ends the run */
    *v = trace_value(old);
  }
  return how;
}

static bool mh_meet(void *user, execution *x, const norn_event *ev)
{
  mh_kernel *m = user;
  trace_choice *old = trace_find(m->old, ev->addr);
  uint64_t support = support_key(norn_infer_state(x->inf), ev->dist);
  bool same = old && old->row == ev->dist->row && old->support == support;
  norn_datum v;
  int how = mh_answer(m, x, ev, old, same, &v);
  if (how < 0) return false;
  trace_choice *c = execution_add(x, ev, support, v);
  if (!c) return false;
  c->mark = (uint64_t)how;
  if (how == MH_REUSED || how == MH_MOVED) {
    m->log_ratio += c->logp - old->logp;
    m->old_excess -= old->excess;
  } else {
    m->log_ratio += how == MH_GIVEN ? c->logp : c->excess;
  }
  return true;
}

/* ---- a transition ---- */

/* Nothing of this trace may change. */
static bool nothing(const mh_kernel *m)
{
  return m->g.movable && !m->has_proposal && !m->here.n;
}

static bool transition_begin(kernel *k, const target *g, const trace *t)
{
  mh_kernel *m = k->self;
  int64_t i = m->steps - m->left;
  m->g = *g;
  m->whole = g;
  if (m->has_on) {
    m->g.movable = movable;
    m->g.user = m;
  }
  if (i) m->g.stream = norn_stream_split(g->stream, ENGINE_LANE, 7, (uint32_t)i);
  m->old = t;
  m->log_ratio = 0;
  m->old_excess = t->excess;
  m->drift.nmoved = 0;
  m->drift.dim = 0;
  return m->has_proposal ? proposer_forth(k, t) : site_pick(k, t);
}

/* The part of log alpha of old choices that a proposal's way back gives, and its densities. */
static bool proposal_ratio(kernel *k, const trace *t, double *a)
{
  mh_kernel *m = k->self;
  if (!proposer_used(k) || !proposer_back(k, &m->new, t)) return false;
  *a += m->q.back.logq - m->q.forth.logq;
  for (size_t i = 0; i < t->n; i++) {
    const trace_choice *o = &t->c[i], *c = trace_find(&m->new, o->addr);
    if (c && c->mark == MH_REUSED) continue;
    bool kept = c && c->mark == MH_GIVEN && c->row == o->row && c->support == o->support;
    if (kept || trace_find(&m->q.back.t, o->addr)) *a -= o->logp - o->excess;
  }
  return true;
}

/* log alpha; false: error set. */
static bool transition_ratio(kernel *k, const trace *t, double *a)
{
  mh_kernel *m = k->self;
  *a = -HUGE_VAL;
  if (m->x.dead || m->x.impossible) return true;
  *a = m->g.beta * (m->new.logw - t->logw) + m->log_ratio - m->old_excess;
  if (m->has_proposal) return proposal_ratio(k, t, a);
  if (!sites_look(k, &m->there, &m->blocked[1], &m->new)) return false;
  size_t n = picks(&m->here, m->blocked[0]);
  if (n) *a += log((double)n / (double)picks(&m->there, m->blocked[1]));
  return true;
}

static void transition_take(mh_kernel *m, trace *t)
{
  trace old = *t;
  sites here = m->here;
  size_t blocked = m->blocked[0];
  *t = m->new;
  m->new = old;
  m->here = m->there;
  m->there = here;
  m->blocked[0] = m->blocked[1];
  m->blocked[1] = blocked;
}

bool mh_decide(kernel *k, double a)
{
  mh_kernel *m = k->self;
  norn_rng r = mh_numbers(m, 0, 8);
  bool take = a > -HUGE_VAL && (a >= 0 || log(norn_rng_uniform(&r)) < a);
  k->proposed++;
  k->accepted += take;
  if (k->adapts && m->drift.nmoved) drift_learn(&m->drift, a >= 0 ? 1 : exp(a));
  return take;
}

/* The proposal has been run; false: error set. */
static bool transition_judge(kernel *k, trace *t)
{
  mh_kernel *m = k->self;
  double a;
  if (!transition_ratio(k, t, &a)) return false;
  execution_end(&m->x);
  m->going = false;
  if (mh_decide(k, a)) transition_take(m, t);
  return true;
}

static bool transition_run(kernel *k)
{
  mh_kernel *m = k->self;
  return m->going = execution_begin(&m->x, k->inf, &m->g, &m->new, 0, mh_meet, m);
}

/* One transition, or a piece of it. */
static norn_step transition(kernel *k, const target *g, trace *t)
{
  mh_kernel *m = k->self;
  if (!m->going) {
    if (!transition_begin(k, g, t)) return NORN_STEP_FAIL;
    if (nothing(m)) return NORN_STEP_DONE;
    int made = mh_graph_step(k, t);
    if (made == 2) return branch_away(k->inf);
    if (made) return made < 0 ? NORN_STEP_FAIL : NORN_STEP_DONE;
    if (!transition_run(k)) return NORN_STEP_FAIL;
  }
  norn_step s = execution_step(&m->x);
  if (s != NORN_STEP_DONE) return s;
  return transition_judge(k, t) && mh_graph_look(k, t) ? NORN_STEP_DONE : NORN_STEP_FAIL;
}

static norn_step mh_kernel_step(kernel *k, const target *g, trace *t)
{
  mh_kernel *m = k->self;
  if (!m->left) m->left = m->steps;
  while (m->left) {
    norn_step s = transition(k, g, t);
    if (s != NORN_STEP_DONE) return s;
    m->left--;
  }
  return k->lazy || mh_graph_settle(k, t) ? NORN_STEP_DONE : NORN_STEP_FAIL;
}

/* ---- options ---- */

norn_status mh_patterns(kernel *k, const trace *t)
{
  mh_kernel *m = k->self;
  norn_state *st = norn_infer_state(k->inf);
  patterns *const all[] = {&m->on, &m->block, &m->drift.by};
  const char *const name[] = {"on", "block", "drift"};
  char names[200];
  for (int j = 0; j < NORN_COUNT(all); j++) {
    if (!all[j]->n) continue;
    for (size_t i = 0; i < t->n; i++) patterns_which(all[j], t->c[i].addr);
    if (all[j]->failed) return NORN_EMEMORY;
    const char *unfit = patterns_unfit(all[j]);
    if (!unfit) continue;
    norn_fail(st, NORN_EINFER, -1, "no choice of this model fits the pattern \"%.80s\" of mh(%s = ...)", unfit,
              name[j]);
    patterns_list(st, t->n ? &t->c[0].addr : NULL, t->n, sizeof *t->c, names, sizeof names);
    norn_hint(st, "its choices are %s", t->n ? names : "none");
    return NORN_EINFER;
  }
  return NORN_OK;
}

static bool given(norn_datum v) { return v.tag != NORN_MISSING && v.tag != NORN_NONE; }

static norn_status options_fit(norn_state *st, const mh_kernel *m)
{
  if (!m->has_proposal || (!m->has_drift && !m->has_block)) return NORN_OK;
  norn_fail(st, NORN_EINFER, -1, "mh takes a proposal or %s, not both", m->has_drift ? "drift" : "block");
  norn_hint(st, "a proposal says itself how and what it moves");
  return NORN_EINFER;
}

static norn_status mh_kernel_init(kernel *k)
{
  mh_kernel *m = k->self;
  norn_state *st = norn_infer_state(k->inf);
  norn_datum proposal = kernel_option(k, MH_PROPOSAL), on = kernel_option(k, MH_ON),
             walk = kernel_option(k, MH_DRIFT), block = kernel_option(k, MH_BLOCK);
  norn_status s = NORN_OK;
  if (!kernel_int(k, MH_STEPS, 1, &m->steps)) return NORN_EDOMAIN;
  m->has_on = given(on);
  m->has_block = given(block);
  m->has_drift = given(walk);
  m->has_proposal = given(proposal);
  norn_datum record = kernel_option(k, MH_INCREMENTAL);
  if (record.tag != NORN_BOOL) return norn_fail(st, NORN_ETYPE, -1, "incremental of mh must be true or false");
  m->graph.off = !record.i || m->has_proposal;
  m->graph.wait = m->graph.again = 10;                 /* mh_graph.c */
  if (m->has_on && !patterns_new(st, &m->on, on, "on of mh")) return NORN_ETYPE;
  if (m->has_block && !patterns_new(st, &m->block, block, "block of mh")) return NORN_ETYPE;
  if (m->has_drift) s = drift_new(st, &m->drift, walk);
  if (!s && m->has_proposal) s = proposer_new(st, &m->q, proposal);
  return s ? s : options_fit(st, m);
}

static void mh_kernel_free(kernel *k)
{
  mh_kernel *m = k->self;
  norn_state *st = norn_infer_state(k->inf);
  if (m->going) execution_end(&m->x);
  mh_graph_free(st, &m->graph);
  trace_free(st, &m->new);
  sites_free(st, &m->here);
  sites_free(st, &m->there);
  patterns_free(&m->on);
  patterns_free(&m->block);
  drift_free(st, &m->drift);
  proposer_free(st, &m->q);
}

/* A transition begins by numbers that are counters: begun again it is the same, and goes on from where
   its run stood. */
static bool mh_kernel_archive(kernel *k, const target *g, trace *t, norn_archive *a)
{
  mh_kernel *m = k->self;
  bool going = m->going, reads = norn_archive_reading(a);
  norn_archive_i64(a, &m->left);
  norn_archive_u64(a, &m->on.hit);
  norn_archive_u64(a, &m->block.hit);
  if (!norn_archive_bool(a, &going)) return false;
  if (reads && going && (m->left < 1 || m->left > m->steps))
    return norn_archive_fail(a, "a transition is not whole");
  if (!mh_graph_archive(k, t, a)) return false;
  if (reads && going && (!transition_begin(k, g, t) || nothing(m) || !transition_run(k)))
    return norn_archive_fail(a, "a transition does not begin as it did");
  if (m->has_drift && !drift_archive(a, &m->drift)) return false;
  return !going || (trace_archive(a, &m->new) && execution_archive(a, &m->x) &&
                    norn_archive_f64(a, &m->log_ratio) && norn_archive_f64(a, &m->old_excess));
}

const kernel_row kernel_mh = { .engine = &engine_mh,
                               .size = sizeof(mh_kernel),
                               .init = mh_kernel_init,
                               .step = mh_kernel_step,
                               .free = mh_kernel_free,
                               .archive = mh_kernel_archive,
                               .settle = mh_graph_settle };
