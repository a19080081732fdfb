/* rows_text.c: texts as distributions: the rows text and starts.

   A text is drawn token by token until a token ends it, the stop stands in it (what is before the stop is the text),
   or there are `max` of them.  So the log-probability of a string s is that of

       its canonical tokens t[0 .. n)        n <= max, s without the stop
     + if n < max: one of the ends           a token of kind END, or tokens that spell the stop: the sum over all
                                             tokenisations of the stop in at most max - n tokens, the last of which
                                             may go on behind it

   Other tokenisations of s are not counted: to draw and to score are the same only where a string has one.  A
   constraint multiplies by 0 or 1, and nothing is normalised. */
#include "llm/rows.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BY_END = 1, BY_STOP = 2 };                  /* how a text is over */
enum { ENDS_MOST = 4096 };

/* ---- the log-probability of a string ---- */

/* A way to spell a part of the stop. */
typedef struct part { lm_node *at; size_t done; int drawn; double logp; } part;
typedef struct parts { part *v; int n, cap; } parts;

static bool part_add(norn_state *st, parts *p, part x)
{
  size_t cap = (size_t)p->cap;
  if (p->n >= ENDS_MOST) {
    norn_fail(st, NORN_ELIMIT, -1, "the stop can be spelled in more than %d ways: "
              "it is too long to be scored", ENDS_MOST);
    return false;
  }
  mem *m = lm_mem(st);
  if (!m || !mem_grow(m, &p->v, &cap, (size_t)p->n + 1, sizeof *p->v)) return !lm_failed(st);
  p->cap = (int)cap;
  p->v[p->n++] = x;
  return true;
}

static double log_add(double a, double b)
{
  double top = a > b ? a : b;
  return top == -HUGE_VAL ? top : top + log(exp(a - top) + exp(b - top));
}

/* What token t does to a part: completes the stop (*sum grows), spells more of it (joins *p), or neither. */
static bool spell(norn_state *st, const lm_wish *w, unsigned how, parts *p, const part *from, lm_token t, double logp,
                  double *sum)
{
  size_t k, rest = w->nstop - from->done;
  if (w->of->vocab.kind[t] == LM_END) {
    if (from->done == 0 && how & BY_END) *sum = log_add(*sum, from->logp + logp);
    return true;
  }
  const char *s = lm_bytes(w->of, t, &k);
  if (!(how & BY_STOP) || k == 0 || memcmp(s, w->stop + from->done, k < rest ? k : rest) != 0) return true;
  if (k >= rest) {
    *sum = log_add(*sum, from->logp + logp);
    return true;
  }
  if (from->drawn + 1 >= w->max) return true;                   /* no room for what is left of it */
  part next = { lm_extend(from->at, t), from->done + k, from->drawn + 1, from->logp + logp };
  if (next.at && part_add(st, p, next)) return true;
  if (next.at) lm_drop(next.at);
  return false;
}

/* log of the probability that a text which stands at x, after n tokens, is over in one of these ways: *out. */
static bool ends(norn_state *st, const lm_wish *w, lm_node *x, int n, unsigned how, double *out)
{
  parts p = { NULL, 0, 0 };
  lm_hold(x);
  bool good = part_add(st, &p, (part){ x, 0, n, 0 });
  if (!good) lm_drop(x);
  *out = -HUGE_VAL;
  for (int i = 0; i < p.n && good; i++) {
    part from = p.v[i];
    const lm_drawn *d = lm_drawn_at(st, from.at, &w->filter, NULL, 0, -1);
    good = d != NULL;
    for (int k = 0; good && k < d->n; k++) good = spell(st, w, how, &p, &from, d->token[k], d->logp[k], out);
  }
  for (int i = 0; i < p.n; i++) lm_drop(p.v[i].at);
  mem *m = lm_mem(st);
  if (m) mem_put(m, p.v, (size_t)p.cap * sizeof *p.v);
  return good;
}

/* A string about to be scored: its canonical tokens, and the contexts before each and behind all
   (n + 1, held).  One that the vocabulary can't spell has probability 0: `at` is NULL. */
typedef struct scored { lm_tokens tokens; lm_node **at; int n; } scored;

static void scored_free(norn_state *st, scored *s)
{
  for (int i = 0; s->at && i <= s->n && s->at[i]; i++) lm_drop(s->at[i]);
  if (s->at) norn_alloc(st, s->at, (size_t)(s->n + 1) * sizeof(lm_node *), 0);
  lm_tokens_free(st, &s->tokens);
  s->at = NULL;
}

static bool scored_new(norn_state *st, lm_node *x, const char *text_, size_t n, scored *s)
{
  *s = (scored){ { NULL, 0, 0 }, NULL, 0 };
  norn_status code = lm_encode(x->of, text_, n, &s->tokens);
  if (code) {
    lm_tokens_free(st, &s->tokens);
    if (code == NORN_EDOMAIN) norn_clear(st);
    return code == NORN_EDOMAIN;
  }
  s->n = s->tokens.n;
  s->at = norn_alloc(st, NULL, 0, (size_t)(s->n + 1) * sizeof(lm_node *));
  if (!s->at) return scored_free(st, s), lm_failed(st), false;
  memset(s->at, 0, (size_t)(s->n + 1) * sizeof(lm_node *));
  lm_hold(s->at[0] = x);
  for (int i = 0; i < s->n; i++)
    if (!(s->at[i + 1] = lm_extend(s->at[i], s->tokens.v[i]))) return scored_free(st, s), false;
  return true;
}

/* Sum of the tokens' log-probabilities. */
static bool sum_tokens(norn_state *st, const scored *s, const lm_filter *f, double *out)
{
  if (s->n && lm_eval(s->at[0]->of, s->at, s->n)) return false;
  *out = 0;
  for (int i = 0; i < s->n && *out > -HUGE_VAL; i++) {
    double lp;
    if (!lm_token_logp(st, s->at[i], f, s->tokens.v[i], &lp)) return false;
    *out += lp;
  }
  return true;
}

/* Whether what w wants of a string holds: *out; false: error set. */
static bool is_wanted(norn_state *st, const lm_wish *w, const scored *s, const char *x, size_t n, bool *out)
{
  size_t at = 0, k;
  *out = s->n <= w->max && !(w->nstop && memmem(x, n, w->stop, w->nstop));
  if (*out && w->exact && !lm_wish_matches(st, w, x, n, out)) return false;
  for (int i = 0; w->always && *out && i < s->n; i++) {
    lm_bytes(w->of, s->tokens.v[i], &k);
    int holds = lm_wish_holds(st, w, x, at += k);
    if (holds < 0) return false;
    *out = holds != 0;
  }
  return true;
}

/* Would the stop, put behind the string, be found there and not earlier? */
static bool stops_there(const lm_wish *w, const char *x, size_t n)
{
  if (!w->nstop) return false;
  size_t keep = n < w->nstop - 1 ? n : w->nstop - 1;
  char buf[2 * LM_STOP_MOST];
  memcpy(buf, x + n - keep, keep);
  memcpy(buf + keep, w->stop, w->nstop);
  return memmem(buf, keep + w->nstop, w->stop, w->nstop) == buf + keep;
}

/* The part of a string before its stop, where the text keeps it; *how: the ways in which it may be over. */
static size_t body_of(const lm_wish *w, const char *x, size_t n, unsigned *how)
{
  bool with = w->keep_stop && w->nstop && n >= w->nstop && !memcmp(x + n - w->nstop, w->stop, w->nstop);
  if (with) n -= w->nstop;
  *how = (with ? 0 : BY_END) | (with || !w->keep_stop ? (stops_there(w, x, n) ? BY_STOP : 0) : 0);
  return n;
}

static norn_status score(norn_state *st, lm_node *at, const lm_wish *w, const char *x, size_t n, double *out)
{
  scored s;
  bool wanted;
  unsigned how;
  double end;
  size_t k = body_of(w, x, n, &how);
  if (!scored_new(st, at, x, k, &s)) return norn_error(st)->code;
  *out = -HUGE_VAL;
  bool good = !s.at || is_wanted(st, w, &s, x, k, &wanted);
  if (good && s.at && wanted && (k == n || s.n < w->max)) {
    good = sum_tokens(st, &s, &w->filter, out);
    if (good && *out > -HUGE_VAL && s.n < w->max) {
      good = ends(st, w, s.at[s.n], s.n, how, &end);
      *out += end;
    }
  }
  scored_free(st, &s);
  return good ? NORN_OK : lm_failed(st);
}

/* ---- texts of models without tokens ---- */

static lm_ask ask_of(const lm_wish *w)
{
  return (lm_ask){ .at = lm_wish_context(w), .stop = w->stop ? w->stop : "", .nstop = w->nstop, .max = w->max,
                   .temperature = w->filter.temperature, .top_p = w->filter.top_p };
}

/* For a string x, or for a draw by the numbers g. */
static uint64_t fill_ask(lm_ask *a, norn_datum x, const norn_rng *g)
{
  if (norn_is_none(x)) {
    norn_rng mine = *g;
    return a->seed = norn_rng_u64(&mine);
  }
  a->given = norn_string_view(x, &a->ngiven);
  return norn_hash(x);
}

void lm_got_free(lm *m, lm_draws *r)
{
  for (int i = 0; i < r->ngot; i++) lm_said_free(m->st, &r->got[i].said);
  norn_alloc(m->st, r->got, (size_t)r->ngot * sizeof *r->got, 0);
  r->got = NULL;
  r->ngot = 0;
}

/* What `ready` got, if it did: moved to *said. */
static bool take(lm_draws *r, const lm_wish *w, uint64_t key, bool has_text, lm_said *said)
{
  for (int i = 0; i < r->ngot; i++) {
    lm_got *e = r->got + i;
    if (e->wish != w || e->key != key || e->given != has_text) continue;
    *said = e->said;
    e->said = (lm_said){ .text = NULL };
    e->wish = NULL;
    return true;
  }
  return false;
}

/* The text drawn (x NONE) or scored.  lm_said_free. */
static bool whole(const lm_wish *w, norn_datum x, const norn_rng *g, lm_said *said)
{
  lm_draws *r = lm_draws_of(w->of);
  lm_ask a = ask_of(w);
  uint64_t key = fill_ask(&a, x, g);
  *said = (lm_said){ .text = NULL };
  if (!r) return false;
  return take(r, w, key, a.given != NULL, said) || !w->of->row->texts(w->of, 1, &a, said);
}

/* ---- text ---- */

enum { TEXT_WISH, TEXT_MODEL };

static lm_wish *text_wish(norn_state *st, const norn_dist *d)
{
  if (norn_want_home(st)) return NULL;
  lm_wish *w = norn_handle_view(d->args[TEXT_WISH], &lm_wish_row);
  if (!w) norn_fail(st, NORN_ETYPE, 0, "the distribution of a text is made by ctx.text(...)");
  return w;
}

static norn_status text_check(norn_state *st, const norn_dist *d)
{
  return text_wish(st, d) ? NORN_OK : norn_error(st)->code;
}

static const char *want_string(norn_state *st, norn_datum x, size_t *n)
{
  char what[120];
  const char *s = norn_string_view(x, n);
  if (!s) norn_fail(st, NORN_ETYPE, -1, "a text is a string, got %s", norn_describe(st, x, what, sizeof what));
  return s;
}

static norn_status text_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  size_t n;
  lm_said said;
  lm_wish *w = text_wish(st, d);
  const char *s = w ? want_string(st, x, &n) : NULL;
  if (!s || lm_want_level(st, w->of, LM_TOKENS | LM_SCORES, "the log-probability of a text"))
    return norn_error(st)->code;
  if (w->of->can & LM_TOKENS) return score(st, lm_wish_context(w), w, s, n, out);
  if (!whole(w, x, NULL, &said)) return lm_failed(st);
  *out = said.logp;
  lm_said_free(st, &said);
  if (said.scored) return NORN_OK;
  return norn_fail(st, NORN_EIO, -1, "%s gave no log-probability of this text", w->of->name);
}

/* Token by token outside of any run. */
static norn_status draw(norn_state *st, lm_wish *w, norn_rng *g, norn_datum *out)
{
  lm_node *start = lm_wish_context(w), *x = start;
  text t;
  bool good = true;
  lm_hold(x);
  for (int i = 0, state = 0; i < w->max && good && state >= 0; i++) {
    const lm_drawn *d = lm_drawn_at(st, x, &w->filter, NULL, 0, -1);
    if (!(good = d != NULL)) break;
    lm_token k = lm_drawn_sample(d, g);
    lm_node *next = w->of->vocab.kind[k] == LM_END ? x : lm_extend(x, k);
    if (!(good = next != NULL)) break;
    state = lm_wish_step(w, start, next, 0, k);
    if (next != x) lm_drop(x);
    x = next;
  }
  text_init(&t, w->of->m);
  good = good && lm_wish_text(w, start, x, &t, w->keep_stop);
  *out = good ? lm_string(st, t.s ? t.s : "", t.n) : norn_none();
  text_free(&t);
  lm_drop(x);
  return norn_is_none(*out) ? lm_failed(st) : NORN_OK;
}

static norn_status text_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  lm_said said;
  lm_wish *w = text_wish(st, d);
  if (!w || lm_want_level(st, w->of, LM_TOKENS | LM_SAMPLES, "to draw a text")) return norn_error(st)->code;
  if (lm_wish_masks(w)) {
    norn_fail(st, NORN_EINFER, -1, "a text under a constraint has weights: it can't be drawn just so");
    norn_hint(st, "sample(infer(ctx.text(match = ...), smc(particles = 100))), or let s ~ ctx.text(...) in a model");
    return NORN_EINFER;
  }
  if (w->of->can & LM_TOKENS) return draw(st, w, g, out);
  if (!whole(w, norn_none(), g, &said)) return lm_failed(st);
  *out = lm_string(st, said.text ? said.text : "", said.n);
  lm_said_free(st, &said);
  return norn_is_none(*out) ? lm_failed(st) : NORN_OK;
}

static norn_status text_expand(norn_state *st, const norn_dist *d, norn_datum *model)
{
  lm_wish *w = text_wish(st, d);
  if (!w) return norn_error(st)->code;
  *model = w->of->can & LM_TOKENS ? d->args[TEXT_MODEL] : norn_none();
  return NORN_OK;
}

static void any_value(norn_state *st, const norn_dist *d, norn_support *out)
{
  (void)st;
  (void)d;
  *out = (norn_support){ NORN_SUPPORT_ANY, -HUGE_VAL, HUGE_VAL, 1, 1, -1, -1 };
}

static norn_status text_show(norn_state *st, const norn_dist *d, norn_datum *out)
{
  lm_wish *w = text_wish(st, d);
  norn_view v;
  char *more = NULL;
  size_t n;
  text t;
  if (!w || !norn_array_view(norn_get(w->asked), &v)) return lm_failed(st);
  text_init(&t, w->of->m);
  text_printf(&t, ", max = %d", w->max);
  static const struct { int arg; const char *name; } shown[] = {
    { WISH_STOP, "stop" }, { WISH_MATCH, "match" }, { WISH_GRAMMAR, "grammar" } };
  for (int i = 0; i < NORN_COUNT(shown); i++) {
    norn_datum s = v.v[shown[i].arg];
    if (s.tag == NORN_STR && norn_string_view(s, &n) && n)
      text_printf(&t, ", %s = %s", shown[i].name, norn_show(st, s, true, 80));
  }
  if (w->always) text_puts(&t, ", always = ...");
  if (!t.failed) more = t.s;
  norn_status code = more ? lm_show_row(st, "text", v.v[WISH_CONTEXT], &w->filter, more, out) : lm_failed(st);
  text_free(&t);
  return code;
}

/* ---- getting ready for many ---- */

/* Contexts that will be evaluated: all on the way of each string, the first of each draw. */
static bool gather_nodes(norn_state *st, const lm_wish *w, norn_datum x, bool stop_too, lm_node ***v, size_t *n,
                         size_t *cap)
{
  size_t k;
  scored s = { { NULL, 0, 0 }, NULL, 0 };
  const char *string = norn_is_none(x) ? NULL : norn_string_view(x, &k);
  lm_node *at = lm_wish_context(w);
  int count = 1;
  mem *m = lm_mem(st);
  if (string && (!scored_new(st, at, string, k, &s) || !s.at)) return true;      /* who asks hears of it */
  if (string) count = s.n <= w->max ? s.n + (stop_too && s.n < w->max) : 0;
  bool good = m && mem_grow(m, v, cap, *n + (size_t)count + 1, sizeof **v);
  for (int i = 0; i < count && good; i++) lm_hold((*v)[(*n)++] = string ? s.at[i] : at);
  if (string) scored_free(st, &s);
  return good;
}

/* Of one model: its n contexts are kept, and evaluated together. */
static norn_status ready_tokens(norn_state *st, lm *m, int n, const norn_dist *d, const norn_datum *x, bool stop_too)
{
  lm_node **v = NULL;
  size_t k = 0, cap = 0;
  bool good = true;
  for (int i = 0; i < n && good; i++) {
    const lm_wish *w = norn_handle_view(d[i].args[TEXT_WISH], &lm_wish_row);
    if (w && w->of == m) good = gather_nodes(st, w, x[i], stop_too, &v, &k, &cap);
  }
  norn_clear(st);
  norn_status code = good && lm_keep_nodes(m, v, (int)k) ? lm_eval(m, v, (int)k) : lm_failed(st);
  for (size_t i = 0; i < k; i++) lm_drop(v[i]);
  mem *memory = lm_mem(st);
  if (memory) mem_put(memory, v, cap * sizeof *v);
  return code;
}

/* Texts of one model that has no tokens: draws, or scores. */
static norn_status ready_texts(norn_state *st, lm *m, int n, const norn_dist *d, const norn_datum *x,
                               const norn_rng *g, bool scores)
{
  lm_draws *r = lm_draws_of(m);
  if (!r || !(m->can & (scores ? LM_SCORES : LM_SAMPLES))) return NORN_OK;     /* who asks hears of it */
  lm_ask *a = norn_alloc(st, NULL, 0, (size_t)n * sizeof *a);
  lm_said *said = norn_alloc(st, NULL, 0, (size_t)n * sizeof *said);
  lm_got *got = norn_alloc(st, NULL, 0, (size_t)n * sizeof *got);
  norn_status code = a && said && got ? NORN_OK : lm_failed(st);
  int k = 0;
  for (int i = 0; i < n && !code; i++) {
    const lm_wish *w = norn_handle_view(d[i].args[TEXT_WISH], &lm_wish_row);
    if (!w || w->of != m || norn_is_none(x[i]) == scores) continue;
    if (scores && !norn_string_view(x[i], NULL)) continue;
    a[k] = ask_of(w);
    got[k] = (lm_got){ .wish = w, .given = scores };
    got[k].key = fill_ask(a + k, x[i], g + i);
    said[k++] = (lm_said){ .text = NULL };
  }
  if (!code && k) code = m->row->texts(m, k, a, said);
  for (int i = 0; i < k && !code; i++) got[i].said = said[i];
  for (int i = k; i < n && !code; i++) got[i] = (lm_got){ .wish = NULL };
  if (a) norn_alloc(st, a, (size_t)n * sizeof *a, 0);
  if (said) norn_alloc(st, said, (size_t)n * sizeof *said, 0);
  if (code || !k) {
    if (got) norn_alloc(st, got, (size_t)n * sizeof *got, 0);
    return code;
  }
  lm_got_free(m, r);
  r->got = got;
  r->ngot = n;
  return NORN_OK;
}

static norn_status ready(norn_state *st, int n, const norn_dist *d, const norn_datum *x,
                         const norn_rng *g, bool stop_too)
{
  norn_status code = norn_want_home(st);
  for (int i = 0; i < n && !code; i++) {
    const lm_wish *w = norn_handle_view(d[i].args[TEXT_WISH], &lm_wish_row), *before;
    bool done = !w;
    for (int k = 0; k < i && !done; k++) {
      before = norn_handle_view(d[k].args[TEXT_WISH], &lm_wish_row);
      done = before && before->of == w->of;
    }
    if (done) continue;
    if (w->of->can & LM_TOKENS) code = ready_tokens(st, w->of, n, d, x, stop_too);
    else {
      bool scores = !norn_is_none(x[i]);         /* one kind a call: the others ask by themselves */
      code = ready_texts(st, w->of, n, d, x, g, scores);
    }
  }
  return code;
}

static norn_status text_ready(norn_state *st, int n, const norn_dist *d, const norn_datum *x, const norn_rng *g)
{
  return ready(st, n, d, x, g, true);
}

const norn_dist_row lm_text_row = {
  .name = "_text", .params = "wish, drawn", .flags = NORN_DIST_DISCRETE | NORN_DIST_COSTLY,
  .doc = "A text of a language model; programs write ctx.text(...).",
  .check = text_check, .sample = text_sample, .logp = text_logp, .support = any_value, .show = text_show,
  .expand = text_expand, .ready = text_ready };

/* ---- starts ---- */

static norn_status starts_logp(norn_state *st, const norn_dist *d, norn_datum x, double *out)
{
  size_t n;
  scored s;
  lm_wish *w = text_wish(st, d);
  const char *string = w ? want_string(st, x, &n) : NULL;
  if (!string || lm_want_level(st, w->of, LM_TOKENS, "ctx.starts()")) return norn_error(st)->code;
  if (!scored_new(st, lm_wish_context(w), string, n, &s)) return norn_error(st)->code;
  *out = -HUGE_VAL;
  bool good = !s.at || sum_tokens(st, &s, &w->filter, out);
  scored_free(st, &s);
  return good ? NORN_OK : lm_failed(st);
}

static norn_status starts_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  (void)d;
  (void)g;
  (void)out;
  norn_fail(st, NORN_EINFER, -1, "ctx.starts() says how likely a beginning is; there is no text to draw from it");
  norn_hint(st, "ctx.text(max = 5) draws the first 5 tokens");
  return NORN_EINFER;
}

static norn_status starts_show(norn_state *st, const norn_dist *d, norn_datum *out)
{
  lm_wish *w = text_wish(st, d);
  norn_view v;
  if (!w || !norn_array_view(norn_get(w->asked), &v)) return lm_failed(st);
  return lm_show_row(st, "starts", v.v[WISH_CONTEXT], &w->filter, "", out);
}

static norn_status starts_ready(norn_state *st, int n, const norn_dist *d, const norn_datum *x, const norn_rng *g)
{
  return ready(st, n, d, x, g, false);
}

const norn_dist_row lm_starts_row = {
  .name = "_starts", .params = "wish", .flags = NORN_DIST_DISCRETE | NORN_DIST_COSTLY,
  .doc = "How a text of a language model begins; programs write ctx.starts().",
  .check = text_check, .sample = starts_sample, .logp = starts_logp, .support = any_value, .show = starts_show,
  .ready = starts_ready };
