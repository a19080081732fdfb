/* glm.c: regressions over ten million rows of twenty columns: log density and gradient as an engine asks for
   them, with all that an evaluation does, and the share of the bandwidth of a copy that was measured here.
   The data are read once: n (columns + outcomes) numbers a gradient. */
#include "gpu_time.h"
#include "gpu/bigdata.h"
#include "infer/gradient/density.h"
#include <math.h>

enum { D = 20 };

static const char copy_text[] =
  "KERNEL copy(int64_t n, const double *restrict x, double *restrict y)\n"
  "{\n"
  "  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, step = (int64_t)gridDim.x * blockDim.x;\n"
  "  for (; i < n; i += step) y[i] = x[i];\n"
  "}\n";

typedef struct copying { gpu *g; gpu_kernel *k; gpu_ptr x, y; int64_t n; } copying;

static norn_status copies(void *p)
{
  copying *j = p;
  return gpu_launch(j->g, j->k, gpu_resident(j->g, j->k, 256, 0), 256, 0, GPU_ARGS(&j->n, &j->x, &j->y));
}

/* Bytes a second, of reading and writing together. */
static double copy_bandwidth(gpu *g)
{
  gpu_module *m;
  copying j = {.g = g, .n = gpu_time_small() ? 1 << 12 : 1 << 27};
  size_t bytes = (size_t)j.n * sizeof(double);
  j.k = gpu_test_kernel(g, &m, "copy", NULL, copy_text, 0);
  j.x = gpu_alloc(g, bytes, "numbers");
  j.y = gpu_alloc(g, bytes, "numbers");
  double s = j.k && j.x && j.y && !gpu_fill(g, j.x, 1, bytes) ? gpu_time(g, copies, &j) : NAN;
  gpu_release(g, j.x);
  gpu_release(g, j.y);
  gpu_module_free(m);
  return 2 * (double)bytes / s;
}

/* ---- the data ---- */

typedef struct data { norn_ref *x, *truth, *count, *real; int64_t n; } data;

static norn_ref *array_of(norn_state *st, norn_elem elem, int rank, const int64_t *dims, void **to)
{
  norn_datum a = norn_array(st, elem, rank, dims, to);
  norn_ref *r = norn_is_none(a) ? NULL : norn_keep(st, a);
  CHECK(r != NULL);
  return r;
}

static double uniform(uint64_t *s)
{
  *s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
  return (double)(*s >> 11) * 0x1p-53;
}

/* Columns uniform on (-1, 1); outcomes from a predictor of slopes .5, -.5, .5, .. */
static bool data_make(norn_state *st, int64_t n, data *d)
{
  int64_t dims[] = {n, D};
  void *x, *truth, *count, *real;
  uint64_t s = 88172645463325252u;
  *d = (data){.n = n};
  d->x = array_of(st, NORN_F64, 2, dims, &x);
  d->truth = array_of(st, NORN_B8, 1, &n, &truth);
  d->count = array_of(st, NORN_I64, 1, &n, &count);
  d->real = array_of(st, NORN_F64, 1, &n, &real);
  if (!d->x || !d->truth || !d->count || !d->real) return false;
  for (int64_t i = 0; i < n; i++) {
    double eta = 0, u;
    for (int j = 0; j < D; j++) {
      double v = ((double *)x)[i * D + j] = 2 * uniform(&s) - 1;
      eta += (j & 1 ? -0.5 : 0.5) * v;
    }
    u = uniform(&s);
    ((uint8_t *)truth)[i] = u < 1 / (1 + exp(-eta));
    ((int64_t *)count)[i] = (int64_t)(exp(eta) + u);
    ((double *)real)[i] = eta + 2 * u - 1;
  }
  return true;
}

/* ---- a regression ---- */

typedef struct family { const char *name, *observe; bool scale; } family;

static norn_density *density_of(norn_state *st, const data *d, const family *f, const norn_ref *y)
{
  char code[400];
  norn_datum model, applied, args[2];
  snprintf(code, sizeof code,
           "model regression(X, y) {\n  let a ~ normal(0, 1)\n  let b ~ iid(normal(0, 1), %d)\n%s"
           "  observe y ~ %s\n  a\n}\nregression\n", D, f->scale ? "  let s ~ half_normal(1)\n" : "", f->observe);
  if (norn_eval(st, "bench", code, strlen(code), NORN_LOAD_REPL, &model)) return NULL;
  args[0] = norn_get(d->x);
  args[1] = norn_get(y);
  if (norn_call(st, model, args, 2, &applied)) return NULL;
  return norn_density_new(st, applied, 1, 0);
}

/* Median seconds of an evaluation. */
static double evaluation(norn_density *d, int times, double *logp, double *g)
{
  enum { MOST = 25 };
  double s[MOST], u[D + 2];
  int64_t n = norn_density_dim(d);
  for (int64_t i = 0; i < n; i++) u[i] = i & 1 ? 0.4 : -0.4;
  for (int i = 0; i < times; i++) {
    double from = gpu_time_now();
    CHECK(!norn_density_eval(d, u, logp, g));
    s[i] = gpu_time_now() - from;
  }
  qsort(s, (size_t)times, sizeof *s, gpu_time_order);
  return s[times / 2];
}

static void figure(const char *what, const char *name, bool f32, const char *goal, const char *format, double x)
{
  char all[120];
  snprintf(all, sizeof all, "%s regression, %s: %s", name, f32 ? "f32" : "f64", what);
  gpu_test_figure(all, goal, format, x);
}

typedef struct answer { double logp, g[D + 2]; } answer;

static void there(norn_state *st, gpu *g, norn_density *d, const family *f, bool f32, int64_t n, double bandwidth,
                  const answer *here)
{
  char why[300];
  answer a;
  double from = gpu_time_now(), off = 0;
  bigdata *on = bigdata_new(g, (bigdata_wish){.f32 = f32, .order = true});
  int blocks = on ? density_gpu(d, on, why, sizeof why) : -1;
  CHECK(blocks == 1);
  if (blocks != 1) {
    fprintf(stderr, "%s\n", blocks < 0 ? norn_error(st)->text : why);
    return;
  }
  printf("%s, %s: %.3g s to compile and upload\n", f->name, f32 ? "f32" : "f64", gpu_time_now() - from);
  double s = evaluation(d, 25, &a.logp, a.g), bytes = (double)n * (D + 1) * (f32 ? 4 : 8);
  for (int64_t i = 0; i < norn_density_dim(d); i++)
    off = fmax(off, fabs(a.g[i] - here->g[i]) / (1 + fabs(here->g[i]) + 1e-3 * fabs(here->logp)));
  printf("  log density off by %.2g, gradient by %.2g\n", fabs(a.logp / here->logp - 1), off);
  CHECK(fabs(a.logp / here->logp - 1) < (f32 ? 1e-5 : 1e-11) && off < (f32 ? 1e-3 : 1e-9));
  figure("gradient", f->name, f32, "", "%.0f us", 1e6 * s);
  figure("bandwidth", f->name, f32, "", "%.0f GB/s", 1e-9 * bytes / s);
  figure("of copy bandwidth", f->name, f32, f32 ? "" : ">= 60 %", "%.1f %%", 100 * bytes / s / bandwidth);
}

static void regression(norn_state *st, gpu *g, const data *d, const family *f, const norn_ref *y, double bandwidth)
{
  answer here;
  double from = gpu_time_now();
  norn_density *density = density_of(st, d, f, y);
  CHECK(density != NULL);
  if (!density) {
    fprintf(stderr, "%s\n", norn_error(st)->text);
    return;
  }
  printf("%s: %.3g s to record\n", f->name, gpu_time_now() - from);
  double s = evaluation(density, 3, &here.logp, here.g);
  printf("%s: %.4g us a gradient on one core\n", f->name, 1e6 * s);
  for (int f32 = 0; f32 < 2; f32++) there(st, g, density, f, f32, d->n, bandwidth, &here);
  norn_density_free(density);
}

int main(void)
{
  static const family families[] = {
    {"logistic", "bernoulli_logit_glm(X, a, b)", false}, {"normal", "normal_id_glm(X, a, b, s)", true},
    {"poisson", "poisson_log_glm(X, a, b)", false}};
  data d;
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (!g) return 1;
  double bandwidth = copy_bandwidth(g), from = gpu_time_now();
  gpu_test_figure("copy bandwidth, in the same run", "", "%.0f GB/s", 1e-9 * bandwidth);
  if (!data_make(st, gpu_time_small() ? 2000 : 10000000, &d)) return 1;
  printf("%lld rows of %d columns: %.3g s to make\n", (long long)d.n, D, gpu_time_now() - from);
  for (int i = 0; i < 3; i++)
    regression(st, g, &d, &families[i], i == 0 ? d.truth : i == 1 ? d.real : d.count, bandwidth);
  norn_drop(d.x);
  norn_drop(d.truth);
  norn_drop(d.count);
  norn_drop(d.real);
  norn_free(st);
  return unit_end();
}
