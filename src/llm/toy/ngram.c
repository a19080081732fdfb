/* ngram.c: models of order N: the next token depends on the N - 1 before it.

   Of a table, {tokens: [...], rows: [{after: ["a"], probs: [...]}, ...]}: the row whose `after` is the longest that the
   context ends with; probs are those of the tokens and, last, of the end.

   Of a text, whose lines are one text each: with c(h, t) how often t came after h,

       p(t | h) = (c(h, t) + alpha p(t | h')) / (c(h) + alpha),
       h' = h without its first,  p(t | none before) = 1 / n

   (MacKay, Peto 1995, "A hierarchical Dirichlet language model").  A line begins after N - 1 marks of its own. */
#include "llm/toy/toy.h"
#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ORDER_MOST = 16, MARK = -1 };

/* What follows one history: counts, or probabilities. */
typedef struct row { const lm_token *after; int n; double *p, total; } row;
typedef struct ngram {
  lm lm;
  toy_vocab vocab;
  bool counts;
  int order;                           /* histories have at most order - 1 tokens */
  double alpha;
  row *rows; size_t nrows, crows;
  uint32_t *table; size_t ctable;      /* 1 + the row of a hash; 0: none */
  arena a;
} ngram;

/* ---- histories ---- */

static uint32_t *row_at(ngram *g, const lm_token *h, int n)
{
  size_t i = hash_bytes(h, (size_t)n * sizeof *h, 17) & (g->ctable - 1);
  for (;; i = (i + 1) & (g->ctable - 1)) {
    uint32_t k = g->table[i];
    if (!k || (g->rows[k - 1].n == n && (!n || memcmp(g->rows[k - 1].after, h, (size_t)n * sizeof *h) == 0)))
      return g->table + i;
  }
}

static row *row_find(ngram *g, const lm_token *h, int n)
{
  uint32_t k = g->ctable ? *row_at(g, h, n) : 0;
  return k ? g->rows + k - 1 : NULL;
}

static bool rehash(ngram *g)
{
  size_t cap = g->ctable ? 2 * g->ctable : 64;
  uint32_t *t = mem_zero(g->lm.m, cap * sizeof *t);
  if (!t) return false;
  mem_put(g->lm.m, g->table, g->ctable * sizeof *t);
  g->table = t;
  g->ctable = cap;
  for (size_t k = 0; k < g->nrows; k++) *row_at(g, g->rows[k].after, g->rows[k].n) = (uint32_t)k + 1;
  return true;
}

/* The row of a history, made if need be; NULL: error set. */
static row *row_make(ngram *g, const lm_token *h, int n)
{
  row *r = row_find(g, h, n);
  if (r) return r;
  if (2 * (g->nrows + 1) > g->ctable && !rehash(g)) goto none;
  if (!mem_grow(g->lm.m, &g->rows, &g->crows, g->nrows + 1, sizeof *g->rows)) goto none;
  lm_token *after = arena_get(&g->a, (size_t)(n + 1) * sizeof *after);
  double *p = arena_get(&g->a, (size_t)g->lm.vocab.n * sizeof *p);
  if (!after || !p) goto none;
  if (n) memcpy(after, h, (size_t)n * sizeof *h);
  *row_at(g, h, n) = (uint32_t)g->nrows + 1;
  g->rows[g->nrows] = (row){ after, n, p, 0 };
  return g->rows + g->nrows++;
none:
  lm_no_memory(g->lm.st);
  return NULL;
}

/* ---- of a table ---- */

static int after_read(ngram *g, norn_datum v, lm_token *h)
{
  norn_view a;
  if (!norn_array_view(v, &a) || a.n > ORDER_MOST || (a.n && a.elem != NORN_VALUES)) {
    norn_fail(g->lm.st, NORN_EDOMAIN, 0, "after of a row must be an array of at most %d tokens", ORDER_MOST);
    return -1;
  }
  for (int64_t i = 0; i < a.n; i++) {
    size_t n;
    const char *s = norn_string_view(a.v[i], &n);
    h[i] = s ? toy_token(&g->lm.vocab, s, n) : -1;
    if (h[i] >= 0) continue;
    norn_fail(g->lm.st, NORN_EDOMAIN, 0, "after of a row has %s, which is no token of the model",
              norn_show(g->lm.st, a.v[i], true, 60));
    return -1;
  }
  return (int)a.n;
}

static bool row_read(ngram *g, norn_datum r)
{
  lm_token h[ORDER_MOST];
  int n = after_read(g, norn_record_get(g->lm.st, r, "after"), h);
  if (n < 0) return false;
  if (row_find(g, h, n)) return !norn_fail(g->lm.st, NORN_EDOMAIN, 0, "two rows of the table have the same after");
  row *to = row_make(g, h, n);
  if (n + 1 > g->order) g->order = n + 1;
  return to && toy_probabilities(&g->lm, r, "probs", 1, g->lm.vocab.n, true, to->p);
}

static bool of_table(ngram *g, norn_datum table)
{
  norn_state *st = g->lm.st;
  norn_view rows;
  if (!toy_vocab_strings(&g->lm, &g->vocab, norn_record_get(st, table, "tokens"))) return false;
  g->lm.vocab = g->vocab.v;
  if (!norn_array_view(norn_record_get(st, table, "rows"), &rows) || rows.elem != NORN_VALUES)
    return !norn_fail(st, NORN_EIO, 0, "the table of ngram: needs rows, an array of {after: [...], probs: [...]}");
  for (int64_t i = 0; i < rows.n; i++) if (!row_read(g, rows.v[i])) return false;
  if (!row_find(g, NULL, 0))
    return !norn_fail(st, NORN_EDOMAIN, 0, "the table of ngram: needs a row with after = [], for all else");
  return true;
}

/* ---- of a text ---- */

/* Its characters as a vocabulary, in order of their first coming. */
static bool characters(ngram *g, const char *s, size_t n)
{
  text all;
  size_t *length = NULL, cap = 0;
  int k = 0;
  bool good = true;
  text_init(&all, g->lm.m);
  for (size_t at = 0, step; good && at < n; at += step) {
    uint32_t code;
    size_t seen = 0;
    int i = 0;
    step = (size_t)utf8_next(s + at, n - at, &code);
    if (!step) step = 1;
    if (s[at] == '\n') continue;
    for (; i < k; seen += length[i++])
      if (length[i] == step && memcmp(all.s + seen, s + at, step) == 0) break;
    if (i < k) continue;
    good = mem_grow(g->lm.m, &length, &cap, (size_t)k + 1, sizeof *length);
    if (good) length[k++] = step;
    text_put(&all, s + at, step);
    good = good && !all.failed;
  }
  if (!good || all.failed) lm_no_memory(g->lm.st);
  else if (!k) norn_fail(g->lm.st, NORN_EDOMAIN, 0, "the text of an ngram: model is empty");
  good = good && !all.failed && k && toy_vocab_make(&g->lm, &g->vocab, all.s, length, k);
  mem_put(g->lm.m, length, cap * sizeof *length);
  text_free(&all);
  return good;
}

/* h: the tokens before, order - 1 of them, the nearest last. */
static bool count(ngram *g, const lm_token *h, lm_token t)
{
  for (int n = 0; n < g->order; n++) {
    row *r = row_make(g, h + g->order - 1 - n, n);
    if (!r) return false;
    r->p[t]++;
    r->total++;
  }
  return true;
}

static bool count_line(ngram *g, const char *s, size_t n)
{
  lm_token h[ORDER_MOST];
  lm_tokens t = { NULL, 0, 0 };
  bool good = lm_encode(&g->lm, s, n, &t) == NORN_OK && lm_tokens_add(g->lm.st, &t, g->lm.vocab.end);
  for (int i = 0; i < ORDER_MOST; i++) h[i] = MARK;
  for (int i = 0; good && i < t.n; i++) {
    good = count(g, h, t.v[i]);
    for (int k = 0; k + 2 < g->order; k++) h[k] = h[k + 1];
    if (g->order > 1) h[g->order - 2] = t.v[i];
  }
  lm_tokens_free(g->lm.st, &t);
  return good;
}

static bool of_text(ngram *g, const char *s, size_t n, norn_datum options)
{
  int64_t order = 3;
  norn_datum tokens = norn_is_none(options) ? options : norn_record_get(g->lm.st, options, "tokens");
  g->counts = true;
  g->alpha = 1;
  if (!toy_int(&g->lm, options, "order", 1, ORDER_MOST, &order) || !toy_real(&g->lm, options, "alpha", 0, &g->alpha))
    return false;
  g->order = (int)order;
  if (norn_is_none(tokens) ? !characters(g, s, n) : !toy_vocab_strings(&g->lm, &g->vocab, tokens)) return false;
  g->lm.vocab = g->vocab.v;
  for (size_t at = 0; at < n;) {
    const char *end = memchr(s + at, '\n', n - at);
    size_t len = end ? (size_t)(end - s) - at : n - at;
    if (!count_line(g, s + at, len)) return false;
    at += len + 1;
  }
  return true;
}

/* ---- the row ---- */

static bool ends_in(const char *s, const char *end)
{
  size_t n = strlen(s), k = strlen(end);
  return n >= k && strcmp(s + n - k, end) == 0;
}

static bool ngram_read(ngram *g, const char *rest, norn_datum options)
{
  norn_state *st = g->lm.st;
  norn_datum said = norn_is_none(options) ? options : norn_record_get(st, options, "text");
  size_t n;
  if (!norn_is_none(said)) {
    const char *s = norn_string_view(said, &n);
    if (s) return of_text(g, s, n, options);
    return !norn_fail(st, NORN_ETYPE, 0, "text of ngram: must be a string");
  }
  if (!*rest || ends_in(rest, ".json")) {
    norn_datum table = toy_table(&g->lm, rest, options);
    return !norn_is_none(table) && of_table(g, table);
  }
  char *s = toy_file(&g->lm, rest, &n);
  if (!s) return false;
  bool good = of_text(g, s, n, options);
  mem_put(g->lm.m, s, n + 1);
  return good;
}

static norn_status ngram_open(lm *x, const char *rest, norn_datum options)
{
  ngram *g = (ngram *)x;
  x->can = LM_TOKENS;
  arena_init(&g->a, x->m);
  if (!ngram_read(g, rest, options)) return norn_error(x->st)->code ? norn_error(x->st)->code : NORN_EIO;
  snprintf(x->name, sizeof x->name, "ngram of order %d, %d tokens", g->order, x->vocab.n);
  return NORN_OK;
}

static void ngram_close(lm *x)
{
  ngram *g = (ngram *)x;
  toy_vocab_free(x, &g->vocab);
  mem_put(x->m, g->rows, g->crows * sizeof *g->rows);
  mem_put(x->m, g->table, g->ctable * sizeof *g->table);
  arena_free(&g->a);
}

/* p (n) after h, whose nearest `order - 1` tokens count; those before the text's begin are marks. */
static void predict_counts(ngram *g, const lm_token *h, double *p)
{
  int n = g->lm.vocab.n;
  for (int t = 0; t < n; t++) p[t] = 1.0 / n;
  for (int len = 0; len < g->order; len++) {
    const row *r = row_find(g, h + g->order - 1 - len, len);
    if (!r || r->total == 0) break;
    for (int t = 0; t < n; t++) p[t] = (r->p[t] + g->alpha * p[t]) / (r->total + g->alpha);
  }
}

static void predict_table(ngram *g, const lm_token *h, int most, double *p)
{
  int len = most < g->order - 1 ? most : g->order - 1;
  const row *r;
  while (!(r = row_find(g, h + g->order - 1 - len, len))) len--;
  memcpy(p, r->p, (size_t)g->lm.vocab.n * sizeof *p);
}

static norn_status ngram_eval(lm *x, lm_node *const *node, int n)
{
  ngram *g = (ngram *)x;
  double *p = mem_get(x->m, (size_t)x->vocab.n * sizeof *p);
  if (!p) return lm_no_memory(x->st);
  norn_status s = NORN_OK;
  for (int i = 0; i < n && !s; i++) {
    lm_token h[ORDER_MOST + 1];
    const lm_node *at = node[i];
    for (int k = g->order - 2; k >= 0; k--) {
      h[k] = at->parent ? at->token : MARK;
      if (at->parent) at = at->parent;
    }
    if (g->counts) predict_counts(g, h, p);
    else predict_table(g, h, (int)node[i]->depth, p);
    float *to = lm_node_room(node[i]);
    if (!to) s = NORN_EMEMORY;
    for (int t = 0; to && t < x->vocab.n; t++) to[t] = (float)log(p[t]);
  }
  x->ledger.computed += (uint64_t)n;
  mem_put(x->m, p, (size_t)x->vocab.n * sizeof *p);
  return s;
}

static const char *const options_of[] = { "text", "table", "order", "alpha", "tokens", NULL };
const lm_row lm_ngram = {
  .scheme = "ngram",
  .doc = "ngram:FILE is a model of order N over characters. FILE.json holds {\"tokens\": [...], \"rows\": [{\"after\": "
         "[...], \"probs\": [...]}]}: the row with the longest `after` that the context ends with; probs are of the "
         "tokens and, last, the end. Any other file is a text, a line a text, from which it is learned: order = 3, "
         "alpha = 1, tokens = [...] (characters if not given). Without a file: text = \"...\", or table = {...}.",
  .options = options_of,
  .size = sizeof(ngram),
  .open = ngram_open,
  .close = ngram_close,
  .eval = ngram_eval
};
