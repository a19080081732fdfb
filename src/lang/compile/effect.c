/* effect.c: which functions may sample, observe, infer or make a mem: whose calls need an address.

   An effect is either "any" or the set of parameters that are called: map(xs, f) has the effects of
   what is given for f.  A call puts its arguments in place of the callee's own parameters; those of
   functions further out stay in the set.  The effects of all functions of a module are a least fixed
   point.  What is called through a value that is not known here may do anything. */
#include "lang/compile/comp.h"
#include <string.h>

#define CALLS_MAX 32          /* parameters of a global function that its entry can name */

static void effects_of(comp *c, const ast *e, effects *out);
static void of_value(comp *c, const ast *e, effects *out);

static void join_param(effects *to, const binding *p)
{
  for (int i = 0; i < to->n; i++) if (to->v[i] == p) return;
  if (to->n == EFFECTS_PARAMS) to->any = true;
  else to->v[to->n++] = p;
}

/* The place of a parameter in a function; -1: it is another's. */
static int param_index(const ast_fn *fn, const binding *p)
{
  for (uint32_t i = 0; fn && i < fn->nparams; i++) if (fn->params[i].bind == p) return (int)i;
  return -1;
}

/* The argument for parameter k; NULL: the default, whose effects are the callee's. */
static const ast *argument(const ast *call, int k, const char *name)
{
  for (uint32_t i = 0; i < call->u.call.n; i++) {
    const ast_arg *a = call->u.call.v + i;
    if (a->name.s ? name && !strcmp(a->name.s, name) : (int)i == k) return a->value;
  }
  return NULL;
}

/* A call of a function of this module. */
static void apply(comp *c, const fn_info *f, const ast *call, effects *out)
{
  out->any |= f->effects.any;
  for (int i = 0; i < f->effects.n; i++) {
    const binding *p = f->effects.v[i];
    int k = param_index(f->ast, p);
    if (k < 0) join_param(out, p);
    else of_value(c, argument(call, k, p->name), out);
  }
}

/* A call of a global function, perhaps of another module. */
static void apply_entry(comp *c, const env_entry *e, const ast *call, effects *out)
{
  if (e->effect == EFFECT_ANY) out->any = true;
  for (int k = 0; k < CALLS_MAX && k < e->known->nargs; k++)
    if (e->calls >> k & 1)
      of_value(c, argument(call, k, sym_name(c->st, e->known->params[k])), out);
}

static bool special_effect(comp *c, const ast *f)
{
  return is_special(c, f, "sample") || is_special(c, f, "factor") ||
         is_special(c, f, "condition") || is_special(c, f, "twist") ||
         is_special(c, f, "infer") || is_special(c, f, "mem");
}

/* ---- what calling a value may do, by somebody who gives it any arguments ---- */

static void of_function(const fn_info *f, effects *out)
{
  if (f->is_model) return;
  out->any |= f->effects.any;
  for (int i = 0; i < f->effects.n; i++) {
    if (param_index(f->ast, f->effects.v[i]) >= 0) out->any = true;
    else join_param(out, f->effects.v[i]);
  }
}

static void of_name(comp *c, const ast *e, effects *out)
{
  const binding *b = e->bind;
  if (!b) return;
  if (b->kind == BIND_FN) of_function(b->fn, out);
  else if (b->kind == BIND_PARAM) join_param(out, b);
  else if (b->kind == BIND_LOCAL) { if (b->init) of_value(c, b->init, out); else out->any = true; }
  else if (b->entry->kind == ENV_GLOBAL && !b->entry->known) out->any = true;
  else if (b->entry->kind == ENV_GLOBAL)
    out->any |= !b->entry->known->is_model && b->entry->effect != EFFECT_NONE;
  else out->any |= special_effect(c, e);
}

static void of_value(comp *c, const ast *e, effects *out)
{
  if (!e || out->any) return;
  switch (e->kind) {
  case AST_INT:
  case AST_REAL:
  case AST_STR:
  case AST_BOOL:
  case AST_UNIT:
  case AST_MISSING:
  case AST_INTERP:
  case AST_ARRAY:
  case AST_RECORD:
  case AST_UNARY:
  case AST_BINARY:
  case AST_AND:
  case AST_OR:
  case AST_RANGE:
  case AST_COMP: break;
  case AST_NAME: of_name(c, e, out); break;
  case AST_LAMBDA: if (e->u.fn->info) of_function(e->u.fn->info, out); break;
  case AST_IF: of_value(c, e->u.cond.yes, out); of_value(c, e->u.cond.no, out); break;
  case AST_BLOCK: if (e->u.list.n) of_value(c, e->u.list.v[e->u.list.n - 1], out); break;
  default: out->any = true;
  }
}

/* ---- what evaluating an expression may do ---- */

static void of_call(comp *c, const ast *call, effects *out)
{
  const ast *f = call->u.call.fn;
  const env_entry *e = comp_callee(c, f);
  if (e && e->kind == ENV_NATIVE) out->any |= special_effect(c, f);
  else if (e && e->kind != ENV_GLOBAL) return;
  else if (e && !e->known) out->any = true;
  else if (e) { if (!e->known->is_model) apply_entry(c, e, call, out); }
  else if (f->kind == AST_LAMBDA && f->u.fn->info) apply(c, f->u.fn->info, call, out);
  else if (f->kind != AST_NAME || !f->bind) out->any = true;
  else if (f->bind->kind == BIND_FN) {
    if (!f->bind->fn->is_model) apply(c, f->bind->fn, call, out);
  } else if (f->bind->kind == BIND_PARAM) join_param(out, f->bind);
  else if (f->bind->init && f->bind->init->kind == AST_LAMBDA && f->bind->init->u.fn->info)
    apply(c, f->bind->init->u.fn->info, call, out);
  else of_name(c, f, out);
}

static void of_list(comp *c, ast *const *v, uint32_t n, effects *out)
{
  for (uint32_t i = 0; i < n; i++) effects_of(c, v[i], out);
}

static void of_loop(comp *c, const ast *e, effects *out)
{
  const ast_states *s = e->u.loop.states;
  effects_of(c, e->u.loop.over, out);
  for (uint32_t i = 0; s && i < s->n; i++) effects_of(c, s->v[i].init, out);
  effects_of(c, e->u.loop.body, out);
}

static void effects_of(comp *c, const ast *e, effects *out)
{
  if (!e || out->any) return;
  switch (e->kind) {
  case AST_INTERP: case AST_ARRAY: case AST_BLOCK: of_list(c, e->u.list.v, e->u.list.n, out); break;
  case AST_RECORD:
    effects_of(c, e->u.record.base, out);
    for (uint32_t i = 0; i < e->u.record.n; i++) effects_of(c, e->u.record.v[i].value, out);
    break;
  case AST_INDEX:
    effects_of(c, e->u.index.base, out);
    of_list(c, e->u.index.v, e->u.index.n, out);
    break;
  case AST_FIELD: effects_of(c, e->u.field.base, out); break;
  case AST_CALL:
    of_call(c, e, out);
    effects_of(c, e->u.call.fn, out);
    for (uint32_t i = 0; i < e->u.call.n; i++) effects_of(c, e->u.call.v[i].value, out);
    break;
  case AST_SLICE: case AST_UNARY: case AST_BINARY: case AST_AND: case AST_OR: case AST_RANGE:
    effects_of(c, e->u.bin.a, out); effects_of(c, e->u.bin.b, out); break;
  case AST_OBSERVE: case AST_DRAW: out->any = true; break;
  case AST_IF:
    effects_of(c, e->u.cond.test, out);
    effects_of(c, e->u.cond.yes, out);
    effects_of(c, e->u.cond.no, out);
    break;
  case AST_MATCH:
    effects_of(c, e->u.match.value, out);
    for (uint32_t i = 0; i < e->u.match.n; i++) {
      effects_of(c, e->u.match.v[i].guard, out);
      effects_of(c, e->u.match.v[i].body, out);
    }
    break;
  case AST_COMP:
    effects_of(c, e->u.comp.body, out);
    for (uint32_t i = 0; i < e->u.comp.n; i++) effects_of(c, e->u.comp.v[i].value, out);
    break;
  case AST_FOR: of_loop(c, e, out); break;
  case AST_NEXT:
    of_list(c, e->u.next.v, e->u.next.n, out);
    effects_of(c, e->u.next.keep, out);
    break;
  case AST_LET: effects_of(c, e->u.let.value, out); break;
  default: break;
  }
}

static uint8_t summary(const effects *x)
{
  return x->any ? EFFECT_ANY : x->n ? EFFECT_ARG : EFFECT_NONE;
}

uint8_t effect_of(comp *c, const ast *e)
{
  effects x = { 0 };
  effects_of(c, e, &x);
  return summary(&x);
}

uint8_t effect_of_call(comp *c, const ast *call)
{
  effects x = { 0 };
  of_call(c, call, &x);
  return summary(&x);
}

/* ---- the fixed point ---- */

/* What other modules see of a global function. */
static void publish(fn_info *f)
{
  env_entry *e = f->entry;
  e->effect = summary(&f->effects);
  e->calls = 0;
  for (int i = 0; i < f->effects.n; i++) {
    int k = param_index(f->ast, f->effects.v[i]);
    if (k >= CALLS_MAX) e->effect = EFFECT_ANY;
    else if (k >= 0) e->calls |= 1u << k;
  }
}

static bool update(comp *c, fn_info *f)
{
  effects x = { 0 };
  effects_of(c, f->ast->body, &x);
  for (uint32_t i = 0; i < f->ast->nparams; i++) effects_of(c, f->ast->params[i].fallback, &x);
  for (int i = 0; i < x.n && !x.any; i++) { /* a parameter not given has its default's */
    int k = param_index(f->ast, x.v[i]);
    if (k >= 0) of_value(c, f->ast->params[k].fallback, &x);
  }
  if (x.any == f->effects.any && x.n == f->effects.n) return false;
  f->effects = x;
  if (f->entry) publish(f);
  return true;
}

void effect_module(comp *c)
{
  for (bool again = true; again;) {
    again = false;
    for (size_t i = 0; i < c->nfns; i++) {
      fn_info *f = c->fns[i];
      if (f->ast && f->ast->body && !f->effects.any) again |= update(c, f);
    }
  }
}
