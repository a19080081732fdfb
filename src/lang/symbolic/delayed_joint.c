/* delayed_joint.c: normal variables of which some have several parents (delayed.h, AT_MANY).

   Where sums of variables are parents, or are observed, trees do not do: the graph is a directed one without
   cycles.  To look at some variables together they are brought to its front, where they have no parents but
   each other.  An edge p -> c is reversed as in a tree, and each gets the other's parents (Shachter 1986,
   "Evaluating influence diagrams"; Atkinson et al. 2022, "Semi-symbolic inference for efficient streaming
   probabilistic programming"):

        p = u + N(0, P), c = a p + w + N(0, Q)      with u and w sums of other variables
        c = a u + w + N(0, S),  S = a^2 P + Q       p = u + K (c - a u - w) + N(0, P Q / S),  K = a P / S

   which is right as long as no other way leads from p to c.  First come all parents of the variables, as a
   set, and before them theirs: sets keep groups apart that only have parents in common, where one variable
   after the other would connect all (a hierarchy of intercepts and slopes, a trend with seasons).

   An observation is one more child of the front, whose edges are reversed.  All of this is done on copies;
   what has changed is written back at the end. */
#include "lang/symbolic/delayed.h"
#include <math.h>
#include <string.h>

/* mean: of its parents; q: its variance given them.  front: it stands there; level: of the set that holds it. */
typedef struct jnode {
  int64_t id;
  dnode as;
  dsum mean;
  double q;
  bool front, changed;
  int64_t level;
} jnode;
typedef struct frame { int node, next; size_t base; } frame;
struct joint {
  norn_run *r;
  jnode *node; size_t n, cap;
  int *slot; size_t cslot;                     /* id -> index + 1; a power of two */
  int *set; size_t nset, cset;                 /* all levels, one behind the other */
  size_t *from; size_t nfrom, cfrom;           /* where each begins */
  int *stood; size_t nstood, cstood;           /* what was brought to the front, in its order */
  frame *frame; size_t nframe, cframe;
};

/* ---- the copies ---- */

static bool grow(joint *j, void *array, size_t *cap, size_t want, size_t size)
{
  if (want <= *cap || mem_grow(&j->r->st->mem, array, cap, want, size)) return true;
  return state_memory(j->r->st), false;
}

static int *slot_of(const joint *j, int64_t id)
{
  size_t k = hash_mix((uint64_t)id) & (j->cslot - 1);
  while (j->slot[k] && j->node[j->slot[k] - 1].id != id) k = (k + 1) & (j->cslot - 1);
  return &j->slot[k];
}

static bool slots_grow(joint *j)
{
  if (2 * (j->n + 1) <= j->cslot) return true;
  size_t old = j->cslot, more = old ? 2 * old : 16;
  int *table = mem_zero(&j->r->st->mem, more * sizeof *table);
  if (!table) return state_memory(j->r->st), false;
  mem_put(&j->r->st->mem, j->slot, old * sizeof *table);
  j->slot = table;
  j->cslot = more;
  for (size_t i = 0; i < j->n; i++) *slot_of(j, j->node[i].id) = (int)i + 1;
  return true;
}

/* The mean of a node out of its form. */
static bool mean_of(joint *j, const dnode *n, dsum *mean, double *q)
{
  norn_state *st = j->r->st;
  norn_view ids, w;
  *q = n->x[n->at == AT_ROOT ? 1 : 2];
  mean->b = n->x[n->at == AT_ROOT ? 0 : 1];
  if (n->at == AT_CHILD) return dsum_term(st, mean, n->parent, n->x[0]);
  if (n->at == AT_ROOT) return true;
  norn_array_view(n->v[0], &ids);
  norn_array_view(n->v[1], &w);
  for (int64_t i = 0; i < ids.n; i++)
    if (!dsum_term(st, mean, ids.i[i], w.f[i])) return false;
  return true;
}

/* The index of a variable that is not known; -1: error set. */
static int node_at(joint *j, int64_t id)
{
  if (!slots_grow(j)) return -1;
  int *slot = slot_of(j, id);
  if (*slot) return *slot - 1;
  if (!grow(j, &j->node, &j->cap, j->n + 1, sizeof *j->node)) return -1;
  jnode *k = &j->node[j->n];
  *k = (jnode){.id = id, .level = -1};
  if (!delayed_load(j->r, id, &k->as)) return -1;
  *slot = (int)++j->n;
  return mean_of(j, &k->as, &k->mean, &k->q) ? *slot - 1 : -1;
}

/* ---- edges ---- */

/* p -> c, or, with y, the same to a c that is known to be y afterwards. */
static bool turn(joint *j, jnode *p, dsum *c, double *q, int64_t id_of_c, const double *y)
{
  norn_state *st = j->r->st;
  double a = dsum_take(c, p->id), s = a * a * p->q + *q, gain = a * p->q / s;
  if (a == 0) return true;
  p->changed = true;
  if (!dsum_add(st, c, a, &p->mean) || !dsum_add(st, &p->mean, -gain, c)) return false;
  p->q = p->q * *q / s;
  *q = s;
  if (!y) return dsum_term(st, &p->mean, id_of_c, gain);
  p->mean.b += gain * *y;
  return true;
}

/* ---- to the front ---- */

static bool push_frame(joint *j, int node)
{
  if (!grow(j, &j->frame, &j->cframe, j->nframe + 1, sizeof *j->frame)) return false;
  j->frame[j->nframe++] = (frame){node, 0, j->nstood};
  return true;
}

/* The next parent that does not stand at the front; -1: none, -2: error set. */
static int next_parent(joint *j, frame *f)
{
  while (f->next < j->node[f->node].mean.n) {
    int p = node_at(j, j->node[f->node].mean.t[f->next].id);
    if (p < 0) return -2;
    if (!j->node[p].front) return p;
    f->next++;
  }
  return -1;
}

/* Its parents stand there: it goes before those that were brought there for it. */
static bool pass(joint *j)
{
  frame f = j->frame[--j->nframe];
  jnode *c = &j->node[f.node];
  while (j->nstood > f.base) {
    jnode *p = &j->node[j->stood[--j->nstood]];
    p->front = false;
    if (!turn(j, p, &c->mean, &c->q, c->id, NULL)) return false;
    c->changed = true;
  }
  c->front = true;
  if (!grow(j, &j->stood, &j->cstood, j->nstood + 1, sizeof *j->stood)) return false;
  j->stood[j->nstood++] = f.node;
  return true;
}

static bool bring(joint *j, int node)
{
  bool good = push_frame(j, node);
  while (good && j->nframe) {
    int p = next_parent(j, &j->frame[j->nframe - 1]);
    good = p == -1 ? pass(j) : p >= 0 && push_frame(j, p);
  }
  return good;
}

/* Level k + 1: the parents of level k that are not in it.  *more: there are some. */
static bool add_level(joint *j, bool *more)
{
  int64_t k = (int64_t)j->nfrom - 1;
  size_t end = j->nset;
  for (size_t i = j->from[k]; i < end; i++) j->node[j->set[i]].level = k;
  for (size_t i = j->from[k]; i < end; i++)
    for (int64_t t = 0; t < j->node[j->set[i]].mean.n; t++) {
      int p = node_at(j, j->node[j->set[i]].mean.t[t].id);
      if (p < 0) return false;
      if (j->node[p].level == k || j->node[p].level == k + 1) continue;
      j->node[p].level = k + 1;
      if (!grow(j, &j->set, &j->cset, j->nset + 1, sizeof *j->set)) return false;
      j->set[j->nset++] = p;
    }
  *more = j->nset > end;
  if (!*more) return true;
  if (!grow(j, &j->from, &j->cfrom, j->nfrom + 1, sizeof *j->from)) return false;
  j->from[j->nfrom++] = end;
  return true;
}

/* Does a parent of this one wait in the set, too (level -2)? */
static bool waits_behind(joint *j, int node)
{
  const dsum *m = &j->node[node].mean;
  for (int64_t t = 0; t < m->n; t++) {
    const int *slot = slot_of(j, m->t[t].id);
    if (*slot && j->node[*slot - 1].level == -2) return true;
  }
  return false;
}

/* The n variables at `set` to the front, where nothing stands. */
static bool bring_set(joint *j, size_t from, size_t n)
{
  while (j->nstood) j->node[j->stood[--j->nstood]].front = false;
  for (size_t i = 0; i < n; i++) j->node[j->set[from + i]].level = -2;
  for (size_t left = n; left; left--) {
    int *s = j->set + from;
    size_t i = 0;
    while (i < left && waits_behind(j, s[i])) i++;
    if (i == left) i = 0;
    int node = s[i];
    memmove(s + i, s + i + 1, (left - i - 1) * sizeof *s);
    j->node[node].level = -1;
    if (!j->node[node].front && !bring(j, node)) return false;
  }
  return true;
}

joint *joint_open(norn_run *r, const dsum *x)
{
  joint *j = mem_zero(&r->st->mem, sizeof *j);
  if (!j) return state_memory(r->st), NULL;
  j->r = r;
  bool more = true, good = grow(j, &j->set, &j->cset, (size_t)x->n, sizeof *j->set) &&
                           grow(j, &j->from, &j->cfrom, 1, sizeof *j->from);
  for (int64_t i = 0; i < x->n && good; i++) {
    int k = node_at(j, x->t[i].id);
    if ((good = k >= 0)) j->set[j->nset++] = k;
  }
  if (good) j->from[j->nfrom++] = 0;
  while (good && more) good = add_level(j, &more);
  for (size_t end = j->nset; good && j->nfrom; end = j->from[j->nfrom])
    good = (j->nfrom--, bring_set(j, j->from[j->nfrom], end - j->from[j->nfrom]));
  if (good) return j;
  joint_free(j);
  return NULL;
}

bool joint_learn(joint *j, const dsum *x, double q, double y, norm_said *said)
{
  norn_state *st = j->r->st;
  dsum c = {.n = 0};
  bool good = dsum_add(st, &c, 1, x);
  for (size_t i = j->nstood; good && i--;)
    good = turn(j, &j->node[j->stood[i]], &c, &q, -1, &y);
  *said = (norm_said){y - c.b, q};
  dsum_free(st, &c);
  return good;
}

/* ---- back ---- */

static bool write_back(joint *j, const jnode *k)
{
  norn_state *st = j->r->st;
  dnode n = k->as;
  const dsum *m = &k->mean;
  double *w;
  int64_t *ids;
  n.parent = -1;
  n.n = 0;
  if (m->n == 0) {
    n.at = AT_ROOT;
    n.x[0] = m->b;
    n.x[1] = k->q;
    n.x[2] = 0;
    return delayed_store(j->r, k->id, &n);
  }
  n.x[1] = m->b;
  n.x[2] = k->q;
  if (m->n == 1) {
    n.at = AT_CHILD;
    n.parent = m->t[0].id;
    n.x[0] = m->t[0].a;
    return delayed_store(j->r, k->id, &n);
  }
  n.at = AT_MANY;
  n.x[0] = 0;
  n.n = 2;
  n.v[0] = norn_array(st, NORN_I64, 1, &m->n, (void **)&ids);
  n.v[1] = norn_is_none(n.v[0]) ? n.v[0] : norn_array(st, NORN_F64, 1, &m->n, (void **)&w);
  if (norn_is_none(n.v[1])) return false;
  for (int64_t i = 0; i < m->n; i++) {
    ids[i] = m->t[i].id;
    w[i] = m->t[i].a;
  }
  return delayed_store(j->r, k->id, &n);
}

bool joint_close(joint *j)
{
  bool good = true;
  for (size_t i = 0; i < j->n && good; i++)
    if (j->node[i].changed) good = write_back(j, &j->node[i]);
  joint_free(j);
  return good;
}

void joint_free(joint *j)
{
  if (!j) return;
  mem *m = &j->r->st->mem;
  for (size_t i = 0; i < j->n; i++) dsum_free(j->r->st, &j->node[i].mean);
  mem_put(m, j->node, j->cap * sizeof *j->node);
  mem_put(m, j->slot, j->cslot * sizeof *j->slot);
  mem_put(m, j->set, j->cset * sizeof *j->set);
  mem_put(m, j->from, j->cfrom * sizeof *j->from);
  mem_put(m, j->stood, j->cstood * sizeof *j->stood);
  mem_put(m, j->frame, j->cframe * sizeof *j->frame);
  mem_put(m, j, sizeof *j);
}

bool joint_root(norn_run *r, int64_t id)
{
  dterm t = {id, 1};
  joint *j = joint_open(r, &(dsum){.t = &t, .n = 1});
  return j && joint_close(j);
}
