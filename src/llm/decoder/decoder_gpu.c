/* decoder_gpu.c: a decoder's weights, code and pages on a GPU (decoder_gpu.h).

   Pages come from slabs, since taking memory of a device is slow and waits for it: a slab has as many pages as there
   are already, between SLAB_LEAST and SLAB_MOST bytes, and goes when all of its pages are free and another has one.  A
   page that can't be had is no error yet: kv.h lets others go first. */
#include "llm/decoder/decoder_gpu.h"
#include <stdio.h>
#include <string.h>

static const char bytes[] = {
#include "llm/decoder_gpu.inc"
  0
};

#define SLAB_LEAST ((size_t)1 << 24)
#define SLAB_MOST ((size_t)1 << 29)

/* ---- pages ---------------------------------------------------------------------------------------- */

static dec_gpu *owner(kv_store *s) { return (dec_gpu *)s; }

static size_t pages_there(const dec_gpu *e)
{
  size_t n = 0;
  for (size_t i = 0; i < e->nslab; i++) n += (size_t)e->slab[i].n;
  return n;
}

static void slab_free(dec_gpu *e, size_t i)
{
  dec_slab *s = e->slab + i;
  if (e->g) gpu_release(e->g, s->base);
  mem_put(e->m, s->free, (size_t)s->n * sizeof *s->free);
  *s = e->slab[--e->nslab];
}

/* What the error says stays, without being one. */
static bool no_room(dec_gpu *e)
{
  char why[200];
  snprintf(why, sizeof why, "%.190s", norn_error(e->st)->text);
  norn_clear(e->st);
  if (gpu_lost(e->g)) snprintf(e->full, sizeof e->full, "%s", why);
  else
    snprintf(e->full, sizeof e->full,
             "keys and values of %d tokens more do not fit on the GPU, which has room for those of %zu: %s", KV_PAGE,
             pages_there(e) * KV_PAGE, why);
  return false;
}

/* A slab of so many pages, or of fewer where that is all there is. */
static bool slab_new(dec_gpu *e, size_t want)
{
  dec_slab s = { .base = 0 };
  if (!mem_grow(e->m, &e->slab, &e->cslab, e->nslab + 1, sizeof *e->slab)) return false;
  for (s.n = (int)want;; s.n /= 2) {
    s.base = gpu_alloc(e->g, (size_t)s.n * e->d->kv.bytes, "they");
    if (s.base || s.n == 1 || gpu_lost(e->g)) break;
  }
  if (!s.base) return no_room(e);
  norn_clear(e->st);
  s.free = mem_get(e->m, (size_t)s.n * sizeof *s.free);
  if (!s.free) {
    gpu_release(e->g, s.base);
    return false;
  }
  for (int i = 0; i < s.n; i++) s.free[s.left++] = s.n - 1 - i;
  e->slab[e->nslab++] = s;
  return true;
}

static uint64_t page_get(kv_store *store)
{
  dec_gpu *e = owner(store);
  size_t each = e->d->kv.bytes, i = 0, want = pages_there(e);
  *e->full = 0;
  while (i < e->nslab && !e->slab[i].left) i++;
  if (i == e->nslab) {
    if (want < SLAB_LEAST / each) want = SLAB_LEAST / each;
    if (want > SLAB_MOST / each) want = SLAB_MOST / each;
    if (!slab_new(e, want ? want : 1)) return 0;
  }
  dec_slab *s = e->slab + i;
  return s->base + (gpu_ptr)s->free[--s->left] * each;
}

static void page_put(kv_store *store, uint64_t at)
{
  dec_gpu *e = owner(store);
  size_t each = e->d->kv.bytes, i = 0;
  bool other = false;
  while (i < e->nslab && !(at >= e->slab[i].base && at < e->slab[i].base + (gpu_ptr)e->slab[i].n * each)) i++;
  if (i == e->nslab) return;
  dec_slab *s = e->slab + i;
  s->free[s->left++] = (int)((at - s->base) / each);
  for (size_t k = 0; k < e->nslab; k++) other |= k != i && e->slab[k].left;
  if (s->left == s->n && other) slab_free(e, i);
}

/* ---- code ----------------------------------------------------------------------------------------- */

static void used_formats(const decoder *d, bool *used)
{
  memset(used, 0, QUANT_TYPES);
  used[d->out.w.type] = true;
  for (int i = 0; i < d->layers; i++)
    for (int k = 0; k < DEC_MATRICES; k++) {
      const dec_weight *w = &dec_linear_of(d->layer + i, k)->w;
      if (w->data) used[w->type] = true;
    }
}

/* Kernels of the file's formats alone. */
static bool load(dec_gpu *e)
{
  static const char *const names[] = {
#define X(name) "dec_" #name,
    DEC_KERNELS(X)
#undef X
  };
  static const int rows[] = { 1, 4, 8 };
  bool used[QUANT_TYPES];
  char before[400] = "", name[60];
  size_t at = 0;
  used_formats(e->d, used);
  for (int t = 0; t < QUANT_TYPES; t++)
    if (used[t]) at += (size_t)snprintf(before + at, sizeof before - at, "#define DEC_%s\n", quant_of[t].name);
  e->module = gpu_module_new(e->g, &(gpu_text){ "llm", before, bytes, GPU_HOT });
  if (!e->module) return false;
  for (int i = 0; i < DEC_KERNEL_COUNT; i++)
    if (!(e->k[i] = gpu_kernel_of(e->module, names[i]))) return false;
  for (int t = 0; t < QUANT_TYPES; t++)
    for (int i = 0; i < 3 && used[t]; i++) {
      snprintf(name, sizeof name, "dec_product_%s_%d", quant_of[t].name, rows[i]);
      if (!(e->product[t][i] = gpu_kernel_of(e->module, name))) return false;
    }
  return true;
}

/* ---- weights -------------------------------------------------------------------------------------- */

static size_t matrices(const decoder *d) { return (size_t)d->layers * DEC_MATRICES + 1; }

static gpu_part part_of(const dec_weight *w)
{
  return (gpu_part){ .from = w->data, .bytes = w->row * (size_t)w->rows };
}

static bool weights(dec_gpu *e)
{
  const decoder *d = e->d;
  size_t n = matrices(d), at = 0;
  char what[160];
  gpu_part *p = mem_zero(e->m, (n + 1) * sizeof *p);
  e->matrix = mem_zero(e->m, n * sizeof *e->matrix);
  if (!p || !e->matrix) {
    mem_put(e->m, p, (n + 1) * sizeof *p);
    return !lm_no_memory(e->st);
  }
  for (int i = 0; i < d->layers; i++)
    for (int k = 0; k < DEC_MATRICES; k++, at++)
      if (dec_linear_of(d->layer + i, k)->w.data) p[at] = part_of(&dec_linear_of(d->layer + i, k)->w);
  p[at++] = part_of(&d->out.w);
  p[at] = (gpu_part){ .from = d->vectors, .bytes = d->nvectors * sizeof *d->vectors };
  snprintf(what, sizeof what, "the weights of %.120s", d->file->name);
  e->weights = gpu_keep(e->g, p, (int)n + 1, what);
  for (size_t i = 0; i < n; i++) e->matrix[i] = e->weights + p[i].at;
  e->vectors = e->weights + p[n].at;
  mem_put(e->m, p, (n + 1) * sizeof *p);
  return e->weights != 0;
}

/* ---- there and back ------------------------------------------------------------------------------- */

/* All that it has on the device goes; the tables of pages stay, for who gives places back. */
static void leave(dec_gpu *e)
{
  if (!e->g) return;
  for (size_t i = 0; i < e->nslab; i++) gpu_release(e->g, e->slab[i].base);
  gpu_release(e->g, e->memory);
  gpu_let_go(e->g, e->weights);
  gpu_module_free(e->module);
  e->memory = e->weights = 0;
  e->g = NULL;
}

static void gone(gpu_guest *guest) { leave((dec_gpu *)((char *)guest - offsetof(dec_gpu, guest))); }

void dec_gpu_free(decoder *d)
{
  dec_gpu *e = d->there;
  if (!e) return;
  if (e->g) gpu_guest_leave(e->g, &e->guest);
  leave(e);
  while (e->nslab) slab_free(e, 0);
  mem_put(e->m, e->slab, e->cslab * sizeof *e->slab);
  mem_put(e->m, e->matrix, matrices(d) * sizeof *e->matrix);
  mem_put(e->m, e->host, e->nhost);
  mem_put(e->m, e, sizeof *e);
  d->there = NULL;
}

bool decoder_there(decoder *d, gpu *g, double cache, bool returns)
{
  dec_gpu *e = mem_zero(d->m, sizeof *e);
  if (!e) return !lm_no_memory(d->st);
  *e = (dec_gpu){ .store = { page_get, page_put }, .guest = { .gone = gone }, .g = g, .st = d->st, .m = d->m, .d = d };
  d->there = e;
  gpu_guest_come(g, &e->guest);
  if (!load(e) || !weights(e)) {
    dec_gpu_free(d);
    return false;
  }
  d->returns = returns;
  d->kv.limit = cache < 0 ? gpu_free_memory(g) / 4 : (size_t)cache;
  kv_elsewhere(&d->kv, &e->store);
  return true;
}

/* A token of one context: here the weights are read at 10 GB/s, there at a hundred times that, with about a dozen
   launches a layer of 4 us. */
bool decoder_pays_there(const decoder *d)
{
  double n = (double)d->out.w.row * (double)d->out.w.rows;
  for (int i = 0; i < d->layers; i++)
    for (int k = 0; k < DEC_MATRICES; k++) {
      const dec_weight *w = &dec_linear_of(d->layer + i, k)->w;
      if (w->data) n += (double)w->row * (double)w->rows;
    }
  return n / 1e10 > n / 1e12 + 12 * 4e-6 * d->layers;
}

norn_status dec_gpu_full(const decoder *d)
{
  dec_gpu *e = d->there;
  if (!*e->full) return NORN_OK;
  bool lost = gpu_lost(e->g);
  norn_fail(e->st, lost ? NORN_EINFER : NORN_EMEMORY, -1, "%s", e->full);
  if (!lost) norn_hint(e->st, "fewer contexts at once, shorter ones, or device = \"cpu\"");
  return e->bad = norn_error(e->st)->code;
}

bool dec_gpu_failed(decoder *d)
{
  bool failed = d->there->bad != NORN_OK;
  d->there->bad = NORN_OK;
  return failed;
}
