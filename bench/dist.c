/* bench/dist: nanoseconds of a log density and of one with its derivatives, for many elements of
   each family at once, beside a scalar loop over the C library (limits/densities.c). */
#include "bench.h"
#include <stdio.h>
#include <string.h>

enum { N = 2048 };

/* NAME(parameters) as the session makes it. */
static bool dist_make(norn_state *st, const limit_density *l, norn_dist *d)
{
  char text[200];
  norn_datum out;
  size_t at = (size_t)snprintf(text, sizeof text, "%s(", l->name);
  for (int i = 0; i < 3; i++)
    if (l->p[i] != 0)
      at += (size_t)snprintf(text + at, sizeof text - at, i ? ", %g" : "%g", l->p[i]);
  snprintf(text + at, sizeof text - at, ")");
  if (norn_eval(st, "bench", text, strlen(text), 0, &out)) { norn_clear(st); return false; }
  return norn_dist_view(out, d) && d->row->block && d->row->sample1;
}

/* ns an element of f over N elements, best of several */
static double per_element(void (*f)(void *), void *of)
{
  double best = INFINITY;
  for (int i = 0; i < 7; i++) {
    double t = bench_cpu();
    for (int k = 0; k < 40; k++) f(of);
    best = least(best, (bench_cpu() - t) / (40.0 * N) * 1e9);
  }
  return best;
}

typedef struct {
  const limit_density *l;
  const norn_dist_row *row;
  norn_block b;
  double x[N], logp[N], d[4][N];
} job;
static void run_block(void *of) { job *j = of; j->row->block(&j->b); }
static void run_limit(void *of) { job *j = of; limit_density_run(j->l, j->x, j->logp, N, j->l->p); }
static void run_scalar(void *of)
{
  job *j = of;
  for (int i = 0; i < N; i++) j->logp[i] = j->row->logp1(j->x[i], j->l->p);
}

void bench_dist(void)
{
  static job j;
  char what[80];
  norn_state *st = bench_state();
  for (int i = 0; (j.l = limit_density_at(i)); i++) {
    norn_dist d;
    if (!dist_make(st, j.l, &d)) continue;
    norn_rng g = {.stream = 3};
    j.row = d.row;
    for (int k = 0; k < N; k++) j.x[k] = d.row->sample1(j.l->p, &g);
    j.b = (norn_block){N, 1, NORN_KEEP_ALL, {j.x, j.l->p, j.l->p + 1, j.l->p + 2}, j.logp, {0}};
    double limit = per_element(run_limit, &j), scalar = per_element(run_scalar, &j);
    double block = per_element(run_block, &j);
    for (int k = 0; k <= d.n; k++) j.b.d[k] = j.d[k];
    double slopes = per_element(run_block, &j);
    snprintf(what, sizeof what, "dist: %s, a log density", j.l->name);
    bench_row(what, block, "ns", "libm", limit, "0.25 where exp or log dominates");
    snprintf(what, sizeof what, "dist: %s, one number", j.l->name);
    bench_row(what, scalar, "ns", "libm", limit, "");
    snprintf(what, sizeof what, "dist: %s, with derivatives", j.l->name);
    bench_row(what, slopes, "ns", "libm", limit, "");
  }
  norn_free(st);
}
