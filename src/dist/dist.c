/* dist: the shelves, and what scalar families share: support, enumeration and moments from
   range1 and moments1, and inversion of distribution functions. */
#include "dist/dist.h"
#include "num/special.h"
#include "base/base.h"
#include <stdio.h>
#include <string.h>

static const dist_shelf *const shelves[] = {&dist_normals, &dist_heavies, &dist_gammas,
  &dist_chis, &dist_extremes, &dist_paretos, &dist_skews, &dist_bounded,
  &dist_counts, &dist_links, &dist_urns, &dist_categories, &dist_multinomials, &dist_finites,
  &dist_simplexes, &dist_improper, &dist_multi_normals, &dist_lkjs, &dist_wisharts, &dist_gps,
  &dist_truncate, &dist_mixture, &dist_products, &dist_transforms, &dist_inflated, &dist_ordered,
  &dist_noncentered, &dist_empirical, &dist_glms};

const dist_shelf *const *dist_shelves(int *n)
{
  *n = NORN_COUNT(shelves);
  return shelves;
}

norn_status dist_add_all(norn_state *st)
{
  for (int i = 0; i < NORN_COUNT(shelves); i++) {
    norn_status status = norn_add_dists(st, shelves[i]->rows, shelves[i]->n);
    if (status) return status;
  }
  return NORN_OK;
}

const norn_dist_row *dist_find(const char *name)
{
  for (int i = 0; i < NORN_COUNT(shelves); i++)
    for (int k = 0; k < shelves[i]->n; k++)
      if (!strcmp(shelves[i]->rows[k].name, name)) return &shelves[i]->rows[k];
  return NULL;
}

int dist_arity(const norn_dist_row *row)
{
  int n = row->params && *row->params;
  for (const char *s = row->params; s && *s; s++) n += *s == ',';
  return n;
}

const char *dist_param_name(const norn_dist_row *row, int i, char *buf, size_t n)
{
  const char *s = row->params ? row->params : "";
  for (; i > 0 && *s; s++) i -= *s == ',';
  s += strspn(s, " ");
  snprintf(buf, n, "%.*s", (int)strcspn(s, " ,="), s);
  return buf;
}

void dist_everywhere(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = -HUGE_VAL;
  *upper = HUGE_VAL;
}

void dist_positive(const double *p, double *lower, double *upper)
{
  (void)p;
  *lower = 0;
  *upper = HUGE_VAL;
}

/* exp l < 1e-9: log(1 - e^-t) = log t - t/2 + ... */
double dist_log_one_minus(double l)
{
  double t = exp(l);
  return t < 1e-9 ? l - 0.5 * t : special_log1mexp(-t);
}

unsigned norn_dist_flags(const norn_dist *d)
{
  return d->row->flags_of ? d->row->flags_of(d) : d->row->flags;
}

/* ---- tails and their inverses ---------------------------------------------------------------- */

void dist_tails(const norn_dist_row *row, double x, const double *p, double *lower, double *upper)
{
  if (row->tails1) {
    row->tails1(x, p, lower, upper);
  } else {
    double c = row->cdf1(x, p);
    *lower = log(c);
    *upper = log1p(-c);
  }
}

typedef struct { const norn_dist_row *row; const double *p; bool upper; } tail_of;

static double tail_rising(double x, const void *of, double *slope)
{
  const tail_of *t = of;
  double lower, upper, logp = t->row->logp1(x, t->p);
  dist_tails(t->row, x, t->p, &lower, &upper);
  *slope = exp(logp - (t->upper ? upper : lower));
  return t->upper ? -upper : lower;
}

double dist_solve_tail(const norn_dist_row *row, const double *p, double lp, bool upper, double lo,
                       double hi, double start)
{
  tail_of t = {row, p, upper};
  return special_solve(tail_rising, &t, upper ? -lp : lp, lo, hi, start);
}

double dist_solve_quantile(const norn_dist_row *row, double prob, const double *p, double start)
{
  double lo = -HUGE_VAL, hi = HUGE_VAL;
  if (row->range1) row->range1(p, &lo, &hi);
  if (prob == 0 || prob == 1) return prob == 0 ? lo : hi;
  return dist_solve_tail(row, p, prob > 0.5 ? log1p(-prob) : log(prob), prob > 0.5, lo, hi, start);
}

/* A rule on whole numbers that holds from some k on; the search brackets k by doubling steps from a
   guess and then halves. */
typedef bool (*whole_rule)(double k, const void *of);
static double whole_search(whole_rule holds, const void *of, double lo, double hi, double guess)
{
  double k = floor(fmin(fmax(guess, lo), hi)), step = 1;
  if (!(fabs(k) < 0x1p60)) k = fmax(lo, -0x1p60);
  double no, yes;
  if (holds(k, of)) {
    for (yes = k; (no = fmax(yes - step, lo - 1)) >= lo && holds(no, of); step *= 2) yes = no;
  } else {
    for (no = k; (yes = fmin(no + step, hi)) < hi && !holds(yes, of); step *= 2) no = yes;
    if (yes == HUGE_VAL) return yes;
  }
  while (yes - no > 1) {
    double middle = floor(no + (yes - no) / 2);
    if (middle <= no || middle >= yes) break;   /* beyond 2^53 */
    if (holds(middle, of)) yes = middle; else no = middle;
  }
  return yes;
}

typedef struct { double (*cdf1)(double, const double *); const double *p; double prob; } cdf_of;
static bool cdf_reaches(double k, const void *of)
{
  const cdf_of *c = of;
  return c->cdf1(k, c->p) >= c->prob;
}

double dist_search_quantile(double (*cdf1)(double, const double *), double prob, const double *p,
                            double lo, double hi, double guess)
{
  if (prob == 1) return hi;
  cdf_of c = {cdf1, p, prob};
  return whole_search(cdf_reaches, &c, lo, hi, isnan(guess) ? lo : guess);
}

typedef struct { const norn_dist_row *row; const double *p; double lp; bool upper; } whole_tail;
static bool tail_reaches(double k, const void *of)
{
  const whole_tail *t = of;
  double lower, upper;
  dist_tails(t->row, k, t->p, &lower, &upper);
  return t->upper ? upper <= t->lp : lower >= t->lp;
}

double dist_search_tail(const norn_dist_row *row, const double *p, double lp, bool upper,
                        double lo, double hi, double guess)
{
  whole_tail t = {row, p, lp, upper};
  return whole_search(tail_reaches, &t, lo, hi, guess);
}

/* ---- support, enumeration, moments of scalar families ---------------------------------------- */

static norn_support_kind kind_of(unsigned flags, double lower, double upper)
{
  if (flags & NORN_DIST_BOOL) return NORN_SUPPORT_BOOL;
  if (flags & NORN_DIST_DISCRETE) return NORN_SUPPORT_INTEGER;
  if (lower > -HUGE_VAL) return upper < HUGE_VAL ? NORN_SUPPORT_INTERVAL : NORN_SUPPORT_LOWER;
  return upper < HUGE_VAL ? NORN_SUPPORT_UPPER : NORN_SUPPORT_REAL;
}

/* A bound that is a parameter: its leaf; NaN if each unit has its own. */
static void bound_leaf(const norn_dist *d, const dist_grid *g, int which, double *bound,
                       int64_t *leaf)
{
  if (!which || which > d->n) return;
  *leaf = dist_leaf(d, which - 1);
  if (g->array[which - 1] && g->n > 1) *bound = (double)NAN;
}

void dist_scalar_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  dist_grid g;
  double p[NORN_DIST_P], lo = -HUGE_VAL, hi = HUGE_VAL;
  *out = (norn_support){kind_of(d->row->flags, lo, hi), lo, hi, 1, 1, -1, -1};
  if (dist_grid_fill(st, d, &g)) { norn_clear(st); return; }
  out->count = g.n;
  for (int64_t k = 0; d->row->range1 && k < g.n; k++) {
    dist_grid_at(&g, k, p);
    d->row->range1(p, &lo, &hi);
    if (k == 0) *out = (norn_support){kind_of(d->row->flags, lo, hi), lo, hi, 1, g.n, -1, -1};
    if (lo != out->lower) out->lower = (double)NAN;
    if (hi != out->upper) out->upper = (double)NAN;
  }
  bound_leaf(d, &g, d->row->lower_is, &out->lower, &out->lower_leaf);
  bound_leaf(d, &g, d->row->upper_is, &out->upper, &out->upper_leaf);
}

/* The bounds of a row by range1. */
static norn_status scalar_bounds(norn_state *st, const norn_dist *d, double *lower, double *upper)
{
  dist_grid g;
  double p[NORN_DIST_P];
  norn_status status = dist_grid_fill(st, d, &g);
  for (int64_t k = 0; !status && k < g.n; k++) {
    dist_grid_at(&g, k, p);
    d->row->range1(p, &lower[k], &upper[k]);
  }
  return status;
}

norn_status norn_dist_bounds(norn_state *st, const norn_dist *d, double *lower, double *upper)
{
  norn_support s;
  if (d->row->bounds) return d->row->bounds(st, d, lower, upper, NULL, NULL, NULL);
  if ((d->row->flags & NORN_DIST_SCALAR) && d->row->range1)
    return scalar_bounds(st, d, lower, upper);
  norn_status status = norn_dist_support(st, d, &s);
  for (int64_t k = 0; !status && k < s.count; k++) {
    lower[k] = s.lower;
    upper[k] = s.upper;
  }
  return status;
}

norn_status norn_dist_bounds_adjoint(norn_state *st, const norn_dist *d, const double *glower,
                                     const double *gupper, double *g)
{
  norn_support s;
  if (d->row->bounds) return d->row->bounds(st, d, NULL, NULL, glower, gupper, g);
  norn_status status = norn_dist_support(st, d, &s);
  for (int64_t k = 0; !status && k < s.count; k++) {
    if (s.lower_leaf >= 0) g[s.lower_leaf + (isnan(s.lower) ? k : 0)] += glower[k];
    if (s.upper_leaf >= 0) g[s.upper_leaf + (isnan(s.upper) ? k : 0)] += gupper[k];
  }
  return status;
}

/* Values of element k of a grid: first and how many; -1: no end. */
static void values_at(const norn_dist_row *row, const dist_grid *g, int64_t k, double *first,
                      int64_t *count)
{
  double p[NORN_DIST_P], hi;
  dist_grid_at(g, k, p);
  row->range1(p, first, &hi);
  *count = hi - *first < 0x1p62 ? (int64_t)(hi - *first) + 1 : -1;
}

/* One number: its k-th value.  A grid of finite ones: the last element changes fastest. */
norn_status dist_scalar_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  dist_grid g;
  double first;
  int64_t count;
  norn_status status = dist_grid_fill(st, d, &g);
  *out = norn_none();
  if (status || k < 0) return status;
  if (g.rank == 0) {
    values_at(d->row, &g, 0, &first, &count);
    return count < 0 || k < count ? dist_datum(st, d->row, first + (double)k, out) : NORN_OK;
  }
  bool truth = d->row->flags & NORN_DIST_BOOL;
  void *data;
  norn_datum a = norn_array(st, truth ? NORN_B8 : NORN_I64, g.rank, g.dims, &data);
  if (norn_is_none(a)) return norn_error(st)->code;
  for (int64_t i = g.n; i-- > 0;) {
    values_at(d->row, &g, i, &first, &count);
    if (count < 0)
      return norn_fail(st, NORN_EINFER, -1,
                       "a product of %s over %lld elements can't be enumerated: each has no end",
                       d->row->name, (long long)g.n);
    int64_t digit = k % count;
    k /= count;
    if (truth) ((uint8_t *)data)[i] = (uint8_t)digit;
    else ((int64_t *)data)[i] = (int64_t)first + digit;
  }
  if (k == 0) *out = a;
  return NORN_OK;
}

norn_status dist_scalar_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                norn_datum *variance)
{
  dist_grid g;
  double p[NORN_DIST_P], m, v;
  norn_status status = dist_grid_fill(st, d, &g);
  if (status) return status;
  if (g.rank == 0) {
    d->row->moments1(g.number, &m, &v);
    *mean = norn_real(m);
    *variance = norn_real(v);
    return NORN_OK;
  }
  void *means, *variances;
  *mean = norn_array(st, NORN_F64, g.rank, g.dims, &means);
  if (norn_is_none(*mean)) return norn_error(st)->code;
  *variance = norn_array(st, NORN_F64, g.rank, g.dims, &variances);
  if (norn_is_none(*variance)) return norn_error(st)->code;
  for (int64_t k = 0; k < g.n; k++) {
    dist_grid_at(&g, k, p);
    d->row->moments1(p, &m, &v);
    ((double *)means)[k] = m;
    ((double *)variances)[k] = v;
  }
  return NORN_OK;
}
