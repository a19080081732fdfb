/* net.h: nets that learn a program's posterior from the program itself, and are then asked for it.

   The program is the prior: a run whose observations are simulated gives latents and data that belong together
   (net_runs).  What comes from such runs is laid out as tokens (nn/tokens.h) by a schema, which was learned from
   the first thousand of them.  Three kinds of net differ only in who is asked for what:

       kind                        context                                    questions
       npe                         observed sites                             latents, in the order of the run,
                                                                              each given the ones before it
       distribution_transformer    the same; heads are mixtures               the same
       pfn                         a random part of the observed sites        the other observed sites, each alone

   A *site* is a pattern of addresses: theta[] stands for theta[0], theta[1] ...; its indices are features of the
   token.  Of a choice with several coordinates (a vector; a simplex by its free coordinates: coords.h) each
   coordinate is asked for in turn.  The question for a latent carries the arguments of its prior, so a prior may
   change at run time: it is an input.  (Not so those of observations, which depend on latents.)  Arguments of
   the model that are named in `inputs` are inputs too: numbers are tokens of the context of their own, arrays
   as long as an observed site has elements are features of those.

   With `subsets` > 0 that share of training's runs has a random part of the observations hidden (they become
   questions in their place) and of the latents shown, so that missing data and given() are in what was learned.

   Files: net_schema.c (sites), net_learn.c (found out from runs), net_event.c (numbers of choices), net_source.c
   (simulated runs), net_tokens.c (their layout), net_train.c, net_file.c, net_propose.c (asking), net_answer.c (answers as
   distributions), amortized.c (the engine). */
#ifndef NORN_INFER_NET_H
#define NORN_INFER_NET_H
#include "infer/engine.h"
#include "nn/model.h"
#include "nn/optimise.h"

typedef enum { NET_PFN, NET_NPE, NET_DISTRIBUTION, NET_KINDS } net_kind;
extern const char *const net_kind_names[NET_KINDS];      /* "pfn", "npe", "distribution_transformer" */

/* What the value of a site is to a net. */
typedef enum {
  NET_REAL,        /* coordinates in R^n */
  NET_BOOL,
  NET_CATEGORY,    /* 0 .. categories - 1 by the order of enumerate */
  NET_COUNT        /* a whole number >= 0 */
} net_value;

enum { NET_ARGS = 8, NET_INDICES = 3, NET_WIDE = 64, NET_HOT = 32, NET_COVARIATES = 32 };
/* The name is the address with [] for each list of indices in it; repeated parts (recursion: rest.rest.rest.x) are
   one, and how many there were is one more index.  An observation that is not the first of its function has its
   number there behind it, "y[]~1"; values of another kind than those of the first of that name have it behind a
   colon, "x:bool". */
typedef struct net_site {
  char name[96];               /* the pattern: "theta[].z" */
  bool latent, observed;       /* it was met as the one, as the other */
  bool split;                  /* coordinates are alike: they share mean, sd and head, their number is an index, and
                                  in a context each is a token of its own */
  bool plain;                  /* coordinates are the numbers themselves, whatever the support */
  net_value value;
  int coords;                  /* most coordinates of a value that were met (1 of discrete numbers) */
  int categories;
  int nargs;                   /* numbers of the distribution's arguments that are features, at most NET_ARGS */
  int ncovariates;             /* of `inputs`, features of its elements */
  uint32_t inputs;             /* bit i: these are of input i */
  int hot;                     /* indices below it have rows of their own, too */
  double *mean, *sd;           /* (coords; split: 1) of coordinates; of asinh of counts */
  double arg_mean[NET_ARGS], arg_sd[NET_ARGS];     /* of arguments, after asinh; sd 0: it never changes */
  double index_scale[NET_INDICES];                 /* 0: it is no feature */
  int row;                     /* its first row of the table (net_schema.c says the layout) */
  int head;                    /* its first head: one for each coordinate (split: one); -1: never asked for */
} net_site;

typedef struct net_input {     /* an argument of the model that the net sees */
  char name[64];
  bool array;                  /* a feature of elements; else a token */
  int width;                   /* numbers of an element */
  double mean, sd;
  int row;
} net_input;

typedef struct net_schema {
  net_site *site; int nsite, csite;
  net_input *input; int ninput;
  nn_head *head; int nhead;
  int rows;                    /* of the table */
  int longest, context;        /* most tokens of a sequence, of its context, that training has seen */
  int wide;                    /* j: most rows a token */
  int hot;                     /* most of sites' */
  struct net_places *places;   /* what was found for each address so far (net_schema_open) */
} net_schema;

/* ---- simulated runs ---- */

/* One choice or observation of a run: where, what, and what its distribution's arguments were. */
typedef struct net_event {
  uint64_t addr;
  int32_t site;                /* -1: a site that the schema does not have */
  int32_t index[NET_INDICES];
  bool observed;               /* else it is asked for: a choice, or an observation that is missing */
  uint16_t nx, nargs;          /* numbers: coordinates, or categories and counts; arguments */
  uint32_t x, arg;             /* where in `number` they begin */
} net_event;
typedef struct net_runs {
  int n;
  size_t *start;               /* (n + 1) in event */
  net_event *event; size_t nevent, cevent;
  double *number; size_t nnumber, cnumber;
  uint32_t *input;             /* (n, inputs, 2) where in `number` an input of a run begins, and its length */
  size_t cstart, cinput;
} net_runs;
void net_runs_free(norn_state *, net_runs *);
/* Appends m runs of `from`, from `first` on, to `to`.  false: error set. */
bool net_runs_add(norn_state *, const net_schema *, net_runs *to, const net_runs *from, int first, int m);

/* Where simulated runs come from. */
typedef struct net_source net_source;
/* what: a model value; or a function or model without parameters that gives one (so that data sizes, priors and
   inputs vary: its choices are neither latents nor data).  inputs: an array of names, or missing.  Refused, at
   their line: factor and condition, observed expressions that are read elsewhere, nested inference, choices that
   have no coordinates.  NULL: error set. */
net_source *net_source_new(norn_state *, norn_datum what, norn_datum inputs, uint64_t stream);
void        net_source_free(net_source *);
/* Runs first .. first + n - 1 into *out (emptied before); a pure function of the stream and their numbers,
   whatever was asked before.  In lanes where the program allows.  false: error set. */
bool        net_source_runs(net_source *, const net_schema *, uint64_t first, int n, net_runs *out);
/* The model of run i (what is a model value: that).  It is valid until Norn code runs.  NONE: error set. */
norn_datum  net_source_model(net_source *, uint64_t i);
/* The numbers of a model value's inputs, in *out (emptied before) as those of a run 0 without events. */
bool        net_inputs_of(const net_schema *, norn_state *, norn_datum model, net_runs *out);
/* A hash of the program (its code, and that of what it calls): the same for other data. */
uint64_t    net_program(norn_state *, norn_datum what);

/* ---- the schema, and tokens ---- */

typedef struct net_spec {      /* what a constructor pfn(...), npe(...), distribution_transformer(...) says */
  net_kind kind;
  nn_shape shape;              /* by size = "small", "medium", "large", or d, layers, heads, ff */
  int bars, components;
  const char *head;            /* of real coordinates: "bars", "mixture", or "auto" (a pfn's), which is bars */
  double subsets;
  int batch, most_batch;       /* sequences a step; with adapt: at most */
  bool adapt;                  /* AdAdaGrad */
  int64_t steps;               /* 0: by seconds */
  int64_t simulations;         /* so many simulated runs, used again and again; 0: each is used once */
  int patience;                /* with these: rounds without a better held-out score before it ends */
  double rate, decay, clip, warm;
  norn_datum inputs;           /* kept by who holds the spec */
} net_spec;

/* From runs 2^41 .. 2^41 + n - 1 of the source (training takes those below 2^40): sites, sizes,
   means and spreads, heads with their borders.  false: error set. */
bool net_schema_learn(norn_state *, net_schema *, net_source *, const net_spec *, int n);
void net_schema_free(norn_state *, net_schema *);
/* Of one whose fields were set by hand (read from a file): memory for what is found about addresses.  false: error
   set.  Schemas that were learned or copied have it. */
bool net_schema_open(norn_state *, net_schema *);
/* false: error set, and nothing is left in `to`. */
bool net_schema_copy(norn_state *, net_schema *to, const net_schema *from);
/* Tokens of runs as training sees them: who is context and who is asked, by numbers of *g and the run's number.
   Arrays of *out belong to *room and live until the next call.  false: error set. */
typedef struct net_room net_room;
net_room *net_room_new(norn_state *);
void      net_room_free(net_room *);
bool      net_batch(const net_schema *, const net_spec *, const net_runs *, uint64_t first, uint64_t stream,
                    net_room *, nn_tokens *out);

/* One token at a time: fills row[0 .. wide-1] and coef.  For coordinate c of an event e (numbers at `number`);
   covariates: (ncovariates of the site) or NULL. */
void net_token_value(const net_schema *, const net_event *, const double *number, int c, const double *covariates,
                     int32_t *row, float *coef);
void net_token_question(const net_schema *, const net_event *, const double *number, int c, const double *covariates,
                        int32_t *row, float *coef);
void net_token_input(const net_schema *, int input, double x, int32_t *row, float *coef);
/* The covariates of coordinate c of an event of run k, in out (NET_COVARIATES); NULL: it has none. */
const double *net_covariates(const net_schema *, const net_runs *, int k, const net_event *, int c, double *out);
/* How many tokens the context of a shown value takes: 1, or of `split` sites its coordinates. */
int  net_context_tokens(const net_schema *, const net_event *);
/* The head of coordinate c, and between its scale and the coordinate's: target = (x - mean) / sd of reals. */
int    net_head_of(const net_schema *, const net_event *, int c);
double net_target(const net_schema *, const net_event *, int c, double x);
double net_from_target(const net_schema *, const net_event *, int c, double target, double *log_slope);

/* An event of a run as a net_event: its site, coordinates of the value, arguments; numbers are appended to runs.
   log |du/dx| of the coordinates is added to *log_slope if not NULL.  false: error set, or (no error) the value is
   outside of what the site may be. */
bool       net_event_of(const net_schema *, norn_state *, const norn_event *, norn_datum value, bool observed,
                        net_runs *, net_event *, double *log_slope);
/* The value of d at coordinates u. */
norn_datum net_value_of(const net_schema *, norn_state *, const norn_event *, const net_event *, const double *u,
                        double *log_slope);

/* ---- the net ---- */

typedef struct net {
  norn_state *st;
  net_spec spec;               /* inputs: NONE, see schema */
  net_schema schema;
  nn_params params;
  nn_model *model;
  uint64_t program, seed;
  char model_name[96];
  int64_t step; double runs;   /* steps; simulated runs in all */
  double loss, held_out;       /* mean -log q a question: the last of training, on runs that it has not seen */
  double marginal;             /* what held_out would be of the best answer that looks at no data */
  double efficiency, kl;       /* on held-out data: of importance draws; KL(exact || net) a data set (a pfn: an answer) in
                                  nats; NAN: not known */
  double seconds;
  norn_ref *what;              /* what it was trained on; NULL: it comes from a file */
} net;
/* An unlearned one, with first weights; takes the schema.  NULL: error set. */
net       *net_new(norn_state *, const net_spec *, net_schema *take, uint64_t seed, bool learn);
void       net_free(net *);
/* As a value (a handle; it does not change any more); NONE: no memory, and the net is still the caller's.  And back:
   NULL: it is none, no error. */
norn_datum net_datum(norn_state *, net *take);
net       *net_view(norn_datum);
/* The name of a model value, a model or a function, for messages: up to its arguments. */
void       net_model_name(norn_state *, norn_datum, char *name, size_t n);

/* ---- training ---- */

typedef struct net_training net_training;
/* spec's inputs is kept.  seconds 0: by spec's steps.  NULL: error set. */
net_training *net_training_new(norn_state *, norn_datum what, const net_spec *, double seconds, uint64_t seed);
/* A bounded piece of work. */
norn_step     net_training_step(net_training *);
typedef struct net_progress {
  int64_t step; double fraction;           /* of the whole */
  double loss, held_out, marginal, efficiency, kl, rate, runs_per_second;
  int64_t batch, skipped;
} net_progress;
void          net_training_progress(const net_training *, net_progress *);
/* What has been learned so far, as a net of its own.  NULL: error set. */
net          *net_training_result(net_training *);
void          net_training_free(net_training *);
/* All that is needed to go on to the same bits (the net, moments, schedule), in one safetensors file. */
norn_status   net_training_save(net_training *, const char *path);
net_training *net_training_load(norn_state *, norn_datum what, const char *path);
/* Is what was loaded (from path) what is asked for?  An error says all that differs: the spec (NONE: not compared; all:
   also what it does not say), the length (none of both: not compared) and the seed (NULL: not compared). */
norn_status   net_training_agrees(const net_training *, const char *path, norn_datum spec, bool all, double seconds,
                                  int64_t steps, const uint64_t *seed);

/* ---- files ---- */

norn_status   net_save(norn_state *, const net *, const char *path);
net          *net_load(norn_state *, const char *path);
/* program 0: not compared; else a net of another program is refused by its name. */
norn_status   net_must_be_of(norn_state *, const net *, uint64_t program, norn_datum model);

/* ---- asking: net_propose.c ---- */

/* What a net says of the choices of n runs of one model value that go on side by side.  The context comes from a
   first run of the prior, which shows what is observed (a function of the data alone, so that any answer is a
   proposal). */
typedef struct net_asked net_asked;
net_asked *net_asked_new(norn_state *, const net *, norn_datum model, int n, uint64_t stream);
void       net_asked_free(net_asked *);
/* n runs (who[k]: which of the n) stand at choices ev[k].  Where draw[k], the value is drawn into
   value[k] by the numbers of the event (norn_run_rng); else value[k] is what was chosen.  logq[k]:
   log density of it under the net (in f64, of the value, not its coordinates), and logp[k] under
   the prior.  Choices that the net does not know are drawn from, and scored by, the prior.  false:
   error set. */
bool       net_asked_next(net_asked *, int n, const int32_t *who, norn_run *const *, const norn_event *ev,
                          const bool *draw, norn_datum *value, double *logq, double *logp);
/* Run to[k] is a copy of from[k] from now on. */
bool       net_asked_copy(net_asked *, const uint32_t *to, const uint32_t *from, size_t n);
/* All begin anew. */
void       net_asked_restart(net_asked *);
/* Of a checkpoint: what runs have been asked so far, into one that was made alike. */
bool       net_asked_archive(norn_archive *, net_asked *);
/* Why the net can say nothing of these data (more of them than in training, or others), so that all proposals are
   the prior's; NULL: it can. */
const char *net_asked_refusal(const net_asked *);
/* What the first run met: missing observations; other choices. */
int        net_asked_missing(const net_asked *);
int        net_asked_choices(const net_asked *);
#endif
