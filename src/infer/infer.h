/* infer.h: an inference in progress (infer.c makes and reads it, drive.c steps it), and what the
   shelf keeps with a state. */
#ifndef NORN_INFER_INFER_H
#define NORN_INFER_INFER_H
#include "infer/engine.h"

typedef struct infer_warning { norn_span span; uint64_t key; char text[240]; } infer_warning;
typedef struct infer_note { const char *key; norn_ref *value; } infer_note;
/* first: of chains that were taken over, the first that has made it, and its place there */
typedef struct infer_choice { uint64_t addr, first; column c; } infer_choice;
typedef struct infer_stat { const char *name; double *x; size_t n, cap; } infer_stat;

struct norn_infer {
  norn_state *st;
  const norn_engine *engine;
  void *self;
  norn_ref *model, *options;        /* options: the engine value, or a unit (the printed rule) */
  norn_ref *named;                  /* the engine value before it became another; NULL: it did not */
  uint64_t stream, stream0;         /* stream0: as it was made */
  uint64_t stamps;                  /* traces made (trace.h) */
  bool begun, done, failed, finished, told;
  bool spoilt;                      /* its end went wrong: there is no result */
  bool by_rule;                     /* no engine was named: the printed rule chose it */
  char why[80];                     /* and why */
  const char *with;                 /* the options that it chose, as text; NULL: none */
  norn_infer *outer, *inner;        /* whom the result is for; what it waits for */
  /* of a chain (branches.h): whose it is, which it is; a run of it must go on in the caller's thread */
  norn_infer *trunk;
  int branch;
  bool away, rests;                 /* or, rests: in a later round */
  bool mixed;                       /* draws of several chains were taken over: columns are put in order */
  norn_infer *top;                  /* of the outermost: the innermost */
  norn_run *waiting;                /* the run that gets inner's posterior */
  double start;                     /* seconds */
  column values;                    /* the draws */
  double *logw; size_t nlogw, clogw;
  infer_choice *choice; size_t nchoice, cchoice;
  /* choices of the draw that comes next */
  uint64_t *coming_addr; size_t ccoming; column coming;
  uint32_t *slot; size_t nslot;     /* address -> choice + 1 */
  size_t guess, cells;              /* where the next address probably is; cells stored */
  bool no_choices;
  /* numbers about the draws, and about the one that comes next (stats.c) */
  infer_stat *stat; size_t nstat, cstat;
  double *coming_stat; const char **coming_name; size_t ncoming_stat, cstat_value, cstat_name;
  int chain, nchain;                /* of the draw that comes next; how many there are so far */
  bool chained;                     /* the engine names chains: draws of others are from none */
  uint32_t *of; size_t cof;         /* the chain of each draw; NULL: all of chain 0 */
  norn_ref *marginals;              /* enumerate: a record of posteriors by address */
  bool improper;                 /* a run drew from what has no normaliser */
  double log_evidence, evidence_se;
  int chains; int64_t per_chain;    /* of mh; 0 otherwise */
  double left_over;                 /* enumerate: mass not explored */
  /* enumerate: the values are distinct, and these are their posterior_hash */
  const uint64_t *distinct;
  infer_note *note; size_t nnote, cnote;
  infer_warning *warning; size_t nwarning, cwarning;
  blame dead;
  /* ready.c: does the program meet rows that get ready for many at once, where first, and which */
  struct { bool known, met; norn_span where; const char *name; } ready;
  norn_ref *resume;                 /* more(): the posterior that goes on */
  norn_ref *answer;                 /* the result, where nothing had to be done */
  uint64_t print[3]; bool printed;  /* fingerprints of program, data and engine (checkpoint.c) */
};

typedef struct exact_entry { uint64_t hash; norn_ref *model, *engine, *posterior; } exact_entry;
/* The program that norn_drive drives for the host: its run, and the inference that it waits for, asked for there. */
typedef struct infer_program {
  norn_run *run;
  norn_infer *waits;
  norn_span span;
  uint64_t print[2], stream;        /* as it was loaded; known: they have been taken */
  bool known;
} infer_program;
/* Slot 0 of a state. */
typedef struct infer_slot {
  bool (*progress)(void *, const char *, const norn_progress *);
  void *user;
  bool (*drawn)(void *, norn_infer *, const norn_drawn *);
  void *drawn_user;
  char kept[4000];                  /* where the listener of keep_draws writes: of a checkpoint, which opens it again */
  double last;                      /* report */
  uint32_t count;                   /* inferences begun from C */
  norn_status (*pause)(void *, norn_state *);
  void *pause_user;
  int driving;                      /* calls of norn_drive that go on */
  infer_program program;
  exact_entry *exact; size_t nexact, cexact;   /* open addressing by hash */
  int64_t values;                   /* in all of exact */
} infer_slot;
infer_slot *infer_slot_of(norn_state *);      /* NULL: no memory */

double      infer_seconds(void);              /* of a monotonic clock */
norn_infer *infer_make(norn_state *, norn_datum model, norn_datum engine, uint64_t stream);
/* Puts another engine (its value; a unit: the printed rule) in the place of the one that chose it. */
norn_status infer_become(norn_infer *, norn_datum engine);
/* Chains of equal length, draws in order of chain; shown and diagnosed by chain. */
void        infer_chains(norn_infer *, int chains, int64_t per_chain);
/* The choices at an address, a column that is made at first sight; NULL: no memory. */
infer_choice *infer_choice_column(norn_infer *, uint64_t addr);
/* So many draws will come, each with that many choices: if those would be too many to be kept beside the
   draws, and nobody listens (norn_on_draw), none is kept from the start. */
void        infer_expect(norn_infer *, double draws, size_t choices);
/* Choices named since the last draw belong to a run that died. */
void        infer_forget_choices(norn_infer *);
/* Takes the run of one draw to its next event that is neither a choice nor a nested inference (ev->kind).  Choices are
   drawn from their priors, or from `via` where `proposals`, which then weighs the run, and kept by address.  MORE: it
   is there; else what the engine's step gives. */
norn_step   infer_next(norn_infer *, norn_run *, bool proposals, norn_event *ev);
/* ---- of the draw that is about to be added (stats.c) ---- */
norn_status infer_stats_add(norn_infer *);
norn_status infer_chain_add(norn_infer *);
/* n draws that are numbers of that kind (norn_lanes_numbers), those of log weight -infinity left out; *done:
   false: they must be given one by one (norn_infer_draw). */
norn_status infer_draw_numbers(norn_infer *, uint64_t tag, const void *number, const double *logw,
                               size_t n, bool *done);
/* Shows it to norn_on_draw's listener. */
norn_status infer_tell(norn_infer *, norn_datum value, double logw);
/* The first n draws once more, to a listener that came late (or again, after a checkpoint).  false: f has said so, or
   an error is set. */
bool        infer_tell_again(norn_infer *, size_t n, bool (*f)(void *user, norn_infer *, const norn_drawn *), void *user);
/* *order: the places of the draws, chain by chain; NULL: as they are.  false: error set. */
bool        infer_order(norn_infer *, uint32_t **order);
norn_datum  infer_column(norn_state *, const column *, const uint32_t *order);
norn_datum  infer_stats(norn_infer *, const uint32_t *order);       /* a record of arrays */
/* Draws of each chain so far, where they differ; NONE: they do not. */
norn_datum  infer_lengths(norn_infer *);
void        infer_stats_free(norn_infer *);

/* A chain of an inference, with that state and so many bytes of its own in self; what it leaves goes to
   the trunk at once, where that has the same state, else by infer_take, which empties it.  NULL: error set
   in st. */
norn_infer *infer_branch(norn_infer *trunk, norn_state *st, int chain, size_t size);
norn_status infer_take(norn_infer *trunk, norn_infer *branch);
void        infer_branch_free(norn_infer *);     /* self is gone */
/* Who keeps what an engine says of a draw. */
static inline norn_infer *infer_keeper(norn_infer *inf)
{
  return NORN_UNLIKELY(inf->trunk != NULL) && inf->trunk->st == inf->st ? inf->trunk : inf;
}
void        infer_left_over(norn_infer *, double mass);
norn_status infer_marginals(norn_infer *, norn_datum record);
norn_datum  infer_resumed(norn_infer *);      /* the posterior that more() continues; NONE */
/* The stream of an engine's chains, and of those that more() continues that of the first run, the
   transitions before, and no warm-up. */
norn_status infer_resume_chains(norn_infer *, uint64_t *stream, int64_t *before, int64_t *warmup);
norn_status infer_resume_lost(norn_state *);  /* the error of a posterior that does not say it */
/* A note that more() needs: it must be there. */
norn_status infer_note_must(norn_infer *, const char *key, norn_datum value);
norn_datum  infer_reals(norn_state *, int rank, const int64_t *dims, double **data);   /* NONE: no memory */
/* Warns when a real quantity of the draws has few distinct values and they stem from few particles
   (collapse.c). */
norn_status infer_collapse(norn_infer *, size_t eves);
/* The warnings of a nested inference become the outer one's; head stands before them. */
void        infer_inherit(norn_infer *outer, const norn_infer *inner, const char *head);
/* `outer` waits for another: the step to return. */
norn_step   infer_nest(norn_infer *outer, norn_datum model, norn_datum engine, uint64_t stream);
/* The posterior of a nested model by an exact engine, at once and silently, or that of equal model and engine
   from before. */
norn_status infer_exact(norn_state *, norn_datum model, norn_datum engine, norn_span, norn_datum *out);
extern const norn_engine engine_auto, engine_more, engine_many;
/* Of an array of models (many.c): the one that it waited for has this posterior (false: error set), or failed. */
bool        many_take(norn_infer *, norn_infer *inner, norn_datum posterior);
void        many_failed(norn_infer *);
/* What norn_explain says of the array before its first.  false: error set. */
bool        many_explain(norn_state *, const norn_ref *models, text *);
/* checkpoint.c: what is known of a program that was just loaded: false: error set. */
bool        infer_program_begin(infer_slot *, norn_run *);
/* Steps an inference to its end, reporting progress; consumes it.  NONE: error set. */
norn_datum  infer_run_to_end(norn_infer *);
#endif
