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

/* z = normal scores of the ranks of x (n); ties get their mean rank.  at (n): where the draws are, in
   order; keys (2 n) is scratch. */
static void rank_scores(const double *x, double *z, const double **at, key *keys, size_t n)
{
  for (size_t i = 0; i < n; i++) keys[i] = (key){ordered_bits(x[i]), &x[i]};
  sort_keys(keys, keys + n, n);
  for (size_t i = 0; i < n; i++) at[i] = keys[i].at;
  for (size_t i = 0, j; i < n; i = j) {
    for (j = i + 1; j < n && *at[j] == *at[i]; j++) { }
    double rank = .5 * (double)(i + j - 1) + 1,
           s = special_norm_quantile((rank - .375) / ((double)n + .25));
    for (size_t k = i; k < j; k++) z[at[k] - x] = s;
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

bool diagnose_chains(norn_state *st, const double *x, int chains, int64_t n, double *ess,
                     double *rhat)
{
  int64_t half = n / 2, all = 2 * half * chains;
  size_t bytes = (size_t)all * sizeof(double);
  int m = 2 * chains;
  *ess = *rhat = NAN;
  if (half < 2) return true;
  double *y = engine_get(st, bytes), *z = engine_get(st, bytes),
         *mean = engine_get(st, (size_t)m * sizeof *mean);
  const double **at = engine_get(st, (size_t)all * sizeof *at);
  key *keys = engine_get(st, (size_t)(2 * all) * sizeof *keys);
  bool good = y && z && mean && at && keys;
  if (good && split(x, chains, n, y)) {
    double w, v;
    rank_scores(y, z, at, keys, (size_t)all);
    double bulk = chains_rhat(z, m, half, &w, &v, mean);
    *ess = w > 0 ? chains_ess(z, m, half, w, v, mean) : m;
    double median = all & 1 ? *at[all / 2] : .5 * (*at[all / 2 - 1] + *at[all / 2]);
    for (int64_t i = 0; i < all; i++) y[i] = fabs(y[i] - median);
    rank_scores(y, z, at, keys, (size_t)all);
    double tail = chains_rhat(z, m, half, &w, &v, mean);
    *rhat = tail > bulk ? tail : bulk;         /* a NaN tail (all equal) does not count */
  }
  engine_put(st, y, bytes);
  engine_put(st, z, bytes);
  engine_put(st, mean, (size_t)m * sizeof *mean);
  engine_put(st, at, (size_t)all * sizeof *at);
  engine_put(st, keys, (size_t)(2 * all) * sizeof *keys);
  return good;
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

bool diagnose_nested(norn_state *st, const double *x, int chains, int groups, int64_t n, double *rhat,
                     double *limit)
{
  int64_t all = n * chains;
  size_t bytes = (size_t)all * sizeof(double);
  *rhat = *limit = NAN;
  if (groups < 2 || groups > chains) return true;
  double *y = engine_get(st, bytes), *z = engine_get(st, bytes), still;
  const double **at = engine_get(st, (size_t)all * sizeof *at);
  key *keys = engine_get(st, (size_t)(2 * all) * sizeof *keys);
  bool good = y && z && at && keys, varies = false;
  for (int64_t i = 1; i < all && good; i++) varies |= x[i] != x[0];
  if (good && varies) {
    memcpy(y, x, bytes);
    for (int folded = 0; folded < 2; folded++) {
      rank_scores(y, z, at, keys, (size_t)all);
      double ratio = nested_ratio(z, chains, groups, n, &still), r = sqrt(1 + ratio),
             most = nested_limit(still, groups);
      if (!folded || r - most > *rhat - *limit) { *rhat = r; *limit = most; }
      double median = all & 1 ? *at[all / 2] : .5 * (*at[all / 2 - 1] + *at[all / 2]);
      for (int64_t i = 0; i < all; i++) y[i] = fabs(x[i] - median);
    }
  }
  engine_put(st, y, bytes);
  engine_put(st, z, bytes);
  engine_put(st, at, (size_t)all * sizeof *at);
  engine_put(st, keys, (size_t)(2 * all) * sizeof *keys);
  return good;
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
