/* test_gradient_fuzz: random models beside MPFR (walk.h): loops, folds, branches on data and on
   parameters, indices through data, and expressions of random depth, so that what a recorded program
   makes of equal and of nearly equal steps is tried in many ways.  A seed is a model; those that fail
   are printed. */
#include "walk.h"
#include <stdarg.h>

#define STEP 0x1p-70
#define TOLERANCE 1e-9              /* random expressions lose digits by themselves */
enum { SEEDS = 400 };

static norn_rng rng;
static int pick(int n) { return (int)norn_rng_below(&rng, (uint64_t)n); }

typedef struct text { char s[8000]; size_t n; } text;
static void put(text *t, const char *format, ...) NORN_PRINTF(2, 3);
static void put(text *t, const char *format, ...)
{
  va_list a;
  va_start(a, format);
  int n = vsnprintf(t->s + t->n, sizeof t->s - t->n, format, a);
  va_end(a);
  t->n += n > 0 && t->n + (size_t)n < sizeof t->s ? (size_t)n : 0;
}

/* A number between about -3 and 3 of parameters a, b, the vectors v and w (5), data x (9), k (9, in
   0..4), the index i and, in folds, the states p and q. */
static void expression(text *t, int depth, bool looped, bool fold)
{
  static const char *const leaves[] = {"a", "b", "v[2]", "w[0]", "0.7", "2", "1", "v[4]",
                                       "x[i]", "v[k[i]]", "w[k[i]]", "w[i % 5]", "p", "q", "p", "q"};
  if (depth <= 0) {
    put(t, "%s", leaves[pick(fold ? 16 : looped ? 12 : 8)]);
    return;
  }
#define SUB expression(t, depth - 1 - pick(2), looped, fold)
  switch (pick(17)) {
  case 0: case 1: put(t, "("); SUB; put(t, " + "); SUB; put(t, ")"); break;
  case 2: case 3: put(t, "("); SUB; put(t, " - "); SUB; put(t, ")"); break;
  case 4: case 5: put(t, "("); SUB; put(t, " * "); SUB; put(t, ")"); break;
  case 6: put(t, "("); SUB; put(t, " / (1 + "); SUB; put(t, "^2))"); break;
  case 7: put(t, "sin("); SUB; put(t, ")"); break;
  case 8: put(t, "exp(-("); SUB; put(t, ")^2)"); break;
  case 9: put(t, "tanh("); SUB; put(t, ")"); break;
  case 10: put(t, "(-"); SUB; put(t, ")"); break;
  case 11: put(t, "log(1.5 + "); SUB; put(t, "^2)"); break;
  case 12: put(t, "sqrt(0.5 + "); SUB; put(t, "^2)"); break;
  case 13: put(t, "inv_logit("); SUB; put(t, ")"); break;
  case 14: put(t, "log_sum_exp("); SUB; put(t, ", "); SUB; put(t, ")"); break;
  case 15: put(t, "max("); SUB; put(t, ", "); SUB; put(t, ")"); break;
  default:
    if (looped && pick(2)) put(t, "(if i %% %d == 0 { ", 2 + pick(2));
    else { put(t, "(if "); SUB; put(t, " < 0.3 { "); }
    SUB; put(t, " } else { "); SUB; put(t, " })");
  }
#undef SUB
}

static void terms(text *t, int depth, bool fold)
{
  switch (pick(4)) {
  case 0: put(t, "factor(-tanh("); expression(t, depth, true, fold); put(t, ")^2)\n"); break;
  case 1: put(t, "observe x[i] ~ normal("); expression(t, depth, true, fold); put(t, ", 1.3)\n"); break;
  case 2: put(t, "observe k[i] ~ poisson_log(tanh("); expression(t, depth, true, fold); put(t, "))\n"); break;
  default:
    put(t, "observe x[i] ~ student_t(4, ");
    expression(t, depth, true, fold);
    put(t, ", 0.5 + inv_logit(");
    expression(t, depth - 1, true, fold);
    put(t, "))\n");
  }
}

/* Loops of different kinds; those with states keep them small. */
static void loop(text *t)
{
  int n = 1 + pick(9), depth = 1 + pick(3);
  switch (pick(4)) {
  case 0: case 1:
    put(t, "for i in 0..%d {\n", n);
    if (pick(2)) terms(t, depth, false);
    terms(t, depth, false);
    put(t, "}\n");
    break;
  case 2:
    put(t, "let r = for i in 0..%d with p = 0.1, q = a {\n", n);
    if (pick(3)) terms(t, depth, true);
    put(t, "next 0.9 * tanh(");
    expression(t, depth, true, true);
    put(t, "), 0.5 * sin(");
    expression(t, depth, true, true);
    put(t, ")\n}\nfactor(-(r.p - r.q)^2)\n");
    break;
  default:
    put(t, "let r = for i in 0..%d { sin(", n);
    expression(t, depth, true, false);
    put(t, ") }\nfor i in 0..%d { factor(-(r[i] + ", n);
    expression(t, depth, true, false);
    put(t, " / 9)^2) }\nfactor(-sum(r)^2 / 9)\n");
  }
}

static void model(text *t)
{
  t->n = 0;
  put(t, "let x = [0.3, -0.7, 1.2, 0.3, 0.9, -1.4, 2.0, 0.1, -0.2]\nlet k = [0, 3, 1, 1, 4, 2, 0, 3, 3]\n"
         "model m() {\nlet a ~ normal(0, 1)\nlet b ~ half_normal(1)\nlet v ~ iid(normal(0, 1), 5)\n"
         "let w ~ iid(normal(a, b), 5)\n");
  for (int n = 1 + pick(3); n > 0; n--) loop(t);
  put(t, "a }\nm()");
}

/* The largest error of density and derivatives at a point; NaN: it failed. */
static double error_at(norn_state *st, norn_density *d, const norn_ref *m, const double *u, int n)
{
  double g[WALK_NUMBERS], v[WALK_NUMBERS], logp, mine = 0;
  mpfr_t a, b;
  if (norn_density_eval(d, u, &logp, g)) return walk_failed(st, "evaluation"), NAN;
  mpfr_inits2(BIG_BITS, a, b, (mpfr_ptr)0);
  for (int i = 0; i < n; i++) mine += g[i] * (v[i] = norn_rng_normal(&rng));
  bool good = walk_density(st, norn_get(m), u, NULL, 0, n, a);
  double want = mpfr_get_d(a, MPFR_RNDN), worst = fabs(logp - want) / (1 + fabs(want));
  good = good && walk_density(st, norn_get(m), u, v, STEP, n, a) &&
         walk_density(st, norn_get(m), u, v, -STEP, n, b);
  mpfr_sub(a, a, b, MPFR_RNDN);
  want = mpfr_get_d(a, MPFR_RNDN) / (2 * STEP);
  mpfr_clears(a, b, (mpfr_ptr)0);
  double slope = fabs(mine - want) / (1 + fabs(want));
  return !good || slope != slope ? (double)NAN : slope > worst ? slope : worst;
}

/* Two points of one model: the second may take other branches. */
static double check(uint32_t seed)
{
  static text t;
  norn_datum m;
  double u[WALK_NUMBERS], worst = 0;
  rng = (norn_rng){.stream = 77, .lane = seed};
  model(&t);
  norn_state *st = norn_new(NULL);
  if (norn_eval(st, "fuzz", t.s, t.n, 0, &m)) { walk_failed(st, t.s); norn_free(st); return NAN; }
  norn_ref *kept = norn_keep(st, m);
  norn_density *d = norn_density_new(st, m, 7, 0);
  int n = d ? (int)norn_density_dim(d) : 0;
  if (!d) { walk_failed(st, "recording"); worst = NAN; }
  for (int round = 0; d && round < 2; round++) {
    for (int i = 0; i < n; i++) u[i] = norn_rng_normal(&rng);
    double e = error_at(st, d, kept, u, n);
    if (!(e <= worst)) worst = e;
  }
  norn_density_free(d);
  norn_drop(kept);
  norn_free(st);
  if (!(worst <= TOLERANCE)) fprintf(stderr, "seed %u: off by %g\n%s\n", (unsigned)seed, worst, t.s);
  return worst;
}

int main(int argc, char **argv)
{
  double worst = 0;
  uint32_t from = argc > 1 ? (uint32_t)atoi(argv[1]) : 0, n = argc > 2 ? (uint32_t)atoi(argv[2]) : SEEDS;
  for (uint32_t seed = from; seed < from + n; seed++) {
    double e = check(seed);
    CHECK(e <= TOLERANCE);
    if (!(e <= worst)) worst = e;
  }
  printf("%u random models: off by at most %.1e\n", (unsigned)n, worst);
  for (int i = 0; i < pool.made; i++) mpfr_clear(pool.v[i]);
  return unit_end();
}
