## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/rng.c \
  %D%/rng.h \
  %D%/vmath.h
