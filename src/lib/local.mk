## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/lib.c \
  %D%/lib_math.c \
  %D%/lib.h

## open.c includes the standard library as bytes.
%D%/open.lo: $(STDLIB_INC)
