## list norn_SOURCES *.c *.h
norn_SOURCES = \
  %D%/checkpoint.c \
  %D%/command.c \
  %D%/devices.c \
  %D%/draws.c \
  %D%/explain_cmd.c \
  %D%/help.c \
  %D%/infer_cmd.c \
  %D%/interrupt.c \
  %D%/main.c \
  %D%/model.c \
  %D%/options.c \
  %D%/outdir.c \
  %D%/progress.c \
  %D%/repl.c \
  %D%/train_cmd.c \
  %D%/train_text.c \
  %D%/train_work.c \
  %D%/work.c \
  %D%/cli.h \
  %D%/model.h \
  %D%/train.h

## The command sees norn.h and nothing else of the library, but it carries the library whole, with
## its symbols visible, so that an engine.so loaded into it finds them.
norn_CPPFLAGS = -I$(top_srcdir)/include -I$(top_srcdir)/src $(READLINE_CFLAGS)
norn_LDADD    = $(NORN_OBJECTS) $(NORN_LIBS) $(READLINE_LIBS)
norn_LDFLAGS  = $(AM_LDFLAGS) -export-dynamic
norn_DEPENDENCIES = $(NORN_OBJECTS)
