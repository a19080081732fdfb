/* swarm: particles with their choices (swarm.h). */
#include "infer/particles/swarm.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include <string.h>

static bool room(norn_state *st, swarm *s, size_t n, bool in_rounds)
{
  s->st = st;
  s->n = n;
  s->beta = 1;
  s->run = engine_get(st, n * sizeof *s->run);
  s->logw = engine_get(st, 3 * n * sizeof *s->logw);
  s->past = engine_get(st, 3 * n * sizeof *s->past);
  s->in_rounds = in_rounds;
  if (!s->run || !s->logw || !s->past || (in_rounds && !rounds_new(st, &s->rounds, n))) return false;
  s->w = s->logw + n;
  s->lik = s->w + n;
  s->ended = s->past + n;
  s->from = s->ended + n;
  return true;
}

bool swarm_new(norn_infer *inf, swarm *s, size_t n)
{
  s->inf = inf;
  norn_state *st = norn_infer_state(inf);
  return room(st, s, n, norn_may_get_ready(st));
}

bool swarm_make(norn_state *st, swarm *s, size_t n, bool in_rounds) { return room(st, s, n, in_rounds); }

static void swarm_clear(swarm *s)
{
  for (size_t i = 0; s->run && i < s->n; i++) {
    if (s->run[i]) norn_run_free(s->run[i]);
    s->run[i] = NULL;
  }
  column_clear(s->st, &s->value);
  column_clear(s->st, &s->result);
  s->nchoice = s->compacted = s->next = s->running = 0;
  s->barrier = 0;
  s->rounds.on = false;
}

void swarm_free(swarm *s)
{
  norn_state *st = s->st;
  if (!st) return;
  if (s->asked) norn_drop(s->asked);
  swarm_clear(s);
  column_free(st, &s->value);
  column_free(st, &s->result);
  engine_put(st, s->choice, s->cchoice * sizeof *s->choice);
  engine_put(st, s->run, s->n * sizeof *s->run);
  engine_put(st, s->logw, 3 * s->n * sizeof *s->logw);
  engine_put(st, s->past, 3 * s->n * sizeof *s->past);
  rounds_free(&s->rounds);
}

bool swarm_start(swarm *s, uint64_t stream)
{
  const unsigned flags = s->whole ? SWARM_FLAGS & ~NORN_RUN_STOP : SWARM_FLAGS;
  swarm_clear(s);
  s->stream = stream;
  s->beta = 1;
  for (size_t i = 0; i < s->n; i++) {
    s->run[i] = norn_infer_run(s->inf, (uint32_t)i, 0, flags | (i ? 0 : NORN_RUN_CHECK));
    if (!s->run[i]) return false;
    norn_run_stream(s->run[i], stream, (uint32_t)i, 0);
    s->logw[i] = s->lik[i] = 0;
    s->past[i] = s->ended[i] = SWARM_NONE;
  }
  return true;
}

/* ---- choices ---- */

bool swarm_choose(swarm *s, size_t i, uint64_t addr, norn_datum v)
{
  norn_state *st = s->st;
  if (!engine_room(st, &s->choice, &s->cchoice, s->nchoice + 1, sizeof *s->choice)) return false;
  s->choice[s->nchoice] = (swarm_choice){addr, s->past[i], (uint32_t)s->value.n};
  s->past[i] = (uint32_t)s->nchoice++;
  return column_push(st, &s->value, v);
}

bool swarm_path(const swarm *s, size_t i, uint32_t **path, size_t *cpath, size_t *n)
{
  size_t k = 0;
  for (uint32_t at = s->past[i]; at != SWARM_NONE; at = s->choice[at].parent) k++;
  *n = k;
  if (!engine_room(s->st, path, cpath, k + 1, sizeof **path)) return false;
  for (uint32_t at = s->past[i]; at != SWARM_NONE; at = s->choice[at].parent) (*path)[--k] = at;
  return true;
}

norn_status swarm_choices(const swarm *s, size_t i, uint32_t **path, size_t *cpath)
{
  size_t n;
  if (!swarm_path(s, i, path, cpath, &n)) return NORN_EMEMORY;
  for (size_t k = 0; k < n; k++) {
    const swarm_choice *c = &s->choice[(*path)[k]];
    if (norn_infer_choice(s->inf, c->addr, column_at(s->st, &s->value, c->value))) return NORN_EMEMORY;
  }
  return NORN_OK;
}

/* Copies what is in the past of `from`'s particles [0, n) of `old` to `new`, where it is empty, and
   with them what they returned; old and new may not be one.  Parents lie before their children, so one
   pass renumbers. */
static bool pasts_copy(swarm *new, const swarm *old, const uint32_t *from)
{
  norn_state *st = old->st;
  uint32_t *at = engine_get(st, (old->nchoice + 1) * sizeof *at);
  bool good = at != NULL;
  for (size_t i = 0; i < new->n && good; i++)
    for (uint32_t k = old->past[from[i]]; k != SWARM_NONE && !at[k]; k = old->choice[k].parent) at[k] = 1;
  for (size_t k = 0; k < old->nchoice && good; k++) {
    if (!at[k]) continue;
    const swarm_choice *c = &old->choice[k];
    good = engine_room(st, &new->choice, &new->cchoice, new->nchoice + 1, sizeof *new->choice);
    if (!good) break;
    new->choice[new->nchoice] = (swarm_choice){c->addr, c->parent == SWARM_NONE ? SWARM_NONE : at[c->parent],
                                               (uint32_t)new->value.n};
    at[k] = (uint32_t)new->nchoice++;
    good = column_push(st, &new->value, column_at(st, &old->value, c->value));
  }
  for (size_t i = 0; i < new->n && good; i++) {
    uint32_t p = old->past[from[i]], e = old->ended[from[i]];
    new->past[i] = p == SWARM_NONE ? p : at[p];
    new->ended[i] = e == SWARM_NONE ? e : (uint32_t)new->result.n;
    if (e != SWARM_NONE) good = column_push(st, &new->result, column_at(st, &old->result, e));
  }
  engine_put(st, at, (old->nchoice + 1) * sizeof *at);
  new->compacted = new->nchoice;
  return good;
}

/* Drops the choices that are in nobody's past. */
static bool compact(swarm *s)
{
  norn_state *st = s->st;
  swarm new = {.st = st, .n = s->n};
  new.past = engine_get(st, 3 * s->n * sizeof *new.past);
  bool good = new.past != NULL;
  if (good) {
    new.ended = new.past + s->n;
    uint32_t *all = new.ended + s->n;
    for (size_t i = 0; i < s->n; i++) all[i] = (uint32_t)i;
    good = pasts_copy(&new, s, all);
  }
  if (good) {
    swarm old = *s;
    memcpy(s->past, new.past, s->n * sizeof *s->past);
    memcpy(s->ended, new.ended, s->n * sizeof *s->ended);
    s->choice = new.choice;
    s->cchoice = new.cchoice;
    s->nchoice = s->compacted = new.nchoice;
    s->value = new.value;
    s->result = new.result;
    new.choice = old.choice;
    new.cchoice = old.cchoice;
    new.value = old.value;
    new.result = old.result;
  }
  column_free(st, &new.value);
  column_free(st, &new.result);
  engine_put(st, new.choice, new.cchoice * sizeof *new.choice);
  engine_put(st, new.past, 3 * s->n * sizeof *new.past);
  return good;
}

bool swarm_tidy(swarm *s)
{
  size_t many = 2 * s->compacted + 4 * s->n + 1024;
  return (s->nchoice <= many && s->result.n <= many) || compact(s);
}

/* ---- to the barrier ---- */

static void set_ready(norn_run *r, bool on)
{
  unsigned flags = norn_run_flags_of(r) & ~(unsigned)NORN_RUN_READY;
  norn_run_flags(r, flags | (on ? NORN_RUN_READY : 0));
}

bool swarm_arrive(swarm *s, size_t i, const norn_event *ev)
{
  double lw = norn_run_logw(s->run[i]);
  if (lw > -HUGE_VAL) norn_run_add_logw(s->run[i], -lw);
  s->lik[i] += lw;
  if (ev->kind == NORN_DEAD) s->logw[i] = -HUGE_VAL;
  else s->logw[i] += s->beta * lw;
  if (ev->kind == NORN_OBSERVE) {
    if (s->in_rounds) set_ready(s->run[i], false);
    return s->running++, true;
  }
  if (ev->kind == NORN_DEAD) {
    s->lik[i] = -HUGE_VAL;
    if (s->died) s->died(s->died_user, i, ev->span);
    else norn_infer_dead(s->inf, ev->span);
  } else {
    s->inf->improper |= (norn_run_flags_of(s->run[i]) & NORN_RUN_IMPROPER) != 0;
    s->ended[i] = (uint32_t)s->result.n;
    if (!column_push(s->st, &s->result, ev->value)) return false;
  }
  norn_run_free(s->run[i]);
  s->run[i] = NULL;
  return true;
}

/* Particle s->next stands at a choice, which somebody else will make. */
static norn_step ask(swarm *s, const norn_event *ev)
{
  norn_datum d = norn_dist_new(s->st, ev->dist->row, ev->dist->args, ev->dist->n);
  if (norn_is_none(d) || !(s->asked = norn_keep(s->st, d))) return NORN_STEP_FAIL;
  s->asked_addr = ev->addr;
  return NORN_STEP_DONE;
}

bool swarm_tell(swarm *s, uint64_t addr, norn_datum v)
{
  norn_run_answer(s->run[s->next], v);
  return swarm_choose(s, s->next, addr, v);
}

/* Particle i to its barrier, or to where it stands at what gets ready. */
static norn_step advance_one(swarm *s, size_t i, swarm_answer *answer, void *user, norn_event *at)
{
  for (;;) {
    norn_event ev;
    norn_datum v;
    double lw = 0;
    switch (norn_run_next(s->run[i], &ev)) {
    case NORN_READY:
      *at = ev;
      return NORN_STEP_DONE;
    case NORN_SAMPLE:
      if (!answer) return ask(s, &ev);
      if (answer(user, i, s->run[i], &ev, &v, &lw))
        return engine_failed(norn_infer_state(s->inf), ev.span);
      s->logw[i] += lw;
      norn_run_answer(s->run[i], v);
      if (!swarm_choose(s, i, ev.addr, v)) return NORN_STEP_FAIL;
      break;
    case NORN_INFER: {
      norn_step step = norn_infer_wait(s->inf, s->run[i], &ev);
      if (step != NORN_STEP_MORE) return step;
      break;
    }
    case NORN_OBSERVE: case NORN_DEAD: case NORN_DONE:
      if (s->seen && ev.kind == NORN_OBSERVE) {
        norn_step step = s->seen(s->seen_user, i, &ev);
        if (step == NORN_STEP_FAIL) return step;
        if (step == NORN_STEP_DONE) ev.kind = NORN_DEAD;
      }
      *at = ev;
      return swarm_arrive(s, i, &ev) ? NORN_STEP_DONE : NORN_STEP_FAIL;
    default: return NORN_STEP_FAIL;
    }
  }
}

static norn_step advance_rounds(swarm *s, swarm_answer *answer, void *user)
{
  rounds *r = &s->rounds;
  norn_event ev;
  int next = 1;
  if (!r->on) {
    if (!swarm_tidy(s)) return NORN_STEP_FAIL;
    rounds_begin(r);
    for (size_t i = 0; i < s->n; i++) {
      if (!s->run[i]) continue;
      set_ready(s->run[i], true);
      rounds_add(r, i);
    }
  }
  while (next > 0) {
    for (; r->at < r->n; r->at++) {
      size_t i = r->place[r->at];
      if (!s->run[i]) continue;
      norn_step step = advance_one(s, i, answer, user, &ev);
      if (step != NORN_STEP_DONE) return step;
      if (ev.kind == NORN_READY) rounds_stand(r, s->run[i], &ev);
      else s->next++;
    }
    next = rounds_next(r);
  }
  return next ? NORN_STEP_FAIL : NORN_STEP_DONE;
}

norn_step swarm_advance(swarm *s, swarm_answer *answer, void *user)
{
  norn_event ev;
  if (s->in_rounds && answer) return advance_rounds(s, answer, user);
  if (!s->next && !swarm_tidy(s)) return NORN_STEP_FAIL;
  for (; s->next < s->n; s->next++) {
    if (!s->run[s->next]) continue;
    norn_step step = advance_one(s, s->next, answer, user, &ev);
    if (step != NORN_STEP_DONE || s->asked) return step;
  }
  return NORN_STEP_DONE;
}

double swarm_weights(swarm *s, double *top)
{
  double sum = 0;
  *top = -HUGE_VAL;
  for (size_t i = 0; i < s->n; i++) *top = fmax(*top, s->logw[i]);
  for (size_t i = 0; i < s->n; i++) {
    s->w[i] = s->logw[i] == -HUGE_VAL ? 0 : exp(s->logw[i] - *top);
    sum += s->w[i];
  }
  return sum;
}

/* A particle with offspring keeps its place. */
bool swarm_ancestors(swarm *s, double sum, norn_rng *g)
{
  uint32_t *count = engine_get(s->st, s->n * sizeof *count);
  size_t empty = 0;
  if (!count) return false;
  resample(RESAMPLE_SYSTEMATIC, s->w, sum, count, s->n, g);
  for (size_t j = 0; j < s->n; j++) {
    if (count[j]) s->from[j] = (uint32_t)j;
    for (uint32_t c = count[j]; c > 1; c--) {
      while (count[empty]) empty++;
      s->from[empty++] = (uint32_t)j;
    }
  }
  engine_put(s->st, count, s->n * sizeof *count);
  return true;
}

void swarm_leg(swarm *s)
{
  s->next = s->running = 0;
  s->barrier++;
}

bool swarm_places(swarm *s, const uint32_t *to, const uint32_t *from, size_t n)
{
  for (size_t k = 0; k < n; k++) {
    s->past[to[k]] = s->past[from[k]];
    s->ended[to[k]] = s->ended[from[k]];
    s->lik[to[k]] = s->lik[from[k]];
  }
  return !n || norn_runs_copy(s->run, to, from, (int)n);
}

bool swarm_fork(swarm *new, const swarm *old, const uint32_t *from, size_t n, norn_infer *inf,
                uint64_t stream)
{
  if (!room(old->st, new, n, old->in_rounds)) return false;
  new->inf = inf;
  new->stream = stream;
  new->beta = old->beta;
  new->whole = old->whole;
  new->barrier = old->barrier;
  new->running = old->running;
  new->next = old->next;
  for (size_t i = 0; i < n; i++) {
    new->past[i] = new->ended[i] = SWARM_NONE;
    new->logw[i] = old->logw[from[i]];
    new->lik[i] = old->lik[from[i]];
    if (!old->run[from[i]]) continue;
    if (!(new->run[i] = norn_run_fork(old->run[from[i]], (uint32_t)i))) return false;
    norn_run_stream(new->run[i], stream, (uint32_t)i, new->barrier);
  }
  return pasts_copy(new, old, from);
}

/* A particle that is its own ancestor stays; its further descendants go to places of others, each of
   which so runs in its own lane. */
bool swarm_copy(swarm *s, const uint32_t *from, size_t kept)
{
  norn_state *st = s->st;
  size_t n = s->n;
  uint32_t *count = engine_get(st, 3 * n * sizeof *count), *to = count + n, *of = to + n;
  size_t m = 0, empty = kept;
  if (!count) return false;
  for (size_t i = kept; i < n; i++) count[from[i]]++;
  for (size_t j = 0; j < n; j++) {
    uint32_t extra = count[j];
    if (extra && j >= kept) extra--;             /* it stays */
    for (; extra; extra--) {
      while (count[empty]) empty++;
      to[m] = (uint32_t)empty;
      of[m++] = (uint32_t)j;
      empty++;                                   /* each empty place is taken once */
    }
  }
  bool good = swarm_places(s, to, of, m);
  engine_put(st, count, 3 * n * sizeof *count);
  for (size_t i = 0; i < n; i++) s->logw[i] = 0;
  swarm_leg(s);
  return good;
}

size_t swarm_pick(const double *w, size_t n, double sum, norn_rng *g)
{
  double at = norn_rng_uniform(g) * sum;
  size_t last = 0;
  for (size_t i = 0; i < n; i++) {
    if (!(w[i] > 0)) continue;
    last = i;
    at -= w[i];
    if (at < 0) break;
  }
  return last;
}

bool swarm_fits(const swarm *s)
{
  bool well = s->next <= s->n && (!s->asked || (s->next < s->n && s->run[s->next]));
  for (size_t i = 0; well && i < s->n; i++)
    well = (s->past[i] == SWARM_NONE || s->past[i] < s->nchoice) &&
           (s->ended[i] == SWARM_NONE || s->ended[i] < s->result.n);
  for (size_t k = 0; well && k < s->nchoice; k++)
    well = s->choice[k].value < s->value.n && (s->choice[k].parent == SWARM_NONE || s->choice[k].parent < k);
  return well;
}

bool swarm_archive(norn_archive *a, swarm *s)
{
  for (size_t i = 0; i < s->n; i++) if (!norn_archive_run(a, &s->run[i])) return false;
  norn_archive_array(a, &s->logw, NULL, s->n, sizeof *s->logw);
  norn_archive_array(a, &s->lik, NULL, s->n, sizeof *s->lik);
  norn_archive_f64(a, &s->beta);
  norn_archive_bytes(a, &s->stream, sizeof s->stream);
  norn_archive_size(a, &s->compacted);
  norn_archive_array(a, &s->past, NULL, s->n, sizeof *s->past);
  norn_archive_array(a, &s->ended, NULL, s->n, sizeof *s->ended);
  norn_archive_size(a, &s->nchoice);
  norn_archive_array(a, &s->choice, &s->cchoice, s->nchoice, sizeof *s->choice);
  norn_archive_size(a, &s->next);
  norn_archive_size(a, &s->running);
  norn_archive_u32(a, &s->barrier);
  if (!column_archive(a, &s->value) || !column_archive(a, &s->result)) return false;
  norn_archive_bool(a, &s->whole);
  norn_archive_bytes(a, &s->asked_addr, sizeof s->asked_addr);
  if (!norn_archive_ref(a, &s->asked)) return false;
  norn_archive_bool(a, &s->in_rounds);
  return rounds_archive(a, &s->rounds, s->in_rounds ? s->n : 0);
}

size_t swarm_pick_log(double *lw, size_t n, norn_rng *g)
{
  double top = -HUGE_VAL, sum = 0;
  for (size_t i = 0; i < n; i++) top = fmax(top, lw[i]);
  if (!(top > -HUGE_VAL)) return 0;
  for (size_t i = 0; i < n; i++) sum += lw[i] = exp(lw[i] - top);
  return swarm_pick(lw, n, sum, g);
}

void swarm_weigh_value(norn_state *st, const norn_event *ev, norn_datum v, double *lw)
{
  double p;
  if (norn_dist_logp(st, ev->dist, v, &p)) {               /* of another kind */
    norn_clear(st);
    p = -HUGE_VAL;
  }
  *lw += p;
}
