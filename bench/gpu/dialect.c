/* dialect.c: what the functions of generated code cost on the device, in floats and doubles: how many a second,
   and as many multiplications with addition (FMA) as take the same time.  Each thread does one after the other,
   in registers, on numbers that change; the last row is a step of a stochastic volatility filter on arrays. */
#include "gpu_time.h"
#include "graph/dialect.h"

static const char body[] =
  "#define TIMED(name, e) \\\n"
  "NORN_KERNEL void t_##name(int64_t times, lane_real *out) \\\n"
  "{ \\\n"
  "  uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; \\\n"
  "  lanes x = (lane_real)1 + (lane_real)(i & 1023) * (lane_real)0x1p-10, sum = 0; \\\n"
  "  for (uint32_t t = 0; t < (uint32_t)times; t++) { \\\n"
  "    sum = sum + (e); \\\n"
  "    x = x + (lane_real)0x1p-20; \\\n"
  "  } \\\n"
  "  out[i] = sum; \\\n"
  "}\n"
  "NORN_DEVICE lanes words(uint32_t i, uint32_t t)\n"
  "{\n"
  "  lane_block b = lane_philox(7, i, 2, 3, t);\n"
  "  return lane_of((b.w[0] ^ b.w[1] ^ b.w[2] ^ b.w[3]) >> 9);\n"
  "}\n"
  "NORN_DEVICE lanes both(uint32_t i, uint32_t t)\n"
  "{\n"
  "  lanes low, high;\n"
  "  lane_normals(7, i, 2, 3, t, &low, &high);\n"
  "  return low + high;\n"
  "}\n"
  "NORN_DEVICE lanes turn(lanes x) { lanes s, c; v_sincos2pi(x, &s, &c); return s + c; }\n"
  "TIMED(nothing, x)\n"
  "TIMED(philox, words(i, t))\n"
  "TIMED(uniform, lane_uniform(7, i, 2, 3, t))\n"
  "TIMED(normal, lane_normal(7, i, 2, 3, t))\n"
  "TIMED(normals, both(i, t))\n"
  "TIMED(log, v_log(x))\n"
  "TIMED(exp, v_exp(x))\n"
  "TIMED(sincos, turn(x))\n"
  "TIMED(divide, 1 / x)\n"
  "TIMED(sqrt, lane_sqrt(x))\n"
  "TIMED(normal_logp, normal_logp(NORN_KEEP_ALL, LANE((lane_real)0.5), LANE((lane_real)0.25), x))\n"
  "TIMED(poisson_logp, poisson_logp(NORN_KEEP_ALL, LANE((lane_real)20), x))\n"
  "TIMED(bernoulli_logit, bernoulli_logit_logp(NORN_KEEP_ALL, LANE((lane_real)1), x))\n"
  "TIMED(lgamma, v_lgamma(x))\n"
  /* the peak: four sums side by side */
  "NORN_KERNEL void t_fma(int64_t times, lane_real *out)\n"
  "{\n"
  "  uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;\n"
  "  lane_real a = i, b = 1, c = 2, d = 3, m = (lane_real)0.999;\n"
  "  for (uint32_t t = 0; t < (uint32_t)times; t++) {\n"
  "    LANE_UNROLL\n"
  "    for (int k = 0; k < 8; k++) {\n"
  "      a = FMA(a, m, b), b = FMA(b, m, c), c = FMA(c, m, d), d = FMA(d, m, a);\n"
  "    }\n"
  "  }\n"
  "  out[i] = a + b + c + d;\n"
  "}\n"
  "NORN_KERNEL void sv_step(int64_t n, uint32_t t, lane_real y, lane_real phi, lane_real sigma, \\\n"
  "                         const lane_real *restrict h, lane_real *restrict to, lane_real *restrict w)\n"
  "{\n"
  "  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;\n"
  "  if (i >= n) return;\n"
  "  lanes z = lane_normal(7, (uint32_t)i, 2, t, 0), x = normal_draw(z, phi * h[i], sigma);\n"
  "  to[i] = x;\n"
  "  w[i] = normal_logp(NORN_KEEP_ALL, y, LANE((lane_real)0), v_exp((lane_real)0.5 * x));\n"
  "}\n";

typedef struct { gpu *g; gpu_kernel *k; gpu_ptr out, w; int64_t n, times; int f32; } job;

static norn_status turn(void *p)
{
  job *j = p;
  return gpu_launch(j->g, j->k, j->n / 256, 256, 0, GPU_ARGS(&j->times, &j->out));
}

static norn_status step(void *p)
{
  job *j = p;
  uint32_t t = 5;
  double y = 0.7, phi = 0.95, sigma = 0.25;
  float floats[3] = {0.7f, 0.95f, 0.25f};
  return j->f32 ? gpu_launch_n(j->g, j->k, j->n, 0, GPU_ARGS(&j->n, &t, floats, floats + 1, floats + 2, &j->out,
                                                            &j->out, &j->w)) :
         gpu_launch_n(j->g, j->k, j->n, 0, GPU_ARGS(&j->n, &t, &y, &phi, &sigma, &j->out, &j->out, &j->w));
}

/* Seconds of a number of one thread, all threads counted. */
static double each(job *j, gpu_module *m, const char *name)
{
  char symbol[40];
  snprintf(symbol, sizeof symbol, "t_%s", name);
  j->k = gpu_kernel_of(m, symbol);
  CHECK(j->k != NULL);
  return j->k ? gpu_time(j->g, turn, j) / ((double)j->n * (double)j->times) : NAN;
}

static void table(gpu *g, bool f32)
{
  static const char *const names[] = {"philox", "uniform", "normal", "normals", "log", "exp", "sincos", "divide",
                                      "sqrt", "normal_logp", "poisson_logp", "bernoulli_logit", "lgamma"};
  const char *kind = f32 ? "f32" : "f64";
  static char all[sizeof body + 100];
  snprintf(all, sizeof all, "#define FMA %s\n%s", f32 ? "__fmaf_rn" : "__fma_rn", body);
  gpu_text t = {f32 ? "time32" : "time64", dialect_text(f32), all, GPU_HOT};
  gpu_module *m = gpu_module_new(g, &t);
  CHECK(m != NULL);
  if (!m) {
    fprintf(stderr, "%s\n", norn_error(gpu_state(g))->text);
    return;
  }
  bool small = gpu_time_small();
  int64_t steps = small ? 4096 : 10000000, size = f32 ? 4 : 8;
  job j = {.g = g, .n = small ? 512 : 256 * 8 * (int64_t)gpu_info_of(g)->sms, .times = small ? 2 : 4096, .f32 = f32};
  j.out = gpu_alloc(g, (size_t)(size * (steps > j.n ? steps : j.n)), "numbers");
  j.w = gpu_alloc(g, (size_t)(size * steps), "weights");
  CHECK(j.out && j.w && gpu_fill(g, j.out, 0, (size_t)(size * steps)) == NORN_OK);
  double fma = each(&j, m, "fma") / 32, nothing = each(&j, m, "nothing");
  char name[80], format[80];
  snprintf(name, sizeof name, "dialect %s: FMA", kind);
  gpu_test_figure(name, "", "%.0f G/s", 1e-9 / fma);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    double s = each(&j, m, names[i]) - nothing;
    snprintf(name, sizeof name, "dialect %s: %s", kind, names[i]);
    snprintf(format, sizeof format, "%%.0f G/s, as %.0f FMA", s / fma);
    gpu_test_figure(name, "", format, 1e-9 / s);
  }
  j.k = gpu_kernel_of(m, "sv_step");
  j.n = steps;
  snprintf(name, sizeof name, "dialect %s: step of stochastic volatility, no resampling", kind);
  if (j.k) gpu_test_figure(name, "", "%.3g particle-steps/s", (double)steps / gpu_time(g, step, &j));
  CHECK(j.k != NULL);
  gpu_release(g, j.out);
  gpu_release(g, j.w);
  gpu_module_free(m);
}

int main(void)
{
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (!g) return 1;
  table(g, true);
  table(g, false);
  norn_free(st);
  return unit_end();
}
