/* marginal: a particle filter that is run again and again, for an engine that gives some of the choices itself
   (parameters: pmmh), and in the end wants the history of one particle, drawn by weight: its choices and value.

       begin -> step, step ... -> the evidence -+-> begin
                                                +-> pick -> follow, follow ... -> addr, path, value

   Particles are runs of their own (swarm.h), which keep their choices, or in lanes (particles.h), whose draws never
   leave the VM.  There only places are kept: a particle's history is in which lane its ancestor ran in each leg,

       particle i --tip[i]--> (from leg b on, lane) --parent--> ... --parent--> (from leg 0 on, lane) -> NONE

   and since a draw depends on stream, lane, address and leg alone, one run that goes through the same lanes, leg by
   leg, makes the choices of that particle once more.  Evidence, histories and values are the same to the bit.

   Lanes: the particle at place i runs in lane i; iteration is the number of barriers passed. */
#ifndef NORN_INFER_MARGINAL_H
#define NORN_INFER_MARGINAL_H
#include "infer/particles/history.h"
#include "infer/particles/particles.h"
#include "infer/particles/swarm.h"

/* What a choice is: drawn by the particle; given, in *v, to all; of an error; or LATE: it would be given, but is not
   known, and this is not particle 0 (`first`), of which the engine learns it: an error too (set), unless particles are
   in lanes, which may come in another order: then they are runs from there on.  v NULL: only whether it is GIVEN. */
typedef enum { MARGINAL_DRAWN, MARGINAL_GIVEN, MARGINAL_FAILED, MARGINAL_LATE } marginal_said;
typedef marginal_said marginal_asked(void *user, bool first, norn_run *, const norn_event *, norn_datum *v);

typedef struct marginal {
  norn_infer *inf;
  size_t n;
  marginal_asked *ask; void *user;
  bool lanes, late;                    /* the particles are; something was late */
  bool waited;                         /* this leg has waited for another inference: behind it one may pause */
  particles *p;                        /* in lanes */
  swarm s;                             /* or runs */
  double *logw, *w, *work;             /* (n, and up to a multiple of 8) of runs; (n) scratch */
  uint32_t *below, *to, *from, *tip;   /* (n, and some room) scratch; in `lines` */
  history lines;
  uint64_t stream;
  norn_rng g;                          /* of resampling: draws from 16 + 8 * barrier on */
  uint32_t barrier;
  bool going;                          /* it has begun and is not at its end */
  double sum, log_z;                   /* of the weights at the end, 0: all are dead */
  norn_run *again;                     /* that makes a history once more, or NULL */
  uint32_t *line; size_t nline, cline, passed;   /* pairs: from which leg on, lane; those that it has come to */
  uint32_t leg;                        /* in which it is */
  uint64_t *addr; size_t naddr, caddr; /* the history that was picked last: its choices, oldest first, */
  column path;
  norn_ref *value;                     /* and what it returned */
  norn_lanes_report went;              /* of all filters in lanes */
} marginal;

/* Are these lanes? */
static inline bool marginal_lanes(const particles_ops *ops)
{
  return ops == &particles_lanes || ops == &particles_generated || ops == &particles_auto;
}
/* ops: as particles_choose has it; names: `ask` wants names of addresses.  false: error set; marginal_free in any
   case. */
bool      marginal_new(norn_infer *, marginal *, const particles_ops *, size_t n, bool names, marginal_asked *,
                       void *user);
void      marginal_free(marginal *);
/* A filter with numbers of `stream`, which resamples by numbers of g.  false: error set. */
bool      marginal_begin(marginal *, uint64_t stream, norn_rng g);
/* To the next barrier, and what is done there.  DONE: it is over. */
norn_step marginal_step(marginal *);
/* One of the particles at the end, by weight; then follow until DONE.  false: error set. */
bool      marginal_pick(marginal *, norn_rng g);
norn_step marginal_follow(marginal *);
/* Of the run that asks: barriers it has passed. */
static inline uint32_t marginal_leg(const marginal *m) { return m->again ? m->leg : m->barrier; }
/* Adds what one has told (`went`) of its lanes to what others have. */
void      marginal_add(norn_lanes_report *all, const norn_lanes_report *one);
/* Its notes. */
void      marginal_note(norn_infer *, const norn_lanes_report *, bool lanes);
bool      marginal_went_archive(norn_archive *, norn_lanes_report *);
/* After `begin` or before; read into one that is new. */
bool      marginal_archive(norn_archive *, marginal *);
#endif
