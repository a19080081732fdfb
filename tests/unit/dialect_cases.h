/* dialect_cases: parameters and values of every scalar family, for test_dialect and check_dialect. */
#ifndef NORN_TEST_DIALECT_CASES_H
#define NORN_TEST_DIALECT_CASES_H
#include "dist/dist.h"
#include "dist/families.h"
#include "num/rng.h"
#include <stdlib.h>

enum { CASES = 512, CASE_P = 3 };
typedef struct family_cases {
  const char *name;
  const norn_dist_row *row;
  int np;
  bool of_normal, of_uniform;
  double x[CASES], p[CASE_P][CASES], odd[CASE_P][CASES];   /* odd: parameters good and bad */
} family_cases;

static const norn_dist_row *case_row(const char *name)
{
  int n;
  const dist_shelf *const *shelves = dist_shelves(&n);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < shelves[i]->n; k++)
      if (!strcmp(shelves[i]->rows[k].name, name)) return &shelves[i]->rows[k];
  return NULL;
}

static double case_float(double x) { return (double)(float)x; }

/* Element k: parameters from a list until check1 likes them, and a draw of them, now and then another
   number.  floats: all are numbers that a float holds. */
static void case_make(family_cases *c, norn_rng *g, int k, bool floats)
{
  static const double from[] = {0.3, 1, 2.5, 12, 150, -3, 0.01, 7, 0.9, 31, 1e-5, 1e6, 0.5, 4};
  static const double some[] = {0, 1, -1, 2, 0.5, HUGE_VAL, -HUGE_VAL, 1e300, 1e-310, 3, -0.7, 15.25, -0.0,
                                40.5, -730, 0.999, 1e-8, NAN};
  static const double mild[] = {0.25, 1, 2.5, 12, 100, -3, 0.0625, 7, 0.875, 31, 0.125, 600, 0.5, 4};
  double p[NORN_DIST_P];
  int which;
  do
    for (int i = 0; i < NORN_DIST_P; i++) p[i] = (floats ? mild : from)[norn_rng_below(g, 14)];
  while (c->row->check1(p, &which));
  double x = c->row->sample1(p, g);
  for (int tries = 0; floats && tries < 100; tries++) {
    if (x == 0 || (fabs(x) > 1e-30 && fabs(x) < 1e30)) break;
    x = c->row->sample1(p, g);
  }
  if (norn_rng_below(g, 8) == 0) x = some[norn_rng_below(g, floats ? 5 : 17)];
  c->x[k] = floats ? case_float(x) : x;
  for (int i = 0; i < c->np; i++) c->p[i][k] = p[i];
  for (int i = 0; i < c->np; i++)
    c->odd[i][k] = norn_rng_below(g, 2) ? p[i] : some[norn_rng_below(g, 18)];
}

enum {
#define FAMILY(name, np) CASE_##name,
  FAMILIES(FAMILY)
#undef FAMILY
  CASE_FAMILIES
};

/* All families; to be freed with free. */
static family_cases *cases_new(bool floats)
{
  family_cases *all = calloc(CASE_FAMILIES, sizeof *all);
  norn_rng g = {.stream = 7};
  if (!all) return NULL;
#define FAMILY(family, n) all[CASE_##family].name = #family, all[CASE_##family].np = n;
  FAMILIES(FAMILY)
#undef FAMILY
#define DRAW(family, n) all[CASE_##family].of_normal = true;
  NORMAL_DRAWS(DRAW)
#undef DRAW
#define DRAW(family, n) all[CASE_##family].of_uniform = true;
  UNIFORM_DRAWS(DRAW)
#undef DRAW
  for (int i = 0; i < CASE_FAMILIES; i++) {
    all[i].row = case_row(all[i].name);
    if (!all[i].row || !all[i].row->check1) { free(all); return NULL; }
    for (int k = 0; k < CASES; k++) case_make(&all[i], &g, k, floats);
  }
  return all;
}
static void case_p(const family_cases *c, int k, double *p)
{
  for (int i = 0; i < c->np; i++) p[i] = c->p[i][k];
}
#endif
