/* ast: the syntax tree of a module.

   The parser makes it; the resolver fills the fields marked so; the compiler reads it.  Everything
   lives in one arena, nothing points out of it (no text of the source is borrowed).  Every node has
   a kind and a span.  Names are 0-terminated and interned per module: within one parse_module two
   names are equal exactly when their pointers are.  Children stand in evaluation order.

   Desugared in the parser: `a |> f(b)` is CALL f(a, b), `a |> e` is CALL e(a); `else if` is an IF
   in the else; `(e)` leaves only the flag AST_PAREN.  Not desugared: interpolation, comprehensions,
   folds.  A tree is at most AST_HEIGHT_MAX high, so that passes over it may recurse.

                  +------------------------------------------+
     ast  64 B    | kind op flags height | span              |   set by the parser
                  | effects  slot  bind                      |   zeroed; the resolver's
                  | u: what belongs to the kind              |
                  +------------------------------------------+ */
#ifndef NORN_AST_H
#define NORN_AST_H
#include "base/base.h"

#define AST_HEIGHT_MAX 1000

/* kind, printed name, which member of u */
#define AST_KINDS(X)                                                                               \
  X(NONE, "none")           /* never in a tree */                                                  \
  X(ERROR, "error")         /* -: stands where the text was wrong; only beside a diagnostic */     \
  /* literals */                                                                                   \
  X(INT, "int")             /* i */                                                                \
  X(REAL, "real")           /* d */                                                                \
  X(STR, "str")             /* str */                                                              \
  X(BOOL, "bool")           /* b */                                                                \
  X(UNIT, "unit")           /* - */                                                                \
  X(MISSING, "missing")     /* - */                                                                \
  /* expressions */                                                                                \
  X(INTERP, "interp")       /* list: STR nodes and expressions, in order */                        \
  X(NAME, "name")           /* name */                                                             \
  X(ARRAY, "array")         /* list */                                                             \
  X(RECORD, "record")       /* record; base not NULL: { base with ... } */                         \
  X(INDEX, "index")         /* index: the indices are expressions or SLICEs, at least one */       \
  X(SLICE, "slice")         /* bin: either side may be NULL; only inside INDEX */                  \
  X(FIELD, "field")         /* field; also module.name */                                          \
  X(CALL, "call")           /* call; flag AST_PIPED: args[0] came through |> */                    \
  X(UNARY, "unary")         /* bin: op is an ast_unary, the operand is a */                        \
  X(BINARY, "binary")       /* bin: op is an ast_binary */                                         \
  X(AND, "and")             /* bin */                                                              \
  X(OR, "or")               /* bin */                                                              \
  X(RANGE, "range")         /* bin: a..b */                                                        \
  X(LAMBDA, "lambda")       /* fn */                                                               \
  X(BLOCK, "block")         /* list of statements; its value is the last one's if that is an       \
                               expression, else () */                                              \
  X(IF, "if")               /* cond; no may be NULL: () */                                         \
  X(MATCH, "match")         /* match */                                                            \
  X(COMP, "comp")           /* comp: [body for p in e ... if e ...] */                             \
  X(FOR, "for")             /* loop; states not NULL: a fold, every path of its body ends in NEXT; \
                               flag AST_KEEP: some NEXT keeps */                                   \
  X(NEXT, "next")           /* next: as many values as the fold has states; in tail position */    \
  X(OBSERVE, "observe")     /* bin: observe a ~ b */                                               \
  /* statements */                                                                                 \
  X(LET, "let")             /* let */                                                              \
  X(DRAW, "draw")           /* draw: let pattern ~ dist [via via] [as as] */                       \
  X(FN, "fn")               /* fn */                                                               \
  X(MODEL, "model")         /* fn */                                                               \
  X(DIST, "distribution")   /* dist */                                                             \
  X(TYPE, "type")           /* type; only at top level */                                          \
  X(IMPORT, "import")       /* import; only at top level */                                        \
  X(FOREIGN, "foreign")     /* foreign; only at top level */                                       \
  /* patterns */                                                                                   \
  X(PAT_ANY, "any")         /* -: _ */                                                             \
  X(PAT_NAME, "bind")       /* name */                                                             \
  X(PAT_LITERAL, "literal") /* literal: INT, REAL, STR, BOOL, UNIT, MISSING; the sign is in it */  \
  X(PAT_CON, "con")         /* con: C or C(p, ...) or module.C(p, ...) */                          \
  X(PAT_LIST, "list")       /* plist; flag AST_OPEN: has .. at the end, rest may still be NULL */  \
  X(PAT_RECORD, "fields")   /* record, base NULL: { a: p, b } as { a: p, b: b }; other fields of   \
                               the value do not matter */                                          \
  /* annotations */                                                                                \
  X(TYPE_NAME, "typename")  /* tname: real(lower = 0), array(real), stats.T */                     \
  X(TYPE_FN, "typefn")      /* tfn: fn, fn(real, int) -> real */                                   \
  X(CTYPE, "ctype")         /* ctype: c_double, out array(c_int, n), fn(c_double) -> c_int */

typedef enum {
#define X(k, s) AST_##k,
  AST_KINDS(X)
#undef X
  AST_KINDS_COUNT
} ast_kind;

/* name, spelling, binding power: |> 1, or 2, and 3, not 4, comparison 5, .. 6, then as here, unary
   minus 10, ^ 11, transpose 12, call and index 13 */
#define AST_BINARIES(X)                                                                            \
  X(EQ, "==", 5) X(NE, "!=", 5) X(LT, "<", 5) X(LE, "<=", 5) X(GT, ">", 5) X(GE, ">=", 5)          \
  X(CAT, "++", 7) X(ADD, "+", 8) X(SUB, "-", 8)                                                    \
  X(MUL, "*", 9) X(DIV, "/", 9) X(IDIV, "//", 9) X(MOD, "%", 9) X(MATMUL, "@", 9) X(POW, "^", 11)

typedef enum {
#define X(k, s, p) BIN_##k,
  AST_BINARIES(X)
#undef X
  BIN_COUNT
} ast_binary;

typedef enum { UN_NEG, UN_NOT, UN_TRANSPOSE, UN_COUNT } ast_unary;

enum {                     /* flags */
  AST_PAREN = 1,           /* stood in parentheses of its own */
  AST_PIPED = 2,           /* CALL made by |> */
  AST_OPEN = 4,            /* PAT_LIST with .. */
  AST_KEEP = 8,            /* FOR with a keep */
  AST_FILE = 16,           /* IMPORT of a file, not of a module */
  AST_REREAD = 32          /* OBSERVE: what it observes is read elsewhere too (reread.c) */
};

typedef struct ast ast;
struct binding;            /* the resolver's */
struct fn_info;            /* the compiler's */

/* A name with its place; s is NULL when there is none. */
typedef struct ast_name { const char *s; norn_span span; } ast_name;

/* An argument; name.s is NULL when positional.  Also an entry of a distribution. */
typedef struct ast_arg { ast_name name; ast *value; } ast_arg;

/* A field of a record or of a record pattern; the name may be any text. */
typedef struct ast_field { ast_name name; ast *value; } ast_field;

/* A parameter: a name ("_": none), perhaps a default (an expression) and an annotation (TYPE_*). */
typedef struct ast_param {
  ast_name name;
  ast *fallback, *type;
  struct binding *bind;    /* the resolver's, as in ast */
  int slot;
} ast_param;

/* What fn, model and lambda share; a distribution uses name, doc and params. */
typedef struct ast_fn {
  ast_name name;           /* s NULL: a lambda */
  const char *doc;         /* the ## lines above without "## ", joined by \n; or NULL */
  ast_param *params;
  uint32_t nparams;
  ast *result;             /* annotation or NULL */
  ast *body;               /* NULL for a distribution */
  struct fn_info *info;    /* zeroed: the resolver's and the compiler's */
  uint32_t effects;
  int slot;
} ast_fn;

/* An arm of a match; guard may be NULL. */
typedef struct ast_arm { ast *pattern, *guard, *body; norn_span span; } ast_arm;

/* A clause of a comprehension: `for pattern in value`, or `if value` when pattern is NULL. */
typedef struct ast_clause { ast *pattern, *value; norn_span span; } ast_clause;

/* A state of a fold: `with name = init`. */
typedef struct ast_state { ast_name name; ast *init; struct binding *bind; int slot; } ast_state;
typedef struct ast_states { ast_state *v; uint32_t n; } ast_states;

/* A constructor of a type: its name and its fields' names (each may have an annotation). */
typedef struct ast_con {
  ast_name name;
  ast_param *fields;       /* name and type only */
  uint32_t n;
  struct binding *bind;
  int slot;
} ast_con;
typedef struct ast_typedef {
  ast_name name;
  const char *doc;
  ast_con *cons;
  uint32_t ncons;
} ast_typedef;

/* A type of C: mode is "out", "inout", "ref" or NULL; the word may be array (elem, and size or NULL)
   or fn (params, whose names may be NULL and whose types are NULL for _; result or NULL). */
typedef struct ast_ctype {
  const char *mode;
  ast_name word;
  ast *elem, *size, *result;
  ast_param *params;
  uint32_t n;
} ast_ctype;
/* A declared C function: fn has name, doc, params and result; at is where the symbol stands. */
typedef struct ast_cfn {
  ast_fn *fn;
  const char *symbol;
  norn_span at;
  ast *derivative;         /* NULL: none */
  const void *native;      /* the resolver's */
} ast_cfn;
typedef struct ast_foreign { const char *library; norn_span at; ast_cfn *v; uint32_t n; } ast_foreign;

struct ast {
  unsigned kind : 8, op : 6, flags : 6, height : 12;
  norn_span span;
  /* zeroed by the parser, for the resolver and compiler */
  uint32_t effects;
  int slot;
  struct binding *bind;
  union {
    int64_t i;
    double d;
    bool b;
    struct { const char *s; uint64_t n; } str;         /* 0-terminated, may hold zeros inside */
    const char *name;
    struct { ast **v; uint32_t n; } list;
    struct { ast *base; ast_field *v; uint32_t n; } record;
    struct { ast *base; ast **v; uint32_t n; } index;
    struct { ast *base; ast_name name; } field;
    struct { ast *fn; ast_arg *v; uint32_t n; } call;  /* positional ones stand before named ones */
    struct { ast *a, *b; norn_span at; } bin;          /* at: the operator's own span */
    struct { ast *test, *yes, *no; } cond;
    struct { ast *value; ast_arm *v; uint32_t n; } match;
    struct { ast *body; ast_clause *v; uint32_t n; } comp;
    struct { ast *pattern, *over, *body; ast_states *states; } loop;
    struct { ast **v; uint32_t n; ast *keep; } next;   /* keep may be NULL */
    struct { ast *pattern, *value; const char *doc; } let;
    struct { ast *pattern, *dist, *via, *as; } draw;   /* via and as may be NULL; as: STR or INTERP;
                                                          without as the pattern is a name or _ */
    ast_fn *fn;
    struct { ast_fn *fn; ast_arg *v; uint32_t n; } dist;
    ast_typedef *type;
    struct { const char *module; ast_name as; } import;   /* as is always set: `import a` as a */
    ast_foreign *foreign;
    ast_ctype *ctype;
    ast *literal;
    struct { ast *con; ast **v; uint32_t n; } con;     /* con: NAME or FIELD of a NAME */
    struct { ast **v; uint32_t n; ast *rest; } plist;  /* rest: PAT_NAME or NULL */
    struct { const char *module, *name; ast_arg *v; uint32_t n; } tname;   /* module may be NULL;
                                  positional: TYPE_* or literals; named: expressions */
    struct { ast **v; uint32_t n; ast *result; } tfn;  /* result may be NULL */
  } u;
};

typedef struct ast_module {
  uint32_t file;
  const char *doc;         /* a ## block at the top with an empty line under it, or NULL */
  ast **v;                 /* statements */
  uint32_t n;
  norn_span span;
} ast_module;

static inline bool ast_is_expr(const ast *e)
{
  return e->kind >= AST_ERROR && e->kind <= AST_OBSERVE;
}
static inline bool ast_is_pattern(const ast *e)
{
  return e->kind >= AST_PAT_ANY && e->kind <= AST_PAT_RECORD;
}

const char *ast_kind_name(ast_kind);
const char *ast_binary_name(ast_binary);      /* "+" */
const char *ast_unary_name(ast_unary);        /* "-", "not", "'" */

/* The tree as an s-expression on one line; ast_print_module puts each statement on its own line. */
void ast_print(text *, const ast *);
void ast_print_module(text *, const ast_module *);
#endif
