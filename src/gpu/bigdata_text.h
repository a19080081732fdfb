/* bigdata_text: the kernels of a block of a program (graph/fused_text.h) for a GPU. */
#ifndef NORN_GPU_BIGDATA_TEXT_H
#define NORN_GPU_BIGDATA_TEXT_H
#include "graph/fused_text.h"

/* A block's sums: 0 the terms, 1 elements outside of a domain, from 2 on the derivatives in numbers.  */
enum { SUM_TERMS, SUM_OUTSIDE, SUM_NUMBERS };
enum { BIGDATA_THREADS = 128, BIGDATA_BLOCKS = 2112, PIECE_MOST = 1024 };

/* Which sum the derivatives in number k go to (0: to none), into sum (nnumber); gives how many there are. */
uint32_t bigdata_sums(const fused_shape *, uint32_t *sum);
/* What stands before the text: the dialect, with the functions of natives. */
void bigdata_prologue(text *, bool f32);
/* The text after the dialect's.  Its kernels, launched with BIGDATA_THREADS threads:

     block(int64 n, columns.., values and index of each `each`.., derivatives of each use that is kept..,
           numbers.., double *partial)       partial (blocks, sums): those of a block's elements
     total(int64 blocks, const double *partial, double *out)         a block for each sum
     pieces(int64 npiece, const uint32 *order, const uint32 *begin, const lane_real *d, double *out)
                                             out[k]: sum of d[order[begin[k] .. begin[k + 1]]], a warp each
     places(int64 n, const uint32 *first, const double *piece, double *out)     sums of pieces, a thread each

   Columns, kept derivatives and numbers are lane_real (float or double), values are double.  All sums
   have one order, whatever the device. */
void bigdata_text(text *, const fused_shape *, bool f32);
#endif
