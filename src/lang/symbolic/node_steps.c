/* node_steps: what goes in steps, while a graph is recorded: rounding, remainders, places. A
   result that is a whole number is that number, with guards that say for which values it is so; its
   derivative is 0, and where a guard breaks the program is recorded again.  Sorting moves numbers
   about: it is a call of the graph, which remembers the last order for its adjoint. */
#include "lang/symbolic/node.h"
#include "lang/value/arith_in.h"
#include "lang/state.h"
#include "graph/graph.h"
#include "num/interp.h"
#include <math.h>
#include <string.h>

static double value_of(val x) { return V_IS_INT(x) ? (double)x.i : x.d; }
static bool is_number(val x) { return V_IS_INT(x) || V_IS_REAL(x) || v_is_node(x); }

/* ---- rounding
   ---------------------------------------------------------------------------------- */

static val whole(double y) { return fabs(y) < 0x1p53 ? norn_int((int64_t)y) : norn_real(y); }

/* Guards low < x (or low <= x) and x < high (or x <= high). */
static void between(norn_state *st, val x, double low, bool with_low, double high, bool with_high)
{
  graph_compare(st->graph, with_low ? GUARD_LE : GUARD_LT, norn_real(low), x);
  graph_compare(st->graph, with_high ? GUARD_LE : GUARD_LT, x, norn_real(high));
}

static val floor_of(norn_state *st, val x)
{
  double k = floor(value_of(x));
  if (v_is_node(x) && fabs(k) < HUGE_VAL) between(st, x, k, true, k + 1, false);
  return whole(k);
}

static val ceil_of(norn_state *st, val x)
{
  double k = ceil(value_of(x));
  if (v_is_node(x) && fabs(k) < HUGE_VAL) between(st, x, k - 1, false, k, true);
  return whole(k);
}

static val trunc_of(norn_state *st, val x)
{
  double k = trunc(value_of(x));
  if (v_is_node(x) && fabs(k) < HUGE_VAL)
    between(st, x, k > 0 ? k : k - 1, k > 0, k < 0 ? k : k + 1, k < 0);
  return whole(k);
}

/* Halves go away from 0. */
static val round_of(norn_state *st, val x)
{
  double k = round(value_of(x));
  if (v_is_node(x) && fabs(k) < HUGE_VAL) between(st, x, k - 0.5, k > 0, k + 0.5, k < 0);
  return whole(k);
}

static val sign_of(norn_state *st, val x)
{
  if (V_IS_INT(x)) return norn_int((x.i > 0) - (x.i < 0));
  if (!v_is_node(x)) return norn_real(x.d > 0 ? 1 : x.d < 0 ? -1 : x.d);
  if (graph_compare(st->graph, GUARD_LT, norn_real(0), x)) return norn_real(1);
  return norn_real(graph_compare(st->graph, GUARD_LT, x, norn_real(0)) ? -1 : 0);
}

val node_floor(norn_state *st, const val *args, int n)
{
  (void)n;
  return node_each(st, args[0], floor_of);
}
val node_ceil(norn_state *st, const val *args, int n)
{
  (void)n;
  return node_each(st, args[0], ceil_of);
}
val node_trunc(norn_state *st, const val *args, int n)
{
  (void)n;
  return node_each(st, args[0], trunc_of);
}
val node_sign(norn_state *st, const val *args, int n)
{
  (void)n;
  return node_each(st, args[0], sign_of);
}
val node_round(norn_state *st, const val *args, int n)
{
  bool digits = n > 1 && args[1].tag != NORN_NONE && args[1].tag != NORN_MISSING;
  return digits ? norn_none() : node_each(st, args[0], round_of);
}

val node_remainder(norn_state *st, arith op, val x, val y)
{
  graph *g = st->graph;
  if (!v_is_node(y) && value_of(y) == 0) return arith_zero(st, op);
  val q = graph_op2(g, G_DIV, x, y);
  if (norn_is_none(q)) return q;
  double k = floor(q.d);
  if (!(fabs(k) < HUGE_VAL)) return q;           /* not finite: the point is outside */
  between(st, q, k, true, k + 1, false);
  return op == A_IDIV ? norn_real(k) : graph_op2(g, G_SUB, x, graph_op2(g, G_MUL, y, norn_real(k)));
}

/* ---- orders
   ------------------------------------------------------------------------------------ */

/* The places of x (n) in rising order, stable, by insertion of halves; work (n). */
static void merge_places(const double *x, uint32_t *place, uint32_t *work, int64_t n)
{
  if (n < 2) return;
  int64_t half = n / 2, i = 0, j = half, k = 0;
  merge_places(x, place, work, half);
  merge_places(x, place + half, work, n - half);
  memcpy(work, place, (size_t)n * sizeof *work);
  while (i < half && j < n) place[k++] = x[work[j]] < x[work[i]] ? work[j++] : work[i++];
  while (i < half) place[k++] = work[i++];
  while (j < n) place[k++] = work[j++];
}

/* place: (n), and as many for work */
typedef struct sorting { int64_t n; bool falling; uint32_t place[]; } sorting;

static size_t sorting_size(int64_t n)
{
  return sizeof(sorting) + (size_t)(2 * n) * sizeof(uint32_t);
}

static bool sort_forward(void *self, const double *in, double *out)
{
  sorting *s = self;
  for (int64_t i = 0; i < s->n; i++) {
    if (in[i] != in[i]) return false;
    s->place[i] = (uint32_t)i;
  }
  merge_places(in, s->place, s->place + s->n, s->n);
  for (int64_t i = 0; i < s->n; i++) out[s->falling ? s->n - 1 - i : i] = in[s->place[i]];
  return true;
}

static void sort_adjoint(void *self, const double *in, const double *out, const double *gout,
                         double *gin)
{
  sorting *s = self;
  (void)in, (void)out;
  for (int64_t i = 0; i < s->n; i++) gin[s->place[i]] += gout[s->falling ? s->n - 1 - i : i];
}

static void sort_free(norn_state *st, void *self)
{
  norn_alloc(st, self, sorting_size(((sorting *)self)->n), 0);
}

static const graph_call sort_call = {"sort", sort_forward, sort_adjoint, sort_free,
                                     .uses_state = false, .total = true};

/* The numbers of a flat array, in a new one; false: it is something else, or no memory. */
static bool numbers(norn_state *st, val a, int64_t *n, val **x)
{
  *n = norn_array_length(a);
  vec *z = *n > 0 ? vec_new(st, NORN_VALUES, 1, n) : NULL;
  if (!z) return false;
  *x = z->b->v;
  for (int64_t i = 0; i < *n; i++)
    if (!is_number((*x)[i] = vec_at(st, v_vec(a), i))) return false;
  return true;
}

static sorting *sorting_new(norn_state *st, const val *x, int64_t n, bool falling, double *out)
{
  double *in;
  sorting *s = norn_alloc(st, NULL, 0, sorting_size(n));
  if (!s || norn_is_none(norn_array(st, NORN_F64, 1, &n, (void **)&in))) {
    norn_alloc(st, s, s ? sorting_size(n) : 0, 0);
    return state_memory(st), NULL;
  }
  *s = (sorting){.n = n, .falling = falling};
  for (int64_t i = 0; i < n; i++) in[i] = value_of(x[i]);
  if (sort_forward(s, in, out)) return s;
  sort_free(st, s);
  return NULL;
}

static bool is_falling(const val *args, int n) { return n > 1 && V_IS_BOOL(args[1]) && args[1].i; }

val node_sort(norn_state *st, const val *args, int nargs)
{
  int64_t n;
  val *x;
  double *out;
  if (!numbers(st, args[0], &n, &x)) return norn_none();
  if (norn_is_none(norn_array(st, NORN_F64, 1, &n, (void **)&out))) return norn_none();
  sorting *s = sorting_new(st, x, n, is_falling(args, nargs), out);
  vec *z = s ? vec_new(st, NORN_VALUES, 1, &n) : NULL;
  if (!s) return norn_none();
  if (!z) return sort_free(st, s), norn_none();
  if (!graph_called_new(st->graph, &sort_call, s, x, (uint32_t)n, out, z->b->v, (uint32_t)n))
    return norn_none();
  return v_obj(NORN_ARRAY, z);
}

/* The places in rising order, which guards between neighbours keep. */
val node_order(norn_state *st, const val *args, int nargs)
{
  int64_t n, *to;
  val *x;
  double *out;
  if (!numbers(st, args[0], &n, &x)) return norn_none();
  val a = norn_array(st, NORN_I64, 1, &n, (void **)&to);
  if (norn_is_none(a) || norn_is_none(norn_array(st, NORN_F64, 1, &n, (void **)&out)))
    return norn_none();
  bool falling = is_falling(args, nargs);
  sorting *s = sorting_new(st, x, n, falling, out);
  if (!s) return norn_none();
  for (int64_t i = 0; i < n; i++) to[falling ? n - 1 - i : i] = s->place[i];
  for (int64_t i = 0; i + 1 < n; i++)
    graph_compare(st->graph, GUARD_LE, x[s->place[i]], x[s->place[i + 1]]);
  sort_free(st, s);
  return a;
}

/* The first place of the least (greatest). */
static val extreme(norn_state *st, val a, bool greatest)
{
  int64_t n, at = 0;
  val *x;
  if (!numbers(st, a, &n, &x)) return norn_none();
  for (int64_t i = 1; i < n; i++)
    if (greatest ? value_of(x[i]) > value_of(x[at]) : value_of(x[i]) < value_of(x[at])) at = i;
  for (int64_t i = 0; i < n; i++)
    if (i != at)
      graph_compare(st->graph, GUARD_LE, x[greatest ? i : at], x[greatest ? at : i]);
  return norn_int(at);
}
val node_argmin(norn_state *st, const val *args, int n)
{
  (void)n;
  return extreme(st, args[0], false);
}
val node_argmax(norn_state *st, const val *args, int n)
{
  (void)n;
  return extreme(st, args[0], true);
}

val node_median(norn_state *st, const val *args, int nargs)
{
  val s = node_sort(st, args, 1);
  (void)nargs;
  if (norn_is_none(s)) return s;
  int64_t n = norn_array_length(s);
  val a = vec_at(st, v_vec(s), (n - 1) / 2), b = vec_at(st, v_vec(s), n / 2);
  if (n % 2) return a;
  val sum = graph_op2(st->graph, G_ADD, a, b);
  return norn_is_none(sum) ? sum : graph_op2(st->graph, G_MUL, sum, norn_real(0.5));
}

/* ---- spread
   ------------------------------------------------------------------------------------ */

/* sum (x - mean)^2 / (n - 1) */
val node_variance(norn_state *st, const val *args, int nargs)
{
  int64_t n;
  val *x, total, mean;
  (void)nargs;
  if (!numbers(st, args[0], &n, &x) || n < 2) return norn_none();
  total = graph_sum(st->graph, x, n);
  mean = norn_is_none(total) ? total : graph_op2(st->graph, G_DIV, total, norn_real((double)n));
  for (int64_t i = 0; i < n && !norn_is_none(mean); i++) {
    val d = graph_op2(st->graph, G_SUB, x[i], mean);
    x[i] = norn_is_none(d) ? d : graph_op1(st->graph, G_SQUARE, d);
    if (norn_is_none(x[i])) return x[i];
  }
  if (norn_is_none(mean)) return mean;
  total = graph_sum(st->graph, x, n);
  if (norn_is_none(total)) return total;
  return graph_op2(st->graph, G_DIV, total, norn_real((double)(n - 1)));
}

val node_sd(norn_state *st, const val *args, int n)
{
  val v = node_variance(st, args, n);
  return norn_is_none(v) ? v : graph_op1(st->graph, G_SQRT, v);
}

/* ---- a polygon at x: inputs x and the n values; the abscissae are numbers -------------------- */

typedef struct polygon { int64_t n; double x[]; } polygon;
static size_t polygon_size(int64_t n) { return sizeof(polygon) + (size_t)n * sizeof(double); }

static bool polygon_forward(void *self, const double *in, double *out)
{
  const polygon *p = self;
  *out = interp_linear(p->x, in + 1, p->n, *in);
  return *out == *out;
}

static void polygon_adjoint(void *self, const double *in, const double *out, const double *gout,
                            double *gin)
{
  const polygon *p = self;
  (void)out;
  int64_t i = interp_place(p->x, p->n, *in, true) - 1;
  if (i < 0 || i >= p->n - 1) {
    gin[1 + (i < 0 ? 0 : p->n - 1)] += *gout;
    return;
  }
  double width = p->x[i + 1] - p->x[i], w = (*in - p->x[i]) / width;
  gin[0] += *gout * (in[2 + i] - in[1 + i]) / width;
  gin[1 + i] += *gout * (1 - w);
  gin[2 + i] += *gout * w;
}

static void polygon_free(norn_state *st, void *self)
{
  norn_alloc(st, self, polygon_size(((polygon *)self)->n), 0);
}

static const graph_call polygon_call = {"interp", polygon_forward, polygon_adjoint, polygon_free,
                                        .uses_state = false};

/* in (1 + n): room for x before the values, numbers or nodes. */
static val polygon_at(norn_state *st, val x, const double *xs, val *in, int64_t n)
{
  val out;
  double *v, y;
  int64_t m = n + 1;
  polygon *p = norn_alloc(st, NULL, 0, polygon_size(n));
  if (!p || norn_is_none(norn_array(st, NORN_F64, 1, &m, (void **)&v))) {
    norn_alloc(st, p, p ? polygon_size(n) : 0, 0);
    return state_memory(st);
  }
  p->n = n;
  memcpy(p->x, xs, (size_t)n * sizeof *xs);
  in[0] = x;
  for (int64_t i = 0; i < m; i++) v[i] = value_of(in[i]);
  polygon_forward(p, v, &y);
  return graph_called_new(st->graph, &polygon_call, p, in, (uint32_t)m, &y, &out, 1) ? out
                                                                                     : norn_none();
}

/* What interp checks is left to it: NONE for what it would not take. */
val node_interp(norn_state *st, const val *args, int nargs)
{
  int64_t n, m, k = norn_array_length(args[0]);
  val *xs, *ys, *in;
  double *x;
  if (nargs != 3 || !numbers(st, args[1], &n, &xs) || !numbers(st, args[2], &m, &ys) || n != m)
    return norn_none();
  m = n + 1;
  if (norn_is_none(norn_array(st, NORN_F64, 1, &n, (void **)&x)) ||
      norn_is_none(norn_array(st, NORN_VALUES, 1, &m, (void **)&in))) return norn_none();
  for (int64_t i = 0; i < n; i++) {
    in[1 + i] = ys[i];
    x[i] = value_of(xs[i]);
    if (v_is_node(xs[i]) || (i && !(x[i] > x[i - 1]))) return norn_none();
  }
  if (k < 0) return is_number(args[0]) ? polygon_at(st, args[0], x, in, n) : norn_none();
  vec *z = k > 0 ? vec_new(st, NORN_VALUES, 1, &k) : NULL;
  if (!z) return k == 0 ? args[0] : norn_none();
  for (int64_t i = 0; i < k; i++) {
    val at = vec_at(st, v_vec(args[0]), i);
    z->b->v[i] = is_number(at) ? polygon_at(st, at, x, in, n) : norn_none();
    if (norn_is_none(z->b->v[i])) return norn_none();
  }
  return v_obj(NORN_ARRAY, z);
}
