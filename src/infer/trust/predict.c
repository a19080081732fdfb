/* predict: a model run again, draw by draw of a posterior, for what it says of each observation.

   Two engines that the library's functions are made of.  A run's choices are answered with those
   of the posterior's draw, by address; of a simulation without a posterior they are drawn from
   their prior.  At an observation

     _pointwise(post)     notes its log density, element by element where it is a product (loo):
                          the draw's value is the array of them, its weight that of the posterior's.
                          If the posterior's engine summed choices out they are from a density that
                          does so in each row (norn.h, NORN_DENSITY_ROWS)
     _simulate(post, n)   answers with a value drawn from its distribution (prior_predictive,
                          posterior_predictive, sbc); the draw's value is what the model returns

   Observations are known by address and line: `for j in 0..n { observe y[j] ~ d }` is one site
   whose values are y.  Lanes: draw i runs in lane i; simulated observations have the event word
   of their address, line and ordinal, and come from a stream of their own. */
#include "infer/trust/predict.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include <stdio.h>
#include <string.h>

enum { NAME = 80, SITES = 1000 };

typedef struct row { norn_span span; int64_t element; } row;

/* An observation of the program; what it gave in this draw, and in all so far. */
typedef struct site {
  norn_span span;
  char name[NAME];
  column now, draws;
  bool once;                           /* exactly one value in every draw */
} site;

typedef struct again {
  int64_t n, i;
  norn_run *run;
  bool posterior;
  uint32_t *order;                     /* (n) draws of the posterior; NULL: as they are */
  uint64_t *addr; uint32_t *field; size_t size, used;    /* address -> field of choices + 1 */
  /* _pointwise */
  row *rows; size_t nrows, crows, at;
  double *ll; size_t cll;
  norn_span factor; int64_t factors;   /* of the first draw */
  norn_density *density; double *u;    /* where choices were summed out: of rows without them */
  /* _simulate */
  uint64_t stream;
  site *site; size_t nsite, csite;
  column keys, values;                 /* of this draw: observations as they came */
} again;

/* ---- choices ---- */

static bool names_grow(norn_state *st, again *e)
{
  if (2 * (e->used + 1) <= e->size) return true;
  size_t m = e->size ? 2 * e->size : 64;
  uint64_t *addr = engine_get(st, m * sizeof *addr);
  uint32_t *field = engine_get(st, m * sizeof *field);
  if (!addr || !field) {
    engine_put(st, addr, m * sizeof *addr);
    engine_put(st, field, m * sizeof *field);
    return false;
  }
  for (size_t i = 0; i < e->size; i++) {
    size_t k = e->addr[i] & (m - 1);
    if (!e->field[i]) continue;
    while (field[k]) k = (k + 1) & (m - 1);
    addr[k] = e->addr[i];
    field[k] = e->field[i];
  }
  engine_put(st, e->addr, e->size * sizeof *addr);
  engine_put(st, e->field, e->size * sizeof *field);
  e->addr = addr;
  e->field = field;
  e->size = m;
  return true;
}

/* The field of `choices` that is this address; -1: there is none, -2: no memory. */
static int field_of(norn_state *st, again *e, norn_datum choices, uint64_t addr)
{
  char name[256], bare[24];
  norn_datum v;
  size_t k = 0;
  if (!names_grow(st, e)) return -2;
  for (k = addr & (e->size - 1); e->field[k]; k = (k + 1) & (e->size - 1))
    if (e->addr[k] == addr) return (int)e->field[k] - 1;
  if (!norn_addr_name(st, addr, name, sizeof name)) return -1;
  /* an address whose name could not be kept has its number there */
  snprintf(bare, sizeof bare, "@%016llx", (unsigned long long)addr);
  for (int i = 0; i < norn_record_size(choices); i++) {
    const char *field = norn_record_at(st, choices, i, &v);
    if (!strcmp(field, name) || !strcmp(field, bare)) {
      e->addr[k] = addr;
      e->field[k] = (uint32_t)i + 1;
      e->used++;
      return i;
    }
  }
  if (*name != '@') return -1;
  norn_fail(st, NORN_EMEMORY, -1, "out of memory");      /* for its name, in this run */
  return -2;
}

static int64_t draw_of(const again *e) { return e->order ? e->order[e->i] : e->i; }

static norn_datum chosen(norn_infer *inf, again *e, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  norn_dist d;
  norn_datum v = norn_missing();
  char name[256];
  posterior_args(norn_infer_option(inf, 0), &d);
  int k = field_of(st, e, d.args[POST_CHOICES], ev->addr), n;
  const norn_datum *fields = norn_record_view(d.args[POST_CHOICES], &n);
  if (k == -2) return norn_none();
  if (k >= 0) v = norn_array_at(st, fields[k], draw_of(e));
  if (v.tag != NORN_MISSING) return v;
  engine_fail(st, NORN_EINFER, ev->span, "the posterior has no value of this choice%s%s",
              norn_addr_name(st, ev->addr, name, sizeof name) ? ", " : "", name);
  norn_hint(st, "it must be of this model, by an engine that keeps choices (nuts, mh, importance)");
  return norn_none();
}

static bool answer_choice(norn_infer *inf, again *e, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum v;
  double excess;
  if (e->posterior) v = chosen(inf, e, ev);
  else if (!engine_sample(st, e->run, ev, false, &v, &excess)) return false;
  if (norn_is_none(v)) return false;
  norn_run_answer(e->run, v);
  return e->posterior || !norn_infer_choice(inf, ev->addr, v);
}

norn_status predict_check(norn_state *st, norn_datum post)
{
  norn_posterior p;
  norn_view v;
  norn_datum first;
  if (!norn_posterior_view(st, post, &p)) return norn_fail(st, NORN_ETYPE, 0, "not a posterior");
  if (norn_record_size(p.choices) > 0 && !p.exact) {
    norn_record_at(st, p.choices, 0, &first);
    if (norn_array_view(first, &v) && v.dims[0] == p.n) return NORN_OK;
  }
  norn_fail(st, NORN_EINFER, 0, "this posterior by %s keeps no draws of its choices",
            p.engine ? p.engine : "an unknown engine");
  const char *engine = p.engine ? p.engine : "";
  norn_hint(st, !strcmp(engine, "enumerate") ? "it has probabilities of values: nuts, mh and importance draw; evidence(post) compares "
                                               "models exactly"
                : !strcmp(engine, "smc")     ? "smc(keep = \"choices\") keeps them, as do nuts, hmc, mh and importance"
                : !strcmp(engine, "importance") ? "importance(keep = \"choices\") keeps them, on the CPU, as do nuts, hmc "
                                                  "and mh"
                                             : "nuts, hmc, mh, importance and smc(keep = \"choices\") keep them");
  return NORN_EINFER;
}

static norn_status check_posterior(norn_infer *inf, again *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_dist d;
  norn_datum post = norn_infer_option(inf, 0);
  if (post.tag == NORN_MISSING) return NORN_OK;
  norn_status code = predict_check(st, post);
  if (code || !posterior_args(post, &d)) return code;
  e->posterior = true;
  e->n = norn_array_length(d.args[POST_VALUES]);
  return NORN_OK;
}

/* ---- the log density of each observation ---- */

static bool note_row(norn_infer *inf, again *e, norn_span span, int64_t element, double ll)
{
  norn_state *st = norn_infer_state(inf);
  if (!e->i) {
    if (!engine_room(st, &e->rows, &e->crows, e->nrows + 1, sizeof *e->rows) ||
        !engine_room(st, &e->ll, &e->cll, e->nrows + 1, sizeof *e->ll))
      return false;
    e->rows[e->nrows++] = (row){ span, element };
  }
  const row *r = e->at < e->nrows ? &e->rows[e->at] : NULL;
  if (!r || r->span.start != span.start || r->span.file != span.file || r->element != element) {
    engine_fail(st, NORN_EINFER, span, "the observations differ from draw to draw");
    norn_hint(st, "leaving one out needs the same rows in every run of the model");
    return false;
  }
  e->ll[e->at++] = ll;
  return true;
}

static int64_t parts_of(norn_state *st, const norn_dist *d)
{
  norn_datum part;
  int64_t n = 0;
  while (!norn_dist_part(st, d, n, &part) && !norn_is_none(part)) n++;
  norn_clear(st);
  return n;
}

/* The value of part k of n: a number of an array of numbers, or a row. */
static norn_datum piece(norn_state *st, norn_datum x, int64_t k, int64_t n)
{
  norn_view v;
  if (!norn_array_view(x, &v)) return norn_none();
  if (v.dims[0] == n && (v.rank == 1 || v.n != n)) return norn_array_at(st, x, k);
  if (v.n != n) return norn_none();
  return v.elem == NORN_F64   ? norn_real(v.f[k])
         : v.elem == NORN_I64 ? norn_int(v.i[k])
         : v.elem == NORN_B8  ? norn_bool(v.b[k])
                              : norn_none();
}

/* A regression in one piece has a row for each row of its matrix. */
static int64_t glm_rows(const norn_dist *d, norn_datum y)
{
  norn_view x;
  size_t n = strlen(d->row->name);
  bool glm = n > 4 && !strcmp(d->row->name + n - 4, "_glm") && d->n > 0;
  if (!glm || !norn_array_view(d->args[0], &x)) return 0;
  return norn_array_length(y) == x.dims[0] ? x.dims[0] : 0;
}

/* Row k of it: its matrix has this row alone; intercepts and scales are of the row where there is
   one for each (categorical_logit_glm has one for each category). */
static bool glm_row(norn_state *st, const norn_dist *d, norn_datum y, int64_t k, norn_datum *dist,
                    norn_datum *value)
{
  norn_datum a[8];
  bool categories = !strncmp(d->row->name, "categorical", 11);
  if (d->n > NORN_COUNT(a)) return false;
  for (int i = 0; i < d->n; i++) {
    bool own = i == 0 || (!categories && i != 2 && norn_array_length(d->args[i]) >= 0);
    norn_datum x = own ? norn_array_at(st, d->args[i], k) : d->args[i];
    a[i] = own ? norn_array_pack(st, &x, 1) : x;
  }
  norn_datum one = norn_array_at(st, y, k);
  *value = norn_array_pack(st, &one, 1);
  *dist = norn_dist_new(st, d->row, a, d->n);
  return !norn_is_none(*dist) && !norn_is_none(*value);
}

/* How many rows an observation is: 0: itself. */
static int64_t rows_of(norn_state *st, const norn_event *ev)
{
  if (norn_array_length(ev->value) < 0) return 0;
  int64_t n = parts_of(st, ev->dist);
  if (n == 0) return glm_rows(ev->dist, ev->value);
  return norn_is_none(piece(st, ev->value, 0, n)) ? 0 : n;
}

/* Row k of n: a distribution and the value under it. */
static bool row_of(norn_state *st, const norn_event *ev, int64_t k, int64_t n, norn_datum *dist,
                   norn_datum *value)
{
  if (glm_rows(ev->dist, ev->value)) return glm_row(st, ev->dist, ev->value, k, dist, value);
  *value = piece(st, ev->value, k, n);
  return !norn_dist_part(st, ev->dist, k, dist) && !norn_is_none(*dist);
}

static bool pointwise(norn_infer *inf, again *e, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  double ll;
  if (ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION)) {
    if (!e->i && ev->flags & NORN_EV_FACTOR && !e->factors++) e->factor = ev->span;
    return true;
  }
  int64_t n = rows_of(st, ev);
  for (int64_t k = 0; k < (n ? n : 1); k++) {
    norn_datum part, value = ev->value;
    norn_dist d = *ev->dist;
    if (n && (!row_of(st, ev, k, n, &part, &value) || !norn_dist_view(part, &d))) {
      engine_place(st, ev->span);
      return false;
    }
    if (!engine_logp(st, &d, value, ev->span, &ll) || !note_row(inf, e, ev->span, n ? k : -1, ll))
      return false;
  }
  return true;
}

/* Leaves the array e->ll with the weight of the posterior's draw. */
static norn_step leave_rows(norn_infer *inf, again *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_dist d;
  norn_view lw = { 0 };
  if (posterior_args(norn_infer_option(inf, 0), &d) && d.args[POST_LOGW].tag != NORN_UNIT)
    norn_array_view(d.args[POST_LOGW], &lw);
  norn_datum value = norn_array_f64(st, e->ll, (int64_t)e->nrows);
  if (norn_is_none(value) || norn_infer_draw(inf, value, lw.n ? lw.f[e->i] : 0))
    return NORN_STEP_FAIL;
  return NORN_STEP_MORE;
}

static norn_step pointwise_draw(norn_infer *inf, again *e)
{
  norn_state *st = norn_infer_state(inf);
  if (e->at != e->nrows) {
    norn_fail(st, NORN_EINFER, -1, "the observations differ from draw to draw: %zu, then %zu",
              e->nrows, e->at);
    return NORN_STEP_FAIL;
  }
  e->at = 0;
  return leave_rows(inf, e);
}

/* ---- the same where choices were summed out ---- */

static norn_status density_open(norn_infer *inf, again *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum summed = posterior_info(st, norn_infer_option(inf, 0), "summed");
  if (norn_array_length(summed) < 1) return NORN_OK;
  e->density = norn_density_new(st, norn_infer_model(inf), norn_infer_stream(inf),
                                NORN_DENSITY_ROWS);
  if (!e->density) return norn_error(st)->code;
  e->u = engine_get(st, (size_t)(norn_density_dim(e->density) + 1) * sizeof *e->u);
  return e->u ? NORN_OK : NORN_EMEMORY;
}

/* The rows of the density take the place of those that the first run has met. */
static bool density_rows(norn_infer *inf, again *e)
{
  norn_state *st = norn_infer_state(inf);
  size_t n = (size_t)norn_density_rows(e->density);
  if (!engine_room(st, &e->rows, &e->crows, n, sizeof *e->rows) ||
      !engine_room(st, &e->ll, &e->cll, n, sizeof *e->ll))
    return false;
  for (size_t i = 0; i < n; i++)
    e->rows[i].span = norn_density_row(e->density, (int64_t)i, &e->rows[i].element);
  e->nrows = n;
  for (size_t i = 0; i < n; i++)                 /* an observe of one number has no elements */
    if (e->rows[i].element == 0 && (i + 1 == n || e->rows[i + 1].element != 1))
      e->rows[i].element = -1;
  return true;
}

/* Draw i of the posterior's choices as a record by address. */
static norn_datum choices_at(norn_state *st, norn_datum post, int64_t i)
{
  norn_dist d;
  norn_datum out = norn_none(), column_i;
  posterior_args(post, &d);
  int n = norn_record_size(d.args[POST_CHOICES]);
  const char **name = engine_get(st, (size_t)n * sizeof *name);
  norn_datum *v = engine_get(st, (size_t)n * sizeof *v);
  for (int k = 0; name && v && k < n; k++) {
    name[k] = norn_record_at(st, d.args[POST_CHOICES], k, &column_i);
    v[k] = norn_array_at(st, column_i, i);
  }
  if (name && v) out = norn_record(st, n, name, v);
  engine_put(st, name, (size_t)n * sizeof *name);
  engine_put(st, v, (size_t)n * sizeof *v);
  return out;
}

static norn_step density_draw(norn_infer *inf, again *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum at = choices_at(st, norn_infer_option(inf, 0), e->i);
  if (norn_is_none(at) || norn_density_at(e->density, at, e->u)) return NORN_STEP_FAIL;
  if (norn_density_loglik(e->density, e->u, e->ll)) return NORN_STEP_FAIL;
  norn_step s = leave_rows(inf, e);
  e->i++;
  return s;
}

/* ---- simulating ---- */

static bool site_taken(const again *e, const char *name)
{
  if (!*name || !strcmp(name, "value")) return true;
  for (size_t i = 0; i < e->nsite; i++) if (!strcmp(e->site[i].name, name)) return true;
  return false;
}

/* "group[2].y[3]" -> "group.y"; what has no name of its own ("a.#1") gets its line, "@12", or
   line and column, "@12:3". */
static void site_name(norn_state *st, again *e, uint64_t addr, norn_span span, char *out)
{
  char name[256] = "", place[300], *to = out;
  int line = 0, at = 0, depth = 0;
  const char *s = norn_addr_name(st, addr, name, sizeof name);
  norn_span_text(st, span, place, sizeof place);         /* FILE:LINE:COLUMN */
  for (const char *p = place; (p = strchr(p, ':')); p++)
    if (strcspn(p + 1, ":") == strspn(p + 1, "0123456789") && strchr(p + 1, ':'))
      sscanf(p, ":%d:%d", &line, &at);
  if (s && *s == '@') s = NULL;
  for (; s && *s && to < out + NAME - 40; s++) {
    if (*s == '[') depth++;
    if (!depth) *to++ = *s;
    if (*s == ']') depth--;
  }
  *to = 0;
  const char *last = strrchr(out, '.');
  if ((last ? last + 1 : out)[0] == '#') *(to = out) = 0;
  if (site_taken(e, out)) snprintf(to, 20, "@%d", line);
  if (site_taken(e, out)) snprintf(to, 40, "@%d:%d", line, at);
}

static site *site_of(norn_state *st, again *e, const norn_event *ev)
{
  for (size_t i = 0; i < e->nsite; i++)
    if (e->site[i].span.start == ev->span.start && e->site[i].span.file == ev->span.file)
      return &e->site[i];
  if (e->nsite == SITES) {
    engine_fail(st, NORN_ELIMIT, ev->span, "more than %d places observe", SITES);
    return NULL;
  }
  if (!engine_room(st, &e->site, &e->csite, e->nsite + 1, sizeof *e->site)) return NULL;
  site *s = &e->site[e->nsite];
  *s = (site){ .span = ev->span, .once = true };
  site_name(st, e, ev->addr, ev->span, s->name);
  e->nsite++;
  for (int64_t i = 0; i < e->i; i++) {           /* no value in the draws before */
    int64_t none = 0;
    norn_datum empty = norn_array(st, NORN_F64, 1, &none, &(void *){ NULL });
    s->once = false;
    if (norn_is_none(empty) || !column_push(st, &s->draws, empty)) return NULL;
  }
  return s;
}

static bool refuse_weight(norn_infer *inf, again *e, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  bool factor = ev->flags & NORN_EV_FACTOR;
  if (e->posterior) {
    if (factor)
      norn_infer_warn(inf, ev->span, "factor can't be simulated: what it stands for is not in the "
                                     "predictions");
    return true;
  }
  engine_fail(st, NORN_EINFER, ev->span, "%s can't be simulated: it weighs, and says not what data "
              "there would be", factor ? "factor" : "condition");
  norn_hint(st, "write it as observe value ~ distribution, or truncate() the prior");
  return false;
}

static bool simulate(norn_infer *inf, again *e, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum v;
  if (ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION)) return refuse_weight(inf, e, ev);
  if (ev->flags & NORN_EV_REREAD) {
    engine_fail(st, NORN_EINFER, ev->span, "what is observed here is read elsewhere in the model, "
                "where a simulated value would not be seen");
    norn_hint(st, "write let yt = observe y[t] ~ d, and use yt where y[t] is read");
    return false;
  }
  uint64_t key = hash_observation(ev->addr, ev->span);
  norn_rng g = { .stream = e->stream, .lane = (uint32_t)e->i,
                 .event = (uint32_t)hash_mix(key + ev->ordinal) };
  if (norn_dist_sample(st, ev->dist, &g, &v)) { engine_place(st, ev->span); return false; }
  site *s = site_of(st, e, ev);
  if (!s || !column_push(st, &s->now, v) || !column_push(st, &e->keys, norn_int((int64_t)key)) ||
      !column_push(st, &e->values, v))
    return false;
  norn_run_answer(e->run, v);
  return true;
}

static norn_step simulate_draw(norn_infer *inf, again *e, norn_datum value)
{
  norn_state *st = norn_infer_state(inf);
  for (size_t i = 0; i < e->nsite; i++) {
    site *s = &e->site[i];
    norn_datum all = column_array(st, &s->now);
    s->once &= s->now.n == 1;
    if (norn_is_none(all) || !column_push(st, &s->draws, all)) return NORN_STEP_FAIL;
    column_clear(st, &s->now);
  }
  if (e->i + 1 < e->n) { column_clear(st, &e->keys); column_clear(st, &e->values); }
  return norn_infer_draw(inf, value, 0) ? NORN_STEP_FAIL : NORN_STEP_MORE;
}

/* The draws of a site as one array; single values are not in arrays of one. */
static norn_datum site_draws(norn_state *st, const site *s)
{
  norn_datum out = norn_none();
  if (!s->once) return column_array(st, &s->draws);
  norn_datum *v = engine_get(st, s->draws.n * sizeof *v);
  for (size_t i = 0; v && i < s->draws.n; i++)
    v[i] = norn_array_at(st, column_at(st, &s->draws, i), 0);
  if (v) out = norn_array_pack(st, v, (int64_t)s->draws.n);
  engine_put(st, v, s->draws.n * sizeof *v);
  return out;
}

/* ---- the engines ---- */

static norn_step again_event(norn_infer *inf, again *e, bool simulating)
{
  norn_event ev;
  for (;;)
    switch (norn_run_next(e->run, &ev)) {
    case NORN_SAMPLE:
      if (!answer_choice(inf, e, &ev)) return NORN_STEP_FAIL;
      break;
    case NORN_OBSERVE:
      if (simulating ? !simulate(inf, e, &ev) : !pointwise(inf, e, &ev)) return NORN_STEP_FAIL;
      break;
    case NORN_INFER: {
      norn_step s = norn_infer_wait(inf, e->run, &ev);
      if (s != NORN_STEP_MORE) return s;
      break;
    }
    case NORN_DONE: {
      norn_step s = simulating ? simulate_draw(inf, e, ev.value)
                  : e->density ? (density_rows(inf, e) ? density_draw(inf, e) : NORN_STEP_FAIL)
                               : pointwise_draw(inf, e);
      norn_run_free(e->run);
      e->run = NULL;
      if (!e->density) e->i++;
      return s;
    }
    default: return NORN_STEP_FAIL;
    }
}

static norn_step again_step(norn_infer *inf, again *e, bool simulating)
{
  for (int work = 0; work < 64 && e->i < e->n; work++) {
    if (e->density && e->i > 0) {
      if (density_draw(inf, e) != NORN_STEP_MORE) return NORN_STEP_FAIL;
      continue;
    }
    if (!e->run)
      e->run = norn_infer_run(inf, (uint32_t)e->i, 0, NORN_RUN_NAMES | (e->i ? 0 : NORN_RUN_CHECK));
    if (!e->run) return NORN_STEP_FAIL;
    norn_step s = again_event(inf, e, simulating);
    if (s != NORN_STEP_MORE) return s;
  }
  return e->i < e->n ? NORN_STEP_MORE : NORN_STEP_DONE;
}

static void again_progress(norn_infer *inf, void *self, norn_progress *p)
{
  again *e = self;
  (void)inf;
  p->done = (double)e->i;
  p->total = (double)e->n;
}

static void again_free(norn_infer *inf, void *self)
{
  again *e = self;
  norn_state *st = norn_infer_state(inf);
  if (e->run) norn_run_free(e->run);
  engine_put(st, e->order, e->order ? (size_t)e->n * sizeof *e->order : 0);
  engine_put(st, e->addr, e->size * sizeof *e->addr);
  engine_put(st, e->field, e->size * sizeof *e->field);
  engine_put(st, e->u, e->u ? (size_t)(norn_density_dim(e->density) + 1) * sizeof *e->u : 0);
  norn_density_free(e->density);
  engine_put(st, e->rows, e->crows * sizeof *e->rows);
  engine_put(st, e->ll, e->cll * sizeof *e->ll);
  for (size_t i = 0; i < e->nsite; i++) {
    column_free(st, &e->site[i].now);
    column_free(st, &e->site[i].draws);
  }
  engine_put(st, e->site, e->csite * sizeof *e->site);
  column_free(st, &e->keys);
  column_free(st, &e->values);
}

/* ---- _pointwise ---- */

static norn_status pointwise_init(norn_infer *inf, void *self)
{
  norn_state *st = norn_infer_state(inf);
  again *e = self;
  if (norn_infer_option(inf, 0).tag == NORN_MISSING)
    return norn_fail(st, NORN_ETYPE, 0, "loo wants a posterior");
  norn_status code = check_posterior(inf, e);
  return code ? code : density_open(inf, e);
}

static norn_step pointwise_step(norn_infer *inf, void *self)
{
  return again_step(inf, self, false);
}

/* The values as they are: no integer among reals turns real. */
static norn_datum unpacked(norn_state *st, const column *c)
{
  int64_t n = (int64_t)c->n;
  void *to;
  norn_datum a = norn_array(st, NORN_VALUES, 1, &n, &to);
  for (int64_t i = 0; i < n && !norn_is_none(a); i++)
    ((norn_datum *)to)[i] = column_at(st, c, (size_t)i);
  return a;
}

/* Where each row is: the place of its observe, and which element of it. */
static norn_status pointwise_finish(norn_infer *inf, void *self)
{
  static const char *const names[] = { "at", "element" };
  norn_state *st = norn_infer_state(inf);
  again *e = self;
  char place[300];
  norn_datum *v = engine_get(st, e->nrows * sizeof *v);
  if (!v) return NORN_EMEMORY;
  for (size_t i = 0; i < e->nrows; i++) {
    norn_span_text(st, e->rows[i].span, place, sizeof place);
    norn_datum f[2] = { norn_cstring(st, place),
                        e->rows[i].element < 0 ? norn_missing() : norn_int(e->rows[i].element) };
    v[i] = norn_record(st, 2, names, f);
  }
  norn_status code = infer_note_must(inf, "rows", norn_array_pack(st, v, (int64_t)e->nrows));
  engine_put(st, v, e->nrows * sizeof *v);
  norn_span_text(st, e->factor, place, sizeof place);
  return code ? code : infer_note_must(inf, "factor", e->factors ? norn_cstring(st, place) : norn_missing());
}

static const norn_option pointwise_options[] = { { "post", NULL, "the posterior" } };

const norn_engine engine_pointwise = { .version = NORN_ENGINE_VERSION,
                                       .name = "_pointwise",
                                       .doc = "What loo(post) is made of.",
                                       .options = pointwise_options,
                                       .noptions = NORN_COUNT(pointwise_options),
                                       .size = sizeof(again),
                                       .init = pointwise_init,
                                       .step = pointwise_step,
                                       .finish = pointwise_finish,
                                       .progress = again_progress,
                                       .free = again_free };

/* ---- _simulate ---- */

/* n draws of the posterior by systematic resampling; equal weights and as many: as they are. */
static norn_status choose_draws(norn_infer *inf, again *e, int64_t n)
{
  norn_state *st = norn_infer_state(inf);
  norn_dist d;
  norn_posterior p;
  norn_rng g = { .stream = e->stream, .lane = ENGINE_LANE };
  posterior_args(norn_infer_option(inf, 0), &d);
  if (!norn_posterior_view(st, norn_infer_option(inf, 0), &p)) return NORN_EMEMORY;
  e->n = n;
  if (n == p.n && d.args[POST_LOGW].tag == NORN_UNIT) return NORN_OK;
  e->order = engine_get(st, (size_t)n * sizeof *e->order);
  if (!e->order) return NORN_EMEMORY;
  double u = norn_rng_uniform(&g), sum = 0;
  int64_t k = 0;
  for (int64_t i = 0; i < p.n; i++) {
    sum += norn_elem_real(p.weights, i);
    while (k < n && ((double)k + u) / (double)n < sum) e->order[k++] = (uint32_t)i;
  }
  while (k < n) e->order[k++] = (uint32_t)(p.n - 1);   /* rounding at the end */
  return NORN_OK;
}

static norn_status simulate_init(norn_infer *inf, void *self)
{
  norn_state *st = norn_infer_state(inf);
  again *e = self;
  norn_status code = check_posterior(inf, e);
  int64_t n = e->n;
  if (code) return code;
  e->stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 6, 0);
  if (norn_infer_option(inf, 1).tag == NORN_MISSING && !e->posterior)
    return norn_fail(st, NORN_ETYPE, 1, "the number of draws is missing");
  if (norn_infer_option(inf, 1).tag != NORN_MISSING && !option_int(inf, 1, 1, &n))
    return NORN_EDOMAIN;
  if (e->posterior) return choose_draws(inf, e, n);
  e->n = n;
  return NORN_OK;
}

static norn_step simulate_step(norn_infer *inf, void *self) { return again_step(inf, self, true); }

/* The sites as a record of arrays; the observations of the last draw, for _with_observations. */
static norn_status simulate_finish(norn_infer *inf, void *self)
{
  static const char *const names[] = { "keys", "values" };
  norn_state *st = norn_infer_state(inf);
  again *e = self;
  size_t m = e->nsite + 1;
  const char **name = engine_get(st, m * sizeof *name);
  norn_datum *v = engine_get(st, m * sizeof *v), f[2];
  bool good = name && v;
  for (size_t i = 0; good && i < e->nsite; i++) {
    name[i] = e->site[i].name;
    good = !norn_is_none(v[i] = site_draws(st, &e->site[i]));
  }
  if (good) {
    name[m - 1] = "value";
    v[m - 1] = column_array(st, &inf->values);
    f[0] = column_array(st, &e->keys);
    f[1] = unpacked(st, &e->values);
    good = !infer_note_must(inf, "simulated", norn_record(st, (int)m, name, v)) &&
           !infer_note_must(inf, "observed", norn_record(st, 2, names, f));
  }
  engine_put(st, name, m * sizeof *name);
  engine_put(st, v, m * sizeof *v);
  return good ? NORN_OK : NORN_EMEMORY;
}

static const norn_option simulate_options[] = {
  { "post", "missing", "the posterior; missing: from the prior" },
  { "n", "missing", "how many draws; missing: as many as the posterior has" }
};

const norn_engine engine_simulate = { .version = NORN_ENGINE_VERSION,
                                      .name = "_simulate",
                                      .doc = "What prior_predictive, posterior_predictive and sbc "
                                             "are made of.",
                                      .options = simulate_options,
                                      .noptions = NORN_COUNT(simulate_options),
                                      .size = sizeof(again),
                                      .init = simulate_init,
                                      .step = simulate_step,
                                      .finish = simulate_finish,
                                      .progress = again_progress,
                                      .free = again_free };
