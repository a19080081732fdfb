/* roll: the steps of a chain as loops again (schedule.h).  The nodes of a chain stand in the order
   of their making.  Where P nodes on from node i the same classes come again, T times, and each
   operand that the loop itself makes lies as many nodes back in every turn, they are a scan of P
   operations and T steps.  What does not repeat is a scan of one step. */
#include "graph/schedule.h"

enum { TURNS = 4 };                  /* fewer are no loop */
typedef struct chain {
  const schedule *r;
  const uint32_t *node; uint32_t n;
  const uint32_t *cls, *at;
} chain;

/* How many nodes before node k its operand j stands, if that is at `start` or later; 0: outside. */
static uint32_t back(const chain *c, uint32_t start, uint32_t k, int j)
{
  uint32_t a = c->at[schedule_arg(c->r, c->node[k], j)];
  return a != UINT32_MAX && a >= start && a < k ? k - a : 0;
}

/* Is operand j of node k in a loop from `start` with period P where the rule wants it?  The rule is
   what the operand is P nodes later, if that is inside: until the rule reaches into the loop,
   anything. */
static bool operand_fits(const chain *c, uint32_t start, uint32_t P, uint32_t k, int j)
{
  uint32_t now = back(c, start, k, j), before = back(c, start, k - P, j);
  if (before) return now == before;
  return now == 0 || k - P < start + now;      /* inside for the first time: not too late */
}

static bool node_fits(const chain *c, uint32_t start, uint32_t P, uint32_t k)
{
  if (c->cls[c->r->of[c->node[k]]] != c->cls[c->r->of[c->node[k - P]]]) return false;
  for (int j = 0; j < c->r->g->node[c->node[k]].nargs; j++)
    if (!operand_fits(c, start, P, k, j)) return false;
  return true;
}

/* Whole turns of period P from `start`. */
static uint32_t turns(const chain *c, uint32_t start, uint32_t P)
{
  uint32_t k = start + P;
  while (k < c->n && node_fits(c, start, P, k)) k++;
  return (k - start) / P;
}

scan_link schedule_link(const schedule *r, const unit *u, uint32_t q, int j)
{
  const uint32_t *node = r->member + u->first;
  for (uint32_t t = 0; t < u->T; t++) {
    uint32_t k = u->first + t * u->P + q, a = r->index[schedule_arg(r, node[t * u->P + q], j)];
    if (a == UINT32_MAX || a < u->first || a >= k) continue;
    uint32_t n = k - a, lag = (n + u->P - 1 - q) / u->P;
    return (scan_link){true, q + lag * u->P - n, lag};
  }
  return (scan_link){false, 0, 0};
}

/* Do all readers of a number from before the loop (operation q of step -s) mean the same one? */
static bool starts_agree(schedule *r, const unit *u)
{
  for (uint32_t q = 0; q < u->P; q++) {
    for (int j = 0; j < r->g->node[r->member[u->first + q]].nargs; j++) {
      scan_link l = schedule_link(r, u, q, j);
      if (l.inner && l.lag > u->T) return false;
      for (uint32_t t = 0; l.inner && t < l.lag; t++) {
        uint32_t *slot = &r->uses[r->member[u->first + (l.lag - 1 - t) * u->P + l.q]];
        uint32_t a = schedule_arg(r, r->member[u->first + t * u->P + q], j);
        if (*slot && *slot != a + 1) return false;
        *slot = a + 1;               /* uses are no longer needed */
      }
    }
  }
  return true;
}

static void forget(schedule *r, const unit *u)
{
  for (uint32_t i = 0; i < u->n; i++) r->uses[r->member[u->first + i]] = 0;
}

/* The unit of nodes start .. start + P T; false without a unit: the starts differ. */
static bool loop_unit(schedule *r, const chain *c, uint32_t start, uint32_t P, uint32_t T,
                      bool *made)
{
  if (!schedule_unit(r, c->node + start, P * T, P, T)) return false;
  unit u = r->unit[r->nunit - 1];
  forget(r, &u);
  *made = starts_agree(r, &u);
  forget(r, &u);
  if (*made) return true;
  for (uint32_t i = 0; i < u.n; i++) r->index[r->member[u.first + i]] = UINT32_MAX;
  r->nmember -= u.n;
  r->nunit--;
  return true;
}

/* The period with which most nodes from `start` on repeat; 0: none. */
static uint32_t period(const chain *c, uint32_t start, uint32_t *T)
{
  uint32_t best = 0, left = c->n - start;
  *T = 0;
  for (uint32_t P = 1; P <= left / TURNS; P++) {
    uint32_t t = turns(c, start, P);
    if (t < TURNS || t * P <= *T * best) continue;
    best = P;
    *T = t;
    if (left - t * P < P) break;
  }
  return best;
}

/* Where a loop of period P that could start at *start should: less than a turn later if it then
   ends later, so that what is left over stands before it, where it can be a number that the loop
   begins with.  Its turns. */
static uint32_t align(const chain *c, uint32_t *start, uint32_t P, uint32_t T)
{
  uint32_t first = *start, end = first + P * T;
  for (uint32_t i = first + 1; i < first + P && end < c->n; i++) {
    uint32_t t = turns(c, i, P);
    if (i + t * P <= end) continue;
    end = i + t * P;
    *start = i;
    T = t;
  }
  return T;
}

enum { FEW = 4 };
/* Nodes from .. to as one step; few as they are. */
static bool once(schedule *r, const chain *c, uint32_t from, uint32_t to)
{
  if (to - from > FEW) return schedule_unit(r, c->node + from, to - from, to - from, 1);
  for (; from < to; from++)
    if (!schedule_unit(r, c->node + from, 1, 0, 0)) return false;
  return true;
}

bool schedule_roll(schedule *r, const uint32_t *nodes, uint32_t n, const uint32_t *cls)
{
  for (uint32_t i = 0; i < n; i++) r->at[nodes[i]] = i;
  chain c = {r, nodes, n, cls, r->at};
  uint32_t from = 0, i = 0, tries = 0;
  while (i < n) {
    uint32_t T, P = tries < 64 ? period(&c, i, &T) : 0;
    bool made = false;
    if (P) {
      T = align(&c, &i, P, T);
      if (!once(r, &c, from, i) || !loop_unit(r, &c, i, P, T, &made)) return false;
      from = i;
    }
    tries += !made;
    i += made ? P * T : 1;
    if (made) from = i;
  }
  for (i = 0; i < n; i++) r->at[nodes[i]] = UINT32_MAX;
  return once(r, &c, from, n);
}
