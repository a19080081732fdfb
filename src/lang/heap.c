/* heap.c: the nursery and the two collections.

   A minor collection copies what is reachable in the nursery into old cells (Cheney 1970, but depth
   first: the work list is threaded through the second words of the originals, whose first words
   forward).  A full one follows it and marks from all roots; its mark stack is the address space of
   the empty nursery, and if ever that is too small the old space is walked for marked objects with
   unmarked parts.  So neither asks for memory. */
#include "lang/heap_in.h"
#include "lang/value/array.h"
#include "lang/value/hamt.h"
#include "lang/symbolic/delayed.h"
#include <string.h>
#include <sys/mman.h>

enum {
  NURSERY = 3 << 20, NURSERY_WORKER = 1 << 20, NURSERY_LEAST = 256 << 10, RESERVE = 64 << 20,
  CHARGE = 64 << 10,
  REMEMBERED = 1 << 16,               /* a longer list is not kept */
  FULL_LEAST = 6 << 20                /* bytes grown old before a full collection is thought of */
};

struct gc {
  norn_state *st;
  bool minor, overflow;
  obj *work;                          /* minor: originals of copies that are still to be scanned */
  obj **top, **base, **end;           /* full: the mark stack */
};

/* ---- setting aside ---- */

static bool charge_mem(mem *m, size_t n)
{
  if (++m->requests == m->fail_at || (m->limit && (n > m->limit || m->used > m->limit - n))) {
    m->refused++;
    return false;
  }
  m->used += n;
  if (m->used > m->peak) m->peak = m->used;
  return true;
}

/* The nursery is no memory of the allocator's, but it counts; a worker's counts at home. */
static bool charge(norn_state *st, size_t n)
{
  if (!st->home) return charge_mem(&st->mem, n);
  crew_charge_lock(st);
  bool good = charge_mem(&st->home->mem, n);
  crew_charge_unlock(st);
  return good;
}

static void discharge(norn_state *st, size_t n)
{
  if (!st->home) {
    st->mem.used -= n;
    return;
  }
  crew_charge_lock(st);
  st->home->mem.used -= n;
  crew_charge_unlock(st);
}

/* Sets aside what filling the nursery up to n0 + n takes. */
static bool set_aside(norn_state *st, size_t n)
{
  heap *h = &st->heap;
  size_t now = (size_t)(h->charged - h->n0);
  if (n <= now) return true;
  if (!old_pool_fill(st, old_blocks_for(n)) || !charge(st, n - now)) return false;
  h->charged = h->n0 + n;
  return true;
}

/* After a collection: the nursery is empty again, as large as memory allows. */
static void reset(norn_state *st)
{
  heap *h = &st->heap;
  size_t now = (size_t)(h->charged - h->n0);
  if (now > h->nursery) {
    madvise(h->n0 + h->nursery, now - h->nursery, MADV_DONTNEED);
    discharge(st, now - h->nursery);
    h->charged = h->n0 + h->nursery;
  }
  size_t n = h->nursery;
  while (n >= CHARGE && !old_pool_fill(st, old_blocks_for(n))) n -= CHARGE;
  if (n < CHARGE) n = 0;
  now = (size_t)(h->charged - h->n0);
  if (now > n) {                              /* short of blocks: a smaller nursery */
    discharge(st, now - n);
    h->charged = h->n0 + n;
  }
  set_aside(st, n);
  h->hp = h->n0;
  h->soft = h->charged;
}

bool heap_init(norn_state *st)
{
  heap *h = &st->heap;
  size_t limit = st->home ? st->home->mem.limit / 8 : st->mem.limit;
  *h = (heap){ .nursery = st->home ? NURSERY_WORKER : NURSERY, .stress = h->stress };
  while (limit && h->nursery > NURSERY_LEAST && h->nursery > limit / 32) h->nursery /= 2;
  if (!old_init(st)) return false;
  void *p = mmap(NULL, NURSERY + RESERVE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  h->n0 = h->hp = h->charged = h->soft = p;
  h->n1 = h->n0 + NURSERY + RESERVE;
  if (!set_aside(st, h->nursery)) return false;
  h->soft = h->stress ? h->n0 : h->charged;
  return true;
}

void heap_free(norn_state *st)
{
  heap *h = &st->heap;
  old_free(st);
  if (h->n0) {
    discharge(st, (size_t)(h->charged - h->n0));
    munmap(h->n0, (size_t)(h->n1 - h->n0));
  }
  mem_put(&st->mem, h->remembered, h->cremembered * sizeof *h->remembered);
  *h = (heap){ .stress = h->stress };
}

/* ---- allocation from C ---- */

/* Bytes grown old that call for a full collection. */
static size_t full_at(const norn_state *st)
{
  const heap *h = &st->heap;
  size_t at = h->live_after_major > FULL_LEAST ? h->live_after_major : FULL_LEAST;
  if (st->mem.limit) {
    size_t room =
        st->mem.limit > h->live_after_major ? (st->mem.limit - h->live_after_major) / 3 : 0;
    if (at > room) at = room;
  }
  return at;
}

void heap_outside(norn_state *st, size_t n)
{
  heap *h = &st->heap;
  h->allocated_old += n;
  if (h->allocated_old <= full_at(st)) return;
  if (st->home) st->full_due = true;            /* who works with it collects */
  else h->soft = h->n0;                         /* the VM stops at its next safepoint */
}

static void *made_old(norn_state *st, obj *o, size_t n, unsigned flags)
{
  if (!o) {
    state_memory(st);
    return NULL;
  }
  o->fwd = 0;
  o->flags = (uint8_t)flags;
  heap_outside(st, n);
  heap_remember(st, o);
  return o;
}

void *heap_alloc_old(norn_state *st, size_t n)
{
  n = heap_round(n);
  if (n > HEAP_LARGE) return made_old(st, old_large_get(st, n), n, OBJ_OLD | OBJ_LARGE);
  return made_old(st, old_cell(st, n, false), n, OBJ_OLD);
}

void *heap_alloc(norn_state *st, size_t n)
{
  heap *h = &st->heap;
  n = heap_round(n);
  if (n > HEAP_LARGE) return heap_alloc_old(st, n);
  if (NORN_UNLIKELY(h->hp + n > h->charged)) {
    size_t want = (size_t)(h->hp - h->n0) + n + CHARGE;
    if (want > (size_t)(h->n1 - h->n0)) return heap_alloc_old(st, n);
    if (!set_aside(st, want)) {
      state_memory(st);
      return NULL;
    }
  }
  obj *o = (obj *)h->hp;
  h->hp += n;
  o->fwd = 0;
  return o;
}

void heap_remember(norn_state *st, obj *o)
{
  heap *h = &st->heap;
  if (heap_is_young(h, o) || o->flags & (OBJ_STATIC | OBJ_FRESH)) return;
  if (!mem_grow(&st->mem, &h->remembered, &h->cremembered, h->nremembered + 1,
                sizeof *h->remembered)) {
    h->remember_all = true;
    return;
  }
  o->flags |= OBJ_FRESH;
  h->remembered[h->nremembered++] = o;
}

/* ---- objects ---- */

static size_t buf_size(const buf *b)
{
  size_t n = ((b->cap - b->base) * elem_bytes(b->h.aux) + 7) / 8 * 8;
  return BUF_HEADER + n + (b->parent ? sizeof(norn_state *) : 0);
}

size_t heap_size_of(const obj *o)
{
  size_t n = o->n, z = 0;
  switch (o->kind) {
  case NORN_DATA: z = sizeof(data) + n * sizeof(val); break;
  case NORN_STR: z = sizeof(str) + n + 1; break;
  case NORN_BIG: z = sizeof(bign) + n * sizeof(uint64_t); break;
  case NORN_ARRAY: z = sizeof(vec) + (size_t)(o->aux - 1) * sizeof(int64_t); break;
  case V_BUF: z = buf_size((const buf *)o); break;
  case NORN_RECORD: z = sizeof(rec) + n * sizeof(val); break;
  case NORN_FUN: z = sizeof(clo) + n * sizeof(val); break;
  case NORN_DIST: case NORN_ENGINE: z = sizeof(tab) + n * sizeof(val); break;
  case NORN_MODEL: z = sizeof(modl) + n * sizeof(val); break;
  case NORN_MAP: z = sizeof(map); break;
  case NORN_HANDLE: z = sizeof(handle); break;
  case V_HNODE: z = hnode_size((const hnode *)o); break;
  case V_SCOPE: z = sizeof(scope) + n * sizeof(scope_fix); break;
  case V_RANDOM: z = delayed_size(o); break;
  default: break;
  }
  return heap_round(z);
}

static bool has_pointers(const obj *o)
{
  if (o->kind == NORN_STR || o->kind == NORN_BIG || o->kind == NORN_HANDLE) return false;
  return o->kind != V_BUF || o->aux == NORN_VALUES || ((const buf *)o)->parent;
}

/* ---- the two visits ---- */

/* Most objects are small: no call for them.  n is a multiple of 16. */
static inline void copy_object(obj *to, const obj *o, size_t n)
{
  if (n > 128) memcpy(to, o, n);
  else for (size_t k = 0; k < n; k += 16) memcpy((char *)to + k, (const char *)o + k, 16);
}

static obj *promote(gc *g, obj *o)
{
  heap *h = &g->st->heap;
  size_t n = o->kind == NORN_DATA ? heap_round(sizeof(data) + o->n * sizeof(val)) : heap_size_of(o);
  obj *to = old_cell_quick(g->st, n);
  copy_object(to, o, n);
  to->flags = OBJ_OLD;
  h->copied += n;
  o->fwd = (uintptr_t)to + 1;
  if (has_pointers(to)) {
    ((obj **)o)[1] = g->work;
    g->work = o;
  }
  return to;
}

static inline obj *moved(gc *g, obj *o)
{
  if (!heap_is_young(&g->st->heap, o)) return o;
  return o->fwd & 1 ? (obj *)(o->fwd - 1) : promote(g, o);
}

static void mark(gc *g, obj *o)
{
  if (o->flags & (OBJ_MARK | OBJ_STATIC)) return;
  o->flags |= OBJ_MARK;
  if (!has_pointers(o)) return;
  if (g->top < g->end) *g->top++ = o;
  else g->overflow = true;
}

static inline void visit_value(gc *g, val *v, bool minor)
{
  if (!V_IS_HEAP(*v)) return;
  if (minor) v->p = moved(g, v->p);
  else mark(g, v->p);
}

static inline void visit_values(gc *g, val *v, size_t n, bool minor)
{
  for (size_t i = 0; i < n; i++) visit_value(g, v + i, minor);
}

/* p points to a pointer to an object, of whatever type. */
static inline void visit_object(gc *g, void *p, bool minor)
{
  obj *o;
  memcpy(&o, p, sizeof o);
  if (!o) return;
  if (minor) {
    o = moved(g, o);
    memcpy(p, &o, sizeof o);
  } else {
    mark(g, o);
  }
}

/* Elements never change once written: those that a minor collection saw need not be seen by the
   next. */
static inline void scan_buf(gc *g, buf *b, bool minor)
{
  visit_object(g, &b->parent, minor);
  if (b->h.aux != NORN_VALUES) return;
  size_t from = minor ? b->scanned - b->base : 0;
  visit_values(g, b->v + from, b->fill - b->base - from, minor);
  if (minor) b->scanned = b->fill;
}

static inline void scan_scope(gc *g, scope *s, bool minor)
{
  visit_object(g, &s->up, minor);
  visit_value(g, &s->seen_by, minor);
  for (uint32_t i = 0; i < s->h.n; i++) visit_value(g, &s->fix[i].value, minor);
}

static inline void scan_hnode(gc *g, hnode *t, bool minor)
{
  for (uint32_t i = 0; i < t->h.n; i++) {
    visit_value(g, &t->e[i].key, minor);
    visit_value(g, &t->e[i].value, minor);
  }
  hnode **sub = hnode_subs(t);
  for (int i = 0, n = hnode_nsubs(t); i < n; i++) visit_object(g, sub + i, minor);
}

static inline void scan_random(gc *g, obj *o, bool minor)
{
  if (o->aux == RANDOM_NODE) visit_values(g, ((rnode *)o)->v, o->n, minor);
  else if (o->aux == RANDOM_GRAPH) visit_value(g, &((rgraph *)o)->nodes, minor);
  else if (rvar_has_arrays(o)) visit_values(g, rvar_arrays((rvar *)o), 2, minor);
}

static inline __attribute__((always_inline)) void scan(gc *g, obj *o, bool minor)
{
  switch (o->kind) {
  case NORN_DATA: visit_values(g, ((data *)o)->f, o->n, minor); break;
  case NORN_ARRAY: visit_object(g, &((vec *)o)->b, minor); break;
  case V_BUF: scan_buf(g, (buf *)o, minor); break;
  case NORN_RECORD: visit_values(g, ((rec *)o)->f, o->n, minor); break;
  case NORN_FUN: visit_values(g, ((clo *)o)->cap, o->n, minor); break;
  case NORN_DIST: case NORN_ENGINE: visit_values(g, ((tab *)o)->a, o->n, minor); break;
  case NORN_MODEL: visit_values(g, ((modl *)o)->a, o->n, minor); break;
  case NORN_MAP: visit_object(g, &((map *)o)->root, minor); break;
  case V_HNODE: scan_hnode(g, (hnode *)o, minor); break;
  case V_SCOPE: scan_scope(g, (scope *)o, minor); break;
  case V_RANDOM: scan_random(g, o, minor); break;
  default: break;
  }
}

void gc_value(gc *g, val *v)
{
  visit_value(g, v, g->minor);
}

void gc_object(gc *g, obj **o)
{
  visit_object(g, o, g->minor);
}

bool gc_minor(const gc *g)
{
  return g->minor;
}

/* ---- collections ---- */

static void scan_written(void *g, obj *o)
{
  o->flags &= (uint8_t)~OBJ_FRESH;
  scan(g, o, true);
}

static void collect_minor(norn_state *st)
{
  heap *h = &st->heap;
  gc g = { .st = st, .minor = true };
  size_t before = h->copied;
  for (size_t i = 0; i < h->nremembered; i++) scan_written(&g, h->remembered[i]);
  if (h->remember_all) old_each(h->old, scan_written, &g);
  run_scan_all(st, &g);
  state_scan(st, &g);
  while (g.work) {
    obj *o = g.work;
    g.work = ((obj **)o)[1];
    scan(&g, (obj *)(o->fwd - 1), true);
  }
  /* A pointer that was missed shows at once. */
  if (h->stress) memset(h->n0, 0xa5, (size_t)(h->hp - h->n0));
  if (h->cremembered > REMEMBERED) {
    mem_put(&st->mem, h->remembered, h->cremembered * sizeof *h->remembered);
    h->remembered = NULL;
    h->cremembered = 0;
  }
  h->nremembered = 0;
  h->remember_all = false;
  h->hp = h->n0;
  h->allocated_old += h->copied - before;
  h->minors++;
}

static void drain(gc *g)
{
  while (g->top > g->base) scan(g, *--g->top, false);
}

/* The workers' nurseries are emptied. */
static void settle_workers(norn_state *st)
{
  norn_state *w;
  for (int k = 0; st->crew && (w = crew_worker(st->crew, k)); k++) heap_settle(w);
}

static void mark_again(void *g, obj *o)
{
  if (!(o->flags & OBJ_MARK)) return;
  scan(g, o, false);
  drain(g);
}

static void sweep(norn_state *st)
{
  heap *h = &st->heap;
  h->live_after_major = old_sweep(st, old_blocks_for(h->nursery));
  h->allocated_old = 0;
  h->majors++;
  st->full_due = false;
}

/* The nurseries must be empty: this one, whose space is the mark stack, and the workers'. */
static void collect_full(norn_state *st)
{
  heap *h = &st->heap;
  norn_state *w;
  gc g = { .st = st, .base = (obj **)h->n0, .end = (obj **)h->n1 };
  g.top = g.base;
  run_scan_all(st, &g);
  for (int k = 0; st->crew && (w = crew_worker(st->crew, k)); k++) run_scan_all(w, &g);
  state_scan(st, &g);
  for (int k = 0; st->crew && (w = crew_worker(st->crew, k)); k++) state_scan_refs(w, &g);
  drain(&g);
  while (g.overflow) {
    g.overflow = false;
    old_each(h->old, mark_again, &g);
    for (int k = 0; st->crew && (w = crew_worker(st->crew, k)); k++)
      old_each(w->heap.old, mark_again, &g);
  }
  madvise(h->charged, (size_t)(h->n1 - h->charged), MADV_DONTNEED);
  handles_sweep(st, false);
  sweep(st);
  for (int k = 0; st->crew && (w = crew_worker(st->crew, k)); k++) sweep(w);
}

/* Inside sealed calls nothing is collected: the nursery reaches further into its reserve. */
static bool extend(norn_state *st, size_t need)
{
  heap *h = &st->heap;
  size_t want = (size_t)(h->hp - h->n0) + need + 4 * CHARGE;
  if (want > (size_t)(h->n1 - h->n0)) return true;   /* the VM falls back on heap_alloc */
  if (!set_aside(st, want)) {
    state_memory(st);
    return false;
  }
  h->soft = h->n0 + want;
  return true;
}

static void collect_whole(norn_state *st)
{
  settle_workers(st);
  collect_full(st);
}

/* A worker can't collect more than its nursery: it notes that more is due, and goes on. */
bool heap_collect(norn_state *st, size_t need)
{
  heap *h = &st->heap;
  if (h->nogc) return extend(st, need);
  collect_minor(st);
  bool whole = h->allocated_old > full_at(st);
  if (st->home) st->full_due |= whole;
  else if (whole) collect_whole(st);
  reset(st);
  if (!st->home && !whole && (size_t)(h->soft - h->hp) < h->nursery / 4) {
    collect_whole(st);
    reset(st);
  }
  if ((size_t)(h->soft - h->hp) < need) {
    state_memory(st);
    return false;
  }
  if (h->stress) h->soft = h->hp + heap_round(need);
  return true;
}

void heap_settle(norn_state *st)
{
  heap *h = &st->heap;
  collect_minor(st);
  reset(st);
  if (h->stress) h->soft = h->n0;
}

void heap_collect_full(norn_state *st)
{
  collect_minor(st);
  collect_whole(st);
  reset(st);
  if (st->heap.stress) st->heap.soft = st->heap.n0;
}

void heap_adopt(norn_state *home, norn_state *worker)
{
  collect_minor(worker);                       /* no object of it is on its list of written ones */
  home->heap.allocated_old += worker->heap.allocated_old + worker->heap.live_after_major;
  home->heap.minors += worker->heap.minors;
  old_adopt(home->heap.old, worker->heap.old);
}
