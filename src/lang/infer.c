/* infer.c: what is known about the types of expressions, so that arithmetic need not be checked.

   Only facts that hold in every run count: literals, arithmetic on known operands, loop counters,
   comparisons, folds whose states stay of one type.  A fold state that starts as an integer and is
   given a real becomes real from the start (LANGUAGE). */
#include "lang/compile/comp.h"

ty ty_join(ty a, ty b)
{
  if (a == TY_NEVER || a == b) return b;
  if (b == TY_NEVER) return a;
  return ty_is_num(a) && ty_is_num(b) ? TY_NUM : TY_ANY;
}

ty ty_binary(int op, ty a, ty b)
{
  if (op <= BIN_GE) return TY_BOOL;
  if (!ty_is_num(a) || !ty_is_num(b)) return TY_ANY;
  switch (op) {
  case BIN_ADD: case BIN_SUB: case BIN_MUL: case BIN_IDIV: case BIN_MOD:
    return a == TY_REAL || b == TY_REAL ? TY_REAL : a == TY_INT && b == TY_INT ? TY_INT : TY_NUM;
  case BIN_DIV: return TY_REAL;
  case BIN_POW: return a == TY_REAL || b == TY_REAL ? TY_REAL : TY_NUM;      /* 2 ^ -1 is real */
  default: return TY_ANY;
  }
}

static void infer_pattern(const ast *p, ty t)
{
  if (p->kind == AST_PAT_NAME && p->bind && p->bind->kind != BIND_GLOBAL) p->bind->type = t;
}

static ty infer_call(comp *c, const ast *e)
{
  env_entry *x = comp_callee(c, e->u.call.fn);
  if (!x || x->kind != ENV_NATIVE || !x->native || e->u.call.n != 1) return TY_ANY;
  return x->native->real1 && ty_is_num(infer(c, e->u.call.v[0].value)) ? TY_REAL : TY_ANY;
}

static ty infer_next(comp *c, const ast *e)
{
  fold *l = c->f->folds;
  for (uint32_t i = 0; l && i < e->u.next.n && i < l->states->n; i++)
    l->seen[i] = ty_join(l->seen[i], infer(c, e->u.next.v[i]));
  return TY_NEVER;
}

/* An integer state that meets reals is real; anything else mixed is anything. */
static ty widen(ty have, ty seen)
{
  if (seen == TY_NEVER || have == seen) return have;
  if (ty_is_num(have) && ty_is_num(seen)) return TY_REAL;
  return TY_ANY;
}

void infer_fold(comp *c, const ast *e, fold *l)
{
  ast_states *s = e->u.loop.states;
  for (uint32_t i = 0; i < s->n; i++) l->types[i] = infer(c, s->v[i].init);
  infer_pattern(e->u.loop.pattern, e->u.loop.over->kind == AST_RANGE ? TY_INT : TY_ANY);
  for (bool again = true; again;) {
    again = false;
    for (uint32_t i = 0; i < s->n; i++) {
      l->seen[i] = TY_NEVER;
      if (s->v[i].bind) s->v[i].bind->type = l->types[i];
    }
    l->up = c->f->folds; c->f->folds = l;
    infer(c, e->u.loop.body);
    c->f->folds = l->up;
    for (uint32_t i = 0; i < s->n; i++) {
      ty t = widen(l->types[i], l->seen[i]);
      if (t != l->types[i]) { l->types[i] = t; again = true; }
    }
  }
  for (uint32_t i = 0; i < s->n; i++) if (s->v[i].bind) s->v[i].bind->type = l->types[i];
}

static ty infer_for(comp *c, const ast *e)
{
  if (!e->u.loop.states) return TY_ANY;
  uint32_t n = e->u.loop.states->n;
  ty types[16], seen[16];
  if (n > 16) return TY_ANY;
  fold l = { .states = e->u.loop.states, .types = types, .seen = seen };
  infer_fold(c, e, &l);
  return n == 1 && !(e->flags & AST_KEEP) ? types[0] : TY_ANY;
}

static ty infer_block(comp *c, const ast *e)
{
  ty t = TY_ANY;
  for (uint32_t i = 0; i < e->u.list.n; i++) {
    const ast *s = e->u.list.v[i];
    if (s->kind == AST_LET) infer_pattern(s->u.let.pattern, infer(c, s->u.let.value));
    else if (i + 1 == e->u.list.n && ast_is_expr(s)) t = infer(c, s);
  }
  return t;
}

ty infer(comp *c, const ast *e)
{
  switch (e->kind) {
  case AST_INT: return TY_INT;
  case AST_REAL: return TY_REAL;
  case AST_BOOL: case AST_AND: case AST_OR: return TY_BOOL;
  case AST_NAME:
    return e->bind && e->bind->kind != BIND_GLOBAL && e->bind->kind != BIND_FN ? e->bind->type
                                                                               : TY_ANY;
  case AST_UNARY: {
    ty t = infer(c, e->u.bin.a);
    return e->op == UN_NOT ? TY_BOOL : e->op == UN_NEG && ty_is_num(t) ? t : TY_ANY; }
  case AST_BINARY: return ty_binary(e->op, infer(c, e->u.bin.a), infer(c, e->u.bin.b));
  case AST_CALL: return infer_call(c, e);
  case AST_IF:
    return e->u.cond.no ? ty_join(infer(c, e->u.cond.yes), infer(c, e->u.cond.no))
                        : (infer(c, e->u.cond.yes), TY_ANY);
  case AST_MATCH: {
    ty t = TY_NEVER;
    for (uint32_t i = 0; i < e->u.match.n; i++) t = ty_join(t, infer(c, e->u.match.v[i].body));
    return t; }
  case AST_BLOCK: return infer_block(c, e);
  case AST_FOR: return infer_for(c, e);
  case AST_NEXT: return infer_next(c, e);
  default: return TY_ANY;
  }
}
