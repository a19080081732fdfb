/* transform(d, f): the distribution of f(x) for x from d and a bijection f, number by number.

   f is one of the functions in `known` below, affine(loc, scale), that is the record {loc, scale},
   a record {forward, inverse, log_slope} of functions of one's own, or an array of these, applied
   from the first to the last.  With x[0] = x, x[s+1] = f[s](x[s]) and y = x[m],

       log p(y) = log p_d(x[0]) - sum over s of log |f[s]'(x[s])|.

   Reverse mode: with G[0] = d log p_d / dx and H[s] = G[s] - (log |f[s]'|)'(x[s]), the derivative
   by x[s+1] is G[s+1] = H[s] / f[s]'(x[s]), and those by loc and scale are -H[s] / scale and
   -(H[s] x[s] + 1) / scale. */
#include "dist/line.h"
#include "num/special.h"
#include <string.h>

/* ---- known bijections ------------------------------------------------------------------------ */

/* All rise; the inverse is NaN outside the range.  slope: f', log_slope: log f', bend: its
   derivative. */
typedef struct known {
  const char *name;
  double (*forward)(double), (*inverse)(double), (*slope)(double), (*log_slope)(double),
         (*bend)(double);
  double lower, upper;   /* of the domain */
} known;

static double plus_one(double x) { (void)x; return 1; }
static double same(double x) { return x; }
static double log_forward(double x) { return v_log(x); }
static double exp_forward(double x) { return v_exp(x); }
static double reciprocal(double x) { return 1 / x; }
static double log_reciprocal(double x) { return -v_log(x); }
static double minus_reciprocal(double x) { return -1 / x; }
static double square(double y) { return y >= 0 ? y * y : (double)NAN; }
static double sqrt_slope(double x) { return 0.5 / sqrt(x); }
static double sqrt_log_slope(double x) { return -V_LOG_2 - 0.5 * v_log(x); }
static double sqrt_bend(double x) { return -0.5 / x; }
static double logit(double p) { return v_log(p) - v_log1p(-p); }
static double logit_slope(double p) { return 1 / (p * (1 - p)); }
static double logit_log_slope(double p) { return -v_log(p) - v_log1p(-p); }
static double logit_bend(double p) { return (2 * p - 1) / (p * (1 - p)); }
static double inv_logit(double x) { return special_logit_inv(x); }
static double inv_logit_slope(double x) { return inv_logit(x) * inv_logit(-x); }
static double inv_logit_log_slope(double x) { return -fabs(x) - 2 * v_log1p(v_exp(-fabs(x))); }
static double inv_logit_bend(double x) { return inv_logit(-x) - inv_logit(x); }
static double log1p_slope(double x) { return 1 / (1 + x); }
static double log1p_log_slope(double x) { return -v_log1p(x); }
static double log1p_bend(double x) { return -1 / (1 + x); }
static double log_cosh(double x) { return fabs(x) + v_log1p(v_exp(-2 * fabs(x))) - V_LOG_2; }
static double tanh_slope(double x) { return exp(-2 * log_cosh(x)); }
static double tanh_log_slope(double x) { return -2 * log_cosh(x); }
static double tanh_bend(double x) { return -2 * tanh(x); }
static double atanh_slope(double x) { return 1 / ((1 - x) * (1 + x)); }
static double atanh_log_slope(double x) { return -v_log1p(-x) - v_log1p(x); }
static double atanh_bend(double x) { return 2 * x / ((1 - x) * (1 + x)); }
static double asinh_slope(double x) { return 1 / hypot(1, x); }
static double asinh_log_slope(double x) { return -v_log(hypot(1, x)); }
static double asinh_bend(double x) { return -(x / hypot(1, x)) / hypot(1, x); }
static double soft_inverse(double y) { return y + v_log(-expm1(-y)); }
static double soft_log_slope(double x) { return -special_log1pexp(-x); }
static double soft_bend(double x) { return inv_logit(-x); }

static const known all_known[] = {
  {"exp", exp_forward, log_forward, exp_forward, same, plus_one, -HUGE_VAL, HUGE_VAL},
  {"log", log_forward, exp_forward, reciprocal, log_reciprocal, minus_reciprocal, 0, HUGE_VAL},
  {"sqrt", sqrt, square, sqrt_slope, sqrt_log_slope, sqrt_bend, 0, HUGE_VAL},
  {"logit", logit, inv_logit, logit_slope, logit_log_slope, logit_bend, 0, 1},
  {"inv_logit", inv_logit, logit, inv_logit_slope, inv_logit_log_slope, inv_logit_bend,
   -HUGE_VAL, HUGE_VAL},
  {"log1p", log1p, expm1, log1p_slope, log1p_log_slope, log1p_bend, -1, HUGE_VAL},
  {"expm1", expm1, log1p, exp_forward, same, plus_one, -HUGE_VAL, HUGE_VAL},
  {"tanh", tanh, atanh, tanh_slope, tanh_log_slope, tanh_bend, -HUGE_VAL, HUGE_VAL},
  {"atanh", atanh, tanh, atanh_slope, atanh_log_slope, atanh_bend, -1, 1},
  {"sinh", sinh, asinh, cosh, log_cosh, tanh, -HUGE_VAL, HUGE_VAL},
  {"asinh", asinh, sinh, asinh_slope, asinh_log_slope, asinh_bend, -HUGE_VAL, HUGE_VAL},
  {"log1p_exp", special_log1pexp, soft_inverse, inv_logit, soft_log_slope, soft_bend, -HUGE_VAL,
   HUGE_VAL},
};

/* ---- the steps ------------------------------------------------------------------------------- */

enum { STEPS = 8 };
typedef struct step {
  const known *known;
  bool affine;                      /* else: known, or functions of one's own */
  norn_datum loc, scale;            /* numbers, or arrays with a number for each of the value */
  int64_t loc_leaf, scale_leaf;
  norn_datum forward, inverse, log_slope;
} step;
typedef struct steps {
  norn_dist base;
  int n;
  bool own;                         /* some step is a function of one's own */
  step s[STEPS];
} steps;

static const char list_of_bijections[] = "exp, log, sqrt, logit, inv_logit, log1p, expm1, tanh, "
  "atanh, sinh, asinh, log1p_exp, affine(loc, scale), an array of these, or "
  "{forward: f, inverse: g, log_slope: h}";

static norn_status no_bijection(norn_state *st, norn_datum f)
{
  char what[120];
  const char *name = f.tag == NORN_NATIVE ? ((const norn_native *)f.q)->name : NULL;
  norn_status status =
    norn_fail(st, NORN_ETYPE, 1, "transform needs a bijection whose slope is known, got %s",
              name ? name : norn_describe(st, f, what, sizeof what));
  norn_hint(st, "%s", list_of_bijections);
  return status;
}

static bool callable(norn_datum f) { return f.tag == NORN_FUN || f.tag == NORN_NATIVE; }

/* The leaf of a field of the record, whose own leaves begin at `first`. */
static int64_t field_leaf(norn_datum record, const char *name, int64_t first)
{
  norn_datum value;
  for (int i = 0; i < norn_record_size(record); i++) {
    if (!strcmp(norn_record_at(NULL, record, i, &value), name)) break;
    first += dist_leaves_of(value);
  }
  return first;
}

static norn_status step_open(norn_state *st, norn_datum f, int64_t leaf, steps *p)
{
  norn_view v;
  if (norn_array_view(f, &v) && v.elem == NORN_VALUES) {
    norn_status status = NORN_OK;
    for (int64_t k = 0; !status && k < v.n; k++) {
      status = step_open(st, v.v[k], leaf, p);
      leaf += dist_leaves_of(v.v[k]);
    }
    return status;
  }
  if (p->n == STEPS)
    return norn_fail(st, NORN_ELIMIT, 1, "transform takes at most %d bijections in a row", STEPS);
  step *s = &p->s[p->n++];
  *s = (step){.known = NULL};
  for (size_t i = 0; f.tag == NORN_NATIVE && i < sizeof all_known / sizeof all_known[0]; i++)
    if (!strcmp(((const norn_native *)f.q)->name, all_known[i].name)) s->known = &all_known[i];
  if (s->known) return NORN_OK;
  if (norn_record_size(f) == 2) {
    s->loc = norn_record_get(st, f, "loc");
    s->scale = norn_record_get(st, f, "scale");
    s->affine = !norn_is_none(s->loc) && !norn_is_none(s->scale);
    s->loc_leaf = field_leaf(f, "loc", leaf);
    s->scale_leaf = field_leaf(f, "scale", leaf);
    if (s->affine) return NORN_OK;
  }
  if (norn_record_size(f) < 3) return no_bijection(st, f);
  s->forward = norn_record_get(st, f, "forward");
  s->inverse = norn_record_get(st, f, "inverse");
  s->log_slope = norn_record_get(st, f, "log_slope");
  p->own = true;
  return callable(s->forward) && callable(s->inverse) && callable(s->log_slope)
    ? NORN_OK : no_bijection(st, f);
}

static norn_status steps_open(norn_state *st, const norn_dist *d, steps *p)
{
  char what[120];
  p->n = 0;
  p->own = false;
  if (!d->n || !norn_dist_view(d->args[0], &p->base))
    return norn_fail(st, NORN_ETYPE, 0, "d of transform must be a distribution, got %s",
                     d->n ? norn_describe(st, d->args[0], what, sizeof what) : "nothing");
  return step_open(st, d->n > 1 ? d->args[1] : norn_none(), dist_leaf(d, 1), p);
}

static double at(norn_datum v, int64_t k) { return norn_elem_real(v, k); }

static norn_status call_one(norn_state *st, norn_datum f, const char *name, double x, double *out)
{
  norn_datum arg = norn_real(x), result;
  norn_status status = norn_call(st, f, &arg, 1, &result);
  if (status || norn_as_real(result, out)) return status;
  return norn_fail(st, NORN_ETYPE, -1, "%s of a transform must give a number", name);
}

static norn_status forward(norn_state *st, const step *s, int64_t k, double x, double *y)
{
  if (s->known) *y = s->known->forward(x);
  else if (s->affine) *y = at(s->loc, k) + at(s->scale, k) * x;
  else return call_one(st, s->forward, "forward", x, y);
  return NORN_OK;
}

static norn_status inverse(norn_state *st, const step *s, int64_t k, double y, double *x)
{
  if (s->known) *x = s->known->inverse(y);
  else if (s->affine) *x = (y - at(s->loc, k)) / at(s->scale, k);
  else return call_one(st, s->inverse, "inverse", y, x);
  return NORN_OK;
}

static norn_status log_slope(norn_state *st, const step *s, int64_t k, double x, double *out)
{
  if (s->known) *out = s->known->log_slope(x);
  else if (s->affine) *out = v_log(fabs(at(s->scale, k)));
  else return call_one(st, s->log_slope, "log_slope", x, out);
  return NORN_OK;
}

/* Of known and affine steps. */
static double slope(const step *s, int64_t k, double x)
{
  return s->known ? s->known->slope(x) : at(s->scale, k);
}

static norn_status forward_all(norn_state *st, const steps *p, int64_t k, double x, double *y)
{
  norn_status status = NORN_OK;
  *y = x;
  for (int s = 0; !status && s < p->n; s++) status = forward(st, &p->s[s], k, *y, y);
  return status;
}

/* x[0] .. x[m] of y = x[m]; *inside: y is in the range. */
static norn_status trace(norn_state *st, const steps *p, int64_t k, double y, double *x,
                         bool *inside)
{
  norn_status status = NORN_OK;
  x[p->n] = y;
  for (int s = p->n; !status && s-- > 0;) status = inverse(st, &p->s[s], k, x[s + 1], &x[s]);
  *inside = isfinite(x[0]);
  return status;
}

static bool falling(const steps *p, int64_t k)
{
  bool down = false;
  for (int s = 0; s < p->n; s++) down ^= p->s[s].affine && at(p->s[s].scale, k) < 0;
  return down;
}

/* ---- check ----------------------------------------------------------------------------------- */

static norn_status check_affine(norn_state *st, const step *s, int64_t n)
{
  const norn_datum v[] = {s->loc, s->scale};
  for (int i = 0; i < 2; i++) {
    norn_view a;
    double x;
    const char *name = i ? "scale" : "loc";
    bool array = norn_array_view(v[i], &a);
    if (array ? a.elem != NORN_F64 && a.elem != NORN_I64 : !norn_as_real(v[i], &x))
      return norn_fail(st, NORN_ETYPE, 1, "%s of affine must be a number or an array of numbers",
                       name);
    if (array && a.n != n)
      return norn_fail(st, NORN_ETYPE, 1, "%s of affine has %lld numbers, the values have %lld",
                       name, (long long)a.n, (long long)n);
    for (int64_t k = 0; k < (array ? a.n : 1); k++)
      if (!isfinite(at(v[i], k)) || (i == 1 && at(v[i], k) == 0))
        return norn_fail(st, NORN_EDOMAIN, 1, "%s of affine must be finite%s, got %g", name,
                         i ? " and not 0" : "", at(v[i], k));
  }
  return NORN_OK;
}

static bool one_by_one(const norn_support *s)
{
  return s->kind <= NORN_SUPPORT_INTERVAL || s->kind == NORN_SUPPORT_ORDERED ||
      s->kind == NORN_SUPPORT_POSITIVE_ORDERED || s->kind == NORN_SUPPORT_ANY;
}

/* The values of d must lie in the domain of each step. */
static norn_status check_domain(norn_state *st, const steps *p, double lower, double upper)
{
  norn_status status = NORN_OK;
  for (int s = 0; !status && s < p->n; s++) {
    const known *k = p->s[s].known;
    if (k && (lower < k->lower || upper > k->upper))
      return norn_fail(st, NORN_EDOMAIN, 1,
                       "%s is defined between %g and %g, but its argument lies between %g and %g",
                       k->name, k->lower, k->upper, lower, upper);
    double a, b;
    status = forward(st, &p->s[s], 0, lower, &a);
    if (!status) status = forward(st, &p->s[s], 0, upper, &b);
    if (!status) lower = fmin(a, b), upper = fmax(a, b);
  }
  return status;
}

static norn_status transform_check(norn_state *st, const norn_dist *d)
{
  steps p;
  norn_support s;
  norn_status status = steps_open(st, d, &p);
  if (status) return status;
  if (norn_dist_flags(&p.base) & NORN_DIST_DISCRETE)
    return norn_fail(st, NORN_ETYPE, 0, "transform needs a continuous distribution, got %s",
                     p.base.row->name);
  norn_dist_support(st, &p.base, &s);
  bool ordered = s.kind == NORN_SUPPORT_ORDERED || s.kind == NORN_SUPPORT_POSITIVE_ORDERED;
  bool bent = ordered && (p.own || falling(&p, 0));
  for (int i = 0; ordered && i < p.n; i++)
    bent = bent || norn_array_length(p.s[i].loc) >= 0 || norn_array_length(p.s[i].scale) >= 0;
  if (!one_by_one(&s) || bent)
    return norn_fail(st, NORN_ETYPE, 0, "transform works number by number, but those of %s depend "
                     "on one another", p.base.row->name);
  for (int i = 0; !status && i < p.n; i++)
    if (p.s[i].affine) status = check_affine(st, &p.s[i], s.size * s.count);
  if (!status && !p.own && !isnan(s.lower) && !isnan(s.upper))
    status = check_domain(st, &p, s.kind == NORN_SUPPORT_POSITIVE_ORDERED ? 0 : s.lower, s.upper);
  return status;
}

/* ---- density, derivatives, draws ------------------------------------------------------------- */

/* A value of the shape of y, and where its numbers are written: *one if it is a single number. */
static norn_status value_like(norn_state *st, const norn_dist *d, norn_datum y, double *one,
                              norn_datum *value, double **data, int64_t *n)
{
  norn_view v;
  char what[120];
  void *to;
  *value = norn_none();
  *data = one;
  *n = 1;
  if (norn_as_real(y, one) && *one == *one) return NORN_OK;
  if (!norn_array_view(y, &v) || (v.elem != NORN_F64 && v.elem != NORN_I64))
    return norn_fail(st, NORN_ETYPE, -1, "a value of %s must be a number or an array of numbers, "
                     "got %s", d->row->name, norn_describe(st, y, what, sizeof what));
  *n = v.n;
  *value = norn_array(st, NORN_F64, v.rank, v.dims, &to);
  *data = to;
  return norn_is_none(*value) ? norn_error(st)->code : NORN_OK;
}

/* x of y, number by number, and the sum of log slopes. */
static norn_status back(norn_state *st, const norn_dist *d, const steps *p, norn_datum y,
                        norn_datum *value, double *log_slopes, bool *inside)
{
  double one, *to, x[STEPS + 1], part;
  int64_t n;
  norn_status status = value_like(st, d, y, &one, value, &to, &n);
  *log_slopes = 0;
  *inside = true;
  for (int64_t k = 0; !status && *inside && k < n; k++) {
    status = trace(st, p, k, norn_elem_real(y, k), x, inside);
    for (int s = 0; !status && *inside && s < p->n; s++) {
      status = log_slope(st, &p->s[s], k, x[s], &part);
      *log_slopes += part;
    }
    to[k] = x[0];
  }
  if (norn_is_none(*value)) *value = norn_real(one);
  return status;
}

static norn_status transform_logp(norn_state *st, const norn_dist *d, norn_datum y, double *out)
{
  steps p;
  norn_datum x;
  double log_slopes, logp;
  bool inside;
  norn_status status = steps_open(st, d, &p);
  if (!status) status = back(st, d, &p, y, &x, &log_slopes, &inside);
  *out = -HUGE_VAL;
  if (status || !inside) return status;
  status = norn_dist_logp(st, &p.base, x, &logp);
  *out = logp == -HUGE_VAL ? logp : logp - log_slopes;
  return status;
}

/* From `by` = the derivative by x[0] to that by y, adding those by the parameters of the steps;
   with or without the log slopes. */
static double chain(const steps *p, int64_t k, const double *x, double by, double scale,
                    bool slopes, double *g)
{
  for (int i = 0; i < p->n; i++) {
    const step *s = &p->s[i];
    if (s->known && slopes) by -= scale * s->known->bend(x[i]);
    if (s->affine && g) {
      int64_t loc = norn_array_length(s->loc) >= 0 ? k : 0;
      int64_t scales = norn_array_length(s->scale) >= 0 ? k : 0;
      double a = at(s->scale, k);
      g[s->loc_leaf + loc] -= by / a;
      g[s->scale_leaf + scales] -= (by * x[i] + (slopes ? scale : 0)) / a;
    }
    by /= slope(s, k, x[i]);
  }
  return by;
}

static norn_status no_slopes(norn_state *st)
{
  return norn_fail(st, NORN_EINFER, -1, "the derivatives of a transform by functions of one's own "
                   "are not known");
}

static norn_status transform_partials(norn_state *st, const norn_dist *d, norn_datum y,
                                      double scale, double *gx, double *g)
{
  steps p;
  norn_datum x;
  double log_slopes, one = 0, *base = &one, trail[STEPS + 1];
  bool inside;
  void *data;
  norn_status status = steps_open(st, d, &p);
  if (!status && p.own) status = no_slopes(st);
  if (!status) status = back(st, d, &p, y, &x, &log_slopes, &inside);
  if (status || !inside) return status;
  int64_t n = dist_count_numbers(x);
  if (norn_array_length(x) >= 0) {
    norn_datum scratch = norn_array(st, NORN_F64, 1, &n, &data);
    if (norn_is_none(scratch)) return norn_error(st)->code;
    base = data;
    memset(base, 0, (size_t)n * sizeof *base);
  }
  status = norn_dist_partials(st, &p.base, x, scale, base, g);
  for (int64_t k = 0; !status && k < n; k++) {
    trace(st, &p, k, norn_elem_real(y, k), trail, &inside);
    double by = chain(&p, k, trail, base[k], scale, true, g);
    if (gx) gx[k] += by;
  }
  return status;
}

static norn_status transform_sample(norn_state *st, const norn_dist *d, norn_rng *rng,
                                    norn_datum *out)
{
  steps p;
  norn_datum x = norn_none();
  double one, *to;
  int64_t n;
  norn_status status = steps_open(st, d, &p);
  if (!status) status = norn_dist_sample(st, &p.base, rng, &x);
  if (!status) status = value_like(st, d, x, &one, out, &to, &n);
  for (int64_t k = 0; !status && k < n; k++)
    status = forward_all(st, &p, k, norn_elem_real(x, k), &to[k]);
  if (norn_is_none(*out)) *out = norn_real(one);
  return status;
}

/* ---- distribution function ------------------------------------------------------------------- */

static norn_status open_line(norn_state *st, const norn_dist *d, steps *p, line *l)
{
  norn_status status = steps_open(st, d, p);
  if (!status && p->own)
    status = norn_fail(st, NORN_ETYPE, 0, "the distribution function of a transform by functions "
                       "of one's own is not known");
  return status ? status : line_open(st, &p->base, "the distribution function of transform", 0, l);
}

/* x[0] .. of an end y of an interval; an end outside the range has x[0] infinite. */
static norn_status end_trace(norn_state *st, const steps *p, const line *l, double y, double *x)
{
  double lo, hi, a = 0, b = 0;
  bool inside, down = falling(p, 0);
  line_range(st, l, &lo, &hi);
  norn_status status = forward_all(st, p, 0, lo, &a);
  if (!status) status = forward_all(st, p, 0, hi, &b);
  if (!status) status = trace(st, p, 0, y, x, &inside);
  if (!(y > fmin(a, b))) x[0] = down ? HUGE_VAL : -HUGE_VAL;
  else if (!(y < fmax(a, b))) x[0] = down ? -HUGE_VAL : HUGE_VAL;
  return status;
}

static norn_status transform_mass(norn_state *st, const norn_dist *d, double a, double b,
                                  double *out, double scale, double *g)
{
  steps p;
  line l;
  double x[2][STEPS + 1], logp;
  norn_status status = open_line(st, d, &p, &l);
  if (!status) status = end_trace(st, &p, &l, a, x[0]);
  if (!status) status = end_trace(st, &p, &l, b, x[1]);
  if (status) return status;
  bool down = falling(&p, 0);
  status = line_mass(st, &l, x[down][0], x[!down][0], out, scale, g);
  for (int i = 0; !status && g && i < 2 && *out > -HUGE_VAL; i++) {
    if (!isfinite(x[i][0])) continue;
    status = line_logp(st, &l, x[i][0], &logp);
    double by = scale * exp(logp - *out);
    chain(&p, 0, x[i], (i == 0) == down ? by : -by, scale, false, g);
  }
  return status;
}

static norn_status transform_cdf(norn_state *st, const norn_dist *d, norn_datum y, double *out)
{
  double value, mass;
  char what[120];
  if (!norn_as_real(y, &value) || isnan(value))
    return norn_fail(st, NORN_ETYPE, -1, "a value of transform must be a number, got %s",
                     norn_describe(st, y, what, sizeof what));
  norn_status status = transform_mass(st, d, -HUGE_VAL, value, &mass, 0, NULL);
  *out = fmin(exp(mass), 1);
  return status;
}

static norn_status transform_quantile(norn_state *st, const norn_dist *d, double prob,
                                      norn_datum *out)
{
  steps p;
  line l;
  norn_datum x;
  double y = (double)NAN;
  norn_status status = open_line(st, d, &p, &l);
  if (!status) status = dist_quantile(st, &p.base, falling(&p, 0) ? 1 - prob : prob, &x);
  if (!status && norn_as_real(x, &y)) status = forward_all(st, &p, 0, y, &y);
  *out = norn_real(y);
  return status;
}

/* Of affine steps alone. */
static norn_status transform_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                     norn_datum *variance)
{
  steps p;
  norn_datum m, v;
  double one[2], *to[2];
  int64_t n;
  norn_status status = steps_open(st, d, &p);
  for (int s = 0; !status && s < p.n; s++)
    if (!p.s[s].affine)
      status = norn_fail(st, NORN_ETYPE, 0,
                         "the mean and variance of transform are known of affine(loc, scale) only");
  if (!status) status = dist_moments(st, &p.base, &m, &v);
  if (!status) status = value_like(st, d, m, &one[0], mean, &to[0], &n);
  if (!status) status = value_like(st, d, v, &one[1], variance, &to[1], &n);
  for (int64_t k = 0; !status && k < n; k++) {
    status = forward_all(st, &p, k, norn_elem_real(m, k), &to[0][k]);
    to[1][k] = norn_elem_real(v, k);
    for (int s = 0; s < p.n; s++) to[1][k] *= at(p.s[s].scale, k) * at(p.s[s].scale, k);
  }
  if (norn_is_none(*mean)) *mean = norn_real(one[0]);
  if (norn_is_none(*variance)) *variance = norn_real(one[1]);
  return status;
}

/* ---- support --------------------------------------------------------------------------------- */

static void transform_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  steps p;
  double a, b;
  *out = (norn_support){NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
  if (steps_open(st, d, &p)) { norn_clear(st); return; }
  norn_dist_support(st, &p.base, out);
  if (out->kind == NORN_SUPPORT_ANY) return;
  bool down = falling(&p, 0), moved = false, arrays = false, whole = out->size * out->count == 1;
  for (int s = 0; s < p.n; s++) {
    moved = moved || p.s[s].affine;
    arrays = arrays || norn_array_length(p.s[s].loc) >= 0 || norn_array_length(p.s[s].scale) >= 0;
  }
  bool ordered = out->kind == NORN_SUPPORT_ORDERED || out->kind == NORN_SUPPORT_POSITIVE_ORDERED;
  if (out->kind == NORN_SUPPORT_POSITIVE_ORDERED) out->lower = 0;
  if (ordered) out->kind = NORN_SUPPORT_ORDERED;
  if (forward_all(st, &p, 0, out->lower, &a) || forward_all(st, &p, 0, out->upper, &b)) {
    norn_clear(st);
    return;
  }
  bool fixed[2] = {out->lower_leaf == -1, out->upper_leaf == -1};
  double bound[2] = {down ? b : a, down ? a : b};
  for (int i = 0; i < 2; i++) {
    bool end = fabs(bound[i]) < HUGE_VAL || isnan(bound[i]);
    int64_t leaf = end && (moved || !fixed[i ^ down]) ? -2 : -1;
    bool apart = isnan(bound[i]) || (!whole && (arrays || leaf == -2) && end);
    *(i ? &out->upper : &out->lower) = apart ? (double)NAN : bound[i];
    *(i ? &out->upper_leaf : &out->lower_leaf) = leaf;
  }
  if (ordered) return;
  bool below = bound[0] != -HUGE_VAL, above = bound[1] != HUGE_VAL;
  out->kind = below ? (above ? NORN_SUPPORT_INTERVAL : NORN_SUPPORT_LOWER)
                    : (above ? NORN_SUPPORT_UPPER : NORN_SUPPORT_REAL);
  if (arrays && out->kind != NORN_SUPPORT_REAL) out->kind = NORN_SUPPORT_INTERVAL;
}

/* Backwards through the steps from the derivative by y = f(x). */
static double pull(norn_state *st, const steps *p, int64_t k, double x, double by, double *g)
{
  double at_step[STEPS + 1] = {x};
  for (int s = 0; s < p->n; s++) {
    forward(st, &p->s[s], k, at_step[s], &at_step[s + 1]);
    if (!isfinite(at_step[s + 1])) return 0;   /* an end of a domain, whatever the parameters */
  }
  for (int i = p->n; i-- > 0;) {
    const step *s = &p->s[i];
    if (s->affine) {
      g[s->loc_leaf + (norn_array_length(s->loc) >= 0 ? k : 0)] += by;
      g[s->scale_leaf + (norn_array_length(s->scale) >= 0 ? k : 0)] += by * at_step[i];
    }
    by *= slope(s, k, at_step[i]);
  }
  return by;
}

static norn_status transform_bounds(norn_state *st, const norn_dist *d, double *lower,
                                    double *upper, const double *glower, const double *gupper,
                                    double *g)
{
  steps p;
  norn_support s;
  void *data;
  norn_status status = steps_open(st, d, &p);
  if (!status) status = norn_dist_support(st, &p.base, &s);
  if (!status && g && p.own) status = no_slopes(st);
  if (status) return status;
  norn_datum scratch = norn_array(st, NORN_F64, 2, (const int64_t[]){4, s.count}, &data);
  if (norn_is_none(scratch)) return norn_error(st)->code;
  double *lo = data, *hi = lo + s.count, *glo = hi + s.count, *ghi = glo + s.count;
  status = norn_dist_bounds(st, &p.base, lo, hi);
  if (s.kind == NORN_SUPPORT_POSITIVE_ORDERED) lo[0] = 0;
  for (int64_t k = 0; !status && k < s.count; k++) {
    bool down = falling(&p, k);
    double a, b;
    status = forward_all(st, &p, k, lo[k], &a);
    if (!status) status = forward_all(st, &p, k, hi[k], &b);
    if (lower) lower[k] = down ? b : a, upper[k] = down ? a : b;
    if (!g) continue;
    bool ends[2] = {fabs(lo[k]) < HUGE_VAL && fabs(a) < HUGE_VAL,
                    fabs(hi[k]) < HUGE_VAL && fabs(b) < HUGE_VAL};
    glo[k] = ends[0] ? pull(st, &p, k, lo[k], down ? gupper[k] : glower[k], g) : 0;
    ghi[k] = ends[1] ? pull(st, &p, k, hi[k], down ? glower[k] : gupper[k], g) : 0;
  }
  return status || !g ? status : norn_dist_bounds_adjoint(st, &p.base, glo, ghi, g);
}

static unsigned transform_flags(const norn_dist *d)
{
  norn_dist base;
  if (!d->n || !norn_dist_view(d->args[0], &base)) return 0;
  unsigned own = norn_record_size(d->args[1]) >= 3 ? NORN_DIST_COSTLY : 0;
  return (norn_dist_flags(&base) & ~(unsigned)NORN_DIST_SCALAR) | own;
}

static const norn_dist_row rows[] = {
  {.name = "transform", .params = "d, f",
   .doc = "The distribution of f(x) for x from d, with the Jacobian of the bijection f.\n"
          "f: exp, log, sqrt, logit, inv_logit, log1p, expm1, tanh, atanh, sinh, asinh,\n"
          "log1p_exp, affine(loc, scale), an array of these (the first is applied first), or\n"
          "{forward: f, inverse: g, log_slope: x -> log |f'(x)|}.",
   .check = transform_check, .sample = transform_sample, .logp = transform_logp,
   .partials = transform_partials, .cdf = transform_cdf, .quantile = transform_quantile,
   .mass = transform_mass, .moments = transform_moments, .support = transform_support,
   .bounds = transform_bounds, .flags_of = transform_flags},
};

const dist_shelf dist_transforms = {rows, sizeof rows / sizeof rows[0]};
