/* device: where an engine computes: the options `device`, `precision` and `verify`, and the graphics
   processor of the state, which is opened at the first wish for it and stays open.

   device = "gpu" is an order: where it can't be had that is an error with the reason.  "auto" asks
   whether it pays, and takes the CPU without a word where there is none; info(post) says what was used
   and why. */
#ifndef NORN_INFER_DEVICE_H
#define NORN_INFER_DEVICE_H
#include "infer/engine.h"

/* At the end of an engine's list of options. */
#define DEVICE_OPTIONS                                                                             \
  {"device", "\"cpu\"", "\"cpu\", \"gpu\", or \"auto\": by what is predicted to be faster"},       \
  {"precision", "\"f64\"", "of the GPU; \"f32\": single, with long sums in double"},               \
  {"verify", "false", "true: numbers of the GPU are compared with those of the CPU"}

typedef enum { DEVICE_CPU, DEVICE_GPU, DEVICE_AUTO } device_kind;
typedef struct device_wish { int device; bool f32, verify; } device_wish;

/* The three options of the inference's engine, if it has them.  Single precision and checks are of the
   GPU: with device = "cpu" they are an error. */
norn_status device_read(norn_infer *, device_wish *);

struct gpu;
/* The state's GPU; NULL: there is none, and why (n) has the reason.  No error is set. */
struct gpu *device_gpu(norn_state *, char *why, size_t n);
/* What is wished: *out NULL: the CPU, and why (n) has the reason unless that was the wish.  An error only
   where device = "gpu" can't be had. */
norn_status device_open(norn_infer *, const device_wish *, struct gpu **out, char *why, size_t n);
/* Has programs of a density computed there, as far as that goes, from now on; with device = "gpu" an error
   where no part of them can be.  Notes what was done. */
norn_status device_density(norn_infer *, const device_wish *, norn_density *);
/* For norn explain: which blocks of the density a GPU would take with device = "auto", and why not the
   others; of the GPU that is there, or of one like those of today.  false: no memory. */
bool        device_explain(norn_density *, text *);
/* verify: log evidence of the GPU and of the CPU, of standard error sd, after so many observations: the
   random bits are the same, so that doubles differ by rounding, and by what one particle does whose
   ancestor rounding changed.  Notes the CPU's; an error if they differ by more. */
norn_status device_compare(norn_infer *, bool f32, const double log_z[2], double sd, const uint32_t seen[2]);
/* The error of an order that the program or other options keep from being carried out. */
norn_status device_refused(norn_infer *, const char *why);
/* info(post).device, and device_why, missing where no reason is given (NULL). */
void        device_note(norn_infer *, const char *device, const char *why);
#endif
