/* check_chees: chees and hmc(shared = true) on a GPU: transitions beside those of the CPU, chain by chain;
   what an inference says; and the errors. */
#include "gpu_test.h"
#include "gpu/chains.h"
#include "infer/gradient/chees.h"

static norn_state *st;

static norn_status eval(const char *code, norn_datum *v)
{
  return norn_eval(st, "t", code, strlen(code), NORN_LOAD_REPL, v);
}

static double number(const char *code)
{
  norn_datum v;
  double x = NAN;
  if (eval(code, &v)) fprintf(stderr, "%s\n%s\n", code, norn_error(st)->text);
  else norn_as_real(v, &x);
  return x;
}

/* Has this program an error that says so? */
static void refused(const char *code, const char *says)
{
  norn_datum v;
  norn_status s = eval(code, &v);
  bool good = s && strstr(norn_error(st)->text, says);
  CHECK(good);
  if (!good) fprintf(stderr, "%s\n  gives: %s\n", code, s ? norn_error(st)->text : "no error");
  norn_clear(st);
  CHECK(!eval("1", &v));                         /* the state goes on */
}

static const char models[] =
  "let J = 5\nlet county = for i in 0..40 { (i * 7) % J }\n"
  "let y = for i in 0..40 { 0.5 * sin(12.9898 * i) + 0.3 * sin(2.9 * county[i]) }\n"
  "model radon() { let mu ~ normal(0, 10)\nlet tau ~ half_normal(1)\nlet s ~ half_normal(1)\n"
  "let a = for j in 0..J { let z ~ normal(0, 1)\n mu + tau * z }\n"
  "for i in 0..40 { observe y[i] ~ normal(a[county[i]], s) }\n{ mu: mu, tau: tau, s: s } }\n"
  "model branch() { let x ~ normal(0, 1)\n let b = if x > 0 { 1 } else { 2 }\n"
  "observe 1 ~ normal(x * b, 1)\n x }\n"
  "model index() { let x ~ normal(0, 1)\n observe 1 ~ normal(x * [1, 2][if x > 0 { 0 } else { 1 }], 1)\n x }\n"
  "model shares() { let p ~ dirichlet([1, 2, 3])\n p }\n"
  "model scatter() { let w ~ wishart(4, [[1, 0.2], [0.2, 2]])\n w }\n";

/* ---- transition by transition ---------------------------------------------------------------- */

enum { CHAINS = 53 };

static bool near(double a, double b, double part) { return fabs(a - b) <= part * (1 + fabs(a)); }

/* Both from the same points, set equal again after each. */
static void beside(gpu *g, bool f32, int threads)
{
  norn_datum model;
  double part = f32 ? 2e-3 : 1e-9, *q[2], *stat[2], m[2][64];
  bool good[CHAINS];
  chains_run run[2] = {{0}, {0}};
  if (eval("radon()", &model)) return;
  norn_density *d = norn_density_new(st, model, 1, 0);
  int64_t n = norn_density_dim(d);
  gpu_chains_wish w = {.f32 = f32, .threads = threads};
  CHECK(chains_cpu_new(st, d, CHAINS, 1, 0, 7, &run[0]));
  CHECK(!gpu_chains_new(g, d->tape[0].p, CHAINS, 7, &w, &run[1]));
  if (!run[1].ops) { fprintf(stderr, "%s\n", norn_error(st)->text); return; }
  double scale[16];
  for (int i = 0; i < 16; i++) scale[i] = 0.2 + 0.02 * i;
  for (int k = 0; k < 2; k++) {
    q[k] = calloc((size_t)(CHAINS * n), sizeof *q[k]);
    stat[k] = calloc(CHAINS * CHAINS_STATS, sizeof *stat[k]);
  }
  for (int64_t i = 0; i < CHAINS * n; i++) q[0][i] = (float)(sin((double)i * 1.7) * 0.8);
  int64_t moved = 0;
  for (int t = 0; t < 6; t++) {
    chains_ask ask = {.iter = (uint32_t)t + 1, .steps = 3 + t % 3, .step = 0.25, .least = 0.05,
                      .learn = true};
    chains_told told[2];
    for (int k = 0; k < 2; k++) {
      CHECK(!run[k].ops->put(run[k].self, q[0], good) && good[0] && good[CHAINS - 1]);
      CHECK(!run[k].ops->metric(run[k].self, scale));
      CHECK(!run[k].ops->transition(run[k].self, &ask, &told[k]));
      CHECK(!run[k].ops->moments(run[k].self, m[k]));
    }
    for (int k = 0; k < 2; k++) CHECK(!run[k].ops->read(run[k].self, q[k], stat[k]));
    CHECK(near(told[0].accept, told[1].accept, part) && near(told[0].harmonic, told[1].harmonic, 5 * part));
    CHECK(near(told[0].criterion, told[1].criterion, f32 ? 5e-2 : 1e-7));
    CHECK(near(told[0].slope, told[1].slope, f32 ? 5e-2 : 1e-7) && told[0].diverged == told[1].diverged);
    moved += told[0].moved;
    int64_t other = 0;
    for (int64_t c = 0; c < CHAINS; c++) {
      bool same = true;
      for (int64_t i = c * n; i < (c + 1) * n; i++) same &= near(q[0][i], q[1][i], f32 ? 2e-3 : 1e-8);
      for (int64_t i = c * CHAINS_STATS; i < (c + 1) * CHAINS_STATS; i++)
        same &= near(stat[0][i], stat[1][i], f32 ? 5e-3 : 1e-8);
      other += !same;
    }
    CHECK(other <= 2 * f32);                     /* an acceptance next to its random number */
    for (int64_t i = 0; i < 4 * n && !other; i++) CHECK(near(m[0][i], m[1][i], f32 ? 5e-2 : 1e-7));
    for (int64_t i = 0; i < CHAINS * n; i++) q[0][i] = (float)q[0][i];
  }
  CHECK(moved > 3 * CHAINS && moved < 6 * CHAINS);         /* some are refused */
  for (int k = 0; k < 2; k++) {
    run[k].ops->free(run[k].self);
    free(q[k]);
    free(stat[k]);
  }
  norn_density_free(d);
}

/* ---- inferences ------------------------------------------------------------------------------ */

static void inferences(void)
{
  bool real = gpu_test_real() && !getenv("NORN_GPU_SMALL");
  char code[600];
  int chains = real ? 4096 : 32, warmup = real ? 300 : 16;
  for (int f32 = 0; f32 < 2; f32++) {
    snprintf(code, sizeof code,
             "let post = infer(radon(), chees(draws = 4, warmup = %d, chains = %d, device = \"gpu\", "
             "precision = \"%s\", verify = true))\nlen(draws(post))", warmup, chains, f32 ? "f32" : "f64");
    CHECK(number(code) == 4 * chains);
    CHECK(number("if info(post).device == \"gpu\" { 1 } else { 0 }") == 1);
    CHECK(number("info(post).superchains") == 16);
    CHECK(!real || number("info(post).acceptance") > 0.4);
    if (!real) continue;
    /* moments are those of nuts on the CPU, within 5 of its standard errors: chains have many more draws */
    CHECK(!isnan(number("let ref = infer(radon(), nuts(draws = 5000, warmup = 1000))\n1")));
    CHECK(fabs(number("(mean(post.mu) - mean(ref.mu)) / mcse(ref.mu)")) < 5);
    CHECK(fabs(number("(mean(post.tau) - mean(ref.tau)) / mcse(ref.tau)")) < 5);
    CHECK(fabs(number("(mean(post.s) - mean(ref.s)) / mcse(ref.s)")) < 5);
    CHECK(number("info(post).nested_rhat - info(post).nested_rhat_limit") < 0);
    gpu_test_figure(f32 ? "nested R-hat, f32" : "nested R-hat, f64", "", "%.4f",
                    number("info(post).nested_rhat"));
  }
  CHECK(number("let p = infer(radon(), hmc(draws = 3, warmup = 8, chains = 20, steps = 2, shared = true, "
               "device = \"gpu\", verify = true))\nlen(draws(more(p, 2)))") == 100);
  CHECK(fabs(number("let p = infer(shares(), chees(draws = 20, warmup = 100, chains = 64, device = \"gpu\", "
                    "verify = true))\nmean(p[2])") - 0.5) < 0.05);
  /* a kink; by quadrature */
  CHECK(fabs(number("let p = infer(branch(), chees(draws = 30, warmup = 100, chains = 64, device = \"gpu\", "
                    "verify = true))\nmean(p)") - 0.6318139822) < 0.1);
  /* too little work for a GPU is done here */
  CHECK(number("let p = infer(radon(), chees(draws = 3, warmup = 20, chains = 20, device = \"auto\"))\n"
               "if info(p).device == \"cpu\" { 1 } else { 0 }") == 1);
}

static void errors(void)
{
  refused("infer(index(), chees(device = \"gpu\"))", "a branch on a parameter has no code for it");
  refused("infer(index(), chees(device = \"gpu\"))", "device = \"gpu\" of chees can't be had");
  refused("infer(scatter(), chees(device = \"gpu\"))", "wishart has no code for it");
  refused("infer(radon(), chees(precision = \"f32\"))", "is for the GPU");
  norn_datum v;
  if (!gpu_test_real()) {
    setenv("NORN_MOCK", "memory=100000", 1);
    refused("infer(radon(), chees(chains = 3000, device = \"gpu\"))", " would fit");
    /* auto goes on here */
    CHECK(number("let p = infer(radon(), chees(draws = 1, warmup = 400, chains = 2600, max_steps = 1, "
                 "step_size = 0.01, device = \"auto\"))\nif info(p).device == \"cpu\" { 1 } else { 0 }") == 1);
    setenv("NORN_MOCK", "refuse=9", 1);
    refused("infer(radon(), chees(draws = 2, warmup = 4, chains = 20, device = \"gpu\"))", "the GPU failed");
    setenv("NORN_MOCK", "", 1);
  }
  CHECK(!eval("infer(index(), chees(draws = 2, warmup = 5, chains = 20, device = \"auto\"))", &v));
}

int main(void)
{
  norn_datum v;
  st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (!g || eval(models, &v)) return 1;
  beside(g, false, 0);
  beside(g, false, 1);
  beside(g, false, 32);
  beside(g, true, 0);
  beside(g, true, 4);
  inferences();
  errors();
  norn_free(st);
  return unit_end();
}
