/* population: the blocks of `import inference`, as values: a population is runs of one model, each with
   its weight and its choices, that stand at a barrier (swarm.h).  In a program it is a handle and never
   changes; each block gives another one.

       _spawn      (model) -> population          n runs at their begin, of weight 1
       _advance    population -> population       each to its next barrier, weights times what it observed
       _ask        the same, but its choices are made by the program that has the population
       _resample   population -> population       by weight; the weights' mean is taken out
       _move       population -> population       a kernel for each particle
       _population population -> posterior
       select, temper (lib_blocks.c)              resampled by given ancestors; another inverse temperature

   Those with an underscore are engines, for what they do runs programs, which can infer in turn:
   infer(model, _advance(pop)) gives a population and not a posterior.

   Evidence is unbiased through all of them: E[mean of weights, times what resampling took out] stays that
   of the model (Scibior et al. 2018, "Denotational validation of higher-order Bayesian inference").

   Random numbers: the stream of an inference is that of the event in the run that has it, as for any
   nested inference; each block takes a stream of it by its kind and by how many blocks came before, so
   that blocks in a row differ even where their addresses do not. */
#ifndef NORN_INFER_POPULATION_H
#define NORN_INFER_POPULATION_H
#include "infer/particles/swarm.h"

typedef struct population {
  swarm s;
  norn_ref *model;
  double log_z;                        /* what resampling took out of the weights */
  uint32_t generation;                 /* blocks before */
} population;

population *population_of(norn_datum);                 /* NULL: none */
/* The same, or an error (argument 0); asked: it may stand at a choice. */
population *population_want(norn_state *, norn_datum, bool asked);
/* A copy of particles from[i] of `old` (NULL: all) for `inf` (or NULL).  NULL: error set. */
population *population_fork(const population *old, const uint32_t *from, size_t n, norn_infer *inf);
void        population_free(norn_state *, population *);
/* The value of it, which owns it from then on, also where there is no memory (NONE). */
norn_datum  population_give(norn_state *, population *);
/* The same with the particles' weights made equal, their mean taken out: resampled. */
population *population_select(population *, const uint32_t *from, size_t n);
double      population_evidence(population *);         /* log; -infinity: all are dead */
/* Particles that neither died nor ended. */
size_t      population_running(const population *);
extern const norn_engine engine_spawn, engine_advance, engine_ask, engine_move_block,
  engine_resample, engine_population;
#endif
