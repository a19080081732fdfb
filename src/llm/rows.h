/* rows.h: language models as distributions: the rows token, masked, text, starts, and what the natives of
   lib_llm ask of them. */
#ifndef NORN_LLM_ROWS_H
#define NORN_LLM_ROWS_H
#include "llm/guide/guide.h"
#include "llm/handle.h"

extern const norn_dist_row lm_token_row, lm_masked_row, lm_text_row, lm_starts_row;

/* What `text` was asked for, ready to be used: a handle (see rows_text.c).  Its guides live as long as the model. */
typedef struct lm_wish {
  lm *of;                          /* held */
  lm_filter filter;
  char *stop; size_t nstop;
  int max;
  bool keep_stop;                  /* the text ends with its stop */
  lm_guide *within, *exact;        /* of the text with or without its stop; of the text alone; or NULL */
  norn_ref *always;                /* a predicate; NULL: none */
  norn_ref *asked;                 /* its arguments, for saving: see WISH_ARGS */
  uint64_t serial;                 /* 0 where there is no predicate */
  struct lm_wish *next;            /* of those that the model knows */
  void *value;                     /* its handle */
} lm_wish;
extern const norn_handle_row lm_wish_row;
enum { LM_STOP_MOST = 64 };
enum { WISH_CONTEXT, WISH_STOP, WISH_MAX, WISH_TEMPERATURE, WISH_TOP_P, WISH_TOP_K, WISH_MIN_P, WISH_MATCH, WISH_ALWAYS,
       WISH_KEEP_STOP, WISH_GRAMMAR, WISH_ARGS };
/* Of WISH_ARGS arguments.  NONE: error set. */
norn_datum lm_wish_new(norn_state *, const norn_datum *args);
static inline lm_node *lm_wish_context(const lm_wish *w)
{
  norn_view v;
  return norn_array_view(norn_get(w->asked), &v) ? norn_handle_view(v.v[WISH_CONTEXT], &lm_context_row) : NULL;
}
static inline bool lm_wish_masks(const lm_wish *w) { return w->within || w->always; }

/* A distribution of the next token, ready to be drawn from: those that have a probability, in order. */
typedef struct lm_drawn {
  lm_node *at;                     /* held */
  lm_filter filter;
  const uint64_t *mask;            /* the guide's; NULL: none */
  uint64_t serial;                 /* of the wish whose predicate it is masked by; 0: none */
  double mass;                     /* log of what the masks let through; -inf: nothing, n is 0 */
  int n;
  lm_token *token;                 /* (n) rising */
  double *logp, *below;            /* (n) log-probabilities; sums of probabilities up to and with it */
  size_t bytes;
  uint64_t used;
} lm_drawn;

/* A whole text that `ready` got of a model without LM_TOKENS, until it is asked for. */
typedef struct lm_got { const lm_wish *wish; uint64_t key; bool given; lm_said said; } lm_got;

/* What a model keeps for its rows. */
enum { LM_DRAWN_MOST = 64 };
typedef struct lm_draws {
  lm_drawn *v[LM_DRAWN_MOST];
  int n;
  uint64_t clock, serial;
  size_t bytes;
  double *scratch;                 /* (vocab.n) */
  uint64_t *mask;                  /* (vocab.n + 63) / 64 */
  lm_node **held; int nheld;       /* by ready */
  lm_got *got; int ngot;
  lm_wish *wishes;
} lm_draws;
lm_draws *lm_draws_of(lm *);       /* NULL: error set */
void lm_got_free(lm *, lm_draws *);
/* Evaluates contexts of any models, each model once: x (n) is put in order of models. */
norn_status lm_eval_all(lm_node **x, int n);
/* name(<context ...>, temperature = 0.5, ...) and what `more` adds. */
norn_status lm_show_row(norn_state *, const char *name, norn_datum context, const lm_filter *, const char *more,
                        norn_datum *out);

/* Evaluates the node where need be.  wish: masks (state: the guide's; left: tokens there may still be) or NULL.  Valid
   until the next call.  NULL: error set. */
const lm_drawn *lm_drawn_at(norn_state *, lm_node *, const lm_filter *, lm_wish *, int state, int left);
/* -inf: it is not there. */
double lm_drawn_logp(const lm_drawn *, lm_token);
lm_token lm_drawn_sample(const lm_drawn *, norn_rng *);
/* The log-probability of a token under a filter; false: error set. */
bool lm_token_logp(norn_state *, lm_node *, const lm_filter *, lm_token, double *out);

/* Of temperature, top_p, top_k, min_p in args[from ..]; false: error set. */
bool lm_want_filter(norn_state *, const norn_datum *args, int from, lm_filter *out);
/* Entropy in nats. */
double lm_drawn_entropy(const lm_drawn *);

/* Keeps the nodes (held) until it is called again for that model: what `ready` has evaluated stays. */
bool lm_keep_nodes(lm *, lm_node **, int n);

/* ---- a text, token by token (rows_text.c) ---- */

/* Where the guide begins; 0 without one. */
int  lm_wish_begin(const lm_wish *);
/* A state as programs hold it, and the state that such a number is in the context `at`: one from a checkpoint is found
   again by the text's tokens.  Below 0 they are the same.  LM_NOT_SO: it is none, or error set. */
int64_t lm_wish_shown(const lm_wish *, int state);
int  lm_wish_state(lm_wish *, const lm_node *at, int64_t shown);
/* Behind a token, `after` being the context with it (or before it, if it ends a text): the guide's
   state (0 without one); LM_ENDED: the text is complete; LM_NOT_SO: it is none that was asked for,
   or error set. */
enum { LM_ENDED = -1, LM_NOT_SO = -2 };
int  lm_wish_step(lm_wish *, const lm_node *start, const lm_node *after, int state, lm_token);
/* The text between start and end, cut off before (behind) the stop. */
bool lm_wish_text(const lm_wish *, const lm_node *start, const lm_node *end, text *out, bool with_stop);
/* Does a whole text match?  false: error set. */
bool lm_wish_matches(norn_state *, const lm_wish *, const char *, size_t n, bool *out);
/* Whether the predicate holds of a text: 1, 0; -1: error set. */
int  lm_wish_holds(norn_state *, const lm_wish *, const char *, size_t n);
#endif
