/* comp_match.c: patterns.  A test jumps away when the value does not match; names get registers. */
#include "lang/compile/comp.h"
#include <string.h>

static void literal_pattern(comp *c, const ast *p, int reg, jumps *fail)
{
  const ast *x = p->u.literal;
  int top = c->f->top, at;
  if (x->kind == AST_UNIT || x->kind == AST_MISSING) {
    at = emit(c, OP_JNTAG, reg, 0, 0);
    emit_lit(c, at, 0, x->kind == AST_UNIT ? NORN_UNIT : NORN_MISSING);
  } else if (x->kind == AST_INT && x->u.i > -30000 && x->u.i < 30000) {
    at = emit(c, OP_JNEQI, reg, (int)x->u.i, 0);
  } else {
    int r = temp(c);
    expr(c, x, r, TAIL_NO);
    at = emit(c, OP_JNEQ, reg, r, 0);
  }
  jumps_add(c, fail, at);
  c->f->top = top;
}

/* The constructor that a pattern names; NULL: reported by the resolver. */
static env_entry *constructor(comp *c, const ast *p)
{
  const ast *k = p->u.con.con;
  env_entry *e = k->kind == AST_FIELD ? resolve_module_member(c, k, false)
                 : k->bind            ? k->bind->entry
                                      : NULL;
  return e && e->kind == ENV_CTOR && e->arity == p->u.con.n ? e : NULL;
}

static void con_pattern(comp *c, const ast *p, int reg, jumps *fail)
{
  env_entry *e = constructor(c, p);
  if (!e) return;
  int at = emit(c, OP_JNTAG, reg, 0, 0);
  emit_lit(c, at, 0, e->tag);
  jumps_add(c, fail, at);
  for (uint32_t i = 0; i < p->u.con.n; i++) {
    const ast *q = p->u.con.v[i];
    if (q->kind == AST_PAT_ANY ||
        (q->kind == AST_PAT_NAME && q->bind && q->bind->kind != BIND_GLOBAL && !q->bind->used))
      continue;
    int r = temp(c);
    emit(c, OP_FIELD, r, reg, (int)i);
    comp_pattern(c, q, r, fail);
  }
}

static void list_pattern(comp *c, const ast *p, int reg, jumps *fail)
{
  int n = (int)p->u.plist.n;
  bool open = (p->flags & AST_OPEN) != 0;
  jumps_add(c, fail, emit(c, OP_JNARR, reg, open ? -1 - n : n, 0));
  for (int i = 0; i < n; i++) {
    if (p->u.plist.v[i]->kind == AST_PAT_ANY) continue;
    int r = temp(c), k = temp(c);
    load_int(c, k, i);
    emit_span(c, emit(c, OP_INDEX, r, reg, k), -1, p->span);
    comp_pattern(c, p->u.plist.v[i], r, fail);
  }
  if (p->u.plist.rest) {
    int r = temp(c);
    emit(c, OP_REST, r, reg, n);
    comp_pattern(c, p->u.plist.rest, r, fail);
  }
}

static void record_pattern(comp *c, const ast *p, int reg, jumps *fail)
{
  if (!p->u.record.n) {
    /* {}: any record */
    return;
  }
  for (uint32_t i = 0; i < p->u.record.n; i++) {
    sym name = comp_sym(c, p->u.record.v[i].name.s);
    int at = emit(c, OP_JNREC, reg, 0, 0);
    emit_lit(c, at, 0, name);
    jumps_add(c, fail, at);
    int r = temp(c);
    at = emit(c, OP_GETF, r, reg, 0);
    emit_lit(c, at, 0, name);
    emit_span(c, at, -1, p->u.record.v[i].name.span);
    comp_pattern(c, p->u.record.v[i].value, r, fail);
  }
}

void comp_pattern(comp *c, const ast *p, int reg, jumps *fail)
{
  switch (p->kind) {
  case AST_PAT_NAME:
    if (!p->bind) break;
    if (p->bind->kind == BIND_GLOBAL) { emit_i(c, OP_SETG, reg, 0, p->bind->entry->slot); break; }
    p->bind->reg = reg; p->bind->type = TY_ANY;
    break;
  case AST_PAT_LITERAL: literal_pattern(c, p, reg, fail); break;
  case AST_PAT_CON: con_pattern(c, p, reg, fail); break;
  case AST_PAT_LIST: list_pattern(c, p, reg, fail); break;
  case AST_PAT_RECORD: record_pattern(c, p, reg, fail); break;
  default: break;
  }
}

void comp_let_pattern(comp *c, const ast *p, int reg)
{
  jumps fail = { 0 };
  comp_pattern(c, p, reg, &fail);
  if (!fail.n) return;
  int over = emit(c, OP_JMP, 0, 0, 0);
  jumps_land(c, &fail);
  int at = emit(c, OP_MATCHFAIL, reg, 1, 0);
  emit_span(c, at, -1, p->span); emit_span(c, at, 0, p->span);
  land(c, over);
}

ty comp_match(comp *c, const ast *e, int dst, tail_kind tail)
{
  int top = c->f->top;
  const char *let_name = c->let_name;
  ty t, out = TY_NEVER;
  c->let_name = NULL;
  int s = operand(c, e->u.match.value, &t), base = c->f->top;
  jumps ends = { 0 }, fail = { 0 };
  bool open = true;                                        /* can the last arm fail? */
  for (uint32_t i = 0; i < e->u.match.n; i++) {
    const ast_arm *a = e->u.match.v + i;
    c->f->top = base;
    jumps_land(c, &fail);
    comp_pattern(c, a->pattern, s, &fail);
    if (a->guard) cond(c, a->guard, false, &fail);
    c->let_name = let_name;
    ty u = expr(c, a->body, dst, tail);
    c->let_name = NULL;
    out = ty_join(out, u);
    if (u != TY_NEVER) jumps_add(c, &ends, emit(c, OP_JMP, 0, 0, 0));
    open = fail.n > 0;
    if (!open) break;
  }
  if (open) {
    jumps_land(c, &fail);
    int at = emit(c, OP_MATCHFAIL, s, 0, 0);
    emit_span(c, at, -1, e->span); emit_span(c, at, 0, e->u.match.value->span);
  }
  jumps_land(c, &ends);
  c->f->top = top;
  return out;
}
