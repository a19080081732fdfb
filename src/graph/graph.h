/* graph: a program's arithmetic, recorded and compiled to vector code with its derivative.

   A *run* of a program with nodes in place of some numbers records what it does to them:

       lang (arith_slow, math, branches) --> record.c: nodes, guards, target terms
                                                |  graph_compile (program.c)
                                                v
                                             program: groups, each one vector instruction
                                                |  program_eval (exec.c, exec_level.c)
                                                v
                                             log density, gradient, values of all nodes

   Nodes are scalars.  A loop of the program leaves n like nodes; program.c finds them again: nodes
   of one operation whose operands lie in the same groups are one group, an instruction over an
   array.  Loops so keep their shape whatever way they were written (for, map, recursion, nested,
   with branches on data), and what does not fit is a group of its own: slower, equally right.
   (DESIGN 4 records plates symbolically instead; recording the unrolled run costs some hundred
   nanoseconds a node once, needs no second meaning of indices, and has no fall-back to be different
   in.)

   A node as a Norn value (norn_datum): tag NORN_NODE | index << 32, payload the number that it has
   in this run.  Of a branch both ways are recorded, if the driver can do that
   (infer/gradient/density_branch.c), and what differs behind it is chosen by its condition
   (graph_choose); else it takes the side that this number chooses and leaves a *guard*; where a guard
   does not hold the graph is not valid and the program is recorded anew. */
#ifndef NORN_GRAPH_H
#define NORN_GRAPH_H
#include "norn.h"

/* X(NAME, number of operands).  FUN1: a real function of a native, by number (aux).  LT, LE and EQ are 1 or
   0; WHEN is y where x is not 0, else 0, UNLESS the contrary, OR_ONE is y where x is not 0, else 1: what they
   leave out may be anything, NaN too, and gets no derivative (branches: graph_choose). */
#define GRAPH_OPS(X) \
  X(INPUT, 0) X(CONST, 0) X(PART, 0) \
  X(ADD, 2) X(SUB, 2) X(MUL, 2) X(DIV, 2) X(POW, 2) X(NEG, 1) X(MIN, 2) X(MAX, 2) \
  X(LT, 2) X(LE, 2) X(EQ, 2) X(WHEN, 2) X(UNLESS, 2) X(OR_ONE, 2) X(LOG_ADD_EXP, 2) \
  X(EXP, 1) X(LOG, 1) X(LOG1P, 1) X(EXPM1, 1) X(SQRT, 1) X(SQUARE, 1) X(ABS, 1) X(INV, 1) \
  X(INV_LOGIT, 1) X(LOG1P_EXP, 1) X(LOGIT_JACOBIAN, 1) X(FUN1, 1) X(DENSITY, -1)
typedef enum {
#define X(name, n) G_##name,
  GRAPH_OPS(X)
#undef X
  G_COUNT
} graph_op;
extern const char *const graph_op_names[G_COUNT];

/* A function of several numbers with several results, recorded as one: a matrix product, the map of
   a simplex, the density of a vector. */
typedef struct graph_call {
  const char *name;
  /* in (nin) -> out (nout); false: outside of its domain */
  bool (*forward)(void *self, const double *in, double *out);
  /* adds gout' J to gin */
  void (*adjoint)(void *self, const double *in, const double *out, const double *gout, double *gin);
  void (*free)(norn_state *, void *self);
  bool total;             /* nothing is outside of its domain */
  bool uses_state;        /* it asks the state (memory, errors, runs): one thread at a time */
} graph_call;

typedef struct graph_node { uint16_t op, nargs; uint32_t args; uint64_t aux; } graph_node;
/* The three relations of guards, and what they were. */
typedef enum { GUARD_LT, GUARD_LE, GUARD_EQ } guard_kind;
typedef struct graph_guard { uint8_t kind, held; uint32_t a, b; norn_span span; } graph_guard;
typedef struct graph_term { uint32_t node; norn_span span; } graph_term;
/* The way of a branch, inside of another or NULL: where c is not 0, or (negated) where it is. */
typedef struct graph_way { struct graph_way *up; norn_datum c, here; bool negated; } graph_way;
/* A branch of which both ways are there: its condition, 1 or 0. */
typedef struct graph_branch { uint32_t condition; norn_span span; } graph_branch;
typedef struct graph_called {
  const graph_call *type;
  void *self;
  uint32_t nin, nout, first, args;     /* results are the nodes first .. first + nout - 1 */
} graph_called;

typedef struct graph {
  norn_state *st;
  graph_node *node; double *value; size_t nnode, cnode, cvalue;
  uint32_t *arg; size_t narg, carg;
  uint32_t *table; size_t mask;        /* nodes by hash of what they are: equal ones are one */
  graph_guard *guard; size_t nguard, cguard;
  graph_branch *branch; size_t nbranch, cbranch;
  bool plain;                          /* comparisons of nodes are not nodes */
  struct graph_way *way;               /* that is recorded: it counts only where it is gone; or NULL */
  bool partial;                        /* it has met what would be outside of its domain elsewhere */
  norn_span place;                     /* of the comparison that leaves a guard */
  graph_term *term; size_t nterm, cterm;
  graph_called *call; size_t ncall, ccall;
  size_t ninput;
  bool whole;                          /* inputs may be values of discrete families (incremental.h) */
  bool traced;                         /* `where` (nnode) is kept: the place of `now`, or
                                          norn_here */
  norn_span *where, now; size_t cwhere;
  bool failed;                         /* out of memory: the error is set */
} graph;

graph *graph_new(norn_state *);                                   /* NULL: error set */
void   graph_free(graph *);

/* ---- recording.  A datum is a node or a number; results are nodes, or numbers where no operand is
   a node; NONE: no memory ---- */
static inline bool graph_is_node(norn_datum x) { return (x.tag & 255) == NORN_NODE; }
static inline uint32_t graph_index(norn_datum x) { return (uint32_t)(x.tag >> 32); }
norn_datum graph_input(graph *, double value);                    /* the next element of u */
norn_datum graph_op1(graph *, graph_op, norn_datum x);
norn_datum graph_op2(graph *, graph_op, norn_datum x, norn_datum y);
/* A native's real function, if its derivative is known; NONE without an error: it is not. */
norn_datum graph_math(graph *, const char *name, double (*f)(double), norn_datum x);
/* Nodes with one of these in their tags are truth values, 1 or 0, or whole numbers: results that programs
   return become such.  graph_truth: x, which is 1 or 0, or 1 - x, as one.  NONE: no memory. */
enum { NODE_TRUTH = 1 << 8, NODE_WHOLE = 1 << 9 };
norn_datum graph_truth(graph *, bool negated, norn_datum x);
/* x where the node c is not 0, else y; numbers or truth values.  NONE: no memory, or (without an error)
   one is a number and the other a truth value. */
norn_datum graph_choose(graph *, norn_datum c, norn_datum x, norn_datum y);
/* 1 where a way is gone, else 0, as a node; NONE: no memory. */
norn_datum graph_here(graph *, graph_way *);
bool       graph_branched(graph *, norn_datum condition, norn_span);
/* Does x < y (x <= y, x == y) hold here; leaves a guard. */
bool       graph_compare(graph *, guard_kind, norn_datum x, norn_datum y);
/* The log density of a SCALAR row at x; `term`: it will only be a term of the target. */
norn_datum graph_density(graph *, const norn_dist_row *, norn_datum x, const norn_datum *p, int n,
                         bool term);
/* The log density of any distribution at x; its arguments or x may hold nodes.  graph_observe adds
   it to the target, element by element where it is a product. */
norn_datum graph_logpdf(graph *, const norn_dist *, norn_datum x, bool term);
bool       graph_observe(graph *, const norn_dist *, norn_datum x, norn_span);
/* Calls f with the log density of each part of x that is a term by itself: the elements of a
   product. */
bool       graph_rows(graph *, const norn_dist *, norn_datum x,
                      bool (*f)(void *user, norn_datum lw), void *user);
/* The k-th leaf of a distribution (norn_dist_leaves): a node or a number; NONE: there is none. */
norn_datum graph_leaf(const norn_dist *, int64_t k);
/* The bounds of each of n units of a distribution whose leaves are nodes, as nodes; out (2 n):
   lower ones first.  By norn_dist_bounds and its reverse mode. */
bool       graph_bounds(graph *, const norn_dist *, int64_t n, norn_datum *out);
/* out (m) = x (m, n) of numbers times v (n); values (m) is scratch. */
bool       graph_matvec(graph *, const norn_view *x, const norn_datum *v, double *values,
                        norn_datum *out);
/* A call; takes self.  out (nout). */
bool       graph_called_new(graph *, const graph_call *, void *self, const norn_datum *in,
                            uint32_t nin, const double *values, norn_datum *out, uint32_t nout);
norn_datum graph_sum(graph *, const norn_datum *x, int64_t n);
/* Adds x to the log density. */
bool       graph_target(graph *, norn_datum x, norn_span);

/* ---- the compiled form ---- */
typedef struct program program;
program *program_new(const graph *);                              /* NULL: error set */
void     program_free(program *);
typedef enum { EVAL_OK, EVAL_OUTSIDE, EVAL_GUARD } eval_status;
/* log density at u (n inputs) and its gradient (n; NULL: not wanted).  OUTSIDE: log density -inf,
   or a parameter left its domain; blame: the term, or (size_t)-1.  GUARD: blame is the first guard
   that does not hold. */
eval_status program_eval(program *, const double *u, double *logp, double *gradient, size_t *blame);
/* The same at POINTS points at once, u (POINTS, n), logp and status (POINTS), gradient (POINTS, n; NULL:
   not wanted): each has its own status; where it is not OK logp is -inf and the gradient is not told.
   false: no memory, error set. */
enum { POINTS = 8 };
bool program_many_pays(const program *);             /* rather than one after the other */
bool program_eval_many(program *, const double *u, double *logp, double *gradient, eval_status *status);
/* What a program is made of: arrays of n operations, n sums of `steps` products, scans of n steps
   of `steps` operations, calls (n numbers to `steps`), densities, those that are only terms, the guards
   of its graph, and branches of which it has both ways.  fused: it runs in blocks together with others. */
typedef enum { PART_ARRAY, PART_LINEAR, PART_SCAN, PART_CALL, PART_DENSITY, PART_TERM, PART_GUARD,
               PART_BRANCH } part_kind;
typedef struct program_part {
  part_kind kind;
  const char *name;
  uint32_t n, steps;
  bool affine, fused;
  norn_span span;
} program_part;
bool     program_parts(const program *, const graph *, void (*f)(void *user, const program_part *),
                       void *user);
/* The number that a node has at the last point, which must have been evaluated without a gradient:
   with one, not every node is given its value. */
double   program_value(const program *, uint32_t node);

/* What an evaluation with a gradient does, for norn explain (cost.c). */
typedef struct program_stats {
  size_t instructions, elements;     /* in all: those of scans and blocks are counted one by one */
  size_t count[G_COUNT], elements_of[G_COUNT];       /* instructions and elements by operation */
  size_t linears;                    /* linear predictors in one piece */
  size_t blocks;                     /* densities that run with what serves only them */
  size_t scans, longest, affine;     /* loops with a carry; most steps; those that are a + b c */
  size_t generated;                  /* scans that run as code of the C compiler by now */
  size_t guards;
  double us;                         /* predicted microseconds */
  double prepare_ms;                 /* that compiling took */
} program_stats;
void program_stats_of(const program *, program_stats *);
/* A loop with a carry: operations of a step, steps (1: no loop, steps without a rule). */
typedef struct program_scan { size_t operations, steps; bool affine; } program_scan;
/* Waits until the C compiler has made what it will (jit.h); false: there is no such code.
   Evaluations give the same bits before and after. */
bool         program_generate(program *);
size_t       program_scans(const program *);
program_scan program_scan_at(const program *, size_t i);
#endif
