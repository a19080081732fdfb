/* test_sbc.c: bands that uniform numbers stay in with the probability that they claim. */
#include "unit.h"
#include "infer/trust/sbc.h"
#include "num/rng.h"
#include <stdlib.h>

enum { K = 20 };

/* Two numbers, k = 2: X is binomial(2, 1/2); inside [1, 2] with probability 3/4; k = 3: inside
   [0, 1] at 1/3 and [1, 2] at 2/3 but for both below (1/9), both above (1/9): 7/9. */
static void test_exact(norn_state *st)
{
  int lower[2] = { 1, 0 }, upper[2] = { 2, 0 };
  double p;
  CHECK(sbc_coverage(st, 2, 2, lower, upper, &p));
  CHECK_NEAR(p, .75, 1e-14);
  lower[0] = 0; upper[0] = 1;
  lower[1] = 1; upper[1] = 2;
  CHECK(sbc_coverage(st, 2, 3, lower, upper, &p));
  CHECK_NEAR(p, 7. / 9, 1e-14);
}

/* By simulation: the share of samples inside is the coverage, at least what was asked and, counts
   being whole, not much more. */
static void test_band(norn_state *st, int n, double coverage)
{
  enum { TIMES = 20000 };
  int lower[K - 1], upper[K - 1], inside = 0;
  double p;
  CHECK(sbc_band(st, n, K, coverage, lower, upper));
  CHECK(sbc_coverage(st, n, K, lower, upper, &p));
  CHECK(p >= coverage && p < coverage + .03);
  for (uint32_t t = 0; t < TIMES; t++) {
    norn_rng g = { .stream = 3, .lane = t };
    int count[K] = { 0 }, sum = 0;
    bool good = true;
    for (int i = 0; i < n; i++) count[(int)(norn_rng_uniform(&g) * K)]++;
    for (int i = 0; i < K - 1; i++) {
      sum += count[i];
      good &= sum >= lower[i] && sum <= upper[i];
    }
    inside += good;
  }
  CHECK_NEAR(inside / (double)TIMES, p, 4 * sqrt(p * (1 - p) / TIMES));
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  CHECK(st);
  if (!st) return unit_end();
  test_exact(st);
  test_band(st, 50, .95);
  test_band(st, 100, .95);
  test_band(st, 400, .9);
  norn_free(st);
  return unit_end();
}
