/* ode_bdf: backward differentiation formulas of orders 1 to 5 in backward differences, with the
   modification of Klopfenstein and Shampine, on steps that are kept equal for a while.  Shampine
   and Reichelt 1997, "The MATLAB ODE suite", section 2, whose names are used: D[j] is the j-th
   backward difference,

       w_new = sum_0^k D[j] + d,     d = c f(t_new, w_new) - psi,     c = h / alpha_k,
       psi = sum_1^k gamma_j D[j] / alpha_k,     error = C_k d

   y is found by a simplified Newton iteration with the factors of I - c J.  At its result J is made
   again, and each direction of S is the solution of one linear system with it: staggered, direct
   (Caracotsios and Stewart 1985), so that S is the derivative of this very formula. */
#include "num/ode_in.h"
#include <float.h>

enum { ORDERS = 5, DIFFS = ORDERS + 3, NEWTON = 4 };

/* kappa of their table 1; gamma_k = sum_1^k 1/j; C_k = kappa gamma + 1 / (k + 1) */
static const double kappa[ORDERS + 1] = {0, -0.1850, -1.0 / 9, -0.0823, -0.0415, 0};
static double gamma_of(int k)
{
  double s = 0;
  for (int j = 1; j <= k; j++) s += 1.0 / j;
  return s;
}
static double alpha_of(int k) { return (1 - kappa[k]) * gamma_of(k); }
static double error_of(int k) { return kappa[k] * gamma_of(k) + 1.0 / (k + 1); }

typedef struct bdf {
  const ode_system *o;
  const ode_options *q;
  ode_report *r;
  int64_t width, n, m;               /* of w; states; where S begins */
  double *D[DIFFS], *next, *guess, *psi, *d, *slope, *side;
  double *jac, *lu, *pivot;          /* (n, jrow), (n, n), (n) */
  double t, h, c;                    /* c of lu */
  int order;
  int64_t equal;                     /* steps of this size and order */
  bool fresh, factored;              /* jac is of this point; lu is of c and jac */
} bdf;

/* ---- small systems
   ---------------------------------------------------------------------------- */

/* lu = factors of I - c J, rows exchanged by pivot; false: singular. */
static bool factor(bdf *s, double c)
{
  int64_t n = s->n;
  double *a = s->lu;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) a[i * n + j] = (i == j) - c * s->jac[i * s->o->jrow + j];
  for (int64_t k = 0; k < n; k++) {
    int64_t p = k;
    for (int64_t i = k + 1; i < n; i++)
      if (fabs(a[i * n + k]) > fabs(a[p * n + k])) p = i;
    s->pivot[k] = (double)p;
    for (int64_t j = 0; p != k && j < n; j++) {
      double x = a[k * n + j];
      a[k * n + j] = a[p * n + j];
      a[p * n + j] = x;
    }
    if (!(fabs(a[k * n + k]) > 0)) return false;
    for (int64_t i = k + 1; i < n; i++) {
      double l = a[i * n + k] /= a[k * n + k];
      for (int64_t j = k + 1; l != 0 && j < n; j++) a[i * n + j] -= l * a[k * n + j];
    }
  }
  s->c = c;
  return s->factored = true;
}

/* b (n, m), rows `row` apart, becomes (I - c J)^-1 b */
static void backsolve(const bdf *s, double *b, int64_t m, int64_t row)
{
  int64_t n = s->n;
  const double *a = s->lu;
  for (int64_t k = 0; k < n; k++) {
    int64_t p = (int64_t)s->pivot[k];
    for (int64_t l = 0; p != k && l < m; l++) {
      double x = b[k * row + l];
      b[k * row + l] = b[p * row + l];
      b[p * row + l] = x;
    }
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++)
      for (int64_t l = 0; l < m; l++) b[i * row + l] -= a[i * n + j] * b[j * row + l];
  for (int64_t i = n; i-- > 0;) {
    for (int64_t j = i + 1; j < n; j++)
      for (int64_t l = 0; l < m; l++) b[i * row + l] -= a[i * n + j] * b[j * row + l];
    for (int64_t l = 0; l < m; l++) b[i * row + l] /= a[i * n + i];
  }
}

/* ---- a new step size
   -------------------------------------------------------------------------- */

/* R of their section 2.2 for step sizes in this ratio: R[i][j] = prod_1^i (k - 1 - ratio j) / k */
static void ratios(int order, double ratio, double r[ORDERS + 1][ORDERS + 1])
{
  for (int j = 0; j <= order; j++) {
    r[0][j] = 1;
    for (int i = 1; i <= order; i++) r[i][j] = r[i - 1][j] * ((i - 1 - ratio * j) / i);
  }
}

static inline ode_pair pair_of(const double *p) { return *(const ode_pair *)p; }

/* D becomes (R U)' D: the differences of the same polynomial at the new distance. */
static void resize(bdf *s, double ratio)
{
  double r[ORDERS + 1][ORDERS + 1], u[ORDERS + 1][ORDERS + 1];
  ode_pair x[ORDERS + 1];
  int k = s->order;
  double ru[ORDERS + 1][ORDERS + 1] = {{0}};
  ratios(k, ratio, r);
  ratios(k, 1, u);
  for (int i = 0; i <= k; i++)
    for (int j = 0; j <= k; j++)
      for (int l = 0; l <= k; l++) ru[i][j] += r[i][l] * u[l][j];
  for (int64_t i = 0; i < s->width; i += 2) {
    for (int j = 0; j <= k; j++) {
      x[j] = (ode_pair){0};
      for (int l = 0; l <= k; l++) x[j] += ru[l][j] * pair_of(s->D[l] + i);
    }
    for (int j = 0; j <= k; j++) *(ode_pair *)(s->D[j] + i) = x[j];
  }
  s->h *= ratio;
  s->equal = 0;
  s->factored = false;
}

/* ---- one step
   --------------------------------------------------------------------------------- */

static int jacobian(bdf *s, double t, const double *y)
{
  int status = s->o->jac(s->o->user, t, y, s->slope, s->jac);
  s->r->evals++;
  s->fresh = true;
  s->factored = false;
  return status;
}

/* Root mean square of the y part of x over the scale at `guess`. */
static double scaled(const bdf *s, const double *x)
{
  double sum = 0;
  for (int64_t i = 0; i < s->n; i++) {
    double e = x[i] / (s->q->abs_tol + s->q->rel_tol * fabs(s->guess[i]));
    sum += e * e;
  }
  return sqrt(sum / (double)s->n);
}

/* y of d = c f(t, guess + d) - psi; *turns: iterations.  FINE: it converged, d and next are set. */
static int newton(bdf *s, double t, double c, bool *converged, int *turns)
{
  double before = 0, rate = 0, tol = s->q->rel_tol, *step = s->side;
  tol = fmax(10 * DBL_EPSILON / tol, fmin(0.03, sqrt(tol)));
  *converged = false;
  memset(s->d, 0, (size_t)s->n * sizeof *s->d);
  memcpy(s->next, s->guess, (size_t)s->n * sizeof *s->next);
  for (int i = 0; i < NEWTON; i++) {
    int status = s->o->f(s->o->user, t, s->next, s->slope);
    s->r->evals++;
    *turns = i + 1;
    if (status) return status == ODE_STOP ? status : ODE_FINE;
    for (int64_t j = 0; j < s->n; j++) step[j] = c * s->slope[j] - s->psi[j] - s->d[j];
    backsolve(s, step, 1, 1);
    double size = scaled(s, step);
    if (i) rate = size / before;
    if (!(size < HUGE_VAL) ||
        (i && (rate >= 1 || pow(rate, NEWTON - i) / (1 - rate) * size > tol))) return ODE_FINE;
    for (int64_t j = 0; j < s->n; j++) {
      s->d[j] += step[j];
      s->next[j] = s->guess[j] + s->d[j];
    }
    *converged = size == 0 || (i && rate / (1 - rate) * size < tol);
    if (*converged) return ODE_FINE;
    before = size;
  }
  return ODE_FINE;
}

/* S of (I - c J) d = c (J guess + df/dv) - psi with J at the new y. */
static int directions(bdf *s, double t, double c)
{
  const ode_system *o = s->o;
  int64_t n = s->n, row = o->row;
  int status = jacobian(s, t, s->next);
  if (status) return status;
  if (!factor(s, c)) return ODE_OUTSIDE;
  double *d = s->d + s->m;
  const double *guess = s->guess + s->m;
  for (int64_t i = 0; i < n; i++) {
    const double *j = s->jac + i * o->jrow;
    for (int64_t l = 0; l < o->k; l++) {
      double x = j[n + l];
      for (int64_t p = 0; p < n; p++) x += j[p] * guess[p * row + l];
      d[i * row + l] = c * x - s->psi[s->m + i * row + l];
    }
  }
  backsolve(s, d, o->k, row);
  for (int64_t i = 0; i < n * row; i++) s->next[s->m + i] = guess[i] + d[i];
  return ODE_FINE;
}

static void predict(bdf *s)
{
  double alpha = alpha_of(s->order), g[ORDERS + 1];
  for (int j = 1; j <= s->order; j++) g[j] = gamma_of(j) / alpha;
  for (int64_t i = 0; i < s->width; i += 2) {
    ode_pair w = pair_of(s->D[0] + i), p = {0};
    for (int j = 1; j <= s->order; j++) {
      w += pair_of(s->D[j] + i);
      p += g[j] * pair_of(s->D[j] + i);
    }
    *(ode_pair *)(s->guess + i) = w;
    *(ode_pair *)(s->psi + i) = p;
  }
}

static double norm_of(bdf *s, int order, const double *x)
{
  return error_of(order) * ode_norm(s->o, s->q, x, s->next, s->next);
}

/* A step from t of size h.  *good: it is accepted, with the norm of its error; else h is
   smaller. */
static int attempt(bdf *s, bool *good, double *error, int *turns)
{
  double t = s->t + s->h, c = s->h / alpha_of(s->order);
  bool converged;
  int status;
  *good = false;
  predict(s);
  for (;;) {
    if ((!s->factored || s->c != c) && !factor(s, c)) break;
    status = newton(s, t, c, &converged, turns);
    if (status || converged || s->fresh) break;
    if ((status = jacobian(s, t, s->guess))) break;      /* the old one was too far away */
  }
  if (!s->factored || status == ODE_OUTSIDE || (!status && !converged)) return resize(s, 0.5), 0;
  if (status) return status;
  double safety = 0.9 * (2 * NEWTON + 1) / (2 * NEWTON + *turns);
  for (int part = 0; part < (s->o->k ? 2 : 1); part++) { /* y alone first: S costs more */
    if (part && (status = directions(s, t, c)))
      return status == ODE_STOP ? status : (resize(s, 0.5), 0);
    ode_system y = *s->o;
    if (!part) y.k = 0;
    *error = error_of(s->order) * ode_norm(&y, s->q, s->d, s->next, s->next);
    if (!(*error <= 1)) {
      double f = safety * pow(*error, -1.0 / (s->order + 1));
      return resize(s, f > 0.2 && f < 1 ? f : 0.2), 0;
    }
  }
  *good = true;
  return ODE_FINE;
}

/* After a step: the differences at the new point. */
static void advance(bdf *s)
{
  int k = s->order;
  for (int64_t i = 0; i < s->width; i += 2) {
    ode_pair sum = pair_of(s->d + i);
    *(ode_pair *)(s->D[k + 2] + i) = sum - pair_of(s->D[k + 1] + i);
    *(ode_pair *)(s->D[k + 1] + i) = sum;
    for (int j = k; j >= 0; j--) *(ode_pair *)(s->D[j] + i) = sum += pair_of(s->D[j] + i);
  }
  s->equal++;
  s->fresh = false;
}

/* The order whose step may be longest, and that step. */
static void choose(bdf *s, double error, int turns)
{
  int k = s->order;
  double safety = 0.9 * (2 * NEWTON + 1) / (2 * NEWTON + turns), best = 0;
  double e[3] = {k > 1 ? norm_of(s, k - 1, s->D[k]) : HUGE_VAL, error,
                 k < ORDERS ? norm_of(s, k + 1, s->D[k + 2]) : HUGE_VAL};
  int to = k;
  for (int i = 0; i < 3; i++) {
    double f = e[i] > 0 ? pow(e[i], -1.0 / (k + i)) : 10;
    if (e[i] < HUGE_VAL && f > best) best = f, to = k - 1 + i;
  }
  s->order = to;
  best *= safety;
  resize(s, best > 10 ? 10 : best < 0.2 ? 0.2 : best);
}

/* The interpolating polynomial of the last step at x <= t, into `side`. */
static const double *between(bdf *s, double x)
{
  memcpy(s->side, s->D[0], (size_t)s->width * sizeof *s->side);
  double p = 1;
  for (int j = 1; j <= s->order; j++) {
    p *= (x - (s->t - s->h * (j - 1))) / (s->h * j);
    for (int64_t i = 0; i < s->width; i++) s->side[i] += p * s->D[j][i];
  }
  return s->side;
}

/* ---- the whole
   -------------------------------------------------------------------------------- */

size_t ode_bdf_room(int64_t n, int64_t row, int64_t jrow)
{
  return (size_t)((DIFFS + 6) * (ode_even(n) + n * row) + n * jrow + n * n + n);
}

static ode_end bdf_steps(bdf *s, const double *ts, int64_t nt, double *out, double *sout)
{
  const ode_system *o = s->o;
  int64_t at = 0, steps = 0, rows = o->k ? s->n * o->row : 0;
  double end = ts[nt - 1], error = 0;
  while (at < nt && ts[at] <= s->t) {
    ode_give(o, s->D[0], out + at * s->n, sout + at * rows);
    at++;
  }
  while (at < nt) {
    bool good;
    int turns = 1;
    if (steps++ >= s->q->max_steps) return ODE_END_STEPS;
    if (s->t + s->h * (1 + 1e-9) > end) resize(s, (end - s->t) / s->h);
    if (!(s->h > 8 * DBL_EPSILON * fabs(s->t)) || s->t + s->h == s->t) return ODE_END_SMALL;
    bool last = s->h >= (end - s->t) * (1 - 1e-12);
    if (attempt(s, &good, &error, &turns)) return ODE_END_STOP;
    if (!good) { s->r->rejected++; continue; }
    advance(s);
    s->r->steps++;
    s->r->t = s->t = last ? end : s->t + s->h;
    for (; at < nt && ts[at] <= s->t; at++, steps = 0)
      ode_give(o, between(s, ts[at]), out + at * s->n, sout + at * rows);
    if (s->equal > s->order) choose(s, error, turns);
  }
  return ODE_DONE;
}

static void bdf_carve(bdf *s, double *work)
{
  double **part[] = {&s->next, &s->guess, &s->psi, &s->d, &s->slope, &s->side};
  for (int j = 0; j < DIFFS; j++, work += s->width) s->D[j] = work;
  for (int j = 0; j < 6; j++, work += s->width) *part[j] = work;
  s->jac = work;
  s->lu = s->jac + s->n * s->o->jrow;
  s->pivot = s->lu + s->n * s->n;
}

ode_end ode_bdf(const ode_system *o, const ode_options *q, double t0, const double *ts, int64_t nt,
                const double *y, const double *start, double *out, double *sout, double *work,
                ode_report *r)
{
  bdf s = {.o = o, .q = q, .r = r, .width = ode_width(o), .n = o->n, .m = ode_even(o->n), .t = t0,
           .order = 1};
  int status = 0;
  *r = (ode_report){.t = t0};
  if (nt == 0) return ODE_DONE;
  memset(work, 0, ode_bdf_room(o->n, o->k ? o->row : 0, o->jrow) * sizeof *work);
  bdf_carve(&s, work);
  memcpy(s.D[0], y, (size_t)o->n * sizeof *y);
  if (o->k) memcpy(s.D[0] + s.m, start, (size_t)(o->n * o->row) * sizeof *start);
  status = ode_slope(o, r, t0, s.D[0], s.D[1]);
  if (!status && ts[nt - 1] > t0)
    s.h = ode_first_step(o, q, r, 1, t0, ts[nt - 1], s.D[0], s.D[1], s.D[2], &status);
  if (!status) status = jacobian(&s, t0, s.D[0]);
  if (status) return status == ODE_STOP ? ODE_END_STOP : ODE_END_OUTSIDE;
  for (int64_t i = 0; i < s.width; i++) s.D[1][i] *= s.h;
  for (int j = 2; j < DIFFS; j++) memset(s.D[j], 0, (size_t)s.width * sizeof(double));
  return bdf_steps(&s, ts, nt, out, sout);
}
