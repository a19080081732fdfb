/* netcdf.h: draws as NetCDF-4 in the layout of InferenceData (ArviZ, "InferenceData schema
   specification"), both ways.  libnetcdf is opened at the first use.

       group posterior        mu (chain, draw), theta (chain, draw, theta_dim_0), ...
       group sample_stats     lp, energy, diverging, ...
       group log_likelihood, posterior_predictive, prior, observed_data, ... where they are given

   Each variable has an attribute "norn" (drawset_describe), each dimension a coordinate 0, 1 ... */
#ifndef NORN_IO_NETCDF_H
#define NORN_IO_NETCDF_H
#include "io/drawset.h"

/* A group: the statistics of a set, or all else; its draws in `chains` chains of equal length.
   constant: no draws, the numbers of the first stand for themselves. */
typedef struct netcdf_group {
  const char *name;
  const drawset *set;
  bool stats, constant;
  int64_t chains;
} netcdf_group;
/* keys and texts (n): attributes of the file and of each group.  info: JSON about the run. */
norn_status netcdf_write(norn_state *, const char *path, const netcdf_group *, int ngroups,
                         const char *const *keys, const char *const *texts, int n,
                         const char *info);

/* The groups posterior and sample_stats of a file.  It is read by a process of its own, so that a
   damaged file that crashes HDF5 is an error here. */
typedef struct netcdf_file { int64_t chains; norn_datum info; } netcdf_file;
const char *netcdf_version(void);                      /* "libnetcdf 4.9.0"; NULL: it is not here */
norn_status netcdf_read(norn_state *, const char *path, drawset *, netcdf_file *);
#endif
