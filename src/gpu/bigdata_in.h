/* bigdata_in: what bigdata.c and bigdata_block.c share. */
#ifndef NORN_GPU_BIGDATA_IN_H
#define NORN_GPU_BIGDATA_IN_H
#include "gpu/bigdata.h"
#include "graph/fused_text.h"

enum { ARGUMENTS = 480 };              /* of a kernel, at most: 4 KiB */

typedef struct resident { uint64_t hash[2]; size_t bytes, unit; gpu_ptr at; } resident;
struct bigdata {
  norn_state *st;
  gpu *g;
  bigdata_wish wish;
  int owners;
  resident *data; size_t ndata, cdata;
  bool dead, differs;
  char why[300];
};

/* An operand with a number for each element: its values there; for a gather, which one each element has. */
typedef struct each_on {
  gpu_ptr values, index;
  uint32_t first, n;                   /* of the host's values; how many */
  const uint32_t *place;               /* GATHER: (n) of the program, each once */
} each_on;
/* Derivatives of a use that are kept: there (n), and for a gather their sums by place. */
typedef struct kept_on {
  gpu_ptr d, order, begin, first, piece;
  uint32_t npiece, result;             /* result: where its sums stand in `out` */
} kept_on;
typedef struct block_on {
  fused_shape s;
  bool made;
  gpu_module *module;
  gpu_kernel *run, *total, *pieces, *places;
  int64_t n, blocks;
  uint32_t sums, *sum_of;              /* sum_of (nnumber) */
  gpu_ptr partial, out, values;
  uint32_t nout, nvalue;
  gpu_ptr *column;                     /* (ncolumn) */
  each_on *each;                       /* (neach) */
  kept_on *kept;                       /* (nuse) */
  double *number; float *number32;     /* (nnumber) */
  void **args;
  double *host, *host_out;             /* (nvalue); (nout) */
  double *slopes;                      /* (n): of one use that is kept */
  double *before;                      /* (nplace): adjoints, to compare */
} block_on;

typedef struct attached {
  program_device device;
  bigdata *d;
  bool *has;
  block_on *block; uint32_t nblock;    /* (p->nfused) */
} attached;

/* Data on the device, found again by content; 0: error set. */
gpu_ptr bigdata_data(bigdata *, const void *, size_t bytes, size_t unit);
gpu_ptr bigdata_column(bigdata *, const double *, size_t n);

/* false: error set. */
bool          bigdata_block_make(bigdata *, const program *, uint32_t block, block_on *);
void          bigdata_block_free(bigdata *, block_on *);
/* FAILED: error set, nothing was added. */
device_result bigdata_block_run(bigdata *, program *, block_on *, bool gradient, double *sum);
#endif
