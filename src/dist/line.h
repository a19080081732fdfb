/* line: distributions of single numbers as combinators see them: the mass of an interval and its
   derivatives, a cut (what is left between two bounds) with its quantiles and expectations, and
   grids of lines for combinators whose arguments may be arrays. */
#ifndef NORN_DIST_LINE_H
#define NORN_DIST_LINE_H
#include "dist/dist.h"

typedef struct line {
  norn_dist d;
  bool plain;                 /* a SCALAR row of numbers, p: asked without data */
  bool discrete;
  double p[NORN_DIST_P];
} line;
line line_of_row(const norn_dist_row *, const double *p, int n);
/* An error if d is not one number, or has no distribution function; argument i of the combinator
   `who`. */
norn_status line_open(norn_state *, const norn_dist *d, const char *who, int i, line *);
norn_status line_value(norn_state *, const line *, norn_datum x, double *out);
norn_status line_datum(norn_state *, const line *, double x, norn_datum *out);
norn_status line_logp(norn_state *, const line *, double x, double *out);
/* As norn_dist_partials; g has the leaves of the line: of a plain one, its parameters. */
norn_status line_partials(norn_state *, const line *, double x, double scale, double *gx,
                          double *g);
norn_status line_draw(norn_state *, const line *, norn_rng *, double *out);
void        line_range(norn_state *, const line *, double *lower, double *upper);
/* log P(a < X <= b); adds scale times its derivatives by the leaves to g, if not NULL. */
norn_status line_mass(norn_state *, const line *, double a, double b, double *out, double scale,
                      double *g);
norn_status line_tails(norn_state *, const line *, double x, double *lower, double *upper);
/* x with log P(X <= x) = lp, or log P(X > x) = lp if upper, between lo and hi; of a discrete one
   the smallest x where that is reached. */
norn_status line_solve(norn_state *, const line *, double lp, bool upper, double lo, double hi,
                       double start, double *out);

/* A line between two bounds, which belong to it.  Log masses: `below` under the lower bound,
   `above` over the upper one, mass: what is left.  A tail is computed as itself, not as 1 - the
   rest. */
typedef struct cut {
  line l;
  double lower, upper;        /* of the values that are left; may be infinite */
  double below, above, mass;
} cut;
norn_status cut_open(norn_state *, const line *, double lower, double upper, cut *);
/* The point that has the part exp lu of the mass to its left and exp lv to its right. */
norn_status cut_quantile(norn_state *, const cut *, double lu, double lv, double start,
                         double *out);
double      cut_start(const cut *);          /* a point inside, where a search may begin */
/* The expectations of n <= LINE_EXPECT functions of what is left. */
#define LINE_EXPECT 8
typedef void (*line_function)(double x, const void *of, double *out);
norn_status cut_expect(norn_state *, const cut *, line_function, const void *of, int n,
                       double *out);

/* A combinator of a line and at most two numbers of its own, any of them in arrays: elements in a
   common shape. */
typedef struct lines_own { const char *name; int at; double fallback; } lines_own;
typedef struct lines {
  norn_dist base;
  bool plain;
  line one;                   /* if not plain: every element */
  dist_grid grid;             /* of the base's arguments, if plain */
  int base_at, nown, own_at[2];
  bool own_array[2];
  double own_number[2];
  norn_view own[2];
  int64_t own_leaf[2], base_leaf, first[NORN_DIST_P];
  int rank;
  int64_t n, dims[NORN_RANK_MAX];
} lines;
/* own: their names in messages, arguments, and what stands for `missing` (NaN: nothing may). */
norn_status lines_open(norn_state *, const norn_dist *, int base_at, const lines_own *own, int nown,
                       lines *);
void        lines_at(const lines *, int64_t k, line *, double own[2]);
/* Where the derivatives by the line's leaves and the own numbers of element k are gathered, and
   then added to g. */
typedef struct { double p[NORN_DIST_P], own[2], *base; } lines_sums;
double     *lines_sum(const lines *, double *g, lines_sums *);
void        lines_scatter(const lines *, int64_t k, const lines_sums *, double *g);
/* Whether x has the shape of the elements; v is its view where they are an array. */
norn_status lines_shape(norn_state *, const norn_dist *, const lines *, norn_datum x, norn_view *v);
/* Element k as a distribution of its own; NONE if there is none, or the elements are one number. */
norn_status lines_part(norn_state *, const norn_dist *, const lines *, int64_t k, norn_datum *out);
/* f of each element: a number or an array, of the base's kind or (real) of reals. */
typedef norn_status (*lines_element)(norn_state *, const line *, const double own[2], void *with,
                                     double *out);
norn_status lines_map(norn_state *, const lines *, lines_element, void *with, bool real,
                      norn_datum *out);
#endif
