/* together: particles that go on side by side (together.h). */
#include "infer/particles/together.h"
#include "base/archive.h"
#include "infer/infer.h"

enum { THERE, GOES, STANDS };

bool together_new(together *t, swarm *s, size_t most)
{
  norn_state *st = s->st;
  *t = (together){.s = s, .most = most};
  t->at = engine_get(st, most);
  t->ev = engine_get(st, most * sizeof *t->ev);
  t->who = engine_get(st, most * sizeof *t->who);
  t->run = engine_get(st, most * sizeof *t->run);
  t->met = engine_get(st, most * sizeof *t->met);
  t->value = engine_get(st, most * sizeof *t->value);
  t->lw = engine_get(st, most * sizeof *t->lw);
  return t->at && t->ev && t->who && t->run && t->met && t->value && t->lw;
}

void together_free(together *t)
{
  norn_state *st = t->s ? t->s->st : NULL;
  if (!st) return;
  engine_put(st, t->at, t->most);
  engine_put(st, t->ev, t->most * sizeof *t->ev);
  engine_put(st, t->who, t->most * sizeof *t->who);
  engine_put(st, t->run, t->most * sizeof *t->run);
  engine_put(st, t->met, t->most * sizeof *t->met);
  engine_put(st, t->value, t->most * sizeof *t->value);
  engine_put(st, t->lw, t->most * sizeof *t->lw);
  *t = (together){.s = NULL};
}

void together_begin(together *t, size_t from, size_t to)
{
  t->from = t->next = from;
  t->to = to;
  for (size_t i = from; i < to; i++) t->at[i - from] = t->s->run[i] ? GOES : THERE;
}

/* Particle t->next to its next choice, or as far as it goes: DONE. */
static norn_step one(together *t)
{
  swarm *s = t->s;
  size_t i = t->next, k = i - t->from;
  norn_event *ev = &t->ev[k];
  for (;;)
    switch (norn_run_next(s->run[i], ev)) {
    case NORN_SAMPLE:
      t->at[k] = STANDS;
      return NORN_STEP_DONE;
    case NORN_INFER: {
      norn_step step = norn_infer_wait(s->inf, s->run[i], ev);
      t->waits = step == NORN_STEP_WAIT;
      if (step != NORN_STEP_MORE) return step;
      break;
    }
    case NORN_OBSERVE:
      if (t->blind) break;
      t->at[k] = THERE;
      return swarm_arrive(s, i, ev) ? NORN_STEP_DONE : NORN_STEP_FAIL;
    case NORN_DEAD: case NORN_DONE:
      t->at[k] = THERE;
      return swarm_arrive(s, i, ev) ? NORN_STEP_DONE : NORN_STEP_FAIL;
    default: return NORN_STEP_FAIL;
    }
}

/* No value of this weight can be: the particle is dead, as if it had observed that. */
static bool dies(together *t, size_t i, const norn_event *ev)
{
  norn_event dead = *ev;
  dead.kind = NORN_DEAD;
  t->at[i - t->from] = THERE;
  return swarm_arrive(t->s, i, &dead);
}

norn_step together_pass(together *t, together_answers *answers, void *user)
{
  swarm *s = t->s;
  int n = 0;
  t->waits = false;
  for (; t->next < t->to; t->next++) {
    if (t->at[t->next - t->from] != GOES) continue;
    norn_step step = one(t);
    if (step != NORN_STEP_DONE) return step;
  }
  t->next = t->from;
  for (size_t i = t->from; i < t->to; i++) {
    if (t->at[i - t->from] != STANDS) continue;
    t->who[n] = (int32_t)i;
    t->run[n] = s->run[i];
    t->met[n] = t->ev[i - t->from];
    t->lw[n++] = 0;
  }
  if (!n) return NORN_STEP_DONE;
  if (!answers(user, n, t->who, t->run, t->met, t->value, t->lw)) return NORN_STEP_FAIL;
  for (int k = 0; k < n; k++) {
    size_t i = (size_t)t->who[k];
    if (!(t->lw[k] > -HUGE_VAL)) {
      if (!dies(t, i, &t->met[k])) return NORN_STEP_FAIL;
      continue;
    }
    s->logw[i] += t->lw[k];
    t->at[i - t->from] = GOES;
    norn_run_answer(s->run[i], t->value[k]);
    if (!swarm_choose(s, i, t->met[k].addr, t->value[k])) return NORN_STEP_FAIL;
  }
  return NORN_STEP_MORE;
}

bool together_archive(norn_archive *a, together *t)
{
  if (t->waits) return archive_not_now(a, "an inference goes on inside of one that asks a net");
  norn_archive_size(a, &t->from);
  norn_archive_size(a, &t->to);
  norn_archive_size(a, &t->next);
  if (norn_archive_status(a)) return false;
  if (t->from > t->to || t->to > t->s->n || t->to - t->from > t->most || t->next != t->from)
    return norn_archive_fail(a, "its particles do not fit");
  norn_archive_bytes(a, t->at, t->to - t->from);
  for (size_t i = t->from; !norn_archive_status(a) && i < t->to; i++)
    if (t->at[i - t->from] > GOES || (t->at[i - t->from] == GOES && !t->s->run[i]))
      norn_archive_fail(a, "its particles do not fit");
  return !norn_archive_status(a);
}
