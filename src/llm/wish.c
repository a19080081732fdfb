/* wish.c: what ctx.text(...) was asked for, made ready once (equal wishes are one handle), and how a text goes on under
   it, token by token.

   Under a regular expression tokens are allowed as long as either more of the text or the stop can follow: the guide
   (lm_guide_until) knows both. */
#include "llm/rows.h"
#include <stdio.h>
#include <string.h>

enum { LOOKS = 16 };

/* ---- wishes ---- */

/* The one that was asked for with these arguments, if it lives; NONE. */
static norn_datum known(const lm_draws *r, const norn_datum *args)
{
  norn_view v;
  int looked = 0;
  for (const lm_wish *w = r->wishes; w && looked++ < LOOKS; w = w->next) {
    int i = 0;
    if (!norn_array_view(norn_get(w->asked), &v)) continue;
    while (i < WISH_ARGS && norn_equal(v.v[i], args[i])) i++;
    if (i == WISH_ARGS) return (norn_datum){ .tag = NORN_HANDLE, .p = w->value };
  }
  return norn_none();
}

static void forget(lm_wish *w)
{
  lm_wish **p = w->of->draws ? &w->of->draws->wishes : NULL;
  while (p && *p && *p != w) p = &(*p)->next;
  if (p && *p) *p = w->next;
}

static void wish_free(norn_state *st, void *p)
{
  lm_wish *w = p;
  lm *m = w->of;
  forget(w);
  if (w->stop) norn_alloc(st, w->stop, w->nstop + 1, 0);
  if (w->always) norn_drop(w->always);
  if (w->asked) norn_drop(w->asked);
  norn_alloc(st, w, sizeof *w, 0);
  lm_close(m);
}

static norn_datum wish_save(norn_state *st, void *p)
{
  (void)st;
  return norn_get(((lm_wish *)p)->asked);
}

static norn_datum wish_load(norn_state *st, norn_datum saved)
{
  norn_view v;
  if (norn_array_view(saved, &v) && v.elem == NORN_VALUES && v.n == WISH_ARGS) return lm_wish_new(st, v.v);
  norn_fail(st, NORN_EIO, -1, "what stands for a text of a language model in this file makes no sense");
  return norn_none();
}

const norn_handle_row lm_wish_row = { .name = "text wanted", .free = wish_free, .save = wish_save, .load = wish_load };

static bool given(norn_datum v) { return v.tag != NORN_MISSING && v.tag != NORN_NONE; }

static bool make_guides(lm_wish *w, int arg, const char *s, size_t n)
{
  const char *stop = w->stop ? w->stop : "";
  lm_guide *(*make)(lm *, const char *, size_t, const char *, size_t) = arg == WISH_GRAMMAR ? lm_guide_grammar
                                                                                            : lm_guide_until;
  return (w->exact = make(w->of, s, n, "", 0)) && (w->within = make(w->of, s, n, stop, w->nstop));
}

/* match, or grammar.  The error is at the argument. */
static bool want_guides(norn_state *st, lm_wish *w, const norn_datum *args, int arg, const char *name)
{
  const char *s;
  size_t n;
  if (!norn_want_string(st, args, arg, name, &s, &n)) return false;
  if (!make_guides(w, arg, s, n)) {
    const norn_err e = *norn_error(st);
    norn_fail(st, e.code, arg, "%s", e.text);
    if (*e.hint) norn_hint(st, "%s", e.hint);
    return false;
  }
  bool fits;
  if (!lm_guide_within(w->within, lm_guide_start(w->within), w->max, &fits)) return false;
  if (fits) return true;
  int least = lm_guide_least(w->within, lm_guide_start(w->within));
  if (least == -2) return false;
  if (least < 0)
    return !norn_fail(st, NORN_EDOMAIN, arg, "no text of %s can match this %s", w->of->name,
                      arg == WISH_MATCH ? "expression" : "grammar");
  return !norn_fail(st, NORN_EDOMAIN, arg, "what matches this %s has at least %d tokens, and max is %d",
                    arg == WISH_MATCH ? "expression" : "grammar", least, w->max);
}

static bool want_tokens(norn_state *st, const lm_wish *w, const norn_datum *args)
{
  static const struct { int arg; const char *name; } of_tokens[] = {
    { WISH_TOP_K, "ctx.text(top_k = ...)" }, { WISH_MIN_P, "ctx.text(min_p = ...)" },
    { WISH_MATCH, "ctx.text(match = ...)" }, { WISH_ALWAYS, "ctx.text(always = ...)" },
    { WISH_GRAMMAR, "ctx.text(grammar = ...)" } };
  bool set[] = { w->filter.top_k != 0, w->filter.min_p != 0, given(args[WISH_MATCH]), given(args[WISH_ALWAYS]),
                 given(args[WISH_GRAMMAR]) };
  for (int i = 0; i < NORN_COUNT(set); i++)
    if (set[i] && lm_want_level(st, w->of, LM_TOKENS, of_tokens[i].name)) return false;
  return true;
}

static bool fill(norn_state *st, lm_wish *w, const norn_datum *args)
{
  char what[120];
  const char *s;
  size_t n = 0;
  int64_t max;
  if (given(args[WISH_STOP])) {
    if (!norn_want_string(st, args, WISH_STOP, "stop", &s, &n)) return false;
    if (n > LM_STOP_MOST)
      return !norn_fail(st, NORN_EDOMAIN, WISH_STOP, "the stop has at most %d bytes, got %zu", LM_STOP_MOST, n);
    if (!(w->stop = norn_alloc(st, NULL, 0, n + 1))) return !lm_failed(st);
    memcpy(w->stop, s, n);
    w->stop[n] = 0;
    w->nstop = n;
  }
  if (!norn_want_int(st, args, WISH_MAX, "max", &max)) return false;
  if (max < 1 || max > 1000000)
    return !norn_fail(st, NORN_EDOMAIN, WISH_MAX, "max must be at least 1 token, got %lld", (long long)max);
  w->max = (int)max;
  if (!lm_want_filter(st, args, WISH_TEMPERATURE, &w->filter) || !want_tokens(st, w, args)) return false;
  if (given(args[WISH_MATCH]) && given(args[WISH_GRAMMAR])) {
    norn_fail(st, NORN_EDOMAIN, WISH_GRAMMAR, "a text is under match or under a grammar, not both");
    norn_hint(st, "write the expression as a rule of the grammar");
    return false;
  }
  if (given(args[WISH_MATCH]) && !want_guides(st, w, args, WISH_MATCH, "match")) return false;
  if (given(args[WISH_GRAMMAR]) && !want_guides(st, w, args, WISH_GRAMMAR, "grammar")) return false;
  if (args[WISH_KEEP_STOP].tag != NORN_BOOL)
    return !norn_fail(st, NORN_ETYPE, WISH_KEEP_STOP, "keep_stop must be true or false, got %s",
                      norn_describe(st, args[WISH_KEEP_STOP], what, sizeof what));
  w->keep_stop = args[WISH_KEEP_STOP].i != 0;
  if (given(args[WISH_ALWAYS])) {
    if (args[WISH_ALWAYS].tag != NORN_FUN && args[WISH_ALWAYS].tag != NORN_NATIVE)
      return !norn_fail(st, NORN_ETYPE, WISH_ALWAYS, "always must be a function of the text so far, got %s",
                        norn_describe(st, args[WISH_ALWAYS], what, sizeof what));
    if (!(w->always = norn_keep(st, args[WISH_ALWAYS]))) return !lm_failed(st);
  }
  return true;
}

norn_datum lm_wish_new(norn_state *st, const norn_datum *args)
{
  int64_t n = WISH_ARGS;
  void *to;
  lm_node *x = lm_want_context(st, args, WISH_CONTEXT);
  if (!x || norn_want_home(st)) return norn_none();
  lm_draws *r = lm_draws_of(x->of);
  if (!r) return norn_none();
  norn_datum one = known(r, args);
  if (!norn_is_none(one)) return one;
  lm_wish *w = norn_alloc(st, NULL, 0, sizeof *w);
  if (!w) return lm_failed(st), norn_none();
  memset(w, 0, sizeof *w);
  (w->of = x->of)->refs++;
  bool good = fill(st, w, args);
  norn_datum all = good ? norn_array(st, NORN_VALUES, 1, &n, &to) : norn_none(), v = norn_none();
  if (!norn_is_none(all)) {
    memcpy(to, args, WISH_ARGS * sizeof *args);
    if ((w->asked = norn_keep(st, all)) != NULL) v = norn_handle_new(st, &lm_wish_row, w, sizeof *w);
  }
  if (norn_is_none(v)) wish_free(st, w);
  else {
    w->value = v.p;
    w->serial = w->always ? ++r->serial : 0;
    w->next = r->wishes;
    r->wishes = w;
  }
  return v;
}

/* ---- a text, token by token ---- */

int lm_wish_begin(const lm_wish *w) { return w->within ? lm_guide_start(w->within) : 0; }

int64_t lm_wish_shown(const lm_wish *w, int state)
{
  return w->within && state >= 0 ? lm_guide_shown(w->within, state) : state;
}

int lm_wish_state(lm_wish *w, const lm_node *at, int64_t shown)
{
  const lm_node *start = lm_wish_context(w);
  if (!w->within || shown < 0) return (int)shown;
  int state = lm_guide_known(w->within, shown);
  if (state >= 0 || !start || at->depth < start->depth) return state >= 0 ? state : LM_NOT_SO;
  size_t n = at->depth - start->depth, k = n;
  mem *m = lm_mem(w->of->st);
  lm_token *t = m ? mem_get(m, n * sizeof *t + 1) : NULL;
  if (!t) return lm_failed(w->of->st), LM_NOT_SO;
  for (; k > 0; at = at->parent) t[--k] = at->token;
  state = at == start ? lm_guide_start(w->within) : LM_NOT_SO;
  for (; k < n && state >= 0; k++) state = lm_guide_next(w->within, state, t[k]);
  mem_put(m, t, n * sizeof *t + 1);
  return state >= 0 ? state : LM_NOT_SO;
}

/* The last bytes of the text from start to x, at most `most`, to the end of buf. */
static size_t last_bytes(const lm_node *start, const lm_node *x, size_t most, char *end)
{
  size_t n = 0, k;
  for (; x != start && n < most; x = x->parent) {
    const char *s = lm_bytes(x->of, x->token, &k);
    size_t fits = k < most - n ? k : most - n;
    memcpy(end - n - fits, s + k - fits, fits);
    n += fits;
  }
  return n;
}

/* Whether the last token, which brought x, has completed the stop. */
static bool stopped(const lm_wish *w, const lm_node *start, const lm_node *x)
{
  char buf[LM_STOP_MOST], *end = buf + LM_STOP_MOST;
  size_t k;
  if (!w->nstop || x == start) return false;
  const char *s = lm_bytes(x->of, x->token, &k);
  if (memmem(s, k, w->stop, w->nstop)) return true;
  size_t before = last_bytes(start, x->parent, w->nstop - 1, end);
  for (size_t left = 1; left <= before && k; left++) {      /* bytes of the stop in earlier tokens */
    size_t here = w->nstop - left;
    if (here <= k && !memcmp(end - left, w->stop, left) && !memcmp(s, w->stop + left, here)) return true;
  }
  return false;
}

bool lm_wish_matches(norn_state *st, const lm_wish *w, const char *s, size_t n, bool *out)
{
  lm_tokens t = { NULL, 0, 0 };
  bool good = !lm_encode(w->of, s, n, &t);
  int state = lm_guide_start(w->exact);
  for (int i = 0; i < t.n && good && state >= 0; i++) state = lm_guide_next(w->exact, state, t.v[i]);
  lm_tokens_free(st, &t);
  *out = state >= 0 && lm_guide_accepts(w->exact, state);
  return good && state != -2;
}

int lm_wish_step(lm_wish *w, const lm_node *start, const lm_node *after, int state, lm_token t)
{
  if (t < 0) return LM_NOT_SO;
  if (w->of->vocab.kind[t] == LM_END) return LM_ENDED;
  int next = w->within ? lm_guide_next(w->within, state, t) : 0;
  if (next >= 0 && stopped(w, start, after))
    return !w->within || lm_guide_accepts(w->within, next) ? LM_ENDED : LM_NOT_SO;
  return next < 0 ? LM_NOT_SO : next;
}

bool lm_wish_text(const lm_wish *w, const lm_node *start, const lm_node *end, text *out, bool with_stop)
{
  size_t at = out->n;
  if (!lm_text_between(start, end, out)) return !lm_failed(w->of->st);
  const char *cut = w->nstop && out->n > at ? memmem(out->s + at, out->n - at, w->stop, w->nstop) : NULL;
  if (cut) out->n = (size_t)(cut - out->s) + (with_stop ? w->nstop : 0);
  return true;
}

int lm_wish_holds(norn_state *st, const lm_wish *w, const char *s, size_t n)
{
  uint32_t code;
  size_t cut = n;                                /* a character that is not complete yet is not shown */
  while (cut > 0 && n - cut < 4 && ((unsigned char)s[cut - 1] & 0xc0) == 0x80) cut--;
  if (cut > 0 && (unsigned char)s[cut - 1] >= 0xc0 && !utf8_next(s + cut - 1, n - cut + 1, &code)) n = cut - 1;
  norn_datum so_far = lm_string(st, s, n), v;
  char what[120];
  if (norn_is_none(so_far) || norn_call(st, norn_get(w->always), &so_far, 1, &v)) return -1;
  if (v.tag == NORN_BOOL) return v.i != 0;
  norn_fail(st, NORN_ETYPE, -1, "always must say true or false of the text so far, got %s",
            norn_describe(st, v, what, sizeof what));
  return -1;
}

