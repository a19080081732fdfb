/* bigdata: blocks of a program (graph/program.h, `fused`) on a GPU, for densities over large data under
   engines that the host drives: data are uploaded once and stay; an evaluation sends the parameters as
   arguments of a launch and reads back the sum of the terms and the derivatives.

   A `bigdata` is what programs of one density share: the device, the wish, and the data that are there,
   which are told apart by content, so that clones and new recordings find them. */
#ifndef NORN_GPU_BIGDATA_H
#define NORN_GPU_BIGDATA_H
#include "gpu/gpu.h"
#include "graph/graph.h"

typedef struct bigdata bigdata;
typedef struct bigdata_wish {
  bool f32;
  bool order;              /* the largest block goes there in any case; else what is predicted to be faster */
  bool verify;             /* every number is compared with the CPU's */
} bigdata_wish;
bigdata *bigdata_new(gpu *, bigdata_wish);                     /* NULL: error set */
bigdata *bigdata_keep(bigdata *);                              /* one more owner */
void     bigdata_free(bigdata *);                              /* one owner less; NULL is nothing */
/* Blocks of the program run there from now on, as many as can and are worth it: how many.  0: none, and
   why (size) says why not.  -1: error set (no memory there, a text that does not compile). */
int      bigdata_attach(bigdata *, program *, char *why, size_t size);
/* What became of it: NULL: all is well; else what failed (the CPU has gone on), or numbers that differ.  */
const char *bigdata_failure(const bigdata *);
bool     bigdata_differs(const bigdata *);                     /* it was such numbers */

/* For norn explain: a block, whether it would run on a device of so many bytes a second, and why not. */
typedef struct bigdata_part {
  uint32_t block, n, columns;
  double bytes, cpu_us, gpu_us;      /* of a gradient; predicted */
  const char *lacks;                 /* NULL: it can run there */
  uint32_t term;                     /* of the graph: its first one */
} bigdata_part;
enum { BIGDATA_BANDWIDTH = 3000 };                             /* GB/s, where no device says it */
/* f is called for each block of the program; info: of a device, or NULL.  false: no memory. */
bool     bigdata_parts(const program *, const gpu_info *info, bool f32,
                       void (*f)(void *user, const bigdata_part *), void *user);
#endif
