/* symbol.c: names as small integers.  Symbol k is syms[k]; 0 is no symbol.  The table maps the
   hash of a name to its symbol by open addressing, and is at most half full. */
#include "lang/value/symbol.h"
#include <string.h>

static bool table_grow(norn_state *st)
{
  size_t size = st->sym_table ? 2 * (st->sym_mask + 1) : 256;
  uint32_t *t = mem_zero(&st->mem, size * sizeof *t);
  if (!t) return false;
  for (size_t k = 1; k < st->nsyms; k++) {
    size_t i = st->syms[k].hash & (size - 1);
    while (t[i]) i = (i + 1) & (size - 1);
    t[i] = (uint32_t)k;
  }
  if (st->sym_table) mem_put(&st->mem, st->sym_table, (st->sym_mask + 1) * sizeof *t);
  st->sym_table = t;
  st->sym_mask = size - 1;
  return true;
}

static sym add(norn_state *st, const char *s, size_t n, uint32_t hash)
{
  if (!mem_grow(&st->mem, &st->syms, &st->csyms, st->nsyms + 2, sizeof *st->syms)) return 0;
  char *copy = mem_get(&st->mem, n + 1);
  if (!copy) return 0;
  memcpy(copy, s, n);
  copy[n] = 0;
  if (st->nsyms == 0) st->syms[st->nsyms++] = (struct sym_entry){ NULL, 0, 0 };
  st->syms[st->nsyms] = (struct sym_entry){ copy, (uint32_t)n, hash };
  return (sym)st->nsyms++;
}

sym sym_intern(norn_state *st, const char *s, size_t n)
{
  uint32_t hash = (uint32_t)hash_bytes(s, n, 0);
  if ((!st->sym_table || 2 * (st->nsyms + 1) > st->sym_mask) && !st->home && !table_grow(st))
    return 0;
  size_t i = hash & st->sym_mask;
  for (uint32_t k; (k = st->sym_table[i]); i = (i + 1) & st->sym_mask) {
    const struct sym_entry *e = &st->syms[k];
    if (e->hash == hash && e->n == n && memcmp(e->s, s, n) == 0) return k;
  }
  if (st->home) return state_at_home(st), 0;
  sym k = add(st, s, n, hash);
  if (k) st->sym_table[i] = k;
  return k;
}

const char *sym_name(norn_state *st, sym k)
{
  return k && k < st->nsyms ? st->syms[k].s : "";
}

void symbol_free(norn_state *st)
{
  for (size_t k = 1; k < st->nsyms; k++)
    mem_put(&st->mem, st->syms[k].s, st->syms[k].n + (size_t)1);
  mem_put(&st->mem, st->syms, st->csyms * sizeof *st->syms);
  if (st->sym_table) mem_put(&st->mem, st->sym_table, (st->sym_mask + 1) * sizeof *st->sym_table);
  st->syms = NULL;
  st->sym_table = NULL;
  st->nsyms = st->csyms = st->sym_mask = 0;
}
