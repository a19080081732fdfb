/* lib_array.c: arrays: making, measuring, cutting, joining, adding up, finding.

   An array is a collection of its elements, also when it is a matrix: `sum` of a matrix adds its
   rows, `reverse` turns the order of its rows.  Packed arrays stay packed: loops run over plain
   doubles, integers or bytes.  What works on strings too (len, reverse, take, contains, ...) hands
   strings to lib_string.c's functions through the same native. */
#include "lib/lib.h"
#include "lib/strings.h"
#include "num/la.h"
#include "num/stats.h"
#include <math.h>
#include <string.h>

static bool want_view(norn_state *st, const norn_datum *args, int i, norn_view *v)
{
  if (norn_array_view(args[i], v)) return true;
  lib_wrong(st, args, i, "the argument", "an array");
  return false;
}

static bool is_string(norn_datum v) { return norn_kind_of(v) == NORN_STR; }

/* ---- making ---- */

/* A shape: a length or an array of lengths. */
static bool want_shape(norn_state *st, const norn_datum *args, int i, int *rank, int64_t *dims,
                       int64_t *count)
{
  norn_view v;
  *rank = 1;
  *count = 1;
  if (args[i].tag == NORN_INT) dims[0] = args[i].i;
  else if (norn_array_view(args[i], &v) && v.rank == 1 && v.elem == NORN_I64 && v.n >= 1) {
    if (v.n > NORN_RANK_MAX) {
      norn_fail(st, NORN_EDOMAIN, i, "an array has at most %d dimensions, got %lld", NORN_RANK_MAX,
                (long long)v.n);
      return false;
    }
    *rank = (int)v.n;
    memcpy(dims, v.i, (size_t)v.n * sizeof *dims);
  } else {
    lib_wrong(st, args, i, "the shape", "a length or an array of lengths");
    return false;
  }
  for (int k = 0; k < *rank; k++)
    if (dims[k] < 0 || __builtin_mul_overflow(*count, dims[k], count) ||
        *count > (int64_t)1 << 48) {
      norn_fail(st, NORN_EDOMAIN, i,
                dims[k] < 0 ? "a length can't be negative, got %lld"
                            : "an array of that size is too long (%lld)",
                (long long)dims[k]);
      return false;
    }
  return true;
}

static norn_status full(norn_state *st, const norn_datum *args, norn_datum x, norn_datum *out)
{
  int64_t dims[NORN_RANK_MAX], n;
  int rank;
  void *p = NULL;
  if (!want_shape(st, args, 0, &rank, dims, &n)) return lib_failed(st);
  norn_elem e = x.tag == NORN_REAL   ? NORN_F64
                : x.tag == NORN_INT  ? NORN_I64
                : x.tag == NORN_BOOL ? NORN_B8
                                     : NORN_VALUES;
  if (norn_kind_of(x) == NORN_ARRAY) {   /* rows: let packing make the matrix */
    norn_datum keep, *v = lib_values(st, n, &keep);
    if (!v || rank != 1)
      return v ? norn_fail(st, NORN_ETYPE, 1,
                           "full with an array as element takes a length, not a shape")
               : lib_failed(st);
    for (int64_t k = 0; k < n; k++) v[k] = x;
    return lib_give(st, norn_array_pack(st, v, n), out);
  }
  norn_datum a = norn_array(st, e, e == NORN_VALUES ? 1 : rank, e == NORN_VALUES ? &n : dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  for (int64_t k = 0; k < n; k++) {
    if (e == NORN_F64) ((double *)p)[k] = x.d;
    else if (e == NORN_I64) ((int64_t *)p)[k] = x.i;
    else if (e == NORN_B8) ((uint8_t *)p)[k] = x.i != 0;
    else ((norn_datum *)p)[k] = x;
  }
  if (e == NORN_VALUES && rank > 1) return lib_give(st, lib_nested(st, p, rank, dims), out);
  *out = a;
  return NORN_OK;
}

static norn_status a_full(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return full(st, args, args[1], out);
}

static norn_status a_zeros(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return full(st, args, norn_real(0), out);
}

static norn_status a_ones(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return full(st, args, norn_real(1), out);
}

static norn_status range_reals(norn_state *st, const norn_datum *args, const double *abs,
                               norn_datum *out)
{
  double n = ceil((abs[1] - abs[0]) / abs[2]);
  norn_datum a;
  (void)args;
  if (!(n < 0x1p48))
    return norn_fail(st, NORN_EDOMAIN, 1, "range from %g to %g by %g has no end", abs[0], abs[1],
                     abs[2]);
  int64_t m = n > 0 ? (int64_t)n : 0;
  double *p = lib_reals(st, m, &a);
  if (!p) return lib_failed(st);
  for (int64_t k = 0; k < m; k++) p[k] = abs[0] + (double)k * abs[2];
  *out = a;
  return NORN_OK;
}

/* range(n), range(from, to), range(from, to, step): `to` is excluded, as in from..to. */
static norn_status a_range(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_datum r[3] = { norn_int(0), args[0], norn_int(1) };
  double d[3];
  bool ints = true;
  if (lib_given(args, 1, n)) {
    r[0] = args[0];
    r[1] = args[1];
    if (lib_given(args, 2, n)) r[2] = args[2];
  }
  for (int k = 0; k < 3; k++) {
    if (!norn_as_real(r[k], &d[k])) {
      int i = n > 1 && lib_given(args, 1, n) ? k : 0;
      return lib_wrong(st, args, i, "each argument of range", "a number");
    }
    ints = ints && r[k].tag == NORN_INT;
  }
  if (d[2] == 0) return norn_fail(st, NORN_EDOMAIN, 2, "the step of range can't be 0");
  if (!ints) return range_reals(st, args, d, out);
  __int128 span = (__int128)r[1].i - r[0].i, s = r[2].i, m = (span + s - (s > 0 ? 1 : -1)) / s;
  if (m < 0) m = 0;
  norn_datum a;
  if (m > (__int128)1 << 48)
    return norn_fail(st, NORN_EDOMAIN, 1, "an array of that size is too long");
  int64_t *p = lib_ints(st, (int64_t)m, &a);
  if (!p) return lib_failed(st);
  for (int64_t k = 0; k < (int64_t)m; k++) p[k] = r[0].i + k * r[2].i;
  *out = a;
  return NORN_OK;
}

static norn_status a_linspace(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  double from, to;
  int64_t m;
  norn_datum a;
  if (!norn_want_real(st, args, 0, "the start", &from) ||
      !norn_want_real(st, args, 1, "the end", &to) ||
      !norn_want_int(st, args, 2, "the number of points", &m))
    return lib_failed(st);
  if (m < 0)
    return norn_fail(st, NORN_EDOMAIN, 2, "the number of points can't be negative, got %lld",
                     (long long)m);
  double *p = lib_reals(st, m, &a);
  if (!p) return lib_failed(st);
  for (int64_t k = 0; k < m; k++)
    p[k] = k == m - 1 && m > 1 ? to
                               : from + (double)k * ((to - from) / (double)(m > 1 ? m - 1 : 1));
  *out = a;
  return NORN_OK;
}

/* ---- measuring and shaping ---- */

static norn_status a_len(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  char got[160];
  int64_t m = norn_array_length(args[0]);
  if (m < 0 && is_string(args[0])) m = strings_length(args[0]);
  if (m < 0) m = norn_map_size(args[0]);
  if (m < 0) m = norn_record_size(args[0]);
  if (m < 0)
    return norn_fail(st, NORN_ETYPE, 0, "len needs an array, a string, a record or a map, got %s",
                     norn_describe(st, args[0], got, sizeof got));
  *out = norn_int(m);
  return NORN_OK;
}

/* The shape of nested arrays however they are stored: dims, up to `room` of them, and how many there are.  Text, and
   numbers that are recorded, have no packed form; rows of one shape are a matrix all the same. */
static int shape_of(norn_datum x, int64_t *dims, int room)
{
  norn_view v;
  int64_t other[NORN_RANK_MAX];
  if (!room || !norn_array_view(x, &v)) return 0;
  if (v.elem != NORN_VALUES) {
    int rank = v.rank < room ? v.rank : room;
    memcpy(dims, v.dims, (size_t)rank * sizeof *dims);
    return rank;
  }
  dims[0] = v.n;
  int rank = v.n ? shape_of(v.v[0], dims + 1, room - 1) : 0;
  for (int64_t k = 1; k < v.n && rank; k++)
    if (shape_of(v.v[k], other, room - 1) != rank || memcmp(other, dims + 1, (size_t)rank * sizeof *dims)) rank = 0;
  return 1 + rank;
}

static norn_status a_shape(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  norn_datum a;
  int64_t dims[NORN_RANK_MAX];
  if (!lib_is_number(args[0]) && !want_view(st, args, 0, &v)) return lib_failed(st);
  int rank = shape_of(args[0], dims, NORN_RANK_MAX);
  int64_t *p = lib_ints(st, rank, &a);
  if (!p) return lib_failed(st);
  memcpy(p, dims, (size_t)rank * sizeof *p);
  *out = a;
  return NORN_OK;
}

static norn_status view_copy(norn_state *st, const norn_view *v, int rank, const int64_t *dims,
                             norn_datum *out)
{
  void *p = NULL;
  if (v->elem == NORN_VALUES && rank > 1)
    return lib_give(st, lib_nested(st, v->v, rank, dims), out);
  norn_datum a = norn_array(st, v->elem, rank, dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  if (v->n) memcpy(p, v->b, (size_t)v->n * lib_elem_size(v->elem));
  *out = a;
  return NORN_OK;
}

/* The leaves of nested arrays, in order. */
static int64_t count_leaves(norn_datum x)
{
  norn_view v;
  if (!norn_array_view(x, &v)) return 1;
  if (v.elem != NORN_VALUES) return v.n;
  int64_t n = 0;
  for (int64_t k = 0; k < v.n; k++) n += count_leaves(v.v[k]);
  return n;
}

static norn_datum *put_leaves(norn_datum x, norn_datum *to)
{
  norn_view v;
  if (!norn_array_view(x, &v)) {
    *to = x;
    return to + 1;
  }
  for (int64_t k = 0; k < v.n; k++)
    if (v.elem == NORN_VALUES) to = put_leaves(v.v[k], to);
    else *to++ = lib_elem(&v, k);
  return to;
}

static norn_status a_flatten(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  norn_datum keep;
  if (!want_view(st, args, 0, &v)) return lib_failed(st);
  if (v.elem != NORN_VALUES) return view_copy(st, &v, 1, &v.n, out);
  int64_t m = count_leaves(args[0]);
  norn_datum *p = lib_values(st, m, &keep);
  if (!p) return lib_failed(st);
  put_leaves(args[0], p);
  return lib_give(st, norn_array_pack(st, p, m), out);
}

/* Elements of an array of arrays that isn't packed are its leaves, as far as it is rectangular. */
static norn_status a_reshape(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  norn_datum keep, x = args[0];
  int rank;
  int64_t dims[NORN_RANK_MAX], was[NORN_RANK_MAX], m;
  if (!want_view(st, args, 0, &v) || !want_shape(st, args, 1, &rank, dims, &m))
    return lib_failed(st);
  if (v.elem == NORN_VALUES && shape_of(x, was, NORN_RANK_MAX) > 1) {
    if (a_flatten(st, args, 1, &keep)) return lib_failed(st);
    x = keep;
    norn_array_view(x, &v);
  }
  if (m != v.n)
    return norn_fail(st, NORN_EDOMAIN, 1, "a shape of %lld elements for an array of %lld",
                     (long long)m, (long long)v.n);
  return view_copy(st, &v, rank, dims, out);
}

/* concat([[1, 2], [3]]): one level of nesting less. */
static norn_status a_concat(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v, inner;
  norn_datum keep;
  int64_t m = 0;
  if (!want_view(st, args, 0, &v)) return lib_failed(st);
  if (v.rank > 1) {
    int64_t dims[NORN_RANK_MAX];
    memcpy(dims, v.dims + 1, sizeof dims - sizeof dims[0]);
    dims[0] *= v.dims[0];
    return view_copy(st, &v, v.rank - 1, dims, out);
  }
  for (int64_t k = 0; k < v.n; k++) {
    norn_datum e = lib_elem(&v, k);
    if (!norn_array_view(e, &inner))
      return lib_wrong(st, &e, 0, "each element of concat's argument", "an array");
    m += inner.dims[0];
  }
  norn_datum *p = lib_values(st, m, &keep);
  if (!p) return lib_failed(st);
  m = 0;
  for (int64_t k = 0; k < v.n; k++) {
    norn_datum e = lib_elem(&v, k);
    int64_t len = norn_array_length(e);
    for (int64_t j = 0; j < len; j++) p[m++] = norn_array_at(st, e, j);
  }
  return lib_give(st, norn_array_pack(st, p, m), out);
}

static norn_status a_repeat(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  int64_t times;
  if (!norn_want_int(st, args, 1, "the number of repetitions", &times)) return lib_failed(st);
  if (times < 0)
    return norn_fail(st, NORN_EDOMAIN, 1, "the number of repetitions can't be negative, got %lld",
                     (long long)times);
  if (is_string(args[0])) return strings_repeat(st, args[0], times, out);
  if (!norn_array_view(args[0], &v)) {
    norn_datum swapped[2] = { args[1], args[0] };
    return full(st, swapped, args[0], out);
  }
  int64_t dims[NORN_RANK_MAX];
  void *p = NULL;
  memcpy(dims, v.dims, sizeof dims);
  if (__builtin_mul_overflow(dims[0], times, &dims[0]) || dims[0] > (int64_t)1 << 48)
    return norn_fail(st, NORN_EDOMAIN, 1, "an array of that size is too long");
  norn_datum a = norn_array(st, v.elem, v.rank, dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  size_t size = (size_t)v.n * lib_elem_size(v.elem);
  for (int64_t k = 0; k < times && size; k++) memcpy((char *)p + (size_t)k * size, v.b, size);
  *out = a;
  return NORN_OK;
}

/* ---- cutting ---- */

static int64_t clamp_index(int64_t i, int64_t n)
{
  return i < 0 ? 0 : i > n ? n : i;
}

/* Rows or characters [from, to); what lies outside is left out. */
static norn_status cut(norn_state *st, const norn_datum *args, int64_t from, int64_t to,
                       norn_datum *out)
{
  norn_view v;
  int64_t n = is_string(args[0]) ? strings_length(args[0]) : norn_array_length(args[0]);
  if (n < 0) return lib_wrong(st, args, 0, "the argument", "an array or a string");
  from = clamp_index(from, n);
  to = clamp_index(to, n);
  if (to < from) to = from;
  if (is_string(args[0])) return strings_cut(st, args[0], from, to, out);
  norn_array_view(args[0], &v);
  return lib_give(st, lib_rows(st, &v, from, to), out);
}

static norn_status a_slice(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  int64_t from, to = INT64_MAX;
  if (!norn_want_int(st, args, 1, "the start", &from) ||
      (lib_given(args, 2, n) && !norn_want_int(st, args, 2, "the end", &to))) return lib_failed(st);
  return cut(st, args, from, to, out);
}

static norn_status a_take(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t k;
  if (!norn_want_int(st, args, 1, "the number of elements", &k)) return lib_failed(st);
  return cut(st, args, 0, k, out);
}

static norn_status a_drop(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t k;
  if (!norn_want_int(st, args, 1, "the number of elements", &k)) return lib_failed(st);
  return cut(st, args, k, INT64_MAX, out);
}

static norn_status at_end(norn_state *st, const norn_datum *args, const char *name, bool last,
                          norn_datum *out)
{
  int64_t n = norn_array_length(args[0]);
  if (n < 0) return lib_wrong(st, args, 0, "the argument", "an array");
  if (n == 0) return norn_fail(st, NORN_EDOMAIN, 0, "%s of an empty array", name);
  return lib_give(st, norn_array_at(st, args[0], last ? n - 1 : 0), out);
}

static norn_status a_first(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return at_end(st, args, "first", false, out);
}

static norn_status a_last(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return at_end(st, args, "last", true, out);
}

static norn_status a_reverse(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  norn_datum keep;
  if (is_string(args[0])) return strings_reverse(st, args[0], out);
  if (!want_view(st, args, 0, &v)) return lib_failed(st);
  int64_t *ix = lib_ints(st, v.dims[0], &keep);
  if (!ix) return lib_failed(st);
  for (int64_t k = 0; k < v.dims[0]; k++) ix[k] = v.dims[0] - 1 - k;
  return lib_give(st, lib_gather(st, &v, ix, v.dims[0]), out);
}

/* ---- changing: always a new array ---- */

static norn_status a_push(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  if (!want_view(st, args, 0, &v)) return lib_failed(st);
  norn_ref *ref = norn_keep(st, args[0]);
  norn_status code = ref ? norn_push(ref, args[1]) : lib_failed(st);
  if (!code) *out = norn_get(ref);
  if (ref) norn_drop(ref);
  return code;
}

static norn_status a_set_at(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  norn_datum keep;
  int64_t i;
  if (!want_view(st, args, 0, &v) || !norn_want_int(st, args, 1, "the index", &i))
    return lib_failed(st);
  int64_t m = v.dims[0];
  if (i < 0 || i >= m)
    return norn_fail(st, NORN_EDOMAIN, 1, "index %lld is outside an array of length %lld",
                     (long long)i, (long long)m);
  if (v.rank == 1 && ((v.elem == NORN_F64 && lib_is_number(args[2])) ||
                      (v.elem == NORN_I64 && args[2].tag == NORN_INT))) {
    void *p = NULL;
    norn_datum a = norn_array(st, v.elem, 1, &m, &p);
    if (norn_is_none(a)) return lib_failed(st);
    memcpy(p, v.b, (size_t)m * 8);
    if (v.elem == NORN_I64) ((int64_t *)p)[i] = args[2].i;
    else norn_as_real(args[2], (double *)p + i);
    *out = a;
    return NORN_OK;
  }
  norn_datum *p = lib_values(st, m, &keep);
  if (!p) return lib_failed(st);
  for (int64_t k = 0; k < m; k++) p[k] = k == i ? args[2] : norn_array_at(st, args[0], k);
  return lib_give(st, norn_array_pack(st, p, m), out);
}

/* ---- adding up ---- */

typedef struct folding { const char *name; bool product; } folding;

static norn_status fold_overflow(norn_state *st, const folding *f)
{
  norn_status code = norn_fail(st, NORN_EDOMAIN, 0, "the %s of these integers overflows", f->name);
  norn_hint(st, "real(xs) makes them reals");
  return code;
}

static norn_status fold_vector(norn_state *st, const norn_datum *args, const norn_view *v,
                               const folding *f, norn_datum *out)
{
  if (v->elem == NORN_F64) {
    double r = f->product ? 1 : 0;
    if (!f->product) r = stats_sum(v->f, v->n);
    else for (int64_t k = 0; k < v->n; k++) r *= v->f[k];
    *out = norn_real(r);
    return NORN_OK;
  }
  if (v->elem == NORN_VALUES && v->n > 0) {
    for (int64_t k = 0; k < v->n; k++)
      if (v->v[k].tag == NORN_MISSING) {
        norn_status code = norn_fail(st, NORN_ETYPE, 0, "the %s of an array with missing values",
                                     f->name);
        norn_hint(st, "filter(xs, x -> not is_missing(x)) leaves them out");
        return code;
      }
    return lib_wrong(st, args, 0, "the argument", "an array of numbers");
  }
  int64_t r = f->product ? 1 : 0;
  for (int64_t k = 0; k < v->n; k++) {
    int64_t x = v->elem == NORN_I64 ? v->i[k] : v->b[k] != 0;
    if (f->product ? __builtin_mul_overflow(r, x, &r) : __builtin_add_overflow(r, x, &r))
      return fold_overflow(st, f);
  }
  *out = norn_int(r);
  return NORN_OK;
}

/* The rows of a matrix added or multiplied elementwise. */
static norn_status fold_rows(norn_state *st, const norn_datum *args, const norn_view *v,
                             const folding *f, norn_datum *out)
{
  void *p = NULL;
  int64_t row = lib_row(v);
  if (v->elem != NORN_F64 && v->elem != NORN_I64)
    return lib_wrong(st, args, 0, "the argument", "an array of numbers");
  norn_datum a = norn_array(st, v->elem, v->rank - 1, v->dims + 1, &p);
  if (norn_is_none(a)) return lib_failed(st);
  for (int64_t j = 0; j < row; j++)
    if (v->elem == NORN_F64) ((double *)p)[j] = f->product;
    else ((int64_t *)p)[j] = f->product;
  for (int64_t i = 0; i < v->dims[0]; i++)
    for (int64_t j = 0; j < row; j++) {
      double *d = (double *)p + j;
      int64_t *w = (int64_t *)p + j;
      if (v->elem == NORN_F64) *d = f->product ? *d * v->f[i * row + j] : *d + v->f[i * row + j];
      else if (f->product ? __builtin_mul_overflow(*w, v->i[i * row + j], w)
                          : __builtin_add_overflow(*w, v->i[i * row + j], w))
        return fold_overflow(st, f);
    }
  *out = a;
  return NORN_OK;
}

static norn_status folded(norn_state *st, const norn_datum *args, const folding *f, norn_datum *out)
{
  norn_view v;
  if (!want_view(st, args, 0, &v)) return lib_failed(st);
  if (v.elem == NORN_VALUES && lib_has_big(v.v, v.n))
    return lib_big_fold(st, f->product ? "*" : "+", v.v, v.n, out);
  return v.rank > 1 ? fold_rows(st, args, &v, f, out) : fold_vector(st, args, &v, f, out);
}

static norn_status a_sum(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const folding f = { "sum", false };
  return folded(st, args, &f, out);
}

static norn_status a_prod(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const folding f = { "product", true };
  return folded(st, args, &f, out);
}

static norn_status running(norn_state *st, const norn_datum *args, const folding *f,
                           norn_datum *out)
{
  norn_view v;
  void *p = NULL;
  if (!want_view(st, args, 0, &v)) return lib_failed(st);
  if (v.rank != 1 || (v.n > 0 && v.elem == NORN_VALUES))
    return lib_wrong(st, args, 0, "the argument", "an array of numbers");
  norn_datum a = norn_array(st, v.elem == NORN_F64 ? NORN_F64 : NORN_I64, 1, v.dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  double d = f->product;
  int64_t r = f->product;
  for (int64_t k = 0; k < v.n; k++) {
    if (v.elem == NORN_F64) {
      d = f->product ? d * v.f[k] : d + v.f[k];
      ((double *)p)[k] = d;
      continue;
    }
    int64_t x = v.elem == NORN_I64 ? v.i[k] : v.b[k] != 0;
    if (f->product ? __builtin_mul_overflow(r, x, &r) : __builtin_add_overflow(r, x, &r))
      return fold_overflow(st, f);
    ((int64_t *)p)[k] = r;
  }
  *out = a;
  return NORN_OK;
}

static norn_status a_cumsum(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const folding f = { "sum", false };
  return running(st, args, &f, out);
}

static norn_status a_cumprod(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  const folding f = { "product", true };
  return running(st, args, &f, out);
}

/* ---- vectors and matrices ---- */

static norn_status a_dot(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v[2];
  int64_t len[2];
  if (!want_view(st, args, 0, &v[0]) || !want_view(st, args, 1, &v[1])) return lib_failed(st);
  if (v[0].rank != 1 || v[1].rank != 1 || v[0].n != v[1].n) {
    char got[2][100];
    return norn_fail(st, NORN_ETYPE, 1, "dot needs two vectors of equal length, got %s and %s",
                     norn_describe(st, args[0], got[0], sizeof got[0]),
                     norn_describe(st, args[1], got[1], sizeof got[1]));
  }
  if (v[0].elem == NORN_I64 && v[1].elem == NORN_I64) {
    int64_t s = 0, t;
    const folding f = { "dot product", false };
    for (int64_t k = 0; k < v[0].n; k++)
      if (__builtin_mul_overflow(v[0].i[k], v[1].i[k], &t) || __builtin_add_overflow(s, t, &s))
        return fold_overflow(st, &f);
    *out = norn_int(s);
    return NORN_OK;
  }
  if (lib_has_big(args, 2)) {
    norn_datum product;
    norn_status code = norn_big_apply(st, "*", args, 2, &product);
    norn_view w;
    if (code) return code;
    norn_array_view(product, &w);
    return lib_big_fold(st, "+", w.v, w.n, out);
  }
  const double *x = norn_want_reals(st, args, 0, "the first argument of dot", &len[0]);
  const double *y = x ? norn_want_reals(st, args, 1, "the second argument of dot", &len[1]) : NULL;
  if (!y) return lib_failed(st);
  *out = norn_real(la_dot(x, y, len[0]));
  return NORN_OK;
}

static norn_status a_outer(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t dims[2];
  void *p = NULL;
  const double *x = norn_want_reals(st, args, 0, "the first argument of outer", &dims[0]);
  const double *y = x ? norn_want_reals(st, args, 1, "the second argument of outer", &dims[1])
                      : NULL;
  if (!y) return lib_failed(st);
  norn_datum a = norn_array(st, NORN_F64, 2, dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  for (int64_t i = 0; i < dims[0]; i++)
    for (int64_t j = 0; j < dims[1]; j++) ((double *)p)[i * dims[1] + j] = x[i] * y[j];
  *out = a;
  return NORN_OK;
}

static norn_status a_diag(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  int64_t m;
  norn_datum a;
  void *p = NULL;
  const double *x = norn_want_reals(st, args, 0, "the argument of diag", &m);
  if (!x || !want_view(st, args, 0, &v)) return lib_failed(st);
  if (v.rank == 1) {
    int64_t dims[2] = { m, m };
    a = norn_array(st, NORN_F64, 2, dims, &p);
    if (norn_is_none(a)) return lib_failed(st);
    memset(p, 0, (size_t)(m * m) * sizeof(double));
    for (int64_t k = 0; k < m; k++) ((double *)p)[k * m + k] = x[k];
  } else {
    if (v.rank != 2) return lib_wrong(st, args, 0, "the argument of diag", "a vector or a matrix");
    int64_t k, least = v.dims[0] < v.dims[1] ? v.dims[0] : v.dims[1];
    double *d = lib_reals(st, least, &a);
    if (!d) return lib_failed(st);
    for (k = 0; k < least; k++) d[k] = x[k * v.dims[1] + k];
  }
  *out = a;
  return NORN_OK;
}

/* ---- finding ---- */

/* The first place of x, -1 if there is none; packed arrays without making values. */
static int64_t place_of(norn_state *st, norn_datum array, const norn_view *v, norn_datum x)
{
  double d;
  if (v->rank == 1 && v->elem == NORN_I64 && x.tag == NORN_INT) {
    for (int64_t k = 0; k < v->n; k++)
      if (v->i[k] == x.i) return k;
    return -1;
  }
  if (v->rank == 1 && v->elem == NORN_F64 && norn_as_real(x, &d)) {
    for (int64_t k = 0; k < v->n; k++)
      if (v->f[k] == d) return k;
    return -1;
  }
  for (int64_t k = 0; k < v->dims[0]; k++)
    if (norn_equal(norn_array_at(st, array, k), x)) return k;
  return -1;
}

/* Functions can't be compared: whoever looks for one means a test. */
static bool want_equal(norn_state *st, norn_datum x, const char *with_test)
{
  if (x.tag != NORN_FUN && x.tag != NORN_NATIVE) return true;
  norn_fail(st, NORN_ETYPE, 1, "this looks for an equal element, and functions can't be compared");
  norn_hint(st, "%s takes a test of elements: %s(xs, f)", with_test, with_test);
  return false;
}

static norn_status a_contains(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  if (is_string(args[0])) {
    int64_t at;
    norn_status code = strings_find(st, args, &at);
    if (!code) *out = norn_bool(at >= 0);
    return code;
  }
  if (norn_map_size(args[0]) >= 0) {
    *out = norn_bool(!norn_is_none(norn_map_get(args[0], args[1])));
    return NORN_OK;
  }
  if (!norn_array_view(args[0], &v))
    return lib_wrong(st, args, 0, "the first argument of contains", "an array, a string or a map");
  if (!want_equal(st, args[1], "any_of")) return lib_failed(st);
  *out = norn_bool(place_of(st, args[0], &v, args[1]) >= 0);
  return NORN_OK;
}

static norn_status a_index_of(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  int64_t at;
  if (is_string(args[0])) {
    norn_status code = strings_find(st, args, &at);
    if (code) return code;
  } else {
    if (!want_view(st, args, 0, &v) || !want_equal(st, args[1], "find_first")) return lib_failed(st);
    at = place_of(st, args[0], &v, args[1]);
  }
  *out = at < 0 ? norn_missing() : norn_int(at);
  return NORN_OK;
}

static norn_status a_count(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v;
  int64_t c = 0;
  norn_datum x = n > 1 && args[1].tag != NORN_NONE ? args[1] : norn_bool(true);
  if (!want_view(st, args, 0, &v) || !want_equal(st, x, "count_by")) return lib_failed(st);
  for (int64_t k = 0; k < v.dims[0]; k++)
    c += norn_equal(v.rank == 1 ? lib_elem(&v, k) : norn_array_at(st, args[0], k), x);
  *out = norn_int(c);
  return NORN_OK;
}

/* any and all: whether `wanted` occurs. */
static norn_status quantified(norn_state *st, const norn_datum *args, bool wanted, bool *found)
{
  norn_view v;
  if (!want_view(st, args, 0, &v)) return lib_failed(st);
  if (v.n > 0 && v.elem != NORN_B8)
    return lib_wrong(st, args, 0, "the argument", "an array of booleans");
  *found = v.n > 0 && memchr(v.b, wanted, (size_t)v.n) != NULL;
  return NORN_OK;
}

static norn_status a_any(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  bool found = false;
  norn_status code = quantified(st, args, true, &found);
  *out = norn_bool(found);
  return code;
}

static norn_status a_all(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  bool found = false;
  norn_status code = quantified(st, args, false, &found);
  *out = norn_bool(!found);
  return code;
}

static norn_status arg_extreme(norn_state *st, const norn_datum *args, const char *name, int way,
                               norn_datum *out)
{
  int64_t n, best = 0;
  const double *x = norn_want_reals(st, args, 0, "the argument", &n);
  if (!x) return lib_failed(st);
  if (n == 0) return norn_fail(st, NORN_EDOMAIN, 0, "%s of an empty array", name);
  for (int64_t k = 0; k < n; k++) {
    if (isnan(x[k]))
      return norn_fail(st, NORN_EDOMAIN, 0, "%s of an array that contains nan (at index %lld)",
                       name, (long long)k);
    if (way > 0 ? x[k] > x[best] : x[k] < x[best]) best = k;
  }
  *out = norn_int(best);
  return NORN_OK;
}

static norn_status a_argmin(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return arg_extreme(st, args, "argmin", -1, out);
}

static norn_status a_argmax(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return arg_extreme(st, args, "argmax", 1, out);
}

/* ---- zipping ---- */

/* Rows (x[0], y[0], ...): a matrix where all are of one kind, else arrays of values, so that no
   integer turns real. */
static norn_status zipped(norn_state *st, const norn_view *v, const norn_datum *arrays, int n,
                          norn_datum *out)
{
  int64_t dims[2] = { v[0].dims[0], n }, all = dims[0] * n;
  bool same = v[0].rank == 1 && v[0].elem != NORN_VALUES;
  void *p = NULL;
  for (int k = 1; k < n; k++) same = same && v[k].rank == 1 && v[k].elem == v[0].elem;
  norn_datum a = same ? norn_array(st, v[0].elem, 2, dims, &p)
                      : norn_array(st, NORN_VALUES, 1, &all, &p);
  if (norn_is_none(a)) return lib_failed(st);
  size_t size = lib_elem_size(v[0].elem);
  for (int k = 0; k < n; k++)
    for (int64_t i = 0; i < dims[0]; i++) {
      int64_t at = i * n + k;
      if (same)
        memcpy((char *)p + (size_t)at * size, (const char *)v[k].b + (size_t)i * size, size);
      else ((norn_datum *)p)[at] = norn_array_at(st, arrays[k], i);
    }
  return lib_give(st, same ? a : lib_nested(st, p, 2, dims), out);
}

#define ZIP_MAX 16
static norn_status a_zip(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v[ZIP_MAX];
  if (n > ZIP_MAX)
    return norn_fail(st, NORN_EUSE, ZIP_MAX, "zip takes at most %d arrays, got %d", ZIP_MAX, n);
  for (int k = 0; k < n; k++) {
    if (!norn_array_view(args[k], &v[k]))
      return lib_wrong(st, args, k, "each argument of zip", "an array");
    if (v[k].dims[0] != v[0].dims[0])
      return norn_fail(st, NORN_ETYPE, k, "zip needs arrays of equal length, got %lld and %lld",
                       (long long)v[0].dims[0], (long long)v[k].dims[0]);
  }
  return zipped(st, v, args, n, out);
}

static norn_status a_indexed(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v[2];
  norn_datum a[2] = { norn_none(), args[0] };
  if (!want_view(st, args, 0, &v[1])) return lib_failed(st);
  int64_t *p = lib_ints(st, v[1].dims[0], &a[0]);
  if (!p) return lib_failed(st);
  for (int64_t k = 0; k < v[1].dims[0]; k++) p[k] = k;
  norn_array_view(a[0], &v[0]);
  return zipped(st, v, a, 2, out);
}

#define FN(name, params, fn, sentence, example, result) \
  { name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE, NULL }

static const norn_native natives[] = {
  FN("len", "x", a_len,
     "The number of elements of an array, characters of a string, or entries of a record or map.",
     "len([5, 6, 7])", "3"),
  FN("zeros", "shape", a_zeros, "An array of 0.0; the shape is a length or an array of lengths.",
     "zeros(2)", "[0.0, 0.0]"),
  FN("ones", "shape", a_ones, "An array of 1.0; the shape is a length or an array of lengths.",
     "ones([1, 2])", "[[1.0, 1.0]]"),
  FN("full", "shape, x", a_full, "An array filled with x.", "full([2, 2], 7)", "[[7, 7], [7, 7]]"),
  FN("range", "a, b = missing, step = 1", a_range,
     "The numbers from a (or 0) up to b, which is excluded, by step.",
     "[range(3), range(5, 2, -1)]", "[[0, 1, 2], [5, 4, 3]]"),
  FN("linspace", "a, b, n", a_linspace, "n evenly spaced reals from a to b, both included.",
     "linspace(0, 1, 5)", "[0.0, 0.25, 0.5, 0.75, 1.0]"),
  FN("shape", "x", a_shape, "The lengths of an array's dimensions.",
     "shape([[1, 2, 3], [4, 5, 6]])", "[2, 3]"),
  FN("reshape", "x, shape", a_reshape, "The same elements in another shape, last index fastest.",
     "reshape(range(4), [2, 2])", "[[0, 1], [2, 3]]"),
  FN("flatten", "x", a_flatten, "All elements of nested arrays in one.",
     "flatten([[1, 2], [3, 4]])", "[1, 2, 3, 4]"),
  FN("concat", "xs", a_concat, "The arrays in an array joined: one level of nesting less.",
     "concat([[1, 2], [3]])", "[1, 2, 3]"),
  FN("repeat", "x, n", a_repeat, "A string or array n times over, or n copies of another value.",
     "repeat([1, 2], 2)", "[1, 2, 1, 2]"),
  FN("slice", "x, from, to = missing", a_slice,
     "Elements or characters from..to; what lies outside is left out.", "slice([1, 2, 3, 4], 1, 3)",
     "[2, 3]"),
  FN("take", "x, n", a_take, "The first n elements or characters, or all if there are fewer.",
     "take([1, 2, 3], 2)", "[1, 2]"),
  FN("drop", "x, n", a_drop, "All but the first n elements or characters.", "drop([1, 2, 3], 2)",
     "[3]"),
  FN("first", "xs", a_first, "The first element.", "first([1, 2, 3])", "1"),
  FN("last", "xs", a_last, "The last element.", "last([1, 2, 3])", "3"),
  FN("reverse", "x", a_reverse, "The elements or characters in the opposite order.",
     "reverse([1, 2, 3])", "[3, 2, 1]"),
  FN("push", "xs, x", a_push, "The array with x appended; cheap.", "push([1, 2], 3)", "[1, 2, 3]"),
  FN("set_at", "xs, i, x", a_set_at, "A copy of the array with x at index i.",
     "set_at([1, 2, 3], 1, 9)", "[1, 9, 3]"),
  FN("sum", "xs", a_sum,
     "The sum of an array: of its numbers, of true as 1, or of a matrix's rows.", "sum([1, 2, 3])",
     "6"),
  FN("prod", "xs", a_prod, "The product of an array.", "prod([2, 3, 4])", "24"),
  FN("cumsum", "xs", a_cumsum, "The running sums.", "cumsum([1, 2, 3])", "[1, 3, 6]"),
  FN("cumprod", "xs", a_cumprod, "The running products.", "cumprod([1, 2, 3])", "[1, 2, 6]"),
  FN("dot", "x, y", a_dot, "The scalar product of two vectors.", "dot([1, 2], [3, 4])", "11"),
  FN("outer", "x, y", a_outer, "The matrix of products x[i] * y[j].", "outer([1, 2], [3, 4])",
     "[[3.0, 4.0], [6.0, 8.0]]"),
  FN("diag", "x", a_diag, "The matrix with x on its diagonal, or the diagonal of a matrix.",
     "diag([1, 2])", "[[1.0, 0.0], [0.0, 2.0]]"),
  FN("contains", "xs, x", a_contains,
     "Whether an array has an element, a string a part, a map a key.", "contains([1, 2], 2)",
     "true"),
  FN("index_of", "xs, x", a_index_of,
     "The first place of an element of an array or a part of a string; missing if there is none.",
     "index_of([5, 6, 7], 6)", "1"),
  FN("count", "xs, x = true", a_count, "How many elements equal x.", "count([1, 2, 1], 1)", "2"),
  FN("any", "xs", a_any, "Whether some element is true.", "any([false, true])", "true"),
  FN("all", "xs", a_all, "Whether every element is true.", "all([false, true])", "false"),
  FN("argmin", "xs", a_argmin, "The first place of the least number.", "argmin([3, 1, 2])", "1"),
  FN("argmax", "xs", a_argmax, "The first place of the greatest number.", "argmax([3, 1, 2])", "0"),
  { "zip", "xs, ys",
    "The arrays of first, second, ... elements of arrays of equal length.\n"
    "Example: zip([1, 2], [\"a\", \"b\"])\n=> [[1, \"a\"], [2, \"b\"]]",
    a_zip, NORN_PURE | NORN_VARIADIC, NULL },
  FN("indexed", "xs", a_indexed, "Pairs of index and element.", "indexed([\"a\", \"b\"])",
     "[[0, \"a\"], [1, \"b\"]]"),
};

norn_status lib_array_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
