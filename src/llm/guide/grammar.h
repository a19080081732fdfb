/* grammar.h: grammars (GBNF: grammar.c) as machines over bytes.

   A grammar whose rules come back to themselves at their end only is one automaton.  Of others each rule that has to be
   called (grammar_calls.c) is a machine: an automaton whose states also call other machines and go on when these have
   ended (a recursive transition network: Woods 1970, "Transition network grammars for natural language analysis").
   The machines here read no empty text, and none calls itself, by way of others or not, before it has read a byte:
   what could be empty is passed over where it is called, and left recursion has become a loop (grammar_net.c). */
#ifndef NORN_LLM_GRAMMAR_H
#define NORN_LLM_GRAMMAR_H
#include "llm/guide/regex.h"

/* What stands behind the call, which is read once the machine has ended; -1: nothing, the caller ends there too. */
typedef struct grammar_call { int32_t machine, to; } grammar_call;
typedef struct grammar_machine {
  int32_t start;                         /* -1: it reads nothing (of the whole text only) */
  char name[40];                         /* of its rule */
  int line, column;
} grammar_machine;

/* machines 0: r is an automaton.  Else the states of all machines: r.accepts where a machine may end; of each state its
   calls.  Machines call only those of higher numbers before they have read a byte. */
typedef struct grammar {
  regex r;
  int machines, root;
  bool empty;                            /* the empty text is one of them */
  grammar_machine *machine;              /* (machines) */
  int32_t *call_at;                      /* (r.n + 1) */
  grammar_call *call; size_t ncall;
  uint64_t *first;                       /* (r.n) groups of four bytes by which a state goes on, itself or by calls */
  int32_t *bytes;                        /* (r.n) the fewest bytes to the end of the machine */
  int32_t *owner;                        /* (r.n) a machine to which the state belongs */
} grammar;

enum { GRAMMAR_FAR = INT32_MAX / 4 };    /* more bytes than this are this */

/* Of a stop, or none: as regex_until.  Errors: NORN_EDOMAIN with the place in s, NORN_ELIMIT where it is too large,
   memory.  Then *g holds nothing. */
norn_status grammar_new(norn_state *, const char *s, size_t n, const char *stop, size_t nstop, grammar *g);
void        grammar_free(grammar *);
#endif
