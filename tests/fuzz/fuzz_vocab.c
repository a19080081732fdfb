/* fuzz_vocab.c: the first half of any bytes, if a GGUF file stands there (its length in the first two bytes), is a vocabulary
   or an error; the rest as text becomes tokens whose bytes are the text again, or an error. */
#include "llm/file/vocab.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

static void encode(norn_state *st, const vocab *v, const char *s, size_t n, unsigned flags)
{
  const lm_vocab *l = vocab_tokens(v);
  lm_tokens t = { 0 };
  size_t at = 0;
  if (vocab_encode(v, s, n, flags, &t)) {
    if (!norn_error(st)->code || t.n) abort();
    norn_clear(st);
    lm_tokens_free(st, &t);
    return;
  }
  for (int i = 0; i < t.n; i++) {
    if (t.v[i] < 0 || t.v[i] >= l->n) abort();
    size_t len = l->at[t.v[i] + 1] - l->at[t.v[i]];
    if (flags & VOCAB_SPACE) continue;
    if (!(flags & VOCAB_SPECIAL) && l->kind[t.v[i]] != LM_TEXT) abort();
    if (len > n - at || memcmp(s + at, l->bytes + l->at[t.v[i]], len)) abort();
    at += len;
  }
  if (!(flags & VOCAB_SPACE) && at != n) abort();
  lm_tokens_free(st, &t);
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  norn_config c = norn_config_default();
  c.max_memory = 256 << 20;
  gguf f;
  if (n < 2) return 0;
  size_t size = (size_t)s[0] | (size_t)s[1] << 8;
  if (size > n - 2) size = n - 2;
  norn_state *st = norn_new_bare(&c);
  if (!st) return 0;
  uint8_t *file = malloc(size + 1);
  char *said = malloc(n - 2 - size + 1);
  memcpy(file, s + 2, size);
  memcpy(said, s + 2 + size, n - 2 - size);
  if (gguf_view(st, "fuzz", file, size, &f)) {
    vocab *v = vocab_new(st, &f);
    if (!v && !norn_error(st)->code) abort();
    norn_clear(st);
    for (unsigned flags = 0; v && flags < 4; flags++) encode(st, v, said, n - 2 - size, flags);
    vocab_free(v);
    gguf_close(&f);
  }
  free(file);
  free(said);
  norn_free(st);
  return 0;
}

#include "replay.h"
