/* finite: distributions on values given as data: uniform_of, delta. */
#include "dist/dist.h"
#include "num/vmath.h"
#include "num/rng.h"

/* ---- uniform_of(xs): an element of an array -------------------------------------------------- */

static norn_status uniform_of_check(norn_state *st, const norn_dist *d)
{
  char what[120];
  int64_t n = d->n ? norn_array_length(d->args[0]) : -1;
  if (n > 0) return NORN_OK;
  if (n == 0) return norn_fail(st, NORN_EDOMAIN, 0,
                               "uniform_of needs at least one value, got an empty array");
  return norn_fail(st, NORN_ETYPE, 0, "uniform_of needs an array of values, got %s",
                   d->n ? norn_describe(st, d->args[0], what, sizeof what) : "nothing");
}

static norn_status uniform_of_sample(norn_state *st, const norn_dist *d, norn_rng *g,
                                     norn_datum *out)
{
  uint64_t k = rng_below(g, (uint64_t)norn_array_length(d->args[0]));
  *out = norn_array_at(st, d->args[0], (int64_t)k);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

/* log of how many elements equal x, over their number */
static norn_status uniform_of_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  int64_t n = norn_array_length(d->args[0]), found = 0;
  for (int64_t i = 0; i < n; i++) found += norn_equal(norn_array_at(st, d->args[0], i), x);
  *out = v_log((double)found) - v_log((double)n);
  return NORN_OK;
}

/* Different values in order of their first place, by a table of the values met so far (open
   addressing, a power of two of slots, twice as many as elements, index + 1 in each).  Gives the
   place of the k-th, or -1 with the number of different ones in *count.  Values of weight 0 do not
   count. */
int64_t dist_distinct(norn_state *st, norn_datum xs, norn_datum weights, int64_t k,
                      int64_t *count)
{
  int64_t n = norn_array_length(xs), slots = 2, seen = 0;
  void *data;
  while (slots < 2 * n) slots *= 2;
  norn_datum table = norn_array(st, NORN_I64, 1, &slots, &data);
  *count = -1;
  if (norn_is_none(table)) return -1;
  int64_t *slot = data;
  memset(slot, 0, (size_t)slots * sizeof *slot);
  for (int64_t i = 0; i < n; i++) {
    if (norn_elem_real(weights, i) == 0) continue;
    norn_datum x = norn_array_at(st, xs, i);
    uint64_t at = norn_hash(x) & (uint64_t)(slots - 1);
    while (slot[at] && !norn_equal(norn_array_at(st, xs, slot[at] - 1),
                                   x)) at = (at + 1) & (uint64_t)(slots - 1);
    if (slot[at]) continue;
    slot[at] = i + 1;
    if (seen++ == k) return i;
  }
  *count = seen;
  return -1;
}

static norn_status uniform_of_enumerate(norn_state *st, const norn_dist *d, int64_t k,
                                        norn_datum *out)
{
  int64_t count, i = k == 0 ? 0 : dist_distinct(st, d->args[0], norn_none(), k, &count);
  *out = norn_none();
  if (i < 0) return count < 0 ? norn_error(st)->code : NORN_OK;
  *out = norn_array_at(st, d->args[0], i);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static int64_t uniform_of_count(norn_state *st, const norn_dist *d)
{
  int64_t count;
  dist_distinct(st, d->args[0], norn_none(), INT64_MAX, &count);
  return count;
}

/* ---- delta(x): always x ---------------------------------------------------------------------- */

static norn_status delta_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  (void)st;
  (void)g;
  *out = d->args[0];
  return NORN_OK;
}

static norn_status delta_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  (void)st;
  *out = norn_equal(d->args[0], x) ? 0 : -HUGE_VAL;
  return NORN_OK;
}

static norn_status delta_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  (void)st;
  *out = k == 0 ? d->args[0] : norn_none();
  return NORN_OK;
}

static norn_status delta_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                 norn_datum *variance)
{
  double x;
  if (!norn_as_real(d->args[0], &x))
    return norn_fail(st, NORN_ETYPE, 0, "delta of this value has no mean");
  *mean = norn_real(x);
  *variance = norn_real(0);
  return NORN_OK;
}

/* Of a number: a step at it. */
static norn_status delta_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double at, value;
  if (!norn_as_real(d->args[0], &at))
    return norn_fail(st, NORN_ETYPE, 0, "delta of this value has no distribution function");
  if (!norn_as_real(x, &value)) return dist_value(st, d->row, x, &value);
  *out = value >= at;
  return NORN_OK;
}

static norn_status delta_quantile(norn_state *st, const norn_dist *d, double prob, norn_datum *out)
{
  double at;
  (void)prob;
  if (!norn_as_real(d->args[0], &at))
    return norn_fail(st, NORN_ETYPE, 0, "delta of this value has no quantiles");
  *out = d->args[0];
  return NORN_OK;
}

static void delta_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  double at = 0;
  (void)st;
  *out = (norn_support){NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
  if (d->args[0].tag != NORN_INT || !norn_as_real(d->args[0], &at)) return;
  *out = (norn_support){NORN_SUPPORT_INTEGER, at, at, 1, 1, -1, -1};
}

static int64_t one(norn_state *st, const norn_dist *d)
{
  (void)st;
  (void)d;
  return 1;
}

static void anything(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  (void)d;
  *out = (norn_support){NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define FINITE .flags = NORN_DIST_DISCRETE | NORN_DIST_FINITE

static const norn_dist_row rows[] = {
  {.name = "uniform_of", .params = "xs", FINITE,
   .doc = "An element of the array xs, each place equally likely.\n"
          "A value that stands twice is twice as likely.",
   .check = uniform_of_check, .sample = uniform_of_sample, .logp = uniform_of_logp,
   .support = anything, .enumerate = uniform_of_enumerate,
   .count = uniform_of_count},
  {.name = "delta", .params = "x", FINITE,
   .doc = "Always x, a value of any kind.",
   .sample = delta_sample, .logp = delta_logp, .cdf = delta_cdf, .quantile = delta_quantile,
   .support = delta_support, .enumerate = delta_enumerate,
   .moments = delta_moments,
   .count = one},
};

const dist_shelf dist_finites = {rows, sizeof rows / sizeof rows[0]};
