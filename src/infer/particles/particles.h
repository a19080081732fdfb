/* particles: how the particles of smc get from barrier to barrier.  smc.c keeps weights, evidence and
   the plan of resampling, and knows nothing of what a particle is; a table says how particles start,
   go on, are copied and end (the draws of importance are particles that are never copied):

       start -> advance, copy, advance, copy ... advance -> value and choices of each -> free
                   |       |
                   |       +- by (to[], from[]): may be put off until the particles are stepped
                   +- to the next barrier: the k-th observation of each, whatever its line, or its end

   particles_runs.c: one run of the VM for each (the reference); particles_crew.c: the same on threads.
   Others must give the same draws: the
   particle at place i has lane i; iteration is the number of barriers passed, or stays 0. */
#ifndef NORN_INFER_PARTICLES_H
#define NORN_INFER_PARTICLES_H
#include "infer/engine.h"

typedef struct particles particles;
/* What the weights of all add up to; spread: the mean variance of the numbers of offspring in the last
   resampling. */
typedef struct particles_sums { double log_sum, ess, spread; } particles_sums;
typedef struct particles_ops {
  const char *name;         /* the option's word: "scalar" */
  const char *words;        /* for reports: "one run for each particle" */
  size_t size;              /* of its struct, which begins with a `particles` */
  /* n particles at the beginning of the program.  Not OK: error set; free is called. */
  norn_status (*start)(particles *);
  /* Those that are not at their end to their next barrier: DONE when all are there.  Adds the log
     weight of what each observed to logw[i] (-infinity: dead), and counts in p->met.  WAIT: as
     norn_infer_wait; advance is called again.  It may return MORE in between. */
  norn_step   (*advance)(particles *);
  /* Particle to[k] becomes a copy of from[k], k < n; both rise, no place is in both, and what is
     copied was not dead.  The arrays stay as they are until advance is DONE.  false: error set. */
  bool        (*copy)(particles *, const uint32_t *to, const uint32_t *from, size_t n);
  /* What particle i returned; it has ended. */
  norn_datum  (*value)(particles *, size_t i);
  /* What all returned, where that is norn_lanes_numbers; NULL: take the value of each.  May be NULL. */
  const void *(*numbers)(particles *, uint64_t *tag);
  /* Gives the choices of particle i, oldest first, to norn_infer_choice (under p->choices). */
  norn_status (*choices)(particles *, size_t i);
  void        (*free)(particles *);
  void        (*note)(particles *);         /* how it went, by norn_infer_note; may be NULL */
  /* Writes or reads all that advance goes on from, copies that were put off (to and from: the arrays
     of `copy`) among it; start has been called.  false: error set.  NULL: it can't be saved. */
  bool        (*archive)(particles *, norn_archive *, uint32_t *to, uint32_t *from);
  /* Of populations that keep weights and ancestors themselves; else all NULL.  p->logw does not count then,
     nor is `copy` called.  false: error set.  resample: by the points that g begins with; the weights are
     all the same after it.  window: the second window of the genealogy opens, or becomes the first.
     fetch: log weights, and whose descendant each is in a window (either may be NULL). */
  bool        (*sums)(particles *, particles_sums *);
  bool        (*resample)(particles *, resample_kind, norn_rng *g);
  bool        (*window)(particles *, bool opens);
  bool        (*fetch)(particles *, double *logw, uint32_t *family, int which);
} particles_ops;

struct particles {
  const particles_ops *ops;
  norn_infer *inf;
  size_t n;
  bool choices;             /* every choice of each is kept */
  bool delay;               /* conjugate choices are delayed (NORN_RUN_DELAY): runs only */
  unsigned more;            /* NORN_RUN_STAY, or 0: more flags of their runs */
  const uint64_t *stream;   /* of their random numbers; NULL: that of the inference */
  double *logw;             /* (n, and cells of -infinity up to a multiple of 8) smc sets it to 0 */
  size_t next;              /* the particle that is stepped now; 0 when a leg begins */
  /* Of this leg.  observing: weighed; running: not at their end; and who ruled out the dead. */
  struct { size_t observing, running; blame dead; } met;
  char refused[200];        /* why others must do it, from the start (device = "auto") */
};

extern const particles_ops particles_runs, particles_crew, particles_lanes, particles_generated, particles_auto,
  particles_gpu, particles_side, particles_side_gpu;
/* device = "auto": fewer particles are done before a kernel is compiled. */
enum { PARTICLES_DEVICE_FROM = 100000 };
/* How many threads particles_crew would have; 1: particles_runs is the one to take. */
int        particles_threads(norn_infer *, size_t n, bool choices);
/* The table that option k ("auto", "scalar", "lanes", "generated") asks for; NULL: error set. */
const particles_ops *particles_choose(norn_infer *, int k, size_t n, bool choices);

/* The table of the GPU, if that is wished for and can be; else NULL and a note of why not, where that is
   asked.  k: the option of particles_choose; cant: why it can't be (NULL: it can); *verify: the CPU is to do
   it too. */
norn_status particles_device(norn_infer *, int k, size_t n, const char *cant, const particles_ops **,
                             bool *verify);

/* ---- particles_side.c: filters of many models side by side ---- */

/* Filters of n particles each, whose legs are those of one run (norn_lanes_plate), on threads, or on a GPU with a block
   each.  Each is an inference by smc, whose particles are particles_side (particles_side_gpu); its draws are those that it
   has alone. */
typedef struct side side;
enum { SIDE_MOST = 65536 };             /* particles of a filter: more are enough for themselves */
/* Can filters by this inference's engine, smc, go so, there (on the GPU) or on threads?  NULL: yes; else the reason (an
   error may be set). */
const char *side_cant(norn_infer *one, bool there);
/* How many filters of n particles a GPU has room for, as far as can be told before. */
struct gpu;
size_t      side_room(struct gpu *, bool f32, size_t n);
/* f inferences that have not begun, of the same form (norn_runs_forms), which it frees; on the GPU, or (NULL) on threads.
   NULL: an error is set, or they can't, and why (n) has the reason. */
side      *side_new(norn_infer *for_whom, struct gpu *, norn_infer **one, size_t f, char *why, size_t n);
/* DONE: all of them are; FAIL: an error is set, or they can't go on so, and why has the reason. */
norn_step  side_step(side *, char *why, size_t n);
norn_infer *side_one(side *, size_t k);               /* filter k, when they are done; still the side's.  NULL: error set */
void       side_drop(side *, size_t k);               /* it is not wanted any more */
void       side_free(side *);

/* NULL: error set. */
particles *particles_new(norn_infer *, const particles_ops *, size_t n, bool choices, bool delay,
                         unsigned more);
void       particles_free(particles *);
/* Particles in lanes (particles_lanes, _generated, _auto) at the beginning of the program once more, with numbers of
   p->stream.  false: error set. */
bool       particles_lanes_again(particles *);
void       particles_lanes_look(const particles *, norn_lanes_report *);
void       particles_leg(particles *);                 /* the next leg begins: clears met and next */
/* Of particles that are a swarm's: all are at the end of the leg, which takes their weights and counts them. */
struct swarm;
void       particles_met(particles *, struct swarm *);
/* Particle i is dead since `span`. */
void       particles_dead(particles *, size_t i, norn_span);
#endif
