/* blas.c: matrix products by cuBLASLt, opened when the first is wanted. */
#include "gpu/gpu_in.h"

void gpu_blas_free(gpu *g) { g->blas = NULL; }
