/* disasm.c: compiled code as text, for `norn dis` and :dis.

       fn fib(n), 4 registers                              coin.norn:1:1
         1 | fn fib(n) = if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
           0  JNLTI    r0 2 -> 2
           1  RET      r0

   Operands come from the modes in op.h, so a new instruction prints by itself. */
#include "lang/state.h"
#include "lang/compile/flow.h"
#include <inttypes.h>
#include <string.h>

typedef struct disasm { norn_state *st; text *t; const proto *p; uint32_t line; } disasm;

static void put_component(disasm *d, uint64_t comp)
{
  text name;
  text_init(&name, &d->st->mem);
  addr_show(d->st, &name, comp);
  text_printf(d->t, " %s", name.n ? name.s : "#");
  text_free(&name);
}

static void put_tag(disasm *d, uint64_t tag)
{
  unsigned kind = (unsigned)tag & 255u;
  uint32_t id = (uint32_t)(tag >> 32);
  if ((kind == NORN_ENUM || kind == NORN_DATA) && id < d->st->nctors)
    text_printf(d->t, " %s", sym_name(d->st, d->st->ctors[id].name));
  else
    text_printf(d->t, " kind %u", kind);
}

static void put_shape(disasm *d, const shape *s)
{
  text_puts(d->t, " {");
  for (uint32_t i = 0; i < s->n; i++)
    text_printf(d->t, "%s%s", i ? ", " : "", sym_name(d->st, s->names[i]));
  text_putc(d->t, '}');
}

static void put_constant(disasm *d, uint64_t k)
{
  text_putc(d->t, ' ');
  if (k < d->p->nconsts) value_show(d->st, d->t, d->p->consts[k], true, 60);
  else text_printf(d->t, "k%" PRIu64, k);
}

static void put_place(disasm *d, uint64_t packed)
{
  uint32_t line, column;
  sources_place(&d->st->sources, span_unpack(packed), &line, &column);
  text_printf(d->t, " @%u:%u", line, column);
}

static void put_literal(disasm *d, const ins *x, char kind, ins word)
{
  switch (kind) {
  case 'i': if (x->op != OP_JMPF) text_printf(d->t, " %" PRId64, word.i); break;
  case 'f': text_putc(d->t, ' '); text_real(d->t, word.f); break;
  case 'p': text_printf(d->t, " %s", ((const proto *)word.p)->name); break;
  case 'n': text_printf(d->t, " %s", ((const norn_native *)word.p)->name); break;
  case 'w': text_printf(d->t, " %s", ((const norn_dist_row *)word.p)->name); break;
  case 'y': text_printf(d->t, " %s", ((const norn_engine *)word.p)->name); break;
  case 's': text_printf(d->t, " .%s", sym_name(d->st, (sym)word.u)); break;
  case 'g': text_printf(d->t, " g%" PRIu64, word.u); break;
  case 't': put_tag(d, word.u); break;
  case 'h': put_shape(d, word.p); break;
  case 'k': put_constant(d, word.u); break;
  case 'a': put_component(d, word.u); break;
  case 'e': put_place(d, word.u); break;
  }
}

static void put_operand(disasm *d, char mode, uint16_t operand)
{
  if (mode == 'i') text_printf(d->t, " %d", (int16_t)operand);
  else if (mode != '-' && mode != 'j') text_printf(d->t, " r%d", flow_reg(operand));
}

/* What an instruction works for: the place of the first one from there on that has one. */
static norn_span place_from(const proto *p, uint32_t pc)
{
  for (uint32_t i = 0; i < p->nspans; i++)
    if (p->spans[i].pc >= pc && p->spans[i].arg < 0)
      return (norn_span){p->file, p->spans[i].start, p->spans[i].end};
  return proto_span(p, pc, -1);
}

/* The source line, when it differs from the last one shown. */
static void put_source(disasm *d, uint32_t pc)
{
  norn_span span = place_from(d->p, pc);
  const source *f = sources_get(&d->st->sources, span.file);
  uint32_t line, column;
  sources_place(&d->st->sources, span, &line, &column);
  if (!f || line == d->line || line > f->nlines) return;
  d->line = line;
  size_t from = f->lines[line - 1], to = line < f->nlines ? f->lines[line] - 1 : f->n;
  text_printf(d->t, "%5u | ", line);
  text_put(d->t, f->text + from, to - from);
  text_putc(d->t, '\n');
}

static void put_instruction(disasm *d, uint32_t pc)
{
  const ins *x = d->p->code + pc;
  const op_info *o = &op_table[x->op];
  flow f;
  flow_of(d->p->code, pc, &f);
  text_printf(d->t, "%8u  %-9s", pc, o->name);
  put_operand(d, o->modes[0], x->a);
  put_operand(d, o->modes[1], x->b);
  put_operand(d, o->modes[2], x->c);
  for (int i = 0; i < o->nlit; i++) put_literal(d, x, o->literals[i], x[1 + i]);
  if (f.jumps) text_printf(d->t, " -> %" PRId64, f.jump);
  text_putc(d->t, '\n');
}

static void put_head(disasm *d)
{
  const proto *p = d->p;
  char place[256];
  text_printf(d->t, "%s %s(", p->is_model ? "model" : "fn", p->name && *p->name ? p->name : "->");
  for (int i = 0; i < p->nargs; i++)
    text_printf(d->t, "%s%s%s", i ? ", " : "", p->params ? sym_name(d->st, p->params[i]) : "_",
                i >= p->nreq ? " = ..." : "");
  text_printf(d->t, "), %u register%s", p->nregs, p->nregs == 1 ? "" : "s");
  if (p->ncap) text_printf(d->t, ", %u capture%s", p->ncap, p->ncap == 1 ? "" : "s");
  norn_span_text(d->st, p->span, place, sizeof place);
  text_printf(d->t, "%s%s\n", *place ? "    " : "", place);
}

void code_disassemble(norn_state *st, text *t, const proto *p)
{
  disasm d = {.st = st, .t = t, .p = p};
  put_head(&d);
  for (uint32_t pc = 0; pc < p->ncode && p->code[pc].op < OP_COUNT;
       pc += 1 + (uint32_t)op_table[p->code[pc].op].nlit) {
    put_source(&d, pc);
    put_instruction(&d, pc);
  }
}
