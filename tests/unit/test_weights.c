/* test_weights: from log weights to copies, at each CPU level: the same bits from all; weights and
   sums against libm; offspring against the scalar schemes of infer/particles/resample.c; however the weights
   are, offspring sum to n and none goes to a weight of 0; copies against the obvious plan. */
#include "num/weights.h"
#include "infer/engine.h"
#include "unit.h"
#include <stdlib.h>

enum { MOST = 70000 };
static double logw[MOST + 16], w[MOST + 16], other[MOST + 16], u[MOST];
static uint32_t below[MOST + 16], below2[MOST + 16], count[MOST + 16], to[MOST + WEIGHTS_ROOM],
  from[MOST + WEIGHTS_ROOM];
static const size_t sizes[] = {1, 2, 3, 7, 15, 16, 17, 31, 33, 100, 255, 256, 257, 511, 513, 1000, 4096,
                               10007, MOST};
enum { SIZES = sizeof sizes / sizeof *sizes, SHAPES = 7 };

/* Log weights of several shapes: alike, normal, wide, many dead, one alive, rising, tiny beside one. */
static void make(int shape, size_t n, uint32_t seed)
{
  norn_rng g = {.stream = seed, .lane = (uint32_t)shape};
  for (size_t i = 0; i < n; i++) {
    double z = norn_rng_normal(&g), p = norn_rng_uniform(&g);
    switch (shape) {
    case 0: logw[i] = -3; break;
    case 1: logw[i] = 400 + z; break;
    case 2: logw[i] = 200 * z; break;
    case 3: logw[i] = p < 0.9 ? -HUGE_VAL : z; break;
    case 4: logw[i] = i == n / 2 ? -1e300 : -HUGE_VAL; break;
    case 5: logw[i] = 0.01 * (double)i; break;
    default: logw[i] = i == 0 ? 0 : -36.5 + 1e-3 * z;
    }
  }
  if (shape == 3) logw[n - 1] = n > 3 ? -HUGE_VAL : 0;
}

static void test_exp(size_t n)
{
  double top = -HUGE_VAL, worst = 0;
  long double s = 0, q = 0;
  weights_sum all = weights_at(LEVEL_BASE)->exp(logw, w, n);
  for (size_t i = 0; i < n; i++) top = fmax(top, logw[i]);
  CHECK(all.top == top);
  for (size_t i = 0; i < n; i++) {
    double x = exp(logw[i] - top);
    if (logw[i] - top < -709) CHECK(w[i] == 0);
    else if (logw[i] - top > -700) worst = fmax(worst, fabs(w[i] / x - 1));
    s += w[i];
    q += w[i] * w[i];
  }
  CHECK(worst < 4.5e-16);
  CHECK_NEAR(all.sum / (double)s, 1, 1e-12);
  CHECK_NEAR(all.squares / (double)q, 1, 1e-12);
  for (int level = 1; level < LEVELS; level++) {
    if (!level_has(level)) continue;
    weights_sum b = weights_at(level)->exp(logw, other, n);
    CHECK(!memcmp(&all, &b, sizeof all));
    CHECK(!memcmp(w, other, n * sizeof *w));
  }
}

/* Copies in the order of places and of particles. */
static void test_copies(size_t n)
{
  size_t m = weights_copies(below, n, to, from), k = 0, empty = 0;
  for (size_t i = n; i-- > 0;) count[i] = below[i] - (i ? below[i - 1] : 0);
  for (size_t i = 0; i < n; i++)
    for (uint32_t c = count[i]; c > 1; c--, k++, empty++) {
      while (count[empty]) empty++;
      if (to[k] != empty || from[k] != i) { CHECK(false); return; }
    }
  CHECK(k == m);
}

static void test_below(resample_kind kind, size_t n, uint32_t seed)
{
  bool each = kind == RESAMPLE_STRATIFIED, good = true;
  norn_rng g = {.stream = seed}, g2 = g;
  double sum = weights_exp(logw, w, n).sum;
  uint32_t before = 0;
  size_t differ = 0;
  double rho = resample_below(kind, w, sum, below, n, &g, u);
  for (size_t i = 0; i < n; before = below[i++]) {
    good &= below[i] >= before;
    if (w[i] == 0) good &= below[i] == before;
  }
  CHECK(good);
  CHECK(below[n - 1] == n);
  CHECK_NEAR(rho, resample_spread(kind, w, sum, n), 1e-9);
  resample(kind, w, sum, count, n, &g2);
  for (size_t i = 0; i < n; i++) differ += count[i] != below[i] - (i ? below[i - 1] : 0);
  CHECK(differ <= n / 50000 * 2);             /* a point on a boundary, by rounding */
  test_copies(n);
  bool vectors = each || kind == RESAMPLE_SYSTEMATIC;
  for (int level = 0; vectors && level < LEVELS; level++) {
    if (!level_has(level)) continue;
    double r = weights_at(level)->below(w, sum, n, u, each, below2);
    CHECK(!memcmp(&r, &rho, sizeof r));
    CHECK(!memcmp(below, below2, n * sizeof *below));
  }
}

/* u at the ends of (0, 1), and weights that are whole multiples: points on the boundaries. */
static void test_edges(void)
{
  const double ends[] = {0x1p-53, 0x1p-30, 0.5, 1 - 0x1p-30, 1 - 0x1p-53};
  for (int s = 0; s < SIZES; s++) {
    size_t n = sizes[s];
    for (size_t i = 0; i < n; i++) w[i] = i % 3 == 1 || n == 1 ? 1 : 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += w[i];
    for (int e = 0; e < 10; e++) {
      bool good = true;
      for (size_t i = 0; i < n; i++) u[i] = ends[e % 5];
      weights_below(w, sum * (1 + (e - 5) * 1e-15), n, u, e > 4, below);
      for (size_t i = 0; i < n; i++) {
        uint32_t c = below[i] - (i ? below[i - 1] : 0);
        good &= w[i] > 0 ? c >= 1 && c <= 5 : c == 0;
      }
      CHECK(good);
      CHECK(below[n - 1] == n);
    }
  }
}

int main(void)
{
  for (int s = 0; s < SIZES; s++)
    for (int shape = 0; shape < SHAPES; shape++) {
      make(shape, sizes[s], (uint32_t)s);
      test_exp(sizes[s]);
      for (int k = 0; k < RESAMPLE_COUNT; k++) test_below((resample_kind)k, sizes[s], (uint32_t)s + 77);
    }
  for (size_t i = 0; i < 300; i++) logw[i] = -HUGE_VAL;
  weights_sum none = weights_exp(logw, w, 300);
  CHECK(none.sum == 0 && none.squares == 0 && none.top == -HUGE_VAL && w[299] == 0);
  test_edges();
  return unit_end();
}
