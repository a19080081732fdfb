/* ready: runs in rounds, for rows that get ready for many at once (ready.h). */
#include "infer/particles/ready.h"
#include "infer/infer.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- does a program meet such rows? ---- */

enum { PROBED = 100 };

static void silent(void *user, const char *s, size_t n)
{
  (void)user, (void)s, (void)n;
}

bool ready_met(norn_infer *inf)
{
  norn_state *st = norn_infer_state(inf);
  norn_config *c = norn_config_of(st);
  norn_event ev;
  norn_event_kind k = NORN_OBSERVE;
  if (!norn_may_get_ready(st)) return false;
  if (inf->ready.known) return inf->ready.met;
  norn_run *r = norn_infer_run(inf, 0, 0, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW | NORN_RUN_READY);
  if (!r) return norn_clear(st), false;
  void (*output)(void *, const char *, size_t) = c->output;
  norn_run_stream(r, norn_stream_split(norn_infer_stream(inf), ENGINE_LANE, 12, 0), 0, 0);
  c->output = silent;
  for (int i = 0; i < PROBED && k == NORN_OBSERVE; i++) k = norn_run_next(r, &ev);
  c->output = output;
  inf->ready.known = true;
  inf->ready.met = k == NORN_READY;
  if (inf->ready.met) {
    inf->ready.where = ev.span;
    inf->ready.name = (ev.dist->row->ready ? ev.dist : ev.proposal)->row->name;
    inf->ready.name += *inf->ready.name == '_';
  }
  norn_run_free(r);
  norn_status s = norn_error(st)->code;
  if (s != NORN_EINTERRUPT && s != NORN_ELIMIT) norn_clear(st);      /* what fails here the particles will say */
  return inf->ready.met;
}

void ready_note(norn_infer *inf)
{
  char where[160], words[240];
  norn_state *st = norn_infer_state(inf);
  if (!inf->ready.met) return;
  snprintf(words, sizeof words, "%s at %s", inf->ready.name, norn_span_text(st, inf->ready.where, where, sizeof where));
  norn_infer_note(inf, "ready", norn_cstring(st, words));
}

/* A copy of a run, where it stands before an event of such a row; NULL: it does not come to one. */
static norn_run *gone_ahead(norn_run *r, norn_event *ev)
{
  norn_event_kind k = NORN_OBSERVE;
  norn_run *copy = norn_run_fork(r, norn_run_lane(r));
  if (!copy) return NULL;
  norn_run_flags(copy, norn_run_flags_of(copy) | NORN_RUN_READY);
  for (int i = 0; i < PROBED && k == NORN_OBSERVE; i++) k = norn_run_next(copy, ev);
  if (k == NORN_READY) return copy;
  norn_run_free(copy);
  return NULL;
}

void ready_ahead(norn_infer *inf, norn_run *const *run, size_t n)
{
  norn_state *st = norn_infer_state(inf);
  norn_config *c = norn_config_of(st);
  void (*output)(void *, const char *, size_t) = c->output;
  norn_run *copy[READY_AHEAD];
  norn_event ev[READY_AHEAD];
  size_t m = 0;
  if (n < 2 || !ready_met(inf)) return;
  c->output = silent;
  for (size_t i = 0; i < n && i < READY_AHEAD; i++)
    if ((copy[m] = gone_ahead(run[i], &ev[m]))) m++;
  c->output = output;
  norn_events_ready(st, copy, ev, (int)m);
  for (size_t i = 0; i < m; i++) norn_run_free(copy[i]);
  norn_clear(st);
}

/* ---- rounds ---- */

bool rounds_new(norn_state *st, rounds *r, size_t n)
{
  *r = (rounds){ .st = st, .cap = n };
  r->place = engine_get(st, n * sizeof *r->place);
  r->run = engine_get(st, n * sizeof *r->run);
  r->met = engine_get(st, n * sizeof *r->met);
  return r->place && r->run && r->met;
}

void rounds_free(rounds *r)
{
  if (!r->st) return;
  engine_put(r->st, r->place, r->cap * sizeof *r->place);
  engine_put(r->st, r->run, r->cap * sizeof *r->run);
  engine_put(r->st, r->met, r->cap * sizeof *r->met);
}

void rounds_begin(rounds *r)
{
  r->n = r->at = r->stood = 0;
  r->on = true;
}

/* Those that stand lie before those that go on, so there is room. */
void rounds_stand(rounds *r, norn_run *run, const norn_event *ev)
{
  r->place[r->stood] = r->place[r->at];
  r->run[r->stood] = run;
  r->met[r->stood++] = *ev;
}

int rounds_next(rounds *r)
{
  size_t n = r->stood;
  r->n = n;
  r->at = r->stood = 0;
  if (!n) {
    r->on = false;
    return 0;
  }
  return norn_events_ready(r->st, r->run, r->met, (int)n) ? -1 : 1;
}

static int rising(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* Rising, in the order of places: those that stand, and those that were not stepped yet in this round. */
static size_t left_of(const rounds *r, uint32_t *left)
{
  size_t n = 0;
  for (size_t k = 0; k < r->stood; k++) left[n++] = r->place[k];
  for (size_t k = r->at; k < r->n; k++) left[n++] = r->place[k];
  qsort(left, n, sizeof *left, rising);
  return n;
}

bool rounds_archive(norn_archive *a, rounds *r, size_t n)
{
  norn_state *st = norn_archive_state(a);
  bool reads = norn_archive_reading(a);
  if (!n || norn_archive_status(a)) return !norn_archive_status(a);
  uint32_t *left = engine_get(st, n * sizeof *left);
  size_t k = left && !reads && r->on ? left_of(r, left) : 0, cap = n;
  if (!left || (reads && !r->place && !rounds_new(st, r, n)))
    norn_archive_fail(a, "there is no memory for its particles");
  norn_archive_bool(a, &r->on);
  norn_archive_size(a, &k);
  if (!norn_archive_status(a) && k > n) norn_archive_fail(a, "its particles are not whole");
  if (!norn_archive_status(a)) norn_archive_array(a, &left, &cap, k, sizeof *left);
  bool good = !norn_archive_status(a);
  if (good && reads) {
    r->at = r->stood = 0;
    r->n = k;
    for (size_t i = 0; i < k; i++) {
      if (left[i] >= n) good = norn_archive_fail(a, "its particles are not whole");
      r->place[i] = left[i] < n ? left[i] : 0;
    }
  }
  engine_put(st, left, cap * sizeof *left);
  return good;
}
