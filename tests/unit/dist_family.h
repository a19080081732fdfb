/* dist_family.h: what is tested of every scalar family, for the programs test_dist*.c.  Each has a
   table `families` of names, textbook formulas in MPFR and parameters, and includes this after it;
   if it has the textbook's distribution functions too (below_of), it defines TEST_BELOW.

   The density is recomputed in MPFR; its integral over a cell must be the difference of the
   distribution function (so it integrates to 1 and the one differentiates to the other); quantiles
   invert it; partials meet differences of the textbook formula.  Draws: test_samplers.  With
   NORN_TABLE in the environment errors are printed by family, in ulp beyond what one ulp in each
   argument would change. */
#ifndef NORN_TEST_DIST_FAMILY_H
#define NORN_TEST_DIST_FAMILY_H
#include <stdlib.h>

static const double probs[] = {1e-12, 1e-6, 1e-3, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999, 1 - 1e-6,
                               1 - 1e-12};
enum { PROBS = sizeof probs / sizeof probs[0] };

typedef struct {
  const norn_dist_row *row;
  const double *p;
  int n;
  bool discrete;
} of;
static of open_family(const family *f)
{
  const norn_dist_row *row = dist_find(f->name);
  of o = {row, f->p, dist_arity(row), row->flags & NORN_DIST_DISCRETE};
  return o;
}

/* A failed check says which family. */
static void say(const family *f, double x)
{
  fprintf(stderr, "  in %s(%g, %g, %g) at %.17g\n", f->name, f->p[0], f->p[1], f->p[2], x);
}
#define CHECK_AT(cond, f, x) do { bool ok_ = (cond); CHECK(ok_); if (!ok_) say(f, x); } while (0)

/* What lies on the open support and can be told from its edge. */
static bool usable(const of *o, double x)
{
  double lo, hi;
  o->row->range1(o->p, &lo, &hi);
  if (!isfinite(x) || o->discrete) return isfinite(x);
  return x > lo && x < hi && (lo != 0 || x > 1e-290) && (hi != 1 || lo != 0 || x < 1 - 1e-13);
}

/* A density with a corner, where no rule for smooth integrands holds. */
static bool has_kink(const family *f)
{
  return !strcmp(f->name, "laplace") || !strcmp(f->name, "double_exponential");
}

/* ---- errors by family ------------------------------------------------------------------------ */

typedef enum { DENSITY, TAIL, PARTIAL, SLOPE, KINDS } kind;
static struct { const char *name; kind what; double ulps; } noted[60000];
static int noted_n;

/* An error in units of 2^-52 of a size. */
static void note(const family *f, kind what, double relative)
{
  if (noted_n == sizeof noted / sizeof noted[0]) return;
  noted[noted_n].name = f->name;
  noted[noted_n].what = what;
  noted[noted_n++].ulps = relative * 0x1p52;
}
static void print_errors(void)
{
  static double e[60000];
  if (!getenv("NORN_TABLE")) return;
  printf("%-24s %15s %15s %15s %15s\n", "ulp: median, worst", "log density", "log tails",
         "partials", "slopes of cdf");
  for (int i = 0; i < FAMILIES; i++) {
    bool first = true;
    for (int k = 0; k < i; k++) first = first && strcmp(families[k].name, families[i].name);
    if (!first) continue;
    printf("%-24s", families[i].name);
    for (kind what = 0; what < KINDS; what++) {
      int n = 0;
      for (int k = 0; k < noted_n; k++)
        if (noted[k].what == what && !strcmp(noted[k].name, families[i].name))
          e[n++] = noted[k].ulps;
      stats_sort(e, n);
      if (n) printf(" %6.2g %8.3g", e[n / 2], e[n - 1]);
      else printf(" %6s %8s", "-", "-");
    }
    printf("\n");
  }
}

static void test_checks(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    of o = open_family(&families[i]);
    int which = -1;
    CHECK_AT(o.row->check1(o.p, &which) == NULL, &families[i], 0);
    /* Every parameter refuses NaN, with a sentence that names the family. */
    for (int k = 0; k < o.n; k++) {
      double p[NORN_DIST_P];
      memcpy(p, o.p, sizeof p);
      p[k] = (double)NAN;
      const char *sentence = o.row->check1(p, &which);
      CHECK_AT(sentence && strstr(sentence, families[i].name), &families[i], k);
      if (strcmp(families[i].name, "uniform")) CHECK_AT(which == k, &families[i], k);
    }
  }
}

/* ---- density against MPFR -------------------------------------------------------------------- */

static void test_density(void)
{
  double worst = 0;
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    for (int k = 0; k < PROBS; k++) {
      double x = o.row->quantile1(probs[k], o.p), d[NORN_DIST_P + 1];
      if (!usable(&o, x)) continue;
      big_reset();
      big p[NORN_DIST_P];
      for (int j = 0; j < o.n; j++) p[j] = num(o.p[j]);
      big exact = f->exact(num(x), p);
      double got = o.row->logp1(x, o.p), e = dbl(exact);
      double miss = fabs(dbl(sub(num(got), exact))) / fmax(1, fabs(e));
      worst = fmax(worst, miss);
      CHECK_AT(o.row->partials1(x, o.p, d) == got, f, x);
      /* What one ulp in each argument would change is no fault of the formula. */
      double size = fmax(1, fabs(e)) + fabs(x * d[0]);
      for (int j = 0; j < o.n; j++) size += fabs(o.p[j] * d[j + 1]);
      double own = fabs(dbl(sub(num(got), exact))) / size;
      note(f, DENSITY, own);
      CHECK_AT(own < 16 * 0x1p-52, f, x);
    }
  }
  printf("densities: worst error %.2g of max(1, |log density|)\n", worst);
}

static void test_outside(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    of o = open_family(&families[i]);
    double lo, hi, step = o.discrete ? 1 : 1e-3;
    o.row->range1(o.p, &lo, &hi);
    if (!strcmp(families[i].name, "von_mises")) lo = -HUGE_VAL, hi = HUGE_VAL;   /* turns */
    if (lo > -HUGE_VAL) CHECK_AT(o.row->logp1(lo - step, o.p) == -HUGE_VAL, &families[i],
                                 lo - step);
    if (hi < HUGE_VAL) CHECK_AT(o.row->logp1(hi + step, o.p) == -HUGE_VAL, &families[i], hi + step);
    CHECK_AT(o.row->logp1(-HUGE_VAL, o.p) == -HUGE_VAL, &families[i], -HUGE_VAL);
    CHECK_AT(o.row->logp1(HUGE_VAL, o.p) == -HUGE_VAL, &families[i], HUGE_VAL);
  }
}

/* ---- distribution functions ------------------------------------------------------------------ */

/* Gauss and Legendre, 10 points a panel, in x, or in the logarithm of the distance from an end of
   the support or from the median where the cell spans a factor of it. */
static double integral(const of *o, double a, double b)
{
  double least, most, from = o->row->quantile1(0.5, o->p);
  o->row->range1(o->p, &least, &most);
  if (isfinite(least)) from = least;
  if (isfinite(most) && fabs(b - most) < 0.1 * fabs(b - least)) from = most;
  static const double node[] = {0.14887433898163121, 0.43339539412924719, 0.67940956829902441,
                                0.86506336668898451, 0.97390652851717172};
  static const double weight[] = {0.29552422471475287, 0.26926671930999636, 0.21908636251598204,
                                  0.14945134915058059, 0.066671344308688138};
  int sign = a > from && b - from > 4 * (a - from) ? 1 :
             b < from && from - a > 4 * (from - b) ? -1 : 0;
  double lo = sign ? log(sign * (a - from)) : a, hi = sign ? log(sign * (b - from)) : b, sum = 0;
  enum { PANELS = 200 };
  for (int k = 0; k < PANELS; k++) {
    double centre = lo + (hi - lo) * (k + 0.5) / PANELS, h = (hi - lo) / PANELS / 2;
    for (int j = 0; j < 10; j++) {
      double t = centre + (j & 1 ? h : -h) * node[j / 2], x = sign ? from + sign * exp(t) : t;
      sum += exp(o->row->logp1(x, o->p) + (sign ? t : 0)) * weight[j / 2] * h;
    }
  }
  return fabs(sum);
}

static double cell_mass(const of *o, double a, double b)
{
  if (!o->discrete) return integral(o, a, b);
  double sum = 0;
  for (double k = a + 1; k <= b; k++) sum += exp(o->row->logp1(k, o->p));
  return sum;
}

/* Whole supports from one probability to the next; of huge discrete ones a stretch of 2000. */
static void test_cells(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    for (int k = 0; k + 1 < PROBS; k++) {
      double a = o.row->quantile1(probs[k], o.p), b = o.row->quantile1(probs[k + 1], o.p);
      if (o.discrete) b = fmin(b, a + 2000);
      if (!(a < b) || !usable(&o, a) || !usable(&o, b)) continue;
      /* a kink */
      if (o.row->moments1 && a < 0 && b > 0 && has_kink(f)) continue;
      double la, ua, lb, ub;
      o.row->tails1(a, o.p, &la, &ua);
      o.row->tails1(b, o.p, &lb, &ub);
      double mass = la < -V_LOG_2 ? exp(lb) - exp(la) : exp(ua) - exp(ub);
      double got = cell_mass(&o, a, b), scale = fmax(mass, 1e-3 * fmin(exp(lb), exp(ua)));
      double tol = 3e-11 + 1e-15 * fabs(a / (b - a)) + 1e-16 / (1 - fmin(b, 0.999999));
      if (o.discrete) tol = 1e-9;
      CHECK_AT(fabs(got - mass) <= tol * scale, f, a);
      if (fabs(got - mass) > tol * scale)
        fprintf(stderr, "  to %g: %.15g, not %.15g\n", b, got,
                                                  mass);
    }
    double lo, hi;
    o.row->range1(o.p, &lo, &hi);
    double under = o.discrete && isfinite(lo) ? lo - 1 : lo;
    CHECK_AT(o.row->cdf1(under, o.p) == 0, f, under);
    CHECK_AT(o.row->cdf1(hi, o.p) == 1, f, hi);
  }
}

#ifdef TEST_BELOW
/* Both tails against the textbook, where it has a distribution function; and their derivatives
   against differences of it. */
static void test_tails(void)
{
  double worst = 0;
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    oracle below = below_of(f);
    for (int k = 0; below && k < PROBS; k++) {
      double x = o.row->quantile1(probs[k], o.p), lower, upper;
      if (!usable(&o, x)) continue;
      big_reset();
      big p[NORN_DIST_P], c;
      for (int j = 0; j < o.n; j++) p[j] = num(o.p[j]);
      c = below(num(x), p);
      double l = dbl(lg(c)), u = dbl(lg(sub(one(), c)));
      o.row->tails1(x, o.p, &lower, &upper);
      /* One ulp of x moves the tails by their hazards. */
      double density = exp(o.row->logp1(x, o.p)), move = fabs(x) * density * 0x1p-52;
      double miss = fmax(fabs(lower - l) / (fmax(1, fabs(l)) + move * 0x1p52 * exp(-l)),
                         fabs(upper - u) / (fmax(1, fabs(u)) + move * 0x1p52 * exp(-u)));
      worst = fmax(worst, miss);
      note(f, TAIL, miss);
      double tol = o.p[0] < 0.01 && strstr(f->name, "beta") ? 1e-12 : 4e-14;
      CHECK_AT(miss < tol, f, x);
      if (!(miss < tol))
        fprintf(stderr, "  tails %.17g %.17g not %.17g %.17g\n", lower, upper, l, u);
    }
  }
  printf("tails: worst error %.2g of max(1, |log|), beyond that of one ulp in x\n", worst);
}

/* Integral of density times its derivative in parameter j over a..b: what the mass of the cell
   gains by that parameter. */
static double cell_slope(const of *o, double a, double b, int j, double *size)
{
  double sum = 0, d[NORN_DIST_P + 1];
  enum { PANELS = 400 };
  *size = 0;
  for (int k = 0; k < PANELS * 10; k++) {
    double h = (b - a) / PANELS, x = a + h * (k / 10);
    static const double node[] = {0.14887433898163121, 0.43339539412924719, 0.67940956829902441,
                                  0.86506336668898451, 0.97390652851717172};
    static const double weight[] = {0.29552422471475287, 0.26926671930999636, 0.21908636251598204,
                                    0.14945134915058059, 0.066671344308688138};
    int at = k % 10;
    x += 0.5 * h * (1 + (at & 1 ? node[at / 2] : -node[at / 2]));
    double e = exp(o->row->partials1(x, o->p, d)) * weight[at / 2] * 0.5 * h;
    sum += e * d[j + 1];
    *size += e * fabs(d[j + 1]);
  }
  return sum;
}

static void test_cdf_partials(void)
{
  double worst = 0;
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    if (!o.row->cdf_partials1 || o.discrete) continue;
    for (int k = 3; k + 1 < 8; k++) {
      double a = o.row->quantile1(probs[k], o.p), b = o.row->quantile1(probs[k + 1], o.p);
      double da[NORN_DIST_P + 1], db[NORN_DIST_P + 1], size;
      if (!usable(&o, a) || !usable(&o, b) || !(fabs(b - a) > 1e-8 * fabs(a))) continue;
      if (b > 100 * a && a > 0) continue;                  /* too wide for the rule */
      double c = o.row->cdf_partials1(a, o.p, da);
      o.row->cdf_partials1(b, o.p, db);
      CHECK_AT(c == o.row->cdf1(a, o.p), f, a);
      CHECK_AT(fabs(da[0] - exp(o.row->logp1(a, o.p))) <= 1e-13 * da[0], f, a);
      for (int j = 0; j < o.n; j++) {
        double want = cell_slope(&o, a, b, j, &size), got = db[j + 1] - da[j + 1];
        double scale = size + 1e-4 * (fabs(da[j + 1]) + fabs(db[j + 1]));
        double tol = has_kink(f) ? 1e-3 : 1e-9 + 1e-14 * fabs(a / (b - a)) * fabs(a / (b - a));
        worst = fmax(worst, has_kink(f) ? 0 : fabs(got - want) / scale);
        CHECK_AT(fabs(got - want) <= tol * scale, f, a);
        if (!(fabs(got - want) <= tol * scale))
          fprintf(stderr, "  to %g in parameter %d: %.15g not %.15g\n", b, j, got, want);
      }
    }
  }
  printf("derivatives of cdfs: worst error %.2g\n", worst);
}

/* The same against differences of the textbook distribution function. */
static void test_cdf_slopes(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    oracle below = below_of(f);
    if (!o.row->cdf_partials1 || !below) continue;
    double width = o.row->quantile1(0.75, o.p) - o.row->quantile1(0.25, o.p);
    for (int k = 0; k < PROBS; k += 2) {
      double x = o.row->quantile1(probs[k], o.p), d[NORN_DIST_P + 1];
      if (!usable(&o, x)) continue;
      o.row->cdf_partials1(x, o.p, d);
      for (int j = 0; j < o.n; j++) {
        big_reset();
        bool location = o.row->location_is == j + 1;
        double size = location || o.p[j] == 0 ? width : fabs(o.p[j]);
        big side[2], h = mul(num(size), num(1e-30));
        for (int s = 0; s < 2; s++) {
          big p[NORN_DIST_P];
          for (int m = 0; m < o.n; m++)
            p[m] = m == j ? add(num(o.p[m]), s ? h : neg(h)) : num(o.p[m]);
          side[s] = below(num(x), p);
        }
        double want = dbl(over(sub(side[1], side[0]), mul(two(), h)));
        /* what one ulp of x makes */
        double slack = 4e-16 * fabs(x) * exp(o.row->logp1(x, o.p)) / fmin(probs[k], 1 - probs[k]);
        double miss = fabs(d[j + 1] - want) / (fabs(want) * (1 + slack * 1e12));
        note(f, SLOPE, miss);
        CHECK_AT(miss < 1e-10 || fabs(want) < 1e-290, f, x);
        if (!(miss < 1e-10) && fabs(want) >= 1e-290)
          fprintf(stderr, "  slope in parameter %d: %.15g not %.15g\n", j, d[j + 1], want);
      }
    }
  }
}
#endif

static void test_quantiles(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    double lo, hi, before = -HUGE_VAL;
    o.row->range1(o.p, &lo, &hi);
    for (int k = 0; k < PROBS; k++) {
      double x = o.row->quantile1(probs[k], o.p), lower, upper;
      CHECK_AT(x >= before && x >= lo && x <= hi, f, x);
      before = x;
      o.row->tails1(x, o.p, &lower, &upper);
      double c = o.row->cdf1(x, o.p);
      CHECK_AT(fabs(exp(lower) - c) <= 1e-13 * fmax(c, 1e-3), f, x);
      CHECK_AT(fabs(exp(lower) + exp(upper) - 1) <= 1e-13, f, x);
      if (o.discrete) {
        CHECK_AT(c >= probs[k] && (x == lo || o.row->cdf1(x - 1, o.p) < probs[k]), f, x);
      } else if (usable(&o, x)) {
        double miss = probs[k] < 0.5 ? lower - log(probs[k]) : upper - log1p(-probs[k]);
        /* One ulp of x moves the tail by its hazard. */
        double hazard = exp(o.row->logp1(x, o.p) - (probs[k] < 0.5 ? lower : upper));
        CHECK_AT(fabs(miss) <= 2e-11 + 8e-16 * fabs(x) * hazard, f, x);
      }
    }
    double least = o.row->quantile1(0, o.p), most = o.row->quantile1(1, o.p);
    CHECK_AT(least == lo && most == hi, f, least);
  }
}

/* ---- partials -------------------------------------------------------------------------------- */

/* The slope of the textbook formula in argument k (0: x): a difference over 1e-40 of its size
   in 320 bits. */
static double slope(const family *f, const of *o, double x, int k, double size)
{
  big_reset();
  big side[2], h = mul(num(size), num(1e-40));
  for (int i = 0; i < 2; i++) {
    big at = num(x), p[NORN_DIST_P], step = i ? h : neg(h);
    for (int j = 0; j < o->n; j++) p[j] = k == j + 1 ? add(num(o->p[j]), step) : num(o->p[j]);
    side[i] = f->exact(k == 0 ? add(at, step) : at, p);
  }
  return dbl(over(sub(side[1], side[0]), mul(two(), h)));
}

/* Relative to the slope, or where that is near 0 to the terms that cancel in it: 1/p for a small
   argument, and for a large one the 1/p^2 of a curvature. */
static void test_partials(void)
{
  double worst = 0;
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    double width = o.row->quantile1(0.75, o.p) - o.row->quantile1(0.25, o.p);
    for (int j = 0; j < 5; j++) {
      double x = o.row->quantile1((double[]){0.03, 0.3, 0.6, 0.9, 0.99}[j], o.p);
      double d[NORN_DIST_P + 1];
      if (!usable(&o, x) || !strcmp(f->name, "discrete_uniform")) continue;
      o.row->partials1(x, o.p, d);
      for (int k = o.discrete; k <= o.n; k++) {
        if (!strcmp(f->name, "binomial") && k == 1) continue;   /* the number of trials */
        double size = fabs(k ? o.p[k - 1] : x);
        if (size == 0 || (size > width && !o.discrete)) size = width;
        double exact = slope(f, &o, x, k, size);
        double miss = fabs(d[k] - exact) / fmax(fabs(exact), 1 / (size < 1 ? size : size * size));
        worst = fmax(worst, miss);
        note(f, PARTIAL, miss);
        bool good = miss < (o.discrete ? 1e-9 : 1e-12);
        CHECK_AT(good, f, x);
        if (!good) fprintf(stderr, "  partial %d: %.17g, not %.17g\n", k, d[k], exact);
      }
      if (o.discrete) CHECK_AT(d[0] == 0, f, x);
    }
  }
  printf("partials: worst error %.2g\n", worst);
}

/* ---- extreme parameters, scales -------------------------------------------------------------- */

/* Parameters from which draws must come all the same, and never NaN. */
static void check_extremes(const family *wild, int n)
{
  for (int i = 0; i < n; i++) {
    const family *f = &wild[i];
    of o = open_family(f);
    int which;
    double lo, hi, d[NORN_DIST_P + 1];
    CHECK_AT(o.row->check1(o.p, &which) == NULL, f, 0);
    o.row->range1(o.p, &lo, &hi);
    bool good = true;
    for (uint32_t k = 0; k < 1000; k++) {
      norn_rng g = {.stream = 5, .lane = k};
      double x = o.row->sample1(o.p, &g), l = o.row->logp1(x, o.p);
      bool fine = isfinite(x) && x >= lo && x <= hi && !isnan(l) && g.draw < 200;
      o.row->partials1(x, o.p, d);
      if (good && !fine) say(f, x);
      good = good && fine;
    }
    CHECK(good);
  }
}

/* What a row says of location, scale and rate: P(X <= x) is as before when they and x move. */
static void test_scales(void)
{
  for (int i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    of o = open_family(f);
    const norn_dist_row *r = o.row;
    if (!r->location_is && !r->scale_is && !r->rate_is) continue;
    double q[NORN_DIST_P], x = r->quantile1(0.3, o.p);
    double l = r->location_is ? o.p[r->location_is - 1] : 0;
    double shift = r->location_is ? 0.5 * (x - l) : 0, by = r->scale_is || r->rate_is ? 2 : 1;
    if (fabs(x - l) < 1e-9 * fabs(l) || x == 0) continue;   /* no digits left */
    memcpy(q, o.p, sizeof q);
    if (r->location_is) q[r->location_is - 1] += shift;
    if (r->scale_is) q[r->scale_is - 1] *= by;
    if (r->rate_is) q[r->rate_is - 1] /= by;
    unit_near(r->cdf1(l + shift + by * (x - l), q), 0.3, 1e-7, f->name, __FILE__, __LINE__);
  }
}
#endif
