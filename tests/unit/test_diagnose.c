/* test_diagnose.c: diagnostics of chains against Stan's and ArviZ's, and against chains whose
   effective sample sizes are known. */
#include "unit.h"
#include "infer/engine.h"
#include <stdlib.h>

enum { CHAINS = 4, LENGTH = 1000, ROWS = CHAINS * LENGTH };

/* Of four chains of CmdStan (the tests of Stan, BSD-3).  The ESS of bulk and tail are the golden
   values of Stan's own tests; the rest is by ArviZ 0.23.4 (ess, mcse, rhat), ESS of the sd by the
   formula of the R package posterior with ArviZ's _ess. */
typedef struct golden { diagnose_what what; double p, lp, theta, tol; } golden;
static const golden table[] = {
  { DIAGNOSE_ESS_BULK, 0, 1512.7684, 1407.5124, 1e-4 },
  { DIAGNOSE_ESS_TAIL, 0, 1591.9707, 1291.7131, 1e-4 },
  { DIAGNOSE_ESS_MEAN, 0, 1341.6851277442788, 1412.5651003391476, 1e-8 },
  { DIAGNOSE_ESS_SD, 0, 1558.130376615409, 1527.6366312199991, 1e-8 },
  { DIAGNOSE_ESS_QUANTILE, .5, 2184.3767825653504, 1909.3471138614746, 1e-8 },
  { DIAGNOSE_ESS_QUANTILE, .9, 2378.850417207294, 1710.7453555934696, 1e-8 },
  { DIAGNOSE_RHAT, 0, 1.000730069464055, 1.0067896841101203, 1e-12 },
  { DIAGNOSE_MCSE_MEAN, 0, 0.02016477800047136, 0.003233991607146082, 1e-14 },
  { DIAGNOSE_MCSE_SD, 0, 0.030889830056668535, 0.0021642136690784445, 1e-14 },
  { DIAGNOSE_MCSE_QUANTILE, .05, 0.09911500000000029, 0.0034310999999999994, 1e-14 },
  { DIAGNOSE_MCSE_QUANTILE, .5, 0.011464999999999836, 0.004697499999999993, 1e-14 },
  { DIAGNOSE_MCSE_QUANTILE, .9, 0.0013199999999997658, 0.007464500000000013, 1e-14 },
};

static void test_golden(norn_state *st)
{
  const char *srcdir = getenv("srcdir");
  char path[500], line[200];
  double *lp = malloc(sizeof *lp * ROWS), *theta = malloc(sizeof *theta * ROWS), out;
  snprintf(path, sizeof path, "%s/tests/data/bern.csv", srcdir ? srcdir : ".");
  FILE *f = fopen(path, "r");
  int n = 0, chain;
  if (f && fgets(line, sizeof line, f))
    while (n < ROWS && fscanf(f, "%d,%lf,%lf", &chain, &lp[n], &theta[n]) == 3) n++;
  if (f) fclose(f);
  CHECK(n == ROWS);
  for (size_t i = 0; n == ROWS && i < sizeof table / sizeof *table; i++) {
    CHECK(diagnose(st, table[i].what, table[i].p, lp, CHAINS, LENGTH, &out));
    CHECK_NEAR(out, table[i].lp, table[i].tol);
    CHECK(diagnose(st, table[i].what, table[i].p, theta, CHAINS, LENGTH, &out));
    CHECK_NEAR(out, table[i].theta, table[i].tol);
  }
  free(lp);
  free(theta);
}

/* Errors of mean, sd and median of independent normal draws: 1 / sqrt(N), 1 / sqrt(2 N),
   sqrt(pi / 2 / N); each ESS has a relative error of about 3 % here. */
static void test_normal(norn_state *st)
{
  double *x = malloc(sizeof *x * ROWS), out;
  norn_rng g = { .stream = 5 };
  norn_rng_normals(&g, x, ROWS);
  CHECK(diagnose(st, DIAGNOSE_MCSE_MEAN, 0, x, CHAINS, LENGTH, &out));
  CHECK_NEAR(out * sqrt(ROWS), 1, .06);
  CHECK(diagnose(st, DIAGNOSE_MCSE_SD, 0, x, CHAINS, LENGTH, &out));
  CHECK_NEAR(out * sqrt(2 * ROWS), 1, .08);
  CHECK(diagnose(st, DIAGNOSE_MCSE_QUANTILE, .5, x, CHAINS, LENGTH, &out));
  CHECK_NEAR(out * sqrt(ROWS / acos(0)), 1, .2);       /* a spacing of draws: rough */
  CHECK(diagnose(st, DIAGNOSE_ESS_TAIL, 0, x, CHAINS, LENGTH, &out));
  CHECK_NEAR(out / ROWS, 1, .1);
  free(x);
}

static void test_edges(norn_state *st)
{
  double x[20], out;
  for (int k = DIAGNOSE_ESS_BULK; k <= DIAGNOSE_MCSE_QUANTILE; k++) {
    for (int i = 0; i < 20; i++) x[i] = 3;
    CHECK(diagnose(st, (diagnose_what)k, .5, x, 2, 10, &out));
    CHECK(isnan(out));
    for (int i = 0; i < 20; i++) x[i] = i % 3;
    CHECK(diagnose(st, (diagnose_what)k, .5, x, 2, 3, &out));      /* halves of one draw */
    CHECK(isnan(out));
  }
  /* of booleans only one tail varies */
  for (int i = 0; i < 20; i++) x[i] = i * 7 % 5 < 2;
  CHECK(diagnose(st, DIAGNOSE_ESS_TAIL, 0, x, 2, 10, &out));
  CHECK(out > 0);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  CHECK(st);
  if (!st) return unit_end();
  test_golden(st);
  test_normal(st);
  test_edges(st);
  norn_free(st);
  return unit_end();
}
