/* fuzz_chat.c: any bytes are a chat template that is recognised, in which what was said stands whole, or an error. */
#include "llm/file/chat.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

static void conversation(norn_state *st, const char *s, size_t n, int from, int to)
{
  static const char *const names[] = { "role", "content" };
  static const char *const said[][2] = { { "system", "Be brief" }, { "user", "Hello" }, { "assistant", "Hi</think>there" },
                                         { "user", "Who?" } };
  norn_datum all[4];
  mem m;
  text out;
  mem_init(&m);
  text_init(&out, &m);
  for (int i = from; i < to; i++) {
    norn_datum fields[2] = { norn_cstring(st, said[i][0]), norn_cstring(st, said[i][1]) };
    all[i - from] = norn_record(st, 2, names, fields);
  }
  norn_status code = chat_text(st, s, n, "<s>", "</s>", norn_array_pack(st, all, to - from), &out);
  if (code ? !norn_error(st)->code : !out.s || !strstr(out.s, "Hello") || (to == 4 && !strstr(out.s, "there"))) abort();
  if (code == NORN_OK && chat_detect(st, s, n) == CHAT_NONE) abort();
  norn_clear(st);
  text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  norn_config c = norn_config_default();
  c.max_memory = 64 << 20;
  norn_state *st = norn_new_bare(&c);
  if (!st) return 0;
  char *copy = malloc(n + 1);
  memcpy(copy, s, n);
  conversation(st, copy, n, 0, 4);
  conversation(st, copy, n, 1, 4);
  conversation(st, copy, n, 1, 2);
  free(copy);
  norn_free(st);
  return 0;
}

#include "replay.h"
