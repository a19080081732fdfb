/* parse.c: the parser's machinery (parse_in.h): tokens, errors, nodes, names and lists; the module.
   The grammar is in parse_expr.c, parse_form.c, parse_stmt.c and parse_pattern.c. */
#include "lang/parse/parse_in.h"
#include <stdio.h>
#include <string.h>

/* ---- tokens ---- */

norn_span parse_tok_span(const parser *p, uint32_t tok)
{
  return (norn_span){p->file, p->t.v[tok].start, p->t.v[tok].end};
}

norn_span parse_span(const parser *p, uint32_t first)
{
  uint32_t start = p->t.v[first].start, end = p->at ? p->t.v[p->at - 1].end : start;
  return (norn_span){p->file, start, end > start ? end : start};
}

bool parse_is(const parser *p, uint32_t tok, const char *word)
{
  const token *t = &p->t.v[tok];
  size_t n = strlen(word);
  return t->kind == TOK_NAME && t->end - t->start == n && memcmp(p->src + t->start, word, n) == 0;
}

bool parse_word(const parser *p, const char *word)
{
  return parse_is(p, p->at, word);
}

bool parse_continues(token_kind k)
{
  if (k >= TOK_EQ && k <= TOK_POW) return k != TOK_SUB;
  return k == TOK_PIPE || k == TOK_DOTS || k == TOK_AND || k == TOK_OR || k == TOK_ELSE ||
         k == TOK_WITH || k == TOK_DOT;
}

/* ---- errors ---- */

/* No more tokens: the parser runs to its end without a word. */
static void halt(parser *p)
{
  p->stop = p->panic = true;
  p->at = p->t.n - 1;
}

void parse_nomem(parser *p)
{
  p->d->failed = true;
  halt(p);
}

static void too_deep(parser *p, norn_span span, int levels)
{
  parse_note(p, span, "this is nested too deeply: more than %d levels", levels);
  halt(p);
}

bool parse_enter(parser *p)
{
  if (NORN_LIKELY(p->nest++ < PARSE_NEST_MAX)) return true;
  too_deep(p, parse_tok_span(p, p->at), PARSE_NEST_MAX);
  return false;
}

static norn_err *report(parser *p, norn_span span, const char *format, va_list args)
{
  char message[sizeof ((norn_err *)0)->text];
  p->last = 0;
  if (p->panic) return NULL;
  if (p->errors == PARSE_ERRORS_MAX) {
    diags_add(p->d, false, span, "too many errors; the rest stays unread");
    p->errors++;
    halt(p);
    return NULL;
  }
  p->errors++;
  vsnprintf(message, sizeof message, format, args);
  diag *d = diags_add(p->d, false, span, "%s", message);
  if (d) p->last = p->d->n;
  else parse_nomem(p);
  return d ? &d->e : NULL;
}

norn_err *parse_note(parser *p, norn_span span, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  norn_err *e = report(p, span, format, args);
  va_end(args);
  return e;
}

static ast *broken(parser *p)
{
  p->panic = true;
  return node_new(p, AST_ERROR, p->at);
}

ast *parse_fail(parser *p, norn_span span, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  p->last = 0;
  if (!parse_at(p, TOK_ERROR)) report(p, span, format, args);
  va_end(args);
  return broken(p);
}

void parse_hint(parser *p, const char *format, ...)
{
  va_list args;
  if (p->last == 0) return;
  char *hint = p->d->v[p->last - 1].e.hint;
  va_start(args, format);
  if (!hint[0]) vsnprintf(hint, sizeof ((norn_err *)0)->hint, format, args);
  va_end(args);
}

void parse_rehint(parser *p, const char *format, ...)
{
  va_list args;
  if (p->last == 0) return;
  va_start(args, format);
  vsnprintf(p->d->v[p->last - 1].e.hint, sizeof ((norn_err *)0)->hint, format, args);
  va_end(args);
}

/* Words of other languages that people write here. */
static const char *word_hint(const parser *p, uint32_t tok)
{
  static const struct { const char *word, *hint; } words[] = {
    {"elif", "write else if"},
    {"elseif", "write else if"},
    {"elsif", "write else if"},
    {"then", "the branches of if stand in braces: if c { a } else { b }"},
    {"while", "there is no while: write a loop with a state, or a recursive function"},
    {"return", "there is no return: the last expression of a block is its value"},
    {"def", "a function is fn f(x) = ... or fn f(x) { ... }"},
    {"function", "a function is fn f(x) = ... or fn f(x) { ... }"},
    {"func", "a function is fn f(x) = ... or fn f(x) { ... }"},
    {"fun", "a function is fn f(x) = ... or fn f(x) { ... }"},
    {"lambda", "a function without a name is x -> e"},
    {"var", "let x = ... binds a name; nothing is assigned to again"},
    {"val", "let x = ... binds a name"},
    {"const", "let x = ... binds a name"},
    {"mut", "nothing is assigned to again: a loop carries a state (for ... with x = 0)"},
    {"switch", "write match e { pattern -> value, ... }"},
    {"case", "write match e { pattern -> value, ... }"},
    {"struct", "records need no declaration; variants: type T = A(x, y) | B"},
    {"class", "records need no declaration; variants: type T = A(x, y) | B"},
    {"data", "variants: type T = A(x, y) | B"},
    {"enum", "variants: type T = A | B"},
    {"from", "write import name, or import \"file.norn\" as name"},
    {"include", "write import name, or import \"file.norn\" as name"},
    {"try", "nothing is caught: an error ends the program; test before"},
    {"do", "the body of a loop stands in braces"},
    {"break", "there is no break: write a recursive function"},
    {"continue", "there is no continue: write if"},
    {"factor", "factor(e) is a call"},
    {"condition", "condition(e) is a call"},
    {"twist", "twist(e) is a call"},
    {"sample", "sample(d) is a call; let x ~ d names the choice"},
  };
  for (int i = 0; i < NORN_COUNT(words); i++)
    if (parse_is(p, tok, words[i].word)) return words[i].hint;
  return NULL;
}

/* What a wrong token suggests, wherever it stands. */
static const char *token_hint(const parser *p)
{
  switch (parse_kind(p)) {
  case TOK_ASSIGN: return "== compares; let x = ... binds a name";
  case TOK_SEMI: return p->mode.loose ? "inside brackets separate with ','" : NULL;
  case TOK_STR: case TOK_STR_HEAD: return p->at && parse_is(p, p->at - 1, "f") ? "every string may hold values: \"{x}\"" : NULL;
  case TOK_FOR: return p->mode.loose ? "[e for x in xs] is the array of all e" : NULL;
  case TOK_PRIME: return "strings stand in double quotes \"...\"";
  case TOK_DOT: return parse_then(p) == TOK_INT ? "write a digit before the point: 0.5" : NULL;
  case TOK_TILDE: return "let x ~ d samples, observe y ~ d conditions";
  case TOK_ARROW: return "the parameters of a function are names: x -> e, (x, y) -> e, () -> e";
  case TOK_DOTS:
    return p->at && p->t.v[p->at - 1].kind == TOK_LBRACE ? "a record with changes is { r with a: 1 }" : NULL;
  case TOK_IF: return p->mode.loose ? NULL : "if comes first: if c { a } else { b }";
  case TOK_ELSE: return "else follows the '}' of its if";
  case TOK_BAR: return "write or";
  case TOK_LET: return "several statements stand in a block { ... }";
  case TOK_FN: return "a function without a name is x -> e; definitions stand in a block { ... }";
  default: return NULL;
  }
}

/* At the '{' of function(x) { ... } or model(y) { ... }, definitions without a name. */
static const char *nameless_hint(const parser *p)
{
  uint32_t i = p->at;
  if (parse_kind(p) != TOK_LBRACE || i < 3 || p->t.v[i - 1].kind != TOK_RPAREN) return NULL;
  while (i > 0 && p->t.v[i].kind != TOK_LPAREN) i--;
  if (i == 0) return NULL;
  if (parse_is(p, i - 1, "function")) return "a function without a name is x -> e or (x, y) -> { ... }";
  if (parse_is(p, i - 1, "model")) return "a model has a name: model m(y) { ... }";
  return NULL;
}

static void hint_found(parser *p)
{
  const char *h = nameless_hint(p);
  if (!h) h = word_hint(p, p->at);
  if (!h && p->at > 1) h = word_hint(p, p->at - 1);
  if (!h && p->start) h = word_hint(p, p->start);
  if (!h) h = token_hint(p);
  if (h) parse_hint(p, "%s", h);
}

/* Describes the current token: "'x'", "a string", ... */
static const char *found(const parser *p, char *buf, size_t size)
{
  const token *t = parse_tok(p);
  int n = (int)(t->end - t->start);
  switch (t->kind) {
  case TOK_END: case TOK_ERROR: case TOK_STR: case TOK_STR_HEAD: case TOK_STR_MID:
  case TOK_STR_TAIL:
    return token_name((token_kind)t->kind);
  case TOK_NAME: case TOK_INT: case TOK_REAL:
    if (n > 40) return token_name((token_kind)t->kind);
    snprintf(buf, size, "'%.*s'", n, p->src + t->start);
    return buf;
  case TOK_PRIME:
    return "\"'\"";
  default:
    snprintf(buf, size, "'%s'", token_name((token_kind)t->kind));
    return buf;
  }
}

static bool is_closer(token_kind k)
{
  return k == TOK_RPAREN || k == TOK_RBRACKET || k == TOK_RBRACE;
}

/* At a line's end the place is behind the token before, not on the next line. */
ast *parse_expected(parser *p, const char *what)
{
  p->last = 0;
  char buf[64];
  const token *t = parse_tok(p), *before = &p->t.v[p->at ? p->at - 1 : 0];
  norn_span span = parse_tok_span(p, p->at), after = {p->file, before->end, before->end};
  if (t->kind == TOK_END) {
    if (p->errors == 0 && !p->panic) p->more = true;
    return parse_fail(p, after, "expected %s, found the end of the text", what);
  }
  if ((t->flags & TOK_NL) && !p->mode.loose && p->at != p->start) {
    parse_fail(p, after, "expected %s, found the end of the line", what);
  } else if (is_closer((token_kind)t->kind) && t->mate == 0) {
    parse_fail(p, span, "this '%s' closes nothing", token_name((token_kind)t->kind));
  } else if (!p->panic && t->kind != TOK_ERROR && !(t->flags & TOK_TOLD)) {
    parse_fail(p, span, "expected %s, found %s", what, found(p, buf, sizeof buf));
    hint_found(p);
  }
  return broken(p);
}

ast *parse_expected_name(parser *p, const char *what)
{
  token_kind k = parse_kind(p);
  ast *e = parse_expected(p, what);
  if (token_is_keyword(k)) parse_rehint(p, "'%s' is a word of the language", token_name(k));
  return e;
}

bool parse_expect(parser *p, token_kind k, const char *what)
{
  if (NORN_LIKELY(!p->panic && parse_accept(p, k))) return true;
  if (!p->panic) parse_expected(p, what);
  return false;
}

/* Width of the white space before a token that starts a line. */
static uint32_t indentation(const parser *p, uint32_t tok)
{
  uint32_t at = p->t.v[tok].start, from = at;
  while (from > 0 && (p->src[from - 1] == ' ' || p->src[from - 1] == '\t')) from--;
  return at - from;
}

/* The first '{' inside the unclosed one whose '}' starts a line, but not at the depth of the line
   of the '{': there the missing brace most likely belongs.  0: none. */
static uint32_t suspect(const parser *p, uint32_t open)
{
  uint32_t line = open;
  while (line > 1 && !(p->t.v[line].flags & TOK_NL)) line--;
  for (uint32_t i = open + 1; i < p->t.n; i++) {
    const token *t = &p->t.v[i];
    if (t->flags & TOK_NL) line = i;
    if (t->kind != TOK_LBRACE || t->mate == 0 || !(p->t.v[t->mate].flags & TOK_NL)) continue;
    if (indentation(p, line) != indentation(p, t->mate)) return i;
  }
  return 0;
}

static uint32_t line_of(const parser *p, uint32_t tok)
{
  uint32_t line, column;
  sources_place(p->files, parse_tok_span(p, tok), &line, &column);
  return line;
}

static void unclosed(parser *p, uint32_t open)
{
  const char *name = token_name((token_kind)p->t.v[open].kind);
  if (p->errors == 0) p->more = true;
  parse_fail(p, parse_tok_span(p, open), "this '%s' is never closed", name);
  uint32_t s = p->t.v[open].kind == TOK_LBRACE ? suspect(p, open) : 0;
  if (s) parse_hint(p, "is a '}' missing for the '{' of line %u?", line_of(p, s));
}

bool parse_close(parser *p, uint32_t open, token_kind k, const char *what)
{
  if (p->panic) return false;
  if (NORN_LIKELY(parse_accept(p, k))) return true;
  if (parse_at(p, TOK_END)) {
    unclosed(p, open);
    return false;
  }
  bool loose = p->mode.loose;
  p->mode.loose = true;          /* the place is the token, not the end of the line before it */
  parse_expected(p, what);
  p->mode.loose = loose;
  const char *name = token_name((token_kind)p->t.v[open].kind);
  uint32_t line = line_of(p, open);
  if (line != line_of(p, p->at) && parse_nl(p))
    parse_rehint(p, "the '%s' was opened in line %u", name, line);
  return false;
}

static bool is_opener(token_kind k)
{
  return k == TOK_LPAREN || k == TOK_LBRACKET || k == TOK_LBRACE || k == TOK_STR_HEAD ||
         k == TOK_STR_MID;
}

/* Steps over whole brackets from the start on, so that a line end inside one does not count. */
void parse_skip(parser *p, uint32_t start, bool commas)
{
  uint32_t i = start, last = p->t.n - 1;
  while (i < last && p->at < last) {
    const token *t = &p->t.v[i];
    if (i >= p->at) {
      bool nl = (t->flags & TOK_NL) && !parse_continues((token_kind)t->kind);
      if (t->kind == TOK_SEMI || (t->kind == TOK_RBRACE && t->mate)) break;
      if (i > start && (nl || (commas && t->kind == TOK_COMMA))) break;
    }
    if (t->mate <= i || !is_opener((token_kind)t->kind)) i++;
    else i = t->mate + (p->t.v[t->mate].kind != TOK_STR_MID);   /* a MID opens again */
  }
  if (i > p->at) p->at = i;
  p->panic = p->stop || parse_at(p, TOK_END);
}

/* ---- nodes ---- */

ast *node_new(parser *p, ast_kind kind, uint32_t first)
{
  ast *n = arena_get(p->a, sizeof *n);
  if (NORN_UNLIKELY(!n)) {
    parse_nomem(p);
    p->oops = (ast){.kind = AST_ERROR};
    return &p->oops;
  }
  n->kind = kind & 0xffu;
  n->height = 1;
  n->span = parse_span(p, first);
  return n;
}

ast *node_seal(parser *p, ast *n)
{
  n->span.end = p->t.v[p->at - 1].end;
  if (NORN_UNLIKELY(n->height > AST_HEIGHT_MAX)) {
    too_deep(p, n->span, AST_HEIGHT_MAX);
    n->kind = AST_ERROR;
    n->height = 1;
  }
  return n;
}

ast *node_list(parser *p, ast_kind kind, uint32_t first, ast **v, uint32_t n)
{
  ast *e = node_new(p, kind, first);
  e->u.list.v = v;
  e->u.list.n = n;
  for (uint32_t i = 0; i < n; i++) node_over(e, v[i]);
  return node_seal(p, e);
}

ast *parse_string(parser *p)
{
  uint32_t first = p->at;
  size_t n = 0;
  char *s = lex_string(p->a, p->src, *parse_tok(p), &n);
  if (!s) parse_nomem(p);
  parse_step(p);
  ast *e = node_new(p, AST_STR, first);
  e->u.str.s = s ? s : "";
  e->u.str.n = n;
  return e;
}

/* ---- names ---- */

struct parse_name { uint32_t hash, mark, n; char s[]; };

static bool names_grow(parser *p)
{
  size_t cap = p->cnames ? p->cnames * 2 : 256;
  struct parse_name **v = mem_zero(p->m, cap * sizeof *v);
  if (!v) return false;
  for (size_t i = 0; i < p->cnames; i++) {
    if (!p->names[i]) continue;
    size_t k = p->names[i]->hash & (cap - 1);
    while (v[k]) k = (k + 1) & (cap - 1);
    v[k] = p->names[i];
  }
  mem_put(p->m, p->names, p->cnames * sizeof *v);
  p->names = v;
  p->cnames = cap;
  return true;
}

static const char *intern(parser *p, const char *s, uint32_t n, uint32_t hash)
{
  struct parse_name *e;
  hash = (uint32_t)hash_mix(hash);
  if (p->nnames * 2 >= p->cnames && !names_grow(p)) goto nomem;
  size_t k = hash & (p->cnames - 1);
  for (; (e = p->names[k]); k = (k + 1) & (p->cnames - 1))
    if (e->hash == hash && e->n == n && memcmp(e->s, s, n) == 0) return e->s;
  e = arena_get(p->a, sizeof *e + n + 1);
  if (!e) goto nomem;
  e->hash = hash;
  e->n = n;
  memcpy(e->s, s, n);
  p->names[k] = e;
  p->nnames++;
  return e->s;
nomem:
  parse_nomem(p);
  return "";
}

const char *name_intern(parser *p, uint32_t tok)
{
  const token *t = &p->t.v[tok];
  return intern(p, p->src + t->start, t->end - t->start, t->mate);
}

const char *name_text(parser *p, const char *s, size_t n)
{
  uint32_t h = 2166136261u;   /* as the lexer does */
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
  return intern(p, s, (uint32_t)n, h);
}

ast_name name_take(parser *p)
{
  ast_name name = {name_intern(p, p->at), parse_tok_span(p, p->at)};
  parse_step(p);
  return name;
}

/* A name that was met bears the number of the list in `mark`. */
void names_differ(parser *p, const void *v, uint32_t n, size_t size, const char *what)
{
  p->mark++;
  for (uint32_t i = 0; i < n && !p->stop; i++) {
    const ast_name *name = (const ast_name *)((const char *)v + i * size);
    if (!name->s || (name->s[0] == '_' && !name->s[1])) continue;
    struct parse_name *e = (struct parse_name *)(name->s - offsetof(struct parse_name, s));
    bool twice = e->mark == p->mark;
    if (twice) parse_note(p, name->span, "the %s '%s' stands here twice", what, name->s);
    e->mark = p->mark;
  }
}

/* ---- lists ---- */

size_t list_open(const parser *p)
{
  return p->nlist;
}

void list_add(parser *p, const void *element, size_t size)
{
  if (!mem_grow(p->m, &p->list, &p->clist, p->nlist + size, 1)) {
    parse_nomem(p);
    return;
  }
  memcpy(p->list + p->nlist, element, size);
  p->nlist += size;
}

void *list_close(parser *p, size_t open, size_t size, uint32_t *n)
{
  size_t bytes = p->nlist - open;
  void *v = bytes ? arena_get(p->a, bytes) : NULL;
  if (bytes && !v) parse_nomem(p);
  if (v) memcpy(v, p->list + open, bytes);
  p->nlist = open;
  *n = v ? (uint32_t)(bytes / size) : 0;
  return v;
}

/* ---- docstrings ---- */

/* Where the line before the one at `at` starts; `at` is the start of a line after the first. */
static uint32_t line_before(const parser *p, uint32_t at)
{
  for (at--; at > 0 && p->src[at - 1] != '\n'; at--) {}
  return at;
}

static uint32_t blanks(const parser *p, uint32_t at)
{
  while (p->src[at] == ' ' || p->src[at] == '\t') at++;
  return at;
}

/* The text after ## on the line at `at`; false if there is none there.  *end: the line's end. */
static bool doc_line(const parser *p, uint32_t at, uint32_t size, uint32_t *from, uint32_t *end)
{
  at = blanks(p, at);
  if (p->src[at] != '#' || p->src[at + 1] != '#') return false;
  *from = at + 2 + (p->src[at + 2] == ' ');
  const char *line = memchr(p->src + at, '\n', size - at);
  *end = line ? (uint32_t)(line - p->src) : size;
  if (*from > *end) *from = *end;
  return true;
}

/* The lines that start with ## from `at` on, as one text; *next is the start of the line after. */
static const char *doc_text(parser *p, uint32_t at, uint32_t size, uint32_t *next)
{
  text t;
  uint32_t from, end;
  bool first = true;
  text_init(&t, p->m);
  for (; at < size && doc_line(p, at, size, &from, &end); at = end + (end < size)) {
    if (!first) text_putc(&t, '\n');
    first = false;
    for (*next = end; end > from && (unsigned char)p->src[end - 1] <= ' '; end--) {}
    text_put(&t, p->src + from, end - from);
    end = *next;
  }
  *next = at;
  const char *doc = first || t.failed ? NULL : arena_text(p->a, t.n ? t.s : "", t.n);
  if (!first && !doc) parse_nomem(p);
  text_free(&t);
  return doc;
}

const char *parse_doc(parser *p, uint32_t tok)
{
  const token *t = &p->t.v[tok];
  uint32_t at = t->start, top, from, end;
  if (!(t->flags & TOK_DOC)) return NULL;
  while (at > 0 && p->src[at - 1] != '\n') at--;
  for (top = at; top > 0; top = from) {
    uint32_t line = line_before(p, top);
    if (!doc_line(p, line, t->start, &from, &end)) break;
    from = line;
  }
  return top == at ? NULL : doc_text(p, top, at, &end);
}

/* A block of ## lines at the top (after #! and empty lines) with an empty line under it. */
static const char *module_doc(parser *p, uint32_t size)
{
  uint32_t at = size >= 3 && memcmp(p->src, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, next;
  if (size - at >= 2 && p->src[at] == '#' && p->src[at + 1] == '!')
    while (at < size && p->src[at] != '\n') at++;
  while (at < size && (unsigned char)p->src[at] <= ' ') at++;
  if (p->src[at] != '#') return NULL;
  const char *doc = doc_text(p, at, size, &next);
  while (next < size && p->src[next] != '\n' && (unsigned char)p->src[next] <= ' ') next++;
  return next == size || p->src[next] == '\n' ? doc : NULL;
}

/* ---- the module ---- */

/* Few and nearly in order: insertion. */
static void sort_diags(diags *d, size_t from)
{
  for (size_t i = from + 1; i < d->n; i++) {
    diag x = d->v[i];
    size_t k = i;
    for (; k > from && d->v[k - 1].e.span.start > x.e.span.start; k--) d->v[k] = d->v[k - 1];
    d->v[k] = x;
  }
}

static ast_module *module(parser *p, const source *s)
{
  size_t open = list_open(p);
  ast_module *mod = arena_get(p->a, sizeof *mod);
  if (!mod) {
    parse_nomem(p);
    return NULL;
  }
  mod->file = p->file;
  mod->span = (norn_span){p->file, 0, (uint32_t)s->n};
  mod->doc = module_doc(p, (uint32_t)s->n);
  parse_statements(p, 0, false);
  mod->v = list_close(p, open, sizeof(ast *), &mod->n);
  return mod;
}

parse_status parse_module(arena *a, diags *d, const sources *files, uint32_t file, ast_module **out)
{
  parser p = {.a = a, .m = a->m, .d = d, .files = files, .file = file, .t = {.m = a->m}, .at = 1};
  const source *s = sources_get(files, file);
  size_t from = d->n;
  int before = d->errors;
  *out = NULL;
  if (!s) return PARSE_ERROR;
  p.src = s->text;
  if (!lex_text(&p.t, d, file, s->text, s->n)) {
    d->failed = true;
  } else {
    p.errors = d->errors - before;
    *out = module(&p, s);
  }
  if (d->failed) *out = NULL;
  tokens_free(&p.t);
  mem_put(p.m, p.names, p.cnames * sizeof *p.names);
  mem_put(p.m, p.list, p.clist);
  sort_diags(d, from);
  if (d->errors == before && *out) return PARSE_OK;
  return p.more && *out ? PARSE_MORE : PARSE_ERROR;
}
