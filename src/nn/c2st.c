/* c2st.c: the classifier of c2st.h and its training.

       z = w3 . relu(W2 relu(W1 u + b1) + b2) + b3,   loss log(1 + exp(-t z)), t = +-1

   Adam at rate .001 on batches of 200, first weights uniform in +- sqrt(6 / (in + out)) (Glorot, Bengio
   2010), until the loss that counts has not fallen by 1e-4 for ten epochs (and 200 steps, which few points
   make many epochs).  A fold is a job of its own, with memory and random numbers of its own. */
#include "nn/c2st.h"
#include "base/base.h"
#include "base/pool.h"
#include "nn/ops.h"
#include "nn/optimise.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 200, EPOCHS = 200, PATIENCE = 10, STEPS = 200 };
#define TOLERANCE 1e-4
#define FAR 10                /* standard deviations: beyond, all is the same */

typedef struct data {
  int64_t n, d;                /* points, of both samples */
  float *u;                    /* (n, d) standardised, in the order of the folds */
  uint8_t *y;                  /* (n): of which sample */
} data;
typedef struct fold {
  const data *of;
  norn_state *st;
  pool *pool;
  int64_t from, to;            /* points that it is tested on */
  int h;                       /* width of the layers */
  nn_params p;
  int w[3], b[3];
  bool overfit;
  float *g, *best;             /* (count): gradient; weights where the held-out loss was least */
  float *room;                 /* activations and their derivatives of a batch */
  int32_t *order;              /* (n) */
  uint64_t stream;
  int64_t right;
} fold;

static norn_status no_memory(norn_state *st)
{
  norn_fail(st, NORN_EMEMORY, -1, "not enough memory for the classifier of c2st");
  norn_hint(st, "fewer draws do: some thousands are enough");
  return NORN_EMEMORY;
}

/* ---- one batch ---- */

typedef struct layers { float *u, *a1, *a2, *z, *d1, *d2, *dz; } layers;
static int64_t layers_size(int64_t d, int64_t h) { return BATCH * (d + 4 * h + 2); }
static layers layers_of(const fold *f)
{
  layers l;
  int64_t d = f->of->d, h = f->h;
  l.u = f->room;
  l.a1 = l.u + BATCH * d;
  l.a2 = l.a1 + BATCH * h;
  l.d1 = l.a2 + BATCH * h;
  l.d2 = l.d1 + BATCH * h;
  l.z = l.d2 + BATCH * h;
  l.dz = l.z + BATCH;
  return l;
}
static float *weights(const fold *f, int tensor) { return f->p.w + f->p.tensor[tensor].at; }
static float *gradient(const fold *f, int tensor) { return f->g + f->p.tensor[tensor].at; }

static void relu(int64_t n, float *x)
{
  for (int64_t i = 0; i < n; i++) x[i] = x[i] > 0 ? x[i] : 0;
}
static void relu_backward(int64_t n, const float *y, float *dy)
{
  for (int64_t i = 0; i < n; i++) dy[i] = y[i] > 0 ? dy[i] : 0;
}

/* z of the n points in l.u. */
static void forward(const fold *f, const layers *l, int64_t n)
{
  int64_t d = f->of->d, h = f->h;
  nn_linear_forward(n, d, h, l->u, weights(f, f->w[0]), weights(f, f->b[0]), NULL, l->a1);
  relu(n * h, l->a1);
  nn_linear_forward(n, h, h, l->a1, weights(f, f->w[1]), weights(f, f->b[1]), NULL, l->a2);
  relu(n * h, l->a2);
  nn_linear_forward(n, h, 1, l->a2, weights(f, f->w[2]), weights(f, f->b[2]), NULL, l->z);
}
static void backward(const fold *f, const layers *l, int64_t n)
{
  int64_t d = f->of->d, h = f->h;
  nn_linear_backward(n, h, 1, l->dz, l->a2, weights(f, f->w[2]), l->d2, gradient(f, f->w[2]),
                     gradient(f, f->b[2]));
  relu_backward(n * h, l->a2, l->d2);
  nn_linear_backward(n, h, h, l->d2, l->a1, weights(f, f->w[1]), l->d1, gradient(f, f->w[1]),
                     gradient(f, f->b[1]));
  relu_backward(n * h, l->a1, l->d1);
  nn_linear_backward(n, d, h, l->d1, l->u, weights(f, f->w[0]), NULL, gradient(f, f->w[0]),
                     gradient(f, f->b[0]));
}
/* Points who[0 .. n-1] into l.u. */
static void gather(const fold *f, const layers *l, const int32_t *who, int64_t n)
{
  int64_t d = f->of->d;
  for (int64_t i = 0; i < n; i++) memcpy(l->u + i * d, f->of->u + who[i] * d, (size_t)d * sizeof *l->u);
}
/* The sum of their losses, and its derivatives in z over n. */
static double losses(const fold *f, const layers *l, const int32_t *who, int64_t n)
{
  double loss = 0;
  gather(f, l, who, n);
  forward(f, l, n);
  for (int64_t i = 0; i < n; i++) {
    double z = l->z[i], s = f->of->y[who[i]] ? -z : z, e = exp(-fabs(s));
    loss += (s > 0 ? s : 0) + log1p(e);                        /* log(1 + exp s) */
    double slope = s > 0 ? 1 / (1 + e) : e / (1 + e);
    l->dz[i] = (float)((f->of->y[who[i]] ? -slope : slope) / (double)n);
  }
  return loss;
}
static double step(fold *f, nn_adam *a, const layers *l, const int32_t *who, int64_t n)
{
  double loss = losses(f, l, who, n);
  memset(f->g, 0, f->p.count * sizeof *f->g);
  backward(f, l, n);
  nn_adam_step(a, &f->p, f->g, -1);
  return loss;
}

/* ---- a fold ---- */

static void shuffle(int32_t *x, int64_t n, norn_rng *g)
{
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t k = (int64_t)norn_rng_below(g, (uint64_t)i + 1);
    int32_t keep = x[i];
    x[i] = x[k];
    x[k] = keep;
  }
}
static void first_weights(fold *f, norn_rng *g)
{
  int64_t in[3] = { f->of->d, f->h, f->h }, out[3] = { f->h, f->h, 1 };
  for (int k = 0; k < 3; k++) {
    double most = sqrt(6.0 / (double)(in[k] + out[k]));
    float *w = weights(f, f->w[k]), *b = weights(f, f->b[k]);
    for (int64_t i = 0; i < in[k] * out[k]; i++) w[i] = (float)(most * (2 * norn_rng_uniform(g) - 1));
    for (int64_t i = 0; i < out[k]; i++) b[i] = (float)(most * (2 * norn_rng_uniform(g) - 1));
  }
}
static void train(fold *f, const layers *l)
{
  norn_rng g = { .stream = f->stream };
  nn_adam a = { .rate = 1e-3, .beta1 = .9, .beta2 = .999, .eps = 1e-8 };
  int64_t n = f->of->n - (f->to - f->from), m = f->overfit ? n : n - n / 10, still = 0;
  int64_t each = (m + BATCH - 1) / BATCH, patience = STEPS / each > PATIENCE ? STEPS / each : PATIENCE;
  int64_t most = 10 * STEPS / each > EPOCHS ? 10 * STEPS / each : EPOCHS;
  double best = INFINITY;
  first_weights(f, &g);
  for (int64_t i = 0; i < n; i++) f->order[i] = (int32_t)(i < f->from ? i : i + f->to - f->from);
  shuffle(f->order, n, &g);
  for (int epoch = 0; epoch < most && still <= patience && pool_goes_on(f->pool); epoch++) {
    double loss = 0;
    g = (norn_rng){ .stream = f->stream, .iter = (uint32_t)epoch + 1 };
    shuffle(f->order, m, &g);
    for (int64_t at = 0; at < m; at += BATCH)
      loss += step(f, &a, l, f->order + at, m - at < BATCH ? m - at : BATCH);
    if (!f->overfit) loss = 0;
    for (int64_t at = m; at < n; at += BATCH)
      loss += losses(f, l, f->order + at, n - at < BATCH ? n - at : BATCH);
    loss /= (double)(f->overfit ? n : n - m);
    if (loss < best) memcpy(f->best, f->p.w, f->p.count * sizeof *f->best);
    still = loss > best - TOLERANCE ? still + 1 : 0;
    best = fmin(best, loss);
  }
  if (!f->overfit && best < INFINITY) memcpy(f->p.w, f->best, f->p.count * sizeof *f->best);
}
static void job(void *of, int i)
{
  fold *f = (fold *)of + i;
  layers l = layers_of(f);
  int32_t who[BATCH];
  train(f, &l);
  for (int64_t at = f->from; at < f->to; at += BATCH) {
    int64_t n = f->to - at < BATCH ? f->to - at : BATCH;
    for (int64_t k = 0; k < n; k++) who[k] = (int32_t)(at + k);
    gather(f, &l, who, n);
    forward(f, &l, n);
    for (int64_t k = 0; k < n; k++) f->right += (l.z[k] > 0) == (f->of->y[at + k] != 0);
  }
}

static bool fold_open(norn_state *st, fold *f)
{
  int64_t d = f->of->d, h = f->h, n = f->of->n;
  const int64_t shape[3][2] = { { h, d }, { h, h }, { 1, h } };
  nn_params_init(&f->p, st);
  for (int k = 0; k < 3; k++) {
    char name[24];
    snprintf(name, sizeof name, "%d.weight", k);
    if ((f->w[k] = nn_params_add(&f->p, name, 2, shape[k], false)) < 0) return false;
    snprintf(name, sizeof name, "%d.bias", k);
    if ((f->b[k] = nn_params_add(&f->p, name, 1, shape[k], false)) < 0) return false;
  }
  if (!nn_params_make(&f->p, true)) return false;
  f->g = norn_alloc(st, NULL, 0, f->p.count * sizeof *f->g);
  f->best = norn_alloc(st, NULL, 0, f->p.count * sizeof *f->best);
  f->room = norn_alloc(st, NULL, 0, (size_t)layers_size(d, h) * sizeof *f->room);
  f->order = norn_alloc(st, NULL, 0, (size_t)n * sizeof *f->order);
  return f->g && f->best && f->room && f->order;
}
static void fold_close(norn_state *st, fold *f)
{
  if (f->g) norn_alloc(st, f->g, f->p.count * sizeof *f->g, 0);
  if (f->best) norn_alloc(st, f->best, f->p.count * sizeof *f->best, 0);
  if (f->room) norn_alloc(st, f->room, (size_t)layers_size(f->of->d, f->h) * sizeof *f->room, 0);
  if (f->order) norn_alloc(st, f->order, (size_t)f->of->n * sizeof *f->order, 0);
  nn_params_free(&f->p);
}

/* ---- the points ---- */

/* Means and standard deviations of the columns of x (n, d); of constant ones 1. */
static void scales(int64_t n, int64_t d, const double *x, double *mean, double *sd)
{
  for (int64_t j = 0; j < d; j++) {
    double m = 0, v = 0, most = 0;
    for (int64_t i = 0; i < n; i++) m += (x[i * d + j] - m) / (double)(i + 1);
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(x[i * d + j] - m));
    for (int64_t i = 0; i < n && most > 0; i++) v += (x[i * d + j] - m) / most * ((x[i * d + j] - m) / most);
    mean[j] = m;
    sd[j] = most > 0 ? most * sqrt(v / (double)n) : 1;
  }
}
/* Half of the points are of x, half of y, in an order of chance. */
static bool points(norn_state *st, data *a, int64_t n, const double *x, int64_t m, const double *y,
                   double *mean, uint64_t stream)
{
  int64_t half = a->n / 2, d = a->d, more = n > m ? n : m;
  int32_t *place = norn_alloc(st, NULL, 0, (size_t)a->n * sizeof *place);
  int32_t *who = norn_alloc(st, NULL, 0, (size_t)more * sizeof *who);
  double *sd = mean + d;
  norn_rng g = { .stream = stream };
  if (place && who) {
    scales(n, d, x, mean, sd);
    for (int64_t i = 0; i < a->n; i++) place[i] = (int32_t)i;
    shuffle(place, a->n, &g);
    for (int side = 0; side < 2; side++) {
      int64_t size = side ? m : n;
      const double *from = side ? y : x;
      for (int64_t i = 0; i < size; i++) who[i] = (int32_t)i;
      if (size > half) shuffle(who, size, &g);
      for (int64_t i = 0; i < half; i++) {
        int64_t to = place[side * half + i];
        a->y[to] = (uint8_t)side;
        for (int64_t j = 0; j < d; j++) {
          double u = (from[who[i] * d + j] - mean[j]) / sd[j];
          a->u[to * d + j] = (float)fmin(fmax(u, -FAR), FAR);
        }
      }
    }
  }
  bool fine = place && who;
  if (place) norn_alloc(st, place, (size_t)a->n * sizeof *place, 0);
  if (who) norn_alloc(st, who, (size_t)more * sizeof *who, 0);
  return fine;
}

static bool goes_on(void *of)
{
  return !norn_poll(((fold *)of)->st);
}
static norn_status all_folds(norn_state *st, fold *f, int folds)
{
  pthread_t thread[C2ST_FOLDS];
  pool p;
  int set = norn_config_of(st)->threads, threads = set > 0 ? set : pool_processors();
  for (int k = 0; k < folds; k++) f[k].pool = &p;
  pool_start(&p, thread, threads < folds ? threads : folds);
  pool_run(&p, folds, job, goes_on, f);
  pool_end(&p);
  return norn_poll(st);
}

norn_status nn_c2st(norn_state *st, int64_t n, const double *x, int64_t m, const double *y, int64_t d,
                    int folds, uint64_t seed, bool overfit, double *accuracy)
{
  int64_t half = n < m ? n : m, right = 0;
  data a = { .n = 2 * half, .d = d };
  fold f[C2ST_FOLDS] = { 0 };
  size_t usize = (size_t)(a.n * d) * sizeof *a.u, msize = (size_t)(2 * d) * sizeof(double);
  if (folds < 2 || folds > C2ST_FOLDS || half < folds)
    return norn_fail(st, NORN_EUSE, -1, "c2st can't have %d folds of %lld points", folds, (long long)a.n);
  a.u = norn_alloc(st, NULL, 0, usize);
  a.y = norn_alloc(st, NULL, 0, (size_t)a.n);
  double *mean = norn_alloc(st, NULL, 0, msize);
  bool fine = a.u && a.y && mean && points(st, &a, n, x, m, y, mean, norn_stream_split(seed, 0, 0, 0));
  for (int k = 0; fine && k < folds; k++) {
    f[k] = (fold){ .of = &a, .st = st, .overfit = overfit, .h = (int)(10 * d), .from = a.n * k / folds,
                   .to = a.n * (k + 1) / folds, .stream = norn_stream_split(seed, (uint32_t)k + 1, 0, 0) };
    fine = fold_open(st, &f[k]);
  }
  norn_status code = fine ? all_folds(st, f, folds) : no_memory(st);
  for (int k = 0; k < folds; k++) {
    right += f[k].right;
    if (f[k].of) fold_close(st, &f[k]);
  }
  if (a.u) norn_alloc(st, a.u, usize, 0);
  if (a.y) norn_alloc(st, a.y, (size_t)a.n, 0);
  if (mean) norn_alloc(st, mean, msize, 0);
  *accuracy = (double)right / (double)a.n;
  return code;
}
