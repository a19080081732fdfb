/* test_fused_text: blocks of programs as C for CPUs of one, two, four and eight numbers to a register: the
   same bits as the interpreter's, term by term and derivative by derivative; with one number undefined
   behaviour traps, and addresses are watched where the test is built so. */
#include "norn.h"
#include "dist/block.h"
#include "graph/fused_cc.h"
#include "infer/gradient/density.h"
#include "num/level.h"
#include "compiled.h"
#include "unit.h"
#include <math.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#define ONE_FLAGS "-fsanitize=address,undefined -fsanitize-undefined-trap-on-error"
#else
#define ONE_FLAGS "-fsanitize=undefined -fsanitize-undefined-trap-on-error"
#endif

static norn_state *st;

static const struct { const char *name, *code; } models[] = {
  {"logistic",
   "let X = [[sin(1.3 * real(i) + 2.1 * real(j)) for j in 0..4] for i in 0..rows]\n"
   "let y = [sin(real(i)) > 0.2 for i in 0..rows]\n"
   "model m() { let a ~ normal(0, 1); let b ~ iid(normal(0, 1), 4); observe y ~ bernoulli_logit(X @ b + a); b }\n"
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
   "  let mu ~ normal(0, 1)\n  let tau ~ half_normal(1)\n  let z ~ iid(normal(0, 1), rows)\n"
   "  for i in 0..rows { observe y[i] ~ student_t(4, mu + tau * z[i], exp(0.1 * z[i])) }\n  mu\n}\n"
   "m()\n"},
  {"curve",
   "let x = [sin(real(i)) for i in 0..rows]\n"
   "let y = [cos(2.0 * real(i)) for i in 0..rows]\n"
   "model m() {\n"
   "  let a ~ normal(0, 1)\n  let b ~ normal(0, 1)\n  let c ~ normal(0, 1)\n  let s ~ half_normal(1)\n"
   "  for i in 0..rows { observe y[i] ~ logistic(a * sin(b * x[i]) - c / (1 + exp(x[i] * a)), s) }\n  a\n}\n"
   "m()\n"},
};

static norn_density *density_of(const char *code, int rows)
{
  char all[1500], why[900];
  norn_datum model;
  snprintf(all, sizeof all, "let rows = %d\n%s", rows, code);
  norn_status s = norn_eval(st, "model", all, strlen(all), NORN_LOAD_REPL, &model);
  norn_density *d = s ? NULL : norn_density_new(st, model, 7, 0);
  if (!d) fprintf(stderr, "%s\n", (norn_error_text(st, norn_error(st), why, sizeof why), why));
  CHECK(d != NULL);
  return d;
}

static fused_fn *function_of(const program *p, const fused *b, int width)
{
  static const char *const flags[] = {[1] = ONE_FLAGS, [2] = "-O1", [4] = "-mavx2 -mfma",
                                      [8] = "-mavx512f -mavx512dq -mavx512vl -mfma"};
  fused_shape s;
  fused_fn *f = NULL;
  mem m;
  text t;
  mem_init(&m);
  text_init(&t, &m);
  if (fused_shape_make(p, b, &s) && !s.lacks) {
    fused_cc_head(&t, width);
    fused_cc_text(&t, &s, "block", width);
    void *object = compiled(t.s, t.n, flags[width]);
    if (object) COMPILED(object, "block", f);
  }
  CHECK(f != NULL);
  fused_shape_free(&s);
  text_free(&t);
  return f;
}

/* A block by the interpreter and by its code, after an evaluation that left its operands. */
static void block_compared(program *p, const fused *b, fused_fn *f, const char *name, int width)
{
  fused_code *c = fused_code_new(p, b, f);
  double sum = 0, other = 0, *before = malloc(3 * p->nplace * sizeof *before), *after = before + p->nplace;
  int64_t where;
  size_t bytes = p->nplace * sizeof *before;
  if (!before || !c) abort();
  memcpy(before, p->adjoint, bytes);
  CHECK(fused_run(p, b, true, &sum, &where));
  memcpy(after, p->adjoint, bytes);
  memcpy(p->adjoint, before, bytes);
  CHECK(fused_code_run(p, c, &other, &where));
  bool same = sum == other && !memcmp(after, p->adjoint, bytes);
  CHECK(same);
  if (!same) fprintf(stderr, "%s of %u rows, %d lanes: sums %a and %a\n", name, b->n, width, sum, other);
  memcpy(p->adjoint, before, bytes);
  fused_code_free(c);
  free(before);
}

/* One text serves any number of rows. */
static void model(int k, int width)
{
  static const int rows[] = {600, 75, 261};
  static double u[700], g[700];
  fused_fn *f = NULL;
  for (int i = 0; i < 3; i++) {
    norn_density *d = density_of(models[k].code, rows[i]);
    if (!d) return;
    program *p = d->tape[0].p;
    norn_rng rng = {.stream = 5, .lane = (uint32_t)k};
    double logp;
    size_t largest = 0;
    for (size_t j = 0; j < p->nfused; j++) if (p->fused[j].n > p->fused[largest].n) largest = j;
    CHECK(p->nfused > 0);
    for (int64_t j = 0; j < norn_density_dim(d); j++) u[j] = 2 * norn_rng_uniform(&rng) - 1;
    CHECK(!norn_density_eval(d, u, &logp, g));
    if (p->nfused && !f) f = function_of(p, &p->fused[largest], width);
    if (f && p->nfused) block_compared(p, &p->fused[largest], f, models[k].name, width);
    norn_density_free(d);
  }
}

/* The code comes in without a trace: by program_generate, as evaluations do in the background. */
static void generated(int k)
{
  static double u[700], g[700], again[700];
  norn_density *d = density_of(models[k].code, 700);
  double logp, other;
  if (!d || norn_density_dim(d) > 700) return;
  size_t bytes = (size_t)norn_density_dim(d) * sizeof *u;
  CHECK(!norn_density_eval(d, u, &logp, g));
  bool made = program_generate(d->tape[0].p), any = false;
  for (size_t i = 0; i < d->tape[0].p->nfused; i++) any |= d->tape[0].p->fused[i].code != NULL;
  CHECK(made && any);
  CHECK(!norn_density_eval(d, u, &other, again) && logp == other && !memcmp(g, again, bytes));
  norn_density_free(d);
}

int main(void)
{
  norn_config c = norn_config_default();
  c.quiet = true;
  st = norn_new(&c);
  int best = level_best() == LEVEL_AVX512 ? 8 : level_best() == LEVEL_AVX2 ? 4 : 2;
  for (int k = 0; k < (int)(sizeof models / sizeof *models); k++) {
    model(k, best);
    if (k == 0 || k == 3 || k == 4) model(k, 1);
    if (best > 2 && k < 2) model(k, 2);
    if (best > 4 && k == 3) model(k, 4);
  }
  generated(0);
  generated(3);
  norn_free(st);
  return unit_end();
}
