/* quadrature: see quadrature.h.  An infinite interval is mapped to (-1, 1) or (0, 1) by x = t /
   (1 - t^2) or x = a + t / (1 - t), which the rule never evaluates at the ends. */
#include "num/quadrature.h"
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Abscissae, the odd ones of which are those of Gauss, and both weights (QUADPACK, qk21). */
static const double node[11] = {
  0.995657163025808080735527280689003, 0.973906528517171720077964012084452,
  0.930157491355708226001207180059508, 0.865063366688984510732096688423493,
  0.780817726586416897063717578345042, 0.679409568299024406234327365114874,
  0.562757134668604683339000099272694, 0.433395394129247190799265943165784,
  0.294392862701460198131126602103866, 0.148874338981631210884826001129720, 0};
static const double kronrod[11] = {
  0.011694638867371874278064396062192, 0.032558162307964727478818972459390,
  0.054755896574351996031381300244580, 0.075039674810919952767043140916190,
  0.093125454583697605535065465083366, 0.109387158802297641899210590325805,
  0.123491976262065851077958109585166, 0.134709217311473325928054001771707,
  0.142775938577060080797094273138717, 0.147739104901338491374841515972068,
  0.149445554002916905664936468389821};
static const double gauss[5] = {
  0.066671344308688137593568809893332, 0.149451349150580593145863397657697,
  0.219086362515982043995534934228163, 0.269266719309996355091226921569469,
  0.295524224714752870173815619188769};

typedef enum { FINITE, UPPER, LOWER, BOTH } span_kind;
typedef struct work {
  const quadrature *q;
  quadrature_report *r;
  span_kind kind;
  double a, b;                       /* the finite bounds */
  int64_t n;
  double *from, *to;                 /* (intervals) */
  double *value, *error, *size;      /* (intervals, m): integral, its error, integral of |f| */
  double *f;                         /* (21, m) */
  double *sum, *wrong, *all;         /* (m) over the intervals */
} work;

size_t quadrature_room(const quadrature *q)
{
  return (size_t)(2 * q->intervals + (3 * q->intervals + 24) * q->m);
}

/* f(x(t)) dx/dt */
static int at(work *w, double t, double *out)
{
  double x = t, slope = 1, r;
  switch (w->kind) {
  case FINITE: break;
  case UPPER: r = 1 / (1 - t); x = w->a + t * r; slope = r * r; break;
  case LOWER: r = 1 / (1 - t); x = w->b - t * r; slope = r * r; break;
  case BOTH: r = 1 / (1 - t * t); x = t * r; slope = (1 + t * t) * r * r; break;
  }
  w->r->evals++;
  int status = w->q->f(w->q->user, x, out);
  if (status) w->r->x = x;
  for (int64_t i = 0; i < w->q->m && slope != 1; i++)
    out[i] = out[i] == 0 ? 0 : out[i] * slope;           /* what has vanished has, at infinity */
  return status;
}

/* QUADPACK's error of a rule: of the difference of both, the integrals of |f| and of |f - mean|. */
static double error_of(double difference, double size, double spread)
{
  double e = fabs(difference);
  if (spread != 0 && e != 0) {
    double s = pow(200 * e / spread, 1.5);
    e = s < 1 ? spread * s : spread;
  }
  double least = 50 * DBL_EPSILON * size;
  return size > DBL_MIN / (50 * DBL_EPSILON) && e < least ? least : e;
}

/* Interval k: its integrals, errors and sizes. */
static int rule(work *w, int64_t k)
{
  int64_t m = w->q->m;
  double centre = 0.5 * (w->from[k] + w->to[k]), half = 0.5 * (w->to[k] - w->from[k]);
  for (int j = 0; j < 21; j++) {
    double t = j < 11 ? centre - half * node[j] : centre + half * node[20 - j];
    int status = at(w, t, w->f + j * m);
    if (status) return status;
  }
  for (int64_t i = 0; i < m; i++) {
    double full = 0, few = 0, size = 0, spread = 0;
    for (int j = 0; j < 21; j++) {
      int p = j < 11 ? j : 20 - j;
      double y = w->f[j * m + i];
      full += kronrod[p] * y;
      size += kronrod[p] * fabs(y);
      if (p & 1) few += gauss[p / 2] * y;
    }
    for (int j = 0; j < 21; j++)
      spread += kronrod[j < 11 ? j : 20 - j] * fabs(w->f[j * m + i] - 0.5 * full);
    w->value[k * m + i] = half * full;
    w->size[k * m + i] = fabs(half) * size;
    w->error[k * m + i] = error_of(half * (full - few), fabs(half) * size, fabs(half) * spread);
  }
  return 0;
}

static void total(work *w)
{
  int64_t m = w->q->m;
  memset(w->sum, 0, (size_t)(3 * m) * sizeof *w->sum);
  for (int64_t k = 0; k < w->n; k++)
    for (int64_t i = 0; i < m; i++) {
      w->sum[i] += w->value[k * m + i];
      w->wrong[i] += w->error[k * m + i];
      w->all[i] += w->size[k * m + i];
    }
}

/* What the error of result i may be; rounding can't be asked to be smaller than it is. */
static double allowed(const work *w, int64_t i)
{
  double tol = w->q->rel_tol * (i ? w->all[i] : fabs(w->sum[i]));
  double least = 100 * DBL_EPSILON * w->all[i];
  tol = tol > w->q->abs_tol || i ? tol : w->q->abs_tol;
  return tol > least ? tol : least;
}

/* The interval that is worst in some result that is not good enough; -1: all are. */
static int64_t worst(const work *w)
{
  int64_t at_most = -1, m = w->q->m;
  double most = 0;
  for (int64_t i = 0; i < m; i++) {
    double tol = allowed(w, i);
    if (w->wrong[i] <= tol) continue;
    for (int64_t k = 0; k < w->n; k++)
      if (w->error[k * m + i] > most * tol || at_most < 0) {
        most = w->error[k * m + i] / tol;
        at_most = k;
      }
  }
  return at_most;
}

static quadrature_end ended(int status)
{
  return status == 1 ? QUADRATURE_OUTSIDE : QUADRATURE_STOP;
}

static quadrature_end refine(work *w)
{
  for (;;) {
    total(w);
    w->r->error = w->wrong[0];
    int64_t k = worst(w);
    if (k < 0) return QUADRATURE_DONE;
    if (w->n == w->q->intervals) return QUADRATURE_INTERVALS;
    double middle = 0.5 * (w->from[k] + w->to[k]);
    if (!(middle > w->from[k] && middle < w->to[k]) ||
        w->to[k] - w->from[k] < 64 * DBL_EPSILON * fabs(middle)) {
      w->r->x = middle;
      return QUADRATURE_SMALL;
    }
    w->from[w->n] = middle;
    w->to[w->n] = w->to[k];
    w->to[k] = middle;
    int status = rule(w, k);
    if (!status) status = rule(w, w->n++);
    if (status) return ended(status);
  }
}

static void carve(work *w, double *room)
{
  int64_t n = w->q->intervals, m = w->q->m;
  w->from = room;
  w->to = w->from + n;
  w->value = w->to + n;
  w->error = w->value + n * m;
  w->size = w->error + n * m;
  w->f = w->size + n * m;
  w->sum = w->f + 21 * m;
  w->wrong = w->sum + m;
  w->all = w->wrong + m;
}

quadrature_end quadrature_run(const quadrature *q, double a, double b, double *out, double *room,
                              quadrature_report *r)
{
  work w = {.q = q, .r = r};
  double sign = 1;
  *r = (quadrature_report){.x = a};
  memset(out, 0, (size_t)q->m * sizeof *out);
  if (a == b) return QUADRATURE_DONE;
  if (a > b) {
    double c = a;
    a = b, b = c, sign = -1;
  }
  carve(&w, room);
  w.kind = a == -HUGE_VAL ? (b == HUGE_VAL ? BOTH : LOWER) : b == HUGE_VAL ? UPPER : FINITE;
  w.a = a, w.b = b;
  double low = w.kind == FINITE ? a : w.kind == BOTH ? -1 : 0, high = w.kind == FINITE ? b : 1;
  int64_t parts = w.kind == FINITE ? 1 : 4;              /* so that a narrow peak is met */
  for (; w.n < parts && w.n < q->intervals; w.n++) {
    w.from[w.n] = low + (high - low) * (double)w.n / (double)parts;
    w.to[w.n] = w.n + 1 < parts ? low + (high - low) * (double)(w.n + 1) / (double)parts : high;
    int status = rule(&w, w.n);
    if (status) return ended(status);
  }
  quadrature_end end = refine(&w);
  for (int64_t i = 0; i < q->m; i++) out[i] = sign * w.sum[i];
  return end;
}
