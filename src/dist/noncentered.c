/* noncentered(d): d itself, whose values an engine is asked to reach from location and scale,
   x = location + scale u, as Stan's <offset, multiplier>: then u does not know of their posterior
   (Papaspiliopoulos, Roberts and Skoeld 2007, "A general framework for the parametrization of
   hierarchical models").  All questions go to d. */
#include "dist/dist.h"
#include <string.h>

static bool inner(const norn_dist *d, norn_dist *base)
{
  return d->n && norn_dist_view(d->args[0], base);
}

static norn_status noncentered_check(norn_state *st, const norn_dist *d)
{
  norn_dist base;
  char what[120];
  if (!inner(d, &base))
    return norn_fail(st, NORN_ETYPE, 0, "d of noncentered must be a distribution, got %s",
                     d->n ? norn_describe(st, d->args[0], what, sizeof what) : "nothing");
  if (base.row->location_is && base.row->scale_is) return NORN_OK;
  norn_status status = norn_fail(st, NORN_ETYPE, 0,
                                 "noncentered needs a family with location and scale, got %s",
                                 base.row->name);
  norn_hint(st, "as normal(mu, sigma) or student_t(nu, mu, sigma)");
  return status;
}

static norn_status noncentered_sample(norn_state *st, const norn_dist *d, norn_rng *rng,
                                      norn_datum *out)
{
  norn_dist base;
  inner(d, &base);
  return norn_dist_sample(st, &base, rng, out);
}

static norn_status noncentered_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  norn_dist base;
  inner(d, &base);
  return norn_dist_logp(st, &base, x, out);
}

static norn_status noncentered_partials(norn_state *st, const norn_dist *d, norn_datum x,
                                        double scale, double *gx, double *g)
{
  norn_dist base;
  inner(d, &base);
  return norn_dist_partials(st, &base, x, scale, gx, g);
}

static norn_status noncentered_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  norn_dist base;
  inner(d, &base);
  return dist_cdf(st, &base, x, out);
}

static norn_status noncentered_quantile(norn_state *st, const norn_dist *d, double prob,
                                        norn_datum *out)
{
  norn_dist base;
  inner(d, &base);
  return dist_quantile(st, &base, prob, out);
}

static norn_status noncentered_mass(norn_state *st, const norn_dist *d, double a, double b,
                                    double *out, double scale, double *g)
{
  norn_dist base;
  inner(d, &base);
  return dist_mass(st, &base, a, b, out, scale, g);
}

static norn_status noncentered_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                       norn_datum *variance)
{
  norn_dist base;
  inner(d, &base);
  return dist_moments(st, &base, mean, variance);
}

static void noncentered_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  norn_dist base;
  inner(d, &base);
  norn_dist_support(st, &base, out);
}

static norn_status noncentered_part(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  norn_dist base;
  norn_datum part;
  inner(d, &base);
  norn_status status = norn_dist_part(st, &base, k, &part);
  *out = norn_none();
  if (status || norn_is_none(part)) return status;
  *out = norn_dist_new(st, d->row, &part, 1);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static unsigned noncentered_flags(const norn_dist *d)
{
  norn_dist base;
  return inner(d, &base) ? norn_dist_flags(&base) & ~(unsigned)NORN_DIST_SCALAR : 0;
}

static const norn_dist_row rows[] = {
  {.name = "noncentered", .params = "d",
   .doc = "The same distribution as d, a family with location and scale, in the coordinates\n"
          "(x - location) / scale for engines that use derivatives.",
   .check = noncentered_check, .sample = noncentered_sample, .logp = noncentered_logp,
   .partials = noncentered_partials, .cdf = noncentered_cdf, .quantile = noncentered_quantile,
   .mass = noncentered_mass, .moments = noncentered_moments, .support = noncentered_support,
   .part = noncentered_part, .flags_of = noncentered_flags},
};

const dist_shelf dist_noncentered = {rows, sizeof rows / sizeof rows[0]};

/* Where the parameter `is` (1 + its place) of unit k has its leaf. */
static int64_t parameter_leaf(const norn_dist *base, int is, int64_t k)
{
  return dist_leaf(base, is - 1) + (norn_array_length(base->args[is - 1]) >= 0 ? k : 0);
}

static int64_t units(const norn_dist *d)
{
  int64_t n = 1;
  norn_view v;
  for (int i = 0; i < d->n; i++)
    if (norn_array_view(d->args[i], &v)) n = v.n;
  return n;
}

/* Through iid and product by their parts. */
bool norn_dist_noncentered(norn_state *st, const norn_dist *d, int64_t k, int64_t *location,
                           int64_t *scale)
{
  norn_dist base, part;
  norn_datum v;
  norn_support s;
  if (d->row == &rows[0]) {
    if (!inner(d, &base) || k >= units(&base)) return false;
    *location = parameter_leaf(&base, base.row->location_is, k);
    *scale = parameter_leaf(&base, base.row->scale_is, k);
    return true;
  }
  if (d->row->flags & NORN_DIST_SCALAR) return false;
  if (d->n && !strcmp(d->row->name, "iid") && norn_dist_view(d->args[0], &base)) {
    norn_dist_support(st, &base, &s);   /* the same leaves again */
    return s.count > 0 && norn_dist_noncentered(st, &base, k % s.count, location, scale);
  }
  int64_t leaf = 0;
  for (int64_t i = 0; !norn_dist_part(st, d, i, &v) && norn_dist_view(v, &part); i++) {
    norn_dist_support(st, &part, &s);
    if (k < s.count) {
      if (!norn_dist_noncentered(st, &part, k, location, scale)) return false;
      *location += leaf;
      *scale += leaf;
      return true;
    }
    k -= s.count;
    leaf += norn_dist_leaves(&part);
  }
  return false;
}
