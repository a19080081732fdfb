/* op.h: the instructions of the VM.  One list, from which enum, names, disassembler, verifier and
   liveness come.

   An instruction is 64 bits; literals follow it as whole 64-bit words.

        | op (16) | a (16) | b (16) | c (16) |  literal 0 ... |

   Register operands are byte offsets into the window (register index times 16), so the interpreter
   adds and loads.  Jumps are relative to the instruction itself, in words, in c as int16; a
   function whose jumps do not fit is refused as too large.  (JMPF, with its distance in the literal,
   is run and verified, but the compiler does not emit it.)

   The stack is one contiguous array of values; a window is inline on it:

        ... caller's registers | frame 0 | frame 1 | r0 r1 ... (arguments first) ...
             frame 0: payload = return pc; tag = V_FRAME | distance to the caller's r0 << 32
             frame 1: the closure that runs

   A call's window starts at register a: a and a+1 become the frame (the callee in a+1 for CALL),
   the arguments stand from a+2.  The result is written to a.  Everything from a upwards is dead at
   entry but the arguments.

   X(NAME, modes of a b c, literal kinds)
     modes   d defines  r reads  x reads and defines  i immediate (int16)  j jump  - unused
             C call window: reads a+1 (unless known) and b arguments from a+2; defines a
             W reads the c registers from b on          N reads the b registers from a on; defines a
             T reads a; defines a; everything above a is dead (a frame may be pushed there)
             U reads a and a+1; defines a; likewise
             V reads the b+1 registers from a on; defines a; likewise
     literals i int64  f double  p proto  n native  g global slot  s symbol  t tag word  h shape
              w dist row  y engine  a address component (0: none)  e packed span  c inline cache
              k constant index */
#ifndef NORN_LANG_OP_H
#define NORN_LANG_OP_H

#define OP_LIST(X) \
  /* ---- loads ---- */ \
  X(MOVE, "dr-", "") X(LOADI, "d--", "i") X(LOADF, "d--", "f") X(LOADB, "di-", "") \
  X(LOADU, "d--", "") \
  X(LOADM, "d--", "") X(LOADN, "d--", "") /* missing; none (an argument not given) */ \
  X(LOADK, "d--", "k") X(LOADE, "d--", "t") X(LOADFN, "d--", "p") X(LOADNAT, "d--", "n") \
  X(GETCAP, "di-", "") X(LOADSELF, "d--", "") X(GETG, "d--", "g") X(SETG, "r--", "g") \
  /* ---- arithmetic: int/int, then real/real, all else cold ---- */ \
  X(ADD, "drr", "") X(SUB, "drr", "") X(MUL, "drr", "") X(DIV, "drr", "") \
  X(IDIV, "drr", "") X(MOD, "drr", "") X(POW, "drr", "") \
  X(ADDK, "dr-", "f") X(SUBK, "dr-", "f") X(MULK, "dr-", "f") X(DIVK, "dr-", "f") \
  X(RSUBK, "dr-", "f") X(RDIVK, "dr-", "f") \
  X(ADDI, "dri", "") X(MULI, "dri", "") X(MODK, "dr-", "i") \
  X(FADD, "drr", "") X(FSUB, "drr", "") X(FMUL, "drr", "") X(FDIV, "drr", "") \
  X(FADDK, "dr-", "f") X(FSUBK, "dr-", "f") X(FMULK, "dr-", "f") X(FDIVK, "dr-", "f") \
  X(FRSUBK, "dr-", "f") X(FRDIVK, "dr-", "f") \
  X(IADD, "drr", "") X(ISUB, "drr", "") X(IMUL, "drr", "") X(IADDI, "dri", "") \
  X(NEG, "dr-", "") X(FNEG, "dr-", "") X(NOT, "dr-", "") \
  X(MATMUL, "drr", "") X(TRANSPOSE, "dr-", "") X(CONCAT, "drr", "") X(RANGE, "drr", "") \
  X(LT, "drr", "") X(LE, "drr", "") X(EQ, "drr", "") X(NE, "drr", "") \
  /* ---- branches: JN.. jumps when the comparison does not hold (NaN jumps), J.. when it does */ \
  X(JMP, "--j", "") X(JMPF, "---", "i") X(LOOP, "--j", "") \
  X(JF, "r-j", "") X(JT, "r-j", "") X(CHECKB, "r--", "") \
  X(JNLT, "rrj", "") X(JNLE, "rrj", "") X(JLT, "rrj", "") X(JLE, "rrj", "") \
  X(JNEQ, "rrj", "") X(JEQ, "rrj", "") \
  X(JNLTI, "rij", "") X(JNLEI, "rij", "") X(JNGTI, "rij", "") X(JNGEI, "rij", "") \
  X(JNEQI, "rij", "") X(JEQI, "rij", "") \
  X(JNLTK, "r-j", "f") X(JNGTK, "r-j", "f") \
  X(FJNLT, "rrj", "") X(FJNLE, "rrj", "") X(FJNLTK, "r-j", "f") X(FJNGTK, "r-j", "f") \
  X(IJNLT, "rrj", "") X(IJNLE, "rrj", "") \
  X(IJNLTI, "rij", "") X(IJNGTI, "rij", "") X(IJNEQI, "rij", "") \
  X(FORPREP, "rrj", "") X(FORLOOP, "xrj", "") X(ITERLEN, "dr-", "") \
  /* ---- calls ---- */ \
  X(CALL, "Ci-", "") X(CALLG, "Ci-", "p") X(TCALL, "Ci-", "") X(TCALLG, "Ci-", "p") \
  /* named arguments for an unknown callee: constant k is the array of names, "" for positional */ \
  X(CALLX, "Ci-", "k") \
  X(NATIVE, "Ni-", "n") X(MATH1, "dr-", "n") X(RET, "r--", "") \
  /* jumps unless the register is NONE: an argument not given, whose default follows */ \
  X(JGIVEN, "r-j", "") \
  X(CHECKT, "r--", "k") /* an annotation: constant k describes the type (annot.c) */ \
  /* ---- building and taking apart ---- */ \
  X(CLOSURE, "dWi", "p") X(DATA, "dWi", "t") X(RECORD, "dWi", "h") X(WITH, "dWi", "k") \
  X(ARRAY, "dWi", "") X(STRCAT, "dWi", "") \
  X(DIST, "dWi", "w") X(ENGINE, "dWi", "y") X(MODEL, "dWi", "p") \
  X(FIELD, "dri", "") X(GETF, "dr-", "sc") X(INDEX, "drr", "") X(INDEXN, "dWi", "i") \
  X(REST, "dri", "") X(LEN, "dr-", "") \
  X(NEWVEC, "d--", "") X(PUSH, "drr", "") \
  X(JNTAG, "r-j", "t") \
  X(JNARR, "rij", "") /* b: length, or -1 - length for "at least" */ \
  X(JNREC, "r-j", "s") \
  X(MATCHFAIL, "ri-", "") /* b: 1 in a let */ \
  /* ---- addresses: the run's path hash ---- */ \
  X(ASAVE, "d--", "") \
  X(APUSH, "d--", "a") /* saves in a, then pushes the component */ \
  X(AIDX, "rr-", "") /* path := a + index b */ \
  X(APUSHS, "dr-", "") /* saves in a, pushes the name in string b */ \
  X(AREST, "r--", "") \
  X(SSAVE, "d--", "") X(SREST, "r--", "") /* the scope of given() and do() */ \
  /* ---- effects: the run stops here ---- */ \
  X(SAMPLE, "T--", "ae") X(SAMPLED, "Ni-", "wae") X(SAMPLEV, "U--", "ae") \
  X(OBSERVE, "U-i", "ae") X(OBSERVED, "Vii", "wae") /* c: NORN_EV_REREAD or 0 */ \
  X(FACTOR, "r--", "e") \
  X(CONDITION, "r--", "e") X(TWIST, "r--", "e") X(INFER, "U--", "ae") \
  X(LOGPDF, "drr", "") X(LOGPDFD, "dWi", "w") /* row w at the c-1 arguments from b, value last */ \
  /* ---- mem (stubs of mem.c only) ---- */ \
  X(MEMNEW, "dr-", "a") X(MEMGET, "dij", "") X(MEMPUT, "rr-", "") \
  /* ---- never emitted by the compiler ---- */ \
  X(HALT, "---", "") X(WATER, "---", "") X(JOIN, "---", "")

enum {
#define X(name, modes, literals) OP_##name,
  OP_LIST(X)
#undef X
  OP_COUNT
};
typedef struct op_info { const char *name, *modes, *literals; int nlit; } op_info;
extern const op_info op_table[OP_COUNT];       /* code.c */

#endif
