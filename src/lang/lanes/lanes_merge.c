/* lanes_merge.c: groups and runs that stand at a barrier in the same state become one group again
   (lanes.h).

   The same state: the same frames at the same places, and values that can be joined one by one.  What
   a run may still go through is found by a hash of its frames and of the form of its values, numbers
   left out.  A register that an instruction reads as a number without looking (FADD, IADD: the
   compiler knows its type) must hold the same number in all. */
#include "lang/lanes/lanes.h"
#include "lang/value/array.h"
#include "lang/compile/flow.h"
#include <stdlib.h>
#include <string.h>

/* ---- registers that are read as numbers ---- */

static bool reads_unseen(unsigned op)
{
  switch (op) {
  case OP_FADD: case OP_FSUB: case OP_FMUL: case OP_FDIV: case OP_FADDK: case OP_FSUBK:
  case OP_FMULK: case OP_FDIVK: case OP_FRSUBK: case OP_FRDIVK: case OP_IADD: case OP_ISUB:
  case OP_IMUL: case OP_IADDI: case OP_FNEG: case OP_FJNLT: case OP_FJNLE: case OP_FJNLTK:
  case OP_FJNGTK: case OP_IJNLT: case OP_IJNLE: case OP_IJNLTI: case OP_IJNGTI: case OP_IJNEQI:
  case OP_FORLOOP: case OP_AIDX: case OP_AREST:
    return true;
  default: return false;
  }
}

static bool bit(const uint64_t *s, int r) { return s[r >> 6] >> (r & 63) & 1; }
static void bit_set(uint64_t *s, int r) { s[r >> 6] |= 1ull << (r & 63); }

/* The row after the instruction at pc, from those of the places where it may go on. */
static void row_after(const struct typed *t, uint32_t pc, const flow *f, uint64_t *out)
{
  uint32_t words = t->p->live_words;
  memset(out, 0, words * sizeof *out);
  if (f->next && pc + (uint32_t)f->size < t->p->ncode)
    memcpy(out, t->bits + (size_t)(pc + (uint32_t)f->size) * words, words * sizeof *out);
  for (uint32_t w = 0; f->jumps && w < words; w++) out[w] |= t->bits[(size_t)f->jump * words + w];
}

/* One instruction, backwards: as liveness.c, for such reads only.  true: its row grew. */
static bool row_before(struct typed *t, uint32_t pc, uint64_t *s)
{
  const proto *p = t->p;
  uint32_t words = p->live_words, op = p->code[pc].op;
  flow f;
  flow_of(p->code, pc, &f);
  row_after(t, pc, &f, s);
  bool reads = reads_unseen(op) || (op == OP_MOVE && bit(s, f.def));
  if (f.def >= 0) s[f.def >> 6] &= ~(1ull << (f.def & 63));
  for (int r = f.kill; r >= 0 && r < p->nregs; r++) s[r >> 6] &= ~(1ull << (r & 63));
  for (int i = 0; reads && i < f.nread; i++) bit_set(s, f.read[i]);
  uint64_t *row = t->bits + (size_t)pc * words;
  bool grew = memcmp(row, s, words * sizeof *s) != 0;
  memcpy(row, s, words * sizeof *s);
  return grew;
}

static size_t typed_bytes(const proto *p)
{
  return sizeof(struct typed) + ((size_t)p->ncode + 1) * p->live_words * sizeof(uint64_t);
}

/* Before each instruction: the registers that will be read unseen.  NULL: no memory (error set). */
static const struct typed *typed_of(norn_lanes *l, const proto *p)
{
  mem *m = &l->st->mem;
  for (struct typed *t = l->typed; t; t = t->next)
    if (t->p == p) return t;
  struct typed *t = mem_zero(m, typed_bytes(p));
  uint32_t *starts = mem_get(m, p->ncode * sizeof *starts), n = 0;
  flow f;
  if (!t || !starts) {
    mem_put(m, t, t ? typed_bytes(p) : 0);
    mem_put(m, starts, starts ? p->ncode * sizeof *starts : 0);
    state_memory(l->st);
    return NULL;
  }
  t->p = p;
  for (uint32_t pc = 0; pc < p->ncode; pc += (uint32_t)f.size) {
    flow_of(p->code, pc, &f);
    starts[n++] = pc;
  }
  uint64_t *scratch = t->bits + (size_t)p->ncode * p->live_words;
  for (bool grew = true; grew;) {
    grew = false;
    for (uint32_t i = n; i-- > 0;) grew |= row_before(t, starts[i], scratch);
  }
  mem_put(m, starts, p->ncode * sizeof *starts);
  t->next = l->typed;
  return l->typed = t;
}

bool lanes_reads_unseen(norn_lanes *l, const proto *p, uint32_t pc, int reg)
{
  const struct typed *t = typed_of(l, p);
  return !t || bit(t->bits + (size_t)pc * p->live_words, reg);
}

void lanes_merge_free(norn_lanes *l)
{
  while (l->typed) {
    struct typed *t = l->typed;
    l->typed = t->next;
    mem_put(&l->st->mem, t, typed_bytes(t->p));
  }
}

/* ---- the form of a state ---- */

static uint64_t mix(uint64_t h, uint64_t x) { return hash_mix(h * 0x9e3779b97f4a7c15u + x); }

static unsigned number_kind(val x)
{
  return v_is_lanes(x) ? lanes_kind(x) : V_IS_INT(x) || V_IS_REAL(x) || V_IS_BOOL(x) ? x.tag : 0;
}

static uint64_t form(uint64_t h, val x, int depth)
{
  enum { DEEP = 8 };
  if (number_kind(x)) return mix(h, number_kind(x));
  if (V_KIND(x) == V_FRAME || V_KIND(x) == V_ADDR) return h;
  if (x.tag == NORN_STR) return mix(h, value_hash(x));
  h = mix(h, x.tag);
  if (!V_IS_HEAP(x)) return x.tag == NORN_NATIVE ? mix(h, (uintptr_t)x.p) : h;
  if (x.tag == NORN_ARRAY) return mix(h, (uint64_t)v_vec(x)->len);
  if (depth > DEEP) return h;
  const val *v = NULL;
  uint32_t n = ((const obj *)x.p)->n;
  switch (V_KIND(x)) {
  case NORN_RECORD:
    v = v_rec(x)->f, n = v_rec(x)->sh->n;
    h = mix(h, v_rec(x)->sh->id);
    break;
  case NORN_DATA: v = ((const data *)x.p)->f; break;
  case NORN_FUN:
    v = v_clo(x)->cap;
    h = mix(h, (uintptr_t)v_clo(x)->p);
    break;
  case NORN_DIST: v = v_tab(x)->a, h = mix(h, (uintptr_t)v_tab(x)->row); break;
  default: break;
  }
  for (uint32_t i = 0; v && i < n; i++) h = form(h, v[i], depth + 1);
  return h;
}

/* Registers that are read unseen count with their number.  known: forms of objects, most of which are in every
   run. */
typedef struct hashing {
  norn_lanes *l;
  uint64_t h;
  size_t n;
  bool failed;
  struct { const void *p; uint64_t form; } known[64];
} hashing;

static uint64_t form_of(hashing *s, val x)
{
  if (!V_IS_HEAP(x) || x.tag == NORN_STR || x.tag == NORN_ARRAY) return form(0, x, 0);
  size_t k = hash_mix((uintptr_t)x.p) % (sizeof s->known / sizeof *s->known);
  if (s->known[k].p != x.p) {
    s->known[k].p = x.p;
    s->known[k].form = form(0, x, 0);
  }
  return s->known[k].form;
}

static bool hash_value(void *user, val *x, const proto *p, const ins *pc, int reg)
{
  hashing *s = user;
  const struct typed *t = reg >= 0 ? typed_of(s->l, p) : NULL;
  s->n++;
  s->failed |= reg >= 0 && !t;
  s->h = mix(s->h, form_of(s, *x));
  if (t && bit(t->bits + (size_t)(pc - p->code) * p->live_words, reg) && !v_is_lanes(*x) &&
      number_kind(*x)) s->h = mix(s->h, (uint64_t)x->i);
  return !s->failed;
}

static bool hash_frames(norn_run *r, hashing *s)
{
  s->h = mix(r->bits, (uintptr_t)r->pc);
  const ins *pc = r->pc;
  for (val *R = r->R; pc != run_halt_code;) {
    val *f = R - FRAME_SIZE;
    s->h = mix(s->h, (uintptr_t)pc);
    s->h = mix(s->h, FRAME_DIST(f));
    pc = FRAME_PC(f) == run_water_code ? r->wpc : FRAME_PC(f);
    if (pc != run_halt_code) R = (val *)((char *)R - FRAME_DIST(f));
  }
  s->h = mix(s->h, r->addr);
  lanes_walk(r, hash_value, s);
  return !s->failed;
}

/* ---- joining ---- */

/* A group (i below ngroup) or the run of a lane. */
typedef struct member { uint64_t h; group *g; norn_run *run; uint32_t lane; size_t n; } member;

static int by_hash(const void *x, const void *y)
{
  const member *a = x, *b = y;
  if (a->h != b->h) return a->h < b->h ? -1 : 1;
  if (!a->g != !b->g) return a->g ? -1 : 1;                /* groups first */
  return a->lane < b->lane ? -1 : a->lane > b->lane;
}

static uint32_t lanes_of(const member *m) { return m->g ? m->g->at->n : 1; }
static uint32_t member_lane(const member *m, uint32_t k)
{
  return !m->g ? m->lane : m->g->lane ? m->g->lane[k] : k;
}

typedef struct places { val **v; size_t n; } places;
static bool note_place(void *user, val *x, const proto *p, const ins *pc, int reg)
{
  places *s = user;
  (void)p, (void)pc, (void)reg;
  s->v[s->n++] = x;
  return true;
}

/* The youngest layout from which all groups come; NULL: there is none. */
static layout *common(const member *m, size_t n)
{
  layout *p = NULL;
  for (size_t i = 0; i < n; i++) {
    if (!m[i].g) continue;
    layout *q = m[i].g->at;
    if (!p) p = q;
    while (p && q && p != q) {
      if (p->depth >= q->depth) p = p->up;
      else q = q->up;
    }
    if (!q || !p) return NULL;
  }
  return p;
}

/* One merger: n members, whose lanes are `total` in all. */
typedef struct merger {
  norn_lanes *l;
  member *m; size_t n;
  uint32_t total, *lane, *to;        /* (n lanes) rising; where each member's lanes go, in a row */
  group *g;                          /* the result */
} merger;

/* Rising lanes of all members, and where those of each are among them. */
static bool order_lanes(merger *q)
{
  norn_lanes *l = q->l;
  mem *m = &l->st->mem;
  size_t bytes = ((size_t)l->n + LANE_PAD) * sizeof(uint32_t);
  uint32_t *rank = mem_get(m, bytes);
  q->lane = mem_get(m, bytes);
  q->to = mem_get(m, bytes);
  bool good = rank && q->lane && q->to;
  if (good) {
    memset(rank, 0xff, l->n * sizeof *rank);
    for (size_t i = 0; i < q->n; i++)
      for (uint32_t k = 0; k < lanes_of(q->m + i); k++) rank[member_lane(q->m + i, k)] = 0;
    for (uint32_t i = 0; i < l->n; i++)
      if (!rank[i]) {
        q->lane[q->total] = i;
        rank[i] = q->total++;
      }
    for (size_t i = 0, j = 0; i < q->n; i++)
      for (uint32_t k = 0; k < lanes_of(q->m + i); k++) q->to[j++] = rank[member_lane(q->m + i, k)];
  } else state_memory(l->st);
  mem_put(m, rank, bytes);
  return good;
}

/* The layout of the result: from the one all groups come from, which it is itself if it has the same
   lanes again. */
static layout *joint_layout(merger *q)
{
  norn_lanes *l = q->l;
  layout *up = common(q->m, q->n), *at = layout_new(l, up, q->total);
  bool same = up && up->n == q->total;
  if (!at || !up) return at;
  memset(at->map, 0, q->total * sizeof *at->map);
  for (size_t i = 0, j = 0; i < q->n; i++) {
    uint32_t n = lanes_of(q->m + i);
    layout *of = q->m[i].g ? q->m[i].g->at : NULL;
    const uint32_t *map = of && of != up ? layout_map(l, of, up) : NULL;
    if (of && of != up && !map) {
      layout_drop(l, at);
      return NULL;
    }
    for (uint32_t k = 0; of && k < n; k++) at->map[q->to[j + k]] = map ? map[k] : k;
    for (uint32_t k = 0; of && same && k < n; k++) same = at->map[q->to[j + k]] == q->to[j + k];
    same &= of != NULL;
    j += n;
  }
  if (!same) return at;
  layout_drop(l, at);
  up->refs++;
  return up;
}

/* What is live in the result's run, from what is live in the members.  1: done; 0: it can't be joined;
   -1: error set. */
static int join_values(merger *q)
{
  norn_lanes *l = q->l;
  mem *m = &l->st->mem;
  size_t live = q->m[0].n;
  lane_source *s = mem_get(m, q->n * sizeof *s);
  val **v = mem_get(m, (q->n + 1) * live * sizeof *v);
  int done = s && v ? 1 : -1;
  for (size_t i = 0; done > 0 && i <= q->n; i++) {
    places at = { v + i * live, 0 };
    if (i < q->n && q->m[i].n != live) done = 0;
    else lanes_walk(i < q->n ? q->m[i].run : q->g->run, note_place, &at);
  }
  for (size_t k = 0; done > 0 && k < live; k++) {
    size_t j = 0;
    for (size_t i = 0; i < q->n; i++) {
      s[i] = (lane_source){ *v[i * live + k], q->m[i].g, q->to + j };
      j += lanes_of(q->m + i);
    }
    if (V_KIND(s[0].v) == V_FRAME) continue;
    val x = lanes_joined(l, q->g->at, s, q->n);
    if (norn_is_none(x) && !norn_is_none(s[0].v)) done = l->st->err.code ? -1 : 0;
    else *v[q->n * live + k] = x;
  }
  if (done < 0 && !l->st->err.code) state_memory(l->st);
  mem_put(m, s, q->n * sizeof *s);
  mem_put(m, v, (q->n + 1) * live * sizeof *v);
  return done;
}

static void forget_members(norn_lanes *l, merger *q)
{
  for (size_t i = 0; i < q->n; i++) {
    if (!q->m[i].g) {
      norn_run_free(l->run[q->m[i].lane]);
      l->run[q->m[i].lane] = NULL;
      l->nruns--;
      continue;
    }
    for (size_t j = 0; j < l->ngroup; j++)
      if (l->group[j] == q->m[i].g) {
        l->group[j] = l->group[--l->ngroup];
        break;
      }
    group_free(l, q->m[i].g);
  }
}

/* false: error set; that they can't be joined is none. */
static bool join(norn_lanes *l, member *m, size_t n)
{
  merger q = { .l = l, .m = m, .n = n };
  size_t bytes = ((size_t)l->n + LANE_PAD) * sizeof(uint32_t);
  group *g = q.g = mem_zero(&l->st->mem, sizeof *g);
  int done = g ? 1 : -1;
  if (g) g->all = l;
  if (g && (!order_lanes(&q) || !(g->at = joint_layout(&q)) ||
            !(g->run = norn_run_fork(m[0].run, q.lane[0]))))
    done = -1;
  if (done > 0) {
    g->run->flags = (l->flags & ~(unsigned)NORN_RUN_DRAW) | RUN_LANES;
    lanes_lift_water(g->run);
    done = join_values(&q);
  }
  if (done > 0) {
    if (q.total < l->n) {
      g->lane = q.lane;
      q.lane = NULL;
    }
    forget_members(l, &q);
    if (!group_add(l, g)) done = -1;
    else g = NULL;
    l->report.merged++;
  }
  group_free(l, g);
  mem_put(&l->st->mem, q.lane, q.lane ? bytes : 0);
  mem_put(&l->st->mem, q.to, q.to ? bytes : 0);
  if (done < 0 && !l->st->err.code) state_memory(l->st);
  return done >= 0;
}

bool lanes_merge(norn_lanes *l)
{
  size_t n = 0, all = l->ngroup + l->nruns;
  mem *mm = &l->st->mem;
  member *m = mem_zero(mm, all * sizeof *m);
  bool good = m != NULL;
  hashing s = { .l = l };
  for (size_t j = 0; good && j < l->ngroup; j++)
    m[n++] = (member){ .g = l->group[j], .run = l->group[j]->run };
  for (uint32_t i = 0; good && l->nruns && i < l->n; i++)
    if (l->run[i]) m[n++] = (member){ .run = l->run[i], .lane = i };
  for (size_t i = 0; good && i < n; i++) {
    s.n = 0;
    good = hash_frames(m[i].run, &s);
    m[i].h = s.h;
    m[i].n = s.n;
  }
  if (good) qsort(m, n, sizeof *m, by_hash);
  for (size_t i = 0, k; good && i < n; i = k) {
    uint32_t total = 0;
    for (k = i; k < n && m[k].h == m[i].h; k++) total += lanes_of(m + k);
    if (k - i > 1 && total >= LANES_FEW) good = join(l, m + i, k - i);
  }
  if (!m) state_memory(l->st);
  mem_put(mm, m, all * sizeof *m);
  return good;
}
