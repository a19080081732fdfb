## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/arena.c \
  %D%/cache.c \
  %D%/edit.c \
  %D%/file.c \
  %D%/mem.c \
  %D%/number.c \
  %D%/pool.c \
  %D%/source.c \
  %D%/text.c \
  %D%/utf8.c \
  %D%/archive.h \
  %D%/base.h \
  %D%/cache.h \
  %D%/foreign.h \
  %D%/number.h \
  %D%/pool.h
