/* filter.c: the distribution of the next token as a sampler uses it: tempered, truncated, masked, normalised.  What is
   cut has probability 0, so a text is scored by the same distribution as it is drawn from.

   top_k keeps the k likeliest, top_p the fewest likeliest whose probabilities come to at least p (Holtzman, Buys, Du,
   Forbes, Choi 2020, "The Curious Case of Neural Text Degeneration"), min_p those of at least min_p times the greatest
   (Nguyen et al. 2025, "Turning Up the Heat: Min-p Sampling").  Of equals the lower token comes first.  The mask comes
   last, so that its mass is that of the sampler's distribution. */
#include "llm/llm.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct ranked { double logp; int token; } ranked;

static int by_rank(const void *a, const void *b)
{
  const ranked *x = a, *y = b;
  if (x->logp != y->logp) return x->logp > y->logp ? -1 : 1;
  return x->token < y->token ? -1 : 1;
}

/* log(sum of exp) of those that are finite. */
static double log_sum(const double *lp, int n)
{
  double top = -INFINITY, sum = 0;
  for (int i = 0; i < n; i++) if (lp[i] > top) top = lp[i];
  if (top == -INFINITY) return top;
  for (int i = 0; i < n; i++) sum += exp(lp[i] - top);
  return top + log(sum);
}

static void normalise(double *lp, int n)
{
  double z = log_sum(lp, n);
  for (int i = 0; z > -INFINITY && i < n; i++) lp[i] -= z;
}

static void likeliest_only(const float *logp, int n, double *out)
{
  int best = 0;
  for (int i = 1; i < n; i++) if (logp[i] > logp[best]) best = i;
  for (int i = 0; i < n; i++) out[i] = i == best ? 0 : -INFINITY;
}

/* How many of the ranked are kept. */
static int kept(const ranked *r, int n, const lm_filter *f)
{
  int k = n;
  if (f->top_k > 0 && f->top_k < k) k = f->top_k;
  if (f->top_p < 1) {
    double total = 0, sum = 0;
    int i = 0;
    for (int j = 0; j < k; j++) total += exp(r[j].logp);
    while (i < k && sum < f->top_p * total) sum += exp(r[i++].logp);
    k = i > 0 ? i : 1;
  }
  if (f->min_p > 0) {
    int i = 1;
    while (i < k && r[i].logp >= r[0].logp + log(f->min_p)) i++;
    k = i;
  }
  return k;
}

/* Ranks all and takes out those that are cut; false: no memory. */
static bool cut(const lm *x, const lm_filter *f, double *lp)
{
  int n = x->vocab.n;
  ranked *r = mem_get(x->m, (size_t)n * sizeof *r);
  if (!r) return !lm_no_memory(x->st);
  for (int i = 0; i < n; i++) r[i] = (ranked){ lp[i], i };
  qsort(r, (size_t)n, sizeof *r, by_rank);
  for (int i = kept(r, n, f); i < n; i++) lp[r[i].token] = -INFINITY;
  mem_put(x->m, r, (size_t)n * sizeof *r);
  return true;
}

double lm_filtered(const lm *x, const float *logp, const lm_filter *f, const uint64_t *mask, double *out)
{
  int n = x->vocab.n;
  if (f->temperature == 0) likeliest_only(logp, n, out);
  else {
    for (int i = 0; i < n; i++) out[i] = (double)logp[i] / f->temperature;
    normalise(out, n);
    if (f->top_k > 0 || f->top_p < 1 || f->min_p > 0) {
      if (!cut(x, f, out)) return NAN;
      normalise(out, n);
    }
  }
  if (!mask) return 0;
  for (int i = 0; i < n; i++) if (!(mask[i / 64] >> (i % 64) & 1)) out[i] = -INFINITY;
  double z = log_sum(out, n);
  for (int i = 0; z > -INFINITY && i < n; i++) out[i] -= z;
  return z;
}
