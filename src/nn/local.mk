## Compiled once for each register width (Makefile.am).
LEVEL_SOURCES += %D%/head_level.c

## list libnorncore_la_SOURCES *.c *.h !head_level.c
libnorncore_la_SOURCES += \
  %D%/head.c \
  %D%/head_bars.c \
  %D%/head_finite.c \
  %D%/head_mixture.c \
  %D%/exp_f32.h \
  %D%/head.h \
  %D%/head_in.h \
  %D%/model.h \
  %D%/optimise.h \
  %D%/params.h \
  %D%/safetensors.h \
  %D%/tokens.h
