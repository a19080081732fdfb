## Compiled once for each register width (Makefile.am).
LEVEL_SOURCES += %D%/exec_level.c

## list libnorncore_la_SOURCES *.c *.h !exec_level.c
libnorncore_la_SOURCES += \
  %D%/cost.c \
  %D%/direct.c \
  %D%/dists.c \
  %D%/emit.c \
  %D%/exec.c \
  %D%/exec_one.c \
  %D%/explain.c \
  %D%/functions.c \
  %D%/fuse.c \
  %D%/fused.c \
  %D%/incremental.c \
  %D%/jit.c \
  %D%/loglinear.c \
  %D%/many.c \
  %D%/op_text.c \
  %D%/ops.c \
  %D%/program.c \
  %D%/record.c \
  %D%/regression.c \
  %D%/roll.c \
  %D%/scan.c \
  %D%/schedule.c \
  %D%/segment.c \
  %D%/tape.c \
  %D%/traced.c \
  %D%/chains.h \
  %D%/graph.h \
  %D%/incremental.h \
  %D%/jit.h \
  %D%/level.h \
  %D%/op_formulas.h \
  %D%/op_functions.h \
  %D%/op_text.h \
  %D%/program.h \
  %D%/record.h \
  %D%/regression.h \
  %D%/schedule.h \
  %D%/segment.h \
  %D%/tape.h \
  %D%/traced.h
