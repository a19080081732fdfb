/* event.c: what happens at sample, observe, factor, condition: answered in place where the run's
   flags say so, turned into something else by given() and do(), else handed to whoever drives. */
#include "lang/run.h"
#include "lang/symbolic/delayed.h"
#include "lang/lanes/lanes.h"
#include <math.h>
#include <string.h>

/* Addresses that CHECK remembers: the memory of a long filter does not grow with time. */
enum { SEEN_MAX = 1 << 18 };

enum { IN_PLACE = 0, STOP = 1, FAILED = -1, DEAD = 2 };

/* Is the run inside a model that it entered itself?  Models of the library stand for distributions: what they weigh may
   not be passed over. */
static bool in_model(const norn_run *r)
{
  const val *R = r->R;
  for (;;) {
    const ins *pc = FRAME_PC(R - FRAME_SIZE);
    if (pc == run_halt_code) return false;
    if (v_clo(R[-1])->p->is_model && !v_clo(R[-1])->p->stdlib) return true;
    if (FRAME_DIST(R - FRAME_SIZE) == 0) return false;
    R = (const val *)((const char *)R - FRAME_DIST(R - FRAME_SIZE));
  }
}

/* Where what happens at a span of the standard library happens for who reads of it. */
static norn_span seen_at(const norn_run *r, norn_span span)
{
  return NORN_UNLIKELY(v_clo(r->R[-1])->p->stdlib) ? run_place(r) : span;
}

static int dead(norn_run *r, norn_event *ev, norn_span span)
{
  r->logw = -INFINITY;
  r->wait = WAIT_NONE;
  r->nhold = 0;
  r->finished = true;
  *ev = (norn_event){
      .kind = NORN_DEAD, .value = norn_real(-INFINITY), .count = 1, .span = seen_at(r, span)};
  return DEAD;
}

/* ---- CHECK: each address once ---- */

static bool is_taken(const struct seen *s) { return s->span.file || s->addr; }

static struct seen *seen_find(struct seen *table, uint32_t mask, uint64_t addr)
{
  size_t k = addr & mask;
  while (is_taken(&table[k]) && table[k].addr != addr) k = (k + 1) & mask;
  return &table[k];
}

static bool seen_grow(norn_run *r)
{
  norn_state *st = r->st;
  size_t old = r->seen ? (size_t)r->seen_mask + 1 : 0, cap = old ? 2 * old : 32;
  if (2 * (size_t)(r->nseen + 1) <= old) return true;
  struct seen *table = mem_zero(&st->mem, cap * sizeof *table);
  if (!table) {
    state_memory(st);
    return false;
  }
  for (size_t i = 0; i < old; i++)
    if (is_taken(&r->seen[i])) *seen_find(table, (uint32_t)cap - 1, r->seen[i].addr) = r->seen[i];
  mem_put(&st->mem, r->seen, old * sizeof *table);
  r->seen = table;
  r->seen_mask = (uint32_t)cap - 1;
  return true;
}

bool event_seen(norn_run *r, uint64_t addr, norn_span span)
{
  if (!seen_grow(r)) return false;
  struct seen *s = seen_find(r->seen, r->seen_mask, addr);
  s->addr = addr;
  s->span = span;
  r->nseen++;
  return true;
}

static bool check_address(norn_run *r, uint64_t addr, norn_span span)
{
  norn_state *st = r->st;
  char name[128], where[160];
  bool full = r->nseen >= SEEN_MAX;
  if (!full && !seen_grow(r)) return false;
  struct seen *s = seen_find(r->seen, r->seen_mask, addr);
  if (is_taken(s)) {
    norn_fail(st, NORN_EINFER, -1, "the choice %s is made twice in one run: first at %s",
              norn_addr_name(st, addr, name, sizeof name),
              norn_span_text(st, s->span, where, sizeof where));
    norn_hint(st, "give the second another name: let x ~ d as \"other\"");
    return false;
  }
  if (full) return true;
  s->addr = addr;
  s->span = span;
  r->nseen++;
  return true;
}

/* ---- what all events share ---- */

/* The parameters are wrong.  Where they can depend on random choices the run has weight 0, else it
   is an error. */
static int bad_parameters(norn_run *r, norn_event *ev, norn_span span)
{
  if ((r->flags & (NORN_RUN_SCORE | NORN_RUN_DOMAIN)) && r->nsample > 0 && r->st->err.code == NORN_EDOMAIN) {
    const ins *pc = r->pc;
    run_fail(r, pc, r->st->err_arg);
    return dead(r, ev, span);
  }
  return FAILED;
}

/* Notes, for all runs that share the scope, that one met the name. */
static void note_met(const scope *s, const scope_fix *fix)
{
  norn_view v;
  if (norn_array_view(s->seen_by, &v) && fix->key < v.n)
    __atomic_store_n((int64_t *)(uintptr_t)v.i + fix->key, 1, __ATOMIC_RELAXED);
}

static scope_fix *scope_find(const norn_run *r, uint64_t addr)
{
  for (scope *s = r->scope.tag == NORN_UNIT ? NULL : r->scope.p; s; s = s->up)
    for (uint32_t i = 0; i < s->h.n; i++)
      if (s->fix[i].addr == addr && s->fix[i].what != FIX_OBSERVED) {
        note_met(s, &s->fix[i]);
        return s->fix + i;
      }
  return NULL;
}

bool event_is_fixed(const norn_run *r, uint64_t addr) { return scope_find(r, addr) != NULL; }

/* The run stands still until dst has its answer. */
static int stop(norn_run *r, norn_event *ev, val *dst, int wait)
{
  r->wait = (uint8_t)wait;
  r->answered = false;
  r->ans = (uint32_t)(dst - r->R);
  ev->count = 1;
  return STOP;
}

/* ---- rows that get ready for many at once ---- */

/* Shall the run stand still before this event?  Once: the instruction runs again, and then it has stood. */
static bool is_due(norn_run *r, const norn_dist *d, const norn_dist *q)
{
  if (NORN_LIKELY(!(r->flags & (NORN_RUN_READY | RUN_IS_READY)))) return false;
  if (!d->row->ready && !(q && q->row->ready)) return false;
  bool stood = r->flags & RUN_IS_READY;
  r->flags &= ~RUN_IS_READY;
  return !stood && r->flags & NORN_RUN_READY;
}

/* y: the observed value; NONE of a sample. */
static int stand_ready(norn_run *r, norn_event *ev, const norn_dist *d, const norn_dist *q, val y, uint64_t addr,
                       norn_span at, unsigned flags)
{
  r->flags |= RUN_IS_READY;
  r->d1 = *d;
  if (q) r->d2 = *q;
  else r->d2.row = NULL;
  if (V_IS_HEAP(y)) {
    r->value = y;
    r->rare = true;
  }
  *ev = (norn_event){.kind = NORN_READY,
                     .flags = flags,
                     .addr = addr,
                     .ordinal = norn_is_none(y) ? r->nsample : r->nobserve,
                     .count = 1,
                     .dist = &r->d1,
                     .proposal = q ? &r->d2 : NULL,
                     .value = y,
                     .span = seen_at(r, at)};
  r->wait = WAIT_NONE;
  return STOP;
}

/* ---- weights and observations ---- */

/* A stop that wants no answer: value is what was observed, or the log weight. */
static int stop_weighed(norn_run *r, norn_event *ev, val value, uint64_t span, unsigned flags)
{
  *ev = (norn_event){.kind = NORN_OBSERVE,
                     .flags = flags,
                     .value = value,
                     .ordinal = r->nobserve - 1,
                     .count = 1,
                     .span = seen_at(r, span_unpack(span))};
  r->wait = WAIT_NONE;
  r->nhold = 0;
  return STOP;
}

int event_weight(norn_run *r, norn_event *ev, val w, double lw, uint64_t span, unsigned flags)
{
  r->nobserve++;
  if (r->flags & NORN_RUN_SCORE) {
    r->logw += lw;
    if (lw == -INFINITY) {
      norn_clear(r->st);
      return dead(r, ev, span_unpack(span));
    }
    if (!(r->flags & NORN_RUN_STOP)) return IN_PLACE;
    run_next_iteration(r);
  } else if (in_model(r)) {
    flags |= NORN_EV_IN_MODEL;
  }
  if (V_IS_HEAP(w)) {
    r->value = w;
    r->rare = true;
  }
  return stop_weighed(r, ev, w, span, flags);
}

/* ---- twist ----

   Between its barriers a run may have a weight that is a guess of what is to come; the next twist and the end take
   it back, so nothing of it is left in the weight of a whole run: who does not stop (NORN_RUN_STOP) passes it over.
   It stands in mem's table, under a key that no call has, and so goes wherever a run's state goes. */

static double twist_of(const norn_run *r)
{
  val key = norn_unit(), x = r->memo.tag == NORN_MAP ? hamt_get(r->memo, key, value_hash(key)) : norn_none();
  return V_IS_REAL(x) ? x.d : 0;
}

static bool is_twisted(const norn_run *r)
{
  return (r->flags & (NORN_RUN_SCORE | NORN_RUN_STOP)) == (NORN_RUN_SCORE | NORN_RUN_STOP);
}

int event_twist(norn_run *r, norn_event *ev, double lw, uint64_t span)
{
  norn_state *st = r->st;
  val key = norn_unit(), table;
  if (r->top || r->sealed)                       /* outside of an inference, as factor */
    return event_weight(r, ev, norn_real(lw), lw, span, NORN_EV_FACTOR | NORN_EV_TWIST);
  if (!is_twisted(r)) return IN_PLACE;
  double was = twist_of(r);
  table = r->memo.tag == NORN_MAP ? r->memo : hamt_new(st);
  if (!norn_is_none(table)) table = hamt_put(st, table, key, value_hash(key), norn_real(lw));
  if (norn_is_none(table)) return FAILED;
  r->memo = table;
  r->rare = true;
  return event_weight(r, ev, norn_real(lw - was), lw - was, span, NORN_EV_FACTOR | NORN_EV_TWIST);
}

void event_untwist(norn_run *r)
{
  if (is_twisted(r)) r->logw -= twist_of(r);
}

int event_lanes(norn_run *r, norn_event *ev, val w, uint64_t span, unsigned flags)
{
  if (r->flags & NORN_RUN_SIMULATE) {
    lanes_alone(r->st, "factor or condition, which can't be simulated");
    return FAILED;
  }
  if (!lanes_weight(r, w)) return FAILED;
  r->nobserve++;
  run_next_iteration(r);
  return stop_weighed(r, ev, norn_unit(), span, flags);
}

/* factor of a node: only those who record drive such runs. */
int event_node_weight(norn_run *r, norn_event *ev, val lw, uint64_t span)
{
  unsigned flags = NORN_EV_FACTOR;
  r->nobserve++;
  if (in_model(r)) flags |= NORN_EV_IN_MODEL;
  return stop_weighed(r, ev, lw, span, flags);
}

/* An observation of log density lp. */
static int weigh(norn_run *r, norn_event *ev, val *dst, val y, double lp, uint64_t span, unsigned flags)
{
  norn_state *st = r->st;
  r->logw += lp;
  if (lp != lp) {
    norn_fail(st, NORN_EDOMAIN, -1, "the log density of this observation is not a number");
    return FAILED;
  }
  if (lp == -INFINITY) {
    norn_clear(st);
    return dead(r, ev, span_unpack(span));
  }
  *dst = y;
  r->nhold = 0;
  if (!(r->flags & NORN_RUN_STOP)) return IN_PLACE;
  run_next_iteration(r);
  if (V_IS_HEAP(y)) {
    r->value = y;
    r->rare = true;
  }
  return stop_weighed(r, ev, y, span, flags);
}

/* SCORE: the run weighs its observation itself. */
static int score(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, val y, uint64_t span,
                 unsigned flags)
{
  norn_state *st = r->st;
  double lp;
  if (!norn_dist_logp(st, d, y, &lp)) return weigh(r, ev, dst, y, lp, span, flags);
  if (st->err_arg < 0) st->err_arg = d->n;
  return FAILED;
}

/* The value that stands in the place of an observation (_observing); false: error set.  Keys stand
   in the order in which the observations came when they were made, factors not counted: so its own
   is at or before where the run is now. */
static bool replace(norn_run *r, val *y, uint64_t comp, uint64_t span)
{
  int64_t key = (int64_t)hash_observation(addr_event(r->addr, comp), span_unpack(span));
  norn_view k;
  bool any = false;
  for (scope *s = r->scope.tag == NORN_UNIT ? NULL : r->scope.p; s; s = s->up)
    for (uint32_t i = 0; i < s->h.n; i++) {
      if (s->fix[i].what != FIX_OBSERVED) continue;
      any = true;
      norn_array_view(norn_record_get(r->st, s->fix[i].value, "keys"), &k);
      for (int64_t j = 0, at = r->nobserve; j < k.n; j++, at--) {
        at = at < 0 || at >= k.n ? k.n - 1 : at;
        if (k.i[at] != key) continue;
        *y = norn_array_at(r->st, norn_record_get(r->st, s->fix[i].value, "values"), at);
        return true;
      }
    }
  if (!any) return true;                         /* outside of the model that has them */
  norn_fail(r->st, NORN_EINFER, -1, "this observation is not among the simulated ones");
  norn_hint(r->st, "the model must observe the same in every run: no observe in a branch or a loop "
            "that depends on choices");
  return false;
}

static bool holds_lanes(const norn_dist *d, val y)
{
  bool any = lanes_inside(y);
  for (int i = 0; i < d->n; i++) any |= lanes_inside(d->args[i]);
  return any;
}

/* In a way that is not gone here parameters may be anything: where it is gone the recording sees to them. */
static bool way_sees_to(const norn_run *r, const norn_dist *d)
{
  if (!(r->flags & RUN_IS_WAY) || !(d->row->flags & NORN_DIST_SCALAR)) return false;
  for (int i = 0; i < d->n; i++)
    if (norn_has_node(d->args[i])) return true;
  return false;
}

int event_observe(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, val y, uint64_t comp,
                  uint64_t span, unsigned flags)
{
  norn_state *st = r->st;
  if (y.tag == NORN_MISSING)
    return event_sample(r, ev, dst, d, NULL, comp, span, NORN_EV_MISSING);
  if (r->flags & NORN_RUN_SIMULATE && !(flags & NORN_EV_REREAD)) {
    if (!(r->flags & RUN_LANES) && !r->dist_in_reg && norn_dist_check(st, d))
      return bad_parameters(r, ev, span_unpack(span));
    return event_simulate(r, ev, dst, d, addr_event(r->addr, comp), span_unpack(span), flags, true);
  }
  if (r->flags & RUN_REPLACED && !replace(r, &y, comp, span)) return FAILED;
  if (y.tag == NORN_MISSING) {                   /* replaced by nothing: hidden (diagnose) */
    r->nobserve++;
    int k = event_sample(r, ev, dst, d, NULL, comp, span, NORN_EV_MISSING);
    if (k == STOP && ev->kind == NORN_READY) r->nobserve--;      /* it happens again */
    return k;
  }
  if (r->flags & RUN_LANES && holds_lanes(d, y)) {
    if (!lanes_observe(r, d, y)) return FAILED;
    r->nobserve++;
    run_next_iteration(r);
    *dst = y;
    return stop_weighed(r, ev, norn_unit(), span, flags);
  }
  if (v_is_random(y) && norn_is_none(y = delayed_look(st, y))) return FAILED;
  norn_dist own;
  bool random = r->flags & NORN_RUN_DELAY && delayed_args(r, d);
  if (random && r->dist_in_reg) {                  /* others may have the same: what is drawn is put in a copy */
    if (!delayed_own_dist(r, &own)) return FAILED;
    d = &own;
  }
  if (!random && !r->dist_in_reg && !way_sees_to(r, d) && norn_dist_check(st, d))
    return bad_parameters(r, ev, span_unpack(span));
  if (!random && is_due(r, d, NULL))
    return stand_ready(r, ev, d, NULL, y, addr_event(r->addr, comp), span_unpack(span), flags);
  r->nobserve++;
  if (random) {
    double lp;
    int k = delayed_observe(r, d, y, &lp);
    if (k) return k < 0 ? FAILED : weigh(r, ev, dst, y, lp, span, flags);
    if (norn_dist_check(st, d)) return bad_parameters(r, ev, span_unpack(span));
  }
  if (r->flags & NORN_RUN_SCORE) return score(r, ev, dst, d, y, span, flags);
  r->d1 = *d;
  r->value = y;
  r->rare = true;
  if (in_model(r)) flags |= NORN_EV_IN_MODEL;
  if (comp && r->flags & NORN_RUN_NAMES) addr_note(st, addr_event(r->addr, comp), r->addr, comp);
  *ev = (norn_event){.kind = NORN_OBSERVE,
                     .flags = flags,
                     .addr = addr_event(r->addr, comp),
                     .ordinal = r->nobserve - 1,
                     .dist = &r->d1,
                     .value = y,
                     .span = span_unpack(span)};
  return stop(r, ev, dst, WAIT_OBSERVE);
}

/* ---- choices ---- */

/* DRAW: from the prior, or from the proposal q, which weighs. */
static int draw(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, const norn_dist *q,
                uint64_t addr, norn_span span)
{
  norn_state *st = r->st;
  norn_rng g = {r->stream, r->lane, (uint32_t)(addr ^ addr >> 32), r->iter, 0, st->pairs};
  val x;
  double lp, lq;
  if (norn_dist_sample(st, q ? q : d, &g, &x)) return FAILED;
  if (q) {
    if (norn_dist_logp(st, d, x, &lp) || norn_dist_logp(st, q, x, &lq)) return FAILED;
    r->logw += lp - lq;
    if (lp == -INFINITY) {
      norn_clear(st);
      return dead(r, ev, span);
    }
  }
  *dst = x;
  r->nhold = 0;
  return IN_PLACE;
}

/* A choice that do() or given() has fixed. */
static int fixed(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, const scope_fix *fix,
                 uint64_t comp, uint64_t span)
{
  if (fix->what == FIX_DO) {
    *dst = fix->value;
    r->nhold = 0;
    return IN_PLACE;
  }
  int k = event_observe(r, ev, dst, d, fix->value, comp, span, NORN_EV_GIVEN);
  if (k == STOP) ev->addr = addr_event(r->addr, comp);
  return k;
}

/* ---- who is asked (NORN_RUN_ASKS) ---- */

void norn_choices_attach(norn_state *st, norn_choice_asked f, void *user)
{
  st->asked = f;
  st->asked_user = user;
}

/* IN_PLACE: *dst is what was said; STOP: the run draws. */
static int ask(norn_run *r, val *dst, const norn_dist *d, const norn_dist *q, uint64_t addr, norn_span at)
{
  norn_state *st = r->st;
  group *g = r->flags & RUN_LANES ? st->lanes : NULL;
  bool first = g ? lane_at(g, 0) == 0 : r->lane == 0;
  if (g && holds_lanes(d, norn_unit())) first = false;
  else if (g && !r->dist_in_reg && norn_dist_check(st, d)) return FAILED;      /* they say so alone */
  const norn_event e = {.kind = NORN_SAMPLE, .addr = addr, .ordinal = r->nsample, .count = 1, .dist = d, .proposal = q,
                        .span = seen_at(r, at)};
  uint32_t lane = r->lane;
  val x = norn_none();
  if (!st->asked) return norn_fail(st, NORN_EUSE, -1, "a choice about which nobody can be asked"), FAILED;
  if (first) r->lane = 0;
  norn_asked said = st->asked(st->asked_user, r, &e, first, &x);
  r->lane = lane;
  if (said == NORN_ASKED_DRAW) return STOP;
  if (said == NORN_ASKED_FAILED) {
    if (g) g->want = WANT_ERROR;
    return FAILED;
  }
  *dst = x;
  r->nhold = 0;
  return IN_PLACE;
}

/* Would the choice of lanes be drawn? */
static bool is_drawn(norn_run *r, const norn_dist *d, uint64_t addr)
{
  const norn_event e = {.kind = NORN_SAMPLE, .addr = addr, .count = 1, .dist = d};
  return r->st->asked && r->st->asked(r->st->asked_user, r, &e, false, NULL) == NORN_ASKED_DRAW;
}

/* A choice of all lanes of a group. */
static int in_lanes(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, const norn_dist *q,
                    uint64_t addr, norn_span at, unsigned flags)
{
  bool simulates = r->flags & NORN_RUN_SIMULATE;
  if (simulates) q = NULL;
  bool asks = r->flags & NORN_RUN_ASKS;
  if ((q && !asks) || r->scope.tag != NORN_UNIT) {
    lanes_alone(r->st, q ? "a choice with a proposal (via)" : "given() or do()");
    return FAILED;
  }
  if (r->flags & NORN_RUN_CHECK && r->nsample == r->nseen && !check_address(r, addr, at)) {
    r->st->lanes->want = WANT_ERROR;
    return FAILED;
  }
  if (simulates) return event_simulate(r, ev, dst, d, addr, at, flags, false);
  int said = asks ? ask(r, dst, d, q, addr, at) : STOP;
  if (said == FAILED) return FAILED;
  if (said == STOP && q) lanes_alone(r->st, "a choice with a proposal (via)");
  if (said == STOP && (q || !lanes_sample(r, dst, d, (uint32_t)(addr ^ addr >> 32), NULL))) return FAILED;
  r->nsample++;
  r->nhold = 0;
  return IN_PLACE;
}

bool event_sample_some(norn_run *r, val *dst, const norn_dist *d, uint64_t addr)
{
  if (r->scope.tag != NORN_UNIT || r->flags & NORN_RUN_SIMULATE) return false;   /* who tells must know whose */
  if (r->flags & NORN_RUN_ASKS && !is_drawn(r, d, addr)) return false;
  return lanes_sample(r, dst, d, (uint32_t)(addr ^ addr >> 32), NULL);
}

bool event_met(const norn_run *r, uint64_t addr)
{
  return r->flags & NORN_RUN_CHECK && r->seen && is_taken(seen_find(r->seen, r->seen_mask, addr));
}

/* Duplicates among them are left to check_address, too: the way is gone again by lanes that part. */
bool event_chosen(norn_run *r, const event_place *e, int n)
{
  if (!(r->flags & NORN_RUN_CHECK) || r->nsample != r->nseen) return true;
  if (r->nseen + (uint32_t)n > SEEN_MAX) return true;
  for (int i = 0; i < n; i++) {
    if (event_met(r, e[i].addr)) return false;
    for (int k = 0; k < i; k++)
      if (e[k].addr == e[i].addr) return false;
  }
  for (int i = 0; i < n; i++, r->nsample++)
    if (!event_seen(r, e[i].addr, e[i].span)) return false;
  return true;
}

int event_sample(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, const norn_dist *q,
                 uint64_t comp, uint64_t span, unsigned flags)
{
  norn_state *st = r->st;
  uint64_t addr = addr_event(r->addr, comp);
  norn_span at = span_unpack(span);
  if (r->flags & RUN_LANES) {
    if (r->flags & NORN_RUN_NAMES && comp) addr_note(st, addr, r->addr, comp);
    return in_lanes(r, ev, dst, d, q, addr, at, flags);
  }
  norn_dist own;
  bool random = r->flags & NORN_RUN_DELAY && delayed_args(r, d);
  if (random && r->dist_in_reg) {                  /* as in event_observe */
    if (!delayed_own_dist(r, &own)) return FAILED;
    d = &own;
  }
  if (!random && !r->dist_in_reg && norn_dist_check(st, d)) return bad_parameters(r, ev, at);
  bool simulates = r->flags & NORN_RUN_SIMULATE;
  if (NORN_UNLIKELY(r->flags & (NORN_RUN_READY | RUN_IS_READY)) && !random && !simulates && !scope_find(r, addr) &&
      is_due(r, d, q))
    return stand_ready(r, ev, d, q, norn_none(), addr, at, flags);
  if (comp && r->flags & NORN_RUN_NAMES) addr_note(st, addr, r->addr, comp);
  /* what given() has fixed stands still as an observation, behind this check: it is not met twice */
  bool stood = r->flags & RUN_IS_READY;
  if (r->flags & NORN_RUN_CHECK && !stood && !check_address(r, addr, at)) return FAILED;
  const scope_fix *fix = scope_find(r, addr);
  if (fix) return fixed(r, ev, dst, d, fix, comp, span);
  if (simulates) return event_simulate(r, ev, dst, d, addr, at, flags, false);
  r->nsample++;
  if (q && norn_dist_flags(d) & NORN_DIST_IMPROPER) r->flags |= NORN_RUN_IMPROPER;
  if (r->flags & NORN_RUN_DELAY && !q) {
    int k = delayed_sample(r, dst, d, addr);
    if (k > 0) r->nhold = 0;
    if (k) return k < 0 ? FAILED : IN_PLACE;
    if (random && norn_dist_check(st, d)) return bad_parameters(r, ev, at);
  }
  if (r->flags & NORN_RUN_ASKS) {
    int said = ask(r, dst, d, q, addr, at);
    if (said != STOP) return said;
  }
  if (r->flags & NORN_RUN_DRAW) return draw(r, ev, dst, d, q, addr, at);
  r->d1 = *d;
  if (q) r->d2 = *q;
  else r->d2.row = NULL;
  *ev = (norn_event){.kind = NORN_SAMPLE,
                     .flags = flags,
                     .addr = addr,
                     .ordinal = r->nsample - 1,
                     .dist = &r->d1,
                     .proposal = q ? &r->d2 : NULL,
                     /* (hash_observation wants the place itself) */
                     .span = flags & NORN_EV_MISSING ? at : seen_at(r, at)};
  return stop(r, ev, dst, WAIT_SAMPLE);
}

/* A model value is sampled inside a run: its body gets a window of its own at W; its choices the
   prefix `path`. */
norn_status model_enter(norn_run *r, val *W, val model, uint64_t path, const proto **out)
{
  norn_state *st = r->st;
  const modl *m = model.p;
  const proto *p = v_clo(m->a[0])->p;
  if ((char *)W + p->bytes > (char *)r->lim && !(W = run_grow(r, W, p->bytes))) return st->err.code;
  if (m->a[1].tag != NORN_UNIT) {
    scope *up = r->scope.tag == NORN_UNIT ? NULL : r->scope.p, *s = scope_enter(st, m, up, path);
    if (!s) return st->err.code;
    r->scope = v_obj(V_SCOPE, s);
    r->rare = true;
    if (scope_replaces(s)) r->flags |= RUN_REPLACED;
  }
  int n = (int)m->h.n - 2;
  W[-1] = m->a[0];
  for (int i = 0; i < p->nargs; i++) W[i] = i < n ? m->a[2 + i] : norn_none();
  r->addr = path;
  *out = p;
  return NORN_OK;
}

/* ---- mem ---- */

/* An array of values, never packed: the identity would become a real beside one. */
val memo_key(norn_state *st, const val *args, int n, val id)
{
  const int64_t dims = n + 1;
  void *at;
  val key = norn_array(st, NORN_VALUES, 1, &dims, &at);
  if (norn_is_none(key)) return key;
  if (n) memcpy(at, args, (size_t)n * sizeof *args);
  for (int i = 0; latent_on(st) && i < n; i++) {
    ((val *)at)[i] = norn_force(st, args[i]);
    if (norn_is_none(((val *)at)[i])) return norn_none();
  }
  ((val *)at)[n] = id;
  return key;
}

/* mem(f): a closure over f and an identity.  Inside a run the identity is the path and the name or
   number of the mem, so that it is the same in every run; outside, a counter. */
val memo_new(norn_run *r, val f)
{
  norn_state *st = r->st;
  if (f.tag != NORN_FUN || v_clo(f)->p->is_model) {
    vm_want(st, 0, "mem needs a function", f);
    return norn_none();
  }
  int n = v_clo(f)->p->nargs;
  if (n > 8) {
    norn_fail(st, NORN_ETYPE, 0, "mem takes functions of at most 8 arguments, got one of %d", n);
    return norn_none();
  }
  if (st->home && r->top) return state_at_home(st);
  proto *p = memo_stub(st, n);
  clo *c = p ? heap_alloc(st, sizeof *c + 2 * sizeof(val)) : NULL;
  if (!c) return state_memory(st);
  obj_init(c, NORN_FUN, 0, 2);
  c->p = p;
  uint64_t up = r->top ? hash_mix(++st->mem_ids) : r->addr, comp = r->pc[1].u;
  uint64_t at = addr_push(up, comp);
  if (r->top || r->flags & NORN_RUN_NAMES) addr_note(st, at, r->top ? 0 : r->addr, comp);
  c->cap[0] = f;
  c->cap[1] = norn_int((int64_t)at);
  return v_obj(NORN_FUN, c);
}
