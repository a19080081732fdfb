/* test_psis.c: Pareto smoothed weights against the package ArviZ, and k-hat against tails whose
   shape is known. */
#include "unit.h"
#include "infer/trust/psis.h"
#include "num/rng.h"
#include <stdlib.h>

/* Numbers that the other implementation can make too. */
static double uniform_next(uint64_t *s)
{
  *s = *s * 6364136223846793005u + 1442695040888963407u;
  return ((double)(*s >> 11) + .5) * 0x1p-53;
}

/* Log weights -c log u + .1 sin 50 u of n numbers u; what psislw of ArviZ 0.23.4 makes of them (the
   weights that it leaves alone brought back to what they were): k-hat, the largest, the third
   largest (where they were), the sum. */
typedef struct golden { int n, seed; double c, r_eff, khat, first, third, sum; } golden;
static const golden table[] = {
  { 1000, 1, .3, 1, 0.1610755520704285, 2.1539218295009954, 1.9281121323974224,
    298.95823972130074 },
  { 1000, 2, .9, .5, 1.2372310833151912, 7.8560250440935455, 5.871730744167463,
    856.8734180199369 },
  { 4000, 3, .55, .8, 0.4373227039852488, 4.488697322550637, 3.9054569369086325,
    2171.1481504618046 },
  { 200, 4, -.2, 1, -0.5141618838604346, 0.08121675472744894, 0.08121675472744894,
    -40.72174999839166 },
  { 25, 5, .5, 1, 1.2751897621008461, 0.9187163470022575, 0.7478292185207556,
    10.581055145956036 },
};

static void test_golden(norn_state *st, const golden *g)
{
  double *lw = malloc((size_t)g->n * sizeof *lw), khat, sum = 0;
  uint64_t s = (uint64_t)g->seed;
  int top[3] = { 0, 0, 0 };
  for (int i = 0; i < g->n; i++) {
    double u = uniform_next(&s);
    lw[i] = -g->c * log(u) + .1 * sin(50 * u);
  }
  for (int k = 0; k < 3; k++) {
    top[k] = -1;
    for (int i = 0; i < g->n; i++)
      if ((k < 1 || i != top[0]) && (k < 2 || i != top[1]) && (top[k] < 0 || lw[i] > lw[top[k]]))
        top[k] = i;
  }
  CHECK(psis_smooth(st, lw, (size_t)g->n, g->r_eff, &khat));
  for (int i = 0; i < g->n; i++) sum += lw[i];
  CHECK_NEAR(khat, g->khat, 1e-11);
  CHECK_NEAR(lw[top[0]], g->first, 1e-11);
  CHECK_NEAR(lw[top[2]], g->third, 1e-11);
  CHECK_NEAR(sum, g->sum, 1e-9);
  free(lw);
}

/* Target exponential(a), draws of exponential(b): the ratio exceeds t with probability
   t^(-b / (b - a)), so k = 1 - a / b, and what lies above any threshold is exactly a Pareto tail.
   The fit of M numbers has standard error (1 + k) / sqrt(M) and is pulled to 1/2 by ten. */
static void test_known(norn_state *st, double ratio)
{
  enum { N = 20000, TIMES = 40 };
  double *lw = malloc(sizeof *lw * N), mean = 0, k = 1 - ratio, m = (double)psis_tail(N, 1);
  for (uint32_t t = 0; t < TIMES; t++) {
    norn_rng g = { .stream = 11, .lane = t };
    double khat, most = -HUGE_VAL;
    for (int i = 0; i < N; i++) {
      lw[i] = (1 - ratio) * norn_rng_exponential(&g) + 1000;     /* large: only ratios count */
      if (lw[i] > most) most = lw[i];
    }
    CHECK(psis_smooth(st, lw, N, 1, &khat));
    mean += khat / TIMES;
    for (int i = 0; i < N; i++) if (lw[i] > most) { CHECK(lw[i] <= most); break; }
  }
  CHECK_NEAR(mean, (m * k + 5) / (m + 10), 4 * (1 + k) / sqrt(m * TIMES));
  free(lw);
}

/* The smoothed estimate of the mean of exponential(1) by draws of exponential(1.5) (k = 1/3). */
static void test_estimate(norn_state *st)
{
  enum { N = 20000, TIMES = 30 };
  double *lw = malloc(sizeof *lw * N), *x = malloc(sizeof *x * N), mean = 0, square = 0, khat;
  for (uint32_t t = 0; t < TIMES; t++) {
    norn_rng g = { .stream = 12, .lane = t };
    double s = 0, q = 0;
    for (int i = 0; i < N; i++) {
      x[i] = norn_rng_exponential(&g) / 1.5;
      lw[i] = .5 * x[i];
    }
    CHECK(psis_smooth(st, lw, N, 1, &khat));
    for (int i = 0; i < N; i++) { s += exp(lw[i]); q += exp(lw[i]) * x[i]; }
    mean += q / s / TIMES;
    square += q / s * (q / s) / TIMES;
  }
  CHECK_NEAR(mean, 1, 4 * sqrt((square - mean * mean) / (TIMES - 1)));
  free(lw);
  free(x);
}

static void test_edges(norn_state *st)
{
  double lw[100], khat;
  for (int i = 0; i < 100; i++) lw[i] = 2;
  CHECK(psis_smooth(st, lw, 100, 1, &khat) && khat == -HUGE_VAL && lw[99] == 2);
  for (int i = 0; i < 100; i++) lw[i] = i < 95 ? -HUGE_VAL : i;      /* hardly a weight */
  CHECK(psis_smooth(st, lw, 100, 1, &khat) && khat == HUGE_VAL && lw[99] == 99);
  for (int i = 0; i < 100; i++) lw[i] = -i * 1e3;                    /* all but one underflow */
  CHECK(psis_smooth(st, lw, 100, 1, &khat) && lw[0] <= 0 && !isnan(lw[1]) && !(khat <= .7));
  for (int i = 0; i < 100; i++) lw[i] = i;
  lw[3] = NAN;
  CHECK(psis_smooth(st, lw, 100, 1, &khat) && khat == HUGE_VAL && lw[99] == 99);
  CHECK(psis_smooth(st, lw, 0, 1, &khat) && khat == HUGE_VAL);
  CHECK(psis_smooth(st, lw + 4, 20, 1, &khat) && khat == HUGE_VAL);  /* a tail of four */
  CHECK(psis_smooth(st, lw + 4, 21, 1, &khat) && khat < HUGE_VAL);
  CHECK(psis_tail(4000, 1) == 190 && psis_tail(100, 1) == 20 && psis_tail(4000, .25) == 380);
  CHECK(psis_tail(4000, NAN) == 190);
  CHECK_NEAR(psis_threshold(100), .5, 1e-15);
  CHECK_NEAR(psis_threshold(4000), .7, 1e-15);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  CHECK(st);
  if (!st) return unit_end();
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) test_golden(st, &table[i]);
  test_known(st, .9);
  test_known(st, .5);
  test_known(st, .2);
  test_estimate(st);
  test_edges(st);
  norn_free(st);
  return unit_end();
}
