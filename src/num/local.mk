## Compiled once for each register width (Makefile.am).
LEVEL_SOURCES += %D%/la_level.c %D%/la_f32_level.c %D%/lane_ops_level.c %D%/stream_level.c %D%/weights_level.c

## list libnorncore_la_SOURCES *.c *.h !la_level.c !la_f32_level.c !lane_ops_level.c !stream_level.c !weights_level.c
libnorncore_la_SOURCES += \
  %D%/interp.c \
  %D%/kde.c \
  %D%/la.c \
  %D%/la_f32.c \
  %D%/la_factor.c \
  %D%/lane_ops.c \
  %D%/level.c \
  %D%/minimise.c \
  %D%/ode.c \
  %D%/ode_bdf.c \
  %D%/quadrature.c \
  %D%/real.c \
  %D%/rng.c \
  %D%/roots.c \
  %D%/special.c \
  %D%/special_incomplete.c \
  %D%/special_normal.c \
  %D%/stats.c \
  %D%/stream.c \
  %D%/weights.c \
  %D%/interp.h \
  %D%/kde.h \
  %D%/la.h \
  %D%/la_in.h \
  %D%/lane.h \
  %D%/lane_ops.h \
  %D%/level.h \
  %D%/minimise.h \
  %D%/ode.h \
  %D%/ode_in.h \
  %D%/philox.h \
  %D%/points.h \
  %D%/quadrature.h \
  %D%/real.h \
  %D%/rng.h \
  %D%/roots.h \
  %D%/special.h \
  %D%/stats.h \
  %D%/stream.h \
  %D%/vec.h \
  %D%/vmath.h \
  %D%/vmath_f32.h \
  %D%/vspecial.h \
  %D%/weights.h
