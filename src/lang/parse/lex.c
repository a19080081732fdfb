/* lex.c: text to tokens (see lex.h).

   One pass over the bytes by a table of character classes.  Open brackets form a chain through the
   `mate` fields of the tokens themselves, so the lexer needs no stack: `open` is the innermost open
   bracket, its mate the one around it, until the closing bracket overwrites it. */
#include "lang/parse/lex.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERRORS_MAX = 20 };

typedef enum {
  C_BAD, C_SPACE, C_LINE, C_NAME, C_DIGIT, C_MARK, C_STRING, C_COMMENT, C_HIGH
} char_class;

#define B C_BAD
#define S C_SPACE
#define M C_MARK
#define D C_DIGIT
#define N C_NAME
#define H C_HIGH
#define L C_LINE
#define H16 H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H
static const uint8_t class_of[256] = {
  B, B, B, B, B, B, B, B, B, S, L, B, S, S, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
  S, M, C_STRING, C_COMMENT, B, M, M, M, M, M, M, M, M, M, M, M,      /* space ! " # $ % & ' to / */
  D, D, D, D, D, D, D, D, D, D, M, M, M, M, M, B,                      /* 0 to 9 : ; < = > ? */
  M, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, M, B, M, M, N,
  B, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, M, M, M, M, B,
  H16, H16, H16, H16, H16, H16, H16, H16,
};
#undef B
#undef S
#undef M
#undef D
#undef N
#undef H
#undef L
#undef H16

typedef struct lexer {
  const char *s, *end, *at;
  uint32_t file;
  diags *d;
  tokens *out;
  uint32_t open;           /* index of the innermost open bracket, 0: none */
  uint32_t round, square, curly;   /* how many of each are open; a hole of a string is curly */
  uint32_t holes;          /* how many of them are holes of strings */
  uint8_t flags;           /* for the next token */
  int errors;
  bool failed;
} lexer;

/* ---- tokens and errors ---- */

const char *token_name(token_kind k)
{
  static const char *const names[] = {
#define X(kind, s) s,
    TOKENS(X)
#undef X
  };
  return k < TOK_COUNT ? names[k] : "?";
}

void tokens_free(tokens *t)
{
  mem_put(t->m, t->v, t->cap * sizeof *t->v);
  *t = (tokens){.m = t->m};
}

static token *push(lexer *x, token_kind kind, const char *from)
{
  tokens *t = x->out;
  if (NORN_UNLIKELY(t->n == t->cap) && !mem_grow(t->m, &t->v, &t->cap, t->n + 1, sizeof *t->v)) {
    x->failed = true;
    x->at = x->end;
    return NULL;
  }
  token *k = &t->v[t->n++];
  k->kind = (uint8_t)kind;
  k->flags = x->flags;
  k->start = (uint32_t)(from - x->s);
  k->end = (uint32_t)(x->at - x->s);
  k->mate = 0;
  x->flags = 0;
  return k;
}

/* Reports bytes [from, to).  NULL when it could not, or when there were too many before. */
static norn_err *wrong(lexer *x, const char *from, const char *to, const char *format, ...)
{
  char message[200];
  va_list args;
  if (x->errors > ERRORS_MAX) return NULL;
  norn_span span = {x->file, (uint32_t)(from - x->s), (uint32_t)(to - x->s)};
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  if (x->errors++ == ERRORS_MAX) {
    diags_add(x->d, false, span, "too many errors in this text");
    x->end = x->at;   /* stop here */
    return NULL;
  }
  diag *d = diags_add(x->d, false, span, "%s", message);
  return d ? &d->e : NULL;
}

static void hint(norn_err *e, const char *what)
{
  if (e) error_hint(e, "%s", what);
}

/* ---- brackets ---- */

static uint32_t *count_of(lexer *x, token_kind k)
{
  return k == TOK_LPAREN ? &x->round : k == TOK_LBRACKET ? &x->square : &x->curly;
}

static bool is_hole(token_kind k)
{
  return k == TOK_STR_HEAD || k == TOK_STR_MID;
}

/* The token just pushed opens. */
static void bracket_open(lexer *x, token *k)
{
  if (!k) return;
  k->mate = x->open;
  x->open = x->out->n - 1;
  ++*count_of(x, k->kind);
  x->holes += is_hole(k->kind);
}

/* Takes the innermost open bracket from the chain; its partner is `mate`, 0 for none. */
static token_kind bracket_pop(lexer *x, uint32_t mate)
{
  token *k = &x->out->v[x->open];
  x->open = k->mate;
  k->mate = mate;
  --*count_of(x, k->kind);
  x->holes -= is_hole(k->kind);
  return k->kind;
}

/* The token just pushed closes a bracket of the kind `opener`; what is open inside stays so. */
static void bracket_close(lexer *x, token_kind opener)
{
  uint32_t self = x->out->n - 1;
  if (x->failed || *count_of(x, opener) == 0) return;
  uint32_t *count = count_of(x, opener);
  while (count_of(x, x->out->v[x->open].kind) != count) bracket_pop(x, 0);
  x->out->v[self].mate = x->open;
  bracket_pop(x, self);
}

/* ---- strings ---- */

static int hex_digit(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Reads "{1f600}"; the bytes read, 0 if it is wrong. */
static int code_point(const char *s, uint32_t *code)
{
  int i = 1, digit;
  uint32_t c = 0;
  char bytes[4];
  if (s[0] != '{') return 0;
  for (; i <= 6 && (digit = hex_digit(s[i])) >= 0; i++) c = c * 16 + (uint32_t)digit;
  if (i == 1 || s[i] != '}' || utf8_put(c, bytes) == 0) return 0;
  *code = c;
  return i + 1;
}

static char escape_value(char c)
{
  switch (c) {
  case 'n': return '\n';
  case 't': return '\t';
  case 'r': return '\r';
  case '"': case '\\': case '{': case '}': return c;
  default: return 0;
  }
}

/* At a backslash: checks the escape and goes past it. */
static void escape(lexer *x)
{
  const char *from = x->at++;
  uint32_t code;
  if (x->at < x->end && escape_value(*x->at)) {
    x->at++;
  } else if (x->at < x->end && *x->at == 'u') {
    int n = code_point(x->at + 1, &code);
    x->at += 1 + n;
    if (n == 0 && *x->at == '{')
      while (x->at < x->end && *x->at != '}' && *x->at != '"' && *x->at != '\n') x->at++;
    if (n) return;
    norn_err *e = wrong(x, from, x->at, "\\u needs a code point in braces");
    hint(e, "for example \\u{e9} or \\u{1f600}");
  } else {
    const char *to = x->at < x->end && *x->at != '\n' ? x->at + 1 : x->at;
    while (to < x->end && (*to & 0xc0) == 0x80) to++;
    norn_err *e = wrong(x, from, to, "no such escape in a string");
    hint(e, "the escapes are \\n \\t \\r \\\" \\\\ \\{ \\} \\u{...}; in r\"...\" there are none");
  }
}

static void string_open_error(lexer *x, const char *from)
{
  norn_err *e = wrong(x, from, x->at, "this string is not closed");
  hint(e, "a string ends on its line; write \\n for a line break inside");
  push(x, TOK_ERROR, from);
}

/* Reads on to the closing quote or the next hole.  `from` is where the token starts. */
static void string_rest(lexer *x, const char *from, bool first)
{
  uint8_t escaped = 0;
  while (x->at < x->end) {
    char c = *x->at;
    if (c == '"' || c == '{') {
      x->at++;
      token_kind end = first ? TOK_STR : TOK_STR_TAIL, more = first ? TOK_STR_HEAD : TOK_STR_MID;
      token *k = push(x, c == '"' ? end : more, from);
      if (k) k->flags |= escaped;
      if (!first) bracket_close(x, TOK_STR_HEAD);
      if (c == '{') bracket_open(x, k);   /* a MID forgets the partner before it */
      return;
    }
    if (c == '\n') break;
    if (c == '\\') {
      escaped = TOK_ESCAPED;
      escape(x);
    } else {
      x->at++;
    }
  }
  if (!first && x->open) bracket_pop(x, 0);
  string_open_error(x, from);
}

static void raw_string(lexer *x, const char *from)
{
  x->at++;
  while (x->at < x->end && *x->at != '"' && *x->at != '\n') x->at++;
  if (x->at == x->end || *x->at == '\n') {
    string_open_error(x, from);
    return;
  }
  x->at++;
  push(x, TOK_STR, from);
}

/* A line, or the text, ends inside a hole of a string. */
static void holes_unclosed(lexer *x)
{
  uint32_t head = x->open;
  while (x->holes) {
    head = x->open;
    bracket_pop(x, 0);
  }
  token *k = &x->out->v[head];
  norn_err *e = wrong(x, x->s + k->start, x->at, "this string is not closed");
  hint(e, "a string with its {...} ends on its line; write \\{ for a brace");
  push(x, TOK_ERROR, x->at);
}

/* ---- names and numbers ---- */

/* `match` among arguments or parameters, in front of what no value begins with, is a name: f(match = r"a*"), f(match = match).
   before: the token in front of it. */
static bool matches_nothing(token_kind before, const char *s)
{
  if (before != TOK_LPAREN && before != TOK_COMMA && before != TOK_ASSIGN) return false;
  while (*s == ' ' || *s == '\t') s++;
  return *s == ',' || *s == ')' || (*s == '=' && s[1] != '=' && before != TOK_ASSIGN);
}

/* n <= 7 */
static token_kind keyword(const char *s, size_t n)
{
#define TRY(k, word) \
  if (n == sizeof word - 1 && memcmp(s, word, sizeof word - 1) == 0) return TOK_##k
  switch (s[0]) {
  case '_': TRY(UNDERSCORE, "_"); break;
  case 'a': TRY(AND, "and"); break;
  case 'e': TRY(ELSE, "else"); break;
  case 'f': TRY(FN, "fn"); TRY(FOR, "for"); TRY(FALSE, "false"); break;
  case 'i': TRY(IF, "if"); TRY(IN, "in"); break;
  case 'l': TRY(LET, "let"); break;
  case 'm': TRY(MATCH, "match"); TRY(MISSING, "missing"); break;
  case 'n': TRY(NEXT, "next"); TRY(NOT, "not"); break;
  case 'o': TRY(OR, "or"); TRY(OBSERVE, "observe"); break;
  case 't': TRY(TRUE, "true"); break;
  case 'w': TRY(WITH, "with"); break;
  default: break;
  }
#undef TRY
  return TOK_NAME;
}

/* What other scripts and symbols are not letters of names: punctuation, operators, superscripts,
   pictures, private use. */
static bool code_in_name(uint32_t c)
{
  static const struct { uint32_t from, to; } not_in[] = {
    {0x80, 0xa9}, {0xab, 0xb4}, {0xb6, 0xb9}, {0xbb, 0xbf}, {0xd7, 0xd7}, {0xf7, 0xf7},
    {0x2000, 0x207f}, {0x20a0, 0x20ff}, {0x2190, 0x2bff}, {0x2e00, 0x2e7f}, {0x3000, 0x3004},
    {0x3008, 0x3020}, {0xe000, 0xf8ff}, {0xfe00, 0xfe6f}, {0xfeff, 0xff0f}, {0xff1a, 0xff20},
    {0xff3b, 0xff40}, {0xff5b, 0xff65}, {0xffe0, 0xffff}, {0x1f000, 0x1fbff}, {0xe0000, 0x10ffff},
  };
  for (int i = 0; i < NORN_COUNT(not_in); i++)
    if (c >= not_in[i].from && c <= not_in[i].to) return false;
  return true;
}

/* Length of a letter above ASCII at s, 0 if there is none. */
static int high_letter(const char *s, const char *end)
{
  uint32_t code;
  int n = (unsigned char)*s < 0x80 ? 0 : utf8_next(s, (size_t)(end - s), &code);
  return n && code_in_name(code) ? n : 0;
}

/* A definition on a new line never stands in ( or [: a closing bracket is missing before it.
   Without this a later stray one would pair up with it, over all that is between. */
static void definition(lexer *x, const token *k)
{
  const token *before = k - 1;   /* token 0 is none */
  bool starts = (k->kind == TOK_LET || k->kind == TOK_FN) && (k->flags & TOK_NL);
  if (k->kind == TOK_NAME && before->kind == TOK_NAME && (before->flags & TOK_NL)) {
    static const char *const words[] = {"model", "distribution", "type", "import"};
    size_t n = before->end - before->start;
    for (int i = 0; i < NORN_COUNT(words); i++)
      starts |= strlen(words[i]) == n && memcmp(x->s + before->start, words[i], n) == 0;
  }
  if (!starts) return;
  while (x->open && count_of(x, x->out->v[x->open].kind) != &x->curly) bracket_pop(x, 0);
}

static void name(lexer *x)
{
  const char *from = x->at, *s = from;
  uint32_t h = 2166136261u;   /* FNV-1a */
  for (;;) {
    uint8_t class = class_of[(unsigned char)*s];
    if (class == C_NAME || class == C_DIGIT) {
      h = (h ^ (unsigned char)*s++) * 16777619u;
    } else if (class == C_HIGH && s < x->end) {
      int n = high_letter(s, x->end);
      if (n == 0) break;
      for (; n > 0; n--) h = (h ^ (unsigned char)*s++) * 16777619u;
    } else {
      break;
    }
  }
  size_t n = (size_t)(s - from);
  x->at = s;
  if (n == 1 && *from == 'r' && *s == '"') {
    raw_string(x, from);
    return;
  }
  token_kind kind = n <= 7 ? keyword(from, n) : TOK_NAME;
  if (kind == TOK_MATCH && matches_nothing(x->out->v[x->out->n - 1].kind, s)) kind = TOK_NAME;
  token *k = push(x, kind, from);
  if (!k) return;
  k->mate = h;
  if (x->open) definition(x, k);
}

static const char *digits(const char *s)
{
  while ((*s >= '0' && *s <= '9') || (*s == '_' && s[1] >= '0' && s[1] <= '9')) s++;
  return s;
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

/* A name glued to a number: 2x, 1e, 0x1f, 1_.  `told`: something was said about it already. */
static void number_glued(lexer *x, const char *from, bool told)
{
  const char *tail = x->at;
  int n;
  while (x->at < x->end) {
    uint8_t class = class_of[(unsigned char)*x->at];
    if (class == C_NAME || class == C_DIGIT) x->at++;
    else if (class == C_HIGH && (n = high_letter(x->at, x->end)) > 0) x->at += n;
    else break;
  }
  push(x, TOK_ERROR, from);
  if (told) return;
  int shown = x->at - from < 40 ? (int)(x->at - from) : 40;
  norn_err *e = wrong(x, from, x->at, "'%.*s' is neither a number nor a name", shown, from);
  if (*tail == '_') hint(e, "an underscore may stand between digits only");
  else if (*from == '0' && (*tail | 32) == 'x') hint(e, "integers are written in decimal");
  else hint(e, "write a product with *");
}

static void number(lexer *x)
{
  const char *from = x->at, *s = digits(from);
  token_kind kind = TOK_INT;
  bool told = false;
  if (s[0] == '.' && is_digit(s[1])) {
    kind = TOK_REAL;
    s = digits(s + 1);
  } else if (s[0] == '.' && s[1] != '.') {
    kind = TOK_REAL;
    told = true;
    hint(wrong(x, from, s + 1, "a digit must follow the point"), "write 1.0, not 1.");
    s++;
  }
  if (*s == 'e' || *s == 'E') {
    const char *e = s + 1 + (s[1] == '+' || s[1] == '-');
    if (is_digit(*e)) {
      kind = TOK_REAL;
      s = digits(e);
    }
  }
  x->at = s;
  uint8_t class = class_of[(unsigned char)*s];
  bool glued = class == C_NAME || (class == C_HIGH && high_letter(s, x->end));
  if (glued && x->at < x->end) number_glued(x, from, told);
  else push(x, kind, from);
}

/* ---- punctuation ---- */

#define NO_ASSIGNMENT "no assignment exists: a loop carries a state (for ... with x = 0)"

/* Operators of other languages: reported, and read as ours (or as an error). */
typedef struct { const char *text; token_kind as; const char *hint; } foreign;
static const foreign foreigns[] = {
  {"===", TOK_EQ, "== compares"},
  {"!==", TOK_NE, "!= compares"},
  {"...", TOK_DOTS, "a range is a..b, a rest in a pattern ..rest, and a record with changes { r with a: 1 }"},
  {"..=", TOK_DOTS, "a..b goes up to b - 1; write a..b + 1"},
  {"%*%", TOK_MATMUL, "the matrix product is @"},
  {"%%", TOK_MOD, "the remainder is %"},
  {"**=", TOK_ERROR, NO_ASSIGNMENT},
  {"**", TOK_POW, "the power is ^"},
  {"&&", TOK_AND, "write and"},
  {"||", TOK_OR, "write or"},
  {"=>", TOK_ARROW, "write ->"},
  {":=", TOK_ASSIGN, "let x = ... binds a name"},
  {"<>", TOK_NE, "write !="},
  {"<-", TOK_ASSIGN, "let x = ... binds a name, let x ~ d samples; x < -1 compares"},
  {"+=", TOK_ERROR, NO_ASSIGNMENT},
  {"-=", TOK_ERROR, NO_ASSIGNMENT},
  {"*=", TOK_ERROR, NO_ASSIGNMENT},
  {"/=", TOK_NE, "write != to compare; no assignment exists"},
  {"::", TOK_DOT, "write module.name"},
  {"?", TOK_ERROR, "write if c { a } else { b }"},
  {"&", TOK_AND, "write and"},
  {"!", TOK_NOT, "write not"},
  {"\\", TOK_ERROR, "a function is x -> e"},
  {"$", TOK_DOT, "a field is r.name"},
  {"`", TOK_ERROR, "a name has no quotes; a field of any name is r[\"a name\"]"},
};

static bool try_foreign(lexer *x)
{
  for (int i = 0; i < NORN_COUNT(foreigns); i++) {
    const foreign *f = &foreigns[i];
    size_t n = strlen(f->text);
    if ((size_t)(x->end - x->at) < n || memcmp(x->at, f->text, n) != 0) continue;
    const char *from = x->at;
    x->at += n;
    hint(wrong(x, from, x->at, "there is no operator '%s'", f->text), f->hint);
    token *k = push(x, f->as, from);
    if (k) k->flags |= TOK_TOLD;
    return true;
  }
  return false;
}

/* The operator at s and its length.  ERROR: none, or one of another language that starts so. */
static token_kind mark(const char *s, size_t *n)
{
  char b = s[1];
#define TWO(c, k2, k1) return *n = b == (c) ? 2 : 1, b == (c) ? TOK_##k2 : TOK_##k1
#define ONE(k) return *n = 1, TOK_##k
  switch (s[0]) {
  case '(': ONE(LPAREN);
  case ')': ONE(RPAREN);
  case '[': ONE(LBRACKET);
  case ']': ONE(RBRACKET);
  case '{': ONE(LBRACE);
  case '}': ONE(RBRACE);
  case ',': ONE(COMMA);
  case ';': ONE(SEMI);
  case '~': ONE(TILDE);
  case '@': ONE(MATMUL);
  case '^': ONE(POW);
  case '\'': ONE(PRIME);
  case ':': if (b == '=' || b == ':') break; ONE(COLON);
  case '.':
    if (b == '.' && (s[2] == '.' || (s[2] == '=' && s[3] != '='))) break;
    TWO('.', DOTS, DOT);
  case '=': if (b == '>' || (b == '=' && s[2] == '=')) break; TWO('=', EQ, ASSIGN);
  case '!': if (b != '=' || s[2] == '=') break; return *n = 2, TOK_NE;
  case '<': if (b == '>' || (b == '-' && (s[2] == ' ' || s[2] == '\t'))) break; TWO('=', LE, LT);
  case '>': TWO('=', GE, GT);
  case '+': if (b == '=') break; TWO('+', CAT, ADD);
  case '-': if (b == '=') break; TWO('>', ARROW, SUB);
  case '*': if (b == '*' || b == '=') break; ONE(MUL);
  case '/': if (b == '=') break; TWO('/', IDIV, DIV);
  case '%': if (b == '%' || b == '*') break; ONE(MOD);
  case '|': if (b == '|') break; TWO('>', PIPE, BAR);
  default: break;
  }
#undef ONE
#undef TWO
  return TOK_ERROR;
}

/* A character that starts nothing. */
static void stray(lexer *x)
{
#define PLAIN "strings stand in plain quotes \"...\""
  static const struct { uint32_t code; const char *hint; } known[] = {
    {0xa0, "this is a no-break space; write a plain one"}, {0x2212, "write -"}, {0x2013, "write -"},
    {0x2014, "write -"}, {0xd7, "write *"}, {0x22c5, "write *"}, {0xb7, "write *"},
    {0xf7, "write /"},
    {0x2264, "write <="}, {0x2265, "write >="}, {0x2260, "write !="}, {0x2192, "write ->"},
    {0x201c, PLAIN}, {0x201d, PLAIN},
    {0x2018, PLAIN}, {0x2019, PLAIN},
    {0xb2, "write ^2"}, {0xb3, "write ^3"}, {0x221e, "write inf"}, {0x223c, "write ~"},
  };
#undef PLAIN
  const char *from = x->at;
  uint32_t code = 0;
  int n = utf8_next(x->at, (size_t)(x->end - x->at), &code);
  x->at += n ? n : 1;
  if (n && code >= 0x20 && code != 0x7f) {
    norn_err *e = wrong(x, from, x->at, "the character '%.*s' means nothing here", n, from);
    for (int i = 0; i < NORN_COUNT(known); i++)
      if (known[i].code == code) hint(e, known[i].hint);
  } else if (n) {
    wrong(x, from, x->at, "a control character (U+%04X) stands here", (unsigned)code);
  }   /* else: the check of UTF-8 has said it */
  push(x, TOK_ERROR, from);
}

static void punctuation(lexer *x)
{
  const char *from = x->at;
  size_t n = 0;
  token_kind kind = mark(from, &n);
  if (kind == TOK_ERROR) {
    if (!try_foreign(x)) stray(x);
    return;
  }
  x->at += n;
  if (kind == TOK_RBRACE && x->open && is_hole(x->out->v[x->open].kind)) {
    string_rest(x, from, false);
    return;
  }
  token *k = push(x, kind, from);
  switch (kind) {
  case TOK_LPAREN: case TOK_LBRACKET: case TOK_LBRACE: bracket_open(x, k); break;
  case TOK_RPAREN: bracket_close(x, TOK_LPAREN); break;
  case TOK_RBRACKET: bracket_close(x, TOK_LBRACKET); break;
  case TOK_RBRACE: bracket_close(x, TOK_LBRACE); break;
  default: break;
  }
}

/* ---- the text ---- */

static void comment(lexer *x)
{
  bool doc = x->at[1] == '#';
  const char *line = memchr(x->at, '\n', (size_t)(x->end - x->at));
  x->at = line ? line : x->end;
  if (!line) return;
  if (x->holes) return;       /* the end of the line says it */
  x->at++;
  x->flags = (uint8_t)(TOK_NL | (doc ? TOK_DOC : 0));
}

static void line_end(lexer *x)
{
  if (NORN_UNLIKELY(x->holes)) holes_unclosed(x);
  x->at++;
  x->flags = TOK_NL;
}

/* The first malformed byte is reported; one is enough to say that the text is not UTF-8. */
static void check_utf8(lexer *x)
{
  const char *s = x->s;
  uint32_t code;
  while (s < x->end) {
    uint64_t eight;
    if (x->end - s >= 8 && (memcpy(&eight, s, 8), (eight & 0x8080808080808080u) == 0)) {
      s += 8;
      continue;
    }
    int n = utf8_next(s, (size_t)(x->end - s), &code);
    if (n == 0) {
      norn_err *e = wrong(x, s, s + 1, "byte 0x%02x is not UTF-8", (unsigned)(unsigned char)*s);
      hint(e, "Norn reads UTF-8 text");
      return;
    }
    s += n;
  }
}

static void one(lexer *x)
{
  switch ((char_class)class_of[(unsigned char)*x->at]) {
  case C_SPACE: x->at++; break;
  case C_LINE: line_end(x); break;
  case C_NAME: name(x); break;
  case C_DIGIT: number(x); break;
  case C_MARK: punctuation(x); break;
  case C_COMMENT: comment(x); break;
  case C_STRING: {
    const char *from = x->at++;
    string_rest(x, from, true);
    break;
  }
  case C_HIGH:
    if (high_letter(x->at, x->end)) name(x);
    else stray(x);
    break;
  default:
    if (!try_foreign(x)) stray(x);
  }
}

bool lex_text(tokens *out, diags *d, uint32_t file, const char *src, size_t n)
{
  lexer x = {.s = src, .end = src + n, .at = src, .file = file, .d = d, .out = out};
  if (!mem_grow(out->m, &out->v, &out->cap, n / 4 + 16, sizeof *out->v)) return false;
  push(&x, TOK_END, src);
  check_utf8(&x);
  if (n >= 3 && memcmp(src, "\xef\xbb\xbf", 3) == 0) x.at += 3;
  x.flags = TOK_NL;
  while (x.at < x.end) one(&x);
  if (!x.failed && x.holes) holes_unclosed(&x);
  while (!x.failed && x.open) bracket_pop(&x, 0);
  x.flags |= TOK_NL;
  if (!x.failed) push(&x, TOK_END, x.at);
  return !x.failed;
}

/* ---- values ---- */

bool lex_int(const char *src, token t, uint64_t *value)
{
  uint64_t v = 0;
  for (const char *s = src + t.start, *e = src + t.end; s < e; s++) {
    if (*s == '_') continue;
    if (__builtin_mul_overflow(v, 10u, &v)) return false;
    if (__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v)) return false;
  }
  *value = v;
  return true;
}

/* Digits without the point, and the power of ten that puts it back: 12.5e3 is 125e2.  So no locale
   is asked.  Up to 19 digits and powers up to 22 are exact in double arithmetic (Clinger 1990). */
bool lex_real(mem *m, const char *src, token t, double *value)
{
  static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
                                1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  size_t n = t.end - t.start, size = n + 32, k = 0;
  char small[96], *buf = size <= sizeof small ? small : mem_get(m, size);
  uint64_t v = 0;
  int64_t exponent = 0, shift = 0;
  if (!buf) return false;
  const char *s = src + t.start, *e = src + t.end;
  for (bool point = false; s < e && *s != 'e' && *s != 'E'; s++) {
    if (*s == '.') point = true;
    if (!is_digit(*s)) continue;
    buf[k++] = *s;
    if (k <= 19) v = v * 10 + (uint64_t)(*s - '0');
    shift += point;
  }
  if (s < e) {
    bool minus = *++s == '-';
    for (; s < e; s++)
      if (is_digit(*s) && exponent < 1000000000) exponent = exponent * 10 + (*s - '0');
    if (minus) exponent = -exponent;
  }
  exponent -= shift;
  if (k <= 19 && v <= (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22) {
    *value = exponent < 0 ? (double)v / tens[-exponent] : (double)v * tens[exponent];
  } else {
    snprintf(buf + k, size - k, "e%lld", (long long)exponent);
    *value = strtod(buf, NULL);
  }
  if (buf != small) mem_put(m, buf, size);
  return true;
}

char *lex_string(arena *a, const char *src, token t, size_t *n)
{
  const char *s = src + t.start, *e = src + t.end - 1;   /* without the last quote or brace */
  if (*s == 'r') s++;
  s++;
  char *out = arena_get(a, (size_t)(e - s) + 1), *o = out;
  if (!out) return NULL;
  if (!(t.flags & TOK_ESCAPED)) {
    memcpy(o, s, (size_t)(e - s));
    o += e - s;
  } else while (s < e) {
    uint32_t code;
    if (*s != '\\') {
      *o++ = *s++;
    } else if (s[1] == 'u') {
      s += 2;
      int k = code_point(s, &code);
      s += k;
      if (k) o += utf8_put(code, o);
    } else {
      char c = escape_value(s[1]);
      *o++ = c ? c : '?';
      s += 2;
    }
  }
  *n = (size_t)(o - out);
  return out;
}
