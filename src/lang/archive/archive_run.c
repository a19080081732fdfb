/* archive_run.c: suspended runs in checkpoints.

   A run that stands still is its frames, each with its function, how far it lies above the one below
   and where it goes on, and of each frame the registers that are live there (liveness.c); the rest of
   the stack means nothing.  The registers of an event that waits are kept too. */
#include "lang/archive/archive.h"
#include "lang/symbolic/delayed.h"
#include <string.h>

typedef struct frame { uint64_t dist, pc; const proto *p; val closure; val *R; } frame;
typedef struct frames { frame *v; size_t n, cap; } frames;

static void frames_free(norn_archive *a, frames *f)
{
  mem_put(&a->st->mem, f->v, f->cap * sizeof *f->v);
}

static frame *frames_add(norn_archive *a, frames *f)
{
  if (!mem_grow(&a->st->mem, &f->v, &f->cap, f->n + 1, sizeof *f->v)) return archive_no_memory(a), NULL;
  return &f->v[f->n++];
}

/* ---- both ways ---- */

/* Truth values of a run as bits. */
static unsigned run_bits(const norn_run *r)
{
  return (unsigned)r->finished | (unsigned)r->started << 1 | (unsigned)r->top << 2 |
         (unsigned)r->answered << 3 | (unsigned)r->dist_in_reg << 4 | (unsigned)r->rare << 5 |
         (unsigned)(r->seen != NULL) << 6;
}

/* Registers of an event that waits; what one that is over has held means nothing any more. */
static uint32_t held(const norn_run *r) { return r->wait == WAIT_NONE ? 0 : r->nhold; }

static bool run_numbers(norn_archive *a, norn_run *r)
{
  uint64_t flags = r->flags, wait = r->wait;
  uint32_t nhold = held(r);
  bool well = norn_archive_bytes(a, &r->addr, sizeof r->addr) && norn_archive_f64(a, &r->logw) &&
              norn_archive_bytes(a, &r->stream, sizeof r->stream) && norn_archive_u32(a, &r->lane) &&
              norn_archive_u32(a, &r->iter) && norn_archive_u64(a, &flags) &&
              norn_archive_u32(a, &r->nsample) && norn_archive_u32(a, &r->nobserve) &&
              norn_archive_u32(a, &r->bits) && norn_archive_u64(a, &wait) &&
              norn_archive_u32(a, &r->ans) && norn_archive_u32(a, &r->hold) &&
              norn_archive_u32(a, &nhold);
  if (!well) return false;
  if (flags > UINT32_MAX || wait > WAIT_INFER) return archive_damaged(a, "a run is none");
  if (!a->reading) return true;
  r->flags = (unsigned)flags;
  r->wait = (uint8_t)wait;
  r->nhold = wait == WAIT_NONE ? 0 : nhold;
  return true;
}

/* Values of registers: those that are live and, of the innermost frame, those of the event. */
static bool is_live(const frame *f, uint32_t k)
{
  return f->p->live[f->pc * f->p->live_words + k / 64] >> k % 64 & 1;
}

/* A register that a frame above has taken (its call's result will come there) holds that frame. */
static bool is_frame(val v) { return V_KIND(v) == V_FRAME && v.tag != V_FRAME; }

/* ---- writing ---- */

static bool frames_of(norn_archive *a, const norn_run *r, frames *f)
{
  val *R = r->R;
  const ins *pc = r->pc;
  for (;;) {
    frame *x = frames_add(a, f);
    if (!x) return false;
    const val *top = R - FRAME_SIZE;
    *x = (frame){ FRAME_DIST(top) / 16, 0, v_clo(R[-1])->p, R[-1], R };
    x->pc = (uint64_t)(pc - x->p->code);
    if (x->pc >= x->p->ncode) return norn_archive_fail(a, "a run that can't be saved");
    pc = FRAME_PC(top) == run_water_code ? r->wpc : FRAME_PC(top);
    if (pc == run_halt_code) return true;
    R = (val *)((char *)R - FRAME_DIST(top));
  }
}

static void frame_put(norn_archive *a, const norn_run *r, const frame *f, bool top)
{
  a->place = proto_span(f->p, (uint32_t)f->pc, -1);
  for (uint32_t k = 0; k < f->p->nregs; k++)
    if (is_live(f, k)) value_put(a, is_frame(f->R[k]) ? norn_none() : f->R[k]);
  for (uint32_t k = 0; top && k < held(r); k++) value_put(a, f->R[r->hold + k]);
}

static void seen_put(norn_archive *a, const norn_run *r)
{
  put_uint(a, r->nseen);
  for (size_t i = 0; i <= r->seen_mask; i++) {
    struct seen *s = &r->seen[i];
    if (!s->span.file && !s->addr) continue;
    put_raw(a, &s->addr, sizeof s->addr);
    norn_archive_span(a, &s->span);
  }
}

/* Of an event that waits and whose distribution is no value: its row, at registers that it holds. */
static void dist_put(norn_archive *a, const norn_run *r)
{
  bool is = held(r) && !r->dist_in_reg && r->wait != WAIT_NONE && r->wait != WAIT_INFER && r->d1.row;
  put_uint(a, is ? code_row(a, r->d1.row) : 0);
  if (!is) return;
  put_uint(a, (uint64_t)(r->d1.args - r->R));
  put_uint(a, (uint64_t)r->d1.n);
}

static bool run_put(norn_archive *a, norn_run *r)
{
  frames f = { 0 };
  norn_span was = a->place;
  if (!r->finished) a->place = run_place(r);
  if (r->sealed || r == a->st->current)
    return norn_archive_fail(a, "a run that can't be saved: a C function is inside of it");
  put_byte(a, run_bits(r));
  run_numbers(a, r);
  if (r->rare) {
    value_put(a, r->scope);
    value_put(a, r->memo);
    value_put(a, r->value);
    value_put(a, r->delay ? v_obj(V_RANDOM, r->delay) : norn_unit());
  }
  if (r->seen) seen_put(a, r);
  if (!r->finished && frames_of(a, r, &f)) {
    put_uint(a, f.n);
    for (size_t i = f.n; i-- > 0;) {
      put_uint(a, code_proto(a, f.v[i].p));
      value_put(a, f.v[i].closure);
      put_uint(a, f.v[i].dist);
      put_uint(a, f.v[i].pc);
    }
    for (size_t i = f.n; i-- > 0;) frame_put(a, r, &f.v[i], i == 0);
    dist_put(a, r);
  }
  frames_free(a, &f);
  a->place = was;
  return archive_good(a);
}

/* ---- reading ---- */

static bool frames_get(norn_archive *a, frames *f, size_t *slots)
{
  uint64_t n = get_uint(a), at = FRAME_SIZE;
  if (archive_good(a) && (n < 1 || n > left_in(a, a->in))) return archive_damaged(a, "a run has no frames");
  *slots = 0;
  for (uint64_t i = 0; archive_good(a) && i < n; i++) {
    const proto *below = i ? f->v[f->n - 1].p : NULL;
    frame *x = frames_add(a, f);
    if (!x) return false;
    const thing *t = code_thing(a, get_uint(a), THING_PROTO);
    *x = (frame){ 0, 0, t ? t->p : NULL, value_get(a), NULL };
    x->dist = get_uint(a);
    x->pc = get_uint(a);
    if (!archive_good(a)) return false;
    bool well = x->closure.tag == NORN_FUN && v_clo(x->closure)->p == x->p && x->pc < x->p->ncode &&
                t->starts[x->pc];
    well = well && (below ? x->dist >= FRAME_SIZE && x->dist <= below->nregs + (uint64_t)FRAME_SIZE
                          : x->dist == 0);
    if (!well) return archive_damaged(a, "a frame of a run is none");
    at += x->dist;
    if (at + x->p->nregs > *slots) *slots = at + x->p->nregs;
  }
  return archive_good(a);
}

/* Room for that many values: in the run's own place, or beside it. */
static norn_run *run_with(norn_archive *a, size_t slots)
{
  norn_state *st = a->st;
  bool large = slots > RUN_SLOTS_MAX;
  norn_run *r = run_get(st, large ? 1 : slots);
  if (!r) return archive_no_memory(a), NULL;
  run_init(r);
  r->R = r->stk + FRAME_SIZE;
  FRAME_SET(r->stk, run_halt_code, 0);
  r->R[-1] = norn_unit();
  r->finished = true;                             /* until it is whole */
  if (!large) return r;
  uint8_t c = 6;
  while ((size_t)1 << c < slots) c++;
  val *s = mem_get(&st->mem, sizeof(val) << c);
  if (!s) {
    norn_run_free(r);
    return archive_no_memory(a), NULL;
  }
  memcpy(s, r->stk, FRAME_SIZE * sizeof *s);
  r->stk = s;
  r->lim = s + ((size_t)1 << c);
  r->big = c;
  r->R = s + FRAME_SIZE;
  return r;
}

static bool seen_get(norn_archive *a, norn_run *r)
{
  uint64_t n = get_uint(a);
  if (archive_good(a) && n > left_in(a, a->in)) return archive_damaged(a, "a run is none");
  r->nseen = 0;
  for (uint64_t i = 0; archive_good(a) && i < n; i++) {
    uint64_t addr;
    norn_span at = { 0, 0, 0 };
    if (get_raw(a, &addr, sizeof addr) && norn_archive_span(a, &at) && (addr || at.file) &&
        !event_seen(r, addr, at))
      archive_no_memory(a);
  }
  return archive_good(a);
}

/* Frames lie in the registers of those below, so they are laid from the bottom. */
static void stack_get(norn_archive *a, norn_run *r, const frames *f)
{
  val *R = r->stk + FRAME_SIZE;
  const ins *ret = run_halt_code;
  for (size_t i = 0; archive_good(a) && i < f->n; i++) {
    const frame *x = &f->v[i];
    R += x->dist;
    FRAME_SET(R - FRAME_SIZE, ret, x->dist);
    R[-1] = x->closure;
    ret = x->p->code + x->pc;
    for (uint32_t k = 0; k < x->p->nregs; k++) R[k] = is_live(x, k) ? value_get(a) : norn_none();
  }
  const proto *p = f->v[f->n - 1].p;
  if (!archive_good(a)) return;
  /* places of events that are over may be those of another frame */
  if (r->wait != WAIT_NONE &&
      (r->nhold > p->nregs || r->hold > (uint32_t)p->nregs - r->nhold || r->ans >= p->nregs)) {
    archive_damaged(a, "an event of a run is none");
    return;
  }
  for (uint32_t k = 0; k < r->nhold; k++) R[r->hold + k] = value_get(a);
  r->R = R;
  r->pc = ret;
}

static void dist_get(norn_archive *a, norn_run *r)
{
  uint64_t k = get_uint(a);
  const thing *t = k ? code_thing(a, k, THING_ROW) : NULL;
  if (t) {
    uint64_t at = get_uint(a), n = get_uint(a);
    if (at < r->hold || n > r->nhold || at - r->hold > r->nhold - n) archive_damaged(a, "an event of a run is none");
    else r->d1 = (norn_dist){ t->p, r->R + at, (int)n };
  } else if (archive_good(a) && r->nhold && r->dist_in_reg && r->wait != WAIT_INFER) {
    bool well = norn_dist_view(r->R[r->hold], &r->d1);
    if (well && r->wait == WAIT_SAMPLE && r->nhold > 1) well = norn_dist_view(r->R[r->hold + 1], &r->d2);
    if (!well) archive_damaged(a, "an event of a run is none");
  }
}

/* The run is a finished one until all of it is there, so that it can be freed at any time. */
static norn_run *run_read(norn_archive *a)
{
  norn_run head = { 0 };
  frames f = { 0 };
  size_t slots = 1;
  unsigned bits = get_byte(a);
  val rare[4] = { norn_unit(), norn_unit(), norn_unit(), norn_unit() };
  if (!run_numbers(a, &head)) return NULL;
  for (int k = 0; bits & 32 && k < 4; k++) rare[k] = value_get(a);
  bool delays = rare[3].tag == V_RANDOM && ((const obj *)rare[3].p)->aux == RANDOM_GRAPH;
  if ((rare[0].tag != NORN_UNIT && rare[0].tag != V_SCOPE) || (rare[3].tag != NORN_UNIT && !delays))
    archive_damaged(a, "a run is none");
  norn_run seen = { .st = a->st };
  if (bits & 64) seen_get(a, &seen);
  if (!(bits & 1)) frames_get(a, &f, &slots);
  norn_run *r = archive_good(a) ? run_with(a, slots + FRAME_SIZE + 1) : NULL;
  if (r) {
    r->addr = head.addr, r->logw = head.logw, r->stream = head.stream;
    r->lane = head.lane, r->iter = head.iter, r->flags = head.flags;
    r->nsample = head.nsample, r->nobserve = head.nobserve, r->bits = head.bits;
    r->wait = head.wait, r->ans = head.ans, r->hold = head.hold, r->nhold = head.nhold;
    r->started = bits >> 1 & 1, r->top = bits >> 2 & 1, r->answered = bits >> 3 & 1;
    r->dist_in_reg = bits >> 4 & 1;
    r->rare = bits >> 5 & 1;
    r->scope = rare[0], r->memo = rare[1], r->value = rare[2], r->delay = delays ? rare[3].p : NULL;
    r->seen = seen.seen, r->seen_mask = seen.seen_mask, r->nseen = seen.nseen;
    if (!(bits & 1)) {
      stack_get(a, r, &f);
      if (archive_good(a)) dist_get(a, r);
    }
    if (archive_good(a)) r->finished = bits & 1;
  } else if (seen.seen) {
    mem_put(&a->st->mem, seen.seen, (seen.seen_mask + 1) * sizeof *seen.seen);
  }
  frames_free(a, &f);
  return r;
}

bool norn_archive_run(norn_archive *a, norn_run **r)
{
  bool is_new;
  uint64_t k = 0;
  if (!archive_good(a)) return false;
  if (!a->reading) {
    if (!*r) return put_byte(a, 0), archive_good(a);
    k = archive_number(a, &a->runs, *r, &is_new);
    put_uint(a, k);
    return is_new ? run_put(a, *r) : archive_good(a);
  }
  norn_run_free(*r);
  *r = NULL;
  k = get_uint(a);
  if (!archive_good(a) || !k) return archive_good(a);
  if (k <= a->nrun) return *r = a->run[k - 1], true;
  if (k != a->nrun + 1) return archive_damaged(a, "a run is missing");
  if (!mem_grow(&a->st->mem, &a->run, &a->crun, a->nrun + 1, sizeof *a->run)) return archive_no_memory(a);
  norn_run *made = run_read(a);
  if (!archive_good(a)) {
    norn_run_free(made);
    return false;
  }
  a->run[a->nrun++] = *r = made;
  return true;
}
