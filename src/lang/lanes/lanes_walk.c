/* lanes_walk.c: lanes inside of other values: finding them, taking one lane out of them, and making
   one value of many (lanes.h). */
#include "lang/lanes/lanes.h"
#include "lang/value/array.h"
#include <string.h>

/* ---- the parts of an object ---- */

/* The values of an object that is no array and no map. */
static val *parts(val x, uint32_t *n)
{
  *n = ((const obj *)x.p)->n;
  switch (V_KIND(x)) {
  case NORN_RECORD: *n = v_rec(x)->sh->n; return v_rec(x)->f;
  case NORN_DATA: return ((data *)x.p)->f;
  case NORN_FUN: return v_clo(x)->cap;
  case NORN_DIST: case NORN_ENGINE: return v_tab(x)->a;
  case NORN_MODEL: return ((modl *)x.p)->a;
  default: *n = 0; return NULL;
  }
}

static bool map_inside(val x)
{
  val key, value;
  for (int64_t i = 0; norn_map_at(x, i, &key, &value); i++)
    if (lanes_inside(key) || lanes_inside(value)) return true;
  return false;
}

static bool buffer_inside(const buf *b)
{
  for (; b && b->h.aux == NORN_VALUES; b = b->parent)
    for (uint64_t i = b->fill - b->base; i-- > 0;)
      if (lanes_inside(b->v[i])) return true;
  return false;
}

/* Long lists are walked along their last fields. */
bool lanes_inside(val x)
{
  for (;;) {
    if (v_is_lanes(x)) return true;
    if (!V_IS_HEAP(x)) return false;
    if (x.tag == NORN_ARRAY) return buffer_inside(v_vec(x)->b);
    if (x.tag == NORN_MAP) return map_inside(x);
    uint32_t n;
    const val *v = parts(x, &n);
    if (!n) return false;
    for (uint32_t i = 0; i + 1 < n; i++)
      if (lanes_inside(v[i])) return true;
    x = v[n - 1];
  }
}

/* ---- one lane ---- */

/* Where lane k of the group was in older layouts: on the way up from one to the next. */
typedef struct ancestor { layout *at; uint32_t lane; } ancestor;

/* Of long histories: one lane's number, found by its ancestors; others have no use for its layout. */
static bool old_cell(group *g, const lane_vec *h, uint32_t k, ancestor *a, cell *out)
{
  if (h->also || h->at == g->at || !h->c) return false;
  if (a->at->depth < h->at->depth) *a = (ancestor){ g->at, k };
  for (; a->at != h->at; a->at = a->at->up) {
    if (!a->at->up || !a->at->map) return false;
    a->lane = a->at->map[a->lane];
  }
  *out = h->c[a->lane];
  return true;
}

static val array_lane(group *g, val x, uint32_t k)
{
  norn_state *st = g->run->st;
  int64_t n = norn_array_length(x);
  val *v = mem_get(&st->mem, (size_t)n * sizeof *v), out = norn_none();
  if (!v) return state_memory(st);
  int64_t i = n;                       /* from the youngest on: maps to older layouts go on */
  ancestor a = { g->at, k };
  for (; i > 0; i--) {
    enum { LONG = 64 };
    val e = vec_at(st, v_vec(x), i - 1);
    cell c;
    if (n > LONG && v_is_lanes(e) && old_cell(g, e.p, k, &a, &c)) v[i - 1] = cell_value(lanes_kind(e), c);
    else if (norn_is_none(v[i - 1] = lane_of(g, e, k))) break;
  }
  if (i == 0) out = vec_pack(st, v, n);
  mem_put(&st->mem, v, (size_t)n * sizeof *v);
  return out;
}

static val map_lane(group *g, val x, uint32_t k)
{
  norn_state *st = g->run->st;
  val map = norn_map_new(st), key, value;
  for (int64_t i = 0; !norn_is_none(map) && norn_map_at(x, i, &key, &value); i++) {
    value = lane_of(g, value, k);
    map = norn_is_none(value) ? value : norn_map_put(st, map, key, value);
  }
  return map;
}

static size_t head_of(val x)
{
  switch (V_KIND(x)) {
  case NORN_RECORD: return sizeof(rec);
  case NORN_DATA: return sizeof(data);
  case NORN_FUN: return sizeof(clo);
  case NORN_DIST: case NORN_ENGINE: return sizeof(tab);
  default: return sizeof(modl);
  }
}

/* A copy of an object whose parts are units still. */
static val object_copy(norn_state *st, val x, val **v)
{
  uint32_t n;
  parts(x, &n);
  size_t head = head_of(x);
  obj *to = heap_alloc(st, head + n * sizeof(val));
  if (!to) return state_memory(st);
  uint8_t flags = to->flags;
  memcpy(to, x.p, head);
  to->flags = flags;
  val out = { .tag = x.tag, .p = to };
  *v = parts(out, &n);
  for (uint32_t i = 0; i < n; i++) (*v)[i] = norn_unit();
  return out;
}

/* Along the last fields, as above: `hole` is where the copy of x goes. */
val lane_of(group *g, val x, uint32_t k)
{
  norn_state *st = g->run->st;
  val out = norn_none(), *hole = &out;
  for (;;) {
    if (v_is_lanes(x)) {
      const cell *c = lane_cells(g, x.p);
      if (!c) return norn_none();
      *hole = cell_value(lanes_kind(x), c[k]);
      return out;
    }
    if (!V_IS_HEAP(x) || !lanes_inside(x)) { *hole = x; return out; }
    if (x.tag == NORN_ARRAY || x.tag == NORN_MAP) {
      *hole = x.tag == NORN_MAP ? map_lane(g, x, k) : array_lane(g, x, k);
      return norn_is_none(*hole) ? *hole : out;
    }
    uint32_t n;
    val *to;
    const val *v = parts(x, &n);
    *hole = object_copy(st, x, &to);
    if (norn_is_none(*hole)) return norn_none();
    for (uint32_t i = 0; i + 1 < n; i++) {
      to[i] = lane_of(g, v[i], k);
      if (norn_is_none(to[i]) && !norn_is_none(v[i])) return norn_none();
    }
    hole = &to[n - 1];
    x = v[n - 1];
  }
}

/* ---- arrays ---- */

/* What packing looks at. */
enum { CLASS_OTHER, CLASS_INT, CLASS_REAL, CLASS_BOOL, CLASS_ARRAY };
static int class_of(val x)
{
  unsigned kind = v_is_lanes(x) ? lanes_kind(x) : (unsigned)x.tag;
  return kind == LANE_REAL ? CLASS_REAL : kind == LANE_INT ? CLASS_INT : kind == LANE_BOOL ? CLASS_BOOL
         : x.tag == NORN_ARRAY ? CLASS_ARRAY : CLASS_OTHER;
}

static val as_real(norn_state *st, val x)
{
  group *g = st->lanes;
  if (class_of(x) != CLASS_INT) return x;
  if (V_IS_INT(x)) return norn_real((double)x.i);
  const cell *c = lane_cells(g, x.p);
  lane_vec *z = c ? lane_vec_new(g->all, g->at, LANE_REAL) : NULL;
  for (uint32_t k = 0; z && k < g->at->n; k++) z->c[k].d = (double)c[k].i;
  return z ? v_lanes(z) : norn_none();
}

/* Integers and reals, nothing else: all become reals. */
static val all_real(norn_state *st, val a)
{
  int64_t n = norn_array_length(a);
  vec *v = v_vec(a), *z;
  for (int64_t i = 0; i < n; i++) {
    int c = class_of(vec_at(st, v, i));
    if (c != CLASS_INT && c != CLASS_REAL) return a;
  }
  z = vec_new(st, NORN_VALUES, 1, &n);
  for (int64_t i = 0; z && i < n; i++) {
    z->b->v[i] = as_real(st, vec_at(st, v, i));
    if (norn_is_none(z->b->v[i])) return norn_none();
  }
  return z ? v_obj(NORN_ARRAY, z) : norn_none();
}

/* A row of reals of that length. */
static bool is_real_row(norn_state *st, val x, int64_t n)
{
  if (x.tag != NORN_ARRAY || vec_rank(v_vec(x)) != 1 || v_vec(x)->len != n) return false;
  if (vec_elem(v_vec(x)) != NORN_VALUES) return vec_elem(v_vec(x)) == NORN_F64;
  for (int64_t i = 0; i < n; i++)
    if (class_of(vec_at(st, v_vec(x), i)) != CLASS_REAL) return false;
  return true;
}

val lanes_settled(norn_state *st, val a, int64_t from)
{
  vec *v = v_vec(a);
  if (a.tag != NORN_ARRAY || vec_elem(v) != NORN_VALUES || v->len == 0) return a;
  int64_t i = from > 0 ? from : 1;
  val last = vec_at(st, v, i - 1);
  int is = class_of(last);
  for (; i < v->len; i++) {
    val x = vec_at(st, v, i);
    int c = class_of(x);
    if (c != is && (c == CLASS_INT || c == CLASS_REAL) && (is == CLASS_INT || is == CLASS_REAL))
      return all_real(st, a);
    bool rows = c == CLASS_ARRAY && is == CLASS_ARRAY && (lanes_inside(x) || lanes_inside(last));
    if (rows && !is_real_row(st, x, norn_array_length(last))) {
      lanes_alone(st, "an array of arrays that hold lanes");
      return norn_none();
    }
    is = c;
    last = x;
  }
  return a;
}

/* ---- one value of many ---- */

static bool is_same(val x, val y)
{
  return x.tag == y.tag && (x.i == y.i || (x.tag == NORN_STR && value_equal(x, y)));
}

static unsigned kind_of(val x)
{
  return v_is_lanes(x) ? lanes_kind(x) : V_IS_INT(x) || V_IS_REAL(x) || V_IS_BOOL(x) ? x.tag : 0;
}

/* A number for each population. */
static val plate_cells(norn_lanes *l, const lane_source *s, unsigned kind)
{
  cell *c = mem_get(&l->st->mem, l->plates * sizeof *c);
  if (!c) {
    state_memory(l->st);
    return norn_none();
  }
  for (uint32_t f = 0; f < l->plates; f++) c[f].i = s[f].v.i;
  lane_vec *h = lane_vec_plate(l, kind, c);
  return h ? v_lanes(h) : norn_none();
}

/* Numbers or booleans of one kind become a vector. */
static val joined_cells(norn_lanes *l, layout *at, const lane_source *s, size_t n, unsigned kind)
{
  if (at == l->plate_at) return plate_cells(l, s, kind);
  lane_vec *h = lane_vec_new(l, at, kind);
  if (!h) return norn_none();
  for (uint32_t k = 0; k < at->n; k++) h->c[k].u = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t m = s[i].g ? s[i].g->at->n : 1;
    const cell *c = v_is_lanes(s[i].v) ? lane_cells(s[i].g, s[i].v.p) : NULL;
    if (v_is_lanes(s[i].v) && !c) return norn_none();
    for (uint32_t k = 0; k < m; k++) h->c[s[i].to[k]].i = c ? c[k].i : s[i].v.i;
  }
  return v_lanes(h);
}

/* Part i of each lane_source's value; elements of arrays too. */
static val part_at(norn_state *st, val x, uint32_t i)
{
  uint32_t n;
  return x.tag == NORN_ARRAY ? vec_at(st, v_vec(x), i) : parts(x, &n)[i];
}

/* What two objects must have in common to be joined part by part; of larger matrices each lane has its own. */
enum { SMALL_MATRIX = 256 };
static bool is_alike(val x, val y)
{
  uint32_t n, m;
  if (x.tag != y.tag) return false;
  switch (V_KIND(x)) {
  case NORN_RECORD: return v_rec(x)->sh == v_rec(y)->sh;
  case NORN_FUN: return v_clo(x)->p == v_clo(y)->p;
  case NORN_DATA: return true;
  case NORN_DIST:
    parts(x, &n), parts(y, &m);
    return v_tab(x)->row == v_tab(y)->row && n == m;
  case NORN_MODEL:
    parts(x, &n), parts(y, &m);
    return n == m;
  case NORN_ARRAY:
    if (v_vec(x)->len != v_vec(y)->len || vec_rank(v_vec(x)) != vec_rank(v_vec(y))) return false;
    if (vec_rank(v_vec(x)) == 1) return true;
    return vec_rank(v_vec(x)) == 2 && v_vec(x)->dims[0] == v_vec(y)->dims[0] && vec_count(v_vec(x)) <= SMALL_MATRIX;
  default: return false;
  }
}

static val joined_parts(norn_lanes *l, layout *at, const lane_source *s, size_t n)
{
  norn_state *st = l->st;
  val first = s[0].v, out = norn_none(), *to = NULL;
  uint32_t m = 0;
  if (first.tag == NORN_ARRAY) m = (uint32_t)v_vec(first)->len;
  else parts(first, &m);
  lane_source *part = mem_get(&st->mem, n * sizeof *part);
  val *v = mem_get(&st->mem, m * sizeof *v);
  uint32_t i = 0;
  for (; part && v && i < m; i++) {
    for (size_t j = 0; j < n; j++) {
      part[j] = s[j];
      part[j].v = part_at(st, s[j].v, i);
    }
    v[i] = lanes_joined(l, at, part, n);
    if (norn_is_none(v[i]) && !norn_is_none(part[0].v)) break;
  }
  if (part && v && i == m) {
    out = first.tag == NORN_ARRAY ? vec_pack(st, v, m) : object_copy(st, first, &to);
    if (to) memcpy(to, v, m * sizeof *v);
  }
  mem_put(&st->mem, part, n * sizeof *part);
  mem_put(&st->mem, v, m * sizeof *v);
  return out;
}

/* Arrays of the same numbers: they stay one, packed as it is. */
static bool all_equal(const lane_source *s, size_t n)
{
  for (size_t i = 1; i < n; i++) if (!value_equal(s[i].v, s[0].v)) return false;
  return true;
}

val lanes_joined(norn_lanes *l, layout *at, const lane_source *s, size_t n)
{
  bool same = true, cells = true, alike = true, alone = false;
  unsigned kind = kind_of(s[0].v);
  for (size_t i = 0; i < n; i++) {
    same &= is_same(s[i].v, s[0].v);
    cells &= kind_of(s[i].v) == kind;
    alike &= V_IS_HEAP(s[i].v) && is_alike(s[i].v, s[0].v);
    alone |= !s[i].g;
  }
  /* A handle that groups share is older than what parted them. */
  if (same && (!alone || !lanes_inside(s[0].v))) return s[0].v;
  if (at == l->plate_at && s[0].v.tag == NORN_ARRAY && all_equal(s, n)) return s[0].v;
  if (kind && cells) return joined_cells(l, at, s, n, kind);
  return alike ? joined_parts(l, at, s, n) : norn_none();
}

/* ---- what is live in a run ---- */

bool lanes_walk(norn_run *r, lanes_visitor *f, void *user)
{
  if (r->rare && (!f(user, &r->memo, NULL, NULL, -1) || !f(user, &r->value, NULL, NULL, -1))) return false;
  if (r->finished) return true;
  val *R = r->R;
  const ins *pc = r->pc;
  for (;;) {
    const proto *p = v_clo(R[-1])->p;
    if (!f(user, R - 1, p, pc, -1)) return false;
    const uint64_t *live = p->live + (size_t)(pc - p->code) * p->live_words;
    for (uint32_t w = 0; w < p->live_words; w++)
      for (uint64_t m = live[w]; m; m &= m - 1) {
        int reg = (int)(w * 64) + __builtin_ctzll(m);
        if (!f(user, R + reg, p, pc, reg)) return false;
      }
    val *frame = R - FRAME_SIZE;
    pc = FRAME_PC(frame) == run_water_code ? r->wpc : FRAME_PC(frame);
    if (pc == run_halt_code) return true;
    R = (val *)((char *)R - FRAME_DIST(frame));
  }
}
