/* ode: what both solvers share, and the Runge-Kutta method.

   Dormand and Prince 1980, "A family of embedded Runge-Kutta formulae": order 5 with an error of
   order 4, seven stages of which the last is the first of the next step.  Step control and the
   interpolant of order 4 after Hairer, Norsett and Wanner 1993, "Solving Ordinary Differential
   Equations I", II.4 to II.6. */
#include "num/ode_in.h"
#include <float.h>

/* ---- shared
   ----------------------------------------------------------------------------------- */

int ode_slope(const ode_system *o, ode_report *r, double t, const double *w, double *dw)
{
  int64_t m = ode_even(o->n);
  r->evals++;
  return o->k ? o->fs(o->user, t, w, w + m, dw, dw + m) : o->f(o->user, t, w, dw);
}

static double larger(double a, double b) { return a > b ? a : b; }

double ode_norm(const ode_system *o, const ode_options *q, const double *e, const double *a,
                const double *b)
{
  int64_t n = o->n, m = ode_even(n);
  double worst = 0, sum = 0;
  for (int64_t i = 0; i < n; i++) {
    double x = e[i] / (q->abs_tol + q->rel_tol * larger(fabs(a[i]), fabs(b[i])));
    sum += x * x;
  }
  worst = sum;
  for (int64_t l = 0; l < o->k; l++) {
    double least = q->abs_tol * q->unit[l];
    sum = 0;
    for (int64_t i = m + l; i < m + n * o->row; i += o->row) {
      double x = e[i] / (least + q->rel_tol * larger(fabs(a[i]), fabs(b[i])));
      sum += x * x;
    }
    if (!(sum <= worst)) worst = sum;
  }
  return sqrt(worst / (double)n);
}

double ode_first_step(const ode_system *o, const ode_options *q, ode_report *r, int order,
                      double t0, double end, const double *w, const double *dw, double *work, int *status)
{
  int64_t width = ode_width(o);
  double *zero = work, *w1 = work + width, *dw1 = w1 + width;
  memset(zero, 0, (size_t)width * sizeof *zero);
  double d0 = ode_norm(o, q, w, w, zero), d1 = ode_norm(o, q, dw, w, zero);
  double h = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
  if (!(h > 0 && h < end - t0)) h = end - t0;
  for (int tries = 0; tries < 40; tries++, h *= 0.1) {
    for (int64_t i = 0; i < width; i++) w1[i] = w[i] + h * dw[i];
    *status = ode_slope(o, r, t0 + h, w1, dw1);
    if (*status != ODE_OUTSIDE) break;
  }
  if (*status) return 0;
  for (int64_t i = 0; i < width; i++) dw1[i] -= dw[i];
  double d2 = ode_norm(o, q, dw1, w, zero) / h, d = larger(d1, d2);
  double h1 = d <= 1e-15 ? larger(1e-6, h * 1e-3) : pow(0.01 / d, 1.0 / (order + 1));
  h = h1 < 100 * h ? h1 : 100 * h;
  return h < end - t0 ? h : end - t0;
}

void ode_give(const ode_system *o, const double *w, double *out, double *sout)
{
  memcpy(out, w, (size_t)o->n * sizeof *w);
  if (o->k) memcpy(sout, w + ode_even(o->n), (size_t)(o->n * o->row) * sizeof *w);
}

/* ---- Dormand and Prince
   ----------------------------------------------------------------------- */

enum { STAGES = 7 };
static const double node[STAGES] = {0, 0.2, 0.3, 0.8, 8.0 / 9, 1, 1};
static const double weight[STAGES][STAGES - 1] = {
  {0}, {1.0 / 5}, {3.0 / 40, 9.0 / 40}, {44.0 / 45, -56.0 / 15, 32.0 / 9},
  {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
  {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
  {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
};
static const double wrong[STAGES] = {71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200,
                                     22.0 / 525, -1.0 / 40};
static const double dense[STAGES] = {
  -12715105075.0 / 11282082432, 0, 87487479700.0 / 32700410799, -10690763975.0 / 1880347072,
  701980252875.0 / 199316789632, -1453857185.0 / 822651844, 69997945.0 / 29380423,
};

typedef struct rk {
  const ode_system *o;
  const ode_options *q;
  ode_report *r;
  int64_t width;
  double *w, *next, *e, *k[STAGES];
  double t, h, before;               /* before: the error of the step before, for the controller */
} rk;

/* out = w + h sum_j c[j] k[j] (w NULL: only the sum), m terms */
static inline __attribute__((always_inline)) void combine(const rk *s, int m, const double *c,
                                                          const double *w, double *out)
{
  for (int64_t i = 0; i < s->width; i += 2) {
    ode_pair sum = c[0] * *(const ode_pair *)(s->k[0] + i);
#pragma GCC unroll 8
    for (int j = 1; j < m; j++)
      if (c[j] != 0) sum += c[j] * *(const ode_pair *)(s->k[j] + i);
    sum *= s->h;
    *(ode_pair *)(out + i) = w ? *(const ode_pair *)(w + i) + sum : sum;
  }
}

/* A step of size h from t: `next`, k and the error's norm. */
static int rk_try(rk *s, double *error)
{
  int status = 0;
#define STAGE(j) \
  combine(s, j, weight[j], s->w, s->next); \
  if ((status = ode_slope(s->o, s->r, s->t + node[j] * s->h, s->next, s->k[j]))) return status;
  STAGE(1) STAGE(2) STAGE(3) STAGE(4) STAGE(5) STAGE(6)
#undef STAGE
  combine(s, STAGES, wrong, NULL, s->e);
  *error = ode_norm(s->o, s->q, s->e, s->w, s->next);
  return *error < HUGE_VAL ? ODE_FINE : ODE_OUTSIDE;
}

/* w at t + x h, of the step that ended in `next` (HNW II.6.14), into e; f: h sum d_j k_j is made
   at the first time that a step is asked. */
static void rk_between(rk *s, double x, bool *made)
{
  double *d = s->k[1];               /* no longer needed: the interpolant has no part of stage 2 */
  if (!*made) combine(s, STAGES, dense, NULL, d);
  *made = true;
  for (int64_t i = 0; i < s->width; i++) {
    double dw = s->next[i] - s->w[i], bend = s->h * s->k[0][i] - dw;
    double r4 = dw - s->h * s->k[6][i] - bend;
    s->e[i] = s->w[i] + x * (dw + (1 - x) * (bend + x * (r4 + (1 - x) * d[i])));
  }
}

/* The step's size after an error (HNW II.4, with a part of the error before: their code's beta
   .04). */
static double rk_factor(rk *s, double error, bool accepted)
{
  double f = pow(error, 0.2 - 0.03) / 0.9;
  if (accepted) {
    f *= pow(s->before, -0.04);
    s->before = larger(error, 1e-4);
  }
  return 1 / (f > 5 ? 5 : f < 0.1 ? 0.1 : f);
}

size_t ode_rk45_room(int64_t n, int64_t row)
{
  return (size_t)((STAGES + 3) * (ode_even(n) + n * row));
}

static ode_end rk_steps(rk *s, const double *ts, int64_t nt, double *out, double *sout)
{
  const ode_system *o = s->o;
  double end = ts[nt - 1], error;
  int64_t at = 0, steps = 0, n = o->n, rows = o->k ? n * o->row : 0;
  bool failed = false;
  while (at < nt && ts[at] <= s->t) { ode_give(o, s->w, out + at * n, sout + at * rows); at++; }
  while (at < nt) {
    if (steps++ >= s->q->max_steps) return ODE_END_STEPS;
    if (s->t + 1.01 * s->h >= end) s->h = end - s->t;
    if (!(s->h > 8 * DBL_EPSILON * fabs(s->t)) || s->t + s->h == s->t) return ODE_END_SMALL;
    int status = rk_try(s, &error);
    if (status == ODE_STOP) return ODE_END_STOP;
    if (status || error > 1) {
      s->h *= status ? 0.25 : rk_factor(s, error, false);
      s->r->rejected++;
      failed = true;
      continue;
    }
    bool made = false, last = s->h == end - s->t;
    double to = last ? end : s->t + s->h;
    for (; at < nt && ts[at] <= to; at++, steps = 0) {
      bool there = ts[at] == to;
      if (!there) rk_between(s, (ts[at] - s->t) / s->h, &made);
      ode_give(o, there ? s->next : s->e, out + at * n, sout + at * rows);
    }
    s->r->steps++;
    s->r->t = s->t = to;
    double grow = rk_factor(s, larger(error, 1e-10), true);
    s->h *= failed && grow > 1 ? 1 : grow;
    failed = false;
    double *w = s->w, *k = s->k[0];
    s->w = s->next, s->next = w;
    s->k[0] = s->k[6], s->k[6] = k;
  }
  return ODE_DONE;
}

ode_end ode_rk45(const ode_system *o, const ode_options *q, double t0, const double *ts, int64_t nt,
                 const double *y, const double *start, double *out, double *sout, double *work,
                 ode_report *r)
{
  rk s = {.o = o, .q = q, .r = r, .width = ode_width(o), .t = t0, .before = 1e-4};
  int status = 0;
  *r = (ode_report){.t = t0};
  if (nt == 0) return ODE_DONE;
  memset(work, 0, ode_rk45_room(o->n, o->k ? o->row : 0) * sizeof *work);
  s.w = work;
  s.next = s.w + s.width;
  s.e = s.next + s.width;
  for (int j = 0; j < STAGES; j++) s.k[j] = s.e + (j + 1) * s.width;
  memcpy(s.w, y, (size_t)o->n * sizeof *y);
  if (o->k) memcpy(s.w + ode_even(o->n), start, (size_t)(o->n * o->row) * sizeof *start);
  status = ode_slope(o, r, t0, s.w, s.k[0]);
  if (!status && ts[nt - 1] > t0)
    s.h = ode_first_step(o, q, r, 4, t0, ts[nt - 1], s.w, s.k[0], s.k[1], &status);
  if (status) return status == ODE_STOP ? ODE_END_STOP : ODE_END_OUTSIDE;
  return rk_steps(&s, ts, nt, out, sout);
}
