/* http_open.c: a server by its URI, "http://localhost:8080/v1#model", and what it is asked under.

   Which kind of server it is says GET /models ("owned_by"), or the option `server`: they differ in
   which parameters shape the distribution beside OpenAI's, and in what can be scored.  The key
   comes from the environment alone: NORN_LLM_KEY, or OPENAI_API_KEY, which goes by https or to this
   machine only; `key_env` names another. */
#include "llm/http/http.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- options ---- */

/* Those of http_store.c too. */
static const char *const option_names[] = { "in_flight", "timeout", "patience", "retries", "rate", "n", "top", "end",
                                            "server", "tokens", "echo", "key_env", "cache", "record", "replay", NULL };

static norn_datum option(http *h, norn_datum options, const char *name)
{
  return norn_is_none(options) ? norn_none() : norn_record_get(h->base.st, options, name);
}

static bool want_number(http *h, norn_datum options, const char *name, double least, double most,
                        bool whole, double *out)
{
  char got[100];
  double x;
  norn_datum v = option(h, options, name);
  if (norn_is_none(v)) return true;
  bool well = norn_as_real(v, &x) && x >= least && x <= most && (!whole || x == (double)(int64_t)x);
  if (well) *out = x;
  else norn_fail(h->base.st, NORN_EDOMAIN, 1, "the option %s is %s; it has to be %s from %g to %g", name,
                 norn_describe(h->base.st, v, got, sizeof got), whole ? "a whole number" : "a number", least, most);
  return well;
}

static bool want_int(http *h, norn_datum options, const char *name, int least, int most, int *out)
{
  double x = *out;
  bool well = want_number(h, options, name, least, most, true, &x);
  *out = (int)x;
  return well;
}

static bool want_bool(http *h, norn_datum options, const char *name, bool *out)
{
  char got[100];
  norn_datum v = option(h, options, name);
  if (norn_is_none(v)) return true;
  if (norn_kind_of(v) == NORN_BOOL) {
    *out = v.i != 0;
    return true;
  }
  norn_fail(h->base.st, NORN_ETYPE, 1, "the option %s is %s; it has to be true or false", name,
            norn_describe(h->base.st, v, got, sizeof got));
  return false;
}

static bool want_text(http *h, norn_datum options, const char *name, char *out, size_t room)
{
  char got[100];
  size_t n;
  norn_datum v = option(h, options, name);
  if (norn_is_none(v)) return true;
  const char *s = norn_string_view(v, &n);
  if (s && n > 0 && n < room && !memchr(s, 0, n)) {
    memcpy(out, s, n + 1);
    return true;
  }
  norn_fail(h->base.st, NORN_ETYPE, 1, "the option %s is %s; it has to be a string of 1 to %zu bytes", name,
            norn_describe(h->base.st, v, got, sizeof got), room - 1);
  return false;
}

/* kind: HTTP_KINDS: the server is asked. */
static bool want_kind(http *h, norn_datum options)
{
  char s[40] = "";
  h->kind = HTTP_KINDS;
  if (!want_text(h, options, "server", s, sizeof s)) return false;
  for (int k = 0; k < HTTP_KINDS && s[0]; k++)
    if (strcmp(s, http_kind_names[k]) == 0) h->kind = (http_kind)k;
  if (!s[0] || h->kind < HTTP_KINDS) return true;
  norn_fail(h->base.st, NORN_EDOMAIN, 1,
            "the option server is \"%s\"; it has to be openai, vllm, sglang, llama.cpp or llama-cpp-python", s);
  return false;
}

static bool read_options(http *h, norn_datum options)
{
  h->in_flight = 8;
  h->retries = 5;
  h->choices = 1;
  h->timeout = 120;
  h->patience = 120;
  return want_int(h, options, "in_flight", 1, 1000, &h->in_flight) &&
         want_int(h, options, "retries", 0, 100, &h->retries) && want_int(h, options, "n", 1, 128, &h->choices) &&
         want_int(h, options, "top", 1, 1000000, &h->top) &&
         want_number(h, options, "timeout", .001, 86400, false, &h->timeout) &&
         want_number(h, options, "patience", 0, 86400, false, &h->patience) &&
         want_number(h, options, "rate", 0, 1e6, false, &h->rate) && want_bool(h, options, "tokens", &h->tokens) &&
         want_bool(h, options, "echo", &h->echo) && want_text(h, options, "end", h->end, sizeof h->end) &&
         want_text(h, options, "key_env", h->key_name, sizeof h->key_name) && want_kind(h, options) &&
         !http_store_open(h, options);
}

/* ---- the URI ---- */

static norn_status bad_url(http *h, const char *why)
{
  norn_fail(h->base.st, NORN_EDOMAIN, 0, "the URI of a server %s", why);
  norn_hint(h->base.st, "for example llm(\"http://localhost:8080/v1#model\")");
  return NORN_EDOMAIN;
}

/* A URI that may hold a secret is not shown. */
static norn_status read_url(http *h, const char *rest)
{
  static const char *const paths[AT_COUNT] = { "/completions", "/chat/completions", "/completion",
                                               "/tokenize", "/apply-template", "/models", "/props" };
  const char *mark = strchr(rest, '#'), *end = mark ? mark : rest + strlen(rest);
  size_t scheme = strlen(h->base.row->scheme), n = (size_t)(end - rest);
  if (n < 3 || strncmp(rest, "//", 2)) return bad_url(h, "begins with http:// or https:// and a host");
  if (n + scheme + 40 > HTTP_PATH) return bad_url(h, "is too long");
  if (mark && strlen(mark + 1) >= sizeof h->model) return bad_url(h, "names a model of more than 255 bytes");
  for (const char *p = rest; p < end; p++) {
    if (*p == '@')
      return bad_url(h, "holds a name or a password (@): a key belongs in the environment variable NORN_LLM_KEY");
    if (*p == '?') return bad_url(h, "has a query (?): a key belongs in the environment variable NORN_LLM_KEY");
    if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 127)
      return bad_url(h, "holds a space or a character that is no ASCII");
  }
  while (n > 3 && rest[n - 1] == '/') n--;
  bool bare = memchr(rest + 2, '/', n - 2) == NULL;
  snprintf(h->url, sizeof h->url, "%s:%.*s%s", h->base.row->scheme, (int)n, rest, bare ? "/v1" : "");
  snprintf(h->model, sizeof h->model, "%s", mark ? mark + 1 : "");
  size_t root = strlen(h->url);
  if (root > 3 && strcmp(h->url + root - 3, "/v1") == 0) root -= 3;
  for (int k = 0; k < AT_COUNT; k++) {
    bool native = k == AT_NATIVE || k == AT_TOKENIZE || k == AT_TEMPLATE || k == AT_PROPS;
    snprintf(h->at[k], HTTP_PATH, "%.*s%s", (int)(native ? root : strlen(h->url)), h->url, paths[k]);
  }
  return NORN_OK;
}

static bool here_or_safe(const http *h)
{
  static const char *const hosts[] = { "//localhost", "//127.", "//[::1]" };
  const char *host = strstr(h->url, "//");
  if (strcmp(h->base.row->scheme, "https") == 0) return true;
  for (int k = 0; k < NORN_COUNT(hosts); k++)
    if (strncasecmp(host, hosts[k], strlen(hosts[k])) == 0) return true;
  return false;
}

static norn_status find_key(http *h)
{
  bool asked = h->key_name[0] != 0;
  if (!asked) snprintf(h->key_name, sizeof h->key_name, "NORN_LLM_KEY");
  const char *key = getenv(h->key_name);
  if (!asked && (!key || !*key) && here_or_safe(h)) {
    key = getenv("OPENAI_API_KEY");
    if (key && *key) snprintf(h->key_name, sizeof h->key_name, "OPENAI_API_KEY");
  }
  if (asked && (!key || !*key)) {
    norn_fail(h->base.st, NORN_EIO, 1, "the environment variable %s, which key_env names, is not set", h->key_name);
    norn_hint(h->base.st, "set it to the server's key before norn is started");
    return NORN_EIO;
  }
  if (!key || !*key) return NORN_OK;
  for (const char *p = key; *p; p++)
    if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 127)
      return norn_fail(h->base.st, NORN_EIO, 0,
                       "the key in %s holds a space or a character that is no ASCII", h->key_name);
  h->nkey = strlen(key);
  h->key = mem_get(&h->m, h->nkey + 1);
  if (!h->key) return http_no_memory(h->base.st);
  memcpy(h->key, key, h->nkey + 1);
  return NORN_OK;
}

/* ---- which server it is ---- */

static http_kind kind_of(const char *owner, size_t n)
{
  static const struct { const char *owner; http_kind kind; } owners[] = {
    { "llamacpp", HTTP_LLAMA }, { "vllm", HTTP_VLLM }, { "sglang", HTTP_SGLANG }, { "me", HTTP_LLAMA_PYTHON },
    { "openai", HTTP_PLAIN }, { "openai-internal", HTTP_PLAIN }, { "system", HTTP_PLAIN },
  };
  for (int k = 0; k < NORN_COUNT(owners) && owner; k++)
    if (n == strlen(owners[k].owner) && strncmp(owner, owners[k].owner, n) == 0) return owners[k].kind;
  return HTTP_KINDS;
}

/* The entry of our model in the list, or the first. */
static norn_datum entry_of(http *h, norn_datum list)
{
  size_t n;
  norn_datum first = norn_none();
  for (int64_t k = 0; k < norn_array_length(list); k++) {
    norn_datum e = norn_array_at(h->base.st, list, k);
    const char *id = http_field(h, e, "id", &n);
    if (id && n < sizeof h->model && strcmp(id, h->model) == 0) return e;
    if (norn_is_none(first) && id) first = e;
  }
  return first;
}

static void take_entry(http *h, norn_datum entry)
{
  double x;
  size_t n;
  norn_datum meta = norn_record_size(entry) < 0 ? norn_none() : norn_record_get(h->base.st, entry, "meta");
  const char *id = http_field(h, entry, "id", &n), *owner;
  if (!h->model[0] && id && n < sizeof h->model) memcpy(h->model, id, n + 1);
  owner = http_field(h, entry, "owned_by", &n);
  http_kind kind = kind_of(owner, n);
  if (h->kind == HTTP_KINDS) h->kind = kind;
  if (http_number(h, meta, "n_vocab", &x) && x > 0 && x < 1 << 24) h->nvocab = (int)x;
  if ((http_number(h, entry, "max_model_len", &x) || http_number(h, meta, "n_ctx", &x)) && x > 0 && x < 1e9)
    h->base.window = (int)x;
}

static norn_status find_kind(http *h)
{
  norn_state *st = h->base.st;
  text t;
  norn_datum v = norn_none();
  text_init(&t, &h->m);
  norn_status bad = http_ask(h, false, h->at[AT_MODELS], "", 0, &t);
  if (bad && h->last == 404) {                  /* it keeps no list */
    norn_clear(st);
    bad = NORN_OK;
  } else if (!bad && http_record_of(h, t.s ? t.s : "", t.n, &v) != HTTP_TAKEN) bad = NORN_EIO;
  norn_datum list = norn_record_size(v) < 0 ? norn_none() : norn_record_get(st, v, "data");
  if (!bad) take_entry(h, entry_of(h, list));
  text_free(&t);
  if (bad) return bad;
  if (!h->model[0]) {
    norn_fail(st, NORN_EDOMAIN, 0, "%.200s names no model, and the server lists none", h->url);
    norn_hint(st, "llm(\"%.150s#MODEL\")", h->url);
    return NORN_EDOMAIN;
  }
  if (h->kind < HTTP_KINDS) return NORN_OK;
  h->kind = HTTP_PLAIN;
  norn_warning(st, norn_here(st), "%.200s does not say which kind of server it is: only OpenAI's "
               "own parameters are sent, and what it cuts by itself (top_k, min_p, penalties) is not known; "
               "server = \"vllm\", ... says it", h->url);
  return NORN_OK;
}

static norn_status find_level(http *h)
{
  lm *l = &h->base;
  if (!h->top) h->top = h->kind == HTTP_PLAIN ? 5 : h->kind == HTTP_LLAMA_PYTHON ? 100 : 20;
  l->can = LM_SAMPLES;
  if (h->kind != HTTP_PLAIN || h->echo) l->can |= LM_SCORES;
  if (h->tokens && h->kind != HTTP_LLAMA) {
    norn_fail(l->st, NORN_EDOMAIN, 1,
              "tokens = true: %.200s is no llama-server (it is %s), so it does not give the distribution of a token",
              h->url, http_kind_names[h->kind]);
    norn_hint(l->st, "llama-server and builtin: have tokens");
    return NORN_EDOMAIN;
  }
  if (!h->tokens) return NORN_OK;
  norn_status bad = http_vocab_open(h);
  if (!bad) l->can |= LM_TOKENS;
  return bad;
}

/* ---- the row ---- */

static void *alloc_hook(void *st, void *p, size_t old, size_t n) { return norn_alloc(st, p, old, n); }

void http_start(http *h)
{
  mem_init(&h->m);
  h->m.alloc = alloc_hook;
  h->m.user = h->base.st;
}

static norn_status http_open(lm *l, const char *rest, norn_datum options)
{
  http *h = http_of(l);
  http_start(h);
  if (norn_config_of(l->st)->no_files) {
    norn_fail(l->st, NORN_EIO, 0, "servers are not allowed here (--safe)");
    return NORN_EIO;
  }
  norn_status bad = read_url(h, rest);
  if (!bad && !read_options(h, options)) bad = NORN_EDOMAIN;
  if (!bad) bad = find_key(h);
  if (!bad && !http_replays(h) && !http_wire_curl(l->st, &h->m, h->in_flight, &h->wire)) bad = NORN_EIO;
  if (!bad) bad = find_kind(h);
  if (!bad) bad = find_level(h);
  if (!bad) snprintf(l->name, sizeof l->name, "%.50s at %.50s (%s)", h->model, h->url, http_kind_names[h->kind]);
  return bad;
}

void http_close(lm *l)
{
  http *h = http_of(l);
  if (h->wire.free) h->wire.free(h->wire.self);
  http_vocab_close(h);
  http_store_close(h);
  if (h->key) {
    memset(h->key, 0, h->nkey);
    mem_put(&h->m, h->key, h->nkey + 1);
  }
}

#define DOC                                                                                        \
  "//HOST:PORT/v1#MODEL: a server that speaks OpenAI's protocol.  It draws texts, and scores "     \
  "them where it can: llama-server by the distribution of each token (exactly, under any "         \
  "temperature and top_p), vLLM, SGLang and llama-cpp-python by an echo of the prompt, others "    \
  "not.  tokens = true makes a llama-server a model of tokens.  The key stands in the "            \
  "environment variable NORN_LLM_KEY (or OPENAI_API_KEY, or the one that key_env names).  "        \
  "Options: in_flight (8 requests at once), n (1: answers of one request), timeout (120 s), "      \
  "retries (5), patience (120 s: the longest wait that a server may ask for), rate (requests a "   \
  "minute), cache (true, false or a folder), record and replay (files), server (openai, vllm, "    \
  "sglang, llama.cpp, llama-cpp-python), echo, end and top (how the server names the end of a "    \
  "text, and among how many likeliest tokens it is looked for)."

const lm_row lm_http_row = { .scheme = "http", .doc = DOC, .options = option_names,
                             .size = sizeof(http), .open = http_open, .close = http_close, .encode = http_encode,
                             .eval = http_eval, .forget = http_forget, .texts = http_texts, .chat = http_chat };
const lm_row lm_https_row = { .scheme = "https", .doc = DOC, .options = option_names,
                              .size = sizeof(http), .open = http_open, .close = http_close, .encode = http_encode,
                              .eval = http_eval, .forget = http_forget, .texts = http_texts, .chat = http_chat };
