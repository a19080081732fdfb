/* smc.h: weights, resampling and evidence of smc.c, for engines whose particles do more from barrier to
   barrier: move. */
#ifndef NORN_INFER_SMC_H
#define NORN_INFER_SMC_H
#include "infer/particles/particles.h"

/* self of such an engine are smc_size() bytes; `engine` is an smc(...) value, whose options count; ops:
   its particles (NULL: as smc's option says). */
size_t      smc_size(void);
norn_status smc_begin(norn_infer *, void *self, norn_datum engine, const particles_ops *ops);
norn_step   smc_step(norn_infer *, void *self);
norn_status smc_finish(norn_infer *, void *self);
void        smc_progress(norn_infer *, void *self, norn_progress *);
void        smc_free(norn_infer *, void *self);
norn_status smc_archive(norn_infer *, void *self, norn_archive *);
/* For filters side by side (particles_side.c): their particles are at the end of a leg.  It only computes, so that it
   may be a job; FAIL without an error: all of the particles are dead. */
norn_step   smc_barrier(norn_infer *, void *self);
particles  *smc_particles(void *self);
uint64_t    smc_stream(const void *self);               /* of its resampling */
/* Filters of particles_side_gpu: weights, genealogy and course are kept there, and smc_begin takes no room for them.
   This does, and says what has come of it, before smc_finish: barriers passed; as smc and genealogy.h keep them; of (2, n)
   families at the begin of both windows, eve (2, n) their ancestors at the start; course: numbers at barriers. */
typedef struct smc_end {
  uint32_t barriers, resamplings, left, eves, stride, n;          /* n: of the course */
  double log_z, least, variance, spread[2], apart[2];
  bool open, second, observed;                                    /* second: the first window is the second row */
  const double *logw, *barrier, *ess, *evidence, *ancestors;
  const uint16_t *of, *eve;
} smc_end;
norn_status smc_told(norn_infer *, void *self, const smc_end *);
#endif
