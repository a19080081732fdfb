/* chees.c: many chains on the radon shape (919 rows, 85 counties, 89 coordinates): gradients a second of
   transitions alone, and effective draws a second of a whole inference, beside nuts on the CPU. */
#include "gpu_time.h"
#include "infer/chees.h"
#include "gpu/chains.h"

static const char data[] =
  "let J = 85\nlet county = for i in 0..919 { i * J // 919 }\n"
  "let basement = for i in 0..919 { real(i % 2) }\n"
  "let y = for i in 0..919 { 0.5 * sin(12.9898 * i) + 0.3 * sin(2.9 * county[i]) }\n"
  "model radon() { let mu ~ normal(0, 10)\nlet tau ~ half_normal(1)\nlet s ~ half_normal(1)\n"
  "let b ~ normal(0, 10)\nlet a = for j in 0..J { let z ~ normal(0, 1)\n mu + tau * z }\n"
  "for i in 0..919 { observe y[i] ~ normal(a[county[i]] + b * basement[i], s) }\n[mu, tau, s, b] }\n";

static bool eval(norn_state *st, const char *code, norn_datum *v)
{
  if (norn_eval(st, "bench", code, strlen(code), NORN_LOAD_REPL, v) == NORN_OK) return true;
  CHECK(!"the program runs");
  fprintf(stderr, "%s\n", norn_error(st)->text);
  return false;
}

static double number(norn_state *st, const char *code)
{
  norn_datum v;
  double x = NAN;
  if (eval(st, code, &v)) norn_as_real(v, &x);
  return x;
}

/* Starts near the mode, so that nothing diverges. */
static void spread(double *q, int64_t chains, int64_t n)
{
  for (int64_t i = 0; i < chains * n; i++) {
    uint32_t h = (uint32_t)i * 2654435769u;
    h = (h ^ h >> 15) * 2246822519u;
    q[i] = 0.2 * ((double)(h >> 8) / (1 << 24) - 0.5) - (i % n == 1 || i % n == 2);
  }
}

static void transitions(norn_state *st, gpu *g, int64_t chains, bool f32, const char *goal)
{
  norn_datum model;
  chains_run run = {0};
  if (!eval(st, "radon()", &model)) return;
  norn_density *d = norn_density_new(st, model, 1, 0);
  int64_t n = d ? norn_density_dim(d) : 0, times = gpu_time_small() ? 1 : 20;
  gpu_chains_wish w = {.f32 = f32};
  double *q = calloc((size_t)(chains * n), sizeof *q);
  bool *good = calloc((size_t)chains, sizeof *good);
  chains_told told = {0};
  CHECK(d && q && good && gpu_chains_new(g, d->tape[0].p, chains, 1, &w, &run) == NORN_OK);
  if (run.ops) {
    spread(q, chains, n);
    CHECK(run.ops->put(run.self, q, good) == NORN_OK);
    chains_ask ask = {.steps = 16, .step = 0.02, .least = 0.05};
    CHECK(run.ops->transition(run.self, &ask, &told) == NORN_OK);
    double t = gpu_time_now();
    for (int64_t i = 0; i < times; i++) {
      ask.iter = (uint32_t)i + 1;
      CHECK(run.ops->transition(run.self, &ask, &told) == NORN_OK);
    }
    t = gpu_time_now() - t;
    CHECK(told.accept > 0.5);
    char what[120];
    snprintf(what, sizeof what, "chees, radon, %lld chains, %s", (long long)chains, f32 ? "f32" : "f64");
    gpu_test_figure(what, goal, "%.3g gradients/s", (double)(chains * 16 * times) / t);
    run.ops->free(run.self);
  } else {
    fprintf(stderr, "%s\n", norn_error(st)->text);
  }
  norn_density_free(d);
  free(q);
  free(good);
}

/* The least effective sample size a second, of a whole inference with its warm-up. */
static void inference(norn_state *st, const char *name, const char *engine)
{
  char code[300], what[120];
  double t = gpu_time_now();
  snprintf(code, sizeof code, "info(infer(radon(), %s)).ess", engine);
  double ess = number(st, code);
  t = gpu_time_now() - t;
  CHECK(ess > 0);
  snprintf(what, sizeof what, "radon, %s, with warm-up", name);
  gpu_test_figure(what, "", "%.3g effective draws/s", ess / t);
}

int main(void)
{
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  norn_datum v;
  bool small = gpu_time_small();
  if (!g || !eval(st, data, &v)) return 1;
  transitions(st, g, small ? 24 : 10000, true, "3e8");
  transitions(st, g, small ? 24 : 10000, false, "");
  if (!small) {
    transitions(st, g, 100000, true, "");
    inference(st, "chees of 10,000 chains, GPU, f32",
              "chees(draws = 10, chains = 10000, device = \"gpu\", precision = \"f32\")");
    inference(st, "nuts of 4 chains, CPU", "nuts(draws = 500, warmup = 500)");
  }
  return unit_end();
}
