/* kernel: a transition on traces that leaves a target (trace.h) unchanged, made from an engine value.

   Engines that are kernels too have a row here (kernel.c lists them): mh(...) as an engine is chains of
   mh(...) as a kernel.  Particles that are moved and blocks of Gibbs sampling use the same rows.  A
   kernel may be given one trace after another; what it learns (the size of steps) it learns from all of
   them while `adapts` is set, and then keeps.

   A transition goes in steps: MORE: call again with the same arguments; DONE: the trace is its new
   state; WAIT: a nested inference has to come first (norn_infer_wait was called), then call again;
   FAIL: the error is set.  Between the first call and DONE nobody may touch the trace. */
#ifndef NORN_INFER_KERNEL_H
#define NORN_INFER_KERNEL_H
#include "infer/chains/trace.h"

typedef struct kernel kernel;
typedef struct kernel_row {
  const norn_engine *engine;
  size_t size;                                        /* of self, cleared */
  norn_status (*init)(kernel *);                      /* reads options: kernel_int and the like */
  norn_step   (*step)(kernel *, const target *, trace *);
  void        (*free)(kernel *);                      /* may be NULL */
  /* Of a checkpoint, between two calls of step: with the target and the trace of a transition that is
     on its way, which have been read.  NULL: it can't be saved. */
  bool        (*archive)(kernel *, const target *, trace *, norn_archive *);
  bool        (*settle)(kernel *, trace *);           /* kernel_settle; NULL: nothing is ever late */
} kernel_row;

struct kernel {
  const kernel_row *row;
  norn_infer *inf;
  norn_ref *engine;                                   /* its value */
  void *self;
  bool adapts;                                        /* false at first */
  int64_t learning;                                   /* transitions for which it will, if that is known */
  bool lazy;                                          /* the caller calls kernel_settle */
  int64_t proposed, accepted;                         /* of all its transitions, for whoever asks */
};

/* `inside`: who wants it: "X can't be used inside move".  NULL: error set. */
kernel    *kernel_new(norn_infer *, norn_datum engine, const char *inside);
norn_step  kernel_step(kernel *, const target *, trace *);
bool       kernel_archive(norn_archive *, kernel *, const target *, trace *);
/* Of a lazy kernel: brings trace_result up to date, which steps then leave as it was.  false: error
   set. */
bool       kernel_settle(kernel *, trace *);
void       kernel_free(kernel *);
/* Option i of its engine, or its fallback; option_int and the like for kernels. */
norn_datum kernel_option(kernel *, int i);
bool       kernel_int(kernel *, int i, int64_t least, int64_t *out);
bool       kernel_real(kernel *, int i, double *out);

bool       kernel_mh_proposes(const kernel *);      /* mh with a proposal of the user's own */
extern const kernel_row kernel_mh, kernel_enumerate, kernel_nuts, kernel_hmc, kernel_slice, kernel_gibbs;
#endif
