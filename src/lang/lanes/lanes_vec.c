/* lanes_vec.c: layouts and vectors of lanes (lanes.h). */
#include "lang/lanes/lanes.h"
#include "num/lane_ops.h"
#include <string.h>

/* ---- layouts ---- */

layout *layout_new(norn_lanes *l, layout *up, uint32_t n)
{
  mem *m = &l->st->mem;
  layout *p = mem_zero(m, sizeof *p);
  if (!p) {
    state_memory(l->st);
    return NULL;
  }
  p->n = n;
  p->refs = 1;
  if (!up) return p;
  p->room = n + LANE_PAD;
  p->map = mem_get(m, p->room * sizeof *p->map);
  if (!p->map) {
    mem_put(m, p, sizeof *p);
    state_memory(l->st);
    return NULL;
  }
  memset(p->map + n, 0, LANE_PAD * sizeof *p->map);      /* places that are there, for whole registers */
  p->up = up;
  p->depth = up->depth + 1;
  up->refs++;
  return p;
}

void layout_forget(norn_lanes *l, layout *p)
{
  mem_put(&l->st->mem, p->far_map, ((size_t)p->n + LANE_PAD) * sizeof *p->far_map);
  p->far = NULL;
  p->far_map = NULL;
}

void layout_drop(norn_lanes *l, layout *p)
{
  mem *m = &l->st->mem;
  while (p && --p->refs == 0) {
    layout *up = p->up;
    layout_forget(l, p);
    mem_put(m, p->map, p->map ? p->room * sizeof *p->map : 0);
    if (p->dev) l->store->map_free(l->stored, p->dev);
    mem_put(m, p, sizeof *p);
    p = up;
  }
}

static void compose(uint32_t *restrict map, const uint32_t *restrict further, uint32_t n)
{
  for (uint32_t k = 0; k < n; k++) map[k] = further[map[k]];
}

bool layout_host(norn_lanes *l, layout *p)
{
  if (p->map || !p->dev) return true;
  p->map = mem_get(&l->st->mem, p->room * sizeof *p->map);
  if (!p->map) return state_memory(l->st), false;
  memset(p->map + p->n, 0, LANE_PAD * sizeof *p->map);
  return l->store->map_read(l->stored, p->dev, p->n, p->map);
}

const uint32_t *layout_map(norn_lanes *l, layout *from, layout *up)
{
  for (layout *p = from; p != up; p = p->up)
    if (!layout_host(l, p)) return NULL;
  if (from->up == up) return from->map;
  layout *at = from->up;
  size_t bytes = ((size_t)from->n + LANE_PAD) * sizeof *from->map;
  if (from->far && from->far->depth >= up->depth) {     /* on from where the last one ended */
    if (from->far == up) return from->far_map;
    at = from->far;
  } else {
    if (!from->far_map && !(from->far_map = mem_get(&l->st->mem, bytes))) {
      state_memory(l->st);
      return NULL;
    }
    memcpy(from->far_map, from->map, bytes);
  }
  for (; at != up; at = at->up) compose(from->far_map, at->map, from->n);
  from->far = up;
  return from->far_map;
}

/* ---- cells ---- */

size_t lane_bytes(const norn_lanes *l) { return ((size_t)l->n + LANE_PAD) * sizeof(cell); }

struct cells { struct cells *next; };

/* Buffers begin at a line of the cache, so that no register lies in two; the byte before says how far in. */
enum { LINE = 64 };

static void *buffer_new(mem *m, size_t bytes)
{
  uint8_t *p = mem_get(m, bytes + LINE);
  if (!p) return NULL;
  size_t in = LINE - (uintptr_t)p % LINE;
  p[in - 1] = (uint8_t)in;
  return p + in;
}

static void buffer_free(mem *m, void *buffer, size_t bytes)
{
  uint8_t *p = buffer;
  mem_put(m, p - p[-1], bytes + LINE);
}

/* A handle that nobody has any more, with its buffer still; NULL: there is none. */
static lane_vec *idle_vec(norn_lanes *l)
{
  norn_state *st = l->st;
  lane_vec *h = l->idle;
  if (h) {
    l->idle = h->next;
    l->nidle--;
  } else if ((h = st->idle) && st->spare_bytes == lane_bytes(l)) {
    st->idle = h->next;
    st->spares--;
  } else return NULL;
  return h;
}

static void idle_put(norn_lanes *l, lane_vec *h)
{
  if (!l->idle) l->last_idle = h;
  h->next = l->idle;
  l->idle = h;
  l->nidle++;
}

void *lane_buffer(norn_lanes *l)
{
  norn_state *st = l->st;
  struct cells *c = l->free;
  lane_vec *h;
  if (c) {
    l->free = c->next;
    return c;
  }
  if ((c = st->spare) && st->spare_bytes == lane_bytes(l)) {
    st->spare = c->next;
    st->spares--;
    return c;
  }
  if ((h = idle_vec(l))) {
    c = (struct cells *)(void *)h->c;
    mem_put(&st->mem, h, sizeof *h);
    return c;
  }
  c = buffer_new(&st->mem, lane_bytes(l));
  if (!c) state_memory(l->st);
  return c;
}

void lane_buffer_put(norn_lanes *l, void *p)
{
  if (!p) return;
  struct cells *c = p;
  c->next = l->free;
  l->free = c;
}

void lane_spares_free(norn_state *st)
{
  for (struct cells *c; (c = st->spare); buffer_free(&st->mem, c, st->spare_bytes)) st->spare = c->next;
  for (lane_vec *h; (h = st->idle); mem_put(&st->mem, h, sizeof *h)) {
    st->idle = h->next;
    buffer_free(&st->mem, h->c, st->spare_bytes);
  }
  st->spares = 0;
  for (lane_sheaf *s; (s = st->sheaves); mem_put(&st->mem, s, s->bytes)) st->sheaves = s->next;
}

void lane_buffers_leave(norn_lanes *l)
{
  enum { MOST = 16 << 20 };
  norn_state *st = l->st;
  size_t bytes = lane_bytes(l);
  bool keeps = l->flags & NORN_RUN_SIMULATE;
  if (keeps && st->spare_bytes != bytes) lane_spares_free(st), st->spare_bytes = bytes;
  for (struct cells *c; (c = l->free);) {
    l->free = c->next;
    if (keeps && st->spares * bytes < MOST) {
      c->next = st->spare;
      st->spare = c;
      st->spares++;
    } else buffer_free(&st->mem, c, bytes);
  }
  if (keeps && l->idle && (st->spares + l->nidle) * bytes < MOST) {
    l->last_idle->next = st->idle;
    st->idle = l->idle;
    st->spares += l->nidle;
    l->idle = NULL;
  }
  for (lane_vec *h; (h = l->idle); mem_put(&st->mem, h, sizeof *h)) {
    l->idle = h->next;
    buffer_free(&st->mem, h->c, bytes);
  }
}

void lane_cells_put(norn_lanes *l, lane_vec *h)
{
  if (h->within) h->within = false;
  else if (h->room) mem_put(&l->st->mem, h->c, h->room * sizeof *h->c);
  else lane_buffer_put(l, h->c);
  if (h->b) l->store->buffer_free(l->stored, h->b);
  mem_put(&l->st->mem, h->plate, h->plate ? l->plates * sizeof *h->plate : 0);
  h->room = 0;
  h->b = NULL;
  h->plate = NULL;
}

bool lane_waits(const lane_vec *h) { return !h->c && !h->b && !h->plate; }

bool lane_host(norn_lanes *l, lane_vec *h)
{
  if (h->c || (!h->b && !h->plate)) return true;
  cell *c = lane_buffer(l);
  if (!c) return false;
  if (h->plate) {
    for (uint32_t k = 0; k < l->n; k++) c[k] = h->plate[k / l->each];
    h->c = c;
    return true;
  }
  if (l->store->buffer_read(l->stored, h->b, h->at->n, h->kind, c)) h->c = c;
  else lane_buffer_put(l, c);
  return h->c != NULL;
}

/* ---- vectors ---- */

/* n new vectors are there, of a layout. */
static void count_made(norn_lanes *l, layout *at, uint32_t n)
{
  at->refs += n;
  at->values += n;
  l->made += n;
  l->cells += (size_t)n * at->n;
  l->made_cells += (size_t)n * at->n;
  if (l->cells > l->report.most) l->report.most = l->cells;
}

static lane_vec *vec_begin(norn_lanes *l, lane_vec *h, layout *at, unsigned kind, cell *c)
{
  *h = (lane_vec){ .at = at, .kind = (uint8_t)kind, .c = c };
  count_made(l, at, 1);
  return h;
}

/* With the cells c, which are given back if there is no memory (error set). */
static lane_vec *vec_of(norn_lanes *l, layout *at, unsigned kind, cell *c)
{
  lane_vec *h = mem_get(&l->st->mem, sizeof *h);
  if (h) return vec_begin(l, h, at, kind, c);
  lane_buffer_put(l, c);
  return state_memory(l->st), NULL;
}

static lane_vec *vec_make(norn_lanes *l, layout *at, unsigned kind)
{
  lane_vec *h = idle_vec(l);
  if (h) return vec_begin(l, h, at, kind, h->c);
  cell *c = lane_buffer(l);
  return c ? vec_of(l, at, kind, c) : NULL;
}

static lane_vec *listed(norn_lanes *l, lane_vec *h)
{
  if (!h) return NULL;
  h->next = l->vecs;
  return l->vecs = h;
}

lane_vec *lane_vec_new(norn_lanes *l, layout *at, unsigned kind) { return listed(l, vec_make(l, at, kind)); }

lane_vec *lane_vec_plate(norn_lanes *l, unsigned kind, cell *plate)
{
  lane_vec *h = listed(l, vec_of(l, l->plate_at, kind, NULL));
  if (h) h->plate = plate;
  else mem_put(&l->st->mem, plate, l->plates * sizeof *plate);
  return h;
}

lane_vec *lane_vec_waiting(norn_lanes *l, layout *at, unsigned kind, uint32_t op)
{
  lane_vec *h = listed(l, vec_of(l, at, kind, NULL));
  if (!h) return NULL;
  h->op = op;
  h->serial = l->serial;
  return h;
}

/* n > 0 of its vectors go. */
static void leave(norn_lanes *l, layout *at, uint32_t n)
{
  l->cells -= (size_t)n * at->n;
  at->values -= n;
  at->refs -= n - 1;
  layout_drop(l, at);
}

void lane_vec_free(norn_lanes *l, lane_vec *h)
{
  while (h) {
    lane_vec *also = h->also;
    leave(l, h->at, 1);
    if (h->sheaf) {
      lane_cells_put(l, h);
      h->at = NULL;
      h->sheaf->left--;
    } else if (h->c && !h->room && !h->b && !h->plate) idle_put(l, h);
    else {
      lane_cells_put(l, h);
      mem_put(&l->st->mem, h, sizeof *h);
    }
    h = also;
  }
}

/* ---- sheaves ---- */

/* Registers of neighbours are an odd number of lines apart, which spreads them over the cache. */
static size_t sheaf_step(const layout *at)
{
  const size_t line = LINE / sizeof(cell);
  return (at->n / line | 1) * line + 2 * line;
}

static lane_sheaf *sheaf_get(norn_lanes *l, size_t bytes)
{
  for (lane_sheaf **at = &l->st->sheaves, *s; (s = *at); at = &s->next)
    if (s->bytes == bytes) {
      *at = s->next;
      return s;
    }
  lane_sheaf *s = mem_get(&l->st->mem, bytes);
  if (s) s->bytes = bytes;
  else state_memory(l->st);
  return s;
}

/* The last few stay for others, if they are not large. */
static void sheaf_put(norn_state *st, lane_sheaf *s)
{
  enum { FEW = 4, MOST = 4 << 20 };
  lane_sheaf **last = &st->sheaves;
  if (s->bytes > MOST) {
    mem_put(&st->mem, s, s->bytes);
    return;
  }
  s->next = st->sheaves;
  st->sheaves = s;
  for (int k = 0; *last && k < FEW; k++) last = &(*last)->next;
  for (lane_sheaf *old; (old = *last); mem_put(&st->mem, old, old->bytes)) *last = old->next;
}

static bool sheaf_new(norn_lanes *l, layout *at, uint32_t n, lane_vec **v)
{
  size_t step = sheaf_step(at);
  lane_sheaf *s = sheaf_get(l, sizeof *s + n * sizeof *s->vec + (n * step + LANE_PAD) * sizeof(cell) + LINE);
  if (!s) return false;
  uintptr_t end = (uintptr_t)(s->vec + n);
  cell *c = (cell *)(void *)((char *)(s->vec + n) + (LINE - end % LINE) % LINE);
  s->n = s->left = n;
  s->at = at;
  s->next = l->sheaves;
  l->sheaves = s;
  for (uint32_t i = 0; i < n; i++) {
    s->vec[i] = (lane_vec){ .at = at, .kind = LANE_REAL, .c = c + i * step, .sheaf = s, .within = true };
    v[i] = s->vec + i;
  }
  count_made(l, at, n);
  return true;
}

bool lane_vecs_new(norn_lanes *l, layout *at, uint32_t n, lane_vec **v)
{
  enum { MANY = 32 };
  if (n >= MANY && l->flags & NORN_RUN_SIMULATE) return sheaf_new(l, at, n, v);
  for (uint32_t i = 0; i < n; i++)
    if (!(v[i] = lane_vec_new(l, at, LANE_REAL))) return false;
  return true;
}

/* Of one sheaf those that are not marked go, or all. */
static void sheaf_sweep(norn_lanes *l, lane_sheaf *s, bool all)
{
  layout *at = s->at;
  uint32_t n = 0;                       /* that are as they were made */
  for (lane_vec *h = s->vec; h < s->vec + s->n; h++) {
    if (!h->at) continue;
    if (!all && h->mark) {
      h->mark = false;
      for (lane_vec *v = h; v; v = v->also) l->kept++;
    } else if (h->within && h->at == at && !h->also) {
      h->at = NULL;
      n++;
    } else lane_vec_free(l, h);
  }
  s->left -= n;
  if (n) leave(l, at, n);
}

/* The same of all; and sheaves that nobody has any of go. */
static void sheaves_sweep(norn_lanes *l, bool all)
{
  for (lane_sheaf **at = &l->sheaves, *s; (s = *at);) {
    sheaf_sweep(l, s, all);
    if (s->left) {
      at = &s->next;
      continue;
    }
    *at = s->next;
    sheaf_put(l->st, s);
  }
}

void lane_sheaves_free(norn_lanes *l) { sheaves_sweep(l, true); }

/* ---- where a vector is ---- */

/* Is `up` the layout or one that it was made from. */
static bool is_above(const layout *up, const layout *p)
{
  while (p && p->depth > up->depth) p = p->up;
  return p == up;
}

/* Only vectors refer to it: no group is there any more, and none descends from it. */
static bool is_left(const layout *p) { return p->refs == p->values; }

/* Vectors that nobody can read any more go: a handle that many groups have read would have very many. */
lane_vec *lane_nearest(group *g, lane_vec *h)
{
  lane_vec *from = NULL;
  for (lane_vec *v = h; v; v = v->also)
    if (v->at == g->at) return v;
  for (lane_vec **at = &h->also; *at;) {
    lane_vec *v = *at;
    if (!is_left(v->at)) {
      at = &v->also;
      continue;
    }
    *at = v->also;
    v->also = NULL;
    lane_vec_free(g->all, v);
  }
  for (lane_vec *v = h; v; v = v->also)
    if ((!from || v->at->depth > from->at->depth) && is_above(v->at, g->at)) from = v;
  return from;
}

/* In place if nobody else reads it as it was; else beside it. */
static lane_vec *moved(group *g, lane_vec *h, const lane_vec *from, cell *c, void *b)
{
  norn_lanes *l = g->all;
  if (l->ngroup == 1 && !h->also) {
    layout *was = h->at;
    lane_cells_put(l, h);
    h->c = c;
    h->b = b;
    h->at = g->at;
    l->cells += g->at->n;
    g->at->refs++;
    g->at->values++;
    leave(l, was, 1);
    return h;
  }
  lane_vec *v = vec_of(l, g->at, h->kind, c);
  if (!v && b) l->store->buffer_free(l->stored, b);
  if (!v) return NULL;
  v->b = b;
  v->lo = from->lo, v->hi = from->hi, v->ranged = from->ranged;
  v->also = h->also;
  h->also = v;
  return v;
}

bool lane_moved(group *g, lane_vec *h, cell *c, void *b)
{
  return moved(g, h, lane_nearest(g, h), c, b) != NULL;
}

lane_vec *lane_here(group *g, lane_vec *h)
{
  if (NORN_LIKELY(h->at == g->at && h->c && !h->plate)) return h;
  return h->plate && lanes_apart(g) ? NULL : lane_gathered(g, h);
}

lane_vec *lane_gathered(group *g, lane_vec *h)
{
  norn_lanes *l = g->all;
  if (h->plate) return lane_host(l, h) ? h : NULL;
  bool segment_has = NORN_UNLIKELY(g->defers) && h->serial == l->serial && (lane_waits(h) || h->at != g->at);
  if (segment_has && !lanes_flush(g, NULL, FLUSH_ALL)) return NULL;
  lane_vec *from = lane_nearest(g, h);
  if (!lane_host(l, from)) return NULL;
  if (from->at == g->at) return from;
  const uint32_t *map = layout_map(l, g->at, from->at);
  cell *c = map ? lane_buffer(l) : NULL;
  if (!c) return NULL;
  lane_ops()->gather(c, from->c, map, g->at->n);
  return moved(g, h, from, c, NULL);
}

cell *lane_cells(group *g, lane_vec *h)
{
  lane_vec *v = lane_here(g, h);
  return v ? v->c : NULL;
}

/* ---- what can't be reached ---- */

/* Heap objects that were seen, a table of addresses; and values that are still to be looked at. */
typedef struct values { const val *v; size_t n; } values;
typedef struct marking {
  mem *m;
  const void **at; size_t n, mask;
  values *todo; size_t ntodo, ctodo;
  bool failed;
} marking;

static size_t place_of(const void **at, size_t mask, const void *p)
{
  size_t k = (size_t)hash_mix((uintptr_t)p) & mask;
  while (at[k] && at[k] != p) k = (k + 1) & mask;
  return k;
}

static bool seen_before(marking *s, const void *p)
{
  if (!s->at || 2 * (s->n + 1) > s->mask) {
    size_t old = s->at ? s->mask + 1 : 0, size = old ? 2 * old : 64;
    const void **at = mem_zero(s->m, size * sizeof *at);
    if (!at) return s->failed = true;
    for (size_t i = 0; i < old; i++)
      if (s->at[i]) at[place_of(at, size - 1, s->at[i])] = s->at[i];
    mem_put(s->m, s->at, old * sizeof *at);
    s->at = at;
    s->mask = size - 1;
  }
  size_t k = place_of(s->at, s->mask, p);
  if (s->at[k]) return true;
  s->at[k] = p;
  s->n++;
  return false;
}

static void mark_later(marking *s, const val *v, size_t n)
{
  if (!n) return;
  if (mem_grow(s->m, &s->todo, &s->ctodo, s->ntodo + 1, sizeof *s->todo))
    s->todo[s->ntodo++] = (values){ v, n };
  else s->failed = true;
}

static void mark_buffer(marking *s, buf *b)
{
  for (; b && b->h.aux == NORN_VALUES && !seen_before(s, b); b = b->parent)
    mark_later(s, b->v, b->fill - b->base);
}

static void mark_object(marking *s, val x)
{
  const obj *o = x.p;
  switch (V_KIND(x)) {
  case NORN_RECORD: mark_later(s, v_rec(x)->f, v_rec(x)->sh->n); break;
  case NORN_DATA: mark_later(s, ((const data *)x.p)->f, o->n); break;
  case NORN_FUN: mark_later(s, v_clo(x)->cap, o->n); break;
  case NORN_DIST: case NORN_ENGINE: mark_later(s, v_tab(x)->a, o->n); break;
  case NORN_MODEL: mark_later(s, ((const modl *)x.p)->a, o->n); break;
  default: break;
  }
}

static void mark_one(marking *s, val x);
static void mark_map(marking *s, val map)
{
  val key, value;
  for (int64_t i = 0; norn_map_at(map, i, &key, &value); i++) {
    mark_one(s, key);
    mark_one(s, value);
  }
}

static void mark_one(marking *s, val x)
{
  if (V_KIND(x) == V_LANES) ((lane_vec *)x.p)->mark = true;
  if (!V_IS_HEAP(x) || x.tag == NORN_STR || x.tag == NORN_BIG) return;
  if (x.tag == NORN_ARRAY) mark_buffer(s, v_vec(x)->b);
  else if (!seen_before(s, x.p)) {
    if (x.tag == NORN_MAP) mark_map(s, x);
    else mark_object(s, x);
  }
}

static bool mark_value(void *user, val *x, const proto *p, const ins *pc, int reg)
{
  marking *s = user;
  (void)p, (void)pc, (void)reg;
  mark_one(s, *x);
  while (s->ntodo) {
    values some = s->todo[--s->ntodo];
    for (size_t i = 0; i < some.n; i++) mark_one(s, some.v[i]);
  }
  return !s->failed;
}

/* Older layouts from which nothing is gathered any more are forgotten. */
static void cut(norn_lanes *l, layout *p)
{
  layout *last = NULL;
  for (layout *q = p; q; q = q->up)
    if (q->values) last = q;
  if (!last) last = p;
  if (!last->up) return;
  layout *up = last->up;
  for (layout *q = p; q; q = q->up)
    if (q->far && q->far->depth < last->depth) layout_forget(l, q);
  mem_put(&l->st->mem, last->map, last->map ? last->room * sizeof *last->map : 0);
  if (last->dev) l->store->map_free(l->stored, last->dev);
  last->map = NULL;
  last->dev = NULL;
  last->up = NULL;
  layout_drop(l, up);
}

/* Layouts in a row in which nothing lies and from which one group alone descends become one map. */
static void shorten(norn_lanes *l, layout *p)
{
  enum { LONG = 16 };
  int n = 0;
  if (l->store) return;                          /* maps are the backend's */
  for (layout *q = p->up; q && !q->values && q->refs == 1; q = q->up) n++;
  if (n < LONG) return;
  layout_forget(l, p);
  while (p->up && !p->up->values && p->up->refs == 1 && p->up->up) {
    layout *q = p->up;
    compose(p->map, q->map, p->n);
    p->up = q->up;
    q->up->refs++;
    layout_drop(l, q);
  }
}

bool lanes_mark(norn_lanes *l, bool snapshot)
{
  marking s = { .m = &l->st->mem };
  for (size_t i = 0; i < l->ngroup; i++) lanes_walk(l->group[i]->run, mark_value, &s);
  if (snapshot && l->snapshot) lanes_walk(l->snapshot, mark_value, &s);
  if (s.at) mem_put(s.m, s.at, (s.mask + 1) * sizeof *s.at);
  mem_put(s.m, s.todo, s.ctodo * sizeof *s.todo);
  for (lane_vec *h = l->vecs; s.failed && h; h = h->next) h->mark = true;
  for (lane_sheaf *f = l->sheaves; s.failed && f; f = f->next)
    for (uint32_t i = 0; i < f->n; i++) f->vec[i].mark = true;
  return !s.failed;
}

/* Those of the segment that is being made are needed until it has run. */
void lanes_free_unmarked(norn_lanes *l)
{
  l->kept = l->made = l->made_cells = 0;
  sheaves_sweep(l, false);
  for (lane_vec **at = &l->vecs; *at;) {
    lane_vec *h = *at;
    if (!h->mark && !(l->snapshot && h->serial == l->serial)) {
      *at = h->next;
      lane_vec_free(l, h);
      continue;
    }
    h->mark = false;
    for (lane_vec *v = h; v; v = v->also) l->kept++;
    at = &h->next;
  }
  if (l->ngroup == 1) {
    shorten(l, l->group[0]->at);
    cut(l, l->group[0]->at);
  }
}

/* Looking costs as much as there are handles to be found, and leaving them the nearer cache; of small groups their
   cells are few, but buffers have room for all lanes. */
static bool sweep_due(const norn_lanes *l)
{
  enum { NEAR = 256 << 10, MOST = 4 << 20 };
  if (l->made < l->kept / 4 + 4) return false;
  return l->made_cells * sizeof(cell) >= NEAR || l->made * lane_bytes(l) >= MOST;
}

bool lanes_sweep(norn_lanes *l, bool now)
{
  if ((!now && !sweep_due(l)) || l->selecting || l->holding) return true;
  bool looked = lanes_mark(l, true);
  lanes_free_unmarked(l);
  return looked;
}
