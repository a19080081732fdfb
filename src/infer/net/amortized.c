/* amortized: a posterior by a net that was trained on the program (net.h), corrected: inference compilation
   (Le, Baydin, Wood 2017) with defensive mixtures (Hesterberg 1995, "Weighted average importance sampling
   and defensive mixture distributions").

   A draw is a whole run whose choices all come from the net (with probability 1 - d, d = defensive) or all
   from the prior.  Either way the density of its trace x is that of both, and its weight

       w(x) = p(x, y) / ((1 - d) q(x) + d p(x))  <=  p(y | x) / d

   so that a net that knows nothing is importance sampling with a share d of the draws, and no weight is
   unbounded where the likelihood is not.  Runs go on side by side (together.h), for the net answers many
   questions at once.

       first run -> is the data like the prior's?  -> draws, in blocks -> verdict -> the posterior
                            | no                                           | not to be trusted
                            +------------------> the printed rule of infer(m) <+     (auto.c)

   The evidence is the mean of the raw weights; the posterior's draws have weights smoothed by PSIS
   (psis.h), whose k-hat is the verdict: above psis_threshold(n), or when the prior's part carries most of
   the weight, or when the data are unlike any that the net has learnt from (unlike.h), the answer comes
   from another engine, and says so.

   correct = mh(...): the same draws, as independent proposals of chains; correct = smc(...):
   amortized_smc.c; correct = false: draws of the net alone, with the k-hat that they would have had.

   Draws are made by amortized_draw.c, many of them on threads (amortized_crew.c). */
#include "infer/net/amortized.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include "infer/trust/psis.h"
#include "infer/particles/smc.h"
#include "infer/trust/unlike.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEWEST = 25, LANE_CHECK = 24 };

static norn_status code(norn_infer *inf)
{
  norn_status s = norn_error(norn_infer_state(inf))->code;
  return s ? s : NORN_EMEMORY;
}

/* ---- options ---- */

const net *amortized_net(norn_infer *inf, int option, net **own)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, option);
  const char *path = norn_string_view(v, NULL);
  const net *got = path ? NULL : net_view(v);
  char what[120];
  if (path && norn_config_of(st)->no_files) {
    norn_fail(st, NORN_EIO, -1, "the net \"%.100s\" can't be read: files are forbidden here", path);
    return NULL;
  }
  if (path) got = *own = net_load(st, path);
  if (!got && !path) {
    norn_fail(st, NORN_ETYPE, -1, "amortized wants a net or the name of its file, got %s",
              norn_describe(st, v, what, sizeof what));
    norn_hint(st, "let net = train(model, npe(), seconds = 60); infer(model(data), amortized(net))");
  }
  if (!got) return NULL;
  uint64_t program = net_program(st, norn_infer_model(inf));
  if (!norn_error(st)->code && !net_must_be_of(st, got, program, norn_infer_model(inf))) return got;
  net_free(*own);
  *own = NULL;
  return NULL;
}

static norn_status correct_option(norn_infer *inf, amortized *e)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, AMORTIZED_CORRECT);
  const norn_engine *of = norn_engine_view(v, NULL);
  const char *word = norn_string_view(v, NULL);
  char what[120];
  e->chosen = !norn_is_none(v) && v.tag != NORN_MISSING;
  if (!e->chosen || (v.tag == NORN_BOOL && v.i)) return NORN_OK;
  if (v.tag == NORN_BOOL || (word && !strcmp(word, "none"))) {
    e->how = CORRECT_NOT;
    e->defensive = 0;
    e->fallback = false;
    return NORN_OK;
  }
  if (of == &engine_smc) {
    e->how = CORRECT_SMC;
    return (e->engine = norn_keep(st, v)) ? NORN_OK : NORN_EMEMORY;
  }
  if (of == &engine_mh) {
    e->how = CORRECT_MH;
    return mh_options_of(inf, e, v);
  }
  norn_fail(st, NORN_ETYPE, -1, "correct of amortized must be true, false, smc(...) or mh(...), got %s",
            of ? of->name : norn_describe(st, v, what, sizeof what));
  norn_hint(st, "leave it out for weighted draws of the net");
  return NORN_ETYPE;
}

static bool option_bool(norn_infer *inf, int i, bool *out)
{
  norn_datum v = engine_option(norn_infer_state(inf), norn_get(inf->options), i);
  if (v.tag == NORN_BOOL) { *out = v.i; return true; }
  char what[120];
  norn_fail(norn_infer_state(inf), NORN_ETYPE, -1, "%s of amortized must be true or false, got %s",
            infer_engine(inf)->options[i].name, norn_describe(norn_infer_state(inf), v, what, sizeof what));
  return false;
}

static norn_status amortized_init(norn_infer *inf, void *self)
{
  amortized *e = self;
  if (!option_int(inf, AMORTIZED_DRAWS, FEWEST, &e->n) ||
      !option_real(inf, AMORTIZED_DEFENSIVE, &e->defensive) ||
      !option_bool(inf, AMORTIZED_FALLBACK, &e->fallback) || !option_int(inf, AMORTIZED_CHECK, 0, &e->check))
    return code(inf);
  if (!(e->defensive >= 0 && e->defensive < 1))
    return option_must(inf, "defensive", "at least 0 and below 1", e->defensive);
  if (e->n > INT32_MAX) return option_must(inf, "draws", "at most 2147483647", (double)e->n);
  if (e->check && e->check < 20) return option_must(inf, "check", "0, or at least 20", (double)e->check);
  if (e->check > 100000) return option_must(inf, "check", "at most 100000", (double)e->check);
  norn_status s = correct_option(inf, e);
  if (s) return s;
  e->net = amortized_net(inf, AMORTIZED_NET, &e->own);
  return e->net ? NORN_OK : code(inf);
}

/* ---- falling back ---- */

/* The inference becomes that of the printed rule; self is gone. */
static norn_step fall_back(norn_infer *inf, const char *why)
{
  norn_state *st = norn_infer_state(inf);
  char said[400];
  snprintf(said, sizeof said, "%s", why);
  norn_infer_note(inf, "fallback", norn_cstring(st, said));
  if (!inf->outer) norn_notice(st, "amortized: %s; the engine of infer(m) does it", said);
  return infer_become(inf, norn_unit()) ? NORN_STEP_FAIL : NORN_STEP_MORE;
}

/* Something is wrong with these draws: another engine, or a warning.  DONE: go on. */
static norn_step doubt(norn_infer *inf, amortized *e, const char *why)
{
  if (e->fallback) return fall_back(inf, why);
  norn_infer_warn(inf, (norn_span){0, 0, 0}, "amortized: %s", why);
  return NORN_STEP_DONE;
}

/* ---- the beginning ---- */

static bool swarm_room(norn_infer *inf, amortized *e)
{
  norn_state *st = norn_infer_state(inf);
  size_t n = (size_t)e->n;
  if (!swarm_new(inf, &e->s, n)) return false;
  for (size_t i = 0; i < n; i++) e->s.past[i] = e->s.ended[i] = SWARM_NONE;
  e->s.whole = true;
  e->logq = engine_get(st, n * sizeof *e->logq);
  e->logp = engine_get(st, n * sizeof *e->logp);
  e->logw = engine_get(st, n * sizeof *e->logw);
  e->smooth = engine_get(st, n * sizeof *e->smooth);
  e->prior = engine_get(st, n);
  return e->logq && e->logp && e->logw && e->smooth && e->prior && drawer_new(&e->d, e, inf, &e->s);
}

/* What a pfn can be asked. */
static norn_status pfn_begins(norn_infer *inf, amortized *e)
{
  norn_state *st = norn_infer_state(inf);
  if (e->net->spec.kind != NET_PFN) return NORN_OK;
  if (!net_asked_missing(e->d.asked)) {
    norn_fail(st, NORN_EINFER, -1, "a pfn net predicts missing observations, and none of these is missing");
    norn_hint(st, "put `missing` where data are to be predicted, or train npe() for the model's choices");
    return NORN_EINFER;
  }
  e->predicts = net_asked_choices(e->d.asked) > 0 && !e->chosen;
  e->predicts |= net_asked_choices(e->d.asked) > 0 && e->how == CORRECT_NOT;
  if (e->predicts) {
    e->how = CORRECT_NOT;
    e->defensive = 0;
  }
  return NORN_OK;
}

/* The first run; are the data such as the net knows? */
static norn_step amortized_begin(norn_infer *inf, amortized *e)
{
  norn_state *st = norn_infer_state(inf);
  char why[240] = "";
  uint64_t stream = norn_infer_stream(inf);
  size_t most = (size_t)(e->n < AMORTIZED_BLOCK ? e->n : AMORTIZED_BLOCK);
  if (!(e->d.asked = net_asked_new(st, e->net, norn_infer_model(inf), e->how == CORRECT_SMC ? 1 : (int)most,
                                 stream)) ||
      pfn_begins(inf, e))
    return NORN_STEP_FAIL;
  const char *refusal = net_asked_refusal(e->d.asked);
  if (refusal) {
    snprintf(why, sizeof why, "%s", refusal);
  } else if (e->check &&
             !unlike_prior(st, norn_infer_model(inf), (int)e->check,
                           norn_stream_split(stream, ENGINE_LANE, LANE_CHECK, 0), why, sizeof why)) {
    return NORN_STEP_FAIL;
  } else if (*why) {
    norn_infer_note(inf, "unlike", norn_cstring(st, why));
    char more[240];
    snprintf(more, sizeof more, "the data are unlike the prior's: %.200s", why);
    memcpy(why, more, sizeof why);
  }
  if (*why && !e->predicts) {
    norn_step s = doubt(inf, e, why);
    if (s != NORN_STEP_DONE) return s;
  } else if (*why) {
    norn_infer_warn(inf, (norn_span){0, 0, 0}, "amortized: %s", why);
  }
  if (e->how == CORRECT_SMC) return amortized_smc_begin(inf, e) ? NORN_STEP_FAIL : NORN_STEP_MORE;
  e->at = AMORTIZED_DRAW;
  return swarm_room(inf, e) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

/* ---- the verdict ---- */

static bool weigh(norn_infer *inf, amortized *e)
{
  size_t n = (size_t)e->n;
  amortized_sums *s = &e->sums;
  double d = e->defensive, carried = 0, kl = 0, all = log_sum(e->logw, n), m = (double)n;
  s->alive = 0;
  for (size_t i = 0; i < n; i++) {
    if (!(e->logw[i] > -HUGE_VAL)) continue;
    s->alive++;
    kl += exp(e->logw[i] - all) * (e->logw[i] - all + log(m));
    double p = log(d) + e->logp[i], q = log1p(-d) + e->logq[i];
    if (d > 0) carried += exp(e->logw[i] - all + p - log_add(p, q));
  }
  s->log_z = all - log(m);
  s->ess = kish(e->logw, n);
  s->se = sqrt((m / s->ess - 1) / (m - 1));
  s->kl = s->alive ? kl : HUGE_VAL;
  s->share = carried;
  memcpy(e->smooth, e->logw, n * sizeof *e->smooth);
  return amortized_khat(norn_infer_state(inf), e->smooth, n, &s->khat);
}

static norn_step amortized_judge(norn_infer *inf, amortized *e)
{
  char why[240] = "";
  const amortized_sums *s = &e->sums;
  double limit = psis_threshold((size_t)e->n);
  e->at = AMORTIZED_LEAVE;
  if (e->predicts) return NORN_STEP_MORE;
  if (!weigh(inf, e)) return NORN_STEP_FAIL;
  amortized_note(inf, e);
  if (!s->alive) snprintf(why, sizeof why, "every draw of the net has weight 0");
  else if (!(s->khat <= limit))
    snprintf(why, sizeof why,
             "k-hat of the net's draws is %.2f, above %.2f: their weights can't be trusted", s->khat,
             limit);
  else if (s->share > .5)
    snprintf(why, sizeof why,
             "the prior's part of the proposal carries %.0f %% of the weight: the net misses what the "
             "posterior has",
             100 * s->share);
  if (!*why) return NORN_STEP_MORE;
  if (e->how == CORRECT_NOT && s->alive) {
    norn_infer_warn(inf, (norn_span){0, 0, 0}, "amortized: uncorrected, and %s", why);
    return NORN_STEP_MORE;
  }
  if (!s->alive && !e->fallback) return blame_all_dead(norn_infer_state(inf), &inf->dead, "draw");
  norn_step next = doubt(inf, e, why);
  return next == NORN_STEP_DONE ? NORN_STEP_MORE : next;
}

/* ---- the engine ---- */

static norn_step amortized_step(norn_infer *inf, void *self)
{
  amortized *e = self;
  switch (e->at) {
  case AMORTIZED_BEGIN: return amortized_begin(inf, e);
  case AMORTIZED_DRAW: return e->done < e->n ? amortized_draw(inf, e) : amortized_judge(inf, e);
  case AMORTIZED_LEAVE: return amortized_leave(inf, e);
  case AMORTIZED_PARTICLES: return smc_step(inf, e->smc);
  default: return NORN_STEP_DONE;
  }
}

static norn_status amortized_finish(norn_infer *inf, void *self)
{
  amortized *e = self;
  return e->at == AMORTIZED_PARTICLES ? amortized_smc_finish(inf, e) : amortized_report(inf, e);
}

static void amortized_progress(norn_infer *inf, void *self, norn_progress *p)
{
  amortized *e = self;
  if (e->at == AMORTIZED_PARTICLES) { smc_progress(inf, e->smc, p); return; }
  p->done = (double)e->done;
  p->total = (double)e->n;
}

static void amortized_free(norn_infer *inf, void *self)
{
  amortized *e = self;
  norn_state *st = norn_infer_state(inf);
  size_t n = (size_t)e->n;
  if (e->smc) {
    smc_free(inf, e->smc);
    engine_put(st, e->smc, smc_size());
  }
  draws_crew_free(e);
  drawer_free(&e->d);
  swarm_free(&e->s);
  engine_put(st, e->logq, n * sizeof *e->logq);
  engine_put(st, e->logp, n * sizeof *e->logp);
  engine_put(st, e->logw, n * sizeof *e->logw);
  engine_put(st, e->smooth, n * sizeof *e->smooth);
  engine_put(st, e->prior, n);
  engine_put(st, e->path, e->cpath * sizeof *e->path);
  if (e->engine) norn_drop(e->engine);
  net_free(e->own);
}

/* What begins anew when it is read: the net's memory, and the block that was on its way. */
static bool archive_ready(norn_infer *inf, amortized *e, norn_archive *a, int at)
{
  if (e->d.t.waits) return archive_not_now(a, "an inference goes on inside of one that asks a net");
  if (!norn_archive_reading(a) || at == AMORTIZED_BEGIN) return true;
  if (at < AMORTIZED_BEGIN || at > AMORTIZED_PARTICLES)
    return norn_archive_fail(a, "it is in no state that there is");
  bool smc = at == AMORTIZED_PARTICLES;
  if (smc != (e->how == CORRECT_SMC)) return norn_archive_fail(a, "it is in no state that there is");
  size_t most = smc ? 1 : (size_t)(e->n < AMORTIZED_BLOCK ? e->n : AMORTIZED_BLOCK);
  e->d.asked = net_asked_new(norn_infer_state(inf), e->net, norn_infer_model(inf), (int)most,
                           norn_infer_stream(inf));
  e->at = (amortized_phase)at;
  if (!e->d.asked || pfn_begins(inf, e)) return false;
  return smc ? !amortized_smc_begin(inf, e) : swarm_room(inf, e);
}

/* A net that comes from a file may be another one by now. */
static bool archive_net(amortized *e, norn_archive *a)
{
  uint64_t h = 0, was;
  for (int k = 0; k < e->net->params.n; k++) {
    const nn_tensor *t = &e->net->params.tensor[k];
    h = hash_bytes(e->net->params.w + t->at, t->n * sizeof(float), h);
  }
  was = h;
  norn_archive_bytes(a, &was, sizeof was);
  return norn_archive_status(a) ? false : was == h || norn_archive_fail(a, "its net is another one now");
}

static void archive_draws(amortized *e, norn_archive *a)
{
  swarm *s = &e->s;
  size_t n = (size_t)e->n;
  double *numbers[] = {e->logq, e->logp, e->logw, e->smooth};
  for (int i = 0; i < NORN_COUNT(numbers); i++) norn_archive_bytes(a, numbers[i], n * sizeof **numbers);
  norn_archive_bytes(a, e->prior, n);
  norn_archive_bytes(a, s->past, n * sizeof *s->past);
  norn_archive_bytes(a, s->ended, n * sizeof *s->ended);
  norn_archive_size(a, &s->nchoice);
  if (!norn_archive_array(a, &s->choice, &s->cchoice, s->nchoice, sizeof *s->choice)) return;
  if (!column_archive(a, &s->value) || !column_archive(a, &s->result)) return;
  drawer *d = &e->d;
  norn_archive_size(a, &d->nmissing);
  norn_archive_array(a, &d->missing, &d->cmissing, d->nmissing, sizeof *d->missing);
  for (size_t i = 0; i < n && !norn_archive_status(a); i++)
    if ((s->past[i] != SWARM_NONE && s->past[i] >= s->nchoice) ||
        (s->ended[i] != SWARM_NONE && s->ended[i] >= s->result.n) ||
        (s->ended[i] == SWARM_NONE && i < (size_t)e->done && e->logw[i] > -HUGE_VAL))
      norn_archive_fail(a, "its draws do not fit");
  for (size_t i = 0; i < s->nchoice && !norn_archive_status(a); i++)
    if (s->choice[i].value >= s->value.n || (s->choice[i].parent != SWARM_NONE && s->choice[i].parent >= i))
      norn_archive_fail(a, "its choices do not fit");
}

static norn_status amortized_archive(norn_infer *inf, void *self, norn_archive *a)
{
  amortized *e = self;
  int at = (int)e->at;
  norn_archive_int(a, &at);
  if (norn_archive_status(a) || !archive_net(e, a)) return norn_archive_status(a);
  if (!archive_ready(inf, e, a, at)) return norn_archive_status(a) ? norn_archive_status(a) : code(inf);
  if (at == AMORTIZED_BEGIN) return norn_archive_status(a);
  if (at == AMORTIZED_PARTICLES) return smc_archive(inf, e->smc, a);
  int64_t *count[] = {&e->done, &e->left, &e->now, &e->proposed, &e->accepted};
  for (int i = 0; i < NORN_COUNT(count); i++) norn_archive_i64(a, count[i]);
  norn_archive_bytes(a, &e->sums, sizeof e->sums);
  if (!norn_archive_status(a) &&
      (e->done < 0 || e->done > e->n || e->left < 0 || e->left > e->done || e->now < -1 || e->now >= e->n))
    norn_archive_fail(a, "its counts do not fit");
  if (!norn_archive_status(a)) archive_draws(e, a);
  return norn_archive_status(a);
}

static const norn_option amortized_options[] = {
    {"net", NULL, "a net that train() gave, or the name of its file"},
    {"draws", "1000", "weighted draws; of correct = smc(...) and mh(...) those of these"},
    {"correct", "missing",
     "true: importance weights; false: draws of the net as they are; smc(...): the net proposes "
     "inside of smc; mh(...): its draws are proposals of chains"},
    {"defensive", "0.05", "share of draws that the prior proposes"},
    {"fallback", "true",
     "another engine, by the rule of infer(m), where the net's answer can't be trusted; false: a "
     "warning"},
    {"check", "100", "data sets of the prior with which the data are compared; 0: none"}};

const norn_engine engine_amortized = {
  .version = NORN_ENGINE_VERSION,
  .name = "amortized",
  .doc = "Draws of a net that was trained on the program, corrected by importance weights, with their k-hat.",
  .options = amortized_options,
  .noptions = NORN_COUNT(amortized_options),
  .size = sizeof(amortized),
  .init = amortized_init,
  .step = amortized_step,
  .finish = amortized_finish,
  .progress = amortized_progress,
  .free = amortized_free,
  .archive = amortized_archive
};
