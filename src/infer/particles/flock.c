/* flock: independent draws that go on together (flock.h): a swarm that is never resampled. */
#include "infer/particles/flock.h"
#include "infer/infer.h"

void flock_wanted(norn_infer *inf, flock *f, bool proposals)
{
  f->wanted = ready_met(inf);
  f->proposals = proposals;
}

static bool begin(norn_infer *inf, flock *f, int64_t first, int64_t n, unsigned flags)
{
  swarm *s = &f->s;
  *s = (swarm){ .whole = true, .seen = f->seen, .seen_user = f->user, .died = f->died, .died_user = f->user };
  if (!swarm_new(inf, s, (size_t)(n < FLOCK ? n : FLOCK)) || !swarm_start(s, norn_infer_stream(inf))) return false;
  for (size_t i = 0; i < s->n; i++) {
    norn_run_stream(s->run[i], s->stream, (uint32_t)first + (uint32_t)i, 0);
    norn_run_flags(s->run[i], flags | (first || i ? 0 : NORN_RUN_CHECK));
  }
  return f->on = true;
}

/* The excess of a proposal is added where the run adds its observations, in their order. */
static norn_status answer(void *user, size_t i, norn_run *r, const norn_event *ev, norn_datum *v, double *lw)
{
  const flock *f = user;
  double excess;
  (void)i;
  if (!engine_sample(f->s.st, r, ev, f->proposals, v, &excess)) return norn_error(f->s.st)->code;
  norn_run_add_logw(r, excess);
  *lw = 0;
  return NORN_OK;
}

norn_step flock_step(norn_infer *inf, flock *f, int64_t first, int64_t n, unsigned flags)
{
  swarm *s = &f->s;
  if (!f->on && !begin(inf, f, first, n, flags)) return NORN_STEP_FAIL;
  for (;;) {
    norn_step step = swarm_advance(s, answer, f);
    if (step != NORN_STEP_DONE || !s->running) return step;
    swarm_leg(s);                                /* observations that are passed over, or weighed by `seen` */
  }
}

bool flock_choices(flock *f, size_t i) { return !swarm_choices(&f->s, i, &f->path, &f->cpath); }

norn_datum flock_value(const flock *f, size_t i) { return column_at(f->s.st, &f->s.result, f->s.ended[i]); }

void flock_end(flock *f)
{
  swarm_free(&f->s);
  f->s = (swarm){ 0 };
  f->on = false;
}

void flock_free(norn_infer *inf, flock *f)
{
  engine_put(norn_infer_state(inf), f->path, f->cpath * sizeof *f->path);
  flock_end(f);
}

bool flock_archive(norn_infer *inf, norn_archive *a, flock *f, int64_t first, int64_t n, unsigned flags)
{
  bool on = f->on;
  norn_archive_bool(a, &f->wanted);
  if (!norn_archive_bool(a, &on) || !on) return !norn_archive_status(a);
  if (norn_archive_reading(a) && n < 1) return norn_archive_fail(a, "its draws are not whole");
  if (norn_archive_reading(a) && !f->on && !begin(inf, f, first, n, flags))
    return norn_archive_fail(a, "there is no memory for its draws");
  return swarm_archive(a, &f->s);
}
