/* check_llm: the built-in decoder on a GPU (llm/decoder/decoder_gpu.h) beside the CPU's: every architecture and format; the
   same bits whatever else is computed, from any pages; shared tokens and weights once, memory that comes back; and what
   is wrong is said, or the CPU goes on. */
#include "gpu_test.h"
#include "../unit/decoder_models.h"
#include "llm/decoder/decoder_gpu.h"
#include <math.h>

static norn_state *st;
static gpu *g;

#define FORMATS(F, arch, ...) \
  F(arch, F32, __VA_ARGS__) F(arch, F16, __VA_ARGS__) F(arch, BF16, __VA_ARGS__) F(arch, Q8_0, __VA_ARGS__) \
  F(arch, Q4_0, __VA_ARGS__) F(arch, Q4_K, __VA_ARGS__) F(arch, Q5_K, __VA_ARGS__) F(arch, Q6_K, __VA_ARGS__)
#define SPEC(arch, type, ...) { #arch "-" #type, #arch, QUANT_##type, __VA_ARGS__, 0, 0 },
static const model_spec specs[] = {
  FORMATS(SPEC, llama, 1, 256, 4, 2, 256, 48, 160, true, false)
  FORMATS(SPEC, qwen2, 1, 256, 4, 2, 256, 48, 160, false, false)
  FORMATS(SPEC, gpt2, 1, 256, 4, 4, 256, 48, 160, true, false)
};
static const model_spec odd[] = {
  { "llama-odd", "llama", QUANT_F32, 2, 60, 5, 1, 99, 37, 160, false, false, 0, 0 },
  { "gpt2-odd", "gpt2", QUANT_F16, 2, 36, 3, 3, 50, 41, 160, false, false, 0, 0 },
  { "qwen2-odd", "qwen2", QUANT_BF16, 2, 68, 2, 1, 51, 33, 160, true, false, 0, 0 },
  { "llama-eights", "llama", QUANT_Q8_0, 2, 96, 4, 2, 160, 50, 160, true, true, 0, 0 },
  { "llama-wide", "llama", QUANT_Q4_0, 2, 64, 4, 2, 96, 50, 160, true, false, 0, 24 },
};

static model *there(const model_spec *z, double cache, bool returns)
{
  model *m = model_new(st, z, 1 << 28, 1);
  bool good = decoder_there(&m->d, g, cache, returns);
  if (!good) fprintf(stderr, "%s: %s\n", z->name, norn_error(st)->text);
  CHECK(good && m->d.there);
  return m;
}

static bool evaluated(model *m, lm_node *const *n, int k)
{
  norn_status s = lm_eval(&m->lm, n, k);
  if (s) fprintf(stderr, "%s\n", norn_error(st)->text);
  return s == NORN_OK;
}

/* ---- beside the CPU ------------------------------------------------------------------------------- */

/* The greatest difference over the standard deviation of the second. */
static double apart(const float *x, const float *want, int n)
{
  double mean = 0, var = 0, off = 0;
  for (int i = 0; i < n; i++) mean += want[i] / n;
  for (int i = 0; i < n; i++) var += (want[i] - mean) * (want[i] - mean) / n;
  for (int i = 0; i < n; i++) {
    off = fmax(off, fabs((double)x[i] - want[i]));
    if (!isfinite(x[i])) return HUGE_VAL;
  }
  return off / sqrt(var);
}

/* A prefix with forks: contexts that are evaluated in three calls, for which there are kernels of products of their
   own: many tokens, one, some; one is `far` behind the others, in several pages and chunks of attention. */
enum { FORKS = 6 };
static void forks(model *m, int far, lm_node **n)
{
  lm_node *trunk = model_context(m, m->lm.root, 7);
  n[0] = lm_extend(trunk, 3);
  n[1] = model_context(m, n[0], far);
  n[2] = lm_extend(n[0], 1);
  for (int i = 3; i < FORKS; i++) n[i] = lm_extend(trunk, 2 * i);
  lm_drop(trunk);
}

static bool in_three(model *m, lm_node **n)
{
  return evaluated(m, n, 2) && evaluated(m, n + 2, 1) && evaluated(m, n + 3, FORKS - 3);
}

static void drop_all(lm_node **n, int k)
{
  while (k) lm_drop(n[--k]);
}

static double beside(const model_spec *z, int far)
{
  double worst = 0;
  lm_node *a[FORKS], *b[FORKS];
  model *here = model_new(st, z, 1 << 28, 1), *card = there(z, -1, false);
  forks(here, far, a), forks(card, far, b);
  CHECK(in_three(here, a) && in_three(card, b));
  for (int i = 0; i < FORKS && b[i]->logp; i++) worst = fmax(worst, apart(b[i]->logp, a[i]->logp, z->vocab));
  if (getenv("NORN_TEST_PRINT")) printf("%s: %.2g\n", z->name, worst);
  if (!(worst < 1e-5)) fprintf(stderr, "%s: %g\n", z->name, worst);
  CHECK(worst < 1e-5);
  CHECK(here->lm.ledger.computed == card->lm.ledger.computed && here->lm.ledger.flops == card->lm.ledger.flops);
  CHECK(here->d.kv.pages == card->d.kv.pages);
  drop_all(a, FORKS), drop_all(b, FORKS);
  model_free(here), model_free(card);
  return worst;
}

/* ---- the same bits -------------------------------------------------------------------------------- */

enum { MANY = 12 };

/* Contexts: some on one path, some beside it, of different lengths, and brothers enough for every kernel. */
static void forest(model *m, lm_node **n)
{
  lm_node *trunk = model_context(m, m->lm.root, 17);
  n[0] = lm_extend(trunk, 0);
  n[1] = model_context(m, n[0], 2);
  n[2] = model_context(m, n[0], 50);
  n[3] = model_context(m, m->lm.root, 3);
  for (int i = 4; i < MANY; i++) n[i] = lm_extend(trunk, 5 + i);
  lm_drop(trunk);
}

static bool same(const model *m, lm_node *const *n, int k, const float *want)
{
  int v = m->lm.vocab.n;
  bool all = true;
  for (int i = 0; i < k; i++) all = all && n[i]->logp && memcmp(n[i]->logp, want + i * v, (size_t)v * 4) == 0;
  return all;
}

static void bits(const model_spec *z)
{
  static float want[MANY * 96];
  lm_node *n[MANY], *back[MANY];
  int v = z->vocab;
  model *m = there(z, -1, false);                                /* all at once */
  forest(m, n);
  CHECK(evaluated(m, n, MANY));
  for (int i = 0; i < MANY; i++) memcpy(want + i * v, n[i]->logp, (size_t)v * sizeof *want);
  drop_all(n, MANY);
  model_free(m);
  for (int i = 0; i < MANY; i += i < 3 ? 1 : 4) {                /* alone, with nothing kept before */
    m = there(z, -1, false);
    forest(m, n);
    CHECK(evaluated(m, n + i, 1) && same(m, n + i, 1, want + i * v));
    drop_all(n, MANY);
    model_free(m);
  }
  m = there(z, -1, false);                                       /* by 1, 2, 3, ... from behind; then without room */
  forest(m, n);
  for (int i = 0; i < MANY; i++) back[i] = n[MANY - 1 - i];
  for (int i = 0, step = 1; i < MANY; i += step++) CHECK(evaluated(m, back + i, i + step < MANY ? step : MANY - i));
  CHECK(same(m, n, MANY, want));
  m->lm.keep = 0;
  m->d.kv.limit = 2 * m->d.kv.bytes;
  lm_node *other = lm_extend(m->lm.root, 5);
  CHECK(evaluated(m, &other, 1));
  lm_drop(other);
  for (int i = 0; i < MANY; i += 2) {
    lm_node *again = n[i * 7 % MANY];
    CHECK(evaluated(m, &again, 1) && same(m, &again, 1, want + i * 7 % MANY * v));
    CHECK(m->d.kv.pages <= 2 + (again->depth + KV_PAGE - 1) / KV_PAGE);
  }
  drop_all(n, MANY);
  model_free(m);
}

/* ---- memory --------------------------------------------------------------------------------------- */

/* Particles behind a prefix, whose pages are there once; what goes gives its memory back. */
static void pages(void)
{
  enum { PARTICLES = 40, PREFIX = 48 };
  size_t before = gpu_free_memory(g);
  model *m = there(odd, -1, false), *twin = there(odd, -1, false);
  CHECK(m->d.there->weights == twin->d.there->weights && m->d.there->weights);
  model_free(twin);
  lm_node *trunk = model_context(m, m->lm.root, PREFIX), *n[PARTICLES];
  CHECK(evaluated(m, &trunk, 1));
  CHECK(m->d.kv.pages == PREFIX / KV_PAGE && m->lm.ledger.computed == PREFIX);
  for (int i = 0; i < PARTICLES; i++) n[i] = lm_extend(trunk, i % 30);
  CHECK(evaluated(m, n, PARTICLES));
  CHECK(m->d.kv.pages == PREFIX / KV_PAGE + 30);                 /* thirty different */
  lm_node *next = lm_extend(n[3], 1);
  CHECK(evaluated(m, &next, 1) && next->state == n[3]->state);   /* goes on in its page */
  m->lm.keep = 0;
  drop_all(n, PARTICLES);
  lm_node *again = lm_extend(next, 7);
  CHECK(evaluated(m, &again, 1));
  CHECK(m->d.kv.pages == PREFIX / KV_PAGE + 1);
  lm_drop(again), lm_drop(next), lm_drop(trunk);
  model_free(m);
  if (!gpu_test_real()) CHECK(gpu_free_memory(g) == before);
}

/* ---- what is wrong -------------------------------------------------------------------------------- */

static bool says(const char *what)
{
  bool right = strstr(norn_error(st)->text, what) != NULL;
  if (!right) fprintf(stderr, "not \"%s\": %s\n", what, norn_error(st)->text);
  norn_clear(st);
  return right;
}

static void no_room(void)
{
  char order[60];
  size_t used = (size_t)4 << 30, some;
  used -= gpu_free_memory(g);
  model *m = model_new(st, odd, 1 << 28, 1);
  snprintf(order, sizeof order, "memory=%zu", used + 10000);
  setenv("NORN_MOCK", order, 1);
  CHECK(!decoder_there(&m->d, g, -1, false) && !m->d.there && says("the weights of llama-odd need "));
  setenv("NORN_MOCK", "", 1);
  CHECK(decoder_there(&m->d, g, 1e9, false));
  lm_node *n[20];
  for (int i = 0; i < 20; i++) n[i] = lm_extend(m->lm.root, i);
  CHECK(evaluated(m, n, 1));
  some = ((size_t)4 << 30) - gpu_free_memory(g);
  m->d.there->slab->left = 2;                                    /* three pages are all that there are */
  snprintf(order, sizeof order, "memory=%zu", some + 1000);
  setenv("NORN_MOCK", order, 1);
  CHECK(lm_eval(&m->lm, n + 1, 4) != NORN_OK && m->d.kv.pages == 0);
  CHECK(strstr(norn_error(st)->hint, "device = \"cpu\"") && says("keys and values of 16 tokens more do not fit"));
  m->lm.keep = 0;
  for (int i = 0; i < 20; i++) CHECK(evaluated(m, n + i, 1));    /* others go */
  CHECK(m->d.kv.pages <= 3);
  setenv("NORN_MOCK", "", 1);
  drop_all(n, 20);
  model_free(m);
}

/* Room for a few rows at a time is enough. */
static void little_room(void)
{
  lm_node *n;
  char order[60];
  model *m = there(odd, 1e9, false);
  lm_node *one = model_context(m, m->lm.root, 1);
  CHECK(evaluated(m, &one, 1));
  n = model_context(m, m->lm.root, 100);
  size_t some = ((size_t)4 << 30) - gpu_free_memory(g);
  snprintf(order, sizeof order, "memory=%zu", some + 300000);
  setenv("NORN_MOCK", order, 1);
  CHECK(evaluated(m, &n, 1));
  setenv("NORN_MOCK", "", 1);
  lm_drop(n), lm_drop(one);
  model_free(m);
}

static int warnings;
static void on_warning(void *user, const norn_err *e)
{
  (void)user;
  warnings += strstr(e->text, "the CPU goes on with the language model") != NULL;
}

/* A device that is lost in the middle: an error, and again; or the CPU goes on with the bits that it has. */
static void lost(const char *order, bool returns)
{
  norn_state *old = st;
  gpu *was = g;
  st = gpu_test_state();
  setenv("NORN_MOCK", "", 1);
  g = gpu_test_open(st);
  norn_on_warning(st, on_warning, NULL);
  warnings = 0;
  model *m = there(odd, -1, returns), *cpu = model_new(st, odd, 1 << 28, 1);
  lm_node *a = model_context(m, m->lm.root, 20), *b = model_context(m, a, 3), *c = model_context(cpu, cpu->lm.root, 23);
  CHECK(evaluated(m, &a, 1) && evaluated(cpu, &c, 1));
  setenv("NORN_MOCK", order, 1);
  if (returns) {
    CHECK(evaluated(m, &b, 1) && !m->d.there && m->d.why[0] && warnings == 1);
    CHECK(b->logp && !memcmp(b->logp, c->logp, (size_t)cpu->lm.vocab.n * sizeof *c->logp));
  } else {
    CHECK(lm_eval(&m->lm, &b, 1) != NORN_OK && !b->logp);
    CHECK(says(strstr(order, "launch") ? "no GPU: the device was lost" : "the GPU failed"));
    if (strstr(order, "launch")) CHECK(lm_eval(&m->lm, &b, 1) != NORN_OK && says("no GPU: the device was lost"));
    else CHECK(evaluated(m, &b, 1) && apart(b->logp, c->logp, cpu->lm.vocab.n) < 1e-5);
  }
  lm_drop(a), lm_drop(b), lm_drop(c);
  model_free(m), model_free(cpu);
  setenv("NORN_MOCK", "", 1);
  norn_free(st);
  st = old;
  g = was;
}

/* Whichever request for memory fails, there or here: an error or none, no page is lost, and then the same numbers. */
static void failures(void)
{
  model *m = there(odd + 1, -1, false);
  lm_node *n = model_context(m, m->lm.root, 40);
  char order[40];
  int failed = 0;
  for (int k = 1; k < 4; k++) {
    snprintf(order, sizeof order, "alloc=%d", k);
    setenv("NORN_MOCK", order, 1);
    norn_status s = lm_eval(&m->lm, &n, 1);
    CHECK(s ? !n->logp && m->d.kv.pages == 0 : n->logp != NULL);
    failed += s != NORN_OK;
    norn_clear(st);
    if (!s) break;
  }
  setenv("NORN_MOCK", "", 1);
  if (!n->logp) CHECK(evaluated(m, &n, 1));
  lm_node *other = model_context(m, n, 9);
  norn_status s = NORN_EMEMORY;
  for (failed = 0; s && failed < 60; failed += s != NORN_OK) {
    m->lm.m->fail_at = m->lm.m->requests + (uint64_t)failed + 1;
    s = lm_eval(&m->lm, &other, 1);
    m->lm.m->fail_at = 0;
    CHECK(s ? s == NORN_EMEMORY && !other->logp : other->logp != NULL);
    norn_clear(st);
  }
  CHECK(failed > 3 && failed < 60);
  lm_drop(n), lm_drop(other);
  model_free(m);
}

/* By the row: what is ordered, what is wished, and a state that ends while its models are open. */
static void opened(void)
{
  norn_state *old = st;
  st = gpu_test_state();
  static const char *const names[] = { "device" };
  norn_datum v = norn_cstring(st, "gpu"), bad = norn_cstring(st, "tpu"), wish = norn_cstring(st, "auto");
  lm *x = lm_open(st, "builtin:tiny", norn_record(st, 1, names, &v));
  CHECK(x && !strcmp(x->device, "gpu") && !x->device_why[0]);
  lm *y = lm_open(st, "builtin:tiny", norn_record(st, 1, names, &wish));
  CHECK(y && !strcmp(y->device, "cpu") && strstr(y->device_why, "predicted to be faster here"));
  CHECK(!lm_open(st, "builtin:tiny", norn_record(st, 1, names, &bad)));
  CHECK(says("must be \"cpu\", \"gpu\" or \"auto\", got "));
  lm_node *n = lm_start(x, "Q: 1 + 2 = ?\n", 13);
  CHECK(n && lm_eval(x, &n, 1) == NORN_OK);
  norn_free(st);                                 /* before its models */
  st = old;
}

static void no_gpu(void)
{
  norn_state *old = st;
  static const char *const names[] = { "device" };
  char path[1000];
  snprintf(path, sizeof path, "%s", getenv("NORN_CUDA"));
  st = gpu_test_state();
  setenv("NORN_CUDA", "none", 1);
  norn_datum v = norn_cstring(st, "gpu"), wish = norn_cstring(st, "auto");
  CHECK(!lm_open(st, "builtin:tiny", norn_record(st, 1, names, &v)));
  CHECK(strstr(norn_error(st)->hint, "device = \"auto\""));
  CHECK(says("device = \"gpu\" of builtin:tiny can't be had: "));
  lm *x = lm_open(st, "builtin:tiny", norn_record(st, 1, names, &wish));
  CHECK(x && !strcmp(x->device, "cpu") && x->device_why[0]);
  if (x) lm_close(x);
  norn_free(st);
  setenv("NORN_CUDA", path, 1);
  st = old;
}

int main(void)
{
  double worst = 0;
  st = gpu_test_state();
  if (!(g = gpu_test_open(st))) return 1;
  for (int i = 0; i < NORN_COUNT(specs); i++) worst = fmax(worst, beside(specs + i, 1));
  for (int i = 0; i < NORN_COUNT(odd); i++) worst = fmax(worst, beside(odd + i, 130));
  gpu_test_figure("language models: logits beside the CPU, of their sd", "1e-5", "%.2g", worst);
  bits(odd);
  pages();
  if (!gpu_test_real()) {
    setenv("NORN_MOCK", "order=2", 1);
    bits(odd + 3);
    setenv("NORN_MOCK", "", 1);
    no_room();
    little_room();
    failures();
    lost("launch=3", false), lost("launch=3", true), lost("refuse=9", false), lost("refuse=9", true);
    lost("copy=1", false), lost("copy=1", true);
    opened();
    no_gpu();
  }
  norn_free(st);
  return unit_end();
}
