## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/context.c \
  %D%/filter.c \
  %D%/gguf.c \
  %D%/gguf_write.c \
  %D%/hmm.c \
  %D%/ngram.c \
  %D%/open.c \
  %D%/quant.c \
  %D%/quant_k.c \
  %D%/toy.c \
  %D%/chat.h \
  %D%/gguf.h \
  %D%/guide.h \
  %D%/llm.h \
  %D%/quant.h \
  %D%/quant_in.h \
  %D%/toy.h \
  %D%/vocab.h
