/* test_nuts: transitions of nuts (trajectory.c) beside a slow and obvious version that keeps every point
   of the trajectory in a list and sums momenta anew for each check: Betancourt 2017 (appendix A.5), with
   Stan's two further checks across the halves of a tree.  Both take the same random numbers, so that
   they must go to the same points, with as many steps, however curved the density is. */
#include "infer/gradient/hmc.h"
#include "num/rng.h"
#include "unit.h"
#include <stdlib.h>

enum { N = 4, LEAVES = 4096, ROUNDS = 400 };
static norn_state *st;

/* ---- densities ------------------------------------------------------------------------------- */

static const double scale[N] = {1, 0.3, 2, 0.9};

/* A bent normal: x[1] has its mean on a parabola of x[0]; x[3] follows x[2]. */
static double bent(void *user, const double *x, double *g)
{
  (void)user;
  double r[N] = {x[0], x[1] - 0.5 * x[0] * x[0], x[2], x[3] - 0.8 * x[2]}, logp = 0;
  for (int i = 0; i < N; i++) logp -= 0.5 * r[i] * r[i] / (scale[i] * scale[i]);
  if (!g) return logp;
  for (int i = 0; i < N; i++) g[i] = -r[i] / (scale[i] * scale[i]);
  g[0] -= g[1] * x[0];
  g[2] -= g[3] * 0.8;
  return logp;
}

/* A funnel: steps diverge in its neck. */
static double funnel(void *user, const double *x, double *g)
{
  (void)user;
  double s = 0, e = exp(-x[0]);
  for (int i = 1; i < N; i++) s += x[i] * x[i];
  for (int i = 1; g && i < N; i++) g[i] = -x[i] * e;
  if (g) g[0] = -x[0] / 9 + 0.5 * s * e - 0.5 * (N - 1);
  return -x[0] * x[0] / 18 - 0.5 * s * e - 0.5 * (N - 1) * x[0];
}

/* ---- the obvious version --------------------------------------------------------------------- */

typedef struct point { double q[N], p[N], v[N], g[N], logp; } point;
typedef struct slow {
  double (*f)(void *, const double *, double *);
  double inverse[N], step, start;        /* diagonal of M^-1 */
  norn_rng *rng;
  point at[2 * LEAVES + 1];              /* in the order of time, from `first` to `last` */
  int first, last, leaps;
  bool diverged;
} slow;

static double energy(const slow *s, const point *z)
{
  double k = -z->logp;
  for (int i = 0; i < N; i++) k += 0.5 * s->inverse[i] * z->p[i] * z->p[i];
  return k;
}

static point leapfrog(const slow *s, point z, double e)
{
  for (int i = 0; i < N; i++) z.p[i] += 0.5 * e * z.g[i];
  for (int i = 0; i < N; i++) z.q[i] += e * s->inverse[i] * z.p[i];
  z.logp = s->f(NULL, z.q, z.g);
  for (int i = 0; i < N; i++) z.p[i] += 0.5 * e * z.g[i];
  for (int i = 0; i < N; i++) z.v[i] = s->inverse[i] * z.p[i];
  return z;
}

/* Does the stretch of points a .. b still stretch: by the sum of the momenta of points from .. to. */
static bool stretches(const slow *s, int a, int b, int from, int to)
{
  double x = 0, y = 0;
  for (int i = 0; i < N; i++) {
    double rho = 0;
    for (int k = from; k <= to; k++) rho += s->at[k].p[i];
    x += s->at[a].v[i] * rho;
    y += s->at[b].v[i] * rho;
  }
  return x > 0 && y > 0;
}

/* The three checks of points a .. b whose halves meet between m and m + 1. */
static bool goes_on(const slow *s, int a, int m, int b)
{
  return stretches(s, a, b, a, b) && stretches(s, a, m + 1, a, m + 1) && stretches(s, m, b, m, b);
}

static double log_add_exp(double a, double b)
{
  double top = fmax(a, b);
  return top == -HUGE_VAL ? top : top + log(exp(a - top) + exp(b - top));
}

/* 2^depth points more at one end; *pick: the one that is proposed. */
static bool grow(slow *s, int depth, int way, int *pick, double *weight)
{
  if (depth == 0) {
    int from = way > 0 ? s->last : s->first, to = from + way;
    s->at[to] = leapfrog(s, s->at[from], way * s->step);
    *(way > 0 ? &s->last : &s->first) = *pick = to;
    double d = energy(s, &s->at[to]) - s->start;
    s->leaps++;
    *weight = -d;
    if (!(d <= 1000)) s->diverged = true;
    return d <= 1000;
  }
  int begin = way > 0 ? s->last + 1 : s->first - 1, half = 1 << (depth - 1), other;
  double one, two;
  if (!grow(s, depth - 1, way, pick, &one) || !grow(s, depth - 1, way, &other, &two)) return false;
  *weight = log_add_exp(one, two);
  if (two > *weight || rng_uniform(s->rng) < exp(two - *weight)) *pick = other;
  int end = begin + way * (2 * half - 1), a = way > 0 ? begin : end, b = way > 0 ? end : begin;
  return goes_on(s, a, a + half - 1, b);
}

static point transition_slow(slow *s, point z, int max_depth, int *depth)
{
  double total = 0, weight;
  int chosen = LEAVES, pick;
  for (int i = 0; i < N; i++) z.p[i] = rng_normal(s->rng) / sqrt(s->inverse[i]);
  for (int i = 0; i < N; i++) z.v[i] = s->inverse[i] * z.p[i];
  s->at[LEAVES] = z;
  s->first = s->last = LEAVES;
  s->start = energy(s, &z);
  s->leaps = 0;
  s->diverged = false;
  for (*depth = 0; *depth < max_depth;) {
    int way = rng_uniform(s->rng) > 0.5 ? 1 : -1, edge = way > 0 ? s->last : s->first - 1;
    if (!grow(s, *depth, way, &pick, &weight)) break;
    ++*depth;
    if (weight > total || rng_uniform(s->rng) < exp(weight - total)) chosen = pick;
    total = log_add_exp(total, weight);
    if (!goes_on(s, s->first, edge, s->last)) break;
  }
  return s->at[chosen];
}

/* ---- side by side ---------------------------------------------------------------------------- */

static void compare(double (*f)(void *, const double *, double *), double step, int max_depth)
{
  static slow s;
  hmc h = {.density = norn_density_of(st, N, f, NULL), .n = N, .step = step};
  tree t;
  phase z;
  transition tr;
  int longest = 0, diverged = 0, depth, wrong = 0;
  const double inverse[N] = {1.2, 0.2, 2.5, 0.7};
  CHECK(metric_new(st, &h.m, METRIC_DIAG, N, N) && tree_new(st, &t, N, max_depth) && phase_new(st, &z, N));
  metric_diagonal(&h.m, inverse);
  s.f = f;
  s.step = step;
  memcpy(s.inverse, inverse, sizeof inverse);
  for (int i = 0; i < N; i++) z.q[i] = 0.1 * i;
  hmc_evaluate(&h, &z);
  for (int round = 0; round < ROUNDS; round++) {
    norn_rng g = {.stream = 9, .iter = (uint32_t)round}, same = g;
    point p = {.logp = z.logp};
    memcpy(p.q, z.q, sizeof p.q);
    memcpy(p.g, z.g, sizeof p.g);
    s.rng = &same;
    p = transition_slow(&s, p, max_depth, &depth);
    tree_transition(&t, &h, &z, &g, &tr);
    for (int i = 0; i < N; i++) wrong += !(fabs(z.q[i] - p.q[i]) <= 1e-9 * (1 + fabs(p.q[i])));
    wrong += tr.leaps != s.leaps || tr.depth != depth || tr.diverged != s.diverged;
    if (depth > longest) longest = depth;
    diverged += s.diverged;
  }
  printf("step %g: depth up to %d, %d divergences\n", step, longest, diverged);
  CHECK(wrong == 0);
  CHECK(longest >= 3);
  phase_free(st, &z, N);
  tree_free(st, &t);
  metric_free(st, &h.m);
  norn_density_free(h.density);
}

int main(void)
{
  st = norn_new(NULL);
  compare(bent, 0.11, 10);
  compare(bent, 0.35, 10);
  compare(bent, 0.02, 5);
  compare(funnel, 0.4, 8);
  norn_free(st);
  return unit_end();
}
