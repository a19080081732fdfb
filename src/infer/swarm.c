/* swarm: particles with their choices (swarm.h). */
#include "infer/swarm.h"
#include "infer/infer.h"
#include <string.h>

bool swarm_new(norn_infer *inf, swarm *s, size_t n)
{
  norn_state *st = norn_infer_state(inf);
  s->inf = inf;
  s->n = n;
  s->run = engine_get(st, n * sizeof *s->run);
  s->logw = engine_get(st, 2 * n * sizeof *s->logw);
  s->past = engine_get(st, 3 * n * sizeof *s->past);
  if (!s->run || !s->logw || !s->past) return false;
  s->w = s->logw + n;
  s->ended = s->past + n;
  s->from = s->ended + n;
  return true;
}

static void swarm_clear(swarm *s)
{
  for (size_t i = 0; s->run && i < s->n; i++) {
    if (s->run[i]) norn_run_free(s->run[i]);
    s->run[i] = NULL;
  }
  column_clear(norn_infer_state(s->inf), &s->value);
  column_clear(norn_infer_state(s->inf), &s->result);
  s->nchoice = s->next = s->running = 0;
  s->barrier = 0;
}

void swarm_free(swarm *s)
{
  if (!s->inf) return;
  norn_state *st = norn_infer_state(s->inf);
  swarm_clear(s);
  column_free(st, &s->value);
  column_free(st, &s->result);
  engine_put(st, s->choice, s->cchoice * sizeof *s->choice);
  engine_put(st, s->run, s->n * sizeof *s->run);
  engine_put(st, s->logw, 2 * s->n * sizeof *s->logw);
  engine_put(st, s->past, 3 * s->n * sizeof *s->past);
}

bool swarm_start(swarm *s, uint64_t stream)
{
  const unsigned flags = NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_NAMES;
  swarm_clear(s);
  for (size_t i = 0; i < s->n; i++) {
    s->run[i] = norn_infer_run(s->inf, (uint32_t)i, 0, flags | (i ? 0 : NORN_RUN_CHECK));
    if (!s->run[i]) return false;
    norn_run_stream(s->run[i], stream, (uint32_t)i, 0);
    s->logw[i] = 0;
    s->past[i] = s->ended[i] = SWARM_NONE;
  }
  return true;
}

static bool choice_add(swarm *s, size_t i, uint64_t addr, norn_datum v)
{
  norn_state *st = norn_infer_state(s->inf);
  if (!engine_room(st, &s->choice, &s->cchoice, s->nchoice + 1, sizeof *s->choice)) return false;
  s->choice[s->nchoice] = (swarm_choice){addr, s->past[i], (uint32_t)s->value.n};
  s->past[i] = (uint32_t)s->nchoice++;
  return column_push(st, &s->value, v);
}

/* Particle i has come to an observation, its end or its death. */
static bool arrive(swarm *s, size_t i, const norn_event *ev)
{
  double lw = norn_run_logw(s->run[i]);
  if (lw > -HUGE_VAL) norn_run_add_logw(s->run[i], -lw);
  s->logw[i] += lw;
  if (ev->kind == NORN_OBSERVE) return s->running++, true;
  if (ev->kind == NORN_DEAD) {
    norn_infer_dead(s->inf, ev->span);
    s->logw[i] = -HUGE_VAL;
  } else {
    s->ended[i] = (uint32_t)s->result.n;
    if (!column_push(norn_infer_state(s->inf), &s->result, ev->value)) return false;
  }
  norn_run_free(s->run[i]);
  s->run[i] = NULL;
  return true;
}

/* Particle s->next to its barrier. */
static norn_step advance_one(swarm *s, swarm_answer *answer, void *user)
{
  size_t i = s->next;
  for (;;) {
    norn_event ev;
    norn_datum v;
    double lw = 0;
    switch (norn_run_next(s->run[i], &ev)) {
    case NORN_SAMPLE:
      if (answer(user, i, s->run[i], &ev, &v, &lw))
        return engine_failed(norn_infer_state(s->inf), ev.span);
      norn_run_add_logw(s->run[i], lw);
      norn_run_answer(s->run[i], v);
      if (!choice_add(s, i, ev.addr, v)) return NORN_STEP_FAIL;
      break;
    case NORN_INFER: {
      norn_step step = norn_infer_wait(s->inf, s->run[i], &ev);
      if (step != NORN_STEP_MORE) return step;
      break;
    }
    case NORN_OBSERVE: case NORN_DEAD: case NORN_DONE:
      return arrive(s, i, &ev) ? NORN_STEP_DONE : NORN_STEP_FAIL;
    default: return NORN_STEP_FAIL;
    }
  }
}

norn_step swarm_advance(swarm *s, swarm_answer *answer, void *user)
{
  for (; s->next < s->n; s->next++) {
    if (!s->run[s->next]) continue;
    norn_step step = advance_one(s, answer, user);
    if (step != NORN_STEP_DONE) return step;
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

/* A particle that is its own ancestor stays; its further descendants go to places of others, each of
   which so runs in its own lane. */
bool swarm_copy(swarm *s, const uint32_t *from, size_t kept)
{
  norn_state *st = norn_infer_state(s->inf);
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
      s->past[empty] = s->past[j];
      s->ended[empty] = s->ended[j];
      empty++;                                   /* each empty place is taken once */
    }
  }
  bool good = !m || norn_runs_copy(s->run, to, of, (int)m);
  engine_put(st, count, 3 * n * sizeof *count);
  for (size_t i = 0; i < n; i++) s->logw[i] = 0;
  s->next = s->running = 0;
  s->barrier++;
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
