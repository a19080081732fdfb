/* program.h: the compiled form of a graph (graph.h), between program.c, which makes it, and exec.c.

   Every node that is no constant has a place in one array of numbers, `value`; its adjoint has the
   same place in `adjoint`.  The members of a group stand side by side:

       value    | inputs | group 1 ..... | group 2 | results of call 1 | group 3 ....... |
                  u        n numbers                                     <- instr[k].to

   An operand of an instruction over n elements is one place for all (SCALAR), n places from one on
   (VIEW), n places by a list (GATHER), or constants: one (NUMBER) or n (DATA). */
#ifndef NORN_GRAPH_PROGRAM_H
#define NORN_GRAPH_PROGRAM_H
#include "graph/level.h"
#include "graph/record.h"

typedef enum { FROM_SCALAR, FROM_VIEW, FROM_GATHER, FROM_NUMBER, FROM_DATA } operand_kind;
typedef struct operand {
  operand_kind kind;
  uint32_t at;                       /* SCALAR, VIEW: the (first) place */
  const uint32_t *places;            /* GATHER: (n) */
  const double *data;                /* NUMBER (1), DATA (n) */
} operand;

enum { OPERANDS = 1 + NORN_DIST_P };
typedef struct instr {
  uint16_t op, nargs;
  bool target;                       /* DENSITY: only added to the log density, never read */
  uint32_t n, to;                    /* elements; their first place */
  uint64_t aux;                      /* as a node's; PART: the call */
  operand arg[OPERANDS];
  double *slope[OPERANDS];           /* DENSITY, not target: (n) its derivatives; NULL: constant */
  size_t first_term;                 /* target: the first of its terms, for blame */
} instr;

/* Where the inputs of a call come from, and room for them and their adjoints. */
typedef struct call_instr {
  graph_called c;
  operand *in;                       /* (nin) SCALAR or NUMBER */
  double *x, *gx, *y, *gy;
} call_instr;

struct program {
  norn_state *st;
  const exec_level *level;           /* the registers of this CPU */
  size_t ninput, nplace, nnode;
  double *value, *adjoint;           /* (nplace) */
  uint32_t *place;                   /* (nnode) of each node; constants: index into `constant` */
  double *constant;
  instr *code; size_t ncode, ccode;
  call_instr *call; size_t ncall;
  /* log density = base + sum over term of value: places of the nodes that are terms */
  double base;
  uint32_t *term; size_t nterm;
  uint32_t *term_of;                 /* index of the graph's term */
  graph_guard *guard; size_t nguard; /* a, b: places or, with bit 31, constants */
  void **block; size_t nblock, cblock;      /* memory to free, with its sizes */
  size_t *block_size; size_t cblock_size;
};
#endif
