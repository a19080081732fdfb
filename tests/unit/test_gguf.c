/* test_gguf.c: GGUF files: what is written comes back to the bit, what is wrong with a file is said with its byte, and
   every file that was cut short is refused. */
#include "unit.h"
#include "llm/file/gguf.h"
#include <stdlib.h>
#include <unistd.h>

typedef struct bytes { uint8_t *s; size_t n; } bytes;

/* A file with one of everything. */
static bytes made(norn_state *st)
{
  static const int64_t row[] = { 3 }, grid[] = { 32, 3 }, cube[] = { 256, 1, 2 };
  static const float three[] = { 1, -2, .5f };
  float grids[96], cubes[512];
  const char *words[] = { "a", "", "b\xc3\xa9" };
  const int32_t kinds[] = { 1, -2, 3 };
  const int64_t large = INT64_MIN;
  bytes b;
  gguf_writer *w = gguf_writer_new(st);
  for (int i = 0; i < 96; i++) grids[i] = (float)(i % 11) - 5;
  for (int i = 0; i < 512; i++) cubes[i] = (float)(i % 13) - 6;
  gguf_put_string(w, "general.architecture", "llama", 5);
  gguf_put_u32(w, "a.u32", 4000000000u);
  gguf_put_f32(w, "a.f32", 1.25f);
  gguf_put_bool(w, "a.bool", true);
  gguf_put_number(w, "a.i64", GGUF_I64, &large);
  gguf_put_array(w, "a.i32s", GGUF_I32, kinds, 3);
  gguf_put_strings(w, "a.words", words, NULL, 3);
  gguf_put_array(w, "a.none", GGUF_F32, NULL, 0);
  gguf_put_tensor(w, "three", QUANT_F32, 1, row, three);
  gguf_put_floats(w, "grid", QUANT_Q8_0, 2, grid, grids);
  gguf_put_floats(w, "cube", QUANT_Q6_K, 3, cube, cubes);
  CHECK(gguf_write_bytes(w, &b.s, &b.n) == NORN_OK);
  gguf_writer_free(w);
  return b;
}
static void drop(norn_state *st, bytes b) { norn_alloc(st, b.s, b.n, 0); }

static void check_made(gguf *f)
{
  uint32_t u = 7;
  float x = 0, row[256];
  bool yes = false;
  const char *s = "";
  size_t n = 0;
  const gguf_pair *p;
  CHECK(f->version == 3 && f->npair == 8 && f->ntensor == 3 && f->alignment == 32);
  CHECK(gguf_u32(f, "a.u32", true, &u) && u == 4000000000u);
  CHECK(gguf_f32(f, "a.f32", true, &x) && x == 1.25f);
  CHECK(gguf_bool(f, "a.bool", true, &yes) && yes);
  CHECK(gguf_string(f, "general.architecture", true, &s, &n) && n == 5 && memcmp(s, "llama", 5) == 0);
  CHECK(gguf_integer(gguf_find(f, "a.i64"), 0) == INT64_MIN);
  CHECK(gguf_array(f, "a.i32s", GGUF_I32, true, &p) && p->n == 3 && gguf_integer(p, 1) == -2);
  CHECK(gguf_array(f, "a.none", GGUF_F32, true, &p) && p && p->n == 0);
  CHECK(gguf_array(f, "a.words", GGUF_STRING, true, &p) && p->n == 3);
  const uint8_t *at = p->at;
  CHECK((s = gguf_next_string(&at, &n)) && n == 1 && *s == 'a');
  CHECK(gguf_next_string(&at, &n) && n == 0);
  CHECK((s = gguf_next_string(&at, &n)) && n == 3 && memcmp(s, "b\xc3\xa9", 3) == 0 && at == p->end);
  u = 7;
  CHECK(gguf_u32(f, "nowhere", false, &u) && u == 7 && gguf_array(f, "nowhere", GGUF_F32, false, &p) && !p);
  const gguf_tensor *t = gguf_tensor_find(f, "grid"), *c = gguf_tensor_find(f, "cube");
  CHECK(t && t->type == QUANT_Q8_0 && t->rank == 2 && t->dims[0] == 32 && t->dims[1] == 3 && t->dims[2] == 1);
  CHECK(t && t->size == 3 * 34 && gguf_tensor_count(t) == 96);
  gguf_tensor_row(t, 2, row);
  for (int i = 0; i < 32; i++) CHECK_NEAR(row[i], (64 + i) % 11 - 5, 5. / 254 + 2e-3);
  CHECK(c && c->type == QUANT_Q6_K && c->size == 420 && c->dims[2] == 2);
  gguf_tensor_row(c, 1, row);
  for (int i = 0; i < 256; i++) CHECK_NEAR(row[i], (256 + i) % 13 - 6, .2);
  t = gguf_tensor_find(f, "three");
  CHECK(t && memcmp(t->data, (const float[]){ 1, -2, .5f }, 12) == 0);
  CHECK(gguf_tensor_find(f, "thre") == NULL && gguf_find(f, "a") == NULL);
}

static void says(norn_state *st, const char *why)
{
  CHECK(norn_error(st)->code != NORN_OK);
  if (!strstr(norn_error(st)->text, why)) CHECK_STR(norn_error(st)->text, why);
  norn_clear(st);
}

static void test_round(norn_state *st)
{
  gguf f;
  char path[64];
  bytes b = made(st), again = made(st);
  CHECK(b.n == again.n && memcmp(b.s, again.s, b.n) == 0);
  CHECK(gguf_view(st, "made", b.s, b.n, &f));
  check_made(&f);
  gguf_close(&f);
  snprintf(path, sizeof path, "/tmp/norn_test_gguf_%ld", (long)getpid());
  FILE *out = fopen(path, "wb");
  CHECK(out && fwrite(b.s, 1, b.n, out) == b.n && fclose(out) == 0);
  CHECK(gguf_open(st, path, &f));
  check_made(&f);
  gguf_close(&f);
  gguf_close(&f);
  const char *keep = getenv("NORN_KEEP_GGUF");          /* for the reader of another package */
  if (keep) CHECK(rename(path, keep) == 0);
  else unlink(path);
  CHECK(!gguf_open(st, path, &f));
  says(st, "can't read");
  CHECK(!gguf_open(st, "/tmp", &f));
  says(st, "it is no file");
  drop(st, b);
  drop(st, again);
}

/* Cut at every byte: refused, unless only what fills up behind the last tensor is missing. */
static void test_cut(norn_state *st)
{
  gguf f;
  bytes b = made(st);
  int fine = 0;
  for (size_t n = 0; n < b.n; n++) {
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, b.s, n);
    if (gguf_view(st, "cut", copy, n, &f)) {
      fine++;
      gguf_close(&f);
    } else {
      CHECK(norn_error(st)->code == NORN_EIO && strstr(norn_error(st)->text, "at byte"));
      norn_clear(st);
    }
    free(copy);
  }
  CHECK(fine < 32);
  drop(st, b);
}

/* Every bit of the header turned: refused or read, never beyond the bytes. */
static void test_flipped(norn_state *st)
{
  gguf f;
  bytes b = made(st);
  for (size_t k = 0; k < 8 * 640 && k < 8 * b.n; k++) {
    b.s[k / 8] ^= (uint8_t)(1 << k % 8);
    if (gguf_view(st, "flipped", b.s, b.n, &f)) {
      for (int i = 0; i < f.ntensor; i++)
        CHECK((const uint8_t *)f.tensor[i].data + f.tensor[i].size <= b.s + b.n);
      gguf_close(&f);
    } else {
      CHECK(norn_error(st)->code == NORN_EIO);
      norn_clear(st);
    }
    b.s[k / 8] ^= (uint8_t)(1 << k % 8);
  }
  drop(st, b);
}

/* ---- files by hand ---- */

typedef struct hand { uint8_t s[1024]; size_t n; } hand;
static void put(hand *h, const void *x, size_t n)
{
  memcpy(h->s + h->n, x, n);
  h->n += n;
}
static void put4(hand *h, uint32_t x) { put(h, &x, 4); }
static void put8(hand *h, uint64_t x) { put(h, &x, 8); }
static void puts8(hand *h, const char *s)
{
  put8(h, strlen(s));
  put(h, s, strlen(s));
}
static hand head(uint32_t version, uint64_t tensors, uint64_t pairs)
{
  hand h = { .n = 0 };
  put(&h, "GGUF", 4);
  put4(&h, version);
  put8(&h, tensors);
  put8(&h, pairs);
  return h;
}
static void tensor(hand *h, const char *name, uint32_t rank, uint64_t d0, uint64_t d1, uint32_t type, uint64_t at)
{
  puts8(h, name);
  put4(h, rank);
  put8(h, d0);
  if (rank > 1) put8(h, d1);
  put4(h, type);
  put8(h, at);
}
static void fill(hand *h, size_t more)
{
  while (h->n % 32) h->s[h->n++] = 0;
  h->n += more;
}
/* In memory of just this size, so that ASan sees one byte too many. */
static void refused(norn_state *st, const hand *h, const char *why)
{
  gguf f;
  uint8_t *copy = malloc(h->n ? h->n : 1);
  memcpy(copy, h->s, h->n);
  CHECK(!gguf_view(st, "x.gguf", copy, h->n, &f));
  CHECK(strstr(norn_error(st)->text, "x.gguf") != NULL);
  says(st, why);
  free(copy);
}

static void test_heads(norn_state *st)
{
  hand h = head(1, 0, 0);
  refused(st, &h, "version 1 is not read");
  h = head(0x03000000, 0, 0);
  refused(st, &h, "greatest byte of a number first");
  h = head(4, 0, 0);
  refused(st, &h, "at byte 4, the version is 4; 2 or 3 is expected");
  h = head(0, 0, 0);
  refused(st, &h, "the version is 0");
  h.s[0] = 27;
  refused(st, &h, "at byte 0, it begins with \"?GUF\"");
  h = head(3, 1ull << 32, 0);
  refused(st, &h, "at byte 8, the number of tensors is 4294967296; at most 65536");
  h = head(3, 60000, 0);
  refused(st, &h, "the number of tensors is 60000, for which 8 bytes are too few");
  h = head(3, 0, UINT64_MAX);
  refused(st, &h, "at byte 16, the number of keys is 18446744073709551615");
  h = head(2, 0, 0);
  gguf f;
  CHECK(gguf_view(st, "v2", h.s, h.n, &f) && f.version == 2);
  gguf_close(&f);
}

static void test_pairs(norn_state *st)
{
  hand h = head(3, 0, 1);
  put8(&h, UINT64_MAX);
  fill(&h, 32);
  refused(st, &h, "at byte 24, a key should have 18446744073709551615 bytes");
  h = head(3, 0, 1);
  put8(&h, 0);
  fill(&h, 32);
  refused(st, &h, "a key is empty");
  h = head(3, 0, 1);
  put8(&h, 3);
  put(&h, "a\0b", 3);
  fill(&h, 32);
  refused(st, &h, "a key holds a zero byte");
  h = head(3, 0, 1);
  puts8(&h, "k\x1b");
  put4(&h, 13);
  fill(&h, 32);
  refused(st, &h, "k? is of type 13; 0 to 12");
  h = head(3, 0, 1);
  puts8(&h, "k");
  put4(&h, GGUF_BOOL);
  put(&h, "\2", 1);
  refused(st, &h, "at byte 37, k has 2 where a bool is 0 or 1");
  h = head(3, 0, 1);
  puts8(&h, "k");
  put4(&h, GGUF_ARRAY);
  put4(&h, GGUF_ARRAY);
  put8(&h, 1);
  refused(st, &h, "k is an array of arrays");
  h = head(3, 0, 1);
  puts8(&h, "k");
  put4(&h, GGUF_ARRAY);
  put4(&h, GGUF_F64);
  put8(&h, 1ull << 61);
  refused(st, &h, "k should have 2305843009213693952 of f64; 0 bytes are left");
  h = head(3, 0, 1);
  puts8(&h, "k");
  put4(&h, GGUF_ARRAY);
  put4(&h, GGUF_STRING);
  put8(&h, 2);
  puts8(&h, "abcdefgh");
  refused(st, &h, "a string of k should have 8 bytes; the file ends after 0");
  h = head(3, 0, 2);
  for (int i = 0; i < 2; i++) {
    puts8(&h, "same");
    put4(&h, GGUF_U8);
    put(&h, "x", 1);
  }
  refused(st, &h, "two keys called same");
}

static void align(hand *h, uint32_t type, uint32_t to)
{
  *h = head(3, 0, 1);
  puts8(h, "general.alignment");
  put4(h, type);
  put4(h, to);
}
static void test_tensors(norn_state *st)
{
  hand h;
  align(&h, GGUF_U32, 24);
  refused(st, &h, "general.alignment is 24; a power of two from 8");
  align(&h, GGUF_U32, 0);
  refused(st, &h, "general.alignment is 0");
  align(&h, GGUF_F32, 32);
  refused(st, &h, "general.alignment is of type f32");
  h = head(3, 1, 0);
  tensor(&h, "t", 1, 8, 0, 0, 0);
  fill(&h, 31);
  refused(st, &h, "tensor t should take bytes 0 to 32 behind the header; there are 31");
  h = head(3, 1, 0);
  tensor(&h, "t", 1, 8, 0, 0, 16);
  fill(&h, 64);
  refused(st, &h, "tensor t begins at 16; a multiple of 32");
  h = head(3, 1, 0);
  tensor(&h, "t", 1, 8, 0, 0, UINT64_MAX - 31);
  fill(&h, 64);
  refused(st, &h, "there are 64");
  h = head(3, 1, 0);
  tensor(&h, "t", 2, 1ull << 62, 4, 0, 0);
  fill(&h, 64);
  refused(st, &h, "dimension 1 of tensor t is 4");
  h = head(3, 1, 0);
  tensor(&h, "t", 1, 1ull << 62, 4, 0, 0);
  fill(&h, 64);
  refused(st, &h, "the shape of tensor t is beyond all memory");
  h = head(3, 1, 0);
  tensor(&h, "t", 2, 0, 4, 0, 0);
  fill(&h, 64);
  refused(st, &h, "dimension 0 of tensor t is 0");
  h = head(3, 1, 0);
  tensor(&h, "t", 5, 1, 1, 0, 0);
  fill(&h, 64);
  refused(st, &h, "tensor t has 5 dimensions; 1 to 4");
  h = head(3, 1, 0);
  tensor(&h, "t", 1, 33, 0, 8, 0);
  fill(&h, 64);
  refused(st, &h, "rows of 33 numbers; a multiple of 32");
  h = head(3, 1, 0);
  tensor(&h, "t", 1, 256, 0, 10, 0);
  fill(&h, 96);
  refused(st, &h, "tensor t is of type Q2_K, which this Norn does not read");
  h = head(3, 1, 0);
  tensor(&h, "t", 1, 8, 0, 4, 0);
  fill(&h, 64);
  refused(st, &h, "tensor t is of type 4, which means nothing");
  h = head(3, 2, 0);
  tensor(&h, "a", 1, 16, 0, 0, 0);
  tensor(&h, "b", 1, 8, 0, 0, 32);
  fill(&h, 96);
  refused(st, &h, "tensor b overlaps tensor a");
  h = head(3, 2, 0);
  tensor(&h, "a", 1, 8, 0, 0, 0);
  tensor(&h, "a", 1, 8, 0, 0, 32);
  fill(&h, 64);
  refused(st, &h, "two tensors called a");
}

static void test_asked(norn_state *st)
{
  gguf f;
  uint32_t u;
  float x;
  bool yes;
  const char *s;
  size_t n;
  const gguf_pair *p;
  bytes b = made(st);
  CHECK(gguf_view(st, "made", b.s, b.n, &f));
  CHECK(!gguf_u32(&f, "nowhere", true, &u));
  says(st, "it has no nowhere, which a model of its kind needs");
  CHECK(!gguf_u32(&f, "a.f32", true, &u));
  says(st, "a.f32 is f32; a whole number is expected");
  CHECK(!gguf_u32(&f, "a.i64", true, &u));
  says(st, "a.i64 is -9223372036854775808; 0 to 4294967295 is expected");
  CHECK(!gguf_u32(&f, "a.i32s", true, &u));
  says(st, "a.i32s differs from layer to layer (1, then -2)");
  CHECK(!gguf_f32(&f, "a.u32", true, &x));
  says(st, "a.u32 is u32; a real number is expected");
  CHECK(!gguf_f32(&f, "a.none", true, &x));
  says(st, "a.none is an array of f32");
  CHECK(!gguf_bool(&f, "a.u32", false, &yes));
  says(st, "a bool is expected");
  CHECK(!gguf_string(&f, "a.words", true, &s, &n));
  says(st, "a.words is an array of string; a string is expected");
  CHECK(!gguf_array(&f, "a.words", GGUF_F32, true, &p));
  says(st, "an array of f32 is expected");
  gguf_close(&f);
  drop(st, b);
}

/* A writer's mistakes are the writer's errors, the first of them. */
static void test_written(norn_state *st)
{
  static const int64_t odd[] = { 33 }, fine[] = { 32 };
  const float x[32] = { 1 };
  uint8_t *s;
  size_t n;
  for (int k = 0; k < 6; k++) {
    static const char *const why[] = { "comes twice: a", "a tensor's name of a GGUF file comes twice: t", "a shape that Q8_0",
                                       "a key of a GGUF file has 1 to 65535 bytes, not 0", "can't write /nowhere/x",
                                       "general.alignment can't be set" };
    gguf_writer *w = gguf_writer_new(st);
    gguf_put_u32(w, k == 3 ? "" : "a", 1);
    gguf_put_u32(w, k == 0 ? "a" : k == 5 ? "general.alignment" : "b", 1);
    gguf_put_floats(w, "t", QUANT_Q8_0, 1, k == 2 ? odd : fine, x);
    gguf_put_floats(w, k == 1 ? "t" : "u", QUANT_Q4_0, 1, fine, x);
    CHECK((k == 4 ? gguf_write(w, "/nowhere/x") : gguf_write_bytes(w, &s, &n)) != NORN_OK);
    says(st, why[k]);
    gguf_writer_free(w);
  }
}

/* Each request for memory fails once: an error, and nothing is lost (valgrind, ASan). */
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
static bool written_and_read(norn_state *st)
{
  static const int64_t dims[] = { 64, 8 };
  static const float x[64 * 8];
  uint8_t *s = NULL;
  size_t n = 0;
  gguf f;
  gguf_writer *w = gguf_writer_new(st);
  if (!w) return false;
  for (int k = 0; k < 10; k++) {
    char name[16];
    snprintf(name, sizeof name, "t%d", k);
    gguf_put_string(w, name, name, 2);
    gguf_put_floats(w, name, QUANT_F16, 2, dims, x);
  }
  bool fine = gguf_write_bytes(w, &s, &n) == NORN_OK;
  gguf_writer_free(w);
  if (!fine) return false;
  fine = gguf_view(st, "x", s, n, &f);
  if (fine) gguf_close(&f);
  norn_alloc(st, s, n, 0);
  return fine;
}
static void test_memory(void)
{
  failing hook = { 0 };
  norn_config c = norn_config_default();
  c.alloc = failing_alloc;
  c.alloc_user = &hook;
  norn_state *st = norn_new_bare(&c);
  int failures = 0;
  for (long k = 1;; k++) {
    hook.left = k;
    bool fine = written_and_read(st);
    hook.left = 0;
    if (fine) break;
    CHECK(norn_error(st)->code == NORN_EMEMORY);
    norn_clear(st);
    failures++;
  }
  CHECK(failures > 30);
  norn_free(st);
}

int main(void)
{
  norn_config c = norn_config_default();
  norn_state *st = norn_new_bare(&c);
  test_round(st);
  test_cut(st);
  test_flipped(st);
  test_heads(st);
  test_pairs(st);
  test_tensors(st);
  test_asked(st);
  test_written(st);
  norn_free(st);
  test_memory();
  return unit_end();
}
