## Compiled once for each register width (Makefile.am).
LEVEL_SOURCES += %D%/decoder/decoder_level.c

## list libnorncore_la_SOURCES *.c *.h */*.c */*.h !decoder/decoder_level.c
libnorncore_la_SOURCES += \
  %D%/context.c \
  %D%/filter.c \
  %D%/handle.c \
  %D%/open.c \
  %D%/pieces.c \
  %D%/rows.c \
  %D%/rows_text.c \
  %D%/tiny_bytes.c \
  %D%/train.c \
  %D%/wish.c \
  %D%/handle.h \
  %D%/llm.h \
  %D%/pieces.h \
  %D%/rows.h \
  %D%/tiny.h \
  %D%/decoder/builtin.c \
  %D%/decoder/decoder.c \
  %D%/decoder/decoder_gpu.c \
  %D%/decoder/decoder_gpu_batch.c \
  %D%/decoder/decoder_load.c \
  %D%/decoder/decoder_plan.c \
  %D%/decoder/kv.c \
  %D%/file/chat.c \
  %D%/file/gguf.c \
  %D%/file/gguf_write.c \
  %D%/file/pretok.c \
  %D%/file/quant.c \
  %D%/file/quant_k.c \
  %D%/file/uniclass.c \
  %D%/file/vocab.c \
  %D%/file/vocab_encode.c \
  %D%/guide/grammar.c \
  %D%/guide/grammar_calls.c \
  %D%/guide/grammar_net.c \
  %D%/guide/guide.c \
  %D%/guide/guide_nest.c \
  %D%/guide/guide_nest_least.c \
  %D%/guide/guide_nest_mask.c \
  %D%/guide/regex.c \
  %D%/guide/regex_nfa.c \
  %D%/guide/regex_parse.c \
  %D%/http/http.c \
  %D%/http/http_answer.c \
  %D%/http/http_body.c \
  %D%/http/http_open.c \
  %D%/http/http_send.c \
  %D%/http/http_store.c \
  %D%/http/http_texts.c \
  %D%/http/http_tokens.c \
  %D%/toy/hmm.c \
  %D%/toy/ngram.c \
  %D%/toy/sim.c \
  %D%/toy/switch.c \
  %D%/toy/toy.c \
  %D%/decoder/decoder.h \
  %D%/decoder/decoder_gpu.h \
  %D%/decoder/decoder_gpu_args.h \
  %D%/decoder/decoder_gpu_kernels.h \
  %D%/decoder/decoder_in.h \
  %D%/decoder/kv.h \
  %D%/file/chat.h \
  %D%/file/gguf.h \
  %D%/file/pretok.h \
  %D%/file/quant.h \
  %D%/file/quant_in.h \
  %D%/file/uniclass.h \
  %D%/file/uniclass_table.h \
  %D%/file/vocab.h \
  %D%/file/vocab_in.h \
  %D%/guide/grammar.h \
  %D%/guide/guide.h \
  %D%/guide/guide_in.h \
  %D%/guide/regex.h \
  %D%/guide/regex_in.h \
  %D%/http/http.h \
  %D%/toy/toy.h

## What a decoder does on a GPU, as bytes (as src/gpu/local.mk has it).
LM_TEXT       = $(top_srcdir)/%D%/decoder/decoder_gpu_args.h $(top_srcdir)/%D%/decoder/decoder_gpu_kernels.h
CLEANFILES   += llm/decoder_gpu.inc
%D%/decoder/decoder_gpu.lo: llm/decoder_gpu.inc
llm/decoder_gpu.inc: $(LM_TEXT) $(top_srcdir)/build-aux/dialect.sh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SHELL) $(top_srcdir)/build-aux/dialect.sh f64 $(LM_TEXT) > $@.tmp && mv $@.tmp $@

## The built-in model: a file that the assembler takes as it is.
LM_TINY_FILE  = $(abs_top_srcdir)/src/llm/tiny/tiny.gguf
EXTRA_DIST   += %D%/tiny/make.sh %D%/tiny/measure.norn %D%/tiny/text.norn %D%/tiny/tiny.gguf
CLEANFILES   += llm/tiny_file.inc
%D%/tiny_bytes.lo: llm/tiny_file.inc
llm/tiny_file.inc: $(top_srcdir)/src/llm/tiny/tiny.gguf
	$(AM_V_GEN)$(MKDIR_P) $(@D) && echo '#define LM_TINY_FILE "$(LM_TINY_FILE)"' > $@
