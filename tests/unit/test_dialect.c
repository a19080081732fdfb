/* test_dialect: the dialect as a text (graph/dialect.h), made into objects by the C compiler: in doubles,
   one and many to a register, every density, derivative, domain and draw of a scalar family gives the bits
   of the library's rows; in floats they are near. */
#include "graph/dialect.h"
#include "num/level.h"
#include "num/special.h"
#include "compiled.h"
#include "dialect_cases.h"
#include "dialect_text.h"
#include "unit.h"

enum { STREAM = 77, EVENT = 3, ITER = 4, DRAW_WORD = 5 };   /* DRAW_WORD: as in dialect_text.h */

typedef struct setup { void *object; bool f32; } setup;

static void *object_of(bool f32, int width, const char *flags)
{
  char *code = malloc(dialect_size(f32) + sizeof dialect_body + 100);
  const char *sanitize = getenv("EMBED_CFLAGS");
  char words[300];
  if (!code) return NULL;
  int n = sprintf(code, "#define LANES %d\n%s%s", width, dialect_text(f32), dialect_body);
  snprintf(words, sizeof words, "%s %s", flags, sanitize ? sanitize : "");
  void *o = compiled(code, (size_t)n, words);
  free(code);
  CHECK(o != NULL);
  return o;
}

static void *function(const setup *s, const char *family, const char *what)
{
  char name[80];
  snprintf(name, sizeof name, "%s_%s", family, what);
  void *f = dlsym(s->object, name);
  if (!f) fprintf(stderr, "  no %s\n", name);
  CHECK(f != NULL);
  return f;
}

static bool same(double a, double b) { return v_bits(a) == v_bits(b) || (a != a && b != b); }

/* Numbers to floats in place of what `to` had, and back. */
static void *narrow(const double *x, int n, bool f32, void *to)
{
  for (int k = 0; k < n; k++)
    if (f32) ((float *)to)[k] = (float)x[k];
    else ((double *)to)[k] = x[k];
  return to;
}
static double got(const void *x, int k, bool f32)
{
  return f32 ? (double)((const float *)x)[k] : ((const double *)x)[k];
}

/* ---- densities --------------------------------------------------------------------------------- */

/* How far floats may be off: a density by what changes of its arguments in their last places do, a
   derivative, of which the worst are differences of digamma functions, as given. */
static bool near(const family_cases *c, int k, int j, double is, double should, double logp, const double *d)
{
  double size = 1 + fabs(should);
  if (!(fabs(should) < 1e30) || (j > 0 && (!(fabs(logp) < HUGE_VAL) || fabs(c->x[k]) > 1e7))) return true;
  if (j > 0) return fabs(is - should) <= 2e-3 * size;
  if (fabs(c->x[k] * d[0]) < HUGE_VAL) size += fabs(c->x[k] * d[0]);
  for (int i = 0; i < c->np; i++) size += fabs(c->p[i][k] * d[i + 1]);
  return fabs(is - should) <= 2e-6 * size;
}

static void check_family(const setup *s, const family_cases *c)
{
  typedef void kernel(int64_t, const void *, const void *, void *);
  static _Alignas(64) double x[CASES], p[CASE_P * CASES], logp[CASES], slope[(2 + CASE_P) * CASES];
  kernel *logps, *slopes;
  void *f = function(s, c->name, "logps"), *g = function(s, c->name, "slopes");
  if (!f || !g) return;
  memcpy(&logps, &f, sizeof f);
  memcpy(&slopes, &g, sizeof g);
  narrow(c->x, CASES, s->f32, x);
  narrow(c->p[0], CASE_P * CASES, s->f32, p);
  logps(CASES, x, p, logp);
  slopes(CASES, x, p, slope);
  int wrong = 0;
  for (int k = 0; k < CASES; k++) {
    double q[NORN_DIST_P], d[1 + NORN_DIST_P];
    case_p(c, k, q);
    double l = c->row->logp1(c->x[k], q), m = c->row->partials1(c->x[k], q, d);
    for (int j = -1; j <= c->np + 1; j++) {
      double is = j < 0 ? got(logp, k, s->f32) : got(slope, j * CASES + k, s->f32);
      double should = j < 0 ? l : j == 0 ? m : d[j - 1];
      bool good = s->f32 ? near(c, k, j, is, should, l, d) : same(is, should);
      if (good) continue;
      if (wrong++ < 3)
        fprintf(stderr, "  %s %d of (%g; %g, %g, %g): %.17g is not %.17g\n", c->name, j, c->x[k], q[0], q[1],
                q[2], is, should);
    }
  }
  CHECK(!wrong);
}

static void check_domain(const setup *s, const family_cases *c)
{
  typedef void kernel(int64_t, const void *, void *);
  static _Alignas(64) double p[CASE_P * CASES], out[CASES];
  kernel *domain;
  void *f = function(s, c->name, "domain");
  if (!f) return;
  memcpy(&domain, &f, sizeof f);
  narrow(c->odd[0], CASE_P * CASES, s->f32, p);
  domain(CASES, p, out);
  int wrong = 0, which, inside = 0;
  for (int k = 0; k < CASES; k++) {
    double q[NORN_DIST_P] = {0};
    for (int i = 0; i < c->np; i++) q[i] = c->odd[i][k];
    bool good = c->row->check1(q, &which) == NULL;
    inside += good;
    wrong += good != (got(out, k, s->f32) == 1);
  }
  if (wrong) fprintf(stderr, "  domain of %s: %d wrong\n", c->name, wrong);
  CHECK(!wrong && inside > 0 && (c->np == 0 || inside < CASES));
}

/* ---- draws ------------------------------------------------------------------------------------- */

static norn_rng counter(int k) { return (norn_rng){STREAM, (uint32_t)k, EVENT, ITER, DRAW_WORD, NULL}; }

static void check_samples(const setup *s, const family_cases *c)
{
  typedef void kernel(int64_t, uint64_t, uint32_t, uint32_t, const void *, void *, uint32_t *);
  static _Alignas(64) double p[CASE_P * CASES], out[CASES];
  static uint32_t next[CASES];
  kernel *samples;
  void *f = function(s, c->name, "samples");
  if (!f) return;
  memcpy(&samples, &f, sizeof f);
  narrow(c->p[0], CASE_P * CASES, s->f32, p);
  samples(CASES, STREAM, EVENT, ITER, p, out, next);
  int wrong = 0;
  double least = 0;
  for (int k = 0; k < CASES; k++) {
    double q[NORN_DIST_P];
    norn_rng g = counter(k);
    case_p(c, k, q);
    double should = c->row->sample1(q, &g), is = got(out, k, s->f32);
    if (s->f32) {                                        /* rejection may go another way: most are near */
      least += fabs(is - should) <= 1e-4 * (1 + fabs(should)) || fabs(should) > 1e30;
      continue;
    }
    if (same(is, should) && next[k] == g.draw) continue;
    if (wrong++ < 3) fprintf(stderr, "  sample of %s: %.17g is not %.17g\n", c->name, is, should);
  }
  CHECK(!wrong);
  if (s->f32) {
    if (!(least > 0.97 * CASES))
      fprintf(stderr, "  float samples of %s: %g of %d near\n", c->name, least, CASES);
    CHECK(least > 0.97 * CASES);
  }
}

static void check_draws(const setup *s, const family_cases *c)
{
  typedef void kernel(int64_t, uint64_t, uint32_t, uint32_t, const void *, void *);
  static _Alignas(64) double p[CASE_P * CASES], out[CASES];
  kernel *draws;
  if (!c->of_normal && !c->of_uniform) return;
  void *f = function(s, c->name, "draws");
  if (!f) return;
  memcpy(&draws, &f, sizeof f);
  narrow(c->p[0], CASE_P * CASES, s->f32, p);
  draws(CASES, STREAM, EVENT, ITER, p, out);
  int wrong = 0;
  for (int k = 0; k < CASES; k++) {
    double q[NORN_DIST_P];
    norn_rng g = counter(k);
    case_p(c, k, q);
    double should = c->row->sample1(q, &g), is = got(out, k, s->f32);
    bool good = same(is, should);
    if (s->f32) good = fabs(is - should) <= 2e-3 * (1 + fabs(should)) || fabs(should) > 1e30;
    if (good) continue;
    if (wrong++ < 3) fprintf(stderr, "  draw of %s: %.17g is not %.17g\n", c->name, is, should);
  }
  if (s->f32) wrong = wrong > CASES / 100 ? wrong : 0;   /* a step of a discrete family */
  CHECK(!wrong);
}

static void check_numbers(const setup *s)
{
  typedef void kernel(int64_t, uint64_t, uint32_t, uint32_t, uint32_t *, void *);
  static _Alignas(64) double out[3 * CASES];
  static uint32_t words[4 * CASES];
  kernel *numbers;
  void *f = dlsym(s->object, "numbers");
  CHECK(f != NULL);
  if (!f) return;
  memcpy(&numbers, &f, sizeof f);
  numbers(CASES, STREAM, EVENT, ITER, words, out);
  int wrong = 0;
  double most = 0;
  for (int k = 0; k < CASES; k++) {
    rng_block b = rng_philox((uint32_t)k, EVENT, ITER, DRAW_WORD, STREAM);
    for (int i = 0; i < 4; i++) wrong += words[i * CASES + k] != b.w[i];
    norn_rng g = counter(k), low = counter(k & ~8), high = counter(k | 8);
    double u = rng_uniform(&g), a = rng_normal(&low), z = rng_normal(&high);
    double is[3] = {got(out, k, s->f32), got(out, CASES + k, s->f32), got(out, 2 * CASES + k, s->f32)};
    if (!s->f32) wrong += !same(is[0], u) || !same(is[1], a) || !same(is[2], z);
    wrong += s->f32 && is[0] != floor(u * 0x1p23) * 0x1p-23 + 0x1p-24;   /* the same cut to 23 bits */
    most = fmax(most, fmax(fabs(is[1] - a), fabs(is[2] - z)));
  }
  CHECK(!wrong);
  CHECK(s->f32 ? most > 0 && most < 3e-6 : most == 0);
}

/* ---- functions of one number, in floats -------------------------------------------------------- */

typedef double (*of_double)(double);
static double sin2pi(double x) { double s, c; v_sincos2pi(x, &s, &c); return s; }
static double cos2pi(double x) { double s, c; v_sincos2pi(x, &s, &c); return c; }

/* Worst error in units of the last place of the result (or of `one`, if that is larger). */
static double ulps(const setup *s, const char *name, of_double exact, double from, double to, bool logs,
                   double one)
{
  enum { N = 4096 };
  static _Alignas(64) float x[N], y[N];
  void (*f)(int64_t, const float *, float *);
  void *symbol = dlsym(s->object, name);
  double worst = 0;
  CHECK(symbol != NULL);
  if (!symbol) return HUGE_VAL;
  memcpy(&f, &symbol, sizeof f);
  for (int k = 0; k < N; k++) {
    double t = (k + 0.5) / N;
    x[k] = (float)(logs ? exp(log(from) + t * (log(to) - log(from))) : from + t * (to - from));
  }
  f(N, x, y);
  for (int k = 0; k < N; k++) {
    double e = exact((double)x[k]), size = fmax(fabs(e), one);
    int exponent;
    frexp(size, &exponent);
    double place = ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
    worst = fmax(worst, fabs((double)y[k] - e) / place);
  }
  if (getenv("NORN_SHOW_ULPS")) fprintf(stderr, "  %s on %g..%g: %.2f ulp\n", name, from, to, worst);
  return worst;
}

static void check_floats(const setup *s)
{
  CHECK(ulps(s, "f_log", log, 1e-45, 3e38, true, 0) < 1.5);
  CHECK(ulps(s, "f_log", log, 0.5, 2, false, 0) < 1.5);
  CHECK(ulps(s, "f_exp", exp, -87, 88.7, false, 0) < 1.2);
  CHECK(ulps(s, "f_exp", exp, -104, -87, false, 0) < 1.2);          /* subnormal */
  CHECK(ulps(s, "f_expm1", expm1, 1e-9, 88, true, 0) < 2.5);
  CHECK(ulps(s, "f_expm1", expm1, -1, 1, false, 0) < 2.5);
  CHECK(ulps(s, "f_log1p", log1p, 1e-9, 1e30, true, 0) < 3);
  CHECK(ulps(s, "f_log1p", log1p, -0.999, 1, false, 0) < 3);
  CHECK(ulps(s, "f_sin2pi", sin2pi, -1, 1, false, 0.01) < 2);
  CHECK(ulps(s, "f_cos2pi", cos2pi, -1, 1, false, 0.01) < 2);
  CHECK(ulps(s, "f_sqrt", sqrt, 1e-30, 1e30, true, 0) <= 0.5);
  CHECK(ulps(s, "f_lgamma", lgamma, 1e-3, 1e6, true, 1) < 6);
  CHECK(ulps(s, "f_digamma", special_digamma, 1e-3, 1e6, true, 1) < 12);
  CHECK(ulps(s, "f_stirling", special_stirling, 1e-3, 1e6, true, 1) < 8);
  CHECK(ulps(s, "f_erfcx", special_erfcx, 0, 100, false, 0) < 6);
  CHECK(ulps(s, "f_logit_inv", special_logit_inv, -80, 80, false, 0) < 4);
  CHECK(ulps(s, "f_norm_log_cdf", special_norm_log_cdf, -100, 5, false, 0.1) < 6);
}

/* ---- all --------------------------------------------------------------------------------------- */

static void check_all(bool f32, int width, const char *flags, const family_cases *all)
{
  setup s = {object_of(f32, width, flags), f32};
  if (!s.object || !all) return;
  check_numbers(&s);
  for (int i = 0; i < CASE_FAMILIES; i++) {
    check_family(&s, &all[i]);
    if (!f32) check_domain(&s, &all[i]);
    if (width == 1) check_samples(&s, &all[i]);
    check_draws(&s, &all[i]);
  }
  if (f32 && width == 1) check_floats(&s);
  dlclose(s.object);
}

int main(void)
{
  static const char *const flags[] = {"", "-mavx2", "-mavx512f -mavx512dq -mavx512vl"};
  norn_state *st = norn_new(NULL);
  family_cases *cases = cases_new(false), *floats = cases_new(true);
  int level = level_best();
  CHECK(cases && floats);
  check_all(false, 1, "", cases);
  check_all(false, 2 << level, flags[level], cases);
  check_all(true, 1, "", floats);
  check_all(true, 8, flags[level], floats);
  free(cases);
  free(floats);
  norn_free(st);
  return unit_end();
}
