/* handle.c: values that stand for something C owns (norn.h, norn_handle_new).

   A handle is an old object from the start, so it does not move; the state lists all of them.  A full
   collection looks, between marking and sweeping, which have no mark: what those own is freed.  What is
   left is freed with the state.  Freeing may give back memory, runs and references, and nothing else. */
#include "lang/state.h"

norn_datum norn_handle_new(norn_state *st, const norn_handle_row *row, void *p, size_t bytes)
{
  if (st->home) return state_at_home(st);
  if (!mem_grow(&st->mem, &st->handles, &st->chandles, st->nhandles + 1, sizeof *st->handles))
    return state_memory(st);
  handle *o = heap_alloc_old(st, sizeof *o);
  if (!o) return norn_none();
  obj_init(o, NORN_HANDLE, 0, 0);
  o->row = row;
  o->p = p;
  o->serial = ++st->handle_serial;
  st->handles[st->nhandles++] = o;
  heap_outside(st, bytes);
  return v_obj(NORN_HANDLE, o);
}

void *norn_handle_view(norn_datum v, const norn_handle_row *row)
{
  const handle *o = v.tag == NORN_HANDLE ? v.p : NULL;
  return o && o->row == row ? o->p : NULL;
}

void handles_sweep(norn_state *st, bool all)
{
  size_t k = 0;
  for (size_t i = 0; i < st->nhandles; i++) {
    handle *o = st->handles[i];
    if (!all && o->h.flags & OBJ_MARK) st->handles[k++] = o;
    else o->row->free(st, o->p);
  }
  st->nhandles = k;
  if (all) mem_put(&st->mem, st->handles, st->chandles * sizeof *st->handles);
}
