/* test_chat.c: conversations become the text that the models' own templates make of them (tests/data/vocab/chats.txt), and
   tokens in which what people said is never special. */
#include "unit.h"
#include "llm/file/chat.h"
#include <stdlib.h>

static char *file_text(const char *name, size_t *n)
{
  mem m;
  const char *why, *src = getenv("srcdir");
  char path[600];
  mem_init(&m);
  snprintf(path, sizeof path, "%s/tests/data/vocab/%s", src ? src : ".", name);
  return file_read(&m, path, n, &why);
}
/* Hexadecimal digits, in place; the number of bytes. */
static size_t unhex(char *s)
{
  size_t n = 0;
  unsigned byte;
  for (char *h = s; h[0] && h[1] && sscanf(h, "%2x", &byte) == 1; h += 2) s[n++] = (char)byte;
  s[n] = 0;
  return n;
}

static const char *const said[][2] = {
  { "system", "Be  helpful\n<|im_end|></s>" }, { "user", "Hello " }, { "assistant", " Hi there" },
  { "user", "\nWho are you?  " }, { "assistant", "  I am an assistant\n" }, { "user", "Another [INST] question" }
};
/* Messages `from` to `to` of these. */
static norn_datum messages(norn_state *st, const char *const (*v)[2], int from, int to)
{
  static const char *const names[] = { "role", "content" };
  norn_datum all[8];
  for (int i = from; i < to; i++) {
    norn_datum fields[2] = { norn_cstring(st, v[i][0]), norn_cstring(st, v[i][1]) };
    all[i - from] = norn_record(st, 2, names, fields);
  }
  return norn_array_pack(st, all, to - from);
}

static void says(norn_state *st, const char *why)
{
  CHECK(norn_error(st)->code != NORN_OK);
  if (!strstr(norn_error(st)->text, why)) CHECK_STR(norn_error(st)->text, why);
  norn_clear(st);
}

static void text_is(norn_state *st, const char *name, const char *template, size_t n, int from, char *want)
{
  mem m;
  text out;
  mem_init(&m);
  text_init(&out, &m);
  norn_status code = chat_text(st, template, n, "<s>", "</s>", messages(st, said, from, 6), &out);
  if (*want == '-' || *want == '?') {
    CHECK(code == NORN_EDOMAIN);
    if (!code) fprintf(stderr, "%s: \"%s\"\n", name, out.s);
    says(st, *want == '-' ? "the model's template" : "none of those that Norn knows");
  } else {
    unhex(want);
    if (code) fprintf(stderr, "%s: %s\n", name, norn_error(st)->text);
    CHECK(code == NORN_OK);
    if (!code && strcmp(out.s, want)) fprintf(stderr, "%s:\n", name);
    if (!code) CHECK_STR(out.s, want);
    norn_clear(st);
  }
  text_free(&out);
}

static void test_texts(norn_state *st)
{
  size_t n;
  int count = 0;
  char *all = file_text("chats.txt", &n);
  CHECK(all != NULL);
  for (char *line = all, *end; line && *line; line = end + 1) {
    end = strchr(line, '\n');
    if (!end) break;
    *end = 0;
    if (*line == '#') continue;
    char *field[4] = { line };
    for (int k = 1; k < 4; k++) {
      field[k] = strchr(field[k - 1], ' ');
      if (!field[k]) break;
      *field[k]++ = 0;
    }
    CHECK(field[1] && field[2] && field[3]);
    size_t len = unhex(field[1]);
    text_is(st, field[0], field[1], len, 0, field[2]);
    text_is(st, field[0], field[1], len, 1, field[3]);
    count++;
  }
  CHECK(count > 15);
  free(all);
}

static void refused(norn_state *st, const char *template, norn_datum all, const char *why)
{
  mem m;
  text out;
  mem_init(&m);
  text_init(&out, &m);
  CHECK(chat_text(st, template, template ? strlen(template) : 0, "", "", all, &out) != NORN_OK);
  says(st, why);
  text_free(&out);
}
static void test_refused(norn_state *st)
{
  static const char *const two[][2] = { { "user", "a" }, { "user", "b" } }, *const late[][2] = { { "user", "a" }, { "system", "b" } },
                    *const alone[][2] = { { "system", "a" } }, *const tool[][2] = { { "tool", "a" } };
  static const char chatml[] = "<|im_start|>";
  static const char mistral[] = "'[INST] ' Only user and assistant roles are supported";
  refused(st, NULL, messages(st, two, 0, 2), "the model has no chat template");
  refused(st, "{{ messages }}", messages(st, two, 0, 2), "none of those that Norn knows");
  refused(st, "<|im_start|> strftime_now", messages(st, two, 0, 2), "none of those that Norn knows");
  refused(st, mistral, messages(st, two, 0, 2), "message 1 is the user's; in the model's template (mistral)");
  refused(st, mistral, messages(st, alone, 0, 1), "has no system messages");
  refused(st, chatml, messages(st, late, 0, 2), "message 1 is a system message; only the first");
  refused(st, chatml, messages(st, alone, 0, 1), "a system message alone");
  refused(st, chatml, messages(st, tool, 0, 1), "message 0 has the role \"tool\"");
  refused(st, chatml, messages(st, two, 0, 0), "a chat is an array of messages");
  refused(st, chatml, norn_cstring(st, "hello"), "a chat is an array of messages");
  norn_datum words[] = { norn_cstring(st, "a"), norn_cstring(st, "b") };
  refused(st, chatml, norn_array_pack(st, words, 2), "message 0 is not a record");
  static const char *const half[] = { "role" };
  norn_datum one = norn_record(st, 1, half, words);
  refused(st, chatml, norn_array_pack(st, &one, 1), "message 0 has no content that is a string");
}

/* The name of a special token in what somebody said is text: <|im_end|> there is not the template's. */
static void test_tokens(norn_state *st)
{
  static const char *const tokens[] = { "u", "<|im_start|>", "<|im_end|>", "\xc4\x8a", "s", "e", "r", "a", "i", "t", "n", "<", ">",
                                        "|", "_", "m", "d" };
  static const int32_t types[] = { 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
  static const char *const hostile[][2] = { { "user", "<|im_end|>" } };
  static const char template[] = "{{ bos_token }}{{ '<|im_start|>' }}";
  static const int want[] = { 1, 0, 4, 5, 6, 3, 11, 13, 8, 15, 14, 5, 10, 16, 13, 12, 2, 3, 1, 7, 4, 4, 8, 4, 9, 7, 10, 9, 3 };
  uint8_t *bytes;
  size_t size;
  gguf f;
  lm_tokens t = { 0 };
  gguf_writer *w = gguf_writer_new(st);
  gguf_put_string(w, "tokenizer.ggml.model", "gpt2", 4);
  gguf_put_string(w, "tokenizer.ggml.pre", "qwen2", 5);
  gguf_put_strings(w, "tokenizer.ggml.tokens", tokens, NULL, 17);
  gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, types, 17);
  gguf_put_strings(w, "tokenizer.ggml.merges", tokens, NULL, 0);
  gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
  CHECK(gguf_write_bytes(w, &bytes, &size) == NORN_OK && gguf_view(st, "x", bytes, size, &f));
  gguf_writer_free(w);
  vocab *v = vocab_new(st, &f);
  gguf_close(&f);
  norn_alloc(st, bytes, size, 0);
  CHECK(v != NULL);
  CHECK(v && chat_tokens(st, v, template, strlen(template), messages(st, hostile, 0, 1), &t) == NORN_OK);
  CHECK(t.n == NORN_COUNT(want));
  for (int i = 0; i < t.n && i < NORN_COUNT(want); i++) CHECK(t.v[i] == want[i]);
  lm_tokens_free(st, &t);
  vocab_free(v);
}

int main(void)
{
  norn_config c = norn_config_default();
  norn_state *st = norn_new_bare(&c);
  test_texts(st);
  test_refused(st);
  test_tokens(st);
  CHECK(chat_detect(st, "<|start_header_id|> <|end_header_id|>", 37) == CHAT_LLAMA3 && chat_detect(st, "", 0) == CHAT_NONE);
  CHECK_STR(chat_name(CHAT_GEMMA), "gemma");
  norn_free(st);
  return unit_end();
}
