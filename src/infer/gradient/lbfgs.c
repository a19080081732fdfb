/* lbfgs: minimisation by limited-memory BFGS (Nocedal 1980; Nocedal and Wright 2006, algorithms 7.4
   and 7.5).  The line search is their 3.5 and 3.6 with the strong Wolfe conditions and cubic
   interpolation; a point without a value is an end of the bracket from which the search comes back.

   Near a minimum the value can't tell points apart any more while the gradient still can.  There
   the "approximate Wolfe" conditions of Hager and Zhang 2005 ("A new conjugate gradient method with
   guaranteed descent and an efficient line search", equation 4.1) accept a step by its slopes. */
#include "infer/gradient/lbfgs.h"
#include "num/la.h"
#include <float.h>
#include <string.h>

#define DECREASE 1e-4                    /* c1 */
#define CURVATURE 0.9                    /* c2 */
#define ROUNDING 1e-13                   /* relative error of a value */
enum { SEARCH = 40 };                    /* evaluations of one half of a line search */

const char *lbfgs_end_name(lbfgs_end e)
{
  static const char *const names[] = {
    "",
#define X(name, text) text,
    LBFGS_ENDS(X)
#undef X
  };
  return names[e];
}

static size_t doubles(const lbfgs *l)
{
  return (size_t)(5 * l->n + l->limit.history * (2 * l->n + 2));
}

bool lbfgs_new(norn_state *st, lbfgs *l, int64_t n, const lbfgs_limits *limit, lbfgs_fn f,
               void *user)
{
  *l = (lbfgs){.st = st, .n = n, .limit = *limit, .f = f, .user = user};
  int64_t m = limit->history;
  double *at = engine_get(st, doubles(l) * sizeof *at);
  if (!at) return false;
  double **vectors[] = {&l->x, &l->g, &l->p, &l->tried, &l->tried_g};
  for (int i = 0; i < NORN_COUNT(vectors); i++, at += n) *vectors[i] = at;
  l->s = at;
  l->y = l->s + m * n;
  l->sy = l->y + m * n;
  l->work = l->sy + m;
  return true;
}

void lbfgs_free(lbfgs *l)
{
  if (l->x) engine_put(l->st, l->x, doubles(l) * sizeof(double));
  l->x = NULL;
}

bool lbfgs_archive(norn_archive *a, lbfgs *l)
{
  int64_t *count[] = {&l->stored, &l->newest, &l->iterations, &l->evaluations};
  int end = (int)l->end;
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  norn_archive_int(a, &end);
  norn_archive_bool(a, &l->paired);
  norn_archive_f64(a, &l->value);
  if (end < LBFGS_GOING || end > LBFGS_STUCK || l->stored < 0 || l->stored > l->limit.history ||
      l->newest < -1 || l->newest >= l->limit.history)
    return norn_archive_fail(a, "a search is not whole");
  l->end = (lbfgs_end)end;
  return norn_archive_bytes(a, l->x, doubles(l) * sizeof *l->x);
}

static double evaluate(lbfgs *l, const double *x, double *g)
{
  l->evaluations++;
  double f = l->f(l->user, x, g);
  return f == f ? f : HUGE_VAL;
}

static int64_t place(const lbfgs *l, int64_t k)
{
  int64_t m = l->limit.history;
  return (l->newest - l->stored + 1 + k + m) % m;
}

void lbfgs_pair(const lbfgs *l, int64_t k, const double **s, const double **y)
{
  *s = l->s + place(l, k) * l->n;
  *y = l->y + place(l, k) * l->n;
}

/* p = -H g by the two loops over the pairs (algorithm 7.4), H0 = s . y / y . y of the last. */
static void direct(lbfgs *l)
{
  int64_t n = l->n;
  double *p = l->p, scale = 1;
  for (int64_t i = 0; i < n; i++) p[i] = -l->g[i];
  for (int64_t k = l->stored; k-- > 0;) {
    int64_t at = place(l, k);
    const double *s = l->s + at * n, *y = l->y + at * n;
    double a = l->work[k] = la_dot(s, p, n) / l->sy[at];
    for (int64_t i = 0; i < n; i++) p[i] -= a * y[i];
  }
  if (l->stored) {
    const double *y = l->y + l->newest * n;
    scale = l->sy[l->newest] / la_dot(y, y, n);
  }
  for (int64_t i = 0; i < n; i++) p[i] *= scale;
  for (int64_t k = 0; k < l->stored; k++) {
    int64_t at = place(l, k);
    const double *s = l->s + at * n, *y = l->y + at * n;
    double b = l->work[k] - la_dot(y, p, n) / l->sy[at];
    for (int64_t i = 0; i < n; i++) p[i] += b * s[i];
  }
}

/* ---- the line search ---- */

/* A step along p: its length, the value there and the slope. */
typedef struct trial { double a, f, d; } trial;

static trial try_at(lbfgs *l, double a)
{
  for (int64_t i = 0; i < l->n; i++) l->tried[i] = l->x[i] + a * l->p[i];
  trial t = {a, evaluate(l, l->tried, l->tried_g), HUGE_VAL};
  if (t.f < HUGE_VAL) t.d = la_dot(l->tried_g, l->p, l->n);
  if (t.d != t.d) t.f = t.d = HUGE_VAL;
  return t;
}

static bool falls(const trial *from, const trial *t)
{
  return t->f <= from->f + DECREASE * t->a * from->d;
}

static bool good(const trial *from, const trial *t)
{
  if (falls(from, t) && fabs(t->d) <= -CURVATURE * from->d) return true;
  return t->f <= from->f + ROUNDING * fmax(1, fabs(from->f)) &&
         (2 * DECREASE - 1) * from->d >= t->d && t->d >= CURVATURE * from->d;
}

/* The minimum of the cubic through two trials (equation 3.59), kept a tenth away from both. */
static double between(const trial *lo, const trial *hi)
{
  double a = 0.5, w = hi->a - lo->a;
  if (!(hi->f < HUGE_VAL)) return lo->a + 0.2 * w;
  double d1 = lo->d + hi->d - 3 * (lo->f - hi->f) / (lo->a - hi->a), r = d1 * d1 - lo->d * hi->d;
  if (r >= 0) {
    double d2 = copysign(sqrt(r), w);
    a = 1 - (hi->d + d2 - d1) / (hi->d - lo->d + 2 * d2);
  }
  if (!(a >= 0.1)) a = 0.1;
  if (a > 0.9) a = 0.9;
  return lo->a + a * w;
}

/* Algorithm 3.6; where no point is good, the best that falls.  The last trial is the result. */
static bool zoom(lbfgs *l, const trial *from, trial lo, trial hi, trial *out)
{
  for (int i = 0; i < SEARCH; i++) {
    double a = between(&lo, &hi);
    if (a == lo.a || a == hi.a) break;
    trial t = *out = try_at(l, a);
    if (good(from, &t)) return true;
    if (!falls(from, &t) || t.f >= lo.f) hi = t;
    else {
      if (t.d * (hi.a - lo.a) >= 0) hi = lo;
      lo = t;
    }
  }
  if (lo.a <= 0 || !(lo.f < from->f)) return false;
  *out = try_at(l, lo.a);
  return true;
}

/* Algorithm 3.5 from a step of length a.  true: l->tried is the next iterate. */
static bool search(lbfgs *l, double a, trial *out)
{
  trial from = {0, l->value, la_dot(l->g, l->p, l->n)}, before = from;
  if (!(from.d < 0)) return false;
  for (int i = 0; i < SEARCH; i++, a *= 3) {
    trial t = *out = try_at(l, a);
    if (good(&from, &t)) return true;
    if (!falls(&from, &t) || (i && t.f >= before.f)) return zoom(l, &from, before, t, out);
    if (t.d >= 0) return zoom(l, &from, t, before, out);
    before = t;
  }
  return before.f < from.f;              /* it falls on and on: the last point is as good as any */
}

/* ---- iterations ---- */

static double norm(const double *x, int64_t n) { return sqrt(la_dot(x, x, n)); }

lbfgs_end lbfgs_start(lbfgs *l, const double *x)
{
  memcpy(l->x, x, (size_t)l->n * sizeof *x);
  l->value = evaluate(l, l->x, l->g);
  l->stored = l->newest = l->iterations = 0;
  l->paired = false;
  double size = norm(l->g, l->n);
  if (!(l->value < HUGE_VAL) || !(size < HUGE_VAL)) return l->end = LBFGS_STUCK;
  if (size < l->limit.grad) return l->end = LBFGS_TOL_GRAD;
  direct(l);
  return l->end = LBFGS_GOING;
}

/* Keeps s = tried - x and y = tried_g - g, if the curvature along s is positive. */
static double store(lbfgs *l)
{
  int64_t n = l->n, at = l->stored ? (l->newest + 1) % l->limit.history : 0;
  double *s = l->s + at * n, *y = l->y + at * n;
  for (int64_t i = 0; i < n; i++) {
    s[i] = l->tried[i] - l->x[i];
    y[i] = l->tried_g[i] - l->g[i];
  }
  double sy = la_dot(s, y, n), moved = norm(s, n);
  l->paired = sy > 1e-12 * la_dot(y, y, n) && sy > 0;
  if (l->paired) {
    l->sy[at] = sy;
    l->newest = at;
    if (l->stored < l->limit.history) l->stored++;
  } else if (l->stored == l->limit.history) {
    l->stored--;                         /* the oldest has been written over */
  }
  return moved;
}

static lbfgs_end judge(const lbfgs *l, double before, double moved)
{
  const lbfgs_limits *t = &l->limit;
  double change = fabs(before - l->value), size = fabs(l->value), d = la_dot(l->g, l->p, l->n);
  if (norm(l->g, l->n) < t->grad) return LBFGS_TOL_GRAD;
  if (change < t->obj) return LBFGS_TOL_OBJ;
  if (change < t->rel_obj * DBL_EPSILON * fmax(fmax(size, fabs(before)), 1))
    return LBFGS_TOL_REL_OBJ;
  if (l->stored && fabs(d) < t->rel_grad * DBL_EPSILON * fmax(size, 1)) return LBFGS_TOL_REL_GRAD;
  if (moved < t->param) return LBFGS_TOL_PARAM;
  return l->iterations >= t->iterations ? LBFGS_LIMIT : LBFGS_GOING;
}

lbfgs_end lbfgs_step(lbfgs *l)
{
  trial t;
  bool found;
  if (l->end) return l->end;
  if (l->iterations >= l->limit.iterations) return l->end = LBFGS_LIMIT;
  /* what the next step promises: below the rounding of values nothing more can be seen */
  double promise = fabs(la_dot(l->g, l->p, l->n));
  bool arrived = promise < 1e-10 * fmax(1, fabs(l->value));
  /* The pairs may mislead: once more along the gradient before giving up. */
  for (;;) {
    found = search(l, l->stored ? 1 : fmin(1, 1 / norm(l->g, l->n)), &t);
    if (found || !l->stored) break;
    l->stored = 0;
    direct(l);
  }
  if (!found) return l->end = arrived ? LBFGS_TOL_REL_OBJ : LBFGS_STUCK;
  double before = l->value, moved = store(l);
  double *x = l->x, *g = l->g;
  memcpy(x, l->tried, (size_t)l->n * sizeof *x);
  memcpy(g, l->tried_g, (size_t)l->n * sizeof *g);
  l->value = t.f;
  l->iterations++;
  direct(l);
  return l->end = judge(l, before, moved);
}
