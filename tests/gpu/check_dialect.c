/* check_dialect: every density, derivative, domain and draw of a scalar family, by generated text on the
   device, against the library's rows: random words, draw counts and domains equal, numbers of doubles
   within 2 units in the last place (the largest is printed), of floats near.  Where NVRTC is, the text of
   floats has no instruction of doubles; that its kernels keep to registers is proved by prove.sh. */
#include "gpu_test.h"
#include "graph/dialect.h"
#include "../unit/compiled.h"
#include "../unit/dialect_cases.h"
#include "../unit/dialect_text.h"

enum { STREAM = 77, EVENT = 3, ITER = 4, DRAW_WORD = 5, OUT = 2 + CASE_P };

typedef struct bench {
  gpu *g;
  gpu_module *m;
  bool f32;
  gpu_ptr x, p, out, next;
  double host[OUT * CASES];
  uint32_t words[4 * CASES];
  double worst_logp, worst_slope, worst_draw;        /* units in the last place */
  void *twin;                                        /* the text of floats by the host's compiler, or NULL */
  int64_t twins, unlike;                             /* numbers compared with it, with other bits */
} bench;

static size_t width(const bench *b) { return b->f32 ? 4 : 8; }
static double got(const bench *b, int k)
{
  return b->f32 ? (double)((const float *)b->host)[k] : b->host[k];
}

static bool put(const bench *b, gpu_ptr to, const double *x, int n)
{
  static float floats[CASE_P * CASES];
  if (!b->f32) return gpu_upload(b->g, to, x, (size_t)n * 8) == NORN_OK;
  for (int k = 0; k < n; k++) floats[k] = (float)x[k];
  return gpu_upload(b->g, to, floats, (size_t)n * 4) == NORN_OK && gpu_wait(b->g) == NORN_OK;
}

/* Units in the last place between two doubles; 0 for two NaN and two equal infinities. */
static double ulps_between(double a, double b)
{
  if (a == b || (a != a && b != b)) return 0;
  if (!(fabs(a) < HUGE_VAL) || !(fabs(b) < HUGE_VAL)) return HUGE_VAL;
  int e;
  frexp(fmax(fabs(a), fabs(b)), &e);
  return fabs(a - b) / ldexp(1, e - 53 < -1074 ? -1074 : e - 53);
}

static bool near(double is, double should, double scale, double tolerance)
{
  if (is != is && should != should) return true;
  if (!(fabs(should) < 1e30)) return true;           /* beyond floats */
  return fabs(is - should) <= tolerance * (1 + fabs(should) + (scale < HUGE_VAL ? scale : 0));
}

static bool run(bench *b, const family_cases *c, const char *what, void *const *args)
{
  char name[80];
  snprintf(name, sizeof name, "%s_%s", c ? c->name : "", what);
  gpu_kernel *k = gpu_kernel_of(b->m, c ? name : what);
  bool good = k && gpu_launch(b->g, k, CASES / 128, 128, 0, args) == NORN_OK;
  if (!good) fprintf(stderr, "  %s: %s\n", c ? name : what, norn_error(gpu_state(b->g))->text);
  CHECK(good);
  return good;
}

static bool get(bench *b, int rows)
{
  bool good = gpu_download(b->g, b->host, b->out, (size_t)rows * CASES * width(b)) == NORN_OK;
  CHECK(good);
  return good;
}

static void wrong_at(const bench *b, const family_cases *c, const char *what, int k, double is, double should)
{
  fprintf(stderr, "  %s %s %s of (%g; %g, %g, %g): %.17g is not %.17g\n", b->f32 ? "f32" : "f64", c->name,
          what, c->x[k], c->p[0][k], c->p[1][k], c->p[2][k], is, should);
}

/* The floats of a kernel of densities beside those of the host's compiler. */
static void beside_twin(bench *b, const family_cases *c, const char *what, int rows)
{
  static float x[CASES], p[CASE_P * CASES], out[OUT * CASES];
  void (*f)(int64_t, const float *, const float *, float *);
  char name[80];
  snprintf(name, sizeof name, "%s_%s", c->name, what);
  void *symbol = dlsym(b->twin, name);
  CHECK(symbol != NULL);
  if (!symbol) return;
  memcpy(&f, &symbol, sizeof f);
  for (int k = 0; k < CASES; k++) x[k] = (float)c->x[k];
  for (int k = 0; k < CASE_P * CASES; k++) p[k] = (float)c->p[k / CASES][k % CASES];
  f(CASES, x, p, out);
  for (int k = 0; k < rows * CASES; k++) {
    float is = ((const float *)b->host)[k];
    b->twins++;
    b->unlike += memcmp(&is, &out[k], 4) && !(is != is && out[k] != out[k]);
  }
}

static void densities(bench *b, const family_cases *c)
{
  int64_t n = CASES;
  int wrong = 0;
  if (!put(b, b->x, c->x, CASES) || !put(b, b->p, c->p[0], CASE_P * CASES)) { CHECK(0); return; }
  for (int slopes = 0; slopes < 2; slopes++) {
    if (!run(b, c, slopes ? "slopes" : "logps", GPU_ARGS(&n, &b->x, &b->p, &b->out)) ||
        !get(b, slopes ? c->np + 2 : 1)) return;
    if (b->twin) beside_twin(b, c, slopes ? "slopes" : "logps", slopes ? c->np + 2 : 1);
    for (int k = 0; k < CASES; k++) {
      double p[NORN_DIST_P], d[1 + NORN_DIST_P], scale = 0;
      case_p(c, k, p);
      double l = c->row->logp1(c->x[k], p);
      c->row->partials1(c->x[k], p, d);
      for (int i = 0; i <= c->np; i++) scale += fabs(d[i] * (i ? p[i - 1] : c->x[k]));
      for (int j = 0; j <= slopes * (c->np + 1); j++) {
        double is = got(b, j * CASES + k), should = j ? d[j - 1] : l;
        if (b->f32 && j && (!(fabs(l) < HUGE_VAL) || fabs(c->x[k]) > 1e7)) continue;
        double off = b->f32 ? 0 : ulps_between(is, should), *worst = j ? &b->worst_slope : &b->worst_logp;
        *worst = fmax(*worst, off);
        if (b->f32 ? near(is, should, j ? 0 : scale, j ? 2e-3 : 2e-6) : off <= 2) continue;
        if (wrong++ < 3) wrong_at(b, c, j ? "slope" : "logp", k, is, should);
      }
    }
  }
  CHECK(!wrong);
}

static void domains(bench *b, const family_cases *c)
{
  int64_t n = CASES;
  int wrong = 0, which;
  if (b->f32 || !put(b, b->p, c->odd[0], CASE_P * CASES)) return;
  if (!run(b, c, "domain", GPU_ARGS(&n, &b->p, &b->out)) || !get(b, 1)) return;
  for (int k = 0; k < CASES; k++) {
    double p[NORN_DIST_P] = {0};
    for (int i = 0; i < c->np; i++) p[i] = c->odd[i][k];
    wrong += (c->row->check1(p, &which) == NULL) != (got(b, k) == 1);
  }
  CHECK(!wrong);
}

static norn_rng counter(int k) { return (norn_rng){STREAM, (uint32_t)k, EVENT, ITER, DRAW_WORD, NULL}; }

/* From loops, and as functions of one number. */
static void draws(bench *b, const family_cases *c, bool loops)
{
  int64_t n = CASES;
  uint64_t stream = STREAM;
  uint32_t event = EVENT, iter = ITER;
  int wrong = 0;
  if (!loops && !c->of_normal && !c->of_uniform) return;
  if (!put(b, b->p, c->p[0], CASE_P * CASES)) { CHECK(0); return; }
  if (!run(b, c, loops ? "samples" : "draws",
           GPU_ARGS(&n, &stream, &event, &iter, &b->p, &b->out, &b->next)) || !get(b, 1)) return;
  if (loops) CHECK(gpu_download(b->g, b->words, b->next, CASES * sizeof *b->words) == NORN_OK);
  for (int k = 0; k < CASES; k++) {
    double p[NORN_DIST_P];
    norn_rng g = counter(k);
    case_p(c, k, p);
    double should = c->row->sample1(p, &g), is = got(b, k);
    double off = b->f32 ? 0 : ulps_between(is, should);
    b->worst_draw = fmax(b->worst_draw, off);
    if (b->f32 ? near(is, should, 0, 2e-3) : off <= 2 && (!loops || b->words[k] == g.draw)) continue;
    if (wrong++ < 3 && !b->f32) wrong_at(b, c, "draw", k, is, should);
  }
  if (b->f32 && wrong <= CASES * 3 / 100) wrong = 0;      /* rejections and steps may go another way */
  if (wrong) fprintf(stderr, "  %s: %d draws\n", c->name, wrong);
  CHECK(!wrong);
}

static void numbers(bench *b)
{
  int64_t n = CASES;
  uint64_t stream = STREAM;
  uint32_t event = EVENT, iter = ITER;
  int wrong = 0;
  double worst = 0;
  if (!run(b, NULL, "numbers", GPU_ARGS(&n, &stream, &event, &iter, &b->next, &b->out)) || !get(b, 3)) return;
  CHECK(gpu_download(b->g, b->words, b->next, sizeof b->words) == NORN_OK);
  for (int k = 0; k < CASES; k++) {
    rng_block w = rng_philox((uint32_t)k, EVENT, ITER, DRAW_WORD, STREAM);
    for (int i = 0; i < 4; i++) wrong += b->words[i * CASES + k] != w.w[i];
    norn_rng g = counter(k), low = counter(k & ~8), high = counter(k | 8);
    double u = rng_uniform(&g), y = rng_normal(&low), z = rng_normal(&high);
    wrong += got(b, k) != (b->f32 ? floor(u * 0x1p23) * 0x1p-23 + 0x1p-24 : u);
    worst = fmax(worst, fmax(fabs(got(b, CASES + k) - y), fabs(got(b, 2 * CASES + k) - z)));
  }
  CHECK(!wrong);
  CHECK(worst <= (b->f32 ? 3e-6 : 4e-16));
}

/* The text of floats as C, if there is a compiler. */
static void *twin_new(void)
{
  char *code = malloc(dialect_size(true) + sizeof dialect_body);
  if (!code || system("${CC:-cc} --version >/dev/null 2>&1")) return free(code), NULL;
  int n = sprintf(code, "%s%s", dialect_text(true), dialect_body);
  void *o = compiled(code, (size_t)n, "");
  free(code);
  return o;
}

static void on_device(gpu *g, bool f32)
{
  bench b = {.g = g, .f32 = f32};
  family_cases *all = cases_new(f32);
  gpu_text t = {f32 ? "dialect32" : "dialect64", dialect_text(f32), dialect_body, GPU_HOT};
  size_t n = CASES * 8;
  b.twin = f32 ? twin_new() : NULL;
  b.m = gpu_module_new(g, &t);
  if (!b.m) fprintf(stderr, "%s\n", norn_error(gpu_state(g))->text);
  CHECK(b.m && all);
  b.x = gpu_alloc(g, n, "x"), b.p = gpu_alloc(g, CASE_P * n, "p"), b.out = gpu_alloc(g, OUT * n, "out");
  b.next = gpu_alloc(g, 4 * n, "words");
  CHECK(b.x && b.p && b.out && b.next);
  if (b.m && all) {
    numbers(&b);
    for (int i = 0; i < CASE_FAMILIES; i++) {
      densities(&b, &all[i]);
      domains(&b, &all[i]);
      draws(&b, &all[i], true);
      draws(&b, &all[i], false);
    }
    if (!f32) {
      gpu_test_figure("dialect f64: ulp from the CPU, log densities", "<= 2", "%g", b.worst_logp);
      gpu_test_figure("dialect f64: ulp from the CPU, derivatives", "<= 2", "%g", b.worst_slope);
      gpu_test_figure("dialect f64: ulp from the CPU, draws", "<= 2", "%g", b.worst_draw);
    }
  }
  if (b.twin) {
    CHECK(b.unlike <= b.twins / 100);
    gpu_test_figure("dialect f32: numbers of a million with other bits than the CPU's", "0", "%.0f",
                    1e6 * (double)b.unlike / (double)(b.twins ? b.twins : 1));
    dlclose(b.twin);
  }
  gpu_release(g, b.x), gpu_release(g, b.p), gpu_release(g, b.out), gpu_release(g, b.next);
  gpu_module_free(b.m);
  free(all);
}

/* NVRTC itself, where it is: in the text of floats no instruction is of doubles. */
static void no_doubles(const char *nvrtc)
{
  norn_config c = norn_config_default();
  gpu_software soft;
  gpu_text t = {"dialect32", dialect_text(true), dialect_body, GPU_HOT};
  gpu_code code = {0};
  if (nvrtc) setenv("NORN_NVRTC", nvrtc, 1);
  else unsetenv("NORN_NVRTC");
  norn_state *st = norn_new(&c);
  gpu_list(st, &soft, NULL, 0);
  if (soft.nvrtc) {
    CHECK(gpu_compile(st, &t, "compute_80", &code) == NORN_OK);
    if (norn_error(st)->code) fprintf(stderr, "%s\n", norn_error(st)->text);
    CHECK(code.n && memmem(code.bytes, code.n, ".f32", 4));
    CHECK(code.n && !memmem(code.bytes, code.n, ".f64", 4));
    gpu_code_free(st, &code);
  } else {
    printf("not compiled by NVRTC: %s\n", soft.why_nvrtc);
  }
  norn_free(st);
}

int main(void)
{
  const char *nvrtc = getenv("NORN_NVRTC");
  if (!gpu_test_real()) no_doubles(nvrtc);
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g) {
    on_device(g, false);
    on_device(g, true);
  }
  norn_free(st);
  return unit_end();
}
