/* effect.c: which functions may sample, observe or infer.

   EFFECT_ARG is "only if a function given to it does": what calls its own parameters.  The effects of
   all functions of a module are found as a least fixed point.  What is called through a value that is
   not known here may do anything. */
#include "lang/comp.h"

static uint8_t top_of(uint8_t a, uint8_t b) { return a > b ? a : b; }

/* What a function does when somebody calls it who gives it a function as an argument. */
static uint8_t effect_of_argument(comp *c, const ast *e)
{
  if (e->kind == AST_LAMBDA) return e->u.fn->info ? e->u.fn->info->effect : EFFECT_NONE;
  if (e->kind != AST_NAME || !e->bind) return EFFECT_NONE;
  const binding *b = e->bind;
  if (b->kind == BIND_FN) return b->fn->is_model ? EFFECT_NONE : b->fn->effect;
  if (b->kind == BIND_PARAM) return EFFECT_ARG;
  if (b->kind == BIND_GLOBAL && b->entry->kind == ENV_GLOBAL && b->entry->known && !b->entry->known->is_model) return b->entry->effect;
  if (b->kind == BIND_GLOBAL && b->entry->kind == ENV_NATIVE && !b->entry->native) return is_special(c, e, "sample") || is_special(c, e, "factor") || is_special(c, e, "condition") ? EFFECT_ANY : EFFECT_NONE;
  if (b->init && b->init->kind == AST_LAMBDA) return effect_of_argument(c, b->init);
  return EFFECT_NONE;
}

static uint8_t through(comp *c, uint8_t effect, const ast *call)
{
  if (effect != EFFECT_ARG) return effect;
  uint8_t k = EFFECT_NONE;
  for (uint32_t i = 0; i < call->u.call.n; i++) k = top_of(k, effect_of_argument(c, call->u.call.v[i].value));
  return k;
}

uint8_t effect_of_call(comp *c, const ast *call)
{
  const ast *f = call->u.call.fn;
  env_entry *e = comp_callee(c, f);
  if (e) {
    if (e->kind == ENV_NATIVE && !e->native)
      return is_special(c, f, "sample") || is_special(c, f, "factor") || is_special(c, f, "condition") || is_special(c, f, "infer") ? EFFECT_ANY : EFFECT_NONE;
    if (e->kind != ENV_GLOBAL) return EFFECT_NONE;
    if (!e->known) return EFFECT_ANY;
    return e->known->is_model ? EFFECT_NONE : through(c, e->effect, call);
  }
  if (f->kind == AST_LAMBDA && f->u.fn->info) return through(c, f->u.fn->info->effect, call);
  if (f->kind != AST_NAME || !f->bind) return EFFECT_ANY;
  const binding *b = f->bind;
  if (b->kind == BIND_FN) return b->fn->is_model ? EFFECT_NONE : through(c, b->fn->effect, call);
  if (b->kind == BIND_PARAM) return EFFECT_ARG;
  if (b->init && b->init->kind == AST_LAMBDA && b->init->u.fn->info) return through(c, b->init->u.fn->info->effect, call);
  return EFFECT_ANY;
}

static uint8_t effect_of_list(comp *c, ast *const *v, uint32_t n)
{
  uint8_t k = EFFECT_NONE;
  for (uint32_t i = 0; i < n; i++) k = top_of(k, effect_of(c, v[i]));
  return k;
}

uint8_t effect_of(comp *c, const ast *e)
{
  uint8_t k = EFFECT_NONE;
  if (!e) return k;
  switch (e->kind) {
  case AST_INTERP: case AST_ARRAY: case AST_BLOCK: return effect_of_list(c, e->u.list.v, e->u.list.n);
  case AST_RECORD:
    k = effect_of(c, e->u.record.base);
    for (uint32_t i = 0; i < e->u.record.n; i++) k = top_of(k, effect_of(c, e->u.record.v[i].value));
    return k;
  case AST_INDEX: return top_of(effect_of(c, e->u.index.base), effect_of_list(c, e->u.index.v, e->u.index.n));
  case AST_FIELD: return effect_of(c, e->u.field.base);
  case AST_CALL:
    k = top_of(effect_of_call(c, e), e->u.call.fn->kind == AST_NAME || e->u.call.fn->kind == AST_LAMBDA ? EFFECT_NONE : effect_of(c, e->u.call.fn));
    for (uint32_t i = 0; i < e->u.call.n; i++) k = top_of(k, effect_of(c, e->u.call.v[i].value));
    return k;
  case AST_SLICE: case AST_UNARY: case AST_BINARY: case AST_AND: case AST_OR: case AST_RANGE:
    return top_of(effect_of(c, e->u.bin.a), effect_of(c, e->u.bin.b));
  case AST_OBSERVE: case AST_DRAW: return EFFECT_ANY;
  case AST_IF: return top_of(effect_of(c, e->u.cond.test), top_of(effect_of(c, e->u.cond.yes), effect_of(c, e->u.cond.no)));
  case AST_MATCH:
    k = effect_of(c, e->u.match.value);
    for (uint32_t i = 0; i < e->u.match.n; i++) k = top_of(k, top_of(effect_of(c, e->u.match.v[i].guard), effect_of(c, e->u.match.v[i].body)));
    return k;
  case AST_COMP:
    k = effect_of(c, e->u.comp.body);
    for (uint32_t i = 0; i < e->u.comp.n; i++) k = top_of(k, effect_of(c, e->u.comp.v[i].value));
    return k;
  case AST_FOR:
    k = top_of(effect_of(c, e->u.loop.over), effect_of(c, e->u.loop.body));
    for (uint32_t i = 0; e->u.loop.states && i < e->u.loop.states->n; i++) k = top_of(k, effect_of(c, e->u.loop.states->v[i].init));
    return k;
  case AST_NEXT: return top_of(effect_of_list(c, e->u.next.v, e->u.next.n), effect_of(c, e->u.next.keep));
  case AST_LET: return effect_of(c, e->u.let.value);
  default: return k;
  }
}

void effect_module(comp *c)
{
  for (bool again = true; again;) {
    again = false;
    for (size_t i = 0; i < c->nfns; i++) {
      fn_info *f = c->fns[i];
      if (!f->ast || !f->ast->body) continue;
      uint8_t k = effect_of(c, f->ast->body);
      for (uint32_t p = 0; p < f->ast->nparams; p++) k = top_of(k, effect_of(c, f->ast->params[p].fallback));
      if (k <= f->effect) continue;
      f->effect = k; again = true;
      if (f->entry) f->entry->effect = k;
    }
  }
}
