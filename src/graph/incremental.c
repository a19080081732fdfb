/* incremental: what depends on a changed input, and nothing else (incremental.h).

   Places are nodes in topological order, without those that nothing reads.  Which are to be computed is
   a set of places, three levels of bits, from which the least is taken: what a place depends on has then
   been computed. */
#include "graph/incremental.h"
#include "graph/record.h"
#include <math.h>
#include <string.h>

#define NONE INCREMENTAL_NONE
enum { OP_CALL = G_COUNT, LEVELS = 4 };

typedef struct place { uint16_t op, nargs; uint32_t args; uint64_t aux; } place;
/* Lists by place: those of place i are item[first[i] .. first[i + 1] - 1]. */
typedef struct lists { uint32_t *first, *item; size_t n, nitem; } lists;
typedef struct guard { uint8_t kind, held; uint32_t a, b; } guard;

struct incremental {
  norn_state *st;
  const graph *g;
  size_t n, cap;
  place *p; double *value; size_t cvalue;
  uint32_t *arg; size_t narg, carg;
  uint32_t *at; size_t nnode;          /* of each node of the graph: its place, or NONE */
  guard *guard;
  lists dependents, guards, watches;
  uint32_t *times, *prior, *leaf;      /* (n) how often it is observed; choice; place in the tree */
  uint8_t *skip; size_t nchoice;       /* by choice */
  double *tree; size_t nleaf, half;    /* half leaves, a power of 2, behind as many sums */
  uint64_t *bits[LEVELS]; size_t nbits[LEVELS];
  double *in, *out; size_t nin, nout;  /* of calls */
  incremental_change *log; size_t nlog, clog;
  uint32_t *seen, *skipped; size_t nseen, cseen, nskipped, cskipped;
  double observed, priors;
  bool failed;
};

static void *get(norn_state *st, size_t n)
{
  void *p = norn_alloc(st, NULL, 0, n ? n : 1);
  if (p) memset(p, 0, n ? n : 1);
  else norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  return p;
}
static void put(norn_state *st, void *p, size_t n)
{
  if (p) norn_alloc(st, p, n ? n : 1, 0);
}

static bool room(norn_state *st, void *array, size_t *cap, size_t want, size_t size)
{
  void **p = array, *q;
  if (want <= *cap) return true;
  size_t n = *cap ? 2 * *cap : 64;
  while (n < want) n *= 2;
  if (!(q = norn_alloc(st, *p, *cap * size, n * size)))
    return norn_fail(st, NORN_EMEMORY, -1, "out of memory"), false;
  *p = q;
  *cap = n;
  return true;
}

/* ---- making ---- */

/* What is found out about the graph's nodes first. */
typedef struct survey {
  uint8_t *live;                       /* something reads it */
  uint32_t *uses, *user;               /* how many do, and the last of them */
} survey;

static void use(survey *s, uint32_t node, uint32_t by)
{
  s->live[node] = 1;
  s->uses[node] += by == NONE ? 2 : 1;               /* read from outside: it must be there */
  s->user[node] = by;
}

static void survey_make(const graph *g, const incremental_mark *mark, size_t nmark, survey *s)
{
  for (size_t i = 0; i < nmark; i++) use(s, mark[i].node, NONE);
  for (size_t i = 0; i < g->nguard; i++) {
    use(s, g->guard[i].a, NONE);
    use(s, g->guard[i].b, NONE);
  }
  for (size_t i = g->nnode; i-- > 0;) {
    const graph_node *a = &g->node[i];
    if (!s->live[i]) continue;
    for (int j = 0; j < a->nargs; j++) use(s, g->arg[a->args + j], (uint32_t)i);
    if (a->op != G_PART) continue;
    const graph_called *c = &g->call[a->aux >> 32];
    for (uint32_t k = 0; k < c->nin; k++) use(s, g->arg[c->args + k], (uint32_t)i);
  }
}

static uint32_t place_add(incremental *e, int op, uint64_t aux, const uint32_t *args, size_t n,
                          double value)
{
  if (e->failed || !room(e->st, &e->p, &e->cap, e->n + 1, sizeof *e->p) ||
      !room(e->st, &e->value, &e->cvalue, e->n + 1, sizeof *e->value) ||
      !room(e->st, &e->arg, &e->carg, e->narg + n, sizeof *e->arg)) {
    e->failed = true;
    return 0;
  }
  e->p[e->n] = (place){(uint16_t)op, (uint16_t)(op == OP_CALL ? 0 : n), (uint32_t)e->narg, aux};
  e->value[e->n] = value;
  for (size_t i = 0; i < n; i++) e->arg[e->narg++] = args[i];
  return (uint32_t)e->n++;
}

/* The balanced sum of n places (which it writes over). */
static uint32_t sum_add(incremental *e, uint32_t *x, size_t n)
{
  for (; n > 1; n = (n + 1) / 2) {
    for (size_t i = 0; i < n / 2; i++)
      x[i] = place_add(e, G_ADD, 0, (uint32_t[]){x[2 * i], x[2 * i + 1]}, 2,
                       e->failed ? 0 : e->value[x[2 * i]] + e->value[x[2 * i + 1]]);
    if (n & 1) x[n / 2] = x[n - 1];
  }
  return x[0];
}

/* An addition that only another addition reads becomes part of that one's tree. */
static bool absorbed(const graph *g, const survey *s, uint32_t i)
{
  return g->node[i].op == G_ADD && s->uses[i] == 1 && s->user[i] != NONE &&
         g->node[s->user[i]].op == G_ADD;
}

/* The places of what is added up in node i, from the left. */
static size_t leaves_of(incremental *e, const graph *g, const survey *s, uint32_t i, uint32_t **list,
                        size_t *cap, uint32_t **stack, size_t *cstack)
{
  size_t n = 0, top = 0;
  if (!room(e->st, stack, cstack, 2, sizeof **stack)) return e->failed = true, 0;
  (*stack)[top++] = i;
  while (top) {
    uint32_t k = (*stack)[--top];
    if (k == i || absorbed(g, s, k)) {
      if (!room(e->st, stack, cstack, top + 2, sizeof **stack)) return e->failed = true, 0;
      (*stack)[top++] = g->arg[g->node[k].args + 1];
      (*stack)[top++] = g->arg[g->node[k].args];
    } else {
      if (!room(e->st, list, cap, n + 1, sizeof **list)) return e->failed = true, 0;
      (*list)[n++] = e->at[k];
    }
  }
  return n;
}

static uint32_t call_add(incremental *e, const graph *g, size_t c, uint32_t **list, size_t *cap)
{
  const graph_called *k = &g->call[c];
  if (!room(e->st, list, cap, k->nin + 1, sizeof **list)) return e->failed = true, 0;
  for (uint32_t i = 0; i < k->nin; i++) (*list)[i] = e->at[g->arg[k->args + i]];
  if (k->type == &graph_sum_call) return k->nin ? sum_add(e, *list, k->nin) : 0;
  if (k->nin > e->nin) e->nin = k->nin;
  if (k->nout > e->nout) e->nout = k->nout;
  return place_add(e, OP_CALL, c, *list, k->nin, 0);
}

static bool places_make(incremental *e, const graph *g, const survey *s)
{
  uint32_t *list = NULL, *stack = NULL, *call = get(e->st, (g->ncall + 1) * sizeof *call);
  size_t cap = 0, cstack = 0;
  e->failed = !call;
  for (uint32_t i = 0; i < g->nnode && !e->failed; i++) {
    const graph_node *a = &g->node[i];
    uint32_t args[1 + NORN_DIST_P];
    e->at[i] = NONE;
    if (!s->live[i] || absorbed(g, s, i)) continue;
    if (a->op == G_ADD) {
      size_t n = leaves_of(e, g, s, i, &list, &cap, &stack, &cstack);
      if (!e->failed) e->at[i] = sum_add(e, list, n);
    } else if (a->op == G_PART) {
      size_t c = a->aux >> 32;
      if (!call[c]) call[c] = call_add(e, g, c, &list, &cap) + 1;
      e->at[i] = g->call[c].type == &graph_sum_call ? call[c] - 1
        : place_add(e, G_PART, a->aux & UINT32_MAX, (uint32_t[]){call[c] - 1}, 1, g->value[i]);
    } else {
      for (int j = 0; j < a->nargs; j++) args[j] = e->at[g->arg[a->args + j]];
      e->at[i] = place_add(e, a->op, a->aux, args, a->nargs, g->value[i]);
    }
  }
  put(e->st, list, cap * sizeof *list);
  put(e->st, stack, cstack * sizeof *stack);
  put(e->st, call, (g->ncall + 1) * sizeof *call);
  return !e->failed;
}

static size_t args_of(const incremental *e, size_t i)
{
  return e->p[i].op == OP_CALL ? e->g->call[e->p[i].aux].nin : e->p[i].nargs;
}

/* Lists from pairs (place, item), given twice: first counted, then put. */
static bool lists_begin(incremental *e, lists *l)
{
  l->n = e->n + 2;
  l->first = get(e->st, l->n * sizeof *l->first);
  return l->first;
}
static bool lists_counted(incremental *e, lists *l)
{
  for (size_t i = 1; i < l->n; i++) l->first[i] += l->first[i - 1];
  l->nitem = l->first[l->n - 1];
  l->item = get(e->st, l->nitem * sizeof *l->item);
  return l->item;
}
/* With first[i + 2] counted, first[i + 1] is where i's next goes, and in the end where i + 1's begin. */
static void lists_put(lists *l, uint32_t i, uint32_t item) { l->item[l->first[i + 1]++] = item; }

static bool dependents_make(incremental *e)
{
  lists *l = &e->dependents;
  if (!lists_begin(e, l)) return false;
  for (size_t i = 0; i < e->n; i++)
    for (size_t j = 0; j < args_of(e, i); j++) l->first[e->arg[e->p[i].args + j] + 2]++;
  if (!lists_counted(e, l)) return false;
  for (size_t i = 0; i < e->n; i++)
    for (size_t j = 0; j < args_of(e, i); j++) lists_put(l, e->arg[e->p[i].args + j], (uint32_t)i);
  return true;
}

static bool guards_make(incremental *e, const graph *g)
{
  lists *l = &e->guards;
  e->guard = get(e->st, g->nguard * sizeof *e->guard);
  if (!e->guard || !lists_begin(e, l)) return false;
  for (size_t i = 0; i < g->nguard; i++) {
    const graph_guard *k = &g->guard[i];
    e->guard[i] = (guard){k->kind, k->held, e->at[k->a], e->at[k->b]};
    l->first[e->guard[i].a + 2]++;
    l->first[e->guard[i].b + 2]++;
  }
  if (!lists_counted(e, l)) return false;
  for (size_t i = 0; i < g->nguard; i++) {
    lists_put(l, e->guard[i].a, (uint32_t)i);
    lists_put(l, e->guard[i].b, (uint32_t)i);
  }
  return true;
}

/* What the caller marked: terms and watches. */
static bool marks_make(incremental *e, const incremental_mark *mark, size_t n)
{
  lists *l = &e->watches;
  e->times = get(e->st, e->n * sizeof *e->times);
  e->prior = get(e->st, e->n * sizeof *e->prior);
  e->leaf = get(e->st, e->n * sizeof *e->leaf);
  if (!e->times || !e->prior || !e->leaf || !lists_begin(e, l)) return false;
  memset(e->prior, 0xff, e->n * sizeof *e->prior);
  for (size_t i = 0; i < n; i++) {
    uint32_t at = e->at[mark[i].node];
    if (mark[i].kind == INCREMENTAL_OBSERVED && !e->times[at]++) e->leaf[at] = (uint32_t)e->nleaf++;
    if (mark[i].kind == INCREMENTAL_PRIOR) e->prior[at] = mark[i].of;
    if (mark[i].kind == INCREMENTAL_WATCH) l->first[at + 2]++;
    if (mark[i].kind != INCREMENTAL_OBSERVED && mark[i].of != NONE && mark[i].of >= e->nchoice)
      e->nchoice = mark[i].of + 1;
  }
  if (!lists_counted(e, l)) return false;
  for (size_t i = 0; i < n; i++)
    if (mark[i].kind == INCREMENTAL_WATCH) lists_put(l, e->at[mark[i].node], mark[i].of);
  return (e->skip = get(e->st, e->nchoice)) != NULL;
}

static bool tree_make(incremental *e)
{
  for (e->half = 1; e->half < e->nleaf; e->half *= 2) {}
  e->tree = get(e->st, 2 * e->half * sizeof *e->tree);
  if (!e->tree) return false;
  for (size_t i = 0; i < e->n; i++)
    if (e->times[i]) e->tree[e->half + e->leaf[i]] = e->times[i] * e->value[i];
  for (size_t k = e->half - 1; k > 0; k--) e->tree[k] = e->tree[2 * k] + e->tree[2 * k + 1];
  return true;
}

static bool bits_make(incremental *e)
{
  size_t n = e->n;
  if (n >> 6 * LEVELS)
    return norn_fail(e->st, NORN_ELIMIT, -1, "the recorded program is too large"), false;
  for (int k = 0; k < LEVELS; k++) {
    n = e->nbits[k] = (n + 63) / 64 + 1;
    if (!(e->bits[k] = get(e->st, n * sizeof *e->bits[k]))) return false;
  }
  return true;
}

incremental *incremental_new(const graph *g, const incremental_mark *mark, size_t nmark)
{
  norn_state *st = g->st;
  incremental *e = get(st, sizeof *e);
  survey s = {get(st, g->nnode), get(st, g->nnode * sizeof *s.uses), get(st, g->nnode * sizeof *s.user)};
  bool good = e && s.live && s.uses && s.user;
  if (e) {
    e->st = st;
    e->g = g;
  }
  if (good) {
    e->nnode = g->nnode;
    e->at = get(st, g->nnode * sizeof *e->at);
    survey_make(g, mark, nmark, &s);
    good = e->at && places_make(e, g, &s) && dependents_make(e) && guards_make(e, g) &&
      marks_make(e, mark, nmark) && tree_make(e) && bits_make(e) &&
      (e->in = get(st, e->nin * sizeof *e->in)) && (e->out = get(st, e->nout * sizeof *e->out));
  }
  put(st, s.live, g->nnode);
  put(st, s.uses, g->nnode * sizeof *s.uses);
  put(st, s.user, g->nnode * sizeof *s.user);
  if (good) return e;
  incremental_free(e);
  return NULL;
}

static void lists_free(norn_state *st, lists *l)
{
  put(st, l->first, l->n * sizeof *l->first);
  put(st, l->item, l->nitem * sizeof *l->item);
}

void incremental_free(incremental *e)
{
  if (!e) return;
  norn_state *st = e->st;
  put(st, e->p, e->cap * sizeof *e->p);
  put(st, e->value, e->cvalue * sizeof *e->value);
  put(st, e->arg, e->carg * sizeof *e->arg);
  put(st, e->at, e->nnode * sizeof *e->at);
  put(st, e->guard, e->g->nguard * sizeof *e->guard);
  lists_free(st, &e->dependents);
  lists_free(st, &e->guards);
  lists_free(st, &e->watches);
  put(st, e->times, e->n * sizeof *e->times);
  put(st, e->prior, e->n * sizeof *e->prior);
  put(st, e->leaf, e->n * sizeof *e->leaf);
  put(st, e->skip, e->nchoice);
  put(st, e->tree, 2 * e->half * sizeof *e->tree);
  for (int k = 0; k < LEVELS; k++) put(st, e->bits[k], e->nbits[k] * sizeof *e->bits[k]);
  put(st, e->in, e->nin * sizeof *e->in);
  put(st, e->out, e->nout * sizeof *e->out);
  put(st, e->log, e->clog * sizeof *e->log);
  put(st, e->seen, e->cseen * sizeof *e->seen);
  put(st, e->skipped, e->cskipped * sizeof *e->skipped);
  put(st, e, sizeof *e);
}

/* ---- the set of places to compute ---- */

static inline void bits_put(incremental *e, size_t i)
{
  for (int k = 0; k < LEVELS; k++, i /= 64) {
    uint64_t *w = &e->bits[k][i / 64], bit = (uint64_t)1 << (i & 63);
    if (*w & bit) return;
    *w |= bit;
  }
}

/* Takes the least; false: it is empty. */
static inline bool bits_take(incremental *e, size_t *out)
{
  size_t i = 0;
  if (!e->bits[LEVELS - 1][0]) return false;
  for (int k = LEVELS - 1; k >= 0; k--) i = 64 * i + (size_t)__builtin_ctzll(e->bits[k][i]);
  *out = i;
  for (int k = 0; k < LEVELS; k++, i /= 64) {
    uint64_t *w = &e->bits[k][i / 64];
    *w &= ~((uint64_t)1 << (i & 63));
    if (*w) break;
  }
  return true;
}

/* ---- computing ---- */

/* Of a density: -infinity where a parameter is not in its domain. */
static double density_of(const incremental *e, const place *p)
{
  const norn_dist_row *row = (const norn_dist_row *)(uintptr_t)(p->aux & ~(uint64_t)1);
  const uint32_t *arg = e->arg + p->args;
  double q[NORN_DIST_P];
  int which;
  for (int i = 1; i < p->nargs; i++) q[i - 1] = e->value[arg[i]];
  return row->check1(q, &which) ? -HUGE_VAL : row->logp1(e->value[arg[0]], q);
}

/* A call's results lie in e->out until its parts, which come next, have taken them. */
static double call_of(incremental *e, const place *p)
{
  const graph_called *c = &e->g->call[p->aux];
  for (uint32_t i = 0; i < c->nin; i++) e->in[i] = e->value[e->arg[p->args + i]];
  return c->type->forward(c->self, e->in, e->out) ? 0 : (double)NAN;
}

static double compute(incremental *e, const place *p)
{
  const uint32_t *arg = e->arg + p->args;
  const double *v = e->value;
  switch (p->op) {
  case G_ADD: return v[arg[0]] + v[arg[1]];
  case G_SUB: return v[arg[0]] - v[arg[1]];
  case G_MUL: return v[arg[0]] * v[arg[1]];
  case G_DIV: return v[arg[0]] / v[arg[1]];
  case G_NEG: return -v[arg[0]];
  case G_SQUARE: return v[arg[0]] * v[arg[0]];
  case G_DENSITY: return density_of(e, p);
  case G_FUN1: return graph_functions[p->aux].f(v[arg[0]]);
  case G_PART: return e->out[p->aux];
  case OP_CALL: return call_of(e, p);
  default: return graph_compute((graph_op)p->op, v[arg[0]], p->nargs > 1 ? v[arg[1]] : 0);
  }
}

static bool guard_holds(const incremental *e, const guard *k)
{
  double a = e->value[k->a], b = e->value[k->b];
  return (k->kind == GUARD_LT ? a < b : k->kind == GUARD_LE ? a <= b : a == b) == k->held;
}

/* Place i has a new value.  Its guards are looked at by run, when all is computed. */
static bool change(incremental *e, size_t i, double x)
{
  const lists *d = &e->dependents, *w = &e->watches;
  if (!room(e->st, &e->log, &e->clog, e->nlog + 1, sizeof *e->log)) return false;
  e->log[e->nlog++] = (incremental_change){(uint32_t)i, e->value[i]};
  e->value[i] = x;
  for (uint32_t k = d->first[i]; k < d->first[i + 1]; k++) bits_put(e, d->item[k]);
  for (uint32_t k = w->first[i]; k < w->first[i + 1]; k++) {
    if (!room(e->st, &e->seen, &e->cseen, e->nseen + 1, sizeof *e->seen)) return false;
    e->seen[e->nseen++] = w->item[k];
  }
  return true;
}

/* What a new value of a term means for the sums. */
static incremental_status weigh(incremental *e, size_t i, double x, double old)
{
  uint32_t of = e->prior[i];
  if (!e->times[i] && of == NONE) return INCREMENTAL_OK;
  if (!(x < HUGE_VAL)) return INCREMENTAL_BROKEN;
  if (e->times[i]) e->observed += e->times[i] * (x - old);
  if (of == NONE || e->skip[of]) return x == -HUGE_VAL && e->times[i] ? INCREMENTAL_OUTSIDE : INCREMENTAL_OK;
  e->priors += x - old;
  return x == -HUGE_VAL ? INCREMENTAL_OUTSIDE : INCREMENTAL_OK;
}

static incremental_status guards_hold(const incremental *e, size_t from)
{
  for (size_t k = from; k < e->nlog; k++)
    for (uint32_t j = e->guards.first[e->log[k].at]; j < e->guards.first[e->log[k].at + 1]; j++)
      if (!guard_holds(e, &e->guard[e->guards.item[j]])) return INCREMENTAL_BROKEN;
  return INCREMENTAL_OK;
}

void incremental_set(incremental *e, uint32_t i, double value)
{
  if (e->value[i] != value) e->failed |= !change(e, i, value);
}

incremental_status incremental_run(incremental *e)
{
  size_t i;
  incremental_status s = e->failed ? INCREMENTAL_BROKEN : INCREMENTAL_OK;
  while (bits_take(e, &i)) {
    if (s) continue;                                   /* the rest of the set is emptied */
    const place *p = &e->p[i];
    double old = e->value[i], x = compute(e, p);
    if (p->op == OP_CALL) {
      const lists *d = &e->dependents;
      if (x != x) s = INCREMENTAL_BROKEN;
      for (uint32_t k = d->first[i]; k < d->first[i + 1] && !s; k++) {
        uint32_t part = d->item[k];                    /* at once: another call may use e->out */
        double y = compute(e, &e->p[part]), was = e->value[part];
        if (y == was) continue;
        s = change(e, part, y) ? weigh(e, part, y, was) : INCREMENTAL_BROKEN;
      }
      continue;
    }
    if (x == old) continue;
    s = change(e, i, x) ? weigh(e, i, x, old) : INCREMENTAL_BROKEN;
  }
  if (s == INCREMENTAL_OUTSIDE && guards_hold(e, 0)) s = INCREMENTAL_BROKEN;
  return s ? s : guards_hold(e, 0);
}

/* ---- what came of it ---- */

uint32_t incremental_place(const incremental *e, uint32_t node) { return e->at[node]; }
double incremental_value(const incremental *e, uint32_t i) { return e->value[i]; }
double incremental_observed(const incremental *e) { return e->observed; }
double incremental_priors(const incremental *e) { return e->priors; }
double incremental_sum(const incremental *e) { return e->tree[1]; }
size_t incremental_size(const incremental *e) { return e->n; }
uint32_t incremental_prior_of(const incremental *e, uint32_t i) { return e->prior[i]; }

size_t incremental_seen(const incremental *e, const uint32_t **of)
{
  *of = e->seen;
  return e->nseen;
}

size_t incremental_changes(const incremental *e, const incremental_change **out)
{
  *out = e->log;
  return e->nlog;
}

void incremental_skip(incremental *e, uint32_t choice)
{
  if (choice >= e->nchoice || e->skip[choice]) return;
  if (!room(e->st, &e->skipped, &e->cskipped, e->nskipped + 1, sizeof *e->skipped)) {
    e->failed = true;
    return;
  }
  e->skip[choice] = 1;
  e->skipped[e->nskipped++] = choice;
}

static void begin_again(incremental *e)
{
  for (size_t i = 0; i < e->nskipped; i++) e->skip[e->skipped[i]] = 0;
  e->nskipped = e->nseen = e->nlog = 0;
  e->observed = e->priors = 0;
}

void incremental_keep(incremental *e)
{
  for (size_t i = 0; i < e->nlog; i++) {
    uint32_t at = e->log[i].at;
    if (!e->times[at]) continue;
    size_t k = e->half + e->leaf[at];
    e->tree[k] = e->times[at] * e->value[at];
    while (k /= 2) e->tree[k] = e->tree[2 * k] + e->tree[2 * k + 1];
  }
  begin_again(e);
}

void incremental_undo(incremental *e)
{
  for (size_t i = e->nlog; i-- > 0;) e->value[e->log[i].at] = e->log[i].old;
  begin_again(e);
  e->failed = false;
}
