/* wishart: covariance matrices, alone and with a mean: wishart(nu, s), inv_wishart(nu, s),
   normal_inverse_wishart(mu0, lambda, psi, nu), normal_inverse_gamma(mu, lambda, alpha, beta).

   Densities are over the n(n+1)/2 entries on and below the diagonal (Stan functions reference,
   "Covariance matrix distributions"; Gelman et al. 2013, "Bayesian data analysis", 3rd ed., section
   3.6).  Draws by Bartlett 1933: A A' with A lower triangular, A[i, i]^2 chi-square(nu - i) and
   normal entries below, is wishart(nu, identity). */
#include "dist/matrix.h"
#include "num/special.h"
#include "num/rng.h"
#include <string.h>

static norn_status failed(norn_state *st) { return norn_error(st)->code; }

/* A into a (n, n); its logarithms where chi-square has few degrees of freedom.  Below the diagonal
   of row i there are i normals. */
static void bartlett(norn_rng *g, double nu, double *a, int64_t n)
{
  memset(a, 0, (size_t)(n * n) * sizeof *a);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < i; j++) a[i * n + j] = rng_normal(g);
    double half = dist_draw_log_gamma(g, 0.5 * (nu - (double)i));
    a[i * n + i] = dist_clamp_positive(v_exp(0.5 * (half + V_LOG_2)));
  }
}

/* log Gamma_n(a) without its power of pi: sum of log Gamma(a - i/2), i = 0..n-1; and its slope. */
static double multi_lgamma(double a, int64_t n)
{
  double sum = 0.25 * (double)n * (double)(n - 1) * V_LOG_PI;
  for (int64_t i = 0; i < n; i++) sum += special_lgamma(a - 0.5 * (double)i);
  return sum;
}
static double multi_digamma(double a, int64_t n)
{
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += special_digamma(a - 0.5 * (double)i);
  return sum;
}

static void square(const double *m, double *out, int64_t n)       /* m' m, symmetric to the bit */
{
  la_mul(true, false, n, n, n, 1, m, m, 0, out);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) out[i * n + j] = out[j * n + i];
}

static void transpose(const double *m, double *out, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) out[j * n + i] = m[i * n + j];
}

/* The factor of a symmetric positive definite value; false: it is none. */
static bool value_factor(const norn_view *v, double *l)
{
  int64_t row, column;
  if (!dist_is_symmetric(v, &row, &column)) return false;
  dist_fill_symmetric(v, l);
  return la_cholesky(l, v->dims[0]) == 0;
}

/* ---- wishart and inv_wishart ----------------------------------------------------------------- */

/* Factors of the scale s and of the value w, the matrix t with |t|^2 = trace(s^-1 w) (or of
   s w^-1), and room. */
typedef struct wish {
  int64_t n;
  double nu, *ls, *lw, *t, *u, *v;     /* (n, n) each */
  bool inverse, inside;
  dist_space space;
} wish;

static norn_status wish_open(norn_state *st, const norn_dist *d, int at_s, int at_nu, wish *w)
{
  norn_view s;
  dist_numbers(d->args[at_s], 2, &s);
  norn_as_real(d->args[at_nu], &w->nu);
  w->n = s.dims[0];
  w->inside = false;
  w->inverse = strstr(d->row->name, "inv") != NULL;
  w->ls = dist_space_open(&w->space, st, 5 * s.n);
  if (!w->ls) return NORN_EMEMORY;
  w->lw = w->ls + s.n;
  w->t = w->lw + s.n;
  w->u = w->t + s.n;
  w->v = w->u + s.n;
  dist_fill_symmetric(&s, w->ls);
  norn_status status = dist_factor(st, d, at_s, w->ls, w->n);
  if (status) dist_space_close(&w->space);
  return status;
}

static void wish_value(wish *w, const norn_view *v)
{
  const double *by = w->inverse ? w->lw : w->ls, *of = w->inverse ? w->ls : w->lw;
  w->inside = value_factor(v, w->lw);
  if (!w->inside) return;
  memcpy(w->t, of, (size_t)(w->n * w->n) * sizeof *w->t);
  la_solve_lower(false, by, w->n, w->t, w->n);
}

/* wishart: (nu-n-1)/2 log det w - 1/2 trace(s^-1 w) - nu/2 log det s
   inv_wishart: -(nu+n+1)/2 log det w - 1/2 trace(s w^-1) + nu/2 log det s
   and both - nu n/2 log 2 - log Gamma_n(nu/2).  The two large terms of nu go together. */
static double wish_logp(const wish *w)
{
  if (!w->inside) return -HUGE_VAL;
  double n = (double)w->n, sign = w->inverse ? -1 : 1;
  double log_w = la_cholesky_log_det(w->lw, w->n), log_s = la_cholesky_log_det(w->ls, w->n);
  double trace = la_dot(w->t, w->t, w->n * w->n);
  return 0.5 * w->nu * (sign * (log_w - log_s) - n * V_LOG_2) - multi_lgamma(0.5 * w->nu, w->n) -
      0.5 * (n + 1) * log_w - 0.5 * trace;
}

/* Adds to gw, gs and gnu (each may be NULL).
   wishart: in w 1/2 ((nu-n-1) w^-1 - s^-1), in s 1/2 (s^-1 w s^-1 - nu s^-1);
   inv_wishart: in w 1/2 (w^-1 s w^-1 - (nu+n+1) w^-1), in s 1/2 (nu s^-1 - w^-1). */
static void wish_partials(wish *w, double scale, double *gw, double *gs, double *gnu)
{
  int64_t n = w->n, m = n * n;
  if (!w->inside) return;
  double sign = w->inverse ? -1 : 1, step = (double)(n + 1);
  if (gnu) {
    double log_w = la_cholesky_log_det(w->lw, n), log_s = la_cholesky_log_det(w->ls, n);
    *gnu += scale * 0.5 * (sign * (log_w - log_s) - (double)n * V_LOG_2 -
                           multi_digamma(0.5 * w->nu, n));
  }
  /* v = by^-T (by^-1 of), so that v v' is s^-1 w s^-1, or w^-1 s w^-1 */
  const double *by = w->inverse ? w->lw : w->ls, *of = w->inverse ? w->ls : w->lw;
  double *g_by = w->inverse ? gw : gs, *g_of = w->inverse ? gs : gw;
  double c_by = w->inverse ? -(w->nu + step) : -w->nu, c_of = w->inverse ? w->nu : w->nu - step;
  la_cholesky_inverse(by, n, w->u);
  for (int64_t k = 0; g_by && k < m; k++) g_by[k] += 0.5 * scale * c_by * w->u[k];
  for (int64_t k = 0; g_of && k < m; k++) g_of[k] -= 0.5 * scale * w->u[k];
  if (g_of) {
    la_cholesky_inverse(of, n, w->u);
    for (int64_t k = 0; k < m; k++) g_of[k] += 0.5 * scale * c_of * w->u[k];
  }
  if (!g_by) return;
  memcpy(w->v, w->t, (size_t)m * sizeof *w->v);
  la_solve_lower(true, by, n, w->v, n);
  transpose(w->v, w->u, n);
  square(w->u, w->v, n);
  for (int64_t k = 0; k < m; k++) g_by[k] += 0.5 * scale * w->v[k];
}

/* With s = L L' and A of Bartlett: w = L A A' L', or w = M M' with M' = A^-1 L'. */
static void wish_draw(wish *w, norn_rng *g, double *out)
{
  bartlett(g, w->nu, w->t, w->n);
  if (w->inverse) {
    transpose(w->ls, w->u, w->n);
    la_solve_lower(false, w->t, w->n, w->u, w->n);
  } else {
    la_mul(false, false, w->n, w->n, w->n, 1, w->ls, w->t, 0, w->v);
    transpose(w->v, w->u, w->n);
  }
  square(w->u, out, w->n);
  for (int64_t i = 0; i < w->n; i++) out[i * (w->n + 1)] = dist_clamp_positive(out[i * (w->n + 1)]);
  dist_keep_definite(out, w->v, w->n);
}

static norn_status wishart_check(norn_state *st, const norn_dist *d)
{
  norn_view s;
  double nu;
  norn_status status = dist_want_number(st, d, 0, true, &nu);
  if (!status) status = dist_want_definite(st, d, 1, 0, -1, &s);
  return status ? status : dist_want_above(st, d, 0, (double)(s.dims[0] - 1),
                                           "the order of s minus 1", &nu);
}

static norn_status wishart_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  wish w;
  norn_status status = wish_open(st, d, 1, 0, &w);
  if (status) return status;
  double *x = dist_new_array(st, 2, (int64_t[]){w.n, w.n}, out);
  if (x) wish_draw(&w, g, x);
  dist_space_close(&w.space);
  return x ? NORN_OK : failed(st);
}

static norn_status wishart_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  wish w;
  norn_view v;
  norn_status status = wish_open(st, d, 1, 0, &w);
  if (status) return status;
  status = dist_want_value(st, d, x, 2, (int64_t[]){w.n, w.n}, &v);
  if (!status) {
    wish_value(&w, &v);
    *out = wish_logp(&w);
  }
  dist_space_close(&w.space);
  return status;
}

static norn_status wishart_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                    double *gx, double *g)
{
  wish w;
  norn_view v;
  norn_status status = wish_open(st, d, 1, 0, &w);
  if (status) return status;
  status = dist_want_value(st, d, x, 2, (int64_t[]){w.n, w.n}, &v);
  if (!status) {
    wish_value(&w, &v);
    wish_partials(&w, scale, gx, g ? g + 1 : NULL, g);
  }
  dist_space_close(&w.space);
  return status;
}

static void wishart_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  *out = (norn_support){NORN_SUPPORT_COV, -HUGE_VAL, HUGE_VAL, norn_array_length(d->args[1]), 1,
                        -1, -1};
}

/* wishart: nu s, nu (s[i,j]^2 + s[i,i] s[j,j]); inv_wishart, with c = nu - n: s/(c-1) for c > 1,
   ((c+1) s[i,j]^2 + (c-1) s[i,i] s[j,j]) / (c (c-1)^2 (c-3)) for c > 3.  Infinite on the diagonal
   where the integral is, else NaN. */
static void wish_moments(const norn_view *s, double nu, bool inverse, double *mean,
                         double *variance)
{
  int64_t n = s->dims[0];
  double c = nu - (double)n;
  for (int64_t k = 0; k < n * n; k++) {
    int64_t i = k / n, j = k % n;
    double a = dist_real_at(s, k), b = dist_real_at(s, i * (n + 1)) * dist_real_at(s, j * (n + 1));
    double none = i == j ? HUGE_VAL : (double)NAN;
    mean[k] = !inverse ? nu * a : c > 1 ? a / (c - 1) : none;
    variance[k] = !inverse ? nu * (a * a + b) : c > 3
      ? ((c + 1) * a * a + (c - 1) * b) / (c * (c - 1) * (c - 1) * (c - 3)) : c > 1 ? none :
          (double)NAN;
  }
}

static norn_status wishart_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                                   norn_datum *variance)
{
  norn_view s;
  double nu = 0;
  dist_numbers(d->args[1], 2, &s);
  norn_as_real(d->args[0], &nu);
  double *m = dist_new_array(st, 2, s.dims, mean), *v = dist_new_array(st, 2, s.dims, variance);
  if (!m || !v) return failed(st);
  wish_moments(&s, nu, strstr(d->row->name, "inv") != NULL, m, v);
  return NORN_OK;
}

/* ---- values that are records: a mean and a spread -------------------------------------------- */

/* The two fields of a value, in whichever order they stand, and where the elements of the first
   named begin among those of the value when they have `n` and `m` of them. */
static norn_status want_pair(norn_state *st, const norn_dist *d, norn_datum x, const char *first,
                             const char *second, norn_datum *a, norn_datum *b, bool *swapped)
{
  char what[120];
  const char *name = norn_record_at(st, x, 0, NULL);
  *a = norn_record_get(st, x, first);
  *b = norn_record_get(st, x, second);
  if (norn_record_size(x) != 2 || norn_is_none(*a) || norn_is_none(*b))
    return norn_fail(st, NORN_ETYPE, -1, "a value of %s is a record {%s: , %s: }, got %s",
                     d->row->name, first, second, norn_describe(st, x, what, sizeof what));
  *swapped = strcmp(name, first) != 0;
  return NORN_OK;
}

static norn_status make_pair(norn_state *st, const char *second, norn_datum a, norn_datum b,
                             norn_datum *out)
{
  const char *const names[] = {"mu", second};
  *out = norn_record(st, 2, names, (norn_datum[]){a, b});
  return norn_is_none(*out) ? failed(st) : NORN_OK;
}

/* ---- normal_inverse_wishart(mu0, lambda, psi, nu) -------------------------------------------- */

static norn_status niw_check(norn_state *st, const norn_dist *d)
{
  norn_view mu, psi;
  double x;
  norn_status status = dist_want_vector(st, d, 0, 0, &mu);
  if (!status) status = dist_want_number(st, d, 1, true, &x);
  if (!status) status = dist_want_definite(st, d, 2, mu.n, 0, &psi);
  return status ? status : dist_want_above(st, d, 3, (double)(mu.n - 1),
                                           "the order of psi minus 1", &x);
}

/* sigma, then mu = mu0 + chol(sigma) z / sqrt(lambda) */
static norn_status niw_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  wish w;
  norn_datum mu, sigma;
  double lambda = 1;
  norn_status status = wish_open(st, d, 2, 3, &w);
  if (status) return status;
  norn_as_real(d->args[1], &lambda);
  double *m = dist_new_array(st, 1, &w.n, &mu);
  double *s = m ? dist_new_array(st, 2, (int64_t[]){w.n, w.n}, &sigma) : NULL;
  if (s) {
    wish_draw(&w, g, s);
    memcpy(w.lw, s, (size_t)(w.n * w.n) * sizeof *s);
    la_cholesky(w.lw, w.n);
    for (int64_t k = 0; k < w.n; k++) w.u[k] = rng_normal(g);
    la_mul_vector(false, w.n, w.n, w.lw, w.u, m);
    for (int64_t k = 0; k < w.n; k++)
      m[k] = norn_elem_real(d->args[0], k) + m[k] / sqrt(lambda);
  }
  dist_space_close(&w.space);
  return s ? make_pair(st, "sigma", mu, sigma, out) : failed(st);
}

typedef struct niw {
  wish w;
  double lambda, q, *a;      /* |chol(sigma)^-1 (mu - mu0)|^2; sigma^-1 (mu - mu0) in a */
  bool swapped;
} niw;

static norn_status niw_open(norn_state *st, const norn_dist *d, norn_datum x, niw *p)
{
  norn_datum mu, sigma;
  norn_view m, s;
  norn_status status = want_pair(st, d, x, "mu", "sigma", &mu, &sigma, &p->swapped);
  if (!status) status = wish_open(st, d, 2, 3, &p->w);
  if (status) return status;
  int64_t n = p->w.n;
  status = dist_want_value(st, d, mu, 1, &n, &m);
  if (!status) status = dist_want_value(st, d, sigma, 2, (int64_t[]){n, n}, &s);
  if (status) { dist_space_close(&p->w.space); return status; }
  norn_as_real(d->args[1], &p->lambda);
  wish_value(&p->w, &s);
  p->a = p->w.v;
  p->q = 0;
  for (int64_t k = 0; k < n; k++) p->a[k] = dist_real_at(&m, k) - norn_elem_real(d->args[0], k);
  if (!p->w.inside) return NORN_OK;
  la_solve_lower(false, p->w.lw, n, p->a, 1);
  p->q = la_dot(p->a, p->a, n);
  la_solve_lower(true, p->w.lw, n, p->a, 1);
  return NORN_OK;
}

/* inv_wishart(nu, psi) at sigma, and multi_normal(mu0, sigma / lambda) at mu */
static norn_status niw_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  niw p;
  norn_status status = niw_open(st, d, x, &p);
  if (status) return status;
  double n = (double)p.w.n;
  *out = wish_logp(&p.w);
  if (p.w.inside)
    *out += 0.5 * (n * v_log(p.lambda) - la_cholesky_log_det(p.w.lw, p.w.n) - p.lambda * p.q) -
        n * V_LOG_SQRT_2PI;
  dist_space_close(&p.w.space);
  return NORN_OK;
}

/* gx: the elements of the fields in the order in which the record has them. */
static norn_status niw_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                double *gx, double *g)
{
  niw p;
  norn_status status = niw_open(st, d, x, &p);
  if (status) return status;
  int64_t n = p.w.n;
  double *gmu = gx ? gx + (p.swapped ? n * n : 0) : NULL;
  double *gsigma = gx ? gx + (p.swapped ? 0 : n) : NULL;
  if (p.w.inside) {
    for (int64_t k = 0; k < n; k++) {
      if (gmu) gmu[k] -= scale * p.lambda * p.a[k];
      if (g) g[k] += scale * p.lambda * p.a[k];
    }
    if (g) g[n] += scale * 0.5 * ((double)n / p.lambda - p.q);
    if (gsigma) {
      la_cholesky_inverse(p.w.lw, n, p.w.u);
      for (int64_t k = 0; k < n * n; k++)
        gsigma[k] += 0.5 * scale * (p.lambda * p.a[k / n] * p.a[k % n] - p.w.u[k]);
    }
    wish_partials(&p.w, scale, gsigma, g ? g + n + 1 : NULL, g ? g + n + 1 + n * n : NULL);
  }
  dist_space_close(&p.w.space);
  return NORN_OK;
}

static void no_map(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  (void)d;
  *out = (norn_support){NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1};
}

/* mu is a Student t with nu - n + 1 degrees of freedom: variance E sigma / lambda. */
static norn_status niw_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                               norn_datum *variance)
{
  norn_view psi;
  norn_datum m0, v0, m1, v1;
  double lambda = 1, nu = 0;
  dist_numbers(d->args[2], 2, &psi);
  norn_as_real(d->args[1], &lambda);
  norn_as_real(d->args[3], &nu);
  int64_t n = psi.dims[0];
  double *a = dist_new_array(st, 1, &n, &m0), *b = dist_new_array(st, 1, &n, &v0);
  double *m = dist_new_array(st, 2, psi.dims, &m1), *v = dist_new_array(st, 2, psi.dims, &v1);
  if (!a || !b || !m || !v) return failed(st);
  wish_moments(&psi, nu, true, m, v);
  for (int64_t k = 0; k < n; k++) {
    bool has = nu - (double)n > 0;
    a[k] = has ? norn_elem_real(d->args[0], k) : (double)NAN;
    b[k] = has ? m[k * (n + 1)] / lambda : (double)NAN;
  }
  norn_status status = make_pair(st, "sigma", m0, m1, mean);
  return status ? status : make_pair(st, "sigma", v0, v1, variance);
}

/* ---- normal_inverse_gamma(mu, lambda, alpha, beta) ------------------------------------------- */

static norn_status nig_check(norn_state *st, const norn_dist *d)
{
  norn_status status = NORN_OK;
  double x;
  for (int i = 0; i < 4 && !status; i++) status = dist_want_number(st, d, i, i > 0, &x);
  return status;
}

/* sigma2 = beta / gamma(alpha), then mu normal with variance sigma2 / lambda */
static norn_status nig_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  double p[NORN_DIST_P];
  dist_scalars(d, p);
  double s2 = dist_clamp_positive(v_exp(v_log(p[3]) - dist_draw_log_gamma(g, p[2])));
  double mu = p[0] + sqrt(s2) / sqrt(p[1]) * rng_normal(g);
  return make_pair(st, "sigma2", norn_real(mu), norn_real(s2), out);
}

static norn_status nig_value(norn_state *st, const norn_dist *d, norn_datum x, double *mu,
                             double *s2, bool *swapped)
{
  char what[120];
  norn_datum v[2];
  norn_status status = want_pair(st, d, x, "mu", "sigma2", &v[0], &v[1], swapped);
  if (status) return status;
  for (int k = 0; k < 2; k++) {
    double *to = k ? s2 : mu;
    bool number = norn_as_real(v[k], to);
    if (number && !isnan(*to)) continue;
    return norn_fail(st, NORN_ETYPE, -1, "%s of a value of %s must be a number, got %s",
                     k ? "sigma2" : "mu", d->row->name, number ? "nan" :
                     norn_describe(st, v[k], what, sizeof what));
  }
  return NORN_OK;
}

/* With s = sigma2 and e = lambda (x - mu)^2 / 2: alpha log beta - log Gamma(alpha)
   - (alpha + 1) log s - beta / s + 1/2 log(lambda / (2 pi s)) - e / s */
static norn_status nig_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  double p[NORN_DIST_P], m, s;
  bool swapped;
  norn_status status = nig_value(st, d, x, &m, &s, &swapped);
  if (status) return status;
  *out = -HUGE_VAL;
  if (!(s > 0 && s < HUGE_VAL)) return NORN_OK;
  dist_scalars(d, p);
  double e = (m - p[0]) * (m - p[0]) / s, ls = v_log(s);
  *out = (p[2] * (v_log(p[3]) - ls) - special_lgamma(p[2]) - p[3] / s) - ls +
      0.5 * (v_log(p[1]) - ls - p[1] * e) - V_LOG_SQRT_2PI;
  return NORN_OK;
}

static norn_status nig_partials(norn_state *st, const norn_dist *d, norn_datum x, double scale,
                                double *gx, double *g)
{
  double p[NORN_DIST_P], m, s;
  bool swapped;
  norn_status status = nig_value(st, d, x, &m, &s, &swapped);
  if (status || !(s > 0 && s < HUGE_VAL)) return status;
  dist_scalars(d, p);
  double y = m - p[0], pull = p[1] * y / s;
  if (gx) {
    gx[swapped] -= scale * pull;
    gx[!swapped] += scale * ((p[3] + 0.5 * p[1] * y * y) / s - p[2] - 1.5) / s;
  }
  if (!g) return NORN_OK;
  g[0] += scale * pull;
  g[1] += scale * 0.5 * (1 / p[1] - y * y / s);
  g[2] += scale * (v_log(p[3]) - v_log(s) - special_digamma(p[2]));
  g[3] += scale * (p[2] / p[3] - 1 / s);
  return NORN_OK;
}

/* mu is a Student t with 2 alpha degrees of freedom: variance E sigma2 / lambda. */
static norn_status nig_moments(norn_state *st, const norn_dist *d, norn_datum *mean,
                               norn_datum *variance)
{
  double p[NORN_DIST_P];
  dist_scalars(d, p);
  double a = p[2], b = p[3], m = a > 1 ? b / (a - 1) : HUGE_VAL;
  double v = a > 2 ? m * m / (a - 2) : a > 1 ? HUGE_VAL : (double)NAN;
  bool has = a > 0.5;
  norn_status status = make_pair(st, "sigma2", norn_real(has ? p[0] : (double)NAN), norn_real(m),
                                 mean);
  return status ? status : make_pair(st, "sigma2", norn_real(has ? m / p[1] : (double)NAN),
                                     norn_real(v), variance);
}

/* ---- the shelf ------------------------------------------------------------------------------- */

static const norn_dist_row rows[] = {
  {.name = "wishart", .params = "nu, s", .flags = NORN_DIST_CONTINUOUS,
   .doc = "A covariance matrix: nu degrees of freedom, scale matrix s of order n (mean nu s).\n"
          "Density det(W)^((nu-n-1)/2) exp(-trace(s^-1 W)/2) / (2^(nu n/2) det(s)^(nu/2) "
          "Gamma_n(nu/2)),\nnu > n - 1.\n"
          "Example: mean(wishart(4, [[1, 0], [0, 2]]))\n=> [[4.0, 0.0], [0.0, 8.0]]",
   .check = wishart_check, .sample = wishart_sample, .logp = wishart_logp,
   .partials = wishart_partials, .support = wishart_support, .moments = wishart_moments},
  {.name = "inv_wishart", .params = "nu, s", .flags = NORN_DIST_CONTINUOUS,
   .doc = "The inverse of a wishart(nu, inverse of s) matrix; mean s/(nu - n - 1).\n"
          "Density det(s)^(nu/2) det(W)^(-(nu+n+1)/2) exp(-trace(s W^-1)/2) / (2^(nu n/2) "
          "Gamma_n(nu/2)),\nnu > n - 1.\n"
          "Example: mean(inv_wishart(5, [[1, 0], [0, 2]]))\n=> [[0.5, 0.0], [0.0, 1.0]]",
   .check = wishart_check, .sample = wishart_sample, .logp = wishart_logp,
   .partials = wishart_partials, .support = wishart_support, .moments = wishart_moments},
  {.name = "normal_inverse_wishart", .params = "mu0, lambda, psi, nu",
   .flags = NORN_DIST_CONTINUOUS,
   .doc = "A record {mu, sigma}: sigma inv_wishart(nu, psi), then mu multi_normal(mu0, "
          "sigma/lambda).\n"
          "The conjugate prior of a normal vector.  A record has no map to real numbers: for "
          "engines that\nneed one, draw sigma and mu one after the other.",
   .check = niw_check, .sample = niw_sample, .logp = niw_logp, .partials = niw_partials,
   .support = no_map, .moments = niw_moments},
  {.name = "normal_inverse_gamma", .params = "mu, lambda, alpha, beta",
   .flags = NORN_DIST_CONTINUOUS,
   .doc = "A record {mu, sigma2}: sigma2 inv_gamma(alpha, beta), then mu normal with variance "
          "sigma2/lambda.\n"
          "The conjugate prior of a normal number.  A record has no map to real numbers: for "
          "engines that\nneed one, draw sigma2 and mu one after the other.\n"
          "Example: mean(normal_inverse_gamma(1, 2, 3, 4))\n=> {mu: 1.0, sigma2: 2.0}",
   .check = nig_check, .sample = nig_sample, .logp = nig_logp, .partials = nig_partials,
   .support = no_map, .moments = nig_moments},
};

const dist_shelf dist_wisharts = {rows, sizeof rows / sizeof rows[0]};
