/* program.c: from a text to a run, and what a host asks about programs: globals, bytecode,
   diagnostics. */
#include "lang/env_in.h"
#include "lang/run.h"
#include <string.h>

/* ---- loading ---- */

static void diags_clear(norn_state *st)
{
  diags_free(&st->diags);
  diags_init(&st->diags, &st->mem);
}

/* The state's error is the first error found. */
static void error_from_diags(norn_state *st)
{
  for (size_t i = 0; i < st->diags.n; i++) {
    if (st->diags.v[i].warning) continue;
    st->err = st->diags.v[i].e;
    if (st->err.code == NORN_OK) st->err.code = NORN_ESYNTAX;
    return;
  }
  if (st->err.code == NORN_OK)
    norn_fail(st, st->diags.failed ? NORN_EMEMORY : NORN_ESYNTAX, -1,
              st->diags.failed ? "out of memory" : "the text is not a program");
}

/* The prelude's own top level runs once, as soon as a program needs the prelude. */
bool env_prelude_ready(norn_state *st)
{
  env *e = st->env;
  norn_datum ignored;
  if (!e->prelude || !e->prelude->loaded || e->prelude_ran || !e->prelude->init) return true;
  e->prelude_ran = true;
  return norn_call(st, v_obj(NORN_FUN, e->prelude->init->self), NULL, 0, &ignored) == NORN_OK;
}

static proto *load_proto(norn_state *st, module *m, uint32_t file, unsigned flags, bool *incomplete)
{
  uint64_t refused = st->mem.refused;
  m->loading = true;
  proto *p = compile_module(st, m, file, flags, incomplete);
  m->loading = false;
  diags_settle(&st->diags);
  if (p && st->diags.errors == 0 && !st->diags.failed) return p;
  if (st->mem.refused > refused) {                          /* what else was found may come from that */
    diags_clear(st);
    st->diags.failed = true;
    *incomplete = false;
    state_memory(st);
  } else if (*incomplete) norn_fail(st, NORN_EINCOMPLETE, -1, "the text ends before the statement does");
  else error_from_diags(st);
  return NULL;
}

/* A program that ran out of memory leaves its heap behind: the compiler, which does not collect, would
   find none. */
static void make_room(norn_state *st)
{
  size_t most = st->cfg.max_memory;
  if (most && !st->current && norn_memory_used(st) > most - most / 4) heap_collect_full(st);
}

norn_run *norn_load(norn_state *st, const char *name, const char *s, size_t n, unsigned flags)
{
  env *e = st->env;
  module *before = e->visible;
  bool incomplete = false;
  diags_clear(st);
  norn_clear(st);
  norn_limits_start(st);
  make_room(st);
  if (flags & NORN_LOAD_REPL) env_settle(st);
  e->prelude_failed = false;
  uint32_t file = sources_add(&st->sources, name, s, n);
  module *m = !file ? NULL : flags & NORN_LOAD_REPL ? env_session(st) : env_main(st, file);
  if (m) e->visible = m;
  if (!m) {
    state_memory(st);
    return NULL;
  }
  st->last_load = st->protos;
  m->file = file;
  st->checking = (flags & NORN_LOAD_CHECK) != 0;
  env_begin(st);
  proto *p = load_proto(st, m, file, flags, &incomplete);
  if (p && !(flags & NORN_LOAD_CHECK) && !env_prelude_ready(st)) p = NULL;
  if (p) env_commit(st);
  else env_rollback(st);
  if (!p) e->visible = before;
  if (!p || flags & NORN_LOAD_CHECK) return NULL;
  m->loaded = true;
  norn_run *r = norn_run_new(st, v_obj(NORN_FUN, p->self), NULL, 0);
  if (r) {                                                  /* each load draws numbers of its own */
    r->top = true;
    norn_run_stream(r, st->top_stream, 0, st->top_iter++);
  }
  return r;
}

int norn_diag_count(norn_state *st)
{
  return (int)st->diags.n;
}

const norn_err *norn_diag_at(norn_state *st, int i, bool *is_warning)
{
  if (i < 0 || (size_t)i >= st->diags.n) return NULL;
  if (is_warning) *is_warning = st->diags.v[i].warning;
  return &st->diags.v[i].e;
}

/* ---- globals ---- */

static env_entry *global_named(norn_state *st, const char *name)
{
  env *e = st->env;
  sym s = sym_intern(st, name, strlen(name));
  env_entry *found = s ? env_lookup_in(st, e->visible, s) : NULL;
  if (s && !found) found = env_lookup_in(st, e->host, s);
  if (s && !found && env_load_prelude(st) && env_prelude_ready(st)) found = env_lookup_in(st, e->prelude, s);
  return found;
}

norn_datum norn_global(norn_state *st, const char *name)
{
  env_entry *e = global_named(st, name);
  if (!e) return norn_none();
  if (e->kind == ENV_CTOR && !e->arity) return v_enum((uint32_t)(e->tag >> 32));
  if (e->kind == ENV_NATIVE && e->native) return v_obj(NORN_NATIVE, e->native);
  if (e->kind != ENV_GLOBAL) return norn_none();
  val v = st->globals[e->slot];
  if (v.tag == NORN_NONE && e->known && e->known->self) v = v_obj(NORN_FUN, e->known->self);
  return v;
}

/* Host data: every program sees it unless it defines the name itself. */
norn_status norn_set_global(norn_state *st, const char *name, norn_datum value)
{
  env *env_ = st->env;
  sym s = sym_intern(st, name, strlen(name));
  env_entry *e = s ? env_lookup_in(st, env_->host, s) : NULL;
  if (s && !e) e = env_define(st, env_->host, s, ENV_GLOBAL, (norn_span){0});
  if (!e) {
    state_memory(st);
    return NORN_EMEMORY;
  }
  st->globals[e->slot] = value;
  e = env_lookup_in(st, env_->visible, s);
  if (e && e->kind == ENV_GLOBAL) { /* a new entry: functions compiled before keep the old one */
    e = env_define(st, env_->visible, s, ENV_GLOBAL, (norn_span){0});
    if (!e) return norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    st->globals[e->slot] = value;
  }
  return NORN_OK;
}

/* ---- bytecode ---- */

static void show_nested(norn_state *st, text *t, const proto *p, int depth)
{
  code_disassemble(st, t, p);
  if (depth > 20) return;
  for (uint32_t pc = 0; pc < p->ncode; pc += 1 + (uint32_t)op_table[p->code[pc].op].nlit)
    if (p->code[pc].op == OP_CLOSURE) {
      text_putc(t, '\n');
      show_nested(st, t, p->code[pc + 1].p, depth + 1);
    }
}

/* What the last load compiled, in the order of the source: protos are chained newest first. */
static bool show_load(norn_state *st, text *t)
{
  size_t n = 0, cap = 0;
  const proto **v = NULL;
  for (const proto *p = st->protos; p && p != st->last_load; p = p->next) {
    if (p->stdlib) continue;
    if (!mem_grow(&st->mem, &v, &cap, n + 1, sizeof *v)) break;
    v[n++] = p;
  }
  for (size_t i = n; i-- > 0;) {
    if (i + 1 < n) text_putc(t, '\n');
    code_disassemble(st, t, v[i]);
  }
  mem_put(&st->mem, v, cap * sizeof *v);
  return n > 0;
}

static norn_status show_named(norn_state *st, text *t, const char *name)
{
  sym s = sym_intern(st, name, strlen(name));
  env_entry *e = s ? env_lookup(st, st->env->visible, s) : NULL;
  if (!e) return norn_fail(st, NORN_EUSE, -1, "%s is not defined", name);
  const proto *p = e->kind == ENV_GLOBAL ? e->known : NULL;
  if (!p && e->kind == ENV_GLOBAL && st->globals[e->slot].tag == NORN_FUN)
    p = v_clo(st->globals[e->slot])->p;
  if (!p) return norn_fail(st, NORN_EUSE, -1, "%s is not a function written in Norn", name);
  show_nested(st, t, p, 0);
  return NORN_OK;
}

norn_status norn_disassemble(norn_state *st, const char *name)
{
  text t;
  norn_status s = NORN_OK;
  text_init(&t, &st->mem);
  if (name) s = show_named(st, &t, name);
  else if (!show_load(st, &t)) text_puts(&t, "nothing was compiled\n");
  if (s == NORN_OK && t.failed) s = norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  if (s == NORN_OK) norn_output(st, t.s, t.n);
  text_free(&t);
  return s;
}
