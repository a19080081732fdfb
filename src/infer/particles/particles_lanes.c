/* particles_lanes: the particles of smc in lanes (particles.h; norn_lanes in norn.h): one execution of
   the VM stands for all that are in the same state, and what differs between them is a vector.  Draws,
   weights and values are those of particles_runs, to the bit; also where segments of the program are code
   that the C compiler made (graph/segment.h). */
#include "infer/particles/particles.h"
#include "base/archive.h"
#include "graph/segment_cc.h"
#include "infer/infer.h"
#include "infer/particles/ready.h"
#include <stdio.h>

typedef struct in_lanes {
  particles p;
  norn_lanes *l;
  segment_cc *code;         /* NULL: lanes compute */
  double work;              /* particles times legs so far */
  norn_lanes_leg leg;
  bool begun;               /* a leg that waited for an inference goes on */
} in_lanes;

static void lanes_dead(void *user, size_t i, norn_span span) { particles_dead(user, i, span); }

/* Steps of particles after which auto looks for code in the cache: some ten milliseconds. */
#define AUTO_GENERATED 1e6

/* Segments become code: at once if they must, else when that is worth it. */
static norn_status lanes_generate(in_lanes *e)
{
  norn_state *st = norn_infer_state(e->p.inf);
  if (!e->code) e->code = segment_cc_new(st, norn_crew_threads(st, 0), e->p.ops == &particles_generated);
  return e->code && norn_lanes_defer(e->l, &segment_cc_backend, e->code) ? NORN_OK : NORN_EMEMORY;
}

/* executor = "generated" can't be had: the reason. */
static bool lanes_refused(const in_lanes *e)
{
  norn_lanes_report r;
  if (e->p.ops != &particles_generated) return false;
  norn_lanes_look(e->l, &r);
  if (!r.not_generated[0] || r.generated) return false;
  norn_fail(norn_infer_state(e->p.inf), NORN_EINFER, -1, "there is no generated code for these particles: %s",
            r.not_generated);
  norn_hint(norn_infer_state(e->p.inf), "executor = \"lanes\" gives the same draws without a compiler");
  return true;
}

static norn_status lanes_start(particles *p)
{
  in_lanes *e = (in_lanes *)p;
  norn_run *r = norn_infer_run(p->inf, 0, 0, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW |
                                             NORN_RUN_CHECK | p->more);
  if (r && p->stream) norn_run_stream(r, *p->stream, 0, 0);
  e->l = r ? norn_lanes_new(r, p->n) : NULL;
  e->leg.dead = lanes_dead;
  e->leg.user = p;
  if (!e->l) return NORN_EMEMORY;
  return e->code || p->ops == &particles_generated ? lanes_generate(e) : NORN_OK;
}

/* What was compiled is kept. */
bool particles_lanes_again(particles *p)
{
  in_lanes *e = (in_lanes *)p;
  norn_lanes_free(e->l);
  e->l = NULL;
  for (size_t i = 0; i < p->n; i++) p->logw[i] = 0;
  particles_leg(p);
  return !lanes_start(p);
}

void particles_lanes_look(const particles *p, norn_lanes_report *r) { norn_lanes_look(((const in_lanes *)p)->l, r); }

static norn_step lanes_advance(particles *p)
{
  in_lanes *e = (in_lanes *)p;
  e->work += (double)p->n;
  if (p->ops == &particles_auto && !e->code && e->work >= AUTO_GENERATED && lanes_generate(e))
    return NORN_STEP_FAIL;
  for (;;) {
    norn_event_kind kind = norn_lanes_next(e->l, p->logw, &e->leg);
    if (kind == NORN_INFER) {
      norn_step s = norn_infer_wait(p->inf, e->leg.run, &e->leg.ev);
      if (s != NORN_STEP_MORE) return s;
      continue;
    }
    if (kind != NORN_OBSERVE || lanes_refused(e)) return NORN_STEP_FAIL;
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

static const void *lanes_numbers(particles *p, uint64_t *tag)
{
  return norn_lanes_numbers(((in_lanes *)p)->l, tag);
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
  segment_cc_free(e->code);
  e->l = NULL;
  e->code = NULL;
}

static void lanes_note(particles *p)
{
  in_lanes *e = (in_lanes *)p;
  norn_infer *inf = p->inf;
  norn_state *st = norn_infer_state(inf);
  norn_lanes_report r;
  char where[160], why[400];
  norn_lanes_look(e->l, &r);
  norn_infer_note(inf, "executor", norn_cstring(st, r.fallen_apart ? "lanes, then scalar"
                                                    : r.generated  ? "generated"
                                                                   : "lanes"));
  bool generates = r.generated || p->ops == &particles_generated;
  if (generates) norn_infer_note(inf, "generated_legs", norn_int((int64_t)r.generated));
  if (generates && r.not_generated[0])
    norn_infer_note(inf, "not_generated_for", norn_cstring(st, r.not_generated));
  norn_infer_note(inf, "lane_splits", norn_int((int64_t)r.splits));
  norn_infer_note(inf, "lane_selects", norn_int((int64_t)r.selects));
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

#define IN_LANES(word, what)                                                                       \
  {                                                                                                \
    .name = word, .words = what, .size = sizeof(in_lanes), .start = lanes_start,                   \
    .advance = lanes_advance, .copy = lanes_copy, .value = lanes_value, .choices = lanes_choices,  \
    .numbers = lanes_numbers, .free = lanes_free, .note = lanes_note, .archive = lanes_keep        \
  }
const particles_ops particles_lanes =
  IN_LANES("lanes", "particles in lanes of one run of the virtual machine");
const particles_ops particles_generated = IN_LANES("generated", "particles in lanes of generated code");
const particles_ops particles_auto =
  IN_LANES("lanes", "particles in lanes, of generated code where that is worth it");

enum { EXECUTOR_AUTO, EXECUTOR_SCALAR, EXECUTOR_LANES, EXECUTOR_GENERATED, EXECUTORS };
enum { AUTO_FROM = 16 };   /* particles from which lanes are faster, if they stay together */

const particles_ops *particles_choose(norn_infer *inf, int k, size_t n, bool choices)
{
  static const char *const names[EXECUTORS] = { "auto", "scalar", "lanes", "generated" };
  int how;
  if (!option_choice(inf, k, names, EXECUTORS, &how)) return NULL;
  if (how == EXECUTOR_LANES && !choices) return &particles_lanes;
  if (how == EXECUTOR_GENERATED && !choices) return &particles_generated;
  if (choices || ready_met(inf)) return &particles_runs;
  if (how == EXECUTOR_AUTO && n >= AUTO_FROM) return &particles_auto;
  return particles_threads(inf, n, choices) > 1 ? &particles_crew : &particles_runs;
}
