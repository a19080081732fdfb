## list libnorncore_la_SOURCES *.c *.h
libnorncore_la_SOURCES += \
  %D%/csv.c \
  %D%/drawset.c \
  %D%/drawset_value.c \
  %D%/json.c \
  %D%/netcdf.c \
  %D%/netcdf_read.c \
  %D%/number.c \
  %D%/stan_csv.c \
  %D%/stan_csv_read.c \
  %D%/csv.h \
  %D%/drawset.h \
  %D%/json.h \
  %D%/netcdf.h \
  %D%/netcdf_in.h \
  %D%/number.h \
  %D%/stan_csv.h
