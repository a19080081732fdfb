/* net_source: simulated runs of a program: choices from their priors, observations from their distributions
   (net.h).

   Run i lies in block i / NET_BLOCK as lane i % NET_BLOCK, and each block has a stream of its own.  The
   function that makes the model, if there is one, takes iteration 0, the model then 1; observations have
   event words of their own (norn_simulated_event).  So a run is a function of stream and number, whoever
   asks, and however many at once.

   A run alone is driven from event to event here, which also finds names and says what is refused.  Many at
   once go in lanes (net_lanes.c), to the same bits. */
#include "infer/net/net_in.h"
#include "base/archive.h"
#include <stdio.h>
#include <string.h>

enum { NAME = NET_NAME };

/* ---- making ---- */

static bool inputs_kept(net_source *s, norn_datum names)
{
  norn_state *st = s->st;
  char found[120];
  int64_t n = norn_array_length(names);
  if (norn_is_none(names) || names.tag == NORN_MISSING) return true;
  bool good = n >= 0 && n <= NET_COVARIATES;
  for (int64_t i = 0; good && i < n; i++) good = norn_string_view(norn_array_at(st, names, i), NULL) != NULL;
  if (!good) {
    norn_fail(st, NORN_ETYPE, -1,
              "inputs must be an array of at most %d names of the model's parameters, got %s",
              NET_COVARIATES, norn_describe(st, names, found, sizeof found));
    norn_hint(st, "write inputs = [\"x\"]");
    return false;
  }
  if (!(s->input = engine_get(st, (size_t)n * sizeof *s->input))) return false;
  s->ninput = s->cinput = (int)n;
  for (int i = 0; i < s->ninput; i++) {
    const char *name = norn_string_view(norn_array_at(st, names, i), NULL);
    int k = snprintf(s->input[i], NAME, "%s", name);
    if (k >= 0 && k < NAME) continue;
    norn_fail(st, NORN_EDOMAIN, -1, "the name of the input %s is longer than %d bytes", name, NAME - 1);
    return false;
  }
  return true;
}

net_source *net_source_new(norn_state *st, norn_datum what, norn_datum inputs, uint64_t stream)
{
  char found[120];
  if (what.tag != NORN_MODEL && what.tag != NORN_FUN) {
    norn_fail(st, NORN_ETYPE, 0,
              "a net is trained on a model value, or on a function without parameters that gives "
              "one, got %s", norn_describe(st, what, found, sizeof found));
    norn_hint(st, "write coin(data), or source for fn source() = coin(...)");
    return NULL;
  }
  net_source *s = engine_get(st, sizeof *s);
  if (!s) return NULL;
  s->st = st;
  s->stream = stream;
  s->makes = what.tag == NORN_FUN;
  s->what = norn_keep(st, what);
  if (s->what && inputs_kept(s, inputs)) return s;
  if (!s->what) norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  net_source_free(s);
  return NULL;
}

void net_source_free(net_source *s)
{
  if (!s) return;
  if (s->what) norn_drop(s->what);
  engine_put(s->st, s->input, (size_t)s->cinput * sizeof *s->input);
  net_runs_free(s->st, &s->block);
  net_runs_free(s->st, &s->some);
  engine_put(s->st, s, sizeof *s);
}

int net_source_ninput(const net_source *s) { return s->ninput; }
const char *net_source_input(const net_source *s, int i) { return s->input[i]; }

/* ---- inputs ---- */

/* The argument of that name; NONE: error set. */
static norn_datum argument(norn_state *st, norn_datum model, const char *name)
{
  char names[200] = "";
  size_t at = 0;
  norn_datum v;
  const char *p;
  for (int i = 0; (p = norn_model_at(st, model, i, &v)); i++) {
    if (!strcmp(p, name)) {
      if (norn_is_none(v)) {
        norn_fail(st, NORN_EDOMAIN, -1, "the input %s is not given: the model has its default", name);
        norn_hint(st, "give it where the model is called: %s = ...", name);
      }
      return v;
    }
    if (at + strlen(p) + 3 < sizeof names)
      at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", p);
  }
  norn_fail(st, NORN_EDOMAIN, -1, "%s is no parameter of the model, so it can't be an input", name);
  norn_hint(st, "%s%s", at ? "its parameters are " : "the model has no parameters", names);
  return norn_none();
}

bool net_input_numbers(norn_state *st, norn_datum model, const char *name, net_runs *r, uint32_t *n,
                       int64_t *elements)
{
  char found[120];
  norn_view w;
  double x;
  norn_datum v = argument(st, model, name);
  if (norn_is_none(v)) return false;
  bool array = norn_array_view(v, &w) && w.elem != NORN_VALUES;
  if (v.tag == NORN_BOOL) v = norn_int(v.i);
  if (!array && !norn_as_real(v, &x)) {
    norn_fail(st, NORN_ETYPE, -1, "the input %s must be a number or an array of numbers, got %s", name,
              norn_describe(st, v, found, sizeof found));
    return false;
  }
  if (array && w.n >= UINT32_MAX) return norn_fail(st, NORN_EMEMORY, -1, "the input %s is too long", name),
    false;
  *n = array ? (uint32_t)w.n : 1;
  *elements = array ? w.dims[0] : -1;
  if (!net_runs_number(st, r, *n)) return false;
  for (uint32_t k = 0; k < *n; k++) r->number[r->nnumber + k] = array ? norn_elem_real(v, k) : x;
  r->nnumber += *n;
  return true;
}

/* The inputs of run k. */
static bool inputs_of(const net_source *s, norn_datum model, net_runs *r, int k)
{
  for (int i = 0; i < s->ninput; i++) {
    uint32_t *in = r->input + 2 * ((size_t)k * (size_t)s->ninput + (size_t)i);
    int64_t elements;
    in[0] = (uint32_t)r->nnumber;
    if (!net_input_numbers(s->st, model, s->input[i], r, &in[1], &elements)) return false;
  }
  return true;
}

/* An input must have the shape that it had in training. */
static bool input_fits(norn_state *st, const net_input *s, uint32_t n, int64_t elements)
{
  char here[60];
  bool array = elements >= 0;
  int64_t width = elements > 0 ? n / elements : array ? s->width : 1;
  if (array == s->array && (!s->width || width == s->width)) return true;
  snprintf(here, sizeof here, array ? "an array with %lld numbers an element" : "a number", (long long)width);
  if (s->array)
    norn_fail(st, NORN_ETYPE, -1, "the input %s was an array with %d numbers an element when the net was trained; here it is %s",
              s->name, s->width, here);
  else norn_fail(st, NORN_ETYPE, -1, "the input %s was a number when the net was trained; here it is %s", s->name, here);
  return false;
}

bool net_inputs_of(const net_schema *h, norn_state *st, norn_datum model, net_runs *out)
{
  if (!net_runs_start(st, out, 1, h->ninput)) return false;
  out->start[1] = 0;
  for (int i = 0; i < h->ninput; i++) {
    uint32_t *in = out->input + 2 * (size_t)i;
    int64_t elements;
    in[0] = (uint32_t)out->nnumber;
    if (!net_input_numbers(st, model, h->input[i].name, out, &in[1], &elements) ||
        !input_fits(st, &h->input[i], in[1], elements)) return false;
  }
  return true;
}

const double *net_covariates(const net_schema *h, const net_runs *r, int k, const net_event *e, int c,
                             double *out)
{
  const net_site *s = &h->site[e->site];
  int n = 0;
  if (!s->ncovariates) return NULL;
  int64_t at = net_element(s, e, c);
  for (int i = 0; i < h->ninput; i++) {
    if (!(s->inputs >> i & 1)) continue;
    const uint32_t *in = r->input + 2 * ((size_t)k * (size_t)h->ninput + (size_t)i);
    for (int j = 0; j < h->input[i].width; j++) {
      int64_t place = at * h->input[i].width + j;
      out[n++] = at >= 0 && place < (int64_t)in[1] ? r->number[in[0] + place] : h->input[i].mean;
    }
  }
  return out;
}

/* ---- a run ---- */

uint64_t net_block_stream(const net_source *s, uint64_t block)
{
  return norn_stream_split(s->stream, (uint32_t)block, (uint32_t)(block >> 32), 0);
}

/* Run i: its stream and lane. */
typedef struct numbered { uint64_t stream; uint32_t lane; } numbered;

static numbered numbered_of(const net_source *s, uint64_t i)
{
  return (numbered){ net_block_stream(s, i / NET_BLOCK), (uint32_t)(i % NET_BLOCK) };
}

/* An inference; or what a worker's thread can't do. */
static bool refuse_inference(net_source *s, const norn_event *ev)
{
  norn_state *st = s->st;
  if (norn_is_none(ev->value)) {
    s->away = ev->count == 1 ? NET_COLLECT : NET_HOME;
    return false;
  }
  engine_fail(st, NORN_EINFER, ev->span, "inference inside of a model can't be simulated for a net");
  norn_hint(st, "train on a model that draws what the inner one infers");
  return false;
}

/* A value of the event's distribution.  false: error set at its line. */
static bool draw(norn_state *st, const norn_event *ev, norn_rng *g, norn_datum *value)
{
  if (!norn_dist_sample(st, ev->dist, g, value)) return true;
  engine_place(st, ev->span);
  return false;
}

/* The function's run on to its end.  NONE: error set. */
static norn_datum run_maker(net_source *s, norn_run *r)
{
  norn_state *st = s->st;
  norn_event ev;
  norn_rng g;
  norn_datum v;
  char found[120];
  for (;;)
    switch (norn_run_next(r, &ev)) {
    case NORN_SAMPLE:
      norn_run_rng(r, &ev, &g);
      if (!draw(st, &ev, &g, &v)) return norn_none();
      norn_run_answer(r, v);
      break;
    case NORN_DONE:
      if (ev.value.tag == NORN_MODEL) return ev.value;
      norn_fail(st, NORN_ETYPE, 0, "a function that makes models for a net must give a model value, got %s",
                norn_describe(st, ev.value, found, sizeof found));
      norn_hint(st, "let it end in the call of a model; of a model without parameters write m(), not m");
      return norn_none();
    case NORN_OBSERVE:
      engine_fail(st, NORN_EINFER, ev.span, "a function that makes models for a net can't observe or weigh");
      norn_hint(st,
                "only the model that it gives has observations; without parameters that is m(), not m");
      return norn_none();
    case NORN_INFER:
      refuse_inference(s, &ev);
      return norn_none();
    default: return norn_none();
    }
}

/* The model of run i.  It is valid until Norn code runs.  NONE: error set. */
static norn_datum model_of(net_source *s, const numbered *n)
{
  norn_state *st = s->st;
  norn_datum what = norn_get(s->what);
  if (!s->makes) return what;
  norn_run *r = norn_run_new(st, what, NULL, 0);
  if (!r) {
    if (norn_error(st)->code == NORN_EUSE)
      norn_hint(st, "a net is trained on a model value, or on a function without parameters that gives one");
    return norn_none();
  }
  norn_run_stream(r, n->stream, n->lane, 0);
  norn_datum model = run_maker(s, r);
  norn_run_free(r);
  return model;
}

norn_datum net_source_model(net_source *s, uint64_t i)
{
  numbered n = numbered_of(s, i);
  return model_of(s, &n);
}

/* What stands in the place of an observation.  false: error set at its line. */
static bool simulate(norn_state *st, const numbered *n, uint32_t iter, const norn_event *ev,
                     norn_datum *value)
{
  if (ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION)) {
    engine_fail(st, NORN_EINFER, ev->span,
                "%s can't be simulated: it weighs, and says not what data there would be",
                ev->flags & NORN_EV_FACTOR ? "factor" : "condition");
    norn_hint(st, "write it as observe value ~ distribution, or truncate() the prior");
    return false;
  }
  if (ev->flags & NORN_EV_REREAD) {
    engine_fail(st, NORN_EINFER, ev->span,
                "what is observed here is read elsewhere in the model, where a simulated "
                "value would not be seen");
    norn_hint(st, "write let yt = observe y[t] ~ d, and use yt where y[t] is read");
    return false;
  }
  norn_rng g = { .stream = n->stream, .lane = n->lane, .iter = iter,
                 .event = norn_simulated_event(ev->addr, ev->span, ev->ordinal) };
  return draw(st, ev, &g, value);
}

static net_met run_model(net_source *s, norn_run *r, const numbered *n, int k, const net_walk *w)
{
  norn_state *st = s->st;
  norn_event ev;
  norn_datum v;
  norn_rng g;
  net_met m;
  for (;;) {
    switch (norn_run_next(r, &ev)) {
    case NORN_SAMPLE:
      norn_run_rng(r, &ev, &g);
      if (!draw(st, &ev, &g, &v)) return NET_MET_FAILED;
      break;
    case NORN_OBSERVE:
      if (!simulate(st, n, s->makes, &ev, &v)) return NET_MET_FAILED;
      break;
    case NORN_INFER: return refuse_inference(s, &ev) ? NET_MET : NET_MET_FAILED;
    case NORN_DONE: return NET_MET;
    default: return NET_MET_FAILED;
    }
    if ((m = w->meet(w->user, k, &ev, v)) != NET_MET) return m;
    norn_run_answer(r, v);
  }
}

static net_met walk_one(net_source *s, uint64_t i, int k, const net_walk *w, unsigned flags)
{
  numbered n = numbered_of(s, i);
  norn_datum model = model_of(s, &n);
  if (norn_is_none(model)) return NET_MET_FAILED;
  net_met m = w->begin(w->user, k, model);
  norn_run *r = m == NET_MET ? norn_run_new(s->st, model, NULL, 0) : NULL;
  if (!r) return NET_MET_FAILED;
  norn_run_stream(r, n.stream, n.lane, s->makes);
  norn_run_flags(r, flags);
  m = run_model(s, r, &n, k, w);
  norn_run_free(r);
  return m;
}

bool net_source_walk(net_source *s, uint64_t first, int n, const net_walk *w)
{
  norn_clear(s->st);
  for (int k = 0; k < n; k++) {
    unsigned check = s->checked ? 0 : NORN_RUN_CHECK;
    net_met m = walk_one(s, first + (uint64_t)k, k, w, check);
    if (m == NET_MET_NAMES) m = walk_one(s, first + (uint64_t)k, k, w, check | NORN_RUN_NAMES);
    if (m == NET_MET_NAMES) norn_fail(s->st, NORN_EMEMORY, -1, "out of memory");     /* for names */
    if (m != NET_MET) return false;
    s->checked = true;
  }
  return true;
}

/* ---- runs as numbers ---- */

typedef struct recorded {
  net_source *s;
  const net_schema *h;
  net_runs *out;
  int began;                   /* the run that goes on; its numbers begin at mark */
  size_t mark;
} recorded;

static net_met record_begin(void *user, int k, norn_datum model)
{
  recorded *o = user;
  net_runs *out = o->out;
  if (o->began != k) o->mark = out->nnumber;
  o->began = k;
  out->nnumber = o->mark;
  out->nevent = out->start[k];
  out->start[k + 1] = out->nevent;
  return inputs_of(o->s, model, out, k) ? NET_MET : NET_MET_FAILED;
}

static net_met record_meet(void *user, int k, const norn_event *ev, norn_datum value)
{
  recorded *o = user;
  norn_state *st = o->s->st;
  net_runs *out = o->out;
  net_event e;
  if (!net_runs_event(st, out)) return NET_MET_FAILED;
  if (!net_event_of(o->h, st, ev, value, ev->kind == NORN_OBSERVE, out, &e, NULL)) {
    if (norn_error(st)->code) return NET_MET_FAILED;
    e.site = -1;                                          /* a value that no earlier run had the like of */
    e.nx = e.nargs = 0;
  }
  if (e.site == NET_NAMELESS) return NET_MET_NAMES;
  out->event[out->nevent++] = e;
  out->start[k + 1] = out->nevent;
  return NET_MET;
}

bool net_runs_alone(net_source *s, const net_schema *h, uint64_t first, int n, net_runs *out)
{
  recorded o = { s, h, out, -1, 0 };
  net_walk w = { record_begin, record_meet, &o };
  return net_runs_start(s->st, out, n, s->ninput) && net_source_walk(s, first, n, &w);
}

/* Of n runs from i on, where lanes can't: those before lanes are tried again. */
static int alone_at_once(uint64_t i, int n)
{
  int left = NET_AGAIN - (int)(i % NET_AGAIN);
  return left < n ? left : n;
}

bool net_source_runs(net_source *s, const net_schema *h, uint64_t first, int n, net_runs *out)
{
  int done = 0;
  if (n < NET_FEW) return net_runs_alone(s, h, first, n, out);
  if (!net_runs_start(s->st, out, 0, s->ninput)) return false;
  while (done < n) {
    uint64_t i = first + (uint64_t)done;
    const net_runs *r = &s->block;
    bool here = net_block_has(s, h, i);
    int from = 0, whole = here ? 0 : net_lanes_into(s, h, i, n - done, out);
    if (whole > 0) {
      done += whole;
      continue;
    }
    if (here || (whole == 0 && net_lanes_block(s, h, i))) from = (int)(i - s->first);
    else {
      if (norn_error(s->st)->code == NORN_EMEMORY) return false;
      if (!net_runs_threads(s, h, i, alone_at_once(i, n - done), &s->some)) return false;
      r = &s->some;
    }
    int m = r->n - from < n - done ? r->n - from : n - done;
    if (!net_runs_add(s->st, h, out, r, from, m)) return false;
    done += m;
  }
  return true;
}

uint64_t net_program(norn_state *st, norn_datum what)
{
  uint64_t program = 0;
  net_source *s = what.tag == NORN_FUN ? net_source_new(st, what, norn_none(), 0) : NULL;
  numbered n = { .lane = 0 };
  if (what.tag == NORN_FUN) what = s ? model_of(s, &n) : norn_none();
  if (!norn_is_none(what) && !archive_program(st, what, &program)) program = 0;
  net_source_free(s);
  return program;
}
