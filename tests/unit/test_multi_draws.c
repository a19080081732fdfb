/* test_multi_draws: draws of vectors and matrices.

   Each family is drawn at several parameters.  What must follow a scalar law does so by Kolmogorov
   and Smirnov (marginals, whitened residuals, quadratic forms); the mean of every derivative of the
   log density in a parameter must vanish, which ties draws to density; means and variances are
   those the family claims.  A test fails wrongly with probability 1e-5. */
#include "multi.h"
#include "num/special.h"
#include <stdlib.h>

enum { DRAWS = 20000 / UNIT_PART };
static norn_state *st;
static int tests;

/* ---- laws ------------------------------------------------------------------------------------ */

typedef struct { const char *name; double p[3]; } law;   /* a scalar family */

static double law_cdf(const law *l, double x) { return dist_find(l->name)->cdf1(x, l->p); }

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* sup |F_n - F| sqrt(n) is above 2.5 with probability 2 exp(-2 * 2.5^2) = 7e-6. */
static void check_law(const char *what, double *x, int n, law l)
{
  double most = 0;
  qsort(x, (size_t)n, sizeof *x, by_size);
  for (int k = 0; k < n; k++) {
    double c = law_cdf(&l, x[k]);
    most = fmax(most, fmax(c - (double)k / n, (double)(k + 1) / n - c));
  }
  tests++;
  CHECK(most * sqrt(n) < 2.5);
  if (!(most * sqrt(n) < 2.5))
    fprintf(stderr, "  %s: distance %.3g of %s(%g, %g, %g)\n", what, most * sqrt(n), l.name, l.p[0],
            l.p[1], l.p[2]);
}

/* The mean of n numbers is `want` within 4.5 standard errors, and rounding. */
static void check_mean(const char *what, const double *x, int n, double want)
{
  double sum = 0, square = 0;
  for (int k = 0; k < n; k++) sum += x[k] / n;
  for (int k = 0; k < n; k++) square += (x[k] - sum) * (x[k] - sum) / (n - 1.0);
  double se = sqrt(square / n) + 1e-12 * (fabs(want) + 1e-3);
  tests++;
  CHECK(fabs(sum - want) < 4.5 * se);
  if (!(fabs(sum - want) < 4.5 * se))
    fprintf(stderr, "  %s: mean %.6g, not %.6g, %.3g standard errors\n", what, sum, want,
            (sum - want) / se);
}

/* ---- draws as numbers ------------------------------------------------------------------------ */

typedef struct { const instance *f; int size; double *x; /* (DRAWS, size) */ } sample;

/* The numbers of a draw: those of an array, or of a record's fields in order. */
static void numbers_of(norn_datum v, double *out)
{
  int fields = norn_record_size(v);
  norn_view a;
  for (int i = 0; i < fields; i++) {
    norn_datum field;
    norn_record_at(st, v, i, &field);
    numbers_of(field, out);
    out += norn_array_view(field, &a) ? a.n : 1;
  }
  if (fields >= 0) return;
  int64_t n = norn_array_view(v, &a) ? a.n : 1;
  for (int64_t k = 0; k < n; k++) out[k] = norn_elem_real(v, k);
}

static sample sample_of(const instance *f, uint32_t lane)
{
  sample s = {f, piece_size(&f->value), NULL};
  norn_rng g = stream_of(lane);
  norn_dist d;
  s.x = malloc(sizeof *s.x * DRAWS * (size_t)s.size);
  if (!s.x || !norn_dist_view(instance_dist(st, f), &d)) { CHECK(!"a distribution"); abort(); }
  for (int k = 0; k < DRAWS; k++) {
    norn_datum v;
    double logp = 0;
    CHECK(!norn_dist_sample(st, &d, &g, &v));
    numbers_of(v, s.x + k * s.size);
    /* a draw never leaves the support */
    bool inside = !norn_dist_logp(st, &d, v, &logp) && isfinite(logp);
    if (!inside) { CHECK(!"a draw inside the support"); fprintf(stderr, "  of %s\n", f->name); }
  }
  return s;
}

/* Column j of the draws, times c; free it. */
static double *column(const sample *s, int j, double c)
{
  double *y = malloc(DRAWS * sizeof *y);
  if (!y) abort();
  for (int k = 0; k < DRAWS; k++) y[k] = c * s->x[k * s->size + j];
  return y;
}

/* Means and variances of all elements are those of the row's moments, where they are finite (those
   of squares need fourth moments: only where `squares`). */
static void check_moments(const sample *s, bool squares)
{
  norn_dist d;
  norn_datum mean, variance;
  double m[40], v[40];
  norn_dist_view(instance_dist(st, s->f), &d);
  CHECK(!dist_moments(st, &d, &mean, &variance));
  numbers_of(mean, m);
  numbers_of(variance, v);
  for (int j = 0; j < s->size; j++) {
    double *y = column(s, j, 1);
    if (isfinite(m[j]) && isfinite(v[j])) check_mean(s->f->name, y, DRAWS, m[j]);
    for (int k = 0; k < DRAWS; k++) y[k] = (y[k] - m[j]) * (y[k] - m[j]);
    if (squares && isfinite(v[j])) check_mean(s->f->name, y, DRAWS, v[j]);
    free(y);
  }
}

/* The value of draw k as a datum. */
static norn_datum draw_datum(const sample *s, int k)
{
  piece p = s->f->value;
  memcpy(p.x, s->x + k * s->size, (size_t)s->size * sizeof *p.x);
  return piece_datum(st, &p);
}

/* E d log p / d theta = 0 for each leaf theta. */
static void check_scores(const sample *s)
{
  enum { FEW = 4000 / UNIT_PART };
  norn_dist d;
  int leaves = 0;
  for (int i = 0; i < s->f->n; i++) leaves += piece_size(&s->f->arg[i]);
  double *g = calloc((size_t)leaves * FEW, sizeof *g), *one_ = malloc((size_t)leaves * sizeof *g);
  if (!g || !one_) abort();
  norn_dist_view(instance_dist(st, s->f), &d);
  for (int k = 0; k < FEW; k++) {
    memset(one_, 0, (size_t)leaves * sizeof *g);
    CHECK(!norn_dist_partials(st, &d, draw_datum(s, k), 1, NULL, one_));
    for (int j = 0; j < leaves; j++) g[j * FEW + k] = one_[j];
  }
  for (int j = 0; j < leaves; j++) check_mean(s->f->name, g + j * FEW, FEW, 0);
  free(g);
  free(one_);
}

/* ---- normal and Student t -------------------------------------------------------------------- */

/* The covariance factor of an instance; nu of a Student t, else 0. */
static double factor_of(const instance *f, double *l)
{
  const piece *m = &f->arg[f->n - 1];
  double inverse[36], half[36];
  int n = m->n;
  if (m->kind == LOWER) {
    memcpy(l, m->x, sizeof half);
  } else if (strstr(f->name, "prec")) {   /* omega = L L': sigma = (L^-1)' (L^-1) */
    plain_factor(n, m->x, half);
    double columns[36];
    for (int j = 0; j < n; j++) {
      double e[6] = {0};
      e[j] = 1;
      plain_solve(n, half, e);
      for (int i = 0; i < n; i++) columns[j * n + i] = e[i];
    }
    product_with_self(n, columns, inverse);
    plain_factor(n, inverse, l);
  } else {
    plain_factor(n, m->x, l);
  }
  return f->n == 3 ? f->arg[0].x[0] : 0;
}

static void test_vector(const instance *f, uint32_t lane)
{
  sample s = sample_of(f, lane);
  const piece *mu = &f->arg[f->n - 2];
  int n = mu->n;
  double l[36], nu = factor_of(f, l), *z = malloc(sizeof *z * DRAWS * (size_t)(n + 2));
  if (!z) abort();
  for (int k = 0; k < DRAWS; k++) {
    double y[6], square = 0;
    for (int j = 0; j < n; j++) y[j] = s.x[k * s.size + s.size - n + j] - mu->x[s.size - n + j];
    plain_solve(n, l, y);
    for (int j = 0; j < n; j++) {
      z[j * DRAWS + k] = y[j];
      square += y[j] * y[j];
    }
    z[n * DRAWS + k] = nu > 0 ? square / (nu + square) : square;
    z[(n + 1) * DRAWS + k] = n > 1 ? y[0] / sqrt(square) * (y[1] / sqrt(square)) : 0;
  }
  law one_ = {"normal", {0, 1}}, t = {"student_t", {nu, 0, 1}};
  law whole_ = {"gamma", {0.5 * n, 0.5}}, beta = {"beta", {0.5 * n, 0.5 * nu}};
  check_mean("directions", z + (n + 1) * DRAWS, DRAWS, 0);
  for (int j = 0; j < n; j++) check_law(f->name, z + j * DRAWS, DRAWS, nu > 0 ? t : one_);
  check_law(f->name, z + n * DRAWS, DRAWS, nu > 0 ? beta : whole_);
  check_moments(&s, nu == 0 || nu > 4);
  check_scores(&s);
  free(z);
  free(s.x);
}

static void test_vectors(void)
{
  norn_rng rng = stream_of(5), *g = &rng;
  for (int n = 1; n <= 4; n++) {
    piece mu = {VECTOR, n, 1, {1, -2, 30, 0}}, rows = {ROWS, n, 2, {0, 1, 2, 3, 4, 5, 6, 7}};
    piece s = {SYMMETRIC, n, n, {0}}, l = {LOWER, n, n, {0}};
    random_definite(g, n, 0.1, s.x);
    random_lower(g, n, l.x);
    uint32_t lane = (uint32_t)n * 10;
    test_vector(&(instance){"multi_normal", 2, {mu, s}, mu}, lane);
    test_vector(&(instance){"multi_normal_cholesky", 2, {mu, l}, mu}, lane + 1);
    test_vector(&(instance){"multi_normal_prec", 2, {mu, s}, mu}, lane + 2);
    test_vector(&(instance){"multi_normal", 2, {rows, s}, rows}, lane + 3);
    test_vector(&(instance){"multi_normal_prec", 2, {rows, s}, rows}, lane + 4);
    static const double nus[] = {0.4, 3, 9, 1e7};
    for (int i = 0; i < 4; i++)
      test_vector(&(instance){"multi_student_t", 3, {{NUMBER, 1, 1, {nus[i]}}, mu, s}, mu},
                  lane + 5 + (uint32_t)i);
  }
  double r = 1 - 1e-9;    /* nearly singular: the difference of both has a sd of 4e-5 */
  test_vector(&(instance){"multi_normal", 2, {{VECTOR, 2, 1, {0, 0}}, {SYMMETRIC, 2, 2, {1, r, r,
      1}}}, {VECTOR, 2, 1, {0}}}, 77);
}

/* A Gaussian process is the normal vector with the covariance of its kernel. */
static void test_process(void)
{
  piece x = {ROWS, 2, 4, {0, 0, 0.3, 0.1, 1, -1, 2, 0.5}}, mean = {VECTOR, 4, 1, {1, 2, 3, 4}};
  for (int form = 0; form < 8; form++) {
    piece k = {KERNEL, form, 1, {1.2, 0.8, 0.9, 1.5, 2, 0.7, 0.6, 1.1, 0.9}};
    instance f = {"gaussian_process", 4, {x, k, mean, {NUMBER, 1, 1, {0.4}}}, mean};
    sample s = sample_of(&f, 200 + (uint32_t)form);
    check_moments(&s, true);
    check_scores(&s);      /* in the parameters of the kernel: every covariance is right */
    free(s.x);
  }
}

/* ---- correlations ---------------------------------------------------------------------------- */

static void test_correlations(int n, double eta, uint32_t lane)
{
  piece size = {WHOLE, 1, 1, {n}}, shape = {NUMBER, 1, 1, {eta}};
  instance r = {"lkj_corr", 2, {size, shape}, {CORRELATION, n, n, {0}}};
  instance l = {"lkj_corr_cholesky", 2, {size, shape}, {FACTOR, n, n, {0}}};
  sample a = sample_of(&r, lane), b = sample_of(&l, lane + 500);
  double *y = malloc(DRAWS * sizeof *y), m = eta + 0.5 * (n - 2);
  if (!y) abort();
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++) {
      for (int k = 0; k < DRAWS; k++) y[k] = 0.5 + 0.5 * a.x[k * a.size + i * n + j];
      if (eta > 0.1) check_law("lkj_corr", y, DRAWS, (law){"beta", {m, m}});
      for (int k = 0; k < DRAWS; k++) {
        const double *f = b.x + k * b.size;
        double dot = 0;
        for (int c = 0; c <= j; c++) dot += f[i * n + c] * f[j * n + c];
        y[k] = 0.5 + 0.5 * dot;
      }
      if (eta > 0.1) check_law("lkj_corr_cholesky", y, DRAWS, (law){"beta", {m, m}});
    }
  check_moments(&a, true);
  check_moments(&b, true);
  if (eta > 0.1) check_scores(&a);     /* E log det R: below, rounding of R counts */
  check_scores(&b);
  free(a.x);
  free(b.x);
  free(y);
}

static void test_lkj(void)
{
  static const double etas[] = {1e-2, 0.5, 1, 4, 1e3};
  for (int i = 0; i < 5; i++) {
    test_correlations(2, etas[i], 300 + 10 * (uint32_t)i);
    test_correlations(3, etas[i], 301 + 10 * (uint32_t)i);
    test_correlations(6, etas[i], 302 + 10 * (uint32_t)i);
  }
}

/* ---- covariances ----------------------------------------------------------------------------- */

/* What a Wishart matrix w with scale s gives: a' w a / a' s a is chi-square(nu), and
   s^-1[n, n] / w^-1[n, n], the square of the last entry of the factor over that of s,
   chi-square(nu - n + 1).  An inverse Wishart is turned round first. */
static void quadratic_forms(const double *w, const double *s, int n, bool inverse, double *first,
                            double *second)
{
  double lw[36], ls[36], e[6] = {0}, f[6] = {0};
  plain_factor(n, w, lw);
  plain_factor(n, s, ls);
  for (int j = 0; j < n; j++) e[j] = f[j] = 1.0 / (j + 1);
  double a = 0, b = 0;
  if (inverse) {
    plain_solve(n, lw, e);
    plain_solve(n, ls, f);
    for (int j = 0; j < n; j++) a += e[j] * e[j], b += f[j] * f[j];
    *first = a / b;
    *second = s[0] / w[0];
    return;
  }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      a += e[i] * w[i * n + j] * e[j];
      b += e[i] * s[i * n + j] * e[j];
    }
  *first = a / b;
  *second = lw[n * n - 1] * lw[n * n - 1] / (ls[n * n - 1] * ls[n * n - 1]);
}

static void check_wishart(const sample *s, int at, const double *scale, int n, double nu,
                          bool inverse)
{
  double *y = malloc(2 * DRAWS * sizeof *y);
  if (!y) abort();
  for (int k = 0; k < DRAWS; k++)
    quadratic_forms(s->x + k * s->size + at, scale, n, inverse, &y[k], &y[DRAWS + k]);
  check_law(s->f->name, y, DRAWS, (law){"gamma", {0.5 * nu, 0.5}});
  check_law(s->f->name, y + DRAWS, DRAWS, (law){"gamma", {0.5 * (nu - n + 1), 0.5}});
  free(y);
}

static void test_covariances(void)
{
  norn_rng rng = stream_of(8), *g = &rng;
  static const double more[] = {0.7, 1, 9.5, 400};   /* less: rounding shows in the factor */
  for (int n = 1; n <= 4; n++)
    for (int i = 0; i < 4; i++) {
      double nu = n - 1 + more[i];
      uint32_t lane = 400 + (uint32_t)(n * 4 + i);
      piece s = {SYMMETRIC, n, n, {0}}, df = {NUMBER, 1, 1, {nu}};
      random_definite(g, n, 0.2, s.x);
      instance w = {"wishart", 2, {df, s}, s}, v = {"inv_wishart", 2, {df, s}, s};
      sample a = sample_of(&w, lane), b = sample_of(&v, lane + 100);
      check_wishart(&a, 0, s.x, n, nu, false);
      check_wishart(&b, 0, s.x, n, nu, true);
      check_moments(&a, true);
      check_moments(&b, more[i] > 9);
      check_scores(&a);
      check_scores(&b);
      free(a.x);
      free(b.x);
    }
}

/* Degrees of freedom barely above n - 1: all but singular, yet inside the support, and the larger
   laws hold. */
static void test_least_freedom(void)
{
  piece s = {SYMMETRIC, 3, 3, {2, 0.5, 0, 0.5, 1, 0.1, 0, 0.1, 3}};
  instance w = {"wishart", 2, {{NUMBER, 1, 1, {2 + 1e-3}}, s}, s};
  sample a = sample_of(&w, 600);
  for (int j = 0; j < 3; j++) {
    double *y = column(&a, 4 * j, 1 / s.x[4 * j]);
    check_law("wishart", y, DRAWS, (law){"gamma", {0.5 * (2 + 1e-3), 0.5}});
    free(y);
  }
  free(a.x);
}

static void test_conjugates(void)
{
  static const double alphas[] = {0.3, 2, 50};
  for (int i = 0; i < 3; i++) {
    double alpha = alphas[i], lambda = 0.5, beta = 3;
    instance f = {"normal_inverse_gamma", 4, {{NUMBER, 1, 1, {-1}}, {NUMBER, 1, 1, {lambda}},
                                             {NUMBER, 1, 1, {alpha}}, {NUMBER, 1, 1, {beta}}},
                  {GAMMA, 1, 1, {0}}};
    sample s = sample_of(&f, 700 + (uint32_t)i);
    double *mu = column(&s, 0, 1), *s2 = column(&s, 1, 1), *z = column(&s, 0, 1);
    for (int k = 0; k < DRAWS; k++) z[k] = (mu[k] + 1) / sqrt(s2[k] / lambda);
    check_law("mu", mu, DRAWS, (law){"student_t", {2 * alpha, -1, sqrt(beta / alpha / lambda)}});
    check_law("sigma2", s2, DRAWS, (law){"inv_gamma", {alpha, beta}});
    check_law("mu given sigma2", z, DRAWS, (law){"normal", {0, 1}});
    check_moments(&s, alpha > 4);
    check_scores(&s);
    free(mu), free(s2), free(z), free(s.x);
  }
  piece mu = {VECTOR, 2, 1, {1, 2}}, psi = {SYMMETRIC, 2, 2, {2, 0.6, 0.6, 1}};
  double nu = 15, lambda = 2;
  instance f = {"normal_inverse_wishart", 4, {mu, {NUMBER, 1, 1, {lambda}}, psi,
                                             {NUMBER, 1, 1, {nu}}}, {PAIR, 2, 1, {0}}};
  sample s = sample_of(&f, 710);
  check_wishart(&s, 2, psi.x, 2, nu, true);
  check_moments(&s, true);
  check_scores(&s);
  for (int j = 0; j < 2; j++) {
    double *m = column(&s, j, 1);
    check_law("mu", m, DRAWS, (law){"student_t", {nu - 1, mu.x[j], sqrt(psi.x[3 * j] / lambda /
                                                                       (nu - 1))}});
    for (int k = 0; k < DRAWS; k++) {
      double l[4], y[2] = {s.x[k * 6] - 1, s.x[k * 6 + 1] - 2};
      plain_factor(2, s.x + k * 6 + 2, l);
      plain_solve(2, l, y);
      m[k] = y[j] * sqrt(lambda);
    }
    check_law("mu given sigma", m, DRAWS, (law){"normal", {0, 1}});
    free(m);
  }
  free(s.x);
}

static void test_dirichlet(void)
{
  instance f = {"dirichlet", 1, {{VECTOR, 3, 1, {0.7, 2, 5}}}, {SIMPLEX, 3, 1, {0}}};
  sample s = sample_of(&f, 800);
  for (int j = 0; j < 3; j++) {
    double *y = column(&s, j, 1), a = f.arg[0].x[j];
    check_law("dirichlet", y, DRAWS, (law){"beta", {a, 7.7 - a}});
    free(y);
  }
  check_moments(&s, true);
  check_scores(&s);
  free(s.x);
}

int main(void)
{
  norn_config config = norn_config_default();
  config.quiet = true;
  st = norn_new(&config);
  if (!st) return 99;
  test_vectors();
  test_process();
  test_lkj();
  test_covariances();
  test_least_freedom();
  test_conjugates();
  test_dirichlet();
  printf("%d tests of draws\n", tests);
  norn_free(st);
  return unit_end();
}
