/* parse_stmt.c: statements and definitions. */
#include "lang/parse/parse_in.h"
#include <string.h>

/* ---- parameters ---- */

static bool param(parser *p, ast_param *v)
{
  *v = (ast_param){.name = {NULL, {0, 0, 0}}};
  if (!parse_at(p, TOK_NAME) && !parse_at(p, TOK_UNDERSCORE)) {
    bool open = parse_at(p, TOK_LBRACE) || parse_at(p, TOK_LBRACKET);
    parse_expected_name(p, "the name of a parameter");
    if (open) parse_hint(p, "take it apart inside: let { a, b } = r");
    return false;
  }
  v->name = name_take(p);
  if (parse_accept(p, TOK_COLON)) v->type = parse_type(p);
  if (!p->panic && parse_accept(p, TOK_ASSIGN)) v->fallback = parse_expr(p);
  return !p->panic;
}

static void check_params(parser *p, const ast_param *v, uint32_t n)
{
  names_differ(p, v, n, sizeof *v, "parameter");
  for (uint32_t i = 1; i < n; i++) {
    const ast_name *name = &v[i].name;
    if (v[i].fallback || !v[i - 1].fallback) continue;
    parse_note(p, name->span, "the parameter '%s' has no default, but one before it has", name->s);
    parse_hint(p, "parameters with defaults come last");
    return;
  }
}

ast_param *parse_params(parser *p, uint32_t *n)
{
  uint32_t open = p->at;
  size_t list = list_open(p);
  ast_param one;
  *n = 0;
  if (!parse_expect(p, TOK_LPAREN, "'(' and the parameters")) return NULL;
  mode outer = parse_inside(p, true);
  while (!p->panic && !parse_at(p, TOK_RPAREN)) {
    if (!param(p, &one)) break;
    list_add(p, &one, sizeof one);
    if (!parse_accept(p, TOK_COMMA)) break;
  }
  parse_close(p, open, TOK_RPAREN, "',' or ')' in the parameters");
  p->mode = outer;
  ast_param *v = list_close(p, list, sizeof *v, n);
  check_params(p, v, *n);
  return v;
}

/* ---- fn, model, distribution ---- */

/* The name, docstring and parameters after the word at the current token. */
static ast_fn *head(parser *p, ast *n, const char *what)
{
  ast_fn *f = arena_get(p->a, sizeof *f);
  if (!f) {
    parse_nomem(p);
    return NULL;
  }
  n->u.fn = f;
  f->doc = parse_doc(p, p->at);
  parse_step(p);
  if (!parse_at(p, TOK_NAME)) {
    bool lambda = parse_at(p, TOK_LPAREN);
    parse_expected_name(p, what);
    if (lambda) parse_hint(p, "a function without a name is (x, y) -> e");
    return NULL;
  }
  f->name = name_take(p);
  if (!parse_at(p, TOK_LPAREN)) {
    parse_expected(p, "'(' and the parameters");
    parse_hint(p, "even without parameters: %s()", f->name.s);
    return NULL;
  }
  f->params = parse_params(p, &f->nparams);
  for (uint32_t i = 0; i < f->nparams; i++) {
    node_over(n, f->params[i].fallback);
    node_over(n, f->params[i].type);
  }
  return p->panic ? NULL : f;
}

static ast *no_body(parser *p, bool typed)
{
  bool colon = parse_at(p, TOK_COLON), arrow = parse_at(p, TOK_ARROW);
  ast *e = typed ? parse_expected(p, "'=' or '{' after the result's type")
                 : parse_expected(p, "'=' or '{' after the parameters");
  if (typed) parse_hint(p, "the body comes after '=', the type of the result after '->'");
  else if (colon) parse_hint(p, "the type of the result comes after '->'");
  else if (arrow) parse_rehint(p, "a model has no type of its result");
  return e;
}

/* fn name(params) [-> type] = expr, or a block; a model has no type. */
static ast *function(parser *p, ast_kind kind)
{
  uint32_t first = p->at;
  ast *n = node_new(p, kind, first);
  fold *outer = p->fold;
  p->fold = NULL;
  ast_fn *f = head(p, n, kind == AST_MODEL ? "the model's name" : "the function's name after fn");
  if (!f) {
    p->fold = outer;
    return node_new(p, AST_ERROR, first);
  }
  bool typed = kind == AST_FN && parse_accept(p, TOK_ARROW);
  if (typed) f->result = parse_type(p);
  if (p->panic) f->body = node_new(p, AST_ERROR, first);
  else if (parse_accept(p, TOK_ASSIGN)) f->body = parse_expr(p);
  else if (parse_at(p, TOK_LBRACE)) f->body = parse_block(p, "");
  else f->body = no_body(p, typed);
  p->fold = outer;
  node_over(n, f->result);
  node_over(n, f->body);
  return node_seal(p, n);
}

static bool entry(parser *p, ast *n, ast_arg *a)
{
  *a = (ast_arg){{NULL, {0, 0, 0}}, NULL};
  if (!parse_at(p, TOK_NAME)) {
    parse_expected(p, "an entry 'name = value' of the distribution or '}'");
    return false;
  }
  a->name = name_take(p);
  if (!parse_expect(p, TOK_ASSIGN, "'=' and the value of the entry")) return false;
  a->value = parse_expr(p);
  node_over(n, a->value);
  if (!p->panic && !parse_ended(p) && !parse_at(p, TOK_COMMA))
    parse_expected(p, "the end of the line after the entry");
  return true;
}

static ast *distribution(parser *p)
{
  uint32_t first = p->at, count;
  ast *n = node_new(p, AST_DIST, first);
  ast_fn *f = head(p, n, "the distribution's name");
  if (!f) return node_new(p, AST_ERROR, first);
  uint32_t open = p->at;
  n->u.dist.fn = f;
  if (!parse_expect(p, TOK_LBRACE, "'{' and the entries of the distribution")) return n;
  size_t list = list_open(p);
  mode outer = parse_inside(p, false);
  while (!p->panic && !parse_at(p, TOK_RBRACE) && !parse_at(p, TOK_END)) {
    ast_arg a;
    if (parse_accept(p, TOK_SEMI) || parse_accept(p, TOK_COMMA)) continue;
    uint32_t start = p->start = p->at;
    if (entry(p, n, &a)) list_add(p, &a, sizeof a);
    if (p->panic) parse_skip(p, start, true);
  }
  parse_close(p, open, TOK_RBRACE, "'}' after the entries");
  p->mode = outer;
  n->u.dist.v = list_close(p, list, sizeof(ast_arg), &count);
  n->u.dist.n = count;
  names_differ(p, n->u.dist.v, count, sizeof(ast_arg), "entry");
  return node_seal(p, n);
}

/* ---- let ---- */

static ast *draw(parser *p, uint32_t first, ast *to)
{
  ast *n = node_new(p, AST_DRAW, first);
  n->u.draw.pattern = to;
  n->u.draw.dist = parse_expr(p);
  if (!p->panic && parse_word(p, "via") && (!parse_nl(p) || parse_then(p) == TOK_NAME)) {
    parse_step(p);
    n->u.draw.via = parse_expr(p);
  }
  if (!p->panic && parse_word(p, "as") && !parse_ended(p)) {
    parse_step(p);
    if (parse_at(p, TOK_STR) || parse_at(p, TOK_STR_HEAD)) n->u.draw.as = parse_literal(p);
    else parse_expected(p, "a string, the name of the choice, after as");
  }
  if (!p->panic && !n->u.draw.as && to->kind != AST_PAT_NAME && to->kind != AST_PAT_ANY) {
    parse_note(p, to->span, "the choice needs a name of its own");
    parse_hint(p, "write let { a, b } ~ d as \"name\"");
  }
  node_over(n, to);
  node_over(n, n->u.draw.dist);
  node_over(n, n->u.draw.via);
  node_over(n, n->u.draw.as);
  return node_seal(p, n);
}

static ast *let(parser *p)
{
  uint32_t first = p->at;
  const char *doc = parse_doc(p, first);
  parse_step(p);
  ast *to = parse_pattern(p, false);
  if (!p->panic && parse_accept(p, TOK_TILDE)) return draw(p, first, to);
  bool colon = parse_at(p, TOK_COLON), equal = parse_at(p, TOK_EQ), arrow = parse_at(p, TOK_LT);
  if (!parse_expect(p, TOK_ASSIGN, "'=' or '~' after let and a pattern")) {
    if (colon) parse_hint(p, "annotations belong to the parameters and the result of fn");
    else if (equal) parse_hint(p, "one = binds, two compare");
    else if (arrow) parse_hint(p, "let x ~ d samples, let x = e binds");
    else if (parse_at(p, TOK_NAME) && !parse_nl(p)) parse_hint(p, "a function is fn f(x) = ...");
    return node_new(p, AST_ERROR, first);
  }
  ast *n = node_new(p, AST_LET, first);
  n->u.let.pattern = to;
  n->u.let.doc = doc;
  n->u.let.value = parse_expr(p);
  node_over(n, to);
  node_over(n, n->u.let.value);
  return node_seal(p, n);
}

/* ---- type and import ---- */

static bool con(parser *p, ast *n, ast_con *c)
{
  *c = (ast_con){.name = {NULL, {0, 0, 0}}};
  if (!parse_at(p, TOK_NAME)) {
    parse_expected_name(p, "the name of a constructor");
    return false;
  }
  c->name = name_take(p);
  if (c->name.s[0] < 'A' || c->name.s[0] > 'Z') {
    parse_note(p, c->name.span, "the constructor '%s' must start with a capital letter", c->name.s);
    parse_hint(p, "so patterns can tell constructors from variables");
  }
  if (parse_at(p, TOK_LPAREN) && !parse_nl(p)) c->fields = parse_params(p, &c->n);
  for (uint32_t i = 0; i < c->n; i++) {
    const ast *fallback = c->fields[i].fallback;
    if (fallback) parse_note(p, fallback->span, "a constructor's field has no default");
    node_over(n, c->fields[i].type);
  }
  return !p->panic;
}

static ast *type_definition(parser *p)
{
  uint32_t first = p->at;
  ast *n = node_new(p, AST_TYPE, first);
  ast_typedef *t = arena_get(p->a, sizeof *t);
  if (!t) {
    parse_nomem(p);
    return n;
  }
  n->u.type = t;
  t->doc = parse_doc(p, first);
  parse_step(p);
  t->name = name_take(p);
  bool params = parse_at(p, TOK_LPAREN);
  if (!parse_expect(p, TOK_ASSIGN, "'=' and the constructors of the type")) {
    if (params) parse_hint(p, "types have no parameters: type Tree = Leaf(value) | Node(l, r)");
    return node_new(p, AST_ERROR, first);
  }
  size_t list = list_open(p);
  parse_accept(p, TOK_BAR);
  ast_con c;
  while (con(p, n, &c)) {
    list_add(p, &c, sizeof c);
    if (!parse_accept(p, TOK_BAR)) break;
  }
  t->cons = list_close(p, list, sizeof c, &t->ncons);
  names_differ(p, t->cons, t->ncons, sizeof c, "constructor");
  return node_seal(p, n);
}

static ast *import(parser *p)
{
  uint32_t first = p->at;
  ast *n = node_new(p, AST_IMPORT, first);
  parse_step(p);
  if (parse_at(p, TOK_STR)) {
    ast *file = parse_string(p);
    n->flags |= AST_FILE;
    n->u.import.module = file->u.str.s;
  } else {
    n->u.import.as = name_take(p);
    n->u.import.module = n->u.import.as.s;
  }
  if (parse_word(p, "as") && !parse_ended(p)) {
    parse_step(p);
    if (!parse_at(p, TOK_NAME)) return parse_expected_name(p, "a name for the module after as");
    n->u.import.as = name_take(p);
  } else if (n->flags & AST_FILE) {
    parse_expected(p, "'as' and a name after the file");
    parse_hint(p, "import \"mine.norn\" as mine");
    return node_new(p, AST_ERROR, first);
  }
  return node_seal(p, n);
}

/* ---- statements ---- */

/* A word that is a keyword only where a name (or a string, for import and foreign) follows on its
   line. */
static bool at_definition(const parser *p, const char *word)
{
  const token *then = parse_tok(p) + 1;
  if (!parse_word(p, word) || (then->flags & TOK_NL)) return false;
  return then->kind == TOK_STR ? word[0] == 'i' || word[0] == 'f'
                               : then->kind == TOK_NAME && word[0] != 'f';
}

static ast *only_at_top(parser *p, ast *n, uint32_t first, const char *what)
{
  if (!p->panic) parse_note(p, parse_tok_span(p, first), "%s stands at the top level only", what);
  return n;
}

ast *parse_statement(parser *p, bool top)
{
  uint32_t first = p->at;
  if (parse_at(p, TOK_LET)) return let(p);
  if (parse_at(p, TOK_FN)) return function(p, AST_FN);
  if (!parse_at(p, TOK_NAME)) return parse_expr(p);
  if (at_definition(p, "model")) return function(p, AST_MODEL);
  if (at_definition(p, "distribution")) return distribution(p);
  if (at_definition(p, "type")) {
    ast *n = type_definition(p);
    return top ? n : only_at_top(p, n, first, "type");
  }
  if (at_definition(p, "import")) {
    ast *n = import(p);
    return top ? n : only_at_top(p, n, first, "import");
  }
  if (at_definition(p, "foreign")) {
    ast *n = parse_foreign(p);
    return top ? n : only_at_top(p, n, first, "foreign");
  }
  return parse_expr(p);
}

/* Why the text goes on after the statement s. */
static void unexpected(parser *p, const ast *s)
{
  bool def = s->kind == AST_CALL || s->kind == AST_NAME;
  token_kind k = parse_kind(p);
  parse_expected(p, "the end of the statement");
  if (k == TOK_ASSIGN && (s->kind == AST_NAME || s->kind == AST_INDEX || s->kind == AST_FIELD)) {
    parse_rehint(p, "no assignment exists: let x = ... binds a new name");
  } else if (k == TOK_COMMA && s->kind == AST_NAME) {
    parse_rehint(p, "a record names its fields: { %s: %s, ... }", s->u.name, s->u.name);
  } else if (k == TOK_COMMA) {
    parse_rehint(p, "several values stand in an array [a, b] or a record { a: a, b: b }");
  } else if (k == TOK_COLON) {
    parse_rehint(p, "a record starts { name: value }; annotations belong to parameters");
  } else if (s->kind == AST_NAME && !strcmp(s->u.name, "foreign") && k == TOK_NAME) {
    parse_hint(p, "the library is a string: foreign \"libm.so.6\" { ... }");
  } else if (def && k >= TOK_NAME && k <= TOK_STR_HEAD) {
    parse_hint(p, "a call has parentheses: f(x)");
  } else if (k == TOK_LBRACE && def) {
    parse_hint(p, "a definition starts with fn, model or distribution");
  } else if (k == TOK_BAR && s->kind == AST_NAME && parse_then(p) == TOK_NAME) {
    parse_rehint(p, "write or; a record with changes is { %s with %.*s: ... }", s->u.name,
                 (int)(parse_tok(p)[1].end - parse_tok(p)[1].start), p->src + parse_tok(p)[1].start);
  } else if (k == TOK_WITH) {
    parse_hint(p, "an update stands in braces of its own: { r with a: 1 }");
  } else if (k != TOK_RPAREN && k != TOK_RBRACKET) {
    parse_hint(p, "a statement ends at the end of its line or at ';'");
  }
}

/* At an else inside the block it should follow: says so, and the block ends here. */
static bool lacks_brace(parser *p, uint32_t open)
{
  if (!open || open != p->branch || !parse_at(p, TOK_ELSE)) return false;
  uint32_t line, column;
  sources_place(p->files, parse_tok_span(p, open), &line, &column);
  parse_note(p, parse_tok_span(p, p->at), "a '}' is missing before else");
  parse_hint(p, "the '{' was opened in line %u", line);
  return true;
}

ast *parse_statements(parser *p, uint32_t open, bool update)
{
  for (bool any = false; !p->stop && !parse_at(p, TOK_END);) {
    if (parse_accept(p, TOK_SEMI)) continue;
    if (parse_at(p, TOK_RBRACE)) {
      if (open) break;
      parse_note(p, parse_tok_span(p, p->at), "this '}' closes nothing");
      parse_step(p);
      continue;
    }
    if (lacks_brace(p, open)) return NULL;
    uint32_t first = p->start = p->at;
    ast *s = parse_statement(p, open == 0);
    if (update && !any && !p->panic && parse_at(p, TOK_WITH) && ast_is_expr(s)) return s;
    any = true;
    list_add(p, &s, sizeof s);
    if (!p->panic && !parse_ended(p)) unexpected(p, s);
    if (p->panic) parse_skip(p, first, false);
  }
  if (open) parse_close(p, open, TOK_RBRACE, "'}'");
  return NULL;
}
