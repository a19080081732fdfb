/* handle.h: models and contexts as values of Norn. */
#ifndef NORN_LLM_HANDLE_H
#define NORN_LLM_HANDLE_H
#include "llm/llm.h"

extern const norn_handle_row lm_model_row, lm_context_row;

/* The value that stands for it, the same while there is one.  lm_give_model takes over the caller's
   hold, lm_give_context that of the node.  NONE: error set, and the hold is gone. */
norn_datum lm_give_model(lm *);
norn_datum lm_give_context(lm_node *);
/* NULL: it is none; no error. */
lm      *lm_of(norn_datum);
lm_node *lm_node_of(norn_datum);
/* Argument i, borrowed; NULL: error set. */
lm      *lm_want_model(norn_state *, const norn_datum *args, int i);
lm_node *lm_want_context(norn_state *, const norn_datum *args, int i);

/* Bytes as a string: each part that is no UTF-8 (a character cut off at the end, say) is one U+FFFD. */
norn_datum lm_string(norn_state *, const char *, size_t n);
/* The code of the error that is set. */
norn_status lm_failed(norn_state *);
/* Fails unless m can do one of `levels`; who: "ctx.token()". */
norn_status lm_want_level(norn_state *, const lm *, unsigned levels, const char *who);
#endif
