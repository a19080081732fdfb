/* lanes.c: a population of runs in lanes: groups go to the next barrier, split, are dissolved into
   runs of their own, and are resampled (lanes.h; norn_lanes in norn.h). */
#include "lang/lanes/lanes.h"
#include "base/archive.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- making and freeing ---- */

void group_free(norn_lanes *l, group *g)
{
  mem *m = &l->st->mem;
  if (!g) return;
  if (g->run) norn_run_free(g->run);
  mem_put(m, g->lane, ((size_t)l->n + LANE_PAD) * sizeof *g->lane);
  lane_buffer_put(l, g->logw);
  lane_buffer_put(l, g->mask);
  if (g->at) layout_drop(l, g->at);
  mem_put(m, g, sizeof *g);
}

bool group_add(norn_lanes *l, group *g)
{
  if (mem_grow(&l->st->mem, &l->group, &l->cgroup, l->ngroup + 1, sizeof *l->group)) {
    l->group[l->ngroup++] = g;
    return true;
  }
  state_memory(l->st);
  return false;
}

static group *group_new(norn_lanes *l)
{
  group *g = mem_zero(&l->st->mem, sizeof *g);
  if (g) g->all = l;
  else state_memory(l->st);
  return g;
}

/* The last group takes its place. */
static void group_remove(norn_lanes *l, size_t i)
{
  group_free(l, l->group[i]);
  l->group[i] = l->group[--l->ngroup];
}

static uint32_t *lane_list(norn_lanes *l)
{
  uint32_t *p = mem_get(&l->st->mem, ((size_t)l->n + LANE_PAD) * sizeof *p);
  if (!p) state_memory(l->st);
  return p;
}

norn_lanes *norn_lanes_new(norn_run *first, size_t n)
{
  norn_state *st = first->st;
  norn_lanes *l = n && n < UINT32_MAX / 2 ? mem_zero(&st->mem, sizeof *l) : NULL;
  if (!l) {
    norn_run_free(first);
    state_memory(st);
    return NULL;
  }
  l->st = st;
  l->n = (uint32_t)n;
  l->first = first->flags & NORN_RUN_SIMULATE ? first->lane : 0;
  first->flags &= ~(unsigned)(NORN_RUN_READY | RUN_IS_READY);
  l->flags = first->flags & ~(unsigned)NORN_RUN_CHECK;
  l->state = mem_zero(&st->mem, n);
  l->value = mem_zero(&st->mem, n * sizeof *l->value);
  group *g = group_new(l);
  if (g) g->run = first;
  else norn_run_free(first);
  if (g) g->at = layout_new(l, NULL, l->n);
  l->identity = lane_list(l);
  for (uint32_t i = 0; l->identity && i < l->n; i++) l->identity[i] = i;
  if (!g || !g->at || !l->state || !l->value || !l->identity || !group_add(l, g)) {
    state_memory(st);
    group_free(l, g);
    norn_lanes_free(l);
    return NULL;
  }
  first->flags = (first->flags & ~(unsigned)NORN_RUN_DRAW) | RUN_LANES;
  first->lane = l->first;
  return l;
}

void norn_lanes_free(norn_lanes *l)
{
  if (!l) return;
  mem *m = &l->st->mem;
  lanes_defer_free(l);
  while (l->ngroup) group_remove(l, 0);
  mem_put(m, l->group, l->cgroup * sizeof *l->group);
  while (l->vecs) {
    lane_vec *h = l->vecs;
    l->vecs = h->next;
    lane_vec_free(l, h);
  }
  lane_sheaves_free(l);
  lane_buffer_put(l, l->number);
  if (l->plate_at) layout_drop(l, l->plate_at);
  mem_put(m, l->stream, l->plates * sizeof *l->stream);
  lane_buffers_leave(l);
  for (uint32_t i = 0; l->run && i < l->n; i++)
    if (l->run[i]) norn_run_free(l->run[i]);
  mem_put(m, l->run, l->n * sizeof *l->run);
  mem_put(m, l->state, l->n);
  mem_put(m, l->identity, ((size_t)l->n + LANE_PAD) * sizeof *l->identity);
  mem_put(m, l->value, l->n * sizeof *l->value);
  if (l->values) norn_drop(l->values);
  lanes_merge_free(l);
  mem_put(m, l, sizeof *l);
}

/* ---- what the VM says ---- */

static void note_reason(norn_lanes *l, const norn_run *r, const char *why)
{
  norn_lanes_report *p = &l->report;
  if (p->why[0]) return;
  snprintf(p->why, sizeof p->why, "%s", why);
  p->where = run_place(r);
}

void lanes_alone(norn_state *st, const char *why)
{
  group *g = st->lanes;
  if (g->want || g->all->selecting) return;
  if (st->current != g->run) {              /* inside of a native, which must fail */
    if (!st->err.code) norn_fail(st, NORN_EINFER, -1, "%s", why);
    return;
  }
  g->want = WANT_ALONE;
  note_reason(g->all, g->run, why);
}

bool lanes_leave(norn_run *r)
{
  norn_state *st = r->st;
  group *g = st->lanes;
  if (r != g->run || g->want == WANT_ERROR) return false;
  norn_status code = st->err.code;
  if (!g->want) {
    if (code == NORN_EMEMORY || code == NORN_ELIMIT || code == NORN_EINTERRUPT) return false;
    lanes_alone(st, st->err.text);
  } else if (code == NORN_EMEMORY || code == NORN_EINTERRUPT) {
    g->want = WANT_NOTHING;
    return false;
  }
  norn_clear(st);
  r->nhold = 0;
  return true;
}

/* ---- dissolving ---- */

/* A live value of a group's run that is lanes or holds some: what a lane has there is cell k of c, or, if c is
   NULL, taken out of the value. */
typedef struct holder { val *at; const cell *c; } holder;
typedef struct holders { group *g; holder *v; size_t n, room; bool failed; } holders;

static bool note_holder(void *user, val *x, const proto *p, const ins *pc, int reg)
{
  holders *h = user;
  mem *m = &h->g->all->st->mem;
  (void)p, (void)pc, (void)reg;
  if (!v_is_lanes(*x) && (!V_IS_HEAP(*x) || !lanes_inside(*x))) return true;
  if (mem_grow(m, &h->v, &h->room, h->n + 1, sizeof *h->v)) h->v[h->n++] = (holder){ x, NULL };
  else h->failed = true, state_memory(h->g->all->st);
  return !h->failed;
}

/* Those of the group's run: the same places in each copy of it.  false: error set. */
static bool find_holders(group *g, holders *h)
{
  *h = (holders){ .g = g };
  lanes_walk(g->run, note_holder, h);
  for (int turn = 0; turn < 2; turn++)           /* the first computes what waits, which may move others */
    for (size_t i = 0; i < h->n && !h->failed; i++)
      if (v_is_lanes(*h->v[i].at)) h->failed = !(h->v[i].c = lane_cells(g, h->v[i].at->p));
  return !h->failed;
}

static void holders_free(holders *h) { mem_put(&h->g->all->st->mem, h->v, h->room * sizeof *h->v); }

/* The place in r, a copy of `of`, that x is in `of`. */
static val *same_place(norn_run *r, norn_run *of, const val *x)
{
  return x == &of->memo ? &r->memo : x == &of->value ? &r->value : r->stk + (x - of->stk);
}

/* Older frames are looked at again by the next collection: they refer to new objects. */
void lanes_lift_water(norn_run *r)
{
  for (val *R = r->R;;) {
    val *f = R - FRAME_SIZE;
    if (FRAME_PC(f) == run_water_code) f[0].q = r->wpc;
    if (FRAME_PC(f) == run_halt_code) return;
    R = (val *)((char *)R - FRAME_DIST(f));
  }
}

/* Lane k of g as a run that stands where the group does.  NULL: error set. */
static norn_run *run_of_lane(group *g, uint32_t k, const holders *h)
{
  norn_lanes *l = g->all;
  norn_run *r = norn_run_fork(g->run, lane_number(g, k));
  if (!r) return NULL;
  r->flags = (l->flags & ~(unsigned)NORN_RUN_MAKES) | (g->run->flags & NORN_RUN_MAKES);
  if (g->weighed) r->logw = g->logw[k];
  run_dirty(r);
  for (size_t i = 0; i < h->n; i++) {
    val x = *h->v[i].at, v = h->v[i].c ? cell_value(lanes_kind(x), h->v[i].c[k]) : lane_of(g, x, k);
    if (norn_is_none(v)) {
      norn_run_free(r);
      return NULL;
    }
    *same_place(r, g->run, h->v[i].at) = v;
  }
  return r;
}

/* The lanes of g where mask is set (NULL: all) become runs.  false: error set. */
static bool dissolve(group *g, const uint8_t *mask)
{
  norn_lanes *l = g->all;
  if (!l->run && !(l->run = mem_zero(&l->st->mem, l->n * sizeof *l->run))) {
    state_memory(l->st);
    return false;
  }
  holders h;
  bool good = find_holders(g, &h);
  lanes_lift_water(g->run);
  for (uint32_t k = 0; good && k < g->at->n; k++) {
    if (mask && !mask[k]) continue;
    norn_run *r = l->run[lane_at(g, k)] = run_of_lane(g, k, &h);
    good = r != NULL;
    l->nruns += good;
    l->report.alone += good;
  }
  holders_free(&h);
  return good;
}

/* ---- splitting ---- */

/* The lanes of `from` where mask is `side`, which are m, as what g is: layout, lanes and weights. */
static bool take_side(group *g, const group *from, const uint8_t *mask, bool side, uint32_t m)
{
  norn_lanes *l = g->all;
  layout *at = layout_new(l, from->at, m);
  uint32_t *lane = at ? lane_list(l) : NULL, j = 0;
  double *logw = lane && from->weighed ? lane_buffer(l) : NULL;
  if (!lane || (from->weighed && !logw)) {
    if (at) layout_drop(l, at);
    mem_put(&l->st->mem, lane, ((size_t)l->n + LANE_PAD) * sizeof *lane);
    return false;
  }
  for (uint32_t k = 0; k < from->at->n; k++) {
    if ((mask[k] != 0) != side) continue;
    at->map[j] = k;
    lane[j] = lane_at(from, k);
    if (logw) logw[j] = from->logw[k];
    j++;
  }
  g->at = at;
  g->lane = lane;
  g->logw = logw;
  g->weighed = from->weighed;
  g->sizes = from->sizes;
  return true;
}

/* One side of group g as a group of its own; last: it takes the run.  NULL: error set. */
static group *side_group(group *g, bool side, uint32_t m, bool last)
{
  norn_lanes *l = g->all;
  group *s = group_new(l);
  if (!s) return NULL;
  s->run = last ? g->run : norn_run_fork(g->run, lane_number(g, 0));
  if (last) g->run = NULL;
  if (s->run && take_side(s, g, g->mask, side, m)) return s;
  group_free(l, s);
  return NULL;
}

/* Group i does not go on: its lanes part.  false: error set. */
static bool part(norn_lanes *l, size_t i)
{
  group *g = l->group[i];
  uint32_t yes = 0, n = g->at->n, few = l->flags & NORN_RUN_SIMULATE ? LANES_FEW_SIMULATED : LANES_FEW;
  bool alone = g->alone;
  if (g->want == WANT_ALONE) {
    bool done = dissolve(g, NULL);
    group_remove(l, i);
    return done;
  }
  g->want = WANT_NOTHING;
  for (uint32_t k = 0; k < n; k++) yes += g->mask[k];
  l->report.splits++;
  for (int turn = 0; turn < 2; turn++) {
    bool side = turn ? g->mask[0] : !g->mask[0];         /* lane 0, whose addresses are checked, last */
    uint32_t m = side ? yes : n - yes;
    if (m >= few && !(side && alone)) {
      group *s = side_group(g, side, m, turn);
      if (!s) return false;
      if (!group_add(l, s)) { group_free(l, s); return false; }
      continue;
    }
    for (uint32_t k = 0; !side && k < n; k++) g->mask[k] ^= 1;
    bool done = dissolve(g, g->mask);
    for (uint32_t k = 0; !side && k < n; k++) g->mask[k] ^= 1;
    if (!done) return false;
  }
  group_remove(l, i);
  return true;
}

/* ---- arriving ---- */

static void lane_dies(norn_lanes *l, uint32_t i, double *logw, norn_lanes_leg *leg, norn_span span)
{
  logw[i] = -INFINITY;
  l->state[i] = LANE_DEAD;
  l->any_gone = true;
  leg->observing++;
  if (leg->dead) leg->dead(leg->user, i, span);
}

/* The weights of the leg; those of weight 0 are dead. */
static void weigh(norn_lanes *l, group *g, double *logw, norn_lanes_leg *leg, norn_span span)
{
  uint32_t n = g->at->n, dead = 0;
  for (uint32_t k = 0; !g->direct && k < n; k++)
    logw[lane_at(g, k)] += g->weighed ? g->logw[k] : g->run->logw;
  for (uint32_t k = 0; g->dying && k < n; k++) {
    uint32_t i = lane_at(g, k);
    if (logw[i] > -INFINITY) continue;
    lane_dies(l, i, logw, leg, span);
    l->removed = true;
    dead++;
  }
  leg->observing += n - dead;
  leg->running += n - dead;
  g->run->logw = 0;
  g->weighed = g->direct = g->dying = false;
}

/* A value for what run i returned.  false: error set. */
static bool keep_value(norn_lanes *l, uint32_t i, val v)
{
  if (!l->values) {                                /* never packed: each stays what it was */
    val none = norn_unit();
    const int64_t one = 1;
    void *at;
    val a = norn_array(l->st, NORN_VALUES, 1, &one, &at);
    if (norn_is_none(a)) return false;
    *(val *)at = none;
    l->values = norn_keep(l->st, a);
    l->nvalues = 1;
    if (!l->values) return false;
  }
  if (norn_push(l->values, v)) return false;
  l->state[i] = LANE_ENDED;
  l->any_gone = true;
  l->value[i] = l->nvalues++;
  return true;
}

/* All lanes end, each with a number: these stay a vector, since so many values would cost more than many a
   leg.  false: error set. */
static bool numbers_ended(norn_lanes *l, group *g, val v, double *logw)
{
  const cell *c = lane_cells(g, v.p);
  if (!c || !(l->number = lane_buffer(l))) return false;
  memcpy(l->number, c, l->n * sizeof *c);
  memcpy(l->value, l->identity, l->n * sizeof *l->value);
  memset(l->state, LANE_ENDED, l->n);
  l->number_kind = (uint8_t)lanes_kind(v);
  l->any_gone = true;
  if (g->weighed) for (uint32_t i = 0; i < l->n; i++) logw[i] += g->logw[i];
  else if (g->run->logw != 0) for (uint32_t i = 0; i < l->n; i++) logw[i] += g->run->logw;
  return true;
}

static bool group_ended(norn_lanes *l, group *g, val v, double *logw)
{
  for (uint32_t k = 0; l->flags & NORN_RUN_SIMULATE && k < g->at->n; k++)
    l->state[lane_at(g, k)] = LANE_ENDED;
  if (l->flags & NORN_RUN_SIMULATE) return l->any_gone = true;
  if (v_is_lanes(v) && !g->lane && g->at->n == l->n && !l->values) return numbers_ended(l, g, v, logw);
  for (uint32_t k = 0; k < g->at->n; k++) {
    uint32_t i = lane_at(g, k);
    val x = lane_of(g, v, k);
    if ((norn_is_none(x) && !norn_is_none(v)) || !keep_value(l, i, x)) return false;
    logw[i] += g->weighed ? g->logw[k] : g->run->logw;
  }
  return true;
}

/* Group i on to its barrier, its end, or where its lanes part; or it rests.  false: error set. */
static bool group_step(norn_lanes *l, size_t i, double *logw, norn_lanes_leg *leg)
{
  norn_state *st = l->st;
  group *g = l->group[i], *up = st->lanes;
  norn_event ev;
  if (st->home && !crew_works(st)) return l->rests = true;      /* runs alone go on there, groups do not */
  if (g->sizes) {
    g->sizes = false;
    lanes_sizes how = lanes_by_size(g);
    if (how == SIZES_FAILED) return false;
    if (how == SIZES_PART) return part(l, i);
  }
  st->lanes = g;
  norn_event_kind kind = norn_run_next(g->run, &ev);
  st->lanes = up;
  if (st->home && kind == NORN_INFER && !g->want) {
    if (ev.count == 1) return l->rests = true;     /* first the heaps are collected */
    g->want = WANT_ALONE;                          /* the caller's thread must do something */
  }
  l->report.groups++;
  if (g->defers) {
    int goes_on = lanes_defer_end(g, kind);
    if (goes_on <= 0) return goes_on == 0;
  }
  if (g->want == WANT_ALONE && l->flags & NORN_RUN_SIMULATE) {
    lanes_sizes how = lanes_by_size(g);
    if (how == SIZES_FAILED) return false;
    if (how == SIZES_SAME) {
      g->want = WANT_NOTHING;
      return true;
    }
  }
  if (g->want && g->want != WANT_ERROR) return part(l, i);
  switch (kind) {
  case NORN_OBSERVE:
    weigh(l, g, logw, leg, ev.span);
    l->next++;
    return true;
  case NORN_DEAD:
    for (uint32_t k = 0; k < g->at->n; k++) lane_dies(l, lane_at(g, k), logw, leg, ev.span);
    group_remove(l, i);
    return true;
  case NORN_DONE: {
    bool kept = group_ended(l, g, g->run->value, logw);
    group_remove(l, i);
    return kept;
  }
  case NORN_ERROR: return false;
  default:
    norn_fail(st, NORN_EUSE, -1, "an event in lanes that nobody answers");
    return false;
  }
}

/* Run i has come to where it waits for the others, to its end, or to its death. */
static bool run_arrives(norn_lanes *l, uint32_t i, const norn_event *ev, double *logw,
                        norn_lanes_leg *leg)
{
  norn_run *r = l->run[i];
  logw[i] += r->logw;
  r->logw = 0;
  if (ev->kind == NORN_OBSERVE) {
    leg->observing++;
    leg->running++;
    return true;
  }
  bool kept = true;
  if (ev->kind == NORN_DEAD) lane_dies(l, i, logw, leg, ev->span);
  else {
    leg->improper |= (r->flags & NORN_RUN_IMPROPER) != 0;
    if (l->flags & NORN_RUN_SIMULATE) l->state[i] = LANE_ENDED;
    else kept = keep_value(l, i, ev->value);
  }
  norn_run_free(r);
  l->run[i] = NULL;
  l->nruns--;
  return kept;
}

/* Runs from next_run on, in blocks. */
static norn_step runs_step(norn_lanes *l, double *logw, norn_lanes_leg *leg)
{
  enum { BLOCK = 128 };
  norn_run *r[BLOCK];
  uint32_t place[BLOCK];
  norn_event ev[BLOCK];
  while (l->nruns && l->next_run < l->n) {
    int m = 0, done;
    uint32_t i = l->next_run;
    for (; i < l->n && m < BLOCK; i++)
      if (l->run[i]) {
        r[m] = l->run[i];
        place[m++] = i;
      }
    group *up = l->st->lanes;
    l->st->lanes = NULL;
    done = m ? norn_runs_next(r, ev, m) : 0;
    l->st->lanes = up;
    l->next_run = done < m ? place[done] : i;
    for (int k = 0; k < done; k++) {
      if (ev[k].kind == NORN_INFER) {
        l->next_run = place[k];
        leg->run = r[k];
        leg->ev = ev[k];
        return NORN_STEP_WAIT;
      }
      if (ev[k].kind == NORN_ERROR || ev[k].kind == NORN_SAMPLE) return NORN_STEP_FAIL;
      if (!run_arrives(l, place[k], &ev[k], logw, leg)) return NORN_STEP_FAIL;
    }
  }
  return NORN_STEP_DONE;
}

/* ---- resampling ---- */

/* Lanes with a group: which, and where in it. */
typedef struct owners { uint32_t *group, *pos; } owners;

static bool find_owners(norn_lanes *l, owners *o)
{
  o->group = lane_list(l);
  o->pos = lane_list(l);
  if (!o->group || !o->pos) return false;
  memset(o->group, 0, l->n * sizeof *o->group);
  for (size_t j = 0; j < l->ngroup; j++)
    for (uint32_t k = 0; k < l->group[j]->at->n; k++) {
      uint32_t i = lane_at(l->group[j], k);
      if (l->state[i] == LANE_DEAD) continue;
      o->group[i] = (uint32_t)j + 1;
      o->pos[i] = k;
    }
  return true;
}

/* Group j takes the lanes whose ancestors are its own; from: each lane's ancestor (NULL: itself). */
static bool regroup(norn_lanes *l, size_t j, const owners *o, const uint32_t *from)
{
  group *g = l->group[j];
  uint32_t m = 0;
  for (uint32_t i = 0; i < l->n; i++) m += o->group[from ? from[i] : i] == j + 1;
  layout *at = layout_new(l, g->at, m);
  uint32_t *lane = at ? lane_list(l) : NULL;
  if (!lane) {
    if (at) layout_drop(l, at);
    return false;
  }
  for (uint32_t i = 0, k = 0; i < l->n; i++) {
    uint32_t a = from ? from[i] : i;
    if (o->group[a] != j + 1) continue;
    at->map[k] = o->pos[a];
    lane[k++] = i;
  }
  layout_drop(l, g->at);
  g->at = at;
  size_t bytes = ((size_t)l->n + LANE_PAD) * sizeof *lane;
  mem_put(&l->st->mem, g->lane, bytes);
  if (m == l->n) mem_put(&l->st->mem, lane, bytes);
  g->lane = m == l->n ? NULL : lane;
  return true;
}

/* Groups that have become small are dissolved, empty ones go. */
static bool regroup_all(norn_lanes *l, const uint32_t *from)
{
  owners o = { NULL, NULL };
  size_t bytes = ((size_t)l->n + LANE_PAD) * sizeof *o.group;
  bool good = find_owners(l, &o);
  for (size_t j = 0; good && j < l->ngroup; j++) good = regroup(l, j, &o, from);
  mem_put(&l->st->mem, o.group, bytes);
  mem_put(&l->st->mem, o.pos, bytes);
  l->removed = false;
  for (size_t j = l->ngroup; good && j-- > 0;) {
    uint32_t m = l->group[j]->at->n;
    if (m >= LANES_FEW || m == l->n) continue;
    good = !m || dissolve(l->group[j], NULL);
    group_remove(l, j);
  }
  return good;
}

bool norn_lanes_copy(norn_lanes *l, const uint32_t *to, const uint32_t *from, size_t n)
{
  if (!n) return true;
  if (l->number) l->number_mixed = true;
  bool whole = l->ngroup == 1 && !l->group[0]->lane && !l->nruns;
  for (size_t k = 0; l->any_gone && k < n; k++) {
    l->state[to[k]] = l->state[from[k]];
    l->value[to[k]] = l->value[from[k]];
  }
  if (whole && (!l->any_gone || !memchr(l->state, LANE_DEAD, l->n))) {
    group *g = l->group[0];
    layout *at = layout_new(l, g->at, l->n);
    if (!at) return false;
    memcpy(at->map, l->identity, l->n * sizeof *at->map);
    for (size_t k = 0; k < n; k++) at->map[to[k]] = from[k];
    layout_forget(l, g->at);
    layout_drop(l, g->at);
    g->at = at;
    l->removed = l->any_gone = false;
    lanes_compact(l);
    return true;
  }
  if (l->run) {
    if (!norn_runs_copy(l->run, to, from, (int)n)) return false;
    l->nruns = 0;
    for (uint32_t i = 0; i < l->n; i++) l->nruns += l->run[i] != NULL;
  }
  if (!l->ngroup) return true;
  uint32_t *ancestor = lane_list(l);
  if (!ancestor) return false;
  memcpy(ancestor, l->identity, l->n * sizeof *ancestor);
  for (size_t k = 0; k < n; k++) ancestor[to[k]] = from[k];
  bool good = regroup_all(l, ancestor);
  mem_put(&l->st->mem, ancestor, ((size_t)l->n + LANE_PAD) * sizeof *ancestor);
  return good;
}

/* ---- a leg ---- */

/* Are runs alone faster, leg after leg?  By what a step of a group and a lane that goes alone cost, in
   steps of a run (measured: 1.5 us and .6 us, where those of a run are .1 us and .02 in lanes). */
static bool settle(norn_lanes *l, size_t groups, size_t alone)
{
  enum { LEGS = 8, GROUP = 15, ALONE = 6 };
  bool apart = GROUP * groups + ALONE * alone > l->n || l->nruns > l->n / 2;
  l->apart = apart ? l->apart + 1 : 0;
  if (l->apart < LEGS || l->report.fallen_apart) return true;
  l->report.fallen_apart = true;
  while (l->ngroup) {
    bool done = dissolve(l->group[0], NULL);
    group_remove(l, 0);
    if (!done) return false;
  }
  return true;
}

norn_event_kind norn_lanes_next(norn_lanes *l, double *logw, norn_lanes_leg *leg)
{
  if (!l->in_leg) {
    l->in_leg = true;
    l->next = 0;
    l->next_run = 0;
    l->report.groups = 0;
    l->alone_before = l->report.alone;
    leg->observing = leg->running = 0;
    if (l->removed && l->ngroup && !regroup_all(l, NULL)) return NORN_ERROR;
    lanes_defer_begin(l);
  }
  l->logw = logw;
  leg->apart = false;
  while (l->next < l->ngroup && !l->plate_over && !l->rests)
    if (!group_step(l, l->next, logw, leg)) return NORN_ERROR;
  if (l->rests) {
    l->rests = false;
    leg->run = l->group[l->next]->run;
    leg->ev = (norn_event){ .kind = NORN_INFER, .count = 1 };
    return NORN_INFER;
  }
  if (l->plate_over) {
    leg->apart = true;
    return NORN_OBSERVE;
  }
  norn_step s = runs_step(l, logw, leg);
  if (s != NORN_STEP_DONE) return s == NORN_STEP_WAIT ? NORN_INFER : NORN_ERROR;
  l->in_leg = false;
  leg->deferred = l->deferred;
  size_t groups = l->report.groups, alone = l->report.alone - l->alone_before;
  if (!l->report.fallen_apart && l->ngroup + l->nruns > 1 && !lanes_merge(l)) return NORN_ERROR;
  return settle(l, groups, alone) ? NORN_OBSERVE : NORN_ERROR;
}

static norn_datum number_of(const norn_lanes *l, size_t i)
{
  cell c = l->number[l->value[i]];
  return l->number_kind == LANE_REAL  ? norn_real(c.d)
         : l->number_kind == LANE_INT ? norn_int(c.i)
                                      : norn_bool(c.i);
}

const void *norn_lanes_numbers(const norn_lanes *l, uint64_t *tag)
{
  *tag = l->number_kind;
  return l->number_mixed ? NULL : l->number;
}

norn_datum norn_lanes_value(norn_lanes *l, size_t i)
{
  if (l->number) return number_of(l, i);
  return norn_array_at(l->st, norn_get(l->values), l->value[i]);
}

void norn_lanes_look(const norn_lanes *l, norn_lanes_report *out)
{
  *out = l->report;
  out->groups = l->ngroup;
}

/* ---- checkpoints ---- */

static norn_run *lane_alone(group *g, uint32_t k)
{
  holders h;
  norn_run *r = NULL;
  lanes_lift_water(g->run);
  if (find_holders(g, &h)) r = run_of_lane(g, k, &h);
  holders_free(&h);
  return r;
}

/* The runs of lanes [0, n), those in groups made for this alone; `made` has them, to be freed when all are
   written. */
static bool runs_put(norn_lanes *l, norn_archive *a, norn_run **made)
{
  owners o = { NULL, NULL };
  size_t bytes = ((size_t)l->n + LANE_PAD) * sizeof *o.group;
  bool good = find_owners(l, &o);
  for (uint32_t i = 0; good && i < l->n; i++) {
    norn_run *r = l->run && l->run[i] ? l->run[i] : NULL;
    if (!r && o.group[i] && l->state[i] == LANE_RUNNING)
      good = (r = made[i] = lane_alone(l->group[o.group[i] - 1], o.pos[i])) != NULL;
    good = good && norn_archive_run(a, &r);
  }
  mem_put(&l->st->mem, o.group, bytes);
  mem_put(&l->st->mem, o.pos, bytes);
  return good;
}

static bool runs_get(norn_lanes *l, norn_archive *a)
{
  while (l->ngroup) group_remove(l, 0);
  l->nruns = 0;
  for (uint32_t i = 0; i < l->n; i++) {
    if (!norn_archive_run(a, &l->run[i])) return false;
    if (l->run[i] && l->state[i] != LANE_RUNNING) return norn_archive_fail(a, "its lanes are not whole");
    l->nruns += l->run[i] != NULL;
  }
  return true;
}

static bool report_archive(norn_archive *a, norn_lanes_report *r)
{
  return norn_archive_size(a, &r->groups) && norn_archive_size(a, &r->splits) &&
         norn_archive_size(a, &r->selects) && norn_archive_size(a, &r->merged) && norn_archive_size(a, &r->alone) &&
         norn_archive_bool(a, &r->fallen_apart) && norn_archive_span(a, &r->where) &&
         norn_archive_text(a, r->why, sizeof r->why);
}

/* Numbers of a vector as values, as they are archived. */
static bool numbers_boxed(norn_lanes *l)
{
  cell *number = l->number;
  for (uint32_t i = 0; i < l->n && number; i++) {
    val v = number_of(l, i);
    if (l->state[i] == LANE_ENDED && !keep_value(l, i, v)) return false;
  }
  lane_buffer_put(l, number);
  l->number = NULL;
  return true;
}

bool lanes_archive(norn_archive *a, norn_lanes *l)
{
  mem *m = &l->st->mem;
  bool reads = norn_archive_reading(a), in_leg = l->in_leg;
  size_t size = l->n * sizeof(norn_run *);
  norn_lanes_report report = l->report;
  if (in_leg) return archive_not_now(a, "particles in lanes can't be saved while one waits for an inference");
  if (!reads && !numbers_boxed(l)) return false;
  if (reads) lane_buffer_put(l, l->number), l->number = NULL;
  norn_archive_bytes(a, l->state, l->n);
  norn_archive_array(a, &l->value, NULL, l->n, sizeof *l->value);
  norn_archive_u32(a, &l->nvalues);
  norn_archive_int(a, &l->apart);
  norn_archive_bool(a, &l->any_gone);
  norn_archive_size(a, &l->alone_before);
  if (!report_archive(a, &report) || !norn_archive_ref(a, &l->values)) return false;
  if (reads && l->values && norn_array_length(norn_get(l->values)) != (int64_t)l->nvalues)
    return norn_archive_fail(a, "its lanes are not whole");
  norn_run **made = reads ? NULL : mem_zero(m, size);
  if (reads && !l->run) l->run = mem_zero(m, size);
  if (reads ? !l->run : !made) return norn_archive_fail(a, "out of memory");
  bool good = reads ? runs_get(l, a) : runs_put(l, a, made);
  for (uint32_t i = 0; made && i < l->n; i++) if (made[i]) norn_run_free(made[i]);
  mem_put(m, made, made ? size : 0);
  if (good && reads && !report.fallen_apart && l->nruns > 1) good = lanes_merge(l);
  if (reads) l->report = report;
  return good || norn_archive_fail(a, "out of memory");
}
