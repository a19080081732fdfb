/* sbc.h: are ranks uniform?  Simultaneous bands of empirical distribution functions (sbc.c). */
#ifndef NORN_INFER_SBC_H
#define NORN_INFER_SBC_H
#include "norn.h"

/* Bounds of how many of n uniform numbers are at most i / k, i = 1 .. k - 1, into lower and upper
   (k - 1 each): all hold together with probability `coverage` at least.  false: no memory. */
bool sbc_band(norn_state *, int n, int k, double coverage, int *lower, int *upper);
/* The probability that all of these bounds hold. */
bool sbc_coverage(norn_state *, int n, int k, const int *lower, const int *upper, double *out);
#endif
