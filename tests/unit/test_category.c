/* test_category: families of categories and of vectors of counts: categorical, categorical_logit,
   ordered_logistic, ordered_probit, multinomial, dirichlet_multinomial.

   Masses and derivatives are recomputed in MPFR; all values, enumerated, have a total mass of 1 and
   the moments that the row gives; draws fit the masses by chi-square at a chance of 1e-3 over the
   whole program. */
#include "dist/dist.h"
#include "num/rng.h"
#include "unit.h"
#include "big.h"
#include <gsl/gsl_cdf.h>
#include <stdlib.h>

static norn_state *st;

/* ---- masses in MPFR, by the textbook --------------------------------------------------------- */

/* The arguments: a[0..n-1] is the first and b[0..m-1] the second. */
typedef struct { big a[8], b[8]; int n, m; } given;
typedef big (*oracle)(const given *g, const double *x);

static big sum_of(const big *a, int n)
{
  big s = num(0);
  for (int k = 0; k < n; k++) s = add(s, a[k]);
  return s;
}
static big o_categorical(const given *g, const double *x) { return lg(g->a[(int)x[0]]); }
static big o_categorical_logit(const given *g, const double *x)
{
  big e[8];
  for (int k = 0; k < g->n; k++) e[k] = ex(g->a[k]);
  return sub(g->a[(int)x[0]], lg(sum_of(e, g->n)));
}
static big logistic(big z) { return over(one(), add(one(), ex(neg(z)))); }
static big normal(big z) { return half(erfc_(neg(over(z, root(two()))))); }
static big ladder(const given *g, const double *x, big (*cdf)(big))
{
  big total = num(0);
  for (int i = 0; i < g->n; i++) {
    int k = (int)x[i];
    /* from the side where both are small */
    int flip = k > 0 && dbl(sub(g->b[k - 1], g->a[i])) > 0;
    big lo = k > 0 ? sub(g->b[k - 1], g->a[i]) : 0, hi = k < g->m ? sub(g->b[k], g->a[i]) : 0;
    big upper = k < g->m ? cdf(flip ? neg(hi) : hi) : num(!flip);
    big lower = k > 0 ? cdf(flip ? neg(lo) : lo) : num(flip);
    total = add(total, lg(flip ? sub(lower, upper) : sub(upper, lower)));
  }
  return total;
}
static big o_ordered_logistic(const given *g, const double *x) { return ladder(g, x, logistic); }
static big o_ordered_probit(const given *g, const double *x) { return ladder(g, x, normal); }
static big o_multinomial(const given *g, const double *x)
{
  big l = lnfact(g->a[0]);
  for (int k = 0; k < g->m; k++)
    if (x[k] > 0) l = add(l, sub(mul(num(x[k]), lg(g->b[k])), lnfact(num(x[k]))));
  return l;
}
static big o_dirichlet_multinomial(const given *g, const double *x)
{
  big A = sum_of(g->b, g->m);
  big l = add(lnfact(g->a[0]), sub(lngamma(A), lngamma(add(g->a[0], A))));
  for (int k = 0; k < g->m; k++) {
    big y = num(x[k]);
    l = add(l, sub(sub(lngamma(add(y, g->b[k])), lngamma(g->b[k])), lnfact(y)));
  }
  return l;
}

/* ---- cases ----------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  oracle exact;
  int n, m;                     /* numbers in the arguments; n = 0: the first is one number */
  double a[8], b[8];
  double x[8];                  /* a value, beside those that are enumerated */
} family;
#define CAT "categorical", o_categorical
#define LOGIT "categorical_logit", o_categorical_logit
#define OL "ordered_logistic", o_ordered_logistic
#define OP "ordered_probit", o_ordered_probit
#define MN "multinomial", o_multinomial
#define DM "dirichlet_multinomial", o_dirichlet_multinomial
static const family families[] = {
  {CAT, 3, 0, {0.2, 0.5, 0.3}, {0}, {1}}, {CAT, 1, 0, {1}, {0}, {0}},
  {CAT, 2, 0, {1e-30, 1}, {0}, {0}},
  {LOGIT, 3, 0, {0, 1, -0.5}, {0}, {2}}, {LOGIT, 4, 0, {700, 710, 705, -900}, {0}, {3}},
  {LOGIT, 1, 0, {3}, {0}, {0}},
  {OL, 0, 3, {0.4}, {-1, 0.25, 2}, {1}}, {OL, 0, 1, {-30}, {3}, {1}},
  {OL, 0, 3, {2}, {1.9999999, 2, 40}, {1}}, {OL, 3, 2, {0, -1, 2.5}, {-0.5, 1}, {2, 0, 1}},
  {OL, 0, 2, {50}, {0, 1e-9}, {1}}, {OL, 0, 2, {-800}, {0, 900}, {1}},
  {OP, 0, 3, {0.4}, {-1, 0.25, 2}, {1}}, {OP, 0, 2, {-9}, {3, 4}, {2}},
  {OP, 0, 3, {2}, {1.9999999, 2, 12}, {1}}, {OP, 3, 2, {0, -1, 2.5}, {-0.5, 1}, {2, 0, 1}},
  {OP, 0, 2, {20}, {0, 1e-9}, {1}}, {OP, 0, 4, {0}, {-1, -0.9, 0.05, 0.3}, {2}},
  {OP, 0, 2, {-30}, {0, 1}, {1}}, {OP, 0, 2, {1}, {0.6, 1.2}, {1}},
  {MN, 0, 3, {7}, {0.2, 0.5, 0.3}, {1, 4, 2}}, {MN, 0, 1, {4}, {1}, {4}},
  {MN, 0, 2, {20}, {0.9, 0.1}, {15, 5}}, {MN, 0, 4, {0}, {0.25, 0.25, 0.25, 0.25}, {0}},
  {MN, 0, 3, {1e9}, {0.3, 0.3, 0.4}, {300007000, 299990000, 400003000}},
  {MN, 0, 3, {4e15}, {1e-15, 0.5, 0.5}, {3, 2e15 - 3, 2e15}},
  {DM, 0, 3, {7}, {0.5, 1, 2}, {1, 4, 2}}, {DM, 0, 2, {20}, {9, 30}, {4, 16}},
  {DM, 0, 3, {6}, {1e-10, 1e-12, 2e-10}, {2, 1, 3}}, {DM, 0, 3, {12}, {1e8, 2e8, 3e8}, {1, 5, 6}},
  {DM, 0, 3, {1e9}, {3, 200, 5e4}, {70000, 3000000, 996930000}}, {DM, 0, 1, {5}, {2}, {5}},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

static void say(const family *f, const double *x)
{
  fprintf(stderr, "  in %s([%g, %g, %g], [%g, %g, %g]) at %.17g, %.17g, %.17g\n", f->name, f->a[0],
          f->a[1], f->a[2], f->b[0], f->b[1], f->b[2], x[0], x[1], x[2]);
}
#define CHECK_AT(cond, f, x) do { bool ok_ = (cond); CHECK(ok_); if (!ok_) say(f, x); } while (0)

static norn_datum arg[2];
static norn_dist made_of(const family *f)
{
  arg[0] = f->n ? norn_array_f64(st, f->a, f->n) : norn_real(f->a[0]);
  arg[1] = norn_array_f64(st, f->b, f->m);
  norn_dist d = {dist_find(f->name), arg, f->m ? 2 : 1};
  return d;
}
/* A value has as many numbers as: */
static int width(const family *f)
{
  if (f->exact == o_multinomial || f->exact == o_dirichlet_multinomial) return f->m;
  return f->m && f->n ? f->n : 1;
}
static bool is_array(const family *f) { return f->m && (f->n || f->exact == o_multinomial ||
                                                        f->exact == o_dirichlet_multinomial); }
static norn_datum value_of(const family *f, const double *x)
{
  void *data;
  int64_t n = width(f);
  if (!is_array(f)) return norn_int((int64_t)x[0]);
  norn_datum a = norn_array(st, NORN_I64, 1, &n, &data);
  for (int k = 0; k < n; k++) ((int64_t *)data)[k] = (int64_t)x[k];
  return a;
}
static void bigs(const family *f, given *g)
{
  g->n = f->n ? f->n : 1;
  g->m = f->m;
  for (int k = 0; k < 8; k++) {
    g->a[k] = num(f->a[k]);
    g->b[k] = num(f->b[k]);
  }
}
static double ulp(double x) { return nextafter(fabs(x), HUGE_VAL) - fabs(x); }

/* ---- masses and derivatives ------------------------------------------------------------------ */

static double slope(const family *f, const double *x, int leaf)
{
  int n = f->n ? f->n : 1;
  double size = fabs(leaf < n ? f->a[leaf] : f->b[leaf - n]);
  big side[2];
  big_reset();
  big h = mul(num(size > 0 ? size : 1), num(1e-40));
  for (int i = 0; i < 2; i++) {
    given g;
    bigs(f, &g);
    big *at = leaf < n ? &g.a[leaf] : &g.b[leaf - n];
    *at = add(*at, i ? h : neg(h));
    side[i] = f->exact(&g, x);
  }
  return dbl(over(sub(side[1], side[0]), mul(two(), h)));
}

/* Within 16 ulp or 1e-13, or what 4 ulp of the arguments make. */
static void check_value(const family *f, const double *x)
{
  norn_dist d = made_of(f);
  norn_datum v = value_of(f, x);
  double got = 0, leaf[16] = {0}, moved = 0;
  int n = f->n ? f->n : 1;
  bool counted = f->exact == o_multinomial || f->exact == o_dirichlet_multinomial;
  CHECK(norn_dist_check(st, &d) == NORN_OK);
  CHECK(norn_dist_logp(st, &d, v, &got) == NORN_OK);
  CHECK(norn_dist_leaves(&d) == n + f->m);
  leaf[n - 1] = 100;
  CHECK(norn_dist_partials(st, &d, v, -2, NULL, leaf) == NORN_OK);
  leaf[n - 1] -= 100;
  for (int k = 0; k < n + f->m; k++) {
    double value = k < n ? f->a[k] : f->b[k - n], exact = counted && k == 0 ? 0 : slope(f, x, k);
    double miss = fabs(leaf[k] / -2 - exact);
    bool good = miss <= 64 * ulp(exact) || miss <= 1e-13 * fabs(exact) || miss <= 4e-14 ||
                miss <= 1e-15 / fabs(value);
    moved = fmax(moved, fabs(exact * value) * 0x1p-52);
    CHECK_AT(good, f, x);
    if (!good) fprintf(stderr, "  partial %d: %.17g, not %.17g\n", k, leaf[k] / -2, exact);
  }
  big_reset();
  given g;
  bigs(f, &g);
  big exact = f->exact(&g, x);
  double e = dbl(exact), miss = fabs(dbl(sub(num(got), exact)));
  bool good = miss <= 16 * ulp(e) || miss <= 1e-13 * fmax(1, fabs(e)) || miss <= 4 * moved;
  CHECK_AT(good, f, x);
  if (!good) fprintf(stderr, "  %.17g, not %.17g\n", got, e);
}

static void test_values(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    norn_dist d = made_of(f);
    check_value(f, f->x);
    int64_t count = norn_dist_count(st, &d);
    for (int64_t k = 0; count <= 50 && k < count; k++) {
      norn_datum v;
      double x[8] = {0};
      d = made_of(f);
      CHECK(norn_dist_enumerate(st, &d, k, &v) == NORN_OK && !norn_is_none(v));
      for (int j = 0; j < width(f); j++) x[j] = norn_elem_real(v, j);
      if (f->exact != o_categorical || f->a[(int)x[0]] > 0) check_value(f, x);
    }
  }
}

/* ---- totals, moments, cdf -------------------------------------------------------------------- */

static void test_totals(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    norn_dist d = made_of(f);
    int64_t count = norn_dist_count(st, &d), k = 0;
    if (count < 0 || count > 5000) continue;
    double total = 0, mean[8] = {0}, square[8] = {0}, last[8] = {-1};
    norn_datum v, m, s;
    for (;; k++) {
      double l, c;
      CHECK(norn_dist_enumerate(st, &d, k, &v) == NORN_OK);
      if (norn_is_none(v)) break;
      CHECK(norn_dist_logp(st, &d, v, &l) == NORN_OK);
      total += exp(l);
      int order = 0;
      for (int j = 0; j < width(f); j++) {
        double x = norn_elem_real(v, j);
        mean[j] += x * exp(l);
        square[j] += x * x * exp(l);
        if (!order) order = (x > last[j]) - (x < last[j]);
        last[j] = x;
      }
      CHECK_AT(order > 0, f, last);                       /* rising, so all different */
      if (is_array(f)) continue;
      CHECK(dist_cdf(st, &d, v, &c) == NORN_OK);
      CHECK_AT(fabs(c - total) < 1e-14, f, last);
      CHECK(dist_quantile(st, &d, c * 0.999999, &v) == NORN_OK);
      CHECK_AT(exp(l) < 1e-5 || norn_elem_real(v, 0) == last[0], f, last);
    }
    CHECK_AT(k == count, f, f->x);
    CHECK_AT(fabs(total - 1) < 2e-14, f, f->x);
    CHECK(dist_moments(st, &d, &m, &s) == NORN_OK);
    for (int j = 0; j < width(f); j++) {
      CHECK_AT(fabs(norn_elem_real(m, j) - mean[j]) < 1e-12, f, f->x);
      CHECK_AT(fabs(norn_elem_real(s, j) - (square[j] - mean[j] * mean[j])) < 1e-12, f, f->x);
    }
  }
}

/* ---- draws ----------------------------------------------------------------------------------- */

enum { DRAWS = 100000, VALUES = 600 };

static void test_draws(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    norn_dist d = made_of(f);
    static double expect[VALUES];
    static int seen[VALUES];
    static norn_datum value[VALUES];
    int64_t count = norn_dist_count(st, &d);
    if (count < 0 || count > VALUES) count = 0;
    for (int64_t k = 0; k < count; k++) {
      norn_dist_enumerate(st, &d, k, &value[k]);
      norn_dist_logp(st, &d, value[k], &expect[k]);
      expect[k] = DRAWS * exp(expect[k]);
      seen[k] = 0;
    }
    bool inside = true;
    int64_t hint = 0;
    for (int k = 0; k < DRAWS; k++) {
      norn_rng g = {.stream = 77, .event = (uint32_t)i, .lane = (uint32_t)k};
      norn_datum x;
      double l;
      if (count == 0 && k > 200) break;
      inside &= norn_dist_sample(st, &d, &g, &x) == NORN_OK;
      inside &= norn_dist_logp(st, &d, x, &l) == NORN_OK && l > -HUGE_VAL;
      for (int64_t j = 0; j < count; j++, hint = (hint + 1) % count)
        if (norn_equal(value[hint], x)) { seen[hint]++; break; }
    }
    CHECK_AT(inside, f, f->x);
    double sum = 0, rest = 0;
    int cells = 0, others = 0;
    for (int64_t k = 0; k < count; k++) {
      if (expect[k] < 5) { rest += expect[k]; others += seen[k]; continue; }
      sum += (seen[k] - expect[k]) * (seen[k] - expect[k]) / expect[k];
      cells++;
    }
    if (rest >= 5) { sum += (others - rest) * (others - rest) / rest; cells++; }
    else CHECK_AT(others < 30, f, f->x);
    if (cells > 1) CHECK_AT(gsl_cdf_chisq_Q(sum, cells - 1) > 1e-3 / FAMILIES, f, f->x);
  }
}

/* Means of draws too many to enumerate, by z-scores of each count. */
static void test_large_draws(void)
{
  static const family large[] = {
    {MN, 0, 3, {1e9}, {0.3, 0.3, 0.4}, {0}}, {MN, 0, 4, {1e6}, {1e-5, 0.5, 0.25, 0.24999}, {0}},
    {DM, 0, 3, {1e9}, {3, 200, 5e4}, {0}}, {DM, 0, 3, {1e5}, {0.01, 0.02, 0.03}, {0}},
  };
  for (int i = 0; i < 4; i++) {
    const family *f = &large[i];
    norn_dist d = made_of(f);
    norn_datum mean, variance, x;
    double sum[8] = {0}, square[8] = {0};
    CHECK(dist_moments(st, &d, &mean, &variance) == NORN_OK);
    for (int k = 0; k < 20000; k++) {
      norn_rng g = {.stream = 78, .event = (uint32_t)i, .lane = (uint32_t)k};
      CHECK(norn_dist_sample(st, &d, &g, &x) == NORN_OK);
      for (int j = 0; j < f->m; j++) {
        double y = (norn_elem_real(x, j) - norn_elem_real(mean, j)) /
                   sqrt(norn_elem_real(variance, j));
        sum[j] += y;
        square[j] += y * y;
      }
    }
    for (int j = 0; j < f->m; j++) {
      CHECK_AT(fabs(sum[j]) < 4.5 * sqrt(20000), f, &f->a[0]);
      CHECK_AT(fabs(square[j] / 20000 - 1) < 0.1, f, &f->a[0]);
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
  IS("logpdf(multinomial(3, [0.5, 0.5]), [1, 1])", "-inf");
  IS("logpdf(multinomial(3, [0.5, 0.5]), [4, -1])", "-inf");
  IS("logpdf(multinomial(3, [1.0, 0.0]), [3, 0])", "0.0");
  IS("logpdf(multinomial(3, [1.0, 0.0]), [2, 1])", "-inf");
  IS("logpdf(multinomial(30, [1.0, 0.0]), [30, 0])", "0.0");
  IS("logpdf(multinomial(30, [1.0, 0.0]), [29, 1])", "-inf");
  IS("logpdf(multinomial(3, [0.5, 0.5]), [1, 1, 1])",
     "error: a value of multinomial must be an array of 2 integers, got an array of 3 integers");
  IS("logpdf(multinomial(3, [0.5, 0.5]), [1.5, 1.5])",
     "error: a value of multinomial must be an array of 2 integers, got an array of 2 reals");
  IS("multinomial([0.5, 0.5], 3)",
     "error: number of trials of multinomial must be an integer, got an array of 2 reals");
  IS("multinomial(-1, [0.5, 0.5])",
     "error: number of trials of multinomial must be an integer within 0..2^53, got -1");
  IS("multinomial(3, [0.5, 0.6])",
     "error: probabilities of multinomial must sum to 1, they sum to 1.1");
  IS("dirichlet_multinomial(3, [0.5, 0])",
     "error: alpha of dirichlet_multinomial must be positive, got 0.0 at element 1");
  IS("dirichlet_multinomial(3, [])", "error: alpha of dirichlet_multinomial must not be empty");
  IS("ordered_logistic(0, [1, 1])",
     "error: cutpoints of ordered_logistic must rise, got 1 after 1 at element 1");
  IS("ordered_probit([0, 1], [])", "error: cutpoints of ordered_probit must not be empty");
  IS("ordered_probit(inf, [0])", "error: eta of ordered_probit must be finite");
  IS("ordered_probit(true, [0])",
     "error: eta of ordered_probit must be an array of numbers, got a boolean");
  IS("ordered_probit(0, 0)",
     "error: cutpoints of ordered_probit must be an array of numbers, got an integer");
  IS("logpdf(ordered_logistic([0, 1], [0]), 1)",
     "error: ordered_logistic with these parameters has values of shape (2), got an integer");
  IS("logpdf(ordered_logistic(0, [0]), [1])",
     "error: ordered_logistic with these parameters has single values, got an array of 1 integer");
  IS("logpdf(ordered_logistic(0, [0]), 2)", "-inf");
  IS("logpdf(ordered_logistic(0, [0]), 0.5)",
     "error: a value of ordered_logistic must be an integer, got 0.5");
  IS("categorical_logit([])", "error: log weights of categorical_logit must not be empty");
  IS("categorical_logit([0, inf])",
     "error: log weights of categorical_logit must be finite, got inf at element 1");
  IS("categorical_logit([[0, 1]])",
     "error: log weights of categorical_logit must be an array of numbers, got a 1 by 2 matrix "
     "of integers");
  const double two[] = {0, 1}, zero = 0;
  norn_datum args[] = {norn_array_f64(st, two, 2), norn_array_f64(st, &zero, 1)};
  norn_dist product = {dist_find("ordered_logistic"), args, 2};
  double c;
  CHECK(dist_cdf(st, &product, norn_int(1), &c) == NORN_ETYPE);
  CHECK_STR(norn_error(st)->text,
            "the distribution function of ordered_logistic needs a single number as eta");
  norn_clear(st);
  IS("len(sample(ordered_logistic([[0, 1], [2, 3]], [0])))", "2");
}

int main(void)
{
  st = norn_new(NULL);
  test_values();
  test_totals();
  test_draws();
  test_large_draws();
  test_refused();
  norn_free(st);
  return unit_end();
}
