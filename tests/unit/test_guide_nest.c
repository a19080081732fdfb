/* test_guide_nest.c: grammars whose rules nest, against brute force.  Random grammars (ambiguous, left recursive, with
   rules that may be empty, that call themselves and nothing else, that never end) are kept as trees of this file; which
   texts they have, a recogniser of a few lines says for all texts of a small alphabet, by going round over all parts of
   a text until nothing changes.  Masks, with little to go and without a limit, are compared with a search over all
   sequences of tokens of random vocabularies, with and without single bytes, with and without a stop. */
#include "unit.h"
#include "base/base.h"
#include "llm/guide/grammar.h"
#include "llm/guide/guide.h"
#include <stdlib.h>

static uint64_t at = 1;
static uint64_t roll(uint64_t n) { return hash_mix(at++ ^ 0x777) % n; }

/* ---- grammars ---- */

enum { RULES = 4, TREES = 160, LONGEST = 10, LETTERS = 3 };
typedef enum { LETTER, NAME, CAT, ALT, TIMES } kind;
typedef struct tree { kind kind; int n, least, most, kid[3]; char letter; } tree;
typedef struct rules { tree v[TREES]; int n, rule[RULES], rules; } rules;

static int add(rules *g, tree t) { return g->v[g->n] = t, g->n++; }

static int random_tree(rules *g, int depth)
{
  tree t = { .letter = "abc"[roll(LETTERS)], .n = (int)roll((uint64_t)g->rules) };
  uint64_t r = depth <= 0 ? roll(2) : roll(9);
  if (g->n > TREES - 8) r = 0;
  t.kind = r < 1 ? LETTER : r < 3 ? NAME : r < 6 ? CAT : r < 8 ? ALT : TIMES;
  if (t.kind == CAT || t.kind == ALT) {
    t.n = (int)roll(8) == 0 ? 0 : 2 + (int)roll(2);
    if (t.kind == ALT && t.n == 0) t.n = 2;
    for (int k = 0; k < t.n; k++) t.kid[k] = random_tree(g, depth - 1);
  }
  if (t.kind == TIMES) {
    t.least = (int)roll(3);
    t.most = roll(2) ? -1 : t.least + (int)roll(2);
    t.kid[0] = random_tree(g, depth - 1);
  }
  return add(g, t);
}

static void write_tree(const rules *g, int e, text *t)
{
  const tree *x = &g->v[e];
  switch (x->kind) {
  case LETTER: text_printf(t, roll(2) ? "\"%c\"" : "[%c]", x->letter); break;
  case NAME: text_printf(t, x->n ? "r%d" : "root", x->n); break;
  case CAT:
  case ALT:
    text_puts(t, "(");
    for (int k = 0; k < x->n; k++) {
      if (k > 0) text_puts(t, x->kind == ALT ? " | " : " ");
      write_tree(g, x->kid[k], t);
    }
    text_puts(t, ")");
    break;
  case TIMES:
    text_puts(t, "(");
    write_tree(g, x->kid[0], t);
    text_puts(t, ")");
    if (x->most < 0) text_printf(t, "{%d,}", x->least);
    else text_printf(t, "{%d,%d}", x->least, x->most);
    break;
  }
}

static void random_rules(rules *g, text *t)
{
  *g = (rules){ .rules = 1 + (int)roll(RULES) };
  for (int k = 0; k < g->rules; k++) g->rule[k] = random_tree(g, 3);
  for (int k = 0; k < g->rules; k++) {
    text_printf(t, k ? "\nr%d ::= " : "root ::= ", k);
    write_tree(g, g->rule[k], t);
  }
}

/* ---- the recogniser ---- */

/* is[e] row i bit j: tree e reads s[i..j). */
typedef struct parts { uint32_t is[TREES][2 * LONGEST + 1]; } parts;

/* a then b. */
static void then(const uint32_t *a, const uint32_t *b, int n, uint32_t *out)
{
  for (int i = 0; i <= n; i++) {
    out[i] = 0;
    for (int j = i; j <= n; j++)
      if (a[i] >> j & 1) out[i] |= b[j];
  }
}

static void look(const rules *g, int e, const char *s, int n, parts *p)
{
  const tree *x = &g->v[e];
  uint32_t now[2 * LONGEST + 1], next[2 * LONGEST + 1];
  for (int i = 0; i <= n; i++) now[i] = x->kind == CAT || x->kind == TIMES ? 1u << i : 0;
  if (x->kind == LETTER)
    for (int i = 0; i < n; i++) now[i] = s[i] == x->letter ? 1u << (i + 1) : 0;
  if (x->kind == NAME)
    for (int i = 0; i <= n; i++) now[i] = p->is[g->rule[x->n]][i];
  for (int k = 0; k < x->n && x->kind == ALT; k++)
    for (int i = 0; i <= n; i++) now[i] |= p->is[x->kid[k]][i];
  for (int k = 0; k < x->n && x->kind == CAT; k++) {
    then(now, p->is[x->kid[k]], n, next);
    memcpy(now, next, sizeof now);
  }
  if (x->kind == TIMES) {
    for (int k = 0; k < x->least; k++) {
      then(now, p->is[x->kid[0]], n, next);
      memcpy(now, next, sizeof now);
    }
    for (int k = x->least; k < (x->most < 0 ? x->least + n + 1 : x->most); k++) {
      then(now, p->is[x->kid[0]], n, next);
      for (int i = 0; i <= n; i++) now[i] |= next[i];
    }
  }
  for (int i = 0; i <= n; i++) p->is[e][i] |= now[i];
}

static bool is_text(const rules *g, const char *s, int n)
{
  static parts p, before;
  memset(&p, 0, sizeof p);
  do {
    before = p;
    for (int e = 0; e < g->n; e++) look(g, e, s, n, &p);
  } while (memcmp(&before, &p, sizeof p));
  return p.is[g->rule[0]][0] >> n & 1;
}

/* ---- all texts ---- */

typedef struct world { rules g; bool *known, *is; char stop[4]; lm m; } world;

static bool whole(world *w, const char *s, int n)
{
  int index = 0;
  if (n > LONGEST) return is_text(&w->g, s, n);
  for (int k = 0; k < n; k++) index = index * (LETTERS + 1) + 1 + s[k] - 'a';
  if (!w->known[index]) {
    w->known[index] = true;
    w->is[index] = is_text(&w->g, s, n);
  }
  return w->is[index];
}

/* What guides accept: with a stop, what stands before its first occurrence. */
static bool accepted(world *w, const char *s)
{
  const char *stop = *w->stop ? strstr(s, w->stop) : NULL;
  return whole(w, s, stop ? (int)(stop - s) : (int)strlen(s));
}

/* The fewest tokens from s to a text, at most `most`; most + 1: more. */
static int fewest(world *w, const char *s, int most)
{
  const lm_vocab *v = &w->m.vocab;
  if (accepted(w, s)) return 0;
  int best = most + 1;
  for (int t = 0; t < v->n && best > 1 && most > 0; t++) {
    char longer[4 * LONGEST];
    if (v->kind[t] != LM_TEXT || v->at[t] == v->at[t + 1]) continue;
    snprintf(longer, sizeof longer, "%s%.*s", s, (int)(v->at[t + 1] - v->at[t]), (const char *)v->bytes + v->at[t]);
    int more = 1 + fewest(w, longer, best - 2);
    if (more < best) best = more;
  }
  return best;
}

/* ---- vocabularies ---- */

enum { TOKENS = 12 };
typedef struct vocabulary { uint32_t at[TOKENS + 1]; uint8_t bytes[4 * TOKENS], kind[TOKENS]; } vocabulary;

static void random_vocabulary(vocabulary *v, lm *m)
{
  int n = 0;
  bool single = roll(3) > 0;
  for (int k = 0; k < LETTERS && single; k++, n++) {
    v->bytes[n] = (uint8_t)('a' + k);
    v->at[n + 1] = (uint32_t)n + 1;
  }
  while (n < 7) {
    uint32_t len = 1 + (uint32_t)roll(3);
    for (uint32_t k = 0; k < len; k++) v->bytes[v->at[n] + k] = (uint8_t)('a' + roll(LETTERS));
    v->at[n + 1] = v->at[n] + len;
    n++;
  }
  v->at[n + 1] = v->at[n];
  v->kind[n] = LM_END;
  m->vocab = (lm_vocab){ .n = n + 1, .at = v->at, .bytes = v->bytes, .kind = v->kind, .begin = -1, .end = n };
}

/* ---- comparing ---- */

static bool has(const uint64_t *mask, int t) { return mask[t >> 6] >> (t & 63) & 1; }

/* A text can be finished in as many tokens as is said, and no step of the masks on that way is empty. */
static bool can_finish(world *w, lm_guide *e, int state, const char *s)
{
  char now[4 * LONGEST + 40];
  snprintf(now, sizeof now, "%s", s);
  int left = lm_guide_least(e, state);
  if (left > 6) return true;             /* long: seen by the shorter ones it leads to */
  for (; left > 0; left--) {
    const uint64_t *mask = lm_guide_mask(e, state, left);
    int t = 0;
    while (t < w->m.vocab.n - 1 && !has(mask, t)) t++;
    if (t == w->m.vocab.n - 1) return false;
    size_t n = strlen(now);
    snprintf(now + n, sizeof now - n, "%.*s", (int)(w->m.vocab.at[t + 1] - w->m.vocab.at[t]),
             (const char *)w->m.vocab.bytes + w->m.vocab.at[t]);
    state = lm_guide_next(e, state, t);
    if (state < 0 || lm_guide_least(e, state) >= left) return false;
  }
  return strlen(now) > 2 * LONGEST || (accepted(w, now) && lm_guide_accepts(e, state));
}

/* Of a text and what may still come: 0, or the number of the question to which masks have the wrong answer. */
static int differs(world *w, lm_guide *e, int state, const char *s, int left)
{
  const lm_vocab *v = &w->m.vocab;
  const uint64_t *mask = lm_guide_mask(e, state, left), *full = lm_guide_mask(e, state, -1);
  if (!mask || !full || lm_guide_mask(e, state, left) != mask) return 1;
  if (lm_guide_accepts(e, state) != accepted(w, s)) return 2;
  for (int t = 0; t < v->n; t++) {
    char longer[4 * LONGEST];
    if (v->kind[t] != LM_TEXT) {
      if (has(mask, t) != accepted(w, s) || has(full, t) != accepted(w, s)) return 3;
      continue;
    }
    snprintf(longer, sizeof longer, "%s%.*s", s, (int)(v->at[t + 1] - v->at[t]), (const char *)v->bytes + v->at[t]);
    bool want = left > 0 && fewest(w, longer, left - 1) < left;
    int to = lm_guide_next(e, state, t);
    if (has(mask, t) != want || (want && !has(full, t)) || has(full, t) != (to >= 0)) return 4;
    if (to >= 0 && (lm_guide_least(e, to) < 0 || !can_finish(w, e, to, longer))) return 5;
    if (want != (to >= 0 && lm_guide_least(e, to) < left)) return 6;
  }
  return 0;
}

/* Some texts, token by token. */
static long walk(world *w, lm_guide *e, const char *gbnf)
{
  long masks = 0;
  for (int turn = 0; turn < 4; turn++) {
    int state = lm_guide_start(e);
    char s[4 * LONGEST] = "";
    while (strlen(s) < 5) {
      int left = (int)roll(4);
      int wrong = differs(w, e, state, s, left);
      if (wrong) fprintf(stderr, "%s\nstop \"%s\", text \"%s\", %d left: %d\n", gbnf, w->stop, s, left, wrong);
      CHECK(!wrong);
      masks += 2;
      const uint64_t *full = lm_guide_mask(e, state, -1);
      int t = (int)roll((uint64_t)w->m.vocab.n), tries = 0;
      while (tries++ < 20 && (!has(full, t) || w->m.vocab.kind[t] != LM_TEXT)) t = (t + 1) % w->m.vocab.n;
      if (tries > 20 || wrong) break;
      size_t n = strlen(s);
      snprintf(s + n, sizeof s - n, "%.*s", (int)(w->m.vocab.at[t + 1] - w->m.vocab.at[t]),
               (const char *)w->m.vocab.bytes + w->m.vocab.at[t]);
      state = lm_guide_next(e, state, t);
    }
  }
  return masks;
}

static void try_rules(norn_state *st, long *masks, long *nested)
{
  static world w;
  static vocabulary v;
  size_t all = 1;
  for (int k = 0; k < LONGEST; k++) all = all * (LETTERS + 1) + 1 + LETTERS;
  if (!w.known) {
    w.known = calloc(2 * all, 1);
    w.is = w.known + all;
  }
  memset(w.known, 0, 2 * all);
  mem m;
  text t;
  mem_init(&m);
  text_init(&t, &m);
  random_rules(&w.g, &t);
  w.m = (lm){ .st = st };
  strcpy(w.stop, roll(3) ? "" : roll(2) ? "c" : roll(2) ? "ab" : "aa");
  random_vocabulary(&v, &w.m);
  grammar g;
  if (!grammar_new(st, t.s, t.n, w.stop, strlen(w.stop), &g)) *nested += g.machines > 0;
  grammar_free(&g);
  norn_clear(st);
  lm_guide *e = lm_guide_grammar(&w.m, t.s, t.n, w.stop, strlen(w.stop));
  if (!e) {
    /* Only of what has no text. */
    CHECK(norn_error(st)->code == NORN_EDOMAIN && strstr(norn_error(st)->text, "no text at all"));
    if (norn_error(st)->code != NORN_EDOMAIN) fprintf(stderr, "%s\n%s\n", t.s, norn_error(st)->text);
    norn_clear(st);
    static const char *const some[] = { "", "a", "b", "c", "ab", "abc", "bb", "cab", "aab" };
    for (int k = 0; k < NORN_COUNT(some); k++) CHECK(!accepted(&w, some[k]));
  } else {
    *masks += walk(&w, e, t.s);
  }
  text_free(&t);
  lm_guides_free(&w.m);
}

int main(int argc, char **argv)
{
  norn_state *st = norn_new_bare(NULL);
  long masks = 0, nested = 0;
  int turns = argc > 1 ? atoi(argv[1]) : 400;
  if (argc > 2) at = (uint64_t)atoll(argv[2]);
  CHECK(st);
  for (int turn = 0; turn < turns; turn++) try_rules(st, &masks, &nested);
  CHECK(nested > turns / 8 && masks > 5 * turns);
  printf("%ld masks, %ld grammars that nest\n", masks, nested);
  norn_free(st);
  return unit_end();
}
