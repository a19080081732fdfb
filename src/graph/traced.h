/* traced: a Norn function of numbers as a C function of numbers and of the nodes that it closes
   over, with derivatives: what solves, integrates or minimises it calls it so.

   The function is called once with nodes for its arguments and for every node of the outer graph
   that it captures (its *parameters*), on a graph of its own, and what was recorded is run as a
   tape. Where a guard breaks (a branch on its arguments) it is recorded again; KEPT tapes are kept.
   A function that can't be recorded is called as it is, if no derivative is asked for (`plain`). */
#ifndef NORN_GRAPH_TRACED_H
#define NORN_GRAPH_TRACED_H
#include "graph/tape.h"

/* f takes nargs arguments: argument i a number (size[i] < 0) or an array of size[i] numbers; it
   gives a number (result < 0) or an array of so many.  who: the native, for messages. */
typedef struct traced_kind {
  const char *who;
  int nargs;
  int64_t size[2], result;
} traced_kind;
typedef enum { TRACED_OK, TRACED_OUTSIDE, TRACED_STOP } traced_status;   /* STOP: error set */
typedef struct traced traced;

/* x: numbers of its arguments, at which it is recorded first.  derivative: it must be recorded.
   NULL: error set, about argument 0. */
traced       *traced_new(norn_state *, const traced_kind *, norn_datum f, const double *x,
                         bool derivative);
void          traced_free(traced *);
/* The nodes of the outer graph that it captures. */
int64_t       traced_captured(const traced *, const norn_datum **nodes);
/* Which of them (n of all) have been read so far: a new branch may read more. */
const bool   *traced_active(const traced *, int64_t *n);
/* Sets their values (and the directions they move in, see tape_params) for what follows. */
traced_status traced_params(traced *, const double *p, int64_t k, const int32_t *lane);
traced_status traced_eval(traced *, const double *x, double *out);
/* dout (results, tape_row(k)): derivatives in the k directions, in which the numbers of the
   arguments from `first` on move by dx (their number, tape_row(k)), and those before do not.  By
   differences of a plain function. */
traced_status traced_tangent(traced *, const double *x, int64_t first, const double *dx,
                             double *out, double *dout);
/* gin (numbers of arguments, then parameters): derivatives of the sum of gout times results at
   x. */
traced_status traced_adjoint(traced *, const double *x, double *out, const double *gout,
                             double *gin);

/* ---- src/lang/symbolic/substitute.c ---- */
struct graph *traced_graph(norn_state *);         /* what is being recorded on; NULL: nothing is */
/* norn_call with this graph attached instead. */
norn_status   traced_call(norn_state *, struct graph *, norn_datum f, const norn_datum *args, int n,
                          norn_datum *out);
/* x with f's answer for each node that it holds, also in the captures of functions; x itself if it
   holds none.  NONE: error set. */
norn_datum    traced_replace(norn_state *, norn_datum x,
                             norn_datum (*f)(void *user, norn_datum node), void *user);
#endif
