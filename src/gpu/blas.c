/* blas.c: cuBLASLt's door.

   Names, numbers and signatures are those of the cuBLASLt manual.  A row-major matrix is the transpose of a
   column-major one, so c = a b is asked for as c' = b' a'.  Which algorithm serves a shape is asked once and
   kept with the shape's descriptions (a plan); the last PLANS shapes are. */
#include "gpu/blas.h"
#include "gpu/gpu_in.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_TF32 = 77 };          /* cublasComputeType_t */
enum { R_32F = 0, R_64F = 1, R_16BF = 14 };                              /* cudaDataType_t */
enum { DESC_TRANSA = 3, DESC_TRANSB = 4, DESC_EPILOGUE = 7, DESC_BIAS = 8, DESC_ALSO = 11, DESC_ALSO_LD = 12,
       LAYOUT_BATCH = 5, LAYOUT_STRIDE = 6, PREFER_WORKSPACE = 1 };
/* cublasLtEpilogue_t, by gpu_ending */
static const uint32_t endings[] = { [GPU_AS_IS] = 1, [GPU_BIAS] = 4, [GPU_GELU] = 32 | 128 | 4 };

typedef struct { uint64_t algorithm[8]; size_t workspace; int state; float waves; int reserved[4]; } heuristic;

#define BLAS_CALLS(X) \
  X(create, int, "cublasLtCreate", (void **)) \
  X(destroy, int, "cublasLtDestroy", (void *)) \
  X(version, size_t, "cublasLtGetVersion", (void)) \
  X(desc_new, int, "cublasLtMatmulDescCreate", (void **, int compute, int scale)) \
  X(desc_free, int, "cublasLtMatmulDescDestroy", (void *)) \
  X(desc_set, int, "cublasLtMatmulDescSetAttribute", (void *, int, const void *, size_t)) \
  X(layout_new, int, "cublasLtMatrixLayoutCreate", (void **, int, uint64_t rows, uint64_t cols, int64_t ld)) \
  X(layout_free, int, "cublasLtMatrixLayoutDestroy", (void *)) \
  X(layout_set, int, "cublasLtMatrixLayoutSetAttribute", (void *, int, const void *, size_t)) \
  X(prefer_new, int, "cublasLtMatmulPreferenceCreate", (void **)) \
  X(prefer_free, int, "cublasLtMatmulPreferenceDestroy", (void *)) \
  X(prefer_set, int, "cublasLtMatmulPreferenceSetAttribute", (void *, int, const void *, size_t)) \
  X(choose, int, "cublasLtMatmulAlgoGetHeuristic", (void *, void *desc, void *a, void *b, void *c, void *d, \
                                                    void *prefer, int most, heuristic *, int *found)) \
  X(product, int, "cublasLtMatmul", (void *, void *desc, const void *alpha, const void *a, void *la, const void *b, \
                                     void *lb, const void *beta, const void *c, void *lc, void *d, void *ld, \
                                     const void *algorithm, void *workspace, size_t, void *stream))

#define BLAS_CALL(name, type, symbol, parameters) type (*name) parameters;
typedef struct blas_api { void *library; BLAS_CALLS(BLAS_CALL) } blas_api;
#undef BLAS_CALL

enum { PLANS = 256, WORKSPACE = 32 << 20 };

/* la, lb: of the operands as cuBLASLt gets them. */
typedef struct plan { gpu_product p; void *desc, *la, *lb, *lc; uint64_t algorithm[8]; size_t workspace; } plan;
typedef struct blas {
  blas_api api;
  void *handle;
  gpu_ptr workspace;
  plan plans[PLANS]; int nplans, next;
  char why[240];
} blas;

/* ---- the library ------------------------------------------------------------------------------ */

static bool open_blas(blas_api *a, char *why, size_t n)
{
  static const char *const names[] = { "libcublasLt.so.13", "libcublasLt.so.12",
                                       "libcublasLt.so.11", "libcublasLt.so" };
  *a = (blas_api){ .library = gpu_library("NORN_CUBLASLT", names, NORN_COUNT(names), why, n) };
  if (!a->library) return false;
#define ENTRY(name, type, symbol, parameters) { symbol, &a->name },
  const struct { const char *name; void *to; } all[] = { BLAS_CALLS(ENTRY) };
#undef ENTRY
  for (int k = 0; k < NORN_COUNT(all); k++)
    if (!gpu_symbol(a->library, all[k].name, all[k].to)) {
      snprintf(why, n, "cuBLASLt is too old: it lacks %s", all[k].name);
      dlclose(a->library);
      *a = (blas_api){ 0 };
      return false;
    }
  return true;
}

size_t gpu_blas_version(void)
{
  char why[240];
  blas_api a;
  if (!open_blas(&a, why, sizeof why)) return 0;
  size_t v = a.version();
  dlclose(a.library);
  return v;
}

/* The device's, opened at the first call; NULL: no memory.  Without handle it could not be. */
static blas *blas_of(gpu *g)
{
  if (g->blas) return g->blas;
  blas *b = norn_alloc(g->st, NULL, 0, sizeof *b);
  if (!b) return NULL;
  memset(b, 0, sizeof *b);
  g->blas = b;
  if (!open_blas(&b->api, b->why, sizeof b->why)) return b;
  int code = b->api.create(&b->handle);
  if (code) {
    b->handle = NULL;
    snprintf(b->why, sizeof b->why, "cuBLASLt does not start (%d)", code);
  }
  return b;
}

bool gpu_blas_there(gpu *g, const char **why)
{
  static const char lost[] = "there is no device", no_memory[] = "not enough memory";
  if (why) *why = lost;
  if (!g->open || g->lost || g->cu.set_current(g->context) != CU_OK) return false;
  blas *b = blas_of(g);
  if (why) *why = b ? b->why : no_memory;
  return b && b->handle;
}

/* ---- plans ------------------------------------------------------------------------------------ */

static void plan_free(const blas_api *a, plan *q)
{
  if (q->desc) a->desc_free(q->desc);
  if (q->la) a->layout_free(q->la);
  if (q->lb) a->layout_free(q->lb);
  if (q->lc) a->layout_free(q->lc);
  memset(q, 0, sizeof *q);
}

void gpu_blas_free(gpu *g)
{
  blas *b = g->blas;
  if (!b) return;
  for (int k = 0; k < b->nplans; k++) plan_free(&b->api, &b->plans[k]);
  if (b->handle && !g->lost) b->api.destroy(b->handle);
  gpu_release(g, b->workspace);
  if (b->api.library) dlclose(b->api.library);
  norn_alloc(g->st, b, sizeof *b, 0);
  g->blas = NULL;
}

/* The product with what was left out filled in; where a bias lies is not a plan's. */
static gpu_product whole(const gpu_product *p)
{
  gpu_product w;
  memset(&w, 0, sizeof w);           /* it is compared as bytes */
  w.of = p->of;
  w.c_bf16 = p->c_bf16;
  w.column = p->column;
  w.ta = p->ta;
  w.tb = p->tb;
  w.end = p->end;
  w.m = p->m;
  w.n = p->n;
  w.k = p->k;
  bool tall_a = p->ta != p->column, tall_b = p->tb != p->column;      /* k or m, n or k are the length */
  w.lda = p->lda ? p->lda : tall_a ? p->m : p->k;
  w.ldb = p->ldb ? p->ldb : tall_b ? p->k : p->n;
  w.ldc = p->ldc ? p->ldc : p->column ? p->m : p->n;
  w.batch = p->batch > 1 ? p->batch : 1;
  w.stride_a = p->stride_a ? p->stride_a : p->m * p->k;
  w.stride_b = p->stride_b ? p->stride_b : p->k * p->n;
  w.stride_c = p->stride_c ? p->stride_c : p->m * p->n;
  return w;
}

/* A matrix of rows x cols, column-major, one of `batch`. */
static int layout(const blas_api *a, void **out, int type, int64_t rows, int64_t cols, int64_t ld, int64_t batch,
                  int64_t stride)
{
  int32_t n = (int32_t)batch;
  int code = a->layout_new(out, type, (uint64_t)rows, (uint64_t)cols, ld);
  if (!code && batch > 1) code = a->layout_set(*out, LAYOUT_BATCH, &n, sizeof n);
  if (!code && batch > 1) code = a->layout_set(*out, LAYOUT_STRIDE, &stride, sizeof stride);
  return code;
}

/* Where bias and `also` of this product lie. */
static int set_end(const blas_api *a, const plan *q, const gpu_product *p)
{
  void *bias = (void *)(uintptr_t)p->bias, *also = (void *)(uintptr_t)p->also;
  int code = 0;
  if (p->end != GPU_AS_IS) code = a->desc_set(q->desc, DESC_BIAS, &bias, sizeof bias);
  if (!code && p->end == GPU_GELU) code = a->desc_set(q->desc, DESC_ALSO, &also, sizeof also);
  return code;
}

static int describe_end(const blas_api *a, plan *q, const gpu_product *given)
{
  int64_t ld = q->p.ldc;
  if (q->p.end == GPU_AS_IS) return 0;
  int code = a->desc_set(q->desc, DESC_EPILOGUE, &endings[q->p.end], sizeof *endings);
  if (!code && q->p.end == GPU_GELU) code = a->desc_set(q->desc, DESC_ALSO_LD, &ld, sizeof ld);
  return code ? code : set_end(a, q, given);             /* alignment tells what can serve */
}

static int describe(const blas_api *a, plan *q, const gpu_product *given)
{
  const gpu_product *p = &q->p;
  int compute = p->of == GPU_F64 ? COMPUTE_64F : p->of == GPU_TF32 ? COMPUTE_TF32 : COMPUTE_32F;
  int scale = p->of == GPU_F64 ? R_64F : R_32F, in = p->of == GPU_BF16 ? R_16BF : scale;
  int out = p->of == GPU_BF16 && p->c_bf16 ? R_16BF : scale;
  int32_t ta = p->ta, tb = p->tb;
  int code = a->desc_new(&q->desc, compute, scale);
  /* as they lie, column-major: rows x cols of the first operand, of the second */
  int64_t ra = p->ta != p->column ? p->m : p->k, ca = p->ta != p->column ? p->k : p->m;
  int64_t rb = p->tb != p->column ? p->k : p->n, cb = p->tb != p->column ? p->n : p->k;
  if (!code) code = a->desc_set(q->desc, p->column ? DESC_TRANSA : DESC_TRANSB, &ta, sizeof ta);
  if (!code) code = a->desc_set(q->desc, p->column ? DESC_TRANSB : DESC_TRANSA, &tb, sizeof tb);
  if (!code) code = describe_end(a, q, given);
  if (!code) code = layout(a, &q->la, in, ra, ca, p->lda, p->batch, p->stride_a);
  if (!code) code = layout(a, &q->lb, in, rb, cb, p->ldb, p->batch, p->stride_b);
  if (!code) code = layout(a, &q->lc, out, p->column ? p->m : p->n, p->column ? p->n : p->m, p->ldc, p->batch,
                           p->stride_c);
  return code;
}

static int choose(blas *b, plan *q)
{
  const blas_api *a = &b->api;
  bool column = q->p.column;
  uint64_t most = WORKSPACE;
  void *prefer = NULL;
  heuristic h;
  int found = 0, code = a->prefer_new(&prefer);
  if (!code) code = a->prefer_set(prefer, PREFER_WORKSPACE, &most, sizeof most);
  if (!code) code = a->choose(b->handle, q->desc, column ? q->la : q->lb, column ? q->lb : q->la, q->lc, q->lc, prefer,
                              1, &h, &found);
  if (prefer) a->prefer_free(prefer);
  if (code || !found || h.state) return code ? code : h.state ? h.state : -1;
  memcpy(q->algorithm, h.algorithm, sizeof q->algorithm);
  q->workspace = h.workspace;
  return 0;
}

/* NULL: there is none, of which *code says more. */
static plan *plan_for(blas *b, const gpu_product *p, int *code)
{
  gpu_product w = whole(p);
  for (int k = 0; k < b->nplans; k++)
    if (!memcmp(&b->plans[k].p, &w, sizeof w)) return &b->plans[k];
  plan *q = &b->plans[b->next];
  plan_free(&b->api, q);
  q->p = w;
  *code = describe(&b->api, q, p);
  if (!*code) *code = choose(b, q);
  if (*code) {
    plan_free(&b->api, q);
    return NULL;
  }
  b->next = (b->next + 1) % PLANS;
  if (b->nplans < PLANS) b->nplans++;
  return q;
}

/* ---- products --------------------------------------------------------------------------------- */

bool gpu_product_there(gpu *g, const gpu_product *p)
{
  int code = 0;
  return p->m > 0 && p->n > 0 && p->k > 0 && gpu_blas_there(g, NULL) && plan_for(g->blas, p, &code);
}

norn_status gpu_matmul(gpu *g, const gpu_product *p, double alpha, gpu_ptr a, gpu_ptr b, double beta, gpu_ptr c)
{
  const char *why;
  if (!gpu_enter(g)) return NORN_EINFER;
  if (p->m <= 0 || p->n <= 0) return NORN_OK;
  if (p->k <= 0) return norn_fail(g->st, NORN_EUSE, -1, "a product of matrices over %lld numbers", (long long)p->k);
  if (!gpu_blas_there(g, &why)) return norn_fail(g->st, NORN_EIO, -1, "no matrix products on the GPU: %s", why);
  blas *s = g->blas;
  int code = 0;
  plan *q = plan_for(s, p, &code);
  if (!q)
    return norn_fail(g->st, NORN_EINFER, -1, "cuBLASLt has no product for (%lld, %lld) x (%lld, %lld) (%d)",
                     (long long)p->m, (long long)p->k, (long long)p->k, (long long)p->n, code);
  if (q->workspace && !s->workspace && !(s->workspace = gpu_alloc(g, WORKSPACE, "products of matrices")))
    return NORN_EMEMORY;
  float alpha_f = (float)alpha, beta_f = (float)beta;
  bool f64 = p->of == GPU_F64, column = p->column;
  gpu_ptr first = column ? a : b, second = column ? b : a;
  code = set_end(&s->api, q, p);
  if (!code)
    code = s->api.product(s->handle, q->desc, f64 ? (void *)&alpha : (void *)&alpha_f, (void *)(uintptr_t)first,
                          column ? q->la : q->lb, (void *)(uintptr_t)second, column ? q->lb : q->la,
                          f64 ? (void *)&beta : (void *)&beta_f, (void *)(uintptr_t)c, q->lc, (void *)(uintptr_t)c,
                          q->lc, q->algorithm, (void *)(uintptr_t)s->workspace, q->workspace, g->stream);
  return code ? norn_fail(g->st, NORN_EINFER, -1,
                          "a product of matrices failed on the GPU (cuBLASLt %d)", code) : NORN_OK;
}
