/* http_answer.c: what a server said, believed only as far as it fits together.

   A draw is scored if the tokens with their log-probabilities, put end to end, are the text and what ended it: the stop
   (whose last token may hold more), or a last token that names the end.  Otherwise the text counts, but has no score:
   servers leave tokens out that end inside a character, and some the stop or the end.  What can't be right (a
   log-probability above 0, more tokens than asked for, a stop inside the text) is an error. */
#include "llm/http/http.h"
#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same(const char *a, size_t na, const char *b, size_t nb) { return na == nb && memcmp(a, b, na) == 0; }

static size_t find_bytes(const char *s, size_t n, const char *what, size_t m)
{
  for (size_t k = 0; m && k + m <= n; k++)
    if (memcmp(s + k, what, m) == 0) return k;
  return n;
}

http_took http_lies(http *h, const char *body, size_t n, const char *format, ...)
{
  char what[300], came[140];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  norn_fail(h->base.st, NORN_EIO, 0, "%s; it said: %s", what, http_shown(h, came, sizeof came, body, n));
  return HTTP_REFUSED;
}

/* Where the string that begins at s[at], a quote, ends: behind its other quote, or n. */
static size_t string_end(const char *s, size_t n, size_t at)
{
  for (at++; at < n && s[at] != '"'; at++)
    if (s[at] == '\\') at++;
  return at < n ? at + 1 : n;
}

/* A vocabulary may have a token of the byte 0, by which llama-cpp-python names a field among the likeliest; no name of
   a field has it here.  There it is the noncharacter U+FFFF from now on, which no text has. */
static void put_without_nul(text *t, const char *s, size_t n)
{
  static const char nul[] = "\\u0000", other[] = "\\uffff";
  for (size_t k = 0; k < n;) {
    if (s[k] != '"') {
      text_putc(t, s[k++]);
      continue;
    }
    size_t end = string_end(s, n, k), next = end;
    while (next < n && strchr(" \t\r\n", s[next])) next++;
    bool name = next < n && s[next] == ':';
    while (k < end) {
      bool is = name && k + sizeof nul - 1 < end && memcmp(s + k, nul, sizeof nul - 1) == 0;
      size_t wide = is ? sizeof nul - 1 : s[k] == '\\' && k + 1 < end ? 2 : 1;
      text_put(t, is ? other : s + k, wide);
      k += wide;
    }
  }
}

static norn_status read_json(http *h, const char *body, size_t n, norn_datum *out)
{
  text t;
  norn_status bad = json_read(h->base.st, "answer", body, n, JSON_IO_EXACT, out);
  if (!bad || find_bytes(body, n, "\\u0000", 6) == n) return bad;
  text_init(&t, &h->m);
  put_without_nul(&t, body, n);
  if (!t.failed) {
    norn_clear(h->base.st);
    bad = json_read(h->base.st, "answer", t.n ? t.s : "", t.n, JSON_IO_EXACT, out);
  }
  text_free(&t);
  return bad;
}

http_took http_record_of(http *h, const char *body, size_t n, norn_datum *out)
{
  char why[160], came[120];
  *out = norn_none();
  if (read_json(h, body, n, out)) {
    const norn_err *e = norn_error(h->base.st);
    if (e && e->code == NORN_EMEMORY) return HTTP_REFUSED;
    snprintf(why, sizeof why, "%.150s", e ? e->text : "");
    norn_clear(h->base.st);
    norn_fail(h->base.st, NORN_EIO, 0, "%.150s: %s; it said: %s", h->url, why,
              http_shown(h, came, sizeof came, body, n));
    norn_hint(h->base.st, "an answer is a JSON object in UTF-8: this one was cut short, or is none");
    return HTTP_AGAIN;
  }
  if (norn_record_size(*out) >= 0) return HTTP_TAKEN;
  return http_lies(h, body, n, "%.150s: the answer is no object", h->url);
}

const char *http_field(http *h, norn_datum record, const char *name, size_t *n)
{
  if (norn_record_size(record) < 0) return NULL;
  return norn_string_view(norn_record_get(h->base.st, record, name), n);
}

bool http_number(http *h, norn_datum record, const char *name, double *out)
{
  return norn_record_size(record) >= 0 && norn_as_real(norn_record_get(h->base.st, record, name), out);
}

static norn_datum get(http *h, norn_datum record, const char *name)
{
  return norn_record_size(record) < 0 ? norn_none() : norn_record_get(h->base.st, record, name);
}

/* ---- tokens with their log-probabilities ---- */

/* bytes of token k: [at[k], at[k + 1]) of `all`; logp NaN: not given. */
typedef struct scored {
  text all;
  size_t *at, cat, clogp;
  double *logp;
  int n;
} scored;

static void scored_free(http *h, scored *s)
{
  text_free(&s->all);
  mem_put(&h->m, s->at, s->cat * sizeof *s->at);
  mem_put(&h->m, s->logp, s->clogp * sizeof *s->logp);
}

static bool scored_room(http *h, scored *s)
{
  return mem_grow(&h->m, &s->at, &s->cat, (size_t)s->n + 2, sizeof *s->at) &&
         mem_grow(&h->m, &s->logp, &s->clogp, (size_t)s->n + 1, sizeof *s->logp);
}

/* OpenAI's way to write bytes that are no character: bytes:\xe2\x80 */
static void put_piece(text *t, const char *s, size_t n)
{
  static const char mark[] = "bytes:";
  size_t m = sizeof mark - 1, k = m;
  bool bytes = n > m && memcmp(s, mark, m) == 0;
  for (; bytes && k < n; k += 4) bytes = k + 4 <= n && s[k] == '\\' && s[k + 1] == 'x';
  if (!bytes) {
    text_put(t, s, n);
    return;
  }
  for (k = m; k < n; k += 4) {
    char two[3] = { s[k + 2], s[k + 3], 0 };
    text_putc(t, (char)strtol(two, NULL, 16));
  }
}

/* Token, or its bytes where they are given. */
static void put_token(http *h, text *t, norn_datum e, const char *s, size_t n)
{
  norn_view v;
  norn_datum b = get(h, e, "bytes");
  if (norn_array_view(b, &v) && v.elem == NORN_I64) {
    for (int64_t k = 0; k < v.n; k++) text_putc(t, (char)v.i[k]);
    return;
  }
  put_piece(t, s, n);
}

/* One token more; the log-probability may be missing. */
static http_took scored_add(http *h, scored *s, norn_datum e, const char *piece, size_t n, norn_datum logp)
{
  double x = (double)NAN;
  if (!scored_room(h, s)) {
    http_no_memory(h->base.st);
    return HTTP_REFUSED;
  }
  s->at[s->n] = s->all.n;
  put_token(h, &s->all, e, piece, n);
  if (norn_as_real(logp, &x) && !(x <= 1e-4))
    return http_lies(h, piece, n, "%.150s: a token's log-probability is %g, which is above 0", h->url, x);
  s->logp[s->n++] = x > 0 ? 0 : x;
  s->at[s->n] = s->all.n;
  return HTTP_TAKEN;
}

/* { tokens: [...], token_logprobs: [...] } of completions. */
static http_took read_columns(http *h, norn_datum tokens, norn_datum logps, scored *s)
{
  int64_t n = norn_array_length(tokens);
  if (norn_array_length(logps) != n)
    return http_lies(h, "", 0, "%.150s: logprobs has %lld tokens and %lld log-probabilities", h->url, (long long)n,
                     (long long)norn_array_length(logps));
  for (int64_t k = 0; k < n; k++) {
    size_t len;
    const char *piece = norn_string_view(norn_array_at(h->base.st, tokens, k), &len);
    if (!piece) return http_lies(h, "", 0, "%.150s: token %lld of logprobs is no string", h->url, (long long)k);
    http_took took = scored_add(h, s, norn_none(), piece, len, norn_array_at(h->base.st, logps, k));
    if (took != HTTP_TAKEN) return took;
  }
  return HTTP_TAKEN;
}

/* [{ token: , logprob: , bytes: }, ...] of chats. */
static http_took read_rows(http *h, norn_datum rows, scored *s)
{
  int64_t n = norn_array_length(rows);
  for (int64_t k = 0; k < n; k++) {
    size_t len;
    norn_datum e = norn_array_at(h->base.st, rows, k);
    const char *piece = http_field(h, e, "token", &len);
    if (!piece) return http_lies(h, "", 0, "%.150s: token %lld of logprobs is no string", h->url, (long long)k);
    http_took took = scored_add(h, s, e, piece, len, get(h, e, "logprob"));
    if (took != HTTP_TAKEN) return took;
  }
  return HTTP_TAKEN;
}

/* s->n stays 0 where a choice has none. */
static http_took read_logprobs(http *h, norn_datum logprobs, scored *s)
{
  memset(s, 0, sizeof *s);
  text_init(&s->all, &h->m);
  norn_datum tokens = get(h, logprobs, "tokens"), rows = get(h, logprobs, "content");
  if (norn_array_length(tokens) > 0) return read_columns(h, tokens, get(h, logprobs, "token_logprobs"), s);
  return norn_array_length(rows) > 0 ? read_rows(h, rows, s) : HTTP_TAKEN;
}

/* ---- a draw ---- */

/* Is token k the end of a text by its name? */
static bool names_end(const http *h, const scored *s, int k)
{
  const char *p = s->all.s + s->at[k];
  size_t n = s->at[k + 1] - s->at[k], m = strlen(h->end);
  if (m) return same(p, n, h->end, m);
  return n == 0 || (n > 2 && p[0] == '<' && p[n - 1] == '>');
}

/* How many tokens make up the text and what ended it; 0: they do not fit. */
static int tokens_of(const http *h, const lm_ask *a, const scored *s, const char *what, size_t n, bool stopped)
{
  const char *all = s->all.n ? s->all.s : "";
  if (s->n == 0 || s->n > a->max || s->all.n < n || memcmp(all, what, n)) return 0;
  if (!stopped) return s->all.n == n ? s->n : 0;
  if (a->nstop && n + a->nstop <= s->all.n && find_bytes(all, s->all.n, a->stop, a->nstop) == n) {
    int k = 0;
    while (s->at[k] < n + a->nstop) k++;
    return k;                                       /* the token that ends behind the stop, if it is the last */
  }
  return s->at[s->n - 1] == n && names_end(h, s, s->n - 1) ? s->n : 0;
}

/* llama-cpp-python: behind an empty prompt each token has its log-probability in the distribution after it. */
static void score(const http *h, const lm_ask *a, const scored *s, lm_said *out)
{
  bool own = a->temperature == 1 && a->top_p == 1;   /* else the server's numbers are of another distribution */
  if (h->kind == HTTP_LLAMA_PYTHON && http_begins(a->at)) own = false;
  int n = own ? tokens_of(h, a, s, out->text ? out->text : "", out->n, out->stopped) : 0;
  double sum = 0;
  for (int k = 0; k < n; k++) sum += s->logp[k];
  out->scored = n > 0 && !isnan(sum);
  out->logp = out->scored ? sum : 0;
}

static http_took keep_text(http *h, const char *s, size_t n, lm_said *out)
{
  out->text = mem_get(h->base.m, n + 1);
  if (!out->text) {
    http_no_memory(h->base.st);
    return HTTP_REFUSED;
  }
  memcpy(out->text, s, n);
  out->text[n] = 0;
  out->n = n;
  return HTTP_TAKEN;
}

/* "stop" or "length"; llama-server: "eos", "word" or "limit". */
static http_took ended(http *h, const char *how, size_t n, bool *stopped)
{
  char came[60];
  *stopped = same(how, n, "stop", 4) || same(how, n, "eos", 3) || same(how, n, "word", 4);
  if (*stopped || same(how, n, "length", 6) || same(how, n, "limit", 5)) return HTTP_TAKEN;
  norn_fail(h->base.st, NORN_EIO, 0, "%.200s: the text ended by \"%s\", not by its stop or its length", h->url,
            http_shown(h, came, sizeof came, how, n));
  norn_hint(h->base.st, "such a text is no draw of the model; \"content_filter\" "
            "means that the server withheld some of it");
  return HTTP_REFUSED;
}

http_took http_choice(http *h, const lm_ask *a, norn_datum choice, lm_said *out)
{
  scored s;
  size_t n = 0, nhow = 0;
  norn_datum message = get(h, choice, "message");
  const char *how = http_field(h, choice, "finish_reason", &nhow);
  const char *said = http_field(h, choice, norn_record_size(message) < 0 ? "text" : "content", &n);
  if (norn_record_size(message) >= 0) said = http_field(h, message, "content", &n);
  if (norn_record_size(message) >= 0 && !said) said = "", n = 0;
  if (!said || !how) return http_lies(h, "", 0, "%.150s: a choice has no text or no finish_reason", h->url);
  memset(out, 0, sizeof *out);
  http_took took = ended(h, how, nhow, &out->stopped);
  if (took != HTTP_TAKEN) return took;
  if (find_bytes(said, n, a->stop, a->nstop) < n)
    return http_lies(h, said, n, "%.150s: the text holds the stop at which it should have ended", h->url);
  took = read_logprobs(h, get(h, choice, "logprobs"), &s);
  if (took == HTTP_TAKEN && s.n > a->max + 1)
    took = http_lies(h, said, n, "%.150s: at most %d tokens were asked for, and %d came", h->url, a->max, s.n);
  if (took == HTTP_TAKEN) took = keep_text(h, said, n, out);
  if (took == HTTP_TAKEN) score(h, a, &s, out);
  if (took == HTTP_TAKEN) out->tokens = s.n;
  scored_free(h, &s);
  return took;
}

http_took http_choices(http *h, const char *body, size_t n, norn_datum *choices, int64_t *prompt, int64_t *answer)
{
  norn_datum v;
  double x;
  http_took took = http_record_of(h, body, n, &v);
  if (took != HTTP_TAKEN) return took;
  *choices = get(h, v, "choices");
  if (norn_array_length(*choices) < 1) {
    took = http_lies(h, body, n, "%.150s: the answer has no \"choices\"", h->url);
    norn_hint(h->base.st, "is this an OpenAI-compatible server?");
    return took;
  }
  norn_datum usage = get(h, v, "usage");
  *prompt = http_number(h, usage, "prompt_tokens", &x) && x >= 0 && x < 1e15 ? (int64_t)x : 0;
  *answer = http_number(h, usage, "completion_tokens", &x) && x >= 0 && x < 1e15 ? (int64_t)x : 0;
  return HTTP_TAKEN;
}

/* ---- llama-server ---- */

norn_datum http_native_choice(http *h, norn_datum v)
{
  static const char *const names[] = { "content", "tokens", "stop_type", "probs", "logp" };
  norn_datum rows = get(h, v, "completion_probabilities");
  norn_datum all[5] = { get(h, v, "content"), get(h, v, "tokens"), get(h, v, "stop_type") };
  int64_t n = norn_array_length(rows);
  void *p = NULL;
  n = n > 0 ? n : 0;
  all[3] = norn_array(h->base.st, NORN_VALUES, 1, &n, &p);
  norn_datum *to = p;
  for (int64_t k = 0; k < n && to; k++) {
    static const char *const row[] = { "id", "logprob" };
    norn_datum e = norn_array_at(h->base.st, rows, k), pair[2] = { get(h, e, row[0]), get(h, e, row[1]) };
    to[k] = norn_is_none(pair[0]) || norn_is_none(pair[1]) ? norn_none() : norn_record(h->base.st, 2, row, pair);
    if (norn_is_none(to[k])) return norn_none();
  }
  all[4] = norn_missing();
  for (int k = 0; k < 4; k++)
    if (norn_is_none(all[k])) return norn_none();
  return norn_record(h->base.st, 5, names, all);
}

/* The first *known tokens have their log-probabilities, whose sum goes to *sum: the server drops those of the stop, and
   of tokens that end inside a character. */
static http_took known_of(http *h, norn_datum probs, const lm_tokens *ids, int *known, double *sum, bool *whole)
{
  int64_t n = norn_array_length(probs);
  double id = -1, x;
  *known = 0;
  *sum = 0;
  bool going = true;
  for (int64_t k = 0; k < n; k++) {
    norn_datum e = norn_array_at(h->base.st, probs, k);
    if (!http_number(h, e, "id", &id) || !http_number(h, e, "logprob", &x) || !(x <= 1e-4))
      return http_lies(h, "", 0, "%.150s: token %lld of completion_probabilities has no log-probability",
                       h->at[AT_NATIVE], (long long)k);
    going = going && *known < ids->n && (double)ids->v[*known] == id;
    if (going) *sum += x > 0 ? 0 : x, ++*known;
  }
  *whole = ids->n > 0 && n > 0 && id == ids->v[ids->n - 1];
  return HTTP_TAKEN;
}

http_took http_native(http *h, const lm_ask *a, norn_datum choice, lm_said *out, lm_tokens *ids, int *known)
{
  size_t n = 0, nhow = 0;
  norn_view w;
  bool whole = false;
  double sum = 0, logp;
  const char *said = http_field(h, choice, "content", &n), *how = http_field(h, choice, "stop_type", &nhow);
  norn_datum tokens = get(h, choice, "tokens");
  memset(out, 0, sizeof *out);
  if (!said || !how || !norn_array_view(tokens, &w) || (w.n && w.elem != NORN_I64))
    return http_lies(h, "", 0, "%.150s: the answer lacks content, tokens or stop_type", h->at[AT_NATIVE]);
  if (w.n > a->max)
    return http_lies(h, said, n, "%.150s: at most %d tokens were asked for, and %lld came",
                     h->at[AT_NATIVE], a->max, (long long)w.n);
  if (find_bytes(said, n, a->stop, a->nstop) < n)
    return http_lies(h, said, n, "%.150s: the text holds the stop at which it should have ended", h->at[AT_NATIVE]);
  ids->n = 0;
  for (int64_t k = 0; k < w.n; k++)
    if (!lm_tokens_add(h->base.st, ids, (lm_token)w.i[k])) return HTTP_REFUSED;
  http_took took = ended(h, how, nhow, &out->stopped);
  if (took == HTTP_TAKEN) took = known_of(h, get(h, choice, "probs"), ids, known, &sum, &whole);
  if (took == HTTP_TAKEN) took = keep_text(h, said, n, out);
  out->tokens = ids->n;
  bool own = a->temperature == 1 && a->top_p == 1;
  if (http_number(h, choice, "logp", &logp)) out->scored = true, out->logp = logp, *known = ids->n;
  else if (own && *known == ids->n) out->scored = true, out->logp = sum;
  /* What was cut inside a character is not what its tokens say; neither is another distribution's number. */
  else if (!own || (!out->stopped && !whole)) *known = -1;
  else out->logp = sum;
  return took;
}

/* ---- an echo ---- */

/* The first of the prompt's own tokens: servers put a begin token in front. */
static int first_token(const scored *s, const text *prompt)
{
  for (int k = 0; k < 2 && k < s->n; k++) {
    size_t at = s->at[k], rest = s->all.n - at;
    if (rest >= prompt->n && memcmp(s->all.s + at, prompt->s, prompt->n) == 0) return k;
  }
  return -1;
}

/* The token that begins at byte `at` of the prompt; -1: none does. */
static int token_from(const scored *s, int first, size_t at)
{
  for (int k = first; k <= s->n; k++)
    if (s->at[k] - s->at[first] == at) return k;
  return -1;
}

static http_took straddles(http *h, const scored *s, int first, size_t at, const char *what)
{
  char piece[60];
  int k = first;
  while (k + 1 < s->n && s->at[k + 1] - s->at[first] <= at) k++;
  norn_fail(h->base.st, NORN_EDOMAIN, 0,
            "%.150s: its token \"%s\" lies across the end of the %s, so what follows can't be scored apart",
            h->url, http_shown(h, piece, sizeof piece, s->all.s + s->at[k], s->at[k + 1] - s->at[k]), what);
  norn_hint(h->base.st, "end the context elsewhere (before a space, not behind it); "
            "llama-server takes tokens and has no such limit");
  return HTTP_REFUSED;
}

/* That the text is over at position k: the probability of the end and of all tokens that begin with the stop, among the
   likeliest, of which it is asked that what they leave out could not change it.  If the end has no name, only the stop
   is known, and has to be all but certain. */
static http_took over_of(http *h, norn_datum logprobs, int k, const lm_ask *a, double *out)
{
  norn_datum tops = get(h, logprobs, "top_logprobs"), v;
  norn_datum at = k < norn_array_length(tops) ? norn_array_at(h->base.st, tops, k) : norn_none();
  double p, over = 0, all = 0;
  bool end = false, parts = false, nameless = h->kind == HTTP_LLAMA_PYTHON && !h->end[0];
  int n = norn_record_size(at);
  for (int i = 0; i < n; i++) {
    const char *name = norn_record_at(h->base.st, at, i, &v);
    size_t len = strlen(name);
    if (!norn_as_real(v, &p) || !(p <= 1e-4))
      return http_lies(h, name, len, "%.150s: a log-probability of top_logprobs is none", h->url);
    all += exp(p);
    bool ends = h->end[0] && strcmp(name, h->end) == 0;
    bool stops = a->nstop && len >= a->nstop && memcmp(name, a->stop, a->nstop) == 0;
    end = end || ends;
    if (ends || stops) over += exp(p);
    else if (len && len < a->nstop && memcmp(name, a->stop, len) == 0) parts = true;
  }
  *out = log(over);
  double known = h->end[0] ? all : over;         /* any of the others may be the end if it has no name */
  if (!parts && (a->nstop ? over > 0 && 1 - known <= 1e-6 * over : end)) return HTTP_TAKEN;
  norn_fail(h->base.st, NORN_EIO, 0,
            "%.150s does not say how likely the text ends here: its %d likeliest tokens %s",
            h->url, n < 0 ? 0 : n,
            parts ? "have parts of the stop" : nameless ? "do not name the end" : !h->end[0] ? "lack a name for the end"
            : a->nstop ? "are not all of them" : "lack the end");
  norn_hint(h->base.st, nameless ? "llama-cpp-python has no name for the end of a text, so only a stop that is all but "
            "certain can be scored; top = N asks for more of the likeliest; a llama-server with tokens = true gives all"
            : "end = \"NAME\", as the server writes the end token; top = N asks for more of "
            "the likeliest; a llama-server with tokens = true gives all");
  return HTTP_REFUSED;
}

/* llama-cpp-python takes a begin token off an echo and pairs what is left with the distributions from the first on:
   right where there was one, of which usage says one token more; else each token is looked up in the distribution
   after it. */
static http_took begin_token(http *h, int64_t counted, int there)
{
  if (h->kind != HTTP_LLAMA_PYTHON || counted == there + 1) return HTTP_TAKEN;
  norn_fail(h->base.st, NORN_EIO, 0, "%.150s can't score texts of this model: it has no begin token (%d tokens of the "
            "prompt, of which the server counts %lld), without which llama-cpp-python gives log-probabilities of wrong "
            "tokens", h->url, there, (long long)counted);
  norn_hint(h->base.st, "llama-server scores this model; draws are right, and have scores");
  return HTTP_REFUSED;
}

/* p(text) p(it is over there); one of `max` tokens was cut there. */
static http_took echo_score(http *h, norn_datum logprobs, const scored *s, int64_t counted, const text *prompt,
                            size_t from, const lm_ask *a, lm_said *out)
{
  int first = first_token(s, prompt);
  if (first < 0) return http_lies(h, s->all.s, s->all.n, "%.150s: the echo's tokens are not the prompt", h->url);
  int k = token_from(s, first, from), end = token_from(s, first, prompt->n),
      room = end < 0 || k < 0 ? 0 : a->max - (end - k);
  if (k < 0) return straddles(h, s, first, from, "context");
  if (end < 0) return straddles(h, s, first, prompt->n, "text");
  if (begin_token(h, counted, end - first) != HTTP_TAKEN) return HTTP_REFUSED;
  double over = 0, sum = room < 0 ? -(double)INFINITY : 0;
  out->scored = true;
  out->stopped = room > 0;
  out->tokens = end - k;
  for (; k < end; k++) sum += s->logp[k];
  if (isnan(sum))
    return http_lies(h, s->all.s, s->all.n, "%.150s: the echo has tokens without log-probability", h->url);
  http_took took = room > 0 ? over_of(h, logprobs, end, a, &over) : HTTP_TAKEN;
  out->logp = sum + over;
  return took;
}

http_took http_echo(http *h, const char *body, size_t n, const text *prompt, size_t from, const lm_ask *a, lm_said *out)
{
  scored s;
  int64_t cost[2];
  norn_datum choices;
  memset(out, 0, sizeof *out);
  http_took took = http_choices(h, body, n, &choices, cost, cost + 1);
  if (took != HTTP_TAKEN) return took;
  h->base.ledger.prompt_tokens += (uint64_t)cost[0];
  h->base.ledger.answer_tokens += (uint64_t)cost[1];
  norn_datum logprobs = get(h, norn_array_at(h->base.st, choices, 0), "logprobs");
  took = read_logprobs(h, logprobs, &s);
  if (took == HTTP_TAKEN && s.n == 0) {
    took = http_lies(h, body, n, "%.150s: the echo has no log-probabilities", h->url);
    norn_hint(h->base.st, "llama-cpp-python has them with --logits_all true; other servers may have no prompt scores");
  }
  if (took == HTTP_TAKEN) took = echo_score(h, logprobs, &s, cost[0], prompt, from, a, out);
  scored_free(h, &s);
  return took;
}
