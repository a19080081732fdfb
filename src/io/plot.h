/* plot.h: the pictures of Bayesian work: densities, traces, ranks, pairs, forests, predictive
   checks, autocorrelations, effective sample sizes.

   A picture is a kind and columns: a column is the draws of one number, chain after chain, with
   what is known of them.  It knows nothing of posteriors: src/lib/lib_plot.c takes them apart.  What is
   not finite is left out and told in the picture. */
#ifndef NORN_PLOT_H
#define NORN_PLOT_H
#include "io/canvas.h"

typedef enum { PLOT_REAL, PLOT_INTEGER, PLOT_BOOLEAN, PLOT_LABEL } plot_type;
typedef struct plot_column {
  const char *name;
  plot_type type;
  int64_t n;
  const double *x;             /* (n); of labels their numbers */
  const double *w;             /* (n) weights of sum 1; NULL: equal */
  const uint8_t *divergent;    /* (n); NULL: not known */
  int chains;                  /* of n / chains draws each; 0: the draws are independent */
  double rhat, ess;            /* NaN: not known */
  const char *const *label;    /* (nlabel) */
  int nlabel;
} plot_column;

/* Kind: name, what it shows, most columns, and whether it needs draws from chains. */
#define PLOT_KINDS(F)                                                                             \
  F(density, "densities, of all draws and of each chain", 24, false)                              \
  F(trace, "densities beside the draws in their order, chain by chain", 15, false)                \
  F(rank, "histograms of the ranks of each chain's draws, uniform if the chains agree", 10, true) \
  F(pairs, "scatter plots of each two, densities on the diagonal", 8, false)                      \
  F(forest, "medians with intervals of 50 % and 90 %", 60, false)                                 \
  F(ppc, "what was observed over what the model predicts", 1, false)                              \
  F(autocorrelation, "autocorrelations of each chain", 15, true)                                  \
  F(ess, "effective sample size as draws or observations come in", 8, true)                                      \
  F(histogram, "shares of values or bins", 24, false)                                             \
  F(sbc, "ranks of simulation-based calibration, with their band", 12, false)
#define PLOT_ENUM(name, doc, most, chains) PLOT_##name,
typedef enum { PLOT_KINDS(PLOT_ENUM) PLOT_KIND_COUNT } plot_kind;
typedef struct plot_kind_row { const char *name, *doc; int most; bool chains; } plot_kind_row;
extern const plot_kind_row plot_kinds[PLOT_KIND_COUNT];

enum { PLOT_STEPS = 20, PLOT_BAND = 200 };   /* of a curve of effective sample sizes; of a band */
typedef struct plot {
  mem *m;
  plot_kind kind;
  plot_column *column;
  int ncolumn;
  const char *title, *note;    /* may be NULL */
  double width, height;        /* 0: what suits */
  /* ppc: the observed numbers (nobserved) and replicates of them (nreplicate, nobserved). */
  const double *observed, *replicate;
  int64_t nobserved, nreplicate;
  /* ess: of column i after (k + 1) / PLOT_STEPS of the draws, in bulk and in the tails:
     ess[(2 * i + tail) * PLOT_STEPS + k]. */
  const double *ess;
  /* ess of particles: at ncourse barriers (course) their ESS and the log evidence so far. */
  const double *course, *course_ess, *course_evidence;
  int64_t ncourse;
  /* sbc, whose columns are ranks in (0, 1): bounds of their distribution function minus that of the
     uniform at i / (nband + 1), i = 1 .. nband. */
  double band_lo[PLOT_BAND], band_hi[PLOT_BAND];
  int nband;
  /* Of the parts below. */
  canvas *c;
  double left, top, right, bottom;
  bool failed;                 /* out of memory */
} plot;

/* Fills width and height where they are 0; false: one that is given is less than *width or *height,
   which are needed. */
bool plot_size(plot *, double *width, double *height);
/* Draws it on an open canvas of that size; false: no memory. */
bool plot_draw(plot *, canvas *);
/* As text of about `columns` columns: density, trace, histogram, forest; false: this kind has no
   text. */
bool plot_has_text(plot_kind);
bool plot_text(plot *, int columns, text *);
#endif
