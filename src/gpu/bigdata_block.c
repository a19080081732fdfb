/* bigdata_block: one block of a program on a GPU: what is made for it once, and an evaluation. */
#include "gpu/bigdata_in.h"
#include "gpu/bigdata_text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *room(block_on *b, size_t n) { return blocks_get(&b->s.own, n); }

/* ---- code -------------------------------------------------------------------------------------- */

static bool code_make(bigdata *d, block_on *b)
{
  mem m;
  text t, before;
  mem_init(&m);
  text_init(&t, &m);
  text_init(&before, &m);
  bigdata_prologue(&before, d->wish.f32);
  bigdata_text(&t, &b->s, d->wish.f32);
  if (t.failed || before.failed) norn_fail(d->st, NORN_EMEMORY, -1, "out of memory");
  else b->module = gpu_module_new(d->g, &(gpu_text){.name = "block", .prologue = before.s, .text = t.s,
                                                         .flags = GPU_HOT});
  text_free(&t);
  text_free(&before);
  return b->module && (b->run = gpu_kernel_of(b->module, "block")) &&
         (b->total = gpu_kernel_of(b->module, "total")) &&
         (b->pieces = gpu_kernel_of(b->module, "pieces")) &&
         (b->places = gpu_kernel_of(b->module, "places"));
}

/* ---- operands with a number for each element ---------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t index_of(const uint32_t *place, uint32_t n, uint32_t x)
{
  uint32_t low = 0;
  for (uint32_t high = n; low + 1 < high;) {
    uint32_t at = (low + high) / 2;
    if (place[at] <= x) low = at;
    else high = at;
  }
  return low;
}

/* The places of a gather, each once, and which one each element has. */
static bool gather_make(bigdata *d, block_on *b, const operand *o, each_on *e, uint32_t *index)
{
  size_t n = (size_t)b->n;
  uint32_t *place = room(b, n * sizeof *place), m = 0;
  if (!place) return false;
  memcpy(place, o->places, n * sizeof *place);
  qsort(place, n, sizeof *place, by_size);
  for (size_t i = 0; i < n; i++)
    if (i == 0 || place[i] != place[m - 1]) place[m++] = place[i];
  e->place = place;
  e->n = m;
  for (size_t i = 0; i < n; i++) index[i] = index_of(place, m, o->places[i]);
  return (e->index = bigdata_data(d, index, n * sizeof *index, sizeof *index)) != 0;
}

static bool each_make(bigdata *d, block_on *b, uint32_t *index)
{
  for (uint32_t j = 0; j < b->s.neach; j++) {
    const operand *o = b->s.each[j];
    each_on *e = &b->each[j];
    e->n = (uint32_t)b->n;
    if (o->kind == FROM_GATHER && !gather_make(d, b, o, e, index)) return false;
    e->first = b->nvalue;
    b->nvalue += (e->n + 31) / 32 * 32;
  }
  b->host = room(b, (b->nvalue + 1) * sizeof *b->host);
  if (!b->host || !(b->values = gpu_alloc(d->g, b->nvalue * sizeof(double), "values"))) return false;
  for (uint32_t j = 0; j < b->s.neach; j++)
    b->each[j].values = b->values + b->each[j].first * sizeof(double);
  return true;
}

/* ---- derivatives that are kept ------------------------------------------------------------------ */

/* The elements of a gather by place, in pieces of at most PIECE_MOST elements of one place. */
static bool pieces_make(bigdata *d, block_on *b, const operand *o, const each_on *e, kept_on *k,
                        uint32_t *work)
{
  uint32_t n = (uint32_t)b->n, m = e->n, most = m + n / PIECE_MOST + 2, at = 0;
  uint32_t *order = work, *first = norn_alloc(d->st, NULL, 0, 2 * ((size_t)m + most + 2) * sizeof *first);
  if (!first) return norn_fail(d->st, NORN_EMEMORY, -1, "out of memory"), false;
  uint32_t *end = first + m + 1, *begin = end + m + 1;
  memset(end, 0, (m + 1) * sizeof *end);
  for (uint32_t i = 0; i < n; i++) end[index_of(e->place, m, o->places[i]) + 1]++;
  for (uint32_t i = 0; i < m; i++) end[i + 1] += end[i];
  for (uint32_t i = 0; i < m; i++) {
    first[i] = at;
    for (uint32_t from = end[i]; from < end[i + 1]; from += PIECE_MOST) begin[at++] = from;
  }
  first[m] = at;
  begin[at] = n;
  for (uint32_t i = 0; i < n; i++) order[end[index_of(e->place, m, o->places[i])]++] = i;
  k->npiece = at;
  k->result = b->nout;
  b->nout += m;
  k->order = bigdata_data(d, order, n * sizeof *order, sizeof *order);
  k->begin = bigdata_data(d, begin, (at + 1) * sizeof *begin, sizeof *begin);
  k->first = bigdata_data(d, first, (m + 1) * sizeof *first, sizeof *first);
  k->piece = gpu_alloc(d->g, at * sizeof(double), "sums");
  norn_alloc(d->st, first, 2 * ((size_t)m + most + 2) * sizeof *first, 0);
  return k->order && k->begin && k->first && k->piece;
}

static bool kept_make(bigdata *d, block_on *b, uint32_t *work)
{
  bool views = false;
  for (uint32_t u = 0; u < b->s.nuse; u++) {
    const fused_use *use = &b->s.use[u];
    if (use->sum) continue;
    const operand *o = b->s.each[use->at];
    kept_on *k = &b->kept[u];
    if (!(k->d = gpu_alloc(d->g, (size_t)b->n * (d->wish.f32 ? 4 : 8), "derivatives"))) return false;
    views |= o->kind == FROM_VIEW;
    if (o->kind == FROM_GATHER && !pieces_make(d, b, o, &b->each[use->at], k, work)) return false;
  }
  return !views || (b->slopes = room(b, (size_t)b->n * sizeof *b->slopes)) != NULL;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static bool rooms_make(bigdata *d, block_on *b, const program *p)
{
  const fused_shape *s = &b->s;
  b->sum_of = room(b, (s->nnumber + 1) * sizeof *b->sum_of);
  b->column = room(b, (s->ncolumn + 1) * sizeof *b->column);
  b->each = room(b, (s->neach + 1) * sizeof *b->each);
  b->kept = room(b, (s->nuse + 1) * sizeof *b->kept);
  b->number = room(b, (s->nnumber + 1) * sizeof *b->number);
  b->number32 = room(b, (s->nnumber + 1) * sizeof *b->number32);
  b->args = room(b, (2 + s->ncolumn + 2 * s->neach + s->nuse + s->nnumber) * sizeof *b->args);
  if (d->wish.verify && !(b->before = room(b, 2 * p->nplace * sizeof *b->before))) return false;
  return b->sum_of && b->column && b->each && b->kept && b->number && b->number32 && b->args;
}

static void args_make(const bigdata *d, block_on *b)
{
  void **to = b->args;
  *to++ = &b->n;
  for (uint32_t j = 0; j < b->s.ncolumn; j++) *to++ = &b->column[j];
  for (uint32_t j = 0; j < b->s.neach; j++) {
    *to++ = &b->each[j].values;
    if (b->each[j].index) *to++ = &b->each[j].index;
  }
  for (uint32_t u = 0; u < b->s.nuse; u++)
    if (!b->s.use[u].sum) *to++ = &b->kept[u].d;
  for (uint32_t j = 0; j < b->s.nnumber; j++) *to++ = d->wish.f32 ? (void *)&b->number32[j] : &b->number[j];
  *to = &b->partial;
}

bool bigdata_block_make(bigdata *d, const program *p, uint32_t block, block_on *b)
{
  b->made = true;
  if (!fused_shape_make(p, &p->fused[block], &b->s) || !rooms_make(d, b, p) || !code_make(d, b)) return false;
  b->n = b->s.b->n;
  b->blocks = (b->n + BIGDATA_THREADS - 1) / BIGDATA_THREADS;
  if (b->blocks > BIGDATA_BLOCKS) b->blocks = BIGDATA_BLOCKS;
  b->nout = b->sums = bigdata_sums(&b->s, b->sum_of);
  size_t bytes = (size_t)b->n * sizeof(uint32_t);
  uint32_t *work = b->s.neach ? norn_alloc(d->st, NULL, 0, bytes) : NULL;
  if (b->s.neach && !work) return norn_fail(d->st, NORN_EMEMORY, -1, "out of memory"), false;
  bool good = each_make(d, b, work) && kept_make(d, b, work);
  norn_alloc(d->st, work, work ? bytes : 0, 0);
  for (uint32_t j = 0; j < b->s.ncolumn && good; j++)
    good = (b->column[j] = bigdata_column(d, b->s.column[j], (size_t)b->n)) != 0;
  if (!good || !(b->host_out = room(b, b->nout * sizeof *b->host_out)) ||
      !(b->partial = gpu_alloc(d->g, (size_t)b->blocks * b->sums * sizeof(double), "sums")) ||
      !(b->out = gpu_alloc(d->g, b->nout * sizeof(double), "sums")))
    return false;
  args_make(d, b);
  return true;
}

void bigdata_block_free(bigdata *d, block_on *b)
{
  if (!b->made) return;
  for (uint32_t u = 0; b->kept && u < b->s.nuse; u++) {
    gpu_release(d->g, b->kept[u].d);
    gpu_release(d->g, b->kept[u].piece);
  }
  gpu_release(d->g, b->values);
  gpu_release(d->g, b->partial);
  gpu_release(d->g, b->out);
  gpu_module_free(b->module);
  fused_shape_free(&b->s);
}

/* ---- an evaluation ------------------------------------------------------------------------------ */

static norn_status values_send(bigdata *d, const program *p, block_on *b)
{
  for (uint32_t j = 0; j < b->s.nnumber; j++) {
    const fused_number *k = &b->s.number[j];
    b->number[j] = k->constant ? *k->value : p->value[k->place];
    b->number32[j] = (float)b->number[j];
  }
  for (uint32_t j = 0; j < b->s.neach; j++) {
    const each_on *e = &b->each[j];
    double *to = b->host + e->first;
    if (!e->place) memcpy(to, p->value + b->s.each[j]->at, e->n * sizeof *to);
    else for (uint32_t i = 0; i < e->n; i++) to[i] = p->value[e->place[i]];
  }
  return b->nvalue ? gpu_upload(d->g, b->values, b->host, b->nvalue * sizeof *b->host) : NORN_OK;
}

static norn_status gather_sums(bigdata *d, const block_on *b, uint32_t u)
{
  const kept_on *k = &b->kept[u];
  int64_t npiece = k->npiece, nplace = b->each[b->s.use[u].at].n;
  gpu_ptr to = b->out + k->result * sizeof(double);
  gpu_ptr order = k->order, begin = k->begin, first = k->first, piece = k->piece, slopes = k->d;
  norn_status s = gpu_launch(d->g, b->pieces, (32 * npiece + BIGDATA_THREADS - 1) / BIGDATA_THREADS,
                             BIGDATA_THREADS, 0, GPU_ARGS(&npiece, &order, &begin, &slopes, &piece));
  return s ? s : gpu_launch(d->g, b->places, (nplace + BIGDATA_THREADS - 1) / BIGDATA_THREADS,
                            BIGDATA_THREADS, 0, GPU_ARGS(&nplace, &first, &piece, &to));
}

static norn_status launch(bigdata *d, const program *p, block_on *b, bool gradient)
{
  norn_status s = values_send(d, p, b);
  if (!s) s = gpu_launch(d->g, b->run, b->blocks, BIGDATA_THREADS, 0, b->args);
  if (!s) s = gpu_launch(d->g, b->total, b->sums, BIGDATA_THREADS, 0,
                         GPU_ARGS(&b->blocks, &b->partial, &b->out));
  for (uint32_t u = 0; u < b->s.nuse && gradient && !s; u++)
    if (!b->s.use[u].sum && b->each[b->s.use[u].at].place) s = gather_sums(d, b, u);
  return s ? s : gpu_download(d->g, b->host_out, b->out, (gradient ? b->nout : b->sums) * sizeof(double));
}

/* Derivatives of elements, added to where the operand is. */
static norn_status view_add(bigdata *d, program *p, block_on *b, uint32_t u)
{
  const operand *o = b->s.each[b->s.use[u].at];
  size_t n = (size_t)b->n;
  norn_status s = gpu_download(d->g, b->slopes, b->kept[u].d, n * (d->wish.f32 ? 4 : 8));
  const float *single = (const float *)b->slopes;
  if (s) return s;
  for (size_t i = n; d->wish.f32 && i-- > 0;) {
    float x;
    memcpy(&x, single + i, sizeof x);
    b->slopes[i] = (double)x;
  }
  p->level->add(p->adjoint + o->at, b->slopes, b->n);
  return NORN_OK;
}

static norn_status adjoints_add(bigdata *d, program *p, block_on *b)
{
  norn_status s = NORN_OK;
  for (uint32_t j = 0; j < b->s.nnumber; j++)
    if (b->sum_of[j]) p->adjoint[b->s.number[j].place] += b->host_out[b->sum_of[j]];
  for (uint32_t u = 0; u < b->s.nuse && !s; u++) {
    const fused_use *use = &b->s.use[u];
    if (use->sum) continue;
    const each_on *e = &b->each[use->at];
    if (!e->place) s = view_add(d, p, b, u);
    for (uint32_t i = 0; e->place && i < e->n; i++)
      p->adjoint[e->place[i]] += b->host_out[b->kept[u].result + i];
  }
  return s;
}

/* ---- compared with the CPU ---------------------------------------------------------------------- */

/* How far two numbers may be apart that are sums of the block's elements. */
static bool near(const bigdata *d, double x, double y, double scale)
{
  double share = d->wish.f32 ? 2e-4 : 1e-9;
  return fabs(x - y) <= share * (1 + scale + fabs(y)) || x == y;
}

static void differ(bigdata *d, const char *what, double there, double here)
{
  snprintf(d->why, sizeof d->why, "%s is %.17g on the GPU and %.17g on the CPU", what, there, here);
  d->differs = true;
}

/* The same by the CPU; what both added is compared, and the GPU's stays. */
static void compare(bigdata *d, program *p, const block_on *b, bool gradient, device_result there,
                    double total)
{
  int64_t where;
  double sum = 0, *before = b->before, *after = before + p->nplace;
  size_t bytes = p->nplace * sizeof *before;
  memcpy(after, p->adjoint, bytes);
  memcpy(p->adjoint, before, bytes);
  bool good = fused_run(p, b->s.b, gradient, &sum, &where);
  if (good != (there == DEVICE_DONE)) differ(d, "being inside of the support", there == DEVICE_DONE, good);
  else if (good && !near(d, total, sum, 0)) differ(d, "the log density of a block", total, sum);
  for (size_t i = 0; good && gradient && i < p->nplace && !d->differs; i++)
    if (!near(d, after[i] - before[i], p->adjoint[i] - before[i], fabs(sum)))
      differ(d, "a derivative", after[i] - before[i], p->adjoint[i] - before[i]);
  memcpy(p->adjoint, after, bytes);
}

device_result bigdata_block_run(bigdata *d, program *p, block_on *b, bool gradient, double *sum)
{
  if (launch(d, p, b, gradient)) return DEVICE_FAILED;
  double total = b->host_out[SUM_TERMS];
  bool inside = b->host_out[SUM_OUTSIDE] == 0 && total > -HUGE_VAL;
  if (b->before) memcpy(b->before, p->adjoint, p->nplace * sizeof *b->before);
  if (inside && gradient && adjoints_add(d, p, b)) return DEVICE_FAILED;
  device_result r = inside ? DEVICE_DONE : DEVICE_OUTSIDE;
  if (b->before && !d->differs) compare(d, p, b, gradient, r, total);
  if (inside) *sum += total;
  return r;
}
