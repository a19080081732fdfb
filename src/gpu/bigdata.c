/* bigdata: see bigdata.h.  bigdata_text.c writes the kernels. */
#include "gpu/bigdata_text.h"
#include "gpu/bigdata_in.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char no_rows[] = "the density has no rows of data that run as one block (few are written out, those of one "
                              "distribution are summed beforehand)";

#define LAUNCH_US 30.0                 /* of an evaluation: launches, copies, waiting */
#define SHARE 0.6                      /* of the bandwidth that a device has */

/* ---- what is shared --------------------------------------------------------------------------- */

bigdata *bigdata_new(gpu *g, bigdata_wish w)
{
  bigdata *d = norn_alloc(gpu_state(g), NULL, 0, sizeof *d);
  if (!d) return norn_fail(gpu_state(g), NORN_EMEMORY, -1, "out of memory"), NULL;
  *d = (bigdata){.st = gpu_state(g), .g = g, .wish = w, .owners = 1};
  return d;
}

bigdata *bigdata_keep(bigdata *d)
{
  if (d) d->owners++;
  return d;
}

void bigdata_free(bigdata *d)
{
  if (!d || --d->owners) return;
  for (size_t i = 0; i < d->ndata; i++) gpu_release(d->g, d->data[i].at);
  norn_alloc(d->st, d->data, d->cdata * sizeof *d->data, 0);
  norn_alloc(d->st, d, sizeof *d, 0);
}

const char *bigdata_failure(const bigdata *d) { return d && *d->why ? d->why : NULL; }
bool bigdata_differs(const bigdata *d) { return d && d->differs; }

/* ---- data that stay ---------------------------------------------------------------------------- */

static uint64_t content(const void *x, size_t n, uint64_t h)
{
  const char *b = x;
  uint64_t word;
  for (; n >= 8; n -= 8, b += 8) {
    memcpy(&word, b, 8);
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
  }
  for (; n; n--, b++) h = (h ^ (unsigned char)*b) * 0x100000001b3u;
  return h ^ h >> 29;
}

static bool data_room(bigdata *d)
{
  if (d->ndata < d->cdata) return true;
  size_t cap = d->cdata ? 2 * d->cdata : 16;
  void *at = norn_alloc(d->st, d->data, d->cdata * sizeof *d->data, cap * sizeof *d->data);
  if (!at) return norn_fail(d->st, NORN_EMEMORY, -1, "out of memory"), false;
  d->data = at;
  d->cdata = cap;
  return true;
}

gpu_ptr bigdata_data(bigdata *d, const void *x, size_t n, size_t unit)
{
  resident r = {.bytes = n, .unit = unit,
                .hash = {content(x, n, 0xcbf29ce484222325u + unit), content(x, n, unit)}};
  for (size_t i = 0; i < d->ndata; i++)
    if (d->data[i].bytes == n && d->data[i].unit == unit && d->data[i].hash[0] == r.hash[0] &&
        d->data[i].hash[1] == r.hash[1])
      return d->data[i].at;
  if (!data_room(d) || !(r.at = gpu_alloc(d->g, n, "data"))) return 0;
  if (gpu_upload(d->g, r.at, x, n)) return gpu_release(d->g, r.at), 0;
  d->data[d->ndata++] = r;
  return r.at;
}

/* Doubles as floats, a piece at a time. */
gpu_ptr bigdata_column(bigdata *d, const double *x, size_t n)
{
  enum { PIECE = 4096 };
  float piece[PIECE];
  if (!d->wish.f32) return bigdata_data(d, x, n * sizeof *x, sizeof *x);
  resident r = {.bytes = n * sizeof *x, .unit = 4,
                .hash = {content(x, n * sizeof *x, 3), content(x, n * sizeof *x, 4)}};
  for (size_t i = 0; i < d->ndata; i++)
    if (d->data[i].bytes == r.bytes && d->data[i].unit == 4 && d->data[i].hash[0] == r.hash[0] &&
        d->data[i].hash[1] == r.hash[1])
      return d->data[i].at;
  if (!data_room(d) || !(r.at = gpu_alloc(d->g, n * sizeof(float), "data"))) return 0;
  for (size_t k = 0; k < n; k += PIECE) {
    size_t m = n - k < PIECE ? n - k : PIECE;
    for (size_t i = 0; i < m; i++) piece[i] = (float)x[k + i];
    if (gpu_upload(d->g, r.at + k * sizeof(float), piece, m * sizeof(float)))
      return gpu_release(d->g, r.at), 0;
  }
  d->data[d->ndata++] = r;
  return r.at;
}

/* ---- which blocks ------------------------------------------------------------------------------ */

/* Bytes that a gradient of the block reads and writes on the device. */
static double bytes_of(const fused_shape *s, bool f32)
{
  double unit = f32 ? 4 : 8, bytes = s->ncolumn * unit;
  for (uint32_t j = 0; j < s->neach; j++) bytes += s->each[j]->kind == FROM_GATHER ? 12 : 8;
  for (uint32_t u = 0; u < s->nuse; u++) bytes += s->use[u].sum ? 0 : 2 * unit;
  return bytes * s->b->n;
}

static double host_bytes(const fused_shape *s)
{
  double bytes = 0;
  for (uint32_t j = 0; j < s->neach; j++) bytes += s->each[j]->kind == FROM_VIEW ? 16.0 * s->b->n : 0;
  return bytes;
}

static bool part_of(const program *p, uint32_t block, const gpu_info *info, bool f32, bigdata_part *out)
{
  fused_shape s;
  bool good = fused_shape_make(p, &p->fused[block], &s);
  double bandwidth = info && info->memory_khz ? 2e3 * info->memory_khz * info->memory_bits / 8
                                              : 1e9 * BIGDATA_BANDWIDTH;
  if (good) {
    *out = (bigdata_part){.block = block, .n = s.b->n, .columns = s.ncolumn, .bytes = bytes_of(&s, f32),
                          .cpu_us = fused_cost(p, s.b), .lacks = s.lacks};
    for (size_t i = 0; i < p->nfast; i++)
      if (p->fast[i].op == G_FUSED && p->fast[i].aux == block) out->term = p->fast[i].term[0];
    out->gpu_us = LAUNCH_US + 1e6 * out->bytes / (SHARE * bandwidth) + 1e6 * host_bytes(&s) / 20e9;
    if (!out->lacks && s.nnumber + s.ncolumn + 3 * s.neach > ARGUMENTS) out->lacks = "so many columns";
  }
  fused_shape_free(&s);
  return good;
}

bool bigdata_parts(const program *p, const gpu_info *info, bool f32,
                   void (*f)(void *user, const bigdata_part *), void *user)
{
  for (uint32_t i = 0; i < p->nfused; i++) {
    bigdata_part part;
    if (!part_of(p, i, info, f32, &part)) return false;
    f(user, &part);
  }
  return true;
}

/* Which blocks go there; false: no memory. */
static bool choose(const bigdata *d, const program *p, bool *has, char *why, size_t size)
{
  int64_t largest = -1;
  uint32_t most = 0, any = 0;
  const char *lacks = NULL;
  double cpu = 0, gpu_time = 0;
  for (uint32_t i = 0; i < p->nfused; i++) {
    bigdata_part part;
    if (!part_of(p, i, gpu_info_of(d->g), d->wish.f32, &part)) return false;
    has[i] = false;
    if (part.lacks) { lacks = part.lacks; continue; }
    has[i] = part.gpu_us < part.cpu_us;
    any += has[i];
    if (part.n > most) most = part.n, largest = i, cpu = part.cpu_us, gpu_time = part.gpu_us;
  }
  if (!any && largest >= 0 && d->wish.order) has[largest] = true;
  else if (!any && largest >= 0)
    snprintf(why, size, "its largest block, of %u elements, is predicted to take %.3g us there and %.3g us "
             "here", most, gpu_time, cpu);
  else if (!any && lacks) snprintf(why, size, "there is no code for %s on a GPU", lacks);
  else if (!any) snprintf(why, size, "%s", no_rows);
  return true;
}

/* ---- a program --------------------------------------------------------------------------------- */

static void attached_free(program_device *self)
{
  attached *a = (attached *)self;
  bigdata *d = a->d;
  for (uint32_t i = 0; i < a->nblock; i++) bigdata_block_free(d, &a->block[i]);
  norn_alloc(d->st, a->block, a->nblock * sizeof *a->block, 0);
  norn_alloc(d->st, a->has, a->nblock + 1, 0);
  norn_alloc(d->st, a, sizeof *a, 0);
  bigdata_free(d);
}

static void give_up(bigdata *d)
{
  if (!*d->why) snprintf(d->why, sizeof d->why, "%.290s", norn_error(d->st)->text);
  d->dead = true;
  norn_clear(d->st);
}

static device_result attached_run(program_device *self, program *p, uint32_t block, bool gradient,
                                  double *sum)
{
  attached *a = (attached *)self;
  bigdata *d = a->d;
  if (d->dead) return DEVICE_FAILED;
  norn_lock(d->st);
  device_result r = bigdata_block_run(d, p, &a->block[block], gradient, sum);
  if (r == DEVICE_FAILED) give_up(d);
  norn_unlock(d->st);
  return r;
}

static attached *attached_new(bigdata *d, const program *p)
{
  attached *a = norn_alloc(d->st, NULL, 0, sizeof *a);
  if (!a) return norn_fail(d->st, NORN_EMEMORY, -1, "out of memory"), NULL;
  *a = (attached){.device = {.run = attached_run, .free = attached_free}, .d = bigdata_keep(d)};
  a->has = norn_alloc(d->st, NULL, 0, p->nfused + 1);
  a->block = a->has ? norn_alloc(d->st, NULL, 0, p->nfused * sizeof *a->block) : NULL;
  a->device.has = a->has;
  if (a->block) memset(a->block, 0, p->nfused * sizeof *a->block);
  if (a->block) a->nblock = (uint32_t)p->nfused;
  if (a->block || !p->nfused) return a;
  norn_fail(d->st, NORN_EMEMORY, -1, "out of memory");
  if (a->has) norn_alloc(d->st, a->has, p->nfused + 1, 0);
  norn_alloc(d->st, a, sizeof *a, 0);
  bigdata_free(d);
  return NULL;
}

int bigdata_attach(bigdata *d, program *p, char *why, size_t size)
{
  int n = 0;
  if (size) *why = 0;
  if (p->device) p->device->free(p->device);
  p->device = NULL;
  if (!p->nfused) return snprintf(why, size, "%s", no_rows), 0;
  if (d->dead) return snprintf(why, size, "%s", d->why), 0;
  attached *a = attached_new(d, p);
  if (!a) return -1;
  bool good = choose(d, p, a->has, why, size);
  for (uint32_t i = 0; i < a->nblock && good; i++) {
    if (!a->has[i]) continue;
    good = bigdata_block_make(d, p, i, &a->block[i]);
    n++;
  }
  if (good && n) p->device = &a->device;
  else attached_free(&a->device);
  return good ? n : -1;
}
