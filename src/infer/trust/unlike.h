/* unlike.h: are observed data unlike any that the program gives? */
#ifndef NORN_INFER_UNLIKE_H
#define NORN_INFER_UNLIKE_H
#include "infer/engine.h"

/* Compares what a model value observes with n data sets that its prior gives (unlike.c).  why (size bytes):
   what is unlike, or "".  A program whose runs fail, or infer inside, is not judged.  false: error set. */
bool unlike_prior(norn_state *, norn_datum model, int n, uint64_t stream, char *why, size_t size);
#endif
