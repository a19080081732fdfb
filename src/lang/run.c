/* run.c: runs as data: making, growing, forking, freeing them, and showing their roots to the
   collector.

   A minor collection looks only at runs that ran since the last one (the dirty list), and in each
   stack only at frames above the WATER mark: below it nothing ran, so all it refers to is old
   already.  Scanning whole stacks each time is quadratic in depth. */
#include "lang/run.h"
#include "lang/symbolic/delayed.h"
#include "lang/value/array.h"
#include <stddef.h>
#include <string.h>

const ins run_halt_code[1] = {{{OP_HALT, 0, 0, 0}}};
const ins run_water_code[1] = {{{OP_WATER, 0, 0, 0}}};

/* ---- making and keeping runs ---- */

/* Size classes of stacks in place: 8, 12, ..., 64 values, then powers of two. */
enum { CLASS_FINE = 14, CLASS_MAX = 23 };
_Static_assert(RUN_SLOTS_MAX == 64 << (CLASS_MAX - CLASS_FINE), "the largest class");
static size_t class_slots(int c)
{
  return c <= CLASS_FINE ? 8 + 4 * (size_t)c : (size_t)64 << (c - CLASS_FINE);
}

static int class_of(size_t slots)
{
  if (slots <= 64) return slots <= 8 ? 0 : (int)((slots - 5) / 4);
  int c = CLASS_FINE;
  while (c <= CLASS_MAX && class_slots(c) < slots) c++;
  return c;
}

/* Slabs: many small runs of a class at once, so that a swarm lies close together; the first of a
   class is made alone. */
struct slab { struct slab *next; size_t bytes; };
#define SLAB_BYTES ((size_t)1 << 16)

static void run_plain(norn_run *r)
{
  r->scope = r->memo = r->value = norn_unit();
  r->delay = NULL;
  r->rare = false;
}

static bool run_make(norn_state *st, int c)
{
  size_t stride = (sizeof(norn_run) + class_slots(c) * sizeof(val) + 63) & ~(size_t)63;
  size_t n = st->pool_made[c] ? SLAB_BYTES / stride : 1;
  if (!n) n = 1;
  if (!mem_grow(&st->mem, &st->dirty, &st->cdirty, st->nall + n, sizeof(norn_run *))) return false;
  size_t bytes = sizeof(struct slab) + 64 + n * stride;
  struct slab *s = mem_get(&st->mem, bytes);
  if (!s) return false;
  s->next = st->slabs;
  s->bytes = bytes;
  st->slabs = s;
  st->pool_made[c] = true;
  char *at = (char *)(((uintptr_t)(s + 1) + 63) & ~(uintptr_t)63);
  for (size_t i = n; i-- > 0;) {
    norn_run *r = (norn_run *)(void *)(at + i * stride);
    r->st = st;
    r->cls = (uint8_t)c;
    r->in_dirty = r->live = false;
    run_plain(r);
    r->all = st->all;
    st->all = r;
    st->nall++;
    r->next = st->pool[c];
    st->pool[c] = r;
  }
  return true;
}

norn_run *run_get(norn_state *st, size_t slots)
{
  int c = class_of(slots);
  if (c > CLASS_MAX || (!st->pool[c] && !run_make(st, c))) return NULL;
  norn_run *r = st->pool[c];
  st->pool[c] = r->next;
  r->stk = (val *)(r + 1);
  r->lim = r->stk + class_slots(c);
  r->big = 0;
  r->seen = NULL;
  r->live = true;
  run_dirty(r);
  return r;
}

void run_free_all(norn_state *st)
{
  for (norn_run *r = st->all; r; r = r->all)
    if (r->live) norn_run_free(r);
  for (struct slab *s = st->slabs, *next; s; s = next) {
    next = s->next;
    mem_put(&st->mem, s, s->bytes);
  }
  mem_put(&st->mem, st->dirty, st->cdirty * sizeof(norn_run *));
}

/* ---- stacks ---- */

/* The number of frames of a run. */
static size_t run_depth(const norn_run *r)
{
  size_t n = 1;
  for (const val *R = r->R; FRAME_PC(R - FRAME_SIZE) != run_halt_code; n++) {
    if (FRAME_DIST(R - FRAME_SIZE) == 0) break;
    R = (const val *)((const char *)R - FRAME_DIST(R - FRAME_SIZE));
  }
  return n;
}

/* The most bytes of a stack: half of the memory while that is small, then an eighth, for a recursion that never ends is
   to be told of soon. */
static size_t stack_most(const norn_state *st)
{
  size_t limit = st->mem.limit, large = limit / 8 > (size_t)1 << 30 ? limit / 8 : (size_t)1 << 30;
  return !limit ? SIZE_MAX : limit / 2 < large ? limit / 2 : large;
}

/* Frames hold distances, so a moved stack needs no fixing up. */
__attribute__((noinline, cold)) val *run_grow(norn_run *r, val *at, size_t bytes)
{
  norn_state *st = r->st;
  size_t a = (size_t)(at - r->stk), b = (size_t)(r->R - r->stk), have = (size_t)(r->lim - r->stk);
  int c = 6;
  while (a * sizeof(val) + bytes > sizeof(val) << c || ((size_t)1 << c) <= have) c++;
  size_t want = sizeof(val) << c, depth = run_depth(r);
  bool deep = st->cfg.max_depth && depth > st->cfg.max_depth;
  val *s = NULL;
  if (!deep && want <= stack_most(st)) {
    s = r->big ? mem_resize(&st->mem, r->stk, sizeof(val) * have, want) : mem_get(&st->mem, want);
    if (s && !r->big) memcpy(s, r->stk, have * sizeof(val));
  }
  if (!s) {
    norn_fail(st, deep ? NORN_ELIMIT : NORN_EMEMORY, -1,
              "%s: %zu calls are waiting for their results",
              deep ? "the depth limit is reached" : "out of memory", depth);
    norn_hint(st, "is this recursion infinite? calls in tail position use no stack");
    return NULL;
  }
  r->stk = s;
  r->big = (uint8_t)c;
  r->R = s + b;
  r->lim = s + ((size_t)1 << c);
  return s + a;
}

const proto *run_proto(const norn_run *r) { return v_clo(r->R[-1])->p; }

void run_init(norn_run *r)
{
  r->wpc = NULL;
  r->finished = r->started = r->sealed = r->top = false;
  r->wait = WAIT_NONE;
  r->ans = r->hold = r->nhold = 0;
  r->answered = r->dist_in_reg = false;
  r->addr = 0;
  r->logw = 0;
  r->stream = r->st->top_stream;
  r->lane = r->iter = 0;
  r->flags = 0;
  r->bits = r->st->current ? r->st->current->bits : 0;
  r->nsample = r->nobserve = 0;
  r->d1 = r->d2 = (norn_dist){NULL, NULL, 0};
  r->nseen = r->seen_mask = 0;
}

/* Puts a callee and its arguments into the bottom window of a fresh run. */
static norn_run *run_start(norn_state *st, clo *c, const val *args, int n)
{
  const proto *p = c->p;
  if (n < p->nreq || n > p->nargs) {
    norn_fail(st, NORN_EUSE, -1, "%s takes %d argument%s, got %d", p->name, p->nargs,
              p->nargs == 1 ? "" : "s", n);
    return NULL;
  }
  norn_run *r = run_get(st, (size_t)p->nregs + FRAME_SIZE + 1);
  if (!r) {
    state_memory(st);
    return NULL;
  }
  run_init(r);
  r->R = r->stk + FRAME_SIZE;
  FRAME_SET(r->stk, run_halt_code, 0);
  r->R[-1] = v_obj(NORN_FUN, c);
  for (int i = 0; i < p->nargs; i++) r->R[i] = i < n ? args[i] : norn_none();
  r->pc = p->code;
  return r;
}

/* A model value brings its arguments, and what given() and do() fix. */
static norn_run *run_start_model(norn_state *st, const modl *m)
{
  norn_run *r = run_start(st, v_clo(m->a[0]), m->a + 2, (int)m->h.n - 2);
  if (!r || m->a[1].tag == NORN_UNIT) return r;
  scope *s = scope_enter(st, m, NULL, 0);
  if (!s) {
    norn_run_free(r);
    return NULL;
  }
  r->scope = v_obj(V_SCOPE, s);
  r->rare = true;
  if (scope_replaces(s)) r->flags |= RUN_REPLACED;
  return r;
}

norn_run *norn_run_new(norn_state *st, norn_datum f, const norn_datum *args, int n)
{
  if (f.tag == NORN_FUN) return run_start(st, v_clo(f), args, n);
  if (f.tag == NORN_MODEL && n == 0) return run_start_model(st, f.p);
  if (f.tag == NORN_MODEL)
    norn_fail(st, NORN_EUSE, -1, "a model value takes no arguments: it has them already");
  else vm_want(st, -1, "a run needs a model or a function", f);
  return NULL;
}

void norn_run_stream(norn_run *r, uint64_t stream, uint32_t lane, uint32_t iter)
{
  r->stream = stream;
  r->lane = lane;
  r->iter = iter;
}

void norn_run_flags(norn_run *r, unsigned flags) { r->flags = flags | (r->flags & (RUN_REPLACED | RUN_IS_READY)); }
unsigned norn_run_flags_of(const norn_run *r) { return r->flags & ~(RUN_REPLACED | RUN_IS_READY); }
double norn_run_logw(const norn_run *r) { return r->logw; }
void norn_run_add_logw(norn_run *r, double lw) { r->logw += lw; }
norn_state *norn_run_state(const norn_run *r) { return r->st; }
uint32_t norn_run_lane(const norn_run *r) { return r->lane; }

void norn_run_rng(const norn_run *r, const norn_event *ev, norn_rng *g)
{
  uint32_t event = (uint32_t)(ev->addr ^ ev->addr >> 32);
  *g = (norn_rng){r->stream, r->lane, event, r->iter, 0, r->st->pairs};
}

/* b, which has room for n values, becomes a copy of a: the run's state and the stack up to the top
   window's last register. */
static inline void run_copy(norn_run *b, const norn_run *a, size_t top, size_t n, uint32_t lane)
{
  val *stk = b->stk, *lim = b->lim;
  uint8_t cls = b->cls, grown = b->big;
  bool dirty = b->in_dirty;
  norn_state *st = b->st;
  if (a->rare) {
    b->scope = a->scope;
    b->memo = a->memo;
    b->value = a->value;
    b->delay = a->delay;
    if (a->delay) a->delay->h.n |= GRAPH_SHARED;
  } else if (b->rare) {
    run_plain(b);
  }
  memcpy(&b->R, &a->R, sizeof *a - RUN_RARE);
  b->st = st;
  b->stk = stk;
  b->lim = lim;
  b->cls = cls;
  b->big = grown;
  b->in_dirty = dirty;
  b->R = stk + top;
  b->lane = lane;
  b->flags &= ~(unsigned)NORN_RUN_CHECK;
  b->seen = NULL;
  for (size_t i = 0; i < n; i++) stk[i] = a->stk[i];
  if (a->nhold) {
    b->d1 = a->d1;
    b->d2 = a->d2;
    if (!a->dist_in_reg && a->d1.args) b->d1.args = b->R + (a->d1.args - a->R);
  }
}

/* Values that the windows of all frames may use: an outer window may reach beyond the innermost. */
static inline size_t run_extent(const norn_run *r)
{
  size_t most = 0;
  for (const val *R = r->R;;) {
    size_t n = (size_t)(R - r->stk) + v_clo(R[-1])->p->nregs;
    if (n > most) most = n;
    if (FRAME_PC(R - FRAME_SIZE) == run_halt_code) return most;
    R = (const val *)((const char *)R - FRAME_DIST(R - FRAME_SIZE));
  }
}

norn_run *run_fork_to(norn_state *st, norn_run *a, uint32_t lane)
{
  size_t top = (size_t)(a->R - a->stk), n = top + run_proto(a)->nregs;
  norn_run *b = run_get(st, run_extent(a) + 1);
  if (!b) state_memory(st);
  else run_copy(b, a, top, n, lane);
  return b;
}

norn_run *norn_run_fork(norn_run *a, uint32_t lane)
{
  norn_state *st = a->st;
  size_t dirty = st->ndirty;
  if (NORN_UNLIKELY(a->finished)) {
    norn_fail(st, NORN_EUSE, -1, "this run has ended");
    return NULL;
  }
  norn_run *b = run_fork_to(st, a, lane);
  if (b && !a->in_dirty && st->ndirty > dirty) {   /* a clean copy of a clean run */
    st->ndirty--;
    b->in_dirty = false;
  }
  return b;
}

static inline void prefetch_run(const norn_run *r, int lines)
{
  const char *p = (const char *)r + RUN_RARE;
  for (int k = 0; r && k < lines; k++) __builtin_prefetch(p + 64 * k, 1);
}

/* runs[to] becomes a copy of runs[from], in the memory of st, where it lies already if it is one. */
static inline bool copy_one(norn_state *st, norn_run **runs, uint32_t to, uint32_t from, bool apart)
{
  norn_run *a = runs[from], *b = runs[to];
  if (!a) {
    norn_run_free(b);
    runs[to] = NULL;
    return true;
  }
  size_t top = (size_t)(a->R - a->stk), need = top + run_proto(a)->nregs;
  if (b && !b->seen && (size_t)(b->lim - b->stk) > run_extent(a)) {
    run_copy(b, a, top, need, to);
    if (a->in_dirty || apart) run_dirty(b);
    return true;
  }
  norn_run_free(b);
  runs[to] = apart ? run_fork_to(st, a, to) : norn_run_fork(a, to);
  return runs[to] != NULL;
}

bool norn_runs_copy(norn_run **runs, const uint32_t *to, const uint32_t *from, int n)
{
  for (int k = 0; k < n; k++) {
    if (k + 3 < n) {
      prefetch_run(runs[to[k + 3]], 5);
      if (from[k + 3] != from[k + 2]) prefetch_run(runs[from[k + 3]], 5);
    }
    if (!copy_one(NULL, runs, to[k], from[k], false)) return false;
  }
  return true;
}

bool run_copy_to(norn_state *st, norn_run **runs, uint32_t to, uint32_t from)
{
  return copy_one(st, runs, to, from, true);
}

bool run_is_young(const norn_run *r)
{
  const heap *h = &r->st->heap;
  if (heap_is_empty(h)) return false;
  if (r->rare) return true;
  const val *end = r->R + run_proto(r)->nregs;
  for (const val *v = r->stk; v < end; v++)
    if (V_IS_HEAP(*v) && heap_is_young(h, v->p)) return true;
  return false;
}

void norn_run_free(norn_run *r)
{
  if (!r) return;
  norn_state *st = r->st;
  if (r->seen) mem_put(&st->mem, r->seen, (r->seen_mask + 1) * sizeof *r->seen);
  if (r->big) mem_put(&st->mem, r->stk, sizeof(val) << r->big);
  if (r->rare) run_plain(r);
  r->seen = NULL;
  r->big = 0;
  r->live = false;
  r->next = st->pool[r->cls];
  st->pool[r->cls] = r;
}

/* ---- going on ---- */

void norn_run_answer(norn_run *r, norn_datum v)
{
  if (r->wait == WAIT_NONE) return;
  run_dirty(r);
  r->R[r->ans] = v;
  r->answered = true;
  r->nhold = 0;
}

static inline norn_event_kind go_on(norn_run *r, norn_event *ev)
{
  norn_state *st = r->st;
  if (NORN_UNLIKELY(r->finished)) {
    norn_fail(st, NORN_EUSE, -1, "this run has ended");
    *ev = (norn_event){.kind = NORN_ERROR};
    return NORN_ERROR;
  }
  run_dirty(r);
  if (r->wait != WAIT_NONE) {
    if (!r->answered && r->wait != WAIT_OBSERVE) {
      norn_fail(st, NORN_EUSE, -1, "the event of this run was not answered");
      *ev = (norn_event){.kind = NORN_ERROR};
      return NORN_ERROR;
    }
    if (!r->answered) r->R[r->ans] = r->value;
    r->wait = WAIT_NONE;
  }
  if (r->nhold) r->nhold = 0;
  r->started = true;
  norn_run *up = st->current;
  st->current = r;
  norn_event_kind k = vm_exec(r, ev);
  st->current = up;
  return k;
}

norn_event_kind run_next(norn_run *r, norn_event *ev) { return go_on(r, ev); }

norn_event_kind norn_run_next(norn_run *r, norn_event *ev)
{
  return NORN_UNLIKELY(r->st->home != NULL) ? crew_run_next(r, ev) : go_on(r, ev);
}

/* Values of earlier events live in their runs, where a collection while later runs went on moved
   them. */
static void renew_values(norn_run **runs, norn_event *ev, int n)
{
  for (int i = 0; i < n; i++) {
    bool has_value = ev[i].kind == NORN_DONE || ev[i].kind == NORN_OBSERVE || ev[i].kind == NORN_READY;
    if (has_value && V_IS_HEAP(ev[i].value)) ev[i].value = runs[i]->value;
  }
}

int norn_runs_next(norn_run **runs, norn_event *ev, int n)
{
  int i = 0;
  uint64_t minors = n ? runs[0]->st->heap.minors : 0;
  norn_err why = {.code = NORN_OK};                   /* of the first that died of its parameters */
  bool go = true;
  for (; go && i < n; i++) {
    if (i + 3 < n) prefetch_run(runs[i + 3], 5);      /* a swarm is stepped from cold caches */
    norn_event_kind k = norn_run_next(runs[i], ev + i);
    go = k != NORN_INFER && k != NORN_ERROR;
    if (NORN_UNLIKELY(k == NORN_DEAD) && !why.code) why = runs[i]->st->err;
  }
  if (why.code && go) runs[0]->st->err = why;
  if (n && runs[0]->st->heap.minors != minors) renew_values(runs, ev, i);
  return i;
}

/* ---- roots ---- */

/* Most registers hold numbers: no call for them. */
static inline void scan_value(gc *g, val *v)
{
  if (V_IS_HEAP(*v)) gc_value(g, v);
}

static void scan_window(gc *g, norn_run *r, val *R, const ins *pc, bool top)
{
  gc_value(g, R - 1);
  const proto *p = v_clo(R[-1])->p;
  size_t at = (size_t)(pc - p->code);
  if (at < p->ncode) {
    const uint64_t *m = p->live + at * p->live_words;
    for (uint32_t w = 0; w < p->live_words; w++)
      for (uint64_t b = m[w]; b; b &= b - 1) scan_value(g, R + w * 64 + (unsigned)__builtin_ctzll(b));
  }
  if (!top) return;
  for (uint32_t i = 0; i < r->nhold; i++) {
    uint32_t k = r->hold + i;
    bool seen = at < p->ncode && k < p->nregs &&
                (p->live[at * p->live_words + k / 64] >> k % 64 & 1);
    if (!seen) gc_value(g, R + k);
  }
}

static void scan_run(gc *g, norn_run *r)
{
  if (r->rare) {
    gc_value(g, &r->scope);
    gc_value(g, &r->memo);
    gc_value(g, &r->value);
    if (r->delay) gc_object(g, (obj **)(void *)&r->delay);
  }
  if (r->finished) return;
  val *R = r->R;
  const ins *pc = r->pc;
  for (bool top = true;; top = false) {
    scan_window(g, r, R, pc, top);
    if (top && r->nhold && r->dist_in_reg) {   /* the distribution may have moved */
      norn_dist_view(R[r->hold], &r->d1);
      if (r->nhold > 1 && r->d2.row) norn_dist_view(R[r->hold + 1], &r->d2);
    }
    val *f = R - FRAME_SIZE;
    pc = FRAME_PC(f);
    if (pc == run_water_code) {                /* below nothing ran since the last collection */
      pc = r->wpc;
      f[0].q = pc;
      if (gc_minor(g)) break;
    }
    if (pc == run_halt_code) break;
    R = (val *)((char *)R - FRAME_DIST(f));
  }
}

/* The frame of R returns through WATER, which then moves the mark one frame down. */
void run_water(norn_run *r, val *R)
{
  val *f = R - FRAME_SIZE;
  const ins *pc = FRAME_PC(f);
  if (pc == run_halt_code || pc == run_water_code) return;
  r->wpc = pc;
  f[0].q = run_water_code;
}

void run_scan_all(norn_state *st, gc *g)
{
  if (gc_minor(g)) {
    for (size_t i = 0; i < st->ndirty; i++)
      if (st->dirty[i]->live) scan_run(g, st->dirty[i]);
    norn_state *w;                             /* what the caller has put into runs of workers */
    for (int k = 0; st->crew && (w = crew_worker(st->crew, k)); k++)
      for (size_t i = 0; i < w->ndirty; i++)
        if (w->dirty[i]->live) scan_run(g, w->dirty[i]);
  } else {
    for (norn_run *r = st->all; r; r = r->all)
      if (r->live) scan_run(g, r);
  }
  size_t k = 0;
  for (size_t i = 0; i < st->ndirty; i++) {
    norn_run *r = st->dirty[i];
    if (r->live && !r->finished) run_water(r, r->R);
    if (r == st->current) st->dirty[k++] = r;
    else r->in_dirty = false;
  }
  st->ndirty = k;
}

/* ---- on a worker ---- */

void run_mark_set(const norn_run *r, run_mark *m)
{
  *m = (run_mark){r->addr, r->logw, r->scope, r->iter, r->nsample, r->nobserve, r->flags, r->rare};
}

void run_mark_back(norn_run *r, const run_mark *m)
{
  r->addr = m->addr;
  r->logw = m->logw;
  r->scope = m->scope;
  r->iter = m->iter;
  r->nsample = m->nsample;
  r->nobserve = m->nobserve;
  r->flags = m->flags;
  r->rare = m->rare;
}

/* All that fails there runs again at home, where there are names, room and one thread; but for what
   is no matter of the instruction, and for the one that has moved its arguments. */
bool run_goes_home(norn_run *r, const ins *pc)
{
  norn_status s = r->st->err.code;
  if (s == NORN_EINTERRUPT || s == NORN_ELIMIT) return false;
  if (pc->op == OP_CALLX && !is_method(((const val *)((const char *)r->R + pc->a))[FRAME_SIZE - 1])) return false;
  norn_clear(r->st);
  return true;
}

/* ---- merging equal states ---- */

/* Called with a value and its fellow in the other run, or NULL; false: go no further. */
typedef bool visitor(void *user, const val *, const val *);

/* A frame and where its function goes on. */
typedef struct { const val *R; const ins *pc; } frame_at;

static bool frame_up(const norn_run *r, frame_at *at)
{
  const val *f = at->R - FRAME_SIZE;
  at->pc = FRAME_PC(f) == run_water_code ? r->wpc : FRAME_PC(f);
  if (at->pc == run_halt_code) return false;
  at->R = (const val *)((const char *)at->R - FRAME_DIST(f));
  return true;
}

/* The captures and live registers of one frame; s: the same frame of the other run, or NULL. */
static bool walk_frame(frame_at at, const val *s, visitor *f, void *user)
{
  const clo *c = v_clo(at.R[-1]), *d = s ? v_clo(s[-1]) : NULL;
  const proto *p = c->p;
  for (uint32_t i = 0; i < p->ncap; i++)
    if (!f(user, c->cap + i, d ? d->cap + i : NULL)) return false;
  const uint64_t *live = p->live + (size_t)(at.pc - p->code) * p->live_words;
  for (uint32_t w = 0; w < p->live_words; w++)
    for (uint64_t m = live[w]; m; m &= m - 1) {
      uint32_t k = w * 64 + (unsigned)__builtin_ctzll(m);
      if (!f(user, at.R + k, s ? s + k : NULL)) return false;
    }
  return true;
}

/* Visits the live values of all frames of both runs (b may be NULL); false: f said so, or the runs
   differ in their frames. */
static bool walk_live(const norn_run *a, const norn_run *b, visitor *f, void *user)
{
  frame_at at = {a->R, a->pc}, of = b ? (frame_at){b->R, b->pc} : (frame_at){NULL, NULL};
  if (b && a->nhold != b->nhold) return false;
  for (uint32_t i = 0; i < a->nhold; i++)              /* the pending event */
    if (!f(user, at.R + a->hold + i, b ? of.R + b->hold + i : NULL)) return false;
  for (;;) {
    if (b && (at.pc != of.pc || v_clo(at.R[-1])->p != v_clo(of.R[-1])->p)) return false;
    if (!walk_frame(at, of.R, f, user)) return false;
    bool more = frame_up(a, &at);
    if (b && frame_up(b, &of) != more) return false;
    if (!more) return true;
  }
}

static bool visit_latent(void *user, const val *x, const val *y)
{
  const latent_visit *v = user;
  (void)y;
  return !v_is_latent(*x) || v->f(v->user, x->i);
}

bool run_visit_live(const norn_run *r, const latent_visit *v)
{
  return walk_live(r, NULL, visit_latent, (void *)(uintptr_t)v);
}

static bool visit_delayed(void *user, const val *x, const val *y)
{
  delayed_visit *v = user;
  (void)y;
  return delayed_visit_value(v, *x);
}

bool run_visit_values(const norn_run *r, delayed_visit *v)
{
  return delayed_visit_value(v, r->memo) && walk_live(r, NULL, visit_delayed, v);
}

struct hashing { uint64_t h; norn_state *st; };
static void hash_add(struct hashing *s, uint64_t h)
{
  s->h = hash_mix(s->h + h * 0x9e3779b97f4a7c15u);
}

/* Of long arrays (data, mostly, which all runs share) the ends are enough: histories grow there. */
enum { LONG = 128, FIRST = 8, LAST = 32 };
static void hash_long(struct hashing *s, const vec *v)
{
  hash_add(s, (uint64_t)v->len);
  for (int64_t i = 0; i < FIRST; i++) hash_add(s, value_hash(vec_at(s->st, v, i)));
  for (int64_t i = v->len - LAST; i < v->len; i++) hash_add(s, value_hash(vec_at(s->st, v, i)));
}

/* Of most arrays other runs were asked just before.  (A wrong one would keep equal states apart, no more.) */
static uint64_t hash_array(norn_state *st, val x)
{
  struct array_hash *e = &st->hashed[hash_mix((uintptr_t)x.p) % NORN_COUNT(st->hashed)];
  uint64_t age = st->heap.minors + st->heap.majors;
  if (e->of == x.p && e->age == age && !st->home) return e->hash;
  struct hashing s = {0, st};
  if (v_vec(x)->len > LONG && vec_rank(v_vec(x)) == 1) hash_long(&s, v_vec(x));
  else hash_add(&s, value_hash(x));
  *e = (struct array_hash){x.p, s.h, age};
  return s.h;
}

static bool hash_one(void *user, const val *x, const val *y)
{
  struct hashing *s = user;
  (void)y;
  if (x->tag == V_ADDR) return true;
  hash_add(s, x->tag == NORN_ARRAY ? hash_array(s->st, *x) : value_hash(*x));
  return true;
}

uint64_t norn_run_hash(norn_run *r)
{
  struct hashing s = {(uint64_t)(uintptr_t)r->pc, r->st};
  walk_live(r, NULL, hash_one, &s);
  s.h ^= r->bits;
  s.h ^= r->memo.tag == NORN_UNIT ? 0 : value_hash(r->memo);
  return hash_mix(s.h);
}

/* One object is the same whatever is in it (NaN equals nothing): data that runs share are not looked at. */
static bool same_one(void *user, const val *x, const val *y)
{
  (void)user;
  if (x->tag != y->tag) return false;
  return x->tag == V_ADDR || x->i == y->i || value_equal(*x, *y);
}

bool norn_run_same(norn_run *a, norn_run *b)
{
  if (a->wait != b->wait || a->bits != b->bits || !value_equal(a->memo, b->memo)) return false;
  bool no_scopes = a->scope.tag == NORN_UNIT && b->scope.tag == NORN_UNIT;
  if (a->scope.p != b->scope.p && !no_scopes) return false;
  return walk_live(a, b, same_one, NULL);
}
