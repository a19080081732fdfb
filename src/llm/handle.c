/* handle.c: models and contexts as values of Norn.

   One handle a model and one a node while it lives: node->value is a weak reference (handles are old objects and do
   not move), which the handle's `free` takes away.  So equal contexts are one value, and to come to a context that
   is known costs no memory.  In files a model is its URI and options, a context its tokens (or pieces) beside. */
#include "llm/handle.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

norn_status lm_failed(norn_state *st)
{
  norn_status code = norn_error(st)->code;
  return code ? code : norn_fail(st, NORN_EMEMORY, -1, "out of memory");
}

/* ---- bytes ---- */

norn_datum lm_string(norn_state *st, const char *s, size_t n)
{
  mem *m = lm_mem(st);
  text t;
  uint32_t code;
  size_t at = 0, k;
  for (; at < n && (k = (size_t)utf8_next(s + at, n - at, &code)); at += k) {}
  if (at == n) return norn_string(st, s, n);
  if (!m) return norn_none();
  text_init(&t, m);
  text_put(&t, s, at);
  while (at < n) {
    k = (size_t)utf8_next(s + at, n - at, &code);
    if (k) text_put(&t, s + at, k);
    else {
      text_puts(&t, "\xef\xbf\xbd");
      for (k = 1; k < 3 && at + k < n && ((unsigned char)s[at + k] & 0xc0) == 0x80; k++) {}
    }
    at += k;
  }
  norn_datum v = t.failed ? norn_none() : norn_string(st, t.s, t.n);
  if (t.failed) lm_failed(st);
  text_free(&t);
  return v;
}

/* ---- models ---- */

static void model_free(norn_state *st, void *p)
{
  lm *m = p;
  (void)st;
  m->value = NULL;
  lm_close(m);
}

static void model_show(norn_state *st, void *p, char *buf, size_t n)
{
  const lm *m = p;
  (void)st;
  snprintf(buf, n, "<language model %s>", m->name);
}

static norn_datum descriptor(const lm *m, const lm_node *x);

static norn_datum model_save(norn_state *st, void *p)
{
  (void)st;
  return descriptor(p, NULL);
}

static lm *model_of(norn_state *st, norn_datum saved)
{
  const char *uri = norn_string_view(norn_record_get(st, saved, "uri"), NULL);
  norn_datum options = norn_record_get(st, saved, "options");
  if (!uri) {
    norn_fail(st, NORN_EIO, -1, "what stands for a language model in this file makes no sense");
    return NULL;
  }
  return lm_open(st, uri, norn_record_size(options) < 0 ? norn_none() : options);
}

static norn_datum model_load(norn_state *st, norn_datum saved)
{
  lm *m = model_of(st, saved);
  return m ? lm_give_model(m) : norn_none();
}

const norn_handle_row lm_model_row = { .name = "language model",  .free = model_free, .show = model_show,
                                       .module = "language_model", .save = model_save, .load = model_load };

static norn_datum known(void *value)
{
  norn_datum v = { .tag = NORN_HANDLE, .p = value };
  return v;
}

norn_datum lm_give_model(lm *m)
{
  if (m->value) {
    lm_close(m);                       /* the handle has a hold of its own */
    return known(m->value);
  }
  norn_datum v = norn_handle_new(m->st, &lm_model_row, m, sizeof *m);
  if (norn_is_none(v)) lm_close(m);
  else m->value = v.p;
  return v;
}

lm *lm_want_model(norn_state *st, const norn_datum *args, int i)
{
  char what[120];
  lm *m = norn_handle_view(args[i], &lm_model_row);
  if (!m)
    norn_fail(st, NORN_ETYPE, i, "a language model is wanted, got %s",
              norn_describe(st, args[i], what, sizeof what));
  return m;
}

/* ---- contexts ---- */

static void context_free(norn_state *st, void *p)
{
  lm_node *x = p;
  (void)st;
  x->value = NULL;
  lm_drop(x);
}

/* The last characters of a context, at most about `most` bytes, for show: in `buf`; *all: these are all. */
static size_t ending(const lm_node *x, char *buf, size_t most, bool *all)
{
  size_t n = 0, k;
  uint32_t code;
  *all = true;
  for (; x; x = x->parent) {
    const char *s = lm_edge(x, &k);
    size_t fits = k < most - n ? k : most - n;
    if (fits) {
      memmove(buf + fits, buf, n);
      memcpy(buf, s + k - fits, fits);
    }
    n += fits;
    if (fits < k) {
      *all = false;
      break;
    }
  }
  size_t cut = 0;
  while (!*all && cut < n && !utf8_next(buf + cut, n - cut, &code)) cut++;
  memmove(buf, buf + cut, n - cut);
  return n - cut;
}

static void context_show(norn_state *st, void *p, char *buf, size_t n)
{
  enum { TAIL = 24 };
  const lm_node *x = p;
  char end[TAIL];
  bool all, tokens = x->of->can & LM_TOKENS;
  size_t k = ending(x, end, TAIL, &all);
  (void)st;
  text t;
  text_init(&t, x->of->m);
  text_printf(&t, "<context of %u %s%s: ", x->depth, tokens ? "token" : "piece", x->depth == 1 ? "" : "s");
  size_t quote = t.n;
  text_quoted(&t, end, k);
  if (!all && !t.failed) {                     /* "... after the quotation mark */
    text_puts(&t, "...");
    if (!t.failed) {
      memmove(t.s + quote + 4, t.s + quote + 1, t.n - quote - 4);
      memcpy(t.s + quote + 1, "...", 3);
    }
  }
  snprintf(buf, n, "%s>", t.failed || !t.s ? "<context" : t.s);
  text_free(&t);
}

static norn_datum edges_of(norn_state *st, const lm_node *x)
{
  int64_t n = x->depth;
  void *at;
  bool tokens = x->of->can & LM_TOKENS;
  norn_datum a = norn_array(st, tokens ? NORN_I64 : NORN_VALUES, 1, &n, &at);
  if (norn_is_none(a)) return a;
  for (; x->parent; x = x->parent) {
    n--;
    if (tokens) ((int64_t *)at)[n] = x->token;
    else ((norn_datum *)at)[n] = norn_string(st, x->text, x->ntext);
    if (!tokens && norn_is_none(((norn_datum *)at)[n])) return norn_none();
  }
  return a;
}

/* {uri, options} of a model; with a node {uri, options, edges}. */
static norn_datum descriptor(const lm *m, const lm_node *x)
{
  static const char *const names[] = { "uri", "options", "edges" };
  norn_datum v[3] = { norn_cstring(m->st, m->uri), m->given ? norn_get(m->given) : norn_missing(), norn_unit() };
  if (x) v[2] = edges_of(m->st, x);
  if (norn_is_none(v[0]) || norn_is_none(v[2])) return norn_none();
  return norn_record(m->st, x ? 3 : 2, names, v);
}

static norn_datum context_save(norn_state *st, void *p)
{
  const lm_node *x = p;
  (void)st;
  return descriptor(x->of, x);
}

/* The child that element i of the edges names, held; NULL: error set. */
static lm_node *follow(lm *m, lm_node *x, const norn_view *edges, int64_t i)
{
  if (m->can & LM_TOKENS) {
    if (edges->elem == NORN_I64 && edges->i[i] >= 0 && edges->i[i] < m->vocab.n)
      return lm_extend(x, (lm_token)edges->i[i]);
  } else if (edges->elem == NORN_VALUES) {
    size_t n;
    const char *s = norn_string_view(edges->v[i], &n);
    if (s) return lm_extend_text(x, s, n);
  }
  norn_fail(m->st, NORN_EIO, -1, "the context in this file is none of %s", m->name);
  return NULL;
}

static norn_datum context_load(norn_state *st, norn_datum saved)
{
  norn_view edges;
  lm *m = model_of(st, saved);
  if (!m) return norn_none();
  if (!norn_array_view(norn_record_get(st, saved, "edges"), &edges)) edges.n = 0;
  lm_node *x = m->root;
  lm_hold(x);
  for (int64_t i = 0; i < edges.n && x; i++) {
    lm_node *next = follow(m, x, &edges, i);
    lm_drop(x);
    x = next;
  }
  norn_datum v = x ? lm_give_context(x) : norn_none();
  lm_close(m);
  return v;
}

const norn_handle_row lm_context_row = { .name = "context",           .free = context_free, .show = context_show,
                                         .module = "language_context", .save = context_save,
                                         .load = context_load };

norn_datum lm_give_context(lm_node *x)
{
  if (x->value) {
    norn_datum v = known(x->value);
    lm_drop(x);
    return v;
  }
  norn_datum v = norn_handle_new(x->of->st, &lm_context_row, x, sizeof *x);
  if (norn_is_none(v)) {
    lm_drop(x);
    return v;
  }
  x->value = v.p;
  return v;
}

lm *lm_of(norn_datum v) { return norn_handle_view(v, &lm_model_row); }
lm_node *lm_node_of(norn_datum v) { return norn_handle_view(v, &lm_context_row); }

lm_node *lm_want_context(norn_state *st, const norn_datum *args, int i)
{
  char what[120];
  lm_node *x = norn_handle_view(args[i], &lm_context_row);
  if (x) return x;
  norn_fail(st, NORN_ETYPE, i, "a context of a language model is wanted, got %s",
            norn_describe(st, args[i], what, sizeof what));
  if (norn_handle_view(args[i], &lm_model_row)) norn_hint(st, "lm.context(\"...\") is a context of the model");
  return NULL;
}

norn_status lm_want_level(norn_state *st, const lm *m, unsigned levels, const char *who)
{
  static const char *const level[] = { "the token level (the distribution of the next token)",
                                       "the level of scores (the log-probability of a given text)",
                                       "the level of samples (texts)" };
  char has[200];
  if (m->can & levels) return NORN_OK;
  int k = levels & LM_TOKENS && !(levels & ~(unsigned)LM_TOKENS) ? 0 : levels & LM_SCORES ? 1 : 2;
  snprintf(has, sizeof has, "%s%s%s", m->can & LM_TOKENS ? "tokens " : "", m->can & LM_SCORES ? "scores " : "",
           m->can & LM_SAMPLES ? "samples " : "");
  if (*has) has[strlen(has) - 1] = 0;
  norn_fail(st, NORN_EDOMAIN, -1, "%s needs %s, which %s has not", who, level[k], m->name);
  norn_hint(st, "this back end (%s:) can do: %s; its info.can says so", m->row->scheme, *has ? has : "nothing");
  return NORN_EDOMAIN;
}
