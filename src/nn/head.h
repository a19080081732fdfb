/* head.h: what a net says of one unknown: a density over R, over a finite set, or over whole numbers.  A
   head is a small record that says how `width` raw outputs of a net are read. */
#ifndef NORN_NN_HEAD_H
#define NORN_NN_HEAD_H
#include "norn.h"
#include <stdbool.h>

/* BARS: a density of n pieces between border[0] < .. < border[n], whose first and last are half-normal
   tails that reach out from border[1] and border[n - 1] (Mueller et al. 2022, "Transformers Can Do Bayesian
   Inference").  MIXTURE: n normal components with their own standard deviations.  CATEGORIES: 0 .. n - 1.
   BERNOULLI: 0, 1.  COUNTS: 0, 1, 2 ...: a mixture of n negative binomials. */
typedef enum { NN_BARS, NN_MIXTURE, NN_CATEGORIES, NN_BERNOULLI, NN_COUNTS, NN_HEAD_KINDS } nn_head_kind;
extern const char *const nn_head_names[NN_HEAD_KINDS];

typedef struct nn_head {
  nn_head_kind kind;
  int n;
  double *border;              /* (n + 1) of BARS, of norn_alloc; freed by nn_head_free */
  double tail[2];              /* standard deviations of the two half-normals */
  double at, scale;            /* MIXTURE, COUNTS: mean and spread of targets: what outputs of 0 mean */
} nn_head;

int    nn_head_width(const nn_head *);                /* raw outputs */
/* Borders of equal mass among targets (n of them, sorted in place; ties share a piece), tails, at and scale.
   kind and n are set before; border is made if it is NULL.  false: error set. */
bool   nn_head_fit(norn_state *, nn_head *, double *target, size_t n);
void   nn_head_free(norn_state *, nn_head *);
/* -log q of each of n targets from z (n, width), summed; loss (n) and dz (n, width: the gradient of the
   sum) may be NULL.  Any thread. */
double nn_head_loss(const nn_head *, int n, const float *z, const float *target, double *loss, float *dz);
/* In f64, of one answer z (width). */
double nn_head_logq(const nn_head *, const float *z, double x);
double nn_head_draw(const nn_head *, const float *z, norn_rng *);
double nn_head_cdf(const nn_head *, const float *z, double x);
double nn_head_quantile(const nn_head *, const float *z, double p);
/* *mean and *variance of one answer. */
void   nn_head_moments(const nn_head *, const float *z, double *mean, double *variance);
#endif
