/* net_train.h: what the parts of training share (net_spec.c, net_train.c, net_train_engine.c). */
#ifndef NORN_INFER_NET_TRAIN_H
#define NORN_INFER_NET_TRAIN_H
#include "infer/device.h"
#include "infer/net/net.h"
#include "base/pool.h"

/* pfn, npe, distribution_transformer: rows of engines by net_kind. */
extern const norn_engine net_constructors[NET_KINDS];
bool net_spec_is(norn_datum);
/* What such a value says, checked; steps is the default.  false: error set. */
bool net_spec_read(norn_state *, norn_datum, net_spec *out);
/* What such a value says otherwise than the net that learns in a file: "d is 16 there and 32 here; ...", behind what
   is in out; all: also by what it does not say.  false: error set. */
bool net_spec_differs(norn_state *, const net *there, norn_datum spec, bool all, char *out, size_t n);
/* _train: what train() in stdlib/prelude.norn infers with; its answer is a net. */
extern const norn_engine engine_train;
/* As a record: what info(net) gives.  NONE: error set. */
norn_datum net_info(norn_state *, const net *);
/* "ESS 93 %", "KL 0.01" or "gain 0.4" (nats over the answer that looks at no data), what is known of these; else "". */
void net_score_text(double efficiency, double kl, double gain, char *out, size_t n);
/* done, total and state of a progress as hosts see it. */
void net_progress_text(const net_progress *, norn_progress *out);

/* ---- a training from inside (net_train.c, net_resume.c) ---- */

enum { PARTS = 8 };
#define HELD_FIRST ((uint64_t)1 << 40)   /* numbers of held-out runs */
/* Sequences that are worked on by one thread. */
typedef struct part {
  nn_tokens tk;
  size_t crow, ccoef, corder, csee, cat, chead, ctarget;
  float *g;
  double loss;
} part;

struct net_training {
  norn_state *st;
  net_source *source;
  norn_ref *inputs, *what;
  net *n;                                /* what learns */
  nn_adam adam;
  uint64_t stream;
  double limit;                          /* seconds; 0: by steps */
  double before, begun;                  /* seconds of earlier sittings; when this one began */
  int64_t batch;                         /* runs of the next step */
  uint64_t next, sat;                    /* the number of its first, and of the first of this sitting */
  double loss, weight;                   /* the mean that is shown, and what of it is there */
  double looked; int64_t looked_step;    /* the fraction, the step, at the last look */
  int64_t skipped; int row;              /* steps that were skipped; of them just now */
  int64_t bad_step, bad_n; uint64_t bad_first;
  bool done, failed;
  float *mean, *own; int64_t looks;      /* of a budget: the mean of weights over looks; those that learn, while others stand
                                            in for them */
  float *good; int64_t good_step; double good_loss;   /* weights at the last look that was good, or at the best */
  net_runs runs, held, all;              /* all: of a budget */
  uint64_t mine;                         /* of a budget: how many are trained on; 0: no budget */
  net_room *room, *held_room;
  nn_tokens tk, held_tk;
  uint32_t *order; size_t corder;        /* of a budget's runs in this round */
  int64_t round, stale;                  /* the round; looks since the best */
  part part[PARTS]; int parts;
  nn_room *desk[PARTS]; int desks;       /* where parts are worked on: one for each thread */
  atomic_uint taken;                     /* bit r: somebody works at desk r */
  int16_t *of; int32_t *length, *place; size_t cof, clength, cplace;   /* of each sequence */
  bool ahead, ahead_failed;              /* tk has the next batch already; it can't be drawn: error set */
  bool learn;                            /* of the pass that goes on */
  float scale;
  pool pool; pthread_t thread[PARTS]; bool pooled;
  double efficiency, kl;                 /* of late, on held-out data (net_score.c); NAN: not known */
  double score_seconds, score_last;      /* that scoring took, and the last time */
  norn_ref *scored, *exact; bool alone;  /* the net as it was then; who is exact of a pfn, with one hidden at a time */
  bool unscored;                         /* it can't be */
  struct nn_gpu *there; bool moved;      /* it learns on a GPU; weights there are newer than those here */
};

/* One without a net: its source and clock.  NULL: error set. */
net_training *training_new(norn_state *, norn_datum what, norn_datum inputs, double seconds, uint64_t seed);
/* Room and what does not change while it goes on; t->n is there.  false: error set. */
bool          training_ready(net_training *);
/* The optimiser by the spec and the limit; its step stays. */
void          training_schedule(net_training *);
/* The net as it is now, as one of its own.  NULL: error set. */
net          *training_copy(net_training *);

/* ---- how good it is (net_score.c) ---- */

/* The mean of -log q on held-out runs of the best answer that looks at no data. */
double        training_marginal(net_training *);
/* Efficiency and KL on held-out data: of the net that learns, if it is time; of the end.  false: error set. */
bool          training_score_now(net_training *);
bool          training_score_end(net_training *);

/* ---- on a GPU (net_device.c) ---- */

struct gpu;
/* The net learns there from now on.  false: error set. */
bool          training_device(net_training *, struct gpu *, bool bf16);
/* Where it learns: an error only where DEVICE_GPU can't be had. */
norn_status   training_place(net_training *, device_kind, bool bf16);
/* The sum of -log q; learn: its gradient stays there. */
bool          training_there(net_training *, const nn_tokens *, bool learn, double *sum);
/* Weights and moments from there, if they are newer; weights to there. */
bool          training_home(net_training *);
bool          training_away(net_training *);
double        training_seconds(const net_training *);      /* so far, of all sittings */
#endif
