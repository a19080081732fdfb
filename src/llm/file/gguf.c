/* gguf.c: reading GGUF files (gguf.h).  One pass over the header with a cursor that never goes
   beyond the bytes there are; what it finds is checked where it stands, so that an error can name
   the byte.  ggml's gguf.cpp refuses the same: counts, lengths and places beyond the file, names
   that come twice, nested arrays, alignments that are no power of two. */
#include "llm/file/gguf.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const gguf_type_names[GGUF_KINDS] = { "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool",
                                                  "string", "array", "u64", "i64", "f64" };
static const uint8_t type_size[GGUF_KINDS] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

/* A text from a file, as messages show it: short, without control characters. */
typedef struct shown { char s[64]; } shown;
static shown show(const char *name, size_t len)
{
  shown r;
  size_t at = 0, n = 0, k;
  uint32_t code;
  for (; at < len; at += k, n += k) {
    int wide = utf8_next(name + at, len - at, &code);
    k = wide > 0 ? (size_t)wide : 1;
    if (n + k > sizeof r.s - 5) break;
    memcpy(r.s + n, name + at, k);
    if (wide <= 0 || code < 32 || code == 127) r.s[n] = '?';
  }
  memcpy(r.s + n, at < len ? "..." : "", at < len ? 4 : 1);
  return r;
}
static shown show_name(const char *name) { return show(name, strlen(name)); }

static void *alloc_hook(void *user, void *p, size_t old, size_t n) { return norn_alloc(user, p, old, n); }
static bool no_memory(norn_state *st) { return !norn_fail(st, NORN_EMEMORY, -1, "not enough memory"); }

/* What stands at a byte is not what the format allows. */
static bool damaged(const gguf *f, size_t at, const char *format, ...) NORN_PRINTF(3, 4);
static bool damaged(const gguf *f, size_t at, const char *format, ...)
{
  char why[300];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  norn_fail(f->st, NORN_EIO, 0, "%s is no sound GGUF file: at byte %zu, %s", f->name, at, why);
  norn_hint(f->st, "it was cut short or changed, or it is of another format");
  return false;
}
/* The file is sound, but not of a kind that is read here. */
static bool unknown(const gguf *f, const char *hint, const char *format, ...) NORN_PRINTF(3, 4);
static bool unknown(const gguf *f, const char *hint, const char *format, ...)
{
  char why[300];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  norn_fail(f->st, NORN_EIO, 0, "%s: %s", f->name, why);
  norn_hint(f->st, "%s", hint);
  return false;
}

/* ---- the cursor ---- */

typedef struct cursor { gguf *f; size_t at; } cursor;

static size_t left(const cursor *c) { return c->f->size - c->at; }
static bool take(cursor *c, void *out, size_t n, const char *what)
{
  if (left(c) < n)
    return damaged(c->f, c->at, "%s should have %zu bytes; the file ends after %zu", what, n, left(c));
  memcpy(out, c->f->bytes + c->at, n);
  c->at += n;
  return true;
}
static bool take_u32(cursor *c, uint32_t *x, const char *what) { return take(c, x, 4, what); }
static bool take_u64(cursor *c, uint64_t *x, const char *what) { return take(c, x, 8, what); }

/* A string's bytes are stepped over; *s points into the map. */
static bool take_string(cursor *c, const char **s, size_t *n, uint64_t most, const char *what)
{
  uint64_t length = 0;
  size_t at = c->at;
  if (!take_u64(c, &length, what)) return false;
  if (length > left(c))
    return damaged(c->f, at, "%s should have %llu bytes; %zu are left", what, (unsigned long long)length, left(c));
  if (length > most)
    return damaged(c->f, at, "%s has %llu bytes; at most %llu are expected", what, (unsigned long long)length,
                   (unsigned long long)most);
  *s = (const char *)c->f->bytes + c->at;
  *n = (size_t)length;
  c->at += *n;
  return true;
}
/* A name, kept with a 0 behind it. */
static bool take_name(cursor *c, const char **name, uint64_t most, const char *what)
{
  const char *s;
  size_t n, at = c->at;
  if (!take_string(c, &s, &n, most, what)) return false;
  if (n == 0) return damaged(c->f, at, "%s is empty", what);
  if (memchr(s, 0, n)) return damaged(c->f, at, "%s holds a zero byte", what);
  *name = arena_text(&c->f->keep, s, n);
  return *name || no_memory(c->f->st);
}

/* ---- metadata ---- */

static bool check_bools(const gguf *f, const gguf_pair *p)
{
  for (uint64_t i = 0; i < p->n; i++)
    if (p->at[i] > 1)
      return damaged(f, (size_t)(p->at + i - f->bytes), "%s has %u where a bool is 0 or 1", show_name(p->key).s,
                     p->at[i]);
  return true;
}

static bool take_strings(cursor *c, gguf_pair *p)
{
  const char *s;
  size_t n, at = c->at;
  char what[96];
  snprintf(what, sizeof what, "a string of %s", show_name(p->key).s);
  if (p->n > left(c) / 8)
    return damaged(c->f, at, "%s should have %llu strings; %zu bytes are left", show_name(p->key).s,
                   (unsigned long long)p->n, left(c));
  for (uint64_t i = 0; i < p->n; i++)
    if (!take_string(c, &s, &n, UINT64_MAX, what)) return false;
  return true;
}

/* The values of a pair, p->n of type t. */
static bool take_values(cursor *c, gguf_pair *p, gguf_type t)
{
  size_t at = c->at;
  p->at = c->f->bytes + at;
  if (t == GGUF_STRING) {
    if (!take_strings(c, p)) return false;
  } else if (p->n > left(c) / type_size[t]) {
    return damaged(c->f, at, "%s should have %llu of %s; %zu bytes are left", show_name(p->key).s,
                   (unsigned long long)p->n, gguf_type_names[t], left(c));
  } else {
    c->at += (size_t)p->n * type_size[t];
  }
  p->end = c->f->bytes + c->at;
  return t != GGUF_BOOL || check_bools(c->f, p);
}

static bool take_type(cursor *c, gguf_type *t, const char *key)
{
  uint32_t type = 0;
  size_t at = c->at;
  if (!take_u32(c, &type, "a type")) return false;
  if (type >= GGUF_KINDS)
    return damaged(c->f, at, "%s is of type %u; 0 to %d are expected", show_name(key).s, type, GGUF_KINDS - 1);
  *t = (gguf_type)type;
  return true;
}

static bool take_pair(cursor *c, gguf_pair *p)
{
  if (!take_name(c, &p->key, GGUF_KEY, "a key") || !take_type(c, &p->type, p->key)) return false;
  p->n = 1;
  p->of = p->type;
  if (p->type != GGUF_ARRAY) return take_values(c, p, p->type);
  size_t at = c->at;
  if (!take_type(c, &p->of, p->key) || !take_u64(c, &p->n, "the length of an array")) return false;
  if (p->of == GGUF_ARRAY)
    return damaged(c->f, at, "%s is an array of arrays; numbers, bools or strings are expected", show_name(p->key).s);
  return take_values(c, p, p->of);
}

/* ---- tensors ---- */

static bool take_dims(cursor *c, gguf_tensor *t)
{
  uint32_t rank = 0;
  int64_t count = 1;
  size_t at = c->at;
  if (!take_u32(c, &rank, "the rank of a tensor")) return false;
  if (rank < 1 || rank > GGUF_RANK)
    return damaged(c->f, at, "tensor %s has %u dimensions; 1 to %d are expected",
                   show_name(t->name).s, rank, GGUF_RANK);
  t->rank = (int)rank;
  for (int k = 0; k < GGUF_RANK; k++) {
    uint64_t d = 1;
    at = c->at;
    if (k < t->rank && !take_u64(c, &d, "a dimension")) return false;
    if (d == 0 || d > INT64_MAX || __builtin_mul_overflow(count, (int64_t)d, &count))
      return damaged(c->f, at, "dimension %d of tensor %s is %llu", k, show_name(t->name).s, (unsigned long long)d);
    t->dims[k] = (int64_t)d;
  }
  return true;
}

static bool refuse_type(const gguf *f, size_t at, const gguf_tensor *t, uint32_t type)
{
  const char *name = quant_ggml_name(type);
  if (!name) return damaged(f, at, "tensor %s is of type %u, which means nothing", show_name(t->name).s, type);
  return unknown(f, "F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K and Q6_K are read; a server of the model does the others: "
                 "llm(\"http://...#model\")", "tensor %s is of type %s, which this Norn does not read",
                 show_name(t->name).s, name);
}

/* Where the numbers begin is not known yet: the offset is kept apart. */
static bool take_tensor(cursor *c, gguf_tensor *t, uint64_t *offset)
{
  uint32_t type = 0;
  if (!take_name(c, &t->name, GGUF_NAME, "the name of a tensor") || !take_dims(c, t)) return false;
  size_t at = c->at;
  if (!take_u32(c, &type, "the type of a tensor")) return false;
  t->type = quant_by_ggml(type);
  if (t->type == QUANT_TYPES) return refuse_type(c->f, at, t, type);
  const quant_traits *q = &quant_of[t->type];
  uint64_t blocks = (uint64_t)gguf_tensor_count(t) / (uint64_t)q->block;
  if (t->dims[0] % q->block)
    return damaged(c->f, at, "tensor %s of type %s has rows of %lld numbers; a multiple of %d is expected",
                   show_name(t->name).s, q->name, (long long)t->dims[0], q->block);
  if (__builtin_mul_overflow(blocks, (uint64_t)q->bytes, &t->size))
    return damaged(c->f, at, "the shape of tensor %s is beyond all memory", show_name(t->name).s);
  at = c->at;
  if (!take_u64(c, offset, "the place of a tensor")) return false;
  if (*offset % c->f->alignment)
    return damaged(c->f, at, "tensor %s begins at %llu; a multiple of %u is expected", show_name(t->name).s,
                   (unsigned long long)*offset, c->f->alignment);
  return true;
}

static bool place_tensor(const gguf *f, gguf_tensor *t, uint64_t offset, size_t start, size_t at)
{
  size_t room = f->size > start ? f->size - start : 0;
  if (offset > room || t->size > room - offset)
    return damaged(f, at, "tensor %s should take bytes %llu to %llu behind the header; there are %zu",
                   show_name(t->name).s, (unsigned long long)offset, (unsigned long long)(offset + t->size), room);
  t->data = f->bytes + start + offset;
  return true;
}

/* ---- order ---- */

static int by_data(const void *a, const void *b)
{
  const gguf_tensor *x = *(const gguf_tensor *const *)a, *y = *(const gguf_tensor *const *)b;
  uintptr_t i = (uintptr_t)x->data, j = (uintptr_t)y->data;
  return (i > j) - (i < j);
}
typedef struct named { const char *name; int k; } named;
static int by_name(const void *a, const void *b)
{
  const named *x = a, *y = b;
  int c = strcmp(x->name, y->name);
  return c ? c : (x->k > y->k) - (x->k < y->k);
}

static bool no_overlap(const gguf *f, const gguf_tensor **order)
{
  for (int k = 0; k < f->ntensor; k++) order[k] = &f->tensor[k];
  if (f->ntensor) qsort(order, (size_t)f->ntensor, sizeof *order, by_data);
  for (int k = 1; k < f->ntensor; k++)
    if ((const uint8_t *)order[k]->data < (const uint8_t *)order[k - 1]->data + order[k - 1]->size)
      return damaged(f, (size_t)((const uint8_t *)order[k]->data - f->bytes), "tensor %s overlaps tensor %s",
                     show_name(order[k]->name).s, show_name(order[k - 1]->name).s);
  return true;
}

/* The order of n names; false: one comes twice. */
static bool sort_names(const gguf *f, named *v, int n, int *out, bool keys)
{
  if (n) qsort(v, (size_t)n, sizeof *v, by_name);
  for (int k = 0; k < n; k++) {
    int i = v[k].k;
    const uint8_t *at = keys ? f->pair[i].at : f->tensor[i].data;
    if (k && strcmp(v[k - 1].name, v[k].name) == 0)
      return damaged(f, (size_t)(at - f->bytes), "it has the second of two %s called %s", keys ? "keys" : "tensors",
                     show_name(v[k].name).s);
    out[k] = i;
  }
  return true;
}
static bool sort_all(gguf *f)
{
  named *v = arena_get(&f->keep, (size_t)(f->npair + f->ntensor + 1) * sizeof *v);
  f->by_key = arena_get(&f->keep, (size_t)(f->npair + 1) * sizeof(int));
  f->by_name = arena_get(&f->keep, (size_t)(f->ntensor + 1) * sizeof(int));
  if (!v || !f->by_key || !f->by_name) return no_memory(f->st);
  for (int k = 0; k < f->npair; k++) v[k] = (named){ f->pair[k].key, k };
  if (!sort_names(f, v, f->npair, f->by_key, true)) return false;
  for (int k = 0; k < f->ntensor; k++) v[k] = (named){ f->tensor[k].name, k };
  return sort_names(f, v, f->ntensor, f->by_name, false);
}

/* ---- the whole ---- */

static bool little_endian(void)
{
  const uint16_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  return first == 1;
}

static bool take_version(cursor *c)
{
  gguf *f = c->f;
  char magic[4] = "";
  if (!little_endian())
    return unknown(f, "use another machine", "files are not read where the greatest byte of a number comes first");
  if (!take(c, magic, 4, "\"GGUF\"")) return false;
  if (memcmp(magic, "GGUF", 4))
    return damaged(f, 0, "it begins with \"%s\"; \"GGUF\" is expected", show(magic, 4).s);
  if (!take_u32(c, &f->version, "the version")) return false;
  if (f->version == 1)
    return unknown(f, "llama.cpp's convert_hf_to_gguf.py makes version 3 of the model's original files",
                   "GGUF version 1 is not read; 2 and 3 are");
  if (f->version != 2 && f->version != 3)
    return (f->version & 0xffff) == 0 && f->version
      ? unknown(f, "convert the model with --outtype and without --bigendian",
                "it is written with the greatest byte of a number first; the least byte first is read")
      : damaged(f, 4, "the version is %u; 2 or 3 is expected", f->version);
  return true;
}

/* How many of something that takes at least `bytes` each. */
static bool take_count(cursor *c, int *n, uint64_t most, uint64_t bytes, const char *what)
{
  uint64_t x = 0;
  size_t at = c->at;
  if (!take_u64(c, &x, what)) return false;
  if (x > most) return damaged(c->f, at, "%s is %llu; at most %llu are read", what, (unsigned long long)x,
                               (unsigned long long)most);
  if (x > left(c) / bytes)
    return damaged(c->f, at, "%s is %llu, for which %zu bytes are too few", what, (unsigned long long)x, left(c));
  *n = (int)x;
  return true;
}

static bool find_alignment(gguf *f)
{
  f->alignment = 32;
  for (int k = 0; k < f->npair; k++) {
    const gguf_pair *p = &f->pair[k];
    if (strcmp(p->key, "general.alignment")) continue;
    if (p->type != GGUF_U32)
      return damaged(f, (size_t)(p->at - f->bytes), "general.alignment is of type %s; u32 is expected",
                     gguf_type_names[p->type]);
    memcpy(&f->alignment, p->at, 4);
    if (f->alignment < 8 || f->alignment > 1 << 20 || (f->alignment & (f->alignment - 1)))
      return damaged(f, (size_t)(p->at - f->bytes), "general.alignment is %u; a power of two from 8 is expected",
                     f->alignment);
  }
  return true;
}

static bool view_tensors(cursor *c)
{
  gguf *f = c->f;
  uint64_t *offset = arena_get(&f->keep, (size_t)(f->ntensor + 1) * sizeof *offset);
  const gguf_tensor **order = arena_get(&f->keep, (size_t)(f->ntensor + 1) * sizeof *order);
  f->tensor = arena_get(&f->keep, (size_t)(f->ntensor + 1) * sizeof *f->tensor);
  if (!offset || !order || !f->tensor) return no_memory(f->st);
  for (int k = 0; k < f->ntensor; k++)
    if (!take_tensor(c, &f->tensor[k], &offset[k])) return false;
  size_t start = (c->at + f->alignment - 1) / f->alignment * f->alignment;
  for (int k = 0; k < f->ntensor; k++)
    if (!place_tensor(f, &f->tensor[k], offset[k], start, c->at)) return false;
  return no_overlap(f, order);
}

static bool view(gguf *f)
{
  cursor c = { f, 0 };
  if (!take_version(&c)) return false;
  /* a tensor: its name's length and a letter, rank, a dimension, type, place; a pair: a key of a
     letter, type, a byte */
  if (!take_count(&c, &f->ntensor, GGUF_TENSORS, 33, "the number of tensors") ||
      !take_count(&c, &f->npair, GGUF_PAIRS, 14, "the number of keys"))
    return false;
  f->pair = arena_get(&f->keep, (size_t)(f->npair + 1) * sizeof *f->pair);
  if (!f->pair) return no_memory(f->st);
  for (int k = 0; k < f->npair; k++)
    if (!take_pair(&c, &f->pair[k])) return false;
  return find_alignment(f) && view_tensors(&c) && sort_all(f);
}

bool gguf_view(norn_state *st, const char *name, const void *bytes, size_t size, gguf *f)
{
  memset(f, 0, sizeof *f);
  f->st = st;
  f->name = name;
  f->bytes = bytes;
  f->size = size;
  mem_init(&f->m);
  f->m.alloc = alloc_hook;
  f->m.user = st;
  arena_init(&f->keep, &f->m);
  if (view(f)) return true;
  arena_free(&f->keep);
  memset(f, 0, sizeof *f);
  return false;
}

bool gguf_open(norn_state *st, const char *path, gguf *f)
{
  struct stat is;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &is)) {
    norn_fail(st, NORN_EIO, 0, "can't read %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return false;
  }
  if (!S_ISREG(is.st_mode) || is.st_size == 0) {
    close(fd);
    return !norn_fail(st, NORN_EIO, 0, S_ISREG(is.st_mode) ? "%s is no GGUF file: it is empty"
                                                           : "can't read %s: it is no file", path);
  }
  void *map = mmap(NULL, (size_t)is.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  int err = errno;
  close(fd);
  if (map == MAP_FAILED) return !norn_fail(st, NORN_EIO, 0, "can't read %s: %s", path, strerror(err));
  bool fine = gguf_view(st, path, map, (size_t)is.st_size, f);
  if (fine) {
    f->map = map;
    f->name = arena_text(&f->keep, path, strlen(path));
    if (f->name) return true;
    no_memory(st);
    arena_free(&f->keep);
  }
  munmap(map, (size_t)is.st_size);
  memset(f, 0, sizeof *f);
  return false;
}

void gguf_close(gguf *f)
{
  if (!f->st) return;
  arena_free(&f->keep);
  if (f->map) munmap(f->map, f->size);
  memset(f, 0, sizeof *f);
}

/* ---- asking ---- */

const gguf_pair *gguf_find(const gguf *f, const char *key)
{
  int low = 0, high = f->npair;
  while (low < high) {
    int mid = low + (high - low) / 2, c = strcmp(f->pair[f->by_key[mid]].key, key);
    if (c == 0) return &f->pair[f->by_key[mid]];
    if (c < 0) low = mid + 1;
    else high = mid;
  }
  return NULL;
}
const gguf_tensor *gguf_tensor_find(const gguf *f, const char *name)
{
  int low = 0, high = f->ntensor;
  while (low < high) {
    int mid = low + (high - low) / 2, c = strcmp(f->tensor[f->by_name[mid]].name, name);
    if (c == 0) return &f->tensor[f->by_name[mid]];
    if (c < 0) low = mid + 1;
    else high = mid;
  }
  return NULL;
}

int64_t gguf_integer(const gguf_pair *p, uint64_t i)
{
  const uint8_t *at = p->at + i * type_size[p->of];
  union { uint16_t u16; int16_t i16; uint32_t u32; int32_t i32; uint64_t u64; int64_t i64; } x = { .u64 = 0 };
  memcpy(&x, at, type_size[p->of]);
  switch (p->of) {
  case GGUF_U8: case GGUF_BOOL: return *at;
  case GGUF_I8: return (int8_t)*at;
  case GGUF_U16: return x.u16;
  case GGUF_I16: return x.i16;
  case GGUF_U32: return x.u32;
  case GGUF_I32: return x.i32;
  case GGUF_U64: return x.u64 > INT64_MAX ? INT64_MAX : (int64_t)x.u64;
  case GGUF_I64: return x.i64;
  default: return 0;
  }
}
double gguf_real(const gguf_pair *p, uint64_t i)
{
  float x;
  double d;
  if (p->of == GGUF_F32) {
    memcpy(&x, p->at + 4 * i, 4);
    return (double)x;
  }
  if (p->of == GGUF_F64) {
    memcpy(&d, p->at + 8 * i, 8);
    return d;
  }
  return (double)gguf_integer(p, i);
}
const char *gguf_next_string(const uint8_t **at, size_t *n)
{
  uint64_t length = 0;
  memcpy(&length, *at, 8);
  const char *s = (const char *)*at + 8;
  *at += 8 + length;
  *n = (size_t)length;
  return s;
}

static bool is_integer(gguf_type t) { return t < GGUF_F32 || t == GGUF_U64 || t == GGUF_I64; }

static bool missing(const gguf *f, const char *key, bool needed)
{
  return !needed || unknown(f, "the file was made for something else, or by a tool that left it out",
                            "it has no %s, which a model of its kind needs", key);
}
static bool mistyped(const gguf *f, const gguf_pair *p, const char *want)
{
  return damaged(f, (size_t)(p->at - f->bytes), "%s is %s%s; %s is expected", p->key,
                 p->type == GGUF_ARRAY ? "an array of " : "", gguf_type_names[p->of], want);
}
/* One number, or an array of which all are the same (*x). */
static bool one_number(const gguf *f, const gguf_pair *p, double *x, const char *want)
{
  if (p->n == 0) return mistyped(f, p, want);
  *x = gguf_real(p, 0);
  for (uint64_t i = 1; i < p->n; i++)
    if (gguf_real(p, i) != *x)
      return unknown(f, "a server of the model reads such files: llm(\"http://...#model\")",
                     "%s differs from layer to layer (%g, then %g), which this Norn does not read", p->key, *x,
                     gguf_real(p, i));
  return true;
}

bool gguf_u32(const gguf *f, const char *key, bool needed, uint32_t *out)
{
  const gguf_pair *p = gguf_find(f, key);
  double x;
  if (!p) return missing(f, key, needed);
  if (!is_integer(p->of)) return mistyped(f, p, "a whole number");
  if (!one_number(f, p, &x, "a whole number")) return false;
  if (!(x >= 0 && x <= UINT32_MAX))
    return damaged(f, (size_t)(p->at - f->bytes), "%s is %.0f; 0 to %u is expected", key, x, UINT32_MAX);
  *out = (uint32_t)x;
  return true;
}
bool gguf_f32(const gguf *f, const char *key, bool needed, float *out)
{
  const gguf_pair *p = gguf_find(f, key);
  double x;
  if (!p) return missing(f, key, needed);
  if (p->of != GGUF_F32 && p->of != GGUF_F64) return mistyped(f, p, "a real number");
  if (!one_number(f, p, &x, "a real number")) return false;
  if (!(x >= -3.4e38 && x <= 3.4e38))
    return damaged(f, (size_t)(p->at - f->bytes), "%s is %g; a finite number is expected", key, x);
  *out = (float)x;
  return true;
}
bool gguf_bool(const gguf *f, const char *key, bool needed, bool *out)
{
  const gguf_pair *p = gguf_find(f, key);
  if (!p) return missing(f, key, needed);
  if (p->type != GGUF_BOOL) return mistyped(f, p, "a bool");
  *out = *p->at;
  return true;
}
bool gguf_string(const gguf *f, const char *key, bool needed, const char **s, size_t *n)
{
  const gguf_pair *p = gguf_find(f, key);
  if (!p) return missing(f, key, needed);
  if (p->type != GGUF_STRING) return mistyped(f, p, "a string");
  const uint8_t *at = p->at;
  *s = gguf_next_string(&at, n);
  return true;
}
bool gguf_array(const gguf *f, const char *key, gguf_type of, bool needed, const gguf_pair **out)
{
  char want[32];
  const gguf_pair *p = gguf_find(f, key);
  *out = NULL;
  if (!p) return missing(f, key, needed);
  snprintf(want, sizeof want, "an array of %s", gguf_type_names[of]);
  if (p->type != GGUF_ARRAY || p->of != of) return mistyped(f, p, want);
  *out = p;
  return true;
}

int64_t gguf_tensor_count(const gguf_tensor *t) { return t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]; }
void gguf_tensor_row(const gguf_tensor *t, int64_t i, float *out)
{
  size_t n = (size_t)t->dims[0];
  quant_of[t->type].to_f32((const uint8_t *)t->data + (size_t)i * quant_bytes(t->type, n), out, n);
}
