/* test_lm_sim.c: the solver of known accuracy: every text that it writes, by going through all of them, has the
   probability that its settings say; questions differ as spread says; settings that make no sense are refused. */
#include "unit.h"
#include "llm/llm.h"
#include <math.h>

static lm *opened(norn_state *st, const char *uri)
{
  lm *m = lm_open(st, uri, norn_none());
  if (!m) printf("%s\n", norn_error(st)->text);
  CHECK(m != NULL);
  return m;
}

typedef struct tally { int texts; double all, right, wrong[8]; } tally;

/* All texts behind a context, which has probability p so far. */
static void walk(lm_node *n, double p, int answer, tally *t)
{
  lm *m = n->of;
  lm_node *ask = n;
  CHECK(lm_eval(m, &ask, 1) == NORN_OK);
  double sum = 0;
  for (int k = 0; k < m->vocab.n; k++) {
    double q = exp(n->logp[k]);
    sum += q;
    if (q == 0) continue;
    if (k == m->vocab.end) {
      t->texts++;
      t->all += p * q;
      if (answer == 0) t->right += p * q;
      else t->wrong[answer] += p * q;
      continue;
    }
    const char *s = (const char *)m->vocab.bytes + m->vocab.at[k];
    lm_node *c = lm_extend(n, k);
    walk(c, p * q, s[0] == 'A' ? s[3] - '0' : answer, t);
    lm_drop(c);
    ask = n;
    CHECK(lm_eval(m, &ask, 1) == NORN_OK);
  }
  CHECK(fabs(sum - 1) < 1e-6);
}

static void test_texts(norn_state *st)
{
  lm *m = opened(st, "sim:steps=3,accuracy=.7,wrong=5");
  lm_node *n = lm_start(m, "Q: 1 + 1?\n", 10);
  tally t = { 0, 0, 0, { 0 } };
  walk(n, 1, -1, &t);
  /* ok ok ok 0; three places of the first error, five answers each */
  CHECK(t.texts == 16 && fabs(t.all - 1) < 1e-6 && fabs(t.right - .343) < 1e-6);
  for (int k = 1; k <= 5; k++) CHECK(fabs(t.wrong[k] - .657 / 5) < 1e-6);
  lm_drop(n);
  n = lm_start(m, "ok\nno\n", 6);
  CHECK(n->depth == 4 && lm_eval(m, &n, 1) == NORN_OK && exp(n->logp[1]) == 1);
  lm_drop(n);
  lm_close(m);
}

/* Log odds of the first step over 400 questions: mean that of .7, standard deviation spread. */
static void test_spread(norn_state *st)
{
  lm *m = opened(st, "sim:steps=1,accuracy=0.7,spread=1.5");
  double sum = 0, squares = 0;
  enum { N = 400 };
  for (int i = 0; i < N; i++) {
    char q[32];
    snprintf(q, sizeof q, "Q: %d\n", i);
    lm_node *n = lm_start(m, q, strlen(q));
    CHECK(lm_eval(m, &n, 1) == NORN_OK);
    double z = n->logp[0] - n->logp[1] - log(.7 / .3);
    sum += z;
    squares += z * z;
    lm_drop(n);
  }
  CHECK(fabs(sum / N) < 4 * 1.5 / sqrt(N));
  CHECK(fabs(sqrt(squares / N) - 1.5) < 4 * 1.5 / sqrt(2 * N));
  lm_close(m);
}

static void refused(norn_state *st, const char *uri, const char *why)
{
  CHECK(!lm_open(st, uri, norn_none()));
  if (!strstr(norn_error(st)->text, why)) CHECK_STR(norn_error(st)->text, why);
  norn_clear(st);
}

/* Every request for memory fails once. */
static void test_memory(void)
{
  for (uint64_t k = 1; k < 100; k++) {
    norn_state *st = norn_new(NULL);
    mem *m = lm_mem(st);
    m->fail_at = m->requests + k;
    lm *x = lm_open(st, "sim:steps=2", norn_none());
    lm_node *n = x ? lm_start(x, "Q: 1\n", 5) : NULL;
    bool good = n && lm_eval(x, &n, 1) == NORN_OK;
    CHECK(good || norn_error(st)->code == NORN_EMEMORY);
    if (n) lm_drop(n);
    if (x) lm_close(x);
    norn_free(st);
    if (good) return;
  }
}

int main(void)
{
  norn_config config = norn_config_default();
  config.quiet = true;
  norn_state *st = norn_new(&config);
  if (!st) return 1;
  test_texts(st);
  test_spread(st);
  refused(st, "sim:steps", "settings name=number, got \"steps\"");
  refused(st, "sim:step=3", "got \"step=3\"");
  refused(st, "sim:steps=3;wrong=2", "got \"steps=3;wrong=2\"");
  refused(st, "sim:steps=0", "steps of sim: must be from 1 to 10000, got 0");
  refused(st, "sim:accuracy=1.5", "accuracy of sim: must be in [0, 1], got 1.5");
  refused(st, "sim:accuracy=nan", "accuracy of sim: must be in [0, 1], got nan");
  refused(st, "sim:wrong=1e5", "wrong of sim: must be from 1 to 1000, got 100000");
  refused(st, "sim:spread=-1", "spread of sim: must be in [0, 100], got -1");
  norn_free(st);
  test_memory();
  return unit_end();
}
