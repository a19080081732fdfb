/* bench/nn: a step of training (eight parts of a batch, forwards and backwards, and AdamW) on one core, at
   the two sizes of the amortized proofs and a larger one: ms, GFLOP/s, and how much of it the products alone
   take, in the same shapes. Beside it PyTorch's step of the same model, where bench/peers/nn.sh found it.
   NORN_BENCH_THREADS=2: steps of that many threads, by the clock on the wall, which counts where nothing else
   runs; CPU time otherwise. */
#include "bench.h"
#include "base/pool.h"
#include "nn/model.h"
#include "nn/optimise.h"
#include "num/la.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARTS = 8, ROWS = 16, WIDE = 3 };
typedef struct net_size { const char *name; int d, layers, heads, ff, bars, batch, t, context; } net_size;
static const net_size sizes[] = {
  { "coin", 32, 3, 2, 64, 100, 128, 20, 19 },
  { "gp", 64, 4, 4, 128, 300, 64, 32, 12 },
  { "medium", 128, 4, 8, 256, 300, 64, 64, 32 },
};

typedef struct training {
  nn_head head;
  nn_params p;
  nn_model *m;
  nn_room *room[PARTS];
  nn_tokens k, part[PARTS];
  float *g[PARTS];
  nn_adam adam;
  pool pool;
  pthread_t thread[PARTS];
} training;

static void *some(size_t n)
{
  void *p = calloc(n + 64, 1);
  if (!p) exit(1);
  return p;
}

static double next(uint64_t *s)
{
  *s = *s * 6364136223846793005u + 1442695040888963407u;
  return (double)(*s >> 11) * 0x1p-53;
}

static nn_head bars(int n)
{
  nn_head h = { .kind = NN_BARS, .n = n, .tail = { .5, .5 }, .scale = 1 };
  h.border = some((size_t)(n + 1) * sizeof *h.border);
  for (int i = 0; i <= n; i++) h.border[i] = -2.5 + 5.0 * i / n;
  return h;
}

static nn_tokens tokens(const net_size *z)
{
  uint64_t s = 5;
  int n = z->batch * z->t, nq = z->batch * (z->t - z->context), q = 0;
  nn_tokens k = { .b = z->batch,
                  .t = z->t,
                  .j = WIDE,
                  .row = some((size_t)(n * WIDE) * 4),
                  .coef = some((size_t)(n * WIDE) * 4),
                  .order = some((size_t)n * 2),
                  .see = some((size_t)n * 2),
                  .nq = nq,
                  .at = some((size_t)nq * 4),
                  .head = some((size_t)nq * 4),
                  .target = some((size_t)nq * 4) };
  for (int i = 0; i < n; i++) {
    bool asked = i % z->t >= z->context;
    for (int j = 0; j < WIDE; j++) {
      k.row[i * WIDE + j] = (int)(next(&s) * ROWS);
      k.coef[i * WIDE + j] = (float)next(&s);
    }
    k.order[i] = asked ? NN_UNSEEN : 0;
    k.see[i] = 1;
    if (asked) {
      k.at[q] = i;
      k.target[q++] = (float)(4 * next(&s) - 2);
    }
  }
  return k;
}

static int threads(void)
{
  const char *s = getenv("NORN_BENCH_THREADS");
  int n = s ? atoi(s) : 1;
  return n < 1 ? 1 : n > PARTS ? PARTS : n;
}

static double now(void)
{
  struct timespec t;
  if (threads() == 1) return bench_cpu();
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void begin(training *x, norn_state *st, const net_size *z)
{
  *x = (training){ .head = bars(z->bars), .adam = nn_adam_usual, .k = tokens(z) };
  nn_shape shape = { .d = z->d, .layers = z->layers, .heads = z->heads, .ff = z->ff, .rows = ROWS };
  norn_rng g = { .stream = 3 };
  nn_params_init(&x->p, st);
  nn_head *head = some(sizeof *head);
  *head = x->head;
  x->m = nn_model_new(st, &x->p, &shape, head, 1);
  if (!x->m || !nn_params_make(&x->p, true)) bench_die(st, "nn");
  nn_model_start(x->m, &g);
  for (int i = 0; i < PARTS; i++) {
    size_t bytes = (size_t)x->k.nq * 4;
    x->g[i] = some(x->p.count * sizeof *x->g[i]);
    nn_tokens_part(&x->k, x->k.b * i / PARTS, x->k.b / PARTS, x->part + i, some(bytes), some(bytes), some(bytes));
    if (!(x->room[i] = nn_room_new(st)) || !nn_room_fit(x->room[i], x->m, x->part + i, true)) bench_die(st, "nn");
  }
  pool_start(&x->pool, x->thread, threads());
}

static void part_job(void *of, int i)
{
  training *x = of;
  memset(x->g[i], 0, x->p.count * sizeof *x->g[i]);
  nn_model_loss(x->m, x->room[threads() == 1 ? 0 : i], x->part + i, 1 / (float)x->k.nq, x->g[i], NULL);
}

static void sum_job(void *of, int i)
{
  training *x = of;
  size_t from = x->p.count * (size_t)i / PARTS, to = x->p.count * ((size_t)i + 1) / PARTS;
  for (int p = 1; p < PARTS; p++)
    for (size_t j = from; j < to; j++) x->g[0][j] += x->g[p][j];
}

static void step(training *x)
{
  pool_run(&x->pool, PARTS, part_job, NULL, x);
  pool_run(&x->pool, PARTS, sum_job, NULL, x);
  nn_adam_step(&x->adam, &x->p, x->g[0], -1);
}

/* One product forwards and its two backwards, `times` times; FLOPs in all. */
static double linear(int n, int i, int o, int times)
{
  float *x = some((size_t)(n * i) * 4), *w = some((size_t)(i * o) * 4), *y = some((size_t)(n * o) * 4);
  for (int k = 0; k < times; k++) {
    la_product_f32(false, true, n, o, i, x, i, w, i, false, y, o);
    la_product_f32(false, false, n, i, o, y, o, w, i, false, x, i);
    la_product_f32(true, false, o, i, n, y, o, x, i, true, w, i);
  }
  free(x), free(w), free(y);
  return 6.0 * n * i * o * times;
}

/* Those of a step; in the last block only questions go on. */
static double products(const net_size *z)
{
  int n = z->batch * z->t / PARTS, nq = z->batch * (z->t - z->context) / PARTS, d = z->d, ff = z->ff;
  int blocks = PARTS * (z->layers - 1);
  double all = linear(n, d, 3 * d, blocks) + linear(n, d, d, blocks) + linear(n, d, ff, blocks) +
               linear(n, ff, d, blocks);
  double last = linear(n, d, 2 * d, PARTS) + linear(nq, d, d, 2 * PARTS) + linear(nq, d, ff, PARTS) +
                linear(nq, ff, d, PARTS);
  return all + last + linear(nq, d, ff, PARTS) + linear(nq, ff, z->bars, PARTS);
}

/* Lines "pytorch,THREADS,coin,ms"; 0: there is none. */
static double peer(const char *size)
{
  const char *path = getenv("NORN_PEERS");
  FILE *f = fopen(path ? path : "peers/nn.csv", "r");
  char line[200], name[40];
  double ms = 0, found = 0;
  int n;
  if (!f) return 0;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "pytorch,%d,%39[^,],%lf", &n, name, &ms) == 3 && n == threads() && strcmp(name, size) == 0)
      found = ms;
  fclose(f);
  return found;
}

/* y = x W', W (o, i): few rows, as one question or one token is. */
static void few_rows(int n, int i, int o)
{
  float *x = some((size_t)(n * i) * 4), *w = some((size_t)(i * o) * 4), *y = some((size_t)(n * o) * 4);
  double best = INFINITY, loop = INFINITY, t;
  int times = 2000000 / (n * i * o) + 1;
  uint64_t seed = 7;
  for (int k = 0; k < n * i; k++) x[k] = (float)next(&seed);
  for (int k = 0; k < i * o; k++) w[k] = (float)next(&seed);
  char what[100];
  for (int turn = 0; turn < 40; turn++) {
    t = bench_cpu();
    for (int k = 0; k < times; k++) la_product_f32(false, true, n, o, i, x, i, w, i, false, y, o);
    best = least(best, (bench_cpu() - t) / times);
    t = bench_cpu();
    for (int k = 0; k < n * o; k++) {
      float s = 0;
      for (int p = 0; p < i; p++) s += x[k / o * i + p] * w[k % o * i + p];
      y[k] += s;
    }
    loop = least(loop, bench_cpu() - t);
  }
  snprintf(what, sizeof what, "nn: %d rows, %d to %d, %.1f GFLOP/s", n, i, o, 2e-9 * n * i * o / best);
  bench_row(what, 1e6 * best, "us", "loop", 1e6 * loop, "");
  free(x), free(w), free(y);
}

static void net_row(norn_state *st, const net_size *z)
{
  char what[120];
  training x;
  begin(&x, st, z);
  double best = INFINITY, only = INFINITY, flops = 0;
  for (int k = 0; k < (threads() == 1 ? 12 : 60); k++) {
    double t = now();
    step(&x);
    best = least(best, now() - t);
    if (threads() > 1) continue;
    t = now();
    flops = products(z);
    only = least(only, now() - t);
  }
  pool_end(&x.pool);
  if (threads() > 1) {
    snprintf(what, sizeof what, "nn: step of %s, %d threads", z->name, threads());
    bench_row(what, 1e3 * best, "ms", "PyTorch", peer(z->name), "1");
    return;
  }
  snprintf(what, sizeof what, "nn: step of %s (%zu numbers), %.1f GFLOP/s", z->name, x.p.count, 1e-9 * flops / best);
  bench_row(what, 1e3 * best, "ms", "PyTorch", peer(z->name), "1");
  snprintf(what, sizeof what, "nn: its products alone, %.1f GFLOP/s, %.0f %%", 1e-9 * flops / only, 100 * only / best);
  bench_row(what, 1e3 * only, "ms", "", 0, z->d >= 64 ? "60 %" : "");
}

void bench_nn(void)
{
  norn_state *st = bench_state();
  if (threads() == 1) {
    few_rows(1, 64, 192);
    few_rows(1, 128, 300);
    few_rows(8, 64, 192);
    few_rows(1, 1024, 1024);
    few_rows(8, 1024, 1024);
  }
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) net_row(st, sizes + i);
  norn_free(st);
}
