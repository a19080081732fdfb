/* density_call: calls of a graph as text, for density_text.c: sums, products of a matrix, the maps of structured
   supports (dist/kernel_map.h) and log densities of vectors and matrices (multi_kernel.h).

   Of the last two one thread of the chain does the work: it gathers the inputs into scratch, in a row, and there
   are their adjoints too before they are added to where they belong.

       W(u) | inputs (nin) | adjoints (nin) | bounds' adjoints (2) | work |  */
#include "graph/calls.h"
#include "graph/density_plan.h"
#include "dist/dist.h"
#include "num/special.h"
#include <stdio.h>
#include <string.h>

#define PUT(...) text_printf(q->t, __VA_ARGS__)

static bool is_sum(const graph_called *c) { return c->type == &graph_sum_call; }
static bool is_product(const graph_called *c) { return c->type == &graph_matvec_call; }
static bool is_map(const graph_called *c) { return c->type == &graph_constraint_call; }

/* ---- densities: which have text ----------------------------------------------------------------- */

typedef enum { MULTI_NONE, MULTI_DIRICHLET, MULTI_FACTOR, MULTI_CORR, MULTI_CHOLESKY, MULTI_NORMAL, MULTI_ORDERED }
  multi_kind;

/* A density of a vector or a matrix: its row, size, room; base: what an ordered one draws. */
typedef struct multi {
  multi_kind kind;
  const char *name;
  uint32_t n, work;
  norn_dist base;
} multi;

static bool multi_ordered(const norn_dist *d, const graph_density_self *k, norn_dist *base)
{
  norn_dist iid;
  int np;
  if (strcmp(d->row->name, "ordered") || !norn_dist_view(d->args[0], &iid) || !norn_dist_view(iid.args[0], base))
    return false;
  return op_text_family(base->row, &np) && base->n == np && k->nleaf == np + 1;
}

static multi multi_of(const graph_called *c)
{
  static const struct { const char *name; multi_kind kind; } known[] = {
    {"dirichlet", MULTI_DIRICHLET}, {"lkj_corr_cholesky", MULTI_FACTOR}, {"lkj_corr", MULTI_CORR},
    {"multi_normal_cholesky", MULTI_CHOLESKY}, {"multi_normal", MULTI_NORMAL}};
  const graph_density_self *k = c->self;
  norn_dist d;
  multi m = {MULTI_NONE, "density", (uint32_t)k->nx, 0, {0}};
  if (!norn_dist_view(norn_get(k->dist), &d)) return m;
  m.name = d.row->name;
  for (int i = 0; i < NORN_COUNT(known); i++)
    if (!strcmp(known[i].name, m.name)) m.kind = known[i].kind;
  if (m.kind == MULTI_FACTOR || m.kind == MULTI_CORR) m.n = (uint32_t)sqrt((double)k->nx + 0.5);
  uint32_t n = m.n;
  bool one_row = k->nleaf == (int64_t)n + (int64_t)n * n;
  if ((m.kind == MULTI_CHOLESKY || m.kind == MULTI_NORMAL) && !one_row) m.kind = MULTI_NONE;
  if (multi_ordered(&d, k, &m.base)) m.kind = MULTI_ORDERED;
  m.work = m.kind == MULTI_CORR ? 2 * n * n : m.kind == MULTI_CHOLESKY ? 2 * n
           : m.kind == MULTI_NORMAL ? 2 * n * n + 2 * n : 0;
  return m;
}

const char *call_lacks(const graph_called *c)
{
  double bound[2];
  if (is_sum(c) || is_product(c)) return NULL;
  if (is_map(c)) return dist_map_kernel(&((const graph_constraint *)c->self)->s, bound) ? NULL : "constraint";
  if (c->type != &graph_density_call) return c->type->name;
  multi m = multi_of(c);
  return m.kind ? NULL : m.name;
}

/* Are inputs from .. to - 1 constants. */
static bool are_numbers(const call_instr *k, uint32_t from, uint32_t to)
{
  for (uint32_t i = from; i < to; i++)
    if (k->in[i].kind == FROM_SCALAR) return false;
  return true;
}

/* What of the density is one number for all points; -> known: of a dirichlet, that alpha is constant. */
static double multi_constant(plan *q, const call_instr *k, const multi *m, bool *known)
{
  uint32_t n = m->n;
  double c = 0, total = 0;
  *known = m->kind == MULTI_DIRICHLET && are_numbers(k, n, 2 * n);
  switch (m->kind) {
  case MULTI_DIRICHLET:
    for (uint32_t i = n; i < 2 * n && *known; i++) {
      c -= special_lgamma(k->x[i]);
      total += k->x[i];
    }
    return *known ? c + special_lgamma(total) : 0;
  case MULTI_FACTOR: case MULTI_CORR: {       /* the density of the identity, as the family has it */
    double *x = blocks_get(&q->temp, (k->c.nin + 1) * sizeof *x);
    if (!x) return q->failed = true, 0;
    memcpy(x, k->x, k->c.nin * sizeof *x);
    for (uint32_t i = 0; i < n * n; i++) x[i] = i % (n + 1) == 0;
    norn_lock(q->p->st);
    bool good = k->c.type->forward(k->c.self, x, &c);
    norn_unlock(q->p->st);
    return good ? c : (double)NAN;
  }
  case MULTI_ORDERED: return special_lfact((double)n);
  default: return -(double)n * V_LOG_SQRT_2PI;
  }
}

/* ---- scratch ------------------------------------------------------------------------------------ */

typedef struct call_room { uint32_t u, g, bound, work, before; } call_room;

static call_room room_open(plan *q, const call_instr *k, uint32_t work)
{
  call_room r = {.before = q->scratch};
  r.u = plan_scratch(q, k->c.nin);
  r.g = plan_scratch(q, k->c.nin);
  r.bound = plan_scratch(q, 2);
  r.work = plan_scratch(q, work);
  return r;
}

/* Calls f for every run of inputs that are all places, or all numbers. */
static void each_run(plan *q, const call_instr *k, const call_room *r,
                     void (*f)(plan *, const call_instr *, const call_room *, uint32_t from, uint32_t n, bool place))
{
  for (uint32_t i = 0, end; i < k->c.nin; i = end) {
    bool place = k->in[i].kind == FROM_SCALAR;
    for (end = i + 1; end < k->c.nin && (k->in[end].kind == FROM_SCALAR) == place;) end++;
    f(q, k, r, i, end - i, place);
  }
}

static uint32_t run_slots(plan *q, const call_instr *k, uint32_t from, uint32_t n)
{
  uint32_t *x = blocks_get(&q->temp, (n + 1) * sizeof *x);
  if (!x) return q->failed = true, 0;
  for (uint32_t i = 0; i < n; i++) x[i] = q->slot[k->in[from + i].at];
  return plan_index(q, x, n);
}

static void run_load(plan *q, const call_instr *k, const call_room *r, uint32_t from, uint32_t n, bool place)
{
  loop l = {.n = n};
  if (place)
    PUT("    for (int i = 0; i < %u; i++) W(%u + i) = V(I[%u + i]);\n", n, r->u + from, run_slots(q, k, from, n));
  else PUT("    for (int i = 0; i < %u; i++) W(%u + i) = D[%u + i];\n", n, r->u + from, plan_data(q, &l, k->x + from));
}

static void run_spread(plan *q, const call_instr *k, const call_room *r, uint32_t from, uint32_t n, bool place)
{
  if (place)
    PUT("    for (int i = 0; i < %u; i++) A(I[%u + i]) += W(%u + i);\n", n, run_slots(q, k, from, n), r->g + from);
}

/* Begins the work of one thread: inputs are in scratch. */
static void one_begin(plan *q, const call_instr *k, const call_room *r)
{
  put_sync(q);
  PUT("  if (tid == 0) {\n");
  each_run(q, k, r, run_load);
}

static void one_end(plan *q, const call_room *r)
{
  PUT("  }\n");
  q->scratch = r->before;
  q->dirty = true;
}

/* Backwards, nothing flows where no adjoint is: what no one asks for may have no derivative. */
static void back_begin(plan *q, const instr *c, const call_instr *k, const call_room *r)
{
  put_sync(q);
  PUT("  int any%u = 0;\n  if (tid == 0) {\n", c->to);
  PUT("    for (int i = 0; i < %u; i++) any%u |= A(%u + i) != 0;\n  }\n  if (any%u) {\n", k->c.nout, c->to,
      q->slot[c->to], c->to);
  each_run(q, k, r, run_load);
  PUT("    for (int i = 0; i < %u; i++) W(%u + i) = 0;\n", k->c.nin + 2, r->g);
}

/* ---- maps --------------------------------------------------------------------------------------- */

/* The bounds as expressions: numbers, or the two inputs after the free ones. */
static const char *map_bounds(plan *q, const call_instr *k, const call_room *r, char a[NAME], char b[NAME],
                              uint32_t *free)
{
  const graph_constraint *s = k->c.self;
  double bound[2];
  const char *name = dist_map_kernel(&s->s, bound);
  *free = (uint32_t)norn_support_free(&s->s);
  if (s->moved) {
    snprintf(a, NAME, "W(%u)", r->u + *free);
    snprintf(b, NAME, "W(%u)", r->u + *free + 1);
  } else {
    put_literal(a, bound[0], &q->o->m);
    put_literal(b, bound[1], &q->o->m);
  }
  return name;
}

static uint32_t map_work(const call_instr *k) { return k->c.nout; }

static void map_forward(plan *q, const instr *c, const call_instr *k)
{
  char a[NAME], b[NAME];
  uint32_t free, x = q->slot[c->to];
  const graph_constraint *s = k->c.self;
  call_room r = room_open(q, k, map_work(k));
  const char *name = map_bounds(q, k, &r, a, b, &free);
  one_begin(q, k, &r);
  PUT("    const lanes j = map_%s(%s, %s, &W(%u), &V(%u), %u, VS);\n", name, a, b, r.u, x, (uint32_t)s->s.size);
  PUT("    V(%u) = j;\n    outside |= !(j > -HUGE_VAL && j < HUGE_VAL);\n", x + k->c.nout - 1);
  one_end(q, &r);
  q->o->operations += 20.0 * k->c.nout * q->T;
}

static void map_back(plan *q, const instr *c, const call_instr *k)
{
  char a[NAME], b[NAME];
  uint32_t free, x = q->slot[c->to];
  const graph_constraint *s = k->c.self;
  call_room r = room_open(q, k, map_work(k));
  const char *name = map_bounds(q, k, &r, a, b, &free);
  back_begin(q, c, k, &r);
  PUT("    map_%s_back(%s, %s, &W(%u), &V(%u), &A(%u), A(%u), &W(%u), &W(%u), &W(%u), %u, VS);\n", name, a, b, r.u, x,
      x, x + k->c.nout - 1, r.g, s->moved ? r.g + free : r.bound, r.work, (uint32_t)s->s.size);
  each_run(q, k, &r, run_spread);
  one_end(q, &r);
}

/* ---- densities ---------------------------------------------------------------------------------- */

/* n! f(x[0]) ... where x rises: a loop over the family's density. */
static void ordered_loop(plan *q, const instr *c, const multi *m, const call_room *r, bool back)
{
  char arg[OPERANDS][NAME], memo[NAME];
  const char *args[OPERANDS];
  int np = m->base.n;
  for (int j = 0; j <= np; j++) {
    snprintf(arg[j], NAME, j ? "p%u_%d" : "x", c->to, j);
    if (j) PUT("    const lanes %s = W(%u);\n", arg[j], r->u + m->n + (uint32_t)j - 1);
    args[j] = arg[j];
  }
  snprintf(memo, NAME, "m%u%s", c->to, back ? "b" : "");
  PUT("    TERMS(%s, 1);\n    for (int i = 0; i < %u; i++) {\n      const lanes x = W(%u + i);\n", memo, m->n, r->u);
  if (back) {
    PUT("      lanes d[%d];\n      (void)", np + 1);
    op_text_partials(q->t, m->base.row, memo, args, "d");
    PUT(";\n      W(%u + i) += FLOW(a, d[0]);\n", r->g);
    for (int j = 1; j <= np; j++) PUT("      W(%u) += FLOW(a, d[%d]);\n", r->g + m->n + (uint32_t)j - 1, j);
  } else {
    PUT("      s += ");
    op_text_logp(q->t, m->base.row, memo, args);
    PUT(";\n      if (i && !(x >= W(%u + i - 1))) s = -HUGE_VAL;\n", r->u);
  }
  PUT("    }\n");
  if (back) return;
  PUT("    outside |= !(");
  op_text_domain(q->t, m->base.row, args);
  PUT(");\n");
}

static void multi_forward(plan *q, const instr *c, const call_instr *k)
{
  multi m = multi_of(&k->c);
  call_room r = room_open(q, k, m.work);
  bool known;
  char constant[NAME];
  put_literal(constant, multi_constant(q, k, &m, &known), &q->o->m);
  one_begin(q, k, &r);
  PUT("    lanes s = %s;\n", constant);
  if (m.kind == MULTI_ORDERED) ordered_loop(q, c, &m, &r, false);
  else PUT("    s = multi_%s(&W(%u), s, %d, &W(%u), %u, VS);\n", m.name, r.u, known, r.work, m.n);
  PUT("    V(%u) = s;\n", q->slot[c->to]);
  one_end(q, &r);
  q->o->operations += (20.0 * k->c.nin + (double)m.n * m.work) * q->T;
}

static void multi_back(plan *q, const instr *c, const call_instr *k)
{
  multi m = multi_of(&k->c);
  call_room r = room_open(q, k, m.work);
  bool known;
  (void)multi_constant(q, k, &m, &known);
  back_begin(q, c, k, &r);
  PUT("    const lanes a = A(%u);\n", q->slot[c->to]);
  if (m.kind == MULTI_ORDERED) ordered_loop(q, c, &m, &r, true);
  else PUT("    multi_%s_back(&W(%u), a, %d, &W(%u), &W(%u), %u, VS);\n", m.name, r.u, known, r.g, r.work, m.n);
  each_run(q, k, &r, run_spread);
  one_end(q, &r);
}

/* ---- sums and products -------------------------------------------------------------------------- */

/* Slots of the inputs that are places, and whether all differ; those that are numbers stand as NOSLOT. */
static uint32_t *call_slots(plan *q, const call_instr *k, bool *differ)
{
  uint32_t *x = blocks_get(&q->temp, (k->c.nin + 1) * sizeof *x);
  uint8_t *seen = blocks_get(&q->temp, q->o->nslot + 1);
  *differ = true;
  if (!x || !seen) return q->failed = true, NULL;
  for (uint32_t i = 0; i < k->c.nin; i++) {
    x[i] = k->in[i].kind == FROM_SCALAR ? q->slot[k->in[i].at] : NOSLOT;
    if (x[i] == NOSLOT) continue;
    *differ &= !seen[x[i]];
    seen[x[i]] = 1;
  }
  return x;
}

/* Sum of numbers. */
static void sum_forward(plan *q, const instr *c, const call_instr *k)
{
  bool differ;
  double rest = 0;
  char name[NAME];
  uint32_t *slots = call_slots(q, k, &differ), n = 0;
  if (!slots) return;
  for (uint32_t i = 0; i < k->c.nin; i++)
    if (slots[i] == NOSLOT) rest += k->x[i];
    else slots[n++] = slots[i];
  put_sync(q);
  put_literal(name, rest, &q->o->m);
  PUT("  {\n    wide s = 0;\n    for (int i = tid; i < %u; i += TT) s += V(I[%u + i]);\n", n,
      plan_index(q, slots, n));
  PUT("    s = sum_wide(s) + %s;\n    if (tid == 0) V(%u) = (lanes)s;\n  }\n", name, q->slot[c->to]);
  q->dirty = true;
}

static void sum_back(plan *q, const instr *c, const call_instr *k)
{
  bool differ;
  uint32_t *slots = call_slots(q, k, &differ), n = 0;
  if (!slots) return;
  for (uint32_t i = 0; i < k->c.nin; i++)
    if (slots[i] != NOSLOT) slots[n++] = slots[i];
  put_sync(q);
  PUT(differ ? "  for (int i = tid; i < %u; i += TT)" : "  for (int i = 0; i < %u && tid == 0; i++)", n);
  PUT(" A(I[%u + i]) += A(%u);\n", plan_index(q, slots, n), q->slot[c->to]);
  q->dirty = true;
}

/* A matrix of few rows times numbers. */
static void product_name(plan *q, const call_instr *k, uint32_t j, const uint32_t *slots, char *to)
{
  if (slots[j] == NOSLOT) put_literal(to, k->x[j], &q->o->m);
  else snprintf(to, NAME, "V(%u)", slots[j]);
}

static void product_forward(plan *q, const instr *c, const call_instr *k)
{
  const graph_matrix *m = k->c.self;
  bool differ;
  uint32_t *slots = call_slots(q, k, &differ);
  loop l = {.n = (uint32_t)(m->m * m->n)};
  if (!slots) return;
  uint32_t x = plan_data(q, &l, m->x);
  char name[NAME];
  put_sync(q);
  PUT("  for (int i = tid; i < %u; i += TT) {\n    lanes s = 0;\n", (uint32_t)m->m);
  for (uint32_t j = 0; j < m->n; j++) {
    product_name(q, k, j, slots, name);
    PUT("    s += D[%u + i * %u] * %s;\n", x + j, (uint32_t)m->n, name);
  }
  PUT("    V(%u + i) = s;\n  }\n", q->slot[c->to]);
  q->dirty = true;
}

static void product_back(plan *q, const instr *c, const call_instr *k)
{
  const graph_matrix *m = k->c.self;
  bool differ;
  uint32_t *slots = call_slots(q, k, &differ);
  loop l = {.n = (uint32_t)(m->m * m->n)};
  if (!slots) return;
  uint32_t x = plan_data(q, &l, m->x);
  put_sync(q);
  PUT("  if (tid == 0) {\n");
  for (uint32_t j = 0; j < m->n; j++) {
    if (slots[j] == NOSLOT) continue;
    PUT("    for (int i = 0; i < %u; i++) A(%u) += A(%u + i) * D[%u + i * %u];\n", (uint32_t)m->m, slots[j],
        q->slot[c->to], x + j, (uint32_t)m->n);
  }
  PUT("  }\n");
  q->dirty = true;
}

/* ---- the calls ---------------------------------------------------------------------------------- */

void call_forward_text(plan *q, const instr *c, const call_instr *k)
{
  if (is_sum(&k->c)) sum_forward(q, c, k);
  else if (is_product(&k->c)) product_forward(q, c, k);
  else if (is_map(&k->c)) map_forward(q, c, k);
  else multi_forward(q, c, k);
}

void call_back_text(plan *q, const instr *c, const call_instr *k)
{
  if (is_sum(&k->c)) sum_back(q, c, k);
  else if (is_product(&k->c)) product_back(q, c, k);
  else if (is_map(&k->c)) map_back(q, c, k);
  else multi_back(q, c, k);
}
