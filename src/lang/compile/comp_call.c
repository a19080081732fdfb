/* comp_call.c: calls, their arguments, builtins as values.

   A callee known here (a top-level function, a native, a distribution, a constructor ...) has its
   arguments checked, named ones put into place and defaults filled in at compile time. */
#include "lang/compile/comp.h"
#include <stdio.h>
#include <string.h>

fn_info *numbers_of(comp *c) { return c->f->info->numbers ? c->f->info->numbers : c->f->info; }
static uint64_t named(comp *c, unsigned kind, const char *s, uint32_t number)
{
  sym name = comp_sym(c, s);
  uint64_t u = name ? addr_component(c->st, kind, name, number) : 0;
  if (!u) c->memory = true;
  return u;
}

uint64_t name_comp(comp *c, const char *s) { return named(c, ADDR_NAME, s, 0); }
uint64_t anon_comp(comp *c) { return addr_numbered(ADDR_ANON, (uint32_t)numbers_of(c)->nanon++); }

uint64_t call_comp(comp *c, const ast *callee, const char *let_name)
{
  if (let_name) return name_comp(c, let_name);
  const char *s = callee->kind == AST_NAME    ? callee->u.name
                  : callee->kind == AST_FIELD ? callee->u.field.name.s
                                              : "fn";
  return named(c, ADDR_CALL, s, (uint32_t)numbers_of(c)->ncalls++);
}

/* ---- arguments ---- */

/* "name(a, b = 2)" as a hint, after a question if there is one.  Of many options only the names have room. */
static void hint_signature(comp *c, diag *d, const signature *s, const char *question)
{
  char b[400];
  size_t k = 0;
  if (!d) return;
  b[0] = 0;
  for (int i = 0; !(s->text && *s->text) && i < s->n && s->names && k < sizeof b; i++)
    k += (size_t)snprintf(b + k, sizeof b - k, "%s%s%s", i ? ", " : "",
                          sym_name(c->st, s->names[i]), i < s->nreq || s->n > 8 ? "" : " = ...");
  error_hint(&d->e, "%s%s(%s)", question, s->name, s->text && *s->text ? s->text : b);
}

static void wrong_count(comp *c, const ast *e, const signature *s, uint32_t got)
{
  diag *d;
  const char *plural = s->n == 1 ? "" : "s";
  if (s->nreq == s->n)
    d = comp_error(c, e->span, "%s takes %d argument%s, got %u", s->name, s->n, plural, got);
  else if (s->variadic)
    d = comp_error(c, e->span, "%s takes at least %d argument%s, got %u", s->name, s->nreq,
                   s->nreq == 1 ? "" : "s", got);
  else
    d = comp_error(c, e->span, "%s takes %d to %d arguments, got %u", s->name, s->nreq, s->n, got);
  if (d && s->text && !strncmp(s->text, "shape", 5) && got > (uint32_t)s->n)
    error_hint(&d->e, "%s(%s): a shape of several lengths is an array, such as [2, 3]", s->name, s->text);
  else hint_signature(c, d, s, "");
}

static int parameter_index(const signature *s, sym name)
{
  for (int i = 0; i < s->n; i++) if (s->names && s->names[i] == name) return i;
  return -1;
}

static bool unknown_parameter(comp *c, const ast_arg *a, const signature *s)
{
  nearest near;
  diag *d = comp_error(c, a->name.span, "%s has no parameter %s", s->name, a->name.s);
  nearest_init(&near, a->name.s);
  for (int i = 0; i < s->n; i++) nearest_try(&near, sym_name(c->st, s->names[i]));
  const char *close = nearest_found(&near);
  char question[100] = "";
  if (close) snprintf(question, sizeof question, "did you mean %s? ", close);
  hint_signature(c, d, s, question);
  return false;
}

static void load_constant(comp *c, int dst, val v)
{
  switch (V_KIND(v)) {
  case NORN_INT: load_int(c, dst, v.i); break;
  case NORN_REAL: emit_f(c, OP_LOADF, dst, 0, v.d); break;
  case NORN_BOOL: emit(c, OP_LOADB, dst, v.i != 0, 0); break;
  case NORN_UNIT: emit(c, OP_LOADU, dst, 0, 0); break;
  case NORN_MISSING: emit(c, OP_LOADM, dst, 0, 0); break;
  case NORN_NONE: emit(c, OP_LOADN, dst, 0, 0); break;
  default: emit_i(c, OP_LOADK, dst, 0, constant(c, v));
  }
}

/* Places of the arguments: place[i] is the parameter of argument i.  false: reported. */
static bool place_arguments(comp *c, const ast *e, const signature *s, int *place, bool *given)
{
  uint32_t n = e->u.call.n;
  for (uint32_t i = 0; i < n; i++) {
    const ast_arg *a = e->u.call.v + i;
    int k = (int)i;
    if (a->name.s) {
      k = parameter_index(s, comp_sym(c, a->name.s));
      if (k < 0) return unknown_parameter(c, a, s);
    } else if (k >= s->n && !s->variadic) { wrong_count(c, e, s, n); return false; }
    if (k < s->n && given[k] && !(s->variadic && k == s->n - 1)) {
      comp_error(c, a->name.s ? a->name.span : a->value->span, "%s gets its parameter %s twice",
                 s->name, sym_name(c->st, s->names[k]));
      return false;
    }
    if (k < s->n) given[k] = true;
    place[i] = k;
  }
  for (int k = 0; k < s->nreq; k++) if (!given[k]) {
    bool named = n && e->u.call.v[n - 1].name.s;
    if (!named) { wrong_count(c, e, s, n); return false; }
    diag *d =
      comp_error(c, e->span, "%s needs its parameter %s", s->name, sym_name(c->st, s->names[k]));
    hint_signature(c, d, s, "");
    return false;
  }
  return true;
}

bool comp_arguments(comp *c, const ast *e, const signature *s, int w, int *count)
{
  if (c->memory) return false;                  /* a signature may be half made */
  uint32_t n = e->u.call.n;
  int *place = comp_get(c, (n + 1) * sizeof *place);
  bool *given = comp_get(c, ((size_t)s->n + 1) * sizeof *given);
  if (!place || !given) return false;
  if (!place_arguments(c, e, s, place, given)) {
    int r = temp(c); /* go on: there may be more errors inside */
    for (uint32_t i = 0; i < n; i++) expr(c, e->u.call.v[i].value, r, TAIL_NO);
    return false;
  }
  int total = s->variadic ? (int)n > s->n - 1 ? (int)n : s->n - 1 : s->n;
  while (c->f->top < w + total && !c->f->too_large) temp(c);
  for (uint32_t i = 0; i < n; i++) expr(c, e->u.call.v[i].value, w + place[i], TAIL_NO);
  for (int k = 0; k < s->n && k < total; k++)
    if (!given[k]) load_constant(c, w + k, s->defaults ? s->defaults[k] : norn_none());
  *count = total;
  return true;
}

static void argument_spans(comp *c, int at, const ast *e)
{
  emit_span(c, at, -1, e->span);
  for (uint32_t i = 0; i < e->u.call.n; i++) emit_span(c, at, (int)i, e->u.call.v[i].value->span);
}

/* Spans by parameter, for builtins whose errors name an argument. */
static void parameter_spans(comp *c, int at, const ast *e, const signature *s)
{
  emit_span(c, at, -1, e->span);
  for (uint32_t i = 0; i < e->u.call.n; i++) {
    const ast_arg *a = e->u.call.v + i;
    int k = a->name.s ? parameter_index(s, comp_sym(c, a->name.s)) : (int)i;
    if (k >= 0) emit_span(c, at, k, a->value->span);
  }
}

signature comp_signature(comp *c, const char *what, const env_entry *e)
{
  signature s = { what, sym_name(c->st, e->name), e->npars, 0, e->pnames, e->pdefaults, e->variadic, e->params };
  for (int i = 0; i < e->npars; i++)
    if (norn_is_none(e->pdefaults[i]) && !(e->variadic && i == e->npars - 1)) s.nreq = i + 1;
  return s;
}

static signature proto_signature(const proto *p, const char *params)
{
  return (signature){ "function", p->name, p->nargs, p->nreq, p->params, NULL, false, params };
}

static signature ctor_signature(comp *c, const env_entry *e)
{
  const ctor *k = env_ctor(c->st, (uint32_t)(e->tag >> 32));
  return (signature){ "constructor",
                      sym_name(c->st, e->name),
                      (int)e->arity,
                      (int)e->arity,
                      k ? k->fields : NULL,
                      NULL,
                      false,
                      NULL };
}

/* ---- calls of functions ---- */

/* The effect of a call decides whether the path gets a component around it. */
static bool pushes(comp *c, const ast *e)
{
  return !c->mod->stdlib && effect_of_call(c, e) != EFFECT_NONE;
}

static ty finish_call(comp *c, int at, int w, int dst, int save, tail_kind tail, const ast *e)
{
  argument_spans(c, at, e);
  if (tail == TAIL_RET) return TY_NEVER;
  if (save >= 0) emit(c, OP_AREST, save, 0, 0);
  if (w != dst) emit(c, OP_MOVE, dst, w, 0);
  return TY_ANY;
}

/* A window at the top (in dst's place if that is the newest temporary), below it the saved path. */
static int open_window(comp *c, int dst, bool push, int *save)
{
  *save = -1;
  if (push) *save = temp(c);
  else if (dst >= 0 && fresh(c, dst)) c->f->top--;
  return c->f->top;
}

static ty call_known(comp *c, const ast *e, const proto *p, const char *params, int dst,
                     tail_kind tail, const char *let_name)
{
  int top = c->f->top, save, n = 0;
  bool push = pushes(c, e);
  uint64_t where = push ? call_comp(c, e->u.call.fn, let_name) : 0;
  int w = open_window(c, dst, push && tail != TAIL_RET, &save);
  temps(c, FRAME_SIZE);
  signature s = proto_signature(p, params);
  if (!comp_arguments(c, e, &s, w + FRAME_SIZE, &n)) {
    c->f->top = top;
    emit(c, OP_LOADU, dst, 0, 0);
    return leave(c, dst, tail, TY_ANY, e);
  }
  if (push && tail == TAIL_RET) {
    int r = temp(c);
    int at = emit(c, OP_APUSH, r, 0, 0);
    emit_lit(c, at, 0, where);
  } else if (push) {
    int at = emit(c, OP_APUSH, save, 0, 0);
    emit_lit(c, at, 0, where);
  }
  int at = emit_p(c, tail == TAIL_RET ? OP_TCALLG : OP_CALLG, w, n, 0, p);
  ty t = finish_call(c, at, w, dst, save, tail, e);
  c->f->top = top;
  return t;
}

static ty call_value(comp *c, const ast *e, int dst, tail_kind tail, const char *let_name)
{
  int top = c->f->top, save;
  uint32_t n = e->u.call.n;
  bool push = pushes(c, e);
  uint64_t where = push ? call_comp(c, e->u.call.fn, let_name) : 0;
  int w = open_window(c, dst, push && tail != TAIL_RET, &save);
  temps(c, FRAME_SIZE + (int)n);
  expr(c, e->u.call.fn, w + FRAME_SIZE - 1, TAIL_NO);
  bool named = false;
  for (uint32_t i = 0; i < n; i++) {
    named |= e->u.call.v[i].name.s != NULL;
    expr(c, e->u.call.v[i].value, w + FRAME_SIZE + (int)i, TAIL_NO);
  }
  if (push) {
    int r = save >= 0 ? save : temp(c);
    int at = emit(c, OP_APUSH, r, 0, 0);
    emit_lit(c, at, 0, where);
  }
  int at;
  if (named) {
    int64_t dims = n;
    void *names;
    val v = norn_array(c->st, NORN_I64, 1, &dims, &names);
    if (norn_is_none(v)) { c->memory = true; return TY_ANY; }
    for (uint32_t i = 0; i < n; i++)
      ((int64_t *)names)[i] = e->u.call.v[i].name.s ? comp_sym(c, e->u.call.v[i].name.s) : 0;
    at = emit_i(c, OP_CALLX, w, (int)n, constant(c, v));
    ty t = finish_call(c, at, w, dst, save, TAIL_NO, e);
    c->f->top = top;
    return leave(c, dst, tail, t, e);
  }
  at = emit(c, tail == TAIL_RET ? OP_TCALL : OP_CALL, w, (int)n, 0);
  ty t = finish_call(c, at, w, dst, save, tail, e);
  c->f->top = top;
  return t;
}

/* A local function that catches something: its parameters are known, its closure is a value. */
static ty call_local(comp *c, const ast *e, const proto *p, int dst, tail_kind tail,
                     const char *let_name)
{
  int top = c->f->top, save, n = 0;
  bool push = pushes(c, e);
  uint64_t where = push ? call_comp(c, e->u.call.fn, let_name) : 0;
  int w = open_window(c, dst, push && tail != TAIL_RET, &save);
  temps(c, FRAME_SIZE);
  expr(c, e->u.call.fn, w + FRAME_SIZE - 1, TAIL_NO);
  signature s = proto_signature(p, NULL);
  if (!comp_arguments(c, e, &s, w + FRAME_SIZE, &n)) {
    c->f->top = top;
    emit(c, OP_LOADU, dst, 0, 0);
    return leave(c, dst, tail, TY_ANY, e);
  }
  if (push) {
    int r = save >= 0 ? save : temp(c);
    int at = emit(c, OP_APUSH, r, 0, 0);
    emit_lit(c, at, 0, where);
  }
  int at = emit(c, tail == TAIL_RET ? OP_TCALL : OP_CALL, w, n, 0);
  ty t = finish_call(c, at, w, dst, save, tail, e);
  c->f->top = top;
  return t;
}

/* ---- self tail calls: a jump ---- */

/* Does e read register r of the running function? */
static bool reads(const comp *c, const ast *e, int r)
{
  if (!e) return false;
  switch (e->kind) {
  case AST_INT:
  case AST_REAL:
  case AST_STR:
  case AST_BOOL:
  case AST_UNIT:
  case AST_MISSING: return false;
  case AST_NAME:
    return e->bind && e->bind->owner == c->f->info && e->bind->reg == r &&
           (e->bind->kind == BIND_LOCAL || e->bind->kind == BIND_PARAM);
  case AST_UNARY:
  case AST_BINARY:
  case AST_AND:
  case AST_OR:
  case AST_RANGE: return reads(c, e->u.bin.a, r) || reads(c, e->u.bin.b, r);
  case AST_FIELD: return reads(c, e->u.field.base, r);
  case AST_INDEX:
    for (uint32_t i = 0; i < e->u.index.n; i++)
      if (e->u.index.v[i]->kind == AST_SLICE || reads(c, e->u.index.v[i], r)) return true;
    return reads(c, e->u.index.base, r);
  case AST_CALL:
    for (uint32_t i = 0; i < e->u.call.n; i++) if (reads(c, e->u.call.v[i].value, r)) return true;
    return reads(c, e->u.call.fn, r);
  default: return true;
  }
}

/* es[i] into regs[i], as if at once: directly where no later expression reads the register. */
void comp_assign(comp *c, const ast *const *es, const int *regs, const ty *want, int n,
                 const ast *also)
{
  int top = c->f->top;
  int *tmp = comp_get(c, (size_t)(n + 1) * sizeof *tmp);
  if (!tmp) return;
  temp(c); /* so that no target is the newest temporary */
  for (int i = 0; i < n; i++) {
    bool later = also && reads(c, also, regs[i]);
    tmp[i] = -1;
    if (es[i]->kind == AST_NAME && es[i]->bind && es[i]->bind->owner == c->f->info &&
        es[i]->bind->reg == regs[i] && es[i]->bind->kind != BIND_FN)
      continue;
    for (int j = i + 1; j < n; j++) later |= reads(c, es[j], regs[i]);
    int r = later ? (tmp[i] = temp(c)) : regs[i];
    ty t = expr(c, es[i], r, TAIL_NO);
    if (want && want[i] == TY_REAL && t != TY_REAL) emit_f(c, OP_MULK, r, r, 1.0);
  }
  for (int i = 0; i < n; i++) if (tmp[i] >= 0) emit(c, OP_MOVE, regs[i], tmp[i], 0);
  c->f->top = top;
}

static bool is_self(comp *c, const ast *fn)
{
  const fn_info *here = c->f->info;
  if (fn->kind != AST_NAME || !fn->bind) return false;
  if (fn->bind->kind == BIND_FN) return fn->bind->fn == here;
  return fn->bind->kind == BIND_GLOBAL && here->entry && fn->bind->entry == here->entry &&
         here->p == fn->bind->entry->known;
}

static bool self_jump(comp *c, const ast *e, const char *let_name)
{
  const proto *p = c->f->info->p;
  int n = (int)e->u.call.n;
  if (p->is_model || n != p->nargs || n > 60) return false;
  const ast *es[60];
  int regs[60];
  for (int i = 0; i < n; i++) {
    if (e->u.call.v[i].name.s) return false;
    es[i] = e->u.call.v[i].value;
    regs[i] = i;
  }
  if (pushes(c, e)) {
    comp_assign(c, es, regs, NULL, n, NULL);
    int r = c->f->top, keep = r;
    r = temp(c);
    int at = emit(c, OP_APUSH, r, 0, 0);
    emit_lit(c, at, 0, call_comp(c, e->u.call.fn, let_name));
    c->f->top = keep;
  } else comp_assign(c, es, regs, NULL, n, NULL);
  int at = emit(c, OP_LOOP, 0, 0, 0);
  jump_back(c, at, c->f->start);
  emit_span(c, at, -1, e->span);
  return true;
}

/* ---- calls of builtins ---- */

static ty call_native(comp *c, const ast *e, env_entry *x, int dst)
{
  int top = c->f->top, n = 0;
  const norn_native *f = x->native;
  if (f->real1 && e->u.call.n == 1 && !e->u.call.v[0].name.s) {
    ty t;
    int r = operand_in(c, e->u.call.v[0].value, &t, dst), at = emit_p(c, OP_MATH1, dst, r, 0, f);
    argument_spans(c, at, e);
    c->f->top = top;
    return ty_is_num(t) ? TY_REAL : TY_ANY;
  }
  if (e->u.call.n == 1 && !strcmp(f->name, "len") && !x->variadic && !e->u.call.v[0].name.s) {
    ty t;
    int r = operand_in(c, e->u.call.v[0].value, &t, dst), at = emit(c, OP_LEN, dst, r, 0);
    argument_spans(c, at, e);
    c->f->top = top;
    return TY_INT;
  }
  if (e->u.call.n == 2 && !strcmp(f->name, "push") && !e->u.call.v[1].name.s) {
    ty t;
    int r = operand_in(c, e->u.call.v[0].value, &t, dst), q = operand(c, e->u.call.v[1].value, &t),
        at = emit(c, OP_PUSH, dst, r, q);
    argument_spans(c, at, e);
    c->f->top = top;
    return TY_ANY;
  }
  signature s = comp_signature(c, "function", x);
  int save, w = open_window(c, dst, false, &save);
  temp(c);
  if (!comp_arguments(c, e, &s, w, &n)) {
    c->f->top = top;
    emit(c, OP_LOADU, dst, 0, 0);
    return TY_ANY;
  }
  int at = emit_p(c, OP_NATIVE, w, n, 0, f);
  parameter_spans(c, at, e, &s);
  if (w != dst) emit(c, OP_MOVE, dst, w, 0);
  c->f->top = top;
  return TY_ANY;
}

static ty call_builder(comp *c, const ast *e, env_entry *x, int op, const void *lit, int dst)
{
  int top = c->f->top, n = 0;
  signature s = x->kind == ENV_CTOR ? ctor_signature(c, x) : comp_signature(c, "function", x);
  char fields[200] = "";
  if (x->kind == ENV_CTOR && s.names) {
    size_t k = 0;
    for (int i = 0; i < s.n && k < sizeof fields; i++)
      k += (size_t)snprintf(fields + k, sizeof fields - k, "%s%s", i ? ", " : "",
                            sym_name(c->st, s.names[i]));
    s.text = fields;
  }
  int w = c->f->top;
  if (!comp_arguments(c, e, &s, w, &n)) {
    c->f->top = top;
    emit(c, OP_LOADU, dst, 0, 0);
    return TY_ANY;
  }
  int at;
  if (op == OP_DATA && n == 0) { at = emit(c, OP_LOADE, dst, 0, 0); emit_lit(c, at, 0, x->tag); }
  else {
    at = emit(c, op, dst, w, n);
    if (op == OP_DATA) emit_lit(c, at, 0, x->tag);
    else emit_lit(c, at, 0, (uint64_t)(uintptr_t)lit);
  }
  parameter_spans(c, at, e, &s);
  c->f->top = top;
  return TY_ANY;
}

static ty call_model(comp *c, const ast *e, const proto *p, const char *params, int dst)
{
  int top = c->f->top, w = top, n = 0;
  signature s = proto_signature(p, params);
  if (!comp_arguments(c, e, &s, w, &n)) {
    c->f->top = top;
    emit(c, OP_LOADU, dst, 0, 0);
    return TY_ANY;
  }
  int at = emit(c, OP_MODEL, dst, w, n);
  emit_lit(c, at, 0, (uint64_t)(uintptr_t)p);
  argument_spans(c, at, e);
  c->f->top = top;
  return TY_ANY;
}

static ty call_entry(comp *c, const ast *e, env_entry *x, int dst, tail_kind tail,
                     const char *let_name, bool *done)
{
  *done = true;
  switch (x->kind) {
  case ENV_NATIVE:
    if (!x->native) {
      c->let_name = let_name;
      ty t = comp_special(c, e, dst, done);
      c->let_name = NULL;
      return leave(c, dst, tail, t, e);
    }
    return leave(c, dst, tail, call_native(c, e, x, dst), e);
  case ENV_DIST:
    c->st->gets_ready |= x->row->ready != NULL;
    return leave(c, dst, tail, call_builder(c, e, x, OP_DIST, x->row, dst), e);
  case ENV_ENGINE: return leave(c, dst, tail, call_builder(c, e, x, OP_ENGINE, x->engine, dst), e);
  case ENV_CTOR: return leave(c, dst, tail, call_builder(c, e, x, OP_DATA, NULL, dst), e);
  case ENV_GLOBAL:
    if (!x->known) break;
    if (x->known->is_model)
      return leave(c, dst, tail, call_model(c, e, x->known, x->params, dst), e);
    return call_known(c, e, x->known, x->params, dst, tail, let_name);
  case ENV_MODULE:
    comp_error(c, e->u.call.fn->span, "%s is a module", sym_name(c->st, x->name));
    return leave(c, dst, tail, TY_ANY, e);
  default: break;
  }
  *done = false;
  return TY_ANY;
}

ty comp_call(comp *c, const ast *e, int dst, tail_kind tail)
{
  const char *let_name = c->let_name;
  const ast *f = e->u.call.fn;
  c->let_name = NULL;
  if (tail == TAIL_RET && is_self(c, f) && self_jump(c, e, let_name)) return TY_NEVER;
  if (tail == TAIL_FOLD) return leave(c, dst, tail, TY_ANY, e);
  bool done;
  env_entry *x = comp_callee(c, f);
  if (x) { ty t = call_entry(c, e, x, dst, tail, let_name, &done); if (done) return t; }
  if (f->kind == AST_FIELD && !x && f->u.field.base->kind == AST_NAME && f->u.field.base->bind &&
      f->u.field.base->bind->kind == BIND_GLOBAL &&
      f->u.field.base->bind->entry->kind == ENV_MODULE)
    return leave(c, dst, tail, TY_ANY, e); /* reported */
  if (f->kind == AST_NAME && f->bind && f->bind->kind == BIND_FN) {
    fn_info *g = f->bind->fn;
    if (g->p && !g->ncaps && g->is_model)
      return leave(c, dst, tail, call_model(c, e, g->p, NULL, dst), e);
    if (g->p)
      return g->ncaps ? call_local(c, e, g->p, dst, tail, let_name)
                      : call_known(c, e, g->p, NULL, dst, tail, let_name);
  }
  return call_value(c, e, dst, tail, let_name);
}

/* ---- builtins as values: eta-expanded ---- */

static ast *new_node(comp *c, ast_kind kind, norn_span span)
{
  ast *e = comp_get(c, sizeof *e);
  if (e) { e->kind = kind; e->span = span; }
  return e;
}

/* (p0, p1, ...) -> name(p0, p1, ...) */
static ty eta(comp *c, env_entry *x, int n, const sym *names, int dst, norn_span span,
              const ast *callee)
{
  ast *fn = callee ? NULL : new_node(c, AST_NAME, span), *call = new_node(c, AST_CALL, span),
      *lambda = new_node(c, AST_LAMBDA, span);
  ast_fn *f = comp_get(c, sizeof *f);
  fn_info *info = comp_get(c, sizeof *info);
  ast_param *params = comp_get(c, (size_t)(n + 1) * sizeof *params);
  ast_arg *args = comp_get(c, (size_t)(n + 1) * sizeof *args);
  binding *g = comp_get(c, sizeof *g);
  if ((!fn && !callee) || !call || !lambda || !f || !info || !params || !args || !g) return TY_ANY;
  g->kind = BIND_GLOBAL; g->entry = x; g->name = sym_name(c->st, x->name);
  if (fn) { fn->u.name = g->name; fn->bind = g; }
  for (int i = 0; i < n; i++) {
    binding *b = comp_get(c, sizeof *b);
    ast *use = new_node(c, AST_NAME, span);
    if (!b || !use) return TY_ANY;
    params[i].name.s = names ? sym_name(c->st, names[i]) : "x"; params[i].bind = b;
    b->kind = BIND_PARAM; b->name = params[i].name.s; b->owner = info;
    use->u.name = b->name; use->bind = b;
    args[i].value = use;
  }
  call->u.call.fn = fn ? fn : (ast *)(uintptr_t)callee;
  call->u.call.v = args;
  call->u.call.n = (uint32_t)n;
  f->params = params; f->nparams = (uint32_t)n; f->body = call; f->info = info;
  info->ast = f;
  info->node = lambda;
  info->up = c->f->info;
  info->numbers = info;
  info->effects.any = true;
  lambda->u.fn = f;
  return expr(c, lambda, dst, TAIL_NO);
}

ty entry_value(comp *c, env_entry *x, int dst, norn_span span, const ast *callee)
{
  switch (x->kind) {
  case ENV_GLOBAL:
    if (x->known) emit_p(c, OP_LOADFN, dst, 0, 0, x->known);
    else emit_span(c, emit_i(c, OP_GETG, dst, 0, x->slot), -1, span);
    return TY_ANY;
  case ENV_NATIVE:
    if (x->native) { emit_p(c, OP_LOADNAT, dst, 0, 0, x->native); return TY_ANY; }
    return eta(c, x, x->npars ? x->npars : 1, x->pnames, dst, span, callee);
  case ENV_DIST: case ENV_ENGINE: {
    signature s = comp_signature(c, "function", x);
    return eta(c, x, s.nreq ? s.nreq : 0, x->pnames, dst, span, callee); }
  case ENV_CTOR:
    if (x->arity) {
      signature s = ctor_signature(c, x);
      return eta(c, x, s.n, s.names, dst, span, callee);
    }
    { int at = emit(c, OP_LOADE, dst, 0, 0); emit_lit(c, at, 0, x->tag); }
    return TY_ANY;
  case ENV_CONST:
    load_constant(c, dst, x->value);
    return V_KIND(x->value) == NORN_REAL ? TY_REAL : V_KIND(x->value) == NORN_INT ? TY_INT : TY_ANY;
  case ENV_MODULE: {
    diag *d = comp_error(c, span, "%s is a module, not a value", sym_name(c->st, x->name));
    if (d) error_hint(&d->e, "its functions are written %s.name", sym_name(c->st, x->name));
    emit(c, OP_LOADU, dst, 0, 0);
    return TY_ANY; }
  default: emit(c, OP_LOADU, dst, 0, 0); return TY_ANY;
  }
}
