/* rows.c: the distribution of the next token as rows of Norn: token, and masked, which is token under the constraints
   of a text, normalised.

   A few of them are kept with the model, ready to be drawn from (lm_drawn): the tokens that have a probability, in
   order, with running sums, so that particles in one context share the work and a draw is a search.  Where a mask
   lets nothing through `masked` is all on NO_TOKEN; what follows it in a run is a factor of weight 0. */
#include "llm/rows.h"
#include <math.h>
#include <string.h>

enum { NO_TOKEN = -1, KEPT = LM_DRAWN_MOST };
static const size_t kept_bytes = (size_t)64 << 20;
static const lm_filter no_filter = { .temperature = 1, .top_p = 1 };

/* ---- what is kept ---- */

static size_t words(const lm *m) { return (size_t)(m->vocab.n + 63) / 64; }

lm_draws *lm_draws_of(lm *m)
{
  if (m->draws) return m->draws;
  lm_draws *r = norn_alloc(m->st, NULL, 0, sizeof *r);
  if (!r) return lm_failed(m->st), NULL;
  memset(r, 0, sizeof *r);
  size_t n = (size_t)m->vocab.n;
  if (n) r->scratch = norn_alloc(m->st, NULL, 0, n * sizeof *r->scratch);
  if (n) r->mask = norn_alloc(m->st, NULL, 0, words(m) * sizeof *r->mask);
  m->draws = r;
  if ((r->scratch && r->mask) || n == 0) return r;
  lm_draws_free(m);
  lm_failed(m->st);
  return NULL;
}

static void drawn_free(lm *m, lm_drawn *d)
{
  lm_node_let_go(d->at);
  norn_alloc(m->st, d, d->bytes, 0);
}

static void let_go(lm *m, lm_draws *r)
{
  for (int i = 0; i < r->nheld; i++) lm_node_let_go(r->held[i]);
  norn_alloc(m->st, r->held, (size_t)r->nheld * sizeof *r->held, 0);
  r->held = NULL;
  r->nheld = 0;
}

void lm_draws_free(lm *m)
{
  lm_draws *r = m->draws;
  if (!r) return;
  let_go(m, r);
  lm_got_free(m, r);
  for (int i = 0; i < r->n; i++) drawn_free(m, r->v[i]);
  if (r->scratch) norn_alloc(m->st, r->scratch, (size_t)m->vocab.n * sizeof *r->scratch, 0);
  if (r->mask) norn_alloc(m->st, r->mask, words(m) * sizeof *r->mask, 0);
  norn_alloc(m->st, r, sizeof *r, 0);
  m->draws = NULL;
}

bool lm_keep_nodes(lm *m, lm_node **x, int n)
{
  lm_draws *r = lm_draws_of(m);
  if (r) let_go(m, r);
  if (!r || n == 0) return r != NULL;
  lm_node **held = norn_alloc(m->st, NULL, 0, (size_t)n * sizeof *held);
  if (!held) return !lm_failed(m->st);
  for (int i = 0; i < n; i++) lm_node_keep(held[i] = x[i]);
  r->held = held;
  r->nheld = n;
  return true;
}

static bool same_filter(const lm_filter *a, const lm_filter *b)
{
  return a->temperature == b->temperature && a->top_p == b->top_p && a->min_p == b->min_p && a->top_k == b->top_k;
}

static lm_drawn *find(lm_draws *r, const lm_node *at, const lm_filter *f, const uint64_t *mask, uint64_t serial)
{
  for (int i = 0; i < r->n; i++) {
    lm_drawn *d = r->v[i];
    if (d->at != at || d->mask != mask || d->serial != serial || !same_filter(&d->filter, f)) continue;
    d->used = ++r->clock;
    return d;
  }
  return NULL;
}

static void forget_oldest(lm *m, lm_draws *r)
{
  int k = 0;
  for (int i = 1; i < r->n; i++) if (r->v[i]->used < r->v[k]->used) k = i;
  r->bytes -= r->v[k]->bytes;
  drawn_free(m, r->v[k]);
  r->v[k] = r->v[--r->n];
}

/* The tokens of scratch that have a probability, as one that is kept. */
static lm_drawn *gather(lm *m, lm_draws *r, lm_node *at, double mass)
{
  int n = 0;
  for (int t = 0; t < m->vocab.n; t++) n += r->scratch[t] > -HUGE_VAL;
  size_t bytes = sizeof(lm_drawn) + (size_t)n * (2 * sizeof(double) + sizeof(lm_token));
  while (r->n == KEPT || (r->n > 1 && r->bytes + bytes > kept_bytes)) forget_oldest(m, r);
  lm_drawn *d = norn_alloc(m->st, NULL, 0, bytes);
  if (!d) return NULL;
  memset(d, 0, sizeof *d);
  d->logp = (double *)(void *)(d + 1);
  d->below = d->logp + n;
  d->token = (lm_token *)(void *)(d->below + n);
  double sum = 0;
  for (int t = 0; t < m->vocab.n; t++) {
    if (!(r->scratch[t] > -HUGE_VAL)) continue;
    d->token[d->n] = t;
    d->logp[d->n] = r->scratch[t];
    d->below[d->n++] = sum += exp(r->scratch[t]);
  }
  lm_node_keep(d->at = at);
  d->mass = mass;
  d->bytes = bytes;
  d->used = ++r->clock;
  r->bytes += bytes;
  return r->v[r->n++] = d;
}

/* Takes out of `mask` what the predicate forbids behind `at`; asked only of what has a probability (scratch) and
   adds to the text.  false: error set. */
static bool ask_predicate(norn_state *st, lm *m, lm_draws *r, const lm_wish *w, const lm_node *at, const lm_node *start,
                          uint64_t *mask)
{
  text t;
  text_init(&t, m->m);
  bool good = lm_text_between(start, at, &t);
  size_t before = t.n, k;
  for (int i = 0; i < m->vocab.n && good; i++) {
    const char *s = lm_bytes(m, i, &k);
    if (!(mask[i / 64] >> (i & 63) & 1) || !(r->scratch[i] > -HUGE_VAL) || k == 0) continue;
    t.n = before;
    text_put(&t, s, k);
    const char *cut = w->nstop ? memmem(t.s, t.n, w->stop, w->nstop) : NULL;
    int holds = t.failed ? -1 : lm_wish_holds(st, w, t.s, cut ? (size_t)(cut - t.s) : t.n);
    good = holds >= 0;
    if (holds == 0) mask[i / 64] &= ~((uint64_t)1 << (i & 63));
  }
  if (!good) lm_failed(st);
  text_free(&t);
  return good;
}

/* ---- one distribution ---- */

const lm_drawn *lm_drawn_at(norn_state *st, lm_node *at, const lm_filter *f, lm_wish *w, int state, int left)
{
  lm *m = at->of;
  lm_draws *r = lm_draws_of(m);
  const uint64_t *mask = NULL;
  if (!r) return NULL;
  if (w && w->within && !(mask = lm_guide_mask(w->within, state, left))) return NULL;
  lm_drawn *d = find(r, at, f, mask, w ? w->serial : 0);
  if (d) return d;
  if (lm_eval(m, &at, 1)) return NULL;
  const uint64_t *used = mask;
  if (w && w->always) {
    lm_filtered(m, at->logp, f, NULL, r->scratch);
    if (mask) memcpy(r->mask, mask, words(m) * sizeof *mask);
    else memset(r->mask, 0xff, words(m) * sizeof *mask);
    if (!ask_predicate(st, m, r, w, at, lm_wish_context(w), r->mask)) return NULL;
    used = r->mask;
  }
  double mass = lm_filtered(m, at->logp, f, used, r->scratch);
  d = gather(m, r, at, mass);
  if (!d) return lm_failed(st), NULL;
  d->filter = *f;
  d->mask = mask;
  d->serial = w ? w->serial : 0;
  return d;
}

/* The place of a token among those that are there, or -1. */
static int place_of(const lm_drawn *d, lm_token t)
{
  int a = 0, b = d->n;
  while (a < b) {
    int k = (a + b) / 2;
    if (d->token[k] < t) a = k + 1;
    else b = k;
  }
  return a < d->n && d->token[a] == t ? a : -1;
}

double lm_drawn_logp(const lm_drawn *d, lm_token t)
{
  if (d->n == 0) return t == NO_TOKEN ? 0 : -HUGE_VAL;
  int k = place_of(d, t);
  return k < 0 ? -HUGE_VAL : d->logp[k];
}

lm_token lm_drawn_sample(const lm_drawn *d, norn_rng *g)
{
  if (d->n == 0) return NO_TOKEN;
  double u = norn_rng_uniform(g) * d->below[d->n - 1];
  int a = 0, b = d->n - 1;
  while (a < b) {                                /* the first whose sum is above u */
    int k = (a + b) / 2;
    if (d->below[k] > u) b = k;
    else a = k + 1;
  }
  return d->token[a];
}

double lm_drawn_entropy(const lm_drawn *d)
{
  double sum = 0;
  for (int i = 0; i < d->n; i++) sum -= exp(d->logp[i]) * d->logp[i];
  return sum;
}

bool lm_token_logp(norn_state *st, lm_node *at, const lm_filter *f, lm_token t, double *out)
{
  if (same_filter(f, &no_filter)) {
    if (lm_eval(at->of, &at, 1)) return false;
    *out = at->logp[t];
    return true;
  }
  const lm_drawn *d = lm_drawn_at(st, at, f, NULL, 0, -1);
  if (d) *out = lm_drawn_logp(d, t);
  return d != NULL;
}

/* ---- arguments ---- */

static bool want_range(norn_state *st, const norn_datum *args, int i, const char *what, double least, double most,
                       bool open, double *out)
{
  if (!norn_want_real(st, args, i, what, out)) return false;
  if ((open ? *out > least : *out >= least) && *out <= most) return true;
  if (most < HUGE_VAL)
    norn_fail(st, NORN_EDOMAIN, i, "%s must be in %c%g, %g], got %g", what, open ? '(' : '[', least, most, *out);
  else norn_fail(st, NORN_EDOMAIN, i, "%s must be at least %g, got %g", what, least, *out);
  return false;
}

bool lm_want_filter(norn_state *st, const norn_datum *args, int from, lm_filter *out)
{
  int64_t k;
  if (!want_range(st, args, from, "temperature", 0, 1e6, false, &out->temperature) ||
      !want_range(st, args, from + 1, "top_p", 0, 1, true, &out->top_p) ||
      !norn_want_int(st, args, from + 2, "top_k", &k) ||
      !want_range(st, args, from + 3, "min_p", 0, 1, false, &out->min_p)) return false;
  if (k < 0 || k > INT32_MAX) {
    norn_fail(st, NORN_EDOMAIN, from + 2, "top_k must be at least 0 (0: all tokens), got %lld", (long long)k);
    return false;
  }
  out->top_k = (int)k;
  return true;
}

/* ---- token ---- */

enum { TOKEN_CONTEXT, TOKEN_FILTER, TOKEN_ARGS = TOKEN_FILTER + 4 };

static lm_node *token_args(norn_state *st, const norn_dist *d, lm_filter *f)
{
  if (norn_want_home(st)) return NULL;
  lm_node *x = lm_want_context(st, d->args, TOKEN_CONTEXT);
  if (!x || lm_want_level(st, x->of, LM_TOKENS, "ctx.token()") || !lm_want_filter(st, d->args, TOKEN_FILTER, f))
    return NULL;
  return x;
}

static norn_status token_check(norn_state *st, const norn_dist *d)
{
  lm_filter f;
  return token_args(st, d, &f) ? NORN_OK : norn_error(st)->code;
}

static const lm_drawn *token_drawn(norn_state *st, const norn_dist *d)
{
  lm_filter f;
  lm_node *x = token_args(st, d, &f);
  return x ? lm_drawn_at(st, x, &f, NULL, 0, -1) : NULL;
}

static norn_status token_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  const lm_drawn *x = token_drawn(st, d);
  if (!x) return norn_error(st)->code;
  *out = norn_int(lm_drawn_sample(x, g));
  return NORN_OK;
}

/* x as a token of the vocabulary; -2: error set. */
static lm_token want_token(norn_state *st, const lm *m, norn_datum x)
{
  char what[120];
  if (x.tag == NORN_INT && x.i >= 0 && x.i < m->vocab.n) return (lm_token)x.i;
  if (x.tag != NORN_INT)
    norn_fail(st, NORN_ETYPE, -1, "a token is an integer, got %s", norn_describe(st, x, what, sizeof what));
  else
    norn_fail(st, NORN_EDOMAIN, -1, "%lld is no token of %s: it has %d", (long long)x.i, m->name, m->vocab.n);
  norn_hint(st, "lm.tokens(\"...\") gives the tokens of a string");
  return -2;
}

static norn_status token_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  lm_filter f;
  lm_node *at = token_args(st, d, &f);
  lm_token t = at ? want_token(st, at->of, x) : -2;
  return t >= 0 && lm_token_logp(st, at, &f, t, out) ? NORN_OK : norn_error(st)->code;
}

static norn_status kth(norn_state *st, const lm_drawn *x, int64_t k, norn_datum *out)
{
  if (!x) return norn_error(st)->code;
  *out = norn_none();
  if (k >= 0 && k < x->n) *out = norn_int(x->token[k]);
  else if (k == 0) *out = norn_int(NO_TOKEN);
  return NORN_OK;
}

static norn_status token_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  return kth(st, token_drawn(st, d), k, out);
}

static int64_t token_count(norn_state *st, const norn_dist *d)
{
  const lm_drawn *x = token_drawn(st, d);
  return x ? x->n : -1;
}

static void token_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  const lm_node *x = norn_handle_view(d->args[TOKEN_CONTEXT], &lm_context_row);
  (void)st;
  *out = (norn_support){ NORN_SUPPORT_INTEGER, 0, x ? x->of->vocab.n - 1 : 0, 1, 1, -1, -1 };
}

norn_status lm_eval_all(lm_node **x, int n)
{
  for (int at = 0; at < n;) {
    int k = at + 1;
    for (int i = k; i < n; i++) {
      if (x[i]->of != x[at]->of) continue;
      lm_node *swap = x[k];
      x[k++] = x[i];
      x[i] = swap;
    }
    norn_status code = lm_eval(x[at]->of, x + at, k - at);
    if (code) return code;
    at = k;
  }
  return NORN_OK;
}

static norn_status ready_at(norn_state *st, int n, const norn_dist *d, int which)
{
  if (norn_want_home(st)) return norn_error(st)->code;
  lm_node **x = norn_alloc(st, NULL, 0, (size_t)n * sizeof *x);
  norn_status code = NORN_OK;
  if (!x) return lm_failed(st);
  int k = 0;
  for (int i = 0; i < n; i++) {
    lm_node *at = norn_handle_view(d[i].args[which], &lm_context_row);
    if (at && at->of->can & LM_TOKENS) x[k++] = at;
  }
  code = lm_eval_all(x, k);
  norn_alloc(st, x, (size_t)n * sizeof *x, 0);
  return code;
}

static norn_status token_ready(norn_state *st, int n, const norn_dist *d, const norn_datum *x, const norn_rng *g)
{
  (void)x;
  (void)g;
  return ready_at(st, n, d, TOKEN_CONTEXT);
}

/* What differs from the model's own distribution. */
norn_status lm_show_row(norn_state *st, const char *name, norn_datum context, const lm_filter *f, const char *more,
                        norn_datum *out)
{
  mem *m = lm_mem(st);
  text t;
  if (!m) return lm_failed(st);
  text_init(&t, m);
  text_printf(&t, "%s(%s", name, norn_show(st, context, true, 0));
  if (f->temperature != 1) text_printf(&t, ", temperature = %g", f->temperature);
  if (f->top_p != 1) text_printf(&t, ", top_p = %g", f->top_p);
  if (f->top_k != 0) text_printf(&t, ", top_k = %d", f->top_k);
  if (f->min_p != 0) text_printf(&t, ", min_p = %g", f->min_p);
  text_printf(&t, "%s)", more);
  *out = t.failed ? norn_none() : norn_string(st, t.s, t.n);
  text_free(&t);
  return norn_is_none(*out) ? lm_failed(st) : NORN_OK;
}

static norn_status token_show(norn_state *st, const norn_dist *d, norn_datum *out)
{
  lm_filter f;
  if (!lm_want_filter(st, d->args, TOKEN_FILTER, &f)) return norn_error(st)->code;
  return lm_show_row(st, "token", d->args[TOKEN_CONTEXT], &f, "", out);
}

#define TOKENS .flags = NORN_DIST_DISCRETE | NORN_DIST_FINITE | NORN_DIST_COSTLY

const norn_dist_row lm_token_row = {
  .name = "_token", .params = "context, temperature = 1.0, top_p = 1.0, top_k = 0, min_p = 0.0", TOKENS,
  .doc = "The next token of a language model; programs write ctx.token(...).",
  .check = token_check, .sample = token_sample, .logp = token_logp, .enumerate = token_enumerate,
  .count = token_count, .support = token_support, .show = token_show, .ready = token_ready };

/* ---- masked ---- */

enum { MASKED_WISH, MASKED_AT, MASKED_STATE, MASKED_DRAWN, MASKED_ARGS };

static const lm_drawn *masked_drawn(norn_state *st, const norn_dist *d)
{
  if (norn_want_home(st)) return NULL;
  lm_wish *w = norn_handle_view(d->args[MASKED_WISH], &lm_wish_row);
  lm_node *at = norn_handle_view(d->args[MASKED_AT], &lm_context_row);
  if (!w || !at || at->of != w->of || d->args[MASKED_STATE].tag != NORN_INT ||
      d->args[MASKED_DRAWN].tag != NORN_INT) {
    norn_fail(st, NORN_ETYPE, -1, "the masked distribution of a token is made by ctx.text(match = ...) alone");
    return NULL;
  }
  int state = lm_wish_state(w, at, d->args[MASKED_STATE].i);
  if (state == LM_NOT_SO && norn_error(st)->code) return NULL;
  return lm_drawn_at(st, at, &w->filter, w, state, w->max - (int)d->args[MASKED_DRAWN].i);
}

static norn_status masked_check(norn_state *st, const norn_dist *d)
{
  (void)st;
  (void)d;
  return NORN_OK;
}

static norn_status masked_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  const lm_drawn *x = masked_drawn(st, d);
  if (!x) return norn_error(st)->code;
  *out = norn_int(lm_drawn_sample(x, g));
  return NORN_OK;
}

static norn_status masked_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  const lm_drawn *drawn = masked_drawn(st, d);
  lm_token t = !drawn ? -2 : x.tag == NORN_INT && x.i == NO_TOKEN ? NO_TOKEN : want_token(st, drawn->at->of, x);
  if (t < NO_TOKEN) return norn_error(st)->code;
  *out = lm_drawn_logp(drawn, t);
  return NORN_OK;
}

static norn_status masked_enumerate(norn_state *st, const norn_dist *d, int64_t k, norn_datum *out)
{
  return kth(st, masked_drawn(st, d), k, out);
}

static int64_t masked_count(norn_state *st, const norn_dist *d)
{
  const lm_drawn *x = masked_drawn(st, d);
  return !x ? -1 : x->n ? x->n : 1;
}

static void masked_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  const lm_node *x = norn_handle_view(d->args[MASKED_AT], &lm_context_row);
  (void)st;
  *out = (norn_support){ NORN_SUPPORT_INTEGER, NO_TOKEN, x ? x->of->vocab.n - 1 : 0, 1, 1, -1, -1 };
}

static norn_status masked_ready(norn_state *st, int n, const norn_dist *d, const norn_datum *x, const norn_rng *g)
{
  (void)x;
  (void)g;
  return ready_at(st, n, d, MASKED_AT);
}

static norn_status masked_show(norn_state *st, const norn_dist *d, norn_datum *out)
{
  const lm_wish *w = norn_handle_view(d->args[MASKED_WISH], &lm_wish_row);
  return lm_show_row(st, "masked", d->args[MASKED_AT], w ? &w->filter : &no_filter, "", out);
}

const norn_dist_row lm_masked_row = {
  .name = "_masked", .params = "wish, context, state, drawn", TOKENS,
  .doc = "The next token under the constraints of a text, normalised; ctx.text(match = ...) draws from it.",
  .check = masked_check, .sample = masked_sample, .logp = masked_logp, .enumerate = masked_enumerate,
  .count = masked_count, .support = masked_support, .show = masked_show, .ready = masked_ready };
