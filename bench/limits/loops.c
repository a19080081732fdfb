/* loops.c: the five language loops in C. */
#include "limits.h"
#include <math.h>
#include <stdlib.h>

__attribute__((noinline)) long limit_fib(int n) { return n < 2 ? n : limit_fib(n - 1) + limit_fib(n - 2); }

long limit_mandel(int n)
{
  long s = 0;
  for (int y = 0; y < n; y++)
    for (int x = 0; x < n; x++) {
      double ci = 2.0 * y / n - 1.0, cr = 2.0 * x / n - 1.5, zr = 0, zi = 0;
      int i = 0;
      for (; i < 100 && zr * zr + zi * zi < 4.0; i++) {
        double t = zr * zr - zi * zi + cr;
        zi = 2.0 * zr * zi + ci;
        zr = t;
      }
      s += i;
    }
  return s;
}

double limit_lpdf(int n)
{
  double s = 0, x = 0.1;
  volatile double scale = 1.7;
  for (int i = 0; i < n; i++) {
    double z = (x - 0.3) / 1.7;
    s = s - 0.5 * z * z - log(scale) - 0.9189385332046727;
    x = x * 0.999 + 0.01;
  }
  return s;
}

typedef struct tree { struct tree *l, *r; } tree;
static tree *make(int d)
{
  tree *t = malloc(sizeof *t);
  t->l = d ? make(d - 1) : NULL;
  t->r = d ? make(d - 1) : NULL;
  return t;
}
static long count(const tree *t) { return t->l ? 1 + count(t->l) + count(t->r) : 1; }
static void drop(tree *t) { if (t->l) { drop(t->l); drop(t->r); } free(t); }
long limit_trees(int trees, int depth)
{
  long s = 0;
  for (int i = 0; i < trees; i++) { tree *t = make(depth); s += count(t); drop(t); }
  return s;
}

typedef struct cell { long head; struct cell *tail; } cell;
static cell *cons(long h, cell *t) { cell *c = malloc(sizeof *c); c->head = h; c->tail = t; return c; }
static cell *map(cell *l, long k, long r) { return l ? cons(l->head * k + r, map(l->tail, k, r)) : NULL; }
static void drop_list(cell *l) { while (l) { cell *t = l->tail; free(l); l = t; } }
long limit_closures(int rounds)
{
  long total = 0;
  for (long r = 1; r <= rounds; r++) {
    cell *l = NULL;
    for (long i = 1; i <= 1000; i++) l = cons(i, l);
    for (long k = 1; k <= 3; k++) { cell *m = map(l, k, r); drop_list(l); l = m; }
    for (cell *c = l; c; c = c->tail) total = (total + c->head) % 1000003;
    drop_list(l);
  }
  return total;
}
