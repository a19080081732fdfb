## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/csv.c \
  %D%/json.c \
  %D%/number.c \
  %D%/csv.h \
  %D%/json.h \
  %D%/number.h
