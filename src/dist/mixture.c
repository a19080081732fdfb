/* mixture(ws, ds): a draw of ds[i] with probability ws[i].

   Density sum over i of ws[i] f_i(x); its derivatives are those of the components, each by its
   responsibility ws[i] f_i(x) / f(x), and f_i(x) / f(x) by the weights.  The same holds of masses,
   with P_i in place of f_i.  Quantiles lie between those of the components. */
#include "dist/line.h"
#include "num/rng.h"
#include "num/special.h"

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
    else if (norn_dist_flags(&base) & NORN_DIST_IMPROPER)
      return norn_fail(st, NORN_ETYPE, 1,
                       "mixture needs distributions with a normaliser, element %lld is %s",
                       (long long)i, base.row->name);
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

/* Where the leaves of component i begin; before them are the weights. */
static int64_t component_leaf(norn_state *st, const norn_dist *d, int64_t i)
{
  int64_t leaf = dist_leaf(d, 1);
  for (int64_t j = 0; j < i; j++) {
    norn_dist base;
    double w;
    if (component(st, d, j, &w, &base)) leaf += norn_dist_leaves(&base);
  }
  return leaf;
}

static norn_status mixture_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                    double *gx, double *g)
{
  double total, w, logp;
  norn_status status = mixture_logp(st, d, x, &total);
  int64_t n = norn_array_length(d->args[0]), leaf = g ? dist_leaf(d, 1) : 0;
  for (int64_t i = 0; !status && i < n; i++) {
    norn_dist base;
    if (!component(st, d, i, &w, &base)) continue;
    status = norn_dist_logp(st, &base, x, &logp);
    if (!status && logp > -HUGE_VAL) {
      double share = exp(logp - total);
      if (g) g[i] += scale * share;
      if (w > 0)
        status = norn_dist_partials(st, &base, x, scale * w * share, gx, g ? g + leaf : NULL);
    }
    if (g) leaf += norn_dist_leaves(&base);
  }
  return status;
}

static norn_status component_mass(norn_state *st, const norn_dist *base, double a, double b,
                                  double *out, double scale, double *g)
{
  line l;
  norn_status status = line_open(st, base, "the distribution function of mixture", 0, &l);
  return status ? status : line_mass(st, &l, a, b, out, scale, g);
}

static norn_status mixture_mass(norn_state *st, const norn_dist *d, double a, double b, double *out,
                                double scale, double *g)
{
  int64_t n = norn_array_length(d->args[0]), leaf = dist_leaf(d, 1);
  double w, mass;
  norn_dist base;
  norn_status status = NORN_OK;
  *out = -HUGE_VAL;
  for (int64_t i = 0; !status && i < n; i++) {
    if (!component(st, d, i, &w, &base) || w == 0) continue;
    status = component_mass(st, &base, a, b, &mass, 0, NULL);
    *out = special_logaddexp(*out, v_log(w) + mass);
  }
  for (int64_t i = 0; g && !status && i < n && *out > -HUGE_VAL; i++) {
    if (!component(st, d, i, &w, &base)) continue;
    status = component_mass(st, &base, a, b, &mass, 0, NULL);
    double share = exp(mass - *out);
    g[i] += scale * share;
    if (!status && w * share > 0)
      status = component_mass(st, &base, a, b, &mass, scale * w * share, g + leaf);
    leaf += norn_dist_leaves(&base);
  }
  return status;
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
  *out = fmin(*out, 1);
  return NORN_OK;
}

static norn_status mixture_quantile(norn_state *st, const norn_dist *d, double prob,
                                    norn_datum *out)
{
  int64_t n = norn_array_length(d->args[0]);
  double lo = HUGE_VAL, hi = -HUGE_VAL, w, q;
  norn_datum value;
  norn_dist base;
  line l;
  norn_status status;
  for (int64_t i = 0; i < n; i++) {
    if (!component(st, d, i, &w, &base) || w == 0) continue;
    if ((status = dist_quantile(st, &base, prob, &value))) return status;
    if (!norn_as_real(value, &q))
      return norn_fail(st, NORN_ETYPE, 0, "mixture of %s has no quantiles", base.row->name);
    lo = fmin(lo, q);
    hi = fmax(hi, q);
  }
  if ((status = line_open(st, d, "quantile", 0, &l))) return status;
  q = lo;
  if (lo < hi && prob > 0 && prob < 1)
    status = line_solve(st, &l, prob > 0.5 ? log1p(-prob) : log(prob), prob > 0.5, lo, hi,
                        0.5 * lo + 0.5 * hi, &q);
  if (prob == 1) q = hi;
  *out = norn_real(q);
  return status || !isfinite(q) ? status : line_datum(st, &l, q, out);
}

/* sum w m and sum w (v + (m - mean)^2), number by number. */
static norn_status add_moments(norn_state *st, norn_datum m, norn_datum v, double w, int pass,
                               int64_t n, double *centre, double *spread)
{
  norn_view a, b;
  bool arrays = norn_array_view(m, &a) && norn_array_view(v, &b) && a.n == n && b.n == n;
  if (!arrays && (n != 1 || norn_array_length(m) >= 0))
    return norn_fail(st, NORN_ETYPE, 0, "the mean and variance of this mixture are not known");
  for (int64_t k = 0; k < n; k++) {
    double mk = norn_elem_real(m, k), vk = norn_elem_real(v, k), off = mk - centre[k];
    if (pass == 0) centre[k] += w * mk;
    else spread[k] += w * (vk + off * off);
  }
  return NORN_OK;
}

static norn_status mixture_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                   norn_datum *variance)
{
  int64_t n = norn_array_length(d->args[0]), elems = 1;
  double one[2] = {0, 0};
  void *centre = &one[0], *spread = &one[1];
  *mean = *variance = norn_none();
  for (int pass = 0; pass < 2; pass++)
    for (int64_t i = 0; i < n; i++) {
      norn_dist base;
      norn_datum m, v;
      double w;
      norn_view shape;
      if (!component(st, d, i, &w, &base) || w == 0) continue;
      norn_status status = dist_moments(st, &base, &m, &v);
      if (status) return status;
      if (norn_is_none(*mean) && norn_array_view(m, &shape)) {
        elems = shape.n;
        *mean = norn_array(st, NORN_F64, shape.rank, shape.dims, &centre);
        if (norn_is_none(*mean)) return norn_error(st)->code;
        *variance = norn_array(st, NORN_F64, shape.rank, shape.dims, &spread);
        if (norn_is_none(*variance)) return norn_error(st)->code;
        for (int64_t k = 0; k < elems; k++) ((double *)centre)[k] = ((double *)spread)[k] = 0;
      }
      if ((status = add_moments(st, m, v, w, pass, elems, centre, spread))) return status;
    }
  if (!norn_is_none(*mean)) return NORN_OK;
  *mean = norn_real(one[0]);
  *variance = norn_real(one[1]);
  return NORN_OK;
}

/* The wider of two bounds on one side.  If one can move, which of them it is can change. */
static void widen(double *bound, int64_t *leaf, double other, int64_t other_leaf, bool upper,
                  bool many)
{
  bool moves = *leaf != -1 || other_leaf != -1;
  if (upper ? other > *bound : other < *bound) *bound = other;
  if (moves) *leaf = -2;
  if (moves && many) *bound = (double)NAN;
}

static void widen_support(norn_support *s, const norn_support *t, bool many)
{
  bool numbers = s->kind <= NORN_SUPPORT_INTERVAL && t->kind <= NORN_SUPPORT_INTERVAL;
  if ((s->kind != t->kind && !numbers) || s->size != t->size || s->count != t->count) {
    *s = (norn_support){NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
    return;
  }
  bool below = s->lower != -HUGE_VAL && t->lower != -HUGE_VAL;   /* NaN: each unit has its own */
  bool above = s->upper != HUGE_VAL && t->upper != HUGE_VAL;
  widen(&s->lower, &s->lower_leaf, t->lower, t->lower_leaf, false, many);
  widen(&s->upper, &s->upper_leaf, t->upper, t->upper_leaf, true, many);
  if (!below) s->lower = -HUGE_VAL, s->lower_leaf = -1;
  if (!above) s->upper = HUGE_VAL, s->upper_leaf = -1;
  if (numbers) s->kind = below ? (above ? NORN_SUPPORT_INTERVAL : NORN_SUPPORT_LOWER)
                               : (above ? NORN_SUPPORT_UPPER : NORN_SUPPORT_REAL);
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
    if (s.lower_leaf >= 0) s.lower_leaf += component_leaf(st, d, i);
    if (s.upper_leaf >= 0) s.upper_leaf += component_leaf(st, d, i);
    if (first) *out = s;
    else widen_support(out, &s, s.count > 1);
    first = false;
  }
}

/* Of each unit the widest; its derivative goes to the first component that has it. */
static norn_status mixture_bounds(norn_state *st, const norn_dist *d, double *lower, double *upper,
                                  const double *glower, const double *gupper, double *g)
{
  norn_support s;
  norn_dist base;
  void *data;
  double w;
  mixture_support(st, d, &s);
  int64_t n = norn_array_length(d->args[0]), m = s.count;
  norn_datum scratch = norn_array(st, NORN_F64, 2, (const int64_t[]){4, m}, &data);
  if (norn_is_none(scratch)) return norn_error(st)->code;
  double *lo = data, *hi = lo + m, *part = hi + m;
  for (int64_t k = 0; k < m; k++) lo[k] = HUGE_VAL, hi[k] = -HUGE_VAL;
  for (int pass = 0; pass < (g ? 2 : 1); pass++)
    for (int64_t i = 0; i < n; i++) {
      if (!component(st, d, i, &w, &base) || w == 0) continue;
      norn_status status = norn_dist_bounds(st, &base, part, part + m);
      for (int64_t k = 0; !status && k < m; k++) {
        bool first = pass == 1 && part[k] == lo[k], last = pass == 1 && part[m + k] == hi[k];
        if (pass == 0) lo[k] = fmin(lo[k], part[k]), hi[k] = fmax(hi[k], part[m + k]);
        part[k] = first ? glower[k] : 0;
        part[m + k] = last ? gupper[k] : 0;
        if (first) lo[k] = (double)NAN;   /* taken */
        if (last) hi[k] = (double)NAN;
      }
      if (!status && pass == 1)
        status = norn_dist_bounds_adjoint(st, &base, part, part + m, g + component_leaf(st, d, i));
      if (status) return status;
    }
  for (int64_t k = 0; lower && k < m; k++) lower[k] = lo[k], upper[k] = hi[k];
  return NORN_OK;
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

static const norn_dist_row rows[] = {
  {.name = "mixture", .params = "ws, ds",
   .doc = "A draw of ds[i] with probability ws[i]; the weights sum to 1.\n"
          "Density sum of ws[i] times the density of ds[i].",
   .check = mixture_check, .sample = mixture_sample, .logp = mixture_logp,
   .partials = mixture_partials, .cdf = mixture_cdf, .quantile = mixture_quantile,
   .mass = mixture_mass, .support = mixture_support, .bounds = mixture_bounds,
   .enumerate = mixture_enumerate, .moments = mixture_moments, .count = mixture_count,
   .flags_of = mixture_flags},
};

const dist_shelf dist_mixture = {rows, sizeof rows / sizeof rows[0]};
