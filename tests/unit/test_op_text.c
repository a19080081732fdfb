/* test_op_text: the text of every operation, function and family gives what the executors compute: the C
   compiler makes functions of it, which are compared with exec_one and the rows, domains with check1;
   NORN_MEMO remembers and gives the same bits. */
#include "graph/op_text.h"
#include "dist/dist.h"
#include "graph/dialect.h"
#include "graph/level.h"
#include "graph/record.h"
#include "num/rng.h"
#include "compiled.h"
#include "unit.h"

static const norn_dist_row *rows[64];
static int nrow;

static void rows_find(void)
{
  int n, np;
  const dist_shelf *const *shelves = dist_shelves(&n);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < shelves[i]->n; k++)
      if (op_text_family(&shelves[i]->rows[k], &np)) rows[nrow++] = &shelves[i]->rows[k];
}

/* ---- text -------------------------------------------------------------------------------------- */

static void put_op(text *t, graph_op op, uint64_t aux, const char *name)
{
  text_printf(t, "void op_%s(double x, double y, double *out)\n{\n  lanes z = ", name);
  op_text_value(t, op, aux, "x", "y");
  text_printf(t, ";\n  out[0] = z;\n  out[1] = ");
  op_text_slope(t, op, aux, 0, "x", "y", "z");
  text_printf(t, ";\n");
  if (op != G_FUN1) {
    text_printf(t, "  out[2] = ");
    op_text_slope(t, op, aux, 1, "x", "y", "z");
    text_printf(t, ";\n");
  }
  text_printf(t, "}\n");
}

static void put_family(text *t, const norn_dist_row *row, bool memo)
{
  static const char *const arg[] = {"a[0]", "a[1]", "a[2]", "a[3]"};
  int np;
  const char *name = op_text_family(row, &np);
  if (!memo) {
    text_printf(t, "double logp_%s(const double *a) { return ", name);
    op_text_logp(t, row, "NORN_KEEP_ALL", arg);
    text_printf(t, "; }\ndouble partials_%s(const double *a, double *d) { return ", name);
    op_text_partials(t, row, "NORN_KEEP_ALL", arg, "d");
    text_printf(t, "; }\nint inside_%s(const double *a) { return ", name);
    op_text_domain(t, row, arg);
    text_printf(t, "; }\n");
    return;
  }
  text_printf(t, "void memo_%s(int n, unsigned many, const double *in, double *d, double *logp)\n{\n", name);
  text_printf(t, "  struct term_memo memo = {many};\n  terms t = &memo;\n  double a[4];\n");
  text_printf(t, "  for (int k = 0; k < n; k++) {\n");
  text_printf(t, "    for (int i = 0; i < 4; i++) a[i] = in[(many >> i & 1 ? 4 * k : 0) + i];\n"
                 "    logp[k] = ");
  op_text_partials(t, row, "t", arg, "d + 4 * k");
  text_printf(t, ";\n  }\n}\n");
}

static void put_all(text *t, bool memo)
{
  text_printf(t, "%s#define NORN_OP_FUNCTIONS\n", memo ? "#define NORN_MEMO\n" : "");
  text_put(t, dialect_text(false), dialect_size(false));
  for (int op = G_ADD; op < G_FUN1 && !memo; op++) put_op(t, (graph_op)op, 0, graph_op_names[op]);
  for (int i = 0; graph_functions[i].name && !memo; i++)
    if (graph_functions[i].op == G_FUN1) put_op(t, G_FUN1, (uint64_t)i, graph_functions[i].name);
  for (int i = 0; i < nrow; i++) put_family(t, rows[i], memo);
}

/* ---- comparison -------------------------------------------------------------------------------- */

static bool same(double a, double b) { return v_bits(a) == v_bits(b) || (a != a && b != b); }

static const double some[] = {0, 1, -1, 2, 0.5, HUGE_VAL, -HUGE_VAL, 1e300, 1e-310, 3, -0.7, 15.25, -0.0,
                              40.5,                             -730, 0.999, 1e-8, NAN};

static void check_op(void *object, graph_op op)
{
  void (*f)(double, double, double *);
  char name[40];
  snprintf(name, sizeof name, "op_%s", graph_op_names[op]);
  COMPILED(object, name, f);
  if (!f) { CHECK(f); return; }
  bool good = true;
  for (int i = 0; i < 18; i++)
    for (int j = 0; j < 18; j++) {
      double x = some[i], y = some[j], z, one = 1, dx, dy, out[3];
      exec_args a = {.op = op, .n = 1, .x = &x, .y = &y, .out = &z};
      exec_one.forward(&a);
      a = (exec_args){.op = op, .n = 1, .x = &x, .y = &y, .z = &z, .out = &one, .dx = &dx, .dy = &dy};
      exec_one.slopes(&a);
      f(x, y, out);
      if (same(out[0], z) && same(out[1], dx) && same(out[2], dy)) continue;
      if (good) fprintf(stderr, "  %s(%g, %g)\n", name, x, y);
      good = false;
    }
  CHECK(good);
}

/* Functions of GSL on the host are other code here: near. */
static void check_function(void *object, const graph_fun *fun)
{
  void (*f)(double, double, double *);
  char name[40];
  snprintf(name, sizeof name, "op_%s", fun->name);
  COMPILED(object, name, f);
  if (!f) { CHECK(f); return; }
  bool good = true;
  for (int i = 0; i < 18; i++) {
    double x = some[i], out[3], z = fun->f(x), d = fun->slope(x, z);
    f(x, 0, out);
    bool ok = (same(out[0], z) || fabs(out[0] - z) <= 1e-14 * fabs(z)) &&
              (same(out[1], d) || fabs(out[1] - d) <= 1e-14 * fabs(d) + 1e-300);
    if (!ok) fprintf(stderr, "  %s(%g): %.17g %.17g is not %.17g %.17g\n", name, x, out[0], out[1], z, d);
    good &= ok;
  }
  CHECK(good);
}

static void some_parameters(const norn_dist_row *row, norn_rng *g, double *p)
{
  static const double from[] = {0.3, 1, 2.5, 12, 150, -3, 0.01, 7, 0.9, 31, 1e-5, 1e6, 0.5, 4};
  int which;
  do
    for (int i = 0; i < NORN_DIST_P; i++) p[i] = from[norn_rng_below(g, 14)];
  while (row->check1(p, &which));
}

static double some_value(const norn_dist_row *row, norn_rng *g, const double *p)
{
  return norn_rng_below(g, 4) ? row->sample1(p, g) : some[norn_rng_below(g, 17)];
}

static void check_family(void *object, const norn_dist_row *row, norn_rng *g)
{
  double (*logp)(const double *), (*partials)(const double *, double *);
  int (*inside)(const double *), np, which;
  char name[60];
  const char *family = op_text_family(row, &np);
  snprintf(name, sizeof name, "logp_%s", family);
  COMPILED(object, name, logp);
  snprintf(name, sizeof name, "partials_%s", family);
  COMPILED(object, name, partials);
  snprintf(name, sizeof name, "inside_%s", family);
  COMPILED(object, name, inside);
  if (!logp || !partials || !inside) { CHECK(0); return; }
  int wrong = 0;
  for (int k = 0; k < 300; k++) {
    double a[1 + NORN_DIST_P], d[1 + NORN_DIST_P], e[1 + NORN_DIST_P];
    some_parameters(row, g, a + 1);
    a[0] = some_value(row, g, a + 1);
    wrong |= !same(logp(a), row->logp1(a[0], a + 1));
    wrong |= (!same(partials(a, d), row->partials1(a[0], a + 1, e))) << 1;
    for (int i = 0; i <= np; i++) wrong |= (!same(d[i], e[i])) << 2;
    for (int i = 0; i < NORN_DIST_P; i++) a[1 + i] = some[norn_rng_below(g, 18)];
    wrong |= (!inside(a)) != (row->check1(a + 1, &which) != NULL) ? 8 : 0;
  }
  if (wrong) fprintf(stderr, "  %s: %d\n", family, wrong);
  CHECK(!wrong);
}

static void check_memo(void *object, const norn_dist_row *row, norn_rng *g)
{
  enum { N = 60 };
  void (*f)(int, unsigned, const double *, double *, double *);
  char name[60];
  int np, wrong = 0;
  snprintf(name, sizeof name, "memo_%s", op_text_family(row, &np));
  COMPILED(object, name, f);
  if (!f) { CHECK(f); return; }
  for (unsigned many = 0; many < 2u << np; many++) {
    double in[N][4], d[N][4], logp[N], p[4], e[5];
    for (int k = 0; k < N; k++) {
      some_parameters(row, g, p);
      in[k][0] = some_value(row, g, p);
      memcpy(in[k] + 1, p, 3 * sizeof *p);
    }
    f(N, many, in[0], d[0], logp);
    for (int k = 0; k < N; k++) {
      for (int i = 0; i < np; i++) p[i] = in[many >> (i + 1) & 1 ? k : 0][i + 1];
      int which;
      if (row->check1(p, &which)) continue;              /* of a mixture of two */
      wrong |= !same(logp[k], row->partials1(in[many & 1 ? k : 0][0], p, e));
      for (int i = 0; i <= np; i++) wrong |= (!same(d[k][i], e[i])) << 1;
    }
  }
  if (wrong) fprintf(stderr, "  memo of %s: %d\n", name, wrong);
  CHECK(!wrong);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  mem memory;
  text t, m;
  norn_rng g = {.stream = 5};
  mem_init(&memory);
  text_init(&t, &memory);
  text_init(&m, &memory);
  rows_find();
  CHECK(nrow >= 40);
  put_all(&t, false);
  put_all(&m, true);
  CHECK(!t.failed && !m.failed);
  void *object = compiled(t.s, t.n, ""), *memo = compiled(m.s, m.n, "");
  CHECK(object && memo);
  for (int op = G_ADD; object && op < G_FUN1; op++) check_op(object, (graph_op)op);
  for (int i = 0; object && graph_functions[i].name; i++)
    if (graph_functions[i].op == G_FUN1) check_function(object, &graph_functions[i]);
  for (int i = 0; object && i < nrow; i++) check_family(object, rows[i], &g);
  for (int i = 0; memo && i < nrow; i++) check_memo(memo, rows[i], &g);
  CHECK(op_text_lacks(G_PART, 0) && !op_text_lacks(G_EXP, 0));
  if (object) dlclose(object);
  if (memo) dlclose(memo);
  text_free(&t);
  text_free(&m);
  norn_free(st);
  return unit_end();
}
