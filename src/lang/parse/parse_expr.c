/* parse_expr.c: expressions.  Binary operators by precedence climbing over the ladder of
   AST_BINARIES; prefix, power and postfix by descent. */
#include "lang/parse/parse_in.h"
#include <string.h>

enum { P_PIPE = 1, P_OR = 2, P_AND = 3, P_NOT = 4, P_COMPARE = 5, P_RANGE = 6, P_POW = 11 };

typedef struct infix { uint8_t power, op; } infix;
static const infix infixes[TOK_COUNT] = {
#define X(k, s, p) [TOK_##k] = {p, BIN_##k},
  AST_BINARIES(X)
#undef X
  [TOK_PIPE] = {P_PIPE, 0}, [TOK_OR] = {P_OR, 0}, [TOK_AND] = {P_AND, 0}, [TOK_DOTS] = {P_RANGE, 0},
};

static ast *binary(parser *p, int min);
static ast *unary(parser *p);

/* ---- literals ---- */

static ast *integer(parser *p)
{
  uint64_t v = 0;
  uint32_t first = p->at;
  bool fits = lex_int(p->src, *parse_tok(p), &v) && v <= INT64_MAX;
  if (!fits) {
    parse_note(p, parse_tok_span(p, first), "this integer is too large");
    parse_hint(p, "integers go up to 9223372036854775807; reals (1e19) and big(\"...\") further");
    v = 0;
  }
  parse_step(p);
  ast *n = node_new(p, AST_INT, first);
  n->u.i = (int64_t)v;
  return n;
}

static ast *real(parser *p)
{
  uint32_t first = p->at;
  double d = 0;
  if (!lex_real(p->m, p->src, *parse_tok(p), &d)) parse_nomem(p);
  if (d > 1.7976931348623157e308) {
    parse_note(p, parse_tok_span(p, first), "this real is too large");
    parse_hint(p, "reals go up to 1.8e308; big(\"...\") further");
  }
  parse_step(p);
  ast *n = node_new(p, AST_REAL, first);
  n->u.d = d;
  return n;
}

/* -9223372036854775808 alone: the one integer whose absolute value is none. */
static ast *least_integer(parser *p)
{
  uint64_t v;
  uint32_t first = p->at;
  const token *t = parse_tok(p) + 1;
  if (t->kind != TOK_INT || t[1].kind == TOK_POW || !lex_int(p->src, *t, &v)) return NULL;
  if (v != (uint64_t)INT64_MAX + 1) return NULL;
  parse_step(p);
  parse_step(p);
  ast *n = node_new(p, AST_INT, first);
  n->u.i = INT64_MIN;
  return n;
}

static ast *constant(parser *p, ast_kind kind, bool b)
{
  uint32_t first = p->at;
  parse_step(p);
  ast *n = node_new(p, kind, first);
  if (kind == AST_BOOL) n->u.b = b;
  return n;
}

/* One hole of a string, at its first token; false when it was wrong. */
static bool hole(parser *p)
{
  if (parse_at(p, TOK_STR_MID) || parse_at(p, TOK_STR_TAIL)) {
    parse_note(p, parse_tok_span(p, p->at), "nothing stands between the braces of this string");
    parse_hint(p, "write \\{ for a brace");
    return true;
  }
  ast *e = parse_expr(p);
  list_add(p, &e, sizeof e);
  if (p->panic) return false;
  if (parse_at(p, TOK_STR_MID) || parse_at(p, TOK_STR_TAIL)) return true;
  bool colon = parse_at(p, TOK_COLON);
  parse_expected(p, "'}' after the expression in the string");
  if (colon) parse_hint(p, "only an expression may stand in the braces; write \\{ for a brace");
  return false;
}

static ast *interpolated(parser *p)
{
  uint32_t first = p->at, n;
  size_t open = list_open(p);
  mode outer = parse_inside(p, true);
  for (;;) {
    bool last = parse_at(p, TOK_STR_TAIL);
    ast *s = parse_string(p);
    if (s->u.str.n) list_add(p, &s, sizeof s);
    if (last || p->panic || !hole(p)) break;
  }
  p->mode = outer;
  ast **v = list_close(p, open, sizeof *v, &n);
  return node_list(p, AST_INTERP, first, v, n);
}

ast *parse_literal(parser *p)
{
  uint32_t first = p->at;
  switch (parse_kind(p)) {
  case TOK_INT: return integer(p);
  case TOK_REAL: return real(p);
  case TOK_STR: return parse_string(p);
  case TOK_STR_HEAD: return interpolated(p);
  case TOK_TRUE: return constant(p, AST_BOOL, true);
  case TOK_FALSE: return constant(p, AST_BOOL, false);
  case TOK_MISSING: return constant(p, AST_MISSING, false);
  case TOK_LPAREN:
    parse_step(p);
    return constant(p, AST_UNIT, false);
  default: break;
  }
  ast *least = least_integer(p);   /* at a minus */
  if (least) return least;
  parse_step(p);
  ast *n = parse_at(p, TOK_INT) ? integer(p) : real(p);
  if (n->kind == AST_INT) n->u.i = -n->u.i;
  else n->u.d = -n->u.d;
  n->span.start = p->t.v[first].start;
  return n;
}

/* ---- brackets ---- */

static ast *paren(parser *p)
{
  uint32_t open = p->at;
  if (parse_then(p) == TOK_RPAREN) {
    parse_step(p);
    return constant(p, AST_UNIT, false);
  }
  mode outer = parse_inside(p, true);
  parse_step(p);
  ast *e = parse_expr(p);
  bool comma = parse_at(p, TOK_COMMA);
  if (!parse_close(p, open, TOK_RPAREN, "')'") && comma)
    parse_hint(p, "there are no tuples: write an array [a, b] or a record { a: a, b: b }");
  p->mode = outer;
  e->flags |= AST_PAREN;
  return e;
}

static ast *array(parser *p)
{
  uint32_t open = p->at, n;
  size_t list = list_open(p);
  mode outer = parse_inside(p, true);
  ast *comp = NULL;
  parse_step(p);
  while (!p->panic && !parse_at(p, TOK_RBRACKET)) {
    ast *e = parse_expr(p);
    if (parse_at(p, TOK_FOR) && list_open(p) == list && !p->panic) {
      comp = parse_comp(p, open, e);
      break;
    }
    list_add(p, &e, sizeof e);
    if (p->panic || !parse_accept(p, TOK_COMMA)) break;
  }
  const char *what = comp ? "'for', 'if' or ']' in the comprehension" : "',' or ']' in the array";
  parse_close(p, open, TOK_RBRACKET, what);
  p->mode = outer;
  ast **v = list_close(p, list, sizeof *v, &n);
  return comp ? node_seal(p, comp) : node_list(p, AST_ARRAY, open, v, n);
}

bool parse_at_key(const parser *p, uint32_t tok)
{
  token_kind k = (token_kind)p->t.v[tok].kind;
  return k == TOK_NAME || k == TOK_STR || token_is_keyword(k);
}

ast_name parse_key(parser *p)
{
  if (!parse_at(p, TOK_STR)) return name_take(p);
  ast *s = parse_string(p);
  if (memchr(s->u.str.s, 0, s->u.str.n)) parse_note(p, s->span, "a field's name can't hold \\u{0}");
  return (ast_name){name_text(p, s->u.str.s, s->u.str.n), s->span};
}

/* The fields up to the brace that closes `open`. */
static ast *fields(parser *p, ast *record, uint32_t open)
{
  size_t list = list_open(p);
  uint32_t n;
  while (!p->panic && !parse_at(p, TOK_RBRACE)) {
    ast_field f = {{NULL, {0, 0, 0}}, NULL};
    if (!parse_at_key(p, p->at)) {
      parse_expected(p, "a field 'name: value' or '}'");
      break;
    }
    f.name = parse_key(p);
    if (!parse_expect(p, TOK_COLON, "':' after the name of the field")) break;
    f.value = parse_expr(p);
    node_over(record, f.value);
    list_add(p, &f, sizeof f);
    if (p->panic || !parse_accept(p, TOK_COMMA)) break;
  }
  parse_close(p, open, TOK_RBRACE, "',' or '}' in the record");
  record->u.record.v = list_close(p, list, sizeof(ast_field), &n);
  record->u.record.n = n;
  names_differ(p, record->u.record.v, n, sizeof(ast_field), "field");
  return node_seal(p, record);
}

ast *parse_brace(parser *p)
{
  uint32_t open = p->at, n;
  mode outer = parse_inside(p, false);
  bool key = parse_at_key(p, open + 1) && p->t.v[open + 2].kind == TOK_COLON;
  ast *e, *base = NULL;
  if (parse_enter(p)) {
    parse_step(p);
    if (key || parse_at(p, TOK_RBRACE)) {
      e = fields(p, node_new(p, AST_RECORD, open), open);
    } else {
      size_t list = list_open(p);
      base = parse_statements(p, open, true);
      ast **v = list_close(p, list, sizeof *v, &n);
      e = base ? node_new(p, AST_RECORD, open) : node_list(p, AST_BLOCK, open, v, n);
      if (base) {
        e->u.record.base = base;
        node_over(e, base);
        parse_step(p);   /* with */
        e = fields(p, e, open);
      }
    }
  } else {
    e = node_new(p, AST_ERROR, open);
  }
  p->nest--;
  p->mode = outer;
  return e;
}

ast *parse_block(parser *p, const char *what)
{
  uint32_t open = p->at, n;
  size_t list = list_open(p);
  if (p->panic) return node_new(p, AST_ERROR, open);
  if (!parse_at(p, TOK_LBRACE)) {
    bool colon = parse_at(p, TOK_COLON);
    ast *wrong = parse_expected(p, what);
    if (colon || parse_at(p, TOK_NAME)) parse_hint(p, "a block stands in braces { ... }");
    return wrong;
  }
  mode outer = parse_inside(p, false);
  if (parse_enter(p)) {
    parse_step(p);
    parse_statements(p, open, false);
  }
  p->nest--;
  p->mode = outer;
  ast **v = list_close(p, list, sizeof *v, &n);
  return node_list(p, AST_BLOCK, open, v, n);
}

/* ---- primaries ---- */

static ast *variable(parser *p)
{
  uint32_t first = p->at;
  ast *n = node_new(p, AST_NAME, first);
  n->u.name = name_intern(p, first);
  parse_step(p);
  return node_seal(p, n);
}

/* Does a lambda begin here?  In a guard only brackets may hold one: there `x ->` is its end. */
static bool at_lambda(const parser *p)
{
  const token *t = parse_tok(p);
  if (p->mode.guard) return false;
  if (t->kind == TOK_NAME || t->kind == TOK_UNDERSCORE) return t[1].kind == TOK_ARROW;
  return t->kind == TOK_LPAREN && t->mate && p->t.v[t->mate + 1].kind == TOK_ARROW;
}

static ast *observe(parser *p)
{
  uint32_t first = p->at;
  parse_step(p);
  ast *value = parse_expr(p);
  norn_span at = parse_tok_span(p, p->at);
  if (!parse_expect(p, TOK_TILDE, "'~' and a distribution after the observed value")) {
    parse_rehint(p, "observe y ~ normal(mu, sigma)");
    return node_new(p, AST_ERROR, first);
  }
  ast *dist = parse_expr(p);
  ast *n = node_new(p, AST_OBSERVE, first);
  n->u.bin.a = value;
  n->u.bin.b = dist;
  n->u.bin.at = at;
  node_over(n, value);
  node_over(n, dist);
  return node_seal(p, n);
}

/* `not` where only something tighter may stand: 1 + not x. */
static ast *misplaced_not(parser *p)
{
  uint32_t first = p->at;
  parse_note(p, parse_tok_span(p, first), "'not' binds looser than the operator before it");
  parse_hint(p, "write (not ...)");
  parse_step(p);
  ast *n = node_new(p, AST_UNARY, first), *a = unary(p);
  n->op = UN_NOT;
  n->u.bin.a = a;
  n->u.bin.at = parse_tok_span(p, first);
  node_over(n, a);
  return node_seal(p, n);
}

static ast *primary(parser *p)
{
  if (p->panic) return node_new(p, AST_ERROR, p->at);
  if (at_lambda(p)) return parse_lambda(p);
  switch (parse_kind(p)) {
  case TOK_NAME: return variable(p);
  case TOK_INT: case TOK_REAL: case TOK_STR: case TOK_STR_HEAD: case TOK_TRUE: case TOK_FALSE:
  case TOK_MISSING: return parse_literal(p);
  case TOK_LPAREN: return paren(p);
  case TOK_LBRACKET: return array(p);
  case TOK_LBRACE: return parse_brace(p);
  case TOK_IF: return parse_if(p);
  case TOK_MATCH: return parse_match(p);
  case TOK_FOR: return parse_for(p);
  case TOK_NEXT: return parse_next(p);
  case TOK_OBSERVE: return observe(p);
  case TOK_NOT: return misplaced_not(p);
  case TOK_UNDERSCORE:
    return parse_fail(p, parse_tok_span(p, p->at), "'_' has no value: it stands in patterns only");
  default: return parse_expected(p, "an expression");
  }
}

/* ---- postfix ---- */

static void check_names(parser *p, const ast_arg *v, uint32_t n)
{
  names_differ(p, v, n, sizeof *v, "argument");
  for (uint32_t i = 1; i < n; i++) {
    if (v[i].name.s || !v[i - 1].name.s) continue;
    parse_note(p, v[i].value->span, "an argument without a name stands after a named one");
    parse_hint(p, "named arguments come last");
    return;
  }
}

static ast *call(parser *p, ast *fn, uint32_t first)
{
  uint32_t open = p->at, n;
  size_t list = list_open(p);
  mode outer = parse_inside(p, true);
  ast *e = node_new(p, AST_CALL, first);
  e->u.call.fn = fn;
  node_over(e, fn);
  parse_step(p);
  while (!p->panic && !parse_at(p, TOK_RPAREN)) {
    ast_arg a = {{NULL, {0, 0, 0}}, NULL};
    if (parse_then(p) == TOK_ASSIGN && !parse_at(p, TOK_STR) && parse_at_key(p, p->at)) {
      a.name = name_take(p);
      parse_step(p);
    }
    a.value = parse_expr(p);
    node_over(e, a.value);
    list_add(p, &a, sizeof a);
    if (p->panic || !parse_accept(p, TOK_COMMA)) break;
  }
  parse_close(p, open, TOK_RPAREN, "',' or ')' in the call");
  p->mode = outer;
  e->u.call.v = list_close(p, list, sizeof(ast_arg), &n);
  e->u.call.n = n;
  check_names(p, e->u.call.v, n);
  return node_seal(p, e);
}

static ast *slice(parser *p, uint32_t first, ast *low, ast *high, norn_span at)
{
  ast *n = node_new(p, AST_SLICE, first);
  n->u.bin.a = low;
  n->u.bin.b = high;
  n->u.bin.at = at;
  node_over(n, low);
  node_over(n, high);
  return node_seal(p, n);
}

static bool index_ends(const parser *p)
{
  return parse_at(p, TOK_RBRACKET) || parse_at(p, TOK_COMMA);
}

/* An index: e, a..b, a.., ..b or `..` */
static ast *index_item(parser *p)
{
  uint32_t first = p->at;
  p->open_slice = NULL;
  if (parse_at(p, TOK_DOTS)) {
    norn_span at = parse_tok_span(p, first);
    parse_step(p);
    ast *high = index_ends(p) ? NULL : binary(p, P_RANGE + 1);
    return slice(p, first, NULL, high, at);
  }
  p->mode.index = true;
  ast *e = parse_expr(p);
  p->mode.index = false;
  if (p->open_slice && p->open_slice != e) {
    parse_note(p, p->open_slice->span, "a range without an end must be the whole index");
    e->kind = AST_ERROR;
  }
  if (e->kind == AST_RANGE && !(e->flags & AST_PAREN)) e->kind = AST_SLICE;
  p->open_slice = NULL;
  return e;
}

static ast *subscript(parser *p, ast *base, uint32_t first)
{
  uint32_t open = p->at, n;
  size_t list = list_open(p);
  mode outer = parse_inside(p, true);
  ast *e = node_new(p, AST_INDEX, first);
  e->u.index.base = base;
  node_over(e, base);
  parse_step(p);
  if (parse_at(p, TOK_RBRACKET)) {
    parse_note(p, parse_tok_span(p, p->at), "an index is missing");
    parse_hint(p, "a[..] is all of a");
  }
  while (!p->panic && !parse_at(p, TOK_RBRACKET)) {
    ast *i = index_item(p);
    node_over(e, i);
    list_add(p, &i, sizeof i);
    if (p->panic || !parse_accept(p, TOK_COMMA)) break;
  }
  bool colon = parse_at(p, TOK_COLON);
  parse_close(p, open, TOK_RBRACKET, "',' or ']' in the index");
  if (colon) parse_rehint(p, "a slice is a[from..to], a[from..] or a[..to], without the element at to");
  p->mode = outer;
  e->u.index.v = list_close(p, list, sizeof(ast *), &n);
  e->u.index.n = n;
  return node_seal(p, e);
}

static ast *field(parser *p, ast *base, uint32_t first)
{
  parse_step(p);
  if (!parse_at(p, TOK_NAME) && !token_is_keyword(parse_kind(p))) {
    parse_expected(p, "a field's name after '.'");
    if (parse_at(p, TOK_INT)) parse_hint(p, "an element is a[0]");
    return base;
  }
  ast *n = node_new(p, AST_FIELD, first);
  n->u.field.base = base;
  n->u.field.name = name_take(p);
  node_over(n, base);
  return node_seal(p, n);
}

static ast *transpose(parser *p, ast *a, uint32_t first)
{
  ast *n = node_new(p, AST_UNARY, first);
  n->op = UN_TRANSPOSE;
  n->u.bin.a = a;
  n->u.bin.at = parse_tok_span(p, p->at);
  node_over(n, a);
  parse_step(p);
  return node_seal(p, n);
}

static ast *postfix(parser *p)
{
  uint32_t first = p->at;
  ast *e = primary(p);
  while (!p->panic) {
    token_kind k = parse_kind(p);
    if (k == TOK_DOT) e = field(p, e, first);
    else if (parse_nl(p)) break;
    else if (k == TOK_LPAREN) e = call(p, e, first);
    else if (k == TOK_LBRACKET) e = subscript(p, e, first);
    else if (k == TOK_PRIME) e = transpose(p, e, first);
    else break;
  }
  return e;
}

/* ---- operators ---- */

static ast *prefix(parser *p, ast_unary op, int min)
{
  uint32_t first = p->at;
  if (!parse_enter(p)) {
    p->nest--;
    return node_new(p, AST_ERROR, first);
  }
  parse_step(p);
  ast *a = min ? binary(p, min) : unary(p), *n = node_new(p, AST_UNARY, first);
  p->nest--;
  n->op = op & 0x3fu;
  n->u.bin.a = a;
  n->u.bin.at = parse_tok_span(p, first);
  node_over(n, a);
  return node_seal(p, n);
}

static ast *two(parser *p, ast_kind kind, int op, uint32_t first, uint32_t at, ast *a, ast *b)
{
  ast *n = node_new(p, kind, first);
  n->op = (unsigned)op & 0x3fu;
  n->u.bin.a = a;
  n->u.bin.b = b;
  n->u.bin.at = parse_tok_span(p, at);
  node_over(n, a);
  node_over(n, b);
  return node_seal(p, n);
}

/* -x^2 is -(x^2), 2^-1 and 2^3^2 = 2^(3^2) work: the exponent is again a unary. */
static ast *unary(parser *p)
{
  uint32_t first = p->at;
  if (parse_at(p, TOK_SUB)) {
    ast *least = least_integer(p);
    return least ? least : prefix(p, UN_NEG, 0);
  }
  ast *base = postfix(p);
  if (!parse_at(p, TOK_POW) || p->panic) return base;
  uint32_t at = p->at;
  if (!parse_enter(p)) {
    p->nest--;
    return base;
  }
  parse_step(p);
  ast *exponent = unary(p);
  p->nest--;
  return two(p, AST_BINARY, BIN_POW, first, at, base, exponent);
}

/* May it give a function?  Literals and what operators make do not. */
static bool callable(const ast *e)
{
  bool made = e->kind == AST_UNARY || e->kind == AST_BINARY || e->kind == AST_AND ||
              e->kind == AST_OR || e->kind == AST_RANGE;
  return !made && !(e->kind >= AST_INT && e->kind <= AST_INTERP);
}

/* a |> f(b) puts a first; anything else on the right is called with a alone. */
static ast *pipe(parser *p, uint32_t first, uint32_t at, ast *a)
{
  ast *f = binary(p, P_PIPE + 1), *n = node_new(p, AST_CALL, first);
  bool whole = f->kind != AST_CALL || (f->flags & AST_PAREN);
  uint32_t rest = whole ? 0 : f->u.call.n;
  ast_arg *v = arena_get(p->a, (rest + 1) * sizeof *v);
  if (!v) {
    parse_nomem(p);
    return n;
  }
  v[0].value = a;
  if (rest) memcpy(v + 1, f->u.call.v, rest * sizeof *v);
  n->flags = AST_PIPED;
  n->u.call.fn = whole ? f : f->u.call.fn;
  n->u.call.v = v;
  n->u.call.n = rest + 1;
  node_over(n, a);
  node_over(n, f);
  if (!callable(f) && !(f->flags & AST_PAREN)) {
    parse_note(p, parse_tok_span(p, at), "what stands right of '|>' is no function");
    parse_hint(p, "'|>' binds loosest: write (a |> f) + 1");
  }
  return node_seal(p, n);
}

static ast *infix_one(parser *p, infix op, uint32_t first, ast *left)
{
  uint32_t at = p->at;
  token_kind k = parse_kind(p);
  parse_step(p);
  if (op.power == P_PIPE) return pipe(p, first, at, left);
  if (op.power == P_RANGE && p->mode.index && index_ends(p))
    return p->open_slice = slice(p, first, left, NULL, parse_tok_span(p, at));
  ast *right = binary(p, op.power + 1);
  ast_kind kind = AST_BINARY;
  if (k == TOK_OR || k == TOK_AND) kind = k == TOK_OR ? AST_OR : AST_AND;
  if (k == TOK_DOTS) kind = AST_RANGE;
  ast *n = two(p, kind, op.op, first, at, left, right);
  bool again = infixes[parse_kind(p)].power == op.power && !p->panic;
  if (again && op.power == P_COMPARE) {
    parse_note(p, parse_tok_span(p, p->at), "comparisons do not chain");
    parse_hint(p, "write a < b and b < c");
  } else if (again && op.power == P_RANGE) {
    parse_note(p, parse_tok_span(p, p->at), "ranges do not chain");
  }
  return n;
}

static ast *binary(parser *p, int min)
{
  uint32_t first = p->at;
  ast *left = min <= P_NOT && parse_at(p, TOK_NOT) ? prefix(p, UN_NOT, P_NOT) : unary(p);
  while (!p->panic) {
    infix op = infixes[parse_kind(p)];
    if (op.power == 0 || op.power < min) break;
    if (parse_at(p, TOK_SUB) && parse_nl(p) && !p->mode.loose) break;
    left = infix_one(p, op, first, left);
  }
  return left;
}

ast *parse_expr(parser *p)
{
  ast *e = parse_enter(p) ? binary(p, P_PIPE) : node_new(p, AST_ERROR, p->at);
  p->nest--;
  return e;
}
