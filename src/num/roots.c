/* roots: see roots.h. */
#include "num/roots.h"
#include "num/la.h"
#include <float.h>
#include <math.h>
#include <string.h>

static roots_end ended(int status) { return status == 1 ? ROOTS_OUTSIDE : ROOTS_STOP; }

/* b is the best so far, a the one before, c on the other side of the zero. */
typedef struct brent { double a, b, c, fa, fb, fc, d, e; } brent;

/* The next step from b: by a parabola or a line if that falls well inside, else half the way. */
static double brent_step(brent *s, double half, double tol)
{
  double p, q;
  if (fabs(s->e) < tol || fabs(s->fa) <= fabs(s->fb)) return s->d = s->e = half;
  double r = s->fb / s->fa;
  if (s->a == s->c) {
    p = 2 * half * r;
    q = 1 - r;
  } else {
    double u = s->fa / s->fc, v = s->fb / s->fc;
    p = r * (2 * half * u * (u - v) - (s->b - s->a) * (v - 1));
    q = (u - 1) * (v - 1) * (r - 1);
  }
  if (p > 0) q = -q;
  p = fabs(p);
  if (2 * p < fmin(3 * half * q - fabs(tol * q), fabs(s->e * q))) {
    s->e = s->d;
    return s->d = p / q;
  }
  return s->d = s->e = half;
}

roots_end roots_between(int (*f)(void *user, double x, double *y), void *user, double a, double b,
                        double tol, int64_t max_steps, double *x, double *y)
{
  brent s = {.a = a, .b = b, .c = a};
  int status = f(user, a, &s.fa);
  if (!status) status = f(user, b, &s.fb);
  *x = status ? a : b;
  if (status) return ended(status);
  if (s.fa == 0) return *x = a, *y = 0, ROOTS_DONE;
  if (s.fa * s.fb > 0 || (s.fa > 0) == (s.fb > 0)) return s.fb == 0 ? (*y = 0, ROOTS_DONE)
                                                                      : ROOTS_BRACKET;
  s.fc = s.fa;
  s.d = s.e = b - a;
  for (int64_t i = 0; i < max_steps; i++) {
    if (fabs(s.fc) < fabs(s.fb)) {
      s.a = s.b, s.b = s.c, s.c = s.a;
      s.fa = s.fb, s.fb = s.fc, s.fc = s.fa;
    }
    double least = 2 * DBL_EPSILON * fabs(s.b) + 0.5 * tol * (1 + fabs(s.b));
    double half = 0.5 * (s.c - s.b);
    *x = s.b;
    *y = s.fb;
    if (fabs(half) <= least || s.fb == 0) return ROOTS_DONE;
    double d = brent_step(&s, half, least);
    s.a = s.b, s.fa = s.fb;
    s.b += fabs(d) > least ? d : half > 0 ? least : -least;
    if ((status = f(user, s.b, &s.fb))) return *x = s.b, ended(status);
    if ((s.fb > 0) == (s.fc > 0)) {
      s.c = s.a, s.fc = s.fa;
      s.d = s.e = s.b - s.a;
    }
  }
  return ROOTS_STEPS;
}

/* ---- systems
   ---------------------------------------------------------------------------------- */

static double norm(const double *x, int64_t n) { return sqrt(la_dot(x, x, n)); }

size_t roots_room(int64_t n) { return (size_t)(2 * n * n + 6 * n); }

typedef struct leg {
  int64_t n;
  double *j, *lu, *newton, *slope, *step, *next, *fnext;
} leg;

/* The step of the dog leg within `radius`: Newton's if it fits, else along the gradient and from
   its lowest point towards Newton's.  *full: it is Newton's.  0: there is no way down. */
static double leg_step(const leg *s, const double *y, double radius, int *full)
{
  int64_t n = s->n;
  for (int64_t i = 0; i < n; i++) s->newton[i] = -y[i];
  memcpy(s->lu, s->j, (size_t)(n * n) * sizeof *s->lu);
  int solved = la_solve(s->lu, n, s->newton, 1) && norm(s->newton, n) < HUGE_VAL;
  double length = solved ? norm(s->newton, n) : HUGE_VAL;
  *full = length <= radius;
  if (*full) return memcpy(s->step, s->newton, (size_t)n * sizeof *y), length;
  la_mul_vector(true, n, n, s->j, y, s->slope);
  double g = norm(s->slope, n);
  la_mul_vector(false, n, n, s->j, s->slope, s->fnext);
  double bend = norm(s->fnext, n);
  if (!(g > 0)) return 0;
  double low = bend > 0 ? g * g * g / (bend * bend) : HUGE_VAL;    /* length of the way down */
  double k = fmin(low, radius) / g;
  for (int64_t i = 0; i < n; i++) s->step[i] = -k * s->slope[i];
  if (low >= radius || !solved) return fmin(low, radius);
  double dd = 0, sd = 0;
  for (int64_t i = 0; i < n; i++) {
    double d = s->newton[i] - s->step[i];
    dd += d * d;
    sd += s->step[i] * d;
  }
  double t = dd > 0 ? (sqrt(sd * sd + dd * (radius * radius - low * low)) - sd) / dd : 0;
  for (int64_t i = 0; i < n; i++) s->step[i] += t * (s->newton[i] - s->step[i]);
  return radius;
}

roots_end roots_near(const roots_system *q, double *x, double *y, double *work)
{
  int64_t n = q->n;
  leg s = {.n = n, .j = work, .lu = work + n * n, .newton = work + 2 * n * n};
  s.slope = s.newton + n, s.step = s.slope + n, s.next = s.step + n, s.fnext = s.next + n;
  double radius = fmax(1, norm(x, n));
  int status = q->jac(q->user, x, y, s.j), full;
  if (status) return ended(status);
  for (int64_t i = 0; i < q->max_steps; i++) {
    double size = norm(y, n), was = radius;
    if (size == 0) return ROOTS_DONE;
    double length = leg_step(&s, y, radius, &full);
    if (!(length > 0)) return ROOTS_STUCK;
    for (int64_t k = 0; k < n; k++) s.next[k] = x[k] + s.step[k];
    status = q->f(q->user, s.next, s.fnext);
    if (status == 2) return ROOTS_STOP;
    double now = status ? HUGE_VAL : norm(s.fnext, n), small = q->tol * (1 + norm(x, n));
    /* At a root, where rounding alone is left of f, its size need not fall. */
    if (full && length <= small) {
      if (now >= size) return ROOTS_DONE;
      memcpy(x, s.next, (size_t)n * sizeof *x);
      memcpy(y, s.fnext, (size_t)n * sizeof *y);
      return ROOTS_DONE;
    }
    if (!(now < size * (1 - 1e-4 * fmin(1, length / was)))) {
      radius = 0.25 * fmin(length, radius);
      if (radius < 1e-3 * small || radius < DBL_MIN) return ROOTS_STUCK;
      continue;
    }
    if (now < 0.25 * size || (now < 0.75 * size && !full)) radius = fmax(radius, 2 * length);
    memcpy(x, s.next, (size_t)n * sizeof *x);
    if ((status = q->jac(q->user, x, y, s.j))) return ended(status);
  }
  return ROOTS_STEPS;
}
