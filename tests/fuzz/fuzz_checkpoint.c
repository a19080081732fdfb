/* fuzz_checkpoint.c: a changed checkpoint is refused or read without harm.

   The input is a program that ends in a model value; its first line is a comment with an engine:
   "# smc(20)".  A few steps are taken and saved.  Then bytes of the checkpoint are changed, at places and
   in ways that follow from the text, and the hashes of its sections are made to fit again, so that
   what reads it sees the change and not the hash alone.  What is read is written once more and
   dropped: a checkpoint that was made on purpose is trusted like a program as soon as it runs. */
#include "lang/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

enum { CHANGES = 120, SECTIONS = 4, STEPS = 6, LARGEST_TEXT = 4096, PREFACE = 24 };

static void no_output(void *user, const char *s, size_t n)
{
  (void)user;
  (void)s;
  (void)n;
}

/* No module but what is built in. */
static char *no_file(void *user, const char *name, const char *importer, size_t *n)
{
  (void)user;
  (void)importer;
  if (!strcmp(name, "maps")) return NULL;
  *n = 0;
  return calloc(1, 1);
}

/* The inference of a program, not begun; NULL: it is none. */
static norn_infer *inference(norn_state **st, const char *program, size_t n)
{
  norn_config c = norn_config_default();
  norn_datum model = norn_none(), engine = norn_none();
  size_t line = strcspn(program, "\n");
  c.no_foreign = c.no_files = c.quiet = true;
  c.output = no_output;
  c.load = no_file;
  c.max_memory = 64 << 20;
  c.max_steps = 100000;
  c.max_seconds = 1;
  c.threads = 1;
  *st = norn_new(&c);
  if (!*st || line < 3 || norn_eval(*st, "m", program, n, NORN_LOAD_REPL, &model)) return NULL;
  norn_ref *keep = norn_keep(*st, model);
  if (!keep || norn_eval(*st, "e", program + 1, line - 1, NORN_LOAD_REPL, &engine)) return NULL;
  norn_limits_start(*st);
  norn_infer *inf = norn_infer_new(*st, norn_get(keep), engine);
  norn_drop(keep);
  return inf;
}

/* The sections of the image begin behind preface and head. */
static size_t image_at(const uint8_t *s, size_t n)
{
  for (size_t at = PREFACE; at + 16 < n; at += 8) {            /* where four lengths add up to the rest */
    size_t p = at;
    for (int k = 0; k < SECTIONS && p + 16 <= n; k++) {
      uint64_t len;
      memcpy(&len, s + p, sizeof len);
      p = len <= n - p - 16 ? p + 16 + (size_t)len : n + 1;
    }
    if (p == n) return at;
  }
  return 0;
}

static void mend_hashes(uint8_t *s, size_t at)
{
  for (uint64_t k = 0; k < SECTIONS; k++) {
    uint64_t len, h;
    memcpy(&len, s + at, sizeof len);
    h = hash_bytes(s + at + 16, (size_t)len, k);
    memcpy(s + at + 8, &h, sizeof h);
    at += 16 + (size_t)len;
  }
}

/* Changes a byte of a section. */
static void change(uint8_t *s, size_t at, uint64_t r)
{
  uint64_t len;
  for (uint64_t k = r % SECTIONS; k > 0; k--) {
    memcpy(&len, s + at, sizeof len);
    at += 16 + (size_t)len;
  }
  memcpy(&len, s + at, sizeof len);
  if (!len) return;
  uint8_t *b = s + at + 16 + (r >> 8) % len;
  switch (r >> 4 & 3) {
  case 0: *b ^= (uint8_t)(1 << (r >> 40 & 7)); break;
  case 1: *b = (uint8_t)(r >> 40); break;
  case 2: *b = (uint8_t)(*b + 1); break;
  default: *b = r >> 40 & 1 ? 127 : 0; break;
  }
}

static void write_file(const char *path, const uint8_t *s, size_t n)
{
  FILE *f = fopen(path, "wb");
  if (!f) return;
  fwrite(s, 1, n, f);
  fclose(f);
}

static void read_back(const char *path, const char *program, size_t n)
{
  norn_state *st;
  norn_infer *inf = inference(&st, program, n);
  if (inf && norn_infer_load(inf, path) == NORN_OK) {
    heap_collect_full(st);
    norn_infer_save(inf, path);
  } else if (inf && !norn_error(st)->code) {
    abort();
  }
  norn_infer_free(inf);
  norn_free(st);
}

static void try_changes(const char *path, const char *program, size_t n, uint64_t seed)
{
  mem m;
  size_t size;
  const char *why;
  mem_init(&m);
  uint8_t *s = (uint8_t *)file_read(&m, path, &size, &why), *copy = s ? mem_get(&m, size) : NULL;
  size_t at = copy ? image_at(s, size) : 0;
  for (uint64_t k = 0; at && k < CHANGES; k++) {
    memcpy(copy, s, size);
    for (uint64_t i = 0; i <= k % 3; i++) change(copy, at, hash_mix(seed + 7 * k + i + 1));
    mend_hashes(copy, at);
    write_file(path, copy, size);
    read_back(path, program, n);
  }
  mem_put(&m, copy, size);
  if (s) mem_put(&m, s, size + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  norn_state *st;
  char path[64];
  if (n < 4 || n > LARGEST_TEXT || s[0] != '#') return 0;
  char *program = malloc(n + 1);
  if (!program) return 0;
  memcpy(program, s, n);
  program[n] = 0;
  snprintf(path, sizeof path, "/tmp/fuzz_checkpoint.%ld", (long)getpid());
  norn_infer *inf = inference(&st, program, n);
  norn_step step = inf ? NORN_STEP_MORE : NORN_STEP_FAIL;
  for (int i = 0; i < STEPS && step == NORN_STEP_MORE; i++) {
    step = norn_infer_step(inf);
    if (step == NORN_STEP_MORE && i % 2 && norn_infer_save(inf, path) == NORN_OK)
      try_changes(path, program, n, hash_bytes(program, n, (uint64_t)i));
  }
  norn_infer_free(inf);
  norn_free(st);
  unlink(path);
  free(program);
  return 0;
}

#include "replay.h"
