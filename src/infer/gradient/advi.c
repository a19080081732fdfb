/* advi: the normal of a family with the highest ELBO, E_q log p(u) - E_q log q(u), in unconstrained
   coordinates (Kucukelbir, Tran, Ranganath, Gelman, Blei 2017, "Automatic differentiation
   variational inference"), by the reparameterisation u = mean + scale e, e ~ normal(0, I).

   How it is maximised.  Stochastic gradients need a step size, and their result is as noisy as the
   step is long; rules for both (Stan's search of eta, averaging of iterates) fail now and then,
   without a sign.  Here the expectation is a mean over draws e that stay the same, so that the ELBO
   is a smooth function that L-BFGS climbs to the top, by itself and with a clear end (Giordano,
   Ingram, Broderick 2024, "Black box variational inference with a deterministic objective", JMLR
   25(18)).  The draws come in pairs e, -e and are made white (mean of e e' = I) where there are
   enough of them: the mean is then exact for every cubic, and the answer for a normal posterior
   without error.  The full-rank family needs more draws than dimensions, else its scale grows
   without end (the same paper): it has at least four times as many.

   It starts at the best normal of several paths of Pathfinder (path.c), and works in coordinates in
   which that normal is standard.  At the end new draws say what the ELBO is, and by k-hat how far
   the normal is from the posterior.

   Random numbers: path i has lane i; the fixed draw s has lane 0xffffffc0, event s; draw s of the
   result lane 0xffffffe0, event s; the overlap of normals 0xffffffd1, draws of another start's
   normal 0xffffffd2. */
#include "infer/particles/path.h"
#include "num/la.h"
#include <float.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 200 };                    /* evaluations, or draws, of one step */

typedef enum { RECORD, PATHS, CLIMB, DRAW, LEAVE } phase_of;
typedef enum { MEAN_FIELD, FULL_RANK } family_of;
typedef struct advi {
  approx a;
  path p;
  lbfgs l;
  cloud drawn;
  phase_of phase;
  int family;
  int64_t draws, samples, starts, iterations, at, n, params;
  double tol, change;                  /* change: of the ELBO in the last iteration, relative */
  bool correct;
  size_t nroom;
  double *room;
  path_normal best, other;             /* other: the best of those that lie apart from best */
  double *best_room, *other_room;
  double *mean, *base, *log_base;      /* where coordinates begin: (n), (n) or (n, n); (1) */
  double *e, *u, *v, *a_matrix, *x, *work;
} advi;

static norn_status advi_init(norn_infer *inf, void *self)
{
  static const char *const families[] = {"mean_field", "full_rank"};
  advi *e = self;
  norn_state *st = norn_infer_state(inf);
  if (!option_int(inf, 0, 1, &e->draws) || !option_choice(inf, 1, families, 2, &e->family) ||
      !option_bool(inf, 2, &e->correct) || !option_int(inf, 4, 2, &e->samples) ||
      !option_int(inf, 5, 1, &e->starts) || !option_int(inf, 6, 1, &e->iterations) ||
      !option_real(inf, 7, &e->tol))
    return norn_error(st)->code;
  if (!(e->tol > 0 && e->tol < 1))
    return norn_fail(st, NORN_EDOMAIN, 7, "tol_rel_obj of advi must be between 0 and 1, got %g",
                     e->tol);
  return approx_init(&e->a, inf, 3);
}

/* ---- the objective ---- */

/* u = mean + base o (m + exp(w) o e), x = (m, w); base (n) */
static double mean_field(advi *e, const double *x, double *g)
{
  int64_t n = e->n;
  const double *m = x, *w = x + n;
  double sum = 0, *u = e->u, *gu = e->v, over = 1 / (double)e->samples;
  memset(g, 0, (size_t)e->params * sizeof *g);
  for (int64_t i = 0; i < n; i++) e->work[i] = exp(w[i]);
  for (int64_t s = 0; s < e->samples; s++) {
    const double *z = e->e + s * n;
    for (int64_t i = 0; i < n; i++) u[i] = e->mean[i] + e->base[i] * (m[i] + e->work[i] * z[i]);
    double lp = target_at(&e->a.t, u, gu);
    if (lp == -HUGE_VAL) return HUGE_VAL;
    sum += over * lp;
    for (int64_t i = 0; i < n; i++) {
      g[i] -= over * e->base[i] * gu[i];
      g[n + i] -= over * e->base[i] * gu[i] * e->work[i] * z[i];
    }
  }
  for (int64_t i = 0; i < n; i++) {
    sum += w[i];
    g[n + i]--;
  }
  return -sum;
}

/* The lower triangle A (n, n) out of its packed rows, the diagonal as logarithms. */
static void unpack(const double *x, int64_t n, double *a)
{
  memset(a, 0, (size_t)(n * n) * sizeof *a);
  for (int64_t i = 0; i < n; i++, x++) {
    for (int64_t j = 0; j < i; j++) a[i * n + j] = *x++;
    a[i * n + i] = exp(*x);
  }
}

/* u = mean + base (m + A e), x = (m, A); base (n, n) */
static double full_rank(advi *e, const double *x, double *g)
{
  int64_t n = e->n, k = e->samples;
  double *t = e->v, *u = e->u, sum = 0, over = 1 / (double)k;
  unpack(x + n, n, e->a_matrix);
  la_mul(false, true, k, n, n, 1, e->e, e->a_matrix, 0, t);
  for (int64_t s = 0; s < k; s++)
    for (int64_t i = 0; i < n; i++) t[s * n + i] += x[i];
  la_mul(false, true, k, n, n, 1, t, e->base, 0, u);
  for (int64_t s = 0; s < k; s++) {
    for (int64_t i = 0; i < n; i++) u[s * n + i] += e->mean[i];
    double lp = target_at(&e->a.t, u + s * n, t + s * n);
    if (lp == -HUGE_VAL) return HUGE_VAL;
    sum += over * lp;
  }
  la_mul(false, false, k, n, n, -over, t, e->base, 0, u);        /* - base' gradient, a row each */
  la_mul(true, false, n, n, k, 1, u, e->e, 0, e->work);
  memset(g, 0, (size_t)n * sizeof *g);
  for (int64_t s = 0; s < k; s++)
    for (int64_t i = 0; i < n; i++) g[i] += u[s * n + i];
  double *to = g + n;
  const double *w = x + n;
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < i; j++) *to++ = e->work[i * n + j];
    w += i;
    *to++ = e->work[i * n + i] * e->a_matrix[i * n + i] - 1;
    sum += *w++;
  }
  return -sum;
}

static double objective(void *self, const double *x, double *g)
{
  advi *e = self;
  return e->family == FULL_RANK ? full_rank(e, x, g) : mean_field(e, x, g);
}

/* What the objective leaves out: the entropy of the base normal. */
static double constant(const advi *e)
{
  return *e->log_base + 0.5 * (double)e->n * (1 + LOG_TWO_PI);
}

/* ---- setting up ---- */

/* The fixed draws e (samples, n): pairs of opposite ones; white, or at least of unit variance. */
static bool fixed_draws(advi *e)
{
  int64_t n = e->n, h = e->samples / 2;
  double *z = e->v, *c = e->a_matrix;                            /* z: (n, h) */
  for (int64_t s = 0; s < h; s++) {
    norn_rng g = {.stream = e->a.stream, .lane = 0xffffffc0u, .event = (uint32_t)s};
    norn_rng_normals(&g, e->u, n);
    for (int64_t i = 0; i < n; i++) z[i * h + s] = e->u[i];
  }
  if (h >= n) {
    la_mul(false, true, n, n, h, 1 / (double)h, z, z, 0, c);
    if (la_cholesky(c, n)) return false;
    la_solve_lower(false, c, n, z, h);
  } else {
    for (int64_t i = 0; i < n; i++) {
      double size = sqrt(la_dot(z + i * h, z + i * h, h) / (double)h);
      for (int64_t s = 0; s < h; s++) z[i * h + s] /= size;
    }
  }
  for (int64_t s = 0; s < h; s++)
    for (int64_t i = 0; i < n; i++) {
      e->e[2 * s * n + i] = z[i * h + s];
      e->e[(2 * s + 1) * n + i] = -z[i * h + s];
    }
  return true;
}

static norn_step advi_record(advi *e)
{
  norn_state *st = e->a.t.st;
  norn_step s = approx_record(&e->a, 0);
  if (s != NORN_STEP_MORE) return s;
  int64_t n = e->n = e->a.t.n, history = 6;
  bool full = e->family == FULL_RANK;
  if (full && e->samples < 4 * n) e->samples = 4 * n;
  e->samples += e->samples % 2;
  e->params = full ? n + n * (n + 1) / 2 : 2 * n;
  size_t m = (size_t)(e->samples * n), nn = (size_t)n, square = nn * nn,
         normal = normal_bytes(n, history) / sizeof(double);
  /* whitening wants a matrix too, where there are enough draws for it */
  size_t matrix = full || e->samples / 2 >= n ? square : 0, work = 4 * nn + (full ? square : 0);
  size_t scale = full ? square : nn, u = full ? m : nn, v = full ? m : m / 2;
  e->nroom = m + u + v + 2 * normal + nn + scale + 1 + matrix + (size_t)e->params + work;
  double *at = e->room = engine_get(st, e->nroom * sizeof *at);
  lbfgs_limits limits = {.history = history, .iterations = e->iterations, .grad = 1e-8,
                         .rel_obj = e->tol / DBL_EPSILON, .rel_grad = e->tol / DBL_EPSILON};
  if (!at || !cloud_new(st, &e->drawn, e->draws, n) ||
      !path_new(&e->a.t, &e->p, history, 1000, 25) ||
      !lbfgs_new(st, &e->l, e->params, &limits, objective, e))
    return NORN_STEP_FAIL;
  e->e = at;
  e->u = e->e + m;
  e->v = e->u + u;
  e->best_room = e->v + v;
  e->other_room = e->best_room + normal;
  e->mean = e->other_room + normal;
  e->base = e->mean + n;
  e->log_base = e->base + scale;
  e->a_matrix = e->log_base + 1;
  e->x = e->a_matrix + matrix;
  e->work = e->x + e->params;
  e->best.elbo = e->other.elbo = -HUGE_VAL;
  if (!fixed_draws(e)) {
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0},
                "the fixed draws of advi could not be made white");
    return NORN_STEP_FAIL;
  }
  e->phase = PATHS;
  return NORN_STEP_MORE;
}

static bool lies_apart(advi *e, const path_normal *a, const path_normal *b)
{
  norn_rng g = {.stream = e->a.stream, .lane = 0xffffffd1u};
  return normal_overlap(a, b, &g, e->work) < 0.01;
}

/* A path has ended: the best normal stays, and the best that lies apart from it. */
static void path_ended(advi *e)
{
  path_normal *now = &e->p.best;
  double none = -HUGE_VAL;
  e->p.begun = false;
  e->at++;
  if (now->elbo == none) return;
  if (now->elbo <= e->best.elbo) {
    if (now->elbo > e->other.elbo && lies_apart(e, now, &e->best))
      normal_copy(&e->other, now, e->other_room);
    return;
  }
  if (e->best.elbo > none && lies_apart(e, now, &e->best))
    normal_copy(&e->other, &e->best, e->other_room);
  else if (e->other.elbo > none && !lies_apart(e, now, &e->other)) e->other.elbo = none;
  normal_copy(&e->best, now, e->best_room);
}

/* The best normal is the base of the coordinates; without one, the last point with widths of 1. */
static bool take_base(advi *e)
{
  int64_t n = e->n;
  bool full = e->family == FULL_RANK, known = e->best.elbo > -HUGE_VAL;
  memcpy(e->mean, known ? e->best.mean : e->p.l.x, (size_t)n * sizeof *e->mean);
  if (full) {
    known = known && normal_factor(&e->best, e->base);
    for (int64_t i = 0; !known && i < n * n; i++) e->base[i] = i % (n + 1) == 0;
  } else if (known) normal_sd(&e->best, e->base);
  else for (int64_t i = 0; i < n; i++) e->base[i] = 1;
  *e->log_base = 0;
  for (int64_t i = 0; i < n; i++) *e->log_base += log(e->base[full ? i * (n + 1) : i]);
  /* narrower until every fixed draw is inside */
  for (int tries = 0; tries < 40 && !e->a.t.failed; tries++) {
    memset(e->x, 0, (size_t)e->params * sizeof *e->x);
    double *w = e->x + n, narrow = -0.7 * tries;
    for (int64_t i = 0; i < n; i++) { w += full ? i : 0; *w++ = narrow; }
    if (lbfgs_start(&e->l, e->x) != LBFGS_STUCK) return true;
  }
  return false;
}

static norn_step advi_paths(advi *e)
{
  target *t = &e->a.t;
  int64_t limit = t->evaluations + PIECE;
  while (e->at < e->starts && t->evaluations < limit) {
    if (!e->p.begun) {
      norn_step s = approx_start(&e->a, (uint32_t)e->at, e->work);
      if (s != NORN_STEP_MORE) return s;
      path_begin(&e->p, e->work, e->a.stream, (uint32_t)e->at);
    } else if (!path_step(&e->p) && !t->failed) path_ended(e);
    if (t->failed) return NORN_STEP_FAIL;
  }
  if (e->at < e->starts) return NORN_STEP_MORE;
  e->at = 0;
  e->phase = CLIMB;
  if (take_base(e)) return NORN_STEP_MORE;
  if (t->failed) return NORN_STEP_FAIL;
  engine_fail(t->st, NORN_EINFER, norn_density_blame(t->density),
              "advi found no normal, however narrow, whose draws lie inside of the posterior");
  norn_hint(t->st, "nuts() or smc() have no need of that");
  return NORN_STEP_FAIL;
}

/* ---- the result ---- */

static void draw_one(advi *e)
{
  int64_t n = e->n;
  bool full = e->family == FULL_RANK;
  norn_rng g = {.stream = e->a.stream, .lane = 0xffffffe0u, .event = (uint32_t)e->at++};
  const double *m = e->l.x, *w = e->l.x + n;
  double *z = e->work, *t = z + n, *u = t + n;
  norn_rng_normals(&g, z, n);
  double lq = -*e->log_base - 0.5 * la_dot(z, z, n) - 0.5 * (double)n * LOG_TWO_PI;
  for (int64_t i = 0; i < n; i++) {
    t[i] = m[i];
    for (int64_t j = 0; full && j < i; j++) t[i] += *w++ * z[j];
    t[i] += exp(*w) * z[i];
    lq -= *w++;
  }
  for (int64_t i = 0; i < n; i++)
    u[i] = e->mean[i] + (full ? la_dot(e->base + i * n, t, i + 1) : e->base[i] * t[i]);
  cloud_add(&e->drawn, &e->a.t, u, lq);
}

/* Coordinate i of base m: what the mean of q has moved from the base normal's. */
static double at_mean(const advi *e, int64_t i)
{
  const double *m = e->l.x;
  return e->family == FULL_RANK ? la_dot(e->base + i * e->n, m, i + 1) : e->base[i] * m[i];
}

/* log q at u (n), which is overwritten. */
static double density_at(const advi *e, double *u)
{
  int64_t n = e->n;
  bool full = e->family == FULL_RANK;
  const double *w = e->l.x + n;
  double lq = -*e->log_base - 0.5 * (double)n * LOG_TWO_PI;
  for (int64_t i = 0; i < n; i++) u[i] -= e->mean[i];
  if (full) la_solve_lower(false, e->base, n, u, 1);
  for (int64_t i = 0; i < n; i++) {
    double z = (full ? u[i] : u[i] / e->base[i]) - e->l.x[i];
    for (int64_t j = 0; full && j < i; j++) z -= *w++ * u[j];
    lq -= *w;
    u[i] = z * exp(-*w++);
  }
  return lq - 0.5 * la_dot(u, u, n);
}

/* Does the density dip on the way from the mean of q to that of the other start's normal? */
static bool dips(advi *e)
{
  int64_t n = e->n;
  double *x = e->work, lp[5], least = HUGE_VAL;
  for (int k = 0; k < 5; k++) {
    for (int64_t i = 0; i < n; i++) x[i] = e->mean[i] + at_mean(e, i);
    for (int64_t i = 0; i < n; i++) x[i] += 0.25 * k * (e->other.mean[i] - x[i]);
    lp[k] = target_at(&e->a.t, x, NULL);
    if (k % 4) least = fmin(least, lp[k]);
  }
  return least < fmin(lp[0], lp[4]) - 0.5;
}

/* The mass that the other start found where q has a hundredth of it at most, relative to what q
   covers: the mean over draws of the other normal r of p / (r Z), as far as p > 100 q Z. */
static double missed(advi *e)
{
  enum { DRAWS = 200 };
  double sum = 0, z = e->drawn.log_evidence, *u = e->work + e->n, *more = u + e->n;
  if (e->other.elbo == -HUGE_VAL || !dips(e)) return 0;
  for (uint32_t s = 0; s < DRAWS; s++) {
    norn_rng g = {.stream = e->a.stream, .lane = 0xffffffd2u, .event = s};
    norn_rng_normals(&g, e->work, e->n);
    double lr = normal_draw(&e->other, e->work, u, more), lp = target_at(&e->a.t, u, NULL);
    if (lp > density_at(e, u) + z + log(100)) sum += exp(lp - lr - z);
  }
  return sum / DRAWS;
}

/* Notes of mean and standard deviations in unconstrained coordinates. */
static void note_normal(advi *e)
{
  int64_t n = e->n;
  norn_infer *inf = e->a.inf;
  double *at = e->work, *sd = at + n;
  bool full = e->family == FULL_RANK;
  if (full) unpack(e->l.x + n, n, e->a_matrix);
  for (int64_t i = 0; i < n; i++) {
    at[i] = e->mean[i] + at_mean(e, i);
    sd[i] = full ? 0 : e->base[i] * exp(e->l.x[n + i]);
    for (int64_t j = 0; full && j <= i; j++) {
      double s = 0;
      for (int64_t k = j; k <= i; k++) s += e->base[i * n + k] * e->a_matrix[k * n + j];
      sd[i] += s * s;
    }
    if (full) sd[i] = sqrt(sd[i]);
  }
  norn_infer_note(inf, "location", norn_array_f64(e->a.t.st, at, n));
  norn_infer_note(inf, "scale", norn_array_f64(e->a.t.st, sd, n));
}

/* The ELBO by new draws, with its standard error. */
static double elbo_of(const cloud *c, double *se)
{
  double mean = 0, var = 0, n = (double)c->kept;
  for (int64_t i = 0; i < c->kept; i++) mean += (c->lp[i] - c->lq[i]) / n;
  for (int64_t i = 0; i < c->kept; i++) {
    double d = c->lp[i] - c->lq[i] - mean;
    var += d * d / n;
  }
  *se = sqrt(var / n);
  return mean;
}

static void warn(advi *e, double fixed, double elbo, double se)
{
  norn_infer *inf = e->a.inf;
  norn_span nowhere = {0, 0, 0};
  if (!lbfgs_converged(e->l.end))
    norn_infer_warn(inf, nowhere, "the ELBO did not converge: after %lld iterations (%s) it still "
                    "changed by %.2g of its size; raise iterations", (long long)e->l.iterations,
                    lbfgs_end_name(e->l.end), e->change);
  if (fixed - elbo > 0.5 + 5 * se)
    norn_infer_warn(inf, nowhere, "new draws give an ELBO of %.6g, the fixed ones %.6g: they are "
                    "too few for this posterior; raise samples", elbo, fixed);
  double mass = missed(e);
  mass /= 1 + mass;
  if (mass > 0.01)
    norn_infer_warn(inf, nowhere, "the starts disagree: about %.2g of the posterior's mass lies "
                    "where this normal has none, as one normal covers one mode; use pathfinder(), "
                    "or write the modes as a mixture", mass);
}

static norn_step draws_end(advi *e)
{
  norn_infer *inf = e->a.inf;
  double se, elbo, fixed = constant(e) - e->l.value;
  if (!cloud_weigh(&e->drawn)) return NORN_STEP_FAIL;
  norn_step s = approx_report(&e->a, &e->drawn, e->correct);
  if (s != NORN_STEP_MORE) return s;
  elbo = elbo_of(&e->drawn, &se);
  norn_infer_note(inf, "elbo", norn_real(elbo));
  norn_infer_note(inf, "elbo_se", norn_real(se));
  norn_infer_note(inf, "elbo_fixed", norn_real(fixed));
  norn_infer_note(inf, "converged", norn_bool(lbfgs_converged(e->l.end)));
  norn_infer_note(inf, "relative_change", norn_real(e->change));
  norn_infer_note(inf, "iterations", norn_int(e->l.iterations));
  note_normal(e);
  warn(e, fixed, elbo, se);
  if (e->correct && !e->a.improper)
    norn_infer_evidence(inf, e->drawn.log_evidence, e->drawn.se);
  e->phase = LEAVE;
  e->at = 0;
  return NORN_STEP_MORE;
}

static norn_step advi_climb(advi *e)
{
  double before = e->l.value;
  if (!e->l.end) {
    lbfgs_step(&e->l);
    e->change = fabs(before - e->l.value) / fmax(1, fabs(e->l.value));
  }
  if (e->a.t.failed) return NORN_STEP_FAIL;
  if (e->l.end) e->phase = DRAW;
  return NORN_STEP_MORE;
}

static norn_step advi_step(norn_infer *inf, void *self)
{
  advi *e = self;
  (void)inf;
  switch (e->phase) {
  case RECORD: return advi_record(e);
  case PATHS: return advi_paths(e);
  case CLIMB: return advi_climb(e);
  case DRAW:
    for (int i = 0; i < PIECE && e->at < e->draws; i++) draw_one(e);
    if (e->a.t.failed) return NORN_STEP_FAIL;
    return e->at == e->draws ? draws_end(e) : NORN_STEP_MORE;
  default: break;
  }
  int64_t kept = e->drawn.kept, end = e->at + PIECE < kept ? e->at + PIECE : kept;
  norn_step s = approx_leave(&e->a, &e->drawn, e->at, end, e->correct);
  e->at = end;
  return s == NORN_STEP_MORE && end == kept ? NORN_STEP_DONE : s;
}

static void advi_progress(norn_infer *inf, void *self, norn_progress *p)
{
  advi *e = self;
  (void)inf;
  if (e->phase == PATHS) {
    p->done = (double)e->at;
    p->total = (double)e->starts;
    if (e->p.begun)
      snprintf(p->state, sizeof p->state, "start %lld, ELBO %.6g", (long long)e->at + 1,
               e->p.best.elbo);
  } else if (e->phase == CLIMB) {
    p->done = (double)e->l.iterations;
    p->total = (double)e->iterations;
    snprintf(p->state, sizeof p->state, "iteration %lld, ELBO %.6g", (long long)e->l.iterations,
             constant(e) - e->l.value);
  } else if (e->phase != RECORD) {
    p->done = (double)e->at;
    p->total = (double)e->draws;
    snprintf(p->state, sizeof p->state, "draws");
  }
}

static void advi_free(norn_infer *inf, void *self)
{
  advi *e = self;
  if (e->room) engine_put(norn_infer_state(inf), e->room, e->nroom * sizeof(double));
  path_free(&e->p);
  lbfgs_free(&e->l);
  cloud_free(&e->drawn);
  approx_free(&e->a);
}

static norn_status advi_archive(norn_infer *inf, void *self, norn_archive *a)
{
  advi *e = self;
  int phase = (int)e->phase;
  norn_archive_int(a, &phase);
  if (phase < RECORD || phase > LEAVE) norn_archive_fail(a, "its phase is none");
  if (norn_archive_status(a) || phase == RECORD) return norn_archive_status(a);
  if (norn_archive_reading(a) && advi_record(e) == NORN_STEP_FAIL)
    return norn_error(norn_infer_state(inf))->code;
  e->phase = (phase_of)phase;
  size_t bytes = e->nroom * sizeof *e->room;
  norn_archive_i64(a, &e->at);
  norn_archive_i64(a, &e->a.t.evaluations);
  norn_archive_f64(a, &e->change);
  norn_archive_bytes(a, e->room, bytes);
  if (normal_archive(a, &e->best, e->room, bytes) && normal_archive(a, &e->other, e->room, bytes) &&
      path_archive(a, &e->p) && lbfgs_archive(a, &e->l))
    cloud_archive(a, &e->drawn);
  return norn_archive_status(a);
}

static const norn_option advi_options[] = {
  {"draws", "1000", "draws from the normal"},
  {"family", "\"mean_field\"",
   "\"mean_field\": independent coordinates; \"full_rank\": any covariance"},
  {"correct", "false", "true: draws are weighted by density / normal, smoothed"},
  APPROX_INIT_OPTION,
  {"samples", "100",
   "fixed draws by which the ELBO is maximised; full_rank: at least 4 a dimension"},
  {"starts", "4", "paths of Pathfinder, of which the best is where it starts"},
  {"iterations", "1000", "at most so many"},
  {"tol_rel_obj", "1e-9", "ends when the ELBO changes by less, relative to its size"},
  DEVICE_OPTIONS,
};

const norn_engine engine_advi = {
  .version = NORN_ENGINE_VERSION, .name = "advi",
  .doc = "The normal with the highest evidence bound (ELBO), in unconstrained coordinates; says by "
         "k-hat how far it is from the posterior.",
  .options = advi_options, .noptions = NORN_COUNT(advi_options), .size = sizeof(advi),
  .init = advi_init, .step = advi_step, .progress = advi_progress, .free = advi_free, .archive = advi_archive};
