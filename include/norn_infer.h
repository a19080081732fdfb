/* norn_infer.h: the half of norn.h for who drives programs: runs and their events, crews, engines
   and inferences, checkpoints, densities, posteriors.  norn.h includes it and says the rules that
   hold here too; include that. */
#ifndef NORN_INFER_H
#define NORN_INFER_H

#include "norn.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined __GNUC__
#pragma GCC visibility push(default)
#endif

/* ---- runs and their events ------------------------------------------------------------------- */

typedef enum {
  NORN_DONE,      /* value: what the run returned */
  NORN_SAMPLE,    /* dist (and proposal): answer with a value of it */
  NORN_OBSERVE,   /* dist and value: weigh; answer only to replace the value by a simulated one.
                     With NORN_EV_FACTOR or NORN_EV_CONDITION there is no dist: value is the log
                     weight. */
  NORN_INFER,     /* a nested inference: model in value, engine in engine; the answer is a
                     posterior */
  NORN_DEAD,      /* only under NORN_RUN_SCORE: the weight became 0 at span; or a parameter that
                     depends on random choices left its domain (then norn_error(st) says how) */
  NORN_ERROR,     /* norn_error(st); the run can only be freed */
  NORN_READY,     /* only under NORN_RUN_READY: a sample (dist, proposal) or an observation (dist, value; NONE of a
                     sample) of rows with `ready` comes next; nothing to answer */
  NORN_BRANCH,    /* only under NORN_RUN_BRANCHES: a branch on nodes comes next; value: its condition, 1 or 0, as a
                     node; addr: which branch of the program it is; nothing to answer */
  NORN_JOINED     /* a way of such a branch has come to where both meet (norn_branch_ways) */
} norn_event_kind;
enum {
  NORN_EV_FACTOR = 1, NORN_EV_CONDITION = 2,
  NORN_EV_GIVEN = 4,        /* an observe made by given() from a sample */
  NORN_EV_MISSING = 8,      /* a sample made from `observe missing ~ d` */
  NORN_EV_IN_MODEL = 16,    /* inside a model that the run itself entered (not its top level) */
  NORN_EV_TWIST = 64,       /* with FACTOR: a twist: the difference to what the last one added */
  NORN_EV_REREAD = 32       /* an observe whose expression is read elsewhere too: a simulated value
                               would not be seen there */
};
typedef struct {
  norn_event_kind kind;
  unsigned flags;
  uint64_t addr;            /* hash of the address of a sample; norn_addr_name gives its name */
  uint32_t ordinal;         /* events of this kind before it in the run */
  uint32_t count;           /* rows in it: 1 */
  const norn_dist *dist, *proposal;
  norn_datum value, engine;
  norn_span span;
} norn_event;                /* dist and proposal stay valid while the run stands still */

enum {                      /* what the VM answers by itself */
  NORN_RUN_DRAW = 1,        /* samples: from the prior (or `via`, weighing), by the run's stream */
  NORN_RUN_SCORE = 2,       /* observes: their log density is added to the run's weight; 0 gives
                               NORN_DEAD */
  NORN_RUN_NAMES = 4,       /* addresses are recorded so that norn_addr_name works */
  NORN_RUN_CHECK = 8,       /* an address reached twice is an error with both lines */
  NORN_RUN_STOP = 16,       /* with SCORE: stop (NORN_OBSERVE) after each scored observe, factor or
                               condition; the iteration of the run's random numbers rises by one */
  NORN_RUN_STAY = 256,      /* with STOP: it does not rise: the draws are those of a run without stops */
  NORN_RUN_DOMAIN = 64,     /* without SCORE: a parameter that left its domain gives DEAD too */
  NORN_RUN_DELAY = 128,     /* with SCORE: what may be a conjugate prior is not sampled but kept as what
                               is known of it; observations of it are weighed by its marginal.  It is
                               drawn (by the run's stream, also without DRAW) when the run looks at it
                               or ends.  No event is made of it: norn_run_delayed_choices */
  NORN_RUN_SIMULATE = 512,  /* with DRAW, without SCORE: observations are answered by draws too, `via` is passed
                               over, and each choice and observation is told (norn_simulate_attach); what can't be
                               simulated stops the run as ever */
  NORN_RUN_MAKES = 1024,    /* with SIMULATE: the run makes a model value, of which nothing is told, and goes on as a
                               run of that, in its next iteration */
  NORN_RUN_READY = 2048,    /* before it draws, scores or stops at what has a row with `ready`: NORN_READY, once; the
                               next norn_run_next does that event as its other flags say.  Runs in lanes never say
                               so, nor combinators over such rows, nor logpdf() */
  NORN_RUN_ASKS = 8192,     /* with DRAW: before the run draws a choice itself, who is attached is asked
                               (norn_choices_attach) */
  NORN_RUN_BRANCHES = 4096, /* a recorded run stands still before branches on nodes; comparisons of nodes are nodes */
  NORN_RUN_IMPROPER = 32    /* set by the run: a sample came, `via` another, from what has no
                               normaliser; such weights have no evidence */
};
/* Branches on nodes.  The two ways of the one before which a run stands: forks of it, of which the first goes the
   way where its condition holds, to be driven until they have JOINED.  false: error set; or, without one, they do
   not meet. */
bool            norn_branch_ways(norn_run *, norn_run *way[2]);
/* The run goes on where both ways have joined.  What differs between them must be numbers or truth values, maybe
   inside of arrays, records and the like, of which it gets choose(user, where the condition holds, where not); NONE:
   no memory, or they can't be one.  false: error set; or, without one, the ways differ in other things. */
bool            norn_branch_join(norn_run *, norn_run *const way[2],
                                 norn_datum (*choose)(void *user, norn_datum x, norn_datum y), void *user);
/* This branch leaves a guard instead, and the run goes one way. */
void            norn_branch_guard(norn_run *);
/* A run of a model value (n = 0) or of a function with n arguments.  Not yet started. */
norn_run       *norn_run_new(norn_state *, norn_datum callee, const norn_datum *args, int n);
void            norn_run_stream(norn_run *, uint64_t stream, uint32_t lane, uint32_t iter);
void            norn_run_flags(norn_run *, unsigned flags);
norn_event_kind norn_run_next(norn_run *, norn_event *);
void            norn_run_answer(norn_run *, norn_datum);
/* Copies live registers; shares values.  NULL: no memory. */
norn_run       *norn_run_fork(norn_run *, uint32_t lane);
void            norn_run_free(norn_run *);
/* The next event of each of n runs: ev[i]; stops early after a run whose event is NORN_INFER or
   NORN_ERROR and returns how many were stepped.  One crossing for a swarm. */
int             norn_runs_next(norn_run **, norn_event *, int n);
/* Of n runs and their events: those that stand at NORN_READY get ready, all of one row by one call of its `ready`,
   with the distributions and the proposals (x NONE: it will be drawn, by the event's random numbers).  Other events
   are passed over. */
norn_status     norn_events_ready(norn_state *, norn_run *const *, const norn_event *, int n);
/* May programs of this state meet such rows?  Not before one is mentioned, or there is a handle with fields. */
bool            norn_may_get_ready(norn_state *);
/* runs[to[k]] becomes a copy of runs[from[k]] with lane to[k], in its old memory where that fits,
   for k = 0 .. n-1 (resampling).  Either may be NULL: no run there.  false: no memory, the place is
   NULL. */
bool            norn_runs_copy(norn_run **runs, const uint32_t *to, const uint32_t *from, int n);
unsigned        norn_run_flags_of(const norn_run *);
double          norn_run_logw(const norn_run *);             /* what SCORE and `via` gathered */
void            norn_run_add_logw(norn_run *, double);       /* what the engine adds */
norn_state     *norn_run_state(const norn_run *);
/* n runs of one program that go on together in lanes: one execution of the VM stands for all that
   are in the same state, its numbers are vectors (lang/lanes/lanes.h).  What cannot be done so is done by
   runs of their own: draws, values and errors are those of n runs with lanes 0 .. n-1.  Made of a
   run that has not started and has DRAW, SCORE and STOP, or DRAW and SIMULATE (then their lanes begin with that of
   the run, their next observation is their end, and there are no values); it is consumed.  NULL: error set. */
typedef struct norn_lanes norn_lanes;
norn_lanes     *norn_lanes_new(norn_run *first, size_t n);
/* Many such populations side by side: `each` lanes, a multiple of 32, for every one of n runs, which have not
   started, differ in numbers of their arguments alone, and are consumed.  Lane f * each + i draws what lane i of
   run[f] draws.  Legs are run by a backend that keeps the weights (norn_lanes_defer, called at once), or not at
   all: then the leg says `apart`.  NULL without an error: the runs differ in more. */
norn_lanes     *norn_lanes_plate(norn_run **run, size_t n, size_t each);
/* form[k]: the same for runs that may go side by side; whole: integers must be the same too.  false: error set. */
bool            norn_runs_forms(norn_run **run, size_t n, bool whole, uint64_t *form);
/* What a leg, from one observation to the next, has met: weighed; not at their end. */
typedef struct norn_lanes_leg {
  size_t observing, running;
  bool improper;                 /* as NORN_RUN_IMPROPER */
  bool deferred;                 /* a backend (norn_lanes_defer) ran all of it; if it keeps the weights, they were
                                    added to its own, and none to logw */
  bool apart;                    /* populations side by side can't go on so (norn_lanes_look says why): nothing of the
                                    leg counts, and they can only be freed */
  norn_run *run; norn_event ev;  /* of NORN_INFER: answer it (norn_infer_wait), then call again */
  /* A run is dead since `span`. */
  void (*dead)(void *user, size_t i, norn_span span);
  void *user;
} norn_lanes_leg;
/* All to their next observation or their end, whose log weights are added to logw[i]: NORN_OBSERVE;
   or NORN_INFER, or NORN_ERROR. */
norn_event_kind norn_lanes_next(norn_lanes *, double *logw, norn_lanes_leg *);
/* to[k] becomes a copy of from[k], k < n, as in norn_runs_copy; both rise and share no place. */
bool            norn_lanes_copy(norn_lanes *, const uint32_t *to, const uint32_t *from, size_t n);
norn_datum      norn_lanes_value(norn_lanes *, size_t i);    /* what run i returned; it has ended */
/* The same of all n runs, 8 bytes each (a double, an int64_t, of booleans 0 or 1), where they ended together
   with numbers of one kind: *tag; NULL: they did not.  Borrowed. */
const void     *norn_lanes_numbers(const norn_lanes *, uint64_t *tag);
void            norn_lanes_free(norn_lanes *);
/* Legs of all lanes together are run by a backend (graph/segment.h), whose `self` outlives the lanes; what it
   can't do the lanes do as before.  false: no memory (error set). */
struct segment_backend;
bool            norn_lanes_defer(norn_lanes *, const struct segment_backend *, void *self);
/* As norn_lanes_copy, after a leg that was deferred, by a map of the backend, which is taken: lane k becomes a
   copy of lane map[k]. */
bool            norn_lanes_copy_map(norn_lanes *, void *map);
/* What runs under NORN_RUN_SIMULATE have drawn, or which model was made (dist NULL).  An observation's numbers have
   the event word of norn_simulated_event.  Of one run (n 0): its lane, the value.  Of n runs in lanes: their lanes
   (first + lanes[k]; NULL: first + k) and values as doubles.  A value of `elements` numbers is told by one call for
   each, in order; then `row` has the family of the element (scalar; NULL: a real number without bounds), np and p its
   parameters, p[i][k] where bit i of `many` is set, else p[i][0].  arg: of the distribution's arguments the first numbers
   in their order (norn_dist_leaves), arg[i][k] where arg_many has bit i, else arg[i][0].  Of dist only row, n and what
   families its arguments are may be looked at.  Everything is borrowed. */
enum { NORN_SIMULATED_ARGS = 8 };
typedef struct norn_simulated {
  uint64_t addr;
  norn_span span;
  unsigned flags;            /* NORN_EV_MISSING, NORN_EV_GIVEN */
  bool observed;
  const norn_dist *dist;
  uint32_t lane;
  norn_datum value;
  uint32_t n, first; const uint32_t *lanes;
  uint32_t element, elements;
  const norn_dist_row *row;
  int np; unsigned many; const double *p[NORN_DIST_P];
  int nargs; unsigned arg_many; const double *arg[NORN_SIMULATED_ARGS];
  const double *x;
} norn_simulated;
/* false: error set, the run fails.  It must not run Norn code.  NULL: nothing is told any more. */
void            norn_simulate_attach(norn_state *, bool (*met)(void *user, const norn_simulated *), void *user);
/* Of an observation with `before` others in its run before it. */
uint32_t        norn_simulated_event(uint64_t addr, norn_span, uint32_t before);
/* Runs under NORN_RUN_ASKS, in lanes or alone, ask at each choice that do() and given() do not fix: shall they DRAW it,
   or is it GIVEN, in *v, to all lanes the same?  FAILED: error set, of the program.  first: the run, or one of its
   lanes, has number 0, and the event's distribution may be looked at (without it its parameters may differ by lane).
   Random numbers of the event are then those of that run.  v NULL: only which of the two it would be; no error.  It
   must not run Norn code.  f NULL: nobody is asked any more, and such runs fail. */
typedef enum { NORN_ASKED_DRAW, NORN_ASKED_GIVEN, NORN_ASKED_FAILED } norn_asked;
typedef norn_asked (*norn_choice_asked)(void *user, norn_run *, const norn_event *, bool first, norn_datum *v);
void            norn_choices_attach(norn_state *, norn_choice_asked f, void *user);
/* How it went: groups that stand now; splits, branches both of whose ways were gone,
   mergers; runs that had to go on by themselves, and
   where and why the first; whether all do so for good; legs that a backend ran, and that had to be done again;
   why it runs none any more, or ""; most numbers that vectors held at a time. */
typedef struct {
  size_t groups, splits, selects, merged, alone, generated, again, most;
  bool fallen_apart;
  norn_span where;
  char why[160], not_generated[160];
  norn_span not_where;             /* where the last leg stood that had to be done again */
} norn_lanes_report;
void            norn_lanes_look(const norn_lanes *, norn_lanes_report *);
/* The event's own random numbers. */
void            norn_run_rng(const norn_run *, const norn_event *, norn_rng *);
uint32_t        norn_run_lane(const norn_run *);
/* Under NORN_RUN_DELAY, so far: choices that were delayed; observations that a delayed one was
   marginalised in; delayed choices that had to be drawn before the end; all choices. */
typedef struct { uint32_t made, met, drawn, all; } norn_delayed;
void            norn_run_delayed(const norn_run *, norn_delayed *);
/* The delayed choices that have been drawn, oldest first: all, at the end of a run without DRAW.
   false: f said so, or error set. */
bool            norn_run_delayed_choices(norn_run *, bool (*f)(void *user, uint64_t addr, norn_datum),
                                         void *user);
/* The printed name of an address ("theta.z[3]"), after a run with NORN_RUN_NAMES met it. */
const char     *norn_addr_name(norn_state *, uint64_t addr, char *buf, size_t n);
/* How many observations stand before that of the event, by its span, in the text of its function; -1: there is none
   at the span. */
int             norn_observe_number(norn_state *, norn_span);
/* Hash of what a run will do from here on (code place, live registers, scope), for merging equal
   states; and whether two runs are in the same state.  Weights and lanes do not count. */
uint64_t        norn_run_hash(norn_run *);
bool            norn_run_same(norn_run *, norn_run *);

/* ---- crews: runs on several threads ------------------------------------------------------------ */

/* A crew has a fixed number of places, each with a run; between two barriers the runs go on, on as
   many threads as it has.  Which thread does what changes no number: random numbers are counters, and
   what is added up is added by the caller, in order of places.  While a crew is not at work its runs
   are used like any others, by the caller's thread. */
typedef struct norn_crew norn_crew;
/* How many threads a crew would have here of `want` (0: of the configuration, or one a processor); 1:
   there can be none (a crew is there already, or something is recorded, or C code has called). */
int         norn_crew_threads(norn_state *, int want);
/* NULL: error set. */
norn_crew  *norn_crew_new(norn_state *, size_t places, int threads);
/* runs[i] for each place i becomes a copy of `of`, which stands still, in lane i.  false: no memory
   (error set); what was made is in runs, the rest is NULL. */
bool        norn_crew_start(norn_crew *, norn_run *of, norn_run **runs);
/* Called in the thread of the run at place i, when it has come to an event; threads do so at once.
   false: the event is kept for the caller. */
typedef bool (*norn_crew_met)(void *user, size_t i, norn_run *, const norn_event *);
/* First runs[to[k]] becomes a copy of runs[from[k]], as norn_runs_copy does (k < n, both rising, no
   place in both); then every run that is not NULL goes on to its next event.  *left: how many of these
   `met` has not dealt with.  false: error set. */
bool        norn_crew_next(norn_crew *, norn_run **runs, const uint32_t *to, const uint32_t *from,
                           size_t n, norn_crew_met met, void *user, size_t *left);
/* What is left to the caller of a leg, until it is false: the events that were kept, in order of places,
   then those of the runs that had to go on in this thread (they do so now), in that order too; and at
   last NORN_ERROR if there was one, that of the lowest place.  Of a run that is dead since a parameter
   left its domain the state's error says so. */
bool        norn_crew_rest(norn_crew *, size_t *place, norn_event *);
/* The k-th of the runs that still have to go on in this thread. */
bool        norn_crew_left(const norn_crew *, size_t k, size_t *place);
/* Tasks: C code that goes on in all workers' threads at once, each with the state of its worker: it makes,
   steps and answers runs of that state, and keeps values with it, as if it were alone.  What can't be done
   there comes to it as NORN_INFER with no model: it returns, and goes on with that run in the caller's
   thread (between two calls of norn_crew_work), which may also look at all values of the workers then; or,
   where `count` is 1, in a later task, since memory has to be collected before. */
typedef void (*norn_crew_task)(void *user, int k, norn_state *);
int         norn_crew_size(const norn_crew *);           /* workers */
norn_state *norn_crew_state(norn_crew *, int k);         /* of worker k, for the caller's thread */
void        norn_crew_work(norn_crew *, norn_crew_task, void *user);
/* The error of worker k becomes that of the crew's state. */
void        norn_crew_error(norn_crew *, int k);
/* The runs must be freed before. */
void        norn_crew_free(norn_crew *);

/* ---- inference ------------------------------------------------------------------------------- */

typedef struct norn_infer norn_infer;    /* one inference in progress, as its engine sees it */
typedef enum { NORN_STEP_MORE, NORN_STEP_DONE, NORN_STEP_WAIT, NORN_STEP_FAIL } norn_step;
typedef struct {
  const char *name;
  const char *fallback;    /* the default, as a Norn literal; NULL: required */
  const char *doc;
} norn_option;
/* One of several that go on side by side: a chain. */
typedef struct { double done, total; char state[56]; } norn_progress_part;
typedef struct {
  double done, total;      /* total 0: unknown */
  char state[80];
  int nparts; const norn_progress_part *parts;   /* valid until the next step; 0: it is one whole */
} norn_progress;
typedef struct norn_archive norn_archive;
#define NORN_ENGINE_VERSION 2          /* 1: without `archive` */
enum { NORN_ENGINE_EXACT = 1, NORN_ENGINE_PRIOR = 2 /* ignores observations */ };
/* An engine.  `self` is `size` zeroed bytes of its own.  step does a bounded piece of work and
   returns MORE, DONE, FAIL (error in the state), or norn_infer_wait(...) when a run of its own met
   NORN_INFER: it is stepped again once that run has been answered. */
typedef struct norn_engine {
  uint32_t version;
  const char *name, *doc;
  const norn_option *options; int noptions;
  unsigned flags;
  size_t size;
  norn_status (*init)(norn_infer *, void *self);
  norn_step   (*step)(norn_infer *, void *self);
  norn_status (*finish)(norn_infer *, void *self);   /* may be NULL: all is in */
  void        (*progress)(norn_infer *, void *self, norn_progress *);   /* may be NULL */
  void        (*free)(norn_infer *, void *self);             /* may be NULL */
  /* Writes or reads all that self keeps between two steps (see checkpoints); NULL: it can't be
     saved. */
  norn_status (*archive)(norn_infer *, void *self, norn_archive *);
} norn_engine;
/* Each becomes a constructor.  The rows are of one version, of which the older still do. */
norn_status        norn_add_engines(norn_state *, const norn_engine *, int n);
const norn_engine *norn_engine_at(norn_state *, int i);      /* NULL past the last */
norn_datum         norn_engine_new(norn_state *, const norn_engine *, const norn_datum *options,
                                   int n);
/* NULL if not an engine. */
const norn_engine *norn_engine_view(norn_datum, const norn_datum **options);

/* What an engine asks of the inference it works for. */
norn_state *norn_infer_state(norn_infer *);
norn_datum  norn_infer_model(norn_infer *);
norn_datum  norn_infer_option(norn_infer *, int i);
uint64_t    norn_infer_stream(norn_infer *);
/* A new run of the model. */
norn_run   *norn_infer_run(norn_infer *, uint32_t lane, uint32_t iter, unsigned flags);
norn_step   norn_infer_wait(norn_infer *, norn_run *, const norn_event *);
norn_status norn_infer_draw(norn_infer *, norn_datum value, double logw);   /* a weighted draw */
/* A named choice of the draw that comes next; kept by address as a column beside the draws. */
norn_status norn_infer_choice(norn_infer *, uint64_t addr, norn_datum value);
/* The chain of the draws that come next (0 at first); a posterior has the draws of chain 0 first, then
   those of chain 1, whatever order they came in. */
void        norn_infer_chain(norn_infer *, int chain);
/* A number about the draw that comes next ("lp", "energy", "diverging"; names that outlive the
   inference); info(post).stats has them as arrays. */
norn_status norn_infer_stat(norn_infer *, const char *name, double);
void        norn_infer_evidence(norn_infer *, double log_evidence, double se);
void        norn_infer_note(norn_infer *, const char *key, norn_datum value);   /* for diagnose */
void        norn_infer_warn(norn_infer *, norn_span, const char *format, ...) NORN_PRINTF(3, 4);
/* What ruled everything out: counts dead runs by line; the busiest line gets the blame. */
void        norn_infer_dead(norn_infer *, norn_span);
norn_span   norn_infer_blame(norn_infer *, uint64_t *count);

/* After runs of a model: an error if given() or do() fixed a choice that none of them met. */
norn_status norn_model_check(norn_state *, norn_datum model);

/* Driving an inference from C: new, step until not MORE, result, free; or norn_infer_all. */
norn_infer *norn_infer_new(norn_state *, norn_datum model, norn_datum engine);
norn_step   norn_infer_step(norn_infer *);
void        norn_infer_progress(norn_infer *, norn_progress *);
norn_datum  norn_infer_result(norn_infer *);          /* the posterior so far */
void        norn_infer_free(norn_infer *);
norn_status norn_infer_all(norn_state *, norn_datum model, norn_datum engine,
                           norn_datum *posterior);
/* How a model will be run: the engine that infer(m) would choose and why, its choices and observations,
   and if it has a gradient what was recorded, by line.  A text; NONE: error set. */
norn_datum  norn_explain(norn_state *, norn_datum model);
/* Called now and then while inferring; return false to stop.  NULL: none. */
void        norn_on_progress(norn_state *,
                             bool (*f)(void *user, const char *engine, const norn_progress *),
                             void *user);

/* A draw as it comes, for who keeps draws while the work goes on; all of it is borrowed. */
typedef struct {
  int chain;
  double logw;
  norn_datum value;
  int nchoice; const uint64_t *addr; const norn_datum *choice;
  int nstat; const char *const *stat_name; const double *stat;
} norn_drawn;
/* Called for each draw of an outermost inference; return false to stop.  NULL: none. */
void        norn_on_draw(norn_state *, bool (*f)(void *user, norn_infer *, const norn_drawn *),
                         void *user);

/* Runs a run to its end: draws samples from the state's seed, runs inferences (a heap stack of
   engines, the innermost stepped), refuses observe.  Consumes the run. */
norn_status norn_drive(norn_state *, norn_run *, norn_datum *out);

/* ---- checkpoints ------------------------------------------------------------------------------ */

/* An archive writes or reads: an engine's `archive` walks once through what it keeps between two
   steps, and the same calls serve both.  Before it reads, the engine's init has run as ever, so what
   follows from model and options alone is there already; what was there (runs, arrays, references) is
   replaced.  Writing changes nothing.  The first failure sets the state's error; from then on all
   calls do nothing and give false, so only the end need be looked at (norn_archive_status).  No Norn
   code may run in between but what norn_call seals. */
bool        norn_archive_reading(const norn_archive *);
norn_status norn_archive_status(const norn_archive *);
norn_state *norn_archive_state(norn_archive *);
/* What was read makes no sense; or this can't be saved.  Gives false. */
bool norn_archive_fail(norn_archive *, const char *format, ...) NORN_PRINTF(2, 3);
bool norn_archive_bytes(norn_archive *, void *, size_t n);
bool norn_archive_bool(norn_archive *, bool *);
bool norn_archive_int(norn_archive *, int *);
bool norn_archive_u32(norn_archive *, uint32_t *);
bool norn_archive_i64(norn_archive *, int64_t *);
bool norn_archive_u64(norn_archive *, uint64_t *);
bool norn_archive_size(norn_archive *, size_t *);
bool norn_archive_f64(norn_archive *, double *);
/* n elements of `size` bytes that hold no pointers, of an array of norn_alloc: array_pointer is the
   address of the pointer to it.  capacity: how many it has room for, in elements; NULL: n.  When
   read n is what it was (archive it before); the array is made, or made larger, where it has no
   room; without a capacity it is taken to have room for n if it is there. */
bool norn_archive_array(norn_archive *, void *array_pointer, size_t *capacity, size_t n, size_t size);
/* A text in a buffer of n bytes, 0-terminated. */
bool norn_archive_text(norn_archive *, char *buffer, size_t n);
/* A text that lives as long as the state when it is read; NULL stays NULL. */
bool norn_archive_name(norn_archive *, const char **);
bool norn_archive_span(norn_archive *, norn_span *);
bool norn_archive_rng(norn_archive *, norn_rng *);            /* all but where pairs are kept */
/* Values may share what they are made of: that stays shared. */
bool norn_archive_value(norn_archive *, norn_datum *);
bool norn_archive_ref(norn_archive *, norn_ref **);           /* NULL stays NULL */
bool norn_archive_row(norn_archive *, const norn_dist_row **);       /* by its name; likewise */
/* NULL stays NULL; two pointers to one run stay so, if the second is NULL before it is read: a run that
   is there is freed. */
bool norn_archive_run(norn_archive *, norn_run **);

/* Writes an inference, with those that it waits for, as it stands between two steps: to a file beside
   it first, so that whatever goes wrong the last good one stays. */
norn_status norn_infer_save(norn_infer *, const char *path);
/* Puts an inference that was just made, of the same program, data, engine and seed, to where the saved
   one stood; it goes on to the same bits.  On failure (a damaged or foreign file, by name) it can only
   be freed. */
norn_status norn_infer_load(norn_infer *, const char *path);

/* A program that norn_drive drives stands still between two steps of an inference that it waits for, and now and then
   at a choice of its own.  There f is called, in which the program can be saved.  Another status than NORN_OK ends
   it, with the error that f has set.  Programs that a native drives are part of the one that called it.  NULL: none. */
void        norn_on_pause(norn_state *, norn_status (*f)(void *user, norn_state *), void *user);
/* In f: writes the program as norn_infer_save does, with its globals, all that they hold and the inferences that it
   waits for.  NORN_EINCOMPLETE: it stands so that it can't be saved now; later it may. */
norn_status norn_program_save(norn_state *, const char *path);
/* *run, which norn_load just gave, becomes the saved one, for norn_drive: of the same text, globals of the host and
   seed.  It goes on to the same bits; what it printed before, it does not print again.  On failure *run is gone
   (NULL) and the state is of no more use. */
norn_status norn_program_load(norn_state *, norn_run **run, const char *path);
/* How far the inference is that it waits for, as norn_infer_progress; its engine, or NULL: it waits for none. */
const char *norn_program_progress(norn_state *, norn_progress *);

/* ---- densities: a model over R^n -------------------------------------------------------------- */

/* A model's log density as a function of unconstrained coordinates: recorded from its runs (the
   engines hmc, nuts, ... know only this), or a C function. */
typedef struct norn_density norn_density;
enum {
  NORN_DENSITY_NO_JACOBIAN = 1,    /* of constraint maps: for modes */
  NORN_DENSITY_TRACE = 4,          /* for norn_explain: remembers places in the text */
  NORN_DENSITY_ROWS = 2            /* for norn_density_rows; the density is that of the rows alone */
};
/* The error says which choice can't be differentiated over. */
norn_density *norn_density_new(norn_state *, norn_datum model, uint64_t stream, unsigned flags);
/* f gives the log density at u (n) and, if gradient is not NULL, its gradient; -inf: outside. */
norn_density *norn_density_of(norn_state *, int64_t n,
                              double (*f)(void *user, const double *u, double *gradient),
                              void *user);
void          norn_density_free(norn_density *);
/* The same density for another thread: evaluations of clones (norn_density_eval) may run at once, all
   else only while none does.  NULL: error set. */
norn_density *norn_density_clone(norn_density *);
/* A density over a block of the choices: the others are *held* at their present values, which are no
   coordinates, so its dimension is that of the block.  `kind` says at a choice which it is; `value` gives
   the present value of an address, or NONE: it does not exist now; `count` how many exist.  A held real
   number, or array of them, is an input of what is recorded; any other is a constant, and a recording is
   void when it changes.  Where runs do not make just the choices that exist the density is 0.  Discrete
   choices that are free are summed out.  What `value` gives need live only until Norn code runs.  NULL:
   error set. */
typedef enum { NORN_HOLD_FREE, NORN_HOLD_HELD } norn_hold_kind;
typedef struct {
  norn_hold_kind (*kind)(void *user, const norn_event *);
  norn_datum (*value)(void *user, uint64_t addr);
  int64_t (*count)(void *user);
  void *user;
} norn_hold;
norn_density *norn_density_block(norn_state *, norn_datum model, uint64_t stream, unsigned flags,
                                 norn_hold);
/* To be called when values have changed.  Gives the coordinates of the present ones (dim), borrowed until
   the next call; *anew: the block has other choices now, or choices of other sizes.  NULL: error set. */
const double *norn_density_present(norn_density *, bool *anew);
/* Tells the values that the coordinates' choices have at u, in their order. */
norn_status   norn_density_tell(norn_density *, const double *u,
                                norn_status (*f)(void *user, uint64_t addr, norn_datum), void *user);
int64_t       norn_density_dim(const norn_density *);
/* "theta[3]": coordinate i; of maps that change the dimension: "p[0]" for the first free one. */
const char   *norn_density_name(norn_density *, int64_t i, char *buf, size_t n);
/* Outside of the support *logp is -inf and the status NORN_OK. */
norn_status   norn_density_eval(norn_density *, const double *u, double *logp, double *gradient);
/* The same at n points, u (n, dim), logp (n), gradient (n, dim) or NULL: where that is faster (models of
   many small pieces) eight at a time in the lanes of one evaluation.  Sums may differ in the last bits
   from those of single evaluations. */
norn_status   norn_density_eval_many(norn_density *, int64_t n, const double *u, double *logp,
                                     double *gradient);
/* Where a log density of -inf at the last point came from; file 0: unknown. */
norn_span     norn_density_blame(norn_density *);
/* Draws every choice from its prior (improper ones uniform on (-2, 2) in u). */
norn_status   norn_density_prior(norn_density *, norn_rng *, double *u);
/* The coordinates at which choices have the values of a record by address ({ "theta[0]": 1 }); those
   not named keep what u has. */
norn_status   norn_density_at(norn_density *, norn_datum values, double *u);
/* What the model returns at u. */
norn_status   norn_density_value(norn_density *, const double *u, norn_datum *out);
/* Leaves the draw at u with the inference: its value, and the named choices beside it.  Discrete
   choices that the density sums out are drawn given u, with numbers of *g (NULL: there are none). */
norn_status   norn_density_draw(norn_density *, norn_infer *, const double *u, double logw,
                                norn_rng *g);
/* The choices of the model in the order of its runs.  x: numbers first .. first + nelem - 1 of
   norn_density_constrain; u: coordinates from .. from + nfree - 1.  A discrete one (summed out) has
   neither. */
typedef struct {
  uint64_t addr;
  norn_span span;
  norn_support support;
  int rank; int64_t dims[NORN_RANK_MAX];
  int64_t first, nelem, from, nfree;
  bool discrete;
} norn_density_choice;
int64_t       norn_density_choices(const norn_density *);
void          norn_density_choice_at(const norn_density *, int64_t i, norn_density_choice *);
/* The numbers of all choices at u, x (sum of nelem). */
norn_status   norn_density_constrain(norn_density *, const double *u, double *x);
/* With NORN_DENSITY_ROWS: each observation by itself (an element of a product is a row; choices that
   are summed out inside a row belong to its term), in the order of the run; where and which element
   of its observe; log densities at u, out (rows).  factor and condition are no rows. */
int64_t       norn_density_rows(const norn_density *);
norn_span     norn_density_row(const norn_density *, int64_t i, int64_t *element);
norn_status   norn_density_loglik(norn_density *, const double *u, double *out);

/* A posterior as columns: values, normalised weights (length n), log evidence. */
typedef struct {
  int64_t n;
  norn_datum values, weights, info, choices;
  double log_evidence, evidence_se;
  const char *engine;
  bool exact;
} norn_posterior;
bool norn_posterior_view(norn_state *, norn_datum, norn_posterior *);
/* The weighted draws of one field or address ("mu", "theta[3]"; "": the value itself) as
   doubles. */
norn_status norn_posterior_column(norn_state *, norn_datum posterior, const char *name,
                                  norn_datum *array);

#if defined __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
