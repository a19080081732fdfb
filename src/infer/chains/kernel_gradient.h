/* kernel_gradient.h: what kernels on a density tell of themselves (kernel_gradient.c). */
#ifndef NORN_INFER_KERNEL_GRADIENT_H
#define NORN_INFER_KERNEL_GRADIENT_H
#include "infer/chains/kernel.h"

typedef struct gradient_report {
  bool diverged;                       /* the last transition */
  double step;                         /* of the last one */
  int64_t transitions, divergent;      /* since its settings are fixed */
  double accept;                       /* sum over these */
  int64_t late;                        /* transitions that still learnt though the kernel did not adapt */
} gradient_report;
/* false: it is another kernel. */
bool kernel_gradient_report(const kernel *, gradient_report *);
#endif
