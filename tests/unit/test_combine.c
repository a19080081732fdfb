/* test_combine: distributions made of others.

   Each stands as a text in which # is a leaf.  Their derivatives by values and leaves, those of the
   masses of intervals and of bounds are compared with central differences of the densities, masses
   and bounds themselves; densities must integrate to 1 and to their own distribution functions and
   moments, by a quadrature that knows nothing of them; draws must fit the distribution function. */
#include "dist/dist.h"
#include "num/rng.h"
#include "unit.h"
#include <stdlib.h>

static norn_state *st;

enum { LEAVES = 16, TEXT = 400 };

static int eval(const char *text, norn_datum *v)
{
  if (!norn_eval(st, "test", text, strlen(text), NORN_LOAD_REPL, v)) return 1;
  unit_fail(__FILE__, __LINE__);
  fprintf(stderr, "%s: %s\n", text, norn_error(st)->text);
  norn_clear(st);
  return 0;
}

/* The text with its k-th # replaced by value[k]; how many there are. */
static int filled(const char *template, const double *value, char *out)
{
  int n = 0;
  char *to = out;
  for (const char *s = template; *s; s++)
    if (*s == '#') to += snprintf(to, (size_t)(out + TEXT - to), "(%.17g)", value[n++]);
    else *to++ = *s;
  *to = 0;
  return n;
}

static int made(const char *template, const double *leaf, norn_dist *d)
{
  char text[TEXT];
  norn_datum v;
  filled(template, leaf, text);
  return eval(text, &v) && norn_dist_view(v, d);
}

static double step_of(double x) { return 1e-5 * fmax(fabs(x), 0.1); }

static void near(double a, double b, double tol, const char *what, const char *text, int line)
{
  unit.checks++;
  if (fabs(a - b) <= tol * fmax(1, fabs(b)) || a == b) return;
  unit_fail(__FILE__, line);
  fprintf(stderr, "%s: %s is %.17g, not %.17g\n", text, what, a, b);
}

/* ---- derivatives ----------------------------------------------------------------------------- */

typedef struct {
  const char *dist;
  double leaf[LEAVES];
  const char *value;
  double x[LEAVES];
  unsigned whole;         /* bit k: leaf k is no real parameter: its derivative is not compared */
  bool no_x;              /* the value is discrete */
} example;

static double logp_at(const example *e, const double *leaf, const double *x)
{
  norn_dist d;
  norn_datum v;
  char text[TEXT];
  double logp = (double)NAN;
  filled(e->value, x, text);
  if (made(e->dist, leaf, &d) && eval(text, &v) && norn_dist_logp(st, &d, v, &logp)) {
    fprintf(stderr, "%s: %s\n", e->dist, norn_error(st)->text);
    norn_clear(st);
  }
  return logp;
}

static void check_partials(const example *e)
{
  norn_dist d;
  norn_datum v;
  char text[TEXT];
  double g[LEAVES], gx[LEAVES], moved[LEAVES];
  int n = filled(e->dist, e->leaf, text), nx = filled(e->value, e->x, text);
  if (!made(e->dist, e->leaf, &d) || !eval(text, &v)) return;
  near((double)norn_dist_leaves(&d), n, 0, "the number of leaves", e->dist, __LINE__);
  for (int k = 0; k < LEAVES; k++) g[k] = gx[k] = 0.5;   /* they are added to */
  if (norn_dist_partials(st, &d, v, 2, gx, g)) {
    unit_fail(__FILE__, __LINE__);
    fprintf(stderr, "%s: %s\n", e->dist, norn_error(st)->text);
    norn_clear(st);
    return;
  }
  for (int side = 0; side < 2; side++)
    for (int k = 0; k < (side ? nx : n); k++) {
      if (side ? e->no_x : e->whole >> k & 1) continue;
      const double *from = side ? e->x : e->leaf;
      double h = step_of(from[k]), at[2];
      for (int s = 0; s < 2; s++) {
        memcpy(moved, from, sizeof moved);
        moved[k] += s ? h : -h;
        at[s] = side ? logp_at(e, e->leaf, moved) : logp_at(e, moved, e->x);
      }
      char what[40];
      snprintf(what, sizeof what, "%s[%d]", side ? "gx" : "g", k);
      near(((side ? gx : g)[k] - 0.5) / 2, (at[1] - at[0]) / (2 * h), 1e-6, what, e->dist,
           __LINE__);
    }
  CHECK(!norn_dist_partials(st, &d, v, 1, NULL, NULL));
}

/* d with values that are single numbers: the mass of (a, b] and of both tails. */
static double mass_at(const char *dist, const double *leaf, double a, double b)
{
  norn_dist d;
  double mass = (double)NAN;
  if (made(dist, leaf, &d) && dist_mass(st, &d, a, b, &mass, 0, NULL)) {
    fprintf(stderr, "%s: %s\n", dist, norn_error(st)->text);
    norn_clear(st);
  }
  return mass;
}

static void check_mass(const example *e, double a, double b)
{
  norn_dist d;
  char text[TEXT];
  double g[LEAVES] = {0}, moved[LEAVES], mass;
  int n = filled(e->dist, e->leaf, text);
  if (!made(e->dist, e->leaf, &d)) return;
  norn_status status = dist_mass(st, &d, a, b, &mass, 3, g);
  near(status, 0, 0, "the status of its mass", e->dist, __LINE__);
  for (int k = 0; k < n; k++) {
    if (e->whole >> k & 1) continue;
    double h = step_of(e->leaf[k]), at[2];
    for (int s = 0; s < 2; s++) {
      memcpy(moved, e->leaf, sizeof moved);
      moved[k] += s ? h : -h;
      at[s] = mass_at(e->dist, moved, a, b);
    }
    char what[60];
    snprintf(what, sizeof what, "mass of (%g, %g] by leaf %d", a, b, k);
    near(g[k] / 3, (at[1] - at[0]) / (2 * h), 1e-6, what, e->dist, __LINE__);
  }
}

static double bounds_sum(const char *dist, const double *leaf, const double *w, int64_t n)
{
  norn_dist d;
  double lower[LEAVES], upper[LEAVES], sum = 0;
  if (!made(dist, leaf, &d) || norn_dist_bounds(st, &d, lower, upper)) return (double)NAN;
  for (int64_t k = 0; k < n; k++) {
    if (isfinite(lower[k])) sum += w[k] * lower[k];
    if (isfinite(upper[k])) sum += w[n + k] * upper[k];
  }
  return sum;
}

/* The bounds' reverse mode; where the support names leaves, they say the same. */
static void check_bounds(const example *e)
{
  norn_dist d;
  norn_support s;
  char text[TEXT];
  double w[2 * LEAVES], g[LEAVES] = {0}, moved[LEAVES], lower[LEAVES], upper[LEAVES];
  int n = filled(e->dist, e->leaf, text);
  if (!made(e->dist, e->leaf, &d) || norn_dist_support(st, &d, &s)) return;
  for (int k = 0; k < 2 * LEAVES; k++) w[k] = 0.3 + 0.1 * k;
  CHECK(!norn_dist_bounds_adjoint(st, &d, w, w + s.count, g));
  CHECK(!norn_dist_bounds(st, &d, lower, upper));
  for (int k = 0; k < n; k++) {
    if (e->whole >> k & 1) continue;
    double h = step_of(e->leaf[k]), at[2];
    for (int side = 0; side < 2; side++) {
      memcpy(moved, e->leaf, sizeof moved);
      moved[k] += side ? h : -h;
      at[side] = bounds_sum(e->dist, moved, w, s.count);
    }
    near(g[k], (at[1] - at[0]) / (2 * h), 1e-6, "a bound's derivative", e->dist, __LINE__);
    bool named = k == s.lower_leaf || k == s.upper_leaf || s.lower_leaf == -2 ||
        s.upper_leaf == -2 || isnan(s.lower) || isnan(s.upper);
    near(g[k] != 0 && !named, 0, 0, "a bound that depends on an unnamed leaf", e->dist, __LINE__);
  }
  for (int64_t k = 0; k < s.count; k++) {
    near(isnan(s.lower) || s.lower == lower[k], 1, 0, "a lower bound", e->dist, __LINE__);
    near(isnan(s.upper) || s.upper == upper[k], 1, 0, "an upper bound", e->dist, __LINE__);
  }
}

static const example examples[] = {
  {"truncate(normal(#, #), lower = #)", {0.3, 1.2, -0.4}, "#", {0.7}, 0, false},
  {"truncate(normal(#, #), upper = #)", {0.3, 1.2, 1.4}, "#", {-0.7}, 0, false},
  {"truncate(normal(#, #), lower = #, upper = #)", {0.3, 1.2, -1.4, 2}, "#", {0.7}, 0, false},
  {"truncate(normal(#, #), lower = #, upper = #)", {0, 1, 6, 7}, "#", {6.2}, 0, false},
  {"truncate(normal(#, #), lower = #, upper = #)", {0, 1, -1e-3, 1e-3}, "#", {2e-4}, 0, false},
  {"truncate(normal(#, #), lower = #)", {0, 1, 38}, "#", {38.1}, 0, false},
  {"truncate(gamma(#, #), lower = #, upper = #)", {1.7, 2.2, 0.3, 1.4}, "#", {0.7}, 0, false},
  {"truncate(gamma(#, #), upper = #)", {0.4, 2.2, 1.4}, "#", {0.7}, 0, false},
  {"truncate(inv_gamma(#, #), lower = #)", {3, 2, 0.9}, "#", {1.7}, 0, false},
  {"truncate(beta(#, #), lower = #, upper = #)", {2, 3, 0.2, 0.9}, "#", {0.4}, 0, false},
  {"truncate(student_t(#, #, #), lower = #)", {4, 0.5, 2, 1}, "#", {1.3}, 0, false},
  {"truncate(lognormal(#, #), upper = #)", {0.2, 0.8, 3}, "#", {1.3}, 0, false},
  {"truncate(exponential(#), lower = #)", {2, 0.7}, "#", {1.3}, 0, false},
  {"truncate(exponential(#), lower = #)", {2, -0.7}, "#", {1.3}, 0, false},
  {"truncate(uniform(#, #), upper = #)", {-1, 2, 1.5}, "#", {1.3}, 0, false},
  {"truncate(uniform(#, #), lower = #)", {-1, 2, 0.5}, "#", {1.3}, 0, false},
  {"truncate(normal([#, #], #), lower = [#, #])", {0, 1, 2, -1, 0.5}, "[#, #]", {0.1, 2}, 0, false},
  {"truncate(normal(#, #), lower = [#, #], upper = #)", {0, 2, -1, 0.5, 3}, "[#, #]", {0.1, 2}, 0,
   false},
  {"truncate(exponential(#), lower = [#, #])", {2, -1, 0.5}, "[#, #]", {0.1, 2}, 0, false},
  {"truncate(poisson(#), lower = #)", {2.3, 1}, "#", {3}, 2, true},
  {"truncate(poisson(#), lower = #)", {1e9, 5}, "#", {1e9}, 2, true},
  {"truncate(binomial(#, #), lower = #)", {9, 0.4, 1}, "#", {3}, 5, true},
  {"truncate(binomial(#, #), lower = #, upper = #)", {9, 0.4, 3, 6}, "#", {4}, 13, true},
  {"truncate(poisson(#), lower = #, upper = #)", {2.3, 1, 4}, "#", {3}, 6, true},
  {"truncate(poisson(#), upper = #)", {200, 190}, "#", {180}, 2, true},
  {"truncate(truncate(normal(#, #), lower = #), upper = #)", {0, 1, -1, 2}, "#", {0.5}, 0, false},
  {"truncate(mixture([#, #], [normal(#, #), exponential(#)]), lower = #, upper = #)",
   {0.3, 0.7, 0.1, 2, 1.5, -0.5, 3}, "#", {0.6}, 3, false},
  {"truncate(transform(gamma(#, #), log), lower = #)", {2, 3, -1.5}, "#", {0.2}, 0, false},
  {"truncate(transform(normal(#, #), affine(#, #)), lower = #)", {0.1, 1.1, 1, -2, 0.5}, "#", {0.9},
   0, false},
  {"mixture([#, #], [normal(#, #), gamma(#, #)])", {0.3, 0.7, 0, 2, 2, 3}, "#", {0.6}, 3, false},
  {"mixture([#, #], [uniform(#, #), uniform(#, #)])", {0.3, 0.7, 0, 2, -1, 1}, "#", {0.6}, 3,
   false},
  {"mixture([#, #], [poisson(#), zero_inflated(#, poisson(#))])", {0.3, 0.7, 3, 0.2, 2}, "#", {0},
   3, true},
  {"mixture([#, #], [normal([#, #], #), iid(normal(#, #), #)])", {0.3, 0.7, 0, 1, 2, 0.3, 1.5, 2},
   "[#, #]", {0.6, 1.2}, 131, false},
  {"mixture([#, #], [uniform([#, #], #), uniform(#, [#, #])])", {0.3, 0.7, -1, 1, 5, 0, 6, 7},
   "[#, #]", {3, 4}, 3, false},
  {"product([normal(#, #), gamma(#, #)])", {0.3, 2, 3, 1}, "[#, #]", {0.6, 1.2}, 0, false},
  {"product([uniform(#, #), truncate(exponential(#), lower = #)])", {0.3, 2, 3, 1}, "[#, #]",
   {0.6, 1.2}, 0, false},
  {"product({a: normal(#, #), b: uniform([#, #], #)})", {0.3, 2, -3, -1, 4}, "{b: [#, #], a: #}",
   {0.6, 1.2, 0.2}, 0, true},
  {"transform(normal(#, #), exp)", {0.3, 1.2}, "#", {0.7}, 0, false},
  {"transform(gamma(#, #), log)", {1.3, 1.2}, "#", {0.7}, 0, false},
  {"transform(gamma(#, #), sqrt)", {1.3, 1.2}, "#", {0.7}, 0, false},
  {"transform(beta(#, #), logit)", {1.3, 1.2}, "#", {0.7}, 0, false},
  {"transform(normal(#, #), inv_logit)", {0.3, 1.2}, "#", {0.7}, 0, false},
  {"transform(exponential(#), log1p)", {1.2}, "#", {0.7}, 0, false},
  {"transform(exponential(#), expm1)", {1.2}, "#", {0.7}, 0, false},
  {"transform(normal(#, #), tanh)", {0.3, 1.2}, "#", {0.7}, 0, false},
  {"transform(uniform(#, #), atanh)", {-0.9, 0.8}, "#", {0.7}, 0, false},
  {"transform(normal(#, #), sinh)", {0.3, 1.2}, "#", {0.7}, 0, false},
  {"transform(normal(#, #), asinh)", {0.3, 1.2}, "#", {0.7}, 0, false},
  {"transform(normal(#, #), log1p_exp)", {0.3, 1.2}, "#", {0.7}, 0, false},
  {"transform(gamma(#, #), affine(#, #))", {2, 1.2, 0.5, -1.5}, "#", {-0.7}, 0, false},
  {"transform(uniform(#, #), affine(#, #))", {2, 3.2, 0.5, -1.5}, "#", {-3}, 0, false},
  {"transform(uniform(#, #), [affine(#, #), exp])", {2, 3.2, 0.5, -1.5}, "#", {0.02}, 0, false},
  {"transform(gamma(#, #), [log, affine(#, #), inv_logit])", {2, 1.2, 0.5, -1.5}, "#", {0.3}, 0,
   false},
  {"transform(normal([#, #], #), affine([#, #], #))", {0, 1, 2, 0.5, 1.5, -2}, "[#, #]", {1, 2}, 0,
   false},
  {"transform(uniform([#, #], #), affine(#, [#, #]))", {0, 1, 2, 0.5, 1.5, -2}, "[#, #]", {2, -2},
   0, false},
  {"transform(ordered(iid(normal(#, #), #)), [affine(#, #), exp])", {0.5, 2, 2, 0, 1.2},
   "[#, #]", {1, 2}, 4, false},
  {"zero_inflated(#, poisson(#))", {0.3, 2}, "#", {0}, 0, true},
  {"zero_inflated(#, poisson(#))", {0.3, 2}, "#", {3}, 0, true},
  {"zero_inflated([#, #], poisson(#))", {0.3, 0.4, 2}, "[#, #]", {3, 0}, 0, true},
  {"zero_inflated(#, truncate(poisson(#), lower = #))", {0.3, 2, 1}, "#", {3}, 4, true},
  {"iid(normal(#, #), #)", {0.3, 2, 3}, "[#, #, #]", {3, 1, 4}, 4, false},
  {"iid(normal([#, #], #), #)", {0.3, 2, 3, 2}, "[[#, #], [#, #]]", {3, 1, 4, 1}, 8, false},
  {"iid(truncate(normal(#, #), lower = #), #)", {0.3, 2, 0.5, 2}, "[#, #]", {3, 1}, 8, false},
  {"ordered(iid(normal(#, #), #))", {0.3, 2, 3}, "[#, #, #]", {1, 1.5, 4}, 4, false},
  {"ordered(iid(uniform(#, #), #))", {0.3, 5, 3}, "[#, #, #]", {1, 1.5, 4}, 4, false},
  {"noncentered(student_t(#, #, #))", {4, 0.3, 5}, "#", {1}, 0, false},
  {"noncentered(normal([#, #], #))", {4, 0.3, 5}, "[#, #]", {1, 2}, 0, false},
  {"flat(lower = #, upper = #)", {4, 5}, "#", {4.5}, 0, false},
};
enum { EXAMPLES = sizeof examples / sizeof examples[0] };

static void test_derivatives(void)
{
  for (int i = 0; i < EXAMPLES; i++) {
    check_partials(&examples[i]);
    check_bounds(&examples[i]);
  }
}

/* Weights must sum to 1, so they move together: the derivative along (1, -1) is that of differences,
   and sum of w g is 1, since the density is linear in w. */
static void test_weights(void)
{
  const char *text = "mixture([#, #], [normal(#, #), gamma(#, #)])";
  const double leaf[] = {0.3, 0.7, 0, 2, 2, 3}, h = 1e-6;
  norn_dist d;
  double logp[2], g[LEAVES] = {0}, mass[2], gm[LEAVES] = {0};
  for (int s = 0; s < 2; s++) {
    double moved[] = {leaf[0] + (s ? h : -h), leaf[1] - (s ? h : -h), 0, 2, 2, 3};
    if (!made(text, moved, &d)) return;
    CHECK(!norn_dist_logp(st, &d, norn_real(0.6), &logp[s]));
    CHECK(!dist_mass(st, &d, 0.2, 0.9, &mass[s], 0, NULL));
  }
  if (!made(text, leaf, &d)) return;
  CHECK(!norn_dist_partials(st, &d, norn_real(0.6), 1, NULL, g));
  CHECK(!dist_mass(st, &d, 0.2, 0.9, &(double){0}, 1, gm));
  near(g[0] - g[1], (logp[1] - logp[0]) / (2 * h), 1e-8, "along the weights", text, __LINE__);
  near(gm[0] - gm[1], (mass[1] - mass[0]) / (2 * h), 1e-8, "along the weights", text, __LINE__);
  near(leaf[0] * g[0] + leaf[1] * g[1], 1, 1e-14, "sum of w g", text, __LINE__);
  near(leaf[0] * gm[0] + leaf[1] * gm[1], 1, 1e-14, "sum of w g", text, __LINE__);
}

/* ---- masses, moments, draws ------------------------------------------------------------------ */

static double expo(const norn_dist *d, double x)
{
  double logp = -HUGE_VAL;
  if (norn_dist_logp(st, d, norn_real(x), &logp)) norn_clear(st);
  return exp(logp);
}

/* The integrals of f, x f and x^2 f over (a, b), by tanh-sinh. */
static void integrals(const norn_dist *d, double a, double b, double out[3])
{
  double half = 0.5 * (b - a);
  out[0] = out[1] = out[2] = 0;
  for (double h = 1.0 / 64, t = -6; t <= 6; t += h) {
    double s = 1.5707963267948966 * sinh(t), from_end = (b - a) / (1 + exp(2 * fabs(s)));
    double x = s < 0 ? a + from_end : b - from_end;
    if (x <= a || x >= b) continue;
    double w = h * half * 1.5707963267948966 * cosh(t) / (cosh(s) * cosh(s)), f = w * expo(d, x);
    out[0] += f;
    out[1] += f * x;
    out[2] += f * x * x;
  }
}

typedef struct { const char *text; double a, b; } span;   /* smooth inside */
static const span spans[] = {
  {"truncate(normal(0.3, 1.2), lower = -0.4)", -0.4, 14},
  {"truncate(normal(0, 1), lower = 6, upper = 7)", 6, 7},
  {"truncate(normal(0, 1), lower = 1, upper = 1.001)", 1, 1.001},
  {"truncate(gamma(1.7, 2.2), lower = 0.3, upper = 1.4)", 0.3, 1.4},
  {"truncate(gamma(0.4, 2.2), upper = 1.4)", 0, 1.4},
  {"truncate(beta(0.5, 0.6), lower = 0.2)", 0.2, 1},
  {"truncate(cauchy(0, 1), lower = -3, upper = 20)", -3, 20},
  {"truncate(mixture([0.3, 0.7], [normal(0, 2), normal(1, 1)]), lower = -0.5)", -0.5, 22},
  {"truncate(truncate(normal(0, 1), lower = -1), upper = 2)", -1, 2},
  {"truncate(transform(normal(0, 1), exp), upper = 3)", 0, 3},
  {"mixture([0.25, 0.75], [normal(0, 2), normal(1, 1)])", -20, 22},
  {"transform(gamma(2, 3), affine(1, -2))", -30, 1},
  {"transform(beta(2, 3), affine(1, -2))", -1, 1},
  {"transform(normal(0, 1), inv_logit)", 0, 1},
  {"transform(normal(0, 0.5), [exp, affine(1, 2), log])", 0, 8},
  {"noncentered(normal(1, 2))", -18, 20},
  {"half_normal(2)", 0, 22},
};
enum { SPANS = sizeof spans / sizeof spans[0] };

static void test_integrals(void)
{
  for (int i = 0; i < SPANS; i++) {
    norn_dist d;
    norn_datum x, mean, variance;
    const span *s = &spans[i];
    double m[3], part[3], c, v = 0;
    if (!made(s->text, NULL, &d)) continue;
    integrals(&d, s->a, s->b, m);
    near(m[0], 1, 1e-9, "its integral", s->text, __LINE__);
    if (!dist_moments(st, &d, &mean, &variance)) {
      near(norn_elem_real(mean, 0), m[1], 1e-9, "its mean", s->text, __LINE__);
      near(norn_elem_real(variance, 0), m[2] - m[1] * m[1], 1e-8, "its variance", s->text,
           __LINE__);
    }
    norn_clear(st);
    for (double p = 0.01; p < 1; p += 0.14) {
      near(dist_quantile(st, &d, p, &x), 0, 0, "the status of its quantile", s->text, __LINE__);
      norn_as_real(x, &v);
      CHECK(!dist_cdf(st, &d, x, &c));
      near(c, p, 1e-12, "cdf(quantile)", s->text, __LINE__);
      integrals(&d, s->a, v, part);
      near(c, part[0], 1e-9, "cdf against the integral", s->text, __LINE__);
      double lower, upper;
      CHECK(!dist_mass(st, &d, -HUGE_VAL, v, &lower, 0, NULL));
      CHECK(!dist_mass(st, &d, v, HUGE_VAL, &upper, 0, NULL));
      near(exp(lower), p, 1e-12, "the lower tail", s->text, __LINE__);
      near(exp(upper), 1 - p, 1e-11, "the upper tail", s->text, __LINE__);
    }
  }
}

/* Of counts: sums over the values. */
static const span counts[] = {
  {"truncate(poisson(3), lower = 2)", 2, 60}, {"truncate(poisson(3), lower = 1, upper = 4)", 1, 4},
  {"zero_inflated(0.3, poisson(3))", 0, 60}, {"zero_inflated(0.3, truncate(poisson(2), lower = 1))",
                                              0, 60},
  {"mixture([0.3, 0.7], [poisson(3), binomial(7, 0.4)])", 0, 60},
  {"truncate(zero_inflated(0.3, poisson(3)), upper = 5)", 0, 5},
  {"truncate(mixture([0.3, 0.7], [poisson(3), binomial(7, 0.4)]), lower = 2)", 2, 60},
  {"zero_inflated(0.3, discrete_uniform(2, 5))", 0, 5},
};

static void test_counts(void)
{
  for (int i = 0; i < (int)(sizeof counts / sizeof counts[0]); i++) {
    norn_dist d;
    norn_datum q, mean, variance;
    const span *s = &counts[i];
    double sum = 0, m = 0, v = 0, logp, c, x = 0;
    if (!made(s->text, NULL, &d)) continue;
    for (double k = s->a - 1; k <= s->b; k++) {
      CHECK(!norn_dist_logp(st, &d, norn_int((int64_t)k), &logp));
      sum += exp(logp);
      m += k * exp(logp);
      v += k * k * exp(logp);
      CHECK(!dist_cdf(st, &d, norn_int((int64_t)k), &c));
      near(c, sum, 1e-13, "cdf", s->text, __LINE__);
      for (double eps = -1e-9; eps < 1e-8 && logp > -20; eps += 2e-9) {
        double want = eps < 0 ? k : k + 1, p = sum + eps;
        if (!(p > 0 && p < 1 - 1e-7) || (eps > 0 && k < s->a)) continue;
        CHECK(!dist_quantile(st, &d, p, &q));
        norn_as_real(q, &x);
        norn_dist_logp(st, &d, norn_int((int64_t)want), &logp);
        if (logp > -HUGE_VAL && (eps < 0 || x <= s->b))
          near(x, want, 0, "quantile", s->text, __LINE__);
        if (eps > 0) break;
      }
    }
    near(sum, 1, 1e-13, "its sum", s->text, __LINE__);
    CHECK(!dist_moments(st, &d, &mean, &variance));
    near(norn_elem_real(mean, 0), m, 1e-12, "its mean", s->text, __LINE__);
    near(norn_elem_real(variance, 0), v - m * m, 1e-11, "its variance", s->text, __LINE__);
  }
}

static void test_masses(void)
{
  const example one[] = {
    {"truncate(normal(#, #), lower = #, upper = #)", {0.3, 1.2, -1.4, 2}, NULL, {0}, 0, false},
    {"truncate(exponential(#), lower = #)", {1, 0.25}, NULL, {0}, 0, false},
    {"mixture([#, #], [gamma(#, #), normal(#, #)])", {0.3, 0.7, 2, 3, 1, 0.5}, NULL, {0}, 3, false},
    {"transform(gamma(#, #), [log, affine(#, #)])", {2, 3, 1, 0.5}, NULL, {0}, 0, false},
    {"transform(gamma(#, #), affine(#, #))", {2, 3, 1, -0.5}, NULL, {0}, 0, false},
    {"student_t(#, #, #)", {3, 0.5, 2}, NULL, {0}, 0, false},
    {"beta(#, #)", {3, 0.7}, NULL, {0}, 0, false},
    {"gamma(#, #)", {0.7, 1.5}, NULL, {0}, 0, false},
    {"uniform(#, #)", {-2, 3}, NULL, {0}, 0, false},
    {"lognormal(#, #)", {-0.2, 0.8}, NULL, {0}, 0, false},
    {"noncentered(normal(#, #))", {-0.2, 0.8}, NULL, {0}, 0, false},
    {"zero_inflated(#, poisson(#))", {0.3, 1.4}, NULL, {0}, 0, false},
    {"poisson(#)", {1.4}, NULL, {0}, 0, false},
    {"geometric(#)", {0.4}, NULL, {0}, 0, false},
  };
  const double ends[][2] = {{-HUGE_VAL, 0.6}, {0.4, HUGE_VAL}, {-0.5, 0.7}, {0.3, 0.3004},
                            {-1, 1.9}, {-9, 90}};
  for (int i = 0; i < (int)(sizeof one / sizeof one[0]); i++)
    for (int j = 0; j < 6; j++) {
      double m = mass_at(one[i].dist, one[i].leaf, ends[j][0], ends[j][1]);
      if (m > -HUGE_VAL) check_mass(&one[i], ends[j][0], ends[j][1]);
    }
}

/* Kolmogorov-Smirnov for numbers without atoms: 1e-6 a test. */
static int rising(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void test_draws(void)
{
  enum { N = 20000 };
  static double draw[N];
  for (int i = 0; i < SPANS; i++) {
    norn_dist d;
    norn_datum x;
    double worst = 0, c;
    if (!made(spans[i].text, NULL, &d)) continue;
    for (uint32_t k = 0; k < N; k++) {
      norn_rng g = {.stream = 40 + (uint64_t)i, .lane = k};
      CHECK(!norn_dist_sample(st, &d, &g, &x));
      draw[k] = norn_elem_real(x, 0);
    }
    qsort(draw, N, sizeof *draw, rising);
    for (int k = 0; k < N; k++) {
      CHECK(!dist_cdf(st, &d, norn_real(draw[k]), &c));
      worst = fmax(worst, fmax(fabs(c - (double)k / N), fabs(c - (k + 1.0) / N)));
    }
    near(worst < 2.7 / sqrt(N), 1, 0, "the fit of its draws", spans[i].text, __LINE__);
  }
  for (int i = 0; i < (int)(sizeof counts / sizeof counts[0]); i++) {   /* each count within 5 sd */
    norn_dist d;
    norn_datum x;
    double seen[64] = {0}, logp;
    if (!made(counts[i].text, NULL, &d)) continue;
    for (uint32_t k = 0; k < N; k++) {
      norn_rng g = {.stream = 80 + (uint64_t)i, .lane = k};
      CHECK(!norn_dist_sample(st, &d, &g, &x));
      if (x.i >= 0 && x.i < 64) seen[x.i]++;
    }
    for (int k = 0; k < 64; k++) {
      CHECK(!norn_dist_logp(st, &d, norn_int(k), &logp));
      double p = exp(logp);
      near(fabs(seen[k] - N * p) <= 5 * sqrt(N * p) + 3, 1, 0, "how often a count is drawn",
           counts[i].text, __LINE__);
    }
  }
}

/* ---- parts, flags, coordinates --------------------------------------------------------------- */

/* The parts of a product are distributions whose log densities add up to its own. */
static void test_parts(void)
{
  static const struct { const char *dist, *value, *each[4]; } products[] = {
    {"normal([0, 1], 2)", "[0.5, 3]", {"0.5", "3"}},
    {"truncate(normal([0, 1], 2), lower = [0, 1])", "[0.5, 3]", {"0.5", "3"}},
    {"zero_inflated([0.1, 0.2], poisson([1, 2]))", "[0, 3]", {"0", "3"}},
    {"noncentered(normal([0, 1], 2))", "[0.5, 3]", {"0.5", "3"}},
    {"iid(gamma(2, 1), 3)", "[0.5, 3, 1]", {"0.5", "3", "1"}},
    {"product([gamma(2, 1), bernoulli(0.3)])", "[0.5, true]", {"0.5", "true"}},
    {"product({b: gamma(2, 1), a: iid(normal(0, 1), 2)})", "{a: [1, 2], b: 0.5}",
     {"0.5", "[1, 2]"}},
    {"normal(0, 1)", "0", {NULL}}, {"truncate(normal(0, 1), lower = 1)", "2", {NULL}},
  };
  for (int i = 0; i < (int)(sizeof products / sizeof products[0]); i++) {
    norn_dist d, part;
    norn_datum v, x;
    double whole = 0, sum = 0, logp = 0;
    int n = 0;
    if (!made(products[i].dist, NULL, &d) || !eval(products[i].value, &x)) continue;
    CHECK(!norn_dist_logp(st, &d, x, &whole));
    for (; !norn_dist_part(st, &d, n, &v) && norn_dist_view(v, &part) && n < 4; n++) {
      if (!products[i].each[n] || !eval(products[i].each[n], &x)) break;
      CHECK(!norn_dist_logp(st, &part, x, &logp));
      sum += logp;
    }
    near(n, products[i].each[0] ? 2 + (i == 4) : 0, 0, "the number of parts", products[i].dist,
         __LINE__);
    if (n) near(sum, whole, 1e-14, "the sum over parts", products[i].dist, __LINE__);
  }
}

static void test_flags(void)
{
  const unsigned C = NORN_DIST_CONTINUOUS, D = NORN_DIST_DISCRETE, F = NORN_DIST_FINITE,
                 I = NORN_DIST_IMPROPER, B = NORN_DIST_BOOL;
  const struct { const char *dist; unsigned flags; } all[] = {
    {"truncate(normal(0, 1), lower = 0)", C}, {"truncate(poisson(1), lower = 1)", D},
    {"truncate(poisson(1), upper = 1)", D | F}, {"truncate(binomial(3, 0.5), lower = 1)", D | F},
    {"truncate(mixture([1.0], [poisson(1)]), lower = 0, upper = 3)", D | F},
    {"mixture([0.5, 0.5], [poisson(1), delta(0)])", D},
    {"mixture([1.0], [bernoulli(0.5)])", D | F | B},
    {"mixture([0.5, 0.5], [normal(0, 1), delta(0)])", 0}, {"iid(flat(), 2)", C | I},
    {"product([normal(0, 1), flat()])", C | I}, {"product([normal(0, 1), bernoulli(0.5)])", 0},
    {"product({a: delta(1), b: bernoulli(0.5)})", D | F}, {"product([])", D | F},
    {"transform(flat(), exp)", C | I}, {"ordered(iid(flat(), 2))", C | I},
    {"zero_inflated(0.5, binomial(3, 0.5))", D | F}, {"zero_inflated(0.5, poisson(1))", D},
    {"noncentered(normal(0, 1))", C}, {"empirical([1, 2])", D | F}, {"flat_simplex(2)", C | I},
    {"iid(iid(truncate(poisson(1), upper = 2), 2), 2)", D | F},
  };
  for (int i = 0; i < (int)(sizeof all / sizeof all[0]); i++) {
    norn_dist d;
    if (!made(all[i].dist, NULL, &d)) continue;
    near(norn_dist_flags(&d) & (C | D | F | I | B), all[i].flags, 0, "flags", all[i].dist,
         __LINE__);
    bool finite = norn_dist_count(st, &d) >= 0;
    near(finite, (all[i].flags & F) != 0, 0, "whether it can be counted", all[i].dist, __LINE__);
  }
}

/* The leaves of location and scale of each unit. */
static void test_noncentered(void)
{
  const struct { const char *dist; int64_t k, location, scale; } units[] = {
    {"noncentered(normal(0, 1))", 0, 0, 1}, {"noncentered(student_t(4, 0, 1))", 0, 1, 2},
    {"noncentered(normal([0, 1, 2], 1))", 2, 2, 3},
    {"iid(noncentered(normal(0, [1, 2])), 3)", 5, 0, 2},
    {"product([normal(0, 1), noncentered(normal(0, 1))])", 1, 2, 3},
    {"product([normal(0, 1), noncentered(normal(0, 1))])", 0, -1, -1}, {"normal(0, 1)", 0, -1, -1},
    {"noncentered(normal(0, 1))", 1, -1, -1},
  };
  for (int i = 0; i < (int)(sizeof units / sizeof units[0]); i++) {
    norn_dist d;
    int64_t location = -1, scale = -1;
    if (!made(units[i].dist, NULL, &d)) continue;
    if (!norn_dist_noncentered(st, &d, units[i].k, &location, &scale)) location = scale = -1;
    near((double)location, (double)units[i].location, 0, "location", units[i].dist, __LINE__);
    near((double)scale, (double)units[i].scale, 0, "scale", units[i].dist, __LINE__);
  }
}

int main(void)
{
  st = norn_new(NULL);
  if (!st) return 99;
  test_derivatives();
  test_weights();
  test_masses();
  test_integrals();
  test_counts();
  test_draws();
  test_parts();
  test_flags();
  test_noncentered();
  norn_free(st);
  return unit_end();
}
