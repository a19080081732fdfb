/* test_llm_values.c: models and contexts as values of Norn: what a fork costs, handles that come and go, and whole texts of a
   back end that has no tokens: drawn and scored through the rows, many at once, and refused where it can't. */
#include "unit.h"
#include "llm/rows.h"
#include <math.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static norn_datum value(norn_state *st, const char *code)
{
  norn_datum out = norn_none();
  if (norn_eval(st, "values", code, strlen(code), NORN_LOAD_REPL, &out)) printf("%s\n", norn_error(st)->text);
  return out;
}

/* ---- forks ---- */

static void test_fork(norn_state *st)
{
  enum { N = 200000 };
  norn_datum v = value(st, "let forked = llm(\"ngram:\", {text: \"abracadabra\"}).context(\"abra\")\nforked");
  lm_node *x = lm_node_of(v);
  CHECK(x != NULL);
  norn_datum first = norn_none();
  double best = HUGE_VAL;
  for (int round = 0; round < 5; round++) {
    double t = now();
    for (int i = 0; i < N; i++) {
      norn_datum next = lm_give_context(lm_extend(x, i & 1));
      if (i == 0) first = next;
      else if (i == 2) CHECK(next.p == first.p);
    }
    t = (now() - t) / N;
    if (t < best) best = t;
  }
  printf("a context's fork (child and handle, there already): %.0f ns (goal: under 1000)\n", 1e9 * best);
  best = HUGE_VAL;
  for (int round = 0; round < 5; round++) {            /* new ones: a chain of children, each with a handle */
    norn_datum at = v;
    double t = now();
    for (int i = 0; i < 2000; i++) at = lm_give_context(lm_extend(lm_node_of(at), (round + i) % 5));
    t = (now() - t) / 2000;
    if (t < best) best = t;
  }
  printf("a new context (node and handle): %.0f ns\n", 1e9 * best);
}

/* Contexts that no value refers to go, and with the last the model. */
static void test_handles(norn_state *st)
{
  norn_datum v = value(st, "for i in 0..50000 with n = 0 { next n + llm(\"ngram:\", {text: \"xyz\"}).context(\"xy\").length }");
  CHECK(v.tag == NORN_INT && v.i == 100000);
  v = value(st, "let kept = llm(\"ngram:\", {text: \"xyz\"})\nlen(for i in 0..2000 { kept.context(\"x\").extend(i % 3) })");
  CHECK(v.i == 2000);
  v = value(st, "let lm1 = llm(\"ngram:\", {text: \"pq\"})\nlm1.context(\"p\").model == lm1");
  CHECK(v.tag == NORN_BOOL && v.i);
}

/* ---- a back end of whole texts ---- */

static struct { int calls, asked; } seen;
static char *copied(lm *m, const char *s, size_t *n)
{
  *n = strlen(s);
  char *to = mem_get(m->m, *n + 1);
  memcpy(to, s, *n + 1);
  return to;
}

/* Draws are "yes" or "no" by the seed, with probabilities 3/4 and 1/4; others have none. */
static norn_status whole_texts(lm *m, int n, const lm_ask *a, lm_said *said)
{
  seen.calls++;
  seen.asked += n;
  for (int i = 0; i < n; i++) {
    if (!a[i].given) said[i].text = copied(m, a[i].seed % 4 ? "yes" : "no", &said[i].n);
    said[i].scored = true;
    said[i].logp = !a[i].given ? 0 : a[i].ngiven == 3 ? log(.75) : a[i].ngiven == 2 ? log(.25) : -HUGE_VAL;
  }
  return NORN_OK;
}
static const lm_row whole_row = { .scheme = "whole", .size = sizeof(lm), .texts = whole_texts };

static lm *whole(norn_state *st, unsigned can)
{
  lm *x = lm_new(st, &whole_row, "whole:");
  CHECK(x != NULL);
  snprintf(x->name, sizeof x->name, "whole");
  x->can = can;
  return x;
}

static void fails(norn_state *st, const char *code, const char *why)
{
  norn_datum out;
  CHECK(norn_eval(st, "fails", code, strlen(code), NORN_LOAD_REPL, &out) != NORN_OK);
  if (!strstr(norn_error(st)->text, why)) CHECK_STR(norn_error(st)->text, why);
  norn_clear(st);
}

static void give(norn_state *st, const char *name, lm *x)
{
  norn_datum v = lm_give_model(x);
  CHECK(!norn_is_none(v) && !norn_set_global(st, name, v));
}

static void test_whole(norn_state *st)
{
  lm *both = whole(st, LM_SAMPLES | LM_SCORES), *draws = whole(st, LM_SAMPLES);
  give(st, "both", both);
  give(st, "only_draws", draws);
  lm_node *messages = lm_extend_text(both->root, "\xff" "c[1]", 5);
  text said;
  text_init(&said, both->m);
  CHECK(messages && lm_text_of(messages, &said) && said.n == 3 && !memcmp(said.s, "[1]", 3));   /* without the mark */
  text_free(&said);
  lm_drop(messages);
  norn_datum v = value(st, "both.context(\"Is it? \").text(max = 3)");
  CHECK(v.tag == NORN_DIST);
  v = value(st, "both.context(\"Is it? \")");
  CHECK_STR(norn_show(st, v, true, 0), "<context of 1 piece: \"Is it? \">");
  v = value(st, "logpdf(both.context(\"Is it? \").text(max = 3), \"yes\")");
  CHECK(v.tag == NORN_REAL && fabs(v.d - log(.75)) < 1e-15);
  seen.calls = seen.asked = 0;
  v = value(st, "model m() { let s ~ both.context().text(max = 3)\n observe \"no\" ~ both.context().text(max = 3)\n s }\n"
                "let post = infer(m(), smc(particles = 400))\nprob(post, s -> s == \"yes\")");
  CHECK(v.tag == NORN_REAL && fabs(v.d - .75) < 5 * sqrt(.75 * .25 / 400));
  CHECK(seen.calls <= 4 && seen.asked == 800);          /* all draws in one, all scores in one */
  v = value(st, "abs(evidence(post) - log(0.25)) < 1e-12");
  CHECK(v.i == 1);
  v = value(st, "let a = draws(infer(m(), smc(particles = 7)))\nlen(a)");
  CHECK(v.i == 7);
  fails(st, "logpdf(only_draws.context().text(), \"yes\")", "the log-probability of a text needs the level of scores");
  fails(st, "model n() { observe \"no\" ~ only_draws.context().text() }\ninfer(n(), smc(particles = 4))",
        "needs the level of scores");
  fails(st, "both.context().token()", "ctx.token() needs the token level");
  fails(st, "both.context().text(match = \"y.*\")", "ctx.text(match = ...) needs the token level");
  fails(st, "both.context().text(top_k = 3)", "needs the token level");
  fails(st, "both.context().entropy", "needs the token level");
  fails(st, "both.vocabulary", "needs the token level");
  fails(st, "both.context().starts(\"y\")", "needs the token level");
  fails(st, "both.chat([{role: \"user\", content: \"a\"}])", "has no chat template");
  value(st, "let both = 0\nlet only_draws = 0\nlet post = 0\nlet a = 0");
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  norn_config_of(st)->quiet = true;
  test_fork(st);
  test_handles(st);
  test_whole(st);
  norn_free(st);
  return unit_end();
}
