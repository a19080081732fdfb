## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/columns.c \
  %D%/cvalue.c \
  %D%/devices.c \
  %D%/eval.c \
  %D%/functions.c \
  %D%/lib.c \
  %D%/lib_array.c \
  %D%/lib_big.c \
  %D%/lib_blocks.c \
  %D%/lib_c2st.c \
  %D%/lib_chains.c \
  %D%/lib_dist.c \
  %D%/lib_draws.c \
  %D%/lib_draws_nc.c \
  %D%/lib_ffi.c \
  %D%/lib_functions.c \
  %D%/lib_gp.c \
  %D%/lib_infer.c \
  %D%/lib_interp.c \
  %D%/lib_io.c \
  %D%/lib_its.c \
  %D%/lib_linalg.c \
  %D%/lib_llm.c \
  %D%/lib_map.c \
  %D%/lib_math.c \
  %D%/lib_net_ask.c \
  %D%/lib_ode.c \
  %D%/lib_plot.c \
  %D%/lib_predict.c \
  %D%/lib_save.c \
  %D%/lib_sbc.c \
  %D%/lib_sort.c \
  %D%/lib_special.c \
  %D%/lib_stats.c \
  %D%/lib_stream.c \
  %D%/lib_string.c \
  %D%/lib_sys.c \
  %D%/lib_table.c \
  %D%/open.c \
  %D%/packages.c \
  %D%/plugin.c \
  %D%/columns.h \
  %D%/cvalue.h \
  %D%/dists.h \
  %D%/functions.h \
  %D%/lib.h \
  %D%/lib_draws.h \
  %D%/strings.h

## open.c includes the standard library as bytes.
%D%/open.lo: $(STDLIB_INC)
