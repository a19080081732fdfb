## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/blas.c \
  %D%/compile.c \
  %D%/device.c \
  %D%/load.c \
  %D%/memory.c \
  %D%/module.c \
  %D%/prelude.c \
  %D%/gpu.h \
  %D%/gpu_in.h
