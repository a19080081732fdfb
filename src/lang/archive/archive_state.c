/* archive_state.c: what a program has made of its state, in checkpoints of programs (infer/checkpoint.c): its
   globals, and the counters from which random numbers and names come.

   A global is known by its place.  The same text, read by the same build, gives the same places; libraries that
   were read later, when the program first asked for something in them, are read again in their order before
   anything else is (THING_LIBRARY).  That names and places still agree is looked at. */
#include "lang/archive/archive.h"
#include "lang/env_in.h"
#include "lang/run.h"
#include <string.h>

/* ---- libraries ---- */

/* The loaded library whose text came first after the file `last`; NULL: none. */
static const env_library *library_after(const norn_state *st, uint32_t last)
{
  const env_library *first = NULL;
  for (const env_library *l = st->env->libraries; l; l = l->next)
    if (l->mod->loaded && l->text && l->mod->file > last && (!first || l->mod->file < first->mod->file)) first = l;
  return first;
}

bool archive_libraries(norn_archive *a)
{
  for (const env_library *l = library_after(a->st, 0); l; l = library_after(a->st, l->mod->file)) {
    const char *name = sym_name(a->st, l->mod->name);
    code_library(a, name);
  }
  return archive_good(a);
}

/* ---- globals ---- */

typedef struct named { const module *m; const env_entry *e; } named;

/* What each global is called, by its place. */
static named *names_of(norn_archive *a)
{
  norn_state *st = a->st;
  named *v = mem_zero(&st->mem, (st->nglobals + 1) * sizeof *v);
  if (!v) return archive_no_memory(a), NULL;
  for (const module *m = st->env->modules; m; m = m->next)
    for (size_t i = 0; m->table && i <= m->mask; i++) {
      const env_entry *e = m->table[i];
      if (e && e->kind == ENV_GLOBAL && e->slot < st->nglobals) v[e->slot] = (named){ m, e };
    }
  return v;
}

/* Of names and places. */
static uint64_t names_hash(norn_state *st, const named *v)
{
  uint64_t h = st->nglobals;
  for (size_t i = 0; i < st->nglobals; i++) {
    const char *s = v[i].e ? sym_name(st, v[i].e->name) : "";
    h = hash_bytes(s, strlen(s), h);
  }
  return h;
}

static void globals_put(norn_archive *a, const named *v)
{
  norn_span was = a->place;
  for (size_t i = 0; archive_good(a) && i < a->st->nglobals; i++) {
    if (v[i].e && !v[i].m->stdlib) a->place = v[i].e->span;
    value_put(a, a->st->globals[i]);
    a->place = was;
  }
}

static void globals_get(norn_archive *a)
{
  for (size_t i = 0; archive_good(a) && i < a->st->nglobals; i++) {
    val x = value_get(a);
    if (archive_good(a)) a->st->globals[i] = x;
  }
}

bool archive_globals(norn_archive *a)
{
  norn_state *st = a->st;
  named *v = names_of(a);
  size_t n = st->nglobals;
  if (!v) return false;
  uint64_t mine = names_hash(st, v), h = mine;
  norn_archive_bytes(a, &st->top_stream, sizeof st->top_stream);
  norn_archive_u32(a, &st->top_iter);
  norn_archive_u64(a, &st->mem_ids);
  norn_archive_bytes(a, &h, sizeof h);
  if (archive_good(a) && h != mine) norn_archive_fail(a, "its globals are not those of the program");
  if (a->reading) globals_get(a);
  else globals_put(a, v);
  mem_put(&st->mem, v, (n + 1) * sizeof *v);
  return archive_good(a);
}

/* ---- the run of a program ---- */

norn_datum archive_bottom(const norn_run *r)
{
  const val *R = r->R;
  for (;;) {
    const val *top = R - FRAME_SIZE;
    const ins *pc = FRAME_PC(top) == run_water_code ? r->wpc : FRAME_PC(top);
    if (pc == run_halt_code) return R[-1];
    R = (const val *)((const char *)R - FRAME_DIST(top));
  }
}

uint64_t archive_stream(const norn_run *r) { return r->stream; }

const norn_dist *archive_choice(const norn_run *r) { return &r->d1; }
