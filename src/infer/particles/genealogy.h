/* genealogy: who descends from whom among particles that are resampled: how sure the evidence is, and
   how far lineages have grown together.

   Lee and Whiteley 2018 (Biometrika 105, equation 8): the variance of log Z, from the ancestors of the
   particles at some time and R resamplings since, each of which spreads a family by rho (mean variance
   of the numbers of offspring; 1 - 1/N for multinomial resampling, for which the equation stands, less
   for the others):

       V = 1 - N/(N-1) prod(1 + rho_r/(N-1)) (1 - sum over ancestors of (sum of their weights)^2)

   V is of Z relative to its second moment, so -log(1 - V) is the variance of log Z (if that is normal).

   When few ancestors are left (a long series), the sum over them is worthless; so it is taken over
   windows of time that overlap, and what a step does to the evidence is counted as long after it as
   half a window (the lag of Olsson and Douc 2019, Bernoulli 25):

       ancestors of    0 ------------------ t1                  counted: V(0, t1) - V(m, t1)
                             m ------------------ t2            ... V(m, t2) - V(t1, t2)
                                            t1 ---------- end   V(t1, end) */
#ifndef NORN_INFER_GENEALOGY_H
#define NORN_INFER_GENEALOGY_H
#include "infer/engine.h"

/* Of a particle: its ancestors at the beginning of both windows. */
typedef struct lineage { uint32_t first, second; } lineage;
typedef struct genealogy {
  size_t n, left;           /* left: ancestors of the first window that had descendants at the last look */
  lineage *of;              /* (n) */
  uint32_t *eve[2];         /* (n) of those ancestors: theirs at the start */
  uint32_t *mark;           /* (n) scratch */
  double spread[2];         /* logs of the products over rho */
  double apart[2];          /* part of rho that parts families (1 where neighbours are strangers) */
  bool open;                /* there is a second window */
  double variance;          /* of the steps that are counted */
  bool elsewhere;           /* `of` is filled only to be looked at: looks are dear, and rare for many particles */
  uint32_t resamplings, eves;           /* eves: particles at the start that had descendants then */
} genealogy;

bool   genealogy_new(norn_state *, genealogy *, size_t n);           /* false: error set */
void   genealogy_free(norn_state *, genealogy *);
bool   genealogy_archive(norn_archive *, genealogy *);
/* Before a resampling, of a kind, of particles with weights w; share: scratch for n numbers. */
void   genealogy_look(genealogy *, resample_kind, const double *w, double sum, double *share);
/* After it: particle to[k] is a copy of from[k]. */
void   genealogy_copy(genealogy *, const uint32_t *to, const uint32_t *from, size_t n, double rho);
/* Particles that are elsewhere: will the next look do something; the same as genealogy_copy, but for `of`:
   true: then `of` is filled and genealogy_open called. */
bool   genealogy_due(const genealogy *);
bool   genealogy_passed(genealogy *, double rho);
void   genealogy_open(genealogy *);
/* Variance of the log evidence, now; NaN with one particle. */
double genealogy_variance(const genealogy *, const double *w, double sum, double *share);
/* Particles at the start that have descendants, now. */
size_t genealogy_eves(genealogy *, const double *w);
#endif
