/* delay: are choices of an inference delayed (norn.h, NORN_RUN_DELAY)?  The option `delayed` of smc and
   importance is true, false or "auto".  By "auto" up to PROBES runs from the prior look whether an
   observation is ever weighed by the marginal of a delayed choice: the first such observation decides.  A run
   that the data end early has seen little of the program, so that it does not count (of TRIES).
   Programs in which there is none run as if there were no delays; and so do many particles that would
   keep long histories of delayed choices, which take some 200 bytes each.  A row that gets ready for many
   at once (ready.h) ends a probe: it would be asked for one run alone.

   Lanes: probe i runs in lane i of a stream of its own.  What a probe prints is not seen. */
#include "infer/particles/delay.h"
#include "infer/infer.h"
#include <string.h>

enum { PROBES = DELAY_PROBES, TRIES = 20, EVENTS = 100000, MANY = 100, KEPT_MAX = 1000000 };

static bool one_more(void *user, uint64_t addr, norn_datum v)
{
  (void)addr;
  (void)v;
  ++*(size_t *)user;
  return true;
}

/* A probe that fails is no reason to give up; who interrupts it, and a limit, are.  true: go on. */
static bool goes_on(norn_state *st)
{
  norn_status code = norn_error(st)->code;
  if (code == NORN_EINTERRUPT || code == NORN_ELIMIT) return false;
  norn_clear(st);
  return true;
}

/* One probe for n particles.  *more: another may see more; *dead: this one ended with weight 0. */
static bool probe(norn_infer *inf, uint64_t stream, uint32_t lane, size_t n, bool *more, bool *dead)
{
  size_t kept = 0;
  norn_event ev;
  norn_delayed d = {0, 0, 0, 0};
  norn_event_kind kind = NORN_OBSERVE;
  norn_run *r = norn_infer_run(inf, lane, 0, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW |
                                             NORN_RUN_DELAY | NORN_RUN_READY);
  if (!r) return *more = false;
  norn_run_stream(r, stream, lane, 0);
  for (int k = 0; k < EVENTS && (!d.met || n >= MANY) && (kind = norn_run_next(r, &ev)) == NORN_OBSERVE; k++)
    norn_run_delayed(r, &d);
  norn_run_delayed(r, &d);
  norn_run_delayed_choices(r, one_more, &kept);
  norn_run_free(r);
  *dead = kind == NORN_DEAD;
  *more = goes_on(norn_infer_state(inf)) && d.made > 0 && kind != NORN_READY;
  return d.met > 0 && kept * n <= KEPT_MAX;
}

static void silent(void *user, const char *s, size_t n)
{
  (void)user;
  (void)s;
  (void)n;
}

static bool probes(norn_infer *inf, size_t n)
{
  norn_config *c = norn_config_of(norn_infer_state(inf));
  void (*output)(void *, const char *, size_t) = c->output;
  uint64_t stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 11, 0);
  bool found = false, more = true, dead = false;
  c->output = silent;
  for (uint32_t i = 0, whole = 0; i < TRIES && whole < PROBES && more && !found; i++) {
    found = probe(inf, stream, i, n, &more, &dead);
    whole += !dead;
  }
  c->output = output;
  return found;
}

/* Did a whole run from the prior leave every choice delayed until its end? */
static bool is_conjugate(norn_infer *inf, uint64_t stream, uint32_t lane)
{
  norn_event ev;
  norn_delayed d;
  norn_event_kind k = NORN_OBSERVE;
  norn_run *r = norn_infer_run(inf, lane, 0, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW |
                                             NORN_RUN_DELAY | NORN_RUN_READY);
  if (!r) return false;
  norn_run_stream(r, stream, lane, 0);
  for (int i = 0; i < EVENTS && k == NORN_OBSERVE; i++) k = norn_run_next(r, &ev);
  norn_run_delayed(r, &d);
  norn_run_free(r);
  return goes_on(norn_infer_state(inf)) && k == NORN_DONE && d.met && !d.drawn && d.made == d.all;
}

bool delay_throughout(norn_infer *inf)
{
  norn_config *c = norn_config_of(norn_infer_state(inf));
  void (*output)(void *, const char *, size_t) = c->output;
  uint64_t stream = norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 11, 0);
  bool all = true;
  c->output = silent;
  for (uint32_t i = 0; i < PROBES && all; i++) all = is_conjugate(inf, stream, i);
  c->output = output;
  return all;
}

bool delay_option(norn_infer *inf, int i, size_t n, bool *on)
{
  norn_state *st = norn_infer_state(inf);
  norn_datum v = norn_infer_option(inf, i);
  const char *s = norn_string_view(v, NULL);
  if (v.tag == NORN_BOOL) return *on = v.i != 0, true;
  if (s && !strcmp(s, "auto")) {
    *on = probes(inf, n);
    return norn_error(st)->code == NORN_OK;
  }
  norn_fail(st, NORN_EDOMAIN, -1, "delayed of %s must be true, false or \"auto\", got %s",
            infer_engine(inf)->name, norn_show(st, v, true, 40));
  return false;
}

/* The engine's option of this name is one of the two words (the other may be NULL). */
static bool says(norn_infer *inf, const char *option, const char *word, const char *other)
{
  int k = option_at(inf, option);
  const char *s = k < 0 ? NULL : norn_string_view(norn_infer_option(inf, k), NULL);
  return s && (!strcmp(s, word) || (other && !strcmp(s, other)));
}

bool delay_lanes_option(norn_infer *inf, int i, size_t n, bool kept, bool *on)
{
  norn_state *st = norn_infer_state(inf);
  bool gpu = says(inf, "device", "gpu", NULL), lanes = gpu || says(inf, "executor", "lanes", "generated");
  *on = false;
  if ((lanes || kept) && says(inf, "delayed", "auto", NULL)) return true;
  if (!delay_option(inf, i, n, on)) return false;
  if (!lanes || !*on) return true;
  norn_fail(st, NORN_EDOMAIN, -1, "%s can't delay choices in lanes", infer_engine(inf)->name);
  if (gpu) norn_hint(st, "leave out device = \"gpu\" or delayed = true");
  else norn_hint(st, "leave out executor = \"%s\" or delayed = true",
                 norn_string_view(norn_infer_option(inf, option_at(inf, "executor")), NULL));
  return false;
}

static bool choice(void *user, uint64_t addr, norn_datum v) { return !norn_infer_choice(user, addr, v); }

bool delay_choices(norn_infer *inf, norn_run *r) { return norn_run_delayed_choices(r, choice, inf); }
