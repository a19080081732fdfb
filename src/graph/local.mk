## Compiled once for each register width (Makefile.am).
LEVEL_SOURCES += %D%/exec_level.c

## list libnorncore_la_SOURCES *.c *.h !exec_level.c
libnorncore_la_SOURCES += \
  %D%/cc.c \
  %D%/choose.c \
  %D%/constraint.c \
  %D%/cost.c \
  %D%/density_call.c \
  %D%/density_loop.c \
  %D%/density_plan.c \
  %D%/density_text.c \
  %D%/dialect.c \
  %D%/direct.c \
  %D%/dists.c \
  %D%/emit.c \
  %D%/exec.c \
  %D%/exec_one.c \
  %D%/explain.c \
  %D%/functions.c \
  %D%/fuse.c \
  %D%/fused.c \
  %D%/fused_cc.c \
  %D%/fused_text.c \
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
  %D%/segment_cc.c \
  %D%/segment_text.c \
  %D%/tape.c \
  %D%/traced.c \
  %D%/calls.h \
  %D%/cc.h \
  %D%/chains.h \
  %D%/density_plan.h \
  %D%/density_text.h \
  %D%/dialect.h \
  %D%/fused_cc.h \
  %D%/fused_text.h \
  %D%/graph.h \
  %D%/incremental.h \
  %D%/jit.h \
  %D%/level.h \
  %D%/multi_kernel.h \
  %D%/op_formulas.h \
  %D%/op_functions.h \
  %D%/op_text.h \
  %D%/program.h \
  %D%/record.h \
  %D%/regression.h \
  %D%/schedule.h \
  %D%/segment.h \
  %D%/segment_cc.h \
  %D%/segment_kernel.h \
  %D%/segment_text.h \
  %D%/tape.h \
  %D%/traced.h

## The headers in which generated code is written, in order: dialect.c includes them as bytes
## (from a folder of the build's root, where a file of src/graph finds them by its shelf's name).
DIALECT = \
  num/lane.h num/vmath_f32.h num/vmath.h num/vspecial.h num/philox.h dist/kernel_map.h \
  dist/terms.h dist/kernel_real.h dist/kernel_count.h dist/kernel_draw.h dist/families.h \
  dist/kernel_sample.h dist/domains.h graph/op_functions.h graph/multi_kernel.h graph/segment_kernel.h
DIALECT_FILES = $(DIALECT:%=$(top_srcdir)/src/%)
DIALECT_INC   = graph/dialect_f64.inc graph/dialect_f32.inc
CLEANFILES   += $(DIALECT_INC)
EXTRA_DIST   += build-aux/dialect.sh

%D%/dialect.lo: $(DIALECT_INC)
graph/dialect_f64.inc: $(DIALECT_FILES) $(top_srcdir)/build-aux/dialect.sh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SHELL) $(top_srcdir)/build-aux/dialect.sh f64 $(DIALECT_FILES) > $@.tmp \
	  && mv $@.tmp $@
graph/dialect_f32.inc: $(DIALECT_FILES) $(top_srcdir)/build-aux/dialect.sh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SHELL) $(top_srcdir)/build-aux/dialect.sh f32 $(DIALECT_FILES) > $@.tmp \
	  && mv $@.tmp $@
