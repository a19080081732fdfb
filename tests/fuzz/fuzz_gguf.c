/* fuzz_gguf.c: any bytes are a GGUF file or an error; each tensor of one lies within the bytes and its rows are numbers,
   each value of the metadata can be read, and what was read is written and read back the same. */
#include "llm/file/gguf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

/* Sums over everything that a pair has, so that every byte of it is read. */
static double looked_at(const gguf *f, const gguf_pair *p)
{
  double sum = 0;
  uint32_t u = 0;
  float x = 0;
  bool yes = false;
  const char *s = NULL;
  size_t n = 0;
  gguf_u32(f, p->key, false, &u);
  gguf_f32(f, p->key, true, &x);
  gguf_bool(f, p->key, false, &yes);
  gguf_string(f, p->key, true, &s, &n);
  norn_clear(f->st);
  if (p->of == GGUF_STRING) {
    const uint8_t *at = p->at;
    for (uint64_t i = 0; i < p->n; i++) {
      s = gguf_next_string(&at, &n);
      for (size_t k = 0; k < n; k++) sum += s[k];
    }
    if (at != p->end) abort();
  } else {
    for (uint64_t i = 0; i < p->n; i++) sum += gguf_real(p, i);
  }
  if (gguf_find(f, p->key) != p) abort();
  return sum + u + (double)x + yes;
}

static void put_pair(gguf_writer *w, const gguf_pair *p)
{
  if (p->type != GGUF_ARRAY && p->of != GGUF_STRING) gguf_put_number(w, p->key, p->type, p->at);
  else if (p->of != GGUF_STRING) gguf_put_array(w, p->key, p->of, p->at, p->n);
  else {
    const char **v = malloc((size_t)(p->n + 1) * sizeof *v);
    size_t *n = malloc((size_t)(p->n + 1) * sizeof *n);
    const uint8_t *at = p->at;
    for (uint64_t i = 0; v && n && i < p->n; i++) v[i] = gguf_next_string(&at, &n[i]);
    if (v && n && p->type == GGUF_STRING) gguf_put_string(w, p->key, v[0], n[0]);
    else if (v && n) gguf_put_strings(w, p->key, v, n, p->n);
    free(v);
    free(n);
  }
}

static void written(norn_state *st, const gguf *f)
{
  gguf again;
  uint8_t *bytes = NULL;
  size_t size = 0;
  gguf_writer *w = gguf_writer_new(st);
  if (!w) return;
  for (int k = 0; k < f->npair; k++)
    if (strcmp(f->pair[k].key, "general.alignment")) put_pair(w, &f->pair[k]);
  for (int k = 0; k < f->ntensor; k++)
    gguf_put_tensor(w, f->tensor[k].name, f->tensor[k].type, f->tensor[k].rank, f->tensor[k].dims, f->tensor[k].data);
  norn_status bad = gguf_write_bytes(w, &bytes, &size);
  gguf_writer_free(w);
  if (bad) {
    if (bad != NORN_EMEMORY) abort();
    return;
  }
  if (!gguf_view(st, "again", bytes, size, &again)) abort();
  if (again.ntensor != f->ntensor) abort();
  for (int k = 0; k < f->npair; k++) {
    const gguf_pair *p = &f->pair[k], *q = gguf_find(&again, p->key);
    if (strcmp(p->key, "general.alignment") == 0) continue;
    if (!q || q->n != p->n || q->end - q->at != p->end - p->at || memcmp(q->at, p->at, (size_t)(p->end - p->at))) abort();
  }
  for (int k = 0; k < f->ntensor; k++) {
    const gguf_tensor *t = &f->tensor[k], *r = gguf_tensor_find(&again, t->name);
    if (!r || r->size != t->size || memcmp(r->data, t->data, t->size)) abort();
  }
  gguf_close(&again);
  norn_alloc(st, bytes, size, 0);
}

static void rows(const uint8_t *s, size_t n, const gguf_tensor *t)
{
  const uint8_t *at = t->data;
  if (at < s || t->size > n || at > s + n - t->size) abort();
  if (t->dims[0] > 1 << 20) return;
  float *x = malloc((size_t)t->dims[0] * sizeof *x);
  int64_t count = gguf_tensor_count(t) / t->dims[0];
  if (x) gguf_tensor_row(t, 0, x);
  if (x) gguf_tensor_row(t, count - 1, x);
  free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  norn_config c = norn_config_default();
  c.max_memory = 256 << 20;
  norn_state *st = norn_new_bare(&c);
  gguf f;
  double sum = 0;
  if (!st) return 0;
  uint8_t *copy = malloc(n ? n : 1);
  if (copy && n) memcpy(copy, s, n);
  if (copy && gguf_view(st, "fuzz", copy, n, &f)) {
    for (int k = 0; k < f.npair; k++) sum += looked_at(&f, &f.pair[k]);
    for (int k = 0; k < f.ntensor; k++) rows(copy, n, &f.tensor[k]);
    written(st, &f);
    if (sum == 0.5) putchar('.');                                /* so that it is added up */
    gguf_close(&f);
  } else if (copy && !norn_error(st)->code) {
    abort();
  }
  free(copy);
  norn_free(st);
  return 0;
}

#include "replay.h"
