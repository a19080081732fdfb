/* branch.c: branches on nodes (norn.h, norn_branch_ways).

   The ways of a branch meet where every path from it must come: at an instruction of the same function, or,
   where both return, behind its call.  Two forks of the run go them, whatever they consist of, calls, loops,
   choices and observations too, and stop there:

        JNLT r9 r4 -> 4     fork 1 goes on at 1, fork 2 at 4
        1  ADDI r10 r9 1
        2  JMP -> 5
        4  NEG r10 r9
        5  JOIN             both stop; r10 of the run = choose(r10 of fork 1, r10 of fork 2)

   For that a fork's innermost frame runs a copy of its function's code with JOIN at that place, or instead of
   its returns; what is called in a tail is called behind the copy and stops there.  In copies instructions that
   take registers for numbers without looking (FADD) are those that look (ADD), for registers may hold nodes behind
   the join where the compiler saw two literals: so the run itself goes on in such a copy.  A copy's closure has,
   behind its captures, the one that it stands for. */
#include "lang/symbolic/branch.h"
#include "lang/symbolic/latent.h"
#include "lang/value/arith_in.h"
#include "lang/value/array.h"
#include "lang/compile/flow.h"
#include <string.h>

/* ---- where ways meet ---- */

enum { RETURNS = -1, NOWHERE = -2 };

/* A branch, by its function and word, and copies of the code: with JOIN where its ways meet, and without. */
typedef struct branch_code {
  struct branch_code *next;
  const proto *of;
  uint32_t at;
  int64_t join;                        /* or RETURNS, NOWHERE */
  proto p, plain;
  size_t bytes;
  ins code[];                          /* p's, its tail calls, plain's */
} branch_code;

void branch_free(norn_state *st)
{
  for (branch_code *b = st->branches, *next; b; b = next) {
    next = b->next;
    mem_put(&st->mem, b, b->bytes);
  }
  st->branches = NULL;
}

/* The words that can be reached from behind the branch at `at` without passing `block`, as marks; false: an end of
   the function is, or the branch itself.  stack, seen (ncode). */
static bool ways_stay(const proto *p, uint32_t at, int64_t block, uint32_t *stack, uint8_t *seen)
{
  flow f;
  size_t n = 0;
  memset(seen, 0, p->ncode);
  flow_of(p->code, at, &f);
  stack[n++] = at + (uint32_t)f.size;
  if (f.jump >= 0 && f.jump < p->ncode) stack[n++] = (uint32_t)f.jump;
  while (n) {
    uint32_t pc = stack[--n];
    if (pc >= p->ncode || seen[pc] || pc == block) continue;
    seen[pc] = 1;
    flow_of(p->code, pc, &f);
    bool ends = !f.next && !f.jumps && p->code[pc].op != OP_MATCHFAIL;
    if (block >= 0 && (ends || pc == at)) return false;
    if (f.next && pc + (uint32_t)f.size < p->ncode && !seen[pc + (uint32_t)f.size]) stack[n++] = pc + (uint32_t)f.size;
    if (f.jumps && f.jump >= 0 && f.jump < p->ncode && !seen[f.jump]) stack[n++] = (uint32_t)f.jump;
  }
  return true;
}

/* The first place behind the branch that all its paths come to. */
static bool find_join(norn_state *st, branch_code *b)
{
  const proto *p = b->of;
  size_t room = (size_t)p->ncode * (2 * sizeof(uint32_t) + 2);
  uint32_t *stack = mem_get(&st->mem, room);
  if (!stack) return state_memory(st), false;
  uint8_t *seen = (uint8_t *)(stack + 2 * (size_t)p->ncode), *first = seen + p->ncode;
  ways_stay(p, b->at, -1, stack, first);
  b->join = RETURNS;
  for (uint32_t j = b->at + 1; j < p->ncode && b->join == RETURNS; j++)
    if (first[j] && ways_stay(p, b->at, j, stack, seen)) b->join = j;
  if (b->join == RETURNS && first[b->at]) b->join = NOWHERE;         /* a loop that may end here */
  mem_put(&st->mem, stack, room);
  return true;
}

/* The instruction that looks at what this one takes for numbers. */
static unsigned looking(unsigned op)
{
  switch (op) {
#define X(name) case OP_F##name: return OP_##name;
  X(ADD) X(SUB) X(MUL) X(DIV) X(ADDK) X(SUBK) X(MULK) X(DIVK) X(RSUBK) X(RDIVK) X(NEG)
  X(JNLT) X(JNLE) X(JNLTK) X(JNGTK)
#undef X
#define X(name) case OP_I##name: return OP_##name;
  X(ADD) X(SUB) X(MUL) X(ADDI) X(JNLT) X(JNLE) X(JNLTI) X(JNGTI) X(JNEQI)
#undef X
  default: return op;
  }
}

static void copy_code(const proto *of, ins *code, proto *p)
{
  flow f;
  memcpy(code, of->code, of->ncode * sizeof *code);
  for (uint32_t pc = 0; pc < of->ncode; pc += (uint32_t)f.size) {
    flow_of(of->code, pc, &f);
    if (code[pc].op == OP_LOADSELF) {                  /* never the copy */
      code[pc].op = OP_GETCAP;
      code[pc].b = of->ncap;
    } else code[pc].op = (uint16_t)looking(code[pc].op);
  }
  *p = *of;
  p->code = code;
}

/* Words that calls in a tail take behind the code. */
static uint32_t tails_size(const proto *of)
{
  uint32_t n = 0;
  flow f;
  for (uint32_t pc = 0; pc < of->ncode; pc += (uint32_t)f.size) {
    flow_of(of->code, pc, &f);
    if (of->code[pc].op == OP_TCALL || of->code[pc].op == OP_TCALLG) n += (uint32_t)f.size + 1;
  }
  return n;
}

/* Instead of returning the code stops; register a is what is returned. */
static void returns_join(const proto *of, ins *code)
{
  ins *to = code + of->ncode;
  flow f;
  for (uint32_t pc = 0; pc < of->ncode; pc += (uint32_t)f.size) {
    unsigned op = of->code[pc].op;
    flow_of(of->code, pc, &f);
    if (op == OP_RET) code[pc].op = OP_JOIN;
    if (op != OP_TCALL && op != OP_TCALLG) continue;
    memcpy(to, code + pc, (size_t)f.size * sizeof *to);
    to->op = op == OP_TCALL ? OP_CALL : OP_CALLG;
    code[pc].op = OP_JMP;
    code[pc].c = (uint16_t)(int16_t)(to - (code + pc));
    to += f.size;
    *to++ = (ins){ { .op = OP_JOIN, .a = of->code[pc].a } };
  }
}

/* Of the branch at word `at`; NULL: error set. */
static branch_code *branch_of(norn_state *st, const proto *of, uint32_t at)
{
  branch_code **from = &st->branches, *b = *from;
  for (; b && (b->of != of || b->at != at); b = *from) from = &b->next;
  if (b) {
    *from = b->next;
    b->next = st->branches;                            /* the next is often the same */
    return st->branches = b;
  }
  size_t tails = tails_size(of), bytes = sizeof *b + (2 * (size_t)of->ncode + tails) * sizeof(ins);
  if (!(b = mem_get(&st->mem, bytes))) return state_memory(st), NULL;
  *b = (branch_code){ .next = st->branches, .of = of, .at = at, .bytes = bytes };
  st->branches = b;
  copy_code(of, b->code, &b->p);
  copy_code(of, b->code + of->ncode + tails, &b->plain);
  if (!find_join(st, b)) {
    st->branches = b->next;
    mem_put(&st->mem, b, bytes);
    return NULL;
  }
  if (b->join == RETURNS && of->ncode + tails > INT16_MAX) b->join = NOWHERE;
  if (b->join == RETURNS) returns_join(of, b->code);
  if (b->join >= 0) b->code[b->join].op = OP_JOIN;
  return b;
}

/* The function of which p may be a copy. */
static const proto *original(const norn_state *st, const proto *p)
{
  for (const branch_code *b = st->branches; b; b = b->next)
    if (p == &b->p || p == &b->plain) return b->of;
  return p;
}

/* The innermost frame goes on in p, at the same word; false: no memory. */
static bool frame_runs(norn_run *r, const proto *of, const proto *p)
{
  clo *from = v_clo(r->R[-1]);
  bool copied = from->p != of;
  clo *c = heap_alloc(r->st, sizeof *c + ((size_t)p->ncap + 1) * sizeof(val));
  if (!c) return false;
  obj_init(c, NORN_FUN, from->h.aux, p->ncap + 1u);
  c->p = p;
  for (int i = 0; i < p->ncap; i++) c->cap[i] = from->cap[i];
  c->cap[p->ncap] = copied ? from->cap[p->ncap] : r->R[-1];
  r->pc = p->code + (r->pc - from->p->code);
  r->R[-1] = v_obj(NORN_FUN, c);
  run_dirty(r);
  return true;
}

/* ---- at a branch ---- */

static bool is_number(val x) { return V_IS_INT(x) || V_IS_REAL(x) || v_is_node(x); }

/* x op y as a node that is 1 or 0; NONE: no memory, or (without an error) not of numbers or truth values. */
static val compared(norn_state *st, arith op, val x, val y)
{
  graph *g = st->graph;
  if (v_is_truth(y) && !v_is_truth(x)) return compared(st, op, y, x);        /* only == and != are of these */
  if (v_is_truth(x)) {
    if ((op != A_EQ && op != A_NE) || (!V_IS_BOOL(y) && !v_is_truth(y))) return norn_none();
    return graph_truth(g, op == A_NE, graph_op2(g, G_EQ, x, V_IS_BOOL(y) ? norn_real(y.i != 0) : y));
  }
  if (!is_number(x) || !is_number(y)) return norn_none();
  return graph_truth(g, op == A_NE, graph_op2(g, op == A_LT ? G_LT : op == A_LE ? G_LE : G_EQ, x, y));
}

int branch_event(norn_run *r, norn_event *ev, arith op, val x, val y)
{
  norn_state *st = r->st;
  if (!st->graph || r != st->current) return 0;
  x = latent_value(st, x);
  y = latent_value(st, y);
  if (!v_is_node(x) && !v_is_node(y)) return 0;
  val c = compared(st, op, x, y);
  if (norn_is_none(c)) return st->err.code ? -1 : 0;
  const proto *p = run_proto(r);
  *ev = (norn_event){ .kind = NORN_BRANCH, .value = c, .count = 1, .span = run_place(r),
                      .addr = (uintptr_t)(original(st, p)->code + (r->pc - p->code)) };
  return 1;
}

val branch_value(norn_state *st, arith op, val x, val y)
{
  norn_run *r = st->current;
  if (!r || !branch_stops(r) || st->graph->plain) return norn_none();
  return compared(st, op, x, y);
}

void norn_branch_guard(norn_run *r) { r->flags |= RUN_GUARDED; }

/* A fork that goes the way where the condition holds, or the other one. */
static norn_run *way_of(norn_run *r, const branch_code *b, bool holds)
{
  flow f;
  unsigned op = b->of->code[b->at].op;
  bool when = op == OP_JT || op == OP_JLT || op == OP_JLE || op == OP_JEQ || op == OP_JEQI;
  norn_run *w = norn_run_fork(r, r->lane);
  if (!w) return NULL;
  w->flags |= RUN_IS_WAY;
  flow_of(b->of->code, b->at, &f);
  if (!frame_runs(w, b->of, &b->p)) { norn_run_free(w); return NULL; }
  w->pc = b->p.code + (holds == when ? f.jump : b->at + f.size);
  return w;
}

bool norn_branch_ways(norn_run *r, norn_run *way[2])
{
  norn_state *st = r->st;
  const proto *p = run_proto(r), *of = original(st, p);
  const branch_code *b = branch_of(st, of, (uint32_t)(r->pc - p->code));
  way[0] = way[1] = NULL;
  if (!b || b->join == NOWHERE) return false;
  for (int k = 0; k < 2; k++)
    if (!(way[k] = way_of(r, b, k == 0))) {
      norn_run_free(way[0]);
      return false;
    }
  return true;
}

/* ---- behind it ---- */

typedef struct chosen {
  norn_state *st;
  norn_datum (*choose)(void *, norn_datum, norn_datum);
  void *user;
} chosen;

enum { DEEPEST = 100 };
static val merged(const chosen *c, val x, val y, int depth);

/* n values of an object that is a copy of x but for them; NONE if one can't be had. */
static bool merge_each(const chosen *c, const val *x, const val *y, val *to, uint32_t n, int depth)
{
  for (uint32_t i = 0; i < n; i++) {
    val v = merged(c, x[i], y[i], depth + 1);
    if (norn_is_none(v) && !(norn_is_none(x[i]) && norn_is_none(y[i]))) return false;
    to[i] = v;
  }
  return true;
}

static val merge_arrays(const chosen *c, val x, val y, int depth)
{
  const vec *a = v_vec(x), *b = v_vec(y);
  int64_t n = a->len;
  if (b->len != n || n == 0) return norn_none();
  vec *z = vec_new(c->st, NORN_VALUES, 1, &n);
  for (int64_t i = 0; z && i < n; i++) {
    val e = merged(c, vec_at(c->st, a, i), vec_at(c->st, b, i), depth + 1);
    if (norn_is_none(e)) return e;
    z->b->v[i] = e;
  }
  return z ? vec_pack(c->st, z->b->v, n) : norn_none();
}

/* Objects of one kind with n values each, behind `head` bytes of which all but the flags are x's. */
static val merge_objects(const chosen *c, val x, val y, size_t head, int depth)
{
  const obj *a = x.p, *b = y.p;
  uint32_t n = x.tag == NORN_RECORD ? v_rec(x)->sh->n : a->n;
  if (a->aux != b->aux || a->n != b->n) return norn_none();
  char *z = heap_alloc(c->st, head + n * sizeof(val));
  if (!z) return norn_none();
  memcpy(z + sizeof(obj), (const char *)x.p + sizeof(obj), head - sizeof(obj));
  obj_init(z, a->kind, a->aux, a->n);
  val *to = (val *)(void *)(z + head);
  for (uint32_t i = 0; i < n; i++) to[i] = norn_unit();
  if (!merge_each(c, (const val *)(const void *)((const char *)x.p + head),
                  (const val *)(const void *)((const char *)y.p + head), to, n, depth))
    return norn_none();
  return (val){ .tag = x.tag, .p = z };
}

static val merged(const chosen *c, val x, val y, int depth)
{
  if (x.tag == y.tag && x.i == y.i) return x;
  bool plain = is_number(x) || V_IS_BOOL(x), plain_too = is_number(y) || V_IS_BOOL(y);
  if (plain && plain_too) return c->choose(c->user, x, y);
  if (x.tag != y.tag || !V_IS_HEAP(x) || depth > DEEPEST) return norn_none();
  if (!norn_has_node(x) && !norn_has_node(y) && value_equal(x, y)) return x;
  switch (V_KIND(x)) {
  case NORN_ARRAY: return merge_arrays(c, x, y, depth);
  case NORN_RECORD: return v_rec(x)->sh == v_rec(y)->sh ? merge_objects(c, x, y, sizeof(rec), depth) : norn_none();
  case NORN_DATA: return merge_objects(c, x, y, sizeof(data), depth);
  case NORN_DIST: return v_tab(x)->row == v_tab(y)->row ? merge_objects(c, x, y, sizeof(tab), depth) : norn_none();
  case NORN_FUN: return v_clo(x)->p == v_clo(y)->p ? merge_objects(c, x, y, sizeof(clo), depth) : norn_none();
  default: return norn_none();
  }
}

static bool merge_into(const chosen *c, val *to, const val *x, const val *y, bool *differ)
{
  val v = merged(c, *x, *y, 0);
  if (norn_is_none(v) && !(norn_is_none(*x) && norn_is_none(*y))) return false;
  *differ |= !(x->tag == y->tag && x->i == y->i);
  *to = v;
  return true;
}

/* Registers that are read behind the join, at word j of the function. */
static bool merge_frame(const chosen *c, norn_run *r, norn_run *const way[2], const proto *p, uint32_t j, bool *differ)
{
  const uint64_t *live = p->live + (size_t)j * p->live_words;
  for (uint32_t w = 0; w < p->live_words; w++)
    for (uint64_t m = live[w]; m; m &= m - 1) {
      uint32_t k = w * 64 + (unsigned)__builtin_ctzll(m);
      if (!merge_into(c, r->R + k, way[0]->R + k, way[1]->R + k, differ)) return false;
    }
  return true;
}

/* Behind the call of the function that the run is in. */
static bool merge_return(const chosen *c, norn_run *r, norn_run *const way[2])
{
  val *frame = r->R - FRAME_SIZE, v;
  const ins *pc = FRAME_PC(frame);
  size_t dist = FRAME_DIST(frame);
  bool differ = false;
  if (!merge_into(c, &v, way[0]->R + (way[0]->pc->a >> 4), way[1]->R + (way[1]->pc->a >> 4), &differ)) return false;
  *frame = v;
  r->R = (val *)((char *)r->R - dist);
  r->pc = pc;
  if (pc != run_water_code) return true;
  r->pc = r->wpc;
  run_water(r, r->R);
  return true;
}

bool norn_branch_join(norn_run *r, norn_run *const way[2], norn_datum (*choose)(void *, norn_datum, norn_datum),
                      void *user)
{
  norn_state *st = r->st;
  const norn_run *a = way[0], *b = way[1];
  const proto *p = run_proto(r), *of = original(st, p);
  branch_code *k = branch_of(st, of, (uint32_t)(r->pc - p->code));
  chosen c = { st, choose, user };
  bool differ = false;
  if (!k || a->R - a->stk != b->R - b->stk || a->addr != b->addr || a->bits != b->bits ||
      a->scope.p != b->scope.p || !value_equal(a->memo, b->memo))
    return false;
  run_dirty(r);
  if (k->join == RETURNS) {
    if (!merge_return(&c, r, way)) return false;
  } else {
    if (!merge_frame(&c, r, way, of, (uint32_t)k->join, &differ)) return false;
    r->pc = p->code + k->join;
    if (differ && p == of && !frame_runs(r, of, &k->plain)) return false;
  }
  r->addr = a->addr;
  r->nsample = a->nsample > b->nsample ? a->nsample : b->nsample;
  r->nobserve = a->nobserve > b->nobserve ? a->nobserve : b->nobserve;
  r->iter = a->iter > b->iter ? a->iter : b->iter;
  r->memo = a->memo;
  r->rare |= a->rare;
  return true;
}
