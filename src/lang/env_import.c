/* env_import.c: `import`: finding, reading and compiling modules, and the prelude.

   A module is searched in this order: the host's loader hook, the registered libraries (not for
   `import "file"`), then files: beside the importing file, then in the folders of $NORN_PATH.  A
   file is one module however it is named.  While a module is being compiled it is `loading`;
   meeting it again is a cycle. */
#include "lang/env_in.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- cycles ---- */

static const char *shown_name(norn_state *st, const module *m)
{
  return m->path ? m->path : sym_name(st, m->name);
}

/* The chain from `again` down to `last`, which imports it: a.norn -> b.norn -> */
static void put_chain(norn_state *st, text *t, const module *last, const module *again)
{
  if (last && last != again) put_chain(st, t, last->importer, again);
  if (last) text_printf(t, "%s -> ", shown_name(st, last));
}

static module *refuse_cycle(norn_state *st, module *importer, module *again, norn_span span)
{
  text t;
  text_init(&t, &st->mem);
  put_chain(st, &t, importer, again);
  text_puts(&t, shown_name(st, again));
  diag *d = diags_add(&st->diags, false, span, "modules import each other in a circle: %s",
                      t.failed ? "?" : t.s);
  if (d) error_hint(&d->e, "move what both need into a third module");
  text_free(&t);
  return NULL;
}

/* ---- compiling ---- */

/* A module that did not compile is forgotten, so that a mended file can be imported in the REPL; a
   registered one stays in the list and starts anew. */
static void forget(norn_state *st, module *m)
{
  env *e = st->env;
  module **at = &e->modules;
  while (*at && *at != m) at = &(*at)->next;
  if (*at && !m->stdlib) *at = m->next;
  mem_put(&st->mem, m->table, m->table ? (m->mask + 1) * sizeof *m->table : 0);
  m->table = NULL, m->n = 0;
}

static bool compile_text(norn_state *st, module *m, module *importer, const char *name,
                         const char *s, size_t n)
{
  bool incomplete = false;
  int before = st->diags.errors;         /* a module is well or not whatever its importer is */
  env *e = st->env;
  m->file = sources_add(&st->sources, name, s, n);
  if (!m->file) {
    diags_add(&st->diags, false, (norn_span){0}, "out of memory");
    return false;
  }
  bool logging = e->logging;             /* taking back a load keeps the modules that it imported */
  e->logging = false;
  m->loading = true;
  m->importer = importer;
  st->diags.errors = 0;
  m->init = compile_module(st, m, m->file, NORN_LOAD_IMPORT, &incomplete);
  m->loading = false;
  m->importer = NULL;
  e->logging = logging;
  m->loaded = m->init && st->diags.errors == 0;
  st->diags.errors += before;
  return m->loaded;
}

/* ---- registered libraries ---- */

module *env_load_library(norn_state *st, env_library *l, module *importer, norn_span span)
{
  module *m = l->mod;
  char name[128];
  if (m->loaded) return m;
  if (m->loading) return refuse_cycle(st, importer, m, span);
  if (!env_open_natives(st, m)) return NULL;
  if (!l->text) {
    m->loaded = true;
    return m;
  }
  snprintf(name, sizeof name, "<%s>", sym_name(st, m->name));
  if (compile_text(st, m, importer, name, l->text, l->n)) return m;
  forget(st, m);
  return NULL;
}

env_library *env_library_find(norn_state *st, const char *name)
{
  for (env_library *l = st->env->libraries; l; l = l->next)
    if (!strcmp(sym_name(st, l->mod->name), name)) return l;
  return NULL;
}

bool env_load_prelude(norn_state *st)
{
  env *e = st->env;
  if (!e->prelude) return false;
  if (e->prelude->loaded) return true;
  if (e->prelude->loading || e->prelude_failed) return e->prelude->loading;
  env_library *l = env_library_find(st, "prelude");
  e->prelude_failed = !l || !env_load_library(st, l, NULL, (norn_span){0});
  return !e->prelude_failed;
}

/* ---- files ---- */

static size_t folder_length(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool has_ending(const char *name)
{
  size_t n = strlen(name);
  return n >= 5 && !strcmp(name + n - 5, ".norn");
}

/* folder/name[.norn] into t; folder may lack its slash. */
static const char *join_path(text *t, const char *folder, size_t n, const char *name, bool is_file)
{
  t->n = 0;
  if (name[0] != '/' && n) {
    text_put(t, folder, n);
    if (folder[n - 1] != '/') text_putc(t, '/');
  }
  text_puts(t, name);
  if (!is_file && !has_ending(name)) text_puts(t, ".norn");
  return t->failed ? NULL : t->s;
}

/* The text of the first file there is; its path stays in t.  NULL: *why says what the first try
 * met. */
static char *read_first(norn_state *st, text *t, norn_span span, const char *name, bool is_file,
                        size_t *n, const char **why)
{
  const source *from = sources_get(&st->sources, span.file);
  const char *folder = from ? from->name : "", *more = getenv("NORN_PATH"), *later;
  const char *path = join_path(t, folder, folder_length(folder), name, is_file);
  char *s = path ? file_read(&st->mem, path, n, why) : NULL;
  while (!s && path && more && *more && name[0] != '/') {
    const char *end = strchr(more, ':');
    size_t k = end ? (size_t)(end - more) : strlen(more);
    path = join_path(t, more, k, name, is_file);
    if (path) s = file_read(&st->mem, path, n, &later);
    more = end ? end + 1 : NULL;
  }
  if (!path) *why = "out of memory";
  return s;
}

/* The newest module of that path, or of the same file by another path.
   A hook's names are no files. */
static module *module_at(norn_state *st, const char *path)
{
  char want[PATH_MAX], have[PATH_MAX];
  bool file = realpath(path, want) != NULL;
  for (module *m = st->env->modules; m; m = m->next) {
    if (!m->path || m->stdlib || (!m->loading && !m->loaded)) continue;
    if (!strcmp(m->path, path)) return m;
    if (file && realpath(m->path, have) && !strcmp(want, have)) return m;
  }
  return NULL;
}

bool env_is_library(norn_state *st, const char *name)
{
  for (env_library *l = st->env->libraries; l; l = l->next)
    if (name[0] != '_' && !strcmp(sym_name(st, l->mod->name), name)) return true;
  return false;
}

static module *unreadable(norn_state *st, const char *name, bool is_file, const char *why,
                          norn_span span)
{
  env *e = st->env;
  if (is_file) {
    diags_add(&st->diags, false, span, "cannot read module \"%s\": %s", name, why);
    return NULL;
  }
  nearest near;
  nearest_init(&near, name);
  for (env_library *l = e->libraries; l; l = l->next)
    nearest_try(&near, sym_name(st, l->mod->name));
  diag *d =
      diags_add(&st->diags, false, span, "there is no module %s, and %s.norn: %s", name, name, why);
  if (d && nearest_found(&near)) error_hint(&d->e, "did you mean %s?", nearest_found(&near));
  return NULL;
}

static bool same_text(norn_state *st, const module *m, const char *s, size_t n)
{
  const source *f = sources_get(&st->sources, m->file);
  return f && f->n == n && !memcmp(f->text, s, n);
}

/* Compiles a text as the module of that path, unless it is there or on its way. */
static module *module_of_text(norn_state *st, module *importer, const char *name, const char *path,
                              const char *s, size_t n, norn_span span)
{
  module *m = module_at(st, path);
  if (m && m->loading) return refuse_cycle(st, importer, m, span);
  if (m && same_text(st, m, s, n)) return m;
  m = env_module_new(st, name, path);      /* new, or its text changed since: a session goes on */
  if (!m) {
    diags_add(&st->diags, false, span, "out of memory");
    return NULL;
  }
  if (compile_text(st, m, importer, path, s, n)) return m;
  forget(st, m);
  return NULL;
}

static module *import_file(norn_state *st, module *importer, const char *name, bool is_file,
                           norn_span span)
{
  const char *why = "No such file or directory";
  size_t n = 0;
  text path;
  text_init(&path, &st->mem);
  char *s = read_first(st, &path, span, name, is_file, &n, &why);
  module *m = s ? module_of_text(st, importer, name, path.s, s, n, span)
                : unreadable(st, name, is_file, why, span);
  mem_put(&st->mem, s, s ? n + 1 : 0);
  text_free(&path);
  return m;
}

module *env_import(norn_state *st, module *importer, const char *name, bool is_file, norn_span span)
{
  if (st->cfg.load) {
    size_t n = 0;
    const char *from = importer && importer->path ? importer->path : "";
    char *s = st->cfg.load(st->cfg.load_user, name, from, &n);
    if (s) {
      module *m = module_of_text(st, importer, name, name, s, n, span);
      free(s);
      return m;
    }
  }
  env_library *l = is_file ? NULL : env_library_find(st, name);
  if (l && l->mod != st->env->prelude) return env_load_library(st, l, importer, span);
  return import_file(st, importer, name, is_file, span);
}
