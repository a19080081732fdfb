/* adapt: step size and metric during warm-up.

   Stan's way (reference manual, "Automatic parameter tuning"): a fast interval of 75 transitions,
   then windows of 25, 50, 100 ..., then a fast interval of 50; a window that would leave the next
   one no room is drawn out to the end.  With less than 150 transitions the intervals have 15, 75
   and 10 % of them, with less than 20 there is no metric.  At the end of a window the metric
   becomes the (co)variance of its draws, shrunk n/(n+5) var + 1e-3 5/(n+5), and the step size is
   sought anew.

   nutpie's way (arXiv 2603.18845 and its reference implementation): the metric comes from draws and
   gradients (diagonal: sqrt(var(draws)/var(gradients)); else metric_fit.c), fitted after every
   draw, low rank and dense after every 20th, to an older of two windows.  The younger one takes its
   place when it has 10 draws, in the first 30 % of warm-up, and 80 later, growing by half each
   time, as long as there is room for the next.  The last 15 % adapt the step size only.  Draws that
   did not move, or diverged within four steps, tell nothing and are left out.  While windows still
   change, the step size follows the acceptance min(1, e^-d), later its symmetric form,
   2 min(1, e^-d) / (1 + e^-d). */
#include "infer/gradient/hmc.h"
#include <stdlib.h>
#include <string.h>

/* ---- step size ---- */

void averaging_start(averaging *a, double target, double step)
{
  *a = (averaging){.target = target, .mu = log(10 * step), .most = a->most};
}

double averaging_update(averaging *a, double accept)
{
  const double gamma = 0.05, kappa = 0.75, t0 = 10;
  a->count++;
  double eta = 1 / (a->count + t0), x_eta = pow(a->count, -kappa);
  a->bar = (1 - eta) * a->bar + eta * (a->target - fmin(accept, 1));
  double x = fmin(a->mu - a->bar * sqrt(a->count) / gamma, a->most);
  a->x_bar = (1 - x_eta) * a->x_bar + x_eta * x;
  return exp(x);
}

double averaging_final(const averaging *a) { return exp(a->x_bar); }

/* ---- moments and rows ---- */

static bool moments_new(norn_state *st, moments *m, int64_t n)
{
  m->mean = engine_get(st, (size_t)(4 * n + 1) * sizeof *m->mean);
  if (!m->mean) return false;
  m->square = m->mean + n;
  m->gmean = m->square + n;
  m->gsquare = m->gmean + n;
  return true;
}

static void moments_clear(moments *m, int64_t n)
{
  memset(m->mean, 0, (size_t)(4 * n) * sizeof *m->mean);
  m->count = 0;
}

static void moments_add(moments *m, int64_t n, const double *q, const double *g)
{
  double c = (double)++m->count;
  for (int64_t i = 0; i < n; i++) {
    double d = q[i] - m->mean[i], e = g[i] - m->gmean[i];
    m->mean[i] += d / c;
    m->square[i] += d * (q[i] - m->mean[i]);
    m->gmean[i] += e / c;
    m->gsquare[i] += e * (g[i] - m->gmean[i]);
  }
}

/* When there is no room the oldest rows go, and the window keeps the latest FIT_ROWS or more. */
static void rows_add(window_rows *w, int64_t n, const double *q, const double *g)
{
  if (w->count == w->room) {
    int64_t drop = w->first > w->count - FIT_ROWS ? w->first : w->count - FIT_ROWS;
    size_t size = (size_t)((w->count - drop) * n) * sizeof *w->q;
    memmove(w->q, w->q + drop * n, size);
    memmove(w->g, w->g + drop * n, size);
    w->count -= drop;
    w->first = 0;
    w->split = w->split > drop ? w->split - drop : 0;
  }
  memcpy(w->q + w->count * n, q, (size_t)n * sizeof *q);
  memcpy(w->g + w->count * n, g, (size_t)n * sizeof *g);
  w->count++;
}

/* ---- both ways ---- */

/* Does nutpie's way keep draws, or moments only? */
static bool keeps_rows(const adapt *a) { return a->rows.q != NULL; }

static bool adapt_rows(norn_state *st, adapt *a)
{
  a->rows.room = a->warmup + 1 < 2 * FIT_ROWS ? a->warmup + 1 : 2 * FIT_ROWS;
  size_t size = (size_t)(a->rows.room * a->n) * sizeof(double);
  a->rows.q = engine_get(st, size);
  a->rows.g = engine_get(st, size);
  a->fit = fit_new(st, a->n, a->rows.room < FIT_ROWS ? a->rows.room : FIT_ROWS);
  return a->rows.q && a->rows.g && a->fit;
}

bool adapt_new(norn_state *st, adapt *a, adapt_kind kind, metric_kind of, int64_t n, int64_t warmup,
               double target, double fixed_step)
{
  bool nutpie = kind == ADAPT_NUTPIE;
  *a = (adapt){.kind = kind, .n = n, .warmup = warmup, .fixed = fixed_step > 0};
  a->step.target = target;
  a->step.most = nutpie ? log(3.141592653589793) : HUGE_VAL;
  if (!moments_new(st, &a->now, n) || !moments_new(st, &a->next, n)) return false;
  if (!warmup) return true;
  if (nutpie && (of == METRIC_DENSE || of == METRIC_LOW_RANK)) return adapt_rows(st, a);
  if (of == METRIC_DENSE)
    return (a->square = engine_get(st, (size_t)(n * n) * sizeof *a->square)) != NULL;
  return true;
}

void adapt_free(norn_state *st, adapt *a)
{
  size_t rows = (size_t)(a->rows.room * a->n) * sizeof(double);
  engine_put(st, a->now.mean, (size_t)(4 * a->n + 1) * sizeof(double));
  engine_put(st, a->next.mean, (size_t)(4 * a->n + 1) * sizeof(double));
  engine_put(st, a->square, (size_t)(a->n * a->n) * sizeof(double));
  engine_put(st, a->rows.q, rows);
  engine_put(st, a->rows.g, rows);
  fit_free(st, a->fit);
}

/* Windows of Stan's warm-up: [first, last) learn the metric; they end at window_end. */
static void stan_windows(adapt *a)
{
  bool whole = a->warmup >= 75 + 25 + 50;
  int64_t term = whole ? 50 : a->warmup / 10;
  a->first = whole ? 75 : a->warmup * 15 / 100;
  a->last = a->warmup < 20 ? a->first : a->warmup - term;
  a->window = whole ? 25 : a->last - a->first;
  a->window_end = a->first + a->window - 1;
}

static void nutpie_add(adapt *a, const phase *z)
{
  if (keeps_rows(a)) {
    rows_add(&a->rows, a->n, z->q, z->g);
    return;
  }
  moments_add(&a->now, a->n, z->q, z->g);
  moments_add(&a->next, a->n, z->q, z->g);
}

/* The first guess of nutpie's metric: 1/|gradient|, within bounds. */
static void nutpie_start(adapt *a, hmc *h, const phase *z)
{
  double *guess = h->m.work;
  for (int64_t i = 0; i < a->n; i++) guess[i] = 1 / fmin(fmax(fabs(z->g[i]), 1e-5), 1e5);
  metric_diagonal(&h->m, guess);
  a->early = (int64_t)(0.3 * (double)a->warmup);
  a->final = a->warmup - (int64_t)(0.15 * (double)a->warmup);
  a->size = 80;
  nutpie_add(a, z);
}

void adapt_start(adapt *a, hmc *h, const phase *z)
{
  moments_clear(&a->now, a->n);
  moments_clear(&a->next, a->n);
  metric_unit(&h->m);
  if (!a->warmup) return;
  if (a->kind == ADAPT_STAN) stan_windows(a);
  else if (h->m.kind != METRIC_UNIT) nutpie_start(a, h, z);
}

void adapt_restart(adapt *a, hmc *h) { averaging_start(&a->step, a->step.target, h->step); }

/* ---- Stan's windows ---- */

/* The sum of products of the draws about their mean, by Welford's update. */
static void stan_add(adapt *a, const phase *z)
{
  int64_t n = a->n;
  double *before = a->next.mean;         /* scratch: what the draw is off the old mean */
  for (int64_t i = 0; i < n; i++) before[i] = z->q[i] - a->now.mean[i];
  moments_add(&a->now, n, z->q, z->g);
  for (int64_t i = 0; i < n && a->square; i++)
    for (int64_t j = 0; j <= i; j++)
      a->square[i * n + j] += (z->q[i] - a->now.mean[i]) * before[j];
}

static void stan_metric(adapt *a, hmc *h)
{
  int64_t n = a->n;
  double c = (double)a->now.count, keep = c / (c + 5), add = 1e-3 * (5 / (c + 5));
  if (!a->square) {
    double *x = h->m.work;
    for (int64_t i = 0; i < n; i++) x[i] = keep * (a->now.square[i] / (c - 1)) + add;
    metric_diagonal(&h->m, x);
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j <= i; j++)
      h->m.full[i * n + j] = h->m.full[j * n + i] = keep * a->square[i * n + j] / (c - 1);
    h->m.full[i * n + i] += add;
  }
  metric_factor(&h->m);
  memset(a->square, 0, (size_t)(n * n) * sizeof *a->square);
}

/* Transition `at`, from 0; the next window is twice as long, or reaches to the end if the one after
   it would not fit. */
static bool adapt_stan(adapt *a, hmc *h, const phase *z, int64_t at)
{
  if (at < a->first || at >= a->last) return false;
  stan_add(a, z);
  if (at != a->window_end) return false;
  if (a->window_end != a->last - 1) {
    a->window *= 2;
    a->window_end = at + a->window;
    if (a->window_end != a->last - 1 && a->window_end + 2 * a->window >= a->last)
      a->window_end = a->last - 1;
  }
  if (a->now.count < 2) return false;
  stan_metric(a, h);
  moments_clear(&a->now, a->n);
  return true;
}

/* ---- nutpie's windows ---- */

static int64_t younger(const adapt *a)
{
  return keeps_rows(a) ? a->rows.count - a->rows.split : a->next.count;
}

static void nutpie_switch(adapt *a)
{
  if (keeps_rows(a)) {
    a->rows.first = a->rows.split;
    a->rows.split = a->rows.count;
    return;
  }
  moments old = a->now;
  a->now = a->next;
  a->next = old;
  moments_clear(&a->next, a->n);
}

static bool nutpie_metric(adapt *a, hmc *h)
{
  const window_rows *w = &a->rows;
  if (keeps_rows(a)) {
    int64_t first = w->count - w->first > FIT_ROWS ? w->count - FIT_ROWS : w->first;
    return w->count - first >= 3 &&
      fit_metric(a->fit, &h->m, w->q + first * a->n, w->g + first * a->n, w->count - first);
  }
  if (a->now.count < 3) return false;
  for (int64_t i = 0; i < a->n; i++) {
    double s = sqrt(a->now.square[i] / a->now.gsquare[i]);
    if (s > 1e-20 && s < 1e20) h->m.scale[i] = sqrt(s);
  }
  return true;
}

/* Transition `at`, from 0.  true: the metric is no longer the first guess. */
static bool adapt_nutpie(adapt *a, hmc *h, const phase *z, const transition *t, int64_t at,
                         bool *late)
{
  bool early = at < a->early, now = false;
  *late = true;
  if (at >= a->final) return false;
  if (at == a->early && younger(a) > a->size) a->size = younger(a);
  int64_t size = early ? 10 : a->size, next = early ? 10 : (int64_t)llround(1.5 * (double)size);
  if (t->diverged ? llabs(t->index) > 4 : t->index != 0) nutpie_add(a, z);
  *late = next + at > a->final;
  if (younger(a) >= size && !*late) {
    nutpie_switch(a);
    if (!early) a->size = next;
    now = true;
  }
  if (!now && at - a->updated < (keeps_rows(a) ? 20 : 1)) return false;
  if (!nutpie_metric(a, h)) return false;
  a->updated = at;
  bool first = !a->changed;
  a->changed = true;
  return first;
}

bool adapt_update(adapt *a, hmc *h, const phase *z, const transition *t)
{
  int64_t at = a->at++;
  bool anew = false, late = false;
  if (h->m.kind != METRIC_UNIT)
    anew = a->kind == ADAPT_STAN ? adapt_stan(a, h, z, at) : adapt_nutpie(a, h, z, t, at, &late);
  if (a->fixed) return false;
  double step = averaging_update(&a->step, late ? t->symmetric : t->accept);
  h->step = step;
  return anew;
}

void adapt_finish(adapt *a, hmc *h)
{
  if (a->step.count > 0 && !a->fixed) h->step = averaging_final(&a->step);
}

static bool moments_archive(norn_archive *a, moments *m, int64_t n)
{
  return norn_archive_bytes(a, m->mean, (size_t)(4 * n) * sizeof *m->mean) &&
         norn_archive_i64(a, &m->count);
}

bool adapt_archive(norn_archive *a, adapt *d)
{
  window_rows *w = &d->rows;
  double *x[] = { &d->step.target, &d->step.mu, &d->step.bar, &d->step.x_bar, &d->step.count,
                  &d->step.most };
  int64_t *k[] = { &d->at, &w->first, &w->split, &w->count, &d->window, &d->window_end, &d->first,
                   &d->last, &d->early, &d->final, &d->size, &d->updated };
  for (int i = 0; i < NORN_COUNT(x); i++) norn_archive_f64(a, x[i]);
  for (int i = 0; i < NORN_COUNT(k); i++) norn_archive_i64(a, k[i]);
  norn_archive_bool(a, &d->changed);
  if (!moments_archive(a, &d->now, d->n) || !moments_archive(a, &d->next, d->n)) return false;
  if (w->count < 0 || w->count > w->room || w->first < 0 || w->first > w->count || w->split < 0 ||
      w->split > w->count)
    return norn_archive_fail(a, "the windows of warm-up are none");
  if (d->square) norn_archive_bytes(a, d->square, (size_t)(d->n * d->n) * sizeof *d->square);
  size_t rows = (size_t)(w->count * d->n) * sizeof(double);
  return norn_archive_bytes(a, w->q, rows) && norn_archive_bytes(a, w->g, rows);
}
