/* parse: text to the tree of a module (ast.h).

   The grammar, where `x, ...` is a list with an optional comma at its end, and `end` is a line end
   or `;`:

     module    (statement end)*
     statement let | fn | model | distribution | type | import | expr
     let       "let" pattern "=" expr
             | "let" pattern "~" expr ["via" expr] ["as" string]
     fn        "fn" name "(" param, ... ")" ["->" type] ("=" expr | block)
     model     "model" name "(" param, ... ")" ("=" expr | block)
     param     name [":" type] ["=" expr]
     distribution  "distribution" name "(" param, ... ")" "{" (name "=" expr end)* "}"
     type-def  "type" Name "=" ["|"] Name ["(" (name [":" type]), ... ")"] ("|" ...)*
     import    "import" name ["as" name] | "import" string "as" name
     block     "{" (statement end)* "}"

     expr      name "->" expr | "(" param, ... ")" "->" expr
             | "observe" expr "~" expr | "next" expr, ... ["keep" expr]
             | operators over postfix, loosest first:
               |>   or   and   not   == != < <= > >=   ..   ++   + -   * / // % @   -x   ^
     postfix   primary ( "(" arg, ... ")" | "[" index, ... "]" | "'" | "." name )*
     arg       expr | name "=" expr                       the named ones last
     index     expr | [expr] ".." [expr]
     primary   number | string | "true" | "false" | "missing" | "(" ")" | name | "(" expr ")"
             | "[" expr, ... "]" | "[" expr ("for" pattern "in" expr | "if" expr)+ "]"
             | "{" (key ":" expr), ... "}" | "{" expr "with" (key ":" expr), ... "}" | block
             | "if" expr block ["else" (block | if)]
             | "match" expr "{" (pattern ["if" expr] "->" expr (","|end))* "}"
             | "for" pattern "in" expr ["with" (name "=" expr), ...] block
     pattern   "_" | name | literal | Name ["(" pattern, ... ")"] | name "." Name ...
             | "[" pattern, ... [".." [name]] "]" | "{" (key [":" pattern]), ... "}"
             | "(" pattern ")"
     type      name ["." name] ["(" (type | literal | name "=" expr), ... ")"]
             | "fn" ["(" type, ... ")" ["->" type]]

   model, distribution, type and import are keywords only where a name follows on the line; via, as
   and keep only in their places; after a dot and as keys, any keyword is a name. */
#ifndef NORN_PARSE_H
#define NORN_PARSE_H
#include "lang/parse/ast.h"

#define PARSE_NEST_MAX 500    /* brackets, lambdas, prefix operators ... inside each other */
#define PARSE_ERRORS_MAX 20   /* then the rest stays unread */

typedef enum {
  PARSE_OK,
  PARSE_MORE,    /* the text is right so far but ends too early (the diagnostic says where) */
  PARSE_ERROR
} parse_status;

/* Parses a source.  The tree and its texts live in the arena.  *out is NULL only when memory ran
   out (then diags.failed is set); after other errors it has ERROR nodes where the text was wrong,
   so that names can still be checked.  Diagnostics stand in the order of their places. */
parse_status parse_module(arena *, diags *, const sources *, uint32_t file, ast_module **out);
#endif
