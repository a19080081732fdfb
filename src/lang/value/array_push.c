/* array_push.c: appending.  array.h draws how buffers grow and are shared. */
#include "lang/value/array.h"
#include <string.h>

enum { SHORT = 64 };   /* bytes of a shared part that are rather copied than linked to */

/* A buffer numbered from base whose elements [base, fill) are still to be written. */
static buf *buf_make(norn_state *st, unsigned elem, buf *parent, uint64_t base, uint64_t fill,
                     uint64_t cap)
{
  if (cap > (PTRDIFF_MAX / 2) / sizeof(val)) {
    state_memory(st);
    return NULL;
  }
  size_t n = ((cap - base) * elem_bytes(elem) + 7) / 8 * 8;
  buf *b = heap_alloc(st, BUF_HEADER + n + (parent ? sizeof(norn_state *) : 0));
  if (!b) return NULL;
  obj_init(b, V_BUF, elem, st->worker << 1);
  b->fill = fill;
  b->cap = cap;
  b->base = b->scanned = base;
  b->parent = parent;
  if (parent) *buf_state(b) = st->home ? st->home : st;
  return b;
}

/* A copy of the elements [from, end) of b with room for `more`, numbered as in b if b is a tail. */
static buf *buf_regrow(norn_state *st, const buf *b, uint64_t from, uint64_t end, uint64_t more,
                       uint64_t slack)
{
  uint64_t n = end - from, base = b->parent ? from : 0;
  buf *q = buf_make(st, b->h.aux, b->parent, base, base + n, base + n + more + slack);
  if (q) memcpy(buf_at(q, base), buf_at(b, from), n * elem_bytes(b->h.aux));
  return q;
}

/* The buffer to which `more` elements can be appended behind *off + count; *off is then where the
   array begins in it.  NULL: no memory (error set). */
static buf *buf_room(norn_state *st, buf *b, uint64_t *off, uint64_t count, uint64_t more)
{
  uint64_t end = *off + count, least = 8;
  while (end <= b->base) b = b->parent;
  bool own = buf_is_own(st, b) && b->fill == end;
  if (own && b->cap - end >= more) return b;
  bool first = own && !(b->h.n & 1);
  uint64_t from = b->parent || *off < b->base ? b->base : *off, n = end - from;
  if (least < more) least = more;
  if (first || n * elem_bytes(b->h.aux) <= SHORT) {
    uint64_t slack = first ? n + more : n;
    buf *q = buf_regrow(st, b, from, end, more, slack < least ? least : slack);
    if (q && first) b->h.n |= 1;
    if (q && !q->parent) *off = 0;
    return q;
  }
  return buf_make(st, b->h.aux, b, end, end, end + more + least);
}

/* v with room for `rows` more behind it: a new array that has them already, *at where they go. */
static vec *extended(norn_state *st, const vec *v, int64_t rows, void **at)
{
  uint64_t off = (uint64_t)v->off, count = (uint64_t)vec_count(v),
           more = (uint64_t)(rows * vec_row(v));
  buf *b = buf_room(st, v->b, &off, count, more);
  if (!b) return NULL;
  vec *r = vec_view(st, b, vec_rank(v), (int64_t)off, v->len + rows, v->dims);
  if (!r) return NULL;
  *at = buf_at(b, off + count);
  b->fill = off + count + more;
  return r;
}

/* ---- conversions ---- */

/* The same array with other elements: integers as reals, or anything as values (rows of a matrix
   too). */
static vec *converted(norn_state *st, vec *v, unsigned elem)
{
  if (!(v = vec_flat(st, v))) return NULL;
  if (elem == NORN_F64) {
    int64_t n = vec_count(v);
    buf *b = buf_make(st, NORN_F64, NULL, 0, (uint64_t)n, (uint64_t)n + 8);
    const int64_t *from = vec_elems(v);
    for (int64_t i = 0; b && i < n; i++) b->f[i] = (double)from[i];
    return b ? vec_view(st, b, vec_rank(v), 0, v->len, v->dims) : NULL;
  }
  buf *b = buf_make(st, NORN_VALUES, NULL, 0, 0, (uint64_t)v->len + 4);
  for (int64_t i = 0; b && i < v->len; i++) {
    b->v[i] = vec_at(st, v, i);
    if (norn_is_none(b->v[i])) return NULL;
    b->fill++;
  }
  return b ? vec_view(st, b, 1, 0, v->len, NULL) : NULL;
}

/* What the elements of v must become so that x fits: NORN_F64, NORN_VALUES, or what they are. */
static unsigned joined_elem(unsigned a, unsigned b)
{
  if (a == b) return a;
  bool numbers = (a == NORN_F64 || a == NORN_I64) && (b == NORN_F64 || b == NORN_I64);
  return numbers ? NORN_F64 : NORN_VALUES;
}

static unsigned scalar_elem(val x)
{
  return V_IS_REAL(x) ? NORN_F64 : V_IS_INT(x) ? NORN_I64 : V_IS_BOOL(x) ? NORN_B8 : NORN_VALUES;
}

/* True if x has the shape of a row of v. */
static bool is_row(const vec *v, val x)
{
  if (x.tag != NORN_ARRAY || vec_rank(v_vec(x)) != vec_rank(v) - 1 || v_vec(x)->len != v->dims[0])
    return false;
  return memcmp(v->dims + 1, v_vec(x)->dims, (size_t)(vec_rank(v) - 2) * sizeof *v->dims) == 0;
}

static void put_scalar(void *at, unsigned elem, val x)
{
  switch (elem) {
  case NORN_F64: *(double *)at = V_IS_INT(x) ? (double)x.i : x.d; break;
  case NORN_I64: *(int64_t *)at = x.i; break;
  case NORN_B8: *(uint8_t *)at = x.i != 0; break;
  default: *(val *)at = x; break;
  }
}

/* The elements of a flat array, made real if need be. */
static void put_elems(void *at, unsigned elem, const vec *from)
{
  int64_t n = vec_count(from);
  if (vec_elem(from) == elem) {
    memcpy(at, vec_elems(from), (size_t)n * elem_bytes(elem));
    return;
  }
  const int64_t *x = vec_elems(from);
  for (int64_t i = 0; i < n; i++) ((double *)at)[i] = (double)x[i];
}

static void wrote(norn_state *st, const vec *v)
{
  if (v->b->h.aux == NORN_VALUES) heap_remember(st, &v->b->h);
}

/* ---- push ---- */

static val push_scalar(norn_state *st, vec *v, val x)
{
  unsigned elem = joined_elem(vec_elem(v), scalar_elem(x));
  void *at;
  if (elem != vec_elem(v) && !(v = converted(st, v, elem))) return norn_none();
  vec *r = extended(st, v, 1, &at);
  if (!r) return norn_none();
  put_scalar(at, elem, x);
  wrote(st, r);
  return v_obj(NORN_ARRAY, r);
}

static val push_row(norn_state *st, vec *v, vec *x)
{
  unsigned elem = joined_elem(vec_elem(v), vec_elem(x));
  void *at;
  if (!(x = vec_flat(st, x)) || (elem != vec_elem(v) && !(v = converted(st, v, elem))))
    return norn_none();
  vec *r = extended(st, v, 1, &at);
  if (!r) return norn_none();
  put_elems(at, elem, x);
  return v_obj(NORN_ARRAY, r);
}

/* One element, in a buffer with room for some more. */
static val push_first(norn_state *st, val x)
{
  val r = vec_pack(st, &x, 1);
  if (norn_is_none(r)) return r;
  vec *v = v_vec(r);
  uint64_t n = v->b->fill, room = n > 8 ? n : 8;
  buf *b = buf_regrow(st, v->b, 0, n, n, room);
  if (!b) return norn_none();
  v->b = b;
  heap_remember(st, &v->h);
  return r;
}

val vec_push(norn_state *st, val a, val x)
{
  vec *v = v_vec(a);
  if (v->len == 0) return push_first(st, x);
  if (vec_rank(v) == 1) return push_scalar(st, v, x);
  bool fits = is_row(v, x) && joined_elem(vec_elem(v), vec_elem(v_vec(x))) != NORN_VALUES;
  if (fits) return push_row(st, v, v_vec(x));
  v = converted(st, v, NORN_VALUES);
  return v ? push_scalar(st, v, x) : norn_none();
}

/* ---- ++ ---- */

static val concat_arrays(norn_state *st, vec *v, vec *w)
{
  bool shaped = vec_rank(v) == vec_rank(w) &&
                memcmp(v->dims, w->dims, (size_t)(vec_rank(v) - 1) * sizeof *v->dims) == 0;
  unsigned elem = shaped ? joined_elem(vec_elem(v), vec_elem(w)) : NORN_VALUES;
  void *at;
  if (!(w = vec_flat(st, w))) return norn_none();
  if (elem == NORN_VALUES && (vec_elem(w) != elem || vec_rank(w) > 1) &&
      !(w = converted(st, w, elem)))
    return norn_none();
  if ((vec_elem(v) != elem || (elem == NORN_VALUES && vec_rank(v) > 1)) &&
      !(v = converted(st, v, elem)))
    return norn_none();
  vec *r = extended(st, v, w->len, &at);
  if (!r) return norn_none();
  put_elems(at, elem, w);
  wrote(st, r);
  return v_obj(NORN_ARRAY, r);
}

val vec_concat(norn_state *st, val a, val b)
{
  if (a.tag == NORN_ARRAY && b.tag == NORN_ARRAY) {
    if (v_vec(a)->len == 0) return b;
    if (v_vec(b)->len == 0) return a;
    return concat_arrays(st, v_vec(a), v_vec(b));
  }
  if (a.tag == NORN_STR && b.tag == NORN_STR) return str_concat(st, (val[]){ a, b }, 2);
  char x[96], y[96];
  int arg = a.tag == NORN_ARRAY || a.tag == NORN_STR;
  norn_fail(st, NORN_ETYPE, arg, "++ joins two arrays or two strings, got %s and %s",
            norn_describe(st, a, x, sizeof x), norn_describe(st, b, y, sizeof y));
  if (a.tag == NORN_ARRAY) norn_hint(st, "push(a, x) appends one element; so does a ++ [x]");
  if (a.tag == NORN_STR || b.tag == NORN_STR)
    norn_hint(st, "\"{a}{b}\" makes a string of any values");
  return norn_none();
}
