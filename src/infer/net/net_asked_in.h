/* net_asked_in.h: what the files that ask nets share (net_propose.c, net_said.c, net_answers.c). */
#ifndef NORN_INFER_NET_ASKED_IN_H
#define NORN_INFER_NET_ASKED_IN_H
#include "infer/net/net_answer.h"

/* ---- net_said.c: questions and their answers ---- */

typedef struct net_said {
  int n;
  uint64_t *key; size_t ckey;          /* (n) hashes */
  int32_t *row; size_t crow;           /* (n, wide) the tokens of the questions */
  float *coef; size_t ccoef;
  size_t *at; size_t cat;              /* (n) where in z the answers begin */
  float *z; size_t nz, cz;
  int32_t *table; size_t size;         /* of places + 1 by hash; a power of two */
} net_said;
void net_said_free(norn_state *, net_said *);
/* The question of token row, coef (wide), whose answer has width numbers; *fresh: it is new, and has no answer yet.
   -1: error set. */
int  net_said_find(norn_state *, net_said *, const int32_t *row, const float *coef, int wide, int width, bool *fresh);

struct net_asked {
  norn_state *st;
  const net *net;
  int n, most;                         /* runs; tokens of each that are remembered */
  nn_memory *memory;
  nn_room *room;
  /* The first run. */
  net_runs seen;
  int missing, choices;                /* how many missing observations, other choices it met */
  char refusal[240];
  /* (n): coordinates so far; whether the last one's token has not been remembered yet, and that token. */
  int32_t *order;
  bool *pending, *full;
  int32_t *row; float *coef;           /* (n, wide) */
  /* Of the choices that are asked for. */
  net_runs asked;
  net_event *event;
  norn_rng *rng;                       /* the net's numbers */
  bool *known, *never;                 /* never: q is 0 there */
  double *slope;
  nn_tokens tk; size_t ctokens;        /* arrays for so many tokens */
  int32_t *of, *batch, *first;         /* (n): choices of a round, and their runs; (heads + 1) */
  int32_t *place;                      /* (n): of a pfn, the places in said of the choices' questions */
  float *z; size_t cz;
  int noted;                           /* questions of net_asked_note: their tokens */
  int32_t *nrow; size_t cnrow;
  float *ncoef; size_t cncoef;
  /* Of net_asked_look: its first run notes what is missing. */
  bool looks;
  net_reply *reply; size_t creply;
  /* Of a pfn: questions that were answered.  A question sees the context alone, so the same one has the same answer,
     whoever asks. */
  net_said said;
};

static inline int32_t *row_of(const nn_tokens *tk, int i) { return tk->row + (size_t)i * (size_t)tk->j; }
static inline float *coef_of(const nn_tokens *tk, int i) { return tk->coef + (size_t)i * (size_t)tk->j; }
/* Token i of a batch is nothing. */
static inline void pad(nn_tokens *tk, int i)
{
  for (int j = 0; j < tk->j; j++) row_of(tk, i)[j] = -1;
  tk->order[i] = NN_UNSEEN;
  tk->see[i] = 0;
}

/* ---- net_propose.c ---- */

/* Of a pfn: what a first run of the prior shows, and its questions, noted with their replies (a->reply); nothing is
   computed.  NULL: error set. */
net_asked *net_asked_look(norn_state *, const net *, norn_datum model, uint64_t stream);
/* Tokens of the context; and puts them from token `at` of a batch on. */
int        net_asked_context(const net_asked *);
void       net_asked_lay(const net_asked *, nn_tokens *, int at);
#endif
