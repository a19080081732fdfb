/* array_index.c: a[i], a[i, j], a[from..to] and their mixtures, on arrays, nested arrays and
   strings.

   An index takes a dimension away, a slice keeps it.  Packed arrays of any rank are gathered by
   strides; ragged ones row by row. */
#include "lang/value/array.h"
#include <string.h>

/* What stands between the brackets, and how far it has been read.  Place `pos` is one value, or
   two (from and to) where its bit in mask is set; k is the next value, argument k + 1 of the
   instruction. */
typedef struct places { const val *ix; int n; unsigned mask; int k, pos; } places;
typedef struct spec { bool slice; int64_t from, to; } spec;

static bool want_int(norn_state *st, val x, int arg, int64_t *out)
{
  char found[96];
  if (V_IS_INT(x)) {
    *out = x.i;
    return true;
  }
  norn_fail(st, NORN_ETYPE, arg, "an index must be an integer, got %s",
            norn_describe(st, x, found, sizeof found));
  return false;
}

static bool in_length(norn_state *st, int64_t i, int64_t len, int arg, bool slice, const char *of)
{
  if (i >= 0 && (i < len || (slice && i == len))) return true;
  norn_fail(st, NORN_EDOMAIN, arg, "index %lld is outside %s of length %lld", (long long)i, of,
            (long long)len);
  if (len == 0) norn_hint(st, "it is empty");
  else norn_hint(st, "indices run from 0 to %lld", (long long)(slice ? len : len - 1));
  return false;
}

static bool read_bound(norn_state *st, places *q, int64_t len, const char *of, bool slice,
                       int64_t *out)
{
  val x = q->ix[q->k++];
  if (slice && norn_is_none(x)) return true;
  return want_int(st, x, q->k, out) && in_length(st, *out, len, q->k, slice, of);
}

/* Reads one place; len is the length of the dimension, `of` what has it. */
static bool read_spec(norn_state *st, places *q, int64_t len, const char *of, spec *s)
{
  *s = (spec){ q->mask >> q->pos++ & 1, 0, len };
  if (!read_bound(st, q, len, of, s->slice, &s->from)) return false;
  if (!s->slice) s->to = s->from + 1;
  else if (!read_bound(st, q, len, of, true, &s->to)) return false;
  if (s->to < s->from) s->to = s->from;
  return true;
}

static val too_many(norn_state *st, val x, const places *q)
{
  char found[96];
  norn_fail(st, NORN_ETYPE, q->k + 1, "one index too many: %s can't be indexed",
            norn_describe(st, x, found, sizeof found));
  return norn_none();
}

/* ---- strings ---- */

static size_t byte_of(const str *s, int64_t i)
{
  size_t at = 0;
  if (s->chars == s->h.n) return (size_t)i;
  while (i-- > 0) {
    uint32_t code;
    int n = utf8_next(s->s + at, s->h.n - at, &code);
    at += n ? (size_t)n : 1;
  }
  return at;
}

static val index_string(norn_state *st, const str *s, places *q)
{
  spec p;
  if (!read_spec(st, q, s->chars, "a string", &p)) return norn_none();
  size_t from = byte_of(s, p.from), to = byte_of(s, p.to);
  str *r = str_new(st, s->s + from, to - from);
  return r ? v_obj(NORN_STR, r) : norn_none();
}

/* ---- arrays ---- */

/* Copies the block that the specs choose, innermost dimensions first.  stride: elements from one
   index of dimension d to the next.  n: specs; size: bytes of an element. */
typedef struct gather {
  const spec *p; int n;
  int64_t stride[NORN_RANK_MAX];
  size_t size; char *to;
} gather;

static void copy_block(gather *g, int d, const char *from)
{
  const spec *p = g->p + d;
  size_t step = (size_t)g->stride[d] * g->size;
  from += (size_t)p->from * step;
  if (d == g->n - 1) {
    size_t bytes = (size_t)(p->to - p->from) * step;
    memcpy(g->to, from, bytes);
    g->to += bytes;
    return;
  }
  for (int64_t i = p->from; i < p->to; i++, from += step) copy_block(g, d + 1, from);
}

static val gathered(norn_state *st, vec *v, const spec *p, int n)
{
  int64_t dims[NORN_RANK_MAX];
  int rank = 0;
  gather g = { .p = p, .n = n, .size = elem_bytes(vec_elem(v)) };
  int64_t stride = vec_row(v);
  for (int d = 0; d < vec_rank(v); d++) {
    int64_t inner = d < vec_rank(v) - 1 ? v->dims[d] : 1;
    g.stride[d] = stride;
    stride /= inner ? inner : 1;
    int64_t len = d == 0 ? v->len : v->dims[d - 1];
    if (d >= n) dims[rank++] = len;
    else if (p[d].slice) dims[rank++] = p[d].to - p[d].from;
  }
  if (rank == 0) return elem_value(vec_elem(v), (char *)vec_elems(v), 0);
  vec *r = vec_raw(st, vec_elem(v), rank, dims);
  if (!r) return norn_none();
  g.to = vec_elems(r);
  if (r->b->fill) copy_block(&g, 0, vec_elems(v));
  return v_obj(NORN_ARRAY, r);
}

/* Plain indices only: an element, or a view. */
static val picked(norn_state *st, vec *v, const spec *p, int n)
{
  int64_t at = v->off, stride = vec_row(v);
  if (n == 1) return vec_at(st, v, p[0].from);
  if (!(v = vec_flat(st, v))) return norn_none();
  at = v->off;
  for (int d = 0; d < n; d++) {
    at += p[d].from * stride;
    if (d < vec_rank(v) - 1) stride /= v->dims[d];
  }
  if (n == vec_rank(v)) return elem_value(vec_elem(v), buf_at(v->b, 0), at);
  vec *r = vec_view(st, v->b, vec_rank(v) - n, at, v->dims[n - 1], v->dims + n);
  return r ? v_obj(NORN_ARRAY, r) : norn_none();
}

/* A packed array under as many places as it has dimensions, at most. */
static val index_packed(norn_state *st, vec *v, places *q)
{
  spec p[NORN_RANK_MAX];
  int m = 0;
  bool slices = false;
  for (; q->k < q->n && m < vec_rank(v); m++) {
    if (!read_spec(st, q, m == 0 ? v->len : v->dims[m - 1], m == 0 ? "an array" : "a row", &p[m]))
      return norn_none();
    slices |= p[m].slice;
  }
  if (!slices) return picked(st, v, p, m);
  if (m == 1) return vec_slice(st, v_obj(NORN_ARRAY, v), p[0].from, p[0].to);
  return (v = vec_flat(st, v)) ? gathered(st, v, p, m) : norn_none();
}

static val index_any(norn_state *st, val x, places *q);

/* Rows from..to of an array of values, each indexed by the rest. */
static val index_rows(norn_state *st, vec *v, const spec *p, const places *rest)
{
  int64_t len = p->to - p->from;
  if (len == 0) return vec_empty(st);
  vec *r = vec_new(st, NORN_VALUES, 1, &len);
  for (int64_t i = 0; r && i < len; i++) {
    places q = *rest;
    val x = vec_at(st, v, p->from + i);
    if (!norn_is_none(x)) x = index_any(st, x, &q);
    if (norn_is_none(x)) return x;
    ((val *)vec_elems(r))[i] = x;
  }
  return r ? vec_repack(st, v_obj(NORN_ARRAY, r)) : norn_none();
}

static val index_any(norn_state *st, val x, places *q)
{
  while (q->k < q->n && !norn_is_none(x)) {
    spec p;
    vec *v = v_vec(x);
    if (x.tag == NORN_STR) {
      x = index_string(st, v_str(x), q);
    } else if (x.tag != NORN_ARRAY) {
      return too_many(st, x, q);
    } else if (vec_elem(v) != NORN_VALUES) {
      x = index_packed(st, v, q);
    } else {
      if (!read_spec(st, q, v->len, "an array", &p)) return norn_none();
      if (p.slice && q->k < q->n) return index_rows(st, v, &p, q);
      x = p.slice ? vec_slice(st, x, p.from, p.to) : vec_at(st, v, p.from);
    }
  }
  return x;
}

val vec_index(norn_state *st, val x, const val *ix, int n, unsigned mask)
{
  char found[96];
  places q = { ix, n, mask, 0, 0 };
  if (x.tag == NORN_ARRAY || x.tag == NORN_STR) return index_any(st, x, &q);
  norn_fail(st, NORN_ETYPE, 0, "only arrays and strings can be indexed so, got %s",
            norn_describe(st, x, found, sizeof found));
  if (x.tag == NORN_FUN || x.tag == NORN_NATIVE) norn_hint(st, "a call has parentheses: f(x)");
  return norn_none();
}
