/* llm.c: the built-in decoder on the card (llm/decoder/decoder_gpu.h): the llama-shaped random model of 100 million parameters
   of `make bench BENCH=llm`; tokens a second of reading a prefix of 512 tokens, of one context behind it, and of 64
   that share it, a token each at a time, with the log-probabilities that come home; and what share of a copy's
   bandwidth the weights have, each read once a step.  Every matrix has numbers of its own: weights that are twice the
   same would be there once. */
#include "gpu_time.h"
#include "llm/decoder/decoder.h"
#include <math.h>

enum { PREFIX = 512, PARTICLES = 64, STEPS = 15, WINDOW = 2048 };
typedef struct sizes { int layers, width, heads, ff, vocab; } sizes;
static const sizes large = { 12, 768, 12, 2048, 20000 }, small = { 1, 64, 2, 96, 64 };

typedef struct opened { lm lm; gguf file; decoder d; uint8_t *bytes; size_t size; } opened;
static norn_status eval(lm *x, lm_node *const *n, int k) { return decoder_eval(&((opened *)x)->d, x, n, k); }
static void forget(lm *x, lm_node *n) { decoder_forget(&((opened *)x)->d, n); }
static const lm_row row = { .scheme = "bench", .eval = eval, .forget = forget };

static void die(norn_state *st)
{
  fprintf(stderr, "%s\n", norn_error(st)->text);
  exit(1);
}

static void *some(size_t n)
{
  void *p = calloc(n, 1);
  if (!p) exit(1);
  return p;
}

/* ---- the model ---- */

static uint64_t seed = 1;

static void put(gguf_writer *w, int layer, const char *name, quant_type t, int k, int rows)
{
  char full[64];
  size_t n = (size_t)k * (size_t)(rows ? rows : 1);
  float *x = some(n * sizeof *x);
  for (size_t i = 0; i < n; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    x[i] = rows ? ((float)(seed >> 44) / 0x80000 - 1) * .05f : 1;
  }
  if (layer < 0) snprintf(full, sizeof full, "%s", name);
  else snprintf(full, sizeof full, "blk.%d.%s", layer, name);
  gguf_put_floats(w, full, t, rows ? 2 : 1, (int64_t[]){ k, rows }, x);
  free(x);
}

static gguf_writer *model_write(norn_state *st, const sizes *z, quant_type t)
{
  const struct { const char *key; int v; } number[] = {
    { "llama.block_count", z->layers }, { "llama.embedding_length", z->width }, { "llama.feed_forward_length", z->ff },
    { "llama.context_length", WINDOW }, { "llama.attention.head_count", z->heads }, { "llama.vocab_size", z->vocab }
  };
  gguf_writer *w = gguf_writer_new(st);
  gguf_put_string(w, "general.architecture", "llama", 5);
  gguf_put_string(w, "tokenizer.ggml.model", "none", 4);
  for (int i = 0; i < NORN_COUNT(number); i++) gguf_put_u32(w, number[i].key, (uint32_t)number[i].v);
  gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
  put(w, -1, "token_embd.weight", t, z->width, z->vocab);
  put(w, -1, "output_norm.weight", QUANT_F32, z->width, 0);
  for (int i = 0; i < z->layers; i++) {
    const struct { const char *name; int k, rows; } matrix[] = {
      { "attn_q.weight", z->width, z->width }, { "attn_k.weight", z->width, z->width },
      { "attn_v.weight", z->width, z->width }, { "attn_output.weight", z->width, z->width },
      { "ffn_gate.weight", z->width, z->ff }, { "ffn_up.weight", z->width, z->ff },
      { "ffn_down.weight", z->ff, z->width }
    };
    put(w, i, "attn_norm.weight", QUANT_F32, z->width, 0);
    put(w, i, "ffn_norm.weight", QUANT_F32, z->width, 0);
    for (int k = 0; k < NORN_COUNT(matrix); k++) put(w, i, matrix[k].name, t, matrix[k].k, matrix[k].rows);
  }
  return w;
}

static opened *model_open(norn_state *st, gpu *g, const sizes *z, quant_type t)
{
  opened *m = some(sizeof *m);
  gguf_writer *w = model_write(st, z, t);
  if (gguf_write_bytes(w, &m->bytes, &m->size)) die(st);
  gguf_writer_free(w);
  m->lm = (lm){ .st = st, .row = &row, .m = lm_mem(st), .can = LM_TOKENS, .window = WINDOW, .refs = 1 };
  m->lm.vocab = (lm_vocab){ .n = z->vocab, .kind = some((size_t)z->vocab), .begin = -1, .end = -1 };
  m->lm.root = mem_zero(m->lm.m, sizeof *m->lm.root);
  if (!m->lm.root || !gguf_view(st, "bench.gguf", m->bytes, m->size, &m->file) ||
      !decoder_open(&m->d, st, m->lm.m, &m->file, (size_t)2 << 30, 1) || !decoder_there(&m->d, g, -1, false))
    die(st);
  *m->lm.root = (lm_node){ .of = &m->lm, .token = -1, .refs = 1 };
  return m;
}

static void model_close(norn_state *st, opened *m)
{
  lm_nodes_free(&m->lm);
  decoder_close(&m->d);
  gguf_close(&m->file);
  norn_alloc(st, m->bytes, m->size, 0);
  free((void *)m->lm.vocab.kind);
  free(m);
}

/* ---- what is timed ---- */

static double timed(opened *m, lm_node *const *n, int k)
{
  double t = gpu_time_now();
  if (lm_eval(&m->lm, n, k)) die(m->lm.st);
  return gpu_time_now() - t;
}

static lm_node *prefix_of(opened *m, int first, int length)
{
  lm_node *n = m->lm.root;
  lm_hold(n);
  for (int i = 0; i < length; i++) {
    lm_node *next = lm_extend(n, (first + i * 7919) % m->lm.vocab.n);
    lm_drop(n);
    n = next;
  }
  return n;
}

/* Seconds of one token of each of n contexts behind the prefix: the median step but for the first. */
static double steps(opened *m, lm_node *prefix, int particles, int most)
{
  lm_node *n[PARTICLES];
  double s[STEPS];
  for (int k = 0; k < particles; k++) lm_hold(n[k] = prefix);
  for (int i = 0; i < most; i++) {
    for (int k = 0; k < particles; k++) {
      lm_node *next = lm_extend(n[k], (i * 131 + k * 17 + 3) % m->lm.vocab.n);
      lm_drop(n[k]);
      n[k] = next;
    }
    s[i] = timed(m, n, particles);
  }
  for (int k = 0; k < particles; k++) lm_drop(n[k]);
  qsort(s + 1, (size_t)most - 1, sizeof *s, gpu_time_order);
  return s[1 + (most - 1) / 2];
}

typedef struct copying { gpu *g; gpu_ptr x, y; size_t n; } copying;
static norn_status copies(void *of)
{
  copying *c = of;
  return gpu_copy(c->g, c->y, c->x, c->n);
}

/* Bytes a second of a copy there, read and written. */
static double bandwidth(gpu *g)
{
  copying c = { .g = g, .n = gpu_time_small() ? 1 << 16 : (size_t)1 << 30 };
  c.x = gpu_alloc(g, c.n, "numbers");
  c.y = gpu_alloc(g, c.n, "numbers");
  double s = c.x && c.y && !gpu_fill(g, c.x, 1, c.n) ? gpu_time(g, copies, &c) : NAN;
  gpu_release(g, c.x);
  gpu_release(g, c.y);
  return 2 * (double)c.n / s;
}

static void measure(norn_state *st, gpu *g, quant_type t, double copy)
{
  bool few = gpu_time_small();
  int length = few ? 20 : PREFIX, particles = few ? 3 : PARTICLES, most = few ? 2 : STEPS;
  opened *m = model_open(st, g, few ? &small : &large, t);
  lm_node *n = prefix_of(m, 5, length), *k = prefix_of(m, 6, length);
  timed(m, &n, 1);
  double first = timed(m, &k, 1) / length, one = steps(m, n, 1, most), many = steps(m, n, particles, most);
  double bytes = m->d.parameters * (double)quant_bytes(t, 256) / 256;
  const char *name = quant_of[t].name;
  printf("figure: llm 100M %s, prefix of %d | %.0f tokens/s |\n", name, length, 1 / first);
  printf("figure: llm 100M %s, one context | %.0f tokens/s, %.3f ms, weights at %.0f GB/s: %.0f %% of a copy |\n", name,
         1 / one, 1e3 * one, 1e-9 * bytes / one, 100 * bytes / one / copy);
  printf("figure: llm 100M %s, %d contexts | %.0f tokens/s, %.3f ms, %.1f times as fast as alone |\n", name, particles,
         particles / many, 1e3 * many, particles * one / many);
  CHECK(m->d.there && (int)m->d.kv.pages <= 2 * length / KV_PAGE + particles + 4);
  lm_drop(n), lm_drop(k);
  model_close(st, m);
}

int main(void)
{
  static const quant_type formats[] = { QUANT_F32, QUANT_F16, QUANT_Q8_0, QUANT_Q4_0 };
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (!g) return 1;
  double copy = bandwidth(g);
  gpu_test_figure("llm: copies", "", "%.0f GB/s", 1e-9 * copy);
  for (int i = 0; i < NORN_COUNT(formats); i++) measure(st, g, formats[i], copy);
  norn_free(st);
  return unit_end();
}
