## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/bounded.c \
  %D%/combine.c \
  %D%/count.c \
  %D%/dispatch.c \
  %D%/dist.c \
  %D%/finite.c \
  %D%/gamma.c \
  %D%/heavy.c \
  %D%/improper.c \
  %D%/normal.c \
  %D%/partials.c \
  %D%/sample.c \
  %D%/simplex.c \
  %D%/dist.h \
  %D%/kernel.h \
  %D%/kernel_count.h \
  %D%/kernel_real.h
