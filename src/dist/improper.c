/* improper: densities without a normaliser, as priors: flat and its likes on vectors and matrices.
   They score 0 inside their support and can't be sampled; an engine refuses the evidence of a
   program that uses one. */
#include "dist/dist.h"
#include <math.h>

/* A bound that was not given is none or missing. */
static norn_status flat_bound(norn_state *st, const norn_dist *d, int i, double *out)
{
  char what[120];
  if (i >= d->n || d->args[i].tag == NORN_NONE || d->args[i].tag == NORN_MISSING) return NORN_OK;
  if (norn_as_real(d->args[i], out) && *out == *out) return NORN_OK;
  return norn_fail(st, NORN_ETYPE, i, "%s bound of flat must be a number, got %s", i ? "upper" :
                   "lower",
                   norn_describe(st, d->args[i], what, sizeof what));
}

static norn_status flat_bounds(norn_state *st, const norn_dist *d, double *lower, double *upper)
{
  *lower = -HUGE_VAL;
  *upper = HUGE_VAL;
  norn_status status = flat_bound(st, d, 0, lower);
  return status ? status : flat_bound(st, d, 1, upper);
}

static norn_status flat_check(norn_state *st, const norn_dist *d)
{
  double lower, upper;
  norn_status status = flat_bounds(st, d, &lower, &upper);
  if (status || lower < upper) return status;
  return norn_fail(st, NORN_EDOMAIN, 1,
                   "upper bound of flat must be above the lower bound, got %g and %g", upper,
                       lower);
}

static norn_status flat_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double lower, upper, value;
  norn_status status = flat_bounds(st, d, &lower, &upper);
  if (!status) status = dist_value(st, d->row, x, &value);
  if (!status) *out = value >= lower && value <= upper ? 0 : -HUGE_VAL;
  return status;
}

static void flat_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  double lo, hi;
  if (flat_bounds(st, d, &lo, &hi)) norn_clear(st);
  norn_support_kind below = lo > -HUGE_VAL ? NORN_SUPPORT_LOWER : NORN_SUPPORT_REAL;
  norn_support_kind above = lo > -HUGE_VAL ? NORN_SUPPORT_INTERVAL : NORN_SUPPORT_UPPER;
  *out = (norn_support){hi < HUGE_VAL ? above : below, lo, hi, 1, 1, -1, -1};
  if (lo > -HUGE_VAL) out->lower_leaf = dist_leaf(d, 0);
  if (hi < HUGE_VAL) out->upper_leaf = dist_leaf(d, 1);
}

/* The density is 1 wherever it is not 0. */
static norn_status flat_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                 double *gx, double *g)
{
  double value;
  (void)scale, (void)gx, (void)g;
  return dist_value(st, d->row, x, &value);
}

/* ---- flat_simplex(n) and others: 1 wherever a value of their kind lies ----------------------- */

typedef struct { norn_support_kind kind; bool matrix; double lower; } shape;
static const shape *shape_of(const norn_dist *d);

static norn_status shape_check(norn_state *st, const norn_dist *d)
{
  char what[120];
  norn_datum n = d->n ? d->args[0] : norn_none();
  if (n.tag == NORN_INT && n.i >= 1 && n.i < INT64_C(1) << 24) return NORN_OK;
  bool number = norn_as_real(n, &(double){0});
  return norn_fail(st, n.tag == NORN_INT ? NORN_EDOMAIN : NORN_ETYPE, 0,
                   "the size of %s must be an integer, 1 or more, got %s", d->row->name,
                   number ? norn_show(st, n, true, 40) : norn_describe(st, n, what, sizeof what));
}

static void shape_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  const shape *s = shape_of(d);
  (void)st;
  *out = (norn_support){s->kind, s->lower, HUGE_VAL, d->args[0].i, 1, -1, -1};
}

static norn_status shape_misfit(norn_state *st, const norn_dist *d, norn_datum x)
{
  char what[120];
  long long n = (long long)d->args[0].i;
  norn_describe(st, x, what, sizeof what);
  if (shape_of(d)->matrix)
    return norn_fail(st, NORN_ETYPE, -1, "a value of %s(%lld) must be a matrix of shape "
                     "(%lld, %lld), got %s", d->row->name, n, n, n, what);
  return norn_fail(st, NORN_ETYPE, -1, "a value of %s(%lld) must be an array of %lld numbers, "
                   "got %s", d->row->name, n, n, what);
}

static norn_status shape_fits(norn_state *st, const norn_dist *d, norn_datum x)
{
  norn_view v;
  int64_t n = d->args[0].i;
  bool fits = norn_array_view(x, &v) && (v.elem == NORN_F64 || v.elem == NORN_I64) &&
      v.rank == (shape_of(d)->matrix ? 2 : 1) && v.dims[0] == n && v.dims[v.rank - 1] == n;
  return fits ? NORN_OK : shape_misfit(st, d, x);
}

/* Inside is what can be mapped to R^n. */
static norn_status shape_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  norn_support s;
  void *data;
  norn_status status = shape_fits(st, d, x);
  if (status) return status;
  shape_support(st, d, &s);
  int64_t n = norn_support_elems(&s), room = n + norn_support_free(&s);
  norn_datum scratch = norn_array(st, NORN_F64, 1, &room, &data);
  if (norn_is_none(scratch)) return norn_error(st)->code;
  double *at = data;
  for (int64_t k = 0; k < n; k++) at[k] = norn_elem_real(x, k);
  *out = norn_support_unconstrain(&s, at, at + n) ? 0 : -HUGE_VAL;
  return NORN_OK;
}

static norn_status shape_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                  double *gx, double *g)
{
  (void)scale, (void)gx, (void)g;
  return shape_fits(st, d, x);
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define FLAT .flags = NORN_DIST_CONTINUOUS | NORN_DIST_IMPROPER
#define SHAPE(name_, what) {.name = name_, .params = "n", FLAT,                                    \
   .doc = "The improper density 1 on " what ".",                                                   \
   .check = shape_check, .logp = shape_logp, .partials = shape_partials, .support = shape_support}

static const norn_dist_row rows[] = {
  {.name = "flat", .params = "lower = missing, upper = missing", FLAT,
   .doc = "The improper density 1 on the reals, or between the bounds that are given.",
   .check = flat_check, .logp = flat_logp, .partials = flat_partials, .support = flat_support},
  SHAPE("flat_simplex", "arrays of n positive numbers of sum 1"),
  SHAPE("flat_ordered", "arrays of n rising numbers"),
  SHAPE("flat_positive_ordered", "arrays of n rising positive numbers"),
  SHAPE("flat_unit_vector", "arrays of n numbers whose squares sum to 1"),
  SHAPE("flat_sum_to_zero", "arrays of n numbers of sum 0"),
  SHAPE("flat_corr", "n by n correlation matrices"),
  SHAPE("flat_cov", "n by n covariance matrices"),
  SHAPE("flat_cholesky_corr", "Cholesky factors of n by n correlation matrices"),
  SHAPE("flat_cholesky_cov", "Cholesky factors of n by n covariance matrices"),
};

/* In the order of the rows after flat. */
static const shape shapes[] = {
  {NORN_SUPPORT_SIMPLEX, false, -HUGE_VAL}, {NORN_SUPPORT_ORDERED, false, -HUGE_VAL},
  {NORN_SUPPORT_POSITIVE_ORDERED, false, 0}, {NORN_SUPPORT_UNIT_VECTOR, false, -HUGE_VAL},
  {NORN_SUPPORT_SUM_TO_ZERO, false, -HUGE_VAL}, {NORN_SUPPORT_CORR, true, -HUGE_VAL},
  {NORN_SUPPORT_COV, true, -HUGE_VAL}, {NORN_SUPPORT_CHOLESKY_CORR, true, -HUGE_VAL},
  {NORN_SUPPORT_CHOLESKY_COV, true, -HUGE_VAL},
};

static const shape *shape_of(const norn_dist *d) { return &shapes[d->row - rows - 1]; }

const dist_shelf dist_improper = {rows, sizeof rows / sizeof rows[0]};
