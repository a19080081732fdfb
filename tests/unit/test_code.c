/* The verifier and the liveness analysis.

   For each instruction a small valid function is made; then each operand and literal is broken in
   turn and must be refused.  Liveness is compared on random code with the definition itself: a
   register is live where some path leads to a read of it with no definition or kill on the way. */
#include "unit.h"
#include "lang/env.h"
#include "lang/compile/flow.h"
#include <stdlib.h>

enum { REGS = 16, CODE = 12 };

static double twice(double x) { return 2 * x; }
static norn_status first(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)st;
  (void)n;
  *out = args[0];
  return NORN_OK;
}

static const norn_native natives[] = {
  {"t_two", "a, b = 1", "", first, 0, NULL},
  {"t_many", "a, b...", "", first, NORN_VARIADIC, NULL},
  {"t_twice", "x", "", NULL, 0, twice},
};
static const norn_dist_row rows[] = {{.name = "t_dist", .params = "a, b"}};
static const norn_option options[] = {{"n", "10", ""}, {"m", "2", ""}};
static const norn_engine engines[] = {
    {.version = NORN_ENGINE_VERSION, .name = "t_engine", .options = options, .noptions = 2}};

/* What literals may point to. */
typedef struct world {
  norn_state *st;
  proto callee, closed, model;       /* two arguments each; callee has two captures */
  uint64_t data_tag, enum_tag, sym;
  const shape *sh;
  val consts[3];                     /* names for CALLX, for WITH, a type for CHECKT */
  clo self;
} world;

static void make_proto(norn_state *st, proto *p, const ins *code)
{
  *p = (proto){
      .code = code, .ncode = 1, .nargs = 2, .nreq = 2, .nregs = 2, .bytes = 32, .name = "callee"};
  p->next = st->protos;
  st->protos = p;
}

static void world_make(world *w)
{
  static const ins ret = {{OP_RET, 0, 0, 0}};
  norn_state *st = w->st;
  make_proto(st, &w->callee, &ret);
  make_proto(st, &w->closed, &ret);
  make_proto(st, &w->model, &ret);
  w->callee.ncap = 2;
  w->closed.self = w->model.self = &w->self;
  w->model.is_model = true;
  CHECK(norn_add_natives(st, NULL, natives, 3) == NORN_OK);
  CHECK(norn_add_dists(st, rows, 1) == NORN_OK);
  CHECK(norn_add_engines(st, engines, 1) == NORN_OK);
  sym names[2] = {sym_intern(st, "Leaf", 4), sym_intern(st, "Node", 4)};
  uint32_t arity[2] = {0, 2};
  uint64_t tags[2];
  env_type(st, sym_intern(st, "Tree", 4), 2, names, arity, NULL, tags);
  w->enum_tag = tags[0], w->data_tag = tags[1];
  w->sym = names[0];
  w->sh = shape_intern(st, names, 2);
  env_slot(st, norn_none());
  const int64_t one = 1, two = 2;
  void *at;
  w->consts[0] = norn_array(st, NORN_I64, 1, &two, &at);
  memcpy(at, (int64_t[]){0, names[0]}, 16);
  w->consts[1] = norn_array(st, NORN_I64, 1, &one, &at);
  *(int64_t *)at = names[0];
  const int64_t three = 3;
  w->consts[2] = norn_array(st, NORN_VALUES, 1, &three, &at);
  memcpy(at, (val[]){norn_int(0), norn_missing(), norn_missing()}, 3 * sizeof(val));
}

/* ---- one function for each instruction ---- */

/* x: the instruction, perhaps behind one that makes it valid; then RET. */
typedef struct sample { ins code[CODE], *x; uint32_t n; proto p; } sample;

static uint64_t literal_for(const world *w, int op, char kind)
{
  switch (kind) {
  case 'p':
    return (uint64_t)(uintptr_t)(op == OP_CLOSURE ? &w->callee
                                 : op == OP_MODEL ? &w->model
                                                  : &w->closed);
  case 'n': return (uint64_t)(uintptr_t)(op == OP_MATH1 ? &natives[2] : &natives[0]);
  case 'w': return (uint64_t)(uintptr_t)rows;
  case 'y': return (uint64_t)(uintptr_t)engines;
  case 's': return w->sym;
  case 't': return op == OP_LOADE ? w->enum_tag : w->data_tag;
  case 'h': return (uint64_t)(uintptr_t)w->sh;
  case 'a': return addr_component(w->st, ADDR_NAME, (sym)w->sym, 0);
  case 'k': return op == OP_WITH ? 1 : op == OP_CHECKT ? 2 : 0;
  case 'i': return op == OP_JMPF ? 2 : op == OP_MODK ? 7 : 0;
  default: return 0;
  }
}

static uint16_t operand_for(int op, char mode, int place)
{
  switch (mode) {
  case '-': return 0;
  case 'j': return (uint16_t)(1 + op_table[op].nlit);
  case 'i':
    if (op == OP_LOADB || op == OP_GETCAP) return 1;
    if (op == OP_FACTOR) return 0;
    return op == OP_LOGPDFD || op == OP_INDEXN ? 3 : 2;
  case 'W': return 3 * 16;
  case 'C': case 'N': case 'T': case 'U': case 'V': return 8 * 16;
  default: return (uint16_t)(16 * (1 + place));
  }
}

/* FIELD, REST and SREST need a test or a save before them: it fails over to the RET. */
static void sample_prepare(const world *w, int op, sample *s)
{
  int next = 1 + op_table[op].nlit;
  if (op == OP_FIELD) {
    s->code[s->n++] = (ins){{OP_JNTAG, 32, 0, (uint16_t)(2 + next)}};
    s->code[s->n++].u = w->data_tag;
  } else if (op == OP_REST) {
    s->code[s->n++] = (ins){{OP_JNARR, 32, 2, (uint16_t)(1 + next)}};
  } else if (op == OP_SREST) {
    s->code[s->n++] = (ins){{OP_SSAVE, 16, 0, 0}};
  }
}

static void sample_make(const world *w, int op, sample *s)
{
  const op_info *o = &op_table[op];
  memset(s, 0, sizeof *s);
  sample_prepare(w, op, s);
  ins *x = s->x = s->code + s->n;
  x->op = (uint16_t)op;
  x->a = operand_for(op, o->modes[0], 0);
  x->b = operand_for(op, o->modes[1], 1);
  x->c = op == OP_FIELD ? 1 : operand_for(op, o->modes[2], 2);
  for (int i = 0; i < o->nlit; i++) x[1 + i].u = literal_for(w, op, o->literals[i]);
  s->n += 1 + (uint32_t)o->nlit;
  s->code[s->n++] = (ins){{OP_RET, 0, 0, 0}};
  s->p = (proto){.code = s->code,
                 .ncode = s->n,
                 .nargs = REGS,
                 .nreq = REGS,
                 .ncap = 2,
                 .nregs = REGS,
                 .bytes = REGS * 16,
                 .consts = (val *)(uintptr_t)w->consts,
                 .nconsts = 3,
                 .name = "sample"};
  if (op == OP_MEMGET) {                       /* its key is all arguments */
    x->b = 2;
    s->p.nargs = s->p.nreq = 2;
  }
}

static bool refused(const world *w, const sample *s)
{
  char why[256];
  return code_verify(w->st, &s->p, why, sizeof why) != NULL;
}

static void must_refuse(const world *w, const sample *s, const char *what)
{
  unit.checks++;
  if (refused(w, s)) return;
  unit_fail(__FILE__, __LINE__);
  fprintf(stderr, "%s with a wrong %s is taken\n", op_table[s->x->op].name, what);
}

/* Each way to break an operand of a mode. */
static void break_operand(const world *w, const sample *s, uint16_t *at, char mode)
{
  uint16_t was = *at;
  char what[16] = "operand ?";
  what[8] = mode;
  if (mode == 'i') return;
  if (mode == 'j') {
    int far[] = {-1,    1000,   -1000,
                 32767, -32768, s->n == 2 ? 2 : 1 + (op_table[s->x->op].nlit == 0)};
    for (int i = 0; i < 6; i++) *at = (uint16_t)far[i], must_refuse(w, s, what);
    if (op_table[s->x->op].nlit) *at = 1, must_refuse(w, s, "jump into a literal");
  } else if (mode == '-') {
    *at = 16, must_refuse(w, s, what);
  } else {
    *at = REGS * 16, must_refuse(w, s, what);
    *at = 65520, must_refuse(w, s, what);
    *at = was | 1, must_refuse(w, s, what);
  }
  *at = was;
}

static void break_count(const world *w, sample *s)
{
  const char *m = op_table[s->x->op].modes;
  uint16_t *at = m[1] == 'W' ? &s->x->c : strchr("CNV", m[0]) ? &s->x->b : NULL;
  if (!at) return;
  uint16_t was = *at;
  *at = (uint16_t)-5, must_refuse(w, s, "negative count");
  *at = REGS, must_refuse(w, s, "count past the registers");
  if (strchr("pnwyhtk", op_table[s->x->op].literals[0]) && op_table[s->x->op].literals[0]) {
    *at = (uint16_t)(was + 1);
    must_refuse(w, s, "count that the literal does not have");
  }
  *at = was;
}

static void break_literals(const world *w, sample *s)
{
  const char *kinds = op_table[s->x->op].literals;
  for (int i = 0; kinds[i]; i++) {
    uint64_t was = s->x[1 + i].u;
    if (strchr("if", kinds[i])) continue;
    s->x[1 + i].u = 0xdeadbeefdeadbee0u;
    must_refuse(w, s, "literal");
    if (strchr("pnwyh", kinds[i]))
      s->x[1 + i].u = was + 8, must_refuse(w, s, "pointer into an object");
    if (kinds[i] == 'n') s->x[1 + i].p = rows, must_refuse(w, s, "row for a native");
    if (kinds[i] == 'w') s->x[1 + i].p = natives, must_refuse(w, s, "native for a row");
    if (strchr("pnwyhs", kinds[i])) s->x[1 + i].u = 0, must_refuse(w, s, "null literal");
    s->x[1 + i].u = was;
  }
}

static void test_operands(const world *w)
{
  for (int op = 0; op < OP_COUNT; op++) {
    sample s;
    char why[256];
    sample_make(w, op, &s);
    const char *wrong = code_verify(w->st, &s.p, why, sizeof why);
    if (op == OP_HALT || op == OP_WATER || op == OP_JOIN) {
      CHECK(wrong != NULL);
      continue;
    }
    if (wrong) fprintf(stderr, "%s\n", wrong);
    CHECK(!wrong);
    break_operand(w, &s, &s.x->a, op_table[op].modes[0]);
    break_operand(w, &s, &s.x->b, op_table[op].modes[1]);
    break_operand(w, &s, &s.x->c, op_table[op].modes[2]);
    break_count(w, &s);
    break_literals(w, &s);
    s.x->op = OP_COUNT, s.p.name = "op";
    CHECK(refused(w, &s));
  }
}

/* ---- what holds of a whole function ---- */

static sample whole(const world *w, const ins *code, uint32_t n)
{
  sample s;
  sample_make(w, OP_RET, &s);
  memcpy(s.code, code, n * sizeof *code);
  s.n = s.p.ncode = n;
  s.p.nargs = s.p.nreq = 1;
  return s;
}

#define WHOLE(s, ...)                                                                              \
  sample s =                                                                                       \
      whole(w, (const ins[]){__VA_ARGS__}, sizeof((const ins[]){__VA_ARGS__}) / sizeof(ins));      \
  s.p.code = s.code
#define I(name, x, y, z) {{OP_##name, (uint16_t)(x), (uint16_t)(y), (uint16_t)(z)}}

static void test_functions(const world *w)
{
  WHOLE(fine, I(MOVE, 16, 0, 0), I(RET, 16, 0, 0));
  CHECK(!refused(w, &fine));
  WHOLE(open, I(RET, 0, 0, 0), I(MOVE, 16, 0, 0));
  CHECK(refused(w, &open));
  WHOLE(unset, I(RET, 16, 0, 0));
  CHECK(refused(w, &unset));
  WHOLE(once, I(JF, 0, 0, 2), I(MOVE, 16, 0, 0), I(RET, 16, 0, 0));
  CHECK(refused(w, &once));                               /* r1 is set on one path only */
  WHOLE(window, I(LOADU, 16, 0, 0), I(LOADU, 64, 0, 0), I(CALL, 16, 0, 0), I(RET, 64, 0, 0));
  CHECK(refused(w, &window));                             /* r4 is read behind the call's window */
  WHOLE(result, I(LOADU, 32, 0, 0), I(CALL, 16, 0, 0), I(RET, 16, 0, 0));
  CHECK(!refused(w, &result));
  WHOLE(untested, I(FIELD, 16, 0, 0), I(RET, 16, 0, 0));
  CHECK(refused(w, &untested));
  WHOLE(endless, I(JMP, 0, 0, 0));
  CHECK(refused(w, &endless));
  WHOLE(polled, I(LOOP, 0, 0, 0));
  CHECK(!refused(w, &polled));
  WHOLE(cut, I(RET, 0, 0, 0), I(LOADI, 16, 0, 0));
  CHECK(refused(w, &cut));                                /* a literal that is not there */
  fine.p.bytes++;
  CHECK(refused(w, &fine));
  fine.p.bytes--;
  fine.p.nregs = 4096, fine.p.bytes = 4096 * 16;
  CHECK(refused(w, &fine));
  fine.p.nregs = REGS, fine.p.bytes = REGS * 16, fine.p.ncode = 0;
  CHECK(refused(w, &fine));
}

/* What is taken apart must have been tested on every path that leads there. */
static void test_facts(const world *w)
{
  const ins tag = {.u = w->data_tag};
  WHOLE(tested, I(JNTAG, 0, 0, 3), tag, I(FIELD, 0, 0, 1), I(RET, 0, 0, 0));
  CHECK(!refused(w, &tested));
  WHOLE(third, I(JNTAG, 0, 0, 3), tag, I(FIELD, 0, 0, 2), I(RET, 0, 0, 0));
  CHECK(refused(w, &third));                              /* Node has two fields */
  WHOLE(moved, I(JNTAG, 0, 0, 4), tag, I(MOVE, 16, 0, 0), I(FIELD, 0, 16, 1), I(RET, 0, 0, 0));
  CHECK(!refused(w, &moved));
  WHOLE(changed, I(JNTAG, 0, 0, 4), tag, I(LOADU, 0, 0, 0), I(FIELD, 0, 0, 1), I(RET, 0, 0, 0));
  CHECK(refused(w, &changed));
  WHOLE(skipped, I(JF, 0, 0, 3), I(JNTAG, 0, 0, 3), tag, I(FIELD, 0, 0, 1), I(RET, 0, 0, 0));
  CHECK(refused(w, &skipped));
  WHOLE(failed, I(JNTAG, 0, 0, 2), tag, I(FIELD, 0, 0, 1), I(RET, 0, 0, 0));
  CHECK(refused(w, &failed));                             /* comes there when the test fails */
  WHOLE(shorter, I(JNARR, 0, 2, 2), I(REST, 0, 0, 3), I(RET, 0, 0, 0));
  CHECK(refused(w, &shorter));
  WHOLE(at_least, I(JNARR, 0, -4, 2), I(REST, 0, 0, 3), I(RET, 0, 0, 0));
  CHECK(!refused(w, &at_least));
  WHOLE(again, I(JNTAG, 0, 0, 4), tag, I(FIELD, 16, 0, 1), I(LOOP, 0, 0, -1), I(RET, 0, 0, 0));
  CHECK(!refused(w, &again));
  WHOLE(spoilt, I(JNTAG, 0, 0, 4), tag, I(FIELD, 0, 0, 1), I(LOOP, 0, 0, -1), I(RET, 0, 0, 0));
  CHECK(refused(w, &spoilt)); /* the second turn takes a field of a field */
}

static void test_places(void)
{
  span_at at[] = {{0, -1, 10, 20}, {0, 0, 12, 13}, {4, -1, 30, 40}, {4, 1, 35, 36}};
  proto p = {.spans = at, .nspans = 4, .file = 1, .span = {1, 0, 99}};
  CHECK(proto_span(&p, 0, -1).start == 10);
  CHECK(proto_span(&p, 0, 0).start == 12);
  CHECK(proto_span(&p, 0, 3).start == 10);                /* no such argument: the whole */
  CHECK(proto_span(&p, 3, 0).start == 12);
  CHECK(proto_span(&p, 5, 1).start == 35);
  CHECK(proto_span(&p, 100, -1).start == 30);
  p.nspans = 0;
  CHECK(proto_span(&p, 0, -1).end == 99);
}

/* ---- liveness against its definition ---- */

static uint32_t seed = 12345;
static int below(int n)
{
  seed = seed * 1664525u + 1013904223u;
  return (int)((seed >> 8) % (unsigned)n);
}

typedef struct random_code { ins code[200]; uint32_t starts[200], n, at; int nregs; } random_code;

static void put(random_code *r, int op, int a, int b, int c)
{
  r->starts[r->n++] = r->at;
  r->code[r->at++] = (ins){{(uint16_t)op, (uint16_t)a, (uint16_t)b, (uint16_t)c}};
  for (int i = 0; i < op_table[op].nlit; i++) r->code[r->at++].u = 0;
}

static void random_make(random_code *r, int length, int nregs)
{
  r->n = r->at = 0;
  r->nregs = nregs;
  for (int i = 0; i < length; i++) {
    int a = below(nregs) * 16, b = below(nregs) * 16, c = below(nregs) * 16,
        w = below(nregs - 4) * 16;
    switch (below(12)) {
    case 0: put(r, OP_MOVE, a, b, 0); break;
    case 1: put(r, OP_ADD, a, b, c); break;
    case 2: put(r, OP_LOADI, a, 0, 0); break;
    case 3: put(r, OP_JF, a, 0, 0); break;
    case 4: put(r, OP_JNLT, a, b, 0); break;
    case 5: put(r, OP_FORLOOP, a, b, 0); break;
    case 6: put(r, OP_CALL, w, below(3), 0); break;
    case 7: put(r, OP_ARRAY, a, w, below(4)); break;
    case 8: put(r, OP_NATIVE, w, below(4), 0); break;
    case 9: put(r, OP_SAMPLE, w, 0, 0); break;
    case 10: put(r, OP_JMP, 0, 0, 0); break;
    default: put(r, OP_ADDK, a, b, 0); break;
    }
  }
  put(r, OP_RET, below(nregs) * 16, 0, 0);
  for (uint32_t i = 0; i < r->n; i++) {
    ins *x = &r->code[r->starts[i]];
    if (op_table[x->op].modes[2] == 'j')
      x->c = (uint16_t)(r->starts[below((int)r->n)] - r->starts[i]);
  }
}

/* Does the instruction read, set or kill the register?  Written out, without op.h. */
static void touches(const ins *x, int reg, bool *reads, bool *ends)
{
  int a = x->a / 16, b = x->b / 16, c = x->c / 16;
  *reads = *ends = false;
  switch (x->op) {
  case OP_MOVE: case OP_ADDK: *reads = reg == b; *ends = reg == a; break;
  case OP_ADD: *reads = reg == b || reg == c; *ends = reg == a; break;
  case OP_LOADI: *ends = reg == a; break;
  case OP_JF: case OP_RET: *reads = reg == a; break;
  case OP_JNLT: *reads = reg == a || reg == b; break;
  case OP_FORLOOP: *reads = reg == a || reg == b; *ends = reg == a; break;
  case OP_CALL: *reads = reg > a && reg < a + 2 + x->b; *ends = reg >= a; break;
  case OP_ARRAY: *reads = reg >= b && reg < b + x->c; *ends = reg == a; break;
  case OP_NATIVE: *reads = reg >= a && reg < a + x->b; *ends = reg == a; break;
  case OP_SAMPLE: *reads = reg == a; *ends = reg >= a; break;
  default: break;
  }
}

static bool live_by_search(const random_code *r, uint32_t pc, int reg, bool *seen)
{
  while (!seen[pc]) {
    const ins *x = &r->code[pc];
    bool reads, ends;
    seen[pc] = true;
    touches(x, reg, &reads, &ends);
    if (reads) return true;
    if (ends || x->op == OP_RET) return false;
    bool jumps = x->op == OP_JF || x->op == OP_JNLT || x->op == OP_FORLOOP || x->op == OP_JMP;
    uint32_t target = pc + (uint32_t)(int16_t)x->c;
    if (x->op == OP_JMP) pc = target;
    else {
      if (jumps && live_by_search(r, target, reg, seen)) return true;
      pc += 1 + (uint32_t)op_table[x->op].nlit;
    }
  }
  return false;
}

static void test_liveness(norn_state *st)
{
  for (int round = 0; round < 300; round++) {
    random_code r;
    random_make(&r, 1 + below(50), 5 + below(round % 10 ? 12 : 120));
    proto p = {.code = r.code, .ncode = r.at, .nregs = (uint16_t)r.nregs, .name = "random"};
    CHECK(code_liveness(st, &p));
    int wrong = 0;
    for (uint32_t i = 0; i < r.n; i++)
      for (int reg = 0; reg < r.nregs; reg++) {
        bool seen[200] = {false};
        bool is = p.live[(size_t)r.starts[i] * p.live_words + (size_t)reg / 64] >> (reg % 64) & 1;
        wrong += is != live_by_search(&r, r.starts[i], reg, seen);
      }
    CHECK(wrong == 0);
    mem_put(&st->mem, p.live, (size_t)p.ncode * p.live_words * sizeof *p.live);
  }
}

/* A function of a hundred thousand instructions in a loop nest is analysed at once. */
static void test_large(norn_state *st)
{
  enum { N = 100000 };
  ins *code = malloc((N + 1) * sizeof *code);
  for (int i = 0; i < N; i++) code[i] = (ins)I(ADD, 16 * (i % 60), 16 * (i % 59), 16 * (i % 61));
  for (int i = 1000; i < N; i += 1000) code[i] = (ins)I(JF, 0, 0, -999);
  code[N] = (ins)I(RET, 0, 0, 0);
  proto p = {.code = code, .ncode = N + 1, .nregs = 64, .name = "large"};
  CHECK(code_liveness(st, &p));
  mem_put(&st->mem, p.live, (size_t)p.ncode * p.live_words * sizeof *p.live);
  free(code);
}

/* The hand-made code of mem. */
static void test_stubs(norn_state *st)
{
  char why[256];
  for (int n = 0; n <= 8; n++) {
    const proto *p = memo_stub(st, n);
    CHECK(p && !code_verify(st, p, why, sizeof why) && p->nargs == n);
    CHECK(memo_stub(st, n) == p);
  }
}

int main(void)
{
  world w = {.st = norn_new_bare(NULL)};
  if (!w.st) return 99;
  size_t before = norn_memory_used(w.st);
  test_liveness(w.st);
  test_large(w.st);
  CHECK(norn_memory_used(w.st) == before);
  test_places();
  test_stubs(w.st);
  const proto *stubs = w.st->protos;
  world_make(&w);
  test_operands(&w);
  test_functions(&w);
  test_facts(&w);
  w.st->protos = (proto *)(uintptr_t)stubs;  /* the others stand on this stack */
  norn_free(w.st);
  return unit_end();
}
