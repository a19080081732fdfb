/* reread: observations whose data the program also reads elsewhere.

   `observe` gives its value back, so that it can be answered with a simulated one; a program in
   which the observed expression is read in another place would not see that one there.  For each
   function this finds what its observes observe (the name that the expression starts with, and
   its field; of a loop variable also what the loop runs over; of a plain let also what it was
   bound to), then whether such a name is read in another place.  len(y) and the loop and the let
   that led to it are no such places.  What is read in other functions is not looked at. */
#include "lang/compile/comp.h"
#include <string.h>

typedef struct origin { const binding *b; const ast *from; } origin;
typedef struct root { const binding *b; const char *field; ast *observe; } root;
typedef struct search {
  comp *c;
  origin *origin; size_t norigin, corigin;
  root *root; size_t nroot, croot;
  bool failed;
} search;

typedef void (*visit)(search *, ast *);

static void each_child(search *s, const ast *e, visit f);

static void each(search *s, ast *const *v, uint32_t n, visit f)
{
  for (uint32_t i = 0; i < n; i++) if (v[i]) f(s, v[i]);
}

static void one(search *s, ast *e, visit f) { if (e) f(s, e); }

static void each_of_match(search *s, const ast *e, visit f)
{
  one(s, e->u.match.value, f);
  for (uint32_t i = 0; i < e->u.match.n; i++) {
    one(s, e->u.match.v[i].guard, f);
    one(s, e->u.match.v[i].body, f);
  }
}

static void each_of_loop(search *s, const ast *e, visit f)
{
  const ast_states *t = e->u.loop.states;
  one(s, e->u.loop.over, f);
  for (uint32_t i = 0; t && i < t->n; i++) one(s, t->v[i].init, f);
  one(s, e->u.loop.body, f);
}

static void each_child(search *s, const ast *e, visit f)
{
  switch (e->kind) {
  case AST_INTERP: case AST_ARRAY: case AST_BLOCK: each(s, e->u.list.v, e->u.list.n, f); break;
  case AST_RECORD:
    one(s, e->u.record.base, f);
    for (uint32_t i = 0; i < e->u.record.n; i++) one(s, e->u.record.v[i].value, f);
    break;
  case AST_INDEX: one(s, e->u.index.base, f); each(s, e->u.index.v, e->u.index.n, f); break;
  case AST_FIELD: one(s, e->u.field.base, f); break;
  case AST_CALL:
    one(s, e->u.call.fn, f);
    for (uint32_t i = 0; i < e->u.call.n; i++) one(s, e->u.call.v[i].value, f);
    break;
  case AST_SLICE: case AST_UNARY: case AST_BINARY: case AST_AND: case AST_OR: case AST_RANGE:
  case AST_OBSERVE:
    one(s, e->u.bin.a, f); one(s, e->u.bin.b, f); break;
  case AST_LAMBDA: case AST_FN: case AST_MODEL: one(s, e->u.fn->body, f); break;
  case AST_IF:
    one(s, e->u.cond.test, f); one(s, e->u.cond.yes, f); one(s, e->u.cond.no, f); break;
  case AST_MATCH: each_of_match(s, e, f); break;
  case AST_COMP:
    one(s, e->u.comp.body, f);
    for (uint32_t i = 0; i < e->u.comp.n; i++) one(s, e->u.comp.v[i].value, f);
    break;
  case AST_FOR: each_of_loop(s, e, f); break;
  case AST_NEXT: each(s, e->u.next.v, e->u.next.n, f); one(s, e->u.next.keep, f); break;
  case AST_LET: one(s, e->u.let.value, f); break;
  case AST_DRAW:
    one(s, e->u.draw.dist, f); one(s, e->u.draw.via, f); one(s, e->u.draw.as, f); break;
  default: break;
  }
}

/* ---- where names come from ---- */

static void origin_add(search *s, const ast *pattern, const ast *from)
{
  if (!pattern || pattern->kind != AST_PAT_NAME || !pattern->bind) return;
  if (!mem_grow(&s->c->st->mem, &s->origin, &s->corigin, s->norigin + 1, sizeof *s->origin)) {
    s->failed = true;
    return;
  }
  s->origin[s->norigin++] = (origin){ pattern->bind, from };
}

static void find_origins(search *s, ast *e)
{
  if (e->kind == AST_FOR && e->u.loop.over->kind != AST_RANGE)
    origin_add(s, e->u.loop.pattern, e->u.loop.over);
  if (e->kind == AST_LET) origin_add(s, e->u.let.pattern, e->u.let.value);
  for (uint32_t i = 0; e->kind == AST_COMP && i < e->u.comp.n; i++)
    origin_add(s, e->u.comp.v[i].pattern, e->u.comp.v[i].value);
  each_child(s, e, find_origins);
}

static const ast *origin_of(const search *s, const binding *b)
{
  for (size_t i = 0; i < s->norigin; i++) if (s->origin[i].b == b) return s->origin[i].from;
  return NULL;
}

/* ---- what is observed ---- */

static bool same_name(const binding *a, const binding *b)
{
  return a == b || (a->kind == BIND_GLOBAL && b->kind == BIND_GLOBAL && a->entry == b->entry);
}

/* The name that x[i].f[j] starts with, and the field of it that is meant; NULL: it is another
   expression. */
static const ast *stem(const ast *e, const char **field)
{
  *field = NULL;
  for (;;) {
    if (e->kind == AST_INDEX) e = e->u.index.base;
    else if (e->kind == AST_FIELD) { *field = e->u.field.name.s; e = e->u.field.base; }
    else return e->kind == AST_NAME && e->bind ? e : NULL;
  }
}

static void root_add(search *s, const binding *b, const char *field, ast *observe)
{
  if (b->kind == BIND_FN || (b->entry && b->entry->kind != ENV_GLOBAL)) return;   /* a function */
  for (size_t i = 0; i < s->nroot; i++)
    if (s->root[i].observe == observe && same_name(s->root[i].b, b) && s->root[i].field == field)
      return;
  if (!mem_grow(&s->c->st->mem, &s->root, &s->croot, s->nroot + 1, sizeof *s->root)) {
    s->failed = true;
    return;
  }
  s->root[s->nroot++] = (root){ b, field, observe };
}

/* The names in an observed expression, but for those of indices; then where those are from. */
static void roots_in(search *s, const ast *e, ast *observe, int depth)
{
  const char *field;
  const ast *name = stem(e, &field);
  if (depth == 8) return;
  if (name) {
    root_add(s, name->bind, field, observe);
    const ast *from = origin_of(s, name->bind);
    if (from && from->kind != AST_OBSERVE) roots_in(s, from, observe, depth + 1);
    return;
  }
  if (e->kind == AST_CALL)
    for (uint32_t i = 0; i < e->u.call.n; i++)
      roots_in(s, e->u.call.v[i].value, observe, depth + 1);
  else if (e->kind == AST_ARRAY)
    for (uint32_t i = 0; i < e->u.list.n; i++) roots_in(s, e->u.list.v[i], observe, depth + 1);
  else if (e->kind == AST_UNARY || e->kind == AST_BINARY) {
    roots_in(s, e->u.bin.a, observe, depth + 1);
    if (e->u.bin.b) roots_in(s, e->u.bin.b, observe, depth + 1);
  }
}

static void find_roots(search *s, ast *e)
{
  if (e->kind == AST_OBSERVE) roots_in(s, e->u.bin.a, e, 0);
  each_child(s, e, find_roots);
}

/* ---- what is read ---- */

static void find_reads(search *s, ast *e);

static void note_read(search *s, const binding *b, const char *field)
{
  for (size_t i = 0; i < s->nroot; i++) {
    const root *r = &s->root[i];
    if (same_name(r->b, b) && (!r->field || !field || r->field == field))
      r->observe->flags |= AST_REREAD;
  }
}

/* Only the indices of x[i] are read. */
static void indices(search *s, const ast *e)
{
  for (;; e = e->kind == AST_INDEX ? e->u.index.base : e->u.field.base) {
    if (e->kind == AST_INDEX) each(s, e->u.index.v, e->u.index.n, find_reads);
    else if (e->kind != AST_FIELD) return;
  }
}

/* An observed expression: its names are what is observed. */
static void observed(search *s, ast *e)
{
  const char *field;
  if (stem(e, &field)) indices(s, e);
  else if (e->kind == AST_UNARY || e->kind == AST_BINARY || e->kind == AST_CALL ||
           e->kind == AST_ARRAY)
    each_child(s, e, observed);
  else find_reads(s, e);
}

static bool is_root(const search *s, const ast *pattern)
{
  if (!pattern || pattern->kind != AST_PAT_NAME || !pattern->bind) return false;
  for (size_t i = 0; i < s->nroot; i++) if (s->root[i].b == pattern->bind) return true;
  return false;
}

/* What an observed name was bound to, or something else. */
static void bound(search *s, const ast *pattern, ast *from)
{
  if (is_root(s, pattern)) observed(s, from);
  else find_reads(s, from);
}

static bool is_len(search *s, const ast *e)
{
  const env_entry *f = e->kind == AST_CALL ? comp_callee(s->c, e->u.call.fn) : NULL;
  const char *field;
  return f && f->kind == ENV_NATIVE && !strcmp(sym_name(s->c->st, f->name), "len") &&
         e->u.call.n == 1 && stem(e->u.call.v[0].value, &field);
}

static void find_reads(search *s, ast *e)
{
  const char *field;
  const ast *name = stem(e, &field);
  const ast_states *t = e->kind == AST_FOR ? e->u.loop.states : NULL;
  if (name) {
    note_read(s, name->bind, field);
    indices(s, e);
  } else if (e->kind == AST_OBSERVE) {
    observed(s, e->u.bin.a);
    find_reads(s, e->u.bin.b);
  } else if (e->kind == AST_LET) {
    bound(s, e->u.let.pattern, e->u.let.value);
  } else if (e->kind == AST_DRAW) {              /* a proposal may be of the data that were there */
    find_reads(s, e->u.draw.dist);
    if (e->u.draw.as) find_reads(s, e->u.draw.as);
  } else if (e->kind == AST_FOR) {
    bound(s, e->u.loop.pattern, e->u.loop.over);
    for (uint32_t i = 0; t && i < t->n; i++) find_reads(s, t->v[i].init);
    find_reads(s, e->u.loop.body);
  } else if (e->kind == AST_COMP) {
    for (uint32_t i = 0; i < e->u.comp.n; i++)
      bound(s, e->u.comp.v[i].pattern, e->u.comp.v[i].value);
    find_reads(s, e->u.comp.body);
  } else if (is_len(s, e)) {
    indices(s, e->u.call.v[0].value);
  } else {
    each_child(s, e, find_reads);
  }
}

bool reread_mark(comp *c, const ast_fn *fn)
{
  search s = { .c = c };
  if (!fn->body) return true;
  find_origins(&s, fn->body);
  find_roots(&s, fn->body);
  if (s.nroot) find_reads(&s, fn->body);
  mem_put(&c->st->mem, s.origin, s.corigin * sizeof *s.origin);
  mem_put(&c->st->mem, s.root, s.croot * sizeof *s.root);
  return !s.failed;
}
