/* lex: text to tokens, all at once.

   A token knows its bytes, whether a line ended before it, and for a bracket where its partner is;
   so the parser can look past a bracket, and find the end of a broken statement, in one step.

       print("n = {n + 1}!")     NAME ( STR_HEAD NAME + INT STR_TAIL )
             |    ------- |      an interpolated string is a bracket: head and tail are partners;
             head         tail   with several holes: head, mid ..., tail, each partner of the next

   What is wrong inside a token is reported here.  Where nothing sensible can stand for it an ERROR
   token does, which the parser skips without another word.  Wrong operators of other languages
   (`&&`) are reported and read as ours. */
#ifndef NORN_LEX_H
#define NORN_LEX_H
#include "base/base.h"

#define TOKENS(X)                                                                                  \
  X(END, "the end of the text") X(ERROR, "an error") X(NAME, "a name") X(INT, "a number")          \
  X(REAL, "a number") X(STR, "a string") X(STR_HEAD, "a string") X(STR_MID, "the rest of a string")\
  X(STR_TAIL, "the rest of a string") X(UNDERSCORE, "_")                                           \
  /* keywords, LET to MISSING */                                                                   \
  X(LET, "let") X(FN, "fn") X(IF, "if") X(ELSE, "else") X(FOR, "for") X(IN, "in")                  \
  X(MATCH, "match") X(WITH, "with") X(NEXT, "next") X(OBSERVE, "observe") X(AND, "and")            \
  X(OR, "or") X(NOT, "not") X(TRUE, "true") X(FALSE, "false") X(MISSING, "missing")                \
  /* punctuation; operators are named as in AST_BINARIES */                                        \
  X(LPAREN, "(") X(RPAREN, ")") X(LBRACKET, "[") X(RBRACKET, "]") X(LBRACE, "{") X(RBRACE, "}")    \
  X(COMMA, ",") X(SEMI, ";") X(COLON, ":") X(DOT, ".") X(DOTS, "..") X(ASSIGN, "=") X(TILDE, "~")  \
  X(ARROW, "->") X(PIPE, "|>") X(BAR, "|") X(EQ, "==") X(NE, "!=") X(LT, "<") X(LE, "<=")          \
  X(GT, ">") X(GE, ">=") X(CAT, "++") X(ADD, "+") X(SUB, "-") X(MUL, "*") X(DIV, "/")            \
  X(IDIV, "//") X(MOD, "%") X(MATMUL, "@") X(POW, "^") X(PRIME, "'")

typedef enum {
#define X(k, s) TOK_##k,
  TOKENS(X)
#undef X
  TOK_COUNT
} token_kind;

enum {
  TOK_NL = 1,       /* a line ended before this token */
  TOK_DOC = 2,      /* the line above ends in a ## comment */
  TOK_ESCAPED = 4,  /* the string has escapes */
  TOK_TOLD = 8      /* an error was reported for this token already */
};

typedef struct token {
  uint8_t kind, flags;
  uint32_t start, end;   /* bytes */
  uint32_t mate;         /* bracket: index of the partner, 0 if none; NAME: hash of its bytes */
} token;

/* Token 0 is an empty END, so that 0 is no token and every token has one before it; then the
   tokens; the last one is END. */
typedef struct tokens { mem *m; token *v; uint32_t n; size_t cap; } tokens;

/* False when there is no memory.  Mistakes go to diags.  src must be 0-terminated. */
bool lex_text(tokens *, diags *, uint32_t file, const char *src, size_t n);
void tokens_free(tokens *);

const char *token_name(token_kind);
static inline bool token_is_keyword(token_kind k) { return k >= TOK_LET && k <= TOK_MISSING; }

/* The value of an INT token: false if it is above 2^64 - 1. */
bool lex_int(const char *src, token, uint64_t *value);
/* The value of a REAL (or INT) token, correctly rounded whatever the locale; inf if too large. */
bool lex_real(mem *, const char *src, token, double *value);
/* The text of a string token, escapes replaced, 0-terminated.  NULL: no memory. */
char *lex_string(arena *, const char *src, token, size_t *n);
#endif
