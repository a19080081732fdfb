/* segment: what particles in lanes compute between two looks at their numbers, as data.

   In *deferred* mode the lanes of lang (lang/lanes/lanes.h) do not compute a vector for each operation; they
   append it here.  When a number is needed (a branch, an observation: the barrier) the segment is run
   over all lanes at once by a *backend*: generated C (segment_cc.c), a device (gpu/).

       lanes_arith, lanes_sample, ...                          out: vectors that are still read later
          | segment_op                                              ^
          v                                                          |
       op  0: LOAD  x, by the map of the last resampling      +------+------+
           1: SLOT  0.9                              ------>  |   backend   |  ----> weights of the leg
           2: MUL   1, 0                                      +------+------+
           3: DRAW  normal(2, ..)                                    |
           4: WEIGH (LOGP normal(y; 3, ..))                          +----> flags

   An operation is named by its place; its operands stand before it.  What does not change from leg to
   leg is the segment's *structure* (segment_hash, segment_same): a loop finds its compiled kernel again.
   Numbers that are the same in all lanes (the time, the datum, the event's counter) are slots, outside of
   the structure, and so are buffers, maps and weights.

   Lanes of many populations side by side are a *plate*: population f has the lanes f * each + i, a stream of
   its own, and of what differs between populations alone (their data, their parameters) one number, which its
   lanes read as they read a slot (PLATE).

   A flag says that some lane met what the lanes do not do (a parameter outside of its domain, a weight
   that is no number, an overflow, an index outside): nothing of the run counts then, and the leg is done
   again by lanes as they are.  Draws are functions of counters, so that nothing changes by it. */
#ifndef NORN_SEGMENT_H
#define NORN_SEGMENT_H
#include "norn.h"

typedef union segment_cell { double d; int64_t i; uint64_t u; } segment_cell;

/* Kinds of numbers: NORN_REAL, NORN_INT, NORN_BOOL (a boolean is the integer 0 or 1).

   X(NAME, operands), -1: as many as the operation says.
     LOAD   aux: input                      SLOT   aux: slot               PLATE  aux: plate
     ADD .. NEG, LT .. NE      of reals; comparisons give booleans
     IADD .. INEG              of integers; overflow: a flag
     ILT .. INE                of integers or booleans
     NOT                       of a boolean
     TOREAL                    an integer as a real
     NONZERO                   no value; an operand that is 0: a flag
     MAP                       fun(x): a real function of one number
     SELECT                    c, a, b: a where c, else b; a and b of the same kind
     INDEX                     i: element i of array aux; outside: a flag
     FIT                       x, lo, hi, reals; no value; outside: a flag
     GOOD                      row, parameters; no value; outside of their domain: a flag
     DRAW                      row, event word (a slot), parameters: a choice; GOOD came before.  Of kind
                               INT what fits no integer: a flag
     LOGP                      row, x, parameters: a log density
     WEIGH                     x; no value: added to the lane's log weight.  Real: NaN and +inf: a flag;
                               -inf: the flag SEGMENT_DYING.  BOOL: -inf where false
   Parameters and x of rows are reals. */
#define SEGMENT_OPS(X) \
  X(LOAD, 0) X(SLOT, 0) X(PLATE, 0) \
  X(ADD, 2) X(SUB, 2) X(MUL, 2) X(DIV, 2) X(NEG, 1) X(LT, 2) X(LE, 2) X(EQ, 2) X(NE, 2) \
  X(IADD, 2) X(ISUB, 2) X(IMUL, 2) X(INEG, 1) X(ILT, 2) X(ILE, 2) X(IEQ, 2) X(INE, 2) \
  X(NOT, 1) X(TOREAL, 1) X(NONZERO, 1) X(MAP, 1) X(SELECT, 3) X(INDEX, 1) X(FIT, 3) \
  X(GOOD, -1) X(DRAW, -1) X(LOGP, -1) X(WEIGH, 1)
typedef enum {
#define X(name, n) S_##name,
  SEGMENT_OPS(X)
#undef X
  S_COUNT
} segment_op_name;

enum { SEGMENT_ARGS = 1 + NORN_DIST_P };
typedef struct segment_op {
  uint8_t op, kind, n;            /* kind: of its value; 0: it has none */
  bool uniform;                   /* the same in all lanes (of a population): made of slots only */
  uint32_t aux;                   /* input, slot, plate, array; of MAP: number of the function in the segment */
  uint32_t arg[SEGMENT_ARGS];     /* operations before it */
  const norn_dist_row *row;       /* of GOOD, DRAW, LOGP */
  double (*fun)(double);          /* of MAP, with its name as programs write it */
  const char *name;
} segment_op;

/* A vector that is read: n numbers of 8 bytes on the host, or the backend's buffer.  map: 0: lane k is
   number k; else 1 + which of the segment's maps. */
typedef struct segment_input { const void *at; uint32_t map; uint8_t kind; } segment_input;
typedef struct segment_output { void *at; uint32_t op; } segment_output;
/* A number for each population of a plate: cells of the host, or the backend's buffer. */
typedef struct segment_plate { const void *at; uint8_t kind; } segment_plate;
/* Constant data of the program: n elements of NORN_F64, NORN_I64 or NORN_B8. */
typedef struct segment_array { const void *at; int64_t n; unsigned elem; } segment_array;

typedef struct segment {
  norn_state *st;
  segment_op *op; size_t nop, cop;
  segment_input *in; size_t nin, cin;
  segment_output *out; size_t nout, cout;
  segment_cell *slot; uint8_t *slot_kind; size_t nslot, cslot, cslot_kind;
  segment_plate *plate; size_t nplate, cplate;
  const void **map; size_t nmap, cmap;          /* (lanes) uint32_t on the host, or the backend's */
  segment_array *array; size_t narray, carray;
  uint32_t ndraw, nweigh, nfun;                 /* operations DRAW, WEIGH and MAP */
} segment;

/* ---- recording ---- */

segment *segment_new(norn_state *);                            /* NULL: no memory (error set) */
void     segment_free(segment *);
void     segment_clear(segment *);                             /* as new; keeps its memory */
/* The place of the new operation; -1: no memory (error set). */
int32_t  segment_load(segment *, unsigned kind, const void *at, uint32_t map);
int32_t  segment_slot(segment *, unsigned kind, segment_cell);
int32_t  segment_plate_of(segment *, unsigned kind, const void *at);
int32_t  segment_put(segment *, segment_op_name, unsigned kind, uint32_t n, const uint32_t *arg);
int32_t  segment_fun(segment *, double (*fun)(double), const char *name, uint32_t x);
/* aux: an array of segment_array_of. */
int32_t  segment_index(segment *, unsigned kind, uint32_t array, uint32_t i);
/* GOOD, DRAW, LOGP; arg: the event word or x first (not of GOOD), then the parameters. */
int32_t  segment_row(segment *, segment_op_name, unsigned kind, const norn_dist_row *, uint32_t n,
                     const uint32_t *arg);
/* 1 + the map's number (the same again for the same map); 0: no memory (error set). */
uint32_t segment_map(segment *, const void *map);
int32_t  segment_array_of(segment *, const void *at, int64_t n, unsigned elem);
bool     segment_output_to(segment *, uint32_t op, void *at);  /* false: no memory (error set) */

/* ---- structure ---- */

uint64_t segment_hash(const segment *);
bool     segment_same(const segment *, const segment *);       /* of the same structure */
segment *segment_shape(const segment *);                       /* a copy of its structure; NULL: no memory */

/* ---- backends ---- */

enum { SEGMENT_AGAIN = 1, SEGMENT_DYING = 2 };                 /* flags; DYING: a weight is -inf */

/* What a run is of.  Lanes are 0 .. n-1; lane k's counter is (k, event, iter, 0), its key the stream; of a plate
   (k % each, event, iter, 0) and streams[k / each].  Buffers, maps and weights on the host have room for 32 more;
   maps name valid places there. */
typedef struct segment_call {
  const segment *s;
  uint32_t n, iter;
  uint64_t stream;
  uint32_t plates, each;          /* populations, lanes of each; 0: there is no plate */
  const uint64_t *streams;        /* (plates) */
  double *weights;                /* (n) what the segment weighs, written, on the host; NULL: it weighs
                                     nothing, or the backend keeps the weights */
  unsigned flags;                 /* out */
} segment_call;

typedef enum {
  SEGMENT_RAN,                    /* look at the flags */
  SEGMENT_LATER,                  /* it is being compiled: the leg goes on in lanes */
  SEGMENT_NEVER,                  /* it can't run this segment: the reason is in `why` */
  SEGMENT_FAILED                  /* an error is set */
} segment_status;

typedef struct segment_backend {
  const char *name;
  bool keeps_weights;             /* adds what a leg weighs to weights of its own */
  segment_status (*run)(void *self, segment_call *);
  void (*why)(void *self, char *why, size_t n);
  /* Vectors that stay with the backend; all NULL: buffers are cells of the host.  new: room for n lanes and
     NULL: no memory (error set); read and write convert; false: error set. */
  void *(*buffer_new)(void *self, uint32_t n);
  void  (*buffer_free)(void *self, void *buffer);
  bool  (*buffer_read)(void *self, const void *buffer, uint32_t n, unsigned kind, segment_cell *to);
  bool  (*buffer_write)(void *self, void *buffer, uint32_t n, unsigned kind, const segment_cell *from);
  /* Maps that stay with it: from the host; of further[map], to a new one; to the host. */
  void *(*map_new)(void *self, const uint32_t *map, uint32_t n);
  void *(*map_compose)(void *self, const void *map, const void *further, uint32_t n);
  bool  (*map_read)(void *self, const void *map, uint32_t n, uint32_t *to);
  void  (*map_free)(void *self, void *map);
} segment_backend;
#endif
