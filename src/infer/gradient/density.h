/* density.h: the parts of a recorded density (norn.h, norn_density).

       density.c         programs by guards, evaluation, names, rows
       density_record.c  runs answered with nodes: the paths of a recording
       density_choice.c  a continuous choice as nodes: its map to R^n, its prior
       density_nested.c  enumerations inside of it: their posteriors as nodes
       density_branch.c  branches on parameters: both of their ways
       density_draw.c    values at a point, drawing what was summed out, starts
       density_hold.c    blocks: choices that are held, what makes a recording void

   Discrete choices with finitely many values are summed out.  A run that meets one is forked, one
   path a value; each path gathers the nodes of its log weight.  Paths that come to be in the same
   state meet: their weights become one, log sum exp.  A latent of a row so costs its values in that
   row, and a hidden Markov model is the forward algorithm, whatever way they are written; what stays
   apart to the end is a sum over joint values.  While one path is alone its weight goes to the target
   term by term.

   A run is answered with latent values (norn.h): until it looks at one, which it is does not make
   states differ.  So returning the latents, or keeping them in an array, keeps nothing apart: when
   paths meet that differ in a latent inside of other values, it is *forgotten*.  A run that looks at
   what was forgotten makes the recording void; the choices of that line are then told to runs at once,
   and it is made again.

   Where paths met is kept as a *lattice*, so that given a point in R^n the values of what was summed
   out can be drawn from their exact posterior, from the end backwards (forward filtering, backward
   sampling: Chib 1996, for chains):

       state 0 --pick, weight--> state 1 --pick--> ... --> an ending
                                    ^
       state 0 --pick, weight-------+ */
#ifndef NORN_INFER_DENSITY_H
#define NORN_INFER_DENSITY_H
#include "infer/engine.h"
#include "gpu/bigdata.h"
#include "graph/graph.h"

#define NOTHING UINT32_MAX
/* Beside the flags of norn.h: without priors of continuous choices and Jacobians; without observations,
   factors and conditions. */
enum { DENSITY_LIKELIHOOD = 1 << 8, DENSITY_PRIOR = 1 << 9 };
enum { KEPT = 16 };                    /* programs, of which the least recently used goes */

/* A continuous choice. */
typedef struct choice {
  uint64_t addr;
  norn_span span;
  norn_support s;
  int64_t u, nfree, x, nelem;          /* where in u and among the constrained numbers */
  int rank; int64_t dims[NORN_RANK_MAX];
  uint32_t first;                      /* nodes of its elements: index into `element` */
  bool improper, shifted;              /* shifted: by noncentered() */
} choice;

/* A discrete choice that is summed out. */
typedef struct discrete { uint64_t addr; norn_span span; uint32_t pick; } discrete;   /* the last */

/* A log weight: a node, or if that is NOTHING a number. */
typedef struct weight { uint32_t node; double number; } weight;
/* from -> a state (or the end) by a pick, or NOTHING. */
typedef struct link { uint32_t from, pick; weight w; } link_in;
/* Its links are [first, first + n); state 0 is the start and has none. */
typedef struct meeting { uint32_t first, n; } meeting;
typedef struct lattice {
  link_in *link; size_t nlink, clink;
  meeting *state; size_t nstate, cstate;
  uint32_t *latent; size_t npick, cpick;     /* of each pick */
  column value;                              /* its value */
  uint32_t widest;                           /* paths side by side */
  meeting end;                               /* links to the end */
  norn_ref **result; size_t nresult, cresult;    /* what the run returned, for each link to the end */
} lattice;

/* A row of observed data: for NORN_DENSITY_ROWS. */
typedef struct data_row { norn_span span; int64_t element; weight w; } data_row;

/* A held choice of a recording: inputs first .. first + n - 1 of its program, or (n 0) a constant of
   this hash.  answer: what runs get.  value, if it is switched: its n values, of which each has an input, the
   log weight of being held, and a place among the nodes that `answer` has then. */
typedef struct held { uint64_t addr, hash; uint32_t first, n; norn_ref *answer; int64_t *value; } held;
/* Discrete choices with few values that are held: constants, which a recording is made for, or, when they
   change so often that it would always be made anew, switched: all values are recorded, as if they were summed
   out, and those that are not held weigh nothing.  Never: that was tried in vain. */
typedef enum { SWITCH_NOT_YET, SWITCH_ON, SWITCH_NEVER } switching;

/* One recording. */
typedef struct tape {
  graph *g;
  program *p;
  uint32_t *element; size_t nelement, celement;   /* node of each constrained number */
  double *number; size_t cnumber;                  /* of those that are no node: constants */
  lattice l;
  data_row *row; size_t nrow, crow;
  uint64_t used, made;                 /* by the clock of the density: last, and recorded */
  /* Of a block: its held choices; for each input a coordinate, or NOTHING: held; inputs and their
     derivatives; the epoch in which the held ones were filled in, and whether constants are the same. */
  held *held; size_t nheld, cheld;
  uint32_t *from; size_t cfrom;
  double *in, *gradient; size_t nin;
  uint64_t epoch; bool stands;
  bool switched;                       /* it was made with SWITCH_ON */
} tape;

struct norn_density {
  norn_state *st;
  int64_t dim;
  double (*f)(void *user, const double *u, double *gradient);
  void *user;
  norn_ref *model;
  uint64_t stream, clock;
  unsigned flags;
  choice *choice; size_t nchoice, cchoice;
  discrete *latent; size_t nlatent, clatent;
  uint32_t *latent_table; size_t latent_mask;      /* latents by address: index + 1 */
  norn_span *looked; size_t nlooked, clooked;      /* choices that runs look at again later */
  bool fixed;                          /* the choices are known */
  bool pinned;                         /* tape[0] is that of the start, and stays: clones have the same */
  bool block, constants;               /* some are held; all of them as constants */
  switching switching;
  int64_t nchange; uint64_t labels;    /* how often the discrete ones that are held have changed; their hash */
  bool doubt;                          /* what is switched was outside, which what is not held may have been */
  size_t barriers;                     /* of a block: runs end with that observation; 0: with themselves */
  norn_hold hold;
  uint64_t epoch;                      /* of the held values */
  double *here; int64_t nhere;         /* coordinates of the present values, and room for them */
  int64_t ndiscrete;                   /* free choices that are summed out, as they are now */
  bool always_lanes;                   /* norn_density_eval_many: for tests */
  int tries;                           /* before that: points that had weight 0 */
  bigdata *gpu; bool told;             /* where blocks of its programs run, or NULL; told of its failure */
  tape tape[KEPT]; int ntape;
  tape *last;                          /* that of the last point; NULL: there was none */
  norn_span blame;
  enum { BRANCHES_BOTH, BRANCHES_PLAIN, BRANCHES_NONE } branches;  /* recorded both ways: all; but those that choose
                                          between truth values or whole numbers; none */
  uint64_t *guarded; size_t nguarded, cguarded;    /* branches that leave guards */
};

/* A recording in the making. */
typedef struct recording {
  norn_density *d;
  tape *t;
  const double *u;                     /* NULL: the dimension is not known yet */
  size_t nchoice;                      /* continuous choices recorded */
  bool switches;                       /* held choices with few values are switched */
  bool missing;                        /* a choice, which only what is not held would make, is not there */
  bool odd;                            /* a branch has chosen between truth values or whole numbers */
  bool forked;                         /* there were paths side by side: a choice may be met again */
  int64_t at, x;                       /* inputs and constrained numbers so far */
  norn_span span;
  uint64_t addr;
} recording;

/* ---- density_choice.c ---- */
/* What a choice is, by its event's distribution without nodes; its place in u and x is the recording's. */
norn_status choice_read(recording *, const norn_dist *concrete, choice *);
/* The shape of values: that of a draw, or for what can't be drawn that of the support. */
norn_status choice_shape(recording *, const norn_dist *, choice *);
bool        choice_same(const choice *, const choice *);
/* n values as nested arrays of the shape; NONE: no memory. */
norn_datum  choice_nested(norn_state *, const norn_datum *x, int rank, const int64_t *dims);
/* Records a continuous choice: *value has its nodes.  Its Jacobian is a term; its prior is not yet.
   *choice NULL, of a block: it is not the choice that it should be. */
norn_status choice_record(recording *, const norn_event *, norn_datum *value, choice **);
/* Could these two events, of paths that differ in discrete choices, have the same nodes: the same
   support with the same bounds.  before: of the path that came first. */
bool        choice_like(norn_state *, const choice *, const norn_event *);
/* Of a number between bounds of which each may be infinite. */
norn_support_kind density_kind_between(double lower, double upper);
norn_status density_refuse(recording *, const char *what, const char *hint);

/* ---- density.c ---- */
/* Blocks of its programs, and of those recorded later, run on a GPU; takes it.  How many; 0: none, and why;
   -1: error set. */
int         density_gpu(norn_density *, bigdata *, char *why, size_t size);
/* Warns once if the GPU has failed and the CPU has gone on. */
void        density_gpu_look(norn_density *);
/* POINTS points, each with the same bits whatever points this density, or a clone of it, was asked for
   before. */
norn_status density_eval_block(norn_density *, const double *u, double *logp, double *gradient);
/* The first choice whose prior has no normaliser; NULL: there is none. */
const choice *density_improper(const norn_density *);

/* ---- density_record.c ---- */
/* Records at u (NULL: at zeros or, at further tries, somewhere, to learn the choices).  *out NULL:
   the point is outside. */
norn_status density_record(norn_density *, const double *u, tape **out);
void        tape_free(norn_density *, tape *);

/* ---- density_hold.c ---- */
/* Notes what the graph's next input is. */
bool        hold_input(recording *, uint32_t coordinate);
/* The held choice of this event: it has an answer.  NULL: it does not exist now, or the error is set. */
held       *hold_meet(recording *, const norn_event *);
/* program_eval, with inputs of coordinates and held values; GUARD too where the recording is void. */
eval_status hold_eval(norn_density *, tape *, const double *u, double *logp, double *gradient,
                      size_t *where);
/* norn_density_block of a program up to an observation (1: the first), factors and conditions among them. */
norn_density *density_block_part(norn_state *, norn_datum model, uint64_t stream, unsigned flags, norn_hold,
                                 size_t barriers);
bool        hold_ready(norn_density *, tape *);          /* room for inputs; false: no memory */
/* Is this held choice to be switched; and as such, with n values: NULL: error set. */
bool        hold_switches(recording *, const norn_event *);
held       *hold_switch(recording *, uint64_t addr, const int64_t *value, uint32_t n);
enum { SWITCHED = 8 };                                   /* values at most */
bool        hold_complete(const recording *);            /* the run has made the choices that exist */
void        hold_free(norn_state *, tape *);

/* ---- density_nested.c ---- */
/* The posterior of a nested inference that a recorded run waits for: the log probabilities of its values
   may be nodes. */
norn_status density_nested(recording *, const norn_event *, norn_datum *out);
/* Answers such a run when it is run again with numbers. */
norn_status density_nested_again(norn_state *, norn_run *, const norn_event *);

/* ---- density_draw.c ---- */
/* A value of a choice as its free coordinates, in u + c->u; false: it is not inside. */
bool        choice_unconstrain(const choice *, norn_state *, const norn_dist *, norn_datum x, double *u);
/* A value of a continuous choice, uniform on (-2, 2) in its coordinates: for starts. */
norn_status density_somewhere(norn_state *, const norn_event *, norn_rng *, norn_datum *);
/* The value of a choice at the last point, packed. */
norn_datum  choice_value(norn_density *, const choice *);
#endif
