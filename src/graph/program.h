/* program.h: the compiled form of a graph (graph.h), between program.c, which makes it, and exec.c.

   Every node that is no constant has a place in one array of numbers, `value`; its adjoint has the
   same place in `adjoint`.  The members of a unit (schedule.h) stand side by side:

       value    | inputs | columns of scans | unit 1 ..... | results of call 1 | unit 2 ....... |
                  u                           n numbers                          <- instr[k].to

   An operand of an instruction over n elements is one place for all (SCALAR), n places from one on
   (VIEW), n places by a list (GATHER), or constants: one (NUMBER) or n (DATA). */
#ifndef NORN_GRAPH_PROGRAM_H
#define NORN_GRAPH_PROGRAM_H
#include "graph/level.h"
#include "graph/record.h"

/* Memory that is given back as a whole, zeroed, with a register of padding. */
typedef struct blocks {
  norn_state *st;
  void **block; size_t n, cap;
  size_t *size; size_t cap_size;
} blocks;
void *blocks_get(blocks *, size_t n);                              /* NULL: error set */
void  blocks_free(blocks *);

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

/* Steps that need one another (the carry of a loop): T times the same P operations.  Operation q of
   step t stands at column[q].c.to + t; an operand that another operation of the scan makes, lag steps
   before, is a view of its column that starts lag places early, on the numbers with which the scan
   begins (`start`):

       column q of lag 2:   | start -2 | start -1 | t = 0 | t = 1 | ... | t = T - 1 |
                                                  ^ to
   Only these operands go step by step, forwards and back; all else about the columns is lane work
   (scan.c). */
typedef struct scan_column {
  instr c;                           /* n = T; inner operands: VIEW */
  unsigned inner;                    /* bit j: operand j is made in this scan */
  double *gathered[2], *slope[2];    /* (T) room; NULL: not needed */
  const double *in[2]; int step[2];  /* operands of this evaluation: n numbers or one */
} scan_column;
typedef struct scan_edge {           /* the adjoint of `from` flows to `to` (places), by a slope */
  uint32_t column, operand, from, to;
  double sign;                       /* of ADD, SUB, NEG; 0: the slope is a number */
  const double *slope; int step; bool finite;          /* of this evaluation */
} scan_edge;
typedef struct scan_start { uint32_t to, from; } scan_start;   /* place or, with bit 31, constant */
typedef struct scan {
  uint32_t P, T;
  scan_column *column;               /* (P) */
  scan_edge *edge; size_t nedge;     /* in the order of the backward steps */
  scan_start *start; size_t nstart;  /* those that must be copied */
  int kind;                          /* SCAN_ANY, SCAN_AFFINE: column 1 is a + b times itself before */
} scan;
enum { SCAN_ANY, SCAN_AFFINE, G_SCAN = G_COUNT };

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
  instr *code; size_t ncode;
  call_instr *call; size_t ncall;
  scan *scan; size_t nscan;          /* G_SCAN: aux */
  /* log density = base + sum over term of value: places of the nodes that are terms */
  double base;
  uint32_t *term; size_t nterm;
  uint32_t *term_of;                 /* index of the graph's term */
  graph_guard *guard; size_t nguard; /* a, b: places or, with bit 31, constants */
  blocks own;
};

/* Elements k .. k+n of an operand (n numbers, or one: *step 0), gathered into buffer if they are
   scattered; and derivatives added to the adjoints of what they are (exec.c). */
const double *operand_fetch(const program *, const operand *, int64_t k, int64_t n, double *buffer,
                            int *step);
void          operand_spread(program *, const operand *, int64_t k, int64_t n, const double *d);
/* Backwards through an elementwise instruction, into those operands of which bit j of `which` is set. */
void          instr_backward(program *, const instr *, unsigned which);

void scan_forward(program *, scan *);
void scan_backward(program *, scan *);
#endif
