/* env_in.h: the inside of the environment, shared by env.c, env_import.c, register.c and program.c.

   Start-up must cost nothing: registering a table of a hundred natives stores its address and puts
   the names into one hash table; entries, parameters and defaults are made at the first lookup, the
   text of a library is read at its first import. */
#ifndef NORN_LANG_ENV_IN_H
#define NORN_LANG_ENV_IN_H
#include "lang/env.h"

/* A registered table: n rows from base on. */
typedef struct env_table {
  env_kind kind;                      /* NATIVE, DIST or ENGINE */
  const char *base; size_t size; int n;
  module *mod;                        /* natives of a module; NULL: global */
} env_table;

/* A builtin name.  row: the registered row, or NULL where the entry was made at once. */
typedef struct builtin { sym name; env_kind kind; const void *row; env_entry *entry; } builtin;

/* The entry of a row by the row's address, once it was asked for. */
typedef struct row_entry { const void *row; env_entry *entry; } row_entry;

/* What a name was before this load defined it. */
typedef struct env_undo { module *mod; sym name; env_entry *was; } env_undo;

/* The text of a registered library. */
typedef struct env_library {
  module *mod; const char *text; size_t n; struct env_library *next;
} env_library;

/* The module that the fields of a row's handles are in. */
typedef struct env_fields { const norn_handle_row *row; module *mod; } env_fields;

typedef struct env {
  arena arena;                        /* modules, entries, parsed parameters */
  module *modules;                    /* all, newest first */
  module *session;
  module *host;                       /* what norn_set_global defined */
  module *visible;                    /* what norn_global sees */
  module *prelude; bool prelude_failed, prelude_ran;   /* NULL: none registered */
  env_library *libraries;
  env_table *tables; size_t ntables, ctables;
  builtin *builtins; size_t nbuiltins, builtin_mask;
  row_entry *rows; size_t nrows, row_mask;
  env_fields *fields; size_t nfields, cfields;
  const proto **protos; size_t nprotos, proto_mask;   /* a set, filled from st->protos when asked */
  const proto *protos_seen;           /* the head of st->protos then */
  env_undo *undo; size_t nundo, cundo; bool logging;
  text answer;                        /* norn_doc's text */
} env;

module    *env_module_new(norn_state *, const char *name, const char *path);  /* path may be NULL */
bool       env_put(norn_state *, module *, env_entry *);                      /* replaces */
bool       env_builtin_add(norn_state *, sym, env_kind, const void *row, env_entry *made);
env_entry *env_builtin(norn_state *, sym);                     /* makes the entry if need be */
/* The entry of a registered row; parses its parameters. */
env_entry *env_entry_of(norn_state *, env_kind, const void *row);
bool       env_open_natives(norn_state *, module *);           /* natives into its table */
/* Makes e the entry of a native that stands in no table; the row lives as long as the state. */
bool       env_native_entry(norn_state *, env_entry *e, const norn_native *row);
bool       env_load_prelude(norn_state *);                     /* true if it is there now */
bool       env_prelude_ready(norn_state *);                    /* program.c: its top level has run */
env_library *env_library_find(norn_state *, const char *name); /* NULL: there is none */
module    *env_load_library(norn_state *, env_library *, module *importer, norn_span);
bool       env_specials(norn_state *);                         /* registers sample, infer ... */
/* What the docs say: keywords and special names. */
const char *env_keyword_doc(const char *name);
const char *env_keyword_at(int i);                             /* NULL past the last */

/* A load may fail half-way: then what it defined is taken back. */
void       env_begin(norn_state *);
void       env_commit(norn_state *);
void       env_rollback(norn_state *);
void       env_settle(norn_state *);

/* field.c.  The function that is the field of that name (NULL: there is none), and the code of its method;
   NULL: error set. */
env_entry *field_entry(norn_state *, module *, sym);
proto     *method_stub(norn_state *, module *, env_entry *);
/* The module of some row whose file has this name ("<language_context>") is there now; false: no row has such. */
bool       field_module_open(norn_state *, const char *file, size_t len);
void       field_names(norn_state *, const norn_handle_row *, void (*f)(void *user, const char *name), void *user);

/* register.c: "x, lo = 0" into names and defaults.  false: malformed or no memory. */
bool       params_parse(norn_state *, const char *params, env_entry *);
#endif
