/* test_approx.c: minimisation by L-BFGS; the normals of a path of Pathfinder against the recursion
   of BFGS on whole matrices; starts for chains. */
#include "unit.h"
#include "infer/gradient/lbfgs.h"
#include "infer/particles/path.h"
#include "infer/gradient/pathfinder.h"
#include "num/la.h"
#include <stdlib.h>

/* ---- minimisation ---- */

typedef struct problem { int64_t n; int calls; } problem;

/* sum 100 (x[2i+1] - x[2i]^2)^2 + (1 - x[2i])^2: 0 at ones. */
static double rosenbrock(void *user, const double *x, double *g)
{
  problem *p = user;
  double f = 0;
  p->calls++;
  for (int64_t i = 0; i < p->n; i += 2) {
    double a = 1 - x[i], b = x[i + 1] - x[i] * x[i];
    f += a * a + 100 * b * b;
    g[i] = -2 * a - 400 * x[i] * b;
    g[i + 1] = 200 * b;
  }
  return f;
}

/* sum 10^i x_i^2 / 2 */
static double long_valley(void *user, const double *x, double *g)
{
  problem *p = user;
  double f = 0, w = 1;
  p->calls++;
  for (int64_t i = 0; i < p->n; i++, w *= 10) {
    f += 0.5 * w * x[i] * x[i];
    g[i] = w * x[i];
  }
  return f;
}

/* x - log x, of positive numbers alone: 1 at 1. */
static double half_line(void *user, const double *x, double *g)
{
  problem *p = user;
  double f = 0;
  p->calls++;
  for (int64_t i = 0; i < p->n; i++) {
    if (!(x[i] > 0)) return HUGE_VAL;
    f += x[i] - log(x[i]);
    g[i] = 1 - 1 / x[i];
  }
  return f;
}

/* exp(-x) falls for ever. */
static double slope(void *user, const double *x, double *g)
{
  problem *p = user;
  p->calls++;
  g[0] = -exp(-x[0]);
  return exp(-x[0]);
}

static double nowhere(void *user, const double *x, double *g)
{
  (void)user;
  g[0] = x[0];
  return (double)NAN;
}

static lbfgs_end minimise(norn_state *st, lbfgs_fn f, int64_t n, double from, double *x, int *calls)
{
  lbfgs_limits limits = LBFGS_DEFAULTS;
  lbfgs l;
  problem p = {.n = n};
  double start[16];
  for (int i = 0; i < n; i++) start[i] = from;
  CHECK(lbfgs_new(st, &l, n, &limits, f, &p));
  lbfgs_end e = lbfgs_start(&l, start);
  while (!e) e = lbfgs_step(&l);
  memcpy(x, l.x, (size_t)n * sizeof *x);
  CHECK(l.evaluations == p.calls || f == nowhere);
  *calls = p.calls;
  lbfgs_free(&l);
  return e;
}

static void test_lbfgs(norn_state *st)
{
  double x[16];
  int calls;
  CHECK(lbfgs_converged(minimise(st, rosenbrock, 10, -1.2, x, &calls)));
  for (int i = 0; i < 10; i++) CHECK_NEAR(x[i], 1, 1e-6);
  CHECK(calls < 300);
  CHECK(lbfgs_converged(minimise(st, long_valley, 5, 3, x, &calls)));
  for (int i = 0; i < 5; i++) CHECK_NEAR(x[i], 0, 1e-5);
  CHECK(calls < 200);
  CHECK(lbfgs_converged(minimise(st, half_line, 3, 50, x, &calls)));
  for (int i = 0; i < 3; i++) CHECK_NEAR(x[i], 1, 1e-6);
  CHECK(lbfgs_converged(minimise(st, half_line, 3, 1e-6, x, &calls)));
  for (int i = 0; i < 3; i++) CHECK_NEAR(x[i], 1, 1e-6);
  CHECK(lbfgs_converged(minimise(st, half_line, 3, 1, x, &calls)));
  CHECK(calls == 1);                     /* it began at the minimum */
  minimise(st, slope, 1, 0, x, &calls);
  CHECK(x[0] > 5 && calls < 200);
  CHECK(minimise(st, nowhere, 1, 0, x, &calls) == LBFGS_STUCK);
  CHECK_STR(lbfgs_end_name(LBFGS_LIMIT), "iterations");
}

/* Both conditions hold at each iterate, whatever the first step was. */
static void test_wolfe(norn_state *st)
{
  lbfgs_limits limits = LBFGS_DEFAULTS;
  lbfgs l;
  problem p = {.n = 6};
  double start[6] = {-1.2, 1, 5, 3, -4, 0.1}, before[6];
  CHECK(lbfgs_new(st, &l, 6, &limits, rosenbrock, &p));
  lbfgs_start(&l, start);
  for (int i = 0; i < 30 && !l.end; i++) {
    double f = l.value, slope_before = la_dot(l.g, l.p, 6), moved = 0, at = 0, along = 0;
    memcpy(before, l.p, sizeof before);
    double from[6];
    memcpy(from, l.x, sizeof from);
    lbfgs_step(&l);
    for (int k = 0; k < 6; k++) {
      moved += before[k] * before[k];
      at += (l.x[k] - from[k]) * before[k];
      along += l.g[k] * before[k];
    }
    double step = at / moved;
    CHECK(slope_before < 0 && step > 0);
    CHECK(l.value <= f + 1e-4 * step * slope_before + 1e-13 * fmax(1, fabs(f)));
    CHECK(fabs(along) <= -0.9 * slope_before * (1 + 1e-9));
  }
  lbfgs_free(&l);
}

/* ---- paths ---- */

enum { MOST = 9 };

/* A target that is not normal: -sum (w x^2 / 2 + x^4 / 50), w = 1, 2, 3 ..., and neighbours
   coupled. */
static double target_f(void *user, const double *u, double *g)
{
  int n = *(int *)user;
  double lp = 0;
  for (int i = 0; i < n; i++) {
    double x = u[i], d = i ? u[i] - u[i - 1] : 0;
    lp -= 0.5 * (i + 1) * x * x + x * x * x * x / 50 + d * d;
    if (g) {
      g[i] = -(i + 1) * x - 4 * x * x * x / 50 - 2 * d;
      if (i) g[i - 1] += 2 * d;
    }
  }
  return lp;
}

/* H <- (I - r s y') H (I - r y s') + r s s', r = 1 / s'y */
static void bfgs(double *h, const double *s, const double *y, int n)
{
  double hy[MOST], sy = la_dot(s, y, n), yhy = 0;
  for (int i = 0; i < n; i++) hy[i] = la_dot(h + i * n, y, n);
  for (int i = 0; i < n; i++) yhy += y[i] * hy[i];
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      h[i * n + j] += (1 + yhy / sy) * s[i] * s[j] / sy - (hy[i] * s[j] + s[i] * hy[j]) / sy;
}

static void test_normal(const path_normal *q, int n)
{
  double l[MOST * MOST], sd[MOST], z[MOST], u[MOST], work[4 * MOST];
  CHECK(normal_factor(q, l));
  normal_sd(q, sd);
  double log_det = 0;
  for (int i = 0; i < n; i++) {
    log_det += log(l[i * n + i]);
    CHECK_NEAR(sd[i] / sqrt(la_dot(l + i * n, l + i * n, n)), 1, 1e-9);
  }
  CHECK_NEAR(q->log_det, log_det, 1e-9);
  for (uint32_t s = 0; s < 20; s++) {
    norn_rng g = {.stream = 3, .event = s};
    norn_rng_normals(&g, z, n);
    double lq = normal_draw(q, z, u, work);
    CHECK_NEAR(normal_at(q, u, work), lq, 1e-8);
    /* the same by the whole factor */
    for (int i = 0; i < n; i++) u[i] -= q->mean[i];
    la_solve_lower(false, l, n, u, 1);
    CHECK_NEAR(-log_det - 0.5 * la_dot(u, u, n) - 0.5 * n * log(2 * 3.141592653589793), lq, 1e-8);
  }
  norn_rng g = {.stream = 3};
  CHECK_NEAR(normal_overlap(q, q, &g, work), 0.5, 1e-12);
}

/* At an iterate whose normal is the best so far it is that of D and the pairs, by the recursion. */
static void test_path(norn_state *st, int n, int history)
{
  norn_density *d = norn_density_of(st, n, target_f, &n);
  target t = {.st = st, .density = d, .n = n};
  path p;
  double start[MOST], h[MOST * MOST], l[MOST * MOST];
  int seen = 0;
  CHECK(d && path_new(&t, &p, history, 100, 25));
  for (int i = 0; i < n; i++) start[i] = 2 - 0.7 * i;
  path_begin(&p, start, 11, 0);
  for (bool more = true; more;) {
    more = path_step(&p);
    if (p.at != p.l.iterations) continue;
    seen++;
    memset(h, 0, sizeof h);
    for (int i = 0; i < n; i++) h[i * n + i] = p.alpha[i];
    for (int64_t k = 0; k < p.l.stored; k++) {
      const double *s, *y;
      lbfgs_pair(&p.l, k, &s, &y);
      bfgs(h, s, y, n);
    }
    CHECK(normal_factor(&p.best, l));
    for (int i = 0; i < n; i++) {
      double mean = p.l.x[i];
      for (int j = 0; j < n; j++) {
        mean -= h[i * n + j] * p.l.g[j];
        CHECK_NEAR(la_dot(l + i * n, l + j * n, n), h[i * n + j], 1e-6);
      }
      CHECK_NEAR(p.best.mean[i], mean, 1e-6);
    }
    test_normal(&p.best, n);
  }
  CHECK(seen > 1 && p.l.iterations > 4);
  /* a normal is near: the ELBO is close to log Z, which quadrature of one dimension knows */
  CHECK(p.best.elbo > -HUGE_VAL);
  path_free(&p);
  norn_density_free(d);
}

/* In one dimension: log of the integral of exp(target). */
static void test_elbo(norn_state *st)
{
  int n = 1;
  norn_density *d = norn_density_of(st, 1, target_f, &n);
  target t = {.st = st, .density = d, .n = 1};
  path p;
  double start = 2, z = 0, x;
  for (int i = 0; i <= 4000; i++) {
    x = -8 + 16.0 * i / 4000;
    z += exp(target_f(&n, &x, NULL)) * 16 / 4000;
  }
  CHECK(path_new(&t, &p, 5, 100, 1000));
  path_begin(&p, &start, 11, 0);
  while (path_step(&p)) { }
  CHECK(p.best.elbo < log(z) + 0.02 && p.best.elbo > log(z) - 0.05);
  path_free(&p);
  norn_density_free(d);
}

/* ---- starts ---- */

static double shifted(void *user, const double *u, double *g)
{
  (void)user;
  double a = u[0] - 30, b = (u[1] + 5) / 0.1;
  if (g) { g[0] = -a; g[1] = -b / 0.1; }
  return -0.5 * (a * a + b * b);
}

static double outside(void *user, const double *u, double *g)
{
  (void)user;
  if (g) g[0] = u[0];
  return -HUGE_VAL;
}

/* Starts are draws of the normal target: mean and variance of 400 within five standard errors. */
static void test_starts(norn_state *st)
{
  enum { N = 400 };
  norn_density *d = norn_density_of(st, 2, shifted, NULL);
  norn_density *none = norn_density_of(st, 1, outside, NULL);
  double u[2], again[2], mean[2] = {0}, square[2] = {0};
  norn_rng g = {.stream = 5};
  for (uint32_t i = 0; i < N; i++) {
    g.lane = i;
    CHECK(!pathfinder_start(st, d, &g, u));
    double z[2] = {u[0] - 30, (u[1] + 5) / 0.1};
    for (int k = 0; k < 2; k++) { mean[k] += z[k] / N; square[k] += z[k] * z[k] / N; }
  }
  for (int k = 0; k < 2; k++) {
    CHECK_NEAR(mean[k], 0, 5 / sqrt(N));
    CHECK_NEAR(square[k], 1, 5 * sqrt(2.0 / N));
  }
  CHECK(!pathfinder_start(st, d, &g, again));
  CHECK(u[0] == again[0] && u[1] == again[1]);
  CHECK(pathfinder_start(st, none, &g, u) == NORN_EINFER);
  norn_clear(st);
  norn_density_free(d);
  norn_density_free(none);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  test_lbfgs(st);
  test_wolfe(st);
  test_path(st, 9, 3);                   /* low rank: 6 columns */
  test_path(st, 9, 4);
  test_path(st, 3, 4);                   /* dense */
  test_path(st, 5, 2);
  test_elbo(st);
  test_starts(st);
  norn_free(st);
  return unit_end();
}
