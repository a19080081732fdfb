/* density_record: the runs of a recording, answered with nodes (density.h).

   Paths go on side by side, one event each in a round.  Those that come to a discrete choice wait for
   the others, so that paths are as far as each other when they meet; two meet when nothing that either
   will still look at differs (norn_run_same).  Weights of paths are sums of nodes; what all paths share
   when they meet goes to the target once. */
#include "infer/gradient/density_paths.h"
#include "infer/chains/pattern.h"
#include <stdio.h>
#include <string.h>

/* SWITCH_PATHS: where held choices are switched; what has more is recorded for each of their values. */
enum { MOST_PATHS = 4096, SWITCH_PATHS = 256, MOST_FORKS = 1 << 22, MOST_VALUES = 4096 };

norn_status paths_memory(norn_state *st)
{
  return norn_error(st)->code ? norn_error(st)->code : NORN_EMEMORY;
}

void paths_free(paths *s, path *p)
{
  if (p->run) norn_run_free(p->run);
  if (p->value) norn_drop(p->value);
  if (p->dist) norn_drop(p->dist);
  engine_put(s->r->d->st, p->known, p->cknown * sizeof *p->known);
  engine_put(s->r->d->st, p->term, p->cterm * sizeof *p->term);
  memset(p, 0, sizeof *p);
}

/* Nobody else is there and nothing is pending: weights go to the target as they come. */
bool path_alone(const paths *s, const path *p)
{
  return s->n == 1 && !s->ways && p->pick == NOTHING && !p->nterm && p->fixed == 0;
}

/* ---- weights ---- */

norn_datum paths_node(const graph *g, uint32_t i)
{
  norn_datum v;
  v.tag = NORN_NODE | (uint64_t)i << 32;
  v.d = g->value[i];
  return v;
}

bool path_weigh(paths *s, path *p, norn_datum lw)
{
  double x;
  if (norn_is_none(lw)) return false;
  if (!graph_is_node(lw)) {
    if (!norn_as_real(lw, &x)) x = (double)NAN;
    p->fixed += x;
    return true;
  }
  if (!engine_room(s->r->d->st, &p->term, &p->cterm, p->nterm + 1, sizeof *p->term)) return false;
  p->term[p->nterm++] = graph_index(lw);
  return true;
}

/* The weight of a path as one node or number. */
static norn_datum weight_of(paths *s, const path *p)
{
  norn_state *st = s->r->d->st;
  size_t n = p->nterm + 1;
  norn_datum *x = engine_get(st, n * sizeof *x), sum;
  if (!x) return norn_none();
  for (size_t i = 0; i < p->nterm; i++) x[i] = paths_node(s->r->t->g, p->term[i]);
  x[p->nterm] = norn_real(p->fixed);
  sum = graph_sum(s->r->t->g, x, (int64_t)(p->nterm + (p->fixed != 0 || !p->nterm)));
  engine_put(st, x, n * sizeof *x);
  return sum;
}

static bool term_take(path *p, uint32_t node)
{
  for (size_t i = 0; i < p->nterm; i++)
    if (p->term[i] == node) {
      p->term[i] = p->term[--p->nterm];
      return true;
    }
  return false;
}

static bool term_in(const path *p, uint32_t node)
{
  for (size_t i = 0; i < p->nterm; i++)
    if (p->term[i] == node) return true;
  return false;
}

static bool row_add(recording *r, norn_datum lw, norn_span span, int64_t element)
{
  tape *t = r->t;
  double x = 0;
  if (norn_is_none(lw) || !engine_room(r->d->st, &t->row, &t->crow, t->nrow + 1, sizeof *t->row))
    return false;
  if (!graph_is_node(lw)) norn_as_real(lw, &x);
  t->row[t->nrow++] = (data_row){span, element, {graph_is_node(lw) ? graph_index(lw) : NOTHING, x}};
  return graph_target(r->t->g, lw, span);
}

/* The terms that all paths have go to the target (or to `shared`, a sum, if rows are wanted). */
static bool share_terms(paths *s, norn_datum *shared)
{
  recording *r = s->r;
  path *first = &s->path[0];
  for (size_t i = first->nterm; i-- > 0;) {
    uint32_t node = first->term[i];
    bool all = true;
    for (size_t k = 1; k < s->n && all; k++) all = term_in(&s->path[k], node);
    if (!all) continue;
    for (size_t k = 0; k < s->n; k++) term_take(&s->path[k], node);
    if (r->d->flags & NORN_DENSITY_ROWS) {
      *shared = graph_op2(r->t->g, G_ADD, *shared, paths_node(r->t->g, node));
      if (norn_is_none(*shared)) return false;
    } else if (!graph_target(r->t->g, paths_node(r->t->g, node), first->ev.span)) return false;
  }
  return true;
}

/* ---- latents ---- */

/* The pick that this path knows of a latent, or NOTHING. */
static uint32_t known_pick(const paths *s, const path *p, uint32_t latent)
{
  for (size_t i = 0; i < p->nknown; i++)
    if (s->r->t->l.latent[p->known[i]] == latent) return p->known[i];
  return NOTHING;
}

bool path_know(paths *s, path *p, uint32_t pick)
{
  if (!engine_room(s->r->d->st, &p->known, &p->cknown, p->nknown + 1, sizeof *p->known)) return false;
  p->known[p->nknown++] = pick;
  return true;
}

/* A run looks at a latent (norn_latent_attach). */
static norn_datum look(void *user, int64_t k)
{
  paths *s = user;
  norn_density *d = s->r->d;
  uint32_t pick = s->now ? known_pick(s, s->now, (uint32_t)k) : NOTHING;
  if (pick == NOTHING) {
    s->forgotten = (uint32_t)k;                /* any of its values: the recording is void */
    pick = d->latent[k].pick;
  }
  return column_at(d->st, &s->r->t->l.value, pick);
}

/* Do runs look again at the choices of this line? */
static bool looked_at(const norn_density *d, norn_span span)
{
  for (size_t i = 0; i < d->nlooked; i++)
    if (d->looked[i].file == span.file && d->looked[i].start == span.start) return true;
  return false;
}

typedef struct pair { const paths *s; const path *a, *b; } pair;
static bool same_latent(void *user, int64_t k)
{
  const pair *t = user;
  norn_state *st = t->s->r->d->st;
  const column *value = &t->s->r->t->l.value;
  uint32_t x = known_pick(t->s, t->a, (uint32_t)k), y = known_pick(t->s, t->b, (uint32_t)k);
  if (x == y || x == NOTHING || y == NOTHING) return x == y;
  return norn_equal(column_at(st, value, x), column_at(st, value, y));
}

/* What p and q do not both know, with the same value, p forgets. */
static void forget(const paths *s, path *p, const path *q)
{
  size_t n = 0;
  pair t = {s, p, q};
  for (size_t i = 0; i < p->nknown; i++)
    if (same_latent(&t, s->r->t->l.latent[p->known[i]])) p->known[n++] = p->known[i];
  p->nknown = n;
}

/* ---- meetings ---- */

/* Adds the links of n paths, the whole list or those of one group, and gives the log of their sum. */
static bool links_add(paths *s, const size_t *who, size_t n, norn_datum *sum)
{
  recording *r = s->r;
  lattice *l = &r->t->l;
  *sum = norn_none();
  for (size_t i = 0; i < n; i++) {
    path *p = &s->path[who ? who[i] : i];
    norn_datum w = weight_of(s, p);
    double x = 0;
    if (norn_is_none(w) ||
        !engine_room(r->d->st, &l->link, &l->clink, l->nlink + 1, sizeof *l->link))
      return false;
    if (!graph_is_node(w)) norn_as_real(w, &x);
    l->link[l->nlink++] = (link_in){p->from, p->pick,
                                    {graph_is_node(w) ? graph_index(w) : NOTHING, x}};
    *sum = i ? graph_op2(r->t->g, G_LOG_ADD_EXP, *sum, w) : w;
    if (norn_is_none(*sum)) return false;
  }
  return true;
}

/* All paths are in these links: their sum is a term of the target, and a row if they observed. */
static bool total_out(paths *s, norn_datum sum, norn_datum shared)
{
  recording *r = s->r;
  const path *first = &s->path[0];
  if (!(r->d->flags & NORN_DENSITY_ROWS)) return graph_target(r->t->g, sum, first->ev.span);
  for (size_t i = 1; i < s->n; i++)
    if (s->path[i].nrow > first->nrow) first = &s->path[i];
  if (!first->nrow) return true;
  return row_add(r, graph_op2(r->t->g, G_ADD, sum, shared), first->row, 0);
}

/* Paths who (n) become the first of them, in a new state; all: there are no others. */
static bool meet(paths *s, const size_t *who, size_t n, bool all)
{
  recording *r = s->r;
  lattice *l = &r->t->l;
  norn_datum sum, shared = norn_real(0);
  if (all && !share_terms(s, &shared)) return false;
  if (!engine_room(r->d->st, &l->state, &l->cstate, l->nstate + 1, sizeof *l->state)) return false;
  uint32_t first = (uint32_t)l->nlink;
  if (!links_add(s, who, n, &sum) || (all && !total_out(s, sum, shared))) return false;
  l->state[l->nstate] = (meeting){first, (uint32_t)n};
  path *p = &s->path[who[0]];
  p->from = (uint32_t)l->nstate++;
  p->pick = NOTHING;
  p->nterm = 0;
  p->fixed = 0;
  if (all) p->nrow = 0;
  else if (!path_weigh(s, p, sum)) return false;
  for (size_t i = 1; i < n; i++) {
    path *q = &s->path[who[i]];
    if (q->nrow > p->nrow) { p->nrow = q->nrow; p->row = q->row; }
    forget(s, p, q);
    q->at = DEAD;
  }
  return true;
}

static void bury(paths *s)
{
  size_t n = 0;
  for (size_t i = 0; i < s->n; i++) {
    if (s->path[i].at == DEAD) paths_free(s, &s->path[i]);
    else if (n++ < i) {
      s->path[n - 1] = s->path[i];
      memset(&s->path[i], 0, sizeof s->path[i]);
    }
  }
  s->n = n;
}

static bool are_same(const paths *s, const path *a, const path *b)
{
  pair t = {s, a, b};
  return a->at == b->at && a->nchoice == b->nchoice && a->ev.kind == b->ev.kind &&
         a->ev.addr == b->ev.addr && norn_run_same(a->run, b->run) &&
         norn_run_latents(a->run, same_latent, &t);
}

/* Paths in equal states meet. */
static bool equals_meet(paths *s)
{
  norn_state *st = s->r->d->st;
  size_t had = s->n, *who = engine_get(st, had * sizeof *who);
  bool good = who != NULL;
  for (size_t i = 0; good && i < s->n; i++) {
    size_t n = 0;
    if (s->path[i].at == DEAD || s->path[i].at == ENDED) continue;
    who[n++] = i;
    for (size_t k = i + 1; k < s->n; k++)
      if (are_same(s, &s->path[i], &s->path[k])) who[n++] = k;
    if (n > 1) good = meet(s, who, n, n == s->n);
  }
  engine_put(st, who, had * sizeof *who);
  bury(s);
  return good;
}

/* One that is left alone gives what it carries to the target. */
static bool paths_meet(paths *s)
{
  size_t self = 0;
  if (s->n > 1 && !equals_meet(s)) return false;
  if (s->n != 1 || s->path[0].at == ENDED || path_alone(s, &s->path[0])) return true;
  return meet(s, &self, 1, true);
}

/* ---- events ---- */

/* A run without weight goes; if it is the last, the point is outside. */
static void path_dies(paths *s, path *p)
{
  size_t living = 0;
  if (s->ways) return;                   /* its weight says so where that way is gone */
  for (size_t i = 0; i < s->n; i++) living += s->path[i].at != DEAD;
  if (living > 1) p->at = DEAD;
  else { s->outside = true; p->fixed = 0; }
}

/* Each element of an observation as a row. */
typedef struct rows_of { recording *r; norn_span span; int64_t k; } rows_of;
static bool row_element(void *user, norn_datum lw)
{
  rows_of *o = user;
  return row_add(o->r, lw, o->span, o->k++);
}

static norn_status observed(paths *s, path *p)
{
  recording *r = s->r;
  norn_state *st = r->d->st;
  graph *g = r->t->g;
  const norn_event *ev = &p->ev;
  bool good = true, single = path_alone(s, p), rows = r->d->flags & NORN_DENSITY_ROWS;
  double lw = 0;
  r->d->blame = ev->span;
  p->at = WEIGHED;
  if (ev->flags & NORN_EV_CONDITION) {
    norn_as_real(ev->value, &lw);
    if (lw == -HUGE_VAL && s->ways) p->fixed = lw;
    else if (lw == -HUGE_VAL) path_dies(s, p);
    return NORN_OK;
  }
  if (ev->flags & NORN_EV_FACTOR) {
    if (rows) return NORN_OK;
    good = single ? graph_target(g, ev->value, ev->span) : path_weigh(s, p, ev->value);
  } else if (single && rows) {
    rows_of o = {r, ev->span, 0};
    good = graph_rows(g, ev->dist, ev->value, row_element, &o);
  } else if (single) {
    good = graph_observe(g, ev->dist, ev->value, ev->span);
  } else {
    if (!p->nrow++) p->row = ev->span;
    good = path_weigh(s, p, graph_logpdf(g, ev->dist, ev->value, false));
  }
  if (good && !single && p->fixed == -HUGE_VAL) path_dies(s, p);
  if (good) return NORN_OK;
  engine_place(st, ev->span);
  return paths_memory(st);
}

/* A choice that another path has recorded already. */
static norn_status choice_again(paths *s, path *p)
{
  recording *r = s->r;
  const choice *c = &r->d->choice[p->nchoice];
  if (p->nchoice >= s->nanswer || !s->answer[p->nchoice] || !choice_like(r->d->st, c, &p->ev))
    return density_refuse(r, "depends on a discrete choice that is summed out, in its place or its "
                          "support", "make it in every run, in the same order, with the same "
                          "support; or use mh() or smc()");
  p->value = norn_keep(r->d->st, norn_get(s->answer[p->nchoice]));
  return p->value ? NORN_OK : NORN_EMEMORY;
}

/* Its prior, once its value is known. */
static norn_status chosen_weigh(paths *s, path *p, bool improper)
{
  graph *g = s->r->t->g;
  if (improper || s->r->d->flags & (NORN_DENSITY_ROWS | DENSITY_LIKELIHOOD)) return NORN_OK;
  norn_datum value = norn_get(p->value);
  bool good = path_alone(s, p) ? graph_observe(g, p->ev.dist, value, p->ev.span)
                          : path_weigh(s, p, graph_logpdf(g, p->ev.dist, value, false));
  if (good) return NORN_OK;
  engine_place(s->r->d->st, p->ev.span);
  return paths_memory(s->r->d->st);
}

/* A choice that is held, or of which nobody knows now. */
static norn_status held_chosen(paths *s, path *p)
{
  norn_state *st = s->r->d->st;
  held *h = hold_meet(s->r, &p->ev);
  p->at = ANSWERED;
  if (!h && norn_error(st)->code) return norn_error(st)->code;
  if (!h) {
    s->r->missing = true;
    path_dies(s, p);
  }
  if (p->at == DEAD) return NORN_OK;
  p->value = norn_keep(st, h ? norn_get(h->answer) : norn_unit());
  if (!p->value) return NORN_EMEMORY;
  return h ? chosen_weigh(s, p, norn_dist_flags(p->ev.dist) & NORN_DIST_IMPROPER) : NORN_OK;
}

static bool is_held(const norn_density *d, const norn_event *ev)
{
  return d->hold.kind(d->hold.user, ev) == NORN_HOLD_HELD ||
         norn_is_none(d->hold.value(d->hold.user, ev->addr));
}

static norn_status chosen(paths *s, path *p)
{
  recording *r = s->r;
  norn_state *st = r->d->st;
  choice *c = NULL;
  norn_datum value;
  norn_status status;
  p->at = ANSWERED;
  if (p->nchoice < r->nchoice) {
    status = choice_again(s, p);
    c = &r->d->choice[p->nchoice];
  } else {
    status = choice_record(r, &p->ev, &value, &c);
    if (!status && !c) {
      r->missing = true;
      return path_dies(s, p), NORN_OK;
    }
    if (!status && !(p->value = norn_keep(st, value))) status = NORN_EMEMORY;
    if (!status && (s->n > 1 || s->ways)) {
      if (!engine_room(st, &s->answer, &s->canswer, r->nchoice, sizeof *s->answer))
        return NORN_EMEMORY;
      s->nanswer = r->nchoice;
      s->answer[r->nchoice - 1] = norn_keep(st, value);
      if (!s->answer[r->nchoice - 1]) return NORN_EMEMORY;
    }
  }
  if (status) return status;
  p->nchoice++;
  return chosen_weigh(s, p, c->improper);
}

/* The event's distribution and value, with what its latents are. */
static norn_status event_known(paths *s, path *p)
{
  norn_state *st = s->r->d->st;
  norn_datum args[16];
  const norn_dist *d = p->ev.dist;
  bool found = false;
  if (p->dist) norn_drop(p->dist);
  p->dist = NULL;
  p->ev.value = norn_force(st, p->ev.value);
  for (int i = 0; d && i < d->n && !found; i++) found = norn_has_latent(d->args[i]);
  if (!found) return NORN_OK;
  if (d->n > 16) return density_refuse(s->r, "has too many parameters", NULL);
  for (int i = 0; i < d->n; i++) args[i] = norn_force(st, d->args[i]);
  norn_datum v = norn_dist_new(st, d->row, args, d->n);
  p->dist = norn_is_none(v) ? NULL : norn_keep(st, v);
  return p->dist ? NORN_OK : paths_memory(st);
}

/* Values may have moved since the event came. */
static void event_view(path *p)
{
  if (p->dist && norn_dist_view(norn_get(p->dist), &p->seen)) p->ev.dist = &p->seen;
}

static norn_status path_ends(norn_state *st, path *p, norn_datum value)
{
  p->at = ENDED;
  p->value = norn_keep(st, value);
  return p->value ? NORN_OK : NORN_EMEMORY;
}

/* To the next event that is no branch. */
static norn_status event_next(paths *s, path *p, norn_event_kind *kind)
{
  for (;;) {
    s->now = p;
    s->r->t->g->now = (norn_span){0, 0, 0};
    *kind = norn_run_next(p->run, &p->ev);
    if (*kind != NORN_BRANCH || s->forgotten != NOTHING) return NORN_OK;
    norn_status status = path_branch(s, p);
    if (status || s->turned || s->forgotten != NOTHING) return status;
  }
}

norn_status path_next(paths *s, path *p)
{
  recording *r = s->r;
  norn_state *st = r->d->st;
  norn_event_kind kind;
  norn_status next = event_next(s, p, &kind);
  if (next || s->turned) return next;
  r->span = p->ev.span;
  r->addr = p->ev.addr;
  r->t->g->now = p->ev.span;
  if (kind == NORN_SAMPLE || kind == NORN_OBSERVE) {
    norn_status status = event_known(s, p);
    if (status) return status;
    event_view(p);
  }
  s->now = NULL;
  if (s->forgotten != NOTHING) return NORN_OK;
  switch (kind) {
  case NORN_JOINED: return p->at = JOINED, NORN_OK;
  case NORN_DONE:
    if (r->d->barriers) return s->outside = true, NORN_OK;   /* it should stand at an observation */
    return path_ends(st, p, p->ev.value);
  case NORN_SAMPLE:
    if (r->d->block && is_held(r->d, &p->ev) && !hold_switches(r, &p->ev)) return held_chosen(s, p);
    if (!engine_is_discrete(p->ev.dist)) return chosen(s, p);
    p->at = WAITING;
    return NORN_OK;
  case NORN_OBSERVE: {
    norn_status status = r->d->flags & DENSITY_PRIOR ? NORN_OK : observed(s, p);
    bool last = ++p->passed == r->d->barriers && p->at != DEAD;
    return status || !last ? status : path_ends(st, p, norn_unit());
  }
  case NORN_INFER: {
    norn_datum v;
    s->now = p;
    if (!density_nested(r, &p->ev, &v)) {
      s->now = NULL;
      p->at = ANSWERED;
      p->value = norn_keep(st, v);
      return p->value ? NORN_OK : NORN_EMEMORY;
    }
    s->now = NULL;
  } /* fall through */
  default:
    if (!s->ways && (r->nchoice > 0 || r->d->block) && norn_error(st)->code == NORN_EDOMAIN && r->d->fixed) {
      r->d->blame = norn_error(st)->span;
      norn_clear(st);
      s->outside = true;
      return NORN_OK;
    }
    return norn_error(st)->code;
  }
}

/* ---- discrete choices ---- */

/* The latent of this address; NOTHING: no memory. */
static uint32_t latent_of(norn_density *d, uint64_t addr, norn_span span)
{
  size_t k;
  if (2 * (d->nlatent + 1) > d->latent_mask) {
    size_t old = d->latent_mask ? d->latent_mask + 1 : 0, n = old ? 2 * old : 64;
    uint32_t *table = engine_get(d->st, n * sizeof *table);
    if (!table) return NOTHING;
    for (size_t i = 0; i < d->nlatent; i++) {
      for (k = d->latent[i].addr & (n - 1); table[k]; k = (k + 1) & (n - 1)) {}
      table[k] = (uint32_t)i + 1;
    }
    engine_put(d->st, d->latent_table, old * sizeof *table);
    d->latent_table = table;
    d->latent_mask = n - 1;
  }
  for (k = addr & d->latent_mask; d->latent_table[k]; k = (k + 1) & d->latent_mask)
    if (d->latent[d->latent_table[k] - 1].addr == addr) return d->latent_table[k] - 1;
  if (!engine_room(d->st, &d->latent, &d->clatent, d->nlatent + 1, sizeof *d->latent))
    return NOTHING;
  d->latent[d->nlatent] = (discrete){addr, span, NOTHING};
  d->latent_table[k] = (uint32_t)++d->nlatent;
  return (uint32_t)d->nlatent - 1;
}

static uint32_t pick_add(paths *s, uint32_t latent, norn_datum v)
{
  norn_state *st = s->r->d->st;
  lattice *l = &s->r->t->l;
  if (!engine_room(st, &l->latent, &l->cpick, l->npick + 1, sizeof *l->latent) ||
      !column_push(st, &l->value, v))
    return NOTHING;
  l->latent[l->npick] = latent;
  return (uint32_t)l->npick++;
}

/* Adds to the hint that gibbs moves this choice by itself, others by gradients. */
static void hint_gibbs(recording *r, const char *kernel)
{
  norn_state *st = r->d->st;
  char name[100], like[100], hint[sizeof norn_error(st)->hint];
  norn_addr_name(st, r->addr, name, sizeof name);
  pattern_like(name, like, sizeof like);
  snprintf(hint, sizeof hint, "%s", norn_error(st)->hint);
  norn_hint(st, "%.130s; or gibbs({ \"%.60s\": %s, \"*\": nuts() })", hint, like, kernel);
}

static norn_status too_many(paths *s)
{
  norn_status status =
    density_refuse(s->r, "is one of so many discrete choices that stay apart that they can't be summed "
                   "out together", "let each be used up in its own row or step");
  hint_gibbs(s->r, "enumerate()");
  return status;
}

/* A choice without an end of values needs a bound: one is proposed. */
static norn_status unbounded(paths *s, const norn_dist *concrete)
{
  norn_state *st = s->r->d->st;
  double p = 0;
  int64_t n;
  norn_status status =
    density_refuse(s->r, "is discrete without an end of values: to be summed out it needs a bound", NULL);
  norn_err was = *norn_error(st);
  double q[NORN_DIST_P] = {0};
  bool known = concrete->row->flags & NORN_DIST_SCALAR && concrete->row->cdf1;
  for (int i = 0; i < concrete->n && i < NORN_DIST_P; i++)
    known = known && norn_as_real(concrete->args[i], &q[i]);
  for (n = 0; known && n < 4 * MOST_VALUES && !(1 - p < 1e-9);) {
    n += 1 + n / 8;
    p = concrete->row->cdf1((double)n, q);
  }
  norn_clear(st);
  norn_fail(st, was.code, -1, "%s", was.text);
  engine_place(st, s->r->span);
  if (1 - p < 1e-9)
    norn_hint(st, "truncate(..., upper = %lld) leaves out %.0e of it at this point", (long long)n,
              1 - p > 0 ? 1 - p : 1e-16);
  else norn_hint(st, "truncate(..., upper = N) bounds it");
  hint_gibbs(s->r, "mh()");
  return status;
}

/* The k-th value of a choice and its log probability as a node; *v NONE: there is no more. */
static norn_status value_at(paths *s, const path *p, int64_t k, norn_datum *v, norn_datum *lw)
{
  norn_state *st = s->r->d->st;
  norn_datum args[16];
  norn_dist concrete = {p->ev.dist->row, args, p->ev.dist->n};
  if (p->ev.dist->n > 16) return density_refuse(s->r, "has too many parameters", NULL);
  for (int i = 0; i < p->ev.dist->n; i++) args[i] = norn_concrete(st, p->ev.dist->args[i]);
  norn_support range;
  norn_status status = norn_dist_support(st, &concrete, &range);
  if (!status && range.kind == NORN_SUPPORT_INTEGER &&
      !(range.upper < HUGE_VAL && range.lower > -HUGE_VAL))
    return unbounded(s, &concrete);
  if (!status) status = norn_dist_enumerate(st, &concrete, k, v);
  if (status || norn_is_none(*v)) return status;
  if (k >= MOST_VALUES)
    return density_refuse(s->r, "has more values than can be summed out",
                          "bound it: truncate(..., upper = N)"), hint_gibbs(s->r, "mh()"), NORN_EINFER;
  *lw = graph_logpdf(s->r->t->g, p->ev.dist, *v, false);
  return norn_is_none(*lw) ? paths_memory(st) : NORN_OK;
}

/* A fork of path i, answered with v. */
static norn_status path_fork(paths *s, size_t i, norn_datum v, norn_datum lw)
{
  recording *r = s->r;
  norn_state *st = r->d->st;
  uint32_t latent = latent_of(r->d, r->addr, r->span);
  if (s->n >= (r->switches ? SWITCH_PATHS : MOST_PATHS) || ++s->forks > MOST_FORKS) return too_many(s);
  if (latent == NOTHING || !engine_room(st, &s->path, &s->c, s->n + 1, sizeof *s->path))
    return NORN_EMEMORY;
  const path *p = &s->path[i];
  path *q = &s->path[s->n];
  bool hidden = (v.tag == NORN_INT || v.tag == NORN_BOOL) && !looked_at(r->d, r->span);
  *q = (path){.run = norn_run_fork(p->run, ++s->lane), .from = p->from, .fixed = p->fixed,
              .nchoice = p->nchoice, .nrow = p->nrow, .row = p->row, .ev = p->ev};
  s->n++;
  r->forked = true;
  if (s->n > r->t->l.widest) r->t->l.widest = (uint32_t)s->n;
  q->pick = pick_add(s, latent, v);
  if (!q->run || q->pick == NOTHING) return NORN_EMEMORY;
  r->d->latent[latent].pick = q->pick;
  for (size_t k = 0; k < p->nknown; k++)
    if (!path_know(s, q, p->known[k])) return NORN_EMEMORY;
  if (hidden && !path_know(s, q, q->pick)) return NORN_EMEMORY;
  for (size_t k = 0; k < p->nterm; k++)
    if (!path_weigh(s, q, paths_node(r->t->g, p->term[k]))) return NORN_EMEMORY;
  if (!path_weigh(s, q, lw)) return NORN_EMEMORY;
  norn_run_answer(q->run, hidden ? norn_latent(latent) : v);
  return NORN_OK;
}

/* The values of a held choice at which path i waits, and the inputs that say which it is. */
static norn_status path_switch(paths *s, size_t i, norn_datum *inputs)
{
  norn_state *st = s->r->d->st;
  int64_t value[SWITCHED];
  uint32_t n = 0;
  norn_datum v, lw;
  norn_status status = NORN_OK;
  while (!(status = value_at(s, &s->path[i], n, &v, &lw)) && !norn_is_none(v)) {
    if (n == SWITCHED || (v.tag != NORN_INT && v.tag != NORN_BOOL))
      return density_refuse(s->r, "has values that can't be switched", NULL);
    value[n++] = v.i;
  }
  const held *h = status ? NULL : hold_switch(s->r, s->path[i].ev.addr, value, n);
  if (!status && !h) return paths_memory(st);
  if (h) *inputs = norn_get(h->answer);
  return status;
}

static norn_status path_split(paths *s, size_t i)
{
  norn_status status = NORN_OK;
  norn_datum inputs = norn_none();
  bool pending = s->path[i].pick != NOTHING;
  s->r->span = s->path[i].ev.span;
  s->r->addr = s->path[i].ev.addr;
  if (pending && !meet(s, &i, 1, s->n == 1)) return paths_memory(s->r->d->st);
  event_view(&s->path[i]);
  if (s->r->switches && is_held(s->r->d, &s->path[i].ev)) status = path_switch(s, i, &inputs);
  norn_ref *kept = norn_is_none(inputs) ? NULL : norn_keep(s->r->d->st, inputs);
  if (!norn_is_none(inputs) && !kept) return NORN_EMEMORY;
  for (int64_t k = 0; !status; k++) {
    norn_datum v, lw;
    status = value_at(s, &s->path[i], k, &v, &lw);
    if (status || norn_is_none(v)) break;
    if (!graph_is_node(lw) && lw.tag == NORN_REAL && lw.d == -HUGE_VAL) continue;
    status = path_fork(s, i, v, lw);
    if (kept && !status && !path_weigh(s, &s->path[s->n - 1], norn_array_at(s->r->d->st, norn_get(kept), k)))
      status = paths_memory(s->r->d->st);
  }
  if (kept) norn_drop(kept);
  s->path[i].at = DEAD;
  return status;
}

static norn_status paths_split(paths *s)
{
  norn_status status = NORN_OK;
  size_t n = s->n;
  for (size_t i = 0; i < n && !status; i++)
    if (s->path[i].at == WAITING) status = path_split(s, i);
  bury(s);
  if (!status && !s->n) s->outside = true;
  return status;
}

/* ---- a whole recording ---- */

static norn_status paths_end(paths *s)
{
  recording *r = s->r;
  lattice *l = &r->t->l;
  norn_datum sum, shared = norn_real(0);
  bool single = path_alone(s, &s->path[0]);
  uint32_t first = (uint32_t)l->nlink;
  if ((!single && !share_terms(s, &shared)) || !links_add(s, NULL, s->n, &sum) ||
      (!single && !total_out(s, sum, shared)) ||
      !engine_room(r->d->st, &l->result, &l->cresult, s->n, sizeof *l->result))
    return paths_memory(r->d->st);
  l->end = (meeting){first, (uint32_t)s->n};
  for (size_t i = 0; i < s->n; i++) {
    l->result[l->nresult++] = s->path[i].value;
    s->path[i].value = NULL;
    if (s->path[i].nchoice != r->nchoice)
      return engine_fail(r->d->st, NORN_EINFER, r->d->choice[s->path[i].nchoice].span,
                         "this choice is made for some values of what is summed out and not for others: "
                         "gradients need the same choices in each run");
  }
  return NORN_OK;
}

/* Rounds: every path that need not wait goes to its next event; equal ones meet; those at discrete
   choices split when nobody else can go on. */
static norn_status paths_run(paths *s)
{
  norn_status status = NORN_OK;
  while (!status) {
    bool waiting = false, going = false;
    for (size_t i = 0; i < s->n && !status; i++) {
      path *p = &s->path[i];
      while (p->at == GOING && !status) {
        status = path_next(s, p);
        if (status || s->turned || s->forgotten != NOTHING || (s->outside && s->r->d->fixed)) return status;
        if (s->n > 1 || !(p->at == WEIGHED || p->at == ANSWERED)) break;
        if (p->at == ANSWERED) norn_run_answer(p->run, norn_get(p->value));
        if (p->value) norn_drop(p->value);
        p->value = NULL;
        p->at = GOING;
      }
    }
    bury(s);
    if (!paths_meet(s)) return paths_memory(s->r->d->st);
    for (size_t i = 0; i < s->n; i++) {
      path *p = &s->path[i];
      if (p->at == ANSWERED) {
        norn_run_answer(p->run, norn_get(p->value));
        norn_drop(p->value);
        p->value = NULL;
      }
      if (p->at == WEIGHED || p->at == ANSWERED) p->at = GOING;
      going |= p->at == GOING;
      waiting |= p->at == WAITING;
    }
    if (going) continue;
    if (!waiting) return paths_end(s);
    status = paths_split(s);
    if (s->outside) return status;
  }
  return status;
}

/* again: a run has looked at what was forgotten; it will not be the next time. */
static norn_status record_events(recording *r, norn_run *run, bool *outside, bool *again)
{
  norn_state *st = r->d->st;
  lattice *l = &r->t->l;
  paths s = {.r = r, .forgotten = NOTHING};
  bool good = engine_room(st, &s.path, &s.c, 1, sizeof *s.path) &&
              engine_room(st, &l->state, &l->cstate, 1, sizeof *l->state);
  if (!good) norn_run_free(run);
  else {
    l->state[l->nstate++] = (meeting){0, 0};
    s.path[s.n++] = (path){.run = run, .pick = NOTHING};
  }
  norn_latent_attach(st, look, &s);
  norn_status status = good ? paths_run(&s) : NORN_EMEMORY;
  norn_latent_attach(st, NULL, NULL);
  *again = s.turned || s.forgotten != NOTHING;
  if (*again) norn_clear(st);
  if (s.forgotten != NOTHING) {
    status = engine_room(st, &r->d->looked, &r->d->clooked, r->d->nlooked + 1, sizeof(norn_span))
             ? NORN_OK : NORN_EMEMORY;
    if (!status) r->d->looked[r->d->nlooked++] = r->d->latent[s.forgotten].span;
  }
  for (size_t i = 0; i < s.n; i++) paths_free(&s, &s.path[i]);
  for (size_t i = 0; i < s.nanswer; i++)
    if (s.answer[i]) norn_drop(s.answer[i]);
  engine_put(st, s.answer, s.canswer * sizeof *s.answer);
  engine_put(st, s.path, s.c * sizeof *s.path);
  *outside = s.outside;
  return status;
}

static void lattice_free(norn_state *st, lattice *l)
{
  for (size_t i = 0; i < l->nresult; i++)
    if (l->result[i]) norn_drop(l->result[i]);
  engine_put(st, l->result, l->cresult * sizeof *l->result);
  engine_put(st, l->link, l->clink * sizeof *l->link);
  engine_put(st, l->state, l->cstate * sizeof *l->state);
  engine_put(st, l->latent, l->cpick * sizeof *l->latent);
  column_free(st, &l->value);
}

void tape_free(norn_density *d, tape *t)
{
  norn_state *st = d->st;
  program_free(t->p);
  graph_free(t->g);
  engine_put(st, t->element, t->celement * sizeof *t->element);
  engine_put(st, t->number, t->cnumber * sizeof *t->number);
  engine_put(st, t->row, t->crow * sizeof *t->row);
  hold_free(st, t);
  lattice_free(st, &t->l);
  memset(t, 0, sizeof *t);
}

/* A place for a new recording. */
static tape *tape_take(norn_density *d)
{
  if (d->ntape < KEPT) return &d->tape[d->ntape++];
  tape *t = &d->tape[d->pinned];
  for (int i = d->pinned + 1; i < KEPT; i++)
    if (d->tape[i].used < t->used) t = &d->tape[i];
  tape_free(d, t);
  return t;
}

static void tape_drop(norn_density *d, tape *t)
{
  tape_free(d, t);
  tape *end = &d->tape[--d->ntape];
  if (t != end) { *t = *end; memset(end, 0, sizeof *end); }
  d->last = NULL;
}

/* One try. */
static norn_status record_once(recording *r, bool *outside, bool *again)
{
  norn_density *d = r->d;
  norn_state *st = d->st;
  if (!(r->t->g = graph_new(st))) return NORN_EMEMORY;
  r->t->g->traced = d->flags & NORN_DENSITY_TRACE;
  norn_run *run = norn_run_new(st, norn_get(d->model), NULL, 0);
  if (!run) return paths_memory(st);
  norn_run_flags(run, NORN_RUN_NAMES | NORN_RUN_CHECK | branches_flags(d));
  r->t->g->plain = d->branches >= BRANCHES_PLAIN;
  norn_run_stream(run, d->stream, 0, 0);
  norn_graph_attach(st, r->t->g);
  norn_status status = record_events(r, run, outside, again);
  norn_graph_attach(st, NULL);
  return status;
}

norn_status density_record(norn_density *d, const double *u, tape **out)
{
  norn_state *st = d->st;
  bool outside = false, again = true, switches = d->switching == SWITCH_ON && !d->doubt;
  norn_status status = NORN_OK;
  recording r = {0};
  tape *t = tape_take(d);
  *out = NULL;
  d->last = NULL;
  while (again && !status) {
    again = false;
    if (!d->fixed) d->nchoice = 0;
    r = (recording){.d = d, .t = t, .u = u, .switches = switches};
    status = record_once(&r, &outside, &again);
    if (status && status != NORN_EMEMORY && status != NORN_EDOMAIN && branches_less(&r)) {
      norn_clear(st);                                    /* what could not be recorded may be of a branch */
      again = true;
      status = NORN_OK;
    }
    if (again) tape_free(d, t);
  }
  if (switches && status != NORN_EMEMORY && (status || r.missing)) {
    d->switching = SWITCH_NEVER;
    norn_clear(st);
    tape_drop(d, t);
    return density_record(d, u, out);
  }
  if (switches && !status && outside) {
    d->doubt = true;                                     /* perhaps only what is not held */
    tape_drop(d, t);
    return density_record(d, u, out);
  }
  if (d->block && status && status != NORN_EMEMORY && !d->constants) {
    d->constants = true;                                 /* what can't be recorded may be of held ones */
    norn_clear(st);
    tape_drop(d, t);
    return density_record(d, u, out);
  }
  if (!status && !outside && d->block && !hold_complete(&r)) outside = true;
  if (!status && !outside && d->fixed && r.nchoice != d->nchoice)
    status = norn_fail(st, NORN_EINFER, -1,
                       "this run makes %zu choices and another %zu: gradients need the same in each",
                       r.nchoice, d->nchoice);
  if (!status && !outside && t->g->failed)
    status = norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  if (!status && !outside && !(t->p = program_new(t->g))) status = NORN_EMEMORY;
  char why[200];
  if (!status && !outside && d->gpu && bigdata_attach(d->gpu, t->p, why, sizeof why) < 0)
    status = norn_error(st)->code;
  if (!status && !outside && d->block && !hold_ready(d, t)) status = NORN_EMEMORY;
  if (status || outside) { tape_drop(d, t); return status; }
  if (!d->fixed) { d->fixed = true; d->dim = r.at; }
  t->used = t->made = ++d->clock;
  t->switched = switches;
  *out = t;
  return NORN_OK;
}
