/* iid(d, n) and product(ds): independent distributions side by side.

   iid repeats one, product takes an array or a record of different ones; a value is an array or a
   record of theirs, and log densities add up.  The numbers of a value, in which derivatives come,
   are in the order of the parts (dist_count_numbers). */
#include "dist/dist.h"
#include "num/stats.h"
#include <math.h>
#include <string.h>

/* ---- parts ----------------------------------------------------------------------------------- */

/* The independent parts of an iid (n times base) or a product (ds). */
typedef struct parts {
  bool repeated;
  norn_dist base;
  norn_datum ds;
  bool record;
  int64_t n;
} parts;

static norn_status iid_open(norn_state *st, const norn_dist *d, parts *p)
{
  char what[120], name[40];
  *p = (parts){.repeated = true};
  if (!d->n || !norn_dist_view(d->args[0], &p->base))
    return norn_fail(st, NORN_ETYPE, 0, "%s of %s must be a distribution, got %s",
                     dist_param_name(d->row, 0, name, sizeof name), d->row->name,
                     d->n ? norn_describe(st, d->args[0], what, sizeof what) : "nothing");
  if (d->n > 1 && d->args[1].tag == NORN_INT && d->args[1].i >= 0) {
    p->n = d->args[1].i;
    return NORN_OK;
  }
  const char *got = d->n < 2 ? "nothing" :
                    norn_as_real(d->args[1], &(double){0}) ? norn_show(st, d->args[1], true, 40) :
                    norn_describe(st, d->args[1], what, sizeof what);
  bool negative = d->n > 1 && d->args[1].tag == NORN_INT;
  norn_fail(st, negative ? NORN_EDOMAIN : NORN_ETYPE, 1,
            "the number of repetitions of iid must be an integer, 0 or more, got %s", got);
  if (d->n > 1 && norn_array_length(d->args[1]) == 2)
    norn_hint(st, "a matrix of n rows of m draws is iid(iid(d, m), n)");
  return norn_error(st)->code;
}

static norn_status product_open(norn_state *st, const norn_dist *d, parts *p)
{
  char what[120];
  norn_datum ds = d->n ? d->args[0] : norn_none();
  *p = (parts){.ds = ds, .record = norn_record_size(ds) >= 0};
  p->n = p->record ? norn_record_size(ds) : norn_array_length(ds);
  if (p->n >= 0) return NORN_OK;
  return norn_fail(st, NORN_ETYPE, 0,
                   "product needs an array or a record of distributions, got %s",
                   d->n ? norn_describe(st, ds, what, sizeof what) : "nothing");
}

static const norn_dist_row rows[2];

static norn_status open_parts(norn_state *st, const norn_dist *d, parts *p)
{
  return d->row == &rows[0] ? iid_open(st, d, p) : product_open(st, d, p);
}

/* Part k and the name of its field, or NULL; false: no distribution. */
static bool part_at(norn_state *st, const parts *p, int64_t k, norn_dist *out, const char **name)
{
  norn_view v;
  norn_datum part = norn_none();
  *name = NULL;
  *out = p->base;
  if (p->repeated) return true;
  if (p->record) *name = norn_record_at(st, p->ds, (int)k, &part);
  else if (norn_array_view(p->ds, &v) && v.elem == NORN_VALUES) part = v.v[k];
  return norn_dist_view(part, out);
}

static norn_status product_check(norn_state *st, const norn_dist *d)
{
  parts p;
  norn_dist part;
  const char *name;
  char what[120];
  norn_status status = product_open(st, d, &p);
  for (int64_t k = 0; !status && k < p.n; k++) {
    if (part_at(st, &p, k, &part, &name)) continue;
    norn_datum bad = name ? norn_record_get(st, p.ds, name) : norn_array_at(st, p.ds, k);
    norn_describe(st, bad, what, sizeof what);
    status = name ? norn_fail(st, NORN_ETYPE, 0, "product needs distributions, field %s is %s",
                              name, what)
                  : norn_fail(st, NORN_ETYPE, 0, "product needs distributions, element %lld is %s",
                              (long long)k, what);
  }
  return status;
}

static norn_status iid_check(norn_state *st, const norn_dist *d)
{
  parts p;
  return iid_open(st, d, &p);
}

static norn_status part_of(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  parts p;
  norn_status status = open_parts(st, d, &p);
  *out = norn_none();
  if (status || k < 0 || k >= p.n) return status;
  *out = p.repeated ? d->args[0] : norn_none();
  if (p.record) norn_record_at(st, p.ds, (int)k, out);
  else if (!p.repeated) *out = norn_array_at(st, p.ds, k);
  return NORN_OK;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* A value made of those of the parts: x (n), whose memory the state owns. */
static norn_status gather(norn_state *st, const parts *p, norn_datum *x, norn_datum *out)
{
  void *data;
  if (!p->record) {
    *out = norn_array_pack(st, x, p->n);
    return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
  }
  norn_datum scratch = norn_array(st, NORN_I64, 1, &p->n, &data);
  if (norn_is_none(scratch)) return norn_error(st)->code;
  const char **names = data;
  for (int64_t k = 0; k < p->n; k++) names[k] = norn_record_at(st, p->ds, (int)k, NULL);
  *out = norn_record(st, (int)p->n, names, x);
  return norn_is_none(*out) ? norn_error(st)->code : NORN_OK;
}

static norn_status room(norn_state *st, const parts *p, norn_datum **x)
{
  void *data;
  norn_datum values = norn_array(st, NORN_VALUES, 1, &p->n, &data);
  if (norn_is_none(values)) return norn_error(st)->code;
  *x = data;
  for (int64_t k = 0; k < p->n; k++) (*x)[k] = norn_unit();
  return NORN_OK;
}

static norn_status misfit(norn_state *st, const norn_dist *d, const parts *p, norn_datum x)
{
  char what[120];
  norn_describe(st, x, what, sizeof what);
  if (p->repeated)
    return norn_fail(st, NORN_ETYPE, -1,
                     "a value of iid(%s, %lld) must be an array of length %lld, got %s",
                     p->base.row->name, (long long)p->n, (long long)p->n, what);
  if (p->record)
    return norn_fail(st, NORN_ETYPE, -1,
                     "a value of this %s must be a record with its %lld fields, got %s",
                     d->row->name, (long long)p->n, what);
  return norn_fail(st, NORN_ETYPE, -1, "a value of this %s must be an array of length %lld, got %s",
                   d->row->name, (long long)p->n, what);
}

static norn_status value_fits(norn_state *st, const norn_dist *d, const parts *p, norn_datum x)
{
  int64_t n = p->record ? norn_record_size(x) : norn_array_length(x);
  return n == p->n ? NORN_OK : misfit(st, d, p, x);
}

/* The value of part k, called `name`. */
static norn_status value_at(norn_state *st, const norn_dist *d, norn_datum x, int64_t k,
                            const char *name, norn_datum *out)
{
  *out = name ? norn_record_get(st, x, name) : norn_array_at(st, x, k);
  if (!norn_is_none(*out)) return NORN_OK;
  return name ? norn_fail(st, NORN_ETYPE, -1, "a value of this %s must have the field %s",
                          d->row->name, name)
              : norn_error(st)->code;
}

/* Whether x is n numbers of a scalar family with numbers as parameters: one grid. */
static bool as_grid(const parts *p, norn_datum x, double q[NORN_DIST_P], dist_grid *g, norn_view *v)
{
  const norn_dist *base = &p->base;
  bool plain = p->repeated && (base->row->flags & NORN_DIST_SCALAR) && base->row->logp1 &&
      base->n <= NORN_DIST_P && dist_scalars(base, q) && norn_array_view(x, v) && v->rank == 1 &&
      v->elem != NORN_VALUES;
  if (!plain) return false;
  g->rank = 1;
  g->nargs = base->n;
  g->n = g->dims[0] = p->n;
  for (int i = 0; i < base->n; i++) {
    g->array[i] = false;
    g->number[i] = q[i];
  }
  return true;
}

/* ---- density, derivatives, draws ------------------------------------------------------------- */

static norn_status parts_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  parts p;
  double q[NORN_DIST_P], logp;
  dist_grid g;
  norn_view v;
  stats_tree sum = {{0}};
  norn_status status = open_parts(st, d, &p);
  if (!status) status = value_fits(st, d, &p, x);
  if (!status && as_grid(&p, x, q, &g, &v)) return dist_rows_logp(st, &p.base, &g, &v, out);
  for (int64_t k = 0; !status && k < p.n; k++) {
    norn_dist part;
    norn_datum xk;
    const char *name;
    part_at(st, &p, k, &part, &name);
    status = value_at(st, d, x, k, name, &xk);
    if (!status) status = norn_dist_logp(st, &part, xk, &logp);
    if (!status) stats_tree_add(&sum, k, logp);
  }
  *out = stats_tree_sum(&sum);
  return status;
}

static norn_status parts_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                  double *gx, double *g)
{
  parts p;
  double q[NORN_DIST_P];
  dist_grid grid;
  norn_view v;
  norn_status status = open_parts(st, d, &p);
  if (!status) status = value_fits(st, d, &p, x);
  if (!status && as_grid(&p, x, q, &grid, &v) && p.base.row->partials1)
    return dist_rows_partials(st, &p.base, &grid, &v, scale, gx, g);
  for (int64_t k = 0; !status && k < p.n; k++) {
    norn_dist part;
    norn_datum xk;
    const char *name;
    part_at(st, &p, k, &part, &name);
    if ((status = value_at(st, d, x, k, name, &xk))) break;
    status = norn_dist_partials(st, &part, xk, scale, gx, g);
    if (gx) gx += dist_count_numbers(xk);
    if (g && !p.repeated) g += norn_dist_leaves(&part);
  }
  return status;
}

/* Of a scalar family with single numbers: a product.  Anything else is packed afterwards. */
static norn_status parts_sample(norn_state *st, const norn_dist *d, norn_rng *rng, norn_datum *out)
{
  parts p;
  dist_grid grid = {.rank = 1};
  norn_datum *x;
  norn_status status = open_parts(st, d, &p);
  if (status) return status;
  if (p.repeated && (p.base.row->flags & NORN_DIST_SCALAR) && p.base.row->sample1 &&
      dist_scalars(&p.base, grid.number)) {
    grid.nargs = p.base.n;
    grid.n = grid.dims[0] = p.n;
    return dist_rows_sample(st, p.base.row, &grid, rng, out);
  }
  if ((status = room(st, &p, &x))) return status;
  for (int64_t k = 0; !status && k < p.n; k++) {
    norn_dist part;
    const char *name;
    part_at(st, &p, k, &part, &name);
    status = norn_dist_sample(st, &part, rng, &x[k]);
  }
  return status ? status : gather(st, &p, x, out);
}

static norn_status parts_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                 norn_datum *variance)
{
  parts p;
  norn_datum *m, *v;
  norn_status status = open_parts(st, d, &p);
  if (!status) status = room(st, &p, &m);
  if (!status) status = room(st, &p, &v);
  for (int64_t k = 0; !status && k < p.n; k++) {
    norn_dist part;
    const char *name;
    part_at(st, &p, k, &part, &name);
    if (p.repeated && k > 0) m[k] = m[0], v[k] = v[0];
    else status = dist_moments(st, &part, &m[k], &v[k]);
  }
  if (!status) status = gather(st, &p, m, mean);
  return status ? status : gather(st, &p, v, variance);
}

/* ---- support --------------------------------------------------------------------------------- */

static bool numbers(norn_support_kind kind) { return kind <= NORN_SUPPORT_INTERVAL; }

/* s takes in the unit of t; false: it is of another kind, or more than one, which values in rows of
   one shape can't tell. */
static bool join(norn_support *s, const norn_support *t)
{
  bool both = numbers(s->kind) && numbers(t->kind);
  if ((s->kind != t->kind && !both) || s->size != t->size || t->kind == NORN_SUPPORT_ANY ||
      t->count != 1)
    return false;
  if (s->kind != t->kind) s->kind = NORN_SUPPORT_INTERVAL;   /* the bounds of each say what it is */
  for (int i = 0; i < 2; i++) {
    double *a = i ? &s->upper : &s->lower, b = i ? t->upper : t->lower;
    int64_t *leaf = i ? &s->upper_leaf : &s->lower_leaf, other = i ? t->upper_leaf : t->lower_leaf;
    if (*a != b || *leaf != -1 || other != -1) *a = (double)NAN;
    if (*leaf != -1 || other != -1) *leaf = -2;
  }
  s->count += t->count;
  return true;
}

static void parts_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  const norn_support any = {NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
  parts p;
  int64_t leaf = 0;
  *out = any;
  if (open_parts(st, d, &p)) { norn_clear(st); return; }
  if (p.repeated) {
    norn_dist_support(st, &p.base, out);
    if (isnan(out->lower) && out->lower_leaf >= 0) out->lower_leaf = -2;   /* they come again */
    if (isnan(out->upper) && out->upper_leaf >= 0) out->upper_leaf = -2;
    out->count *= p.n;
    return;
  }
  for (int64_t k = 0; k < p.n && !p.record; k++) {   /* records: a question for the parts */
    norn_dist part;
    norn_support s;
    const char *name;
    part_at(st, &p, k, &part, &name);
    norn_dist_support(st, &part, &s);
    if (p.n > 1 && s.count != 1) { *out = any; return; }
    if (s.lower_leaf >= 0) s.lower_leaf += leaf;
    if (s.upper_leaf >= 0) s.upper_leaf += leaf;
    leaf += norn_dist_leaves(&part);
    if (k == 0) *out = s;
    else if (!join(out, &s)) { *out = any; return; }
  }
}

static norn_status parts_bounds(norn_state *st, const norn_dist *d, double *lower, double *upper,
                                const double *glower, const double *gupper, double *g)
{
  parts p;
  norn_support s;
  norn_status status = open_parts(st, d, &p);
  parts_support(st, d, &s);
  if (!status && s.kind == NORN_SUPPORT_ANY) {   /* a question for the parts */
    if (lower) *lower = -HUGE_VAL, *upper = HUGE_VAL;
    return NORN_OK;
  }
  for (int64_t k = 0, at = 0; !status && k < p.n; k++) {
    norn_dist part;
    const char *name;
    part_at(st, &p, k, &part, &name);
    norn_dist_support(st, &part, &s);
    if (lower) status = norn_dist_bounds(st, &part, lower + at, upper + at);
    if (!status && g) status = norn_dist_bounds_adjoint(st, &part, glower + at, gupper + at, g);
    if (g && !p.repeated) g += norn_dist_leaves(&part);
    at += s.count;
  }
  return status;
}

/* ---- values that can be listed: all combinations, the last part changing fastest ------------- */

static norn_status parts_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  parts p;
  norn_datum *x;
  norn_status status = open_parts(st, d, &p);
  *out = norn_none();
  if (status || k < 0 || (status = room(st, &p, &x))) return status;
  for (int64_t i = p.n; i-- > 0;) {
    norn_dist part;
    const char *name;
    part_at(st, &p, i, &part, &name);
    int64_t count = norn_dist_count(st, &part);
    if (count == 0) return NORN_OK;
    if (count < 0)
      return p.repeated
        ? norn_fail(st, NORN_EINFER, 0, "the values of iid(%s, %lld) can't be enumerated",
                    part.row->name, (long long)p.n)
        : norn_fail(st, NORN_EINFER, 0, "the values of product can't be enumerated: those of %s "
                    "have no end", part.row->name);
    if ((status = norn_dist_enumerate(st, &part, k % count, &x[i]))) return status;
    k /= count;
  }
  return k > 0 ? NORN_OK : gather(st, &p, x, out);
}

static int64_t parts_count(norn_state *st, const norn_dist *d)
{
  parts p;
  int64_t total = 1, count = 1;
  if (open_parts(st, d, &p)) { norn_clear(st); return -1; }
  for (int64_t k = 0; k < p.n; k++) {
    norn_dist part;
    const char *name;
    part_at(st, &p, k, &part, &name);
    if (k == 0 || !p.repeated) count = norn_dist_count(st, &part);
    if (count < 0 || __builtin_mul_overflow(total, count, &total)) return -1;
    if (p.repeated && count < 2) return count;
  }
  return total;
}

/* Only what all parts share. */
static unsigned parts_flags(const norn_dist *d)
{
  const unsigned some = NORN_DIST_IMPROPER | NORN_DIST_COSTLY;
  unsigned all = ~0u, any = 0;
  parts p;
  norn_dist part;
  const char *name;
  if (!d->n) return 0;
  bool repeated = d->row == &rows[0];
  p = (parts){.repeated = repeated, .ds = d->args[0],
              .record = !repeated && norn_record_size(d->args[0]) >= 0};
  if (repeated && !norn_dist_view(d->args[0], &p.base)) return 0;
  p.n = repeated ? 1 : p.record ? norn_record_size(p.ds) : norn_array_length(p.ds);
  for (int64_t k = 0; k < p.n; k++) {
    if (!part_at(NULL, &p, k, &part, &name)) return 0;
    all &= norn_dist_flags(&part);
    any |= norn_dist_flags(&part);
  }
  if (p.n < 1) return NORN_DIST_DISCRETE | NORN_DIST_FINITE;
  return (all & ~(unsigned)(NORN_DIST_SCALAR | NORN_DIST_BOOL) & ~some) | (any & some);
}

#define PARTS .sample = parts_sample, .logp = parts_logp, .partials = parts_partials,              \
  .support = parts_support, .bounds = parts_bounds, .enumerate = parts_enumerate,                  \
  .count = parts_count, .moments = parts_moments, .part = part_of, .flags_of = parts_flags

static const norn_dist_row rows[2] = {
  {.name = "iid", .params = "d, n", .doc = "An array of n independent draws of d.",
   .check = iid_check, PARTS},
  {.name = "product", .params = "ds",
   .doc = "Independent draws of each of ds, an array or a record of distributions.\n"
          "Values are arrays, or records with the same fields.",
   .check = product_check, PARTS},
};

const dist_shelf dist_products = {rows, sizeof rows / sizeof rows[0]};
