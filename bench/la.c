/* bench/la: microseconds of a matrix product and of a Cholesky factor in a program, beside plain
   loops in C (limits/matrix.c). */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>

/* us a call of f(size, times) */
static double in_norn(norn_state *st, const char *f, int size, int times)
{
  double best = INFINITY, value;
  norn_datum args[2] = { norn_int(size), norn_int(times) };
  for (int k = 0; k < 5; k++) best = least(best, bench_call(st, f, args, 2, &value));
  return best / times * 1e6;
}

static double in_c(void (*f)(const double *, double *, int), int size, int times)
{
  double best = INFINITY, *a = malloc(2 * sizeof *a * (size_t)size * (size_t)size);
  if (!a) exit(1);
  for (int i = 0; i < size; i++)
    for (int j = 0; j < size; j++) a[i * size + j] = i == j ? 2.0 * size : sin(i + j);
  for (int k = 0; k < 3; k++) {
    double t = bench_cpu();
    for (int i = 0; i < times; i++) f(a, a + size * size, size);
    best = least(best, bench_cpu() - t);
  }
  free(a);
  return best / times * 1e6;
}

void bench_la(void)
{
  static const struct { int size, times; } all[] = { { 10, 20000 }, { 100, 200 }, { 500, 4 } };
  norn_state *st = bench_load("la/la.norn");
  char what[80];
  for (int i = 0; i < 3; i++) {
    int n = all[i].size, times = all[i].times;
    double product = in_norn(st, "product", n, times), factor = in_norn(st, "factor", n, times);
    snprintf(what, sizeof what, "la: product at n = %d, %.3g GFLOP/s", n,
             2e-3 * n * n * n / product);
    bench_row(what, product, "us", "loops", in_c(limit_product, n, times), "");
    snprintf(what, sizeof what, "la: cholesky at n = %d, %.3g GFLOP/s", n,
             1e-3 / 3 * n * n * n / factor);
    bench_row(what, factor, "us", "loops", in_c(limit_cholesky, n, times), "");
  }
  norn_free(st);
}
