/* mover: particles moved by a kernel (mover.h). */
#include "infer/particles/mover.h"
#include "infer/infer.h"

enum { WORK = 64 };

norn_status mover_init(mover *m, norn_infer *inf, norn_datum engine, const char *inside, uint64_t stream)
{
  m->inf = inf;
  m->g = (target){ .stream = stream };
  m->k = kernel_new(inf, engine, inside);
  return m->k ? NORN_OK : norn_error(norn_infer_state(inf))->code;
}

void mover_free(mover *m)
{
  if (!m->inf) return;
  norn_state *st = norn_infer_state(m->inf);
  if (m->at == MOVER_BUILD) execution_end(&m->x);
  kernel_free(m->k);
  trace_free(st, &m->t);
  engine_put(st, m->path, m->cpath * sizeof *m->path);
}

/* The value of the particle's next choice. */
static norn_datum known(void *user, const norn_event *ev)
{
  mover *m = user;
  const swarm *s = m->s;
  if (m->used < m->npath) {
    const swarm_choice *c = &s->choice[m->path[m->used++]];
    if (c->addr == ev->addr) return column_at(s->st, &s->value, c->value);
  }
  m->lost = true;
  return norn_none();
}

static norn_step lost(mover *m)
{
  norn_state *st = norn_infer_state(m->inf);
  norn_fail(st, NORN_EINFER, -1,
            "%s can't move the choices of a program that does not do the same when it is given the same "
            "values", infer_engine(m->inf)->name);
  norn_hint(st, "is there a nested inference by draws? enumerate() gives the same each time");
  return NORN_STEP_FAIL;
}

/* The trace of particle m->next. */
static norn_step build(mover *m)
{
  const swarm *s = m->s;
  norn_step step = execution_step(&m->x);
  if (step != NORN_STEP_DONE) return step;
  execution_end(&m->x);
  m->at = MOVER_MOVE;
  bool same = !m->lost && m->used == m->npath && !m->x.dead && !m->x.impossible &&
    fabs(m->t.logw - s->lik[m->next]) <= 1e-9 * (1 + fabs(s->lik[m->next]));
  return same ? NORN_STEP_DONE : lost(m);
}

/* The first choice in which the trace differs from the particle's past. */
static size_t first_changed(const mover *m)
{
  const swarm *s = m->s;
  const trace *t = &m->t;
  size_t k = 0;
  for (; k < t->n && k < m->npath; k++) {
    const swarm_choice *c = &s->choice[m->path[k]];
    norn_datum was = column_at(s->st, &s->value, c->value), is = trace_value(&t->c[k]);
    if (c->addr != t->c[k].addr || was.tag != is.tag || was.i != is.i) break;
  }
  return k;
}

/* Particle m->next becomes what the trace is. */
static norn_step take(mover *m)
{
  swarm *s = m->s;
  trace *t = &m->t;
  size_t i = m->next, k = first_changed(m);
  if (k == t->n && k == m->npath) return NORN_STEP_DONE;
  s->past[i] = k ? m->path[k - 1] : SWARM_NONE;
  for (; k < t->n; k++)
    if (!swarm_choose(s, i, t->c[k].addr, trace_value(&t->c[k]))) return NORN_STEP_FAIL;
  s->lik[i] = t->logw;
  s->running -= s->run[i] != NULL;
  if (s->run[i]) norn_run_free(s->run[i]);
  s->run[i] = t->run;
  t->run = NULL;
  s->ended[i] = SWARM_NONE;
  if (!s->run[i]) {
    s->ended[i] = (uint32_t)s->result.n;
    return column_push(s->st, &s->result, trace_result(t)) ? NORN_STEP_DONE : NORN_STEP_FAIL;
  }
  s->running++;
  norn_run_stream(s->run[i], s->stream, (uint32_t)i, s->barrier);
  norn_run_flags(s->run[i], SWARM_FLAGS);
  norn_run_add_logw(s->run[i], -norn_run_logw(s->run[i]));
  return NORN_STEP_DONE;
}

static norn_step move_one(mover *m)
{
  norn_step step = NORN_STEP_DONE;
  if (m->at == MOVER_REST) {
    if (!swarm_path(m->s, m->next, &m->path, &m->cpath, &m->npath)) return NORN_STEP_FAIL;
    m->used = 0;
    m->lost = false;
    m->g.lane = (uint32_t)m->next;
    if (!execution_start(&m->x, m->inf, &m->g, &m->t, known, m)) return NORN_STEP_FAIL;
    m->at = MOVER_BUILD;
  }
  if (m->at == MOVER_BUILD) step = build(m);
  if (step == NORN_STEP_DONE) step = kernel_step(m->k, &m->g, &m->t);
  if (step != NORN_STEP_DONE) return step;
  m->at = MOVER_REST;
  step = take(m);
  m->npath = m->used = 0;              /* its places may go when the swarm is tidied */
  return step;
}

/* The target of the barrier at which the swarm stands. */
static void aim(mover *m, swarm *s)
{
  m->s = s;
  m->g.barriers = s->whole ? SIZE_MAX : s->barrier;
  m->g.beta = s->beta;
  m->g.stands = !s->whole;
}

norn_step mover_step(mover *m, swarm *s)
{
  aim(m, s);
  for (int work = 0; m->next < s->n; work++, m->next++) {
    if (!s->run[m->next] && (!s->whole || swarm_dead(s, m->next))) continue;
    if (work >= WORK) return NORN_STEP_MORE;
    norn_step step = move_one(m);
    if (step != NORN_STEP_DONE) return step;
  }
  m->next = 0;
  m->g.iter++;
  return NORN_STEP_DONE;
}

bool mover_archive(norn_archive *a, mover *m, swarm *s)
{
  int at = m->at;
  norn_archive_int(a, &at);
  norn_archive_size(a, &m->next);
  norn_archive_u64(a, &m->g.stream);
  norn_archive_u32(a, &m->g.lane);
  norn_archive_u32(a, &m->g.iter);
  norn_archive_bool(a, &m->lost);
  norn_archive_size(a, &m->used);
  norn_archive_size(a, &m->npath);
  norn_archive_array(a, &m->path, &m->cpath, m->npath, sizeof *m->path);
  if (at < MOVER_REST || at > MOVER_MOVE || m->used > m->npath || m->next > s->n)
    norn_archive_fail(a, "a particle is half moved");
  for (size_t k = 0; k < m->npath && !norn_archive_status(a); k++)
    if (m->path[k] >= s->nchoice) norn_archive_fail(a, "its choices are not there");
  if (norn_archive_status(a)) return false;
  aim(m, s);
  if (norn_archive_reading(a) && at == MOVER_BUILD && !execution_start(&m->x, m->inf, &m->g, &m->t, known, m))
    return norn_archive_fail(a, "its program does not begin");
  m->at = at;
  return trace_archive(a, &m->t) && (at != MOVER_BUILD || execution_archive(a, &m->x)) &&
         kernel_archive(a, m->k, &m->g, &m->t);
}
