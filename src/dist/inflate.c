/* zero_inflated(p, d): 0 with probability p, otherwise a draw of the counts d.

   P(0) = p + (1 - p) f(0), P(k) = (1 - p) f(k).  Arrays of p or of parameters make a product. */
#include "dist/line.h"
#include "num/rng.h"
#include "num/special.h"
#include "num/stats.h"
#include <stdio.h>

static norn_status open_lines(norn_state *st, const norn_dist *d, lines *e)
{
  static const lines_own own = {"probability of a zero", 0, (double)NAN};
  norn_dist base;
  if (d->n > 1 && norn_dist_view(d->args[1], &base)) {
    unsigned flags = norn_dist_flags(&base);
    if (!(flags & NORN_DIST_DISCRETE) || (flags & NORN_DIST_BOOL))
      return norn_fail(st, NORN_ETYPE, 1, "zero_inflated needs a distribution of counts, got %s",
                       base.row->name);
  }
  return lines_open(st, d, 1, &own, 1, e);
}

/* Of single numbers. */
static norn_status open_one(norn_state *st, const norn_dist *d, lines *e, line *l, double *p)
{
  double own[2];
  norn_status status = open_lines(st, d, e);
  if (!status && e->rank > 0)
    status = norn_fail(st, NORN_ETYPE, 0, "this needs zero_inflated of single numbers, not of "
                       "arrays");
  if (status) return status;
  lines_at(e, 0, l, own);
  *p = own[0];
  return NORN_OK;
}

static norn_status inflated_check(norn_state *st, const norn_dist *d)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  for (int64_t k = 0; !status && k < e.n; k++) {
    line l;
    double own[2];
    char at[40] = "";
    lines_at(&e, k, &l, own);
    if (e.own_array[0]) snprintf(at, sizeof at, " at element %lld", (long long)k);
    if (!(own[0] >= 0 && own[0] <= 1))
      status = norn_fail(st, NORN_EDOMAIN, 0,
                         "probability of a zero of zero_inflated must be between 0 and 1, got %s%s",
                         norn_show(st, norn_real(own[0]), true, 40), at);
  }
  return status;
}

/* log P(x) of an element; *base: log f(x). */
static norn_status element_logp(norn_state *st, const line *l, double p, double x, double *base,
                                double *out)
{
  norn_status status = line_logp(st, l, x, base);
  double rest = log1p(-p) + *base;
  *out = x == 0 ? special_logaddexp(v_log(p), rest) : rest;
  return status;
}

static norn_status inflated_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  lines e;
  norn_view v;
  stats_tree sum = {{0}};
  norn_status status = open_lines(st, d, &e);
  if (!status) status = lines_shape(st, d, &e, x, &v);
  for (int64_t k = 0; !status && k < e.n; k++) {
    line l;
    double own[2], value, base, logp = 0;
    lines_at(&e, k, &l, own);
    status = line_value(st, &l, e.rank ? dist_view_at(&v, k) : x, &value);
    if (!status) status = element_logp(st, &l, own[0], value, &base, &logp);
    stats_tree_add(&sum, k, logp);
  }
  *out = stats_tree_sum(&sum);
  return status;
}

/* At 0: d/dp = (1 - f) / P, and the base's derivatives by the share (1 - p) f / P.  Elsewhere
   d/dp = -1 / (1 - p). */
static norn_status inflated_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                     double *gx, double *g)
{
  lines e;
  norn_view v;
  norn_status status = open_lines(st, d, &e);
  (void)gx;   /* whole numbers */
  if (!status) status = lines_shape(st, d, &e, x, &v);
  for (int64_t k = 0; !status && g && k < e.n; k++) {
    line l;
    lines_sums sums;
    double own[2], value, base, logp, *gbase = lines_sum(&e, g, &sums);
    lines_at(&e, k, &l, own);
    status = line_value(st, &l, e.rank ? dist_view_at(&v, k) : x, &value);
    if (!status) status = element_logp(st, &l, own[0], value, &base, &logp);
    if (status) break;
    double share = value == 0 ? exp(log1p(-own[0]) + base - logp) : 1;
    sums.own[0] = scale * (value == 0 ? exp(-logp) - exp(base - logp) : -1 / (1 - own[0]));
    if (share > 0) status = line_partials(st, &l, value, scale * share, NULL, gbase);
    lines_scatter(&e, k, &sums, g);
  }
  return status;
}

static norn_status draw_one(norn_state *st, const line *l, const double own[2], void *with,
                            double *out)
{
  *out = 0;
  return rng_uniform(with) < own[0] ? NORN_OK : line_draw(st, l, with, out);
}

static norn_status inflated_sample(norn_state *st, const norn_dist *d, norn_rng *rng,
                                   norn_datum *out)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  return status ? status : lines_map(st, &e, draw_one, rng, false, out);
}

static norn_status inflated_mass(norn_state *st, const norn_dist *d, double a, double b,
                                 double *out, double scale, double *g)
{
  lines e;
  line l;
  double p, mass;
  norn_status status = open_one(st, d, &e, &l, &p);
  if (!status) status = line_mass(st, &l, a, b, &mass, 0, NULL);
  if (status) return status;
  bool zero = a < 0 && b >= 0;
  double rest = log1p(-p) + mass;
  *out = zero ? special_logaddexp(v_log(p), rest) : rest;
  if (!g || *out == -HUGE_VAL) return NORN_OK;
  lines_sums sums;
  double *base = lines_sum(&e, g, &sums), share = exp(rest - *out);
  sums.own[0] = scale * ((zero ? exp(-*out) : 0) - exp(mass - *out));
  if (share > 0) status = line_mass(st, &l, a, b, &mass, scale * share, base);
  lines_scatter(&e, 0, &sums, g);
  return status;
}

static norn_status inflated_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  lines e;
  line l;
  double p, value, mass;
  norn_status status = open_one(st, d, &e, &l, &p);
  if (status) return status;
  if (!norn_as_real(x, &value) || isnan(value)) return line_value(st, &l, x, &value);
  status = inflated_mass(st, d, -HUGE_VAL, value, &mass, 0, NULL);
  *out = fmin(exp(mass), 1);
  return status;
}

/* Of d, at the part of the probability that lies before or after the atom. */
static norn_status quantile_one(norn_state *st, const line *l, const double own[2], void *with,
                                double *out)
{
  cut c;
  double prob = *(const double *)with, p = own[0], before, upto, rest;
  norn_status status = cut_open(st, l, -HUGE_VAL, HUGE_VAL, &c);
  if (!status) status = line_tails(st, l, -1, &before, &rest);
  if (!status) status = line_tails(st, l, 0, &upto, &rest);
  *out = 0;
  if (status) return status;
  double low = (1 - p) * exp(before), high = p + (1 - p) * exp(upto);
  if (prob > low && prob <= high) return NORN_OK;
  double lv = log1p(-prob) - log1p(-p);
  if (prob <= low) return cut_quantile(st, &c, log(prob) - log1p(-p), 0, 0, out);
  return cut_quantile(st, &c, log((prob - p) / (1 - p)), lv, 1, out);
}

static norn_status inflated_quantile(norn_state *st, const norn_dist *d, double prob,
                                     norn_datum *out)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  return status ? status : lines_map(st, &e, quantile_one, &prob, false, out);
}

/* (1 - p) m and (1 - p)(v + p m^2) */
static norn_status moment_one(norn_state *st, const line *l, const double own[2], void *with,
                              double *out)
{
  double m = (double)NAN, v = (double)NAN, p = own[0];
  norn_datum mean, variance;
  norn_status status = NORN_OK;
  if (l->plain) {
    l->d.row->moments1(l->p, &m, &v);
  } else if (!(status = dist_moments(st, &l->d, &mean, &variance))) {
    norn_as_real(mean, &m);
    norn_as_real(variance, &v);
  }
  *out = *(const int *)with ? (1 - p) * (v + p * m * m) : (1 - p) * m;
  return status;
}

static norn_status inflated_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                    norn_datum *variance)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  if (!status) status = lines_map(st, &e, moment_one, &(int){0}, true, mean);
  return status ? status : lines_map(st, &e, moment_one, &(int){1}, true, variance);
}

static void inflated_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  lines e;
  *out = (norn_support){NORN_SUPPORT_INTEGER, 0, HUGE_VAL, 1, 1, -1, -1};
  if (open_lines(st, d, &e)) { norn_clear(st); return; }
  norn_dist_support(st, &e.base, out);
  out->lower = fmin(out->lower, 0);
  out->upper = fmax(out->upper, 0);
  out->count = e.n;
  out->lower_leaf = out->upper_leaf = -1;
}

/* ---- values that can be listed: those of d, after 0 if that is none of them ------------------ */

static norn_status lacks_zero(norn_state *st, const norn_dist *d, norn_dist *base, bool *lacks)
{
  lines e;
  line l;
  double p, logp;
  norn_status status = open_one(st, d, &e, &l, &p);
  if (!status) status = line_logp(st, &l, 0, &logp);
  if (status) return status;
  *lacks = logp == -HUGE_VAL && p > 0;
  *base = e.base;
  return NORN_OK;
}

static norn_status inflated_enumerate(norn_state *st, const norn_dist *d, int64_t k,
                                      norn_datum *out)
{
  norn_dist base;
  bool lacks;
  *out = norn_none();
  norn_status status = lacks_zero(st, d, &base, &lacks);
  if (status) return status;
  *out = norn_int(0);
  return lacks && k == 0 ? NORN_OK : norn_dist_enumerate(st, &base, k - lacks, out);
}

static int64_t inflated_count(norn_state *st, const norn_dist *d)
{
  norn_dist base;
  bool lacks;
  if (lacks_zero(st, d, &base, &lacks)) { norn_clear(st); return -1; }
  int64_t count = norn_dist_count(st, &base);
  return count < 0 ? -1 : count + lacks;
}

static unsigned inflated_flags(const norn_dist *d)
{
  norn_dist base;
  if (d->n < 2 || !norn_dist_view(d->args[1], &base)) return 0;
  return norn_dist_flags(&base) & ~(unsigned)NORN_DIST_SCALAR;
}

static norn_status inflated_part(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  return status ? status : lines_part(st, d, &e, k, out);
}

static const norn_dist_row rows[] = {
  {.name = "zero_inflated", .params = "p, d",
   .doc = "0 with probability p, otherwise a draw of the counts d.\n"
          "P(0) = p + (1 - p) f(0), P(k) = (1 - p) f(k).",
   .check = inflated_check, .sample = inflated_sample, .logp = inflated_logp,
   .partials = inflated_partials, .cdf = inflated_cdf, .quantile = inflated_quantile,
   .mass = inflated_mass, .moments = inflated_moments, .support = inflated_support,
   .enumerate = inflated_enumerate, .count = inflated_count, .part = inflated_part,
   .flags_of = inflated_flags},
};

const dist_shelf dist_inflated = {rows, sizeof rows / sizeof rows[0]};
