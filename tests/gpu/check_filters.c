/* check_filters.c: the weights of many filters side by side on a device (gpu/filters.h): evidence, effective sample
   sizes, ancestors, families, the course; beside each filter by itself, computed as smc does it. */
#include "gpu_test.h"
#include "gpu/filters.h"
#include "infer/particles/genealogy.h"
#include "num/weights.h"
#include <math.h>

/* ---- one filter, by hand ---- */

typedef struct filter {
  genealogy tree;
  double *logw, *w, *work, log_z, least, ess, now;     /* now: log evidence with the weights of this leg */
  uint32_t *below, *to, *from, *of, eves;
} filter;

static void filter_new(norn_state *st, filter *f, uint32_t n)
{
  memset(f, 0, sizeof *f);
  f->least = n;
  f->logw = calloc(n, sizeof *f->logw);
  f->w = calloc(n + 8, sizeof *f->w);
  f->work = calloc(n, sizeof *f->work);
  f->below = calloc(n, sizeof *f->below);
  f->to = calloc(n + WEIGHTS_ROOM, sizeof *f->to);
  f->from = calloc(n + WEIGHTS_ROOM, sizeof *f->from);
  f->of = calloc(n, sizeof *f->of);
  CHECK(genealogy_new(st, &f->tree, n));
}

static void filter_free(norn_state *st, filter *f)
{
  void *all[] = { f->logw, f->w, f->work, f->below, f->to, f->from, f->of };
  for (int i = 0; i < NORN_COUNT(all); i++) free(all[i]);
  genealogy_free(st, &f->tree);
}

/* As smc_barrier and smc_resample. */
static void filter_barrier(filter *f, uint32_t n, resample_kind kind, double threshold, uint64_t stream, uint32_t iter,
                           bool last)
{
  norn_rng g = { .stream = stream, .iter = iter };
  weights_sum all = weights_exp(f->logw, f->w, n);
  f->ess = all.sum * all.sum / all.squares;
  if (f->ess < f->least) f->least = f->ess;
  f->now = f->log_z + all.top + log(all.sum / n);
  f->eves = f->tree.eves;
  for (uint32_t i = 0; i < n; i++) f->of[i] = i;
  if (last || !(threshold >= 1 || f->ess <= threshold * n)) return;
  genealogy_look(&f->tree, kind, f->w, all.sum, f->work);
  double rho = resample_below(kind, f->w, all.sum, f->below, n, &g, f->work);
  size_t copies = weights_copies(f->below, n, f->to, f->from);
  genealogy_copy(&f->tree, f->to, f->from, copies, rho);
  memset(f->logw, 0, n * sizeof *f->logw);
  for (size_t k = 0; k < copies; k++) f->of[f->to[k]] = f->from[k];
  f->log_z = f->now;
}

/* ---- what a leg weighs ---- */

enum { PATTERNS = 6 };
static double weight(int pattern, uint32_t f, uint32_t i, uint32_t n, uint32_t leg, bool f32)
{
  norn_rng g = { .stream = 5 + f, .lane = i, .iter = leg, .event = (uint32_t)pattern };
  double z = norn_rng_normal(&g), w = 0;
  switch ((pattern + f) % PATTERNS) {
  case 0: w = .8 * z; break;
  case 1: w = -3.25; break;                                       /* all equal: nothing is due */
  case 2: w = i == (n / 3 + leg) % n ? 0 : -30 - fabs(z); break;  /* one has nearly all */
  case 3: w = (i + leg) % 3 ? -HUGE_VAL : -1e3 + 2 * z; break;    /* the dead, far down */
  case 4: w = -2 * z * z + 3.0 * (i / 2048 % 5); break;           /* chunks of other scales */
  default: w = i + 1 < n && i ? .3 * z - 200 : 2.5 * z; break;    /* the first and the last alone */
  }
  return f32 ? (float)w : w;
}

/* ---- both ---- */

typedef struct sizes { uint32_t f, n, each, legs; } sizes;

static gpu_ptr upload(gpu *g, const sizes *z, const double *w, bool f32, gpu_ptr to)
{
  size_t lanes = (size_t)z->f * z->each;
  float *x = calloc(lanes, sizeof *x);
  for (size_t i = 0; i < lanes; i++) x[i] = (float)w[i];
  CHECK(!gpu_upload(g, to, f32 ? (const void *)x : (const void *)w, lanes * (f32 ? sizeof *x : sizeof *w)));
  free(x);
  return to;
}

static void compare(const filter *f, const filters_state *s, uint32_t n, uint32_t k, const uint16_t *of, const uint16_t *eve,
                    double near)
{
  const genealogy *t = &f->tree;
  uint32_t bad = 0, first = s->second ? n : 0, second = s->second ? 0 : n;
  CHECK_NEAR(s->log_z, f->log_z, near * (1 + fabs(f->log_z)));
  CHECK_NEAR(s->least, f->least, near * n);
  CHECK(s->resamplings == t->resamplings && s->left == t->left && s->open == t->open && s->eves == t->eves);
  if (!(s->resamplings == t->resamplings && s->left == t->left && s->open == t->open && s->eves == t->eves))
    fprintf(stderr, "filter %u of %u: resamplings %u %u, left %u %zu, open %d %d, eves %u %u\n", k, n, s->resamplings,
            t->resamplings, s->left, t->left, s->open, t->open, s->eves, t->eves);
  CHECK_NEAR(s->variance, t->variance, 1e3 * near);
  /* (which part of the spread parts families says nothing of its own where there is none to part: it is in these) */
  for (int i = 0; i < 1 + t->open; i++) CHECK_NEAR(s->spread[i], t->spread[i], 1e3 * near);
  for (uint32_t i = 0; i < n; i++) {
    bad += of[first + i] != t->of[i].first || eve[first + i] != t->eve[0][i];
    if (t->open) bad += of[second + i] != t->of[i].second || eve[second + i] != t->eve[1][i];
  }
  CHECK(bad == 0);
}

static void legs(gpu *g, sizes z, int pattern, weigher_how how, double threshold, bool f32)
{
  static const resample_kind kinds[] = { [WEIGHER_SYSTEMATIC] = RESAMPLE_SYSTEMATIC, [WEIGHER_STRATIFIED] = RESAMPLE_STRATIFIED,
                                         [WEIGHER_RESIDUAL] = RESAMPLE_RESIDUAL, [WEIGHER_MULTINOMIAL] = RESAMPLE_MULTINOMIAL };
  norn_state *st = gpu_state(g);
  size_t lanes = (size_t)z.f * z.each;
  filter *f = calloc(z.f, sizeof *f);
  uint64_t *stream = calloc(z.f, sizeof *stream);
  double *w = calloc(lanes, sizeof *w), near = f32 ? 1e-5 : 1e-10;
  uint32_t *of = calloc(lanes, sizeof *of), bad = 0;
  filters_state *state = calloc(z.f, sizeof *state);
  for (uint32_t k = 0; k < z.f; k++) stream[k] = 0x123456789abcdefu * (k + 1), filter_new(st, &f[k], z.n);
  filters *s = filters_new(g, z.f, z.n, z.each, f32, how, threshold, stream);
  CHECK(s != NULL);
  if (!s) fprintf(stderr, "%s\n%s\n", norn_error(st)->text, norn_error(st)->hint);
  gpu_ptr map = s ? gpu_alloc(g, lanes * sizeof *of, "a map") : 0;
  filters_told *told = calloc(1, sizeof *told), *want = calloc(z.f, sizeof *want);
  for (uint32_t leg = 0; map && leg < z.legs; leg++) {
    bool last = leg + 1 == z.legs;
    for (size_t i = 0; i < lanes; i++) w[i] = 777;             /* what lies behind the particles counts for nothing */
    for (uint32_t k = 0; k < z.f; k++)
      for (uint32_t i = 0; i < z.n; i++) {
        f[k].logw[i] += weight(pattern, k, i, z.n, leg, f32);
        if (f32) f[k].logw[i] = (float)f[k].logw[i];
        w[(size_t)k * z.each + i] = f[k].logw[i];
      }
    CHECK(!filters_barrier(s, upload(g, &z, w, f32, filters_logw(s, leg % 2)), true, leg, last ? 0 : map));
    if (!last) CHECK(!gpu_download(g, of, map, lanes * sizeof *of));
    for (uint32_t k = 0; k < z.f; k++) {
      filter_barrier(&f[k], z.n, kinds[how], threshold, stream[k], leg, last);
      for (uint32_t i = 0; i < z.each && !last; i++)
        bad += of[(size_t)k * z.each + i] != k * z.each + (i < z.n ? f[k].of[i] : i);
      if (last) continue;
      want[k].ess[leg] = f[k].ess;
      want[k].evidence[leg] = f[k].now;
      want[k].ancestors[leg] = f[k].eves;
    }
  }
  CHECK(f32 ? bad <= z.f * z.legs : bad == 0);          /* floats: weights to 1e-7, sums of them to n times that */
  if (bad) fprintf(stderr, "%u filters of %u, pattern %d, how %d, f32 %d: %u ancestors differ\n", z.f, z.n, pattern, (int)how, f32, bad);
  CHECK(map && !filters_states(s, state));
  uint16_t *own = calloc(4 * (size_t)z.n, sizeof *own);
  for (uint32_t k = 0; map && !bad && k < z.f; k++) {
    uint32_t wrong = 0;
    CHECK(!filters_fetch(s, filters_logw(s, (z.legs - 1) % 2), k, w, own, own + 2 * z.n));
    for (uint32_t i = 0; i < z.n; i++) wrong += w[i] != f[k].logw[i];
    CHECK(wrong == 0);
    compare(&f[k], &state[k], z.n, k, own, own + 2 * z.n, near);
    CHECK(!filters_course(s, k, told) && told->n == z.legs - 1 && told->stride == 1);
    for (uint32_t i = 0; i < told->n; i++) {
      CHECK(told->barrier[i] == i && told->ancestors[i] == want[k].ancestors[i]);
      CHECK_NEAR(told->ess[i], want[k].ess[i], near * z.n);
      CHECK_NEAR(told->evidence[i], want[k].evidence[i], near * (1 + fabs(want[k].evidence[i])));
    }
  }
  gpu_release(g, map);
  filters_free(s);
  for (uint32_t k = 0; k < z.f; k++) filter_free(st, &f[k]);
  free(f), free(stream), free(w), free(of), free(state), free(own), free(told), free(want);
}

/* One leg of some filters beside a weigher that has one of them alone, which rounds as they do: in floats, too, all
   ancestors are the same. */
static void alone(gpu *g, sizes z, int pattern, weigher_how how, bool f32)
{
  enum { ITER = 7 };
  size_t lanes = (size_t)z.f * z.each;
  uint64_t *stream = calloc(z.f, sizeof *stream);
  double *w = calloc(lanes, sizeof *w);
  uint32_t *of = calloc(lanes, sizeof *of), *own = calloc(z.n, sizeof *own), bad = 0;
  weigher_sums sums;
  for (uint32_t k = 0; k < z.f; k++) {
    stream[k] = 77 + k;
    for (uint32_t i = 0; i < z.n; i++) w[(size_t)k * z.each + i] = weight(pattern, k, i, z.n, 0, f32);
  }
  filters *s = filters_new(g, z.f, z.n, z.each, f32, how, 1, stream);
  weigher *b = weigher_new(g, z.n, f32);
  gpu_ptr map = gpu_alloc(g, lanes * sizeof *of, "a map"), one = b ? gpu_alloc(g, weigher_map_size(b), "a map") : 0;
  bool good = s && b && map && one &&
              !filters_barrier(s, upload(g, &z, w, f32, filters_logw(s, 0)), true, ITER, map) &&
              !gpu_download(g, of, map, lanes * sizeof *of);
  for (uint32_t k = 0; good && k < z.f; k++) {
    norn_rng u = { .stream = stream[k], .iter = ITER };
    gpu_ptr logw = weigher_logw(b, 0);
    good = !weigher_put_logw(b, logw, w + (size_t)k * z.each) && !weigher_weigh(b, logw) && !weigher_look(b, &sums) &&
           !weigher_ancestors(b, logw, how, how ? 0 : norn_rng_uniform(&u), stream[k], ITER, one) &&
           !weigher_map_read(b, one, z.n, own);
    for (uint32_t i = 0; i < z.n; i++) bad += of[(size_t)k * z.each + i] != k * z.each + own[i];
  }
  CHECK(good && !bad);
  if (bad) fprintf(stderr, "%u filters of %u, pattern %d, how %d, f32 %d: %u ancestors are not those of one alone\n", z.f, z.n,
                   pattern, (int)how, f32, bad);
  gpu_release(g, map);
  gpu_release(g, one);
  filters_free(s);
  weigher_free(b);
  free(stream), free(w), free(of), free(own);
}

/* Many barriers: every other one is told from 512 on. */
static void long_course(gpu *g)
{
  enum { LEGS = 1400, N = 33 };
  const uint64_t stream[2] = { 3, 4 };
  double w[128] = { 0 };
  filters *s = filters_new(g, 2, N, 64, false, WEIGHER_SYSTEMATIC, .5, stream);
  gpu_ptr map = s ? gpu_alloc(g, 128 * sizeof(uint32_t), "a map") : 0;
  filters_told *told = calloc(1, sizeof *told);
  for (uint32_t leg = 0; map && leg < LEGS; leg++) {
    for (int i = 0; i < N; i++) w[i] = -(double)leg, w[64 + i] = leg;
    CHECK(!gpu_upload(g, filters_logw(s, 0), w, sizeof w) && !filters_barrier(s, filters_logw(s, 0), true, leg, map));
  }
  CHECK(map && !filters_course(s, 1, told) && told->stride == 4 && told->n == LEGS / 4);
  for (uint32_t i = 0; i < told->n; i++) {
    CHECK(told->barrier[i] == 4 * i);
    CHECK_NEAR(told->evidence[i], 4 * i, 1e-9 * LEGS);
    CHECK_NEAR(told->ess[i], N, 1e-9);
  }
  gpu_release(g, map);
  filters_free(s);
  free(told);
}

/* A filter without weight says so, and troubles no other. */
static void dead(gpu *g)
{
  const uint64_t stream[3] = { 3, 4, 5 };
  double w[96];
  uint32_t flags = 0;
  filters_state state[3];
  filters *s = filters_new(g, 3, 30, 32, false, WEIGHER_SYSTEMATIC, 1, stream);
  gpu_ptr map = s ? gpu_alloc(g, 96 * sizeof(uint32_t), "a map") : 0;
  for (int i = 0; i < 96; i++) w[i] = i / 32 == 1 ? -HUGE_VAL : -2;
  CHECK(map && !gpu_upload(g, filters_logw(s, 0), w, sizeof w) && !filters_barrier(s, filters_logw(s, 0), true, 0, map));
  CHECK(!gpu_download(g, &flags, filters_flags(s), sizeof flags) && flags == filters_dead_flag());
  CHECK(!filters_states(s, state) && state[0].resamplings == 1 && state[1].resamplings == 0 && state[2].resamplings == 1);
  CHECK_NEAR(state[2].log_z, -2, 1e-12);
  gpu_release(g, map);
  filters_free(s);
}

int main(void)
{
  /* below a warp's items, of one warp, of several, a whole chunk, more than a chunk, many chunks */
  static const sizes some[] = { { 5, 3, 32, 9 }, { 7, 100, 128, 40 }, { 6, 300, 320, 26 }, { 6, 1000, 1024, 26 }, { 6, 2048, 2048, 6 },
                                { 3, 2500, 2528, 22 } };
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g) {
    for (int i = 0; i < NORN_COUNT(some); i++)
      for (int k = 0; k < 8; k++) legs(g, some[i], k, (weigher_how)((k & 1) + (k & 4) / 2), k & 2 ? 1 : .5, false);
    for (int i = 1; i < NORN_COUNT(some); i++)
      for (int k = 0; k < 4; k++)
        if (k > 1 ? some[i].n <= 1000 : i % 2 == k) legs(g, (sizes){ 3, some[i].n, some[i].each, 3 }, i, (weigher_how)k, 1, true);
    for (int k = 2; k < 4; k++) legs(g, (sizes){ 2, 2, 32, 12 }, 0, (weigher_how)k, 1, k == 3);
    for (int k = 0; k < 4 && gpu_test_real(); k++) legs(g, (sizes){ 12, 65536, 65536, 40 }, 0, (weigher_how)k, .5, false);
    for (int i = 1; i < NORN_COUNT(some); i++)
      for (int k = 0; k < 8; k++) alone(g, some[i], k + i, (weigher_how)(k / 2), k % 2);
    for (int k = 2; k < 4; k++) alone(g, (sizes){ 1, 65536, 65536, 1 }, k, (weigher_how)k, k == 3);
    long_course(g);
    dead(g);
    if (!gpu_test_real()) {
      setenv("NORN_MOCK", "order=2", 1);
      for (int k = 1; k < 4; k++) legs(g, (sizes){ 6, 1000, 1024, 20 }, 3, (weigher_how)k, 1, false);
      unsetenv("NORN_MOCK");
    }
  }
  norn_free(st);
  return unit_end();
}
