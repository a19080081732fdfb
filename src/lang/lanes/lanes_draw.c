/* lanes_draw.c: choices and observations of several numbers in lanes (lanes.h): iid(d, n) and scalar families of
   vectors, by columns, one for each element; and normal vectors.  The bits are those of each run alone (dist/rows.c,
   dist/product.c, dist/multi_normal.c): element e of a draw by numbers takes number e of the event's array; other
   families draw their elements one after the other; densities add up in eight sums by index modulo 8 (num/stats.h). */
#include "lang/lanes/lanes.h"
#include "lang/lanes/lanes_in.h"
#include "num/stream.h"
#include <math.h>
#include <string.h>

enum { MOST = 1024 };           /* elements: each becomes a vector */

/* n elements of one scalar family: argument i is a number (or lanes), or an array of them. */
typedef struct row_of {
  const norn_dist_row *row;
  int64_t n;
  int np;
  val arg[NORN_DIST_P];
  bool array[NORN_DIST_P];
} row_of;

static bool is_scalar_row(const norn_dist_row *row, int n)
{
  return row->flags & NORN_DIST_SCALAR && row->sample1 && row->check1 && !row->sample && n <= NORN_DIST_P &&
         (!row->samples || row->lane_samples);
}

static bool is_number(val x)
{
  return V_IS_REAL(x) || V_IS_INT(x) || (v_is_lanes(x) && lanes_kind(x) != LANE_BOOL);
}

/* iid of a scalar family with single numbers. */
static bool repeated(const norn_dist *d, row_of *q)
{
  norn_dist base;
  if (strcmp(d->row->name, "iid") || d->n != 2 || !norn_dist_view(d->args[0], &base) || !V_IS_INT(d->args[1]))
    return false;
  if (!is_scalar_row(base.row, base.n)) return false;
  *q = (row_of){ .row = base.row, .n = d->args[1].i, .np = base.n };
  for (int i = 0; i < base.n; i++) {
    if (!is_number(base.args[i])) return false;
    q->arg[i] = base.args[i];
  }
  return true;
}

/* A scalar family, some of whose arguments are arrays of rank 1, all as long. */
static bool row_of_arrays(const norn_dist *d, row_of *q)
{
  if (!is_scalar_row(d->row, d->n)) return false;
  *q = (row_of){ .row = d->row, .n = -1, .np = d->n };
  for (int i = 0; i < d->n; i++) {
    q->arg[i] = d->args[i];
    if (is_number(d->args[i])) continue;
    if (d->args[i].tag != NORN_ARRAY) return false;
    const vec *v = v_vec(d->args[i]);
    if (vec_rank(v) != 1 || vec_elem(v) == NORN_B8 || (q->n >= 0 && v->len != q->n)) return false;
    q->array[i] = true;
    q->n = v->len;
  }
  return true;
}

static bool row_of_dist(const norn_dist *d, row_of *q)
{
  return (repeated(d, q) || row_of_arrays(d, q)) && q->n >= 1 && q->n <= MOST;
}

/* The parameters of element e.  false: they are no numbers, or no memory (error set). */
static bool element_parameters(group *g, const row_of *q, int64_t e, parameters *p)
{
  memset(p, 0, sizeof *p);
  for (int i = 0; i < q->np; i++) {
    val x = q->array[i] ? vec_at(g->run->st, v_vec(q->arg[i]), e) : q->arg[i];
    if (!lanes_parameter(g, x, i, p)) return false;
  }
  return true;
}

/* Are they good in all lanes? */
static bool element_good(group *g, const row_of *q, const parameters *p)
{
  double one[NORN_DIST_P];
  int which;
  if (q->row->lane_samples && lanes_corners_good(g, q->row, p, q->np)) return true;
  for (uint32_t k = 0; k < (p->many ? g->at->n : 1); k++) {
    for (int i = 0; i < q->np; i++) one[i] = p->p[i][p->many >> i & 1 ? k : 0];
    if (q->row->check1(one, &which)) return false;
  }
  return true;
}

/* ---- draws ---- */

/* The vectors of an array that is being made. */
typedef struct columns { val array; vec *v; } columns;

/* n new vectors in an array.  false: no memory (error set). */
static bool columns_new(group *g, int64_t n, columns *c)
{
  norn_state *st = g->run->st;
  c->v = vec_new(st, NORN_VALUES, 1, &n);
  if (!c->v) return false;
  c->array = v_obj(NORN_ARRAY, c->v);
  for (int64_t e = 0; e < n; e++) c->v->b->v[e] = norn_unit();
  for (int64_t e = 0; e < n; e++) {
    lane_vec *z = lane_vec_new(g->all, g->at, LANE_REAL);
    if (!z) return false;
    c->v->b->v[e] = v_lanes(z);
  }
  return true;
}

static lane_vec *column_at(const columns *c, int64_t e) { return c->v->b->v[e].p; }

/* Elements one after the other, for each lane; they are few, so draw words do not end (rng_room). */
static bool draw_in_turn(group *g, const row_of *q, uint32_t event, columns *c)
{
  norn_run *r = g->run;
  mem *m = &r->st->mem;
  size_t bytes = (size_t)q->n * sizeof(parameters);
  parameters *p = mem_zero(m, bytes);
  int64_t made = 0;
  bool good = p != NULL;
  if (!p) state_memory(r->st);
  for (; good && made < q->n; made++) good = element_parameters(g, q, made, p + made) && element_good(g, q, p + made);
  for (uint32_t k = 0; good && k < g->at->n; k++) {
    norn_rng rng = { r->stream, lane_number(g, k), event, r->iter, 0, r->st->pairs };
    double one[NORN_DIST_P] = { 0 };
    for (int64_t e = 0; e < q->n; e++) {
      for (int i = 0; i < q->np; i++) one[i] = p[e].p[i][p[e].many >> i & 1 ? k : 0];
      column_at(c, e)->c[k].d = q->row->sample1(one, &rng);
    }
  }
  for (int64_t e = 0; e < made; e++) lanes_parameters_free(g, p + e);
  mem_put(m, p, p ? bytes : 0);
  return good;
}

static bool draw_elements(group *g, const row_of *q, uint32_t event, columns *c)
{
  norn_run *r = g->run;
  bool good = true;
  if (!q->row->samples) return draw_in_turn(g, q, event, c);
  for (int64_t e = 0; good && e < q->n; e++) {
    parameters p;
    norn_rng rng = { r->stream, 0, event, r->iter, RNG_ELEMENT | (uint32_t)e, NULL };
    good = element_parameters(g, q, e, &p) && element_good(g, q, &p);
    if (good) lanes_draw_parts(g, q->row, &p, q->np, &rng, column_at(c, e));
    lanes_parameters_free(g, &p);
  }
  return good;
}

/* ---- normal vectors ---- */

/* mu (n) and a lower factor, or the covariance that it is made of; columns of both, rows of l to the diagonal. */
typedef struct gauss {
  int64_t n;
  bool factor;                  /* l is the covariance still */
  lane_side mu[LANE_ORDER], l[LANE_ROWS];
  double one[LANE_ORDER + LANE_ROWS];
} gauss;

static bool gauss_of(group *g, const norn_dist *d, gauss *q)
{
  bool covariance = !strcmp(d->row->name, "multi_normal");
  if ((!covariance && strcmp(d->row->name, "multi_normal_cholesky")) || d->n != 2) return false;
  if (d->args[0].tag != NORN_ARRAY || d->args[1].tag != NORN_ARRAY) return false;
  q->n = v_vec(d->args[0])->len;
  q->factor = covariance;
  if (q->n < 1 || q->n > LANE_ORDER || !lanes_vector_sides(g, d->args[0], q->n, q->mu, q->one)) return false;
  return (covariance ? lanes_covariance_sides : lanes_factor_sides)(g, d->args[1], q->n, q->l, q->one + LANE_ORDER);
}

/* Is the covariance one, in all lanes, by a margin? */
static bool gauss_good(group *g, const norn_dist *d)
{
  gauss q;
  if (!gauss_of(g, d, &q)) return false;
  return !q.factor || lane_ops()->factors(q.l, (size_t)q.n, NULL, g->at->n);
}

/* mu + L z, as la_mul adds up. */
static bool gauss_draw(group *g, const gauss *q, uint32_t event, columns *c)
{
  norn_run *r = g->run;
  double *z[LANE_ORDER] = { NULL };
  bool good = true;
  for (int64_t e = 0; good && e < q->n; e++) {
    norn_rng rng = { r->stream, 0, event, r->iter, RNG_ELEMENT | (uint32_t)e, NULL };
    if (!(z[e] = lane_buffer(g->all))) good = false;
    else lanes_normals(g, &rng, z[e]);
  }
  double *out[LANE_ORDER];
  for (int64_t e = 0; e < q->n; e++) out[e] = &column_at(c, e)->c->d;
  good = good && lane_ops()->gauss(q->mu, q->l, q->factor, (const double *const *)z, (size_t)q->n, out, g->at->n);
  for (int64_t e = 0; e < q->n; e++) lane_buffer_put(g->all, z[e]);
  return good;
}

/* ---- densities ---- */

/* Those of all elements into out. */
static bool row_logp(group *g, const row_of *q, val y, double *out)
{
  uint32_t n = g->at->n;
  double *sum[8] = { NULL }, *lp = lane_buffer(g->all), one;
  bool good = lp && y.tag == NORN_ARRAY && vec_rank(v_vec(y)) == 1 && v_vec(y)->len == q->n && q->row->logp1;
  for (int i = 0; good && i < 8; i++)
    if ((good = (sum[i] = lane_buffer(g->all)) != NULL)) memset(sum[i], 0, n * sizeof *out);
  for (int64_t e = 0; good && e < q->n; e++) {
    parameters p;
    const double *at;
    bool many;
    good = element_parameters(g, q, e, &p) && element_good(g, q, &p) &&
           lanes_value_of(g, q->row, vec_at(g->run->st, v_vec(y), e), &p, &one, &at, &many);
    if (good) {
      bool all = many || p.many;
      lanes_densities(q->row, &p, q->np, at, many, 0, all ? n : 1, lp);
      lane_ops()->op(LANE_OP_ADD, sum[e & 7], sum[e & 7], 1, lp, all, n);
    }
    lanes_parameters_free(g, &p);
  }
  for (uint32_t k = 0; good && k < n; k++)
    out[k] = ((sum[0][k] + sum[4][k]) + (sum[2][k] + sum[6][k])) + ((sum[1][k] + sum[5][k]) + (sum[3][k] + sum[7][k]));
  for (int i = 0; i < 8; i++) lane_buffer_put(g->all, sum[i]);
  lane_buffer_put(g->all, lp);
  return good;
}

/* Buffers, all or none.  false: no memory (error set). */
static bool buffers(group *g, int64_t n, double **x)
{
  for (int64_t i = 0; i < n; i++)
    if (!(x[i] = lane_buffer(g->all))) {
      while (i-- > 0) lane_buffer_put(g->all, x[i]);
      return false;
    }
  return true;
}

static void buffers_put(group *g, int64_t n, double **x) { while (n-- > 0) lane_buffer_put(g->all, x[n]); }

/* -1/2 log det sigma - n/2 log 2 pi - |z|^2 / 2 of z = L^-1 (y - mu), which is in z; l: L. */
static void gauss_sum(group *g, const lane_side *l, int64_t n, double *const *z, double *out)
{
  lane_side side[LANE_ORDER];
  const double log_sqrt_2pi = 0.91893853320467274178;
  for (int64_t i = 0; i < n; i++) side[i] = (lane_side){ z[i], true };
  lane_ops()->products(side, side, 1, (size_t)n, &out, g->at->n);
  for (uint32_t k = 0; k < g->at->n; k++) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) {
      const lane_side *d = l + i * (i + 1) / 2 + i;
      s += log(d->p[d->many ? k : 0]);
    }
    double row = -(0.5 * (2 * s)) - (double)n * log_sqrt_2pi;
    out[k] = row - 0.5 * out[k];
  }
}

static bool gauss_logp(group *g, gauss *q, val y, double *out)
{
  lane_side side[LANE_ORDER];
  double one[LANE_ORDER], *z[LANE_ORDER], *l[LANE_ROWS];
  int64_t n = q->n, rows = q->factor ? n * (n + 1) / 2 : 0;
  if (!lanes_vector_sides(g, y, n, side, one) || !buffers(g, n, z)) return false;
  if (!buffers(g, rows, l)) return buffers_put(g, n, z), false;
  for (int64_t i = 0; i < n; i++)
    for (uint32_t k = 0; k < g->at->n; k++)
      z[i][k] = side[i].p[side[i].many ? k : 0] - q->mu[i].p[q->mu[i].many ? k : 0];
  bool good = !q->factor || lane_ops()->factors(q->l, (size_t)n, l, g->at->n);
  for (int64_t i = 0; i < rows; i++) q->l[i] = (lane_side){ l[i], true };
  if (good) {
    lane_ops()->solves(q->l, (size_t)n, z, g->at->n);
    gauss_sum(g, q->l, n, z, out);
  }
  buffers_put(g, n, z);
  buffers_put(g, rows, l);
  return good;
}

lanes_vector lanes_logp_vector(group *g, const norn_dist *d, val y, double *out)
{
  norn_state *st = g->run->st;
  row_of q;
  gauss n;
  bool good = row_of_dist(d, &q) ? row_logp(g, &q, y, out) : gauss_of(g, d, &n) && gauss_logp(g, &n, y, out);
  return good ? VECTOR_DONE : st->err.code || g->want ? VECTOR_FAILED : VECTOR_NONE;
}

/* ---- what is told ---- */

/* The first numbers of the arguments, in order. */
typedef struct leaves {
  group *g;
  const double *p[NORN_SIMULATED_ARGS];
  double one[NORN_SIMULATED_ARGS];
  void *made[NORN_SIMULATED_ARGS];
  unsigned many;
  int n;
} leaves;

static bool leaf_column(leaves *l, val x)
{
  group *g = l->g;
  const cell *c = lane_cells(g, x.p);
  double *made = c && lanes_kind(x) != LANE_REAL ? lane_buffer(g->all) : NULL;
  if (!c || (lanes_kind(x) != LANE_REAL && !made)) return false;
  for (uint32_t k = 0; made && k < g->at->n; k++) made[k] = (double)c[k].i;
  l->made[l->n] = made;
  l->many |= 1u << l->n;
  l->p[l->n++] = made ? made : &c->d;
  return true;
}

/* false: no memory (error set). */
static bool leaves_of(leaves *l, val x)
{
  norn_dist d;
  int fields;
  bool good = true;
  if (l->n == NORN_SIMULATED_ARGS) return true;
  if (v_is_lanes(x)) return leaf_column(l, x);
  if (V_IS_BOOL(x) || V_IS_INT(x) || V_IS_REAL(x)) {
    l->one[l->n] = V_IS_REAL(x) ? x.d : (double)x.i;
    l->p[l->n] = &l->one[l->n];
    l->n++;
    return true;
  }
  if (x.tag == NORN_ARRAY) {
    for (int64_t i = 0; good && i < v_vec(x)->len && l->n < NORN_SIMULATED_ARGS; i++)
      good = leaves_of(l, vec_at(l->g->run->st, v_vec(x), i));
    return good;
  }
  if (norn_dist_view(x, &d)) {
    for (int i = 0; good && i < d.n; i++) good = leaves_of(l, d.args[i]);
    return good;
  }
  const norn_datum *f = norn_record_view(x, &fields);
  for (int i = 0; f && good && i < fields; i++) good = leaves_of(l, f[i]);
  return good;
}

/* Column e as reals; *made goes back. */
static const double *column_reals(group *g, const columns *c, int64_t e, double **made)
{
  const lane_vec *z = column_at(c, e);
  if (z->kind == LANE_REAL) return &z->c->d;
  if (!*made && !(*made = lane_buffer(g->all))) return NULL;
  for (uint32_t k = 0; k < g->at->n; k++) (*made)[k] = (double)z->c[k].i;
  return *made;
}

/* Element by element; q: NULL for reals without bounds.  false: error set. */
static bool tell_columns(group *g, const norn_dist *d, const row_of *q, int64_t n, const columns *c, norn_simulated *t)
{
  norn_state *st = g->run->st;
  leaves l = { .g = g };
  double *made = NULL;
  bool good = true, said = true;
  for (int i = 0; good && i < d->n; i++) good = leaves_of(&l, d->args[i]);
  t->dist = d;
  t->n = g->at->n;
  t->first = g->all->first;
  t->lanes = g->lane;
  t->elements = (uint32_t)n;
  t->row = q ? q->row : NULL;
  t->np = q ? q->np : 0;
  t->nargs = l.n;
  t->arg_many = l.many;
  memcpy(t->arg, l.p, sizeof t->arg);
  for (int64_t e = 0; good && e < n; e++) {
    parameters p = { .many = 0 };
    good = (!q || element_parameters(g, q, e, &p)) && (t->x = column_reals(g, c, e, &made));
    t->element = (uint32_t)e;
    t->many = p.many;
    for (int i = 0; i < t->np; i++) t->p[i] = p.p[i];
    if (good) good = said = st->simulated(st->simulated_user, t);
    lanes_parameters_free(g, &p);
  }
  if (!said) g->want = WANT_ERROR;
  for (int i = 0; i < l.n; i++) lane_buffer_put(g->all, l.made[i]);
  lane_buffer_put(g->all, made);
  return good;
}

/* ---- the event ---- */

/* Integers and booleans of what was drawn as reals.  false: one fits no integer. */
static bool columns_outcomes(group *g, const row_of *q, columns *c)
{
  bool fits = true;
  for (int64_t e = 0; q->row->flags & NORN_DIST_DISCRETE && e < q->n; e++) {
    fits &= lanes_outcomes(q->row, column_at(c, e), g->at->n);
    c->v->b->v[e] = v_lanes(column_at(c, e));
  }
  return fits;
}

lanes_vector lanes_sample_vector(norn_run *r, val *dst, const norn_dist *d, uint32_t event, norn_simulated *tell)
{
  norn_state *st = r->st;
  group *g = st->lanes;
  row_of q;
  gauss n;
  columns c = { .v = NULL };
  bool row = row_of_dist(d, &q), drawn = false;
  if (!row && (st->err.code || !gauss_of(g, d, &n))) return st->err.code ? VECTOR_FAILED : VECTOR_NONE;
  int64_t many = row ? q.n : n.n;
  g->all->holding++;                             /* no register has them yet */
  if (columns_new(g, many, &c))
    drawn = row ? draw_elements(g, &q, event, &c) && columns_outcomes(g, &q, &c) : gauss_draw(g, &n, event, &c);
  bool good = drawn && (!tell || tell_columns(g, d, row ? &q : NULL, many, &c, tell));
  g->all->holding--;
  if (good) *dst = c.array;
  return good ? VECTOR_DONE : drawn || st->err.code ? VECTOR_FAILED : VECTOR_NONE;
}

bool lanes_dist_vector(group *g, const norn_dist *d)
{
  row_of q;
  bool good = true;
  if (!row_of_dist(d, &q)) return gauss_good(g, d);
  for (int64_t e = 0; good && e < q.n; e++) {
    parameters p;
    good = element_parameters(g, &q, e, &p) && element_good(g, &q, &p);
    lanes_parameters_free(g, &p);
  }
  return good;
}
