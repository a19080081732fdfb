/* blas: matrix products on the GPU, by cuBLASLt, which is opened when the first is wanted. */
#ifndef NORN_GPU_BLAS_H
#define NORN_GPU_BLAS_H
#include "gpu/gpu.h"

/* Numbers of a and b.  TF32: f32 whose products are of 11 bits, sums of 24.  BF16: 16 bits a number; sums, and c
   unless c_bf16, are f32. */
typedef enum { GPU_F64, GPU_F32, GPU_TF32, GPU_BF16 } gpu_numbers;

/* c (m, n) = alpha op(a) (m, k) op(b) (k, n) + beta c; op is the transpose where ta, tb.  Row-major, or all
   three column-major; ld: elements from row to row (from column to column), 0: as many as a row (column)
   has.  batch > 1: as many products, whose matrices lie stride elements apart, 0: one after another.  bias, if it is not 0:
   n numbers (column-major: m) of c's type that are added to each row (column) of c. */
typedef struct gpu_product {
  gpu_numbers of;
  bool c_bf16, column, ta, tb;
  gpu_ptr bias;
  int64_t m, n, k, lda, ldb, ldc;
  int64_t batch, stride_a, stride_b, stride_c;
} gpu_product;

/* In the stream, without waiting.  An error: no cuBLASLt (NORN_EIO), a shape that it does not do. */
norn_status gpu_matmul(gpu *, const gpu_product *, double alpha, gpu_ptr a, gpu_ptr b, double beta, gpu_ptr c);
/* Can there be products here?  If not *why, if wanted, is the reason. */
bool        gpu_blas_there(gpu *, const char **why);
#endif
