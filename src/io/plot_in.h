/* plot_in: what the files of plot share. */
#ifndef NORN_PLOT_IN_H
#define NORN_PLOT_IN_H
#include "io/axes.h"
#include "io/plot.h"
#include "num/kde.h"
#include <math.h>

/* Draws that are drawn: neither NaN nor infinite nor so large that squares overflow. */
static inline bool drawable(double x) { return fabs(x) < 1e150; }

/* Those of a column, or of one of its chains, in order or rising. */
typedef struct sample {
  double *x, *w;               /* w: NULL where weights are equal */
  int64_t n, lost;             /* lost: not drawable */
  bool huge;                   /* lost, though finite */
  bool constant;               /* all equal, or none */
  size_t room;
} sample;
enum { ALL_CHAINS = -1 };
bool sample_take(plot *, const plot_column *, int chain, bool sorted, sample *);
void sample_free(plot *, sample *);

/* Draws of a chain; the whole if there are none. */
static inline int64_t column_length(const plot_column *c)
{
  return c->chains > 1 ? c->n / c->chains : c->n;
}
bool column_is_discrete(const plot_column *);

/* Panels: n boxes in rows of `across`; box i with `head` points for its name above. */
typedef struct panels { double width, height, gap_x, gap_y; int across; } panels;
int  panels_across(int n);
axes panels_at(const plot *, const panels *, int i, double head, double foot, double margin);
void panel_name(plot *, const axes *, const char *name, const char *aside);
/* A name shortened to a width. */
const char *plot_fit(const char *name, double size, double width, char *buf, size_t n);
/* "not finite: 3 of 100 draws" and the like. */
void panel_lost(const axes *, const sample *);

/* The parts of plot_density.c that other kinds use.  chains: a line for each; interval: the median
   and 90 % below the curve; bare: no words below; range: instead of its own, if it has a width. */
typedef struct density_look { bool chains, interval, rug, bare; scale range; } density_look;
void panel_density(plot *, const axes *, const plot_column *, density_look);
void panel_bars(plot *, const axes *, const plot_column *, const sample *, density_look);
void panel_curve(const axes *, const kde *, const pen *);

void plot_density(plot *);
void plot_trace(plot *);
void plot_histogram(plot *);
void plot_rank(plot *);
void plot_autocorrelation(plot *);
void plot_ess(plot *);
void plot_pairs(plot *);
void plot_forest(plot *);
void plot_ppc(plot *);

/* How many of what was observed lie in each bin, and the 5 %, 50 % and 95 % quantiles of how many replicates
   have there.  whole: bins of whole numbers, of which lo is half a step below the first. */
enum { PPC_BINS = 40 };
typedef struct ppc_table {
  double lo, step, most;
  int n;
  bool whole;
  double observed[PPC_BINS + 1], q[PPC_BINS + 1][3];
} ppc_table;
/* At most `most` bins.  false: not all are whole numbers, or all are equal, or p->failed. */
bool ppc_counts(plot *p, int most, ppc_table *);
bool ppc_bins(plot *p, int most, ppc_table *);

void plot_sbc(plot *);
#endif
