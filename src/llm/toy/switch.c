/* switch.c: one language model made of two that have the same vocabulary (Simonds 2025, "Entropy adaptive decoding:
   dynamic model switching for efficient inference").  The small one reads every context.  Where the mean entropy of
   its next token over the last `window` contexts of a text is above the threshold, the large one says what comes next,
   else the small one does:

       p(t | c) = p_large(t | c)  if  mean of H(p_small(. | c')) over the last c' > threshold,  else  p_small(t | c)

   A model stays for at least `least` tokens once it has come.  This is a function of the context alone, so the mixed
   model has densities, contexts and a trie as any other, and a context that the large model need not see costs it
   nothing.  Entropies are natural ones (the paper's are in bits: 1 bit is 0.693). */
#include "llm/handle.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WINDOW_MOST = 1 << 16, AT_ONCE = 256 };
typedef struct mixed { lm lm, *small, *large; int64_t window, least; double threshold; } mixed;

/* Of a node: the same context in both models; the entropy of the small one's next token, nan: not known yet; which one
   speaks, and for how many tokens by now (only where `least` is above 1). */
typedef struct twins { lm_node *small, *large; double entropy; bool decided, big; int64_t since; } twins;

/* ---- opening ---- */

static lm *part(lm *x, norn_datum options, const char *name)
{
  norn_datum v = norn_is_none(options) ? options : norn_record_get(x->st, options, name);
  lm *m = norn_is_none(v) ? NULL : lm_of(v);
  char buf[120];
  if (!m) {
    norn_fail(x->st, NORN_ETYPE, 0, "%s of switch: must be a language model, got %s", name,
              norn_is_none(v) ? "nothing" : norn_describe(x->st, v, buf, sizeof buf));
    norn_hint(x->st, "its.entropy_switch(llm(\"builtin:tiny\"), llm(\"builtin:large.gguf\"))");
  } else if (!(m->can & LM_TOKENS)) {
    norn_fail(x->st, NORN_EUSE, 0, "%s of switch:, %s, does not give the probabilities of tokens", name, m->name);
    m = NULL;
  }
  return m;
}

static bool same_vocabulary(const lm *a, const lm *b)
{
  const lm_vocab *v = &a->vocab, *w = &b->vocab;
  return v->n == w->n && v->begin == w->begin && v->end == w->end && a->add_begin == b->add_begin
         && memcmp(v->at, w->at, ((size_t)v->n + 1) * sizeof *v->at) == 0
         && memcmp(v->bytes, w->bytes, v->at[v->n]) == 0 && memcmp(v->kind, w->kind, (size_t)v->n) == 0;
}

static bool whole(lm *x, norn_datum options, const char *name, int64_t *out)
{
  norn_datum v = norn_record_get(x->st, options, name);
  if (norn_is_none(v)) return true;
  if (v.tag == NORN_INT && v.i >= 1 && v.i <= WINDOW_MOST) {
    *out = v.i;
    return true;
  }
  norn_fail(x->st, NORN_EDOMAIN, 0, "%s of switch: must be an integer from 1 to %d, got %s", name, WINDOW_MOST,
            norn_show(x->st, v, true, 60));
  return false;
}

static norn_status switch_open(lm *x, const char *rest, norn_datum options)
{
  mixed *m = (mixed *)x;
  if (*rest) return norn_fail(x->st, NORN_EDOMAIN, 0, "nothing may follow switch:, got %.40s", rest);
  lm *small = part(x, options, "small"), *large = small ? part(x, options, "large") : NULL;
  if (!large) return norn_error(x->st)->code;
  if (!same_vocabulary(small, large))
    return norn_fail(x->st, NORN_EUSE, 0,
                     "the two models of switch: must have the same vocabulary; %s has %d tokens, %s %d",
                     small->name, small->vocab.n, large->name, large->vocab.n);
  norn_datum tau = norn_record_get(x->st, options, "threshold");
  m->window = 5;
  m->least = 1;
  m->threshold = .5;
  if (!whole(x, options, "window", &m->window) || !whole(x, options, "least", &m->least)) return NORN_EDOMAIN;
  if (!norn_is_none(tau) && (!norn_as_real(tau, &m->threshold) || isnan(m->threshold)))
    return norn_fail(x->st, NORN_EDOMAIN, 0, "threshold of switch: must be a number, got %s",
                     norn_show(x->st, tau, true, 60));
  (m->small = small)->refs++;
  (m->large = large)->refs++;
  x->can = LM_TOKENS;
  x->vocab = small->vocab;
  x->add_begin = small->add_begin;
  x->window = !small->window || (large->window && large->window < small->window) ? large->window : small->window;
  snprintf(x->name, sizeof x->name, "%.50s, at need %.50s", small->name, large->name);
  return NORN_OK;
}

static void switch_close(lm *x)
{
  mixed *m = (mixed *)x;
  if (m->small) lm_close(m->small);
  if (m->large) lm_close(m->large);
}

static norn_status switch_encode(lm *x, const char *s, size_t n, lm_tokens *out)
{
  return lm_encode(((mixed *)x)->small, s, n, out);
}

static void switch_forget(lm *x, lm_node *n)
{
  twins *t = n->state;
  if (!t) return;
  if (t->small) lm_drop(t->small);
  if (t->large) lm_drop(t->large);
  mem_put(x->m, t, sizeof *t);
  n->state = NULL;
}

/* ---- contexts in both models ---- */

/* Of a node whose parent has its twins. */
static bool twins_of(mixed *m, lm_node *n)
{
  const twins *before = n->parent ? n->parent->state : NULL;
  twins *t = mem_zero(m->lm.m, sizeof *t);
  if (!t) return !lm_no_memory(m->lm.st);
  n->state = t;
  t->entropy = NAN;
  if (before) {
    t->small = lm_extend(before->small, n->token);
    t->large = t->small ? lm_extend(before->large, n->token) : NULL;
  } else {
    lm_hold(t->small = m->small->root);
    lm_hold(t->large = m->large->root);
  }
  if (t->large) return true;
  switch_forget(&m->lm, n);
  return false;
}

static bool has_twins(mixed *m, lm_node *n)
{
  while (!n->state) {
    lm_node *top = n;
    while (top->parent && !top->parent->state) top = top->parent;
    if (!twins_of(m, top)) return false;
  }
  return true;
}

static double entropy_of(const float *logp, int n)
{
  double h = 0;
  for (int i = 0; i < n; i++) if (logp[i] > -INFINITY) h -= exp(logp[i]) * logp[i];
  return h;
}

/* The entropies of count nodes by the small model, asked for together. */
static norn_status entropies(mixed *m, lm_node **node, int count)
{
  lm_node *ask[AT_ONCE] = { NULL };
  for (int i = 0; i < count; i++) ask[i] = ((twins *)node[i]->state)->small;
  norn_status s = count ? lm_eval(m->small, ask, count) : NORN_OK;
  for (int i = 0; i < count; i++) {
    twins *t = node[i]->state;
    t->entropy = s ? NAN : entropy_of(t->small->logp, m->lm.vocab.n);
  }
  return s;
}

/* The entropies that the decision at n needs: of the window, or of all before where the past decides too.  One that is
   waiting in `want` has the entropy -1. */
static norn_status want_entropies(mixed *m, lm_node *n, lm_node **want, int *count)
{
  int64_t left = m->least > 1 ? INT64_MAX : m->window;
  norn_status s = NORN_OK;
  for (; n && left-- && !s; n = n->parent) {
    twins *t = n->state;
    if (m->least > 1 && t->decided) break;
    if (!isnan(t->entropy)) continue;
    t->entropy = -1;
    want[(*count)++] = n;
    if (*count < AT_ONCE) continue;
    s = entropies(m, want, *count);
    *count = 0;
  }
  return s;
}

static bool uncertain(const mixed *m, const lm_node *n)
{
  double sum = 0;
  int64_t k = 0;
  for (; n && k < m->window; n = n->parent, k++) sum += ((const twins *)n->state)->entropy;
  return sum > m->threshold * (double)k;
}

/* Which one speaks at n: where `least` holds it back, what spoke before does. */
static void decide(mixed *m, lm_node *n)
{
  for (;;) {
    lm_node *top = n;
    twins *t = top->state;
    if (t->decided) return;
    if (m->least > 1)
      while (top->parent && !((twins *)top->parent->state)->decided) top = top->parent;
    const twins *before = top->parent ? top->parent->state : NULL;
    t = top->state;
    t->big = uncertain(m, top);
    if (m->least > 1 && before) {
      if (before->since < m->least) t->big = before->big;
      t->since = t->big == before->big ? before->since + 1 : 1;
    } else t->since = m->least;
    t->decided = true;
  }
}

/* ---- log-probabilities ---- */

static norn_status speak(mixed *m, bool big, lm_node *const *node, int n)
{
  lm *of = big ? m->large : m->small;
  lm_node *ask[AT_ONCE] = { NULL }, *for_whom[AT_ONCE];
  for (int at = 0; at < n;) {
    int k = 0;
    for (; at < n && k < AT_ONCE; at++) {
      const twins *t = node[at]->state;
      if (t->big != big) continue;
      for_whom[k] = node[at];
      ask[k++] = big ? t->large : t->small;
    }
    norn_status s = k ? lm_eval(of, ask, k) : NORN_OK;
    if (s) return s;
    for (int i = 0; i < k; i++) {
      float *to = lm_node_room(for_whom[i]);
      if (!to) return NORN_EMEMORY;
      memcpy(to, ask[i]->logp, (size_t)m->lm.vocab.n * sizeof *to);
    }
  }
  return NORN_OK;
}

static norn_status eval(mixed *m, lm_node *const *node, int n)
{
  lm_node *want[AT_ONCE];
  int count = 0;
  norn_status s = NORN_OK;
  for (int i = 0; i < n; i++) if (!has_twins(m, node[i])) return norn_error(m->lm.st)->code;
  for (int i = 0; i < n && !s; i++) s = want_entropies(m, node[i], want, &count);
  if (s) return s;
  s = entropies(m, want, count);
  for (int i = 0; i < n && !s; i++) decide(m, node[i]);
  if (!s) s = speak(m, false, node, n);
  return s ? s : speak(m, true, node, n);
}

static norn_status switch_eval(lm *x, lm_node *const *node, int n)
{
  mixed *m = (mixed *)x;
  uint64_t computed = m->small->ledger.computed + m->large->ledger.computed;
  double flops = m->small->ledger.flops + m->large->ledger.flops;
  norn_status s = eval(m, node, n);
  x->ledger.computed += m->small->ledger.computed + m->large->ledger.computed - computed;
  x->ledger.flops += m->small->ledger.flops + m->large->ledger.flops - flops;
  return s;
}

static const char *const options_of[] = { "small", "large", "window", "threshold", "least", NULL };
const lm_row lm_switch = {
  .scheme = "switch",
  .doc = "switch: is one model made of two with the same vocabulary, small = and large =: the "
         "large one says what comes next where the mean entropy of the small one over the last "
         "window = 5 contexts is above threshold = 0.5, in natural units; once a model has come it "
         "stays for least = 1 tokens or more. See its.entropy_switch.",
  .options = options_of,
  .size = sizeof(mixed),
  .open = switch_open,
  .close = switch_close,
  .encode = switch_encode,
  .eval = switch_eval,
  .forget = switch_forget
};
