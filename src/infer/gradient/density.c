/* density: a model as a function of unconstrained coordinates (norn.h), by recording a run of it.

   The run is answered with nodes: each choice gets inputs of the graph, put through the map of its
   support; its prior, the log Jacobian and every observation are terms.  The compiled graph serves
   all points at which its guards hold; elsewhere the run is recorded again, and what was compiled is
   kept for when a point comes back (KEPT programs, the least recently used goes).  The continuous
   choices and their supports must be the same in every run: a changing set has no fixed R^n. */
#include "infer/gradient/density.h"
#include <stdio.h>
#include <string.h>

enum { TRIES = 100 };                  /* points for the first recording */

/* ---- made of a C function ---- */

norn_density *norn_density_of(norn_state *st, int64_t n,
                              double (*f)(void *user, const double *u, double *gradient),
                              void *user)
{
  norn_density *d = engine_get(st, sizeof *d);
  if (!d) return NULL;
  d->st = st;
  d->dim = n;
  d->f = f;
  d->user = user;
  return d;
}

void norn_density_free(norn_density *d)
{
  if (!d) return;
  norn_state *st = d->st;
  for (int i = 0; i < d->ntape; i++) tape_free(d, &d->tape[i]);
  engine_put(st, d->here, (size_t)d->nhere * sizeof *d->here);
  engine_put(st, d->choice, d->cchoice * sizeof *d->choice);
  engine_put(st, d->latent, d->clatent * sizeof *d->latent);
  engine_put(st, d->guarded, d->cguarded * sizeof *d->guarded);
  engine_put(st, d->looked, d->clooked * sizeof *d->looked);
  engine_put(st, d->latent_table, (d->latent_mask ? d->latent_mask + 1 : 0) * sizeof(uint32_t));
  bigdata_free(d->gpu);
  if (d->model) norn_drop(d->model);
  engine_put(st, d, sizeof *d);
}

int64_t norn_density_dim(const norn_density *d) { return d->dim; }
norn_span norn_density_blame(norn_density *d) { return d->blame; }

/* A parameter may leave its domain, or a weight be 0, at zeros: other points are tried then. */
norn_density *norn_density_new(norn_state *st, norn_datum model, uint64_t stream, unsigned flags)
{
  tape *t;
  norn_density *d = engine_get(st, sizeof *d);
  if (!d) return NULL;
  d->st = st;
  d->stream = stream;
  d->flags = flags;
  d->model = norn_keep(st, model);
  for (; d->model && d->tries < TRIES; d->tries++) {
    norn_clear(st);
    d->nchoice = 0;
    norn_status status = density_record(d, NULL, &t);
    d->pinned = t != NULL;
    if (d->fixed || t) return d;
    if (!status)
      engine_fail(st, NORN_EINFER, d->blame, "the model has weight 0 at each of %d points", TRIES);
    else if (status != NORN_EDOMAIN || !d->nchoice) break;      /* another point would not help */
  }
  norn_density_free(d);
  return NULL;
}

norn_density *norn_density_clone(norn_density *d)
{
  if (d->f) return norn_density_of(d->st, d->dim, d->f, d->user);
  if (d->block)
    return density_block_part(d->st, norn_get(d->model), d->stream, d->flags, d->hold, d->barriers);
  norn_density *c = norn_density_new(d->st, norn_get(d->model), d->stream, d->flags);
  char why[200];
  if (!c || !d->gpu || density_gpu(c, bigdata_keep(d->gpu), why, sizeof why) >= 0) return c;
  norn_density_free(c);
  return NULL;
}

/* ---- on a GPU ---- */

int density_gpu(norn_density *d, bigdata *on, char *why, size_t size)
{
  int most = 0;
  bigdata_free(d->gpu);
  d->gpu = on;
  *why = 0;
  for (int i = 0; i < d->ntape; i++) {
    int n = bigdata_attach(on, d->tape[i].p, why, size);
    if (n < 0) return n;
    if (n > most) most = n;
  }
  return most;
}

void density_gpu_look(norn_density *d)
{
  const char *why = bigdata_failure(d->gpu);
  if (!why || d->told || bigdata_differs(d->gpu)) return;
  d->told = true;
  norn_warning(d->st, (norn_span){0, 0, 0}, "the GPU failed, and the CPU has gone on: %s", why);
}

/* With checks: numbers that differ are an error. */
static norn_status gpu_checked(norn_density *d)
{
  if (!bigdata_differs(d->gpu)) return NORN_OK;
  norn_lock(d->st);
  norn_fail(d->st, NORN_EINFER, -1, "verify = true: %s", bigdata_failure(d->gpu));
  norn_unlock(d->st);
  return NORN_EINFER;
}

/* ---- asking ---- */

/* Tries what is compiled, the last used first. */
static eval_status eval_kept(norn_density *d, const double *u, double *logp, double *gradient)
{
  size_t where;
  tape *first = d->last;
  for (int i = 0; i < d->ntape && d->switching == SWITCH_ON; i++)
    if (d->tape[i].switched) first = &d->tape[i];
  d->doubt = false;
  for (int i = -1; i < d->ntape; i++) {
    tape *t = i < 0 ? first : &d->tape[i];
    if (!t || (i >= 0 && t == first)) continue;
    eval_status s = hold_eval(d, t, u, logp, gradient, &where);
    if (s == EVAL_GUARD) continue;
    t->used = ++d->clock;
    d->last = t;
    d->blame = where < t->g->nterm ? t->g->term[where].span : (norn_span){0, 0, 0};
    return s;
  }
  return EVAL_GUARD;
}

norn_status norn_density_eval(norn_density *d, const double *u, double *logp, double *gradient)
{
  tape *t;
  size_t where;
  if (d->f) {
    *logp = d->f(d->user, u, gradient);
    if (*logp != *logp || *logp == HUGE_VAL) *logp = -HUGE_VAL;
    return NORN_OK;
  }
  if (eval_kept(d, u, logp, gradient) != EVAL_GUARD) return gpu_checked(d);
  *logp = -HUGE_VAL;
  norn_lock(d->st);
  norn_status status = density_record(d, u, &t);
  norn_unlock(d->st);
  if (status || !t) return status;
  if (hold_eval(d, t, u, logp, gradient, &where) == EVAL_GUARD) *logp = -HUGE_VAL;
  d->last = t;
  return gpu_checked(d);
}

/* POINTS points by the program of the last one; those where it does not hold are done by themselves. */
static norn_status eval_lanes(norn_density *d, const double *u, double *logp, double *gradient)
{
  eval_status status[POINTS];
  if (!program_eval_many(d->last->p, u, logp, gradient, status)) return NORN_EMEMORY;
  for (int b = 0; b < POINTS; b++) {
    if (status[b] != EVAL_GUARD) continue;
    norn_status s = norn_density_eval(d, u + b * d->dim, logp + b, gradient ? gradient + b * d->dim : NULL);
    if (s) return s;
  }
  return NORN_OK;
}

norn_status norn_density_eval_many(norn_density *d, int64_t n, const double *u, double *logp,
                                   double *gradient)
{
  norn_status s = NORN_OK;
  for (int64_t i = 0; i < n && !s;) {
    bool lanes = !d->f && !d->block && !d->gpu && d->last && n - i >= POINTS &&
                 (d->always_lanes || program_many_pays(d->last->p));
    const double *at = u + i * d->dim;
    double *g = gradient ? gradient + i * d->dim : NULL;
    s = lanes ? eval_lanes(d, at, logp + i, g) : norn_density_eval(d, at, logp + i, g);
    i += lanes ? POINTS : 1;
  }
  return s;
}

norn_status density_eval_block(norn_density *d, const double *u, double *logp, double *gradient)
{
  norn_status s = NORN_OK;
  eval_status status[POINTS];
  bool lanes = d->pinned && program_many_pays(d->tape[0].p);
  if (lanes && !program_eval_many(d->tape[0].p, u, logp, gradient, status)) return NORN_EMEMORY;
  for (int b = 0; b < POINTS && !s; b++)
    if (!lanes || status[b] == EVAL_GUARD)
      s = norn_density_eval(d, u + b * d->dim, logp + b, gradient ? gradient + b * d->dim : NULL);
  return s;
}

/* ---- choices ---- */

const char *norn_density_name(norn_density *d, int64_t i, char *buf, size_t n)
{
  char name[160];
  snprintf(buf, n, "u[%lld]", (long long)i);
  for (size_t k = 0; k < d->nchoice; k++) {
    const choice *c = &d->choice[k];
    if (i < c->u || i >= c->u + c->nfree) continue;
    norn_addr_name(d->st, c->addr, name, sizeof name);
    int64_t j = i - c->u;
    if (c->rank == 0) snprintf(buf, n, "%s", name);
    else if (c->rank == 2 && c->s.kind <= NORN_SUPPORT_INTERVAL)
      snprintf(buf, n, "%s[%lld, %lld]", name, (long long)(j / c->dims[1]),
               (long long)(j % c->dims[1]));
    else snprintf(buf, n, "%s[%lld]", name, (long long)j);
  }
  return buf;
}

int64_t norn_density_choices(const norn_density *d) { return (int64_t)(d->nchoice + d->nlatent); }

void norn_density_choice_at(const norn_density *d, int64_t i, norn_density_choice *out)
{
  memset(out, 0, sizeof *out);
  if (i >= (int64_t)d->nchoice) {
    const discrete *z = &d->latent[i - (int64_t)d->nchoice];
    *out = (norn_density_choice){.addr = z->addr, .span = z->span, .discrete = true};
    return;
  }
  const choice *c = &d->choice[i];
  *out = (norn_density_choice){.addr = c->addr, .span = c->span, .support = c->s, .rank = c->rank,
                               .first = c->x, .nelem = c->nelem, .from = c->u, .nfree = c->nfree};
  memcpy(out->dims, c->dims, sizeof c->dims);
}

norn_status density_note_summed(norn_density *d, norn_infer *inf)
{
  char name[160];
  int64_t none = 0;
  void *data;
  if (!d->nlatent) return NORN_OK;
  norn_ref *list = norn_keep(d->st, norn_array(d->st, NORN_VALUES, 1, &none, &data));
  norn_status status = list ? NORN_OK : NORN_EMEMORY;
  for (size_t i = 0; i < d->nlatent && !status; i++) {
    const char *s = norn_addr_name(d->st, d->latent[i].addr, name, sizeof name);
    status = norn_push(list, norn_string(d->st, s, strlen(s)));
  }
  if (!status) norn_infer_note(inf, "summed", norn_get(list));
  if (list) norn_drop(list);
  return status;
}

/* ---- rows ---- */

int64_t norn_density_rows(const norn_density *d)
{
  return d->ntape ? (int64_t)d->tape[0].nrow : 0;
}

norn_span norn_density_row(const norn_density *d, int64_t i, int64_t *element)
{
  const data_row *r = &d->tape[0].row[i];
  if (element) *element = r->element;
  return r->span;
}

norn_status norn_density_loglik(norn_density *d, const double *u, double *out)
{
  double logp;
  int64_t n = norn_density_rows(d);
  norn_status status = norn_density_eval(d, u, &logp, NULL);
  if (status) return status;
  if (d->last && (int64_t)d->last->nrow != n)
    return engine_fail(d->st, NORN_EINFER, d->last->nrow ? d->last->row[0].span : d->blame,
                       "this model observes %zu values in one run and %lld in another: rows can't be "
                       "told apart", d->last->nrow, (long long)n);
  for (int64_t i = 0; i < n; i++) {
    const weight *w = d->last ? &d->last->row[i].w : NULL;
    out[i] = !w ? -HUGE_VAL : w->node == NOTHING ? w->number : program_value(d->last->p, w->node);
  }
  return NORN_OK;
}

const choice *density_improper(const norn_density *d)
{
  for (size_t i = 0; i < d->nchoice; i++)
    if (d->choice[i].improper) return &d->choice[i];
  return NULL;
}
