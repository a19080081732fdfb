/* density_text: the log density of a compiled program (program.h) and its gradient as text of the C dialect,
   for one chain that `threads` threads work on together: 1, or 2, 4, .. 32 neighbours of a warp.

   The text, after that of the dialect, defines

       int density_at(lanes *v, const lanes *D, const uint32_t *I, int tid, int64_t stride, wide *logp)

   A chain has `room` numbers of memory, V(k): with threads 1 they lie `stride` apart (chains side by
   side), else in a row, in shared memory or not.

       V(k) | inputs 0 .. | arrays, columns of scans ... | A(k): their adjoints, as many | scratch |
            0             ninput                         nslot                           2 nslot

   The caller puts the inputs into V(0 .. ninput-1); after the call, by all threads of the chain, the
   gradient is in A(0 .. ninput-1), if the status (the same in all threads) is 0: 1: outside, 2: a guard
   does not hold.  Numbers of an instruction over n elements go through the threads in turn; what serves
   one density stays in registers; scalars are computed by every thread, scans by one.

   Adjoints of gathered elements: the loop goes in the order of their places, so that each thread has
   whole runs of one place, which it sums in a register, and at its ends pieces of runs, which the thread
   where the run begins sums in the order of threads.  All sums are so in an order that depends on `threads`
   only.  D and I are tables for that number of threads: numbers of the data and places.

   With f32 `lanes` is float; what is summed over more than LONG elements is summed in double. */
#ifndef NORN_GRAPH_DENSITY_TEXT_H
#define NORN_GRAPH_DENSITY_TEXT_H
#include "base/base.h"
#include "graph/graph.h"

typedef struct density_code {
  mem m;
  text body;
  double *data; size_t ndata, cdata;       /* D */
  uint32_t *index; size_t nindex, cindex;  /* I */
  uint32_t ninput, nslot, room;
  int threads;
  double operations, loads;            /* of an evaluation: arithmetic and numbers of D and I, about */
  char why[160];                       /* what has no text; "": no memory */
} density_code;
/* false: why.  To be given back by density_code_free in either case. */
bool density_code_new(const program *, int threads, bool f32, density_code *);
void density_code_free(density_code *);
/* Why there is no such text (the name of a call, a family ...), or NULL. */
const char *density_code_lacks(const program *);
#endif
