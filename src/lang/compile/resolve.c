/* resolve.c: what every name stands for.

   One walk over the tree with a stack of scopes.  A use of a local of a function further out makes a
   capture of it in every function between.  Local functions that stand one after another form a
   group: they may refer to each other; such a reference is no capture but is rebuilt from the group's
   shared captures (op.h: LOADSELF, CLOSURE), since captures are by value. */
#include "lang/compile/comp.h"
#include "lang/parse/elsewhere.h"
#include <stdio.h>
#include <string.h>

typedef struct scopes { binding **v; size_t n, cap; } scopes;
typedef struct resolver { comp *c; scopes s; fn_info *f; int folds; } resolver;

/* ---- small tools ---- */

void *comp_get(comp *c, size_t n)
{
  void *p = arena_get(c->a, n ? n : 1);
  if (!p) c->memory = true;
  return p;
}

sym comp_sym(comp *c, const char *s)
{
  sym k = sym_intern(c->st, s, strlen(s));
  if (!k) c->memory = true;
  return k;
}

static diag *report(comp *c, bool warning, norn_span span, const char *format, va_list a)
{
  char b[480];
  vsnprintf(b, sizeof b, format, a);
  diag *d = diags_add(&c->st->diags, warning, span, "%s", b);
  if (d && !warning) d->e.code = NORN_ESYNTAX;
  return d;
}

diag *comp_error(comp *c, norn_span span, const char *format, ...)
{
  va_list a;
  va_start(a, format);
  diag *d = report(c, false, span, format, a);
  va_end(a);
  return d;
}

static binding *bind_new(resolver *r, bind_kind kind, const char *name, norn_span span)
{
  comp *c = r->c;
  binding *b = comp_get(c, sizeof *b);
  if (!b) return NULL;
  b->kind = kind; b->name = name; b->span = span; b->owner = r->f; b->reg = -1;
  if (!mem_grow(&c->st->mem, &r->s.v, &r->s.cap, r->s.n + 1, sizeof *r->s.v)) {
    c->memory = true;
    return b;
  }
  r->s.v[r->s.n++] = b;
  return b;
}

static fn_info *fn_new(resolver *r, const ast *node, const ast_fn *fn)
{
  comp *c = r->c;
  fn_info *f = comp_get(c, sizeof *f);
  if (!f) return NULL;
  f->ast = fn; f->node = node; f->up = r->f;
  f->numbers = fn && fn->name.s ? f : r->f ? r->f->numbers : f;
  if (!mem_grow(&c->st->mem, &c->fns, &c->cfns, c->nfns + 1, sizeof *c->fns)) {
    c->memory = true;
    return f;
  }
  c->fns[c->nfns++] = f;
  return f;
}

/* ---- names ---- */

static bool capture_has(fn_info *f, const binding *b)
{
  for (int i = 0; i < f->ncaps; i++) if (f->caps[i] == b) return true;
  return false;
}

static void capture_add(resolver *r, fn_info *f, binding *b)
{
  if (capture_has(f, b)) return;
  if (f->ncaps == f->ccaps) {
    int cap = f->ccaps ? 2 * f->ccaps : 8;
    binding **v = comp_get(r->c, (size_t)cap * sizeof *v);
    if (!v) return;
    if (f->ncaps) memcpy(v, f->caps, (size_t)f->ncaps * sizeof *v);
    f->caps = v; f->ccaps = cap;
  }
  f->caps[f->ncaps++] = b;
}

static bool in_group(const fn_info *f, const binding *b)
{
  return b->kind == BIND_FN && f->group && f->group == b->fn->group;
}

/* Captures a local of an outer function in all functions between. */
static void capture(resolver *r, binding *b)
{
  for (fn_info *f = r->f; f && f != b->owner; f = f->up) {
    if (in_group(f, b)) return;                       /* rebuilt there from the group's captures */
    capture_add(r, f, b);
  }
}

static binding *find_local(resolver *r, const char *name)
{
  for (size_t i = r->s.n; i-- > 0;) if (r->s.v[i]->name == name) return r->s.v[i];
  return NULL;
}

binding *resolve_global(comp *c, sym name)
{
  env_entry *e = name ? env_lookup(c->st, c->mod, name) : NULL;
  binding *b = e ? comp_get(c, sizeof *b) : NULL;
  if (!b) return NULL;
  b->kind = BIND_GLOBAL; b->entry = e; b->name = sym_name(c->st, name); b->reg = -1;
  return b;
}

/* Is there a syntax error on the line of a span?  Then an unknown name there is likely part of it. */
static bool line_is_wrong(comp *c, norn_span span)
{
  const source *s = sources_get(&c->st->sources, span.file);
  for (size_t i = 0; s && i < c->st->diags.n; i++) {
    const diag *d = c->st->diags.v + i;
    norn_span at = d->e.span;
    if (d->warning || at.file != span.file) continue;
    uint32_t from = at.start < span.start ? at.start : span.start,
             to = at.start < span.start ? span.start : at.start;
    if (to <= s->n && !memchr(s->text + from, '\n', to - from)) return true;
  }
  return false;
}

static void unknown_name(resolver *r, const char *name, norn_span span)
{
  comp *c = r->c;
  if (c->broken && line_is_wrong(c, span)) return;
  diag *d = comp_error(c, span, "%s is not defined", name);
  nearest near;
  nearest_init(&near, name);
  for (size_t i = r->s.n; i-- > 0;) nearest_try(&near, r->s.v[i]->name);
  const char *local = nearest_found(&near), *global = env_nearest(c->st, c->mod, name);
  int dl = local ? edit_distance(name, local, 8) : 99,
      dg = global ? edit_distance(name, global, 8) : 99;
  const char *best = dl <= dg ? local : global;
  if (!d) return;
  if (dl > 0 && env_is_library(c->st, name)) {
    error_hint(&d->e, "write import %s first", name);
    return;
  }
  const char *known = dl && dg ? elsewhere_find(name) : NULL;
  if (known && strchr(known, ' ')) error_hint(&d->e, "%s", known);
  else if (known || best) error_hint(&d->e, "did you mean %s?", known ? known : best);
}

static void resolve_name(resolver *r, ast *e)
{
  binding *b = find_local(r, e->u.name);
  if (!b) b = resolve_global(r->c, comp_sym(r->c, e->u.name));
  if (!b) { if (!r->c->memory) unknown_name(r, e->u.name, e->span); return; }
  e->bind = b; b->used = true;
  if (b->kind != BIND_GLOBAL && b->owner != r->f) capture(r, b);
}

env_entry *resolve_module_member(comp *c, const ast *e, bool complain)
{
  const ast *base = e->u.field.base;
  if (base->kind != AST_NAME || !base->bind || base->bind->kind != BIND_GLOBAL ||
      base->bind->entry->kind != ENV_MODULE)
    return NULL;
  module *m = base->bind->entry->mod;
  env_entry *x = m ? env_lookup_in(c->st, m, comp_sym(c, e->u.field.name.s)) : NULL;
  if (x) x->used = true;
  if (!x && complain && m) {
    diag *d = comp_error(c, e->u.field.name.span, "the module %s has no %s", base->u.name,
                         e->u.field.name.s);
    nearest near;
    nearest_init(&near, e->u.field.name.s);
    for (size_t i = 0; m && m->table && i <= m->mask; i++)
      if (m->table[i]) nearest_try(&near, sym_name(c->st, m->table[i]->name));
    if (d && nearest_found(&near))
      error_hint(&d->e, "did you mean %s.%s?", base->u.name, nearest_found(&near));
  }
  return x;
}

env_entry *comp_callee(comp *c, const ast *fn)
{
  if (fn->kind == AST_NAME && fn->bind && fn->bind->kind == BIND_GLOBAL) return fn->bind->entry;
  if (fn->kind == AST_FIELD) return resolve_module_member(c, fn, false);
  return NULL;
}

bool is_special(comp *c, const ast *fn, const char *name)
{
  return fn->kind == AST_NAME && fn->bind && fn->bind->kind == BIND_GLOBAL &&
         fn->bind->entry->kind == ENV_NATIVE && !fn->bind->entry->native &&
         !strcmp(fn->u.name, name) && env_is_special(c->st, fn->bind->entry->name);
}

/* ---- patterns ---- */

static void walk(resolver *, ast *);

static ast *pattern_con_name(ast *p) { return p->u.con.con; }

static env_entry *con_entry(resolver *r, ast *con)
{
  comp *c = r->c;
  if (con->kind == AST_FIELD) { walk(r, con); return resolve_module_member(c, con, false); }
  con->bind = resolve_global(c, comp_sym(c, con->u.name));
  if (!con->bind) { unknown_name(r, con->u.name, con->span); return NULL; }
  return con->bind->entry;
}

static void walk_pattern(resolver *r, ast *p)
{
  comp *c = r->c;
  if (!p) return;
  switch (p->kind) {
  case AST_PAT_NAME: p->bind = bind_new(r, BIND_LOCAL, p->u.name, p->span); break;
  case AST_PAT_CON: {
    env_entry *e = con_entry(r, pattern_con_name(p));
    if (e && e->kind != ENV_CTOR)
      comp_error(c, p->span, "%s is not a constructor", sym_name(c->st, e->name));
    else if (e && e->arity != p->u.con.n)
      comp_error(c, p->span, "%s has %u field%s, the pattern has %u", sym_name(c->st, e->name),
                 e->arity, e->arity == 1 ? "" : "s", p->u.con.n);
    for (uint32_t i = 0; i < p->u.con.n; i++) walk_pattern(r, p->u.con.v[i]);
    break; }
  case AST_PAT_LIST:
    for (uint32_t i = 0; i < p->u.plist.n; i++) walk_pattern(r, p->u.plist.v[i]);
    walk_pattern(r, p->u.plist.rest);
    break;
  case AST_PAT_RECORD:
    for (uint32_t i = 0; i < p->u.record.n; i++) walk_pattern(r, p->u.record.v[i].value);
    break;
  default: break;
  }
}

/* ---- functions ---- */

static void walk_fn_body(resolver *r, fn_info *f, ast_fn *fn)
{
  comp *c = r->c;
  fn_info *up = r->f;
  size_t mark = r->s.n;
  int folds = r->folds;
  r->f = f; r->folds = 0;
  bool optional = false;
  for (uint32_t i = 0; i < fn->nparams; i++) {
    ast_param *p = fn->params + i;
    for (uint32_t k = 0; k < i; k++)
      if (fn->params[k].name.s == p->name.s && strcmp(p->name.s, "_"))
        comp_error(c, p->name.span, "the parameter %s stands twice", p->name.s);
    if (p->fallback) { optional = true; walk(r, p->fallback); }
    else if (optional) {
      diag *d =
        comp_error(c, p->name.span, "the parameter %s needs a default, since one before it has one",
                   p->name.s);
      if (d) error_hint(&d->e, "required parameters come first");
    }
    p->bind = bind_new(r, BIND_PARAM, p->name.s, p->name.span);
  }
  if (fn->body) walk(r, fn->body);
  r->s.n = mark; r->f = up; r->folds = folds;
}

static void walk_distribution(resolver *r, fn_info *f, ast *d)
{
  fn_info *up = r->f;
  size_t mark = r->s.n;
  ast_fn *fn = d->u.dist.fn;
  r->f = f;
  for (uint32_t i = 0; i < fn->nparams; i++) {
    ast_param *p = fn->params + i;
    if (p->fallback) walk(r, p->fallback);
    p->bind = bind_new(r, BIND_PARAM, p->name.s, p->name.span);
  }
  for (uint32_t i = 0; i < d->u.dist.n; i++) walk(r, d->u.dist.v[i].value);
  r->s.n = mark; r->f = up;
}

static void walk_lambda(resolver *r, ast *e)
{
  fn_info *f = fn_new(r, e, e->u.fn);
  if (!f) return;
  e->u.fn->info = f;
  walk_fn_body(r, f, e->u.fn);
}

/* A run of fn statements in a block: a group. */
static uint32_t walk_group(resolver *r, ast **v, uint32_t n)
{
  comp *c = r->c;
  uint32_t k = 0;
  while (k < n && (v[k]->kind == AST_FN || v[k]->kind == AST_MODEL)) k++;
  fn_group *g = comp_get(c, sizeof *g);
  if (!g || !(g->v = comp_get(c, k * sizeof *g->v))) return k;
  g->n = (int)k;
  for (uint32_t i = 0; i < k; i++) {
    ast_fn *fn = v[i]->u.fn;
    fn_info *f = fn_new(r, v[i], fn);
    binding *b = bind_new(r, BIND_FN, fn->name.s, fn->name.span);
    if (!f || !b) return k;
    for (uint32_t j = 0; j < i; j++)
      if (v[j]->u.fn->name.s == fn->name.s)
        comp_error(c, fn->name.span, "the function %s is defined twice", fn->name.s);
    f->is_model = v[i]->kind == AST_MODEL;
    f->self = b; f->group = g; b->fn = f; fn->info = f; g->v[i] = f; v[i]->bind = b;
  }
  for (uint32_t i = 0; i < k; i++) walk_fn_body(r, g->v[i], v[i]->u.fn);
  for (uint32_t i = 0; i < k; i++) /* all captures of the group in each */
    for (int j = 0; j < g->v[i]->ncaps; j++)
      for (uint32_t m = 0; m < k; m++) capture_add(r, g->v[m], g->v[i]->caps[j]);
  for (int j = 0; k && j < g->v[0]->ncaps; j++)                /* the same order in all */
    for (uint32_t m = 1; m < k; m++) g->v[m]->caps[j] = g->v[0]->caps[j];
  g->caps = k ? g->v[0]->caps : NULL; g->ncaps = k ? g->v[0]->ncaps : 0;
  return k;
}

/* ---- expressions and statements ---- */

static void walk_block(resolver *r, ast *e)
{
  size_t mark = r->s.n;
  for (uint32_t i = 0; i < e->u.list.n;) {
    ast *s = e->u.list.v[i];
    if (s->kind == AST_FN || s->kind == AST_MODEL)
      i += walk_group(r, e->u.list.v + i, e->u.list.n - i);
    else { walk(r, s); i++; }
  }
  r->s.n = mark;
}

static void walk_for(resolver *r, ast *e)
{
  size_t mark = r->s.n;
  walk(r, e->u.loop.over);
  ast_states *s = e->u.loop.states;
  for (uint32_t i = 0; s && i < s->n; i++) walk(r, s->v[i].init);
  walk_pattern(r, e->u.loop.pattern);
  for (uint32_t i = 0; s && i < s->n; i++) {
    for (uint32_t k = 0; k < i; k++)
      if (s->v[k].name.s == s->v[i].name.s)
        comp_error(r->c, s->v[i].name.span, "the state %s stands twice", s->v[i].name.s);
    s->v[i].bind = bind_new(r, BIND_LOCAL, s->v[i].name.s, s->v[i].name.span);
  }
  walk(r, e->u.loop.body);
  r->s.n = mark;
}

static void walk_comp(resolver *r, ast *e)
{
  size_t mark = r->s.n;
  for (uint32_t i = 0; i < e->u.comp.n; i++) {
    walk(r, e->u.comp.v[i].value);
    if (e->u.comp.v[i].pattern) walk_pattern(r, e->u.comp.v[i].pattern);
  }
  walk(r, e->u.comp.body);
  r->s.n = mark;
}

static void walk_match(resolver *r, ast *e)
{
  walk(r, e->u.match.value);
  for (uint32_t i = 0; i < e->u.match.n; i++) {
    size_t mark = r->s.n;
    walk_pattern(r, e->u.match.v[i].pattern);
    if (e->u.match.v[i].guard) walk(r, e->u.match.v[i].guard);
    walk(r, e->u.match.v[i].body);
    r->s.n = mark;
  }
}

static void walk_let(resolver *r, ast *e)
{
  walk(r, e->u.let.value);
  walk_pattern(r, e->u.let.pattern);
  if (e->u.let.pattern->kind == AST_PAT_NAME && e->u.let.pattern->bind)
    e->u.let.pattern->bind->init = e->u.let.value;
}

static void walk_draw(resolver *r, ast *e)
{
  walk(r, e->u.draw.dist);
  if (e->u.draw.via) walk(r, e->u.draw.via);
  if (e->u.draw.as) walk(r, e->u.draw.as);
  walk_pattern(r, e->u.draw.pattern);
}

static void walk(resolver *r, ast *e)
{
  switch (e->kind) {
  case AST_INTERP:
  case AST_ARRAY:
    for (uint32_t i = 0; i < e->u.list.n; i++) walk(r, e->u.list.v[i]);
    break;
  case AST_NAME: resolve_name(r, e); break;
  case AST_RECORD:
    if (e->u.record.base) walk(r, e->u.record.base);
    for (uint32_t i = 0; i < e->u.record.n; i++) {
      for (uint32_t k = 0; k < i; k++) if (e->u.record.v[k].name.s == e->u.record.v[i].name.s)
          comp_error(r->c, e->u.record.v[i].name.span, "the field %s stands twice",
                     e->u.record.v[i].name.s);
      walk(r, e->u.record.v[i].value);
    }
    break;
  case AST_INDEX:
    walk(r, e->u.index.base);
    for (uint32_t i = 0; i < e->u.index.n; i++) walk(r, e->u.index.v[i]);
    break;
  case AST_FIELD: walk(r, e->u.field.base); resolve_module_member(r->c, e, true); break;
  case AST_CALL:
    walk(r, e->u.call.fn);
    for (uint32_t i = 0; i < e->u.call.n; i++) walk(r, e->u.call.v[i].value);
    break;
  case AST_SLICE:
  case AST_UNARY:
  case AST_BINARY:
  case AST_AND:
  case AST_OR:
  case AST_RANGE:
  case AST_OBSERVE:
    if (e->u.bin.a) walk(r, e->u.bin.a);
    if (e->u.bin.b) walk(r, e->u.bin.b);
    break;
  case AST_LAMBDA: walk_lambda(r, e); break;
  case AST_BLOCK: walk_block(r, e); break;
  case AST_IF:
    walk(r, e->u.cond.test);
    walk(r, e->u.cond.yes);
    if (e->u.cond.no) walk(r, e->u.cond.no);
    break;
  case AST_MATCH: walk_match(r, e); break;
  case AST_COMP: walk_comp(r, e); break;
  case AST_FOR: walk_for(r, e); break;
  case AST_NEXT:
    for (uint32_t i = 0; i < e->u.next.n; i++) walk(r, e->u.next.v[i]);
    if (e->u.next.keep) walk(r, e->u.next.keep);
    break;
  case AST_LET: walk_let(r, e); break;
  case AST_DRAW: walk_draw(r, e); break;
  case AST_DIST:
    comp_error(r->c, e->span, "a distribution can only be defined at the top level");
    break;
  case AST_FN: case AST_MODEL: { ast *one = e; walk_group(r, &one, 1); break; }
  default: break;
  }
}

/* ---- the module ---- */

static bool declares(const ast_foreign *f, const char *name, norn_span *where)
{
  for (uint32_t i = 0; i < f->n; i++)
    if (f->v[i].fn->name.s == name) { *where = f->v[i].fn->name.span; return true; }
  return false;
}

/* A name defined twice at the top level of a file: the second would hide the first from functions
   that were meant to see it. */
static bool defined_before(comp *c, const char *name, uint32_t upto, norn_span *where)
{
  for (uint32_t i = 0; i < upto; i++) {
    const ast *s = c->tree->v[i];
    if (s->kind == AST_FOREIGN && declares(s->u.foreign, name, where)) return true;
    const ast_name *n = s->kind == AST_FN || s->kind == AST_MODEL ? &s->u.fn->name
                        : s->kind == AST_DIST                     ? &s->u.dist.fn->name
                                                                  : NULL;
    if (n && n->s == name) { *where = n->span; return true; }
  }
  return false;
}

static env_entry *declare(comp *c, ast_name name, env_kind kind)
{
  env_entry *e = env_define(c->st, c->mod, comp_sym(c, name.s), kind, name.span);
  if (!e) c->memory = true;
  return e;
}

static char *params_text(comp *c, const ast_fn *fn)
{
  text t;
  const source *s = sources_get(&c->st->sources, c->file);
  text_init(&t, &c->st->mem);
  for (uint32_t i = 0; i < fn->nparams; i++) {
    const ast_param *p = fn->params + i;
    text_printf(&t, "%s%s", i ? ", " : "", p->name.s);
    if (p->fallback && s)
      text_printf(&t, " = %.*s", (int)(p->fallback->span.end - p->fallback->span.start),
                  s->text + p->fallback->span.start);
  }
  char *out = arena_text(c->a, t.s ? t.s : "", t.n);
  text_free(&t);
  return out;
}

static bool declare_fn(comp *c, ast *s, uint32_t index)
{
  ast_fn *fn = s->kind == AST_DIST ? s->u.dist.fn : s->u.fn;
  norn_span where;
  if (!c->repl && defined_before(c, fn->name.s, index, &where)) {
    char b[160];
    diag *d = comp_error(c, fn->name.span, "%s is defined twice", fn->name.s);
    if (d)
      error_hint(&d->e, "the first definition is at %s", norn_span_text(c->st, where, b, sizeof b));
  }
  env_entry *e = declare(c, fn->name, ENV_GLOBAL);
  if (!e) return false;
  char *params = params_text(c, fn);
  proto *p = proto_new(c, fn, fn->name.s, s->kind == AST_MODEL, fn->name.span);
  if (!p || !params) return false;
  e->known = p; e->doc = p->doc; 
  e->params = env_keep_text(c->st, params);
  s->slot = (int)e->slot;
  binding *b = comp_get(c, sizeof *b);
  if (!b) return false;
  b->kind = BIND_GLOBAL; b->entry = e; b->name = fn->name.s;
  s->bind = b;
  return true;
}

static bool declare_type(comp *c, const ast *s)
{
  const ast_typedef *t = s->u.type;
  sym names[256]; uint32_t arity[256]; uint64_t tags[256]; sym *fields[256];
  if (t->ncons > 256) {
    comp_error(c, t->name.span, "a type has at most 256 constructors");
    return true;
  }
  for (uint32_t i = 0; i < t->ncons; i++) {
    names[i] = comp_sym(c, t->cons[i].name.s); arity[i] = t->cons[i].n;
    for (uint32_t k = 0; k < i; k++)
      if (names[k] == names[i])
        comp_error(c, t->cons[i].name.span, "the constructor %s stands twice", t->cons[i].name.s);
    for (uint32_t k = 0; k < arity[i]; k++)
      if (t->cons[i].fields[k].type)
        comp_error(c, t->cons[i].fields[k].type->span,
                   "a field of a constructor has no annotation");
    fields[i] = comp_get(c, (arity[i] + 1) * sizeof(sym));
    if (!fields[i]) return false;
    for (uint32_t k = 0; k < arity[i]; k++) fields[i][k] = comp_sym(c, t->cons[i].fields[k].name.s);
  }
  if (c->memory || env_type(c->st, comp_sym(c, t->name.s), (int)t->ncons, names, arity, fields,
                            tags) == UINT32_MAX)
    return false;
  for (uint32_t i = 0; i < t->ncons; i++) {
    env_entry *e = declare(c, t->cons[i].name, ENV_CTOR);
    if (!e) return false;
    e->tag = tags[i]; e->arity = arity[i]; e->npars = (int)arity[i];
    if (t->doc) e->doc = env_keep_text(c->st, t->doc);
  }
  return true;
}

static void declare_pattern(comp *c, ast *p)
{
  switch (p->kind) {
  case AST_PAT_NAME: {
    if (p->bind) break;                                         /* declared in advance */
    env_entry *e = declare(c, (ast_name){ p->u.name, p->span }, ENV_GLOBAL);
    binding *b = comp_get(c, sizeof *b);
    if (!e || !b) return;
    b->kind = BIND_GLOBAL; b->entry = e; b->name = p->u.name; p->bind = b; p->slot = (int)e->slot;
    break; }
  case AST_PAT_CON:
    for (uint32_t i = 0; i < p->u.con.n; i++) declare_pattern(c, p->u.con.v[i]);
    break;
  case AST_PAT_LIST:
    for (uint32_t i = 0; i < p->u.plist.n; i++) declare_pattern(c, p->u.plist.v[i]);
    if (p->u.plist.rest) declare_pattern(c, p->u.plist.rest);
    break;
  case AST_PAT_RECORD:
    for (uint32_t i = 0; i < p->u.record.n; i++) declare_pattern(c, p->u.record.v[i].value);
    break;
  default: break;
  }
}

/* Constructors in a top-level let's pattern still need their bindings. */
static void walk_top_pattern(resolver *r, ast *p)
{
  if (p->kind == AST_PAT_CON) {
    con_entry(r, p->u.con.con);
    for (uint32_t i = 0; i < p->u.con.n; i++) walk_top_pattern(r, p->u.con.v[i]);
  }
}

static void import(comp *c, ast *s)
{
  module *m = env_import(c->st, c->mod, s->u.import.module, (s->flags & AST_FILE) != 0, s->span);
  env_entry *e =
    declare(c, s->u.import.as, ENV_MODULE); /* without m: reported, and its uses say no more */
  if (!e) return;
  e->mod = m;
  binding *b = comp_get(c, sizeof *b);
  if (b) { b->kind = BIND_GLOBAL; b->entry = e; s->bind = b; }
}

bool declare_module(comp *c)
{
  for (uint32_t i = 0; i < c->tree->n && !c->memory; i++) {
    ast *s = c->tree->v[i];
    bool ok = true;
    if (s->kind == AST_IMPORT) import(c, s);
    else if (s->kind == AST_TYPE) ok = declare_type(c, s);
    else if (s->kind == AST_FOREIGN) declare_foreign(c, s);
    else if (s->kind == AST_FN || s->kind == AST_MODEL || s->kind == AST_DIST)
      ok = declare_fn(c, s, i);
    if (!ok) c->memory = true;
  }
  return !c->memory;
}

static void walk_top(resolver *r, ast *s)
{
  comp *c = r->c;
  if (s->kind == AST_FN || s->kind == AST_MODEL || s->kind == AST_DIST) {
    ast_fn *fn = s->kind == AST_DIST ? s->u.dist.fn : s->u.fn;
    fn_info *top = r->f;
    r->f = NULL;
    fn_info *f = fn_new(r, s, fn);
    r->f = top;
    if (!f) return;
    f->is_top = true;
    f->is_model = s->kind == AST_MODEL;
    f->entry = s->bind ? s->bind->entry : NULL;
    f->p = f->entry ? f->entry->known : NULL;
    fn->info = f;
    if (s->kind == AST_DIST) walk_distribution(r, f, s);
    else { f->up = NULL; walk_fn_body(r, f, fn); }
  } else if (s->kind == AST_LET || s->kind == AST_DRAW) {
    if (s->kind == AST_LET) walk(r, s->u.let.value);
    else {
      walk(r, s->u.draw.dist);
      if (s->u.draw.via) walk(r, s->u.draw.via);
      if (s->u.draw.as) walk(r, s->u.draw.as);
    }
    ast *p = s->kind == AST_LET ? s->u.let.pattern : s->u.draw.pattern;
    walk_top_pattern(r, p);
    declare_pattern(c, p);
    if (s->kind == AST_LET && s->u.let.doc && p->kind == AST_PAT_NAME && p->bind && p->bind->entry)
      p->bind->entry->doc = env_keep_text(c->st, s->u.let.doc);
  } else if (s->kind == AST_FOREIGN) {
    for (uint32_t i = 0; i < s->u.foreign->n; i++)
      if (s->u.foreign->v[i].derivative) walk(r, s->u.foreign->v[i].derivative);
  } else if (s->kind == AST_OBSERVE) {
    diag *d = comp_error(c, s->span, "observe outside a model");
    if (d) error_hint(&d->e, "put it into a model: model m() { ... }, and run infer(m(), smc())");
  } else walk(r, s);
}

/* Top-level lets are declared where they stand, so that an earlier definition of the same name is
   what their own right side sees; but functions may refer to any let of the file. */
static void predeclare_lets(comp *c)
{
  for (uint32_t i = 0; i < c->tree->n && !c->memory; i++) {
    ast *s = c->tree->v[i];
    if (s->kind != AST_LET && s->kind != AST_DRAW) continue;
    ast *p = s->kind == AST_LET ? s->u.let.pattern : s->u.draw.pattern;
    if (p->kind == AST_PAT_NAME && !env_lookup_in(c->st, c->mod, comp_sym(c, p->u.name)))
      declare_pattern(c, p);
  }
}

bool resolve_module(comp *c)
{
  resolver r = { c, { NULL, 0, 0 }, NULL, 0 };
  if (!declare_module(c)) return false;
  c->top = fn_new(&r, NULL, NULL);
  if (!c->top) return false;
  c->top->is_top = true;
  predeclare_lets(c);
  for (int pass = 0; pass < 2; pass++) /* lets first: functions see their final entries */
    for (uint32_t i = 0; i < c->tree->n && !c->memory; i++) {
      ast *s = c->tree->v[i];
      bool fn = s->kind == AST_FN || s->kind == AST_MODEL || s->kind == AST_DIST;
      if (fn != (pass == 1)) continue;
      r.f = c->top; r.s.n = 0;
      walk_top(&r, s);
    }
  mem_put(&c->st->mem, r.s.v, r.s.cap * sizeof *r.s.v);
  return !c->memory;
}
