/* parse_pattern.c: patterns, and the small language of annotations. */
#include "lang/parse/parse_in.h"
#include <string.h>

static ast *pattern(parser *p, bool refutable);

/* ---- patterns ---- */

static bool upper(const char *s)
{
  return *s >= 'A' && *s <= 'Z';
}

/* Patterns up to the closing bracket; `..` ends them (lists only). */
static void patterns(parser *p, ast *n, uint32_t open, token_kind close, bool refutable)
{
  size_t list = list_open(p);
  bool isarray = close == TOK_RBRACKET;
  uint32_t count;
  ast **v, *rest = NULL;
  while (!p->panic && !parse_at(p, close)) {
    if (isarray && parse_accept(p, TOK_DOTS)) {
      n->flags |= AST_OPEN;
      if (parse_at(p, TOK_NAME) || parse_at(p, TOK_UNDERSCORE)) rest = pattern(p, false);
      parse_accept(p, TOK_COMMA);
      if (!p->panic && !parse_at(p, close))
        parse_expected(p, "']': the rest comes last in a pattern");
      break;
    }
    ast *e = pattern(p, refutable);
    node_over(n, e);
    list_add(p, &e, sizeof e);
    if (p->panic || !parse_accept(p, TOK_COMMA)) break;
  }
  parse_close(p, open, close, isarray ? "',' or ']' in the pattern" : "',' or ')' in the pattern");
  v = list_close(p, list, sizeof *v, &count);
  if (isarray) {
    n->u.plist.v = v;
    n->u.plist.n = count;
    n->u.plist.rest = rest && rest->kind == AST_PAT_NAME ? rest : NULL;
  } else {
    n->u.con.v = v;
    n->u.con.n = count;
  }
}

static ast *plist(parser *p, bool refutable)
{
  uint32_t open = p->at;
  ast *n = node_new(p, AST_PAT_LIST, open);
  mode outer = parse_inside(p, true);
  parse_step(p);
  patterns(p, n, open, TOK_RBRACKET, refutable);
  p->mode = outer;
  return node_seal(p, n);
}

static ast *name_node(parser *p)
{
  uint32_t first = p->at;
  ast *n = node_new(p, AST_NAME, first);
  n->u.name = name_intern(p, first);
  parse_step(p);
  return node_seal(p, n);
}

/* C, C(p, ...), module.C, module.C(p, ...) */
static ast *constructor(parser *p, bool refutable)
{
  uint32_t first = p->at;
  ast *c = name_node(p), *n = node_new(p, AST_PAT_CON, first);
  if (parse_at(p, TOK_DOT)) {
    parse_step(p);
    if (!parse_at(p, TOK_NAME) || !upper(name_intern(p, p->at)))
      return parse_expected(p, "the name of a constructor after '.'");
    ast *f = node_new(p, AST_FIELD, first);
    f->u.field.base = c;
    f->u.field.name = name_take(p);
    node_over(f, c);
    c = node_seal(p, f);
  }
  n->u.con.con = c;
  node_over(n, c);
  if (parse_at(p, TOK_LPAREN) && !parse_nl(p)) {
    uint32_t open = p->at;
    mode outer = parse_inside(p, true);
    parse_step(p);
    patterns(p, n, open, TOK_RPAREN, refutable);
    p->mode = outer;
  }
  return node_seal(p, n);
}

/* The fields { a: p, b }. */
static ast *precord(parser *p, bool refutable)
{
  uint32_t open = p->at, count;
  size_t list = list_open(p);
  ast *n = node_new(p, AST_PAT_RECORD, open);
  mode outer = parse_inside(p, false);
  parse_step(p);
  while (!p->panic && !parse_at(p, TOK_RBRACE)) {
    ast_field f = {{NULL, {0, 0, 0}}, NULL};
    uint32_t first = p->at;
    bool word = parse_at(p, TOK_NAME);
    if (!parse_at_key(p, first)) {
      parse_expected(p, "a field's name or '}' in the pattern");
      break;
    }
    f.name = parse_key(p);
    if (parse_accept(p, TOK_COLON)) {
      f.value = pattern(p, refutable);
    } else if (word) {
      f.value = node_new(p, AST_PAT_NAME, first);
      f.value->u.name = f.name.s;
    } else {
      parse_expected(p, "':' and a pattern after this field");
      break;
    }
    node_over(n, f.value);
    list_add(p, &f, sizeof f);
    if (p->panic || !parse_accept(p, TOK_COMMA)) break;
  }
  parse_close(p, open, TOK_RBRACE, "',' or '}' in the pattern");
  p->mode = outer;
  n->u.record.v = list_close(p, list, sizeof(ast_field), &count);
  n->u.record.n = count;
  names_differ(p, n->u.record.v, count, sizeof(ast_field), "field");
  return node_seal(p, n);
}

/* The literal is read as an expression would be; a minus goes into it. */
static ast *literal(parser *p, bool refutable)
{
  uint32_t first = p->at;
  bool minus = parse_at(p, TOK_SUB);
  token_kind k = minus ? parse_then(p) : parse_kind(p);
  if (minus && k != TOK_INT && k != TOK_REAL) {
    parse_step(p);
    return parse_expected(p, "a number after '-' in the pattern");
  }
  ast *n = node_new(p, AST_PAT_LITERAL, first), *e = parse_literal(p);
  if (!refutable && !p->panic) {
    parse_note(p, e->span, "this pattern binds names; it can't test for a value");
    parse_hint(p, "match e { 1 -> ..., x -> ... } tests");
  }
  n->u.literal = e;
  node_over(n, e);
  return node_seal(p, n);
}

static ast *bind(parser *p)
{
  uint32_t first = p->at;
  bool dot = parse_then(p) == TOK_DOT;
  ast *n = node_new(p, AST_PAT_NAME, first);
  n->u.name = name_intern(p, first);
  if (dot) return constructor(p, true);
  parse_step(p);
  if (parse_at(p, TOK_LPAREN) && !parse_nl(p)) {
    parse_fail(p, parse_tok_span(p, first), "'%s' is no constructor", n->u.name);
    parse_hint(p, "constructors start with a capital letter; a function is fn f(x) = ...");
  }
  return node_seal(p, n);
}

static ast *parenthesised(parser *p, bool refutable)
{
  uint32_t open = p->at;
  if (parse_then(p) == TOK_RPAREN) return literal(p, refutable);
  mode outer = parse_inside(p, true);
  parse_step(p);
  ast *e = pattern(p, refutable);
  bool comma = parse_at(p, TOK_COMMA);
  if (!parse_close(p, open, TOK_RPAREN, "')' in the pattern") && comma)
    parse_hint(p, "there are no tuples: an array is [a, b], a record { a, b }");
  p->mode = outer;
  return e;
}

static ast *pattern_of(parser *p, bool refutable)
{
  uint32_t first = p->at;
  switch (parse_kind(p)) {
  case TOK_UNDERSCORE:
    parse_step(p);
    return node_new(p, AST_PAT_ANY, first);
  case TOK_NAME:
    return upper(name_intern(p, first)) ? constructor(p, refutable) : bind(p);
  case TOK_INT: case TOK_REAL: case TOK_STR: case TOK_TRUE: case TOK_FALSE: case TOK_MISSING:
  case TOK_SUB: return literal(p, refutable);
  case TOK_LBRACKET: return plist(p, refutable);
  case TOK_LBRACE: return precord(p, refutable);
  case TOK_LPAREN: return parenthesised(p, refutable);
  case TOK_STR_HEAD:
    return parse_fail(p, parse_tok_span(p, first), "a string in a pattern can't have { } in it");
  default:
    return parse_expected_name(p, "a pattern");
  }
}

static ast *pattern(parser *p, bool refutable)
{
  if (p->panic) return node_new(p, AST_ERROR, p->at);
  ast *e = parse_enter(p) ? pattern_of(p, refutable) : node_new(p, AST_ERROR, p->at);
  p->nest--;
  return e;
}

/* After let and for a name alone binds whatever its case: let X = ... */
ast *parse_pattern(parser *p, bool refutable)
{
  token_kind then = parse_then(p);
  bool lone = parse_at(p, TOK_NAME) && then != TOK_LPAREN && then != TOK_DOT;
  return !refutable && lone && !p->panic ? bind(p) : pattern(p, refutable);
}

/* ---- annotations ---- */

static ast *type_of(parser *p);

/* An argument: name = expr, a literal, or a type. */
static bool type_arg(parser *p, ast *n, ast_arg *a)
{
  bool minus = parse_at(p, TOK_SUB);
  token_kind k = minus ? parse_then(p) : parse_kind(p);
  if (parse_at(p, TOK_NAME) && parse_then(p) == TOK_ASSIGN) {
    a->name = name_take(p);
    parse_step(p);
    a->value = parse_expr(p);
  } else if (k == TOK_INT || k == TOK_REAL || (k == TOK_STR && !minus)) {
    a->value = parse_literal(p);
  } else {
    a->value = type_of(p);
  }
  node_over(n, a->value);
  return !p->panic;
}

static ast *type_name(parser *p)
{
  uint32_t first = p->at, open, count;
  size_t list = list_open(p);
  ast *n = node_new(p, AST_TYPE_NAME, first);
  n->u.tname.name = name_take(p).s;
  if (parse_at(p, TOK_DOT)) {
    parse_step(p);
    if (!parse_at(p, TOK_NAME)) return parse_expected(p, "the name of a type after '.'");
    n->u.tname.module = n->u.tname.name;
    n->u.tname.name = name_take(p).s;
  }
  if (!parse_at(p, TOK_LPAREN) || parse_nl(p)) return node_seal(p, n);
  mode outer = parse_inside(p, true);
  open = p->at;
  parse_step(p);
  while (!p->panic && !parse_at(p, TOK_RPAREN)) {
    ast_arg a = {{NULL, {0, 0, 0}}, NULL};
    bool well = type_arg(p, n, &a);
    list_add(p, &a, sizeof a);
    if (!well || !parse_accept(p, TOK_COMMA)) break;
  }
  parse_close(p, open, TOK_RPAREN, "',' or ')' in the annotation");
  p->mode = outer;
  n->u.tname.v = list_close(p, list, sizeof(ast_arg), &count);
  n->u.tname.n = count;
  return node_seal(p, n);
}

/* fn, fn(real, int), fn(real) -> real */
static ast *type_fn(parser *p)
{
  uint32_t first = p->at, count;
  size_t list = list_open(p);
  ast *n = node_new(p, AST_TYPE_FN, first);
  parse_step(p);
  if (!parse_at(p, TOK_LPAREN) || parse_nl(p)) return node_seal(p, n);
  uint32_t open = p->at;
  mode outer = parse_inside(p, true);
  parse_step(p);
  while (!p->panic && !parse_at(p, TOK_RPAREN)) {
    ast *e = type_of(p);
    node_over(n, e);
    list_add(p, &e, sizeof e);
    if (p->panic || !parse_accept(p, TOK_COMMA)) break;
  }
  parse_close(p, open, TOK_RPAREN, "',' or ')' in the annotation");
  p->mode = outer;
  n->u.tfn.v = list_close(p, list, sizeof(ast *), &count);
  n->u.tfn.n = count;
  if (!p->panic && parse_accept(p, TOK_ARROW)) {
    n->u.tfn.result = type_of(p);
    node_over(n, n->u.tfn.result);
  }
  return node_seal(p, n);
}

static ast *type_of(parser *p)
{
  ast *e;
  if (p->panic) return node_new(p, AST_ERROR, p->at);
  if (!parse_enter(p)) e = node_new(p, AST_ERROR, p->at);
  else if (parse_at(p, TOK_NAME)) e = type_name(p);
  else if (parse_at(p, TOK_FN)) e = type_fn(p);
  else e = parse_expected(p, "a type");
  p->nest--;
  return e;
}

ast *parse_type(parser *p)
{
  return type_of(p);
}
