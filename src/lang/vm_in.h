/* vm_in.h: what the instructions of vm.c are made of: operands, the way on, memory, arithmetic, frames.

   Macros, since they are the text of one function: they use its locals (r, R, pc, st, h, ev, arg, need, sop,
   sx, sy, labels) and go to its labels (full, poll, slowly, not_bool, fail).  Included by vm.c only. */
#ifndef NORN_LANG_VM_IN_H
#define NORN_LANG_VM_IN_H
#include "lang/lanes/lanes.h"
#include "lang/run.h"
#include <math.h>

#define likely(x) NORN_LIKELY(x)
#define unlikely(x) NORN_UNLIKELY(x)

/* ---- operands, and the way on ---- */

#define REG(x) (*(val *)((char *)R + (x)))
#define RA REG(pc->a)
#define RB REG(pc->b)
#define RC REG(pc->c)
#define SIMM(x) ((int16_t)(x))
#define CONSTANT(i) (v_clo(R[-1])->p->consts[i])

#define OP(n) L_##n
#define GO goto *labels[pc->op]
#define NEXTN(k) do { pc += (k); GO; } while (0)
#define NEXT NEXTN(1)
#define NEXT2 NEXTN(2)
#define JUMP NEXTN(SIMM(pc->c))
#define JUMP_IF(test) do { if (test) { JUMP; } } while (0)

/* The run's window and pc live in registers; who looks at the run from outside needs them there. */
#define SAVE do { r->R = R; r->pc = pc; } while (0)

/* culprit: the argument that gets the caret, -1: the whole expression. */
#define FAIL goto fail
#define FAIL_ARG(culprit) do { arg = (culprit); FAIL; } while (0)
#define FAIL_WANT(culprit, rule, got) \
  do { vm_want(st, (culprit), rule, (got)); FAIL_ARG(culprit); } while (0)
/* Register a gets what C code gives; none: it has set the error. */
#define TRY(value, culprit) do { \
    val v_ = (value); \
    if (unlikely(norn_is_none(v_))) FAIL_ARG(culprit); \
    RA = v_; \
  } while (0)
/* Register a gets the result of the general operation; `slowly` goes on behind the instruction. */
#define SLOWLY(operation, left, right) \
  do { sop = (operation); sx = (left); sy = (right); goto slowly; } while (0)
/* A branch on lanes, saved: *v becomes what all have; or both ways were gone. */
#define LANES_BRANCH(v) do { \
    int ways_ = lanes_branch(r, &(v)); \
    if (ways_ < 0) FAIL; \
    if (ways_ > 0) { pc = r->pc; GO; } \
  } while (0)
/* A branch of a recorded run that stands still before those on nodes: if this is one. */
#define NODE_BRANCH(operation, left, right) do { \
    SAVE; \
    int stops_ = branch_event(r, ev, (operation), (left), (right)); \
    if (stops_ < 0) FAIL; \
    if (stops_ > 0) return NORN_BRANCH; \
  } while (0)
/* The general comparison. */
#define TEST_SLOWLY(test, operation, left, right) do { \
    SAVE; \
    if (unlikely(branch_stops(r))) NODE_BRANCH(operation, left, right); \
    val v_ = arith_slow(st, operation, left, right); \
    if (unlikely(norn_is_none(v_))) FAIL; \
    if (unlikely(v_is_lanes(v_))) LANES_BRANCH(v_); \
    test = v_.i; \
    branch_passed(r); \
  } while (0)

/* Values that must not hold lanes, where nothing else would notice. */
#define NO_LANES(values, n) do { \
    if (unlikely(st->lanes != NULL) && vm_holds_lanes(r, (values), (n))) FAIL; \
  } while (0)

/* An array of which the elements from `from` on are new: with lanes, numbers are of one kind still. */
#define SETTLED(array, from) do { \
    val a_ = (array); \
    int64_t from_ = (from); \
    if (unlikely(st->lanes != NULL) && !norn_is_none(a_)) { \
      SAVE; \
      a_ = lanes_settled(st, a_, from_); \
    } \
    TRY(a_, -1); \
  } while (0)

/* Calls and loops: limits and interrupts are looked at when the fuel is used up. */
#define POLL() do { if (unlikely(--st->fuel < 0)) goto poll; } while (0)

static inline void set_int(val *x, int64_t n) { x->i = n; x->tag = NORN_INT; }
static inline void set_real(val *x, double f) { x->d = f; x->tag = NORN_REAL; }
static inline void set_bool(val *x, bool b) { x->i = b; x->tag = NORN_BOOL; }
static inline void set_object(val *x, uint64_t tag, const void *o) { x->q = o; x->tag = tag; }
static inline void set_address(val *x, uint64_t addr) { x->i = (int64_t)addr; x->tag = V_ADDR; }

static inline void copy_values(val *to, const val *from, int n)
{
  for (int i = 0; i < n; i++) V_COPY(to[i], from[i]);
}

/* ---- memory ---- */

#define SIZE16(z) (((size_t)(z) + 15) & ~(size_t)15)
#define SIZE_WITH(o, n) SIZE16(sizeof *(o) + (size_t)(n) * sizeof(val))

/* Room for z bytes in the nursery, or to the safepoint; inside sealed calls as C code allocates. */
#define ALLOC(p, z) do { \
    size_t z_ = (z); \
    if (unlikely(z_ > HEAP_LARGE)) { \
      p = heap_alloc(st, z_); \
      if (!p) FAIL; \
    } else if (unlikely((size_t)(h->soft - h->hp) < z_ || h->hp > h->soft)) { \
      if (!h->nogc) { need = z_; goto full; } \
      p = heap_alloc(st, z_); \
      if (!p) FAIL; \
    } else { \
      p = (void *)h->hp; \
      h->hp += z_; \
    } \
  } while (0)

/* Before an instruction whose work is done by C code that allocates. */
#define SAFEPOINT do { \
    if (unlikely(h->soft - h->hp < 64) && !h->nogc) { need = 64; goto full; } \
  } while (0)

/* Of what ALLOC gave: C code's memory may be old and has its flags, the nursery's is raw. */
static inline void object_header(const heap *h, obj *o, unsigned kind, unsigned aux, int n)
{
  uint8_t flags = h->nogc && !heap_is_young(h, o) ? o->flags : 0;
  *o = (obj){ { { (uint8_t)kind, flags, (uint16_t)aux, (uint32_t)n } } };
}

/* ---- arithmetic and comparisons: int with int, real with real, all else cold ---- */

#define ARITH(name, overflows, o) \
  OP(name): { \
    const val *x = &RB, *y = &RC; \
    int64_t n; \
    if (V_IS_INT(*x) && V_IS_INT(*y)) { \
      if (likely(!overflows(x->i, y->i, &n))) { set_int(&RA, n); NEXT; } \
    } else if (likely(V_IS_REAL(*x) && V_IS_REAL(*y))) { \
      set_real(&RA, x->d o y->d); \
      NEXT; \
    } \
    SLOWLY(A_##name, *x, *y); \
  } \
  OP(name##K): { \
    const val *x = &RB; \
    if (likely(V_IS_REAL(*x))) { set_real(&RA, x->d o pc[1].f); NEXT2; } \
    SLOWLY(A_##name, *x, norn_real(pc[1].f)); \
  } \
  OP(F##name): set_real(&RA, RB.d o RC.d); NEXT; \
  OP(F##name##K): set_real(&RA, RB.d o pc[1].f); NEXT2;

/* The literal stands on the left. */
#define REVERSED(name, operation, o) \
  OP(R##name): { \
    const val *x = &RB; \
    if (likely(V_IS_REAL(*x))) { set_real(&RA, pc[1].f o x->d); NEXT2; } \
    SLOWLY(operation, norn_real(pc[1].f), *x); \
  } \
  OP(FR##name): set_real(&RA, pc[1].f o RB.d); NEXT2;

/* Integers for certain. */
#define TYPED(name, operation, overflows) \
  OP(name): { \
    const val *x = &RB, *y = &RC; \
    int64_t n; \
    if (likely(!overflows(x->i, y->i, &n))) { set_int(&RA, n); NEXT; } \
    SLOWLY(operation, *x, *y); \
  }

/* A small integer on the right. */
#define IMMEDIATE(name, operation, overflows, o) \
  OP(name): { \
    const val *x = &RB; \
    int64_t n, k = SIMM(pc->c); \
    if (likely(V_IS_INT(*x))) { \
      if (likely(!overflows(x->i, k, &n))) { set_int(&RA, n); NEXT; } \
    } else if (V_IS_REAL(*x)) { \
      set_real(&RA, x->d o (double)k); \
      NEXT; \
    } \
    SLOWLY(operation, *x, norn_int(k)); \
  }

#define COMPARE(name, o) \
  OP(name): { \
    const val *x = &RB, *y = &RC; \
    if (V_IS_INT(*x) && V_IS_INT(*y)) { set_bool(&RA, x->i o y->i); NEXT; } \
    if (likely(V_IS_REAL(*x) && V_IS_REAL(*y))) { set_bool(&RA, x->d o y->d); NEXT; } \
    SLOWLY(A_##name, *x, *y); \
  }

/* Fused branches: they jump when the comparison is `when`. */
#define BRANCH(name, operation, o, when) \
  OP(name): { \
    const val *x = &RA, *y = &RB; \
    bool test; \
    if (V_IS_INT(*x) && V_IS_INT(*y)) test = x->i o y->i; \
    else if (likely(V_IS_REAL(*x) && V_IS_REAL(*y))) test = x->d o y->d; \
    else TEST_SLOWLY(test, operation, *x, *y); \
    JUMP_IF(test == when); \
    NEXT; \
  }

/* With a small integer; mirrored: the general comparison has it on the left. */
#define BRANCH_INT(name, operation, mirrored, o, when) \
  OP(name): { \
    const val *x = &RA; \
    int64_t k = SIMM(pc->b); \
    bool test; \
    if (likely(V_IS_INT(*x))) test = x->i o k; \
    else if (V_IS_REAL(*x)) test = x->d o (double)k; \
    else if (mirrored) TEST_SLOWLY(test, operation, norn_int(k), *x); \
    else TEST_SLOWLY(test, operation, *x, norn_int(k)); \
    JUMP_IF(test == when); \
    NEXT; \
  }

/* With a real literal; jumps when the comparison does not hold. */
#define BRANCH_REAL(name, operation, mirrored, o) \
  OP(name): { \
    const val *x = &RA; \
    double k = pc[1].f; \
    bool test; \
    if (likely(V_IS_REAL(*x))) test = x->d o k; \
    else if (V_IS_INT(*x)) test = (double)x->i o k; \
    else if (mirrored) TEST_SLOWLY(test, operation, norn_real(k), *x); \
    else TEST_SLOWLY(test, operation, *x, norn_real(k)); \
    JUMP_IF(!test); \
    NEXT2; \
  }

#define BRANCH_EQUAL(name, when) \
  OP(name): { \
    const val *x = &RA, *y = &RB; \
    bool test; \
    if (V_IS_INT(*x) && V_IS_INT(*y)) test = x->i == y->i; \
    else TEST_SLOWLY(test, A_EQ, *x, *y); \
    JUMP_IF(test == when); \
    NEXT; \
  }

/* ---- frames ---- */

/* A window for function q at W; `after` is where its caller goes on. */
#define ENTER_FRAME(W, after, q) do { \
    if (unlikely((char *)(W) + (q)->bytes > (char *)r->lim)) { \
      SAVE; \
      W = run_grow(r, W, (q)->bytes); \
      if (!W) FAIL; \
      R = r->R; \
    } \
    FRAME_SET((W) - FRAME_SIZE, after, (size_t)((W) - R)); \
    R = W; \
    pc = (q)->code; \
    GO; \
  } while (0)

/* A tail call: function q takes the place of the one that runs.  Room for it, before anything is
   moved; W is where its arguments stand. */
#define ROOM_HERE(W, q) do { \
    if (unlikely((char *)R + (q)->bytes > (char *)r->lim)) { \
      SAVE; \
      if (!run_grow(r, R, (q)->bytes)) FAIL; \
      R = r->R; \
      W = &RA + FRAME_SIZE; \
    } \
  } while (0)

/* Back to the caller; frame: that of the window left, whose first value is the result's place. */
#define LEAVE_FRAME(frame) do { \
    pc = FRAME_PC(frame); \
    R = (val *)((char *)R - FRAME_DIST(frame)); \
  } while (0)
#endif
