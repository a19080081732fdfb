/* test_tiny.c: the built-in model: it opens, is small, knows its sentences, dates and sums, and answers held-out sums as
   often as is wanted of it: not always, so that there is something to gain for who draws several times. */
#include "llm/llm.h"
#include "llm/tiny.h"
#include "unit.h"
#include <stdlib.h>

static norn_state *st;
static lm *tiny;

/* ---- worked sums, as stdlib/worked_sums.norn has them ---- */

enum { TERMS = 8, MOST = 160 };

static int64_t next(int64_t x) { return (x * 1103515245 + 12345) % 2147483648; }

static bool held_out(const int *t)
{
  int64_t h = 7;
  for (int k = 0; k < TERMS; k++) h = (h * 1009 + t[k] + 100) % 1000003;
  return h % 10 == 3;
}

static int numbered(int64_t i, int *t)
{
  int64_t x = next(next((i * 2654435761 + TERMS * 40503 + 1) % 2147483648));
  int total = 0;
  for (int k = 0; k < TERMS; k++) {
    int size = (int)(10 + x / 4096 % 90);
    int64_t y = next(x);
    total += t[k] = k > 0 && size <= total && y / 65536 % 2 == 1 ? -size : size;
    x = next(y);
  }
  return total;
}

/* The question of the next held-out sum from *i on, and its answer. */
static int question(int64_t *i, char *out)
{
  int t[TERMS], total, n;
  do total = numbered((*i)++, t);
  while (!held_out(t));
  n = sprintf(out, "Q: %d", t[0]);
  for (int k = 1; k < TERMS; k++) n += sprintf(out + n, " %c %d", t[k] < 0 ? '-' : '+', abs(t[k]));
  sprintf(out + n, " = ?\n");
  return total;
}

/* ---- draws ---- */

/* All at once, a token each a turn. */
enum { N = 150 };
static int right_of(uint64_t seed)
{
  lm_node *at[N], *open[N];
  char s[N][MOST + 64];
  size_t length[N], begun[N];
  int answer[N], who[N], n, right = 0;
  int64_t i = 0;
  for (int k = 0; k < N; k++) {
    answer[k] = question(&i, s[k]);
    begun[k] = length[k] = strlen(s[k]);
    lm_node *root = lm_extend(tiny->root, tiny->vocab.begin);
    at[k] = root ? lm_extend_text(root, s[k], length[k]) : NULL;
    if (!at[k]) exit(98);
    lm_drop(root);
  }
  norn_rng g = { .stream = seed };
  do {
    n = 0;
    for (int k = 0; k < N; k++)
      if (at[k] && at[k]->depth < MOST) {
        who[n] = k;
        open[n++] = at[k];
      }
    if (n && lm_eval(tiny, open, n)) exit(97);
    for (int j = 0; j < n; j++) {
      int k = who[j], token = 0;
      double u = norn_rng_uniform(&g);
      while (token < 256 && (u -= exp((double)at[k]->logp[token])) > 0) token++;
      lm_node *child = token < 256 ? lm_extend(at[k], token) : NULL;
      if (child) s[k][length[k]++] = (char)token;
      lm_drop(at[k]);
      at[k] = child;
    }
  } while (n);
  for (int k = 0; k < N; k++) {
    char want[32];
    s[k][length[k]] = 0;
    sprintf(want, "\nA: %d\n", answer[k]);
    size_t w = strlen(want);
    right += length[k] > begun[k] + w && strcmp(s[k] + length[k] - w, want) == 0;
    if (at[k]) lm_drop(at[k]);
  }
  return right;
}

/* Four standard errors of the mean of so many draws. */
static void pass_at_1(void)
{
  int right = right_of(1) + right_of(2);
  double p = (double)right / (2 * N), error = 4 * sqrt(.25 / (2 * N));
  printf("pass@1 of held-out sums of %d terms: %.3f of %d\n", TERMS, p, 2 * N);
  CHECK(p > .2 - error && p < .6 + error);
}

/* ---- scores ---- */

/* -log p of a whole document, a byte. */
static double surprise(const char *s)
{
  lm_node *at = lm_extend(tiny->root, tiny->vocab.begin);
  double sum = 0;
  size_t n = strlen(s);
  for (size_t i = 0; i <= n && at; i++) {
    lm_token t = i < n ? (unsigned char)s[i] : tiny->vocab.end;
    if (lm_eval(tiny, &at, 1)) break;
    sum -= (double)at->logp[t];
    lm_node *child = lm_extend(at, t);
    lm_drop(at);
    at = child;
  }
  CHECK(at);
  lm_drop(at);
  return sum / (double)(n + 1);
}

static void scores(void)
{
  double fine = surprise("The old dog that the cats chase sleeps.\n");
  CHECK(fine < .8);
  CHECK(surprise("The old dog that the cats chase sleep.\n") > fine + .05);        /* the verb is the dog's */
  CHECK(surprise("Dog the old that cats the chase sleeps.\n") > fine + .5);
  CHECK(surprise("The day after 28 February 2023 is 1 March 2023.\n") <
        surprise("The day after 28 February 2023 is 2 March 2023.\n"));
  CHECK(surprise("Q: 47 + 85 - 36 = ?\n47 + 85 = 132\n132 - 36 = 96\nA: 96\n") < .5);
  CHECK(surprise("Q: 47 + 85 - 36 = ?\n47 + 85 = 132\n132 - 36 = 96\nA: 96\n") <
        surprise("Q: 47 + 85 - 36 = ?\n47 + 85 = 132\n132 - 36 = 97\nA: 97\n"));
}

int main(void)
{
  norn_config c = norn_config_default();
  c.quiet = true;
  st = norn_new(&c);
  CHECK(lm_tiny_size > 100000 && lm_tiny_size < 3000000 && (size_t)lm_tiny_bytes % 64 == 0);
  tiny = st ? lm_open(st, "builtin:tiny", norn_none()) : NULL;
  CHECK(tiny);
  if (!tiny) {
    if (st) printf("%s\n", norn_error(st)->text);
    return unit_end();
  }
  CHECK(tiny->can & LM_TOKENS && tiny->vocab.n == 257 && tiny->window == MOST && tiny->vocab.begin == 256);
  scores();
  pass_at_1();
  lm_close(tiny);
  norn_free(st);
  return unit_end();
}
