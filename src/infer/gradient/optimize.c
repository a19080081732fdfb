/* optimize: the mode of a posterior by L-BFGS (lbfgs.c) from several starts.

   Without the Jacobian the mode is that of the density of the constrained values (the usual MAP);
   with it that of the unconstrained coordinates.  Starts that end at different points are one mode
   if the density does not dip between them; else they are reported.  A density may have no highest
   point: then a coordinate runs away, which is seen by going on further.

   Where scales differ by orders of magnitude L-BFGS may stop early, as the wide coordinates promise
   nothing in the units of the narrow ones.  So each search goes on once more from where it ended,
   in coordinates that are divided by their own width, 1 / sqrt(-d2 log p / du_i^2).

   Random numbers: start k has lane k (approx_start). */
#include "infer/gradient/optimize.h"
#include "infer/infer.h"
#include <stdio.h>
#include <string.h>

enum { PIECE = 200 };                    /* evaluations of one step */
#define DIP 1e-3                         /* a fall of log density that counts */
#define FAR 10.0                         /* from here on a coordinate is suspected to run away */

/* ---- climbing ---- */

static size_t climb_doubles(const climb *c) { return (size_t)((c->starts + 3) * c->a->t.n); }

/* x: coordinates divided by their scales. */
static double scaled_cost(void *user, const double *x, double *g)
{
  climb *c = user;
  int64_t n = c->a->t.n;
  for (int64_t i = 0; i < n; i++) c->work[i] = c->scale[i] * x[i];
  double f = target_cost(&c->a->t, c->work, g);
  for (int64_t i = 0; i < n; i++) g[i] *= c->scale[i];
  return f;
}

bool climb_new(climb *c, approx *a, int64_t starts, const lbfgs_limits *limits)
{
  norn_state *st = a->t.st;
  *c = (climb){.a = a, .starts = starts};
  c->ends = engine_get(st, (size_t)starts * sizeof *c->ends);
  c->u = engine_get(st, climb_doubles(c) * sizeof *c->u);
  if (!c->ends || !c->u) return false;
  c->work = c->u + starts * a->t.n;
  c->scale = c->work + 2 * a->t.n;
  return lbfgs_new(st, &c->l, a->t.n, limits, scaled_cost, c);
}

void climb_free(climb *c)
{
  if (!c->a) return;
  norn_state *st = c->a->t.st;
  engine_put(st, c->ends, (size_t)c->starts * sizeof *c->ends);
  engine_put(st, c->u, climb_doubles(c) * sizeof *c->u);
  lbfgs_free(&c->l);
}

bool climb_archive(norn_archive *a, climb *c)
{
  int64_t *count[] = {&c->at, &c->best, &c->scaled, &c->a->t.evaluations};
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  norn_archive_bool(a, &c->running);
  norn_archive_bool(a, &c->again);
  if (c->at < 0 || c->at > c->starts || c->best < 0 || c->best >= c->starts || c->scaled < -1 ||
      c->scaled > c->a->t.n)
    return norn_archive_fail(a, "a search is not whole");
  for (int64_t i = 0; i < c->starts; i++) {
    climb_end *e = &c->ends[i];
    int end = (int)e->end;
    norn_archive_f64(a, &e->value);
    norn_archive_f64(a, &e->gradient);
    norn_archive_int(a, &end);
    norn_archive_i64(a, &e->iterations);
    if (end < LBFGS_GOING || end > LBFGS_STUCK) return norn_archive_fail(a, "a search is not whole");
    e->end = (lbfgs_end)end;
  }
  return norn_archive_bytes(a, c->u, climb_doubles(c) * sizeof *c->u) && lbfgs_archive(a, &c->l);
}

const double *climb_mode(const climb *c) { return c->u + c->best * c->a->t.n; }

static norn_step climb_begin(climb *c)
{
  int64_t n = c->a->t.n;
  double *u = c->u + c->at * n, *first = c->work + n;
  norn_step s = approx_start(c->a, (uint32_t)c->at, u);
  if (s != NORN_STEP_MORE) return s;
  if (c->at == 0) memcpy(first, u, (size_t)n * sizeof *u);
  /* a given start that names every choice is the same each time */
  else if (c->a->start == START_GIVEN && !memcmp(first, u, (size_t)n * sizeof *u))
    return NORN_STEP_DONE;
  for (int64_t i = 0; i < n; i++) c->scale[i] = 1;
  lbfgs_start(&c->l, u);
  c->running = true;
  c->again = false;
  c->scaled = -1;
  c->ends[c->at].iterations = 0;
  return NORN_STEP_MORE;
}

/* The width of the next coordinate by a difference of gradients, whose step is a tenth of it. */
static void scale_one(climb *c)
{
  int64_t i = c->scaled++, n = c->a->t.n;
  const double *u = c->u + c->at * n;
  double h = 1e-5 * fmax(1, fabs(u[i])), *g = c->l.tried_g, here = c->l.g[i];
  memcpy(c->work, u, (size_t)n * sizeof *u);
  for (int tries = 0; tries < 20; tries++) {
    c->work[i] = u[i] + h;
    bool inside = target_cost(&c->a->t, c->work, g) < HUGE_VAL;
    double curvature = inside ? (g[i] - here) / h : (double)NAN;
    double width = 1 / sqrt(curvature);
    if (width > 0 && width < HUGE_VAL && h <= width) { c->scale[i] = width; return; }
    h *= 0.1;
    if (width > 0 && 0.1 * width < h) h = 0.1 * width;
  }
  c->scale[i] = fmax(fabs(u[i]), 1e-3);  /* no curvature: its size will do */
}

/* A search has ended: it goes on scaled, or this start is over. */
static void climb_end_here(climb *c)
{
  lbfgs *l = &c->l;
  climb_end *e = &c->ends[c->at];
  double g = 0, *u = c->u + c->at * l->n;
  for (int64_t i = 0; i < l->n; i++) {
    u[i] = c->scale[i] * l->x[i];
    g += l->g[i] * l->g[i] / (c->scale[i] * c->scale[i]);
  }
  *e = (climb_end){-l->value, sqrt(g), l->end, e->iterations + l->iterations};
  if (!c->again && l->end != LBFGS_LIMIT) { c->scaled = 0; return; }
  if (e->value > c->ends[c->best].value) c->best = c->at;
  c->running = false;
  c->at++;
}

static void climb_again(climb *c)
{
  int64_t n = c->a->t.n;
  for (int64_t i = 0; i < n; i++) c->l.p[i] = c->u[c->at * n + i] / c->scale[i];
  c->again = true;
  c->scaled = -1;
  lbfgs_start(&c->l, c->l.p);
}

norn_step climb_step(climb *c)
{
  target *t = &c->a->t;
  int64_t limit = t->evaluations + PIECE;
  while (c->at < c->starts && t->evaluations < limit) {
    if (!c->running) {
      norn_step s = climb_begin(c);
      if (s != NORN_STEP_MORE) return s;
    } else if (c->scaled >= 0 && c->scaled < t->n) {
      scale_one(c);
    } else if (c->scaled == t->n) {
      climb_again(c);
    } else lbfgs_step(&c->l);
    if (t->failed) return NORN_STEP_FAIL;
    if (c->l.end && c->scaled < 0) climb_end_here(c);
  }
  return c->at < c->starts ? NORN_STEP_MORE : NORN_STEP_DONE;
}

void climb_progress(const climb *c, norn_progress *p)
{
  p->done = (double)c->at;
  p->total = (double)c->starts;
  if (c->running)
    snprintf(p->state, sizeof p->state, "start %lld, iteration %lld, log density %.6g",
             (long long)c->at + 1, (long long)c->l.iterations, -c->l.value);
}

/* ---- what was found ---- */

/* The least log density at three points between ends i and j. */
static double between(climb *c, int64_t i, int64_t j)
{
  int64_t n = c->a->t.n;
  const double *x = c->u + i * n, *y = c->u + j * n;
  double least = HUGE_VAL;
  for (int k = 1; k < 4; k++) {
    for (int64_t d = 0; d < n; d++) c->work[d] = x[d] + 0.25 * k * (y[d] - x[d]);
    least = fmin(least, target_at(&c->a->t, c->work, NULL));
  }
  return least;
}

/* The log densities of the modes, highest first, in value (starts); the number of them. */
static int64_t modes(climb *c, double *value, int64_t *of)
{
  int64_t n = 0;
  for (int64_t i = 0; i < c->at; i++) {
    double v = c->ends[i].value;
    bool known = !lbfgs_converged(c->ends[i].end);
    for (int64_t k = 0; k < n && !known; k++)
      known = between(c, i, of[k]) >= fmin(v, value[k]) - DIP;
    if (known) continue;
    int64_t k = n++;
    for (; k > 0 && value[k - 1] < v; k--) {
      value[k] = value[k - 1];
      of[k] = of[k - 1];
    }
    value[k] = v;
    of[k] = i;
  }
  return n;
}

/* Is the log density at x, moved from the mode, as high as there? */
static bool as_high(climb *c, const double *x)
{
  return target_at(&c->a->t, x, NULL) >= c->ends[c->best].value - DIP;
}

/* How many coordinates run away; *first: one of them.  Far out the density must fall when a
   coordinate doubles, or when all do. */
static int64_t runaways(climb *c, int64_t *first)
{
  int64_t n = c->a->t.n, found = 0, widest = 0;
  const double *u = climb_mode(c);
  double *x = c->work;
  memcpy(x, u, (size_t)n * sizeof *x);
  for (int64_t i = 0; i < n; i++) {
    double size = fabs(u[i]);
    if (size > fabs(u[widest])) widest = i;
    if (!(size > FAR)) continue;
    x[i] = 2 * u[i];
    /* beyond 300 exp() has left the doubles: what is outside there is no bound of the model's */
    if (as_high(c, x) || (size > 300 && target_at(&c->a->t, x, NULL) == -HUGE_VAL)) {
      if (!found++) *first = i;
    }
    x[i] = u[i];
  }
  if (found || !(fabs(u[widest]) > FAR)) return found;
  for (int64_t i = 0; i < n; i++) x[i] = 2 * u[i];
  *first = widest;
  return as_high(c, x);
}

bool climb_astray(climb *c, bool *away, char *why, size_t size)
{
  char name[80];
  const climb_end *e = &c->ends[c->best];
  int64_t first = 0, n = runaways(c, &first);
  const double *u = climb_mode(c);
  *away = n > 0;
  if (n) {
    norn_density_name(c->a->t.density, first, name, sizeof name);
    snprintf(why, size, "runs away along %s%s: the density rises up to a bound or to infinity",
             name, n > 1 ? " and others" : "");
    return true;
  }
  if (lbfgs_converged(e->end)) return false;
  snprintf(why, size, "was not found: the search ended by %s after %lld iterations with a "
           "gradient of size %.3g", lbfgs_end_name(e->end), (long long)e->iterations, e->gradient);
  for (int64_t i = 1; i < c->a->t.n; i++)
    if (fabs(u[i]) > fabs(u[first])) first = i;
  if (fabs(u[first]) > FAR) {
    size_t at = strlen(why);
    norn_density_name(c->a->t.density, first, name, sizeof name);
    snprintf(why + at, size - at, ", far out along %.40s", name);
    *away = true;
  }
  return true;
}

/* Do converged starts end apart on a ridge of equal density?  *along: where they differ most, in
   widths of the coordinates at the last of them. */
static bool on_ridge(climb *c, int64_t *along)
{
  int64_t n = c->a->t.n;
  double most = 0.1, best = c->ends[c->best].value;
  bool found = false;
  for (int64_t i = 0; i < c->at; i++) {
    if (!lbfgs_converged(c->ends[i].end) || !(c->ends[i].value > best - 1e-4)) continue;
    if (i == c->best || between(c, i, c->best) < best - DIP) continue;
    for (int64_t k = 0; k < n; k++) {
      double apart = fabs(c->u[i * n + k] - climb_mode(c)[k]) / c->scale[k];
      if (apart <= most) continue;
      most = apart;
      *along = k;
      found = true;
    }
  }
  return found;
}

static void warn_ends(climb *c, int64_t nmodes, const double *value)
{
  norn_infer *inf = c->a->inf;
  norn_span nowhere = {0, 0, 0};
  char why[180], name[80];
  int64_t along;
  bool away, astray = climb_astray(c, &away, why, sizeof why);
  if (!astray && on_ridge(c, &along)) {
    norn_density_name(c->a->t.density, along, name, sizeof name);
    norn_infer_warn(inf, nowhere, "the mode is not unique: starts end at different points of a "
                    "ridge of equal density, which differ in %s; a prior, or fewer parameters, "
                    "would say which", name);
  }
  if (astray)
    norn_infer_warn(inf, nowhere, "the mode %s; %s", why,
                    away ? "a prior must make the density fall there"
                         : "raise iterations, or scale the data");
  if (nmodes > 1)
    norn_infer_warn(inf, nowhere, "the starts disagree: they end in %lld modes, with log densities "
                    "%.6g, %.6g ...; the highest is kept, and there may be higher ones: take more "
                    "starts",
                    (long long)nmodes, value[0], value[1]);
}

/* What the model returns at each of several modes. */
static norn_status note_modes(climb *c, const int64_t *of, int64_t n)
{
  norn_state *st = c->a->t.st;
  int64_t none = 0;
  void *to;
  norn_datum v = norn_array(st, NORN_VALUES, 1, &none, &to);
  norn_ref *list = norn_is_none(v) ? NULL : norn_keep(st, v);
  norn_status status = list ? NORN_OK : NORN_EMEMORY;
  for (int64_t k = 0; k < n && !status; k++) {
    status = norn_density_value(c->a->t.density, c->u + of[k] * c->a->t.n, &v);
    if (!status) status = norn_push(list, v);
  }
  if (!status) norn_infer_note(c->a->inf, "mode_values", norn_get(list));
  if (list) norn_drop(list);
  return status;
}

norn_status climb_report(climb *c)
{
  norn_state *st = c->a->t.st;
  norn_infer *inf = c->a->inf;
  const climb_end *e = &c->ends[c->best];
  size_t size = (size_t)c->starts;
  double *value = engine_get(st, size * sizeof *value);
  int64_t *of = engine_get(st, size * sizeof *of), n = value && of ? modes(c, value, of) : 0;
  if (value && of) {
    warn_ends(c, n, value);
    norn_infer_note(inf, "log_density", norn_real(e->value));
    norn_infer_note(inf, "converged", norn_bool(lbfgs_converged(e->end)));
    norn_infer_note(inf, "reason", norn_cstring(st, lbfgs_end_name(e->end)));
    norn_infer_note(inf, "gradient_norm", norn_real(e->gradient));
    norn_infer_note(inf, "iterations", norn_int(e->iterations));
    norn_infer_note(inf, "evaluations", norn_int(c->a->t.evaluations));
    norn_infer_note(inf, "modes", norn_array_f64(st, value, n));
  }
  bool good = value && of;
  norn_status status = good && n > 1 ? note_modes(c, of, n) : NORN_OK;
  engine_put(st, value, size * sizeof *value);
  engine_put(st, of, size * sizeof *of);
  if (status) return status;
  return good ? c->a->t.failed : NORN_EMEMORY;
}

/* ---- the engine ---- */

typedef struct optimize {
  approx a;
  climb c;
  int64_t starts;
  lbfgs_limits limits;
  bool jacobian, ready;
} optimize;

static norn_status optimize_init(norn_infer *inf, void *self)
{
  optimize *e = self;
  norn_state *st = norn_infer_state(inf);
  lbfgs_limits *t = &e->limits;
  double *tol[] = {&t->obj, &t->rel_obj, &t->grad, &t->rel_grad, &t->param};
  if (!norn_is_none(infer_resumed(inf)))
    return norn_fail(st, NORN_EINFER, 0, "optimize gives one point: there is no more of it");
  if (!option_int(inf, 0, 1, &e->starts) || !option_int(inf, 1, 1, &t->iterations) ||
      !option_bool(inf, 2, &e->jacobian) || !option_int(inf, 4, 1, &t->history))
    return norn_error(st)->code;
  for (int i = 0; i < NORN_COUNT(tol); i++) {
    if (!option_real(inf, 5 + i, tol[i])) return norn_error(st)->code;
    if (!(*tol[i] >= 0))
      return norn_fail(st, NORN_EDOMAIN, 5 + i, "%s of optimize must not be negative, got %g",
                       infer_engine(inf)->options[5 + i].name, *tol[i]);
  }
  return approx_init(&e->a, inf, 3);
}

static norn_step optimize_record(optimize *e)
{
  e->ready = true;
  norn_step s = approx_record(&e->a, e->jacobian ? 0 : NORN_DENSITY_NO_JACOBIAN);
  if (s != NORN_STEP_MORE) return s;
  return climb_new(&e->c, &e->a, e->starts, &e->limits) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

static norn_step optimize_step(norn_infer *inf, void *self)
{
  optimize *e = self;
  (void)inf;
  if (!e->ready) return optimize_record(e);
  norn_step s = climb_step(&e->c);
  if (s != NORN_STEP_DONE) return s;
  norn_rng g = {.stream = e->a.stream, .lane = 0xfffffff0u};
  if (climb_report(&e->c) || norn_density_draw(e->a.t.density, e->a.inf, climb_mode(&e->c), 0, &g))
    return NORN_STEP_FAIL;
  return NORN_STEP_DONE;
}

static void optimize_progress(norn_infer *inf, void *self, norn_progress *p)
{
  optimize *e = self;
  (void)inf;
  if (e->c.a) climb_progress(&e->c, p);
}

static void optimize_free(norn_infer *inf, void *self)
{
  optimize *e = self;
  (void)inf;
  climb_free(&e->c);
  approx_free(&e->a);
}

/* What was recorded is recorded again. */
static norn_status optimize_archive(norn_infer *inf, void *self, norn_archive *a)
{
  optimize *e = self;
  bool ready = e->ready;
  if (!norn_archive_bool(a, &ready) || !ready) return norn_archive_status(a);
  if (norn_archive_reading(a) && optimize_record(e) == NORN_STEP_FAIL)
    return norn_error(norn_infer_state(inf))->code;
  climb_archive(a, &e->c);
  return norn_archive_status(a);
}

static const norn_option optimize_options[] = {
  {"starts", "4", "searches from different points, of which the highest end is kept"},
  {"iterations", "2000", "at most so many of each search"},
  {"jacobian", "false", "true: the mode of the unconstrained coordinates"},
  APPROX_INIT_OPTION,
  {"history", "6", "steps that L-BFGS remembers"},
  {"tol_obj", "1e-12", "ends when the log density changes by less"},
  {"tol_rel_obj", "10.0", "the same, relative to its size and in units of 2^-52"},
  {"tol_grad", "1e-8", "ends when the gradient is smaller"},
  {"tol_rel_grad", "1000.0",
   "ends when the next step promises less, relative and in units of 2^-52"},
  {"tol_param", "1e-8", "ends when a step is smaller"},
  DEVICE_OPTIONS,
};

const norn_engine engine_optimize = {
  .version = NORN_ENGINE_VERSION, .name = "optimize",
  .doc = "Finds the mode (maximum a posteriori) by L-BFGS; the posterior is that one point.",
  .options = optimize_options, .noptions = NORN_COUNT(optimize_options), .size = sizeof(optimize),
  .init = optimize_init, .step = optimize_step, .progress = optimize_progress,
  .free = optimize_free, .archive = optimize_archive};
