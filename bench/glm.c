/* bench/glm: a logistic regression of 10,000 outcomes on 20 columns: microseconds of the log
   density with its derivatives in alpha and beta, beside a loop over the C library
   (limits/logistic.c). */
#include "bench.h"
#include "dist/dist.h"
#include <string.h>

enum { ROWS = 10000, COLUMNS = 20, TURNS = 20 };

static norn_datum made_data(norn_state *st, double **x, double *beta, norn_datum *y)
{
  int64_t dims[2] = {ROWS, COLUMNS}, n = ROWS;
  void *data, *truth;
  norn_rng g = {.stream = 4};
  norn_datum X = norn_array(st, NORN_F64, 2, dims, &data);
  if (norn_is_none(X)) bench_die(st, "glm");
  *x = data;
  *y = norn_array(st, NORN_B8, 1, &n, &truth);
  if (norn_is_none(*y)) bench_die(st, "glm");
  for (int j = 0; j < COLUMNS; j++) beta[j] = 0.05 * (j - 10);
  for (int i = 0; i < ROWS; i++) {
    double eta = 0;
    for (int j = 0; j < COLUMNS; j++)
      eta += ((*x)[i * COLUMNS + j] = norn_rng_normal(&g)) * beta[j];
    ((uint8_t *)truth)[i] = norn_rng_uniform(&g) < 1 / (1 + exp(-eta));
  }
  return X;
}

void bench_glm(void)
{
  norn_state *st = bench_state();
  double *x, beta[COLUMNS], grad[1 + COLUMNS], y[ROWS], logp, limit_logp = 0;
  norn_datum outcome, args[3];
  args[0] = made_data(st, &x, beta, &outcome);
  args[1] = norn_real(0.1);
  args[2] = norn_array_f64(st, beta, COLUMNS);
  for (int i = 0; i < ROWS; i++) y[i] = norn_elem_real(outcome, i);
  norn_dist d = {dist_find("bernoulli_logit_glm"), args, 3};
  double *const to[4] = {NULL, grad, grad + 1, NULL};
  double best = INFINITY, limit = INFINITY;
  for (int turn = 0; turn < 15; turn++) {
    double t = bench_cpu();
    for (int k = 0; k < TURNS; k++)
      if (dist_glm(st, &d, outcome, 1, &logp, NULL, to)) bench_die(st, "glm");
    best = least(best, (bench_cpu() - t) / TURNS);
    t = bench_cpu();
    for (int k = 0; k < 2; k++) limit_logp = limit_logistic(x, y, ROWS, COLUMNS, 0.1, beta, grad);
    limit = least(limit, (bench_cpu() - t) / 2);
  }
  if (!(fabs(logp - limit_logp) < 1e-9 * fabs(logp))) bench_die(st, "glm: another log density");
  bench_row("glm: logistic, 10,000 by 20, with derivatives", best * 1e6, "us", "libm", limit * 1e6,
            "70 us");
  norn_free(st);
}
