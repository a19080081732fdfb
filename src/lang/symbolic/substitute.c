/* substitute: other values in place of the nodes that a value holds, in the captures of
   functions too.  With it a function that closes over nodes of one graph is recorded on another
   (graph/traced.c: what solves, integrates or minimises a Norn function). */
#include "lang/symbolic/node.h"
#include "lang/heap.h"
#include "lang/state.h"
#include "graph/traced.h"
#include <string.h>

struct graph *traced_graph(norn_state *st) { return st->graph; }

norn_status traced_call(norn_state *st, struct graph *g, norn_datum f, const norn_datum *args,
                        int n, norn_datum *out)
{
  struct graph *before = st->graph;
  st->graph = g;
  norn_status status = norn_call(st, f, args, n, out);
  st->graph = before;
  return status;
}

/* ---- looking ---- */

enum { DEEPEST = 200 };

/* The values inside of another; arrays and maps have theirs apart. */
static const val *inside(val x, uint32_t *n)
{
  const obj *o = x.p;
  switch (V_KIND(x)) {
  case NORN_FUN: return *n = o->n, v_clo(x)->cap;
  case NORN_RECORD: return *n = v_rec(x)->sh->n, v_rec(x)->f;
  case NORN_DATA: return *n = o->n, ((const data *)x.p)->f;
  case NORN_DIST: return *n = o->n, v_tab(x)->a;
  case NORN_MODEL: return *n = o->n, ((const modl *)x.p)->a;
  default: return *n = 0, NULL;
  }
}

static bool holds(val x, int depth)
{
  norn_view v;
  uint32_t n;
  if (v_is_node(x)) return true;
  if (!V_IS_HEAP(x) || depth > DEEPEST) return false;
  if (x.tag == NORN_ARRAY) {
    norn_array_view(x, &v);
    for (int64_t i = 0; v.elem == NORN_VALUES && i < v.n; i++)
      if (holds(v.v[i], depth + 1)) return true;
    return false;
  }
  val key, value;
  for (int64_t i = 0; x.tag == NORN_MAP && norn_map_at(x, i, &key, &value); i++)
    if (holds(value, depth + 1)) return true;
  const val *in = inside(x, &n);
  for (uint32_t i = 0; i < n; i++)
    if (holds(in[i], depth + 1)) return true;
  return false;
}

/* ---- replacing ---- */

typedef struct replacing {
  norn_state *st;
  norn_datum (*f)(void *user, norn_datum node);
  void *user;
} replacing;
static val replace(const replacing *r, val x);

static val replace_array(const replacing *r, val x)
{
  int64_t n = norn_array_length(x);
  vec *z = vec_new(r->st, NORN_VALUES, 1, &n);
  for (int64_t i = 0; z && i < n; i++) z->b->v[i] = norn_unit();
  for (int64_t i = 0; z && i < n; i++) {
    val e = replace(r, vec_at(r->st, v_vec(x), i));
    if (norn_is_none(e)) return e;
    z->b->v[i] = e;
  }
  return z ? vec_pack(r->st, z->b->v, n) : norn_none();
}

static val replace_map(const replacing *r, val x)
{
  val key, value, to = norn_map_new(r->st);
  for (int64_t i = 0; !norn_is_none(to) && norn_map_at(x, i, &key, &value); i++) {
    value = replace(r, value);
    if (norn_is_none(value)) return value;
    to = norn_map_put(r->st, to, key, value);
  }
  return to;
}

static val replace(const replacing *r, val x)
{
  uint32_t n;
  if (v_is_node(x)) return r->f(r->user, x);
  if (!holds(x, 0)) return x;
  if (x.tag == NORN_ARRAY) return replace_array(r, x);
  if (x.tag == NORN_MAP) return replace_map(r, x);
  const obj *from = x.p;
  inside(x, &n);
  size_t size = heap_size_of(from);
  obj *to = heap_alloc(r->st, size);
  if (!to) return norn_none();
  memcpy((char *)to + sizeof *to, (const char *)from + sizeof *from, size - sizeof *to);
  obj_init(to, from->kind, from->aux, from->n);          /* its flags are its own */
  val copy = {.tag = x.tag, {.p = to}};
  val *in = (val *)(uintptr_t)inside(copy, &n);
  for (uint32_t i = 0; i < n; i++) {
    val e = replace(r, in[i]);
    if (norn_is_none(e) && !norn_is_none(in[i])) return e;
    in[i] = e;
  }
  return copy;
}

norn_datum traced_replace(norn_state *st, norn_datum x,
                          norn_datum (*f)(void *user, norn_datum node), void *user)
{
  replacing r = {st, f, user};
  return replace(&r, x);
}
