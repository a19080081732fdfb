/* check_density: densities as text on the device (the mock, or the card) against program_eval, with 1, 4 and
   32 threads to a chain; and whole transitions of many chains (gpu/chains.h) against those of the host, which
   use the same random numbers: in doubles they go the same way, within rounding. */
#include "gpu_test.h"
#include "gpu/chains.h"
#include "graph/dialect.h"
#include "graph/program.h"
#include "infer/gradient/chees.h"
#include "infer/gradient/density.h"
#include "num/rng.h"
#include "../unit/density_models.h"
#include <stdlib.h>

enum { KNOWN = sizeof models / sizeof *models, MODELS = KNOWN + 3, POINTS_EACH = 5 };
static norn_state *st;

static const char radon[] =
  "let county = for i in 0..300 { (i * i + 7 * i) % 17 }\nlet other = for i in 0..300 { (i * 31) % 5 }\n"
  "let y = for i in 0..300 { (i * 17 % 23) / 7.0 - 1.5 }\n"
  "model m() { let mu ~ normal(0, 10)\nlet tau ~ half_normal(1)\nlet s ~ half_normal(1)\n"
  "let b ~ normal(0, 10)\nlet al = for j in 0..17 { let z ~ normal(0, 1)\n mu + tau * z }\n"
  "let c ~ iid(normal(0, 1), 5)\n"
  "for i in 0..300 { observe y[i] ~ normal(al[county[i]] + c[other[i]] + b * y[i] * y[i], s) } }\nm()";
static const char shifted[] =
  "let y = for i in 0..200 { (i * 17 % 23) / 7.0 - 1.5 }\n"
  "model m() { let x ~ iid(normal(0, 1), 200)\nlet s ~ exponential(1)\n"
  "for i in 1..200 { observe x[i] - x[i - 1] ~ normal(0, s) }\n"
  "for i in 0..200 { observe y[i] ~ normal(x[i] + 0.1 * x[(i * i) % 7], 1 + exp(x[0])) } }\nm()";
static const char logistic[] =
  "let X = for i in 0..100 { for j in 0..20 { ((i * 7 + j * 13 + i * j) % 19) / 9.0 - 1.0 } }\n"
  "let y = for i in 0..100 { i % 3 == 0 }\n"
  "model m() { let a ~ normal(0, 1)\nlet b ~ iid(normal(0, 1), 20)\nlet eta = X @ b + a\n"
  "observe y ~ bernoulli_logit(eta) }\nm()";
static const char schools[] =
  "let y = [28, 8, -3, 7, -1, 1, 18, 12]\nlet s = [15, 10, 16, 11, 9, 11, 10, 18]\n"
  "model m() { let mu ~ normal(0, 5); let tau ~ half_cauchy(5)\n let theta = for j in 0..8 { "
  "let z ~ normal(0, 1)\n mu + tau * z }\n for j in 0..8 { observe y[j] ~ normal(theta[j], s[j]) } }\nm()";

static norn_density *density_of(const char *name, const char *program_text)
{
  norn_datum model;
  double u[400], logp;
  norn_rng g = {.stream = 9};
  if (norn_eval(st, name, program_text, strlen(program_text), 0, &model)) { CHECK(0); return NULL; }
  norn_density *d = norn_density_new(st, model, 7, 0);
  CHECK(d != NULL);
  if (!d) return NULL;
  for (int64_t k = 0; k < norn_density_dim(d); k++) u[k] = 0.3 * norn_rng_normal(&g);
  CHECK(norn_density_eval(d, u, &logp, NULL) == NORN_OK);
  return d;
}

/* ---- densities ---------------------------------------------------------------------------------- */

typedef struct one { norn_density *d; density_code code; bool has; } one;
static one all[MODELS];

static const char *name_of(int i) { return i < KNOWN ? models[i].name : "more"; }

/* No loop reads memory that it only may need, behind the question of FLOW: NVRTC 13.0 makes a wrong address of
   it (density_text.c). */
static void check_reads(const char *name, const text *t)
{
  bool good = true;
  for (const char *s = t->s; s && *s; s += strcspn(s, "\n"), s += *s == '\n') {
    const char *flow = strstr(s, "FLOW("), *end = s + strcspn(s, "\n"), *v = flow ? strstr(flow, "V(") : NULL;
    good &= strncmp(s, "      ", 6) || !v || v >= end;
  }
  if (!good) fprintf(stderr, "  %s reads memory behind a question in a loop\n", name);
  CHECK(good);
}

/* One text for all models: a kernel try_<i> for each. */
static bool text_make(text *t, int T, int each)
{
  int has = 0;
  for (int i = 0; i < MODELS; i++) {
    density_code_free(&all[i].code);
    static const char *const always[] = {"interleaved", "one then one", "simplexes", "factors", "branch",
                                         "branch observes", "branch carry", "branch domains"};
    bool wanted = i % each == 0;
    for (int k = 0; k < NORN_COUNT(always); k++) wanted |= !strcmp(name_of(i), always[k]);
    all[i].has = wanted && all[i].d && all[i].d->last &&
                 density_code_new(all[i].d->last->p, T, false, &all[i].code);
    if (!all[i].has) continue;
    has++;
    check_reads(name_of(i), &all[i].code.body);
    text_printf(t, "#define density_at density_at_%d\n", i);
    text_put(t, all[i].code.body.s, all[i].code.body.n);
    text_printf(t, "#undef density_at\n"
      "KERNEL try_%d(int64_t chains, const lanes *restrict D, const uint32_t *restrict I, lanes *room, "
      "const lanes *q, lanes *g, wide *logp, int *status)\n{\n"
      "  const int64_t group = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / TT;\n"
      "  const int tid = (int)threadIdx.x %% TT;\n"
      "  const int64_t stride = (int64_t)gridDim.x * blockDim.x / TT, c = group < chains ? group : chains - 1;\n"
      "  lanes *v = room + (TT == 1 ? group : group * ROOM);\n"
      "  wide lp;\n"
      "  for (int i = tid; i < NINPUT; i += TT) V(i) = q[c * NINPUT + i];\n"
      "  SYNC();\n"
      "  const int s = density_at_%d(v, D, I, tid, stride, &lp);\n"
      "  if (group >= chains) return;\n"
      "  for (int i = tid; i < NINPUT; i += TT) g[c * NINPUT + i] = A(i);\n"
      "  if (tid == 0) {\n    logp[c] = lp;\n    status[c] = s;\n  }\n}\n", i, i);
  }
  CHECK(has * each >= 28);
  return !t->failed;
}

static bool near(double a, double b, double scale)
{
  return a == b || (a != a && b != b) || fabs(a - b) <= 1e-10 * scale;
}

static void compare(int i, int T, const double *u, const double *g, const double *logp, const int *status)
{
  program *p = all[i].d->last->p;
  int64_t n = norn_density_dim(all[i].d);
  double want[400], l;
  int wrong = 0;
  for (int k = 0; k < POINTS_EACH; k++) {
    size_t where;
    double scale = 1;
    eval_status s = program_eval(p, u + k * n, &l, want, &where);
    for (int64_t j = 0; j < n && !s; j++) scale = fmax(scale, fabs(want[j]));
    bool good = status[k] == (int)s && near(logp[k], l, 1 + fabs(l));
    for (int64_t j = 0; j < n && !s; j++) good = good && near(g[k * n + j], want[j], scale);
    if (!good && !wrong++)
      fprintf(stderr, "  %s with %d threads: status %d, not %d; %.17g, not %.17g\n", name_of(i), T, status[k], (int)s,
              logp[k], l);
    for (int64_t j = 0; j < n && !good && wrong == 1; j++)
      if (!near(g[k * n + j], want[j], scale))
        fprintf(stderr, "    derivative %lld: %.17g, not %.17g; at %.17g\n", (long long)j, g[k * n + j], want[j],
                u[k * n + j]);
  }
  CHECK(!wrong);
}

static void try_model(gpu *g, gpu_module *m, int i, int T)
{
  char name[30];
  density_code *c = &all[i].code;
  int64_t n = norn_density_dim(all[i].d), chains = POINTS_EACH, groups = (chains * T + 63) / 64 * 64 / T;
  double *u = calloc((size_t)(POINTS_EACH * n), sizeof *u), *back = calloc((size_t)(POINTS_EACH * n), sizeof *u);
  double logp[POINTS_EACH];
  int status[POINTS_EACH];
  gpu_arena a = {0};
  norn_rng rng = {.stream = 11, .lane = (uint32_t)i};
  snprintf(name, sizeof name, "try_%d", i);
  gpu_kernel *k = gpu_kernel_of(m, name);
  for (int64_t j = 0; j < POINTS_EACH * n; j++) u[j] = (j < 4 * n ? 0.7 : 300) * norn_rng_normal(&rng);
  size_t room = (size_t)groups * c->room * 8, rows = (size_t)(chains * n) * 8;
  bool good = k && !gpu_arena_new(g, &a, room + 2 * rows + (c->ndata + c->nindex + 99) * 8 + 4096, 0, 1, "points");
  gpu_ptr D = gpu_arena_get(&a, c->ndata * 8 + 8), I = gpu_arena_get(&a, c->nindex * 4 + 8),
          v = gpu_arena_get(&a, room), q = gpu_arena_get(&a, rows), gq = gpu_arena_get(&a, rows),
          lp = gpu_arena_get(&a, sizeof logp), s = gpu_arena_get(&a, sizeof status);
  good = good && s && (!c->ndata || !gpu_upload(g, D, c->data, c->ndata * 8)) &&
         (!c->nindex || !gpu_upload(g, I, c->index, c->nindex * 4)) && !gpu_upload(g, q, u, rows) &&
         !gpu_launch(g, k, groups * T / 64, 64, 0, GPU_ARGS(&chains, &D, &I, &v, &q, &gq, &lp, &s)) &&
         !gpu_download(g, back, gq, rows) && !gpu_download(g, logp, lp, sizeof logp) &&
         !gpu_download(g, status, s, sizeof status);
  CHECK(good);
  if (!good) fprintf(stderr, "  %s: %s\n", name_of(i), norn_error(st)->text);
  else compare(i, T, u, back, logp, status);
  gpu_arena_free(&a);
  free(u);
  free(back);
}

static void check_densities(gpu *g, int T, int each)
{
  mem m;
  text before, t;
  mem_init(&m);
  text_init(&t, &m);
  text_init(&before, &m);
  text_puts(&before, "#define NORN_OP_FUNCTIONS\n#define NORN_MEMO\n");
  text_put(&before, dialect_text(false), dialect_size(false));
  bool good = text_make(&t, T, each);
  gpu_module *module = good ? gpu_module_new(g, &(gpu_text){"densities", before.s, t.s, 0}) : NULL;
  CHECK(module != NULL);
  if (!module) fprintf(stderr, "%s\n%s\n", norn_error(st)->text, norn_error(st)->hint);
  for (int i = 0; i < MODELS && module; i++)
    if (all[i].has) try_model(g, module, i, T);
  gpu_module_free(module);
  text_free(&t);
  text_free(&before);
}

/* ---- chains ------------------------------------------------------------------------------------- */

enum { CHAINS = 37 };

/* How far two rows of numbers are from one another, by what they are. */
static double apart(const double *x, const double *y, int64_t n)
{
  double worst = 0;
  for (int64_t i = 0; i < n; i++)
    if (!(fabs(x[i]) == HUGE_VAL && x[i] == y[i]))
      worst = fmax(worst, fabs(x[i] - y[i]) / (1 + fabs(y[i])) + (x[i] != x[i] ? HUGE_VAL : 0));
  return worst;
}

static void told_near(const chains_told *x, const chains_told *y, double tol, bool learn)
{
  CHECK_NEAR(x->accept, y->accept, tol);
  CHECK_NEAR(x->harmonic, y->harmonic, tol);
  if (learn) CHECK_NEAR(x->slope, y->slope, tol * (1 + fabs(y->slope)) * 10);
  CHECK(llabs((long long)(x->moved - y->moved)) <= (tol > 1e-4 ? 3 : 0));
  CHECK(llabs((long long)(x->diverged - y->diverged)) <= (tol > 1e-4 ? 1 : 0));
}

/* Transitions on both, from the same points; the device is put where the host is before each of floats. */
static void both(chains_run *x, chains_run *y, int64_t n, bool f32, const char *name)
{
  double *q = calloc((size_t)(CHAINS * n), sizeof *q), *r = calloc((size_t)(CHAINS * n), sizeof *r);
  double *m = calloc((size_t)(8 * n), sizeof *m), s[CHAINS][CHAINS_STATS], t[CHAINS][CHAINS_STATS];
  bool good[CHAINS], well[CHAINS];
  double tol = f32 ? 2e-2 : 1e-7;
  norn_rng g = {.stream = 3};
  for (int64_t i = 0; i < n; i++) m[i] = 0.5 + 0.1 * (double)(i % 7);
  for (int64_t i = 0; i < CHAINS * n; i++) q[i] = 0.3 * norn_rng_normal(&g);
  CHECK(!x->ops->metric(x->self, m) && !y->ops->metric(y->self, m));
  CHECK(!x->ops->put(x->self, q, good) && !y->ops->put(y->self, q, well) && !memcmp(good, well, sizeof good));
  for (uint32_t k = 0; k < 4; k++) {
    const chains_ask ask = {.iter = k, .steps = 1 + 3 * k, .step = k == 3 ? 3 : 0.05, .least = 0.01, .learn = k != 1,
                            .trial = k == 2};
    chains_told a, b;
    CHECK(!x->ops->transition(x->self, &ask, &a) && !y->ops->transition(y->self, &ask, &b));
    told_near(&a, &b, tol, ask.learn && k < 3);
    CHECK(!x->ops->read(x->self, q, s[0]) && !y->ops->read(y->self, r, t[0]));
    double far = apart(q, r, CHAINS * n), stats = apart(s[0], t[0], CHAINS * CHAINS_STATS);
    bool same = k == 3 || f32 || (far < 1e-8 && stats < 1e-6);
    if (!same) fprintf(stderr, "  %s, transition %u: %g, statistics %g\n", name, k, far, stats);
    CHECK(same);
    if (f32 && k == 0) {
      int much = 0;
      for (int c = 0; c < CHAINS; c++) much += apart(q + c * n, r + c * n, n) > 1e-3;
      CHECK(much <= 1);                            /* an acceptance may turn */
    }
    if (f32) CHECK(!x->ops->put(x->self, r, good));
  }
  CHECK(!x->ops->moments(x->self, m) && !y->ops->moments(y->self, m + 4 * n));
  CHECK(apart(m, m + 4 * n, 2 * n) < (f32 ? 1e-4 : 1e-7));
  free(q);
  free(r);
  free(m);
}

static void check_chains(gpu *g, const char *name, const char *program_text, int T, bool f32)
{
  norn_density *d = density_of(name, program_text);
  chains_run device = {0}, host = {0};
  char why[100];
  if (!d) return;
  CHECK(!gpu_chains_lacks(d->last->p, why, sizeof why));
  const gpu_chains_wish wish = {.f32 = f32, .threads = T};
  norn_status s = gpu_chains_new(g, d->last->p, CHAINS, 5, &wish, &device);
  CHECK(s == NORN_OK);
  if (s) fprintf(stderr, "  %s: %s\n%s\n", name, norn_error(st)->text, norn_error(st)->hint);
  CHECK(chains_cpu_new(st, d, CHAINS, 1, 0, 5, &host));
  if (device.ops && host.ops) both(&device, &host, norn_density_dim(d), f32, name);
  if (device.ops) device.ops->free(device.self);
  if (host.ops) host.ops->free(host.self);
  norn_density_free(d);
}

/* Chains of simplexes, ordered vectors, factors and correlations; and with branches that go several ways. */
static void check_maps(gpu *g)
{
  char written[4000];
  for (int i = 0; i < KNOWN; i++) {
    static const char *const wanted[] = {"simplexes", "factors", "branch observes", "branch carry", "branch domains"};
    bool is = false;
    for (int k = 0; k < NORN_COUNT(wanted); k++) is |= !strcmp(models[i].name, wanted[k]);
    if (!is) continue;
    snprintf(written, sizeof written, "%s\nm()", models[i].text);
    check_chains(g, models[i].name, written, 1, false);
    check_chains(g, models[i].name, written, 4, false);
    if (!gpu_test_real()) check_chains(g, models[i].name, written, 2, true);
  }
}

/* What can't be says what. */
static void check_refusals(gpu *g)
{
  char why[100];
  chains_run run = {0};
  norn_density *d = density_of("branch", "model m() { let a ~ normal(0, 1)\n"
                               "observe 1 ~ normal([a, 2][if a > 0 { 0 } else { 1 }], 1)\na }\nm()");
  if (!d) return;
  CHECK_STR(gpu_chains_lacks(d->last->p, why, sizeof why), "a branch on a parameter");
  norn_density_free(d);
  d = density_of("matrix", "model m() { let w ~ wishart(4, [[1, 0.2], [0.2, 2]])\nobserve 1 ~ normal(w[0, 0], 1)\nw }\nm()");
  if (!d) return;
  const char *lacks = gpu_chains_lacks(d->last->p, why, sizeof why);
  const gpu_chains_wish wish = {.threads = 8};
  CHECK_STR(lacks, "wishart");
  if (lacks) {
    CHECK(gpu_chains_new(g, d->last->p, 8, 5, &wish, &run) != NORN_OK && !run.ops);
    CHECK(strstr(norn_error(st)->text, lacks) != NULL);
    norn_clear(st);
  }
  norn_density_free(d);
}

int main(void)
{
  bool small = getenv("NORN_GPU_SMALL") != NULL;
  st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (!g) return unit_end();
  for (int i = 0; i < MODELS; i++) {
    const char *const more[] = {radon, shifted, logistic};
    char written[4000];
    if (i < KNOWN) snprintf(written, sizeof written, "%s\nm()", models[i].text);
    all[i].d = density_of(name_of(i), i < KNOWN ? written : more[i - KNOWN]);
  }
  /* Compiling takes long, by NVRTC above all: of 32 threads, which is 4 with another number, not every model. */
  static const int threads[] = {1, 4, 32}, mock_each[] = {1, 1, 3};
  for (int k = 0; k < 3; k++)
    if (!small || k == 1)
      check_densities(g, threads[k], small ? 7 : !gpu_test_real() ? mock_each[k] : k == 1 ? 3 : 12);
  if (!gpu_test_real()) {
    setenv("NORN_MOCK", "order=2", 1);
    check_densities(g, small ? 4 : 32, small ? 7 : 3);      /* the text from before */
  }
  for (int i = 0; i < MODELS; i++) {
    density_code_free(&all[i].code);
    norn_density_free(all[i].d);
  }
  for (int k = 0; k < 6 && !small; k++)
    if (!gpu_test_real() || k == 3) check_chains(g, "radon", radon, 1 << k, false);
  check_chains(g, "radon", radon, 8, true);
  check_chains(g, "schools", schools, 0, false);
  check_chains(g, "shifted", shifted, 16, false);
  check_maps(g);
  check_refusals(g);
  norn_free(st);
  return unit_end();
}
