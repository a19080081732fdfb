/* approx: what modes and normal approximations share (approx.h).

   With draws u_s from q the importance weights are w_s = p(u_s) / q(u_s).  Their mean estimates the
   evidence, se(log Z) = sd(w) / (sqrt(S) Z); their tail says how far q is from p: Pareto k-hat
   (Vehtari, Simpson, Gelman, Yao, Gabry 2024; Yao, Vehtari, Simpson, Gelman 2018, "Yes, but did it
   work?"). Above min(1 - 1/log10 S, 0.7) neither the draws nor the weights are to be trusted;
   weights are smoothed where it is below 1. */
#include "infer/gradient/approx.h"
#include "infer/gradient/density.h"
#include "infer/infer.h"
#include "infer/trust/psis.h"
#include "infer/watch.h"
#include <stdio.h>
#include <string.h>

/* ---- the target ---- */

double target_at(target *t, const double *u, double *g)
{
  double lp;
  if (t->failed) return -HUGE_VAL;
  t->evaluations++;
  t->failed = norn_density_eval(t->density, u, &lp, g);
  if (t->failed || !(fabs(lp) < HUGE_VAL)) return -HUGE_VAL;
  for (int64_t i = 0; g && i < t->n; i++)
    if (!(fabs(g[i]) < HUGE_VAL)) return -HUGE_VAL;
  return lp;
}

double target_cost(void *user, const double *u, double *g)
{
  target *t = user;
  double lp = target_at(t, u, g);
  if (lp == -HUGE_VAL) return HUGE_VAL;
  for (int64_t i = 0; g && i < t->n; i++) g[i] = -g[i];
  return -lp;
}

/* ---- options ---- */

bool option_bool(norn_infer *inf, int i, bool *out)
{
  const norn_option *o = &infer_engine(inf)->options[i];
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, i);
  char what[120];
  if (norn_is_none(v)) v = norn_bool(!strcmp(o->fallback, "true"));
  *out = v.tag == NORN_BOOL && v.i;
  if (v.tag == NORN_BOOL) return true;
  norn_fail(st, NORN_EDOMAIN, -1, "%s of %s must be true or false, got %s", o->name,
            infer_engine(inf)->name, norn_describe(st, v, what, sizeof what));
  return false;
}

norn_status approx_init(approx *a, norn_infer *inf, int option)
{
  static const char *const names[] = {"mixed", "random", "prior"};
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, option);
  int kind = 0;
  a->inf = inf;
  a->t.st = st;
  a->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 4, 0);
  if (device_read(inf, &a->wish)) return norn_error(st)->code;
  if (norn_record_size(v) < 0) {
    if (!option_choice(inf, option, names, 3, &kind)) return norn_error(st)->code;
    a->start = (start_kind)kind;
    return NORN_OK;
  }
  a->start = START_GIVEN;
  a->given = norn_keep(st, v);
  return a->given ? NORN_OK : NORN_EMEMORY;
}

/* ---- recording ---- */

norn_step approx_record(approx *a, unsigned flags)
{
  norn_state *st = a->t.st;
  a->t.density = norn_density_new(st, norn_infer_model(a->inf), norn_infer_stream(a->inf), flags);
  if (!a->t.density) return NORN_STEP_FAIL;
  a->t.n = norn_density_dim(a->t.density);
  if (a->t.n == 0) {
    engine_fail(st, NORN_EINFER, (norn_span){0, 0, 0}, "this model makes no choice "
                "that %s can move", infer_engine(a->inf)->name);
    norn_hint(st, "enumerate() is for models whose choices are all discrete");
    return NORN_STEP_FAIL;
  }
  for (size_t i = 0; i < a->t.density->nchoice; i++)
    a->improper |= a->t.density->choice[i].improper;
  if (device_density(a->inf, &a->wish, a->t.density)) return NORN_STEP_FAIL;
  return NORN_STEP_MORE;
}

norn_step approx_start(approx *a, uint32_t start, double *u)
{
  target *t = &a->t;
  norn_rng g = {.stream = a->stream, .lane = start};
  double *gradient = engine_get(t->st, (size_t)t->n * sizeof *gradient);
  bool found = false;
  if (!gradient) return NORN_STEP_FAIL;
  for (uint32_t i = 0; i < 100 && !found && !t->failed; i++) {
    g.event = i;
    g.draw = 0;
    for (int64_t k = 0; k < t->n; k++) u[k] = 4 * norn_rng_uniform(&g) - 2;
    if (a->start == START_PRIOR || (a->start == START_MIXED && start % 2 && i < 50))
      t->failed = norn_density_prior(t->density, &g, u);
    if (a->start == START_GIVEN) t->failed = norn_density_at(t->density, norn_get(a->given), u);
    found = target_at(t, u, gradient) > -HUGE_VAL;
  }
  engine_put(t->st, gradient, (size_t)t->n * sizeof *gradient);
  if (found) return NORN_STEP_MORE;
  if (t->failed) return NORN_STEP_FAIL;
  engine_fail(t->st, NORN_EINFER, norn_density_blame(t->density),
              "start %lld has no finite log density and gradient, in 100 tries: this term was not "
              "finite", (long long)start + 1);
  norn_hint(t->st, "%s(init = \"prior\") starts from draws of the prior, init = { name: value } "
                   "from values of yours", infer_engine(a->inf)->name);
  return NORN_STEP_FAIL;
}

void approx_free(approx *a)
{
  norn_density_free(a->t.density);
  if (a->given) norn_drop(a->given);
}

/* ---- draws ---- */

static size_t cloud_bytes(const cloud *c)
{
  return (size_t)(c->size * (c->n + 3)) * sizeof(double);
}

bool cloud_new(norn_state *st, cloud *c, int64_t size, int64_t n)
{
  *c = (cloud){.st = st, .n = n, .size = size};
  c->u = engine_get(st, cloud_bytes(c));
  if (!c->u) return false;
  c->lp = c->u + size * n;
  c->lq = c->lp + size;
  c->w = c->lq + size;
  return true;
}

bool cloud_archive(norn_archive *a, cloud *c)
{
  double *real[] = {&c->khat, &c->khat_se, &c->log_evidence, &c->se, &c->ess};
  norn_archive_i64(a, &c->tried);
  norn_archive_i64(a, &c->kept);
  if (c->kept < 0 || c->kept > c->size) return norn_archive_fail(a, "its draws are not whole");
  for (int i = 0; i < NORN_COUNT(real); i++) norn_archive_f64(a, real[i]);
  size_t kept = (size_t)c->kept * sizeof *c->u;
  return norn_archive_bytes(a, c->u, kept * (size_t)c->n) && norn_archive_bytes(a, c->lp, kept) &&
         norn_archive_bytes(a, c->lq, kept) && norn_archive_bytes(a, c->w, kept);
}

void cloud_free(cloud *c)
{
  if (c->u) engine_put(c->st, c->u, cloud_bytes(c));
  c->u = NULL;
}

void cloud_add(cloud *c, target *t, const double *u, double lq)
{
  double lp = target_at(t, u, NULL);
  c->tried++;
  if (lp == -HUGE_VAL) return;
  memcpy(c->u + c->kept * c->n, u, (size_t)c->n * sizeof *u);
  c->lp[c->kept] = lp;
  c->lq[c->kept++] = lq;
}

/* The draws of the tail whose shape is k-hat: the usual number, but only those whose weight is a
   quarter above the mean.  Where a good approximation leaves a plateau of weights near the mean,
   the usual cut falls on it and the shape would be that of its edge.  0: there are too few, or they
   differ by 5 % at most, as where a mixture holds a normal that is exact: there is no tail. */
static size_t tail_of(const double *logw, size_t n, double log_mean)
{
  double most = -HUGE_VAL;
  size_t above = 0, near = 0, usual = psis_tail(n, 1);
  for (size_t i = 0; i < n; i++) most = fmax(most, logw[i]);
  for (size_t i = 0; i < n; i++) {
    above += logw[i] > log_mean + log(1.25);
    near += logw[i] > most - 0.05;
  }
  size_t m = above < usual ? above : usual;
  return m < 5 || near >= m ? 0 : m;
}

bool cloud_weigh(cloud *c)
{
  size_t m = (size_t)c->kept;
  double n = (double)c->tried;
  for (size_t i = 0; i < m; i++) c->w[i] = c->lp[i] - c->lq[i];
  c->log_evidence = log_sum(c->w, m) - log(n);
  double ess = kish(c->w, m);
  c->se = c->tried > 1 && ess > 0 ? sqrt(fmax(n / ess - 1, 0) / (n - 1)) : (double)NAN;
  c->khat = -HUGE_VAL;
  size_t tail = tail_of(c->w, m, c->log_evidence);
  /* 3 sqrt(m / r_eff) = tail */
  double r_eff = tail < psis_tail(m, 1) ? 9 * (double)m / ((double)tail * (double)tail) : 1;
  c->khat_se = 0;
  if (tail && !psis_smooth(c->st, c->w, m, r_eff, &c->khat)) return false;
  if (tail && tail < 30 && r_eff != 1) c->khat_se = (1 + c->khat) / sqrt((double)tail);
  /* beyond 1 there is no mean and nothing to smooth towards */
  for (size_t i = 0; i < m && c->khat >= 1; i++) c->w[i] = c->lp[i] - c->lq[i];
  c->ess = kish(c->w, m);
  return true;
}

norn_step approx_report(approx *a, cloud *c, bool corrected)
{
  norn_infer *inf = a->inf;
  norn_span nowhere = {0, 0, 0};
  /* a short tail says little about its shape */
  double least = psis_threshold((size_t)c->tried);
  bool high = !(c->khat - c->khat_se <= least);
  if (!c->kept) {
    engine_fail(a->t.st, NORN_EINFER, norn_density_blame(a->t.density),
                "every draw of the approximation lies where the density is 0");
    norn_hint(a->t.st, "the posterior is far from normal; nuts() or smc() have no need of that");
    return NORN_STEP_FAIL;
  }
  const double *draws = c->u;
  watched w = {inf, a->t.density, &draws, 1, c->kept, c->n};
  if (watch_tails(&w)) return NORN_STEP_FAIL;
  bool told = psis_tail((size_t)c->tried, 1) >= 5;       /* fewer draws have no tail */
  norn_infer_note(inf, "khat", told ? norn_real(c->khat) : norn_missing());
  norn_infer_note(inf, "outside", norn_int(c->tried - c->kept));
  norn_infer_note(inf, "evaluations", norn_int(a->t.evaluations));
  if ((double)(c->tried - c->kept) > 0.01 * (double)c->tried)
    norn_infer_warn(inf, nowhere, "%lld of %lld draws lie where the density is 0 and were left out",
                    (long long)(c->tried - c->kept), (long long)c->tried);
  if (told && high && corrected)
    norn_infer_warn(inf, nowhere, "k-hat is %.2g, above %.2g: the approximation is too far from "
                    "the posterior for its weights to mend; reparameterise, or use nuts()",
                    c->khat, least);
  else if (told && high)
    norn_infer_warn(inf, nowhere, "k-hat is %.2g, above %.2g: the approximation is far from the "
                    "posterior and its draws are biased; reparameterise, or use nuts()", c->khat,
                    least);
  return NORN_STEP_MORE;
}

norn_step approx_leave(approx *a, const cloud *c, int64_t first, int64_t end, bool corrected)
{
  for (int64_t i = first; i < end; i++) {
    norn_rng g = {.stream = a->stream, .lane = 0xfffffff0u, .event = (uint32_t)i};
    if (norn_density_draw(a->t.density, a->inf, c->u + i * c->n, corrected ? c->w[i] : 0, &g))
      return NORN_STEP_FAIL;
  }
  return NORN_STEP_MORE;
}
