/* adaptive_importance: the expectations of many functions from one sample, by adaptive importance
   sampling with control variates, after Demange-Chryst, Bachoc, Morio 2022, "Efficient estimation of
   multiple expectations with the same sample by adaptive importance sampling and control variates"
   (arXiv 2212.00568); the regression on a mixture's components is that of Owen and Zhou 2000, "Safe and
   effective importance sampling".

   Of a positive function f under a density p, g = f p / I, I = E_p f, is the best density to draw from.
   It is also the best control variate: whatever the density h of the draws, every term of

       f p / h - b (g / h - 1),    b = I

   is I itself.  So one sample of one h can serve many functions, each with the g_k near its own best as
   control variates, all of mean 0 under h:

       I_j  =  mean over draws of  f_j p / h - sum_k b_jk (g_k / h - 1)
       h    =  a_0 prior + sum_k a_k g_k

   The g_k are normals in the unconstrained coordinates u, one for the part of each function that is
   above 0 and one for that below (and for the posterior, if the program observes something), with the
   moments of |f| p.  The prior in h keeps p / h bounded.  h, the g_k and the b_jk are learnt batch by
   batch from draws of the h before; b minimises the variance.  After each batch the variance of a
   term under the new h is estimated on all draws so far (weighted by h_new / h_then), and compared with
   that of the h before:

       another batch is worth it while  prod_j (v_new,j / v_old,j)^(1/J)  <  left_new / left_old

   where left is the budget that would be left for the end; at most half of it is spent on learning.
   The end draws all that is left from h, independent of what was learnt from: the estimates of E[f L],
   L the likelihood, are unbiased and have standard errors from their spread.  Under observations an
   expectation is a ratio, E[f L] / E[L], of two such (its error by the delta method).

   Random numbers: the engine's stream, lane i for draw i, iteration 0; a draw of the prior iteration 1. */
#include "infer/gradient/approx.h"
#include "infer/gradient/density.h"
#include "infer/infer.h"
#include "num/la.h"
#include <stdio.h>
#include <string.h>

enum { MOST_FUNCTIONS = 64, PIECE = 64, WHOLE = -1, FEW = 50 };
#define PRIOR_SHARE 0.2

/* A normal: mean (n), lower Cholesky factor of its covariance (n, n). */
typedef struct part { double *mean, *l, log_top; } part;
/* h with its coefficients b (1 + J, K) and the variance of a term of each function (1 + J). */
typedef struct plan { int K; double prior; part *part; double *b, *v; } plan;

/* A draw is a row of numbers: log p L, log p, log h, the functions there (1 + J; the first is 1), and
   its coordinates (n). */
enum { JOINT, PRIOR, DRAWN, FUNCTION };

typedef enum { RECORD, LEARN, FINAL, LEAVE } phase;

typedef struct adaptive {
  int64_t budget, batch;
  phase at;
  uint64_t stream;
  norn_density *joint, *prior;
  int64_t n;                           /* coordinates */
  int J;                               /* functions, the constant one not counted */
  norn_ref *function[MOST_FUNCTIONS];
  const char *name[MOST_FUNCTIONS];    /* if they came as a record */
  bool several;                        /* as an array */
  plan now, next;
  part whole;                          /* mean and covariance of the prior */
  double *row; size_t width;           /* (budget, width): draws of LEARN, then those of FINAL */
  int64_t have, used, left;            /* rows; those of LEARN; left to the inference as draws */
  int64_t batches;
  double *x, *c, *system;              /* (n); (K): control variates; (K + 1, K + 1 + 1 + J) */
  double *sum;                         /* (1 + J, 3): of terms, their squares, products with the first */
  bool observed;                       /* the likelihood is not 1 everywhere */
} adaptive;

/* ---- options ---- */

static norn_status want_function(adaptive *e, norn_state *st, norn_datum f, const char *name)
{
  char b[80];
  if (e->J == MOST_FUNCTIONS)
    return norn_fail(st, NORN_EDOMAIN, -1, "adaptive_importance takes at most %d functions", MOST_FUNCTIONS);
  if (norn_kind_of(f) != NORN_FUN)
    return norn_fail(st, NORN_ETYPE, -1, "adaptive_importance needs functions of what the model returns, "
                     "got %s", norn_describe(st, f, b, sizeof b));
  e->name[e->J] = name;
  e->function[e->J] = norn_keep(st, f);
  return e->function[e->J++] ? NORN_OK : NORN_EMEMORY;
}

static norn_status take_functions(norn_infer *inf, adaptive *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum fs = norn_infer_option(inf, 0), f;
  int fields = norn_record_size(fs);
  int64_t n = norn_array_length(fs);
  norn_status s = NORN_OK;
  e->several = n >= 0;
  if (n < 0 && norn_kind_of(fs) != NORN_RECORD) return want_function(e, st, fs, NULL);
  for (int i = 0; i < fields && !s; i++) {
    const char *name = norn_record_at(st, fs, i, &f);
    s = want_function(e, st, f, name);
  }
  for (int64_t i = 0; i < n && !s; i++) s = want_function(e, st, norn_array_at(st, fs, i), NULL);
  if (!s && !e->J) s = norn_fail(st, NORN_EDOMAIN, -1, "adaptive_importance needs at least one function");
  return s;
}

static norn_status adaptive_init(norn_infer *inf, void *self)
{
  adaptive *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_status s = take_functions(inf, e);
  if (s) return s;
  if (!option_int(inf, 1, 100, &e->budget) || !option_int(inf, 2, 0, &e->batch)) return NORN_EDOMAIN;
  if (e->budget > 1 << 28)
    return norn_fail(st, NORN_EDOMAIN, -1, "budget of adaptive_importance must be at most %d", 1 << 28);
  if (e->batch == 0) e->batch = e->budget / 10;
  if (e->batch < 10 || e->batch > e->budget / 2)
    return norn_fail(st, NORN_EDOMAIN, -1, "batch of adaptive_importance must be at least 10 and at most "
                     "half of the budget, got %lld of %lld", (long long)e->batch, (long long)e->budget);
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 11, 0);
  return NORN_OK;
}

/* ---- memory ---- */

static int most_parts(const adaptive *e) { return 2 * (1 + e->J); }
static size_t part_size(const adaptive *e) { return (size_t)(e->n + e->n * e->n) * sizeof(double); }
static size_t plan_size(const adaptive *e)
{
  return (size_t)(1 + e->J) * (size_t)(most_parts(e) + 1) * sizeof(double);
}

static void plan_free(norn_state *st, const adaptive *e, plan *p)
{
  for (int k = 0; p->part && k < most_parts(e); k++) engine_put(st, p->part[k].mean, part_size(e));
  engine_put(st, p->part, (size_t)most_parts(e) * sizeof *p->part);
  engine_put(st, p->b, plan_size(e));
}

static bool plan_new(norn_state *st, const adaptive *e, plan *p)
{
  p->prior = 1;
  p->part = engine_get(st, (size_t)most_parts(e) * sizeof *p->part);
  p->b = engine_get(st, plan_size(e));
  if (!p->part || !p->b) return false;
  p->v = p->b + (1 + e->J) * most_parts(e);
  for (int k = 0; k < most_parts(e); k++) {
    p->part[k].mean = engine_get(st, part_size(e));
    if (!p->part[k].mean) return false;
    p->part[k].l = p->part[k].mean + e->n;
  }
  return true;
}

static size_t system_size(const adaptive *e)
{
  size_t m = (size_t)most_parts(e) + 1;
  return m * (m + 1 + (size_t)e->J) * sizeof(double);
}

/* All that depends on the number of coordinates. */
static bool make_room(norn_state *st, adaptive *e)
{
  e->width = (size_t)(FUNCTION + 1 + e->J + e->n);
  e->row = engine_get(st, (size_t)e->budget * e->width * sizeof *e->row);
  e->whole.mean = engine_get(st, part_size(e));
  e->c = engine_get(st, (size_t)most_parts(e) * sizeof *e->c);
  e->x = engine_get(st, (size_t)e->n * sizeof *e->x);
  e->system = engine_get(st, system_size(e));
  e->sum = engine_get(st, (size_t)(1 + e->J) * 3 * sizeof *e->sum);
  if (!e->row || !e->whole.mean || !e->c || !e->x || !e->system || !e->sum) return false;
  e->whole.l = e->whole.mean + e->n;
  return plan_new(st, e, &e->now) && plan_new(st, e, &e->next);
}

/* What can't be drawn from, or has no coordinates. */
static norn_status refuse(norn_state *st, const norn_density *d)
{
  char name[120];
  const choice *c = density_improper(d);
  norn_status status = NORN_EINFER;
  if (c)
    engine_fail(st, status, c->span, "%s has an improper prior, which can't be drawn from",
                norn_addr_name(st, c->addr, name, sizeof name));
  else if (d->nlatent)
    engine_fail(st, status, d->latent[0].span, "%s is discrete; adaptive_importance needs continuous choices",
                norn_addr_name(st, d->latent[0].addr, name, sizeof name));
  else if (!d->dim)
    return norn_fail(st, status, -1, "this model makes no choice");
  else
    return NORN_OK;
  norn_hint(st, "expect(infer(m, importance(n)), functions) takes any model");
  return status;
}

static norn_step adaptive_record(norn_infer *inf, adaptive *e)
{
  norn_state *st = norn_infer_state(inf);
  e->joint = norn_density_new(st, norn_infer_model(inf), norn_infer_stream(inf), 0);
  if (!e->joint) return NORN_STEP_FAIL;
  e->n = norn_density_dim(e->joint);
  if (refuse(st, e->joint)) return NORN_STEP_FAIL;
  e->prior = norn_density_new(st, norn_infer_model(inf), norn_infer_stream(inf), DENSITY_PRIOR);
  if (!e->prior || (!e->row && !make_room(st, e))) return NORN_STEP_FAIL;
  if (e->at == RECORD) e->at = LEARN;
  return NORN_STEP_MORE;
}

static double *row_at(const adaptive *e, int64_t i) { return e->row + (size_t)i * e->width; }
static double *place_of(const adaptive *e, double *row) { return row + FUNCTION + 1 + e->J; }

/* ---- the density h ---- */

/* log g_k at u. */
static double part_log(const adaptive *e, const part *g, const double *u)
{
  for (int64_t i = 0; i < e->n; i++) e->x[i] = u[i] - g->mean[i];
  la_solve_lower(false, g->l, e->n, e->x, 1);
  return g->log_top - 0.5 * la_dot(e->x, e->x, e->n);
}

/* log h at a draw whose prior is known; the control variates g_k / h - 1 into e->c. */
static double plan_log(const adaptive *e, const plan *p, double *row)
{
  double all = log(p->prior) + row[PRIOR], share = log((1 - p->prior) / p->K);
  for (int k = 0; k < p->K; k++) {
    e->c[k] = part_log(e, &p->part[k], place_of(e, row));
    all = log_add(all, share + e->c[k]);
  }
  for (int k = 0; k < p->K; k++) e->c[k] = exp(e->c[k] - all) - 1;
  return all;
}

/* f_j p L / h of a draw, under the h that is planned. */
static double term(const double *row, int j, double log_h)
{
  double f = row[FUNCTION + j];
  return f == 0 || row[JOINT] == -HUGE_VAL ? 0 : f * exp(row[JOINT] - log_h);
}

/* u from h. */
static norn_status plan_draw(adaptive *e, const plan *p, double *u)
{
  norn_rng g = {.stream = e->stream, .lane = (uint32_t)e->have};
  double at = norn_rng_uniform(&g);
  if (at < p->prior) {
    g = (norn_rng){.stream = e->stream, .lane = (uint32_t)e->have, .iter = 1};
    return norn_density_prior(e->joint, &g, u);
  }
  int k = (int)((at - p->prior) / (1 - p->prior) * p->K);
  const part *to = &p->part[k < p->K ? k : p->K - 1];
  for (int64_t i = 0; i < e->n; i++) e->x[i] = norn_rng_normal(&g);
  for (int64_t i = 0; i < e->n; i++) {
    u[i] = to->mean[i];
    for (int64_t m = 0; m <= i; m++) u[i] += to->l[i * e->n + m] * e->x[m];
  }
  return NORN_OK;
}

/* ---- a draw ---- */

static const char *name_of(const adaptive *e, int j, char *b, size_t n)
{
  if (e->name[j]) snprintf(b, n, "%.50s", e->name[j]);
  else snprintf(b, n, "function %d", j);
  return b;
}

/* f_j at what the model returned.  A function of the user's: a run of its own. */
static norn_status call(adaptive *e, norn_state *st, int j, norn_datum x, double *out)
{
  norn_event ev;
  norn_status status = NORN_OK;
  norn_run *run = norn_run_new(st, norn_get(e->function[j]), &x, 1);
  if (!run) return norn_error(st)->code;
  norn_event_kind kind = norn_run_next(run, &ev);
  if (kind == NORN_DONE && ev.value.tag == NORN_BOOL) *out = (double)ev.value.i;
  else if (kind == NORN_DONE && !norn_as_real(ev.value, out)) *out = NAN;
  if (kind == NORN_ERROR)
    status = norn_error(st)->code;
  else if (kind != NORN_DONE)
    status = engine_fail(st, NORN_EINFER, ev.span, "a function of adaptive_importance must not sample, "
                         "observe or infer");
  else if (!(fabs(*out) < HUGE_VAL)) {
    char b[80], name[60];
    if (norn_as_real(ev.value, out))
      snprintf(b, sizeof b, "%s", *out != *out ? "nan" : *out > 0 ? "inf" : "-inf");
    else norn_describe(st, ev.value, b, sizeof b);
    status = norn_fail(st, NORN_EINFER, -1, "%s of adaptive_importance must give a finite number or a "
                       "boolean, got %s", name_of(e, j, name, sizeof name), b);
  }
  norn_run_free(run);
  return status;
}

static norn_status functions_at(adaptive *e, norn_state *st, double *row)
{
  norn_datum x;
  norn_status s = norn_density_value(e->joint, place_of(e, row), &x);
  norn_ref *keep = s ? NULL : norn_keep(st, x);
  if (!s && !keep) s = NORN_EMEMORY;
  for (int j = 0; j < e->J && !s; j++) s = call(e, st, j, norn_get(keep), &row[FUNCTION + 1 + j]);
  if (keep) norn_drop(keep);
  return s;
}

/* The next row, drawn from h. */
static norn_status draw_one(norn_infer *inf, adaptive *e)
{
  norn_state *st = norn_infer_state(inf);
  double *row = row_at(e, e->have), *u = place_of(e, row);
  norn_status s = plan_draw(e, &e->now, u);
  if (!s) s = norn_density_eval(e->prior, u, &row[PRIOR], NULL);
  if (!s) s = norn_density_eval(e->joint, u, &row[JOINT], NULL);
  if (s) return s;
  row[FUNCTION] = 1;
  row[DRAWN] = plan_log(e, &e->now, row);
  e->observed |= row[JOINT] != row[PRIOR];
  if (row[JOINT] > -HUGE_VAL) s = functions_at(e, st, row);
  e->have++;
  return s;
}

/* ---- learning: the densities g_k ---- */

/* The weight that a draw has for part k: that of function k / 2 above or below 0; 0 for the others.  WHOLE:
   the prior's. */
static double weight_for(const double *row, int k)
{
  if (k == WHOLE) return exp(row[PRIOR] - row[DRAWN]);
  double f = row[FUNCTION + k / 2];
  return (f > 0) == (k % 2 == 0) ? fabs(term(row, k / 2, row[DRAWN])) : 0;
}

/* The power of the weights at which their effective number is at least `want`: 1 if it is anyway. */
static double power_for(const adaptive *e, int k, double want, double *top)
{
  double low = 0, high = 1;
  *top = 0;
  for (int64_t i = 0; i < e->have; i++) *top = fmax(*top, weight_for(row_at(e, i), k));
  for (int turn = 0; turn < 24; turn++) {
    double at = turn ? (low + high) / 2 : 1, s = 0, q = 0;
    for (int64_t i = 0; i < e->have; i++) {
      double w = weight_for(row_at(e, i), k);
      w = w > 0 ? pow(w / *top, at) : 0;
      s += w;
      q += w * w;
    }
    bool enough = s * s >= want * q;
    if (!turn && enough) return 1;
    if (turn && enough) low = at;
    else high = at;
  }
  return low;
}

/* Mean and covariance (its lower half) of the draws with weights^power / top; the number of draws that
   they are worth (Kish). */
static double moments(adaptive *e, int k, double power, double top, part *g)
{
  int64_t n = e->n;
  double s = 0, q = 0;
  memset(g->mean, 0, part_size(e));
  for (int64_t i = 0; i < e->have; i++) {
    double *row = row_at(e, i), *u = place_of(e, row), w = weight_for(row, k);
    if (!(w > 0)) continue;
    w = pow(w / top, power);
    s += w;
    q += w * w;
    for (int64_t a = 0; a < n; a++) {                          /* West 1979 */
      e->x[a] = u[a] - g->mean[a];
      g->mean[a] += w / s * e->x[a];
    }
    for (int64_t a = 0; a < n; a++)
      for (int64_t b = 0; b <= a; b++) g->l[a * n + b] += w * e->x[a] * (u[b] - g->mean[b]);
  }
  for (int64_t a = 0; a < n * n; a++) g->l[a] /= s;
  return s * s / q;
}

/* A normal for function part k; where few draws made it, its covariance is shrunk towards the variances
   of the prior.  false: they span no density. */
static bool part_make(adaptive *e, int k, double power, double top, part *g)
{
  int64_t n = e->n;
  double few = (double)n / ((double)n + moments(e, k, power, top, g));
  for (int64_t a = 0; a < n; a++) {
    for (int64_t b = 0; b < a; b++) g->l[a * n + b] *= 1 - few;
    g->l[a * n + a] = (1 - few) * g->l[a * n + a] + few * e->whole.l[a * n + a];
  }
  if (la_cholesky(g->l, n)) return false;
  g->log_top = -0.5 * (double)n * LOG_TWO_PI - 0.5 * la_cholesky_log_det(g->l, n);
  return fabs(g->log_top) < HUGE_VAL;
}

/* The parts of p from all draws so far. */
static void plan_parts(adaptive *e, plan *p)
{
  double want = fmax(20, 3 * (double)e->n);
  p->K = 0;
  moments(e, WHOLE, 1, 1, &e->whole);
  for (int k = e->observed ? 0 : 2; k < most_parts(e); k++) {
    double top, power;
    int64_t there = 0;
    for (int64_t i = 0; i < e->have; i++) there += weight_for(row_at(e, i), k) > 0;
    if (there < 3) continue;
    power = power_for(e, k, fmin(want, 0.5 * (double)there), &top);
    p->K += part_make(e, k, power, top, &p->part[p->K]);
  }
  p->prior = p->K ? PRIOR_SHARE : 1;
}

/* ---- learning: the coefficients ---- */

/* f_j p L / h - sum_k b_jk c_k of a draw whose control variates are in e->c. */
static double controlled(const adaptive *e, const plan *p, const double *row, int j, double log_h)
{
  double y = term(row, j, log_h);
  const double *b = p->b + j * most_parts(e);
  for (int k = 0; k < p->K; k++) y -= b[k] * e->c[k];
  return y;
}

/* Adds a draw of weight w to the normal equations of y_j = a_j + sum b_jk c_k: A (m, m), its lower half,
   and right sides (1 + J, m). */
static void equations_add(adaptive *e, int m, const double *row, double log_h, double w)
{
  double *A = e->system, *right = A + m * m;
  for (int a = 0; a < m; a++) {
    double wa = w * (a ? e->c[a - 1] : 1);
    for (int b = 0; b <= a; b++) A[a * m + b] += wa * (b ? e->c[b - 1] : 1);
    for (int j = 0; j <= e->J; j++) right[j * m + a] += wa * term(row, j, log_h);
  }
}

/* b and the variance of a term, from all draws so far weighted as if they came from p's h.  A ridge
   keeps apart control variates that are nearly the same. */
static void plan_fit(adaptive *e, plan *p)
{
  int m = p->K + 1;
  double *A = e->system, *right = A + m * m, total = 0;
  memset(A, 0, system_size(e));
  for (int64_t i = 0; i < e->have; i++) {
    double *row = row_at(e, i), log_h = plan_log(e, p, row);
    equations_add(e, m, row, log_h, exp(log_h - row[DRAWN]));
  }
  for (int a = 1; a < m; a++) A[a * m + a] *= 1 + 1e-6;
  bool good = la_cholesky(A, m) == 0;
  for (int j = 0; j <= e->J; j++) {
    double *x = right + j * m;
    if (good) la_solve_lower(false, A, m, x, 1);
    if (good) la_solve_lower(true, A, m, x, 1);
    for (int k = 0; k < p->K; k++) p->b[j * most_parts(e) + k] = good ? x[k + 1] : 0;
    p->v[j] = e->sum[3 * j] = 0;
  }
  for (int64_t i = 0; i < e->have; i++) {
    double *row = row_at(e, i), log_h = plan_log(e, p, row), w = exp(log_h - row[DRAWN]);
    total += w;
    for (int j = 0; j <= e->J; j++) {
      double z = controlled(e, p, row, j, log_h), d = z - e->sum[3 * j];
      e->sum[3 * j] += w / total * d;
      p->v[j] += w * d * (z - e->sum[3 * j]);
    }
  }
  for (int j = 0; j <= e->J; j++) p->v[j] /= total;
}

/* How much smaller (below 1) the variance of the functions' terms is under `next` than under `now`:
   the geometric mean. */
static double improvement(const adaptive *e)
{
  double s = 0;
  int first = e->observed ? 0 : 1, n = 0;
  for (int j = first; j <= e->J; j++) {
    if (!(e->now.v[j] > 0)) continue;
    s += log(fmax(e->next.v[j] / e->now.v[j], 1e-12));
    n++;
  }
  return n ? exp(s / n) : 1;
}

/* Does every function have draws where it is not 0? */
static bool all_seen(const adaptive *e)
{
  for (int j = 1; j <= e->J; j++) {
    int there = 0;
    for (int64_t i = 0; i < e->have && there < 3; i++) there += term(row_at(e, i), j, 0) != 0;
    if (there < 3) return false;
  }
  return true;
}

/* After a batch: a better h, or the end of learning. */
static void learn_batch(adaptive *e)
{
  int64_t B = e->budget, n = e->have;
  e->batches++;
  plan_parts(e, &e->next);
  plan_fit(e, &e->now);
  plan_fit(e, &e->next);
  double gain = improvement(e);
  if (gain < 1) {
    plan keep = e->now;
    e->now = e->next;
    e->next = keep;
  }
  /* the next batch would have to gain as much as it costs */
  bool pays = gain < (double)(B - n - e->batch) / (double)(B - n) || !all_seen(e);
  if (n + e->batch <= B / 2 && pays) return;
  e->used = n;
  e->at = FINAL;
}

/* ---- the end ---- */

static void add_final(adaptive *e, int64_t i)
{
  double *row = row_at(e, i), log_h = plan_log(e, &e->now, row);
  double first = 0;
  for (int j = 0; j <= e->J; j++) {
    double z = controlled(e, &e->now, row, j, log_h);
    if (j == 0) first = z;
    e->sum[3 * j] += z;
    e->sum[3 * j + 1] += z * z;
    e->sum[3 * j + 2] += z * first;
  }
}

/* Estimate and standard error of function j: a mean, or a ratio of means. */
static void estimate(const adaptive *e, int j, double *value, double *se)
{
  double n = (double)(e->have - e->used), m0 = e->sum[0] / n, m = e->sum[3 * j] / n;
  double v0 = e->sum[1] / n - m0 * m0, v = e->sum[3 * j + 1] / n - m * m, c = e->sum[3 * j + 2] / n - m * m0;
  *value = m;
  if (j && e->observed) {
    *value = m / m0;
    v = (v - 2 * *value * c + *value * *value * v0) / (m0 * m0);
  }
  *se = sqrt(fmax(v, 0) / (n - 1));
}

/* The numbers of one column in the form in which the functions came. */
static norn_datum as_given(adaptive *e, norn_state *st, const double *x)
{
  norn_datum v[MOST_FUNCTIONS];
  if (e->several) return norn_array_f64(st, x, e->J);
  for (int j = 0; j < e->J; j++) v[j] = norn_real(x[j]);
  return e->name[0] ? norn_record(st, e->J, e->name, v) : v[0];
}

/* Warns where an estimate rests on few draws.  (p / h is at most 1 over the prior's share, so terms have no
   worse tails than the function itself.) */
static void check_terms(norn_infer *inf, const adaptive *e, int j)
{
  norn_span nowhere = {0, 0, 0};
  char name[60];
  double s = 0, q = 0;
  for (int64_t i = e->used; i < e->have; i++) {
    const double *row = row_at(e, i);
    double y = fabs(term(row, j, row[DRAWN]));
    s += y;
    q += y * y;
  }
  name_of(e, j - 1, name, sizeof name);
  if (!(q > 0))
    norn_infer_warn(inf, nowhere, "%s was 0 at each of %lld draws: what is said of its expectation has no "
                    "meaning; take a larger budget", name, (long long)(e->have - e->used));
  else if (s * s / q < FEW)
    norn_infer_warn(inf, nowhere, "the expectation of %s rests on %.3g draws; take a larger budget", name,
                    s * s / q);
}

static norn_status leave_notes(norn_infer *inf, adaptive *e)
{
  norn_state *st = norn_infer_state(inf);
  double value[MOST_FUNCTIONS], se[MOST_FUNCTIONS], z, z_se;
  for (int j = 0; j < e->J; j++) {
    estimate(e, j + 1, &value[j], &se[j]);
    check_terms(inf, e, j + 1);
  }
  estimate(e, 0, &z, &z_se);
  norn_infer_evidence(inf, log(z), z_se / z);
  norn_datum v = as_given(e, st, value);
  if (norn_is_none(v)) return NORN_EMEMORY;
  norn_infer_note(inf, "expectations", v);
  v = as_given(e, st, se);
  if (norn_is_none(v)) return NORN_EMEMORY;
  norn_infer_note(inf, "expectation_se", v);
  norn_infer_note(inf, "batches", norn_int(e->batches));
  norn_infer_note(inf, "draws_at_end", norn_int(e->have - e->used));
  return NORN_OK;
}

/* A piece of the draws of the end, weighted. */
static norn_step leave(norn_infer *inf, adaptive *e)
{
  for (int work = 0; work < PIECE && e->used + e->left < e->have; work++, e->left++) {
    double *row = row_at(e, e->used + e->left);
    if (row[JOINT] == -HUGE_VAL) continue;
    if (norn_density_draw(e->joint, inf, place_of(e, row), row[JOINT] - row[DRAWN], NULL))
      return NORN_STEP_FAIL;
  }
  return e->used + e->left < e->have ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static norn_step final_end(norn_infer *inf, adaptive *e)
{
  memset(e->sum, 0, (size_t)(1 + e->J) * 3 * sizeof *e->sum);
  for (int64_t i = e->used; i < e->have; i++) add_final(e, i);
  if (!(e->sum[0] > 0)) {
    engine_fail(norn_infer_state(inf), NORN_EINFER, norn_density_blame(e->joint),
                "every draw of adaptive_importance has weight 0");
    return NORN_STEP_FAIL;
  }
  e->at = LEAVE;
  return NORN_STEP_MORE;
}

static norn_step adaptive_step(norn_infer *inf, void *self)
{
  adaptive *e = self;
  if (!e->prior) return adaptive_record(inf, e);
  if (e->at == LEAVE) return leave(inf, e);
  int64_t end = e->at == FINAL ? e->budget : e->batch * (e->batches + 1);
  for (int work = 0; work < PIECE && e->have < end; work++)
    if (draw_one(inf, e)) return NORN_STEP_FAIL;
  if (e->have < end) return NORN_STEP_MORE;
  if (e->at == FINAL) return final_end(inf, e);
  learn_batch(e);
  return NORN_STEP_MORE;
}

static norn_status adaptive_finish(norn_infer *inf, void *self)
{
  adaptive *e = self;
  return e->at == LEAVE ? leave_notes(inf, e) : NORN_OK;
}

static void adaptive_progress(norn_infer *inf, void *self, norn_progress *p)
{
  adaptive *e = self;
  (void)inf;
  p->done = (double)e->have;
  p->total = (double)e->budget;
  if (e->at == LEARN) snprintf(p->state, sizeof p->state, "learning, batch %lld", (long long)e->batches + 1);
}

static void adaptive_free(norn_infer *inf, void *self)
{
  adaptive *e = self;
  norn_state *st = norn_infer_state(inf);
  for (int j = 0; j < e->J; j++) if (e->function[j]) norn_drop(e->function[j]);
  if (e->width) {
    engine_put(st, e->whole.mean, part_size(e));
    plan_free(st, e, &e->now);
    plan_free(st, e, &e->next);
    engine_put(st, e->row, (size_t)e->budget * e->width * sizeof *e->row);
    engine_put(st, e->c, (size_t)most_parts(e) * sizeof *e->c);
    engine_put(st, e->x, (size_t)e->n * sizeof *e->x);
    engine_put(st, e->system, system_size(e));
    engine_put(st, e->sum, (size_t)(1 + e->J) * 3 * sizeof *e->sum);
  }
  norn_density_free(e->joint);
  norn_density_free(e->prior);
}

/* What a plan is; `next` is made anew by each batch. */
static void plan_archive(adaptive *e, norn_archive *a, plan *p)
{
  norn_archive_int(a, &p->K);
  norn_archive_f64(a, &p->prior);
  if (!norn_archive_status(a) && (p->K < 0 || p->K > most_parts(e)))
    norn_archive_fail(a, "it has an impossible number of normals");
  for (int k = 0; !norn_archive_status(a) && k < p->K; k++) {
    norn_archive_bytes(a, p->part[k].mean, part_size(e));
    norn_archive_f64(a, &p->part[k].log_top);
  }
  if (!norn_archive_status(a)) norn_archive_bytes(a, p->b, plan_size(e));
}

/* The densities are recorded again by the next step. */
static norn_status adaptive_archive(norn_infer *inf, void *self, norn_archive *a)
{
  adaptive *e = self;
  int at = (int)e->at;
  norn_archive_int(a, &at);
  if (norn_archive_status(a) || at == RECORD) return norn_archive_status(a);
  norn_archive_i64(a, &e->n);
  norn_archive_i64(a, &e->have);
  norn_archive_i64(a, &e->used);
  norn_archive_i64(a, &e->left);
  norn_archive_i64(a, &e->batches);
  norn_archive_bool(a, &e->observed);
  if (norn_archive_status(a)) return norn_archive_status(a);
  if (at < LEARN || at > LEAVE || e->n < 1 || e->n > 1 << 20 || e->have < 0 || e->have > e->budget ||
      e->used < 0 || e->used > e->have || e->left < 0 || e->left > e->have - e->used)
    norn_archive_fail(a, "its counts do not fit");
  else if (norn_archive_reading(a) && !make_room(norn_infer_state(inf), e))
    return NORN_EMEMORY;
  e->at = (phase)at;
  if (norn_archive_status(a)) return norn_archive_status(a);
  norn_archive_bytes(a, e->row, (size_t)e->have * e->width * sizeof *e->row);
  norn_archive_bytes(a, e->sum, (size_t)(1 + e->J) * 3 * sizeof *e->sum);
  plan_archive(e, a, &e->now);
  return norn_archive_status(a);
}

static const norn_option adaptive_options[] = {
  {"functions", NULL, "functions of what the model returns: one, an array, or a record of them"},
  {"budget", "10000", "draws in all, at each of which the functions are asked"},
  {"batch", "0", "draws from one update to the next; 0: a tenth of the budget"},
};

const norn_engine engine_adaptive_importance = {
  .version = NORN_ENGINE_VERSION, .name = "adaptive_importance",
  .doc = "Expectations of many functions from one sample: importance sampling from a density that is "
         "learnt, with control variates; for models with continuous choices.",
  .options = adaptive_options, .noptions = NORN_COUNT(adaptive_options), .size = sizeof(adaptive),
  .init = adaptive_init, .step = adaptive_step, .finish = adaptive_finish,
  .progress = adaptive_progress, .free = adaptive_free, .archive = adaptive_archive};
