/* gguf_write.c: writing GGUF files, version 3.  Pairs and descriptions of tensors are put as bytes as they come; the
   numbers are the caller's until the end, when everything goes to the file one after the other. */
#include "llm/file/gguf.h"
#include <stdlib.h>

enum { ALIGNMENT = 32 };

typedef struct part { const void *data; size_t size; void *owned; } part;
struct gguf_writer {
  norn_state *st;
  mem m;
  text pairs, infos, keys, names;       /* keys, names: each with its 0, to find those that come twice */
  uint64_t npair;
  part *v;
  size_t n, cap;
  uint64_t at;                          /* where the next tensor's numbers begin */
  norn_status bad;                      /* the first error, whose text is the state's */
};

static void *alloc_hook(void *user, void *p, size_t old, size_t n) { return norn_alloc(user, p, old, n); }

gguf_writer *gguf_writer_new(norn_state *st)
{
  gguf_writer *w = norn_alloc(st, NULL, 0, sizeof *w);
  if (!w) {
    norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
    return NULL;
  }
  *w = (gguf_writer){ .st = st };
  mem_init(&w->m);
  w->m.alloc = alloc_hook;
  w->m.user = st;
  text_init(&w->pairs, &w->m);
  text_init(&w->infos, &w->m);
  text_init(&w->keys, &w->m);
  text_init(&w->names, &w->m);
  return w;
}

void gguf_writer_free(gguf_writer *w)
{
  if (!w) return;
  for (size_t k = 0; k < w->n; k++) mem_put(&w->m, w->v[k].owned, w->v[k].size);
  mem_put(&w->m, w->v, w->cap * sizeof *w->v);
  text_free(&w->pairs);
  text_free(&w->infos);
  text_free(&w->keys);
  text_free(&w->names);
  norn_alloc(w->st, w, sizeof *w, 0);
}

static void no_memory(gguf_writer *w)
{
  if (!w->bad) w->bad = norn_fail(w->st, NORN_EMEMORY, -1, "not enough memory");
}
static bool failed(gguf_writer *w)
{
  if (w->pairs.failed || w->infos.failed || w->keys.failed || w->names.failed) no_memory(w);
  return w->bad != NORN_OK;
}

static void put_u32(text *t, uint32_t x) { text_put(t, (const char *)&x, 4); }
static void put_u64(text *t, uint64_t x) { text_put(t, (const char *)&x, 8); }
static void put_bytes(text *t, const char *s, size_t n)
{
  put_u64(t, n);
  text_put(t, s, n);
}

/* A name of at most so many bytes that did not come before. */
static bool put_name(gguf_writer *w, text *seen, text *t, const char *name, size_t most, const char *what)
{
  size_t n = strlen(name);
  if (failed(w)) return false;
  if (n == 0 || n > most)
    return !(w->bad = norn_fail(w->st, NORN_EUSE, -1, "%s of a GGUF file has 1 to %zu bytes, not %zu", what, most, n));
  for (size_t at = 0; at < seen->n; at += strlen(seen->s + at) + 1)
    if (strcmp(seen->s + at, name) == 0)
      return !(w->bad = norn_fail(w->st, NORN_EUSE, -1, "%s of a GGUF file comes twice: %s", what, name));
  text_put(seen, name, n + 1);
  put_bytes(t, name, n);
  return true;
}
static bool put_key(gguf_writer *w, const char *key, gguf_type type)
{
  if (!w->bad && strcmp(key, "general.alignment") == 0)
    w->bad = norn_fail(w->st, NORN_EUSE, -1, "general.alignment can't be set: tensors are written at multiples of %d",
                       ALIGNMENT);
  if (!put_name(w, &w->keys, &w->pairs, key, GGUF_KEY, "a key")) return false;
  put_u32(&w->pairs, (uint32_t)type);
  w->npair++;
  return true;
}

static size_t size_of(gguf_type t)
{
  static const uint8_t size[GGUF_KINDS] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
  return size[t];
}
void gguf_put_number(gguf_writer *w, const char *key, gguf_type type, const void *x)
{
  if (put_key(w, key, type)) text_put(&w->pairs, x, size_of(type));
}
void gguf_put_u32(gguf_writer *w, const char *key, uint32_t x) { gguf_put_number(w, key, GGUF_U32, &x); }
void gguf_put_f32(gguf_writer *w, const char *key, float x) { gguf_put_number(w, key, GGUF_F32, &x); }
void gguf_put_bool(gguf_writer *w, const char *key, bool x)
{
  uint8_t byte = x;
  gguf_put_number(w, key, GGUF_BOOL, &byte);
}
void gguf_put_string(gguf_writer *w, const char *key, const char *s, size_t n)
{
  if (put_key(w, key, GGUF_STRING)) put_bytes(&w->pairs, s, n);
}
static bool put_array(gguf_writer *w, const char *key, gguf_type of, uint64_t n)
{
  if (!put_key(w, key, GGUF_ARRAY)) return false;
  put_u32(&w->pairs, (uint32_t)of);
  put_u64(&w->pairs, n);
  return true;
}
void gguf_put_array(gguf_writer *w, const char *key, gguf_type of, const void *x, uint64_t n)
{
  if (put_array(w, key, of, n) && n) text_put(&w->pairs, x, (size_t)n * size_of(of));
}
void gguf_put_strings(gguf_writer *w, const char *key, const char *const *s, const size_t *length, uint64_t n)
{
  if (!put_array(w, key, GGUF_STRING, n)) return;
  for (uint64_t i = 0; i < n; i++) put_bytes(&w->pairs, s[i], length ? length[i] : strlen(s[i]));
}

/* ---- tensors ---- */

static uint64_t aligned(uint64_t at) { return (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* The bytes of a shape; 0: it is none (error set). */
static size_t shape_size(gguf_writer *w, const char *name, quant_type type, int rank, const int64_t *dims)
{
  int64_t count = 1;
  bool fine = rank >= 1 && rank <= GGUF_RANK && dims[0] % quant_of[type].block == 0;
  for (int k = 0; fine && k < rank; k++) fine = dims[k] > 0 && !__builtin_mul_overflow(count, dims[k], &count);
  if (fine && count < INT64_MAX / 256) return quant_bytes(type, (size_t)count);
  w->bad = norn_fail(w->st, NORN_EUSE, -1, "tensor %s has a shape that %s can't have", name, quant_of[type].name);
  return 0;
}

static void put_tensor(gguf_writer *w, const char *name, quant_type type, int rank, const int64_t *dims, part p)
{
  if (!put_name(w, &w->names, &w->infos, name, GGUF_NAME, "a tensor's name") ||
      (!mem_grow(&w->m, &w->v, &w->cap, w->n + 1, sizeof *w->v) && (no_memory(w), true))) {
    mem_put(&w->m, p.owned, p.size);
    return;
  }
  put_u32(&w->infos, (uint32_t)rank);
  for (int k = 0; k < rank; k++) put_u64(&w->infos, (uint64_t)dims[k]);
  put_u32(&w->infos, (uint32_t)quant_of[type].ggml);
  put_u64(&w->infos, w->at);
  w->v[w->n++] = p;
  w->at = aligned(w->at + p.size);
}
void gguf_put_tensor(gguf_writer *w, const char *name, quant_type type, int rank, const int64_t *dims, const void *data)
{
  size_t size = failed(w) ? 0 : shape_size(w, name, type, rank, dims);
  if (size) put_tensor(w, name, type, rank, dims, (part){ data, size, NULL });
}
void gguf_put_floats(gguf_writer *w, const char *name, quant_type type, int rank, const int64_t *dims, const float *x)
{
  size_t size = failed(w) ? 0 : shape_size(w, name, type, rank, dims), count = 1;
  if (!size) return;
  void *bytes = mem_get(&w->m, size);
  if (!bytes) {
    no_memory(w);
    return;
  }
  for (int k = 0; k < rank; k++) count *= (size_t)dims[k];
  quant_of[type].from_f32(x, bytes, count);
  put_tensor(w, name, type, rank, dims, (part){ bytes, size, bytes });
}

/* ---- the file ---- */

/* All parts in their order: header, numbers, what fills up between them (zeros).  Room for 2 n + 2. */
static int parts_of(gguf_writer *w, text *head, const void **data, size_t *size)
{
  static const uint8_t zeros[ALIGNMENT];
  int k = 0;
  text_put(head, "GGUF", 4);
  put_u32(head, 3);
  put_u64(head, w->n);
  put_u64(head, w->npair);
  text_put(head, w->pairs.s, w->pairs.n);
  text_put(head, w->infos.s, w->infos.n);
  while (head->n % ALIGNMENT && !head->failed) text_putc(head, 0);
  data[k] = head->s;
  size[k++] = head->n;
  for (size_t i = 0; i < w->n; i++) {
    data[k] = w->v[i].data;
    size[k++] = w->v[i].size;
    size_t more = (size_t)(aligned(w->v[i].size) - w->v[i].size);
    if (!more) continue;
    data[k] = zeros;
    size[k++] = more;
  }
  return k;
}

/* To a file; path NULL: to memory. */
static norn_status write_parts(gguf_writer *w, const char *path, uint8_t **bytes, size_t *total)
{
  text head;
  const char *why = "";
  size_t most = 2 * w->n + 2;
  if (failed(w)) return w->bad;
  text_init(&head, &w->m);
  const void **data = mem_get(&w->m, most * sizeof *data);
  size_t *size = mem_get(&w->m, most * sizeof *size);
  int n = data && size ? parts_of(w, &head, data, size) : 0;
  if (n == 0 || head.failed) {
    no_memory(w);
  } else if (path) {
    if (!file_replace(path, data, size, n, &why)) {
      w->bad = norn_fail(w->st, NORN_EIO, 1, "can't write %s: %s", path, why);
      norn_hint(w->st, "what was there before is still there");
    }
  } else {
    *total = 0;
    for (int k = 0; k < n; k++) *total += size[k];
    *bytes = norn_alloc(w->st, NULL, 0, *total);
    if (!*bytes) no_memory(w);
    uint8_t *at = *bytes;
    for (int k = 0; at && k < n; at += size[k++]) memcpy(at, data[k], size[k]);
  }
  mem_put(&w->m, data, most * sizeof *data);
  mem_put(&w->m, size, most * sizeof *size);
  text_free(&head);
  return w->bad;
}
norn_status gguf_write(gguf_writer *w, const char *path) { return write_parts(w, path, NULL, NULL); }
norn_status gguf_write_bytes(gguf_writer *w, uint8_t **bytes, size_t *size)
{
  return write_parts(w, NULL, bytes, size);
}
