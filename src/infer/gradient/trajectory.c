/* trajectory: one transition of Hamiltonian Monte Carlo.

   nuts, as Stan has it: multinomial sampling from the trajectory (Betancourt 2017, "A conceptual
   introduction to Hamiltonian Monte Carlo", appendix A.5), the generalised criterion with the sum
   of momenta rho, and two further checks across the halves of a tree.  Its tree is built in place:
   each depth has its own vectors.
   hmc: a path of given length, whose end is accepted with probability min(1, e^-d) (Neal 2011). */
#include "infer/gradient/hmc.h"
#include "num/rng.h"
#include <string.h>

enum { OWN_VECTORS = 12 };               /* of a tree beside those of its levels */

/* One transition in the making. */
typedef struct growth {
  tree *e;
  hmc *h;
  norn_rng *g;
  double start, weight;                  /* energy; log sum of weights */
  transition *t;
} growth;

static double dot(const double *x, const double *y, int64_t n)
{
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += x[i] * y[i];
  return s;
}

static void put(double *to, const double *from, int64_t n)
{
  memcpy(to, from, (size_t)n * sizeof *to);
}

static void sum_of(double *to, const double *x, const double *y, int64_t n)
{
  for (int64_t i = 0; i < n; i++) to[i] = x[i] + y[i];
}

/* Does the trajectory still move away at both ends? */
static bool goes_on(const double *v_begin, const double *v_end, const double *rho, int64_t n)
{
  return dot(v_begin, rho, n) > 0 && dot(v_end, rho, n) > 0;
}

/* ---- memory ---- */

bool tree_new(norn_state *st, tree *e, int64_t n, int64_t max_depth)
{
  int64_t vectors = OWN_VECTORS + TREE_VECTORS * (max_depth + 1);
  *e = (tree){.n = n, .max_depth = max_depth};
  phase *phases[] = {&e->z, &e->forward, &e->backward, &e->propose};
  for (int i = 0; i < NORN_COUNT(phases); i++)
    if (!phase_new(st, phases[i], n)) return false;
  double *at = e->memory = engine_get(st, (size_t)(vectors * n + 1) * sizeof *at);
  e->level = engine_get(st, (size_t)(max_depth + 1) * sizeof *e->level);
  if (!at || !e->level) return false;
  span_of *f = &e->f, *b = &e->b;
  double **own[] = {&e->rho, &e->sum,     &f->p_begin, &f->p_end,   &f->v_begin, &f->v_end,
                    &f->rho, &b->p_begin, &b->p_end,   &b->v_begin, &b->v_end,   &b->rho};
  for (int i = 0; i < NORN_COUNT(own); i++, at += n) *own[i] = at;
  for (int64_t d = 0; d <= max_depth; d++) {
    if (!phase_new(st, &e->level[d].other, n)) return false;
    for (int i = 0; i < TREE_VECTORS; i++, at += n) e->level[d].v[i] = at;
  }
  return true;
}

void tree_free(norn_state *st, tree *e)
{
  int64_t n = e->n, vectors = OWN_VECTORS + TREE_VECTORS * (e->max_depth + 1);
  phase *phases[] = {&e->z, &e->forward, &e->backward, &e->propose};
  for (int i = 0; i < NORN_COUNT(phases); i++) phase_free(st, phases[i], n);
  for (int64_t d = 0; e->level && d <= e->max_depth; d++) phase_free(st, &e->level[d].other, n);
  engine_put(st, e->memory, (size_t)(vectors * n + 1) * sizeof(double));
  engine_put(st, e->level, (size_t)(e->max_depth + 1) * sizeof *e->level);
}

/* ---- a step ---- */

/* One leapfrog step of z; its energy error d against the start, and what it tells of acceptance. */
static double step_error(growth *w, double e)
{
  transition *t = w->t;
  hmc_leapfrog(w->h, &w->e->z, e);
  double d = hmc_energy(w->h, &w->e->z) - w->start, a = exp(-d);
  t->leaps++;
  if (!(d <= MAX_DELTA)) t->diverged = true;
  t->accept += d < 0 ? 1 : a;
  t->symmetric += t->diverged ? 0 : d < 0 ? 2 / (1 + a) : 2 * a / (1 + a);
  return d;
}

/* Means of what step_error summed. */
static void transition_end(transition *t, const phase *sample)
{
  t->index = sample->index;
  if (!t->leaps) return;
  t->accept /= (double)t->leaps;
  t->symmetric /= (double)t->leaps;
}

/* ---- trees ---- */

/* One step; its end is both ends of a tree of depth 0. */
static bool tree_leaf(growth *w, int way, phase *propose, span_of *s, double *weight)
{
  tree *e = w->e;
  int64_t n = e->n;
  double d = step_error(w, way * w->h->step);
  *weight = log_add(*weight, -d);
  phase_copy(propose, &e->z, n);
  put(s->p_begin, e->z.p, n);
  put(s->p_end, e->z.p, n);
  put(s->v_begin, e->z.v, n);
  put(s->v_end, e->z.v, n);
  for (int64_t i = 0; i < n; i++) s->rho[i] += e->z.p[i];
  return !w->t->diverged;
}

/* A tree of 2^depth steps from e->z on; adds its momenta to s->rho and its weight to *weight; its
   proposal is drawn by weight.  false: it diverged or turned. */
static bool tree_grow(growth *w, int64_t depth, int way, phase *propose, span_of *s, double *weight)
{
  tree *e = w->e;
  int64_t n = e->n;
  if (depth == 0) return tree_leaf(w, way, propose, s, weight);
  tree_level *l = &e->level[depth];
  double **v = l->v;
  double w_first = -HUGE_VAL, w_second = -HUGE_VAL;
  span_of first = {s->p_begin, v[0], s->v_begin, v[1], v[2]};
  span_of second = {v[3], s->p_end, v[4], s->v_end, v[5]};
  memset(v[2], 0, (size_t)n * sizeof *v[2]);
  memset(v[5], 0, (size_t)n * sizeof *v[5]);
  if (!tree_grow(w, depth - 1, way, propose, &first, &w_first)) return false;
  if (!tree_grow(w, depth - 1, way, &l->other, &second, &w_second)) return false;
  double both = log_add(w_first, w_second);
  *weight = log_add(*weight, both);
  if (w_second > both || rng_uniform(w->g) < exp(w_second - both))
    phase_copy(propose, &l->other, n);
  sum_of(v[6], first.rho, second.rho, n);
  for (int64_t i = 0; i < n; i++) s->rho[i] += v[6][i];
  bool on = goes_on(s->v_begin, s->v_end, v[6], n);
  sum_of(v[6], first.rho, second.p_begin, n);
  on = on && goes_on(s->v_begin, second.v_begin, v[6], n);
  sum_of(v[6], second.rho, first.p_end, n);
  return on && goes_on(first.v_end, s->v_end, v[6], n);
}

/* Doubles the trajectory forwards or backwards: the new half replaces that end. */
static bool tree_double(growth *w, int64_t depth, double *weight)
{
  tree *e = w->e;
  int64_t n = e->n;
  bool ahead = rng_uniform(w->g) > 0.5;
  phase *end = ahead ? &e->forward : &e->backward;
  span_of *grown = ahead ? &e->f : &e->b, *old = ahead ? &e->b : &e->f;
  phase_copy(&e->z, end, n);
  put(old->rho, e->rho, n);
  /* the old trajectory's end that meets the new half */
  if (ahead) { put(e->b.p_end, e->f.p_end, n); put(e->b.v_end, e->f.v_end, n); }
  else { put(e->f.p_begin, e->b.p_begin, n); put(e->f.v_begin, e->b.v_begin, n); }
  memset(grown->rho, 0, (size_t)n * sizeof *grown->rho);
  span_of s = ahead ? (span_of){e->f.p_begin, e->f.p_end, e->f.v_begin, e->f.v_end, e->f.rho}
                    : (span_of){e->b.p_end, e->b.p_begin, e->b.v_end, e->b.v_begin, e->b.rho};
  bool good = tree_grow(w, depth, ahead ? 1 : -1, &e->propose, &s, weight);
  phase_copy(end, &e->z, n);
  return good;
}

/* Is the whole trajectory, backward half b and forward half f, still going? */
static bool tree_whole(tree *e)
{
  int64_t n = e->n;
  sum_of(e->rho, e->b.rho, e->f.rho, n);
  bool on = goes_on(e->b.v_begin, e->f.v_end, e->rho, n);
  sum_of(e->sum, e->b.rho, e->f.p_begin, n);
  on = on && goes_on(e->b.v_begin, e->f.v_begin, e->sum, n);
  sum_of(e->sum, e->f.rho, e->b.p_end, n);
  return on && goes_on(e->b.v_end, e->f.v_end, e->sum, n);
}

void tree_transition(tree *e, hmc *h, phase *sample, norn_rng *g, transition *t)
{
  int64_t n = e->n;
  growth w = {.e = e, .h = h, .g = g, .t = t};
  *t = (transition){.depth = 0};
  sample->index = 0;
  hmc_momentum(h, sample, g);
  phase_copy(&e->z, sample, n);
  phase_copy(&e->forward, sample, n);
  phase_copy(&e->backward, sample, n);
  double *ends[] = {e->f.p_begin, e->f.p_end, e->b.p_begin, e->b.p_end};
  double *speeds[] = {e->f.v_begin, e->f.v_end, e->b.v_begin, e->b.v_end};
  for (int i = 0; i < 4; i++) {
    put(ends[i], sample->p, n);
    put(speeds[i], sample->v, n);
  }
  put(e->rho, sample->p, n);
  w.start = hmc_energy(h, sample);
  while (t->depth < e->max_depth) {
    double weight = -HUGE_VAL;
    if (!tree_double(&w, t->depth, &weight)) break;
    t->depth++;
    if (weight > w.weight || rng_uniform(g) < exp(weight - w.weight))
      phase_copy(sample, &e->propose, n);
    w.weight = log_add(w.weight, weight);
    if (!tree_whole(e)) break;
  }
  transition_end(t, sample);
}

/* ---- paths ---- */

void path_transition(tree *e, hmc *h, phase *sample, int64_t steps, norn_rng *g, transition *t)
{
  growth w = {.e = e, .h = h, .g = g, .t = t};
  double d = 0;
  *t = (transition){.depth = 0};
  sample->index = 0;
  hmc_momentum(h, sample, g);
  phase_copy(&e->z, sample, e->n);
  w.start = hmc_energy(h, sample);
  for (int64_t i = 0; i < steps && !t->diverged; i++) d = step_error(&w, h->step);
  /* adaptation looks at the end of the path alone: it is what is accepted */
  double u = rng_uniform(g), a = t->diverged ? 0 : exp(-d);
  if (!t->diverged && (d <= 0 || u < a)) phase_copy(sample, &e->z, e->n);
  transition_end(t, sample);
  t->accept = fmin(a, 1);
  t->symmetric = d <= 0 && !t->diverged ? 2 / (1 + a) : 2 * a / (1 + a);
}
