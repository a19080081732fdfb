/* test_nn_heads.c: what nets say of one unknown: densities sum to 1 and are the slopes of their distribution
   functions, quantiles invert these, draws follow them, losses are -log q with the right gradient, and
   nothing is infinite where logits or targets are extreme. */
#include "unit.h"
#include "nn/exp_f32.h"
#include "nn/head_in.h"
#include "num/level.h"
#include <stdlib.h>
#include <time.h>

#ifdef HAVE_X86_LEVELS
static const head_loops *const levels[LEVELS] = { &head_base, &head_avx2, &head_avx512 };
#else
static const head_loops *const levels[LEVELS] = { &head_base };
#endif

enum { WIDEST = 1200 };
static double normal(norn_rng *g) { return norn_rng_normal(g); }
static bool discrete(const nn_head *h) { return h->kind >= NN_CATEGORIES; }

/* A head fitted to skewed targets (counts: of mean 4), and an answer. */
static nn_head head_new(norn_state *st, nn_head_kind kind, int n, norn_rng *g)
{
  nn_head h = { .kind = kind, .n = n };
  double x[2000];
  for (int i = 0; i < 2000; i++)
    x[i] = kind == NN_COUNTS ? floor(4 * norn_rng_exponential(g)) : normal(g) + .3 * norn_rng_exponential(g);
  CHECK(nn_head_fit(st, &h, x, 2000));
  return h;
}
static void answer(const nn_head *h, float *z, double size, norn_rng *g)
{
  for (int i = 0; i < nn_head_width(h); i++) z[i] = (float)(size * normal(g));
}

/* By Simpson's rule on [a, b]. */
static double integral(const nn_head *h, const float *z, double a, double b, int n)
{
  double sum = 0, w = (b - a) / n, in = 1e-9 * w;
  for (int i = 0; i < n; i++) {
    double l = a + i * w;
    sum += w / 6 * (exp(nn_head_logq(h, z, l + in)) + 4 * exp(nn_head_logq(h, z, l + .5 * w)) +
                    exp(nn_head_logq(h, z, l + w - in)));
  }
  return sum;
}
/* Of a bar's pieces one by one; of a mixture between many quantiles. */
static double total(const nn_head *h, const float *z)
{
  double sum = 0;
  if (discrete(h)) {
    for (int k = 0; k < 200000 && sum < 1 - 1e-13; k++) sum += exp(nn_head_logq(h, z, k));
    return sum;
  }
  if (h->kind == NN_MIXTURE) {
    double from = nn_head_quantile(h, z, 1e-13);
    for (int k = 1; k <= 400; k++) {
      double to = nn_head_quantile(h, z, k < 400 ? k / 400.0 : 1 - 1e-13);
      sum += integral(h, z, from, to, 200);
      from = to;
    }
    return sum;
  }
  sum = integral(h, z, h->border[1] - 10 * h->tail[0], h->border[1], 2000);
  for (int k = 1; k < h->n - 1; k++) sum += integral(h, z, h->border[k], h->border[k + 1], 2);
  return sum + integral(h, z, h->border[h->n - 1], h->border[h->n - 1] + 10 * h->tail[1], 2000);
}

static void test_cdf(const nn_head *h, const float *z)
{
  double mean, variance, m = 0, v = 0, last = 0;
  nn_head_moments(h, z, &mean, &variance);
  for (int i = 1; i < 40; i++) {
    double p = (i - .37) / 40, x = nn_head_quantile(h, z, p);
    if (discrete(h)) {
      CHECK(nn_head_cdf(h, z, x) >= p - 1e-12);
      CHECK(nn_head_cdf(h, z, x - 1) < p + 1e-12);
      CHECK_NEAR(nn_head_cdf(h, z, x) - nn_head_cdf(h, z, x - 1), exp(nn_head_logq(h, z, x)), 1e-12);
      continue;
    }
    CHECK_NEAR(nn_head_cdf(h, z, x), p, 1e-11);
    CHECK(x >= last || i == 1);
    last = x;
    double e = 1e-6 * (nn_head_quantile(h, z, p + .001) - nn_head_quantile(h, z, p - .001));
    double slope = (nn_head_cdf(h, z, x + e) - nn_head_cdf(h, z, x - e)) / (2 * e);
    double q = exp(nn_head_logq(h, z, x));
    CHECK_NEAR(slope, q, 1e-4 * (1 + q));
  }
  /* Moments by quantiles in the middle of equal parts. */
  int n = 20000;
  for (int i = 0; i < n; i++) {
    double x = nn_head_quantile(h, z, (i + .5) / n);
    m += x / n;
    v += pow(x - mean, 2) / n;
  }
  CHECK_NEAR(m, mean, .002 * sqrt(variance) + 1e-12);
  CHECK_NEAR(v, variance, .02 * variance + 1e-12);
}

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
/* Kolmogorov's distance of n draws times sqrt(n): above 2.3 with probability 5e-5 (less for discrete ones).
   */
static void test_draws(const nn_head *h, const float *z, uint64_t seed)
{
  enum { N = 20000 / UNIT_PART };
  double *x = malloc(N * sizeof *x), most = 0;
  norn_rng g = { .stream = seed };
  for (int i = 0; i < N; i++) x[i] = nn_head_draw(h, z, &g);
  qsort(x, N, sizeof *x, by_size);
  for (int i = 0; i < N; i++) {
    double q = nn_head_cdf(h, z, x[i]), before = discrete(h) ? nn_head_cdf(h, z, x[i] - 1) : q;
    if (i + 1 == N || x[i + 1] > x[i]) most = fmax(most, fabs((i + 1.0) / N - q));
    if (i == 0 || x[i - 1] < x[i]) most = fmax(most, fabs((double)i / N - before));
  }
  CHECK_NEAR(most * sqrt(N), 0, 2.3);
  free(x);
}

static void test_loss(const nn_head *h, const float *z, norn_rng *g)
{
  enum { N = 12 };
  int w = nn_head_width(h);
  float *many = malloc(N * (size_t)w * sizeof *many), *dz = malloc(N * (size_t)w * sizeof *dz), target[N];
  double loss[N], sum = 0;
  for (int i = 0; i < N; i++) {
    memcpy(many + i * w, z, (size_t)w * sizeof *z);
    target[i] = (float)nn_head_draw(h, z, g);
  }
  if (!discrete(h)) target[N - 1] = 30, target[N - 2] = -30;
  double all = nn_head_loss(h, N, many, target, loss, dz);
  CHECK_NEAR(all, nn_head_loss(h, N, many, target, NULL, NULL), 1e-12 * fabs(all));
  for (int i = 0; i < N; i++) {
    double logq = nn_head_logq(h, z, target[i]);
    CHECK_NEAR(loss[i], -logq, 2e-6 * (1 + fabs(logq)));
    sum += loss[i];
    for (int k = 0; k < w; k++) {
      float keep = z[k], *move = many + i * w + k;
      double e = 3e-5 * (1 + fabs(keep)), hi, lo, d;
      *move = (float)(keep + e);
      hi = nn_head_logq(h, many + i * w, target[i]);
      d = *move;
      *move = (float)(keep - e);
      lo = nn_head_logq(h, many + i * w, target[i]);
      d -= *move;
      *move = keep;
      CHECK_NEAR(dz[i * w + k], -(hi - lo) / d, 1e-4 * (1 + fabs(dz[i * w + k])));
    }
  }
  CHECK_NEAR(all, sum, 1e-12 * fabs(sum));
  free(many);
  free(dz);
}

/* Losses and gradients of logits and targets at the ends of what floats are. */
static void test_extremes(const nn_head *h, norn_rng *g)
{
  static const float ends[] = { 0, -80, 100, -1e4f, 1e10f, -3e38f, 3e38f };
  static const float targets[] = { 0, 1, -1, 1e6f, -1e10f, 3e38f, -3e38f, 1.5f };
  float z[WIDEST], dz[WIDEST];
  int w = nn_head_width(h);
  for (int i = 0; i < 300; i++) {
    for (int k = 0; k < w; k++) z[k] = ends[norn_rng_below(g, i < 100 ? 4 : 7)];
    for (int j = 0; j < 8; j++) {
      double loss = nn_head_loss(h, 1, z, targets + j, NULL, dz), logq = nn_head_logq(h, z, targets[j]);
      bool outside = discrete(h) && logq == -INFINITY;
      CHECK(outside ? loss == INFINITY : isfinite(loss));
      for (int k = 0; k < w; k++) CHECK(isfinite(dz[k]));
    }
    if (i >= 100) continue;
    double x = nn_head_draw(h, z, g), u = nn_head_cdf(h, z, x);
    CHECK(isfinite(x) && u >= 0 && u <= 1);
    CHECK(!isnan(nn_head_quantile(h, z, .3)));
    CHECK(!isnan(nn_head_logq(h, z, x)));
  }
}

static void test_head(norn_state *st, nn_head_kind kind, int n, norn_rng *g)
{
  nn_head h = head_new(st, kind, n, g);
  float z[WIDEST];
  for (int i = 0; i < 3; i++) {
    answer(&h, z, i < 2 ? i * .7 : 1.5, g);
    CHECK_NEAR(total(&h, z), 1, 1e-9);
    test_cdf(&h, z);
    test_draws(&h, z, (uint64_t)(100 * kind + 10 * i + n));
    test_draws(&h, z, (uint64_t)(100 * kind + 10 * i + n + 7));
    test_loss(&h, z, g);
  }
  test_extremes(&h, g);
  nn_head_free(st, &h);
}

/* Outputs of 0 are what was fitted: equal mass in bars, the mean and the variance of targets. */
static void test_fit(norn_state *st, norn_rng *g)
{
  double x[3000], mean, variance;
  nn_head h = { .kind = NN_BARS, .n = 50 }, m = { .kind = NN_MIXTURE, .n = 5 };
  float z[60] = { 0 };
  for (int i = 0; i < 3000; i++) x[i] = 3 + 2 * normal(g);
  CHECK(nn_head_fit(st, &h, x, 3000) && nn_head_fit(st, &m, x, 3000));
  for (int k = 0; k < 50; k++) {
    int count = 0;
    for (int i = 0; i < 3000; i++)
      count += (k == 0 || x[i] >= h.border[k]) && (k == 49 || x[i] < h.border[k + 1]);
    z[k] = logf((float)count);                   /* what targets are, as an answer */
    if (k == 0 || k == 49) CHECK_NEAR(count, 60, 1);
    else CHECK(k < 18 || k > 31 || (count > 30 && count < 130));
  }
  nn_head_moments(&h, z, &mean, &variance);
  CHECK_NEAR(mean, 3, .15);
  CHECK_NEAR(variance, 4, .4);
  memset(z, 0, sizeof z);
  nn_head_moments(&m, z, &mean, &variance);
  CHECK_NEAR(mean, m.at, 1e-12);
  CHECK_NEAR(variance, m.scale * m.scale, 1e-12);
  nn_head_free(st, &h);
}
static void fit_of(norn_state *st, const double *x, size_t n, int bars)
{
  nn_head h = { .kind = NN_BARS, .n = bars };
  double copy[3000], mean, variance;
  float z[WIDEST] = { 0 };
  memcpy(copy, x, n * sizeof *x);
  CHECK(nn_head_fit(st, &h, copy, n));
  for (int k = 0; k < bars; k++) CHECK(h.border[k + 1] > h.border[k] && isfinite(h.border[k]));
  CHECK(h.tail[0] > 0 && h.tail[1] > 0 && isfinite(h.tail[0] + h.tail[1]) && isfinite(h.border[bars]));
  for (size_t i = 0; i < n; i++) CHECK(isfinite(nn_head_logq(&h, z, x[i])));
  nn_head_moments(&h, z, &mean, &variance);
  CHECK(isfinite(mean) && variance > 0);
  CHECK_NEAR(total(&h, z), 1, 1e-7);
  nn_head_free(st, &h);
}
static void test_odd_targets(norn_state *st, norn_rng *g)
{
  double x[3000], bad[2] = { 1, INFINITY };
  nn_head h = { .kind = NN_BARS, .n = 10 };
  for (int i = 0; i < 3000; i++) x[i] = i % 2 ? normal(g) : 0;      /* half of them 0 */
  fit_of(st, x, 3000, 100);
  for (int i = 0; i < 3000; i++) x[i] = i % 3;
  fit_of(st, x, 3000, 100);
  fit_of(st, x, 3, 100);
  fit_of(st, x, 1, 10);
  fit_of(st, x, 0, 10);
  for (int i = 0; i < 100; i++) x[i] = 1e9;
  fit_of(st, x, 100, 50);
  for (int i = 0; i < 1000; i++) x[i] = tan(3.14159 * (norn_rng_uniform(g) - .5));
  fit_of(st, x, 1000, 300);
  for (int i = 0; i < 500; i++) x[i] = 0;
  fit_of(st, x, 500, 300);
  for (int i = 0; i < 500; i++) x[i] = i < 3 ? 1 : 2;
  fit_of(st, x, 500, 5);
  CHECK(!nn_head_fit(st, &h, bad, 2));
  CHECK(strstr(norn_error(st)->text, "inf") != NULL);
  h.n = 2;
  CHECK(!nn_head_fit(st, &h, x, 5));
  norn_clear(st);
}
/* By bisection of its distribution function. */
static double normal_quantile(double p)
{
  double lo = -9, hi = 9;
  for (int i = 0; i < 60; i++) {
    double x = .5 * (lo + hi);
    if (.5 * erfc(-x / sqrt(2)) < p) lo = x;
    else hi = x;
  }
  return lo;
}
/* Of a normal's exact quantiles, pieces are as wide as exp(x^2 / 4): one over the root of the density. */
static void test_spacing(norn_state *st)
{
  enum { N = 20000, BARS = 100 };
  static double x[N];
  nn_head h = { .kind = NN_BARS, .n = BARS };
  for (int i = 0; i < N; i++) x[i] = normal_quantile((i + .5) / N);
  CHECK(nn_head_fit(st, &h, x, N));
  double middle = h.border[BARS / 2 + 1] - h.border[BARS / 2];
  for (int k = 2; k < BARS - 2; k++) {
    double at = .5 * (h.border[k] + h.border[k + 1]), width = h.border[k + 1] - h.border[k];
    CHECK_NEAR(width / middle, exp(at * at / 4), .12 * exp(at * at / 4));
  }
  CHECK_NEAR(h.border[1], normal_quantile(.01), 1e-3);
  CHECK_NEAR(h.tail[0], .4601, .01);             /* sqrt E((x - b)^2 | x < b), b = -2.3263: 1 - b p(b) / .01 + 2 b p(b) / .01 + b^2 */
  nn_head_free(st, &h);
}
/* Many of one value have a piece of their own, narrow and near. */
static void test_atom(norn_state *st, norn_rng *g)
{
  nn_head h = { .kind = NN_BARS, .n = 60 };
  double x[3000];
  for (int i = 0; i < 3000; i++) x[i] = i % 2 ? normal(g) : .25;
  CHECK(nn_head_fit(st, &h, x, 3000));
  int k = 0;
  while (h.border[k + 1] <= .25) k++;
  CHECK(h.border[k + 1] - h.border[k] < .01);
  nn_head_free(st, &h);
}

/* exp of floats: within 2 ulp, and the same bits of sums at every level. */
static void test_loops(norn_rng *g)
{
  float z[301], e[301], other[301], worst = 0;
  for (int i = 0; i < 301; i++) z[i] = (float)(-90 * norn_rng_uniform(g) * norn_rng_uniform(g));
  z[17] = 0;
  for (int n = 1; n <= 301; n += n < 40 ? 1 : 29) {
    float top = levels[0]->top(z, n), most = z[0];
    for (int i = 1; i < n; i++) most = fmaxf(most, z[i]);
    CHECK(top == most);
    double sum = levels[0]->sum(z, n, top, e), exact = 0;
    CHECK(sum == levels[0]->sum(z, n, top, NULL));
    for (int i = 0; i < n; i++) {
      double y = exp((double)(z[i] - top));
      exact += y;
      if (z[i] - top > -87) worst = fmaxf(worst, (float)(fabs(e[i] - y) / y));
    }
    CHECK_NEAR(sum, exact, 4e-7 * exact);
    for (int l = 1; l < LEVELS; l++) {
      if (!level_has(l)) continue;
      CHECK(levels[l]->top(z, n) == top && levels[l]->sum(z, n, top, other) == sum);
      CHECK(memcmp(e, other, (size_t)n * sizeof *e) == 0);
      levels[l]->scale(other, n, .37f);
      for (int i = 0; i < n; i++) CHECK(other[i] == e[i] * .37f);
    }
  }
  CHECK_NEAR(worst, 0, 2 * 0x1p-23);
}

/* NORN_TIME: what a question of 300 bars takes. */
static void timing(norn_state *st, norn_rng *g)
{
  nn_head h = head_new(st, NN_BARS, 300, g);
  enum { N = 1000, TIMES = 100 };
  float *z = malloc(N * 300 * sizeof *z), *dz = malloc(N * 300 * sizeof *dz), *t = malloc(N * sizeof *t);
  for (int i = 0; i < N * 300; i++) z[i] = (float)normal(g);
  for (int i = 0; i < N; i++) t[i] = (float)normal(g);
  clock_t start = clock();
  double sum = 0;
  for (int i = 0; i < TIMES; i++) sum += nn_head_loss(&h, N, z, t, NULL, dz);
  printf("300 bars, loss and gradient: %.0f ns a question (%g)\n",
         1e9 * (double)(clock() - start) / CLOCKS_PER_SEC / (N * TIMES), sum);
  free(z), free(dz), free(t);
  nn_head_free(st, &h);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  norn_rng g = { .stream = 5 };
  static const struct { nn_head_kind kind; int n; } heads[] = {
    { NN_BARS, 3 }, { NN_BARS, 50 }, { NN_BARS, 300 }, { NN_MIXTURE, 1 }, { NN_MIXTURE, 5 },
    { NN_MIXTURE, 20 }, { NN_CATEGORIES, 2 }, { NN_CATEGORIES, 37 }, { NN_BERNOULLI, 1 }, { NN_COUNTS, 1 },
    { NN_COUNTS, 4 },
  };
  if (!st) return 1;
  test_loops(&g);
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) test_head(st, heads[i].kind, heads[i].n, &g);
  test_fit(st, &g);
  test_odd_targets(st, &g);
  test_spacing(st);
  test_atom(st, &g);
  if (getenv("NORN_TIME")) timing(st, &g);
  norn_free(st);
  return unit_end();
}
