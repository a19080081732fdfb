## list libnorncore_la_SOURCES *.c *.h !vm.c
libnorncore_la_SOURCES += \
  %D%/code.c \
  %D%/disasm.c \
  %D%/env.c \
  %D%/event.c \
  %D%/heap.c \
  %D%/heap_old.c \
  %D%/lex.c \
  %D%/liveness.c \
  %D%/parse.c \
  %D%/register.c \
  %D%/run.c \
  %D%/verify.c \
  %D%/vm_slow.c \
  %D%/ast.h \
  %D%/code.h \
  %D%/env.h \
  %D%/env_in.h \
  %D%/flow.h \
  %D%/heap.h \
  %D%/heap_in.h \
  %D%/lex.h \
  %D%/op.h \
  %D%/parse.h \
  %D%/parse_in.h \
  %D%/run.h \
  %D%/state.h \
  %D%/value.h

## list libnornvm_la_SOURCES vm.c
libnornvm_la_SOURCES += \
  %D%/vm.c
