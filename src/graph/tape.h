/* tape: a small graph as a straight-line program over registers: values, derivatives in several
   directions at once (forwards), and adjoints (backwards).

       inputs   x[0 .. nvary-1]      change at every evaluation (t, y)
                x[nvary .. nin-1]    parameters: change between solves
       registers  | inputs | constants | what depends on parameters only | the rest |
                                         run by tape_params                run by tape_eval

   A function that is solved, integrated or minimised is run so, thousands of times between two
   looks at the parameters.  A branch that was taken has left a guard: where it does not hold the
   tape is not the function.  Nothing is allocated by an evaluation. */
#ifndef NORN_GRAPH_TAPE_H
#define NORN_GRAPH_TAPE_H
#include "graph/graph.h"

typedef struct tape tape;
typedef enum { TAPE_OK, TAPE_OUTSIDE, TAPE_GUARD } tape_status;

/* Rows of directions are this many doubles apart, or a multiple. */
enum { TAPE_ROW = 2 };
static inline int64_t tape_row(int64_t k) { return (k + TAPE_ROW - 1) / TAPE_ROW * TAPE_ROW; }

/* Of a graph whose inputs are those of the tape; out (nout): its results, nodes or numbers.
   Takes the graph.  NULL: error set. */
tape *graph_tape(graph *take, uint32_t nvary, const norn_datum *out, uint32_t nout);
void  graph_tape_free(tape *);
/* Does a result or a guard depend on input i. */
bool  tape_reads(const tape *, uint32_t i);
/* Sets the parameters p (nin - nvary).  With k > 0 directions (room is made when k grows):
   parameter i moves in direction lane[i]; -1: in none.  OUTSIDE: as of tape_eval; false in *room:
   no memory. */
tape_status tape_params(tape *, const double *p, int64_t k, const int32_t *lane, bool *room);
/* out (nout) at x (nvary).  OUTSIDE: an operation has left its domain. */
tape_status tape_eval(tape *, const double *x, double *out);
/* The same, and dout (nout, tape_row(k)): the derivatives in the k directions, in which the
   inputs from `first` on move by dx (nvary - first, tape_row(k)), and those before do not. */
tape_status tape_tangent(tape *, const double *x, uint32_t first, const double *dx, double *out,
                         double *dout);
/* After either: gin (nin) = the derivatives by all inputs of the sum of gout (nout) times
   results. */
void        tape_adjoint(tape *, const double *gout, double *gin);
#endif
