/* ast_print.c: the tree as s-expressions, for tests and for looking.

     let x = f(a, k: 2) + 1     (let x (+ (f a k: 2) 1))

   Names stand bare, strings quoted; a call is (f args), other forms start with a word that is no
   name of a program here: if, match, for, ... */
#include "lang/parse/ast.h"
#include <inttypes.h>
#include <string.h>

const char *ast_kind_name(ast_kind k)
{
  static const char *const names[] = {
#define X(kind, s) s,
    AST_KINDS(X)
#undef X
  };
  return k < AST_KINDS_COUNT ? names[k] : "?";
}

const char *ast_binary_name(ast_binary op)
{
  static const char *const names[] = {
#define X(kind, s, power) s,
    AST_BINARIES(X)
#undef X
  };
  return op < BIN_COUNT ? names[op] : "?";
}

const char *ast_unary_name(ast_unary op)
{
  static const char *const names[] = {"-", "not", "'"};
  return op < UN_COUNT ? names[op] : "?";
}

static void child(text *t, const ast *e)
{
  text_putc(t, ' ');
  ast_print(t, e);
}

static void children(text *t, ast *const *v, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) child(t, v[i]);
}

/* Names that are no words are quoted. */
static void key(text *t, const char *s)
{
  bool plain = s[0] != 0;
  for (const unsigned char *c = (const unsigned char *)s; *c; c++)
    plain &= *c == '_' || *c >= 0x80 || (*c >= '0' && *c <= '9') ||
             ((*c | 32) >= 'a' && (*c | 32) <= 'z');
  if (plain) text_puts(t, s);
  else text_quoted(t, s, strlen(s));
}

static void arguments(text *t, const ast_arg *v, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) {
    text_putc(t, ' ');
    if (v[i].name.s) text_printf(t, "%s: ", v[i].name.s);
    ast_print(t, v[i].value);
  }
}

static void fields(text *t, const ast_field *v, uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) {
    text_putc(t, ' ');
    key(t, v[i].name.s);
    text_putc(t, ':');
    child(t, v[i].value);
  }
}

static void params(text *t, const ast_param *v, uint32_t n)
{
  text_putc(t, '(');
  for (uint32_t i = 0; i < n; i++) {
    if (i) text_putc(t, ' ');
    bool bare = !v[i].type && !v[i].fallback;
    text_printf(t, "%s%s", bare ? "" : "(", v[i].name.s ? v[i].name.s : "");
    if (v[i].type) text_puts(t, " :"), child(t, v[i].type);
    if (v[i].fallback) text_puts(t, " ="), child(t, v[i].fallback);
    if (!bare) text_putc(t, ')');
  }
  text_putc(t, ')');
}

static void doc(text *t, const char *s)
{
  if (!s) return;
  text_puts(t, " doc ");
  text_quoted(t, s, strlen(s));
}

static void function(text *t, const ast *e)
{
  const ast_fn *f = e->u.fn;
  if (e->kind != AST_LAMBDA) text_printf(t, " %s", f->name.s);
  doc(t, f->doc);
  text_putc(t, ' ');
  params(t, f->params, f->nparams);
  if (f->result) text_puts(t, " ->"), child(t, f->result);
  child(t, f->body);
}

static void arms(text *t, const ast *e)
{
  child(t, e->u.match.value);
  for (uint32_t i = 0; i < e->u.match.n; i++) {
    const ast_arm *a = &e->u.match.v[i];
    text_puts(t, " (");
    ast_print(t, a->pattern);
    if (a->guard) text_puts(t, " if"), child(t, a->guard);
    child(t, a->body);
    text_putc(t, ')');
  }
}

static void loop(text *t, const ast *e)
{
  child(t, e->u.loop.pattern);
  child(t, e->u.loop.over);
  const ast_states *s = e->u.loop.states;
  if (s) {
    text_puts(t, " (with");
    for (uint32_t i = 0; i < s->n; i++) {
      text_printf(t, " (%s", s->v[i].name.s);
      child(t, s->v[i].init);
      text_putc(t, ')');
    }
    text_putc(t, ')');
  }
  child(t, e->u.loop.body);
}

static void clauses(text *t, const ast *e)
{
  child(t, e->u.comp.body);
  for (uint32_t i = 0; i < e->u.comp.n; i++) {
    const ast_clause *c = &e->u.comp.v[i];
    text_puts(t, c->pattern ? " (for" : " (if");
    if (c->pattern) child(t, c->pattern);
    child(t, c->value);
    text_putc(t, ')');
  }
}

static void constructors(text *t, const ast_typedef *d)
{
  text_printf(t, " %s", d->name.s);
  doc(t, d->doc);
  for (uint32_t i = 0; i < d->ncons; i++) {
    text_printf(t, " (%s ", d->cons[i].name.s);
    params(t, d->cons[i].fields, d->cons[i].n);
    text_putc(t, ')');
  }
}

static void draw(text *t, const ast *e)
{
  child(t, e->u.draw.pattern);
  child(t, e->u.draw.dist);
  if (e->u.draw.via) text_puts(t, " via"), child(t, e->u.draw.via);
  if (e->u.draw.as) text_puts(t, " as"), child(t, e->u.draw.as);
}

static void list_pattern(text *t, const ast *e)
{
  children(t, e->u.plist.v, e->u.plist.n);
  if (e->flags & AST_OPEN) text_printf(t, " ..%s", e->u.plist.rest ? e->u.plist.rest->u.name : "");
}

static void type_name(text *t, const ast *e)
{
  if (e->u.tname.n) text_putc(t, '(');
  if (e->u.tname.module) text_printf(t, "%s.", e->u.tname.module);
  text_puts(t, e->u.tname.name);
  arguments(t, e->u.tname.v, e->u.tname.n);
  if (e->u.tname.n) text_putc(t, ')');
}

static void type_fn(text *t, const ast *e)
{
  children(t, e->u.tfn.v, e->u.tfn.n);
  if (e->u.tfn.result) text_puts(t, " ->"), child(t, e->u.tfn.result);
}

/* What is one word.  False for the rest. */
static bool atom(text *t, const ast *e)
{
  switch (e->kind) {
  case AST_INT: text_printf(t, "%" PRId64, e->u.i); return true;
  case AST_REAL: text_real(t, e->u.d); return true;
  case AST_STR: text_quoted(t, e->u.str.s, e->u.str.n); return true;
  case AST_BOOL: text_puts(t, e->u.b ? "true" : "false"); return true;
  case AST_UNIT: text_puts(t, "()"); return true;
  case AST_MISSING: text_puts(t, "missing"); return true;
  case AST_NAME: case AST_PAT_NAME: text_puts(t, e->u.name); return true;
  case AST_PAT_ANY: text_putc(t, '_'); return true;
  case AST_PAT_LITERAL: ast_print(t, e->u.literal); return true;
  case AST_TYPE_NAME: type_name(t, e); return true;
  case AST_ERROR: text_puts(t, "<error>"); return true;
  default: return false;
  }
}

/* The word that a form starts with; "" where its first child does that. */
static const char *word(const ast *e)
{
  switch (e->kind) {
  case AST_BINARY: return ast_binary_name((ast_binary)e->op);
  case AST_UNARY: return ast_unary_name((ast_unary)e->op);
  case AST_RANGE: return "..";
  case AST_CALL: case AST_PAT_CON: return "";
  case AST_FIELD: return ".";
  case AST_LAMBDA: return "->";
  case AST_DRAW: return "let~";
  case AST_TYPE_FN: return "fn";
  default: return ast_kind_name((ast_kind)e->kind);
  }
}

static void bin(text *t, const ast *e)
{
  if (e->u.bin.a) child(t, e->u.bin.a);
  else text_puts(t, " -");
  if (e->u.bin.b) child(t, e->u.bin.b);
  else if (e->kind == AST_SLICE) text_puts(t, " -");
}

static void call(text *t, const ast *e)
{
  ast_print(t, e->u.call.fn);
  arguments(t, e->u.call.v, e->u.call.n);
}

static void ctype(text *t, const ast_ctype *c)
{
  if (c->mode) text_printf(t, " %s", c->mode);
  text_printf(t, " %s", c->word.s);
  if (c->elem) child(t, c->elem);
  if (c->size) child(t, c->size);
  if (!c->elem && !strcmp(c->word.s, "fn")) {
    text_putc(t, ' ');
    params(t, c->params, c->n);
  }
  if (c->result) child(t, c->result);
}

static void foreign(text *t, const ast_foreign *f)
{
  text_putc(t, ' ');
  text_quoted(t, f->library, strlen(f->library));
  for (uint32_t i = 0; i < f->n; i++) {
    const ast_cfn *c = &f->v[i];
    text_printf(t, " (cfn %s", c->fn->name.s);
    doc(t, c->fn->doc);
    text_putc(t, ' ');
    params(t, c->fn->params, c->fn->nparams);
    if (c->fn->result) child(t, c->fn->result);
    text_putc(t, ' ');
    text_quoted(t, c->symbol, strlen(c->symbol));
    if (c->derivative) child(t, c->derivative);
    text_putc(t, ')');
  }
}

static void statement(text *t, const ast *e)
{
  switch (e->kind) {
  case AST_LET:
    child(t, e->u.let.pattern);
    doc(t, e->u.let.doc);
    child(t, e->u.let.value);
    break;
  case AST_DRAW: draw(t, e); break;
  case AST_FN: case AST_MODEL: case AST_LAMBDA: function(t, e); break;
  case AST_DIST:
    text_printf(t, " %s", e->u.dist.fn->name.s);
    doc(t, e->u.dist.fn->doc);
    text_putc(t, ' ');
    params(t, e->u.dist.fn->params, e->u.dist.fn->nparams);
    arguments(t, e->u.dist.v, e->u.dist.n);
    break;
  case AST_TYPE: constructors(t, e->u.type); break;
  case AST_FOREIGN: foreign(t, e->u.foreign); break;
  case AST_CTYPE: ctype(t, e->u.ctype); break;
  case AST_IMPORT:
    text_putc(t, ' ');
    if (e->flags & AST_FILE) text_quoted(t, e->u.import.module, strlen(e->u.import.module));
    else text_puts(t, e->u.import.module);
    text_printf(t, " as %s", e->u.import.as.s);
    break;
  default: break;
  }
}

static void form(text *t, const ast *e)
{
  switch (e->kind) {
  case AST_INTERP: case AST_ARRAY: case AST_BLOCK: children(t, e->u.list.v, e->u.list.n); break;
  case AST_RECORD:
    if (e->u.record.base) child(t, e->u.record.base), text_puts(t, " with");
    fields(t, e->u.record.v, e->u.record.n);
    break;
  case AST_INDEX: child(t, e->u.index.base), children(t, e->u.index.v, e->u.index.n); break;
  case AST_FIELD: child(t, e->u.field.base), text_printf(t, " %s", e->u.field.name.s); break;
  case AST_CALL: call(t, e); break;
  case AST_SLICE: case AST_UNARY: case AST_BINARY: case AST_AND: case AST_OR: case AST_RANGE:
  case AST_OBSERVE: bin(t, e);
    break;
  case AST_IF:
    child(t, e->u.cond.test), child(t, e->u.cond.yes);
    if (e->u.cond.no) child(t, e->u.cond.no);
    break;
  case AST_MATCH: arms(t, e); break;
  case AST_COMP: clauses(t, e); break;
  case AST_FOR: loop(t, e); break;
  case AST_NEXT:
    children(t, e->u.next.v, e->u.next.n);
    if (e->u.next.keep) text_puts(t, " keep"), child(t, e->u.next.keep);
    break;
  case AST_PAT_CON: ast_print(t, e->u.con.con), children(t, e->u.con.v, e->u.con.n); break;
  case AST_PAT_LIST: list_pattern(t, e); break;
  case AST_PAT_RECORD: fields(t, e->u.record.v, e->u.record.n); break;
  case AST_TYPE_FN: type_fn(t, e); break;
  default: statement(t, e); break;
  }
}

void ast_print(text *t, const ast *e)
{
  if (!e) {
    text_puts(t, "<none>");
    return;
  }
  if (atom(t, e)) return;
  text_putc(t, '(');
  text_puts(t, word(e));
  form(t, e);
  text_putc(t, ')');
}

void ast_print_module(text *t, const ast_module *m)
{
  if (m->doc) {
    text_puts(t, "(doc ");
    text_quoted(t, m->doc, strlen(m->doc));
    text_puts(t, ")\n");
  }
  for (uint32_t i = 0; i < m->n; i++) {
    ast_print(t, m->v[i]);
    text_putc(t, '\n');
  }
}
