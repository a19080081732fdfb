/* lib_interp.c: tables and series: places in sorted arrays, curves through points, differences,
   counts in bins, ranks, areas. */
#include "lib/lib.h"
#include "num/interp.h"
#include <math.h>
#include <string.h>

/* ---- arguments ---- */

static const double *want_vector(norn_state *st, const norn_datum *args, int i, const char *what,
                                 int64_t least, int64_t *n)
{
  norn_view v;
  if (norn_array_view(args[i], &v) && v.rank > 1) {
    lib_wrong(st, args, i, what, "an array of numbers");
    return NULL;
  }
  const double *x = norn_want_reals(st, args, i, what, n);
  if (x && *n < least) {
    norn_fail(st, NORN_EDOMAIN, i, "%s must have %lld elements or more, got %lld", what,
              (long long)least, (long long)*n);
    return NULL;
  }
  return x;
}

/* Whether x rises, strictly or not. */
static bool want_rising(norn_state *st, int i, const char *what, const double *x, int64_t n,
                        bool strictly)
{
  for (int64_t k = 0; k < n; k++) {
    if (k ? x[k] > x[k - 1] || (!strictly && x[k] == x[k - 1]) : !isnan(x[k])) continue;
    if (k == 0) norn_fail(st, NORN_EDOMAIN, i, "%s must rise, but element 0 is nan", what);
    else
      norn_fail(st, NORN_EDOMAIN, i, "%s must rise%s, but element %lld is %g after %g", what,
                strictly ? " strictly" : "", (long long)k, x[k], x[k - 1]);
    norn_hint(st, "sort(xs) sorts; order(xs) gives the places by which other arrays can follow");
    return false;
  }
  return true;
}

/* Points (x[k], y[k]) in arguments i and i + 1. */
typedef struct points { const double *x, *y; int64_t n; } points;
static bool want_pairs(norn_state *st, const norn_datum *args, int i, int64_t least, points *p)
{
  int64_t m;
  if (!(p->x = want_vector(st, args, i, "xs", least, &p->n)) ||
      !(p->y = want_vector(st, args, i + 1, "ys", 0, &m))) return false;
  if (m == p->n) return true;
  norn_fail(st, NORN_ETYPE, i + 1, "xs and ys must be equally long, got %lld and %lld",
            (long long)p->n, (long long)m);
  return false;
}

/* The same with x rising strictly. */
static bool want_points(norn_state *st, const norn_datum *args, int i, int64_t least, points *p)
{
  return want_pairs(st, args, i, least, p) && want_rising(st, i, "xs", p->x, p->n, true);
}

/* A function of a number, or of each of an array; ints: its results are integers. */
typedef struct curve {
  double (*at)(const struct curve *, double t);
  points p;
  const double *slopes;
  bool right, ints;
} curve;

static norn_status each(norn_state *st, const norn_datum *args, int i, const curve *f,
                        norn_datum *out)
{
  norn_view v;
  double t;
  int64_t n;
  void *p = NULL;
  if (norn_as_real(args[i], &t)) {
    t = f->at(f, t);
    *out = f->ints ? norn_int((int64_t)t) : norn_real(t);
    return NORN_OK;
  }
  if (!norn_array_view(args[i], &v))
    return lib_wrong(st, args, i, "x", "a number or an array of numbers");
  const double *x = norn_want_reals(st, args, i, "x", &n);
  norn_datum a = x ? norn_array(st, f->ints ? NORN_I64 : NORN_F64, v.rank, v.dims, &p)
                   : norn_none();
  if (norn_is_none(a)) return lib_failed(st);
  for (int64_t k = 0; k < n; k++) {
    t = f->at(f, x[k]);
    if (f->ints) ((int64_t *)p)[k] = (int64_t)t;
    else ((double *)p)[k] = t;
  }
  *out = a;
  return NORN_OK;
}

/* ---- places and curves ---- */

static double at_place(const curve *f, double t)
{
  return (double)interp_place(f->p.x, f->p.n, t, f->right);
}

static double at_linear(const curve *f, double t)
{
  return interp_linear(f->p.x, f->p.y, f->p.n, t);
}

static double at_cubic(const curve *f, double t)
{
  return interp_cubic(f->p.x, f->p.y, f->slopes, f->p.n, t);
}

static norn_status i_searchsorted(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  curve f = { .at = at_place, .ints = true };
  if (!(f.p.x = want_vector(st, args, 0, "xs", 0, &f.p.n)) ||
      !want_rising(st, 0, "xs", f.p.x, f.p.n, false) ||
      (lib_given(args, 2, n) && !lib_want_bool(st, args, 2, "right", &f.right)))
    return lib_failed(st);
  return each(st, args, 1, &f, out);
}

static norn_status i_interp(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  curve f = { .at = at_linear };
  if (!want_points(st, args, 1, 1, &f.p)) return lib_failed(st);
  return each(st, args, 0, &f, out);
}

/* What spline of the prelude keeps: the slopes at the points. */
static norn_status i_slopes(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  points p;
  size_t len;
  const char *method;
  norn_datum keep;
  if (!want_points(st, args, 0, 2, &p) ||
      !norn_want_string(st, args, 2, "the method of spline", &method, &len)) return lib_failed(st);
  if (strcmp(method, "natural") != 0 && strcmp(method, "monotone") != 0)
    return norn_fail(st, NORN_EDOMAIN, 2,
                     "spline knows the methods \"natural\" and \"monotone\", not \"%.40s\"",
                     method);
  double *d = lib_reals(st, p.n, out), *scratch = d ? lib_reals(st, p.n, &keep) : NULL;
  if (!scratch) return lib_failed(st);
  if (method[0] == 'n') interp_natural(p.x, p.y, p.n, d, scratch);
  else interp_monotone(p.x, p.y, p.n, d);
  return NORN_OK;
}

/* spline has seen the points before: that they rise is not checked at each call. */
static norn_status i_cubic(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  curve f = { .at = at_cubic };
  int64_t m;
  if (!want_pairs(st, args, 1, 2, &f.p) ||
      !(f.slopes = want_vector(st, args, 3, "slopes", f.p.n, &m))) return lib_failed(st);
  return each(st, args, 0, &f, out);
}

/* ---- series ---- */

static norn_status i_diff(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v;
  int64_t lag = 1, m;
  if (!norn_array_view(args[0], &v) || v.rank != 1)
    return lib_wrong(st, args, 0, "the argument of diff", "an array of numbers");
  if (lib_given(args, 1, n) && !norn_want_int(st, args, 1, "lag", &lag)) return lib_failed(st);
  if (lag < 1)
    return norn_fail(st, NORN_EDOMAIN, 1, "lag must be 1 or more, got %lld", (long long)lag);
  int64_t count = v.n > lag ? v.n - lag : 0;
  if (v.elem == NORN_I64) {
    int64_t *d = lib_ints(st, count, out);
    for (int64_t k = 0; d && k < count; k++)
      if (__builtin_sub_overflow(v.i[k + lag], v.i[k], &d[k]))
        return norn_fail(st, NORN_EDOMAIN, 0, "integer overflow in diff");
    return d ? NORN_OK : lib_failed(st);
  }
  const double *x = norn_want_reals(st, args, 0, "the argument of diff", &m);
  double *d = x ? lib_reals(st, count, out) : NULL;
  for (int64_t k = 0; d && k < count; k++) d[k] = x[k + lag] - x[k];
  return d ? NORN_OK : lib_failed(st);
}

/* Areas under the polygon up to each point, from 0. */
static norn_status i_cumulative(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  points p;
  if (!want_points(st, args, 0, 1, &p)) return lib_failed(st);
  double *a = lib_reals(st, p.n, out), s = 0;
  if (!a) return lib_failed(st);
  for (int64_t k = 0; k < p.n; k++) {
    if (k) s += 0.5 * (p.x[k] - p.x[k - 1]) * (p.y[k] + p.y[k - 1]);
    a[k] = s;
  }
  return NORN_OK;
}

static norn_status i_trapezoid(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_view v;
  norn_status code = i_cumulative(st, args, n, out);
  if (!code && norn_array_view(*out, &v)) *out = norn_real(v.f[v.n - 1]);
  return code;
}

/* ---- counts and ranks ---- */

static norn_status i_bin_counts(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t count, m;
  const double *x = norn_want_reals(st, args, 0, "the first argument of bin_counts", &count);
  const double *edge = x ? want_vector(st, args, 1, "edges", 2, &m) : NULL;
  if (!edge || !want_rising(st, 1, "edges", edge, m, true)) return lib_failed(st);
  int64_t *c = lib_ints(st, m - 1, out);
  if (!c) return lib_failed(st);
  memset(c, 0, (size_t)(m - 1) * sizeof *c);
  for (int64_t k = 0; k < count; k++) {
    int64_t i = x[k] == edge[m - 1] ? m - 1 : interp_place(edge, m, x[k], true);
    if (i > 0 && i < m && !isnan(x[k])) c[i - 1]++;
  }
  return NORN_OK;
}

/* Equal numbers share the mean of their places, which are counted from 1. */
static norn_status i_ranks(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  int64_t m;
  const double *x = want_vector(st, args, 0, "the argument of ranks", 0, &m);
  int64_t *order = x ? lib_order(st, x, m) : NULL;
  double *r = order ? lib_reals(st, m, out) : NULL;
  if (!r) return lib_failed(st);
  if (m > 0 && isnan(x[order[m - 1]]))
    return norn_fail(st, NORN_EDOMAIN, 0, "nan has no rank, but is at %lld",
                     (long long)order[m - 1]);
  for (int64_t i = 0, j; i < m; i = j) {
    for (j = i; j < m && x[order[j]] == x[order[i]]; j++) continue;
    for (int64_t k = i; k < j; k++) r[order[k]] = 0.5 * (double)(i + 1 + j);
  }
  return NORN_OK;
}

/* ---- the table ---- */

#define FN(name, params, fn, sentence, example, result) \
  { name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE, NULL }

static const norn_native natives[] = {
  FN("searchsorted", "xs, x, right = false", i_searchsorted,
     "Where x belongs in the sorted xs: how many are below it, or with right not above it.",
     "searchsorted([1, 3, 3, 5], [0, 3, 9])", "[0, 1, 4]"),
  FN("interp", "x, xs, ys", i_interp,
     "The polygon through the points (xs, ys) at x; flat beyond the ends.",
     "interp([1.5, 9], [1, 2], [10, 20])", "[15.0, 20.0]"),
  FN("_spline_slopes", "xs, ys, method", i_slopes,
     "The slopes at its points of a spline: what spline rests on.",
     "_spline_slopes([0, 1], [0, 2], \"natural\")", "[2.0, 2.0]"),
  FN("_spline_at", "x, xs, ys, slopes", i_cubic,
     "Cubics through points with given slopes at x: what spline rests on.",
     "_spline_at(0.5, [0, 1], [0, 1], [0, 0])", "0.5"),
  FN("diff", "xs, lag = 1", i_diff, "The differences of elements and those lag places before.",
     "diff([1, 4, 9])", "[3, 5]"),
  FN("trapezoid", "xs, ys", i_trapezoid, "The area under the polygon through the points (xs, ys).",
     "trapezoid([0, 1, 3], [0, 1, 1])", "2.5"),
  FN("cumulative_trapezoid", "xs, ys", i_cumulative,
     "The areas under the polygon through the points (xs, ys) up to each of them.",
     "cumulative_trapezoid([0, 1, 3], [0, 1, 1])", "[0.0, 0.5, 2.5]"),
  FN("bin_counts", "xs, edges", i_bin_counts,
     "How many elements are in each bin, edges[i] <= x < edges[i + 1]; the last has its end too.",
     "bin_counts([0, 1, 1.5, 2, 7], [0, 1, 2])", "[1, 3]"),
  FN("ranks", "xs", i_ranks, "The ranks of the elements, from 1; equal ones share their mean.",
     "ranks([10, 30, 10])", "[1.5, 3.0, 1.5]"),
};

norn_status lib_interp_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
