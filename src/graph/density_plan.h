/* density_plan: what density_text.c (the loops) and density_plan.c (memory, tables, orders) share. */
#ifndef NORN_GRAPH_DENSITY_PLAN_H
#define NORN_GRAPH_DENSITY_PLAN_H
#include "graph/density_text.h"
#include "graph/op_text.h"
#include "graph/program.h"

enum { NOSLOT = 0xffffffffu, LONG = 64 };
/* In tables of gathered places: the last of its run in this thread; it goes to the thread's edge. */
#define RUN_LAST 0x80000000u
#define RUN_EDGE 0x40000000u
#define RUN_SLOT 0x3fffffffu

typedef struct plan {
  const program *p;
  density_code *o;
  text *t;
  blocks temp;
  bool f32;
  int T;
  uint32_t *slot;                      /* (nplace) or NOSLOT */
  uint8_t *inlined;                    /* (nfast) what its readers compute again: it is in no place */
  uint32_t *owner;                     /* (nplace) 1 + the instruction of `fast` whose result stands there */
  uint8_t *single;                     /* (nplace) 1: in registers r and a */
  uint32_t scratch, most;              /* numbers beyond 2 nslot in use now, at most */
  bool dirty;                          /* memory was written since the last SYNC */
  bool failed;                         /* no memory */
  struct known { const void *at; uint32_t order, n, offset; } *known; size_t nknown;
  uint32_t norder;
  size_t parts;                        /* of densities that were split */
} plan;

/* How the derivative of a gathered operand goes. */
typedef enum { GATHER_READ, GATHER_UNIQUE, GATHER_RUNS, GATHER_SCRATCH } gather_kind;
typedef struct gather {
  const uint32_t *places;
  gather_kind kind;
  uint32_t table;                      /* I: (n) slots to read, of RUNS with flags */
  uint32_t sums;                       /* I: (n) slots with flags in the order of sums */
  uint32_t spans, lasts;               /* RUNS, SCRATCH: I: (T) threads to add, and to which slot */
  bool spanned;
  uint32_t order;                      /* SCRATCH: I: derivatives in the order of sums */
} gather;

/* A loop over n elements; element order[i] is the i-th (NULL: i), counted as threads take them: i =
   k T + thread.  id: of the order. */
typedef struct loop {
  uint32_t n, id;
  const uint32_t *order;
  gather *gather; size_t ngather;
  uint32_t *late; size_t nlate;         /* views (their first place) whose adjoints go by scratch */
} loop;

/* ---- density_plan.c ---- */
bool     plan_memory(plan *);          /* slots, singles */
/* The order of a loop over n elements of these instructions; adjoints: derivatives go to operands. */
void     plan_loop(plan *, loop *, uint32_t n, const instr *const *c, size_t nc, bool adjoints);
gather  *plan_gather(const loop *, const operand *);
/* Does the adjoint of this view go by scratch: another operand of the loop writes to the same places. */
bool     plan_late(const loop *, const operand *);
uint32_t plan_data(plan *, const loop *, const double *data);     /* D: offset of n numbers in the order */
uint32_t plan_view(plan *, const loop *, uint32_t place);         /* I: slots of n places from one on */
/* The instruction that makes all n elements of an operand and is inlined, or NULL; which of its elements, e. */
const instr *plan_inlined(plan *, const operand *, uint32_t n, uint32_t **e);
/* Elements e (m) of an operand, as simple as they are; parameter: constants of these are one number. */
operand  plan_part(plan *, const operand *, const uint32_t *e, uint32_t m, bool parameter);
uint32_t plan_scratch(plan *, uint32_t n);
uint32_t plan_index(plan *, const uint32_t *x, uint32_t n);

/* ---- density_call.c ---- */
const char *call_lacks(const graph_called *);          /* NULL: it has text; else what has none */
void     call_forward_text(plan *, const instr *, const call_instr *);
void     call_back_text(plan *, const instr *, const call_instr *);

/* ---- density_loop.c ---- */
void     put_sync(plan *);             /* if memory was written */
/* Adds an expression, the same in all threads, to the adjoint of a place. */
void     put_adjoint(plan *, uint32_t place, const char *e);
void     loop_forward(plan *, const instr *);              /* values of n > 1 elements into memory */
void     loop_fused(plan *, const fused *);                /* terms and derivatives */
void     loop_density(plan *, const instr *);              /* the same of a density alone */
void     loop_back(plan *, const instr *, unsigned which); /* derivatives, adjoints in memory */
/* Are the parameters constants that are inside: then nobody need ask. */
bool     is_inside(const instr *);
/* A literal into a name of NAME bytes. */
enum { NAME = 96 };
void     put_literal(char *to, double x, mem *);
/* A place as an expression. */
void     place_name(const plan *, char *to, uint32_t place);
#endif
