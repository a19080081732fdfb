/* http_send.c: many requests at once.  What fails in a way that can pass (no connection, a time-out, 408, 409, 425,
   429, 5xx, an answer cut short) is asked again: after `Retry-After` where the server says so, else after
   .5 s * 2^tries (at most 30 s) times a number in [1/2, 1) that the request's seed gives, so that many clients do not
   come back together and the same program waits alike (exponential back-off with jitter).  429 and 503 hold all
   requests back, for the limit is the account's.  `rate` puts the same time between any two requests. */
#include "base/number.h"
#include "llm/http/http.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WAITS, FLIES, DONE };

norn_status http_no_memory(norn_state *st) { return norn_fail(st, NORN_EMEMORY, -1, "not enough memory"); }

bool http_has_key(const http *h, const char *s, size_t n)
{
  if (!h->key || h->nkey == 0 || n < h->nkey) return false;
  for (size_t k = 0; k + h->nkey <= n; k++)
    if (memcmp(s + k, h->key, h->nkey) == 0) return true;
  return false;
}

const char *http_shown(http *h, char *out, size_t room, const char *s, size_t n)
{
  size_t at = 0, k = 0;
  while (k < n && at + 12 < room) {
    uint32_t code;
    int wide = utf8_next(s + k, n - k, &code);
    if (h->key && h->nkey && k + h->nkey <= n && memcmp(s + k, h->key, h->nkey) == 0) {
      memcpy(out + at, "***", 3);
      at += 3;
      k += h->nkey;
    } else if (wide > 0 && code >= 32 && code != 127) {
      memcpy(out + at, s + k, (size_t)wide);
      at += (size_t)wide;
      k += (size_t)wide;
    } else {
      bool space = wide == 1 && (code == ' ' || code == '\n' || code == '\t' || code == '\r');
      if (!space) out[at++] = '?';
      else if (at && out[at - 1] != ' ') out[at++] = ' ';
      k++;
    }
  }
  memcpy(out + at, k < n ? "..." : "", k < n ? 4 : 1);
  return n ? out : "nothing";
}

/* ---- dates ---- */

/* Days since 1970 of a day of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
  y -= m <= 2;
  int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
  int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* RFC 9110, 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT"; -1: it is none. */
static int64_t date_of(const char *s)
{
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  int d, y, hour, minute, second, at = 0;
  char month[4] = "";
  const char *comma = strchr(s, ',');
  if (!comma) return -1;
  if (sscanf(comma + 1, " %2d %3s %4d %2d:%2d:%2d GMT%n", &d, month, &y, &hour, &minute, &second, &at) != 6 || !at)
    return -1;
  const char *m = strlen(month) == 3 ? strstr(months, month) : NULL;
  if (!m || (m - months) % 3 || d < 1 || d > 31 || y < 1970 || hour > 23 || minute > 59 || second > 60) return -1;
  if (hour < 0 || minute < 0 || second < 0) return -1;
  return days_of(y, (m - months) / 3 + 1, d) * 86400 + hour * 3600 + minute * 60 + second;
}

double http_retry_after(const char *s, int64_t date)
{
  char *end;
  while (*s == ' ') s++;
  if (*s >= '0' && *s <= '9') {
    double seconds = number_first(s, &end);
    return *end ? -1 : seconds;
  }
  int64_t then = date_of(s);
  return then < 0 ? -1 : then > date ? (double)(then - date) : 0;
}

/* ---- what came ---- */

typedef struct sender {
  http *h;
  http_batch *b;
  int flying, left;
  bool failed;
  norn_err first;                  /* of the first failure */
  int *at;                         /* (in_flight) job of a slot, or -1 */
} sender;

/* Exponential, within [1/2, 1) of it. */
static double back_off(const http_job *j)
{
  double wait = .5;
  for (int k = 1; k < j->tries && wait < 30; k++) wait *= 2;
  uint64_t r = hash_mix(j->seed ^ hash_mix((uint64_t)j->tries));
  return (wait < 30 ? wait : 30) * (.5 + (double)(r >> 11) * 0x1p-54);
}

static bool may_pass(int status)
{
  return status == 408 || status == 409 || status == 425 || status == 429 || (status >= 500 && status != 501);
}

/* An account without money is not a limit that passes. */
static bool has_word(const text *t, const char *word)
{
  size_t n = strlen(word);
  for (size_t k = 0; k + n <= t->n; k++)
    if (memcmp(t->s + k, word, n) == 0) return true;
  return false;
}

static const char *meaning(int status)
{
  switch (status) {
  case 400: return " (bad request)";
  case 401: return " (unauthorized)";
  case 403: return " (forbidden)";
  case 404: return " (not found)";
  case 408: return " (request time-out)";
  case 429: return " (too many requests)";
  case 500: return " (server error)";
  case 502: return " (bad gateway)";
  case 503: return " (unavailable)";
  default:  return status >= 300 && status < 400 ? " (it is elsewhere)" : "";
  }
}

static void hint_of(http *h, int status, const text *body)
{
  norn_state *st = h->base.st;
  if (status == 401 || status == 403) {
    if (h->key) norn_hint(st, "the key in the environment variable %s was not accepted", h->key_name);
    else norn_hint(st, "set the environment variable %s to the server's key", h->key_name);
  } else if (status == 404) {
    norn_hint(st, "is the URL right? it should end in /v1 and #MODEL should be a model that the server has");
  } else if (status == 429 && has_word(body, "insufficient_quota")) {
    norn_hint(st, "the account has no credit left");
  } else if (status == 429) {
    norn_hint(st, "rate = N sends at most N requests a minute; "
              "retries = N asks more often; what was answered is in the cache");
  } else if (status >= 300 && status < 400) {
    norn_hint(st, "redirections are not followed, since they could carry a key elsewhere: give the URL itself");
  } else if (status == 400 || status == 422) {
    norn_hint(st, "server = \"openai\" sends only what OpenAI documents; "
              "others: vllm, sglang, llama.cpp, llama-cpp-python");
  }
}

static norn_status refused(http *h, const http_job *j, const http_reply *r)
{
  char what[170], tries[40] = "";
  if (j->tries > 1) snprintf(tries, sizeof tries, ", %d times", j->tries);
  if (r->status)
    norn_fail(h->base.st, NORN_EIO, 0, "%.150s: status %d%s%s: %s", j->url, r->status, meaning(r->status), tries,
              http_shown(h, what, sizeof what, r->body.s, r->body.n));
  else norn_fail(h->base.st, NORN_EIO, 0, "%.150s: no answer%s: %s", j->url, tries, r->why);
  if (r->status) hint_of(h, r->status, &r->body);
  else norn_hint(h->base.st, "is the server running, and is it there? "
                 "timeout = SECONDS (now %g) and retries = N (now %d) wait longer",
                 h->timeout, h->retries);
  return NORN_EIO;
}

static void first_failure(sender *s)
{
  const norn_err *e = norn_error(s->h->base.st);
  if (!s->failed && e) s->first = *e;
  s->failed = true;
  norn_clear(s->h->base.st);
}

static void done(sender *s, http_job *j)
{
  j->state = DONE;
  s->left--;
}

/* Again later, or the failure (the error is set). */
static void again(sender *s, http_job *j, const http_reply *r)
{
  http *h = s->h;
  double wait = back_off(j);
  double asked = r && r->retry_after[0] ? http_retry_after(r->retry_after, h->wire.date(h->wire.self)) : -1;
  double now = h->wire.now(h->wire.self);
  bool limit = r && (r->status == 429 || r->status == 503);
  if (asked > h->patience) {
    norn_fail(h->base.st, NORN_EIO, 0,
              "%.150s: status %d: the server wants to be asked again in %.0f s", j->url, r->status, asked);
    norn_hint(h->base.st, "patience = %.0f waits that long; what was answered is in the cache", asked);
  } else if (j->tries <= h->retries && !s->failed) {
    norn_clear(h->base.st);
    if (asked >= 0) wait = asked + .1 * wait;
    j->state = WAITS;
    j->at = now + wait;
    if (limit && asked >= 0 && h->until < now + asked) h->until = now + asked;
    return;
  }
  first_failure(s);
  done(s, j);
}

static bool is_json(const char *type)
{
  return !type[0] || strcasestr(type, "json") != NULL;
}

static void wrong_type(http *h, const http_job *j, const http_reply *r)
{
  char what[170];
  norn_fail(h->base.st, NORN_EIO, 0, "%.150s: the answer is %.40s, not JSON: %s", j->url, r->type,
            http_shown(h, what, sizeof what, r->body.s, r->body.n));
  norn_hint(h->base.st, "is this an OpenAI-compatible server, and does the URL end in /v1?");
}

static void take(sender *s, int k, const http_reply *r)
{
  http *h = s->h;
  http_job *j = s->b->v + k;
  h->last = r->status;
  if (r->status == 200 && is_json(r->type)) {
    http_took took = s->b->take(s->b->user, k, r->body.n ? r->body.s : "", r->body.n);
    if (took == HTTP_TAKEN && http_record(h, j, r->body.s, r->body.n)) took = HTTP_REFUSED;
    if (took == HTTP_AGAIN) {
      again(s, j, r);
      return;
    }
    if (took == HTTP_REFUSED) first_failure(s);
    done(s, j);
    return;
  }
  bool passes = r->status == 0 || (may_pass(r->status) && !has_word(&r->body, "insufficient_quota"));
  if (r->status == 200) wrong_type(h, j, r);
  else refused(h, j, r);
  if (passes) {
    again(s, j, r);
    return;
  }
  first_failure(s);
  done(s, j);
}

/* ---- the loop ---- */

static int free_slot(const sender *s)
{
  for (int k = 0; k < s->h->in_flight; k++)
    if (s->at[k] < 0) return k;
  return -1;
}

static void start(sender *s, int k, int slot, double now)
{
  http *h = s->h;
  http_job *j = s->b->v + k;
  http_request r = { j->post, j->url, j->body.n ? j->body.s : "", h->key, j->body.n, h->timeout };
  if (!h->wire.send(h->wire.self, slot, &r)) {
    norn_fail(h->base.st, NORN_EIO, 0, "%.150s: the request can't be made (is that a URL, is there memory?)", j->url);
    h->wire.drop(h->wire.self, slot);
    first_failure(s);
    done(s, j);
    return;
  }
  j->state = FLIES;
  j->slot = slot;
  j->tries++;
  s->at[slot] = k;
  s->flying++;
  if (h->rate > 0) h->next = now + 60 / h->rate;
}

/* Starts what may start now; seconds until something else may. */
static double start_all(sender *s)
{
  http *h = s->h;
  double now = h->wire.now(h->wire.self), soonest = 3600;
  for (int k = 0; k < s->b->n && !s->failed; k++) {
    http_job *j = s->b->v + k;
    if (j->state != WAITS) continue;
    double from = j->at > h->next ? j->at : h->next;
    if (h->until > from) from = h->until;
    int slot = free_slot(s);
    if (slot < 0) break;
    if (from <= now) start(s, k, slot, now);
    else if (from - now < soonest) soonest = from - now;
  }
  return soonest;
}

/* After a failure: nothing waits any more. */
static void give_up(sender *s)
{
  for (int k = 0; k < s->b->n; k++)
    if (s->b->v[k].state == WAITS) done(s, s->b->v + k);
}

static norn_status loop(sender *s)
{
  http *h = s->h;
  while (s->left) {
    norn_status stop = norn_poll(h->base.st);
    if (stop) return stop;
    double wait = start_all(s);
    if (s->failed) give_up(s);
    if (!s->left) break;
    int slot = h->wire.wait(h->wire.self, wait < .1 ? wait : .1);
    if (slot < 0 || s->at[slot] < 0) continue;
    int k = s->at[slot];
    take(s, k, h->wire.reply(h->wire.self, slot));
    s->at[slot] = -1;
    s->flying--;
    h->wire.drop(h->wire.self, slot);
  }
  return NORN_OK;
}

/* Without a network: from the file. */
static norn_status replay(http *h, http_batch *b)
{
  for (int k = 0; k < b->n; k++) {
    const char *answer;
    size_t n;
    char what[200];
    http_job *j = b->v + k;
    if (!http_recorded(h, j, &answer, &n)) {
      norn_fail(h->base.st, NORN_EIO, 0, "%.100s has no answer to %.100s %s", h->store.replay, j->url,
                j->body.n ? http_shown(h, what, sizeof what, j->body.s, j->body.n) : "");
      norn_hint(h->base.st, "the program or its seed is not the one that was recorded: "
                "record = \"%.100s\" adds what is missing", h->store.replay);
      return NORN_EIO;
    }
    http_took took = b->take(b->user, k, answer, n);
    if (took != HTTP_TAKEN) return NORN_EIO;
  }
  return NORN_OK;
}

norn_status http_send(http *h, http_batch *b)
{
  sender s = { .h = h, .b = b, .left = b->n };
  if (http_replays(h)) return replay(h, b);
  s.at = mem_get(&h->m, (size_t)h->in_flight * sizeof *s.at);
  if (!s.at) return http_no_memory(h->base.st);
  for (int k = 0; k < h->in_flight; k++) s.at[k] = -1;
  for (int k = 0; k < b->n; k++) {
    const char *answer;
    size_t n;
    b->v[k].state = WAITS;
    b->v[k].tries = 0;
    b->v[k].at = 0;
    if (!http_recorded(h, b->v + k, &answer, &n)) continue;
    if (b->take(b->user, k, answer, n) != HTTP_TAKEN) first_failure(&s);
    done(&s, b->v + k);
  }
  norn_status bad = loop(&s);
  for (int k = 0; k < h->in_flight; k++)
    if (s.at[k] >= 0) h->wire.drop(h->wire.self, k);
  mem_put(&h->m, s.at, (size_t)h->in_flight * sizeof *s.at);
  if (bad || !s.failed) return bad;
  norn_fail(h->base.st, s.first.code, 0, "%s", s.first.text);
  if (s.first.hint[0]) norn_hint(h->base.st, "%s", s.first.hint);
  return s.first.code;
}

/* ---- one request ---- */

typedef struct single { http *h; text *out; } single;

static http_took take_single(void *user, int k, const char *body, size_t n)
{
  single *s = user;
  (void)k;
  s->out->n = 0;
  text_put(s->out, body, n);
  if (!s->out->failed) return HTTP_TAKEN;
  http_no_memory(s->h->base.st);
  return HTTP_REFUSED;
}

norn_status http_ask(http *h, bool post, const char *url, const char *body, size_t n, text *out)
{
  single s = { h, out };
  http_job j = { .post = post, .url = url, .seed = hash_bytes(url, strlen(url), 1) };
  http_batch b = { &j, 1, take_single, &s };
  text_init(&j.body, &h->m);
  text_put(&j.body, body, n);
  norn_status bad = j.body.failed ? http_no_memory(h->base.st) : http_send(h, &b);
  text_free(&j.body);
  return bad;
}
