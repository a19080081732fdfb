/* safetensors.c: reading files of named tensors (safetensors.h).  The header's JSON is read by jansson
   (io/json.h), which refuses malformed UTF-8, keys that occur twice and depth without end; what it says is
   checked here before anything is believed. */
#include "nn/safetensors.h"
#include "base/base.h"
#include "io/json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const tensor_type_names[TENSOR_TYPES] = { "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8",
                                                      "U64", "U32", "U16", "U8", "BOOL" };
static const uint8_t type_size[TENSOR_TYPES] = { 8, 4, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1, 1 };
size_t tensor_type_size(tensor_type t) { return type_size[t]; }

/* A name from a file, as messages show it: short, without control characters. */
typedef struct shown { char s[64]; } shown;
static shown show(const char *name)
{
  shown r;
  size_t n = 0, k;
  uint32_t code;
  for (size_t len = strlen(name); n < len; n += k) {
    int wide = utf8_next(name + n, len - n, &code);
    k = wide > 0 ? (size_t)wide : 1;
    if (n + k > sizeof r.s - 5) break;
    memcpy(r.s + n, name + n, k);
    if (wide <= 0 || code < 32 || code == 127) r.s[n] = '?';
  }
  memcpy(r.s + n, name[n] ? "..." : "", name[n] ? 4 : 1);
  return r;
}

static bool damaged(norn_state *st, const char *file, const char *format, ...) NORN_PRINTF(3, 4);
static bool damaged(norn_state *st, const char *file, const char *format, ...)
{
  char why[300];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  norn_fail(st, NORN_EIO, 0, "%s is no sound file of tensors (safetensors): %s", file, why);
  norn_hint(st, "it was cut short or changed, or it is of another format");
  return false;
}

static bool no_memory(norn_state *st) { return !norn_fail(st, NORN_EMEMORY, -1, "not enough memory"); }

/* A text of the header, kept; NULL: it holds a zero byte.  There is room: in JSON it has two quotes more. */
static char *keep(tensor_file *f, const char *s, size_t n)
{
  char *at = f->text + f->ntext;
  if (memchr(s, 0, n)) return NULL;
  memcpy(at, s, n);
  at[n] = 0;
  f->ntext += n + 1;
  return at;
}

/* Whole numbers >= 0, at most `most`; how many, or -1. */
static int whole_numbers(norn_datum a, int most, int64_t *out)
{
  norn_view v;
  if (!norn_array_view(a, &v) || v.rank != 1 || v.n > most) return -1;
  if (v.n > 0 && v.elem != NORN_I64) return -1;
  for (int64_t i = 0; i < v.n; i++) {
    if (v.i[i] < 0) return -1;
    out[i] = v.i[i];
  }
  return (int)v.n;
}

/* The bytes of a shape; -1: beyond what a file can have. */
static int64_t bytes_of(const tensor_entry *e)
{
  int64_t n = (int64_t)type_size[e->type];
  for (int k = 0; k < e->rank; k++)
    if (e->dims[k] == 0) return 0;
  for (int k = 0; k < e->rank; k++)
    if (__builtin_mul_overflow(n, e->dims[k], &n)) return -1;
  return n;
}

static bool read_type(norn_state *st, norn_datum d, tensor_type *type)
{
  size_t n;
  const char *s = norn_string_view(norn_record_get(st, d, "dtype"), &n);
  for (int k = 0; s && k < TENSOR_TYPES; k++)
    if (strcmp(s, tensor_type_names[k]) == 0) {
      *type = (tensor_type)k;
      return true;
    }
  return false;
}

/* {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]} */
static bool read_entry(tensor_file *f, const char *file, const char *name, norn_datum d, const char *data,
                       size_t size, tensor_entry *e)
{
  int64_t at[2];
  e->name = keep(f, name, strlen(name));
  if (norn_record_size(d) != 3) return damaged(f->st, file, "tensor %s has not the three fields dtype, "
                                               "shape and data_offsets", show(name).s);
  if (!read_type(f->st, d, &e->type))
    return damaged(f->st, file, "tensor %s is of a type that this Norn does not know", show(name).s);
  e->rank = whole_numbers(norn_record_get(f->st, d, "shape"), TENSOR_RANK, e->dims);
  if (e->rank < 0)
    return damaged(f->st, file, "the shape of tensor %s is not at most %d whole numbers", show(name).s,
                   TENSOR_RANK);
  if (whole_numbers(norn_record_get(f->st, d, "data_offsets"), 2, at) != 2 || at[0] > at[1] ||
      (uint64_t)at[1] > size)
    return damaged(f->st, file, "tensor %s lies outside of the file", show(name).s);
  int64_t want = bytes_of(e);
  if (want < 0) return damaged(f->st, file, "the shape of tensor %s is beyond all memory", show(name).s);
  if (want != at[1] - at[0])
    return damaged(f->st, file, "tensor %s takes %lld bytes, its shape %lld", show(name).s,
                   (long long)(at[1] - at[0]), (long long)want);
  e->data = data + at[0];
  e->size = (size_t)want;
  return true;
}

static bool read_meta(tensor_file *f, const char *file, norn_datum d)
{
  int n = norn_record_size(d);
  if (n < 0) return damaged(f->st, file, "__metadata__ is not a record");
  f->nkey = n;
  f->key = norn_alloc(f->st, NULL, 0, (size_t)(2 * n + 1) * sizeof *f->key);
  if (!f->key) return no_memory(f->st);
  f->value = f->key + n;
  for (; f->nmeta < n; f->nmeta++) {
    norn_datum v;
    size_t len;
    const char *key = norn_record_at(f->st, d, f->nmeta, &v), *s = norn_string_view(v, &len);
    if (!s) return damaged(f->st, file, "%s of __metadata__ is not a text", show(key).s);
    f->key[f->nmeta] = keep(f, key, strlen(key));
    f->value[f->nmeta] = keep(f, s, len);
    if (!f->value[f->nmeta]) return damaged(f->st, file, "%s of __metadata__ holds a zero byte", show(key).s);
  }
  return true;
}

static int by_place(const void *a, const void *b)
{
  const tensor_entry *x = a, *y = b;
  uintptr_t i = (uintptr_t)x->data, j = (uintptr_t)y->data;
  return i != j ? (i > j) - (i < j) : (x->size > y->size) - (x->size < y->size);
}
static int by_name(const void *a, const void *b)
{
  return strcmp(((const tensor_entry *)a)->name, ((const tensor_entry *)b)->name);
}
/* Each begins where the one before ends, and the last ends with the file. */
static bool no_gaps(tensor_file *f, const char *file, const char *data, size_t size)
{
  const char *end = data;
  if (f->n) qsort(f->entry, (size_t)f->n, sizeof *f->entry, by_place);
  for (int k = 0; k < f->n; k++) {
    const char *at = f->entry[k].data;
    if (at != end)
      return damaged(f->st, file, at < end ? "tensor %s overlaps the one before it"
                                           : "there is a gap before tensor %s", show(f->entry[k].name).s);
    end = at + f->entry[k].size;
  }
  if (end != data + size)
    return damaged(f->st, file, "%zu bytes follow the last tensor", (size_t)(data + size - end));
  if (f->n) qsort(f->entry, (size_t)f->n, sizeof *f->entry, by_name);
  return true;
}

static bool read_header(tensor_file *f, const char *file, norn_datum head, const char *data, size_t size)
{
  int n = norn_record_size(head);
  if (n < 0) return damaged(f->st, file, "its header is not a record");
  if (n > TENSOR_MOST) return damaged(f->st, file, "%d tensors are more than %d", n, TENSOR_MOST);
  f->nentry = n;
  f->entry = norn_alloc(f->st, NULL, 0, (size_t)(n + 1) * sizeof *f->entry);
  if (!f->entry) return no_memory(f->st);
  for (int k = 0; k < n; k++) {
    norn_datum v;
    const char *name = norn_record_at(f->st, head, k, &v);
    bool meta = strcmp(name, "__metadata__") == 0;
    if (meta && !read_meta(f, file, v)) return false;
    if (!meta && !read_entry(f, file, name, v, data, size, &f->entry[f->n])) return false;
    if (!meta) f->n++;
  }
  return no_gaps(f, file, data, size);
}

static bool little_endian(void)
{
  const uint16_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  return first == 1;
}

static bool view(tensor_file *f, const char *file, const char *bytes, size_t size)
{
  uint64_t length = 0;
  norn_datum head;
  norn_state *st = f->st;
  if (!little_endian())
    return !norn_fail(st, NORN_EIO, 0, "%s can't be read where the greatest byte of a number comes first",
                      file);
  if (size < 8) return damaged(st, file, "it has %zu bytes", size);
  memcpy(&length, bytes, 8);
  if (length > size - 8)
    return damaged(st, file, "its header should have %llu bytes, %zu follow", (unsigned long long)length,
                   size - 8);
  if (length > TENSOR_HEADER)
    return damaged(st, file, "its header has %llu bytes, more than %d", (unsigned long long)length,
                   TENSOR_HEADER);
  if (length < 2 || bytes[8] != '{') return damaged(st, file, "its header does not begin with a brace");
  f->ctext = (size_t)length + 1;
  f->text = norn_alloc(st, NULL, 0, f->ctext);
  if (!f->text) return no_memory(st);
  if (json_read(st, file, bytes + 8, (size_t)length, 0, &head)) {
    if (norn_error(st)->code == NORN_EIO) norn_hint(st, "the header of a file .safetensors is JSON");
    return false;
  }
  return read_header(f, file, head, bytes + 8 + length, size - 8 - (size_t)length);
}

bool tensor_file_view(norn_state *st, const char *name, const void *bytes, size_t size, tensor_file *f)
{
  memset(f, 0, sizeof *f);
  f->st = st;
  if (view(f, name, bytes, size)) return true;
  tensor_file_close(f);
  return false;
}

bool tensor_file_open(norn_state *st, const char *path, tensor_file *f)
{
  struct stat is;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  memset(f, 0, sizeof *f);
  if (fd < 0 || fstat(fd, &is)) {
    norn_fail(st, NORN_EIO, 0, "can't read %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return false;
  }
  if (!S_ISREG(is.st_mode) || is.st_size < 8) {
    close(fd);
    return S_ISREG(is.st_mode) ? damaged(st, path, "it has %lld bytes", (long long)is.st_size)
                               : !norn_fail(st, NORN_EIO, 0, "can't read %s: it is no file", path);
  }
  void *map = mmap(NULL, (size_t)is.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  int err = errno;
  close(fd);
  if (map == MAP_FAILED) return !norn_fail(st, NORN_EIO, 0, "can't read %s: %s", path, strerror(err));
  bool fine = tensor_file_view(st, path, map, (size_t)is.st_size, f);
  if (!fine) {
    munmap(map, (size_t)is.st_size);
    return false;
  }
  f->map = map;
  f->size = (size_t)is.st_size;
  return true;
}

void tensor_file_close(tensor_file *f)
{
  if (f->entry) norn_alloc(f->st, f->entry, (size_t)(f->nentry + 1) * sizeof *f->entry, 0);
  if (f->key) norn_alloc(f->st, f->key, (size_t)(2 * f->nkey + 1) * sizeof *f->key, 0);
  if (f->text) norn_alloc(f->st, f->text, f->ctext, 0);
  if (f->map) munmap(f->map, f->size);
  memset(f, 0, sizeof *f);
}

const tensor_entry *tensor_file_find(const tensor_file *f, const char *name)
{
  const tensor_entry want = { .name = name };
  return f->n ? bsearch(&want, f->entry, (size_t)f->n, sizeof *f->entry, by_name) : NULL;
}
const char *tensor_file_meta(const tensor_file *f, const char *key)
{
  for (int k = 0; k < f->nmeta; k++)
    if (strcmp(f->key[k], key) == 0) return f->value[k];
  return NULL;
}

int64_t tensor_count(const tensor_entry *e)
{
  int64_t n = 1;
  for (int k = 0; k < e->rank; k++)
    if (e->dims[k] == 0) return 0;                 /* beside which the others may be beyond all numbers */
  for (int k = 0; k < e->rank; k++) n *= e->dims[k];
  return n;
}

static float from_bits(uint32_t u)
{
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}
/* IEEE 754 binary16: 5 bits of exponent, 10 of fraction. */
static float from_half(uint16_t h)
{
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 1023;
  if (e == 31) return from_bits(sign | 0x7f800000u | m << 13);
  if (e) return from_bits(sign | (e + 112) << 23 | m << 13);
  return (sign ? -1.0f : 1.0f) * (float)m * 0x1p-24f;
}

bool tensor_to_f32(const tensor_entry *e, float *x)
{
  const char *p = e->data;
  size_t n = (size_t)tensor_count(e);
  double d;
  uint16_t h;
  switch (e->type) {
  case TENSOR_F32:
    if (n) memcpy(x, p, n * 4);
    return true;
  case TENSOR_F64:
    for (size_t i = 0; i < n; i++) {
      memcpy(&d, p + 8 * i, 8);
      x[i] = (float)d;
    }
    return true;
  case TENSOR_F16:
  case TENSOR_BF16:
    for (size_t i = 0; i < n; i++) {
      memcpy(&h, p + 2 * i, 2);
      x[i] = e->type == TENSOR_F16 ? from_half(h) : from_bits((uint32_t)h << 16);
    }
    return true;
  default:
    return false;
  }
}
