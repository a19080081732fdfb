/* facts.c: what the code itself has made sure of.

   FIELD takes a field of a variant, REST the tail of an array and SREST a scope without looking: a
   test (JNTAG, JNARR) or a SSAVE stands before them on every path.  Here this is checked, by
   forward dataflow over facts about registers: at a place where paths meet only what all of them
   know holds.

   A fact is a word: 0 nothing, the tag of a variant, an array of at least so many elements, a
   scope. */
#include "lang/env.h"
#include "lang/compile/flow.h"
#include <string.h>

#define FACT_ARRAY  (1ull << 62)
#define FACT_SCOPE  (1ull << 63)
#define FACTS_MAX   ((size_t)1 << 22)     /* words; a larger function is not checked */

typedef struct facts {
  norn_state *st; const proto *p;
  uint32_t *at;                  /* (ncode) number of the state at a jump's target, + 1 */
  uint32_t n, *pc;               /* targets, and where they are */
  uint64_t *in;                  /* (n, nregs) facts there */
  uint64_t *now;                 /* (nregs) facts on the way */
  bool *known, *queued;
  uint32_t *queue, nqueue;
  int64_t wrong;
} facts;

static bool relevant(const proto *p)
{
  for (uint32_t pc = 0; pc < p->ncode; pc += 1 + (uint32_t)op_table[p->code[pc].op].nlit) {
    unsigned op = p->code[pc].op;
    if (op == OP_FIELD || op == OP_REST || op == OP_SREST) return true;
  }
  return false;
}

/* The entry and all targets of jumps. */
static bool find_targets(facts *f)
{
  const proto *p = f->p;
  flow w;
  f->at = mem_zero(&f->st->mem, p->ncode * sizeof *f->at);
  if (!f->at) return false;
  f->at[0] = 1;
  for (uint32_t pc = 0; pc < p->ncode; pc += (uint32_t)w.size) {
    flow_of(p->code, pc, &w);
    if (w.jumps) f->at[w.jump] = 1;
  }
  for (uint32_t pc = 0; pc < p->ncode; pc++)
    if (f->at[pc]) f->at[pc] = ++f->n;
  return true;
}

static uint64_t meet(uint64_t a, uint64_t b)
{
  if (a == b) return a;
  if (!(a & FACT_ARRAY) || !(b & FACT_ARRAY)) return 0;
  return a < b ? a : b;
}

/* The facts on the way also lead to target k. */
static void arrive(facts *f, uint32_t k)
{
  uint32_t nregs = f->p->nregs;
  uint64_t *in = f->in + (size_t)k * nregs;
  bool changed = !f->known[k];
  for (uint32_t r = 0; r < nregs; r++) {
    uint64_t v = f->known[k] ? meet(in[r], f->now[r]) : f->now[r];
    changed |= v != in[r];
    in[r] = v;
  }
  f->known[k] = true;
  if (!changed || f->queued[k]) return;
  f->queued[k] = true;
  f->queue[f->nqueue++] = k;
}

static uint64_t array_fact(int length)
{
  return FACT_ARRAY | (uint64_t)(length >= 0 ? length : -1 - length);
}

static bool allowed(const facts *f, const ins *x)
{
  uint64_t b = x->op == OP_SREST ? f->now[flow_reg(x->a)] : f->now[flow_reg(x->b)];
  uint64_t c = (uint64_t)(int16_t)x->c;
  if (x->op == OP_SREST) return b == FACT_SCOPE;
  if (x->op == OP_REST) return (b & FACT_ARRAY) && c <= (b & ~FACT_ARRAY);
  if ((b & 255u) != NORN_DATA) return false;
  const ctor *k = env_ctor(f->st, (uint32_t)(b >> 32));
  return k && c < k->arity;
}

/* What holds of the register that an instruction defines. */
static uint64_t fact_made(const facts *f, const ins *x)
{
  switch (x->op) {
  case OP_MOVE: return f->now[flow_reg(x->b)];
  case OP_SSAVE: return FACT_SCOPE;
  case OP_DATA: return x[1].u;
  case OP_ARRAY: return array_fact((int16_t)x->c);
  default: return 0;
  }
}

/* From target k on to the next target or the end of the path. */
static void walk(facts *f, uint32_t k)
{
  const proto *p = f->p;
  uint32_t nregs = p->nregs, pc = f->pc[k];
  memcpy(f->now, f->in + (size_t)k * nregs, nregs * sizeof *f->now);
  for (bool first = true; f->wrong < 0; first = false) {
    const ins *x = p->code + pc;
    flow w;
    if (!first && f->at[pc]) {
      arrive(f, f->at[pc] - 1);
      return;
    }
    flow_of(p->code, pc, &w);
    if ((x->op == OP_FIELD || x->op == OP_REST || x->op == OP_SREST) && !allowed(f, x))
      f->wrong = pc;
    uint64_t made = fact_made(f, x);
    for (uint32_t r = w.kill >= 0 ? (uint32_t)w.kill : nregs; r < nregs; r++) f->now[r] = 0;
    if (w.def >= 0) f->now[w.def] = made;
    if (w.jumps) arrive(f, f->at[w.jump] - 1);
    if (!w.next) return;
    if (x->op == OP_JNTAG && (x[1].u & 255u) == NORN_DATA) f->now[flow_reg(x->a)] = x[1].u;
    if (x->op == OP_JNARR) f->now[flow_reg(x->a)] = array_fact((int16_t)x->b);
    pc += (uint32_t)w.size;
  }
}

static bool solve(facts *f)
{
  mem *m = &f->st->mem;
  uint32_t nregs = f->p->nregs;
  f->in = mem_zero(m, (size_t)f->n * nregs * sizeof *f->in);
  f->now = mem_zero(m, nregs * sizeof *f->now);
  f->known = mem_zero(m, f->n);
  f->queued = mem_zero(m, f->n);
  f->queue = mem_get(m, f->n * sizeof *f->queue);
  f->pc = mem_get(m, f->n * sizeof *f->pc);
  if (!f->in || !f->now || !f->known || !f->queued || !f->queue || !f->pc) return false;
  for (uint32_t pc = 0; pc < f->p->ncode; pc++)
    if (f->at[pc]) f->pc[f->at[pc] - 1] = pc;
  arrive(f, 0);
  while (f->nqueue && f->wrong < 0) {
    uint32_t k = f->queue[--f->nqueue];
    f->queued[k] = false;
    walk(f, k);
  }
  return true;
}

int64_t facts_check(norn_state *st, const proto *p)
{
  facts f = {.st = st, .p = p, .wrong = -1};
  mem *m = &st->mem;
  if (!p->nregs || !relevant(p) || !find_targets(&f)) return -1;
  size_t sets = (size_t)f.n * p->nregs;
  if (sets <= FACTS_MAX && !solve(&f)) f.wrong = 0;
  mem_put(m, f.in, sets * sizeof *f.in);
  mem_put(m, f.now, p->nregs * sizeof *f.now);
  mem_put(m, f.known, f.n);
  mem_put(m, f.queued, f.n);
  mem_put(m, f.queue, f.n * sizeof *f.queue);
  mem_put(m, f.pc, f.n * sizeof *f.pc);
  mem_put(m, f.at, p->ncode * sizeof *f.at);
  return f.wrong;
}
