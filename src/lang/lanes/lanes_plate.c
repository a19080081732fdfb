/* lanes_plate.c: many populations side by side, as lanes of one run (lanes.h; norn_lanes_plate in norn_infer.h).

   The runs of all, which have not started, become one: where they hold the same, it does; where they hold
   different numbers, a vector with one number for each population, which no resampling moves:

       run 0    y = [1.5, 2.0]  sd = 1           lanes of population   0   0   0 ..   1   1   1 ..
       run 1    y = [0.3, 2.0]  sd = 1           y[0]                 1.5 1.5 1.5    .3  .3  .3
                                                 y[1]  2.0,  sd  1    (as numbers of the program)

   All of them go to the same observation by the same way, their draws and weights as segments of a backend.  What
   lanes do else (they part, they draw or weigh themselves, they go alone) these do not: then they are apart, and
   whoever made them has each population on its own.  So it is too where what is one number for a population is
   asked for by what has no operation (the sum of its data): lanes would find it once for each particle. */
#include "lang/lanes/lanes.h"
#include "lang/value/array.h"
#include <string.h>

bool lanes_apart(group *g)
{
  if (!g->all->plates || !g->defers) return false;
  lanes_again(g);
  return true;
}

/* ---- joining ---- */

typedef struct places { val **v; size_t n, room; } places;

static bool note_place(void *user, val *x, const proto *p, const ins *pc, int reg)
{
  places *s = user;
  (void)p, (void)pc, (void)reg;
  if (s->n == s->room) return false;
  s->v[s->n++] = x;
  return true;
}

static bool count_place(void *user, val *x, const proto *p, const ins *pc, int reg)
{
  (void)x, (void)p, (void)pc, (void)reg;
  ++*(size_t *)user;
  return true;
}

/* What is live in run 0 becomes what is in all.  1: done; 0: they differ in more than numbers; -1: error set. */
static int join(norn_lanes *l, norn_run **run, size_t n)
{
  mem *m = &l->st->mem;
  size_t live = 0;
  lanes_walk(run[0], count_place, &live);
  lane_source *s = mem_zero(m, n * sizeof *s);
  val **v = mem_get(m, (n * live + 1) * sizeof *v);
  int done = s && v ? 1 : -1;
  for (size_t f = 0; done > 0 && f < n; f++) {
    places at = { .v = v + f * live, .room = live };
    if (!lanes_walk(run[f], note_place, &at) || at.n != live) done = 0;
  }
  for (size_t k = 0; done > 0 && k < live; k++) {
    for (size_t f = 0; f < n; f++) s[f].v = *v[f * live + k];
    if (V_KIND(s[0].v) == V_FRAME) continue;
    val x = lanes_joined(l, l->plate_at, s, n);
    if (norn_is_none(x) && !norn_is_none(s[0].v)) done = l->st->err.code ? -1 : 0;
    else *v[k] = x;
  }
  if (done < 0 && !l->st->err.code) state_memory(l->st);
  mem_put(m, s, n * sizeof *s);
  mem_put(m, v, (n * live + 1) * sizeof *v);
  return done;
}

norn_lanes *norn_lanes_plate(norn_run **run, size_t n, size_t each)
{
  norn_state *st = run[0]->st;
  norn_lanes *l = norn_lanes_new(run[0], n * each);
  int done = -1;
  if (l) {
    l->plates = (uint32_t)n;
    l->each = (uint32_t)each;
    l->stream = mem_get(&st->mem, n * sizeof *l->stream);
    l->plate_at = layout_new(l, NULL, l->n);
    for (size_t f = 0; f < n && l->stream; f++) l->stream[f] = run[f]->stream;
    if (l->stream && l->plate_at) done = join(l, run, n);
    else state_memory(st);
    run_dirty(run[0]);
  }
  for (size_t f = 1; f < n; f++) norn_run_free(run[f]);
  if (done > 0) return l;
  norn_lanes_free(l);
  return NULL;
}

/* ---- what can go side by side ---- */

static uint64_t mix(uint64_t h, uint64_t x) { return hash_mix(h * 0x9e3779b97f4a7c15u + x); }

typedef struct forming { norn_lanes *l; uint64_t h; bool whole, failed; } forming;

static void form(forming *s, val x, int depth);

static void form_array(forming *s, vec *v, int depth)
{
  s->h = mix(s->h, (uint64_t)v->len * 8 + (uint64_t)vec_rank(v));
  unsigned elem = vec_elem(v);
  bool numbers = elem != NORN_VALUES;
  if (numbers && (elem == NORN_F64 || !s->whole)) {
    s->h = mix(s->h, elem == NORN_F64 ? NORN_REAL : elem == NORN_I64 ? NORN_INT : NORN_BOOL);
    for (int k = 1; k < vec_rank(v); k++) s->h = mix(s->h, (uint64_t)v->dims[k - 1]);
    return;
  }
  for (int64_t i = 0; i < v->len; i++) form(s, vec_at(s->l->st, v, i), depth + 1);
}

/* Numbers count by their kind, all else by what it is. */
static void form(forming *s, val x, int depth)
{
  enum { DEEP = 64 };
  unsigned kind = V_IS_INT(x) || V_IS_REAL(x) || V_IS_BOOL(x) ? x.tag : 0;
  bool counts = kind && kind != NORN_REAL && s->whole;
  if (kind) s->h = mix(mix(s->h, kind), counts ? (uint64_t)x.i : 0);
  else if (V_KIND(x) == V_FRAME || V_KIND(x) == V_ADDR) return;
  else if (x.tag == NORN_STR) s->h = mix(s->h, value_hash(x));
  else if (!V_IS_HEAP(x)) s->h = mix(mix(s->h, x.tag), x.tag == NORN_NATIVE ? (uintptr_t)x.p : 0);
  else if (x.tag == NORN_ARRAY && depth < DEEP) form_array(s, v_vec(x), depth);
  else if (depth < DEEP) {
    const val *v = NULL;
    uint32_t n = 0;
    s->h = mix(s->h, x.tag);
    switch (V_KIND(x)) {
    case NORN_RECORD: v = v_rec(x)->f, n = v_rec(x)->sh->n, s->h = mix(s->h, v_rec(x)->sh->id); break;
    case NORN_DATA: v = ((const data *)x.p)->f, n = ((const obj *)x.p)->n; break;
    case NORN_FUN: v = v_clo(x)->cap, n = ((const obj *)x.p)->n, s->h = mix(s->h, (uintptr_t)v_clo(x)->p); break;
    case NORN_DIST: v = v_tab(x)->a, n = ((const obj *)x.p)->n, s->h = mix(s->h, (uintptr_t)v_tab(x)->row); break;
    default: break;
    }
    for (uint32_t i = 0; v && i < n; i++) form(s, v[i], depth + 1);
  }
}

/* A register that an instruction reads as a number without looking must hold the same in all. */
static bool form_place(void *user, val *x, const proto *p, const ins *pc, int reg)
{
  forming *s = user;
  bool was = s->whole;
  if (reg >= 0 && lanes_reads_unseen(s->l, p, (uint32_t)(pc - p->code), reg)) {
    s->h = mix(s->h, (uint64_t)x->i);
    s->whole = true;
  }
  form(s, *x, 0);
  s->whole = was;
  return true;
}

bool norn_runs_forms(norn_run **run, size_t n, bool whole, uint64_t *to)
{
  norn_lanes l = { .st = n ? run[0]->st : NULL };
  for (size_t f = 0; f < n; f++) {
    forming s = { .l = &l, .h = (uintptr_t)run[f]->pc, .whole = whole };
    lanes_walk(run[f], form_place, &s);
    to[f] = s.h;
  }
  if (n) lanes_merge_free(&l);
  return !n || !norn_error(l.st)->code;
}
