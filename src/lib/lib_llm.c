/* lib_llm.c: language models in Norn: llm(...), and what models and contexts have for fields.  The functions of the
   modules language_model and language_context are those fields; the half of them that samples is written in Norn
   (stdlib/language_context.norn) on the natives here whose names begin with an underscore. */
#include "lib/lib.h"
#include "llm/rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const lm_filter plain = { .temperature = 1, .top_p = 1 };

/* ---- llm ---- */

/* What is behind "scheme:" of a back end that reads files; NULL: it names no file. */
static const char *file_of(const char *uri)
{
  static const char *const schemes[] = { "builtin:", "ngram:", "hmm:" };
  for (int i = 0; i < NORN_COUNT(schemes); i++) {
    size_t n = strlen(schemes[i]);
    if (strncmp(uri, schemes[i], n)) continue;
    return uri[n] && !(i == 0 && !strcmp(uri + n, "tiny")) ? uri + n : NULL;
  }
  return NULL;
}

static bool is_remote(const char *uri) { return !strncmp(uri, "http:", 5) || !strncmp(uri, "https:", 6); }

static norn_status f_llm(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *uri;
  char path[4096], resolved[4200];
  size_t k;
  norn_datum options = lib_given(args, 1, n) ? args[1] : norn_none();
  if (!norn_want_string(st, args, 0, "the name of a language model", &uri, &k)) return lib_failed(st);
  if (!norn_is_none(options) && norn_record_size(options) < 0)
    return lib_wrong(st, args, 1, "the options of a language model", "a record");
  if (strlen(uri) != k || k > 4000) return norn_fail(st, NORN_EDOMAIN, 0, "this is no name of a language model");
  const char *file = file_of(uri);
  if ((file || is_remote(uri)) && norn_config_of(st)->no_files) {
    norn_fail(st, NORN_EIO, 0, "this program may neither read files nor reach servers (--safe)");
    norn_hint(st, "builtin:tiny, and ngram: and hmm: with their tables as options, need none");
    return NORN_EIO;
  }
  if (file) {
    snprintf(resolved, sizeof resolved, "%.*s%s", (int)(file - uri), uri, lib_path(st, file, path, sizeof path));
    uri = resolved;
  }
  lm *m = lm_open(st, uri, options);
  return m ? lib_give(st, lm_give_model(m), out) : lib_failed(st);
}

static norn_status f_entropy(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_dist d;
  norn_datum x;
  double sum = 0, lp;
  (void)n;
  if (!norn_dist_view(args[0], &d)) return lib_wrong(st, args, 0, "what entropy is asked of", "a distribution");
  if (!(norn_dist_flags(&d) & NORN_DIST_FINITE) || !d.row->enumerate) {
    norn_fail(st, NORN_EDOMAIN, 0,
              "entropy is the sum over the values of a finite distribution, and this one has no list");
    norn_hint(st, "-mean([logpdf(d, sample(d)) for i in 0..1000]) estimates that of any other");
    return NORN_EDOMAIN;
  }
  for (int64_t k = 0;; k++) {
    if (norn_dist_enumerate(st, &d, k, &x)) return lib_failed(st);
    if (norn_is_none(x)) break;
    if (norn_dist_logp(st, &d, x, &lp)) return lib_failed(st);
    if (lp > -HUGE_VAL) sum -= exp(lp) * lp;
  }
  *out = norn_real(sum + 0.0);
  return NORN_OK;
}

/* ---- models ---- */

static norn_status f_context(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *s;
  size_t k;
  lm *m = lm_want_model(st, args, 0);
  (void)n;
  if (!m || !norn_want_string(st, args, 1, "the text", &s, &k)) return lib_failed(st);
  lm_node *x = lm_start(m, s, k);
  return x ? lib_give(st, lm_give_context(x), out) : lib_failed(st);
}

static bool want_messages(norn_state *st, const norn_datum *args, int i)
{
  norn_view v;
  if (!norn_array_view(args[i], &v) || v.n == 0) {
    lib_wrong(st, args, i, "the messages of a chat", "an array of records with role and content");
    return false;
  }
  for (int64_t k = 0; k < v.n; k++) {
    norn_datum e = norn_array_at(st, args[i], k);
    if (norn_string_view(norn_record_get(st, e, "role"), NULL) &&
        norn_string_view(norn_record_get(st, e, "content"), NULL))
      continue;
    norn_fail(st, NORN_ETYPE, i, "message %lld of a chat must be a record with strings role and content, got %s",
              (long long)k, norn_show(st, e, true, 80));
    norn_hint(st, "lm.chat([{role: \"user\", content: \"...\"}])");
    return false;
  }
  return true;
}

static norn_status f_chat(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm *m = lm_want_model(st, args, 0);
  lm_node *x = NULL;
  text t;
  (void)n;
  if (!m || !want_messages(st, args, 1)) return lib_failed(st);
  if (!m->row->chat) {
    norn_fail(st, NORN_EDOMAIN, 0, "%s has no chat template", m->name);
    norn_hint(st, "lm.context(\"...\") begins with any text");
    return NORN_EDOMAIN;
  }
  mem mine = lib_mem(st);
  text_init(&t, &mine);
  norn_status code = m->row->chat(m, args[1], &t, &x);
  if (!code && !x) x = lm_start(m, t.s ? t.s : "", t.n);
  text_free(&t);
  return code ? code : x ? lib_give(st, lm_give_context(x), out) : lib_failed(st);
}

static norn_status f_tokens(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const char *s;
  size_t k;
  lm_tokens t = { NULL, 0, 0 };
  lm *m = lm_want_model(st, args, 0);
  (void)n;
  if (!m || !norn_want_string(st, args, 1, "the text", &s, &k) || lm_want_level(st, m, LM_TOKENS, "lm.tokens()"))
    return lib_failed(st);
  norn_status code = lm_encode(m, s, k, &t);
  int64_t *to = code ? NULL : lib_ints(st, t.n, out);
  for (int i = 0; to && i < t.n; i++) to[i] = t.v[i];
  lm_tokens_free(st, &t);
  return to ? NORN_OK : lib_failed(st);
}

static bool want_token(norn_state *st, const lm *m, norn_datum v, int arg, lm_token *t)
{
  char what[120];
  if (v.tag == NORN_INT && v.i >= 0 && v.i < m->vocab.n) return *t = (lm_token)v.i, true;
  if (v.tag == NORN_INT)
    norn_fail(st, NORN_EDOMAIN, arg, "%lld is no token of %s, which has tokens 0 to %d", (long long)v.i, m->name,
              m->vocab.n - 1);
  else norn_fail(st, NORN_ETYPE, arg, "a token is an integer, got %s", norn_describe(st, v, what, sizeof what));
  return false;
}

/* Of END and CONTROL their names. */
static norn_datum piece(norn_state *st, const lm *m, lm_token t)
{
  const lm_vocab *v = &m->vocab;
  return lm_string(st, (const char *)v->bytes + v->at[t], v->at[t + 1] - v->at[t]);
}

static norn_status f_piece(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm *m = lm_want_model(st, args, 0);
  lm_token t;
  norn_view v;
  (void)n;
  if (!m || lm_want_level(st, m, LM_TOKENS, "lm.piece()")) return lib_failed(st);
  if (!norn_array_view(args[1], &v))
    return want_token(st, m, args[1], 1, &t) ? lib_give(st, piece(st, m, t), out) : lib_failed(st);
  norn_datum *to = lib_values(st, v.n, out);
  for (int64_t i = 0; to && i < v.n; i++)
    if (!want_token(st, m, lib_elem(&v, i), 1, &t) || norn_is_none(to[i] = piece(st, m, t))) return lib_failed(st);
  return to ? NORN_OK : lib_failed(st);
}

static norn_status f_vocabulary(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm *m = lm_want_model(st, args, 0);
  (void)n;
  if (!m || lm_want_level(st, m, LM_TOKENS, "lm.vocabulary")) return lib_failed(st);
  *out = norn_int(m->vocab.n);
  return NORN_OK;
}

static norn_status f_end(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm *m = lm_want_model(st, args, 0);
  (void)n;
  if (!m || lm_want_level(st, m, LM_TOKENS, "lm.end")) return lib_failed(st);
  *out = m->vocab.end < 0 ? norn_missing() : norn_int(m->vocab.end);
  return NORN_OK;
}

static norn_status f_info(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  static const char *const names[] = { "name", "uri", "can", "vocabulary", "window", "end", "device", "device_why" };
  static const char *const can[] = { "tokens", "scores", "samples" };
  lm *m = lm_want_model(st, args, 0);
  norn_datum levels[3], level;
  int k = 0;
  (void)n;
  if (!m) return lib_failed(st);
  for (int i = 0; i < 3; i++)
    if ((m->can | (m->can & LM_TOKENS ? LM_SCORES | LM_SAMPLES : 0)) >> i & 1) {
      levels[k] = norn_cstring(st, can[i]);
      if (norn_is_none(levels[k++])) return lib_failed(st);
    }
  level = norn_array_pack(st, levels, k);
  norn_datum v[] = { norn_cstring(st, m->name), norn_cstring(st, m->uri), level, norn_int(m->vocab.n),
                     m->window ? norn_int(m->window) : norn_missing(),
                     m->vocab.end >= 0 ? norn_int(m->vocab.end) : norn_missing(),
                     m->device ? norn_cstring(st, m->device) : norn_missing(),
                     m->device && m->device_why[0] ? norn_cstring(st, m->device_why) : norn_missing() };
  for (int i = 0; i < NORN_COUNT(v); i++) if (norn_is_none(v[i])) return lib_failed(st);
  return lib_give(st, norn_record(st, NORN_COUNT(names), names, v), out);
}

static norn_status f_ledger(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  static const char *const names[] = { "evaluated", "computed", "texts", "prompt_tokens", "answer_tokens", "cached",
                                       "flops" };
  lm *m = lm_want_model(st, args, 0);
  (void)n;
  if (!m) return lib_failed(st);
  const lm_ledger *l = &m->ledger;
  norn_datum v[] = { norn_int((int64_t)l->evaluated), norn_int((int64_t)l->computed), norn_int((int64_t)l->texts),
                     norn_int((int64_t)l->prompt_tokens), norn_int((int64_t)l->answer_tokens),
                     norn_int((int64_t)l->cached), norn_real(l->flops) };
  return lib_give(st, norn_record(st, NORN_COUNT(names), names, v), out);
}

/* ---- contexts ---- */

static norn_status dist_of(norn_state *st, const norn_dist_row *row, const norn_datum *args, int n, norn_datum *out)
{
  return lib_give(st, norn_dist_new(st, row, args, n), out);
}

static norn_status f_token(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  return dist_of(st, &lm_token_row, args, n, out);
}

/* A handle of a node that the caller holds, in place of one it has extended. */
static norn_status extended(norn_state *st, lm_node *x, norn_datum *out)
{
  return x ? lib_give(st, lm_give_context(x), out) : lib_failed(st);
}

static norn_status f_extend(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  size_t k;
  norn_view v;
  lm_token t;
  lm_node *x = lm_want_context(st, args, 0);
  const char *s = norn_string_view(args[1], &k);
  (void)n;
  if (!x) return lib_failed(st);
  if (s) return extended(st, lm_extend_text(x, s, k), out);
  if (lm_want_level(st, x->of, LM_TOKENS, "ctx.extend(token)")) return lib_failed(st);
  if (args[1].tag == NORN_INT)
    return want_token(st, x->of, args[1], 1, &t) ? extended(st, lm_extend(x, t), out) : lib_failed(st);
  if (!norn_array_view(args[1], &v))
    return lib_wrong(st, args, 1, "what a context is extended by", "a string, a token or an array of tokens");
  lm_hold(x);
  for (int64_t i = 0; i < v.n && x; i++) {
    lm_node *next = want_token(st, x->of, lib_elem(&v, i), 1, &t) ? lm_extend(x, t) : NULL;
    lm_drop(x);
    x = next;
  }
  return extended(st, x, out);
}

static norn_status f_string(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_node *x = lm_want_context(st, args, 0);
  mem m = lib_mem(st);
  text t;
  (void)n;
  if (!x) return lib_failed(st);
  text_init(&t, &m);
  if (lm_text_between(x->of->root, x, &t)) *out = lm_string(st, t.s ? t.s : "", t.n);
  else *out = norn_none();
  text_free(&t);
  return norn_is_none(*out) ? lib_failed(st) : NORN_OK;
}

static norn_status f_context_tokens(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_node *x = lm_want_context(st, args, 0);
  (void)n;
  if (!x || lm_want_level(st, x->of, LM_TOKENS, "ctx.tokens")) return lib_failed(st);
  int64_t *to = lib_ints(st, x->depth, out);
  if (!to) return lib_failed(st);
  for (; x->parent; x = x->parent) to[x->depth - 1] = x->token;
  return NORN_OK;
}

static norn_status f_length(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_node *x = lm_want_context(st, args, 0);
  (void)n;
  if (!x) return lib_failed(st);
  *out = norn_int(x->depth);
  return NORN_OK;
}

static norn_status f_model(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_node *x = lm_want_context(st, args, 0);
  (void)n;
  if (!x) return lib_failed(st);
  x->of->refs++;
  return lib_give(st, lm_give_model(x->of), out);
}

static norn_status f_ended(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_node *x = lm_want_context(st, args, 0);
  (void)n;
  if (!x || lm_want_level(st, x->of, LM_TOKENS, "ctx.ended")) return lib_failed(st);
  *out = norn_bool(x->parent && x->of->vocab.kind[x->token] == LM_END);
  return NORN_OK;
}

static const lm_drawn *next_of(norn_state *st, lm_node *x, const char *who)
{
  if (!x || lm_want_level(st, x->of, LM_TOKENS, who)) return NULL;
  return lm_drawn_at(st, x, &plain, NULL, 0, -1);
}

static norn_status f_context_entropy(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  const lm_drawn *d = next_of(st, lm_want_context(st, args, 0), "ctx.entropy");
  (void)n;
  if (!d) return lib_failed(st);
  *out = norn_real(lm_drawn_entropy(d));
  return NORN_OK;
}

static norn_status f_logprobs(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_node *x = lm_want_context(st, args, 0);
  (void)n;
  if (!x || lm_want_level(st, x->of, LM_TOKENS, "ctx.logprobs") || lm_eval(x->of, &x, 1)) return lib_failed(st);
  double *to = lib_reals(st, x->of->vocab.n, out);
  if (!to) return lib_failed(st);
  for (int i = 0; i < x->of->vocab.n; i++) to[i] = x->logp[i];
  return NORN_OK;
}

/* The place of the k-th likeliest; of equals the lower token first. */
typedef struct rank { double logp; lm_token token; } rank;
static int likelier(const void *a, const void *b)
{
  const rank *x = a, *y = b;
  if (x->logp != y->logp) return x->logp > y->logp ? -1 : 1;
  return x->token < y->token ? -1 : 1;
}

static norn_status f_top(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  static const char *const names[] = { "token", "piece", "prob" };
  int64_t k;
  lm_node *x = lm_want_context(st, args, 0);
  (void)n;
  if (!x || !norn_want_int(st, args, 1, "how many", &k)) return lib_failed(st);
  if (k < 1)
    return norn_fail(st, NORN_EDOMAIN, 1, "how many tokens to list must be at least 1, got %lld", (long long)k);
  const lm_drawn *d = next_of(st, x, "ctx.top()");
  rank *r = d ? norn_alloc(st, NULL, 0, (size_t)d->n * sizeof *r) : NULL;
  if (!r) return lib_failed(st);
  int all = d->n;
  for (int i = 0; i < all; i++) r[i] = (rank){ d->logp[i], d->token[i] };
  qsort(r, (size_t)all, sizeof *r, likelier);
  if (k > all) k = all;
  norn_datum *to = lib_values(st, k, out);
  norn_status code = to ? NORN_OK : lib_failed(st);
  for (int i = 0; i < k && !code; i++) {
    norn_datum v[] = { norn_int(r[i].token), piece(st, x->of, r[i].token), norn_real(exp(r[i].logp)) };
    if (norn_is_none(v[1]) || norn_is_none(to[i] = norn_record(st, NORN_COUNT(names), names, v))) code = lib_failed(st);
  }
  norn_alloc(st, r, (size_t)all * sizeof *r, 0);
  return code;
}

/* ---- texts ---- */

static lm_wish *want_wish(norn_state *st, const norn_datum *args, int i)
{
  lm_wish *w = norn_handle_view(args[i], &lm_wish_row);
  if (!w) norn_fail(st, NORN_ETYPE, i, "this is for the library's own use: ctx.text(...)");
  return w;
}

static bool want_place(norn_state *st, const norn_datum *args, lm_wish **w, lm_node **x)
{
  *w = want_wish(st, args, 0);
  *x = *w ? lm_want_context(st, args, 1) : NULL;
  return *x && ((*x)->of == (*w)->of || (norn_fail(st, NORN_EUSE, 1, "this context is another model's"), false));
}

static norn_status f_wish(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return lib_give(st, lm_wish_new(st, args), out);
}

static norn_status f_starts(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  norn_datum wish[WISH_ARGS], d;
  norn_dist v;
  double lp;
  for (int i = 0; i < WISH_ARGS; i++) wish[i] = norn_missing();
  wish[WISH_CONTEXT] = args[0];
  wish[WISH_MAX] = norn_int(1000000);
  wish[WISH_KEEP_STOP] = norn_bool(false);
  for (int i = 0; i < 4; i++) wish[WISH_TEMPERATURE + i] = args[2 + i];
  norn_datum w = lm_wish_new(st, wish);
  if (norn_is_none(w)) return lib_failed(st);
  d = norn_dist_new(st, &lm_starts_row, &w, 1);
  if (norn_is_none(d) || !lib_given(args, 1, n)) return lib_give(st, d, out);
  if (!norn_dist_view(d, &v) || norn_dist_logp(st, &v, args[1], &lp)) return lib_failed(st);
  *out = norn_real(lp);
  return NORN_OK;
}

static norn_status f_masks(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_wish *w = want_wish(st, args, 0);
  (void)n;
  if (!w) return lib_failed(st);
  *out = norn_bool(lm_wish_masks(w));
  return NORN_OK;
}

static norn_status f_max(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_wish *w = want_wish(st, args, 0);
  (void)n;
  if (!w) return lib_failed(st);
  *out = norn_int(w->max);
  return NORN_OK;
}

static norn_status f_begin(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_wish *w = want_wish(st, args, 0);
  (void)n;
  if (!w) return lib_failed(st);
  *out = norn_int(lm_wish_shown(w, lm_wish_begin(w)));
  return NORN_OK;
}

/* The context behind a token; one that ends the text (or is none) adds nothing. */
static norn_status f_after(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_wish *w;
  lm_node *x;
  (void)n;
  if (!want_place(st, args, &w, &x)) return lib_failed(st);
  *out = args[1];
  if (args[2].tag != NORN_INT || args[2].i < 0 || args[2].i >= w->of->vocab.n) return NORN_OK;
  if (w->of->vocab.kind[args[2].i] == LM_END) return NORN_OK;
  return extended(st, lm_extend(x, (lm_token)args[2].i), out);
}

static norn_status f_step(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_wish *w;
  lm_node *x;
  (void)n;
  if (!want_place(st, args, &w, &x)) return lib_failed(st);
  lm_token t = (lm_token)args[3].i;
  bool text_on = t >= 0 && t < w->of->vocab.n && w->of->vocab.kind[t] != LM_END && x->parent;
  int state = lm_wish_state(w, text_on ? x->parent : x, args[2].i);
  if (state == LM_NOT_SO && norn_error(st)->code) return norn_error(st)->code;
  *out = norn_int(lm_wish_shown(w, lm_wish_step(w, lm_wish_context(w), x, state, t)));
  return norn_error(st)->code;
}

/* log of the mass that the masks let through before the token after which the text stands at `state`. */
static norn_status f_weight(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_wish *w;
  lm_node *x;
  (void)n;
  if (!want_place(st, args, &w, &x)) return lib_failed(st);
  int state = lm_wish_state(w, x, args[2].i);
  if (state == LM_NOT_SO && norn_error(st)->code) return norn_error(st)->code;
  const lm_drawn *d = lm_drawn_at(st, x, &w->filter, w, state, w->max - (int)args[3].i);
  if (!d) return lib_failed(st);
  *out = norn_real(args[4].i == LM_NOT_SO ? -HUGE_VAL : d->mass);
  return NORN_OK;
}

static norn_status f_drawn(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  lm_wish *w;
  lm_node *x;
  mem m = lib_mem(st);
  text t;
  (void)n;
  if (!want_place(st, args, &w, &x)) return lib_failed(st);
  text_init(&t, &m);
  bool good = lm_wish_text(w, lm_wish_context(w), x, &t, w->keep_stop);
  *out = good ? lm_string(st, t.s ? t.s : "", t.n) : norn_none();
  text_free(&t);
  return norn_is_none(*out) ? lib_failed(st) : NORN_OK;
}

/* ---- the tables ---- */

#define MODEL "llm(\"ngram:\", { text: \"abracadabra\", order: 2 })"
#define CONTEXT "llm(\"ngram:\", { text: \"abracadabra\", order: 2 }).context(\"abra\")"

static const norn_native global[] = {
  { "llm", "uri, options = missing",
    "A language model by its name: \"builtin:tiny\", \"builtin:FILE.gguf\", \"http://HOST/v1#MODEL\", "
    "\"ngram:FILE\", \"hmm:FILE\".\n"
    "Options are a record, which its back end knows (man norn, Language models).  Its fields: context(text),\n"
    "chat(messages), tokens(text), piece(token), vocabulary, end, info, ledger.\n"
    "Example: " MODEL "\n=> <language model ngram of order 2, 6 tokens>",
    f_llm, 0, NULL },
  { "entropy", "d",
    "The entropy of a finite distribution, in nats: minus the sum of p log p.\n"
    "Example: exp(entropy(uniform_of([1, 2, 3, 4])))\n=> 4.0",
    f_entropy, 0, NULL },
  { "_text_wish", "ctx, stop, max, temperature, top_p, top_k, min_p, match, always, keep_stop, grammar",
    "What ctx.text(...) was asked for, made ready.", f_wish, 0, NULL },
  { "_wish_masks", "wish", "Whether a text is under a constraint.", f_masks, 0, NULL },
  { "_wish_max", "wish", "The most tokens of a text.", f_max, 0, NULL },
  { "_wish_begin", "wish", "The state of a constraint before the first token.", f_begin, 0, NULL },
  { "_wish_after", "wish, context, token", "The context behind a token of a text.", f_after, 0, NULL },
  { "_wish_step", "wish, after, state, token", "The state of a constraint behind a token; below 0: the text is over.",
    f_step, 0, NULL },
  { "_wish_weight", "wish, context, state, i, then", "The log weight of a token of a constrained text.",
    f_weight, 0, NULL },
  { "_wish_drawn", "wish, end", "The text that was drawn.", f_drawn, 0, NULL },
};

static const norn_native of_model[] = {
  { "context", "lm, text = \"\"",
    "A context of the model: all that stands before the next token.  Equal contexts are one.\n"
    "Example: " MODEL ".context(\"abra\")\n=> <context of 4 tokens: \"abra\">",
    f_context, 0, NULL },
  { "chat", "lm, messages",
    "The context of a chat by the model's own template: an array of records {role: \"user\", content: \"...\"}.\n"
    "The roles are those of the template, as a rule system, user and assistant.  An ngram: has none.",
    f_chat, 0, NULL },
  { "tokens", "lm, text",
    "The canonical tokens of a text alone: no begin, no space in front.\n"
    "Example: " MODEL ".tokens(\"cab\")\n=> [3, 0, 1]",
    f_tokens, 0, NULL },
  { "piece", "lm, token",
    "The text of a token, or of each of an array of tokens; of a token that is no text its name.\n"
    "Example: " MODEL ".piece([3, 0, 1])\n=> [\"c\", \"a\", \"b\"]",
    f_piece, 0, NULL },
  { "vocabulary", "lm", "How many tokens the model has: they are 0, 1, ...\nExample: " MODEL ".vocabulary\n=> 6",
    f_vocabulary, 0, NULL },
  { "end", "lm", "The token that ends a text; missing: there is none.\nExample: " MODEL ".end\n=> 5", f_end, 0, NULL },
  { "info", "lm",
    "What a model is: name, uri, can (its levels), vocabulary, window (tokens it can look back; missing: all), end,\n"
    "and of builtin: device (\"cpu\" or \"gpu\") and device_why (why not the GPU; missing: nothing is to be said).\n"
    "Example: " MODEL ".info.can\n=> [\"tokens\", \"scores\", \"samples\"]",
    f_info, 0, NULL },
  { "ledger", "lm",
    "What the model has done so far: contexts evaluated, tokens computed, texts asked for, tokens that a server\n"
    "counted, answers that came from the cache, floating-point operations.\n"
    "Example: let m = llm(\"ngram:\", { text: \"abc\" }); m.context(\"a\").entropy; m.ledger.evaluated > 0\n=> true",
    f_ledger, 0, NULL },
};

static const norn_native of_context[] = {
  { "token", "ctx, temperature = 1, top_p = 1, top_k = 0, min_p = 0",
    "The distribution of the next token.  With temperature, top_k, top_p, min_p (applied in this order) "
    "it is what that\n"
    "sampler draws from, normalised: it is scored as such.\n"
    "Example: " CONTEXT ".token(temperature = 0)|> sample\n=> 1",
    f_token, 0, NULL },
  { "starts", "ctx, text = missing, temperature = 1, top_p = 1, top_k = 0, min_p = 0",
    "How texts begin: logpdf(ctx.starts(), s) is the log-probability of the canonical tokens of s, whatever follows.\n"
    "With a text it is that number: factor(ctx.starts(\"yes\")).\n"
    "Example: round(exp(" CONTEXT ".starts(\"c\")), 2)\n=> 0.2",
    f_starts, 0, NULL },
  { "extend", "ctx, more",
    "The context with a text, a token or an array of tokens behind it; to come to a known one costs nothing.\n"
    "Example: " CONTEXT ".extend(\"ca\")\n=> <context of 6 tokens: \"abraca\">",
    f_extend, 0, NULL },
  { "string", "ctx", "The text of a context.\nExample: " CONTEXT ".extend(3).string\n=> abrac", f_string, 0, NULL },
  { "tokens", "ctx", "The tokens of a context.\nExample: " CONTEXT ".tokens\n=> [0, 1, 2, 0]", f_context_tokens, 0,
    NULL },
  { "length", "ctx", "How many tokens a context has.\nExample: " CONTEXT ".length\n=> 4", f_length, 0, NULL },
  { "model", "ctx", "The model of a context.\nExample: " CONTEXT ".model.vocabulary\n=> 6", f_model, 0, NULL },
  { "ended", "ctx", "Whether the last token ends a text.\nExample: " CONTEXT ".ended\n=> false", f_ended, 0, NULL },
  { "entropy", "ctx", "The entropy of the next token in nats.\nExample: " CONTEXT ".entropy > 1\n=> true",
    f_context_entropy, 0, NULL },
  { "logprobs", "ctx", "The log-probability of every token.\nExample: sum(exp(" CONTEXT ".logprobs)) |> round\n=> 1",
    f_logprobs, 0, NULL },
  { "top", "ctx, k = 10",
    "The k likeliest next tokens: records token, piece, prob.\n"
    "Example: " CONTEXT ".top(1)[0].piece\n=> b",
    f_top, 0, NULL },
};

norn_status lib_llm_open(norn_state *st)
{
  static const norn_handle_row *const handles[] = { &lm_model_row, &lm_context_row, &lm_wish_row };
  static const norn_dist_row *const rows[] = { &lm_token_row, &lm_masked_row, &lm_text_row, &lm_starts_row };
  norn_status code = norn_add_natives(st, NULL, global, NORN_COUNT(global));
  if (!code) code = norn_add_natives(st, "language_model", of_model, NORN_COUNT(of_model));
  if (!code) code = norn_add_natives(st, "language_context", of_context, NORN_COUNT(of_context));
  for (int i = 0; i < NORN_COUNT(rows) && !code; i++) code = norn_add_dists(st, rows[i], 1);
  for (int i = 0; i < NORN_COUNT(handles) && !code; i++) code = norn_add_handles(st, handles[i], 1);
  return code;
}
