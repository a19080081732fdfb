/* unlike: whether data could have come from a program's prior, for who has learned from such data only.

   The program runs n times from its prior with its observations simulated.  Of each place that observes, a
   few numbers are kept: the observed ones themselves, where these are always the same and at most EACH;
   else their mean, spread, least and greatest.  All go through asinh, so that scales of any size compare.
   Data are unlike if a number of theirs lies farther outside of the n simulated ones than half of these are
   apart (of normal numbers that is about 5.6 standard deviations; of Cauchy's it happens once in 500
   times), or if all of a place together have more than twice the Mahalanobis distance that any simulated
   one has: correlations that the prior does not know. */
#include "infer/trust/unlike.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EACH = 8, PLACES = 16, NAME = 80 };
typedef struct numbers { int64_t n; double sum, squares, least, most, first[EACH]; } numbers;
typedef struct place { norn_span span; char name[NAME]; bool same; int64_t n; } place;
typedef struct comparison {
  norn_state *st;
  int n, nplace, run;                    /* simulated runs; run n is the data */
  place place[PLACES];
  numbers *seen;                         /* (n + 1, PLACES) */
} comparison;

static numbers *seen_at(const comparison *c, int run, int k) { return c->seen + (size_t)run * PLACES + k; }

static int place_of(comparison *c, const norn_event *ev)
{
  char name[256] = "";
  for (int k = 0; k < c->nplace; k++)
    if (c->place[k].span.start == ev->span.start && c->place[k].span.file == ev->span.file) return k;
  if (c->nplace == PLACES) return -1;
  place *p = &c->place[c->nplace];
  *p = (place){.span = ev->span, .same = true};
  norn_addr_name(c->st, ev->addr, name, sizeof name);
  snprintf(p->name, NAME, "%.*s", (int)strcspn(name, "["), name);
  if (!*p->name || *p->name == '#' || *p->name == '@') norn_span_text(c->st, ev->span, p->name, NAME);
  return c->nplace++;
}

static void add(numbers *s, double x)
{
  x = asinh(x);
  if (!(fabs(x) < HUGE_VAL)) return;
  if (!s->n || x < s->least) s->least = x;
  if (!s->n || x > s->most) s->most = x;
  if (s->n < EACH) s->first[s->n] = x;
  s->n++;
  s->sum += x;
  s->squares += x * x;
}

static void add_value(numbers *s, norn_datum v)
{
  norn_view w;
  double x;
  if (norn_as_real(v, &x)) add(s, x);
  else if (v.tag == NORN_BOOL) add(s, (double)v.i);
  else if (norn_array_view(v, &w) && w.elem != NORN_VALUES)
    for (int64_t i = 0; i < w.n; i++) add(s, norn_elem_real(v, i));
}

/* What is observed at a place, and what is simulated in its stead. */
static bool observe(comparison *c, norn_run *r, const norn_event *ev)
{
  norn_datum v;
  norn_rng g;
  int k = place_of(c, ev);
  if (ev->flags & (NORN_EV_FACTOR | NORN_EV_CONDITION)) return true;
  if (c->run == c->n) {
    if (k >= 0) add_value(seen_at(c, c->run, k), ev->value);
    return true;
  }
  norn_run_rng(r, ev, &g);
  g.stream = norn_stream_split(g.stream, ENGINE_LANE, 23, ev->ordinal);
  if (norn_dist_sample(c->st, ev->dist, &g, &v)) return false;
  if (k >= 0) add_value(seen_at(c, c->run, k), v);
  if (!(ev->flags & NORN_EV_REREAD)) norn_run_answer(r, v);
  return true;
}

/* false: this program can't be judged, or an error is set that nobody needs. */
static bool one_run(comparison *c, norn_datum model, uint64_t stream)
{
  norn_event ev;
  norn_datum v;
  double excess;
  norn_run *r = norn_run_new(c->st, model, NULL, 0);
  if (!r) return false;
  norn_run_stream(r, stream, (uint32_t)c->run, 0);
  norn_run_flags(r, NORN_RUN_NAMES | NORN_RUN_DOMAIN);
  bool good = true, going = true;
  while (good && going)
    switch (norn_run_next(r, &ev)) {
    case NORN_SAMPLE:
      good = engine_sample(c->st, r, &ev, true, &v, &excess);
      if (good) norn_run_answer(r, v);
      break;
    case NORN_OBSERVE: good = observe(c, r, &ev); break;
    case NORN_DONE: going = false; break;
    default: good = false;
    }
  norn_run_free(r);
  return good;
}

/* ---- comparing ---- */

/* The numbers of place k in a run, in x (EACH); gives how many. */
static int summary(const comparison *c, int k, int run, double *x)
{
  const place *p = &c->place[k];
  const numbers *s = seen_at(c, run, k);
  if (p->same) {
    memcpy(x, s->first, (size_t)p->n * sizeof *x);
    return (int)p->n;
  }
  double n = (double)s->n, mean = n > 0 ? s->sum / n : 0;
  x[0] = mean;
  x[1] = n > 0 ? sqrt(fmax(s->squares / n - mean * mean, 0)) : 0;
  x[2] = n > 0 ? s->least : 0;
  x[3] = n > 0 ? s->most : 0;
  return 4;
}

static bool out_of_range(const comparison *c, int k, int i, double *obs, double *lo, double *hi)
{
  double x[EACH];
  *lo = HUGE_VAL;
  *hi = -HUGE_VAL;
  for (int r = 0; r < c->n; r++) {
    summary(c, k, r, x);
    *lo = fmin(*lo, x[i]);
    *hi = fmax(*hi, x[i]);
  }
  summary(c, k, c->n, x);
  *obs = x[i];
  double slack = (*hi - *lo) / 2 + 1e-9;
  return *obs < *lo - slack || *obs > *hi + slack;
}

/* Lower Cholesky factor of l (d, d) in place, with a ridge. */
static bool factor(double *l, int d)
{
  for (int i = 0; i < d; i++) l[i * d + i] += 1e-6 * l[i * d + i] + 1e-12;
  for (int i = 0; i < d; i++)
    for (int j = 0; j <= i; j++) {
      double s = l[i * d + j];
      for (int k = 0; k < j; k++) s -= l[i * d + k] * l[j * d + k];
      if (i == j && !(s > 0)) return false;
      l[i * d + j] = i == j ? sqrt(s) : s / l[j * d + j];
    }
  return true;
}

static double distance(const double *l, int d, const double *mean, const double *x)
{
  double y[EACH], q = 0;
  for (int i = 0; i < d; i++) {
    double s = x[i] - mean[i];
    for (int k = 0; k < i; k++) s -= l[i * d + k] * y[k];
    y[i] = s / l[i * d + i];
    q += y[i] * y[i];
  }
  return sqrt(q);
}

/* The data's Mahalanobis distance at place k over the largest of simulated ones; 0: it can't be said. */
static double far_off(const comparison *c, int k)
{
  double x[EACH], mean[EACH] = {0}, l[EACH * EACH] = {0}, most = 0;
  int d = summary(c, k, 0, x);
  for (int r = 0; r < c->n; r++) {
    summary(c, k, r, x);
    for (int i = 0; i < d; i++) mean[i] += x[i] / c->n;
  }
  for (int r = 0; r < c->n; r++) {
    summary(c, k, r, x);
    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++) l[i * d + j] += (x[i] - mean[i]) * (x[j] - mean[j]) / c->n;
  }
  if (!factor(l, d)) return 0;
  for (int r = 0; r < c->n; r++) {
    summary(c, k, r, x);
    most = fmax(most, distance(l, d, mean, x));
  }
  summary(c, k, c->n, x);
  return most > 0 ? distance(l, d, mean, x) / most : 0;
}

static void compare(comparison *c, char *why, size_t size)
{
  static const char *const names[] = {"mean", "spread", "least", "greatest"};
  double x, lo, hi, part[EACH];
  for (int k = 0; k < c->nplace && !*why; k++) {
    place *p = &c->place[k];
    p->n = seen_at(c, 0, k)->n;
    for (int r = 0; r <= c->n; r++) p->same &= seen_at(c, r, k)->n == p->n && p->n <= EACH;
    if (!seen_at(c, c->n, k)->n) continue;                 /* not met by the run of the data */
    int d = summary(c, k, c->n, part);
    for (int i = 0; i < d && !*why; i++)
      if (out_of_range(c, k, i, &x, &lo, &hi))
        snprintf(why, size, "the %s of %.60s is %.3g; in %d simulated data sets it was between %.3g and %.3g",
                 p->same ? "value" : names[i], p->name, sinh(x), c->n, sinh(lo), sinh(hi));
    double q = *why ? 0 : far_off(c, k);
    if (q > 2)
      snprintf(why, size, "%.60s is %.1f times as far from the middle as any of %d simulated data sets",
               p->name, q, c->n);
  }
}

bool unlike_prior(norn_state *st, norn_datum model, int n, uint64_t stream, char *why, size_t size)
{
  comparison c = {.st = st, .n = n};
  size_t bytes = (size_t)(n + 1) * PLACES * sizeof *c.seen;
  norn_ref *keep = norn_keep(st, model);
  c.seen = engine_get(st, bytes);
  bool good = keep && c.seen;
  *why = 0;
  if (good) {
    for (c.run = 0; good && c.run <= n; c.run++) good = one_run(&c, norn_get(keep), stream);
    if (good) compare(&c, why, size);
  }
  engine_put(st, c.seen, bytes);
  if (keep) norn_drop(keep);
  norn_status code = norn_error(st)->code;
  if (code == NORN_EMEMORY || code == NORN_EINTERRUPT || code == NORN_ELIMIT) return false;
  norn_clear(st);
  return true;
}
