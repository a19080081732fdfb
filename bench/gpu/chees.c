/* chees.c: effective draws a second of whole inferences, with compiling and warm-up, on a radon-shaped hierarchy
   (919 rows, 85 counties, 89 coordinates): 10,000 chains of chees on a GPU, and nuts on the CPU beside it.
   Gradients a second are chains.c's. */
#include "gpu_time.h"

static const char radon[] =
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

static void inference(norn_state *st, const char *name, const char *engine)
{
  char code[300], what[120];
  double t = gpu_time_now();
  snprintf(code, sizeof code, "let post = infer(radon(), %s)\ninfo(post).ess", engine);
  double ess = number(st, code);
  t = gpu_time_now() - t;
  CHECK(ess > 0 || gpu_time_small());
  snprintf(what, sizeof what, "radon, %s", name);
  gpu_test_figure(what, "", "%.3g effective draws/s", ess / t);
  printf("%s: %.2f s, %g gradients/s in all\n", name, t, number(st, "info(post).leapfrogs") / t);
}

int main(void)
{
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  norn_datum v;
  if (!g || !eval(st, radon, &v)) return 1;
  if (gpu_time_small()) {
    inference(st, "chees of few chains", "chees(draws = 1, warmup = 2, chains = 16, device = \"gpu\")");
    return unit_end();
  }
  inference(st, "chees of 10,000 chains, GPU, f32",
            "chees(draws = 10, chains = 10000, device = \"gpu\", precision = \"f32\")");
  inference(st, "chees of 10,000 chains, GPU, f64", "chees(draws = 10, chains = 10000, device = \"gpu\")");
  inference(st, "nuts of 4 chains, CPU", "nuts(draws = 500, warmup = 500)");
  return unit_end();
}
