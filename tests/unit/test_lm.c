/* test_lm.c: contexts as nodes of a trie, the cache of log-probabilities, filters, and the exact small models: an n-gram
   by hand, a hidden Markov model by its sums over paths. */
#include "unit.h"
#include "llm/llm.h"
#include <math.h>
#include <stdlib.h>

static norn_datum value(norn_state *st, const char *code)
{
  norn_datum out = norn_none();
  norn_eval(st, "lm", code, strlen(code), NORN_LOAD_REPL, &out);
  return out;
}

static lm *opened(norn_state *st, const char *uri, const char *options)
{
  lm *m = lm_open(st, uri, options ? value(st, options) : norn_none());
  if (!m) printf("%s\n", norn_error(st)->text);
  CHECK(m != NULL);
  return m;
}

static void refused(norn_state *st, const char *uri, const char *options, const char *why)
{
  CHECK(!lm_open(st, uri, options ? value(st, options) : norn_none()));
  if (!strstr(norn_error(st)->text, why)) CHECK_STR(norn_error(st)->text, why);
  norn_clear(st);
}

static void near_to(double x, double want) { CHECK(fabs(x - want) < 1e-6); }

static const char table[] =
  "{table: {tokens: [\"a\", \"aa\"], rows: [{after: [], probs: [0.5, 0.25, 0.25]}, {after: [\"a\"], probs: [0.125, 0.375, "
  "0.5]}]}}";

static void test_table(norn_state *st)
{
  lm *m = opened(st, "ngram:", table);
  CHECK(m->vocab.n == 3 && m->vocab.end == 2 && m->vocab.kind[2] == LM_END);
  lm_node *n = lm_start(m, "aaa", 3);                   /* aa, a */
  CHECK(n->depth == 2 && n->token == 0 && n->parent->token == 1);
  CHECK(lm_eval(m, &n, 1) == NORN_OK);
  near_to(exp(n->logp[1]), 0.375);
  near_to(exp(n->logp[2]), 0.5);
  lm_node *two[3] = { n->parent, m->root, n->parent };
  CHECK(lm_eval(m, two, 3) == NORN_OK && m->ledger.evaluated == 3);
  near_to(exp(two[0]->logp[0]), 0.5);
  lm_node *again = lm_extend(m->root, 1);
  CHECK(again == n->parent);                            /* equal contexts are one */
  lm_drop(again);
  text t;
  text_init(&t, m->m);
  CHECK(lm_text_of(n, &t) && t.n == 3 && memcmp(t.s, "aaa", 3) == 0);
  text_free(&t);
  CHECK(!lm_extend(n, 3) && strstr(norn_error(st)->text, "3 is no token"));
  CHECK(!lm_start(m, "ab", 2) && strstr(norn_error(st)->text, "begins with \"b\""));
  norn_clear(st);
  CHECK(lm_open(st, "ngram:", value(st, table)) == m);
  lm_close(m);
  lm_drop(n);
  lm_close(m);
  CHECK(*norn_slot(st, 9) && norn_memory_used(st) > 0);
}

/* "ab" and "aa", order 2, alpha 1, by hand: unigrams a 3, b 1, end 2 of 6; after a: a 1, b 1, end 1 of 3. */
static void test_text(norn_state *st)
{
  lm *m = opened(st, "ngram:", "{text: \"ab\\naa\\n\", order: 2}");
  lm_node *n = lm_start(m, "a", 1), *root = m->root;
  CHECK(lm_eval(m, &n, 1) == NORN_OK && lm_eval(m, &root, 1) == NORN_OK);
  double a = (3 + 1 / 3.0) / 7, b = (1 + 1 / 3.0) / 7, end = (2 + 1 / 3.0) / 7;
  near_to(exp(n->logp[0]), (1 + a) / 4);
  near_to(exp(n->logp[1]), (1 + b) / 4);
  near_to(exp(n->logp[2]), (1 + end) / 4);
  near_to(exp(root->logp[0]), (2 + a) / 3);             /* both lines begin with a */
  lm_drop(n);
  lm_close(m);
}

static const char hidden[] =
  "{table: {tokens: [\"x\", \"y\"], start: [0.6, 0.4], end: [0.1, 0.3], emit: [[0.9, 0.1], [0.2, 0.8]], move: [[0.7, 0.3], "
  "[0.4, 0.6]]}}";

/* p(tokens, end) by all paths, beside the product of what the contexts give. */
static double by_paths(const int *t, int n)
{
  static const double start[2] = { 0.6, 0.4 }, end[2] = { 0.1, 0.3 }, emit[2][2] = { { 0.9, 0.1 }, { 0.2, 0.8 } },
                      move[2][2] = { { 0.7, 0.3 }, { 0.4, 0.6 } };
  double sum = 0;
  for (int path = 0; path < 1 << (n + 1); path++) {
    double p = start[path & 1];
    for (int i = 0; i < n; i++) {
      int k = path >> i & 1, j = path >> (i + 1) & 1;
      p *= (1 - end[k]) * emit[k][t[i]] * move[k][j];
    }
    sum += p * end[path >> n & 1];
  }
  return sum;
}

static void test_hmm(norn_state *st)
{
  lm *m = opened(st, "hmm:", hidden);
  const int t[4] = { 0, 1, 1, 0 };
  for (int n = 0; n <= 4; n++) {
    lm_node *at = m->root;
    double lp = 0;
    lm_hold(at);
    for (int i = 0; i <= n; i++) {
      CHECK(lm_eval(m, &at, 1) == NORN_OK);
      double sum = 0;
      for (int k = 0; k < 3; k++) sum += exp(at->logp[k]);
      near_to(sum, 1);
      lp += at->logp[i < n ? t[i] : 2];
      if (i == n) break;
      lm_node *next = lm_extend(at, t[i]);
      lm_drop(at);
      at = next;
    }
    near_to(exp(lp), by_paths(t, n));
    lm_drop(at);
  }
  lm_close(m);
}

/* What is forgotten comes back the same; what is held stays a node. */
static void test_cache(norn_state *st)
{
  lm *m = opened(st, "hmm:", hidden);
  m->keep = 10 * 3 * sizeof(float);
  lm_node *at[40];
  at[0] = lm_extend(m->root, 0);
  for (int i = 1; i < 40; i++) at[i] = lm_extend(at[i - 1], i & 1);
  CHECK(lm_eval(m, at, 40) == NORN_OK);
  float was = at[0]->logp[1], last = at[39]->logp[0];
  lm_node *other = lm_extend(at[39], 0);
  CHECK(lm_eval(m, &other, 1) == NORN_OK && !at[0]->logp && at[39]->logp);
  CHECK(m->kept <= m->keep + 3 * sizeof(float));
  CHECK(lm_eval(m, at, 40) == NORN_OK && at[0]->logp[1] == was && at[39]->logp[0] == last);
  size_t nodes = m->nnodes;
  CHECK(nodes == 41);
  lm_drop(other);
  for (int i = 0; i < 40; i++) lm_drop(at[i]);
  m->keep = 0;
  lm_node *root = m->root;
  CHECK(lm_eval(m, &root, 1) == NORN_OK);
  CHECK(m->nnodes == 0);
  lm_close(m);
}

static void test_filter(norn_state *st)
{
  lm *m = opened(st, "ngram:", table);
  lm_node *n = m->root;
  double out[3];
  CHECK(lm_eval(m, &n, 1) == NORN_OK);
  lm_filter f = { 1, 1, 0, 0 };
  uint64_t mask = 6;
  near_to(exp(lm_filtered(m, n->logp, &f, &mask, out)), 0.5);
  near_to(exp(out[1]), 0.5);
  CHECK(out[0] == -INFINITY);
  f.temperature = 0.5;                                   /* squares: 4, 1, 1 of 6 */
  CHECK(lm_filtered(m, n->logp, &f, NULL, out) == 0);
  near_to(exp(out[0]), 4 / 6.0);
  f = (lm_filter){ 1, 0.6, 0, 0 };                       /* a, and of equals the lower token */
  lm_filtered(m, n->logp, &f, NULL, out);
  near_to(exp(out[0]), 2 / 3.0);
  CHECK(out[2] == -INFINITY);
  f = (lm_filter){ 1, 1, 0.6, 0 };
  lm_filtered(m, n->logp, &f, NULL, out);
  near_to(out[0], 0);
  f = (lm_filter){ 1, 1, 0, 2 };
  lm_filtered(m, n->logp, &f, NULL, out);
  near_to(exp(out[1]), 1 / 3.0);
  f = (lm_filter){ 0, 1, 0, 0 };
  mask = 4;
  CHECK(lm_filtered(m, n->logp, &f, &mask, out) == -INFINITY && out[2] == -INFINITY);
  lm_close(m);
}

static void test_refused(norn_state *st)
{
  refused(st, "ngrm:x", NULL, "a language model is named by");
  refused(st, "x", NULL, "a language model is named by");
  refused(st, "ngram:nowhere.txt", NULL, "can't read nowhere.txt");
  refused(st, "ngram:", NULL, "needs a file, or table");
  refused(st, "ngram:", "{text: \"\"}", "is empty");
  refused(st, "ngram:", "{texts: \"ab\"}", "ngram: has no option texts");
  refused(st, "hmm:", "{order: 2}", "hmm: has no option order");
  refused(st, "sim:steps=8", "{acuracy: 0.5}", "sim: has no option acuracy");
  refused(st, "switch:", "{smal: 1}", "switch: has no option smal");
  refused(st, "builtin:tiny", "{thread: 1}", "builtin: has no option thread");
  refused(st, "http://127.0.0.1:9/v1#m", "{retry: 1}", "http: has no option retry");
  refused(st, "builtin:tiny", "3", "options of a language model are a record, not an integer");
  refused(st, "ngram:", "{text: \"ab\", order: 0}", "order of ngram: must be an integer from 1 to 16, got 0");
  refused(st, "ngram:", "{text: \"ab\", tokens: [\"a\"]}", "no token of the model");
  refused(st, "ngram:", "{table: {tokens: [\"a\", \"a\"], rows: []}}", "one of them twice");
  refused(st, "ngram:", "{table: {tokens: [\"a\"], rows: [{after: [], probs: [0.5, 0.6]}]}}", "must come to 1, got 1.1");
  refused(st, "ngram:", "{table: {tokens: [\"a\"], rows: [{after: [\"b\"], probs: [0.5, 0.5]}]}}", "\"b\", which is no token");
  refused(st, "ngram:", "{table: {tokens: [\"a\"], rows: [{after: [\"a\"], probs: [0.5, 0.5]}]}}", "after = []");
  refused(st, "hmm:", "{table: {tokens: [\"x\"], start: [1.0], end: [0.5], emit: [[1.0]], move: [[0.5]]}}", "come to 1");
}

/* Every request for memory fails once: no crash, no leak (ASan), and the error says it. */
static void test_memory(const char *uri, const char *options)
{
  for (uint64_t k = 1; k < 200; k++) {
    norn_state *st = norn_new(NULL);
    norn_datum how = value(st, options);
    mem *m = lm_mem(st);
    m->fail_at = m->requests + k;
    lm *x = lm_open(st, uri, how);
    lm_node *n = x ? lm_start(x, "", 0) : NULL, *n2 = n ? lm_extend(n, 0) : NULL;
    bool good = n2 && lm_eval(x, &n2, 1) == NORN_OK;
    CHECK(good || norn_error(st)->code == NORN_EMEMORY);
    if (n2) lm_drop(n2);
    if (n) lm_drop(n);
    if (x) lm_close(x);
    norn_free(st);
    if (good && m) { if (k > 30) return; }
  }
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  test_table(st);
  test_text(st);
  test_hmm(st);
  test_cache(st);
  test_filter(st);
  test_refused(st);
  norn_free(st);
  test_memory("ngram:", "{text: \"ab\\naa\\n\", order: 2}");
  test_memory("hmm:", hidden);
  return unit_end();
}
