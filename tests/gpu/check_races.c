/* check_races.c: the mock finds races (mock_race.c): kernels that have one on purpose, of each kind, and beside each
   one that is the same but for what puts its threads in order, in which nothing may be found.  On a card the latter
   run. */
#include "gpu_test.h"

static const char kernels[] =
  /* a sum of a block: with and without a barrier between its halves */
  "#define SUM(name, wait)                                                                     \\\n"
  "  KERNEL name(uint32_t *out)                                                                \\\n"
  "  {                                                                                         \\\n"
  "    SHARED uint32_t s[128];                                                                 \\\n"
  "    uint32_t t = threadIdx.x;                                                               \\\n"
  "    s[t] = t;                                                                               \\\n"
  "    __syncthreads();                                                                        \\\n"
  "    for (uint32_t h = 64; h; h /= 2) {                                                      \\\n"
  "      if (t < h) s[t] += s[t + h];                                                          \\\n"
  "      wait;                                                                                 \\\n"
  "    }                                                                                       \\\n"
  "    if (!t) out[blockIdx.x] = s[0];                                                         \\\n"
  "  }\n"
  "SUM(sum_good, __syncthreads())\n"
  "SUM(sum_bad, (void)0)\n"
  /* all read what one then writes */
  "#define TOP(name, wait)                                                                     \\\n"
  "  KERNEL name(uint32_t *out)                                                                \\\n"
  "  {                                                                                         \\\n"
  "    SHARED uint32_t s[1];                                                                   \\\n"
  "    uint32_t t = threadIdx.x, was;                                                          \\\n"
  "    if (!t) s[0] = 7;                                                                       \\\n"
  "    __syncthreads();                                                                        \\\n"
  "    was = s[0];                                                                             \\\n"
  "    wait;                                                                                   \\\n"
  "    if (t == 100) s[0] = was + 1;                                                           \\\n"
  "    out[blockIdx.x * 128 + t] = was;                                                        \\\n"
  "  }\n"
  "TOP(top_good, __syncthreads())\n"
  "TOP(top_bad, (void)0)\n"
  /* several write the same */
  "#define ANY(name, who)                                                                      \\\n"
  "  KERNEL name(uint32_t *out)                                                                \\\n"
  "  {                                                                                         \\\n"
  "    SHARED uint32_t any;                                                                    \\\n"
  "    if (!threadIdx.x) any = 0;                                                              \\\n"
  "    __syncthreads();                                                                        \\\n"
  "    if (who) any = 1;                                                                       \\\n"
  "    __syncthreads();                                                                        \\\n"
  "    out[blockIdx.x * 128 + threadIdx.x] = any;                                              \\\n"
  "  }\n"
  "ANY(any_good, threadIdx.x == 40)\n"
  "ANY(any_bad, threadIdx.x % 40 == 0)\n"
  /* the neighbour's number, of a warp and across warps; a vote gives no order */
  "#define NEXT(name, wait, other)                                                             \\\n"
  "  KERNEL name(uint32_t *out)                                                                \\\n"
  "  {                                                                                         \\\n"
  "    SHARED uint32_t s[128];                                                                 \\\n"
  "    uint32_t t = threadIdx.x;                                                               \\\n"
  "    for (uint32_t k = 0; k < 3; k++) {                                                      \\\n"
  "      s[t] = t + k;                                                                         \\\n"
  "      wait;                                                                                 \\\n"
  "      out[blockIdx.x * 128 + t] = s[other];                                                 \\\n"
  "      wait;                                                                                 \\\n"
  "    }                                                                                       \\\n"
  "  }\n"
  "NEXT(warp_good, __syncwarp(), t ^ 1)\n"
  "NEXT(warp_far_bad, __syncwarp(), t ^ 32)\n"
  "NEXT(warp_vote_bad, (void)__ballot_sync(0xffffffffu, 1), t ^ 1)\n"
  "NEXT(warp_half_good, __syncwarp(t & 16 ? 0xffff0000u : 0x0000ffffu), t ^ 1)\n"
  "NEXT(warp_half_bad, __syncwarp(t & 16 ? 0xffff0000u : 0x0000ffffu), t ^ 16)\n"
  /* device memory: of other blocks; in order by the launch alone */
  "KERNEL blocks_good(uint32_t *out) { out[blockIdx.x * 128 + threadIdx.x] += 1; }\n"
  "KERNEL blocks_bad(uint32_t *out) { out[threadIdx.x] = blockIdx.x; }\n"
  "KERNEL blocks_read_bad(uint32_t *out)\n"
  "{\n"
  "  uint32_t x = out[5];\n"
  "  out[blockIdx.x * 128 + threadIdx.x] = x;\n"
  "}\n"
  /* atomics and volatile words are in no order and need none; beside plain accesses they do */
  "KERNEL count_good(uint32_t *out) { atomicAdd(out, threadIdx.x); }\n"
  "KERNEL count_bad(uint32_t *out)\n"
  "{\n"
  "  if (threadIdx.x < 64) atomicAdd(out, threadIdx.x);\n"
  "  else out[blockIdx.x * 128 + 1 + threadIdx.x] = out[0];\n"
  "}\n"
  "KERNEL word_good(uint32_t *out)\n"
  "{\n"
  "  if (threadIdx.x == 3) *(volatile uint32_t *)out = 3 + blockIdx.x;\n"
  "  if (*(volatile uint32_t *)out > 1000) out[blockIdx.x * 128 + 1 + threadIdx.x] = 1;\n"
  "}\n"
  "KERNEL word_bad(uint32_t *out)\n"
  "{\n"
  "  if (threadIdx.x == 3) *(volatile uint32_t *)out = 3;\n"
  "  else if (*out == 77) out[1] = 1;\n"
  "}\n"
  /* bytes beside each other; memory as long as the launch says; a copy of several words */
  "KERNEL bytes_good(uint8_t *out) { out[blockIdx.x * 128 + threadIdx.x] = 1; }\n"
  "KERNEL bytes_bad(uint8_t *out) { out[blockIdx.x * 127 + threadIdx.x] = 1; }\n"
  "KERNEL room_bad(uint32_t *out)\n"
  "{\n"
  "  SHARED_ROOM(uint32_t, s);\n"
  "  s[threadIdx.x] = 1;\n"
  "  out[blockIdx.x * 128 + threadIdx.x] = s[0];\n"
  "}\n"
  "typedef struct four { uint32_t x[4]; } four;\n"
  "#define COPY(name, wait)                                                                    \\\n"
  "  KERNEL name(four *out)                                                                    \\\n"
  "  {                                                                                         \\\n"
  "    four f = out[blockIdx.x];                                                               \\\n"
  "    f.x[0] = 1;                                                                             \\\n"
  "    wait;                                                                                   \\\n"
  "    if (threadIdx.x == 9) memcpy(out + blockIdx.x, &f, sizeof f);                           \\\n"
  "  }\n"
  "COPY(copy_good, __syncthreads())\n"
  "COPY(copy_bad, (void)0)\n";

enum { BLOCKS = 3, THREADS = 128 };

/* A state of its own, and orders that are new: the mock's device is lost with the first kernel that fails. */
static void one(const char *name, bool bad, const char *order)
{
  static int turn;
  char orders[100];
  if (bad && gpu_test_real()) return;
  snprintf(orders, sizeof orders, "%s,turn=%d", order, turn++);
  setenv("NORN_MOCK", orders, 1);
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (g) {
    gpu_text t = { "races", NULL, kernels, 0 };
    gpu_module *m = gpu_module_new(g, &t);
    gpu_kernel *k = m ? gpu_kernel_of(m, name) : NULL;
    CHECK(k != NULL);
    if (!k) fprintf(stderr, "%s\n", norn_error(st)->text);
    gpu_ptr out = gpu_alloc(g, BLOCKS * (THREADS + 1) * sizeof(uint32_t), "numbers");
    CHECK(out && gpu_fill(g, out, 0, BLOCKS * (THREADS + 1) * sizeof(uint32_t)) == NORN_OK);
    if (k && out) gpu_launch(g, k, BLOCKS, THREADS, THREADS * sizeof(uint32_t), GPU_ARGS(&out));
    bool failed = gpu_wait(g) != NORN_OK;
    CHECK(failed == bad);
    if (failed != bad) fprintf(stderr, "%s, %s: a race was %sfound\n", name, order, failed ? "" : "not ");
    gpu_release(g, out);
    gpu_module_free(m);
  }
  norn_free(st);
  unsetenv("NORN_MOCK");
}

/* Under a sanitizer texts are compiled for that. */
static bool watched(void)
{
  const char *flags = getenv("NORN_MOCK_CFLAGS");
  return gpu_test_real() || !flags || !strstr(flags, "-fsanitize");
}

int main(void)
{
  static const char *const good[] = { "sum_good", "top_good", "any_good", "warp_good", "warp_half_good", "blocks_good",
                                      "count_good", "word_good", "bytes_good", "copy_good" };
  static const char *const bad[] = { "sum_bad", "top_bad", "any_bad", "warp_far_bad", "warp_vote_bad", "warp_half_bad",
                                     "blocks_bad", "blocks_read_bad", "count_bad", "word_bad", "bytes_bad", "room_bad",
                                     "copy_bad" };
  static const char *const orders[] = { "order=0", "order=1", "order=2" };
  for (int o = 0; o < (gpu_test_real() ? 1 : 3); o++) {
    for (int i = 0; i < NORN_COUNT(good); i++) one(good[i], false, orders[o]);
    for (int i = 0; i < NORN_COUNT(bad) && watched(); i++) one(bad[i], true, orders[o]);
  }
  if (watched() && !gpu_test_real()) one("sum_bad", false, "races=0");     /* it is found by looking for it */
  return unit_end();
}
