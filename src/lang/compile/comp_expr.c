/* comp_expr.c: expressions, operators, conditions, blocks. */
#include "lang/compile/comp.h"
#include <string.h>

static const int generic_op[BIN_COUNT] = {
  [BIN_EQ] = OP_EQ,   [BIN_NE] = OP_NE,         [BIN_LT] = OP_LT,      [BIN_LE] = OP_LE,
  [BIN_GT] = OP_LT,   [BIN_GE] = OP_LE,         [BIN_CAT] = OP_CONCAT, [BIN_ADD] = OP_ADD,
  [BIN_SUB] = OP_SUB, [BIN_MUL] = OP_MUL,       [BIN_DIV] = OP_DIV,    [BIN_IDIV] = OP_IDIV,
  [BIN_MOD] = OP_MOD, [BIN_MATMUL] = OP_MATMUL, [BIN_POW] = OP_POW
};

static bool small_int(const ast *e, int64_t *k)
{
  if (e->kind != AST_INT || e->u.i < -30000 || e->u.i > 30000) return false;
  *k = e->u.i;
  return true;
}

void load_int(comp *c, int dst, int64_t i) { emit_i(c, OP_LOADI, dst, 0, i); }

ty leave(comp *c, int dst, tail_kind tail, ty t, const ast *e)
{
  if (tail == TAIL_RET) { emit(c, OP_RET, dst, 0, 0); return TY_NEVER; }
  if (tail == TAIL_FOLD) {
    diag *d = comp_error(c, e->span, "this path of the fold does not end in next");
    if (d) error_hint(&d->e, "write next with the new value of each state");
    return TY_NEVER;
  }
  return t;
}

bool fresh(comp *c, int dst)
{
  return dst == c->f->top - 1;
}

/* ---- names ---- */

static int capture_index(const fn_info *f, const binding *b)
{
  for (int i = 0; i < f->ncaps; i++) if (f->caps[i] == b) return i;
  return -1;
}

/* The closure of a local function: static, the running one, or built from captures. */
void function_value(comp *c, fn_info *f, int dst)
{
  fn_info *here = c->f->info;
  if (!f->ncaps) { emit_p(c, OP_LOADFN, dst, 0, 0, f->p); return; }
  if (f == here) { emit(c, OP_LOADSELF, dst, 0, 0); return; }
  int top = c->f->top, w = temps(c, f->ncaps);
  for (int i = 0; i < f->ncaps; i++) load_binding(c, f->caps[i], w + i, f->caps[i]->span);
  emit_p(c, OP_CLOSURE, dst, w, f->ncaps, f->p);
  c->f->top = top;
}

void load_binding(comp *c, const binding *b, int dst, norn_span span)
{
  fn_info *here = c->f->info;
  if (b->kind == BIND_GLOBAL) { entry_value(c, b->entry, dst, span, NULL); return; }
  if (b->kind == BIND_FN) {
    int k = capture_index(here, b);
    if (k >= 0) { emit(c, OP_GETCAP, dst, k, 0); return; }
    if (b->owner != here || !b->fn->ncaps || b->reg < 0) { function_value(c, b->fn, dst); return; }
    emit(c, OP_MOVE, dst, b->reg, 0);
    return;
  }
  if (b->owner == here) { if (b->reg != dst) emit(c, OP_MOVE, dst, b->reg, 0); return; }
  int k = capture_index(here, b);
  emit(c, OP_GETCAP, dst, k < 0 ? 0 : k, 0);
}

static bool is_local(comp *c, const ast *e)
{
  const binding *b = e->kind == AST_NAME ? e->bind : NULL;
  return b && (b->kind == BIND_LOCAL || b->kind == BIND_PARAM) && b->owner == c->f->info &&
         b->reg >= 0;
}

int operand(comp *c, const ast *e, ty *t)
{
  if (is_local(c, e)) { *t = e->bind->type; return e->bind->reg; }
  int r = temp(c);
  *t = expr(c, e, r, TAIL_NO);
  return r;
}

int operand_in(comp *c, const ast *e, ty *t, int dst)
{
  if (is_local(c, e) || !fresh(c, dst)) return operand(c, e, t);
  *t = expr(c, e, dst, TAIL_NO);
  return dst;
}

/* ---- arithmetic ---- */

static void binary_spans(comp *c, int at, const ast *e)
{
  emit_span(c, at, -1, e->span);
  emit_span(c, at, 0, e->u.bin.a->span);
  emit_span(c, at, 1, e->u.bin.b->span);
}

/* x + k, x - k, x * k with small integers; x op real literal; real literal op x. */
static bool with_literal(comp *c, const ast *e, int dst, ty *out)
{
  const ast *a = e->u.bin.a, *b = e->u.bin.b;
  int op = e->op, at;
  int64_t k;
  ty t;
  if ((op == BIN_ADD || op == BIN_SUB || op == BIN_MUL) && small_int(b, &k)) {
    int r = operand_in(c, a, &t, dst);
    if (op == BIN_MUL) at = emit(c, OP_MULI, dst, r, 0);
    else at = emit(c, t == TY_INT ? OP_IADDI : OP_ADDI, dst, r, 0);
    if (!c->memory) c->f->code[at].c = (uint16_t)(int16_t)(op == BIN_SUB ? -k : k);
    *out = ty_binary(op, t, TY_INT);
  } else if ((op == BIN_ADD || op == BIN_MUL) && small_int(a, &k)) {
    int r = operand_in(c, b, &t, dst);
    at = emit(c, op == BIN_MUL ? OP_MULI : t == TY_INT ? OP_IADDI : OP_ADDI, dst, r, 0);
    if (!c->memory) c->f->code[at].c = (uint16_t)(int16_t)k;
    *out = ty_binary(op, TY_INT, t);
  } else if (b->kind == AST_REAL && op >= BIN_ADD && op <= BIN_DIV) {
    static const int g[] = { OP_ADDK, OP_SUBK, OP_MULK, OP_DIVK },
                     u[] = { OP_FADDK, OP_FSUBK, OP_FMULK, OP_FDIVK };
    int r = operand_in(c, a, &t, dst);
    at = emit_f(c, t == TY_REAL ? u[op - BIN_ADD] : g[op - BIN_ADD], dst, r, b->u.d);
    *out = ty_binary(op, t, TY_REAL);
  } else if (a->kind == AST_REAL && op >= BIN_ADD && op <= BIN_DIV) {
    static const int g[] = { OP_ADDK, OP_RSUBK, OP_MULK, OP_RDIVK },
                     u[] = { OP_FADDK, OP_FRSUBK, OP_FMULK, OP_FRDIVK };
    int r = operand_in(c, b, &t, dst);
    at = emit_f(c, t == TY_REAL ? u[op - BIN_ADD] : g[op - BIN_ADD], dst, r, a->u.d);
    *out = ty_binary(op, TY_REAL, t);
  } else if (op == BIN_MOD && b->kind == AST_INT && b->u.i > 0) {
    int r = operand_in(c, a, &t, dst);
    at = emit_i(c, OP_MODK, dst, r, b->u.i);
    *out = ty_binary(op, t, TY_INT);
  } else return false;
  binary_spans(c, at, e);
  return true;
}

static bool draws_truth(const ast *d)
{
  const ast *f = d && d->kind == AST_CALL ? d->u.call.fn : NULL;
  return f && f->kind == AST_NAME && f->bind && f->bind->kind == BIND_GLOBAL && f->bind->entry &&
         f->bind->entry->kind == ENV_DIST && !strncmp(f->u.name, "bernoulli", 9) && !strstr(f->u.name, "glm");
}

/* x == 1 where x was drawn from a bernoulli: elsewhere that is a number, here it is true or false. */
static void truth_beside_number(comp *c, const ast *e)
{
  const ast *a = e->u.bin.a, *b = e->u.bin.b;
  if (a->kind != AST_NAME) a = e->u.bin.b, b = e->u.bin.a;
  if (a->kind != AST_NAME || !a->bind || (b->kind != AST_INT && b->kind != AST_REAL) || !draws_truth(a->bind->drawn))
    return;
  diag *d = diags_add(&c->st->diags, true, e->span, "%s is true or false, which is never equal to a number", a->u.name);
  if (d) error_hint(&d->e, "write %s itself, or not %s", a->u.name, a->u.name);
}

ty binary(comp *c, const ast *e, int dst)
{
  if (e->op == BIN_EQ || e->op == BIN_NE) truth_beside_number(c, e);
  int top = c->f->top, op = e->op;
  ty t, u, out;
  if (with_literal(c, e, dst, &out)) { c->f->top = top; return out; }
  int r = operand_in(c, e->u.bin.a, &t, dst), q = operand(c, e->u.bin.b, &u);
  int o = generic_op[op];
  if (t == TY_REAL && u == TY_REAL && op >= BIN_ADD && op <= BIN_DIV)
    o = op == BIN_ADD ? OP_FADD : op == BIN_SUB ? OP_FSUB : op == BIN_MUL ? OP_FMUL : OP_FDIV;
  else if (t == TY_INT && u == TY_INT && op >= BIN_ADD && op <= BIN_MUL)
    o = op == BIN_ADD ? OP_IADD : op == BIN_SUB ? OP_ISUB : OP_IMUL;
  int at = op == BIN_GT || op == BIN_GE ? emit(c, o, dst, q, r) : emit(c, o, dst, r, q);
  binary_spans(c, at, e);
  c->f->top = top;
  return ty_binary(op, t, u);
}

static ty unary(comp *c, const ast *e, int dst)
{
  int top = c->f->top;
  ty t;
  const ast *x = e->u.bin.a;
  if (e->op == UN_NEG && x->kind == AST_INT) { load_int(c, dst, -x->u.i); return TY_INT; }
  if (e->op == UN_NEG && x->kind == AST_REAL) {
    emit_f(c, OP_LOADF, dst, 0, -x->u.d);
    return TY_REAL;
  }
  int r = operand_in(c, x, &t, dst);
  int at = emit(c,
                e->op == UN_NOT         ? OP_NOT
                : e->op == UN_TRANSPOSE ? OP_TRANSPOSE
                : t == TY_REAL          ? OP_FNEG
                                        : OP_NEG,
                dst, r, 0);
  emit_span(c, at, -1, e->span); emit_span(c, at, 0, x->span);
  c->f->top = top;
  return e->op == UN_NOT ? TY_BOOL : e->op == UN_NEG && ty_is_num(t) ? t : TY_ANY;
}

/* ---- conditions ---- */

static int compare_jump(comp *c, const ast *e, bool sense)
{
  const ast *a = e->u.bin.a, *b = e->u.bin.b;
  int op = e->op, r, q, o;
  int64_t k;
  ty t, u;
  if (op == BIN_EQ || op == BIN_NE) truth_beside_number(c, e);
  r = operand(c, a, &t);
  if (op == BIN_EQ || op == BIN_NE) {
    bool jump_if_equal = (op == BIN_EQ) == sense;
    if (small_int(b, &k)) {
      int at = emit(c, jump_if_equal ? OP_JEQI : t == TY_INT ? OP_IJNEQI : OP_JNEQI, r, 0, 0);
      if (!c->memory) c->f->code[at].b = (uint16_t)(int16_t)k;
      return at;
    }
    q = operand(c, b, &u);
    return emit(c, jump_if_equal ? OP_JEQ : OP_JNEQ, r, q, 0);
  }
  if (!sense && small_int(b, &k)) {
    static const int any[] = {
      [BIN_LT] = OP_JNLTI, [BIN_LE] = OP_JNLEI, [BIN_GT] = OP_JNGTI, [BIN_GE] = OP_JNGEI
    };
    o = t == TY_INT && op == BIN_LT ? OP_IJNLTI : t == TY_INT && op == BIN_GT ? OP_IJNGTI : any[op];
    int at = emit(c, o, r, 0, 0);
    if (!c->memory) c->f->code[at].b = (uint16_t)(int16_t)k;
    return at;
  }
  if (!sense && b->kind == AST_REAL && (op == BIN_LT || op == BIN_GT))
    return emit_f(c,
                  op == BIN_LT   ? (t == TY_REAL ? OP_FJNLTK : OP_JNLTK)
                  : t == TY_REAL ? OP_FJNGTK
                                 : OP_JNGTK,
                  r, 0, b->u.d);
  q = operand(c, b, &u);
  bool strict = op == BIN_LT || op == BIN_GT;
  if (op == BIN_GT || op == BIN_GE) { int s = r; r = q; q = s; }
  if (sense) o = strict ? OP_JLT : OP_JLE;
  else if (t == TY_INT && u == TY_INT) o = strict ? OP_IJNLT : OP_IJNLE;
  else if (t == TY_REAL && u == TY_REAL) o = strict ? OP_FJNLT : OP_FJNLE;
  else o = strict ? OP_JNLT : OP_JNLE;
  return emit(c, o, r, q, 0);
}

void cond(comp *c, const ast *e, bool sense, jumps *out)
{
  int top = c->f->top;
  if (e->kind == AST_AND || e->kind == AST_OR) {
    bool all = e->kind == AST_AND;
    if (all != sense) { cond(c, e->u.bin.a, sense, out); cond(c, e->u.bin.b, sense, out); return; }
    jumps skip = { 0 };
    cond(c, e->u.bin.a, !sense, &skip);
    cond(c, e->u.bin.b, sense, out);
    jumps_land(c, &skip);
    return;
  }
  if (e->kind == AST_UNARY && e->op == UN_NOT) { cond(c, e->u.bin.a, !sense, out); return; }
  if (e->kind == AST_BOOL) {
    if (e->u.b == sense) jumps_add(c, out, emit(c, OP_JMP, 0, 0, 0));
    return;
  }
  int at;
  if (e->kind == AST_BINARY && e->op <= BIN_GE) {
    at = compare_jump(c, e, sense);
    binary_spans(c, at, e);
  } else {
    ty t;
    int r = operand(c, e, &t);
    at = emit(c, sense ? OP_JT : OP_JF, r, 0, 0);
    emit_span(c, at, -1, e->span); emit_span(c, at, 0, e->span);
  }
  jumps_add(c, out, at);
  c->f->top = top;
}

/* a and b, a or b as values. */
static ty logic(comp *c, const ast *e, int dst)
{
  jumps no = { 0 };
  cond(c, e, false, &no);
  emit(c, OP_LOADB, dst, 1, 0);
  int end = emit(c, OP_JMP, 0, 0, 0);
  jumps_land(c, &no);
  emit(c, OP_LOADB, dst, 0, 0);
  land(c, end);
  return TY_BOOL;
}

/* let_name: of the let that takes the value; every branch may use it.  Without else it gives () where its condition is
   false, and also where it is true if its value is not `wanted`: then both ways leave the same, and particles need not
   part there. */
static ty comp_if(comp *c, const ast *e, int dst, tail_kind tail, const char *let_name, bool wanted)
{
  jumps no = { 0 };
  cond(c, e->u.cond.test, false, &no);
  c->let_name = let_name;
  ty a = expr(c, e->u.cond.yes, dst, tail);
  c->let_name = NULL;
  if (!e->u.cond.no && !wanted && a != TY_NEVER) emit(c, OP_LOADU, dst, 0, 0);
  int end = a == TY_NEVER ? -1 : emit(c, OP_JMP, 0, 0, 0);
  jumps_land(c, &no);
  ty b;
  if (e->u.cond.no) {
    c->let_name = let_name;
    b = expr(c, e->u.cond.no, dst, tail);
    c->let_name = NULL;
  } else {
    emit(c, OP_LOADU, dst, 0, 0);
    b = leave(c, dst, tail, TY_ANY, e);
    a = a == TY_NEVER ? a : TY_ANY;
  }
  if (end >= 0) land(c, end);
  return ty_join(a, b);
}

/* ---- collections ---- */

static ty comp_array(comp *c, const ast *e, int dst)
{
  int top = c->f->top;
  uint32_t n = e->u.list.n;
  if (n <= 200) {
    int w = temps(c, (int)n);
    for (uint32_t i = 0; i < n; i++) expr(c, e->u.list.v[i], w + (int)i, TAIL_NO);
    int at = n ? emit(c, OP_ARRAY, dst, w, 0) : emit(c, OP_NEWVEC, dst, 0, 0);
    if (n && !c->memory) c->f->code[at].c = (uint16_t)n;
    emit_span(c, at, -1, e->span);
  } else {
    int acc = temp(c), x = temp(c);
    emit(c, OP_NEWVEC, acc, 0, 0);
    for (uint32_t i = 0; i < n; i++) {
      expr(c, e->u.list.v[i], x, TAIL_NO);
      emit_span(c, emit(c, OP_PUSH, acc, acc, x), -1, e->span);
    }
    emit(c, OP_MOVE, dst, acc, 0);
  }
  c->f->top = top;
  return TY_ANY;
}

static val string_constant(comp *c, const char *s, size_t n)
{
  val v = norn_string(c->st, s, n);
  if (norn_is_none(v)) { c->memory = true; return norn_unit(); }
  return v;
}

static ty interpolation(comp *c, const ast *e, int dst)
{
  int top = c->f->top, w = temps(c, (int)e->u.list.n);
  for (uint32_t i = 0; i < e->u.list.n; i++) expr(c, e->u.list.v[i], w + (int)i, TAIL_NO);
  int at = emit(c, OP_STRCAT, dst, w, 0);
  if (!c->memory) c->f->code[at].c = (uint16_t)e->u.list.n;
  emit_span(c, at, -1, e->span);
  c->f->top = top;
  return TY_ANY;
}

static ty record_with(comp *c, const ast *e, int dst)
{
  int top = c->f->top, n = (int)e->u.record.n, w = temps(c, n + 1);
  int64_t names[64];
  if (n > 60) { comp_error(c, e->span, "more than 60 fields are changed at once"); return TY_ANY; }
  expr(c, e->u.record.base, w, TAIL_NO);
  for (int i = 0; i < n; i++) {
    expr(c, e->u.record.v[i].value, w + 1 + i, TAIL_NO);
    names[i] = comp_sym(c, e->u.record.v[i].name.s);
  }
  void *where;
  int64_t dims = n;
  val v = norn_array(c->st, NORN_I64, 1, &dims, &where);
  if (norn_is_none(v)) { c->memory = true; return TY_ANY; }
  memcpy(where, names, (size_t)n * sizeof *names);
  int at = emit(c, OP_WITH, dst, w, 0);
  if (!c->memory) { c->f->code[at].c = (uint16_t)(n + 1); c->f->code[at + 1].i = constant(c, v); }
  emit_span(c, at, -1, e->span); emit_span(c, at, 0, e->u.record.base->span);
  c->f->top = top;
  return TY_ANY;
}

ty comp_record(comp *c, const ast *e, int dst)
{
  if (e->u.record.base) return record_with(c, e, dst);
  int top = c->f->top, n = (int)e->u.record.n, w = temps(c, n);
  sym *names = comp_get(c, (size_t)(n + 1) * sizeof *names);
  if (!names) return TY_ANY;
  for (int i = 0; i < n; i++) {
    expr(c, e->u.record.v[i].value, w + i, TAIL_NO);
    names[i] = comp_sym(c, e->u.record.v[i].name.s);
  }
  const shape *s = shape_intern(c->st, names, (uint32_t)n);
  if (!s) { c->memory = true; return TY_ANY; }
  int at = emit(c, OP_RECORD, dst, w, 0);
  if (!c->memory) { c->f->code[at].c = (uint16_t)n; c->f->code[at + 1].p = s; }
  c->f->top = top;
  return TY_ANY;
}

ty comp_index(comp *c, const ast *e, int dst)
{
  int top = c->f->top, at;
  uint32_t n = e->u.index.n;
  ty t;
  if (n == 1 && e->u.index.v[0]->kind != AST_SLICE) {
    int r = operand_in(c, e->u.index.base, &t, dst), q = operand(c, e->u.index.v[0], &t);
    at = emit(c, OP_INDEX, dst, r, q);
  } else {
    unsigned mask = 0;
    int w = c->f->top, used = 1, max = 1 + 2 * (int)n;
    temps(c, max);
    expr(c, e->u.index.base, w, TAIL_NO);
    for (uint32_t i = 0; i < n; i++) {
      const ast *x = e->u.index.v[i];
      if (x->kind != AST_SLICE) { expr(c, x, w + used++, TAIL_NO); continue; }
      mask |= 1u << i;
      if (x->u.bin.a) expr(c, x->u.bin.a, w + used, TAIL_NO);
      else emit(c, OP_LOADN, w + used, 0, 0);
      if (x->u.bin.b) expr(c, x->u.bin.b, w + used + 1, TAIL_NO);
      else emit(c, OP_LOADN, w + used + 1, 0, 0);
      used += 2;
    }
    at = emit(c, OP_INDEXN, dst, w, 0);
    if (!c->memory) { c->f->code[at].c = (uint16_t)used; c->f->code[at + 1].i = mask; }
  }
  emit_span(c, at, -1, e->span); emit_span(c, at, 0, e->u.index.base->span);
  if (n) emit_span(c, at, 1, e->u.index.v[0]->span);
  c->f->top = top;
  return TY_ANY;
}

static ty comp_field(comp *c, const ast *e, int dst)
{
  env_entry *x = resolve_module_member(c, e, false);
  if (x) return entry_value(c, x, dst, e->span, e);
  const ast *base = e->u.field.base;
  if (base->kind == AST_NAME && base->bind && base->bind->kind == BIND_GLOBAL &&
      base->bind->entry->kind == ENV_MODULE)
    return TY_ANY; /* reported */
  int top = c->f->top;
  ty t;
  int r = operand_in(c, base, &t, dst), at = emit(c, OP_GETF, dst, r, 0);
  if (!c->memory) c->f->code[at + 1].i = comp_sym(c, e->u.field.name.s);
  emit_span(c, at, -1, e->u.field.name.span);
  c->f->top = top;
  return TY_ANY;
}

/* ---- blocks and lambdas ---- */

static ty comp_lambda(comp *c, const ast *e, int dst)
{
  fn_info *f = e->u.fn->info;
  if (!f) return TY_ANY;
  if (!f->p && !compile_function(c, f)) return TY_ANY;
  int top = c->f->top, w = temps(c, f->ncaps);
  if (!f->ncaps) { emit_p(c, OP_LOADFN, dst, 0, 0, f->p); return TY_ANY; }
  for (int i = 0; i < f->ncaps; i++) load_binding(c, f->caps[i], w + i, e->span);
  int at = emit_p(c, OP_CLOSURE, dst, w, 0, f->p);
  if (!c->memory) c->f->code[at].c = (uint16_t)f->ncaps;
  c->f->top = top;
  return TY_ANY;
}

/* A group of local functions: compiled together; those that are used as values get a register. */
static uint32_t comp_group(comp *c, ast *const *v, uint32_t n)
{
  uint32_t k = 0;
  while (k < n && (v[k]->kind == AST_FN || v[k]->kind == AST_MODEL)) k++;
  for (uint32_t i = 0; i < k; i++) { /* the protos first: they refer to each other */
    fn_info *f = v[i]->u.fn->info;
    if (f && !f->p)
      f->p = proto_new(c, v[i]->u.fn, v[i]->u.fn->name.s, f->is_model, v[i]->u.fn->name.span);
    if (f && f->p) f->p->ncap = (uint16_t)f->ncaps;
  }
  for (uint32_t i = 0; i < k; i++)
    if (v[i]->u.fn->info && v[i]->u.fn->info->p) compile_function(c, v[i]->u.fn->info);
  for (uint32_t i = 0; i < k; i++) {
    fn_info *f = v[i]->u.fn->info;
    if (!f || !f->p || !f->ncaps) continue;
    int r = temp(c);
    f->self->reg = -1;
    function_value(c, f, r);
    f->self->reg = r;
  }
  return k;
}

static void comp_let(comp *c, const ast *e)
{
  const ast *p = e->u.let.pattern;
  if (p->kind == AST_PAT_NAME && e->u.let.value->kind == AST_NAME &&
      is_local(c, e->u.let.value)) { /* another name for the same */
    if (p->bind) {
      p->bind->reg = e->u.let.value->bind->reg;
      p->bind->type = e->u.let.value->bind->type;
    }
    return;
  }
  int r = temp(c);
  c->let_name = p->kind == AST_PAT_NAME ? p->u.name : NULL;
  ty t = expr(c, e->u.let.value, r, TAIL_NO);
  c->let_name = NULL;
  if (p->kind == AST_PAT_NAME) { if (p->bind) { p->bind->reg = r; p->bind->type = t; } }
  else comp_let_pattern(c, p, r);
}

/* An expression whose value nobody wants. */
static void comp_unused(comp *c, const ast *s)
{
  int top = c->f->top;
  c->let_name = NULL;
  if (s->kind == AST_FOR && !s->u.loop.states) comp_for(c, s, -1);
  else if (s->kind == AST_IF) comp_if(c, s, temp(c), TAIL_NO, NULL, false);
  else expr(c, s, temp(c), TAIL_NO);
  c->f->top = top;
}

void comp_statements(comp *c, ast *const *v, uint32_t n)
{
  for (uint32_t i = 0; i < n;) {
    const ast *s = v[i];
    if (s->kind == AST_FN || s->kind == AST_MODEL) { i += comp_group(c, v + i, n - i); continue; }
    if (s->kind == AST_LET) comp_let(c, s);
    else if (s->kind == AST_DRAW) comp_draw(c, s);
    else comp_unused(c, s);
    i++;
  }
}

ty comp_block(comp *c, ast *const *v, uint32_t n, int dst, tail_kind tail)
{
  int top = c->f->top;
  const char *let_name = c->let_name;                                /* for the last expression */
  const ast *last = n ? v[n - 1] : NULL;
  ty t;
  c->let_name = NULL;
  if (last && ast_is_expr(last)) {
    comp_statements(c, v, n - 1);
    c->let_name = let_name;
    t = expr(c, last, dst, tail);
  } else {
    comp_statements(c, v, n);
    emit(c, OP_LOADU, dst, 0, 0);
    t = !last && tail == TAIL_FOLD ? TY_NEVER
                                   : leave(c, dst, tail, TY_ANY, last ? last : c->f->info->node);
  }
  c->f->top = top;
  return t;
}

static ty comp_name(comp *c, const ast *e, int dst, tail_kind tail)
{
  if (!e->bind) { emit(c, OP_LOADU, dst, 0, 0); return leave(c, dst, tail, TY_ANY, e); }
  if (is_local(c, e)) {
    if (tail == TAIL_RET) { emit(c, OP_RET, e->bind->reg, 0, 0); return TY_NEVER; }
    if (e->bind->reg != dst) emit(c, OP_MOVE, dst, e->bind->reg, 0);
    return leave(c, dst, tail, e->bind->type, e);
  }
  ty t = e->bind->kind == BIND_LOCAL || e->bind->kind == BIND_PARAM ? e->bind->type : TY_ANY;
  load_binding(c, e->bind, dst, e->span);
  return leave(c, dst, tail, t, e);
}

static ty literal(comp *c, const ast *e, int dst)
{
  switch (e->kind) {
  case AST_INT: load_int(c, dst, e->u.i); return TY_INT;
  case AST_REAL: emit_f(c, OP_LOADF, dst, 0, e->u.d); return TY_REAL;
  case AST_BOOL: emit(c, OP_LOADB, dst, e->u.b, 0); return TY_BOOL;
  case AST_STR: {
    int64_t k = constant(c, string_constant(c, e->u.str.s, e->u.str.n));
    emit_i(c, OP_LOADK, dst, 0, k);
    return TY_ANY;
  }
  case AST_MISSING: emit(c, OP_LOADM, dst, 0, 0); return TY_ANY;
  default: emit(c, OP_LOADU, dst, 0, 0); return TY_ANY;
  }
}

ty expr(comp *c, const ast *e, int dst, tail_kind tail)
{
  int top = c->f->top;
  const char *let_name = c->let_name;
  ty t = TY_ANY;
  c->let_name = NULL;
  switch (e->kind) {
  case AST_NAME: return comp_name(c, e, dst, tail);
  case AST_BLOCK: c->let_name = let_name; return comp_block(c, e->u.list.v, e->u.list.n, dst, tail);
  case AST_IF: return comp_if(c, e, dst, tail, let_name, true);
  case AST_MATCH: c->let_name = let_name; return comp_match(c, e, dst, tail);
  case AST_NEXT: return comp_next(c, e, tail);
  case AST_CALL:
    c->let_name = let_name;
    t = comp_call(c, e, dst, tail);
    c->let_name = NULL;
    if (t == TY_NEVER) return t;
    break;
  case AST_INT:
  case AST_REAL:
  case AST_STR:
  case AST_BOOL:
  case AST_UNIT:
  case AST_MISSING:
  case AST_ERROR: t = literal(c, e, dst); break;
  case AST_INTERP: t = interpolation(c, e, dst); break;
  case AST_ARRAY: t = comp_array(c, e, dst); break;
  case AST_RECORD: t = comp_record(c, e, dst); break;
  case AST_INDEX: t = comp_index(c, e, dst); break;
  case AST_FIELD: t = comp_field(c, e, dst); break;
  case AST_UNARY: t = unary(c, e, dst); break;
  case AST_BINARY: t = binary(c, e, dst); break;
  case AST_AND: case AST_OR: t = logic(c, e, dst); break;
  case AST_RANGE: {
    int r = operand_in(c, e->u.bin.a, &t, dst), q = operand(c, e->u.bin.b, &t);
    binary_spans(c, emit(c, OP_RANGE, dst, r, q), e);
    t = TY_ANY; break; }
  case AST_LAMBDA: t = comp_lambda(c, e, dst); break;
  case AST_COMP: c->let_name = let_name; t = comp_comprehension(c, e, dst); break;
  case AST_FOR: c->let_name = let_name; t = comp_for(c, e, dst); break;
  case AST_OBSERVE: c->let_name = let_name; t = comp_observe(c, e, dst); break;
  default: emit(c, OP_LOADU, dst, 0, 0);
  }
  c->let_name = NULL;
  c->f->top = top;
  return leave(c, dst, tail, t, e);
}
