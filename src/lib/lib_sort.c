/* lib_sort.c: sorting and what rests on it.

   The order is norn_compare's, stable.  Packed numbers are sorted by their own comparison: reals as
   a total order with nan last.  The algorithm is a bottom-up merge sort of indices or values, with
   insertion sort for runs of 16. */
#include "lib/lib.h"
#include "num/stats.h"
#include <math.h>
#include <string.h>

#define RUN 16
typedef bool (*before_fn)(const void *x, int64_t a,
                          int64_t b); /* x[a] sorts strictly before x[b] */

static bool real_before(double a, double b) { return a < b || (isnan(b) && !isnan(a)); }
static bool before_real(const void *x, int64_t a, int64_t b)
{
  return real_before(((const double *)x)[a], ((const double *)x)[b]);
}

static bool before_int(const void *x, int64_t a, int64_t b)
{
  return ((const int64_t *)x)[a] < ((const int64_t *)x)[b];
}

static bool before_value(const void *x, int64_t a, int64_t b)
{
  return norn_compare(((const norn_datum *)x)[a], ((const norn_datum *)x)[b]) < 0;
}

static bool after_real(const void *x, int64_t a, int64_t b) { return before_real(x, b, a); }
static bool after_int(const void *x, int64_t a, int64_t b) { return before_int(x, b, a); }
static bool after_value(const void *x, int64_t a, int64_t b) { return before_value(x, b, a); }

static void insertion(const void *x, before_fn before, int64_t *ix, int64_t from, int64_t to)
{
  for (int64_t i = from + 1; i < to; i++) {
    int64_t v = ix[i], j = i;
    for (; j > from && before(x, v, ix[j - 1]); j--) ix[j] = ix[j - 1];
    ix[j] = v;
  }
}

static void merge(const void *x, before_fn before, const int64_t *from, int64_t a, int64_t mid,
                  int64_t b, int64_t *to)
{
  int64_t i = a, j = mid, k = a;
  while (i < mid && j < b) to[k++] = before(x, from[j], from[i]) ? from[j++] : from[i++];
  while (i < mid) to[k++] = from[i++];
  while (j < b) to[k++] = from[j++];
}

/* ix and spare have n elements; the sorted places are in the returned one of the two. */
static int64_t *sort_places(const void *x, before_fn before, int64_t *ix, int64_t *spare, int64_t n)
{
  for (int64_t k = 0; k < n; k++) ix[k] = k;
  for (int64_t a = 0; a < n; a += RUN) insertion(x, before, ix, a, a + RUN < n ? a + RUN : n);
  for (int64_t width = RUN; width < n; width *= 2) {
    for (int64_t a = 0; a < n; a += 2 * width) {
      int64_t mid = a + width < n ? a + width : n, b = mid + width < n ? mid + width : n;
      merge(x, before, ix, a, mid, b, spare);
    }
    int64_t *t = ix;
    ix = spare;
    spare = t;
  }
  return ix;
}

/* The places of the rows of an array in order; NULL: error set. */
static int64_t *order_of(norn_state *st, norn_datum array, const norn_view *v, bool down,
                         norn_datum *keep)
{
  int64_t n = v->dims[0];
  norn_datum scratch, *values;
  int64_t *ix = lib_ints(st, n, keep), *spare = ix ? lib_ints(st, n, &scratch) : NULL;
  if (!spare) return NULL;
  const void *x = v->b;
  before_fn before = down ? after_value : before_value;
  if (v->rank == 1 && v->elem == NORN_F64) before = down ? after_real : before_real;
  else if (v->rank == 1 && v->elem == NORN_I64) before = down ? after_int : before_int;
  else {
    if (!(values = lib_values(st, n, &scratch))) return NULL;
    for (int64_t k = 0; k < n; k++) values[k] = norn_array_at(st, array, k);
    x = values;
  }
  return sort_places(x, before, ix, spare, n);
}

static norn_status sort_args(norn_state *st, const norn_datum *args, int n, norn_view *v,
                             bool *down)
{
  *down = false;
  if (!norn_array_view(args[0], v)) return lib_wrong(st, args, 0, "the argument", "an array");
  if (lib_given(args, 1, n) && !lib_want_bool(st, args, 1, "descending", down))
    return lib_failed(st);
  return NORN_OK;
}

/* Packed reals need no places: equal ones can't be told apart. */
static norn_status sort_reals(norn_state *st, const norn_view *v, bool down, norn_datum *out)
{
  norn_datum a;
  double *x = lib_reals(st, v->n, &a);
  if (!x) return lib_failed(st);
  memcpy(x, v->f, (size_t)v->n * sizeof *x);
  stats_sort(x, v->n);
  for (int64_t i = 0, j = v->n - 1; down && i < j; i++, j--) {
    double t = x[i];
    x[i] = x[j];
    x[j] = t;
  }
  *out = a;
  return NORN_OK;
}

static norn_status s_sort(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v;
  norn_datum keep;
  bool down;
  norn_status code = sort_args(st, args, n, &v, &down);
  if (code) return code;
  if (v.rank == 1 && v.elem == NORN_F64) return sort_reals(st, &v, down, out);
  int64_t *ix = order_of(st, args[0], &v, down, &keep);
  return ix ? lib_give(st, lib_gather(st, &v, ix, v.dims[0]), out) : lib_failed(st);
}

static norn_status s_order(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v;
  norn_datum keep, a;
  bool down;
  norn_status code = sort_args(st, args, n, &v, &down);
  if (code) return code;
  int64_t *ix = order_of(st, args[0], &v, down, &keep),
          *p = ix ? lib_ints(st, v.dims[0], &a) : NULL;
  if (!p) return lib_failed(st);
  memcpy(p, ix, (size_t)v.dims[0] * sizeof *p);
  *out = a;
  return NORN_OK;
}

static norn_status s_unique(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  lib_groups g;
  if (!norn_array_view(args[0], &v)) return lib_wrong(st, args, 0, "the argument", "an array");
  if (!lib_group(st, args[0], &g)) return lib_failed(st);
  return lib_give(st, lib_gather(st, &v, g.first, g.kinds), out);
}

int64_t *lib_order(norn_state *st, const double *x, int64_t n)
{
  norn_datum keep;
  int64_t *ix = lib_ints(st, n, &keep), *spare = ix ? lib_ints(st, n, &keep) : NULL;
  if (!spare) {
    lib_failed(st);
    return NULL;
  }
  return sort_places(x, before_real, ix, spare, n);
}

int64_t *lib_value_order(norn_state *st, const norn_datum *x, int64_t n)
{
  norn_datum keep;
  int64_t *ix = lib_ints(st, n, &keep), *spare = ix ? lib_ints(st, n, &keep) : NULL;
  if (!spare) {
    lib_failed(st);
    return NULL;
  }
  return sort_places(x, before_value, ix, spare, n);
}

/* The places of equal elements together: an array for each different one, by first appearance. */
static norn_status s_groups(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  norn_view v;
  lib_groups g;
  norn_datum keep;
  if (!norn_array_view(args[0], &v)) return lib_wrong(st, args, 0, "the argument", "an array");
  if (!lib_group(st, args[0], &g)) return lib_failed(st);
  norn_datum *member = lib_values(st, g.kinds, &keep);
  int64_t *size = member ? lib_ints(st, g.kinds, out) : NULL;
  int64_t **at = size ? (int64_t **)(void *)lib_ints(st, g.kinds, out) : NULL;
  if (!at) return lib_failed(st);
  memset(size, 0, (size_t)g.kinds * sizeof *size);
  for (int64_t k = 0; k < g.n; k++) size[g.kind[k]]++;
  for (int64_t k = 0; k < g.kinds; k++)
    if (!(at[k] = lib_ints(st, size[k], &member[k]))) return lib_failed(st);
  for (int64_t k = 0; k < g.n; k++) *at[g.kind[k]]++ = k;
  *out = keep;
  return NORN_OK;
}

static const norn_native natives[] = {
  { "sort", "xs, descending = false",
    "The elements in rising order: numbers, booleans, strings, arrays, data.  Stable.\n"
    "Example: sort([3, 1, 2])\n=> [1, 2, 3]",
    s_sort, NORN_PURE, NULL },
  { "order", "xs, descending = false",
    "The places of the elements in rising order.\n"
    "Example: order([30, 10, 20])\n=> [1, 2, 0]",
    s_order, NORN_PURE, NULL },
  { "unique", "xs",
    "The different elements, in order of first appearance.\n"
    "Example: unique([2, 1, 2])\n=> [2, 1]",
    s_unique, NORN_PURE, NULL },
  { "_groups", "xs",
    "The places of equal elements: what group_by rests on.\n"
    "Example: _groups([5, 6, 5])\n=> [[0, 2], [1]]",
    s_groups, NORN_PURE, NULL },
};

norn_status lib_sort_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
