/* drive: steps inferences and runs programs to their end.

   Inferences that wait for one another are a list on the heap, outermost first: an engine whose run
   meets infer(...) returns norn_infer_wait, which hangs the nested inference under it; only the
   innermost is stepped; when it ends, its posterior answers the run that waits and the engine above
   goes on.  So nesting of any depth uses no C stack.

   Exact posteriors are functions of (model value, engine value): the state keeps up to EXACT_MAX of
   them (VALUES_MAX values in all) by those two, and forgets all when that is full.  Monte-Carlo
   posteriors are random measures, fresh in each run: never kept, and the outer result notes that it
   is biased O(1/n). */
#include "infer/chains/branches.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include <stdio.h>
#include <string.h>

#define EXACT_MAX 4096
#define VALUES_MAX 1000000
#define PROGRESS_EVERY .1      /* seconds */
#define PAUSE_EVENTS 256       /* of a program, between two pauses */

/* ---- exact posteriors by model and engine ---- */

static uint64_t exact_hash(norn_datum model, norn_datum engine)
{
  return hash_mix(norn_hash(model) * 3 + norn_hash(engine)) | 1;     /* 0 is a free entry */
}

static void exact_forget(infer_slot *s)
{
  for (size_t i = 0; i < s->cexact; i++) {
    exact_entry *e = &s->exact[i];
    if (!e->hash) continue;
    norn_drop(e->model);
    norn_drop(e->engine);
    norn_drop(e->posterior);
    *e = (exact_entry){ 0 };
  }
  s->nexact = 0;
  s->values = 0;
}

/* The entry of that key, or the free one where it belongs. */
static exact_entry *exact_find(infer_slot *s, uint64_t h, norn_datum model, norn_datum engine)
{
  size_t k = h & (s->cexact - 1);
  for (; s->exact[k].hash; k = (k + 1) & (s->cexact - 1)) {
    exact_entry *e = &s->exact[k];
    if (e->hash == h && norn_equal(norn_get(e->model), model) &&
        norn_equal(norn_get(e->engine), engine))
      break;
  }
  return &s->exact[k];
}

static norn_datum exact_get(norn_state *st, norn_datum model, norn_datum engine)
{
  infer_slot *s = infer_slot_of(st);
  if (!s || !s->exact) return norn_none();
  exact_entry *e = exact_find(s, exact_hash(model, engine), model, engine);
  return e->hash ? norn_get(e->posterior) : norn_none();
}

static void exact_put(norn_state *st, norn_datum model, norn_datum engine, norn_datum posterior)
{
  infer_slot *s = infer_slot_of(st);
  norn_dist d;
  if (!s || !posterior_args(posterior, &d)) return;
  int64_t n = norn_array_length(d.args[POST_VALUES]);
  if (n > VALUES_MAX / 10) return;
  if (!s->exact) {
    s->exact = engine_get(st, 2 * EXACT_MAX * sizeof *s->exact);
    if (!s->exact) { norn_clear(st); return; }
    s->cexact = 2 * EXACT_MAX;
  }
  if (s->nexact == EXACT_MAX || s->values + n > VALUES_MAX) exact_forget(s);
  uint64_t h = exact_hash(model, engine);
  exact_entry *e = exact_find(s, h, model, engine);
  if (e->hash) return;
  exact_entry x = { h, norn_keep(st, model), norn_keep(st, engine), norn_keep(st, posterior) };
  if (x.model && x.engine && x.posterior) {
    *e = x;
    s->nexact++;
    s->values += n;
    return;
  }
  norn_ref *refs[] = { x.model, x.engine, x.posterior };
  for (int i = 0; i < 3; i++) if (refs[i]) norn_drop(refs[i]);
}

/* ---- nesting ---- */

static uint64_t nested_stream(norn_run *run, const norn_event *ev)
{
  norn_rng g;
  norn_run_rng(run, ev, &g);
  return norn_stream_split(g.stream, g.lane, g.event, g.iter);
}

norn_step norn_infer_wait(norn_infer *inf, norn_run *run, const norn_event *ev)
{
  if (inf->trunk && norn_is_none(ev->value)) {
    inf->rests = ev->count == 1;
    return branch_away(inf);
  }
  if (inf->trunk) inf = inf->trunk;
  norn_datum known = exact_get(inf->st, ev->value, ev->engine);
  if (!norn_is_none(known)) {
    norn_run_answer(run, known);
    return NORN_STEP_MORE;
  }
  norn_step s = infer_nest(inf, ev->value, ev->engine, nested_stream(run, ev));
  if (s == NORN_STEP_FAIL) return engine_failed(inf->st, ev->span);
  inf->waiting = run;
  return s;
}

norn_step infer_nest(norn_infer *outer, norn_datum model, norn_datum engine, uint64_t stream)
{
  norn_infer *inner = infer_make(outer->st, model, engine, stream);
  if (!inner) return NORN_STEP_FAIL;
  inner->outer = outer;
  outer->inner = inner;
  return NORN_STEP_WAIT;
}

/* The posterior of one of an array of models. */
static norn_step infer_pop_one(norn_infer *root, norn_infer *inner, norn_datum posterior)
{
  norn_infer *outer = inner->outer;
  bool taken = many_take(outer, inner, posterior);
  outer->inner = NULL;
  root->top = outer;
  norn_infer_free(inner);
  return taken ? NORN_STEP_MORE : NORN_STEP_FAIL;
}

/* The innermost has ended: its posterior answers the run above, and it is gone. */
static norn_step infer_pop(norn_infer *root)
{
  norn_infer *inner = root->top, *outer = inner->outer;
  norn_state *st = root->st;
  norn_datum posterior = norn_infer_result(inner);
  if (norn_is_none(posterior)) return NORN_STEP_FAIL;
  bool exact = inner->engine->flags & NORN_ENGINE_EXACT,
       itself = inner->by_rule || !inner->named;       /* else it says how it came to that engine */
  if (exact && itself)
    exact_put(st, norn_get(inner->model), inner->by_rule ? norn_unit() : norn_get(inner->options),
              posterior);
  if (outer->engine == &engine_many) return infer_pop_one(root, inner, posterior);
  if (!exact && (!inner->answer || inner->engine == &engine_many))
    norn_infer_note(outer, "nested",
                    norn_cstring(st, "a nested posterior is made of draws: biased O(1/n)"));
  infer_inherit(outer, inner, "nested inference: ");
  norn_run_answer(outer->waiting, posterior);
  outer->waiting = NULL;
  outer->inner = NULL;
  root->top = outer;
  norn_infer_free(inner);
  return NORN_STEP_MORE;
}

norn_step norn_infer_step(norn_infer *root)
{
  norn_infer *inf = root->top;
  norn_step s;
  if (root->failed) return NORN_STEP_FAIL;
  if (root->done) return NORN_STEP_DONE;
  if (!inf->begun) {
    inf->begun = true;
    s = inf->engine->init && inf->engine->init(inf, inf->self) ? NORN_STEP_FAIL : NORN_STEP_MORE;
  } else {
    s = inf->engine->step(inf, inf->self);
  }
  if (s == NORN_STEP_WAIT) root->top = inf->inner;
  if (s == NORN_STEP_DONE) {
    inf->done = true;
    if (inf == root) return NORN_STEP_DONE;
    s = infer_pop(root);
  }
  if (s != NORN_STEP_FAIL) return NORN_STEP_MORE;
  if (inf->outer && inf->outer->engine == &engine_many) many_failed(inf->outer);
  root->failed = true;
  return NORN_STEP_FAIL;
}

void norn_infer_progress(norn_infer *inf, norn_progress *p)
{
  memset(p, 0, sizeof *p);
  if (inf->begun && inf->engine->progress) inf->engine->progress(inf, inf->self, p);
}

/* ---- the loop ---- */

/* False: the host wants to stop. */
static bool progress_report(norn_infer *root)
{
  infer_slot *s = infer_slot_of(root->st);
  if (!s || !s->progress) return true;
  double now = infer_seconds();
  if (now - s->last < PROGRESS_EVERY) return true;
  norn_progress p;
  s->last = now;
  norn_infer_progress(root, &p);
  const char *name = root->engine->name;
  if (s->progress(s->user, name + (*name == '_'), &p)) return true;
  norn_fail(root->st, NORN_EINTERRUPT, -1, "interrupted");
  return false;
}

norn_datum infer_run_to_end(norn_infer *root)
{
  norn_datum out = norn_none();
  norn_step s;
  do s = norn_infer_step(root);
  while (s == NORN_STEP_MORE && progress_report(root) && !norn_poll(root->st));
  if (s == NORN_STEP_DONE) out = norn_infer_result(root);
  norn_infer_free(root);
  return out;
}

/* The status of the error that stands in the state. */
static norn_status drive_status(norn_state *st)
{
  const norn_err *e = norn_error(st);
  return e && e->code ? e->code : norn_fail(st, NORN_EUSE, -1, "inference failed without an error");
}

norn_status norn_infer_all(norn_state *st, norn_datum model, norn_datum engine,
                           norn_datum *posterior)
{
  norn_limits_start(st);
  norn_infer *inf = norn_infer_new(st, model, engine);
  if (!inf) return drive_status(st);
  *posterior = infer_run_to_end(inf);
  return norn_is_none(*posterior) ? drive_status(st) : NORN_OK;
}

norn_status infer_exact(norn_state *st, norn_datum model, norn_datum engine, norn_span span,
                        norn_datum *out)
{
  infer_slot *s = infer_slot_of(st);
  *out = exact_get(st, model, engine);
  if (!norn_is_none(*out)) return NORN_OK;
  norn_ref *m = norn_keep(st, model), *e = norn_keep(st, engine);
  norn_infer *inf = m && e && s ? infer_make(st, model, engine, 0) : NULL;
  if (inf) {
    infer_slot was = *s;                         /* nobody listens */
    s->progress = NULL;
    s->drawn = NULL;
    *out = infer_run_to_end(inf);
    s->progress = was.progress;
    s->drawn = was.drawn;
  }
  if (norn_is_none(*out)) engine_place(st, span);
  else exact_put(st, norn_get(m), norn_get(e), *out);
  if (m) norn_drop(m);
  if (e) norn_drop(e);
  return norn_is_none(*out) ? drive_status(st) : NORN_OK;
}

/* ---- top level ---- */

/* Does the line of the event say factor?  A text's constraint weighs in the library, at the line that asks for it. */
static bool says_factor(norn_state *st, const norn_event *ev)
{
  size_t n = 0;
  uint32_t line;
  const char *s = norn_span_line(st, ev->span, &n, &line);
  for (size_t i = 0; s && i + 6 <= n; i++) if (!memcmp(s + i, "factor", 6)) return true;
  return false;
}

/* `observe` and the like where no inference runs. */
static norn_status drive_refuse(norn_state *st, const norn_event *ev)
{
  const char *what = ev->flags & NORN_EV_TWIST ? "twist"
    : ev->flags & NORN_EV_FACTOR                ? "factor"
    : ev->flags & NORN_EV_CONDITION             ? "condition"
                                                : "observe";
  norn_status s = engine_fail(st, NORN_EINFER, ev->span, "%s outside inference", what);
  /* else, where there are language models, it is theirs (language_context.norn) */
  if (ev->flags & NORN_EV_FACTOR && norn_may_get_ready(st) && !says_factor(st, ev))
    norn_hint(st, "a text under a constraint has weights: sample(infer(ctx.text(match = ...), smc(particles = 100))), "
              "or let s ~ ctx.text(...) in a model that is inferred");
  else norn_hint(st, "put it in a model and run infer(model, engine)");
  return s;
}

/* May the program be saved: it is what the host drives, and nothing else goes on? */
static bool drive_pauses(const infer_slot *s, const norn_run *run)
{
  return s && s->pause && s->driving == 1 && s->program.run == run;
}

/* Steps what the program waits for to its end, pausing between two steps; consumes it.  NONE: error set. */
static norn_datum drive_steps(norn_state *st, norn_run *run, norn_infer *root)
{
  infer_slot *s = infer_slot_of(st);
  norn_datum out = norn_none();
  norn_step step;
  if (s) s->program.waits = NULL;
  if (!drive_pauses(s, run)) return infer_run_to_end(root);
  s->program.waits = root;
  do {
    step = norn_infer_step(root);
    if (step != NORN_STEP_MORE || !progress_report(root) || norn_poll(st)) break;
  } while (!s->pause(s->pause_user, st));
  s->program.waits = NULL;
  if (step == NORN_STEP_DONE) out = norn_infer_result(root);
  norn_infer_free(root);
  return out;
}

/* Answers the run with what root comes to; consumes it. */
static norn_status drive_wait(norn_state *st, norn_run *run, norn_infer *root, norn_span span)
{
  bool exact = root->engine->flags & NORN_ENGINE_EXACT;
  norn_ref *model = norn_keep(st, norn_get(root->model)),
           *engine = norn_keep(st, norn_get(root->named ? root->named : root->options));
  norn_datum posterior = drive_steps(st, run, root);
  if (exact && model && engine && !norn_is_none(posterior))
    exact_put(st, norn_get(model), norn_get(engine), posterior);
  if (model) norn_drop(model);
  if (engine) norn_drop(engine);
  if (norn_is_none(posterior)) { engine_place(st, span); return drive_status(st); }
  norn_run_answer(run, posterior);
  return NORN_OK;
}

static norn_status drive_infer(norn_state *st, norn_run *run, const norn_event *ev)
{
  norn_datum posterior = exact_get(st, ev->value, ev->engine);
  infer_slot *s = infer_slot_of(st);
  if (norn_is_none(posterior)) {
    norn_infer *inf = infer_make(st, ev->value, ev->engine, nested_stream(run, ev));
    if (!inf) { engine_place(st, ev->span); return drive_status(st); }
    if (s) s->program.span = ev->span;
    return drive_wait(st, run, inf, ev->span);
  }
  norn_run_answer(run, posterior);
  return NORN_OK;
}

static norn_status drive_sample(norn_state *st, norn_run *run, const norn_event *ev)
{
  norn_datum v;
  double excess;
  if (!engine_sample(st, run, ev, false, &v, &excess)) return drive_status(st);
  norn_run_answer(run, v);
  return NORN_OK;
}

/* The next event of the run, answered; *going: it is not at its end. */
static norn_status drive_event(norn_state *st, norn_run *run, norn_datum *out, bool *going)
{
  norn_event ev;
  switch (norn_run_next(run, &ev)) {
  case NORN_DONE:
    if (out) *out = ev.value;
    *going = false;
    return NORN_OK;
  case NORN_SAMPLE: return drive_sample(st, run, &ev);
  case NORN_INFER: return drive_infer(st, run, &ev);
  case NORN_OBSERVE: case NORN_DEAD:
    /* a model that is sampled is simulated: it observes nothing */
    return ev.flags & NORN_EV_IN_MODEL ? NORN_OK : drive_refuse(st, &ev);
  default: return drive_status(st);
  }
}

norn_status norn_drive(norn_state *st, norn_run *run, norn_datum *out)
{
  infer_slot *slot = infer_slot_of(st);
  norn_status s = slot ? NORN_OK : NORN_EMEMORY;
  bool going = !s;
  if (slot && slot->driving++ == 0 && slot->pause && !infer_program_begin(slot, run)) s = drive_status(st);
  if (!s && slot->driving == 1 && slot->program.run == run && slot->program.waits)     /* a checkpoint was read */
    s = drive_wait(st, run, slot->program.waits, slot->program.span);
  for (uint64_t k = 1; going && !s; k++) {
    s = drive_event(st, run, out, &going);
    if (!s && going && k % PAUSE_EVENTS == 0 && drive_pauses(slot, run)) s = slot->pause(slot->pause_user, st);
  }
  if (slot && --slot->driving == 0) slot->program = (infer_program){ 0 };
  norn_run_free(run);
  return s;
}

void norn_on_pause(norn_state *st, norn_status (*f)(void *, norn_state *), void *user)
{
  infer_slot *s = infer_slot_of(st);
  if (!s) return;
  s->pause = f;
  s->pause_user = user;
}

const char *norn_program_progress(norn_state *st, norn_progress *p)
{
  infer_slot *s = infer_slot_of(st);
  norn_infer *inf = s ? s->program.waits : NULL;
  memset(p, 0, sizeof *p);
  if (!inf) return NULL;
  norn_infer_progress(inf, p);
  return inf->engine->name + (inf->engine->name[0] == '_');
}
