/* adapt: step size and metric during warm-up.

   Stan's way: fast intervals of 75 and 50 transitions at the ends, between them windows of 25, 50,
   100 ... at whose ends the metric becomes the variance of the window's draws, shrunk
   n/(n+5) var + 1e-3 5/(n+5), and the step size is sought anew (Stan reference manual, "Automatic
   parameter tuning").
   nutpie's way (arXiv 2603.18845): the metric is sqrt(var(draws)/var(gradients)), taken after every
   draw from a window that is exchanged for a younger one every 10 draws in the first 30 % of
   warm-up and every 80 later; the last 15 % adapt the step size only. */
#include "infer/hmc.h"
#include <string.h>

/* ---- step size ---- */

void averaging_start(averaging *a, double target, double step)
{
  *a = (averaging){.target = target, .mu = log(10 * step)};
}

double averaging_update(averaging *a, double accept)
{
  const double gamma = 0.05, kappa = 0.75, t0 = 10;
  a->count++;
  double eta = 1 / (a->count + t0), x_eta = pow(a->count, -kappa);
  a->bar = (1 - eta) * a->bar + eta * (a->target - fmin(accept, 1));
  double x = a->mu - a->bar * sqrt(a->count) / gamma;
  a->x_bar = (1 - x_eta) * a->x_bar + x_eta * x;
  return exp(x);
}

double averaging_final(const averaging *a) { return exp(a->x_bar); }

/* ---- moments ---- */

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

/* ---- both ways ---- */

bool adapt_new(norn_state *st, adapt *a, adapt_kind kind, int64_t n, int64_t warmup, double target)
{
  *a = (adapt){.kind = kind, .n = n, .warmup = warmup};
  a->step.target = target;
  return moments_new(st, &a->now, n) && moments_new(st, &a->next, n);
}

void adapt_free(norn_state *st, adapt *a)
{
  engine_put(st, a->now.mean, (size_t)(4 * a->n + 1) * sizeof(double));
  engine_put(st, a->next.mean, (size_t)(4 * a->n + 1) * sizeof(double));
}

void adapt_start(adapt *a, hmc *h, const phase *z)
{
  moments_clear(&a->now, a->n);
  moments_clear(&a->next, a->n);
  a->at = 0;
  a->window = 25;
  a->window_end = a->warmup >= 150 ? 75 + 25 : a->warmup * 15 / 100 + a->warmup * 75 / 100;
  if (a->warmup >= 150 && a->window_end + 2 * a->window > a->warmup - 50)
    a->window_end = a->warmup - 50;
  if (a->kind == ADAPT_NUTPIE && !a->unit)       /* the first guess: 1/|gradient| */
    for (int64_t i = 0; i < a->n; i++) h->inverse[i] = 1 / fmin(fmax(fabs(z->g[i]), 1e-5), 1e5);
  averaging_start(&a->step, a->step.target, h->step);
}

void adapt_restart(adapt *a, hmc *h) { averaging_start(&a->step, a->step.target, h->step); }

static bool adapt_stan(adapt *a, hmc *h, const phase *z)
{
  int64_t first = a->warmup >= 150 ? 75 : a->warmup * 15 / 100;
  int64_t last = a->warmup >= 150 ? a->warmup - 50 : a->warmup - a->warmup * 10 / 100;
  if (a->at <= first || a->at > last) return false;
  moments_add(&a->now, a->n, z->q, z->g);
  if (a->at < a->window_end || a->now.count < 2) return false;
  double c = (double)a->now.count;
  for (int64_t i = 0; i < a->n; i++)
    h->inverse[i] = c / (c + 5) * (a->now.square[i] / (c - 1)) + 1e-3 * (5 / (c + 5));
  moments_clear(&a->now, a->n);
  a->window *= 2;
  a->window_end += a->window;
  if (a->window_end + 2 * a->window > last) a->window_end = last;
  return true;
}

static void adapt_nutpie(adapt *a, hmc *h, const phase *z)
{
  int64_t early = a->warmup * 3 / 10, last = a->warmup - a->warmup * 15 / 100;
  if (a->at > last) return;
  moments_add(&a->now, a->n, z->q, z->g);
  moments_add(&a->next, a->n, z->q, z->g);
  if (a->next.count >= (a->at < early ? 10 : 80)) {
    moments swap = a->now;
    a->now = a->next;
    a->next = swap;
    moments_clear(&a->next, a->n);
  }
  if (a->now.count < 3) return;
  for (int64_t i = 0; i < a->n; i++) {
    double s = sqrt(a->now.square[i] / a->now.gsquare[i]);
    if (s > 1e-20 && s < 1e20) h->inverse[i] = s;
  }
}

bool adapt_update(adapt *a, hmc *h, const phase *z, double accept)
{
  a->at++;
  h->step = averaging_update(&a->step, accept);
  if (a->unit) return false;
  if (a->kind == ADAPT_STAN) return adapt_stan(a, h, z);
  adapt_nutpie(a, h, z);
  return false;
}

void adapt_finish(adapt *a, hmc *h)
{
  if (a->at > 0) h->step = averaging_final(&a->step);
}
