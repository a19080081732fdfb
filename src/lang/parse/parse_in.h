/* parse_in: what the files of the parser share.  Nobody else includes it.

   Recursive descent over an array of tokens.  Three rules keep it simple:
   - An error never unwinds: parse_fail reports, sets `panic`, and gives an ERROR node.  While
     `panic` is set nothing is reported and every list ends, so control comes back to the nearest
     list of statements or arms, which skips to the end of the broken one and clears it.
   - A node is never NULL: without memory it is `oops`, and `stop` makes every token END.
   - Nesting is counted (parse_enter), and so is the height of what loops build (node_seal). */
#ifndef NORN_PARSE_IN_H
#define NORN_PARSE_IN_H
#include "lang/parse/lex.h"
#include "lang/parse/parse.h"

/* A fold being parsed: what its `next`s must look like. */
typedef struct next_link { ast *node; struct next_link *before; } next_link;
typedef struct fold { uint32_t states; bool keep; next_link *nexts; } fold;

/* How the text reads here; brackets save and restore it. */
typedef struct mode {
  bool loose;     /* inside ( or [: a line end ends nothing */
  bool guard;     /* in a guard: `x ->` ends it, and is no lambda */
  bool index;     /* in an index: a range may be open */
  bool arm;       /* in the body of an arm: a comma ends it */
} mode;

typedef struct parser {
  arena *a;
  mem *m;
  diags *d;
  const sources *files;
  const char *src;
  uint32_t file;
  tokens t;
  uint32_t at;                 /* the current token */
  uint32_t start;              /* the first token of the statement or arm being read */
  int nest;
  mode mode;
  uint32_t branch;             /* the '{' of the innermost if whose first block this is, or 0 */
  fold *fold;                  /* the innermost fold whose body this is, or NULL */
  ast *open_slice;             /* the last a.. made */
  bool panic, stop, more;
  int errors;
  size_t last;                 /* the diagnostic that parse_hint adds to: its number from 1, or 0 */
  char *list;                  /* elements of the lists being read, innermost last */
  size_t nlist, clist;
  struct parse_name **names;   /* hash table of interned names */
  size_t nnames, cnames;
  uint32_t mark;
  ast oops;
} parser;

/* ---- tokens ---- */
static inline const token *parse_tok(const parser *p) { return &p->t.v[p->at]; }
static inline token_kind parse_kind(const parser *p) { return (token_kind)p->t.v[p->at].kind; }
static inline bool parse_at(const parser *p, token_kind k) { return p->t.v[p->at].kind == k; }
static inline bool parse_nl(const parser *p) { return p->t.v[p->at].flags & TOK_NL; }
/* The kind of the token after the current one. */
static inline token_kind parse_then(const parser *p)
{
  return parse_at(p, TOK_END) ? TOK_END : (token_kind)p->t.v[p->at + 1].kind;
}
static inline void parse_step(parser *p) { p->at += p->at + 1 < p->t.n; }
static inline bool parse_accept(parser *p, token_kind k)
{
  if (!parse_at(p, k)) return false;
  parse_step(p);
  return true;
}
/* Does the statement or arm end before the current token? */
static inline bool parse_ended(const parser *p)
{
  return parse_nl(p) || parse_at(p, TOK_SEMI) || parse_at(p, TOK_RBRACE) || parse_at(p, TOK_END);
}
bool parse_word(const parser *p, const char *word);      /* at the NAME `word`? */
bool parse_is(const parser *p, uint32_t tok, const char *word);
norn_span parse_span(const parser *p, uint32_t first);   /* from that token to the last one read */
norn_span parse_tok_span(const parser *p, uint32_t tok);

/* ---- errors ---- */
/* "expected X, found Y" at the current token (or at the end of the line before it). */
ast *parse_expected(parser *p, const char *what);
ast *parse_fail(parser *p, norn_span, const char *format, ...) NORN_PRINTF(3, 4);
/* Reports without breaking off; NULL when nothing was reported. */
norn_err *parse_note(parser *p, norn_span, const char *format, ...) NORN_PRINTF(3, 4);
/* Adds a hint to what the last call reported, if it did and gave none. */
void parse_hint(parser *p, const char *format, ...) NORN_PRINTF(2, 3);
/* The same, also when it gave one. */
void parse_rehint(parser *p, const char *format, ...) NORN_PRINTF(2, 3);
/* The same where a name is expected: a keyword gets a hint of its own. */
ast *parse_expected_name(parser *p, const char *what);
/* Goes past k or fails with "expected `what`". */
bool parse_expect(parser *p, token_kind k, const char *what);
/* Goes past the closing partner of the bracket `open`, or says where that was. */
bool parse_close(parser *p, uint32_t open, token_kind k, const char *what);
/* After a broken element that began at `start`: skips to its end. */
void parse_skip(parser *p, uint32_t start, bool commas);
bool parse_enter(parser *p);   /* one level deeper; false: too deep, reported.  Then p->nest-- */
void parse_nomem(parser *p);

/* ---- nodes, names, lists ---- */
/* Its span goes from the token `first` to the last one read. */
ast *node_new(parser *p, ast_kind, uint32_t first);
static inline void node_over(ast *n, const ast *child)
{
  if (child && child->height >= n->height) n->height = (child->height + 1u) & 0xfffu;
}
/* Its span ends at the last token read; its height is checked. */
ast *node_seal(parser *p, ast *n);
ast *node_list(parser *p, ast_kind, uint32_t first, ast **v, uint32_t n);
const char *name_intern(parser *p, uint32_t tok);
const char *name_text(parser *p, const char *s, size_t n);   /* interns any text */
ast_name name_take(parser *p);                           /* takes the current token as a name */
/* Reports names that stand twice among n elements of `size` bytes which start with an ast_name. */
void names_differ(parser *p, const void *v, uint32_t n, size_t size, const char *what);
size_t list_open(const parser *p);
void list_add(parser *p, const void *element, size_t size);
void *list_close(parser *p, size_t open, size_t size, uint32_t *n);
const char *parse_doc(parser *p, uint32_t tok);          /* the ## lines above a token, or NULL */
ast *parse_string(parser *p);                            /* a piece of a string, as a STR */
ast *parse_literal(parser *p);                           /* [-] number, string, (), true ... */

/* ---- the grammar ---- */
ast *parse_expr(parser *p);
ast *parse_brace(parser *p);                             /* record or block */
ast *parse_block(parser *p, const char *what);           /* after a head; what: it is expected */
ast *parse_statement(parser *p, bool top);
/* Reads statements into the list, to the end of the block that token `open` opened (0: of the
   text).  With `update`, stops before a `with` after the first, an expression, and gives that. */
ast *parse_statements(parser *p, uint32_t open, bool update);
ast_param *parse_params(parser *p, uint32_t *n);         /* "(" ... ")" */
ast *parse_foreign(parser *p);                           /* at the word before a string */
ast *parse_if(parser *p);
ast *parse_lambda(parser *p);
ast *parse_for(parser *p);
ast *parse_match(parser *p);
ast *parse_next(parser *p);
/* Not refutable: a lone name binds whatever its case; no literals. */
ast *parse_pattern(parser *p, bool refutable);
ast *parse_type(parser *p);
ast *parse_comp(parser *p, uint32_t first, ast *body);   /* the clauses, up to the ] */
bool parse_at_key(const parser *p, uint32_t tok);        /* may the token be a key of a record? */
ast_name parse_key(parser *p);                           /* at one: takes it */
bool parse_continues(token_kind k);                      /* does a line that starts so go on? */
/* Saves the mode for the inside of a bracket; restore it after. */
static inline mode parse_inside(parser *p, bool loose)
{
  mode m = p->mode;
  p->mode = (mode){.loose = loose};
  return m;
}
#endif
