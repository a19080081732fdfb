/* collapse: has a population of particles lost its variety?  Resampling can't move what was drawn
   once at the start (a static parameter): in the end all particles may share one value of it, and
   the weights, all equal, look perfect. */
#include "infer/infer.h"
#include <stdlib.h>
#include <stdio.h>

enum { FEW = 10, MANY = 100, FIELDS = 32 };

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static size_t distinct(double *x, size_t n)
{
  size_t d = n > 0;
  qsort(x, n, sizeof *x, by_size);
  for (size_t i = 1; i < n; i++) d += x[i] != x[i - 1];
  return d;
}

static void collapse_tell(norn_infer *inf, const char *name, size_t kinds, size_t n)
{
  norn_span nowhere = { 0, 0, 0 };
  if (kinds >= FEW) return;
  norn_infer_warn(
    inf, nowhere,
    "the population has collapsed: %s has %zu distinct value%s among %zu draws; "
    "resampling can't renew what is drawn before the observations: use mh, or many more particles",
    name, kinds, kinds == 1 ? "" : "s", n);
}

/* One real number of each draw, read by `get` (0: itself; 1: first element; 2: field `name`; 3: the first element of
   that). */
static void collapse_column(norn_infer *inf, double *x, int get, const char *name)
{
  norn_state *st = inf->st;
  size_t n = inf->values.n;
  for (size_t i = 0; i < n; i++) {
    norn_datum v = column_at(st, &inf->values, i);
    if (get >= 2) v = norn_record_get(st, v, name);
    if (get & 1) v = norn_array_length(v) > 0 ? norn_array_at(st, v, 0) : norn_none();
    if (v.tag != NORN_REAL) return;
    x[i] = v.d;
  }
  char of[96];
  snprintf(of, sizeof of, get == 3 ? "the first element of %s" : "%s",
           get == 0 ? "the value" : get == 1 ? "the first element" : name);
  collapse_tell(inf, of, distinct(x, n), n);
}

norn_status infer_collapse(norn_infer *inf, size_t eves)
{
  norn_state *st = inf->st;
  size_t n = inf->values.n;
  if (n < MANY || eves >= FEW) return NORN_OK;
  double *x = engine_get(st, n * sizeof *x);
  if (!x) return NORN_EMEMORY;
  norn_datum first = column_at(st, &inf->values, 0);
  if (first.tag == NORN_REAL) collapse_column(inf, x, 0, NULL);
  else if (norn_kind_of(first) == NORN_ARRAY) collapse_column(inf, x, 1, NULL);
  for (int i = 0; i < norn_record_size(first) && i < FIELDS; i++) {
    char name[64];
    norn_datum v;
    const char *s = norn_record_at(st, first, i, &v);
    snprintf(name, sizeof name, "%s", s ? s : "");
    if (v.tag == NORN_REAL) collapse_column(inf, x, 2, name);
    else if (norn_array_length(v) > 0) collapse_column(inf, x, 3, name);
  }
  engine_put(st, x, n * sizeof *x);
  return NORN_OK;
}
