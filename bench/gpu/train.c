/* train.c: a step of training of a transformer of width 512 with 6 blocks on the card (nn/gpu.h): the loss of a batch, its
   gradient and a step of AdamW, as operations a second and as a share of what the card has at most in bf16.

   Counted are products: 6 n (12 d^2) L forwards and backwards of n tokens in L blocks (qkv 3 d^2, out d^2, the MLP 8 d^2),
   attention's 12 n t d L, and those of heads; not what is computed again. */
#include "gpu_time.h"
#include "gpu/blas.h"
#include "nn/gpu.h"

typedef struct job { nn_gpu *n; nn_tokens k; nn_adam a; double sum, norm; } job;

static norn_status step(void *of)
{
  job *j = of;
  norn_status s = nn_gpu_loss(j->n, &j->k, 1 / (float)j->k.nq, true, &j->sum, NULL);
  return s ? s : nn_gpu_step(j->n, &j->a, -1, &j->norm);
}

enum { WIDE = 4, ROWS = 64, BARS = 300 };

/* Sequences of which the first half is context and the other half is asked, as pfn asks. */
static bool tokens_make(nn_tokens *k, int b, int t)
{
  int n = b * t;
  *k = (nn_tokens){ .b = b, .t = t, .j = WIDE, .row = malloc((size_t)(n * WIDE) * 4),
                    .coef = malloc((size_t)(n * WIDE) * 4), .order = malloc((size_t)n * 2), .see = malloc((size_t)n * 2),
                    .at = malloc((size_t)n * 4), .head = calloc((size_t)n, 4), .target = malloc((size_t)n * 4) };
  if (!k->row || !k->coef || !k->order || !k->see || !k->at || !k->head || !k->target) return false;
  for (int i = 0; i < n * WIDE; i++) {
    k->row[i] = (int32_t)((unsigned)i * 2654435761u >> 26) % ROWS;
    k->coef[i] = (float)(i * 37 % 101) / 50 - 1;
  }
  for (int i = 0; i < n; i++) {
    bool asked = i % t >= t / 2;
    k->order[i] = asked ? NN_UNSEEN : 0;
    k->see[i] = 1;
    if (!asked) continue;
    k->target[k->nq] = (float)(i * 53 % 97) / 48 - 1;
    k->at[k->nq++] = i;
  }
  return true;
}

static void tokens_free(nn_tokens *k)
{
  void *all[] = { k->row, k->coef, k->order, k->see, k->at, k->head, k->target };
  for (int i = 0; i < 7; i++) free(all[i]);
}

static double flops(const nn_shape *s, const nn_tokens *k)
{
  double n = (double)k->b * k->t, d = s->d, l = s->layers, q = k->nq;
  return l * (6 * n * (4 * d * d + 2 * d * s->ff) + 12 * n * k->t * d) + 6 * q * (d * s->ff + (double)s->ff * BARS);
}

/* TFLOP/s of bf16 by NVIDIA's data sheets, dense; 0: not known. */
static double peak(const gpu_info *i) { return i->major == 9 ? 990 : i->major == 8 && i->minor == 0 ? 312 : 0; }

/* Where one step's time goes; what is missing of the step's are marks, and waiting for the host. */
static void split(job *j, bool bf16)
{
  static const char *const part[] = { "products", "attention", "the rest" };
  double s[NN_GPU_PARTS];
  CHECK(!nn_gpu_watch(j->n) && !step(j) && !nn_gpu_watched(j->n, s));
  for (int p = 0; p < NN_GPU_PARTS; p++)
    printf("figure: train %s: %s | %.2f ms |\n", bf16 ? "bf16" : "f32", part[p], 1e3 * s[p]);
}

static void measure(norn_state *st, gpu *g, const nn_shape *shape, int b, int t, bool bf16)
{
  norn_rng r = { .stream = 3 };
  double x[500];
  nn_head head = { .kind = NN_BARS, .n = BARS };
  nn_params p;
  job j = { .a = nn_adam_usual };
  for (int i = 0; i < 500; i++) x[i] = norn_rng_normal(&r);
  nn_params_init(&p, st);
  nn_model *m = nn_head_fit(st, &head, x, 500) ? nn_model_new(st, &p, shape, &head, 1) : NULL;
  bool good = m && nn_params_make(&p, true) && tokens_make(&j.k, b, t);
  CHECK(good);
  if (good) nn_model_start(m, &r);
  if (good && !(j.n = nn_gpu_new(g, m, bf16))) fprintf(stderr, "%s\n", norn_error(st)->text);
  CHECK(j.n != NULL);
  if (j.n) {
    double s = gpu_time(g, step, &j), rate = 1e-12 * flops(shape, &j.k) / s, most = bf16 ? peak(gpu_info_of(g)) : 0;
    CHECK(isfinite(j.sum) && isfinite(j.norm));
    printf("figure: train d %d, %d blocks, %d x %d tokens, %s | %.2f ms a step, %.1f TFLOP/s", shape->d, shape->layers, b, t,
           bf16 ? "bf16" : "f32", 1e3 * s, rate);
    if (most > 0) printf(", %.0f %% of peak", 100 * rate / most);
    printf(" |%s\n", bf16 ? " 25 %" : "");
    split(&j, bf16);
  }
  nn_gpu_free(j.n);
  nn_model_free(m);
  nn_params_free(&p);
  nn_head_free(st, &head);
  if (good) tokens_free(&j.k);
}

int main(void)
{
  const nn_shape large = { .d = 512, .layers = 6, .heads = 8, .ff = 2048, .rows = ROWS },
                 small = { .d = 16, .layers = 1, .heads = 2, .ff = 16, .rows = ROWS };
  const char *why;
  norn_state *st = gpu_test_state();
  gpu *g = gpu_test_open(st);
  if (!g) return 1;
  if (!gpu_blas_there(g, &why)) {
    printf("skipped: %s\n", why);
    return 77;
  }
  bool few = gpu_time_small();
  measure(st, g, few ? &small : &large, few ? 2 : 64, few ? 8 : 256, true);
  if (!few) measure(st, g, &large, 64, 256, false);
  norn_free(st);
  return unit_end();
}
