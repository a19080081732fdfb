/* program.h: the compiled form of a graph (graph.h), between program.c, which makes it, and exec.c.

   Every node that is no constant has a place in one array of numbers, `value`; its adjoint has the
   same place in `adjoint`.  The members of a unit (schedule.h) stand side by side:

       value    | inputs | columns of scans | unit 1 ..... | results of call 1 | unit 2 ....... |
                  u                           n numbers                          <- instr[k].to

   An operand of an instruction over n elements is one place for all (SCALAR), n places from one on
   (VIEW), n places by a list (GATHER), or constants: one (NUMBER) or n (DATA).

   There are two lists of instructions.  `code` gives every node its value.  `fast`, for gradients,
   does the same sums in the same order, but what only serves a density over n elements is run with
   it, some elements at a time (fuse.c): such values (LOCAL) are in no place. */
#ifndef NORN_GRAPH_PROGRAM_H
#define NORN_GRAPH_PROGRAM_H
#include "graph/level.h"
#include "graph/record.h"

/* Memory that is given back as a whole, zeroed, with a register of padding, from a line of the cache on. */
typedef struct blocks {
  norn_state *st;
  void **block; size_t n, cap;
  size_t *size; size_t cap_size;
} blocks;
void *blocks_get(blocks *, size_t n);                              /* NULL: error set */
void  blocks_free(blocks *);

typedef enum {
  FROM_SCALAR, FROM_VIEW, FROM_GATHER, FROM_LOCAL, FROM_NUMBER, FROM_DATA
} operand_kind;
/* Where elements of a GATHER come from often: those of one place stand together in `order`, in each
   chunk, so that their adjoints are summed before they are added. */
typedef struct segments {
  const uint32_t *order;             /* (n) element in its chunk; NULL: they do already */
  const uint32_t *place, *end;       /* of each segment; end: in its chunk */
  const uint32_t *first;             /* of each chunk, and the end: its first segment */
} segments;
typedef struct operand {
  operand_kind kind;
  uint32_t at;                       /* SCALAR, VIEW: the (first) place; LOCAL: buffer of the
                                        block */
  const uint32_t *places;            /* GATHER: (n) */
  const segments *segments;          /* GATHER: or NULL */
  const double *data;                /* NUMBER (1), DATA (n) */
} operand;

enum { OPERANDS = 1 + NORN_DIST_P };
typedef struct instr {
  uint16_t op, nargs;
  bool target;                       /* only added to the log density, never read: its members are
                                        terms */
  bool whole;                        /* DENSITY: registers may be filled with elements beyond n */
  uint32_t n, to;                    /* elements; their first place */
  uint64_t aux;                      /* as a node's; PART: the call */
  operand arg[OPERANDS];
  double *slope[OPERANDS];           /* DENSITY, not target: (n) its derivatives; NULL: constant */
  const uint32_t *term;              /* target: (n) terms of its elements, for blame (one, if n is 1) */
} instr;

/* Rows of sums of products (level.h): arg[0] of the instruction is `init`, if it has one. */
typedef struct linear {
  uint32_t terms;
  operand *b;                        /* (terms) SCALAR or NUMBER */
  const double **col;                /* (terms) */
  double *value, *slope;             /* (terms) of this evaluation */
} linear;

/* Instructions of one length, run CHUNK elements at a time, the last one a target; then backwards.
   Values, adjoints and slopes stand in buffers of CHUNK numbers. */
typedef struct fused_step {
  instr c;
  uint32_t value, adjoint;           /* buffers of its results */
  uint32_t slope[OPERANDS];          /* DENSITY: of its derivatives */
  uint32_t to[OPERANDS];             /* LOCAL: buffer of the operand's adjoint */
  unsigned which, first;             /* operands with derivatives; those whose buffer is written
                                        first */
} fused_step;
typedef struct fused {
  uint32_t n, nstep; fused_step *step;
  struct fused_code *code;           /* made by the C compiler (jit.h), or NULL: not yet */
} fused;
enum { CHUNK = 256, BUFFER = CHUNK + 8 };       /* what a buffer of a chunk holds */

/* Steps that need one another (the carry of a loop): T times the same P operations.  Operation q of
   step t stands at column[q].c.to + t; an operand that another operation of the scan makes, lag
   steps before, is a view of its column that starts lag places early, on the numbers with which the
   scan begins (`start`):

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
struct jit_math;
typedef struct scan {
  uint32_t P, T;
  scan_column *column;               /* (P) */
  scan_edge *edge; size_t nedge;     /* in the order of the backward steps */
  scan_start *start; size_t nstart;  /* those that must be copied */
  /* made by the C compiler (jit.h); NULL: not yet */
  void (*forward)(double *value, const double *const *in, const struct jit_math *);
  void (*backward)(double *adjoint, const double *const *slope);
  const double **pointers;           /* (2 P) room for their arguments */
  struct loglinear *log;             /* of log probabilities (loglinear.c), or NULL */
  int kind;                          /* SCAN_ANY, SCAN_AFFINE: column 1 is a + b times itself
                                        before */
} scan;
enum { SCAN_ANY, SCAN_AFFINE };

/* Blocks that run elsewhere, on a GPU (gpu/bigdata.h); the program frees it. */
typedef enum { DEVICE_DONE, DEVICE_OUTSIDE, DEVICE_FAILED } device_result;
typedef struct program_device {
  const bool *has;                   /* (nfused) */
  /* fused_run there; FAILED: nothing was added, and the CPU does it */
  device_result (*run)(struct program_device *, program *, uint32_t block, bool gradient, double *sum);
  void (*free)(struct program_device *);
} program_device;

/* Operations of instructions beside those of nodes; aux: which scan, linear, fused. */
enum { G_SCAN = G_COUNT, G_LINEAR, G_FUSED };

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
  struct range { uint32_t from, n; } *clear; size_t nclear;   /* adjoints that are used, in
                                                                 pieces */
  uint32_t *place;                   /* (nnode) of each node; constants: index into `constant` */
  double *constant;
  instr *code; size_t ncode;
  call_instr *call; size_t ncall;
  instr *fast; size_t nfast;
  scan *scan; size_t nscan;
  linear *linear; size_t nlinear;
  fused *fused; size_t nfused;
  double *local;                     /* buffers, of one block at a time */
  program_device *device;            /* or NULL */
  uint32_t *block_of;                /* (ncode) 1 + the block that an instruction is part of; 0: none */
  bool behind;                       /* values of blocks on the device were not computed */
  /* log density = base + sum over term of value: places of the nodes that are terms */
  double base;
  struct many *many;                 /* many.c; NULL: not asked yet */
  struct jit *jit;                   /* or NULL */
  double prepare;                    /* CPU seconds that compiling took */
  uint32_t *term; size_t nterm;
  uint32_t *term_of;                 /* index of the graph's term */
  graph_guard *guard; size_t nguard; /* a, b: places or, with bit 31, constants */
  blocks own;
};

/* ---- ops.c: pieces of instructions, elements k .. k+n with n at most CHUNK ---- */

/* n numbers, or one: *step 0; gathered into buffer (n + 8) if they are scattered. */
const double *operand_fetch(const program *, const operand *, int64_t k, int64_t n, double *buffer,
                            int *step);
/* Adds derivatives to the adjoints of an operand; d is readable 4 beyond the n. */
void          operand_spread(program *, const operand *, int64_t k, int64_t n, const double *d);
/* Where derivatives go: operands of which bit j of `which` is set; into to[j], written if bit j of
   `first` is set and else added, or (NULL) to what the operand is. */
typedef struct flow_to { unsigned which, first; double *to[OPERANDS]; } flow_to;
/* Elementwise, FUN1 and linear instructions; z: their results, g: the adjoints. */
void piece_forward(program *, const instr *, int64_t k, int64_t n, double *out);
void piece_backward(program *, const instr *, int64_t k, int64_t n, const double *z,
                    const double *g,
                    const flow_to *);
/* Densities and where d[i] is not NULL the derivatives, with room for the rest of a register; false: a
   parameter outside of its domain. */
bool piece_density(const program *, const instr *, int64_t k, int64_t n, double *logp,
                   double *const *d);
/* The sums of n densities and, where they go to one number, of their derivatives in operand i (d[i] NULL: they
   are not wanted), as operand_spread adds them: total[0], total[1 + i]; others are not told. */
void density_sums(const program *, const instr *, int64_t n, const double *logp, double *const *d, double *total);
/* Adds n derivatives of operand j to where they go. */
void piece_flow(program *, const instr *, int j, int64_t k, int64_t n, const double *d,
                const flow_to *);
/* All elements backwards, into the operands `which`. */
void instr_backward(program *, const instr *, unsigned which);
/* The operands of an instruction that are no constants, as bits. */
unsigned instr_variable(const instr *);
static inline double flow(double g, double slope) { return g == 0 ? 0 : g * slope; }

bool program_linear(program *, uint32_t terms, linear *);          /* room; false: no memory */
/* Values that an evaluation without a gradient left out, since their blocks ran on the device. */
void program_catch_up(program *);
/* The predicted microseconds of a block on the CPU (cost.c), with a gradient. */
double fused_cost(const program *, const fused *);
bool program_fuse(program *);                                      /* fuse.c; false: no memory */
/* A block: adds its terms to *sum and with a gradient its derivatives to the adjoints; false: outside,
   *where: the element. */
bool fused_run(program *, const fused *, bool gradient, double *sum, int64_t *where);

double scan_cost(const scan *);                                   /* nanoseconds (cost.c) */
void scan_forward(program *, scan *);
bool loglinear_make(program *, scan *);                            /* sets scan.log; false: no
                                                                      memory */
bool loglinear_forward(program *, scan *);                         /* false: step by step, please */
void scan_backward(program *, scan *);
#endif
