/* test_vocab.c: vocabularies and tokenizers: text becomes the tokens that the models' own tokenizers make of it.

   tests/data/vocab has small vocabularies that tests/tools/reduce_vocab.py made of llama.cpp's test files, and pieces that
   Hugging Face's tokenizers cut.  With a folder as argument, all of llama.cpp's files there are compared, whole:
   models/ggml-vocab-NAME.gguf with NAME.gguf.inp (texts, each ended by a line __ggml_vocab_test__) and NAME.gguf.out (a line
   of tokens for each). */
#include "unit.h"
#include "llm/file/pretok.h"
#include "llm/file/uniclass.h"
#include "llm/file/vocab.h"
#include <dirent.h>
#include <stdlib.h>

static char *file_text(const char *path, size_t *n)
{
  mem m;
  const char *why;
  mem_init(&m);
  return file_read(&m, path, n, &why);
}

/* The tokens of a line, up to `most` of them. */
static int numbers(const char *line, long *v, int most)
{
  int n = 0;
  char *end;
  for (; n < most && *line && *line != '\n'; line = end) {
    while (*line == ' ') line++;
    if (!*line || *line == '\n') break;
    v[n++] = strtol(line, &end, 10);
    if (end == line) break;
  }
  return n;
}

/* The bytes of tokens are those of the text, behind a space where one was put in front. */
static bool same_bytes(const lm_vocab *l, const lm_tokens *t, const char *s, size_t n, bool spaced)
{
  size_t at = 0;
  for (int i = 0; i < t->n; i++) {
    const char *b = (const char *)l->bytes + l->at[t->v[i]];
    size_t len = l->at[t->v[i] + 1] - l->at[t->v[i]];
    if (i == 0 && spaced) {
      if (len == 0 || *b != ' ') return false;
      b++;
      len--;
    }
    if (at + len > n || memcmp(s + at, b, len)) return false;
    at += len;
  }
  return at == n;
}

/* One text with the tokens of a line; true: equal. */
static bool same_tokens(norn_state *st, const vocab *v, const char *s, size_t n, const char *line, bool spaced,
                        const char *name)
{
  enum { MOST = 4096 };
  static long want[MOST];
  lm_tokens t = { 0 };
  int k = 0, w = numbers(line, want, MOST);
  bool fine = vocab_encode(v, s, n, VOCAB_SPACE, &t) == NORN_OK;
  if (!fine) fprintf(stderr, "%s: %s\n", name, norn_error(st)->text);
  while (fine && k < w && k < t.n && t.v[k] == want[k]) k++;
  if (fine && (k < w || k < t.n)) {
    fprintf(stderr, "%s: token %d of \"%.*s\" is %d, not %ld\n", name, k, (int)n, s, k < t.n ? t.v[k] : -1,
            k < w ? want[k] : -1);
    fine = false;
  }
  if (fine && !same_bytes(vocab_tokens(v), &t, s, n, w && spaced)) {
    fprintf(stderr, "%s: other bytes come back of \"%.*s\"\n", name, (int)n, s);
    fine = false;
  }
  lm_tokens_free(st, &t);
  return fine;
}

/* A vocabulary file beside its texts and their tokens. */
static void compare(norn_state *st, const char *gguf_path, const char *inp, const char *out)
{
  static const char mark[] = "\n__ggml_vocab_test__\n";
  size_t n, nout;
  gguf f;
  char *texts = file_text(inp, &n), *lines = file_text(out, &nout);
  CHECK(texts && lines);
  if (!texts || !lines) return;
  bool open = gguf_open(st, gguf_path, &f);
  vocab *v = open ? vocab_new(st, &f) : NULL;
  if (!v) {
    fprintf(stderr, "%s: %s\n", gguf_path, norn_error(st)->text);
    norn_clear(st);
  } else {
    const char *model = "";
    size_t nmodel;
    int right = 0, all = 0;
    bool spaced = gguf_string(&f, "tokenizer.ggml.model", true, &model, &nmodel) && nmodel == 5;    /* "llama" */
    char *line = lines;
    for (char *s = texts, *end; (end = strstr(s, mark)); s = end + sizeof mark - 1, all++) {
      right += same_tokens(st, v, s, (size_t)(end - s), line, spaced, gguf_path);
      line = strchr(line, '\n');
      if (!line) break;
      line++;
    }
    printf("%s: %d of %d texts\n", gguf_path, right, all);
    CHECK(right == all && all > 20);
  }
  vocab_free(v);
  if (open) gguf_close(&f);
  free(texts);
  free(lines);
}

static void folder(norn_state *st, const char *path)
{
  DIR *d = opendir(path);
  CHECK(d != NULL);
  for (struct dirent *e; d && (e = readdir(d));) {
    size_t n = strlen(e->d_name);
    char file[600], inp[620], out[620];
    if (n < 5 || strcmp(e->d_name + n - 5, ".gguf")) continue;
    snprintf(file, sizeof file, "%s/%s", path, e->d_name);
    snprintf(inp, sizeof inp, "%s.inp", file);
    snprintf(out, sizeof out, "%s.out", file);
    FILE *there = fopen(inp, "rb");
    if (!there) continue;
    fclose(there);
    compare(st, file, inp, out);
  }
  if (d) closedir(d);
}

static void test_reduced(norn_state *st)
{
  static const char *const names[] = { "gpt-2", "llama-bpe", "qwen2", "phi-3", "falcon", "deepseek-coder", "starcoder" };
  const char *src = getenv("srcdir");
  for (int k = 0; k < NORN_COUNT(names); k++) {
    char file[600], inp[600], out[620];
    snprintf(file, sizeof file, "%s/tests/data/vocab/%s.gguf", src ? src : ".", names[k]);
    snprintf(inp, sizeof inp, "%s/tests/data/vocab/texts.inp", src ? src : ".");
    snprintf(out, sizeof out, "%s.out", file);
    compare(st, file, inp, out);
  }
}

/* ---- pieces ---- */

typedef struct pieces { long want[256]; int n, k; bool fine; } pieces;
static bool piece(void *user, size_t from, size_t to)
{
  pieces *p = user;
  if (p->k >= p->n || p->want[p->k++] != (long)(to - from)) p->fine = false;
  return true;
}
static void test_pieces(void)
{
  char path[600];
  size_t n;
  const char *src = getenv("srcdir");
  snprintf(path, sizeof path, "%s/tests/data/vocab/pieces.txt", src ? src : ".");
  char *all = file_text(path, &n);
  int lines = 0;
  CHECK(all != NULL);
  for (char *line = all, *end; line && *line; line = end + 1) {
    end = strchr(line, '\n');
    if (!end) break;
    *end = 0;
    char *hex = strchr(line, ' '), *lengths = hex ? strchr(hex + 1, ' ') : NULL;
    if (*line == '#' || !lengths) continue;
    uint8_t s[512];
    size_t len = 0;
    for (char *h = hex + 1; h < lengths; h += 2) {
      unsigned byte;
      if (sscanf(h, "%2x", &byte) == 1) s[len++] = (uint8_t)byte;
    }
    const pretok *way = pretok_find(line, (size_t)(hex - line));
    pieces p = { .fine = true };
    p.n = numbers(lengths, p.want, 256);
    CHECK(way != NULL);
    if (way) pretok_split(way, s, len, piece, &p);
    if (!p.fine || p.k != p.n) fprintf(stderr, "other pieces of: %.200s\n", line);
    CHECK(p.fine && p.k == p.n);
    lines++;
  }
  CHECK(lines >= 400);
  free(all);
}

static void test_classes(void)
{
  static const struct { uint32_t code; uniclass kind; } of[] = {
    { 'a', UNI_LOWER }, { 'Z', UNI_UPPER }, { ' ', UNI_SPACE }, { 0, UNI_OTHER }, { '7', UNI_NUMBER }, { '_', UNI_PUNCT },
    { '+', UNI_SYMBOL }, { 0x100, UNI_UPPER }, { 0x101, UNI_LOWER }, { 0x139, UNI_UPPER }, { 0x13a, UNI_LOWER },
    { 0x1c5, UNI_UPPER }, { 0x2b0, UNI_LETTER }, { 0x301, UNI_MARK }, { 0x4e2d, UNI_LETTER }, { 0x85, UNI_SPACE },
    { 0x3000, UNI_SPACE }, { 0x200b, UNI_OTHER }, { 0xe000, UNI_OTHER }, { 0x1d7ff, UNI_NUMBER }, { 0x10ffff, UNI_OTHER },
    { 0x110000, UNI_OTHER }, { 0xffffffff, UNI_OTHER }
  };
  for (int k = 0; k < NORN_COUNT(of); k++) CHECK(uniclass_of(of[k].code) == of[k].kind);
}

/* ---- vocabularies by hand ---- */

typedef struct made { const char *model, *pre, *tokens[24], *merges[8]; int32_t type[24]; float score[24]; int64_t begin, end;
                      int drop; } made;
/* A vocabulary of that; NULL: the error is the state's. */
static vocab *vocab_made(norn_state *st, const made *d)
{
  uint8_t *bytes;
  size_t size;
  gguf f;
  uint64_t n = 0, nmerge = 0;
  gguf_writer *w = gguf_writer_new(st);
  while (n < 24 && d->tokens[n]) n++;
  while (nmerge < 8 && d->merges[nmerge]) nmerge++;
  if (d->model) gguf_put_string(w, "tokenizer.ggml.model", d->model, strlen(d->model));
  if (d->pre) gguf_put_string(w, "tokenizer.ggml.pre", d->pre, strlen(d->pre));
  if (d->drop != 1) gguf_put_strings(w, "tokenizer.ggml.tokens", d->tokens, NULL, n);
  gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, d->type, n - (d->drop == 2));
  gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, d->score, n);
  if (d->drop != 3) gguf_put_strings(w, "tokenizer.ggml.merges", d->merges, NULL, nmerge);
  if (d->begin >= 0) gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)d->begin);
  if (d->end >= 0) gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)d->end);
  CHECK(gguf_write_bytes(w, &bytes, &size) == NORN_OK);
  gguf_writer_free(w);
  CHECK(gguf_view(st, "made.gguf", bytes, size, &f));
  vocab *v = vocab_new(st, &f);
  gguf_close(&f);
  norn_alloc(st, bytes, size, 0);
  return v;
}
static void tokens_are(norn_state *st, const vocab *v, const char *s, unsigned flags, const char *want)
{
  lm_tokens t = { 0 };
  char got[200] = "";
  CHECK(vocab_encode(v, s, strlen(s), flags, &t) == NORN_OK);
  for (int i = 0; i < t.n; i++) snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i ? " " : "", t.v[i]);
  CHECK_STR(got, want);
  lm_tokens_free(st, &t);
}
static void says(norn_state *st, const char *why)
{
  CHECK(norn_error(st)->code != NORN_OK);
  if (!strstr(norn_error(st)->text, why)) CHECK_STR(norn_error(st)->text, why);
  norn_clear(st);
}

/* a b ab abb: of "abb", ab comes first and then abb; the special token has a name that is text unless it is asked for. */
static const made small = { "gpt2", "gpt-2", { "a", "b", "ab", "abb", "<|im_end|>", "\xc4\xa0", "<tag>", "<s>" },
                            { "a b", "ab b", "b b" }, { 1, 1, 1, 1, 3, 1, 4, 3 }, { 0 }, 7, -1, 0 };
static void test_small(norn_state *st)
{
  vocab *v = vocab_made(st, &small);
  CHECK(v != NULL);
  if (!v) return;
  const lm_vocab *l = vocab_tokens(v);
  CHECK(l->n == 8 && l->begin == 7 && l->end == -1 && !vocab_add_begin(v));
  CHECK(l->kind[4] == LM_END && l->kind[7] == LM_CONTROL && l->kind[6] == LM_TEXT && l->kind[0] == LM_TEXT);
  CHECK(l->at[6] - l->at[5] == 1 && l->bytes[l->at[5]] == ' ');
  tokens_are(st, v, "abb", 0, "3");
  tokens_are(st, v, "abab b", 0, "2 2 5 1");
  tokens_are(st, v, "bbb", 0, "1 1 1");          /* bb is what two b become, and no token */
  tokens_are(st, v, "a<tag>b", 0, "0 6 1");
  tokens_are(st, v, "ab<|im_end|>a", VOCAB_SPECIAL, "2 4 0");
  tokens_are(st, v, "", VOCAB_SPECIAL | VOCAB_SPACE, "");
  lm_tokens t = { 0 };
  CHECK(vocab_encode(v, "ab<|im_end|>", 12, 0, &t) == NORN_EDOMAIN && t.n == 0);
  says(st, "no token for byte 0x3c, at byte 2 of the text");
  CHECK(vocab_encode_spans(v, "<s><s>", 6, VOCAB_SPECIAL, &(vocab_span){ 4, 5 }, 1, &t) == NORN_EDOMAIN);
  says(st, "at byte 3 of the text");
  CHECK(vocab_encode_spans(v, "<s>a<s>", 7, VOCAB_SPECIAL, &(vocab_span){ 3, 4 }, 1, &t) == NORN_OK && t.n == 3);
  lm_tokens_free(st, &t);
  vocab_free(v);
}

/* Scores decide, then the place; a space in front only where it is asked for. */
static void test_spm(norn_state *st)
{
  static const made d = { "llama", NULL, { "<unk>", "<s>", "</s>", "<0x63>", "\xe2\x96\x81", "a", "b", "ab", "ba",
                                           "\xe2\x96\x81" "a", "<0xE2>" }, { NULL },
                          { 2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 6 }, { 0, 0, 0, 0, -9, -8, -7, -2, -1, -3, 0 }, -1, -1, 0 };
  vocab *v = vocab_made(st, &d);
  CHECK(v != NULL);
  if (!v) return;
  const lm_vocab *l = vocab_tokens(v);
  CHECK(l->begin == 1 && l->end == 2 && vocab_add_begin(v) && l->kind[2] == LM_END && l->kind[0] == LM_CONTROL);
  CHECK(l->bytes[l->at[3]] == 'c' && l->at[4] == l->at[3] + 1 && l->kind[3] == LM_TEXT);
  tokens_are(st, v, "aba", 0, "5 8");
  tokens_are(st, v, "abab", 0, "5 8 6");
  tokens_are(st, v, "ab", VOCAB_SPACE, "4 7");
  tokens_are(st, v, "a a", 0, "5 9");
  tokens_are(st, v, "a", VOCAB_SPACE, "9");
  tokens_are(st, v, "c</s>a", VOCAB_SPECIAL, "3 2 5");
  tokens_are(st, v, "c</s>a", VOCAB_SPECIAL | VOCAB_SPACE, "4 3 2 9");
  lm_tokens t = { 0 };
  CHECK(vocab_encode(v, "\xe2\x96\x81", 3, 0, &t) == NORN_EDOMAIN);
  says(st, "no token for byte 0x96, at byte 1 of the text");
  CHECK(vocab_encode(v, "d", 1, VOCAB_SPACE, &t) == NORN_EDOMAIN);
  says(st, "no token for byte 0x64, at byte 0 of the text");
  lm_tokens_free(st, &t);
  vocab_free(v);
}

static void refused(norn_state *st, made d, const char *why)
{
  vocab *v = vocab_made(st, &d);
  CHECK(v == NULL);
  vocab_free(v);
  says(st, why);
}
static void test_refused(norn_state *st)
{
  made d = small;
  d.pre = "new-way\n";
  refused(st, d, "it cuts text in the way \"new-way?\" (tokenizer.ggml.pre), which this Norn does not know");
  d = small;
  d.model = "bert";
  refused(st, d, "it is of the kind \"bert\"; \"llama\" and \"gpt2\" are read");
  d.model = NULL;
  refused(st, d, "it has no tokenizer.ggml.model");
  d = small;
  d.drop = 1;
  refused(st, d, "it has no tokenizer.ggml.tokens");
  d.drop = 2;
  refused(st, d, "tokenizer.ggml.token_type has 7 elements for 8 tokens");
  d.drop = 3;
  refused(st, d, "it has no tokenizer.ggml.merges");
  d = small;
  d.merges[1] = "ab";
  refused(st, d, "merge 1 is not two parts");
  d.merges[1] = "ab ";
  refused(st, d, "merge 1 is not two parts");
  d = small;
  d.begin = 8;
  refused(st, d, "tokenizer.ggml.bos_token_id is 8, and there are 8 tokens");
  d = small;
  d.type[2] = 7;
  refused(st, d, "token 2 is of type 7; 1 to 6 is expected");
  d = small;
  d.score[1] = NAN;
  refused(st, d, "the score of token 1 is no number");
  d = small;
  d.tokens[0] = NULL;
  refused(st, d, "it has 0 tokens");
  d = small;
  d.model = "llama";
  d.type[1] = 6;
  refused(st, d, "token 1 is a byte, but is not called as <0x0A> is");
}

/* builtin:tiny's: each byte is its own token. */
static void test_bytes(norn_state *st)
{
  uint8_t *bytes, all[512];
  size_t size;
  gguf f;
  gguf_writer *w = gguf_writer_new(st);
  lm_tokens t = { 0 };
  vocab_put_bytes(w);
  CHECK(gguf_write_bytes(w, &bytes, &size) == NORN_OK);
  gguf_writer_free(w);
  CHECK(gguf_view(st, "bytes", bytes, size, &f));
  vocab *v = vocab_new(st, &f);
  gguf_close(&f);
  norn_alloc(st, bytes, size, 0);
  CHECK(v != NULL);
  if (!v) return;
  const lm_vocab *l = vocab_tokens(v);
  CHECK(l->n == 257 && l->begin == 256 && l->end == 256 && vocab_add_begin(v) && l->kind[256] == LM_END);
  for (int i = 0; i < 512; i++) all[i] = (uint8_t)(i * 37 + i / 256);
  CHECK(vocab_encode(v, (const char *)all, 512, 0, &t) == NORN_OK && t.n == 512);
  for (int i = 0; i < t.n; i++) CHECK(t.v[i] == all[i]);
  for (int b = 0; b < 256; b++) CHECK(l->at[b + 1] - l->at[b] == 1 && l->bytes[l->at[b]] == b && l->kind[b] == LM_TEXT);
  lm_tokens_free(st, &t);
  vocab_free(v);
}

/* ---- memory ---- */

typedef struct failing { long left; } failing;
static void *failing_alloc(void *user, void *p, size_t old, size_t n)
{
  failing *f = user;
  (void)old;
  if (n == 0) {
    free(p);
    return NULL;
  }
  if (f->left > 0 && --f->left == 0) return NULL;
  return p ? realloc(p, n) : malloc(n);
}
/* Each request fails once, in reading and in encoding: an error, and nothing is lost (valgrind, ASan). */
static void test_memory(void)
{
  failing hook = { 0 };
  norn_config c = norn_config_default();
  c.alloc = failing_alloc;
  c.alloc_user = &hook;
  norn_state *st = norn_new_bare(&c);
  uint8_t *bytes;
  size_t size;
  gguf f;
  gguf_writer *w = gguf_writer_new(st);
  vocab_put_bytes(w);
  CHECK(gguf_write_bytes(w, &bytes, &size) == NORN_OK && gguf_view(st, "bytes", bytes, size, &f));
  gguf_writer_free(w);
  int failures = 0;
  for (long k = 1;; k++, failures++) {
    lm_tokens t = { 0 };
    hook.left = k;
    vocab *v = vocab_new(st, &f);
    bool fine = v && vocab_encode(v, "some text\n", 10, VOCAB_SPECIAL, &t) == NORN_OK;
    hook.left = 0;
    lm_tokens_free(st, &t);
    vocab_free(v);
    if (fine) break;
    CHECK(norn_error(st)->code == NORN_EMEMORY);
    norn_clear(st);
  }
  CHECK(failures > 10);
  gguf_close(&f);
  norn_alloc(st, bytes, size, 0);
  norn_free(st);
}

int main(int argc, char **argv)
{
  norn_config c = norn_config_default();
  norn_state *st = norn_new_bare(&c);
  if (argc > 1) {
    folder(st, argv[1]);
  } else {
    test_classes();
    test_pieces();
    test_reduced(st);
    test_small(st);
    test_spm(st);
    test_refused(st);
    test_bytes(st);
    test_memory();
  }
  norn_free(st);
  return unit_end();
}
