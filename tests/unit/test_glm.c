/* test_glm: regressions in one piece.  Each must be what the plain family makes of alpha + X beta
   (computed here in long double), with derivatives by the chain rule and by differences of its own
   density; all values of the finite ones have a total mass of 1; draws have the plain family's mean
   and variance in every row. */
#include "dist/dist.h"
#include "num/rng.h"
#include "unit.h"
#include <stdlib.h>

static norn_state *st;

enum { MOST = 700, WIDE = 24, CATEGORIES = 4 };
typedef struct {
  const char *name, *plain;
  bool scale, discrete;
} family;
static const family families[] = {
  {"normal_id_glm", "normal", true, false}, {"bernoulli_logit_glm", "bernoulli_logit", false, true},
  {"poisson_log_glm", "poisson_log", false, true},
  {"neg_binomial_2_log_glm", "neg_binomial_2_log", true, true},
};

/* A problem: n rows, k columns; which of X, alpha, scale are whole numbers or have one a row. */
typedef struct {
  int64_t n, k;
  bool whole, alpha_many, scale_many;
  double x[MOST * WIDE], alpha[MOST], beta[WIDE], scale[MOST], eta[MOST];
  norn_datum args[4], value, plain_args[2];
  norn_dist glm, plain;
} problem;

static norn_datum whole_array(const double *x, int rank, const int64_t *dims)
{
  void *data;
  norn_datum a = norn_array(st, NORN_I64, rank, dims, &data);
  for (int64_t i = 0; i < dims[0] * (rank == 2 ? dims[1] : 1); i++)
    ((int64_t *)data)[i] = (int64_t)x[i];
  return a;
}
static norn_datum real_array(const double *x, int rank, const int64_t *dims)
{
  void *data;
  norn_datum a = norn_array(st, NORN_F64, rank, dims, &data);
  memcpy(data, x, (size_t)(dims[0] * (rank == 2 ? dims[1] : 1)) * sizeof *x);
  return a;
}

/* The distributions of the numbers in p: in one piece, and plain. */
static void make(const family *f, problem *p)
{
  int64_t dims[2] = {p->n, p->k};
  for (int64_t i = 0; i < p->n; i++) {
    long double eta = p->alpha[p->alpha_many ? i : 0];
    for (int64_t j = 0; j < p->k; j++) eta += (long double)p->x[i * p->k + j] * p->beta[j];
    p->eta[i] = (double)eta;
  }
  p->args[0] = p->whole ? whole_array(p->x, 2, dims) : real_array(p->x, 2, dims);
  p->args[1] = p->alpha_many ? real_array(p->alpha, 1, dims) : norn_real(p->alpha[0]);
  p->args[2] = real_array(p->beta, 1, &p->k);
  p->args[3] = p->scale_many ? real_array(p->scale, 1, dims) : norn_real(p->scale[0]);
  p->plain_args[0] = real_array(p->eta, 1, dims);
  p->plain_args[1] = p->args[3];
  p->glm = (norn_dist){dist_find(f->name), p->args, f->scale ? 4 : 3};
  p->plain = (norn_dist){dist_find(f->plain), p->plain_args, f->scale ? 2 : 1};
}

static void some(const family *f, problem *p, int64_t n, int64_t k, unsigned kind, uint32_t lane)
{
  norn_rng g = {.stream = 11, .lane = lane};
  *p = (problem){.n = n, .k = k, .whole = kind & 1, .alpha_many = kind & 2,
                 .scale_many = f->scale && (kind & 4)};
  for (int64_t i = 0; i < n * k; i++)
    p->x[i] = p->whole ? (double)norn_rng_below(&g, 5) - 2 : norn_rng_normal(&g);
  for (int64_t i = 0; i < n; i++) p->alpha[i] = norn_rng_normal(&g);
  for (int64_t i = 0; i < n; i++) p->scale[i] = 0.5 + norn_rng_exponential(&g);
  for (int64_t j = 0; j < k; j++) p->beta[j] = norn_rng_normal(&g) / sqrt((double)k);
  make(f, p);
  CHECK(norn_dist_check(st, &p->glm) == NORN_OK);
  CHECK(norn_dist_sample(st, &p->plain, &g, &p->value) == NORN_OK);
}

static double logp_of(const norn_dist *d, norn_datum x)
{
  double l = NAN;
  CHECK(norn_dist_logp(st, d, x, &l) == NORN_OK);
  return l;
}
static bool near(double a, double b, double size) { return fabs(a - b) <= 1e-12 * (size + 1); }

/* Derivatives of the plain family, by the chain rule. */
static void check_partials(const family *f, problem *p)
{
  static double leaf[MOST * WIDE + 2 * MOST + WIDE], flat[2 * MOST], gx[MOST], flat_gx[MOST];
  double *at = leaf, base = 0.25, factor = 3;
  int64_t leaves = norn_dist_leaves(&p->glm), wrong = 0;
  int64_t na = p->alpha_many ? p->n : 1, ns = f->scale ? p->scale_many ? p->n : 1 : 0;
  CHECK(leaves == p->n * p->k + na + p->k + ns);
  for (int64_t i = 0; i < leaves; i++) leaf[i] = base;
  for (int64_t i = 0; i < p->n; i++) gx[i] = base, flat_gx[i] = 0;
  memset(flat, 0, sizeof flat);
  CHECK(norn_dist_partials(st, &p->glm, p->value, factor, gx, leaf) == NORN_OK);
  CHECK(norn_dist_partials(st, &p->plain, p->value, 1, flat_gx, flat) == NORN_OK);
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t j = 0; j < p->k; j++)
      wrong += !near(*at++, base + factor * flat[i] * p->beta[j], fabs(flat[i]) * 10);
  long double sum = 0, size = 0;
  for (int64_t i = 0; i < p->n; i++) sum += flat[i], size += fabsl(flat[i]);
  for (int64_t i = 0; i < na; i++)
    wrong += !near(*at++, base + factor * (p->alpha_many ? flat[i] : (double)sum), (double)size);
  for (int64_t j = 0; j < p->k; j++) {
    long double s = 0, around = 0;
    for (int64_t i = 0; i < p->n; i++) {
      s += (long double)flat[i] * p->x[i * p->k + j];
      around += fabsl((long double)flat[i] * p->x[i * p->k + j]);
    }
    wrong += !near(*at++, base + factor * (double)s, (double)around);
  }
  for (int64_t i = 0; i < ns; i++)
    wrong += !near(*at++, base + factor * flat[p->n + i], fabs(flat[p->n + i]) + (double)size);
  for (int64_t i = 0; i < p->n; i++) wrong += !near(gx[i], base + factor * flat_gx[i], fabs(gx[i]));
  CHECK(wrong == 0);
  if (wrong) fprintf(stderr, "  %lld derivatives of %s (%lld, %lld)\n", (long long)wrong, f->name,
                     (long long)p->n, (long long)p->k);
  /* by argument, without those of X */
  static double part[MOST + WIDE];
  double *const to[4] = {NULL, NULL, part, NULL};
  double logp = 0;
  double *beta = leaf + p->n * p->k + na;
  memset(part, 0, sizeof part);
  CHECK(dist_glm(st, &p->glm, p->value, factor, &logp, NULL, to) == NORN_OK);
  CHECK(near(logp, logp_of(&p->glm, p->value), 0));
  for (int64_t j = 0; j < p->k; j++) CHECK(near(part[j] + base, beta[j], fabs(beta[j])));
}

static void test_plain(void)
{
  static problem p;
  static const int64_t shapes[][2] = {{1, 1}, {7, 3}, {8, 8}, {300, 5}, {257, 20}, {700, 24},
                                      {9, 0}, {40, 1}, {500, 9}};
  for (int i = 0; i < 4; i++)
    for (int s = 0; s < 9; s++)
      for (unsigned kind = 0; kind < 8; kind++) {
        const family *f = &families[i];
        some(f, &p, shapes[s][0], shapes[s][1], kind, kind + 100 * (uint32_t)s);
        double got = logp_of(&p.glm, p.value), plain = logp_of(&p.plain, p.value);
        CHECK_NEAR(got, plain, 1e-13 * (fabs(plain) + 10 * (double)p.n));
        check_partials(f, &p);
      }
}

/* Central differences of the density itself in beta, alpha and the scale. */
static void test_differences(void)
{
  static problem p;
  for (int i = 0; i < 4; i++) {
    const family *f = &families[i];
    some(f, &p, 30, 4, 0, 7);
    double leaf[30 * 4 + 6] = {0}, *at = leaf + 120;
    CHECK(norn_dist_partials(st, &p.glm, p.value, 1, NULL, leaf) == NORN_OK);
    double *where[] = {&p.alpha[0], &p.beta[0], &p.beta[1], &p.beta[2], &p.beta[3], &p.scale[0]};
    for (int k = 0; k < (f->scale ? 6 : 5); k++) {
      double old = *where[k], h = 1e-5, side[2];
      for (int q = 0; q < 2; q++) {
        *where[k] = old + (q ? h : -h);
        make(f, &p);
        side[q] = logp_of(&p.glm, p.value);
      }
      *where[k] = old;
      CHECK_NEAR((side[1] - side[0]) / (2 * h), at[k], 1e-6 * (1 + fabs(at[k])));
    }
    double old = p.x[5], side[2];
    for (int q = 0; q < 2; q++) {
      p.x[5] = old + (q ? 1e-5 : -1e-5);
      make(f, &p);
      side[q] = logp_of(&p.glm, p.value);
    }
    CHECK_NEAR((side[1] - side[0]) / 2e-5, leaf[5], 1e-6 * (1 + fabs(leaf[5])));
  }
}

/* ---- categories ------------------------------------------------------------------------------ */

static void check_category(int64_t n, int64_t k, int64_t c, bool whole)
{
  static double x[MOST * WIDE], beta[WIDE * CATEGORIES], alpha[CATEGORIES];
  static double leaf[MOST * WIDE + WIDE * CATEGORIES + CATEGORIES];
  int64_t dims[2] = {n, k}, slopes[2] = {k, c}, wrong = 0;
  norn_rng g = {.stream = 12, .lane = (uint32_t)(n + k)};
  for (int64_t i = 0; i < n * k; i++)
    x[i] = whole ? (double)norn_rng_below(&g, 5) - 2 : norn_rng_normal(&g);
  for (int64_t i = 0; i < k * c; i++) beta[i] = norn_rng_normal(&g);
  for (int64_t i = 0; i < c; i++) alpha[i] = norn_rng_normal(&g);
  norn_datum args[3] = {whole ? whole_array(x, 2, dims) : real_array(x, 2, dims),
                        real_array(alpha, 1, &c), real_array(beta, 2, slopes)}, value;
  norn_dist d = {dist_find("categorical_logit_glm"), args, 3};
  CHECK(norn_dist_check(st, &d) == NORN_OK);
  CHECK(norn_dist_sample(st, &d, &g, &value) == NORN_OK);
  CHECK(norn_dist_leaves(&d) == n * k + c + k * c);
  memset(leaf, 0, sizeof leaf);
  CHECK(norn_dist_partials(st, &d, value, 2, NULL, leaf) == NORN_OK);
  long double total = 0, want[CATEGORIES + WIDE * CATEGORIES] = {0};
  for (int64_t i = 0; i < n; i++) {
    double eta[CATEGORIES], flat[CATEGORIES] = {0};
    for (int64_t q = 0; q < c; q++) {
      long double s = alpha[q];
      for (int64_t j = 0; j < k; j++) s += (long double)x[i * k + j] * beta[j * c + q];
      eta[q] = (double)s;
    }
    norn_datum of = real_array(eta, 1, &c), y = norn_int((int64_t)norn_elem_real(value, i));
    norn_dist one = {dist_find("categorical_logit"), &of, 1};
    total += logp_of(&one, y);
    CHECK(norn_dist_partials(st, &one, y, 1, NULL, flat) == NORN_OK);
    for (int64_t j = 0; j < k; j++) {
      long double gx = 0;
      for (int64_t q = 0; q < c; q++) {
        gx += 2 * flat[q] * beta[j * c + q];
        want[c + j * c + q] += 2 * flat[q] * x[i * k + j];
      }
      wrong += !near(leaf[i * k + j], (double)gx, 10);
    }
    for (int64_t q = 0; q < c; q++) want[q] += 2 * flat[q];
  }
  CHECK_NEAR(logp_of(&d, value), (double)total, 1e-13 * (fabs((double)total) + 10 * (double)n));
  for (int64_t q = 0; q < c + k * c; q++)
    wrong += !near(leaf[n * k + q], (double)want[q], 4 * (double)n);
  CHECK(wrong == 0);
}

static void test_categories(void)
{
  check_category(1, 1, 1, false);
  check_category(5, 2, 3, true);
  check_category(300, 7, 4, false);
  check_category(700, 24, 4, false);
  check_category(257, 3, 2, true);
  check_category(4, 0, 3, false);
}

/* ---- totals and draws ------------------------------------------------------------------------ */

static double number(const char *text)
{
  norn_datum v;
  double x = NAN;
  if (norn_eval(st, "test", text, strlen(text), NORN_LOAD_REPL, &v) || !norn_as_real(v, &x))
    fprintf(stderr, "  %s: %s\n", text, norn_error(st)->text);
  norn_clear(st);
  return x;
}

static void check_total(const char *text, int64_t count)
{
  norn_datum v, x;
  norn_dist d;
  double total = 0, l;
  CHECK(norn_eval(st, "test", text, strlen(text), NORN_LOAD_REPL, &v) == NORN_OK);
  CHECK(norn_dist_view(v, &d) && norn_dist_count(st, &d) == count);
  for (int64_t k = 0;; k++) {
    CHECK(norn_dist_enumerate(st, &d, k, &x) == NORN_OK);
    if (norn_is_none(x)) { CHECK(k == count); break; }
    CHECK(norn_dist_logp(st, &d, x, &l) == NORN_OK);
    total += exp(l);
  }
  CHECK_NEAR(total, 1, 1e-14);
}

static void test_totals(void)
{
  check_total("bernoulli_logit_glm([[1, 2], [0, -1], [2, 2], [0.5, 0]], 0.3, [0.2, -1])", 16);
  check_total("categorical_logit_glm([[1], [-2], [0]], [0, 0.5, -1], [[1, 0, 2]])", 27);
  CHECK_NEAR(number("logpdf(poisson_log_glm([[1, 2]], 0.5, [0.1, 0.2]), [3])"),
             3 * 1.0 - exp(1) - log(6), 1e-14);
  CHECK_NEAR(number("logpdf(normal_id_glm([[1, 2]], [0.5], [0.1, 0.2], 2), [3])"),
             -0.5 * (1 + log(2 * 3.14159265358979323846)) - log(2), 1e-14);
}

/* The mean and variance of many draws of each row, by z-scores at a chance of 1e-3 for all. */
static void test_draws(void)
{
  static problem p;
  enum { DRAWS = 20000, N = 5 };
  for (int i = 0; i < 4; i++) {
    some(&families[i], &p, N, 2, 2, 3);
    double sum[N] = {0}, square[N] = {0}, four[N] = {0};
    norn_datum mean, variance, x;
    CHECK(dist_moments(st, &p.glm, &mean, &variance) == NORN_OK);
    for (uint32_t k = 0; k < DRAWS; k++) {
      norn_rng g = {.stream = 13, .lane = k, .event = (uint32_t)i};
      CHECK(norn_dist_sample(st, &p.glm, &g, &x) == NORN_OK);
      for (int j = 0; j < N; j++) {
        double z = (norn_elem_real(x, j) - norn_elem_real(mean, j)) /
                   sqrt(norn_elem_real(variance, j));
        sum[j] += z / DRAWS;
        square[j] += z * z / DRAWS;
        four[j] += z * z * z * z / DRAWS;
      }
    }
    for (int j = 0; j < N; j++) {
      CHECK(fabs(sum[j]) < 4.2 / sqrt(DRAWS));
      CHECK(fabs(square[j] - 1) < 4.5 * sqrt((four[j] - 1) / DRAWS) + 1e-9);
    }
  }
  norn_datum d, x;
  norn_dist v;
  const char *text = "categorical_logit_glm([[1], [-2]], [0, 0.5, -1], [[1, 0, 2]])";
  double seen[2][3] = {{0}}, eta[2][3] = {{1, 0.5, 1}, {-2, 0.5, -5}};
  CHECK(norn_eval(st, "test", text, strlen(text), NORN_LOAD_REPL, &d) == NORN_OK);
  CHECK(norn_dist_view(d, &v));
  for (uint32_t k = 0; k < DRAWS; k++) {
    norn_rng g = {.stream = 14, .lane = k};
    CHECK(norn_dist_sample(st, &v, &g, &x) == NORN_OK);
    for (int i = 0; i < 2; i++) seen[i][(int)norn_elem_real(x, i)]++;
  }
  for (int i = 0; i < 2; i++) {
    double total = exp(eta[i][0]) + exp(eta[i][1]) + exp(eta[i][2]);
    for (int q = 0; q < 3; q++) {
      double e = exp(eta[i][q]) / total;
      CHECK(fabs(seen[i][q] - DRAWS * e) < 4.2 * sqrt(DRAWS * e * (1 - e)) + 0.5);
    }
  }
}

/* ---- what is refused ------------------------------------------------------------------------- */

static const char *value(const char *text)
{
  norn_datum v;
  static char said[600];
  if (norn_eval(st, "test", text, strlen(text), NORN_LOAD_REPL, &v))
    snprintf(said, sizeof said, "error: %s", norn_error(st)->text);
  else
    snprintf(said, sizeof said, "%s", norn_show(st, v, true, 0));
  norn_clear(st);
  return said;
}
#define IS(text, expect) CHECK_STR(value(text), expect)

static void test_refused(void)
{
  IS("normal_id_glm([1, 2], 0, [1], 1)",
     "error: X of normal_id_glm must be a matrix of numbers, got an array of 2 integers");
  IS("normal_id_glm([[1, 2]], 0, [1], 1)",
     "error: beta of normal_id_glm must be an array of 2 numbers, one for each column of X, got an "
     "array of 1 integer");
  IS("normal_id_glm([[1, 2]], [0, 1], [1, 2], 1)",
     "error: alpha of normal_id_glm must be a number or an array of 1 numbers, one for each row of "
     "X, got an array of 2 integers");
  IS("normal_id_glm([[1, 2]], 0, [1, 2], 0)",
     "error: sigma of normal_id_glm must be positive and finite, got 0");
  IS("normal_id_glm([[1], [2]], 0, [1], [1, -1])",
     "error: sigma of normal_id_glm must be positive, got -1 at element 1");
  IS("poisson_log_glm([[1, inf]], 0, [1, 2])",
     "error: X of poisson_log_glm must be finite, got inf at element 1");
  IS("poisson_log_glm([[1, 2]], nan, [1, 2])",
     "error: alpha of poisson_log_glm must be finite, got nan");
  IS("logpdf(poisson_log_glm([[1, 2]], 0, [1, 2]), 3)",
     "error: a value of poisson_log_glm must be an array of length 1, one for each row of X, got "
     "an integer");
  IS("logpdf(poisson_log_glm([[1, 2]], 0, [1, 2]), [3.5])",
     "error: a value of poisson_log_glm must be an integer, got 3.5");
  IS("logpdf(bernoulli_logit_glm([[1, 2]], 0, [1, 2]), [2])", "-inf");
  IS("categorical_logit_glm([[1, 2]], [0, 1], [[1, 2]])",
     "error: beta of categorical_logit_glm must be a 2 by 2 matrix, a row for each column of X and "
     "a column for each of alpha, got a 1 by 2 matrix of integers");
  IS("logpdf(categorical_logit_glm([[1]], [0, 1], [[1, 2]]), [2])", "-inf");
}

int main(void)
{
  st = norn_new(NULL);
  test_plain();
  test_differences();
  test_categories();
  test_totals();
  test_draws();
  test_refused();
  norn_free(st);
  return unit_end();
}
