/* lanes_event.c: choices and observations in lanes (lanes.h): draws by counters that differ in the
   lane only, densities by the family's block. */
#include "lang/lanes/lanes_in.h"
#include "num/stream.h"
#include <math.h>
#include <string.h>

/* ---- parameters ---- */

void lanes_parameters_free(group *g, parameters *q)
{
  for (int i = 0; i <= NORN_DIST_P; i++) lane_buffer_put(g->all, q->made[i]);
}

bool lanes_parameter(group *g, val x, int i, parameters *q)
{
  q->p[i] = &q->one[i];
  if (V_IS_REAL(x) || V_IS_INT(x)) {
    q->one[i] = V_IS_REAL(x) ? x.d : (double)x.i;
    return true;
  }
  if (!v_is_lanes(x) || lanes_kind(x) == LANE_BOOL) return false;
  lane_vec *v = lane_here(g, x.p);
  if (!v) return false;
  const cell *c = v->c;
  q->many |= 1u << i;
  q->p[i] = &c->d;
  if (lanes_kind(x) == LANE_REAL) {
    q->v[i] = v;
    return true;
  }
  double *made = lane_buffer(g->all);
  if (!made) return false;
  for (uint32_t k = 0; k < g->at->n; k++) made[k] = (double)c[k].i;
  q->p[i] = q->made[i] = made;
  return true;
}

static bool parameters_of(group *g, const norn_dist *d, parameters *q)
{
  memset(q, 0, sizeof *q);
  if (!(d->row->flags & NORN_DIST_SCALAR) || !d->row->check1 || d->n > NORN_DIST_P) return false;
  for (int i = 0; i < d->n; i++)
    if (!lanes_parameter(g, d->args[i], i, q)) return false;
  return true;
}

bool lanes_range(group *g, lane_vec *v, double *lo, double *hi)
{
  if (!v->ranged) {
    if (!lane_ops()->range(&v->c->d, g->at->n, lo, hi)) return false;
    v->lo = *lo, v->hi = *hi, v->ranged = true;
  }
  *lo = v->lo, *hi = v->hi;
  return true;
}

/* Their bounds, found once for a vector and those gathered from it.  false: one is not finite. */
static bool range_of(group *g, const parameters *q, int i, double *lo, double *hi)
{
  return q->v[i] ? lanes_range(g, q->v[i], lo, hi) : lane_ops()->range(q->p[i], g->at->n, lo, hi);
}

/* If the corners of a box lie inside, all of it does. */
bool lanes_corners_good(group *g, const norn_dist_row *row, const parameters *q, int np)
{
  double lo[NORN_DIST_P], hi[NORN_DIST_P], p[NORN_DIST_P];
  int which;
  for (int i = 0; i < np; i++) {
    lo[i] = hi[i] = *q->p[i];
    if (q->many >> i & 1 && !range_of(g, q, i, &lo[i], &hi[i])) return false;
  }
  for (unsigned c = 0; c < 1u << np; c++) {
    if (c & ~q->many) continue;
    for (int i = 0; i < np; i++) p[i] = c >> i & 1 ? hi[i] : lo[i];
    if (row->check1(p, &which)) return false;
  }
  return true;
}

/* Are the parameters of all lanes in their domain?  Else those of which they are not go alone. */
static bool all_good(group *g, const norn_dist_row *row, const parameters *q, int np)
{
  double p[NORN_DIST_P] = { 0 };
  int which;
  uint32_t bad = 0;
  if (row->lane_samples && lanes_corners_good(g, row, q, np)) return true;
  if (!g->mask && !(g->mask = lane_buffer(g->all))) return false;
  for (uint32_t k = 0; k < g->at->n; k++) {
    for (int i = 0; i < np; i++) p[i] = q->p[i][q->many >> i & 1 ? k : 0];
    bad += g->mask[k] = row->check1(p, &which) != NULL;
  }
  if (!bad) return true;
  if (bad == g->at->n) lanes_alone(g->run->st, "parameters outside of their domain");
  else {
    g->want = WANT_SPLIT;
    g->alone = true;
  }
  return false;
}

/* ---- choices ---- */

bool lanes_outcomes(const norn_dist_row *row, lane_vec *z, uint32_t n)
{
  bool fits = true;
  z->ranged = false;
  z->kind = row->flags & NORN_DIST_BOOL ? LANE_BOOL : LANE_INT;
  for (uint32_t k = 0; k < n; k++) {
    double x = z->c[k].d;
    fits &= x < 0x1p62 && x > -0x1p62;
    z->c[k].i = z->kind == LANE_BOOL ? x != 0 : x < 0x1p62 && x > -0x1p62 ? (int64_t)x : 0;
  }
  return fits;
}

enum { PART = 512 };

/* Of lanes k .. k + n - 1, n <= PART: their numbers, in `buffer` if need be; NULL: they are first + k, ... */
static const uint32_t *numbers_of(const group *g, uint32_t k, uint32_t n, uint32_t *buffer)
{
  uint32_t first = g->all->first;
  if (!g->lane) return NULL;
  if (!first) return g->lane + k;
  for (uint32_t j = 0; j < n; j++) buffer[j] = first + g->lane[k + j];
  return buffer;
}

/* The bounds are found while a part lies in the nearest cache. */
void lanes_draw_parts(group *g, const norn_dist_row *row, const parameters *q, int np, norn_rng *rng, lane_vec *z)
{
  const double *p[NORN_DIST_P];
  double lo, hi;
  uint32_t lane[PART];
  z->lo = INFINITY, z->hi = -INFINITY, z->ranged = true;
  for (uint32_t k = 0, n = g->at->n; k < n; k += PART) {
    uint32_t m = n - k < PART ? n - k : PART;
    for (int i = 0; i < np; i++) p[i] = q->p[i] + (q->many >> i & 1 ? k : 0);
    rng->lane = g->all->first + k;
    row->lane_samples(rng, numbers_of(g, k, m, lane), m, q->many, p, &z->c[k].d);
    z->ranged &= lane_ops()->range(&z->c[k].d, m, &lo, &hi);
    if (lo < z->lo) z->lo = lo;
    if (hi > z->hi) z->hi = hi;
  }
}

void lanes_normals(group *g, norn_rng *rng, double *z)
{
  uint32_t lane[PART];
  for (uint32_t k = 0, n = g->at->n; k < n; k += PART) {
    uint32_t m = n - k < PART ? n - k : PART;
    rng->lane = g->all->first + k;
    stream_best()->lane_normals(rng, numbers_of(g, k, m, lane), z + k, m);
  }
}

static void draw(group *g, const norn_dist_row *row, const parameters *q, int np, uint32_t event,
                 lane_vec *z)
{
  norn_run *r = g->run;
  norn_rng rng = { r->stream, 0, event, r->iter, 0, NULL };
  uint32_t n = g->at->n;
  double p[NORN_DIST_P] = { 0 };
  if (row->lane_samples) {
    lanes_draw_parts(g, row, q, np, &rng, z);
    return;
  }
  for (uint32_t k = 0; k < n; k++) {
    norn_rng own = rng;
    own.lane = lane_number(g, k);
    own.pairs = r->st->pairs;
    for (int i = 0; i < np; i++) p[i] = q->p[i][q->many >> i & 1 ? k : 0];
    z->c[k].d = row->sample1(p, &own);
  }
}

/* What was drawn, to who attached himself.  false: error set. */
static bool told(group *g, const norn_dist *d, const parameters *q, const lane_vec *z, norn_simulated *t)
{
  norn_state *st = g->run->st;
  double *made = z->kind == LANE_REAL ? NULL : lane_buffer(g->all);
  if (z->kind != LANE_REAL && !made) return false;
  for (uint32_t k = 0; made && k < g->at->n; k++) made[k] = (double)z->c[k].i;
  t->dist = d;
  t->n = g->at->n;
  t->lanes = g->lane;
  t->first = g->all->first;
  t->elements = 1;
  t->row = d->row;
  t->np = t->nargs = d->n;
  t->many = t->arg_many = q->many;
  for (int i = 0; i < d->n; i++) t->p[i] = t->arg[i] = q->p[i];
  t->x = made ? made : &z->c->d;
  bool good = st->simulated(st->simulated_user, t);
  lane_buffer_put(g->all, made);
  if (!good) g->want = WANT_ERROR;
  return good;
}

/* ---- choices of what is no number ---- */

/* A choice of each lane by itself, as its run would make it: of lane k, the arguments own (k, d->n) and s[k].v. */
typedef struct each_lane { val *own; lane_source *s; uint32_t *to; size_t bytes; } each_lane;

static bool each_room(norn_state *st, each_lane *e, uint32_t n, int nargs)
{
  size_t one = sizeof *e->s + (size_t)nargs * sizeof *e->own + sizeof *e->to;
  e->bytes = n * one;
  e->s = mem_get(&st->mem, e->bytes);
  if (!e->s) return state_memory(st), false;
  e->own = (val *)(void *)(e->s + n);
  e->to = (uint32_t *)(void *)(e->own + (size_t)n * (size_t)nargs);
  return true;
}

/* Those of lane k.  false: error set. */
static bool arguments_of(group *g, const norn_dist *d, uint32_t k, val *own)
{
  for (int i = 0; i < d->n; i++) {
    own[i] = lane_of(g, d->args[i], k);
    if (norn_is_none(own[i]) && !norn_is_none(d->args[i])) return false;
  }
  return true;
}

static bool each_draws(group *g, const norn_dist *d, uint32_t event, each_lane *e)
{
  norn_run *r = g->run;
  norn_state *st = r->st;
  for (uint32_t k = 0; k < g->at->n; k++) {
    norn_rng rng = { r->stream, lane_number(g, k), event, r->iter, 0, st->pairs };
    norn_dist own = { d->row, e->own + (size_t)k * (size_t)d->n, d->n };
    e->to[k] = k;
    e->s[k] = (lane_source){ norn_none(), NULL, e->to + k };
    if (!arguments_of(g, d, k, e->own + (size_t)k * (size_t)d->n)) return false;
    if (norn_dist_check(st, &own) || norn_dist_sample(st, &own, &rng, &e->s[k].v)) return false;
  }
  return true;
}

/* Of simulated runs: vectors, matrices and whatever else has no columns are drawn lane by lane; the lanes stay
   together, if the values are alike (arrays of one length).  A lane that fails does so again alone, where it says so. */
static bool each_samples(norn_run *r, val *dst, const norn_dist *d, uint32_t event, norn_simulated *tell)
{
  norn_state *st = r->st;
  group *g = st->lanes;
  each_lane e;
  uint32_t n = g->at->n;
  if (!each_room(st, &e, n, d->n)) return false;
  bool drawn = each_draws(g, d, event, &e);
  val all = drawn ? lanes_joined(g->all, g->at, e.s, n) : norn_none();
  bool good = !norn_is_none(all);
  if (!good && !st->err.code) lanes_alone(st, "values of several kinds");
  for (uint32_t k = 0; good && tell && k < n; k++) {
    norn_dist own = { d->row, e.own + (size_t)k * (size_t)d->n, d->n };
    tell->dist = &own;
    tell->lane = lane_number(g, k);
    tell->value = e.s[k].v;
    good = st->simulated(st->simulated_user, tell);
    if (!good) g->want = WANT_ERROR;
  }
  mem_put(&st->mem, e.s, e.bytes);
  if (good) *dst = all;
  return good;
}

bool lanes_sample(norn_run *r, val *dst, const norn_dist *d, uint32_t event, norn_simulated *tell)
{
  group *g = r->st->lanes;
  parameters q = { .many = 0 };
  lanes_sweep(g->all, false);
  if (g->defers && lanes_sample_later(g, d, event, dst)) return !norn_is_none(*dst);
  if (lanes_apart(g)) return false;
  lane_vec *z = NULL;
  bool good = d->row->sample1 && (norn_dist_flags(d) & NORN_DIST_SCALAR) && parameters_of(g, d, &q);
  if (!good) {
    lanes_parameters_free(g, &q);
    lanes_vector how = lanes_sample_vector(r, dst, d, event, tell);
    if (how == VECTOR_DONE) return true;
    if (how == VECTOR_NONE && r->flags & NORN_RUN_SIMULATE) return each_samples(r, dst, d, event, tell);
    if (how == VECTOR_NONE) lanes_alone(r->st, "a choice that has no lanes");
    return false;
  }
  good = all_good(g, d->row, &q, d->n) && (z = lane_vec_new(g->all, g->at, LANE_REAL));
  if (good) {
    draw(g, d->row, &q, d->n, event, z);
    good = !(d->row->flags & NORN_DIST_DISCRETE) || lanes_outcomes(d->row, z, g->at->n);
    if (!good) lanes_alone(r->st, "a choice that fits no integer");
    good = good && (!tell || told(g, d, &q, z, tell));
  }
  lanes_parameters_free(g, &q);
  if (good) *dst = v_lanes(z);
  return good;
}

/* ---- densities ---- */

bool lanes_value_of(group *g, const norn_dist_row *row, val y, parameters *q, double *one, const double **at,
                    bool *many)
{
  unsigned kind = v_is_lanes(y) ? lanes_kind(y) : (unsigned)y.tag;
  bool discrete = row->flags & NORN_DIST_DISCRETE;
  if (kind == LANE_REAL ? discrete : kind == LANE_BOOL ? !(row->flags & NORN_DIST_BOOL) : kind != LANE_INT)
    return false;
  *many = v_is_lanes(y);
  *at = one;
  if (!*many) {
    *one = kind == LANE_REAL ? y.d : (double)y.i;
    return true;
  }
  const cell *c = lane_cells(g, y.p);
  if (!c) return false;
  *at = &c->d;
  if (kind == LANE_REAL) return true;
  double *made = q->made[NORN_DIST_P] = lane_buffer(g->all);
  if (!made) return false;
  for (uint32_t k = 0; k < g->at->n; k++) made[k] = (double)c[k].i;
  *at = made;
  return true;
}

void lanes_densities(const norn_dist_row *row, const parameters *q, int np, const double *y, bool many, uint32_t k,
                     uint32_t n, double *out)
{
  if (row->block) {
    norn_block b = { .n = n, .many = q->many << 1 | many, .keep = NORN_KEEP_ALL, .logp = out };
    b.arg[0] = y + (many ? k : 0);
    for (int i = 0; i < np; i++) b.arg[1 + i] = q->p[i] + (q->many >> i & 1 ? k : 0);
    row->block(&b);
    return;
  }
  double p[NORN_DIST_P] = { 0 };
  for (uint32_t j = 0; j < n; j++) {
    for (int i = 0; i < np; i++) p[i] = q->p[i][q->many >> i & 1 ? k + j : 0];
    out[j] = row->logp1(y[many ? k + j : 0], p);
  }
}

/* Where the weights of the group's lanes are added up; what was weighed before any lanes were is one
   number for all.  NULL: no memory (error set). */
static double *weights(group *g)
{
  if (g->direct) return g->all->logw;
  if (g->weighed) return g->logw;
  if (!g->lane && g->run->logw == 0 && g->run->flags & NORN_RUN_STOP) {
    g->direct = true;
    return g->all->logw;
  }
  if (!g->logw && !(g->logw = lane_buffer(g->all))) return NULL;
  for (uint32_t k = 0; k < g->at->n; k++) g->logw[k] = g->run->logw;
  g->run->logw = 0;
  g->weighed = true;
  return g->logw;
}

/* Adds n weights to those at w; false: one is not a number. */
static bool add_weights(group *g, double *w, const double *lp, uint32_t n)
{
  if (lane_ops()->add(w, lp, n)) return true;
  bool number = true;
  for (uint32_t k = 0; k < n; k++) {
    number &= lp[k] == lp[k];
    g->dying |= lp[k] == -INFINITY;
  }
  return number;
}

/* An observation of several numbers. */
static bool observe_vector(group *g, const norn_dist *d, val y)
{
  double *lp = lane_buffer(g->all), *w = NULL;
  lanes_vector how = lp ? lanes_logp_vector(g, d, y, lp) : VECTOR_FAILED;
  bool number = true;
  if (how == VECTOR_NONE) lanes_alone(g->run->st, "an observation that has no lanes");
  if (how == VECTOR_DONE && (w = weights(g))) number = add_weights(g, w, lp, g->at->n);
  lane_buffer_put(g->all, lp);
  if (!number) lanes_alone(g->run->st, "a log density that is not a number");
  return w && number;
}

bool lanes_observe(norn_run *r, const norn_dist *d, val y)
{
  group *g = r->st->lanes;
  parameters q = { .many = 0 };
  double lp[PART], one, *w = NULL;
  const double *at;
  bool many, good, number = true;
  lanes_sweep(g->all, false);
  if (g->defers && lanes_observe_later(g, d, y, &good)) return good;
  if (lanes_apart(g)) return false;
  if (!parameters_of(g, d, &q) || !d->row->logp1 || !lanes_value_of(g, d->row, y, &q, &one, &at, &many)) {
    lanes_parameters_free(g, &q);
    return observe_vector(g, d, y);
  }
  good = all_good(g, d->row, &q, d->n) && (w = weights(g));
  uint32_t n = g->at->n;
  for (uint32_t k = 0; good && k < n; k += PART) {
    uint32_t m = n - k < PART ? n - k : PART;
    lanes_densities(d->row, &q, d->n, at, many, k, m, lp);
    number &= add_weights(g, w + k, lp, m);
  }
  lanes_parameters_free(g, &q);
  if (good && !number) lanes_alone(r->st, "a log density that is not a number");   /* an error there */
  return good && number;
}

bool lanes_weight(norn_run *r, val lw)
{
  group *g = r->st->lanes;
  bool later;
  if (g->defers && lanes_weight_later(g, lw, &later)) return later;
  if (lanes_apart(g)) return false;
  const cell *c = lane_cells(g, lw.p);
  unsigned kind = lanes_kind(lw);
  double part[PART], *w;
  uint32_t n = g->at->n;
  for (uint32_t k = 0; c && kind == LANE_REAL && k < n; k++)
    if (!(c[k].d < INFINITY)) {
      lanes_alone(r->st, "a weight that is none");
      return false;
    }
  if (!c || !(w = weights(g))) return false;
  for (uint32_t k = 0; k < n; k += PART) {
    uint32_t m = n - k < PART ? n - k : PART;
    for (uint32_t j = 0; j < m; j++)
      part[j] = kind == LANE_REAL    ? c[k + j].d
                : kind == LANE_INT   ? (double)c[k + j].i
                : c[k + j].i         ? 0.0
                                     : -INFINITY;
    add_weights(g, w + k, part, m);
  }
  return true;
}

/* ---- distributions as values ---- */

/* Of simulated runs: of what has no columns the parameters of each lane.  false: error set. */
static bool each_good(group *g, const norn_dist *d)
{
  enum { ARGS = 24 };
  val own[ARGS];
  norn_dist one = { d->row, own, d->n };
  bool good = d->n <= ARGS;
  for (uint32_t k = 0; good && k < g->at->n; k++)
    good = arguments_of(g, d, k, own) && norn_dist_check(g->run->st, &one) == NORN_OK;
  return good;
}

bool lanes_dist(norn_state *st, const norn_dist *d)
{
  group *g = st->lanes;
  parameters q;
  bool good;
  if (g->defers && lanes_dist_later(g, d, &good)) return good;
  good = parameters_of(g, d, &q);
  if (!good && (lanes_dist_vector(g, d) || (g->run->flags & NORN_RUN_SIMULATE && each_good(g, d)))) {
    lanes_parameters_free(g, &q);
    return true;
  }
  if (!good) lanes_alone(st, "a distribution that has no lanes");
  good = good && all_good(g, d->row, &q, d->n);
  lanes_parameters_free(g, &q);
  return good;
}

static val logpdf_vector(group *g, const norn_dist *d, val y)
{
  lane_vec *z = lane_vec_new(g->all, g->at, LANE_REAL);
  lanes_vector how = z ? lanes_logp_vector(g, d, y, &z->c->d) : VECTOR_FAILED;
  if (how == VECTOR_NONE) lanes_alone(g->run->st, "a density that has no lanes");
  return how == VECTOR_DONE ? v_lanes(z) : norn_none();
}

val lanes_logpdf(norn_state *st, const norn_dist *d, val y)
{
  group *g = st->lanes;
  parameters q = { .many = 0 };
  double one;
  const double *at;
  bool many;
  val later;
  if (g->defers && lanes_logpdf_later(g, d, y, &later)) return later;
  if (!parameters_of(g, d, &q) || !d->row->logp1 || !lanes_value_of(g, d->row, y, &q, &one, &at, &many)) {
    lanes_parameters_free(g, &q);
    return logpdf_vector(g, d, y);
  }
  lane_vec *z = NULL;
  bool good = all_good(g, d->row, &q, d->n) && (z = lane_vec_new(g->all, g->at, LANE_REAL));
  if (good) lanes_densities(d->row, &q, d->n, at, many, 0, g->at->n, &z->c->d);
  lanes_parameters_free(g, &q);
  return good ? v_lanes(z) : norn_none();
}
