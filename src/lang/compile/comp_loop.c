/* comp_loop.c: for, folds, comprehensions.

   A loop over a..b counts without making the range.  A loop over an array keeps the array, its length
   and the index in registers.  Where the body may sample, the path gets the index of each turn. */
#include "lang/compile/comp.h"
#include <string.h>

/* One loop being emitted. */
typedef struct loop {
  int i, lim, xs;              /* counter, limit; the array, or -1 for a range */
  int first;     /* a range: register of its first value if its position is needed, or -1 */
  int base, pos; /* the path around the loop, the position of this turn; -1: no addresses */
  int exit, top;               /* FORPREP; where the body starts */
} loop;

static bool zero(const ast *e) { return e->kind == AST_INT && e->u.i == 0; }

/* Opens a loop: registers, FORPREP, the pattern bound to this turn's element.  base: the register that
   holds the path around the loop already, or -1. */
static void loop_open(comp *c, loop *l, const ast *pattern, const ast *over, bool addressed,
                      int base)
{
  ty t;
  l->pos = l->first = l->xs = -1;
  l->base = base;
  if (addressed && base < 0) { l->base = temp(c); emit(c, OP_ASAVE, l->base, 0, 0); }
  if (over->kind == AST_RANGE) {
    l->i = temp(c);
    expr(c, over->u.bin.a, l->i, TAIL_NO);
    l->lim = temp(c);
    expr(c, over->u.bin.b, l->lim, TAIL_NO);
    if (addressed && !zero(over->u.bin.a)) {
      l->first = temp(c);
      emit(c, OP_MOVE, l->first, l->i, 0);
      l->pos = temp(c);
    } else l->pos = l->i;
  } else {
    l->xs = operand(c, over, &t);
    l->lim = temp(c);
    int at = emit(c, OP_ITERLEN, l->lim, l->xs, 0);
    emit_span(c, at, -1, over->span); emit_span(c, at, 0, over->span);
    l->i = l->pos = temp(c);
    load_int(c, l->i, 0);
  }
  l->exit = emit(c, OP_FORPREP, l->i, l->lim, 0);
  if (over->kind == AST_RANGE) {
    emit_span(c, l->exit, -1, over->span);
    emit_span(c, l->exit, 0, over->u.bin.a->span);
    emit_span(c, l->exit, 1, over->u.bin.b->span);
  }
  l->top = (int)c->f->n;
  if (addressed) {
    if (l->first >= 0) emit(c, OP_ISUB, l->pos, l->i, l->first);
    emit(c, OP_AIDX, l->base, l->pos, 0);
  }
  if (l->xs < 0) {
    if (pattern->kind == AST_PAT_NAME && pattern->bind) {
      pattern->bind->reg = l->i;
      pattern->bind->type = TY_INT;
    } else comp_let_pattern(c, pattern, l->i);
  } else {
    int x = temp(c);
    if (pattern->kind != AST_PAT_ANY)
      emit_span(c, emit(c, OP_INDEX, x, l->xs, l->i), -1, over->span);
    if (pattern->kind == AST_PAT_NAME) {
      if (pattern->bind) {
        pattern->bind->reg = x;
        pattern->bind->type = TY_ANY;
      }
    } else comp_let_pattern(c, pattern, x);
  }
}

static void loop_close(comp *c, loop *l)
{
  int at = emit(c, OP_FORLOOP, l->i, l->lim, 0);
  jump_back(c, at, l->top);
  land(c, l->exit);
}

/* The let-name goes onto the path around the loop; the register that restores it, or -1. */
static int loop_enter(comp *c, bool addressed, const char *let_name)
{
  if (!addressed) return -1;
  int save = temp(c);
  if (!let_name) { emit(c, OP_ASAVE, save, 0, 0); return save; }
  int at = emit(c, OP_APUSH, save, 0, 0);
  emit_lit(c, at, 0, name_comp(c, let_name));
  return save;
}

/* ---- folds ---- */

static ty fold_result(comp *c, const ast *e, fold *l, int dst)
{
  ast_states *s = l->states;
  int n = (int)s->n, total = n + (l->kept >= 0);
  if (n == 1 && l->kept < 0) {
    if (dst >= 0 && dst != l->regs[0]) emit(c, OP_MOVE, dst, l->regs[0], 0);
    return l->types[0];
  }
  sym names[24];
  int w = temps(c, total);
  for (int i = 0; i < n; i++) {
    names[i] = comp_sym(c, s->v[i].name.s);
    emit(c, OP_MOVE, w + i, l->regs[i], 0);
  }
  if (l->kept >= 0) { names[n] = comp_sym(c, "kept"); emit(c, OP_MOVE, w + n, l->kept, 0); }
  for (int i = 0; i < n; i++)
    if (l->kept >= 0 && !strcmp(s->v[i].name.s, "kept"))
      comp_error(c, s->v[i].name.span, "a state of a fold with keep can't be called kept");
  const shape *sh = shape_intern(c->st, names, (uint32_t)total);
  if (!sh) { c->memory = true; return TY_ANY; }
  (void)e;
  int at = emit(c, OP_RECORD, dst >= 0 ? dst : w, w, total);
  emit_lit(c, at, 0, (uint64_t)(uintptr_t)sh);
  return TY_ANY;
}

static ty comp_fold(comp *c, const ast *e, int dst, const char *let_name)
{
  ast_states *s = e->u.loop.states;
  int n = (int)s->n, regs[16];
  ty types[16], seen[16];
  if (n > 16) { comp_error(c, e->span, "a fold has at most 16 states"); return TY_ANY; }
  fold l = { .states = s, .regs = regs, .types = types, .seen = seen, .kept = -1 };
  bool addressed = effect_of(c, e->u.loop.body) != EFFECT_NONE;
  int save = loop_enter(c, addressed, let_name);
  infer_fold(c, e, &l);
  for (int i = 0; i < n; i++) regs[i] = temp(c);
  for (int i = 0; i < n; i++) {
    const ast *init = s->v[i].init;
    if (types[i] == TY_REAL && init->kind == AST_INT) {
      emit_f(c, OP_LOADF, regs[i], 0, (double)init->u.i);
      continue;
    }
    int guard = temp(c);
    ty t = expr(c, init, regs[i], TAIL_NO);
    c->f->top = guard;
    if (types[i] == TY_REAL && t != TY_REAL) emit_f(c, OP_MULK, regs[i], regs[i], 1.0);
  }
  if (e->flags & AST_KEEP) { l.kept = temp(c); emit(c, OP_NEWVEC, l.kept, 0, 0); }
  loop p;
  loop_open(c, &p, e->u.loop.pattern, e->u.loop.over, addressed, let_name ? -1 : save);
  for (int i = 0; i < n; i++)
    if (s->v[i].bind) {
      s->v[i].bind->reg = regs[i];
      s->v[i].bind->type = types[i];
    }
  jumps next = { 0 };
  l.up = c->f->folds; c->f->folds = &l;
  l.next = &next;
  expr(c, e->u.loop.body, regs[0],
       TAIL_FOLD); /* every path ends in next: nothing is written there */
  c->f->folds = l.up;
  jumps_land(c, &next);
  loop_close(c, &p);
  if (save >= 0) emit(c, OP_AREST, save, 0, 0);
  return fold_result(c, e, &l, dst);
}

ty comp_next(comp *c, const ast *e, tail_kind tail)
{
  fold *l = c->f->folds;
  if (!l || tail != TAIL_FOLD) {                          /* the parser has said so */
    if (!c->broken) comp_error(c, e->span, "next stands outside the tail of a fold");
    return TY_NEVER;
  }
  int n = (int)l->states->n, top = c->f->top;
  if ((int)e->u.next.n != n) {
    if (!c->broken)
      comp_error(c, e->span, "next gives %u value%s, the fold has %d state%s", e->u.next.n,
                 e->u.next.n == 1 ? "" : "s", n, n == 1 ? "" : "s");
    return TY_NEVER;
  }
  if (e->u.next.keep && l->kept >= 0) {                    /* before the states change */
    ty t;
    int x = operand(c, e->u.next.keep, &t);
    emit_span(c, emit(c, OP_PUSH, l->kept, l->kept, x), -1, e->u.next.keep->span);
    c->f->top = top;
  }
  comp_assign(c, (const ast *const *)e->u.next.v, l->regs, l->types, n, NULL);
  jumps_add(c, l->next, emit(c, OP_JMP, 0, 0, 0));
  return TY_NEVER;
}

/* ---- loops ---- */

ty comp_for(comp *c, const ast *e, int dst)
{
  int top = c->f->top;
  const char *let_name = c->let_name;
  c->let_name = NULL;
  if (e->u.loop.states) { ty t = comp_fold(c, e, dst, let_name); c->f->top = top; return t; }
  bool addressed = effect_of(c, e->u.loop.body) != EFFECT_NONE;
  int save = loop_enter(c, addressed, let_name), acc = -1;
  if (dst >= 0) { acc = temp(c); emit(c, OP_NEWVEC, acc, 0, 0); }
  loop l;
  loop_open(c, &l, e->u.loop.pattern, e->u.loop.over, addressed, let_name ? -1 : save);
  fold *folds = c->f->folds;
  c->f->folds = NULL;
  int keep = c->f->top;
  if (acc < 0 && e->u.loop.body->kind == AST_BLOCK) {
    /* the value is not wanted: a loop at the end of the body makes no array either, and an if no value */
    ast *const *v = e->u.loop.body->u.list.v;
    uint32_t n = e->u.loop.body->u.list.n;
    if (n && ((v[n - 1]->kind == AST_FOR && !v[n - 1]->u.loop.states) || v[n - 1]->kind == AST_IF))
      comp_statements(c, v, n);
    else expr(c, e->u.loop.body, temp(c), TAIL_NO);
  } else {
    ty t;
    int x = acc < 0 ? temp(c) : -1;
    if (acc >= 0) {
      x = operand(c, e->u.loop.body, &t);
      emit_span(c, emit(c, OP_PUSH, acc, acc, x), -1, e->u.loop.body->span);
    } else expr(c, e->u.loop.body, x, TAIL_NO);
  }
  c->f->top = keep;
  c->f->folds = folds;
  loop_close(c, &l);
  if (save >= 0) emit(c, OP_AREST, save, 0, 0);
  if (acc >= 0) emit(c, OP_MOVE, dst, acc, 0);
  c->f->top = top;
  return TY_ANY;
}

/* [body for p in xs for q in ys if test]: loops inside each other. */
static void clauses(comp *c, const ast *e, uint32_t k, int acc, bool addressed)
{
  int top = c->f->top;
  if (k == e->u.comp.n) {
    ty t;
    int x = operand(c, e->u.comp.body, &t);
    emit_span(c, emit(c, OP_PUSH, acc, acc, x), -1, e->u.comp.body->span);
  } else if (!e->u.comp.v[k].pattern) {
    jumps no = { 0 };
    cond(c, e->u.comp.v[k].value, false, &no);
    clauses(c, e, k + 1, acc, addressed);
    jumps_land(c, &no);
  } else {
    loop l;
    loop_open(c, &l, e->u.comp.v[k].pattern, e->u.comp.v[k].value, addressed, -1);
    clauses(c, e, k + 1, acc, addressed);
    loop_close(c, &l);
    if (l.base >= 0) emit(c, OP_AREST, l.base, 0, 0);
  }
  c->f->top = top;
}

ty comp_comprehension(comp *c, const ast *e, int dst)
{
  int top = c->f->top;
  const char *let_name = c->let_name;
  c->let_name = NULL;
  bool addressed = effect_of(c, e) != EFFECT_NONE;
  int save = loop_enter(c, addressed, let_name), acc = temp(c);
  fold *folds = c->f->folds;
  c->f->folds = NULL;
  emit(c, OP_NEWVEC, acc, 0, 0);
  clauses(c, e, 0, acc, addressed);
  c->f->folds = folds;
  if (save >= 0) emit(c, OP_AREST, save, 0, 0);
  emit(c, OP_MOVE, dst, acc, 0);
  c->f->top = top;
  return TY_ANY;
}
