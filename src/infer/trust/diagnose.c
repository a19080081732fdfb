/* diagnose: effective sample sizes, split R-hat and Monte-Carlo errors of draws from chains.

   Vehtari, Gelman, Simpson, Carpenter, Buerkner 2021, "Rank-normalization, folding, and
   localization: an improved R-hat": chains are split in halves, draws replaced by normal scores of
   their ranks, autocorrelations combined over chains and summed by Geyer's initial monotone
   positive sequence. R-hat is the larger of that of the scores and that of the folded scores.  The
   ESS of a quantile is that of "is a draw at most the quantile"; the tail ESS is the smaller one of
   the 5 % and the 95 % quantile.  Errors: of the mean sd / sqrt(ESS of the draws), of the sd by the
   delta method from that of the variance, of a quantile from the beta distribution of its level. */
#include "infer/engine.h"
#include "num/special.h"
#include "num/stats.h"
#include <string.h>

/* A number as one that orders like it: the bits, with those of negative ones turned round. */
typedef struct key { uint64_t bits; const double *at; } key;
static uint64_t ordered_bits(double x)
{
  uint64_t u;
  memcpy(&u, &x, sizeof u);
  return u >> 63 ? ~u : u | 1ull << 63;
}

/* Sorts k (n) by bits, byte by byte from the last (LSD radix sort); other (n) is scratch. */
static void sort_keys(key *k, key *other, size_t n)
{
  size_t count[8][256] = {{0}};
  key *from = k;
  for (size_t i = 0; i < n; i++)
    for (int b = 0; b < 8; b++) count[b][k[i].bits >> 8 * b & 255]++;
  for (int b = 0; b < 8; b++) {
    size_t at = 0, *c = count[b];
    if (c[from[0].bits >> 8 * b & 255] == n) continue;          /* all have this byte */
    for (int v = 0; v < 256; v++) {
      size_t m = c[v];
      c[v] = at;
      at += m;
    }
    key *to = from == k ? other : k;
    for (size_t i = 0; i < n; i++) to[c[from[i].bits >> 8 * b & 255]++] = from[i];
    from = to;
  }
  if (from != k) memcpy(k, from, n * sizeof *k);
}

/* Room to rank n numbers again and again; score: of the whole ranks, which most have. */
typedef struct ranking {
  size_t n;
  double *score, *z;                     /* (n) */
  const double **at, **folded;           /* (n) where the numbers are, in order */
  key *keys;                             /* (2 n) scratch */
} ranking;

static double rank_score(double rank, size_t n)
{
  return special_norm_quantile((rank - .375) / ((double)n + .25));
}

static void ranking_free(norn_state *st, ranking *r)
{
  engine_put(st, r->score, r->n * sizeof *r->score);
  engine_put(st, r->z, r->n * sizeof *r->z);
  engine_put(st, r->at, r->n * sizeof *r->at);
  engine_put(st, r->folded, r->n * sizeof *r->folded);
  engine_put(st, r->keys, 2 * r->n * sizeof *r->keys);
  *r = (ranking){0};
}

static bool ranking_new(norn_state *st, ranking *r, size_t n)
{
  *r = (ranking){.n = n};
  r->score = engine_get(st, n * sizeof *r->score);
  r->z = engine_get(st, n * sizeof *r->z);
  r->at = engine_get(st, n * sizeof *r->at);
  r->folded = engine_get(st, n * sizeof *r->folded);
  r->keys = engine_get(st, 2 * n * sizeof *r->keys);
  if (r->score && r->z && r->at && r->folded && r->keys) {
    for (size_t i = 0; i < n; i++) r->score[i] = rank_score((double)i + 1, n);
    return true;
  }
  ranking_free(st, r);
  return false;
}

/* Where the numbers of x are, in order. */
static void sort_numbers(ranking *r, const double *x, const double **at)
{
  for (size_t i = 0; i < r->n; i++) r->keys[i] = (key){ordered_bits(x[i]), &x[i]};
  sort_keys(r->keys, r->keys + r->n, r->n);
  for (size_t i = 0; i < r->n; i++) at[i] = r->keys[i].at;
}

/* z of elements i to j of an order, which are equal, is that of their mean rank. */
static void score_ties(ranking *r, const double *x, const double **at, size_t i, size_t j)
{
  double s = j - i == 1 ? r->score[i] : rank_score(.5 * (double)(i + j - 1) + 1, r->n);
  for (size_t k = i; k < j; k++) r->z[at[k] - x] = s;
}

/* at, z = order and normal scores of the ranks of x; ties get their mean rank. */
static void rank_scores(ranking *r, const double *x)
{
  sort_numbers(r, x, r->at);
  for (size_t i = 0, j; i < r->n; i = j) {
    for (j = i + 1; j < r->n && *r->at[j] == *r->at[i]; j++) { }
    score_ties(r, x, r->at, i, j);
  }
}

/* Distances from the median rise to both sides of it: their order is that of two runs merged. */
static void merge_folded(ranking *r, double median)
{
  size_t right = 0, to = 0, left;
  while (right < r->n && *r->at[right] < median) right++;
  for (left = right; left > 0 || right < r->n;) {
    bool from_left = left > 0 && (right == r->n || median - *r->at[left - 1] < *r->at[right] - median);
    r->folded[to++] = from_left ? r->at[--left] : r->at[right++];
  }
}

/* z = scores of the distances from the median of x, which rank_scores() has ordered. */
static void rank_folded(ranking *r, const double *x)
{
  size_t n = r->n;
  double median = n & 1 ? *r->at[n / 2] : .5 * (*r->at[n / 2 - 1] + *r->at[n / 2]);
  merge_folded(r, median);
  for (size_t i = 0, j; i < n; i = j) {
    double d = fabs(*r->folded[i] - median);
    for (j = i + 1; j < n && fabs(*r->folded[j] - median) == d; j++) { }
    score_ties(r, x, r->folded, i, j);
  }
}

/* Between- and within-chain variance of z (m, n): returns R-hat; var_plus and within for the
   ESS. */
static double chains_rhat(const double *z, int m, int64_t n, double *within, double *var_plus,
                          double *mean)
{
  double grand = 0, b = 0, w = 0;
  for (int c = 0; c < m; c++) {
    double s = 0, q = 0;
    for (int64_t i = 0; i < n; i++) s += z[c * n + i];
    mean[c] = s / (double)n;
    for (int64_t i = 0; i < n; i++) q += (z[c * n + i] - mean[c]) * (z[c * n + i] - mean[c]);
    w += q / (double)(n - 1) / m;
    grand += mean[c] / m;
  }
  for (int c = 0; c < m; c++) b += (mean[c] - grand) * (mean[c] - grand) / (m - 1);
  *within = w;
  *var_plus = w * (double)(n - 1) / (double)n + b;
  return sqrt(*var_plus / w);
}

/* Mean over chains of the autocovariance at a lag. */
static double chains_autocov(const double *z, int m, int64_t n, const double *mean, int64_t lag)
{
  double s = 0;
  for (int c = 0; c < m; c++) {
    const double *x = z + c * n;
    for (int64_t i = 0; i + lag < n; i++) s += (x[i] - mean[c]) * (x[i + lag] - mean[c]);
  }
  return s / (double)n / m;
}

/* Geyer's initial monotone positive sequence; the first even lag after it counts once (Vehtari et
   al., appendix A; as Stan does it). */
static double chains_ess(const double *z, int m, int64_t n, double within, double var_plus,
                         const double *mean)
{
  double tau = -1, least = HUGE_VAL, all = (double)m * (double)n;
  for (int64_t lag = 0; lag + 3 < n; lag += 2) {
    double even = lag ? 1 - (within - chains_autocov(z, m, n, mean, lag)) / var_plus : 1;
    double odd = 1 - (within - chains_autocov(z, m, n, mean, lag + 1)) / var_plus;
    if (even + odd < 0) {
      if (even > 0) tau += even;
      break;
    }
    if (even + odd < least) least = even + odd;
    tau += 2 * least;
  }
  return all / (tau > 1 / log10(all) ? tau : 1 / log10(all));
}

/* y (2 chains, n / 2) = the halves of chains x (chains, n); an odd draw in the middle is left out.
   false: all are equal, or too few. */
static bool split(const double *x, int chains, int64_t n, double *y)
{
  int64_t half = n / 2, all = 2 * half * chains;
  if (half < 2) return false;
  for (int c = 0; c < chains; c++) {
    memcpy(y + 2 * c * half, x + c * n, (size_t)half * sizeof *y);
    memcpy(y + (2 * c + 1) * half, x + (c + 1) * n - half, (size_t)half * sizeof *y);
  }
  for (int64_t i = 1; i < all; i++) if (y[i] != y[0]) return true;
  return false;
}

/* y: the halves of chains, if their draws are odd in number and so one is left out; else they are x. */
struct diagnose_room {
  norn_state *st;
  int chains; int64_t n;
  ranking r, whole;                      /* of the halves; of all draws, where that is more */
  double *y, *mean;
};

diagnose_room *diagnose_room_new(norn_state *st, int chains, int64_t n)
{
  size_t halves = (size_t)(n / 2 * 2 * chains), all = (size_t)(n * chains);
  diagnose_room *d = engine_get(st, sizeof *d);
  if (!d) return NULL;
  *d = (diagnose_room){.st = st, .chains = chains, .n = n};
  d->mean = engine_get(st, (size_t)(2 * chains) * sizeof *d->mean);
  d->y = engine_get(st, halves * sizeof *d->y);
  if (d->mean && d->y && ranking_new(st, &d->r, halves) && (halves == all || ranking_new(st, &d->whole, all)))
    return d;
  diagnose_room_free(d);
  return NULL;
}

void diagnose_room_free(diagnose_room *d)
{
  if (!d) return;
  norn_state *st = d->st;
  ranking_free(st, &d->r);
  ranking_free(st, &d->whole);
  engine_put(st, d->mean, (size_t)(2 * d->chains) * sizeof *d->mean);
  engine_put(st, d->y, (size_t)(d->n / 2 * 2 * d->chains) * sizeof *d->y);
  engine_put(st, d, sizeof *d);
}

static bool varies(const double *x, int64_t n)
{
  for (int64_t i = 1; i < n; i++) if (x[i] != x[0]) return true;
  return false;
}

/* ---- superchains ---- */

/* Chains are in groups of about M, each from a start of its own; of N draws,

       B = variance over groups of their means,   W = mean over groups of (B~ + W~),
       B~ = variance over the group's chains of their means (0 of one chain),
       W~ = mean over them of the variance within (0 of one draw);   nested R-hat = sqrt(1 + B / W).

   Once the starts are forgotten the mean of B is B~ / M: that is what *still gets, over W. */
static double nested_ratio(const double *z, int chains, int groups, int64_t n, double *still)
{
  double between = 0, grand = 0, square = 0, all = 0, left = 0;
  for (int k = 0, c = 0; k < groups; k++) {
    double mean = 0, var = 0, within = 0, m = 0;
    for (; c < chains && (int64_t)c * groups / chains == k; c++) {
      double s = 0, q = 0, before = mean;
      for (int64_t i = 0; i < n; i++) s += z[c * n + i];
      s /= (double)n;
      for (int64_t i = 0; i < n; i++) q += (z[c * n + i] - s) * (z[c * n + i] - s);
      mean += (s - mean) / ++m;
      var += (s - before) * (s - mean);
      if (n > 1) within += q / (double)(n - 1);
    }
    var = m > 1 ? var / (m - 1) : 0;
    all += (var + within / m) / groups;
    left += var / m / groups;
    double old = grand;
    grand += (mean - grand) / (k + 1);
    square += (mean - old) * (mean - grand);
  }
  between = square / (groups - 1);
  *still = left / all;
  return between / all;
}

/* What groups in equilibrium exceed one time in 10,000, by the chi-square distribution of B, and the 2 % of
   variance (R-hat 1.01) that is no matter. */
static double nested_limit(double still, int groups)
{
  double half = 0.5 * (groups - 1);
  return sqrt(1 + 0.02 + still * special_gamma_p_inv(half, 0.9999) / half);
}

/* Takes in the scores as they are: of draws, then of their distances from the median. */
static void take_split(diagnose_room *d, bool folded, diagnosed *out)
{
  int m = 2 * d->chains;
  int64_t half = d->n / 2;
  double w, v, rhat = chains_rhat(d->r.z, m, half, &w, &v, d->mean);
  if (!folded) out->ess = w > 0 ? chains_ess(d->r.z, m, half, w, v, d->mean) : m;
  if (!folded || rhat > out->rhat) out->rhat = rhat;      /* a NaN of distances (all equal) does not count */
}

static void take_nested(diagnose_room *d, const ranking *r, int groups, bool folded, diagnosed *out)
{
  double still, ratio = nested_ratio(r->z, d->chains, groups, d->n, &still), rhat = sqrt(1 + ratio),
                most = nested_limit(still, groups);
  if (folded && !(rhat - most > out->nested - out->limit)) return;
  out->nested = rhat;
  out->limit = most;
}

void diagnose_draws(diagnose_room *d, const double *x, int groups, diagnosed *out)
{
  bool odd = d->n & 1, nested = groups >= 2 && groups <= d->chains, halves = d->n > 3;
  const double *y = odd ? d->y : x;
  *out = (diagnosed){NAN, NAN, NAN, NAN};
  halves = halves && (odd ? split(x, d->chains, d->n, d->y) : varies(x, d->n * d->chains));
  bool once = nested && !odd && varies(x, d->n * d->chains);
  for (int folded = 0; folded < 2 && (halves || once); folded++) {
    if (folded) rank_folded(&d->r, y);
    else rank_scores(&d->r, y);
    if (halves) take_split(d, folded, out);
    if (once) take_nested(d, &d->r, groups, folded, out);
  }
  if (!nested || !odd || !varies(x, d->n * d->chains)) return;
  for (int folded = 0; folded < 2; folded++) {
    if (folded) rank_folded(&d->whole, x);
    else rank_scores(&d->whole, x);
    take_nested(d, &d->whole, groups, folded, out);
  }
}

bool diagnose_chains(norn_state *st, const double *x, int chains, int64_t n, double *ess, double *rhat)
{
  diagnosed v = {NAN, NAN, NAN, NAN};
  diagnose_room *d = diagnose_room_new(st, chains, n);
  if (d) diagnose_draws(d, x, 0, &v);
  diagnose_room_free(d);
  *ess = v.ess;
  *rhat = v.rhat;
  return d != NULL;
}

bool diagnose_nested(norn_state *st, const double *x, int chains, int groups, int64_t n, double *rhat,
                     double *limit)
{
  diagnosed v = {NAN, NAN, NAN, NAN};
  diagnose_room *d = diagnose_room_new(st, chains, n);
  if (d) diagnose_draws(d, x, groups, &v);
  diagnose_room_free(d);
  *rhat = v.nested;
  *limit = v.limit;
  return d != NULL;
}

/* ESS of z (chains, n) as it is; y: scratch of as many, mean (2 chains).  NaN: all are equal. */
static double ess_of(const double *z, int chains, int64_t n, double *y, double *mean)
{
  double w, v;
  if (!split(z, chains, n, y)) return NAN;
  chains_rhat(y, 2 * chains, n / 2, &w, &v, mean);
  return w > 0 ? chains_ess(y, 2 * chains, n / 2, w, v, mean) : 2 * chains;
}

/* A request: draws x (chains, n) and what is known of them. */
typedef struct request {
  const double *x; int chains; int64_t n, all;
  double *sorted, *z, *y, *mean;               /* scratch; sorted: rising */
} request;

/* ESS of the p-th quantile (linear between neighbours: type 7 of Hyndman and Fan). */
static double ess_quantile(const request *r, double p)
{
  double q = stats_quantile_sorted(r->sorted, r->all, p);
  for (int64_t i = 0; i < r->all; i++) r->z[i] = r->x[i] <= q;
  return ess_of(r->z, r->chains, r->n, r->y, r->mean);
}

/* The smaller one; a tail in which nothing varies does not count. */
static double ess_tail(const request *r)
{
  double a = ess_quantile(r, .05), b = ess_quantile(r, .95);
  return isnan(a) || b < a ? b : a;
}

/* z = (x - mean)^2, or its root; returns the mean. */
static double deviations(const request *r, bool square)
{
  double m = 0;
  for (int64_t i = 0; i < r->all; i++) m += r->x[i] / (double)r->all;
  for (int64_t i = 0; i < r->all; i++)
    r->z[i] = square ? (r->x[i] - m) * (r->x[i] - m) : fabs(r->x[i] - m);
  return m;
}

static double mcse_mean(const request *r)
{
  double v = 0;
  deviations(r, true);
  for (int64_t i = 0; i < r->all; i++) v += r->z[i] / (double)(r->all - 1);
  return sqrt(v / ess_of(r->x, r->chains, r->n, r->y, r->mean));
}

/* var(s) = var(s^2) / (4 s^2), var(s^2) = (E d^4 - (E d^2)^2) / ESS of d^2, d = x - mean (Kenney
   and Keeping 1951). */
static double mcse_sd(const request *r)
{
  double second = 0, fourth = 0;
  deviations(r, true);
  for (int64_t i = 0; i < r->all; i++) {
    second += r->z[i] / (double)r->all;
    fourth += r->z[i] * r->z[i] / (double)r->all;
  }
  double ess = ess_of(r->z, r->chains, r->n, r->y, r->mean);
  return sqrt((fourth - second * second) / ess / second / 4);
}

/* Half the distance of the draws between which the quantile lies with probability .68: its level
   has distribution beta(ESS p + 1, ESS (1 - p) + 1). */
static double mcse_quantile(const request *r, double p)
{
  double ess = ess_quantile(r, p), s = (double)r->all, a = ess * p + 1, b = ess * (1 - p) + 1;
  if (isnan(ess)) return NAN;
  int64_t lo = (int64_t)floor(special_beta_inv(a, b, .1586553) * s),
          hi = (int64_t)ceil(special_beta_inv(a, b, .8413447) * s);
  return (r->sorted[(hi < r->all ? hi : r->all) - 1] - r->sorted[(lo > 1 ? lo : 1) - 1]) / 2;
}

static double answer(const request *r, diagnose_what what, double p)
{
  switch (what) {
  case DIAGNOSE_ESS_TAIL: return ess_tail(r);
  case DIAGNOSE_ESS_MEAN: return ess_of(r->x, r->chains, r->n, r->y, r->mean);
  case DIAGNOSE_ESS_SD:
    deviations(r, false);
    return ess_of(r->z, r->chains, r->n, r->y, r->mean);
  case DIAGNOSE_ESS_QUANTILE: return ess_quantile(r, p);
  case DIAGNOSE_MCSE_MEAN: return mcse_mean(r);
  case DIAGNOSE_MCSE_SD: return mcse_sd(r);
  case DIAGNOSE_MCSE_QUANTILE: return mcse_quantile(r, p);
  default: return NAN;
  }
}

bool diagnose(norn_state *st, diagnose_what what, double p, const double *x, int chains, int64_t n,
              double *out)
{
  double ess, rhat;
  if (what == DIAGNOSE_ESS_BULK || what == DIAGNOSE_RHAT) {
    if (!diagnose_chains(st, x, chains, n, &ess, &rhat)) return false;
    *out = what == DIAGNOSE_RHAT ? rhat : ess;
    return true;
  }
  if (what == DIAGNOSE_NESTED) return diagnose_nested(st, x, chains, (int)p, n, out, &ess);
  size_t all = (size_t)n * (size_t)chains, bytes = (3 * all + 2 * (size_t)chains) * sizeof(double);
  double *scratch = engine_get(st, bytes);
  if (!scratch) return false;
  request r = { .x = x, .chains = chains, .n = n, .all = (int64_t)all, .sorted = scratch,
                .z = scratch + all, .y = scratch + 2 * all, .mean = scratch + 3 * all };
  memcpy(r.sorted, x, all * sizeof *x);
  if (what != DIAGNOSE_ESS_MEAN && what != DIAGNOSE_MCSE_MEAN) stats_sort(r.sorted, r.all);
  *out = answer(&r, what, p);
  engine_put(st, scratch, bytes);
  return true;
}
