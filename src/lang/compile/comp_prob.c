/* comp_prob.c: sample, observe, factor, condition, infer, mem, logpdf, and distributions defined in Norn.

   A family known here is sampled, observed and scored without making a distribution value: its
   parameters stand in a window.  Anything else goes through a value; a model value then runs its body
   in place, so the path and the scope of given() are saved around it. */
#include "lang/compile/comp.h"
#include <string.h>

/* The distribution family that a call constructs, or NULL. */
static env_entry *family(comp *c, const ast *d)
{
  env_entry *x = d->kind == AST_CALL ? comp_callee(c, d->u.call.fn) : NULL;
  if (x && x->kind == ENV_DIST) c->st->gets_ready |= x->row->ready != NULL;
  return x && x->kind == ENV_DIST && !x->row->expand ? x : NULL;
}

static void effect_spans(comp *c, int at, const ast *d, const ast *whole)
{
  emit_span(c, at, -1, whole->span);
  if (d->kind != AST_CALL || !family(c, d)) { emit_span(c, at, 0, d->span); return; }
  signature s = comp_signature(c, "distribution", family(c, d));
  for (uint32_t i = 0; i < d->u.call.n; i++) {
    const ast_arg *a = d->u.call.v + i;
    int k = (int)i;
    if (a->name.s) {
      sym want = comp_sym(c, a->name.s);
      for (k = 0; k < s.n && s.names[k] != want; k++) {}
    }
    emit_span(c, at, k, a->value->span);
  }
}

/* The statement's own value register: from here on up is free. */
static int sample_into(comp *c, const ast *d, const ast *via, uint64_t where, const ast *whole)
{
  env_entry *x = via ? NULL : family(c, d);
  int w = c->f->top, n = 0, at;
  if (x) {
    signature s = comp_signature(c, "distribution", x);
    temp(c);
    if (!comp_arguments(c, d, &s, w, &n)) { emit(c, OP_LOADU, w, 0, 0); return w; }
    at = emit(c, OP_SAMPLED, w, n, 0);
    emit_lit(c, at, 0, (uint64_t)(uintptr_t)x->row);
    emit_lit(c, at, 1, where);
    emit_lit(c, at, 2, span_pack(whole->span));
    effect_spans(c, at, d, whole);
    return w;
  }
  if (via) {
    temps(c, 2);
    expr(c, d, w, TAIL_NO);
    expr(c, via, w + 1, TAIL_NO);
    at = emit(c, OP_SAMPLEV, w, 0, 0);
    emit_lit(c, at, 0, where); emit_lit(c, at, 1, span_pack(whole->span));
    emit_span(c, at, -1, whole->span); emit_span(c, at, 0, d->span); emit_span(c, at, 1, via->span);
    return w;
  }
  int path = temp(c), scope_reg = temp(c);
  w = temp(c);
  expr(c, d, w, TAIL_NO);
  emit(c, OP_ASAVE, path, 0, 0);
  emit(c, OP_SSAVE, scope_reg, 0, 0);
  at = emit(c, OP_SAMPLE, w, 0, 0);
  emit_lit(c, at, 0, where); emit_lit(c, at, 1, span_pack(whole->span));
  emit_span(c, at, -1, whole->span); emit_span(c, at, 0, d->span);
  emit(c, OP_SREST, scope_reg, 0, 0);
  emit(c, OP_AREST, path, 0, 0);
  return w;
}

/* `as "name"` replaces the name of the let; a computed one is pushed while the choice is made. */
static int sample_named(comp *c, const ast *e, const char *name)
{
  const ast *as = e->u.draw.as;
  if (!as || as->kind == AST_STR) {
    uint64_t where = as ? name_comp(c, as->u.str.s) : name ? name_comp(c, name) : anon_comp(c);
    return sample_into(c, e->u.draw.dist, e->u.draw.via, where, e);
  }
  int save = temp(c), s = temp(c);
  expr(c, as, s, TAIL_NO);
  emit_span(c, emit(c, OP_APUSHS, save, s, 0), -1, as->span);
  int w = sample_into(c, e->u.draw.dist, e->u.draw.via, 0, e);
  emit(c, OP_AREST, save, 0, 0);
  return w;
}

/* let x ~ d: the value stays in a register of its own. */
void comp_draw(comp *c, const ast *e)
{
  const ast *p = e->u.draw.pattern, *as = e->u.draw.as;
  bool direct = !e->u.draw.via && family(c, e->u.draw.dist) &&
                (!as || as->kind == AST_STR); /* drawn where it stays */
  int home = direct ? c->f->top : temp(c);
  int w = sample_named(c, e, p->kind == AST_PAT_NAME ? p->u.name : NULL);
  if (w != home) emit(c, OP_MOVE, home, w, 0);
  c->f->top = home + 1;
  if (p->kind == AST_PAT_NAME && p->bind) p->bind->drawn = e->u.draw.dist;
  if (p->kind == AST_PAT_NAME && p->bind && p->bind->kind != BIND_GLOBAL) {
    p->bind->reg = home;
    p->bind->type = TY_ANY;
  } else comp_let_pattern(c, p, home);
}

/* The name of a choice made of a missing value: what is observed, if that has a name, else the let's. */
static uint64_t observed_name(comp *c, const ast *y, const char *let_name)
{
  if (y->kind == AST_NAME) return name_comp(c, y->u.name);
  if (y->kind == AST_FIELD) return name_comp(c, y->u.field.name.s);
  if (y->kind == AST_INDEX && y->u.index.base->kind == AST_NAME)
    return name_comp(c, y->u.index.base->u.name);
  if (y->kind == AST_INDEX && y->u.index.base->kind == AST_FIELD)
    return name_comp(c, y->u.index.base->u.field.name.s);
  if (let_name) return name_comp(c, let_name);
  return y->kind < AST_MISSING ? 0 : anon_comp(c);         /* a literal is not missing */
}

ty comp_observe(comp *c, const ast *e, int dst)
{
  int top = c->f->top, n = 0, at;
  const ast *y = e->u.bin.a, *d = e->u.bin.b;
  env_entry *x = family(c, d);
  int w = c->f->top;
  uint64_t where = observed_name(c, y, c->let_name);
  c->let_name = NULL;
  if (x) {
    signature s = comp_signature(c, "distribution", x);
    int total = s.variadic && (int)d->u.call.n > s.n ? (int)d->u.call.n : s.n;
    temps(c, total + 1);
    expr(c, y, w + total, TAIL_NO);
    if (!comp_arguments(c, d, &s, w, &n)) {
      c->f->top = top;
      emit(c, OP_LOADU, dst, 0, 0);
      return TY_ANY;
    }
    at = emit(c, OP_OBSERVED, w, n, e->flags & AST_REREAD ? NORN_EV_REREAD : 0);
    emit_lit(c, at, 0, (uint64_t)(uintptr_t)x->row);
    emit_lit(c, at, 1, where);
    emit_lit(c, at, 2, span_pack(e->span));
    effect_spans(c, at, d, e);
    emit_span(c, at, n, y->span);
  } else {
    temps(c, 2);
    expr(c, y, w + 1, TAIL_NO);
    expr(c, d, w, TAIL_NO);
    at = emit(c, OP_OBSERVE, w, 0, e->flags & AST_REREAD ? NORN_EV_REREAD : 0);
    emit_lit(c, at, 0, where); emit_lit(c, at, 1, span_pack(e->span));
    emit_span(c, at, -1, e->span); emit_span(c, at, 0, d->span); emit_span(c, at, 1, y->span);
  }
  if (dst != w) emit(c, OP_MOVE, dst, w, 0);
  c->f->top = top;
  return TY_ANY;
}

/* ---- the special functions ---- */

static bool arity(comp *c, const ast *e, const char *name, uint32_t least, uint32_t most,
                  const char *usage)
{
  for (uint32_t i = 0; i < e->u.call.n; i++)
    if (e->u.call.v[i].name.s &&
        !(i == 1 && !strcmp(name, "infer") && !strcmp(e->u.call.v[i].name.s, "engine"))) {
      diag *d = comp_error(c, e->u.call.v[i].name.span, "%s has no parameter %s", name,
                           e->u.call.v[i].name.s);
      if (d) error_hint(&d->e, "%s", usage);
      return false;
    }
  if (e->u.call.n >= least && e->u.call.n <= most) return true;
  diag *d;
  if (least == most)
    d = comp_error(c, e->span, "%s takes %u argument%s, got %u", name, least, least == 1 ? "" : "s",
                   e->u.call.n);
  else
    d =
      comp_error(c, e->span, "%s takes %u or %u arguments, got %u", name, least, most, e->u.call.n);
  if (d) error_hint(&d->e, "%s", usage);
  return false;
}

static void special_infer(comp *c, const ast *e, int dst, const char *let_name)
{
  int w = temps(c, 2);
  expr(c, e->u.call.v[0].value, w, TAIL_NO);
  if (e->u.call.n == 2) expr(c, e->u.call.v[1].value, w + 1, TAIL_NO);
  else emit(c, OP_LOADU, w + 1, 0, 0);
  int at = emit(c, OP_INFER, w, 0, 0);
  emit_lit(c, at, 0, call_comp(c, e->u.call.fn, let_name)); emit_lit(c, at, 1, span_pack(e->span));
  emit_span(c, at, -1, e->span);
  for (uint32_t i = 0; i < e->u.call.n; i++) emit_span(c, at, (int)i, e->u.call.v[i].value->span);
  if (w != dst) emit(c, OP_MOVE, dst, w, 0);
}

static void special_logpdf(comp *c, const ast *e, int dst)
{
  const ast *d = e->u.call.v[0].value, *x = e->u.call.v[1].value;
  env_entry *f = family(c, d);
  int w = c->f->top, n = 0, at;
  if (f) {
    signature s = comp_signature(c, "distribution", f);
    if (!comp_arguments(c, d, &s, w, &n)) { emit(c, OP_LOADU, dst, 0, 0); return; }
    while (c->f->top < w + n + 1) temp(c);
    expr(c, x, w + n, TAIL_NO);
    at = emit(c, OP_LOGPDFD, dst, w, n + 1);
    emit_lit(c, at, 0, (uint64_t)(uintptr_t)f->row);
    effect_spans(c, at, d, e);
    emit_span(c, at, n, x->span);
    return;
  }
  ty t;
  int r = operand(c, d, &t), q = operand(c, x, &t);
  at = emit(c, OP_LOGPDF, dst, r, q);
  emit_span(c, at, -1, e->span); emit_span(c, at, 0, d->span); emit_span(c, at, 1, x->span);
}

ty comp_special(comp *c, const ast *e, int dst, bool *done)
{
  int top = c->f->top, at;
  const char *let_name = c->let_name,
             *name =
               e->u.call.fn->kind == AST_NAME
                 ? e->u.call.fn->bind->entry ? sym_name(c->st, e->u.call.fn->bind->entry->name) : ""
                 : "";
  ty t = TY_ANY, u;
  c->let_name = NULL; *done = true;
  const ast *x = e->u.call.n ? e->u.call.v[0].value : NULL;
  if (!strcmp(name, "sample")) {
    if (arity(c, e, name, 1, 1, "sample(d) draws from a distribution or a model")) {
      int w = sample_into(c, x, NULL, anon_comp(c), e);
      if (w != dst) emit(c, OP_MOVE, dst, w, 0);
    }
  } else if (!strcmp(name, "factor") || !strcmp(name, "condition") || !strcmp(name, "twist")) {
    int op = *name == 'f' ? OP_FACTOR : *name == 'c' ? OP_CONDITION : OP_TWIST;
    if (arity(c, e, name, 1, 1,
              op == OP_FACTOR      ? "factor(w) adds the log weight w"
              : op == OP_CONDITION ? "condition(test) gives weight 0 where the test is false"
                                   : "twist(w) adds the log weight w until the next twist")) {
      int r = operand(c, x, &u);
      at = emit(c, op, r, 0, 0);
      emit_lit(c, at, 0, span_pack(e->span));
      emit_span(c, at, -1, e->span); emit_span(c, at, 0, x->span);
      emit(c, OP_LOADU, dst, 0, 0);
    }
  } else if (!strcmp(name, "infer")) {
    if (arity(c, e, name, 1, 2, "infer(model(...), engine)")) special_infer(c, e, dst, let_name);
  } else if (!strcmp(name, "mem")) {
    if (arity(c, e, name, 1, 1, "mem(f) remembers the results of f within one run")) {
      int r = operand(c, x, &u);
      at = emit(c, OP_MEMNEW, dst, r, 0);
      emit_lit(c, at, 0, call_comp(c, e->u.call.fn, let_name));
      emit_span(c, at, -1, e->span); emit_span(c, at, 0, x->span);
    }
  } else if (!strcmp(name, "logpdf")) {
    if (arity(c, e, name, 2, 2, "logpdf(d, x) is the log density or probability of x under d")) {
      special_logpdf(c, e, dst);
      t = TY_ANY;
    }
  } else *done = false;
  c->f->top = top;
  return t;
}

/* ---- distribution name(params) { sample = ..., logpdf = ..., support = ... } ---- */

/* Calls the hidden native @defdist(name, sample, logpdf, support, arguments, mean, variance,
   cdf, quantile). */
void comp_distribution(comp *c, const ast *d)
{
  static const char *const parts[] = { "sample", "logpdf", "support", "mean", "variance", "cdf",
                                       "quantile" };
  static const int place[] = { 1, 2, 3, 5, 6, 7, 8 };
  enum { PARTS = sizeof parts / sizeof parts[0], ARGS = PARTS + 2 };
  ast_fn *fn = d->u.dist.fn;
  int top = c->f->top, w = temps(c, ARGS);
  const norn_native *make = &defdist_natives[0];
  val name = norn_string(c->st, fn->name.s, strlen(fn->name.s));
  if (norn_is_none(name)) { c->memory = true; return; }
  emit_i(c, OP_LOADK, w, 0, constant(c, name));
  int n = (int)fn->nparams, a = temps(c, n);
  for (int i = 0; i < n; i++)
    if (fn->params[i].bind) emit(c, OP_MOVE, a + i, fn->params[i].bind->reg, 0);
  if (n) emit(c, OP_ARRAY, w + 4, a, n); else emit(c, OP_NEWVEC, w + 4, 0, 0);
  for (int k = 0; k < PARTS; k++) {
    const ast *x = NULL;
    for (uint32_t i = 0; i < d->u.dist.n; i++)
      if (!strcmp(d->u.dist.v[i].name.s, parts[k])) x = d->u.dist.v[i].value;
    if (x) expr(c, x, w + place[k], TAIL_NO);
    else emit(c, OP_LOADM, w + place[k], 0, 0);
    if (!x && k < 2) {
      diag *e = comp_error(c, fn->name.span, "the distribution %s has no %s", fn->name.s, parts[k]);
      if (e) error_hint(&e->e, "write %s", k ? "logpdf = x -> ..." : "sample = () -> ...");
    }
  }
  for (uint32_t i = 0; i < d->u.dist.n; i++) {
    int k = 0;
    while (k < PARTS && strcmp(d->u.dist.v[i].name.s, parts[k])) k++;
    if (k == PARTS)
      comp_error(c, d->u.dist.v[i].name.span,
                 "a distribution has the parts sample, logpdf, support, mean, variance, cdf, quantile; "
                 "not %s",
                 d->u.dist.v[i].name.s);
  }
  int at = emit_p(c, OP_NATIVE, w, ARGS, 0, make);
  emit_span(c, at, -1, fn->name.span);
  emit(c, OP_RET, w, 0, 0);
  c->f->top = top;
}
