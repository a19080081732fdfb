/* safetensors_write.c: writing files of named tensors. */
#include "base/base.h"
#include "io/json.h"
#include "nn/safetensors.h"
#include <stdlib.h>
#include <string.h>

static void *alloc_hook(void *user, void *p, size_t old, size_t n) { return norn_alloc(user, p, old, n); }

static bool put_text(norn_state *st, text *t, const char *s)
{
  norn_datum d = norn_cstring(st, s);
  return !norn_is_none(d) && !json_write(st, d, 0, 0, t);
}

static int by_size(const void *a, const void *b)
{
  const tensor_entry *x = *(const tensor_entry *const *)a, *y = *(const tensor_entry *const *)b;
  size_t i = tensor_type_size(x->type), j = tensor_type_size(y->type);
  return i != j ? (i < j) - (i > j) : strcmp(x->name, y->name);
}
typedef struct pair { const char *key, *value; } pair;
static int by_key(const void *a, const void *b)
{
  return strcmp(((const pair *)a)->key, ((const pair *)b)->key);
}

static bool put_meta(norn_state *st, text *t, pair *p, int n)
{
  if (n) qsort(p, (size_t)n, sizeof *p, by_key);
  text_puts(t, "\"__metadata__\":{");
  for (int k = 0; k < n; k++) {
    if (k > 0) text_putc(t, ',');
    if (!put_text(st, t, p[k].key)) return false;
    text_putc(t, ':');
    if (!put_text(st, t, p[k].value)) return false;
  }
  text_putc(t, '}');
  return true;
}
static bool put_entries(norn_state *st, text *t, const tensor_entry *const *e, int n)
{
  size_t at = 0;
  for (int k = 0; k < n; k++) {
    text_putc(t, ',');
    if (!put_text(st, t, e[k]->name)) return false;
    text_printf(t, ":{\"dtype\":\"%s\",\"shape\":[", tensor_type_names[e[k]->type]);
    for (int i = 0; i < e[k]->rank; i++) text_printf(t, "%s%lld", i ? "," : "", (long long)e[k]->dims[i]);
    text_printf(t, "],\"data_offsets\":[%zu,%zu]}", at, at + e[k]->size);
    at += e[k]->size;
  }
  return true;
}

/* The caller's mistakes: a name twice, sizes that are not those of the shapes. */
static norn_status sound(norn_state *st, const tensor_entry *const *e, int n)
{
  for (int k = 0; k < n; k++) {
    bool twice = strcmp(e[k]->name, "__metadata__") == 0;
    for (int i = k; i-- > 0 && tensor_type_size(e[i]->type) == tensor_type_size(e[k]->type);)
      if (strcmp(e[i]->name, e[k]->name) == 0) twice = true;
      else break;
    if (twice) return norn_fail(st, NORN_EUSE, -1, "a file can't have two tensors called %s", e[k]->name);
    if (e[k]->rank > TENSOR_RANK || e[k]->size != (size_t)tensor_count(e[k]) * tensor_type_size(e[k]->type))
      return norn_fail(st, NORN_EUSE, -1, "tensor %s has a size that is not its shape's", e[k]->name);
  }
  return NORN_OK;
}

/* Where a file goes: to a path, or (NULL) into memory. */
typedef struct target { const char *path; char *bytes; size_t n; } target;

static norn_status write_parts(norn_state *st, target *to, const text *head,
                               const tensor_entry *const *e, int n, const void **part, size_t *size)
{
  const char *path = to->path;
  const char *why = "";
  uint64_t length = head->n;
  part[0] = &length;
  size[0] = 8;
  part[1] = head->s;
  size[1] = head->n;
  for (int k = 0; k < n; k++) {
    part[k + 2] = e[k]->data;
    size[k + 2] = e[k]->size;
  }
  if (!path) {
    for (int k = 0; k < n + 2; k++) to->n += size[k];
    if (!(to->bytes = norn_alloc(st, NULL, 0, to->n))) return norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
    char *at = to->bytes;
    for (int k = 0; k < n + 2; at += size[k++])
      if (size[k]) memcpy(at, part[k], size[k]);
    return NORN_OK;
  }
  if (file_replace(path, part, size, n + 2, &why)) return NORN_OK;
  norn_fail(st, NORN_EIO, 1, "can't write %s: %s", path, why);
  norn_hint(st, "what was there before is still there");
  return NORN_EIO;
}

static norn_status write_to(norn_state *st, target *to, const tensor_entry *entry, int n,
                            const char *const *key, const char *const *value, int nmeta)
{
  mem m;
  text t;
  mem_init(&m);
  m.alloc = alloc_hook;
  m.user = st;
  text_init(&t, &m);
  size_t each = sizeof(void *) + sizeof(size_t) + sizeof(entry);
  size_t bytes = (size_t)(n + 2) * each + (size_t)nmeta * sizeof(pair);
  char *room = norn_alloc(st, NULL, 0, bytes);
  if (!room) return norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
  const void **part = (const void **)(void *)room;
  size_t *size = (size_t *)(void *)(part + n + 2);
  const tensor_entry **e = (const tensor_entry **)(void *)(size + n + 2);
  pair *p = (pair *)(void *)(e + n + 2);
  for (int k = 0; k < n; k++) e[k] = entry + k;
  for (int k = 0; k < nmeta; k++) p[k] = (pair){ key[k], value[k] };
  if (n) qsort(e, (size_t)n, sizeof *e, by_size);
  norn_status code = sound(st, e, n);
  text_putc(&t, '{');
  if (!code && (!put_meta(st, &t, p, nmeta) || !put_entries(st, &t, e, n))) code = norn_error(st)->code;
  text_putc(&t, '}');
  while ((t.n + 8) % 64 && !t.failed) text_putc(&t, ' ');
  if (!code && t.failed) code = norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
  if (!code) code = write_parts(st, to, &t, e, n, part, size);
  text_free(&t);
  norn_alloc(st, room, bytes, 0);
  return code;
}

norn_status tensor_file_write(norn_state *st, const char *path, const tensor_entry *entry, int n,
                              const char *const *key, const char *const *value, int nmeta)
{
  target to = { .path = path };
  return write_to(st, &to, entry, n, key, value, nmeta);
}

norn_status tensor_file_bytes(norn_state *st, const tensor_entry *entry, int n, const char *const *key,
                              const char *const *value, int nmeta, void **bytes, size_t *size)
{
  target to = { .path = NULL };
  norn_status code = write_to(st, &to, entry, n, key, value, nmeta);
  *bytes = to.bytes;
  *size = to.n;
  return code;
}
