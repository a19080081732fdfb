## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/chat.h \
  %D%/gguf.h \
  %D%/guide.h \
  %D%/llm.h \
  %D%/quant.h \
  %D%/vocab.h
