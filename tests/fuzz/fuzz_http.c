/* fuzz_http.c: any bytes are a server's answers: texts, scores, a vocabulary, the distribution of a token and a chat's
   prompt are taken from them, or there is an error.  The first byte says which kind of server it is, the second what is asked
   for.  The rest are the answers of each path (AT_COMPLETIONS, ...; the last is also that of all behind it), parted by a
   byte 0x1e, and those to one request after the other, parted by 0x1d, of which the last is given for ever.  What is believed
   must be possible: a text without its stop, a log-probability that is none above 0. */
#include "llm/http/http.h"
#include "norn.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

/* ---- a wire that gives what it has ---- */

enum { SLOTS = 4, MOST = 400 };
typedef struct play {
  struct { const char *s, *end; } at[AT_COUNT];    /* the answers of each path that are left */
  int sent;
  double now;
  bool flies[SLOTS];
  http_reply r[SLOTS];
  mem *m;
} play;

static bool play_send(void *self, int slot, const http_request *q)
{
  play *p = self;
  int path = q->url[strlen(q->url) - 1] - '0';
  if (p->sent++ >= MOST) return false;
  const char *s = p->at[path].s, *end = p->at[path].end, *mark = memchr(s, 0x1d, (size_t)(end - s));
  if (mark) p->at[path].s = mark + 1;
  p->r[slot] = (http_reply){ .status = 200, .type = "application/json" };
  text_init(&p->r[slot].body, p->m);
  text_put(&p->r[slot].body, s, (size_t)((mark ? mark : end) - s));
  return p->flies[slot] = true;
}

static int play_wait(void *self, double seconds)
{
  play *p = self;
  for (int k = 0; k < SLOTS; k++)
    if (p->flies[k]) {
      p->flies[k] = false;
      return k;
    }
  p->now += seconds + 1e-3;
  return -1;
}

static http_reply *play_reply(void *self, int slot) { return &((play *)self)->r[slot]; }
static void play_drop(void *self, int slot)
{
  play *p = self;
  p->flies[slot] = false;
  text_free(&p->r[slot].body);
}
static double play_now(void *self) { return ((play *)self)->now; }
static int64_t play_date(void *self) { return (int64_t)((play *)self)->now; }
static void play_free(void *self) { (void)self; }

/* ---- what is asked ---- */

static void want(bool yes)
{
  if (!yes) abort();
}

static http *server(norn_state *st, play *p, http_kind kind)
{
  lm *l = lm_new(st, &lm_http_row, "http://fuzz#m");
  if (!l) return NULL;
  http *h = http_of(l);
  http_start(h);
  p->m = &h->m;
  h->kind = kind;
  h->in_flight = SLOTS;
  h->choices = 2;
  h->top = 5;
  h->nvocab = 12;
  h->timeout = h->patience = 10;
  l->can = LM_SAMPLES | LM_SCORES;
  strcpy(h->url, "http://fuzz/v1");
  strcpy(h->model, "m");
  for (int k = 0; k < AT_COUNT; k++) snprintf(h->at[k], sizeof h->at[k], "http://fuzz/%d", k);
  h->wire = (http_wire){ p, play_send, play_wait, play_reply, play_drop, play_now, play_date, play_free };
  return h;
}

/* Two texts, drawn, or `given`. */
static void texts(http *h, lm_node *at, const char *stop, const char *given, double temperature)
{
  lm_ask a[2];
  lm_said s[2];
  size_t n = strlen(stop);
  for (int k = 0; k < 2; k++)
    a[k] = (lm_ask){ .at = at, .stop = stop, .nstop = n, .max = 6, .temperature = temperature, .top_p = 1,
                     .given = given, .ngiven = given ? strlen(given) : 0, .seed = (uint64_t)k };
  if (http_texts(&h->base, 2, a, s)) return;
  for (int k = 0; k < 2; k++) {
    want(given ? s[k].scored && !s[k].text : s[k].text != NULL);
    want(!s[k].scored || s[k].logp <= 1e-2);
    if (s[k].text) want(s[k].text[s[k].n] == 0 && s[k].tokens >= 0);
    for (size_t i = 0; s[k].text && n && i + n <= s[k].n; i++) want(memcmp(s[k].text + i, stop, n));
    lm_said_free(h->base.st, s + k);
  }
}

/* The distribution of the next token, of a model of tokens. */
static void tokens(http *h)
{
  if (http_vocab_open(h)) return;
  const lm_vocab *v = &h->base.vocab;
  double sum = 0;
  size_t bytes = 0;
  h->base.can |= LM_TOKENS;
  for (int k = 0; k < v->n; k++)
    for (uint32_t i = v->at[k]; i < v->at[k + 1]; i++) bytes += v->bytes[i];
  want(v->begin < v->n && v->end < v->n && bytes < 1 << 20);
  lm_node *at = lm_start(&h->base, "ab", 2);
  if (!at) return;
  if (!lm_eval(&h->base, &at, 1)) {
    for (int k = 0; k < v->n; k++) sum += exp((double)at->logp[k]);
    want(fabs(sum - 1) < 1e-3);
  }
  lm_drop(at);
}

static void chat(http *h)
{
  static const char *const names[] = { "role", "content" };
  norn_state *st = h->base.st;
  const norn_datum v[] = { norn_cstring(st, "user"), norn_cstring(st, "hi") };
  norn_datum message = norn_record(st, 2, names, v), all = norn_array_pack(st, &message, 1);
  lm_node *node = NULL;
  text t;
  text_init(&t, &h->m);
  if (!norn_is_none(all) && !http_chat(&h->base, all, &t, &node) && node) texts(h, node, "b", NULL, 1);
  if (node) lm_drop(node);
  text_free(&t);
}

static void part(play *p, const char *s, const char *end)
{
  for (int k = 0; k < AT_COUNT; k++) {
    const char *mark = memchr(s, 0x1e, (size_t)(end - s));
    p->at[k].s = s;
    p->at[k].end = mark ? mark : end;
    if (mark) s = mark + 1;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  norn_config c = norn_config_default();
  c.max_memory = 256 << 20;
  c.quiet = true;
  norn_state *st = n > 2 ? norn_new_bare(&c) : NULL;
  play p = { 0 };
  if (!st) return 0;
  part(&p, (const char *)s + 2, (const char *)s + n);
  int what = s[1] % 8;
  http *h = server(st, &p, (http_kind)(s[0] % HTTP_KINDS));
  if (h && what < 4) snprintf(h->end, sizeof h->end, "<end>");
  lm_node *at = h ? lm_start(&h->base, what == 7 ? "" : "ab", what == 7 ? 0 : 2) : NULL;
  if (at && what % 4 == 0) texts(h, at, "b", NULL, 1);
  if (at && what % 4 == 1) texts(h, at, what == 1 ? "\n" : "", "ab", 1);
  if (at && what % 4 == 2) texts(h, at, "\n", NULL, .5);
  if (at && what == 3) tokens(h);
  if (at && what == 7) chat(h);
  if (at) lm_drop(at);
  if (h) lm_close(&h->base);
  norn_free(st);
  return 0;
}

#include "replay.h"
