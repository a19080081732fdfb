/* bench/infer: events and engines beside hand-written C. */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- events ---- */

static double swallow(norn_state *st, const char *model, int n, bool answered)
{
  norn_datum arg = norn_int(n), m;
  if (norn_call(st, norn_global(st, model), &arg, 1, &m)) bench_die(st, model);
  norn_run *r = norn_run_new(st, m, NULL, 0);
  norn_event ev;
  if (!r) bench_die(st, model);
  double t = bench_cpu();
  while (norn_run_next(r, &ev) == NORN_SAMPLE) norn_run_answer(r, norn_real(0.5));
  t = bench_cpu() - t;
  if (ev.kind != NORN_DONE) bench_die(st, model);
  (void)answered;
  norn_run_free(r);
  return t;
}

void bench_events(void)
{
  norn_state *st = bench_load("infer/events.norn");
  int n = 2000000;
  double a = INFINITY, b = INFINITY;
  for (int k = 0; k < 5; k++) {
    a = least(a, swallow(st, "events", n, true));
    b = least(b, swallow(st, "nothing", n, false));
  }
  bench_row("events: suspend, answer, resume", 1e9 * (a - b) / n, "ns", "", 0, "at most 15 ns");
  norn_free(st);
}

/* ---- engines ---- */

/* Microseconds of a step: what `draws` more draws of 1,000 steps cost beside as many. */
static double mh_step(norn_state *st, const char *f, int n, int draws)
{
  double v, few = INFINITY, many = INFINITY;
  for (int k = 0; k < 3; k++) {
    norn_datum args[2] = {norn_int(n), norn_int(draws)};
    few = least(few, bench_call(st, f, args, 2, &v));
    args[1] = norn_int(2 * draws);
    many = least(many, bench_call(st, f, args, 2, &v));
  }
  return 1e3 * (many - few) / draws;
}

/* A step that few choices depend on grows as the logarithm of their number, one that all do as that. */
static void bench_mh_chain(void)
{
  static const int size[] = {100, 1000, 10000};
  norn_state *st = bench_load("infer/mh.norn");
  for (int i = 0; i < 3; i++) {
    char name[80];
    double *y = malloc((size_t)size[i] * sizeof *y), c = INFINITY;
    for (int t = 0; y && t < size[i]; t++) y[t] = t % 5;
    for (int k = 0; y && k < 3; k++) {
      double t = bench_cpu(), v = limit_mh_chain(200000, y, size[i], (uint64_t)k);
      c = least(c, 1e6 * (bench_cpu() - t) / 200000 + 0 * v);
    }
    free(y);
    snprintf(name, sizeof name, "mh chain of %d states, a step", size[i]);
    bench_row(name, mh_step(st, "run_chain", size[i], 200), "us", "C", c,
              i ? "as log T" : "at most 5 us: 200,000 a second");
  }
  for (int i = 0; i < 2; i++) {
    char name[80];
    snprintf(name, sizeof name, "mh mean shared by %d, a step", size[i]);
    bench_row(name, mh_step(st, "run_shared", size[i], i ? 10 : 50), "us", "", 0, "as T");
  }
  norn_free(st);
}

void bench_mh(void)
{
  int y[100], draws = 100000;
  double v, c = INFINITY, n = INFINITY;
  for (int i = 0; i < 100; i++) y[i] = i % 3 == 0;
  norn_state *st = bench_load("infer/mh.norn");
  norn_datum arg = norn_int(draws);
  for (int k = 0; k < 3; k++) {
    double t = bench_cpu();
    v = limit_mh(draws, y, 100, (uint64_t)k);
    c = least(c, bench_cpu() - t);
    n = least(n, bench_call(st, "run", &arg, 1, &v));
  }
  bench_row("mh beta-bernoulli, 100 observations, a step", 1e6 * n / draws, "us", "C",
            1e6 * c / draws,
      "at most 5 us");
  norn_free(st);
  bench_mh_chain();
}

/* us of a sweep: many sweeps less few. */
static double gibbs_sweep(norn_state *st, const char *f, int n, int sweeps)
{
  double few = INFINITY, many = INFINITY, v;
  norn_datum args[2] = { norn_int(n), norn_int(5) };
  for (int k = 0; k < 3; k++) few = least(few, bench_call(st, f, args, 2, &v));
  args[1] = norn_int(5 + sweeps);
  for (int k = 0; k < 3; k++) many = least(many, bench_call(st, f, args, 2, &v));
  return 1e6 * (many - few) / sweeps;
}

void bench_gibbs(void)
{
  static const int size[] = { 100, 1000, 10000 };
  norn_state *st = bench_load("infer/gibbs.norn");
  for (int i = 0; i < 6; i++) {
    char name[80];
    int n = size[i / 2], means = i % 2, sweeps = 200000 / n;
    double *y = malloc((size_t)n * sizeof *y), c = INFINITY;
    for (int t = 0; y && t < n; t++) y[t] = t % 7 - 3;
    for (int k = 0; y && k < 3; k++) {
      double t = bench_cpu(), v = limit_gibbs(sweeps, y, n, means, (uint64_t)k);
      c = least(c, 1e6 * (bench_cpu() - t) / sweeps + 0 * v);
    }
    free(y);
    snprintf(name, sizeof name, "gibbs, mixture of %d rows%s, a sweep", n, means ? ", means by nuts" : "");
    bench_row(name, gibbs_sweep(st, means ? "run_both" : "run_labels", n, n > 1000 ? 10 : 50000 / n), "us", "C", c,
              "as rows");
  }
  norn_free(st);
}

/* Least seconds of f(p) of some p: another each time, since results are remembered. */
static double enumerated(norn_state *st, const char *f, double p)
{
  double least_ = INFINITY, v;
  for (int k = 0; k < 7; k++) {
    norn_datum x = norn_real(p + 0.01 * k);
    least_ = least(least_, bench_call(st, f, &x, 1, &v));
  }
  return least_;
}

void bench_enumerate(void)
{
  double c = INFINITY, v = 0;
  norn_state *st = bench_load("infer/enumerate.norn");
  for (int k = 0; k < 7; k++) {
    double t = bench_cpu();
    v += (double)limit_enumerate(14, 0.4);
    c = least(c, bench_cpu() - t);
  }
  bench_row("enumerate 2^14 leaves", 1e3 * enumerated(st, "run", 0.4), "ms", "C", 1e3 * c + 0 * v, "at most 10 ms");
  bench_row("enumerate 3 states, 1000 steps", 1e3 * enumerated(st, "run_hidden", 0.1), "ms", "", 0, "at most 20 ms");
  norn_free(st);
}
