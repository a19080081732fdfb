/* vm.c: the interpreter.  One loop over the instructions of op.h; it returns at events.

   Fast paths stand here, everything else (promotion, arrays, errors, calls of odd things) is a cold
   function in vm_slow.c, arith.c or event.c.  Compiled with -fno-tree-vectorize: gcc 12 once paired
   pc and R in a vector register through every handler and doubled the time.

   Safepoints: an instruction that must allocate and finds the nursery full jumps to `full`, which
   collects and runs the instruction again; so no instruction may have had an effect before that. */
#include "lang/run.h"
#include <math.h>

#define likely(x) NORN_LIKELY(x)
#define unlikely(x) NORN_UNLIKELY(x)
#define REG(x) (*(val *)((char *)R + (x)))
#define RA REG(pc->a)
#define RB REG(pc->b)
#define RC REG(pc->c)
#define SIMM(x) ((int16_t)(x))
#define GO goto *labels[pc->op]
#define OP(n) L_##n
#define NEXT do { pc++; GO; } while (0)
#define NEXT2 do { pc += 2; GO; } while (0)
#define NEXTN(k) do { pc += (k); GO; } while (0)
#define JUMP do { pc += SIMM(pc->c); GO; } while (0)
#define SET_INT(x, n) do { int64_t n_ = (n); val *x_ = &(x); x_->i = n_; x_->tag = NORN_INT; } while (0)
#define SET_REAL(x, f) do { double f_ = (f); val *x_ = &(x); x_->d = f_; x_->tag = NORN_REAL; } while (0)
#define SET_BOOL(x, b) do { int64_t b_ = (b); val *x_ = &(x); x_->i = b_; x_->tag = NORN_BOOL; } while (0)
#define SET_OBJ(x, k, o) do { void *o_ = (void *)(o); val *x_ = &(x); x_->p = o_; x_->tag = (k); } while (0)
#define POLL() do { if (unlikely(--st->fuel < 0)) goto poll; } while (0)
#define FAIL_ARG(k) do { arg = (k); goto fail; } while (0)
#define FAIL goto fail
/* Room for z bytes in the nursery, or to the safepoint; inside sealed calls as C code allocates. */
#define ALLOC(p, z) do { size_t z_ = (z); \
    if (unlikely(z_ > HEAP_LARGE)) { p = heap_alloc(st, z_); if (!p) FAIL; } \
    else if (unlikely((size_t)(h->soft - h->hp) < z_ || h->hp > h->soft)) { \
      if (!h->nogc) { need = z_; goto full; } \
      p = heap_alloc(st, z_); if (!p) FAIL; \
    } else { p = (void *)h->hp; h->hp += z_; } } while (0)
/* Before an instruction whose work is done by C code that allocates. */
#define SAFEPOINT do { if (unlikely(h->soft - h->hp < 64) && !h->nogc) { need = 64; goto full; } } while (0)
#define SIZE16(z) (((size_t)(z) + 15) & ~(size_t)15)

#define ARITH(n, iop, fop) \
  OP(n): { const val *x = &RB, *y = &RC; int64_t s; \
    if (V_IS_INT(*x) && V_IS_INT(*y)) { if (likely(!iop(x->i, y->i, &s))) { SET_INT(RA, s); NEXT; } } \
    else if (likely(V_IS_REAL(*x) && V_IS_REAL(*y))) { SET_REAL(RA, x->d fop y->d); NEXT; } \
    sop = A_##n; sx = *x; sy = *y; goto slowly; } \
  OP(n##K): { const val *x = &RB; if (likely(V_IS_REAL(*x))) { SET_REAL(RA, x->d fop pc[1].f); NEXT2; } \
    sop = A_##n; sx = *x; sy = norn_real(pc[1].f); goto slowly; } \
  OP(F##n): SET_REAL(RA, RB.d fop RC.d); NEXT; \
  OP(F##n##K): SET_REAL(RA, RB.d fop pc[1].f); NEXT2;
#define REVERSED(n, A, fop) \
  OP(R##n): { const val *x = &RB; if (likely(V_IS_REAL(*x))) { SET_REAL(RA, pc[1].f fop x->d); NEXT2; } \
    sop = A; sx = norn_real(pc[1].f); sy = *x; goto slowly; } \
  OP(FR##n): SET_REAL(RA, pc[1].f fop RB.d); NEXT2;
#define TYPED(n, A, iop) OP(n): { int64_t s; const val *x = &RB, *y = &RC; if (likely(!iop(x->i, y->i, &s))) { SET_INT(RA, s); NEXT; } \
    sop = A; sx = *x; sy = *y; goto slowly; }
#define COMPARE(n, o) \
  OP(n): { const val *x = &RB, *y = &RC; if (V_IS_INT(*x) && V_IS_INT(*y)) { SET_BOOL(RA, x->i o y->i); NEXT; } \
    if (likely(V_IS_REAL(*x) && V_IS_REAL(*y))) { SET_BOOL(RA, x->d o y->d); NEXT; } sop = A_##n; sx = *x; sy = *y; goto slowly; }
/* A fused branch: jumps when the comparison is `when`. */
#define BRANCH(j, n, o, when) \
  OP(j): { const val *x = &RA, *y = &RB; bool t; if (V_IS_INT(*x) && V_IS_INT(*y)) t = x->i o y->i; \
    else if (likely(V_IS_REAL(*x) && V_IS_REAL(*y))) t = x->d o y->d; \
    else { val v = arith_slow(st, A_##n, *x, *y); if (norn_is_none(v)) FAIL; t = v.i; } \
    if (t == when) { JUMP; } NEXT; }
#define BRANCHI(j, sl, swap, o, when) \
  OP(j): { const val *x = &RA; int64_t k = SIMM(pc->b); bool t; if (likely(V_IS_INT(*x))) t = x->i o k; \
    else if (V_IS_REAL(*x)) t = x->d o (double)k; \
    else { val v = swap ? arith_slow(st, sl, norn_int(k), *x) : arith_slow(st, sl, *x, norn_int(k)); if (norn_is_none(v)) FAIL; t = v.i; } \
    if (t == when) { JUMP; } NEXT; }
#define BRANCHK(j, sl, swap, o) \
  OP(j): { const val *x = &RA; double k = pc[1].f; bool t; if (likely(V_IS_REAL(*x))) t = x->d o k; \
    else if (V_IS_INT(*x)) t = (double)x->i o k; \
    else { val v = swap ? arith_slow(st, sl, norn_real(k), *x) : arith_slow(st, sl, *x, norn_real(k)); if (norn_is_none(v)) FAIL; t = v.i; } \
    if (!t) { JUMP; } NEXT2; }
#define ENTER_FRAME(W, ret, q) do { \
    if (unlikely((char *)(W) + (q)->bytes > (char *)r->lim)) { r->R = R; r->pc = pc; W = run_grow(r, W, (q)->bytes); if (!W) FAIL; R = r->R; } \
    FRAME_SET((W) - FRAME_SIZE, ret, (size_t)((W) - R)); R = W; pc = (q)->code; } while (0)
/* A tail call's window takes the place of the running one: room for it, before anything is moved. */
#define ROOM_HERE(W, q) do { \
    if (unlikely((char *)R + (q)->bytes > (char *)r->lim)) { \
      r->R = R; r->pc = pc; \
      if (!run_grow(r, R, (q)->bytes)) FAIL; \
      R = r->R; W = &RA + FRAME_SIZE; \
    } } while (0)
/* culprit: the argument that gets the caret when the event fails. */
#define EVENT(call, skip, culprit) do { r->R = R; r->pc = pc; int e_ = (call); \
    if (likely(e_ == 0)) { NEXTN(skip); } else if (e_ < 0) { FAIL_ARG(culprit); } else { r->pc = pc + (skip); return ev->kind; } } while (0)

/* A scalar distribution's parameters as doubles; false unless all are numbers. */
static inline bool scalars(const val *a, int n, double *p)
{
  for (int i = 0; i < n; i++) {
    if (V_IS_REAL(a[i])) p[i] = a[i].d;
    else if (V_IS_INT(a[i])) p[i] = (double)a[i].i;
    else return false;
  }
  return true;
}

static inline val outcome(const norn_dist_row *w, double x)
{
  return !(w->flags & NORN_DIST_DISCRETE) ? norn_real(x) : w->flags & NORN_DIST_BOOL ? norn_bool(x != 0) : norn_int((int64_t)x);
}

/* The commonest events, answered without leaving the loop: a scalar family drawn from the prior, or a
   scalar observation scored.  false: not this simple, the full path decides (and finds errors). */
static inline bool draw_fast(norn_run *r, const norn_dist_row *w, val *a, int n, uint64_t comp)
{
  double p[NORN_DIST_P]; int which;
  if ((r->flags & (NORN_RUN_DRAW | NORN_RUN_CHECK | NORN_RUN_NAMES)) != NORN_RUN_DRAW || r->rare ||
      !w->sample1 || !scalars(a, n, p) || w->check1(p, &which)) return false;
  uint64_t addr = addr_event(r->addr, comp);
  norn_rng g = { r->stream, r->lane, (uint32_t)(addr ^ addr >> 32), r->iter, 0, r->st->pairs };
  double x = w->sample1(p, &g);
  if (w->flags & NORN_DIST_DISCRETE && !(x < 0x1p62 && x > -0x1p62)) return false;   /* no integer holds it */
  *a = outcome(w, x); r->nsample++;
  return true;
}

/* A scalar family that is to be answered outside: its parameters are checked here. */
static inline bool ask_fast(norn_run *r, const norn_dist_row *w, const val *a, int n)
{
  double p[NORN_DIST_P]; int which;
  if (r->flags & (NORN_RUN_DRAW | NORN_RUN_CHECK | NORN_RUN_NAMES) || r->rare ||
      !w->sample1 || !scalars(a, n, p) || w->check1(p, &which)) return false;
  r->d1.row = w; r->d1.args = a; r->d1.n = n; r->d2.row = NULL;
  return true;
}

static inline bool score_fast(norn_run *r, const norn_dist_row *w, val *a, int n)
{
  double p[NORN_DIST_P], y; int which;
  if (!(r->flags & NORN_RUN_SCORE) || !w->logp1 || !scalars(a, n, p)) return false;
  if (V_IS_REAL(a[n]) && !(w->flags & NORN_DIST_DISCRETE)) y = a[n].d;
  else if (V_IS_INT(a[n])) y = (double)a[n].i;
  else if (V_IS_BOOL(a[n]) && w->flags & NORN_DIST_BOOL) y = (double)a[n].i;
  else return false;
  if (w->check1(p, &which)) return false;
  double lp = w->logp1(y, p);
  if (!(lp > -INFINITY)) return false;
  r->logw += lp; r->nobserve++; *a = a[n];
  return true;
}

/* Can an instruction that failed half-way for want of memory run again?  Not what has effects. */
static bool may_run_again(const ins *pc, const val *R)
{
  switch (pc->op) {
  case OP_CALLX: case OP_SAMPLE: case OP_SAMPLED: case OP_SAMPLEV: case OP_OBSERVE: case OP_OBSERVED:
  case OP_INFER: case OP_MEMNEW:
    return false;
  case OP_NATIVE: return ((const norn_native *)pc[1].p)->flags & NORN_PURE;
  case OP_CALL: case OP_TCALL: return (&RA + FRAME_SIZE)[-1].tag == NORN_FUN;
  default: return true;
  }
}

norn_event_kind vm_exec(norn_run *r, norn_event *ev)
{
  static const void *const labels[] = {
#define X(name, modes, literals) &&L_##name,
    OP_LIST(X)
#undef X
  };
  norn_state *const st = r->st; heap *const h = &st->heap;
  const ins *pc = r->pc; val *R = r->R;
  size_t need = 0; int arg = -1; arith sop; val sx, sy;
  const ins *retried = NULL;
  POLL();                                                         /* a run may have neither calls nor loops */
  GO;

  /* ---- loads ---- */
  OP(MOVE):    V_COPY(RA, RB); NEXT;
  OP(LOADI):   SET_INT(RA, pc[1].i); NEXT2;
  OP(LOADF):   SET_REAL(RA, pc[1].f); NEXT2;
  OP(LOADB):   SET_BOOL(RA, SIMM(pc->b)); NEXT;
  OP(LOADU):   RA = norn_unit(); NEXT;
  OP(LOADM):   RA = norn_missing(); NEXT;
  OP(LOADN):   RA = norn_none(); NEXT;
  OP(LOADK):   RA = v_clo(R[-1])->p->consts[pc[1].i]; NEXT2;
  OP(LOADE):   { val *x = &RA; x->i = 0; x->tag = pc[1].u; NEXT2; }
  OP(LOADFN):  SET_OBJ(RA, NORN_FUN, ((const proto *)pc[1].p)->self); NEXT2;
  OP(LOADNAT): { val *x = &RA; x->q = pc[1].p; x->tag = NORN_NATIVE; NEXT2; }
  OP(GETCAP):  V_COPY(RA, v_clo(R[-1])->cap[SIMM(pc->b)]); NEXT;
  OP(LOADSELF): V_COPY(RA, R[-1]); NEXT;
  OP(GETG):    { const val *g = st->globals + pc[1].i; if (unlikely(norn_is_none(*g))) { vm_unset(r, pc[1].u); FAIL; }
                 V_COPY(RA, *g); NEXT2; }
  OP(SETG):    V_COPY(st->globals[pc[1].i], RA); NEXT2;

  /* ---- arithmetic ---- */
  ARITH(ADD, __builtin_add_overflow, +) ARITH(SUB, __builtin_sub_overflow, -) ARITH(MUL, __builtin_mul_overflow, *)
  OP(DIV):     { const val *x = &RB, *y = &RC; if (likely(V_IS_REAL(*x) && V_IS_REAL(*y))) { SET_REAL(RA, x->d / y->d); NEXT; }
                 if (V_IS_INT(*x) && V_IS_INT(*y) && y->i) { SET_REAL(RA, (double)x->i / (double)y->i); NEXT; }
                 sop = A_DIV; sx = *x; sy = *y; goto slowly; }
  OP(DIVK):    { const val *x = &RB; if (likely(V_IS_REAL(*x))) { SET_REAL(RA, x->d / pc[1].f); NEXT2; }
                 sop = A_DIV; sx = *x; sy = norn_real(pc[1].f); goto slowly; }
  OP(FDIV):    SET_REAL(RA, RB.d / RC.d); NEXT;
  OP(FDIVK):   SET_REAL(RA, RB.d / pc[1].f); NEXT2;
  REVERSED(SUBK, A_SUB, -) REVERSED(DIVK, A_DIV, /)
  OP(IDIV):    { const val *x = &RB, *y = &RC; if (likely(V_IS_INT(*x) && V_IS_INT(*y) && y->i > 0)) { int64_t q = x->i / y->i; SET_INT(RA, q - (x->i % y->i < 0)); NEXT; }
                 sop = A_IDIV; sx = *x; sy = *y; goto slowly; }
  OP(MOD):     { const val *x = &RB, *y = &RC; if (likely(V_IS_INT(*x) && V_IS_INT(*y) && y->i > 0)) { int64_t m = x->i % y->i; SET_INT(RA, m < 0 ? m + y->i : m); NEXT; }
                 sop = A_MOD; sx = *x; sy = *y; goto slowly; }
  OP(MODK):    { const val *x = &RB; int64_t k = pc[1].i; if (likely(V_IS_INT(*x))) { int64_t m = x->i % k; SET_INT(RA, m < 0 ? m + k : m); NEXT2; }
                 sop = A_MOD; sx = *x; sy = norn_int(k); goto slowly; }
  OP(POW):     { const val *x = &RB, *y = &RC; if (V_IS_REAL(*x) && V_IS_INT(*y) && y->i == 2) { SET_REAL(RA, x->d * x->d); NEXT; }
                 sop = A_POW; sx = *x; sy = *y; goto slowly; }
  OP(ADDI):    { const val *x = &RB; int64_t s; if (likely(V_IS_INT(*x))) { if (likely(!__builtin_add_overflow(x->i, (int64_t)SIMM(pc->c), &s))) { SET_INT(RA, s); NEXT; } }
                 else if (V_IS_REAL(*x)) { SET_REAL(RA, x->d + SIMM(pc->c)); NEXT; }
                 sop = A_ADD; sx = *x; sy = norn_int(SIMM(pc->c)); goto slowly; }
  OP(MULI):    { const val *x = &RB; int64_t s; if (likely(V_IS_INT(*x))) { if (likely(!__builtin_mul_overflow(x->i, (int64_t)SIMM(pc->c), &s))) { SET_INT(RA, s); NEXT; } }
                 else if (V_IS_REAL(*x)) { SET_REAL(RA, x->d * SIMM(pc->c)); NEXT; }
                 sop = A_MUL; sx = *x; sy = norn_int(SIMM(pc->c)); goto slowly; }
  TYPED(IADD, A_ADD, __builtin_add_overflow) TYPED(ISUB, A_SUB, __builtin_sub_overflow) TYPED(IMUL, A_MUL, __builtin_mul_overflow)
  OP(IADDI):   { int64_t s; const val *x = &RB; if (likely(!__builtin_add_overflow(x->i, (int64_t)SIMM(pc->c), &s))) { SET_INT(RA, s); NEXT; }
                 sop = A_ADD; sx = *x; sy = norn_int(SIMM(pc->c)); goto slowly; }
  OP(NEG):     { const val *x = &RB; if (V_IS_REAL(*x)) { SET_REAL(RA, -x->d); NEXT; }
                 if (V_IS_INT(*x) && x->i != INT64_MIN) { SET_INT(RA, -x->i); NEXT; }
                 sop = A_NEG; sx = *x; sy = *x; goto slowly; }
  OP(FNEG):    SET_REAL(RA, -RB.d); NEXT;
  OP(NOT):     { const val *x = &RB; if (likely(V_IS_BOOL(*x))) { SET_BOOL(RA, !x->i); NEXT; } sop = A_NOT; sx = *x; sy = *x; goto slowly; }
  OP(MATMUL):  SAFEPOINT; { val v = vec_matmul(st, RB, RC); if (norn_is_none(v)) FAIL; RA = v; NEXT; }
  OP(TRANSPOSE): SAFEPOINT; { val v = vec_transpose(st, RB); if (norn_is_none(v)) FAIL; RA = v; NEXT; }
  OP(CONCAT):  SAFEPOINT; { val v = vec_concat(st, RB, RC); if (norn_is_none(v)) FAIL; RA = v; NEXT; }
  OP(RANGE):   SAFEPOINT; { const val *x = &RB, *y = &RC; char b[96];
                 if (!V_IS_INT(*x)) { norn_fail(st, NORN_ETYPE, 0, "a range needs integers, got %s", norn_describe(st, *x, b, sizeof b)); FAIL_ARG(0); }
                 if (!V_IS_INT(*y)) { norn_fail(st, NORN_ETYPE, 1, "a range needs integers, got %s", norn_describe(st, *y, b, sizeof b)); FAIL_ARG(1); }
                 val v = vec_range(st, x->i, y->i); if (norn_is_none(v)) FAIL; RA = v; NEXT; }
  COMPARE(LT, <) COMPARE(LE, <=)
  OP(EQ):      { const val *x = &RB, *y = &RC; if (V_IS_INT(*x) && V_IS_INT(*y)) { SET_BOOL(RA, x->i == y->i); NEXT; }
                 if (V_IS_REAL(*x) && V_IS_REAL(*y)) { SET_BOOL(RA, x->d == y->d); NEXT; } sop = A_EQ; sx = *x; sy = *y; goto slowly; }
  OP(NE):      { const val *x = &RB, *y = &RC; if (V_IS_INT(*x) && V_IS_INT(*y)) { SET_BOOL(RA, x->i != y->i); NEXT; }
                 if (V_IS_REAL(*x) && V_IS_REAL(*y)) { SET_BOOL(RA, x->d != y->d); NEXT; } sop = A_NE; sx = *x; sy = *y; goto slowly; }

  /* ---- branches ---- */
  OP(JMP):     JUMP;
  OP(JMPF):    pc += pc[1].i; GO;
  OP(LOOP):    POLL(); JUMP;
  OP(JF):      { const val *x = &RA; if (unlikely(!V_IS_BOOL(*x))) goto not_bool; if (x->i) NEXT; JUMP; }
  OP(JT):      { const val *x = &RA; if (unlikely(!V_IS_BOOL(*x))) goto not_bool; if (x->i) JUMP; NEXT; }
  OP(CHECKB):  if (unlikely(!V_IS_BOOL(RA))) { goto not_bool; } NEXT;
  BRANCH(JNLT, LT, <, false) BRANCH(JNLE, LE, <=, false) BRANCH(JLT, LT, <, true) BRANCH(JLE, LE, <=, true)
  OP(JNEQ):    { const val *x = &RA, *y = &RB; bool t; if (V_IS_INT(*x) && V_IS_INT(*y)) t = x->i == y->i;
                 else { val v = arith_slow(st, A_EQ, *x, *y); if (unlikely(norn_is_none(v))) FAIL; t = v.i; } if (t) NEXT; JUMP; }
  OP(JEQ):     { const val *x = &RA, *y = &RB; bool t; if (V_IS_INT(*x) && V_IS_INT(*y)) t = x->i == y->i;
                 else { val v = arith_slow(st, A_EQ, *x, *y); if (unlikely(norn_is_none(v))) FAIL; t = v.i; } if (t) JUMP; NEXT; }
  BRANCHI(JNLTI, A_LT, 0, <, false) BRANCHI(JNLEI, A_LE, 0, <=, false) BRANCHI(JNGTI, A_LT, 1, >, false) BRANCHI(JNGEI, A_LE, 1, >=, false)
  OP(JNEQI):   { const val *x = &RA; bool t = V_IS_INT(*x) ? x->i == SIMM(pc->b) : V_IS_REAL(*x) && x->d == SIMM(pc->b); if (t) NEXT; JUMP; }
  OP(JEQI):    { const val *x = &RA; bool t = V_IS_INT(*x) ? x->i == SIMM(pc->b) : V_IS_REAL(*x) && x->d == SIMM(pc->b); if (t) JUMP; NEXT; }
  BRANCHK(JNLTK, A_LT, 0, <) BRANCHK(JNGTK, A_LT, 1, >)
  OP(FJNLT):   if (RA.d < RB.d) NEXT; JUMP;
  OP(FJNLE):   if (RA.d <= RB.d) NEXT; JUMP;
  OP(FJNLTK):  if (RA.d < pc[1].f) NEXT2; JUMP;
  OP(FJNGTK):  if (RA.d > pc[1].f) NEXT2; JUMP;
  OP(IJNLT):   if (RA.i < RB.i) NEXT; JUMP;
  OP(IJNLE):   if (RA.i <= RB.i) NEXT; JUMP;
  OP(IJNLTI):  if (RA.i < SIMM(pc->b)) NEXT; JUMP;
  OP(IJNGTI):  if (RA.i > SIMM(pc->b)) NEXT; JUMP;
  OP(IJNEQI):  if (RA.i == SIMM(pc->b)) NEXT; JUMP;
  OP(FORPREP): { const val *x = &RA, *y = &RB; char b[96];
                 if (unlikely(!V_IS_INT(*x))) { norn_fail(st, NORN_ETYPE, 0, "a range needs integers, got %s", norn_describe(st, *x, b, sizeof b)); FAIL_ARG(0); }
                 if (unlikely(!V_IS_INT(*y))) { norn_fail(st, NORN_ETYPE, 1, "a range needs integers, got %s", norn_describe(st, *y, b, sizeof b)); FAIL_ARG(1); }
                 if (x->i < y->i) { NEXT; } JUMP; }
  OP(FORLOOP): { POLL(); val *x = &RA; int64_t i = x->i + 1; if (likely(i < RB.i)) { SET_INT(*x, i); JUMP; } NEXT; }   /* can't overflow: i < limit */
  OP(ITERLEN): { const val *x = &RB; if (likely(x->tag == NORN_ARRAY)) { SET_INT(RA, v_vec(*x)->len); NEXT; }
                 val v = vm_iterlen(r, *x); if (norn_is_none(v)) FAIL_ARG(0); RA = v; NEXT; }

  /* ---- calls ---- */
  OP(CALL):    { POLL(); val *W = &RA + FRAME_SIZE; const val *f = W - 1;
                 if (likely(f->tag == NORN_FUN)) { const proto *p = v_clo(*f)->p;
                   if (likely(p->nargs == pc->b && !p->is_model)) { ENTER_FRAME(W, pc + 1, p); GO; } }
                 if (!h->nogc) SAFEPOINT;
                 r->R = R; r->pc = pc; const proto *p; call_result c = vm_call(r, W, pc->b, &p);
                 if (c == CALL_DONE) NEXT;
                 if (c == CALL_FAIL) FAIL;
                 R = r->R; W = &RA + FRAME_SIZE; ENTER_FRAME(W, pc + 1, p); GO; }
  OP(CALLG):   { POLL(); val *W = &RA + FRAME_SIZE; const proto *p = pc[1].p;
                 SET_OBJ(W[-1], NORN_FUN, p->self); ENTER_FRAME(W, pc + 2, p); GO; }
  OP(TCALL):   { POLL(); val *W = &RA + FRAME_SIZE; int n = pc->b; const proto *p;
                 if (unlikely(W[-1].tag != NORN_FUN || (p = v_clo(W[-1])->p)->nargs != n || p->is_model)) {
                   SAFEPOINT;
                   r->R = R; r->pc = pc; call_result c = vm_call(r, W, n, &p);
                   if (c == CALL_FAIL) FAIL;
                   R = r->R; W = &RA + FRAME_SIZE;
                   if (c == CALL_DONE) { val v = W[-FRAME_SIZE]; val *f = R - FRAME_SIZE; pc = FRAME_PC(f); R = (val *)((char *)R - FRAME_DIST(f)); *f = v; GO; }
                   n = p->nargs; }
                 ROOM_HERE(W, p);
                 for (int i = -1; i < n; i++) V_COPY(R[i], W[i]);
                 pc = p->code; GO; }
  OP(TCALLG):  { POLL(); val *W = &RA + FRAME_SIZE; const proto *p = pc[1].p; int n = pc->b;
                 ROOM_HERE(W, p);
                 for (int i = 0; i < n; i++) V_COPY(R[i], W[i]);
                 SET_OBJ(R[-1], NORN_FUN, p->self);
                 pc = p->code; GO; }
  OP(CALLX):   { POLL(); SAFEPOINT; val *W = &RA + FRAME_SIZE; int n; const proto *p; r->R = R; r->pc = pc;
                 if (!vm_call_named(r, W, pc->b, v_clo(R[-1])->p->consts[pc[1].i], &n)) FAIL;
                 R = r->R; W = &RA + FRAME_SIZE;
                 call_result c = vm_call(r, W, n, &p);
                 if (c == CALL_DONE) NEXT2;
                 if (c == CALL_FAIL) FAIL;
                 R = r->R; W = &RA + FRAME_SIZE; ENTER_FRAME(W, pc + 2, p); GO; }
  OP(NATIVE):  { SAFEPOINT; val *w = &RA; r->R = R; r->pc = pc; val v = vm_native(r, pc[1].p, w, pc->b); if (unlikely(norn_is_none(v))) FAIL_ARG(st->err_arg); *w = v; NEXT2; }
  OP(MATH1):   { const val *x = &RB; const norn_native *f = pc[1].p; if (likely(V_IS_REAL(*x))) { SET_REAL(RA, f->real1(x->d)); NEXT2; }
                 if (V_IS_INT(*x)) { SET_REAL(RA, f->real1((double)x->i)); NEXT2; }
                 SAFEPOINT; val v = arith_map1(st, f, *x); if (unlikely(norn_is_none(v))) FAIL_ARG(0); RA = v; NEXT2; }
  OP(RET):     { val *f = R - FRAME_SIZE; const val *x = &RA; pc = FRAME_PC(f); R = (val *)((char *)R - FRAME_DIST(f)); V_COPY(*f, *x); GO; }
  OP(JGIVEN):  if (RA.tag != NORN_NONE) JUMP; NEXT;
  OP(CHECKT):  { char b[320]; const char *m = annot_check(st, v_clo(R[-1])->p->consts[pc[1].i], RA, b, sizeof b);
                 if (unlikely(m != NULL)) { norn_fail(st, NORN_ETYPE, -1, "%s", m); FAIL; } NEXT2; }

  /* ---- building and taking apart ---- */
  OP(CLOSURE): { clo *o; int n = pc->c; const val *w = &RB; ALLOC(o, SIZE16(sizeof *o + (size_t)n * sizeof(val)));
                 o->h = (obj){ { { NORN_FUN, h->nogc && !heap_is_young(h, o) ? o->h.flags : 0, 0, (uint32_t)n } } }; o->p = pc[1].p;
                 for (int i = 0; i < n; i++) V_COPY(o->cap[i], w[i]);
                 SET_OBJ(RA, NORN_FUN, o); NEXT2; }
  OP(DATA):    { data *o; int n = pc->c; const val *w = &RB; uint64_t tag = pc[1].u; ALLOC(o, SIZE16(sizeof *o + (size_t)n * sizeof(val)));
                 o->h = (obj){ { { NORN_DATA, h->nogc && !heap_is_young(h, o) ? o->h.flags : 0, (uint16_t)(tag >> 32), (uint32_t)n } } };
                 for (int i = 0; i < n; i++) V_COPY(o->f[i], w[i]);
                 SET_OBJ(RA, tag, o); NEXT2; }
  OP(RECORD):  { rec *o; int n = pc->c; const val *w = &RB; ALLOC(o, SIZE16(sizeof *o + (size_t)n * sizeof(val)));
                 o->h = (obj){ { { NORN_RECORD, h->nogc && !heap_is_young(h, o) ? o->h.flags : 0, 0, (uint32_t)n } } }; o->sh = pc[1].p;
                 for (int i = 0; i < n; i++) V_COPY(o->f[i], w[i]);
                 SET_OBJ(RA, NORN_RECORD, o); NEXT2; }
  OP(WITH):    { SAFEPOINT; const val *w = &RB; int n = pc->c - 1; val names = v_clo(R[-1])->p->consts[pc[1].i]; sym s[64];
                 for (int i = 0; i < n && i < 64; i++) s[i] = (sym)v_vec(names)->b->i[i];
                 val v = rec_with(st, w[0], s, w + 1, n); if (unlikely(norn_is_none(v))) FAIL_ARG(0); RA = v; NEXT2; }
  OP(ARRAY):   { SAFEPOINT; val v = vec_pack(st, &RB, pc->c); if (unlikely(norn_is_none(v))) FAIL; RA = v; NEXT; }
  OP(STRCAT):  { SAFEPOINT; val v = str_concat(st, &RB, pc->c); if (unlikely(norn_is_none(v))) FAIL; RA = v; NEXT; }
  OP(DIST):    { SAFEPOINT; val v = norn_dist_new(st, pc[1].p, &RB, pc->c); if (unlikely(norn_is_none(v))) FAIL_ARG(st->err_arg); RA = v; NEXT2; }
  OP(ENGINE):  { SAFEPOINT; val v = norn_engine_new(st, pc[1].p, &RB, pc->c); if (unlikely(norn_is_none(v))) FAIL_ARG(st->err_arg); RA = v; NEXT2; }
  OP(MODEL):   { modl *o; int n = pc->c; const val *w = &RB; const proto *p = pc[1].p; ALLOC(o, SIZE16(sizeof *o + (size_t)(n + 2) * sizeof(val)));
                 o->h = (obj){ { { NORN_MODEL, h->nogc && !heap_is_young(h, o) ? o->h.flags : 0, 0, (uint32_t)n + 2 } } }; o->pad = 0;
                 o->a[0] = v_obj(NORN_FUN, p->self); o->a[1] = norn_unit();
                 for (int i = 0; i < n; i++) V_COPY(o->a[2 + i], w[i]);
                 SET_OBJ(RA, NORN_MODEL, o); NEXT2; }
  OP(FIELD):   V_COPY(RA, ((data *)RB.p)->f[SIMM(pc->c)]); NEXT;
  OP(GETF):    { const val *x = &RB; uint64_t c = pc[2].u; if (likely(x->tag == NORN_RECORD && c && v_rec(*x)->sh->id == c >> 32)) { V_COPY(RA, v_rec(*x)->f[(uint32_t)c]); NEXTN(3); }
                 SAFEPOINT; val v = vm_getf(r, *x, (sym)pc[1].i, (uint64_t *)(uintptr_t)&pc[2].u); if (unlikely(norn_is_none(v))) FAIL; RA = v; NEXTN(3); }
  OP(INDEX):   { const val *x = &RB, *y = &RC; if (likely(x->tag == NORN_ARRAY && V_IS_INT(*y))) { const vec *v = v_vec(*x); uint64_t i = (uint64_t)y->i;
                   if (likely(i < (uint64_t)v->len && v->h.aux == 1 && !v->b->parent)) { i += (uint64_t)v->off; const buf *b = v->b;
                     switch (b->h.aux) { case NORN_F64: SET_REAL(RA, b->f[i]); NEXT; case NORN_I64: SET_INT(RA, b->i[i]); NEXT;
                       case NORN_B8: SET_BOOL(RA, b->b[i]); NEXT; default: V_COPY(RA, b->v[i]); NEXT; } } }
                 SAFEPOINT; val v = vm_index(r, *x, *y); if (unlikely(norn_is_none(v))) FAIL_ARG(st->err_arg); RA = v; NEXT; }
  OP(INDEXN):  { SAFEPOINT; const val *w = &RB; val v = vec_index(st, w[0], w + 1, pc->c - 1, (unsigned)pc[1].i); if (unlikely(norn_is_none(v))) FAIL_ARG(st->err_arg); RA = v; NEXT2; }
  OP(REST):    { SAFEPOINT; val v = vec_slice(st, RB, SIMM(pc->c), v_vec(RB)->len); if (unlikely(norn_is_none(v))) FAIL; RA = v; NEXT; }
  OP(LEN):     { const val *x = &RB; if (likely(x->tag == NORN_ARRAY)) { SET_INT(RA, v_vec(*x)->len); NEXT; }
                 val v = vm_len(r, *x); if (unlikely(norn_is_none(v))) FAIL_ARG(0); RA = v; NEXT; }
  OP(NEWVEC):  { vec *o; ALLOC(o, sizeof *o); o->h = (obj){ { { NORN_ARRAY, h->nogc && !heap_is_young(h, o) ? o->h.flags : 0, 1, 0 } } }; o->b = NULL; o->off = o->len = 0; SET_OBJ(RA, NORN_ARRAY, o); NEXT; }
  OP(PUSH):    { const val *x = &RB, *y = &RC;
                 if (likely(x->tag == NORN_ARRAY)) { vec *v = v_vec(*x); buf *b = v->b; uint64_t end = (uint64_t)(v->off + v->len);
                   if (likely(b && V_IS_REAL(*y) && b->h.aux == NORN_F64 && b->fill == end && end < b->cap && !b->parent && v->h.aux == 1)) {
                     vec *o; ALLOC(o, sizeof *o); v = v_vec(RB); b = v->b; o->h = (obj){ { { NORN_ARRAY, h->nogc && !heap_is_young(h, o) ? o->h.flags : 0, 1, 0 } } };
                     o->b = b; o->off = v->off; o->len = v->len + 1; b->f[end] = RC.d; b->fill = end + 1; SET_OBJ(RA, NORN_ARRAY, o); NEXT; } }
                 if (unlikely(x->tag != NORN_ARRAY)) { char b[96]; norn_fail(st, NORN_ETYPE, 0, "push needs an array, got %s", norn_describe(st, *x, b, sizeof b)); FAIL_ARG(0); }
                 SAFEPOINT; val v = vec_push(st, RB, RC); if (unlikely(norn_is_none(v))) FAIL; RA = v; NEXT; }
  OP(JNTAG):   if (RA.tag == pc[1].u) NEXT2; JUMP;
  OP(JNARR):   { const val *x = &RA; int n = SIMM(pc->b); if (x->tag == NORN_ARRAY && (n >= 0 ? v_vec(*x)->len == n : v_vec(*x)->len >= -1 - n)) NEXT; JUMP; }
  OP(JNREC):   { const val *x = &RA; if (x->tag == NORN_RECORD && shape_find(v_rec(*x)->sh, (sym)pc[1].i) >= 0) NEXT2; JUMP; }
  OP(MATCHFAIL): vm_matchfail(r, RA, pc->b); FAIL;

  /* ---- addresses ---- */
  OP(ASAVE):   { val *x = &RA; x->i = (int64_t)r->addr; x->tag = V_ADDR; NEXT; }
  OP(APUSH):   { val *x = &RA; uint64_t up = r->addr; x->i = (int64_t)up; x->tag = V_ADDR; r->addr = addr_push(up, pc[1].u);
                 if (unlikely(r->flags & NORN_RUN_NAMES)) addr_note(st, r->addr, up, pc[1].u);
                 NEXT2; }
  OP(AIDX):    { uint64_t up = (uint64_t)RA.i, c = addr_index(RB.i); r->addr = addr_push(up, c);
                 if (unlikely(r->flags & NORN_RUN_NAMES)) addr_note(st, r->addr, up, c);
                 NEXT; }
  OP(APUSHS):  { const val *s = &RB; size_t n; const char *name = norn_string_view(*s, &n); char b[96];
                 if (!name) { norn_fail(st, NORN_ETYPE, 0, "the name of a choice must be a string, got %s", norn_describe(st, *s, b, sizeof b)); FAIL_ARG(0); }
                 sym k = sym_intern(st, name, n); if (!k) FAIL;
                 uint64_t up = r->addr, c = addr_component(st, ADDR_NAME, k, 0); if (!c) { state_memory(st); FAIL; } val *x = &RA; x->i = (int64_t)up; x->tag = V_ADDR; r->addr = addr_push(up, c);
                 if (r->flags & NORN_RUN_NAMES) addr_note(st, r->addr, up, c);
                 NEXT; }
  OP(AREST):   r->addr = (uint64_t)RA.i; NEXT;
  OP(SSAVE):   V_COPY(RA, r->scope); NEXT;
  OP(SREST):   if (r->rare) { V_COPY(r->scope, RA); } NEXT;

  /* ---- effects ---- */
  OP(SAMPLED): { val *w = &RA; const norn_dist_row *row = pc[1].p; int n = pc->b;
                 if (likely(draw_fast(r, row, w, n, pc[2].u))) NEXTN(4);
                 r->hold = (uint32_t)(w - R); r->nhold = (uint32_t)n; r->dist_in_reg = false;
                 if (likely(ask_fast(r, row, w, n))) {
                   r->R = R; r->pc = pc + 4; r->wait = WAIT_SAMPLE; r->answered = false; r->ans = r->hold;
                   ev->kind = NORN_SAMPLE; ev->flags = 0; ev->addr = addr_event(r->addr, pc[2].u); ev->ordinal = r->nsample++; ev->count = 1;
                   ev->dist = &r->d1; ev->proposal = NULL; ev->value = ev->engine = norn_none(); ev->span = span_unpack(pc[3].u);
                   return NORN_SAMPLE; }
                 SAFEPOINT; norn_dist d = { row, w, n }; r->nhold = (uint32_t)n;
                 EVENT(event_sample(r, ev, w, &d, NULL, pc[2].u, pc[3].u, 0), 4, st->err_arg); }
  OP(OBSERVED):{ val *w = &RA; const norn_dist_row *row = pc[1].p; int n = pc->b;
                 if (likely(score_fast(r, row, w, n))) {
                   if (!(r->flags & NORN_RUN_STOP)) NEXTN(4);
                   r->R = R; r->pc = pc + 4; r->wait = WAIT_NONE; r->iter++;
                   if (unlikely(V_IS_HEAP(*w))) { r->value = *w; r->rare = true; }
                   ev->kind = NORN_OBSERVE; ev->flags = 0; ev->addr = 0; ev->ordinal = r->nobserve - 1; ev->count = 1; ev->dist = ev->proposal = NULL;
                   ev->value = *w; ev->engine = norn_none(); ev->span = span_unpack(pc[3].u);
                   return NORN_OBSERVE; }
                 SAFEPOINT; norn_dist d = { row, w, n }; r->dist_in_reg = false; r->hold = (uint32_t)(w - R); r->nhold = (uint32_t)n + 1;
                 EVENT(event_observe(r, ev, w, &d, w[n], pc[2].u, pc[3].u, 0), 4, st->err_arg); }
  OP(SAMPLE):  { SAFEPOINT; val *w = &RA; norn_dist d;
                 if (w->tag == NORN_MODEL) { const proto *p; val *W = w + FRAME_SIZE; r->R = R; r->pc = pc; POLL();
                   uint64_t path = addr_event(r->addr, pc[1].u);
                   if (pc[1].u && r->flags & NORN_RUN_NAMES) addr_note(st, path, r->addr, pc[1].u);
                   if (model_enter(r, W, *w, path, &p)) FAIL;
                   R = r->R; W = &RA + FRAME_SIZE; ENTER_FRAME(W, pc + 3, p); GO; }
                 if (unlikely(!norn_dist_view(*w, &d))) { char b[96]; norn_fail(st, NORN_ETYPE, 0, "only a distribution or a model can be sampled, got %s", norn_describe(st, *w, b, sizeof b)); FAIL_ARG(0); }
                 r->dist_in_reg = true; r->hold = (uint32_t)(w - R); r->nhold = 1;
                 EVENT(event_sample(r, ev, w, &d, NULL, pc[1].u, pc[2].u, 0), 3, 0); }
  OP(SAMPLEV): { SAFEPOINT; val *w = &RA; norn_dist d, q; char b[96];
                 if (!norn_dist_view(w[0], &d)) { norn_fail(st, NORN_ETYPE, 0, "only a distribution can be sampled `via` another, got %s", norn_describe(st, w[0], b, sizeof b)); FAIL_ARG(0); }
                 if (!norn_dist_view(w[1], &q)) { norn_fail(st, NORN_ETYPE, 1, "`via` needs a distribution to propose from, got %s", norn_describe(st, w[1], b, sizeof b)); FAIL_ARG(1); }
                 r->dist_in_reg = true; r->hold = (uint32_t)(w - R); r->nhold = 2;
                 EVENT(event_sample(r, ev, w, &d, &q, pc[1].u, pc[2].u, 0), 3, -1); }
  OP(OBSERVE): { SAFEPOINT; val *w = &RA; norn_dist d;
                 if (unlikely(!norn_dist_view(w[0], &d))) { char b[96]; norn_fail(st, NORN_ETYPE, 0, "observe needs a distribution, got %s", norn_describe(st, w[0], b, sizeof b)); FAIL_ARG(0); }
                 r->dist_in_reg = true; r->hold = (uint32_t)(w - R); r->nhold = 2;
                 EVENT(event_observe(r, ev, w, &d, w[1], pc[1].u, pc[2].u, 0), 3, 1); }
  OP(FACTOR):  { const val *x = &RA; double lw; char b[96];
                 if (!norn_as_real(*x, &lw)) { norn_fail(st, NORN_ETYPE, 0, "factor needs a log weight, got %s", norn_describe(st, *x, b, sizeof b)); FAIL_ARG(0); }
                 if (lw != lw || lw == INFINITY) { norn_fail(st, NORN_EDOMAIN, 0, "the log weight of factor is %s", lw != lw ? "not a number" : "infinite"); FAIL_ARG(0); }
                 EVENT(event_weight(r, ev, lw, pc[1].u, NORN_EV_FACTOR), 2, 0); }
  OP(CONDITION): { const val *x = &RA; if (unlikely(!V_IS_BOOL(*x))) goto not_bool;
                 EVENT(event_weight(r, ev, x->i ? 0 : -INFINITY, pc[1].u, NORN_EV_CONDITION), 2, 0); }
  OP(INFER):   { SAFEPOINT; val *w = &RA; char b[96];
                 if (w[0].tag != NORN_MODEL) { norn_fail(st, NORN_ETYPE, 0, "infer needs a model, got %s", norn_describe(st, w[0], b, sizeof b));
                   if (w[0].tag == NORN_FUN && v_clo(w[0])->p->is_model) norn_hint(st, "call the model with its arguments: infer(%s(...))", v_clo(w[0])->p->name);
                   FAIL_ARG(0); }
                 if (w[1].tag != NORN_ENGINE && w[1].tag != NORN_UNIT) { norn_fail(st, NORN_ETYPE, 1, "infer needs an engine, got %s", norn_describe(st, w[1], b, sizeof b));
                   norn_hint(st, "for example infer(m, smc(particles = 1000))"); FAIL_ARG(1); }
                 r->R = R; r->pc = pc + 3; r->wait = WAIT_INFER; r->answered = false; r->ans = r->hold = (uint32_t)(w - R); r->nhold = 2; r->dist_in_reg = false;
                 *ev = (norn_event){ .kind = NORN_INFER, .addr = addr_push(r->addr, pc[1].u), .value = w[0], .engine = w[1], .count = 1, .span = span_unpack(pc[2].u) };
                 return NORN_INFER; }
  OP(LOGPDF):  { SAFEPOINT; norn_dist d; double lp; char b[96];
                 if (!norn_dist_view(RB, &d)) { norn_fail(st, NORN_ETYPE, 0, "logpdf needs a distribution, got %s", norn_describe(st, RB, b, sizeof b)); FAIL_ARG(0); }
                 if (norn_dist_logp(st, &d, RC, &lp)) FAIL_ARG(1);
                 SET_REAL(RA, lp); NEXT; }
  OP(LOGPDFD): { const norn_dist_row *row = pc[1].p; const val *w = &RB; int n = pc->c - 1, which; double p[NORN_DIST_P], y, lp;
                 if (likely(row->logp1 && !(row->flags & NORN_DIST_DISCRETE) && norn_as_real(w[n], &y) && scalars(w, n, p) && !row->check1(p, &which))) {
                   SET_REAL(RA, row->logp1(y, p)); NEXT2; }
                 SAFEPOINT; norn_dist d = { row, w, n };
                 if (norn_dist_check(st, &d)) FAIL_ARG(st->err_arg);
                 if (norn_dist_logp(st, &d, w[n], &lp)) FAIL_ARG(n);
                 SET_REAL(RA, lp); NEXT2; }

  /* ---- mem ---- */
  OP(MEMNEW):  { SAFEPOINT; r->R = R; r->pc = pc; val v = memo_new(r, RB); if (norn_is_none(v)) FAIL_ARG(0); RA = v; NEXT2; }
  OP(MEMGET):  { SAFEPOINT; val id = v_clo(R[-1])->cap[1], key = memo_key(st, R, SIMM(pc->b), id); if (norn_is_none(key)) FAIL;
                 uint64_t hk = value_hash(key);
                 val v = r->memo.tag == NORN_MAP ? hamt_get(r->memo, key, hk) : norn_none();
                 if (!norn_is_none(v)) { RA = v; NEXT; }
                 uint64_t up = (uint64_t)id.i, comp = addr_numbered(ADDR_MEMO, 0) | (hk & 0xffffffffffffffu);
                 RA = key; r->addr = addr_push(up, comp);
                 if (r->flags & NORN_RUN_NAMES) addr_note(st, r->addr, up, comp);
                 JUMP; }
  OP(MEMPUT):  { SAFEPOINT; if (r->memo.tag != NORN_MAP) { val m = hamt_new(st); if (norn_is_none(m)) FAIL; r->memo = m; r->rare = true; }
                 val m = hamt_put(st, r->memo, RA, value_hash(RA), RB); if (norn_is_none(m)) FAIL;
                 r->memo = m; r->rare = true; NEXT; }

  OP(HALT):    r->pc = pc; r->R = R; r->finished = true; r->value = r->stk[0]; r->rare = true;
               *ev = (norn_event){ .kind = NORN_DONE, .value = r->value, .count = 1 };
               return NORN_DONE;
  OP(WATER):   pc = r->wpc; run_water(r, R); GO;                  /* R is the caller already */

full:                                                             /* safepoint; the instruction runs again */
  r->pc = pc; r->R = R; r->nhold = 0;
  if (!heap_collect(st, need)) FAIL;
  GO;
poll:
  if (!state_poll(st)) FAIL;
  GO;
slowly:
  SAFEPOINT;
  { val v = arith_slow(st, sop, sx, sy); if (norn_is_none(v)) FAIL; RA = v; pc += 1 + op_table[pc->op].nlit; GO; }
not_bool:
  { char b[96]; norn_fail(st, NORN_ETYPE, 0, "a condition must be true or false, got %s", norn_describe(st, RA, b, sizeof b)); arg = 0; }
fail:
  /* C code allocates without collecting: what lies in the way may be garbage.  Once an instruction. */
  if (st->err.code == NORN_EMEMORY && !h->nogc && pc != retried && !st->err.span.file && may_run_again(pc, R)) {
    retried = pc;
    r->pc = pc; r->R = R; r->nhold = 0;
    norn_clear(st);
    heap_collect_full(st);
    GO;
  }
  r->pc = pc; r->R = R; r->finished = true; r->nhold = 0;
  run_fail(r, pc, arg);
  *ev = (norn_event){ .kind = NORN_ERROR, .value = norn_none(), .span = st->err.span };
  return NORN_ERROR;
}
