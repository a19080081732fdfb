## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/context.c \
  %D%/filter.c \
  %D%/gguf.c \
  %D%/gguf_write.c \
  %D%/guide.c \
  %D%/hmm.c \
  %D%/ngram.c \
  %D%/open.c \
  %D%/quant.c \
  %D%/quant_k.c \
  %D%/regex.c \
  %D%/regex_nfa.c \
  %D%/regex_parse.c \
  %D%/toy.c \
  %D%/chat.h \
  %D%/gguf.h \
  %D%/guide.h \
  %D%/llm.h \
  %D%/quant.h \
  %D%/quant_in.h \
  %D%/regex.h \
  %D%/regex_in.h \
  %D%/toy.h \
  %D%/vocab.h
