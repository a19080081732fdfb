/* net_answer: what a net says, asked outright: the blocks that log_q and answer of the library are made of.

     _log_q(net, values)   log q of choices, each draw one of `values` (records by address): the net alone,
                           without correction, without the prior's part
     _answer(net)          of a pfn: an array of distributions, one for each missing observation, each given
                           the observations that are there and nothing else

   A distribution of that kind is a head with its outputs z, on the coordinate u of the support:

       density of x:  head((u(x) - mean) / sd) / sd |du/dx|  */
#include "infer/net/amortized.h"
#include "infer/infer.h"
#include "infer/net/net_answer.h"
#include <stdio.h>
#include <string.h>

/* ---- the distribution ---- */

enum { ANSWER_NET, ANSWER_HEAD, ANSWER_Z, ANSWER_SCALE, ANSWER_ARGS };
/* ANSWER_SCALE: mean, sd, lower, upper bound of the support; real: 1 */
enum { SCALE_MEAN, SCALE_SD, SCALE_LOWER, SCALE_UPPER, SCALE_REAL, SCALE_N };

typedef struct reply {
  const nn_head *head;
  const float *z; float *own; size_t n;
  double scale[SCALE_N];
  norn_support s;
} reply;

static norn_support_kind kind_between(double lower, double upper)
{
  if (lower == -HUGE_VAL) return upper == HUGE_VAL ? NORN_SUPPORT_REAL : NORN_SUPPORT_UPPER;
  return upper == HUGE_VAL ? NORN_SUPPORT_LOWER : NORN_SUPPORT_INTERVAL;
}

/* false: no memory. */
static bool reply_open(norn_state *st, const norn_dist *d, reply *r)
{
  const net *of = net_view(d->args[ANSWER_NET]);
  norn_view z, scale;
  norn_array_view(d->args[ANSWER_Z], &z);
  norn_array_view(d->args[ANSWER_SCALE], &scale);
  *r = (reply){.head = &of->schema.head[d->args[ANSWER_HEAD].i], .n = (size_t)z.n};
  if (!(r->own = engine_get(st, r->n * sizeof *r->own))) return false;
  for (size_t i = 0; i < r->n; i++) r->own[i] = (float)z.f[i];
  r->z = r->own;
  memcpy(r->scale, scale.f, sizeof r->scale);
  double lower = r->scale[SCALE_LOWER], upper = r->scale[SCALE_UPPER];
  r->s = (norn_support){kind_between(lower, upper), lower, upper, 1, 1, -1, -1};
  return true;
}

static void reply_close(norn_state *st, reply *r) { engine_put(st, r->own, r->n * sizeof *r->own); }

static double target_of(const reply *r, double u) { return (u - r->scale[SCALE_MEAN]) / r->scale[SCALE_SD]; }

static norn_datum value_of(const reply *r, double t)
{
  double x, u = r->scale[SCALE_MEAN] + r->scale[SCALE_SD] * t;
  if (!(r->scale[SCALE_REAL] > 0))
    return r->head->kind == NN_BERNOULLI ? norn_bool(t > .5) : norn_int((int64_t)t);
  norn_support_constrain(&r->s, &u, &x, NULL);
  return norn_real(x);
}

static norn_status answer_sample(norn_state *st, const norn_dist *d, norn_rng *g, norn_datum *out)
{
  reply r;
  if (!reply_open(st, d, &r)) return NORN_EMEMORY;
  *out = value_of(&r, nn_head_draw(r.head, r.z, g));
  reply_close(st, &r);
  return NORN_OK;
}

static bool number_of(norn_datum v, double *x)
{
  if (v.tag == NORN_BOOL) return *x = (double)v.i, true;
  return norn_as_real(v, x);
}

static norn_status answer_logp(norn_state *st, const norn_dist *d, norn_datum v, double *out)
{
  reply r;
  double x, u, jacobian = 0, y;
  *out = -HUGE_VAL;
  if (!number_of(v, &x)) return norn_fail(st, NORN_ETYPE, 0, "a net's answer has numbers as values");
  if (!reply_open(st, d, &r)) return NORN_EMEMORY;
  if (!(r.scale[SCALE_REAL] > 0)) {
    if (x >= 0 && x == floor(x)) *out = nn_head_logq(r.head, r.z, x);
  } else if (norn_support_unconstrain(&r.s, &x, &u)) {
    norn_support_constrain(&r.s, &u, &y, &jacobian);
    *out = nn_head_logq(r.head, r.z, target_of(&r, u)) - log(r.scale[SCALE_SD]) - jacobian;
  }
  reply_close(st, &r);
  return NORN_OK;
}

/* u falls with x where only the upper bound is there. */
static bool falls(const reply *r) { return r->s.kind == NORN_SUPPORT_UPPER; }

static norn_status answer_cdf(norn_state *st, const norn_dist *d, norn_datum v, double *out)
{
  reply r;
  double x, u;
  if (!number_of(v, &x)) return norn_fail(st, NORN_ETYPE, 0, "a net's answer has numbers as values");
  if (!reply_open(st, d, &r)) return NORN_EMEMORY;
  if (!(r.scale[SCALE_REAL] > 0)) *out = x < 0 ? 0 : nn_head_cdf(r.head, r.z, floor(x));
  else if (x <= r.s.lower) *out = 0;
  else if (x >= r.s.upper) *out = 1;
  else if (norn_support_unconstrain(&r.s, &x, &u)) {
    *out = nn_head_cdf(r.head, r.z, target_of(&r, u));
    if (falls(&r)) *out = 1 - *out;
  } else {
    *out = NAN;
  }
  reply_close(st, &r);
  return NORN_OK;
}

static norn_status answer_quantile(norn_state *st, const norn_dist *d, double p, norn_datum *out)
{
  reply r;
  if (!reply_open(st, d, &r)) return NORN_EMEMORY;
  *out = value_of(&r, nn_head_quantile(r.head, r.z, falls(&r) ? 1 - p : p));
  reply_close(st, &r);
  return NORN_OK;
}

/* Of numbers that are their own coordinates; of others by a quadrature over quantiles. */
static norn_status answer_moments(norn_state *st, const norn_dist *d, norn_datum *mean, norn_datum *variance)
{
  enum { POINTS = 2000 };
  reply r;
  double m = 0, v = 0, x = 0;
  if (!reply_open(st, d, &r)) return NORN_EMEMORY;
  if (r.s.kind == NORN_SUPPORT_REAL || !(r.scale[SCALE_REAL] > 0)) {
    nn_head_moments(r.head, r.z, &m, &v);
    if (r.scale[SCALE_REAL] > 0) {
      m = r.scale[SCALE_MEAN] + r.scale[SCALE_SD] * m;
      v *= r.scale[SCALE_SD] * r.scale[SCALE_SD];
    }
  } else {
    for (int i = 0; i < POINTS; i++) {
      norn_as_real(value_of(&r, nn_head_quantile(r.head, r.z, (i + .5) / POINTS)), &x);
      m += x / POINTS;
      v += x * x / POINTS;
    }
    v -= m * m;
  }
  *mean = norn_real(m);
  *variance = norn_real(v);
  reply_close(st, &r);
  return NORN_OK;
}

static void answer_support(norn_state *st, const norn_dist *d, norn_support *out)
{
  norn_view scale;
  (void)st;
  norn_array_view(d->args[ANSWER_SCALE], &scale);
  double lower = scale.f[SCALE_LOWER], upper = scale.f[SCALE_UPPER];
  norn_support_kind kind = scale.f[SCALE_REAL] > 0 ? kind_between(lower, upper) : NORN_SUPPORT_INTEGER;
  *out = (norn_support){kind, lower, upper, 1, 1, -1, -1};
}

static norn_status answer_check(norn_state *st, const norn_dist *d)
{
  (void)st;
  (void)d;
  return NORN_OK;
}

static norn_status answer_show(norn_state *st, const norn_dist *d, norn_datum *out)
{
  norn_datum mean, variance;
  char buf[120];
  double m = NAN, v = NAN;
  if (answer_moments(st, d, &mean, &variance)) return norn_error(st)->code;
  norn_as_real(mean, &m);
  norn_as_real(variance, &v);
  snprintf(buf, sizeof buf, "<answer of a net: mean %.4g, sd %.4g>", m, sqrt(v));
  *out = norn_cstring(st, buf);
  return norn_is_none(*out) ? NORN_EMEMORY : NORN_OK;
}

#define ANSWER_COMMON                                                                                      \
  .name = "answer of a net", .params = "", .doc = "What a net says of a number.", .check = answer_check,   \
  .sample = answer_sample, .logp = answer_logp, .cdf = answer_cdf, .quantile = answer_quantile,            \
  .moments = answer_moments, .support = answer_support, .show = answer_show
static const norn_dist_row answer_real = {ANSWER_COMMON, .flags = NORN_DIST_CONTINUOUS};
static const norn_dist_row answer_whole = {ANSWER_COMMON, .flags = NORN_DIST_DISCRETE};

norn_datum net_answer_dist(norn_state *st, norn_datum of, const net_reply *a)
{
  int64_t n = nn_head_width(&net_view(of)->schema.head[a->head]), m = SCALE_N;
  double *z, *scale;
  norn_datum arg[ANSWER_ARGS] = {of, norn_int(a->head)};
  arg[ANSWER_Z] = infer_reals(st, 1, &n, &z);
  arg[ANSWER_SCALE] = infer_reals(st, 1, &m, &scale);
  if (norn_is_none(arg[ANSWER_Z]) || norn_is_none(arg[ANSWER_SCALE])) return norn_none();
  for (int64_t i = 0; i < n; i++) z[i] = a->z[i];
  scale[SCALE_MEAN] = a->mean;
  scale[SCALE_SD] = a->sd;
  scale[SCALE_LOWER] = a->lower;
  scale[SCALE_UPPER] = a->upper;
  scale[SCALE_REAL] = a->real;
  return norn_dist_new(st, a->real ? &answer_real : &answer_whole, arg, ANSWER_ARGS);
}

/* ---- the engines ---- */

enum { MOST = 256, TRIES = 20 };

/* The net of option 0 as a value that is kept; NULL: error set. */
static norn_ref *net_kept(norn_infer *inf)
{
  norn_state *st = norn_infer_state(inf);
  net *own = NULL;
  const net *n = amortized_net(inf, 0, &own);
  if (!n) return NULL;
  norn_datum v = own ? net_datum(st, own) : norn_infer_option(inf, 0);
  if (!norn_is_none(v)) return norn_keep(st, v);
  net_free(own);
  return NULL;
}

typedef struct asking {
  norn_ref *net;
  net_asked *asked;
  int n;                               /* runs that go together */
  int64_t all, done;
  norn_run **run; double *logq;        /* (n) */
  norn_event *ev; int32_t *who; norn_run **stands; norn_datum *value; double *q, *p; bool *draw;     /* (n) */
} asking;

static norn_status asking_begin(norn_infer *inf, asking *e, int64_t n)
{
  norn_state *st = norn_infer_state(inf);
  size_t m = (size_t)(n < MOST ? n : MOST);
  if (!(e->net = net_kept(inf))) return norn_error(st)->code ? norn_error(st)->code : NORN_EMEMORY;
  e->all = n;
  e->n = (int)m;
  e->run = engine_get(st, m * sizeof *e->run);
  e->logq = engine_get(st, m * sizeof *e->logq);
  e->ev = engine_get(st, m * sizeof *e->ev);
  e->who = engine_get(st, m * sizeof *e->who);
  e->stands = engine_get(st, m * sizeof *e->stands);
  e->value = engine_get(st, m * sizeof *e->value);
  e->q = engine_get(st, m * sizeof *e->q);
  e->p = engine_get(st, m * sizeof *e->p);
  e->draw = engine_get(st, m);
  if (!e->run || !e->logq || !e->ev || !e->who || !e->stands || !e->value || !e->q || !e->p || !e->draw)
    return NORN_EMEMORY;
  e->asked =
      net_asked_new(st, net_view(norn_get(e->net)), norn_infer_model(inf), e->n, norn_infer_stream(inf));
  if (!e->asked) return norn_error(st)->code;
  const char *refusal = net_asked_refusal(e->asked);
  return refusal ? norn_fail(st, NORN_EINFER, -1, "the net says nothing here: %s", refusal) : NORN_OK;
}

static void asking_free(norn_infer *inf, void *self)
{
  asking *e = self;
  norn_state *st = norn_infer_state(inf);
  size_t m = (size_t)e->n;
  for (int k = 0; e->run && k < e->n; k++) if (e->run[k]) norn_run_free(e->run[k]);
  net_asked_free(e->asked);
  engine_put(st, e->run, m * sizeof *e->run);
  engine_put(st, e->logq, m * sizeof *e->logq);
  engine_put(st, e->ev, m * sizeof *e->ev);
  engine_put(st, e->who, m * sizeof *e->who);
  engine_put(st, e->stands, m * sizeof *e->stands);
  engine_put(st, e->value, m * sizeof *e->value);
  engine_put(st, e->q, m * sizeof *e->q);
  engine_put(st, e->p, m * sizeof *e->p);
  engine_put(st, e->draw, m);
  if (e->net) norn_drop(e->net);
}

/* ---- log_q ---- */

static norn_status log_q_init(norn_infer *inf, void *self)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, 1);
  int64_t n = norn_array_length(v);
  char what[120];
  if (n < 0 && norn_kind_of(v) != NORN_RECORD)
    return norn_fail(st, NORN_ETYPE, -1,
                     "log_q wants a record of choices by address, or an array of them, got %s",
                     norn_describe(st, v, what, sizeof what));
  if (n == 0) return norn_fail(st, NORN_EDOMAIN, -1, "log_q of no values");
  return asking_begin(inf, self, n < 0 ? 1 : n);
}

/* The value that record i gives the choice at which a run stands. */
static norn_datum given_value(norn_infer *inf, int64_t i, const norn_event *ev)
{
  norn_state *st = norn_infer_state(inf);
  char name[256];
  norn_datum all = norn_infer_option(inf, 1);
  norn_datum r = norn_array_length(all) < 0 ? all : norn_array_at(st, all, i), v;
  norn_addr_name(st, ev->addr, name, sizeof name);
  v = norn_record_get(st, r, name);
  if (!norn_is_none(v)) return v;
  engine_fail(st, NORN_EINFER, ev->span, "log_q has no value of %s", name);
  norn_hint(st, "log_q(net, model(data), { mu: 0.5, \"theta[0]\": 1 }) names every choice");
  return v;
}

/* Run k to its next choice.  1: it stands there; 0: at its end; -1: error set. */
static int log_q_next(norn_infer *inf, asking *e, int k)
{
  for (;;)
    switch (norn_run_next(e->run[k], &e->ev[k])) {
    case NORN_SAMPLE: return 1;
    case NORN_OBSERVE: break;
    case NORN_DEAD: e->logq[k] = -HUGE_VAL; norn_clear(norn_infer_state(inf)); return 0;
    case NORN_DONE: return 0;
    case NORN_INFER:
      engine_fail(norn_infer_state(inf), NORN_EINFER, e->ev[k].span,
                  "a net can't be asked about a program that infers inside");
      return -1;
    default: return -1;
    }
}

/* All runs of the block one choice on; gives how many were asked, -1: error set. */
static int log_q_round(norn_infer *inf, asking *e)
{
  int m = 0;
  for (int k = 0; k < e->n; k++) {
    if (!e->run[k]) continue;
    int s = log_q_next(inf, e, k);
    if (s < 0) return -1;
    if (s) continue;
    norn_run_free(e->run[k]);
    e->run[k] = NULL;
  }
  for (int k = 0; k < e->n; k++) {
    if (!e->run[k]) continue;
    e->who[m] = k;
    e->stands[m] = e->run[k];
    e->ev[m] = e->ev[k];
    e->draw[m] = false;
    e->value[m] = given_value(inf, e->done + k, &e->ev[m]);
    if (norn_is_none(e->value[m++])) return -1;
  }
  if (!m) return 0;
  if (!net_asked_next(e->asked, m, e->who, e->stands, e->ev, e->draw, e->value, e->q, e->p)) return -1;
  for (int k = 0; k < m; k++) {
    e->logq[e->who[k]] += e->p[k] > -HUGE_VAL ? e->q[k] : -HUGE_VAL;
    if (e->p[k] > -HUGE_VAL) {
      norn_run_answer(e->stands[k], e->value[k]);
    } else {                                     /* the program can't go on with what can't be */
      norn_run_free(e->stands[k]);
      e->run[e->who[k]] = NULL;
    }
  }
  return m;
}

static norn_step log_q_step(norn_infer *inf, void *self)
{
  asking *e = self;
  norn_state *st = norn_infer_state(inf);
  int64_t n = e->all - e->done < e->n ? e->all - e->done : e->n;
  net_asked_restart(e->asked);
  for (int k = 0; k < n; k++) {
    e->run[k] = norn_infer_run(inf, (uint32_t)(e->done + k), 0, NORN_RUN_NAMES | NORN_RUN_DOMAIN);
    if (!e->run[k]) return NORN_STEP_FAIL;
    e->logq[k] = 0;
  }
  for (int m = 1; m > 0;) {
    if ((m = log_q_round(inf, e)) < 0) return NORN_STEP_FAIL;
    if (norn_poll(st)) return NORN_STEP_FAIL;
  }
  for (int k = 0; k < n; k++) if (norn_infer_draw(inf, norn_real(e->logq[k]), 0)) return NORN_STEP_FAIL;
  e->done += n;
  return e->done < e->all ? NORN_STEP_MORE : NORN_STEP_DONE;
}

/* ---- answer ---- */

static norn_status answer_init(norn_infer *inf, void *self)
{
  asking *e = self;
  norn_state *st = norn_infer_state(inf);
  norn_status s = asking_begin(inf, e, 1);
  if (s) return s;
  if (net_view(norn_get(e->net))->spec.kind != NET_PFN) {
    norn_fail(st, NORN_EINFER, -1, "answer wants a pfn net, got one of %s",
              net_kind_names[net_view(norn_get(e->net))->spec.kind]);
    norn_hint(st, "infer(model(data), amortized(net)) is the posterior by this one");
    return NORN_EINFER;
  }
  if (net_asked_missing(e->asked)) return NORN_OK;
  norn_fail(st, NORN_EINFER, -1, "a pfn net predicts missing observations, and none of these is missing");
  norn_hint(st, "put `missing` where data are to be predicted");
  return NORN_EINFER;
}

/* What was noted in a run. */
typedef struct notes { net_reply *r; size_t n, cap; } notes;

static bool answer_choice(norn_infer *inf, asking *e, const norn_event *ev, notes *c)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum v;
  double excess;
  char name[120];
  if (ev->flags & NORN_EV_MISSING) {
    if (!engine_room(st, &c->r, &c->cap, c->n + 1, sizeof *c->r)) return false;
    if (!net_asked_note(e->asked, e->run[0], ev, &c->r[c->n])) {
      norn_addr_name(st, ev->addr, name, sizeof name);
      if (!norn_error(st)->code)
        engine_fail(st, NORN_EINFER, ev->span,
                    "the net can't say what %s is: it was not asked for such in training", name);
      return false;
    }
    c->n++;
  }
  if (!engine_sample(st, e->run[0], ev, true, &v, &excess)) return false;
  norn_run_answer(e->run[0], v);
  return true;
}

/* The distributions as the one draw.  false: error set. */
static bool answer_draw(norn_infer *inf, asking *e, notes *c)
{
  norn_state *st = norn_infer_state(inf);
  column all = {0};
  bool good = net_asked_replies(e->asked, c->r);
  for (size_t i = 0; good && i < c->n; i++) {
    norn_datum v = net_answer_dist(st, norn_get(e->net), &c->r[i]);
    good = !norn_is_none(v) && column_push(st, &all, v);
  }
  norn_datum draw = good ? column_array(st, &all) : norn_none();
  good = good && !norn_is_none(draw) && !norn_infer_draw(inf, draw, 0);
  column_free(st, &all);
  return good;
}

/* One run of the prior; DONE: the answers are a draw; MORE: it left its domain, another try. */
static norn_step answer_step(norn_infer *inf, void *self)
{
  asking *e = self;
  norn_state *st = norn_infer_state(inf);
  notes c = {0};
  norn_event ev;
  norn_step step = NORN_STEP_MORE;
  bool good = true, going = true;
  net_asked_restart(e->asked);
  e->run[0] = norn_infer_run(inf, (uint32_t)e->done, 0, NORN_RUN_NAMES | NORN_RUN_DOMAIN);
  if (!e->run[0]) return NORN_STEP_FAIL;
  while (good && going)
    switch (norn_run_next(e->run[0], &ev)) {
    case NORN_SAMPLE: good = answer_choice(inf, e, &ev, &c); break;
    case NORN_OBSERVE: break;
    case NORN_DEAD: norn_clear(st); going = false; break;
    case NORN_DONE: going = false; step = NORN_STEP_DONE; break;
    default: good = false;
    }
  norn_run_free(e->run[0]);
  e->run[0] = NULL;
  if (good && step == NORN_STEP_DONE) good = answer_draw(inf, e, &c);
  else if (good && ++e->done == TRIES) {
    norn_fail(st, NORN_EINFER, -1, "no run of the prior came to its end");
    good = false;
  }
  engine_put(st, c.r, c.cap * sizeof *c.r);
  return good ? step : NORN_STEP_FAIL;
}

static const norn_option log_q_options[] = {
  {"net", NULL, "a net, or the name of its file"},
  {"values", NULL, "a record of choices by address, or an array of such"}
};
static const norn_option answer_options[] = {{"net", NULL, "a pfn net, or the name of its file"}};

const norn_engine engine_log_q = {
  .version = NORN_ENGINE_VERSION, .name = "_log_q", .doc = "What log_q(net, model, values) is made of.",
  .options = log_q_options, .noptions = NORN_COUNT(log_q_options), .size = sizeof(asking),
  .init = log_q_init, .step = log_q_step, .free = asking_free};
const norn_engine engine_answer = {
  .version = NORN_ENGINE_VERSION, .name = "_answer", .doc = "What answer(net, model) is made of.",
  .options = answer_options, .noptions = NORN_COUNT(answer_options), .size = sizeof(asking),
  .init = answer_init, .step = answer_step, .free = asking_free};
