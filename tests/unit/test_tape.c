/* test_tape: every operation of a graph on a tape: values against the graph's own, derivatives in
   directions and adjoints against differences; guards; what depends on parameters only. */
#include "norn.h"
#include "graph/record.h"
#include "graph/tape.h"
#include "unit.h"
#include <stdlib.h>

static norn_state *st;

/* A value of each operation at x, y; both of which are positive. */
static norn_datum of_op(graph *g, graph_op op, norn_datum x, norn_datum y)
{
  norn_datum p[2] = {y, x}, out[2], in[2] = {x, y};
  switch (op) {
  case G_ADD: case G_SUB: case G_MUL: case G_DIV: case G_POW: case G_MIN: case G_MAX:
  case G_LT: case G_LE: case G_EQ: case G_WHEN: case G_UNLESS: case G_OR_ONE:
  case G_LOG_ADD_EXP: return graph_op2(g, op, x, y);
  case G_FUN1: return graph_math(g, "lgamma", special_lgamma, x);
  case G_DENSITY: {
    norn_datum d;
    norn_dist row;
    norn_call(st, norn_global(st, "d"), NULL, 0, &d);
    norn_dist_view(d, &row);
    return graph_density(g, row.row, x, p, 2, false);
  }
  case G_PART: {
    double m[4] = {1, 2, -3, 0.5}, v[2];
    norn_view a = {.elem = NORN_F64, .rank = 2, .n = 4, .dims = {2, 2}, .f = m};
    graph_matvec(g, &a, in, v, out);
    return graph_op2(g, G_MUL, out[0], out[1]);
  }
  default: return graph_op1(g, op, x);
  }
}

static tape *tape_of(graph_op op, double x, double p, double *value)
{
  graph *g = graph_new(st);
  norn_datum a = graph_input(g, x), b = graph_input(g, p);
  /* once of what varies and the parameter, once of parameters only, once of numbers too */
  norn_datum out[3] = {of_op(g, op, a, b), of_op(g, op, b, graph_op1(g, G_SQUARE, b)),
                       of_op(g, op, graph_op2(g, G_ADD, a, norn_real(0.5)), norn_real(1.5))};
  for (int i = 0; i < 3; i++) value[i] = out[i].d;
  return graph_tape(g, 1, out, 3);
}

static void check_op(graph_op op)
{
  double x = 0.8, p = 1.3, was[3], out[3], low[3], high[3], d[6], gin[2];
  const double h = 1e-6;
  const int32_t lane[1] = {1};
  bool room;
  int before = unit.failed;
  tape *t = tape_of(op, x, p, was);
  CHECK(t != NULL);
  if (!t) return;
  CHECK(tape_params(t, &p, 2, lane, &room) == TAPE_OK && room);
  CHECK(tape_eval(t, &x, out) == TAPE_OK);
  for (int i = 0; i < 3; i++) CHECK_NEAR(out[i], was[i], 1e-14 * (1 + fabs(was[i])));
  double dx[2] = {1, 0};
  CHECK(tape_tangent(t, &x, 0, dx, out, d) == TAPE_OK);
  for (int k = 0; k < 2; k++) {                  /* by x, then by p */
    double at = k ? p : x;
    for (int side = -1; side <= 1; side += 2) {
      double moved = at + side * h;
      if (k) tape_params(t, &moved, 0, NULL, &room);
      tape_eval(t, k ? &x : &moved, side < 0 ? low : high);
    }
    tape_params(t, &p, 2, lane, &room);
    for (int i = 0; i < 3; i++) {
      double slope = (high[i] - low[i]) / (2 * h);
      CHECK_NEAR(d[2 * i + k], slope, 1e-7 * (1 + fabs(slope)));
    }
  }
  tape_eval(t, &x, out);
  for (int i = 0; i < 3; i++) {
    double gout[3] = {0};
    gout[i] = 1;
    tape_adjoint(t, gout, gin);
    CHECK_NEAR(gin[0], d[2 * i], 1e-13 * (1 + fabs(d[2 * i])));
    CHECK_NEAR(gin[1], d[2 * i + 1], 1e-13 * (1 + fabs(d[2 * i + 1])));
  }
  if (unit.failed > before) fprintf(stderr, "  %s\n", graph_op_names[op]);
  graph_tape_free(t);
}

/* x < p and x^2 < 1 at 0.5, 2: one guard is known before the steps, one after. */
static void guards(void)
{
  graph *g = graph_new(st);
  double p = 2, x = 0.5, out;
  bool room;
  norn_datum a = graph_input(g, x), b = graph_input(g, p), c = graph_input(g, 7);
  CHECK(graph_compare(g, GUARD_LT, a, b));
  CHECK(graph_compare(g, GUARD_LT, graph_op1(g, G_SQUARE, a), norn_real(1)));
  norn_datum sum = graph_op2(g, G_ADD, a, b);
  (void)c;
  tape *t = graph_tape(g, 1, &sum, 1);
  double params[2] = {2, 7};
  CHECK(t && tape_reads(t, 0) && tape_reads(t, 1) && !tape_reads(t, 2));
  CHECK(tape_params(t, params, 0, NULL, &room) == TAPE_OK);
  CHECK(tape_eval(t, &x, &out) == TAPE_OK && out == 2.5);
  x = 1.5;
  CHECK(tape_eval(t, &x, &out) == TAPE_GUARD);
  x = 0.5;
  params[0] = 0.25;
  CHECK(tape_params(t, params, 0, NULL, &room) == TAPE_OK);
  CHECK(tape_eval(t, &x, &out) == TAPE_GUARD);
  x = 0.125;
  CHECK(tape_eval(t, &x, &out) == TAPE_OK && out == 0.375);
  graph_tape_free(t);
}

int main(void)
{
  norn_datum v;
  const char *text = "fn d() = normal(0.5, 2)";
  st = norn_new(NULL);
  CHECK(norn_eval(st, "d.norn", text, strlen(text), 0, &v) == NORN_OK);
  for (int op = G_PART; op < G_COUNT; op++) check_op((graph_op)op);
  guards();
  norn_free(st);
  return unit_end();
}
