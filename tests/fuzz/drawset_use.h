/* drawset_use.h: what fuzz_draws and fuzz_netcdf do with a set that was read: all of its values and
   choices are built. */
#include "io/drawset.h"
#include <stdlib.h>

static void *state_alloc(void *user, void *p, size_t old, size_t n)
{
  return norn_alloc(user, p, old, n);
}

static norn_state *state_with(mem *m)
{
  norn_config c = norn_config_default();
  c.max_memory = 256 << 20;
  norn_state *st = norn_new_bare(&c);
  if (!st) return NULL;
  mem_init(m);
  m->alloc = state_alloc;
  m->user = st;
  return st;
}

static bool count_choice(void *user, const char *address, norn_datum column)
{
  if (norn_array_length(column) != *(int64_t *)user || !address) abort();
  return true;
}

static void use_set(drawset *s)
{
  drawset_reader r;
  int64_t n = s->n;
  if (drawset_reader_open(&r, s)) {
    for (int64_t i = 0; i < n && i < 50; i++)
      if (norn_is_none(drawset_value_of(&r, i)) && !norn_error(s->st)->code) abort();
    drawset_choices(&r, count_choice, &n);
  } else if (!norn_error(s->st)->code) abort();
  drawset_reader_close(&r);
}
