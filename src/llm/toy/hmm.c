/* hmm.c: hidden Markov models as language models, whose every probability is a sum that can be written down.

   In state k a text ends with probability end[k]; else token t comes with probability emit[k, t], and the state
   becomes j with probability move[k, j].  With a[k] the probability of state k given the tokens so far,

       p(end | tokens) = sum_k a[k] end[k]         p(t | tokens) = sum_k a[k] (1 - end[k]) emit[k, t]
       a'[j] ~ sum_k a[k] (1 - end[k]) emit[k, t] move[k, j]

   (Rabiner 1989, "A tutorial on hidden Markov models", eq. 18 to 20).  A node keeps a as its state. */
#include "llm/toy/toy.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct hmm {
  lm lm;
  toy_vocab vocab;
  int states, tokens;
  double *all; size_t nall;
  double *start, *end, *emit, *move;   /* (states), (states), (states, tokens), (states, states) */
} hmm;

static norn_status failed(lm *x) { return norn_error(x->st)->code ? norn_error(x->st)->code : NORN_EIO; }

static norn_status hmm_open(lm *x, const char *rest, norn_datum options)
{
  hmm *h = (hmm *)x;
  x->can = LM_TOKENS;
  norn_datum table = toy_table(x, rest, options);
  if (norn_is_none(table) || !toy_vocab_strings(x, &h->vocab, norn_record_get(x->st, table, "tokens")))
    return failed(x);
  x->vocab = h->vocab.v;
  int64_t k = norn_array_length(norn_record_get(x->st, table, "start"));
  if (k < 1 || k > 10000)
    return norn_fail(x->st, NORN_EIO, 0, "the table of hmm: needs start, the probabilities of the states at the begin");
  h->states = (int)k;
  h->tokens = x->vocab.n - 1;
  h->nall = (size_t)k * (size_t)(2 + h->tokens + k);
  h->all = mem_zero(x->m, h->nall * sizeof *h->all);
  if (!h->all) return lm_no_memory(x->st);
  h->start = h->all;
  h->end = h->start + k;
  h->emit = h->end + k;
  h->move = h->emit + k * h->tokens;
  if (!toy_probabilities(x, table, "start", 1, h->states, true, h->start) ||
      !toy_probabilities(x, table, "end", 1, h->states, false, h->end) ||
      !toy_probabilities(x, table, "emit", h->states, h->tokens, true, h->emit) ||
      !toy_probabilities(x, table, "move", h->states, h->states, true, h->move))
    return failed(x);
  snprintf(x->name, sizeof x->name, "hmm of %d states, %d tokens", h->states, x->vocab.n);
  return NORN_OK;
}

static void hmm_close(lm *x)
{
  hmm *h = (hmm *)x;
  toy_vocab_free(x, &h->vocab);
  if (h->all) mem_put(x->m, h->all, h->nall * sizeof *h->all);
}

static void hmm_forget(lm *x, lm_node *n)
{
  if (n->state) mem_put(x->m, n->state, (size_t)((hmm *)x)->states * sizeof(double));
  n->state = NULL;
}

/* Of a node whose parent has one. */
static bool filter(hmm *h, lm_node *n)
{
  int k = h->states;
  double *a = mem_zero(h->lm.m, (size_t)k * sizeof *a), sum = 0;
  if (!a) return !lm_no_memory(h->lm.st);
  n->state = a;
  if (!n->parent) {
    memcpy(a, h->start, (size_t)k * sizeof *a);
    return true;
  }
  const double *b = n->parent->state;
  for (int i = 0; i < k; i++) {
    double w = n->token < h->tokens ? b[i] * (1 - h->end[i]) * h->emit[i * h->tokens + n->token] : b[i] * h->end[i];
    sum += w;
    for (int j = 0; j < k; j++) a[j] += w * h->move[i * k + j];
  }
  for (int j = 0; sum > 0 && j < k; j++) a[j] /= sum;      /* an impossible context: all stays 0 */
  return true;
}

/* Of a node and, before it, of those above it that lack one. */
static bool filtered(hmm *h, lm_node *n)
{
  while (!n->state) {
    lm_node *top = n;
    while (top->parent && !top->parent->state) top = top->parent;
    if (!filter(h, top)) return false;
  }
  return true;
}

static norn_status hmm_eval(lm *x, lm_node *const *node, int n)
{
  hmm *h = (hmm *)x;
  for (int i = 0; i < n; i++) {
    float *to = lm_node_room(node[i]);
    if (!to || !filtered(h, node[i])) return NORN_EMEMORY;
    const double *a = node[i]->state;
    double end = 0;
    for (int t = 0; t < h->tokens; t++) {
      double p = 0;
      for (int k = 0; k < h->states; k++) p += a[k] * (1 - h->end[k]) * h->emit[k * h->tokens + t];
      to[t] = (float)log(p);
    }
    for (int k = 0; k < h->states; k++) end += a[k] * h->end[k];
    to[h->tokens] = (float)log(end);
  }
  x->ledger.computed += (uint64_t)n;
  return NORN_OK;
}

static const char *const options_of[] = { "table", NULL };
const lm_row lm_hmm = {
  .scheme = "hmm",
  .doc = "hmm:FILE.json is a hidden Markov model over tokens: {\"tokens\": [...], \"start\": "
         "[...], \"end\": [...], \"emit\": [[...]], \"move\": [[...]]}, with the probabilities of "
         "each state at the begin, of the text's end in it, of each token, and of the next state. "
         "Without a file: table = {...}.",
  .options = options_of,
  .size = sizeof(hmm),
  .open = hmm_open,
  .close = hmm_close,
  .eval = hmm_eval,
  .forget = hmm_forget
};
