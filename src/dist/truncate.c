/* truncate(d, lower, upper): d given that lower <= x <= upper.

   Density f(x) / (F(upper) - F(lower-)); the normaliser, its derivatives by the parameters of d and
   by the bounds, and the quantiles are in line.c.  Arrays of parameters or bounds make a product of
   truncations, element by element. */
#include "dist/line.h"
#include "num/rng.h"
#include "num/special.h"
#include "num/stats.h"
#include <stdio.h>

static const lines_own bounds[] = {{"lower bound", 1, -HUGE_VAL}, {"upper bound", 2, HUGE_VAL}};

static norn_status open_lines(norn_state *st, const norn_dist *d, lines *e)
{
  return lines_open(st, d, 0, bounds, 2, e);
}

/* The cut of a truncation that has single numbers. */
static norn_status open_cut(norn_state *st, const norn_dist *d, cut *c, double own[2])
{
  lines e;
  line l;
  norn_status status = open_lines(st, d, &e);
  if (!status && e.rank > 0)
    status = norn_fail(st, NORN_ETYPE, 0, "this needs truncate of single numbers, not of arrays");
  if (status) return status;
  lines_at(&e, 0, &l, own);
  return cut_open(st, &l, own[0], own[1], c);
}

static norn_status check_element(norn_state *st, const norn_dist *d, const lines *e, int64_t k)
{
  line l;
  cut c;
  double own[2];
  char at[40] = "";
  if (e->rank > 0) snprintf(at, sizeof at, " at element %lld", (long long)k);
  lines_at(e, k, &l, own);
  double lower = l.discrete ? ceil(own[0]) : own[0], upper = l.discrete ? floor(own[1]) : own[1];
  if (l.discrete ? lower > upper : lower >= upper)
    return norn_fail(st, NORN_EDOMAIN, d->n > 2 ? 2 : 1,
                     "truncate leaves nothing between %g and %g%s", own[0], own[1], at);
  norn_status status = cut_open(st, &l, own[0], own[1], &c);
  if (status || c.mass > -HUGE_VAL) return status;
  return norn_fail(st, NORN_EDOMAIN, 0, "%s has no mass between %g and %g%s", l.d.row->name, own[0],
                   own[1], at);
}

static norn_status truncate_check(norn_state *st, const norn_dist *d)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  for (int64_t k = 0; !status && k < e.n; k++) status = check_element(st, d, &e, k);
  return status;
}

static norn_status truncate_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  lines e;
  norn_view v;
  stats_tree sum = {{0}};
  norn_status status = open_lines(st, d, &e);
  if (!status) status = lines_shape(st, d, &e, x, &v);
  for (int64_t k = 0; !status && k < e.n; k++) {
    line l;
    cut c;
    double own[2], value, logp = -HUGE_VAL;
    lines_at(&e, k, &l, own);
    if ((status = line_value(st, &l, e.rank ? dist_view_at(&v, k) : x, &value))) break;
    if (value >= own[0] && value <= own[1]) {
      status = cut_open(st, &l, own[0], own[1], &c);
      if (!status) status = line_logp(st, &l, value, &logp);
      logp -= c.mass;
    }
    stats_tree_add(&sum, k, logp);
  }
  *out = stats_tree_sum(&sum);
  return status;
}

/* Adds the derivatives of a mass by those of its ends that are bounds inside the family's range. */
static norn_status ends(norn_state *st, const line *l, const double own[2], const bool is[2],
                        double mass, double scale, double *gown)
{
  double range[2], at;
  norn_status status = NORN_OK;
  line_range(st, l, &range[0], &range[1]);
  for (int i = 0; !status && i < 2 && !l->discrete; i++) {
    if (!is[i] || !(i ? own[1] < range[1] : own[0] > range[0])) continue;
    status = line_logp(st, l, own[i], &at);
    gown[i] += (i ? scale : -scale) * exp(at - mass);
  }
  return status;
}

/* Adds scale times the derivatives of log P(lower <= X <= upper) by the line's leaves and by the
   bounds. */
static norn_status normaliser(norn_state *st, const line *l, const double own[2], double scale,
                              double *gbase, double *gown)
{
  double mass, from = l->discrete ? ceil(own[0]) - 1 : own[0];
  norn_status status = line_mass(st, l, from, own[1], &mass, scale, gbase);
  return status ? status : ends(st, l, own, (const bool[]){true, true}, mass, scale, gown);
}

static norn_status truncate_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                     double *gx, double *g)
{
  lines e;
  norn_view v;
  norn_status status = open_lines(st, d, &e);
  if (!status) status = lines_shape(st, d, &e, x, &v);
  for (int64_t k = 0; !status && k < e.n; k++) {
    line l;
    lines_sums sums;
    double own[2], value, *base = lines_sum(&e, g, &sums);
    lines_at(&e, k, &l, own);
    status = line_value(st, &l, e.rank ? dist_view_at(&v, k) : x, &value);
    if (!status) status = line_partials(st, &l, value, scale, gx ? gx + k : NULL, base);
    if (!status && g) status = normaliser(st, &l, own, -scale, base, sums.own);
    if (!status && g) lines_scatter(&e, k, &sums, g);
  }
  return status;
}

/* ---- draws and quantiles --------------------------------------------------------------------- */

/* Enough mass: draw until inside; otherwise inversion in the tail. */
static norn_status draw_one(norn_state *st, const line *l, const double own[2], void *with,
                            double *out)
{
  cut c;
  norn_rng *rng = with;
  norn_status status = cut_open(st, l, own[0], own[1], &c);
  for (int i = 0; !status && c.mass > -1.4 && i < 1000; i++) {
    status = line_draw(st, l, rng, out);
    if (*out >= c.lower && *out <= c.upper) return status;
  }
  if (status) return status;
  double u = rng_uniform(rng);
  return cut_quantile(st, &c, log(u), log1p(-u), cut_start(&c), out);
}

static norn_status truncate_sample(norn_state *st, const norn_dist *d, norn_rng *rng,
                                   norn_datum *out)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  return status ? status : lines_map(st, &e, draw_one, rng, false, out);
}

static norn_status quantile_one(norn_state *st, const line *l, const double own[2], void *with,
                                double *out)
{
  cut c;
  double prob = *(const double *)with;
  norn_status status = cut_open(st, l, own[0], own[1], &c);
  return status ? status
                : cut_quantile(st, &c, log(prob), log1p(-prob), cut_start(&c), out);
}

static norn_status truncate_quantile(norn_state *st, const norn_dist *d, double prob,
                                     norn_datum *out)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  return status ? status : lines_map(st, &e, quantile_one, &prob, false, out);
}

/* Of what is left, the part between a and b. */
static norn_status truncate_mass(norn_state *st, const norn_dist *d, double a, double b,
                                 double *out, double scale, double *g)
{
  lines e;
  line l;
  cut c;
  lines_sums sums;
  double own[2], *base;
  norn_status status = open_lines(st, d, &e);
  if (!status && e.rank > 0)
    status = norn_fail(st, NORN_ETYPE, 0, "this needs truncate of single numbers, not of arrays");
  if (status) return status;
  lines_at(&e, 0, &l, own);
  if ((status = cut_open(st, &l, own[0], own[1], &c))) return status;
  double under = l.discrete ? ceil(own[0]) - 1 : own[0];
  bool at[2] = {!(a > under), !(b < own[1])};
  double part[2] = {at[0] ? under : a, at[1] ? own[1] : b};
  *out = -HUGE_VAL;
  if (!(part[0] < part[1])) return NORN_OK;
  base = lines_sum(&e, g, &sums);
  status = line_mass(st, &l, part[0], part[1], out, scale, base);
  if (!status && g && *out > -HUGE_VAL) {
    status = ends(st, &l, own, at, *out, scale, sums.own);
    if (!status) status = normaliser(st, &l, own, -scale, base, sums.own);
    if (!status) lines_scatter(&e, 0, &sums, g);
  }
  *out -= c.mass;
  return status;
}

static norn_status truncate_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  cut c;
  double own[2], value, mass;
  norn_status status = open_cut(st, d, &c, own);
  if (status) return status;
  if (!norn_as_real(x, &value) || isnan(value)) return line_value(st, &c.l, x, &value);
  status = truncate_mass(st, d, -HUGE_VAL, value, &mass, 0, NULL);
  *out = fmin(exp(mass), 1);
  return status;
}

/* ---- moments --------------------------------------------------------------------------------- */

static void two_moments(double x, const void *of, double *out)
{
  out[0] = x - *(const double *)of;
  out[1] = out[0] * out[0];
}

/* By integrals of the quantile, about the median.  Where nothing is cut off at a side without end,
   as many moments exist as the family has. */
static norn_status moments_of(norn_state *st, const cut *c, double *mean, double *variance)
{
  double m[LINE_EXPECT] = {0}, median, base_mean = (double)NAN, base_variance = (double)NAN;
  const norn_dist_row *row = c->l.d.row;
  norn_datum known[2] = {norn_none(), norn_none()};
  bool bounded = c->lower > -HUGE_VAL && c->upper < HUGE_VAL;
  if (c->l.plain && row->moments1) row->moments1(c->l.p, &base_mean, &base_variance);
  if (!bounded && !c->l.plain && dist_moments(st, &c->l.d, &known[0], &known[1])) norn_clear(st);
  norn_as_real(known[0], &base_mean);
  norn_as_real(known[1], &base_variance);
  if (!bounded && !isfinite(base_mean)) {
    *mean = *variance = (double)NAN;
    return NORN_OK;
  }
  norn_status status = cut_quantile(st, c, -V_LOG_2, -V_LOG_2, bounded ? c->lower : base_mean,
                                    &median);
  if (!status) status = cut_expect(st, c, two_moments, &median, 2, m);
  *mean = median + m[0];
  *variance = bounded || isfinite(base_variance) ? fmax(m[1] - m[0] * m[0], 0) : base_variance;
  return status;
}

static norn_status mean_one(norn_state *st, const line *l, const double own[2], void *with,
                            double *out)
{
  cut c;
  double m[2];
  norn_status status = cut_open(st, l, own[0], own[1], &c);
  if (!status) status = moments_of(st, &c, &m[0], &m[1]);
  *out = m[*(const int *)with];
  return status;
}

static norn_status truncate_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                    norn_datum *variance)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  if (!status) status = lines_map(st, &e, mean_one, &(int){0}, true, mean);
  return status ? status : lines_map(st, &e, mean_one, &(int){1}, true, variance);
}

/* ---- support --------------------------------------------------------------------------------- */

/* The bounds of an element: the nearer of own and the family's; which are own. */
static void element_bounds(norn_state *st, const lines *e, int64_t k, double at[2], bool is_own[2])
{
  line l;
  double own[2], lo, hi;
  lines_at(e, k, &l, own);
  line_range(st, &l, &lo, &hi);
  if (l.discrete) own[0] = ceil(own[0]), own[1] = floor(own[1]);
  is_own[0] = own[0] > lo;
  is_own[1] = own[1] < hi;
  at[0] = fmax(own[0], lo);
  at[1] = fmin(own[1], hi);
}

static norn_status truncate_bounds(norn_state *st, const norn_dist *d, double *lower, double *upper,
                                   const double *glower, const double *gupper, double *g)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  for (int64_t k = 0; !status && k < e.n; k++) {
    double at[2], by[2] = {g ? glower[k] : 0, g ? gupper[k] : 0};
    bool is_own[2];
    lines_sums sums;
    element_bounds(st, &e, k, at, is_own);
    if (lower) lower[k] = at[0], upper[k] = at[1];
    if (!g) continue;
    double *base = lines_sum(&e, g, &sums);
    for (int i = 0; i < 2; i++)
      if (is_own[i]) sums.own[i] = by[i], by[i] = 0;
    if (!e.plain) status = norn_dist_bounds_adjoint(st, &e.base, &by[0], &by[1], base);
    else if (e.base.row->lower_is) sums.p[e.base.row->lower_is - 1] += by[0];
    if (e.plain && e.base.row->upper_is) sums.p[e.base.row->upper_is - 1] += by[1];
    lines_scatter(&e, k, &sums, g);
  }
  return status;
}

/* The leaf that is the bound on one side of all elements.  Where the family has a bound too, which
   of both it is can change. */
static int64_t side_leaf(norn_state *st, const lines *e, int side)
{
  norn_support s;
  norn_dist_support(st, &e->base, &s);
  int64_t family = side ? s.upper_leaf : s.lower_leaf;
  bool ends = fabs(side ? s.upper : s.lower) != HUGE_VAL;   /* or NaN: several */
  if (e->own_leaf[side] >= 0) return ends ? -2 : e->own_leaf[side];
  return family >= 0 ? e->base_leaf + family : family;
}

static void truncate_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  lines e;
  bool first[2] = {false, false}, shared[2] = {true, true};
  *out = (norn_support){NORN_SUPPORT_REAL, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
  if (open_lines(st, d, &e)) { norn_clear(st); return; }
  double bound[2] = {-HUGE_VAL, HUGE_VAL};
  for (int64_t k = 0; k < e.n; k++) {
    double at[2];
    bool own[2];
    element_bounds(st, &e, k, at, own);
    for (int i = 0; i < 2; i++) {
      if (k == 0) bound[i] = at[i], first[i] = own[i];
      shared[i] = shared[i] && at[i] == bound[i];
    }
  }
  norn_dist_support(st, &e.base, out);
  out->count = e.n;
  bool below = bound[0] > -HUGE_VAL, above = bound[1] < HUGE_VAL;
  if (!(norn_dist_flags(&e.base) & NORN_DIST_DISCRETE))
    out->kind = below ? (above ? NORN_SUPPORT_INTERVAL : NORN_SUPPORT_LOWER)
                      : (above ? NORN_SUPPORT_UPPER : NORN_SUPPORT_REAL);
  bool apart[2] = {isnan(out->lower), isnan(out->upper)};   /* the family's */
  for (int i = 0; i < 2; i++) {
    bool many = first[i] ? e.own_array[i] && e.n > 1 : apart[i];
    *(i ? &out->upper : &out->lower) = many || !shared[i] ? (double)NAN : bound[i];
    *(i ? &out->upper_leaf : &out->lower_leaf) = side_leaf(st, &e, i);
  }
}

/* ---- values that can be listed --------------------------------------------------------------- */

/* How many values element k has; -1: no end.  `first` may be without end too. */
static int64_t element_count(norn_state *st, const lines *e, int64_t k, double *first)
{
  double at[2];
  bool own[2];
  element_bounds(st, e, k, at, own);
  *first = at[0];
  bool discrete = norn_dist_flags(&e->base) & NORN_DIST_DISCRETE;
  return discrete && at[1] - at[0] < 0x1p62 ? (int64_t)(at[1] - at[0]) + 1 : -1;
}

static int64_t truncate_count(norn_state *st, const norn_dist *d)
{
  lines e;
  double first;
  int64_t total = 1;
  if (open_lines(st, d, &e)) { norn_clear(st); return -1; }
  for (int64_t k = 0; k < e.n; k++) {
    int64_t count = element_count(st, &e, k, &first);
    if (count < 0 || __builtin_mul_overflow(total, count, &total)) return -1;
  }
  return total;
}

/* The last element changes fastest: `later` is how many combinations those after this one have. */
typedef struct { const lines *e; int64_t at, k, later; } digits;
static norn_status digit(norn_state *st, const line *l, const double own[2], void *with,
                         double *out)
{
  digits *g = with;
  double first;
  int64_t count = element_count(st, g->e, g->at++, &first);
  (void)l, (void)own;
  if (count > 0) g->later /= count;
  *out = first + (double)(count > 0 ? g->k / g->later % count : g->k);
  return NORN_OK;
}

static norn_status truncate_enumerate(norn_state *st, const norn_dist *d, int64_t k,
                                      norn_datum *out)
{
  lines e;
  double first = 0;
  norn_status status = open_lines(st, d, &e);
  *out = norn_none();
  if (status || k < 0) return status;
  int64_t total = truncate_count(st, d);
  bool listed = norn_dist_flags(&e.base) & NORN_DIST_DISCRETE;
  if (e.rank == 0) element_count(st, &e, 0, &first);
  if (!listed || (total < 0 && (e.rank > 0 || first == -HUGE_VAL)))
    return norn_fail(st, NORN_EINFER, 0, "the values of a truncated %s can't be enumerated",
                     e.base.row->name);
  if (total >= 0 && k >= total) return NORN_OK;
  return lines_map(st, &e, digit, &(digits){&e, 0, k, total}, false, out);
}

static bool has_end(const norn_dist *d, int i)
{
  double x;
  return i < d->n && (norn_array_length(d->args[i]) >= 0 ||
                      (norn_as_real(d->args[i], &x) && fabs(x) < HUGE_VAL));
}

static unsigned truncate_flags(const norn_dist *d)
{
  norn_dist base;
  if (!d->n || !norn_dist_view(d->args[0], &base)) return 0;
  unsigned flags = norn_dist_flags(&base) & ~(unsigned)NORN_DIST_SCALAR;
  bool bounded = has_end(d, 2) && (has_end(d, 1) || base.row->enumerate);
  return (flags & NORN_DIST_DISCRETE) && bounded ? flags | NORN_DIST_FINITE : flags;
}

static norn_status truncate_part(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  lines e;
  norn_status status = open_lines(st, d, &e);
  return status ? status : lines_part(st, d, &e, k, out);
}

/* ---- the mass alone ---- */

static norn_status open_between(norn_state *st, const norn_dist *d, lines *e, line *l, double own[2])
{
  norn_status status = open_lines(st, d, e);
  if (!status && e->rank > 0)
    status = norn_fail(st, NORN_ETYPE, 0, "this needs a distribution of single numbers, not of arrays");
  if (!status) lines_at(e, 0, l, own);
  return status;
}

static norn_status between_check(norn_state *st, const norn_dist *d)
{
  lines e;
  line l;
  double own[2];
  return open_between(st, d, &e, &l, own);
}

static norn_status between_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  lines e;
  line l;
  double own[2];
  norn_status status = open_between(st, d, &e, &l, own);
  (void)x;
  return status ? status : line_mass(st, &l, l.discrete ? ceil(own[0]) - 1 : own[0], own[1], out, 1, NULL);
}

static norn_status between_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale, double *gx,
                                    double *g)
{
  lines e;
  line l;
  lines_sums sums;
  double own[2];
  norn_status status = open_between(st, d, &e, &l, own);
  (void)x;
  (void)gx;
  if (status || !g) return status;
  double *base = lines_sum(&e, g, &sums);
  status = normaliser(st, &l, own, scale, base, sums.own);
  if (!status) lines_scatter(&e, 0, &sums, g);
  return status;
}

const norn_dist_row dist_between = {
  .name = "log_mass", .params = "d, lower, upper", .doc = "The log mass of d between two bounds.",
  .check = between_check, .logp = between_logp, .partials = between_partials};

static const norn_dist_row rows[] = {
  {.name = "truncate", .params = "d, lower = missing, upper = missing",
   .doc = "The distribution d given that lower <= x <= upper, normalised.\n"
          "Needs a distribution of single numbers with a distribution function.  Arrays of\n"
          "parameters or bounds make a product.",
   .check = truncate_check, .sample = truncate_sample, .logp = truncate_logp,
   .partials = truncate_partials, .cdf = truncate_cdf, .quantile = truncate_quantile,
   .support = truncate_support, .bounds = truncate_bounds, .mass = truncate_mass,
   .enumerate = truncate_enumerate, .count = truncate_count, .moments = truncate_moments,
   .part = truncate_part, .flags_of = truncate_flags},
};

const dist_shelf dist_truncate = {rows, sizeof rows / sizeof rows[0]};
