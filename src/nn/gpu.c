/* gpu.c: the parameters of a net on a GPU, and the steps of its optimiser (gpu.h).  Tensors there begin at multiples of
   128 numbers, since products read them by 256 bytes; a head's last product has its rows padded to a multiple of 8. */
#include "nn/gpu_in.h"
#include "graph/dialect.h"
#include <math.h>
#include <string.h>

static const char bytes[] = {
#include "nn/gpu_kernels.inc"
  0
};
const char *nn_gpu_kernels(void) { return bytes; }

enum { ALIGN = 128, SQUARES = 4096 };            /* numbers; as gpu_kernels.h has it */

const char *nn_gpu_lacks(const nn_shape *s)
{
  if (s->d / s->heads % 8) return "d / heads is no multiple of 8";
  return s->ff % 8 ? "ff is no multiple of 8" : NULL;
}

void nn_gpu_launch(nn_gpu *e, int kernel, int64_t blocks, int threads, void *const *args)
{
  if (e->bad || blocks <= 0) return;
  bool attention = kernel >= K_attend || (kernel >= K_split && kernel <= K_softmax_back);
  nn_gpu_now(e, attention ? NN_GPU_ATTENTION : NN_GPU_REST);
  e->bad = gpu_launch(e->g, e->k[kernel], blocks, threads, 0, args);
}
void nn_gpu_go(nn_gpu *e, int kernel, int64_t n, void *const *args)
{
  nn_gpu_launch(e, kernel, (n + 255) / 256, 256, args);
}

int nn_gpu_width(const nn_gpu *e, int head) { return (nn_head_width(e->m->head + head) + 7) / 8 * 8; }

void *nn_gpu_host(nn_gpu *e, size_t n)
{
  if (n <= e->nhost) return e->host;
  if (e->host) norn_alloc(e->st, e->host, e->nhost, 0);
  e->host = norn_alloc(e->st, NULL, 0, n);
  e->nhost = e->host ? n : 0;
  if (!e->host) e->bad = norn_fail(e->st, NORN_EMEMORY, -1, "no memory for %zu bytes of a batch", n);
  return e->host;
}

gpu_ptr nn_gpu_weight(const nn_gpu *e, int tensor) { return e->wn + e->at[tensor] * e->real; }
gpu_ptr nn_gpu_float(const nn_gpu *e, int tensor) { return e->w + e->at[tensor] * sizeof(float); }
gpu_ptr nn_gpu_grad(const nn_gpu *e, int tensor) { return e->grad + e->at[tensor] * sizeof(float); }

/* ---- where time goes ---------------------------------------------------------------------------- */

enum { MARKS = 600 };
typedef struct nn_watch { gpu_mark mark[MARKS + 1]; nn_gpu_part part[MARKS]; int n; } nn_watch;

void nn_gpu_now(nn_gpu *e, nn_gpu_part part)
{
  nn_watch *w = e->watch;
  if (!w || w->n == MARKS || (w->n && w->part[w->n - 1] == part) || e->bad) return;
  w->part[w->n] = part;
  e->bad = gpu_mark_put(e->g, &w->mark[w->n++]);
}

static void watch_free(nn_gpu *e)
{
  for (int i = 0; e->watch && i <= MARKS; i++) gpu_mark_free(&e->watch->mark[i]);
  if (e->watch) norn_alloc(e->st, e->watch, sizeof *e->watch, 0);
  e->watch = NULL;
}

norn_status nn_gpu_watch(nn_gpu *e)
{
  watch_free(e);
  e->watch = norn_alloc(e->st, NULL, 0, sizeof *e->watch);
  if (!e->watch) return norn_fail(e->st, NORN_EMEMORY, -1, "out of memory");
  memset(e->watch, 0, sizeof *e->watch);
  return NORN_OK;
}

norn_status nn_gpu_watched(nn_gpu *e, double seconds[NN_GPU_PARTS])
{
  nn_watch *w = e->watch;
  norn_status s = w ? gpu_mark_put(e->g, &w->mark[w->n]) : NORN_OK;
  for (int p = 0; p < NN_GPU_PARTS; p++) seconds[p] = 0;
  for (int i = 0; w && i < w->n && !s; i++) {
    double x = gpu_seconds(&w->mark[i], &w->mark[i + 1]);
    if (x < 0) s = NORN_EINFER;
    else seconds[w->part[i]] += x;
  }
  watch_free(e);
  return s;
}

/* ---- making ------------------------------------------------------------------------------------- */

static bool load(nn_gpu *e)
{
  static const char *const names[] = {
#define X(name) "nn_" #name,
    NN_KERNELS(X)
#undef X
  };
  bool counts = false;
  mem m;
  text before;
  for (int h = 0; h < e->m->nhead; h++) counts |= e->m->head[h].kind == NN_COUNTS;
  mem_init(&m);
  text_init(&before, &m);
  if (counts) text_put(&before, dialect_text(false), dialect_size(false));       /* negative binomials */
  text_printf(&before, "%s%s", counts ? "#define NN_COUNTS\n" : "", e->bf16 ? "#define NN_BF16\n" : "");
  if (e->whole) text_printf(&before, "#define NN_HEAD %d\n", e->m->s.d / e->m->s.heads);
  if (before.failed) norn_fail(e->st, NORN_EMEMORY, -1, "out of memory");
  else e->module = gpu_module_new(e->g, &(gpu_text){ "nn", before.n ? before.s : NULL, bytes, GPU_FMA | GPU_HOT });
  text_free(&before);
  int kernels = e->whole ? NN_KERNEL_COUNT : K_attend;
  for (int i = 0; i < kernels && e->module; i++)
    if (!(e->k[i] = gpu_kernel_of(e->module, names[i]))) return false;
  return e->module != NULL;
}

/* Numbers of a tensor there, with its padding. */
static size_t numbers(const nn_gpu *e, int tensor)
{
  const nn_tensor *t = e->m->p->tensor + tensor;
  for (int h = 0; h < e->m->nhead; h++)
    if (e->m->top[h].out.weight == tensor || e->m->top[h].out.bias == tensor)
      return t->n / (size_t)t->dims[0] * (size_t)nn_gpu_width(e, h);
  return t->n;
}

static bool place(nn_gpu *e)
{
  const nn_params *p = e->m->p;
  e->at = norn_alloc(e->st, NULL, 0, (size_t)(p->n + 1) * sizeof *e->at);
  e->border_at = norn_alloc(e->st, NULL, 0, (size_t)(e->m->nhead + 1) * sizeof *e->border_at);
  e->layer = norn_alloc(e->st, NULL, 0, (size_t)e->m->s.layers * sizeof *e->layer);
  if (!e->at || !e->border_at || !e->layer) return norn_fail(e->st, NORN_EMEMORY, -1, "out of memory"), false;
  for (int i = 0; i < p->n; i++) {
    e->at[i] = e->count;
    e->count += (numbers(e, i) + ALIGN - 1) / ALIGN * ALIGN;
  }
  return true;
}

static bool room(nn_gpu *e)
{
  size_t n = e->count * sizeof(float), parts = (e->count + SQUARES - 1) / SQUARES * sizeof(double);
  struct { gpu_ptr *to; size_t bytes; } all[] = {
    { &e->w, n }, { &e->grad, n }, { &e->mom, n }, { &e->var, n }, { &e->shrinks, e->count / ALIGN },
    { &e->squares, parts }};
  for (int i = 0; i < NORN_COUNT(all); i++)
    if (!(*all[i].to = gpu_alloc(e->g, all[i].bytes, "the parameters of a net"))) return false;
  if (!e->bf16) e->wn = e->w;
  else if (!(e->wn = gpu_alloc(e->g, e->count * e->real, "the parameters of a net"))) return false;
  return !gpu_fill(e->g, e->mom, 0, n) && !gpu_fill(e->g, e->var, 0, n) && !gpu_fill(e->g, e->grad, 0, n);
}

/* Which 128 numbers AdamW shrinks. */
static norn_status put_shrinks(nn_gpu *e)
{
  const nn_params *p = e->m->p;
  uint8_t *x = nn_gpu_host(e, e->count / ALIGN);
  if (!x) return e->bad;
  for (int i = 0; i < p->n; i++) {
    size_t end = i + 1 < p->n ? e->at[i + 1] : e->count;
    memset(x + e->at[i] / ALIGN, p->tensor[i].decay, (end - e->at[i]) / ALIGN);
  }
  return gpu_upload(e->g, e->shrinks, x, e->count / ALIGN);
}

/* Borders of bars, one head's after another. */
static norn_status put_borders(nn_gpu *e)
{
  const nn_model *m = e->m;
  size_t n = 0;
  for (int h = 0; h < m->nhead; h++) {
    e->border_at[h] = n;
    n += m->head[h].kind == NN_BARS ? (size_t)m->head[h].n + 1 : 0;
  }
  if (!n) return NORN_OK;
  double *x = nn_gpu_host(e, n * sizeof *x);
  if (!x) return e->bad;
  for (int h = 0; h < m->nhead; h++)
    if (m->head[h].kind == NN_BARS)
      memcpy(x + e->border_at[h], m->head[h].border, (size_t)(m->head[h].n + 1) * sizeof *x);
  if (!(e->border = gpu_alloc(e->g, n * sizeof *x, "the heads of a net"))) return NORN_EMEMORY;
  return gpu_upload(e->g, e->border, x, n * sizeof *x);
}

nn_gpu *nn_gpu_new(gpu *g, const nn_model *m, bool bf16)
{
  norn_state *st = gpu_state(g);
  const char *lacks = bf16 ? nn_gpu_lacks(&m->s) : NULL;
  if (lacks) {
    norn_fail(st, NORN_EDOMAIN, -1, "this net can't be trained in bf16: %s", lacks);
    norn_hint(st, "precision = \"f32\", or another d, heads or ff");
    return NULL;
  }
  nn_gpu *e = norn_alloc(st, NULL, 0, sizeof *e);
  if (!e) {
    norn_fail(st, NORN_EMEMORY, -1, "out of memory");
    return NULL;
  }
  *e = (nn_gpu){ .g = g, .st = st, .m = m, .bf16 = bf16, .real = bf16 ? 2 : sizeof(float) };
  e->fused = bf16 && gpu_info_of(g)->major >= 9;         /* before, cuBLASLt's kernels that do it are slow */
  e->whole = bf16 && gpu_info_of(g)->major >= 8 && m->s.d / m->s.heads <= NN_HEAD_MOST;
  if (load(e) && place(e) && room(e) && !put_shrinks(e) && !put_borders(e) && !nn_gpu_put(e)) return e;
  nn_gpu_free(e);
  return NULL;
}

void nn_gpu_free(nn_gpu *e)
{
  if (!e) return;
  gpu_ptr all[] = { e->w, e->grad, e->mom, e->var, e->shrinks, e->squares, e->border, e->memory,
                    e->bf16 ? e->wn : 0 };
  for (int i = 0; i < NORN_COUNT(all); i++) gpu_release(e->g, all[i]);
  watch_free(e);
  gpu_module_free(e->module);
  if (e->at) norn_alloc(e->st, e->at, (size_t)(e->m->p->n + 1) * sizeof *e->at, 0);
  if (e->border_at) norn_alloc(e->st, e->border_at, (size_t)(e->m->nhead + 1) * sizeof *e->border_at, 0);
  if (e->layer) norn_alloc(e->st, e->layer, (size_t)e->m->s.layers * sizeof *e->layer, 0);
  if (e->group) norn_alloc(e->st, e->group, (size_t)e->cgroup * sizeof *e->group, 0);
  if (e->host) norn_alloc(e->st, e->host, e->nhost, 0);
  norn_alloc(e->st, e, sizeof *e, 0);
}

/* ---- numbers there and back --------------------------------------------------------------------- */

/* From the parameters' layout to the device's, and back. */
static norn_status put_floats(nn_gpu *e, gpu_ptr to, const float *from)
{
  const nn_params *p = e->m->p;
  float *x = nn_gpu_host(e, e->count * sizeof *x);
  if (!x) return e->bad;
  memset(x, 0, e->count * sizeof *x);
  for (int i = 0; i < p->n; i++) memcpy(x + e->at[i], from + p->tensor[i].at, p->tensor[i].n * sizeof *x);
  return gpu_upload(e->g, to, x, e->count * sizeof *x);
}

static norn_status get_floats(nn_gpu *e, gpu_ptr from, float *to)
{
  const nn_params *p = e->m->p;
  float *x = nn_gpu_host(e, e->count * sizeof *x);
  norn_status s = x ? gpu_download(e->g, x, from, e->count * sizeof *x) : e->bad;
  for (int i = 0; i < p->n && !s; i++) memcpy(to + p->tensor[i].at, x + e->at[i], p->tensor[i].n * sizeof *x);
  return s;
}

norn_status nn_gpu_put(nn_gpu *e)
{
  const nn_params *p = e->m->p;
  int64_t n = (int64_t)e->count;
  e->bad = put_floats(e, e->w, p->w);
  if (!e->bad && p->m) e->bad = put_floats(e, e->mom, p->m);
  if (!e->bad && p->v) e->bad = put_floats(e, e->var, p->v);
  if (e->bf16) nn_gpu_go(e, K_numbers, n, GPU_ARGS(&n, &e->w, &e->wn));
  return e->bad;
}

norn_status nn_gpu_read(nn_gpu *e)
{
  nn_params *p = e->m->p;
  norn_status s = get_floats(e, e->w, p->w);
  if (!s && p->m) s = get_floats(e, e->mom, p->m);
  return s || !p->v ? s : get_floats(e, e->var, p->v);
}

norn_status nn_gpu_gradient(nn_gpu *e, float *g)
{
  memset(g, 0, e->m->p->count * sizeof *g);
  return get_floats(e, e->grad, g);
}

/* ---- AdamW -------------------------------------------------------------------------------------- */

static norn_status norm_of(nn_gpu *e, double *norm)
{
  int64_t n = (int64_t)e->count, parts = (n + SQUARES - 1) / SQUARES;
  double *x = nn_gpu_host(e, (size_t)parts * sizeof *x), sum = 0;
  nn_gpu_go(e, K_squares, 256 * parts, GPU_ARGS(&n, &e->grad, &e->squares));
  if (!e->bad) e->bad = gpu_download(e->g, x, e->squares, (size_t)parts * sizeof *x);
  for (int64_t k = 0; k < parts && !e->bad; k++) sum += x[k];
  *norm = sqrt(sum);
  return e->bad;
}

norn_status nn_gpu_step(nn_gpu *e, nn_adam *a, double progress, double *norm)
{
  double rate = nn_adam_rate(a, progress);
  int64_t step = a->step + 1, n = (int64_t)e->count;
  e->bad = NORN_OK;
  if (norm_of(e, norm)) return e->bad;
  a->step = step;
  if (!isfinite(*norm)) return NORN_OK;
  double c1 = 1 - pow(a->beta1, (double)step), c2 = 1 - pow(a->beta2, (double)step);
  float beta1 = (float)a->beta1, fresh1 = (float)(1 - a->beta1), beta2 = (float)a->beta2,
        fresh2 = (float)(1 - a->beta2), eps = (float)a->eps, moved = (float)(rate / c1),
        scale = a->clip > 0 && *norm > a->clip ? (float)(a->clip / *norm) : 1, root = (float)(1 / sqrt(c2)),
        shrink = (float)(rate * a->decay);
  gpu_ptr wn = e->bf16 ? e->wn : 0;
  nn_gpu_go(e, K_adam, n,
            GPU_ARGS(&n, &beta1, &fresh1, &beta2, &fresh2, &eps, &scale, &moved, &root, &shrink, &e->shrinks, &e->grad,
                     &e->mom, &e->var, &e->w, &wn));
  return e->bad;
}
