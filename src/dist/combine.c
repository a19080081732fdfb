/* combine: distributions made of distributions: truncate, mixture, iid.  What they can do follows
   from what they combine; their flags do too (dist_flags). */
#include "dist/dist.h"
#include "num/special.h"
#include "num/stats.h"
#include "num/rng.h"

static norn_status want_dist(norn_state *st, const norn_dist *d, int i, norn_dist *base)
{
  char what[120], name[40];
  if (i < d->n && norn_dist_view(d->args[i], base)) return NORN_OK;
  return norn_fail(st, NORN_ETYPE, i, "%s of %s must be a distribution, got %s",
                   dist_param_name(d->row, i, name, sizeof name), d->row->name,
                   i < d->n ? norn_describe(st, d->args[i], what, sizeof what) : "nothing");
}

/* ---- truncate(d, lower, upper): d given that lower <= x <= upper ----------------------------- */

/* Log masses: `below` of the values under the lower bound, `above` of those over the upper one, and
   what is left.  A cut in one tail is computed in that tail, so that no 1 - (1 - tiny) occurs. */
typedef struct {
  norn_dist base;
  double p[NORN_DIST_P];
  double lower, upper;
  double below, not_below, above, not_above, mass;
  bool discrete, in_upper_tail;
} cut;

static double log_between(const cut *c)
{
  if (c->in_upper_tail) return special_logsubexp(c->not_below, c->above);
  if (c->not_above < -V_LOG_2) return special_logsubexp(c->not_above, c->below);
  return log1p(-(exp(c->below) + exp(c->above)));
}

static norn_status cut_bound(norn_state *st, const norn_dist *d, int i, double *bound)
{
  char what[120];
  if (i >= d->n || d->args[i].tag == NORN_NONE || d->args[i].tag == NORN_MISSING) return NORN_OK;
  if (norn_as_real(d->args[i], bound) && *bound == *bound) return NORN_OK;
  return norn_fail(st, NORN_ETYPE, i, "%s bound of truncate must be a number, got %s",
                   i == 1 ? "lower" : "upper",
                   norn_describe(st, d->args[i], what, sizeof what));
}

static void cut_masses(cut *c)
{
  c->below = c->above = -HUGE_VAL;
  c->not_below = c->not_above = 0;
  if (c->discrete) {
    c->lower = ceil(c->lower);
    c->upper = floor(c->upper);
  }
  double under = c->discrete ? c->lower - 1 : c->lower;
  if (c->lower > -HUGE_VAL) dist_tails(c->base.row, under, c->p, &c->below, &c->not_below);
  if (c->upper < HUGE_VAL) dist_tails(c->base.row, c->upper, c->p, &c->not_above, &c->above);
  c->in_upper_tail = c->not_below < c->below;
  c->mass = log_between(c);
}

static norn_status cut_open(norn_state *st, const norn_dist *d, cut *c)
{
  norn_status status = want_dist(st, d, 0, &c->base);
  if (status) return status;
  const norn_dist_row *row = c->base.row;
  if (!(row->flags & NORN_DIST_SCALAR) || !row->cdf1 || c->base.n > NORN_DIST_P)
    return norn_fail(st, NORN_ETYPE, 0,
                     "truncate needs a family of numbers with a distribution function, got %s",
                     row->name);
  if (!dist_scalars(&c->base, c->p))
    return norn_fail(st, NORN_ETYPE, 0,
                     "truncate needs single numbers, but this %s has arrays as parameters",
                     row->name);
  c->lower = -HUGE_VAL;
  c->upper = HUGE_VAL;
  c->discrete = row->flags & NORN_DIST_DISCRETE;
  if ((status = cut_bound(st, d, 1, &c->lower))) return status;
  if ((status = cut_bound(st, d, 2, &c->upper))) return status;
  cut_masses(c);
  return NORN_OK;
}

static norn_status truncate_check(norn_state *st, const norn_dist *d)
{
  cut c;
  norn_status status = cut_open(st, d, &c);
  if (status) return status;
  if (c.discrete ? c.lower > c.upper : c.lower >= c.upper)
    return norn_fail(st, NORN_EDOMAIN, d->n > 2 ? 2 : 1,
                     "truncate leaves nothing between %g and %g", c.lower, c.upper);
  if (!(c.mass > -HUGE_VAL))
    return norn_fail(st, NORN_EDOMAIN, 0, "%s has no mass between %g and %g", c.base.row->name,
                     c.lower, c.upper);
  return NORN_OK;
}

static norn_status truncate_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  cut c;
  double value;
  norn_status status = cut_open(st, d, &c);
  if (!status) status = dist_value(st, c.base.row, x, &value);
  if (status) return status;
  *out = value >= c.lower && value <= c.upper ? c.base.row->logp1(value, c.p) - c.mass : -HUGE_VAL;
  return NORN_OK;
}

/* The point with the part u of the mass to its left. */
static double cut_quantile(const cut *c, double u)
{
  double lo = c->lower, hi = c->upper, side_lo = -HUGE_VAL, side_hi = HUGE_VAL;
  if (c->base.row->range1) c->base.row->range1(c->p, &side_lo, &side_hi);
  lo = fmax(lo, side_lo);
  hi = fmin(hi, side_hi);
  if (u <= 0 || u >= 1) return u <= 0 ? lo : hi;
  double target = c->in_upper_tail ? special_logaddexp(c->above, log1p(-u) + c->mass)
                                   : special_logaddexp(c->below, log(u) + c->mass);
  double start = lo > -HUGE_VAL ? (hi < HUGE_VAL ? lo + 0.5 * (hi - lo) : lo) :
      hi < HUGE_VAL ? hi : 0;
  const norn_dist_row *row = c->base.row;
  double x = c->discrete
    ? dist_search_tail(row, c->p, target, c->in_upper_tail, lo, hi, start)
    : dist_solve_tail(row, c->p, target, c->in_upper_tail, lo, hi, start);
  return fmin(fmax(x, lo), hi);
}

/* Enough mass: draw until inside; otherwise inversion in the tail. */
static double cut_draw(const cut *c, norn_rng *g)
{
  if (c->mass > -1.4)
    for (int i = 0; i < 1000; i++) {
      double x = c->base.row->sample1(c->p, g);
      if (x >= c->lower && x <= c->upper) return x;
    }
  return cut_quantile(c, rng_uniform(g));
}

static norn_status truncate_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  cut c;
  norn_status status = cut_open(st, d, &c);
  return status ? status : dist_datum(st, c.base.row, cut_draw(&c, g), out);
}

static norn_status truncate_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  cut c;
  double value;
  norn_status status = cut_open(st, d, &c);
  if (status) return status;
  if (!norn_as_real(x, &value)) return dist_value(st, c.base.row, x, &value);
  double mass = c.mass;
  if (value < c.lower || value >= c.upper) {
    *out = value < c.lower ? 0 : 1;
    return NORN_OK;
  }
  c.upper = value;
  cut_masses(&c);
  *out = exp(c.mass - mass);
  return NORN_OK;
}

static norn_status truncate_quantile(norn_state *st, const norn_dist *d, double prob,
                                     norn_datum *out)
{
  cut c;
  norn_status status = cut_open(st, d, &c);
  if (status) return status;
  double x = cut_quantile(&c, prob);
  if (!isfinite(x)) { *out = norn_real(x); return NORN_OK; }
  return dist_datum(st, c.base.row, x, out);
}

/* The values of a discrete family inside the bounds. */
static void cut_range(const cut *c, double *lower, double *upper)
{
  *lower = -HUGE_VAL;
  *upper = HUGE_VAL;
  if (c->base.row->range1) c->base.row->range1(c->p, lower, upper);
  *lower = fmax(*lower, c->lower);
  *upper = fmin(*upper, c->upper);
}

static void truncate_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  cut c;
  *out = (norn_support){NORN_SUPPORT_REAL, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
  if (cut_open(st, d, &c)) { norn_clear(st); return; }
  if (c.base.row->support) c.base.row->support(st, &c.base, out);
  cut_range(&c, &out->lower, &out->upper);
  if (c.discrete) return;
  bool below = out->lower > -HUGE_VAL, above = out->upper < HUGE_VAL;
  out->kind = below ? (above ? NORN_SUPPORT_INTERVAL : NORN_SUPPORT_LOWER)
                    : (above ? NORN_SUPPORT_UPPER : NORN_SUPPORT_REAL);
}

static norn_status truncate_enumerate(norn_state *st, const norn_dist *d, int64_t k,
                                      norn_datum *out)
{
  cut c;
  double lo, hi;
  norn_status status = cut_open(st, d, &c);
  *out = norn_none();
  if (status) return status;
  cut_range(&c, &lo, &hi);
  if (!c.discrete || lo == -HUGE_VAL)
    return norn_fail(st, NORN_EINFER, 0, "the values of a truncated %s can't be enumerated",
                     c.base.row->name);
  return lo + (double)k <= hi ? dist_datum(st, c.base.row, lo + (double)k, out) : NORN_OK;
}

static int64_t truncate_count(norn_state *st, const norn_dist *d)
{
  cut c;
  double lo, hi;
  if (cut_open(st, d, &c)) { norn_clear(st); return -1; }
  cut_range(&c, &lo, &hi);
  return c.discrete && hi - lo < 0x1p62 ? (int64_t)(hi - lo) + 1 : -1;
}

static unsigned truncate_flags(const norn_dist *d)
{
  norn_dist base;
  double lower = -HUGE_VAL, upper = HUGE_VAL;
  if (!d->n || !norn_dist_view(d->args[0], &base)) return 0;
  if (d->n > 1) norn_as_real(d->args[1], &lower);
  if (d->n > 2) norn_as_real(d->args[2], &upper);
  unsigned flags = base.row->flags & ~(unsigned)NORN_DIST_SCALAR;
  bool bounded = upper < HUGE_VAL && (lower > -HUGE_VAL || base.row->enumerate);
  return (flags & NORN_DIST_DISCRETE) && bounded ? flags | NORN_DIST_FINITE : flags;
}

/* ---- mixture(ws, ds): from ds[i] with probability ws[i] -------------------------------------- */

static bool component(norn_state *st, const norn_dist *d, int64_t i, double *w, norn_dist *base)
{
  *w = norn_elem_real(d->args[0], i);
  return norn_dist_view(norn_array_at(st, d->args[1], i), base);
}

static norn_status mixture_check(norn_state *st, const norn_dist *d)
{
  char what[120];
  int64_t n;
  double w;
  norn_dist base;
  norn_status status = dist_probabilities(st, d, 0, "weights of mixture", &n);
  if (status) return status;
  int64_t m = d->n > 1 ? norn_array_length(d->args[1]) : -1;
  if (m < 0)
    return norn_fail(st, NORN_ETYPE, 1, "mixture needs an array of distributions, got %s",
                     d->n > 1 ? norn_describe(st, d->args[1], what, sizeof what) : "nothing");
  if (m != n)
    return norn_fail(st, NORN_ETYPE, 1, "mixture has %lld weights for %lld distribution%s",
                     (long long)n, (long long)m, m == 1 ? "" : "s");
  for (int64_t i = 0; i < n; i++)
    if (!component(st, d, i, &w, &base))
      return norn_fail(st, NORN_ETYPE, 1, "mixture needs distributions, element %lld is %s",
                       (long long)i,
                       norn_describe(st, norn_array_at(st, d->args[1], i), what, sizeof what));
  return NORN_OK;
}

static norn_status mixture_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  int64_t n = norn_array_length(d->args[0]), last = 0;
  double u = rng_uniform(g), w;
  norn_dist base;
  for (int64_t i = 0; i < n; i++) {
    w = norn_elem_real(d->args[0], i);
    if (w > 0) last = i;
    if (w > 0 && u < w) break;
    u -= w;
  }
  component(st, d, last, &w, &base);
  return norn_dist_sample(st, &base, g, out);
}

static norn_status mixture_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  int64_t n = norn_array_length(d->args[0]);
  *out = -HUGE_VAL;
  for (int64_t i = 0; i < n; i++) {
    norn_dist base;
    double w, logp;
    if (!component(st, d, i, &w, &base) || w == 0) continue;
    norn_status status = norn_dist_logp(st, &base, x, &logp);
    if (status) return status;
    *out = special_logaddexp(*out, v_log(w) + logp);
  }
  return NORN_OK;
}

static norn_status mixture_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  int64_t n = norn_array_length(d->args[0]);
  *out = 0;
  for (int64_t i = 0; i < n; i++) {
    norn_dist base;
    double w, c;
    if (!component(st, d, i, &w, &base) || w == 0) continue;
    norn_status status = dist_cdf(st, &base, x, &c);
    if (status) return status;
    *out += w * c;
  }
  return NORN_OK;
}

/* sum w m and sum w (v + (m - mean)^2), for single numbers */
static norn_status mixture_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                   norn_datum *variance)
{
  int64_t n = norn_array_length(d->args[0]);
  double centre = 0, spread = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t i = 0; i < n; i++) {
      norn_dist base;
      norn_datum mi, vi;
      double w, m, v;
      if (!component(st, d, i, &w, &base) || w == 0) continue;
      norn_status status = dist_moments(st, &base, &mi, &vi);
      if (status) return status;
      if (!norn_as_real(mi, &m) || !norn_as_real(vi, &v))
        return norn_fail(st, NORN_ETYPE, 0,
                         "the mean and variance of a mixture of arrays are not known");
      if (pass == 0) centre += w * m;
      else spread += w * (v + (m - centre) * (m - centre));
    }
  }
  *mean = norn_real(centre);
  *variance = norn_real(spread);
  return NORN_OK;
}

static void mixture_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  int64_t n = norn_array_length(d->args[0]);
  bool first = true;
  *out = (norn_support){NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
  for (int64_t i = 0; i < n; i++) {
    norn_dist base;
    norn_support s;
    double w;
    if (!component(st, d, i, &w, &base) || w == 0) continue;
    norn_dist_support(st, &base, &s);
    if (first) { *out = s; first = false; continue; }
    out->lower = fmin(out->lower, s.lower);
    out->upper = fmax(out->upper, s.upper);
    bool line = s.kind <= NORN_SUPPORT_INTERVAL && out->kind <= NORN_SUPPORT_INTERVAL;
    if (line) {
      bool below = out->lower > -HUGE_VAL, above = out->upper < HUGE_VAL;
      out->kind = below ? (above ? NORN_SUPPORT_INTERVAL : NORN_SUPPORT_LOWER)
                        : (above ? NORN_SUPPORT_UPPER : NORN_SUPPORT_REAL);
    } else if (s.kind != out->kind) {
      out->kind = NORN_SUPPORT_ANY;
    }
  }
}

/* Whether an earlier component of positive weight has x too. */
static norn_status had_before(norn_state *st, const norn_dist *d, int64_t i, norn_datum x,
                              bool *had)
{
  *had = false;
  for (int64_t j = 0; j < i && !*had; j++) {
    norn_dist base;
    double w, logp;
    if (!component(st, d, j, &w, &base) || w == 0) continue;
    norn_status status = norn_dist_logp(st, &base, x, &logp);
    if (status) return status;
    *had = logp > -HUGE_VAL;
  }
  return NORN_OK;
}

/* Round r takes the r-th value of each component in turn; a value belongs to the first component
   that has it. */
static norn_status mixture_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  int64_t n = norn_array_length(d->args[0]), seen = 0;
  bool more = true;
  *out = norn_none();
  for (int64_t round = 0; more; round++) {
    more = false;
    for (int64_t i = 0; i < n; i++) {
      norn_dist base;
      norn_datum x;
      double w;
      bool had;
      norn_status status;
      if (!component(st, d, i, &w, &base) || w == 0) continue;
      if ((status = norn_dist_enumerate(st, &base, round, &x))) return status;
      if (norn_is_none(x)) continue;
      more = true;
      if ((status = had_before(st, d, i, x, &had))) return status;
      if (!had && seen++ == k) { *out = x; return NORN_OK; }
    }
  }
  return NORN_OK;
}

static int64_t mixture_count(norn_state *st, const norn_dist *d)
{
  int64_t n = norn_array_length(d->args[0]), count = 0;
  for (int64_t i = 0; i < n; i++) {
    norn_dist base;
    double w;
    if (!component(st, d, i, &w, &base) || w == 0) continue;
    int64_t m = norn_dist_count(st, &base);
    if (m < 0) return -1;
    for (int64_t k = 0; k < m; k++) {
      norn_datum x;
      bool had;
      if (norn_dist_enumerate(st, &base, k, &x) || had_before(st, d, i, x, &had)) {
        norn_clear(st);
        return -1;
      }
      count += !had;
    }
  }
  return count;
}

/* Only what all components of positive weight share. */
static unsigned mixture_flags(const norn_dist *d)
{
  int64_t n = d->n > 1 ? norn_array_length(d->args[1]) : 0;
  unsigned all = ~0u, any = 0;
  norn_view v;
  if (n < 1 || !norn_array_view(d->args[1], &v) || v.elem != NORN_VALUES) return 0;
  for (int64_t i = 0; i < n; i++) {
    norn_dist base;
    if (!norn_dist_view(v.v[i], &base)) return 0;
    all &= norn_dist_flags(&base);
    any |= norn_dist_flags(&base);
  }
  const unsigned some = NORN_DIST_IMPROPER | NORN_DIST_COSTLY;
  return (all & ~(unsigned)NORN_DIST_SCALAR & ~some) | (any & some);
}

/* ---- iid(d, n): an array of n independent draws of d ----------------------------------------- */

static norn_status iid_open(norn_state *st, const norn_dist *d, norn_dist *base, int64_t *n)
{
  char what[120];
  norn_status status = want_dist(st, d, 0, base);
  if (status) return status;
  if (d->n > 1 && d->args[1].tag == NORN_INT && d->args[1].i >= 0) {
    *n = d->args[1].i;
    return NORN_OK;
  }
  const char *got = d->n < 2 ? "nothing" :
                    norn_as_real(d->args[1], &(double){0}) ? norn_show(st, d->args[1], true, 40) :
                    norn_describe(st, d->args[1], what, sizeof what);
  bool negative = d->n > 1 && d->args[1].tag == NORN_INT;
  return norn_fail(st, negative ? NORN_EDOMAIN : NORN_ETYPE, 1,
                   "the number of repetitions of iid must be an integer, 0 or more, got %s", got);
}

static norn_status iid_check(norn_state *st, const norn_dist *d)
{
  norn_dist base;
  int64_t n;
  return iid_open(st, d, &base, &n);
}

/* Of a scalar family with single numbers: a product.  Anything else is packed afterwards. */
static norn_status iid_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  norn_dist base;
  int64_t n;
  dist_grid grid = {.rank = 1};
  void *data;
  norn_status status = iid_open(st, d, &base, &n);
  if (status) return status;
  if ((base.row->flags & NORN_DIST_SCALAR) && base.row->sample1 &&
      dist_scalars(&base, grid.number)) {
    grid.nargs = base.n;
    grid.n = grid.dims[0] = n;
    return dist_rows_sample(st, base.row, &grid, g, out);
  }
  norn_datum values = norn_array(st, NORN_VALUES, 1, &n, &data);
  if (norn_is_none(values)) return norn_error(st)->code;
  norn_datum *x = data;
  for (int64_t k = 0; k < n; k++) x[k] = norn_unit();
  for (int64_t k = 0; k < n; k++)
    if ((status = norn_dist_sample(st, &base, g, &x[k]))) return status;
  *out = norn_array_pack(st, x, n);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static norn_status iid_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  norn_dist base;
  int64_t n;
  double p[NORN_DIST_P];
  norn_view v;
  char what[120];
  norn_status status = iid_open(st, d, &base, &n);
  if (status) return status;
  if (norn_array_length(x) != n || !norn_array_view(x, &v))
    return norn_fail(st, NORN_ETYPE, -1,
                     "a value of iid(%s, %lld) must be an array of length %lld, got %s",
                     base.row->name, (long long)n, (long long)n, norn_describe(st, x, what,
                         sizeof what));
  const unsigned fast = NORN_DIST_SCALAR | NORN_DIST_CONTINUOUS;
  bool plain = (base.row->flags & fast) == fast && v.elem == NORN_F64 && v.rank == 1 &&
      dist_scalars(&base, p);
  stats_tree sum = {{0}};
  for (int64_t k = 0; k < n; k++) {
    double logp;
    if (plain && v.f[k] == v.f[k]) logp = base.row->logp1(v.f[k], p);
    else if ((status = norn_dist_logp(st, &base, norn_array_at(st, x, k), &logp))) return status;
    stats_tree_add(&sum, k, logp);
  }
  *out = stats_tree_sum(&sum);
  return NORN_OK;
}

static void iid_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  norn_dist base;
  int64_t n;
  *out = (norn_support){NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
  if (iid_open(st, d, &base, &n)) { norn_clear(st); return; }
  norn_dist_support(st, &base, out);
  out->count *= n;
}

/* All combinations, the last element changing fastest. */
static norn_status iid_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  norn_dist base;
  int64_t n;
  void *data;
  norn_status status = iid_open(st, d, &base, &n);
  *out = norn_none();
  if (status || k < 0) return status;
  int64_t count = norn_dist_count(st, &base);
  if (count < 0)
    return norn_fail(st, NORN_EINFER, 0, "the values of iid(%s, %lld) can't be enumerated",
                     base.row->name, (long long)n);
  norn_datum values = norn_array(st, NORN_VALUES, 1, &n, &data);
  if (norn_is_none(values)) return norn_error(st)->code;
  norn_datum *x = data;
  for (int64_t i = 0; i < n; i++) x[i] = norn_unit();
  for (int64_t i = n; i-- > 0 && count > 0; k /= count)
    if ((status = norn_dist_enumerate(st, &base, k % count, &x[i]))) return status;
  if (k > 0) return NORN_OK;
  *out = norn_array_pack(st, x, n);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static int64_t iid_count(norn_state *st, const norn_dist *d)
{
  norn_dist base;
  int64_t n, total = 1;
  if (iid_open(st, d, &base, &n)) { norn_clear(st); return -1; }
  int64_t count = norn_dist_count(st, &base);
  if (count < 0) return -1;
  if (count < 2) return n == 0 ? 1 : count;
  for (int64_t i = 0; i < n; i++)
    if (__builtin_mul_overflow(total, count, &total)) return -1;
  return total;
}

static unsigned iid_flags(const norn_dist *d)
{
  norn_dist base;
  if (!d->n || !norn_dist_view(d->args[0], &base)) return 0;
  return norn_dist_flags(&base) & ~(unsigned)(NORN_DIST_SCALAR | NORN_DIST_BOOL);
}

/* ---- the shelf ------------------------------------------------------------------------------- */

static const norn_dist_row rows[] = {
  {.name = "truncate", .params = "d, lower = missing, upper = missing",
   .doc = "The distribution d given that lower <= x <= upper, normalised.\n"
          "Needs a distribution of single numbers with a distribution function.",
   .check = truncate_check, .sample = truncate_sample, .logp = truncate_logp, .cdf = truncate_cdf,
   .quantile = truncate_quantile, .support = truncate_support, .enumerate = truncate_enumerate,
   .count = truncate_count, .flags_of = truncate_flags},
  {.name = "mixture", .params = "ws, ds",
   .doc = "A draw of ds[i] with probability ws[i]; the weights sum to 1.\n"
          "Density sum of ws[i] times the density of ds[i].",
   .check = mixture_check, .sample = mixture_sample, .logp = mixture_logp, .cdf = mixture_cdf,
   .support = mixture_support, .enumerate = mixture_enumerate, .moments = mixture_moments,
   .count = mixture_count, .flags_of = mixture_flags},
  {.name = "iid", .params = "d, n",
   .doc = "An array of n independent draws of d.",
   .check = iid_check, .sample = iid_sample, .logp = iid_logp, .support = iid_support,
   .enumerate = iid_enumerate,
   .count = iid_count, .flags_of = iid_flags},
};

const dist_shelf dist_combinators = {rows, sizeof rows / sizeof rows[0]};
