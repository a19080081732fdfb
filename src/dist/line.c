/* line: see line.h.  Masses come from tails on the side where they are small; those of narrow
   intervals from the density itself, by Gauss and Legendre's rule or by summing the atoms.

   The derivative of log P(a < X <= b) in a parameter is, for location, scale and rate, a difference
   of densities at the ends; for any other it is a difference of derivatives of the distribution
   function where the row has them, else the mean of the score d log f / d parameter over
   what is left (differentiate under the integral), plus the density at an end of the support that
   is itself the parameter.  Means over what is left are integrals of quantiles over (0, 1) by the
   tanh-sinh rule (Takahasi and Mori 1974), which minds no singularity at an end. */
#include "dist/line.h"
#include "num/special.h"
#include <string.h>

line line_of_row(const norn_dist_row *row, const double *p, int n)
{
  line l = {{row, NULL, n}, true, row->flags & NORN_DIST_DISCRETE, {0}};
  memcpy(l.p, p, (size_t)n * sizeof *p);
  return l;
}

norn_status line_open(norn_state *st, const norn_dist *d, const char *who, int i, line *l)
{
  norn_support s;
  unsigned flags = norn_dist_flags(d);
  *l = (line){*d, false, flags & NORN_DIST_DISCRETE, {0}};
  if (flags & NORN_DIST_IMPROPER)
    return norn_fail(st, NORN_ETYPE, i, "%s needs a distribution that has a normaliser, not %s",
                     who, d->row->name);
  l->plain = (d->row->flags & NORN_DIST_SCALAR) && d->row->cdf1 && d->n <= NORN_DIST_P &&
      dist_scalars(d, l->p);
  if (l->plain) return NORN_OK;
  norn_dist_support(st, d, &s);
  bool number = s.kind <= NORN_SUPPORT_INTERVAL || s.kind == NORN_SUPPORT_INTEGER;
  if (!(d->row->mass || d->row->cdf) || !number || s.size * s.count != 1)
    return norn_fail(st, NORN_ETYPE, i,
                     "%s needs a family of numbers with a distribution function, got %s", who,
                     d->row->name);
  return NORN_OK;
}

norn_status line_value(norn_state *st, const line *l, norn_datum x, double *out)
{
  char what[120];
  if (l->plain) return dist_value(st, l->d.row, x, out);
  bool number = norn_as_real(x, out) && *out == *out;
  if (number && !(l->discrete && *out != floor(*out))) return NORN_OK;
  return norn_fail(st, NORN_ETYPE, -1, "a value of %s must be %s, got %s", l->d.row->name,
                   l->discrete ? "an integer" : "a number",
                   number ? norn_show(st, x, true, 40) : norn_describe(st, x, what, sizeof what));
}

norn_status line_datum(norn_state *st, const line *l, double x, norn_datum *out)
{
  if (l->plain) return dist_datum(st, l->d.row, x, out);
  *out = l->discrete && fabs(x) < 0x1p63 ? norn_int((int64_t)x) : norn_real(x);
  return NORN_OK;
}

norn_status line_logp(norn_state *st, const line *l, double x, double *out)
{
  norn_datum v;
  if (l->plain) {
    *out = l->d.row->logp1(x, l->p);
    return NORN_OK;
  }
  norn_status status = line_datum(st, l, x, &v);
  return status ? status : norn_dist_logp(st, &l->d, v, out);
}

norn_status line_partials(norn_state *st, const line *l, double x, double scale, double *gx,
                          double *g)
{
  norn_datum v;
  double d[1 + NORN_DIST_P];
  if (!l->plain) {
    norn_status status = line_datum(st, l, x, &v);
    return status ? status : norn_dist_partials(st, &l->d, v, scale, gx, g);
  }
  if (!l->d.row->partials1)
    return norn_fail(st, NORN_EINFER, -1, "the derivatives of %s are not known", l->d.row->name);
  l->d.row->partials1(x, l->p, d);
  if (gx) *gx += scale * d[0];
  for (int i = 0; g && i < l->d.n; i++) g[i] += scale * d[i + 1];
  return NORN_OK;
}

norn_status line_draw(norn_state *st, const line *l, norn_rng *rng, double *out)
{
  norn_datum v;
  if (l->plain) {
    *out = l->d.row->sample1(l->p, rng);
    return NORN_OK;
  }
  norn_status status = norn_dist_sample(st, &l->d, rng, &v);
  return status ? status : line_value(st, l, v, out);
}

void line_range(norn_state *st, const line *l, double *lower, double *upper)
{
  norn_support s;
  *lower = -HUGE_VAL;
  *upper = HUGE_VAL;
  if (l->plain) {
    if (l->d.row->range1) l->d.row->range1(l->p, lower, upper);
    return;
  }
  norn_dist_support(st, &l->d, &s);
  *lower = s.lower;
  *upper = s.upper;
}

/* ---- masses ---------------------------------------------------------------------------------- */

/* Nodes and weights of Gauss and Legendre's rule of 16 points on (-1, 1): the positive half. */
static const double gauss[8][2] = {
  {0.0950125098376374402, 0.189450610455068496}, {0.281603550779258913, 0.182603415044923589},
  {0.458016777657227386, 0.169156519395002538}, {0.617876244402643748, 0.149595988816576732},
  {0.755404408355003034, 0.124628971255533872}, {0.865631202387831744, 0.0951585116824927848},
  {0.944575023073232576, 0.0622535239386478929}, {0.989400934991649933, 0.0271524594117540949}};

enum { ATOMS = 64 };

/* The points by which a narrow interval is summed: x[k] with log weight w[k]; how many. */
static int narrow_points(const line *l, double a, double b, double *x, double *w)
{
  int n = 0;
  if (l->discrete) {
    for (double k = floor(a) + 1; k <= b && n < ATOMS; k++, n++) x[n] = k, w[n] = 0;
    return n;
  }
  double middle = 0.5 * a + 0.5 * b, half = 0.5 * b - 0.5 * a;
  for (int k = 0; k < 16; k++, n++) {
    const double *g = gauss[k < 8 ? 7 - k : k - 8];
    x[n] = middle + (k < 8 ? -half : half) * g[0];
    w[n] = v_log(half * g[1]);
  }
  return n;
}

static double narrow_mass(const line *l, double a, double b)
{
  double x[ATOMS], w[ATOMS], sum = -HUGE_VAL;
  int n = narrow_points(l, a, b, x, w);
  for (int k = 0; k < n; k++)
    sum = special_logaddexp(sum, w[k] + l->d.row->logp1(x[k], l->p));
  return sum;
}

/* log(exp big - exp small); *lost: too many digits. */
static double difference(double big, double small, bool *lost)
{
  double r = special_logsubexp(big, small);
  *lost = r < big - 5 && small > -HUGE_VAL;
  return r;
}

/* Of a plain line; *narrow: the mass came from the density. */
static double plain_mass(const line *l, double a, double b, bool *narrow)
{
  double lo, hi, below = -HUGE_VAL, above = -HUGE_VAL, not_below = 0, not_above = 0, mass;
  line_range(NULL, l, &lo, &hi);
  *narrow = false;
  if (l->discrete) {
    a = floor(a);
    b = floor(b);
    if (a < lo) a = -HUGE_VAL;
    *narrow = fmin(b, hi) - fmax(a, lo - 1) <= ATOMS;
    if (*narrow) return narrow_mass(l, fmax(a, lo - 1), fmin(b, hi));
  }
  if (!(a < b)) return -HUGE_VAL;
  if (a > -HUGE_VAL) dist_tails(l->d.row, a, l->p, &below, &not_below);
  if (b < HUGE_VAL) dist_tails(l->d.row, b, l->p, &not_above, &above);
  if (not_below < below) mass = difference(not_below, above, narrow);
  else if (not_above < -V_LOG_2) mass = difference(not_above, below, narrow);
  else {
    mass = log1p(-(exp(below) + exp(above)));
    *narrow = mass < -5;
  }
  *narrow = *narrow && !l->discrete && a > lo && b < hi && b - a < HUGE_VAL;
  return *narrow ? narrow_mass(l, a, b) : mass;
}

/* A parameter that is an end of the support moves the mass at that end, if the interval reaches
   it. */
static void ends_partials(const line *l, double a, double b, double mass, double scale, double *g)
{
  double lo, hi;
  const norn_dist_row *row = l->d.row;
  line_range(NULL, l, &lo, &hi);
  if (row->lower_is && a <= lo) g[row->lower_is - 1] -= scale * exp(row->logp1(lo, l->p) - mass);
  if (row->upper_is && b >= hi) g[row->upper_is - 1] += scale * exp(row->logp1(hi, l->p) - mass);
}

static void score_at(double x, const void *of, double *out)
{
  const line *l = of;
  double d[1 + NORN_DIST_P];
  l->d.row->partials1(x, l->p, d);
  memcpy(out, d + 1, (size_t)l->d.n * sizeof *out);
}

static void narrow_partials(const line *l, double a, double b, double mass, double scale, double *g)
{
  double x[ATOMS], w[ATOMS], score[NORN_DIST_P], lo, hi;
  line_range(NULL, l, &lo, &hi);
  if (l->discrete) a = fmax(a, lo - 1), b = fmin(b, hi);
  int n = narrow_points(l, a, b, x, w);
  for (int k = 0; k < n; k++) {
    score_at(x[k], l, score);
    double share = exp(w[k] + l->d.row->logp1(x[k], l->p) - mass);
    for (int i = 0; i < l->d.n && share > 0; i++) g[i] += scale * share * score[i];
  }
}

/* By location, scale and rate: from the densities at the ends over the mass. */
static void family_partials(const line *l, double a, double b, double mass, double scale, double *g)
{
  double lo, hi;
  const norn_dist_row *row = l->d.row;
  line_range(NULL, l, &lo, &hi);
  double at_a = a > lo ? exp(row->logp1(a, l->p) - mass) : 0;
  double at_b = b < hi ? exp(row->logp1(b, l->p) - mass) : 0;
  double location = row->location_is ? l->p[row->location_is - 1] : 0;
  double za = at_a > 0 ? (a - location) * at_a : 0, zb = at_b > 0 ? (b - location) * at_b : 0;
  if (row->location_is) g[row->location_is - 1] += scale * (at_a - at_b);
  if (row->scale_is) g[row->scale_is - 1] += scale * (za - zb) / l->p[row->scale_is - 1];
  if (row->rate_is) g[row->rate_is - 1] += scale * (zb - za) / l->p[row->rate_is - 1];
}

/* Whether parameter i is one of these. */
static bool by_family(const norn_dist_row *row, int i)
{
  return i + 1 == row->location_is || i + 1 == row->scale_is || i + 1 == row->rate_is;
}

/* The other parameters, from the derivatives of the distribution function. */
static void cdf_partials(const line *l, double a, double b, double mass, double scale, double *g)
{
  double lo, hi, at[1 + NORN_DIST_P];
  line_range(NULL, l, &lo, &hi);
  for (int end = 0; end < 2; end++) {
    if (end ? !(b < hi) : !(a > lo || (l->discrete && a == lo))) continue;      /* P(X > 0) is no 1 of a count */
    l->d.row->cdf_partials1(end ? b : a, l->p, at);
    for (int i = 0; i < l->d.n; i++)
      if (!by_family(l->d.row, i)) g[i] += (end ? scale : -scale) * at[i + 1] * exp(-mass);
  }
}

static norn_status plain_partials(norn_state *st, const line *l, double a, double b, double mass,
                                  bool narrow, double scale, double *g)
{
  const norn_dist_row *row = l->d.row;
  double score[LINE_EXPECT];
  cut c;
  int known = !!row->location_is + !!row->scale_is + !!row->rate_is;
  if (l->d.n > known && !row->partials1)
    return norn_fail(st, NORN_EINFER, -1, "the derivatives of %s are not known", row->name);
  if (narrow) {
    narrow_partials(l, a, b, mass, scale, g);
    return NORN_OK;
  }
  family_partials(l, a, b, mass, scale, g);
  if (l->d.n == known || (a == -HUGE_VAL && b == HUGE_VAL)) return NORN_OK;
  if (row->cdf_partials1 && mass > -300) {
    cdf_partials(l, a, b, mass, scale, g);
    return NORN_OK;
  }
  norn_status status = cut_open(st, l, l->discrete ? floor(a) + 1 : a, b, &c);
  if (!status) status = cut_expect(st, &c, score_at, l, l->d.n, score);
  for (int i = 0; !status && i < l->d.n; i++)
    if (!by_family(row, i)) g[i] += scale * score[i];
  ends_partials(l, a, b, mass, scale, g);
  return status;
}

/* What has a distribution function only. */
static norn_status mass_by_cdf(norn_state *st, const norn_dist *d, double a, double b, double *out)
{
  double at_a = 0, at_b = 1;
  norn_status status = NORN_OK;
  if (norn_dist_flags(d) & NORN_DIST_DISCRETE) a = floor(a), b = floor(b);
  if (a > -HUGE_VAL) status = dist_cdf(st, d, norn_real(a), &at_a);
  if (!status && b < HUGE_VAL) status = dist_cdf(st, d, norn_real(b), &at_b);
  *out = v_log(fmax(at_b - at_a, 0));
  return status;
}

norn_status line_mass(norn_state *st, const line *l, double a, double b, double *out, double scale,
                      double *g)
{
  if (!l->plain) {
    if (l->d.row->mass) return l->d.row->mass(st, &l->d, a, b, out, scale, g);
    if (g)
      return norn_fail(st, NORN_EINFER, -1,
                       "the derivatives of the distribution function of %s are not known",
                       l->d.row->name);
    return mass_by_cdf(st, &l->d, a, b, out);
  }
  bool narrow;
  *out = plain_mass(l, a, b, &narrow);
  return g && *out > -HUGE_VAL ? plain_partials(st, l, a, b, *out, narrow, scale, g) : NORN_OK;
}

norn_status dist_mass(norn_state *st, const norn_dist *d, double a, double b, double *out,
                      double scale, double *g)
{
  line l;
  norn_status status = line_open(st, d, "the distribution function", 0, &l);
  return status ? status : line_mass(st, &l, a, b, out, scale, g);
}

norn_status line_tails(norn_state *st, const line *l, double x, double *lower, double *upper)
{
  if (l->plain) {
    *lower = x < HUGE_VAL ? -HUGE_VAL : 0;
    *upper = x < HUGE_VAL ? 0 : -HUGE_VAL;
    if (fabs(x) < HUGE_VAL) dist_tails(l->d.row, x, l->p, lower, upper);
    return NORN_OK;
  }
  norn_status status = line_mass(st, l, -HUGE_VAL, x, lower, 0, NULL);
  return status ? status : line_mass(st, l, x, HUGE_VAL, upper, 0, NULL);
}

/* ---- inversion ------------------------------------------------------------------------------- */

typedef struct { norn_state *st; const line *l; bool upper; norn_status status; } rising_of;

/* Errors stay in `of`, and the search ends on NaN. */
static double rising(double x, const void *of, double *slope)
{
  rising_of *r = (rising_of *)(uintptr_t)of;
  double lower, upper, logp;
  if (!r->status) r->status = line_tails(r->st, r->l, x, &lower, &upper);
  if (!r->status) r->status = line_logp(r->st, r->l, x, &logp);
  *slope = r->status ? 0 : exp(logp - (r->upper ? upper : lower));
  return r->status ? (double)NAN : r->upper ? -upper : lower;
}

/* The smallest whole number in lo .. hi that reaches lp, by halving. */
static norn_status whole_solve(norn_state *st, const line *l, double lp, bool upper, double lo,
                               double hi, double start, double *out)
{
  double k = floor(fmin(fmax(start, lo), hi)), no = lo - 1, yes = hi, step = 1;
  norn_status status = NORN_OK;
  bool bracket = false;
  if (!(fabs(k) < 0x1p60)) k = fmax(lo, -0x1p60);
  while (!status && (!bracket || yes - no > 1)) {
    double at = bracket ? floor(no + (yes - no) / 2) : k, lower, upper_tail;
    if (bracket && (at <= no || at >= yes)) break;   /* beyond 2^53 */
    status = line_tails(st, l, at, &lower, &upper_tail);
    bool holds = upper ? upper_tail <= lp : lower >= lp;
    if (holds) yes = at; else no = at;
    if (bracket) continue;
    bracket = no > -HUGE_VAL && yes < HUGE_VAL;
    k = fmin(fmax(holds ? at - step : at + step, lo), hi);
    step *= 2;
    if (!(fabs(k) < 0x1p62)) break;
  }
  *out = yes;
  return status;
}

norn_status line_solve(norn_state *st, const line *l, double lp, bool upper, double lo, double hi,
                       double start, double *out)
{
  if (l->plain) {
    *out = l->discrete ? dist_search_tail(l->d.row, l->p, lp, upper, lo, hi, start)
                       : dist_solve_tail(l->d.row, l->p, lp, upper, lo, hi, start);
    return NORN_OK;
  }
  if (l->discrete) return whole_solve(st, l, lp, upper, lo, hi, start, out);
  rising_of r = {st, l, upper, NORN_OK};
  *out = special_solve(rising, &r, upper ? -lp : lp, lo, hi, start);
  return r.status;
}

/* ---- cuts ------------------------------------------------------------------------------------ */

norn_status cut_open(norn_state *st, const line *l, double lower, double upper, cut *c)
{
  double lo, hi, rest;
  norn_status status = NORN_OK;
  line_range(st, l, &lo, &hi);
  if (l->discrete) lower = ceil(lower), upper = floor(upper);
  *c = (cut){*l, fmax(lower, lo), fmin(upper, hi), -HUGE_VAL, -HUGE_VAL, 0};
  double under = l->discrete ? lower - 1 : lower;
  if (lower > lo) status = line_tails(st, l, under, &c->below, &rest);
  if (!status && upper < hi) status = line_tails(st, l, upper, &rest, &c->above);
  if (!status && (lower > lo || upper < hi))
    status = line_mass(st, l, lower > lo ? under : -HUGE_VAL, upper < hi ? upper : HUGE_VAL,
                       &c->mass, 0, NULL);
  return status;
}

norn_status cut_quantile(norn_state *st, const cut *c, double lu, double lv, double start,
                         double *out)
{
  double lower = special_logaddexp(c->below, lu + c->mass);
  double upper = special_logaddexp(c->above, lv + c->mass);
  *out = lu == -HUGE_VAL ? c->lower : c->upper;
  if (lu == -HUGE_VAL || lv == -HUGE_VAL) return NORN_OK;
  bool from_above = upper < lower;
  norn_status status = line_solve(st, &c->l, from_above ? upper : lower, from_above, c->lower,
                                  c->upper, start, out);
  *out = fmin(fmax(*out, c->lower), c->upper);
  return status;
}

double cut_start(const cut *c)
{
  if (c->lower == -HUGE_VAL) return c->upper < HUGE_VAL ? c->upper : 0;
  return c->upper < HUGE_VAL ? 0.5 * c->lower + 0.5 * c->upper : c->lower;
}

norn_status dist_invert(norn_state *st, const norn_dist *d, double prob, norn_datum *out)
{
  line l;
  cut c;
  double x;
  norn_status status = line_open(st, d, "the quantile", 0, &l);
  if (!status) status = cut_open(st, &l, -HUGE_VAL, HUGE_VAL, &c);
  if (!status) status = cut_quantile(st, &c, log(prob), log1p(-prob), cut_start(&c), &x);
  if (status) return status;
  *out = norn_real(x);
  return isfinite(x) ? line_datum(st, &l, x, out) : NORN_OK;
}

/* Atoms of all but 1e-17 of the mass at either end. */
static norn_status expect_atoms(norn_state *st, const cut *c, line_function f, const void *of,
                                int n, double *out)
{
  const double tiny = -39;
  double first = c->lower, last = c->upper, value[LINE_EXPECT], logp;
  double start = cut_start(c);
  norn_status status = cut_quantile(st, c, tiny, 0, start, &first);
  if (!status) status = cut_quantile(st, c, 0, tiny, first, &last);
  for (double k = first; !status && k <= last; k++) {
    if ((status = line_logp(st, &c->l, k, &logp))) break;
    if (logp == -HUGE_VAL) continue;
    f(k, of, value);
    for (int i = 0; i < n; i++) out[i] += exp(logp - c->mass) * value[i];
  }
  return status;
}

/* Adds the nodes t, t + h, ... of the tanh-sinh rule on one side of 0 (sign): with s = pi sinh t,
   u = 1/(1 + exp -s) and the weight is pi cosh t u (1 - u).  The second half of sum takes absolute
   values. */
static norn_status expect_side(norn_state *st, const cut *c, line_function f, const void *of, int n,
                               double t, double h, int sign, double start, double *sum)
{
  double value[LINE_EXPECT], x = start;
  for (; t < 5; t += h) {
    double s = sign * V_PI * sinh(t), lu = -special_log1pexp(-s), lv = -special_log1pexp(s);
    norn_status status = cut_quantile(st, c, lu, lv, x, &x);
    if (status) return status;
    double weight = V_PI * cosh(t) * exp(lu + lv);
    if (x <= c->lower || x >= c->upper || !(weight > 0)) break;
    f(x, of, value);
    for (int i = 0; i < n; i++) {
      if (!isfinite(value[i])) continue;
      sum[i] += weight * value[i];
      sum[LINE_EXPECT + i] += weight * fabs(value[i]);
    }
  }
  return NORN_OK;
}

/* Steps of 1/4, 1/8, ... until nothing changes. */
static norn_status expect_integral(norn_state *st, const cut *c, line_function f, const void *of,
                                   int n, double *out)
{
  double sum[2 * LINE_EXPECT] = {0}, median;
  norn_status status = cut_quantile(st, c, -V_LOG_2, -V_LOG_2, cut_start(c), &median);
  if (!status) status = expect_side(st, c, f, of, n, 0, 0.25, 1, median, sum);
  if (!status) status = expect_side(st, c, f, of, n, 0.25, 0.25, -1, median, sum);
  for (int i = 0; i < n; i++) out[i] = 0.25 * sum[i];
  bool same = false;
  for (double h = 0.25; !status && !same && h > 0.01; h *= 0.5) {
    for (int side = -1; !status && side <= 1; side += 2)
      status = expect_side(st, c, f, of, n, 0.5 * h, h, side, median, sum);
    same = true;
    for (int i = 0; i < n; i++) {
      double before = out[i];
      out[i] = 0.5 * h * sum[i];
      same = same && fabs(out[i] - before) <= 1e-12 * 0.5 * h * sum[LINE_EXPECT + i];
    }
  }
  return status;
}

norn_status cut_expect(norn_state *st, const cut *c, line_function f, const void *of, int n,
                       double *out)
{
  double sum[LINE_EXPECT] = {0};
  norn_status status = c->l.discrete ? expect_atoms(st, c, f, of, n, sum)
                                     : expect_integral(st, c, f, of, n, sum);
  memcpy(out, sum, (size_t)n * sizeof *out);
  return status;
}
