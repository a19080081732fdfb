## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/head.h \
  %D%/model.h \
  %D%/optimise.h \
  %D%/params.h \
  %D%/safetensors.h \
  %D%/tokens.h
