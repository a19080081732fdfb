/* jit: the C compiler makes the scans of a program (emit.c) into a shared object, in the
   background (cc.h), when evaluations have taken LONG_ENOUGH.  Evaluations go on meanwhile.  Since the code
   gives the same bits (emit.c), it does not matter when it comes in, or whether. */
#include "graph/jit.h"
#include "graph/cc.h"
#include <stdio.h>
#include <string.h>

#define LONG_ENOUGH 50000.0          /* microseconds */
#define WORTH 0.3                    /* microseconds of an evaluation in scans, at least */
enum { ASK = 2000 };                 /* microseconds between looks at the compiler */

struct jit {
  norn_state *st;
  enum { JIT_IDLE, JIT_BUILDS, JIT_RUNS, JIT_NEVER } state;
  int64_t left;                      /* evaluations until the next look */
  double us;                         /* of an evaluation */
  cc *made;
};

static void *symbol(cc *made, const char *what, size_t k)
{
  char name[60];
  snprintf(name, sizeof name, "norn_%s_%zu", what, k);
  return cc_symbol(made, name);
}

/* Takes the functions from an object that is ready. */
static void look(program *p, jit *j, bool wait)
{
  cc_state state = cc_look(j->made, wait);
  if (state == CC_BUILDS) return;
  j->state = state == CC_READY ? JIT_RUNS : JIT_NEVER;
  for (size_t k = 0; state == CC_READY && k < p->nscan; k++) {
    scan *s = &p->scan[k];
    if (!jit_wants(s)) continue;
    void *f = symbol(j->made, "forward", k), *b = symbol(j->made, "backward", k);
    memcpy(&s->forward, &f, sizeof f);
    memcpy(&s->backward, &b, sizeof b);
  }
}

static void begin(program *p, jit *j)
{
  size_t n, size;
  char *text = jit_text(p, &n, &size);
  j->state = JIT_NEVER;
  if (!text || !(j->made = cc_new(j->st, text, n, size, NULL))) return;
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
  if (us < WORTH) return NULL;
  jit *j = norn_alloc(p->st, NULL, 0, sizeof *j);
  if (!j) return NULL;
  *j = (jit){.st = p->st, .us = us, .left = (int64_t)(LONG_ENOUGH / us)};
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
