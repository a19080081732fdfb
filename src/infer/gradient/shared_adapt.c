/* shared_adapt: what many chains learn together in warm-up (chees.h).

   Metric.  M^-1 = sqrt(var(q) / var(gradient)) by coordinate, which is the variance of a normal even while
   chains are still far off (Seyboldt, Carlson, Carpenter 2026, arXiv 2603.18845: the diagonal that
   minimises the Fisher divergence).  Moments are over chains, and over transitions with weights that
   forget: the c-th counts 8 / (c + 7), so that about the last eighth stands.  It is fixed at 85 % of
   warm-up.

   Approach.  In the first quarter of warm-up trajectories are short, and no chain is forgotten: one that is
   refused for long, in a place where the density bends more than elsewhere, lowers the step size of all
   until it has moved.  After it step size and length begin anew, and what is refused counts as accepted one
   time in 20: then a chain that can't move does not stop all others.

   Step size.  Dual averaging (adapt.c) of the harmonic mean of the chains' acceptances, as in Hoffman,
   Radul, Sountsov 2021 ("An adaptive-MCMC scheme for setting trajectory lengths in Hamiltonian Monte
   Carlo"), whose target .651 is the default.

   Length T of trajectories.  The same paper's algorithm 1: a transition follows h T, h by Halton's sequence;
   the gradient of the criterion ChEES = E (|x' - E x'|^2 - |x - E x|^2)^2 / 4 in log T, estimated over the
   chains, moves log T by Adam with rate .025, no momentum and .95 for the squares.  Here it is that of
   ChEES / sqrt(T), as a trajectory costs what it is long: where a coordinate has a heavy tail, ChEES itself
   goes on rising far beyond the length that is best (a radon-shaped hierarchy: 17 instead of 5, at a third of
   the effective draws a gradient; ChEES / T stops short of it, at 2).  Distances are those of the metric's
   coordinates, so that no coordinate counts more for its unit; the paper has the metric fixed and does not
   say.  What counts after warm-up is the average of log T with weights c^-0.75. */
#include "infer/gradient/chees.h"
#include <string.h>

bool shared_adapt_new(norn_state *st, shared_adapt *a, int64_t n)
{
  a->n = n;
  a->memory = engine_get(st, (size_t)(6 * n + 1) * sizeof *a->memory);
  if (!a->memory) return false;
  a->mean = a->memory;
  a->var = a->mean + n;
  a->gmean = a->var + n;
  a->gvar = a->gmean + n;
  a->scale = a->gvar + n;
  for (int64_t i = 0; i < n; i++) a->scale[i] = 1;
  return true;
}

void shared_adapt_free(norn_state *st, shared_adapt *a)
{
  engine_put(st, a->memory, (size_t)(6 * a->n + 1) * sizeof *a->memory);
}

/* mean and variance of a mixture: (1 - w) of what they were, w of a batch. */
static void mix(double w, double batch_mean, double batch_var, double *mean, double *var)
{
  double d = batch_mean - *mean;
  if (w >= 1) {                                                    /* what it was may be infinite */
    *mean = batch_mean;
    *var = batch_var;
    return;
  }
  *mean += w * d;
  *var = (1 - w) * (*var + w * d * d) + w * batch_var;
}

void shared_adapt_moments(shared_adapt *a, const double *m)
{
  int64_t n = a->n;
  double w = 8 / (++a->batches + 7);
  const double *mean = m, *var = mean + n, *gmean = var + n, *gvar = gmean + n;
  for (int64_t i = 0; i < n; i++) {
    mix(w, mean[i], var[i], &a->mean[i], &a->var[i]);
    mix(w, gmean[i], gvar[i], &a->gmean[i], &a->gvar[i]);
    double s = sqrt(a->var[i] / a->gvar[i]);
    if (a->learns_metric && s > 1e-20 && s < 1e20) a->scale[i] = sqrt(s);
    if (!isfinite(a->gvar[i])) a->batches = 0;                     /* of a far start: forgotten */
  }
}

void shared_adapt_start(shared_adapt *a, double target)
{
  a->step_walk.most = HUGE_VAL;
  averaging_start(&a->step_walk, target, a->step);
  a->approach = a->warmup / 4;
  a->metric_end = a->warmup - (int64_t)(0.15 * (double)a->warmup);
  a->step_walk.mu = log(a->step);        /* that of all chains is near: no larger one need be tried */
  if (a->learns_length) a->length = fmax(a->step, fmin(1, 16 * a->step));
  a->walk = (length_walk){.log = log(a->length), .least = log(a->step) - 1};
}

double shared_adapt_least(const shared_adapt *a, int64_t chains)
{
  return a->at < a->approach ? 0.1 / (double)chains : 0.05;
}

/* slope: that of the criterion in log T, of a transition. */
static void update_length(shared_adapt *a, double slope)
{
  const double rate = 0.025, decay = 0.95, average = 0.75;
  length_walk *w = &a->walk;
  if (!isfinite(slope)) return;
  if (w->count > 4) {                    /* one path far out must not stand for all later ones */
    double far = 4 * sqrt(w->square / (1 - pow(decay, w->count)));
    slope = fmin(fmax(slope, -far), far);
  }
  w->count++;
  w->square = decay * w->square + (1 - decay) * slope * slope;
  double root = sqrt(w->square / (1 - pow(decay, w->count)));
  if (root > 0) w->log += rate * slope / root;
  w->log = fmin(fmax(w->log, w->least), w->least + log((double)a->max_steps));
  w->average += pow(w->count, -average) * (w->log - w->average);
  a->length = exp(w->log);
}

void shared_adapt_update(shared_adapt *a, const chains_told *told, double travelled)
{
  a->at++;
  a->last_accept = told->accept;
  if (a->learns_step) a->step = averaging_update(&a->step_walk, told->harmonic);
  if (a->learns_length && a->at > a->approach) update_length(a, told->slope * travelled - 0.5 * told->criterion);
}

void shared_adapt_finish(shared_adapt *a)
{
  if (!a->warmup) return;
  if (a->learns_step) a->step = averaging_final(&a->step_walk);
  if (a->learns_length) a->length = fmax(exp(a->walk.average), a->step);
}

double shared_halton(uint64_t i)
{
  double x = 0, part = 0.5;
  for (; i; i >>= 1, part *= 0.5) x += (double)(i & 1) * part;
  return x;
}

bool shared_adapt_archive(norn_archive *a, shared_adapt *s)
{
  averaging *w = &s->step_walk;
  length_walk *l = &s->walk;
  double *number[] = {&l->least, &s->batches, &s->step, &s->length, &s->last_accept, &w->target, &w->mu,
                      &w->bar,
                      &w->x_bar, &w->count, &w->most, &l->log, &l->square, &l->average, &l->count};
  for (int i = 0; i < NORN_COUNT(number); i++) norn_archive_f64(a, number[i]);
  norn_archive_i64(a, &s->at);
  norn_archive_i64(a, &s->approach);
  norn_archive_i64(a, &s->metric_end);
  return norn_archive_bytes(a, s->memory, (size_t)(6 * s->n) * sizeof *s->memory);
}
