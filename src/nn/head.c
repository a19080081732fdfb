/* head.c: heads by their kind, and what they learn of targets before any net does. */
#include "nn/head_in.h"
#include "num/level.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const nn_head_names[NN_HEAD_KINDS] = { "bars", "mixture", "categories", "bernoulli", "counts" };

static const nn_head_row *row_of(const nn_head *h)
{
  static const nn_head_row *const rows[NN_HEAD_KINDS] = { &head_bars, &head_mixture, &head_categories,
                                                          &head_bernoulli, &head_counts };
  return rows[h->kind];
}
const head_loops *head_best(void)
{
#ifdef HAVE_X86_LEVELS
  static const head_loops *const levels[LEVELS] = { &head_base, &head_avx2, &head_avx512 };
  return levels[level_best()];
#else
  return &head_base;
#endif
}

int nn_head_width(const nn_head *h)
{
  int outputs = row_of(h)->outputs;
  return outputs ? outputs * h->n : 1;
}
double nn_head_loss(const nn_head *h, int n, const float *z, const float *target, double *loss, float *dz)
{
  const nn_head_row *row = row_of(h);
  size_t width = (size_t)nn_head_width(h);
  double sum = 0;
  for (int i = 0; i < n; i++) {
    double one = row->loss(h, z + (size_t)i * width, target[i], dz ? dz + (size_t)i * width : NULL);
    if (loss) loss[i] = one;
    sum += one;
  }
  return sum;
}
double nn_head_logq(const nn_head *h, const float *z, double x) { return row_of(h)->logq(h, z, x); }
double nn_head_draw(const nn_head *h, const float *z, norn_rng *g) { return row_of(h)->draw(h, z, g); }
double nn_head_cdf(const nn_head *h, const float *z, double x) { return row_of(h)->cdf(h, z, x); }
double nn_head_quantile(const nn_head *h, const float *z, double p)
{
  bool real = h->kind == NN_BARS || h->kind == NN_MIXTURE;
  if (!(p >= 0 && p <= 1)) return NAN;
  if (p == 0) return real ? -INFINITY : 0;
  if (p == 1) return real || h->kind == NN_COUNTS ? INFINITY : h->kind == NN_BERNOULLI ? 1 : h->n - 1;
  return row_of(h)->quantile(h, z, p);
}
void nn_head_moments(const nn_head *h, const float *z, double *mean, double *variance)
{
  row_of(h)->moments(h, z, mean, variance);
}

double head_logsum(const float *z, int n)
{
  double top = z[0], sum = 0;
  for (int k = 1; k < n; k++) top = z[k] > top ? z[k] : top;
  for (int k = 0; k < n; k++) sum += exp(z[k] - top);
  return top + log(sum);
}
int head_pick(const float *z, int n, double u, double *rest)
{
  double all = head_logsum(z, n), below = 0, p = 1;
  int k = 0, last = 0;                           /* the last that has any probability */
  for (; k < n; k++) {
    p = exp(z[k] - all);
    if (p > 0) last = k;
    if (below + p >= u && p > 0) break;
    below += p;
  }
  if (rest) *rest = k < n ? fmin(fmax((u - below) / p, 1e-300), 1 - 0x1p-53) : 1 - 0x1p-53;
  return k < n ? k : last;
}

/* ---- fitting ---- */

static int by_size(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
/* The least difference of two borders at x: a piece is several floats wide. */
static double least(double x) { return 1e-6 * fmax(fabs(x), 1e-30); }

/* Borders of equal mass among sorted targets: a piece takes whole groups of equal ones, until it has its
   share of what is left.  Gives how many pieces were made, at most n; borders beyond the first and the last
   target. */
static int equal_mass(const double *x, size_t m, int n, double *border)
{
  int made = 0;
  size_t from = 0;
  border[0] = x[0];
  while (from < m && made < n) {
    size_t share = (m - from) / (size_t)(n - made), to = from + (share ? share : 1);
    while (to < m && x[to] - x[to - 1] <= 2 * least(x[to])) to++;
    border[++made] = to < m ? .5 * x[to - 1] + .5 * x[to] : x[m - 1];
    from = to;
  }
  border[made] = x[m - 1];
  return made;
}
/* Too few different targets: the widest piece is halved until there are n. */
static void fill_up(int made, int n, double *border)
{
  for (; made < n; made++) {
    int wide = 0;
    for (int k = 1; k < made; k++)
      if (border[k + 1] - border[k] > border[wide + 1] - border[wide]) wide = k;
    memmove(border + wide + 2, border + wide + 1, (size_t)(made - wide) * sizeof *border);
    border[wide + 1] = .5 * border[wide] + .5 * border[wide + 2];
  }
}
/* Is no value among m sorted targets so common that it wants a piece of its own?  (Of continuous ones a few are close by
   chance.) */
static bool no_atoms(const double *x, size_t m, int n)
{
  size_t run = 0, most = 4 + m / (size_t)n / 8;
  for (size_t i = 1; i < m && run <= most; i++) run = x[i] - x[i - 1] <= 2 * least(x[i]) ? run + 1 : 0;
  return run <= most;
}
/* From pieces of equal mass, of widths w, to such as lie as densely as the root of the targets' density: each old piece
   between the tails weighs sqrt(w), and new borders are at equal shares of that.  A flat piece of width w in place of a
   density whose logarithm has the slope s costs about w^2 s^2 / 24 nats: of answers as wide as all targets are that is
   least where pieces lie as p^(1/3), of narrow ones where they lie as p.  old: the n + 1 borders of equal mass, of which
   the outer ones, where tails begin, stay. */
static void by_root(const double *old, int n, double *border)
{
  double all = 0, before = 0;
  int k = 1;
  for (int i = 1; i < n - 1; i++) all += sqrt(old[i + 1] - old[i]);
  for (int i = 2; i < n - 1; i++) {
    double to = all * (i - 1) / (n - 2), w;
    while (before + (w = sqrt(old[k + 1] - old[k])) < to && k < n - 2) {
      before += w;
      k++;
    }
    border[i] = old[k] + (old[k + 1] - old[k]) * fmin((to - before) / w, 1);
  }
}
/* Ends that coincide with their neighbours (ties at the edge, or all targets equal) move out. */
static void spread_ends(int made, double *border)
{
  double lo = border[0], hi = border[made], unit = least(fmax(fabs(lo), fabs(hi)));
  double room = fmax(1e-3 * (hi - lo), 4 * unit);
  if (!(hi - lo > 1e3 * unit)) room = fmax(1, 1e-3 * fabs(hi));   /* one value */
  border[0] -= room;
  border[made] += room;
}
/* The likeliest standard deviation of a half-normal that starts at b, for those beyond it; if these are few, at least half
   of what the outer piece spans. */
static double tail_sd(const double *x, size_t m, double b, double span, bool left)
{
  enum { MANY = 30 };
  double sum = 0, count = 0;
  for (size_t i = 0; i < m; i++) {
    double t = left ? b - x[i] : x[i] - b;
    if (!(t > 0)) continue;
    sum += t * t;
    count++;
  }
  double sd = count > 0 ? sqrt(sum / count) : 0;
  return count >= MANY && sd > 0 ? sd : fmax(sd, .5 * span);
}
/* old: room for n + 1 borders */
static void fit_bars(nn_head *h, const double *x, size_t m, double *old)
{
  double *b = h->border;
  int n = h->n, made;
  if (m > 0) {
    made = equal_mass(x, m, n, b);
    spread_ends(made, b);
    fill_up(made, n, b);
    if (made == n && no_atoms(x, m, n)) {
      memcpy(old, b, (size_t)(n + 1) * sizeof *old);
      by_root(old, n, b);
    }
  } else {
    for (int k = 0; k <= n; k++) b[k] = 6.0 * k / n - 3;       /* as of a standard normal */
  }
  h->tail[0] = tail_sd(x, m, b[1], b[1] - b[0], true);
  h->tail[1] = tail_sd(x, m, b[n - 1], b[n] - b[n - 1], false);
}
static void fit_scale(nn_head *h, const double *x, size_t m)
{
  double mean = 0, v = 0;
  for (size_t i = 0; i < m; i++) mean += (x[i] - mean) / (double)(i + 1);
  for (size_t i = 0; i < m; i++) v += (x[i] - mean) * (x[i] - mean) / (double)m;
  h->at = m ? mean : 0;
  h->scale = sqrt(v) > least(mean) && !isinf(v) ? sqrt(v) : 1;
}

bool nn_head_fit(norn_state *st, nn_head *h, double *target, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (!(fabs(target[i]) < 1e30)) {
      norn_fail(st, NORN_EDOMAIN, -1, "a head can't be fitted to %g: targets must be finite and below 1e30",
                target[i]);
      norn_hint(st, "a model that makes such numbers needs another scale, or fewer extremes");
      return false;
    }
  if (n > 1) qsort(target, n, sizeof *target, by_size);
  fit_scale(h, target, n);
  if (h->kind != NN_BARS) return true;
  if (h->n < 3) {
    norn_fail(st, NORN_EDOMAIN, -1, "a head of bars has at least 3 pieces, not %d", h->n);
    return false;
  }
  if (!h->border) h->border = norn_alloc(st, NULL, 0, (size_t)(h->n + 1) * sizeof *h->border);
  if (!h->border) return !norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
  size_t bytes = (size_t)(h->n + 1) * sizeof *h->border;
  double *old = norn_alloc(st, NULL, 0, bytes);
  if (!old) return !norn_fail(st, NORN_EMEMORY, -1, "not enough memory");
  fit_bars(h, target, n, old);
  norn_alloc(st, old, bytes, 0);
  return true;
}
void nn_head_free(norn_state *st, nn_head *h)
{
  if (h->border) norn_alloc(st, h->border, (size_t)(h->n + 1) * sizeof *h->border, 0);
  h->border = NULL;
}
