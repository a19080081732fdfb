/* delayed.c: the graph of delayed choices (delayed.h): nodes in a persistent map, trees that are
   rerooted, nodes that are drawn.

   A choice is drawn with the numbers of its address, in the iteration in which it is drawn.  Nodes
   that neither the run nor another node can ask for are forgotten: when there are twice as many as
   were needed the last time, the live values are looked through, so that a long filter needs no more
   memory than its state.  Where there is too much to look through, nothing is forgotten. */
#include "lang/symbolic/delayed.h"
#include "lang/value/hamt.h"
#include "num/rng.h"
#include <math.h>
#include <string.h>

enum { LEAST = 32 };

/* ---- the map ---- */

static uint64_t hash_of(int64_t id) { return hash_mix((uint64_t)id * 0x9e3779b97f4a7c15u); }

/* hamt_get for these keys: other ids have other hashes, so they alone are compared. */
static val node_of(const rgraph *g, int64_t id)
{
  uint64_t hash = hash_of(id), left = hash;
  const hnode *t = ((const map *)g->nodes.p)->root;
  for (; t && !t->h.aux; left >>= 5) {
    uint32_t bit = 1u << (left & 31), below = bit - 1;
    if (t->datamap & bit) {
      const hent *e = &t->e[hnode_bits(t->datamap & below)];
      return e->hash == hash ? e->value : norn_none();
    }
    t = t->nodemap & bit ? hnode_subs(t)[hnode_bits(t->nodemap & below)] : NULL;
  }
  for (uint32_t i = 0; t && i < t->h.n; i++)
    if (t->e[i].hash == hash) return t->e[i].value;
  return norn_none();
}

/* The graph, to be written to: a run's own.  NULL: no memory. */
static rgraph *graph_own(norn_run *r)
{
  norn_state *st = r->st;
  rgraph *g = r->delay;
  if (g && !(g->h.n & GRAPH_SHARED)) {
    if (g->h.flags & OBJ_OLD) heap_remember(st, &g->h);
    return g;
  }
  val none = g ? g->nodes : hamt_new(st);
  rgraph *own = norn_is_none(none) ? NULL : heap_alloc(st, sizeof *own);
  if (!own) return state_memory(st), NULL;
  obj_init(own, V_RANDOM, RANDOM_GRAPH, 0);
  own->made = g ? g->made : 0;
  own->met = g ? g->met : 0;
  own->drawn = g ? g->drawn : 0;
  own->least = g ? g->least : LEAST;
  own->next = g ? g->next : 0;
  own->members = g && g->members;
  own->stamp = g ? g->stamp + 1 : 1;
  own->nodes = none;
  r->delay = own;
  r->rare = true;
  return own;
}

rgraph *delayed_count(norn_run *r) { return graph_own(r); }

static int64_t graph_size(const rgraph *g)
{
  const map *m = g->nodes.p;
  return m->root ? m->root->count : 0;
}

bool delayed_has(const norn_run *r, int64_t id)
{
  return r->delay && !norn_is_none(node_of(r->delay, id));
}

/* The object of a node; NULL: error set. */
static const rnode *find(norn_run *r, int64_t id)
{
  val v = r->delay ? node_of(r->delay, id) : norn_none();
  if (!norn_is_none(v)) return v.p;
  norn_fail(r->st, NORN_EUSE, -1, "a choice of another run can't be looked at here");
  return NULL;
}

int delayed_known(norn_run *r, int64_t id)
{
  const rnode *o = find(r, id);
  return o ? o->at == AT_KNOWN : -1;
}

static void unpack(const rnode *o, dnode *n)
{
  n->form = o->form & ~NODE_MEMBER;
  n->member = o->form & NODE_MEMBER;
  n->at = o->at;
  n->parent = o->parent;
  n->scale = o->scale;
  n->addr = o->addr;
  n->row = o->row;
  memcpy(n->x, o->x, sizeof n->x);
  n->n = (int)o->h.n;
  for (int i = 0; i < n->n; i++) n->v[i] = o->v[i];
}

/* Several parents, of which some have become known: they go. */
static bool renew_many(norn_run *r, dnode *n)
{
  norn_view ids, w;
  int64_t left = 0, k = 0, *id;
  double *a;
  norn_array_view(n->v[0], &ids);
  norn_array_view(n->v[1], &w);
  for (int64_t i = 0; i < ids.n; i++) {
    const rnode *p = find(r, ids.i[i]);
    if (!p) return false;
    if (p->at == AT_KNOWN) n->x[1] += w.f[i] * p->x[0];
    else left++;
  }
  if (left == ids.n) return true;
  val to = norn_array(r->st, NORN_I64, 1, &left, (void **)&id);
  val by = norn_is_none(to) ? to : norn_array(r->st, NORN_F64, 1, &left, (void **)&a);
  if (norn_is_none(by)) return false;
  for (int64_t i = 0; i < ids.n; i++) {
    if (find(r, ids.i[i])->at == AT_KNOWN) continue;
    id[k] = ids.i[i];
    a[k++] = w.f[i];
  }
  n->v[0] = to;
  n->v[1] = by;
  if (left > 1) return true;
  n->n = 0;
  n->at = left ? AT_CHILD : AT_ROOT;
  if (left) n->parent = id[0];
  n->x[0] = left ? a[0] : n->x[1];
  if (!left) n->x[1] = n->x[2];
  return true;
}

/* A normal variable whose neighbour has become known, or its scale; a vector whose neighbour has become
   single numbers. */
static bool renew(norn_run *r, int64_t id, dnode *n)
{
  if (n->at == AT_MANY && !renew_many(r, n)) return false;
  if (n->at == AT_CHILD) {
    const rnode *p = find(r, n->parent);
    if (!p) return false;
    if (p->at == AT_KNOWN && n->form == NODE_VECTOR) {
      if (!gauss_renew(r->st, n, p->v[0])) return false;
    } else if (n->form == NODE_VECTOR && (p->form & ~NODE_MEMBER) == NODE_GROUP) {
      return delayed_split(r, id, n);
    } else if (p->at == AT_KNOWN) {
      n->at = AT_ROOT;
      n->x[0] = n->x[0] * p->x[0] + n->x[1];
      n->x[1] = n->x[2];
    }
  }
  if (n->scale >= 0) {
    const rnode *s = find(r, n->scale);
    if (!s) return false;
    if (s->at == AT_KNOWN) {
      n->x[n->at == AT_ROOT ? 1 : 2] /= s->x[0];
      n->scale = -1;
    }
  }
  return true;
}

bool delayed_load(norn_run *r, int64_t id, dnode *n)
{
  const rnode *o = find(r, id);
  if (!o) return false;
  unpack(o, n);
  if (n->at == AT_KNOWN || (n->form != NODE_NORMAL && n->form != NODE_VECTOR)) return true;
  return renew(r, id, n);
}

static void write_node(rnode *o, const dnode *n, int64_t stamp)
{
  o->form = n->form | (n->member ? NODE_MEMBER : 0);
  o->at = n->at;
  o->parent = n->parent;
  o->scale = n->scale;
  o->addr = n->addr;
  o->row = n->row;
  o->stamp = stamp;
  memcpy(o->x, n->x, sizeof o->x);
  for (int i = 0; i < n->n; i++) o->v[i] = n->v[i];
}

static bool put_node(norn_run *r, rgraph *g, int64_t id, const dnode *n)
{
  norn_state *st = r->st;
  rnode *o = heap_alloc(st, sizeof *o + (size_t)n->n * sizeof(val));
  if (!o) return false;
  obj_init(o, V_RANDOM, RANDOM_NODE, (uint32_t)n->n);
  write_node(o, n, g->stamp);
  val m = hamt_put(st, g->nodes, norn_int(id), hash_of(id), v_obj(V_RANDOM, o));
  if (norn_is_none(m)) return false;
  g->nodes = m;
  return true;
}

bool delayed_store(norn_run *r, int64_t id, const dnode *n)
{
  rgraph *g = graph_own(r);
  val was = g ? node_of(g, id) : norn_none();
  if (!g) return false;
  rnode *o = norn_is_none(was) ? NULL : was.p;
  if (!o || o->stamp != g->stamp || o->h.n || n->n) return put_node(r, g, id, n);
  write_node(o, n, g->stamp);                              /* without values, so the collector need not know */
  return true;
}

int64_t delayed_add(norn_run *r, const dnode *n)
{
  rgraph *g = graph_own(r);
  if (!g) return -1;
  int64_t id = g->next++;
  dnode own = *n;
  own.member = g->members;
  if (!own.member) g->made++;
  return put_node(r, g, id, &own) ? id : -1;
}

/* ---- the tree ---- */

/* w, a child of the root u, becomes the root and u its child.  p(u) p(w | u) = p(w) p(u | w). */
static bool reverse(norn_state *st, dnode *u, dnode *w, int64_t id_of_w)
{
  if (u->form == NODE_VECTOR) return gauss_reverse(st, u, w, id_of_w);
  double m = u->x[0], p = u->x[1], a = w->x[0], c = w->x[1], q = w->x[2];
  double mean = a * m + c, s = a * a * p + q, gain = a * p / s;
  u->at = AT_CHILD;
  u->parent = id_of_w;
  u->x[0] = gain;
  u->x[1] = m - gain * mean;
  u->x[2] = p * q / s;
  w->at = AT_ROOT;
  w->parent = -1;
  w->x[0] = mean;
  w->x[1] = s;
  w->x[2] = 0;
  return true;
}

/* The ids from a child up to below its root. */
typedef struct path { int64_t *id, few[32]; size_t n, cap; } path;

static bool path_add(norn_state *st, path *p, int64_t id)
{
  if (p->n < NORN_COUNT(p->few)) return p->few[p->n++] = id, true;
  if (!mem_grow(&st->mem, &p->id, &p->cap, p->n + 1, sizeof *p->id)) return state_memory(st), false;
  if (p->n == NORN_COUNT(p->few)) memcpy(p->id, p->few, sizeof p->few);
  p->id[p->n++] = id;
  return true;
}

static bool path_up(norn_run *r, path *p, int64_t *id, dnode *n)
{
  while (n->at == AT_CHILD) {
    if (!path_add(r->st, p, *id)) return false;
    *id = n->parent;
    if (!delayed_load(r, *id, n)) return false;
  }
  return true;
}

bool delayed_root(norn_run *r, int64_t id, dnode *n)
{
  return delayed_load(r, id, n) && delayed_rise(r, id, n);
}

/* One edge, as at each step of a filter. */
static bool rise_once(norn_run *r, int64_t id, dnode *n, dnode *u)
{
  int64_t parent = n->parent;
  return reverse(r->st, u, n, id) && delayed_store(r, parent, u);
}

bool delayed_rise(norn_run *r, int64_t id, dnode *n)
{
  path p;
  dnode u;
  int64_t at = id;
  if (n->at == AT_ROOT || n->at == AT_KNOWN) return true;
  if (n->form == NODE_NORMAL && n->at == AT_CHILD) {
    if (!delayed_load(r, n->parent, &u)) return false;
    if (u.at == AT_ROOT) return rise_once(r, id, n, &u);
  }
  p.n = p.cap = 0;
  p.id = NULL;
  bool good = path_up(r, &p, &at, n), many = n->at == AT_MANY, is_group = n->form == NODE_GROUP;
  const int64_t *way = p.n > NORN_COUNT(p.few) ? p.id : p.few;
  while (good && p.n-- && !many) {
    dnode w;
    good = delayed_load(r, way[p.n], &w);              /* under a group it becomes one */
    good = good && (is_group || (reverse(r->st, n, &w, way[p.n]) && delayed_store(r, at, n)));
    *n = w;
    at = way[p.n];
  }
  if (good && many) good = joint_root(r, id) && delayed_load(r, id, n);
  mem_put(&r->st->mem, p.id, p.cap * sizeof *p.id);
  return good;
}

/* ---- drawing ---- */

bool delayed_peek(norn_run *r, dnode *n, norn_rng *g)
{
  if (n->form == NODE_SIMPLEX || n->form == NODE_VECTOR) {
    val args[2] = {n->v[0], n->form == NODE_VECTOR ? n->v[1] : norn_unit()};
    norn_dist d = {n->row, args, n->form == NODE_VECTOR ? 2 : 1};
    return !norn_dist_sample(r->st, &d, g, &n->v[0]);
  }
  double x = n->form == NODE_NORMAL ? n->x[0] + sqrt(n->x[1]) * rng_normal(g) : n->row->sample1(n->x, g);
  n->v[0] = norn_real(x);
  n->x[0] = n->form == NODE_GAMMA && n->x[2] < 0 ? 1 / x : x;
  return true;
}

/* With an unknown scale: it is drawn to draw n, forgotten, and then knows of n. */
static bool draw_scaled(norn_run *r, dnode *n, norn_rng *g)
{
  dnode s, t;
  if (!delayed_load(r, n->scale, &s)) return false;
  t = s;
  if (!delayed_peek(r, &t, g)) return false;
  double e = sqrt(n->x[1] / t.x[0]) * rng_normal(g), x = n->x[0] + e;
  s.x[0] += 0.5;
  s.x[1] += e * e / (2 * n->x[1]);
  if (!delayed_store(r, n->scale, &s)) return false;
  n->x[0] = x;
  n->v[0] = norn_real(x);
  return true;
}

/* Its elements are drawn. */
static bool draw_group(norn_run *r, dnode *n)
{
  n->v[0] = delayed_force(r->st, n->v[0]);
  n->x[0] = 0;
  return !norn_is_none(n->v[0]);
}

static bool draw_node(norn_run *r, dnode *n, norn_rng *g)
{
  if (n->form == NODE_GROUP) return draw_group(r, n);
  if (n->form == NODE_LEAF) return delayed_draw_leaf(r, n, g);
  if (n->form == NODE_NORMAL && n->scale >= 0) return draw_scaled(r, n, g);
  return delayed_peek(r, n, g);
}

bool delayed_draw(norn_run *r, int64_t id, dnode *n)
{
  if (!delayed_load(r, id, n)) return false;
  if (n->at == AT_KNOWN) return true;
  if ((n->form == NODE_NORMAL || n->form == NODE_VECTOR) && !delayed_root(r, id, n)) return false;
  norn_rng g = {r->stream, r->lane, (uint32_t)(n->addr ^ n->addr >> 32), r->iter, 0, r->st->pairs};
  if (!draw_node(r, n, &g)) return false;
  n->at = AT_KNOWN;
  n->n = 1;
  n->parent = n->scale = -1;
  rgraph *own = graph_own(r);
  if (!own) return false;
  if (!r->finished) own->drawn++;
  return delayed_store(r, id, n);
}

/* ---- what is needed no more ---- */

typedef struct needed {
  norn_run *r;
  val nodes;                          /* those that were found so far */
  path todo;
  bool failed;
} needed;

static bool need(void *user, int64_t id)
{
  needed *k = user;
  norn_state *st = k->r->st;
  val had = hamt_get(k->nodes, norn_int(id), hash_of(id));
  if (!norn_is_none(had)) return true;
  val o = node_of(k->r->delay, id);
  if (norn_is_none(o)) return true;
  k->nodes = hamt_put(st, k->nodes, norn_int(id), hash_of(id), o);
  k->failed = norn_is_none(k->nodes) || !path_add(st, &k->todo, id);
  return !k->failed;
}

/* What node id itself refers to. */
static bool need_behind(needed *k, delayed_visit *v, int64_t id)
{
  const rnode *o = find(k->r, id);
  if (!o) return false;
  if (o->at == AT_KNOWN) return true;
  if (o->parent >= 0 && !need(k, o->parent)) return false;
  if (o->scale >= 0 && !need(k, o->scale)) return false;
  if (o->at == AT_MANY) return delayed_visit_ids(v, o->v[0]);
  for (uint32_t i = 0; i < o->h.n; i++)
    if (!delayed_visit_value(v, o->v[i])) return false;
  return true;
}

/* false: they were not all found. */
static bool find_needed(needed *k)
{
  norn_run *r = k->r;
  int64_t n = graph_size(r->delay);
  delayed_visit v = {r->st, need, k, 1000 + 16 * n};
  if (!run_visit_values(r, &v)) return false;
  while (k->todo.n) {
    const int64_t *id = k->todo.n > NORN_COUNT(k->todo.few) ? k->todo.id : k->todo.few;
    if (!need_behind(k, &v, id[--k->todo.n])) return false;
  }
  return true;
}

bool delayed_forget(norn_run *r)
{
  norn_state *st = r->st;
  if (!r->delay || graph_size(r->delay) < r->delay->least) return true;
  needed k = {.r = r, .nodes = hamt_new(st)};
  if (norn_is_none(k.nodes)) return false;
  bool all = find_needed(&k);
  mem_put(&st->mem, k.todo.id, k.todo.cap * sizeof *k.todo.id);
  rgraph *g = k.failed || st->err.code ? NULL : graph_own(r);
  if (!g) return false;
  if (all) g->nodes = k.nodes;
  int64_t twice = 2 * graph_size(g);
  g->least = (uint32_t)(twice < LEAST ? LEAST : twice > INT32_MAX ? INT32_MAX : twice);
  return true;
}
