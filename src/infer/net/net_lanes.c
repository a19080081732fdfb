/* net_lanes: simulated runs in lanes of one (norn_lanes, NORN_RUN_SIMULATE): what is drawn comes as columns, one
   number a run, and is put into runs at the end (net_source.c).

   How many go at once is no matter of their numbers, so it is what costs least: a block where groups are small
   (sizes that vary), fewer where their vectors fill the cache (matrices).

   The columns stay where they are among the numbers of the block; an event points into them.  Events are
   noted as they come, for several lanes at once or for one that goes alone; those of one lane are in its
   order. */
#include "dist/dist.h"
#include "infer/net/net_in.h"
#include <string.h>

/* An event of n lanes: what they have in common, and where their own numbers are: x + k, and arg + k * nargs.
   */
typedef struct note {
  net_event e;
  uint32_t n, lane;                      /* of one (n 0): its lane; else where in `lane` their list begins */
  bool all;                              /* lanes 0 .. n - 1 */
} note;

typedef struct noting {
  net_source *s;
  const net_schema *h;
  net_runs *out;
  uint32_t first, width;                 /* lanes of the block */
  size_t runs, events, numbers;          /* that were in `out` before */
  note *note; size_t nnote, cnote;
  uint32_t *lane; size_t nlane, clane;
  bool gives_up;                         /* something that runs alone must say */
} noting;

/* ---- a column ---- */

/* Where the numbers of an element of each lane go: u[k * step]. */
typedef struct numbers { double *u; size_t step; } numbers;

/* Numbers as they are.  false: one is not finite (x * 0 is 0 for those that are). */
static bool column_plain(const double *x, uint32_t n, numbers c)
{
  double bad = 0;
  if (c.step == 1) memcpy(c.u, x, n * sizeof *x);
  else for (uint32_t k = 0; k < n; k++) c.u[k * c.step] = x[k];
  for (uint32_t k = 0; k < n; k++) bad += x[k] * 0;
  return bad == 0;
}

/* The coordinates of n numbers as net_event_of has them; false: one is not inside. */
static bool column_reals(const net_site *s, const norn_simulated *t, numbers c)
{
  double p[NORN_DIST_P];
  norn_support support = { .kind = NORN_SUPPORT_REAL };
  bool bounds = !s->plain && t->row && t->row->range1 && t->row->range1 != dist_everywhere;
  if (!bounds) return column_plain(t->x, t->n, c);
  bool moves = t->many && t->row->range1 != dist_positive;
  for (uint32_t k = 0; k < t->n; k++) {
    double *u = c.u + k * c.step, x = t->x[k];
    if (k == 0 || moves) {
      double lower, upper;
      for (int i = 0; i < t->np; i++) p[i] = t->p[i][t->many >> i & 1 ? k : 0];
      t->row->range1(p, &lower, &upper);
      if (k == 0 || lower != support.lower || upper != support.upper) support = net_one_support(t->row, p);
    }
    if (support.kind == NORN_SUPPORT_REAL) *u = x;
    else if (t->elements > 1 ? !norn_support_unconstrain(&support, &x, u) : !net_one_coordinate(&support, x, u, NULL))
      return false;
    if (!isfinite(*u)) return false;
  }
  return true;
}

/* Of categories only whole numbers that follow one another, from the same first on in all lanes. */
static bool column_categories(norn_state *st, const net_site *s, const norn_simulated *t, numbers c)
{
  norn_datum args[NORN_DIST_P], first, last;
  norn_dist d = { .row = t->row, .args = args, .n = t->np };
  if (t->many || !t->row) return false;
  for (int i = 0; i < d.n; i++)
    args[i] = *t->p[i] == floor(*t->p[i]) ? norn_int((int64_t)*t->p[i]) : norn_real(*t->p[i]);
  if (norn_dist_enumerate(st, &d, 0, &first) || norn_dist_enumerate(st, &d, s->categories - 1, &last)) {
    norn_clear(st);
    return false;
  }
  if (first.tag != NORN_INT || last.tag != NORN_INT || last.i - first.i != s->categories - 1) return false;
  for (uint32_t k = 0; k < t->n; k++) {
    double u = c.u[k * c.step] = t->x[k] - (double)first.i;
    if (!(u >= 0 && u < s->categories)) return false;
  }
  return true;
}

static bool column_counts(const norn_simulated *t, numbers c)
{
  for (uint32_t k = 0; k < t->n; k++) if (!((c.u[k * c.step] = t->x[k]) >= 0)) return false;
  return true;
}

/* Room for the numbers of all n lanes, each lane's together, and their arguments.  false: error set. */
static bool columns_begin(noting *o, const norn_simulated *t, net_event *e)
{
  const net_site *s = &o->h->site[e->site];
  net_runs *r = o->out;
  size_t nargs = (size_t)s->nargs, n = t->n, nx = t->elements;
  if (!net_runs_number(o->s->st, r, n * (nx + nargs))) return false;
  double *a = r->number + r->nnumber + n * nx;
  for (size_t i = 0; i < nargs; i++) {
    const double none = 0, *x = (int)i < t->nargs ? t->arg[i] : &none;
    if ((int)i < t->nargs && t->arg_many >> i & 1) for (size_t k = 0; k < n; k++) a[k * nargs + i] = x[k];
    else for (size_t k = 0; k < n; k++) a[k * nargs + i] = *x;
  }
  e->x = (uint32_t)r->nnumber;
  e->arg = (uint32_t)(r->nnumber + n * nx);
  e->nx = (uint16_t)nx;
  e->nargs = (uint16_t)nargs;
  r->nnumber += n * (nx + nargs);
  return true;
}

/* The numbers of one element of all lanes.  false: lanes can't. */
static bool column_of(noting *o, const norn_simulated *t, const net_event *e)
{
  const net_site *s = &o->h->site[e->site];
  numbers c = { o->out->number + e->x + t->element, e->nx };
  return s->value == NET_REAL       ? column_reals(s, t, c)
         : s->value == NET_CATEGORY ? column_categories(o->s->st, s, t, c)
                                    : column_counts(t, c);
}

/* ---- what is told ---- */

static bool note_add(noting *o, const note *x, const uint32_t *lanes)
{
  norn_state *st = o->s->st;
  if (!engine_room(st, &o->note, &o->cnote, o->nnote + 1, sizeof *o->note)) return false;
  note *to = &o->note[o->nnote++];
  *to = *x;
  if (!x->n || x->all) return true;
  if (!engine_room(st, &o->lane, &o->clane, o->nlane + x->n, sizeof *o->lane)) return false;
  memcpy(o->lane + o->nlane, lanes, x->n * sizeof *lanes);
  to->lane = (uint32_t)o->nlane;
  o->nlane += x->n;
  return true;
}

static bool gives_up(noting *o)
{
  o->gives_up = true;
  norn_fail(o->s->st, NORN_EINFER, -1, "not in lanes");
  return false;
}

static bool note_inputs(noting *o, const norn_simulated *t)
{
  net_source *s = o->s;
  for (int i = 0; i < s->ninput; i++) {
    uint32_t *in = o->out->input + 2 * ((o->runs + t->lane - o->first) * (size_t)s->ninput + (size_t)i);
    int64_t elements;
    in[0] = (uint32_t)o->out->nnumber;
    if (!net_input_numbers(s->st, t->value, s->input[i], o->out, &in[1], &elements)) return gives_up(o);
  }
  return true;
}

/* The inputs of one model value, which all runs share. */
static bool same_inputs(noting *o)
{
  norn_simulated t = { .value = norn_get(o->s->what), .lane = o->first };
  size_t n = 2 * (size_t)o->s->ninput;
  if (!note_inputs(o, &t)) return false;
  uint32_t *in = o->out->input + o->runs * n;
  for (size_t k = 1; n && k < o->width; k++) memcpy(in + k * n, in, n * sizeof *in);
  return true;
}

static bool note_event(void *user, const norn_simulated *t)
{
  noting *o = user;
  norn_state *st = o->s->st;
  if (!t->dist) return note_inputs(o, t);
  if (t->n && t->element) {
    const net_event *e = &o->note[o->nnote - 1].e;         /* what element 0 has begun */
    return e->site < 0 || column_of(o, t, e) || gives_up(o);
  }
  note x = { .n = t->n, .lane = t->lane - o->first, .all = !t->lanes };
  norn_event ev = { .kind = t->observed ? NORN_OBSERVE : NORN_SAMPLE, .flags = t->flags, .addr = t->addr,
                    .span = t->span, .dist = t->dist, .count = 1 };
  if (!t->n) {
    if (!net_event_of(o->h, st, &ev, t->value, t->observed, o->out, &x.e, NULL)) return gives_up(o);
    if (x.e.site == NET_NAMELESS) return gives_up(o);
    return note_add(o, &x, NULL);
  }
  x.e.addr = t->addr;
  x.e.observed = t->observed;
  x.e.site = net_place_of(o->h, st, &ev, x.e.index);
  if (x.e.site == NET_NAMELESS) return gives_up(o);
  if (x.e.site == NET_FAILED) return false;
  if (x.e.site < 0) memset(x.e.index, 0, sizeof x.e.index);
  else if (t->elements > UINT16_MAX || ((int)t->elements > o->h->site[x.e.site].coords && !o->h->site[x.e.site].split))
    x.e.site = -1;                                         /* of a size that was never met */
  else if (!columns_begin(o, t, &x.e)) return false;
  else if (!column_of(o, t, &x.e)) return gives_up(o);
  return note_add(o, &x, t->lanes);
}

/* ---- notes into runs ---- */

static inline uint32_t lane_of(const noting *o, const note *x, uint32_t k)
{
  return !x->n ? x->lane : x->all ? k : o->lane[x->lane + k];
}

static bool spread(noting *o)
{
  norn_state *st = o->s->st;
  net_runs *r = o->out;
  size_t *at = r->start + o->runs + 1;   /* of each run its number of events, then where the next goes */
  memset(at, 0, o->width * sizeof *at);
  size_t all = o->events, each = 0;      /* each: events of all lanes at once */
  for (size_t i = 0; i < o->nnote; i++) {
    const note *x = &o->note[i];
    if (x->n && x->all) each++;
    else for (uint32_t k = 0; k < (x->n ? x->n : 1); k++) at[lane_of(o, x, k)]++;
  }
  for (uint32_t k = 0; k < o->width; k++) {
    size_t n = at[k] + each;
    at[k] = all;
    all += n;
  }
  if (!engine_room(st, &r->event, &r->cevent, all, sizeof *r->event)) return false;
  for (size_t i = 0; i < o->nnote; i++) {
    const note *x = &o->note[i];
    uint32_t n = x->n ? x->n : 1;
    for (uint32_t k = 0; k < n; k++) {
      net_event *e = &r->event[at[lane_of(o, x, k)]++];
      *e = x->e;
      e->x += k * e->nx;
      e->arg += k * e->nargs;
    }
  }
  r->nevent = all;
  return true;
}

/* ---- a block ---- */

/* What numbers of a schema's sites depend on. */
static uint64_t print_of(const net_schema *h)
{
  return hash_bytes(h->site, (size_t)h->nsite * sizeof *h->site, (uint64_t)(uintptr_t)h->places);
}

bool net_block_has(const net_source *s, const net_schema *h, uint64_t i)
{
  return s->whole && i - s->first < (uint64_t)s->block.n && s->print == print_of(h);
}

/* How many go at once next time, after these. */
static void choose_width(net_source *s, const noting *o, const norn_lanes_report *report)
{
  enum { LEAST = 128, SMALL = 256, CACHE = 3 << 17, MEMORY = 64 << 20 };
  const net_runs *r = o->out;
  size_t events = r->nevent - o->events;
  size_t bytes = (r->nnumber - o->numbers) * sizeof *r->number + events * sizeof *r->event;
  if (s->width == 0) s->width = events / (o->nnote + 1) < SMALL ? NET_BLOCK : o->width;
  double more = (double)s->width / o->width;
  while (s->width > LEAST && (more * (double)report->most > CACHE || more * (double)bytes > MEMORY))
    s->width /= 2, more /= 2;
}

/* All lanes to their ends. */
static bool lanes_run(noting *o, norn_lanes *l, double *logw)
{
  norn_lanes_leg leg = { 0 };
  return norn_lanes_next(l, logw, &leg) == NORN_OBSERVE && !leg.running && !leg.observing && !o->gives_up;
}

static bool lanes_block(noting *o, uint64_t block, norn_lanes_report *report)
{
  net_source *s = o->s;
  norn_state *st = s->st;
  double *logw = engine_get(st, o->width * sizeof *logw);
  norn_run *r = logw ? norn_run_new(st, norn_get(s->what), NULL, 0) : NULL;
  norn_lanes *l = NULL;
  if (r) {
    norn_run_stream(r, net_block_stream(s, block), o->first, 0);
    norn_run_flags(r, NORN_RUN_DRAW | NORN_RUN_SIMULATE | NORN_RUN_NAMES | (s->makes ? NORN_RUN_MAKES : 0));
    l = norn_lanes_new(r, o->width);
  }
  norn_simulate_attach(st, note_event, o);
  bool good = l && (s->makes || same_inputs(o)) && lanes_run(o, l, logw);
  norn_simulate_attach(st, NULL, NULL);
  if (l) norn_lanes_look(l, report);
  norn_lanes_free(l);
  engine_put(st, logw, o->width * sizeof *logw);
  return good;
}

/* How many lanes are one run now, run i among them. */
static uint32_t width_of(const net_source *s) { return s->width ? s->width : NET_AGAIN; }

/* Those with run i, at the end of `out`.  false: they can't be done so, and `out` has what it had; perhaps error
   set. */
static bool lanes_add(net_source *s, const net_schema *h, uint64_t i, net_runs *out)
{
  enum { APART = 3 };
  uint32_t width = width_of(s);
  noting o = { .s = s, .h = h, .out = out, .first = (uint32_t)(i % NET_BLOCK) / width * width, .width = width,
               .runs = (size_t)out->n, .events = out->nevent, .numbers = out->nnumber };
  norn_state *st = s->st;
  norn_lanes_report report = { 0 };
  size_t n = o.runs + width;
  norn_clear(st);
  if (s->apart >= APART) return false;
  bool good = engine_room(st, &out->start, &out->cstart, n + 1, sizeof *out->start) &&
              engine_room(st, &out->input, &out->cinput, 2 * n * (size_t)s->ninput + 1, sizeof *out->input);
  good = good && lanes_block(&o, i / NET_BLOCK, &report) && spread(&o);
  s->apart += (report.alone > width / 2) + !good;
  if (good) choose_width(s, &o, &report);
  engine_put(st, o.note, o.cnote * sizeof *o.note);
  engine_put(st, o.lane, o.clane * sizeof *o.lane);
  if (good) out->n += (int)width;
  else out->nevent = o.events, out->nnumber = o.numbers;
  return good;
}

bool net_lanes_block(net_source *s, const net_schema *h, uint64_t i)
{
  uint32_t width = width_of(s);
  s->whole = false;
  if (!net_runs_start(s->st, &s->block, 0, s->ninput) || !lanes_add(s, h, i, &s->block)) return false;
  s->whole = true;
  s->first = i / width * width;
  s->print = print_of(h);
  return true;
}

int net_lanes_into(net_source *s, const net_schema *h, uint64_t i, int n, net_runs *out)
{
  uint32_t width = width_of(s);
  if (i % width || (uint32_t)n < width) return 0;
  return lanes_add(s, h, i, out) ? (int)width : -1;
}
