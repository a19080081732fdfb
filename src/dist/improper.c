/* improper: densities without a normaliser, as priors: flat.  They score 0 inside their bounds and
   can't be sampled; an engine refuses the evidence of a program that uses one. */
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

static const norn_dist_row rows[] = {
  {.name = "flat", .params = "lower = missing, upper = missing",
   .flags = NORN_DIST_CONTINUOUS | NORN_DIST_IMPROPER,
   .doc = "The improper density 1 on the reals, or between the bounds that are given.",
   .check = flat_check,
   .logp = flat_logp, .partials = flat_partials, .support = flat_support},
};

const dist_shelf dist_improper = {rows, sizeof rows / sizeof rows[0]};
