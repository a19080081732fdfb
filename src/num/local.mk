## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/la.c \
  %D%/rng.c \
  %D%/special.c \
  %D%/stats.c \
  %D%/la.h \
  %D%/la_in.h \
  %D%/la_kernel.h \
  %D%/lane.h \
  %D%/rng.h \
  %D%/special.h \
  %D%/stats.h \
  %D%/vmath.h \
  %D%/vspecial.h
