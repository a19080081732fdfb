/* net_train.c: a net learns from simulated runs of its program (net.h).

   A step takes the next runs, which depend on the stream and their numbers alone, lays them out as tokens,
   and follows the gradient of the mean of -log q(answer) over their questions by AdamW (nn/optimise.h), with a
   rate that rises for a while and then falls as a cosine.  Sequences are sorted by length and cut into at most
   PARTS parts, whose number and content do not depend on threads; each has a gradient of its own, and these are
   added in order.  So for given steps the net is the same, to the bit, on any number of threads.  With `seconds` it
   is the clock that says how far the cosine is: then two trainings differ as their clocks did.

   With a budget of `simulations` a tenth of them is held out, the others are gone through in an
   order that is drawn anew in each round, and the net is that which did best on those held out
   (early stopping, as is done in neural posterior estimation: Papamakarios, Murray 2016).  It mostly ends
   before the rate has fallen; so what is looked at is a mean of the weights at the ends of rounds (Izmailov et
   al. 2018, "Averaging weights leads to wider optima"), of which round k has weight (REACH + 1) / (REACH + k) when
   it comes, so that the mean reaches back over the same part of however many rounds.  Without a budget
   each run is seen once and nothing can be learnt by heart; runs from HELD_FIRST on are held out.

   A step whose loss or gradient is not finite changes nothing but its number; BAD of them in a row end the
   training with an error that names the first of them, and the net is the last that was good. */
#include "infer/net/net_train.h"
#include "nn/gpu.h"
#include "infer/infer.h"
#include <stdio.h>
#include <string.h>

enum { LEARN = 1000, HELD = 256, HELD_MOST = 4096, BAD = 8, SLICES = 16 };
#define LOOK_EVERY .04                   /* of the whole, between two looks at them */
#define REACH 6                          /* of the mean of weights: over a seventh of the rounds, about */
#define SMOOTH .02                       /* weight of a step's loss in the mean that is shown */
#define THETA .5                         /* of AdAdaGrad's test */
#define WARM_STEPS 200                   /* where the clock says how long it is: at most */

/* ---- a pass over a batch ---- */

/* The tokens of sequence s: up to the last that sees anything. */
static int32_t length_of(const nn_tokens *tk, int s)
{
  const int16_t *see = tk->see + (size_t)s * (size_t)tk->t;
  int32_t n = tk->t;
  while (n > 1 && see[n - 1] == 0) n--;
  return n;
}

/* Which part each sequence belongs to: the longest first, so that little is padding; by their numbers where the
   parts' gradients will be compared, for then they must be alike. */
static void assign(net_training *t, const nn_tokens *tk, bool alike)
{
  int parts = tk->b < PARTS ? tk->b : PARTS, at = 0;
  for (int s = 0; s < tk->b; s++) t->length[s] = length_of(tk, s);
  for (int p = 0; p < parts; p++) t->part[p].tk.b = t->part[p].tk.t = t->part[p].tk.nq = 0;
  for (int32_t len = tk->t; !alike && len > 0; len--)
    for (int s = 0; s < tk->b; s++)
      if (t->length[s] == len) t->of[s] = (int16_t)((int64_t)at++ * parts / tk->b);
  for (int s = 0; s < tk->b; s++) {
    if (alike) t->of[s] = (int16_t)((int64_t)s * parts / tk->b);
    nn_tokens *p = &t->part[t->of[s]].tk;
    t->place[s] = p->b++;
    if (p->t < t->length[s]) p->t = t->length[s];
  }
  for (int q = 0; q < tk->nq; q++) t->part[t->of[tk->at[q] / tk->t]].tk.nq++;
  t->parts = parts;
}

static bool part_room(norn_state *st, part *p)
{
  size_t tokens = (size_t)p->tk.b * (size_t)p->tk.t, cells = tokens * (size_t)p->tk.j, nq = (size_t)p->tk.nq;
  return engine_room(st, &p->tk.row, &p->crow, cells, sizeof *p->tk.row) &&
         engine_room(st, &p->tk.coef, &p->ccoef, cells, sizeof *p->tk.coef) &&
         engine_room(st, &p->tk.order, &p->corder, tokens, sizeof *p->tk.order) &&
         engine_room(st, &p->tk.see, &p->csee, tokens, sizeof *p->tk.see) &&
         engine_room(st, &p->tk.at, &p->cat, nq, sizeof *p->tk.at) &&
         engine_room(st, &p->tk.head, &p->chead, nq, sizeof *p->tk.head) &&
         engine_room(st, &p->tk.target, &p->ctarget, nq, sizeof *p->tk.target);
}

/* Copies each sequence, without its padding beyond the part's longest, and its questions. */
static void fill(net_training *t, const nn_tokens *tk)
{
  size_t j = (size_t)tk->j;
  for (int s = 0; s < tk->b; s++) {
    nn_tokens *p = &t->part[t->of[s]].tk;
    size_t n = (size_t)p->t, to = (size_t)t->place[s] * n, from = (size_t)s * (size_t)tk->t;
    memcpy(p->row + to * j, tk->row + from * j, n * j * sizeof *p->row);
    memcpy(p->coef + to * j, tk->coef + from * j, n * j * sizeof *p->coef);
    memcpy(p->order + to, tk->order + from, n * sizeof *p->order);
    memcpy(p->see + to, tk->see + from, n * sizeof *p->see);
  }
  for (int p = 0; p < t->parts; p++) t->part[p].tk.nq = 0;
  for (int q = 0; q < tk->nq; q++) {
    int s = tk->at[q] / tk->t;
    nn_tokens *p = &t->part[t->of[s]].tk;
    p->at[p->nq] = t->place[s] * p->t + tk->at[q] % tk->t;
    p->head[p->nq] = tk->head[q];
    p->target[p->nq++] = tk->target[q];
  }
}

static bool split(net_training *t, const nn_tokens *tk, bool learn)
{
  norn_state *st = t->st;
  size_t b = (size_t)tk->b, count = t->n->params.count;
  if (!engine_room(st, &t->of, &t->cof, b, sizeof *t->of) ||
      !engine_room(st, &t->length, &t->clength, b, sizeof *t->length) ||
      !engine_room(st, &t->place, &t->cplace, b, sizeof *t->place))
    return false;
  assign(t, tk, learn && t->n->spec.adapt);
  for (int i = 0; i < t->parts; i++) {
    part *p = &t->part[i];
    p->tk.j = tk->j;
    if (!part_room(st, p) || (learn && !p->g && !(p->g = engine_get(st, count * sizeof *p->g)))) return false;
    for (int r = 0; r < t->desks; r++) {
      if (nn_room_fit(t->desk[r], t->n->model, &p->tk, learn)) continue;
      norn_fail(st, NORN_EMEMORY, -1, "out of memory for a batch of %d sequences of %d tokens", tk->b, tk->t);
      return false;
    }
  }
  fill(t, tk);
  return true;
}

/* A desk at which nobody works: there is one for each thread.  A room for each part would never be in a cache. */
static int desk_take(net_training *t)
{
  for (int r = 0;; r = (r + 1) % t->desks)
    if (!(atomic_fetch_or(&t->taken, 1u << r) >> r & 1)) return r;
}

static void part_job(void *of, int i)
{
  net_training *t = of;
  part *p = &t->part[i];
  int r = desk_take(t);
  if (t->learn) memset(p->g, 0, t->n->params.count * sizeof *p->g);
  p->loss = nn_model_loss(t->n->model, t->desk[r], &p->tk, t->scale, t->learn ? p->g : NULL, NULL);
  atomic_fetch_and(&t->taken, ~(1u << r));
}

/* A slice of the gradients' sum, into that of the first part. */
static void sum_job(void *of, int i)
{
  net_training *t = of;
  size_t n = t->n->params.count, from = n * (size_t)i / SLICES, to = n * ((size_t)i + 1) / SLICES;
  float *g = t->part[0].g;
  for (int p = 1; p < t->parts; p++) {
    const float *more = t->part[p].g;
    for (size_t k = from; k < to; k++) g[k] += more[k];
  }
}

/* ---- runs ---- */

/* The order of a budget's runs in a round: Fisher and Yates, by a stream of that round. */
static void shuffle(net_training *t, int64_t round)
{
  uint64_t n = t->mine;
  norn_rng g = { .stream = norn_stream_split(t->stream, ENGINE_LANE, 3, (uint32_t)round) };
  for (uint32_t i = 0; i < n; i++) t->order[i] = i;
  for (uint64_t i = n; i > 1; i--) {
    uint64_t k = norn_rng_below(&g, i);
    uint32_t x = t->order[i - 1];
    t->order[i - 1] = t->order[k];
    t->order[k] = x;
  }
  t->round = round;
}

/* Runs of the next step into t->runs.  false: error set. */
static bool simulate(net_training *t, int n)
{
  const net_schema *schema = &t->n->schema;
  if (!t->mine) return net_source_runs(t->source, schema, t->next, n, &t->runs);
  t->runs.n = 0;
  t->runs.nevent = t->runs.nnumber = 0;
  for (int i = 0; i < n; i++) {
    uint64_t k = t->next + (uint64_t)i;
    if ((int64_t)(k / t->mine) != t->round) shuffle(t, (int64_t)(k / t->mine));
    if (!net_runs_add(t->st, schema, &t->runs, &t->all, (int)t->order[k % t->mine], 1)) return false;
  }
  return true;
}

/* ---- the clock ---- */

double training_seconds(const net_training *t)
{
  return t->before + infer_seconds() - t->begun;
}

/* Of the whole, in [0, 1]. */
static double fraction_of(const net_training *t)
{
  double x = t->limit > 0 ? training_seconds(t) / t->limit : (double)t->adam.step / (double)t->n->spec.steps;
  return x < 1 ? x : 1;
}

/* ---- a pass, and the next batch meanwhile ---- */

/* Runs of the step after this one, and their tokens, into t->tk.  false: error set. */
static bool draw_batch(net_training *t)
{
  const net *n = t->n;
  return simulate(t, (int)t->batch) &&
         net_batch(&n->schema, &n->spec, &t->runs, t->next, t->stream, t->room, &t->tk);
}

/* The mean of -log q over the questions of a batch; learn: with its gradient in each part's g, and the next batch is
   drawn while threads compute, unless how large it is will depend on them.  false: error set. */
static bool pass(net_training *t, const nn_tokens *tk, bool learn, double *mean)
{
  double sum = 0;
  int nq = tk->nq;
  t->learn = learn;
  t->scale = nq ? 1.0f / (float)nq : 0;
  if (t->there) {
    if (!training_there(t, tk, learn, &sum)) return false;
    *mean = nq ? sum / nq : 0;
    return true;
  }
  if (!split(t, tk, learn)) return false;
  pool_begin(&t->pool, t->parts, part_job, t);
  bool last = t->limit <= 0 && t->adam.step + 1 >= t->n->spec.steps;
  if (learn && !last && !t->n->spec.adapt && t->pool.n) {
    t->next += (uint64_t)t->batch;
    t->ahead = draw_batch(t);
    t->next -= (uint64_t)t->batch;
    t->ahead_failed = !t->ahead;
  }
  pool_wait(&t->pool, NULL);
  for (int i = 0; i < t->parts; i++) sum += t->part[i].loss;
  *mean = nq ? sum / nq : 0;
  return true;
}

/* ---- looking at what was held out ---- */

static bool keep_good(net_training *t, double held)
{
  if (!training_home(t)) return false;
  memcpy(t->good, t->n->params.w, t->n->params.count * sizeof *t->good);
  t->good_step = t->adam.step;
  t->good_loss = held;
  return true;
}

/* The net has these weights until give_back.  false: error set. */
static bool lend(net_training *t, const float *w)
{
  size_t bytes = t->n->params.count * sizeof *w;
  if (!training_home(t)) return false;
  memcpy(t->own, t->n->params.w, bytes);
  memcpy(t->n->params.w, w, bytes);
  return training_away(t);
}

static bool give_back(net_training *t)
{
  memcpy(t->n->params.w, t->own, t->n->params.count * sizeof *t->own);
  return training_away(t);
}

/* The mean of weights over rounds takes in those of now. */
static bool average(net_training *t)
{
  if (!training_home(t)) return false;
  float a = (float)((REACH + 1) / (double)(REACH + ++t->looks));
  const float *w = t->n->params.w;
  for (size_t i = 0; i < t->n->params.count; i++) t->mean[i] += a * (w[i] - t->mean[i]);
  return true;
}

/* The score of what the net is now on runs that were never trained on.  What was good there is kept: with a budget the
   best, else the last.  false: error set. */
static bool judge(net_training *t)
{
  double held;
  t->looked = fraction_of(t);
  t->looked_step = t->adam.step;
  if (!pass(t, &t->held_tk, false, &held)) return false;
  t->n->held_out = held;
  t->stale++;
  if (!isfinite(held) || (t->mine && t->good_step && !(held < t->good_loss))) return true;
  t->stale = 0;
  return keep_good(t, held);
}

static bool look(net_training *t)
{
  if (!t->mine) return judge(t);
  if (!average(t) || !lend(t, t->mean)) return false;
  bool good = judge(t);
  return give_back(t) && good;
}

static bool looked_just_now(const net_training *t) { return t->adam.step && t->looked_step == t->adam.step; }

/* The same while it learns. */
static bool look_around(net_training *t)
{
  return look(t) && training_score_now(t);
}

/* The weights are again those of the last good look. */
static bool take_good(net_training *t)
{
  if (!training_home(t)) return false;         /* moments */
  memcpy(t->n->params.w, t->good, t->n->params.count * sizeof *t->good);
  t->n->step = t->good_step;
  t->n->held_out = t->good_loss;
  return training_away(t);
}

/* ---- a step ---- */

static norn_step stopped(net_training *t)
{
  t->failed = true;
  if (!take_good(t)) return NORN_STEP_FAIL;
  norn_fail(t->st, NORN_EINFER, -1, "training stopped at step %lld: loss or gradient of %d steps in a row were not "
            "finite, first at step %lld, runs %llu to %llu, of seed %llu", (long long)t->adam.step, t->row,
            (long long)t->bad_step, (unsigned long long)t->bad_first,
            (unsigned long long)t->bad_first + (unsigned long long)t->bad_n - 1, (unsigned long long)t->n->seed);
  norn_hint(t->st, "a lower rate = ... of %s (it was %g), or priors with lighter tails; the net is that of step %lld",
            net_kind_names[t->n->spec.kind], t->n->spec.rate, (long long)t->good_step);
  return NORN_STEP_FAIL;
}

/* The step that came of runs from `first` on is not taken. */
static norn_step skip(net_training *t, uint64_t first, int n)
{
  t->skipped++;
  if (!t->row++) {
    t->bad_step = t->adam.step;
    t->bad_first = first;
    t->bad_n = n;
  }
  return t->row < BAD ? NORN_STEP_MORE : stopped(t);
}

static void smooth(net_training *t, double loss)
{
  t->loss += SMOOTH * (loss - t->loss);
  t->weight += SMOOTH * (1 - t->weight);
  t->n->loss = t->loss / t->weight;
}

/* Follows the gradient; *good: the step was taken.  false: error set. */
static bool descend(net_training *t, bool *good)
{
  const float *g[PARTS];
  double loss, progress = t->limit > 0 ? fraction_of(t) : -1, norm = NAN;
  *good = false;
  if (!pass(t, &t->tk, true, &loss)) return false;
  int64_t more = t->batch;
  for (int i = 0; i < t->parts; i++) g[i] = t->part[i].g;
  if (t->n->spec.adapt && isfinite(loss))
    more = nn_batch_size(&t->n->params, g, t->parts, t->batch, THETA, t->n->spec.most_batch);
  if (!t->there) pool_run(&t->pool, SLICES, sum_job, NULL, t);
  if (isfinite(loss) && t->there) {
    t->moved = true;
    if (nn_gpu_step(t->there, &t->adam, progress, &norm)) return false;
  } else if (isfinite(loss)) norm = nn_adam_step(&t->adam, &t->n->params, t->part[0].g, progress);
  else t->adam.step++;
  if (!isfinite(norm)) return true;
  t->batch = more;
  smooth(t, loss);
  return *good = true;
}

static norn_step end(net_training *t)
{
  if (!t->done && !looked_just_now(t) && !look(t)) return NORN_STEP_FAIL;
  if (t->mine && t->good_step ? !take_good(t) : !training_home(t)) return NORN_STEP_FAIL;
  if (!training_score_end(t)) return NORN_STEP_FAIL;
  t->done = true;
  return NORN_STEP_DONE;
}

/* With a budget a look ends each round. */
static bool look_due(const net_training *t, uint64_t first)
{
  return t->mine ? t->next / t->mine > first / t->mine : fraction_of(t) - t->looked >= LOOK_EVERY;
}

norn_step net_training_step(net_training *t)
{
  net *n = t->n;
  uint64_t first = t->next;
  int64_t batch = t->batch;
  bool good;
  if (t->failed) return NORN_STEP_FAIL;
  if (t->done || fraction_of(t) >= 1 || (t->mine && t->stale >= n->spec.patience)) return end(t);
  if (!t->ahead && !draw_batch(t)) return NORN_STEP_FAIL;
  t->ahead = t->ahead_failed = false;
  if (!descend(t, &good)) return NORN_STEP_FAIL;
  t->next += (uint64_t)batch;
  n->step = t->adam.step;
  n->runs = (double)(t->mine && t->next > t->mine ? t->mine : t->next);
  if (good) t->row = 0;
  else if (skip(t, first, (int)batch) == NORN_STEP_FAIL) return NORN_STEP_FAIL;
  if (t->ahead_failed) return NORN_STEP_FAIL;
  return !good || !look_due(t, first) || look_around(t) ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

/* ---- begin, result, end ---- */

/* Held-out runs and their tokens.  A budget is simulated whole. */
static bool hold_out(net_training *t)
{
  norn_state *st = t->st;
  const net_schema *schema = &t->n->schema;
  uint64_t first = HELD_FIRST;
  int n = HELD;
  if (t->n->spec.simulations) {
    n = (int)(t->n->spec.simulations / 10 > HELD_MOST ? HELD_MOST : t->n->spec.simulations / 10);
    first = t->mine = (uint64_t)(t->n->spec.simulations - n);
    if (!engine_room(st, &t->order, &t->corder, t->mine, sizeof *t->order) ||
        !net_source_runs(t->source, schema, 0, (int)t->mine, &t->all))
      return false;
    shuffle(t, 0);
  }
  return net_source_runs(t->source, schema, first, n, &t->held) &&
         net_batch(schema, &t->n->spec, &t->held, HELD_FIRST, t->stream, t->held_room, &t->held_tk);
}

/* The threads, and a desk for each.  false: error set. */
static bool begin_pool(net_training *t)
{
  int n = norn_crew_threads(t->st, 0);
  pool_start(&t->pool, t->thread, n < PARTS ? n : PARTS);
  t->pooled = true;
  for (int most = t->pool.n ? t->pool.n : 1; t->desks < most; t->desks++)
    if (!(t->desk[t->desks] = nn_room_new(t->st))) return false;
  return true;
}

void training_schedule(net_training *t)
{
  const net_spec *s = &t->n->spec;
  int64_t step = t->adam.step;
  t->adam = nn_adam_usual;
  t->adam.rate = s->rate;
  t->adam.decay = s->decay;
  t->adam.clip = s->clip;
  t->adam.steps = t->limit > 0 ? 0 : s->steps;
  t->adam.warm = t->limit > 0 ? WARM_STEPS : (int64_t)ceil(s->warm * (double)s->steps);
  t->adam.step = step;
}

/* Room and what does not change while it goes on; the net is there. */
bool training_ready(net_training *t)
{
  net *n = t->n;
  size_t budget = n->spec.simulations ? n->params.count : 0;
  t->good = engine_get(t->st, n->params.count * sizeof *t->good);
  t->mean = engine_get(t->st, budget * sizeof *t->mean);
  t->own = engine_get(t->st, budget * sizeof *t->own);
  t->room = net_room_new(t->st);
  t->held_room = net_room_new(t->st);
  if (!t->good || !t->mean || !t->own || !t->room || !t->held_room) return false;
  training_schedule(t);
  if (!begin_pool(t)) return false;
  t->batch = n->spec.batch;
  t->efficiency = t->kl = NAN;
  if (!keep_good(t, NAN) || !hold_out(t)) return false;
  n->marginal = training_marginal(t);
  return true;
}

net_training *training_new(norn_state *st, norn_datum what, norn_datum inputs, double seconds, uint64_t seed)
{
  net_training *t = engine_get(st, sizeof *t);
  if (!t) return NULL;
  t->st = st;
  t->begun = infer_seconds();
  t->limit = seconds;
  t->stream = norn_stream_split(seed, ENGINE_LANE, 1, 0);
  if ((t->inputs = norn_keep(st, inputs)) && (t->what = norn_keep(st, what)) &&
      (t->source = net_source_new(st, what, inputs, t->stream)))
    return t;
  net_training_free(t);
  return NULL;
}

net_training *net_training_new(norn_state *st, norn_datum what, const net_spec *spec, double seconds, uint64_t seed)
{
  net_training *t = training_new(st, what, spec->inputs, seconds, seed);
  net_schema schema = { 0 };
  net_spec own = *spec;
  int n = spec->simulations && spec->simulations < LEARN ? (int)spec->simulations : LEARN;
  if (!t) return NULL;
  own.inputs = norn_none();
  if (seconds > 0) own.steps = 0;
  bool good = net_schema_learn(st, &schema, t->source, spec, n);
  if (good && !schema.nhead) {
    norn_fail(st, NORN_EINFER, 0, "there is nothing to learn: this model has %s", spec->kind == NET_PFN ?
              "no observations that can be asked for" : "no choices that a net can answer for");
    good = false;
  }
  if (good && (t->n = net_new(st, &own, &schema, seed, true)) != NULL) {
    t->n->program = net_program(st, norn_get(t->what));          /* the program has run: values have moved */
    t->n->seed = seed;
    t->n->loss = t->n->held_out = NAN;
    net_model_name(st, norn_get(t->what), t->n->model_name, sizeof t->n->model_name);
    if (training_ready(t)) return t;
  }
  if (!t->n) net_schema_free(st, &schema);
  net_training_free(t);
  return NULL;
}

net *net_training_result(net_training *t)
{
  bool going = !t->failed && !t->done;
  if (going && !looked_just_now(t) && !look(t)) return NULL;
  if (!going || !t->mine || !t->good_step) return training_copy(t);
  if (!lend(t, t->good)) return NULL;
  net *n = training_copy(t);
  if (!give_back(t) || !n) { net_free(n); return NULL; }
  n->step = t->good_step;
  n->held_out = t->good_loss;
  return n;
}

net *training_copy(net_training *t)
{
  norn_state *st = t->st;
  net_schema schema = { 0 };
  if (!training_home(t) || !net_schema_copy(st, &schema, &t->n->schema)) return NULL;
  net *n = net_new(st, &t->n->spec, &schema, t->n->seed, false);
  if (!n) {
    net_schema_free(st, &schema);
    return NULL;
  }
  memcpy(n->params.w, t->n->params.w, n->params.count * sizeof *n->params.w);
  n->program = t->n->program;
  n->seed = t->n->seed;
  memcpy(n->model_name, t->n->model_name, sizeof n->model_name);
  n->step = t->n->step;
  n->runs = t->n->runs;
  n->loss = t->n->loss;
  n->held_out = t->n->held_out;
  n->marginal = t->n->marginal;
  n->efficiency = t->efficiency;
  n->kl = t->kl;
  n->seconds = training_seconds(t);
  if ((n->what = norn_keep(st, norn_get(t->what)))) return n;
  net_free(n);
  return NULL;
}

void net_training_progress(const net_training *t, net_progress *p)
{
  double spent = infer_seconds() - t->begun;
  *p = (net_progress){
    .step = t->adam.step, .fraction = t->done ? 1 : fraction_of(t), .loss = t->n->loss, .held_out = t->n->held_out,
    .marginal = t->n->marginal, .efficiency = t->efficiency, .kl = t->kl,
    .rate = nn_adam_rate(&t->adam, t->limit > 0 ? fraction_of(t) : -1),
    .runs_per_second = spent > 0 ? (double)(t->next - t->sat) / spent : 0, .batch = t->batch, .skipped = t->skipped
  };
}

static void part_free(norn_state *st, part *p, size_t count)
{
  nn_tokens *k = &p->tk;
  engine_put(st, k->row, p->crow * sizeof *k->row);
  engine_put(st, k->coef, p->ccoef * sizeof *k->coef);
  engine_put(st, k->order, p->corder * sizeof *k->order);
  engine_put(st, k->see, p->csee * sizeof *k->see);
  engine_put(st, k->at, p->cat * sizeof *k->at);
  engine_put(st, k->head, p->chead * sizeof *k->head);
  engine_put(st, k->target, p->ctarget * sizeof *k->target);
  engine_put(st, p->g, count * sizeof *p->g);
}

void net_training_free(net_training *t)
{
  if (!t) return;
  norn_state *st = t->st;
  size_t count = t->n ? t->n->params.count : 0, budget = t->n && t->n->spec.simulations ? count : 0;
  if (t->pooled) pool_end(&t->pool);
  for (int i = 0; i < PARTS; i++) part_free(st, &t->part[i], count);
  for (int i = 0; i < t->desks; i++) nn_room_free(t->desk[i]);
  engine_put(st, t->good, count * sizeof *t->good);
  engine_put(st, t->mean, budget * sizeof *t->mean);
  engine_put(st, t->own, budget * sizeof *t->own);
  engine_put(st, t->order, t->corder * sizeof *t->order);
  engine_put(st, t->of, t->cof * sizeof *t->of);
  engine_put(st, t->length, t->clength * sizeof *t->length);
  engine_put(st, t->place, t->cplace * sizeof *t->place);
  net_runs_free(st, &t->runs);
  net_runs_free(st, &t->held);
  net_runs_free(st, &t->all);
  if (t->room) net_room_free(t->room);
  if (t->held_room) net_room_free(t->held_room);
  nn_gpu_free(t->there);
  if (t->source) net_source_free(t->source);
  if (t->n) net_free(t->n);
  if (t->inputs) norn_drop(t->inputs);
  if (t->what) norn_drop(t->what);
  if (t->scored) norn_drop(t->scored);
  if (t->exact) norn_drop(t->exact);
  engine_put(st, t, sizeof *t);
}
