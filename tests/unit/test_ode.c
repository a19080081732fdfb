/* test_ode: differential equations.  The solvers against exact and published solutions and GSL's;
   their sensitivities against exact ones; models with a solver against the same models with the
   solution as a formula: log densities and gradients. */
#include "norn.h"
#include "num/ode.h"
#include "num/rng.h"
#include "unit.h"
#include <gsl/gsl_odeiv2.h>
#include <stdlib.h>

/* ---- the solvers ---- */

enum { N = 4, ROW = 4, T = 4 };
typedef ode_end (*solver)(const ode_system *, const ode_options *, double, const double *, int64_t,
                          const double *, const double *, double *, double *, double *, ode_report *);

static double room(int64_t n, int64_t row, double **work)
{
  size_t size = ode_bdf_room(n, row, 2 * N) + ode_rk45_room(n, row);
  *work = malloc(size * sizeof **work);
  return (double)size;
}

/* y' = -k y; directions: y0, k. */
static const double rate = 0.7;
static int decay(void *u, double t, const double *y, double *dy)
{
  (void)u, (void)t;
  dy[0] = -rate * y[0];
  return 0;
}
static int decay_moving(void *u, double t, const double *y, const double *s, double *dy, double *ds)
{
  decay(u, t, y, dy);
  ds[0] = -rate * s[0];
  ds[1] = -rate * s[1] - y[0];
  return 0;
}
static int decay_jacobian(void *u, double t, const double *y, double *dy, double *j)
{
  decay(u, t, y, dy);
  j[0] = -rate;
  j[1] = 0;
  j[2] = -y[0];
  return 0;
}

static void exponential(solver solve, double tol)
{
  ode_system o = {.n = 1, .k = 2, .row = 2, .jrow = 4, .f = decay, .fs = decay_moving,
                  .jac = decay_jacobian};
  double unit1[2] = {1, 1}, ts[T] = {0, 0.5, 0.5, 7}, y = 3, s[2] = {1, 0}, out[T], sout[2 * T], *work;
  ode_options q = {tol, tol, 100000, unit1};
  ode_report r;
  room(1, 2, &work);
  CHECK(solve(&o, &q, 0, ts, T, &y, s, out, sout, work, &r) == ODE_DONE);
  for (int i = 0; i < T; i++) {
    double e = exp(-rate * ts[i]);
    CHECK_NEAR(out[i], 3 * e, 200 * tol);
    CHECK_NEAR(sout[2 * i], e, 200 * tol);
    CHECK_NEAR(sout[2 * i + 1], -3 * ts[i] * e, 200 * tol);
  }
  CHECK(r.t == 7);
  q.max_steps = 3;
  CHECK(solve(&o, &q, 0, ts, T, &y, s, out, sout, work, &r) == ODE_END_STEPS);
  free(work);
}

/* y' = y^2 from 1 explodes at 1. */
static int explosion(void *u, double t, const double *y, double *dy)
{
  (void)u, (void)t;
  dy[0] = y[0] * y[0];
  return dy[0] < HUGE_VAL ? ODE_FINE : ODE_OUTSIDE;
}
static int explosion_jacobian(void *u, double t, const double *y, double *dy, double *j)
{
  j[0] = 2 * y[0];
  return explosion(u, t, y, dy);
}
static void singular(solver solve)
{
  ode_system o = {.n = 1, .row = 0, .jrow = 2, .f = explosion, .jac = explosion_jacobian};
  double ts = 2, y = 1, out, *work;
  ode_options q = {1e-8, 1e-8, 100000, NULL};
  ode_report r;
  room(1, 0, &work);
  CHECK(solve(&o, &q, 0, &ts, 1, &y, NULL, &out, NULL, work, &r) == ODE_END_SMALL);
  CHECK_NEAR(r.t, 1, 1e-6);
  free(work);
}

/* Robertson's reaction: y(1e11) from the test set for IVP solvers (Mazzia and Magherini 2008). */
static int rober(void *u, double t, const double *y, double *dy)
{
  (void)u, (void)t;
  dy[0] = -0.04 * y[0] + 1e4 * y[1] * y[2];
  dy[2] = 3e7 * y[1] * y[1];
  dy[1] = -dy[0] - dy[2];
  return 0;
}
static int rober_jacobian(void *u, double t, const double *y, double *dy, double *j)
{
  double jac[3][4] = {{-0.04, 1e4 * y[2], 1e4 * y[1], 0},
                      {0.04, -1e4 * y[2] - 6e7 * y[1], -1e4 * y[1], 0}, {0, 6e7 * y[1], 0, 0}};
  memcpy(j, jac, sizeof jac);
  return rober(u, t, y, dy);
}
static void robertson(void)
{
  ode_system o = {.n = 3, .row = 0, .jrow = 4, .f = rober, .jac = rober_jacobian};
  double ts[3] = {0.4, 40, 1e11}, y[3] = {1, 0, 0}, out[9], *work;
  ode_options q = {1e-8, 1e-16, 100000, NULL};
  ode_report r;
  room(3, 0, &work);
  CHECK(ode_bdf(&o, &q, 0, ts, 3, y, NULL, out, NULL, work, &r) == ODE_DONE);
  CHECK_NEAR(out[0], 0.98517, 5e-6);                      /* Hindmarsh 1980, the example of LSODE */
  CHECK_NEAR(out[1], 3.3864e-5, 5e-10);
  CHECK_NEAR(out[3], 0.71582707, 5e-8);
  CHECK_NEAR(out[6], 0.2083340149701255e-7, 1e-12);
  CHECK_NEAR(out[7], 0.8333360770334713e-13, 1e-18);
  CHECK_NEAR(out[8], 0.9999999791665050, 1e-9);
  CHECK(r.steps < 3000);
  free(work);
}

/* An error of the Runge-Kutta method falls with the fifth power of its step: with the tolerance. */
static int pendulum(void *u, double t, const double *y, double *dy)
{
  (void)u, (void)t;
  dy[0] = y[1];
  dy[1] = -sin(y[0]);
  return 0;
}
static int gsl_pendulum(double t, const double *y, double *dy, void *u) { return pendulum(u, t, y, dy); }
static int pendulum_jacobian(void *u, double t, const double *y, double *dy, double *j)
{
  j[0] = 0, j[1] = 1, j[2] = -cos(y[0]), j[3] = 0;
  return pendulum(u, t, y, dy);
}
static void against_gsl(void)
{
  ode_system o = {.n = 2, .row = 0, .jrow = 2, .f = pendulum, .jac = pendulum_jacobian};
  double ts[3] = {1, 5, 20}, y[2] = {2, 0}, out[6], *work, t = 0, z[2] = {2, 0};
  gsl_odeiv2_system sys = {gsl_pendulum, NULL, 2, NULL};
  gsl_odeiv2_driver *d = gsl_odeiv2_driver_alloc_y_new(&sys, gsl_odeiv2_step_rk8pd, 1e-3, 1e-13, 1e-13);
  ode_report r;
  room(2, 0, &work);
  ode_options q = {1e-12, 1e-12, 100000, NULL};
  CHECK(ode_rk45(&o, &q, 0, ts, 3, y, NULL, out, NULL, work, &r) == ODE_DONE);
  for (int i = 0; i < 3; i++) {
    CHECK(gsl_odeiv2_driver_apply(d, &t, ts[i], z) == 0);
    CHECK_NEAR(out[2 * i], z[0], 1e-10);
    CHECK_NEAR(out[2 * i + 1], z[1], 1e-10);
  }
  q.rel_tol = q.abs_tol = 1e-9;
  CHECK(ode_bdf(&o, &q, 0, ts, 3, y, NULL, out, NULL, work, &r) == ODE_DONE);
  for (int i = 0; i < 2; i++) CHECK_NEAR(out[4 + i], z[i], 1e-5);
  gsl_odeiv2_driver_free(d);
  /* order: a tolerance 2^10 times smaller takes 2^2 times the steps, or with rounding 3 to 5 times */
  q.rel_tol = q.abs_tol = 1e-6;
  ode_rk45(&o, &q, 0, ts, 3, y, NULL, out, NULL, work, &r);
  double coarse = (double)r.steps;
  q.rel_tol = q.abs_tol = 1e-6 / 1024;
  ode_rk45(&o, &q, 0, ts, 3, y, NULL, out, NULL, work, &r);
  CHECK((double)r.steps > 3 * coarse && (double)r.steps < 5 * coarse);
  free(work);
}

/* ---- models ---- */

static norn_state *st;

/* The same density with a solver and with the solution. */
static const struct { const char *name, *prior, *solved, *exact; } models[] = {
  {"decay", "let k ~ exponential(1)\nlet a ~ normal(1, 1)\nlet s ~ normal(0, 0.1)\nlet e ~ exponential(1)\n",
   "let z = ode_rk45((t, y) -> [-k * y[0]], [a], s, [s + 0.5, 2 + e, 3 + e], rel_tol = 1e-11, abs_tol = 1e-12)\n"
   "let v = [z[0, 0], z[1, 0], z[2, 0]]\n",
   "let v = [a * exp(-k * 0.5), a * exp(-k * (2 + e - s)), a * exp(-k * (3 + e - s))]\n"},
  {"decay, stiff", "let k ~ exponential(1)\nlet a ~ normal(1, 1)\nlet s ~ normal(0, 0.1)\nlet e ~ exponential(1)\n",
   "let z = ode_bdf((t, y) -> [-k * y[0]], [a], s, [s + 0.5, 2 + e, 3 + e], rel_tol = 1e-10, abs_tol = 1e-11)\n"
   "let v = [z[0, 0], z[1, 0], z[2, 0]]\n",
   "let v = [a * exp(-k * 0.5), a * exp(-k * (2 + e - s)), a * exp(-k * (3 + e - s))]\n"},
  {"oscillator", "let w ~ gamma(4, 3)\nlet a ~ normal([1, 0], 1)\n",
   "let z = ode_rk45((t, y) -> [y[1], -w ^ 2 * y[0]], a, 0, [1, 2, 3.5], rel_tol = 1e-11, abs_tol = 1e-12)\n"
   "let v = [z[0, 0], z[1, 1], z[2, 0]]\n",
   "let v = [a[0] * cos(w) + a[1] / w * sin(w), -a[0] * w * sin(2 * w) + a[1] * cos(2 * w), "
   "a[0] * cos(3.5 * w) + a[1] / w * sin(3.5 * w)]\n"},
  {"logistic", "let p = {r: 1.0, k: 2.0}\nlet r ~ gamma(4, 4)\nlet k ~ gamma(4, 2)\nlet a ~ uniform(0, 1)\n",
   "fn growth(c) = (t, y) -> [c.r * y[0] * (1 - y[0] / c.k)]\n"
   "let z = ode_bdf(growth({r: r, k: k, unused: a}), [a], 0, [1, 3, 4], rel_tol = 1e-10, abs_tol = 1e-11)\n"
   "let v = [z[0, 0], z[1, 0], z[2, 0]]\n",
   "let v = for t in [1, 3, 4] { k / (1 + (k / a - 1) * exp(-r * t)) }\n"},
  {"stiff", "let l ~ gamma(50, 0.5)\nlet a ~ normal(0, 1)\n",
   "let z = ode_bdf((t, y) -> [-l * (y[0] - cos(t))], [a], 0, [0.01, 1, 3], rel_tol = 1e-10, abs_tol = 1e-11)\n"
   "let v = [z[0, 0], z[1, 0], z[2, 0]]\n",
   "let c = l ^ 2 / (1 + l ^ 2)\n"
   "let v = for t in [0.01, 1, 3] { c * cos(t) + c / l * sin(t) + (a - c) * exp(-l * t) }\n"},
  {"dose", "let k ~ exponential(1)\nlet r ~ normal(1, 1)\n",
   "let z = ode_rk45((t, y) -> if t < 1 { [r - k * y[0]] } else { [-k * y[0]] }, [0], 0, [0.5, 1, 2], "
   "rel_tol = 1e-11, abs_tol = 1e-12)\nlet v = [z[0, 0], z[1, 0], z[2, 0]]\n",
   "let top = r / k * (1 - exp(-k))\nlet v = [r / k * (1 - exp(-0.5 * k)), top, top * exp(-k)]\n"},
  {"moving jump", "let k ~ exponential(1)\nlet r ~ normal(1, 1)\nlet e ~ uniform(0.6, 1.5)\n",
   "let a = ode_rk45((t, y) -> [r - k * y[0]], [0], 0, [0.5, e], rel_tol = 1e-11, abs_tol = 1e-12)\n"
   "let b = ode_rk45((t, y) -> [-k * y[0]], a[1], e, [2, 3], rel_tol = 1e-11, abs_tol = 1e-12)\n"
   "let v = [a[0, 0], b[0, 0], b[1, 0]]\n",
   "let top = r / k * (1 - exp(-k * e))\n"
   "let v = [r / k * (1 - exp(-0.5 * k)), top * exp(-k * (2 - e)), top * exp(-k * (3 - e))]\n"},
  {"late parameter", "let k ~ exponential(1)\nlet r ~ normal(1, 1)\n",      /* r is read from t = 1 on */
   "let z = ode_bdf((t, y) -> if t < 1 { [-k * y[0]] } else { [r - k * y[0]] }, [1], 0, [0.5, 1, 2], "
   "rel_tol = 1e-10, abs_tol = 1e-11)\nlet v = [z[0, 0], z[1, 0], z[2, 0]]\n",
   "let v = [exp(-0.5 * k), exp(-k), r / k + (exp(-k) - r / k) * exp(-k)]\n"},
  {"matrix", "let k ~ gamma(4, 4)\nlet a ~ normal(1, 1)\n",
   "let m = [[-1, 0, 0, 0, 0], [1, -1, 0, 0, 0], [0, 1, -1, 0, 0], [0, 0, 1, -1, 0], [0, 0, 0, 1, -1]]\n"
   "let z = ode_rk45((t, y) -> k * (m @ y), [a, 0, 0, 0, 0], 0, [1, 2], rel_tol = 1e-11, abs_tol = 1e-12)\n"
   "let v = [z[0, 0], z[1, 1], z[1, 4]]\n",
   "let v = [a * exp(-k), a * 2 * k * exp(-2 * k), a * (2 * k) ^ 4 / 24 * exp(-2 * k)]\n"},
  {"densities", "let k ~ exponential(1)\nlet m ~ normal(0, 1)\n",      /* f with a density, branch on y */
   "let z = ode_rk45((t, y) -> [exp(logpdf(normal(m, 1), t)) - (if y[0] > 100 { k } else { 0 })], [k], 0, "
   "[1, 2, 3], rel_tol = 1e-11, abs_tol = 1e-12)\nlet v = [z[0, 0], z[1, 0], z[2, 0]]\n",
   "let v = for t in [1, 2, 3] { k + normal_cdf(t - m) - normal_cdf(-m) }\n"},
};

static norn_density *density_of(const char *prior, const char *body)
{
  char text[2000];
  norn_datum out;
  int n = snprintf(text, sizeof text, "model m() {\n%s%sfor x in v { observe 0.3 ~ normal(x, 1) }\nv }\n",
                   prior, body);
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
  norn_rng g = {.stream = 11, .lane = (uint32_t)i};
  int before = unit.failed;
  double u[8], ga[8], gb[8], la, lb;
  CHECK(a && b && norn_density_dim(a) == norn_density_dim(b));
  if (!a || !b) return;
  int64_t n = norn_density_dim(a);
  for (int r = 0; r < 8; r++) {
    for (int64_t k = 0; k < n; k++) u[k] = 2 * norn_rng_uniform(&g) - 1;
    CHECK(norn_density_eval(a, u, &la, ga) == 0 && norn_density_eval(b, u, &lb, gb) == 0);
    CHECK_NEAR(la, lb, 1e-7 * (1 + fabs(lb)));
    for (int64_t k = 0; k < n; k++) CHECK_NEAR(ga[k], gb[k], 1e-7 * (1 + fabs(gb[k])));
  }
  if (unit.failed > before) fprintf(stderr, "  %s\n", models[i].name);
  norn_density_free(a);
  norn_density_free(b);
}

/* A point at which no solution is found is outside, and the next one is as if nothing had been. */
static void rejected(void)
{
  norn_density *d = density_of("let a ~ normal(0, 1)\n",
                               "let z = ode_rk45((t, y) -> [y[0] ^ 2], [a], 0, [1])\nlet v = [z[0, 0]]\n");
  double u = 2, lp, g, x = 0.5, lq, gq;
  CHECK(d && norn_density_eval(d, &x, &lq, &gq) == 0 && lq > -HUGE_VAL);
  CHECK(d && norn_density_eval(d, &u, &lp, &g) == 0 && lp == -HUGE_VAL);
  CHECK(d && norn_density_eval(d, &x, &lp, &g) == 0 && lp == lq && g == gq);
  norn_density_free(d);
}

int main(void)
{
  exponential(ode_rk45, 1e-6);
  exponential(ode_rk45, 1e-12);
  exponential(ode_bdf, 1e-5);
  exponential(ode_bdf, 1e-10);
  singular(ode_rk45);
  singular(ode_bdf);
  robertson();
  against_gsl();
  st = norn_new(NULL);
  for (int i = 0; i < (int)(sizeof models / sizeof *models); i++) check_model(i);
  rejected();
  norn_free(st);
  return unit_end();
}
