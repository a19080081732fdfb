/* env.h: what names mean.  Modules, their definitions, and the builtins of shelves above.

   A name is looked up in the module, then among its imports' own names (`stats.mean` goes through
   ENV_MODULE), then the builtins, then the prelude, which is compiled when a name is first not
   found elsewhere.  A definition in the REPL replaces the entry; functions compiled before keep the
   old one. */
#ifndef NORN_LANG_ENV_H
#define NORN_LANG_ENV_H
#include "lang/state.h"

typedef enum {
  ENV_NONE, ENV_GLOBAL, ENV_NATIVE, ENV_DIST, ENV_ENGINE, ENV_CONST, ENV_CTOR, ENV_MODULE
} env_kind;
typedef struct module module;
typedef struct env_entry {
  env_kind kind;
  sym name;
  uint32_t slot;                      /* GLOBAL: index into st->globals */
  proto *known;                       /* GLOBAL: a fn or model without captures: called directly */
  const norn_native *native;
  const norn_dist_row *row;
  const norn_engine *engine;
  val value;                          /* CONST */
  uint64_t tag;                       /* CTOR: the tag word */
  uint32_t arity;                     /* CTOR: number of fields */
  module *mod;                        /* MODULE; of what has a method, where it stands */
  proto *method;                      /* field.c: what it gives to handles, once one was asked for it */
  const char *params, *doc;           /* "x, lo = 0"; docstring; may be NULL */
  /* parsed parameters of natives, rows and engines: names, and defaults (NONE: required) */
  const sym *pnames;
  const val *pdefaults;
  int npars;
  bool variadic;
  uint8_t effect;                     /* EFFECT_*: what calling it may do */
  uint32_t calls;                     /* GLOBAL: bit k: it calls its parameter k */
  norn_span span;                     /* where defined */
  bool used;
} env_entry;
enum {
  EFFECT_NONE = 0,
  EFFECT_ARG = 1,                     /* only if a function passed to it has effects */
  EFFECT_ANY = 2
};

struct module {
  sym name;
  char *path;
  uint32_t file;
  env_entry **table;                  /* open addressing by sym */
  size_t mask, n;
  proto *init;                        /* its top level; runs at the first import that runs */
  bool stdlib, loading, loaded;
  module *importer;                   /* while loading: for the chain of a cycle */
  module *next;
};

bool       env_init(norn_state *);
void       env_free(norn_state *);
/* NULL: unknown.  Loads the prelude if need be. */
env_entry *env_lookup(norn_state *, module *, sym);
env_entry *env_lookup_in(norn_state *, module *, sym);   /* only what the module itself defines */
/* A new entry, which replaces; GLOBAL gets a slot (value NONE).  NULL: no memory. */
env_entry *env_define(norn_state *, module *, sym, env_kind, norn_span);
module    *env_session(norn_state *);                    /* of the REPL and of norn_global */
/* A fresh module for a script; becomes the one that norn_global sees. */
module    *env_main(norn_state *, uint32_t file);
/* `import name` / `import "file.norn"`: finds, parses and compiles; NULL: a diagnostic was added at
   span (unreadable file, cycle with its chain, errors inside). */
module    *env_import(norn_state *, module *importer, const char *name, bool is_file, norn_span);
/* A copy that lives as long as the state; NULL: no memory. */
const char *env_keep_text(norn_state *, const char *);
const char *env_slot_name(norn_state *, uint32_t slot);  /* of a module's global; NULL: unnamed */
uint32_t   env_slot(norn_state *, val first);   /* a new unnamed global; UINT32_MAX: no memory */
bool       env_is_library(norn_state *, const char *name);    /* a module that comes with Norn, to import */
const char *env_nearest(norn_state *, module *, const char *name);   /* for hints; NULL */
/* Declares a type; UINT32_MAX: no memory. */
uint32_t   env_type(norn_state *, sym name, int n, const sym *ctors, const uint32_t *arity,
                    sym *const *fields, uint64_t *tags);
const ctor *env_ctor(norn_state *, uint32_t id);         /* NULL: unknown */
/* sample, factor, condition, infer, mem, logpdf: names that the compiler turns into instructions.
   Their entries are ENV_NATIVE without a function. */
bool       env_is_special(norn_state *, sym);
/* For the verifier: is this address a function of the state?  The entry of a row, or NULL. */
bool       env_knows_proto(norn_state *, const proto *);
env_entry *env_of_native(norn_state *, const norn_native *);
env_entry *env_of_row(norn_state *, const norn_dist_row *);
env_entry *env_of_engine(norn_state *, const norn_engine *);

/* annot.c: an annotation (AST_TYPE_*) as the value that CHECKT checks by; false: diagnostics were
   added. */
struct ast;
bool       annot_describe(norn_state *, module *, const struct ast *type, val *out);
bool       annot_valid(norn_state *, val description);   /* is it one?  for the verifier */
/* exhaust.c: warns about a match that leaves values out, and about arms that nothing reaches. */
void       exhaust_check(norn_state *, module *, const struct ast *match);

#define NORN_LOAD_IMPORT 0x100       /* a module: its top level runs once, guarded by a global */
/* comp.c: the module's top level into a proto.  Diagnostics go to st->diags. */
proto *compile_module(norn_state *, module *, uint32_t file, unsigned flags, bool *incomplete);
#endif
