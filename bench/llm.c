/* bench/llm: the built-in decoder on a llama-shaped random model of 100 million parameters: reading a prefix of
   512 tokens, one context behind it, and 64 that share it, a token each at a time; ms a token, of CPU on one
   thread, or of time on NORN_BENCH_THREADS.  The limits: the model's bytes read once a token; the same products
   by OpenBLAS (f32).  Beside them llama.cpp on the same file, where bench/peers/llama.sh found it.  Files are
   written to the present folder and stay if NORN_BENCH_KEEP is set;  NORN_BENCH_FORMAT: one format alone. */
#include "bench.h"
#include "llm/decoder/decoder.h"
#include "num/la.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LAYERS = 12, WIDTH = 768, HEADS = 12, FF = 2048, VOCAB = 20000, WINDOW = 2048 };
enum { PREFIX = 512, PARTICLES = 64, STEPS = 8 };

static int threads(void)
{
  const char *s = getenv("NORN_BENCH_THREADS");
  return s && atoi(s) > 1 ? atoi(s) : 1;
}

static double now(void)
{
  struct timespec t;
  if (threads() == 1) return bench_cpu();
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct opened { lm lm; gguf file; decoder d; } opened;
static norn_status eval(lm *x, lm_node *const *n, int k) { return decoder_eval(&((opened *)x)->d, x, n, k); }
static void forget(lm *x, lm_node *n) { decoder_forget(&((opened *)x)->d, n); }
static const lm_row row = { .scheme = "bench", .eval = eval, .forget = forget };

static void *some(size_t n)
{
  void *p = calloc(n, 1);
  if (!p) exit(1);
  return p;
}

/* ---- the model ---- */

/* Every matrix has the numbers of the same buffer, at a place of its own in the file. */
static void put(gguf_writer *w, int layer, const char *name, quant_type t, int64_t k, int64_t rows, const void *bytes)
{
  char full[64];
  if (layer < 0) snprintf(full, sizeof full, "%s", name);
  else snprintf(full, sizeof full, "blk.%d.%s", layer, name);
  gguf_put_tensor(w, full, t, rows ? 2 : 1, (int64_t[]){ k, rows }, bytes);
}

static void sizes(gguf_writer *w)
{
  static const struct { const char *key; uint32_t v; } number[] = {
    { "llama.block_count", LAYERS }, { "llama.embedding_length", WIDTH }, { "llama.feed_forward_length", FF },
    { "llama.context_length", WINDOW }, { "llama.attention.head_count", HEADS }, { "llama.vocab_size", VOCAB }
  };
  gguf_put_string(w, "general.architecture", "llama", 5);
  gguf_put_string(w, "tokenizer.ggml.model", "none", 4);
  for (int i = 0; i < NORN_COUNT(number); i++) gguf_put_u32(w, number[i].key, number[i].v);
  gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

static void model_write(norn_state *st, quant_type t, const char *path)
{
  static float ones[WIDTH];
  uint64_t s = 1;
  size_t n = (size_t)VOCAB * WIDTH;
  float *x = some(n * sizeof *x);
  void *bytes = some(quant_bytes(t, n));
  for (int i = 0; i < WIDTH; i++) ones[i] = 1;
  for (size_t i = 0; i < n; i++) {
    s = s * 6364136223846793005u + 1442695040888963407u;
    x[i] = (float)((double)(int64_t)(s >> 12 & 0xfffff) / 0x80000 - 1) * .05f;
  }
  quant_of[t].from_f32(x, bytes, n);
  gguf_writer *w = gguf_writer_new(st);
  sizes(w);
  put(w, -1, "token_embd.weight", t, WIDTH, VOCAB, bytes);
  put(w, -1, "output_norm.weight", QUANT_F32, WIDTH, 0, ones);
  for (int i = 0; i < LAYERS; i++) {
    static const struct { const char *name; int k, rows; } matrix[] = {
      { "attn_q.weight", WIDTH, WIDTH }, { "attn_k.weight", WIDTH, WIDTH }, { "attn_v.weight", WIDTH, WIDTH },
      { "attn_output.weight", WIDTH, WIDTH }, { "ffn_gate.weight", WIDTH, FF }, { "ffn_up.weight", WIDTH, FF },
      { "ffn_down.weight", FF, WIDTH }
    };
    put(w, i, "attn_norm.weight", QUANT_F32, WIDTH, 0, ones);
    put(w, i, "ffn_norm.weight", QUANT_F32, WIDTH, 0, ones);
    for (int k = 0; k < NORN_COUNT(matrix); k++) put(w, i, matrix[k].name, t, matrix[k].k, matrix[k].rows, bytes);
  }
  if (gguf_write(w, path)) bench_die(st, path);
  gguf_writer_free(w);
  free(x), free(bytes);
}

static opened *model_open(norn_state *st, const char *path)
{
  opened *m = some(sizeof *m);
  m->lm = (lm){ .st = st, .row = &row, .m = lm_mem(st), .can = LM_TOKENS, .window = WINDOW, .refs = 1 };
  m->lm.vocab = (lm_vocab){ .n = VOCAB, .kind = some(VOCAB), .begin = -1, .end = -1 };
  m->lm.root = mem_zero(m->lm.m, sizeof *m->lm.root);
  *m->lm.root = (lm_node){ .of = &m->lm, .token = -1, .refs = 1 };
  if (!gguf_open(st, path, &m->file) || !decoder_open(&m->d, st, m->lm.m, &m->file, (size_t)2 << 30, threads()))
    bench_die(st, path);
  return m;
}

static void model_close(opened *m)
{
  lm_nodes_free(&m->lm);
  decoder_close(&m->d);
  gguf_close(&m->file);
  free((void *)m->lm.vocab.kind);
  free(m);
}

/* ---- what is timed ---- */

static double timed(opened *m, lm_node *const *n, int k)
{
  double t = now();
  if (lm_eval(&m->lm, n, k)) bench_die(m->lm.st, "llm");
  return now() - t;
}

static lm_node *prefix_of(opened *m, int first)
{
  lm_node *n = m->lm.root;
  lm_hold(n);
  for (int i = 0; i < PREFIX; i++) {
    lm_node *next = lm_extend(n, (first + i * 7919) % VOCAB);
    lm_drop(n);
    n = next;
  }
  return n;
}

/* Seconds of one token of each of n contexts behind the prefix, the best step. */
static double steps(opened *m, lm_node *prefix, int particles, size_t *pages)
{
  lm_node *n[PARTICLES];
  double best = INFINITY;
  for (int k = 0; k < particles; k++) lm_hold(n[k] = prefix);
  for (int i = 0; i < STEPS; i++) {
    for (int k = 0; k < particles; k++) {
      lm_node *next = lm_extend(n[k], (i * 131 + k * 17 + 3) % VOCAB);
      lm_drop(n[k]);
      n[k] = next;
    }
    best = least(best, timed(m, n, particles));
  }
  *pages = m->d.kv.pages;
  for (int k = 0; k < particles; k++) lm_drop(n[k]);
  return best;
}

/* The bytes of the model, read once. */
static double reading(const opened *m)
{
  const uint64_t *p = (const void *)m->file.bytes;
  volatile uint64_t sink;
  double best = INFINITY;
  for (int k = 0; k < 5; k++) {
    uint64_t s[8] = { 0 };
    double t = bench_cpu();
    for (size_t i = 0; i + 8 <= m->file.size / 8; i += 8)
      for (int j = 0; j < 8; j++) s[j] += p[i + (size_t)j];
    best = least(best, bench_cpu() - t);
    sink = s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
  }
  (void)sink;
  return best;
}

/* The products of a batch of n tokens. */
static double products(int n)
{
  static const int shape[][3] = { { WIDTH, WIDTH, 4 * LAYERS }, { WIDTH, FF, 2 * LAYERS }, { FF, WIDTH, LAYERS },
                                  { WIDTH, VOCAB, 1 } };
  float *x = some((size_t)n * FF * 4), *w = some((size_t)VOCAB * WIDTH * 4), *y = some((size_t)n * VOCAB * 4);
  double best = INFINITY;
  for (int i = 0; i < VOCAB * WIDTH; i++) w[i] = (float)(i % 7);
  for (int i = 0; i < n * FF; i++) x[i] = (float)(i % 5);
  for (int k = 0; k < 5; k++) {
    double t = bench_cpu();
    for (int i = 0; i < NORN_COUNT(shape); i++)
      for (int j = 0; j < shape[i][2]; j++)
        la_product_f32(false, true, n, shape[i][1], shape[i][0], x, shape[i][0], w, shape[i][0], false, y, shape[i][1]);
    best = least(best, bench_cpu() - t);
  }
  free(x), free(w), free(y);
  return best;
}

/* ms a token of llama.cpp: lines "FORMAT,llama.cpp,prefix,one,many" in tokens/s. */
static void peer(const char *format, double *ms)
{
  const char *path = getenv("NORN_PEERS");
  FILE *f = fopen(path ? path : "peers/llama.csv", "r");
  char line[200], name[40];
  double r[3];
  ms[0] = ms[1] = ms[2] = 0;
  if (!f) return;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "%39[^,],llama.cpp,%lf,%lf,%lf", name, r, r + 1, r + 2) == 4 && strcmp(name, format) == 0)
      for (int i = 0; i < 3; i++) ms[i] = 1e3 / r[i];
  fclose(f);
}

static void report(quant_type t, double first, double one, double many, double bytes)
{
  char what[120];
  double other[3];
  const char *name = quant_of[t].name;
  bool f32 = t == QUANT_F32;
  peer(name, other);
  snprintf(what, sizeof what, "llm %s: prefix of %d, %.0f tokens/s", name, PREFIX, 1 / first);
  bench_row(what, 1e3 * first, "ms", "llama.cpp", other[0], f32 || t == QUANT_Q8_0 ? "1.5" : "");
  snprintf(what, sizeof what, "llm %s: one context, %.1f tokens/s", name, 1 / one);
  bench_row(what, 1e3 * one, "ms", "llama.cpp", other[1], "");
  if (threads() == 1) bench_row("  the same beside reading the bytes", 1e3 * one, "ms", "memory", 1e3 * bytes, "");
  snprintf(what, sizeof what, "llm %s: %d contexts, %.0f tokens/s", name, PARTICLES, 1 / many);
  bench_row(what, 1e3 * many, "ms", "llama.cpp", other[2], f32 || t == QUANT_Q8_0 ? "1.5" : "");
  if (f32 && threads() == 1)
    bench_row("  the same beside its products", 1e3 * many, "ms", la_name(), 1e3 * products(PARTICLES) / PARTICLES, "");
  printf("  %s: a token in a batch of %d is %.1f times as fast as alone%s; %.0f times with the prefix read again\n",
         name, PARTICLES, one / many, f32 ? " (goal 10)" : "", (PREFIX * first + one) / many);
}

void bench_llm(void)
{
  static const quant_type formats[] = { QUANT_F32, QUANT_F16, QUANT_Q8_0, QUANT_Q4_0, QUANT_Q4_K, QUANT_Q6_K };
  norn_state *st = bench_state();
  const char *only = getenv("NORN_BENCH_FORMAT");
  for (int i = 0; i < NORN_COUNT(formats); i++) {
    char path[80];
    size_t pages;
    if (only && strcmp(only, quant_of[formats[i]].name)) continue;
    snprintf(path, sizeof path, "bench-llm-%s.gguf", quant_of[formats[i]].name);
    if (access(path, R_OK)) model_write(st, formats[i], path);
    opened *m = model_open(st, path);
    lm_node *n = prefix_of(m, 5), *k = prefix_of(m, 6);
    double first = least(timed(m, &n, 1), timed(m, &k, 1)) / PREFIX, one = steps(m, n, 1, &pages);
    double many = steps(m, n, PARTICLES, &pages) / PARTICLES;
    report(formats[i], first, one, many, reading(m));
    if (pages > 2 * PREFIX / KV_PAGE + PARTICLES + 2)
      printf("  the prefix is there more than once: %zu pages\n", pages);
    lm_drop(n), lm_drop(k);
    model_close(m);
    if (!getenv("NORN_BENCH_KEEP")) remove(path);
  }
  norn_free(st);
}
