/* regex_in.h: between the parsers of regular expressions (regex_parse.c) and grammars (grammar.c), the automaton with
   choices that is made of their trees (regex_nfa.c) and the deterministic one that is made of it (regex.c). */
#ifndef NORN_LLM_REGEX_IN_H
#define NORN_LLM_REGEX_IN_H
#include "base/base.h"
#include "llm/guide/grammar.h"

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

/* A rule of a grammar; is NULL: it was named, but not defined.  called, by rx_find_calls: machine called - 1 of an
   automaton; 0: it stands where it is named. */
typedef struct rx_rule { const char *name; size_t n, at; rx *is; int called; } rx_rule;

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
/* Numbers the rules that come back to themselves with something behind, and those that take more than `wide` steps and
   are named more than once (grammar_calls.c): how many; -1: error set. */
int rx_find_calls(rx_parser *, const rx *root, int wide);
/* Parts of a graph whose members reach one another (Tarjan 1972), numbered so that edges lead to lower ones or stay:
   part (n); how many.  Edges of k: to[at[k]..at[k + 1]).  room (5 n). */
int rx_components(int n, const int32_t *at, const int32_t *to, int32_t *part, int32_t *room);

/* What both parsers use; NULL or false: error set.  Sets the error of a place: */
void *rx_wrong(rx_parser *, size_t at, const char *hint, const char *format, ...) NORN_PRINTF(4, 5);
int  rx_line(const rx_parser *, size_t at);
int  rx_column(const rx_parser *, size_t at);
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
   the end of the expression (to: 0), of the stop behind it (1), or of a machine (2); CALL reads what machine `or` reads
   and goes to `to`. */
typedef enum { RX_BYTE, RX_SPLIT, RX_MATCH, RX_CALL } rx_op;
enum { RX_WHOLE, RX_STOP, RX_RETURN };   /* of MATCH */
typedef struct rx_step { uint8_t op, lo, hi; int32_t to, or; } rx_step;
/* Machines are the called rules of a grammar. */
typedef struct rx_nfa { mem *m; rx_step *v; size_t n, cap; int start; int32_t *machine; int machines; } rx_nfa;
/* nstop 0: no stop.  false: error set. */
bool rx_nfa_new(rx_parser *, const rx *, const char *stop, size_t nstop, rx_nfa *);
void rx_nfa_free(rx_nfa *);

/* The machines of an automaton that calls some (grammar_net.c).  false: error set, *g to be freed. */
bool grammar_net_new(rx_parser *, const rx_nfa *, const char *stop, size_t nstop, grammar *);
/* Bytes between which no step distinguishes are one class. */
void rx_classes(const rx_nfa *, regex *);
/* r without its dead states (transitions to them go), then as small as it can be: *out.  r->classes may be more than
   those of bytes.  false: error set. */
bool rx_smallest(norn_state *, mem *, regex *r, regex *out);
/* The smallest automaton of steps without calls.  false: error set, *out to be freed. */
bool rx_determined(norn_state *, mem *, const rx_nfa *, const char *stop, size_t nstop, regex *out);
/* How much of a stop a text ends in that ended in k bytes of it, after a byte more; falls (nstop): of each beginning of
   the stop, how much of it the longest that also ends it has (rx_find_falls). */
size_t rx_of_stop(const char *stop, const uint32_t *falls, size_t k, int byte);
void rx_find_falls(const char *stop, size_t n, uint32_t *falls);
/* Memory of the state as a mem. */
mem rx_mem(norn_state *);
norn_status rx_no_memory(norn_state *);
#endif
