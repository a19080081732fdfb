/* netcdf_in.h: the functions of libnetcdf that are used here, as its C API documents them (NetCDF-C
   4.3 and later); no header of it is needed to build.  netcdf.c opens it. */
#ifndef NORN_IO_NETCDF_IN_H
#define NORN_IO_NETCDF_IN_H
#include "io/netcdf.h"

enum { NC_READ = 0, NC_CLOBBER_4 = 0x1000, NC_GLOBAL_ID = -1, NC_NAME = 256, NC_RANK = 1024 };
enum { NC_BYTE_T = 1, NC_CHAR_T = 2, NC_DOUBLE_T = 6, NC_INT64_T = 10, NC_STRING_T = 12 };

typedef struct netcdf_api {
  const char *(*error)(int);
  int (*create)(const char *path, int mode, int *id);
  int (*open)(const char *path, int mode, int *id);
  int (*close)(int id);
  int (*def_grp)(int id, const char *name, int *group);
  int (*def_dim)(int id, const char *name, size_t n, int *dim);
  int (*def_var)(int id, const char *name, int type, int rank, const int *dims, int *var);
  int (*enddef)(int id);
  int (*put_att_text)(int id, int var, const char *name, size_t n, const char *text);
  int (*put_double)(int id, int var, const double *);
  int (*put_int64)(int id, int var, const long long *);
  int (*put_byte)(int id, int var, const signed char *);
  int (*inq_grps)(int id, int *n, int *groups);
  int (*inq_grpname)(int id, char *name);
  int (*inq_varids)(int id, int *n, int *vars);
  int (*inq_var)(int id, int var, char *name, int *type, int *rank, int *dims, int *natts);
  int (*inq_dim)(int id, int dim, char *name, size_t *n);
  int (*inq_att)(int id, int var, const char *name, int *type, size_t *n);
  int (*get_att_text)(int id, int var, const char *name, char *text);
  int (*get_double)(int id, int var, double *);
} netcdf_api;

/* Opened once a process; NULL: it is not there. */
const netcdf_api *netcdf_open(void);
norn_status netcdf_absent(norn_state *);
/* libnetcdf works for one thread at a time. */
void netcdf_lock(void);
void netcdf_unlock(void);
#endif
