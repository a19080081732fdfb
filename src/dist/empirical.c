/* empirical(xs, weights): the values of an array, each with its share of the weight: draws as a
   distribution.  A value that stands more than once has the sum.  For single numbers there are
   distribution function, quantiles and moments. */
#include "dist/dist.h"
#include "num/rng.h"
#include "num/special.h"
#include "num/stats.h"

/* How many values, and the sum of their weights; not weighted: each is 1. */
typedef struct { int64_t n; norn_datum weights; bool weighted; double sum; } sample;

static double weight(const sample *s, int64_t k)
{
  return s->weighted ? norn_elem_real(s->weights, k) : 1;
}

static void open_sample(const norn_dist *d, sample *s)
{
  stats_tree sum = {{0}};
  *s = (sample){norn_array_length(d->args[0]), d->args[1], norn_array_length(d->args[1]) >= 0, 0};
  for (int64_t k = 0; k < s->n; k++) stats_tree_add(&sum, k, weight(s, k));
  s->sum = stats_tree_sum(&sum);
}

static norn_status check_weights(norn_state *st, const norn_dist *d, int64_t n)
{
  char what[120];
  norn_view v;
  double sum = 0;
  if (d->n < 2 || d->args[1].tag == NORN_MISSING || d->args[1].tag == NORN_NONE) return NORN_OK;
  if (!norn_array_view(d->args[1], &v) || (v.elem != NORN_F64 && v.elem != NORN_I64) || v.rank != 1)
    return norn_fail(st, NORN_ETYPE, 1, "weights of empirical must be an array of numbers, got %s",
                     norn_describe(st, d->args[1], what, sizeof what));
  if (v.n != n)
    return norn_fail(st, NORN_ETYPE, 1, "empirical has %lld weights for %lld value%s",
                     (long long)v.n, (long long)n, n == 1 ? "" : "s");
  for (int64_t k = 0; k < n; k++) {
    double w = norn_elem_real(d->args[1], k);
    if (!(w >= 0 && w < HUGE_VAL))
      return norn_fail(st, NORN_EDOMAIN, 1, "weights of empirical must be finite and not negative, "
                       "got %g at element %lld", w, (long long)k);
    sum += w;
  }
  if (sum > 0 && sum < HUGE_VAL) return NORN_OK;
  return norn_fail(st, NORN_EDOMAIN, 1, "weights of empirical must have a positive, finite sum");
}

static norn_status empirical_check(norn_state *st, const norn_dist *d)
{
  char what[120];
  int64_t n = d->n ? norn_array_length(d->args[0]) : -1;
  if (n > 0) return check_weights(st, d, n);
  if (n == 0)
    return norn_fail(st, NORN_EDOMAIN, 0, "empirical needs at least one value, got an empty array");
  return norn_fail(st, NORN_ETYPE, 0, "empirical needs an array of values, got %s",
                   d->n ? norn_describe(st, d->args[0], what, sizeof what) : "nothing");
}

static norn_status empirical_sample(norn_state *st, const norn_dist *d, norn_rng *rng,
                                    norn_datum *out)
{
  sample s;
  open_sample(d, &s);
  int64_t at = 0;
  if (!s.weighted) {
    at = (int64_t)rng_below(rng, (uint64_t)s.n);
  } else {
    double u = rng_uniform(rng) * s.sum;
    for (int64_t k = 0; k < s.n; k++) {
      double w = weight(&s, k);
      if (w > 0) at = k;
      if (w > 0 && u < w) break;
      u -= w;
    }
  }
  *out = norn_array_at(st, d->args[0], at);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static norn_status empirical_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  sample s;
  double found = 0;
  open_sample(d, &s);
  for (int64_t k = 0; k < s.n; k++)
    if (norn_equal(norn_array_at(st, d->args[0], k), x)) found += weight(&s, k);
  *out = v_log(found) - v_log(s.sum);
  return NORN_OK;
}

static norn_status empirical_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  sample s;
  double below = 0;
  open_sample(d, &s);
  for (int64_t k = 0; k < s.n; k++)
    if (norn_compare(norn_array_at(st, d->args[0], k), x) <= 0) below += weight(&s, k);
  *out = fmin(below / s.sum, 1);
  return NORN_OK;
}

static norn_status not_numbers(norn_state *st, const char *what)
{
  return norn_fail(st, NORN_ETYPE, 0, "the %s of empirical needs an array of numbers", what);
}

static bool of_numbers(const norn_dist *d)
{
  norn_view v;
  return norn_array_view(d->args[0], &v) && v.rank == 1 && v.elem != NORN_VALUES;
}

/* The smallest value up to which the share prob of the weight lies. */
static norn_status empirical_quantile(norn_state *st, const norn_dist *d, double prob,
                                      norn_datum *out)
{
  sample s;
  void *data;
  open_sample(d, &s);
  if (!of_numbers(d)) return not_numbers(st, "quantile");
  norn_datum scratch = norn_array(st, NORN_F64, 2, (const int64_t[]){3, s.n}, &data);
  if (norn_is_none(scratch)) return norn_error(st)->code;
  double *x = data;
  int64_t *order = (int64_t *)(void *)(x + s.n);
  for (int64_t k = 0; k < s.n; k++) x[k] = norn_elem_real(d->args[0], k);
  stats_order(x, order, order + s.n, s.n);
  double upto = 0;
  int64_t at = order[0];
  for (int64_t k = 0; k < s.n; k++) {
    double w = weight(&s, order[k]);
    if (w > 0) at = order[k];
    upto += w;
    if (w > 0 && upto >= prob * s.sum * (1 - 1e-15)) break;
  }
  *out = norn_array_at(st, d->args[0], at);
  return NORN_OK;
}

static norn_status empirical_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                     norn_datum *variance)
{
  sample s;
  stats_tree m = {{0}}, v = {{0}};
  open_sample(d, &s);
  if (!of_numbers(d)) return not_numbers(st, "mean and variance");
  for (int64_t k = 0; k < s.n; k++)
    stats_tree_add(&m, k, weight(&s, k) / s.sum * norn_elem_real(d->args[0], k));
  double centre = stats_tree_sum(&m);
  for (int64_t k = 0; k < s.n; k++) {
    double off = norn_elem_real(d->args[0], k) - centre;
    stats_tree_add(&v, k, weight(&s, k) / s.sum * off * off);
  }
  *mean = norn_real(centre);
  *variance = norn_real(stats_tree_sum(&v));
  return NORN_OK;
}

static norn_datum weights_of(const norn_dist *d)
{
  return norn_array_length(d->args[1]) >= 0 ? d->args[1] : norn_none();
}

/* Different values of positive weight, in order of their first place. */
static norn_status empirical_enumerate(norn_state *st, const norn_dist *d, int64_t k,
                                       norn_datum *out)
{
  int64_t count, i = dist_distinct(st, d->args[0], weights_of(d), k, &count);
  *out = norn_none();
  if (i < 0) return count < 0 ? norn_error(st)->code : NORN_OK;
  *out = norn_array_at(st, d->args[0], i);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static int64_t empirical_count(norn_state *st, const norn_dist *d)
{
  int64_t count;
  dist_distinct(st, d->args[0], weights_of(d), INT64_MAX, &count);
  return count;
}

static void empirical_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st, (void)d;
  *out = (norn_support){NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
}

static const norn_dist_row rows[] = {
  {.name = "empirical", .params = "xs, weights = missing",
   .flags = NORN_DIST_DISCRETE | NORN_DIST_FINITE,
   .doc = "A value of the array xs, by weight: draws as a distribution.\n"
          "Without weights all places are equally likely.",
   .check = empirical_check, .sample = empirical_sample, .logp = empirical_logp,
   .cdf = empirical_cdf, .quantile = empirical_quantile, .moments = empirical_moments,
   .support = empirical_support, .enumerate = empirical_enumerate, .count = empirical_count},
};

const dist_shelf dist_empirical = {rows, sizeof rows / sizeof rows[0]};
