## Compiled once for each register width (Makefile.am).
LEVEL_SOURCES += %D%/attention_level.c %D%/head_level.c %D%/ops_level.c

## list libnorncore_la_SOURCES *.c *.h !attention_level.c !head_level.c !ops_level.c
libnorncore_la_SOURCES += \
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
  %D%/exp_f32.h \
  %D%/head.h \
  %D%/head_in.h \
  %D%/model.h \
  %D%/model_in.h \
  %D%/ops.h \
  %D%/optimise.h \
  %D%/params.h \
  %D%/safetensors.h \
  %D%/tokens.h
