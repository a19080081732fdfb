/* test_guide_laws.c: constraints as weights.  For an n-gram model with several tokenisations of one text, the
   probability that a text of at most so many tokens satisfies a constraint is summed over all sequences of tokens,
   each asked by a few lines of C whether its text does; and by masks, as a particle would go: each step's token from
   the masked distribution, times the mass that its mask let through.  Both are the same, the mass of a prefix is
   that of its next steps, and no prefix that masks lead to is dead. */
#include "unit.h"
#include "llm/guide/guide.h"
#include <math.h>

enum { LEAST = 3, MOST = 6, LONG = 16 };

static const char table[] =
  "{table: {tokens: [\"a\", \"b\", \"aa\", \"ab\", \"bc\", \"c\"], rows: [{after: [], probs: [0.2, 0.2, 0.1, 0.15, 0.15, 0.1, "
  "0.1]}, {after: [\"a\"], probs: [0.05, 0.4, 0.05, 0.1, 0.2, 0.1, 0.1]}, {after: [\"b\", \"ab\"], probs: [0.3, 0.1, 0.1, "
  "0.1, 0.05, 0.05, 0.3]}]}}";

typedef struct law {
  const char *re, *stop;
  bool (*holds)(const char *);           /* of the text without its stop */
  lm *m;
  lm_guide *e;
  int max;
  long dead, leaves;
} law;

/* ---- constraints, in C ---- */

static bool only(const char *s, const char *set) { return s[strspn(s, set)] == 0; }
static bool even_then_b(const char *s)
{
  size_t a = strspn(s, "a");
  return a % 2 == 0 && only(s + a, "b") && strlen(s + a) <= 2;
}
static bool has_abb(const char *s) { return strstr(s, "abb") != NULL; }
static bool three_to_five(const char *s) { return strlen(s) >= 3 && strlen(s) <= 5; }
static bool short_ab(const char *s) { return only(s, "ab") && strlen(s) >= 2 && strlen(s) <= 4; }
static bool no_cc(const char *s) { return !strstr(s, "cc"); }
static bool no_c(const char *s) { return only(s, "ab"); }

/* a^n b^n */
static bool as_many(const char *s)
{
  size_t a = strspn(s, "a"), b = strspn(s + a, "b");
  return a == b && s[a + b] == 0;
}
/* a opens, b closes; c stands anywhere. */
static bool closes(const char *s)
{
  int deep = 0;
  for (; *s && deep >= 0; s++) deep += *s == 'a' ? 1 : *s == 'b' ? -1 : 0;
  return deep == 0;
}
static bool same_backwards(const char *s)
{
  for (size_t k = 0, n = strlen(s); k < n; k++)
    if (s[k] != s[n - 1 - k]) return false;
  return true;
}

/* ---- both sums ---- */

static bool ready(lm *m, lm_node *n) { return lm_eval(m, &n, 1) == NORN_OK; }

/* Of all sequences of tokens that go on from a node whose text is s. */
static double summed(const law *w, lm_node *n, const char *s)
{
  const lm_vocab *v = &w->m->vocab;
  const char *stop = *w->stop ? strstr(s, w->stop) : NULL;
  char front[8 * LONG];
  snprintf(front, sizeof front, "%.*s", stop ? (int)(stop - s) : LONG * 4, s);
  if (stop || (int)n->depth == w->max) return w->holds(front);
  double all = 0;
  CHECK(ready(w->m, n));
  for (int t = 0; t < v->n; t++) {
    double p = exp(n->logp[t]);
    if (v->kind[t] == LM_END) {
      all += p * w->holds(s);
      continue;
    }
    char longer[8 * LONG];
    snprintf(longer, sizeof longer, "%s%.*s", s, (int)(v->at[t + 1] - v->at[t]), (const char *)v->bytes + v->at[t]);
    lm_node *next = lm_extend(n, t);
    all += p * summed(w, next, longer);
    lm_drop(next);
  }
  return all;
}

static bool past_stop(const law *w, lm_node *n)
{
  text t;
  bool is = false;
  text_init(&t, w->m->m);
  if (*w->stop && lm_text_of(n, &t) && t.n) is = strstr(t.s, w->stop) != NULL;
  text_free(&t);
  return is;
}

/* The sum over all particles of their probability to be drawn times their weight. */
static double stepped(law *w, lm_node *n, int state)
{
  static const lm_filter plain = { 1, 1, 0, 0 };
  double out[LONG], all = 0;
  int left = w->max - (int)n->depth;
  if (past_stop(w, n) || left == 0) {
    w->leaves++;
    CHECK(lm_guide_accepts(w->e, state));
    return 1;
  }
  CHECK(ready(w->m, n));
  const uint64_t *mask = lm_guide_mask(w->e, state, left);
  double mass = lm_filtered(w->m, n->logp, &plain, mask, out);
  for (int t = 0; t < w->m->vocab.n; t++) {
    if (out[t] == -INFINITY) continue;
    if (w->m->vocab.kind[t] == LM_END) {
      w->leaves++;
      all += exp(out[t] + mass);
      continue;
    }
    lm_node *next = lm_extend(n, t);
    double rest = stepped(w, next, lm_guide_next(w->e, state, t));
    w->dead += rest <= 0;
    all += exp(out[t] + mass) * rest;
    lm_drop(next);
  }
  return all;
}

static void test_law(lm *m, const char *re, const char *stop, bool (*holds)(const char *))
{
  lm_guide *(*make)(lm *, const char *, size_t, const char *, size_t) = strstr(re, "::=") ? lm_guide_grammar : lm_guide_until;
  law w = { re, stop, holds, m, make(m, re, strlen(re), stop, strlen(stop)), 0, 0, 0 };
  CHECK(w.e);
  for (w.max = LEAST; w.e && w.max <= MOST; w.max++) {
    double a = summed(&w, m->root, ""), b = stepped(&w, m->root, lm_guide_start(w.e));
    CHECK(a > 0 && a < 1);
    CHECK_NEAR(b, a, 1e-9 + 1e-6 * a);
    CHECK(w.dead == 0 && w.leaves > 3);
  }
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  norn_datum options = norn_none();
  CHECK(st && !norn_eval(st, "laws", table, strlen(table), NORN_LOAD_REPL, &options));
  lm *m = lm_open(st, "ngram:", options);
  CHECK(m);
  if (m) {
    test_law(m, "(aa)*b{0,2}", "", even_then_b);
    test_law(m, "[abc]*abb[abc]*", "", has_abb);
    test_law(m, ".{3,5}", "", three_to_five);
    test_law(m, "[ab]{2,4}", "c", short_ab);
    test_law(m, ".{3,5}", "bc", three_to_five);
    test_law(m, "[ab]*", "", no_c);
    test_law(m, "([ab]|c[ab])*c?", "", no_cc);
    /* Rules that nest; however many ways there are to read a text, it counts once. */
    test_law(m, "root ::= | \"a\" root \"b\"", "", as_many);
    test_law(m, "root ::= \"c\" | \"a\" root \"b\" | root root |", "", closes);
    test_law(m, "root ::= \"c\" | \"a\" root \"b\" | root root |", "c", closes);
    test_law(m, "root ::= [abc]? | \"a\" root \"a\" | \"b\" root \"b\" | \"c\" root \"c\"", "", same_backwards);
    test_law(m, "root ::= [abc]? | \"a\" root \"a\" | \"b\" root \"b\" | \"c\" root \"c\"", "bc", same_backwards);
  }
  if (m) lm_close(m);
  norn_free(st);
  return unit_end();
}
