/* fuzz_code.c: changed bytecode is refused by the verifier or runs without harm.

   The input is a program.  It is compiled; then words of its code are changed one at a time, at
   places and in ways that follow from the text: a register, a jump, a literal, an operation.  What
   the verifier takes is run under small limits.  What a changed program computes does not matter,
   only that it ends and touches no memory that is not its own. */
#include "lang/env.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n);

enum { CHANGES = 60, PROTOS_MAX = 64, LARGEST_TEXT = 4096 };

static void no_output(void *user, const char *s, size_t n)
{
  (void)user;
  (void)s;
  (void)n;
}

/* No module but what is built in. */
static char *no_file(void *user, const char *name, const char *importer, size_t *n)
{
  (void)user;
  (void)name;
  (void)importer;
  *n = 0;
  return calloc(1, 1);
}

static norn_state *small_state(void)
{
  norn_config c = norn_config_default();
  c.no_foreign = c.no_files = true;      /* a mutation must not call or write anything outside */
  c.output = no_output;
  c.load = no_file;
  c.quiet = true;
  c.max_memory = 64 << 20;
  c.max_steps = 20000;
  c.max_depth = 2000;
  c.max_seconds = 1;
  return norn_new(&c);
}

static int collect(norn_state *st, const proto *until, proto **v)
{
  int n = 0;
  for (proto *p = st->protos; p && p != until && n < PROTOS_MAX; p = p->next)
    if (!p->stdlib && p->ncode) v[n++] = p;
  return n;
}

/* Changes one of the four fields of an instruction, or a whole word. */
static void change(ins *x, uint64_t r)
{
  uint16_t *field = r & 1 ? &x->b : &x->a;
  uint64_t small = r >> 16 & 63;
  switch (r >> 4 & 7) {
  case 0: x->op = (uint16_t)((r >> 24) % OP_COUNT); break;
  case 1: *field = (uint16_t)(small % 16 * 16); break;
  case 2: x->c = (uint16_t)(small % 16 * 16); break;
  case 3: x->c = (uint16_t)(small - 32); break;
  case 4: *field = (uint16_t)(small - 8); break;
  case 5: x->u = small; break;
  case 6: x->u ^= 1ull << (r >> 40 & 63); break;
  default: x->i += (int64_t)small - 32; break;
  }
}

/* Inline caches filled by an earlier run are none of the code. */
static void empty_caches(proto *p)
{
  for (uint32_t pc = 0; pc < p->ncode && p->code[pc].op < OP_COUNT;) {
    const op_info *o = &op_table[p->code[pc].op];
    for (int i = 0; i < o->nlit && pc + 1 + (uint32_t)i < p->ncode; i++)
      if (o->literals[i] == 'c') ((ins *)(uintptr_t)p->code)[pc + 1 + (uint32_t)i].u = 0;
    pc += 1 + (uint32_t)o->nlit;
  }
}

/* Constants are not changed, but code may use them for what they are not. */
static void run_changed(norn_state *st, proto *p, const proto *top)
{
  char why[300];
  uint64_t *live = p->live;
  norn_datum out;
  p->live = NULL;
  if (!code_verify(st, p, why, sizeof why) && code_liveness(st, p)) {
    norn_clear(st);
    st->steps = 0;
    norn_run *r = norn_run_new(st, v_obj(NORN_FUN, top->self), NULL, 0);
    if (r && norn_drive(st, r, &out) == NORN_OK) norn_show(st, out, true, 200);
    mem_put(&st->mem, p->live, (size_t)p->ncode * p->live_words * sizeof *p->live);
  }
  p->live = live;
}

int LLVMFuzzerTestOneInput(const uint8_t *s, size_t n)
{
  norn_state *st = n <= LARGEST_TEXT ? small_state() : NULL;
  if (!st) return 0;
  const proto *before = st->protos;
  proto *v[PROTOS_MAX];
  norn_run *r = norn_load(st, "fuzz", (const char *)s, n, 0);
  int count = r ? collect(st, before, v) : 0;
  if (r) norn_run_free(r);
  const proto *top = count ? v[0] : NULL;
  for (int i = 0; i < count; i++)
    if (v[i]->name && !strcmp(v[i]->name, "top level")) top = v[i];
  uint64_t seed = hash_bytes(s, n, 7);
  st->heap.stress = seed & 1;                /* every second input: collect at every safepoint */
  for (int i = 0; i < CHANGES && count && top->self; i++) {
    uint64_t k = hash_mix(seed + (uint64_t)i * 2 + 1), how = hash_mix(seed + (uint64_t)i * 2 + 2);
    proto *p = v[k % (unsigned)count];
    ins *at = (ins *)(uintptr_t)p->code + (k >> 20) % p->ncode, was = *at;
    empty_caches(p);
    was = *at;
    change(at, how);
    run_changed(st, p, top);
    *at = was;
  }
  norn_free(st);
  return 0;
}

#include "replay.h"
