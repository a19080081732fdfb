/* category: one of the categories 0..n-1, by their probabilities (categorical), their log weights
   (categorical_logit), or as the cell between cutpoints into which a shifted logistic or normal
   variable falls (ordered_logistic, ordered_probit).  Formulas of the Stan functions reference
   ("Categorical", "Ordered logistic", "Ordered probit"), which counts categories from 1. */
#include "dist/dist.h"
#include "num/rng.h"
#include "num/special.h"
#include "num/stats.h"
#include <stdio.h>
#include <string.h>

/* ---- categorical(p), categorical_logit(beta) ------------------------------------------------- */

/* Category k has probability weight(k) / total.  logs: the argument holds log weights, of which the
   largest is top. */
typedef struct {
  norn_datum of;
  int64_t n;
  bool logs;
  double top, total;
} cells;

static double weight(const cells *c, int64_t k)
{
  double w = norn_elem_real(c->of, k);
  return c->logs ? v_exp(w - c->top) : w;
}
static cells cells_of(const norn_dist *d, bool logs)
{
  cells c = {d->args[0], norn_array_length(d->args[0]), logs, -HUGE_VAL, 1};
  if (!logs) return c;
  for (int64_t k = 0; k < c.n; k++) c.top = fmax(c.top, norn_elem_real(c.of, k));
  stats_tree sum = {{0}};
  for (int64_t k = 0; k < c.n; k++) stats_tree_add(&sum, k, weight(&c, k));
  c.total = stats_tree_sum(&sum);
  return c;
}

static norn_status categorical_check(norn_state *st, const norn_dist *d)
{
  int64_t n;
  return dist_probabilities(st, d, 0, "probabilities of categorical", &n);
}
static norn_status categorical_logit_check(norn_state *st, const norn_dist *d)
{
  int64_t n;
  norn_status status = dist_finite_vector(st, d, 0, "log weights of categorical_logit", &n);
  if (status || n > 0) return status;
  return norn_fail(st, NORN_EDOMAIN, 0, "log weights of categorical_logit must not be empty");
}

/* Inversion along the running sum. */
static void cells_sample(const cells *c, norn_rng *g, norn_datum *out)
{
  int64_t last = 0;
  double u = rng_uniform(g) * c->total;
  for (int64_t k = 0; k < c->n; k++) {
    double w = weight(c, k);
    if (w > 0) last = k;
    if (w > 0 && u < w) break;
    u -= w;
  }
  *out = norn_int(last);   /* rounding may leave u past the sum: then the last possible one */
}
static void cells_logp(const cells *c, double k, double *out)
{
  if (!(k >= 0 && k < (double)c->n)) *out = -HUGE_VAL;
  else if (!c->logs) *out = v_log(norn_elem_real(c->of, (int64_t)k));
  else *out = (norn_elem_real(c->of, (int64_t)k) - c->top) - v_log(c->total);
}
/* d log p[k] / dp[k] = 1/p[k]; d log softmax(beta)[k] / dbeta = indicator - softmax */
static void cells_partials(const cells *c, double k, double scale, double *g)
{
  if (!(k >= 0 && k < (double)c->n)) return;
  for (int64_t j = 0; c->logs && j < c->n; j++) g[j] -= scale * (weight(c, j) / c->total);
  g[(int64_t)k] += c->logs ? scale : scale / norn_elem_real(c->of, (int64_t)k);
}
static double cells_cdf(const cells *c, double k)
{
  double sum = 0;
  if (k >= (double)(c->n - 1)) return 1;
  for (int64_t i = 0; i < c->n && (double)i <= k; i++) sum += weight(c, i);
  return sum / c->total;
}
static int64_t cells_quantile(const cells *c, double prob)
{
  int64_t k = 0;
  double sum = weight(c, 0);
  while (k < c->n - 1 && sum / c->total < prob) sum += weight(c, ++k);
  return k;
}
static void cells_moments(const cells *c, double *mean, double *variance)
{
  double m = 0, v = 0;
  for (int64_t k = 0; k < c->n; k++) m += (double)k * (weight(c, k) / c->total);
  for (int64_t k = 0; k < c->n; k++)
    v += ((double)k - m) * ((double)k - m) * (weight(c, k) / c->total);
  *mean = m;
  *variance = v;
}

static bool is_logs(const norn_dist *d) { return d->row->check == categorical_logit_check; }

static norn_status category_sample(norn_state *st, const norn_dist *d, norn_rng *g,
                                   norn_datum *out)
{
  cells c = cells_of(d, is_logs(d));
  (void)st;
  cells_sample(&c, g, out);
  return NORN_OK;
}
static norn_status category_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double k;
  norn_status status = dist_value(st, d->row, x, &k);
  if (status) return status;
  cells c = cells_of(d, is_logs(d));
  cells_logp(&c, k, out);
  return NORN_OK;
}
static norn_status category_partials(norn_state *st, const norn_dist *d, norn_datum x,
                                     double scale, double *gx, double *g)
{
  double k;
  norn_status status = dist_value(st, d->row, x, &k);
  (void)gx;
  if (status || !g) return status;
  cells c = cells_of(d, is_logs(d));
  cells_partials(&c, k, scale, g);
  return NORN_OK;
}
static norn_status category_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double k;
  if (!norn_as_real(x, &k)) return dist_value(st, d->row, x, &k);
  cells c = cells_of(d, is_logs(d));
  *out = cells_cdf(&c, k);
  return NORN_OK;
}
static norn_status category_quantile(norn_state *st, const norn_dist *d, double prob,
                                     norn_datum *out)
{
  cells c = cells_of(d, is_logs(d));
  (void)st;
  *out = norn_int(cells_quantile(&c, prob));
  return NORN_OK;
}
static norn_status category_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                    norn_datum *variance)
{
  double m, v;
  cells c = cells_of(d, is_logs(d));
  (void)st;
  cells_moments(&c, &m, &v);
  *mean = norn_real(m);
  *variance = norn_real(v);
  return NORN_OK;
}
static norn_status category_enumerate(norn_state *st, const norn_dist *d, int64_t k,
                                      norn_datum *out)
{
  (void)st;
  *out = k < norn_array_length(d->args[0]) ? norn_int(k) : norn_none();
  return NORN_OK;
}
static void category_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  *out = (norn_support){NORN_SUPPORT_INTEGER, 0, (double)(norn_array_length(d->args[0]) - 1), 1,
                        1, -1, -1};
}
static int64_t category_count(norn_state *st, const norn_dist *d)
{
  (void)st;
  return norn_array_length(d->args[0]);
}

/* ---- ordered_logistic(eta, c), ordered_probit(eta, c) ---------------------------------------- */

/* Category k is the cell between cutpoints k-1 and k of eta + noise. */
typedef struct {
  bool probit;
  norn_datum eta, cuts;
  norn_view grid;           /* of eta, if it is an array: a product */
  bool many;
  int64_t n, elements;      /* cutpoints; elements of eta */
} ladder;

static double cut(const ladder *l, int64_t k)
{
  return k < 0 ? -HUGE_VAL : k >= l->n ? HUGE_VAL : norn_elem_real(l->cuts, k);
}

static norn_status ordered_logistic_check(norn_state *st, const norn_dist *d)
{
  char what[60];
  int64_t n;
  double before = -HUGE_VAL, eta;
  snprintf(what, sizeof what, "eta of %s", d->row->name);
  if (d->n > 0 && norn_as_real(d->args[0], &eta)) {
    if (!isfinite(eta)) return norn_fail(st, NORN_EDOMAIN, 0, "%s must be finite", what);
  } else {
    norn_status status = dist_finite_array(st, d, 0, what);
    if (status) return status;
  }
  snprintf(what, sizeof what, "cutpoints of %s", d->row->name);
  norn_status status = dist_finite_vector(st, d, 1, what, &n);
  if (status) return status;
  if (n < 1) return norn_fail(st, NORN_EDOMAIN, 1, "%s must not be empty", what);
  for (int64_t k = 0; k < n; k++) {
    double c = norn_elem_real(d->args[1], k);
    if (!(c > before))
      return norn_fail(st, NORN_EDOMAIN, 1, "%s must rise, got %g after %g at element %lld", what,
                       c, before, (long long)k);
    before = c;
  }
  return NORN_OK;
}

static norn_status ordered_probit_check(norn_state *st, const norn_dist *d)
{
  return ordered_logistic_check(st, d);
}
static ladder ladder_of(const norn_dist *d)
{
  ladder l = {.probit = d->row->check == ordered_probit_check, .eta = d->args[0],
              .cuts = d->args[1]};
  l.many = norn_array_view(l.eta, &l.grid);
  l.n = norn_array_length(l.cuts);
  l.elements = l.many ? l.grid.n : 1;
  return l;
}

/* P(eta + noise <= c), z = c - eta */
static double below(const ladder *l, double z)
{
  return l->probit ? special_norm_cdf(z) : special_logit_inv(z);
}

/* log(1/(1 + exp -b) - 1/(1 + exp -a)) = -log(1 + exp a) - log(1 + exp -b) + log(1 - exp(a - b)),
   a < b, with width b - a */
static double logistic_cell(double a, double b, double width)
{
  double l = 0;
  if (a > -HUGE_VAL) l -= special_log1pexp(a);
  if (b < HUGE_VAL) l -= special_log1pexp(-b);
  return width < HUGE_VAL ? l + special_log1mexp(-width) : l;
}

/* log(Phi(b) - Phi(a)), a < b.  A narrow cell by the Taylor series of phi around its middle m:
   phi(m) width (1 + He2(m) h^2/3! + He4(m) h^4/5! + ...), h = width/2. */
static double normal_cell(double a, double b, double width)
{
  if (a > 0) {
    double other = -a;
    a = -b;
    b = other;
  }
  double m = a + 0.5 * width, h = 0.5 * width;
  if (width * (1 + fabs(m)) < 0.3) {
    double he[11] = {1, m}, sum = 0, term = 1;
    for (int i = 1; i < 10; i++) he[i + 1] = m * he[i] - i * he[i - 1];
    for (int i = 2; i <= 10; i += 2) {
      term *= h * h / (i * (i + 1));
      sum += he[i] * term;
    }
    return (v_log(width) - (0.5 * m * m + V_LOG_SQRT_2PI)) + v_log1p(sum);
  }
  double upper = b < HUGE_VAL ? special_norm_log_cdf(b) : 0;
  return a > -HUGE_VAL ? upper + special_log1mexp(special_norm_log_cdf(a) - upper) : upper;
}

static double ladder_cell(const ladder *l, double eta, int64_t k)
{
  double lo = cut(l, k - 1), hi = cut(l, k);
  if (k < 0 || k > l->n) return -HUGE_VAL;
  return l->probit ? normal_cell(lo - eta, hi - eta, hi - lo) :
                     logistic_cell(lo - eta, hi - eta, hi - lo);
}

/* Slopes of the log mass of cell k in a and b (its ends less eta) and in eta, which is minus their
   sum without the cancellation. */
static void logistic_slopes(double a, double b, double width, double *da, double *db, double *deta)
{
  double r = width < HUGE_VAL ? 1 / v_expm1(width) : 0;
  double under = a > -HUGE_VAL ? special_logit_inv(a) : 0;
  double over = b < HUGE_VAL ? special_logit_inv(-b) : 0;
  *da = a > -HUGE_VAL ? -(under + r) : 0;
  *db = b < HUGE_VAL ? over + r : 0;
  *deta = under - over;
}
static void normal_slopes(double a, double b, double width, double logp, double *da, double *db,
                          double *deta)
{
  double pa = a > -HUGE_VAL ? v_exp(-0.5 * a * a - V_LOG_SQRT_2PI - logp) : 0;
  double pb = b < HUGE_VAL ? v_exp(-0.5 * b * b - V_LOG_SQRT_2PI - logp) : 0;
  *da = -pa;
  *db = pb;
  *deta = pa - pb;
  if (width < HUGE_VAL) {          /* phi(b) = phi(a) exp(-(b - a)(b + a)/2) */
    double e = 0.5 * width * (a + b);
    *deta = e > 0 ? -pa * v_expm1(-e) : pb * v_expm1(e);
  }
}

static int64_t fall(const ladder *l, double eta, norn_rng *g)
{
  double u = rng_uniform(g), noise = v_log(u) - v_log1p(-u);
  int64_t k = 0;
  if (l->probit) noise = special_norm_quantile(u);
  while (k < l->n && norn_elem_real(l->cuts, k) < eta + noise) k++;
  return k;
}

static norn_status ladder_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  ladder l = ladder_of(d);
  void *data;
  if (!l.many) {
    *out = norn_int(fall(&l, norn_elem_real(l.eta, 0), g));
    return NORN_OK;
  }
  *out = norn_array(st, NORN_I64, l.grid.rank, l.grid.dims, &data);
  if (norn_is_none(*out)) return norn_error(st)->code;
  for (int64_t i = 0; i < l.elements; i++)
    ((int64_t *)data)[i] = fall(&l, norn_elem_real(l.eta, i), g);
  return NORN_OK;
}

/* The i-th number of a value, which has eta's shape. */
static norn_status ladder_shape(norn_state *st, const norn_dist *d, const ladder *l, norn_datum x,
                                norn_view *v)
{
  char what[120], shape[80];
  bool array = norn_array_view(x, v);
  if (!l->many && !array) return NORN_OK;
  if (l->many && array && v->rank == l->grid.rank &&
      !memcmp(v->dims, l->grid.dims, (size_t)v->rank * sizeof v->dims[0])) return NORN_OK;
  norn_describe(st, x, what, sizeof what);
  return !l->many ? norn_fail(st, NORN_ETYPE, -1,
                              "%s with these parameters has single values, got %s", d->row->name,
                              what)
                  : norn_fail(st, NORN_ETYPE, -1,
                              "%s with these parameters has values of shape %s, got %s",
                              d->row->name,
                              dist_shape_text(l->grid.rank, l->grid.dims, shape, sizeof shape),
                              what);
}

static norn_status ladder_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  ladder l = ladder_of(d);
  norn_view v;
  stats_tree sum = {{0}};
  norn_status status = ladder_shape(st, d, &l, x, &v);
  for (int64_t i = 0; i < l.elements && !status; i++) {
    double k;
    status = dist_value(st, d->row, l.many ? dist_view_at(&v, i) : x, &k);
    bool inside = !status && k >= 0 && k <= (double)l.n;
    stats_tree_add(&sum, i, ladder_cell(&l, norn_elem_real(l.eta, i), inside ? (int64_t)k : -1));
  }
  *out = stats_tree_sum(&sum);
  return status;
}

static norn_status ladder_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                   double *gx, double *g)
{
  ladder l = ladder_of(d);
  norn_view v;
  norn_status status = ladder_shape(st, d, &l, x, &v);
  double *gc = g ? g + l.elements : NULL;
  (void)gx;
  for (int64_t i = 0; g && i < l.elements && !status; i++) {
    double value, da, db, deta, eta = norn_elem_real(l.eta, i);
    status = dist_value(st, d->row, l.many ? dist_view_at(&v, i) : x, &value);
    if (status || !(value >= 0 && value <= (double)l.n)) continue;
    int64_t k = (int64_t)value;
    double lo = cut(&l, k - 1), hi = cut(&l, k), a = lo - eta, b = hi - eta;
    if (l.probit) normal_slopes(a, b, hi - lo, normal_cell(a, b, hi - lo), &da, &db, &deta);
    else logistic_slopes(a, b, hi - lo, &da, &db, &deta);
    g[i] += scale * deta;
    if (k > 0) gc[k - 1] += scale * da;
    if (k < l.n) gc[k] += scale * db;
  }
  return status;
}

static norn_status ladder_cdf(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  ladder l = ladder_of(d);
  double k;
  if (l.many) return norn_fail(st, NORN_ETYPE, 0, "the distribution function of %s needs a single "
                               "number as eta", d->row->name);
  if (!norn_as_real(x, &k)) return dist_value(st, d->row, x, &k);
  *out = k < 0 ? 0 : k >= (double)l.n ? 1 :
         below(&l, cut(&l, (int64_t)k) - norn_elem_real(l.eta, 0));
  return NORN_OK;
}
static norn_status ladder_quantile(norn_state *st, const norn_dist *d, double prob,
                                   norn_datum *out)
{
  ladder l = ladder_of(d);
  int64_t k = 0;
  if (l.many) return norn_fail(st, NORN_ETYPE, 0, "the quantile of %s needs a single number as eta",
                               d->row->name);
  while (k < l.n && below(&l, cut(&l, k) - norn_elem_real(l.eta, 0)) < prob) k++;
  *out = norn_int(k);
  return NORN_OK;
}
static void ladder_mean(const ladder *l, double eta, double *mean, double *variance)
{
  double m = 0, v = 0;
  for (int64_t k = 0; k <= l->n; k++) m += (double)k * v_exp(ladder_cell(l, eta, k));
  for (int64_t k = 0; k <= l->n; k++)
    v += ((double)k - m) * ((double)k - m) * v_exp(ladder_cell(l, eta, k));
  *mean = m;
  *variance = v;
}
static norn_status ladder_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                  norn_datum *variance)
{
  ladder l = ladder_of(d);
  void *means, *variances;
  if (!l.many) {
    double m, v;
    ladder_mean(&l, norn_elem_real(l.eta, 0), &m, &v);
    *mean = norn_real(m);
    *variance = norn_real(v);
    return NORN_OK;
  }
  *mean = norn_array(st, NORN_F64, l.grid.rank, l.grid.dims, &means);
  if (norn_is_none(*mean)) return norn_error(st)->code;
  *variance = norn_array(st, NORN_F64, l.grid.rank, l.grid.dims, &variances);
  if (norn_is_none(*variance)) return norn_error(st)->code;
  for (int64_t i = 0; i < l.elements; i++)
    ladder_mean(&l, norn_elem_real(l.eta, i), (double *)means + i, (double *)variances + i);
  return NORN_OK;
}
static void ladder_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  ladder l = ladder_of(d);
  (void)st;
  *out = (norn_support){NORN_SUPPORT_INTEGER, 0, (double)l.n, 1, l.elements, -1, -1};
}
static int64_t ladder_count(norn_state *st, const norn_dist *d)
{
  ladder l = ladder_of(d);
  int64_t total = 1;
  (void)st;
  for (int64_t i = 0; i < l.elements; i++)
    if (__builtin_mul_overflow(total, l.n + 1, &total)) return -1;
  return total;
}
/* Of a product the last element changes fastest. */
static norn_status ladder_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  ladder l = ladder_of(d);
  void *data;
  *out = norn_none();
  if (!l.many) {
    if (k <= l.n) *out = norn_int(k);
    return NORN_OK;
  }
  norn_datum a = norn_array(st, NORN_I64, l.grid.rank, l.grid.dims, &data);
  if (norn_is_none(a)) return norn_error(st)->code;
  for (int64_t i = l.elements; i-- > 0; k /= l.n + 1) ((int64_t *)data)[i] = k % (l.n + 1);
  if (k == 0) *out = a;
  return NORN_OK;
}

/* ---- the shelf ------------------------------------------------------------------------------- */

#define FINITE .flags = NORN_DIST_DISCRETE | NORN_DIST_FINITE
#define CATEGORY FINITE, .sample = category_sample, .logp = category_logp, \
  .partials = category_partials, .cdf = category_cdf, .quantile = category_quantile, \
  .support = category_support, .enumerate = category_enumerate, .moments = category_moments, \
  .count = category_count
#define LADDER FINITE, .sample = ladder_sample, .logp = ladder_logp, \
  .partials = ladder_partials, .cdf = ladder_cdf, .quantile = ladder_quantile, \
  .support = ladder_support, .enumerate = ladder_enumerate, .moments = ladder_moments, \
  .count = ladder_count

static const norn_dist_row rows[] = {
  {.name = "categorical", .params = "p", CATEGORY, .check = categorical_check,
   .doc = "The integers 0..len(p)-1 with probabilities p, which sum to 1."},
  {.name = "categorical_logit", .params = "beta", CATEGORY, .check = categorical_logit_check,
   .doc = "The integers 0..len(beta)-1 with probabilities exp(beta) / sum(exp(beta))."},
  {.name = "ordered_logistic", .params = "eta, c", LADDER, .check = ordered_logistic_check,
   .doc = "The cell 0..len(c) between rising cutpoints c into which eta + logistic noise falls.\n"
          "P(k) = F(c[k] - eta) - F(c[k-1] - eta), F(z) = 1/(1 + exp(-z)), c[-1] = -inf, "
          "c[len(c)] = inf.",
   .hint = "ordered_logistic(eta, c) takes the location first, then the cutpoints"},
  {.name = "ordered_probit", .params = "eta, c", LADDER, .check = ordered_probit_check,
   .doc = "The cell 0..len(c) between rising cutpoints c into which eta + normal noise falls.\n"
          "P(k) = Phi(c[k] - eta) - Phi(c[k-1] - eta), c[-1] = -inf, c[len(c)] = inf.",
   .hint = "ordered_probit(eta, c) takes the location first, then the cutpoints"},
};

const dist_shelf dist_categories = {rows, sizeof rows / sizeof rows[0]};
