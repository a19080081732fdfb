/* trace: a run's choices by address, with their values and densities, and the execution of a program
   that fills one.  Chains (mh.c), moves of particles and blocks of Gibbs sampling stand on it.

       target      what is run: how many observations of the program count, to what power their weight
                   is taken, which choices may change
       execution   a run of the program up to there; its user says what each choice is answered with
       trace       the choices that it made, in order, and the weight of the observations

   A run that is stopped at its k-th observation (or factor, or condition) has made the choices before
   it, and no others: those after it don't exist. */
#ifndef NORN_INFER_TRACE_H
#define NORN_INFER_TRACE_H
#include "infer/engine.h"

/* `logp` is the log density of the prior, `excess` what it has over the log density of the proposal
   under `via`.  A value that points into the heap is kept by `ref`, which stays with the entry. */
typedef struct trace_choice {
  uint64_t addr, support;              /* support: support_key of its distribution */
  const norn_dist_row *row;
  norn_span span;
  double logp, excess;
  norn_datum value; norn_ref *ref;     /* trace_value */
  uint64_t mark;                       /* of who walks through it; 0 at first */
} trace_choice;

typedef struct trace {
  trace_choice *c; size_t n, cap;
  uint64_t *key; uint32_t *place; size_t size;      /* address -> place + 1, open addressing */
  uint64_t stamp, version;             /* of which choices there are, and with which values: of no other
                                          trace of its inference */
  double logw, excess;                 /* of the observations that count, by themselves; of all choices */
  norn_datum result; norn_ref *result_ref;          /* trace_result */
  norn_run *run;                       /* standing at its barrier; NULL: it went to its end */
} trace;

/* What a transition leaves invariant: the prior of the choices before the barrier times the weight of
   the observations up to it to the power beta (where that weight is 0 the target is too, for every
   beta).  barriers: SIZE_MAX: the whole program.  movable NULL: every choice may change.  Choices that
   begin or cease to exist since another changed may do so whatever it says.  Random numbers: the
   program's come from (stream, lane, iter), an engine's own from norn_stream_split(stream, ENGINE_LANE,
   k, 0) there, k <= 15; no two transitions of one inference may share the three. */
typedef struct target {
  size_t barriers;
  double beta;
  bool stands;                         /* the target is 0 where the program ends before the barrier */
  bool (*movable)(void *user, uint64_t addr); void *user;
  uint64_t stream;
  uint32_t lane, iter;
} target;

norn_datum    trace_value(const trace_choice *);
bool          trace_set(norn_state *, trace_choice *, norn_datum);       /* false: no memory */
bool          trace_set_result(norn_state *, trace *, norn_datum);
/* What the run returned; NONE if it stands at a barrier. */
norn_datum    trace_result(const trace *);
trace_choice *trace_find(const trace *, uint64_t addr);                  /* NULL: there is none */
/* One more, cleared but for its ref.  NULL: no memory. */
trace_choice *trace_add(norn_state *, trace *, uint64_t addr);
void          trace_clear(trace *);                                      /* memory is kept */
void          trace_free(norn_state *, trace *);

/* Which choices of a trace a target lets change: places at[0 .. n - 1], where at is NULL the first n.
   Asked again at every transition, it looks through the trace only if that has other choices. */
typedef struct sites { uint64_t stamp; uint32_t *at; size_t n, cap; } sites;
bool sites_of(norn_state *, sites *, const trace *, const target *);    /* false: no memory */
void sites_free(norn_state *, sites *);
static inline size_t sites_at(const sites *s, size_t k) { return s->at ? s->at[k] : k; }

/* A run that fills a trace.  `meet` is called at each choice and must call execution_add; false: an
   error is set. */
typedef struct execution execution;
typedef bool execution_meet(void *user, execution *, const norn_event *);
struct execution {
  norn_infer *inf;
  const target *g;
  trace *t;
  execution_meet *meet;
  norn_datum (*given)(void *user, const norn_event *);
  void *user;
  norn_run *run;
  size_t passed;                       /* barriers */
  bool impossible;                     /* a value that was given is not in its support */
  bool dead; norn_span where;          /* the weight is 0, since this observation */
};
/* Clears `t` and begins; flags: of the run, beside those that it needs.  false: error set. */
bool          execution_begin(execution *, norn_infer *, const target *, trace *, unsigned flags,
                              execution_meet *, void *user);
/* The same for a trace whose choices have the values that `given` knows (NONE: drawn); NULL: all are
   drawn. */
bool          execution_start(execution *, norn_infer *, const target *, trace *,
                              norn_datum (*given)(void *user, const norn_event *), void *user);
/* MORE: once more, please; DONE: the run has ended, died, stands at its barrier, or is impossible. */
norn_step     execution_step(execution *);
/* Of a checkpoint.  An execution that is read was begun as the one that was written; its trace is read
   before it. */
bool          trace_archive(norn_archive *, trace *);
bool          execution_archive(norn_archive *, execution *);
void          execution_end(execution *);                                /* at any time */
/* The choice of this event has this value, or (NONE) one drawn from its prior or proposal.  NULL: error
   set.  support: support_key. */
trace_choice *execution_add(execution *, const norn_event *, uint64_t support, norn_datum);
/* What two distributions must share, beside the row, for a value to go from one to the other: a value
   of one is then a value of the other. */
uint64_t      support_key(norn_state *, const norn_dist *);
#endif
