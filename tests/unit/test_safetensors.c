/* test_safetensors.c: files of named tensors: what is written comes back to the bit, what is wrong with a
   file is said, and the last good file stays. */
#include "unit.h"
#include "base/base.h"
#include "nn/safetensors.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct tensor_bytes { char *s; size_t n; } tensor_bytes;
/* A file of this header (padded to nothing) and n bytes of numbers 1, 2, 3 ... */
static tensor_bytes made(const char *header, size_t n)
{
  uint64_t length = strlen(header);
  tensor_bytes b = { malloc(8 + length + n), 8 + length + n };
  memcpy(b.s, &length, 8);
  memcpy(b.s + 8, header, length);
  for (size_t i = 0; i < n; i++) b.s[8 + length + i] = (char)(i + 1);
  return b;
}
/* In memory of just this size, so that ASan sees one byte too many. */
static void refused(norn_state *st, const char *header, size_t n, const char *why)
{
  tensor_file f;
  tensor_bytes b = made(header, n);
  CHECK(!tensor_file_view(st, "x.safetensors", b.s, b.n, &f));
  free(b.s);
  CHECK(f.entry == NULL && f.text == NULL);
  if (!strstr(norn_error(st)->text, why)) CHECK_STR(norn_error(st)->text, why);
  CHECK(norn_error(st)->code == NORN_EIO);
  norn_clear(st);
}

#define T(name, type, shape, from, to) \
  "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void test_refused(norn_state *st)
{
  refused(st, "{" T("a", "F32", "[2]", 0, 8) "}", 7, "lies outside of the file");
  refused(st, "{" T("a", "F32", "[2]", 0, 8) "}", 9, "1 bytes follow the last tensor");
  refused(st, "{" T("a", "F32", "[2]", 4, 12) "}", 12, "gap before tensor a");
  refused(st, "{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 4, 12) "}", 12, "overlaps");
  refused(st, "{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 0, 8) "}", 8, "overlaps");
  refused(st, "{" T("a", "F32", "[2]", 0, 8) "," T("a", "F32", "[2]", 8, 16) "}", 16, "duplicate");
  refused(st, "{" T("a", "F32", "[3]", 0, 8) "}", 8, "takes 8 bytes, its shape 12");
  refused(st, "{" T("a", "F64", "[2]", 0, 8) "}", 8, "takes 8 bytes, its shape 16");
  refused(st, "{" T("a", "F32", "[2]", 8, 0) "}", 8, "outside");
  refused(st, "{" T("a", "F32", "[2]", -8, 0) "}", 8, "outside");
  refused(st, "{" T("a", "F32", "[2]", 0, 18446744073709551615) "}", 8, "outside");
  refused(st, "{" T("a", "F32", "[-2]", 0, 8) "}", 8, "shape of tensor a");
  refused(st, "{" T("a", "F32", "[2.0]", 0, 8) "}", 8, "shape of tensor a");
  refused(st, "{" T("a", "F32", "[1,1,1,1,1,1,1,1,2]", 0, 8) "}", 8, "at most 8");
  refused(st, "{" T("a", "F32", "[4294967296,4294967296]", 0, 8) "}", 8, "beyond all memory");
  refused(st, "{" T("a", "F32", "[9223372036854775807,9223372036854775807,2]", 0, 8) "}", 8, "beyond");
  refused(st, "{" T("a", "F32", "[[2]]", 0, 8) "}", 8, "shape");
  refused(st, "{" T("a", "F8_E4M3", "[8]", 0, 8) "}", 8, "type that this Norn does not know");
  refused(st, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "three fields");
  refused(st, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1}}", 8,
          "three fields");
  refused(st, "{\"a\":[1,2]}", 8, "three fields");
  refused(st, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4,8]}}", 8, "outside");
  refused(st, "{\"__metadata__\":{\"a\":1}}", 0, "a of __metadata__ is not a text");
  refused(st, "{\"__metadata__\":[]}", 0, "not a record");
  refused(st, "{\"__metadata__\":{\"a\":\"b\\u0000c\"}}", 0, "zero byte");
  refused(st, "{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, "duplicate");
  refused(st, "{\"\xff\":{}}", 0, "not JSON");
  refused(st, "{\"a\\u0000b\":{}}", 0, "x.safetensors");
  refused(st, "[1]", 0, "brace");
  refused(st, "{\"a\":", 0, "not JSON");
  refused(st, "{}x", 0, "not JSON");
  refused(st, "{\"\\u001b[31mred\":{}}", 0, "tensor ?[31mred");
}

static void test_bytes(norn_state *st)
{
  static const uint64_t lengths[] = { 0, 1, 100, 1u << 30, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63 };
  tensor_file f;
  char small[16] = "        {}";
  for (size_t n = 0; n < 8; n++) CHECK(!tensor_file_view(st, "x", small, n, &f));
  for (int k = 0; k < 7; k++) {
    memcpy(small, lengths + k, 8);
    CHECK(!tensor_file_view(st, "x", small, 10, &f));
  }
  memcpy(small, &(uint64_t){ 2 }, 8);
  CHECK(tensor_file_view(st, "x", small, 10, &f));
  CHECK(f.n == 0 && f.nmeta == 0 && tensor_file_find(&f, "a") == NULL);
  tensor_file_close(&f);
  /* Depth: 100,000 brackets. */
  char *deep = malloc(200010);
  memcpy(deep, &(uint64_t){ 200001 }, 8);
  memset(deep + 8, '[', 200001);
  memcpy(deep + 8, "{\"a\":", 5);
  CHECK(!tensor_file_view(st, "deep", deep, 200009, &f));
  free(deep);
  /* More of a header than is allowed. */
  size_t much = (size_t)TENSOR_HEADER + 1;
  char *large = calloc(much + 8, 1);
  memcpy(large, &(uint64_t){ much }, 8);
  large[8] = '{';
  CHECK(!tensor_file_view(st, "large", large, much + 8, &f));
  CHECK(strstr(norn_error(st)->text, "more than 16777216") != NULL);
  free(large);
  norn_clear(st);
}

static void test_read(norn_state *st)
{
  tensor_file f;
  float x[4];
  tensor_bytes bytes = made("{\"__metadata__\":{\"k\\\"ey\":\"v\\n\xc3\xa9\"}," T("b", "U8", "[3]", 8, 11) ","
              T("a", "F32", "[2,1]", 0, 8) "," T("none", "F32", "[2,9223372036854775807,0]", 11, 11) ","
              T("one", "I8", "[]", 11, 12) "}  ", 12);
  CHECK(tensor_file_view(st, "x", bytes.s, bytes.n, &f));
  CHECK(f.n == 4 && f.nmeta == 1);
  CHECK_STR(tensor_file_meta(&f, "k\"ey"), "v\n\xc3\xa9");
  CHECK(tensor_file_meta(&f, "key") == NULL);
  const tensor_entry *a = tensor_file_find(&f, "a"), *one = tensor_file_find(&f, "one");
  CHECK(a && a->type == TENSOR_F32 && a->rank == 2 && a->dims[0] == 2 && a->size == 8);
  CHECK(one && one->rank == 0 && tensor_count(one) == 1 && *(const char *)one->data == 12);
  CHECK(tensor_file_find(&f, "none")->size == 0 && tensor_count(tensor_file_find(&f, "none")) == 0);
  CHECK(tensor_to_f32(a, x) && !tensor_to_f32(one, x));
  CHECK(memcmp(x, "\1\2\3\4\5\6\7\10", 8) == 0);
  tensor_file_close(&f);
  free(bytes.s);
}

static void test_floats(norn_state *st)
{
  static const uint16_t half[] = { 0x3c00, 0xc000, 1, 0x0400, 0x7bff, 0x7c00, 0x8000, 0x3555, 0x7e00 };
  static const double value[] = { 1, -2, 0x1p-24, 0x1p-14, 65504, INFINITY, -0.0, 0.333251953125 };
  static const double d[] = { 1.5, 1e300, 0.1 };
  static const uint16_t brain[] = { 0x3f80, 0xc020, 0x7f80 };
  const tensor_entry e[] = { { "h", TENSOR_F16, 1, { 9 }, half, sizeof half },
                             { "d", TENSOR_F64, 1, { 3 }, d, sizeof d },
                             { "b", TENSOR_BF16, 1, { 3 }, brain, sizeof brain } };
  float x[9];
  (void)st;
  CHECK(tensor_to_f32(&e[0], x));
  for (int i = 0; i < 8; i++) CHECK(x[i] == (float)value[i] && signbit(x[i]) == signbit((float)value[i]));
  CHECK(isnan(x[8]));
  CHECK(tensor_to_f32(&e[1], x) && x[0] == 1.5f && isinf(x[1]) && x[2] == 0.1f);
  CHECK(tensor_to_f32(&e[2], x) && x[0] == 1 && x[1] == -2.5f && isinf(x[2]));
}

/* tests/safetensors.sh: a file for the package of Python, and one that it wrote. */
static void python(norn_state *st, const char *folder, const tensor_entry *e, int n, const char *const *key,
                   const char *const *value, int nmeta)
{
  char path[400];
  tensor_file f;
  float x[6];
  snprintf(path, sizeof path, "%s/norn.safetensors", folder);
  CHECK(!tensor_file_write(st, path, e, n, key, value, nmeta));
  snprintf(path, sizeof path, "%s/python.safetensors", folder);
  if (!tensor_file_open(st, path, &f)) {
    CHECK_STR(norn_error(st)->text, "a file of Python is read");
    return;
  }
  CHECK_STR(tensor_file_meta(&f, "key"), "a \"value\"\n\xc3\xa9");
  CHECK(f.n == 4 && tensor_to_f32(tensor_file_find(&f, "a"), x) && x[5] == 5);
  CHECK(tensor_to_f32(tensor_file_find(&f, "b"), x) && x[0] == 1.5f && x[1] == -2);
  CHECK(tensor_to_f32(tensor_file_find(&f, "h"), x) && x[0] == .5f);
  tensor_file_close(&f);
}

static void test_write(norn_state *st)
{
  char path[] = "/tmp/norn_tensors_XXXXXX";
  int fd = mkstemp(path);
  close(fd);
  float a[5] = { 1.25f, -0.0f, 3e-45f, 1e38f, -7 };
  double b[2] = { 0.1, 1e-310 };
  uint8_t c[3] = { 1, 2, 3 };
  tensor_entry e[] = { { "odd", TENSOR_U8, 1, { 3 }, c, sizeof c },
                       { "w \"x\"", TENSOR_F32, 2, { 5, 1 }, a, sizeof a },
                       { "b", TENSOR_F64, 1, { 2 }, b, sizeof b },
                       { "empty", TENSOR_F32, 1, { 0 }, NULL, 0 } };
  const char *key[] = { "z", "norn" }, *value[] = { "1\n2", "net" };
  tensor_file f;
  CHECK(!tensor_file_write(st, path, e, 4, key, value, 2));
  if (getenv("NORN_TENSORS")) python(st, getenv("NORN_TENSORS"), e, 4, key, value, 2);
  CHECK(tensor_file_open(st, path, &f));
  CHECK(f.n == 4 && f.nmeta == 2);
  CHECK_STR(tensor_file_meta(&f, "z"), "1\n2");
  for (int k = 0; k < 4; k++) {
    const tensor_entry *r = tensor_file_find(&f, e[k].name);
    CHECK(r && r->type == e[k].type && r->rank == e[k].rank && r->size == e[k].size);
    if (r && r->size) CHECK(memcmp(r->data, e[k].data, r->size) == 0);
    if (r) CHECK((uintptr_t)r->data % tensor_type_size(r->type) == 0);
  }
  const tensor_entry *first = tensor_file_find(&f, "b");
  CHECK(((uintptr_t)first->data - (uintptr_t)f.map) % 64 == 0);
  /* The old file stays readable while, and if, a new one fails: its place is a folder that is not there, or
     is full. */
  char beside[60];
  snprintf(beside, sizeof beside, "%s/no/x", path);
  CHECK(tensor_file_write(st, beside, e, 4, key, value, 2) == NORN_EIO);
  CHECK(strstr(norn_error(st)->text, "can't write") != NULL);
  if (access("/dev/full", W_OK) == 0)
    CHECK(tensor_file_write(st, "/dev/full", e, 4, key, value, 2) == NORN_EIO);
  e[0].name = "b";
  e[0].type = TENSOR_F64, e[0].dims[0] = 0, e[0].size = 0;
  CHECK(tensor_file_write(st, path, e, 4, NULL, NULL, 0) == NORN_EUSE);
  e[0].name = "c", e[0].size = 8;
  CHECK(tensor_file_write(st, path, e, 4, NULL, NULL, 0) == NORN_EUSE);
  CHECK(tensor_file_find(&f, "odd") != NULL);
  tensor_file_close(&f);
  norn_clear(st);
  /* Cut at every length. */
  struct stat is;
  stat(path, &is);
  for (off_t n = is.st_size - 1; n >= 0; n -= 1 + n / 50) {
    CHECK(truncate(path, n) == 0);
    CHECK(!tensor_file_open(st, path, &f));
  }
  unlink(path);
  CHECK(!tensor_file_open(st, path, &f) && strstr(norn_error(st)->text, "No such file") != NULL);
  CHECK(!tensor_file_open(st, "/tmp", &f) && strstr(norn_error(st)->text, "it is no file") != NULL);
  norn_clear(st);
}

/* No memory at the k-th request: an error, and nothing is lost. */
static void test_memory(void)
{
  tensor_bytes b = made("{\"__metadata__\":{\"k\":\"v\"}," T("a", "F32", "[2]", 0, 8) "}", 8);
  for (size_t most = 0; most < 1 << 16; most += 512) {
    norn_config c = norn_config_default();
    norn_state *st = norn_new_bare(&c);
    tensor_file f;
    norn_config_of(st)->max_memory = norn_memory_used(st) + most;
    if (tensor_file_view(st, "x", b.s, b.n, &f)) tensor_file_close(&f);
    else CHECK(norn_error(st)->code == NORN_EMEMORY);
    norn_free(st);
  }
  free(b.s);
}

int main(void)
{
  norn_state *st = norn_new_bare(NULL);
  if (!st) return 1;
  test_refused(st);
  test_bytes(st);
  test_read(st);
  test_floats(st);
  test_write(st);
  test_memory();
  norn_free(st);
  return unit_end();
}
