/* test_map: the maps between R^m and supports.

   For each kind, size and pair of bounds, at random points of ordinary size and at extreme ones,
   the point is inside, the way back gives u, the log Jacobian is that of the determinant of central
   differences in the free coordinates, and the reverse mode meets central differences in u and in
   the bounds.  The term of unit vectors has no determinant: its integral does. */
#include "dist/dist.h"
#include "num/rng.h"
#include "unit.h"
#include <stdlib.h>

enum { MOST = 36 };   /* numbers of a unit, or free ones */

static const double none_lower = -HUGE_VAL, none_upper = HUGE_VAL;

static norn_support support(norn_support_kind kind, int64_t size, double lower, double upper)
{
  return (norn_support){kind, lower, upper, size, 1, -1, -1};
}

/* ---- determinants ---------------------------------------------------------------------------- */

/* log |det a|, by elimination with pivots; a is lost. */
static double log_det(double *a /* (n, n) */, int64_t n)
{
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    int64_t best = k;
    for (int64_t i = k + 1; i < n; i++)
      if (fabs(a[i * n + k]) > fabs(a[best * n + k])) best = i;
    for (int64_t j = 0; j < n; j++) {
      double t = a[k * n + j];
      a[k * n + j] = a[best * n + j];
      a[best * n + j] = t;
    }
    sum += log(fabs(a[k * n + k]));
    for (int64_t i = k + 1; i < n; i++) {
      double f = a[i * n + k] / a[k * n + k];
      for (int64_t j = k; j < n; j++) a[i * n + j] -= f * a[k * n + j];
    }
  }
  return sum;
}

/* The free coordinates of x, as norn.h says; how many. */
static int64_t free_of(const norn_support *s, const double *x, double *y)
{
  int64_t n = s->size, m = 0;
  switch (s->kind) {
  case NORN_SUPPORT_SIMPLEX: case NORN_SUPPORT_SUM_TO_ZERO: n--; break;
  case NORN_SUPPORT_COV: case NORN_SUPPORT_CHOLESKY_COV:
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j <= i; j++) y[m++] = x[i * n + j];
    return m;
  case NORN_SUPPORT_CORR: case NORN_SUPPORT_CHOLESKY_CORR:
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < i; j++) y[m++] = x[i * n + j];
    return m;
  default: break;
  }
  for (; m < n; m++) y[m] = x[m];
  return m;
}

static double step_of(double u) { return 1e-5 * fmax(1, fabs(u)); }

static double jacobian_by_differences(const norn_support *s, const double *u)
{
  int64_t m = norn_support_free(s);
  double a[MOST * MOST], v[MOST], x[MOST], high[MOST], low[MOST];
  for (int64_t j = 0; j < m; j++) {
    double h = step_of(u[j]);
    memcpy(v, u, (size_t)m * sizeof *v);
    v[j] = u[j] + h;
    norn_support_constrain(s, v, x, NULL);
    free_of(s, x, high);
    v[j] = u[j] - h;
    norn_support_constrain(s, v, x, NULL);
    int64_t rows = free_of(s, x, low);
    CHECK(rows == m);
    for (int64_t i = 0; i < m; i++) a[i * m + j] = (high[i] - low[i]) / (2 * h);
  }
  return log_det(a, m);
}

/* ---- reverse mode ---------------------------------------------------------------------------- */

static double objective(const norn_support *s, const double *u, const double *gx, double gj)
{
  double x[MOST], log_jacobian = 0, sum = 0;
  norn_support_constrain(s, u, x, &log_jacobian);
  for (int64_t k = 0; k < norn_support_elems(s); k++) sum += gx[k] * x[k];
  return sum + gj * log_jacobian;
}

static void near_relative(double a, double b, double tol, const char *what, int kind)
{
  unit.checks++;
  if (fabs(a - b) <= tol * fmax(1, fabs(b))) return;
  unit_fail(__FILE__, __LINE__);
  fprintf(stderr, "kind %d: %s is %.17g, not %.17g\n", kind, what, a, b);
}

static void check_adjoint(const norn_support *s, const double *u, norn_rng *g)
{
  int64_t m = norn_support_free(s), n = norn_support_elems(s);
  double x[MOST], gx[MOST], gu[MOST], v[MOST], work[MOST], gj = rng_normal(g), before = 0.25;
  double glower = before, gupper = before;
  for (int64_t k = 0; k < n; k++) gx[k] = rng_normal(g);
  for (int64_t k = 0; k < m; k++) gu[k] = before;
  norn_support_constrain(s, u, x, NULL);
  norn_support_adjoint(s, u, x, gx, gj, gu, &glower, &gupper, work);
  for (int64_t j = 0; j < m; j++) {
    double h = step_of(u[j]);
    memcpy(v, u, (size_t)m * sizeof *v);
    v[j] = u[j] + h;
    double high = objective(s, v, gx, gj);
    v[j] = u[j] - h;
    near_relative(gu[j] - before, (high - objective(s, v, gx, gj)) / (2 * h), 1e-6, "gu", s->kind);
  }
  for (int side = 0; side < 2; side++) {
    norn_support a = *s, b = *s;
    double at = side ? s->upper : s->lower, h = 1e-6;
    double got = (side ? gupper : glower) - before, want = 0;
    if (fabs(at) < HUGE_VAL && s->kind != NORN_SUPPORT_POSITIVE_ORDERED) {
      *(side ? &a.upper : &a.lower) = at + h;
      *(side ? &b.upper : &b.lower) = at - h;
      want = (objective(&a, u, gx, gj) - objective(&b, u, gx, gj)) / (2 * h);
      near_relative(got, want, 1e-6, side ? "gupper" : "glower", s->kind);
    }
  }
  double again[MOST] = {0};   /* the same without bounds */
  norn_support_adjoint(s, u, x, gx, gj, again, NULL, NULL, work);
  for (int64_t j = 0; j < m; j++) near_relative(again[j], gu[j] - before, 1e-13, "gu", s->kind);
}

/* ---- every kind ------------------------------------------------------------------------------ */

static void check_point(const norn_support *s, const double *u, double tol)
{
  int64_t m = norn_support_free(s);
  double x[MOST], v[MOST], y[MOST], twice[2] = {1, 1};
  norn_support_constrain(s, u, x, &twice[0]);
  CHECK(norn_support_unconstrain(s, x, v));
  norn_support_constrain(s, v, y, &twice[1]);
  if (s->kind == NORN_SUPPORT_UNIT_VECTOR) {
    for (int64_t k = 0; k < m; k++) near_relative(y[k], x[k], 1e-15, "x", s->kind);
    return;
  }
  for (int64_t k = 0; k < m; k++) near_relative(v[k], u[k], tol, "u", s->kind);
}

static void check_kind(norn_support_kind kind, int64_t size, double lower, double upper,
                       norn_rng *g)
{
  norn_support s = support(kind, size, lower, upper);
  double u[MOST];
  for (int round = 0; round < 20; round++) {
    for (int64_t k = 0; k < norn_support_free(&s); k++) u[k] = rng_normal(g);
    check_point(&s, u, 1e-12);
    check_adjoint(&s, u, g);
    if (kind == NORN_SUPPORT_UNIT_VECTOR) continue;
    double log_jacobian = 0.5, x[MOST];
    norn_support_constrain(&s, u, x, &log_jacobian);
    near_relative(log_jacobian - 0.5, jacobian_by_differences(&s, u), 1e-7, "Jacobian", kind);
  }
}

static void test_kinds(void)
{
  norn_rng g = {.stream = 3, .lane = 1};
  check_kind(NORN_SUPPORT_REAL, 1, none_lower, none_upper, &g);
  check_kind(NORN_SUPPORT_LOWER, 1, -2.5, none_upper, &g);
  check_kind(NORN_SUPPORT_UPPER, 1, none_lower, 3.5, &g);
  check_kind(NORN_SUPPORT_INTERVAL, 1, -2.5, 3.5, &g);
  check_kind(NORN_SUPPORT_INTERVAL, 1, -2.5, none_upper, &g);
  check_kind(NORN_SUPPORT_INTERVAL, 1, none_lower, none_upper, &g);
  for (int64_t n = 1; n <= 5; n++) {
    check_kind(NORN_SUPPORT_SIMPLEX, n, none_lower, none_upper, &g);
    check_kind(NORN_SUPPORT_SUM_TO_ZERO, n, none_lower, none_upper, &g);
    check_kind(NORN_SUPPORT_ORDERED, n, none_lower, none_upper, &g);
    check_kind(NORN_SUPPORT_ORDERED, n, -1.5, none_upper, &g);
    check_kind(NORN_SUPPORT_ORDERED, n, none_lower, 1.5, &g);
    check_kind(NORN_SUPPORT_ORDERED, n, -1.5, 2.5, &g);
    check_kind(NORN_SUPPORT_POSITIVE_ORDERED, n, none_lower, none_upper, &g);
    check_kind(NORN_SUPPORT_UNIT_VECTOR, n, none_lower, none_upper, &g);
    check_kind(NORN_SUPPORT_CORR, n, none_lower, none_upper, &g);
    check_kind(NORN_SUPPORT_COV, n, none_lower, none_upper, &g);
    check_kind(NORN_SUPPORT_CHOLESKY_CORR, n, none_lower, none_upper, &g);
    check_kind(NORN_SUPPORT_CHOLESKY_COV, n, none_lower, none_upper, &g);
  }
}

/* ---- values by hand -------------------------------------------------------------------------- */

static void test_by_hand(void)
{
  double x[MOST], lj = 0;
  norn_support s = support(NORN_SUPPORT_INTERVAL, 1, 0, 4);
  norn_support_constrain(&s, (double[]){0}, x, &lj);
  CHECK_NEAR(x[0], 2, 0);
  CHECK_NEAR(lj, 0, 1e-15);   /* 4 / 2 / 2 */
  norn_support_constrain(&s, (double[]){-700}, x, NULL);
  CHECK_NEAR(x[0] / (4 * exp(-700)), 1, 1e-15);
  s = support(NORN_SUPPORT_UPPER, 1, none_lower, 3);
  norn_support_constrain(&s, (double[]){log(2)}, x, NULL);
  CHECK_NEAR(x[0], 1, 1e-15);
  s = support(NORN_SUPPORT_SIMPLEX, 2, none_lower, none_upper);   /* z = (u, -u) / sqrt 2 */
  norn_support_constrain(&s, (double[]){sqrt(0.5) * log(3)}, x, NULL);
  CHECK_NEAR(x[0], 0.75, 1e-15);
  CHECK_NEAR(x[1], 0.25, 1e-15);
  s = support(NORN_SUPPORT_SUM_TO_ZERO, 3, none_lower, none_upper);
  norn_support_constrain(&s, (double[]){sqrt(2), sqrt(6)}, x, NULL);
  CHECK_NEAR(x[0], 2, 1e-15);
  CHECK_NEAR(x[1], 0, 1e-15);
  CHECK_NEAR(x[2], -2, 1e-15);
  s = support(NORN_SUPPORT_CORR, 2, none_lower, none_upper);
  norn_support_constrain(&s, (double[]){atanh(0.6)}, x, NULL);
  CHECK_NEAR(x[1], 0.6, 1e-15);
  CHECK_NEAR(x[2], 0.6, 1e-15);
  CHECK_NEAR(x[3], 1, 0);
  s = support(NORN_SUPPORT_COV, 2, none_lower, none_upper);       /* L = 2 0; 1 3 */
  norn_support_constrain(&s, (double[]){log(2), 1, log(3)}, x, NULL);
  CHECK_NEAR(x[0], 4, 1e-14);
  CHECK_NEAR(x[1], 2, 1e-14);
  CHECK_NEAR(x[2], 2, 1e-14);
  CHECK_NEAR(x[3], 10, 1e-14);
  s = support(NORN_SUPPORT_ORDERED, 3, 0, 1);                     /* equal gaps */
  norn_support_constrain(&s, (double[]){0, 0, 0}, x, NULL);
  for (int k = 0; k < 3; k++) CHECK_NEAR(x[k], 0.25 * (k + 1), 1e-15);
}

/* With r = |u|, the integral of r^(n-1) exp(term) over r > 0 is 1: the area cancels. */
static void test_unit_term(void)
{
  for (int64_t n = 1; n <= 6; n++) {
    norn_support s = support(NORN_SUPPORT_UNIT_VECTOR, n, none_lower, none_upper);
    double sum = 0, h = 1e-3, u[MOST] = {0}, x[MOST];
    for (int k = 0; k < 12000; k++) {
      double term = 0;
      u[n - 1] = (k + 0.5) * h;
      norn_support_constrain(&s, u, x, &term);
      sum += h * pow(u[n - 1], (double)(n - 1)) * exp(term);
    }
    CHECK_NEAR(sum, 1, 1e-6);
  }
}

/* ---- extreme points -------------------------------------------------------------------------- */

static void test_extremes(void)
{
  norn_rng g = {.stream = 5};
  double u[MOST], x[MOST];
  const double sizes[] = {1e-8, 1e-3, 10, 300, 1e4};
  for (int i = 0; i < 5; i++)
    for (int round = 0; round < 20; round++) {
      for (int k = 0; k < MOST; k++) u[k] = sizes[i] * rng_normal(&g);
      norn_support s = support(NORN_SUPPORT_SIMPLEX, 6, none_lower, none_upper);
      double lj = 0, sum = 0;
      norn_support_constrain(&s, u, x, &lj);
      for (int k = 0; k < 6; k++) {
        CHECK(x[k] > 0);
        sum += x[k];
      }
      CHECK_NEAR(sum, 1, 1e-14);
      CHECK(lj <= 0 && lj > -HUGE_VAL);
      if (sizes[i] <= 10) check_point(&s, u, 1e-12);
      s = support(NORN_SUPPORT_INTERVAL, 1, -1, 2);
      norn_support_constrain(&s, u, x, &lj);
      CHECK(x[0] > -1 && x[0] < 2);
      s = support(NORN_SUPPORT_LOWER, 1, 7, none_upper);
      norn_support_constrain(&s, u, x, &lj);
      CHECK(x[0] > 7);
      s = support(NORN_SUPPORT_ORDERED, 5, -1, 2);
      norn_support_constrain(&s, u, x, &lj);
      for (int k = 0; k < 5; k++) CHECK(x[k] > (k ? x[k - 1] : -1));
      s = support(NORN_SUPPORT_CHOLESKY_CORR, 4, none_lower, none_upper);
      norn_support_constrain(&s, u, x, &lj);
      CHECK(lj <= 1e-12 && lj > -HUGE_VAL);
      if (sizes[i] <= 10) check_point(&s, u, 1e-12);
      for (int k = 0; k < 4; k++) {
        double square = 0;
        for (int j = 0; j <= k; j++) square += x[4 * k + j] * x[4 * k + j];
        CHECK_NEAR(square, 1, 1e-14);
        CHECK(x[5 * k] > 0);
      }
      s = support(NORN_SUPPORT_CHOLESKY_COV, 4, none_lower, none_upper);
      if (sizes[i] <= 10) check_point(&s, u, 1e-12);
    }
  /* all the digits of numbers that are close to a bound */
  norn_support s = support(NORN_SUPPORT_INTERVAL, 1, 0, 1);
  for (double e = 1; e > 1e-300; e *= 1e-7) {
    x[0] = 0.5 * e;
    CHECK(norn_support_unconstrain(&s, x, u));
    double y;
    norn_support_constrain(&s, u, &y, NULL);
    CHECK_NEAR(y / x[0], 1, 1e-13);
  }
  s = support(NORN_SUPPORT_INTERVAL, 1, -1.7e308, 1.7e308);
  check_point(&s, (double[]){0.5}, 1e-12);
}

static bool takes(norn_support_kind kind, int64_t size, double lower, double upper, const double *x)
{
  double u[MOST];
  norn_support s = support(kind, size, lower, upper);
  return norn_support_unconstrain(&s, x, u);
}
#define V(...) ((const double[]){__VA_ARGS__})

static void test_outside(void)
{
  const double a = none_lower, b = none_upper, nan = (double)NAN;
  CHECK(!takes(NORN_SUPPORT_REAL, 1, a, b, V(b)));
  CHECK(!takes(NORN_SUPPORT_REAL, 1, a, b, V(nan)));
  CHECK(!takes(NORN_SUPPORT_LOWER, 1, 1, b, V(1)));
  CHECK(!takes(NORN_SUPPORT_LOWER, 1, 1, b, V(0)));
  CHECK(!takes(NORN_SUPPORT_UPPER, 1, a, 1, V(1)));
  CHECK(!takes(NORN_SUPPORT_UPPER, 1, a, 1, V(2)));
  CHECK(!takes(NORN_SUPPORT_INTERVAL, 1, 0, 1, V(0)));
  CHECK(!takes(NORN_SUPPORT_INTERVAL, 1, 0, 1, V(1)));
  CHECK(!takes(NORN_SUPPORT_INTERVAL, 1, 0, 1, V(1.5)));
  CHECK(takes(NORN_SUPPORT_SIMPLEX, 2, a, b, V(0.25, 0.75)));
  CHECK(!takes(NORN_SUPPORT_SIMPLEX, 2, a, b, V(0.25, 0.7)));
  CHECK(!takes(NORN_SUPPORT_SIMPLEX, 2, a, b, V(0, 1)));
  CHECK(!takes(NORN_SUPPORT_SIMPLEX, 2, a, b, V(-0.25, 1.25)));
  CHECK(!takes(NORN_SUPPORT_ORDERED, 2, a, b, V(1, 1)));
  CHECK(!takes(NORN_SUPPORT_ORDERED, 2, a, b, V(2, 1)));
  CHECK(!takes(NORN_SUPPORT_ORDERED, 2, 0, b, V(0, 1)));
  CHECK(!takes(NORN_SUPPORT_ORDERED, 2, 0, 1, V(0.5, 1)));
  CHECK(!takes(NORN_SUPPORT_POSITIVE_ORDERED, 2, a, b, V(-1, 1)));
  CHECK(!takes(NORN_SUPPORT_UNIT_VECTOR, 2, a, b, V(1, 1)));
  CHECK(!takes(NORN_SUPPORT_SUM_TO_ZERO, 2, a, b, V(1, 1)));
  CHECK(!takes(NORN_SUPPORT_CORR, 2, a, b, V(1, 0.5, 0.4, 1)));
  CHECK(!takes(NORN_SUPPORT_CORR, 2, a, b, V(1, 1.5, 1.5, 1)));
  CHECK(!takes(NORN_SUPPORT_CORR, 2, a, b, V(1, 0.5, 0.5, 2)));
  CHECK(!takes(NORN_SUPPORT_COV, 2, a, b, V(1, 2, 2, 1)));
  CHECK(!takes(NORN_SUPPORT_COV, 2, a, b, V(4, 2, 1, 4)));
  CHECK(!takes(NORN_SUPPORT_CHOLESKY_COV, 2, a, b, V(1, 1, 0, 1)));
  CHECK(!takes(NORN_SUPPORT_CHOLESKY_COV, 2, a, b, V(1, 0, 0, -1)));
  CHECK(!takes(NORN_SUPPORT_CHOLESKY_CORR, 2, a, b, V(1, 0, 0.6, 0.7)));
  CHECK(!takes(NORN_SUPPORT_CHOLESKY_CORR, 2, a, b, V(1, 0, 0.6, -0.8)));
  CHECK(!takes(NORN_SUPPORT_INTEGER, 1, a, b, V(1)));
  norn_support s = support(NORN_SUPPORT_BOOL, 1, a, b);
  CHECK(norn_support_free(&s) == -1);
}

/* ---- bounds of distributions ----------------------------------------------------------------- */

static norn_dist view_of(norn_state *st, const char *text)
{
  norn_datum v;
  norn_dist d = {0};
  CHECK(!norn_eval(st, "test", text, strlen(text), NORN_LOAD_REPL, &v));
  CHECK(norn_dist_view(v, &d));
  return d;
}

static void bounds_are(norn_state *st, const char *text, double lower, double upper,
                       int64_t lower_leaf, int64_t upper_leaf)
{
  norn_dist d = view_of(st, text);
  norn_support s;
  CHECK(!norn_dist_support(st, &d, &s));
  CHECK(s.lower == lower || (isnan(lower) && isnan(s.lower)));
  CHECK(s.upper == upper || (isnan(upper) && isnan(s.upper)));
  CHECK_NEAR((double)s.lower_leaf, (double)lower_leaf, 0);
  CHECK_NEAR((double)s.upper_leaf, (double)upper_leaf, 0);
}

static void test_bounds(norn_state *st)
{
  const double nan = (double)NAN;
  double lower[4], upper[4];
  bounds_are(st, "normal(0, 1)", none_lower, none_upper, -1, -1);
  bounds_are(st, "exponential(2)", 0, none_upper, -1, -1);
  bounds_are(st, "uniform(-1, 2)", -1, 2, 0, 1);
  bounds_are(st, "uniform([-1, 0], 2)", nan, 2, 0, 2);
  bounds_are(st, "uniform(-1, [2, 2])", -1, nan, 0, 1);
  bounds_are(st, "flat(lower = 1)", 1, none_upper, 0, -1);
  bounds_are(st, "flat(upper = 1)", none_lower, 1, -1, 0);
  bounds_are(st, "flat(1, 2)", 1, 2, 0, 1);
  norn_dist d = view_of(st, "uniform([-1, 0], 2)");
  CHECK(!norn_dist_bounds(st, &d, lower, upper));
  CHECK(lower[0] == -1 && lower[1] == 0 && upper[0] == 2 && upper[1] == 2);
  d = view_of(st, "flat(1, 2)");
  CHECK(!norn_dist_bounds(st, &d, lower, upper));
  CHECK(lower[0] == 1 && upper[0] == 2);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  if (!st) return 99;
  test_kinds();
  test_by_hand();
  test_unit_term();
  test_extremes();
  test_outside();
  test_bounds(st);
  norn_free(st);
  return unit_end();
}
