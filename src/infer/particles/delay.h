/* delay.h: the option `delayed` of engines whose runs may delay choices (delay.c). */
#ifndef NORN_INFER_DELAY_H
#define NORN_INFER_DELAY_H
#include "infer/engine.h"
#include "base/base.h"

#define DELAY_OPTION { "delayed", "\"auto\"", \
    "true: conjugate choices are marginalised (delayed sampling); auto: where an observation meets one" }
enum { DELAY_PROBES = 2 };               /* runs from the prior that a question takes */
/* The option is the i-th, of n runs side by side; false: error set. */
bool delay_option(norn_infer *, int i, size_t n, bool *on);
/* The same of engines that have lanes, where choices can't be delayed: by "auto" lanes that are asked for
   come first.  So do choices that are kept by each of many particles (kept): those that stay delayed until
   the end are held, 1.6 kB for each of its steps. */
bool delay_lanes_option(norn_infer *, int i, size_t n, bool kept, bool *on);
/* Does every choice stay delayed until the end, in runs from the prior: is one particle exact? */
bool delay_throughout(norn_infer *);
/* The delayed choices of a run that has ended, for the draw that comes next; false: error set. */
bool delay_choices(norn_infer *, norn_run *);
/* For norn explain: what would be delayed, if an observation met it (delay_explain.c). */
void delay_explain(norn_infer *, text *);
#endif
