/* check_segment.c: legs of particles on a device (gpu/segment_gpu.h): segments made by hand, beside the same
   numbers computed one particle after the other. */
#include "gpu_steps.h"
#include "infer/engine.h"
#include "num/weights.h"
#include <math.h>

enum { N = 5000, STEPS = 6 };
#define STREAM 0x0123456789abcdefu

/* ---- stochastic volatility: x' ~ normal(m + .97 (x - m), .2), y ~ normal(0, exp(x' / 2)) ---- */

static const double data[STEPS] = { .3, -1.2, .05, 2.1, -.4, .9 };

static const gpu_model model = { .volatility = true, .m = -1, .a = .97, .s = .2, .first = 1, .event = 77 };

typedef struct population {
  double x[N], logw[N], w[N], work[N];
  uint32_t below[N], to[N + 4], from[N + 4];
} population;

static void by_hand(population *p, int t)
{
  for (uint32_t k = 0; k < N; k++) {
    norn_rng g = { .stream = STREAM, .lane = k, .event = 77, .iter = (uint32_t)t };
    double z = norn_rng_normal(&g);
    p->x[k] = (t ? -1 + .97 * (p->x[k] + 1) : -1) + (t ? .2 : 1) * z;
    double s = exp(.5 * p->x[k]), e = data[t] / s;
    p->logw[k] += -.5 * e * e - log(s) - .91893853320467274178;
  }
}

static void resample_by_hand(population *p, bool each, int t)
{
  norn_rng g = { .stream = STREAM + 1, .iter = (uint32_t)t };
  weights_sum all = weights_exp(p->logw, p->w, N);
  resample_below(each ? RESAMPLE_STRATIFIED : RESAMPLE_SYSTEMATIC, p->w, all.sum, p->below, N, &g, p->work);
  size_t copies = weights_copies(p->below, N, p->to, p->from);
  for (size_t k = 0; k < copies; k++) p->x[p->to[k]] = p->x[p->from[k]];
  memset(p->logw, 0, sizeof p->logw);
}

static double distance(const double *a, const double *b)
{
  double most = 0;
  for (int i = 0; i < N; i++) most = fmax(most, fabs(a[i] - b[i]));
  return most;
}

/* Resampled after every second observation. */
static void steps(gpu *g, bool each, bool f32)
{
  static population p;
  static double logw[N];
  static segment_cell x[N];
  static double at[N];
  norn_state *st = gpu_state(g);
  const segment_backend *b = &segment_gpu_backend;
  double near = f32 ? 2e-4 : 1e-12, log_z = 0, log_z_hand = 0;
  gpu_filter f = { .s = segment_gpu_new(g, N, f32), .n = N, .stream = STREAM };
  segment_gpu *s = f.s;
  memset(&p, 0, sizeof p);
  CHECK(s != NULL);
  for (int t = 0; s && t < STEPS; t++) {
    CHECK(gpu_filter_step(&f, &model, data[t]));
    if (norn_error(st)->code) fprintf(stderr, "%s\n%s\n", norn_error(st)->text, norn_error(st)->hint);
    by_hand(&p, t);
    CHECK(b->buffer_read(s, f.x, N, NORN_REAL, x) && segment_gpu_logw(s, logw) == NORN_OK);
    for (int i = 0; i < N; i++) at[i] = x[i].d;
    if (f32 && t >= 2) continue;                 /* one place differs, and all that follows of it */
    CHECK_NEAR(distance(at, p.x), 0, near);
    CHECK_NEAR(distance(logw, p.logw), 0, 30 * near);
    weights_sum all = weights_exp(p.logw, p.w, N);
    CHECK_NEAR(f.sums.log_sum, all.top + log(all.sum), near);
    CHECK_NEAR(f.sums.ess, all.sum * all.sum / all.squares, near * N);
    if (t % 2 == 0) continue;
    log_z += f.sums.log_sum - log(N);
    log_z_hand += all.top + log(all.sum / N);
    CHECK(gpu_filter_resample(&f, each));
    resample_by_hand(&p, each, t);
  }
  CHECK_NEAR(log_z, log_z_hand, f32 ? 1e-3 : 1e-11);
  segment_gpu_free(s);
}

/* ---- every kind of operation, once ---- */

static void kinds(gpu *g, bool f32)
{
  enum { M = 40 };
  static segment_cell in[M], got[M];
  norn_state *st = gpu_state(g);
  const segment_backend *b = &segment_gpu_backend;
  segment_gpu *s = segment_gpu_new(g, M, f32);
  CHECK(s != NULL);
  if (!s) return;
  double table[] = { 10, 20.5, 30, 40.25, 50 };
  void *ints = b->buffer_new(s, M), *out[6];
  for (int i = 0; i < M; i++) in[i].i = i % 5;
  CHECK(b->buffer_write(s, ints, M, NORN_INT, in));
  for (int i = 0; i < 6; i++) out[i] = b->buffer_new(s, M);
  segment *seg = segment_new(st);
  int32_t k = segment_load(seg, NORN_INT, ints, 0), one = segment_slot(seg, NORN_INT, (segment_cell){ .i = 3 });
  int32_t array = segment_array_of(seg, table, 5, NORN_F64);
  int32_t x = segment_index(seg, NORN_REAL, (uint32_t)array, (uint32_t)k);
  int32_t sum = gpu_two(seg, S_IMUL, NORN_INT, gpu_two(seg, S_IADD, NORN_INT, k, one), k);
  int32_t less = gpu_two(seg, S_ILT, NORN_BOOL, k, one);
  int32_t pick = segment_put(seg, S_SELECT, NORN_REAL, 3, (uint32_t[]){ (uint32_t)less, (uint32_t)x,
                             (uint32_t)segment_put(seg, S_NEG, NORN_REAL, 1, (uint32_t[]){ (uint32_t)x }) });
  int32_t lg = segment_fun(seg, log, "log", (uint32_t)x);
  int32_t rate = segment_put(seg, S_TOREAL, NORN_REAL, 1, (uint32_t[]){ (uint32_t)one });
  int32_t count = segment_row(seg, S_DRAW, NORN_INT, dist_find("poisson"), 2,
                              (uint32_t[]){ (uint32_t)gpu_word(seg, 5), (uint32_t)rate });
  int32_t ops[] = { x, sum, less, pick, lg, count };
  unsigned kind[] = { NORN_REAL, NORN_INT, NORN_BOOL, NORN_REAL, NORN_REAL, NORN_INT };
  for (int i = 0; i < 6; i++) segment_output_to(seg, (uint32_t)ops[i], out[i]);
  segment_call c = { .s = seg, .n = M, .iter = 9, .stream = STREAM };
  CHECK(b->run(s, &c) == SEGMENT_RAN && c.flags == 0);
  if (norn_error(st)->code) fprintf(stderr, "%s\n%s\n", norn_error(st)->text, norn_error(st)->hint);
  double near = f32 ? 1e-5 : 1e-14;
  for (int i = 0; i < 6; i++) {
    CHECK(b->buffer_read(s, out[i], M, kind[i], got));
    for (int j = 0; j < M; j++) {
      norn_rng r = { .stream = STREAM, .lane = (uint32_t)j, .event = 5, .iter = 9 };
      double p = 3, t = table[j % 5];
      double want = i == 0 ? t : i == 3 ? (j % 5 < 3 ? t : -t) : log(t);
      int64_t whole = i == 1 ? (j % 5 + 3) * (j % 5) : i == 2 ? j % 5 < 3
                      : (int64_t)dist_find("poisson")->sample1(&p, &r);
      if (kind[i] == NORN_REAL) CHECK_NEAR(got[j].d, want, near * 50);
      else if (!(f32 && i == 5)) CHECK(got[j].i == whole);
    }
  }
  /* an index outside, in one lane: a flag; the same where the lane is dead already: none */
  in[7].i = 5;
  CHECK(b->buffer_write(s, ints, M, NORN_INT, in) && b->run(s, &c) == SEGMENT_RAN && c.flags == SEGMENT_AGAIN);
  double *more = calloc(M, sizeof *more);
  more[7] = -INFINITY;
  CHECK(segment_gpu_add(s, more) == NORN_OK && b->run(s, &c) == SEGMENT_RAN && c.flags == 0);
  free(more);
  segment_free(seg);
  /* what has no form there */
  seg = segment_new(st);
  k = gpu_real(seg, 1);
  segment_fun(seg, cbrt, "cbrt", (uint32_t)k);
  c.s = seg;
  char why[100];
  CHECK(b->run(s, &c) == SEGMENT_NEVER && (b->why(s, why, sizeof why), strstr(why, "cbrt") != NULL));
  segment_free(seg);
  segment_gpu_free(s);
}

/* ---- maps ---- */

static void maps(gpu *g)
{
  enum { M = 3000 };
  static uint32_t a[M], c[M], got[M];
  const segment_backend *b = &segment_gpu_backend;
  segment_gpu *s = segment_gpu_new(g, M, false);
  CHECK(s != NULL);
  if (!s) return;
  for (uint32_t i = 0; i < M; i++) a[i] = i * 7 % M, c[i] = M - 1 - i;
  void *x = b->map_new(s, a, M), *y = b->map_new(s, c, M), *z = b->map_compose(s, x, y, M);
  uint32_t bad = 0;
  CHECK(x && y && z && b->map_read(s, z, M, got));
  for (uint32_t i = 0; i < M; i++) bad += got[i] != c[a[i]];
  CHECK(bad == 0);
  /* a resampling: the eves follow its map */
  double *lw = malloc(M * sizeof *lw);
  for (uint32_t i = 0; i < M; i++) lw[i] = sin(i) * 3;
  CHECK(segment_gpu_add(s, lw) == NORN_OK);
  void *r = segment_gpu_resample(s, WEIGHER_SYSTEMATIC, .37, 1, 1);
  gpu_ptr eves = segment_gpu_eves(s);
  CHECK(r && eves && segment_gpu_inherit(s, r, eves) == NORN_OK);
  CHECK(b->map_read(s, r, M, got) && gpu_download(g, c, eves, sizeof c) == NORN_OK);
  CHECK(!memcmp(got, c, sizeof c));
  z = b->map_compose(s, r, x, M);
  CHECK(z && b->map_read(s, z, M, c));
  bad = 0;
  for (uint32_t i = 0; i < M; i++) bad += c[i] != a[got[i]];
  CHECK(bad == 0);
  free(lw);
  segment_gpu_free(s);
}

int main(void)
{
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g) {
    for (int k = 0; k < 4; k++) steps(g, k & 1, k & 2);
    kinds(g, false);
    kinds(g, true);
    maps(g);
    if (!gpu_test_real()) {
      setenv("NORN_MOCK", "memory=300000", 1);
      norn_state *small = gpu_test_state();
      gpu *d = gpu_open(small);
      CHECK(d && !segment_gpu_new(d, 1000000, false));
      CHECK(strstr(norn_error(small)->text, "would fit") != NULL);
      printf("%s\n", norn_error(small)->text);
      norn_free(small);
      unsetenv("NORN_MOCK");
    }
  }
  norn_free(st);
  return unit_end();
}
