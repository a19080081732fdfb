/* particles_lanes: the particles of smc in lanes (particles.h; norn_lanes in norn.h): one execution of
   the VM stands for all that are in the same state, and what differs between them is a vector.  Draws,
   weights and values are those of particles_runs, to the bit. */
#include "infer/particles.h"
#include "base/archive.h"
#include "infer/infer.h"
#include <stdio.h>

typedef struct in_lanes {
  particles p;
  norn_lanes *l;
  norn_lanes_leg leg;
  bool begun;               /* a leg that waited for an inference goes on */
} in_lanes;

static void lanes_dead(void *user, size_t i, norn_span span) { particles_dead(user, i, span); }

static norn_status lanes_start(particles *p)
{
  in_lanes *e = (in_lanes *)p;
  norn_run *r = norn_infer_run(p->inf, 0, 0, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW |
                                             NORN_RUN_CHECK);
  e->l = r ? norn_lanes_new(r, p->n) : NULL;
  e->leg.dead = lanes_dead;
  e->leg.user = p;
  return e->l ? NORN_OK : NORN_EMEMORY;
}

static norn_step lanes_advance(particles *p)
{
  in_lanes *e = (in_lanes *)p;
  for (;;) {
    norn_event_kind kind = norn_lanes_next(e->l, p->logw, &e->leg);
    if (kind == NORN_INFER) {
      norn_step s = norn_infer_wait(p->inf, e->leg.run, &e->leg.ev);
      if (s != NORN_STEP_MORE) return s;
      continue;
    }
    if (kind != NORN_OBSERVE) return NORN_STEP_FAIL;
    p->met.observing = e->leg.observing;
    p->met.running = e->leg.running;
    p->inf->improper |= e->leg.improper;
    return NORN_STEP_DONE;
  }
}

static bool lanes_copy(particles *p, const uint32_t *to, const uint32_t *from, size_t n)
{
  return norn_lanes_copy(((in_lanes *)p)->l, to, from, n);
}

static norn_datum lanes_value(particles *p, size_t i)
{
  return norn_lanes_value(((in_lanes *)p)->l, i);
}

/* Choices are kept by particles_runs only. */
static norn_status lanes_choices(particles *p, size_t i)
{
  (void)p, (void)i;
  return NORN_OK;
}

static void lanes_free(particles *p)
{
  in_lanes *e = (in_lanes *)p;
  norn_lanes_free(e->l);
  e->l = NULL;
}

static void lanes_note(particles *p)
{
  in_lanes *e = (in_lanes *)p;
  norn_infer *inf = p->inf;
  norn_state *st = norn_infer_state(inf);
  norn_lanes_report r;
  char where[160], why[400];
  norn_lanes_look(e->l, &r);
  norn_infer_note(inf, "executor", norn_cstring(st, r.fallen_apart ? "lanes, then scalar" : "lanes"));
  norn_infer_note(inf, "lane_splits", norn_int((int64_t)r.splits));
  norn_infer_note(inf, "lanes_alone", norn_int((int64_t)r.alone));
  if (!r.alone) return;
  snprintf(why, sizeof why, "%s: %s", norn_span_text(st, r.where, where, sizeof where), r.why);
  norn_infer_note(inf, "alone_for", norn_cstring(st, why));
}

static bool lanes_keep(particles *p, norn_archive *a, uint32_t *to, uint32_t *from)
{
  (void)to, (void)from;
  return lanes_archive(a, ((in_lanes *)p)->l);
}

const particles_ops particles_lanes = {
  .name = "lanes",
  .words = "particles in lanes of one run of the virtual machine",
  .size = sizeof(in_lanes),
  .start = lanes_start,
  .advance = lanes_advance,
  .copy = lanes_copy,
  .value = lanes_value,
  .choices = lanes_choices,
  .free = lanes_free,
  .note = lanes_note,
  .archive = lanes_keep
};

enum { EXECUTOR_AUTO, EXECUTOR_SCALAR, EXECUTOR_LANES, EXECUTORS };
enum { AUTO_FROM = 16 };   /* particles from which lanes are faster, if they stay together */

const particles_ops *particles_choose(norn_infer *inf, int k, size_t n, bool choices)
{
  static const char *const names[EXECUTORS] = { "auto", "scalar", "lanes" };
  int how;
  if (!option_choice(inf, k, names, EXECUTORS, &how)) return NULL;
  bool lanes = how == EXECUTOR_LANES || (how == EXECUTOR_AUTO && n >= AUTO_FROM);
  if (lanes && !choices) return &particles_lanes;
  return particles_threads(inf, n, choices) > 1 ? &particles_crew : &particles_runs;
}
