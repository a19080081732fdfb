## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/lib.c \
  %D%/lib_array.c \
  %D%/lib_map.c \
  %D%/lib_math.c \
  %D%/lib_sort.c \
  %D%/lib_string.c \
  %D%/lib.h \
  %D%/strings.h

## open.c includes the standard library as bytes.
%D%/open.lo: $(STDLIB_INC)
