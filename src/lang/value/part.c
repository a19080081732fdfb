/* part.c: values seen as trees (part.h). */
#include "lang/value/part.h"
#include <math.h>
#include <string.h>

part part_whole(val v)
{
  part p = { v, 0, 0 };
  if (v.tag != NORN_ARRAY) return p;
  vec *flat = vec_settle(v_vec(v));
  if (flat) p.v.p = v.p = flat;
  p.rank = vec_rank(v_vec(v));
  p.at = v_vec(v)->off;
  return p;
}

int64_t part_len(const part *p)
{
  const vec *v = v_vec(p->v);
  return p->rank == vec_rank(v) ? v->len : v->dims[vec_rank(v) - p->rank - 1];
}

/* Elements of one row of the part. */
static int64_t part_row(const part *p)
{
  const vec *v = v_vec(p->v);
  int64_t n = 1;
  for (int k = vec_rank(v) - p->rank; k < vec_rank(v) - 1; k++) n *= v->dims[k];
  return n;
}

/* Element k of the array's buffer, also when there was no memory to flatten it. */
static val element(const vec *v, int64_t k)
{
  const buf *b = v->b;
  while ((uint64_t)k < b->base) b = b->parent;
  return elem_value(b->h.aux, buf_at(b, (uint64_t)k), 0);
}

int64_t part_children(const part *p)
{
  int64_t n = 0;
  if (!V_IS_HEAP(p->v)) return 0;
  if (part_is_array(p)) return part_len(p);
  if (V_KIND(p->v) == NORN_MAP) return 2 * norn_map_size(p->v);
  fields_of(p->v, &n);
  return n;
}

part part_child(const part *p, int64_t i)
{
  int64_t n;
  if (part_is_array(p)) {
    if (p->rank == 1) return part_whole(element(v_vec(p->v), p->at + i));
    return (part){ p->v, p->rank - 1, p->at + i * part_row(p) };
  }
  if (V_KIND(p->v) == NORN_RECORD) return part_whole(v_rec(p->v)->f[v_rec(p->v)->sh->order[i]]);
  if (V_KIND(p->v) == NORN_MAP) {
    const hent *e = hamt_at(p->v.p, i / 2);
    return part_whole(i % 2 ? e->value : e->key);
  }
  return part_whole(fields_of(p->v, &n)[i]);
}

void tasks_init(tasks *s)
{
  mem_init(&s->m);
  s->v = s->few;
  s->n = 0;
  s->cap = NORN_COUNT(s->few);
  s->failed = false;
}

void tasks_free(tasks *s)
{
  if (s->v != s->few) mem_put(&s->m, s->v, s->cap * sizeof *s->v);
}

void tasks_push(tasks *s, part x, part y, int64_t n, int after)
{
  if (n == 0 && after == 0) return;
  if (s->n == s->cap) {
    size_t size = s->cap * sizeof *s->v;
    task *v = s->v == s->few ? mem_get(&s->m, 2 * size) : mem_resize(&s->m, s->v, size, 2 * size);
    if (!v) {
      s->failed = true;
      return;
    }
    if (s->v == s->few) memcpy(v, s->few, size);
    s->v = v;
    s->cap *= 2;
  }
  s->v[s->n++] = (task){ x, y, 0, n, after };
}

int compare_mixed(int64_t i, double d)
{
  if (isnan(d)) return 2;
  if (d >= 0x1p63) return -1;
  if (d < -0x1p63) return 1;
  int64_t t = (int64_t)d;                      /* towards zero */
  if (i != t) return i < t ? -1 : 1;
  double rest = d - (double)t;
  return rest > 0 ? -1 : rest < 0;
}
