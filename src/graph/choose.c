/* choose: branches of which both ways are recorded (graph.h).  What differs behind one is x where its condition
   holds, else y: WHEN(c, x) + UNLESS(c, y), each of which is 0 where the other counts, whatever NaN the way that
   is not gone would give.  Of a density there only its parameters can do harm, for outside of their domain the
   whole point is: they become 1 where the way is not gone (OR_ONE), if they are not sure to be inside. */
#include "graph/level.h"
#include "graph/record.h"
#include <math.h>

bool graph_branched(graph *g, norn_datum condition, norn_span span)
{
  for (size_t i = g->nbranch; i > 0 && i + 16 > g->nbranch; i--)         /* of a loop's last turns */
    if (g->branch[i - 1].condition == graph_index(condition)) return true;
  if (!graph_room(g, &g->branch, &g->cbranch, g->nbranch + 1, sizeof *g->branch)) return false;
  g->branch[g->nbranch++] = (graph_branch){graph_index(condition), span};
  return true;
}

norn_datum graph_truth(graph *g, bool negated, norn_datum x)
{
  if (negated && !norn_is_none(x)) x = graph_op2(g, G_UNLESS, x, norn_real(1));
  if (graph_is_node(x)) x.tag |= NODE_TRUTH;
  return x;
}

norn_datum graph_here(graph *g, graph_way *w)
{
  if (!graph_is_node(w->here)) {
    norn_datum up = w->up ? graph_here(g, w->up) : norn_real(1);
    if (norn_is_none(up)) return up;
    w->here = !w->up && !w->negated ? w->c : graph_op2(g, w->negated ? G_UNLESS : G_WHEN, w->c, up);
  }
  return w->here;
}

static bool is_truth(norn_datum x) { return x.tag == NORN_BOOL || (graph_is_node(x) && x.tag & NODE_TRUTH); }
static bool is_whole(norn_datum x) { return x.tag == NORN_INT || (graph_is_node(x) && x.tag & NODE_WHOLE); }
static bool is_zero(norn_datum x)
{
  return !graph_is_node(x) && (x.tag == NORN_REAL ? x.d == 0 : x.i == 0);
}

norn_datum graph_choose(graph *g, norn_datum c, norn_datum x, norn_datum y)
{
  bool truth = is_truth(x), whole = is_whole(x) && is_whole(y);
  norn_datum a = norn_real(0), b = a;
  if (truth != is_truth(y)) return norn_none();
  if (x.tag == NORN_BOOL && y.tag == NORN_BOOL) return x.i == y.i ? x : graph_truth(g, !x.i, c);
  if (!is_zero(x)) a = graph_op2(g, G_WHEN, c, x);
  if (!is_zero(y)) b = graph_op2(g, G_UNLESS, c, y);
  if (norn_is_none(a) || norn_is_none(b)) return norn_none();
  a = graph_op2(g, G_ADD, a, b);
  if (graph_is_node(a)) a.tag |= truth ? NODE_TRUTH : whole ? NODE_WHOLE : 0u;
  return a;
}

/* What is known of a node wherever the inputs are, but for overflows; PART: it is between 0 and 1. */
enum { FINITE = 1, POSITIVE = 2, PART = 4 };

static unsigned sure_of(const graph *g, uint32_t i, int depth)
{
  const graph_node *k = &g->node[i];
  const uint32_t *arg = g->arg + k->args;
  double v = g->value[i];
  if (k->op == G_INPUT) return FINITE;
  if (k->op == G_CONST) return !(fabs(v) < HUGE_VAL) ? 0 : v > 0 ? FINITE | POSITIVE : FINITE;
  if (k->op == G_DENSITY || k->op == G_PART || depth == 0) return 0;
  unsigned a = sure_of(g, arg[0], depth - 1), b = k->nargs > 1 ? sure_of(g, arg[1], depth - 1) : a;
  unsigned finite = a & b & FINITE, both = a & b & (FINITE | POSITIVE);
  switch (k->op) {
  case G_ADD: case G_MUL: case G_MIN: return both;
  case G_MAX: return finite | ((a | b) & POSITIVE);
  case G_SUB: case G_NEG: case G_SQUARE: case G_ABS: case G_EXPM1: case G_LOGIT_JACOBIAN: case G_LOG_ADD_EXP:
  case G_LT: case G_LE: case G_EQ:
    return finite;
  case G_WHEN: case G_UNLESS: return b & FINITE;
  case G_OR_ONE: return b & (FINITE | POSITIVE);
  case G_EXP: case G_LOG1P_EXP: return finite ? FINITE | POSITIVE : 0;
  case G_INV_LOGIT: return finite ? FINITE | POSITIVE | PART : 0;
  case G_SQRT: case G_INV: return both & POSITIVE ? both : 0;
  case G_DIV: return b & POSITIVE ? both : 0;
  default: return 0;
  }
}

/* What its domain is, check1 says of some numbers. */
bool graph_sure(const graph *g, const norn_dist_row *row, int n, int i, uint32_t k)
{
  enum { DEPTH = 8, BELOW_ONE = 3 << 3, ABOVE = 15 << 3 };
  static const double tries[] = {-1e3, -0.5, 0, 1e-3, 0.5, 7.25, 1e3};
  double q[NORN_DIST_P];
  unsigned sure = sure_of(g, k, DEPTH), outside = 0;
  int which;
  if (!(sure & FINITE)) return false;
  for (int j = 0; j < n; j++) q[j] = 1;
  for (int t = 0; t < 7; t++) {
    q[i] = tries[t];
    outside |= (unsigned)(row->check1(q, &which) != NULL) << t;
  }
  return !outside || (sure & POSITIVE && !(outside & ABOVE)) || (sure & PART && !(outside & BELOW_ONE));
}
