/* test_decoder.c: the built-in decoder beside logits of another implementation (tests/llm/reference.py), of every
   architecture and format; the same bits whatever else is computed, with any threads, from any pages; shared tokens
   kept once; and what is wrong is said.  With a folder as its argument it writes the models there. */
#include "decoder_models.h"
#include "llm/decoder/decoder_in.h"
#include "num/level.h"

enum { CONTEXT = 40 };
#define SIZES 2, 256, 4, 2, 512, 96, 64
#define GPT2 2, 256, 4, 4, 512, 96, 64
#define FORMATS(F, arch, sizes, ...) \
  F(arch, F32, sizes, __VA_ARGS__) F(arch, F16, sizes, __VA_ARGS__) F(arch, BF16, sizes, __VA_ARGS__) \
  F(arch, Q8_0, sizes, __VA_ARGS__) F(arch, Q4_0, sizes, __VA_ARGS__) F(arch, Q4_K, sizes, __VA_ARGS__) \
  F(arch, Q5_K, sizes, __VA_ARGS__) F(arch, Q6_K, sizes, __VA_ARGS__)
#define SPEC(arch, type, sizes, ...) { #arch "-" #type, #arch, QUANT_##type, sizes, __VA_ARGS__ },
static const model_spec specs[] = {
  FORMATS(SPEC, llama, SIZES, true, false, 0, 0) FORMATS(SPEC, qwen2, SIZES, false, false, 0, 0)
  FORMATS(SPEC, gpt2, GPT2, true, false, 0, 0)
  { "llama-odd", "llama", QUANT_F32, 3, 60, 5, 1, 99, 37, 64, false, false, 0, 0 },
  { "llama-factors", "llama", QUANT_F32, 2, 64, 4, 2, 128, 50, 64, true, true, 0, 0 },
  { "llama-linear", "llama", QUANT_F32, 2, 64, 4, 4, 128, 50, 64, true, false, 4, 0 },
  { "llama-wide", "llama", QUANT_F32, 2, 64, 4, 2, 128, 50, 64, true, false, 0, 24 },
  { "gpt2-odd", "gpt2", QUANT_F16, 2, 36, 3, 3, 50, 41, 64, false, false, 0, 0 },
};

static double tolerance(quant_type t)
{
  return t == QUANT_F32 ? 1e-4 : t == QUANT_F16 || t == QUANT_BF16 ? 2e-3 : t == QUANT_Q8_0 ? 2e-2 : 5e-2;
}

static int write_all(norn_state *st, const char *folder)
{
  for (int i = 0; i < NORN_COUNT(specs); i++) {
    char path[500];
    gguf_writer *w = model_written(st, specs + i);
    snprintf(path, sizeof path, "%s/%s.gguf", folder, specs[i].name);
    if (gguf_write(w, path)) return fprintf(stderr, "%s\n", norn_error(st)->text), 1;
    gguf_writer_free(w);
  }
  return 0;
}

static const model_spec *spec(const char *name)
{
  for (int i = 0; i < NORN_COUNT(specs); i++)
    if (strcmp(specs[i].name, name) == 0) return specs + i;
  abort();
}

/* ---- beside the reference ---- */

/* The greatest difference of log-probabilities over the reference's standard deviation. */
static double worst(const float *logp, const double *want, int n)
{
  double mean = 0, var = 0, off = 0;
  for (int i = 0; i < n; i++) mean += want[i] / n;
  for (int i = 0; i < n; i++) var += (want[i] - mean) * (want[i] - mean) / n;
  for (int i = 0; i < n; i++) off = fmax(off, fabs(logp[i] - want[i]));
  return off / sqrt(var);
}

/* Lines "NAME DEPTH numbers": log-probabilities behind so many tokens. */
static void test_reference(norn_state *st)
{
  const char *dir = getenv("srcdir");
  char path[500], name[64];
  double want[96];
  int depth, lines = 0;
  snprintf(path, sizeof path, "%s/tests/llm/logits.txt", dir ? dir : ".");
  FILE *f = fopen(path, "r");
  CHECK(f != NULL);
  for (; f && fscanf(f, "%63s %d", name, &depth) == 2; lines++) {
    const model_spec *z = spec(name);
    for (int i = 0; i < z->vocab; i++) CHECK(fscanf(f, "%lf", want + i) == 1);
    model *m = model_new(st, z, 1 << 28, 2);
    lm_node *n = model_context(m, m->lm.root, depth);
    CHECK(lm_eval(&m->lm, &n, 1) == NORN_OK);
    double off = n->logp ? worst(n->logp, want, z->vocab) : 1;
    if (getenv("NORN_TEST_PRINT")) printf("%s %d: %.2g (goal %g)\n", name, depth, off, tolerance(z->type));
    if (!(off <= tolerance(z->type))) fprintf(stderr, "%s at %d: ", name, depth);
    CHECK_NEAR(off, 0, tolerance(z->type));
    lm_drop(n);
    model_free(m);
  }
  CHECK(lines == 2 * NORN_COUNT(specs));
  if (f) fclose(f);
}

/* ---- the same bits ---- */

/* Contexts: some on one path, some beside it, of different lengths. */
static int forest(model *m, lm_node **n)
{
  int k = 0;
  lm_node *trunk = model_context(m, m->lm.root, 21);
  for (int i = 0; i < 5; i++) {
    n[k] = lm_extend(trunk, i);
    n[k + 1] = model_context(m, n[k], 1 + 4 * i);
    k += 2;
  }
  n[k++] = model_context(m, m->lm.root, 3);
  n[k++] = model_context(m, m->lm.root, CONTEXT);
  n[k] = lm_extend(m->lm.root, 5);
  k++;
  lm_drop(trunk);
  return k;
}

static void drop_all(lm_node **n, int k)
{
  while (k) lm_drop(n[--k]);
}

/* Each alone, with nothing kept before. */
static void alone(norn_state *st, const model_spec *z, float *out)
{
  for (int i = 0, k = 1; i < k; i++) {
    lm_node *n[32];
    model *m = model_new(st, z, 1 << 28, 1);
    k = forest(m, n);
    CHECK(lm_eval(&m->lm, n + i, 1) == NORN_OK);
    memcpy(out + i * z->vocab, n[i]->logp, (size_t)z->vocab * sizeof *out);
    drop_all(n, k);
    model_free(m);
  }
}

static bool same(const model *m, lm_node *const *n, int k, const float *want)
{
  int v = m->lm.vocab.n;
  bool all = true;
  for (int i = 0; i < k; i++) all = all && n[i]->logp && memcmp(n[i]->logp, want + i * v, (size_t)v * 4) == 0;
  return all;
}

static void test_bits(norn_state *st, const model_spec *z)
{
  float *want = malloc(32 * 96 * sizeof *want);
  lm_node *n[32], *back[32];
  alone(st, z, want);
  for (int threads = 1; threads <= 3; threads++) {
    model *m = model_new(st, z, 1 << 28, threads);               /* all at once */
    int k = forest(m, n);
    CHECK(lm_eval(&m->lm, n, k) == NORN_OK && same(m, n, k, want));
    drop_all(n, k);
    model_free(m);
    m = model_new(st, z, 1 << 28, threads);                      /* backwards, one by one, then again without room */
    k = forest(m, n);
    for (int i = 0; i < k; i++) back[i] = n[k - 1 - i];
    for (int i = 0; i < k; i++) CHECK(lm_eval(&m->lm, back + i, 1) == NORN_OK);
    CHECK(same(m, n, k, want));
    m->lm.keep = 0;
    m->d.kv.limit = 3 * m->d.kv.bytes;
    back[0] = model_context(m, m->lm.root, 2);
    CHECK(lm_eval(&m->lm, back, 1) == NORN_OK);
    lm_drop(back[0]);
    for (int i = 0; i < 3 * k; i++) {
      lm_node *one = n[i * 5 % k];
      CHECK(lm_eval(&m->lm, &one, 1) == NORN_OK && same(m, &one, 1, want + i * 5 % k * z->vocab));
      CHECK(m->d.kv.pages <= 3 + (one->depth + KV_PAGE - 1) / KV_PAGE);
    }
    CHECK(m->lm.ledger.computed > 100);
    drop_all(n, k);
    model_free(m);
  }
  free(want);
}

/* ---- pages ---- */

/* 64 particles behind 48 tokens: these are kept once. */
static void test_pages(norn_state *st)
{
  enum { PARTICLES = 64, PREFIX = 48 };
  model *m = model_new(st, spec("llama-factors"), 1 << 28, 2);
  lm_node *trunk = model_context(m, m->lm.root, PREFIX), *n[PARTICLES];
  CHECK(lm_eval(&m->lm, &trunk, 1) == NORN_OK);
  CHECK(m->d.kv.pages == PREFIX / KV_PAGE && m->lm.ledger.computed == PREFIX);
  for (int i = 0; i < PARTICLES; i++) n[i] = lm_extend(trunk, i % 50);
  CHECK(lm_eval(&m->lm, n, PARTICLES) == NORN_OK);
  CHECK(m->d.kv.pages == PREFIX / KV_PAGE + 50);                 /* fifty different */
  CHECK(m->lm.ledger.computed == PREFIX + 50 && m->lm.ledger.flops > 0);
  lm_node *next = lm_extend(n[3], 1), *other = lm_extend(n[3], 2);
  CHECK(lm_eval(&m->lm, &next, 1) == NORN_OK && next->state == n[3]->state);      /* goes on in its page */
  CHECK(lm_eval(&m->lm, &other, 1) == NORN_OK && other->state != n[3]->state);
  CHECK(m->d.kv.pages == PREFIX / KV_PAGE + 51);
  m->lm.keep = 0;                                                /* logits go, and what nothing holds */
  drop_all(n, PARTICLES);
  lm_drop(next);
  lm_node *again = lm_extend(other, 7);
  CHECK(lm_eval(&m->lm, &again, 1) == NORN_OK);
  CHECK(m->d.kv.pages == PREFIX / KV_PAGE + 2);                  /* that of n[3], and that of other and again */
  lm_drop(again);
  lm_drop(other);
  lm_drop(trunk);
  model_free(m);
}

/* ---- what is wrong ---- */

static void test_errors(norn_state *st)
{
  model *m = model_new(st, spec("llama-odd"), 1 << 28, 1);
  lm_node *n = model_context(m, m->lm.root, 65), *root = m->lm.root;
  CHECK(lm_eval(&m->lm, &n, 1) != NORN_OK && strstr(norn_error(st)->text, "longer than the 64"));
  norn_clear(st);
  CHECK(decoder_eval(&m->d, &m->lm, &n, 1) != NORN_OK && strstr(norn_error(st)->text, "longer than the 64"));
  norn_clear(st);
  CHECK(lm_eval(&m->lm, &root, 1) != NORN_OK && strstr(norn_error(st)->text, "empty context"));
  norn_clear(st);
  lm_drop(n);
  CHECK(m->d.kv.pages == 0);
  n = model_context(m, m->lm.root, 40);
  CHECK(lm_eval(&m->lm, &n, 1) == NORN_OK);
  lm_drop(n);
  model_free(m);
}

/* Whichever request for memory fails: an error, no page is lost, and then the same numbers. */
static void test_memory(norn_state *st)
{
  model *m = model_new(st, spec("llama-odd"), 1 << 28, 1);
  lm_node *n = model_context(m, m->lm.root, CONTEXT);
  norn_status s = NORN_EMEMORY;
  int failures = 0;
  while (s && failures < 100) {
    m->lm.m->fail_at = m->lm.m->requests + (uint64_t)failures + 1;
    s = lm_eval(&m->lm, &n, 1);
    m->lm.m->fail_at = 0;
    CHECK(s ? s == NORN_EMEMORY && !n->logp && m->d.kv.pages == 0 : n->logp != NULL);
    failures += s != NORN_OK;
    norn_clear(st);
  }
  CHECK(failures > 5 && failures < 100 && m->d.kv.pages == 3);
  lm_drop(n);
  model_free(m);
}

static void refused(norn_state *st, gguf_writer *w, const char *why)
{
  uint8_t *bytes;
  size_t size;
  gguf f;
  decoder d;
  CHECK(gguf_write_bytes(w, &bytes, &size) == NORN_OK);
  gguf_writer_free(w);
  CHECK(gguf_view(st, "bad.gguf", bytes, size, &f));
  CHECK(!decoder_open(&d, st, lm_mem(st), &f, 0, 1));
  if (!strstr(norn_error(st)->text, why)) CHECK_STR(norn_error(st)->text, why);
  norn_clear(st);
  gguf_close(&f);
  norn_alloc(st, bytes, size, 0);
}

static void test_refused(norn_state *st)
{
  model_spec z = *spec("llama-factors");
  gguf_writer *w = gguf_writer_new(st);
  gguf_put_string(w, "general.architecture", "mamba", 5);
  refused(st, w, "the architecture \"mamba\" (it knows llama, qwen2 and gpt2)");
  refused(st, gguf_writer_new(st), "general.architecture");
  z.arch = "qwen2";                              /* biases are there; of gpt2's tensors most are not */
  z.kv_heads = 3;
  refused(st, model_written(st, &z), "do not share the 3 heads of keys evenly");
  z = *spec("llama-factors");
  w = gguf_writer_new(st);
  put_sizes(w, &z, false);
  refused(st, w, "there is no tensor token_embd.weight, which llama models have");
}

/* ---- kernels ---- */

static const dec_kernels *const levels[] = {
  &dec_base,
#ifdef HAVE_X86_LEVELS
  &dec_avx2, &dec_avx512,
#endif
};

/* Products of odd sizes, of every format, at every level, beside sums of doubles. */
static void test_products(norn_state *st)
{
  enum { ROWS = 13, MOST = 1280, W = 11 };
  (void)st;
  static float x[ROWS * MOST], w[W * MOST], y[ROWS * W], bias[W], scratch[DEC_STRIPE * DEC_DEEP];
  static uint8_t bytes[W * MOST * 4];
  uint64_t s = 3;
  for (int i = 0; i < ROWS * MOST; i++) x[i] = (float)model_number(&s);
  for (int i = 0; i < W * MOST; i++) w[i] = (float)model_number(&s);
  for (int i = 0; i < W; i++) bias[i] = (float)model_number(&s);
  for (int level = 0; level < NORN_COUNT(levels); level++)
    for (quant_type t = 0; level_has(level) && t < QUANT_TYPES; t++)
      for (int k = t < QUANT_Q8_0 ? 1001 : MOST; k > 0; k = k == 1001 ? 1279 : k == 1279 ? 7 : 0)
        for (int m = 1; m <= ROWS; m += 3) {
          size_t row = quant_bytes(t, (size_t)k);
          for (int j = 0; j < W; j++) quant_of[t].from_f32(w + j * k, bytes + (size_t)j * row, (size_t)k);
          dec_linear of = { { t, bytes, W, k, row }, bias };
          dec_product p = { .of = &of, .x = x, .ldx = k, .y = y, .ldy = W, .m = m, .add = true };
          for (int i = 0; i < m * W; i++) y[i] = (float)i;
          levels[level]->product(&p, 0, 5, scratch);
          levels[level]->product(&p, 5, W, scratch);
          double off = 0;
          for (int r = 0; r < m; r++)
            for (int j = 0; j < W; j++) {
              float back[MOST];
              double sum = bias[j] + r * W + j;
              quant_of[t].to_f32(bytes + (size_t)j * row, back, (size_t)k);
              for (int e = 0; e < k; e++) sum += (double)back[e] * x[r * k + e];
              off = fmax(off, fabs(sum - y[r * W + j]));
            }
          CHECK_NEAR(off, 0, 1e-4);
        }
}

int main(int argc, char **argv)
{
  norn_state *st = norn_new(NULL);
  if (argc > 1) return write_all(st, argv[1]);
  test_products(st);
  test_reference(st);
  static const char *const bits[] = { "llama-odd", "llama-F32", "qwen2-Q8_0", "gpt2-F16", "llama-Q6_K" };
  for (int i = 0; i < NORN_COUNT(bits); i++) test_bits(st, spec(bits[i]));
  test_pages(st);
  test_errors(st);
  test_memory(st);
  test_refused(st);
  norn_free(st);
  return unit_end();
}
