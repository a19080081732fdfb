/* net_inputs: the arguments of a model that a net has to see, where nobody names them (`inputs` missing).

   A net knows the data, how many there are, and the arguments of priors.  Whatever else differs from run to run of a
   function that makes models (the points of a regression, the error of an instrument) has to be told: a net that does
   not see it learns the mean over it.  So some first runs are looked at.  An argument of numbers that changes is an
   input, unless in each run it is among the arguments of priors (which a pfn does not see) or the number of something.  An
   array must have an element for each observation of a site; one that has not is told, for the net goes without it. */
#include "infer/net/net_in.h"
#include <stdio.h>
#include <string.h>

enum { MOST = 16, RUNS = 32, SITES = 64, LARGE = 4096 };
#define FIRST_RUN ((uint64_t)1 << 41)

/* Numbers of an argument in a run. */
typedef struct numbers { double *x; uint8_t *said; size_t n, cx, csaid; int64_t elements; } numbers;

typedef struct argument {
  char name[NET_NAME];
  bool fit;                    /* numbers, of one shape but for its length, in all runs */
  bool moved;                  /* they were others than in the first run */
  bool known;                  /* a prior's arguments or a size, in each run so far */
  numbers first, now;
  uint64_t alike;              /* sites with as many values as it has elements, in each run so far */
} argument;

typedef struct search {
  norn_state *st;
  bool pfn;
  net_schema schema;           /* sites that were met */
  argument arg[MOST];
  int narg, run;               /* -1: no run goes on */
  int64_t met[SITES], last[SITES];
  uint64_t seen;               /* observed sites */
} search;

/* ---- a run's arguments ---- */

static bool read_numbers(norn_state *st, norn_datum v, numbers *to, bool *fit)
{
  norn_view w;
  double x = 0;
  bool array = norn_array_view(v, &w) && w.elem != NORN_VALUES;
  if (v.tag == NORN_BOOL) v = norn_int(v.i);
  *fit = array || norn_as_real(v, &x);
  if (!*fit) return true;
  to->n = array ? (size_t)w.n : 1;
  to->elements = array ? w.dims[0] : -1;
  if (!engine_room(st, &to->x, &to->cx, to->n, sizeof *to->x) ||
      !engine_room(st, &to->said, &to->csaid, to->n, sizeof *to->said)) return false;
  for (size_t k = 0; k < to->n; k++) {
    to->x[k] = array ? norn_elem_real(v, (int64_t)k) : x;
    to->said[k] = 0;
  }
  return true;
}

static int64_t width(const numbers *v) { return v->elements > 0 ? (int64_t)v->n / v->elements : 1; }

/* Is the argument that was just read of the first one's shape, and is it another? */
static void compare(argument *a)
{
  const numbers *x = &a->first, *y = &a->now;
  if ((x->elements < 0) != (y->elements < 0) || (x->elements && y->elements && width(x) != width(y))) a->fit = false;
  for (size_t k = 0; k < x->n && k < y->n; k++) if (x->x[k] != y->x[k]) a->moved = true;
}

/* Is the number that of something in this run: of values of a site, or of elements of another argument? */
static bool is_size(const search *s, const argument *a)
{
  if (a->now.elements >= 0) return false;
  double x = a->now.x[0];
  for (int i = 0; i < s->schema.nsite && i < SITES; i++) if ((double)s->met[i] == x) return true;
  for (int i = 0; i < s->narg; i++)
    if (s->arg[i].fit && s->arg[i].now.elements >= 0 && (double)s->arg[i].now.elements == x) return true;
  return false;
}

static bool was_said(const argument *a)
{
  for (size_t k = 0; k < a->now.n; k++) if (!a->now.said[k]) return false;
  return a->now.n > 0;
}

static void run_ended(search *s)
{
  for (int i = 0; s->run >= 0 && i < s->narg; i++) {
    argument *a = &s->arg[i];
    if (!a->fit) continue;
    a->known &= (!s->pfn && was_said(a)) || is_size(s, a);
    for (int j = 0; j < s->schema.nsite && j < SITES; j++) {
      int64_t n = net_site_indices(&s->schema.site[j]) ? s->met[j] : s->last[j];
      if (s->met[j] && n != a->now.elements) a->alike &= ~((uint64_t)1 << j);
    }
  }
}

static net_met begin(void *user, int k, norn_datum model)
{
  search *s = user;
  norn_datum v;
  const char *name;
  if (s->run != k) run_ended(s);
  memset(s->met, 0, sizeof s->met);
  for (int i = 0; s->run < 0 && i < MOST && (name = norn_model_at(s->st, model, i, &v)); i++) {
    argument *a = &s->arg[s->narg++];
    *a = (argument){ .fit = strlen(name) < NET_NAME, .known = true, .alike = ~(uint64_t)0 };
    snprintf(a->name, sizeof a->name, "%s", name);
  }
  for (int i = 0; i < s->narg; i++) {
    argument *a = &s->arg[i];
    bool fit = false, first = s->run < 0;
    name = norn_model_at(s->st, model, i, &v);
    a->fit = a->fit && name && !strcmp(name, a->name) && !norn_is_none(v);
    if (!a->fit) continue;
    if (!read_numbers(s->st, v, &a->now, &fit) || (first && !read_numbers(s->st, v, &a->first, &fit)))
      return NET_MET_FAILED;
    a->fit = fit;
    if (fit) compare(a);
  }
  s->run = k;
  return NET_MET;
}

/* ---- its events ---- */

/* The arguments of a prior are known to a net. */
static void note_prior(search *s, const norn_event *ev)
{
  double leaf[NET_ARGS];
  int n = net_leaves(ev->dist, leaf, NET_ARGS);
  for (int i = 0; i < s->narg; i++) {
    numbers *x = &s->arg[i].now;
    if (!s->arg[i].fit || x->n > LARGE) continue;
    for (int j = 0; j < n && j < NET_ARGS; j++)
      for (size_t k = 0; k < x->n; k++) if (x->x[k] == leaf[j]) x->said[k] = 1;
  }
}

static net_met meet(void *user, int k, const norn_event *ev, norn_datum value)
{
  search *s = user;
  norn_support support = { .kind = NORN_SUPPORT_ANY };
  int32_t index[NET_INDICES];
  bool data = net_of_data(ev);
  (void)k;
  if (!data) note_prior(s, ev);
  int i = net_place_or_add(&s->schema, s->st, ev, index);
  if (i == NET_NAMELESS) return NET_MET_NAMES;
  if (i == NET_FAILED) return NET_MET_FAILED;
  if (i < 0 || i >= SITES) return NET_MET;
  net_class class = net_class_of(ev->dist);
  int64_t n = net_numbers(s->st, ev->dist, class, false, value, &support);
  if (n < 0 && data) n = net_numbers(s->st, ev->dist, class, true, value, &support);
  s->met[i]++;
  s->last[i] = n;
  if (data) s->seen |= (uint64_t)1 << i;
  return NET_MET;
}

/* ---- what is an input ---- */

static void tell(search *s, const char *names, int n)
{
  if (n) norn_notice(s->st, "train: the net sees %s too, as %s from run to run (inputs = [] hides %s)", names,
                     n > 1 ? "they change" : "it changes", n > 1 ? "them" : "it");
  for (int i = 0; i < s->narg; i++) {
    const argument *a = &s->arg[i];
    if (!a->fit || !a->moved || a->known || a->now.elements < 0 || a->alike & s->seen) continue;
    norn_warning(s->st, (norn_span){ 0 },
                 "the argument %s of the model changes from run to run, and the net does not see it: no observed "
                 "site has as many values as it has elements", a->name);
  }
}

static bool keep_found(search *s, net_source *of)
{
  char names[MOST * (NET_NAME + 2)] = "";
  size_t at = 0;
  int n = 0;
  if (!(of->input = engine_get(s->st, MOST * sizeof *of->input))) return false;
  for (int i = 0; i < s->narg; i++) {
    const argument *a = &s->arg[i];
    bool array = a->now.elements >= 0;
    if (!a->fit || !a->moved || a->known || (array && !(a->alike & s->seen))) continue;
    memcpy(of->input[n++], a->name, NET_NAME);
    at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", a->name);
  }
  of->ninput = n;
  of->cinput = MOST;
  tell(s, names, n);
  return true;
}

bool net_inputs_find(net_source *of, bool pfn)
{
  search *s = engine_get(of->st, sizeof *s);
  if (!s) return false;
  s->st = of->st;
  s->pfn = pfn;
  s->run = -1;
  net_walk w = { begin, meet, s };
  bool good = net_schema_open(s->st, &s->schema) && net_source_walk(of, FIRST_RUN, RUNS, &w);
  if (good) run_ended(s);
  good = good && keep_found(s, of);
  for (int i = 0; i < s->narg; i++)
    for (int j = 0; j < 2; j++) {
      numbers *x = j ? &s->arg[i].first : &s->arg[i].now;
      engine_put(s->st, x->x, x->cx * sizeof *x->x);
      engine_put(s->st, x->said, x->csaid * sizeof *x->said);
    }
  net_schema_free(s->st, &s->schema);
  engine_put(s->st, s, sizeof *s);
  return good;
}
