/* net_learn: what a schema says of a program, found out from its first simulated runs (net.h).

   They are run twice.  First for which sites there are, of what kind, how large, and which bounds and
   arguments change; then, when that is settled, and with more of them where simulations are not counted, for their
   numbers: means and spreads, and the borders of heads, whose outermost pieces are to have some forty targets. */
#include "infer/net/net_in.h"
#include "infer/gradient/coords.h"
#include <stdlib.h>
#include <string.h>

enum { CATEGORIES_MOST = 64, MORE = 4 };
#define FIRST_RUN ((uint64_t)1 << 41)

/* What was met at a site. */
typedef struct found {
  norn_span span;
  int64_t least, last;                   /* numbers of a value; of the last one */
  int64_t fewest, highest;               /* categories */
  bool other;                            /* a value is no whole number >= 0 */
  int64_t index_most[NET_INDICES];
  double lower, upper; bool bounds, moved;     /* of single numbers; they were not the same */
  bool missing, shown;                   /* as an observation without a value; by given() */
  int leaves;
  int64_t met, runs;                     /* in this run; runs that have it */
  int64_t met_least, met_most;           /* in a run that has it */
  uint32_t as_long;                      /* inputs with as many elements, in each run so far */
} found;

typedef struct learning {
  norn_state *st;
  net_schema *h;
  net_source *s;
  const net_spec *spec;
  found *f; size_t cf;                   /* (nsite) */
  int run;                               /* that goes on; -1: none */
  net_runs inputs;                       /* of this run, for their lengths */
  int64_t *elements;                     /* (ninput) -1: a number */
} learning;

/* ---- the first time: sites ---- */

/* How many inputs have as many elements as the run that has ended had of each site. */
static void run_ended(learning *l)
{
  for (int i = 0; l->run >= 0 && i < l->h->nsite; i++) {
    found *f = &l->f[i];
    const net_site *s = &l->h->site[i];
    if (!f->met) continue;
    int64_t n = net_site_indices(s) ? f->met : f->last;
    for (int j = 0; j < l->h->ninput; j++) if (l->elements[j] != n) f->as_long &= ~(1u << j);
    if (!f->runs || f->met < f->met_least) f->met_least = f->met;
    if (f->met > f->met_most) f->met_most = f->met;
    f->runs++;
    f->met = 0;
  }
}

static net_met learn_begin(void *user, int k, norn_datum model)
{
  learning *l = user;
  if (l->run != k) run_ended(l);
  for (int i = 0; i < l->h->nsite; i++) l->f[i].met = 0;
  l->run = k;
  l->inputs.nnumber = 0;
  for (int i = 0; i < l->h->ninput; i++) {
    net_input *in = &l->h->input[i];
    uint32_t n;
    int64_t elements, width;
    if (!net_input_numbers(l->st, model, in->name, &l->inputs, &n, &elements)) return NET_MET_FAILED;
    l->elements[i] = elements;
    if (k == 0) in->array = elements >= 0;
    width = elements > 0 ? n / elements : elements < 0 ? 1 : in->width;
    if (in->array == (elements >= 0) && (!in->width ||
                                         in->width == width)) { in->width = (int)width; continue; }
    norn_fail(l->st, NORN_ETYPE, -1,
              "the input %s has another shape in another run of the function that makes models",
              in->name);
    norn_hint(l->st, "an input is a number in all of them, or an array whose rows are all as long");
    return NET_MET_FAILED;
  }
  return NET_MET;
}

static net_met refuse_value(learning *l, const norn_event *ev, norn_datum v)
{
  char what[120];
  engine_fail(l->st, NORN_EINFER, ev->span, "this choice of %s has no coordinates for a net: a value is %s",
              ev->dist->row->name, norn_describe(l->st, v, what, sizeof what));
  norn_hint(l->st,
            "nets know real numbers, vectors and matrices with a support, whole numbers from 0 on, booleans, "
            "and what can be enumerated");
  return NET_MET_FAILED;
}

static void met_bounds(found *f, const norn_support *s)
{
  if (s->kind > NORN_SUPPORT_INTERVAL) return;
  if (!f->bounds) f->lower = s->lower, f->upper = s->upper;
  f->moved |= f->bounds && !(f->lower == s->lower && f->upper == s->upper);
  f->bounds = true;
}

static bool is_count(norn_datum v)
{
  norn_view w;
  if (!norn_array_view(v, &w)) return v.tag == NORN_INT && v.i >= 0;
  for (int64_t i = 0; w.elem == NORN_I64 && i < w.n; i++) if (w.i[i] < 0) return false;
  return w.elem == NORN_I64;
}

/* A category where there are few, always as many; else a count.  false: it is neither. */
static bool whole_value(learning *l, const norn_event *ev, net_site *s, found *f, norn_datum v)
{
  int64_t n = net_categories(l->st, ev->dist);
  if (!f->span.file || n < f->fewest) f->fewest = n;
  if (n > f->highest) f->highest = n;
  f->other |= !is_count(v);
  bool category = f->other || (f->fewest == f->highest && f->highest <= CATEGORIES_MOST);
  s->value = f->fewest > 0 && category ? NET_CATEGORY : NET_COUNT;
  s->categories = s->value == NET_CATEGORY ? (int)f->highest : 0;
  return s->value == NET_CATEGORY ? f->highest <= 16 * CATEGORIES_MOST : !f->other;
}

static net_met learn_site(learning *l, const norn_event *ev, norn_datum v, net_site *s, found *f)
{
  norn_support support = { .kind = NORN_SUPPORT_ANY };
  net_class class = net_class_of(ev->dist);
  double leaf[NET_ARGS];
  bool data = net_of_data(ev);
  int64_t n = net_numbers(l->st, ev->dist, class, s->plain, v, &support);
  if (n < 0 && data && class == NET_CLASS_REAL) {          /* it is not asked for: its numbers as they are */
    s->plain = true;
    n = net_numbers(l->st, ev->dist, class, true, v, &support);
  }
  if (n < 0 || n > UINT16_MAX || (class == NET_CLASS_WHOLE && !whole_value(l, ev, s, f, v)))
    return refuse_value(l, ev, v);
  if (class == NET_CLASS_BOOL) s->categories = 2;
  if (class == NET_CLASS_REAL) met_bounds(f, &support);
  if (!f->span.file) f->span = ev->span, f->least = n;
  if (n < f->least) f->least = n;
  f->last = n;
  if (n > s->coords) s->coords = (int)n;
  int leaves = net_leaves(ev->dist, leaf, NET_ARGS);
  if (leaves > f->leaves) f->leaves = leaves;
  f->missing |= (ev->flags & NORN_EV_MISSING) != 0;
  f->shown |= (ev->flags & NORN_EV_GIVEN) != 0;
  s->observed |= data;
  s->latent |= !data;
  f->met++;
  return NET_MET;
}

static net_met learn_meet(void *user, int k, const norn_event *ev, norn_datum value)
{
  learning *l = user;
  int32_t index[NET_INDICES];
  (void)k;
  if (l->spec->kind == NET_PFN && !net_of_data(ev)) return NET_MET;
  int i = net_place_or_add(l->h, l->st, ev, index);
  if (i == NET_NAMELESS) return NET_MET_NAMES;
  if (i == NET_FAILED || !engine_room(l->st, &l->f, &l->cf, (size_t)l->h->nsite,
                                      sizeof *l->f)) return NET_MET_FAILED;
  found *f = &l->f[i];
  if (!f->span.file) f->as_long = ~0u;
  for (int j = 0; j < NET_INDICES; j++) if (index[j] > f->index_most[j]) f->index_most[j] = index[j];
  return learn_site(l, ev, value, &l->h->site[i], f);
}

static bool learn_inputs(learning *l)
{
  int n = net_source_ninput(l->s);
  l->h->input = engine_get(l->st, (size_t)n * sizeof *l->h->input);
  l->elements = engine_get(l->st, (size_t)n * sizeof *l->elements);
  if (!l->h->input || !l->elements) return false;
  l->h->ninput = n;
  for (int i = 0; i < n; i++) {
    memcpy(l->h->input[i].name, net_source_input(l->s, i), sizeof l->h->input[i].name);
    l->h->input[i].sd = 1;
  }
  return true;
}

/* ---- what follows from it ---- */

static bool asked(const learning *l, int i)
{
  const net_site *s = &l->h->site[i];
  if (l->spec->kind == NET_PFN) return s->observed;
  return s->latent || l->f[i].missing || l->spec->subsets > 0;
}

static int heads_of(const learning *l, int i)
{
  const net_site *s = &l->h->site[i];
  return !asked(l, i) ? 0 : s->split ? 1 : s->coords;
}

static bool inputs_taken(const learning *l, uint32_t taken)
{
  for (int i = 0; i < l->h->ninput; i++) {
    if (!l->h->input[i].array || taken >> i & 1) continue;
    norn_fail(l->st, NORN_EDOMAIN, -1,
              "the input %s is an array, but no observed site has as many elements in each run",
              l->h->input[i].name);
    norn_hint(l->st,
              "an array is an input if element i of it belongs to observation i");
    return false;
  }
  return true;
}

/* Indices are numbers; those of a fixed number of places, or of what latent sites may have too, also have
   rows. */
static void settle_indices(learning *l, net_site *s, const found *f, bool latents_indexed)
{
  int n = net_site_indices(s), places = n + 1 < NET_INDICES ? n + 1 : NET_INDICES;
  int64_t most[NET_INDICES], hot = 0;
  bool fixed = f->met_least == f->met_most && (!s->split || f->least == s->coords);
  memcpy(most, f->index_most, sizeof most);
  if (s->split && n < NET_INDICES) most[n] = s->coords - 1;
  for (int i = 0; i < places; i++) {
    s->index_scale[i] = most[i] > 0 ? 2.0 / (double)most[i] : 0;
    if (most[i] > 0 && most[i] + 1 > hot) hot = most[i] + 1;
  }
  if (fixed || latents_indexed) s->hot = hot > NET_HOT ? NET_HOT : (int)hot;
  if (l->spec->kind != NET_PFN || !s->ncovariates) return;
  s->hot = 0;                                   /* inputs say which it is; the order means nothing */
  memset(s->index_scale, 0, sizeof s->index_scale);
}

static bool settle_site(learning *l, int i, bool latents_indexed)
{
  net_site *s = &l->h->site[i];
  const found *f = &l->f[i];
  bool pfn = l->spec->kind == NET_PFN, ask = asked(l, i);
  for (int j = 0; s->observed && j < l->h->ninput; j++)
    if (l->h->input[j].array && f->as_long >> j & 1) {
      s->inputs |= 1u << j;
      s->ncovariates += l->h->input[j].width;
    }
  if (s->ncovariates > NET_COVARIATES) {
    norn_fail(l->st, NORN_EDOMAIN, -1, "the inputs of %s are %d numbers for each element, more than %d",
              s->name,
              s->ncovariates, NET_COVARIATES);
    return false;
  }
  if (f->moved && (s->observed || f->shown || l->spec->subsets > 0)) s->plain = true;
  s->split = s->coords > 1 && ((pfn && s->observed) || s->coords > NET_WIDE || f->least != s->coords ||
                               (s->ncovariates && !net_site_indices(s)));
  s->nargs = !pfn && ask ? f->leaves : 0;
  settle_indices(l, s, f, latents_indexed);
  return true;
}

static bool settle(learning *l)
{
  bool indexed = false;
  uint32_t taken = 0;
  for (int i = 0; i < l->h->nsite; i++)
    if (l->h->site[i].latent)
      for (int j = 0; j < NET_INDICES; j++) indexed |= l->f[i].index_most[j] > 0;
  for (int i = 0; i < l->h->nsite; i++) {
    if (!settle_site(l, i, indexed)) return false;
    taken |= l->h->site[i].inputs;
  }
  return inputs_taken(l, taken);
}

/* ---- the second time: numbers ---- */

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Mean and standard deviation of x (n), which is sorted; of long tails the median, and half of what the
   middle 68 % span. */
static void spread(double *x, size_t n, double *mean, double *sd)
{
  double s = 0, q = 0;
  *mean = 0;
  *sd = 1;
  if (!n) return;
  qsort(x, n, sizeof *x, by_size);
  for (size_t i = 0; i < n; i++) s += x[i] / (double)n;
  for (size_t i = 0; i < n; i++) q += (x[i] - s) * (x[i] - s) / (double)n;
  double middle = 0.5 * (x[(size_t)(.84 * (double)(n - 1))] - x[(size_t)(.16 * (double)(n - 1))]);
  *mean = s;
  *sd = sqrt(q);
  if (middle > 0 && !(*sd < 2 * middle)) *mean = x[n / 2], *sd = middle;
  if (!(*sd > 1e-12 * (1 + fabs(*mean)))) *sd = 0;
}

/* Numbers c of a site's values (c < 0: of all coordinates), or its arguments, of all runs, in x.  Gives how
   many. */
static size_t gather(const net_runs *r, int site, int c, bool args, double *x)
{
  size_t n = 0;
  for (size_t k = 0; k < r->nevent; k++) {
    const net_event *e = &r->event[k];
    if (e->site != site) continue;
    const double *number = r->number + (args ? e->arg : e->x);
    int count = args ? e->nargs : e->nx;
    for (int i = c < 0 ? 0 : c; i < (c < 0 ? count : c + 1 < count ? c + 1 : count); i++) x[n++] = number[i];
  }
  return n;
}

static bool learn_numbers(learning *l, const net_runs *r, int i, double *x)
{
  net_site *s = &l->h->site[i];
  int n = s->split ? 1 : s->coords;
  s->mean = engine_get(l->st, (size_t)n * sizeof *s->mean);
  s->sd = engine_get(l->st, (size_t)n * sizeof *s->sd);
  if (!s->mean || !s->sd) return false;
  for (int c = 0; c < n; c++) {
    s->sd[c] = 1;
    if (s->value == NET_BOOL || s->value == NET_CATEGORY) continue;
    size_t m = gather(r, i, s->split ? -1 : c, false, x);
    for (size_t k = 0; s->value == NET_COUNT && k < m; k++) x[k] = asinh(x[k]);
    spread(x, m, &s->mean[c], &s->sd[c]);
    if (s->sd[c] == 0) s->sd[c] = 1;
  }
  for (int c = 0; c < s->nargs; c++) {
    size_t m = gather(r, i, c, true, x);
    for (size_t k = 0; k < m; k++) x[k] = asinh(x[k]);
    spread(x, m, &s->arg_mean[c], &s->arg_sd[c]);
  }
  return true;
}

static nn_head_kind head_kind(const learning *l, const net_site *s)
{
  bool mixture = l->spec->head && !strcmp(l->spec->head, "mixture");
  bool bars = l->spec->head && !strcmp(l->spec->head, "bars");
  switch (s->value) {
  case NET_BOOL: return NN_BERNOULLI;
  case NET_CATEGORY: return NN_CATEGORIES;
  case NET_COUNT: return NN_COUNTS;
  default: return mixture || (l->spec->kind == NET_DISTRIBUTION && !bars) ? NN_MIXTURE : NN_BARS;
  }
}

/* Few targets have few bars: of some eight each. */
static int head_size(const learning *l, const net_site *s, nn_head_kind kind, size_t targets)
{
  enum { EACH = 8, LEAST = 10 };
  if (kind == NN_BERNOULLI) return 1;
  if (kind == NN_CATEGORIES) return s->categories;
  if (kind != NN_BARS) return l->spec->components > 0 ? l->spec->components : 1;
  size_t most = targets / EACH < LEAST ? LEAST : targets / EACH;
  return most < (size_t)l->spec->bars ? (int)most : l->spec->bars;
}

static bool learn_heads(learning *l, const net_runs *r, int i, int first, double *x)
{
  net_site *s = &l->h->site[i];
  int n = heads_of(l, i);
  if (n) s->head = first;
  for (int c = 0; c < n; c++) {
    nn_head *h = &l->h->head[first + c];
    net_event e = { .site = i };
    size_t m = gather(r, i, s->split ? -1 : c, false, x);
    for (size_t k = 0; k < m; k++) x[k] = net_target(l->h, &e, c, x[k]);
    *h = (nn_head){ .kind = head_kind(l, s) };
    h->n = head_size(l, s, h->kind, m);
    if (!nn_head_fit(l->st, h, x, m)) { engine_place(l->st, l->f[i].span); return false; }
  }
  return true;
}

static void learn_input(net_schema *h, const net_runs *r, int i, double *x)
{
  size_t n = 0;
  net_input *in = &h->input[i];
  for (int k = 0; k < r->n; k++) {
    const uint32_t *at = r->input + 2 * ((size_t)k * (size_t)h->ninput + (size_t)i);
    for (uint32_t j = 0; j < at[1]; j++) x[n++] = r->number[at[0] + j];
  }
  spread(x, n, &in->mean, &in->sd);
  if (in->sd == 0) in->sd = 1;
}

static bool learn_all_numbers(learning *l, const net_runs *r)
{
  net_schema *h = l->h;
  int heads = 0, first = 0;
  for (int i = 0; i < h->nsite; i++) heads += heads_of(l, i);
  double *x = engine_get(l->st, r->nnumber * sizeof *x);
  h->head = engine_get(l->st, (size_t)heads * sizeof *h->head);
  bool good = x && h->head;
  h->nhead = h->head ? heads : 0;
  for (int i = 0; good && i < h->ninput; i++) learn_input(h, r, i, x);
  for (int i = 0; good && i < h->nsite; i++) {
    good = learn_numbers(l, r, i, x) && learn_heads(l, r, i, first, x);
    first += heads_of(l, i);
  }
  engine_put(l->st, x, r->nnumber * sizeof *x);
  return good;
}

/* Most tokens of a run: all that is shown, and of what may be asked questions and values. */
static void learn_lengths(learning *l, const net_runs *r)
{
  net_schema *h = l->h;
  bool pfn = l->spec->kind == NET_PFN;
  for (int k = 0; k < r->n; k++) {
    int context = 0, all = 0;
    for (int i = 0; i < h->ninput; i++) context += !h->input[i].array;
    for (size_t j = r->start[k]; j < r->start[k + 1]; j++) {
      const net_event *e = &r->event[j];
      if (e->site < 0 || (pfn && !h->site[e->site].observed)) continue;
      if (e->observed) context += net_context_tokens(h, e);
      if (!pfn && (!e->observed || l->spec->subsets > 0)) all += 2 * e->nx;
    }
    if (context > h->context) h->context = context;
    if (context + all > h->longest) h->longest = context + all;
  }
}

bool net_schema_learn(norn_state *st, net_schema *h, net_source *s, const net_spec *spec, int n)
{
  learning l = { .st = st, .h = h, .s = s, .spec = spec, .run = -1 };
  net_walk w = { learn_begin, learn_meet, &l };
  net_runs r = { 0 };
  *h = (net_schema){ 0 };
  if (s->makes && spec->inputs.tag == NORN_MISSING && !net_inputs_find(s, spec->kind == NET_PFN)) return false;
  int ninput = net_source_ninput(s), numbers = spec->simulations ? n : MORE * n;
  bool good = net_schema_open(st, h) && learn_inputs(&l) && net_source_walk(s, FIRST_RUN, n, &w);
  if (good) run_ended(&l);
  good = good && settle(&l) && net_source_runs(s, h, FIRST_RUN, numbers, &r) && learn_all_numbers(&l, &r);
  if (good) {
    net_lay_out(h);
    learn_lengths(&l, &r);
  }
  net_runs_free(st, &r);
  net_runs_free(st, &l.inputs);
  engine_put(st, l.f, l.cf * sizeof *l.f);
  engine_put(st, l.elements, (size_t)ninput * sizeof *l.elements);
  if (!good) net_schema_free(st, h);
  return good;
}
