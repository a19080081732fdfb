/* http_tokens.c: llama-server as a model of tokens.  One token asked for with n_probs = the size of
   the vocabulary gives the whole distribution before any sampler (post_sampling_probs false: the
   softmax of the logits), by ids, with the bytes of each token.  So contexts are tokens, texts are
   scored exactly under any temperature and top_p, and with `tokens = true` Norn draws by itself.

   Such an answer is large (a vocabulary of 150,000 tokens: about 15 MB), so it is read where it lies, not as values.
   Source: llama.cpp, tools/server/README.md (/completion, /tokenize, /props, /v1/models). */
#include "base/number.h"
#include "llm/http/http.h"
#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http_vocab {
  uint32_t *at;
  uint8_t *bytes, *kind;
  size_t nbytes;
  double *filtered;                 /* (n) scratch */
};

/* ---- a scanner of JSON; what it reads ends with a 0 ---- */

typedef struct scan { const char *p; bool bad; } scan;

static void space(scan *s)
{
  while (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r') s->p++;
}

static bool is(scan *s, char c)
{
  space(s);
  if (s->bad || *s->p != c) return false;
  s->p++;
  return true;
}

/* Behind a string whose first quote is read. */
static void end_string(scan *s)
{
  while (*s->p && *s->p != '"') s->p += *s->p == '\\' && s->p[1] ? 2 : 1;
  if (*s->p) s->p++;
  else s->bad = true;
}

static void skip(scan *s)
{
  int depth = 0;
  do {
    space(s);
    char c = *s->p;
    if (!c) s->bad = true;
    else if (s->p++, c == '"') end_string(s);
    else if (c == '{' || c == '[') depth++;
    else if (c == '}' || c == ']') depth--;
    else if (c != ',' && c != ':')
      while (*s->p && !strchr(",:]}\" \n\t\r", *s->p)) s->p++;
  } while (depth > 0 && !s->bad);
  if (depth < 0) s->bad = true;
}

/* The next key of an object; false: it is over.  first: nothing was read yet. */
static bool next_key(scan *s, bool *first, const char **key, size_t *n)
{
  if (is(s, '}') || s->bad) return false;
  if (!*first && !is(s, ',')) s->bad = true;
  *first = false;
  if (!is(s, '"')) s->bad = true;
  *key = s->p;
  if (!s->bad) end_string(s);
  *n = s->bad ? 0 : (size_t)(s->p - 1 - *key);
  if (!is(s, ':')) s->bad = true;
  return !s->bad;
}

static bool next_element(scan *s, bool *first)
{
  if (is(s, ']') || s->bad) return false;
  if (!*first && !is(s, ',')) s->bad = true;
  *first = false;
  return !s->bad;
}

static double number(scan *s)
{
  char *end;
  space(s);
  double x = number_first(s->p, &end);
  if (end == s->p) s->bad = true;
  s->p = end;
  return x;
}

static bool named(const char *key, size_t n, const char *name)
{
  return n == strlen(name) && memcmp(key, name, n) == 0;
}

/* ---- a distribution ---- */

/* What a reading wants: logp (n) of all tokens; pieces: their bytes one after the other, that of token i at at[i]. */
typedef struct reading { int n, seen; float *logp; text *bytes; uint32_t *from, *length; double evaluated; } reading;

static void read_bytes(scan *s, text *out)
{
  bool first = true;
  if (!is(s, '[')) s->bad = true;
  while (next_element(s, &first)) {
    double b = number(s);
    if (!(b >= 0 && b <= 255)) s->bad = true;
    else text_putc(out, (char)(unsigned char)b);
  }
}

static void read_token(scan *s, reading *r)
{
  bool first = true;
  const char *key;
  size_t n, at = r->bytes ? r->bytes->n : 0;
  double id = -1, logp = (double)NAN;
  if (!is(s, '{')) s->bad = true;
  while (!s->bad && next_key(s, &first, &key, &n)) {
    if (named(key, n, "id")) id = number(s);
    else if (named(key, n, "logprob")) logp = number(s);
    else if (r->bytes && named(key, n, "bytes")) read_bytes(s, r->bytes);
    else skip(s);
  }
  if (s->bad || !(id >= 0 && id < r->n) || !(logp <= 1e-4)) {
    s->bad = true;
    return;
  }
  int k = (int)id;
  if (!isnan(r->logp[k])) s->bad = true;                 /* twice */
  r->logp[k] = logp < -1e30 ? -INFINITY : (float)logp;   /* the server's way to write log 0 */
  r->seen++;
  if (r->bytes) r->from[k] = (uint32_t)at, r->length[k] = (uint32_t)(r->bytes->n - at);
}

static void read_position(scan *s, reading *r)
{
  bool first = true, first_token = true;
  const char *key;
  size_t n;
  if (!is(s, '{')) s->bad = true;
  while (!s->bad && next_key(s, &first, &key, &n)) {
    if (!named(key, n, "top_logprobs") || r->seen) skip(s);
    else if (is(s, '['))
      while (next_element(s, &first_token)) read_token(s, r);
    else s->bad = true;
  }
}

static void read_body(scan *s, reading *r)
{
  bool first = true, first_position = true;
  const char *key;
  size_t n;
  if (!is(s, '{')) s->bad = true;
  while (!s->bad && next_key(s, &first, &key, &n)) {
    if (named(key, n, "tokens_evaluated")) r->evaluated = number(s);
    else if (!named(key, n, "completion_probabilities")) skip(s);
    else if (is(s, '['))
      while (next_element(s, &first_position)) read_position(s, r);
    else s->bad = true;
  }
}

/* All of the vocabulary, and its probabilities' sum is 1. */
static http_took read_next(http *h, const char *body, size_t n, reading *r)
{
  scan s = { body, false };
  double sum = 0;
  r->seen = 0;
  for (int k = 0; k < r->n; k++) r->logp[k] = NAN;
  read_body(&s, r);
  space(&s);
  if (s.bad && !*s.p) {
    http_lies(h, body, n, "%.150s: the answer was cut short", h->at[AT_NATIVE]);
    return HTTP_AGAIN;
  }
  if (r->bytes && r->bytes->failed) {
    http_no_memory(h->base.st);
    return HTTP_REFUSED;
  }
  if (s.bad || *s.p)
    return http_lies(h, body, n, "%.150s: completion_probabilities is not what llama-server documents",
                     h->at[AT_NATIVE]);
  if (r->seen != r->n)
    return http_lies(h, body, n, "%.150s: of %d tokens %d have a probability", h->at[AT_NATIVE], r->n, r->seen);
  for (int k = 0; k < r->n; k++) sum += exp((double)r->logp[k]);
  if (!(fabs(sum - 1) < 2e-3))
    return http_lies(h, body, n, "%.150s: the probabilities of all tokens have the sum %g", h->at[AT_NATIVE], sum);
  float z = (float)log(sum);
  for (int k = 0; k < r->n; k++) r->logp[k] -= z;
  return HTTP_TAKEN;
}

/* ---- many of them ---- */

typedef struct next_ask { const lm_token *v; int n; } next_ask;
typedef struct nexts {
  http *h;
  const next_ask *v;
  reading r;
  norn_status (*use)(void *user, int k, const float *logp);
  void *user;
} nexts;

static http_took take_next(void *user, int k, const char *body, size_t n)
{
  nexts *q = user;
  http *h = q->h;
  http_took took = read_next(h, body, n, &q->r);
  if (took != HTTP_TAKEN) return took;
  if (q->r.evaluated > 0) h->base.ledger.prompt_tokens += (uint64_t)q->r.evaluated;
  h->base.ledger.answer_tokens++;
  h->base.ledger.computed += (uint64_t)q->v[k].n;
  return q->use(q->user, k, q->r.logp) ? HTTP_REFUSED : HTTP_TAKEN;
}

/* The distribution behind each of n sequences, given to `use` as it comes. */
static norn_status ask_next(http *h, int n, const next_ask *v,
                            norn_status (*use)(void *, int, const float *), void *user)
{
  int size = h->base.vocab.n;
  nexts q = { h, v, { .n = size, .logp = mem_get(&h->m, (size_t)size * sizeof(float)) }, use, user };
  http_job *jobs = mem_zero(&h->m, (size_t)n * sizeof *jobs);
  norn_status bad = q.r.logp && jobs ? NORN_OK : http_no_memory(h->base.st);
  for (int k = 0; k < n && !bad; k++) {
    jobs[k] = (http_job){ .post = true, .url = h->at[AT_NATIVE],
                          .seed = hash_bytes(v[k].v, (size_t)v[k].n * sizeof *v[k].v, 5) };
    text_init(&jobs[k].body, &h->m);
    http_next_body(h, v[k].v, v[k].n, size, &jobs[k].body);
    if (jobs[k].body.failed) bad = http_no_memory(h->base.st);
    if (!bad && v[k].n == 0) {
      bad = norn_fail(h->base.st, NORN_EDOMAIN, 0,
                      "%.150s can't continue an empty context: its model has no token that begins one", h->url);
      norn_hint(h->base.st, "give lm.context a text");
    }
  }
  http_batch b = { jobs, n, take_next, &q };
  if (!bad && n) bad = http_send(h, &b);
  for (int k = 0; k < n && jobs; k++)
    if (jobs[k].body.m) text_free(&jobs[k].body);
  mem_put(&h->m, jobs, (size_t)n * sizeof *jobs);
  mem_put(&h->m, q.r.logp, (size_t)size * sizeof(float));
  return bad;
}

/* ---- contexts as nodes ---- */

typedef struct evaluating { lm *l; lm_node *const *v; } evaluating;

static norn_status use_node(void *user, int k, const float *logp)
{
  evaluating *e = user;
  float *to = lm_node_room(e->v[k]);
  if (!to) return NORN_EMEMORY;
  memcpy(to, logp, (size_t)e->l->vocab.n * sizeof *to);
  return NORN_OK;
}

norn_status http_eval(lm *l, lm_node *const *v, int n)
{
  http *h = http_of(l);
  size_t total = 0, at = 0;
  for (int k = 0; k < n; k++) total += v[k]->depth;
  lm_token *ids = mem_get(&h->m, (total + 1) * sizeof *ids);
  next_ask *asks = mem_get(&h->m, (size_t)n * sizeof *asks);
  evaluating e = { l, v };
  norn_status bad = ids && asks ? NORN_OK : http_no_memory(l->st);
  for (int k = 0; k < n && !bad; k++) {
    lm_tokens_of(v[k], ids + at);
    asks[k] = (next_ask){ ids + at, (int)v[k]->depth };
    at += v[k]->depth;
  }
  if (!bad) bad = ask_next(h, n, asks, use_node, &e);
  mem_put(&h->m, ids, (total + 1) * sizeof *ids);
  mem_put(&h->m, asks, (size_t)n * sizeof *asks);
  return bad;
}

/* ---- tokenising ---- */

static http_took ids_from(http *h, const char *body, size_t n, lm_tokens *out)
{
  norn_datum v, a;
  norn_view w;
  http_took took = http_record_of(h, body, n, &v);
  if (took != HTTP_TAKEN) return took;
  a = norn_record_get(h->base.st, v, "tokens");
  if (!norn_array_view(a, &w) || (w.n && w.elem != NORN_I64))
    return http_lies(h, body, n, "%.150s: the answer has no \"tokens\"", h->at[AT_TOKENIZE]);
  for (int64_t k = 0; k < w.n; k++) {
    if (w.i[k] < 0 || w.i[k] > INT32_MAX)
      return http_lies(h, body, n, "%.150s: a token is %lld", h->at[AT_TOKENIZE], (long long)w.i[k]);
    if (!lm_tokens_add(h->base.st, out, (lm_token)w.i[k])) return HTTP_REFUSED;
  }
  return HTTP_TAKEN;
}

static void tokenize_body(text *t, const char *s, size_t n, bool begin, bool special)
{
  text_puts(t, "{\"content\": ");
  http_json_string(t, s, n);
  text_printf(t, ", \"add_special\": %s, \"parse_special\": %s}", begin ? "true" : "false", special ? "true" : "false");
}

static norn_status tokenize(http *h, const char *s, size_t n, bool begin, bool special, lm_tokens *out)
{
  text body, answer;
  text_init(&body, &h->m);
  text_init(&answer, &h->m);
  tokenize_body(&body, s, n, begin, special);
  norn_status bad = body.failed ? http_no_memory(h->base.st)
                                : http_ask(h, true, h->at[AT_TOKENIZE], body.s, body.n, &answer);
  if (!bad && ids_from(h, answer.s, answer.n, out) != HTTP_TAKEN) bad = NORN_EIO;
  text_free(&body);
  text_free(&answer);
  return bad;
}

static size_t bytes_of(const http *h, const lm_token *v, int n, const char *s, size_t len)
{
  const lm_vocab *w = &h->base.vocab;
  size_t at = 0;
  for (int k = 0; k < n; k++) {
    if (v[k] >= w->n || w->kind[v[k]] != LM_TEXT) return (size_t)-1;
    size_t m = w->at[v[k] + 1] - w->at[v[k]];
    if (m > len - at || memcmp(w->bytes + w->at[v[k]], s + at, m)) return (size_t)-1;
    at += m;
  }
  return at;
}

/* Some tokenizers put a space in front of a text; then a line end goes there first, and its tokens are taken away. */
norn_status http_encode(lm *l, const char *s, size_t n, lm_tokens *out)
{
  http *h = http_of(l);
  lm_tokens t = { NULL, 0, 0 };
  text longer;
  int from = 0;
  norn_status bad = n ? tokenize(h, s, n, false, false, &t) : NORN_OK;
  if (!bad && bytes_of(h, t.v, t.n, s, n) != n) {
    text_init(&longer, &h->m);
    text_putc(&longer, '\n');
    text_put(&longer, s, n);
    t.n = 0;
    bad = longer.failed ? http_no_memory(l->st) : tokenize(h, longer.s, longer.n, false, false, &t);
    text_free(&longer);
    for (from = t.n; !bad && from > 0 && bytes_of(h, t.v + from, t.n - from, s, n) != n; from--) continue;
    if (!bad && bytes_of(h, t.v + from, t.n - from, s, n) != n) {
      char shown[60];
      bad = norn_fail(l->st, NORN_EIO, 0, "%.150s: the tokens of \"%s\" are not this text: "
                      "the server's tokenizer changes it", h->url,
                      http_shown(h, shown, sizeof shown, s, n));
    }
  }
  for (int k = from; k < t.n && !bad; k++)
    if (!lm_tokens_add(l->st, out, t.v[k])) bad = NORN_EMEMORY;
  lm_tokens_free(l->st, &t);
  return bad;
}

void http_forget(lm *l, lm_node *node)
{
  lm_tokens *t = node->state;
  if (!t) return;
  lm_tokens_free(l->st, t);
  mem_put(&http_of(l)->m, t, sizeof *t);
  node->state = NULL;
}

const lm_tokens *http_ids_of(const lm_node *node) { return node->state; }

norn_status http_ids(http *h, int n, const lm_ask *asks)
{
  norn_status bad = NORN_OK;
  for (int k = 0; k < n && !bad; k++) {
    lm_node *node = asks[k].at;
    text at;
    if (node->state) continue;
    lm_tokens *t = mem_zero(&h->m, sizeof *t);
    if (!t) return http_no_memory(h->base.st);
    text_init(&at, &h->m);
    http_at kind = http_context(h, node, &at);
    bad = kind == HTTP_BAD ? NORN_EIO : tokenize(h, at.n ? at.s : "", at.n, true, kind == HTTP_PROMPT, t);
    text_free(&at);
    node->state = t;
    if (bad) http_forget(&h->base, node);
  }
  return bad;
}

norn_status http_start_chat(http *h, const char *s, size_t n, lm_node **node)
{
  lm_tokens t = { NULL, 0, 0 };
  norn_status bad = tokenize(h, s, n, true, true, &t);
  lm_node *at = h->base.root;
  lm_hold(at);
  for (int k = 0; k < t.n && !bad; k++) {
    lm_node *more = lm_extend(at, t.v[k]);
    lm_drop(at);
    at = more;
    if (!at) bad = NORN_EMEMORY;
  }
  lm_tokens_free(h->base.st, &t);
  if (bad && at) lm_drop(at);
  *node = bad ? NULL : at;
  return bad;
}

/* ---- scores ---- */

typedef struct scoring { http *h; http_seq *v; const int *seq, *index; double *term; } scoring;

/* What stands for the text's being over: all that end it, and all tokens that begin with the stop. */
enum { OVER = -1 };

static bool begins_with(const lm_vocab *v, int k, const lm_ask *a)
{
  return v->kind[k] == LM_TEXT && v->at[k + 1] - v->at[k] >= a->nstop &&
         memcmp(v->bytes + v->at[k], a->stop, a->nstop) == 0;
}

static double over_of(const lm_vocab *v, const double *logp, const lm_ask *a)
{
  double sum = 0;
  for (int k = 0; k < v->n; k++)
    if (v->kind[k] == LM_END || (a->nstop && begins_with(v, k, a))) sum += exp(logp[k]);
  return log(sum);
}

static norn_status use_term(void *user, int k, const float *logp)
{
  scoring *q = user;
  const http_seq *s = q->v + q->seq[k];
  lm_filter f = { .temperature = s->temperature, .top_p = s->top_p };
  double *out = q->h->vocab->filtered;
  lm_token t = s->ids->v[q->index[k]];
  lm_filtered(&q->h->base, logp, &f, NULL, out);
  q->term[k] = t == OVER ? over_of(&q->h->base.vocab, out, s->ask) : out[t];
  return NORN_OK;
}

/* Each position of each sequence is one request; the terms are summed in their order, whatever the
   order they came in. */
norn_status http_seqs(http *h, int n, http_seq *v)
{
  size_t total = 0, room = 0, at = 0, k = 0;
  norn_status bad = http_vocab_open(h);
  if (bad) return bad;
  for (int i = 0; i < n; i++) total += (size_t)(v[i].n - v[i].from), room += (size_t)(v[i].before->n + v[i].n);
  int *seq = mem_get(&h->m, (total + 1) * sizeof *seq), *index = mem_get(&h->m, (total + 1) * sizeof *index);
  double *term = mem_get(&h->m, (total + 1) * sizeof *term);
  lm_token *ids = mem_get(&h->m, (room + 1) * sizeof *ids);
  next_ask *asks = mem_get(&h->m, (total + 1) * sizeof *asks);
  if (!seq || !index || !term || !ids || !asks) bad = http_no_memory(h->base.st);
  for (int i = 0; i < n && !bad; i++) {
    lm_token *own = ids + at;
    if (v[i].before->n) memcpy(own, v[i].before->v, (size_t)v[i].before->n * sizeof *own);
    if (v[i].n) memcpy(own + v[i].before->n, v[i].ids->v, (size_t)v[i].n * sizeof *own);
    at += (size_t)(v[i].before->n + v[i].n);
    for (int p = v[i].from; p < v[i].n && !bad; p++, k++) {
      seq[k] = i, index[k] = p;
      asks[k] = (next_ask){ own, v[i].before->n + p };
      if (v[i].ids->v[p] >= h->base.vocab.n)
        bad = norn_fail(h->base.st, NORN_EIO, 0, "%.150s: token %d is none of its vocabulary of %d",
                        h->url, v[i].ids->v[p], h->base.vocab.n);
    }
  }
  scoring q = { h, v, seq, index, term };
  if (!bad) bad = ask_next(h, (int)total, asks, use_term, &q);
  for (size_t j = 0; j < total && !bad; j++) v[seq[j]].logp += term[j];
  mem_put(&h->m, seq, (total + 1) * sizeof *seq);
  mem_put(&h->m, index, (total + 1) * sizeof *index);
  mem_put(&h->m, term, (total + 1) * sizeof *term);
  mem_put(&h->m, ids, (room + 1) * sizeof *ids);
  mem_put(&h->m, asks, (total + 1) * sizeof *asks);
  return bad;
}

/* A stop that tokens spell piece by piece would want further distributions: that is what tokens = true is for. */
static norn_status whole_stop(http *h, const lm_ask *a)
{
  const lm_vocab *v = &h->base.vocab;
  for (int k = 0; k < v->n; k++) {
    size_t n = v->at[k + 1] - v->at[k];
    if (v->kind[k] != LM_TEXT || n >= a->nstop || memcmp(v->bytes + v->at[k], a->stop, n)) continue;
    norn_fail(h->base.st, NORN_EDOMAIN, 0, "%.150s can't score a text with a stop of several tokens at once", h->url);
    norn_hint(h->base.st, "tokens = true makes it a model of tokens, which scores any stop");
    return NORN_EDOMAIN;
  }
  return NORN_OK;
}

/* The tokens of a text, and OVER if fewer than max. */
static norn_status tokens_of(http *h, const lm_ask *a, lm_tokens *t, lm_said *out)
{
  norn_status bad = http_encode(&h->base, a->given, a->ngiven, t);
  out->scored = true;
  out->tokens = t->n;
  out->stopped = t->n < a->max;
  if (bad || !out->stopped) return bad;
  if (a->nstop) bad = whole_stop(h, a);
  if (bad || !lm_tokens_add(h->base.st, t, OVER)) return bad ? bad : NORN_EMEMORY;
  if (h->base.vocab.end >= 0) return NORN_OK;
  norn_fail(h->base.st, NORN_EIO, 0, "%.150s names no token that ends a text", h->url);
  norn_hint(h->base.st, "end = \"NAME\" says which one does");
  return NORN_EIO;
}

norn_status http_scores(http *h, int n, const lm_ask *asks, lm_said *out)
{
  size_t many = (size_t)n;
  lm_tokens *t = mem_zero(&h->m, many * sizeof *t);
  http_seq *v = mem_zero(&h->m, many * sizeof *v);
  norn_status bad = t && v ? http_vocab_open(h) : http_no_memory(h->base.st);
  for (int k = 0; k < n && !bad; k++) {
    const lm_ask *a = asks + k;
    bad = tokens_of(h, a, t + k, out + k);
    bool fits = out[k].tokens <= a->max;
    v[k] = (http_seq){ .before = http_ids_of(a->at), .ids = t + k, .n = fits ? t[k].n : 0, .ask = a,
                       .temperature = a->temperature, .top_p = a->top_p, .logp = fits ? 0 : -(double)INFINITY };
  }
  if (!bad) bad = http_seqs(h, n, v);
  for (int k = 0; k < n && !bad; k++) out[k].logp = v[k].logp;
  for (int k = 0; k < n && t; k++) lm_tokens_free(h->base.st, t + k);
  mem_put(&h->m, t, many * sizeof *t);
  mem_put(&h->m, v, many * sizeof *v);
  return bad;
}

/* ---- the vocabulary ---- */

typedef struct first { http *h; reading r; } first;

static http_took take_first(void *user, int k, const char *body, size_t n)
{
  first *f = user;
  (void)k;
  f->r.bytes->n = 0;
  return read_next(f->h, body, n, &f->r);
}

/* The token of a name; -1: it is not one token. */
static norn_status token_of(http *h, const char *name, size_t n, lm_token *out)
{
  lm_tokens t = { NULL, 0, 0 };
  norn_status bad = n ? tokenize(h, name, n, false, true, &t) : NORN_OK;
  *out = t.n == 1 && t.v[0] < h->base.vocab.n ? t.v[0] : -1;
  lm_tokens_free(h->base.st, &t);
  return bad;
}

/* Begin and end, by their names in /props; `end` of the options is one more. */
static norn_status special_tokens(http *h)
{
  text t;
  norn_datum v;
  size_t nb = 0, ne = 0;
  lm_token more = -1;
  lm_vocab *w = &h->base.vocab;
  text_init(&t, &h->m);
  norn_status bad = http_ask(h, false, h->at[AT_PROPS], "", 0, &t);
  if (!bad && http_record_of(h, t.s, t.n, &v) != HTTP_TAKEN) bad = NORN_EIO;
  const char *b = bad ? NULL : http_field(h, v, "bos_token", &nb), *e = bad ? NULL : http_field(h, v, "eos_token", &ne);
  if (!bad && b) bad = token_of(h, b, nb, &w->begin);
  if (!bad && e) bad = token_of(h, e, ne, &w->end);
  if (!bad && h->end[0]) bad = token_of(h, h->end, strlen(h->end), &more);
  if (!bad && h->end[0] && more < 0)
    bad = norn_fail(h->base.st, NORN_EDOMAIN, 0, "end = \"%s\" is no token of %.200s", h->end, h->url);
  if (w->end < 0) w->end = more;
  text_free(&t);
  if (bad) return bad;
  if (w->begin >= 0) h->vocab->kind[w->begin] = LM_CONTROL;
  if (w->end >= 0) h->vocab->kind[w->end] = LM_END;
  if (more >= 0) h->vocab->kind[more] = LM_END;
  lm_tokens start = { NULL, 0, 0 };
  bad = tokenize(h, "a", 1, true, false, &start);
  h->base.add_begin = start.n > 0 && w->begin >= 0 && start.v[0] == w->begin;
  lm_tokens_free(h->base.st, &start);
  return bad;
}

/* Bytes by tokens; one without any has its number as a name. */
static norn_status lay_out(http *h, const reading *r)
{
  struct http_vocab *o = h->vocab;
  text all;
  text_init(&all, &h->m);
  for (int k = 0; k < r->n; k++) {
    o->at[k] = (uint32_t)all.n;
    o->kind[k] = r->length[k] ? LM_TEXT : LM_CONTROL;
    if (r->length[k]) text_put(&all, r->bytes->s + r->from[k], r->length[k]);
    else text_printf(&all, "<%d>", k);
  }
  o->at[r->n] = (uint32_t)all.n;
  o->nbytes = all.n;
  o->bytes = all.failed ? NULL : mem_get(&h->m, all.n);
  if (o->bytes) memcpy(o->bytes, all.s, all.n);
  text_free(&all);
  return o->bytes ? NORN_OK : http_no_memory(h->base.st);
}

static norn_status read_vocab(http *h, int n)
{
  struct http_vocab *o = h->vocab;
  text bytes, body;
  lm_tokens t = { NULL, 0, 0 };
  text_init(&bytes, &h->m);
  text_init(&body, &h->m);
  first f = { h, { .n = n, .bytes = &bytes } };
  size_t many = (size_t)n;
  f.r.logp = mem_get(&h->m, many * sizeof *f.r.logp);
  f.r.from = mem_zero(&h->m, many * sizeof *f.r.from);
  f.r.length = mem_zero(&h->m, many * sizeof *f.r.length);
  norn_status bad = f.r.logp && f.r.from && f.r.length ? tokenize(h, "a", 1, true, false, &t)
                                                       : http_no_memory(h->base.st);
  if (!bad) http_next_body(h, t.v, t.n, n, &body);
  http_job j = { .post = true, .url = h->at[AT_NATIVE], .body = body, .seed = 1 };
  http_batch b = { &j, 1, take_first, &f };
  if (!bad) bad = body.failed ? http_no_memory(h->base.st) : http_send(h, &b);
  if (!bad) bad = lay_out(h, &f.r);
  if (!bad) h->base.vocab = (lm_vocab){ .n = n, .at = o->at, .bytes = o->bytes, .kind = o->kind,
                                        .begin = -1, .end = -1 };
  mem_put(&h->m, f.r.logp, many * sizeof *f.r.logp);
  mem_put(&h->m, f.r.from, many * sizeof *f.r.from);
  mem_put(&h->m, f.r.length, many * sizeof *f.r.length);
  lm_tokens_free(h->base.st, &t);
  text_free(&bytes);
  text_free(&body);
  return bad;
}

norn_status http_vocab_open(http *h)
{
  int n = h->nvocab;
  size_t many = (size_t)n;
  if (h->vocab) return NORN_OK;
  if (n <= 0)
    return norn_fail(h->base.st, NORN_EIO, 0, "%.150s does not say how many tokens its model has (meta.n_vocab)",
                     h->at[AT_MODELS]);
  struct http_vocab *o = h->vocab = mem_zero(&h->m, sizeof *o);
  if (o) {
    o->at = mem_zero(&h->m, (many + 1) * sizeof *o->at);
    o->kind = mem_zero(&h->m, many);
    o->filtered = mem_get(&h->m, many * sizeof *o->filtered);
  }
  norn_status bad = o && o->at && o->kind && o->filtered ? read_vocab(h, n) : http_no_memory(h->base.st);
  if (!bad) bad = special_tokens(h);
  if (bad) http_vocab_close(h);
  return bad;
}

void http_vocab_close(http *h)
{
  struct http_vocab *o = h->vocab;
  size_t many = (size_t)h->nvocab;
  if (!o) return;
  mem_put(&h->m, o->at, (many + 1) * sizeof *o->at);
  mem_put(&h->m, o->kind, many);
  mem_put(&h->m, o->bytes, o->nbytes);
  mem_put(&h->m, o->filtered, many * sizeof *o->filtered);
  mem_put(&h->m, o, sizeof *o);
  h->vocab = NULL;
  h->base.vocab = (lm_vocab){ .begin = -1, .end = -1 };
}
