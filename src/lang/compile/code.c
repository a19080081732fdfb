/* code.c: the table of instructions, what each reads and defines, and where in the source it came
   from.  Everything here follows from the list in op.h. */
#include "lang/compile/flow.h"

const op_info op_table[OP_COUNT] = {
#define X(name, modes, literals) {#name, modes, literals, sizeof literals - 1},
  OP_LIST(X)
#undef X
};

/* ---- what an instruction does ---- */

static bool ends_block(unsigned op)
{
  return op == OP_RET || op == OP_TCALL || op == OP_TCALLG || op == OP_JMP || op == OP_JMPF ||
         op == OP_LOOP || op == OP_MATCHFAIL || op == OP_HALT;
}

static void flow_read(flow *f, int r)
{
  f->read[f->nread++] = r;
}

/* Modes that name a window at register a: see the table in op.h. */
static void flow_window(const ins *x, char mode, flow *f)
{
  int a = flow_reg(x->a), b = (int16_t)x->b;
  f->def = a;
  if (mode != 'N') f->kill = a;
  switch (mode) {
  case 'C':
    if (x->op != OP_CALLG && x->op != OP_TCALLG) flow_read(f, a + 1);
    f->from = a + 2, f->n = b;
    break;
  case 'N': f->from = a, f->n = b; break;
  case 'T': f->from = a, f->n = 1; break;
  case 'U': f->from = a, f->n = 2; break;
  default: f->from = a, f->n = b < 0 ? b : b + 1;
  }
}

static void flow_operand(const ins *x, char mode, uint16_t operand, flow *f)
{
  switch (mode) {
  case 'd': f->def = flow_reg(operand); break;
  case 'r': flow_read(f, flow_reg(operand)); break;
  case 'x': flow_read(f, flow_reg(operand)), f->def = flow_reg(operand); break;
  case 'j': f->jumps = true; break;
  case 'W': f->from = flow_reg(operand), f->n = (int16_t)x->c; break;
  case 'C': case 'N': case 'T': case 'U': case 'V': flow_window(x, mode, f); break;
  }
}

void flow_of(const ins *code, uint32_t pc, flow *f)
{
  const ins *x = code + pc;
  const op_info *o = &op_table[x->op];
  *f = (flow){.def = -1, .kill = -1, .size = 1 + o->nlit, .next = !ends_block(x->op)};
  flow_operand(x, o->modes[0], x->a, f);
  flow_operand(x, o->modes[1], x->b, f);
  flow_operand(x, o->modes[2], x->c, f);
  if (x->op == OP_JMPF) f->jumps = true, f->jump = (int64_t)((uint64_t)pc + code[pc + 1].u);
  else if (f->jumps) f->jump = (int64_t)pc + (int16_t)x->c;
  if (x->op == OP_MEMGET) f->from = 0, f->n = (int16_t)x->b;   /* its key: the arguments */
}

/* ---- places ---- */

/* The last entry at or before pc, or -1. */
static int64_t span_before(const proto *p, uint32_t pc)
{
  int64_t low = 0, high = p->nspans;
  while (low < high) {
    int64_t mid = low + (high - low) / 2;
    if (p->spans[mid].pc <= pc) low = mid + 1;
    else high = mid;
  }
  return low - 1;
}

norn_span proto_span(const proto *p, uint32_t pc, int arg)
{
  int64_t k = span_before(p, pc);
  if (k < 0) return p->span;
  const span_at *best = NULL;
  for (uint32_t at = p->spans[k].pc; k >= 0 && p->spans[k].pc == at; k--) {
    if (arg >= 0 && p->spans[k].arg == arg) { best = &p->spans[k]; break; }
    if (p->spans[k].arg < 0) best = &p->spans[k];
  }
  while (!best && k >= 0) {          /* an instruction with arguments but no place of its own */
    if (p->spans[k].arg < 0) best = &p->spans[k];
    k--;
  }
  return best ? (norn_span){p->file, best->start, best->end} : p->span;
}
