/* comp.c: compiles a module: parse, resolve, effects, then every function, then its top level. */
#include "lang/compile/comp.h"
#include "lang/parse/parse.h"
#include <string.h>

/* ---- functions ---- */

static void fn_open(comp *c, fnstate *f, fn_info *info)
{
  memset(f, 0, sizeof *f);
  f->up = c->f; f->info = info; f->p = info->p;
  c->f = f;
}

static void fn_drop(comp *c, fnstate *f)
{
  mem *m = &c->st->mem;
  mem_put(m, f->code, f->ccode * sizeof *f->code);
  mem_put(m, f->spans, f->cspans * sizeof *f->spans);
  mem_put(m, f->consts, f->cconsts * sizeof *f->consts);
}

static bool fn_close(comp *c, fnstate *f)
{
  bool ok = true;
  if (f->too_large) {
    diag *d = comp_error(c, f->info->ast ? f->info->ast->name.span : c->tree->span,
                         "this function is too large to compile");
    if (d)
      error_hint(
        &d->e,
        "a function has room for about 4000 names, and for loops and branches of about 30000 instructions");
    fn_drop(c, f);
  } else if (c->memory) fn_drop(c, f);
  else ok = fn_finish(c, f->p);
  c->f = f->up;
  return ok;
}

static bool plain_type(const ast *t, const char *name)
{
  return t->kind == AST_TYPE_NAME && !t->u.tname.module && !strcmp(t->u.tname.name, name);
}

/* Checks a value against its annotation; gives what is known of its type afterwards. */
static ty annotation(comp *c, const ast *t, int reg, norn_span span)
{
  val d;
  if (!annot_describe(c->st, c->mod, t, &d)) return TY_ANY;
  int at = emit_i(c, OP_CHECKT, reg, 0, constant(c, d));
  emit_span(c, at, -1, span);
  if (plain_type(t, "int")) return TY_INT;
  if (plain_type(t, "bool")) return TY_BOOL;
  if (plain_type(t, "real")) {
    emit_f(c, OP_MULK, reg, reg, 1.0);
    return TY_ANY;
  } /* an integer becomes a real; or it is a node, which typed instructions do not know */
  return TY_ANY;
}

static void parameters(comp *c, const ast_fn *fn)
{
  for (uint32_t i = 0; i < fn->nparams; i++) {
    const ast_param *p = fn->params + i;
    if (p->bind) { p->bind->reg = (int)i; p->bind->type = TY_ANY; }
  }
  temps(c, (int)fn->nparams);
  for (uint32_t i = 0; i < fn->nparams; i++) {
    const ast_param *p = fn->params + i;
    if (p->fallback) {
      int over = emit(c, OP_JGIVEN, (int)i, 0, 0);
      expr(c, p->fallback, (int)i, TAIL_NO);
      land(c, over);
    }
    if (p->type) {
      ty t = annotation(c, p->type, (int)i, p->name.span);
      if (p->bind) p->bind->type = t;
    }
  }
}

bool compile_function(comp *c, fn_info *info)
{
  fnstate f;
  const ast_fn *fn = info->ast;
  if (!info->p)
    info->p = proto_new(c, fn, fn->name.s ? fn->name.s : "fn", info->is_model, info->node->span);
  if (!info->p) return false;
  info->p->ncap = (uint16_t)info->ncaps;
  info->p->samples = info->effects.any || info->effects.n;
  fn_open(c, &f, info);
  f.start = 0; /* self tail calls check annotations again */
  const char *keep = c->let_name;
  c->let_name = NULL;
  parameters(c, fn);
  if (info->node->kind == AST_DIST) comp_distribution(c, info->node);
  else if (fn->body) {
    int dst = temp(c);
    if (fn->result) {
      expr(c, fn->body, dst, TAIL_NO);
      annotation(c, fn->result, dst, fn->body->span);
      emit(c, OP_RET, dst, 0, 0);
    } else {
      if (expr(c, fn->body, dst, TAIL_RET) != TY_NEVER) emit(c, OP_RET, dst, 0, 0);
    }
  }
  c->let_name = keep;
  return fn_close(c, &f);
}

/* ---- the top level ---- */

static void top_let(comp *c, const ast *s)
{
  const ast *p = s->u.let.pattern;
  int top = c->f->top, r = temp(c);
  c->let_name = p->kind == AST_PAT_NAME ? p->u.name : NULL;
  expr(c, s->u.let.value, r, TAIL_NO);
  c->let_name = NULL;
  comp_let_pattern(c, p, r);
  c->f->top = top;
}

static void top_import(comp *c, const ast *s, int r)
{
  module *m = s->bind && s->bind->entry ? s->bind->entry->mod : NULL;
  if (!m || !m->init) return;
  int top = c->f->top, w = temps(c, FRAME_SIZE);
  emit_span(c, emit_p(c, OP_CALLG, w, 0, 0, m->init), -1, s->span);
  c->f->top = top;
  (void)r;
}

/* A module's top level runs once: guarded by a global. */
static int guard_open(comp *c, uint32_t *slot)
{
  *slot = env_slot(c->st, norn_bool(false));
  if (*slot == UINT32_MAX) { c->memory = true; return -1; }
  int r = temp(c);
  emit_i(c, OP_GETG, r, 0, *slot);
  int go = emit(c, OP_JF, r, 0, 0);
  emit(c, OP_RET, r, 0, 0);
  land(c, go);
  return r;
}

static void compile_top(comp *c, bool imported)
{
  fnstate f;
  uint32_t slot = 0;
  c->top->p = proto_new(c, NULL, imported ? sym_name(c->st, c->mod->name) : "top level", false,
                        c->tree->span);
  if (!c->top->p) return;
  c->top->p->samples = true;
  fn_open(c, &f, c->top);
  int guard = imported ? guard_open(c, &slot) : -1;
  int r = temp(c);
  emit(c, OP_LOADU, r, 0, 0);
  for (uint32_t i = 0; i < c->tree->n && !c->memory; i++) {
    const ast *s = c->tree->v[i];
    bool last = i + 1 == c->tree->n;
    int top = c->f->top;
    if (s->kind == AST_LET) top_let(c, s);
    else if (s->kind == AST_DRAW) comp_draw(c, s);
    else if (s->kind == AST_IMPORT) top_import(c, s, r);
    else if (s->kind == AST_FOREIGN) comp_foreign(c, s);
    else if (ast_is_expr(s)) {
      if (s->kind == AST_FOR && !s->u.loop.states && !last) comp_for(c, s, -1);
      else { int g = temp(c); expr(c, s, g, TAIL_NO); if (last) emit(c, OP_MOVE, r, g, 0); }
    }
    c->f->top = top;
  }
  if (guard >= 0) { emit(c, OP_LOADB, guard, 1, 0); emit_i(c, OP_SETG, guard, 0, slot); }
  emit(c, OP_RET, r, 0, 0);
  fn_close(c, &f);
}

/* ---- finishing ---- */

static bool link_protos(comp *c)
{
  norn_state *st = c->st;
  proto *last = c->protos;
  char b[300];
  for (proto *p = c->protos; p; p = p->next) {
    last = p;
    if (!code_liveness(st, p)) {
      c->memory = true;
      return false;
    }
  }
  proto *rest = st->protos;
  last->next = rest;
  st->protos = c->protos;
  for (proto *p = c->protos; p != rest; p = p->next) {
    const char *why = code_verify(st, p, b, sizeof b);
    if (!why) continue;
    comp_error(c, p->span, "internal error: bad code: %s", why);
    break;
  }
  c->protos = NULL;
  return st->diags.errors == 0;
}

static void set_globals(comp *c)
{
  for (uint32_t i = 0; i < c->tree->n; i++) {
    const ast *s = c->tree->v[i];
    if (s->kind != AST_FN && s->kind != AST_MODEL && s->kind != AST_DIST) continue;
    if (s->bind && s->bind->entry->known)
      c->st->globals[s->bind->entry->slot] = v_obj(NORN_FUN, s->bind->entry->known->self);
  }
}

static void exhaust_all(comp *c, const ast *e);
static void exhaust_list(comp *c, ast *const *v, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) exhaust_all(c, v[i]);
}

/* Finds every match. */
static void exhaust_all(comp *c, const ast *e)
{
  if (!e) return;
  switch (e->kind) {
  case AST_INTERP: case AST_ARRAY: case AST_BLOCK: exhaust_list(c, e->u.list.v, e->u.list.n); break;
  case AST_RECORD:
    exhaust_all(c, e->u.record.base);
    for (uint32_t i = 0; i < e->u.record.n; i++) exhaust_all(c, e->u.record.v[i].value);
    break;
  case AST_INDEX:
    exhaust_all(c, e->u.index.base);
    exhaust_list(c, e->u.index.v, e->u.index.n);
    break;
  case AST_FIELD: exhaust_all(c, e->u.field.base); break;
  case AST_CALL:
    exhaust_all(c, e->u.call.fn);
    for (uint32_t i = 0; i < e->u.call.n; i++) exhaust_all(c, e->u.call.v[i].value);
    break;
  case AST_SLICE:
  case AST_UNARY:
  case AST_BINARY:
  case AST_AND:
  case AST_OR:
  case AST_RANGE:
  case AST_OBSERVE:
    exhaust_all(c, e->u.bin.a); exhaust_all(c, e->u.bin.b); break;
  case AST_LAMBDA: case AST_FN: case AST_MODEL:
    for (uint32_t i = 0; i < e->u.fn->nparams; i++) exhaust_all(c, e->u.fn->params[i].fallback);
    exhaust_all(c, e->u.fn->body);
    break;
  case AST_DIST:
    for (uint32_t i = 0; i < e->u.dist.n; i++) exhaust_all(c, e->u.dist.v[i].value);
    break;
  case AST_IF:
    exhaust_all(c, e->u.cond.test);
    exhaust_all(c, e->u.cond.yes);
    exhaust_all(c, e->u.cond.no);
    break;
  case AST_MATCH:
    exhaust_check(c->st, c->mod, e);
    exhaust_all(c, e->u.match.value);
    for (uint32_t i = 0; i < e->u.match.n; i++) {
      exhaust_all(c, e->u.match.v[i].guard);
      exhaust_all(c, e->u.match.v[i].body);
    }
    break;
  case AST_COMP:
    exhaust_all(c, e->u.comp.body);
    for (uint32_t i = 0; i < e->u.comp.n; i++) exhaust_all(c, e->u.comp.v[i].value);
    break;
  case AST_FOR:
    exhaust_all(c, e->u.loop.over); exhaust_all(c, e->u.loop.body);
    for (uint32_t i = 0; e->u.loop.states && i < e->u.loop.states->n; i++)
      exhaust_all(c, e->u.loop.states->v[i].init);
    break;
  case AST_NEXT: exhaust_list(c, e->u.next.v, e->u.next.n); exhaust_all(c, e->u.next.keep); break;
  case AST_LET: exhaust_all(c, e->u.let.value); break;
  case AST_FOREIGN:
    for (uint32_t i = 0; i < e->u.foreign->n; i++) exhaust_all(c, e->u.foreign->v[i].derivative);
    break;
  case AST_DRAW:
    exhaust_all(c, e->u.draw.dist);
    exhaust_all(c, e->u.draw.via);
    exhaust_all(c, e->u.draw.as);
    break;
  default: break;
  }
}

/* The module's functions, outer ones first; inner ones are compiled where they stand. */
static void compile_all(comp *c, bool imported)
{
  effect_module(c);
  for (size_t i = 0; i < c->nfns; i++)
    if (c->fns[i]->is_top && c->fns[i]->ast && !reread_mark(c, c->fns[i]->ast)) c->memory = true;
  for (size_t i = 0; i < c->nfns && !c->memory; i++)
    if (c->fns[i]->is_top && c->fns[i]->ast) compile_function(c, c->fns[i]);
  if (!c->memory) compile_top(c, imported);
  if (!c->mod->stdlib && !c->broken) exhaust_list(c, c->tree->v, c->tree->n);
}

proto *compile_module(norn_state *st, module *mod, uint32_t file, unsigned flags, bool *incomplete)
{
  arena a;
  proto *out = NULL;
  arena_init(&a, &st->mem);
  comp c = { .st = st,
             .mod = mod,
             .file = file,
             .flags = flags,
             .a = &a,
             .repl = (flags & NORN_LOAD_REPL) != 0 };
  parse_status ps = parse_module(&a, &st->diags, &st->sources, file, &c.tree);
  *incomplete = ps == PARSE_MORE;
  c.broken = ps != PARSE_OK;
  if (!c.tree) c.memory = true;
  else if (ps != PARSE_MORE && resolve_module(&c)) {
    compile_all(&c, (flags & NORN_LOAD_IMPORT) != 0);
    if (!c.memory && ps == PARSE_OK && !st->diags.errors && link_protos(&c)) {
      out = c.top->p;
      set_globals(&c);
    }
  }
  if (c.memory) { st->diags.failed = true; state_memory(st); }
  for (proto *p = c.protos, *next; p; p = next) { next = p->next; proto_free(st, p); }
  mem_put(&st->mem, c.fns, c.cfns * sizeof *c.fns);
  arena_free(&a);
  return out;
}
