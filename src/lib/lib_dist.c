/* lib_dist.c: distributions as values: density, distribution function, quantiles, moments, support.

   A distribution of scalars with array parameters is a product; its moments, quantiles and
   distribution functions are arrays of those of its parts.  What a row does not know is computed
   from its values where they are finitely many, else it is an error that says so. */
#include "lib/lib.h"
#include "lib/dists.h"
#include "dist/dist.h"
#include <math.h>
#include <string.h>

static bool want_dist(norn_state *st, const norn_datum *args, int i, norn_dist *d)
{
  if (norn_dist_view(args[i], d)) return true;
  lib_wrong(st, args, i, "the first argument", "a distribution");
  return false;
}

/* ---- the parts of a product ---- */

/* The shape that the array parameters of a scalar row have in common; rank 0: no product. */
static void product_shape(const norn_dist *d, norn_view *shape)
{
  shape->rank = 0;
  if (!(d->row->flags & NORN_DIST_SCALAR)) return;
  for (int k = 0; k < d->n; k++) {
    norn_view v;
    if (norn_array_view(d->args[k], &v) && v.rank > shape->rank) *shape = v;
  }
}

/* Part k of the product: its parameters into p, or what norn_dist_part makes.  What has no parts is
   asked as it is. */
static norn_status part_of(norn_state *st, const norn_dist *d, int64_t k, norn_datum *p,
                           norn_dist *part)
{
  norn_datum made;
  *part = *d;
  if (!(d->row->flags & NORN_DIST_SCALAR)) {
    norn_status code = norn_dist_part(st, d, k, &made);
    if (!code && !norn_is_none(made)) norn_dist_view(made, part);
    return code;
  }
  for (int i = 0; i < d->n && d->n <= NORN_DIST_P; i++) {
    norn_view v;
    p[i] = norn_array_view(d->args[i], &v) ? lib_elem(&v, k) : d->args[i];
  }
  if (d->n <= NORN_DIST_P) part->args = p;
  return NORN_OK;
}

/* Whether an array of values is one for each part, or for a distribution of single numbers. */
static bool by_element(const norn_dist *d)
{
  return d->row->flags & (NORN_DIST_SCALAR | NORN_DIST_POSTERIOR) || d->row->mass;
}

typedef norn_status (*part_fn)(norn_state *, const norn_dist *, norn_datum x, void *how,
                               norn_datum *out);

/* f of each part, in the product's shape; x: an array of that shape or a scalar. */
static norn_status each_part(norn_state *st, const norn_dist *d, norn_datum x, part_fn f, void *how,
                             norn_datum *out)
{
  norn_view shape, vx;
  norn_datum keep, p[NORN_DIST_P];
  product_shape(d, &shape);
  bool array = norn_array_view(x, &vx);
  if (shape.rank == 0 && (!array || !by_element(d))) return f(st, d, x, how, out);
  if (shape.rank == 0) shape = vx;
  else if (array && (vx.rank != shape.rank ||
                     memcmp(vx.dims, shape.dims, (size_t)vx.rank * sizeof vx.dims[0])))
    return norn_fail(st, NORN_ETYPE, 1, "the value does not have the shape of the distribution");
  norn_datum *r = lib_values(st, shape.n, &keep);
  if (!r) return lib_failed(st);
  for (int64_t k = 0; k < shape.n; k++) {
    norn_dist part;
    norn_status code = part_of(st, d, k, p, &part);
    if (!code) code = f(st, &part, array ? lib_elem(&vx, k) : x, how, &r[k]);
    if (code) return code;
  }
  norn_datum flat = norn_array_pack(st, r, shape.n);
  norn_view v;
  void *to = NULL;
  if (norn_is_none(flat) || shape.rank == 1) return lib_give(st, flat, out);
  norn_array_view(flat, &v);
  norn_datum a = norn_array(st, v.elem, shape.rank, shape.dims, &to);
  if (norn_is_none(a)) return lib_failed(st);
  memcpy(to, v.b, (size_t)v.n * lib_elem_size(v.elem));
  *out = a;
  return NORN_OK;
}

/* ---- finite distributions, value by value ---- */

static norn_status unknown(norn_state *st, const norn_dist *d, const char *what)
{
  norn_status code = norn_fail(st, NORN_ETYPE, 0, "the %s of %s is not known", what, d->row->name);
  norn_hint(st, "sample it: %s of an array of draws is always there", what);
  return code;
}

static bool is_finite_dist(const norn_dist *d)
{
  return (norn_dist_flags(d) & NORN_DIST_FINITE) && d->row->enumerate;
}

static norn_status nth(norn_state *st, const norn_dist *d, int64_t k, norn_datum *x, double *p)
{
  norn_status code = norn_dist_enumerate(st, d, k, x);
  if (code || norn_is_none(*x)) return code;
  code = norn_dist_logp(st, d, *x, p);
  *p = exp(*p);
  return code;
}

static bool number_of(norn_datum v, double *x)
{
  if (v.tag == NORN_BOOL) *x = (double)v.i;
  return v.tag == NORN_BOOL || norn_as_real(v, x);
}

static norn_status finite_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                  norn_datum *variance)
{
  double s[3] = { 0, 0, 0 }, p, x = 0;
  for (int64_t k = 0;; k++) {
    norn_datum v;
    norn_status code = nth(st, d, k, &v, &p);
    if (code) return code;
    if (norn_is_none(v)) break;
    if (!number_of(v, &x)) return unknown(st, d, "mean");
    s[0] += p;
    s[1] += p * x;
    s[2] += p * x * x;
  }
  double m = s[1] / s[0];
  *mean = norn_real(m);
  *variance = norn_real(fmax(s[2] / s[0] - m * m, 0));
  return NORN_OK;
}

/* ---- moments ---- */

/* Square roots of a number or of an array of them. */
static norn_status root_of(norn_state *st, norn_datum x, norn_datum *out)
{
  double v;
  norn_view view;
  void *p = NULL;
  if (norn_as_real(x, &v)) {
    *out = norn_real(sqrt(v));
    return NORN_OK;
  }
  if (!norn_array_view(x, &view)) return norn_fail(st, NORN_EUSE, 0, "this variance is no number");
  norn_datum a = norn_array(st, NORN_F64, view.rank, view.dims, &p);
  if (norn_is_none(a)) return lib_failed(st);
  for (int64_t k = 0; k < view.n; k++) ((double *)p)[k] = sqrt(norn_elem_real(x, k));
  *out = a;
  return NORN_OK;
}

static norn_status moment_of(norn_state *st, const norn_dist *d, norn_datum x, void *how,
                             norn_datum *out)
{
  static const char *const names[] = { "mean", "variance", "sd" };
  dists_what what = *(dists_what *)how;
  norn_datum mean = norn_none(), variance = norn_none();
  norn_status code;
  (void)x;
  code = d->row->moments ? dist_moments(st, d, &mean, &variance) : NORN_ETYPE;
  if (is_finite_dist(d) && (code == NORN_ETYPE || (!code && norn_is_none(mean)))) {
    if (d->row->moments && code) norn_clear(st);
    code = finite_moments(st, d, &mean, &variance);
  } else if (!d->row->moments) {
    return unknown(st, d, names[what]);
  }
  if (code) return code;
  norn_datum m = what == DISTS_MEAN ? mean : variance;
  if (norn_is_none(m)) return unknown(st, d, names[what]);
  if (m.tag == NORN_REAL && isnan(m.d))
    return norn_fail(st, NORN_EDOMAIN, 0, "the %s of %s does not exist", names[what], d->row->name);
  *out = m;
  return what == DISTS_SD ? root_of(st, m, out) : NORN_OK;
}

norn_status dists_moment(norn_state *st, const norn_dist *d, dists_what what, norn_datum *out)
{
  return each_part(st, d, norn_none(), moment_of, &what, out);
}

/* ---- quantiles ---- */

static norn_status quantile_of(norn_state *st, const norn_dist *d, norn_datum x, void *how,
                               norn_datum *out)
{
  double prob = *(double *)how, q, sum = 0;
  (void)x;
  bool has = d->row->quantile || d->row->quantile1 || d->row->cdf || d->row->cdf1;
  norn_status tried = has ? dist_quantile(st, d, prob, out) : NORN_ETYPE;
  if (tried != NORN_ETYPE || (has && !is_finite_dist(d))) return tried;
  if (!is_finite_dist(d)) return unknown(st, d, "quantile");
  if (has) norn_clear(st);
  *out = norn_none();
  for (int64_t k = 0;; k++) {
    norn_datum v;
    norn_status code = nth(st, d, k, &v, &q);
    if (code || norn_is_none(v)) return code;
    *out = v;
    sum += q;
    if (sum >= prob - 1e-12) return NORN_OK;
  }
}

norn_status dists_quantiles(norn_state *st, const norn_dist *d, const double *p, int64_t np,
                            norn_datum *out)
{
  norn_datum keep;
  double prob = p[0];
  if (np < 0) return each_part(st, d, norn_none(), quantile_of, &prob, out);
  norn_datum *r = lib_values(st, np, &keep);
  if (!r) return lib_failed(st);
  for (int64_t k = 0; k < np; k++) {
    prob = p[k];
    norn_status code = each_part(st, d, norn_none(), quantile_of, &prob, &r[k]);
    if (code) return code;
  }
  return lib_give(st, norn_array_pack(st, r, np), out);
}

/* ---- distribution functions ---- */

typedef enum { CDF, LOG_CDF, LOG_CCDF } tail_kind;
typedef struct tail { tail_kind kind; const norn_posterior *post; } tail;

/* From the probabilities of what lies up to x and above it. */
static norn_datum tail_datum(tail_kind kind, double upto, double above)
{
  double total = upto + above;
  return norn_real(kind == CDF ? upto / total : log((kind == LOG_CDF ? upto : above) / total));
}

/* By weights of draws. */
static norn_status posterior_tail(norn_state *st, const tail *t, norn_datum x, norn_datum *out)
{
  const double *w;
  double side[2] = { 0, 0 };
  if (!lib_weights(st, t->post, &w)) return lib_failed(st);
  for (int64_t k = 0; k < t->post->n; k++)
    side[norn_compare(norn_array_at(st, t->post->values, k), x) > 0] += w ? w[k] : 1;
  *out = tail_datum(t->kind, side[0], side[1]);
  return NORN_OK;
}

/* By probabilities of values. */
static norn_status finite_tail(norn_state *st, const norn_dist *d, tail_kind kind, norn_datum x,
                               norn_datum *out)
{
  double q, side[2] = { 0, 0 };
  for (int64_t k = 0;; k++) {
    norn_datum at;
    norn_status code = nth(st, d, k, &at, &q);
    if (code) return code;
    if (norn_is_none(at)) break;
    side[norn_compare(at, x) > 0] += q;
  }
  *out = tail_datum(kind, side[0], side[1]);
  return NORN_OK;
}

/* By the distribution function, or by tails that stay right where it is 0 or 1. */
static norn_status known_tail(norn_state *st, const norn_dist *d, tail_kind kind, norn_datum x,
                              double v, norn_datum *out)
{
  double q = 0;
  norn_status code = kind == CDF ? dist_cdf(st, d, x, &q) :
                     kind == LOG_CDF ? dist_mass(st, d, -HUGE_VAL, v, &q, 0, NULL) :
                     dist_mass(st, d, v, HUGE_VAL, &q, 0, NULL);
  *out = norn_real(q);
  return code;
}

static norn_status tail_of(norn_state *st, const norn_dist *d, norn_datum x, void *how,
                           norn_datum *out)
{
  double v = 0;
  const tail *t = how;
  if (t->post) return posterior_tail(st, t, x, out);
  if (!number_of(x, &v) || isnan(v)) {
    norn_datum args[2] = { norn_none(), x };
    return lib_wrong(st, args, 1, "the value", "a number");
  }
  bool has = d->row->cdf || d->row->cdf1;
  norn_status code = has ? known_tail(st, d, t->kind, x, v, out) : NORN_ETYPE;
  if (code != NORN_ETYPE || (has && !is_finite_dist(d))) return code;
  if (!is_finite_dist(d)) return unknown(st, d, "cdf");
  norn_datum first;
  if (has && (norn_dist_enumerate(st, d, 0, &first) || !number_of(first, &v))) return code;
  if (has) norn_clear(st);
  return finite_tail(st, d, t->kind, x, out);
}

static norn_status tail_native(norn_state *st, const norn_datum *args, tail_kind kind,
                               norn_datum *out)
{
  norn_dist d;
  norn_posterior post;
  if (!want_dist(st, args, 0, &d)) return lib_failed(st);
  bool is = lib_is_posterior(args[0]) && norn_posterior_view(st, args[0], &post);
  return each_part(st, &d, args[1], tail_of, &(tail){ kind, is ? &post : NULL }, out);
}

static norn_status d_cdf(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return tail_native(st, args, CDF, out);
}

static norn_status d_log_cdf(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return tail_native(st, args, LOG_CDF, out);
}

static norn_status d_log_ccdf(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return tail_native(st, args, LOG_CCDF, out);
}

/* ---- densities ---- */

static norn_status d_logpdf(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_dist d;
  double lp = 0;
  (void)n;
  if (!want_dist(st, args, 0, &d)) return lib_failed(st);
  if (norn_dist_is_big(&d, args[1])) return norn_dist_logp_big(st, &d, args[1], 0, out);
  norn_status code = norn_dist_logp(st, &d, args[1], &lp);
  *out = norn_real(lp);
  return code;
}

static norn_status d_pdf(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_status code = d_logpdf(st, args, n, out);
  if (!code && out->tag == NORN_BIG) return norn_big_apply(st, "exp", out, 1, out);
  if (!code) *out = norn_real(exp(out->d));
  return code;
}

/* ---- values and their probabilities ---- */

/* big: the probabilities as bigs where they are known so, else NULL. */
typedef struct table { norn_datum *x, *big; double *p; int64_t n; } table;

static norn_status posterior_table(norn_state *st, norn_datum posterior, const norn_posterior *post,
                                   table *t)
{
  lib_groups g;
  norn_datum keep;
  const double *w;
  if (!lib_group(st, post->values, &g) || !lib_weights(st, post, &w)) return lib_failed(st);
  t->n = g.kinds;
  t->x = lib_values(st, g.kinds, &keep);
  t->p = t->x ? lib_reals(st, g.kinds, &keep) : NULL;
  if (!t->p) return lib_failed(st);
  for (int64_t k = 0; k < g.kinds; k++) {
    t->x[k] = norn_array_at(st, post->values, g.first[k]);
    t->p[k] = 0;
  }
  for (int64_t k = 0; k < post->n; k++) t->p[g.kind[k]] += w ? w[k] : 1;
  norn_view exact;
  norn_datum bigs = lib_exact_weights(st, posterior, post);
  if (norn_is_none(bigs)) return lib_failed(st);
  if (norn_array_view(bigs, &exact) && exact.elem == NORN_VALUES && g.kinds == post->n) {
    t->big = lib_values(st, g.kinds, &keep);
    for (int64_t k = 0; t->big && k < g.kinds; k++) t->big[k] = exact.v[g.first[k]];
  }
  for (int64_t k = 0; k < g.kinds && !w; k++) t->p[k] /= (double)post->n;
  return NORN_OK;
}

static norn_status finite_table(norn_state *st, const norn_dist *d, table *t)
{
  norn_datum keep;
  norn_status code = NORN_OK;
  int64_t n = norn_dist_count(st, d);
  if (n < 0) {
    code = norn_fail(st, NORN_ETYPE, 0,
                     "the values of %s can't be listed: they are not finitely many", d->row->name);
    return code;
  }
  t->n = n;
  t->x = lib_values(st, n, &keep);
  t->p = t->x ? lib_reals(st, n, &keep) : NULL;
  if (!t->p) return lib_failed(st);
  for (int64_t k = 0; k < n && !code; k++) code = nth(st, d, k, &t->x[k], &t->p[k]);
  return code;
}

static norn_status table_of(norn_state *st, const norn_datum *args, table *t)
{
  norn_dist d;
  norn_posterior post;
  t->big = NULL;
  if (!want_dist(st, args, 0, &d)) return lib_failed(st);
  if (lib_is_posterior(args[0]) && norn_posterior_view(st, args[0], &post))
    return posterior_table(st, args[0], &post, t);
  return finite_table(st, &d, t);
}

static norn_status d_pmf(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table t;
  norn_datum keep;
  (void)n;
  norn_status code = table_of(st, args, &t);
  if (code) return code;
  int64_t dims[2] = { t.n, 2 }, *order = lib_value_order(st, t.x, t.n);
  norn_datum *row = order ? lib_values(st, 2 * t.n, &keep) : NULL;
  if (!row) return lib_failed(st);
  for (int64_t k = 0; k < t.n; k++) {
    row[2 * k] = t.x[order[k]];
    row[2 * k + 1] = t.big ? t.big[order[k]] : norn_real(t.p[order[k]]);
  }
  return lib_give(st, lib_nested(st, row, 2, dims), out);
}

static norn_status d_support_of(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table t;
  norn_datum keep;
  (void)n;
  norn_status code = table_of(st, args, &t);
  if (code) return code;
  int64_t *order = lib_value_order(st, t.x, t.n);
  norn_datum *v = order ? lib_values(st, t.n, &keep) : NULL;
  if (!v) return lib_failed(st);
  for (int64_t k = 0; k < t.n; k++) v[k] = t.x[order[k]];
  return lib_give(st, norn_array_pack(st, v, t.n), out);
}

static norn_status array_mode(norn_state *st, norn_datum array, norn_datum *out)
{
  lib_groups g;
  norn_datum keep;
  if (norn_array_length(array) == 0)
    return norn_fail(st, NORN_EDOMAIN, 0, "mode of an empty array");
  if (!lib_group(st, array, &g)) return lib_failed(st);
  int64_t *count = lib_ints(st, g.kinds, &keep), best = 0;
  if (!count) return lib_failed(st);
  memset(count, 0, (size_t)g.kinds * sizeof *count);
  for (int64_t k = 0; k < g.n; k++) count[g.kind[k]]++;
  for (int64_t k = 1; k < g.kinds; k++)
    if (count[k] > count[best]) best = k;
  return lib_give(st, norn_array_at(st, array, g.first[best]), out);
}

static norn_status d_mode(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  table t;
  (void)n;
  if (norn_array_length(args[0]) >= 0) return array_mode(st, args[0], out);
  norn_status code = table_of(st, args, &t);
  if (code) return code;
  int64_t best = 0;
  for (int64_t k = 1; k < t.n; k++)
    if (t.p[k] > t.p[best] || (t.p[k] == t.p[best] && norn_compare(t.x[k], t.x[best]) < 0))
      best = k;
  if (t.n == 0) return norn_fail(st, NORN_EDOMAIN, 0, "a distribution without values has no mode");
  *out = t.x[best];
  return NORN_OK;
}

#define FN(name, params, fn, sentence, example, result) \
  { name, params, sentence "\nExample: " example "\n=> " result, fn, NORN_PURE, NULL }

static const norn_native natives[] = {
  FN("logpdf", "d, x", d_logpdf, "The logarithm of a distribution's density or probability at x.",
     "logpdf(exponential(1), 0.5)", "-0.5"),
  FN("pdf", "d, x", d_pdf, "A distribution's density or probability at x.",
     "pdf(uniform(0, 2), 0.5)", "0.5"),
  FN("cdf", "d, x", d_cdf, "The probability of a value up to x.", "cdf(normal(0, 1), 0)", "0.5"),
  FN("log_cdf", "d, x", d_log_cdf,
     "The logarithm of the probability of a value up to x, also where cdf is 0.",
     "round(log_cdf(normal(0, 1), -40), 3)", "-804.608"),
  FN("log_ccdf", "d, x", d_log_ccdf,
     "The logarithm of the probability of a value above x, also where cdf is 1.",
     "log_ccdf(exponential(1), 1000)", "-1000.0"),
  FN("pmf", "d", d_pmf,
     "Pairs of each value of a discrete distribution or posterior and its probability, in order.",
     "pmf(bernoulli(0.25))", "[[false, 0.75], [true, 0.25]]"),
  FN("support_of", "d", d_support_of, "The values of a finite distribution or posterior, in order.",
     "support_of(bernoulli(0.25))", "[false, true]"),
  FN("mode", "x", d_mode,
     "The most probable value of a discrete distribution or posterior; the commonest of an array.",
     "mode([3, 1, 3])", "3"),
};

norn_status lib_dist_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
