/* test_block: many elements at once give the bits of one at a time, at every CPU level that this
   machine has, for each shape of arguments and for numbers that do not fill a register; and what is
   left out under `keep` does not depend on the arguments that vary. */
#include "dist/block.h"
#include "dist/dist.h"
#include "num/rng.h"
#include "unit.h"

typedef struct { const char *name; int np; } family;
static const family families[] = {
#define FAMILY(name, np) {#name, np},
  FAMILIES(FAMILY)
#undef FAMILY
};
enum { N = 83, P = 1 + NORN_DIST_P };
static const char *const level_names[] = {"base", "avx2", "avx512"};

/* Some parameters that the row takes: small ones, large ones, whole ones. */
static void some_parameters(const norn_dist_row *row, norn_rng *g, double *p)
{
  static const double from[] = {0.3, 1, 2.5, 12, 150, -3, 0.01, 7, 0.9, 31, 1e-5, 1e6, 0.5, 4};
  int which;
  do
    for (int i = 0; i < NORN_DIST_P; i++) p[i] = from[norn_rng_below(g, 14)];
  while (row->check1(p, &which));
}

/* A draw, or a value at the edge or outside of supports. */
static double some_value(const norn_dist_row *row, norn_rng *g, const double *p)
{
  static const double odd[] = {0, 1, -1, 2, 0.5, HUGE_VAL, -HUGE_VAL, 1e300, 1e-310, 3, 15, 16, -0.0};
  return norn_rng_below(g, 4) ? row->sample1(p, g) : odd[norn_rng_below(g, 13)];
}

static bool same(double a, double b) { return v_bits(a) == v_bits(b) || (a != a && b != b); }

typedef struct { double arg[P][N], logp[N], d[P][N]; } columns;

/* Compares element by element with logp1 and partials1. */
static void compare(const norn_dist_row *row, int level, const norn_block *b, const columns *c,
                    bool slopes)
{
  int np = dist_arity(row), wrong = 0;
  for (int64_t k = 0; k < b->n && !wrong; k++) {
    double p[NORN_DIST_P], d[P], x = b->arg[0][b->many & 1 ? k : 0];
    for (int i = 0; i < np; i++) p[i] = b->arg[i + 1][b->many >> (i + 1) & 1 ? k : 0];
    double logp = slopes ? row->partials1(x, p, d) : row->logp1(x, p);
    wrong = !same(logp, c->logp[k]);
    for (int i = 0; slopes && i <= np; i++) wrong |= !same(d[i], c->d[i][k]) << (i + 1);
    if (wrong) {
      fprintf(stderr, "  %s at %s: x %.17g p %.17g %.17g %.17g: %.17g is not %.17g (%x)\n",
              row->name, level_names[level], x, p[0], p[1], p[2], c->logp[k], logp, wrong);
      for (int i = 0; slopes && i <= np; i++)
        fprintf(stderr, "    d[%d] %.17g %.17g\n", i, c->d[i][k], d[i]);
    }
  }
  CHECK(!wrong);
}

static void check_shape(int f, int level, unsigned many, int64_t n, norn_rng *g)
{
  static columns c;
  const norn_dist_row *row = dist_find(families[f].name);
  double first[NORN_DIST_P], p[NORN_DIST_P];
  some_parameters(row, g, first);
  for (int64_t k = 0; k < n; k++) {
    some_parameters(row, g, p);
    for (int i = 0; i < NORN_DIST_P; i++) {
      if (!(many >> (i + 1) & 1)) p[i] = first[i];
      c.arg[i + 1][k] = p[i];
    }
    int which;
    if (row->check1(p, &which))          /* a mix of two sets may be no set */
      for (int i = 0; i < NORN_DIST_P; i++) c.arg[i + 1][k] = p[i] = first[i];
    c.arg[0][k] = some_value(row, g, p);
  }
  for (int slopes = 0; slopes < 2; slopes++) {
    norn_block b = {n, many, NORN_KEEP_ALL, {0}, c.logp, {0}};
    for (int i = 0; i <= families[f].np; i++) {
      b.arg[i] = c.arg[i];
      b.d[i] = slopes ? c.d[i] : NULL;
    }
    block_at(level, f, &b);
    compare(row, level, &b, &c, slopes);
  }
}

static void test_bits(void)
{
  norn_rng g = {.stream = 77};
  for (int level = 0; level < LEVELS; level++) {
    if (!level_has(level)) {
      printf("level %s: this machine does not have it\n", level_names[level]);
      continue;
    }
    for (int f = 0; f < BLOCK_FAMILIES; f++)
      for (unsigned many = 0; many < 2u << families[f].np; many++)
        for (int round = 0; round < 6; round++) {
          static const int64_t sizes[] = {1, 3, 8, 16, 17, N};
          check_shape(f, level, many, sizes[round], &g);
        }
  }
}

/* With only x kept, dropped terms are the same for all x; and so for each parameter. */
static void test_keep(void)
{
  norn_rng g = {.stream = 78};
  for (int f = 0; f < BLOCK_FAMILIES; f++) {
    const norn_dist_row *row = dist_find(families[f].name);
    for (int round = 0; round < 50; round++) {
      double p[NORN_DIST_P], x[2], all[2], kept[2];
      some_parameters(row, &g, p);
      for (int i = 0; i < 2; i++) x[i] = row->sample1(p, &g);
      norn_block b = {2, 1, NORN_KEEP_ALL, {x, p, p + 1, p + 2, p + 3}, all, {0}};
      row->block(&b);
      b.keep = 1;
      b.logp = kept;
      row->block(&b);
      double gap = (all[0] - kept[0]) - (all[1] - kept[1]);
      double size = fabs(all[0]) + fabs(all[1]) + fabs(kept[0]) + fabs(kept[1]) + 1;
      bool good = !isfinite(all[0]) || !isfinite(all[1]) || fabs(gap) < 1e-13 * size;
      if (!good) fprintf(stderr, "  %s: x %g %g p %g %g: gap %g\n", row->name, x[0], x[1], p[0],
                         p[1], gap);
      CHECK(good);
    }
  }
}

int main(void)
{
  test_bits();
  test_keep();
  return unit_end();
}
