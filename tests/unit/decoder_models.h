/* decoder_models.h: small random models of each architecture and format, as GGUF files in memory, and what a test
   wants of one: contexts and their log-probabilities.  The numbers come from a generator of integers, so files
   are the same everywhere. */
#ifndef NORN_DECODER_MODELS_H
#define NORN_DECODER_MODELS_H
#include "unit.h"
#include "llm/decoder/decoder.h"
#include <stdlib.h>

typedef struct model_spec {
  const char *name, *arch;
  quant_type type;
  int layers, width, heads, kv_heads, ff, vocab, window;
  bool own_output, factors;
  float linear;                                  /* positions are divided by it; 0: they are not */
  int key_length;                                /* 0: width / heads */
} model_spec;

/* A model at work. */
typedef struct model {
  lm lm;
  uint8_t *bytes; size_t size;
  gguf file;
  decoder d;
} model;

static norn_status model_eval(lm *x, lm_node *const *n, int k) { return decoder_eval(&((model *)x)->d, x, n, k); }
static void model_forget(lm *x, lm_node *n) { decoder_forget(&((model *)x)->d, n); }
static const lm_row model_row = { .scheme = "test", .eval = model_eval, .forget = model_forget };

static double model_number(uint64_t *s)          /* in (-1, 1) */
{
  *s = *s * 6364136223846793005u + 1442695040888963407u;
  return (double)((int64_t)(*s >> 40) - (1 << 23)) / (1 << 23);
}

/* A tensor of `rank` 1 or 2 with numbers about `mean`. */
static void put(gguf_writer *w, uint64_t *s, int layer, const char *name, quant_type type, int64_t k, int64_t rows,
                double mean, double size)
{
  char full[64];
  size_t n = (size_t)(k * (rows ? rows : 1));
  float *x = malloc(n * sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = (float)(mean + size * model_number(s));
  if (layer < 0) snprintf(full, sizeof full, "%s", name);
  else snprintf(full, sizeof full, "blk.%d.%s", layer, name);
  gguf_put_floats(w, full, type, rows ? 2 : 1, (int64_t[]){ k, rows }, x);
  free(x);
}

static void put_key(gguf_writer *w, const char *arch, const char *key, int value)
{
  char full[64];
  snprintf(full, sizeof full, "%s.%s", arch, key);
  gguf_put_u32(w, full, (uint32_t)value);
}

static void put_real(gguf_writer *w, const char *arch, const char *key, float value)
{
  char full[64];
  snprintf(full, sizeof full, "%s.%s", arch, key);
  gguf_put_f32(w, full, value);
}

/* A matrix and, where `bias` is set, its bias. */
static void put_linear(gguf_writer *w, uint64_t *s, int layer, const char *name, quant_type type, int64_t k,
                       int64_t rows, bool bias)
{
  char full[48];
  snprintf(full, sizeof full, "%s.weight", name);
  put(w, s, layer, full, type, k, rows, 0, 1.5 / sqrt((double)k));
  snprintf(full, sizeof full, "%s.bias", name);
  if (bias) put(w, s, layer, full, QUANT_F32, rows, 0, 0, .3);
}

static void put_norm(gguf_writer *w, uint64_t *s, int layer, const char *name, int64_t n, bool bias)
{
  char full[48];
  snprintf(full, sizeof full, "%s.weight", name);
  put(w, s, layer, full, QUANT_F32, n, 0, 1, .3);
  snprintf(full, sizeof full, "%s.bias", name);
  if (bias) put(w, s, layer, full, QUANT_F32, n, 0, 0, .3);
}

static void put_sizes(gguf_writer *w, const model_spec *z, bool gpt2)
{
  gguf_put_string(w, "general.architecture", z->arch, strlen(z->arch));
  put_key(w, z->arch, "block_count", z->layers);
  put_key(w, z->arch, "embedding_length", z->width);
  put_key(w, z->arch, "feed_forward_length", z->ff);
  put_key(w, z->arch, "context_length", z->window);
  put_key(w, z->arch, "attention.head_count", z->heads);
  put_key(w, z->arch, "vocab_size", z->vocab);
  gguf_put_string(w, "tokenizer.ggml.model", "none", 4);
  put_real(w, z->arch, gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 1e-5f);
  if (gpt2) return;
  put_key(w, z->arch, "attention.head_count_kv", z->kv_heads);
  put_real(w, z->arch, "rope.freq_base", 500);
  if (z->key_length) put_key(w, z->arch, "attention.key_length", z->key_length);
  if (z->key_length) put_key(w, z->arch, "attention.value_length", z->key_length);
  if (!z->linear) return;
  char key[64];
  snprintf(key, sizeof key, "%s.rope.scaling.type", z->arch);
  gguf_put_string(w, key, "linear", 6);
  put_real(w, z->arch, "rope.scaling.factor", z->linear);
}

static void put_layer(gguf_writer *w, uint64_t *s, const model_spec *z, int i, bool gpt2, bool biased)
{
  int64_t d = z->width, head = z->key_length ? z->key_length : d / z->heads;
  int64_t q = head * z->heads, few = head * z->kv_heads;
  put_norm(w, s, i, "attn_norm", d, gpt2);
  put_norm(w, s, i, "ffn_norm", d, gpt2);
  if (gpt2) put_linear(w, s, i, "attn_qkv", z->type, d, q + 2 * few, true);
  else {
    put_linear(w, s, i, "attn_q", z->type, d, q, biased);
    put_linear(w, s, i, "attn_k", z->type, d, few, biased);
    put_linear(w, s, i, "attn_v", z->type, d, few, biased);
    put_linear(w, s, i, "ffn_gate", z->type, d, z->ff, false);
  }
  put_linear(w, s, i, "attn_output", z->type, q, d, gpt2);
  put_linear(w, s, i, "ffn_up", z->type, d, z->ff, gpt2);
  put_linear(w, s, i, "ffn_down", z->type, z->ff, d, gpt2);
}

static gguf_writer *model_written(norn_state *st, const model_spec *z)
{
  gguf_writer *w = gguf_writer_new(st);
  bool gpt2 = strcmp(z->arch, "gpt2") == 0, biased = strcmp(z->arch, "qwen2") == 0;
  uint64_t s = 7;
  put_sizes(w, z, gpt2);
  put(w, &s, -1, "token_embd.weight", z->type, z->width, z->vocab, 0, 1);
  if (gpt2) put(w, &s, -1, "position_embd.weight", QUANT_F32, z->width, z->window, 0, .5);
  if (z->factors) put(w, &s, -1, "rope_freqs.weight", QUANT_F32, z->width / z->heads / 2, 0, 2, .9);
  put_norm(w, &s, -1, "output_norm", z->width, gpt2);
  if (z->own_output) put_linear(w, &s, -1, "output", z->type, z->width, z->vocab, false);
  for (int i = 0; i < z->layers; i++) put_layer(w, &s, z, i, gpt2, biased);
  return w;
}

static model *model_new(norn_state *st, const model_spec *z, size_t cache, int threads)
{
  model *m = calloc(1, sizeof *m);
  gguf_writer *w = model_written(st, z);
  CHECK(gguf_write_bytes(w, &m->bytes, &m->size) == NORN_OK);
  gguf_writer_free(w);
  m->lm = (lm){ .st = st, .row = &model_row, .m = lm_mem(st), .can = LM_TOKENS, .window = z->window, .keep = 1 << 20,
                .refs = 1 };
  m->lm.vocab = (lm_vocab){ .n = z->vocab, .kind = calloc((size_t)z->vocab, 1), .begin = -1, .end = -1 };
  m->lm.root = mem_zero(m->lm.m, sizeof *m->lm.root);
  *m->lm.root = (lm_node){ .of = &m->lm, .token = -1, .refs = 1 };
  CHECK(gguf_view(st, z->name, m->bytes, m->size, &m->file));
  CHECK(decoder_open(&m->d, st, m->lm.m, &m->file, cache, threads));
  return m;
}

static void model_free(model *m)
{
  norn_state *st = m->lm.st;
  lm_nodes_free(&m->lm);
  decoder_close(&m->d);
  gguf_close(&m->file);
  norn_alloc(st, m->bytes, m->size, 0);
  free((void *)m->lm.vocab.kind);
  free(m);
}

static inline int model_token(const model *m, int i)
{
  unsigned k = (unsigned)i;
  return (int)((k * 37 + 11 * (k * k % 7)) % (unsigned)m->lm.vocab.n);
}

/* The context of the first n tokens of the test's sequence, behind `from`, held. */
static lm_node *model_context(model *m, lm_node *from, int n)
{
  lm_node *k = from;
  lm_hold(k);
  for (int i = 0; i < n; i++) {
    lm_node *next = lm_extend(k, model_token(m, (int)k->depth));
    lm_drop(k);
    k = next;
  }
  return k;
}
#endif
