/* vocab_bytes.c: the vocabulary of bytes, as files name it: GPT-2's way, in which a token is spelled in characters that
   can be seen (Radford et al. 2019, its encoder.py): a byte that is one in Latin-1 is itself, the others are the
   characters from 256 on, in order; and no merges, so that each byte is a token of its own. */
#include "llm/vocab.h"

enum { BYTES = 256, TOKENS = BYTES + 1, NORMAL = 1, CONTROL = 3 };

static bool seen(int byte) { return (byte > ' ' && byte < 127) || (byte > 160 && byte != 173); }

void vocab_put_bytes(gguf_writer *w)
{
  char spelled[BYTES][4];
  const char *token[TOKENS];
  size_t length[TOKENS];
  int32_t kind[TOKENS];
  uint32_t hidden = BYTES;
  for (int i = 0; i < BYTES; i++) {
    token[i] = spelled[i];
    length[i] = (size_t)utf8_put(seen(i) ? (uint32_t)i : hidden++, spelled[i]);
    kind[i] = NORMAL;
  }
  token[BYTES] = "<|endoftext|>";
  length[BYTES] = 13;
  kind[BYTES] = CONTROL;
  gguf_put_string(w, "tokenizer.ggml.model", "gpt2", 4);
  gguf_put_string(w, "tokenizer.ggml.pre", "gpt-2", 5);
  gguf_put_strings(w, "tokenizer.ggml.tokens", token, length, TOKENS);
  gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, kind, TOKENS);
  gguf_put_strings(w, "tokenizer.ggml.merges", NULL, NULL, 0);
  gguf_put_u32(w, "tokenizer.ggml.bos_token_id", BYTES);
  gguf_put_u32(w, "tokenizer.ggml.eos_token_id", BYTES);
  gguf_put_bool(w, "tokenizer.ggml.add_bos_token", true);
}
