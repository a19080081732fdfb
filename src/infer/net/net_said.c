/* net_said: questions of a pfn that were answered (net_asked_in.h), by the bytes of their tokens. */
#include "infer/net/net_asked_in.h"
#include <string.h>

void net_said_free(norn_state *st, net_said *s)
{
  engine_put(st, s->key, s->ckey * sizeof *s->key);
  engine_put(st, s->row, s->crow * sizeof *s->row);
  engine_put(st, s->coef, s->ccoef * sizeof *s->coef);
  engine_put(st, s->at, s->cat * sizeof *s->at);
  engine_put(st, s->z, s->cz * sizeof *s->z);
  engine_put(st, s->table, s->size * sizeof *s->table);
  *s = (net_said){ 0 };
}

static void put(net_said *s, int k)
{
  size_t i = s->key[k] & (s->size - 1);
  while (s->table[i]) i = (i + 1) & (s->size - 1);
  s->table[i] = k + 1;
}

/* At most half of it is taken. */
static bool table_grow(norn_state *st, net_said *s)
{
  if (2 * ((size_t)s->n + 1) <= s->size) return true;
  size_t size = s->size ? 2 * s->size : 16;
  int32_t *table = engine_get(st, size * sizeof *table);
  if (!table) return false;
  engine_put(st, s->table, s->size * sizeof *s->table);
  s->table = table;
  s->size = size;
  for (int k = 0; k < s->n; k++) put(s, k);
  return true;
}

static bool is(const net_said *s, int k, uint64_t key, const int32_t *row, const float *coef, size_t wide)
{
  return s->key[k] == key && !memcmp(s->row + (size_t)k * wide, row, wide * sizeof *row) &&
         !memcmp(s->coef + (size_t)k * wide, coef, wide * sizeof *coef);
}

int net_said_find(norn_state *st, net_said *s, const int32_t *row, const float *coef, int wide, int width, bool *fresh)
{
  size_t j = (size_t)wide, n = (size_t)s->n;
  uint64_t key = hash_bytes(coef, j * sizeof *coef, hash_bytes(row, j * sizeof *row, 0));
  *fresh = false;
  for (size_t i = s->size ? key & (s->size - 1) : 0; s->size && s->table[i]; i = (i + 1) & (s->size - 1))
    if (is(s, s->table[i] - 1, key, row, coef, j)) return s->table[i] - 1;
  if (!engine_room(st, &s->key, &s->ckey, n + 1, sizeof *s->key) ||
      !engine_room(st, &s->row, &s->crow, (n + 1) * j, sizeof *s->row) ||
      !engine_room(st, &s->coef, &s->ccoef, (n + 1) * j, sizeof *s->coef) ||
      !engine_room(st, &s->at, &s->cat, n + 1, sizeof *s->at) ||
      !engine_room(st, &s->z, &s->cz, s->nz + (size_t)width, sizeof *s->z) || !table_grow(st, s))
    return -1;
  s->key[n] = key;
  memcpy(s->row + n * j, row, j * sizeof *row);
  memcpy(s->coef + n * j, coef, j * sizeof *coef);
  s->at[n] = s->nz;
  s->nz += (size_t)width;
  put(s, s->n);
  *fresh = true;
  return s->n++;
}
