/* genealogy: ancestors of particles in two overlapping windows of time (genealogy.h). */
#include "infer/particles/genealogy.h"
#include <string.h>

/* Ancestors that must be left, of n. */
static size_t few(size_t n) { return n / 8 < 32 ? n / 8 : 32; }

bool genealogy_new(norn_state *st, genealogy *g, size_t n)
{
  *g = (genealogy){ .n = n, .left = n, .eves = (uint32_t)n, .apart = { 1, 1 } };
  g->of = engine_get(st, n * sizeof *g->of);
  g->eve[0] = engine_get(st, n * sizeof *g->eve[0]);
  g->eve[1] = engine_get(st, n * sizeof *g->eve[1]);
  g->mark = engine_get(st, n * sizeof *g->mark);
  if (!g->of || !g->eve[0] || !g->eve[1] || !g->mark) return false;
  for (size_t i = 0; i < n; i++) g->of[i].first = g->eve[0][i] = (uint32_t)i;
  return true;
}

void genealogy_free(norn_state *st, genealogy *g)
{
  engine_put(st, g->of, g->n * sizeof *g->of);
  engine_put(st, g->eve[0], g->n * sizeof *g->eve[0]);
  engine_put(st, g->eve[1], g->n * sizeof *g->eve[1]);
  engine_put(st, g->mark, g->n * sizeof *g->mark);
}

bool genealogy_archive(norn_archive *a, genealogy *g)
{
  norn_archive_array(a, &g->of, NULL, g->n, sizeof *g->of);
  for (int i = 0; i < 2; i++) {
    norn_archive_array(a, &g->eve[i], NULL, g->n, sizeof *g->eve[i]);
    norn_archive_f64(a, &g->spread[i]);
    norn_archive_f64(a, &g->apart[i]);
  }
  norn_archive_size(a, &g->left);
  norn_archive_bool(a, &g->open);
  norn_archive_f64(a, &g->variance);
  norn_archive_u32(a, &g->resamplings);
  return norn_archive_u32(a, &g->eves);
}

/* -log(1 - V) of a window; below 1e-13 it is rounding.  With one ancestor left it would be infinite:
   N is as much as N particles can tell. */
static double window(const genealogy *g, int which, const double *w, double sum, double *share)
{
  double q = 0, n = (double)g->n;
  memset(share, 0, g->n * sizeof *share);
  for (size_t i = 0; i < g->n; i++) share[which ? g->of[i].second : g->of[i].first] += w[i];
  for (size_t i = 0; i < g->n; i++) q += share[i] * share[i];
  double apart = fmax(1 - q / (sum * sum), 1 / n);
  double l = -(log(n / (n - 1)) + g->spread[which] + log(apart));
  return l > 1e-13 ? l : 0;
}

double genealogy_variance(const genealogy *g, const double *w, double sum, double *share)
{
  return g->n > 1 ? fmax(0, g->variance + window(g, 0, w, sum, share)) : (double)NAN;
}

/* Ancestors of the first window with descendants, and of them at the start. */
static void count(genealogy *g, const double *w)
{
  size_t left = 0;
  memset(g->mark, 0, g->n * sizeof *g->mark);
  for (size_t i = 0; i < g->n; i++) {
    uint32_t *m = &g->mark[g->of[i].first];
    uint32_t is = w[i] > 0 && !*m;
    *m |= is;
    left += is;
  }
  g->left = left;
  g->eves = 0;
  for (size_t i = 0; i < g->n; i++)
    if (g->mark[i] & 1) {
      uint32_t *m = &g->mark[g->eve[0][i]];
      g->eves += !(*m & 2);
      *m |= 2;
    }
}

size_t genealogy_eves(genealogy *g, const double *w)
{
  count(g, w);
  return g->eves;
}

/* The first window is counted but for what the second holds, which takes its place. */
static void shift(genealogy *g, const double *w, double sum, double *share)
{
  g->variance += window(g, 0, w, sum, share) - window(g, 1, w, sum, share);
  for (size_t i = 0; i < g->n; i++) g->of[i].first = g->of[i].second;
  uint32_t *eve = g->eve[0];
  g->eve[0] = g->eve[1];
  g->eve[1] = eve;
  g->spread[0] = g->spread[1];
  g->apart[0] = g->apart[1];
  g->open = false;
}

/* Systematic and stratified resampling fix what neighbours have together but for one; neighbours that
   are of one family spread it less than apart.  Gives rho for runs of places of one ancestor. */
static double runs_rho(const genealogy *g, int which, resample_kind kind, const double *w, double sum)
{
  double n = (double)g->n, scale = n / sum, s = 0, x = 0, c = 0;
  for (size_t i = 0; i < g->n; i++) {
    uint32_t a = which ? g->of[i].second : g->of[i].first;
    x += w[i] * scale;
    if (i + 1 < g->n && a == (which ? g->of[i + 1].second : g->of[i + 1].first)) continue;
    double f = x - floor(x), end = c + x, p = ceil(c) - c, q = end - floor(end);
    s += kind == RESAMPLE_SYSTEMATIC    ? f * (1 - f)
         : floor(c) == floor(end)       ? x * (1 - x)
                                        : p * (1 - p) + q * (1 - q);
    c = end;
    x = 0;
  }
  return s / n;
}

/* Now and then is enough: it costs as much as a resampling. */
bool genealogy_due(const genealogy *g)
{
  uint32_t every = g->n < 4096 ? 4 : g->elsewhere && g->n > 1 << 17 ? (uint32_t)(g->n / 64) : 16;
  return g->n >= 2 && g->resamplings % every == every - 1;
}

void genealogy_look(genealogy *g, resample_kind kind, const double *w, double sum, double *share)
{
  if (!genealogy_due(g)) return;
  count(g, w);
  if (g->open && g->left < few(g->n)) shift(g, w, sum, share);
  if (kind == RESAMPLE_RESIDUAL || kind == RESAMPLE_MULTINOMIAL) return;
  double rho = resample_spread(kind, w, sum, g->n);
  for (int k = 0; k < 2; k++)
    g->apart[k] = rho > 0 ? fmin(1, runs_rho(g, k, kind, w, sum) / rho) : 1;
}

/* A window opens when half of the first one's way is gone. */
bool genealogy_passed(genealogy *g, double rho)
{
  for (int i = 0; i < 2; i++) g->spread[i] += log1p(rho * g->apart[i] / ((double)g->n - 1));
  g->resamplings++;
  return !g->open && g->left < 2 * few(g->n);
}

void genealogy_open(genealogy *g)
{
  g->open = true;
  g->spread[1] = 0;
  g->apart[1] = 1;
  for (size_t i = 0; i < g->n; i++) {
    g->of[i].second = (uint32_t)i;
    g->eve[1][i] = g->eve[0][g->of[i].first];
  }
}

void genealogy_copy(genealogy *g, const uint32_t *to, const uint32_t *from, size_t n, double rho)
{
  for (size_t k = 0; k < n; k++) g->of[to[k]] = g->of[from[k]];
  if (genealogy_passed(g, rho)) genealogy_open(g);
}
