/* tape: see tape.h.  The partial derivatives of an operation stand once, in `slopes`; directions
   apply them forwards (dz = a dx + b dy), adjoints backwards (gx += a gz). */
#include "graph/tape.h"
#include "graph/record.h"
#include <math.h>
#include <string.h>

enum { OPERANDS = 1 + NORN_DIST_P };
typedef struct step {
  uint16_t op, nargs;
  bool moves, both;                  /* it depends on an input; both operands do */
  uint32_t to, x, y;                 /* registers */
  const uint32_t *arg;               /* of a density: all of them */
  const norn_dist_row *row;
  uint32_t aux;                      /* a real function, or a call */
} step;

typedef struct called {
  graph_called c;
  uint32_t *in, to;                  /* registers */
  double *x, *y, *gx, *gy;
} called;

struct tape {
  norn_state *st;
  graph *g;                          /* owns what the calls keep */
  uint32_t nvary, nin, nreg, nout;
  double *value, *adjoint;           /* (nreg) */
  double *tangent; size_t ctangent;  /* (nreg, row) */
  int64_t k, row;
  bool *moves, *reads;               /* (nreg): depends on an input; (nin) */
  step *step; uint32_t nstep, nearly;        /* the first nearly: of parameters only */
  called *call;
  uint32_t *out, *arg;               /* arg: operands of densities */
  /* a, b: registers; the first nquick are of inputs and what is made of parameters only */
  graph_guard *guard; uint32_t nguard, nquick;
  void *block; size_t size;
};

/* ---- making
   ----------------------------------------------------------------------------------- */

/* What is needed of the graph, and where it will lie. */
typedef struct layout {
  const graph *g;
  uint32_t *reg;                     /* (nnode) + 1; 0: not needed */
  bool *vary;                        /* (nnode) depends on what varies */
  uint32_t nreg, nstep, nguard;
  const norn_datum *out; uint32_t nout;
} layout;

static const graph_called *call_of(const graph *g, uint32_t i)
{
  return &g->call[g->node[i].aux >> 32];
}

/* Operands of node i; of a result of a call, the inputs of the call. */
static const uint32_t *operands(const graph *g, uint32_t i, uint32_t *n)
{
  const graph_node *a = &g->node[i];
  *n = a->op == G_PART ? call_of(g, i)->nin : a->nargs;
  return g->arg + (a->op == G_PART ? call_of(g, i)->args : a->args);
}

static void need(layout *l)
{
  const graph *g = l->g;
  for (uint32_t i = 0; i < l->nout; i++)
    if (graph_is_node(l->out[i])) l->reg[graph_index(l->out[i])] = 1;
  for (size_t i = 0; i < g->nguard; i++) l->reg[g->guard[i].a] = l->reg[g->guard[i].b] = 1;
  for (uint32_t i = (uint32_t)g->nnode; i-- > 0;) {
    uint32_t n;
    if (!l->reg[i]) continue;
    const uint32_t *a = operands(g, i, &n);
    for (uint32_t j = 0; j < n; j++) l->reg[a[j]] = 1;
    if (g->node[i].op == G_PART)                 /* all results of a call, side by side */
      for (uint32_t j = 0; j < call_of(g, i)->nout; j++) l->reg[call_of(g, i)->first + j] = 1;
  }
}

static void place(layout *l, uint32_t nvary)
{
  const graph *g = l->g;
  l->nreg = (uint32_t)g->ninput;
  for (uint32_t i = 0; i < g->nnode; i++) {
    const graph_node *a = &g->node[i];
    uint32_t n;
    if (a->op == G_INPUT) {
      l->vary[i] = a->aux < nvary;
      l->reg[i] = (uint32_t)a->aux + 1;
      continue;
    }
    if (!l->reg[i]) continue;
    const uint32_t *arg = operands(g, i, &n);
    for (uint32_t j = 0; j < n; j++) l->vary[i] |= l->vary[arg[j]];
    l->reg[i] = ++l->nreg;
    l->nstep += a->op != G_CONST && (a->op != G_PART || call_of(g, i)->first == i);
  }
  l->nreg += l->nout;                            /* results that are numbers */
}

typedef struct carve { char *at; size_t n; } carve;
static void *take(carve *c, size_t n, size_t size)
{
  size_t bytes = (n * size + 15) / 16 * 16;
  void *p = c->at ? c->at + c->n : NULL;
  c->n += bytes;
  return p;
}

/* All arrays of the tape in one block; with c->at NULL only its size is found. */
static void carve_all(tape *t, const layout *l, carve *c)
{
  const graph *g = l->g;
  size_t nargs = 0;
  t->value = take(c, l->nreg, sizeof(double));
  t->adjoint = take(c, l->nreg, sizeof(double));
  t->moves = take(c, l->nreg, sizeof(bool));
  t->reads = take(c, g->ninput + 1, sizeof(bool));
  t->step = take(c, l->nstep, sizeof *t->step);
  t->call = take(c, g->ncall, sizeof *t->call);
  t->out = take(c, l->nout, sizeof *t->out);
  t->guard = take(c, g->nguard, sizeof *t->guard);
  for (size_t i = 0; i < g->nnode; i++) nargs += g->node[i].op == G_DENSITY ? g->node[i].nargs : 0;
  t->arg = take(c, nargs, sizeof *t->arg);
  for (size_t i = 0; i < g->ncall; i++) {
    called k = {.c = g->call[i], .in = take(c, g->call[i].nin, sizeof(uint32_t))};
    k.x = take(c, 2 * (size_t)(k.c.nin + k.c.nout), sizeof(double));
    k.y = k.x + k.c.nin;
    k.gx = k.y + k.c.nout;
    k.gy = k.gx + k.c.nin;
    if (c->at) t->call[i] = k;
  }
}

/* The step of node i.  Operands of densities go to *arg and on. */
static void step_make(tape *t, const layout *l, uint32_t i, step *p, uint32_t **arg)
{
  const graph *g = l->g;
  const graph_node *a = &g->node[i];
  uint32_t n;
  const uint32_t *o = operands(g, i, &n);
  *p = (step){.op = a->op, .nargs = a->nargs, .to = l->reg[i] - 1, .aux = (uint32_t)a->aux};
  if (a->op == G_PART) {
    p->aux = (uint32_t)(a->aux >> 32);
    t->call[p->aux].to = p->to;
    for (uint32_t j = 0; j < n; j++) t->call[p->aux].in[j] = l->reg[o[j]] - 1;
    return;
  }
  p->x = n > 0 ? l->reg[o[0]] - 1 : 0;
  p->y = n > 1 ? l->reg[o[1]] - 1 : 0;
  if (a->op != G_DENSITY) return;
  p->row = (const norn_dist_row *)(uintptr_t)(a->aux & ~(uint64_t)1);
  p->arg = *arg;
  for (uint32_t j = 0; j < n; j++) *(*arg)++ = l->reg[o[j]] - 1;
}

/* The steps, first those that depend on parameters only. */
static void steps_make(tape *t, const layout *l)
{
  const graph *g = l->g;
  uint32_t *arg = t->arg, n = 0;
  for (int late = 0; late < 2; late++) {
    if (late) t->nearly = n;
    for (uint32_t i = 0; i < g->nnode; i++) {
      const graph_node *a = &g->node[i];
      bool result = a->op == G_PART && call_of(g, i)->first != i;
      if (l->reg[i] && a->op != G_INPUT && a->op != G_CONST && !result && l->vary[i] == late)
        step_make(t, l, i, &t->step[n++], &arg);
    }
  }
}

/* Values of constants, what moves, what is read, where the results and guards are. */
static void fill(tape *t, const layout *l)
{
  const graph *g = l->g;
  uint32_t end = l->nreg - l->nout;
  for (uint32_t i = 0; i < g->nnode; i++) {
    uint32_t n, r = l->reg[i] - 1;
    if (!l->reg[i]) continue;
    t->value[r] = g->value[i];
    t->moves[r] = g->node[i].op == G_INPUT;
    const uint32_t *a = operands(g, i, &n);
    for (uint32_t j = 0; j < n; j++) {
      t->moves[r] |= t->moves[l->reg[a[j]] - 1];
      if (l->reg[a[j]] <= t->nin) t->reads[l->reg[a[j]] - 1] = true;
    }
  }
  for (uint32_t s = 0; s < t->nstep; s++) {
    step *p = &t->step[s];
    p->moves = t->moves[p->to];
    p->both = p->op != G_PART && p->nargs == 2 && t->moves[p->x] && t->moves[p->y];
  }
  for (uint32_t i = 0; i < t->nout; i++) {
    norn_datum v = l->out[i];
    t->out[i] = graph_is_node(v) ? l->reg[graph_index(v)] - 1 : end + i;
    if (!graph_is_node(v)) t->value[end + i] = v.tag == NORN_REAL ? v.d : (double)v.i;
    if (t->out[i] < t->nin) t->reads[t->out[i]] = true;
  }
}

/* Is the value of a node known before the steps of an evaluation. */
static bool is_early(const layout *l, uint32_t node)
{
  return !l->vary[node] || l->g->node[node].op == G_INPUT;
}

static void guards_make(tape *t, const layout *l)
{
  const graph *g = l->g;
  uint32_t n = 0;
  for (int late = 0; late < 2; late++) {
    if (late) t->nquick = n;
    for (uint32_t i = 0; i < t->nguard; i++) {
      const graph_guard *from = &g->guard[i];
      if ((is_early(l, from->a) && is_early(l, from->b)) == late) continue;
      graph_guard *to = &t->guard[n++];
      *to = *from;
      to->a = l->reg[from->a] - 1;
      to->b = l->reg[from->b] - 1;
      if (to->a < t->nin) t->reads[to->a] = true;
      if (to->b < t->nin) t->reads[to->b] = true;
    }
  }
}

static bool tape_make(tape *t, const norn_datum *out)
{
  graph *g = t->g;
  size_t n = g->nnode + 1, room = n * (sizeof(uint32_t) + sizeof(bool));
  char *scratch = norn_alloc(t->st, NULL, 0, room);
  if (!scratch) return norn_fail(t->st, NORN_EMEMORY, -1, "out of memory"), false;
  memset(scratch, 0, room);
  layout l = {.g = g, .reg = (uint32_t *)(void *)scratch, .out = out, .nout = t->nout};
  l.vary = (bool *)(scratch + n * sizeof(uint32_t));
  need(&l);
  place(&l, t->nvary);
  carve c = {NULL, 0};
  carve_all(t, &l, &c);
  t->size = c.n + 16;
  t->block = norn_alloc(t->st, NULL, 0, t->size);
  if (t->block) {
    memset(t->block, 0, t->size);
    t->nreg = l.nreg;
    t->nstep = l.nstep;
    t->nguard = (uint32_t)g->nguard;
    c = (carve){t->block, 0};
    carve_all(t, &l, &c);
    steps_make(t, &l);
    fill(t, &l);
    guards_make(t, &l);
  } else {
    norn_fail(t->st, NORN_EMEMORY, -1, "out of memory");
  }
  norn_alloc(t->st, scratch, room, 0);
  return t->block != NULL;
}

tape *graph_tape(graph *g, uint32_t nvary, const norn_datum *out, uint32_t nout)
{
  norn_state *st = g->st;
  tape *t = g->failed ? NULL : norn_alloc(st, NULL, 0, sizeof *t);
  if (!t) {
    if (!g->failed) norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    graph_free(g);
    return NULL;
  }
  *t = (tape){.st = st, .g = g, .nvary = nvary, .nin = (uint32_t)g->ninput, .nout = nout};
  if (tape_make(t, out)) return t;
  graph_tape_free(t);
  return NULL;
}

void graph_tape_free(tape *t)
{
  if (!t) return;
  norn_state *st = t->st;
  graph_free(t->g);
  norn_alloc(st, t->block, t->block ? t->size : 0, 0);
  norn_alloc(st, t->tangent, t->ctangent * sizeof(double), 0);
  norn_alloc(st, t, sizeof *t, 0);
}

bool tape_reads(const tape *t, uint32_t i) { return t->reads[i]; }

/* ---- operations
   ------------------------------------------------------------------------------- */

static inline double compute(int op, double x, double y)
{
  switch (op) {
  case G_ADD: return x + y;
  case G_SUB: return x - y;
  case G_MUL: return x * y;
  case G_DIV: return x / y;
  case G_NEG: return -x;
  case G_SQUARE: return x * x;
  default: return graph_compute((graph_op)op, x, y);
  }
}

/* a = dz/dx, b = dz/dy of z = op(x, y); b costs a logarithm for powers: only where it is wanted. */
static inline void slopes(const step *s, double x, double y, double z, bool wants_b, double *a,
                          double *b)
{
  *b = 0;
  switch (s->op) {
  case G_ADD: *a = *b = 1; break;
  case G_SUB: *a = 1; *b = -1; break;
  case G_MUL: *a = y; *b = x; break;
  case G_DIV: *a = 1 / y; *b = -z / y; break;
  case G_POW: *a = y == 0 ? 0 : y * pow(x, y - 1); *b = wants_b && x > 0 ? z * v_log(x) : 0; break;
  case G_NEG: *a = -1; break;
  case G_MIN: *a = x < y; *b = !(x < y); break;
  case G_MAX: *a = x > y; *b = !(x > y); break;
  case G_LT: case G_LE: case G_EQ: *a = 0; break;
  case G_WHEN: case G_OR_ONE: *a = 0; *b = x != 0; break;
  case G_UNLESS: *a = 0; *b = x == 0; break;
  case G_LOG_ADD_EXP:
    *a = z > -HUGE_VAL ? v_exp(x - z) : 0;
    *b = z > -HUGE_VAL ? v_exp(y - z) : 0;
    break;
  case G_EXP: *a = z; break;
  case G_LOG: *a = 1 / x; break;
  case G_LOG1P: *a = 1 / (1 + x); break;
  case G_EXPM1: *a = z + 1; break;
  case G_SQRT: *a = 0.5 / z; break;
  case G_SQUARE: *a = 2 * x; break;
  case G_ABS: *a = x > 0 ? 1 : x < 0 ? -1 : 0; break;
  case G_INV: *a = -z * z; break;
  case G_INV_LOGIT: *a = z * v_logit_inv(-x); break;
  case G_LOG1P_EXP: *a = v_logit_inv(x); break;
  case G_LOGIT_JACOBIAN: *a = v_logit_inv(-x) - v_logit_inv(x); break;
  case G_FUN1: *a = graph_functions[s->aux].slope(x, z); break;
  default: *a = (double)NAN; break;
  }
}

/* z (row) = a x + b y */
typedef double pair __attribute__((vector_size(16), aligned(8)));
static inline void row1(double *z, double a, const double *x, int64_t n)
{
  for (int64_t i = 0; i < n; i += TAPE_ROW) *(pair *)(z + i) = a * *(const pair *)(x + i);
}
static inline void row2(double *z, double a, const double *x, double b, const double *y, int64_t n)
{
  for (int64_t i = 0; i < n; i += TAPE_ROW)
    *(pair *)(z + i) = a * *(const pair *)(x + i) + b * *(const pair *)(y + i);
}
static inline void row_add(double *z, double a, const double *x, int64_t n)
{
  for (int64_t i = 0; i < n; i += TAPE_ROW) *(pair *)(z + i) += a * *(const pair *)(x + i);
}

/* The density of a step and, if d is not NULL, its derivatives. */
static bool density(const tape *t, const step *s, double *d)
{
  double q[NORN_DIST_P], x = t->value[s->arg[0]];
  int which;
  for (int i = 1; i < s->nargs; i++) q[i - 1] = t->value[s->arg[i]];
  if (s->row->check1(q, &which)) {
    t->value[s->to] = (double)NAN;
    return false;
  }
  t->value[s->to] = d ? s->row->partials1(x, q, d) : s->row->logp1(x, q);
  return true;
}

static bool call_forward(tape *t, const step *s)
{
  called *k = &t->call[s->aux];
  for (uint32_t i = 0; i < k->c.nin; i++) k->x[i] = t->value[k->in[i]];
  if (k->c.type->uses_state) norn_lock(t->st);
  bool good = k->c.type->forward(k->c.self, k->x, k->y);
  if (k->c.type->uses_state) norn_unlock(t->st);
  for (uint32_t o = 0; o < k->c.nout; o++) t->value[k->to + o] = good ? k->y[o] : (double)NAN;
  return good;
}

static void call_adjoint(tape *t, called *k)
{
  memset(k->gx, 0, k->c.nin * sizeof *k->gx);
  if (k->c.type->uses_state) norn_lock(t->st);
  k->c.type->adjoint(k->c.self, k->x, k->y, k->gy, k->gx);
  if (k->c.type->uses_state) norn_unlock(t->st);
}

/* ---- forwards
   --------------------------------------------------------------------------------- */

/* What is outside of its domain gives NaN, and the rest goes on: a guard may not hold. */
static bool run(tape *t, const step *s, const step *end)
{
  double *v = t->value;
  bool inside = true;
  for (; s < end; s++) {
    switch (s->op) {
    case G_FUN1: v[s->to] = graph_functions[s->aux].f(v[s->x]); break;
    case G_DENSITY: inside &= density(t, s, NULL); break;
    case G_PART: inside &= call_forward(t, s); break;
    default: v[s->to] = compute(s->op, v[s->x], v[s->y]); break;
    }
  }
  return inside;
}

static bool density_tangent(tape *t, const step *s)
{
  double d[OPERANDS], *z = t->tangent + s->to * t->row;
  if (!density(t, s, d)) return false;
  memset(z, 0, (size_t)t->row * sizeof *z);
  for (int i = 0; i < s->nargs; i++)
    if (t->moves[s->arg[i]]) row_add(z, d[i], t->tangent + s->arg[i] * t->row, t->row);
  return true;
}

/* Row by row of the Jacobian. */
static bool call_tangent(tape *t, const step *s)
{
  called *k = &t->call[s->aux];
  if (!call_forward(t, s)) return false;
  for (uint32_t o = 0; o < k->c.nout; o++) {
    double *z = t->tangent + (k->to + o) * t->row;
    memset(k->gy, 0, k->c.nout * sizeof *k->gy);
    k->gy[o] = 1;
    call_adjoint(t, k);
    memset(z, 0, (size_t)t->row * sizeof *z);
    for (uint32_t i = 0; i < k->c.nin; i++)
      if (t->moves[k->in[i]] && k->gx[i] != 0)
        row_add(z, k->gx[i], t->tangent + k->in[i] * t->row, t->row);
  }
  return true;
}

/* The four operations whose operands all move, without looking up what else they could be. */
static inline bool quick_tangent(const tape *t, const step *s, int64_t n)
{
  double *v = t->value, x = v[s->x], y = v[s->y], *d = t->tangent, *z = d + s->to * n;
  const double *dx = d + s->x * n, *dy = d + s->y * n;
  if (!s->both) return false;
  switch (s->op) {
  case G_ADD: v[s->to] = x + y; row2(z, 1, dx, 1, dy, n); return true;
  case G_SUB: v[s->to] = x - y; row2(z, 1, dx, -1, dy, n); return true;
  case G_MUL: v[s->to] = x * y; row2(z, y, dx, x, dy, n); return true;
  default: return false;
  }
}

static bool run_tangent(tape *t, const step *s, const step *end)
{
  double *v = t->value, *d = t->tangent;
  int64_t n = t->row;
  bool inside = true;
  for (; s < end; s++) {
    if (quick_tangent(t, s, n)) continue;
    if (s->op == G_DENSITY || s->op == G_PART) {
      inside &= s->op == G_PART ? call_tangent(t, s) : density_tangent(t, s);
      continue;
    }
    double x = v[s->x], y = v[s->y], z, a, b;
    v[s->to] = z = s->op == G_FUN1 ? graph_functions[s->aux].f(x) : compute(s->op, x, y);
    if (!s->moves) continue;
    bool mx = t->moves[s->x], my = s->nargs > 1 && t->moves[s->y];
    slopes(s, x, y, z, my, &a, &b);
    if (mx && my) row2(d + s->to * n, a, d + s->x * n, b, d + s->y * n, n);
    else if (mx) row1(d + s->to * n, a, d + s->x * n, n);
    else row1(d + s->to * n, b, d + s->y * n, n);
  }
  return inside;
}

/* Do the guards from .. to - 1 hold. */
static tape_status guarded(const tape *t, uint32_t from, uint32_t to)
{
  for (uint32_t i = from; i < to; i++) {
    const graph_guard *g = &t->guard[i];
    double x = t->value[g->a], y = t->value[g->b];
    bool holds = g->kind == GUARD_LT ? x < y : g->kind == GUARD_LE ? x <= y : x == y;
    if (holds != g->held) return TAPE_GUARD;
  }
  return TAPE_OK;
}

tape_status tape_params(tape *t, const double *p, int64_t k, const int32_t *lane, bool *room)
{
  uint32_t np = t->nin - t->nvary;
  *room = true;
  memcpy(t->value + t->nvary, p, np * sizeof *p);
  t->k = k;
  t->row = tape_row(k);
  size_t want = (size_t)(t->nreg * t->row);
  if (want > t->ctangent) {
    double *d = norn_alloc(t->st, t->tangent, t->ctangent * sizeof *d, want * sizeof *d);
    if (!d) return *room = false, TAPE_OUTSIDE;
    t->tangent = d;
    t->ctangent = want;
  }
  if (k == 0) return run(t, t->step, t->step + t->nearly) ? TAPE_OK : TAPE_OUTSIDE;
  memset(t->tangent, 0, want * sizeof *t->tangent);
  for (uint32_t i = 0; i < np; i++)
    if (lane[i] >= 0) t->tangent[(t->nvary + i) * t->row + lane[i]] = 1;
  return run_tangent(t, t->step, t->step + t->nearly) ? TAPE_OK : TAPE_OUTSIDE;
}

tape_status tape_eval(tape *t, const double *x, double *out)
{
  for (uint32_t i = 0; i < t->nvary; i++) t->value[i] = x[i];
  if (t->nquick && guarded(t, 0, t->nquick)) return TAPE_GUARD;
  bool inside = run(t, t->step + t->nearly, t->step + t->nstep);
  tape_status s = guarded(t, t->nquick, t->nguard);
  for (uint32_t i = 0; i < t->nout; i++) out[i] = t->value[t->out[i]];
  return s ? s : inside ? TAPE_OK : TAPE_OUTSIDE;
}

static inline void row_copy(double *to, const double *from, int64_t n)
{
  for (int64_t i = 0; i < n; i += TAPE_ROW) *(pair *)(to + i) = *(const pair *)(from + i);
}

tape_status tape_tangent(tape *t, const double *x, uint32_t first, const double *dx, double *out,
                         double *dout)
{
  int64_t row = t->row;
  for (uint32_t i = 0; i < t->nvary; i++) t->value[i] = x[i];
  if (t->nquick && guarded(t, 0, t->nquick)) return TAPE_GUARD;
  row_copy(t->tangent + first * row, dx, (t->nvary - first) * row);
  bool inside = run_tangent(t, t->step + t->nearly, t->step + t->nstep);
  tape_status s = guarded(t, t->nquick, t->nguard);
  for (uint32_t i = 0; i < t->nout; i++) {
    out[i] = t->value[t->out[i]];
    if (t->moves[t->out[i]]) row_copy(dout + i * row, t->tangent + t->out[i] * row, row);
    else memset(dout + i * row, 0, (size_t)row * sizeof *dout);
  }
  return s ? s : inside ? TAPE_OK : TAPE_OUTSIDE;
}

/* ---- backwards
   -------------------------------------------------------------------------------- */

void tape_adjoint(tape *t, const double *gout, double *gin)
{
  double *g = t->adjoint, *v = t->value, d[OPERANDS], a, b;
  memset(g, 0, t->nreg * sizeof *g);
  for (uint32_t i = 0; i < t->nout; i++) g[t->out[i]] += gout[i];
  for (uint32_t i = t->nstep; i-- > 0;) {
    const step *s = &t->step[i];
    if (s->op == G_DENSITY) {
      if (!density(t, s, d)) d[0] = (double)NAN;
      for (int j = 0; j < s->nargs; j++) g[s->arg[j]] += g[s->to] * d[j];
    } else if (s->op == G_PART) {
      called *k = &t->call[s->aux];
      memcpy(k->gy, g + k->to, k->c.nout * sizeof *g);
      call_adjoint(t, k);
      for (uint32_t j = 0; j < k->c.nin; j++) g[k->in[j]] += k->gx[j];
    } else {
      bool my = s->nargs > 1 && t->moves[s->y];
      slopes(s, v[s->x], v[s->y], v[s->to], my, &a, &b);
      if (t->moves[s->x]) g[s->x] += g[s->to] * a;
      if (my) g[s->y] += g[s->to] * b;
    }
  }
  memcpy(gin, g, t->nin * sizeof *g);
}
