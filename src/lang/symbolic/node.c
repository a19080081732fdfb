/* node.c: values that are being recorded (graph.h), as the language meets them: arithmetic and real
   functions of nodes, branches on them, and the natives that can be recorded.  All of it is off the
   fast paths: a node is neither an integer nor a real. */
#include "lang/symbolic/branch.h"
#include "lang/symbolic/latent.h"
#include "lang/value/arith_in.h"
#include "lang/run.h"
#include "lang/state.h"
#include "graph/calls.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void norn_graph_attach(norn_state *st, struct graph *g) { st->graph = g; }
bool norn_recording(norn_state *st) { return st->graph != NULL; }

static bool is_number(val x) { return V_IS_INT(x) || V_IS_REAL(x) || graph_is_node(x); }

static val out_of_memory(norn_state *st)
{
  return st->err.code ? norn_none() : state_memory(st);
}

static val given(norn_state *st, val x) { return norn_is_none(x) ? out_of_memory(st) : x; }

/* ---- arithmetic ---- */

static val no_derivative(norn_state *st, const char *what)
{
  norn_fail(st, NORN_EINFER, -1, "%s can't be recorded for a gradient", what);
  norn_hint(st, "its argument depends on a choice: smc(), mh() and importance() run such programs");
  return norn_none();
}

/* What a sum or product of x and y is: whole, if they are. */
static val whole_too(val x, val y, val z)
{
  bool whole = (V_IS_INT(x) || x.tag & NODE_WHOLE) && (V_IS_INT(y) || y.tag & NODE_WHOLE);
  if (whole && v_is_node(z)) z.tag |= NODE_WHOLE;
  return z;
}

val node_arith(norn_state *st, arith op, val x, val y)
{
  static const graph_op ops[] = {[A_ADD] = G_ADD, [A_SUB] = G_SUB, [A_MUL] = G_MUL,
                                 [A_DIV] = G_DIV, [A_POW] = G_POW};
  graph *g = st->graph;
  val v;
  switch (op) {
  case A_NEG: return whole_too(x, x, given(st, graph_op1(g, G_NEG, x)));
  case A_NOT: return v_is_truth(x) ? given(st, graph_truth(g, true, x)) : arith_refuse(st, op, x, x);
  default: break;
  }
  if (op >= A_LT && op <= A_NE) {
    v = branch_value(st, op, x, y);
    if (!norn_is_none(v) || st->err.code) return v;
  }
  if ((v_is_truth(x) && V_IS_BOOL(y)) || (v_is_truth(y) && V_IS_BOOL(x))) {
    x = V_IS_BOOL(x) ? norn_int(x.i) : x;
    y = V_IS_BOOL(y) ? norn_int(y.i) : y;
  }
  if (!is_number(x) || !is_number(y)) {
    if (op == A_EQ || op == A_NE) return norn_bool(op == A_NE);
    return arith_refuse(st, op, x, y);
  }
  if (st->current && op >= A_LT && op <= A_NE) g->place = run_place(st->current);
  switch (op) {
  case A_LT: return norn_bool(graph_compare(g, GUARD_LT, x, y));
  case A_LE: return norn_bool(graph_compare(g, GUARD_LE, x, y));
  case A_EQ: case A_NE: return norn_bool(graph_compare(g, GUARD_EQ, x, y) == (op == A_EQ));
  case A_IDIV: case A_MOD: return given(st, node_remainder(st, op, x, y));
  default: break;
  }
  if (v_is_truth(x) || v_is_truth(y)) return arith_refuse(st, op, x, y);
  v = given(st, graph_op2(g, ops[op], x, y));
  return op == A_DIV || op == A_POW ? v : whole_too(x, y, v);
}

val node_must(norn_state *st, val x) { return given(st, graph_op2(st->graph, G_UNLESS, x, norn_real(-HUGE_VAL))); }

bool node_equals(norn_state *st, val x, int64_t k)
{
  if (!st->graph) return false;
  st->graph->place = (norn_span){0, 0, 0};
  return graph_compare(st->graph, GUARD_EQ, x, norn_int(k));
}

/* ---- foreign functions with a declared derivative ---- */

/* A call of numbers; the derivative is a Norn function of the same arguments that gives the partial
   derivative, or an array of those in the real arguments. */
enum { FOREIGN_ARGS = 8 };
typedef struct foreign_fun {
  norn_state *st;
  const norn_native *f;
  norn_ref *slope;
  int n;
  val args[FOREIGN_ARGS];                /* whole numbers stay what they were */
} foreign_fun;

static void foreign_args(const foreign_fun *k, const double *in, val *args)
{
  for (int i = 0; i < k->n; i++) args[i] = V_IS_INT(k->args[i]) ? k->args[i] : norn_real(in[i]);
}

static bool foreign_value(foreign_fun *k, const val *args, double *out)
{
  val v = norn_none();
  if (k->f->real1) {
    double x = 0;
    norn_as_real(args[0], &x);
    *out = k->f->real1(x);
    return true;
  }
  size_t lent = k->st->nscratch;
  bool good = !k->f->f(k->st, args, k->n, &v) && norn_as_real(v, out);
  state_scratch_free(k->st, lent);
  return good;
}

static bool foreign_forward(void *self, const double *in, double *out)
{
  val args[FOREIGN_ARGS];
  foreign_args(self, in, args);
  if (foreign_value(self, args, out)) return *out == *out;
  norn_clear(((foreign_fun *)self)->st);
  return false;
}

static void foreign_adjoint(void *self, const double *in, const double *out, const double *gout,
                            double *gin)
{
  foreign_fun *k = self;
  val args[FOREIGN_ARGS], slope;
  (void)out;
  foreign_args(k, in, args);
  bool good = !norn_call(k->st, norn_get(k->slope), args, k->n, &slope);
  int64_t m = good ? norn_array_length(slope) : 0, at = 0;
  if (!good) norn_clear(k->st);
  for (int i = 0; i < k->n; i++) {
    bool real = m == k->n || !V_IS_INT(k->args[i]);
    if (real) gin[i] += gout[0] * (good ? norn_elem_real(slope, m < 0 ? 0 : at++) : (double)NAN);
  }
}

static void foreign_free(norn_state *st, void *self)
{
  norn_drop(((foreign_fun *)self)->slope);
  norn_alloc(st, self, sizeof(foreign_fun), 0);
}

static const graph_call foreign_call = {"foreign function", foreign_forward, foreign_adjoint,
                                        foreign_free, .uses_state = true};

/* NONE without an error: f has no derivative, or these are not numbers. */
static val foreign_record(norn_state *st, const norn_native *f, const val *args, int n)
{
  val slope = norn_foreign_derivative(st, v_obj(NORN_NATIVE, f)), out;
  double in[FOREIGN_ARGS], value;
  if (norn_is_none(slope) || n < 1 || n > FOREIGN_ARGS) return norn_none();
  for (int i = 0; i < n; i++)
    if (!is_number(args[i])) return norn_none();
  foreign_fun *k = norn_alloc(st, NULL, 0, sizeof *k);
  if (!k) return state_memory(st);
  *k = (foreign_fun){.st = st, .f = f, .slope = norn_keep(st, slope), .n = n};
  for (int i = 0; i < n; i++) {
    k->args[i] = args[i];
    in[i] = V_IS_INT(args[i]) ? (double)args[i].i : args[i].d;
  }
  val now[FOREIGN_ARGS];
  foreign_args(k, in, now);
  if (!k->slope || !foreign_value(k, now, &value)) {
    if (k->slope) norn_drop(k->slope);
    norn_alloc(st, k, sizeof *k, 0);
    return norn_none();
  }
  return graph_called_new(st->graph, &foreign_call, k, args, (uint32_t)n, &value, &out, 1)
             ? out : norn_none();
}

val node_map1(norn_state *st, const norn_native *f, val x)
{
  val v = graph_math(st->graph, f->name, f->real1, x);
  if (norn_is_none(v) && !st->err.code) v = foreign_record(st, f, &x, 1);
  return norn_is_none(v) && !st->err.code ? no_derivative(st, f->name) : v;
}

/* ---- values that hold nodes ---- */

static bool node_leaf(val x) { return graph_is_node(x); }
bool norn_has_node(norn_datum x) { return latent_holds(x, node_leaf, 0); }

/* The numbers behind the nodes of a distribution's arguments. */
static val concrete_dist(norn_state *st, val x)
{
  const tab *t = x.q;
  tab *c = heap_alloc(st, sizeof *c + t->h.n * sizeof(val));
  if (!c) return norn_none();
  obj_init(c, NORN_DIST, t->h.aux, t->h.n);
  c->row = t->row;
  for (uint32_t i = 0; i < t->h.n; i++) c->a[i] = norn_unit();
  for (uint32_t i = 0; i < t->h.n; i++)
    if (norn_is_none(c->a[i] = norn_concrete(st, t->a[i])) && !norn_is_none(t->a[i]))
      return norn_none();
  return v_obj(NORN_DIST, c);
}

static val concrete_record(norn_state *st, val x)
{
  rec *from = v_rec(x), *to = heap_alloc(st, sizeof *to + from->sh->n * sizeof(val));
  if (!to) return norn_none();
  obj_init(to, NORN_RECORD, from->h.aux, from->h.n);
  to->sh = from->sh;
  for (uint32_t i = 0; i < from->sh->n; i++) to->f[i] = norn_unit();
  for (uint32_t i = 0; i < from->sh->n; i++)
    if (norn_is_none(to->f[i] = norn_concrete(st, from->f[i]))) return norn_none();
  return v_obj(NORN_RECORD, to);
}

norn_datum norn_concrete(norn_state *st, norn_datum x)
{
  norn_view v;
  if (graph_is_node(x)) return norn_real(x.d);
  if (!norn_has_node(x)) return x;
  if (x.tag == NORN_DIST) return concrete_dist(st, x);
  if (x.tag == NORN_RECORD) return concrete_record(st, x);
  if (!norn_array_view(x, &v)) return x;
  int64_t n = v.dims[0];
  vec *z = vec_new(st, NORN_VALUES, 1, &n);
  for (int64_t i = 0; z && i < n; i++) {
    val e = norn_concrete(st, vec_at(st, v_vec(x), i));
    if (norn_is_none(e)) return e;
    z->b->v[i] = e;
  }
  return z ? vec_pack(st, z->b->v, n) : norn_none();
}

/* ---- natives ---- */

/* Element k of an array of any packing. */
static val element(norn_state *st, val a, int64_t k) { return vec_at(st, v_vec(a), k); }

static val add(norn_state *st, val x, val y) { return arith_slow(st, A_ADD, x, y); }
static val multiply(norn_state *st, val x, val y) { return arith_slow(st, A_MUL, x, y); }

static val n_sum(norn_state *st, const val *args, int n)
{
  norn_view v;
  (void)n;
  if (!norn_array_view(args[0], &v)) return norn_none();
  bool flat = v.rank == 1 && v.elem == NORN_VALUES;
  for (int64_t i = 0; flat && i < v.n; i++) flat = is_number(v.v[i]);
  if (flat) return given(st, graph_sum(st->graph, v.v, v.n));
  val s = norn_int(0);
  for (int64_t i = 0; i < v.dims[0] && !norn_is_none(s); i++) {
    val e = element(st, args[0], i);
    s = i ? add(st, s, e) : e;
  }
  return s;
}

static val n_mean(norn_state *st, const val *args, int n)
{
  val s = n_sum(st, args, n);
  if (norn_is_none(s)) return s;
  return arith_slow(st, A_DIV, s, norn_real((double)norn_array_length(args[0])));
}

static val n_prod(norn_state *st, const val *args, int n)
{
  val s = norn_int(1);
  (void)n;
  for (int64_t i = 0; i < norn_array_length(args[0]) && !norn_is_none(s); i++)
    s = multiply(st, s, element(st, args[0], i));
  return s;
}

/* Running sums or products. */
static val running(norn_state *st, val a, arith op)
{
  int64_t n = norn_array_length(a);
  vec *z = n > 0 ? vec_new(st, NORN_VALUES, 1, &n) : NULL;
  if (!z) return n == 0 ? a : norn_none();
  for (int64_t i = 0; i < n; i++) {
    val e = element(st, a, i);
    z->b->v[i] = i ? arith_slow(st, op, z->b->v[i - 1], e) : e;
    if (norn_is_none(z->b->v[i])) return norn_none();
  }
  return v_obj(NORN_ARRAY, z);
}
static val n_cumsum(norn_state *st, const val *args, int n)
{
  (void)n;
  return running(st, args[0], A_ADD);
}
static val n_cumprod(norn_state *st, const val *args, int n)
{
  (void)n;
  return running(st, args[0], A_MUL);
}

static val inner(norn_state *st, val x, val y)
{
  int64_t n = norn_array_length(x);
  if (n != norn_array_length(y)) return norn_none();
  val one[1];
  vec *z = n > 0 ? vec_new(st, NORN_VALUES, 1, &n) : NULL;
  if (!z) return n == 0 ? norn_real(0) : norn_none();
  for (int64_t i = 0; i < n; i++) {
    z->b->v[i] = multiply(st, element(st, x, i), element(st, y, i));
    if (norn_is_none(z->b->v[i])) return norn_none();
  }
  one[0] = v_obj(NORN_ARRAY, z);
  return n_sum(st, one, 1);
}
static val n_dot(norn_state *st, const val *args, int n)
{
  (void)n;
  return inner(st, args[0], args[1]);
}

/* The numbers of one array, or of several arguments; the last may be the array of a variadic. */
typedef val (*binary)(norn_state *, val, val);
static val reduce(norn_state *st, const val *args, int n, binary f)
{
  val s = norn_none();
  for (int j = 0; j < n; j++) {
    int64_t m = norn_array_length(args[j]);
    for (int64_t i = 0; i < (m < 0 ? 1 : m); i++) {
      val e = m < 0 ? args[j] : element(st, args[j], i);
      if (!is_number(e)) return norn_none();
      s = norn_is_none(s) ? e : f(st, s, e);
      if (norn_is_none(s)) return s;
    }
  }
  return s;
}
static val least(norn_state *st, val x, val y) { return graph_op2(st->graph, G_MIN, x, y); }
static val most(norn_state *st, val x, val y) { return graph_op2(st->graph, G_MAX, x, y); }
static val log_add(norn_state *st, val x, val y)
{
  return graph_op2(st->graph, G_LOG_ADD_EXP, x, y);
}
static val n_min(norn_state *st, const val *args, int n) { return reduce(st, args, n, least); }
static val n_max(norn_state *st, const val *args, int n) { return reduce(st, args, n, most); }
static val n_log_sum_exp(norn_state *st, const val *args, int n)
{
  return reduce(st, args, n, log_add);
}

val node_each(norn_state *st, val x, val (*f)(norn_state *, val))
{
  if (x.tag != NORN_ARRAY) return f(st, x);
  int64_t n = norn_array_length(x);
  vec *z = n > 0 ? vec_new(st, NORN_VALUES, 1, &n) : NULL;
  if (!z) return n == 0 ? x : norn_none();
  for (int64_t i = 0; i < n; i++) {
    z->b->v[i] = node_each(st, element(st, x, i), f);
    if (norn_is_none(z->b->v[i])) return norn_none();
  }
  return vec_pack(st, z->b->v, n);
}
static val abs_of(norn_state *st, val x) { return graph_op1(st->graph, G_ABS, x); }
static val exp_of(norn_state *st, val x) { return graph_op1(st->graph, G_EXP, x); }
static val same(norn_state *st, val x) { (void)st; return V_IS_INT(x) ? norn_real((double)x.i) : x; }
static val n_abs(norn_state *st, const val *args, int n)
{
  (void)n;
  return node_each(st, args[0], abs_of);
}
static val n_real(norn_state *st, const val *args, int n)
{
  (void)n;
  return node_each(st, args[0], same);
}
static val n_pow(norn_state *st, const val *args, int n)
{
  (void)n;
  return arith_slow(st, A_POW, args[0], args[1]);
}
static val n_softmax(norn_state *st, const val *args, int n)
{
  val total = n_log_sum_exp(st, args, n);
  if (norn_is_none(total)) return total;
  val shifted = arith_slow(st, A_SUB, args[0], total);
  return norn_is_none(shifted) ? shifted : node_each(st, shifted, exp_of);
}

static val n_logpdf(norn_state *st, const val *args, int n)
{
  norn_dist d;
  (void)n;
  return norn_dist_view(args[0], &d) ? node_logpdf(st, &d, args[1]) : norn_none();
}
static val n_pdf(norn_state *st, const val *args, int n)
{
  val l = n_logpdf(st, args, n);
  return norn_is_none(l) ? l : graph_op1(st->graph, G_EXP, l);
}

/* The log mass of a distribution of single numbers up to x, or above it. */
static val log_mass(norn_state *st, const val *args, bool above)
{
  norn_dist d, m;
  double x = 0;
  if (!norn_dist_view(args[0], &d) || norn_array_length(args[1]) >= 0) return norn_none();
  val ends[3] = {args[0], norn_missing(), args[1]};
  if (above) {
    bool whole = norn_dist_flags(&d) & NORN_DIST_DISCRETE;
    if (whole && !norn_as_real(args[1], &x)) return norn_none();
    ends[1] = whole ? norn_real(floor(x) + 1) : args[1];
    ends[2] = norn_missing();
  }
  val mass = norn_dist_new(st, graph_mass_row(), ends, 3);
  return norn_dist_view(mass, &m) ? node_logpdf(st, &m, norn_real(0)) : norn_none();
}
static val n_log_cdf(norn_state *st, const val *args, int n) { return (void)n, log_mass(st, args, false); }
static val n_log_ccdf(norn_state *st, const val *args, int n) { return (void)n, log_mass(st, args, true); }
static val n_cdf(norn_state *st, const val *args, int n)
{
  val l = n_log_cdf(st, args, n);
  return norn_is_none(l) ? l : graph_op1(st->graph, G_EXP, l);
}

typedef struct recorder { const char *name; val (*f)(norn_state *, const val *args, int n); } recorder;
static const recorder recorders[] = {
  {"sum", n_sum}, {"mean", n_mean}, {"prod", n_prod}, {"cumsum", n_cumsum},
  {"cumprod", n_cumprod}, {"dot", n_dot}, {"min", n_min}, {"max", n_max},
  {"log_sum_exp", n_log_sum_exp}, {"abs", n_abs}, {"real", n_real}, {"pow", n_pow},
  {"softmax", n_softmax}, {"logpdf", n_logpdf}, {"pdf", n_pdf},
  {"log_cdf", n_log_cdf}, {"log_ccdf", n_log_ccdf}, {"cdf", n_cdf},
  {"floor", node_floor}, {"ceil", node_ceil}, {"trunc", node_trunc}, {"round", node_round},
  {"sign", node_sign}, {"sort", node_sort}, {"order", node_order}, {"argmin", node_argmin},
  {"argmax", node_argmax}, {"median", node_median}, {"variance", node_variance},
  {"var", node_variance}, {"sd", node_sd}, {"interp", node_interp},
};
/* Natives that move values about without looking at them. */
static const char *const movers[] = {
  "len", "full", "shape", "reshape", "flatten", "concat", "repeat", "slice", "take", "drop",
  "first", "last", "reverse", "push", "set_at", "diag", "indexed", "keys", "field", "has_field",
  "merge", "record_of", "put", "get", "has", "remove", "size", "values", "pairs", "from", "print",
  "type_of", "is_missing", "is_posterior", "@defdist", "interval", "rbf", "matern12", "matern32",
  "matern52", "periodic", "linear", "kernel_sum", "kernel_product", "ode_rk45", "ode_bdf",
  "integrate", "find_root", "solve_powell", "minimize",
};

/* values, weights and log_weights of a posterior that was enumerated while recording: a distribution of
   values and log probabilities. */
static val n_posterior(norn_state *st, const char *name, const val *args)
{
  norn_dist d;
  if (!norn_dist_view(args[0], &d) || !(d.row->flags & NORN_DIST_POSTERIOR) || d.n != 2) return norn_none();
  if (!strcmp(name, "values")) return d.args[0];
  if (!strcmp(name, "log_weights")) return d.args[1];
  return strcmp(name, "weights") ? norn_none() : node_each(st, d.args[1], exp_of);
}

node_native node_record(norn_state *st, const norn_native *f, const val *args, int n, val *out)
{
  bool any = false;
  *out = norn_none();
  for (int i = 0; i < n && !any; i++) any = norn_has_node(args[i]);
  if (!any) return NODE_CALL;
  if (n == 1 && !norn_is_none(*out = n_posterior(st, f->name, args))) return NODE_DONE;
  for (size_t i = 0; i < sizeof recorders / sizeof *recorders; i++)
    if (!strcmp(recorders[i].name, f->name)) {
      *out = recorders[i].f(st, args, n);
      if (!norn_is_none(*out) || st->err.code) return NODE_DONE;
      no_derivative(st, f->name);
      return NODE_DONE;
    }
  for (size_t i = 0; i < sizeof movers / sizeof *movers; i++)
    if (!strcmp(movers[i], f->name)) return NODE_CALL;
  *out = foreign_record(st, f, args, n);
  if (!norn_is_none(*out) || st->err.code) return NODE_DONE;
  no_derivative(st, f->name);
  return NODE_DONE;
}

/* ---- products of matrices and vectors ---- */

/* A matrix or vector, of numbers or nodes: rank, and rows and columns as `@` sees them. */
typedef struct { val x; int rank; int64_t rows, cols; } factor;
static bool factor_of(norn_state *st, val x, factor *f)
{
  f->x = x;
  f->rank = 1;
  f->rows = norn_array_length(x);
  f->cols = 1;
  if (f->rows < 0) return false;
  val first = f->rows ? element(st, x, 0) : norn_unit();
  if (first.tag != NORN_ARRAY) return true;
  f->rank = 2;
  f->cols = norn_array_length(first);
  for (int64_t i = 0; i < f->rows; i++)
    if (norn_array_length(element(st, x, i)) != f->cols) return false;
  return true;
}

static val entry(norn_state *st, const factor *f, int64_t i, int64_t j)
{
  val r = element(st, f->x, i);
  return f->rank == 2 ? element(st, r, j) : r;
}

/* Column j of the second factor as a vector. */
static val column(norn_state *st, const factor *f, int64_t j)
{
  int64_t n = f->rows;
  vec *z = vec_new(st, NORN_VALUES, 1, &n);
  for (int64_t i = 0; z && i < n; i++) z->b->v[i] = entry(st, f, i, j);
  return z ? vec_pack(st, z->b->v, n) : norn_none();
}

static val product_row(norn_state *st, val row, const factor *b)
{
  if (b->rank == 1) return inner(st, row, b->x);
  int64_t n = b->cols;
  vec *z = vec_new(st, NORN_VALUES, 1, &n);
  for (int64_t j = 0; z && j < n; j++) {
    val c = column(st, b, j);
    if (norn_is_none(c)) return c;
    z->b->v[j] = inner(st, row, c);
    if (norn_is_none(z->b->v[j])) return norn_none();
  }
  return z ? v_obj(NORN_ARRAY, z) : norn_none();
}

static val misfit(norn_state *st, const factor *a, const factor *b)
{
  char s[2][60];
  const factor *f[] = {a, b};
  for (int i = 0; i < 2; i++)
    if (f[i]->rank == 2) snprintf(s[i], sizeof s[i], "[%lld, %lld]", (long long)f[i]->rows, (long long)f[i]->cols);
    else snprintf(s[i], sizeof s[i], "[%lld]", (long long)f[i]->rows);
  norn_fail(st, NORN_ETYPE, -1, "shapes %s and %s can't be multiplied: the last dimension of the first must be "
            "the first of the second", s[0], s[1]);
  return norn_none();
}

val node_matmul(norn_state *st, val x, val y)
{
  factor a, b;
  if (!factor_of(st, x, &a) || !factor_of(st, y, &b)) {
    norn_fail(st, NORN_ETYPE, -1, "these arrays can't be multiplied: they are no vectors or matrices");
    return norn_none();
  }
  if ((a.rank == 2 ? a.cols : a.rows) != b.rows) return misfit(st, &a, &b);
  if (a.rank == 2 && b.rank == 1 && !norn_has_node(x) && a.cols > 4)
    return node_matvec(st, x, y);
  if (a.rank == 1) return product_row(st, x, &b);
  int64_t n = a.rows;
  vec *z = n > 0 ? vec_new(st, NORN_VALUES, 1, &n) : NULL;
  if (!z) return n == 0 ? x : norn_none();
  for (int64_t i = 0; i < n; i++) {
    z->b->v[i] = product_row(st, element(st, x, i), &b);
    if (norn_is_none(z->b->v[i])) return norn_none();
  }
  return v_obj(NORN_ARRAY, z);
}

val node_matvec(norn_state *st, val x, val y)
{
  norn_view m, v;
  double *values;
  void *at;
  norn_array_view(x, &m);
  int64_t n = m.dims[0];
  norn_array_view(y, &v);
  norn_datum out = norn_array(st, NORN_VALUES, 1, &n, &at);
  norn_datum scratch = norn_array(st, NORN_F64, 1, &n, (void **)&values);
  if (norn_is_none(out) || norn_is_none(scratch)) return norn_none();
  for (int64_t i = 0; i < n; i++) ((val *)at)[i] = norn_unit();
  if (v.elem != NORN_VALUES || m.rank != 2) return norn_none();
  return graph_matvec(st->graph, &m, v.v, values, at) ? out : out_of_memory(st);
}

/* ---- densities ---- */

val node_logpdf(norn_state *st, const norn_dist *d, val x)
{
  val args[16];
  norn_dist known = {d->row, args, d->n};
  if (st->latent && d->n <= 16) {
    for (int i = 0; i < d->n; i++) args[i] = norn_force(st, d->args[i]);
    return given(st, graph_logpdf(st->graph, &known, norn_force(st, x), false));
  }
  return given(st, graph_logpdf(st->graph, d, x, false));
}
