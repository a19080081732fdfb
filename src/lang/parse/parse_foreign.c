/* parse_foreign.c: declarations of C functions.

       foreign "libm.so.6" {
         ## The Bessel function of the first kind, of order 0.
         fn bessel(x: c_double) -> c_double as "j0" derivative x -> -j1(x)
         fn mean(x: array(c_double), n: c_size = len(x)) -> c_double
         fn fill(n: c_int, x: out array(c_double, n), f: fn(c_int) -> c_double)
       } */
#include "lang/parse/parse_in.h"
#include <string.h>

static ast *ctype(parser *p);

static ast *ctype_new(parser *p, uint32_t first)
{
  ast *n = node_new(p, AST_CTYPE, first);
  if (p->stop) return n;
  n->u.ctype = arena_get(p->a, sizeof *n->u.ctype);
  if (n->u.ctype) return n;
  parse_nomem(p);
  return node_new(p, AST_ERROR, first);
}

/* out, inout or ref before a type; NULL: none of them. */
static const char *mode_word(const parser *p)
{
  static const char *const words[] = {"out", "inout", "ref"};
  token_kind then = parse_then(p);
  if (then != TOK_NAME && then != TOK_FN) return NULL;
  for (int i = 0; i < NORN_COUNT(words); i++)
    if (parse_word(p, words[i])) return words[i];
  return NULL;
}

/* array(c_double) or array(c_double, n) after the word. */
static void array_of(parser *p, ast *n)
{
  uint32_t open = p->at;
  if (!parse_expect(p, TOK_LPAREN, "'(' and the type of the elements")) {
    parse_hint(p, "array(c_double), or with the number of elements: array(c_double, n)");
    return;
  }
  mode outer = parse_inside(p, true);
  n->u.ctype->elem = ctype(p);
  node_over(n, n->u.ctype->elem);
  if (!p->panic && parse_accept(p, TOK_COMMA)) {
    n->u.ctype->size = parse_expr(p);
    node_over(n, n->u.ctype->size);
  }
  parse_close(p, open, TOK_RPAREN, "',' or ')' in the type");
  p->mode = outer;
}

/* c_double, x: c_double, or _ : a parameter of a callback. */
static bool callback_param(parser *p, ast *n, ast_param *v)
{
  *v = (ast_param){.name = {NULL, parse_tok_span(p, p->at)}};
  if (parse_at(p, TOK_UNDERSCORE)) {
    v->name = name_take(p);
    return true;
  }
  if (parse_at(p, TOK_NAME) && parse_then(p) == TOK_COLON) {
    v->name = name_take(p);
    parse_step(p);
  }
  v->type = ctype(p);
  node_over(n, v->type);
  return !p->panic;
}

/* fn(c_double, c_int) -> c_double after the word. */
static void callback(parser *p, ast *n)
{
  uint32_t open = p->at;
  size_t list = list_open(p);
  ast_param v;
  if (!parse_expect(p, TOK_LPAREN, "'(' and the types of the callback's parameters")) return;
  mode outer = parse_inside(p, true);
  while (!p->panic && !parse_at(p, TOK_RPAREN)) {
    if (!callback_param(p, n, &v)) break;
    list_add(p, &v, sizeof v);
    if (!parse_accept(p, TOK_COMMA)) break;
  }
  parse_close(p, open, TOK_RPAREN, "',' or ')' in the type");
  p->mode = outer;
  n->u.ctype->params = list_close(p, list, sizeof v, &n->u.ctype->n);
  if (!p->panic && parse_accept(p, TOK_ARROW)) {
    n->u.ctype->result = ctype(p);
    node_over(n, n->u.ctype->result);
  }
}

static ast *ctype_inside(parser *p)
{
  uint32_t first = p->at;
  ast *n = ctype_new(p, first);
  if (n->kind != AST_CTYPE) return n;
  const char *word = mode_word(p);
  if (word) {
    n->u.ctype->mode = word;
    parse_step(p);
  }
  if (parse_at(p, TOK_FN)) {
    n->u.ctype->word = (ast_name){"fn", parse_tok_span(p, p->at)};
    parse_step(p);
    callback(p, n);
  } else if (parse_at(p, TOK_NAME)) {
    n->u.ctype->word = name_take(p);
    if (!strcmp(n->u.ctype->word.s, "array")) array_of(p, n);
  } else {
    n = parse_expected(p, "a C type");
    parse_hint(p, "such as c_double, c_int, c_string, array(c_double), fn(c_double) -> c_double");
    return n;
  }
  return p->panic ? node_new(p, AST_ERROR, first) : node_seal(p, n);
}

static ast *ctype(parser *p)
{
  if (p->panic) return node_new(p, AST_ERROR, p->at);
  ast *n = parse_enter(p) ? ctype_inside(p) : node_new(p, AST_ERROR, p->at);
  p->nest--;
  return n;
}

/* name: type [= default] */
static bool param(parser *p, ast *n, ast_param *v)
{
  *v = (ast_param){.name = {NULL, {0, 0, 0}}};
  if (!parse_at(p, TOK_NAME) && !parse_at(p, TOK_UNDERSCORE)) {
    parse_expected_name(p, "the name of a parameter");
    return false;
  }
  v->name = name_take(p);
  if (!parse_expect(p, TOK_COLON, "':' and the C type of the parameter")) return false;
  v->type = ctype(p);
  node_over(n, v->type);
  if (!p->panic && parse_accept(p, TOK_ASSIGN)) {
    v->fallback = parse_expr(p);
    node_over(n, v->fallback);
  }
  return !p->panic;
}

static void params(parser *p, ast *n, ast_fn *f)
{
  uint32_t open = p->at;
  size_t list = list_open(p);
  ast_param v;
  if (!parse_expect(p, TOK_LPAREN, "'(' and the parameters")) return;
  mode outer = parse_inside(p, true);
  while (!p->panic && !parse_at(p, TOK_RPAREN)) {
    if (!param(p, n, &v)) break;
    list_add(p, &v, sizeof v);
    if (!parse_accept(p, TOK_COMMA)) break;
  }
  parse_close(p, open, TOK_RPAREN, "',' or ')' in the parameters");
  p->mode = outer;
  f->params = list_close(p, list, sizeof v, &f->nparams);
  names_differ(p, f->params, f->nparams, sizeof v, "parameter");
}

/* [as "symbol"] [derivative expr], in this order */
static void behind(parser *p, ast *n, ast_cfn *c)
{
  if (p->panic) return;
  if (parse_word(p, "as") && !parse_ended(p)) {
    parse_step(p);
    c->at = parse_tok_span(p, p->at);
    if (!parse_at(p, TOK_STR)) {
      parse_expected(p, "a string, the name of the function in C, after as");
      return;
    }
    c->symbol = parse_string(p)->u.str.s;
  }
  if (!p->panic && parse_word(p, "derivative") && !parse_ended(p)) {
    parse_step(p);
    c->derivative = parse_expr(p);
    node_over(n, c->derivative);
  }
  if (!p->panic && !parse_ended(p)) {
    parse_expected(p, "the end of the line after the declaration");
    parse_rehint(p, "a declaration has no body; behind it may stand as \"name\" and derivative f");
  }
}

static bool declaration(parser *p, ast *n, ast_cfn *c)
{
  *c = (ast_cfn){.fn = arena_get(p->a, sizeof *c->fn)};
  if (!c->fn) {
    parse_nomem(p);
    return false;
  }
  c->fn->doc = parse_doc(p, p->at);
  if (!parse_expect(p, TOK_FN, "'fn' and the declaration of a C function, or '}'")) return false;
  if (!parse_at(p, TOK_NAME)) {
    parse_expected_name(p, "the function's name after fn");
    return false;
  }
  c->at = parse_tok_span(p, p->at);
  c->fn->name = name_take(p);
  c->symbol = c->fn->name.s;
  params(p, n, c->fn);
  if (!p->panic && parse_accept(p, TOK_ARROW)) {
    c->fn->result = ctype(p);
    node_over(n, c->fn->result);
  }
  behind(p, n, c);
  return !p->panic;
}

ast *parse_foreign(parser *p)
{
  uint32_t first = p->at, count;
  ast *n = node_new(p, AST_FOREIGN, first);
  ast_foreign *f = arena_get(p->a, sizeof *f);
  if (!f) {
    parse_nomem(p);
    return node_new(p, AST_ERROR, first);
  }
  if (!p->stop) n->u.foreign = f;
  parse_step(p);
  f->at = parse_tok_span(p, p->at);
  f->library = parse_string(p)->u.str.s;
  uint32_t open = p->at;
  if (!parse_expect(p, TOK_LBRACE, "'{' and the declarations"))
    return node_new(p, AST_ERROR, first);
  size_t list = list_open(p);
  mode outer = parse_inside(p, false);
  while (!p->panic && !parse_at(p, TOK_RBRACE) && !parse_at(p, TOK_END)) {
    ast_cfn c;
    if (parse_accept(p, TOK_SEMI)) continue;
    uint32_t start = p->start = p->at;
    if (declaration(p, n, &c)) list_add(p, &c, sizeof c);
    if (p->panic) parse_skip(p, start, false);
  }
  parse_close(p, open, TOK_RBRACE, "'}' after the declarations");
  p->mode = outer;
  f->v = list_close(p, list, sizeof(ast_cfn), &count);
  f->n = count;
  return node_seal(p, n);
}
