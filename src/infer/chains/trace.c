/* trace: choices by address, and executions that fill them (trace.h). */
#include "infer/chains/trace.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include <string.h>

enum { FAMILIES = 64, EVENTS = 4096, TOKENS = 1024 };

static bool keep_value(norn_state *st, norn_datum *value, norn_ref **ref, norn_datum v)
{
  *value = v;
  if (!(v.tag & 0x40)) return true;
  *value = norn_none();
  if (*ref) norn_set(*ref, v);
  else *ref = norn_keep(st, v);
  return *ref;
}

norn_datum trace_value(const trace_choice *c)
{
  return c->ref && c->value.tag == NORN_NONE ? norn_get(c->ref) : c->value;
}

bool trace_set(norn_state *st, trace_choice *c, norn_datum v)
{
  return keep_value(st, &c->value, &c->ref, v);
}

bool trace_set_result(norn_state *st, trace *t, norn_datum v)
{
  return keep_value(st, &t->result, &t->result_ref, v);
}

norn_datum trace_result(const trace *t)
{
  if (t->run) return norn_none();
  return t->result_ref && t->result.tag == NORN_NONE ? norn_get(t->result_ref) : t->result;
}

void trace_clear(trace *t)
{
  t->n = 0;
  t->logw = t->excess = 0;
  if (t->size) memset(t->place, 0, t->size * sizeof *t->place);
  if (t->run) norn_run_free(t->run);
  t->run = NULL;
}

trace_choice *trace_find(const trace *t, uint64_t addr)
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

trace_choice *trace_add(norn_state *st, trace *t, uint64_t addr)
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
  trace_choice *c = &t->c[t->n++];
  *c = (trace_choice){.addr = addr, .ref = c->ref};
  trace_index(t, t->n - 1);
  return c;
}

void trace_free(norn_state *st, trace *t)
{
  trace_clear(t);
  for (size_t i = 0; i < t->cap; i++) if (t->c[i].ref) norn_drop(t->c[i].ref);
  engine_put(st, t->c, t->cap * sizeof *t->c);
  engine_put(st, t->key, t->size * sizeof *t->key);
  engine_put(st, t->place, t->size * sizeof *t->place);
  if (t->result_ref) norn_drop(t->result_ref);
  *t = (trace){0};
}

bool sites_of(norn_state *st, sites *s, const trace *t, const target *g)
{
  if (s->stamp == t->stamp) return true;
  s->n = t->n;
  if (g->movable) {
    if (!engine_room(st, &s->at, &s->cap, t->n + 1, sizeof *s->at)) return false;
    s->n = 0;
    for (size_t i = 0; i < t->n; i++)
      if (g->movable(g->user, t->c[i].addr)) s->at[s->n++] = (uint32_t)i;
  }
  s->stamp = t->stamp;
  return true;
}

void sites_free(norn_state *st, sites *s) { engine_put(st, s->at, s->cap * sizeof *s->at); }

/* Of a token of a language model, whose bounds are the vocabulary: which tokens have a probability, as far as that is cheap.
   So a text under a constraint can change its length: the token behind the one that changed is then drawn anew, where
   the present one would be impossible. */
static uint64_t tokens_key(norn_state *st, const norn_dist *d)
{
  int64_t n = d->row->count(st, d);
  uint64_t h = (uint64_t)n;
  for (int64_t k = 0; k < n && n <= TOKENS; k++) {
    norn_datum v;
    if (norn_dist_enumerate(st, d, k, &v) || norn_is_none(v)) break;
    h += norn_hash(v);                          /* whatever their order */
  }
  norn_clear(st);
  return hash_mix(h);
}

/* Where a row tells no bounds but lists its values, they are its support. */
uint64_t support_key(norn_state *st, const norn_dist *d)
{
  norn_support s = { NORN_SUPPORT_ANY, 0, 0, 0, 1, -1, -1 };
  if (d->row->support) d->row->support(st, d, &s);
  uint64_t lo, hi, h;
  memcpy(&lo, &s.lower, 8);
  memcpy(&hi, &s.upper, 8);
  h = hash_mix(lo * 3 + hi * 5 + (uint64_t)(s.size * s.count) * 7 + (uint64_t)s.kind);
  if (d->row->flags & NORN_DIST_COSTLY && d->row->enumerate && d->row->count) return hash_mix(h + tokens_key(st, d));
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

/* ---- executions ---- */

bool execution_begin(execution *x, norn_infer *inf, const target *g, trace *t, unsigned flags,
                     execution_meet *meet, void *user)
{
  norn_state *st = norn_infer_state(inf);
  trace_clear(t);
  t->stamp = t->version = ++inf->stamps;
  *x = (execution){.inf = inf, .g = g, .t = t, .meet = meet, .user = user};
  x->run = norn_run_new(st, norn_infer_model(inf), NULL, 0);
  if (!x->run) return false;
  /* under STOP the iteration counts barriers, so each step has a stream of its own */
  bool stops = g->barriers < SIZE_MAX;
  if (stops)
    norn_run_stream(x->run, norn_stream_split(g->stream, g->lane, 6, g->iter), g->lane, 0);
  else
    norn_run_stream(x->run, g->stream, g->lane, g->iter);
  norn_run_flags(x->run, NORN_RUN_SCORE | NORN_RUN_NAMES | (stops ? NORN_RUN_STOP : 0) | flags);
  return true;
}

static bool meet_given(void *user, execution *x, const norn_event *ev)
{
  norn_datum v = x->given ? x->given(user, ev) : norn_none();
  return execution_add(x, ev, support_key(norn_infer_state(x->inf), ev->dist), v);
}

bool execution_start(execution *x, norn_infer *inf, const target *g, trace *t,
                     norn_datum (*given)(void *user, const norn_event *), void *user)
{
  if (!execution_begin(x, inf, g, t, NORN_RUN_CHECK, meet_given, user)) return false;
  x->given = given;
  return true;
}

trace_choice *execution_add(execution *x, const norn_event *ev, uint64_t support, norn_datum v)
{
  norn_state *st = norn_infer_state(x->inf);
  trace *t = x->t;
  double logp = NAN, excess = 0, q;
  bool fresh = norn_is_none(v);
  if (fresh && !engine_sample(st, x->run, ev, true, &v, &excess)) return NULL;
  /* the density of a posterior of draws can't be had: such a choice is always drawn anew */
  if (fresh && ev->dist->row->flags & NORN_DIST_POSTERIOR && !ev->dist->row->enumerate) logp = 0;
  else if (!engine_logp(st, ev->dist, v, ev->span, &logp)) return NULL;
  if (!fresh && ev->proposal) {
    if (!engine_logp(st, ev->proposal, v, ev->span, &q)) return NULL;
    excess = logp - q;
  }
  if (!fresh && logp == -HUGE_VAL) x->impossible = true;
  trace_choice *c = trace_add(st, t, ev->addr);
  if (!c) return NULL;
  c->row = ev->dist->row;
  c->support = support;
  c->span = ev->span;
  c->logp = logp;
  c->excess = excess;
  t->excess += excess;
  if (!keep_value(st, &c->value, &c->ref, v)) return NULL;
  norn_run_answer(x->run, v);
  return c;
}

/* The run has come to where the target ends. */
static norn_step execution_done(execution *x, const norn_event *ev)
{
  trace *t = x->t;
  t->logw = norn_run_logw(x->run);
  bool short_of = x->g->stands && ev->kind == NORN_DONE;
  if (ev->kind == NORN_DEAD || t->logw == -HUGE_VAL || short_of) {
    x->dead = true;
    x->where = ev->span;
    t->logw = -HUGE_VAL;
  } else if (ev->kind == NORN_OBSERVE) {
    t->run = x->run;
    x->run = NULL;
  } else if (!keep_value(norn_infer_state(x->inf), &t->result, &t->result_ref, ev->value)) {
    return NORN_STEP_FAIL;
  }
  return NORN_STEP_DONE;
}

norn_step execution_step(execution *x)
{
  norn_event ev;
  if (!x->g->barriers) {
    x->t->run = x->run;
    x->run = NULL;
    return NORN_STEP_DONE;
  }
  for (int i = 0; i < EVENTS; i++) {
    norn_step s;
    switch (norn_run_next(x->run, &ev)) {
    case NORN_SAMPLE:
      if (!x->meet(x->user, x, &ev)) return NORN_STEP_FAIL;
      if (!x->impossible) break;
      x->t->logw = -HUGE_VAL;
      return NORN_STEP_DONE;
    case NORN_OBSERVE:
      if (++x->passed == x->g->barriers) return execution_done(x, &ev);
      break;
    case NORN_INFER:
      s = norn_infer_wait(x->inf, x->run, &ev);
      if (s != NORN_STEP_MORE) return s;
      break;
    case NORN_DONE: case NORN_DEAD: return execution_done(x, &ev);
    case NORN_ERROR: case NORN_READY: case NORN_BRANCH: case NORN_JOINED: return NORN_STEP_FAIL;
    }
  }
  return NORN_STEP_MORE;
}

void execution_end(execution *x)
{
  if (x->run) norn_run_free(x->run);
  x->run = NULL;
}

/* ---- checkpoints ---- */

static bool choice_archive(norn_archive *a, trace_choice *c)
{
  return norn_archive_bytes(a, &c->support, sizeof c->support) && norn_archive_row(a, &c->row) &&
         norn_archive_span(a, &c->span) && norn_archive_f64(a, &c->logp) &&
         norn_archive_f64(a, &c->excess) && norn_archive_value(a, &c->value) &&
         norn_archive_ref(a, &c->ref) && norn_archive_u64(a, &c->mark);
}

bool trace_archive(norn_archive *a, trace *t)
{
  norn_state *st = norn_archive_state(a);
  size_t n = t->n;
  bool reads = norn_archive_reading(a);
  if (reads) trace_clear(t);
  if (!norn_archive_size(a, &n)) return false;
  for (size_t i = 0; i < n; i++) {
    uint64_t addr = reads ? 0 : t->c[i].addr;
    if (!norn_archive_bytes(a, &addr, sizeof addr)) return false;
    trace_choice *c = reads ? trace_add(st, t, addr) : &t->c[i];
    if (!c) return norn_archive_fail(a, "out of memory");
    if (!choice_archive(a, c)) return false;
  }
  norn_archive_u64(a, &t->stamp);
  norn_archive_f64(a, &t->logw);
  norn_archive_f64(a, &t->excess);
  return norn_archive_value(a, &t->result) && norn_archive_ref(a, &t->result_ref) &&
         norn_archive_run(a, &t->run);
}

bool execution_archive(norn_archive *a, execution *x)
{
  return norn_archive_run(a, &x->run) && norn_archive_size(a, &x->passed) &&
         norn_archive_bool(a, &x->impossible) && norn_archive_bool(a, &x->dead) &&
         norn_archive_span(a, &x->where);
}
