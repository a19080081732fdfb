/* test_functions: integrals, roots and minima.  The algorithms against exact values and GSL's; models
   in which they stand against the same models with formulas: log densities and gradients. */
#include "norn.h"
#include "num/minimise.h"
#include "num/quadrature.h"
#include "num/rng.h"
#include "num/roots.h"
#include "unit.h"
#include <gsl/gsl_integration.h>
#include <gsl/gsl_roots.h>
#include <stdlib.h>

/* ---- integrals ---- */

/* x^k and its derivative by k at 0: a second result. */
static int power(void *user, double x, double *out)
{
  out[0] = pow(x, *(int *)user);
  out[1] = out[0] * log(fabs(x));
  return 0;
}

static void exactness(void)
{
  quadrature_report r;
  int k;
  quadrature q = {2, power, &k, 1, 1e300, 1};
  double *work = malloc(quadrature_room(&q) * sizeof *work), out[2];
  for (k = 0; k <= 31; k++) {                    /* the rule is exact so far */
    CHECK(quadrature_run(&q, 0, 1, out, work, &r) == QUADRATURE_DONE && r.evals == 21);
    CHECK_NEAR(out[0], 1.0 / (k + 1), 1e-15);
    CHECK(quadrature_run(&q, 2, -1, out, work, &r) == QUADRATURE_DONE);
    CHECK_NEAR(out[0] * (k + 1), pow(-1, k + 1) - pow(2, k + 1), 1e-15 * pow(2, k + 1));
  }
  k = 40;
  quadrature_run(&q, 0, 1, out, work, &r);
  CHECK(fabs(out[0] - 1.0 / 41) > 1e-17);
  free(work);
}

static int bump(void *user, double x, double *out)
{
  (void)user;
  *out = 1 / (1e-4 + (x - 0.3) * (x - 0.3)) + cos(20 * x);
  return 0;
}
static double gsl_bump(double x, void *user)
{
  double y;
  bump(user, x, &y);
  return y;
}
static int tail(void *user, double x, double *out)
{
  (void)user;
  *out = exp(-x * x) * x * x;
  return 0;
}
static int harmonic(void *user, double x, double *out)
{
  (void)user;
  *out = 1 / x;
  return x == 0;
}

static void integrals(void)
{
  quadrature_report r;
  quadrature q = {1, bump, NULL, 1e-10, 0, 400};
  double *work = malloc(quadrature_room(&q) * sizeof *work), out, gsl, error;
  gsl_integration_workspace *w = gsl_integration_workspace_alloc(400);
  gsl_function f = {gsl_bump, NULL};
  CHECK(quadrature_run(&q, 0, 2, &out, work, &r) == QUADRATURE_DONE);
  gsl_integration_qag(&f, 0, 2, 0, 1e-11, 400, GSL_INTEG_GAUSS21, w, &gsl, &error);
  double exact = 100 * (atan(170) + atan(30)) + sin(40) / 20;
  CHECK_NEAR(out, gsl, 1e-9 * exact);
  CHECK_NEAR(out, exact, 1e-9 * exact);
  CHECK(r.error < 1e-10 * exact && fabs(out - exact) <= r.error);
  q.f = tail;
  CHECK(quadrature_run(&q, -HUGE_VAL, HUGE_VAL, &out, work, &r) == QUADRATURE_DONE);
  CHECK_NEAR(out, 0.88622692545275801365, 1e-10);          /* sqrt(pi)/2 */
  CHECK(quadrature_run(&q, -HUGE_VAL, 0, &out, work, &r) == QUADRATURE_DONE);
  CHECK_NEAR(out, 0.44311346272637900682, 1e-10);
  CHECK(quadrature_run(&q, HUGE_VAL, 0, &out, work, &r) == QUADRATURE_DONE);
  CHECK_NEAR(out, -0.44311346272637900682, 1e-10);
  q.f = harmonic;
  CHECK(quadrature_run(&q, -1, 1, &out, work, &r) == QUADRATURE_OUTSIDE && r.x == 0);
  CHECK(quadrature_run(&q, 0, 1, &out, work, &r) != QUADRATURE_DONE);
  CHECK(quadrature_run(&q, 1, HUGE_VAL, &out, work, &r) != QUADRATURE_DONE);
  gsl_integration_workspace_free(w);
  free(work);
}

/* ---- roots, minima ---- */

static int cubic(void *user, double x, double *y)
{
  (void)user;
  *y = x * x * x - 2 * x - 5;                    /* Wallis's equation */
  return 0;
}
static double gsl_cubic(double x, void *user)
{
  double y;
  cubic(user, x, &y);
  return y;
}
static int chain(void *user, const double *x, double *y)   /* a banded system, Powell's test 30 */
{
  int n = *(int *)user;
  for (int i = 0; i < n; i++)
    y[i] = (3 - 2 * x[i]) * x[i] - (i ? x[i - 1] : 0) - (i + 1 < n ? 2 * x[i + 1] : 0) + 1;
  return 0;
}
static int chain_jacobian(void *user, const double *x, double *y, double *j)
{
  int n = *(int *)user;
  memset(j, 0, (size_t)(n * n) * sizeof *j);
  for (int i = 0; i < n; i++) {
    j[i * n + i] = 3 - 4 * x[i];
    if (i) j[i * n + i - 1] = -1;
    if (i + 1 < n) j[i * n + i + 1] = -2;
  }
  return chain(user, x, y);
}
static int no_root(void *user, const double *x, double *y)
{
  (void)user;
  *y = x[0] * x[0] + 1;
  return 0;
}
static int no_root_jacobian(void *user, const double *x, double *y, double *j)
{
  *j = 2 * x[0];
  return no_root(user, x, y);
}
/* Rosenbrock's valley in n numbers. */
static int valley(void *user, const double *x, double *y, double *g)
{
  int n = *(int *)user;
  *y = 0;
  memset(g, 0, (size_t)n * sizeof *g);
  for (int i = 0; i + 1 < n; i++) {
    double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
    *y += 100 * a * a + b * b;
    g[i] -= 400 * a * x[i] + 2 * b;
    g[i + 1] += 200 * a;
  }
  return 0;
}
static int slide(void *user, const double *x, double *y, double *g)
{
  (void)user;
  *y = -x[0];
  g[0] = -1;
  return 0;
}

static void roots(void)
{
  double x, y;
  gsl_function f = {gsl_cubic, NULL};
  gsl_root_fsolver *s = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
  CHECK(roots_between(cubic, NULL, 0, 10, 1e-14, 200, &x, &y) == ROOTS_DONE);
  gsl_root_fsolver_set(s, &f, 0, 10);
  for (int i = 0; i < 60; i++) gsl_root_fsolver_iterate(s);
  CHECK_NEAR(x, gsl_root_fsolver_root(s), 1e-13);
  CHECK_NEAR(x, 2.0945514815423265914824, 1e-13);
  gsl_root_fsolver_free(s);
  CHECK(roots_between(cubic, NULL, 10, 3, 1e-14, 200, &x, &y) == ROOTS_BRACKET);
  CHECK(roots_between(cubic, NULL, 0, 10, 1e-14, 3, &x, &y) == ROOTS_STEPS);
  int n = 30;
  double v[30], w[30], *work = malloc(roots_room(n) * sizeof *work);
  roots_system q = {n, chain, chain_jacobian, &n, 1e-12, 100};
  for (int i = 0; i < n; i++) v[i] = -1;
  CHECK(roots_near(&q, v, w, work) == ROOTS_DONE);
  for (int i = 0; i < n; i++) CHECK_NEAR(w[i], 0, 1e-13);
  q = (roots_system){1, no_root, no_root_jacobian, NULL, 1e-12, 200};
  v[0] = 3;
  CHECK(roots_near(&q, v, w, work) == ROOTS_STUCK);
  CHECK_NEAR(v[0], 0, 1e-2);
  free(work);
}

static void minima(void)
{
  int n = 10;
  double x[10], y, *work = malloc(minimise_room(n) * sizeof *work), h[100], room[30];
  minimise q = {n, valley, &n, 1e-8, 1000};
  for (int i = 0; i < n; i++) x[i] = i % 2 ? 1 : -1.2;
  CHECK(minimise_run(&q, x, &y, work) == MINIMISE_DONE);
  for (int i = 0; i < n; i++) CHECK_NEAR(x[i], 1, 1e-9);
  CHECK_NEAR(y, 0, 1e-18);
  CHECK(minimise_hessian(&q, x, h, room) == 0);
  CHECK_NEAR(h[0], 802, 1e-5);
  CHECK_NEAR(h[1], -400, 1e-5);
  CHECK_NEAR(h[11], 1002, 1e-5);
  CHECK_NEAR(h[99], 200, 1e-5);
  q.max_steps = 3;
  x[0] = -1.2;
  CHECK(minimise_run(&q, x, &y, work) == MINIMISE_STEPS);
  q = (minimise){1, slide, NULL, 1e-8, 1000};
  CHECK(minimise_run(&q, x, &y, work) == MINIMISE_FAR);
  free(work);
}

/* ---- models ---- */

static norn_state *st;

static const struct { const char *name, *prior, *solved, *exact; } models[] = {
  {"integral", "let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\nlet k ~ exponential(1)\n",
   "let v = [integrate(x -> exp(-k * x), a, b, rel_tol = 1e-12)]\n",
   "let v = [(exp(-k * a) - exp(-k * b)) / k]\n"},
  {"improper", "let m ~ normal(0, 1)\nlet s ~ gamma(4, 4)\n",
   "let v = [integrate(x -> x ^ 2 * pdf(normal(m, s), x), -inf, inf, rel_tol = 1e-11), "
   "integrate(x -> exp(-x / s), m, inf, rel_tol = 1e-11), integrate(x -> exp(x * s), -inf, m, rel_tol = 1e-11)]\n",
   "let v = [m ^ 2 + s ^ 2, s * exp(-m / s), exp(m * s) / s]\n"},
  {"integral, branch", "let c ~ uniform(0, 1)\nlet k ~ normal(0, 1)\nlet r ~ normal(0, 1)\n",
   "let v = [integrate(x -> if x < 0.25 { k } else { r * x }, 0, 1, rel_tol = 1e-11) + c]\n",
   "let v = [0.25 * k + r * (1 - 0.0625) / 2 + c]\n"},
  {"root", "let y ~ exponential(1)\n",
   "let v = [find_root(w -> w * exp(w) - y, 0, 20 + y)]\n",
   "let v = [lambert(y)]\n"},
  {"roots", "let s ~ normal(3, 0.2)\nlet p ~ normal(1, 0.2)\n",
   "let v = solve_powell(u -> [u[0] + u[1] - s, u[0] * u[1] - p], [4, 0.1])\n",
   "let d = sqrt(s ^ 2 / 4 - p)\nlet v = [s / 2 + d, s / 2 - d]\n"},
  {"one root", "let a ~ gamma(4, 2)\n", "let v = [solve_powell(x -> x ^ 3 - a, 1)]\n", "let v = [a ^ (1 / 3)]\n"},
  {"minimum", "let k ~ gamma(4, 2)\nlet c ~ normal(0, 1)\n",
   "let r = minimize(x -> exp(x) - k * x + c, 0)\nlet v = [r.x, r.value]\n",
   "let v = [log(k), k - k * log(k) + c]\n"},
  {"minima", "let a ~ normal([0, 0], 1)\nlet k ~ gamma(4, 2)\n",
   "let r = minimize(u -> (u[0] - a[0]) ^ 2 + k * (u[1] - a[1]) ^ 2 + u[0] * u[1], [0, 0])\n"
   "let v = [r.x[0], r.x[1], r.value]\n",
   /* 2 (u0 - a0) + u1 = 0, 2 k (u1 - a1) + u0 = 0 */
   "let u1 = (2 * k * a[1] - a[0]) / (2 * k - 0.5)\nlet u0 = a[0] - u1 / 2\n"
   "let v = [u0, u1, (u0 - a[0]) ^ 2 + k * (u1 - a[1]) ^ 2 + u0 * u1]\n"},
  {"nested", "let k ~ gamma(4, 2)\n",
   "let v = [integrate(t -> ode_rk45((s, y) -> [-k * y[0]], [1], 0, [t], rel_tol = 1e-12, abs_tol = 1e-12)[0, 0], "
   "0, 2, rel_tol = 1e-9)]\n",
   "let v = [(1 - exp(-2 * k)) / k]\n"},
};

static norn_density *density_of(const char *prior, const char *body)
{
  /* w of w e^w = y, by six steps of Newton on nodes */
  static const char lambert[] = "fn lambert(y) = for i in 0..40 with w = log1p(y) { next w - (w - y * exp(-w)) / (1 + w) }\n";
  char text[2000];
  norn_datum out;
  int n = snprintf(text, sizeof text,
                   "%smodel m() {\n%s%sfor x in v { observe 0.3 ~ normal(x, 1) }\nv }\n", lambert, prior, body);
  norn_status s = norn_eval(st, "m.norn", text, (size_t)n, 0, &out);
  if (!s) s = norn_call(st, norn_global(st, "m"), NULL, 0, &out);
  norn_density *d = s ? NULL : norn_density_new(st, out, 1, 0);
  if (!d) {
    norn_error_text(st, norn_error(st), text, sizeof text);
    fprintf(stderr, "%s", text);
  }
  return d;
}

static void check_model(int i)
{
  norn_density *a = density_of(models[i].prior, models[i].solved);
  norn_density *b = density_of(models[i].prior, models[i].exact);
  norn_rng g = {.stream = 12, .lane = (uint32_t)i};
  int before = unit.failed;
  double u[8], ga[8], gb[8], la, lb;
  CHECK(a && b && norn_density_dim(a) == norn_density_dim(b));
  if (!a || !b) return;
  int64_t n = norn_density_dim(a);
  for (int r = 0; r < 8; r++) {
    for (int64_t k = 0; k < n; k++) u[k] = norn_rng_uniform(&g) + 0.1;
    if (i == 4) u[0] += 2.5, u[1] = 0.5 * u[1] + 0.5;            /* real roots */
    CHECK(norn_density_eval(a, u, &la, ga) == 0 && norn_density_eval(b, u, &lb, gb) == 0);
    CHECK(lb > -HUGE_VAL);
    CHECK_NEAR(la, lb, 1e-8 * (1 + fabs(lb)));
    for (int64_t k = 0; k < n; k++) CHECK_NEAR(ga[k], gb[k], 1e-7 * (1 + fabs(gb[k])));
  }
  if (unit.failed > before) fprintf(stderr, "  %s\n", models[i].name);
  norn_density_free(a);
  norn_density_free(b);
}

int main(void)
{
  exactness();
  integrals();
  roots();
  minima();
  st = norn_new(NULL);
  for (int i = 0; i < (int)(sizeof models / sizeof *models); i++) check_model(i);
  norn_free(st);
  return unit_end();
}
