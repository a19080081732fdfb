/* http_texts.c: texts drawn and scored, many at once: each is looked for in the cache, equal ones are asked once, draws
   of one context go together in a request of up to `n` answers, and what comes is kept at once under each draw's key,
   so that whatever was paid for is there the next time, also if another request of the batch fails. */
#include "llm/http/http.h"
#include "io/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One ask.  as: an earlier one with the same key, whose answer it shares; -1: none. */
typedef struct item {
  lm_tokens ids;                    /* llama-server: of a draw; */
  int known;                        /* so many have been counted in out->logp */
  const lm_ask *a;
  lm_said *out;
  text key;
  uint64_t hash;
  int as;
  bool done;
} item;

/* A request: draws job[0 .. n) of the items, or one score. */
typedef struct group { int first, n; text prompt; size_t from; } group;

typedef struct asking {
  http *h;
  int n, ngroups;
  const lm_ask *asks;
  item *v;
  group *g;
  int *of;                          /* (n) items in the order of their groups */
  http_job *jobs;
} asking;

static norn_status not_enough(http *h) { return http_no_memory(h->base.st); }

/* ---- what is kept ---- */

/* A record of what must be known again, as JSON. */
static void put_kept(http *h, const text *key, int n, const char *const *names, const norn_datum *v)
{
  text t;
  text_init(&t, &h->m);
  norn_datum r = norn_record(h->base.st, n, names, v);
  if (norn_is_none(r) || json_write(h->base.st, r, 0, JSON_IO_EXACT, &t)) norn_clear(h->base.st);
  else http_store_put(h, key, t.s, t.n);
  text_free(&t);
}

static void keep_score(http *h, const text *key, const lm_said *s)
{
  static const char *const names[] = { "logp", "tokens", "stopped" };
  const norn_datum v[] = { norn_real(s->logp), norn_int(s->tokens), norn_bool(s->stopped) };
  put_kept(h, key, 3, names, v);
}

static void keep_draw(http *h, const text *key, norn_datum choice)
{
  static const char *const names[] = { "choice" };
  put_kept(h, key, 1, names, &choice);
}

static http_took take_choice(http *h, item *x, norn_datum choice)
{
  return h->kind == HTTP_LLAMA ? http_native(h, x->a, choice, x->out, &x->ids, &x->known)
                               : http_choice(h, x->a, choice, x->out);
}

static bool from_cache(http *h, item *x)
{
  text t;
  norn_datum v;
  double logp, tokens;
  text_init(&t, &h->m);
  if (http_store_get(h, &x->key, &t) && http_record_of(h, t.s, t.n, &v) == HTTP_TAKEN) {
    if (!x->a->given) {
      x->done = take_choice(h, x, norn_record_get(h->base.st, v, "choice")) == HTTP_TAKEN;
      if (!x->done) lm_said_free(h->base.st, x->out);
    } else if (http_number(h, v, "logp", &logp) && http_number(h, v, "tokens", &tokens)) {
      norn_datum stopped = norn_record_get(h->base.st, v, "stopped");
      *x->out = (lm_said){ .scored = true, .logp = logp, .tokens = (int64_t)tokens, .stopped = stopped.i != 0 };
      x->done = true;
    }
  }
  norn_clear(h->base.st);
  h->base.ledger.cached += x->done;
  text_free(&t);
  return x->done;
}

/* ---- keys ---- */

/* Of a score: the URL, the context, the text, the stop and what shapes the distribution. */
static norn_status score_key(http *h, const lm_ask *a, text *t)
{
  text at;
  text_init(&at, &h->m);
  http_at kind = http_context(h, a->at, &at);
  text_printf(t, "%s\nscore %d %d ", h->url, (int)h->kind, (int)kind);
  http_json_string(t, h->model, strlen(h->model));
  http_json_string(t, at.s, at.n);
  http_json_string(t, a->given, a->ngiven);
  http_json_string(t, a->stop, a->nstop);
  text_printf(t, " %d %.17g %.17g %s", a->max, a->temperature, a->top_p, h->end);
  text_free(&at);
  return kind == HTTP_BAD ? NORN_EIO : t->failed ? not_enough(h) : NORN_OK;
}

static int by_hash(const void *a, const void *b)
{
  const item *x = *(const item *const *)a, *y = *(const item *const *)b;
  return x->hash < y->hash ? -1 : x->hash > y->hash ? 1 : x < y ? -1 : x > y;
}

/* Equal keys are asked once. */
static norn_status find_equal(asking *q)
{
  item **order = mem_get(&q->h->m, (size_t)q->n * sizeof *order);
  if (!order) return not_enough(q->h);
  for (int k = 0; k < q->n; k++) order[k] = q->v + k;
  qsort(order, (size_t)q->n, sizeof *order, by_hash);
  for (int k = 1, first = 0; k < q->n; k++) {
    const item *x = order[first];
    if (order[k]->hash != x->hash || order[k]->key.n != x->key.n || memcmp(order[k]->key.s, x->key.s, x->key.n))
      first = k;
    else order[k]->as = (int)(x - q->v);
  }
  mem_put(&q->h->m, order, (size_t)q->n * sizeof *order);
  return NORN_OK;
}

static norn_status find_keys(asking *q)
{
  for (int k = 0; k < q->n; k++) {
    item *x = q->v + k;
    norn_status bad = x->a->given ? score_key(q->h, x->a, &x->key)
                                  : http_draw_key(q->h, x->a, http_ids_of(x->a->at), &x->key);
    if (bad) return bad;
    x->hash = hash_bytes(x->key.s, x->key.n, 7);
  }
  return find_equal(q);
}

/* ---- requests ---- */

static bool alike(const lm_ask *a, const lm_ask *b)
{
  return a->at == b->at && a->max == b->max && a->temperature == b->temperature && a->top_p == b->top_p &&
         a->nstop == b->nstop && (!a->nstop || memcmp(a->stop, b->stop, a->nstop) == 0);
}

/* Groups of at most `most` of the draws that are not there. */
static void find_groups(asking *q, int most)
{
  int at = 0;
  q->ngroups = 0;
  for (int k = 0; k < q->n; k++) {
    item *x = q->v + k;
    if (x->done || x->as >= 0) continue;
    group *last = q->ngroups ? q->g + q->ngroups - 1 : NULL;
    if (last && last->n < most && !x->a->given && alike(q->v[q->of[last->first]].a, x->a)) last->n++;
    else q->g[q->ngroups++] = (group){ .first = at, .n = 1 };
    q->of[at++] = k;
  }
}

static norn_status make_jobs(asking *q)
{
  http *h = q->h;
  for (int k = 0; k < q->ngroups; k++) {
    group *g = q->g + k;
    const lm_ask *a = q->v[q->of[g->first]].a;
    http_job *j = q->jobs + k;
    int path = AT_COMPLETIONS;
    *j = (http_job){ .post = true, .seed = a->given ? q->v[q->of[g->first]].hash : a->seed };
    text_init(&j->body, &h->m);
    text_init(&g->prompt, &h->m);
    norn_status bad = a->given ? http_echo_body(h, a, &j->body, &g->prompt, &g->from)
                               : http_draw_body(h, a, http_ids_of(a->at), g->n, &path, &j->body);
    if (bad) return bad;
    j->url = h->at[path];
  }
  return NORN_OK;
}

static void free_jobs(asking *q)
{
  for (int k = 0; k < q->ngroups; k++) {
    if (q->jobs[k].body.m) text_free(&q->jobs[k].body);
    if (q->g[k].prompt.m) text_free(&q->g[k].prompt);
    memset(q->jobs + k, 0, sizeof q->jobs[k]);
    memset(q->g + k, 0, sizeof q->g[k]);
  }
}

/* A text that no stop ended has all the tokens that it may have: `counted` by the server; 0: it does not say.
   (llama-cpp-python cuts where its window is full, and says "length".) */
static http_took want_whole(http *h, const item *x, int64_t counted)
{
  if (x->out->stopped || counted <= 0 || counted >= x->a->max) return HTTP_TAKEN;
  norn_fail(h->base.st, NORN_EIO, 0, "%.150s: a text was cut after %lld tokens, though %d were asked for", h->url,
            (long long)counted, x->a->max);
  norn_hint(h->base.st, "the server's window is full: make the context or max smaller, or the window larger "
            "(llama-cpp-python: --n_ctx)");
  return HTTP_REFUSED;
}

static http_took take_draw(http *h, item *x, norn_datum choice, int64_t counted)
{
  http_took took = take_choice(h, x, choice);
  if (took == HTTP_TAKEN) took = want_whole(h, x, counted);
  if (took != HTTP_TAKEN) {
    lm_said_free(h->base.st, x->out);
    return took;
  }
  keep_draw(h, &x->key, choice);
  x->done = true;
  return HTTP_TAKEN;
}

static http_took take_native(asking *q, const group *g, const char *body, size_t n)
{
  http *h = q->h;
  norn_datum v;
  double x;
  http_took took = http_record_of(h, body, n, &v);
  norn_datum choice = took == HTTP_TAKEN ? http_native_choice(h, v) : norn_none();
  if (took == HTTP_TAKEN && norn_is_none(choice))
    took = http_lies(h, body, n, "%.150s: the answer lacks content, tokens or stop_type", h->at[AT_NATIVE]);
  if (took == HTTP_TAKEN) took = take_draw(h, q->v + q->of[g->first], choice, 0);
  if (took != HTTP_TAKEN) return took;
  if (http_number(h, v, "tokens_evaluated", &x)) h->base.ledger.prompt_tokens += (uint64_t)(x > 0 ? x : 0);
  if (http_number(h, v, "tokens_predicted", &x)) h->base.ledger.answer_tokens += (uint64_t)(x > 0 ? x : 0);
  return HTTP_TAKEN;
}

static http_took take_draws(asking *q, const group *g, const char *body, size_t n)
{
  http *h = q->h;
  norn_datum choices;
  int64_t prompt, answer;
  http_took took = http_choices(h, body, n, &choices, &prompt, &answer);
  int64_t there = took == HTTP_TAKEN ? norn_array_length(choices) : 0, most = 0;
  for (int64_t k = 0; k < there && k < g->n && took == HTTP_TAKEN; k++) {
    item *x = q->v + q->of[g->first + k];
    took = take_draw(h, x, norn_array_at(h->base.st, choices, k), there == 1 ? answer : 0);
    most += x->a->max;
  }
  if (took == HTTP_TAKEN && answer > most + there)
    took = http_lies(h, body, n, "%.150s: at most %lld tokens were asked for, and it counts %lld", h->url,
                     (long long)most, (long long)answer);
  if (took != HTTP_TAKEN) return took;
  h->base.ledger.prompt_tokens += (uint64_t)prompt;
  h->base.ledger.answer_tokens += (uint64_t)answer;
  return HTTP_TAKEN;
}

static http_took take_score(asking *q, const group *g, const char *body, size_t n)
{
  item *x = q->v + q->of[g->first];
  http_took took = http_echo(q->h, body, n, &g->prompt, g->from, x->a, x->out);
  if (took != HTTP_TAKEN) return took;
  keep_score(q->h, &x->key, x->out);
  x->done = true;
  return HTTP_TAKEN;
}

static http_took take(void *user, int k, const char *body, size_t n)
{
  asking *q = user;
  const group *g = q->g + k;
  if (q->v[q->of[g->first]].a->given) return take_score(q, g, body, n);
  return q->h->kind == HTTP_LLAMA ? take_native(q, g, body, n) : take_draws(q, g, body, n);
}

/* Servers that know no `n` answer once: the rest is asked one by one. */
static norn_status ask_all(asking *q)
{
  int most = q->h->kind == HTTP_LLAMA ? 1 : q->h->choices;
  for (norn_status bad;; most = 1) {
    find_groups(q, most);
    if (q->ngroups == 0) return NORN_OK;
    http_batch b = { q->jobs, q->ngroups, take, q };
    bad = make_jobs(q);
    if (!bad) bad = http_send(q->h, &b);
    free_jobs(q);
    if (bad) return bad;
  }
}

/* llama-server: scores of given texts, and of draws whose tokens the server did not all count. */
static norn_status ask_scores(asking *q)
{
  lm_ask *a = mem_get(&q->h->m, (size_t)q->n * sizeof *a);
  lm_said *s = mem_zero(&q->h->m, (size_t)q->n * sizeof *s);
  int n = 0;
  norn_status bad = a && s ? NORN_OK : not_enough(q->h);
  for (int k = 0; k < q->n && !bad; k++)
    if (!q->v[k].done && q->v[k].as < 0) q->of[n] = k, a[n++] = *q->v[k].a;
  if (!bad && n) bad = http_scores(q->h, n, a, s);
  for (int k = 0; k < n && !bad; k++) {
    item *x = q->v + q->of[k];
    *x->out = s[k];
    x->done = true;
    keep_score(q->h, &x->key, x->out);
  }
  mem_put(&q->h->m, a, (size_t)q->n * sizeof *a);
  mem_put(&q->h->m, s, (size_t)q->n * sizeof *s);
  return bad;
}

/* A draw that has its score now: kept again. */
static void keep_again(http *h, item *x)
{
  static const char *const names[] = { "content", "tokens", "stop_type", "probs", "logp" };
  void *ids = NULL;
  int64_t n = x->ids.n, none = 0;
  norn_datum v[5] = { norn_string(h->base.st, x->out->text, x->out->n), norn_array(h->base.st, NORN_I64, 1, &n, &ids),
                      norn_cstring(h->base.st, x->out->stopped ? "word" : "limit"),
                      norn_array(h->base.st, NORN_I64, 1, &none, &(void *){ NULL }), norn_real(x->out->logp) };
  for (int64_t k = 0; k < n && ids; k++) ((int64_t *)ids)[k] = x->ids.v[k];
  norn_datum r = norn_record(h->base.st, 5, names, v);
  if (!norn_is_none(r)) keep_draw(h, &x->key, r);
}

/* llama-server: draws of which it left tokens out get their score by those tokens' distributions. */
static norn_status finish_scores(asking *q)
{
  http *h = q->h;
  int n = 0;
  http_seq *v = mem_zero(&h->m, (size_t)q->n * sizeof *v);
  if (!v) return not_enough(h);
  for (int k = 0; k < q->n; k++) {
    const item *x = q->v + k;
    if (x->as >= 0 || x->out->scored || x->known < 0) continue;
    q->of[n] = k;
    v[n++] = (http_seq){ http_ids_of(x->a->at), &x->ids, x->known, x->ids.n, x->a, 1, 1, x->out->logp };
  }
  norn_status bad = n ? http_seqs(h, n, v) : NORN_OK;
  for (int k = 0; k < n && !bad; k++) {
    item *x = q->v + q->of[k];
    x->out->scored = true;
    x->out->logp = v[k].logp;
    keep_again(h, x);
  }
  mem_put(&h->m, v, (size_t)q->n * sizeof *v);
  return bad;
}

/* ---- all of it ---- */

static norn_status share(asking *q)
{
  for (int k = 0; k < q->n; k++) {
    item *x = q->v + k;
    if (x->as < 0) continue;
    const lm_said *from = q->v[x->as].out;
    *x->out = *from;
    if (!from->text) continue;
    x->out->text = mem_get(q->h->base.m, from->n + 1);
    if (!x->out->text) return not_enough(q->h);
    memcpy(x->out->text, from->text, from->n + 1);
  }
  return NORN_OK;
}

/* A text with its stop inside is none that can be drawn. */
static void no_stop_inside(item *x)
{
  const lm_ask *a = x->a;
  for (size_t k = 0; a->given && a->nstop && k + a->nstop <= a->ngiven && !x->done; k++)
    if (memcmp(a->given + k, a->stop, a->nstop) == 0) {
      *x->out = (lm_said){ .scored = true, .logp = -(double)INFINITY };
      x->done = true;
    }
}

static norn_status work(asking *q)
{
  http *h = q->h;
  norn_status bad = NORN_OK;
  for (int k = 0; k < q->n; k++) {
    q->v[k] = (item){ .a = q->v[k].a, .out = q->v[k].out, .as = -1 };
    text_init(&q->v[k].key, &h->m);
  }
  for (int k = 0; k < q->n; k++) no_stop_inside(q->v + k);
  if (h->kind == HTTP_LLAMA) bad = http_ids(h, q->n, q->asks);
  if (!bad) bad = find_keys(q);
  for (int k = 0; k < q->n && !bad; k++)
    if (q->v[k].as < 0 && !q->v[k].done) from_cache(h, q->v + k);
  if (!bad) bad = h->kind == HTTP_LLAMA && q->v[0].a->given ? ask_scores(q) : ask_all(q);
  if (!bad && h->kind == HTTP_LLAMA && !q->v[0].a->given) bad = finish_scores(q);
  return bad ? bad : share(q);
}

norn_status http_texts(lm *l, int n, const lm_ask *asks, lm_said *out)
{
  http *h = http_of(l);
  if (n == 0) return NORN_OK;
  size_t many = (size_t)n;
  asking q = { .h = h, .n = n, .asks = asks, .v = mem_zero(&h->m, many * sizeof *q.v),
               .g = mem_zero(&h->m, many * sizeof *q.g),
               .of = mem_zero(&h->m, many * sizeof *q.of), .jobs = mem_zero(&h->m, many * sizeof *q.jobs) };
  norn_status bad = q.v && q.g && q.of && q.jobs ? NORN_OK : not_enough(h);
  memset(out, 0, many * sizeof *out);
  for (int k = 0; k < n && q.v; k++) q.v[k].a = asks + k, q.v[k].out = out + k;
  l->ledger.texts += many;
  if (!bad) bad = work(&q);
  for (int k = 0; k < n && q.v; k++) {
    if (q.v[k].key.m) text_free(&q.v[k].key);
    lm_tokens_free(l->st, &q.v[k].ids);
  }
  mem_put(&h->m, q.v, many * sizeof *q.v);
  mem_put(&h->m, q.g, many * sizeof *q.g);
  mem_put(&h->m, q.of, many * sizeof *q.of);
  mem_put(&h->m, q.jobs, many * sizeof *q.jobs);
  for (int k = 0; k < n && bad; k++) lm_said_free(l->st, out + k);
  return bad;
}
