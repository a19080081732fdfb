/* check_nn: nets that learn on a GPU (nn/gpu.h) beside those of the CPU: losses and gradients of every tensor, for every
   kind of head, with masks, padding and rows that are missing; a hundred steps of AdamW; in bf16 too; and errors. */
#include "gpu_test.h"
#include "nn/gpu.h"
#include <math.h>

static norn_state *st;
static uint64_t seed;
static double uniform(void)            /* in (-1, 1) */
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (double)(int64_t)seed * 0x1p-63;
}

/* ---- a net, and batches that it can learn ------------------------------------------------------- */

enum { HEADS = 5, ROWS = 12, WIDE = 3, MOST = 64 * 64 };
typedef struct net { nn_head head[HEADS]; int nhead; nn_params p; nn_model *m; } net;

static bool net_make(net *e, nn_shape shape, const nn_head_kind *kind, int nhead)
{
  norn_rng g = {.stream = 4};
  *e = (net){.nhead = nhead};
  shape.rows = ROWS;
  for (int h = 0; h < nhead; h++) {
    double x[200];
    e->head[h] = (nn_head){.kind = kind[h], .n = kind[h] == NN_BARS ? 37 : kind[h] == NN_CATEGORIES ? 5 : 3};
    for (int i = 0; i < 200; i++) x[i] = kind[h] == NN_COUNTS ? floor(4 + 4 * uniform()) : uniform();
    if (!nn_head_fit(st, &e->head[h], x, 200)) return false;
  }
  nn_params_init(&e->p, st);
  e->m = nn_model_new(st, &e->p, &shape, e->head, nhead);
  if (!e->m || !nn_params_make(&e->p, true)) return false;
  nn_model_start(e->m, &g);
  for (size_t i = 0; i < e->p.count; i++)          /* products that begin at 0 hide what is wrong behind them */
    if (e->p.w[i] == 0) e->p.w[i] = (float)(0.05 * uniform());
  return true;
}

static void net_free(net *e)
{
  nn_model_free(e->m);
  nn_params_free(&e->p);
  for (int h = 0; h < e->nhead; h++) nn_head_free(st, &e->head[h]);
}

/* What the whole context says, for each kind. */
static float target_of(nn_head_kind kind, double mean)
{
  switch (kind) {
  case NN_CATEGORIES: return (float)(mean < -0.2 ? 0 : mean < 0 ? 1 : mean < 0.1 ? 2 : mean < 0.3 ? 3 : 4);
  case NN_BERNOULLI: return mean > 0;
  case NN_COUNTS: return (float)floor(4 + 6 * mean + uniform());
  default: return (float)(mean + 0.1 * uniform());
  }
}

typedef struct batch {
  nn_tokens k;
  int32_t row[MOST * WIDE], at[MOST], head[MOST];
  float coef[MOST * WIDE], target[MOST];
  int16_t order[MOST], see[MOST];
} batch;

/* b sequences of t tokens: a context of changing length, a value that is seen by later questions, nhead questions, and
   padding. */
static void batch_make(batch *o, const net *e, int b, int t, uint64_t number)
{
  double mean[MOST];
  seed = 0x9e3779b97f4a7c15u + number * 1000003u;
  o->k = (nn_tokens){.b = b, .t = t, .j = WIDE, .row = o->row, .coef = o->coef, .order = o->order, .see = o->see,
                     .at = o->at, .head = o->head, .target = o->target};
  for (int i = 0; i < b * t * WIDE; i++) o->row[i] = -1, o->coef[i] = 0;
  for (int s = 0; s < b; s++) {
    int context = 1 + (int)(number + (uint64_t)s) % (t - e->nhead - 2);
    mean[s] = 0;
    for (int i = 0; i < t; i++) {
      int32_t at = s * t + i, question = i - context - 1;
      bool is = question >= 0 && question < e->nhead;
      double x = uniform();
      o->row[at * WIDE] = i < context ? 0 : i == context ? 1 : is ? 3 + question : 2;
      o->coef[at * WIDE] = 1;
      if (i <= context) o->row[at * WIDE + 1] = 10, o->coef[at * WIDE + 1] = (float)x;
      if (i < context) mean[s] += x / context;
      o->order[at] = (int16_t)(i < context ? 0 : i == context ? 1 : NN_UNSEEN);
      o->see[at] = (int16_t)(i <= context ? 1 : is ? 1 + question % 2 : 0);
    }
  }
  for (int h = 0; h < e->nhead; h++)
    for (int s = 0; s < b; s++) {
      int context = 1 + (int)(number + (uint64_t)s) % (t - e->nhead - 2);
      if (h == 1 && s % 3 == 0) continue;              /* heads are asked more and less often */
      o->at[o->k.nq] = s * t + context + 1 + h;
      o->head[o->k.nq] = h;
      o->target[o->k.nq++] = target_of(e->head[h].kind, mean[s]);
    }
}

/* ---- one batch ---------------------------------------------------------------------------------- */

/* The greatest difference of n numbers, as a part of the greatest number. */
static double apart(const float *x, const float *y, size_t n)
{
  double worst = 0, size = 1e-6;
  for (size_t i = 0; i < n; i++) {
    worst = fmax(worst, fabs((double)x[i] - (double)y[i]));
    size = fmax(size, fabs((double)y[i]));
    if (x[i] != x[i]) worst = HUGE_VAL;
  }
  return worst / size;
}

static void one_batch(gpu *g, const nn_shape *shape, const nn_head_kind *kind, int nhead, int b, int t, bool bf16)
{
  static batch o;
  net e;
  nn_room *room = nn_room_new(st);
  double sum, each[MOST], here[MOST], most = bf16 ? 6e-2 : 2e-4, far = 0;
  seed = 77;
  if (!room || !net_make(&e, *shape, kind, nhead)) { CHECK(0); return; }
  batch_make(&o, &e, b, t, t > 64 ? 99 : 3);            /* a context of 100 tokens, or of a few */
  float *mine = calloc(e.p.count, sizeof *mine), *there = calloc(e.p.count, sizeof *there);
  CHECK(nn_room_fit(room, e.m, &o.k, true));
  double want = nn_model_loss(e.m, room, &o.k, 0.5f, mine, here);
  nn_gpu *n = nn_gpu_new(g, e.m, bf16);
  CHECK(n != NULL);
  if (!n) fprintf(stderr, "%s\n%s\n", norn_error(st)->text, norn_error(st)->hint);
  norn_status s = n ? nn_gpu_loss(n, &o.k, 0.5f, true, &sum, each) : NORN_EINFER;
  CHECK(s == NORN_OK);
  if (s) fprintf(stderr, "%s\n", norn_error(st)->text);
  else {
    CHECK_NEAR(sum, want, most * 0.1 * (1 + fabs(want)));
    for (int q = 0; q < o.k.nq; q++) far = fmax(far, fabs(each[q] - here[q]) / (1 + fabs(here[q])));
    CHECK(far < most);
    CHECK(!nn_gpu_gradient(n, there));
    for (int i = 0; i < e.p.n; i++) {
      const nn_tensor *x = &e.p.tensor[i];
      double a = apart(there + x->at, mine + x->at, x->n);
      if (!(a < most)) fprintf(stderr, "  %s: %g (d %d, heads %d, bf16 %d)\n", x->name, a, shape->d, shape->heads, bf16);
      CHECK(a < most);
    }
    double again;                                       /* the same bits, and without a gradient the same loss */
    CHECK(!nn_gpu_loss(n, &o.k, 0.5f, true, &again, NULL) && again == sum && !nn_gpu_gradient(n, mine));
    CHECK(!memcmp(mine, there, e.p.count * sizeof *mine));
    CHECK(!nn_gpu_loss(n, &o.k, 0.5f, false, &again, NULL) && again == sum);
    double part[NN_GPU_PARTS];
    CHECK(!nn_gpu_watch(n) && !nn_gpu_loss(n, &o.k, 0.5f, true, &again, NULL) && again == sum && !nn_gpu_watched(n, part));
    for (int p = 0; p < NN_GPU_PARTS; p++) CHECK(part[p] > 0);
    CHECK(!nn_gpu_watched(n, part) && part[NN_GPU_REST] == 0);
    while (nhead > 1 && o.k.nq && o.head[o.k.nq - 1] == nhead - 1) o.k.nq--;      /* a head that is not asked now */
    memset(mine, 0, e.p.count * sizeof *mine);
    nn_model_loss(e.m, room, &o.k, 0.5f, mine, NULL);
    CHECK(!nn_gpu_loss(n, &o.k, 0.5f, true, &again, NULL) && !nn_gpu_gradient(n, there));
    for (int i = 0; i < e.p.n; i++)
      CHECK(apart(there + e.p.tensor[i].at, mine + e.p.tensor[i].at, e.p.tensor[i].n) < most);
  }
  nn_gpu_free(n);
  nn_room_free(room);
  net_free(&e);
  free(mine);
  free(there);
}

/* ---- a hundred steps ---------------------------------------------------------------------------- */

enum { STEPS = 100, TRAIN_B = 8, TRAIN_T = 10 };

static void learn(gpu *g, const nn_shape *shape, const nn_head_kind *kind, int nhead, bool bf16)
{
  static batch o;
  net here, there;
  nn_room *room = nn_room_new(st);
  nn_adam a = nn_adam_usual, b = a;
  double first = 0, last[2] = {0, 0}, worst = 0;
  a.rate = b.rate = 3e-3;
  a.warm = b.warm = 10;
  a.decay = b.decay = 0.01;
  seed = 77;
  if (!room || !net_make(&here, *shape, kind, nhead)) { CHECK(0); return; }
  seed = 77;
  if (!net_make(&there, *shape, kind, nhead)) { CHECK(0); return; }
  nn_gpu *n = nn_gpu_new(g, there.m, bf16);
  float *grad = calloc(here.p.count, sizeof *grad);
  CHECK(n != NULL);
  for (int k = 0; k < STEPS && n; k++) {
    double mine, other, norm;
    batch_make(&o, &here, TRAIN_B, TRAIN_T, 100 + (uint64_t)k);
    float scale = 1 / (float)o.k.nq;
    memset(grad, 0, here.p.count * sizeof *grad);
    CHECK(nn_room_fit(room, here.m, &o.k, true));
    mine = nn_model_loss(here.m, room, &o.k, scale, grad, NULL) / o.k.nq;
    double wants = nn_adam_step(&a, &here.p, grad, -1);
    norn_status s = nn_gpu_loss(n, &o.k, scale, true, &other, NULL);
    if (!s) s = nn_gpu_step(n, &b, -1, &norm);
    CHECK(!s);
    if (s) { fprintf(stderr, "%s\n", norn_error(st)->text); break; }
    other /= o.k.nq;
    if (!bf16) CHECK_NEAR(norm, wants, 2e-3 * wants);
    worst = fmax(worst, fabs(mine - other));
    if (!k) first = mine;
    last[0] = mine;
    last[1] = other;
  }
  CHECK(last[0] < first - 0.1);                         /* it learns */
  CHECK(worst < (bf16 ? 3e-2 : 1e-3));
  printf("  %s: loss %.4f, after %d steps %.6f here and %.6f there, at most %.2g apart\n", bf16 ? "bf16" : "f32", first,
         STEPS, last[0], last[1], worst);
  if (!bf16) gpu_test_figure("100 steps of a net, loss less the CPU's, f32", "1e-3", "%.2g", worst);
  CHECK(!n || !nn_gpu_read(n));
  CHECK(n && apart(there.p.w, here.p.w, here.p.count) < (bf16 ? 0.2 : 0.02) && there.p.v[0] != 0);
  nn_gpu_free(n);
  nn_room_free(room);
  net_free(&here);
  net_free(&there);
  free(grad);
}

/* ---- errors ------------------------------------------------------------------------------------- */

static void errors(gpu *g)
{
  static batch o;
  const nn_head_kind kind[] = {NN_BARS};
  net e;
  double sum;
  nn_shape shape = {.d = 12, .layers = 1, .heads = 2, .ff = 16};
  if (!net_make(&e, shape, kind, 1)) { CHECK(0); return; }
  CHECK(!nn_gpu_new(g, e.m, true) && strstr(norn_error(st)->text, "d / heads is no multiple of 8"));
  norn_clear(st);
  nn_gpu *n = nn_gpu_new(g, e.m, false);
  CHECK(n != NULL);
  batch_make(&o, &e, 4, 8, 1);
  if (n && !gpu_test_real()) {
    setenv("NORN_MOCK", "memory=20000", 1);
    CHECK(nn_gpu_loss(n, &o.k, 1, true, &sum, NULL) == NORN_EMEMORY && strstr(norn_error(st)->text, "a batch of sequences"));
    norn_clear(st);
    setenv("NORN_MOCK", "", 1);
    CHECK(!nn_gpu_loss(n, &o.k, 1, true, &sum, NULL));  /* it goes on */
    setenv("NORN_MOCK", "refuse=5", 1);
    CHECK(nn_gpu_loss(n, &o.k, 1, true, &sum, NULL) != NORN_OK);
    norn_clear(st);
    setenv("NORN_MOCK", "", 1);
    CHECK(!nn_gpu_loss(n, &o.k, 1, true, &sum, NULL));
  }
  nn_gpu_free(n);
  net_free(&e);
}

int main(void)
{
  static const nn_head_kind all[] = {NN_BARS, NN_MIXTURE, NN_CATEGORIES, NN_BERNOULLI, NN_COUNTS};
  const nn_shape small = {.d = 16, .layers = 2, .heads = 2, .ff = 24}, gated = {.d = 24, .layers = 1, .heads = 3,
                  .ff = 16, .swiglu = true}, odd = {.d = 10, .layers = 1, .heads = 2, .ff = 9},
                  wide = {.d = 48, .layers = 1, .heads = 2, .ff = 24}, large = {.d = 72, .layers = 1, .heads = 1, .ff = 8},
                  one = {.d = 136, .layers = 1, .heads = 1, .ff = 8},
                  tiny = {.d = 8, .layers = 1, .heads = 1, .ff = 16};
  st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (!g) return unit_end();
  one_batch(g, &small, all, 5, 5, 13, false);
  one_batch(g, &small, all, 5, 5, 16, true);
  one_batch(g, &gated, all, 4, 3, 17, false);
  one_batch(g, &gated, all, 4, 3, 17, true);
  one_batch(g, &odd, all, 2, 3, 9, false);
  one_batch(g, &wide, all, 1, 2, 150, true);            /* tiles: all seen, in part, only themselves */
  one_batch(g, &wide, all, 1, 1, 150, false);
  one_batch(g, &large, all, 1, 1, 150, true);           /* one pair of tiles at a time */
  one_batch(g, &one, all, 1, 2, 11, true);              /* a head that is too large for tiles */
  if (!gpu_test_real()) {
    setenv("NORN_MOCK", "order=2", 1);
    one_batch(g, &gated, all, 4, 3, 13, false);
    setenv("NORN_MOCK", "", 1);
  }
  learn(g, gpu_test_real() ? &small : &tiny, all, 2, false);
  learn(g, gpu_test_real() ? &small : &tiny, all, 1, true);
  errors(g);
  norn_free(st);
  for (int cc = 80; cc >= 75 && !gpu_test_real(); cc -= 5) {    /* GELU in a kernel; scores in memory too */
    char old[20];
    snprintf(old, sizeof old, "cc=%d", cc);
    setenv("NORN_MOCK", old, 1);
    st = gpu_test_state();
    if ((g = gpu_test_open(st))) one_batch(g, &small, all, 2, 3, 12, true);
    norn_free(st);
  }
  return unit_end();
}
