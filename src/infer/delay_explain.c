/* delay_explain: what delayed sampling would do with a program, for explain (explain.c): one run from the prior with
   delays says which choices stay marginalised to its end, which of them the program looks at before (they are drawn
   there), which are none, and how many observations are weighed by a marginal.

       delayed sampling: 3 of 4 observations are weighed by a marginal (not: walk.norn:7:3)
         marginalised: mu, x[0], x[1] and 7 more
         drawn where they are looked at: scale
         never delayed: k */
#include "infer/particles/delay.h"
#include "infer/infer.h"
#include <string.h>

enum { EVENTS = 5000, NAMES = 6, TRIES = 20 };   /* of runs that the data end early there may be TRIES */

typedef struct list { uint64_t *addr; size_t n, cap; } list;
typedef struct look {
  norn_state *st;
  mem m;
  list early, never, rest;
  bool ended, dead, failed;
  norn_delayed d;
  int observed, met;
  norn_span not_met;
} look;

static bool add(look *k, list *l, uint64_t addr)
{
  if (!mem_grow(&k->m, &l->addr, &l->cap, l->n + 1, sizeof *l->addr)) return k->failed = true, false;
  l->addr[l->n++] = addr;
  return true;
}

static bool has(const list *l, uint64_t addr)
{
  for (size_t i = 0; i < l->n; i++)
    if (l->addr[i] == addr) return true;
  return false;
}

/* A delayed choice that is known now. */
static bool known(void *user, uint64_t addr, norn_datum v)
{
  look *k = user;
  (void)v;
  if (has(&k->early, addr)) return true;
  return add(k, k->ended ? &k->rest : &k->early, addr);
}

/* What has happened up to this event. */
static bool follow(look *k, norn_run *r, const norn_event *ev)
{
  norn_delayed d;
  norn_run_delayed(r, &d);
  if (d.drawn > k->d.drawn && !norn_run_delayed_choices(r, known, k)) return false;
  if (ev->kind == NORN_OBSERVE) {
    k->observed++;
    if (d.met > k->d.met) k->met++;
    else if (k->met + 1 == k->observed) k->not_met = ev->span;     /* the first of these */
  }
  k->d = d;
  return true;
}

static bool to_the_end(look *k, norn_run *r)
{
  norn_event ev;
  norn_datum v;
  double excess;
  for (int i = 0; i < EVENTS; i++)
    switch (norn_run_next(r, &ev)) {
    case NORN_OBSERVE:
      if (!follow(k, r, &ev)) return false;
      break;
    case NORN_SAMPLE:
      if (!follow(k, r, &ev) || !add(k, &k->never, ev.addr)) return false;
      if (!engine_sample(k->st, r, &ev, false, &v, &excess)) return false;
      norn_run_answer(r, v);
      break;
    case NORN_DONE:
      k->ended = true;
      return norn_run_delayed_choices(r, known, k);
    case NORN_DEAD: k->dead = true; return false;
    default: return false;
    }
  return false;
}

static void put_names(look *k, text *t, const char *what, const list *l)
{
  char name[64];
  if (!l->n) return;
  text_printf(t, "  %s: ", what);
  for (size_t i = 0; i < l->n && i < NAMES; i++)
    text_printf(t, "%s%s", i ? ", " : "", norn_addr_name(k->st, l->addr[i], name, sizeof name));
  if (l->n > NAMES) text_printf(t, " and %zu more", l->n - NAMES);
  text_puts(t, "\n");
}

static void silent(void *user, const char *s, size_t n)
{
  (void)user;
  (void)s;
  (void)n;
}

static void forget(look *k)
{
  mem_put(&k->m, k->early.addr, k->early.cap * sizeof(uint64_t));
  mem_put(&k->m, k->never.addr, k->never.cap * sizeof(uint64_t));
  mem_put(&k->m, k->rest.addr, k->rest.cap * sizeof(uint64_t));
}

/* One whole run, the i-th that is tried. */
static bool look_at(look *k, norn_infer *inf, uint32_t i)
{
  norn_run *r = norn_infer_run(inf, i, 0, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DELAY | NORN_RUN_NAMES |
                                          NORN_RUN_READY);
  mem_init(&k->m);
  if (!r) return false;
  norn_run_stream(r, norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 14, 0), i, 0);
  bool whole = to_the_end(k, r);
  norn_run_free(r);
  return whole;
}

void delay_explain(norn_infer *inf, text *t)
{
  look k = {.st = norn_infer_state(inf)};
  char where[160];
  norn_config *c = norn_config_of(k.st);
  void (*output)(void *, const char *, size_t) = c->output;
  c->output = silent;
  bool whole = look_at(&k, inf, 0);
  for (uint32_t i = 1; i < TRIES && k.dead; i++) {
    forget(&k);
    norn_clear(k.st);
    k = (look){.st = k.st};
    whole = look_at(&k, inf, i);
  }
  c->output = output;
  if (whole && k.met) {
    text_printf(t, "delayed sampling: %d of %d observation%s weighed by a marginal", k.met, k.observed,
                k.observed == 1 ? " is" : "s are");
    if (k.met < k.observed) text_printf(t, " (not: %s)", norn_span_text(k.st, k.not_met, where, sizeof where));
    text_puts(t, "\n");
    put_names(&k, t, "marginalised", &k.rest);
    put_names(&k, t, "drawn where they are looked at", &k.early);
    put_names(&k, t, "never delayed", &k.never);
  }
  forget(&k);
  norn_clear(k.st);                              /* what fails here, infer will say */
}
