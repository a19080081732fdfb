/* functions: see functions.h. */
#include "lib/functions.h"
#include <string.h>

static bool is_node(norn_datum v) { return norn_kind_of(v) == NORN_NODE; }

void *lib_memory(norn_state *st, size_t n)
{
  void *p = norn_alloc(st, NULL, 0, n ? n : 1);
  if (p) memset(p, 0, n);
  else norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  return p;
}

static bool room(inputs *in, int64_t more)
{
  int64_t n = in->cap ? in->cap : 16;
  while (n < in->n + more) n *= 2;
  if (n == in->cap) return true;
  norn_datum *x = norn_alloc(in->st, in->x, (size_t)in->cap * sizeof *x, (size_t)n * sizeof *x);
  if (x) in->x = x;
  double *v = x ? norn_alloc(in->st, in->value, (size_t)in->cap * sizeof *v, (size_t)n * sizeof *v)
                : NULL;
  if (!v) {
    if (x) in->x = norn_alloc(in->st, x, (size_t)n * sizeof *x, (size_t)in->cap * sizeof *x);
    return norn_fail(in->st, NORN_EMEMORY, -1, "out of memory"), false;
  }
  in->value = v;
  in->cap = n;
  return true;
}

static void add(inputs *in, norn_datum v)
{
  in->x[in->n] = v;
  in->value[in->n] = v.tag == NORN_INT ? (double)v.i : v.d;
  in->node |= is_node(v);
  in->n++;
}

static bool is_number(norn_datum v)
{
  return v.tag == NORN_REAL || v.tag == NORN_INT || is_node(v);
}

bool inputs_number(inputs *in, const norn_datum *args, int i, const char *what)
{
  if (!is_number(args[i])) return lib_wrong(in->st, args, i, what, "a number"), false;
  if (!room(in, 1)) return false;
  add(in, args[i]);
  return true;
}

bool inputs_array(inputs *in, const norn_datum *args, int i, const char *what, int64_t *n)
{
  norn_view v;
  bool good = norn_array_view(args[i], &v) && v.rank == 1 && v.elem != NORN_B8;
  *n = good ? v.n : 0;
  if (good && !room(in, v.n)) return false;
  for (int64_t k = 0; good && k < v.n; k++) {
    norn_datum e = norn_array_at(in->st, args[i], k);
    good = is_number(e);
    if (good) add(in, e);
  }
  return good || (lib_wrong(in->st, args, i, what, "an array of numbers"), false);
}

bool inputs_nodes(inputs *in, const norn_datum *x, int64_t n)
{
  if (!room(in, n)) return false;
  for (int64_t i = 0; i < n; i++) add(in, x[i]);
  return true;
}

void inputs_free(inputs *in)
{
  norn_alloc(in->st, in->x, (size_t)in->cap * sizeof *in->x, 0);
  norn_alloc(in->st, in->value, (size_t)in->cap * sizeof *in->value, 0);
}

bool lib_want_function(norn_state *st, const norn_datum *args, int i, const char *what)
{
  norn_kind k = norn_kind_of(args[i]);
  return k == NORN_FUN || k == NORN_NATIVE || (lib_wrong(st, args, i, what, "a function"), false);
}

bool lib_want_above(norn_state *st, const norn_datum *args, int i, const char *what, double least,
                    double *out)
{
  if (!norn_want_real(st, args, i, what, out)) return false;
  if (*out > least && *out < 1e300) return true;
  norn_fail(st, NORN_EDOMAIN, i, "%s must be above %g, got %g", what, least, *out);
  return false;
}
