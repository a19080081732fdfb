## list libnorncore_la_SOURCES *.c *.h !vm.c
libnorncore_la_SOURCES += \
  %D%/ast.h \
  %D%/code.h \
  %D%/env.h \
  %D%/heap.h \
  %D%/op.h \
  %D%/state.h \
  %D%/value.h

## list libnornvm_la_SOURCES vm.c
libnornvm_la_SOURCES +=
