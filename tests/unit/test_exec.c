/* test_exec: recorded programs below the language.  Of elementwise operations each width gives the
   bits of single numbers, for values and derivatives, at every length; derivatives are what
   differences give; and an adjoint of 0 brings 0 through any derivative.  Loops with a carry whose
   steps were made up are found as scans, have the derivatives of differences, and give the same
   bits as code of the C compiler, if there is one. */
#include "dist/dist.h"
#include "graph/level.h"
#include "num/level.h"
#include "num/rng.h"
#include "unit.h"
#include <math.h>
#include <stdlib.h>
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

/* Sums, products with columns of which some are ones, and runs of one place: each width gives the bits of single
   numbers at every length, and runs those of a loop. */
static void check_sums(norn_rng *r)
{
  enum { COLS = 11 };
  static double col[COLS][ROOM], g[ROOM];
  const double *list[COLS];
  for (int c = 0; c < COLS; c++) {
    for (int i = 0; i < ROOM; i++) col[c][i] = norn_rng_normal(r);
    list[c] = c == 3 || c == 10 ? NULL : col[c];
  }
  for (int i = 0; i < ROOM; i++) g[i] = norn_rng_normal(r);
  for (int64_t n = 1; n <= MOST; n++) {
    for (uint32_t m = 1; m <= COLS; m++) {
      const double *each[] = {col[0], col[1], col[2], col[3], g};
      double one[5], many[5], want[COLS + 1], got[COLS + 1];
      linear_args a = {.n = n, .terms = m, .col = list, .g = g, .db = memset(want, 0, sizeof want), .sum = want + COLS};
      exec_one.dots(&a);
      CHECK(want[COLS] == exec_one.sum(g, n));
      exec_one.sums(each, 1 + (int)m % 5, n, one);
      for (size_t k = 0; k < sizeof levels / sizeof *levels; k++) {
        if (!level_has((int)k)) continue;
        a.db = memset(got, 0, sizeof got);
        a.sum = m % 2 ? got + COLS : NULL;
        levels[k]->dots(&a);
        levels[k]->sums(each, 1 + (int)m % 5, n, many);
        CHECK(differ(want, got, m) == 0 && (!a.sum || got[COLS] == want[COLS]));
        CHECK(differ(one, many, 1 + (int)m % 5) == 0);
      }
    }
  }
}

static void check_runs(norn_rng *r)
{
  enum { PLACES = 5 };
  for (int64_t n = 1; n <= MOST; n++) {
    double value[PLACES], d[ROOM], out[ROOM], want[PLACES], got[PLACES];
    uint32_t place[MOST], end[MOST], at = 0;
    runs_args a = {place, end, 0};
    for (int i = 0; i < ROOM; i++) d[i] = i < n ? norn_rng_normal(r) : NAN;
    for (int i = 0; i < PLACES; i++) value[i] = norn_rng_normal(r);
    memcpy(want, value, sizeof want);
    while (at < n) {
      uint32_t from = at;
      double s[4] = {0, 0, 0, 0};
      at += 1 + (uint32_t)norn_rng_below(r, 12);
      at = at > n ? (uint32_t)n : at;
      for (uint32_t i = from; i < at; i++) s[i & 3] += d[i];
      place[a.n] = (uint32_t)norn_rng_below(r, PLACES);
      want[place[a.n]] += (s[0] + s[2]) + (s[1] + s[3]);
      end[a.n++] = at;
    }
    for (size_t k = 0; k < sizeof levels / sizeof *levels; k++) {
      if (!level_has((int)k)) continue;
      memcpy(got, value, sizeof got);
      levels[k]->runs(value, &a, out);
      levels[k]->runs_sum(d, &a, got);
      CHECK(differ(want, got, PLACES) == 0);
      for (uint32_t i = 0, j = 0; i < n; i++) CHECK(out[i] == value[place[j += i == end[j]]]);
    }
  }
}

/* Rows of a hundred groups in their order, more than a chunk of them, with a mean for each: runs of 1 to 40; their
   derivatives by hand. */
static void check_groups(norn_state *st, norn_rng *r, bool ordered)
{
  enum { GROUPS = 100, ROWS = 1403 };
  graph *g = graph_new(st);
  double u[GROUPS + 1], grad[GROUPS + 1], want[GROUPS + 1] = {0}, logp, sum = 0;
  norn_datum in[GROUPS + 1];
  size_t blame;
  int group = 0, left = 5;
  for (int i = 0; i <= GROUPS; i++) in[i] = graph_input(g, u[i] = 0.5 + norn_rng_uniform(r));
  for (int i = 0; i < ROWS; i++) {
    if (!left--) group += group < GROUPS - 1, left = (int)norn_rng_below(r, 28);
    int k = ordered ? group : (int)norn_rng_below(r, GROUPS);
    norn_datum p[2] = {in[k], in[GROUPS]};
    norn_dist d = {dist_find("normal"), p, 2};
    double y = norn_rng_normal(r), s = u[GROUPS], z = (y - u[k]) / s;
    CHECK(graph_observe(g, &d, norn_real(y), (norn_span){0, 0, 0}));
    sum -= 0.5 * z * z + log(s) + 0.91893853320467274178;
    want[k] += z / s;
    want[GROUPS] += (z * z - 1) / s;
  }
  program *c = program_new(g);
  CHECK(c && program_eval(c, u, &logp, grad, &blame) == EVAL_OK && fabs(logp - sum) < 1e-13 * fabs(sum));
  for (int i = 0; i <= GROUPS; i++) CHECK(fabs(grad[i] - want[i]) < 1e-12 * (1 + fabs(want[i])));
  program_free(c);
  graph_free(g);
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

static void count_terms(void *user, const program_part *part)
{
  uint32_t *most = user;
  if (part->kind == PART_TERM && part->n > *most) *most = part->n;
}

/* Rows of data of which many are equal are added as a whole: 60 rows of three kinds, their derivatives by hand. */
static void check_equal_rows(norn_state *st)
{
  enum { ROWS = 60 };
  graph *g = graph_new(st);
  double u[2] = {0.3, 1.2}, grad[2], logp, sum = 0, dm = 0, ds = 0;
  size_t blame;
  uint32_t most = 0;
  norn_datum p[2] = {graph_input(g, u[0]), graph_input(g, u[1])};
  norn_dist d = {dist_find("normal"), p, 2};
  for (int i = 0; i < ROWS; i++) {
    double y = i % 3, z = (y - u[0]) / u[1];
    CHECK(graph_observe(g, &d, norn_real(y), (norn_span){0, 0, 0}));
    sum -= 0.5 * z * z + log(u[1]) + 0.91893853320467274178;
    dm += z / u[1];
    ds += (z * z - 1) / u[1];
  }
  program *c = program_new(g);
  CHECK(program_parts(c, g, count_terms, &most) && most == ROWS);
  CHECK(program_eval(c, u, &logp, grad, &blame) == EVAL_OK && fabs(logp - sum) < 1e-13 * fabs(sum));
  CHECK(fabs(grad[0] - dm) < 1e-13 * fabs(dm) && fabs(grad[1] - ds) < 1e-13 * fabs(ds));
  program_free(c);
  graph_free(g);
}

/* A loop of T steps whose body is made up: operations on the carries of one to three steps before,
   on inputs, numbers and what was made; every second step's first result is a term. */
enum { INPUTS = 4, BODY = 6, MOST_STEPS = 40 };
typedef struct body { int T, op[BODY], from[BODY][2], lag[BODY][2]; } body;

static body body_new(norn_rng *r)
{
  static const int ops[] = {G_ADD, G_SUB, G_MUL, G_DIV, G_MIN, G_MAX, G_LOG_ADD_EXP, G_EXP, G_SQRT,
                            G_ABS, G_INV_LOGIT, G_NEG, G_LOG1P_EXP, G_ADD, G_MUL, G_SQUARE};
  body b = {.T = 8 + (int)norn_rng_below(r, MOST_STEPS - 8)};
  for (int q = 0; q < BODY; q++) {
    b.op[q] = ops[norn_rng_below(r, sizeof ops / sizeof *ops)];
    for (int j = 0; j < 2; j++) {      /* below 0: an input, or the data of the step */
      b.from[q][j] = (int)norn_rng_below(r, BODY + 3) - 3;
      b.lag[q][j] = b.from[q][j] >= q ? 1 + (int)norn_rng_below(r, 3) : (int)norn_rng_below(r, 2);
    }
  }
  return b;
}

static norn_datum body_operand(const body *b, const norn_datum *in, norn_datum x[][BODY], int t,
                               int q, int j)
{
  int k = b->from[q][j], s = t - b->lag[q][j];
  if (k == -1) return norn_real(0.3 + (double)(t * 7 % 11) / 9);
  if (k < 0) return in[-k - 2];
  return s < 0 ? in[2 + (s + k + 6) % 2] : x[s][k];
}

/* Keeps numbers small, and away from where the operation has no derivative. */
static norn_datum tame(graph *g, norn_datum x, int op, int j)
{
  norn_datum y = graph_math(g, "tanh", tanh, x);
  bool positive = op == G_SQRT || (op == G_DIV && j == 1);
  return positive ? graph_op2(g, G_ADD, graph_op1(g, G_SQUARE, y), norn_real(0.5)) : y;
}

static graph *body_record(norn_state *st, const body *b, const double *u)
{
  graph *g = graph_new(st);
  norn_datum in[INPUTS], x[MOST_STEPS][BODY];
  for (int i = 0; i < INPUTS; i++) in[i] = graph_input(g, u[i]);
  for (int t = 0; t < b->T; t++)
    for (int q = 0; q < BODY; q++) {
      norn_datum v = tame(g, body_operand(b, in, x, t, q, 0), b->op[q], 0);
      x[t][q] = has_two(b->op[q]) && b->op[q] != G_NEG
                  ? graph_op2(g, (graph_op)b->op[q], v,
                              tame(g, body_operand(b, in, x, t, q, 1), b->op[q], 1))
                  : graph_op1(g, (graph_op)b->op[q], v);
      if (q == BODY - 1 || (q == 0 && t % 2)) graph_target(g, x[t][q], (norn_span){0, 0, 0});
    }
  return g;
}

static void check_body(norn_state *st, norn_rng *r, bool generate)
{
  body b = body_new(r);
  double u[INPUTS], grad[INPUTS], again[INPUTS], logp, up, down;
  size_t blame;
  program_stats s;
  for (int i = 0; i < INPUTS; i++) u[i] = 0.3 + norn_rng_uniform(r);
  graph *g = body_record(st, &b, u);
  program *p = program_new(g);
  CHECK(p && program_eval(p, u, &logp, grad, &blame) == EVAL_OK);
  for (int i = 0; i < INPUTS; i++) {
    const double h = 1e-6;
    double v[INPUTS];
    memcpy(v, u, sizeof v);
    v[i] = u[i] + h;
    program_eval(p, v, &up, NULL, &blame);
    v[i] = u[i] - h;
    program_eval(p, v, &down, NULL, &blame);
    CHECK(fabs((up - down) / (2 * h) - grad[i]) <= 1e-4 * (1 + fabs(grad[i])));
  }
  if (generate && program_generate(p)) {
    program_stats_of(p, &s);
    CHECK(s.generated > 0);
    CHECK(program_eval(p, u, &up, again, &blame) == EVAL_OK && up == logp);
    CHECK(differ(grad, again, INPUTS) == 0);
  }
  program_free(p);
  graph_free(g);
}

/* Of two programs with one text, one waits for the other's code. */
static void check_shared(norn_state *st)
{
  norn_rng r = {.stream = 99};
  double u[INPUTS] = {0.4, 0.5, 0.6, 0.7};
  body b = body_new(&r);
  graph *g = body_record(st, &b, u);
  program *p = program_new(g), *q = program_new(g);
  if (program_generate(p)) CHECK(program_generate(q));
  program_free(p);
  program_free(q);
  graph_free(g);
}

/* No code where the configuration says so. */
static void check_forbidden(int which)
{
  norn_config c = norn_config_default();
  c.no_jit = which == 0;
  c.no_files = which == 1;
  c.no_foreign = which == 2;
  norn_state *st = norn_new(&c);
  norn_rng r = {.stream = 3};
  body b = body_new(&r);
  graph *g = body_record(st, &b, (const double[]){0.5, 0.6, 0.7, 0.8});
  program *p = program_new(g);
  CHECK(p && !program_generate(p));
  program_free(p);
  graph_free(g);
  norn_free(st);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  norn_rng r = {.stream = 3};
  char cache[] = "/tmp/norn-test-XXXXXX", command[100];
  bool folder = mkdtemp(cache) != NULL && !setenv("XDG_CACHE_HOME", cache, 1);
  check_chain(st);
  check_sums(&r);
  check_runs(&r);
  check_groups(st, &r, true);
  check_groups(st, &r, false);
  check_equal_rows(st);
  for (int i = 0; i < 200; i++) check_body(st, &r, folder && i < 16);
  check_shared(st);
  norn_free(st);
  for (int i = 0; i < 3; i++) check_forbidden(i);
  snprintf(command, sizeof command, "rm -r %s", cache);
  if (folder) CHECK(system(command) == 0);
  norn_rng g = {.stream = 11};
  for (int op = 0; op < G_COUNT; op++) {
    if (!is_elementwise(op)) continue;
    check_bits(op, &g);
    check_slopes(op, &g);
  }
  return unit_end();
}
