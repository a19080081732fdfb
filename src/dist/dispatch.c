/* dispatch: the calls of norn.h on a distribution.  A row's own function goes first; a SCALAR row
   with numbers goes straight to its scalar functions; with arrays it becomes a grid of independent
   elements, drawn in order and summed in the fixed tree of num/stats.h. */
#include "dist/exact.h"
#include "num/stats.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_number(norn_datum v) { return v.tag == NORN_INT || v.tag == NORN_REAL; }

const char *dist_shape_text(int rank, const int64_t *dims, char *buf, size_t n)
{
  size_t at = (size_t)snprintf(buf, n, "(");
  for (int i = 0; i < rank && at < n; i++)
    at += (size_t)snprintf(buf + at, n - at, i ? ", %lld" : "%lld", (long long)dims[i]);
  if (at < n) snprintf(buf + at, n - at, ")");
  return buf;
}

/* ---- the grid of a SCALAR row's arguments ---------------------------------------------------- */

static norn_status grid_misfit(norn_state *st, const norn_dist *d, const dist_grid *g, int i)
{
  char a[80], b[80], pa[40], pb[40];
  int first = 0;
  while (!g->array[first]) first++;
  return norn_fail(st, NORN_ETYPE, i, "%s and %s of %s have different shapes, %s and %s",
                   dist_param_name(d->row, first, pa, sizeof pa), dist_param_name(d->row, i, pb,
                       sizeof pb),
                   d->row->name, dist_shape_text(g->rank, g->dims, a, sizeof a),
                   dist_shape_text(g->view[i].rank, g->view[i].dims, b, sizeof b));
}

static norn_status grid_not_numbers(norn_state *st, const norn_dist *d, int i)
{
  char name[40], what[120];
  norn_fail(st, NORN_ETYPE, i, "%s of %s must be a number or an array of numbers, got %s",
            dist_param_name(d->row, i, name, sizeof name), d->row->name,
            norn_describe(st, d->args[i], what, sizeof what));
  if (d->args[i].tag == NORN_DIST || d->args[i].tag == NORN_MODEL)
    norn_hint(st, "a distribution is not yet a number: let x ~ d draws one (let x = d names the distribution)");
  return NORN_ETYPE;
}

/* Packed numbers, or values (bigs among them) that are all numbers. */
static bool are_numbers(const norn_view *v)
{
  double x;
  if (v->n == 0 || v->elem == NORN_F64 || v->elem == NORN_I64) return true;
  if (v->elem != NORN_VALUES) return false;
  for (int64_t k = 0; k < v->n; k++) if (!norn_as_real(v->v[k], &x)) return false;
  return true;
}

norn_status dist_grid_fill(norn_state *st, const norn_dist *d, dist_grid *g)
{
  g->rank = 0;
  g->n = 1;
  g->nargs = d->n;
  if (d->n > NORN_DIST_P)
    return norn_fail(st, NORN_EUSE, -1, "%s has more than %d arguments", d->row->name, NORN_DIST_P);
  for (int i = 0; i < d->n; i++) {
    g->array[i] = false;
    if (dist_number(d->args[i], &g->number[i])) continue;
    norn_view *v = &g->view[i];
    if (!norn_array_view(d->args[i], v) || !are_numbers(v))
      return grid_not_numbers(st, d, i);
    if (g->rank == 0) {
      g->rank = v->rank;
      g->n = v->n;
      memcpy(g->dims, v->dims, sizeof g->dims);
    } else if (v->rank != g->rank || memcmp(v->dims, g->dims,
                                            (size_t)g->rank * sizeof g->dims[0])) {
      return grid_misfit(st, d, g, i);
    }
    g->array[i] = true;
  }
  return NORN_OK;
}

void dist_grid_at(const dist_grid *g, int64_t k, double p[NORN_DIST_P])
{
  for (int i = 0; i < g->nargs; i++)
    if (!g->array[i]) p[i] = g->number[i];
    else if (g->view[i].elem == NORN_F64) p[i] = g->view[i].f[k];
    else if (g->view[i].elem == NORN_I64) p[i] = (double)g->view[i].i[k];
    else dist_number(g->view[i].v[k], &p[i]);
}

/* ---- values ---------------------------------------------------------------------------------- */

static norn_status value_misfit(norn_state *st, const norn_dist_row *row, norn_datum x)
{
  char what[120];
  const char *want = row->flags & NORN_DIST_BOOL ? "true or false" :
                     row->flags & NORN_DIST_DISCRETE ? "an integer" : "a number";
  if (is_number(x))
    return norn_fail(st, NORN_ETYPE, -1, "a value of %s must be %s, got %s", row->name, want,
                     norn_show(st, x, true, 40));
  return norn_fail(st, NORN_ETYPE, -1, "a value of %s must be %s, got %s", row->name, want,
                   norn_describe(st, x, what, sizeof what));
}

norn_status dist_value(norn_state *st, const norn_dist_row *row, norn_datum x, double *out)
{
  if ((row->flags & NORN_DIST_BOOL) && x.tag == NORN_BOOL) {
    *out = (double)(x.i != 0);
    return NORN_OK;
  }
  if (!norn_as_real(x, out) || isnan(*out)) return value_misfit(st, row, x);
  if ((row->flags & NORN_DIST_DISCRETE) && *out != floor(*out)) return value_misfit(st, row, x);
  return NORN_OK;
}

norn_status dist_datum(norn_state *st, const norn_dist_row *row, double x, norn_datum *out)
{
  if (row->flags & NORN_DIST_BOOL) *out = norn_bool(x != 0);
  else if (!(row->flags & NORN_DIST_DISCRETE)) *out = norn_real(x);
  else if (fabs(x) < 0x1p63) *out = norn_int((int64_t)x);
  else return norn_fail(st, NORN_EDOMAIN, -1, "a draw of %s is too large for an integer: %g",
                        row->name, x);
  return NORN_OK;
}

/* ---- check ----------------------------------------------------------------------------------- */

static norn_status parameter_wrong(norn_state *st, const norn_dist *d, const dist_grid *g,
                                   int64_t k,
                                   const char *sentence, int which, double value)
{
  norn_status status;
  if (which < d->n && g->array[which])
    status = norn_fail(st, NORN_EDOMAIN, which, "%s, got %s at element %lld", sentence,
                       norn_show(st, norn_real(value), true, 40), (long long)k);
  else
    status = norn_fail(st, NORN_EDOMAIN, which, "%s, got %s", sentence, norn_show(st,
        d->args[which], true, 40));
  bool location = which + 1 == d->row->location_is;            /* whose meaning nobody mistakes */
  if (d->row->hint && !location) norn_hint(st, "%s", d->row->hint);
  return status;
}

/* Arguments that are being recorded are checked by the numbers behind them. */
static norn_status check_recorded(norn_state *st, const norn_dist *d)
{
  norn_datum args[16];
  for (int i = 0; i < d->n && i < 16; i++) {
    args[i] = norn_concrete(st, d->args[i]);
    if (norn_is_none(args[i]) && !norn_is_none(d->args[i])) return norn_error(st)->code;
  }
  norn_dist concrete = {d->row, args, d->n};
  return norn_dist_check(st, &concrete);
}

norn_status norn_dist_check(norn_state *st, const norn_dist *d)
{
  for (int i = 0; norn_recording(st) && i < d->n && i < 16; i++)
    if (norn_has_node(d->args[i])) return check_recorded(st, d);
  if (d->row->check) {
    norn_status status = d->row->check(st, d);
    if (status && d->row->hint && !norn_error(st)->hint[0]) norn_hint(st, "%s", d->row->hint);
    return status;
  }
  if (!(d->row->flags & NORN_DIST_SCALAR)) return NORN_OK;
  dist_grid g;
  norn_status status = dist_grid_fill(st, d, &g);
  for (int64_t k = 0; !status && k < g.n; k++) {
    double p[NORN_DIST_P];
    int which = 0;
    dist_grid_at(&g, k, p);
    const char *sentence = d->row->check1(p, &which);
    if (sentence) status = parameter_wrong(st, d, &g, k, sentence, which, p[which]);
  }
  return status;
}

/* ---- sample ---------------------------------------------------------------------------------- */

static norn_status grid_sample(norn_state *st, const norn_dist *d, norn_rng *rng, norn_datum *out)
{
  dist_grid g;
  norn_status status = dist_grid_fill(st, d, &g);
  return status ? status : dist_rows_sample(st, d->row, &g, rng, out);
}

norn_status norn_dist_sample(norn_state *st, const norn_dist *d, norn_rng *rng, norn_datum *out)
{
  double p[NORN_DIST_P];
  *out = norn_none();
  if (d->row->sample) return d->row->sample(st, d, rng, out);
  if (!d->row->sample1)
    return norn_fail(st, NORN_EINFER, -1, d->row->flags & NORN_DIST_IMPROPER ?
                     "%s has no normaliser: it can't be sampled" : "%s can't be sampled",
                         d->row->name);
  if (d->n <= NORN_DIST_P && dist_scalars(d, p)) return dist_datum(st, d->row, d->row->sample1(p,
      rng), out);
  return grid_sample(st, d, rng, out);
}

/* ---- log density ----------------------------------------------------------------------------- */

static norn_status shape_wrong(norn_state *st, const norn_dist *d, const dist_grid *g, norn_datum x)
{
  char shape[80], what[120];
  norn_describe(st, x, what, sizeof what);
  if (g->rank == 0) {
    norn_fail(st, NORN_ETYPE, -1, "%s with these parameters has single values, got %s",
              d->row->name, what);
    norn_hint(st, "iid(%s(...), n) repeats a distribution; array parameters make a product",
              d->row->name);
  } else {
    norn_fail(st, NORN_ETYPE, -1, "%s with these parameters has values of shape %s, got %s",
              d->row->name,
              dist_shape_text(g->rank, g->dims, shape, sizeof shape), what);
  }
  return NORN_ETYPE;
}

/* Element k of an array of any packing as a datum; a nested array stands for something of the wrong
   kind. */
norn_datum dist_view_at(const norn_view *v, int64_t k)
{
  switch (v->elem) {
  case NORN_F64: return norn_real(v->f[k]);
  case NORN_I64: return norn_int(v->i[k]);
  case NORN_B8: return norn_bool(v->b[k]);
  default: return v->v[k];
  }
}

static norn_status grid_logp(norn_state *st, const norn_dist *d, const dist_grid *g, norn_datum x,
                             double *out)
{
  norn_view v;
  if (!norn_array_view(x, &v) || v.rank != g->rank ||
      memcmp(v.dims, g->dims, (size_t)g->rank * sizeof g->dims[0]))
    return shape_wrong(st, d, g, x);
  return dist_rows_logp(st, d, g, &v, out);
}

/* Bigs that doubles can't hold have a density that they can: it is computed as a big. */
static norn_status rounded_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  norn_datum l;
  norn_status status = norn_dist_logp_big(st, d, x, 0, &l);
  if (!status) norn_as_real(l, out);
  return status;
}

norn_status norn_dist_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double p[NORN_DIST_P], value;
  dist_grid g;
  if (d->row->logp) return d->row->logp(st, d, x, out);
  if (!d->row->logp1) return norn_fail(st, NORN_EINFER, -1, "%s has no density", d->row->name);
  if (norn_dist_is_big(d, x) && exact_find(d->row->name)) return rounded_logp(st, d, x, out);
  if (d->n <= NORN_DIST_P && dist_scalars(d, p)) {
    norn_view v;
    norn_status status;
    if (norn_array_view(x, &v)) {
      g.rank = 0;
      return shape_wrong(st, d, &g, x);
    }
    if ((status = dist_value(st, d->row, x, &value))) return status;
    *out = d->row->logp1(value, p);
    return NORN_OK;
  }
  norn_status status = dist_grid_fill(st, d, &g);
  return status ? status : grid_logp(st, d, &g, x, out);
}

/* ---- enumeration ----------------------------------------------------------------------------- */

norn_status norn_dist_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  *out = norn_none();
  if (d->row->enumerate) return d->row->enumerate(st, d, k, out);
  return norn_fail(st, NORN_EINFER, -1, "the values of %s can't be enumerated", d->row->name);
}

static int64_t grid_count(norn_state *st, const norn_dist *d)
{
  dist_grid g;
  int64_t total = 1;
  if (dist_grid_fill(st, d, &g)) { norn_clear(st); return -1; }
  for (int64_t k = 0; k < g.n; k++) {
    double p[NORN_DIST_P], lo, hi;
    dist_grid_at(&g, k, p);
    d->row->range1(p, &lo, &hi);
    if (!(hi - lo < 0x1p62) || __builtin_mul_overflow(total, (int64_t)(hi - lo) + 1,
                                                      &total)) return -1;
  }
  return total;
}

int64_t norn_dist_count(norn_state *st, const norn_dist *d)
{
  if (d->row->count) return d->row->count(st, d);
  if (!d->row->enumerate) return -1;
  if (d->row->range1) return grid_count(st, d);
  if (!(d->row->flags & NORN_DIST_FINITE)) return -1;
  for (int64_t k = 0;; k++) {   /* a row from elsewhere: ask for one after the other */
    norn_datum x = norn_none();
    if (d->row->enumerate(st, d, k, &x)) { norn_clear(st); return -1; }
    if (norn_is_none(x)) return k;
  }
}

/* ---- parts ----------------------------------------------------------------------------------- */

norn_status norn_dist_part(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  dist_grid g;
  norn_datum p[NORN_DIST_P];
  *out = norn_none();
  if (d->row->part) return d->row->part(st, d, k, out);
  if (!(d->row->flags & NORN_DIST_SCALAR)) return NORN_OK;
  norn_status status = dist_grid_fill(st, d, &g);
  if (status || g.rank == 0 || k < 0 || k >= g.n) return status;
  for (int i = 0; i < d->n; i++) p[i] = g.array[i] ? dist_view_at(&g.view[i], k) : d->args[i];
  *out = norn_dist_new(st, d->row, p, d->n);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

/* ---- questions of dist.h --------------------------------------------------------------------- */

norn_status norn_dist_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  *out = (norn_support){NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
  if (d->row->support) d->row->support(st, d, out);
  return NORN_OK;
}

static norn_status not_single(norn_state *st, const norn_dist *d, const char *what)
{
  return norn_fail(st, NORN_ETYPE, 0, "the %s of %s needs single numbers as parameters", what,
                   d->row->name);
}

norn_status dist_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double p[NORN_DIST_P];
  if (d->row->cdf) return d->row->cdf(st, d, x, out);
  if (!d->row->cdf1) return norn_fail(st, NORN_ETYPE, 0, "%s has no distribution function",
                                      d->row->name);
  if (d->n > NORN_DIST_P || !dist_scalars(d, p)) return not_single(st, d, "distribution function");
  double value;
  if (x.tag == NORN_BOOL) value = (double)(x.i != 0);
  else if (!norn_as_real(x, &value) || isnan(value)) return value_misfit(st, d->row, x);
  *out = value == -HUGE_VAL ? 0 : value == HUGE_VAL ? 1 : d->row->cdf1(value, p);
  return NORN_OK;
}

norn_status dist_quantile(norn_state *st, const norn_dist *d, double prob, norn_datum *out)
{
  double p[NORN_DIST_P];
  *out = norn_none();
  if (!(prob >= 0 && prob <= 1))
    return norn_fail(st, NORN_EDOMAIN, 1, "a probability must be between 0 and 1, got %g", prob);
  if (d->row->quantile) return d->row->quantile(st, d, prob, out);
  if (!d->row->quantile1) return dist_invert(st, d, prob, out);
  if (d->n > NORN_DIST_P || !dist_scalars(d, p)) return not_single(st, d, "quantile");
  double x = d->row->quantile1(prob, p);
  if (!isfinite(x)) *out = norn_real(x);
  else return dist_datum(st, d->row, x, out);
  return NORN_OK;
}

norn_status dist_moments(norn_state *st, const norn_dist *d, norn_datum *mean, norn_datum *variance)
{
  *mean = *variance = norn_none();
  if (d->row->moments) return d->row->moments(st, d, mean, variance);
  return norn_fail(st, NORN_ETYPE, 0, "the mean and variance of %s are not known in closed form",
                   d->row->name);
}

/* ---- arrays as arguments ------------------------------------------------------------------- */

norn_status dist_finite_array(norn_state *st, const norn_dist *d, int i, const char *what)
{
  norn_view v;
  char said[120];
  if (i >= d->n || !norn_array_view(d->args[i], &v) ||
      (v.n > 0 && v.elem != NORN_F64 && v.elem != NORN_I64))
    return norn_fail(st, NORN_ETYPE, i, "%s must be an array of numbers, got %s", what,
                     i < d->n ? norn_describe(st, d->args[i], said, sizeof said) : "nothing");
  for (int64_t k = 0; v.elem == NORN_F64 && k < v.n; k++)
    if (!isfinite(v.f[k]))
      return norn_fail(st, NORN_EDOMAIN, i, "%s must be finite, got %g at element %lld", what,
                       v.f[k], (long long)k);
  return NORN_OK;
}

norn_status dist_finite_vector(norn_state *st, const norn_dist *d, int i, const char *what,
                               int64_t *n)
{
  norn_status status = dist_finite_array(st, d, i, what);
  norn_view v;
  char said[120];
  *n = 0;
  if (status) return status;
  norn_array_view(d->args[i], &v);
  *n = v.n;
  return v.rank == 1 ? NORN_OK :
         norn_fail(st, NORN_ETYPE, i, "%s must be an array of numbers, got %s", what,
                   norn_describe(st, d->args[i], said, sizeof said));
}

/* ---- probabilities as an argument ------------------------------------------------------------ */

norn_status dist_probabilities(norn_state *st, const norn_dist *d, int i, const char *what,
                               int64_t *n)
{
  norn_view v;
  char said[120];
  *n = 0;
  if (i >= d->n || !norn_array_view(d->args[i], &v) || v.rank != 1 || !are_numbers(&v))
    return norn_fail(st, NORN_ETYPE, i, "%s must be an array of numbers, got %s", what,
                     i < d->n ? norn_describe(st, d->args[i], said, sizeof said) : "nothing");
  stats_tree tree = {{0}};
  for (int64_t k = 0; k < v.n; k++) {
    double w = norn_elem_real(d->args[i], k);
    if (!(w >= 0))
      return norn_fail(st, NORN_EDOMAIN, i, "%s must not be negative, got %s at element %lld", what,
                       norn_show(st, norn_real(w), true, 40), (long long)k);
    stats_tree_add(&tree, k, w);
  }
  double sum = stats_tree_sum(&tree);
  if (!(fabs(sum - 1) <= 1e-8))
    return norn_fail(st, NORN_EDOMAIN, i, "%s must sum to 1, they sum to %.10g", what, sum);
  *n = v.n;
  return NORN_OK;
}
