/* test_dispatch: distributions as Norn values: products over arrays, kinds of values, what is said
   about mistakes, enumeration, and the combinators, whose draws are compared with their own
   distribution functions. */
#include "dist/dist.h"
#include "num/rng.h"
#include "num/special.h"
#include "num/stats.h"
#include "unit.h"
#include <stdlib.h>

/* The state that every test shares. */
static norn_state *st;

/* The value of an expression as text, or the error's sentence after "error: ". */
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

static double number(const char *text) { return strtod(value(text), NULL); }
#define NEAR(text, expect, tol) unit_near(number(text), expect, tol, text, __FILE__, __LINE__)

static void test_products(void)
{
  NEAR("logpdf(normal([0, 1], [1, 2]), [0.5, 2])",
       -0.125 - 0.5 * 0.25 - log(2) - log(2 * V_PI), 1e-14);
  NEAR("logpdf(normal([[0, 1], [2, 3]], 1), [[0, 1], [2, 3]])", -2 * log(2 * V_PI), 1e-14);
  NEAR("logpdf(bernoulli([0.25, 0.5]), [true, false])", log(0.125), 1e-14);
  NEAR("logpdf(poisson([1, 2, 3]), [0, 0, 0])", -6, 1e-14);
  NEAR("logpdf(normal([], 1), [])", 0, 0);
  IS("len(sample(normal([0, 1, 2], 1)))", "3");
  IS("sample(binomial([3, 4], [0, 1]))", "[0, 4]");
  IS("sample(bernoulli([0, 1]))", "[false, true]");
  IS("logpdf(normal([0, 1], 1), [0, 1, 2])",
     "error: normal with these parameters has values of shape (2), got an array of 3 integers");
  IS("logpdf(normal(0, 1), [1.0, 2.0])",
     "error: normal with these parameters has single values, got an array of 2 reals");
  IS("logpdf(normal([0, 1], 1), 0)",
     "error: normal with these parameters has values of shape (2), got an integer");
  IS("normal([1, 2], [1, 2, 3])",
     "error: mu and sigma of normal have different shapes, (2) and (3)");
  IS("normal([1, 2], [[1, 2]])",
     "error: mu and sigma of normal have different shapes, (2) and (1, 2)");
}

static void test_values(void)
{
  NEAR("logpdf(bernoulli(0.25), true)", log(0.25), 1e-15);
  NEAR("logpdf(bernoulli(0.25), 1)", log(0.25), 1e-15);
  NEAR("logpdf(bernoulli(0.25), 0.0)", log(0.75), 1e-15);
  NEAR("logpdf(poisson(3), 2.0)", 2 * log(3) - 3 - log(2), 1e-14);
  NEAR("logpdf(normal(0, 1), 0)", -0.5 * log(2 * V_PI), 1e-15);
  IS("logpdf(poisson(3), -1)", "-inf");
  IS("logpdf(bernoulli(0.25), 2)", "-inf");
  IS("logpdf(bernoulli(0.25), 0.5)", "error: a value of bernoulli must be true or false, got 0.5");
  IS("logpdf(binomial(3, 0.5), 0.5)", "error: a value of binomial must be an integer, got 0.5");
  IS("logpdf(poisson(3), true)", "error: a value of poisson must be an integer, got a boolean");
  IS("logpdf(normal(0, 1), \"a\")", "error: a value of normal must be a number, got a string");
  IS("logpdf(normal(0, 1), inf - inf)", "error: a value of normal must be a number, got nan");
  IS("logpdf(normal([0, 1], 1), [0, \"a\"])",
     "error: a value of normal must be a number, got a string");
  IS("sample(poisson(1e300))", "error: a draw of poisson is too large for an integer: 1e+300");
}

static void test_parameters(void)
{
  IS("normal(0, -1)", "error: standard deviation of normal must be positive, got -1");
  IS("normal(0, inf - inf)", "error: standard deviation of normal must be positive, got nan");
  IS("normal([0, 1], [1, -2])",
     "error: standard deviation of normal must be positive, got -2.0 at element 1");
  IS("normal(\"a\", 1)",
     "error: mu of normal must be a number or an array of numbers, got a string");
  IS("binomial(2.5, 0.5)",
     "error: number of trials of binomial must be an integer, 0 or more, got 2.5");
  IS("categorical([0.2, 0.3])",
     "error: probabilities of categorical must sum to 1, they sum to 0.5");
  IS("categorical([0.5, -0.1, 0.6])",
     "error: probabilities of categorical must not be negative, got -0.1 at element 1");
  IS("categorical(0.5)",
     "error: probabilities of categorical must be an array of numbers, got a real");
  IS("uniform_of([])", "error: uniform_of needs at least one value, got an empty array");
  IS("dirichlet([1, 0])",
     "error: alpha of dirichlet must be positive and finite, got 0.0 at element 1");
  IS("flat(lower = 1, upper = 0)",
     "error: upper bound of flat must be above the lower bound, got 0 and 1");
  IS("sample(flat())", "error: flat has no normaliser: it can't be sampled");
  IS("truncate(3, lower = 0)", "error: d of truncate must be a distribution, got an integer");
  IS("truncate(dirichlet([1.0, 1.0]), lower = 0)",
     "error: truncate needs a family of numbers with a distribution function, got dirichlet");
  IS("truncate(normal([0, 1], 1), lower = [0, 1, 2])",
     "error: lower bound of truncate has shape (3), the other arguments (2)");
  IS("truncate(normal(0, 1), lower = 3, upper = 2)",
     "error: truncate leaves nothing between 3 and 2");
  IS("truncate(exponential(1), upper = -1)", "error: exponential has no mass between -inf and -1");
  IS("mixture([0.3, 0.7], [normal(0, 1)])", "error: mixture has 2 weights for 1 distribution");
  IS("mixture([0.3, 0.7], [normal(0, 1), 3])",
     "error: mixture needs distributions, element 1 is an integer");
  IS("iid(normal(0, 1), -1)",
     "error: the number of repetitions of iid must be an integer, 0 or more, got -1");
}

static void test_enumeration(void)
{
  IS("support_of(bernoulli([0.5, 0.5]))",
     "[[false, false], [false, true], [true, false], [true, true]]");
  IS("support_of(discrete_uniform(-1, 2))", "[-1, 0, 1, 2]");
  IS("support_of(uniform_of([3, 1, 3, 1.0]))", "[1.0, 3.0]");
  IS("support_of(truncate(poisson(3), lower = 2, upper = 4))", "[2, 3, 4]");
  IS("support_of(mixture([0.5, 0.5, 0], "
     "[discrete_uniform(0, 2), discrete_uniform(1, 4), delta(9)]))",
     "[0, 1, 2, 3, 4]");
  IS("support_of(iid(bernoulli(0.5), 2))",
     "[[false, false], [false, true], [true, false], [true, true]]");
  IS("len(support_of(iid(categorical([0.5, 0.25, 0.25]), 4)))", "81");
  IS("support_of(delta(\"a\"))", "[\"a\"]");
  /* The probabilities of what is enumerated sum to 1: nothing twice, nothing left out. */
  const char *finite[] = {"binomial(20, 0.3)", "categorical([0.2, 0, 0.8])",
                          "uniform_of([1, 2, 1, 7])",
    "truncate(geometric(0.1), upper = 9)", "iid(discrete_uniform(1, 3), 3)",
        "bernoulli([0.1, 0.7, 1])",
    "mixture([0.3, 0.7], [binomial(4, 0.5), discrete_uniform(3, 9)])"};
  for (int i = 0; i < 7; i++) {
    char text[200];
    snprintf(text, sizeof text, "sum([pdf(%s, x) for x in support_of(%s)])", finite[i], finite[i]);
    unit_near(number(text), 1, 1e-13, text, __FILE__, __LINE__);
  }
  /* A thousand different values: time linear in each step, not quadratic. */
  IS("len(support_of(uniform_of([i % 1000 for i in 0..3000])))", "1000");
}

static void test_others(void)
{
  NEAR("logpdf(categorical([0.2, 0.8]), 1)", log(0.8), 1e-15);
  IS("logpdf(categorical([0.2, 0.8]), 2)", "-inf");
  NEAR("logpdf(uniform_of([\"a\", \"b\", \"a\"]), \"a\")", log(2) - log(3), 1e-15);
  NEAR("logpdf(dirichlet([2, 3, 4]), [0.2, 0.3, 0.5])",
       log(0.2) + 2 * log(0.3) + 3 * log(0.5) + log(40320) - log(2) - log(6), 1e-13);
  IS("logpdf(dirichlet([1, 1]), [0.5, 0.6])", "-inf");
  IS("logpdf(dirichlet([1, 1]), [0, 1])", "0.0");
  IS("logpdf(flat(), 1e9)", "0.0");
  IS("logpdf(flat(lower = 0), -1)", "-inf");
  IS("logpdf(delta([1, 2]), [1.0, 2])", "0.0");
  IS("logpdf(delta(1), 2)", "-inf");
  NEAR("mean(categorical([0.25, 0.25, 0.5]))", 1.25, 1e-15);
}

static void test_combined_densities(void)
{
  /* In the far tail, where 1 - cdf is 0: log of the hazard x + 1/x - 2/x^3 + 10/x^5 - ... */
  NEAR("logpdf(truncate(normal(0, 1), lower = 40), 40)",
       log(40 + 1 / 40.0 - 2 / 64000.0 + 10 / 102400000.0), 1e-10);
  NEAR("logpdf(truncate(normal(0, 1), lower = 0), 1)", -0.5 - 0.5 * log(2 * V_PI) + log(2), 1e-14);
  NEAR("logpdf(truncate(exponential(2), lower = 5), 6)", log(2) - 2, 1e-13);
  NEAR("logpdf(truncate(poisson(3), lower = 1), 1)", log(3 * exp(-3) / (1 - exp(-3))), 1e-14);
  IS("logpdf(truncate(poisson(3), lower = 1), 0)", "-inf");
  NEAR("cdf(truncate(uniform(0, 10), lower = 2, upper = 4), 3.5)", 0.75, 1e-14);
  NEAR("quantile(truncate(exponential(1), lower = 700), 0.5)", 700 + log(2), 1e-9);
  NEAR("quantile(truncate(normal(0, 1), upper = -50), 1)", -50, 0);
  NEAR("logpdf(mixture([0.3, 0.7], [normal(0, 1), normal(5, 2)]), 1)",
       log(0.3 * exp(-0.5) / sqrt(2 * V_PI) + 0.7 * exp(-2) / sqrt(8 * V_PI)), 1e-14);
  NEAR("mean(mixture([0.3, 0.7], [normal(0, 1), normal(5, 2)]))", 3.5, 1e-15);
  NEAR("logpdf(iid(normal(0, 2), 3), [0, 1, 2])",
       -0.125 - 0.5 - 3 * log(2) - 1.5 * log(2 * V_PI), 1e-14);
  IS("logpdf(iid(normal(0, 1), 3), [0, 0])",
     "error: a value of iid(normal, 3) must be an array of length 3, got an array of 2 integers");
  NEAR("logpdf(iid(dirichlet([1, 1]), 2), [[0.5, 0.5], [0.1, 0.9]])", 0, 1e-15);
  NEAR("logpdf(iid(iid(bernoulli(0.5), 2), 2), [[true, false], [true, true]])", 4 * log(0.5),
       1e-14);
}

/* ---- draws ----------------------------------------------------------------------------------- */

enum { DRAWS = 20000 };
static double draw[DRAWS];

static bool dist_of(const char *text, norn_dist *d)
{
  norn_datum v;
  return !norn_eval(st, "test", text, strlen(text), NORN_LOAD_REPL, &v) && norn_dist_view(v, d);
}

/* Draws of one number each; false if one fails or is NaN. */
static bool draw_all(const char *text)
{
  norn_dist d;
  if (!dist_of(text, &d)) return false;
  for (int k = 0; k < DRAWS; k++) {
    norn_rng g = {.stream = 11, .lane = (uint32_t)k};
    norn_datum x;
    if (norn_dist_sample(st, &d, &g, &x) || !norn_as_real(x, &draw[k]) ||
        isnan(draw[k])) return false;
  }
  stats_sort(draw, DRAWS);
  return true;
}

/* Kolmogorov and Smirnov against the distribution's own function; for discrete ones too large a
   bound rather than too small. */
static void test_draws(void)
{
  const char *d[] = {"truncate(normal(0, 1), lower = 0.5)", "truncate(normal(0, 1), lower = 12)",
    "truncate(normal(0, 1), upper = -3, lower = -3.1)", "truncate(gamma(2, 1), upper = 0.1)",
    "truncate(student_t(3, 0, 1), lower = 100)", "truncate(beta(0.5, 0.5), lower = 0.999)",
    "truncate(cauchy(0, 1), lower = -0.001, upper = 0.001)",
    "mixture([0.2, 0.8], [normal(-4, 1), exponential(1)])"};
  for (int i = 0; i < 8; i++) {
    norn_dist dist;
    double most = 0;
    CHECK(draw_all(d[i]));
    CHECK(dist_of(d[i], &dist));
    for (int k = 0; k < DRAWS; k += 20) {
      double c;
      CHECK(!dist_cdf(st, &dist, norn_real(draw[k]), &c));
      most = fmax(most, fabs(c - (k + 0.5) / DRAWS));
    }
    unit_near(most * sqrt(DRAWS), 0, 2.47, d[i], __FILE__, __LINE__);
  }
}

static void test_discrete_draws(void)
{
  CHECK(draw_all("truncate(poisson(3), lower = 20)"));
  CHECK(draw[0] == 20);
  /* P(X = 20) of it, by its recurrence 3/21, 3/22, ... */
  double p20 = 1 / (1 + 3.0 / 21 + 9.0 / 462 + 27.0 / 10626 + 81.0 / 255024 + 243.0 / 6375600);
  int at20 = 0;
  for (int k = 0; k < DRAWS; k++) at20 += draw[k] == 20;
  CHECK_NEAR(at20, DRAWS * p20, 5 * sqrt(DRAWS * p20 * (1 - p20)));
  CHECK(draw_all("categorical([0, 0.25, 0.75, 0])"));
  CHECK(draw[0] == 1 && draw[DRAWS - 1] == 2);
  CHECK_NEAR(stats_mean(draw, DRAWS), 1.75, 5 * sqrt(0.1875 / DRAWS));
  CHECK(draw_all("uniform_of([1, 5, 5])"));
  CHECK_NEAR(stats_mean(draw, DRAWS), 11.0 / 3, 5 * sqrt(32.0 / 9 / DRAWS));
}

/* Mean and variance of one coordinate (a beta), and tiny alphas: on the simplex, never NaN. */
static void test_dirichlet(void)
{
  norn_datum x;
  norn_dist d;
  CHECK(dist_of("dirichlet([2, 3, 5])", &d));
  for (int k = 0; k < DRAWS; k++) {
    norn_rng g = {.stream = 12, .lane = (uint32_t)k};
    CHECK(!norn_dist_sample(st, &d, &g, &x));
    draw[k] = norn_elem_real(x, 1);
  }
  CHECK_NEAR(stats_mean(draw, DRAWS), 0.3, 5 * sqrt(0.21 / 11 / DRAWS));
  CHECK_NEAR(stats_variance(draw, DRAWS), 0.21 / 11, 0.03 * 0.21 / 11);
  CHECK(dist_of("dirichlet([1e-5, 1e-4, 1e-300])", &d));
  int first = 0;
  bool good = true;
  for (int k = 0; k < DRAWS; k++) {
    norn_rng g = {.stream = 13, .lane = (uint32_t)k};
    double logp;
    good = good && !norn_dist_sample(st, &d, &g, &x) && !norn_dist_logp(st, &d, x, &logp);
    double sum = norn_elem_real(x, 0) + norn_elem_real(x, 1) + norn_elem_real(x, 2);
    good = good && fabs(sum - 1) < 1e-12 && isfinite(logp);
    first += norn_elem_real(x, 0) > 0.5;
  }
  CHECK(good);
  CHECK_NEAR(first, DRAWS / 11.0, 5 * sqrt(DRAWS * 10.0 / 121));
}

/* What engines ask besides. */
static void test_questions(void)
{
  norn_dist d;
  norn_support s;
  const unsigned finite = NORN_DIST_DISCRETE | NORN_DIST_FINITE;
  const struct {
    const char *text;
    norn_support_kind kind;
    double lower, upper;
    int64_t size;
    unsigned flags;
  } q[] = {
    {"normal(0, 1)", NORN_SUPPORT_REAL, -HUGE_VAL, HUGE_VAL, 1, NORN_DIST_CONTINUOUS},
    {"beta([1, 2], [1, 1])", NORN_SUPPORT_INTERVAL, 0, 1, 2, NORN_DIST_CONTINUOUS},
    {"truncate(normal(0, 1), lower = 2)", NORN_SUPPORT_LOWER, 2, HUGE_VAL, 1, NORN_DIST_CONTINUOUS},
    {"truncate(gamma(1, 1), upper = 2)", NORN_SUPPORT_INTERVAL, 0, 2, 1, NORN_DIST_CONTINUOUS},
    {"iid(bernoulli(0.5), 7)", NORN_SUPPORT_BOOL, 0, 1, 7, finite},
    {"truncate(poisson(3), upper = 5)", NORN_SUPPORT_INTEGER, 0, 5, 1, finite},
    {"mixture([0.5, 0.5], [exponential(1), normal(0, 1)])", NORN_SUPPORT_REAL, -HUGE_VAL, HUGE_VAL,
     1, NORN_DIST_CONTINUOUS},
    {"dirichlet([1, 1, 1])", NORN_SUPPORT_SIMPLEX, 0, 1, 3, NORN_DIST_CONTINUOUS},
    {"flat(upper = 1)", NORN_SUPPORT_UPPER, -HUGE_VAL, 1, 1, NORN_DIST_CONTINUOUS},
  };
  const unsigned kinds = NORN_DIST_CONTINUOUS | NORN_DIST_DISCRETE | NORN_DIST_FINITE;
  for (int i = 0; i < 9; i++) {
    CHECK(dist_of(q[i].text, &d));
    norn_dist_support(st, &d, &s);
    bool good = s.kind == q[i].kind && s.lower == q[i].lower && s.upper == q[i].upper &&
        s.size * s.count == q[i].size;
    CHECK(good && (norn_dist_flags(&d) & kinds) == q[i].flags);
    if (!good) fprintf(stderr, "  %s\n", q[i].text);
    CHECK(norn_dist_count(st, &d) == (i == 4 ? 128 : i == 5 ? 6 : -1));
  }
}

int main(void)
{
  st = norn_new(NULL);
  if (!st) return 1;
  test_products();
  test_values();
  test_parameters();
  test_enumeration();
  test_others();
  test_combined_densities();
  test_draws();
  test_discrete_draws();
  test_dirichlet();
  test_questions();
  norn_free(st);
  return unit_end();
}
