/* direct: log densities of families of vectors that are a few nodes of numbers: one category by its
   probabilities or log weights, mixtures, posteriors of nested enumerations.  Rows of data so
   become array instructions, where a call would ask the family's row for each; what rows share (a
   sum of weights) is one node. */
#include "graph/record.h"
#include <string.h>

enum { WIDEST = 64 };                  /* longer ones are calls */
#define SUM_TOLERANCE 1e-8             /* of dist_probabilities (src/dist/dispatch.c) */

/* The numbers of an array, in w (WIDEST); -1: too many, or not numbers. */
static int weights_of(norn_state *st, norn_datum a, norn_datum *w)
{
  int64_t n = norn_array_length(a);
  if (n < 1 || n > WIDEST) return -1;
  for (int64_t i = 0; i < n; i++) {
    w[i] = norn_array_at(st, a, i);
    if (w[i].tag != NORN_REAL && w[i].tag != NORN_INT && !graph_is_node(w[i])) return -1;
  }
  return (int)n;
}

/* Leaves guards that the weights are probabilities; false: they are not, here.  Weights that were
   looked at before leave none: their sum is there already. */
static bool are_probabilities(graph *g, const norn_datum *w, int n)
{
  norn_datum sum = w[0];
  bool good = true;
  for (int i = 1; i < n && !norn_is_none(sum); i++) sum = graph_op2(g, G_ADD, sum, w[i]);
  if (norn_is_none(sum)) return false;
  size_t before = g->nnode;
  norn_datum off = graph_op1(g, G_ABS, graph_op2(g, G_SUB, sum, norn_real(1)));
  if (norn_is_none(off)) return false;
  double gap = off.d;                    /* a node's number, or a number */
  if (graph_is_node(off) && graph_index(off) < before) return gap <= SUM_TOLERANCE;
  good = graph_is_node(off) ? graph_compare(g, GUARD_LE, off, norn_real(SUM_TOLERANCE))
                            : gap <= SUM_TOLERANCE;
  for (int i = 0; i < n; i++)
    good = (graph_is_node(w[i]) ? graph_compare(g, GUARD_LE, norn_real(0), w[i])
                                : w[i].tag == NORN_INT ? w[i].i >= 0 : w[i].d >= 0) && good;
  return good;
}

static norn_datum log_sum_exp(graph *g, const norn_datum *x, int n)
{
  norn_datum s = n ? x[0] : norn_real(-HUGE_VAL);
  for (int i = 1; i < n && !norn_is_none(s); i++) s = graph_op2(g, G_LOG_ADD_EXP, s, x[i]);
  return s;
}

/* log p[k]; log weights: beta[k] - log_sum_exp(beta). */
static bool category(graph *g, const norn_dist *d, norn_datum x, bool logs, norn_datum *out)
{
  norn_datum w[WIDEST];
  int n = x.tag == NORN_INT ? weights_of(g->st, d->args[0], w) : -1;
  if (n < 0) return false;
  if (!logs && !are_probabilities(g, w, n)) return false;      /* the row says what is wrong */
  if (x.i < 0 || x.i >= n) *out = norn_real(-HUGE_VAL);
  else if (!logs) *out = graph_op1(g, G_LOG, w[x.i]);
  else {
    norn_datum all = log_sum_exp(g, w, n);
    *out = norn_is_none(all) ? all : graph_op2(g, G_SUB, w[x.i], all);
  }
  return true;
}

/* log sum of w[i] f_i(x), of components that are numbers. */
static bool mixture(graph *g, const norn_dist *d, norn_datum x, norn_datum *out)
{
  norn_datum w[WIDEST], term[WIDEST];
  int n = weights_of(g->st, d->args[0], w), used = 0;
  if (n < 0 || norn_array_length(d->args[1]) != n || norn_array_length(x) >= 0) return false;
  for (int i = 0; i < n; i++) {
    norn_dist f;
    if (!norn_dist_view(norn_array_at(g->st, d->args[1], i), &f) ||
        !(f.row->flags & NORN_DIST_SCALAR) || f.row->flags & NORN_DIST_IMPROPER)
      return false;
  }
  if (!are_probabilities(g, w, n)) return false;
  for (int i = 0; i < n; i++) {
    norn_dist f;
    double p;
    if (norn_as_real(w[i], &p) && p == 0) continue;
    norn_dist_view(norn_array_at(g->st, d->args[1], i), &f);
    norn_datum lf = graph_logpdf(g, &f, x, false), lw = graph_op1(g, G_LOG, w[i]);
    if (norn_is_none(lf) || norn_is_none(lw)) return *out = norn_none(), true;
    term[used++] = graph_op2(g, G_ADD, lf, lw);
  }
  *out = log_sum_exp(g, term, used);
  return true;
}

/* A posterior that was enumerated while recording: its values and their log probabilities. */
static bool posterior(graph *g, const norn_dist *d, norn_datum x, norn_datum *out)
{
  int64_t n = norn_array_length(d->args[0]);
  if (norn_has_node(x) || norn_has_node(d->args[0])) return false;
  *out = norn_real(-HUGE_VAL);
  for (int64_t i = 0; i < n; i++)
    if (norn_equal(norn_array_at(g->st, d->args[0], i), x)) *out = norn_array_at(g->st, d->args[1], i);
  return true;
}

bool graph_direct(graph *g, const norn_dist *d, norn_datum x, norn_datum *out)
{
  const char *name = d->row->name;
  if (d->n == 1 && !strcmp(name, "categorical")) return category(g, d, x, false, out);
  if (d->n == 1 && !strcmp(name, "categorical_logit")) return category(g, d, x, true, out);
  if (d->n == 2 && d->row->flags & NORN_DIST_POSTERIOR) return posterior(g, d, x, out);
  return d->n == 2 && !strcmp(name, "mixture") && mixture(g, d, x, out);
}
