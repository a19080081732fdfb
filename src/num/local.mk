## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/rng.c \
  %D%/special.c \
  %D%/stats.c \
  %D%/la.h \
  %D%/lane.h \
  %D%/rng.h \
  %D%/special.h \
  %D%/stats.h \
  %D%/vmath.h \
  %D%/vspecial.h
