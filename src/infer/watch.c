/* watch: what the density itself says against a posterior, beside its chains.

   Tails.  If a posterior is proper, its density along almost every line is integrable (Fubini), so that
   far out it falls faster than 1/t.  From a draw we go along each coordinate, and along the direction
   in which the density is flattest (the eigenvector of the Hessian with the smallest eigenvalue: what
   is not identified, such as the a - b of a + b), and look at the slope of the log density in log t
   between 20 and 200, and between 1,000 and 100,000, standard deviations.  Slower than 1/t: it is not
   proper, or so nearly not that it hardly matters.

   Jumps.  Draws that stand in different recordings (density.h) took different branches.  On the line
   between two of them the place is found, by halving, where one recording gives way to the other; the
   log density on both sides should be the same.  A gradient sees no jump: the draws are right, but the
   sampler bumps into an invisible wall. */
#include "infer/watch.h"
#include "infer/gradient/density.h"
#include "num/la.h"
#include <string.h>

/* ---- tails ------------------------------------------------------------------------------------ */

enum { DIRECTIONS = 200, CURVED = 60 };  /* coordinates that are looked at; most for a Hessian */

/* A line from a draw: x + t (scale . way). */
typedef struct line { const watched *w; const double *from, *scale; double *u, *way; } line;

static double line_at(const line *l, double t)
{
  double logp = (double)NAN;
  for (int64_t i = 0; i < l->w->n; i++) l->u[i] = l->from[i] + t * l->scale[i] * l->way[i];
  if (norn_density_eval(l->w->density, l->u, &logp, NULL)) norn_clear(norn_infer_state(l->w->inf));
  return logp;
}

/* The slope of the log density in log t from here to far; NaN: it left the numbers, or the support. */
static double line_slope(const line *l, double here, double far)
{
  double a = line_at(l, here), b = line_at(l, far);
  bool good = a > -HUGE_VAL && b > -HUGE_VAL && a < HUGE_VAL && b < HUGE_VAL;
  return good ? (b - a) / log(far / here) : (double)NAN;
}

static bool line_falls(const line *l, double sign)
{
  double first = line_slope(l, sign * 20, sign * 200);
  if (!(first >= -1)) return true;
  double second = line_slope(l, sign * 1e3, sign * 1e5);
  return second < -1;
}

static norn_span choice_span(norn_density *d, int64_t i)
{
  norn_density_choice c;
  for (int64_t k = 0; k < norn_density_choices(d); k++) {
    norn_density_choice_at(d, k, &c);
    if (!c.discrete && i >= c.from && i < c.from + c.nfree) return c.span;
  }
  return (norn_span){0, 0, 0};
}

/* Standard deviations of the coordinates over all draws; 1 where nothing moves. */
static void scales(const watched *w, double *scale)
{
  double total = (double)(w->chains * w->draws);
  for (int64_t i = 0; i < w->n; i++) {
    double mean = 0, square = 0;
    for (int64_t c = 0; c < w->chains; c++)
      for (int64_t k = 0; k < w->draws; k++) mean += w->chain[c][k * w->n + i] / total;
    for (int64_t c = 0; c < w->chains; c++)
      for (int64_t k = 0; k < w->draws; k++) {
        double r = w->chain[c][k * w->n + i] - mean;
        square += r * r / total;
      }
    scale[i] = square > 0 && square < HUGE_VAL ? sqrt(square) : 1;
  }
}

/* The draw that is nearest to 0: one that has not run away. */
static const double *least_far(const watched *w)
{
  const double *best = w->chain[0];
  double least = HUGE_VAL;
  for (int64_t c = 0; c < w->chains; c++)
    for (int64_t k = 0; k < w->draws; k++) {
      const double *u = w->chain[c] + k * w->n;
      double most = 0;
      for (int64_t i = 0; i < w->n; i++) most = fmax(most, fabs(u[i]));
      if (most < least) { least = most; best = u; }
    }
  return best;
}

/* The scaled Hessian at l->from by differences of gradients; false: it can't be had there. */
static bool hessian(const line *l, double *h /* (n, n) */, double *g /* (2 n) */)
{
  int64_t n = l->w->n;
  const double step = 1e-4;
  double logp;
  memcpy(l->u, l->from, (size_t)n * sizeof *l->u);
  for (int64_t i = 0; i < n; i++) {
    for (int s = 0; s < 2; s++) {
      l->u[i] = l->from[i] + (s ? -step : step) * l->scale[i];
      if (norn_density_eval(l->w->density, l->u, &logp, g + s * n)) return false;
      if (!(logp > -HUGE_VAL)) return false;
    }
    l->u[i] = l->from[i];
    for (int64_t j = 0; j < n; j++) {
      h[i * n + j] = (g[j] - g[n + j]) / (2 * step) * l->scale[j];
      if (!isfinite(h[i * n + j])) return false;
    }
  }
  return true;
}

/* Sets l->way to the direction in which the density is flattest; false: none is far flatter. */
static bool flattest(const line *l, double *h, double *g)
{
  int64_t n = l->w->n, k = 0;
  if (!hessian(l, h, g)) return norn_clear(norn_infer_state(l->w->inf)), false;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) h[i * n + j] = h[j * n + i] = 0.5 * (h[i * n + j] + h[j * n + i]);
  if (!la_eigen_symmetric(h, n, g)) return false;
  for (int64_t i = 1; i < n; i++)
    if (fabs(g[i]) < fabs(g[k])) k = i;
  for (int64_t i = 0; i < n; i++) l->way[i] = h[i * n + k];
  return fabs(g[k]) < 1e-6 * fmax(fabs(g[0]), fabs(g[n - 1]));
}

static void warn_coordinate(const watched *w, int64_t i, bool up)
{
  char name[160];
  norn_density_name(w->density, i, name, sizeof name);
  norn_infer_warn(w->inf, choice_span(w->density, i),
                  "the density does not fall off as %s goes to its %s end: the posterior is improper, "
                  "and draws of it mean nothing; give %s a proper prior", name, up ? "upper" : "lower",
                  name);
}

/* The two coordinates that move most along l->way. */
static void warn_direction(const line *l)
{
  int64_t first = 0, second = -1;
  char a[160], b[160];
  for (int64_t i = 1; i < l->w->n; i++)
    if (fabs(l->way[i] * l->scale[i]) > fabs(l->way[first] * l->scale[first])) first = i;
  for (int64_t i = 0; i < l->w->n; i++)
    if (i != first &&
        (second < 0 || fabs(l->way[i] * l->scale[i]) > fabs(l->way[second] * l->scale[second])))
      second = i;
  norn_density_name(l->w->density, first, a, sizeof a);
  norn_density_name(l->w->density, second, b, sizeof b);
  norn_infer_warn(l->w->inf, choice_span(l->w->density, first),
                  "the density does not fall off where %s and %s change together: the data do not tell "
                  "them apart, and the posterior is improper; give them proper priors", a, b);
}

static bool coordinates_fall(const line *l)
{
  const watched *w = l->w;
  int64_t by = (w->n + DIRECTIONS - 1) / DIRECTIONS;
  for (int64_t i = 0; i < w->n; i += by) {
    memset(l->way, 0, (size_t)w->n * sizeof *l->way);
    l->way[i] = 1;
    for (int s = 0; s < 2; s++)
      if (!line_falls(l, s ? -1 : 1)) return warn_coordinate(w, i, s == 0), false;
  }
  return true;
}

norn_status watch_tails(const watched *w)
{
  norn_state *st = norn_infer_state(w->inf);
  size_t n = (size_t)w->n, room = (5 + (n <= CURVED ? n : 0)) * n * sizeof(double);
  if (w->draws < 1 || !n) return NORN_OK;
  double *scale = engine_get(st, room);
  if (!scale) return NORN_EMEMORY;
  line l = {w, least_far(w), scale, scale + n, scale + 2 * n};
  scales(w, scale);
  if (coordinates_fall(&l) && n > 1 && n <= CURVED && flattest(&l, scale + 5 * n, scale + 3 * n) &&
      !(line_falls(&l, 1) && line_falls(&l, -1)))
    warn_direction(&l);
  engine_put(st, scale, room);
  return NORN_OK;
}

/* ---- jumps ------------------------------------------------------------------------------------ */

enum { PAIRS = 64, TRIES = 256, HALVINGS = 60 };
#define JUMP 1e-6                        /* less is rounding */

/* Which recording, and which ways of its branches: a hash of all that is smooth there. */
static uint64_t ways_of(const tape *t)
{
  uint64_t h = t->made;
  for (size_t i = 0; i < t->g->nbranch; i++) {
    h = (h ^ (program_value(t->p, t->g->branch[i].condition) != 0)) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
  }
  return h;
}

/* The first branch of a recording that goes another way at v than at u. */
static norn_span parted(tape *t, const double *u, const double *v, double *logp)
{
  size_t where, n = t->g->nbranch;
  for (size_t i = 0; i < n; i++) {
    uint32_t c = t->g->branch[i].condition;
    program_eval(t->p, u, logp, NULL, &where);
    bool there = program_value(t->p, c) != 0;
    program_eval(t->p, v, logp, NULL, &where);
    if ((program_value(t->p, c) != 0) != there) return t->g->branch[i].span;
  }
  return (norn_span){0, 0, 0};
}

/* The recording that stands at a point, with the log density; NULL: the point is outside. */
static const tape *tape_at(const watched *w, const double *u, double *logp)
{
  if (norn_density_eval(w->density, u, logp, NULL)) norn_clear(norn_infer_state(w->inf));
  return *logp > -HUGE_VAL ? w->density->last : NULL;
}

/* How much the log density jumps where a first branch goes another way than at a, on the way to b (both of one
   chain; work: 3 n numbers); *span: the branch.  0: it does not.  tries: counts those of which one goes so. */
static double jump_between(const watched *w, const double *a, const double *b, double *work,
                           norn_span *span, int *tries)
{
  int64_t n = w->n;
  double *low = work, *high = low + n, *mid = high + n, left, right, logp;
  const tape *t = tape_at(w, a, &left);
  if (!t) return 0;
  uint64_t ways = ways_of(t);
  if (!(t = tape_at(w, b, &right)) || ways_of(t) == ways) return 0;
  ++*tries;
  memcpy(low, a, (size_t)n * sizeof *low);
  memcpy(high, b, (size_t)n * sizeof *high);
  for (int k = 0; k < HALVINGS; k++) {
    for (int64_t i = 0; i < n; i++) mid[i] = 0.5 * low[i] + 0.5 * high[i];
    t = tape_at(w, mid, &logp);
    if (!t) return 0;                    /* an end of the support between them */
    bool same = ways_of(t) == ways;
    memcpy(same ? low : high, mid, (size_t)n * sizeof *mid);
    *(same ? &left : &right) = logp;
  }
  *span = (norn_span){0, 0, 0};
  if ((t = tape_at(w, low, &left)) && ways_of(t) == ways) {
    size_t where;
    tape *of = w->density->last;
    bool guard = program_eval(of->p, high, &logp, NULL, &where) == EVAL_GUARD && where < of->g->nguard;
    *span = guard ? of->g->guard[where].span : parted(of, low, high, &logp);
  }
  return right - left;
}

norn_status watch_jumps(const watched *w)
{
  norn_state *st = norn_infer_state(w->inf);
  size_t room = 3 * (size_t)w->n * sizeof(double);
  norn_span span = {0, 0, 0}, worst = span;
  double most = 0;
  if (w->density->ntape < 2 && !(w->density->ntape && w->density->tape[0].g->nbranch)) return NORN_OK;
  double *work = engine_get(st, room);
  if (!work) return NORN_EMEMORY;
  int pairs = 0, tries = 0;
  for (int64_t k = 0; k + 1 < w->draws && pairs < PAIRS && tries < TRIES; k++)
    for (int64_t c = 0; c < w->chains && pairs < PAIRS && tries < TRIES; c++) {
      double jump = jump_between(w, w->chain[c] + k * w->n, w->chain[c] + (k + 1) * w->n, work, &span, &tries);
      pairs += jump != 0;
      if (fabs(jump) > fabs(most)) { most = jump; worst = span; }
    }
  engine_put(st, work, room);
  if (fabs(most) > JUMP)
    norn_infer_warn(w->inf, worst, "the log density jumps by %.3g at this branch: gradients do not see "
                    "it, so the sampler moves badly there; use a density that changes smoothly, a "
                    "mixture over the two sides, or mh()", fabs(most));
  return NORN_OK;
}
