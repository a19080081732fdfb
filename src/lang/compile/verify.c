/* verify.c: checks compiled code before it runs.

   The interpreter trusts its code: operands are added to the register base, jumps are taken,
   literals are followed.  So every operand, jump and literal is checked here once: registers lie
   below nregs, jumps land on instructions, pointers are known to the state, counts agree with what
   is called, the code can't run past its end, backward jumps poll, (with liveness) nothing but
   arguments is live at entry and nothing above a call's window is read after it, and (facts.c) what
   is taken apart was tested before. */
#include "lang/env.h"
#include "lang/compile/flow.h"
#include <stdio.h>
#include <string.h>

typedef struct verify {
  norn_state *st; const proto *p;
  uint8_t *starts;             /* (ncode) 1 where an instruction starts */
  uint32_t pc;                 /* the instruction at hand */
  char *buf; size_t n;
} verify;

static const char *refuse(verify *v, const char *format, ...) NORN_PRINTF(2, 3);
static const char *refuse(verify *v, const char *format, ...)
{
  const proto *p = v->p;
  const char *op =
      v->pc < p->ncode && p->code[v->pc].op < OP_COUNT ? op_table[p->code[v->pc].op].name : "?";
  int k = snprintf(v->buf, v->n, "%s+%u: %s: ", p->name ? p->name : "?", v->pc, op);
  va_list args;
  va_start(args, format);
  if (k >= 0 && (size_t)k < v->n) vsnprintf(v->buf + k, v->n - (size_t)k, format, args);
  va_end(args);
  return v->buf;
}

/* ---- operands ---- */

static const char *check_register(verify *v, int r)
{
  if (r < 0 || r >= v->p->nregs) return refuse(v, "register %d of %d", r, v->p->nregs);
  return NULL;
}

static const char *check_operand(verify *v, char mode, uint16_t operand)
{
  switch (mode) {
  case '-':
    if (operand) return refuse(v, "unused operand is %u", operand);
    return NULL;
  case 'i': case 'j': return NULL;
  default:
    if (operand & 15) return refuse(v, "operand %u is no register", operand);
    return mode == 'W' ? NULL : check_register(v, flow_reg(operand));
  }
}

/* Registers, ranges and windows as the flow of the instruction says. */
static const char *check_flow(verify *v, const ins *x, const flow *f)
{
  const char *why = NULL;
  if (f->n < 0) return refuse(v, "negative count");
  if (f->n > 0 && (f->from < 0 || f->from + f->n > v->p->nregs))
    return refuse(v, "registers %d to %d of %d", f->from, f->from + f->n - 1, v->p->nregs);
  for (int i = 0; i < f->nread && !why; i++) why = check_register(v, f->read[i]);
  if (!why && f->def >= 0) why = check_register(v, f->def);
  if (!why && op_table[x->op].modes[0] == 'C' && f->from > v->p->nregs)
    return refuse(v, "window at %d of %d registers", f->def, v->p->nregs);
  if (!why && f->jumps && (f->jump < 0 || f->jump >= v->p->ncode || !v->starts[f->jump]))
    return refuse(v, "jump to %lld", (long long)f->jump);
  if (!why && f->jumps && f->jump <= v->pc && x->op != OP_LOOP && x->op != OP_FORLOOP)
    return refuse(v, "jumps back without a poll");
  if (!why && f->next && v->pc + (uint32_t)f->size >= v->p->ncode)
    return refuse(v, "runs past the end");
  return why;
}

/* ---- literals ---- */

static const char *check_proto(verify *v, const ins *x, const proto *q)
{
  if (!env_knows_proto(v->st, q)) return refuse(v, "unknown function");
  int b = (int16_t)x->b, c = (int16_t)x->c;
  switch (x->op) {
  case OP_CALLG: case OP_TCALLG:
    if (q->ncap) return refuse(v, "%s has captures", q->name);
    if (b != q->nargs) return refuse(v, "%d arguments for %s, which has %u", b, q->name, q->nargs);
    if (q->is_model) return refuse(v, "%s is a model", q->name);
    return NULL;
  case OP_MODEL:
    if (q->ncap || !q->is_model) return refuse(v, "%s is no known model", q->name);
    if (c != q->nargs) return refuse(v, "%d arguments for %s, which has %u", c, q->name, q->nargs);
    return NULL;
  case OP_CLOSURE:
    if (c != q->ncap) return refuse(v, "%d captures for %s, which has %u", c, q->name, q->ncap);
    return NULL;
  default:
    if (q->ncap || !q->self) return refuse(v, "%s is no closed function", q->name);
    return NULL;
  }
}

static const char *check_native(verify *v, const ins *x, const norn_native *f)
{
  env_entry *e = env_of_native(v->st, f);
  if (!e) return refuse(v, "unknown native");
  if (x->op == OP_MATH1 && !f->real1) return refuse(v, "%s is no real function", f->name);
  if (x->op != OP_NATIVE) return NULL;
  if (!f->f) return refuse(v, "%s has no body", f->name);
  int b = (int16_t)x->b;
  if (e->variadic ? b < e->npars - 1 : b != e->npars)
    return refuse(v, "%d arguments for %s, which has %d", b, f->name, e->npars);
  return NULL;
}

static const char *check_row(verify *v, const ins *x, const norn_dist_row *row)
{
  env_entry *e = env_of_row(v->st, row);
  int n = x->op == OP_DIST      ? (int16_t)x->c
          : x->op == OP_LOGPDFD ? (int16_t)x->c - 1
                                : (int16_t)x->b;
  if (!e) return refuse(v, "unknown distribution");
  if (e->variadic ? n < e->npars - 1 : n != e->npars)
    return refuse(v, "%d arguments for %s, which has %d", n, row->name, e->npars);
  return NULL;
}

static const char *check_engine(verify *v, const ins *x, const norn_engine *engine)
{
  env_entry *e = env_of_engine(v->st, engine);
  if (!e) return refuse(v, "unknown engine");
  if ((int16_t)x->c != e->npars)
    return refuse(v, "%d options for %s, which has %d", (int16_t)x->c, engine->name, e->npars);
  return NULL;
}

/* A tag word: of a variant with as many fields as are there, or of a kind without heap object. */
static const char *check_tag(verify *v, const ins *x, uint64_t tag)
{
  unsigned kind = (unsigned)tag & 255u;
  uint32_t id = (uint32_t)(tag >> 32);
  bool variant = kind == NORN_ENUM || kind == NORN_DATA;
  if (tag >> 8 & 0xffffff) return refuse(v, "tag %llx", (unsigned long long)tag);
  if (!variant && (id || x->op != OP_JNTAG)) return refuse(v, "tag %llx", (unsigned long long)tag);
  if (!variant) return NULL;
  const ctor *c = env_ctor(v->st, id);
  if (!c) return refuse(v, "unknown constructor %u", id);
  if ((kind == NORN_ENUM) != (c->arity == 0))
    return refuse(v, "tag does not fit %s", sym_name(v->st, c->name));
  if (x->op == OP_DATA && (kind != NORN_DATA || (int16_t)x->c != (int)c->arity))
    return refuse(v, "%d fields for %s", (int16_t)x->c, sym_name(v->st, c->name));
  if (x->op == OP_LOADE && kind != NORN_ENUM)
    return refuse(v, "%s has fields", sym_name(v->st, c->name));
  return NULL;
}

/* An array of n symbols; 0 (no name) where `none` allows it. */
static bool names_ok(const verify *v, val c, int n, bool none)
{
  norn_view w;
  if (!norn_array_view(c, &w) || w.rank != 1 || w.n != n || (n && w.elem != NORN_I64)) return false;
  for (int i = 0; i < n; i++)
    if (w.i[i] < !none || (size_t)w.i[i] >= v->st->nsyms) return false;
  return true;
}

static const char *check_const(verify *v, const ins *x, uint64_t k)
{
  if (k >= v->p->nconsts)
    return refuse(v, "constant %llu of %u", (unsigned long long)k, v->p->nconsts);
  val c = v->p->consts[k];
  if (x->op == OP_CALLX && !names_ok(v, c, (int16_t)x->b, true))
    return refuse(v, "its constant is not %d names", (int16_t)x->b);
  if (x->op == OP_WITH && ((int16_t)x->c > 65 || !names_ok(v, c, (int16_t)x->c - 1, false)))
    return refuse(v, "its constant is not %d names", (int16_t)x->c - 1);
  if (x->op == OP_CHECKT && !annot_valid(v->st, c)) return refuse(v, "its constant is no type");
  return NULL;
}

/* Tests by pointer only: a shape that is not of the state is not followed. */
static bool shape_known(const norn_state *st, const shape *want)
{
  for (size_t i = 0; st->shapes && i <= st->shape_mask; i++)
    for (const shape *s = st->shapes[i]; s; s = s->next)
      if (s == want) return true;
  return false;
}

static const char *check_literal(verify *v, const ins *x, char kind, ins word)
{
  switch (kind) {
  case 'p': return check_proto(v, x, word.p);
  case 'n': return check_native(v, x, word.p);
  case 'w': return check_row(v, x, word.p);
  case 'y': return check_engine(v, x, word.p);
  case 't': return check_tag(v, x, word.u);
  case 'k': return check_const(v, x, word.u);
  case 'g':
    return word.u < v->st->nglobals ? NULL : refuse(v, "global %llu", (unsigned long long)word.u);
  case 's':
    return word.u && word.u < v->st->nsyms ? NULL
                                           : refuse(v, "symbol %llu", (unsigned long long)word.u);
  case 'h':
    if (!shape_known(v->st, word.p)) return refuse(v, "unknown shape");
    return ((const shape *)word.p)->n == (uint32_t)(int16_t)x->c
               ? NULL
               : refuse(v, "shape of another size");
  case 'a': {
    unsigned k = (unsigned)(word.u >> 56);
    if (word.u == 0) return NULL; /* no component: an anonymous place pushed by the VM */
    if (k < ADDR_NAME || k > ADDR_MEMO)
      return refuse(v, "address component %llx", (unsigned long long)word.u);
    if ((k == ADDR_NAME || k == ADDR_CALL) && !addr_is_named(v->st, word.u)) return refuse(v, "unknown name");
    return NULL;
  }
  case 'e': return word.u >> 48 <= v->st->sources.n ? NULL : refuse(v, "unknown source");
  case 'c': return word.u == 0 ? NULL : refuse(v, "used inline cache");
  default: return NULL;                                       /* i and f: any */
  }
}

/* ---- what modes do not say ---- */

static const char *check_special(verify *v, const ins *x)
{
  int b = (int16_t)x->b, c = (int16_t)x->c;
  switch (x->op) {
  case OP_HALT: case OP_WATER: case OP_JOIN: return refuse(v, "not for functions");
  case OP_LOADB: return b == 0 || b == 1 ? NULL : refuse(v, "boolean %d", b);
  case OP_GETCAP:
    return b >= 0 && b < v->p->ncap ? NULL : refuse(v, "capture %d of %u", b, v->p->ncap);
  case OP_FIELD: case OP_REST: return c >= 0 ? NULL : refuse(v, "index %d", c);
  case OP_MODK: return x[1].i > 0 ? NULL : refuse(v, "modulo %lld", (long long)x[1].i);
  case OP_INDEXN: return c >= 2 ? NULL : refuse(v, "no index");
  case OP_WITH: case OP_LOGPDFD: return c >= 1 ? NULL : refuse(v, "no operand");
  case OP_MEMGET: return b == v->p->nargs && v->p->ncap == 2 ? NULL : refuse(v, "not in a stub");
  default: return NULL;
  }
}

static const char *check_instruction(verify *v, const ins *x)
{
  const op_info *o = &op_table[x->op];
  const char *why = check_operand(v, o->modes[0], x->a);
  if (!why) why = check_operand(v, o->modes[1], x->b);
  if (!why) why = check_operand(v, o->modes[2], x->c);
  if (why) return why;
  flow f;
  flow_of(v->p->code, v->pc, &f);
  why = check_flow(v, x, &f);
  if (!why) why = check_special(v, x);
  for (int i = 0; i < o->nlit && !why; i++) why = check_literal(v, x, o->literals[i], x[1 + i]);
  return why;
}

/* Marks where instructions start. */
static const char *find_starts(verify *v)
{
  const proto *p = v->p;
  for (v->pc = 0; v->pc < p->ncode;) {
    unsigned op = p->code[v->pc].op;
    if (op >= OP_COUNT) return refuse(v, "operation %u", op);
    if (v->pc + 1 + (uint32_t)op_table[op].nlit > p->ncode)
      return refuse(v, "literals past the end");
    v->starts[v->pc] = 1;
    v->pc += 1 + (uint32_t)op_table[op].nlit;
  }
  return NULL;
}

static const char *check_frame(verify *v)
{
  const proto *p = v->p;
  v->pc = p->ncode;
  if (!p->ncode || !p->code) return refuse(v, "no code");
  if (p->ncode > UINT32_MAX / 2) return refuse(v, "too much code");
  if (p->nregs > UINT16_MAX / 16) return refuse(v, "%u registers", p->nregs);
  if (p->nargs > p->nregs || p->nreq > p->nargs)
    return refuse(v, "%u arguments, %u required, in %u registers", p->nargs, p->nreq, p->nregs);
  if (p->bytes != p->nregs * 16u) return refuse(v, "%u bytes for %u registers", p->bytes, p->nregs);
  return NULL;
}

/* ---- liveness ---- */

/* A register from r on in a row of live bits, or -1. */
static int live_from(const proto *p, uint32_t pc, int r)
{
  const uint64_t *row = p->live + (size_t)pc * p->live_words;
  for (uint32_t w = (uint32_t)r >> 6; w < p->live_words; w++) {
    uint64_t bits = row[w];
    if (w == (uint32_t)r >> 6) bits &= ~0ull << (r & 63);
    if (bits) return (int)(w * 64) + __builtin_ctzll(bits);
  }
  return -1;
}

static const char *check_live(verify *v, const proto *p)
{
  v->pc = 0;
  int r = live_from(p, 0, p->nargs);
  if (r >= 0) return refuse(v, "r%d may be read before it is set", r);
  flow f;
  for (; v->pc < p->ncode; v->pc += (uint32_t)f.size) {
    flow_of(p->code, v->pc, &f);
    if (f.kill < 0) continue;
    r = f.next ? live_from(p, v->pc + (uint32_t)f.size, f.kill + 1) : -1;
    if (r >= 0) return refuse(v, "r%d above its window is read later", r);
  }
  return NULL;
}

static const char *check_facts(verify *v)
{
  int64_t wrong = facts_check(v->st, v->p);
  if (wrong < 0) return NULL;
  v->pc = (uint32_t)wrong;
  return refuse(v, "takes apart what nothing has tested");
}

/* Liveness may not have been worked out yet: then on a copy. */
static const char *check_liveness(verify *v)
{
  proto q = *v->p;
  if (q.live) return check_live(v, &q);
  if (!code_liveness(v->st, &q)) return refuse(v, "too large");
  const char *why = check_live(v, &q);
  mem_put(&v->st->mem, q.live, (size_t)q.ncode * q.live_words * sizeof *q.live);
  return why;
}

const char *code_verify(norn_state *st, const proto *p, char *out, size_t n)
{
  verify v = {.st = st, .p = p, .buf = out, .n = n};
  const char *why = check_frame(&v);
  if (why) return why;
  v.starts = mem_zero(&st->mem, p->ncode);
  if (!v.starts) return refuse(&v, "no memory");
  why = find_starts(&v);
  for (v.pc = 0; !why && v.pc < p->ncode; ) {
    why = check_instruction(&v, &p->code[v.pc]);
    v.pc += 1 + (uint32_t)op_table[p->code[v.pc].op].nlit;
  }
  mem_put(&st->mem, v.starts, p->ncode);
  if (!why) why = check_liveness(&v);
  return why ? why : check_facts(&v);
}
