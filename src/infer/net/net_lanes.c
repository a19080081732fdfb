/* net_lanes: a block of simulated runs in lanes of one (norn_lanes, NORN_RUN_SIMULATE): what is drawn comes
   as columns, one number a run, and is put into runs at the end (net_source.c).

   The columns stay where they are among the numbers of the block; an event points into them.  Events are
   noted as they come, for several lanes at once or for one that goes alone; those of one lane are in its
   order. */
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
  note *note; size_t nnote, cnote;
  uint32_t *lane; size_t nlane, clane;
  bool gives_up;                         /* something that runs alone must say */
} noting;

/* ---- a column ---- */

/* The coordinates of n numbers as net_event_of has them; false: one is not inside. */
static bool column_reals(const net_site *s, const norn_simulated *t, double *u)
{
  double p[NORN_DIST_P];
  norn_support support = { .kind = NORN_SUPPORT_REAL };
  for (uint32_t k = 0; k < t->n; k++) {
    if (!s->plain && (k == 0 || (t->many && t->dist->row->range1))) {
      for (int i = 0; i < t->dist->n; i++) p[i] = t->p[i][t->many >> i & 1 ? k : 0];
      support = net_one_support(t->dist->row, p);
    }
    if (s->plain || support.kind == NORN_SUPPORT_REAL) u[k] = t->x[k];
    else if (!net_one_coordinate(&support, t->x[k], &u[k], NULL)) return false;
    if (!isfinite(u[k])) return false;
  }
  return true;
}

/* Of categories only whole numbers that follow one another, from the same first on in all lanes. */
static bool column_categories(norn_state *st, const net_site *s, const norn_simulated *t, double *u)
{
  norn_datum args[NORN_DIST_P], first, last;
  norn_dist d = *t->dist;
  if (t->many) return false;
  for (int i = 0; i < d.n; i++)
    args[i] = *t->p[i] == floor(*t->p[i]) ? norn_int((int64_t)*t->p[i]) : norn_real(*t->p[i]);
  d.args = args;
  if (norn_dist_enumerate(st, &d, 0, &first) || norn_dist_enumerate(st, &d, s->categories - 1, &last)) {
    norn_clear(st);
    return false;
  }
  if (first.tag != NORN_INT || last.tag != NORN_INT || last.i - first.i != s->categories - 1) return false;
  for (uint32_t k = 0; k < t->n; k++) {
    u[k] = t->x[k] - (double)first.i;
    if (!(u[k] >= 0 && u[k] < s->categories)) return false;
  }
  return true;
}

static bool column_counts(const norn_simulated *t, double *u)
{
  for (uint32_t k = 0; k < t->n; k++) if (!((u[k] = t->x[k]) >= 0)) return false;
  return true;
}

/* Numbers and arguments of all n lanes.  false: lanes can't, or error set. */
static bool columns(noting *o, const norn_simulated *t, net_event *e)
{
  norn_state *st = o->s->st;
  const net_site *s = &o->h->site[e->site];
  net_runs *r = o->out;
  size_t nargs = (size_t)s->nargs, n = t->n;
  if (!net_runs_number(st, r, n * (1 + nargs))) return false;
  double *u = r->number + r->nnumber, *a = u + n;
  bool good = s->value == NET_REAL       ? column_reals(s, t, u)
              : s->value == NET_CATEGORY ? column_categories(st, s, t, u)
                                         : column_counts(t, u);
  if (!good) return false;
  for (size_t i = 0; i < nargs; i++)
    for (size_t k = 0; k < n; k++)
      a[k * nargs + i] = (int)i < t->dist->n ? t->p[i][t->many >> i & 1 ? k : 0] : 0;
  e->x = (uint32_t)r->nnumber;
  e->arg = (uint32_t)(r->nnumber + n);
  e->nx = 1;
  e->nargs = (uint16_t)nargs;
  r->nnumber += n * (1 + nargs);
  return true;
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
    uint32_t *in = o->out->input + 2 * ((size_t)t->lane * (size_t)s->ninput + (size_t)i);
    int64_t elements;
    in[0] = (uint32_t)o->out->nnumber;
    if (!net_input_numbers(s->st, t->value, s->input[i], o->out, &in[1], &elements)) return gives_up(o);
  }
  return true;
}

/* The inputs of one model value, which all runs share. */
static bool same_inputs(noting *o)
{
  norn_simulated t = { .value = norn_get(o->s->what) };
  size_t n = 2 * (size_t)o->s->ninput;
  if (!note_inputs(o, &t)) return false;
  for (size_t k = 1; n && k < NET_BLOCK; k++)
    memcpy(o->out->input + k * n, o->out->input, n * sizeof *o->out->input);
  return true;
}

static bool note_event(void *user, const norn_simulated *t)
{
  noting *o = user;
  norn_state *st = o->s->st;
  if (!t->dist) return note_inputs(o, t);
  note x = { .n = t->n, .lane = t->lane, .all = !t->lanes };
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
  else if (!columns(o, t, &x.e)) return gives_up(o);
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
  size_t *at = r->start + 1;             /* of each run its number of events, then where the next goes */
  memset(r->start, 0, (NET_BLOCK + 1) * sizeof *r->start);
  for (size_t i = 0; i < o->nnote; i++)
    for (uint32_t k = 0; k < (o->note[i].n ? o->note[i].n : 1); k++) at[lane_of(o, &o->note[i], k)]++;
  size_t all = 0;
  for (uint32_t k = 0; k < NET_BLOCK; k++) {
    size_t n = at[k];
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
      e->x += e->nx ? k : 0;
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

bool net_block_is(const net_source *s, const net_schema *h, uint64_t block)
{
  return s->whole && s->number == block && s->print == print_of(h);
}

/* All lanes to their ends. */
static bool lanes_run(noting *o, norn_lanes *l, double *logw)
{
  norn_lanes_leg leg = { 0 };
  norn_lanes_report report;
  bool good = norn_lanes_next(l, logw, &leg) == NORN_OBSERVE && !leg.running && !leg.observing &&
    !o->gives_up;
  norn_lanes_look(l, &report);
  o->s->apart += report.alone > NET_BLOCK / 2;
  return good;
}

static bool lanes_block(noting *o, uint64_t block)
{
  net_source *s = o->s;
  norn_state *st = s->st;
  double *logw = engine_get(st, NET_BLOCK * sizeof *logw);
  norn_run *r = logw ? norn_run_new(st, norn_get(s->what), NULL, 0) : NULL;
  norn_lanes *l = NULL;
  if (r) {
    norn_run_stream(r, net_block_stream(s, block), 0, 0);
    norn_run_flags(r, NORN_RUN_DRAW | NORN_RUN_SIMULATE | NORN_RUN_NAMES | (s->makes ? NORN_RUN_MAKES : 0));
    l = norn_lanes_new(r, NET_BLOCK);
  }
  norn_simulate_attach(st, note_event, o);
  bool good = l && (s->makes || same_inputs(o)) && lanes_run(o, l, logw);
  norn_simulate_attach(st, NULL, NULL);
  norn_lanes_free(l);
  engine_put(st, logw, NET_BLOCK * sizeof *logw);
  return good;
}

bool net_lanes_block(net_source *s, const net_schema *h, uint64_t block)
{
  enum { APART = 3 };
  noting o = { .s = s, .h = h, .out = &s->block };
  norn_state *st = s->st;
  norn_clear(st);
  s->whole = false;
  if (s->apart >= APART || !net_runs_start(st, &s->block, NET_BLOCK, s->ninput)) return false;
  bool good = lanes_block(&o, block) && spread(&o);
  engine_put(st, o.note, o.cnote * sizeof *o.note);
  engine_put(st, o.lane, o.clane * sizeof *o.lane);
  if (!good) {
    s->apart += 1;
    return false;
  }
  s->whole = true;
  s->number = block;
  s->print = print_of(h);
  return true;
}
