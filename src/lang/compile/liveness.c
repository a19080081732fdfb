/* liveness.c: which registers are live where.

   Backward dataflow (Aho et al., 9.2.5): live_in = read + (live_out - defined), over basic blocks
   until nothing changes, then one pass that writes the set before each instruction.  A call kills
   its whole window, so nothing above a call is ever a root while the callee runs.  The collector,
   forks and state hashes read the result, so it must never miss a register; exactness keeps garbage
   out.

   Work is linear in code times words of a set; a block is visited again only when a successor of it
   grew.  Rows of literal words stay empty. */
#include "lang/state.h"
#include "lang/compile/flow.h"
#include <string.h>

#define LIVE_BYTES_MAX ((size_t)256 << 20)

typedef struct block {
  uint32_t start, last, end;
  int64_t jump;
  bool next, queued;
} block; /* last: its last instruction */

typedef struct live {
  mem *m; const proto *p; uint32_t words;
  uint32_t *of;               /* (ncode) block that starts at a word, + 1; 0: none */
  block *b; uint32_t nb;
  uint64_t *in, *read, *def;  /* (nb, words) */
  uint64_t *out;              /* (words) scratch */
  uint32_t *queue, nqueue;
  uint32_t *pred, *pred_at;   /* predecessors of block k: pred[pred_at[k] .. pred_at[k + 1]) */
} live;

static void bit_set(uint64_t *s, int r) { s[r >> 6] |= 1ull << (r & 63); }
static void bit_clear(uint64_t *s, int r) { s[r >> 6] &= ~(1ull << (r & 63)); }

/* Clears the bits from r on. */
static void bits_cut(uint64_t *s, uint32_t words, int r)
{
  uint32_t w = (uint32_t)r >> 6;
  if (w >= words) return;
  s[w] &= (1ull << (r & 63)) - 1;
  memset(s + w + 1, 0, (words - w - 1) * sizeof *s);
}

/* One instruction, backwards, on a set of live registers. */
static void step_back(const live *l, uint64_t *s, const flow *f)
{
  if (f->def >= 0) bit_clear(s, f->def);
  if (f->kill >= 0) bits_cut(s, l->words, f->kill);
  for (int i = 0; i < f->nread; i++) bit_set(s, f->read[i]);
  for (int i = 0; i < f->n; i++) bit_set(s, f->from + i);
}

/* Marks block starts, then cuts the code there. */
static bool find_blocks(live *l)
{
  const proto *p = l->p;
  flow f;
  l->of = mem_zero(l->m, p->ncode * sizeof *l->of);
  if (!l->of) return false;
  l->of[0] = 1;
  for (uint32_t pc = 0; pc < p->ncode; pc += (uint32_t)f.size) {
    flow_of(p->code, pc, &f);
    if (f.jumps) l->of[f.jump] = 1;
    if ((f.jumps || !f.next) && pc + (uint32_t)f.size < p->ncode) l->of[pc + (uint32_t)f.size] = 1;
  }
  for (uint32_t pc = 0; pc < p->ncode; pc++)
    if (l->of[pc]) l->of[pc] = ++l->nb;
  l->b = mem_zero(l->m, l->nb * sizeof *l->b);
  if (!l->b) return false;
  block *b = NULL;
  for (uint32_t pc = 0; pc < p->ncode; pc += (uint32_t)f.size) {
    flow_of(p->code, pc, &f);
    if (l->of[pc]) b = &l->b[l->of[pc] - 1], b->start = pc;
    b->last = pc;
    b->end = pc + (uint32_t)f.size;
    b->jump = f.jumps ? f.jump : -1;
    b->next = f.next;
  }
  return true;
}

static void each_successor(const live *l, uint32_t k, void (*f)(live *, uint32_t from, uint32_t to),
                           live *u)
{
  const block *b = &l->b[k];
  if (b->jump >= 0) f(u, k, l->of[b->jump] - 1);
  if (b->next && b->end < l->p->ncode) f(u, k, l->of[b->end] - 1);
}

static void count_pred(live *l, uint32_t from, uint32_t to) { (void)from; l->pred_at[to + 1]++; }
static void store_pred(live *l, uint32_t from, uint32_t to)
{
  l->pred[--l->pred_at[to + 1]] = from;
}

static bool find_predecessors(live *l)
{
  l->pred_at = mem_zero(l->m, (l->nb + 2) * sizeof *l->pred_at);
  l->pred = mem_zero(l->m, (2 * l->nb + 1) * sizeof *l->pred);
  if (!l->pred_at || !l->pred) return false;
  for (uint32_t k = 0; k < l->nb; k++) each_successor(l, k, count_pred, l);
  for (uint32_t k = 0; k < l->nb; k++) l->pred_at[k + 1] += l->pred_at[k];
  uint32_t total = l->pred_at[l->nb];
  for (uint32_t k = 0; k < l->nb; k++) each_successor(l, k, store_pred, l);
  /* Storing moved each end down to its start: pred_at[k + 1] is now where k begins. */
  memmove(l->pred_at, l->pred_at + 1, l->nb * sizeof *l->pred_at);
  l->pred_at[l->nb] = total;
  return true;
}

/* What a block reads before it defines, and what it defines or kills. */
static void summarize(live *l, uint32_t k)
{
  uint64_t *read = l->read + (size_t)k * l->words, *def = l->def + (size_t)k * l->words;
  uint64_t *known = l->out;                    /* defined so far, going forwards */
  memset(known, 0, l->words * sizeof *known);
  flow f;
  for (uint32_t pc = l->b[k].start; pc < l->b[k].end; pc += (uint32_t)f.size) {
    flow_of(l->p->code, pc, &f);
    for (int i = 0; i < f.nread; i++)
      if (!(known[f.read[i] >> 6] >> (f.read[i] & 63) & 1)) bit_set(read, f.read[i]);
    for (int r = f.from; r < f.from + f.n; r++)
      if (!(known[r >> 6] >> (r & 63) & 1)) bit_set(read, r);
    if (f.kill >= 0)
      for (int r = f.kill; r < l->p->nregs; r++) bit_set(known, r);
    if (f.def >= 0) bit_set(known, f.def);
  }
  memcpy(def, known, l->words * sizeof *def);
}

static void enqueue(live *l, uint32_t k)
{
  if (l->b[k].queued) return;
  l->b[k].queued = true;
  l->queue[l->nqueue++] = k;
}

/* live_out of a block into l->out. */
static void join_successors(live *l, uint32_t k)
{
  const block *b = &l->b[k];
  memset(l->out, 0, l->words * sizeof *l->out);
  if (b->jump >= 0) {
    const uint64_t *in = l->in + (size_t)(l->of[b->jump] - 1) * l->words;
    for (uint32_t w = 0; w < l->words; w++) l->out[w] |= in[w];
  }
  if (b->next && b->end < l->p->ncode) {
    const uint64_t *in = l->in + (size_t)(l->of[b->end] - 1) * l->words;
    for (uint32_t w = 0; w < l->words; w++) l->out[w] |= in[w];
  }
}

static void iterate(live *l)
{
  for (uint32_t k = 0; k < l->nb; k++) enqueue(l, k);          /* the last block is taken first */
  while (l->nqueue) {
    uint32_t k = l->queue[--l->nqueue];
    size_t row = (size_t)k * l->words;
    bool grew = false;
    l->b[k].queued = false;
    join_successors(l, k);
    for (uint32_t w = 0; w < l->words; w++) {
      uint64_t now = l->read[row + w] | (l->out[w] & ~l->def[row + w]);
      grew |= now != l->in[row + w];
      l->in[row + w] = now;
    }
    if (grew)
      for (uint32_t i = l->pred_at[k]; i < l->pred_at[k + 1]; i++) enqueue(l, l->pred[i]);
  }
}

/* The set before each instruction of a block, from its live_out backwards. */
static void write_rows(live *l, uint32_t k, uint64_t *rows, uint32_t *starts)
{
  uint32_t n = 0;
  flow f;
  for (uint32_t pc = l->b[k].start; pc < l->b[k].end; pc += (uint32_t)f.size) {
    flow_of(l->p->code, pc, &f);
    starts[n++] = pc;
  }
  join_successors(l, k);
  while (n--) {
    flow_of(l->p->code, starts[n], &f);
    step_back(l, l->out, &f);
    memcpy(rows + (size_t)starts[n] * l->words, l->out, l->words * sizeof *rows);
  }
}

static bool solve(live *l)
{
  if (!find_blocks(l) || !find_predecessors(l)) return false;
  size_t sets = (size_t)l->nb * l->words * sizeof *l->in;
  l->in = mem_zero(l->m, sets);
  l->read = mem_zero(l->m, sets);
  l->def = mem_zero(l->m, sets);
  l->out = mem_zero(l->m, l->words * sizeof *l->out);
  l->queue = mem_get(l->m, l->nb * sizeof *l->queue);
  if (!l->in || !l->read || !l->def || !l->out || !l->queue) return false;
  for (uint32_t k = 0; k < l->nb; k++) summarize(l, k);
  iterate(l);
  return true;
}

static void live_free(live *l)
{
  size_t sets = (size_t)l->nb * l->words * sizeof *l->in;
  mem_put(l->m, l->of, l->p->ncode * sizeof *l->of);
  mem_put(l->m, l->b, l->nb * sizeof *l->b);
  mem_put(l->m, l->pred_at, (l->nb + 2) * sizeof *l->pred_at);
  mem_put(l->m, l->pred, (2 * l->nb + 1) * sizeof *l->pred);
  mem_put(l->m, l->in, sets);
  mem_put(l->m, l->read, sets);
  mem_put(l->m, l->def, sets);
  mem_put(l->m, l->out, l->words * sizeof *l->out);
  mem_put(l->m, l->queue, l->nb * sizeof *l->queue);
}

/* The proto owns live: ncode * live_words words, freed with it. */
bool code_liveness(norn_state *st, proto *p)
{
  live l = {.m = &st->mem, .p = p, .words = (p->nregs + 63u) / 64};
  if (!l.words) l.words = 1;
  size_t bytes = (size_t)p->ncode * l.words * sizeof *p->live;
  if (bytes > LIVE_BYTES_MAX || !p->ncode) return false;
  uint64_t *rows = mem_zero(&st->mem, bytes);
  uint32_t *starts = mem_get(&st->mem, p->ncode * sizeof *starts);
  bool ok = rows && starts && solve(&l);
  if (ok) {
    for (uint32_t k = 0; k < l.nb; k++) write_rows(&l, k, rows, starts);
    p->live = rows;
    p->live_words = l.words;
  } else {
    mem_put(&st->mem, rows, bytes);
  }
  mem_put(&st->mem, starts, p->ncode * sizeof *starts);
  live_free(&l);
  return ok;
}
