/* minimise: see minimise.h. */
#include "num/minimise.h"
#include "num/la.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

static double norm(const double *x, int64_t n) { return sqrt(la_dot(x, x, n)); }

size_t minimise_room(int64_t n) { return (size_t)(2 * n * n + 9 * n); }

int minimise_hessian(const minimise *q, const double *x, double *h, double *work)
{
  int64_t n = q->n;
  double *at = work, *low = work + n, *high = work + 2 * n, y;
  memcpy(at, x, (size_t)n * sizeof *x);
  for (int64_t i = 0; i < n; i++) {
    double step = 6.0554544523933395e-6 * (fabs(x[i]) > 1 ? fabs(x[i]) : 1);   /* eps^(1/3) */
    double from = x[i] - step, to = x[i] + step;
    at[i] = from;
    int status = q->f(q->user, at, &y, low);
    at[i] = to;
    if (!status) status = q->f(q->user, at, &y, high);
    at[i] = x[i];
    if (status) return status;
    for (int64_t k = 0; k < n; k++) h[i * n + k] = (high[k] - low[k]) / (to - from);
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < i; k++)
      h[i * n + k] = h[k * n + i] = 0.5 * (h[i * n + k] + h[k * n + i]);
  return 0;
}

typedef struct search {
  const minimise *q;
  int64_t n;
  double *h;                         /* (n, n) the inverse Hessian as far as it is known */
  double *g, *d, *next, *gnext, *dg, *hdg;
  double *factor, *work;             /* (n, n), (3 n) */
} search;

/* f along d from x; its slope. */
static int along(const search *s, const double *x, double t, double *y, double *slope)
{
  for (int64_t i = 0; i < s->n; i++) s->next[i] = x[i] + t * s->d[i];
  int status = s->q->f(s->q->user, s->next, y, s->gnext);
  *slope = status ? 0 : la_dot(s->gnext, s->d, s->n);
  return status;
}

/* A step that falls enough and is not too short (the conditions of Wolfe), by bisection and
   doubling; *t 0: there is none. */
static int line(const search *s, const double *x, double y, double slope, double first, double *t,
                double *ynext)
{
  double low = 0, high = HUGE_VAL, d;
  *t = first;
  for (int i = 0; i < 60; i++) {
    int status = along(s, x, *t, ynext, &d);
    if (status == 2) return status;
    if (status || !(*ynext <= y + 1e-4 * *t * slope)) high = *t;
    else if (d < 0.9 * slope) low = *t;
    else return 0;
    *t = high < HUGE_VAL ? 0.5 * (low + high) : 2 * low;
  }
  *t = low;                          /* it falls, if not as steeply as it should */
  return low > 0 ? along(s, x, low, ynext, &d) : 0;
}

/* h after a step d with change dg of the gradient (their 6.17). */
static void update(search *s, double t)
{
  int64_t n = s->n;
  double yd = 0;
  for (int64_t i = 0; i < n; i++) {
    s->d[i] *= t;
    s->dg[i] = s->gnext[i] - s->g[i];
    yd += s->d[i] * s->dg[i];
  }
  if (!(yd > 1e-12 * norm(s->d, n) * norm(s->dg, n))) return;
  la_mul_vector(false, n, n, s->h, s->dg, s->hdg);
  double k = (1 + la_dot(s->dg, s->hdg, n) / yd) / yd;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      s->h[i * n + j] += k * s->d[i] * s->d[j] - (s->d[i] * s->hdg[j] + s->hdg[i] * s->d[j]) / yd;
}

static void reset(search *s)
{
  memset(s->h, 0, (size_t)(s->n * s->n) * sizeof *s->h);
  for (int64_t i = 0; i < s->n; i++) s->h[i * s->n + i] = 1;
}

/* Newton's steps while they make the gradient smaller.  DONE, or why this is no minimum. */
static minimise_end polish(search *s, double *x, double *y)
{
  int64_t n = s->n;
  for (int i = 0; i < 8; i++) {
    int status = minimise_hessian(s->q, x, s->factor, s->work);
    if (status) return status == 2 ? MINIMISE_STOP : MINIMISE_OUTSIDE;
    if (la_cholesky(s->factor, n)) return MINIMISE_FLAT;
    memcpy(s->d, s->g, (size_t)n * sizeof *s->d);
    la_solve_lower(false, s->factor, n, s->d, 1);
    la_solve_lower(true, s->factor, n, s->d, 1);
    double length = norm(s->d, n), ynext, slope;
    status = along(s, x, -1, &ynext, &slope);
    if (status == 2) return MINIMISE_STOP;
    if (status || !(norm(s->gnext, n) < 0.5 * norm(s->g, n)))
      return length <= s->q->tol * (1 + norm(x, n)) ? MINIMISE_DONE : MINIMISE_STEPS;
    memcpy(x, s->next, (size_t)n * sizeof *x);
    memcpy(s->g, s->gnext, (size_t)n * sizeof *x);
    *y = ynext;
  }
  return MINIMISE_DONE;
}

static void carve(search *s, double *work)
{
  int64_t n = s->n;
  double **part[] = {&s->g, &s->d, &s->next, &s->gnext, &s->dg, &s->hdg};
  s->h = work;
  s->factor = work + n * n;
  work += 2 * n * n;
  for (int i = 0; i < 6; i++, work += n) *part[i] = work;
  s->work = work;
}

minimise_end minimise_run(const minimise *q, double *x, double *y, double *work)
{
  search s = {.q = q, .n = q->n};
  int64_t n = q->n;
  carve(&s, work);
  reset(&s);
  int status = q->f(q->user, x, y, s.g);
  if (status) return status == 2 ? MINIMISE_STOP : MINIMISE_OUTSIDE;
  bool fresh = true;
  for (int64_t i = 0; i < q->max_steps; i++) {
    double t, ynext, g = norm(s.g, n);
    if (g == 0) return polish(&s, x, y);
    la_mul_vector(false, n, n, s.h, s.g, s.d);
    for (int64_t k = 0; k < n; k++) s.d[k] = -s.d[k];
    double slope = la_dot(s.d, s.g, n);
    if (!(slope < 0)) {
      if (fresh) return polish(&s, x, y);
      reset(&s);
      fresh = true;
      continue;
    }
    double first = fresh ? fmin(1, (1 + norm(x, n)) / g) : 1;
    if (line(&s, x, *y, slope, first, &t, &ynext) == 2) return MINIMISE_STOP;
    if (t == 0) {                    /* nothing is lower: rounding, or h is wrong */
      if (fresh) return polish(&s, x, y);
      reset(&s);
      fresh = true;
      continue;
    }
    double length = t * norm(s.d, n), fall = *y - ynext;
    update(&s, t);
    memcpy(x, s.next, (size_t)n * sizeof *x);
    memcpy(s.g, s.gnext, (size_t)n * sizeof *x);
    *y = ynext;
    fresh = false;
    if (t > 1e15 * first || norm(x, n) > 1e100) return MINIMISE_FAR;       /* it fell all the way */
    if (length <= 1e-5 * (1 + norm(x, n)) && fall <= 1e-8 * (1 + fabs(*y))) {
      minimise_end end = polish(&s, x, y);
      if (end != MINIMISE_STEPS) return end;
    }
  }
  return MINIMISE_STEPS;
}
