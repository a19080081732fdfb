/* net_event: the numbers of choices and observations: coordinates of real values (coords.h), categories by
   the order of enumerate, counts; and back to values (net.h).

   An observation's numbers may not depend on its distribution, whose parameters depend on what is asked for:
   where the bounds of a support change from run to run the site is `plain`, and its numbers are those of the
   value. */
#include "infer/net/net_in.h"
#include "infer/gradient/coords.h"
#include <string.h>

/* ---- memory of runs ---- */

void net_runs_free(norn_state *st, net_runs *r)
{
  engine_put(st, r->start, r->cstart * sizeof *r->start);
  engine_put(st, r->event, r->cevent * sizeof *r->event);
  engine_put(st, r->number, r->cnumber * sizeof *r->number);
  engine_put(st, r->input, r->cinput * sizeof *r->input);
  *r = (net_runs){ 0 };
}

bool net_runs_start(norn_state *st, net_runs *r, int n, int ninput)
{
  r->n = n;
  r->nevent = r->nnumber = 0;
  if (!engine_room(st, &r->start, &r->cstart, (size_t)n + 1, sizeof *r->start) ||
      !engine_room(st, &r->input, &r->cinput, 2 * (size_t)n * (size_t)ninput + 1, sizeof *r->input))
    return false;
  r->start[0] = 0;
  return true;
}

bool net_runs_number(norn_state *st, net_runs *r, size_t n)
{
  if (NORN_LIKELY(r->nnumber + n <= r->cnumber)) return true;
  if (r->nnumber + n < UINT32_MAX)
    return engine_room(st, &r->number, &r->cnumber, r->nnumber + n, sizeof *r->number);
  norn_fail(st, NORN_EMEMORY, -1, "these simulated runs have more than 4 billion numbers");
  norn_hint(st, "ask for fewer runs at once: a smaller batch");
  return false;
}

bool net_runs_event(norn_state *st, net_runs *r)
{
  return NORN_LIKELY(r->nevent < r->cevent) ||
         engine_room(st, &r->event, &r->cevent, r->nevent + 1, sizeof *r->event);
}

/* Numbers of `from` from `at` on, at the end of `to`'s, which has room.  Gives where. */
static inline uint32_t numbers_add(net_runs *to, const net_runs *from, uint32_t at, size_t n)
{
  double *x = to->number + to->nnumber;
  const double *y = from->number + at;
  if (n <= 4) for (size_t i = 0; i < n; i++) x[i] = y[i];      /* most are few */
  else memcpy(x, y, n * sizeof *x);
  to->nnumber += n;
  return (uint32_t)(to->nnumber - n);
}

/* Room for m runs more.  false: error set. */
static bool runs_room(norn_state *st, net_runs *to, const net_runs *from, int first, int m, size_t ni)
{
  size_t n = (size_t)(to->n + m), numbers = 0, events = from->start[first + m] - from->start[first];
  for (size_t k = from->start[first]; k < from->start[first + m]; k++)
    numbers += (size_t)from->event[k].nx + from->event[k].nargs;
  for (size_t i = ni * (size_t)first; i < ni * (size_t)(first + m); i++) numbers += from->input[2 * i + 1];
  return engine_room(st, &to->start, &to->cstart, n + 1, sizeof *to->start) &&
         engine_room(st, &to->input, &to->cinput, 2 * n * ni + 1, sizeof *to->input) &&
         engine_room(st, &to->event, &to->cevent, to->nevent + events + 1, sizeof *to->event) &&
         net_runs_number(st, to, numbers + 1);
}

bool net_runs_add(norn_state *st, const net_schema *h, net_runs *to, const net_runs *from, int first, int m)
{
  size_t ni = (size_t)h->ninput;
  if (!runs_room(st, to, from, first, m, ni)) return false;
  if (!to->n) to->start[0] = 0;
  for (int r = first; r < first + m; r++) {
    for (size_t i = 0; i < ni; i++) {
      const uint32_t *in = from->input + 2 * ((size_t)r * ni + i);
      uint32_t *out = to->input + 2 * ((size_t)to->n * ni + i);
      out[1] = in[1];
      out[0] = numbers_add(to, from, in[0], in[1]);
    }
    for (size_t k = from->start[r]; k < from->start[r + 1]; k++) {
      net_event *e = &to->event[to->nevent++];
      *e = from->event[k];
      e->x = numbers_add(to, from, e->x, e->nx);
      e->arg = numbers_add(to, from, e->arg, e->nargs);
    }
    to->start[++to->n] = to->nevent;
  }
  return true;
}

/* ---- what a value is made of ---- */

/* Does it combine a distribution of booleans? */
static bool of_booleans(const norn_dist *d)
{
  norn_dist base;
  norn_view w;
  if (!d->n) return false;
  bool several = norn_array_view(d->args[0], &w) && w.elem == NORN_VALUES && w.n > 0;
  return norn_dist_view(several ? w.v[0] : d->args[0], &base) && net_class_of(&base) == NET_CLASS_BOOL;
}

net_class net_class_of(const norn_dist *d)
{
  unsigned f = d->row->flags_of ? norn_dist_flags(d) : d->row->flags;
  if (f & NORN_DIST_BOOL || (d->row->flags_of && f & NORN_DIST_DISCRETE &&
                             of_booleans(d))) return NET_CLASS_BOOL;
  return f & NORN_DIST_DISCRETE ? NET_CLASS_WHOLE : NET_CLASS_REAL;
}

net_class net_class_of_site(const net_site *s)
{
  return s->value == NET_REAL ? NET_CLASS_REAL : s->value == NET_BOOL ? NET_CLASS_BOOL : NET_CLASS_WHOLE;
}

/* The parameters of a family whose value is one number; false: it is another. */
static inline bool one_number(const norn_dist *d, double *p)
{
  if (!(d->row->flags & NORN_DIST_SCALAR) || d->n > NORN_DIST_P) return false;
  for (int i = 0; i < d->n; i++)
    if (d->args[i].tag == NORN_REAL) p[i] = d->args[i].d;
    else if (d->args[i].tag == NORN_INT) p[i] = (double)d->args[i].i;
    else return false;
  return true;
}

norn_support net_one_support(const norn_dist_row *row, const double *p)
{
  norn_support s = { .kind = NORN_SUPPORT_REAL, .lower = -HUGE_VAL, .upper = HUGE_VAL, .size = 1, .count = 1,
                     .lower_leaf = -1, .upper_leaf = -1 };
  if (row->range1) row->range1(p, &s.lower, &s.upper);
  if (s.lower == -HUGE_VAL) s.kind = s.upper == HUGE_VAL ? NORN_SUPPORT_REAL : NORN_SUPPORT_UPPER;
  else s.kind = s.upper == HUGE_VAL ? NORN_SUPPORT_LOWER : NORN_SUPPORT_INTERVAL;
  return s;
}

static int64_t elements(norn_datum v)
{
  norn_view w;
  if (!norn_array_view(v, &w)) return 1;
  if (w.elem != NORN_VALUES || w.rank == 1) return w.n;
  return -1;
}

static bool all_numbers(norn_datum v)
{
  norn_view w;
  double x;
  if (!norn_array_view(v, &w)) return norn_as_real(v, &x);
  return w.elem == NORN_F64 || w.elem == NORN_I64;
}

int64_t net_numbers(norn_state *st, const norn_dist *d, net_class class, bool plain, norn_datum v,
                    norn_support *s)
{
  double p[NORN_DIST_P];
  if (class != NET_CLASS_REAL) return elements(v);
  if (plain) return all_numbers(v) ? elements(v) : -1;
  if (!one_number(d, p)) return coords_count(st, d, s);
  *s = net_one_support(d->row, p);
  return 1;
}

/* ---- categories ---- */

static norn_datum element(norn_state *st, norn_datum v, int64_t k)
{
  norn_view w;
  if (!norn_array_view(v, &w)) return v;
  switch (w.elem) {
  case NORN_F64: return norn_real(w.f[k]);
  case NORN_I64: return norn_int(w.i[k]);
  case NORN_B8: return norn_bool(w.b[k]);
  default: return norn_array_at(st, v, k);
  }
}

/* The distribution of element k, if there are several; *d stays what it was where it has none. */
static void element_dist(norn_state *st, const norn_dist *whole, int64_t k, norn_dist *d)
{
  norn_datum part;
  *d = *whole;
  if (norn_dist_part(st, whole, k, &part)) norn_clear(st);
  else if (norn_dist_view(part, d)) return;
  *d = *whole;
}

int64_t net_categories(norn_state *st, const norn_dist *whole)
{
  norn_dist d;
  double p[NORN_DIST_P];
  element_dist(st, whole, 0, &d);
  if (!(norn_dist_flags(&d) & NORN_DIST_FINITE) || !d.row->enumerate) return -1;
  if (d.row == whole->row && d.args == whole->args && whole->row->flags & NORN_DIST_SCALAR &&
      !one_number(whole, p))
    return -1;
  int64_t n = norn_dist_count(st, &d);
  if (n < 0) norn_clear(st);
  return n;
}

/* The place of v in the order of d's values; -1: it has none. */
static int64_t category_of(norn_state *st, const norn_dist *d, norn_datum v, int64_t most)
{
  norn_datum x;
  if (norn_dist_enumerate(st, d, 0, &x) || norn_is_none(x)) return norn_clear(st), -1;
  if (x.tag == NORN_INT && v.tag == NORN_INT) {           /* most often they follow one another */
    int64_t k = v.i - x.i;
    if (k == 0) return 0;
    if (k > 0 && k < most && !norn_dist_enumerate(st, d, k, &x) && x.tag == NORN_INT && x.i == v.i) return k;
    norn_clear(st);
  }
  for (int64_t k = 0; k < most; k++) {
    if (norn_dist_enumerate(st, d, k, &x)) return norn_clear(st), -1;
    if (norn_is_none(x)) return -1;
    if (norn_equal(x, v)) return k;
  }
  return -1;
}

/* Element k of a discrete value as a number; false: it is not of the site's kind. */
static bool discrete_number(norn_state *st, const net_site *s, const norn_dist *d, norn_datum value,
                            int64_t k,
                            double *out)
{
  norn_datum v = element(st, value, k);
  norn_dist part = *d;
  switch (s->value) {
  case NET_BOOL:
    *out = v.tag == NORN_BOOL ? (double)v.i : v.tag == NORN_INT ? (double)v.i : -1;
    return *out == 0 || *out == 1;
  case NET_COUNT: return norn_as_real(v, out) && *out >= 0 && *out == floor(*out);
  default: break;
  }
  if (norn_array_length(value) >= 0) element_dist(st, d, k, &part);
  *out = (double)category_of(st, &part, v, s->categories);
  return *out >= 0;
}

/* ---- arguments ---- */

static int leaves_of(norn_datum v, double *out, int n)
{
  norn_view w;
  norn_dist d;
  int m = 0, fields;
  if (n <= 0) return 0;
  if (v.tag == NORN_BOOL) return *out = (double)v.i, 1;
  if (norn_as_real(v, out)) return 1;
  if (norn_array_view(v, &w)) {
    for (int64_t i = 0; i < w.n && m < n; i++)
      switch (w.elem) {
      case NORN_F64: out[m++] = w.f[i]; break;
      case NORN_I64: out[m++] = (double)w.i[i]; break;
      case NORN_B8: out[m++] = w.b[i]; break;
      default: m += leaves_of(w.v[i], out + m, n - m);
      }
    return m;
  }
  if (norn_dist_view(v, &d)) return net_leaves(&d, out, n);
  const norn_datum *f = norn_record_view(v, &fields);
  for (int i = 0; f && i < fields; i++) m += leaves_of(f[i], out + m, n - m);
  return m;
}

int net_leaves(const norn_dist *d, double *out, int n)
{
  int m = 0;
  for (int i = 0; i < d->n; i++) m += leaves_of(d->args[i], out + m, n - m);
  return m;
}

/* ---- an event as numbers ---- */

/* The coordinate of one number; on the edge of its support, where rounding has put it, that of the nearest
   number inside. */
bool net_one_coordinate(const norn_support *s, double x, double *u, double *log_slope)
{
  double jacobian = 0, inside;
  if (!norn_support_unconstrain(s, &x, u)) {
    if (!(x >= s->lower && x <= s->upper)) return false;
    x = nextafter(x, x == s->lower ? HUGE_VAL : -HUGE_VAL);
    if (!norn_support_unconstrain(s, &x, u)) return false;
  }
  if (!log_slope) return true;
  norn_support_constrain(s, u, &inside, &jacobian);
  *log_slope -= jacobian;
  return true;
}

static bool real_numbers(norn_state *st, const net_site *s, const norn_dist *d, const norn_support *support,
                         norn_datum value, int64_t n, double *u, double *log_slope)
{
  double jacobian = 0, x;
  if (s->plain) {
    for (int64_t k = 0; k < n; k++)
      if (!isfinite(u[k] = norn_elem_real(value, k))) return false;
    return true;
  }
  if (n == 1 && support->kind == NORN_SUPPORT_REAL && norn_as_real(value, u)) return isfinite(*u);
  if (n == 1 && support->kind <= NORN_SUPPORT_INTERVAL && norn_as_real(value, &x) &&
      support->lower == support->lower && support->upper == support->upper)
    return net_one_coordinate(support, x, u, log_slope);
  if (!coords_of(st, d, support, value, u, &jacobian)) return false;
  if (log_slope) *log_slope -= jacobian;
  return true;
}

static bool event_numbers(norn_state *st, const net_site *s, const norn_event *ev, norn_datum value,
                          net_runs *r,
                          net_event *e, double *log_slope)
{
  norn_support support;
  int64_t n = net_numbers(st, ev->dist, net_class_of_site(s), s->plain, value, &support);
  if (n < 1 || n > UINT16_MAX || (n > s->coords && !s->split)) {   /* of a size that was never met */
    e->site = -1;
    return true;
  }
  if (!net_runs_number(st, r, (size_t)n)) return false;
  double *u = r->number + r->nnumber;
  bool good = true;
  if (s->value == NET_REAL) good = real_numbers(st, s, ev->dist, &support, value, n, u, log_slope);
  else for (int64_t k = 0; good && k < n; k++) good = discrete_number(st, s, ev->dist, value, k, &u[k]);
  if (!good) return false;
  e->x = (uint32_t)r->nnumber;
  e->nx = (uint16_t)n;
  r->nnumber += (size_t)n;
  return true;
}

bool net_event_of(const net_schema *h, norn_state *st, const norn_event *ev, norn_datum value, bool observed,
                  net_runs *r, net_event *e, double *log_slope)
{
  e->addr = ev->addr;
  e->observed = observed;
  e->nx = e->nargs = 0;
  e->x = e->arg = 0;
  e->site = net_place_of(h, st, ev, e->index);
  if (e->site == NET_FAILED) return false;
  if (e->site < 0) {
    if (e->site == -1) e->index[0] = e->index[1] = e->index[2] = 0;
    return true;
  }
  const net_site *s = &h->site[e->site];
  if (!norn_is_none(value) && !event_numbers(st, s, ev, value, r, e, log_slope)) return false;
  if (!s->nargs || e->site < 0) return true;
  if (!net_runs_number(st, r, (size_t)s->nargs)) return false;
  double *a = r->number + r->nnumber;
  int n = net_leaves(ev->dist, a, s->nargs);
  while (n < s->nargs) a[n++] = 0;
  e->arg = (uint32_t)r->nnumber;
  e->nargs = (uint16_t)n;
  r->nnumber += (size_t)n;
  return true;
}

/* ---- and back ---- */

/* A value of d, for its shape. */
static norn_datum like(norn_state *st, const norn_dist *d)
{
  double p[NORN_DIST_P];
  norn_rng g = { .stream = 1 };
  norn_datum v;
  if (one_number(d, p)) return norn_real(0);
  return norn_dist_sample(st, d, &g, &v) ? norn_none() : v;
}

static norn_datum discrete_element(norn_state *st, const net_site *s, const norn_dist *d, int64_t k,
                                   bool many, double u)
{
  norn_dist part = *d;
  norn_datum v;
  if (s->value == NET_BOOL) return norn_bool(u != 0);
  if (s->value == NET_COUNT) return norn_int((int64_t)u);
  if (many) element_dist(st, d, k, &part);
  return norn_dist_enumerate(st, &part, (int64_t)u, &v) ? norn_none() : v;
}

static norn_datum discrete_value(norn_state *st, const net_site *s, const norn_dist *d, norn_datum shape,
                                 int64_t n,
                                 const double *u)
{
  norn_view w;
  void *to;
  if (!norn_array_view(shape, &w)) return discrete_element(st, s, d, 0, false, *u);
  if (w.n != n) return norn_fail(st, NORN_EUSE, -1, "%d numbers for a value of %d", (int)n, (int)w.n),
    norn_none();
  norn_datum v = norn_array(st, w.elem, w.rank, w.dims, &to);
  for (int64_t k = 0; !norn_is_none(v) && k < n; k++) {
    norn_datum x = discrete_element(st, s, d, k, true, u[k]);
    if (norn_is_none(x)) return x;
    switch (w.elem) {
    case NORN_F64: ((double *)to)[k] = norn_elem_real(x, 0); break;
    case NORN_I64: ((int64_t *)to)[k] = x.i; break;
    case NORN_B8: ((uint8_t *)to)[k] = x.i != 0; break;
    default: ((norn_datum *)to)[k] = x;
    }
  }
  return v;
}

static norn_datum plain_value(norn_state *st, norn_datum shape, int64_t n, const double *u)
{
  norn_view w;
  void *to;
  if (!norn_array_view(shape, &w)) return norn_real(*u);
  norn_datum v = norn_array(st, NORN_F64, w.rank, w.dims, &to);
  if (!norn_is_none(v)) memcpy(to, u, (size_t)(w.n < n ? w.n : n) * sizeof *u);
  return v;
}

norn_datum net_value_of(const net_schema *h, norn_state *st, const norn_event *ev, const net_event *e,
                        const double *u, double *log_slope)
{
  const net_site *s = &h->site[e->site];
  norn_support support;
  double jacobian = 0;
  norn_datum shape = like(st, ev->dist);
  if (norn_is_none(shape)) return shape;
  if (s->value != NET_REAL) return discrete_value(st, s, ev->dist, shape, elements(shape), u);
  if (s->plain) return plain_value(st, shape, elements(shape), u);
  if (net_numbers(st, ev->dist, NET_CLASS_REAL, false, shape, &support) < 0) {
    norn_fail(st, NORN_EINFER, -1, "a value of %s has no coordinates", ev->dist->row->name);
    return norn_none();
  }
  norn_datum v = coords_value(st, ev->dist, &support, u, shape, &jacobian);
  if (log_slope) *log_slope -= jacobian;
  return v;
}

/* ---- targets ---- */

static double coord_mean(const net_site *s, int c) { return s->mean[s->split ? 0 : c]; }
static double coord_sd(const net_site *s, int c) { return s->sd[s->split ? 0 : c]; }

int net_head_of(const net_schema *h, const net_event *e, int c)
{
  const net_site *s = &h->site[e->site];
  return s->head < 0 ? -1 : s->head + (s->split ? 0 : c);
}

double net_target(const net_schema *h, const net_event *e, int c, double x)
{
  const net_site *s = &h->site[e->site];
  return s->value == NET_REAL ? (x - coord_mean(s, c)) / coord_sd(s, c) : x;
}

double net_from_target(const net_schema *h, const net_event *e, int c, double target, double *log_slope)
{
  const net_site *s = &h->site[e->site];
  if (s->value != NET_REAL) return target;
  if (log_slope) *log_slope -= log(coord_sd(s, c));
  return coord_mean(s, c) + coord_sd(s, c) * target;
}
