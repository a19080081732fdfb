## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/drive.c \
  %D%/engine.c \
  %D%/infer.c \
  %D%/posterior.c \
  %D%/engine.h \
  %D%/infer.h \
  %D%/posterior.h
