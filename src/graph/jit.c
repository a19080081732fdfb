/* jit: the C compiler makes the scans of a program (emit.c) into a shared object, in the background
   (cc.h), when evaluations have taken LONG_ENOUGH; or where there are none to speak of, its blocks
   (fused_cc.c), for which it takes longer and brings less, when they have taken BLOCKS_LONG.
   Evaluations go on meanwhile.  Since the code gives the same bits (emit.c), it does not matter
   when it comes in, or whether. */
#include "graph/jit.h"
#include "graph/cc.h"
#include "graph/fused_cc.h"
#include "num/level.h"
#include <stdio.h>
#include <string.h>

#define LONG_ENOUGH 50000.0          /* microseconds */
#define WORTH 0.3                    /* microseconds of an evaluation in scans, at least */
#define BLOCKS_LONG 3e6
#define BLOCKS_WORTH 0.5
enum { ASK = 2000 };                 /* microseconds between looks at the compiler */

struct jit {
  norn_state *st;
  enum { JIT_IDLE, JIT_BUILDS, JIT_RUNS, JIT_NEVER } state;
  int64_t left;                      /* evaluations until the next look */
  double us;                         /* of an evaluation */
  bool blocks;                       /* it is these */
  cc *made;
};

static void *symbol(cc *made, const char *what, size_t k)
{
  char name[60];
  snprintf(name, sizeof name, "norn_%s_%zu", what, k);
  return cc_symbol(made, name);
}

static void take_blocks(program *p, const jit *j)
{
  for (size_t k = 0; k < p->nfused; k++) {
    fused_fn *f = NULL;
    void *at = symbol(j->made, "block", k);
    memcpy(&f, &at, sizeof f);
    if (f) p->fused[k].code = fused_code_new(p, &p->fused[k], f);
  }
}

/* Takes the functions from an object that is ready. */
static void look(program *p, jit *j, bool wait)
{
  cc_state state = cc_look(j->made, wait);
  if (state == CC_BUILDS) return;
  j->state = state == CC_READY ? JIT_RUNS : JIT_NEVER;
  if (state == CC_READY && j->blocks) take_blocks(p, j);
  for (size_t k = 0; state == CC_READY && !j->blocks && k < p->nscan; k++) {
    scan *s = &p->scan[k];
    if (!jit_wants(s)) continue;
    void *f = symbol(j->made, "forward", k), *b = symbol(j->made, "backward", k);
    memcpy(&s->forward, &f, sizeof f);
    memcpy(&s->backward, &b, sizeof b);
  }
}

static void begin(program *p, jit *j)
{
  static const char *const base[] = {NULL}, *const avx2[] = {"-mavx2", NULL},
                    *const avx512[] = {"-mavx512f", "-mavx512dq", "-mavx512vl", NULL};
  static const char *const *const flags[] = {base, avx2, avx512};
  size_t n, size;
  int level = level_best();
  char *words = j->blocks ? fused_cc_program(p, 2 << level, &n, &size) : jit_text(p, &n, &size);
  j->state = JIT_NEVER;
  if (!words || !(j->made = cc_new(j->st, words, n, size, j->blocks ? flags[level] : NULL))) return;
  j->state = JIT_BUILDS;
  cc_start(j->made);
  look(p, j, false);
}

/* ---- a program's code ------------------------------------------------------------------------ */

jit *jit_new(program *p)
{
  double us = 0;
  if (!cc_allowed(p->st)) return NULL;
  for (size_t k = 0; k < p->nscan; k++)
    if (jit_wants(&p->scan[k])) us += scan_cost(&p->scan[k]) / 1000;
  bool scans = us >= WORTH;
  if (!scans) us = 0;
  for (size_t k = 0; k < p->nfused && !scans; k++)
    if (fused_cc_wants(&p->fused[k])) us += fused_cost(p, &p->fused[k]);
  if (us < (scans ? WORTH : BLOCKS_WORTH)) return NULL;
  jit *j = norn_alloc(p->st, NULL, 0, sizeof *j);
  if (!j) return NULL;
  *j = (jit){.st = p->st, .us = us, .left = (int64_t)((scans ? LONG_ENOUGH : BLOCKS_LONG) / us), .blocks = !scans};
  return j;
}

void jit_free(jit *j)
{
  if (!j) return;
  cc_free(j->made);
  norn_alloc(j->st, j, sizeof *j, 0);
}

void jit_turn(program *p, jit *j)
{
  if (--j->left > 0) return;
  j->left = (int64_t)(ASK / j->us) + 1;
  norn_lock(j->st);                  /* clones may be in other threads */
  if (j->state == JIT_IDLE) begin(p, j);
  else if (j->state == JIT_BUILDS) look(p, j, false);
  else j->left = INT64_MAX;
  norn_unlock(j->st);
}

bool jit_wait(program *p, jit *j)
{
  if (!j) return false;
  if (j->state == JIT_IDLE) begin(p, j);
  if (j->state == JIT_BUILDS) look(p, j, true);
  return j->state == JIT_RUNS;
}
