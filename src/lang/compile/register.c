/* register.c: what shelves above the language and embedders add to a state: natives, libraries,
   constants, distributions and engines, and the values made from them.

   A table is stored by address and must outlive the state; see env_in.h for what happens later. */
#include "base/number.h"
#include "lang/symbolic/delayed.h"
#include "lang/env_in.h"
#include "lang/lanes/lanes.h"
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- parameters: "x, lo = 0, name = \"n\", more..." ---- */

typedef struct params { norn_state *st; const char *s; } params;

static void skip_space(params *p)
{
  while (*p->s == ' ' || *p->s == '\n' || *p->s == '\t') p->s++;
}

static bool word_char(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         (c & 0x80);
}

static size_t word_length(const char *s)
{
  size_t n = 0;
  while (word_char(s[n])) n++;
  return n;
}

/* Heap objects among the defaults are static: in the arena, never collected nor moved. */
static bool default_string(params *p, const char *s, size_t n, val *out)
{
  env *e = p->st->env;
  str *made = str_new(p->st, s, n);
  if (!made) return false;
  str *kept = arena_get(&e->arena, sizeof *kept + n + 1);
  if (!kept) return false;
  memcpy(kept, made, sizeof *kept + n + 1);
  kept->h.flags = OBJ_STATIC | OBJ_OLD;
  *out = v_obj(NORN_STR, kept);
  return true;
}

static bool default_empty(params *p, val *out)
{
  env *e = p->st->env;
  vec *v = arena_get(&e->arena, sizeof *v + sizeof v->dims[0]);
  if (!v) return false;
  v->h.flags = OBJ_STATIC | OBJ_OLD;
  obj_init(v, NORN_ARRAY, 1, 0);
  *out = v_obj(NORN_ARRAY, v);
  return true;
}

static bool parse_quoted(params *p, val *out)
{
  text t;
  p->s++;
  text_init(&t, &p->st->mem);
  for (; *p->s && *p->s != '"'; p->s++) {
    if (*p->s == '\\' && p->s[1]) {
      p->s++;
      text_putc(&t, *p->s == 'n' ? '\n' : *p->s == 't' ? '\t' : *p->s);
    } else {
      text_putc(&t, *p->s);
    }
  }
  bool ok = *p->s == '"' && !t.failed && default_string(p, t.n ? t.s : "", t.n, out);
  if (*p->s == '"') p->s++;
  text_free(&t);
  return ok;
}

static bool parse_number(params *p, val *out)
{
  char *end_int, *end_real;
  errno = 0;
  long long i = strtoll(p->s, &end_int, 10);
  bool fits = errno == 0;
  double d = number_first(p->s, &end_real);
  if (end_real == p->s) return false;
  /* "1..." must not read as 1. followed by .. */
  *out = end_int == end_real && fits ? norn_int(i) : norn_real(d);
  p->s = end_real;
  return true;
}

static bool parse_word(params *p, val *out)
{
  static const struct {
    const char *name;
    int kind;
  } words[] = {{"true", 0}, {"false", 1}, {"missing", 2}, {"inf", 3}, {"nan", 4}};
  size_t n = word_length(p->s);
  for (int i = 0; i < NORN_COUNT(words); i++) {
    if (strlen(words[i].name) != n || memcmp(words[i].name, p->s, n)) continue;
    const val values[] = {norn_bool(true), norn_bool(false), norn_missing(), norn_real(INFINITY),
                          norn_real(NAN)};
    *out = values[words[i].kind];
    p->s += n;
    return true;
  }
  return false;
}

static bool parse_default(params *p, val *out)
{
  skip_space(p);
  if (*p->s == '"') return parse_quoted(p, out);
  if (!strncmp(p->s, "()", 2)) { p->s += 2; *out = norn_unit(); return true; }
  if (!strncmp(p->s, "[]", 2)) { p->s += 2; return default_empty(p, out); }
  if (parse_word(p, out)) return true;
  return parse_number(p, out);
}

static int params_count(const char *s)
{
  int n = 0;
  bool quoted = false, any = false;
  for (; *s; s++) {
    if (*s == '\\' && quoted && s[1]) { s++; continue; }
    if (*s == '"') quoted = !quoted;
    if (*s == ',' && !quoted) n++;
    any |= *s != ' ';
  }
  return any ? n + 1 : 0;
}

static bool parse_one(params *p, sym *name, val *fallback, bool *variadic)
{
  skip_space(p);
  size_t n = word_length(p->s);
  if (!n) return false;
  *name = sym_intern(p->st, p->s, n);
  p->s += n;
  if (!strncmp(p->s, "...", 3)) p->s += 3, *variadic = true;
  skip_space(p);
  *fallback = norn_none();
  if (*p->s == '=') {
    p->s++;
    if (!parse_default(p, fallback)) return false;
  }
  skip_space(p);
  return *name && (*p->s == ',' || !*p->s);
}

static bool options_parse(norn_state *st, const norn_engine *engine, sym *names, val *defaults)
{
  for (int i = 0; i < engine->noptions; i++) {
    const norn_option *o = &engine->options[i];
    params p = {st, o->fallback ? o->fallback : ""};
    names[i] = sym_intern(st, o->name, strlen(o->name));
    defaults[i] = norn_none();
    if (!names[i] || (o->fallback && !parse_default(&p, &defaults[i]))) return false;
  }
  return true;
}

bool params_parse(norn_state *st, const char *s, env_entry *e)
{
  arena *a = &st->env->arena;
  int n = e->kind == ENV_ENGINE ? e->engine->noptions : s ? params_count(s) : 0;
  sym *names = arena_get(a, ((size_t)n + 1) * sizeof *names);
  val *defaults = arena_get(a, ((size_t)n + 1) * sizeof *defaults);
  if (!names || !defaults) return false;
  e->pnames = names, e->pdefaults = defaults, e->npars = n;
  if (e->kind == ENV_ENGINE) return options_parse(st, e->engine, names, defaults);
  params p = {st, s};
  for (int i = 0; i < n; i++) {
    if (!parse_one(&p, &names[i], &defaults[i], &e->variadic)) return false;
    if (*p.s == ',') p.s++;
  }
  return true;
}

/* ---- tables ---- */

static norn_status no_memory(norn_state *st)
{
  return norn_fail(st, NORN_EMEMORY, -1, "out of memory");
}

static const char *name_at(env_kind kind, const char *row)
{
  if (kind == ENV_NATIVE) return ((const norn_native *)row)->name;
  if (kind == ENV_DIST) return ((const norn_dist_row *)row)->name;
  return ((const norn_engine *)row)->name;
}

static norn_status add_table(norn_state *st, env_kind kind, const void *base, size_t size, int n,
                             module *mod)
{
  env *e = st->env;
  if (n < 0 || (n && !base)) return norn_fail(st, NORN_EUSE, -1, "no table");
  if (!mem_grow(&st->mem, &e->tables, &e->ctables, e->ntables + 1, sizeof *e->tables))
    return no_memory(st);
  e->tables[e->ntables++] = (env_table){kind, base, size, n, mod};
  for (int i = 0; i < n && !mod; i++) {
    const char *row = (const char *)base + size * (size_t)i, *name = name_at(kind, row);
    if (!name || !*name) return norn_fail(st, NORN_EUSE, -1, "row %d has no name", i);
    if (!env_builtin_add(st, sym_intern(st, name, strlen(name)), kind, row, NULL))
      return no_memory(st);
  }
  return NORN_OK;
}

/* The registered module of that name, made if need be. */
static env_library *library_named(norn_state *st, const char *name)
{
  env *e = st->env;
  for (env_library *l = e->libraries; l; l = l->next)
    if (!strcmp(sym_name(st, l->mod->name), name)) return l;
  env_library *l = arena_get(&e->arena, sizeof *l);
  if (!l || !(l->mod = env_module_new(st, name, name))) return NULL;
  l->mod->stdlib = true;
  l->next = e->libraries;
  return e->libraries = l;
}

norn_status norn_add_natives(norn_state *st, const char *name, const norn_native *table, int n)
{
  env_library *l = name ? library_named(st, name) : NULL;
  if (name && !l) return no_memory(st);
  return add_table(st, ENV_NATIVE, table, sizeof *table, n, l ? l->mod : NULL);
}

norn_status norn_add_dists(norn_state *st, const norn_dist_row *table, int n)
{
  for (int i = 0; i < n; i++)                     /* the VM's short ways for numbers ask nobody */
    if (table[i].ready && table[i].flags & NORN_DIST_SCALAR)
      return norn_fail(st, NORN_EUSE, -1, "%s is a scalar family, which can't have `ready`", table[i].name);
  return add_table(st, ENV_DIST, table, sizeof *table, n, NULL);
}

/* Rows of version 1 end before `archive`, and nothing reads it in them. */
norn_status norn_add_engines(norn_state *st, const norn_engine *table, int n)
{
  uint32_t version = n > 0 ? table->version : NORN_ENGINE_VERSION;
  size_t size = version == 1 ? offsetof(norn_engine, archive) : sizeof *table;
  for (int i = 0; i < n; i++) {
    const norn_engine *e = (const norn_engine *)(const void *)((const char *)table + size * (size_t)i);
    if (e->version != version || version < 1 || version > NORN_ENGINE_VERSION)
      return norn_fail(st, NORN_EUSE, -1,
                       "engine %s is made for version %u of the engine table, this is version %d",
                       e->name ? e->name : "?", e->version, NORN_ENGINE_VERSION);
  }
  return add_table(st, ENV_ENGINE, table, size, n, NULL);
}

norn_status norn_add_library(norn_state *st, const char *name, const unsigned char *text_, size_t n)
{
  env *e = st->env;
  env_library *l = library_named(st, name);
  if (!l) return no_memory(st);
  l->text = (const char *)text_;
  l->n = n;
  if (!strcmp(name, "prelude")) e->prelude = l->mod;
  return NORN_OK;
}

/* A constant in the heap is a global of the host, so that the collector sees it. */
norn_status norn_add_constant(norn_state *st, const char *name, norn_datum value, const char *doc)
{
  env *e = st->env;
  sym s = sym_intern(st, name, strlen(name));
  env_entry *c = s ? arena_get(&e->arena, sizeof *c) : NULL;
  if (!c) return no_memory(st);
  *c = (env_entry){.kind = ENV_CONST, .name = s, .value = value, .doc = doc};
  if (V_IS_HEAP(value)) {
    c->kind = ENV_GLOBAL;
    if ((c->slot = env_slot(st, value)) == UINT32_MAX) return no_memory(st);
  }
  return env_builtin_add(st, s, c->kind, NULL, c) ? NORN_OK : no_memory(st);
}

const norn_engine *norn_engine_at(norn_state *st, int i)
{
  env *e = st->env;
  for (size_t k = 0; k < e->ntables; k++) {
    const env_table *t = &e->tables[k];
    if (t->kind != ENV_ENGINE) continue;
    if (i >= 0 && i < t->n) return (const norn_engine *)(const void *)t->base + i;
    i -= t->n;
  }
  return NULL;
}

/* ---- values of rows ---- */

/* Arguments that are not given take their default. */
static val tab_new(norn_state *st, unsigned kind, const void *row, const env_entry *e,
                   const val *args, int n, int total)
{
  if (total > UINT16_MAX * 16) return state_fail(st, NORN_EUSE, "too many arguments");
  tab *t = heap_alloc(st, sizeof *t + (size_t)total * sizeof t->a[0]);
  if (!t) return norn_none();
  obj_init(t, kind, 0, (uint32_t)total);
  t->row = row;
  for (int i = 0; i < total; i++) {
    t->a[i] = i < n ? args[i] : norn_none();
    if (t->a[i].tag == NORN_NONE && e && i < e->npars) t->a[i] = e->pdefaults[i];
    if (t->a[i].tag == NORN_NONE && e)
      return state_fail(st, NORN_EUSE, "%s is missing",
                        i < e->npars ? sym_name(st, e->pnames[i]) : "an argument");
  }
  return v_obj(kind, t);
}

norn_datum norn_dist_new(norn_state *st, const norn_dist_row *row, const norn_datum *args, int n)
{
  env_entry *e = env_of_row(st, row); /* NULL: a row of the caller's own, which nobody registered */
  if (!e && st->home) return state_at_home(st);
  if (e && n > e->npars && !e->variadic)
    return state_fail(st, NORN_EUSE, "%s takes %d arguments, got %d", row->name, e->npars, n);
  val v = tab_new(st, NORN_DIST, row, e, args, n, e && n < e->npars ? e->npars : n);
  if (v.tag == NORN_NONE) return v;
  norn_dist d;
  norn_dist_view(v, &d);
  if (NORN_UNLIKELY(row->ready != NULL)) st->gets_ready = true;
  if (st->lanes && lanes_inside(v)) return lanes_dist(st, &d) ? v : norn_none();
  if (NORN_UNLIKELY(st->current && st->current->delay) && delayed_args(st->current, &d) && delayed_dist(st, &d))
    return v;                                  /* checked where it is met */
  return norn_dist_check(st, &d) == NORN_OK ? v : norn_none();
}

bool norn_dist_view(norn_datum v, norn_dist *d)
{
  if (v.tag != NORN_DIST) return false;
  const tab *t = v.q;
  *d = (norn_dist){t->row, t->a, (int)t->h.n};
  return true;
}

norn_datum norn_engine_new(norn_state *st, const norn_engine *engine, const norn_datum *options,
                           int n)
{
  env_entry *e = env_entry_of(st, ENV_ENGINE, engine);
  if (!e && st->home) return state_at_home(st);
  /* one that is registered gets its entry here, at first use */
  for (int i = 0; !e && norn_engine_at(st, i); i++)
    if (norn_engine_at(st, i) == engine) return state_fail(st, NORN_EMEMORY, "out of memory");
  if (!e) return state_fail(st, NORN_EUSE, "engine %s is not registered", engine->name);
  if (n > e->npars)
    return state_fail(st, NORN_EUSE, "%s takes %d options, got %d", engine->name, e->npars, n);
  return tab_new(st, NORN_ENGINE, engine, e, options, n, e->npars);
}

const norn_engine *norn_engine_view(norn_datum v, const norn_datum **options)
{
  if (v.tag != NORN_ENGINE) return NULL;
  const tab *t = v.q;
  if (options) *options = t->a;
  return t->row;
}
