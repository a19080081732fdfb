/* llm.h: language models as the rest of Norn sees them.

       lm        an opened model: its vocabulary, what it can do, its back end
       lm_node   a context: the model and all that stands before, as a node of the model's trie.  Equal contexts
                 are one node, so they are evaluated once, compare equal, and extending one by a token is O(1)
       lm_row    a back end: a table of functions, found by the scheme of a URI (builtin, ngram, hmm, sim, http)

   Three levels, by what a back end can do (lm->can):

       LM_TOKENS   the whole distribution of the next token: contexts are made of tokens
       LM_SCORES   the log-probability of a given text
       LM_SAMPLES  text up to a stop

   A model with LM_TOKENS needs no other: text.c draws and scores texts by tokens, exactly.  Others have texts and
   scores of their own, and their contexts are made of pieces of text (or messages).  What a model can't do is an
   error that names the level, at the line that asked.

   Norn samples, back ends evaluate: lm_eval gives nodes their log-probabilities, many at once, and keeps them
   there while memory allows; who wants them for n contexts asks for all n in one call (norn_dist_row's `ready`).
   Everything here belongs to one state and is called in its thread. */
#ifndef NORN_LLM_H
#define NORN_LLM_H
#include "base/base.h"
#include "norn.h"

typedef int32_t lm_token;
typedef struct lm lm;
typedef struct lm_node lm_node;
typedef struct lm_tokens { lm_token *v; int n, cap; } lm_tokens;

enum { LM_TOKENS = 1, LM_SCORES = 2, LM_SAMPLES = 4 };

/* What a token is: TEXT has bytes; CONTROL has none that text is made of (begin, roles of a chat); END ends a text;
   UNUSED is never drawn. */
enum { LM_TEXT, LM_CONTROL, LM_END, LM_UNUSED };

typedef struct lm_vocab {
  int n;
  const uint32_t *at;      /* (n + 1) */
  const uint8_t *bytes;    /* of token i: [at[i], at[i + 1]); of CONTROL and END: the name, as "<|im_end|>" */
  const uint8_t *kind;     /* (n) */
  lm_token begin, end;     /* -1: none; there may be more tokens of kind END */
} lm_vocab;

/* ---- contexts ---- */

struct lm_node {
  lm *of;
  lm_node *parent;         /* held; NULL: the root */
  lm_node *chain;          /* of the trie's table */
  lm_token token;          /* -1 of the root, and where `text` is the edge */
  uint32_t depth;          /* edges from the root */
  uint32_t refs;           /* children, and who holds it */
  const char *text; size_t ntext;    /* the edge of models without LM_TOKENS; 0-terminated */
  float *logp;             /* (vocab.n) of the next token, natural, normalised; NULL: not evaluated, or forgotten */
  lm_node *newer, *older;  /* in order of use, of those that have logp: the cache holds them */
  bool wanted;             /* lm_eval's */
  void *state;             /* the back end's (keys and values); its `forget` gives it back */
  void *value;             /* the handle that stands for it, while there is one (seam of lib_llm) */
};

/* The child by a token, made if need be and held for the caller (and so is its model).  NULL: error set. */
lm_node *lm_extend(lm_node *, lm_token);
/* The same by a piece of text: for models with LM_TOKENS by its tokens (canonical tokenisation of the piece alone). */
lm_node *lm_extend_text(lm_node *, const char *, size_t n);
/* The context with which a text begins: the root, the begin token where the model wants one, and n bytes. */
lm_node *lm_start(lm *, const char *, size_t n);
void     lm_hold(lm_node *);
void     lm_drop(lm_node *);
/* The same for what its model keeps: these do not hold the model. */
void     lm_node_keep(lm_node *);
void     lm_node_let_go(lm_node *);
/* The tokens from the root, depth of them, oldest first. */
void     lm_tokens_of(const lm_node *, lm_token *out);
/* The bytes from the root: of TEXT tokens, or of pieces (without the two that mark a back end's own, as messages: 255
   and another).  false: no memory, error set. */
bool     lm_text_of(const lm_node *, text *out);
/* The same of what stands behind `from`, an ancestor. */
bool     lm_text_between(const lm_node *from, const lm_node *to, text *out);
/* The bytes of a token: none but of TEXT. */
const char *lm_bytes(const lm *, lm_token, size_t *n);
/* Those of a node's edge. */
const char *lm_edge(const lm_node *, size_t *n);
/* Evaluates those of n nodes that are not: each gets logp.  They may be one another's ancestors,
   and the same node may come twice.  A context that is longer than the model's window is an error.
   What was evaluated stays valid until the next call of lm_eval: afterwards, the least recently
   used are forgotten where memory is short. */
norn_status lm_eval(lm *, lm_node *const *, int n);

/* ---- back ends ---- */

/* One text wanted, or to be scored, of a model without LM_TOKENS. */
typedef struct lm_ask {
  lm_node *at;
  const char *stop; size_t nstop;       /* empty: only the model's own end */
  int max;                              /* tokens */
  double temperature, top_p;            /* 1, 1: the model's distribution */
  const char *given; size_t ngiven;     /* to be scored; NULL: to be drawn */
  uint64_t seed;                        /* of a draw: the draw's index in the cache */
} lm_ask;
/* text, tokens: from the state's memory (lm_said_free). */
typedef struct lm_said {
  char *text; size_t n;
  bool stopped;                         /* by the stop or the model's end, not by max */
  bool scored; double logp;             /* of the whole text and its stop */
  int64_t tokens;                       /* that the server counted */
} lm_said;
void lm_said_free(norn_state *, lm_said *);

/* What an opened model has done, for ledgers: contexts evaluated, tokens computed by the back end (prefill too),
   texts asked for, tokens of prompts and of answers as counted by a server, answers from the cache. */
typedef struct lm_ledger {
  uint64_t evaluated, computed, texts, prompt_tokens, answer_tokens, cached;
  double flops;
} lm_ledger;

typedef struct lm_row {
  const char *scheme;                   /* "ngram" of "ngram:FILE" */
  const char *doc;                      /* one paragraph for man and `norn doc llm`: what follows the scheme */
  const char *const *options;           /* the names of all options that `open` reads, ended by NULL; NULL: none */
  size_t size;                          /* of what begins with an lm */
  /* `rest` is what follows "scheme:"; options: the record that llm(uri, ...) was given, or NONE.  Fills vocab, can,
     window, name. */
  norn_status (*open)(lm *, const char *rest, norn_datum options);
  void (*close)(lm *);
  /* Canonical tokenisation of n bytes alone: no begin token, no space put in front. Appends to *out (lm_tokens_add).
     NULL: the longest token of the vocabulary first. */
  norn_status (*encode)(lm *, const char *, size_t n, lm_tokens *out);
  /* The same of a text with which a context begins, with what the model's file puts in front of it (a space).  NULL: as
     encode. */
  norn_status (*encode_start)(lm *, const char *, size_t n, lm_tokens *out);
  /* LM_TOKENS: sets node->logp (lm_node_room) of each; none is evaluated yet, none comes twice, ancestors may lack
     `state`. */
  norn_status (*eval)(lm *, lm_node *const *, int n);
  void (*forget)(lm *, lm_node *);      /* the node goes; may be NULL */
  /* LM_SAMPLES, LM_SCORES: n texts drawn or scored (all of one kind) at once. */
  norn_status (*texts)(lm *, int n, const lm_ask *, lm_said *);
  /* The context of a chat: messages (an array of records role, content) to a text by the model's template (*out;
     special tokens by their names), or the context itself (*node, held).  NULL: the model has no chat. */
  norn_status (*chat)(lm *, norn_datum messages, text *out, lm_node **node);
} lm_row;

struct lm {
  norn_state *st;
  const lm_row *row;
  char *uri;                            /* as it was opened, for saving */
  char name[128];                       /* "tiny (gpt2, 0.8M parameters, q8_0)" */
  unsigned can;
  lm_vocab vocab;
  int window;                           /* longest context in tokens; 0: no limit */
  bool add_begin;                       /* lm.context() starts with vocab.begin */
  lm_node *root;
  mem *m;                               /* the state's, counted: for everything here */
  lm_node **table; size_t ctable, nnodes;      /* context.c: nodes by parent and edge */
  lm_node *newest, *oldest;             /* those with logp, in order of use */
  size_t kept, keep;                    /* bytes of logp there are; may stay between two calls of lm_eval */
  const char *device, *device_why;      /* "cpu" or "gpu", and "" or why not the GPU; NULL: the row has no choice */
  lm_ledger ledger;
  uint64_t options;                     /* hash of the options */
  struct lm_guides *guides;             /* guide.c's; NULL: none yet */
  struct lm_draws *draws;               /* rows.c's; NULL: none yet */
  void *value;                          /* the handle that stands for it, while there is one */
  norn_ref *given;                      /* the options, for saving; NULL: none */
  lm *next;                             /* of the state's models */
  uint32_t refs;                        /* holds of the model, and of its nodes */
};

/* "builtin:tiny", "http://host/v1#model", ... opened; held once.  A second time with equal options
   gives the same.  NULL: error set. */
lm  *lm_open(norn_state *, const char *uri, norn_datum options);
/* A model of a row that need not be among lm_rows, not opened yet, held once.  NULL: error set. */
lm  *lm_new(norn_state *, const lm_row *, const char *uri);
void lm_close(lm *);                    /* drops a hold */
void lm_draws_free(lm *);               /* rows.c: what it keeps for distributions */
void lm_nodes_free(lm *);               /* context.c: all of them, for open.c */
/* The memory of the state's models (text_init, mem_get): counted by the state.  NULL: error set. */
mem *lm_mem(norn_state *);
/* "out of memory", for who returns a status. */
norn_status lm_no_memory(norn_state *);
/* The rows that there are, ended by NULL (open.c). */
extern const lm_row *const lm_rows[];
extern const lm_row lm_builtin, lm_ngram, lm_hmm, lm_sim, lm_switch;

bool lm_tokens_add(norn_state *, lm_tokens *, lm_token);
void lm_tokens_free(norn_state *, lm_tokens *);
norn_status lm_encode(lm *, const char *, size_t n, lm_tokens *out);
/* Room for a node's log-probabilities, for `eval`: node->logp; NULL: error set. */
float *lm_node_room(lm_node *);

/* ---- tokens drawn ---- */

/* temperature 1, top_p 1, top_k 0, min_p 0: the model's own distribution.  Order: temperature, then top_k, top_p, min_p
   cut what is left; then it is normalised.  temperature 0: all on the likeliest (the lowest of equals). */
typedef struct lm_filter { double temperature, top_p, min_p; int top_k; } lm_filter;
/* out (n): log-probabilities of the truncated, tempered, masked distribution; those not in it
   -infinity.  mask: bit i of word i / 64; NULL: all.  kind UNUSED and CONTROL tokens are kept as
   the model has them.  Gives the log of what the mask let through (0 without one; -infinity:
   nothing, then out is all -infinity). */
double lm_filtered(const lm *, const float *logp, const lm_filter *, const uint64_t *mask, double *out);
#endif
