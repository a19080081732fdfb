/* array.c: making and reading arrays: packing, views, flattening.  array_push.c appends,
   array_index.c indexes, array_linalg.c multiplies. */
#include "lang/value/array.h"
#include <stdio.h>
#include <string.h>

int64_t vec_row(const vec *v)
{
  int64_t n = 1;
  for (int k = 0; k < vec_rank(v) - 1; k++) n *= v->dims[k];
  return n;
}

int64_t vec_count(const vec *v)
{
  return v->len * vec_row(v);
}

vec *vec_view(norn_state *st, buf *b, int rank, int64_t off, int64_t len, const int64_t *inner)
{
  size_t dims = (size_t)(rank - 1) * sizeof *inner;
  vec *v = heap_alloc(st, sizeof *v + dims);
  if (!v) return NULL;
  obj_init(v, NORN_ARRAY, (unsigned)rank, st->worker);
  v->b = b;
  v->off = off;
  v->len = len;
  if (dims) memcpy(v->dims, inner, dims);
  return v;
}

val vec_empty(norn_state *st)
{
  vec *v = vec_view(st, NULL, 1, 0, 0, NULL);
  return v ? v_obj(NORN_ARRAY, v) : norn_none();
}

/* A flat buffer of n elements, all of them filled; its elements are not written. */
static buf *buf_flat(norn_state *st, unsigned elem, int64_t n)
{
  if ((uint64_t)n > (PTRDIFF_MAX - BUF_HEADER) / sizeof(val)) {
    state_memory(st);
    return NULL;
  }
  buf *b = heap_alloc(st, BUF_HEADER + (size_t)n * elem_bytes(elem));
  if (!b) return NULL;
  obj_init(b, V_BUF, elem, st->worker << 1);
  b->fill = b->cap = (uint64_t)n;
  b->base = b->scanned = 0;
  b->parent = NULL;
  return b;
}

vec *vec_raw(norn_state *st, unsigned elem, int rank, const int64_t *dims)
{
  int64_t n = 1;
  for (int k = 0; k < rank; k++) {
    if (__builtin_mul_overflow(n, dims[k], &n)) {
      state_memory(st);
      return NULL;
    }
  }
  buf *b = buf_flat(st, elem, n);
  return b ? vec_view(st, b, rank, 0, dims[0], dims + 1) : NULL;
}

vec *vec_new(norn_state *st, norn_elem elem, int rank, const int64_t *dims)
{
  vec *v = vec_raw(st, elem, rank, dims);
  if (v) memset(vec_elems(v), 0, (size_t)v->b->fill * elem_bytes(elem));
  return v;
}

/* ---- tails ---- */

vec *vec_flat(norn_state *st, vec *v)
{
  if (!v->b || !v->b->parent) return v;
  const buf *b = v->b;
  uint64_t n = (uint64_t)vec_count(v), from = (uint64_t)v->off, to = from + n;
  size_t size = elem_bytes(b->h.aux);
  buf *flat = buf_flat(st, b->h.aux, (int64_t)n);
  if (!flat) return NULL;
  while (to > from) {
    while (to <= b->base) b = b->parent;
    uint64_t start = from > b->base ? from : b->base;
    memcpy(buf_at(flat, start - from), buf_at(b, start), (to - start) * size);
    to = start;
  }
  if (!vec_is_own(st, v)) return vec_view(st, flat, vec_rank(v), 0, v->len, v->dims);
  v->b = flat;
  v->off = 0;
  heap_remember(st, &v->h);
  return v;
}

vec *vec_settle(vec *v)
{
  return !v->b || !v->b->parent ? v : vec_flat(crew_here(*buf_state(v->b)), v);
}

enum { NEAR = 8 };   /* links that reading follows before it flattens */

/* The buffer in v's chain that has element i; NULL: no memory (error set).  May flatten v, if it may
   be changed here, which moves i. */
static const buf *find(norn_state *st, vec *v, uint64_t *i)
{
  const buf *b = v->b;
  bool own = vec_is_own(st, v);
  for (int k = 0; *i < b->base && (k < NEAR || !own); k++) b = b->parent;
  if (*i >= b->base) return b;
  *i -= (uint64_t)v->off;
  return vec_flat(st, v) ? v->b : NULL;
}

val vec_at(norn_state *st, const vec *view, int64_t i)
{
  vec *v = (vec *)view;                /* flattening changes the form, not the array */
  if (vec_rank(v) == 1) {
    uint64_t k = (uint64_t)(v->off + i);
    const buf *b = find(st, v, &k);
    return b ? elem_value(b->h.aux, buf_at(b, k), 0) : norn_none();
  }
  int64_t row = v->dims[0];
  for (int k = 1; k < vec_rank(v) - 1; k++) row *= v->dims[k];
  buf *b = v->b;
  while (b->parent && (uint64_t)(v->off + (i + 1) * row) <= b->base) b = b->parent;
  vec *r = vec_view(st, b, vec_rank(v) - 1, v->off + i * row, v->dims[0], v->dims + 1);
  return r ? v_obj(NORN_ARRAY, r) : norn_none();
}

val vec_slice(norn_state *st, val x, int64_t from, int64_t to)
{
  const vec *v = v_vec(x);
  if (from >= to) return vec_empty(st);
  if (from == 0 && to == v->len) return x;
  int64_t row = vec_row(v);
  buf *b = v->b;
  while (b->parent && (uint64_t)(v->off + to * row) <= b->base) b = b->parent;
  vec *r = vec_view(st, b, vec_rank(v), v->off + from * row, to - from, v->dims);
  return r ? v_obj(NORN_ARRAY, r) : norn_none();
}

/* ---- shapes ---- */

bool vec_same_shape(const vec *a, const vec *b)
{
  if (a->len != b->len || vec_rank(a) != vec_rank(b)) return false;
  return memcmp(a->dims, b->dims, (size_t)(vec_rank(a) - 1) * sizeof *a->dims) == 0;
}

const char *vec_shape_text(const vec *v, char *out, size_t n)
{
  size_t at = (size_t)snprintf(out, n, "[%lld", (long long)v->len);
  for (int k = 0; k < vec_rank(v) - 1 && at < n; k++)
    at += (size_t)snprintf(out + at, n - at, ", %lld", (long long)v->dims[k]);
  if (at < n) snprintf(out + at, n - at, "]");
  return out;
}

/* ---- packing ---- */

/* What n > 0 values become: the element kind, and for rows of a matrix the first row. */
typedef struct packing { unsigned elem; const vec *row; } packing;

static packing pack_scalars(const val *x, int64_t n)
{
  packing p = { NORN_VALUES, NULL };
  bool real = false;
  int64_t i = 0;
  if (V_IS_BOOL(x[0])) {
    while (i < n && V_IS_BOOL(x[i])) i++;
    if (i == n) p.elem = NORN_B8;
    return p;
  }
  for (; i < n && (V_IS_INT(x[i]) || V_IS_REAL(x[i])); i++) real |= V_IS_REAL(x[i]);
  if (i == n) p.elem = real ? NORN_F64 : NORN_I64;
  return p;
}

static packing pack_rows(const val *x, int64_t n)
{
  packing p = { NORN_VALUES, NULL };
  const vec *first = v_vec(x[0]);
  unsigned elem = vec_elem(first);
  if (elem == NORN_VALUES || vec_rank(first) == NORN_RANK_MAX || vec_count(first) == 0) return p;
  for (int64_t i = 1; i < n; i++) {
    if (x[i].tag != NORN_ARRAY || !vec_same_shape(v_vec(x[i]), first)) return p;
    unsigned e = vec_elem(v_vec(x[i]));
    if (e == elem) continue;
    if (e == NORN_VALUES || e == NORN_B8 || elem == NORN_B8) return p;
    elem = NORN_F64;
  }
  p.elem = elem;
  p.row = first;
  return p;
}

static void fill_scalars(vec *v, const val *x)
{
  buf *b = v->b;
  for (int64_t i = 0; i < v->len; i++) {
    switch (b->h.aux) {
    case NORN_F64: b->f[i] = V_IS_INT(x[i]) ? (double)x[i].i : x[i].d; break;
    case NORN_I64: b->i[i] = x[i].i; break;
    case NORN_B8: b->b[i] = x[i].i != 0; break;
    default: b->v[i] = x[i]; break;
    }
  }
}

/* Copies a row; rows of integers become real in a matrix of reals. */
static bool fill_row(norn_state *st, buf *b, int64_t at, vec *row)
{
  if (!(row = vec_flat(st, row))) return false;
  int64_t n = vec_count(row);
  if (row->b->h.aux == b->h.aux) {
    memcpy(buf_at(b, (uint64_t)at), vec_elems(row), (size_t)n * elem_bytes(b->h.aux));
  } else {
    const int64_t *from = vec_elems(row);
    for (int64_t i = 0; i < n; i++) b->f[at + i] = (double)from[i];
  }
  return true;
}

val vec_pack(norn_state *st, const val *x, int64_t n)
{
  if (n == 0) return vec_empty(st);
  packing p = x[0].tag == NORN_ARRAY ? pack_rows(x, n) : pack_scalars(x, n);
  int64_t dims[NORN_RANK_MAX] = { n };
  int rank = 1;
  if (p.row) {
    rank = vec_rank(p.row) + 1;
    dims[1] = p.row->len;
    memcpy(dims + 2, p.row->dims, (size_t)(rank - 2) * sizeof *dims);
  }
  vec *v = vec_raw(st, p.elem, rank, dims);
  if (!v) return norn_none();
  if (!p.row) fill_scalars(v, x);
  int64_t row = p.row ? vec_row(v) : 0;
  for (int64_t i = 0; p.row && i < n; i++)
    if (!fill_row(st, v->b, i * row, v_vec(x[i]))) return norn_none();
  return v_obj(NORN_ARRAY, v);
}

val vec_repack(norn_state *st, val x)
{
  vec *v = vec_flat(st, v_vec(x));
  if (!v) return norn_none();
  x.p = v;
  if (v->len == 0 || vec_elem(v) != NORN_VALUES) return x;
  const val *e = vec_elems(v);
  packing p = e[0].tag == NORN_ARRAY ? pack_rows(e, v->len) : pack_scalars(e, v->len);
  return p.elem == NORN_VALUES ? x : vec_pack(st, e, v->len);
}

val vec_range(norn_state *st, int64_t a, int64_t b)
{
  if (b <= a) return vec_empty(st);
  uint64_t n = (uint64_t)b - (uint64_t)a;
  if (n > INT64_MAX) return state_memory(st);
  int64_t dim = (int64_t)n;
  vec *v = vec_raw(st, NORN_I64, 1, &dim);
  if (!v) return norn_none();
  for (int64_t i = 0; i < dim; i++) v->b->i[i] = a + i;
  return v_obj(NORN_ARRAY, v);
}
