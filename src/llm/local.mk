## Compiled once for each register width (Makefile.am).
LEVEL_SOURCES += %D%/decoder_level.c

## list libnorncore_la_SOURCES *.c *.h !decoder_level.c
libnorncore_la_SOURCES += \
  %D%/builtin.c \
  %D%/chat.c \
  %D%/context.c \
  %D%/decoder.c \
  %D%/decoder_gpu.c \
  %D%/decoder_gpu_batch.c \
  %D%/decoder_load.c \
  %D%/decoder_plan.c \
  %D%/filter.c \
  %D%/gguf.c \
  %D%/gguf_write.c \
  %D%/grammar.c \
  %D%/grammar_calls.c \
  %D%/grammar_net.c \
  %D%/guide.c \
  %D%/guide_nest.c \
  %D%/guide_nest_least.c \
  %D%/guide_nest_mask.c \
  %D%/handle.c \
  %D%/hmm.c \
  %D%/http.c \
  %D%/http_answer.c \
  %D%/http_body.c \
  %D%/http_open.c \
  %D%/http_send.c \
  %D%/http_store.c \
  %D%/http_texts.c \
  %D%/http_tokens.c \
  %D%/kv.c \
  %D%/ngram.c \
  %D%/open.c \
  %D%/pieces.c \
  %D%/pretok.c \
  %D%/quant.c \
  %D%/quant_k.c \
  %D%/regex.c \
  %D%/regex_nfa.c \
  %D%/regex_parse.c \
  %D%/rows.c \
  %D%/rows_text.c \
  %D%/sim.c \
  %D%/switch.c \
  %D%/tiny_bytes.c \
  %D%/toy.c \
  %D%/train.c \
  %D%/uniclass.c \
  %D%/vocab.c \
  %D%/vocab_encode.c \
  %D%/wish.c \
  %D%/chat.h \
  %D%/decoder.h \
  %D%/decoder_gpu.h \
  %D%/decoder_gpu_args.h \
  %D%/decoder_gpu_kernels.h \
  %D%/decoder_in.h \
  %D%/gguf.h \
  %D%/grammar.h \
  %D%/guide.h \
  %D%/guide_in.h \
  %D%/handle.h \
  %D%/http.h \
  %D%/kv.h \
  %D%/llm.h \
  %D%/pieces.h \
  %D%/pretok.h \
  %D%/quant.h \
  %D%/quant_in.h \
  %D%/regex.h \
  %D%/regex_in.h \
  %D%/rows.h \
  %D%/tiny.h \
  %D%/toy.h \
  %D%/uniclass.h \
  %D%/uniclass_table.h \
  %D%/vocab.h \
  %D%/vocab_in.h

## What a decoder does on a GPU, as bytes (as src/gpu/local.mk has it).
LM_TEXT       = $(top_srcdir)/%D%/decoder_gpu_args.h $(top_srcdir)/%D%/decoder_gpu_kernels.h
CLEANFILES   += llm/decoder_gpu.inc
%D%/decoder_gpu.lo: llm/decoder_gpu.inc
llm/decoder_gpu.inc: $(LM_TEXT) $(top_srcdir)/build-aux/dialect.sh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SHELL) $(top_srcdir)/build-aux/dialect.sh f64 $(LM_TEXT) > $@.tmp && mv $@.tmp $@

## The built-in model: a file that the assembler takes as it is.
LM_TINY_FILE  = $(abs_top_srcdir)/src/llm/tiny/tiny.gguf
EXTRA_DIST   += %D%/tiny/make.sh %D%/tiny/measure.norn %D%/tiny/text.norn %D%/tiny/tiny.gguf
CLEANFILES   += llm/tiny_file.inc
%D%/tiny_bytes.lo: llm/tiny_file.inc
llm/tiny_file.inc: $(top_srcdir)/src/llm/tiny/tiny.gguf
	$(AM_V_GEN)$(MKDIR_P) $(@D) && echo '#define LM_TINY_FILE "$(LM_TINY_FILE)"' > $@
