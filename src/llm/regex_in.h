/* regex_in.h: between the parser of regular expressions (regex_parse.c), the automaton with choices that is made of
   their trees (regex_nfa.c) and the deterministic one that is made of it (regex.c). */
#ifndef NORN_LLM_REGEX_IN_H
#define NORN_LLM_REGEX_IN_H
#include "base/base.h"
#include "llm/regex.h"

typedef struct rx_range { uint32_t lo, hi; } rx_range;           /* characters, both ends in it */
enum { RX_CHARACTERS = 0x10ffff };                               /* the last */

typedef enum { RX_SET, RX_CAT, RX_ALT, RX_REPEAT } rx_kind;
/* SET: one character of n ranges in order that don't touch.  CAT, ALT: of n parts; no parts: the empty text, of CAT,
   or nothing, of ALT.  REPEAT: kid[0], least to most times (most < 0: without end). */
typedef struct rx {
  rx_kind kind;
  int n, least, most;
  struct rx **kid;
  rx_range *range;
} rx;

/* The tree, in the arena; NULL: error set. */
rx *rx_parse(norn_state *, arena *, const char *s, size_t n);

/* An automaton with choices (Thompson 1968): BYTE reads one of lo..hi and goes to `to`; SPLIT goes to both; MATCH is
   the end of the expression (to: 0) or of the stop behind it (1). */
typedef enum { RX_BYTE, RX_SPLIT, RX_MATCH } rx_op;
typedef struct rx_step { uint8_t op, lo, hi; int32_t to, or; } rx_step;
typedef struct rx_nfa { mem *m; rx_step *v; size_t n, cap; int start; } rx_nfa;
/* nstop 0: no stop.  false: error set. */
bool rx_nfa_new(norn_state *, mem *, const rx *, const char *stop, size_t nstop, rx_nfa *);
void rx_nfa_free(rx_nfa *);

/* Memory of the state as a mem. */
mem rx_mem(norn_state *);
norn_status rx_no_memory(norn_state *);
#endif
