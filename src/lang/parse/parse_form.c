/* parse_form.c: if, match, for and its folds, next, comprehensions and lambdas. */
#include "lang/parse/parse_in.h"

/* ---- if ---- */

static ast *otherwise(parser *p)
{
  if (parse_at(p, TOK_IF)) {
    ast *e = parse_enter(p) ? parse_if(p) : node_new(p, AST_ERROR, p->at);
    p->nest--;
    return e;
  }
  return parse_block(p, "'{' or 'if' after else");
}

ast *parse_if(parser *p)
{
  uint32_t first = p->at;
  ast *n = node_new(p, AST_IF, first);
  parse_step(p);
  n->u.cond.test = parse_expr(p);
  uint32_t outer = p->branch;
  p->branch = p->at;
  n->u.cond.yes = parse_block(p, "'{' after the condition of if");
  p->branch = outer;
  if (p->panic) return n;
  if (parse_accept(p, TOK_ELSE)) n->u.cond.no = otherwise(p);
  node_over(n, n->u.cond.test);
  node_over(n, n->u.cond.yes);
  node_over(n, n->u.cond.no);
  return node_seal(p, n);
}

/* ---- match ---- */

static ast *guard(parser *p)
{
  bool outer = p->mode.guard;
  parse_step(p);
  p->mode.guard = true;
  ast *e = parse_expr(p);
  p->mode.guard = outer;
  return e;
}

static void arm(parser *p, ast *match)
{
  ast_arm a = {NULL, NULL, NULL, {0, 0, 0}};
  uint32_t first = p->start = p->at;
  a.pattern = parse_pattern(p, true);
  if (parse_at(p, TOK_IF) && !p->panic) a.guard = guard(p);
  bool bar = parse_at(p, TOK_BAR);
  if (!parse_expect(p, TOK_ARROW, a.guard ? "'->' after the guard" : "'->' after the pattern")) {
    parse_rehint(p, bar ? "one pattern an arm: repeat the value" : "an arm is pattern -> value");
  } else {
    p->mode.arm = true;
    a.body = parse_expr(p);
    p->mode.arm = false;
  }
  if (!p->panic && !parse_ended(p) && !parse_at(p, TOK_COMMA))
    parse_expected(p, "',' or the end of the line after the arm");
  if (!a.body) a.body = node_new(p, AST_ERROR, first);
  a.span = parse_span(p, first);
  node_over(match, a.pattern);
  node_over(match, a.guard);
  node_over(match, a.body);
  list_add(p, &a, sizeof a);
  if (p->panic) parse_skip(p, first, true);
}

ast *parse_match(parser *p)
{
  uint32_t first = p->at, n;
  ast *m = node_new(p, AST_MATCH, first);
  parse_step(p);
  m->u.match.value = parse_expr(p);
  node_over(m, m->u.match.value);
  uint32_t open = p->at;
  if (!parse_expect(p, TOK_LBRACE, "'{' after the value of match")) return m;
  size_t list = list_open(p);
  mode outer = parse_inside(p, false);
  while (!p->panic && !parse_at(p, TOK_RBRACE) && !parse_at(p, TOK_END))
    if (!parse_accept(p, TOK_COMMA) && !parse_accept(p, TOK_SEMI)) arm(p, m);
  parse_close(p, open, TOK_RBRACE, "'}' after the arms of match");
  p->mode = outer;
  m->u.match.v = list_close(p, list, sizeof(ast_arm), &n);
  m->u.match.n = n;
  if (n == 0) parse_note(p, parse_span(p, first), "this match has no arms");
  return node_seal(p, m);
}

/* ---- folds ---- */

enum { TAIL = 32 };   /* flag of a NEXT, only while its fold is being read */

/* Marks the `next`s that end a path of a body.  Where a path ends in something else, says so. */
static void mark_tails(parser *p, ast *e)
{
  switch (e->kind) {
  case AST_NEXT:
    e->flags |= TAIL;
    return;
  case AST_ERROR:
    return;
  case AST_BLOCK:
    if (e->u.list.n == 0) break;
    mark_tails(p, e->u.list.v[e->u.list.n - 1]);
    return;
  case AST_IF:
    mark_tails(p, e->u.cond.yes);
    if (e->u.cond.no) {
      mark_tails(p, e->u.cond.no);
      return;
    }
    parse_note(p, e->span, "this if has no else, so a path of the loop has no 'next'");
    parse_hint(p, "add else { next ... } with the states as they are");
    return;
  case AST_MATCH:
    for (uint32_t i = 0; i < e->u.match.n; i++) mark_tails(p, e->u.match.v[i].body);
    return;
  default:
    break;
  }
  parse_note(p, e->span, "this path of the loop does not end in 'next'");
  parse_hint(p, "a loop 'with' states gives them on: next ...");
}

static void check_nexts(parser *p, ast *loop, const fold *f, int errors)
{
  bool sound = p->errors == errors && !p->panic;
  if (sound) mark_tails(p, loop->u.loop.body);
  for (const next_link *l = f->nexts; l; l = l->before) {
    if (sound && !(l->node->flags & TAIL)) {
      parse_note(p, l->node->span, "'next' must be the last thing of its path through the loop");
    }
    l->node->flags &= ~(unsigned)TAIL & 0x3fu;
  }
  if (f->keep) loop->flags |= AST_KEEP;
}

ast *parse_next(parser *p)
{
  uint32_t first = p->at, n;
  size_t list = list_open(p);
  fold *f = p->fold;
  ast *e = node_new(p, AST_NEXT, first);
  next_link *link = f ? arena_get(p->a, sizeof *link) : NULL;
  parse_step(p);
  if (link) *link = (next_link){e, f->nexts};
  if (link) f->nexts = link;
  if (f && !link) parse_nomem(p);
  if (!f) {
    parse_note(p, parse_tok_span(p, first), "'next' belongs in a loop 'with' a state");
    parse_hint(p, "for x in xs with total = 0 { next total + x }");
  }
  for (uint32_t i = 1;; i++) {
    ast *v = parse_expr(p);
    node_over(e, v);
    list_add(p, &v, sizeof v);
    bool more = f ? i < f->states : !p->mode.arm;
    if (p->panic || !more || !parse_accept(p, TOK_COMMA)) break;
  }
  e->u.next.v = list_close(p, list, sizeof(ast *), &n);
  e->u.next.n = n;
  bool above = f && parse_at(p, TOK_COMMA) && !p->mode.arm;
  if (f && !p->panic && (n != f->states || above)) {
    const char *s = f->states == 1 ? "" : "s", *vs = n == 1 ? "" : "s";
    parse_fail(p, parse_span(p, first), "this loop has %u state%s, 'next' gives %s%u value%s",
               f->states, s, above ? "more than " : "", n, vs);
  } else if (parse_word(p, "keep") && !p->panic && (!parse_nl(p) || parse_then(p) == TOK_NAME)) {
    parse_step(p);
    e->u.next.keep = parse_expr(p);
    node_over(e, e->u.next.keep);
    if (f) f->keep = true;
  }
  return node_seal(p, e);
}

/* After `with`: the states of a fold. */
static ast_states *states(parser *p, ast *loop)
{
  size_t list = list_open(p);
  ast_states *s = arena_get(p->a, sizeof *s);
  if (!s) {
    parse_nomem(p);
    return NULL;
  }
  do {
    ast_state one = {{NULL, {0, 0, 0}}, NULL, NULL, 0};
    if (!parse_at(p, TOK_NAME)) {
      parse_expected_name(p, "the name of a state after with");
      parse_hint(p, "for x in xs with total = 0 { next total + x }");
      break;
    }
    one.name = name_take(p);
    if (!parse_expect(p, TOK_ASSIGN, "'=' and the first value of the state")) break;
    one.init = parse_expr(p);
    node_over(loop, one.init);
    list_add(p, &one, sizeof one);
  } while (!p->panic && parse_accept(p, TOK_COMMA));
  s->v = list_close(p, list, sizeof(ast_state), &s->n);
  names_differ(p, s->v, s->n, sizeof *s->v, "state");
  return s;
}

ast *parse_for(parser *p)
{
  uint32_t first = p->at;
  fold *outer = p->fold, f = {0, false, NULL};
  ast *n = node_new(p, AST_FOR, first);
  parse_step(p);
  bool bracket = parse_at(p, TOK_LPAREN);
  n->u.loop.pattern = parse_pattern(p, false);
  bool comma = parse_at(p, TOK_COMMA);
  if (p->panic && bracket && !comma) parse_rehint(p, "for i in 0..n { ... } counts, without ( and )");
  if (!parse_expect(p, TOK_IN, "'in' after the variable of the loop")) {
    if (!bracket && comma) parse_rehint(p, "for [i, x] in indexed(xs) { ... } has places and elements");
    else if (!bracket && parse_at(p, TOK_ASSIGN)) parse_rehint(p, "for i in 0..n { ... } counts from 0 to n - 1");
    return node_new(p, AST_ERROR, first);
  }
  n->u.loop.over = parse_expr(p);
  if (parse_accept(p, TOK_WITH)) n->u.loop.states = states(p, n);
  if (p->panic) return node_new(p, AST_ERROR, first);
  ast_states *s = n->u.loop.states;
  int errors = p->errors;
  f.states = s ? s->n : 0;
  p->fold = s ? &f : NULL;
  bool colon = parse_at(p, TOK_COLON);
  bool header = n->u.loop.over->kind == AST_CALL || (parse_tok(p)[colon].flags & TOK_NL);     /* Python's */
  bool another = parse_at(p, TOK_COMMA) || parse_at(p, TOK_FOR);
  n->u.loop.body = parse_block(p, "'{' and the body of the loop");
  if (another)
    parse_rehint(p, "one loop in the other: for i in a { for j in b { ... } }, or [e for i in a for j in b]");
  else if (colon && !header)
    parse_rehint(p, "a range is a..b, without b: 1:3 elsewhere is 1..4 here, and indices begin at 0");
  p->fold = outer;
  if (s && !p->stop) check_nexts(p, n, &f, errors);
  node_over(n, n->u.loop.pattern);
  node_over(n, n->u.loop.over);
  node_over(n, n->u.loop.body);
  return node_seal(p, n);
}

/* ---- comprehensions ---- */

ast *parse_comp(parser *p, uint32_t first, ast *body)
{
  size_t list = list_open(p);
  uint32_t n;
  ast *c = node_new(p, AST_COMP, first);
  c->u.comp.body = body;
  node_over(c, body);
  while (!p->panic && (parse_at(p, TOK_FOR) || parse_at(p, TOK_IF))) {
    ast_clause k = {NULL, NULL, {0, 0, 0}};
    uint32_t start = p->at;
    if (parse_accept(p, TOK_FOR)) {
      k.pattern = parse_pattern(p, false);
      if (!parse_expect(p, TOK_IN, "'in' after the variable of the comprehension")) break;
    } else {
      parse_step(p);
    }
    k.value = parse_expr(p);
    k.span = parse_span(p, start);
    node_over(c, k.pattern);
    node_over(c, k.value);
    list_add(p, &k, sizeof k);
  }
  c->u.comp.v = list_close(p, list, sizeof(ast_clause), &n);
  c->u.comp.n = n;
  return c;
}

/* ---- lambdas ---- */

static ast_param *lone_param(parser *p, uint32_t *n)
{
  ast_param *v = arena_get(p->a, sizeof *v);
  if (!v) {
    parse_nomem(p);
    return NULL;
  }
  v->name = name_take(p);
  *n = 1;
  return v;
}

ast *parse_lambda(parser *p)
{
  uint32_t first = p->at, n = 0;
  fold *outer = p->fold;
  ast *e = node_new(p, AST_LAMBDA, first);
  ast_fn *f = arena_get(p->a, sizeof *f);
  ast_param *v = parse_at(p, TOK_LPAREN) ? parse_params(p, &n) : lone_param(p, &n);
  if (!f) parse_nomem(p);
  bool arrow = parse_expect(p, TOK_ARROW, "'->' after the parameters");
  if (!arrow || !f) return node_new(p, AST_ERROR, first);
  p->fold = NULL;
  f->params = v;
  f->nparams = n;
  f->body = parse_expr(p);
  p->fold = outer;
  e->u.fn = f;
  for (uint32_t i = 0; i < n; i++) {
    node_over(e, v[i].fallback);
    node_over(e, v[i].type);
  }
  node_over(e, f->body);
  return node_seal(p, e);
}
