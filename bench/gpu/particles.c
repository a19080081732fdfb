/* particles: particle filters on a GPU: how many particles take a step in a second, where the time goes,
   beside the bandwidth of copies in the same run; and an evidence beside its exact value.  Of one filter with many particles,
   and of many filters side by side, with a block each. */
#include "gpu_time.h"
#include "../../tests/gpu/gpu_steps.h"
#include <math.h>

enum { STEPS = 100 };

/* Data of the model itself. */
static void simulate_as(const gpu_model *m, double *y, uint64_t stream)
{
  norn_rng g = { .stream = stream };
  double x = 0;
  for (int t = 0; t < STEPS; t++) {
    x = t ? m->m + m->a * (x - m->m) + m->s * norn_rng_normal(&g) : m->m + m->first * norn_rng_normal(&g);
    y[t] = m->volatility ? exp(x / 2) * norn_rng_normal(&g) : x + m->r * norn_rng_normal(&g);
  }
}

static void simulate(const gpu_model *m, double *y) { simulate_as(m, y, 42); }

/* Kalman 1960. */
static double kalman(const gpu_model *m, const double *y)
{
  double mean = m->m, var = m->first * m->first, lp = 0;
  for (int t = 0; t < STEPS; t++) {
    if (t) mean = m->m + m->a * (mean - m->m), var = m->a * m->a * var + m->s * m->s;
    double s = var + m->r * m->r, e = y[t] - mean;
    lp -= .5 * (log(2 * M_PI * s) + e * e / s);
    mean += var / s * e;
    var *= m->r * m->r / s;
  }
  return lp;
}

/* The log evidence, resampling after every step; NaN: it failed.  *se: of it, from what the effective sample
   sizes say. */
static double filter(gpu *g, const gpu_model *m, const double *y, uint32_t n, bool f32, weigher_how how,
                     uint64_t stream, double *seconds, segment_gpu_times *times, double *se)
{
  gpu_filter f = { .s = segment_gpu_new(g, n, f32), .n = n, .stream = stream };
  double log_z = 0, v = 0, from = 0;
  if (f.s && times) segment_gpu_timing(f.s, times);
  bool good = f.s != NULL;
  for (int t = 0; good && t < STEPS; t++) {
    if (t == 3 && !(good = gpu_wait(g) == NORN_OK)) break;       /* kernels are there */
    if (t == 3 && times) *times = (segment_gpu_times){ 0 };
    if (t == 3) from = gpu_time_now();
    good = gpu_filter_step(&f, m, y[t]);
    log_z += f.sums.log_sum - log(n);
    v += 1 / f.sums.ess - 1.0 / n;
    if (good && t + 1 < STEPS) good = gpu_filter_resample(&f, how);
  }
  good = good && gpu_wait(g) == NORN_OK;
  *seconds = (gpu_time_now() - from) / (STEPS - 3);
  *se = sqrt(v);
  if (!good) fprintf(stderr, "%s\n", norn_error(gpu_state(g))->text);
  segment_gpu_free(f.s);
  CHECK(good);
  return good ? log_z : NAN;
}

static norn_status copy(void *p)
{
  gpu_ptr *b = p;
  return gpu_copy((gpu *)(uintptr_t)b[0], b[1], b[2], b[3]);
}

static void bandwidth(gpu *g)
{
  size_t n = (size_t)(gpu_time_small() ? 1 : 512) << 20;
  gpu_ptr b[] = { (uintptr_t)g, gpu_alloc(g, n, "bytes"), gpu_alloc(g, n, "bytes"), n };
  double s = b[1] && b[2] ? gpu_time(g, copy, b) : NAN;
  gpu_test_figure("particles: copies", "", "%.3g TB/s", 2e-12 * (double)n / s);
  gpu_release(g, b[1]);
  gpu_release(g, b[2]);
}

static void speeds(gpu *g, uint32_t n, bool f32, weigher_how how, const char *name, const char *goal)
{
  const gpu_model sv = { .volatility = true, .m = -1, .a = .97, .s = .2, .first = .8, .event = 77 };
  double y[STEPS], seconds, se;
  segment_gpu_times t;
  char words[100];
  simulate(&sv, y);
  filter(g, &sv, y, n, f32, how, 1, &seconds, NULL, &se);
  snprintf(words, sizeof words, "particles: %s", name);
  gpu_test_figure(words, goal, "%.3g particle-steps/s", n / seconds);
  filter(g, &sv, y, n, f32, how, 1, &seconds, &t, &se);
  const double part[] = { t.propagate, t.sums, t.ancestors };
  static const char *const names[] = { "propagate and weigh", "sums", "ancestors" };
  for (int i = 0; i < 3; i++) {
    snprintf(words, sizeof words, "particles: %s, %s", name, names[i]);
    gpu_test_figure(words, "", "%.4g us a step", 1e6 * part[i] / (double)t.legs);
  }
}

static void evidence(gpu *g, uint32_t n, bool f32, weigher_how how, const char *name)
{
  const gpu_model lgss = { .m = 0, .a = .9, .s = .5, .first = 1, .r = 1, .event = 77 };
  double y[STEPS], seconds, se;
  char words[100];
  simulate(&lgss, y);
  double z = (filter(g, &lgss, y, n, f32, how, 7, &seconds, NULL, &se) - kalman(&lgss, y)) / se;
  snprintf(words, sizeof words, "particles: LGSS %s, log evidence less Kalman's", name);
  gpu_test_figure(words, "within 4", "%.2f standard errors", z);
  CHECK(fabs(z) < 4);
}

/* ---- many filters side by side ---- */

/* f filters of n particles, each of a series of its own; seconds: of a step of all.  log_z (f), or NULL: the evidence of
   each; exact (f): Kalman's. */
static bool crowd(gpu *g, const gpu_model *m, uint32_t f, uint32_t n, bool f32, weigher_how how, double threshold,
                  double *seconds, segment_gpu_times *times, double *log_z, double *exact)
{
  uint32_t each = (n + 31) / 32 * 32;
  uint64_t *stream = malloc(f * sizeof *stream);
  segment_cell *y = malloc((size_t)f * STEPS * sizeof *y);
  double *one = malloc(STEPS * sizeof *one), from = 0;
  filters_told *told = malloc(sizeof *told);
  for (uint32_t k = 0; k < f; k++) {
    stream[k] = 1000003u * (uint64_t)(k + 1);
    simulate_as(m, one, 42 + k);
    if (exact) exact[k] = kalman(m, one);
    for (int t = 0; t < STEPS; t++) y[(size_t)t * f + k].d = one[t];
  }
  gpu_filters c = { .s = segment_gpu_plate(g, f, n, each, f32, how, threshold, stream), .f = f, .n = n, .each = each,
                    .streams = stream };
  bool good = c.s != NULL;
  if (good && times) segment_gpu_timing(c.s, times);
  for (int t = 0; good && t < STEPS; t++) {
    if (t == 3 && !(good = gpu_wait(g) == NORN_OK)) break;       /* kernels are there */
    if (t == 3 && times) *times = (segment_gpu_times){ 0 };
    if (t == 3) from = gpu_time_now();
    good = gpu_filters_step(&c, m, y + (size_t)t * f);
  }
  good = good && gpu_wait(g) == NORN_OK;
  *seconds = (gpu_time_now() - from) / (STEPS - 3);
  for (uint32_t k = 0; good && log_z && k < f; k++) {
    good = !filters_course(segment_gpu_filters(c.s), k, told);
    log_z[k] = good ? told->evidence[told->n - 1] : NAN;
  }
  if (!good) fprintf(stderr, "%s\n", norn_error(gpu_state(g))->text);
  CHECK(good);
  segment_gpu_free(c.s);
  free(stream), free(y), free(one), free(told);
  return good;
}

static void crowd_speeds(gpu *g, uint32_t f, uint32_t n, bool f32, weigher_how how, double threshold, const char *name,
                         const char *goal)
{
  const gpu_model sv = { .volatility = true, .m = -1, .a = .97, .s = .2, .first = .8, .event = 77 };
  double seconds;
  segment_gpu_times t;
  char words[100];
  if (!crowd(g, &sv, f, n, f32, how, threshold, &seconds, NULL, NULL, NULL)) return;
  snprintf(words, sizeof words, "particles: %s", name);
  gpu_test_figure(words, goal, "%.3g particle-steps/s", (double)f * n / seconds);
  if (!crowd(g, &sv, f, n, f32, how, threshold, &seconds, &t, NULL, NULL)) return;
  snprintf(words, sizeof words, "particles: %s, propagate and weigh", name);
  gpu_test_figure(words, "", "%.4g us a step", 1e6 * t.propagate / (double)t.legs);
  snprintf(words, sizeof words, "particles: %s, sums and ancestors", name);
  gpu_test_figure(words, "", "%.4g us a step", 1e6 * t.ancestors / (double)t.legs);
}

/* Z is unbiased: the mean of Z over Kalman's, of many series. */
static void crowd_evidence(gpu *g, uint32_t f, uint32_t n, bool f32, const char *name)
{
  const gpu_model lgss = { .m = 0, .a = .9, .s = .5, .first = 1, .r = 1, .event = 77 };
  double *log_z = malloc(f * sizeof *log_z), *exact = malloc(f * sizeof *exact), seconds, mean = 0, square = 0;
  char words[100];
  if (crowd(g, &lgss, f, n, f32, WEIGHER_SYSTEMATIC, .5, &seconds, NULL, log_z, exact)) {
    for (uint32_t k = 0; k < f; k++) mean += exp(log_z[k] - exact[k]) / f;
    for (uint32_t k = 0; k < f; k++) square += pow(exp(log_z[k] - exact[k]) - mean, 2) / f;
    double z = (mean - 1) / sqrt(square / f);
    snprintf(words, sizeof words, "particles: LGSS %s, mean of Z over Kalman's", name);
    gpu_test_figure(words, "1", "%.4f", mean);
    snprintf(words, sizeof words, "particles: LGSS %s, its distance from 1", name);
    gpu_test_figure(words, "within 4", "%.2f standard errors", z);
    CHECK(fabs(z) < 4);
  }
  free(log_z), free(exact);
}

#define VOLATILITY "model volatility(ys) {\n" \
                   "  for y in ys with x = -1.0 {\n" \
                   "    let x2 ~ normal(-1 + 0.97 * (x + 1), 0.2)\n" \
                   "    observe y ~ normal(0, exp(0.5 * x2))\n" \
                   "    next x2\n" \
                   "  }\n" \
                   "}\n"

/* Seconds of what Norn does; NaN: it failed. */
static double seconds(norn_state *st, const char *words)
{
  norn_datum out;
  double from = gpu_time_now();
  if (!norn_eval(st, "bench", words, strlen(words), 0, &out)) return gpu_time_now() - from;
  fprintf(stderr, "%s\n", norn_error(st)->text);
  norn_clear(st);
  return NAN;
}

/* Seconds of a whole inference of many filters; their data are made before. */
static double crowd_whole(norn_state *st, uint32_t f, uint32_t n, int steps)
{
  char words[900];
  snprintf(words, sizeof words, "let ys = for k in 0..%u { for t in 0..%d { 3 * sin(t / 5 + k) } }\nlen(ys)\n", (unsigned)f,
           steps);
  if (isnan(seconds(st, words))) return NAN;
  snprintf(words, sizeof words, VOLATILITY
           "let posts = infer([volatility(y) for y in ys], smc(particles = %u, threshold = 1.0, delayed = false,\n"
           "  device = \"gpu\", precision = \"f32\"))\n"
           "sum([evidence(p) for p in posts])\n", (unsigned)n);
  return seconds(st, words);
}

static void crowd_wholes(norn_state *st, uint32_t f, uint32_t n)
{
  enum { RUNS = 3, FEW = 10, MANY = 110 };
  static const int steps[] = { FEW, MANY };
  double t[2][RUNS];
  crowd_whole(st, f, n, FEW);                            /* kernels and memory are there */
  for (int r = 0; r < RUNS; r++)
    for (int k = 0; k < 2; k++) t[k][r] = crowd_whole(st, f, n, steps[k]);
  for (int k = 0; k < 2; k++) qsort(t[k], RUNS, sizeof *t[k], gpu_time_order);
  double few = t[0][RUNS / 2], many = t[1][RUNS / 2], step = (many - few) / (MANY - FEW);
  if (!(step > 0)) step = NAN;
  gpu_test_figure("particles: 10,000 filters of 1,000 in Norn, SV f32", "", "%.3g particle-steps/s", (double)f * n / step);
  gpu_test_figure("particles: the same, all of it with 110 observations", "", "%.3g s", many);
  gpu_test_figure("particles: the same, start and finish", "", "%.3g s", few - FEW * step);
}

static void crowds(norn_state *st, gpu *g, bool small)
{
  uint32_t f = small ? 20 : 10000;
  crowd_speeds(g, f, 1000, true, WEIGHER_SYSTEMATIC, 1, "10,000 filters of 1,000, SV f32", "3e10");
  crowd_speeds(g, f, 1000, true, WEIGHER_SYSTEMATIC, .5, "10,000 filters of 1,000, SV f32, threshold .5", "3e10");
  if (!small) {
    crowd_speeds(g, f, 1000, false, WEIGHER_SYSTEMATIC, 1, "10,000 filters of 1,000, SV f64", "");
    crowd_speeds(g, f, 1000, true, WEIGHER_RESIDUAL, 1, "10,000 filters of 1,000, SV f32 residual", "");
    crowd_speeds(g, f, 1000, true, WEIGHER_MULTINOMIAL, 1, "10,000 filters of 1,000, SV f32 multinomial", "");
    crowd_speeds(g, 100000, 100, true, WEIGHER_SYSTEMATIC, 1, "100,000 filters of 100, SV f32", "");
    crowd_speeds(g, 1000, 10000, true, WEIGHER_SYSTEMATIC, 1, "1,000 filters of 10,000, SV f32", "");
  }
  crowd_evidence(g, small ? 20 : 2000, 1000, true, "2,000 filters of 1,000, f32");
  if (!small) crowd_wholes(st, f, 1000);
}

static double whole(norn_state *st, uint32_t n, int steps)
{
  char words[900];
  snprintf(words, sizeof words, VOLATILITY
           "evidence(infer(volatility(for t in 0..%d { 3 * sin(t / 5) }), smc(particles = %u, threshold = 1.0,\n"
           "  delayed = false, device = \"gpu\", precision = \"f32\")))\n", steps, (unsigned)n);
  return seconds(st, words);
}

/* What a step costs there, where the VM says what is to be done, by two numbers of steps that differ by far
   more than runs do; and how long the whole takes, with the draws, and without the steps. */
static void wholes(norn_state *st, uint32_t n)
{
  enum { RUNS = 3, FEW = 10, SOME = 110, MANY = 610 };
  static const int steps[] = { FEW, SOME, MANY };
  double t[3][RUNS];
  whole(st, n, FEW);                                     /* kernels and memory are there */
  for (int r = 0; r < RUNS; r++)
    for (int k = 0; k < 3; k++) t[k][r] = whole(st, n, steps[k]);
  for (int k = 0; k < 3; k++) qsort(t[k], RUNS, sizeof *t[k], gpu_time_order);
  double few = t[0][RUNS / 2], some = t[1][RUNS / 2], step = (t[2][RUNS / 2] - few) / (MANY - FEW);
  if (!(step > 0)) step = NAN;                           /* lost in what else varies */
  gpu_test_figure("particles: smc(device = \"gpu\") in Norn, SV f32 1e7", "", "%.3g particle-steps/s",
                  n / step);
  gpu_test_figure("particles: the same, all of it with 110 observations", "1.5", "%.3g s", some);
  gpu_test_figure("particles: the same, start and finish", "", "%.3g s", few - FEW * step);
}

int main(void)
{
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g) {
    bool small = gpu_time_small();
    bandwidth(g);
    speeds(g, small ? 3000 : 10000000, true, WEIGHER_SYSTEMATIC, "SV f32 1e7", "3e10");
    speeds(g, small ? 3000 : 10000000, true, WEIGHER_RESIDUAL, "SV f32 1e7 residual", "");
    speeds(g, small ? 3000 : 10000000, true, WEIGHER_MULTINOMIAL, "SV f32 1e7 multinomial", "");
    speeds(g, small ? 3000 : 10000000, false, WEIGHER_SYSTEMATIC, "SV f64 1e7", "");
    if (!small) speeds(g, 100000, true, WEIGHER_SYSTEMATIC, "SV f32 1e5", "");
    if (!small) speeds(g, 100000, true, WEIGHER_RESIDUAL, "SV f32 1e5 residual", "");
    evidence(g, small ? 3000 : 1000000, false, WEIGHER_SYSTEMATIC, "f64 1e6");
    evidence(g, small ? 3000 : 1000000, true, WEIGHER_SYSTEMATIC, "f32 1e6");
    evidence(g, small ? 3000 : 1000000, true, WEIGHER_RESIDUAL, "f32 1e6 residual");
    evidence(g, small ? 3000 : 1000000, true, WEIGHER_MULTINOMIAL, "f32 1e6 multinomial");
    crowds(st, g, small);
    if (!small) wholes(st, 10000000);
  }
  norn_free(st);
  return unit_end();
}
