## Compiled once for each register width (Makefile.am).
LEVEL_SOURCES += %D%/attention_level.c %D%/head_level.c %D%/ops_level.c

## list libnorncore_la_SOURCES *.c *.h !attention_level.c !head_level.c !ops_level.c
libnorncore_la_SOURCES += \
  %D%/block.c \
  %D%/c2st.c \
  %D%/causal.c \
  %D%/gpu.c \
  %D%/gpu_batch.c \
  %D%/gpu_room.c \
  %D%/head.c \
  %D%/head_bars.c \
  %D%/head_finite.c \
  %D%/head_mixture.c \
  %D%/memory.c \
  %D%/model.c \
  %D%/ops.c \
  %D%/optimise.c \
  %D%/params.c \
  %D%/room.c \
  %D%/safetensors.c \
  %D%/safetensors_write.c \
  %D%/tokens.c \
  %D%/block.h \
  %D%/c2st.h \
  %D%/causal.h \
  %D%/exp_f32.h \
  %D%/gpu.h \
  %D%/gpu_attention.h \
  %D%/gpu_in.h \
  %D%/gpu_kernels.h \
  %D%/head.h \
  %D%/head_in.h \
  %D%/model.h \
  %D%/model_in.h \
  %D%/ops.h \
  %D%/optimise.h \
  %D%/params.h \
  %D%/safetensors.h \
  %D%/tokens.h

## What a net does on a GPU, as bytes (as src/gpu/local.mk has it).
NN_TEXT       = nn/gpu_kernels.inc
CLEANFILES   += $(NN_TEXT)
%D%/gpu.lo: $(NN_TEXT)
NN_PARTS      = $(top_srcdir)/%D%/gpu_kernels.h $(top_srcdir)/%D%/gpu_attention.h
nn/gpu_kernels.inc: $(NN_PARTS) $(top_srcdir)/build-aux/dialect.sh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SHELL) $(top_srcdir)/build-aux/dialect.sh f64 $(NN_PARTS) > $@.tmp && mv $@.tmp $@
