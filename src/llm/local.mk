## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/guide.h \
  %D%/llm.h
