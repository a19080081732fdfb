/* ordered(iid(d, n)): n independent draws of d in rising order.

   Each order of n different numbers is as likely, so the density of the sorted ones is
   n! f(x[0]) ... f(x[n-1]) where x rises and 0 elsewhere. */
#include "dist/dist.h"
#include "num/special.h"
#include "num/stats.h"
#include <string.h>

/* The iid, and how many it draws. */
static norn_status open_iid(norn_state *st, const norn_dist *d, norn_dist *iid, int64_t *n)
{
  char what[120];
  bool is = d->n && norn_dist_view(d->args[0], iid);
  if (!is || strcmp(iid->row->name, "iid") || iid->n < 2)
    return norn_fail(st, NORN_ETYPE, 0, "ordered takes iid(d, n), got %s",
                     is ? iid->row->name :
                     d->n ? norn_describe(st, d->args[0], what, sizeof what) : "nothing");
  *n = iid->args[1].i;
  return NORN_OK;
}

static norn_status ordered_check(norn_state *st, const norn_dist *d)
{
  norn_dist iid, base;
  norn_support s;
  int64_t n;
  norn_status status = open_iid(st, d, &iid, &n);
  if (status) return status;
  norn_dist_view(iid.args[0], &base);
  norn_dist_support(st, &base, &s);
  if (norn_dist_flags(&base) & NORN_DIST_DISCRETE || s.kind > NORN_SUPPORT_INTERVAL ||
      s.size * s.count != 1)
    return norn_fail(st, NORN_ETYPE, 0,
                     "ordered needs draws of single continuous numbers, got iid of %s",
                     base.row->name);
  return NORN_OK;
}

static norn_status ordered_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  norn_dist iid;
  int64_t n;
  norn_status status = open_iid(st, d, &iid, &n);
  if (!status) status = norn_dist_logp(st, &iid, x, out);
  if (status) return status;
  *out += special_lfact((double)n);
  for (int64_t k = 1; k < n; k++)
    if (!(norn_elem_real(x, k) >= norn_elem_real(x, k - 1))) *out = -HUGE_VAL;
  return NORN_OK;
}

static norn_status ordered_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                    double *gx, double *g)
{
  norn_dist iid;
  int64_t n;
  norn_status status = open_iid(st, d, &iid, &n);
  return status ? status : norn_dist_partials(st, &iid, x, scale, gx, g);
}

static norn_status ordered_sample(norn_state *st, const norn_dist *d, norn_rng *rng,
                                  norn_datum *out)
{
  norn_dist iid;
  int64_t n;
  void *data;
  norn_datum x = norn_none();
  norn_status status = open_iid(st, d, &iid, &n);
  if (!status) status = norn_dist_sample(st, &iid, rng, &x);
  if (status) return status;
  norn_datum a = norn_array(st, NORN_F64, 1, &n, &data);
  if (norn_is_none(a)) return norn_error(st)->code;
  for (int64_t k = 0; k < n; k++) ((double *)data)[k] = norn_elem_real(x, k);
  stats_sort(data, n);
  *out = a;
  return NORN_OK;
}

/* A vector in order, within the bounds of one draw. */
static void ordered_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  norn_dist iid, base;
  int64_t n;
  *out = (norn_support){NORN_SUPPORT_ORDERED, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
  if (open_iid(st, d, &iid, &n)) { norn_clear(st); return; }
  norn_dist_view(iid.args[0], &base);
  norn_dist_support(st, &base, out);
  out->kind = NORN_SUPPORT_ORDERED;
  out->size = n;
}

static norn_status ordered_bounds(norn_state *st, const norn_dist *d, double *lower, double *upper,
                                  const double *glower, const double *gupper, double *g)
{
  norn_dist iid, base;
  int64_t n;
  norn_status status = open_iid(st, d, &iid, &n);
  if (status) return status;
  norn_dist_view(iid.args[0], &base);
  if (lower) status = norn_dist_bounds(st, &base, lower, upper);
  return status || !g ? status : norn_dist_bounds_adjoint(st, &base, glower, gupper, g);
}

static unsigned ordered_flags(const norn_dist *d)
{
  norn_dist iid;
  if (!d->n || !norn_dist_view(d->args[0], &iid)) return 0;
  return norn_dist_flags(&iid);
}

static const norn_dist_row rows[] = {
  {.name = "ordered", .params = "d",
   .doc = "The draws of d, which is iid(d, n), in rising order.\n"
          "Density n! times the product of theirs where x rises.",
   .check = ordered_check, .sample = ordered_sample, .logp = ordered_logp,
   .partials = ordered_partials, .support = ordered_support, .bounds = ordered_bounds,
   .flags_of = ordered_flags},
};

const dist_shelf dist_ordered = {rows, sizeof rows / sizeof rows[0]};
