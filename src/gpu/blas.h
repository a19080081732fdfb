/* blas: matrix products on the GPU, by cuBLASLt, which is opened when the first is wanted. */
#ifndef NORN_GPU_BLAS_H
#define NORN_GPU_BLAS_H
#include "gpu/gpu.h"

/* Numbers of a and b.  TF32: f32 whose products are of 11 bits, sums of 24.  BF16: 16 bits a number; sums, and c
   unless c_bf16, are f32. */
typedef enum { GPU_F64, GPU_F32, GPU_TF32, GPU_BF16 } gpu_numbers;

/* What is done before c is written.  bias: n numbers (column-major: m) of c's type, added to each row (column) of it.
   GPU_GELU: `also`, as c, is what bias gives, and c its GELU (the form with tanh), without a batch, of n (m) a multiple
   of 8. */
typedef enum { GPU_AS_IS, GPU_BIAS, GPU_GELU } gpu_ending;

/* c (m, n) = alpha op(a) (m, k) op(b) (k, n) + beta c; op is the transpose where ta, tb.  Row-major, or all
   three column-major; ld: elements from row to row (from column to column), 0: as many as a row (column)
   has.  batch > 1: as many products, whose matrices lie stride elements apart, 0: one after another. */
typedef struct gpu_product {
  gpu_numbers of;
  bool c_bf16, column, ta, tb;
  gpu_ending end;
  gpu_ptr bias, also;
  int64_t m, n, k, lda, ldb, ldc;
  int64_t batch, stride_a, stride_b, stride_c;
} gpu_product;

/* In the stream, without waiting.  An error: no cuBLASLt (NORN_EIO), a shape that it does not do. */
norn_status gpu_matmul(gpu *, const gpu_product *, double alpha, gpu_ptr a, gpu_ptr b, double beta, gpu_ptr c);
/* Does cuBLASLt have that product (how it ends, too)?  `bias` and `also` as they will be aligned. */
bool        gpu_product_there(gpu *, const gpu_product *);
/* Can there be products here?  If not *why, if wanted, is the reason. */
bool        gpu_blas_there(gpu *, const char **why);
#endif
