/* incremental: a recorded graph whose values are kept, and of which only what depends on a changed input
   is computed again.

       set inputs -> run: dependents in topological order, old values logged
                       |-> keep: the sums are brought up to date, O(log n) for each term that changed
                       '-> undo: the old values are put back, O(change)

   Terms are of two kinds: observations, which are summed by a fixed tree, and priors, each of which
   belongs to a choice.  A run says how much each kind has changed; a guard that does not hold any more,
   or a number that is none, breaks it: then the program must be run.  Long sums of the program become
   trees, so that a change costs the logarithm of their length. */
#ifndef NORN_GRAPH_INCREMENTAL_H
#define NORN_GRAPH_INCREMENTAL_H
#include "graph/graph.h"

#define INCREMENTAL_NONE UINT32_MAX
/* A term of the target: an observation, or the prior of choice `of`.  A watch: the caller wants to know
   by `of` that a node has changed.  A node that only the caller reads is kept by a watch too. */
typedef enum { INCREMENTAL_OBSERVED, INCREMENTAL_PRIOR, INCREMENTAL_WATCH, INCREMENTAL_READ }
  incremental_kind;
typedef struct incremental_mark { uint32_t node, of; incremental_kind kind; } incremental_mark;
typedef enum { INCREMENTAL_OK, INCREMENTAL_OUTSIDE, INCREMENTAL_BROKEN } incremental_status;
typedef struct incremental_change { uint32_t at; double old; } incremental_change;

typedef struct incremental incremental;
/* The graph must outlive it.  NULL: no memory, error set. */
incremental *incremental_new(const graph *, const incremental_mark *, size_t nmark);
void         incremental_free(incremental *);
/* Where a node of the graph is; NONE if it is not kept.  All below speak of places. */
uint32_t     incremental_place(const incremental *, uint32_t node);
double       incremental_value(const incremental *, uint32_t place);
void         incremental_set(incremental *, uint32_t place, double value);
/* After one or several sets; may be called again after further ones, before keep or undo.  After
   another status than OK only undo may follow. */
incremental_status incremental_run(incremental *);
/* Since the last keep or undo: the changes of sums, without priors of choices that are skipped, and the
   choices of watches. */
double       incremental_observed(const incremental *);
double       incremental_priors(const incremental *);
size_t       incremental_seen(const incremental *, const uint32_t **of);
void         incremental_skip(incremental *, uint32_t choice);
void         incremental_keep(incremental *);
void         incremental_undo(incremental *);
/* What changed, in the order in which it did; before keep or undo. */
size_t       incremental_changes(const incremental *, const incremental_change **);
/* The choice whose prior this is, or NONE. */
uint32_t     incremental_prior_of(const incremental *, uint32_t place);
double       incremental_sum(const incremental *);         /* of the observations */
size_t       incremental_size(const incremental *);        /* places */
#endif
