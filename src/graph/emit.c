/* emit: the scans of a program (program.h) as C text, one function forwards and one backwards for
   each.

   They do what scan.c does, the same operations in the same order, so that it can't be told from
   the numbers which of them ran: the carry stays in variables, and nothing is looked up.  Numbers
   come by pointers; functions that are more than an instruction are those of the library, by a
   table. */
#include "graph/jit.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct text { graph room; char *s; size_t n, cap; bool failed; } text;

__attribute__((format(printf, 2, 3)))
static void put(text *t, const char *format, ...)
{
  va_list args;
  char line[400];
  va_start(args, format);
  int n = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (n < 0 || n >= (int)sizeof line ||
      !graph_room(&t->room, &t->s, &t->cap, t->n + (size_t)n + 1, 1)) {
    t->failed = true;
    return;
  }
  memcpy(t->s + t->n, line, (size_t)n + 1);
  t->n += (size_t)n;
}

/* Steps between the column that operand j of column c comes from and now. */
static uint32_t link_of(const scan *s, const scan_column *c, int j, uint32_t *q)
{
  for (*q = 0; *q < s->P; ++*q) {      /* columns do not overlap, and a start lies before its
                                          column */
    uint32_t to = s->column[*q].c.to, at = c->c.arg[j].at;
    if (at == to) return 0;
  }
  uint32_t best = UINT32_MAX;
  for (uint32_t k = 0; k < s->P; k++) {
    uint32_t lag = s->column[k].c.to - c->c.arg[j].at;
    if (lag < best) { best = lag; *q = k; }
  }
  return best;
}

static bool is_shared(const operand *o) { return o->kind == FROM_SCALAR || o->kind == FROM_NUMBER; }

/* The lags at which a column is read, as bits: 1: this step, 2: the step before, 4: earlier. */
static unsigned lags_of(const scan *s, uint32_t column)
{
  unsigned bits = 0;
  for (uint32_t q = 0; q < s->P; q++)
    for (int j = 0; j < s->column[q].c.nargs; j++) {
      uint32_t of, lag;
      if (!(s->column[q].inner >> j & 1)) continue;
      lag = link_of(s, &s->column[q], j, &of);
      if (of == column) bits |= lag == 0 ? 1 : lag == 1 ? 2 : 4;
    }
  return bits;
}

/* ---- forwards -------------------------------------------------------------------------------- */

static void put_operand(text *t, const scan *s, uint32_t q, int j, char *name, size_t size)
{
  const scan_column *c = &s->column[q];
  uint32_t of;
  (void)t;
  if (!(c->inner >> j & 1))
    snprintf(name, size, is_shared(&c->c.arg[j]) ? "s%u_%d" : "a%u_%d[t]", q, j);
  else if (link_of(s, c, j, &of) == 0) snprintf(name, size, "w%u", of);
  else if (link_of(s, c, j, &of) == 1) snprintf(name, size, "c%u", of);
  else snprintf(name, size, "v[%u + t]", c->c.arg[j].at);
}

static void put_value(text *t, const instr *c, const char *x, const char *y)
{
  switch (c->op) {
  case G_ADD: put(t, "%s + %s", x, y); break;
  case G_SUB: put(t, "%s - %s", x, y); break;
  case G_MUL: put(t, "%s * %s", x, y); break;
  case G_DIV: put(t, "%s / %s", x, y); break;
  case G_NEG: put(t, "-%s", x); break;
  case G_MIN: put(t, "%s < %s ? %s : %s", x, y, x, y); break;
  case G_MAX: put(t, "%s > %s ? %s : %s", x, y, x, y); break;
  case G_LT: put(t, "%s < %s ? 1.0 : 0.0", x, y); break;
  case G_LE: put(t, "%s <= %s ? 1.0 : 0.0", x, y); break;
  case G_EQ: put(t, "%s == %s ? 1.0 : 0.0", x, y); break;
  case G_WHEN: put(t, "%s != 0 ? %s : 0.0", x, y); break;
  case G_UNLESS: put(t, "%s == 0 ? %s : 0.0", x, y); break;
  case G_OR_ONE: put(t, "%s != 0 ? %s : 1.0", x, y); break;
  case G_SQUARE: put(t, "%s * %s", x, x); break;
  case G_SQRT: put(t, "__builtin_sqrt(%s)", x); break;
  case G_ABS: put(t, "__builtin_fabs(%s)", x); break;
  case G_INV: put(t, "1 / %s", x); break;
  case G_FUN1: put(t, "m->fun[%u].f(%s)", (unsigned)c->aux, x); break;
  default: put(t, "m->op[%u](%s, %s)", c->op, x, c->nargs > 1 ? y : "0"); break;
  }
}

static void put_forward(text *t, const scan *s, size_t k)
{
  put(t, "void norn_forward_%zu(double *v, const double *const *in, const struct norn_math *m)\n",
      k);
  put(t, "{\n");
  put(t, "  (void)in, (void)m;\n");
  for (uint32_t q = 0; q < s->P; q++) {
    for (int j = 0; j < s->column[q].c.nargs; j++) {
      if (s->column[q].inner >> j & 1) continue;
      if (is_shared(&s->column[q].c.arg[j]))
        put(t, "  const double s%u_%d = *in[%u];\n", q, j, 2 * q + (unsigned)j);
      else put(t, "  const double *a%u_%d = in[%u];\n", q, j, 2 * q + (unsigned)j);
    }
    if (lags_of(s, q) & 2) put(t, "  double c%u = v[%u];\n", q, s->column[q].c.to - 1);
  }
  put(t, "  for (long t = 0; t < %u; t++) {\n", s->T);
  for (uint32_t q = 0; q < s->P; q++) {
    char x[40], y[40] = "0";
    put_operand(t, s, q, 0, x, sizeof x);
    if (s->column[q].c.nargs > 1) put_operand(t, s, q, 1, y, sizeof y);
    put(t, "    const double w%u = ", q);
    put_value(t, &s->column[q].c, x, y);
    put(t, ";\n    v[%u + t] = w%u;\n", s->column[q].c.to, q);
  }
  for (uint32_t q = 0; q < s->P; q++)
    if (lags_of(s, q) & 2) put(t, "    c%u = w%u;\n", q, q);
  put(t, "  }\n}\n");
}

/* ---- backwards ------------------------------------------------------------------------------- */

static void put_edge(text *t, const scan *s, size_t i)
{
  const scan_edge *e = &s->edge[i];
  const scan_column *c = &s->column[e->column];
  uint32_t of, lag = link_of(s, c, (int)e->operand, &of);
  if (lag == 0) put(t, "    d%u", of);
  else if (lag == 1) put(t, "    n%u", of);
  else put(t, "    g[%u + t]", e->to);
  if (e->sign != 0) put(t, " %s= d%u;\n", e->sign > 0 ? "+" : "-", e->column);
  else if (jit_shared_slope(c, (int)e->operand)) put(t, " += d%u * e%zu;\n", e->column, i);
  else put(t, " += d%u * e%zu[t];\n", e->column, i);
}

static void put_backward(text *t, const scan *s, size_t k)
{
  put(t, "void norn_backward_%zu(double *g, const double *const *slope)\n{\n  (void)slope;\n", k);
  for (size_t i = 0; i < s->nedge; i++) {
    if (s->edge[i].sign != 0) continue;
    bool shared = jit_shared_slope(&s->column[s->edge[i].column], (int)s->edge[i].operand);
    put(t, shared ? "  const double e%zu = *slope[%zu];\n" : "  const double *e%zu = slope[%zu];\n",
        i, i);
  }
  for (uint32_t q = 0; q < s->P; q++)
    if (lags_of(s, q) & 2) put(t, "  double n%u = g[%u];\n", q, s->column[q].c.to + s->T - 1);
  put(t, "  for (long t = %u; t >= 0; t--) {\n", s->T - 1);
  for (uint32_t q = 0; q < s->P; q++) {
    uint32_t to = s->column[q].c.to;
    if (lags_of(s, q) & 2) put(t, "    double d%u = n%u;\n    n%u = g[%u + t];\n", q, q, q, to - 1);
    else put(t, "    double d%u = g[%u + t];\n", q, to);
  }
  for (size_t i = 0; i < s->nedge; i++) put_edge(t, s, i);
  for (uint32_t q = 0; q < s->P; q++)
    if (lags_of(s, q) & 3) put(t, "    g[%u + t] = d%u;\n", s->column[q].c.to, q);
  put(t, "  }\n");
  for (uint32_t q = 0; q < s->P; q++)
    if (lags_of(s, q) & 2) put(t, "  g[%u] = n%u;\n", s->column[q].c.to - 1, q);
  put(t, "}\n");
}

char *jit_text(const program *p, size_t *n, size_t *size)
{
  text t = {.room = {.st = p->st}};
  put(&t, "/* norn %s, operations %d: loops with a carry */\n", norn_version(), G_COUNT);
  put(&t, "struct norn_fun { const char *name; int op; double (*f)(double); "
          "double (*slope)(double, double); };\n"
          "struct norn_math { double (*const *op)(double, double); "
          "const struct norn_fun *fun; };\n");
  for (size_t k = 0; k < p->nscan; k++) {
    if (!jit_wants(&p->scan[k])) continue;
    put_forward(&t, &p->scan[k], k);
    put_backward(&t, &p->scan[k], k);
  }
  *n = t.n;
  *size = t.cap;
  if (!t.failed) return t.s;
  norn_clear(p->st);                 /* that there was no memory is no error here */
  norn_alloc(p->st, t.s, t.cap, 0);
  return NULL;
}
