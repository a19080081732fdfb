/* bench/smc: particles beside filters by hand, scalar (limits/filter.c) and by vectors
   (limits/filter_lanes.c), and what is around the runs: weights and resampling. */
#include "bench.h"
#include "infer/engine.h"
#include "num/weights.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 1000, N = 10000 };

/* ns of a particle-step of `model` in bench/infer/lgss.norn, best of several; *z: log evidence */
static double filter_norn(const char *model, int steps, int particles, int repeats, double *z)
{
  norn_state *st = bench_load("infer/lgss.norn");
  norn_datum args[2] = { norn_int(steps), norn_int(particles) };
  double best = INFINITY;
  norn_config_of(st)->threads = 1;
  for (int k = 0; k < repeats; k++) best = least(best, bench_call(st, model, args, 2, z));
  norn_free(st);
  return 1e9 * best / ((double)steps * particles);
}

/* The same by hand, at the best level of this CPU; 0: it has none. */
static double filter_lanes(int model, const double *y)
{
  double best = INFINITY;
#ifdef HAVE_X86_LEVELS
  for (int k = 0; k < 4; k++) {
    double t = bench_cpu();
    if (level_best() == LEVEL_BASE) return 0;
    (level_best() == LEVEL_AVX2 ? limit_filter_avx2 : limit_filter_avx512)(model, T, N, y, (uint64_t)k);
    best = least(best, bench_cpu() - t);
  }
  return 1e9 * best / ((double)T * N);
#else
  (void)model; (void)y; (void)best;
  return 0;
#endif
}

/* ---- what is around the runs ---- */

typedef struct around {
  double logw[N], w[N], work[N];
  uint32_t below[N], to[N + WEIGHTS_ROOM], from[N + WEIGHTS_ROOM];
} around;

static double sum_of;
static void do_weights(around *a) { sum_of = weights_exp(a->logw, a->w, N).sum; }
static void do_resample(around *a)
{
  norn_rng g = { .stream = 1 };
  resample_below(RESAMPLE_SYSTEMATIC, a->w, sum_of, a->below, N, &g, a->work);
  sum_of += 1e-300 * (double)weights_copies(a->below, N, a->to, a->from);
}
static void do_stratified(around *a)
{
  norn_rng g = { .stream = 1 };
  resample_below(RESAMPLE_STRATIFIED, a->w, sum_of, a->below, N, &g, a->work);
  sum_of += 1e-300 * (double)weights_copies(a->below, N, a->to, a->from);
}
static void hand_weights(around *a) { sum_of = limit_weights(a->logw, a->w, N); }
static void hand_resample(around *a) { limit_resample(a->w, sum_of, 0.3, a->to, N); }

static double per_particle(void (*f)(around *), around *a)
{
  double best = INFINITY;
  for (int k = 0; k < 20; k++) {
    double t = bench_cpu();
    for (int i = 0; i < 50; i++) f(a);
    best = least(best, bench_cpu() - t);
  }
  return 1e9 * best / (50.0 * N);
}

static void rows_around(void)
{
  around *a = calloc(1, sizeof *a);
  norn_rng g = { .stream = 1 };
  if (!a) return;
  for (int i = 0; i < N; i++) {                  /* as in lgss: an effective sample size of 0.7 N */
    double z = norn_rng_normal(&g);
    a->logw[i] = -0.6 * z * z;
  }
  double w = per_particle(do_weights, a), w_hand = per_particle(hand_weights, a);
  double r = per_particle(do_resample, a), r_hand = per_particle(hand_resample, a);
  bench_row("smc: weights, a particle", w, "ns", "C", w_hand, "");
  bench_row("smc: resample, systematic, a particle", r, "ns", "C", r_hand, "");
  bench_row("smc: resample, stratified, a particle", per_particle(do_stratified, a), "ns", "", 0, "");
  bench_row("smc: weights and resample, a particle", w + r, "ns", "C", w_hand + r_hand, "at most 3 ns");
  free(a);
}

/* ---- history kept ---- */

/* ns of a particle-step to the last barrier, on one thread, and the most memory on the way (of the state, in MB). */
static double history(const char *model, const char *engine, double *most)
{
  norn_state *st = bench_load("infer/lgss.norn");
  norn_config_of(st)->threads = 1;
  norn_datum steps = norn_int(T), n = norn_int(N), m, e;
  if (norn_call(st, norn_global(st, model), &steps, 1, &m)) bench_die(st, model);
  norn_ref *keep = norn_keep(st, m);
  if (norn_call(st, norn_global(st, engine), &n, 1, &e)) bench_die(st, engine);
  norn_infer *inf = norn_infer_new(st, norn_get(keep), e);
  if (!inf) bench_die(st, model);
  norn_step s = NORN_STEP_MORE;
  *most = 0;
  double t = bench_cpu();
  while (s == NORN_STEP_MORE) {
    s = norn_infer_step(inf);                    /* the last one gives 80 MB of values back */
    if (s == NORN_STEP_MORE) *most = fmax(*most, (double)norn_memory_used(st) / 1e6);
  }
  t = bench_cpu() - t;
  if (s == NORN_STEP_FAIL) bench_die(st, model);
  norn_infer_free(inf);
  norn_drop(keep);
  norn_free(st);
  return 1e9 * t / ((double)T * N);
}

static void row_history(const char *what, const char *model, const char *engine, const char *without)
{
  char name[80];
  double t = INFINITY, none = INFINITY, most, least_most;
  for (int k = 0; k < 2; k++) {
    none = least(none, history("walk_of", without, &least_most));
    t = least(t, history(model, engine, &most));
  }
  snprintf(name, sizeof name, "smc: %s, a particle-step more", what);
  bench_row(name, t - none, "ns", "without", none, "at most 40 ns");
  snprintf(name, sizeof name, "smc: %s, most memory", what);
  bench_row(name, most, "MB", "without", least_most, "at most 30 MB");
}

/* Constant-rate birth and death on a tree of 54 species (tests/data/crbd.norn). */
static void row_crbd(void)
{
  norn_state *st = bench_load("infer/crbd.norn");
  norn_datum n = norn_int(N);
  double t = INFINITY, z;
  for (int k = 0; k < 3; k++) t = least(t, bench_call(st, "run", &n, 1, &z));
  bench_row("smc: birth and death, 54 tips, N=10000", t, "s", "", 0, "at most 0.6 s");
  norn_free(st);
}

/* One particle whose states are never drawn (delayed sampling) beside a Kalman filter; and a trend, whose
   level and slope are two variables. */
static void row_delayed(void)
{
  enum { LONG = 20000 };
  double *y = malloc(LONG * sizeof *y), z, c = INFINITY;
  if (!y) return;
  for (int t = 0; t < LONG; t++) y[t] = 3 * sin(t / 5.0);
  for (int k = 0; k < 5; k++) {
    double t = bench_cpu();
    z = limit_kalman(LONG, y);
    c = least(c, bench_cpu() - t + 1e-300 * z);
  }
  free(y);
  double n = filter_norn("run_delayed", LONG, 1, 5, &z);
  bench_row("smc: lgss delayed, a step", n, "ns", "C Kalman", 1e9 * c / LONG, "");
  bench_row("smc: trend delayed, a step", filter_norn("run_trend", LONG, 1, 3, &z), "ns", "", 0, "");
}

void bench_smc(void)
{
  static const struct { const char *name, *f, *goal, *generated, *goal_generated; } models[] = {
    [LIMIT_LGSS] = { "lgss", "run", "lanes: at most 11 ns", "run_generated", "at most 9 ns" },
    [LIMIT_SV] = { "volatility", "run_volatility", "lanes: at most 13 ns", "run_volatility_generated",
                   "at most 10 ns" },
    [LIMIT_JUMP] = { "jumps", "run_jumps", "lanes: at most 24 ns", "run_jumps_generated", "at most 24 ns" }
  };
  double y[T], z, c = INFINITY;
  for (int t = 0; t < T; t++) y[t] = 3 * sin(t / 5.0);
  for (int k = 0; k < 3; k++) {
    double t = bench_cpu();
    limit_filter(T, N, y, (uint64_t)k);
    c = least(c, bench_cpu() - t);
  }
  c = 1e9 * c / (T * (double)N);
  double n = filter_norn("run", T, N, 3, &z);
  bench_row("smc lgss T=1000 N=10000, a particle-step", n, "ns", "C", c, "at most 100 ns, C at 18");
  printf("%-44s log evidence %.3f, Kalman %.3f\n", "", z, limit_kalman(T, y));
  for (int m = 0; m < 3; m++) {
    char what[80];
    if (m) n = filter_norn(models[m].f, T, N, 3, &z);
    snprintf(what, sizeof what, "smc %s, a particle-step", models[m].name);
    double hand = filter_lanes(m, y);
    bench_row(what, n, "ns", "C lanes", hand, models[m].goal);
    snprintf(what, sizeof what, "smc %s generated, a particle-step", models[m].name);
    n = filter_norn(models[m].generated, T, N, 4, &z);
    bench_row(what, n, "ns", "C lanes", hand, models[m].goal_generated);
  }
  bench_row("smc sides, a particle-step", filter_norn("run_sides", T, N, 3, &z), "ns", "", 0, "");
  bench_row("smc sides generated, a particle-step", filter_norn("run_sides_generated", T, N, 4, &z), "ns", "", 0, "");
  double small = filter_norn("run", T, 1000, 5, &z), large = filter_norn("run", 100, 100000, 2, &z);
  bench_row("smc lgss N=100000 beside N=1000", large, "ns", "N=1000", small, "at most 1.2");
  small = filter_norn("run_generated", T, 1000, 5, &z);
  large = filter_norn("run_generated", 100, 100000, 2, &z);
  bench_row("smc lgss generated N=100000 beside N=1000", large, "ns", "N=1000", small, "at most 1.2");
  rows_around();
  row_history("states kept", "path_of", "engine_auto", "engine_auto");
  row_history("states kept, scalar", "path_of", "engine_value", "engine_value");
  row_history("choices kept", "walk_of", "engine_choices", "engine_value");
  row_crbd();
  row_delayed();
}
