## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/axes.c \
  %D%/canvas.c \
  %D%/canvas_cairo.c \
  %D%/csv.c \
  %D%/drawset.c \
  %D%/drawset_value.c \
  %D%/json.c \
  %D%/netcdf.c \
  %D%/netcdf_read.c \
  %D%/plot.c \
  %D%/plot_chains.c \
  %D%/plot_density.c \
  %D%/plot_forest.c \
  %D%/plot_pairs.c \
  %D%/plot_ppc.c \
  %D%/plot_sbc.c \
  %D%/plot_text.c \
  %D%/stan_csv.c \
  %D%/stan_csv_read.c \
  %D%/axes.h \
  %D%/canvas.h \
  %D%/csv.h \
  %D%/drawset.h \
  %D%/json.h \
  %D%/netcdf.h \
  %D%/netcdf_in.h \
  %D%/plot.h \
  %D%/plot_in.h \
  %D%/stan_csv.h
