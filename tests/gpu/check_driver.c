/* check_driver.c: the shelf gpu from below: memory, copies, code, launches, shared memory and warps; and
   on the mock, what is said when something is missing or fails. */
#include "gpu_test.h"
#include <math.h>
#include <pthread.h>

/* ---- what works ---- */

static const char add_text[] =
  "KERNEL add(int64_t n, double a, const double *restrict x, double *restrict y)\n"
  "{\n"
  "  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;\n"
  "  if (i < n) y[i] = a * x[i] + y[i];\n"
  "}\n";

static void adds(gpu *g)
{
  enum { N = 1000 };
  gpu_module *m;
  gpu_kernel *k = gpu_test_kernel(g, &m, "add", NULL, add_text, 0);
  gpu_arena a;
  double x[N], y[N], was[N];
  int64_t n = N;
  double c = 1.0 / 3;
  for (int i = 0; i < N; i++) {
    x[i] = sin(i);
    was[i] = y[i] = cos(i);
  }
  CHECK(gpu_arena_new(g, &a, 0, 2 * sizeof(double), N, "numbers") == NORN_OK);
  gpu_ptr px = gpu_arena_get(&a, sizeof x), py = gpu_arena_get(&a, sizeof y);
  CHECK(px && py && px % 256 == 0 && py % 256 == 0 && px != py);
  CHECK(gpu_upload(g, px, x, sizeof x) == NORN_OK && gpu_upload(g, py, y, sizeof y) == NORN_OK);
  CHECK(k && gpu_launch_n(g, k, N, 0, GPU_ARGS(&n, &c, &px, &py)) == NORN_OK);
  CHECK(gpu_download(g, y, py, sizeof y) == NORN_OK);
  int bad = 0;
  for (int i = 0; i < N; i++) {
    volatile double p = c * x[i];    /* no contraction, here and there */
    bad += y[i] != p + was[i];
  }
  CHECK(bad == 0);
  CHECK(gpu_copy(g, px, py, sizeof y) == NORN_OK && gpu_fill(g, py, 0, sizeof y) == NORN_OK);
  CHECK(gpu_download(g, x, px, sizeof x) == NORN_OK && gpu_download(g, was, py, sizeof was) == NORN_OK);
  CHECK(!memcmp(x, y, sizeof x) && was[N - 1] == 0);
  CHECK(k && gpu_kernel_use(k)->registers > 0);
  CHECK(k && gpu_resident(g, k, 128, 0) >= gpu_info_of(g)->sms);
  gpu_arena_free(&a);
  gpu_module_free(m);
}

/* A sum by shared memory, then by the lanes of a warp: each thread's number is i + 1. */
static const char sum_text[] =
  "KERNEL sum(int n, double *out)\n"
  "{\n"
  "  SHARED double s[256];\n"
  "  int i = (int)threadIdx.x, T = (int)blockDim.x;\n"
  "  double x = 0;\n"
  "  for (int k = i; k < n; k += T) x += k + 1 + 1000 * (int)blockIdx.x;\n"
  "  s[i] = x;\n"
  "  for (int half = T / 2; half >= 32; half /= 2) {\n"
  "    __syncthreads();\n"
  "    if (i < half) s[i] += s[i + half];\n"
  "  }\n"
  "  __syncthreads();\n"
  "  if (i < 32) {\n"
  "    x = s[i];\n"
  "    for (int by = 16; by; by /= 2) x += __shfl_xor_sync(0xffffffffu, x, by);\n"
  "    if (i == 0) out[blockIdx.x] = x;\n"
  "  }\n"
  "}\n";

static void sums(gpu *g)
{
  enum { BLOCKS = 3 };
  gpu_module *m;
  gpu_kernel *k = gpu_test_kernel(g, &m, "sum", NULL, sum_text, 0);
  gpu_ptr out = gpu_alloc(g, BLOCKS * sizeof(double), "sums");
  double s[BLOCKS];
  int n = 777;
  CHECK(out && k && gpu_launch(g, k, BLOCKS, 256, 0, GPU_ARGS(&n, &out)) == NORN_OK);
  CHECK(gpu_download(g, s, out, sizeof s) == NORN_OK);
  for (int b = 0; b < BLOCKS; b++) CHECK(s[b] == n * (n + 1) / 2.0 + 1000.0 * b * n);
  gpu_release(g, out);
  gpu_module_free(m);
}

/* Room that the launch gives, votes, shuffles down and up, a barrier that counts. */
static const char warp_text[] =
  "KERNEL warp(int *out)\n"
  "{\n"
  "  SHARED_ROOM(int, room);\n"
  "  int i = (int)threadIdx.x;\n"
  "  room[i] = i * i;\n"
  "  __syncthreads();\n"
  "  out[i] = room[63 - i];\n"
  "  out[64 + i] = (int)__ballot_sync(0xffffffffu, i % 3 == 0);\n"
  "  out[128 + i] = __shfl_down_sync(0xffffffffu, i, 3);\n"
  "  out[192 + i] = __shfl_up_sync(0xffffffffu, i, 1, 8);\n"
  "  out[256 + i] = __syncthreads_count(i % 5 == 0);\n"
  "  out[320 + i] = atomicAdd(&out[384], 1);\n"
  "}\n";

static void warps(gpu *g)
{
  gpu_module *m;
  gpu_kernel *k = gpu_test_kernel(g, &m, "warp", NULL, warp_text, 0);
  int out[385], seen = 0, bad = 0;
  gpu_ptr p = gpu_alloc(g, sizeof out, "numbers");
  CHECK(p && gpu_fill(g, p, 0, sizeof out) == NORN_OK);
  CHECK(k && gpu_launch(g, k, 1, 64, 64 * sizeof(int), GPU_ARGS(&p)) == NORN_OK);
  CHECK(gpu_download(g, out, p, sizeof out) == NORN_OK);
  for (int i = 0; i < 64; i++) {
    unsigned votes = 0;
    for (int j = 0; j < 32; j++) votes |= (i / 32 * 32 + j) % 3 == 0 ? 1u << j : 0;
    bad += out[i] != (63 - i) * (63 - i);
    bad += (unsigned)out[64 + i] != votes;
    bad += out[128 + i] != (i % 32 + 3 < 32 ? i + 3 : i);
    bad += out[192 + i] != (i % 8 >= 1 ? i - 1 : i);
    bad += out[256 + i] != 13;
    seen += out[320 + i];
  }
  CHECK(bad == 0);
  CHECK(out[384] == 64 && seen == 63 * 64 / 2);
  gpu_release(g, p);
  gpu_module_free(m);
}

static void times(gpu *g)
{
  gpu_mark from = { 0 }, to = { 0 };
  CHECK(gpu_mark_put(g, &from) == NORN_OK && gpu_mark_put(g, &to) == NORN_OK);
  double s = gpu_seconds(&from, &to);
  CHECK(s >= 0 && s < 1);
  gpu_mark_free(&from);
  gpu_mark_free(&to);
}

/* ---- what is said ---- */

static void says(norn_state *st, const char *what)
{
  bool there = strstr(norn_error(st)->text, what) != NULL;
  CHECK(there);
  if (!there) fprintf(stderr, "lacks: %s\nin: %s\n", what, norn_error(st)->text);
}

static void bad_code(gpu *g)
{
  norn_state *st = gpu_state(g);
  const gpu_text t = { "broken", NULL,
                       "/* at model.norn:3:5 */\n"
                       "KERNEL broken(double *x)\n"
                       "{\n"
                       "  x[0] = 1; /* at model.norn:7:9 */\n"
                       "  x[1] = nonsense;\n"
                       "  x[2] = 3; /* at model.norn:8:1 */\n"
                       "}\n", 0 };
  CHECK(gpu_module_new(g, &t) == NULL);
  says(st, "the generated code of broken can't be compiled for the GPU");
  says(st, "nonsense");
  says(st, "its line 5, `x[1] = nonsense;`");
  CHECK_STR(norn_error(st)->hint, "that line is of model.norn:7:9");
  gpu_module *m = gpu_module_new(g, &(gpu_text){ "add", NULL, add_text, 0 });
  CHECK(m && !gpu_kernel_of(m, "subtract"));
  says(st, "add has no kernel subtract");
  gpu_module_free(m);
}

static void no_room(gpu *g)
{
  norn_state *st = gpu_state(g);
  gpu_arena a;
  CHECK(gpu_arena_new(g, &a, 100, 1000, (int64_t)1 << 50, "particles") == NORN_EMEMORY);
  says(st, "1125899906842624 particles need ");
  says(st, " on the GPU, which has ");
  says(st, " would fit");
  CHECK(gpu_alloc(g, (size_t)1 << 60, "numbers") == 0);
  says(st, "numbers need ");
  CHECK(gpu_arena_new(g, &a, 1000, 0, 0, "particles") == NORN_OK);
  CHECK(gpu_arena_get(&a, a.size) && !gpu_arena_get(&a, 1));
  says(st, "an arena of the GPU has ");
  gpu_arena_free(&a);
}

/* The same bytes are there once, while somebody holds them. */
static void kept(gpu *g)
{
  enum { N = 1001 };
  char a[N], b[N], back[N];
  for (int i = 0; i < N; i++) a[i] = b[i] = (char)(i * 7);
  gpu_part one[] = { { a, N, 9 }, { a + 3, 5, 9 } }, two[] = { { b, N, 9 }, { b + 3, 5, 9 } };
  size_t before = gpu_free_memory(g);
  gpu_ptr p = gpu_keep(g, one, 2, "bytes"), q = gpu_keep(g, two, 2, "bytes");
  CHECK(p && p == q && one[0].at == 0 && one[1].at == 1024 && two[1].at == 1024);
  CHECK(gpu_download(g, back, p + one[1].at, 5) == NORN_OK && !memcmp(back, a + 3, 5));
  b[N - 1]++;
  gpu_ptr other = gpu_keep(g, two, 2, "bytes");
  CHECK(other && other != p);
  gpu_let_go(g, other);
  gpu_let_go(g, q);
  CHECK(gpu_download(g, back, p, N) == NORN_OK && !memcmp(back, a, N));
  gpu_let_go(g, p);
  gpu_let_go(g, 0);
  if (!gpu_test_real()) CHECK(gpu_free_memory(g) == before);
  CHECK(gpu_keep(g, two, 1, "bytes") != 0);      /* the state gives it back */
}

/* Guests hear that the gpu goes, if they have not left. */
static int told;
static void gone(gpu_guest *one)
{
  (void)one;
  told++;
}
static void guests(void)
{
  static gpu_guest all[3] = { { gone, NULL }, { gone, NULL }, { gone, NULL } };
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  for (int i = 0; i < 3 && g; i++) gpu_guest_come(g, all + i);
  if (g) gpu_guest_leave(g, all + 1);
  norn_free(st);
  CHECK(told == 2);
}

/* A state that does not get its device: `why` is in the error. */
static void without(const char *orders, const char *mock, const char *why)
{
  setenv("NORN_MOCK", orders, 1);
  norn_state *st = gpu_test_state();
  const char *quietly = NULL;
  gpu_test_mock(mock);
  CHECK(!gpu_there(st, &quietly) && quietly && strstr(quietly, why) != NULL);
  CHECK(!gpu_open(st) && !gpu_open(st));
  says(st, "no GPU: ");
  says(st, why);
  norn_free(st);
  setenv("NORN_MOCK", "", 1);
}

static void missing(void)
{
  norn_config c = norn_config_default();
  without("devices=0", "mock_cuda.so", "the driver (CUDA 13.0) sees no device");
  without("init=100", "mock_cuda.so", "the driver (CUDA 13.0) sees no device");
  without("init=999", "mock_cuda.so", "the driver does not start: unknown error");
  without("version=10020", "mock_cuda.so", "the driver (CUDA 10.2) is too old: 11.2 is wanted at least");
  without("cc=61", "mock_cuda.so", "Mock GPU: compute capability 6.1: 7.0 is wanted at least");
  without("version=9020", "mock_old.so", "the driver (CUDA 9.2) is too old: it lacks cuLaunchKernel");
  without("", "no_such_file.so", "NORN_CUDA: ");
  gpu_test_mock("mock_cuda.so");
  c.no_gpu = true;
  norn_state *st = norn_new(&c);
  CHECK(!gpu_open(st));
  says(st, "it was asked to be left out");
  norn_free(st);
  c.no_gpu = false;
  st = norn_new(&c);
  setenv("NORN_NVRTC", "none", 1);
  CHECK(!gpu_open(st));
  says(st, "there is no NVRTC to compile with: NORN_NVRTC is none");
  norn_free(st);
  st = norn_new(&c);
  setenv("NORN_CUDA", "none", 1);
  CHECK(!gpu_open(st));
  says(st, "NORN_CUDA is none");
  norn_free(st);
  setenv("NORN_GPU", "3", 1);
  without("", "mock_cuda.so", "NORN_GPU is 3, but there is 1");
  setenv("NORN_GPU", "-1", 1);
  without("", "mock_cuda.so", "NORN_GPU is -1, but there is 1");
  setenv("NORN_GPU", "first", 1);
  without("", "mock_cuda.so", "NORN_GPU is first, which is no device's number");
  unsetenv("NORN_GPU");
}

static void failing(void)
{
  gpu_module *m;
  norn_datum v;
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  gpu_kernel *k = gpu_test_kernel(g, &m, "add", NULL, add_text, 0);
  int64_t n = 1;
  double c = 1;
  if (!k) return;
  gpu_ptr p = gpu_alloc(g, 8, "a number");
  setenv("NORN_MOCK", "alloc=1", 1);
  CHECK(!gpu_alloc(g, 8, "numbers"));
  says(st, "numbers need 8 bytes on the GPU, which has 4.0 GiB free");
  setenv("NORN_MOCK", "memory=1000000", 1);
  gpu_arena a;
  CHECK(gpu_arena_new(g, &a, 0, 1000, 2000, "chains") == NORN_EMEMORY);
  says(st, "2000 chains need 2.0 MiB on the GPU, which has 977 KiB free; 884 would fit");
  setenv("NORN_MOCK", "refuse=1", 1);
  CHECK(gpu_launch(g, k, 1, 32, 0, GPU_ARGS(&n, &c, &p, &p)) != NORN_OK);
  says(st, "the GPU failed launching add: too many resources requested for launch");
  CHECK(!gpu_lost(g) && gpu_launch(g, k, 1, 32, 0, GPU_ARGS(&n, &c, &p, &p)) == NORN_OK);
  setenv("NORN_MOCK", "load=222", 1);
  CHECK(!gpu_module_new(g, &(gpu_text){ "sum", NULL, sum_text, 0 }));
  says(st, "the driver (CUDA 13.0) does not take the code of NVRTC 13.0 for sum");
  setenv("NORN_MOCK", "copy=1", 1);
  CHECK(gpu_download(g, &c, p, 8) != NORN_OK && gpu_download(g, &c, p, 8) == NORN_OK);
  says(st, "the GPU failed copying from it: invalid argument");
  setenv("NORN_MOCK", "launch=1", 1);
  CHECK(gpu_launch(g, k, 1, 32, 0, GPU_ARGS(&n, &c, &p, &p)) == NORN_OK && gpu_wait(g) != NORN_OK);
  says(st, "no GPU: the device was lost in a kernel: unspecified launch failure");
  CHECK(gpu_lost(g) && !gpu_open(st) && gpu_wait(g) != NORN_OK && !gpu_alloc(g, 8, "numbers"));
  says(st, "the device was lost in a kernel");
  gpu_release(g, p);
  gpu_module_free(m);
  CHECK(norn_eval(st, "test", "1 + 1", 5, NORN_LOAD_REPL, &v) == NORN_OK && v.i == 2);     /* it goes on */
  norn_free(st);
  setenv("NORN_MOCK", "", 1);
}

/* On a card: a kernel that traps takes the device with it, and nothing else.  (Not under the sanitizer, which would
   count it.) */
static void trapping(void)
{
  static const char body[] = "KERNEL traps(int *x) { if (threadIdx.x == 3) __trap();\n  x[threadIdx.x] = 1; }\n";
  norn_datum v;
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  gpu_module *m;
  gpu_kernel *k = gpu_test_kernel(g, &m, "traps", NULL, body, 0);
  gpu_ptr p = gpu_alloc(g, 32 * sizeof(int), "numbers");
  CHECK(k && p && gpu_launch(g, k, 1, 32, 0, GPU_ARGS(&p)) == NORN_OK && gpu_wait(g) != NORN_OK);
  says(st, "no GPU: the device was lost in a kernel: ");
  CHECK(gpu_lost(g) && !gpu_open(st));
  CHECK(norn_eval(st, "test", "1 + 1", 5, NORN_LOAD_REPL, &v) == NORN_OK && v.i == 2);
  gpu_release(g, p);
  norn_free(st);
}

/* A kernel that would hang, or disagrees about a barrier, is found by the mock. */
static void hanging(void)
{
  static const char *const bodies[] = {
    "KERNEL hangs(int n) { if ((int)threadIdx.x < n) __syncwarp(0xffffffffu); else __syncthreads(); }\n",
    "KERNEL hangs(int n) { if ((int)threadIdx.x < n) __syncthreads();\n else __syncthreads(); }\n",
  };
  for (int i = 0; i < 2; i++) {
    norn_state *st = gpu_test_state();
    gpu *g = gpu_test_open(st);
    gpu_module *m;
    int n = 5;
    gpu_kernel *k = gpu_test_kernel(g, &m, "hangs", NULL, bodies[i], 0);
    CHECK(gpu_launch(g, k, 1, 32, 0, GPU_ARGS(&n)) == NORN_OK && gpu_wait(g) != NORN_OK && gpu_lost(g));
    norn_free(st);
    setenv("NORN_MOCK", i ? "" : "again=1", 1);     /* forget it */
  }
}

/* The order of blocks and threads changes nothing. */
static void orders(void)
{
  static const char *const all[] = { "order=1", "order=2" };
  for (int i = 0; i < 2; i++) {
    setenv("NORN_MOCK", all[i], 1);
    norn_state *st = gpu_test_state();
    gpu *g = gpu_test_open(st);
    adds(g);
    sums(g);
    warps(g);
    norn_free(st);
  }
  setenv("NORN_MOCK", "", 1);
}

/* ---- the cache -------------------------------------------------------------------------------- */

/* In a folder of its own: what was compiled once is not compiled again, whatever is damaged is. */
static void cached(void)
{
  char dir[] = "/tmp/norn-gpu-XXXXXX", command[200];
  const gpu_text t = { "add", NULL, add_text, 0 };
  const char *was = getenv("XDG_CACHE_HOME");
  char *before = was ? strdup(was) : NULL;
  CHECK(mkdtemp(dir) != NULL);
  setenv("XDG_CACHE_HOME", dir, 1);
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  gpu_module *m = gpu_module_new(g, &t);
  CHECK(m != NULL);
  gpu_module_free(m);
  setenv("NORN_MOCK", "compile=1", 1);
  m = gpu_module_new(g, &t);
  CHECK(m && gpu_kernel_of(m, "add"));
  gpu_module_free(m);
  CHECK(!gpu_module_new(g, &(gpu_text){ "add", NULL, add_text, GPU_FMA }));      /* another entry */
  says(st, "the generated code of add can't be compiled for the GPU");
  snprintf(command, sizeof command, "for f in %s/norn/*.cubin; do echo nothing >$f; done", dir);
  CHECK(system(command) == 0);
  setenv("NORN_MOCK", "compile=2", 1);
  m = gpu_module_new(g, &t);                         /* compiled anew */
  CHECK(m && gpu_kernel_of(m, "add"));
  gpu_module_free(m);
  m = gpu_module_new(g, &t);                         /* and kept again */
  CHECK(m && gpu_kernel_of(m, "add"));
  gpu_module_free(m);
  norn_free(st);
  setenv("NORN_MOCK", "", 1);
  snprintf(command, sizeof command, "ls %s/norn | grep -c . | grep -q '^2$' && rm -r %s", dir, dir);
  CHECK(system(command) == 0);
  if (before) setenv("XDG_CACHE_HOME", before, 1);
  else unsetenv("XDG_CACHE_HOME");
  free(before);
}

/* Texts are written where NORN_DUMP_KERNELS says, whole. */
static void dumped(void)
{
  char dir[] = "/tmp/norn-dump-XXXXXX", command[300];
  const char *was = getenv("NORN_DUMP_KERNELS");
  char *before = was ? strdup(was) : NULL;
  CHECK(mkdtemp(dir) != NULL);
  setenv("NORN_DUMP_KERNELS", dir, 1);
  norn_state *st = gpu_test_state();
  gpu_module_free(gpu_module_new(gpu_test_open(st), &(gpu_text){ "add", "/* prologue */\n", add_text, GPU_FMA }));
  norn_free(st);
  snprintf(command, sizeof command,
           "f=$(ls %s/add-*.cu) && head -n 1 $f | grep -q '^/\\* norn kernel add, flags 1 \\*/$' && grep -q '^/. prologue' $f &&"
           " grep -q '^KERNEL add(' $f && rm -r %s", dir, dir);
  CHECK(system(command) == 0);
  if (before) setenv("NORN_DUMP_KERNELS", before, 1);
  else unsetenv("NORN_DUMP_KERNELS");
  free(before);
}

/* ---- memory that is not there ----------------------------------------------------------------- */

typedef struct { size_t used; long left; } hook;

/* Refuses the request that comes when left has been counted down to 0; -1: none. */
static void *scarce(void *user, void *p, size_t old, size_t n)
{
  hook *h = user;
  if (n > old && h->left >= 0 && h->left-- == 0) return NULL;
  void *q = n ? realloc(p, n) : (free(p), NULL);
  if (n && !q) return NULL;
  h->used += n - old;
  return q;
}

static void short_of_memory(void)
{
  bool done = false;
  gpu_test_mock("mock_cuda.so");
  for (long k = 0; k < 200 && !done; k++) {
    hook h = { .left = -1 };
    norn_config c = norn_config_default();
    c.quiet = true;
    c.alloc = scarce;
    c.alloc_user = &h;
    norn_state *st = norn_new(&c);
    h.left = k;
    gpu *g = gpu_open(st);
    gpu_module *m = g ? gpu_module_new(g, &(gpu_text){ "add", NULL, add_text, 0 }) : NULL;
    bool made = m && gpu_kernel_of(m, "add");       /* the cache can be done without */
    done = made && h.left >= 0;
    CHECK(made || norn_error(st)->code != NORN_OK);
    norn_free(st);
    CHECK(h.used == 0);
  }
  CHECK(done);
}

/* ---- states and threads ----------------------------------------------------------------------- */

static void *in_thread(void *p)
{
  sums(p);
  return NULL;
}

static void others(norn_state *st)
{
  pthread_t t;
  norn_state *other = gpu_test_state();
  gpu *g = gpu_test_open(st), *h = gpu_test_open(other);
  CHECK(g != h);
  adds(h);
  CHECK(pthread_create(&t, NULL, in_thread, g) == 0 && pthread_join(t, NULL) == 0);
  norn_free(other);
  adds(g);
}

static void listed(norn_state *st)
{
  gpu_software s;
  gpu_info i[4];
  int n = gpu_list(st, &s, i, 4);
  CHECK(n >= 1 && s.driver >= 11020 && s.nvrtc >= 11000 && i[0].usable && i[0].name[0] && i[0].memory > 0);
}

int main(void)
{
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g) {
    adds(g);
    sums(g);
    warps(g);
    times(g);
    bad_code(g);
    no_room(g);
    kept(g);
    listed(st);
    others(st);
  }
  norn_free(st);
  guests();
  if (gpu_test_real()) {
    if (!getenv("NORN_GPU_SMALL")) trapping();
    return unit_end();
  }
  orders();
  cached();
  dumped();
  short_of_memory();
  missing();
  failing();
  hanging();
  return unit_end();
}
