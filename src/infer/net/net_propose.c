/* net_propose: a net asked for the choices of many runs of one model value (net.h).

   The context is one sequence of tokens that all runs share: inputs, then what a first run of the prior
   observed (and what given() fixed), in its order.  A run's choices follow, coordinate by coordinate:

       r          1              2              3
       question   x[0]?          x[1]?          y?           seen by nobody; sees order < r: the context and
       value           x[0]           x[1]           y       the values before it

   A value's token goes with the question after it, so that a round is one call of the transformer for all
   runs. A pfn's questions see the context alone, and no value is remembered.

       log q(value) = sum over coordinates c of  log head_c(t_c) + log |dt_c/du_c|    +  log |du/dx|

   with u the unconstrained coordinates (coords.h) and t = (u - mean) / sd.  Heads over finite sets and
   whole numbers are renormalised to what the prior of this choice can be.  Any q that is known is a
   proposal: that of a choice which the net does not know (no site, never a latent in training, more
   coordinates or categories than there, a run that is longer) is the prior.

   Random numbers: a draw of the prior has those of the run's event; the net's come from a stream split off
   them. */
#include "infer/infer.h"
#include "infer/net/net_asked_in.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TRIES = 20, LANE_FIRST = 17, LANE_DRAW = 18, LONGEST = 32000, REJECTIONS = 64, LIKES = 20 };
#define LEAST_MASS 1e-3                /* of a head on what the prior can be: below it the prior proposes */

/* ---- room ---- */

static bool tokens_room(net_asked *a, nn_tokens *tk, size_t n)
{
  norn_state *st = a->st;
  size_t wide = (size_t)a->net->schema.wide;
  if (n <= a->ctokens) return true;
  size_t old = a->ctokens;
  engine_put(st, tk->row, old * wide * sizeof *tk->row);
  engine_put(st, tk->coef, old * wide * sizeof *tk->coef);
  engine_put(st, tk->order, old * sizeof *tk->order);
  engine_put(st, tk->see, old * sizeof *tk->see);
  engine_put(st, tk->at, old * sizeof *tk->at);
  engine_put(st, tk->head, old * sizeof *tk->head);
  engine_put(st, tk->target, old * sizeof *tk->target);
  a->ctokens = n;
  tk->j = (int)wide;
  tk->row = engine_get(st, n * wide * sizeof *tk->row);
  tk->coef = engine_get(st, n * wide * sizeof *tk->coef);
  tk->order = engine_get(st, n * sizeof *tk->order);
  tk->see = engine_get(st, n * sizeof *tk->see);
  tk->at = engine_get(st, n * sizeof *tk->at);
  tk->head = engine_get(st, n * sizeof *tk->head);
  tk->target = engine_get(st, n * sizeof *tk->target);
  return tk->row && tk->coef && tk->order && tk->see && tk->at && tk->head && tk->target;
}

/* Arrays that runs have for themselves. */
static bool runs_room(net_asked *a)
{
  norn_state *st = a->st;
  size_t n = (size_t)a->n, wide = (size_t)a->net->schema.wide;
  a->order = engine_get(st, n * sizeof *a->order);
  a->pending = engine_get(st, n);
  a->full = engine_get(st, n);
  a->row = engine_get(st, n * wide * sizeof *a->row);
  a->coef = engine_get(st, n * wide * sizeof *a->coef);
  a->event = engine_get(st, n * sizeof *a->event);
  a->rng = engine_get(st, n * sizeof *a->rng);
  a->known = engine_get(st, n);
  a->never = engine_get(st, n);
  a->slope = engine_get(st, n * sizeof *a->slope);
  a->of = engine_get(st, n * sizeof *a->of);
  a->place = engine_get(st, n * sizeof *a->place);
  a->batch = engine_get(st, n * sizeof *a->batch);
  a->first = engine_get(st, (size_t)(a->net->schema.nhead + 1) * sizeof *a->first);
  return a->order && a->pending && a->full && a->row && a->coef && a->event && a->rng && a->known &&
         a->never && a->slope && a->of && a->place && a->batch && a->first && tokens_room(a, &a->tk, 2 * n);
}

void net_asked_free(net_asked *a)
{
  if (!a) return;
  norn_state *st = a->st;
  size_t n = (size_t)a->n, wide = (size_t)a->net->schema.wide, c = a->ctokens;
  nn_memory_free(a->memory);
  nn_room_free(a->room);
  net_runs_free(st, &a->seen);
  net_runs_free(st, &a->asked);
  engine_put(st, a->order, n * sizeof *a->order);
  engine_put(st, a->pending, n);
  engine_put(st, a->full, n);
  engine_put(st, a->row, n * wide * sizeof *a->row);
  engine_put(st, a->coef, n * wide * sizeof *a->coef);
  engine_put(st, a->event, n * sizeof *a->event);
  engine_put(st, a->rng, n * sizeof *a->rng);
  engine_put(st, a->known, n);
  engine_put(st, a->never, n);
  engine_put(st, a->slope, n * sizeof *a->slope);
  engine_put(st, a->of, n * sizeof *a->of);
  engine_put(st, a->place, n * sizeof *a->place);
  engine_put(st, a->batch, n * sizeof *a->batch);
  engine_put(st, a->first, (size_t)(a->net->schema.nhead + 1) * sizeof *a->first);
  engine_put(st, a->nrow, a->cnrow * sizeof *a->nrow);
  engine_put(st, a->ncoef, a->cncoef * sizeof *a->ncoef);
  engine_put(st, a->reply, a->creply * sizeof *a->reply);
  net_said_free(st, &a->said);
  engine_put(st, a->tk.row, c * wide * sizeof *a->tk.row);
  engine_put(st, a->tk.coef, c * wide * sizeof *a->tk.coef);
  engine_put(st, a->tk.order, c * sizeof *a->tk.order);
  engine_put(st, a->tk.see, c * sizeof *a->tk.see);
  engine_put(st, a->tk.at, c * sizeof *a->tk.at);
  engine_put(st, a->tk.head, c * sizeof *a->tk.head);
  engine_put(st, a->tk.target, c * sizeof *a->tk.target);
  engine_put(st, a->z, a->cz * sizeof *a->z);
  engine_put(st, a, sizeof *a);
}

/* ---- the context ---- */

static bool refuse(net_asked *a, const char *format, ...) NORN_PRINTF(2, 3);
static bool refuse(net_asked *a, const char *format, ...)
{
  va_list ap;
  va_start(ap, format);
  if (!*a->refusal) vsnprintf(a->refusal, sizeof a->refusal, format, ap);
  va_end(ap);
  return true;
}

/* An observation of the first run.  false: error set. */
static bool see(net_asked *a, const norn_event *ev)
{
  net_event e;
  char name[120] = "";
  const net_schema *s = &a->net->schema;
  if (ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION)) return true;
  if (net_event_of(s, a->st, ev, ev->value, true, &a->seen, &e, NULL)) {
    if (e.site < 0) return true;                 /* no token says it: q may leave out what it likes */
    if (!engine_room(a->st, &a->seen.event, &a->seen.cevent, a->seen.nevent + 1, sizeof e)) return false;
    a->seen.event[a->seen.nevent++] = e;
    return true;
  }
  if (norn_error(a->st)->code) return false;
  norn_addr_name(a->st, ev->addr, name, sizeof name);
  return refuse(a, "the observation %s = %s is outside of what the net was trained on", name,
                norn_show(a->st, ev->value, true, 60));
}

/* The question for a missing observation of the first run.  false: error set. */
static bool note(net_asked *a, norn_run *r, const norn_event *ev)
{
  char name[120];
  if (!engine_room(a->st, &a->reply, &a->creply, (size_t)a->noted + 1, sizeof *a->reply)) return false;
  if (net_asked_note(a, r, ev, &a->reply[a->noted])) return true;
  norn_addr_name(a->st, ev->addr, name, sizeof name);
  if (!norn_error(a->st)->code)
    engine_fail(a->st, NORN_EINFER, ev->span, "the net can't say what %s is: it was not asked for such in training", name);
  return false;
}

/* One run of the prior; *whole: it came to its end. */
static bool first_run(net_asked *a, norn_datum model, uint64_t stream, int k, bool *whole)
{
  norn_state *st = a->st;
  norn_event ev;
  norn_datum v;
  double excess;
  norn_run *r = norn_run_new(st, model, NULL, 0);
  if (!r) return false;
  norn_run_stream(r, norn_stream_split(stream, ENGINE_LANE, LANE_FIRST, 0), (uint32_t)k, 0);
  norn_run_flags(r, NORN_RUN_NAMES | NORN_RUN_CHECK | NORN_RUN_DOMAIN);
  a->missing = a->choices = a->noted = 0;
  bool good = net_inputs_of(&a->net->schema, st, model, &a->seen), going = good;
  while (good && going)
    switch (norn_run_next(r, &ev)) {
    case NORN_SAMPLE:
      if (ev.flags & NORN_EV_MISSING) a->missing++;
      else a->choices++;
      good = (!a->looks || !(ev.flags & NORN_EV_MISSING) || note(a, r, &ev)) && engine_sample(st, r, &ev, true, &v, &excess);
      if (good) norn_run_answer(r, v);
      break;
    case NORN_OBSERVE: good = see(a, &ev); break;
    case NORN_INFER:
      engine_fail(st, NORN_EINFER, ev.span, "a net can't be asked about a program that infers inside");
      good = false;
      break;
    case NORN_DONE: *whole = true; going = false; break;
    case NORN_DEAD: norn_clear(st); going = false; break;
    default: good = false;
    }
  norn_run_free(r);
  return good;
}

int net_asked_context(const net_asked *a)
{
  const net_schema *s = &a->net->schema;
  int n = 0;
  for (int i = 0; i < s->ninput; i++) n += !s->input[i].array;
  for (size_t i = 0; i < a->seen.nevent; i++) n += net_context_tokens(s, &a->seen.event[i]);
  return n;
}

void net_asked_lay(const net_asked *a, nn_tokens *tk, int at)
{
  const net_schema *s = &a->net->schema;
  double cov[NET_COVARIATES];
  int first = at;
  for (int i = 0; i < s->ninput; i++)
    if (!s->input[i].array) {
      double x = a->seen.number[a->seen.input[2 * i]];
      net_token_input(s, i, x, row_of(tk, at), coef_of(tk, at));
      at++;
    }
  for (size_t i = 0; i < a->seen.nevent; i++) {
    const net_event *e = &a->seen.event[i];
    int m = net_context_tokens(s, e);
    for (int c = 0; c < m; c++, at++) {
      const double *x = net_covariates(s, &a->seen, 0, e, m == 1 ? -1 : c, cov);
      net_token_value(s, e, a->seen.number, m == 1 ? -1 : c, x, row_of(tk, at), coef_of(tk, at));
    }
  }
  for (int i = first; i < at; i++) { tk->order[i] = 0; tk->see[i] = 1; }
}

/* The context's tokens, remembered. */
static bool context(net_asked *a, int n)
{
  nn_tokens *tk = &a->tk;
  if (!tokens_room(a, tk, (size_t)n)) return false;
  net_asked_lay(a, tk, 0);
  tk->b = 1;
  tk->t = n;
  tk->nq = 0;
  if (!nn_room_fit(a->room, a->net->model, tk, false)) {
    norn_fail(a->st, NORN_EMEMORY, -1, "out of memory");
    return false;
  }
  return nn_memory_context(a->memory, a->room, tk);
}

static bool begin(net_asked *a, norn_datum model, uint64_t stream)
{
  const net_schema *s = &a->net->schema;
  norn_ref *keep = norn_keep(a->st, model);
  bool whole = false, good = keep != NULL;
  for (int k = 0; good && !whole && k < TRIES; k++) good = first_run(a, norn_get(keep), stream, k, &whole);
  if (keep) norn_drop(keep);
  if (!good) return false;
  if (!whole) refuse(a, "no run of the prior came to its end");
  int n = net_asked_context(a);
  if (n > s->context)
    refuse(a, "the data are %d tokens, those of training were at most %d", n, s->context);
  if (*a->refusal || n > LONGEST || a->looks) return true;
  a->most = s->longest < LONGEST ? s->longest : LONGEST;
  return (a->memory = nn_memory_new(a->st, a->net->model, a->n, a->most)) && context(a, n);
}

net_asked *net_asked_new(norn_state *st, const net *of, norn_datum model, int n, uint64_t stream)
{
  net_asked *a = engine_get(st, sizeof *a);
  if (!a) return NULL;
  a->st = st;
  a->net = of;
  a->n = n;
  if (runs_room(a) && (a->room = nn_room_new(st)) && begin(a, model, stream)) return a;
  net_asked_free(a);
  return NULL;
}

net_asked *net_asked_look(norn_state *st, const net *of, norn_datum model, uint64_t stream)
{
  net_asked *a = engine_get(st, sizeof *a);
  if (!a) return NULL;
  a->st = st;
  a->net = of;
  a->n = 1;
  a->looks = true;
  if (runs_room(a) && begin(a, model, stream)) return a;
  net_asked_free(a);
  return NULL;
}

const char *net_asked_refusal(const net_asked *a) { return *a->refusal ? a->refusal : NULL; }
int net_asked_missing(const net_asked *a) { return a->missing; }
int net_asked_choices(const net_asked *a) { return a->choices; }

void net_asked_restart(net_asked *a)
{
  memset(a->order, 0, (size_t)a->n * sizeof *a->order);
  memset(a->pending, 0, (size_t)a->n);
  memset(a->full, 0, (size_t)a->n);
  a->noted = 0;
  if (a->memory) nn_memory_restart(a->memory);
}

bool net_asked_archive(norn_archive *ar, net_asked *a)
{
  size_t n = (size_t)a->n, wide = (size_t)a->net->schema.wide;
  norn_archive_bytes(ar, a->order, n * sizeof *a->order);
  norn_archive_bytes(ar, a->pending, n);
  norn_archive_bytes(ar, a->full, n);
  norn_archive_bytes(ar, a->row, n * wide * sizeof *a->row);
  norn_archive_bytes(ar, a->coef, n * wide * sizeof *a->coef);
  const unsigned char *bit[] = { (const unsigned char *)a->pending, (const unsigned char *)a->full };
  for (size_t i = 0; !norn_archive_status(ar) && i < n; i++)
    if (a->order[i] < 0 || bit[0][i] > 1 || bit[1][i] > 1) norn_archive_fail(ar, "what its net was asked does not fit");
  for (size_t i = 0; !norn_archive_status(ar) && i < n * wide; i++)
    if (a->row[i] < -1 || a->row[i] >= a->net->schema.rows)
      norn_archive_fail(ar, "what its net was asked does not fit");
  return !norn_archive_status(ar) && (!a->memory || nn_memory_archive(ar, a->memory));
}

/* ---- what a head says, on what the prior can be ---- */

/* log of the mass of the first n categories. */
static double head_first(const nn_head *h, const float *z, int64_t n)
{
  double sum = 0;
  for (int64_t k = 0; k < n; k++) sum += exp(nn_head_logq(h, z, (double)k));
  return log(sum);
}

static double draw_first(const nn_head *h, const float *z, int64_t n, norn_rng *g)
{
  double u = norn_rng_uniform(g) * exp(head_first(h, z, n));
  for (int64_t k = 0; k < n; k++)
    if ((u -= exp(nn_head_logq(h, z, (double)k))) < 0) return (double)k;
  return (double)(n - 1);
}

/* Bounds of a whole number under its prior. */
static void bounds(norn_state *st, const norn_dist *d, double *lower, double *upper)
{
  norn_support s;
  *lower = 0;
  *upper = HUGE_VAL;
  if (norn_dist_support(st, d, &s)) { norn_clear(st); return; }
  if (s.kind != NORN_SUPPORT_INTEGER || s.count != 1) return;
  if (s.lower > 0) *lower = ceil(s.lower);
  if (s.upper < HUGE_VAL) *upper = floor(s.upper);
}

static double mass_between(const nn_head *h, const float *z, double lower, double upper)
{
  double above = upper < HUGE_VAL ? nn_head_cdf(h, z, upper) : 1;
  return above - (lower > 0 ? nn_head_cdf(h, z, lower - 1) : 0);
}

static double draw_between(const nn_head *h, const float *z, double lower, double upper, norn_rng *g)
{
  for (int k = 0; k < REJECTIONS / LEAST_MASS; k++) {
    double x = nn_head_draw(h, z, g);
    if (x >= lower && x <= upper) return x;
  }
  return lower;                        /* once in e^64 times */
}

/* Coordinate x (or *x drawn) of a head: adds log q in the coordinate's own units.  false: the net can't
   say. */
static bool head_says(const net_asked *a, const net_site *s, int c, const nn_head *h, const float *z,
                      const norn_event *ev, bool draw, norn_rng *g, double *x, double *logq)
{
  norn_state *st = a->st;
  if (s->value == NET_REAL) {
    double mean = s->mean[s->split ? 0 : c], sd = s->sd[s->split ? 0 : c];
    if (draw) *x = mean + sd * nn_head_draw(h, z, g);
    *logq += nn_head_logq(h, z, (*x - mean) / sd) - log(sd);
    return true;
  }
  if (s->value == NET_COUNT) {
    double lower, upper;
    bounds(st, ev->dist, &lower, &upper);
    double mass = mass_between(h, z, lower, upper);
    if (!(mass >= LEAST_MASS)) return false;
    if (draw) *x = draw_between(h, z, lower, upper, g);
    *logq += nn_head_logq(h, z, *x) - log(mass);
    return true;
  }
  int64_t n = s->value == NET_CATEGORY ? norn_dist_count(st, ev->dist) : s->categories;
  if (s->value == NET_CATEGORY && n < s->categories) {
    if (draw) *x = draw_first(h, z, n, g);
    *logq += nn_head_logq(h, z, *x) - head_first(h, z, n);
    return true;
  }
  if (draw) *x = nn_head_draw(h, z, g);
  *logq += nn_head_logq(h, z, *x);
  return true;
}

/* ---- asking ---- */

/* Does the prior of this choice give only values that the site has heads for?  (A property of the
   distribution, not of a value: else q would depend on more than the choice.) */
static bool fits_site(const net_asked *a, const net_site *s, const norn_event *ev)
{
  norn_support sup;
  if (s->value == NET_CATEGORY) {
    int64_t n = norn_dist_count(a->st, ev->dist);
    if (n >= 1 && n <= s->categories) return true;
  } else if (s->value == NET_COUNT) {
    if (!norn_dist_support(a->st, ev->dist, &sup) && sup.kind == NORN_SUPPORT_INTEGER && sup.lower >= 0)
      return true;
  } else {
    return true;
  }
  norn_clear(a->st);
  return false;
}

/* The event of choice k with this value, and whether the net can be asked for it.  -1: error set; *outside:
   not with this value. */
static int event_says(net_asked *a, int k, int who, const norn_event *ev, norn_datum value, bool *outside)
{
  const net_schema *s = &a->net->schema;
  net_event *e = &a->event[k];
  a->slope[k] = 0;
  *outside = false;
  if (!net_event_of(s, a->st, ev, value, false, &a->asked, e, &a->slope[k])) {
    *outside = true;
    return norn_error(a->st)->code ? -1 : 0;
  }
  if (e->site < 0 || e->nx < 1 || net_head_of(s, e, 0) < 0) return 0;
  const net_site *site = &s->site[e->site];
  if ((site->value == NET_REAL && e->nx > site->coords) || !fits_site(a, site, ev)) return 0;
  if (a->net->spec.kind != NET_PFN && a->order[who] + e->nx + 1 > a->most) {
    a->full[who] = true;                         /* longer than any of training: the prior, from here on */
    return 0;
  }
  return 1;
}

/* Whether the net can be asked for choice k, with its event.  One whose value it can't give, though it
   could be asked, has q = 0; a value to be drawn must only look like one.  false: error set. */
static bool can_ask(net_asked *a, int k, int who, const norn_event *ev, norn_datum value, bool draw)
{
  bool outside;
  a->known[k] = a->never[k] = false;
  if ((!a->memory && !a->looks) || a->full[who]) return true;
  int says = event_says(a, k, who, ev, value, &outside);
  for (int i = 0; !says && outside && i < LIKES; i++) {
    norn_datum like;
    if (norn_dist_sample(a->st, ev->dist, &a->rng[k], &like)) return false;
    says = event_says(a, k, who, ev, like, &outside);
    if (says > 0 && !draw) { a->never[k] = true; return true; }
  }
  a->known[k] = says > 0;
  return says >= 0;
}

/* The tokens of one round: coordinate c of each known choice that has it.  Gives how many there are. */
static int round_tokens(net_asked *a, int n, const int32_t *who, int c)
{
  const net_schema *s = &a->net->schema;
  bool pfn = a->net->spec.kind == NET_PFN, remember = false;
  nn_tokens *tk = &a->tk;
  double cov[NET_COVARIATES];
  int b = 0;
  for (int k = 0; k < n; k++)
    if (a->known[k] && c < a->event[k].nx) { a->of[b++] = k; remember |= a->pending[who[k]]; }
  tk->b = b;
  tk->t = remember ? 2 : 1;
  for (int i = 0; i < b; i++) {
    int k = a->of[i], w = who[k], at = i * tk->t;
    const net_event *e = &a->event[k];
    if (remember) {
      pad(tk, at);
      if (a->pending[w]) {
        memcpy(row_of(tk, at), a->row + (size_t)w * (size_t)tk->j, (size_t)tk->j * sizeof *tk->row);
        memcpy(coef_of(tk, at), a->coef + (size_t)w * (size_t)tk->j, (size_t)tk->j * sizeof *tk->coef);
        tk->order[at] = tk->see[at] = (int16_t)a->order[w];
        a->pending[w] = false;
      }
      at++;
    }
    net_token_question(s, e, a->asked.number, c, net_covariates(s, &a->seen, 0, e, c, cov), row_of(tk, at),
                       coef_of(tk, at));
    tk->order[at] = NN_UNSEEN;
    tk->see[at] = (int16_t)(pfn ? 1 : a->order[w] + 1);
  }
  return b;
}

/* Questions by rising head; of[] follows.  Gives the numbers of z. */
static size_t round_questions(net_asked *a, int c)
{
  const net_schema *s = &a->net->schema;
  nn_tokens *tk = &a->tk;
  size_t width = 0;
  memset(a->first, 0, (size_t)(s->nhead + 1) * sizeof *a->first);
  for (int i = 0; i < tk->b; i++) a->first[net_head_of(s, &a->event[a->of[i]], c) + 1]++;
  for (int h = 0; h < s->nhead; h++) {
    width += (size_t)a->first[h + 1] * (size_t)nn_head_width(&s->head[h]);
    a->first[h + 1] += a->first[h];
  }
  for (int i = 0; i < tk->b; i++) {
    int h = net_head_of(s, &a->event[a->of[i]], c), q = a->first[h]++;
    tk->at[q] = i * tk->t + tk->t - 1;
    tk->head[q] = h;
    tk->target[q] = 0;
  }
  tk->nq = tk->b;
  return width;
}

/* Answers to a round's questions, one after the other, in a->z.  false: error set. */
static bool round_answers(net_asked *a, const int32_t *who, int c)
{
  nn_tokens *tk = &a->tk;
  size_t width = round_questions(a, c);
  if (!engine_room(a->st, &a->z, &a->cz, width, sizeof *a->z)) return false;
  if (!nn_room_fit(a->room, a->net->model, tk, false)) {
    norn_fail(a->st, NORN_EMEMORY, -1, "out of memory");
    return false;
  }
  for (int i = 0; i < tk->b; i++) a->batch[i] = who[a->of[i]];
  return nn_memory_next(a->memory, a->room, a->batch, tk, a->z);
}

/* What the answer z says of coordinate c of choice k. */
static void round_take(net_asked *a, const int32_t *who, const norn_event *ev, const bool *draw, int k, int c,
                       const float *z, double *logq)
{
  const net_schema *s = &a->net->schema;
  net_event *e = &a->event[k];
  double *x = &a->asked.number[e->x + (uint32_t)c], cov[NET_COVARIATES];
  const nn_head *h = &s->head[net_head_of(s, e, c)];
  if (!head_says(a, &s->site[e->site], c, h, z, &ev[k], draw[k], &a->rng[k], x, &logq[k])) {
    a->known[k] = false;
  } else if (a->net->spec.kind != NET_PFN) {
    int w = who[k];
    size_t at = (size_t)w * (size_t)a->tk.j;
    net_token_value(s, e, a->asked.number, c, net_covariates(s, &a->seen, 0, e, c, cov), a->row + at, a->coef + at);
    a->order[w]++;
    a->pending[w] = true;
  }
}

/* One coordinate of each: asked, drawn or scored. */
static bool round_ask(net_asked *a, int n, const int32_t *who, const norn_event *ev, const bool *draw, int c,
                      double *logq)
{
  const net_schema *s = &a->net->schema;
  nn_tokens *tk = &a->tk;
  if (!round_tokens(a, n, who, c)) return true;
  if (!round_answers(a, who, c)) return false;
  const float *z = a->z;
  for (int q = 0; q < tk->nq; q++) {
    round_take(a, who, ev, draw, a->of[tk->at[q] / tk->t], c, z, logq);
    z += nn_head_width(&s->head[tk->head[q]]);
  }
  return true;
}

/* The same of a pfn: only questions that are new are asked, each alone, so that which come together changes no bit. */
static bool round_say(net_asked *a, int n, const int32_t *who, const norn_event *ev, const bool *draw, int c,
                      double *logq)
{
  const net_schema *s = &a->net->schema;
  nn_tokens *tk = &a->tk;
  int b = round_tokens(a, n, who, c);
  size_t j = (size_t)tk->j;
  for (int i = 0; i < b; i++) {
    int k = a->of[i], width = nn_head_width(&s->head[net_head_of(s, &a->event[k], c)]);
    bool fresh;
    int at = net_said_find(a->st, &a->said, row_of(tk, i), coef_of(tk, i), tk->j, width, &fresh);
    if ((a->place[k] = at) < 0) return false;
    if (!fresh) continue;
    memmove(row_of(tk, 0), row_of(tk, i), j * sizeof *tk->row);
    memmove(coef_of(tk, 0), coef_of(tk, i), j * sizeof *tk->coef);
    a->of[0] = k;
    tk->b = 1;
    if (!round_answers(a, who, c)) return false;
    memcpy(a->said.z + a->said.at[at], a->z, (size_t)width * sizeof *a->z);
  }
  for (int k = 0; k < n; k++)
    if (a->known[k] && c < a->event[k].nx)
      round_take(a, who, ev, draw, k, c, a->said.z + a->said.at[a->place[k]], logq);
  return true;
}

/* The numbers that the net draws with at an event. */
static void net_numbers(const norn_run *run, const norn_event *ev, norn_rng *g)
{
  norn_run_rng(run, ev, g);
  *g = (norn_rng){.stream = norn_stream_split(g->stream, ENGINE_LANE, LANE_DRAW, 0), .lane = g->lane,
                  .event = g->event, .iter = g->iter};
}

/* A value of the prior at each choice that is to be drawn (also where the net draws: it says what such a
   value looks like), and whether the net can be asked.  Gives the most coordinates; -1: error set. */
static int look(net_asked *a, int n, const int32_t *who, norn_run *const *run, const norn_event *ev,
                const bool *draw, norn_datum *value)
{
  int most = 0;
  a->asked.nevent = a->asked.nnumber = 0;
  for (int k = 0; k < n; k++) {
    norn_rng g;
    norn_run_rng(run[k], &ev[k], &g);
    net_numbers(run[k], &ev[k], &a->rng[k]);
    if (draw[k] && norn_dist_sample(a->st, ev[k].dist, &g, &value[k])) {
      engine_place(a->st, ev[k].span);
      return -1;
    }
    if (!can_ask(a, k, who[k], &ev[k], value[k], draw[k])) { engine_place(a->st, ev[k].span); return -1; }
    if (a->known[k] && a->event[k].nx > most) most = a->event[k].nx;
  }
  return most;
}

bool net_asked_next(net_asked *a, int n, const int32_t *who, norn_run *const *run, const norn_event *ev,
                    const bool *draw, norn_datum *value, double *logq, double *logp)
{
  norn_state *st = a->st;
  int most = look(a, n, who, run, ev, draw, value);
  if (most < 0) return false;
  for (int k = 0; k < n; k++) logq[k] = 0;
  bool pfn = a->net->spec.kind == NET_PFN;
  for (int c = 0; c < most; c++)
    if (!(pfn ? round_say : round_ask)(a, n, who, ev, draw, c, logq)) return false;
  for (int k = 0; k < n; k++) {
    const net_event *e = &a->event[k];
    double slope = a->slope[k];
    if (a->known[k] && draw[k]) {
      slope = 0;
      value[k] = net_value_of(&a->net->schema, st, &ev[k], e, a->asked.number + e->x, &slope);
      if (norn_is_none(value[k])) return false;
    }
    if (!engine_logp(st, ev[k].dist, value[k], ev[k].span, &logp[k])) return false;
    logq[k] = a->known[k] ? logq[k] + slope : a->never[k] ? -HUGE_VAL : logp[k];
  }
  return true;
}

bool net_asked_copy(net_asked *a, const uint32_t *to, const uint32_t *from, size_t n)
{
  size_t j = (size_t)a->net->schema.wide;
  int32_t *t = engine_get(a->st, 2 * n * sizeof *t), *f = NULL;
  if (!t) return false;
  f = t + n;
  for (size_t k = 0; k < n; k++) {
    size_t x = to[k], y = from[k];
    t[k] = (int32_t)x;
    f[k] = (int32_t)y;
    a->order[x] = a->order[y];
    a->pending[x] = a->pending[y];
    a->full[x] = a->full[y];
    memcpy(a->row + x * j, a->row + y * j, j * sizeof *a->row);
    memcpy(a->coef + x * j, a->coef + y * j, j * sizeof *a->coef);
  }
  if (a->memory && n) nn_memory_copy(a->memory, t, f, (int)n);
  engine_put(a->st, t, 2 * n * sizeof *t);
  return true;
}

/* ---- replies: all that one run asks of a pfn, at once ---- */

bool net_asked_note(net_asked *a, norn_run *run, const norn_event *ev, net_reply *out)
{
  const net_schema *s = &a->net->schema;
  const int32_t who = 0;
  const bool draw = true;
  size_t wide = (size_t)s->wide, at = (size_t)a->noted * wide;
  double cov[NET_COVARIATES];
  norn_datum value;
  norn_support sup;
  int most = look(a, 1, &who, &run, ev, &draw, &value);
  if (most < 0 || !a->known[0] || most != 1) return false;
  if (!engine_room(a->st, &a->nrow, &a->cnrow, at + wide, sizeof *a->nrow) ||
      !engine_room(a->st, &a->ncoef, &a->cncoef, at + wide, sizeof *a->ncoef))
    return false;
  const net_event *e = &a->event[0];
  const net_site *site = &s->site[e->site];
  *out = (net_reply){.head = net_head_of(s, e, 0), .sd = 1, .lower = -HUGE_VAL, .upper = HUGE_VAL,
                     .real = site->value == NET_REAL};
  net_token_question(s, e, a->asked.number, 0, net_covariates(s, &a->seen, 0, e, 0, cov), a->nrow + at, a->ncoef + at);
  a->noted++;
  if (!out->real) return true;
  out->mean = site->mean[0];
  out->sd = site->sd[0];
  if (norn_dist_support(a->st, ev->dist, &sup) || sup.kind > NORN_SUPPORT_INTERVAL || sup.count != 1) {
    norn_clear(a->st);
    return false;
  }
  out->lower = sup.lower;
  out->upper = sup.upper;
  return true;
}

/* Questions of one sequence, by rising head; gives the numbers of z, of which each reply gets its own. */
static size_t noted_questions(net_asked *a, net_reply *r, nn_tokens *tk)
{
  const net_schema *s = &a->net->schema;
  size_t width = 0;
  for (int i = 0; i < tk->t; i++) {
    tk->order[i] = NN_UNSEEN;
    tk->see[i] = 1;
  }
  for (int h = 0; h < s->nhead; h++)
    for (int i = 0; i < tk->t; i++) {
      if (r[i].head != h) continue;
      tk->at[tk->nq] = i;
      tk->head[tk->nq++] = h;
      r[i].at = width;
      width += (size_t)nn_head_width(&s->head[h]);
    }
  return width;
}

bool net_asked_replies(net_asked *a, net_reply *r)
{
  norn_state *st = a->st;
  size_t n = (size_t)a->noted, bytes = n * (2 * sizeof(int32_t) + sizeof(float) + 2 * sizeof(int16_t));
  const int32_t who = 0;
  if (!n) return true;
  int32_t *memory = engine_get(st, bytes);
  if (!memory) return false;
  nn_tokens tk = {.b = 1, .t = (int)n, .j = a->net->schema.wide, .row = a->nrow, .coef = a->ncoef, .at = memory,
                  .head = memory + n, .target = (float *)(void *)(memory + 2 * n)};
  tk.order = (int16_t *)(void *)(tk.target + n);
  tk.see = tk.order + n;
  size_t width = noted_questions(a, r, &tk);
  bool good = engine_room(st, &a->z, &a->cz, width, sizeof *a->z);
  if (good && !nn_room_fit(a->room, a->net->model, &tk, false)) {
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    good = false;
  }
  good = good && nn_memory_next(a->memory, a->room, &who, &tk, a->z);
  engine_put(st, memory, bytes);
  for (size_t i = 0; good && i < n; i++) r[i].z = a->z + r[i].at;
  return good;
}
