## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/adapt.c \
  %D%/auto.c \
  %D%/collapse.c \
  %D%/density.c \
  %D%/diagnose.c \
  %D%/drive.c \
  %D%/engine.c \
  %D%/enumerate.c \
  %D%/exact.c \
  %D%/forward.c \
  %D%/hmc.c \
  %D%/importance.c \
  %D%/infer.c \
  %D%/marginals.c \
  %D%/mh.c \
  %D%/more.c \
  %D%/nuts.c \
  %D%/posterior.c \
  %D%/psis.c \
  %D%/rejection.c \
  %D%/resample.c \
  %D%/show.c \
  %D%/smc.c \
  %D%/stats.c \
  %D%/engine.h \
  %D%/enumerate.h \
  %D%/hmc.h \
  %D%/infer.h \
  %D%/posterior.h \
  %D%/psis.h
