/* Servers of language models without sockets: a wire with a clock of its own plays the server.  What is asked again and
   when, what is kept, what is believed. */
#include "base/base.h"
#include "llm/http/http.h"
#include "norn.h"
#include "unit.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a wire that plays ---- */

enum { SLOTS = 64 };
typedef struct play {
  double now;
  int sent, flying, most;          /* requests so far, under way, at most at once */
  double when[4096];               /* that each was sent */
  struct { bool flies; double at; http_reply r; char body[4096], key[64]; int number; } s[SLOTS];
  /* The answer to the number-th request. */
  void (*answer)(struct play *, int number, const char *url, const char *body, http_reply *, double *after);
  int fails;                       /* for `answer` */
  char seen[4096], key[64];        /* the last body and key */
  norn_state *interrupts;
  mem *m;
} play;

static bool play_send(void *self, int slot, const http_request *r)
{
  play *p = self;
  double after = .01;
  p->when[p->sent % 4096] = p->now;
  snprintf(p->seen, sizeof p->seen, "%.*s", (int)r->n, r->body);
  snprintf(p->key, sizeof p->key, "%s", r->key ? r->key : "");
  p->s[slot].flies = true;
  memset(&p->s[slot].r, 0, sizeof p->s[slot].r);
  text_init(&p->s[slot].r.body, p->m);
  p->answer(p, p->sent++, r->url, p->seen, &p->s[slot].r, &after);
  p->s[slot].at = p->now + after;
  if (++p->flying > p->most) p->most = p->flying;
  return true;
}

static int play_wait(void *self, double seconds)
{
  play *p = self;
  int first = -1;
  for (int k = 0; k < SLOTS; k++)
    if (p->s[k].flies && (first < 0 || p->s[k].at < p->s[first].at)) first = k;
  if (p->interrupts) norn_interrupt(p->interrupts);
  if (first < 0 || p->s[first].at > p->now + seconds) {
    p->now += seconds;
    return -1;
  }
  if (p->s[first].at > p->now) p->now = p->s[first].at;
  p->s[first].flies = false;
  p->flying--;
  return first;
}

static http_reply *play_reply(void *self, int slot) { return &((play *)self)->s[slot].r; }
static void play_drop(void *self, int slot)
{
  play *p = self;
  if (p->s[slot].flies) p->flying--;
  p->s[slot].flies = false;
  text_free(&p->s[slot].r.body);
}
static double play_now(void *self) { return ((play *)self)->now; }
static int64_t play_date(void *self) { return 784111777 + (int64_t)((play *)self)->now; }   /* 6 Nov 1994, 08:49:37 */
static void play_free(void *self) { (void)self; }

static void say(http_reply *r, int status, const char *body)
{
  r->status = status;
  snprintf(r->type, sizeof r->type, "application/json");
  text_puts(&r->body, body);
}

/* ---- a model of it ---- */

static char folder[] = "/tmp/test_httpXXXXXX";
static char models[200];

static norn_state *state_new(void)
{
  norn_config c = norn_config_default();
  c.quiet = true;
  norn_state *st = norn_new(&c);
  if (!st) exit(99);
  return st;
}

/* A record that says which kind of server it is, so that opening asks nobody. */
static void write_models(const char *owner, int nvocab)
{
  snprintf(models, sizeof models, "%s/models.%s", folder, owner);
  FILE *f = fopen(models, "w");
  if (!f) exit(99);
  fprintf(f, "{\"request\": \"GET http://fake/v1/models\\n\", \"answer\": \"{\\\"data\\\": [{\\\"id\\\": \\\"m\\\", \\\"owned_by\\\": "
             "\\\"%s\\\", \\\"meta\\\": {\\\"n_vocab\\\": %d}}]}\"}\n", owner, nvocab);
  fclose(f);
}

static http *model_new(norn_state *st, play *p, const char *owner, int nvocab, norn_datum cache)
{
  write_models(owner, nvocab);
  const char *const names[] = { "replay", "cache", "rate", "n", "in_flight", "patience", "end" };
  norn_datum v[] = { norn_cstring(st, models), cache, norn_real(0), norn_int(1), norn_int(4), norn_real(60), norn_cstring(st, "<|end|>") };
  lm *l = lm_open(st, "http://fake#m", norn_record(st, 7, names, v));
  if (!l) {
    fprintf(stderr, "%s\n", norn_error(st)->text);
    exit(99);
  }
  http *h = http_of(l);
  h->store.replay[0] = 0;
  h->wire = (http_wire){ p, play_send, play_wait, play_reply, play_drop, play_now, play_date, play_free };
  p->m = &h->m;
  return h;
}

static lm_ask draw_of(lm_node *at, uint64_t seed)
{
  return (lm_ask){ .at = at, .stop = "\n", .nstop = 1, .max = 20, .temperature = 1, .top_p = 1, .seed = seed };
}

static bool error_has(norn_state *st, const char *what)
{
  const norn_err *e = norn_error(st);
  bool has = e && (strstr(e->text, what) || strstr(e->hint, what));
  if (!has) fprintf(stderr, "the error is: %s / %s\n", e ? e->text : "", e ? e->hint : "");
  norn_clear(st);
  return has;
}

/* " yes" and the stop, of two tokens: -.5 - .25. */
#define CHOICE "{\"text\": \" yes\", \"index\": 0, \"finish_reason\": \"stop\", \"logprobs\": {\"tokens\": [\" yes\", \"\\n\"], " \
               "\"token_logprobs\": [-0.5, -0.25]}}"
#define USAGE "\"usage\": {\"prompt_tokens\": 3, \"completion_tokens\": 2}}"
static const char good[] = "{\"choices\": [" CHOICE "], " USAGE;

static void fine(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)p, (void)k, (void)url, (void)body, (void)after;
  say(r, 200, good);
}

static norn_status one(http *h, const char *context, uint64_t seed, lm_said *s)
{
  lm_node *at = lm_start(&h->base, context, strlen(context));
  lm_ask a = draw_of(at, seed);
  norn_status bad = http_texts(&h->base, 1, &a, s);
  lm_drop(at);
  return bad;
}

/* ---- tests ---- */

static void test_retry_after(void)
{
  CHECK_NEAR(http_retry_after("3", 0), 3, 0);
  CHECK_NEAR(http_retry_after(" 1.5", 0), 1.5, 0);
  /* RFC 9110's example is 784111777 seconds after 1970 */
  CHECK_NEAR(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111770), 7, 0);
  CHECK_NEAR(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111790), 0, 0);
  CHECK_NEAR(http_retry_after("Thu, 29 Feb 2024 00:00:00 GMT", 1709164799), 1, 0);
  CHECK(http_retry_after("soon", 0) < 0);
  CHECK(http_retry_after("3 minutes", 0) < 0);
  CHECK(http_retry_after("Sun, 06 Nxv 1994 08:49:37 GMT", 0) < 0);
  CHECK(http_retry_after("", 0) < 0);
}

static void busy(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)url, (void)body, (void)after;
  if (k < p->fails) {
    say(r, 429, "{\"error\": \"slow down\"}");
    snprintf(r->retry_after, sizeof r->retry_after, "7");
  } else say(r, 200, good);
}

static void broken(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)url, (void)body, (void)after;
  if (k < p->fails) say(r, 500, "oh");
  else say(r, 200, good);
}

static void cut(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)url, (void)body, (void)after;
  say(r, 200, k < p->fails ? "{\"choices\": [{\"text\": \" ye" : good);
}

static void dead(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)p, (void)k, (void)url, (void)body, (void)after;
  r->status = 0;
  snprintf(r->why, sizeof r->why, "Connection refused");
}

static void test_again(void)
{
  norn_state *st = state_new();
  play p = { .answer = busy, .fails = 2 };
  lm_said s;
  http *h = model_new(st, &p, "vllm", 0, norn_bool(false));
  CHECK(one(h, "Is it?", 1, &s) == NORN_OK);
  CHECK_STR(s.text, " yes");
  CHECK(s.scored && s.stopped);
  CHECK_NEAR(s.logp, -.75, 0);
  CHECK(p.sent == 3);
  CHECK(p.when[1] - p.when[0] >= 7 && p.when[1] - p.when[0] < 7.5);
  CHECK(h->base.ledger.prompt_tokens == 3 && h->base.ledger.answer_tokens == 2 && h->base.ledger.texts == 1);
  lm_said_free(st, &s);
  /* exponential, by the seed, to the same times again */
  double gap[2][3];
  for (int round = 0; round < 2; round++) {
    p.answer = broken, p.fails = 3, p.sent = 0, p.now = 0, h->until = 0;
    CHECK(one(h, "Is it?", 5, &s) == NORN_OK);
    CHECK(p.sent == 4);
    for (int k = 0; k < 3; k++) gap[round][k] = p.when[k + 1] - p.when[k];
    lm_said_free(st, &s);
  }
  for (int k = 0; k < 3; k++) {
    CHECK_NEAR(gap[0][k], gap[1][k], 1e-9);
    CHECK(gap[0][k] >= .25 * (1 << k) && gap[0][k] < .5 * (1 << k) + .2);
  }
  p.answer = cut, p.fails = 2, p.sent = 0;
  CHECK(one(h, "Is it?", 9, &s) == NORN_OK);
  CHECK(p.sent == 3);
  lm_said_free(st, &s);
  CHECK(h->base.ledger.prompt_tokens == 12 && h->base.ledger.answer_tokens == 8);
  p.answer = cut, p.fails = 100, p.sent = 0;
  CHECK(one(h, "Is it?", 9, &s) == NORN_EIO);
  CHECK(p.sent == 6);
  CHECK(error_has(st, "cut short"));
  p.answer = dead, p.sent = 0;
  CHECK(one(h, "Is it?", 9, &s) == NORN_EIO);
  CHECK(p.sent == 6);
  CHECK(error_has(st, "no answer, 6 times: Connection refused"));
  lm_close(&h->base);
  norn_free(st);
}

static void long_wait(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)p, (void)k, (void)url, (void)body, (void)after;
  say(r, 429, "{}");
  snprintf(r->retry_after, sizeof r->retry_after, "3600");
}

static void no_key(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)k, (void)url, (void)body, (void)after;
  char line[200];
  snprintf(line, sizeof line, "{\"error\": \"wrong key %s\"}", p->key);
  say(r, 401, line);
}

static void page(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)p, (void)k, (void)url, (void)body, (void)after;
  say(r, 200, "<html>Welcome</html>");
  snprintf(r->type, sizeof r->type, "text/html; charset=utf-8");
}

static void test_never_again(void)
{
  norn_state *st = state_new();
  play p = { .answer = long_wait };
  lm_said s;
  http *h = model_new(st, &p, "vllm", 0, norn_bool(false));
  CHECK(one(h, "a", 1, &s) == NORN_EIO && p.sent == 1 && error_has(st, "asked again in 3600 s"));
  p.answer = no_key, p.sent = 0;
  CHECK(one(h, "a", 1, &s) == NORN_EIO && p.sent == 1 && error_has(st, "NORN_LLM_KEY"));
  p.answer = page, p.sent = 0;
  CHECK(one(h, "a", 1, &s) == NORN_EIO && p.sent == 1 && error_has(st, "text/html"));
  lm_close(&h->base);
  /* a key is sent and not shown */
  setenv("NORN_LLM_KEY", "sk-very-secret", 1);
  h = model_new(st, &p, "vllm", 0, norn_bool(false));
  p.answer = no_key, p.sent = 0;
  CHECK(one(h, "a", 1, &s) == NORN_EIO);
  CHECK_STR(p.key, "sk-very-secret");
  CHECK(!strstr(norn_error(st)->text, "secret") && !strstr(norn_error(st)->hint, "secret"));
  CHECK(error_has(st, "wrong key ***"));
  unsetenv("NORN_LLM_KEY");
  lm_close(&h->base);
  norn_free(st);
}

static void one_bad(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)p, (void)url, (void)body;
  *after = 1 + .001 * k;
  if (k == 5) *after = .5, say(r, 400, "{\"error\": \"no\"}");
  else say(r, 200, good);
}

static norn_status many(http *h, int n, lm_said *s)
{
  lm_ask a[40];
  lm_node *at = lm_start(&h->base, "many", 4);
  for (int k = 0; k < n; k++) a[k] = draw_of(at, 100 + (uint64_t)k);
  norn_status bad = http_texts(&h->base, n, a, s);
  lm_drop(at);
  for (int k = 0; k < n && !bad; k++) lm_said_free(h->base.st, s + k);
  return bad;
}

static int files_in(const char *path)
{
  DIR *d = opendir(path);
  int n = 0;
  for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
  if (d) closedir(d);
  return n;
}

static void warned(void *user, const norn_err *e)
{
  ++*(int *)user;
  CHECK(strstr(e->text, "damaged") != NULL);
}

static void damage(const char *path)
{
  char name[600];
  DIR *d = opendir(path);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (e->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    FILE *f = fopen(name, "r+b");
    fseek(f, -3, SEEK_END);
    fputc('!', f);
    fclose(f);
    break;
  }
  if (d) closedir(d);
}

static void test_batch(void)
{
  norn_state *st = state_new();
  int warnings = 0;
  char cache[200];
  snprintf(cache, sizeof cache, "%s/cache", folder);
  norn_on_warning(st, warned, &warnings);
  play p = { .answer = one_bad };
  lm_said s[40];
  http *h = model_new(st, &p, "vllm", 0, norn_cstring(st, cache));
  CHECK(many(h, 20, s) == NORN_EIO);
  CHECK(error_has(st, "status 400"));
  CHECK(p.most == 4);
  /* those under way when it failed were taken and kept, nothing was sent after it */
  int kept = files_in(cache);
  CHECK(p.sent >= 6 && p.sent < 12 && kept == p.sent - 1);
  CHECK(h->base.ledger.answer_tokens == 2 * (uint64_t)kept);
  p.answer = fine, p.sent = 0;
  CHECK(many(h, 20, s) == NORN_OK);
  CHECK(p.sent == 20 - kept && files_in(cache) == 20);
  CHECK(h->base.ledger.cached == (uint64_t)kept);
  p.sent = 0;
  CHECK(many(h, 20, s) == NORN_OK && p.sent == 0);
  damage(cache);
  CHECK(many(h, 20, s) == NORN_OK && p.sent == 1);
  CHECK(warnings == 1);
  p.sent = 0;
  CHECK(many(h, 20, s) == NORN_OK && p.sent == 0);
  /* the same asked twice in one call goes out once */
  lm_ask a[2];
  lm_node *at = lm_start(&h->base, "twice", 5);
  a[0] = a[1] = draw_of(at, 7);
  CHECK(http_texts(&h->base, 2, a, s) == NORN_OK && p.sent == 1);
  CHECK_STR(s[1].text, " yes");
  lm_said_free(st, s), lm_said_free(st, s + 1);
  /* another draw, another stop: another key */
  a[0].seed = 8, a[1].stop = "!";
  CHECK(http_texts(&h->base, 2, a, s) == NORN_OK && p.sent == 3);
  lm_said_free(st, s), lm_said_free(st, s + 1);
  lm_drop(at);
  lm_close(&h->base);
  norn_free(st);
}

static void groups(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  (void)url, (void)after;
  const char *n = strstr(body, "\"n\": ");
  int want = n ? atoi(n + 5) : 0, give = p->fails && want > p->fails ? p->fails : want;
  (void)k;
  say(r, 200, "{\"choices\": [");
  for (int i = 0; i < give; i++) text_puts(&r->body, i ? ", " CHOICE : CHOICE);
  text_puts(&r->body, "], \"usage\": {\"prompt_tokens\": 3, \"completion_tokens\": ");
  text_printf(&r->body, "%d}}", 2 * give);
}

static void test_groups(void)
{
  norn_state *st = state_new();
  play p = { .answer = groups };
  lm_said s[40];
  http *h = model_new(st, &p, "vllm", 0, norn_bool(false));
  h->choices = 4;
  CHECK(many(h, 10, s) == NORN_OK && p.sent == 3);
  CHECK(h->base.ledger.prompt_tokens == 9 && h->base.ledger.answer_tokens == 20);
  p.fails = 1, p.sent = 0;                         /* a server that answers once whatever n is */
  CHECK(many(h, 10, s) == NORN_OK && p.sent == 3 + 7);
  CHECK(h->base.ledger.answer_tokens == 40);
  /* a minute's rate: the same time between any two */
  h->rate = 30, h->choices = 1, p.fails = 0, p.sent = 0, p.now = 1000;
  CHECK(many(h, 10, s) == NORN_OK && p.sent == 10);
  for (int k = 1; k < 10; k++) CHECK(p.when[k] - p.when[k - 1] >= 2 - 1e-9);
  p.interrupts = st;
  CHECK(many(h, 10, s) == NORN_EINTERRUPT);
  norn_clear(st);
  p.interrupts = NULL;
  CHECK(p.flying == 0);
  lm_close(&h->base);
  norn_free(st);
}

static void test_record(void)
{
  norn_state *st = state_new();
  play p = { .answer = fine };
  lm_said s[40];
  char file[200];
  snprintf(file, sizeof file, "%s/record", folder);
  http *h = model_new(st, &p, "vllm", 0, norn_bool(false));
  snprintf(h->store.record, sizeof h->store.record, "%s", file);
  CHECK(many(h, 5, s) == NORN_OK && p.sent == 5);
  CHECK(many(h, 7, s) == NORN_OK && p.sent == 7);
  lm_close(&h->base);
  h = model_new(st, &p, "vllm", 0, norn_bool(false));
  http_store_close(h);
  const char *const names[] = { "replay", "cache" };
  norn_datum v[] = { norn_cstring(st, file), norn_bool(false) };
  CHECK(http_store_open(h, norn_record(st, 2, names, v)) == NORN_OK);
  CHECK(many(h, 7, s) == NORN_OK && p.sent == 7);
  CHECK(many(h, 8, s) == NORN_EIO);
  CHECK(error_has(st, "has no answer to"));
  lm_close(&h->base);
  FILE *f = fopen(file, "a");
  fputs("{\"request\": 5}\n", f);
  fclose(f);
  h = model_new(st, &p, "vllm", 0, norn_bool(false));
  http_store_close(h);
  CHECK(http_store_open(h, norn_record(st, 2, names, v)) == NORN_EIO);
  CHECK(error_has(st, "record:8: not a line"));
  lm_close(&h->base);
  norn_free(st);
}

/* ---- what is believed ---- */

static http_took choice_of(http *h, const char *json, lm_said *s)
{
  norn_datum v;
  lm_ask a = draw_of(h->base.root, 1);
  norn_clear(h->base.st);
  http_took took = http_record_of(h, json, strlen(json), &v);
  return took == HTTP_TAKEN ? http_choice(h, &a, v, s) : took;
}

/* { text, finish, tokens, logprobs } and what is said of it: NaN: no score; 2: refused. */
static void test_choices(void)
{
  static const struct { const char *text, *how, *tokens, *logps; double want; } all[] = {
    { " yes", "stop", "\" yes\", \"\\n\"", "-0.5, -0.25", -.75 },
    { " yes", "stop", "\" yes\", \"\\n\\n\"", "-0.5, -0.25", -.75 },      /* the stop within a token */
    { " yes", "stop", "\" yes\", \"<|end|>\"", "-0.5, -1", -1.5 },        /* the model's end by its name */
    { " yes", "stop", "\" yes\"", "-0.5", NAN },                          /* the stop was left out */
    { " yes", "stop", "\" yes\", \" no\"", "-0.5, -1", NAN },
    { " yes", "length", "\" y\", \"es\"", "-0.5, -0.125", -.625 },
    { " yes", "length", "\" y\"", "-0.5", NAN },                          /* a token is missing */
    { " yes", "length", "\" y\", \"es\"", "-0.5, null", NAN },            /* a number is missing */
    { " \xe2\x82\xac", "length", "\" \", \"bytes:\\\\xe2\", \"bytes:\\\\x82\\\\xac\"", "-0.5, -1, -2", -3.5 },
    { " \xef\xbf\xbd", "length", "\" \", \"bytes:\\\\xe2\"", "-0.5, -1", NAN },   /* ends inside a character */
    { " yes", "length", "\" y\", \"es\"", "-0.5, 0.7", 2 },               /* above 0 */
    { " yes", "length", "\" y\", \"es\"", "-0.5", 2 },                    /* one number for two tokens */
    { " yes\n no", "stop", "\" yes\"", "-0.5", 2 },                       /* the stop inside */
    { " yes", "content_filter", "\" yes\"", "-0.5", 2 },
    { "", "stop", "\"\\n\"", "-0.5", -.5 },
  };
  norn_state *st = state_new();
  play p = { .answer = fine };
  char json[600], quoted[60];
  http *h = model_new(st, &p, "vllm", 0, norn_bool(false));
  for (int k = 0; k < NORN_COUNT(all); k++) {
    lm_said s = { .text = NULL };
    int n = 0;
    for (const char *c = all[k].text; *c; c++) n += snprintf(quoted + n, sizeof quoted - (size_t)n, *c == '\n' ? "\\n" : "%c", *c);
    quoted[n] = 0;
    snprintf(json, sizeof json, "{\"text\": \"%s\", \"finish_reason\": \"%s\", \"logprobs\": {\"tokens\": [%s], \"token_logprobs\": [%s]}}", quoted,
             all[k].how, all[k].tokens, all[k].logps);
    http_took took = choice_of(h, json, &s);
    CHECK((took == HTTP_REFUSED) == (all[k].want == 2));
    if (took == HTTP_TAKEN) {
      CHECK_STR(s.text, all[k].text);
      CHECK(s.scored == !isnan(all[k].want));
      if (s.scored) CHECK_NEAR(s.logp, all[k].want, 0);
      CHECK(s.stopped == (strcmp(all[k].how, "stop") == 0));
    }
    if (unit.failed) fprintf(stderr, "(case %d)\n", k);
    lm_said_free(st, &s);
  }
  lm_said s;
  CHECK(choice_of(h, "{\"text\": \"a\", \"finish_reason\": \"length\"}", &s) == HTTP_TAKEN && !s.scored);
  lm_said_free(st, &s);
  /* a chat: bytes are believed before names */
  CHECK(choice_of(h, "{\"message\": {\"content\": \"\xc3\xa9\"}, \"finish_reason\": \"length\", \"logprobs\": {\"content\": [{\"token\": \"?\", "
                     "\"logprob\": -1, \"bytes\": [195]}, {\"token\": \"?\", \"logprob\": -2, \"bytes\": [169]}]}}", &s) == HTTP_TAKEN);
  CHECK(s.scored);
  CHECK_NEAR(s.logp, -3, 0);
  lm_said_free(st, &s);
  CHECK(choice_of(h, "{\"finish_reason\": \"stop\"}", &s) == HTTP_REFUSED);
  CHECK(choice_of(h, "{\"text\": \"\xff\", \"finish_reason\": \"stop\"}", &s) == HTTP_AGAIN);
  lm_close(&h->base);
  norn_free(st);
}

/* p(" yes") (p("\n") + p("\n\n") + p(end)): e^-.5 (.25 + .125 + .5); what is left out is none. */
#define TOPS "{\"\\n\": -1.3862943611198906, \"\\n\\n\": -2.0794415416798357, \"<|end|>\": -0.6931471805599453, \"x\": -2.0794415416798357}"
static const char echoed[] =
    "{\"choices\": [{\"text\": \"\", \"finish_reason\": \"length\", \"logprobs\": {\"tokens\": [\"<s>\", \"Is\", \" it?\", \" yes\", \" z\"], "
    "\"token_logprobs\": [null, -3, -4, -0.5, -9], \"top_logprobs\": [null, {}, {}, {\" yes\": -0.5}, " TOPS "]}}], "
    "\"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": 1}}";

static http_took echo_of(http *h, const char *body, const char *given, int max, lm_said *s)
{
  text prompt, t;
  size_t from;
  lm_node *at = lm_start(&h->base, "Is it?", 6);
  lm_ask a = draw_of(at, 1);
  a.given = given, a.ngiven = strlen(given), a.max = max;
  text_init(&prompt, &h->m);
  text_init(&t, &h->m);
  norn_clear(h->base.st);
  CHECK(http_echo_body(h, &a, &t, &prompt, &from) == NORN_OK);
  http_took took = http_echo(h, body, strlen(body), &prompt, from, &a, s);
  text_free(&prompt);
  text_free(&t);
  lm_drop(at);
  return took;
}

static void test_echo(void)
{
  norn_state *st = state_new();
  play p = { .answer = fine };
  lm_said s;
  char body[sizeof echoed + 100];
  http *h = model_new(st, &p, "vllm", 0, norn_bool(false));
  CHECK(echo_of(h, echoed, " yes", 20, &s) == HTTP_TAKEN && s.scored);
  CHECK_NEAR(s.logp, -.5 + log(.875), 1e-12);
  CHECK(echo_of(h, echoed, " yes", 1, &s) == HTTP_TAKEN);             /* cut there: no stop */
  CHECK_NEAR(s.logp, -.5, 0);
  CHECK(echo_of(h, echoed, " yes", 0, &s) == HTTP_TAKEN && s.logp == -(double)INFINITY);
  CHECK(echo_of(h, echoed, " no", 20, &s) == HTTP_REFUSED && error_has(st, "are not the prompt"));
  snprintf(body, sizeof body, "%s", echoed);
  memcpy(strstr(body, "\" it?\", \" yes\""), "\" it? \", \"yes\"", 14);
  CHECK(echo_of(h, body, " yes", 20, &s) == HTTP_REFUSED && error_has(st, "lies across the end of the context"));
  snprintf(body, sizeof body, "%s", echoed);
  memcpy(strstr(body, "\"x\": -2.079"), "\"x\": -2.080", 11);                 /* not all of the probability */
  CHECK(echo_of(h, body, " yes", 20, &s) == HTTP_REFUSED && error_has(st, "how likely the text ends"));
  snprintf(body, sizeof body, "%s", echoed);
  memcpy(strstr(body, "-0.5, -9"), "null, -9", 8);
  CHECK(echo_of(h, body, " yes", 20, &s) == HTTP_REFUSED && error_has(st, "without log-probability"));
  lm_close(&h->base);
  norn_free(st);
}

/* ---- llama-server: a vocabulary of 4: "a", "b", "ab", the end ---- */

static const double next[4] = { .5, .25, .125, .125 };

static void llama(play *p, int k, const char *url, const char *body, http_reply *r, double *after)
{
  static const char *const pieces[] = { "97", "98", "97, 98", "" };
  (void)k, (void)after;
  if (strstr(url, "/props")) say(r, 200, "{\"bos_token\": \"\", \"eos_token\": \"<e>\"}");
  else if (strstr(url, "/tokenize")) {
    const char *s = strstr(body, "\"content\": \"") + 12;
    say(r, 200, "{\"tokens\": [");
    for (bool first = true; *s != '"'; first = false) {
      int t = strncmp(s, "<e>", 3) == 0 ? 3 : strncmp(s, "ab", 2) == 0 ? 2 : *s == 'b';
      s += t == 3 ? 3 : t == 2 ? 2 : 1;
      text_printf(&r->body, first ? "%d" : ", %d", t);
    }
    text_puts(&r->body, "]}");
  } else {
    int n = p->fails ? 3 : 4;
    say(r, 200, "{\"content\": \"a\", \"tokens_evaluated\": 1, \"completion_probabilities\": [{\"id\": 0, \"token\": \"x\\\"]}\", \"logprob\": -1, "
                "\"top_logprobs\": [");
    for (int i = 0; i < n; i++)
      text_printf(&r->body, "%s{\"id\": %d, \"token\": \"\", \"bytes\": [%s], \"logprob\": %.9g}", i ? ", " : "", 3 - i, pieces[3 - i], log(next[3 - i]));
    text_puts(&r->body, "]}], \"generation_settings\": {\"x\": [1, {\"y\": \"]\"}]}}");
  }
}

static double score_llama(http *h, const char *given, const char *stop, int max, double temperature)
{
  lm_said s = { .text = NULL };
  lm_node *at = lm_start(&h->base, "a", 1);
  lm_ask a = { .at = at, .stop = stop, .nstop = strlen(stop), .max = max, .temperature = temperature, .top_p = 1, .given = given, .ngiven = strlen(given) };
  CHECK(http_texts(&h->base, 1, &a, &s) == NORN_OK);
  lm_drop(at);
  return s.logp;
}

static void test_llama(void)
{
  norn_state *st = state_new();
  play p = { .answer = llama };
  http *h = model_new(st, &p, "llamacpp", 4, norn_bool(false));
  h->end[0] = 0;
  /* "ab" is one token; the end behind it */
  CHECK_NEAR(score_llama(h, "ab", "", 9, 1), log(.125) + log(.125), 1e-6);
  CHECK_NEAR(score_llama(h, "ab", "b", 9, 1), -INFINITY, 0);               /* its stop inside */
  CHECK_NEAR(score_llama(h, "a", "b", 9, 1), log(.5) + log(.25 + .125), 1e-6);
  CHECK_NEAR(score_llama(h, "b", "a", 9, 1), log(.25) + log(.5 + .125 + .125), 1e-6);   /* "ab" begins with the stop too */
  CHECK_NEAR(score_llama(h, "b", "ab", 1, 1), log(.25), 1e-6);
  CHECK_NEAR(score_llama(h, "a", "b", 1, 1), log(.5), 1e-6);
  CHECK_NEAR(score_llama(h, "aa", "b", 1, 1), -INFINITY, 0);
  /* temperature .5: squares */
  double z = .25 + .0625 + 2 * .015625;
  CHECK_NEAR(score_llama(h, "a", "b", 9, .5), log(.25 / z) + log((.0625 + .015625) / z), 1e-6);
  CHECK(h->base.vocab.n == 4 && h->base.vocab.end == 3 && h->base.vocab.kind[3] == LM_END);
  lm_said s = { .text = NULL };
  lm_node *at = lm_start(&h->base, "b", 1);
  lm_ask a = { .at = at, .stop = "ab", .nstop = 2, .max = 9, .temperature = 1, .top_p = 1, .given = "b", .ngiven = 1 };
  CHECK(http_texts(&h->base, 1, &a, &s) == NORN_EDOMAIN);                   /* "a" is a part of it */
  CHECK(error_has(st, "tokens = true"));
  a.nstop = 0;
  p.fails = 1;                                                              /* a token is missing */
  CHECK(http_texts(&h->base, 1, &a, &s) == NORN_EIO);
  CHECK(error_has(st, "of 4 tokens 3 have a probability"));
  lm_drop(at);
  lm_close(&h->base);
  norn_free(st);
}

/* ---- cut anywhere, changed anywhere: no crash, and nothing is taken from half an answer ---- */

static void test_cut(void)
{
  norn_state *st = state_new();
  play p = { .answer = fine };
  http *h = model_new(st, &p, "vllm", 0, norn_bool(false));
  norn_datum v;
  int64_t cost[2];
  char body[sizeof echoed];
  lm_said s;
  for (size_t n = 0; n < sizeof good - 1; n++) CHECK(http_choices(h, good, n, &v, cost, cost + 1) == HTTP_AGAIN);
  uint64_t r = 1;
  for (int k = 0; k < 3000; k++) {
    r = hash_mix(r + 0x9e3779b97f4a7c15u);
    memcpy(body, echoed, sizeof echoed);
    body[r % (sizeof echoed - 1)] = (char)(r >> 32);
    body[(r >> 16) % (sizeof echoed - 1)] = (char)(r >> 40);
    echo_of(h, body, " yes", 20, &s);
  }
  norn_clear(st);
  lm_close(&h->base);
  norn_free(st);
}

int main(void)
{
  if (!mkdtemp(folder)) return 99;
  setenv("XDG_CACHE_HOME", folder, 1);
  unsetenv("NORN_LLM_KEY");
  unsetenv("OPENAI_API_KEY");
  test_retry_after();
  test_again();
  test_never_again();
  test_batch();
  test_groups();
  test_record();
  test_choices();
  test_echo();
  test_llama();
  test_cut();
  char clean[60];
  snprintf(clean, sizeof clean, "rm -rf %s", folder);
  if (system(clean)) return 99;
  return unit_end();
}
