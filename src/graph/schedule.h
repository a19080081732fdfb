/* schedule: which nodes of a graph become one instruction, and in which order (schedule.c), between
   it and program.c. */
#ifndef NORN_GRAPH_SCHEDULE_H
#define NORN_GRAPH_SCHEDULE_H
#include "graph/program.h"

enum { CONSTANT = 0x7fffffff };      /* the group of constants */
/* Nodes of one operation whose operands lie in the same groups. */
typedef struct group { uint64_t hash; uint32_t of[OPERANDS]; uint64_t aux; uint32_t head, n, last;
                       uint16_t op, nargs; } group;
/* What runs as one: n nodes of one operation, or the T steps of a scan, t * P + q. */
typedef struct unit { uint32_t first, n, P, T; } unit;             /* first: in member; P 0: no
                                                                      scan */

typedef struct schedule {
  const graph *g;
  blocks temp;
  uint32_t *of;                      /* (nnode) group of each node */
  uint32_t *next, *uses;             /* (nnode) members of a group as a list */
  size_t nhot;                       /* nodes used HOT times or more */
  group *group; size_t ngroup, cgroup;
  uint32_t *table; size_t mask;
  graph room;
  /* the result; group 0, the inputs, is no unit */
  uint32_t *member;                  /* (nnode) nodes of the units in a row */
  uint32_t *index;                   /* (nnode) of a node in `member` */
  size_t nmember;
  uint32_t *at;                      /* (nnode) roll.c: of a node in its chain */
  unit *unit; size_t nunit, cunit;
} schedule;

enum { OWN = 0x40000000 };
bool schedule_make(schedule *, const graph *);                     /* false: no memory, error set */
void schedule_free(schedule *);
/* Operand j of node i. */
static inline uint32_t schedule_arg(const schedule *s, uint32_t i, int j)
{
  return s->g->arg[s->g->node[i].args + (uint32_t)j];
}
/* Units of chained nodes (roll.c): scans and, before and between, steps without a rule as scans of
   one turn.  chain (n) is sorted; cls: of each group. */
bool schedule_roll(schedule *, const uint32_t *chain, uint32_t n, const uint32_t *cls);
bool schedule_unit(schedule *, const uint32_t *nodes, uint32_t n, uint32_t P, uint32_t T);

/* In a scan (unit u): is operand j of operation q made in the scan; by which one, how many steps
   before. */
typedef struct scan_link { bool inner; uint32_t q, lag; } scan_link;
scan_link schedule_link(const schedule *, const unit *u, uint32_t q, int j);
#endif
