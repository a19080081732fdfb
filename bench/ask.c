/* bench/ask: nets asked, and programs simulated for them, on two threads beside one: by the clock on the wall, which
   only says anything where nothing else runs. */
#include "bench.h"
#include "infer/net/net_in.h"
#include <string.h>
#include <time.h>

static double wall(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The least seconds of a call of f. */
static double call(norn_state *st, int threads, const char *f, const norn_datum *args, int n)
{
  double best = INFINITY, x;
  norn_config_of(st)->threads = threads;
  for (int k = 0; k < 5; k++) {
    double t = wall();
    bench_call(st, f, args, n, &x);
    best = least(best, wall() - t);
  }
  return best;
}

/* Runs of a Gaussian process one after the other, which is as slow as programs are. */
static const char gp[] =
  "model gp(x, y) { let n = len(x); let z ~ iid(normal(0, 1), n)\n"
  "let f = cholesky(cov_matrix(rbf(1, 0.2), x) + 1e-8 * identity_matrix(n)) @ z\n"
  "for i in 0..n { observe y[i] ~ normal(f[i], 0.1) } }\n"
  "fn gps() = gp([sample(uniform(0, 1)) for i in 0..32], repeat(0.0, 32))\ngps\n";

static void runs(void)
{
  enum { RUNS = 1024 };
  norn_state *st = bench_state();
  norn_datum what;
  net_spec spec = { .kind = NET_NPE, .bars = 50, .head = "auto" };
  net_schema h = { 0 };
  net_runs r = { 0 };
  double seconds[3] = { 0, INFINITY, INFINITY };
  if (norn_eval(st, "bench", gp, strlen(gp), 0, &what)) bench_die(st, "gp");
  net_source *s = net_source_new(st, what, norn_missing(), 1);
  if (!s || !net_schema_learn(st, &h, s, &spec, 100)) bench_die(st, "gp");
  for (int turn = 0; turn < 5; turn++)
    for (int threads = 1; threads <= 2; threads++) {
      norn_config_of(st)->threads = threads;
      s->each = 1;                     /* worth threads */
      double t = wall();
      if (!net_runs_threads(s, &h, 0, RUNS, &r)) bench_die(st, "gp");
      seconds[threads] = least(seconds[threads], wall() - t);
    }
  bench_row("net GP of 32 points, a run of the scalar VM on 2 threads", 1e6 * seconds[2] / RUNS, "us", "1 thread",
            1e6 * seconds[1] / RUNS, "at most 0.6 of it");
  net_runs_free(st, &r);
  net_schema_free(st, &h);
  net_source_free(s);
  norn_free(st);
}

void bench_nn_ask(void)
{
  enum { DRAWS = 100000, SETS = 64 };
  norn_state *st = bench_load("infer/ask.norn");
  norn_datum n = norn_int(DRAWS);
  runs();
  double one = call(st, 1, "draws", &n, 1), two = call(st, 2, "draws", &n, 1);
  bench_row("net coin, npe, a weighted draw on 2 threads", 1e6 * two / DRAWS, "us", "1 thread", 1e6 * one / DRAWS,
            "at most 0.6 of it");
  double alone = call(st, 1, "alone", NULL, 0), together = call(st, 1, "together", NULL, 0);
  bench_row("net line, pfn, 32 answers from 32 points, a data set of 64", 1e3 * together / SETS, "ms", "alone",
            1e3 * alone / SETS, "less");
  two = call(st, 2, "together", NULL, 0);
  bench_row("net line, pfn, the same on 2 threads", 1e3 * two / SETS, "ms", "1 thread", 1e3 * together / SETS,
            "at most 0.6 of it");
  norn_free(st);
}
