/* test_density_text: the text of whole programs (graph/density_text.h), compiled for the CPU with one thread
   to a chain, against program_eval: log densities, gradients and statuses at random points, also outside.
   Many threads to a chain run on the mock of a GPU: tests/gpu/check_density.c. */
#include "graph/density_text.h"
#include "graph/dialect.h"
#include "graph/program.h"
#include "infer/gradient/density.h"
#include "num/rng.h"
#include "compiled.h"
#include "density_models.h"
#include "unit.h"

enum { MODELS = sizeof models / sizeof *models + 4, POINTS_EACH = 12 };
static norn_state *st;

typedef struct one { norn_density *d; density_code code; bool has; } one;

/* A hierarchy with crossed effects; shifted views and scattered reads of one array; many coefficients. */
static const char *const more[] = {
  "let county = for i in 0..300 { (i * i + 7 * i) % 17 }\nlet other = for i in 0..300 { (i * 31) % 5 }\n"
  "let y = for i in 0..300 { (i * 17 % 23) / 7.0 - 1.5 }\n"
  "model m() { let mu ~ normal(0, 10)\nlet tau ~ half_normal(1)\nlet s ~ half_normal(1)\n"
  "let b ~ normal(0, 10)\nlet al = for j in 0..17 { let z ~ normal(0, 1)\n mu + tau * z }\nlet c ~ iid(normal(0, 1), 5)\n"
  "for i in 0..300 { observe y[i] ~ normal(al[county[i]] + c[other[i]] + b * y[i] * y[i], s) } }\nm()",
  "let y = for i in 0..200 { (i * 17 % 23) / 7.0 - 1.5 }\n"
  "model m() { let x ~ iid(normal(0, 1), 200)\nlet s ~ exponential(1)\n"
  "for i in 1..200 { observe x[i] - x[i - 1] ~ normal(0, s) }\n"
  "for i in 0..200 { observe y[i] ~ normal(x[i] + 0.1 * x[(i * i) % 7], 1 + exp(x[0])) } }\nm()",
  "let X = for i in 0..100 { for j in 0..20 { ((i * 7 + j * 13 + i * j) % 19) / 9.0 - 1.0 } }\n"
  "let y = for i in 0..100 { i % 3 == 0 }\n"
  "model m() { let a ~ normal(0, 1)\nlet b ~ iid(normal(0, 1), 20)\nlet eta = X @ b + a\n"
  "observe y ~ bernoulli_logit(eta) }\nm()",
  "model m() { let s ~ half_normal(1)\nlet a ~ flat_simplex(3)\nlet o ~ flat_ordered(4)\n"
   "let z ~ flat_sum_to_zero(4)\nlet v ~ flat_unit_vector(3)\nlet po ~ flat_positive_ordered(2)\n"
   "let e ~ ordered(iid(uniform(0, 1), 3))\n"
   "observe [1, 2, 3, 4] ~ normal(o + z, s)\nobserve [0.2, 0.4, 0.1] ~ normal(a + v, 0.3)\n"
   "observe po[1] ~ normal(2 + e[1] * e[2], 1)\n o }\nm()",
};

static bool model_make(int i, one *m)
{
  char written[4000];
  norn_datum model;
  int known = MODELS - 4;
  const char *name = i < known ? models[i].name : "more";
  if (i < known) snprintf(written, sizeof written, "%s\nm()", models[i].text);
  else snprintf(written, sizeof written, "%s", more[i - known]);
  if (norn_eval(st, name, written, strlen(written), 0, &model)) { CHECK(0); return false; }
  m->d = norn_density_new(st, model, 7, 0);
  if (!m->d) { CHECK(0); return false; }
  double u[400], logp;
  norn_rng g = {.stream = 9, .lane = (uint32_t)i};
  for (int64_t k = 0; k < norn_density_dim(m->d); k++) u[k] = 0.3 * norn_rng_normal(&g);
  CHECK(norn_density_eval(m->d, u, &logp, NULL) == NORN_OK);
  if (!m->d->last) { fprintf(stderr, "  %s: no point\n", name); CHECK(0); return false; }
  m->has = density_code_new(m->d->last->p, 1, false, &m->code);
  if (!m->has) printf("%-14s no text: %s\n", name, m->code.why);
  return m->has;
}

typedef int (*density_fn)(double *v, const double *D, const uint32_t *I, int tid, int64_t stride,
                          double *logp);

/* Within rounding; program_eval takes long recurrences of probabilities in another order (loglinear.c). */
static bool near(double a, double b, double scale)
{
  return a == b || (a != a && b != b) || fabs(a - b) <= 3e-11 * scale;
}

static void compare(int i, one *m, density_fn f)
{
  program *p = m->d->last->p;
  int64_t n = norn_density_dim(m->d);
  double *v = calloc(m->code.room + 1, sizeof *v), u[400], g[400];
  norn_rng rng = {.stream = 11, .lane = (uint32_t)i};
  int outside = 0, guards = 0, wrong = 0;
  for (int k = 0; k < POINTS_EACH; k++) {
    double logp, mine, scale = 1;
    size_t where;
    for (int64_t j = 0; j < n; j++) u[j] = (k < 8 ? 0.7 : k < 10 ? 5 : 300) * norn_rng_normal(&rng);
    eval_status status = program_eval(p, u, &logp, g, &where);
    memcpy(v, u, (size_t)n * sizeof *u);
    int got = f(v, m->code.data, m->code.index, 0, 1, &mine);
    outside += status == EVAL_OUTSIDE;
    guards += status == EVAL_GUARD;
    for (int64_t j = 0; j < n && !status; j++) scale = fmax(scale, fabs(g[j]));
    bool good = got == (int)status && near(mine, logp, 1 + fabs(logp));
    for (int64_t j = 0; j < n && !status && good; j++) good = near(v[m->code.nslot + j], g[j], scale);
    if (!good && !wrong++) {
      fprintf(stderr, "  %s at point %d: status %d, not %d; %.17g, not %.17g\n",
              i < MODELS - 4 ? models[i].name : "more", k, got, (int)status, mine, logp);
      for (int64_t j = 0; j < n && j < 6; j++)
        fprintf(stderr, "    %.17g %.17g\n", v[m->code.nslot + j], g[j]);
    }
  }
  CHECK(!wrong);
  free(v);
  (void)outside, (void)guards;
}

int main(int argc, char **argv)
{
  static one all[MODELS];
  mem m;
  text t;
  int has = 0;
  st = norn_new(NULL);
  mem_init(&m);
  text_init(&t, &m);
  text_printf(&t, "#define NORN_OP_FUNCTIONS\n%s", argc > 2 ? "#define NORN_MEMO\n" : "");
  text_put(&t, dialect_text(false), dialect_size(false));
  for (int i = 0; i < MODELS; i++) {
    if (argc > 1 && atoi(argv[1]) >= 0 && atoi(argv[1]) != i) continue;
    if (!model_make(i, &all[i])) continue;
    text_printf(&t, "#define density_at density_at_%d\n", i);
    text_put(&t, all[i].code.body.s, all[i].code.body.n);
    text_printf(&t, "#undef density_at\nvoid *text_%d(void) { return density_at_%d; }\n", i, i);
    has++;
  }
  CHECK(argc > 1 || has >= 42);
  void *object = compiled(t.s, t.n, "");
  CHECK(object != NULL);
  for (int i = 0; i < MODELS && object; i++) {
    char name[40];
    void *(*get)(void);
    density_fn f;
    if (!all[i].has) continue;
    snprintf(name, sizeof name, "text_%d", i);
    COMPILED(object, name, get);
    if (!get) { CHECK(0); continue; }
    void *p = get();
    memcpy(&f, &p, sizeof f);
    compare(i, &all[i], f);
  }
  if (object) dlclose(object);
  for (int i = 0; i < MODELS; i++) {
    density_code_free(&all[i].code);
    norn_density_free(all[i].d);
  }
  text_free(&t);
  norn_free(st);
  return unit_end();
}
