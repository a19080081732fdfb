/* archive_code.c: things of the program in checkpoints, by names that mean the same in another process
   which loaded the same texts.

   A source is known by its name and a hash of its text; a function by its source, how many functions of
   that source were compiled before it, and a hash of its instructions without what differs between
   processes (addresses, slots, symbols); natives, rows and engines by name; shapes by their fields;
   constructors by type, name and number (tags hold the number, and tables are hashed by it). */
#include "lang/archive/archive.h"
#include "lang/env_in.h"
#include "lang/compile/flow.h"
#include "lang/run.h"
#include <string.h>

/* ---- numbering ---- */

/* Begins a new thing in the code section; the section before it comes back to *was. */
static uint32_t thing_new(norn_archive *a, const void *key, thing_kind kind, int *was)
{
  bool is_new;
  uint32_t k = archive_number(a, &a->things, key, &is_new);
  *was = -1;
  if (!k || !is_new) return k;
  *was = a->in;
  a->in = SECTION_CODE;
  put_byte(a, kind);
  return k;
}

static uint32_t thing_end(norn_archive *a, uint32_t k, int was)
{
  a->in = was;
  return archive_good(a) ? k : 0;
}

static const void *key_of(uint64_t space, uint64_t i)
{
  return (const void *)(uintptr_t)(space << 56 | i << 1 | 1);        /* no address is odd */
}

/* ---- sources ---- */

uint32_t code_file(norn_archive *a, uint32_t file)
{
  const source *s = sources_get(&a->st->sources, file);
  int was;
  if (!s) return 0;
  uint32_t k = thing_new(a, key_of(1, file), THING_SOURCE, &was);
  if (was < 0) return k;
  put_text(a, s->name, strlen(s->name));
  put_uint(a, s->n);
  put_uint(a, hash_bytes(s->text, s->n, 0));
  return thing_end(a, k, was);
}

/* The last file of that text, one of that name if there is any. */
static uint32_t find_file(norn_archive *a, const char *name, size_t len, uint64_t n, uint64_t hash,
                          bool *named)
{
  uint32_t found = 0;
  *named = false;
  for (uint32_t k = (uint32_t)a->st->sources.n; k > 0; k--) {
    const source *s = sources_get(&a->st->sources, k);
    bool same = strlen(s->name) == len && !memcmp(s->name, name, len);
    *named |= same;
    if (s->n != n || hash_bytes(s->text, s->n, 0) != hash) continue;
    if (same) return k;
    if (!found) found = k;
  }
  return found;
}

static bool read_file(norn_archive *a, thing *t)
{
  size_t len;
  bool named;
  const char *name = get_text(a, &len);
  uint64_t n = get_uint(a), hash = get_uint(a);
  if (!archive_good(a)) return false;
  uint32_t k = find_file(a, name, len, n, hash, &named);
  if (!k && env_load_prelude(a->st)) k = find_file(a, name, len, n, hash, &named);
  if (!k && field_module_open(a->st, name, len)) k = find_file(a, name, len, n, hash, &named);
  if (!k)
    return norn_archive_fail(a, named ? "the text of %.*s has changed" : "%.*s is not loaded",
                             len < 200 ? (int)len : 200, name);
  t->p = (const void *)(uintptr_t)k;
  return true;
}

/* ---- functions ---- */

/* Instructions, and of literals what is the same in every process; `anywhere`: in every file, too. */
static uint64_t code_hash(const proto *p, bool anywhere)
{
  uint64_t h = p->ncode;
  for (uint32_t pc = 0; pc < p->ncode;) {
    const op_info *o = &op_table[p->code[pc].op];
    h = hash_mix(h ^ p->code[pc].u);
    for (int i = 0; i < o->nlit; i++) {
      uint64_t u = p->code[pc + 1 + (uint32_t)i].u;
      if (o->literals[i] == 'e') u &= 0xffffffffffffu;             /* not the number of the file */
      if (strchr(anywhere ? "ifatk" : "ifatke", o->literals[i])) h = hash_mix(h ^ u);
    }
    pc += 1 + (uint32_t)o->nlit;
  }
  return h;
}

/* Functions of the same file that were compiled before. */
static uint64_t ordinal_of(const proto *p)
{
  uint64_t n = 0;
  for (const proto *q = p->next; q; q = q->next) n += q->file == p->file;
  return n;
}

static bool follow(norn_archive *a, const proto *p)
{
  if (!mem_grow(&a->st->mem, &a->follow, &a->cfollow, a->nfollow + 1, sizeof *a->follow))
    return archive_no_memory(a);
  a->follow[a->nfollow++] = p;
  return true;
}

/* A method is known by its module and the function that gives it. */
static uint32_t method_number(norn_archive *a, const proto *p)
{
  int was;
  const char *mod = sym_name(a->st, p->method_of->mod->name);
  uint32_t k = thing_new(a, p, THING_METHOD, &was);
  if (was < 0) return k;
  put_text(a, mod, strlen(mod));
  put_text(a, p->name, strlen(p->name));
  if (a->prints) follow(a, p);
  return thing_end(a, k, was);
}

uint32_t code_proto(norn_archive *a, const proto *p)
{
  if (p->method_of) return method_number(a, p);
  int was, nargs = 0;
  while (nargs < NORN_COUNT(a->st->memo_stubs) && a->st->memo_stubs[nargs] != p) nargs++;
  bool stub = nargs < NORN_COUNT(a->st->memo_stubs);
  uint32_t file = stub || a->code_only ? 0 : code_file(a, p->file);
  if (!stub && !file && !a->code_only)
    return norn_archive_fail(a, "%s can't be saved: it is in no file", p->name ? p->name : "a function"), 0u;
  uint32_t k = thing_new(a, p, stub ? THING_STUB : THING_PROTO, &was);
  if (was < 0) return k;
  if (stub) {
    put_uint(a, (uint64_t)nargs);
  } else {
    put_uint(a, file);
    put_uint(a, a->code_only ? 0 : ordinal_of(p));
    put_text(a, p->name, strlen(p->name));
    put_uint(a, a->code_only ? 0 : p->span.start);
    put_uint(a, p->ncode);
    put_uint(a, p->nregs);
    put_uint(a, p->ncap);
    put_uint(a, code_hash(p, a->code_only));
  }
  if (a->prints) follow(a, p);
  return thing_end(a, k, was);
}

static const proto *find_proto(norn_archive *a, uint32_t file, uint64_t ordinal)
{
  uint64_t n = 0;
  for (const proto *q = a->st->protos; q; q = q->next) n += q->file == file;
  if (ordinal >= n) return NULL;
  for (const proto *q = a->st->protos; q; q = q->next)
    if (q->file == file && --n == ordinal) return q;
  return NULL;
}

/* Marks the words that begin an instruction. */
static bool mark_starts(norn_archive *a, thing *t, const proto *p)
{
  t->starts = mem_zero(&a->st->mem, p->ncode);
  if (!t->starts) return archive_no_memory(a);
  for (uint32_t pc = 0; pc < p->ncode; pc += 1 + (uint32_t)op_table[p->code[pc].op].nlit)
    t->starts[pc] = 1;
  return true;
}

static bool read_proto(norn_archive *a, thing *t)
{
  size_t len;
  const thing *file = code_thing(a, get_uint(a), THING_SOURCE);
  uint64_t ordinal = get_uint(a);
  const char *name = get_text(a, &len);
  uint64_t start = get_uint(a), ncode = get_uint(a), nregs = get_uint(a), ncap = get_uint(a),
           hash = get_uint(a);
  if (!archive_good(a)) return false;
  const proto *p = find_proto(a, (uint32_t)(uintptr_t)file->p, ordinal);
  if (!p || p->span.start != start || p->ncode != ncode || p->nregs != nregs || p->ncap != ncap ||
      code_hash(p, false) != hash)
    return norn_archive_fail(a, "the function %.*s is not what it was", len < 100 ? (int)len : 100,
                             name);
  t->p = p;
  return mark_starts(a, t, p);
}

static bool read_stub(norn_archive *a, thing *t)
{
  uint64_t nargs = get_uint(a);
  if (!archive_good(a)) return false;
  if (nargs >= (uint64_t)NORN_COUNT(a->st->memo_stubs)) return archive_damaged(a, "no such function");
  if (!(t->p = memo_stub(a->st, (int)nargs))) return archive_no_memory(a);
  return mark_starts(a, t, t->p);
}

uint32_t code_library(norn_archive *a, const char *name)
{
  int was;
  uint32_t k = thing_new(a, name, THING_LIBRARY, &was);
  if (was < 0) return k;
  put_text(a, name, strlen(name));
  return thing_end(a, k, was);
}

/* The library of that name, loaded; NULL: there is none. */
static module *library_named(norn_state *st, const char *name, size_t n)
{
  env_library *l = st->env->libraries;
  while (l && (strlen(sym_name(st, l->mod->name)) != n || memcmp(sym_name(st, l->mod->name), name, n))) l = l->next;
  return l ? env_load_library(st, l, NULL, (norn_span){0}) : NULL;
}

static bool read_library(norn_archive *a, thing *t)
{
  size_t n;
  const char *name = get_text(a, &n);
  if (!name) return false;
  t->p = library_named(a->st, name, n);
  return t->p || norn_archive_fail(a, "there is no module %.*s here", n < 100 ? (int)n : 100, name);
}

static bool read_method(norn_archive *a, thing *t)
{
  norn_state *st = a->st;
  size_t m, n;
  const char *mod = get_text(a, &m), *name = mod ? get_text(a, &n) : NULL;
  if (!name) return false;
  module *of = library_named(st, mod, m);
  sym s = sym_intern(st, name, n);
  env_entry *e = of && s ? field_entry(st, of, s) : NULL;
  if (!e) return norn_archive_fail(a, "there is no %.*s here", n < 100 ? (int)n : 100, name);
  if (!(t->p = method_stub(st, of, e))) return archive_no_memory(a);
  return mark_starts(a, t, t->p);
}

/* ---- rows: natives, distributions, engines ---- */

static const char *row_name(env_kind kind, const void *row)
{
  if (kind == ENV_NATIVE) return ((const norn_native *)row)->name;
  if (kind == ENV_DIST) return ((const norn_dist_row *)row)->name;
  return ((const norn_engine *)row)->name;
}

static const char *table_module(const norn_state *st, const env_table *t)
{
  return t->mod ? sym_name((norn_state *)(uintptr_t)st, t->mod->name) : "";
}

/* The first row of that name in tables of that module. */
static const void *find_row(const norn_state *st, env_kind kind, const char *of, size_t m,
                            const char *name, size_t n)
{
  const env *e = st->env;
  for (size_t i = 0; i < e->ntables; i++) {
    const env_table *t = &e->tables[i];
    const char *mod = table_module(st, t);
    if (t->kind != kind || strlen(mod) != m || memcmp(mod, of, m)) continue;
    for (int k = 0; k < t->n; k++) {
      const char *row = t->base + t->size * (size_t)k, *s = row_name(kind, row);
      if (strlen(s) == n && !memcmp(s, name, n)) return row;
    }
  }
  return NULL;
}

static const env_table *table_with(const norn_state *st, env_kind kind, const void *row)
{
  const char *at = row;
  for (size_t i = 0; i < st->env->ntables; i++) {
    const env_table *t = &st->env->tables[i];
    if (t->kind == kind && at >= t->base && at < t->base + t->size * (size_t)t->n) return t;
  }
  return NULL;
}

/* A C function that the program declares: by that name in some module. */
static const void *find_declared(norn_state *st, const char *name, size_t n)
{
  sym s = sym_intern(st, name, n);
  for (module *m = st->env->modules; s && m; m = m->next) {
    const env_entry *e = env_lookup_in(st, m, s);
    if (e && e->kind == ENV_NATIVE && !table_with(st, ENV_NATIVE, e->native)) return e->native;
  }
  return NULL;
}

static uint32_t code_named(norn_archive *a, env_kind sort, thing_kind kind, const void *row,
                           const char *what)
{
  norn_state *st = a->st;
  const env_table *t = table_with(st, sort, row);
  const char *name = row_name(sort, row), *mod = t ? table_module(st, t) : "";
  int was;
  bool declared = !t && sort == ENV_NATIVE && find_declared(st, name, strlen(name)) == row;
  if (declared) mod = "@";
  else if (!t || find_row(st, sort, mod, strlen(mod), name, strlen(name)) != row)
    return norn_archive_fail(a, "%s %s can't be saved", what, name), 0u;
  uint32_t k = thing_new(a, row, kind, &was);
  if (was < 0) return k;
  put_text(a, mod, strlen(mod));
  put_text(a, name, strlen(name));
  return thing_end(a, k, was);
}

uint32_t code_native(norn_archive *a, const norn_native *f)
{
  return code_named(a, ENV_NATIVE, THING_NATIVE, f, "the C function");
}

uint32_t code_engine(norn_archive *a, const norn_engine *e)
{
  return code_named(a, ENV_ENGINE, THING_ENGINE, e, "the engine");
}

void archive_rows(norn_state *st, const archive_row *rows, int n)
{
  st->unnamed = rows;
  st->nunnamed = n;
}

/* A row that no name stands for: of a distribution defined in Norn, or of archive_rows. */
static int unnamed_row(const norn_state *st, const norn_dist_row *row)
{
  for (int i = 0; i < DEFDIST_ROWS; i++) if (row == &defdist_rows[i]) return i;
  for (int i = 0; i < st->nunnamed; i++) if (row == st->unnamed[i].row) return DEFDIST_ROWS + i;
  return -1;
}

uint32_t code_row(norn_archive *a, const norn_dist_row *row)
{
  int was, i = unnamed_row(a->st, row);
  if (i < 0) return code_named(a, ENV_DIST, THING_ROW, row, "the distribution");
  uint32_t k = thing_new(a, row, THING_ROW, &was);
  if (was < 0) return k;
  const char *name = i < DEFDIST_ROWS ? "distribution" : a->st->unnamed[i - DEFDIST_ROWS].name;
  put_text(a, "@", 1);
  put_text(a, name, strlen(name));
  if (i < DEFDIST_ROWS) put_uint(a, (uint64_t)i);
  return thing_end(a, k, was);
}

static bool read_named(norn_archive *a, thing *t)
{
  static const env_kind kinds[THING_COUNT] = { [THING_NATIVE] = ENV_NATIVE, [THING_ROW] = ENV_DIST,
                                               [THING_ENGINE] = ENV_ENGINE };
  norn_state *st = a->st;
  size_t m, n;
  const char *mod = get_text(a, &m), *name = mod ? get_text(a, &n) : NULL;
  if (!name) return false;
  if (t->kind == THING_ROW && m == 1 && *mod == '@') {
    if (n == 12 && !memcmp(name, "distribution", 12)) {
      uint64_t i = get_uint(a);
      if (i >= DEFDIST_ROWS) return archive_damaged(a, "no such distribution");
      t->p = &defdist_rows[i];
    }
    for (int i = 0; !t->p && i < st->nunnamed; i++)
      if (strlen(st->unnamed[i].name) == n && !memcmp(st->unnamed[i].name, name, n))
        t->p = st->unnamed[i].row;
  } else if (m == 1 && *mod == '@') {
    t->p = find_declared(st, name, n);
  } else {
    t->p = find_row(st, kinds[t->kind], mod, m, name, n);
  }
  return t->p || norn_archive_fail(a, "there is no %.*s here", n < 100 ? (int)n : 100, name);
}

/* ---- shapes and constructors ---- */

uint32_t code_shape(norn_archive *a, const shape *sh)
{
  int was;
  uint32_t k = thing_new(a, sh, THING_SHAPE, &was);
  if (was < 0) return k;
  put_uint(a, sh->n);
  for (uint32_t i = 0; i < sh->n; i++) put_text(a, sh->text[i], strlen(sh->text[i]));
  return thing_end(a, k, was);
}

static bool read_shape(norn_archive *a, thing *t)
{
  uint64_t n = get_uint(a);
  if (!archive_good(a)) return false;
  if (n > left_in(a, SECTION_CODE)) return archive_damaged(a, "a record has no end");
  sym *names = mem_zero(&a->st->mem, (size_t)(n + 1) * sizeof *names);
  for (uint64_t i = 0; names && i < n; i++) {
    size_t len;
    const char *s = get_text(a, &len);
    if (s && !(names[i] = sym_intern(a->st, s, len))) archive_no_memory(a);
  }
  if (names && archive_good(a)) t->p = shape_intern(a->st, names, (uint32_t)n);
  mem_put(&a->st->mem, names, (size_t)(n + 1) * sizeof *names);
  if (!archive_good(a)) return false;
  return t->p || archive_no_memory(a);
}

uint32_t code_ctor(norn_archive *a, uint32_t id)
{
  norn_state *st = a->st;
  const ctor *c = env_ctor(st, id);
  int was;
  if (!c) return norn_archive_fail(a, "a constructor can't be saved"), 0u;
  uint32_t k = thing_new(a, key_of(2, id), THING_CTOR, &was);
  if (was < 0) return k;
  const char *type = sym_name(st, st->types[c->type].name), *name = sym_name(st, c->name);
  put_uint(a, id);
  put_uint(a, c->arity);
  put_text(a, type, strlen(type));
  put_text(a, name, strlen(name));
  return thing_end(a, k, was);
}

static bool is_text(const char *s, size_t n, const char *name)
{
  return strlen(name) == n && !memcmp(s, name, n);
}

static bool read_ctor(norn_archive *a, thing *t)
{
  norn_state *st = a->st;
  size_t m, n;
  uint64_t id = get_uint(a), arity = get_uint(a);
  const char *type = get_text(a, &m), *name = type ? get_text(a, &n) : NULL;
  if (!name) return false;
  const ctor *c = id < UINT32_MAX ? env_ctor(st, (uint32_t)id) : NULL;
  if (!c || c->arity != arity || !is_text(name, n, sym_name(st, c->name)) ||
      !is_text(type, m, sym_name(st, st->types[c->type].name)))
    return norn_archive_fail(a, "the type %.*s is not declared as it was", m < 100 ? (int)m : 100, type);
  t->p = key_of(2, id);
  return true;
}

/* ---- all of it ---- */

const thing *code_thing(norn_archive *a, uint64_t number, thing_kind kind)
{
  if (!archive_good(a)) return NULL;
  const thing *t = number >= 1 && number <= a->nthing ? &a->thing[number - 1] : NULL;
  bool is = t && (t->kind == kind || (kind == THING_PROTO && (t->kind == THING_STUB || t->kind == THING_METHOD)));
  return is ? t : (archive_damaged(a, "it names what is not there"), NULL);
}

bool code_read(norn_archive *a)
{
  int was = a->in;
  a->in = SECTION_CODE;
  while (archive_good(a) && left_in(a, SECTION_CODE)) {
    if (!mem_grow(&a->st->mem, &a->thing, &a->cthing, a->nthing + 1, sizeof *a->thing))
      return archive_no_memory(a);
    thing t = { (thing_kind)get_byte(a), NULL, NULL };
    switch (t.kind) {
    case THING_SOURCE: read_file(a, &t); break;
    case THING_PROTO: read_proto(a, &t); break;
    case THING_STUB: read_stub(a, &t); break;
    case THING_METHOD: read_method(a, &t); break;
    case THING_LIBRARY: read_library(a, &t); break;
    case THING_NATIVE: case THING_ROW: case THING_ENGINE: read_named(a, &t); break;
    case THING_SHAPE: read_shape(a, &t); break;
    case THING_CTOR: read_ctor(a, &t); break;
    default: archive_damaged(a, "a thing of its program is of no kind");
    }
    a->thing[a->nthing++] = t;
  }
  a->in = was;
  return archive_good(a);
}

/* ---- fingerprints: what code may come to run and read ---- */

static void follow_global(norn_archive *a, uint64_t slot)
{
  bool is_new;
  archive_number(a, &a->runs, key_of(3, slot), &is_new);
  if (is_new && slot < a->st->nglobals) value_put(a, a->st->globals[slot]);
}

static void follow_literal(norn_archive *a, const proto *p, char kind, ins x)
{
  switch (kind) {
  case 'p': code_proto(a, x.p); break;
  case 'n': code_native(a, x.p); break;
  case 'w': code_row(a, x.p); break;
  case 'y': code_engine(a, x.p); break;
  case 'h': code_shape(a, x.p); break;
  case 'k': if (x.u < p->nconsts) value_put(a, p->consts[x.u]); break;
  case 'g': follow_global(a, x.u); break;
  default: break;
  }
}

bool code_follow(norn_archive *a)
{
  while (archive_good(a) && a->nfollow) {
    const proto *p = a->follow[--a->nfollow];
    for (uint32_t pc = 0; archive_good(a) && pc < p->ncode;) {
      const op_info *o = &op_table[p->code[pc].op];
      for (int i = 0; i < o->nlit; i++)
        if (o->literals[i] != 'k' || p->code[pc].op == OP_LOADK)     /* others hold symbols */
          follow_literal(a, p, o->literals[i], p->code[pc + 1 + (uint32_t)i]);
      pc += 1 + (uint32_t)o->nlit;
    }
  }
  return archive_good(a);
}
