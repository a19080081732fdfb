/* chains.c: gradients a second of 10,000 chains of a radon-shaped hierarchy (919 houses, 85 counties of uneven
   sizes, 89 parameters) in whole transitions of 32 steps: by threads to a chain, in doubles and floats, with and
   without contraction; and what part of the device's arithmetic that is, by the operations that the text has. */
#include "gpu_time.h"
#include "gpu/chains.h"
#include "graph/program.h"
#include "infer/gradient/density.h"

static const char radon[] =
  "model m() { let mu ~ normal(0, 10)\nlet tau ~ half_normal(1)\nlet s ~ half_normal(1)\n"
  "let b ~ normal(0, 10)\nlet al = for j in 0..85 { let z ~ normal(0, 1)\n mu + tau * z }\n"
  "for i in 0..919 { observe y[i] ~ normal(al[county[i]] + b * floor_[i], s) } }\nm()";
enum { ROWS = 919, COUNTIES = 85 };

static void data(norn_state *st)
{
  void *to;
  int64_t n = ROWS;
  norn_rng g = {.stream = 2};
  double *y = (norn_set_global(st, "y", norn_array(st, NORN_F64, 1, &n, &to)), to);
  int64_t *county = (norn_set_global(st, "county", norn_array(st, NORN_I64, 1, &n, &to)), to);
  int64_t *floor_ = (norn_set_global(st, "floor_", norn_array(st, NORN_I64, 1, &n, &to)), to);
  for (int64_t i = 0; i < n; i++) {
    county[i] = (int64_t)(COUNTIES * pow(norn_rng_uniform(&g), 1.5));
    floor_[i] = norn_rng_uniform(&g) < 0.17;
    y[i] = 1.4 - 0.6 * (double)floor_[i] + 0.85 * norn_rng_normal(&g);
  }
}

typedef struct job { chains_run run; chains_ask ask; } job;

static norn_status transition(void *p)
{
  job *j = p;
  chains_told told;
  j->ask.iter++;
  return j->run.ops->transition(j->run.self, &j->ask, &told);
}

/* Gradients a second; NaN: a failed check. */
static double speed(gpu *g, const program *p, int64_t chains, const gpu_chains_wish *w)
{
  norn_state *st = gpu_state(g);
  int64_t n = (int64_t)p->ninput;
  job j = {.ask = {.steps = gpu_time_small() ? 2 : 32, .step = 0.02, .least = 0.01}};
  double *q = calloc((size_t)(chains * n), sizeof *q), *scale = calloc((size_t)n, sizeof *scale), t = NAN;
  bool *good = calloc((size_t)chains, sizeof *good);
  norn_rng r = {.stream = 7};
  for (int64_t i = 0; i < chains * n; i++) q[i] = 0.1 * norn_rng_normal(&r);
  for (int64_t i = 0; i < n; i++) scale[i] = 0.5;
  norn_status s = gpu_chains_new(g, p, chains, 5, w, &j.run);
  if (!s) s = j.run.ops->metric(j.run.self, scale);
  if (!s) s = j.run.ops->put(j.run.self, q, good);
  CHECK(s == NORN_OK);
  if (s) fprintf(stderr, "%s\n", norn_error(st)->text);
  else t = gpu_time(g, transition, &j);
  if (j.run.ops) j.run.ops->free(j.run.self);
  norn_clear(st);
  free(q);
  free(scale);
  free(good);
  return (double)(chains * j.ask.steps) / t;
}

static void figure(gpu *g, const program *p, int64_t chains, int threads, bool f32, unsigned flags, bool chosen)
{
  char name[120];
  density_code c;
  const gpu_info *info = gpu_info_of(g);
  const gpu_chains_wish w = {.f32 = f32, .threads = threads, .flags = flags};
  double grads = speed(g, p, chains, &w), units = (double)info->sms * (f32 ? 128 : 64) * 1e3 * info->clock_khz;
  double share = density_code_new(p, threads, f32, &c) ? grads * c.operations / units : 0;
  density_code_free(&c);
  snprintf(name, sizeof name, "radon, %lld chains, %s%s, %d threads to a chain%s (%.0f %% of the units)",
           (long long)chains, f32 ? "f32" : "f64", flags & GPU_FMA ? " contracted" : "", threads,
           chosen ? ", as chosen" : "", 100 * share);
  gpu_test_figure(name, chosen ? "3e8" : "", "%.3g gradients/s", grads);
}

int main(void)
{
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  norn_datum model;
  double u[COUNTIES + 4] = {0}, logp;
  if (!g) return 1;
  data(st);
  if (norn_eval(st, "bench", radon, strlen(radon), NORN_LOAD_REPL, &model)) return 1;
  norn_density *d = norn_density_new(st, model, 1, 0);
  if (!d || norn_density_eval(d, u, &logp, NULL) || !d->last) return 1;
  const program *p = d->last->p;
  int64_t chains = gpu_time_small() ? 40 : 10000;
  for (int f32 = 0; f32 < 2; f32++) {
    int best = gpu_chains_threads(gpu_info_of(g), p, chains, f32);
    for (int T = 4; T <= (f32 ? 16 : 32); T *= 2)
      if (!gpu_time_small() || T == best) figure(g, p, chains, T, f32, GPU_FMA, T == best);
  }
  if (!gpu_time_small()) {
    figure(g, p, chains, 16, false, 0, false);
    figure(g, p, chains, 8, true, 0, false);
  }
  norn_density_free(d);
  norn_free(st);
  return unit_end();
}
