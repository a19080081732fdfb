/* check_bigdata: blocks of densities on a GPU against the CPU: the log density and each derivative of models
   with regressions, random effects, latent vectors and other rows, in double and single precision; the
   same bits again; data that are there only once; and whole runs of engines. */
#include "gpu_test.h"
#include "gpu/bigdata.h"
#include "infer/gradient/density.h"
#include "graph/program.h"
#include <math.h>

enum { MOST = 3000 };                    /* coordinates */

/* Models with rows: `rows` stands for how many. */
static const struct { const char *name, *code; } models[] = {
  {"logistic",
   "let X = [[sin(1.3 * real(i) + 2.1 * real(j)) for j in 0..4] for i in 0..rows]\n"
   "let y = [sin(real(i)) > 0.2 for i in 0..rows]\n"
   "model m() { let a ~ normal(0, 1); let b ~ iid(normal(0, 1), 4); observe y ~ bernoulli_logit(X @ b + a); b }\n"
   "m()\n"},
  {"logistic_glm",
   "let X = [[sin(1.3 * real(i) + 2.1 * real(j)) for j in 0..20] for i in 0..rows]\n"
   "let y = [sin(real(i)) > 0.2 for i in 0..rows]\n"
   "model m() { let a ~ normal(0, 1); let b ~ iid(normal(0, 1), 20); observe y ~ bernoulli_logit_glm(X, a, b); b }\n"
   "m()\n"},
  {"normal_glm",
   "let X = [[sin(1.3 * real(i) + 2.1 * real(j)) for j in 0..5] for i in 0..rows]\n"
   "let y = [cos(real(i)) for i in 0..rows]\n"
   "model m() { let b ~ iid(normal(0, 1), 5); let s ~ half_normal(1); observe y ~ normal_id_glm(X, 0, b, s); b }\n"
   "m()\n"},
  {"poisson_glm",
   "let X = [[sin(1.3 * real(i) + 2.1 * real(j)) for j in 0..5] for i in 0..rows]\n"
   "let y = [floor(2 + 2 * cos(real(i))) for i in 0..rows]\n"
   "let offset = [0.1 * sin(real(i)) for i in 0..rows]\n"
   "model m() { let b ~ iid(normal(0, 0.5), 5); observe y ~ poisson_log_glm(X, offset, b); b }\n"
   "m()\n"},
  {"radon",
   "let county = [(i * 7) % 11 for i in 0..rows]\n"
   "let x = [sin(real(i)) for i in 0..rows]\n"
   "let y = [cos(2.0 * real(i)) for i in 0..rows]\n"
   "model m() {\n"
   "  let g ~ normal(0, 1)\n  let b ~ normal(0, 1)\n  let tau ~ half_normal(1)\n  let s ~ half_normal(1)\n"
   "  let a = for j in 0..11 { let z ~ normal(0, 1); g + tau * z }\n"
   "  for i in 0..rows { observe y[i] ~ normal(a[county[i]] + b * x[i], s) }\n  a\n}\n"
   "m()\n"},
  {"latent",
   "let y = [cos(2.0 * real(i)) for i in 0..rows]\n"
   "model m() {\n"
   "  let mu ~ normal(0, 1)\n  let tau ~ half_normal(1)\n"
   "  let z ~ iid(normal(0, 1), rows)\n"
   "  for i in 0..rows { observe y[i] ~ student_t(4, mu + tau * z[i], exp(0.1 * z[i])) }\n  mu\n}\n"
   "m()\n"},
  {"robust",
   "let x = [sin(real(i)) for i in 0..rows]\n"
   "let y = [cos(2.0 * real(i)) for i in 0..rows]\n"
   "model m() {\n"
   "  let a ~ normal(0, 1)\n  let b ~ normal(0, 1)\n  let c ~ normal(0, 1)\n  let s ~ half_normal(1)\n"
   "  for i in 0..rows { observe y[i] ~ logistic(a * sin(b * x[i]) - c / (1 + exp(x[i] * a)), s) }\n  a\n}\n"
   "m()\n"},
};

static norn_density *density_of(norn_state *st, const char *program_text, int rows)
{
  char *all = malloc(strlen(program_text) + 60);
  norn_datum model;
  if (!all) abort();
  sprintf(all, "let rows = %d\n%s", rows, program_text);
  norn_status s = norn_eval(st, "model", all, strlen(all), NORN_LOAD_REPL, &model);
  norn_density *d = s ? NULL : norn_density_new(st, model, 7, 0);
  char why[900];
  if (!d) fprintf(stderr, "%s\n", (norn_error_text(st, norn_error(st), why, sizeof why), why));
  free(all);
  CHECK(d != NULL);
  return d;
}

/* Puts the density on the device. */
static bool there(norn_state *st, gpu *g, norn_density *d, bigdata_wish w, const char *name)
{
  char why[300];
  bigdata *on = bigdata_new(g, w);
  int n = on ? density_gpu(d, on, why, sizeof why) : -1;
  CHECK(n > 0);
  if (n > 0) return true;
  fprintf(stderr, "%s: %s\n%s\n", name, n < 0 ? norn_error(st)->text : why, n < 0 ? norn_error(st)->hint : "");
  return false;
}

static double worst(const double *x, const double *y, int64_t n, double scale)
{
  double most = 0;
  for (int64_t i = 0; i < n; i++) {
    double e = fabs(x[i] - y[i]) / (1 + scale + fabs(y[i]));
    if (!(e <= most)) most = e;
  }
  return most;
}

/* A model at some points, here and there. */
static void compared(norn_state *st, gpu *g, int k, int rows, bool f32)
{
  static double u[MOST], here[MOST], gpu_g[MOST], again[MOST];
  norn_density *a = density_of(st, models[k].code, rows), *b = density_of(st, models[k].code, rows);
  norn_rng rng = {.stream = 11, .lane = (uint32_t)k};
  double tolerance = f32 ? 1e-5 : 1e-13;
  if (a && b && norn_density_dim(a) <= MOST && there(st, g, b, (bigdata_wish){.f32 = f32, .order = true}, models[k].name))
    for (int i = 0; i < 2; i++) {
      int64_t n = norn_density_dim(a);
      double la, lb, lc, ld;
      for (int64_t j = 0; j < n; j++) u[j] = 2 * norn_rng_uniform(&rng) - 1;
      CHECK(!norn_density_eval(a, u, &la, here) && !norn_density_eval(b, u, &lb, gpu_g));
      CHECK(!norn_density_eval(b, u, &lc, again) && lb == lc && !memcmp(gpu_g, again, (size_t)n * sizeof *u));
      CHECK(!norn_density_eval(b, u, &ld, NULL) && fabs(ld - lb) <= 1e-12 * fabs(lb));
      double e = worst(&lb, &la, 1, 0), eg = worst(gpu_g, here, n, fabs(la) / 100);
      CHECK(e < tolerance && eg < tolerance);
      if (!(e < tolerance && eg < tolerance))
        fprintf(stderr, "%s, %s: density off by %.2g, gradient by %.2g\n", models[k].name, f32 ? "f32" : "f64", e, eg);
    }
  CHECK(!b || !bigdata_failure(b->gpu));
  norn_density_free(a);
  norn_density_free(b);
}

/* What a run returns, here and there: values of blocks are asked for, which ran there. */
static void values(norn_state *st, gpu *g)
{
  static const char code[] =
    "let x = [sin(real(i)) for i in 0..rows]\n"
    "model m() { let a ~ normal(0, 1)\n  let eta = [a * v + exp(a * v) for v in x]\n"
    "  for i in 0..rows { observe x[i] ~ normal(eta[i], 1) }\n  eta }\nm()\n";
  norn_density *a = density_of(st, code, 300), *b = density_of(st, code, 300);
  double u = 0.37;
  norn_datum x, y;
  if (a && b && there(st, g, b, (bigdata_wish){.order = true}, "values")) {
    CHECK(!norn_density_value(a, &u, &x));
    norn_ref *kept = norn_keep(st, x);
    CHECK(!norn_density_value(b, &u, &y) && norn_equal(norn_get(kept), y) && norn_array_length(y) == 300);
    norn_drop(kept);
  }
  norn_density_free(a);
  norn_density_free(b);
}

/* Clones use the data that are there. */
static void shared(norn_state *st, gpu *g)
{
  norn_density *d = density_of(st, models[1].code, 500);
  if (d && there(st, g, d, (bigdata_wish){.order = true}, "shared")) {
    size_t before = gpu_free_memory(g);
    norn_density *c = norn_density_clone(d);
    CHECK(c && c->gpu == d->gpu && c->tape[0].p->device);
    if (gpu_test_real()) CHECK(before - gpu_free_memory(g) < 500 * 20 * sizeof(double) + 4000000);
    norn_density_free(c);
  }
  norn_density_free(d);
}

/* A point outside: a scale that overflows. */
static void outside(norn_state *st, gpu *g)
{
  static double u[10], slopes[10];
  norn_density *d = density_of(st, models[2].code, 700);
  if (d && there(st, g, d, (bigdata_wish){.order = true}, "outside")) {
    double l;
    u[5] = 800;
    CHECK(!norn_density_eval(d, u, &l, slopes) && l == -HUGE_VAL);
    u[5] = 0;
    CHECK(!norn_density_eval(d, u, &l, slopes) && l > -HUGE_VAL);
  }
  norn_density_free(d);
}

/* A launch that is refused, a device that dies: the CPU goes on with the same numbers, and the reason is kept;
   no room for the data, a text that does not compile: an order is an error. */
static void failing(norn_state *st, gpu *g)
{
  static const struct { const char *order, *says; bool attaches; } cases[] = {
    {"refuse=1", "too many resources", true}, {"alloc=1", "need", false}, {"compile=1", "can't be compiled", false},
    {"launch=1", "the device was lost", true}};
  static double u[30], here[30], there_g[30];
  for (int i = 0; i < 4; i++) {
    norn_density *a = density_of(st, models[1].code, 310 + i), *b = density_of(st, models[1].code, 310 + i);
    double la, lb;
    char why[300];
    if (!a || !b) return;
    setenv("NORN_MOCK", cases[i].attaches ? "" : cases[i].order, 1);
    bigdata *on = bigdata_new(g, (bigdata_wish){.order = true});
    int n = on ? density_gpu(b, on, why, sizeof why) : -1;
    CHECK(n == (cases[i].attaches ? 1 : i == 2 ? n : -1));        /* the text may be in the cache */
    if (n < 0) CHECK(strstr(norn_error(st)->text, cases[i].says) != NULL);
    norn_clear(st);
    setenv("NORN_MOCK", cases[i].order, 1);
    CHECK(!norn_density_eval(a, u, &la, here) && !norn_density_eval(b, u, &lb, there_g));
    bool same = n > 0 && !cases[i].attaches ? fabs(la - lb) < 1e-12 * fabs(la) : la == lb && !memcmp(here, there_g, sizeof here);
    CHECK(same);
    if (cases[i].attaches) CHECK(bigdata_failure(b->gpu) && strstr(bigdata_failure(b->gpu), cases[i].says));
    norn_density_free(a);
    norn_density_free(b);
  }
  setenv("NORN_MOCK", "", 1);
}

/* ---- engines ---- */

static double real_of(norn_state *st, const char *code)
{
  char why[900];
  norn_datum v;
  double x;
  if (!norn_eval(st, "run", code, strlen(code), NORN_LOAD_REPL, &v) && norn_as_real(v, &x)) return x;
  norn_error_text(st, norn_error(st), why, sizeof why);
  fprintf(stderr, "%s\n%s\n", code, why);
  norn_clear(st);
  return NAN;
}

static bool says(norn_state *st, const char *code, const char *what)
{
  norn_datum v;
  bool good = norn_eval(st, "run", code, strlen(code), NORN_LOAD_REPL, &v) != NORN_OK &&
              strstr(norn_error(st)->text, what);
  if (!good) fprintf(stderr, "%s\n  says %s\n", code, norn_error(st)->code ? norn_error(st)->text : "nothing");
  norn_clear(st);
  return good;
}

/* Posterior means of nuts there and here differ by their error, as do those of 50 draws of a normal
   of standard deviation 0.3; optimize by rounding. */
static void engines(norn_state *st)
{
  static const char setup[] =
    "let rows = 300\n"
    "let X = [[sin(1.3 * real(i) + 2.1 * real(j)) for j in 0..3] for i in 0..rows]\n"
    "let y = [sin(1.3 * real(i)) + 0.3 * cos(7.0 * real(i)) > 0 for i in 0..rows]\n"
    "model m() { let b ~ iid(normal(0, 1), 3); observe y ~ bernoulli_logit_glm(X, 0.1, b); b[0] }\n";
  norn_datum v;
  CHECK(!norn_eval(st, "setup", setup, strlen(setup), NORN_LOAD_REPL, &v));
  double here = real_of(st, "mean(infer(m(), nuts(draws = 400, warmup = 200, chains = 1)))");
  bool real = gpu_test_real();           /* few draws on the mock: of a standard deviation of 0.35, ten count */
  double on = real_of(st, real ? "mean(infer(m(), nuts(draws = 1000, chains = 1, device = \"gpu\", verify = true)))"
                               : "mean(infer(m(), nuts(draws = 40, warmup = 40, chains = 1, device = \"gpu\", "
                                 "verify = true)))");
  CHECK(fabs(here - on) < (real ? 0.12 : 0.5));
  if (!(fabs(here - on) < (real ? 0.12 : 0.5))) fprintf(stderr, "nuts: %g here, %g there\n", here, on);
  static const char *const others[] = {"optimize(starts = 1", "laplace_approx(draws = 50, starts = 1",
    "pathfinder(draws = 50, paths = 1", "advi(draws = 50, samples = 10, starts = 1"};
  for (int i = 0; i < 4; i++) {
    char a[200], b[240];
    snprintf(a, sizeof a, "mean(infer(m(), %s)))", others[i]);
    snprintf(b, sizeof b, "mean(infer(m(), %s, device = \"gpu\")))", others[i]);
    here = real_of(st, a);
    on = real_of(st, b);
    CHECK(fabs(here - on) < (i ? 0.4 : 1e-6));
    if (!(fabs(here - on) < (i ? 0.4 : 1e-6))) fprintf(stderr, "%s: %.17g here, %.17g there\n", others[i], here, on);
  }
  CHECK(real_of(st, "if info(infer(m(), optimize(starts = 1, device = \"gpu\"))).device == \"gpu\" { 1 } else { 0 }") == 1);
  CHECK(real_of(st, "if info(infer(m(), optimize(starts = 1, device = \"auto\"))).device == \"cpu\" { 1 } else { 0 }") == 1);
  CHECK(says(st, "infer(m(), nuts(precision = \"f32\"))", "device is \"cpu\""));
  CHECK(says(st, "model one() { let a ~ normal(0, 1); a }\ninfer(one(), nuts(device = \"gpu\"))", "can't be had: the density has no rows"));
}

int main(void)
{
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g) {
    bool real = gpu_test_real();
    for (int k = 0; k < (int)(sizeof models / sizeof *models); k++) {
      compared(st, g, k, real ? 20000 : 600, false);
      if (real || k == 1 || k == 4) compared(st, g, k, real ? 20000 : 600, true);
    }
    values(st, g);
    shared(st, g);
    outside(st, g);
    engines(st);
    if (!real) failing(st, g);           /* kills the device: last */
  }
  norn_free(st);
  return unit_end();
}
