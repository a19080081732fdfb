/* density_text: a program as text for one chain (density_text.h): the evaluation of exec.c, instruction by
   instruction, as loops over the threads of a chain. */
#include "graph/density_plan.h"
#include <stdio.h>
#include <string.h>

static const char *const head =
  "#ifndef DENSITY_HEAD\n#define DENSITY_HEAD\n"
  "typedef double wide;\n"
  "#define FLOW(g, e) SEL((g) == 0, LANE((lane_real)0), (g) * (e))\n"
  "#if TT == 1\n"
  "#define V(k) v[(int64_t)(k) * stride]\n"
  "#define VS stride\n"
  "#define SYNC() ((void)0)\n"
  "static inline wide sum_wide(wide x) { return x; }\n"
  "static inline lanes sum_lanes(lanes x) { return x; }\n"
  "static inline int any_of(int c) { return c; }\n"
  "#else\n"
  "#define V(k) v[k]\n"
  "#define VS 1\n"
  "#define SYNC() __syncwarp()\n"
  "static inline wide sum_wide(wide x)\n{\n"
  "  for (int m = TT / 2; m; m >>= 1) x += __shfl_xor_sync(0xffffffffu, x, m);\n  return x;\n}\n"
  "static inline lanes sum_lanes(lanes x)\n{\n"
  "  for (int m = TT / 2; m; m >>= 1) x += __shfl_xor_sync(0xffffffffu, x, m);\n  return x;\n}\n"
  "static inline int any_of(int c)\n{\n"
  "  for (int m = TT / 2; m; m >>= 1) c |= __shfl_xor_sync(0xffffffffu, c, m);\n  return c;\n}\n"
  "#endif\n"
  "#ifdef NORN_MEMO\n"
  "#define TERMS(name, many) struct term_memo name##_memo = {many}; terms name = &name##_memo\n"
  "#else\n"
  "#define TERMS(name, many) const terms name = NORN_KEEP_ALL\n"
  "#endif\n"
  "#define A(k) V(NSLOT + (k))\n"
  "#define W(k) V(2 * NSLOT + (k))\n"
  "#define EDGE(k) (NSLOT + (k) + (uint32_t)tid)\n"
  "#endif\n";


#define PUT(...) text_printf(q->t, __VA_ARGS__)

/* ---- what has text ------------------------------------------------------------------------------ */

static const char *instr_lacks(const program *p, const instr *c)
{
  if (c->op == G_PART) return call_lacks(&p->call[c->aux].c);
  return c->op < G_COUNT ? op_text_lacks((graph_op)c->op, c->aux) : NULL;
}

enum { MOST_SINGLES = 1500 };            /* numbers in registers, beyond which compiling takes too long */
const char *density_code_lacks(const program *p)
{
  size_t singles = 0;
  for (size_t i = 0; i < p->nfast; i++) {
    const instr *c = &p->fast[i];
    const char *lacks = instr_lacks(p, c);
    if (lacks) return lacks;
    singles += c->n == 1 || c->op == G_SCAN ? c->n == 1 ? 1 : p->scan[c->aux].P : 0;
    for (uint32_t k = 0; c->op == G_FUSED && k < p->fused[c->aux].nstep; k++)
      if ((lacks = instr_lacks(p, &p->fused[c->aux].step[k].c))) return lacks;
  }
  return singles > MOST_SINGLES ? "so many operations that are in no loop" : NULL;
}

/* ---- single numbers ----------------------------------------------------------------------------- */

static void operand_name(plan *q, const operand *o, char *to)
{
  if (o->kind == FROM_NUMBER) put_literal(to, *o->data, &q->o->m);
  else place_name(q, to, o->at);
}

static void single_store(plan *q, uint32_t place)
{
  if (q->slot[place] == NOSLOT) return;
  PUT("  if (tid == 0) V(%u) = r%u;\n", q->slot[place], place);
  q->dirty = true;
}

/* A density of one element; its derivatives are kept in d<id>. */
static void single_density(plan *q, const instr *c, const char *name, const char *id)
{
  const norn_dist_row *row = op_text_row(c->aux);
  char arg[OPERANDS][NAME];
  const char *args[OPERANDS];
  char d[30];
  snprintf(d, sizeof d, "d%s", id);
  for (int j = 0; j < c->nargs; j++) {
    operand_name(q, &c->arg[j], arg[j]);
    args[j] = arg[j];
  }
  PUT("  lanes %s[%d];\n  TERMS(t%s, %u);\n  const lanes %s = ", d, c->nargs, id, ~0u >> 1, name);
  snprintf(arg[0] + NAME - 30, 30, "t%s", id);
  op_text_partials(q->t, row, arg[0] + NAME - 30, args, d);
  PUT(";\n");
  if (!is_inside(c)) {
    PUT("  outside |= !(");
    op_text_domain(q->t, row, args);
    PUT(");\n");
  }
}

static void single_forward(plan *q, const instr *c)
{
  char x[NAME], y[NAME] = "", name[20], id[20];
  put_sync(q);
  snprintf(name, sizeof name, "r%u", c->to);
  snprintf(id, sizeof id, "%u", c->to);
  if (c->op == G_DENSITY) single_density(q, c, name, id);
  else {
    operand_name(q, &c->arg[0], x);
    if (c->nargs > 1) operand_name(q, &c->arg[1], y);
    PUT("  const lanes %s = ", name);
    op_text_value(q->t, (graph_op)c->op, c->aux, x, y);
    PUT(";\n");
  }
  PUT("  lanes a%u = 0;\n", c->to);
  single_store(q, c->to);
  q->o->operations += 15;
}

static void single_back(plan *q, const instr *c)
{
  char x[NAME], y[NAME] = "", z[20], e[900];
  if (q->slot[c->to] != NOSLOT) {
    put_sync(q);
    PUT("  a%u += A(%u);\n", c->to, q->slot[c->to]);
  }
  snprintf(z, sizeof z, "r%u", c->to);
  for (int j = 0; j < c->nargs && c->op != G_DENSITY; j++) operand_name(q, &c->arg[j], j ? y : x);
  for (int j = 0; j < c->nargs; j++) {
    text t;
    if (c->arg[j].kind != FROM_SCALAR) continue;
    text_init(&t, &q->o->m);
    text_printf(&t, "FLOW(a%u, ", c->to);
    if (c->op == G_DENSITY) text_printf(&t, "d%u[%d]", c->to, j);
    else op_text_slope(&t, (graph_op)c->op, c->aux, j, x, c->nargs > 1 ? y : x, z);
    text_puts(&t, ")");
    if (t.failed || snprintf(e, sizeof e, "%s", t.s) >= (int)sizeof e) q->failed = true;
    else put_adjoint(q, c->arg[j].at, e);
    text_free(&t);
  }
}

/* A density that is only a term, of one element. */
static void single_target(plan *q, const instr *c, size_t i)
{
  char name[30], id[30], e[50];
  put_sync(q);
  snprintf(name, sizeof name, "term%zu", i);
  snprintf(id, sizeof id, "_%zu", i);
  single_density(q, c, name, id);
  PUT("  total += %s;\n", name);
  for (int j = 0; j < c->nargs; j++) {
    if (c->arg[j].kind != FROM_SCALAR) continue;
    snprintf(e, sizeof e, "d%s[%d]", id, j);
    put_adjoint(q, c->arg[j].at, e);
  }
  q->o->operations += 30;
}

/* ---- densities with few sorts of parameters ----------------------------------------------------- */

/* Elements a and b have the same constant parameters. */
static bool same_sort(const instr *c, uint32_t a, uint32_t b)
{
  for (int j = 1; j < c->nargs; j++)
    if (c->arg[j].kind == FROM_DATA && memcmp(&c->arg[j].data[a], &c->arg[j].data[b], sizeof(double)))
      return false;
  return true;
}

enum { SORTS = 4 };
/* The first element of each sort; 0: there is one, or too many. */
static int sorts_find(const instr *c, uint32_t first[SORTS])
{
  int n = 0;
  for (uint32_t i = 0; i < c->n; i++) {
    int k = 0;
    while (k < n && !same_sort(c, i, first[k])) k++;
    if (k < n) continue;
    if (n == SORTS) return 0;
    first[n++] = i;
  }
  return n > 1 ? n : 0;
}

/* A density that is a term, for each sort of constant parameters by itself: what follows from them is then
   computed once, by the compiler. */
static void density_target(plan *q, const instr *c)
{
  uint32_t first[SORTS], *e = blocks_get(&q->temp, c->n * sizeof *e);
  int n = sorts_find(c, first);
  if (!e) { q->failed = true; return; }
  if (!n) { loop_density(q, c); return; }
  for (int k = 0; k < n && !q->failed; k++) {
    instr *part = blocks_get(&q->temp, sizeof *part);
    uint32_t m = 0;
    if (!part) { q->failed = true; return; }
    for (uint32_t i = 0; i < c->n; i++)
      if (same_sort(c, i, first[k])) e[m++] = i;
    *part = *c;
    part->n = m;
    for (int j = 0; j < c->nargs; j++) part->arg[j] = plan_part(q, &c->arg[j], e, m, j > 0);
    if (q->failed) return;
    bool single = m == 1;
    for (int j = 0; j < c->nargs; j++) single &= part->arg[j].kind != FROM_GATHER;
    if (single) single_target(q, part, q->p->nfast + q->parts++);
    else loop_density(q, part);
  }
}

/* ---- scans -------------------------------------------------------------------------------------- */

/* Is it one number for all that no step writes. */
static bool is_fixed(const plan *q, const scan *s, const operand *o)
{
  if (o->kind != FROM_SCALAR || q->single[o->at]) return false;
  for (uint32_t k = 0; k < s->P; k++)
    if (o->at - s->column[k].c.to < s->T) return false;
  return true;
}

/* Before the steps: operands that are one number for all, of all columns or of those with derivatives inside.
   A step may not read them behind FLOW's question: NVRTC 13.0 (not 13.5) then reads from another address,
   that number's plus the distance of two of the arrays that the step goes through. */
static void scan_shared(plan *q, const scan *s, bool inner)
{
  for (uint32_t k = 0; k < s->P; k++) {
    const scan_column *c = &s->column[k];
    for (int j = 0; j < c->c.nargs; j++) {
      const operand *o = &c->c.arg[j];
      if (is_fixed(q, s, o) && (c->inner || !inner))
        PUT("    const lanes x%u_%d = V(%u);\n", k, j, q->slot[o->at]);
    }
  }
}

/* Operand j of column k in step t. */
static void scan_operand(plan *q, const loop *l, const scan *s, uint32_t k, int j, char *to)
{
  const operand *o = &s->column[k].c.arg[j];
  bool fixed = is_fixed(q, s, o);
  if (o->kind == FROM_NUMBER || (o->kind == FROM_SCALAR && q->single[o->at])) {
    operand_name(q, o, to);
    return;
  }
  snprintf(to, NAME, "x%u_%d", k, j);
  if (fixed) return;
  if (o->kind == FROM_DATA) PUT("      const lanes %s = D[%u + t];\n", to, plan_data(q, l, o->data));
  else if (o->kind == FROM_GATHER)
    PUT("      const lanes %s = V(I[%u + t]);\n", to, plan_gather(l, o)->table);
  else PUT("      const lanes %s = V(%u%s);\n", to, q->slot[o->at], o->kind == FROM_SCALAR ? "" : " + t");
}

static bool scan_plan(plan *q, const scan *s, loop *l)
{
  const instr **c = blocks_get(&q->temp, s->P * sizeof *c);
  if (!c) return q->failed = true, false;
  for (uint32_t k = 0; k < s->P; k++) c[k] = &s->column[k].c;
  plan_loop(q, l, s->T, c, s->P, false);
  return !q->failed;
}

static void scan_text(plan *q, const scan *s)
{
  loop l;
  char x[NAME], y[NAME] = "";
  if (!scan_plan(q, s, &l)) return;
  put_sync(q);
  PUT("  if (tid == 0) {\n");
  for (size_t i = 0; i < s->nstart; i++) {
    uint32_t from = s->start[i].from;
    if (from & 0x80000000u) put_literal(x, q->p->constant[from & 0x7fffffffu], &q->o->m);
    else place_name(q, x, from);
    PUT("    V(%u) = %s;\n", q->slot[s->start[i].to], x);
  }
  scan_shared(q, s, false);
  PUT("    for (int t = 0; t < %u; t++) {\n", s->T);
  for (uint32_t k = 0; k < s->P; k++) {
    const scan_column *c = &s->column[k];
    scan_operand(q, &l, s, k, 0, x);
    if (c->c.nargs > 1) scan_operand(q, &l, s, k, 1, y);
    PUT("      V(%u + t) = ", q->slot[c->c.to]);
    op_text_value(q->t, (graph_op)c->c.op, c->c.aux, x, y);
    PUT(";\n");
  }
  PUT("    }\n  }\n");
  q->dirty = true;
  q->o->operations += 6.0 * s->T * s->P * q->T;
}

/* The adjoints of what is made in the scan, from the last step to the first. */
static void scan_inner_back(plan *q, const scan *s)
{
  loop l;
  char x[NAME], y[NAME] = "", z[NAME];
  if (!scan_plan(q, s, &l)) return;
  put_sync(q);
  PUT("  if (tid == 0) {\n");
  scan_shared(q, s, true);
  PUT("    for (int t = %u; t >= 0; t--) {\n", s->T - 1);
  for (uint32_t k = s->P; k-- > 0;) {
    const scan_column *c = &s->column[k];
    if (!c->inner) continue;
    PUT("      {\n");
    scan_operand(q, &l, s, k, 0, x);
    if (c->c.nargs > 1) scan_operand(q, &l, s, k, 1, y);
    snprintf(z, sizeof z, "z%u", k);
    PUT("      const lanes z%u = V(%u + t), b%u = A(%u + t);\n", k, q->slot[c->c.to], k, q->slot[c->c.to]);
    for (int j = 0; j < c->c.nargs; j++) {
      if (!(c->inner >> j & 1)) continue;
      PUT("      A(%u + t) += FLOW(b%u, ", q->slot[c->c.arg[j].at], k);
      op_text_slope(q->t, (graph_op)c->c.op, c->c.aux, j, x, c->c.nargs > 1 ? y : x, z);
      PUT(");\n");
    }
    PUT("      }\n");
  }
  PUT("    }\n  }\n");
  q->dirty = true;
}

static void scan_back(plan *q, const scan *s)
{
  char e[40];
  scan_inner_back(q, s);
  put_sync(q);
  for (size_t i = 0; i < s->nstart; i++) {
    if (s->start[i].from & 0x80000000u) continue;
    snprintf(e, sizeof e, "A(%u)", q->slot[s->start[i].to]);
    put_adjoint(q, s->start[i].from, e);
  }
  for (uint32_t k = s->P; k-- > 0;) {
    const scan_column *c = &s->column[k];
    unsigned outside = 0;
    for (int j = 0; j < c->c.nargs; j++)
      if (!(c->inner >> j & 1) && c->c.arg[j].kind < FROM_NUMBER) outside |= 1u << j;
    loop_back(q, &c->c, outside);
  }
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static void put_forward(plan *q)
{
  const program *p = q->p;
  for (size_t i = 0; i < p->nfast && !q->failed; i++) {
    const instr *c = &p->fast[i];
    if (c->op == G_FUSED || (c->op == G_DENSITY && c->target) || q->inlined[i]) continue;
    if (c->op == G_SCAN) scan_text(q, &p->scan[c->aux]);
    else if (c->op == G_PART) call_forward_text(q, c, &p->call[c->aux]);
    else if (c->n == 1) single_forward(q, c);
    else loop_forward(q, c);
  }
}

static void put_guards(plan *q)
{
  static const char *const relation[] = {"<", "<=", "=="};
  const program *p = q->p;
  char x[2][NAME];
  if (p->nguard) put_sync(q);
  for (size_t i = 0; i < p->nguard; i++) {
    const graph_guard *g = &p->guard[i];
    uint32_t at[2] = {g->a, g->b};
    for (int j = 0; j < 2; j++) {
      if (at[j] & 0x80000000u) put_literal(x[j], p->constant[at[j] & 0x7fffffffu], &q->o->m);
      else place_name(q, x[j], at[j]);
    }
    PUT("  if (%s(%s %s %s)) status = 2;\n", g->held ? "!" : "", x[0], relation[g->kind], x[1]);
  }
}

static void put_values(plan *q, const instr *c)
{
  put_sync(q);
  PUT("  {\n    wide s = 0;\n    for (int i = tid; i < %u; i += TT) {\n", c->n);
  PUT("      s += V(%u + i);\n      A(%u + i) = 1;\n    }\n    total += sum_wide(s);\n  }\n",
      q->slot[c->to], q->slot[c->to]);
  q->dirty = true;
}

static void put_targets(plan *q)
{
  const program *p = q->p;
  char name[NAME];
  for (size_t i = 0; i < p->nfast && !q->failed; i++) {
    const instr *c = &p->fast[i];
    if (!c->target) continue;
    if (c->op == G_FUSED) loop_fused(q, &p->fused[c->aux]);
    else if (c->op != G_DENSITY) put_values(q, c);
    else if (c->n == 1) single_target(q, c, i);
    else density_target(q, c);
  }
  put_sync(q);
  for (size_t i = 0; i < p->nterm; i++) {
    place_name(q, name, p->term[i]);
    PUT("  total += %s;\n", name);
    put_adjoint(q, p->term[i], "1");
  }
}

static void put_backward(plan *q)
{
  const program *p = q->p;
  for (size_t i = p->nfast; i-- > 0 && !q->failed;) {
    const instr *c = &p->fast[i];
    if (c->op == G_FUSED || (c->op == G_DENSITY && c->target) || q->inlined[i]) continue;
    if (c->op == G_SCAN) scan_back(q, &p->scan[c->aux]);
    else if (c->op == G_PART) call_back_text(q, c, &p->call[c->aux]);
    else if (c->n == 1) single_back(q, c);
    else loop_back(q, c, instr_variable(c));
  }
}

static void put_all(plan *q)
{
  char base[NAME];
  put_literal(base, q->p->base, &q->o->m);
  PUT("static inline int density_at(lanes *v, const lanes *D, const uint32_t *I, int tid, int64_t stride, "
      "wide *logp)\n{\n  int outside = 0, status = 0;\n  wide total = 0;\n"
      "  (void)D, (void)I, (void)tid, (void)stride;\n");
  PUT("  for (int i = tid; i < NSLOT; i += TT) A(i) = 0;\n");
  q->dirty = true;
  put_forward(q);
  put_guards(q);
  put_targets(q);
  put_backward(q);
  put_sync(q);
  PUT("  for (int i = tid; i < NINPUT; i += TT) outside |= !(v_abs(A(i)) < HUGE_VAL);\n");
  PUT("  total += %s;\n  outside |= !(total > -HUGE_VAL && total < HUGE_VAL);\n", base);
  PUT("  if (any_of(outside) && !status) status = 1;\n");
  PUT("  *logp = status ? -HUGE_VAL : total;\n  return status;\n}\n");
}

bool density_code_new(const program *p, int threads, bool f32, density_code *o)
{
  plan q = {.p = p, .o = o, .t = &o->body, .temp = {.st = p->st}, .f32 = f32, .T = threads};
  text whole;
  memset(o, 0, sizeof *o);
  mem_init(&o->m);
  text_init(&o->body, &o->m);
  o->threads = threads;
  const char *lacks = density_code_lacks(p);
  if (lacks) return snprintf(o->why, sizeof o->why, "%s", lacks), false;
  if (plan_memory(&q)) put_all(&q);
  bool failed = q.failed || o->body.failed;
  o->room = 2 * o->nslot + q.most;
  blocks_free(&q.temp);
  text_init(&whole, &o->m);
  text_printf(&whole, "#undef TT\n#undef NINPUT\n#undef NSLOT\n#undef ROOM\n"
              "#define TT %d\n#define NINPUT %u\n#define NSLOT %u\n#define ROOM %u\n", threads, o->ninput,
              o->nslot, o->room);
  text_puts(&whole, head);
  text_put(&whole, o->body.s ? o->body.s : "", o->body.n);
  failed |= whole.failed;
  text_free(&o->body);
  o->body = whole;
  return !failed;
}

void density_code_free(density_code *o)
{
  text_free(&o->body);
  mem_put(&o->m, o->data, o->cdata * sizeof *o->data);
  mem_put(&o->m, o->index, o->cindex * sizeof *o->index);
  o->data = NULL;
  o->index = NULL;
}
