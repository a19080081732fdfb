/* bench/posteriordb: the public posteriors of examples/posteriordb, written by loops and with whole
   arrays: microseconds of a log density with its gradient, their ratio, and what a program takes
   from its text to the first gradient.  Timed are two points in turn, near where the posterior has its
   mass: a differential equation is not solved again for a point that it was just solved for, and at 0
   that of lotka_volterra stands still. */
#include "bench.h"
#include "../tests/unit/pair.h"
#include <math.h>
#include <unistd.h>

typedef struct timed { double us, first_ms; } timed;

/* The best of draws from the prior, then uphill by steps of a size of its own for each coordinate (Adam
   without momentum).  u, g, square (n). */
static void climb(norn_density *d, double *u, double *g, double *square, int64_t n)
{
  double logp, best = -INFINITY;
  norn_rng r = {.stream = 1};
  for (r.lane = 0; r.lane < 200; r.lane++) {
    if (norn_density_prior(d, &r, g) || norn_density_eval(d, g, &logp, square) || !(logp > best)) continue;
    best = logp;
    memcpy(u, g, (size_t)n * sizeof *u);
  }
  memset(square, 0, (size_t)n * sizeof *square);
  for (int k = 1; k <= 500 && !norn_density_eval(d, u, &logp, g); k++)
    for (int64_t i = 0; i < n; i++) {
      square[i] = 0.9 * square[i] + 0.1 * g[i] * g[i];
      if (square[i] > 0) u[i] += 0.02 * g[i] / sqrt(square[i]);
    }
}

static timed gradient(const char *file, const char *more)
{
  double logp, best = INFINITY, start = bench_cpu();
  norn_state *st = bench_state();
  norn_datum m = pair_model(st, file, more);
  norn_density *d = norn_is_none(m) ? NULL : norn_density_new(st, m, 1, 0);
  if (!d) bench_die(st, file);
  int64_t n = norn_density_dim(d);
  double *u = calloc((size_t)(3 * n), sizeof *u);
  norn_density_eval(d, u, &logp, u + n);
  timed t = {.first_ms = 1e3 * (bench_cpu() - start)};
  climb(d, u, u + n, u + 2 * n, n);
  for (int k = 0; k < 8; k++) {
    int rounds = 0;
    start = bench_cpu();
    while (bench_cpu() - start < 0.02) {
      for (int i = 0; i < 10; i++) {
        u[0] += i % 2 ? -1e-6 : 1e-6;
        norn_density_eval(d, u, &logp, u + n);
      }
      rounds += 10;
    }
    best = least(best, (bench_cpu() - start) / rounds);
  }
  t.us = 1e6 * best;
  free(u);
  norn_density_free(d);
  norn_free(st);
  return t;
}

static void one(const char *file)
{
  char what[120];
  int n = (int)strlen(file) - 5;
  timed loops = gradient(file, ""), vectors = gradient(file, "_vectors");
  snprintf(what, sizeof what, "posteriordb: %.*s", n, file);
  bench_row(what, loops.us, "us", "whole arrays", vectors.us, "1.3 times");
  snprintf(what, sizeof what, "posteriordb: %.*s, text to first gradient", n, file);
  bench_row(what, loops.first_ms, "ms", "whole arrays", vectors.first_ms, "50 ms");
}

void bench_posteriordb(void)
{
  char folder[600], here[600];
  struct dirent **list;
  if (!getcwd(here, sizeof here)) return;
  snprintf(folder, sizeof folder, "%s/../examples/posteriordb", bench_folder);
  int n = chdir(folder) ? -1 : scandir(".", &list, pair_file, alphasort);
  for (int i = 0; i < n; i++) {
    one(list[i]->d_name);
    free(list[i]);
  }
  if (n >= 0) free(list);
  if (n < 0 || chdir(here)) fprintf(stderr, "bench: can't read %s\n", folder);
}
