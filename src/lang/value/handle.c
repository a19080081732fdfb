/* handle.c: values that stand for something C owns (norn.h, norn_handle_new).

   A handle is an old object from the start, so it does not move; the state lists all of them.  A full
   collection looks, between marking and sweeping, which have no mark: what those own is freed.  What is
   left is freed with the state.  Freeing may give back memory, runs and references, and nothing else. */
#include "lang/state.h"
#include "base/archive.h"
#include <string.h>

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
  st->gets_ready |= row->module != NULL;
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
  if (!all) return;
  mem_put(&st->mem, st->handles, st->chandles * sizeof *st->handles);
  mem_put(&st->mem, st->handle_rows, st->chandle_rows * sizeof *st->handle_rows);
  mem_put(&st->mem, st->archived, st->carchived * sizeof *st->archived);
}

/* ---- in files ---- */

static const norn_handle_row *row_named(const norn_state *st, const char *name)
{
  for (size_t i = 0; i < st->nhandle_rows; i++)
    if (!strcmp(st->handle_rows[i]->name, name)) return st->handle_rows[i];
  return NULL;
}

norn_status norn_add_handles(norn_state *st, const norn_handle_row *rows, int n)
{
  for (int i = 0; i < n; i++) {
    if (!rows[i].save || !rows[i].load) return norn_fail(st, NORN_EUSE, -1, "a %s can't be saved", rows[i].name);
    if (row_named(st, rows[i].name)) return norn_fail(st, NORN_EUSE, -1, "there are two kinds of %s", rows[i].name);
    if (!mem_grow(&st->mem, &st->handle_rows, &st->chandle_rows, st->nhandle_rows + 1, sizeof *st->handle_rows))
      return state_memory(st), NORN_EMEMORY;
    st->handle_rows[st->nhandle_rows++] = &rows[i];
  }
  return NORN_OK;
}

norn_status archive_handles(norn_state *st, const archive_handle *rows, int n)
{
  for (int i = 0; i < n; i++) {
    if (!mem_grow(&st->mem, &st->archived, &st->carchived, st->narchived + 1, sizeof *st->archived))
      return state_memory(st), NORN_EMEMORY;
    st->archived[st->narchived++] = &rows[i];
  }
  return NORN_OK;
}

norn_datum norn_handle_save(norn_state *st, norn_datum v, const char **name)
{
  const handle *o = v.tag == NORN_HANDLE ? v.p : NULL;
  if (!o) return state_fail(st, NORN_EUSE, "only a handle is saved so");
  *name = o->row->name;
  if (!o->row->save || row_named(st, o->row->name) != o->row)
    return state_fail(st, NORN_EINFER, "a %s can't be saved", o->row->name);
  st->err.code = NORN_OK;
  norn_datum saved = o->row->save(st, o->p);
  if (norn_is_none(saved) && !st->err.code) state_fail(st, NORN_EINFER, "this %s can't be saved", o->row->name);
  return saved;
}

norn_datum norn_handle_load(norn_state *st, const char *name, norn_datum saved)
{
  const norn_handle_row *row = row_named(st, name);
  if (!row) return state_fail(st, NORN_EIO, "there is no kind of handle %.60s here", name);
  st->err.code = NORN_OK;
  norn_datum v = row->load(st, saved);
  if (norn_is_none(v) && !st->err.code) return state_fail(st, NORN_EIO, "what was saved is no %s", name);
  if (!norn_is_none(v) && !norn_handle_view(v, row)) return state_fail(st, NORN_EUSE, "load of %s gave none", name);
  return v;
}
