/* check_heads.c: the losses of heads on a device (nn/gpu_kernels.h) alone, each kind of head, in floats and bf16, with
   rows of padding: losses and gradients beside those of the CPU (nn/head.c) and beside differences of its densities,
   for outputs from 0 to far out and for targets that are not in the support too. */
#include "gpu_test.h"
#include "graph/dialect.h"
#include "nn/gpu.h"
#include "nn/gpu_in.h"
#include "nn/head.h"
#include <math.h>

enum { N = 300, ROWS = 304, WIDE = 56 };         /* questions, with padding; room for a row */

static norn_state *st;

/* ---- what is asked ---- */

static bool head_make(nn_head *h, nn_head_kind kind, int n, norn_rng *g)
{
  double x[400];
  *h = (nn_head){ .kind = kind, .n = n };
  for (int i = 0; i < NORN_COUNT(x); i++) {
    double z = norn_rng_normal(g);
    x[i] = kind == NN_COUNTS ? floor(exp(1.5 + 0.8 * z)) : kind == NN_CATEGORIES ? i % n
         : kind == NN_BERNOULLI ? i % 2 : 2 + 3 * z;
  }
  if (!nn_head_fit(st, h, x, NORN_COUNT(x))) return false;
  for (int i = 0; kind == NN_BARS && i <= n; i++) h->border[i] = (float)h->border[i];    /* targets are to meet them */
  return true;
}

/* The i-th target: most are of the support, some at its edge or outside. */
static float target_of(const nn_head *h, int i, norn_rng *g)
{
  static const float odd[] = { -1, 0.5f, 2.5f, 1e10f, -1e10f, 0, 1, 100, 1e5f };
  double z = norn_rng_normal(g);
  if (i % 3 == 0) {
    if (h->kind == NN_BARS && i % 2) return (float)h->border[i / 3 % (h->n + 1)];
    return odd[i / 3 % NORN_COUNT(odd)];
  }
  switch (h->kind) {
  case NN_CATEGORIES: return (float)(i % h->n);
  case NN_BERNOULLI: return (float)(i % 2);
  case NN_COUNTS: return (float)floor(exp(1.5 + 1.5 * z));
  default: return (float)(2 + 5 * z);
  }
}

/* ---- the kernels ---- */

typedef struct there { gpu *g; gpu_module *m; gpu_kernel *soft, *bit, *mixture; bool bf16; } there;

static bool there_make(there *e, gpu *g, bool bf16, bool counts)
{
  mem m;
  text before;
  *e = (there){ .g = g, .bf16 = bf16 };
  mem_init(&m);
  text_init(&before, &m);
  text_printf(&before, "%s%s%s", counts ? dialect_text(false) : "", counts ? "#define NN_COUNTS\n" : "",
              bf16 ? "#define NN_BF16\n" : "");
  e->m = gpu_module_new(g, &(gpu_text){ "nn", before.n ? before.s : NULL, nn_gpu_kernels(), GPU_FMA | GPU_HOT });
  text_free(&before);
  return e->m && (e->soft = gpu_kernel_of(e->m, "nn_loss_soft")) && (e->bit = gpu_kernel_of(e->m, "nn_loss_bit")) &&
         (e->mixture = gpu_kernel_of(e->m, "nn_loss_mixture"));
}

static gpu_ptr put(gpu *g, const void *from, size_t n)
{
  gpu_ptr p = gpu_alloc(g, n, "numbers");
  if (p && from && gpu_upload(g, p, from, n)) return 0;
  return p;
}

static float real_of(const there *e, const void *dz, int at)
{
  uint32_t bits;
  float x;
  if (!e->bf16) return ((const float *)dz)[at];
  bits = (uint32_t)((const uint16_t *)dz)[at] << 16;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* z (ROWS, width), bias (width); loss (N), dz (ROWS, width; as floats). */
static norn_status losses(const there *e, const nn_head *h, int width, const float *z, const float *bias,
                          const float *target, float scale, double *loss, float *dz)
{
  size_t all_z = (size_t)(ROWS * width), real = e->bf16 ? 2 : 4;
  static char raw[ROWS * WIDE * 4];
  double none = 0;
  bool bars = h->kind == NN_BARS;
  gpu_ptr pz = put(e->g, z, all_z * 4), pbias = put(e->g, bias, (size_t)width * 4),
          pt = put(e->g, target, N * 4), ploss = put(e->g, NULL, N * 8), pdz = put(e->g, NULL, all_z * real),
          kept = bars ? put(e->g, h->border, (size_t)(h->n + 1) * 8) : put(e->g, &none, 8), border = bars ? kept : 0;
  int64_t rows = ROWS, n = N;
  int outputs = h->n, counts = h->kind == NN_COUNTS;
  double left = h->tail[0], right = h->tail[1], at = h->at, spread = h->scale;
  norn_status s;
  if (h->kind == NN_BERNOULLI)
    s = gpu_launch(e->g, e->bit, (rows + 255) / 256, 256, 0,
                   GPU_ARGS(&rows, &n, &width, &pz, &pbias, &pt, &scale, &ploss, &pdz));
  else if (bars || h->kind == NN_CATEGORIES)
    s = gpu_launch(e->g, e->soft, (32 * rows + 255) / 256, 256, 0,
                   GPU_ARGS(&rows, &n, &outputs, &width, &pz, &pbias, &pt, &border, &left, &right, &scale, &ploss,
                            &pdz));
  else
    s = gpu_launch(e->g, e->mixture, (rows + 255) / 256, 256, 0,
                   GPU_ARGS(&rows, &n, &counts, &outputs, &width, &at, &spread, &pz, &pbias, &pt, &scale, &ploss,
                            &pdz));
  if (!s) s = gpu_download(e->g, loss, ploss, N * 8);
  if (!s) s = gpu_download(e->g, raw, pdz, all_z * real);
  for (int k = 0; k < ROWS * width; k++) dz[k] = real_of(e, raw, k);
  gpu_ptr all[] = { pz, pbias, pt, ploss, pdz, kept };
  for (int i = 0; i < NORN_COUNT(all); i++) gpu_release(e->g, all[i]);
  return s;
}

/* ---- beside the CPU ---- */

static bool near(double x, double y, double most)
{
  return x == y || fabs(x - y) <= most * (1 + fabs(y));
}

/* d loss / d z[k] by five values of the density. */
static double slope(const nn_head *h, float *z, int k, double x)
{
  const float was = z[k], by = 0x1p-9f;
  double at[4];
  for (int i = 0; i < 4; i++) {
    z[k] = was + by * (float)(i < 2 ? i - 2 : i - 1);
    at[i] = -nn_head_logq(h, z, x);
  }
  z[k] = was;
  return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * (double)by);
}

static void compare(const there *e, const nn_head *h, double size, bool slopes)
{
  enum { TIMES = 4 };                            /* what gradients are multiplied by: exact in bf16 */
  static float z[ROWS * WIDE], bias[WIDE], plain[N * WIDE], target[N], dz[ROWS * WIDE], mine[N * WIDE];
  static double loss[N], here[N];
  norn_rng g = { .stream = 31, .lane = (uint32_t)h->kind, .iter = (uint32_t)h->n };
  int outputs = nn_head_width(h), width = (outputs + 7) / 8 * 8, bad = 0, padding = 0, off = 0;
  double most = e->bf16 ? 0x1p-7 : 2e-5;
  for (int k = 0; k < width; k++) bias[k] = (float)norn_rng_normal(&g);
  for (int q = 0; q < ROWS; q++)
    for (int k = 0; k < width; k++) z[q * width + k] = (float)(size * norn_rng_normal(&g));
  for (int q = 0; q < N; q++) {
    target[q] = target_of(h, q, &g);
    for (int k = 0; k < outputs; k++) plain[q * outputs + k] = z[q * width + k] + bias[k];
  }
  CHECK(losses(e, h, width, z, bias, target, TIMES, loss, dz) == NORN_OK);
  nn_head_loss(h, N, plain, target, here, mine);
  for (int q = 0; q < N; q++) {
    float *row = plain + q * outputs;
    double logq = nn_head_logq(h, row, target[q]);
    bad += !near(loss[q], here[q], 1e-5) || !near(loss[q], -logq, 1e-5);
    for (int k = 0; k < outputs; k++) {
      double d = dz[q * width + k] / TIMES;
      bad += !near(d, mine[q * outputs + k], most);
      if (slopes && logq > -12) off += !near(d, slope(h, row, k, target[q]), fmax(most, 3e-4));
    }
  }
  for (int q = 0; q < ROWS; q++)
    for (int k = q < N ? outputs : 0; k < width; k++) padding += dz[q * width + k] != 0;
  CHECK(bad == 0 && padding == 0 && off == 0);
  if (bad || padding || off)
    fprintf(stderr, "%s of %d, outputs of size %g, bf16 %d: %d differ, %d of padding, %d slopes\n",
            nn_head_names[h->kind], h->n, size, e->bf16, bad, padding, off);
}

int main(void)
{
  static const struct { nn_head_kind kind; int n; } heads[] = {
    { NN_BARS, 3 }, { NN_BARS, 37 }, { NN_MIXTURE, 1 }, { NN_MIXTURE, 7 }, { NN_CATEGORIES, 2 }, { NN_CATEGORIES, 40 },
    { NN_BERNOULLI, 1 }, { NN_COUNTS, 1 }, { NN_COUNTS, 7 }
  };
  st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  for (int how = 0; how < 4 && g; how++) {       /* with negative binomials, and without */
    there e;
    norn_rng random = { .stream = 8 };
    bool made = there_make(&e, g, how & 1, how & 2);
    CHECK(made);
    if (!made) fprintf(stderr, "%s\n%s\n", norn_error(st)->text, norn_error(st)->hint);
    for (int i = 0; i < NORN_COUNT(heads) && made; i++) {
      nn_head h;
      if (heads[i].kind == NN_COUNTS && !(how & 2)) continue;
      if (!head_make(&h, heads[i].kind, heads[i].n, &random)) { CHECK(0); continue; }
      compare(&e, &h, 0, true);
      compare(&e, &h, 1, true);
      compare(&e, &h, 30, false);
      nn_head_free(st, &h);
    }
    gpu_module_free(e.m);
  }
  norn_free(st);
  return unit_end();
}
