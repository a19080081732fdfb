/* chains: the worst effective sample size and R-hat of what a model returned, for engines of chains
   that know no coordinates, and what to say about it.  What is no number (a text, a variant) is judged by the commonest
   values: whether a draw is this one is a number. */
#include "infer/chains/chains.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMONEST = 4 };

/* Column x (draws): one real number of each draw; false when the draws have none there. */
static bool value_column(norn_infer *inf, const char *path, const uint32_t *order, double *x)
{
  norn_state *st = norn_infer_state(inf);
  for (size_t i = 0; i < inf->values.n; i++) {
    norn_datum v = posterior_part(st, column_at(st, &inf->values, order ? order[i] : i), path);
    if (v.tag == NORN_BOOL) x[i] = (double)v.i;
    else if (!norn_as_real(v, &x[i])) return false;
  }
  return true;
}

static norn_status worst_of_column(norn_infer *inf, int chains, int64_t draws, const char *path, const double *x,
                                   chains_worst *w)
{
  double ess, rhat;
  if (!diagnose_chains(norn_infer_state(inf), x, chains, draws, &ess, &rhat))
    return NORN_EMEMORY;
  if (ess < w->ess) {
    w->ess = ess;
    strncpy(w->name, *path ? path : "the value", sizeof w->name - 1);
  }
  if (rhat > w->rhat) w->rhat = rhat;
  return NORN_OK;
}

static int by_number(const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* The commonest of h (n), which is sorted: at most COMMONEST, those that come first among equals. */
static int commonest(const uint64_t *h, size_t n, uint64_t *most)
{
  size_t count[COMMONEST] = { 0 };
  int k = 0;
  for (size_t i = 0, j; i < n; i = j) {
    for (j = i + 1; j < n && h[j] == h[i]; j++);
    int at = k < COMMONEST ? k++ : COMMONEST - 1;
    if (at == COMMONEST - 1 && count[at] >= j - i) continue;
    for (; at > 0 && count[at - 1] < j - i; at--) {
      count[at] = count[at - 1];
      most[at] = most[at - 1];
    }
    count[at] = j - i;
    most[at] = h[i];
  }
  return k;
}

/* Of texts and variants: in each column whether a draw is one of the commonest. */
static norn_status worst_of_words(norn_infer *inf, int chains, int64_t draws, const char *path, const uint32_t *order,
                                  double *x, chains_worst *w)
{
  norn_state *st = norn_infer_state(inf);
  size_t n = inf->values.n;
  uint64_t most[COMMONEST], *h = engine_get(st, 2 * n * sizeof *h);
  bool words = h != NULL;
  norn_status s = h ? NORN_OK : NORN_EMEMORY;
  for (size_t i = 0; words && i < n; i++) {
    norn_datum v = posterior_part(st, column_at(st, &inf->values, order ? order[i] : i), path);
    int kind = norn_kind_of(v);
    words = kind == NORN_STR || kind == NORN_DATA;
    h[i] = h[n + i] = words ? norn_hash(v) : 0;
  }
  if (words) qsort(h + n, n, sizeof *h, by_number);
  for (int k = words ? commonest(h + n, n, most) : 0; !s && k-- > 0;) {
    for (size_t i = 0; i < n; i++) x[i] = h[i] == most[k];
    s = worst_of_column(inf, chains, draws, path, x, w);
  }
  engine_put(st, h, 2 * n * sizeof *h);
  return s;
}

static norn_status worst_of_path(norn_infer *inf, int chains, int64_t draws, const char *path,
                                 const uint32_t *order, double *x, chains_worst *w)
{
  if (value_column(inf, path, order, x)) return worst_of_column(inf, chains, draws, path, x, w);
  return worst_of_words(inf, chains, draws, path, order, x, w);
}

/* The worst ESS and R-hat of the returned numbers: the value, its fields, the first elements of
   arrays. */
norn_status chains_diagnose(norn_infer *inf, int chains, int64_t draws, chains_worst *w)
{
  norn_state *st = norn_infer_state(inf);
  size_t n = inf->values.n;
  double *x = engine_get(st, n * sizeof *x);
  uint32_t *order = NULL;
  norn_status s = x && infer_order(inf, &order) ? NORN_OK : NORN_EMEMORY;
  norn_datum first = column_at(st, &inf->values, order ? order[0] : 0);
  char path[80];
  int fields = norn_record_size(first);
  if (!s) s = worst_of_path(inf, chains, draws, "", order, x, w);
  for (int64_t k = 0; !s && k < norn_array_length(first) && k < 16; k++) {
    path[0] = 0;
    s = snprintf(path, sizeof path, "[%d]", (int)k) < 0 ? NORN_EUSE
                                                        : worst_of_path(inf, chains, draws, path, order, x, w);
  }
  for (int i = 0; !s && i < fields && i < 64; i++) {
    norn_datum v;
    const char *name = norn_record_at(st, first, i, &v);
    snprintf(path, sizeof path, "%.60s", name ? name : "");
    s = worst_of_path(inf, chains, draws, path, order, x, w);
    for (int64_t k = 0; !s && k < norn_array_length(v) && k < 16; k++) {
      snprintf(path, sizeof path, "%.60s[%d]", name ? name : "", (int)k);
      s = worst_of_path(inf, chains, draws, path, order, x, w);
    }
  }
  engine_put(st, x, n * sizeof *x);
  engine_put(st, order, n * sizeof *order);
  return s;
}


norn_status chains_report(norn_infer *inf, int chains, int64_t draws, const char *or_else)
{
  norn_span nowhere = { 0, 0, 0 };
  chains_worst w = { .ess = HUGE_VAL };
  norn_status s = chains_diagnose(inf, chains, draws, &w);
  if (s) return s;
  infer_chains(inf, chains, draws);
  norn_infer_note(inf, "ess", w.ess < HUGE_VAL ? norn_real(w.ess) : norn_missing());
  if (w.rhat > 0) norn_infer_note(inf, "rhat", norn_real(w.rhat));
  if (!or_else) return NORN_OK;
  if (w.rhat > 1.01)
    norn_infer_warn(
      inf, nowhere,
      "R-hat is %.5g, above 1.01: the chains do not agree; take more draws or another engine",
      w.rhat);
  if (w.ess < 100 * (double)chains)
    norn_infer_warn(
      inf, nowhere,
      "the effective sample size of %s is %.3g of %lld draws: take more draws or %s",
      w.name, w.ess, (long long)(draws * chains), or_else);
  return NORN_OK;
}

norn_datum chains_resumed(norn_infer *inf, const norn_event *ev, int64_t chains, int chain)
{
  norn_state *st = norn_infer_state(inf);
  char name[256];
  norn_posterior p;
  if (!norn_addr_name(st, ev->addr, name, sizeof name)) return norn_none();
  if (!norn_posterior_view(st, infer_resumed(inf), &p) || norn_kind_of(p.choices) != NORN_RECORD)
    return norn_none();
  norn_datum kept = norn_record_get(st, p.choices, name);
  int64_t n = norn_array_length(kept);
  if (n < 1) return norn_none();
  norn_datum v = norn_array_at(st, kept, n / chains * (chain + 1) - 1);
  return v.tag == NORN_MISSING ? norn_none() : v;
}
