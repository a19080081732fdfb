/* bench/crew: particles that are runs of the VM, on two threads beside one, by the clock on the wall: only
   where nothing else runs does it say anything. */
#include "bench.h"
#include <time.h>

static double wall(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double filter(norn_state *st, int threads)
{
  norn_datum args[2] = {norn_int(1000), norn_int(10000)};
  double best = INFINITY, z;
  norn_config_of(st)->threads = threads;
  for (int k = 0; k < 5; k++) {
    double t = wall();
    bench_call(st, "run_scalar", args, 2, &z);
    best = least(best, wall() - t);
  }
  return 1e2 * best;                    /* ns of one of 10 million particle-steps */
}

void bench_crew(void)
{
  norn_state *st = bench_load("infer/lgss.norn");
  double one = filter(st, 1), two = filter(st, 2);
  bench_row("smc lgss, runs on 2 threads, a particle-step", two, "ns", "1 thread", one,
            "at most 0.56 of it");
  norn_free(st);
}
