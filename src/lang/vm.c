/* vm.c: the interpreter.  One loop over the instructions of op.h; it returns at events.

   Fast paths stand here, everything else (promotion, arrays, errors, calls of odd things) is a cold
   function in vm_slow.c, arith.c or event.c.  Compiled with -fno-tree-vectorize: gcc 12 once paired
   pc and R in a vector register through every handler and doubled the time.

   Safepoints: an instruction that must allocate and finds the nursery full jumps to `full`, which
   collects and runs the instruction again; so no instruction may have had an effect before that. */
#include "lang/symbolic/branch.h"
#include "lang/symbolic/delayed.h"
#include "lang/lanes/lanes.h"
#include "lang/event_fast.h"
#include "lang/vm_in.h"
#include <math.h>

/* ---- events ---- */

/* An event of event.c: answered in place, failed, or out to whoever drives. */
#define EVENT(call, skip, culprit) do { \
    SAVE; \
    run_mark mark_; \
    if (unlikely(st->home != NULL)) run_mark_set(r, &mark_); \
    int e_ = (call); \
    if (likely(e_ == 0)) NEXTN(skip); \
    if (e_ < 0) { \
      if (unlikely(st->home != NULL)) run_mark_back(r, &mark_); \
      FAIL_ARG(culprit); \
    } \
    r->pc = likely(ev->kind != NORN_READY) ? pc + (skip) : pc; \
    return ev->kind; \
  } while (0)

/* ---- arrays ---- */

/* How an array holds numbers such as y; NORN_VALUES: y is none. */
static inline unsigned packed_as(const val *y)
{
  return V_IS_REAL(*y) ? NORN_F64 : V_IS_INT(*y) ? NORN_I64 : V_IS_BOOL(*y) ? NORN_B8 : NORN_VALUES;
}

/* May such a number be appended in place?  The buffer is this worker's, the array ends where it does,
   and there is room. */
static inline bool takes(const norn_state *st, const vec *v, unsigned elem)
{
  const buf *b = v->b;
  uint64_t end = (uint64_t)(v->off + v->len);
  return b && b->h.n >> 1 == st->worker && b->h.aux == elem && elem != NORN_VALUES && b->fill == end &&
         end < b->cap && v->h.aux == 1;
}

/* Patterns: n elements exactly, or, n below 0, at least -1 - n. */
static inline bool has_length(val x, int n)
{
  if (x.tag != NORN_ARRAY) return false;
  return n >= 0 ? v_vec(x)->len == n : v_vec(x)->len >= -1 - n;
}

/* At a line of the cache: loops took up to a tenth longer as the linker laid it elsewhere. */
__attribute__((aligned(64))) norn_event_kind vm_exec(norn_run *r, norn_event *ev)
{
  static const void *const labels[] = {
#define X(name, modes, literals) &&L_##name,
    OP_LIST(X)
#undef X
  };
  norn_state *const st = r->st;
  heap *const h = &st->heap;
  const ins *pc = r->pc;
  val *R = r->R;
  size_t need = 0;             /* full: bytes wanted */
  int arg = -1;                /* fail: the argument at fault */
  arith sop;                   /* slowly: the operation and its sides */
  val sx, sy;
  const ins *retried = NULL;   /* the last instruction that ran out of memory */
  POLL();                      /* a run may have neither calls nor loops */
  GO;

  /* ---- loads ---- */

  OP(MOVE): V_COPY(RA, RB); NEXT;
  OP(LOADI): set_int(&RA, pc[1].i); NEXT2;
  OP(LOADF): set_real(&RA, pc[1].f); NEXT2;
  OP(LOADB): set_bool(&RA, SIMM(pc->b)); NEXT;
  OP(LOADU): RA = norn_unit(); NEXT;
  OP(LOADM): RA = norn_missing(); NEXT;
  OP(LOADN): RA = norn_none(); NEXT;
  OP(LOADK): RA = CONSTANT(pc[1].i); NEXT2;
  OP(LOADE): set_object(&RA, pc[1].u, NULL); NEXT2;
  OP(LOADFN): set_object(&RA, NORN_FUN, ((const proto *)pc[1].p)->self); NEXT2;
  OP(LOADNAT): set_object(&RA, NORN_NATIVE, pc[1].p); NEXT2;
  OP(GETCAP): V_COPY(RA, v_clo(R[-1])->cap[SIMM(pc->b)]); NEXT;
  OP(LOADSELF): V_COPY(RA, R[-1]); NEXT;
  OP(GETG): {
    const val *g = st->globals + pc[1].i;
    if (unlikely(norn_is_none(*g))) {
      vm_unset(r, pc[1].u);
      FAIL;
    }
    V_COPY(RA, *g);
    NEXT2;
  }
  OP(SETG):
    if (unlikely(st->home != NULL)) {
      state_at_home(st);
      FAIL;
    }
    V_COPY(st->globals[pc[1].i], RA);
    NEXT2;

  /* ---- arithmetic ---- */

  ARITH(ADD, __builtin_add_overflow, +)
  ARITH(SUB, __builtin_sub_overflow, -)
  ARITH(MUL, __builtin_mul_overflow, *)
  TYPED(IADD, A_ADD, __builtin_add_overflow)
  TYPED(ISUB, A_SUB, __builtin_sub_overflow)
  TYPED(IMUL, A_MUL, __builtin_mul_overflow)
  IMMEDIATE(ADDI, A_ADD, __builtin_add_overflow, +)
  IMMEDIATE(MULI, A_MUL, __builtin_mul_overflow, *)
  OP(IADDI): {
    const val *x = &RB;
    int64_t n, k = SIMM(pc->c);
    if (likely(!__builtin_add_overflow(x->i, k, &n))) { set_int(&RA, n); NEXT; }
    SLOWLY(A_ADD, *x, norn_int(k));
  }
  OP(DIV): {
    const val *x = &RB, *y = &RC;
    if (likely(V_IS_REAL(*x) && V_IS_REAL(*y))) { set_real(&RA, x->d / y->d); NEXT; }
    if (V_IS_INT(*x) && V_IS_INT(*y) && y->i) {
      set_real(&RA, (double)x->i / (double)y->i);
      NEXT;
    }
    SLOWLY(A_DIV, *x, *y);
  }
  OP(DIVK): {
    const val *x = &RB;
    if (likely(V_IS_REAL(*x))) { set_real(&RA, x->d / pc[1].f); NEXT2; }
    SLOWLY(A_DIV, *x, norn_real(pc[1].f));
  }
  OP(FDIV): set_real(&RA, RB.d / RC.d); NEXT;
  OP(FDIVK): set_real(&RA, RB.d / pc[1].f); NEXT2;
  REVERSED(SUBK, A_SUB, -)
  REVERSED(DIVK, A_DIV, /)
  OP(IDIV): {                                    /* rounds down */
    const val *x = &RB, *y = &RC;
    if (likely(V_IS_INT(*x) && V_IS_INT(*y) && y->i > 0)) {
      int64_t q = x->i / y->i;
      set_int(&RA, q - (x->i % y->i < 0));
      NEXT;
    }
    SLOWLY(A_IDIV, *x, *y);
  }
  OP(MOD): {                                     /* has the sign of the divisor */
    const val *x = &RB, *y = &RC;
    if (likely(V_IS_INT(*x) && V_IS_INT(*y) && y->i > 0)) {
      int64_t m = x->i % y->i;
      set_int(&RA, m < 0 ? m + y->i : m);
      NEXT;
    }
    SLOWLY(A_MOD, *x, *y);
  }
  OP(MODK): {
    const val *x = &RB;
    int64_t k = pc[1].i;
    if (likely(V_IS_INT(*x))) {
      int64_t m = x->i % k;
      set_int(&RA, m < 0 ? m + k : m);
      NEXT2;
    }
    SLOWLY(A_MOD, *x, norn_int(k));
  }
  OP(POW): {
    const val *x = &RB, *y = &RC;
    if (V_IS_REAL(*x) && V_IS_INT(*y) && y->i == 2) { set_real(&RA, x->d * x->d); NEXT; }
    SLOWLY(A_POW, *x, *y);
  }
  OP(NEG): {
    const val *x = &RB;
    if (V_IS_REAL(*x)) { set_real(&RA, -x->d); NEXT; }
    if (V_IS_INT(*x) && x->i != INT64_MIN) { set_int(&RA, -x->i); NEXT; }
    SLOWLY(A_NEG, *x, *x);
  }
  OP(FNEG): set_real(&RA, -RB.d); NEXT;
  OP(NOT): {
    const val *x = &RB;
    if (likely(V_IS_BOOL(*x))) { set_bool(&RA, !x->i); NEXT; }
    SLOWLY(A_NOT, *x, *x);
  }
  OP(MATMUL): SAFEPOINT; SAVE; TRY(vec_matmul(st, RB, RC), -1); NEXT;
  OP(TRANSPOSE): SAFEPOINT; NO_LANES(&RB, 1); TRY(vec_transpose(st, RB), -1); NEXT;
  OP(CONCAT): SAFEPOINT; SETTLED(vec_concat(st, RB, RC), norn_array_length(RB)); NEXT;
  OP(RANGE): {
    SAFEPOINT;
    const val *x = &RB, *y = &RC;
    if (!V_IS_INT(*x)) FAIL_WANT(0, "a range needs integers", *x);
    if (!V_IS_INT(*y)) FAIL_WANT(1, "a range needs integers", *y);
    TRY(vec_range(st, x->i, y->i), -1);
    NEXT;
  }
  COMPARE(LT, <)
  COMPARE(LE, <=)
  COMPARE(EQ, ==)
  COMPARE(NE, !=)

  /* ---- branches ---- */

  OP(JMP): JUMP;
  OP(JMPF): NEXTN(pc[1].i);
  OP(LOOP): POLL(); JUMP;
  OP(JF): {
    const val *x = &RA;
    if (unlikely(!V_IS_BOOL(*x))) goto not_bool;
    if (x->i) NEXT;
    JUMP;
  }
  OP(JT): {
    const val *x = &RA;
    if (unlikely(!V_IS_BOOL(*x))) goto not_bool;
    JUMP_IF(x->i);
    NEXT;
  }
  OP(CHECKB): if (unlikely(!V_IS_BOOL(RA))) goto not_bool; NEXT;
  BRANCH(JNLT, A_LT, <, false)
  BRANCH(JNLE, A_LE, <=, false)
  BRANCH(JLT, A_LT, <, true)
  BRANCH(JLE, A_LE, <=, true)
  BRANCH_EQUAL(JNEQ, false)
  BRANCH_EQUAL(JEQ, true)
  BRANCH_INT(JNLTI, A_LT, false, <, false)
  BRANCH_INT(JNLEI, A_LE, false, <=, false)
  BRANCH_INT(JNGTI, A_LT, true, >, false)
  BRANCH_INT(JNGEI, A_LE, true, >=, false)
  BRANCH_REAL(JNLTK, A_LT, false, <)
  BRANCH_REAL(JNGTK, A_LT, true, >)
  OP(JNEQI): OP(JEQI): {
    const val *x = &RA;
    bool test;
    if (likely(V_IS_INT(*x))) test = x->i == SIMM(pc->b);
    else if (unlikely(v_is_lanes(*x))) {
      SAVE;
      sx = lanes_arith(st, A_EQ, *x, norn_int(SIMM(pc->b)));
      if (norn_is_none(sx)) FAIL;
      if (v_is_lanes(sx)) LANES_BRANCH(sx);
      test = sx.i;
    } else {
      if (unlikely(branch_stops(r))) NODE_BRANCH(A_EQ, *x, norn_int(SIMM(pc->b)));
      test = equals_small(st, *x, SIMM(pc->b));
      branch_passed(r);
    }
    JUMP_IF(test == (pc->op == OP_JEQI));
    NEXT;
  }
  OP(FJNLT): if (RA.d < RB.d) NEXT; JUMP;
  OP(FJNLE): if (RA.d <= RB.d) NEXT; JUMP;
  OP(FJNLTK): if (RA.d < pc[1].f) NEXT2; JUMP;
  OP(FJNGTK): if (RA.d > pc[1].f) NEXT2; JUMP;
  OP(IJNLT): if (RA.i < RB.i) NEXT; JUMP;
  OP(IJNLE): if (RA.i <= RB.i) NEXT; JUMP;
  OP(IJNLTI): if (RA.i < SIMM(pc->b)) NEXT; JUMP;
  OP(IJNGTI): if (RA.i > SIMM(pc->b)) NEXT; JUMP;
  OP(IJNEQI): if (RA.i == SIMM(pc->b)) NEXT; JUMP;
  OP(FORPREP): {
    const val *x = &RA, *y = &RB;
    if (unlikely(!V_IS_INT(*x))) FAIL_WANT(0, "a range needs integers", *x);
    if (unlikely(!V_IS_INT(*y))) FAIL_WANT(1, "a range needs integers", *y);
    if (x->i < y->i) NEXT;
    JUMP;
  }
  OP(FORLOOP): {
    POLL();
    val *x = &RA;
    int64_t i = x->i + 1;                        /* can't overflow: x was below the limit */
    if (likely(i < RB.i)) { set_int(x, i); JUMP; }
    NEXT;
  }
  OP(ITERLEN): {
    const val *x = &RB;
    if (likely(x->tag == NORN_ARRAY)) { set_int(&RA, v_vec(*x)->len); NEXT; }
    TRY(vm_iterlen(r, *x), 0);
    NEXT;
  }

  /* ---- calls ---- */

  OP(CALL): {
    POLL();
    val *W = &RA + FRAME_SIZE;
    const val *f = W - 1;
    const proto *p;
    if (likely(f->tag == NORN_FUN)) {
      p = v_clo(*f)->p;
      if (likely(p->nargs == pc->b && !p->aside)) ENTER_FRAME(W, pc + 1, p);
    }
    SAFEPOINT;
    SAVE;
    call_result c = vm_call(r, W, pc->b, &p);
    if (c == CALL_DONE) NEXT;
    if (c == CALL_FAIL) FAIL;
    R = r->R;
    W = &RA + FRAME_SIZE;
    ENTER_FRAME(W, pc + 1, p);
  }
  OP(CALLG): {
    POLL();
    val *W = &RA + FRAME_SIZE;
    const proto *p = pc[1].p;
    set_object(&W[-1], NORN_FUN, p->self);
    ENTER_FRAME(W, pc + 2, p);
  }
  OP(TCALL): {
    POLL();
    val *W = &RA + FRAME_SIZE;
    int n = pc->b;
    const proto *p;
    if (unlikely(W[-1].tag != NORN_FUN || (p = v_clo(W[-1])->p)->nargs != n || p->aside)) {
      SAFEPOINT;
      SAVE;
      call_result c = vm_call(r, W, n, &p);
      if (c == CALL_FAIL) FAIL;
      R = r->R;
      W = &RA + FRAME_SIZE;
      if (c == CALL_DONE) {                      /* no function of ours: return what it gave */
        val v = W[-FRAME_SIZE], *frame = R - FRAME_SIZE;
        LEAVE_FRAME(frame);
        *frame = v;
        GO;
      }
      n = p->nargs;
    }
    ROOM_HERE(W, p);
    copy_values(R - 1, W - 1, n + 1);            /* the callee and its arguments */
    pc = p->code;
    GO;
  }
  OP(TCALLG): {
    POLL();
    val *W = &RA + FRAME_SIZE;
    const proto *p = pc[1].p;
    ROOM_HERE(W, p);
    copy_values(R, W, pc->b);
    set_object(&R[-1], NORN_FUN, p->self);
    pc = p->code;
    GO;
  }
  OP(CALLX): {
    POLL();
    SAFEPOINT;
    val *W = &RA + FRAME_SIZE;
    int n;
    const proto *p;
    SAVE;
    if (!vm_call_named(r, W, pc->b, CONSTANT(pc[1].i), &n)) FAIL;
    R = r->R;
    W = &RA + FRAME_SIZE;
    call_result c = vm_call(r, W, n, &p);
    if (c == CALL_DONE) NEXT2;
    if (c == CALL_FAIL) FAIL;
    R = r->R;
    W = &RA + FRAME_SIZE;
    ENTER_FRAME(W, pc + 2, p);
  }
  OP(NATIVE): SAFEPOINT; SAVE; TRY(vm_native(r, pc[1].p, &RA, pc->b), st->err_arg); NEXT2;
  OP(MATH1): {
    const val *x = &RB;
    const norn_native *f = pc[1].p;
    if (likely(V_IS_REAL(*x))) { set_real(&RA, f->real1(x->d)); NEXT2; }
    if (V_IS_INT(*x)) { set_real(&RA, f->real1((double)x->i)); NEXT2; }
    SAFEPOINT;
    if (unlikely(st->graph != NULL || st->lanes != NULL)) SAVE;
    TRY(arith_map1(st, f, *x), 0);
    NEXT2;
  }
  OP(RET): {
    val *frame = R - FRAME_SIZE;
    const val *x = &RA;
    LEAVE_FRAME(frame);
    V_COPY(*frame, *x);
    GO;
  }
  OP(JGIVEN): JUMP_IF(RA.tag != NORN_NONE); NEXT;
  OP(CHECKT): {
    char b[320];
    const char *wrong = annot_check(st, CONSTANT(pc[1].i), RA, b, sizeof b);
    if (unlikely(wrong != NULL)) {
      norn_fail(st, NORN_ETYPE, -1, "%s", wrong);
      FAIL;
    }
    NEXT2;
  }

  /* ---- building and taking apart ---- */

  OP(CLOSURE): {
    clo *o;
    int n = pc->c;
    const val *w = &RB;
    ALLOC(o, SIZE_WITH(o, n));
    object_header(h, &o->h, NORN_FUN, 0, n);
    o->p = pc[1].p;
    copy_values(o->cap, w, n);
    set_object(&RA, NORN_FUN, o);
    NEXT2;
  }
  OP(DATA): {
    data *o;
    int n = pc->c;
    const val *w = &RB;
    uint64_t tag = pc[1].u;
    ALLOC(o, SIZE_WITH(o, n));
    object_header(h, &o->h, NORN_DATA, (uint16_t)(tag >> 32), n);
    copy_values(o->f, w, n);
    set_object(&RA, tag, o);
    NEXT2;
  }
  OP(RECORD): {
    rec *o;
    int n = pc->c;
    const val *w = &RB;
    ALLOC(o, SIZE_WITH(o, n));
    object_header(h, &o->h, NORN_RECORD, 0, n);
    o->sh = pc[1].p;
    copy_values(o->f, w, n);
    set_object(&RA, NORN_RECORD, o);
    NEXT2;
  }
  OP(WITH): {
    SAFEPOINT;
    const val *w = &RB;
    const int64_t *names = v_vec(CONSTANT(pc[1].i))->b->i;
    int n = pc->c - 1;
    sym s[64];
    for (int i = 0; i < n && i < 64; i++) s[i] = (sym)names[i];
    TRY(rec_with(st, w[0], s, w + 1, n), 0);
    NEXT2;
  }
  OP(ARRAY): SAFEPOINT; SETTLED(vec_pack(st, &RB, pc->c), 0); NEXT;
  OP(STRCAT): SAFEPOINT; NO_LANES(&RB, pc->c); TRY(str_concat(st, &RB, pc->c), -1); NEXT;
  OP(DIST): SAFEPOINT; SAVE; TRY(norn_dist_new(st, pc[1].p, &RB, pc->c), st->err_arg); NEXT2;
  OP(ENGINE): SAFEPOINT; TRY(norn_engine_new(st, pc[1].p, &RB, pc->c), st->err_arg); NEXT2;
  OP(MODEL): {
    modl *o;
    int n = pc->c;
    const val *w = &RB;
    const proto *p = pc[1].p;
    ALLOC(o, SIZE_WITH(o, n + 2));
    object_header(h, &o->h, NORN_MODEL, 0, n + 2);
    o->pad = 0;
    o->a[0] = v_obj(NORN_FUN, p->self);
    o->a[1] = norn_unit();
    copy_values(o->a + 2, w, n);
    set_object(&RA, NORN_MODEL, o);
    NEXT2;
  }
  OP(FIELD): V_COPY(RA, ((data *)RB.p)->f[SIMM(pc->c)]); NEXT;
  OP(GETF): {                                    /* cache: shape << 32 | place; 0: empty */
    const val *x = &RB;
    uint64_t cache = __atomic_load_n(&pc[2].u, __ATOMIC_RELAXED);   /* workers share the code */
    if (likely(x->tag == NORN_RECORD && cache && v_rec(*x)->sh->id == cache >> 32)) {
      V_COPY(RA, v_rec(*x)->f[(uint32_t)cache]);
      NEXTN(3);
    }
    SAFEPOINT;
    SAVE;
    TRY(vm_getf(r, *x, (sym)pc[1].i, (uint64_t *)(uintptr_t)&pc[2].u), -1);
    NEXTN(3);
  }
  OP(INDEX): {                                   /* of a vector: rank 1, one buffer */
    const val *x = &RB, *y = &RC;
    if (likely(x->tag == NORN_ARRAY && V_IS_INT(*y))) {
      const vec *v = v_vec(*x);
      uint64_t i = (uint64_t)y->i;
      if (likely(i < (uint64_t)v->len && v->h.aux == 1 && !v->b->parent)) {
        const buf *b = v->b;
        i += (uint64_t)v->off;
        switch (b->h.aux) {
        case NORN_F64: set_real(&RA, b->f[i]); NEXT;
        case NORN_I64: set_int(&RA, b->i[i]); NEXT;
        case NORN_B8: set_bool(&RA, b->b[i]); NEXT;
        default: V_COPY(RA, b->v[i]); NEXT;
        }
      }
    }
    SAFEPOINT;
    SAVE;
    TRY(vm_index(r, *x, *y), st->err_arg);
    NEXT;
  }
  OP(INDEXN): {
    SAFEPOINT;
    const val *w = &RB;
    if (pc->c > 2) NO_LANES(w, pc->c);
    TRY(vm_index_many(r, w, pc->c - 1, (unsigned)pc[1].i), st->err_arg);
    NEXT2;
  }
  OP(REST): SAFEPOINT; TRY(vec_slice(st, RB, SIMM(pc->c), v_vec(RB)->len), -1); NEXT;
  OP(LEN): {
    const val *x = &RB;
    if (likely(x->tag == NORN_ARRAY)) { set_int(&RA, v_vec(*x)->len); NEXT; }
    TRY(vm_len(r, *x), 0);
    NEXT;
  }
  OP(NEWVEC): {
    vec *o;
    ALLOC(o, sizeof *o);
    object_header(h, &o->h, NORN_ARRAY, 1, (int)st->worker);
    o->b = NULL;
    o->off = o->len = 0;
    set_object(&RA, NORN_ARRAY, o);
    NEXT;
  }
  OP(PUSH): {
    const val *x = &RB, *y = &RC;
    if (unlikely(x->tag != NORN_ARRAY)) FAIL_WANT(0, "push needs an array", *x);
    if (likely(takes(st, v_vec(*x), packed_as(y)))) {
      vec *o;
      ALLOC(o, sizeof *o);
      const vec *v = v_vec(*x);
      object_header(h, &o->h, NORN_ARRAY, 1, (int)st->worker);
      o->b = v->b;
      o->off = v->off;
      o->len = v->len + 1;
      uint64_t at = o->b->fill++ - o->b->base;
      if (V_IS_BOOL(*y)) o->b->b[at] = y->i != 0;
      else o->b->i[at] = y->i;                     /* a real's bits too */
      set_object(&RA, NORN_ARRAY, o);
      NEXT;
    }
    SAFEPOINT;
    SETTLED(vec_push(st, *x, *y), v_vec(*x)->len);
    NEXT;
  }
  OP(JNTAG): if (RA.tag == pc[1].u) NEXT2; JUMP;
  OP(JNARR): if (has_length(RA, SIMM(pc->b))) NEXT; if (unlikely(v_is_random(RA))) FAIL; JUMP;
  OP(JNREC): {
    const val *x = &RA;
    if (x->tag == NORN_RECORD && shape_find(v_rec(*x)->sh, (sym)pc[1].i) >= 0) NEXT2;
    JUMP;
  }
  OP(MATCHFAIL): vm_matchfail(r, RA, pc->b); FAIL;

  /* ---- addresses ---- */

  OP(ASAVE): set_address(&RA, r->addr); NEXT;
  OP(APUSH): {
    uint64_t up = r->addr;
    set_address(&RA, up);
    r->addr = addr_push(up, pc[1].u);
    if (unlikely(r->flags & NORN_RUN_NAMES)) addr_note(st, r->addr, up, pc[1].u);
    NEXT2;
  }
  OP(AIDX): {
    uint64_t up = (uint64_t)RA.i, comp = addr_index(RB.i);
    r->addr = addr_push(up, comp);
    if (unlikely(r->flags & NORN_RUN_NAMES)) addr_note(st, r->addr, up, comp);
    NEXT;
  }
  OP(APUSHS): {
    size_t n;
    const char *name = norn_string_view(RB, &n);
    if (!name) FAIL_WANT(0, "the name of a choice must be a string", RB);
    sym s = sym_intern(st, name, n);
    if (!s) FAIL;
    uint64_t up = r->addr, comp = addr_component(st, ADDR_NAME, s, 0);
    if (!comp) {
      state_memory(st);
      FAIL;
    }
    set_address(&RA, up);
    r->addr = addr_push(up, comp);
    if (r->flags & NORN_RUN_NAMES) addr_note(st, r->addr, up, comp);
    NEXT;
  }
  OP(AREST): r->addr = (uint64_t)RA.i; NEXT;
  OP(SSAVE): V_COPY(RA, r->scope); NEXT;
  OP(SREST): if (r->rare) V_COPY(r->scope, RA); NEXT;

  /* ---- effects ---- */

  OP(SAMPLED): {
    val *w = &RA;
    const norn_dist_row *row = pc[1].p;
    int n = pc->b;
    if (likely(draw_fast(r, row, w, n, pc[2].u))) NEXTN(4);
    hold(r, (uint32_t)(w - R), n, false);
    if (likely(ask_fast(r, row, w, n))) {
      r->R = R;
      r->pc = pc + 4;
      return asked(r, ev, pc[2].u, pc[3].u);
    }
    SAFEPOINT;
    norn_dist d = {row, w, n};
    EVENT(event_sample(r, ev, w, &d, NULL, pc[2].u, pc[3].u, 0), 4, st->err_arg);
  }
  OP(OBSERVED): {
    val *w = &RA;
    const norn_dist_row *row = pc[1].p;
    int n = pc->b;
    if (likely(score_fast(r, row, w, n))) {
      if (!(r->flags & NORN_RUN_STOP)) NEXTN(4);
      r->R = R;
      r->pc = pc + 4;
      return scored(r, ev, *w, pc[3].u);
    }
    SAFEPOINT;
    norn_dist d = {row, w, n};
    hold(r, (uint32_t)(w - R), n + 1, false);
    EVENT(event_observe(r, ev, w, &d, w[n], pc[2].u, pc[3].u, pc->c), 4, st->err_arg);
  }
  OP(SAMPLE): {
    SAFEPOINT;
    val *w = &RA;
    norn_dist d;
    bool drawn = w->tag != NORN_MODEL;
    if (drawn) {
      if (unlikely(!norn_dist_view(*w, &d)))
        FAIL_WANT(0, "only a distribution or a model can be sampled", *w);
      if (unlikely(d.row->expand != NULL)) {
        int k = vm_expand(r, w, pc[1].u);
        if (k < 0) FAIL_ARG(0);
        drawn = k == 0;
      }
    }
    if (unlikely(!drawn)) {                      /* its body gets a frame above this one */
      val *W = w + FRAME_SIZE;
      const proto *p;
      SAVE;
      POLL();
      uint64_t path = addr_event(r->addr, pc[1].u);
      if (pc[1].u && r->flags & NORN_RUN_NAMES) addr_note(st, path, r->addr, pc[1].u);
      run_mark mark;
      run_mark_set(r, &mark);
      if (model_enter(r, W, *w, path, &p)) {
        run_mark_back(r, &mark);
        FAIL;
      }
      R = r->R;
      W = &RA + FRAME_SIZE;
      ENTER_FRAME(W, pc + 3, p);
    }
    hold(r, (uint32_t)(w - R), 1, true);
    EVENT(event_sample(r, ev, w, &d, NULL, pc[1].u, pc[2].u, 0), 3, 0);
  }
  OP(SAMPLEV): {
    SAFEPOINT;
    val *w = &RA;
    norn_dist d, q;
    if (!norn_dist_view(w[0], &d))
      FAIL_WANT(0, "only a distribution can be sampled `via` another", w[0]);
    if (!norn_dist_view(w[1], &q))
      FAIL_WANT(1, "`via` needs a distribution to propose from", w[1]);
    hold(r, (uint32_t)(w - R), 2, true);
    EVENT(event_sample(r, ev, w, &d, &q, pc[1].u, pc[2].u, 0), 3, -1);
  }
  OP(OBSERVE): {
    SAFEPOINT;
    val *w = &RA;
    norn_dist d;
    if (unlikely(!norn_dist_view(w[0], &d))) FAIL_WANT(0, "observe needs a distribution", w[0]);
    hold(r, (uint32_t)(w - R), 2, true);
    EVENT(event_observe(r, ev, w, &d, w[1], pc[1].u, pc[2].u, pc->c), 3, 1);
  }
  OP(FACTOR): {
    double lw;
    if (unlikely(v_is_lanes(RA))) EVENT(event_lanes(r, ev, RA, pc[1].u, NORN_EV_FACTOR), 2, 0);
    if (unlikely(v_is_node(RA)))
      EVENT(event_node_weight(r, ev, RA, pc[1].u), 2, 0);
    if (!norn_as_real(RA, &lw)) FAIL_WANT(0, "factor needs a log weight", RA);
    if (lw != lw || lw == INFINITY) {
      vm_bad_weight(st, lw);
      FAIL_ARG(0);
    }
    EVENT(event_weight(r, ev, RA, lw, pc[1].u, NORN_EV_FACTOR), 2, 0);
  }
  OP(CONDITION): {
    const val *x = &RA;
    if (unlikely(v_is_lanes(*x))) EVENT(event_lanes(r, ev, *x, pc[1].u, NORN_EV_CONDITION), 2, 0);
    if (unlikely(!V_IS_BOOL(*x))) goto not_bool;
    double lw = x->i ? 0 : -INFINITY;
    EVENT(event_weight(r, ev, norn_real(lw), lw, pc[1].u, NORN_EV_CONDITION), 2, 0);
  }
  OP(TWIST): {
    SAFEPOINT;
    double lw;
    if (unlikely(v_is_node(RA))) NEXT2;          /* a recording is of whole runs, where nothing is left of it */
    if (unlikely(st->lanes != NULL)) {
      SAVE;
      lanes_alone(st, "twist");
      FAIL;
    }
    if (!norn_as_real(RA, &lw)) FAIL_WANT(0, "twist needs a log weight", RA);
    if (!(fabs(lw) < INFINITY)) {
      vm_bad_twist(st, lw);
      FAIL_ARG(0);
    }
    EVENT(event_twist(r, ev, lw, pc[1].u), 2, 0);
  }
  OP(INFER): {
    if (unlikely(st->home != NULL)) {
      state_at_home(st);
      FAIL;
    }
    SAFEPOINT;
    val *w = &RA;
    if (unlikely(st->lanes != NULL)) {
      SAVE;
      lanes_alone(st, "an inference inside of a model");
      FAIL;
    }
    if (!vm_can_infer(st, w)) FAIL_ARG(st->err_arg);
    hold(r, (uint32_t)(w - R), 2, false);
    r->R = R;
    r->pc = pc + 3;
    r->wait = WAIT_INFER;
    r->answered = false;
    r->ans = r->hold;
    *ev = (norn_event){.kind = NORN_INFER,
                       .addr = addr_push(r->addr, pc[1].u),
                       .value = w[0],
                       .engine = w[1],
                       .count = 1,
                       .span = span_unpack(pc[2].u)};
    if (unlikely(v_clo(R[-1])->p->stdlib)) ev->span = run_place(r);
    return NORN_INFER;
  }
  OP(LOGPDF): {
    SAFEPOINT;
    norn_dist d;
    double lp;
    if (!norn_dist_view(RB, &d)) FAIL_WANT(0, "logpdf needs a distribution", RB);
    if (unlikely(norn_dist_is_big(&d, RC))) {
      TRY(vm_logpdf_big(st, &d, RC), 1);
      NEXT;
    }
    if (unlikely(st->graph)) { SAVE; TRY(node_logpdf(st, &d, RC), 1); NEXT; }
    if (unlikely(st->lanes != NULL)) { SAVE; TRY(lanes_logpdf(st, &d, RC), 1); NEXT; }
    if (norn_dist_logp(st, &d, RC, &lp)) FAIL_ARG(1);
    set_real(&RA, lp);
    NEXT;
  }
  OP(LOGPDFD): {
    const norn_dist_row *row = pc[1].p;
    const val *w = &RB;
    int n = pc->c - 1, which;
    double p[NORN_DIST_P], y, lp;
    if (likely(row->logp1 && !(row->flags & NORN_DIST_DISCRETE) && scalars(w + n, 1, &y) &&
               scalars(w, n, p) && !row->check1(p, &which))) {
      set_real(&RA, row->logp1(y, p));
      NEXT2;
    }
    SAFEPOINT;
    norn_dist d = {row, w, n};
    if (unlikely(st->lanes != NULL)) { SAVE; TRY(lanes_logpdf(st, &d, w[n]), n); NEXT2; }
    if (norn_dist_check(st, &d)) FAIL_ARG(st->err_arg);
    if (unlikely(norn_dist_is_big(&d, w[n]))) {
      TRY(vm_logpdf_big(st, &d, w[n]), n);
      NEXT2;
    }
    if (unlikely(st->graph)) { TRY(node_logpdf(st, &d, w[n]), n); NEXT2; }
    if (norn_dist_logp(st, &d, w[n], &lp)) FAIL_ARG(n);
    set_real(&RA, lp);
    NEXT2;
  }

  /* ---- mem ---- */

  OP(MEMNEW): SAFEPOINT; SAVE; TRY(memo_new(r, RB), 0); NEXT2;
  OP(MEMGET): {                                  /* the value; or the key, and to the call */
    SAFEPOINT;
    NO_LANES(R, SIMM(pc->b));
    val id = v_clo(R[-1])->cap[1], key = memo_key(st, R, SIMM(pc->b), id);
    if (norn_is_none(key)) FAIL;
    uint64_t hash = value_hash(key);
    val known = r->memo.tag == NORN_MAP ? hamt_get(r->memo, key, hash) : norn_none();
    if (!norn_is_none(known)) { RA = known; NEXT; }
    RA = key;
    uint64_t up = (uint64_t)id.i;
    uint64_t comp = addr_numbered(ADDR_MEMO, 0) | (hash & 0xffffffffffffffu);
    r->addr = addr_push(up, comp);
    if (r->flags & NORN_RUN_NAMES) addr_note(st, r->addr, up, comp);
    JUMP;
  }
  OP(MEMPUT): {
    SAFEPOINT;
    val table = r->memo.tag == NORN_MAP ? r->memo : hamt_new(st);
    if (!norn_is_none(table)) table = hamt_put(st, table, RA, value_hash(RA), RB);
    if (norn_is_none(table)) FAIL;
    r->memo = table;
    r->rare = true;
    NEXT;
  }

  OP(HALT): {
    SAVE;
    if (unlikely(r->flags & NORN_RUN_MAKES)) {
      const proto *p;
      int made = event_made(r, &p);
      R = r->R;
      if (made < 0) { pc = p->code; FAIL; }
      if (made) { pc = p->code; GO; }
    }
    if (unlikely(r->memo.tag == NORN_MAP)) event_untwist(r);
    r->finished = r->rare = true;
    if (unlikely(r->delay != NULL) && !delayed_end(r)) { retried = pc = v_clo(R[-1])->p->code; FAIL; }
    r->value = r->stk[0];
    *ev = (norn_event){.kind = NORN_DONE, .value = r->value, .count = 1};
    return NORN_DONE;
  }
  OP(WATER): pc = r->wpc; run_water(r, R); GO;   /* R is the caller already */
  OP(JOIN):                                      /* of a way's code (symbolic/branch.h) */
    SAVE;
    r->hold = pc->a >> 4;
    r->nhold = 1;
    r->dist_in_reg = false;
    *ev = (norn_event){.kind = NORN_JOINED, .count = 1};
    return NORN_JOINED;

full:                                            /* safepoint; the instruction runs again */
  SAVE;
  r->nhold = 0;
  if (!heap_collect(st, need)) FAIL;
  GO;
poll:
  if (!state_poll(st)) FAIL;
  GO;
slowly:
  SAFEPOINT;
  SAVE;
  TRY(arith_slow(st, sop, sx, sy), -1);
  NEXTN(1 + op_table[pc->op].nlit);
not_bool:
  if (v_is_lanes(RA)) {
    SAVE;
    sx = RA;
    if (lanes_kind(sx) == LANE_BOOL) {
      if (pc->op == OP_CHECKB) NEXT;
      LANES_BRANCH(sx);
      if ((pc->op == OP_JT) == (sx.i != 0)) JUMP;
      NEXT;
    }
  }
  if (v_is_truth(RA)) {
    if (pc->op == OP_CHECKB) NEXT;
    if (pc->op == OP_CONDITION) EVENT(event_node_weight(r, ev, node_must(st, RA), pc[1].u), 2, 0);
    if (branch_stops(r)) NODE_BRANCH(A_EQ, RA, norn_bool(true));
    branch_passed(r);
    if ((pc->op == OP_JT) == node_equals(st, RA, 1)) JUMP;
    NEXT;
  }
  if (v_is_latent(RA) && pc->op != OP_CONDITION) {
    sx = latent_value(st, RA);
    if (V_IS_BOOL(sx)) {
      if (pc->op != OP_CHECKB && (pc->op == OP_JT) == (sx.i != 0)) JUMP;
      NEXT;
    }
  }
  vm_want(st, 0, "a condition must be true or false", RA);
  arg = 0;
fail:
  if (unlikely(st->lanes != NULL)) {
    SAVE;
    if (lanes_leave(r)) {                        /* stands here: its lanes part, or go alone */
      *ev = (norn_event){.kind = NORN_ERROR};
      return NORN_ERROR;
    }
  }
  if (unlikely(st->home != NULL) && !(st->lanes && st->lanes->want == WANT_ERROR) && run_goes_home(r, pc)) {
    SAVE;
    r->nhold = 0;
    ev->kind = RUN_AT_HOME;
    return RUN_AT_HOME;
  }
  if (unlikely(latent_on(st)) && latent_retry(r, pc, R)) {
    arg = -1;
    r->nhold = 0;
    GO;
  }
  /* C code allocates without collecting: what lies in the way may be garbage.  Tried once. */
  if (st->err.code == NORN_EMEMORY && !h->nogc && pc != retried && !st->err.span.file &&
      vm_may_run_again(pc, R)) {
    retried = pc;
    arg = -1;
    SAVE;
    r->nhold = 0;
    norn_clear(st);
    heap_collect_full(st);
    GO;
  }
  SAVE;
  r->finished = true;
  r->nhold = 0;
  run_fail(r, pc, arg);
  *ev = (norn_event){.kind = NORN_ERROR, .value = norn_none(), .span = st->err.span};
  return NORN_ERROR;
}
