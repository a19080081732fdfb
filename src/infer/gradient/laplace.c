/* laplace_approx: the normal whose mean is the mode of the unconstrained coordinates and whose
   precision is minus the Hessian of the log density there (Laplace 1774; Tierney and Kadane 1986,
   "Accurate approximations for posterior moments and marginal densities").

       p(u) ~ exp(l - (u - m)' A (u - m) / 2),  A = -d2 log p / du2 at m,
       log Z = l + n/2 log 2 pi - log det A / 2

   Column i of the Hessian is the derivative of the gradient along u_i by central differences of
   order 4,  (8 (g(h) - g(-h)) - (g(2h) - g(-2h))) / 12 h,  where h is 1/200 of the coordinate's own
   width 1 / sqrt(A_ii), so that the error is some 1e-10 of the curvature.

   Random numbers: draw s has lane 0xffffffe0, event s; starts as in optimize. */
#include "infer/gradient/optimize.h"
#include "num/la.h"
#include <float.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 200 };                    /* evaluations, or draws left, of one step */
#define WIDTH 5e-3                       /* the differences' step, in widths */

typedef enum { RECORD, CLIMB, HESSIAN, DRAW, LEAVE } phase_of;
typedef struct laplace {
  approx a;
  climb c;
  cloud drawn;
  phase_of phase;
  int64_t draws, starts, at;
  bool correct;
  double *a_matrix, *x, *g;            /* (n, n) minus the Hessian, then its factor; (n); (n) */
  double log_det;                      /* log det A / 2 */
} laplace;

static size_t doubles(const laplace *e) { return (size_t)(e->a.t.n * (e->a.t.n + 2)); }

static norn_status laplace_init(norn_infer *inf, void *self)
{
  laplace *e = self;
  if (!option_int(inf, 0, 1, &e->draws) || !option_bool(inf, 1, &e->correct) ||
      !option_int(inf, 2, 1, &e->starts))
    return norn_error(norn_infer_state(inf))->code;
  return approx_init(&e->a, inf, 3);
}

static norn_step laplace_record(laplace *e)
{
  static const lbfgs_limits limits = LBFGS_DEFAULTS;
  norn_step s = approx_record(&e->a, 0);
  if (s != NORN_STEP_MORE) return s;
  int64_t n = e->a.t.n;
  e->a_matrix = engine_get(e->a.t.st, doubles(e) * sizeof(double));
  if (!e->a_matrix || !climb_new(&e->c, &e->a, e->starts, &limits) ||
      !cloud_new(e->a.t.st, &e->drawn, e->draws, n))
    return NORN_STEP_FAIL;
  e->x = e->a_matrix + n * n;
  e->g = e->x + n;
  e->phase = CLIMB;
  return NORN_STEP_MORE;
}

/* ---- the Hessian ---- */

/* Adds w times the gradient at the mode moved by h along u_i to sum (n). */
static bool add_gradient(laplace *e, int64_t i, double h, double w, double *sum)
{
  int64_t n = e->a.t.n;
  memcpy(e->x, climb_mode(&e->c), (size_t)n * sizeof *e->x);
  e->x[i] += h;
  if (target_at(&e->a.t, e->x, e->g) == -HUGE_VAL) return false;
  for (int64_t k = 0; k < n; k++) sum[k] += w * e->g[k];
  return true;
}

/* Row i by differences with step h, order 2 or 4, into sum (n); false: a point was outside. */
static bool differences(laplace *e, int64_t i, double h, bool fourth, double *sum)
{
  double w = fourth ? 8 / (12 * h) : 1 / (2 * h);
  memset(sum, 0, (size_t)e->a.t.n * sizeof *sum);
  return add_gradient(e, i, h, -w, sum) && add_gradient(e, i, -h, w, sum) &&
         (!fourth || (add_gradient(e, i, 2 * h, w / 8, sum) &&
                      add_gradient(e, i, -2 * h, -w / 8, sum)));
}

static norn_step no_normal(laplace *e, int64_t i, const char *how)
{
  char name[100];
  norn_state *st = e->a.t.st;
  if (e->a.t.failed) return NORN_STEP_FAIL;
  engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "there is no normal at the mode: along %s "
              "the log density %s",
              norn_density_name(e->a.t.density, i, name, sizeof name) ? name : "?", how);
  norn_hint(st, "the posterior may be improper there, or its scale may go to 0: tighten the prior, "
                "write scales times standardised choices, or use nuts()");
  return NORN_STEP_FAIL;
}

static norn_step climb_ended(laplace *e)
{
  char why[200];
  bool away;
  if (climb_astray(&e->c, &away, why, sizeof why) && away && !e->a.t.failed) {
    engine_fail(e->a.t.st, NORN_EINFER, (norn_span){0, 0, 0}, "there is no normal at the mode: "
                "it %s", why);
    norn_hint(e->a.t.st, "give it a prior that falls there, write scales times standardised "
                         "choices, or use nuts()");
    return NORN_STEP_FAIL;
  }
  e->phase = HESSIAN;
  return e->a.t.failed ? NORN_STEP_FAIL : NORN_STEP_MORE;
}

/* Row e->at of A. */
static norn_step hessian_row(laplace *e)
{
  int64_t n = e->a.t.n, i = e->at;
  double *row = e->a_matrix + i * n, h = 1e-5 * fmax(1, fabs(climb_mode(&e->c)[i]));
  bool known = false;
  for (int tries = 0; tries < 20 && !known && !e->a.t.failed; tries++, h *= 0.1)
    known = differences(e, i, h, false, row);
  if (!known) return no_normal(e, i, "ends at once");
  /* twice: a first guess of the width may be far off */
  for (int again = 0; again < 2 && !e->a.t.failed; again++) {
    double curvature = row[i];
    if (!(curvature > 0)) break;
    h = WIDTH / sqrt(curvature);
    if (!(h > 0)) break;
    if (!differences(e, i, h, true, row)) return no_normal(e, i, "ends at once");
  }
  e->at++;
  return e->a.t.failed ? NORN_STEP_FAIL : NORN_STEP_MORE;
}

/* The coordinate along which A is least: the largest entry of its first eigenvector. */
static int64_t flattest(laplace *e, double *least)
{
  int64_t n = e->a.t.n, k = 0;
  double *values = e->x, *v = e->a_matrix;
  *least = (double)NAN;
  if (!la_eigen_symmetric(v, n, values)) return 0;
  *least = values[0];
  for (int64_t i = 1; i < n; i++)
    if (fabs(v[i * n]) > fabs(v[k * n])) k = i;
  return k;
}

static norn_step hessian_end(laplace *e)
{
  int64_t n = e->a.t.n;
  norn_state *st = e->a.t.st;
  double *a = e->a_matrix, *copy = engine_get(st, (size_t)(n * n) * sizeof *copy), least;
  if (!copy) return NORN_STEP_FAIL;
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < i; k++)
      a[i * n + k] = a[k * n + i] = 0.5 * (a[i * n + k] + a[k * n + i]);
  memcpy(copy, a, (size_t)(n * n) * sizeof *a);
  bool definite = la_cholesky(copy, n) == 0;
  if (definite) memcpy(a, copy, (size_t)(n * n) * sizeof *a);
  engine_put(st, copy, (size_t)(n * n) * sizeof *copy);
  if (!definite) {
    int64_t k = flattest(e, &least);
    return no_normal(e, k, least < -1e-6 ? "rises on both sides" : "is flat");
  }
  e->log_det = 0.5 * la_cholesky_log_det(a, n);
  e->phase = DRAW;
  e->at = 0;
  return NORN_STEP_MORE;
}

/* ---- draws ---- */

/* u = m + L^-T z, A = L L';  log q(u) = log det A / 2 - z' z / 2 - n/2 log 2 pi */
static void draw_one(laplace *e)
{
  int64_t n = e->a.t.n;
  norn_rng g = {.stream = e->a.stream, .lane = 0xffffffe0u, .event = (uint32_t)e->at};
  norn_rng_normals(&g, e->x, n);
  double lq = e->log_det - 0.5 * la_dot(e->x, e->x, n) - 0.5 * (double)n * LOG_TWO_PI;
  la_solve_lower(true, e->a_matrix, n, e->x, 1);
  const double *mode = climb_mode(&e->c);
  for (int64_t i = 0; i < n; i++) e->x[i] += mode[i];
  cloud_add(&e->drawn, &e->a.t, e->x, lq);
  e->at++;
}

static norn_step draws_end(laplace *e)
{
  norn_infer *inf = e->a.inf;
  double mode = e->c.ends[e->c.best].value;
  if (!cloud_weigh(&e->drawn) || climb_report(&e->c)) return NORN_STEP_FAIL;
  double z = mode + 0.5 * (double)e->a.t.n * LOG_TWO_PI - e->log_det;
  norn_step s = approx_report(&e->a, &e->drawn, e->correct);
  if (s != NORN_STEP_MORE) return s;
  if (!e->a.improper) {
    if (e->correct) norn_infer_evidence(inf, e->drawn.log_evidence, e->drawn.se);
    else norn_infer_evidence(inf, z, (double)NAN);
  }
  e->phase = LEAVE;
  e->at = 0;
  return NORN_STEP_MORE;
}

static norn_step laplace_step(norn_infer *inf, void *self)
{
  laplace *e = self;
  int64_t limit = e->a.t.evaluations + PIECE;
  norn_step s = NORN_STEP_MORE;
  (void)inf;
  switch (e->phase) {
  case RECORD: return laplace_record(e);
  case CLIMB:
    s = climb_step(&e->c);
    return s == NORN_STEP_DONE ? climb_ended(e) : s;
  case HESSIAN:
    while (e->at < e->a.t.n && s == NORN_STEP_MORE && e->a.t.evaluations < limit)
      s = hessian_row(e);
    return s == NORN_STEP_MORE && e->at == e->a.t.n ? hessian_end(e) : s;
  case DRAW:
    for (int i = 0; i < PIECE && e->at < e->draws; i++) draw_one(e);
    if (e->a.t.failed) return NORN_STEP_FAIL;
    return e->at == e->draws ? draws_end(e) : NORN_STEP_MORE;
  default: break;
  }
  int64_t kept = e->drawn.kept, end = e->at + PIECE < kept ? e->at + PIECE : kept;
  s = approx_leave(&e->a, &e->drawn, e->at, end, e->correct);
  e->at = end;
  return s == NORN_STEP_MORE && end == kept ? NORN_STEP_DONE : s;
}

static void laplace_progress(norn_infer *inf, void *self, norn_progress *p)
{
  laplace *e = self;
  (void)inf;
  switch (e->phase) {
  case RECORD: break;
  case CLIMB: climb_progress(&e->c, p); break;
  case HESSIAN:
    p->done = (double)e->at;
    p->total = (double)e->a.t.n;
    snprintf(p->state, sizeof p->state, "curvature, log density %.6g", e->c.ends[e->c.best].value);
    break;
  default:
    p->done = (double)e->at;
    p->total = (double)e->draws;
    snprintf(p->state, sizeof p->state, "draws");
  }
}

static void laplace_free(norn_infer *inf, void *self)
{
  laplace *e = self;
  (void)inf;
  if (e->a_matrix) engine_put(e->a.t.st, e->a_matrix, doubles(e) * sizeof(double));
  climb_free(&e->c);
  cloud_free(&e->drawn);
  approx_free(&e->a);
}

static norn_status laplace_archive(norn_infer *inf, void *self, norn_archive *a)
{
  laplace *e = self;
  int phase = (int)e->phase;
  norn_archive_int(a, &phase);
  if (phase < RECORD || phase > LEAVE) norn_archive_fail(a, "its phase is none");
  if (norn_archive_status(a) || phase == RECORD) return norn_archive_status(a);
  if (norn_archive_reading(a) && laplace_record(e) == NORN_STEP_FAIL)
    return norn_error(norn_infer_state(inf))->code;
  e->phase = (phase_of)phase;
  norn_archive_i64(a, &e->at);
  norn_archive_f64(a, &e->log_det);
  norn_archive_bytes(a, e->a_matrix, doubles(e) * sizeof *e->a_matrix);
  if (climb_archive(a, &e->c)) cloud_archive(a, &e->drawn);
  return norn_archive_status(a);
}

static const norn_option laplace_options[] = {
  {"draws", "1000", "draws from the normal"},
  {"correct", "false", "true: draws are weighted by density / normal, smoothed"},
  {"starts", "4", "searches for the mode from different points"},
  APPROX_INIT_OPTION,
  DEVICE_OPTIONS,
};

const norn_engine engine_laplace = {
  .version = NORN_ENGINE_VERSION, .name = "laplace_approx",
  .doc = "The normal at the mode with the curvature there, in unconstrained coordinates; says by "
         "k-hat how far it is from the posterior.",
  .options = laplace_options, .noptions = NORN_COUNT(laplace_options), .size = sizeof(laplace),
  .init = laplace_init, .step = laplace_step, .progress = laplace_progress, .free = laplace_free,
  .archive = laplace_archive};
