/* net_score: how good a net is that learns, on data of the prior which it has never seen, besides its loss there.

   npe, distribution_transformer: the net as a proposal, as amortized(net, correct = false) weighs it: the effective
   share of n draws, and from the same weights w an estimate of the divergence that training lowers,

       KL(posterior || net) = E log (w / mean w)  ~  sum_i v_i log(n v_i),   v = w / sum w

   pfn, which has no weights: KL by r - 1 - log r, r = q(y | shown) / p(y | shown), of hidden observations y, where
   p is the quotient of two evidences that the printed rule of infer(m) would find exactly (all conjugate, or few
   paths); and for every net the score of the answer that looks at no data (marginal): what it gains over that
   is what it has learnt of how data inform.

   The data sets come from streams of their own, the same ones each time; the work is a program of the prelude
   (_npe_held_out, _pfn_held_out).  While the net learns the clock says how often: SHARE of the time at most.
   At the end how much is a function of the steps alone, so that for given steps the file of the net has the same
   bytes: about one proposed run to fifty that were learned from. */
#include "infer/infer.h"
#include "infer/net/net_train.h"
#include "infer/posterior.h"
#include <math.h>
#include <string.h>

enum { DRAWS = 100, FEWEST = 4, MOST = 32, WHILE = 4, PFN_COST = 2, PFN_MOST = 64, PATHS = 2000, LANE_SCORE = 9 };
#define SHARE .03                      /* of the time, while it learns */
#define FIRST .25                      /* seconds before the first */
#define OF_RUNS 50.0                  /* runs that were learned from, to one that is proposed at the end */
#define OF_BUDGET 20.0                 /* simulations of a budget, to one */

/* ---- the answer that looks at no data ---- */

/* -log q of targets (n) under the head as it was fitted to the prior's; of finite sets by how often each
   is among the others, with one more of each. */
static double constant_loss(norn_state *st, const nn_head *h, const float *target, int n)
{
  int width = nn_head_width(h), values = h->kind == NN_BERNOULLI ? 2 : h->n;
  bool finite = h->kind == NN_BERNOULLI || h->kind == NN_CATEGORIES;
  size_t room = (size_t)(width > values ? width : values);
  float *z = engine_get(st, room * sizeof *z);
  double sum = 0;
  if (!z) return NAN;
  if (finite) {
    for (int i = 0; i < n; i++) z[(int)target[i]] += 1;
    for (int i = 0; i < n; i++) sum -= log((double)z[(int)target[i]] / (n - 1 + values));
  } else {
    for (int i = 0; i < n; i++) sum -= nn_head_logq(h, z, (double)target[i]);
  }
  engine_put(st, z, room * sizeof *z);
  return sum;
}

/* Questions stand by rising head. */
double training_marginal(net_training *t)
{
  const nn_tokens *tk = &t->held_tk;
  double sum = 0;
  for (int q = 0, m; q < tk->nq; q += m) {
    for (m = 1; q + m < tk->nq && tk->head[q + m] == tk->head[q];) m++;
    sum += constant_loss(t->st, &t->n->schema.head[tk->head[q]], tk->target + q, m);
  }
  return tk->nq ? sum / tk->nq : NAN;
}

/* ---- the program that scores ---- */

/* What stops all that goes on. */
static bool must_stop(norn_state *st)
{
  norn_status code = norn_error(st)->code;
  return code == NORN_EINTERRUPT || code == NORN_ELIMIT || code == NORN_EMEMORY;
}

/* The engine that gives exact evidences of this program, as a value; a unit: none does. */
static norn_datum exact_engine(net_training *t, bool *alone)
{
  norn_state *st = t->st;
  norn_datum option[6] = { norn_int(2), norn_none(), norn_none(), norn_none(), norn_none(), norn_bool(true) },
             paths[] = { norn_int(PATHS) };
  norn_step step = NORN_STEP_MORE;
  norn_datum model = net_source_model(t->source, HELD_FIRST);
  norn_infer *inf = norn_is_none(model) ? NULL : infer_make(st, model, norn_unit(), t->stream);
  while (inf && step == NORN_STEP_MORE && infer_engine(inf) == &engine_auto) step = norn_infer_step(inf);
  const norn_engine *to = inf && step == NORN_STEP_MORE ? infer_engine(inf) : NULL;
  bool delayed = to == &engine_smc && inf->with;
  *alone = to == &engine_enumerate;
  if (inf) norn_infer_free(inf);
  if (must_stop(st)) return norn_none();
  norn_clear(st);
  return delayed ? norn_engine_new(st, to, option, 6) : *alone ? norn_engine_new(st, to, paths, 1) : norn_unit();
}

/* The model value that scores one data set in each of its runs.  NONE: error set. */
static norn_datum scorer(net_training *t)
{
  norn_state *st = t->st;
  bool pfn = t->n->spec.kind == NET_PFN;
  norn_datum arg[4], out = norn_none();
  arg[2] = norn_int(DRAWS);
  if (pfn) {
    arg[2] = norn_get(t->exact);
    arg[3] = norn_bool(t->alone);
  }
  arg[0] = norn_get(t->scored);
  arg[1] = norn_get(t->what);
  norn_call(st, norn_global(st, pfn ? "_pfn_held_out" : "_npe_held_out"), arg, pfn ? 4 : 3, &out);
  return out;
}

/* The mean of the numbers that field `name` of each of n records has; NAN: none has one. */
static double mean_of(norn_state *st, norn_datum values, const char *name)
{
  double sum = 0, x;
  int n = 0;
  for (int64_t i = 0; i < norn_array_length(values); i++)
    if (norn_as_real(norn_record_get(st, norn_array_at(st, values, i), name), &x) && isfinite(x)) {
      sum += x;
      n++;
    }
  return n ? sum / n : NAN;
}

static bool run_scorer(net_training *t, int sets)
{
  norn_state *st = t->st;
  norn_datum model = scorer(t), option[] = { norn_int(sets) };
  norn_dist d;
  norn_ref *keep = norn_is_none(model) ? NULL : norn_keep(st, model);
  norn_datum engine = keep ? norn_engine_new(st, &engine_forward, option, 1) : norn_none();
  norn_infer *inf = norn_is_none(engine) ? NULL
    : infer_make(st, norn_get(keep), engine, norn_stream_split(t->stream, ENGINE_LANE, LANE_SCORE, 0));
  norn_step step = inf ? NORN_STEP_MORE : NORN_STEP_FAIL;
  if (inf) inf->told = true;             /* its warnings are nobody's */
  while (step == NORN_STEP_MORE && !norn_poll(st)) step = norn_infer_step(inf);
  norn_datum post = step == NORN_STEP_DONE ? norn_infer_result(inf) : norn_none();
  bool good = !norn_is_none(post) && posterior_args(post, &d);
  if (good) {
    t->efficiency = mean_of(st, d.args[POST_VALUES], "efficiency");
    t->kl = mean_of(st, d.args[POST_VALUES], "kl");
  }
  norn_infer_free(inf);
  if (keep) norn_drop(keep);
  return good;
}

/* The net as it is now, as the value that is asked, and for a pfn who is exact; once. */
static bool score_ready(net_training *t)
{
  norn_state *st = t->st;
  if (!training_home(t)) return false;
  if (t->scored) {
    net *n = net_view(norn_get(t->scored));
    memcpy(n->params.w, t->n->params.w, n->params.count * sizeof *n->params.w);
    return true;
  }
  if (t->n->spec.kind == NET_PFN) {
    norn_datum exact = exact_engine(t, &t->alone);
    if (norn_is_none(exact) || !(t->exact = norn_keep(st, exact))) return false;
    if (exact.tag == NORN_UNIT) return t->unscored = true;
  }
  net *n = training_copy(t);
  norn_datum v = n ? net_datum(st, n) : norn_none();
  if (!norn_is_none(v)) return (t->scored = norn_keep(st, v)) != NULL;
  net_free(n);
  return false;
}

/* On so many data sets.  A program that can't be asked so (missing data, say) has no such score.  false:
   error set. */
static bool score(net_training *t, int sets)
{
  norn_config *c = norn_config_of(t->st);
  bool quiet = c->quiet;
  double begun = infer_seconds();
  if (t->unscored || sets < 1) return true;
  c->quiet = true;
  bool good = score_ready(t) && (t->unscored || run_scorer(t, sets));
  c->quiet = quiet;
  t->score_last = infer_seconds() - begun;
  t->score_seconds += t->score_last;
  if (good) return true;
  if (must_stop(t->st)) return false;
  norn_clear(t->st);
  t->efficiency = t->kl = NAN;
  return t->unscored = true;
}

/* ---- when, and how many ---- */

bool training_score_now(net_training *t)
{
  double spent = infer_seconds() - t->begun;
  if (t->mine || spent < FIRST || t->score_seconds + t->score_last > SHARE * spent) return true;
  return score(t, WHILE);
}

bool training_score_end(net_training *t)
{
  bool pfn = t->n->spec.kind == NET_PFN;
  double runs = t->mine ? (double)t->n->spec.simulations / OF_BUDGET : (double)t->next / OF_RUNS;
  double sets = floor(runs / (pfn ? PFN_COST : DRAWS)), least = t->mine ? 0 : FEWEST, most = pfn ? PFN_MOST : MOST;
  t->efficiency = t->kl = NAN;
  return score(t, (int)(sets < least ? least : sets > most ? most : sets));
}
