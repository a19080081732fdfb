/* branch.h: branches on nodes, whose two ways a driver goes both (branch.c). */
#ifndef NORN_LANG_BRANCH_H
#define NORN_LANG_BRANCH_H
#include "lang/symbolic/node.h"
#include "lang/run.h"

/* Does this run stand still before branches on nodes; cold. */
static inline bool branch_stops(const norn_run *r)
{
  return (r->flags & (NORN_RUN_BRANCHES | RUN_GUARDED)) == NORN_RUN_BRANCHES;
}
/* The branch that was to leave a guard has. */
static inline void branch_passed(norn_run *r) { r->flags &= ~RUN_GUARDED; }
/* The saved run stands before the branch `x op y`.  1: that is on nodes: *ev; 0: it isn't; -1: error set. */
int  branch_event(norn_run *r, norn_event *ev, arith op, val x, val y);
/* Of a comparison whose result is a value: in such a run it is a node.  NONE without an error: not here. */
val  branch_value(norn_state *, arith op, val x, val y);
void branch_free(norn_state *);                          /* all code of ways; the state ends */
#endif
