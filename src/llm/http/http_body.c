/* http_body.c: requests as JSON.  Every parameter that could shape the distribution is said in full, for servers have
   defaults that cut it (llama.cpp: top_k 40, min_p .05; vLLM: what the model's generation_config.json says).

   Sources: the OpenAI API reference (completions, chat completions), vLLM's "OpenAI-Compatible Server", llama.cpp's
   tools/server/README.md, llama-cpp-python's server. */
#include "llm/http/http.h"
#include "io/json.h"
#include <stdio.h>
#include <string.h>

const char *const http_kind_names[HTTP_KINDS] = { "openai", "vllm", "sglang", "llama.cpp", "llama-cpp-python" };

void http_json_string(text *t, const char *s, size_t n)
{
  text_putc(t, '"');
  for (size_t k = 0; k < n; k++) {
    unsigned char c = (unsigned char)s[k];
    size_t from = k;
    while (k < n && (unsigned char)s[k] >= 0x20 && s[k] != '"' && s[k] != '\\' && s[k] != 0x7f) k++;
    text_put(t, s + from, k - from);
    if (k == n) break;
    c = (unsigned char)s[k];
    if (c == '"' || c == '\\') text_printf(t, "\\%c", c);
    else if (c == '\n') text_puts(t, "\\n");
    else text_printf(t, "\\u%04x", c);
  }
  text_putc(t, '"');
}

static size_t wrong_utf8(const char *s, size_t n)
{
  uint32_t code;
  for (size_t k = 0; k < n;) {
    int wide = utf8_next(s + k, n - k, &code);
    if (wide <= 0) return k;
    k += (size_t)wide;
  }
  return n;
}

static norn_status want_utf8(http *h, const char *what, const char *s, size_t n)
{
  size_t at = wrong_utf8(s, n);
  if (at == n) return NORN_OK;
  norn_fail(h->base.st, NORN_EDOMAIN, 0, "the %s is not UTF-8 (byte %zu is 0x%02x), and a server takes UTF-8 only",
            what, at, (unsigned char)s[at]);
  return NORN_EDOMAIN;
}

/* ---- contexts ---- */

/* An edge that begins with these is no text: byte 255 is in no Norn string. */
static const char chat_mark[] = "\xff" "c", prompt_mark[] = "\xff" "p";

http_at http_context(http *h, const lm_node *node, text *out)
{
  const lm_node *first = node;
  while (first->parent && first->parent->parent) first = first->parent;
  http_at kind = HTTP_TEXT;
  if (first->parent && first->ntext >= 2 && first->text[0] == chat_mark[0])
    kind = first->text[1] == chat_mark[1] ? HTTP_CHAT : HTTP_PROMPT;
  if (kind == HTTP_CHAT && node != first) {
    norn_fail(h->base.st, NORN_ETYPE, 0, "the beginning of a chat's answer can't be given to %s", h->url);
    norn_hint(h->base.st, "put it into the messages; llama-server can do it, since it gives the template's text");
    return HTTP_BAD;
  }
  if (!lm_text_of(node, out) || out->failed) {
    http_no_memory(h->base.st);
    return HTTP_BAD;
  }
  return want_utf8(h, "context", out->s, out->n) ? HTTP_BAD : kind;
}

bool http_begins(const lm_node *node)
{
  while (node->parent && node->ntext == 0) node = node->parent;
  return !node->parent;
}

static norn_status want_messages(http *h, norn_datum messages)
{
  norn_view v;
  char got[100];
  size_t n;
  if (!norn_array_view(messages, &v) || v.n == 0)
    return norn_fail(h->base.st, NORN_ETYPE, 0, "a chat is an array of records { role: , content: }, not %s",
                     norn_describe(h->base.st, messages, got, sizeof got));
  for (int64_t k = 0; k < v.n; k++) {
    norn_datum e = norn_array_at(h->base.st, messages, k);
    const char *role = norn_record_size(e) < 0 ? NULL : norn_string_view(norn_record_get(h->base.st, e, "role"), &n);
    const char *content = role ? norn_string_view(norn_record_get(h->base.st, e, "content"), &n) : NULL;
    if (content) continue;
    norn_fail(h->base.st, NORN_ETYPE, 0, "message %lld of the chat is %s", (long long)k,
              norn_describe(h->base.st, e, got, sizeof got));
    norn_hint(h->base.st, "a message is { role: \"user\", content: \"...\" }");
    return NORN_ETYPE;
  }
  return NORN_OK;
}

/* llama-server makes the prompt by the model's template. */
static norn_status template_of(http *h, text *json, text *out)
{
  text body, answer;
  norn_datum v;
  size_t n;
  text_init(&body, &h->m);
  text_init(&answer, &h->m);
  text_puts(&body, "{\"messages\": ");
  text_put(&body, json->s, json->n);
  text_puts(&body, "}");
  norn_status bad = body.failed ? http_no_memory(h->base.st)
                                : http_ask(h, true, h->at[AT_TEMPLATE], body.s, body.n, &answer);
  if (!bad && http_record_of(h, answer.s, answer.n, &v) != HTTP_TAKEN) bad = NORN_EIO;
  const char *prompt = bad ? NULL : http_field(h, v, "prompt", &n);
  if (!bad && !prompt) {
    http_lies(h, answer.s, answer.n, "%s: the answer has no \"prompt\"", h->at[AT_TEMPLATE]);
    bad = NORN_EIO;
  }
  if (!bad) text_put(out, prompt, n);
  text_free(&body);
  text_free(&answer);
  return bad;
}

norn_status http_chat(lm *l, norn_datum messages, text *out, lm_node **node)
{
  (void)out;
  http *h = http_of(l);
  text json, edge;
  norn_status bad = want_messages(h, messages);
  if (bad) return bad;
  text_init(&json, &h->m);
  text_init(&edge, &h->m);
  bad = json_write(l->st, messages, 0, 0, &json);
  if (!bad && h->kind == HTTP_LLAMA && (l->can & LM_TOKENS)) {
    bad = template_of(h, &json, &edge);
    if (!bad) bad = edge.failed ? http_no_memory(l->st) : http_start_chat(h, edge.n ? edge.s : "", edge.n, node);
  } else if (!bad) {
    text_puts(&edge, h->kind == HTTP_LLAMA ? prompt_mark : chat_mark);
    if (h->kind == HTTP_LLAMA) bad = template_of(h, &json, &edge);
    else text_put(&edge, json.s, json.n);
    if (!bad && edge.failed) bad = http_no_memory(l->st);
    if (!bad) *node = lm_extend_text(l->root, edge.s, edge.n);
    if (!bad && !*node) bad = NORN_EMEMORY;
  }
  text_free(&json);
  text_free(&edge);
  return bad;
}

/* ---- bodies ---- */

/* 31 bits: what every server takes. */
static int seed_of(const lm_ask *a) { return (int)(hash_mix(a->seed) & 0x7fffffff); }

static void put_ids(text *t, const lm_token *v, int n)
{
  text_putc(t, '[');
  for (int k = 0; k < n; k++) text_printf(t, k ? ",%d" : "%d", v[k]);
  text_putc(t, ']');
}

static void put_number(text *t, const char *name, double x)
{
  text_printf(t, ", \"%s\": ", name);
  text_real(t, x);
}

static void put_model(http *h, text *t)
{
  text_puts(t, "{\"model\": ");
  http_json_string(t, h->model, strlen(h->model));
}

static void put_stop(const lm_ask *a, text *t)
{
  if (!a->nstop) return;
  text_puts(t, ", \"stop\": [");
  http_json_string(t, a->stop, a->nstop);
  text_puts(t, "]");
}

/* llama.cpp: first the temperature, then top_p, as lm_filtered does; nothing else. */
static void put_llama(text *t, double temperature, double top_p)
{
  put_number(t, "temperature", temperature);
  put_number(t, "top_p", top_p);
  text_puts(t, ", \"samplers\": [\"temperature\", \"top_p\"], \"top_k\": 0, \"min_p\": 0, \"typical_p\": 1, "
               "\"top_n_sigma\": -1, \"xtc_probability\": 0, \"dynatemp_range\": 0, \"mirostat\": 0, "
               "\"repeat_penalty\": 1, \"repeat_last_n\": 0, \"presence_penalty\": 0, \"frequency_penalty\": 0, "
               "\"dry_multiplier\": 0, \"min_keep\": 0, \"ignore_eos\": false, \"cache_prompt\": true, "
               "\"post_sampling_probs\": false, \"stream\": false");
}

void http_next_body(http *h, const lm_token *v, int n, int probs, text *t)
{
  put_model(h, t);
  text_puts(t, ", \"prompt\": ");
  put_ids(t, v, n);
  text_printf(t, ", \"n_predict\": 1, \"n_probs\": %d, \"seed\": 0", probs);
  put_llama(t, 1, 1);
  text_puts(t, "}");
}

static void draw_native(http *h, const lm_ask *a, const lm_tokens *ids, text *t)
{
  put_model(h, t);
  text_puts(t, ", \"prompt\": ");
  put_ids(t, ids->v, ids->n);
  text_printf(t, ", \"n_predict\": %d, \"n_probs\": 1, \"return_tokens\": true, \"seed\": %d", a->max, seed_of(a));
  put_llama(t, a->temperature, a->top_p);
  put_stop(a, t);
  text_puts(t, "}");
}

/* What servers take beyond OpenAI's, so that none of their defaults cuts. */
static void put_extras(http_kind kind, text *t)
{
  if (kind == HTTP_VLLM || kind == HTTP_SGLANG)
    text_puts(t, ", \"top_k\": -1, \"min_p\": 0, \"repetition_penalty\": 1, \"skip_special_tokens\": true");
  if (kind == HTTP_VLLM) text_puts(t, ", \"min_tokens\": 0, \"ignore_eos\": false");
  if (kind == HTTP_LLAMA_PYTHON)
    text_puts(t, ", \"top_k\": 0, \"min_p\": 0, \"repeat_penalty\": 1, \"mirostat_mode\": 0");
}

/* llama-cpp-python puts the begin token of an empty prompt among the answer's, of which it gives one less. */
static int most_of(http *h, const lm_ask *a) { return a->max + (h->kind == HTTP_LLAMA_PYTHON && http_begins(a->at)); }

static norn_status want_order(http *h, const lm_ask *a)
{
  if (h->kind != HTTP_LLAMA_PYTHON || a->temperature == 1 || a->temperature == 0 || a->top_p == 1) return NORN_OK;
  norn_fail(h->base.st, NORN_EDOMAIN, 0, "llama-cpp-python cuts by top_p before the temperature, "
            "Norn after it: temperature = %g, top_p = %g is another distribution there", a->temperature,
            a->top_p);
  norn_hint(h->base.st, "give one of the two; llama-server does both in Norn's order");
  return NORN_EDOMAIN;
}

norn_status http_draw_body(http *h, const lm_ask *a, const lm_tokens *ids, int n, int *path, text *t)
{
  text at;
  norn_status bad = want_order(h, a);
  if (!bad) bad = want_utf8(h, "stop", a->stop, a->nstop);
  if (bad) return bad;
  *path = AT_NATIVE;
  if (h->kind == HTTP_LLAMA) {
    draw_native(h, a, ids, t);
    return t->failed ? http_no_memory(h->base.st) : NORN_OK;
  }
  text_init(&at, &h->m);
  http_at kind = http_context(h, a->at, &at);
  *path = kind == HTTP_CHAT ? AT_CHAT : AT_COMPLETIONS;
  put_model(h, t);
  text_puts(t, kind == HTTP_CHAT ? ", \"messages\": " : ", \"prompt\": ");
  if (kind == HTTP_CHAT) text_put(t, at.s, at.n);
  else http_json_string(t, at.s, at.n);
  text_printf(t, ", \"max_tokens\": %d", most_of(h, a));
  put_number(t, "temperature", a->temperature);
  put_number(t, "top_p", a->top_p);
  text_printf(t, ", \"n\": %d, \"seed\": %d, \"presence_penalty\": 0, "
              "\"frequency_penalty\": 0, \"stream\": false", n, seed_of(a));
  put_stop(a, t);
  text_puts(t, kind == HTTP_CHAT ? ", \"logprobs\": true" : ", \"logprobs\": 1");
  if (kind == HTTP_CHAT && h->kind == HTTP_LLAMA_PYTHON) text_puts(t, ", \"top_logprobs\": 1");   /* else it has none */
  put_extras(h->kind, t);
  text_puts(t, "}");
  text_free(&at);
  return kind == HTTP_BAD ? NORN_EIO : t->failed ? http_no_memory(h->base.st) : NORN_OK;
}

norn_status http_draw_key(http *h, const lm_ask *a, const lm_tokens *ids, text *t)
{
  int path;
  text body;
  text_init(&body, &h->m);
  norn_status bad = http_draw_body(h, a, ids, 1, &path, &body);
  if (!bad) {
    text_puts(t, h->at[path]);
    text_putc(t, '\n');
    text_put(t, body.s, body.n);
    text_printf(t, "\ndraw %llu", (unsigned long long)a->seed);
  }
  text_free(&body);
  return bad ? bad : t->failed ? http_no_memory(h->base.st) : NORN_OK;
}

/* An echo says how likely each token was under the model's own distribution, and of the others the likeliest only:
   under a temperature or a cut the score would need all of them.  A stop that holds the byte 0 is not found among the
   likeliest (http_record_of). */
static norn_status want_plain(http *h, const lm_ask *a)
{
  bool cut = a->top_p != 1;
  if (a->temperature == 1 && !cut && (!a->nstop || !memchr(a->stop, 0, a->nstop))) return NORN_OK;
  if (a->temperature == 1 && !cut)
    return norn_fail(h->base.st, NORN_EDOMAIN, 0, "%.200s can't score a text whose stop holds the byte 0", h->url);
  norn_fail(h->base.st, NORN_EDOMAIN, 0, "%.200s (%s) can't score a text under %s = %g: it gives scores under the "
            "model's own distribution only", h->url, http_kind_names[h->kind], cut ? "top_p" : "temperature",
            cut ? a->top_p : a->temperature);
  norn_hint(h->base.st, "observe without it, or ask a llama-server, which scores under any temperature and top_p");
  return NORN_EDOMAIN;
}

norn_status http_echo_body(http *h, const lm_ask *a, text *t, text *prompt, size_t *from)
{
  norn_status plain = want_plain(h, a);
  if (plain) return plain;
  http_at kind = http_context(h, a->at, prompt);
  if (kind == HTTP_BAD) return NORN_EIO;
  if (kind == HTTP_CHAT) {
    norn_fail(h->base.st, NORN_ETYPE, 0, "%.200s can't score a text in a chat: an echo is of plain text only", h->url);
    norn_hint(h->base.st, "llama-server can; or write the template's text yourself: lm.context(\"...\")");
    return NORN_ETYPE;
  }
  norn_status bad = want_utf8(h, "text to score", a->given, a->ngiven);
  if (!bad) bad = want_utf8(h, "stop", a->stop, a->nstop);
  if (bad) return bad;
  *from = prompt->n;
  text_put(prompt, a->given, a->ngiven);
  put_model(h, t);
  text_puts(t, ", \"prompt\": ");
  http_json_string(t, prompt->s, prompt->n);
  /* One token more, whose likeliest alternatives say how likely the text ends. */
  text_printf(t, ", \"max_tokens\": 1, \"echo\": true, \"logprobs\": %d, \"temperature\": 1.0, \"top_p\": 1.0, "
                 "\"n\": 1, \"seed\": 0, \"stream\": false", h->top);
  put_extras(h->kind, t);
  /* llama-cpp-python says nothing of what follows the prompt if the model ends there: so it may not. */
  if (h->kind == HTTP_LLAMA_PYTHON) text_puts(t, ", \"grammar\": \"root ::= [^\\\\x00]+\"");
  text_puts(t, "}");
  return t->failed || prompt->failed ? http_no_memory(h->base.st) : NORN_OK;
}
