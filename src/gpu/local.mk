## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/bigdata.c \
  %D%/bigdata_block.c \
  %D%/bigdata_text.c \
  %D%/blas.c \
  %D%/chains.c \
  %D%/chains_text.c \
  %D%/compile.c \
  %D%/device.c \
  %D%/drawn.c \
  %D%/filters.c \
  %D%/kept.c \
  %D%/load.c \
  %D%/memory.c \
  %D%/module.c \
  %D%/prelude.c \
  %D%/segment_gpu.c \
  %D%/version.c \
  %D%/weigher.c \
  %D%/bigdata.h \
  %D%/bigdata_in.h \
  %D%/bigdata_text.h \
  %D%/blas.h \
  %D%/block.h \
  %D%/chains.h \
  %D%/drawn.h \
  %D%/filter_block.h \
  %D%/filters.h \
  %D%/gpu.h \
  %D%/gpu_in.h \
  %D%/segment_gpu.h \
  %D%/segment_lanes.h \
  %D%/weigher.h \
  %D%/weigher_in.h

## What particles do on a device, as bytes (as the dialect is, src/graph/local.mk).
GPU_TEXT      = gpu/block.inc gpu/drawn.inc gpu/filter_block.inc gpu/segment_lanes.inc
CLEANFILES   += $(GPU_TEXT)
%D%/weigher.lo %D%/drawn.lo %D%/filters.lo %D%/segment_gpu.lo: $(GPU_TEXT)
gpu/block.inc: $(top_srcdir)/src/gpu/block.h $(top_srcdir)/build-aux/dialect.sh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SHELL) $(top_srcdir)/build-aux/dialect.sh f64 $(top_srcdir)/src/gpu/block.h > $@.tmp \
	  && mv $@.tmp $@
DRAWN = $(top_srcdir)/src/num/points.h $(top_srcdir)/src/gpu/drawn.h
gpu/drawn.inc: $(DRAWN) $(top_srcdir)/build-aux/dialect.sh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SHELL) $(top_srcdir)/build-aux/dialect.sh f64 $(DRAWN) > $@.tmp \
	  && mv $@.tmp $@
gpu/filter_block.inc: $(top_srcdir)/src/gpu/filter_block.h $(top_srcdir)/build-aux/dialect.sh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SHELL) $(top_srcdir)/build-aux/dialect.sh f64 $(top_srcdir)/src/gpu/filter_block.h > $@.tmp \
	  && mv $@.tmp $@
gpu/segment_lanes.inc: $(top_srcdir)/src/gpu/segment_lanes.h $(top_srcdir)/build-aux/dialect.sh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SHELL) $(top_srcdir)/build-aux/dialect.sh f64 $(top_srcdir)/src/gpu/segment_lanes.h > $@.tmp \
	  && mv $@.tmp $@
