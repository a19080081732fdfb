/* chains: how draws from several chains are diagnosed by what the model returned (chains.c). */
#ifndef NORN_INFER_CHAINS_H
#define NORN_INFER_CHAINS_H
#include "infer/engine.h"

/* rhat 0: unknown; ess infinite: nothing returned is a number that varies. */
typedef struct chains_worst { double ess, rhat; char name[64]; } chains_worst;
/* The worst of the returned numbers: the value, its fields, the first elements of arrays. */
norn_status chains_diagnose(norn_infer *, int chains, int64_t draws, chains_worst *);
/* Notes them, says that the draws are from chains, and warns; or_else: what else than more draws
   helps (NULL: no warnings). */
norn_status chains_report(norn_infer *, int chains, int64_t draws, const char *or_else);
/* The value that the posterior which goes on (more) has for this choice at the end of this chain; NONE: it
   has none. */
norn_datum  chains_resumed(norn_infer *, const norn_event *, int64_t chains, int chain);
#endif
