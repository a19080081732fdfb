/* lanes_select.c: a branch at which lanes disagree, and whose ways are short and without effects, is no
   parting of ways: both are gone by all lanes, and each register that is read behind it gets, lane by lane,
   what its own way left there (lanes.h).

        JNLTK r9 0.5 -> 4     c = r9 < 0.5 in each lane
        1  ADDI r10 r9 1      one way:   r10 = r9 + 1
        2  JMP -> 5
        4  NEG r10 r9         the other: r10 = -r9
        5  ...                r10 = select(c, r9 + 1, -r9)

   `if` as an expression, `and`, `or`, branches inside of branches, functions that return on either way are
   such.  A lane also goes the way that is not its own: there nothing may go wrong that would not have gone
   wrong anyway, so an index, a divisor, a parameter is made harmless where it is not wanted, and whatever
   else fails sends the group back to the branch, which parts it as ever.  Draws are functions of counters:
   those of the other way are made and forgotten. */
#include "lang/lanes/lanes.h"
#include "lang/value/arith_in.h"
#include "lang/compile/flow.h"
#include <string.h>

/* WINDOW: words behind the branch that are looked at; LONG: instructions of both ways, LOG: registers that
   they may write. */
enum { WINDOW = 64, LONG = 32, LOG = 24 };

/* ---- what the ways may consist of ---- */

/* Arithmetic by instruction: its operation, and what stands on the right: a register, a real literal, a small
   integer, an integer literal; mirrored: on the left. */
enum { RIGHT_NONE, RIGHT_REG, RIGHT_REAL, RIGHT_SMALL, RIGHT_INT };
typedef struct operation { uint8_t op, right; bool mirrored; } operation;

static bool arithmetic(unsigned op, operation *o)
{
  switch (op) {
#define X(name, does, right, mirrored) \
  case OP_##name: *o = (operation){ does, RIGHT_##right, mirrored }; return true;
  X(ADD, A_ADD, REG, 0) X(SUB, A_SUB, REG, 0) X(MUL, A_MUL, REG, 0) X(DIV, A_DIV, REG, 0)
  X(IDIV, A_IDIV, REG, 0) X(MOD, A_MOD, REG, 0) X(POW, A_POW, REG, 0)
  X(ADDK, A_ADD, REAL, 0) X(SUBK, A_SUB, REAL, 0) X(MULK, A_MUL, REAL, 0) X(DIVK, A_DIV, REAL, 0)
  X(RSUBK, A_SUB, REAL, 1) X(RDIVK, A_DIV, REAL, 1)
  X(ADDI, A_ADD, SMALL, 0) X(MULI, A_MUL, SMALL, 0) X(MODK, A_MOD, INT, 0)
  X(FADD, A_ADD, REG, 0) X(FSUB, A_SUB, REG, 0) X(FMUL, A_MUL, REG, 0) X(FDIV, A_DIV, REG, 0)
  X(FADDK, A_ADD, REAL, 0) X(FSUBK, A_SUB, REAL, 0) X(FMULK, A_MUL, REAL, 0) X(FDIVK, A_DIV, REAL, 0)
  X(FRSUBK, A_SUB, REAL, 1) X(FRDIVK, A_DIV, REAL, 1)
  X(IADD, A_ADD, REG, 0) X(ISUB, A_SUB, REG, 0) X(IMUL, A_MUL, REG, 0) X(IADDI, A_ADD, SMALL, 0)
  X(NEG, A_NEG, NONE, 0) X(FNEG, A_NEG, NONE, 0) X(NOT, A_NOT, NONE, 0)
  X(LT, A_LT, REG, 0) X(LE, A_LE, REG, 0) X(EQ, A_EQ, REG, 0) X(NE, A_NE, REG, 0)
#undef X
  default: return false;
  }
}

/* Branches: the comparison of register a with b (a register, a small integer, a literal), and whether they
   jump when it holds.  RIGHT_NONE: register a is the condition itself. */
typedef struct test { uint8_t op, right; bool mirrored, when; } test;

static bool branching(unsigned op, test *t)
{
  switch (op) {
#define X(name, does, right, mirrored, when) \
  case OP_##name: *t = (test){ does, RIGHT_##right, mirrored, when }; return true;
  X(JF, A_EQ, NONE, 0, 0) X(JT, A_EQ, NONE, 0, 1)
  X(JNLT, A_LT, REG, 0, 0) X(JNLE, A_LE, REG, 0, 0) X(JLT, A_LT, REG, 0, 1) X(JLE, A_LE, REG, 0, 1)
  X(JNEQ, A_EQ, REG, 0, 0) X(JEQ, A_EQ, REG, 0, 1)
  X(JNLTI, A_LT, SMALL, 0, 0) X(JNLEI, A_LE, SMALL, 0, 0)
  X(JNGTI, A_LT, SMALL, 1, 0) X(JNGEI, A_LE, SMALL, 1, 0)
  X(JNEQI, A_EQ, SMALL, 0, 0) X(JEQI, A_EQ, SMALL, 0, 1)
  X(JNLTK, A_LT, REAL, 0, 0) X(JNGTK, A_LT, REAL, 1, 0)
  X(FJNLT, A_LT, REG, 0, 0) X(FJNLE, A_LE, REG, 0, 0) X(FJNLTK, A_LT, REAL, 0, 0) X(FJNGTK, A_LT, REAL, 1, 0)
  X(IJNLT, A_LT, REG, 0, 0) X(IJNLE, A_LE, REG, 0, 0)
  X(IJNLTI, A_LT, SMALL, 0, 0) X(IJNGTI, A_LT, SMALL, 1, 0)
  X(IJNEQI, A_EQ, SMALL, 0, 0)
#undef X
  default: return false;
  }
}

static bool is_pure(const ins *pc)
{
  operation o;
  test t;
  switch (pc->op) {
  case OP_MOVE: case OP_LOADI: case OP_LOADF: case OP_LOADB: case OP_LOADU: case OP_LOADM: case OP_LOADK:
  case OP_LOADE: case OP_LOADFN: case OP_LOADNAT: case OP_GETCAP: case OP_LOADSELF: case OP_GETG:
  case OP_JMP: case OP_CHECKB: case OP_MATH1: case OP_RET: case OP_FIELD: case OP_GETF: case OP_INDEX:
  case OP_LEN: case OP_SAMPLED:
    return true;
  case OP_NATIVE: return ((const norn_native *)pc[1].p)->flags & NORN_PURE;
  default: return arithmetic(pc->op, &o) || branching(pc->op, &t);
  }
}

/* Where the two ways of the branch at word `at` meet: all that can be reached in between is pure, lies behind
   it, and leads there.  *join: NULL: both return.  false: they do not meet so. */
static bool ways_meet(const proto *p, uint32_t at, const ins **join)
{
  flow f;
  uint64_t reached = 0;
  int64_t far = 0;
  bool returns = false;
  int n = 0;
  for (int64_t k = 0; k < WINDOW; k++) {
    uint32_t pc = at + (uint32_t)k;
    if (k && !(reached >> k & 1)) continue;
    *join = p->code + pc;
    if (k && k == far && !returns) return true;
    if (pc >= p->ncode || ++n > LONG || !is_pure(p->code + pc)) return false;
    flow_of(p->code, pc, &f);
    returns |= p->code[pc].op == OP_RET;
    int64_t next = f.next ? k + f.size : 0, jump = f.jumps ? f.jump - (int64_t)at : 0;
    if ((f.jumps && jump <= k) || next >= WINDOW || jump >= WINDOW) return false;
    reached |= 1ull << next | 1ull << jump;
    far = next > far ? next : far;
    far = jump > far ? jump : far;
    *join = NULL;
    if (k == far) return returns;                  /* the last: nothing behind it is reached */
  }
  return false;
}

/* ---- going a way ---- */

/* The ways that are gone: of each the condition, and the side of it. */
typedef struct way { const struct way *up; val c; bool side; } way;

/* Registers that were written, with what was there before; `now` when the way has been gone. */
typedef struct written { int n; uint16_t reg[LOG]; val old[LOG], now[LOG]; } written;

/* made: choices that lane 0 has made for certain, of which none may be made twice. */
enum { MADE = 8 };
typedef struct walk {
  group *g;
  norn_run *r;
  const proto *p;
  event_place made[MADE];
  int nmade;
} walk;

static val *reg_at(walk *s, uint16_t operand) { return (val *)((char *)s->r->R + operand); }

static bool put_reg(walk *s, written *w, uint16_t operand, val x)
{
  if (norn_is_none(x)) return false;
  val *to = reg_at(s, operand);
  int i = 0;
  while (i < w->n && w->reg[i] != operand) i++;
  if (i == LOG) return false;
  if (i == w->n) {
    w->reg[w->n] = operand;
    w->old[w->n++] = *to;
  }
  *to = x;
  return true;
}

/* The registers as they were; what they became is noted. */
static void undo(walk *s, written *w)
{
  for (int i = 0; i < w->n; i++) {
    w->now[i] = *reg_at(s, w->reg[i]);
    *reg_at(s, w->reg[i]) = w->old[i];
  }
}

static bool is_plain(val x) { return V_IS_INT(x) || V_IS_REAL(x) || V_IS_BOOL(x) || v_is_lanes(x); }
static unsigned kind_of(val x) { return v_is_lanes(x) ? lanes_kind(x) : (unsigned)x.tag; }

/* x in the lanes that go this way, `harmless` in others. */
static val only_here(walk *s, const way *y, val x, val harmless)
{
  for (; y && !norn_is_none(x); y = y->up)
    x = y->side ? lanes_choose(s->g, y->c, x, harmless) : lanes_choose(s->g, y->c, harmless, x);
  return x;
}

static val operand(walk *s, const ins *pc, unsigned right, uint16_t reg)
{
  return right == RIGHT_REG     ? *reg_at(s, reg)
         : right == RIGHT_REAL  ? norn_real(pc[1].f)
         : right == RIGHT_INT   ? norn_int(pc[1].i)
                                : norn_int((int16_t)reg);
}

static val computed(walk *s, const operation *o, const ins *pc, const way *y)
{
  val a = *reg_at(s, pc->b), b = o->right == RIGHT_NONE ? a : operand(s, pc, o->right, pc->c);
  if (!is_plain(a) || !is_plain(b)) return norn_none();
  if (o->mirrored) {
    val x = a;
    a = b;
    b = x;
  }
  bool whole = kind_of(a) == LANE_INT && kind_of(b) == LANE_INT;
  bool divides = o->op == A_IDIV || o->op == A_MOD || (o->op == A_DIV && whole);
  if (divides && v_is_lanes(b)) b = only_here(s, y, b, kind_of(b) == LANE_INT ? norn_int(1) : norn_real(1));
  return norn_is_none(b) ? b : arith_slow(s->r->st, (arith)o->op, a, b);
}

/* A pure function of numbers, booleans and arrays, of which nothing new on the heap comes. */
static val called(walk *s, const ins *pc)
{
  const val *args = reg_at(s, pc->a);
  for (int i = 0; i < pc->b; i++)
    if (!is_plain(args[i]) && args[i].tag != NORN_ARRAY) return norn_none();
  val x = vm_native(s->r, pc[1].p, args, pc->b);
  return is_plain(x) ? x : norn_none();
}

static val element(walk *s, const ins *pc, const way *y)
{
  val x = *reg_at(s, pc->b), i = *reg_at(s, pc->c);
  if (x.tag != NORN_ARRAY || kind_of(i) != LANE_INT) return norn_none();
  if (v_is_lanes(i)) i = only_here(s, y, i, norn_int(0));
  return norn_is_none(i) ? i : vm_index(s->r, x, i);
}

/* Does lane 0 go this way?  A segment does not know it yet: then it may. */
static bool lane_zero(walk *s, const way *y)
{
  if (s->g->defers) return true;
  for (; y; y = y->up) {
    const cell *c = lane_cells(s->g, y->c.p);
    if (!c || (c[0].i != 0) != y->side) return false;
  }
  return true;
}

/* The parameters of a choice; in lanes that go another way, if they differ by lane, numbers of the domain (if
   these are such).  false: they can't be had. */
static bool parameters(walk *s, const ins *pc, const way *y, val *args)
{
  const norn_dist_row *row = pc[1].p;
  const val *given = reg_at(s, pc->a);
  const val harmless[] = { [LANE_REAL] = norn_real(0.5), [LANE_INT] = norn_int(1) };
  double p[NORN_DIST_P] = { 0 };
  int which;
  if (pc->b > NORN_DIST_P || !row->check1) return false;
  for (int i = 0; i < pc->b; i++) {
    args[i] = given[i];
    if (!is_plain(args[i]) || kind_of(args[i]) == LANE_BOOL) return false;
    p[i] = v_is_lanes(args[i]) ? (kind_of(args[i]) == LANE_INT ? 1 : 0.5) : V_IS_REAL(args[i]) ? args[i].d
           : (double)args[i].i;
  }
  if (row->check1(p, &which)) return true;
  for (int i = 0; i < pc->b; i++) {
    if (v_is_lanes(args[i])) args[i] = only_here(s, y, args[i], harmless[kind_of(args[i])]);
    if (norn_is_none(args[i])) return false;
  }
  return true;
}

static val drawn(walk *s, const ins *pc, const way *y)
{
  val args[NORN_DIST_P];
  norn_dist d = { pc[1].p, args, pc->b };
  if (!parameters(s, pc, y, args)) return norn_none();
  uint64_t addr = addr_event(s->r->addr, pc[2].u);
  val x = norn_none();
  if (s->r->flags & NORN_RUN_NAMES) addr_note(s->r->st, addr, s->r->addr, pc[2].u);
  if (event_met(s->r, addr) || !event_sample_some(s->r, &x, &d, addr)) return norn_none();
  if (!lane_zero(s, y)) return x;
  if (s->nmade == MADE) return norn_none();
  s->made[s->nmade++] = (event_place){ addr, span_unpack(pc[3].u) };
  return x;
}

static val field(walk *s, const ins *pc)
{
  val x = *reg_at(s, pc->b);
  if (x.tag != NORN_RECORD) return norn_none();
  return vm_getf(s->r, x, (sym)pc[1].i, (uint64_t *)(uintptr_t)&pc[2].u);
}

/* What the instruction at pc writes to register a. */
static val result(walk *s, const ins *pc, const way *y)
{
  norn_state *st = s->r->st;
  operation o;
  const val *b = reg_at(s, pc->b);
  switch (pc->op) {
  case OP_MOVE: return *b;
  case OP_LOADI: return norn_int(pc[1].i);
  case OP_LOADF: return norn_real(pc[1].f);
  case OP_LOADB: return norn_bool((int16_t)pc->b);
  case OP_LOADU: return norn_unit();
  case OP_LOADM: return norn_missing();
  case OP_LOADK: return s->p->consts[pc[1].i];
  case OP_LOADE: return (val){ .tag = pc[1].u };
  case OP_LOADFN: return v_obj(NORN_FUN, ((const proto *)pc[1].p)->self);
  case OP_LOADNAT: return v_obj(NORN_NATIVE, pc[1].p);
  case OP_GETCAP: return v_clo(s->r->R[-1])->cap[(int16_t)pc->b];
  case OP_LOADSELF: return s->r->R[-1];
  case OP_GETG: return st->globals[pc[1].i];
  case OP_FIELD: return ((const data *)b->p)->f[(int16_t)pc->c];
  case OP_GETF: return field(s, pc);
  case OP_INDEX: return element(s, pc, y);
  case OP_LEN: return b->tag == NORN_ARRAY ? norn_int(v_vec(*b)->len) : norn_none();
  case OP_MATH1: return is_plain(*b) ? arith_map1(st, pc[1].p, *b) : norn_none();
  case OP_NATIVE: return called(s, pc);
  case OP_SAMPLED: return drawn(s, pc, y);
  default: return arithmetic(pc->op, &o) ? computed(s, &o, pc, y) : norn_none();
  }
}

/* The condition of the branch at pc. */
static val condition(walk *s, const ins *pc, const test *t)
{
  val a = *reg_at(s, pc->a), x = a;
  if (t->right == RIGHT_NONE) return kind_of(x) == LANE_BOOL ? x : norn_none();
  val b = operand(s, pc, t->right, pc->b);
  if (!is_plain(a) || !is_plain(b)) return norn_none();
  return t->mirrored ? arith_slow(s->r->st, (arith)t->op, b, a) : arith_slow(s->r->st, (arith)t->op, a, b);
}

/* ---- both ways ---- */

static bool both(walk *s, const ins *pc, val c, const way *up, written *out, const ins **join, val *value);

/* From pc on to the join, or, if that is NULL, to a return, whose place and value are given. */
static bool go(walk *s, const ins *pc, const ins *join, const way *y, written *w, const ins **end, val *value)
{
  while (pc != join) {
    test t;
    const ins *meet;
    int size = 1 + op_table[pc->op].nlit;
    if (pc->op == OP_RET) {
      *end = pc;
      *value = *reg_at(s, pc->a);
      return !join;
    } else if (pc->op == OP_JMP) pc += (int16_t)pc->c;
    else if (pc->op == OP_CHECKB) {
      if (kind_of(*reg_at(s, pc->a)) != LANE_BOOL) return false;
      pc += size;
    } else if (!branching(pc->op, &t)) {
      if (!put_reg(s, w, pc->a, result(s, pc, y))) return false;
      pc += size;
    } else {
      val c = condition(s, pc, &t);
      if (V_IS_BOOL(c)) pc += (c.i != 0) == t.when ? (int16_t)pc->c : size;
      else if (kind_of(c) != LANE_BOOL || !both(s, pc, c, y, w, &meet, value)) return false;
      else if (meet->op == OP_RET && !join) {
        *end = meet;
        *value = *reg_at(s, meet->a);
        return true;
      } else pc = meet;
    }
  }
  return true;
}

static bool is_same(val x, val y) { return x.tag == y.tag && x.i == y.i; }

/* What `w` left in a register, or what is there. */
static val left_by(walk *s, const written *w, uint16_t reg)
{
  for (int i = 0; i < w->n; i++)
    if (w->reg[i] == reg) return w->now[i];
  return *reg_at(s, reg);
}

static bool is_live(const proto *p, const ins *pc, uint16_t operand)
{
  uint32_t reg = operand >> 4;
  return p->live[(size_t)(pc - p->code) * p->live_words + reg / 64] >> reg % 64 & 1;
}

/* Of the registers that either way wrote, those that are read behind the join. */
static bool join_registers(walk *s, const written w[2], const ins *join, val c, written *out)
{
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < w[k].n; i++) {
      uint16_t reg = w[k].reg[i];
      if (!is_live(s->p, join, reg)) continue;
      val x = left_by(s, &w[0], reg), z = left_by(s, &w[1], reg);
      if (k && is_same(x, z)) continue;                  /* the first has written it */
      if (!is_same(x, z)) {
        if (lanes_reads_unseen(s->g->all, s->p, (uint32_t)(join - s->p->code), reg >> 4)) return false;
        x = lanes_choose(s->g, c, x, z);
      }
      if (!put_reg(s, out, reg, x)) return false;
    }
  return true;
}

/* Where it is not known which way lane 0 went: of the choices from `first` on, of which those from `second`
   on are the other way's, those that both ways make. */
static void both_made(walk *s, int first, int second)
{
  int n = first;
  for (int i = first; i < second; i++)
    for (int k = second; k < s->nmade; k++)
      if (s->made[i].addr == s->made[k].addr) {
        s->made[n++] = s->made[i];
        break;
      }
  s->nmade = n;
}

/* Both ways of the branch at pc, of which the lanes where c holds go one.  *join: where they go on, which is
   a return if both return. */
static bool both(walk *s, const ins *pc, val c, const way *up, written *out, const ins **join, val *value)
{
  test t;
  const ins *meet, *end[2] = { NULL, NULL };
  val left[2] = { norn_none(), norn_none() };
  written w[2] = { { .n = 0 }, { .n = 0 } };           /* [0]: where c holds */
  int first = s->nmade, second = first;
  if (!ways_meet(s->p, (uint32_t)(pc - s->p->code), &meet) || !branching(pc->op, &t)) return false;
  for (int k = 0; k < 2; k++) {
    way y = { up, c, k == 0 };
    const ins *from = pc + ((k == 0) == t.when ? (int16_t)pc->c : 1 + op_table[pc->op].nlit);
    bool gone = go(s, from, meet, &y, &w[k], &end[k], &left[k]);
    undo(s, &w[k]);
    if (!gone) return false;
    if (!k) second = s->nmade;
  }
  if (s->g->defers) both_made(s, first, second);
  *join = meet;
  if (meet) return join_registers(s, w, meet, c, out);
  *join = end[0];
  *value = is_same(left[0], left[1]) ? left[0] : lanes_choose(s->g, c, left[0], left[1]);
  return put_reg(s, out, end[0]->a, *value);
}

/* ---- at the branch ---- */

/* Places where it was tried in vain are not tried for ever. */
enum { IN_VAIN = 4 };
static struct lanes_vain *vain_at(norn_lanes *l, const ins *pc)
{
  struct lanes_vain *v = &l->vain[(uintptr_t)pc / sizeof *pc % NORN_COUNT(l->vain)];
  if (v->pc != pc) *v = (struct lanes_vain){ .pc = pc };
  return v;
}

/* 1: r goes on at r->pc; 0: it stands as before; -1: error set, or the group wants something. */
static int select_branch(group *g, norn_run *r, val c)
{
  norn_state *st = r->st;
  norn_lanes *l = g->all;
  walk s = { .g = g, .r = r, .p = v_clo(r->R[-1])->p };
  written w = { .n = 0 };
  const ins *join = NULL;
  val value = norn_none();
  struct lanes_vain *vain = vain_at(l, r->pc);
  if (vain->n >= IN_VAIN || lanes_kind(c) != LANE_BOOL) return 0;
  l->selecting = true;
  bool done = both(&s, r->pc, c, NULL, &w, &join, &value);
  l->selecting = false;
  if (done && event_chosen(r, s.made, s.nmade)) {
    r->pc = join;
    l->report.selects++;
    vain->n = 0;
    return 1;
  }
  undo(&s, &w);
  norn_status code = st->err.code;
  if (g->want == WANT_AGAIN || g->want == WANT_ERROR || code == NORN_EMEMORY || code == NORN_ELIMIT ||
      code == NORN_EINTERRUPT) return -1;
  vain->n++;
  norn_clear(st);
  r->nhold = 0;
  g->want = WANT_NOTHING;
  return 0;
}

int lanes_branch(norn_run *r, val *v)
{
  norn_state *st = r->st;
  group *g = st->lanes;
  int k = 0;
  if (st->current != g->run) return lanes_decide(st, v) ? 0 : -1;
  if (g->defers && (k = select_branch(g, r, *v))) return k;
  if (lanes_decide(st, v)) return 0;
  if (g->defers || g->want != WANT_SPLIT) return -1;
  g->want = WANT_NOTHING;
  if ((k = select_branch(g, r, *v))) return k;
  lanes_decide(st, v);                                   /* they part; the mask may have been used */
  return -1;
}
