/* test_builtin.c: builtin:FILE.gguf from the file to contexts: a llama model with a vocabulary of scores, whose contexts begin
   with a space and whose texts do not, its chat, and files of kinds that are not read, which name the http route. */
#include "unit.h"
#include "llm/file/chat.h"
#include "llm/llm.h"
#include <stdlib.h>
#include <unistd.h>

enum { WIDTH = 8, VOCAB = 13 };
typedef struct spec { const char *arch, *vocab, *template; bool short_vocab; } spec;

static void put(gguf_writer *w, const char *name, int64_t k, int64_t rows, uint32_t seed)
{
  float x[WIDTH * 16];
  for (int i = 0; i < k * (rows ? rows : 1); i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = rows ? (float)(int32_t)seed / 4e9f : 1;
  }
  gguf_put_floats(w, name, QUANT_F32, rows ? 2 : 1, (int64_t[]){ k, rows }, x);
}

static void put_vocab(gguf_writer *w, const spec *z)
{
  static const char *const tokens[] = { "<unk>", "<s>", "</s>", "<0x63>", "\xe2\x96\x81", "a", "b", "ab", "ba",
                                        "\xe2\x96\x81\x61", "[INST]", "[/INST]", "<tag>" };
  static const int32_t types[] = { 2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 3, 3, 4 };
  static const float scores[] = { 0, 0, 0, 0, -9, -8, -7, -2, -1, -3, 0, 0, 0 };
  int n = z->short_vocab ? VOCAB - 1 : VOCAB;
  gguf_put_string(w, "tokenizer.ggml.model", z->vocab, strlen(z->vocab));
  gguf_put_strings(w, "tokenizer.ggml.tokens", tokens, NULL, (uint64_t)n);
  gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, types, (uint64_t)n);
  gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, scores, (uint64_t)n);
  if (z->template) gguf_put_string(w, "tokenizer.chat_template", z->template, strlen(z->template));
}

static void write_model(norn_state *st, const char *path, const spec *z)
{
  static const char *const squares[] = { "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down" };
  static const struct { const char *key; uint32_t value; } sizes[] = {
    { "block_count", 1 }, { "embedding_length", WIDTH }, { "feed_forward_length", WIDTH }, { "context_length", 64 },
    { "attention.head_count", 2 }, { "attention.head_count_kv", 2 }
  };
  char name[64];
  gguf_writer *w = gguf_writer_new(st);
  gguf_put_string(w, "general.architecture", z->arch, strlen(z->arch));
  for (int k = 0; k < NORN_COUNT(sizes); k++) {
    snprintf(name, sizeof name, "%s.%s", z->arch, sizes[k].key);
    gguf_put_u32(w, name, sizes[k].value);
  }
  snprintf(name, sizeof name, "%s.attention.layer_norm_rms_epsilon", z->arch);
  gguf_put_f32(w, name, 1e-5f);
  put_vocab(w, z);
  put(w, "token_embd.weight", WIDTH, VOCAB, 1);
  put(w, "output_norm.weight", WIDTH, 0, 2);
  put(w, "blk.0.attn_norm.weight", WIDTH, 0, 3);
  put(w, "blk.0.ffn_norm.weight", WIDTH, 0, 4);
  for (int k = 0; k < NORN_COUNT(squares); k++) {
    snprintf(name, sizeof name, "blk.0.%s.weight", squares[k]);
    put(w, name, WIDTH, WIDTH, (uint32_t)k + 5);
  }
  CHECK(gguf_write(w, path) == NORN_OK);
  gguf_writer_free(w);
}

static void tokens_are(lm_node *n, const char *want)
{
  lm_token t[64];
  char got[200] = "";
  CHECK(n != NULL);
  if (!n) return;
  lm_tokens_of(n, t);
  for (uint32_t i = 0; i < n->depth; i++) snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i ? " " : "", t[i]);
  CHECK_STR(got, want);
  lm_drop(n);
}
static void says(norn_state *st, const char *why, const char *hint)
{
  CHECK(norn_error(st)->code != NORN_OK);
  if (!strstr(norn_error(st)->text, why)) CHECK_STR(norn_error(st)->text, why);
  if (!strstr(norn_error(st)->hint, hint)) CHECK_STR(norn_error(st)->hint, hint);
  norn_clear(st);
}

static void test_contexts(norn_state *st, const char *path)
{
  static const spec z = { "llama", "llama", "{{ bos_token }}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
                          "{{ raise_exception('Only user and assistant roles are supported!') }}", false };
  static const char *const names[] = { "role", "content" };
  char uri[200];
  text out;
  mem m;
  write_model(st, path, &z);
  snprintf(uri, sizeof uri, "builtin:%s", path);
  lm *x = lm_open(st, uri, norn_none());
  if (!x) fprintf(stderr, "%s\n", norn_error(st)->text);
  CHECK(x != NULL);
  if (!x) return;
  tokens_are(lm_start(x, "ab", 2), "1 4 7");                /* a space in front, as the file says by saying nothing */
  tokens_are(lm_start(x, "<tag>a", 6), "1 12 9");
  tokens_are(lm_start(x, "", 0), "1");
  tokens_are(lm_extend_text(x->root, "ab", 2), "7");
  norn_datum fields[2] = { norn_cstring(st, "user"), norn_cstring(st, "[INST]ab") };
  norn_datum one = norn_record(st, 2, names, fields);
  lm_node *n = NULL;
  mem_init(&m);
  text_init(&out, &m);
  CHECK(x->row->chat(x, norn_array_pack(st, &one, 1), &out, &n) != NORN_OK);    /* no bytes for "[" */
  says(st, "no token for byte 0x5b", "");
  fields[1] = norn_cstring(st, "ab");
  one = norn_record(st, 2, names, fields);
  CHECK(x->row->chat(x, norn_array_pack(st, &one, 1), &out, &n) == NORN_OK);
  tokens_are(n, "1 10 4 4 7 4 11");
  CHECK((n = lm_start(x, "ab", 2)) && lm_eval(x, &n, 1) == NORN_OK);
  double sum = 0;
  for (int i = 0; n && n->logp && i < VOCAB; i++) sum += exp((double)n->logp[i]);
  CHECK_NEAR(sum, 1, 1e-5);
  if (n) lm_drop(n);
  text_free(&out);
  lm_close(x);
}

static void refused(norn_state *st, const char *path, spec z, const char *why, const char *hint)
{
  char uri[200];
  write_model(st, path, &z);
  snprintf(uri, sizeof uri, "builtin:%s", path);
  CHECK(lm_open(st, uri, norn_none()) == NULL);
  says(st, why, hint);
}

int main(void)
{
  norn_config c = norn_config_default();
  norn_state *st = norn_new_bare(&c);
  char path[2][100];
  for (int k = 0; k < 2; k++) snprintf(path[k], sizeof path[k], "/tmp/norn_test_builtin_%d_%ld.gguf", k, (long)getpid());
  test_contexts(st, path[0]);
  refused(st, path[1], (spec){ "mamba", "llama", NULL, false }, "mamba", "http");
  refused(st, path[1], (spec){ "llama", "bert", NULL, false }, "it is of the kind \"bert\"", "http");
  refused(st, path[1], (spec){ "llama", "llama", NULL, true }, "12 tokens", "");
  for (int k = 0; k < 2; k++) unlink(path[k]);
  norn_free(st);
  return unit_end();
}
