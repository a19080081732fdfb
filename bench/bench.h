/* bench.h: what the row groups of `make bench` share.  A group is a function bench_NAME in a file of
   this folder and a word in GROUPS. */
#ifndef NORN_BENCH_H
#define NORN_BENCH_H
#include "norn.h"
#include "limits/limits.h"
#include <math.h>

#define GROUPS(X) X(lang) X(events) X(smc) X(crew) X(mh) X(gibbs) X(enumerate) X(start) X(dist) X(gradient) X(posteriordb) X(nuts) X(stream) X(la) X(glm) X(nn) X(nn_runs) X(nn_ask) X(llm) X(llm_mask)
#define X(name) void bench_##name(void);
GROUPS(X)
#undef X

extern const char *bench_folder;       /* bench/ of the sources */
extern const char *bench_binary;       /* the norn command */
double      bench_cpu(void);           /* CPU seconds of this process */
norn_state *bench_state(void);         /* quiet; ends the program when there is no memory */
norn_state *bench_load(const char *name);          /* evaluates a file of bench/ */
void        bench_die(norn_state *, const char *what);
/* Calls a function of the loaded file: the CPU seconds that it takes. */
double      bench_call(norn_state *, const char *f, const norn_datum *args, int n, double *value);
/* A line: what, Norn's figure and unit, the limit's or peer's (0: none) and name, the goal. */
void        bench_row(const char *name, double norn, const char *unit, const char *beside,
                      double other, const char *goal);
static inline double least(double a, double b) { return a < b ? a : b; }
#endif
