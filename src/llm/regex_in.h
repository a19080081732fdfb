/* regex_in.h: between the parsers of regular expressions (regex_parse.c) and grammars (grammar.c), the automaton with
   choices that is made of their trees (regex_nfa.c) and the deterministic one that is made of it (regex.c). */
#ifndef NORN_LLM_REGEX_IN_H
#define NORN_LLM_REGEX_IN_H
#include "base/base.h"
#include "llm/regex.h"

typedef struct rx_range { uint32_t lo, hi; } rx_range;           /* characters, both ends in it */
enum { RX_CHARACTERS = 0x10ffff };                               /* the last */

typedef enum { RX_SET, RX_CAT, RX_ALT, RX_REPEAT, RX_RULE } rx_kind;
/* SET: one character of n ranges in order that don't touch.  CAT, ALT: of n parts; no parts: the empty text, of CAT,
   or nothing, of ALT.  REPEAT: kid[0], least to most times (most < 0: without end).  RULE: the n-th of a grammar. */
typedef struct rx {
  rx_kind kind;
  int n, least, most;
  size_t at;                             /* of RULE, where it is named */
  struct rx **kid;
  rx_range *range;
} rx;

/* ---- parsers ---- */

enum { RX_NESTED = 200 };                /* groups in groups */

/* A rule of a grammar; is NULL: it was named, but not defined. */
typedef struct rx_rule { const char *name; size_t n, at; rx *is; } rx_rule;

typedef struct rx_parser {
  norn_state *st;
  arena *a;                              /* of the tree */
  mem *m;                                /* of arrays that grow */
  const char *s;
  size_t n, at;
  int depth;
  bool lines;                            /* a grammar: places are told by lines */
  rx_rule *rule; size_t nrule, rule_cap; /* its rules */
} rx_parser;
typedef struct rx_ranges { rx_range *v; size_t n, cap; } rx_ranges;
typedef struct rx_parts { rx **v; size_t n, cap; } rx_parts;

/* The tree, in the arena; NULL: error set. */
rx *rx_parse(rx_parser *);
rx *rx_parse_grammar(rx_parser *);       /* of the rule root */

/* What both parsers use; NULL or false: error set.  Sets the error of a place: */
void *rx_wrong(rx_parser *, size_t at, const char *hint, const char *format, ...) NORN_PRINTF(4, 5);
bool rx_is_utf8(rx_parser *);
bool rx_takes(rx_parser *, char);
uint32_t rx_character(rx_parser *);      /* the next, as it stands */
/* Digits behind \x, \u, \U that stands at `from`, `wide` of them (2, 4, 8), or in braces where that is allowed. */
bool rx_by_number(rx_parser *, size_t from, int wide, bool braces, uint32_t *code);
bool rx_braces(rx_parser *, size_t open, int *least, int *most);     /* behind a { */
bool rx_range_add(rx_parser *, rx_ranges *, uint32_t lo, uint32_t hi);
void rx_settle(rx_ranges *);             /* in order, those that touch made one */
bool rx_complement(rx_parser *, rx_ranges *);
rx  *rx_set_of(rx_parser *, rx_ranges *, bool ok);                  /* gives up the ranges */
rx  *rx_node(rx_parser *, rx_kind, int n);
rx  *rx_repeat(rx_parser *, rx *kid, int least, int most);
bool rx_part_add(rx_parser *, rx_parts *, rx *);
rx  *rx_node_of(rx_parser *, rx_kind, rx_parts *, bool ok);         /* gives up the parts */

/* An automaton with choices (Thompson 1968): BYTE reads one of lo..hi and goes to `to`; SPLIT goes to both; MATCH is
   the end of the expression (to: 0) or of the stop behind it (1). */
typedef enum { RX_BYTE, RX_SPLIT, RX_MATCH } rx_op;
typedef struct rx_step { uint8_t op, lo, hi; int32_t to, or; } rx_step;
typedef struct rx_nfa { mem *m; rx_step *v; size_t n, cap; int start; } rx_nfa;
/* nstop 0: no stop.  false: error set. */
bool rx_nfa_new(rx_parser *, const rx *, const char *stop, size_t nstop, rx_nfa *);
void rx_nfa_free(rx_nfa *);

/* Memory of the state as a mem. */
mem rx_mem(norn_state *);
norn_status rx_no_memory(norn_state *);
#endif
