/* record.c: shapes and records.  A record points to its shape and holds its fields in the order
   they were written; all records written alike share one shape. */
#include "lang/value/symbol.h"
#include <string.h>

/* ---- shapes ---- */

/* One block: the shape, its symbols, then (aligned) the names' texts, then the order. */
static size_t texts_at(uint32_t n)
{
  return (sizeof(shape) + n * sizeof(sym) + 7) / 8 * 8;
}

static size_t shape_size(uint32_t n)
{
  return texts_at(n) + n * (sizeof(char *) + sizeof(uint32_t));
}

static uint64_t set_hash(norn_state *st, const sym *names, uint32_t n)
{
  uint64_t h = n;
  for (uint32_t i = 0; i < n; i++)
    h += hash_mix(st->syms[names[i]].hash + (uint64_t)0x9e3779b97f4a7c15u);
  return h;
}

/* Sorts the fields by name. */
static void set_order(shape *sh)
{
  for (uint32_t i = 0; i < sh->n; i++) {
    uint32_t k = i;
    for (; k > 0 && strcmp(sh->text[sh->order[k - 1]], sh->text[i]) > 0; k--)
      sh->order[k] = sh->order[k - 1];
    sh->order[k] = i;
  }
}

static bool table_grow(norn_state *st)
{
  size_t size = st->shapes ? 2 * (st->shape_mask + 1) : 64;
  shape **t = mem_zero(&st->mem, size * sizeof *t);
  if (!t) return false;
  for (size_t i = 0; st->shapes && i <= st->shape_mask; i++) {
    for (shape *s = st->shapes[i], *next; s; s = next) {
      next = s->next;
      s->next = t[s->hash & (size - 1)];
      t[s->hash & (size - 1)] = s;
    }
  }
  if (st->shapes) mem_put(&st->mem, st->shapes, (st->shape_mask + 1) * sizeof *t);
  st->shapes = t;
  st->shape_mask = size - 1;
  return true;
}

static shape *shape_new(norn_state *st, const sym *names, uint32_t n, uint64_t hash)
{
  shape *sh = mem_get(&st->mem, shape_size(n));
  if (!sh) return NULL;
  *sh = (shape){ .id = (uint32_t)st->nshapes + 1, .n = n, .hash = hash };
  sh->text = (const char **)(void *)((char *)sh + texts_at(n));
  sh->order = (uint32_t *)(void *)(sh->text + n);
  for (uint32_t i = 0; i < n; i++) {
    sh->names[i] = names[i];
    sh->text[i] = sym_name(st, names[i]);
  }
  set_order(sh);
  return sh;
}

const shape *shape_intern(norn_state *st, const sym *names, uint32_t n)
{
  uint64_t hash = set_hash(st, names, n);
  if (st->home && !st->shapes) return state_at_home(st), NULL;
  if ((!st->shapes || st->nshapes > st->shape_mask) && !st->home && !table_grow(st)) return NULL;
  shape **at = &st->shapes[hash & st->shape_mask];
  for (shape *s = *at; s; s = s->next)
    if (s->hash == hash && s->n == n && memcmp(s->names, names, n * sizeof *names) == 0) return s;
  if (st->home) return state_at_home(st), NULL;
  shape *sh = shape_new(st, names, n, hash);
  if (!sh) return NULL;
  sh->next = *at;
  *at = sh;
  st->nshapes++;
  return sh;
}

int shape_find(const shape *sh, sym name)
{
  for (uint32_t i = 0; i < sh->n; i++)
    if (sh->names[i] == name) return (int)i;
  return -1;
}

static void shapes_free(norn_state *st)
{
  for (size_t i = 0; i <= st->shape_mask; i++) {
    for (shape *s = st->shapes[i], *next; s; s = next) {
      next = s->next;
      mem_put(&st->mem, s, shape_size(s->n));
    }
  }
  mem_put(&st->mem, st->shapes, (st->shape_mask + 1) * sizeof *st->shapes);
  st->shapes = NULL;
  st->shape_mask = st->nshapes = 0;
}

void record_free(norn_state *st)
{
  if (st->shapes) shapes_free(st);
  symbol_free(st);
}

/* ---- records ---- */

static rec *rec_make(norn_state *st, const shape *sh)
{
  rec *r = heap_alloc(st, sizeof(rec) + sh->n * sizeof(val));
  if (!r) return NULL;
  obj_init(r, NORN_RECORD, 0, sh->n);
  r->sh = sh;
  return r;
}

val rec_new(norn_state *st, const shape *sh, const val *values)
{
  rec *r = rec_make(st, sh);
  if (!r) return norn_none();
  for (uint32_t i = 0; i < sh->n; i++) r->f[i] = values[i];
  return v_obj(NORN_RECORD, r);
}

/* The shape of sh with the names it lacks at its end. */
static const shape *wider(norn_state *st, const shape *sh, const sym *names, int n)
{
  sym small[32], *all = small;
  size_t size = (sh->n + (size_t)n) * sizeof *all;
  uint32_t m = sh->n;
  if (size > sizeof small && !(all = mem_get(&st->mem, size))) return NULL;
  memcpy(all, sh->names, m * sizeof *all);
  for (int i = 0; i < n; i++)
    if (shape_find(sh, names[i]) < 0) all[m++] = names[i];
  if (m > sh->n) sh = shape_intern(st, all, m);
  if (all != small) mem_put(&st->mem, all, size);
  return sh;
}

val rec_with(norn_state *st, val r, const sym *names, const val *values, int n)
{
  if (r.tag != NORN_RECORD) {
    char found[128];
    return state_fail(st, NORN_ETYPE, "'with' changes the fields of a record, got %s",
                      norn_describe(st, r, found, sizeof found));
  }
  const rec *old = v_rec(r);
  const shape *sh = wider(st, old->sh, names, n);
  if (!sh) return state_memory(st);
  rec *q = rec_make(st, sh);
  if (!q) return norn_none();
  for (uint32_t i = 0; i < sh->n; i++) q->f[i] = i < old->sh->n ? old->f[i] : norn_unit();
  for (int i = 0; i < n; i++) q->f[shape_find(sh, names[i])] = values[i];
  return v_obj(NORN_RECORD, q);
}
