## list libnorncore_la_SOURCES *.c *.h !vm.c
libnorncore_la_SOURCES += \
  %D%/addr.c \
  %D%/annot.c \
  %D%/arith.c \
  %D%/arith_array.c \
  %D%/array.c \
  %D%/array_index.c \
  %D%/array_linalg.c \
  %D%/array_push.c \
  %D%/ast_print.c \
  %D%/code.c \
  %D%/comp_call.c \
  %D%/comp_emit.c \
  %D%/comp_expr.c \
  %D%/defdist.c \
  %D%/disasm.c \
  %D%/doc.c \
  %D%/effect.c \
  %D%/env.c \
  %D%/env_import.c \
  %D%/equal.c \
  %D%/event.c \
  %D%/exhaust.c \
  %D%/hamt.c \
  %D%/heap.c \
  %D%/heap_old.c \
  %D%/infer.c \
  %D%/lex.c \
  %D%/liveness.c \
  %D%/mem.c \
  %D%/model.c \
  %D%/order.c \
  %D%/parse.c \
  %D%/parse_expr.c \
  %D%/parse_form.c \
  %D%/parse_pattern.c \
  %D%/parse_stmt.c \
  %D%/part.c \
  %D%/program.c \
  %D%/record.c \
  %D%/register.c \
  %D%/resolve.c \
  %D%/run.c \
  %D%/state.c \
  %D%/string.c \
  %D%/symbol.c \
  %D%/verify.c \
  %D%/vm_slow.c \
  %D%/arith_in.h \
  %D%/array.h \
  %D%/ast.h \
  %D%/code.h \
  %D%/comp.h \
  %D%/env.h \
  %D%/env_in.h \
  %D%/flow.h \
  %D%/hamt.h \
  %D%/heap.h \
  %D%/heap_in.h \
  %D%/lex.h \
  %D%/op.h \
  %D%/parse.h \
  %D%/parse_in.h \
  %D%/part.h \
  %D%/run.h \
  %D%/state.h \
  %D%/symbol.h \
  %D%/value.h

## list libnornvm_la_SOURCES vm.c
libnornvm_la_SOURCES += \
  %D%/vm.c
