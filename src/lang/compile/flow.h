/* flow.h: what one instruction reads, defines and where it goes, worked out from its modes in op.h.
   The verifier, the liveness analysis and the disassembler see instructions only through this. */
#ifndef NORN_LANG_FLOW_H
#define NORN_LANG_FLOW_H
#include "lang/compile/code.h"

typedef struct flow {
  int nread, read[3];         /* single registers read */
  int from, n;                /* and the n registers from `from` on; n < 0: the code is wrong */
  int def;                    /* the register defined, or -1 */
  int kill;                   /* registers from here on are dead afterwards (but def), or -1 */
  int64_t jump;               /* the word jumped to (may lie outside), valid if jumps */
  bool jumps, next;           /* may jump; may go on to the next instruction */
  int size;                   /* words, literals included */
} flow;

/* Fills *f for the instruction at word pc; its op must be below OP_COUNT and its literals in place.
 */
void flow_of(const ins *code, uint32_t pc, flow *f);
/* facts.c: the word of an instruction that takes apart a value which need not be what it takes it
   for, or -1.  The code must be well formed. */
int64_t facts_check(norn_state *, const proto *);
static inline int flow_reg(uint16_t operand) { return operand >> 4; }
#endif
