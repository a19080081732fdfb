/* chees.c: effective draws a second of whole inferences, with warm-up, on a radon-shaped hierarchy (919
   rows, 85 counties, 89 coordinates): 10,000 chains of chees on a GPU, and nuts on the CPU beside it.
   Compiling, whose result is kept on disk, is told apart.  Gradients a second of kernels alone are
   chains.c's. */
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

/* A whole inference, once more than is counted: the first may have to compile, and is short. */
static void inference(norn_state *st, const char *name, const char *engine, const char *most)
{
  static const char *const phases[] = {"record", "compile", "start", "warmup", "draws", "read", "diagnose"};
  char code[400], what[120];
  snprintf(code, sizeof code, "info(infer(radon(), chees(draws = 1, warmup = 1, %s))).phases.compile",
           engine);
  double first = number(st, code);
  double t = gpu_time_now();
  snprintf(code, sizeof code, "let post = infer(radon(), chees(%s, %s))\ninfo(post).ess", most, engine);
  double ess = number(st, code);
  t = gpu_time_now() - t;
  CHECK(ess > 0 || gpu_time_small());
  snprintf(what, sizeof what, "radon, chees of %s", name);
  gpu_test_figure(what, gpu_time_small() ? "" : "2e4", "%.3g effective draws/s", ess / t);
  printf("chees of %s: %.2f s, and %.2f s of compiling when it is first met; %.3g effective draws, %.3g "
         "gradients (%.3g/s of warm-up and draws)\n", name, t, first, ess,
         number(st, "info(post).leapfrogs"),
         number(st, "info(post).leapfrogs / (info(post).phases.warmup + info(post).phases.draws)"));
  double left = t;
  for (int i = 0; i < NORN_COUNT(phases); i++) {
    snprintf(code, sizeof code, "info(post).phases.%s", phases[i]);
    double s = number(st, code);
    left -= s;
    printf("  %s %.3f s\n", phases[i], s);
  }
  printf("  the rest %.3f s\n", left);
}

static void beside(norn_state *st)
{
  double t = gpu_time_now(), ess = number(st, "let post = infer(radon(), nuts(draws = 500, warmup = 500))\n"
                                              "info(post).ess");
  t = gpu_time_now() - t;
  gpu_test_figure("radon, nuts of 4 chains, CPU", "", "%.3g effective draws/s", ess / t);
  printf("nuts of 4 chains: %.2f s, %.3g gradients/s in all\n", t, number(st, "info(post).leapfrogs") / t);
}

int main(void)
{
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  norn_datum v;
  if (!g || !eval(st, radon, &v)) return 1;
  if (gpu_time_small()) {
    inference(st, "few chains", "chains = 16, device = \"gpu\"", "draws = 1, warmup = 2");
    return unit_end();
  }
  inference(st, "10,000 chains, GPU, f32", "chains = 10000, device = \"gpu\", precision = \"f32\"",
            "draws = 10, warmup = 300");
  inference(st, "10,000 chains, GPU, f64", "chains = 10000, device = \"gpu\"", "draws = 10, warmup = 300");
  beside(st);
  return unit_end();
}
