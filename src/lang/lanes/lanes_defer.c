/* lanes_defer.c: the leg of a group that has all lanes as a segment (lanes.h, graph/segment.h): what the VM
   asks of lanes is appended, its results are vectors without cells that wait; when numbers are needed the
   backend computes them, and writes those that are still read later.

       x in P0 --map--> op 0 LOAD --.
                        op 1 SLOT ---> op 2 MUL --> op 3 DRAW --> op 4 LOGP --> op 5 WEIGH
                                                      |
                                  a register holds the handle of op 3: it gets cells, the others none

   At the start of a leg the group's run is copied.  If the segment can't be run, or a lane raises a flag, or
   lanes part before it has run, the leg is done again from there by lanes that compute: draws are counters,
   so that nothing changes by it. */
#include "lang/value/arith_in.h"
#include "lang/lanes/lanes.h"
#include "num/lane_ops.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* AGAIN_MAX: legs in a row that had to be done again: then lanes compute for good; REST: legs before a backend
   that is not ready is asked again. */
enum { AGAIN_MAX = 8, REST = 63 };

/* ---- the leg ---- */

bool norn_lanes_defer(norn_lanes *l, const segment_backend *b, void *self)
{
  if (!l->seg && !(l->seg = segment_new(l->st))) return false;
  l->backend = b;
  l->device = self;
  if (b->buffer_new) l->store = b, l->stored = self;
  l->serial = 1;
  return true;
}

static void segment_done(norn_lanes *l)
{
  segment_clear(l->seg);
  while (l->nmaps) l->store->map_free(l->stored, l->maps[--l->nmaps]);
  while (l->narray) norn_drop(l->array[--l->narray]);
  if (++l->serial == 0) l->serial = 1;
}

static void snapshot_drop(norn_lanes *l)
{
  norn_run_free(l->snapshot);
  l->snapshot = NULL;
}

void lanes_defer_free(norn_lanes *l)
{
  snapshot_drop(l);
  if (l->seg) segment_done(l);
  mem_put(&l->st->mem, l->array, l->carray * sizeof *l->array);
  segment_free(l->seg);
}

bool norn_lanes_copy_map(norn_lanes *l, void *map)
{
  group *g = l->group[0];
  layout *at = layout_new(l, NULL, l->n);
  if (!at) {
    l->store->map_free(l->stored, map);
    return false;
  }
  at->room = l->n + LANE_PAD;
  at->dev = map;
  at->up = g->at;
  at->depth = g->at->depth + 1;
  layout_forget(l, g->at);
  g->at = at;                        /* the older one's reference is its child's now */
  return true;
}

void lanes_defer_begin(norn_lanes *l)
{
  l->deferred = false;
  if (l->rest > 0) {
    l->rest--;
    return;
  }
  if (!l->backend || l->ngroup != 1 || l->nruns || l->group[0]->lane || l->group[0]->at->n != l->n) return;
  group *g = l->group[0];
  l->snapshot = norn_run_fork(g->run, 0);
  if (!l->snapshot) norn_clear(l->st);           /* lanes compute, then */
  g->defers = l->snapshot != NULL;
}

/* Lanes compute from now on. */
static void give_up(norn_lanes *l, const char *why)
{
  l->backend = NULL;
  snprintf(l->report.not_generated, sizeof l->report.not_generated, "%s", why);
}

/* The run as it was at the start of the leg; it knows the addresses that were met after that, at which the
   check of addresses goes on (event.c). */
static void leg_again(group *g)
{
  norn_lanes *l = g->all;
  norn_run *was = g->run, *r = l->snapshot;
  l->snapshot = NULL;
  r->seen = was->seen;
  r->nseen = was->nseen;
  r->seen_mask = was->seen_mask;
  r->flags |= was->flags & NORN_RUN_CHECK;
  was->seen = NULL;
  was->nseen = was->seen_mask = 0;
  g->run = r;
  g->want = WANT_NOTHING;
  g->defers = g->dying = g->alone = false;
  norn_run_free(was);
  norn_clear(l->st);
  segment_done(l);
  run_dirty(r);
  l->report.again++;
}

static int32_t put1(group *g, segment_op_name op, unsigned kind, int32_t x);
static int32_t slot_real(group *g, double x);

/* What was weighed by one number for all goes where the weights are. */
static bool weight_of_all(group *g)
{
  norn_run *r = g->run;
  if (!g->all->backend->keeps_weights || r->logw == 0) return true;
  if (put1(g, S_WEIGH, 0, slot_real(g, r->logw)) < 0) return false;
  r->logw = 0;
  return true;
}

int lanes_defer_end(group *g, norn_event_kind kind)
{
  norn_lanes *l = g->all;
  bool waits = l->seg->nop > 0, good = true;
  if (kind == NORN_ERROR && !g->want) return -1;        /* no memory, a limit, an interrupt */
  if (l->plates && (g->want || (kind != NORN_OBSERVE && kind != NORN_DONE))) {
    g->want = WANT_AGAIN;                        /* they can't part */
    l->report.not_where = run_place(g->run);
  }
  if (g->want == WANT_AGAIN) good = false;
  else if (kind == NORN_OBSERVE) good = weight_of_all(g) && lanes_flush(g, NULL, FLUSH_END);
  else if (kind == NORN_DONE) good = lanes_flush(g, NULL, FLUSH_ALL);
  else if (waits) {                              /* they part before it has run */
    g->want = WANT_AGAIN;
    good = false;
  }
  if (!good && g->want != WANT_AGAIN) return -1;
  if (!good && l->plates) l->plate_over = true;
  if (good) {
    snapshot_drop(l);
    g->defers = false;
    l->deferred = kind == NORN_OBSERVE || kind == NORN_DONE;
    if (kind == NORN_OBSERVE) l->again = 0, l->report.generated++;
    return 1;
  }
  leg_again(g);
  return 0;
}

/* ---- computing what waits ---- */

/* Was a vector that has cells read by a map? */
static bool was_mapped(const segment *s, const lane_vec *h)
{
  const segment_op *o = &s->op[h->op];
  return o->op == S_LOAD && s->in[o->aux].map;
}

/* Room for a vector of the segment, on the host or of the backend; and back. */
static void *room_new(norn_lanes *l)
{
  return l->store ? l->store->buffer_new(l->stored, l->n) : lane_buffer(l);
}
static void room_put(norn_lanes *l, void *at)
{
  if (l->store) l->store->buffer_free(l->stored, at);
  else lane_buffer_put(l, at);
}

/* Which vectors get cells: those that wait and are marked (or all), and what was read by a map.  false: no
   memory (error set). */
static bool outputs(group *g, bool exact, const lane_vec *wanted)
{
  norn_lanes *l = g->all;
  segment *s = l->seg;
  for (lane_vec *h = l->vecs; h; h = h->next) {
    if (h->serial != l->serial || (exact && !h->mark && h != wanted)) continue;
    if (!lane_waits(h) && !was_mapped(s, h)) continue;
    void *c = room_new(l);
    if (!c) return false;
    if (!segment_output_to(s, h->op, c)) {
      room_put(l, c);
      return false;
    }
  }
  return true;
}

/* What outputs gave is given back, or becomes the vectors' cells. */
static void outputs_back(norn_lanes *l)
{
  for (size_t i = 0; i < l->seg->nout; i++) room_put(l, l->seg->out[i].at);
  l->seg->nout = 0;
}

static bool outputs_taken(group *g, bool exact, const lane_vec *wanted)
{
  norn_lanes *l = g->all;
  segment *s = l->seg;
  size_t i = 0;
  bool good = true;
  for (lane_vec *h = l->vecs; h; h = h->next) {
    if (h->serial != l->serial || (exact && !h->mark && h != wanted)) continue;
    bool waits = lane_waits(h);
    if (!waits && !was_mapped(s, h)) continue;
    void *at = s->out[i++].at;
    if (!waits) good &= lane_moved(g, h, l->store ? NULL : at, l->store ? at : NULL);
    else if (l->store) h->b = at;
    else h->c = at;
  }
  s->nout = 0;
  return good;
}

/* Where constant arrays lie now. */
static void arrays_found(norn_lanes *l)
{
  for (size_t i = 0; i < l->narray; i++) l->seg->array[i].at = vec_elems(v_vec(norn_get(l->array[i])));
}

/* Inside of a native, which must fail. */
bool lanes_again(group *g)
{
  norn_state *st = g->run->st;
  g->want = WANT_AGAIN;
  g->all->report.not_where = run_place(g->run);
  if (st->current != g->run && st->lanes == g && !st->err.code)
    norn_fail(st, NORN_EINFER, -1, "the lanes compute this again");
  return false;
}

/* What came of a run of the backend.  true: it counts. */
static bool ran(group *g, segment_status status, unsigned flags)
{
  norn_lanes *l = g->all;
  char why[sizeof l->report.not_generated];
  if (status == SEGMENT_FAILED) return false;
  if (status == SEGMENT_RAN && !(flags & SEGMENT_AGAIN)) return true;
  if (status == SEGMENT_LATER) l->rest = REST;
  if (status == SEGMENT_NEVER) {
    l->backend->why(l->device, why, sizeof why);
    give_up(l, why);
  } else if (status == SEGMENT_RAN && ++l->again >= AGAIN_MAX)
    give_up(l, "some lanes do what generated code does not (a parameter outside of its domain, an overflow)");
  return lanes_again(g);
}

static void unmark(norn_lanes *l)
{
  for (lane_vec *h = l->vecs; h; h = h->next) h->mark = false;
}

bool lanes_flush(group *g, lane_vec *wanted, flush_how how)
{
  norn_lanes *l = g->all;
  segment *s = l->seg;
  bool exact = how != FLUSH_ALL;
  if (g->want == WANT_AGAIN) return false;
  if (!s->nop) return true;
  if (exact && !lanes_mark(l, false)) {
    unmark(l);
    exact = false;
  }
  double *w = s->nweigh && !l->backend->keeps_weights ? lane_buffer(l) : NULL;
  segment_call c = { .s = s, .n = l->n, .iter = l->iter, .stream = g->run->stream, .weights = w,
                     .plates = l->plates, .each = l->each, .streams = l->stream };
  arrays_found(l);
  bool good = (w || !s->nweigh || l->backend->keeps_weights) && outputs(g, exact, wanted);
  if (good) {
    segment_status status = l->backend->run(l->device, &c);
    good = ran(g, status, c.flags);
  }
  if (good) {
    good = outputs_taken(g, exact, wanted);
    if (w) lane_ops()->add(l->logw, w, l->n);
    if (s->nweigh) g->direct = true;
    g->dying |= w && c.flags & SEGMENT_DYING;
    segment_done(l);
  } else outputs_back(l);
  if (exact && good && how == FLUSH_END) lanes_free_unmarked(l);
  else if (exact) unmark(l);
  lane_buffer_put(l, w);
  return good;
}

bool lanes_compute(group *g)
{
  if (lanes_apart(g)) return false;
  if (!lanes_flush(g, NULL, FLUSH_ALL)) return false;
  snapshot_drop(g->all);
  g->defers = false;
  return true;
}

/* ---- operands ---- */

static unsigned kind_of(val x)
{
  if (v_is_lanes(x)) return lanes_kind(x);
  return V_IS_INT(x) || V_IS_REAL(x) || V_IS_BOOL(x) ? (unsigned)x.tag : 0;
}

/* A layout's map as the backend's.  NULL: error set. */
static const void *layout_stored(norn_lanes *l, layout *p)
{
  if (!p->dev) p->dev = l->store->map_new(l->stored, p->map, p->n);
  return p->dev;
}

/* The backend's map from the group's layout to one above it: of one resampling, or made for this segment.
   NULL: error set. */
static const void *stored_map(group *g, layout *up)
{
  norn_lanes *l = g->all;
  const void *map = layout_stored(l, g->at);
  void *made = NULL;
  for (layout *p = g->at->up; map && p != up; p = p->up) {
    const void *further = layout_stored(l, p);
    void *next = further ? l->store->map_compose(l->stored, map, further, g->at->n) : NULL;
    if (made) l->store->map_free(l->stored, made);
    map = made = next;
  }
  if (!made) return map;
  if (l->nmaps < NORN_COUNT(l->maps)) return l->maps[l->nmaps++] = made;
  l->store->map_free(l->stored, made);
  norn_fail(l->st, NORN_ELIMIT, -1, "a step reads vectors of too many ages at once");
  return NULL;
}

/* A vector's buffer of the backend.  NULL: error set. */
static const void *stored(norn_lanes *l, lane_vec *h)
{
  uint32_t n = h->plate ? l->plates : h->at->n;
  if (h->b || !(h->b = l->store->buffer_new(l->stored, n))) return h->b;
  if (l->store->buffer_write(l->stored, h->b, n, h->kind, h->plate ? h->plate : h->c)) return h->b;
  l->store->buffer_free(l->stored, h->b);
  return h->b = NULL;
}

/* A vector of the segment, or one that it reads: by the map of the last resampling alone, which no other look
   changes.  -1: error set, or the leg is wanted again. */
static int32_t load(group *g, lane_vec *h)
{
  norn_lanes *l = g->all;
  const void *map = NULL;
  if (h->serial == l->serial) return (int32_t)h->op;
  if (h->plate) {
    const void *numbers = l->store ? stored(l, h) : h->plate;
    int32_t plate = numbers ? segment_plate_of(l->seg, h->kind, numbers) : -1;
    if (plate < 0) return -1;
    h->op = (uint32_t)plate;
    h->serial = l->serial;
    return plate;
  }
  lane_vec *from = lane_nearest(g, h);
  if (from->at != g->at && l->store && !(map = stored_map(g, from->at))) return -1;
  if (from->at != g->at && !map) {
    if (from->at == g->at->up) map = g->at->map;
    else if (!(from = lane_gathered(g, h))) return -1;
  }
  uint32_t which = map ? segment_map(l->seg, map) : 0;
  const void *at = l->store ? stored(l, from) : from->c;
  int32_t op = at && (which || !map) ? segment_load(l->seg, h->kind, at, which) : -1;
  if (op < 0) return -1;
  h->op = (uint32_t)op;
  h->serial = l->serial;
  return op;
}

static int32_t put(group *g, segment_op_name op, unsigned kind, uint32_t n, const int32_t *x)
{
  uint32_t arg[SEGMENT_ARGS];
  for (uint32_t i = 0; i < n; i++) {
    if (x[i] < 0) return -1;
    arg[i] = (uint32_t)x[i];
  }
  return segment_put(g->all->seg, op, kind, n, arg);
}

static int32_t put1(group *g, segment_op_name op, unsigned kind, int32_t x)
{
  return put(g, op, kind, 1, &x);
}

static int32_t slot_real(group *g, double x)
{
  return segment_slot(g->all->seg, NORN_REAL, (cell){ .d = x });
}

/* A number or boolean; as a real if asked. */
static int32_t operand(group *g, val x, bool real)
{
  unsigned kind = kind_of(x);
  if (v_is_lanes(x)) {
    int32_t op = load(g, x.p);
    return real && kind == LANE_INT && op >= 0 ? put1(g, S_TOREAL, NORN_REAL, op) : op;
  }
  if (real && kind == LANE_INT) return slot_real(g, (double)x.i);
  return segment_slot(g->all->seg, kind, (cell){ .i = x.i });
}

/* The value of an operation as a vector that waits. */
static val waiting(group *g, unsigned kind, int32_t op)
{
  lane_vec *h = op < 0 ? NULL : lane_vec_waiting(g->all, g->at, kind, (uint32_t)op);
  return h ? v_lanes(h) : norn_none();
}

/* ---- arithmetic ---- */

static bool is_number(unsigned kind) { return kind == LANE_REAL || kind == LANE_INT; }

static bool unary_later(group *g, arith op, val x, val *out)
{
  unsigned kind = lanes_kind(x);
  if ((op == A_NOT) != (kind == LANE_BOOL)) return false;
  segment_op_name is = op == A_NOT ? S_NOT : kind == LANE_REAL ? S_NEG : S_INEG;
  *out = waiting(g, kind, put1(g, is, kind, operand(g, x, false)));
  return true;
}

/* x^2, as the scalar one; other powers are computed. */
static bool square_later(group *g, val x, val y, val *out)
{
  if (lanes_kind(x) != LANE_REAL || v_is_lanes(y) || (V_IS_INT(y) ? y.i != 2 : y.d != 2)) return false;
  int32_t a = operand(g, x, true), arg[2] = { a, a };
  *out = waiting(g, LANE_REAL, put(g, S_MUL, NORN_REAL, 2, arg));
  return true;
}

/* Division by a power of two is a product, to the bit: its inverse then. */
static bool halves(val *y)
{
  int e;
  double d = V_IS_REAL(*y) ? y->d : V_IS_INT(*y) ? (double)y->i : 0;
  if (v_is_lanes(*y) || fabs(frexp(d, &e)) != 0.5 || e < -1000 || e > 1000) return false;
  *y = norn_real(1 / d);
  return true;
}

bool lanes_arith_later(group *g, arith op, val x, val y, val *out)
{
  static const uint8_t reals[] = { [A_ADD] = S_ADD, [A_SUB] = S_SUB, [A_MUL] = S_MUL, [A_DIV] = S_DIV,
                                   [A_LT] = S_LT, [A_LE] = S_LE, [A_EQ] = S_EQ, [A_NE] = S_NE };
  static const uint8_t ints[] = { [A_ADD] = S_IADD, [A_SUB] = S_ISUB, [A_MUL] = S_IMUL, [A_LT] = S_ILT,
                                  [A_LE] = S_ILE, [A_EQ] = S_IEQ, [A_NE] = S_INE };
  if (op == A_NEG || op == A_NOT) return unary_later(g, op, x, out);
  unsigned a = kind_of(x), b = kind_of(y);
  bool compares = op >= A_LT && op <= A_NE, same = op == A_EQ || op == A_NE;
  bool bools = same && a == LANE_BOOL && b == LANE_BOOL;
  bool real = a == LANE_REAL || b == LANE_REAL || op == A_DIV;
  if (!bools && (!is_number(a) || !is_number(b) || (compares && a != b))) return false;
  if (op == A_POW) return is_number(b) && square_later(g, x, y, out);
  segment_op_name is = op >= NORN_COUNT(reals) ? S_LOAD : real ? reals[op] : ints[op];
  if (is == S_LOAD) return false;
  if (op == A_DIV && halves(&y)) is = S_MUL;
  int32_t arg[2] = { operand(g, x, real), operand(g, y, real) };
  unsigned kind = compares ? LANE_BOOL : real ? LANE_REAL : LANE_INT;
  if (op == A_DIV && a == LANE_INT && b == LANE_INT && put1(g, S_NONZERO, 0, arg[1]) < 0) arg[1] = -1;
  *out = waiting(g, kind, put(g, is, kind, 2, arg));
  return true;
}

bool lanes_map1_later(group *g, const norn_native *f, val x, val *out)
{
  int32_t op = operand(g, x, true);
  *out = waiting(g, LANE_REAL, op < 0 ? -1 : segment_fun(g->all->seg, f->real1, f->name, (uint32_t)op));
  return true;
}

/* The number of a constant array; it stays where the collector finds it.  -1: error set. */
static int32_t array_later(group *g, val x)
{
  norn_lanes *l = g->all;
  vec *v = v_vec(x);
  int32_t k = (int32_t)l->narray;
  if (!mem_grow(&l->st->mem, &l->array, &l->carray, l->narray + 1, sizeof *l->array)) {
    state_memory(l->st);
    return -1;
  }
  if (!(l->array[l->narray] = norn_keep(l->st, x))) return -1;
  l->narray++;
  /* `at`: a number of its own, so that none is taken for another */
  return segment_array_of(l->seg, l->array[k], v->len, vec_elem(v)) == k ? k : -1;
}

bool lanes_index_later(group *g, val x, val i, val *out)
{
  norn_state *st = g->run->st;
  if (x.tag != NORN_ARRAY || lanes_kind(i) != LANE_INT) return false;
  vec *v = v_vec(x);
  unsigned elem = vec_elem(v), kind = elem == NORN_F64 ? LANE_REAL : elem == NORN_I64 ? LANE_INT : LANE_BOOL;
  if (vec_rank(v) != 1 || elem == NORN_VALUES || !vec_flat(st, v)) return false;
  int32_t op = load(g, i.p), array = op < 0 ? -1 : array_later(g, x);
  *out = waiting(g, kind, array < 0 ? -1 : segment_index(g->all->seg, kind, (uint32_t)array, (uint32_t)op));
  return true;
}

val lanes_choose_later(group *g, val c, val a, val b)
{
  int32_t arg[3] = { operand(g, c, false), operand(g, a, false), operand(g, b, false) };
  return waiting(g, kind_of(a), put(g, S_SELECT, kind_of(a), 3, arg));
}

bool lanes_fit_later(group *g, val x, double lower, double upper)
{
  int32_t arg[3] = { operand(g, x, true), slot_real(g, lower), slot_real(g, upper) };
  return put(g, S_FIT, 0, 3, arg) >= 0;
}

/* ---- distributions ---- */

/* The parameters as operands from arg + 1 on, and that they are good.  false: not such a thing. */
static bool parameters(group *g, const norn_dist *d, uint32_t *arg, bool *good)
{
  double p[NORN_DIST_P] = { 0 };
  int which;
  bool many = false;
  if (!(d->row->flags & NORN_DIST_SCALAR) || !d->row->check1 || d->n > NORN_DIST_P) return false;
  for (int i = 0; i < d->n; i++) {
    val x = d->args[i];
    if (!is_number(kind_of(x))) return false;
    if (v_is_lanes(x)) many = true;
    else p[i] = V_IS_REAL(x) ? x.d : (double)x.i;
  }
  if (!many && d->row->check1(p, &which)) return false;
  *good = true;
  for (int i = 0; i < d->n && *good; i++) {
    int32_t op = operand(g, d->args[i], true);
    *good = op >= 0;
    arg[1 + i] = (uint32_t)op;
  }
  if (many && *good) *good = segment_row(g->all->seg, S_GOOD, 0, d->row, (uint32_t)d->n, arg + 1) >= 0;
  return true;
}

bool lanes_sample_later(group *g, const norn_dist *d, uint32_t word, val *out)
{
  uint32_t arg[SEGMENT_ARGS];
  bool good;
  if (!d->row->sample1 || !(norn_dist_flags(d) & NORN_DIST_SCALAR)) return false;
  if (!parameters(g, d, arg, &good)) return false;
  segment *s = g->all->seg;
  g->all->iter = g->run->iter;                   /* of all draws before the next barrier */
  int32_t event = good ? segment_slot(s, NORN_INT, (cell){ .u = word }) : -1;
  unsigned kind = !(d->row->flags & NORN_DIST_DISCRETE) ? LANE_REAL
                  : d->row->flags & NORN_DIST_BOOL      ? LANE_BOOL
                                                        : LANE_INT;
  arg[0] = (uint32_t)event;
  *out = waiting(g, kind, event < 0 ? -1 : segment_row(s, S_DRAW, kind, d->row, (uint32_t)d->n + 1, arg));
  return true;
}

bool lanes_dist_later(group *g, const norn_dist *d, bool *good)
{
  uint32_t arg[SEGMENT_ARGS];
  return parameters(g, d, arg, good);
}

/* The log density as an operation: -1: error set.  false: not such a thing. */
static bool density(group *g, const norn_dist *d, val y, int32_t *op)
{
  uint32_t arg[SEGMENT_ARGS];
  unsigned kind = kind_of(y);
  bool discrete = d->row->flags & NORN_DIST_DISCRETE, good;
  if (kind == LANE_REAL ? discrete : kind == LANE_BOOL ? !(d->row->flags & NORN_DIST_BOOL) : kind != LANE_INT)
    return false;
  if (!d->row->logp1 || !parameters(g, d, arg, &good)) return false;
  int32_t x = -1;
  if (good && kind == LANE_BOOL) {
    if (!v_is_lanes(y)) x = slot_real(g, (double)y.i);
    else x = put1(g, S_TOREAL, NORN_REAL, operand(g, y, false));
  } else if (good) x = operand(g, y, true);
  arg[0] = (uint32_t)x;
  *op = x < 0 ? -1 : segment_row(g->all->seg, S_LOGP, NORN_REAL, d->row, (uint32_t)d->n + 1, arg);
  return true;
}

bool lanes_observe_later(group *g, const norn_dist *d, val y, bool *good)
{
  int32_t op;
  if (!(g->run->flags & NORN_RUN_STOP) || !density(g, d, y, &op)) return false;
  *good = put1(g, S_WEIGH, 0, op) >= 0;
  return true;
}

bool lanes_logpdf_later(group *g, const norn_dist *d, val y, val *out)
{
  int32_t op;
  if (!density(g, d, y, &op)) return false;
  *out = waiting(g, LANE_REAL, op);
  return true;
}

bool lanes_weight_later(group *g, val lw, bool *good)
{
  if (!(g->run->flags & NORN_RUN_STOP)) return false;
  *good = put1(g, S_WEIGH, 0, operand(g, lw, true)) >= 0;
  return true;
}
