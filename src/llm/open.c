/* open.c: models by their URIs, and what a state keeps of them: the list of those that are open, so that the same URI
   with the same options is one model, whose contexts are shared. */
#include "llm/guide/guide.h"
#include "llm/http/http.h"
#include "llm/llm.h"
#include <stdio.h>
#include <string.h>

const lm_row *const lm_rows[] = { &lm_builtin, &lm_ngram, &lm_hmm, &lm_sim, &lm_switch,
                                  &lm_http_row, &lm_https_row, NULL };

/* closing: the state goes; values that still hold models are let go of after this is. */
typedef struct models { mem m; lm *first; bool closing; } models;

static void *alloc_hook(void *st, void *p, size_t old, size_t n) { return norn_alloc(st, p, old, n); }

norn_status lm_no_memory(norn_state *st)
{
  norn_fail(st, NORN_EMEMORY, -1, "not enough memory for the language model");
  return NORN_EMEMORY;
}

static void models_free(norn_state *st, void *p)
{
  models *all = p;
  all->closing = true;
  if (!all->first) norn_alloc(st, all, sizeof *all, 0);
}

static models *models_of(norn_state *st)
{
  void **slot = norn_slot(st, 9);
  if (*slot) return *slot;
  models *all = norn_alloc(st, NULL, 0, sizeof *all);
  if (!all) {
    lm_no_memory(st);
    return NULL;
  }
  *all = (models){ .first = NULL };
  mem_init(&all->m);
  all->m.alloc = alloc_hook;
  all->m.user = st;
  *slot = all;
  norn_slot_on_free(st, 9, models_free);
  return all;
}

mem *lm_mem(norn_state *st)
{
  models *all = models_of(st);
  return all ? &all->m : NULL;
}

static void no_scheme(norn_state *st, const char *uri)
{
  char have[256];
  size_t at = 0;
  nearest near;
  nearest_init(&near, uri);
  for (int i = 0; lm_rows[i] && at < sizeof have - 32; i++) {
    at += (size_t)snprintf(have + at, sizeof have - at, "%s%s:", i ? ", " : "", lm_rows[i]->scheme);
    nearest_try(&near, lm_rows[i]->scheme);
  }
  norn_fail(st, NORN_EDOMAIN, 0, "a language model is named by one of %s, got %.100s", have, uri);
  if (nearest_found(&near)) norn_hint(st, "did you mean %s:?", nearest_found(&near));
  else norn_hint(st, "llm(\"builtin:tiny\"), llm(\"builtin:model.gguf\"), llm(\"ngram:corpus.txt\")");
}

static const lm_row *row_of(const char *uri, const char **rest)
{
  const char *colon = strchr(uri, ':');
  if (!colon) return NULL;
  for (int i = 0; lm_rows[i]; i++) {
    size_t n = strlen(lm_rows[i]->scheme);
    if ((size_t)(colon - uri) != n || memcmp(uri, lm_rows[i]->scheme, n)) continue;
    *rest = colon + 1;
    return lm_rows[i];
  }
  return NULL;
}

static norn_status no_option(norn_state *st, const lm_row *row, const char *name)
{
  char all[200] = "";
  size_t at = 0;
  nearest near;
  nearest_init(&near, name);
  for (int k = 0; row->options && row->options[k] && at < sizeof all; k++) {
    at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", k ? ", " : "", row->options[k]);
    nearest_try(&near, row->options[k]);
  }
  norn_fail(st, NORN_EDOMAIN, 1, "%s: has no option %.60s", row->scheme, name);
  if (nearest_found(&near)) norn_hint(st, "did you mean %s? it has %s", nearest_found(&near), all);
  else if (at) norn_hint(st, "it has %s", all);
  return NORN_EDOMAIN;
}

/* Are the options a record, and all of them the row's? */
static norn_status check_options(norn_state *st, const lm_row *row, norn_datum options)
{
  char got[100];
  if (norn_is_none(options)) return NORN_OK;
  if (norn_record_size(options) < 0)
    return norn_fail(st, NORN_ETYPE, 1, "the options of a language model are a record, not %s",
                     norn_describe(st, options, got, sizeof got));
  for (int i = 0; i < norn_record_size(options); i++) {
    norn_datum v;
    const char *name = norn_record_at(st, options, i, &v);
    int k = 0;
    while (row->options && row->options[k] && strcmp(row->options[k], name) != 0) k++;
    if (!row->options || !row->options[k]) return no_option(st, row, name);
  }
  return NORN_OK;
}

/* Its cache of log-probabilities: an eighth of the memory that the state may use. */
static size_t room_for_cache(norn_state *st)
{
  size_t most = norn_config_of(st)->max_memory;
  return most ? most / 8 : (size_t)256 << 20;
}

lm *lm_new(norn_state *st, const lm_row *row, const char *uri)
{
  models *all = models_of(st);
  if (!all) return NULL;
  size_t n = strlen(uri) + 1;
  lm *x = mem_zero(&all->m, row->size);
  char *name = mem_get(&all->m, n);
  lm_node *root = mem_zero(&all->m, sizeof *root);
  if (!x || !name || !root) {
    mem_put(&all->m, x, row->size);
    mem_put(&all->m, name, n);
    mem_put(&all->m, root, sizeof *root);
    lm_no_memory(st);
    return NULL;
  }
  memcpy(name, uri, n);
  *root = (lm_node){ .of = x, .token = -1, .refs = 1 };
  x->st = st;
  x->m = &all->m;
  x->row = row;
  x->uri = name;
  x->root = root;
  x->keep = room_for_cache(st);
  x->vocab.begin = x->vocab.end = -1;
  x->refs = 1;
  x->next = all->first;
  all->first = x;
  return x;
}

/* What a back end must have filled in; only its author can get this wrong. */
static norn_status sound(const lm *x)
{
  if (x->can && (!(x->can & LM_TOKENS) || (x->vocab.n > 0 && x->row->eval))) return NORN_OK;
  return norn_fail(x->st, NORN_EUSE, 0, "the back end %s opened a model without a vocabulary", x->row->scheme);
}

lm *lm_open(norn_state *st, const char *uri, norn_datum options)
{
  const char *rest;
  const lm_row *row = row_of(uri, &rest);
  models *all = models_of(st);
  if (!all) return NULL;
  if (!row) {
    no_scheme(st, uri);
    return NULL;
  }
  if (check_options(st, row, options)) return NULL;
  uint64_t hash = norn_is_none(options) ? 0 : norn_hash(options);
  for (lm *x = all->first; x; x = x->next)
    if (x->options == hash && strcmp(x->uri, uri) == 0) {
      x->refs++;
      return x;
    }
  lm *x = lm_new(st, row, uri);
  if (!x) return NULL;
  x->options = hash;
  if (!norn_is_none(options)) x->given = norn_keep(st, options);
  if (!row->open(x, rest, options) && !sound(x)) return x;
  lm_close(x);
  return NULL;
}

static void close_now(lm *x)
{
  norn_state *st = x->st;
  models *all = *norn_slot(st, 9);
  lm_draws_free(x);
  lm_guides_free(x);
  lm_nodes_free(x);
  if (x->given) norn_drop(x->given);
  if (x->row->close) x->row->close(x);                 /* which may close models that it was made of */
  for (lm **p = &all->first; *p; p = &(*p)->next)
    if (*p == x) {
      *p = x->next;
      break;
    }
  mem_put(x->m, x->uri, strlen(x->uri) + 1);
  mem_put(x->m, x, x->row->size);
  if (all->closing && !all->first) norn_alloc(st, all, sizeof *all, 0);
}

void lm_close(lm *x)
{
  if (--x->refs == 0) close_now(x);
}

void lm_said_free(norn_state *st, lm_said *s)
{
  mem *m = lm_mem(st);
  if (m && s->text) mem_put(m, s->text, s->n + 1);
  s->text = NULL;
}

/* ---- tokens ---- */

bool lm_tokens_add(norn_state *st, lm_tokens *t, lm_token x)
{
  mem *m = lm_mem(st);
  size_t cap = (size_t)t->cap;
  if (!m) return false;
  if (!mem_grow(m, &t->v, &cap, (size_t)t->n + 1, sizeof *t->v)) return !lm_no_memory(st);
  t->cap = (int)cap;
  t->v[t->n++] = x;
  return true;
}

void lm_tokens_free(norn_state *st, lm_tokens *t)
{
  mem *m = lm_mem(st);
  if (m && t->v) mem_put(m, t->v, (size_t)t->cap * sizeof *t->v);
  *t = (lm_tokens){ NULL, 0, 0 };
}

/* The longest token of the vocabulary that the text goes on with; -1: there is none. */
static lm_token longest(const lm_vocab *v, const char *s, size_t n)
{
  lm_token best = -1;
  size_t most = 0;
  for (int t = 0; t < v->n; t++) {
    size_t k = v->at[t + 1] - v->at[t];
    if (v->kind[t] != LM_TEXT || k <= most || k > n || memcmp(v->bytes + v->at[t], s, k)) continue;
    best = t;
    most = k;
  }
  return best;
}

norn_status lm_encode(lm *x, const char *s, size_t n, lm_tokens *out)
{
  if (x->row->encode) return x->row->encode(x, s, n, out);
  for (size_t at = 0; at < n;) {
    lm_token t = longest(&x->vocab, s + at, n - at);
    if (t < 0) {
      uint32_t code;
      int k = utf8_next(s + at, n - at, &code);
      norn_fail(x->st, NORN_EDOMAIN, 0, "no token of the model %s begins with \"%.*s\" (byte %zu of the text)", x->name,
                k > 0 ? k : 1, k > 0 ? s + at : "?", at);
      return NORN_EDOMAIN;
    }
    if (!lm_tokens_add(x->st, out, t)) return NORN_EMEMORY;
    at += x->vocab.at[t + 1] - x->vocab.at[t];
  }
  return NORN_OK;
}
