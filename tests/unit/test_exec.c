/* test_exec: recorded programs below the language.  Of elementwise operations each width gives the bits of single
   numbers, for values and derivatives, at every length; derivatives are what differences give; and an
   adjoint of 0 brings 0 through any derivative. */
#include "graph/level.h"
#include "num/level.h"
#include "num/rng.h"
#include "unit.h"
#include <math.h>
#include <string.h>

enum { MOST = 37, ROOM = MOST + 8 };

static const exec_level *const levels[] = {
  &exec_base,
#ifdef HAVE_X86_LEVELS
  &exec_avx2, &exec_avx512,
#endif
};

static bool is_elementwise(int op) { return op >= G_ADD && op < G_FUN1; }
static bool has_two(int op) { return op <= G_LOG_ADD_EXP; }

/* A point inside of the domain of op. */
static double point(int op, norn_rng *g)
{
  double x = 2 * norn_rng_normal(g);
  return op == G_POW || op == G_LOG || op == G_SQRT || op == G_LOG1P ? fabs(x) + 0.1 : x;
}

typedef struct numbers { double x[ROOM], y[ROOM], z[ROOM], g[ROOM], dx[ROOM], dy[ROOM]; } numbers;

static void run(const exec_level *level, int op, int64_t n, int sx, int sy, numbers *a)
{
  exec_args f = {.op = op, .n = n, .x = a->x, .sx = sx, .sy = sy, .out = a->z};
  if (has_two(op)) f.y = a->y;
  level->forward(&f);
  f.z = a->z;
  f.out = a->g;
  f.dx = a->dx;
  f.dy = has_two(op) ? a->dy : NULL;
  level->slopes(&f);
}

static int differ(const double *a, const double *b, int64_t n)
{
  int bad = 0;
  for (int64_t i = 0; i < n; i++)
    bad += memcmp(&a[i], &b[i], 8) != 0 && !(a[i] != a[i] && b[i] != b[i]);
  return bad;
}

static void check_bits(int op, norn_rng *g)
{
  static const double edges[] = {0.0, -0.0, 1, -1, HUGE_VAL, -HUGE_VAL, NAN, 1e-310, 800, -800, 2};
  numbers one = {.x = {0}}, many;
  for (int64_t n = 1; n <= MOST; n++) {
    for (int i = 0; i < ROOM; i++) {
      one.x[i] = i % 3 ? point(op, g) : edges[norn_rng_below(g, 11)];
      one.y[i] = i % 5 ? point(op, g) : edges[norn_rng_below(g, 11)];
      one.g[i] = i % 7 ? norn_rng_normal(g) : 0;
    }
    int sx = n % 4 != 1, sy = n % 4 != 2;
    for (size_t k = 0; k < sizeof levels / sizeof *levels; k++) {
      if (!level_has((int)k)) continue;
      many = one;
      run(&exec_one, op, n, sx, sy, &one);
      run(levels[k], op, n, sx, sy, &many);
      CHECK(differ(one.z, many.z, n) == 0);
      CHECK(differ(one.dx, many.dx, n) == 0);
      if (has_two(op)) CHECK(differ(one.dy, many.dy, n) == 0);
      for (int64_t i = 0; i < n; i++)
        if (one.g[i] == 0) CHECK(many.dx[i] == 0 && (!has_two(op) || many.dy[i] == 0));
    }
  }
}

static double value(int op, double x, double y)
{
  double z;
  exec_one.forward(&(exec_args){.op = op, .n = 1, .x = &x, .y = &y, .out = &z});
  return z;
}

static void check_slopes(int op, norn_rng *g)
{
  for (int i = 0; i < 50; i++) {
    const double h = 1e-5;
    numbers a = {.x = {point(op, g)}, .y = {point(op, g)}, .g = {1.5}};
    double x = a.x[0], y = a.y[0];
    if (fabs(x) < 0.01 || fabs(y) < 0.01 || fabs(x - y) < 0.01) continue;   /* kinks, poles */
    run(&exec_one, op, 1, 1, 1, &a);
    double ex = 1.5 * (value(op, x + h, y) - value(op, x - h, y)) / (2 * h);
    double ey = 1.5 * (value(op, x, y + h) - value(op, x, y - h)) / (2 * h);
    CHECK(fabs(a.dx[0] - ex) <= 1e-5 * (1 + fabs(ex)));
    if (has_two(op)) CHECK(fabs(a.dy[0] - ey) <= 1e-5 * (1 + fabs(ey)));
  }
}

/* h' = b h + t, 50 times, and what becomes of it: one scan, affine; its derivative by hand. */
static void check_chain(norn_state *st)
{
  graph *g = graph_new(st);
  double u[2] = {0.9, 1.5}, grad[2], logp, h = u[1], db = 0, dh = 1;
  size_t blame;
  norn_datum b = graph_input(g, u[0]), x = graph_input(g, u[1]);
  for (int t = 0; t < 50; t++) {
    x = graph_op2(g, G_ADD, graph_op2(g, G_MUL, b, x), norn_real(t));
    db = h + u[0] * db;
    dh *= u[0];
    h = u[0] * h + t;
  }
  graph_target(g, graph_op1(g, G_SQUARE, x), (norn_span){0, 0, 0});
  program *p = program_new(g);
  program_stats s;
  program_stats_of(p, &s);
  CHECK(s.scans == 1 && s.affine == 1 && s.longest >= 48 && s.us > 0.1 && s.us < 10);
  CHECK(program_scans(p) == 1 && program_scan_at(p, 0).operations == 2);
  CHECK(s.count[G_SQUARE] == 1 && s.elements_of[G_MUL] == 50);
  CHECK(program_eval(p, u, &logp, grad, &blame) == EVAL_OK && logp == h * h);
  CHECK(fabs(grad[0] - 2 * h * db) < 1e-12 * fabs(grad[0]));
  CHECK(fabs(grad[1] - 2 * h * dh) < 1e-12 * fabs(grad[1]));
  program_free(p);
  graph_free(g);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  check_chain(st);
  norn_free(st);
  norn_rng g = {.stream = 11};
  for (int op = 0; op < G_COUNT; op++) {
    if (!is_elementwise(op)) continue;
    check_bits(op, &g);
    check_slopes(op, &g);
  }
  return unit_end();
}
