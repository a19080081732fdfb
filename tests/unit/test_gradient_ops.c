/* test_gradient_ops: each operation that a graph has, each real function that is recorded and each
   family of numbers, alone, in loops of several lengths (so that vectors have rests), of parameters
   and of data, beside MPFR (walk.h). */
#include "dist/dist.h"
#include "graph/record.h"
#include "num/rng.h"
#include "walk.h"

#define STEP 0x1p-70
#define TOL_DENSITY 1e-12
#define TOL_GRADIENT 1e-11

static norn_state *st;

/* The derivative along v beside MPFR's: the error relative to 1 + |value|; NaN: it failed. */
static double along(const norn_ref *model, const double *u, const double *g, const double *v, int n)
{
  mpfr_t a, b;
  double mine = 0;
  mpfr_inits2(BIG_BITS, a, b, (mpfr_ptr)0);
  bool good = walk_density(st, norn_get(model), u, v, STEP, n, a) &&
              walk_density(st, norn_get(model), u, v, -STEP, n, b);
  mpfr_sub(a, a, b, MPFR_RNDN);
  double want = mpfr_get_d(a, MPFR_RNDN) / (2 * STEP);
  mpfr_clears(a, b, (mpfr_ptr)0);
  for (int i = 0; i < n; i++) mine += g[i] * v[i];
  double error = good ? fabs(mine - want) / (1 + fabs(want)) : (double)NAN;
  if (!(error <= TOL_GRADIENT))
    fprintf(stderr, "a derivative is %.17g, exactly %.17g\n", mine, want);
  return error;
}

/* Along the first and the last coordinate and two directions through all. */
static double gradient(const norn_ref *model, const double *u, const double *g, int n, norn_rng *rng)
{
  double v[WALK_NUMBERS], worst = 0;
  for (int k = 0; k < 4; k++) {
    for (int i = 0; i < n; i++) v[i] = k < 2 ? i == (k ? n - 1 : 0) : norn_rng_normal(rng);
    double error = along(model, u, g, v, n);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

/* The largest error of the gradient of a model text at a point, relative to 1 + |value|; NaN: it
   failed, or the density is not right. */
static double compare(const char *text, norn_rng *rng)
{
  norn_datum model;
  double u[WALK_NUMBERS], g[WALK_NUMBERS], logp, worst = 0;
  st = norn_new(NULL);
  if (norn_eval(st, "op", text, strlen(text), 0, &model)) return walk_failed(st, text), NAN;
  norn_ref *kept = norn_keep(st, model);
  norn_density *d = norn_density_new(st, model, 7, 0);
  if (!d) return walk_failed(st, text), NAN;
  int n = (int)norn_density_dim(d);
  for (int i = 0; i < n; i++) u[i] = norn_rng_normal(rng);
  mpfr_t a;
  mpfr_init2(a, BIG_BITS);
  if (norn_density_eval(d, u, &logp, g) || !walk_density(st, norn_get(kept), u, NULL, 0, n, a))
    worst = NAN;
  double want = mpfr_get_d(a, MPFR_RNDN);
  mpfr_clear(a);
  if (!(fabs(logp - want) <= TOL_DENSITY * (1 + fabs(want))) && logp != want) {
    fprintf(stderr, "log density %.17g, exactly %.17g\n", logp, want);
    worst = NAN;
  }
  double error = logp > -HUGE_VAL ? gradient(kept, u, g, n, rng) : 0;
  if (!(error <= worst)) worst = error;
  norn_density_free(d);
  norn_drop(kept);
  norn_free(st);
  return worst;
}

/* ---- operations ------------------------------------------------------------------------------ */

/* An expression in the parameters x, y, the shared parameter s and the data d (all numbers), where
   x and y lie between lo and hi. */
typedef struct op { const char *expr; double lo, hi; } op;
static const op ops[] = {
  {"x + y", -2, 2}, {"x - y", -2, 2}, {"x * y", -2, 2}, {"x / y", 0.3, 2}, {"x ^ y", 0.3, 2},
  {"-x", -2, 2}, {"min(x, y)", -2, 2}, {"max(x, y)", -2, 2}, {"log_sum_exp(x, y)", -2, 2},
  {"x + d", -2, 2}, {"d + x", -2, 2}, {"x - d", -2, 2}, {"d - x", -2, 2}, {"x * d", -2, 2},
  {"x / d", -2, 2}, {"d / x", 0.3, 2}, {"x ^ d", 0.3, 2}, {"d ^ x", 0.3, 2}, {"x ^ 3", -2, 2},
  {"x ^ -2", -2, -0.3}, {"x ^ 0.5", 0.3, 2}, {"x * x", -2, 2}, {"x - x + y", -2, 2},
  {"s * x + y", -2, 2}, {"x / s", 0.3, 2}, {"s - x", -2, 2}, {"s ^ x", 0.3, 2}, {"1 / x", 0.3, 2},
  {"x / x", 0.3, 2}, {"0 * x", -2, 2}, {"max(x, 0.1)", -2, 2}, {"min(0.2, x)", -2, 2},
  {"log_sum_exp(x, 0.3)", -2, 2}, {"log_sum_exp([x, y, s, d])", -2, 2}, {"x * y - y * x * s", -2, 2},
  {"if x < y { x * s } else { y ^ 2 }", -2, 2}, {"pow(x, y)", 0.3, 2},
  {"sum([x, y, s, d, x, y, s, d, x * y, x, y])", -2, 2}, {"mean([x, y, s])", -2, 2},
  {"prod([x, y, s, d])", -2, 2}, {"dot([x, y], [y, d])", -2, 2},
  {"pdf(normal(x, 1), y)", -2, 2},
};

static const int lengths[] = {1, 5, 8, 21};

static void check_op(const char *expr, double lo, double hi, norn_rng *rng)
{
  char text[900];
  double worst = 0;
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    int n = lengths[k];
    snprintf(text, sizeof text,
             "let data = [0.7 + 0.1 * i for i in 0..%d]\nmodel m() { let s ~ flat(lower = 0.5, upper = 1.5)\n"
             "let xs ~ iid(uniform(%g, %g), %d)\nlet ys ~ iid(uniform(%g, %g), %d)\n"
             "for i in 0..%d { let x = xs[i]; let y = ys[i]; let d = data[i]\n"
             "factor(d * (%s)) } }\nm()", n, lo, hi, n, lo, hi, n, n, expr);
    double e = compare(text, rng);
    if (!(e <= worst)) worst = e;
  }
  if (!(worst <= TOL_GRADIENT)) fprintf(stderr, "%s: %g\n", expr, worst);
  CHECK(worst <= TOL_GRADIENT);
}

static void operations(norn_rng *rng)
{
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
    check_op(ops[i].expr, ops[i].lo, ops[i].hi, rng);
}

/* Every real function of functions.c, in its domain. */
static void functions(norn_rng *rng)
{
  static const struct { const char *name; double lo, hi; } domains[] = {
    {"acosh", 1.1, 4}, {"lgamma", 0.2, 5}, {"gamma_fn", 0.2, 5}, {"digamma", 0.2, 5},
    {"log", 0.1, 9}, {"log2", 0.1, 9}, {"log10", 0.1, 9}, {"sqrt", 0.1, 9}, {"exp", -3, 3},
    {"inv_logit", -9, 9}, {"log1p_exp", -9, 9}, {"abs", -2, -0.1}, {"sinh", -3, 3},
    {"cosh", -3, 3}, {"tan", -1.2, 1.2}, {"erf", -3, 3}, {"erfc", -3, 5}, {"normal_cdf", -6, 6},
  };
  char expr[80];
  for (int i = 0; graph_functions[i].name; i++) {
    const char *name = graph_functions[i].name;
    double lo = 0.1, hi = 0.9;
    if (!strcmp(name, "square")) continue;         /* only as ^ 2 */
    for (size_t k = 0; k < sizeof domains / sizeof *domains; k++)
      if (!strcmp(domains[k].name, name)) lo = domains[k].lo, hi = domains[k].hi;
    snprintf(expr, sizeof expr, "%s(x) * %s(y)", name, name);
    check_op(expr, lo, hi, rng);
  }
}

/* ---- families -------------------------------------------------------------------------------- */

/* Intervals that a parameter may be good in; the last is the whole number 6. */
static const double ranges[][2] = {{0.2, 0.8}, {1.2, 2.5}, {3, 5}, {6, 6}};
enum { RANGES = sizeof ranges / sizeof *ranges };

static bool inside(const norn_dist_row *row, const int *pick, int n)
{
  int which;
  double between[NORN_DIST_P];
  for (int i = 0; i < n; i++) between[i] = 0.63 * ranges[pick[i]][0] + 0.37 * ranges[pick[i]][1];
  if (row->check1(between, &which)) return false;
  for (int corner = 0; corner < 1 << n; corner++) {
    double p[NORN_DIST_P];
    for (int i = 0; i < n; i++) p[i] = ranges[pick[i]][corner >> i & 1];
    if (row->check1(p, &which)) return false;
  }
  return true;
}

/* Is there something to differentiate by. */
static bool moves(const norn_dist_row *row, const int *pick, int n)
{
  for (int i = 0; i < n; i++)
    if (pick[i] + 1 < RANGES) return true;
  return !(row->flags & NORN_DIST_DISCRETE);
}

/* The c-th choice of ranges. */
static void picked(int c, int *pick, int n)
{
  for (int i = 0; i < n; i++, c /= RANGES) pick[i] = c % RANGES;
}

/* Observations of row with parameters that vary by element, or are shared (bit i of `shared`), and for
   continuous families values that move too. */
static double family_at(const norn_dist_row *row, const int *pick, int n, unsigned shared, int length,
                        norn_rng *rng)
{
  char text[6000], *at = text, *end = text + sizeof text;
  double p[NORN_DIST_P];
  bool discrete = row->flags & NORN_DIST_DISCRETE;
  for (int i = 0; i < n; i++) p[i] = 0.5 * (ranges[pick[i]][0] + ranges[pick[i]][1]);
  at += snprintf(at, (size_t)(end - at), "let ys = [");
  for (int i = 0; i < length; i++) {
    double y = row->sample1(p, rng);
    if (row->flags & NORN_DIST_BOOL) at += snprintf(at, (size_t)(end - at), "%s, ", y > 0 ? "true" : "false");
    else at += snprintf(at, (size_t)(end - at), discrete ? "%.0f, " : "%.17g, ", y);
  }
  at += snprintf(at, (size_t)(end - at), "]\nmodel m() {\n");
  for (int i = 0; i < n; i++)
    if (pick[i] + 1 < RANGES)
      at += snprintf(at, (size_t)(end - at), "let p%d ~ iid(uniform(%g, %g), %d)\n", i,
                     ranges[pick[i]][0], ranges[pick[i]][1], shared >> i & 1 ? 1 : length);
  if (!discrete)
    at += snprintf(at, (size_t)(end - at), "let move ~ iid(uniform(0.97, 1.03), %d)\n", length);
  at += snprintf(at, (size_t)(end - at), "for i in 0..%d { observe ys[i]%s ~ %s(", length,
                 discrete ? "" : " * move[i]", row->name);
  for (int i = 0; i < n; i++)
    if (pick[i] + 1 < RANGES)
      at += snprintf(at, (size_t)(end - at), "p%d[%s], ", i, shared >> i & 1 ? "0" : "i");
    else at += snprintf(at, (size_t)(end - at), "6, ");
  snprintf(at, (size_t)(end - at), ") } }\nm()");
  double e = compare(text, rng);
  if (!(e <= TOL_GRADIENT)) fprintf(stderr, "%s\n", text);
  return e;
}

static void family(const norn_dist_row *row, norn_rng *rng)
{
  int n = dist_arity(row), pick[NORN_DIST_P], tried = 0;
  double worst = 0;
  int all = 1;
  for (int i = 0; i < n; i++) all *= RANGES;
  for (int c = 0; c < all && tried < 3; c++) {
    picked(c, pick, n);
    if (!inside(row, pick, n) || (n && !moves(row, pick, n))) continue;
    for (unsigned shared = 0; shared < 1u << n; shared++) {
      double e = family_at(row, pick, n, shared, shared & 1 ? 11 : 3, rng);
      if (!(e <= worst)) worst = e;
    }
    tried++;
  }
  printf("%-22s %d ranges: gradient off by %.1e\n", row->name, tried, worst);
  CHECK(tried > 0 || row->flags & NORN_DIST_FINITE);     /* those of whole numbers have no gradient */
  CHECK(worst <= TOL_GRADIENT);
}

static void families(norn_rng *rng)
{
  int n;
  const dist_shelf *const *shelf = dist_shelves(&n);
  for (int s = 0; s < n; s++)
    for (int k = 0; k < shelf[s]->n; k++) {
      const norn_dist_row *row = &shelf[s]->rows[k];
      if (row->flags & NORN_DIST_SCALAR && row->logp1 && !(row->flags & NORN_DIST_IMPROPER))
        family(row, rng);
    }
}

int main(void)
{
  norn_rng rng = {.stream = 3};
  operations(&rng);
  functions(&rng);
  families(&rng);
  for (int i = 0; i < pool.made; i++) mpfr_clear(pool.v[i]);
  return unit_end();
}
