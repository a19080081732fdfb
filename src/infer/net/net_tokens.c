/* net_tokens: simulated runs as sequences of tokens (net.h; nn/tokens.h says who sees whom).

       npe    inputs, shown values | question 1, value 1, question 2, value 2, ... question n
       pfn    inputs, the context's values | the questions, each alone

   What is shown and what is asked is settled for all runs first, since that gives the length of a batch. */
#include "infer/net/net_in.h"
#include <string.h>

/* ---- one token ---- */

typedef struct token { int32_t *row; float *coef; int at, wide; } token;

static token token_new(const net_schema *h, int32_t *row, float *coef)
{
  return (token){ row, coef, 0, h->wide };
}

/* No rows from here on: -1, whose bits are all set, and 0. */
static void rows_end(int32_t *row, float *coef, size_t n)
{
  memset(row, 0xff, n * sizeof *row);
  memset(coef, 0, n * sizeof *coef);
}

static void token_end(const token *t) { rows_end(t->row + t->at, t->coef + t->at, (size_t)(t->wide - t->at)); }

static inline void put(token *t, int row, float coef)
{
  if (t->at >= t->wide) return;
  t->row[t->at] = row;
  t->coef[t->at++] = coef;
}

float net_feature(double z)
{
  double a = fabs(z);
  return (float)(a <= 3 ? z : copysign(3 * (1 + log(a / 3)), z));
}

static int coords_of_site(const net_site *s) { return s->split ? 1 : s->coords; }
static int row_question(const net_site *s) { return s->row + 1; }
static int row_number(const net_site *s) { return row_question(s) + (s->head < 0 ? 0 : coords_of_site(s)); }
static bool has_row_each(const net_site *s)
{
  return s->value == NET_CATEGORY || (s->value == NET_BOOL && coords_of_site(s) == 1);
}
static int row_argument(const net_site *s)
{
  return row_number(s) + coords_of_site(s) * (has_row_each(s) ? s->categories : 1);
}
static int row_index(const net_site *s) { return row_argument(s) + s->nargs; }
static int row_covariate(const net_site *s) { return row_index(s) + NET_INDICES; }

static void put_number(const net_site *s, token *t, int c, double x)
{
  int k = s->split ? 0 : c, row = row_number(s);
  double z = s->value == NET_COUNT ? asinh(x) : x;
  if (has_row_each(s)) {
    int64_t i = (int64_t)x;
    if (i >= 0 && i < s->categories) put(t, row + k * s->categories + (int)i, 1);
  } else if (s->value == NET_BOOL) {
    put(t, row + k, x != 0 ? 1 : -1);
  } else {
    put(t, row + k, net_feature((z - s->mean[k]) / s->sd[k]));
  }
}

/* Which one of its site it is. */
static void put_place(const net_schema *h, const net_site *s, token *t, const net_event *e, int c,
                      const double *x)
{
  int n = s->split ? net_site_indices(s) : NET_INDICES;
  for (int i = 0; i < NET_INDICES; i++) {
    double k = i == n ? c : e->index[i];
    if (s->index_scale[i] != 0) put(t, row_index(s) + i, net_feature(k * s->index_scale[i]));
    if (s->index_scale[i] != 0 && k >= 0 && k < s->hot) put(t, i * h->hot + (int)k, 1);
  }
  if (!x || !s->ncovariates) return;
  int row = row_covariate(s);
  for (int i = 0; i < h->ninput; i++) {
    const net_input *in = &h->input[i];
    for (int j = 0; s->inputs >> i & 1 && j < in->width; j++)
      put(t, row++, net_feature((*x++ - in->mean) / in->sd));
  }
}

void net_token_value(const net_schema *h, const net_event *e, const double *number, int c,
                     const double *covariates, int32_t *row, float *coef)
{
  const net_site *s = &h->site[e->site];
  token t = token_new(h, row, coef);
  put(&t, s->row, 1);
  for (int k = c < 0 ? 0 : c, end = c < 0 ? e->nx : c + 1; k < end; k++)
    put_number(s, &t, k, number[e->x + (uint32_t)k]);
  put_place(h, s, &t, e, c < 0 ? 0 : c, covariates);
  token_end(&t);
}

void net_token_question(const net_schema *h, const net_event *e, const double *number, int c,
                        const double *covariates, int32_t *row, float *coef)
{
  const net_site *s = &h->site[e->site];
  token t = token_new(h, row, coef);
  put(&t, row_question(s) + (s->split ? 0 : c), 1);
  for (int i = 0; i < s->nargs && i < e->nargs; i++) {
    if (s->arg_sd[i] == 0) continue;
    double x = asinh(number[e->arg + (uint32_t)i]);
    put(&t, row_argument(s) + i, net_feature((x - s->arg_mean[i]) / s->arg_sd[i]));
  }
  put_place(h, s, &t, e, c, covariates);
  token_end(&t);
}

void net_token_input(const net_schema *h, int input, double x, int32_t *row, float *coef)
{
  const net_input *in = &h->input[input];
  token t = token_new(h, row, coef);
  put(&t, in->row, 1);
  put(&t, in->row + 1, net_feature((x - in->mean) / in->sd));
  token_end(&t);
}

int net_context_tokens(const net_schema *h, const net_event *e)
{
  return e->site >= 0 && h->site[e->site].split ? e->nx : 1;
}

/* ---- a batch ---- */

enum { OUT, SHOWN, ASKED };
struct net_room {
  norn_state *st;
  uint8_t *role; size_t crole;           /* of each event; pfn: of each of its units */
  size_t *unit; size_t cunit;            /* (events + 1) pfn: where its units begin */
  uint32_t *order; size_t corder;        /* units of a run, shuffled */
  int32_t *row; size_t crow;
  float *coef; size_t ccoef;
  int16_t *who; size_t cwho;             /* order, then see */
  int32_t *ask; size_t cask;             /* at and head as they come, then in order */
  float *target; size_t ctarget;
  size_t *count; size_t ccount;          /* questions of each head */
};

/* What goes on in net_batch. */
typedef struct batch {
  const net_schema *h;
  const net_spec *spec;
  const net_runs *r;
  net_room *room;
  norn_rng g;                            /* of the present run */
  nn_tokens *out;
  int t;                                 /* tokens of the present run */
  int16_t choice;                        /* coordinates asked for so far in it */
} batch;

net_room *net_room_new(norn_state *st)
{
  net_room *m = engine_get(st, sizeof *m);
  if (m) m->st = st;
  return m;
}

void net_room_free(net_room *m)
{
  if (!m) return;
  norn_state *st = m->st;
  engine_put(st, m->role, m->crole * sizeof *m->role);
  engine_put(st, m->unit, m->cunit * sizeof *m->unit);
  engine_put(st, m->order, m->corder * sizeof *m->order);
  engine_put(st, m->row, m->crow * sizeof *m->row);
  engine_put(st, m->coef, m->ccoef * sizeof *m->coef);
  engine_put(st, m->who, m->cwho * sizeof *m->who);
  engine_put(st, m->ask, m->cask * sizeof *m->ask);
  engine_put(st, m->target, m->ctarget * sizeof *m->target);
  engine_put(st, m->count, m->ccount * sizeof *m->count);
  engine_put(st, m, sizeof *m);
}

/* ---- who is shown, who is asked ---- */

static int inputs_shown(const net_schema *h)
{
  int n = 0;
  for (int i = 0; i < h->ninput; i++) n += !h->input[i].array;
  return n;
}

static void run_rng(batch *b, uint64_t number, uint64_t stream)
{
  b->g = (norn_rng){ .stream = stream, .lane = (uint32_t)number, .event = (uint32_t)(number >> 32) };
}

/* pfn: of n observed units, in an order of chance, the first m are context, m uniform on 0 .. n - 1.  Gives
   the number of tokens. */
static int settle_pfn(batch *b, int k, int *questions)
{
  net_room *m = b->room;
  size_t first = m->unit[b->r->start[k]], n = m->unit[b->r->start[k + 1]] - first;
  if (!n) return inputs_shown(b->h);
  size_t shown = (size_t)norn_rng_below(&b->g, n);
  for (size_t i = 0; i < n; i++) m->order[i] = (uint32_t)i;
  for (size_t i = 0; i < n; i++) {
    if (i < shown) {
      size_t j = i + (size_t)norn_rng_below(&b->g, n - i);
      uint32_t x = m->order[i];
      m->order[i] = m->order[j];
      m->order[j] = x;
    }
    m->role[first + m->order[i]] = i < shown ? SHOWN : ASKED;
  }
  *questions += (int)(n - shown);
  return inputs_shown(b->h) + (int)n;
}

/* npe: what is observed is shown, the rest is asked; of a share `subsets` of the runs a part of each is the
   other. */
static int settle_npe(batch *b, int k, int *questions)
{
  bool mixed = b->spec->subsets > 0 && norn_rng_uniform(&b->g) < b->spec->subsets;
  double hide = mixed ? norn_rng_uniform(&b->g) : 0, show = mixed ? norn_rng_uniform(&b->g) : 0;
  int context = inputs_shown(b->h), asked = 0;
  for (size_t i = b->r->start[k]; i < b->r->start[k + 1]; i++) {
    const net_event *e = &b->r->event[i];
    bool turn = mixed && norn_rng_uniform(&b->g) < (e->observed ? hide : show);
    uint8_t role = e->site < 0 ? OUT : e->observed != turn ? SHOWN : ASKED;
    if (role == ASKED && b->h->site[e->site].head < 0) role = OUT;
    b->room->role[i] = role;
    if (role == SHOWN) context += net_context_tokens(b->h, e);
    if (role == ASKED) asked += e->nx;
  }
  *questions += asked;
  return context + (asked ? 2 * asked - 1 : 0);
}

/* pfn: the units of each event: coordinates of those that are split. */
static bool units(batch *b)
{
  net_room *m = b->room;
  const net_runs *r = b->r;
  size_t n = 0, most = 0;
  if (!engine_room(m->st, &m->unit, &m->cunit, r->nevent + 1, sizeof *m->unit)) return false;
  for (int k = 0; k < r->n; k++) {
    size_t before = n;
    for (size_t i = r->start[k]; i < r->start[k + 1]; i++) {
      const net_event *e = &r->event[i];
      m->unit[i] = n;
      if (e->site >= 0 && e->observed && b->h->site[e->site].head >= 0)
        n += (size_t)net_context_tokens(b->h, e);
    }
    if (n - before > most) most = n - before;
  }
  m->unit[r->nevent] = n;
  return engine_room(m->st, &m->role, &m->crole, n + 1, sizeof *m->role) &&
         engine_room(m->st, &m->order, &m->corder, most + 1, sizeof *m->order);
}

/* Lengths and roles of all runs.  false: error set. */
static bool settle_all(batch *b, uint64_t first, uint64_t stream, int *longest, int *questions)
{
  net_room *m = b->room;
  bool pfn = b->spec->kind == NET_PFN;
  if (pfn ? !units(b) : !engine_room(m->st, &m->role, &m->crole, b->r->nevent + 1, sizeof *m->role))
    return false;
  *longest = 1;
  *questions = 0;
  for (int k = 0; k < b->r->n; k++) {
    int before = *questions;
    run_rng(b, first + (uint64_t)k, stream);
    int t = pfn ? settle_pfn(b, k, questions) : settle_npe(b, k, questions);
    if (t > *longest) *longest = t;
    if (pfn || *questions - before < NN_UNSEEN) continue;
    norn_fail(m->st, NORN_EDOMAIN, -1, "a run of the model asks for %d numbers, more than %d",
              *questions - before,
              NN_UNSEEN - 1);
    norn_hint(m->st, "nets are for models with fewer choices");
    return false;
  }
  return true;
}

/* ---- filling ---- */

/* The next token of run k.  Its rows and coefficients are to be filled. */
static size_t next_token(batch *b, int k, int16_t order, int16_t see)
{
  size_t at = (size_t)k * (size_t)b->out->t + (size_t)b->t++;
  b->out->order[at] = order;
  b->out->see[at] = see;
  return at;
}

static void ask(batch *b, size_t at, const net_event *e, int c)
{
  nn_tokens *o = b->out;
  int head = net_head_of(b->h, e, c);
  o->at[o->nq] = (int32_t)at;
  o->head[o->nq] = head;
  o->target[o->nq++] = (float)net_target(b->h, e, c, b->r->number[e->x + (uint32_t)c]);
  b->room->count[head]++;
}

static void fill_value(batch *b, int k, const net_event *e, int c, int16_t order, int16_t see)
{
  double x[NET_COVARIATES];
  size_t at = next_token(b, k, order, see), j = (size_t)b->out->j;
  net_token_value(b->h, e, b->r->number, c, net_covariates(b->h, b->r, k, e, c < 0 ? 0 : c, x),
                  b->out->row + at * j,
                  b->out->coef + at * j);
}

static void fill_question(batch *b, int k, const net_event *e, int c, int16_t see)
{
  double x[NET_COVARIATES];
  size_t at = next_token(b, k, NN_UNSEEN, see), j = (size_t)b->out->j;
  net_token_question(b->h, e, b->r->number, c, net_covariates(b->h, b->r, k, e, c, x), b->out->row + at * j,
                     b->out->coef + at * j);
  ask(b, at, e, c);
}

static void fill_inputs(batch *b, int k)
{
  for (int i = 0; i < b->h->ninput; i++) {
    if (b->h->input[i].array) continue;
    size_t at = next_token(b, k, 0, 1), j = (size_t)b->out->j;
    uint32_t in = b->r->input[2 * ((size_t)k * (size_t)b->h->ninput + (size_t)i)];
    net_token_input(b->h, i, b->r->number[in], b->out->row + at * j, b->out->coef + at * j);
  }
}

/* The units of run k of one role. */
static void fill_pfn(batch *b, int k, uint8_t role)
{
  const net_room *m = b->room;
  for (size_t i = b->r->start[k]; i < b->r->start[k + 1]; i++) {
    const net_event *e = &b->r->event[i];
    for (size_t u = m->unit[i]; u < m->unit[i + 1]; u++) {
      if (m->role[u] != role) continue;
      int c = (int)(u - m->unit[i]);
      if (role == SHOWN) fill_value(b, k, e, b->h->site[e->site].split ? c : -1, 0, 1);
      else fill_question(b, k, e, c, 1);
    }
  }
}

static void fill_shown(batch *b, int k)
{
  for (size_t i = b->r->start[k]; i < b->r->start[k + 1]; i++) {
    const net_event *e = &b->r->event[i];
    if (b->room->role[i] != SHOWN) continue;
    if (!b->h->site[e->site].split) fill_value(b, k, e, -1, 0, 1);
    else for (int c = 0; c < e->nx; c++) fill_value(b, k, e, c, 0, 1);
  }
}

/* Question and value of each coordinate in turn; the value of the last would be seen by nobody. */
static void fill_asked(batch *b, int k)
{
  size_t last = b->r->start[k];
  for (size_t i = last; i < b->r->start[k + 1]; i++) if (b->room->role[i] == ASKED) last = i;
  for (size_t i = b->r->start[k]; i < b->r->start[k + 1]; i++) {
    const net_event *e = &b->r->event[i];
    if (b->room->role[i] != ASKED) continue;
    for (int c = 0; c < e->nx; c++) {
      int16_t r = ++b->choice;
      fill_question(b, k, e, c, r);
      if (i < last || c + 1 < e->nx) fill_value(b, k, e, c, r, r);
    }
  }
}

static void fill_padding(batch *b, int k)
{
  while (b->t < b->out->t) {
    size_t at = next_token(b, k, NN_UNSEEN, 0), j = (size_t)b->out->j;
    rows_end(b->out->row + at * j, b->out->coef + at * j, j);
  }
}

static bool room_for(batch *b, int longest, int questions)
{
  net_room *m = b->room;
  size_t tokens = (size_t)b->r->n * (size_t)longest, nq = (size_t)questions, wide = (size_t)b->h->wide;
  if (tokens * wide > INT32_MAX) {
    norn_fail(m->st, NORN_EMEMORY, -1, "a batch of %d sequences of %d tokens is too large", b->r->n, longest);
    norn_hint(m->st, "batch = a smaller number takes fewer sequences at once");
    return false;
  }
  if (!engine_room(m->st, &m->row, &m->crow, tokens * wide, sizeof *m->row) ||
      !engine_room(m->st, &m->coef, &m->ccoef, tokens * wide, sizeof *m->coef) ||
      !engine_room(m->st, &m->who, &m->cwho, 2 * tokens, sizeof *m->who) ||
      !engine_room(m->st, &m->ask, &m->cask, 4 * nq + 1, sizeof *m->ask) ||
      !engine_room(m->st, &m->target, &m->ctarget, 2 * nq + 1, sizeof *m->target) ||
      !engine_room(m->st, &m->count, &m->ccount, (size_t)b->h->nhead + 1, sizeof *m->count))
    return false;
  memset(m->count, 0, ((size_t)b->h->nhead + 1) * sizeof *m->count);
  *b->out = (nn_tokens){ .b = b->r->n, .t = longest, .j = (int)wide, .row = m->row, .coef = m->coef,
                        .order = m->who,
                         .see = m->who + tokens, .at = m->ask, .head = m->ask + nq, .target = m->target };
  return true;
}

/* By rising head; those of one head stay in order. */
static void sort_questions(batch *b)
{
  net_room *m = b->room;
  nn_tokens *o = b->out;
  size_t nq = (size_t)o->nq, at = 0;
  int32_t *place = m->ask + 2 * nq, *head = m->ask + 3 * nq;
  float *target = m->target + nq;
  for (int i = 0; i <= b->h->nhead; i++) {
    size_t n = m->count[i];
    m->count[i] = at;
    at += n;
  }
  for (size_t q = 0; q < nq; q++) {
    size_t to = m->count[o->head[q]]++;
    place[to] = o->at[q];
    head[to] = o->head[q];
    target[to] = o->target[q];
  }
  o->at = place;
  o->head = head;
  o->target = target;
}

bool net_batch(const net_schema *h, const net_spec *spec, const net_runs *r, uint64_t first, uint64_t stream,
               net_room *room, nn_tokens *out)
{
  batch b = { .h = h, .spec = spec, .r = r, .room = room, .out = out };
  int longest, questions;
  if (!settle_all(&b, first, stream, &longest, &questions) || !room_for(&b, longest, questions)) return false;
  for (int k = 0; k < r->n; k++) {
    b.t = 0;
    b.choice = 0;
    fill_inputs(&b, k);
    if (spec->kind == NET_PFN) {
      fill_pfn(&b, k, SHOWN);
      fill_pfn(&b, k, ASKED);
    } else {
      fill_shown(&b, k);
      fill_asked(&b, k);
    }
    fill_padding(&b, k);
  }
  sort_questions(&b);
  return true;
}
