/* marginal: a particle filter that is run again and again, and one of its histories (marginal.h). */
#include "infer/particles/marginal.h"
#include "infer/checkpoint.h"
#include "infer/infer.h"
#include "num/weights.h"
#include <stdio.h>
#include <string.h>

static norn_state *state_of(const marginal *m) { return norn_infer_state(m->inf); }
static size_t padded(size_t n) { return (n + 7) / 8 * 8; }

/* ---- making and freeing ---- */

static bool runs_new(marginal *m)
{
  m->lanes = false;
  return m->s.run || swarm_new(m->inf, &m->s, m->n);
}

bool marginal_new(norn_infer *inf, marginal *m, const particles_ops *ops, size_t n, bool names, marginal_asked *ask,
                  void *user)
{
  norn_state *st = norn_infer_state(inf);
  *m = (marginal){ .inf = inf, .n = n, .ask = ask, .user = user };
  m->logw = engine_get(st, padded(n) * sizeof *m->logw);
  m->w = engine_get(st, n * sizeof *m->w);
  m->work = engine_get(st, n * sizeof *m->work);
  m->below = engine_get(st, n * sizeof *m->below);
  m->to = engine_get(st, (n + WEIGHTS_ROOM) * sizeof *m->to);
  m->from = engine_get(st, (n + WEIGHTS_ROOM) * sizeof *m->from);
  m->tip = engine_get(st, n * sizeof *m->tip);
  if (!m->logw || !m->w || !m->work || !m->below || !m->to || !m->from || !m->tip) return false;
  for (size_t i = n; i < padded(n); i++) m->logw[i] = -HUGE_VAL;
  m->lanes = marginal_lanes(ops);
  if (!m->lanes) return runs_new(m);
  m->p = particles_new(inf, ops, n, false, false, NORN_RUN_ASKS | (names ? NORN_RUN_NAMES : 0));
  if (m->p) m->p->stream = &m->stream;
  return m->p != NULL;
}

void marginal_free(marginal *m)
{
  if (!m->inf) return;
  norn_state *st = state_of(m);
  particles_free(m->p);
  swarm_free(&m->s);
  if (m->again) norn_run_free(m->again);
  engine_put(st, m->logw, padded(m->n) * sizeof *m->logw);
  engine_put(st, m->w, m->n * sizeof *m->w);
  engine_put(st, m->work, m->n * sizeof *m->work);
  engine_put(st, m->below, m->n * sizeof *m->below);
  engine_put(st, m->to, (m->n + WEIGHTS_ROOM) * sizeof *m->to);
  engine_put(st, m->from, (m->n + WEIGHTS_ROOM) * sizeof *m->from);
  engine_put(st, m->tip, m->n * sizeof *m->tip);
  history_free(st, &m->lines);
  engine_put(st, m->line, m->cline * sizeof *m->line);
  engine_put(st, m->addr, m->caddr * sizeof *m->addr);
  column_free(st, &m->path);
  if (m->value) norn_drop(m->value);
  *m = (marginal){ .inf = NULL };
}

/* ---- choices ---- */

/* A run's choice; what a proposal (via) adds belongs to its weight, as where the VM draws.  false: error set. */
static bool choice_of(marginal *m, bool first, norn_run *run, const norn_event *ev, norn_datum *v)
{
  double excess;
  switch (m->ask(m->user, first, run, ev, v)) {
  case MARGINAL_DRAWN:
    if (!engine_sample(state_of(m), run, ev, true, v, &excess)) return false;
    norn_run_add_logw(run, excess);
    return true;
  case MARGINAL_GIVEN: return true;
  default: return false;
  }
}

static norn_status run_answer(void *user, size_t i, norn_run *run, const norn_event *ev, norn_datum *v, double *lw)
{
  marginal *m = user;
  *lw = 0;
  return choice_of(m, i == 0, run, ev, v) ? NORN_OK : norn_error(state_of(m))->code;
}

/* A choice of lanes, or of one that goes alone.  (Then it may be in the caller's thread, where `run` has another
   state: what is made there can't be kept here.) */
static norn_asked lanes_answer(void *user, norn_run *run, const norn_event *ev, bool first, norn_datum *v)
{
  marginal *m = user;
  norn_state *here = norn_run_state(run);
  switch (m->ask(m->user, first && here == state_of(m), run, ev, v)) {
  case MARGINAL_DRAWN: return NORN_ASKED_DRAW;
  case MARGINAL_GIVEN: return NORN_ASKED_GIVEN;
  case MARGINAL_LATE:
    m->late = true;
    norn_clear(state_of(m));
    norn_fail(here, NORN_EINFER, -1, "a parameter that comes too late for lanes");
    return NORN_ASKED_FAILED;
  default: return NORN_ASKED_FAILED;
  }
}

/* ---- a filter ---- */

/* Each particle in its own lane from the first leg on. */
static bool lines_begin(marginal *m)
{
  norn_state *st = state_of(m);
  m->lines.n = m->lines.old = m->lines.live = 0;
  for (size_t i = 0; i < m->n; i++) {
    m->tip[i] = HISTORY_NONE;
    if (!history_add(st, &m->lines, &m->tip[i], 0, norn_int((int64_t)i))) return false;
  }
  return true;
}

bool marginal_begin(marginal *m, uint64_t stream, norn_rng g)
{
  m->stream = stream;
  m->g = g;
  m->barrier = 0;
  m->log_z = 0;
  m->going = true;
  if (m->lanes) return particles_lanes_again(m->p) && lines_begin(m);
  return swarm_start(&m->s, stream);
}

/* All to the next barrier or their end. */
static norn_step leg(marginal *m)
{
  norn_state *st = state_of(m);
  if (!m->lanes) return swarm_advance(&m->s, run_answer, m);
  norn_choices_attach(st, lanes_answer, m);
  norn_step s = m->p->ops->advance(m->p);
  norn_choices_attach(st, NULL, NULL);
  if (s != NORN_STEP_FAIL || !m->late) return s;
  norn_clear(st);                                /* from the beginning, to the same draws */
  m->late = false;
  m->went.fallen_apart = true;
  if (!runs_new(m) || !marginal_begin(m, m->stream, m->g)) return NORN_STEP_FAIL;
  return swarm_advance(&m->s, run_answer, m);
}

static void leg_next(marginal *m)
{
  m->barrier++;
  if (m->lanes) particles_leg(m->p);
  else swarm_leg(&m->s);
}

/* The copies of a resampling, after this leg. */
static bool copy(marginal *m, size_t n)
{
  norn_state *st = state_of(m);
  if (!m->lanes) {
    memset(m->s.logw, 0, m->n * sizeof *m->s.logw);
    return swarm_places(&m->s, m->to, m->from, n);
  }
  for (size_t k = 0; k < n; k++) {
    uint32_t *tip = &m->tip[m->to[k]];
    *tip = m->tip[m->from[k]];
    if (!history_add(st, &m->lines, tip, m->barrier + 1, norn_int(m->to[k]))) return false;
  }
  memset(m->p->logw, 0, m->n * sizeof *m->p->logw);
  return history_tidy(st, &m->lines, m->tip, m->n) && m->p->ops->copy(m->p, m->to, m->from, n);
}

/* Systematic resampling where the effective sample size is under half. */
static bool resampled(marginal *m, weights_sum all)
{
  norn_rng g = m->g;
  double n = (double)m->n;
  if (all.sum * all.sum > 0.5 * n * all.squares) return true;
  g.draw = 16 + 8 * m->barrier;
  resample_below(RESAMPLE_SYSTEMATIC, m->w, all.sum, m->below, m->n, &g, m->work);
  m->log_z += all.top + log(all.sum / n);
  return copy(m, weights_copies(m->below, m->n, m->to, m->from));
}

norn_step marginal_step(marginal *m)
{
  norn_step s = leg(m);
  m->waited |= s == NORN_STEP_WAIT;
  if (s != NORN_STEP_DONE) return s;
  if (!m->lanes) memcpy(m->logw, m->s.logw, m->n * sizeof *m->logw);
  weights_sum all = weights_exp(m->lanes ? m->p->logw : m->logw, m->w, m->n);
  if (all.sum > 0 && (m->lanes ? m->p->met.running : m->s.running)) {
    if (!resampled(m, all)) return NORN_STEP_FAIL;
    leg_next(m);
    return NORN_STEP_MORE;
  }
  m->going = false;
  m->sum = all.sum;
  if (all.sum > 0) m->log_z += all.top + log(all.sum / (double)m->n);
  norn_lanes_report r;
  if (m->lanes) particles_lanes_look(m->p, &r), marginal_add(&m->went, &r);
  return NORN_STEP_DONE;
}

/* ---- a history ---- */

/* Keeps the next choice. */
static bool keep(marginal *m, uint64_t addr, norn_datum v)
{
  norn_state *st = state_of(m);
  if (!engine_room(st, &m->addr, &m->caddr, m->naddr + 1, sizeof *m->addr)) return false;
  m->addr[m->naddr++] = addr;
  return column_push(st, &m->path, v);
}

static bool keep_value(marginal *m, norn_datum v)
{
  if (m->value) norn_drop(m->value);
  return (m->value = norn_keep(state_of(m), v)) != NULL;
}

/* Of particle k of the swarm. */
static bool take(marginal *m, size_t k)
{
  norn_state *st = state_of(m);
  const swarm *s = &m->s;
  size_t n;
  if (!swarm_path(s, k, &m->line, &m->cline, &n)) return false;
  for (size_t j = 0; j < n; j++) {
    const swarm_choice *c = &s->choice[m->line[j]];
    if (!keep(m, c->addr, column_at(st, &s->value, c->value))) return false;
  }
  return keep_value(m, column_at(st, &s->result, s->ended[k]));
}

/* The lanes of particle k's ancestors, the first leg first. */
static bool line_of(marginal *m, size_t k)
{
  const history_choice *c = m->lines.choice;
  size_t n = 0;
  for (uint32_t at = m->tip[k]; at != HISTORY_NONE; at = c[at].parent) n += 2;
  if (!engine_room(state_of(m), &m->line, &m->cline, n, sizeof *m->line)) return false;
  m->nline = n;
  for (uint32_t at = m->tip[k]; at != HISTORY_NONE; at = c[at].parent) {
    m->line[--n] = (uint32_t)c[at].word;
    m->line[--n] = (uint32_t)c[at].addr;
  }
  return true;
}

bool marginal_pick(marginal *m, norn_rng g)
{
  size_t k = swarm_pick(m->w, m->n, m->sum, &g);
  m->naddr = 0;
  column_clear(state_of(m), &m->path);
  if (!m->lanes) return take(m, k);
  m->leg = 0;
  m->passed = 2;
  if (!line_of(m, k)) return false;
  m->again = norn_infer_run(m->inf, m->line[1], 0, SWARM_FLAGS);
  if (m->again) norn_run_stream(m->again, m->stream, m->line[1], 0);
  return m->again != NULL;
}

norn_step marginal_follow(marginal *m)
{
  norn_event ev;
  norn_datum v;
  norn_step s;
  while (m->again) {
    switch (norn_run_next(m->again, &ev)) {
    case NORN_SAMPLE:
      if (!choice_of(m, false, m->again, &ev, &v)) return engine_failed(state_of(m), ev.span);
      norn_run_answer(m->again, v);
      if (!keep(m, ev.addr, v)) return NORN_STEP_FAIL;
      break;
    case NORN_OBSERVE:
      m->leg++;
      if (m->passed == m->nline || m->line[m->passed] != m->leg) break;
      norn_run_stream(m->again, m->stream, m->line[m->passed + 1], m->leg);
      m->passed += 2;
      break;
    case NORN_INFER:
      s = norn_infer_wait(m->inf, m->again, &ev);
      if (s != NORN_STEP_MORE) return s;
      break;
    case NORN_DONE:
      if (!keep_value(m, ev.value)) return NORN_STEP_FAIL;
      norn_run_free(m->again);
      m->again = NULL;
      break;
    case NORN_ERROR: return NORN_STEP_FAIL;
    default:
      return engine_fail(state_of(m), NORN_EINFER, ev.span, "a particle went another way when its choices were made "
                         "once more"), NORN_STEP_FAIL;
    }
  }
  return NORN_STEP_DONE;
}

/* ---- what is told ---- */

void marginal_add(norn_lanes_report *all, const norn_lanes_report *one)
{
  all->splits += one->splits;
  all->selects += one->selects;
  all->alone += one->alone;
  all->generated += one->generated;
  all->fallen_apart |= one->fallen_apart;
  if (all->why[0] || !one->why[0]) return;
  memcpy(all->why, one->why, sizeof all->why);
  all->where = one->where;
}

void marginal_note(norn_infer *inf, const norn_lanes_report *r, bool lanes)
{
  norn_state *st = norn_infer_state(inf);
  char where[160], why[400];
  norn_infer_note(inf, "executor", norn_cstring(st, !lanes            ? "scalar"
                                                    : r->fallen_apart ? "lanes, then scalar"
                                                    : r->generated    ? "generated"
                                                                      : "lanes"));
  if (!r->alone) return;
  norn_infer_note(inf, "lanes_alone", norn_int((int64_t)r->alone));
  snprintf(why, sizeof why, "%s: %s", norn_span_text(st, r->where, where, sizeof where), r->why);
  norn_infer_note(inf, "alone_for", norn_cstring(st, why));
}

/* ---- checkpoints ---- */

bool marginal_went_archive(norn_archive *a, norn_lanes_report *r)
{
  return norn_archive_size(a, &r->splits) && norn_archive_size(a, &r->selects) && norn_archive_size(a, &r->alone) &&
         norn_archive_size(a, &r->generated) && norn_archive_bool(a, &r->fallen_apart) &&
         norn_archive_span(a, &r->where) && norn_archive_text(a, r->why, sizeof r->why);
}

static bool lanes_archived(norn_archive *a, marginal *m)
{
  particles *p = m->p;
  if (!p) return norn_archive_fail(a, "its particles are not whole");
  norn_archive_array(a, &m->tip, NULL, m->n, sizeof *m->tip);
  if (!history_archive(a, &m->lines)) return false;
  for (size_t i = 0; i < m->n; i++)
    if (m->going && m->tip[i] >= m->lines.n) return norn_archive_fail(a, "its particles are not whole");
  if (!m->going) return true;
  if (norn_archive_reading(a) && !particles_lanes_again(p)) return false;
  norn_archive_size(a, &p->met.observing);
  norn_archive_size(a, &p->met.running);
  return blame_archive(a, &p->met.dead) && norn_archive_array(a, &p->logw, NULL, m->n, sizeof *p->logw) &&
         p->ops->archive(p, a, m->to, m->from);
}

bool marginal_archive(norn_archive *a, marginal *m)
{
  norn_archive_bytes(a, &m->stream, sizeof m->stream);
  norn_archive_rng(a, &m->g);
  norn_archive_u32(a, &m->barrier);
  norn_archive_u32(a, &m->leg);
  norn_archive_bool(a, &m->going);
  norn_archive_f64(a, &m->sum);
  norn_archive_f64(a, &m->log_z);
  norn_archive_size(a, &m->nline);
  norn_archive_size(a, &m->passed);
  if (!norn_archive_status(a) && (m->passed > m->nline || (m->passed | m->nline) & 1))
    return norn_archive_fail(a, "its lines are not whole");
  norn_archive_array(a, &m->line, &m->cline, m->nline, sizeof *m->line);
  norn_archive_size(a, &m->naddr);
  norn_archive_array(a, &m->addr, &m->caddr, m->naddr, sizeof *m->addr);
  norn_archive_bool(a, &m->lanes);
  if (!column_archive(a, &m->path) || !norn_archive_ref(a, &m->value) || !norn_archive_run(a, &m->again)) return false;
  if (!marginal_went_archive(a, &m->went)) return false;
  if (m->lanes) return lanes_archived(a, m);
  if (norn_archive_reading(a) && !runs_new(m)) return false;
  return swarm_archive(a, &m->s);
}
