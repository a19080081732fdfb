/* event.c: what happens at sample, observe, factor, condition: answered in place where the run's
   flags say so, turned into something else by given() and do(), else handed to whoever drives. */
#include "lang/run.h"
#include <math.h>
#include <string.h>

enum { IN_PLACE = 0, STOP = 1, FAILED = -1, DEAD = 2 };

/* Is the run inside a model that it entered itself? */
static bool in_model(const norn_run *r)
{
  const val *R = r->R;
  for (;;) {
    const ins *pc = FRAME_PC(R - FRAME_SIZE);
    if (pc == run_halt_code) return false;
    if (v_clo(R[-1])->p->is_model) return true;
    if (FRAME_DIST(R - FRAME_SIZE) == 0) return false;
    R = (const val *)((const char *)R - FRAME_DIST(R - FRAME_SIZE));
  }
}

static int dead(norn_run *r, norn_event *ev, norn_span span)
{
  r->logw = -INFINITY; r->wait = WAIT_NONE; r->nhold = 0; r->finished = true;
  *ev = (norn_event){ .kind = NORN_DEAD, .value = norn_real(-INFINITY), .count = 1, .span = span };
  return DEAD;
}

/* CHECK: each address once. */
static bool check_address(norn_run *r, uint64_t addr, norn_span span)
{
  norn_state *st = r->st;
  if (2 * (r->nseen + 1) > r->seen_mask + (r->seen != NULL)) {
    size_t old = r->seen ? r->seen_mask + 1 : 0, cap = old ? 2 * old : 32;
    struct seen *s = mem_zero(&st->mem, cap * sizeof *s);
    if (!s) { state_memory(st); return false; }
    for (size_t i = 0; i < old; i++) if (r->seen[i].span.file || r->seen[i].addr) {
      size_t k = r->seen[i].addr & (cap - 1);
      while (s[k].span.file || s[k].addr) k = (k + 1) & (cap - 1);
      s[k] = r->seen[i];
    }
    if (r->seen) mem_put(&st->mem, r->seen, old * sizeof *s);
    r->seen = s; r->seen_mask = cap - 1;
  }
  size_t k = addr & r->seen_mask;
  for (; r->seen[k].span.file || r->seen[k].addr; k = (k + 1) & r->seen_mask) if (r->seen[k].addr == addr) {
    char name[128], where[160];
    norn_fail(st, NORN_EINFER, -1, "the choice %s is made twice in one run: first at %s",
              norn_addr_name(st, addr, name, sizeof name), norn_span_text(st, r->seen[k].span, where, sizeof where));
    norn_hint(st, "give the second another name: let x ~ d as \"other\"");
    return false;
  }
  r->seen[k].addr = addr; r->seen[k].span = span; r->nseen++;
  return true;
}

/* The parameters are wrong.  Where they can depend on random choices the run has weight 0, else it is an error. */
static int bad_parameters(norn_run *r, norn_event *ev, norn_span span)
{
  if ((r->flags & NORN_RUN_SCORE) && r->nsample > 0 && r->st->err.code == NORN_EDOMAIN) {
    const ins *pc = r->pc;
    run_fail(r, pc, r->st->err_arg);
    return dead(r, ev, span);
  }
  return FAILED;
}

static scope_fix *scope_find(const norn_run *r, uint64_t addr)
{
  for (scope *s = r->scope.tag == NORN_UNIT ? NULL : r->scope.p; s; s = s->up)
    for (uint32_t i = 0; i < s->h.n; i++) if (s->fix[i].addr == addr) {
      norn_view v;                                                   /* shared by all runs: which names were met */
      if (norn_array_view(s->seen_by, &v) && s->fix[i].key < v.n) ((int64_t *)(uintptr_t)v.i)[s->fix[i].key] = 1;
      return s->fix + i;
    }
  return NULL;
}

static int stop(norn_run *r, norn_event *ev, val *dst, int wait)
{
  r->wait = wait; r->answered = false; r->ans = (uint32_t)(dst - r->R);
  ev->count = 1;
  return STOP;
}

int event_weight(norn_run *r, norn_event *ev, double lw, uint64_t span, unsigned flags)
{
  r->nobserve++;
  if (r->flags & NORN_RUN_SCORE) {
    r->logw += lw;
    if (lw == -INFINITY) { norn_clear(r->st); return dead(r, ev, span_unpack(span)); }
    if (!(r->flags & NORN_RUN_STOP)) return IN_PLACE;
    r->iter++;
  }
  *ev = (norn_event){ .kind = NORN_OBSERVE, .flags = flags, .value = norn_real(lw), .ordinal = r->nobserve - 1, .count = 1, .span = span_unpack(span) };
  if (!(r->flags & NORN_RUN_SCORE) && in_model(r)) ev->flags |= NORN_EV_IN_MODEL;
  r->wait = WAIT_NONE; r->nhold = 0;
  return STOP;
}

int event_observe(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, val y, uint64_t comp, uint64_t span, unsigned flags)
{
  norn_state *st = r->st;
  if (y.tag == NORN_MISSING) return event_sample(r, ev, dst, d, NULL, comp, span, NORN_EV_MISSING);
  if (!r->dist_in_reg && norn_dist_check(st, d)) return bad_parameters(r, ev, span_unpack(span));
  r->nobserve++;
  if (r->flags & NORN_RUN_SCORE) {
    double lp;
    if (norn_dist_logp(st, d, y, &lp)) { if (st->err_arg < 0) st->err_arg = d->n; return FAILED; }
    r->logw += lp;
    if (!(lp > -INFINITY)) {
      if (lp != lp) { norn_fail(st, NORN_EDOMAIN, -1, "the log density of this observation is not a number"); return FAILED; }
      norn_clear(st);
      return dead(r, ev, span_unpack(span));
    }
    *dst = y;
    if (!(r->flags & NORN_RUN_STOP)) return IN_PLACE;
    r->iter++;
    *ev = (norn_event){ .kind = NORN_OBSERVE, .flags = flags, .value = y, .ordinal = r->nobserve - 1, .count = 1, .span = span_unpack(span) };
    r->wait = WAIT_NONE; r->nhold = 0;
    if (V_IS_HEAP(y)) { r->value = y; r->rare = true; }
    return STOP;
  }
  r->d1 = *d; r->value = y; r->rare = true;
  *ev = (norn_event){ .kind = NORN_OBSERVE, .flags = flags, .addr = addr_event(r->addr, comp), .ordinal = r->nobserve - 1,
                      .dist = &r->d1, .value = y, .span = span_unpack(span) };
  if (in_model(r)) ev->flags |= NORN_EV_IN_MODEL;
  return stop(r, ev, dst, WAIT_OBSERVE);
}

static int draw(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, const norn_dist *q, uint64_t addr, norn_span span)
{
  norn_state *st = r->st;
  norn_rng g = { r->stream, r->lane, (uint32_t)(addr ^ addr >> 32), r->iter, 0, r->st->pairs };
  val x; double lp, lq;
  if (norn_dist_sample(st, q ? q : d, &g, &x)) return FAILED;
  if (q) {
    if (norn_dist_logp(st, d, x, &lp) || norn_dist_logp(st, q, x, &lq)) return FAILED;
    r->logw += lp - lq;
    if (lp == -INFINITY) { norn_clear(st); return dead(r, ev, span); }
  }
  *dst = x; r->nhold = 0;
  return IN_PLACE;
}

int event_sample(norn_run *r, norn_event *ev, val *dst, const norn_dist *d, const norn_dist *q, uint64_t comp, uint64_t span, unsigned flags)
{
  norn_state *st = r->st;
  uint64_t addr = addr_event(r->addr, comp);
  norn_span at = span_unpack(span);
  if (!r->dist_in_reg && norn_dist_check(st, d)) return bad_parameters(r, ev, at);
  if (comp && r->flags & NORN_RUN_NAMES) addr_note(st, addr, r->addr, comp);
  if (r->flags & NORN_RUN_CHECK && !check_address(r, addr, at)) return FAILED;
  scope_fix *fix = r->scope.tag == NORN_UNIT ? NULL : scope_find(r, addr);
  if (fix && fix->is_do) { *dst = fix->value; r->nhold = 0; return IN_PLACE; }
  if (fix) {
    int k = event_observe(r, ev, dst, d, fix->value, comp, span, NORN_EV_GIVEN);
    if (k == STOP) ev->addr = addr;
    return k;
  }
  r->nsample++;
  if (q && norn_dist_flags(d) & NORN_DIST_IMPROPER) r->flags |= NORN_RUN_IMPROPER;
  if (r->flags & NORN_RUN_DRAW) return draw(r, ev, dst, d, q, addr, at);
  r->d1 = *d;
  if (q) r->d2 = *q; else r->d2.row = NULL;
  *ev = (norn_event){ .kind = NORN_SAMPLE, .flags = flags, .addr = addr, .ordinal = r->nsample - 1, .dist = &r->d1,
                      .proposal = q ? &r->d2 : NULL, .span = at };
  return stop(r, ev, dst, WAIT_SAMPLE);
}

/* A model value is sampled inside a run: its body gets a window of its own at W; its choices the prefix `path`. */
norn_status model_enter(norn_run *r, val *W, val model, uint64_t path, const proto **out)
{
  norn_state *st = r->st;
  modl *m = model.p;
  const proto *p = v_clo(m->a[0])->p;
  if ((char *)W + p->bytes > (char *)r->lim && !(W = run_grow(r, W, p->bytes))) return st->err.code;
  if (m->a[1].tag != NORN_UNIT) {
    scope *up = r->scope.tag == NORN_UNIT ? NULL : r->scope.p, *s = scope_enter(st, m, up, path);
    if (!s) return st->err.code;
    r->scope = v_obj(V_SCOPE, s); r->rare = true;
  }
  int n = (int)m->h.n - 2;
  W[-1] = m->a[0];
  for (int i = 0; i < p->nargs; i++) W[i] = i < n ? m->a[2 + i] : norn_none();
  r->addr = path; *out = p;
  return NORN_OK;
}

/* An array of values, never packed: the identity would become a real beside one. */
val memo_key(norn_state *st, const val *args, int n, val id)
{
  const int64_t dims = n + 1;
  void *at;
  val key = norn_array(st, NORN_VALUES, 1, &dims, &at);
  if (norn_is_none(key)) return key;
  if (n) memcpy(at, args, (size_t)n * sizeof *args);
  ((val *)at)[n] = id;
  return key;
}

/* mem(f): a closure over f and an identity.  Inside a run the identity is the path and the name or number
   of the mem, so that it is the same in every run; outside, a counter. */
val memo_new(norn_run *r, val f)
{
  norn_state *st = r->st;
  char b[96];
  if (f.tag != NORN_FUN || v_clo(f)->p->is_model) { norn_fail(st, NORN_ETYPE, 0, "mem needs a function, got %s", norn_describe(st, f, b, sizeof b)); return norn_none(); }
  int n = v_clo(f)->p->nargs;
  if (n > 8) { norn_fail(st, NORN_ETYPE, 0, "mem takes functions of at most 8 arguments, got one of %d", n); return norn_none(); }
  proto *p = memo_stub(st, n);
  clo *c = p ? heap_alloc(st, sizeof *c + 2 * sizeof(val)) : NULL;
  if (!c) return state_memory(st);
  c->h.kind = NORN_FUN; c->h.aux = 0; c->h.n = 2; c->p = p;
  uint64_t comp = r->pc[1].u, at = addr_push(r->top ? hash_mix(++st->mem_ids) : r->addr, comp);
  if (r->top || r->flags & NORN_RUN_NAMES) addr_note(st, at, r->top ? 0 : r->addr, comp);
  c->cap[0] = f;
  c->cap[1] = norn_int((int64_t)at);
  return v_obj(NORN_FUN, c);
}
