/* record: nodes as they are made (graph.h).  Equal nodes are one; what depends on no node is a
   number and leaves none. */
#include "graph/level.h"
#include "graph/record.h"
#include <math.h>
#include <string.h>

const char *const graph_op_names[G_COUNT] = {
#define X(name, n) #name,
  GRAPH_OPS(X)
#undef X
};

/* ---- memory ---------------------------------------------------------------------------------- */

bool graph_room(graph *g, void *array, size_t *cap, size_t want, size_t size)
{
  void **p = array;
  if (want <= *cap) return true;
  size_t n = *cap ? 2 * *cap : 64;
  while (n < want) n *= 2;
  void *q = norn_alloc(g->st, *p, *cap * size, n * size);
  if (!q) {
    g->failed = true;
    return norn_fail(g->st, NORN_EMEMORY, -1, "out of memory"), false;
  }
  *p = q;
  *cap = n;
  return true;
}

graph *graph_new(norn_state *st)
{
  graph *g = norn_alloc(st, NULL, 0, sizeof *g);
  if (!g) return norn_fail(st, NORN_EMEMORY, -1, "out of memory"), NULL;
  memset(g, 0, sizeof *g);
  g->st = st;
  return g;
}

void graph_free(graph *g)
{
  if (!g) return;
  norn_state *st = g->st;
  for (size_t i = 0; i < g->ncall; i++)
    if (g->call[i].type->free) g->call[i].type->free(st, g->call[i].self);
  norn_alloc(st, g->node, g->cnode * sizeof *g->node, 0);
  norn_alloc(st, g->value, g->cvalue * sizeof *g->value, 0);
  norn_alloc(st, g->arg, g->carg * sizeof *g->arg, 0);
  norn_alloc(st, g->table, (g->mask ? g->mask + 1 : 0) * sizeof *g->table, 0);
  norn_alloc(st, g->where, g->cwhere * sizeof *g->where, 0);
  norn_alloc(st, g->guard, g->cguard * sizeof *g->guard, 0);
  norn_alloc(st, g->branch, g->cbranch * sizeof *g->branch, 0);
  norn_alloc(st, g->term, g->cterm * sizeof *g->term, 0);
  norn_alloc(st, g->call, g->ccall * sizeof *g->call, 0);
  norn_alloc(st, g, sizeof *g, 0);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static norn_datum node_datum(const graph *g, uint32_t i)
{
  norn_datum v;
  v.tag = NORN_NODE | (uint64_t)i << 32;
  v.d = g->value[i];
  return v;
}

static uint64_t mix(uint64_t h, uint64_t x)
{
  h = (h ^ x) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

static uint64_t node_hash(int op, uint64_t aux, const uint32_t *args, int n)
{
  uint64_t h = mix((uint64_t)op, aux);
  for (int i = 0; i < n; i++) h = mix(h, args[i]);
  return h ^ h >> 32;
}

static bool node_is(const graph *g, uint32_t i, int op, uint64_t aux, const uint32_t *args, int n)
{
  const graph_node *a = &g->node[i];
  return a->op == op && a->aux == aux && a->nargs == n &&
         (n == 0 || !memcmp(g->arg + a->args, args, (size_t)n * sizeof *args));
}

/* A density that is only a term: nobody looks for it. */
static bool is_term(const graph_node *a) { return a->op == G_DENSITY && a->aux & 1; }

/* The table holds index + 1 and is at most half full. */
static bool table_grow(graph *g)
{
  size_t old = g->mask ? g->mask + 1 : 0, n = old ? 2 * old : 1024;
  if (2 * (g->nnode + 1) <= old) return true;
  uint32_t *table = norn_alloc(g->st, NULL, 0, n * sizeof *table);
  if (!table) return g->failed = true, norn_fail(g->st, NORN_EMEMORY, -1, "out of memory"), false;
  memset(table, 0, n * sizeof *table);
  for (size_t i = 0; i < g->nnode; i++) {
    const graph_node *a = &g->node[i];
    if (is_term(a)) continue;
    size_t k = node_hash(a->op, a->aux, g->arg + a->args, a->nargs) & (n - 1);
    while (table[k]) k = (k + 1) & (n - 1);
    table[k] = (uint32_t)i + 1;
  }
  norn_alloc(g->st, g->table, old * sizeof *table, 0);
  g->table = table;
  g->mask = n - 1;
  return true;
}

/* A new node, without looking for an equal one. */
static bool node_add(graph *g, int op, uint64_t aux, const uint32_t *args, int n, double value)
{
  if (g->nnode >= 0x7fffffff)
    return g->failed = true, norn_fail(g->st, NORN_ELIMIT, -1, "the recorded program is too large"),
           false;
  if (!graph_room(g, &g->node, &g->cnode, g->nnode + 1, sizeof *g->node) ||
      !graph_room(g, &g->value, &g->cvalue, g->nnode + 1, sizeof *g->value) ||
      !graph_room(g, &g->arg, &g->carg, g->narg + (size_t)n, sizeof *g->arg))
    return false;
  if (g->traced) {
    if (!graph_room(g, &g->where, &g->cwhere, g->nnode + 1, sizeof *g->where)) return false;
    g->where[g->nnode] = g->now.file ? g->now : norn_here(g->st);
  }
  g->node[g->nnode] = (graph_node){(uint16_t)op, (uint16_t)n, (uint32_t)g->narg, aux};
  g->value[g->nnode] = value;
  if (n) memcpy(g->arg + g->narg, args, (size_t)n * sizeof *args);
  g->narg += (size_t)n;
  g->nnode++;
  return true;
}

/* The node of this operation, which may be there already; UINT32_MAX: no memory. */
static uint32_t node_of(graph *g, int op, uint64_t aux, const uint32_t *args, int n, double value)
{
  if (!table_grow(g)) return UINT32_MAX;
  size_t k = node_hash(op, aux, args, n) & g->mask;
  for (; g->table[k]; k = (k + 1) & g->mask)
    if (node_is(g, g->table[k] - 1, op, aux, args, n)) return g->table[k] - 1;
  if (!node_add(g, op, aux, args, n, value)) return UINT32_MAX;
  g->table[k] = (uint32_t)g->nnode;
  return (uint32_t)g->nnode - 1;
}

static norn_datum made(const graph *g, uint32_t i)
{
  return i == UINT32_MAX ? norn_none() : node_datum(g, i);
}

static uint64_t bits_of(double x)
{
  uint64_t u;
  memcpy(&u, &x, 8);
  return u;
}

static double number_of(norn_datum x)
{
  return x.tag == NORN_INT ? (double)x.i : x.tag == NORN_BOOL ? (double)(x.i != 0) : x.d;
}

/* The index of an operand: a node's own, or that of a constant. */
static uint32_t operand(graph *g, norn_datum x)
{
  if (graph_is_node(x)) return graph_index(x);
  double v = number_of(x);
  return node_of(g, G_CONST, bits_of(v), NULL, 0, v);
}

norn_datum graph_input(graph *g, double value)
{
  return made(g, node_of(g, G_INPUT, g->ninput++, NULL, 0, value));
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

double graph_compute(graph_op op, double x, double y)
{
  double z = (double)NAN;
  exec_one.forward(&(exec_args){.op = (int)op, .n = 1, .x = &x, .y = &y, .out = &z});
  return z;
}

norn_datum graph_op1(graph *g, graph_op op, norn_datum x)
{
  if (!graph_is_node(x)) return norn_real(graph_compute(op, number_of(x), 0));
  uint32_t a = graph_index(x);
  return made(g, node_of(g, op, 0, &a, 1, graph_compute(op, x.d, 0)));
}

/* x + 0, x * 1 and the like are x. */
static bool is_neutral(graph_op op, norn_datum x, norn_datum y)
{
  if (!graph_is_node(x) || graph_is_node(y)) return false;
  double k = number_of(y);
  return (op == G_ADD || op == G_SUB) ? k == 0 : (op == G_MUL || op == G_DIV || op == G_POW) &&
         k == 1;
}

norn_datum graph_op2(graph *g, graph_op op, norn_datum x, norn_datum y)
{
  if (!graph_is_node(x) && !graph_is_node(y))
    return norn_real(graph_compute(op, number_of(x), number_of(y)));
  if (is_neutral(op, x, y)) return x;
  if ((op == G_ADD || op == G_MUL) && is_neutral(op, y, x)) return y;
  if (op == G_POW && !graph_is_node(y) && number_of(y) == 2) return graph_op1(g, G_SQUARE, x);
  if (op == G_MUL && graph_is_node(y) && x.tag == y.tag) return graph_op1(g, G_SQUARE, x);
  uint32_t a[2] = {operand(g, x), operand(g, y)};
  if (a[0] == UINT32_MAX || a[1] == UINT32_MAX) return norn_none();
  return made(g, node_of(g, op, 0, a, 2, graph_compute(op, g->value[a[0]], g->value[a[1]])));
}

/* ---- functions of one number ----------------------------------------------------------------- */

norn_datum graph_math(graph *g, const char *name, double (*f)(double), norn_datum x)
{
  int k = graph_function(name);
  if (!graph_is_node(x)) return norn_real(f(number_of(x)));
  if (k < 0) return norn_none();
  if (graph_functions[k].op != G_FUN1) return graph_op1(g, graph_functions[k].op, x);
  uint32_t a = graph_index(x);
  return made(g, node_of(g, G_FUN1, (uint64_t)k, &a, 1, graph_functions[k].f(x.d)));
}

/* ---- guards, terms --------------------------------------------------------------------------- */

bool graph_compare(graph *g, guard_kind kind, norn_datum x, norn_datum y)
{
  double p = number_of(x), q = number_of(y);
  bool held = kind == GUARD_LT ? p < q : kind == GUARD_LE ? p <= q : p == q;
  uint32_t a = operand(g, x), b = operand(g, y);
  if (a == UINT32_MAX || b == UINT32_MAX) return held;
  for (size_t i = g->nguard; i > 0 && i + 16 > g->nguard; i--) {      /* of a loop's last turn */
    const graph_guard *k = &g->guard[i - 1];
    if (k->a == a && k->b == b && k->kind == kind) return held;
  }
  if (graph_room(g, &g->guard, &g->cguard, g->nguard + 1, sizeof *g->guard))
    g->guard[g->nguard++] = (graph_guard){(uint8_t)kind, held, a, b, g->place};
  return held;
}

bool graph_target(graph *g, norn_datum x, norn_span span)
{
  uint32_t a = operand(g, x);
  if (a == UINT32_MAX || !graph_room(g, &g->term, &g->cterm, g->nterm + 1, sizeof *g->term))
    return false;
  g->term[g->nterm++] = (graph_term){a, span};
  return true;
}

/* Values of discrete families are whole numbers, and so can't be continuous choices (g->whole: the driver
   sees to it). */
static bool value_fits(graph *g, const norn_dist_row *row, norn_datum x, double v)
{
  const char *want = row->flags & NORN_DIST_BOOL ? "true or false" : "an integer";
  bool whole = row->flags & NORN_DIST_DISCRETE;
  if (graph_is_node(x) ? !whole || g->whole : v == (whole ? floor(v) : v)) return true;
  if (v != v)
    norn_fail(g->st, NORN_ETYPE, -1, "a value of %s must be a number, got nan", row->name);
  else if (graph_is_node(x))
    norn_fail(g->st, NORN_ETYPE, -1,
              "a value of %s must be %s, got a number that depends on a choice",
              row->name, want);
  else norn_fail(g->st, NORN_ETYPE, -1, "a value of %s must be %s, got %.6g", row->name, want, v);
  return false;
}

/* In a way parameters stay in their domain where it is not gone: they are 1 there, if they could be outside. */
static bool params_sure(graph *g, const norn_dist_row *row, norn_datum *p, int n)
{
  double one[NORN_DIST_P];
  int which;
  for (int i = 0; i < NORN_DIST_P; i++) one[i] = 1;
  g->partial |= row->check1(one, &which) != NULL;
  for (int i = 0; i < n; i++) {
    if (!graph_is_node(p[i]) || graph_sure(g, row, n, i, graph_index(p[i]))) continue;
    norn_datum here = graph_here(g, g->way);
    if (norn_is_none(here) || norn_is_none(p[i] = graph_op2(g, G_OR_ONE, here, p[i]))) return false;
  }
  return true;
}

/* Terms are nodes of their own, also of equal rows of data: an array of which each element is a term once is
   added as a whole (program.c). */
norn_datum graph_density(graph *g, const norn_dist_row *row, norn_datum x, const norn_datum *p,
                         int n, bool term)
{
  uint32_t a[1 + NORN_DIST_P];
  double q[NORN_DIST_P], v = number_of(x), logp;
  norn_datum sure[NORN_DIST_P];
  int which;
  if (!value_fits(g, row, x, v)) return norn_none();
  if (g->way) {
    memcpy(sure, p, (size_t)n * sizeof *sure);
    if (!params_sure(g, row, sure, n)) return norn_none();
    p = sure;
  }
  a[0] = operand(g, x);
  if (a[0] == UINT32_MAX) return norn_none();
  for (int i = 0; i < n; i++) {
    if ((a[i + 1] = operand(g, p[i])) == UINT32_MAX) return norn_none();
    q[i] = number_of(p[i]);
  }
  logp = row->check1(q, &which) ? -HUGE_VAL : row->logp1(v, q);
  bool node = graph_is_node(x);
  for (int i = 0; i < n; i++) node |= graph_is_node(p[i]);
  if (!node) return norn_real(logp);
  uint64_t aux = (uint64_t)(uintptr_t)row | term;
  if (!term) return made(g, node_of(g, G_DENSITY, aux, a, n + 1, logp));
  return node_add(g, G_DENSITY, aux, a, n + 1, logp) ? made(g, (uint32_t)g->nnode - 1) : norn_none();
}

/* ---- calls ----------------------------------------------------------------------------------- */

bool graph_called_new(graph *g, const graph_call *type, void *self, const norn_datum *in,
                      uint32_t nin, const double *values, norn_datum *out, uint32_t nout)
{
  size_t first = g->nnode, args = g->narg;
  g->partial |= g->way && !type->total;
  if (!graph_room(g, &g->call, &g->ccall, g->ncall + 1, sizeof *g->call)) goto failed;
  for (uint32_t i = 0; i < nin; i++)
    if (operand(g, in[i]) == UINT32_MAX) goto failed;              /* constants come first */
  if (!graph_room(g, &g->arg, &g->carg, g->narg + nin, sizeof *g->arg)) goto failed;
  args = g->narg;
  for (uint32_t i = 0; i < nin; i++) g->arg[g->narg++] = operand(g, in[i]);
  first = g->nnode;
  for (uint32_t k = 0; k < nout; k++) {
    if (!table_grow(g) ||
        !node_add(g, G_PART, (uint64_t)g->ncall << 32 | k, NULL, 0, values[k])) goto failed;
    size_t h = node_hash(G_PART, (uint64_t)g->ncall << 32 | k, NULL, 0) & g->mask;
    while (g->table[h]) h = (h + 1) & g->mask;
    g->table[h] = (uint32_t)g->nnode;
    out[k] = node_datum(g, (uint32_t)g->nnode - 1);
  }
  g->call[g->ncall++] = (graph_called){type, self, nin, nout, (uint32_t)first, (uint32_t)args};
  return true;
failed:
  if (type->free) type->free(g->st, self);
  return false;
}

/* A sum: of few as a chain, of many as one call. */
static bool sum_forward(void *self, const double *in, double *out)
{
  *out = stats_sum(in, *(int64_t *)self);
  return true;
}
static void sum_adjoint(void *self, const double *in, const double *out, const double *gout,
                        double *gin)
{
  (void)in, (void)out;
  for (int64_t i = 0; i < *(int64_t *)self; i++) gin[i] += gout[0];
}
static void sum_free(norn_state *st, void *self) { norn_alloc(st, self, sizeof(int64_t), 0); }
const graph_call graph_sum_call = {"sum", sum_forward, sum_adjoint, sum_free,
                                    .uses_state = false, .total = true};

norn_datum graph_sum(graph *g, const norn_datum *x, int64_t n)
{
  norn_datum s = norn_real(0);
  double total = 0;
  for (int64_t i = 0; n <= 8 && i < n; i++) {
    s = i ? graph_op2(g, G_ADD, s, x[i]) : x[i];
    if (norn_is_none(s)) return s;
  }
  if (n <= 8) return s;
  int64_t *self = norn_alloc(g->st, NULL, 0, sizeof *self);
  if (!self) return norn_fail(g->st, NORN_EMEMORY, -1, "out of memory"), norn_none();
  *self = n;
  for (int64_t i = 0; i < n; i++) total += number_of(x[i]);
  return graph_called_new(g, &graph_sum_call, self, x, (uint32_t)n, &total, &s, 1) ? s : norn_none();
}
