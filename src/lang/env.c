/* env.c: names and what they mean: modules, builtins, types, slots of globals.

   Modules and builtins are hash tables by symbol with linear probing; nothing is ever removed but
   by taking back a load that failed.  Entries live in the environment's arena as long as the state.
 */
#include "lang/env_in.h"
#include <string.h>

static size_t slot_of(uint32_t key, size_t mask) { return (size_t)hash_mix(key) & mask; }

/* ---- a module's table ---- */

static env_entry **module_find(const module *m, sym name)
{
  if (!m->table) return NULL;
  size_t i = slot_of(name, m->mask);
  while (m->table[i] && m->table[i]->name != name) i = (i + 1) & m->mask;
  return &m->table[i];
}

static bool module_grow(norn_state *st, module *m)
{
  size_t old = m->table ? m->mask + 1 : 0, size = old ? old * 2 : 16;
  if (old && m->n * 2 < old) return true;
  env_entry **was = m->table, **table = mem_zero(&st->mem, size * sizeof *table);
  if (!table) return false;
  m->table = table;
  m->mask = size - 1;
  for (size_t i = 0; i < old; i++)
    if (was[i]) *module_find(m, was[i]->name) = was[i];
  mem_put(&st->mem, was, old * sizeof *was);
  return true;
}

bool env_put(norn_state *st, module *m, env_entry *e)
{
  if (!module_grow(st, m)) return false;
  env_entry **at = module_find(m, e->name);
  m->n += !*at;
  *at = e;
  return true;
}

/* Linear probing without tombstones: what follows in the chain is put in again. */
static void module_remove(module *m, sym name)
{
  env_entry **at = module_find(m, name);
  if (!at || !*at) return;
  size_t i = (size_t)(at - m->table);
  m->table[i] = NULL;
  m->n--;
  for (i = (i + 1) & m->mask; m->table[i]; i = (i + 1) & m->mask) {
    env_entry *e = m->table[i];
    m->table[i] = NULL;
    *module_find(m, e->name) = e;
  }
}

env_entry *env_lookup_in(norn_state *st, module *m, sym name)
{
  (void)st;
  env_entry **at = m ? module_find(m, name) : NULL;
  return at ? *at : NULL;
}

module *env_module_new(norn_state *st, const char *name, const char *path)
{
  env *e = st->env;
  module *m = arena_get(&e->arena, sizeof *m);
  if (!m) return NULL;
  m->name = sym_intern(st, name, strlen(name));
  if (path) m->path = arena_text(&e->arena, path, strlen(path));
  if (!m->name || (path && !m->path)) return NULL;
  m->next = e->modules;
  return e->modules = m;
}

/* ---- builtins ---- */

static builtin *builtin_find(const env *e, sym name)
{
  if (!e->builtins) return NULL;
  size_t i = slot_of(name, e->builtin_mask);
  while (e->builtins[i].name && e->builtins[i].name != name) i = (i + 1) & e->builtin_mask;
  return &e->builtins[i];
}

static bool builtin_grow(norn_state *st)
{
  env *e = st->env;
  size_t old = e->builtins ? e->builtin_mask + 1 : 0, size = old ? old * 2 : 512;
  if (old && e->nbuiltins * 2 < old) return true;
  builtin *was = e->builtins, *table = mem_zero(&st->mem, size * sizeof *table);
  if (!table) return false;
  e->builtins = table;
  e->builtin_mask = size - 1;
  for (size_t i = 0; i < old; i++)
    if (was[i].name) *builtin_find(e, was[i].name) = was[i];
  mem_put(&st->mem, was, old * sizeof *was);
  return true;
}

bool env_builtin_add(norn_state *st, sym name, env_kind kind, const void *row, env_entry *made)
{
  env *e = st->env;
  if (!name || !builtin_grow(st)) return false;
  builtin *b = builtin_find(e, name);
  e->nbuiltins += !b->name;
  *b = (builtin){name, kind, row, made};
  return true;
}

static env_entry *entry_new(norn_state *st, sym name, env_kind kind)
{
  arena *a = &st->env->arena;
  env_entry *e = arena_get(a, sizeof *e);
  if (!e) return NULL;
  e->name = name;
  e->kind = kind;
  return e;
}

static env_entry *entry_make(norn_state *st, sym name, env_kind kind, const void *row)
{
  env_entry *e = entry_new(st, name, kind);
  if (!e) return NULL;
  if (kind == ENV_NATIVE) {
    e->native = row;
    e->params = e->native->params, e->doc = e->native->doc;
    e->variadic = (e->native->flags & NORN_VARIADIC) != 0;
  } else if (kind == ENV_DIST) {
    e->row = row;
    e->params = e->row->params, e->doc = e->row->doc;
  } else {
    e->engine = row;
    e->doc = e->engine->doc;
  }
  return params_parse(st, e->params, e) ? e : NULL;
}

env_entry *env_builtin(norn_state *st, sym name)
{
  builtin *b = builtin_find(st->env, name);
  if (!b || !b->name) return NULL;
  if (!b->entry) b->entry = entry_make(st, name, b->kind, b->row);
  return b->entry;
}

/* ---- rows by address ---- */

static const char *row_name(env_kind kind, const void *row)
{
  if (kind == ENV_NATIVE) return ((const norn_native *)row)->name;
  if (kind == ENV_DIST) return ((const norn_dist_row *)row)->name;
  return ((const norn_engine *)row)->name;
}

static const env_table *table_of(const env *e, env_kind kind, const void *row)
{
  const char *at = row;
  for (size_t i = 0; i < e->ntables; i++) {
    const env_table *t = &e->tables[i];
    if (t->kind != kind || at < t->base || at >= t->base + t->size * (size_t)t->n) continue;
    if ((size_t)(at - t->base) % t->size == 0) return t;
  }
  return NULL;
}

static row_entry *row_find(const env *e, const void *row)
{
  size_t i = (size_t)hash_mix((uintptr_t)row) & e->row_mask;
  while (e->rows[i].row && e->rows[i].row != row) i = (i + 1) & e->row_mask;
  return &e->rows[i];
}

static bool rows_grow(norn_state *st)
{
  env *e = st->env;
  size_t old = e->rows ? e->row_mask + 1 : 0, size = old ? old * 2 : 64;
  if (old && e->nrows * 2 < old) return true;
  row_entry *was = e->rows, *table = mem_zero(&st->mem, size * sizeof *table);
  if (!table) return false;
  e->rows = table;
  e->row_mask = size - 1;
  for (size_t i = 0; i < old; i++)
    if (was[i].row) *row_find(e, was[i].row) = was[i];
  mem_put(&st->mem, was, old * sizeof *was);
  return true;
}

/* The entry that a row's name stands for, or one of its own if another row took the name. */
static env_entry *entry_search(norn_state *st, env_kind kind, const void *row)
{
  const env_table *t = table_of(st->env, kind, row);
  if (!t) return NULL;
  const char *name = row_name(kind, row);
  sym s = sym_intern(st, name, strlen(name));
  if (!s) return NULL;
  if (!t->mod) {
    builtin *b = builtin_find(st->env, s);
    return b && b->row == row ? env_builtin(st, s) : entry_make(st, s, kind, row);
  }
  if (!env_open_natives(st, t->mod)) return NULL;
  env_entry *found = env_lookup_in(st, t->mod, s);
  return found && found->native == row ? found : entry_make(st, s, kind, row);
}

env_entry *env_entry_of(norn_state *st, env_kind kind, const void *row)
{
  env *e = st->env;
  row_entry *known = e->rows ? row_find(e, row) : NULL;
  if (known && known->row) return known->entry->kind == kind ? known->entry : NULL;
  if (st->home) return NULL;
  env_entry *made = entry_search(st, kind, row);
  if (!made || !rows_grow(st)) return made;
  *row_find(e, row) = (row_entry){row, made};
  e->nrows++;
  return made;
}

bool env_native_entry(norn_state *st, env_entry *e, const norn_native *row)
{
  e->kind = ENV_NATIVE;
  e->native = row;
  e->params = row->params, e->doc = row->doc;
  if (!params_parse(st, e->params, e) || !rows_grow(st)) return false;
  *row_find(st->env, row) = (row_entry){row, e};
  st->env->nrows++;
  return true;
}

env_entry *env_of_native(norn_state *st, const norn_native *f)
{
  return env_entry_of(st, ENV_NATIVE, f);
}
env_entry *env_of_row(norn_state *st, const norn_dist_row *row)
{
  return env_entry_of(st, ENV_DIST, row);
}
env_entry *env_of_engine(norn_state *st, const norn_engine *engine)
{
  return env_entry_of(st, ENV_ENGINE, engine);
}

/* A module's natives become entries when it is first imported. */
bool env_open_natives(norn_state *st, module *m)
{
  env *e = st->env;
  for (size_t i = 0; i < e->ntables; i++) {
    env_table *t = &e->tables[i];
    if (t->mod != m) continue;
    for (int k = 0; k < t->n; k++) {
      const char *row = t->base + t->size * (size_t)k, *name = row_name(t->kind, row);
      sym s = sym_intern(st, name, strlen(name));
      if (!s) return false;
      if (env_lookup_in(st, m, s)) continue;
      env_entry *made = entry_make(st, s, t->kind, row);
      if (!made || !env_put(st, m, made)) return false;
    }
  }
  return true;
}

/* ---- functions by address ---- */

static const proto **proto_find(const env *e, const proto *p)
{
  size_t i = (size_t)hash_mix((uintptr_t)p) & e->proto_mask;
  while (e->protos[i] && e->protos[i] != p) i = (i + 1) & e->proto_mask;
  return &e->protos[i];
}

static bool proto_grow(norn_state *st)
{
  env *e = st->env;
  size_t old = e->protos ? e->proto_mask + 1 : 0, size = old ? old * 2 : 64;
  if (old && e->nprotos * 2 < old) return true;
  const proto **was = e->protos, **table = mem_zero(&st->mem, size * sizeof *table);
  if (!table) return false;
  e->protos = table;
  e->proto_mask = size - 1;
  for (size_t i = 0; i < old; i++)
    if (was[i]) *proto_find(e, was[i]) = was[i];
  mem_put(&st->mem, was, old * sizeof *was);
  return true;
}

/* New functions stand at the head of st->protos, so each is seen once. */
static bool protos_look(norn_state *st, const proto *until)
{
  env *e = st->env;
  for (const proto *q = st->protos; q && q != until; q = q->next) {
    if (!proto_grow(st)) return false;
    const proto **at = proto_find(e, q);
    e->nprotos += !*at;
    *at = q;
  }
  e->protos_seen = st->protos;
  return e->protos != NULL;
}

/* A compilation that failed may have freed functions: before saying no, all are looked at again. */
bool env_knows_proto(norn_state *st, const proto *p)
{
  env *e = st->env;
  if (!p || !protos_look(st, e->protos_seen)) return false;
  if (*proto_find(e, p) == p) return true;
  memset(e->protos, 0, (e->proto_mask + 1) * sizeof *e->protos);
  e->nprotos = 0;
  return protos_look(st, NULL) && *proto_find(e, p) == p;
}

/* ---- looking up and defining ---- */

env_entry *env_lookup(norn_state *st, module *m, sym name)
{
  env *e = st->env;
  env_entry *found = env_lookup_in(st, m, name);
  if (!found && m && !m->stdlib) found = env_lookup_in(st, e->host, name);
  if (!found) found = env_builtin(st, name);
  if (!found && e->prelude && m != e->prelude && env_load_prelude(st))
    found = env_lookup_in(st, e->prelude, name);
  if (found) found->used = true;
  return found;
}

static bool log_undo(norn_state *st, module *m, sym name)
{
  env *e = st->env;
  if (!e->logging) return true;
  if (!mem_grow(&st->mem, &e->undo, &e->cundo, e->nundo + 1, sizeof *e->undo)) return false;
  e->undo[e->nundo++] = (env_undo){m, name, env_lookup_in(st, m, name)};
  return true;
}

env_entry *env_define(norn_state *st, module *m, sym name, env_kind kind, norn_span span)
{
  env_entry *e = entry_new(st, name, kind);
  if (!e || !log_undo(st, m, name)) return NULL;
  e->span = span;
  if (kind == ENV_GLOBAL && (e->slot = env_slot(st, norn_none())) == UINT32_MAX) return NULL;
  return env_put(st, m, e) ? e : NULL;
}

void env_begin(norn_state *st)
{
  env *e = st->env;
  e->nundo = 0;
  e->logging = true;
}

void env_commit(norn_state *st)
{
  st->env->logging = false;
}

void env_rollback(norn_state *st)
{
  env *e = st->env;
  e->logging = false;
  while (e->nundo) {
    env_undo *u = &e->undo[--e->nundo];
    if (u->was) *module_find(u->mod, u->name) = u->was;
    else module_remove(u->mod, u->name);
  }
}

const char *env_keep_text(norn_state *st, const char *s)
{
  return s ? arena_text(&st->env->arena, s, strlen(s)) : NULL;
}

/* In a session a definition whose right side failed when it ran never got a value: the name means
   again what it meant before. */
void env_settle(norn_state *st)
{
  env *e = st->env;
  if (e->logging || st->current) return;
  while (e->nundo) {
    const env_undo *u = &e->undo[--e->nundo];
    const env_entry *now = env_lookup_in(st, u->mod, u->name);
    if (u->mod != e->session || !now || now->kind != ENV_GLOBAL ||
        st->globals[now->slot].tag != NORN_NONE)
      continue;
    if (u->was) *module_find(u->mod, u->name) = u->was;
    else module_remove(u->mod, u->name);
  }
}

const char *env_slot_name(norn_state *st, uint32_t slot)
{
  for (const module *m = st->env->modules; m; m = m->next)
    for (size_t i = 0; m->table && i <= m->mask; i++) {
      const env_entry *e = m->table[i];
      if (e && e->kind == ENV_GLOBAL && e->slot == slot) return sym_name(st, e->name);
    }
  return NULL;
}

uint32_t env_slot(norn_state *st, val first)
{
  if (st->nglobals >= UINT32_MAX - 1 ||
      !mem_grow(&st->mem, &st->globals, &st->cglobals, st->nglobals + 1, sizeof *st->globals))
    return UINT32_MAX;
  st->globals[st->nglobals] = first;
  return (uint32_t)st->nglobals++;
}

module *env_session(norn_state *st)
{
  return st->env->session;
}

module *env_main(norn_state *st, uint32_t file)
{
  env *e = st->env;
  const source *f = sources_get(&st->sources, file);
  module *m = env_module_new(st, "main", f ? f->name : NULL);
  if (!m) return NULL;
  m->file = file;
  return e->visible = m;
}

/* ---- types ---- */

static bool ctor_add(norn_state *st, sym name, uint32_t arity, uint32_t type, uint32_t index,
                     const sym *fields)
{
  env *e = st->env;
  if (!mem_grow(&st->mem, &st->ctors, &st->cctors, st->nctors + 1, sizeof *st->ctors)) return false;
  sym *names = arity ? arena_get(&e->arena, arity * sizeof *names) : NULL;
  if (arity && !names) return false;
  if (arity && fields) memcpy(names, fields, arity * sizeof *names);
  st->ctors[st->nctors++] = (ctor){name, arity, type, index, names};
  return true;
}

uint32_t env_type(norn_state *st, sym name, int n, const sym *ctors, const uint32_t *arity,
                  sym *const *fields, uint64_t *tags)
{
  uint32_t id = (uint32_t)st->ntypes, first = (uint32_t)st->nctors;
  if (!mem_grow(&st->mem, &st->types, &st->ctypes_, st->ntypes + 1, sizeof *st->types))
    return UINT32_MAX;
  for (int i = 0; i < n; i++) {
    if (!ctor_add(st, ctors[i], arity[i], id, (uint32_t)i, fields ? fields[i] : NULL)) {
      st->nctors = first;
      return UINT32_MAX;
    }
    tags[i] = (arity[i] ? NORN_DATA : NORN_ENUM) | (uint64_t)(first + (uint32_t)i) << 32;
  }
  st->types[st->ntypes++] = (type_info){name, first, (uint32_t)n};
  return id;
}

const ctor *env_ctor(norn_state *st, uint32_t id)
{
  return id < st->nctors ? &st->ctors[id] : NULL;
}

/* ---- hints ---- */

static void nearest_in(norn_state *st, nearest *near, const module *m)
{
  if (!m || !m->table) return;
  for (size_t i = 0; i <= m->mask; i++)
    if (m->table[i]) nearest_try(near, sym_name(st, m->table[i]->name));
}

const char *env_nearest(norn_state *st, module *m, const char *name)
{
  env *e = st->env;
  nearest near;
  nearest_init(&near, name);
  nearest_in(st, &near, m);
  if (!m || !m->stdlib) nearest_in(st, &near, e->host);
  for (size_t i = 0; e->builtins && i <= e->builtin_mask; i++) {
    const char *s = e->builtins[i].name ? sym_name(st, e->builtins[i].name) : "@";
    if (*s != '@') nearest_try(&near, s); /* natives for the compiler alone start with @ */
  }
  nearest_in(st, &near, e->prelude);
  return nearest_found(&near);
}

/* ---- beginning and end ---- */

/* Nothing of the environment needs the collector: heap constants are globals, defaults static. */
void env_scan(norn_state *st, gc *g)
{
  (void)st;
  (void)g;
}

bool env_init(norn_state *st)
{
  env *e = mem_zero(&st->mem, sizeof *e);
  if (!e) return false;
  st->env = e;
  arena_init(&e->arena, &st->mem);
  text_init(&e->answer, &st->mem);
  e->session = env_module_new(st, "session", NULL);
  e->host = env_module_new(st, "host", NULL);
  e->visible = e->session;
  return e->session && e->host && env_specials(st);
}

void env_free(norn_state *st)
{
  env *e = st->env;
  if (!e) return;
  for (module *m = e->modules; m; m = m->next)
    mem_put(&st->mem, m->table, m->table ? (m->mask + 1) * sizeof *m->table : 0);
  mem_put(&st->mem, e->tables, e->ctables * sizeof *e->tables);
  mem_put(&st->mem, e->builtins, e->builtins ? (e->builtin_mask + 1) * sizeof *e->builtins : 0);
  for (proto *p = st->protos, *next; p; p = next) {
    next = p->next;
    proto_free(st, p);
  }
  st->protos = NULL;
  mem_put(&st->mem, e->protos, e->protos ? (e->proto_mask + 1) * sizeof *e->protos : 0);
  mem_put(&st->mem, e->rows, e->rows ? (e->row_mask + 1) * sizeof *e->rows : 0);
  mem_put(&st->mem, e->fields, e->cfields * sizeof *e->fields);
  mem_put(&st->mem, e->undo, e->cundo * sizeof *e->undo);
  text_free(&e->answer);
  arena_free(&e->arena);
  mem_put(&st->mem, e, sizeof *e);
  st->env = NULL;
  mem_put(&st->mem, st->globals, st->cglobals * sizeof *st->globals);
  mem_put(&st->mem, st->ctors, st->cctors * sizeof *st->ctors);
  mem_put(&st->mem, st->types, st->ctypes_ * sizeof *st->types);
  st->globals = NULL, st->ctors = NULL, st->types = NULL;
  st->nglobals = st->cglobals = st->nctors = st->cctors = st->ntypes = st->ctypes_ = 0;
}
