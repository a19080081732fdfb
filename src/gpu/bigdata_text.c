/* bigdata_text: see bigdata_text.h.

   A thread takes every so many-th element, so that neighbours read neighbours: the columns of a linear
   predictor stay in registers between product and gradient and come from memory once.  Sums are kept in
   registers, in single precision for at most TURNS elements, added over the lanes of a warp by halves, over
   the warps of a block in order, and over blocks by a second kernel likewise: no atomics. */
#include "gpu/bigdata_text.h"
#include "graph/dialect.h"
#include <string.h>

enum { TURNS = 64 };

uint32_t bigdata_sums(const fused_shape *s, uint32_t *sum)
{
  uint32_t n = SUM_NUMBERS;
  memset(sum, 0, s->nnumber * sizeof *sum);
  for (uint32_t u = 0; u < s->nuse; u++)
    if (s->use[u].sum && !sum[s->use[u].at]) sum[s->use[u].at] = n++;
  return n;
}

void bigdata_prologue(text *t, bool f32)
{
  text_puts(t, "#define NORN_OP_FUNCTIONS\n");
  text_put(t, dialect_text(f32), dialect_size(f32));
}

static const char common[] =
  "DEVICE double warp_sum(double x)\n"
  "{\n"
  "  for (int by = 16; by; by /= 2) x += __shfl_down_sync(0xffffffffu, x, by);\n"
  "  return x;\n"
  "}\n"
  "KERNEL total(int64_t blocks, const double *restrict partial, double *restrict out)\n"
  "{\n"
  "  SHARED double warp[WARPS];\n"
  "  double x = 0;\n"
  "  for (int64_t b = threadIdx.x; b < blocks; b += THREADS) x += partial[b * SUMS + blockIdx.x];\n"
  "  x = warp_sum(x);\n"
  "  if (threadIdx.x % 32 == 0) warp[threadIdx.x / 32] = x;\n"
  "  __syncthreads();\n"
  "  if (threadIdx.x) return;\n"
  "  x = 0;\n"
  "  for (int w = 0; w < WARPS; w++) x += warp[w];\n"
  "  out[blockIdx.x] = x;\n"
  "}\n"
  "KERNEL pieces(int64_t n, const uint32_t *restrict order, const uint32_t *restrict begin,\n"
  "              const lane_real *restrict d, double *restrict out)\n"
  "{\n"
  "  int64_t piece = ((int64_t)blockIdx.x * THREADS + threadIdx.x) / 32;\n"
  "  double x = 0;\n"
  "  if (piece < n)\n"
  "    for (uint32_t k = begin[piece] + threadIdx.x % 32; k < begin[piece + 1]; k += 32) x += d[order[k]];\n"
  "  x = warp_sum(x);\n"
  "  if (piece < n && threadIdx.x % 32 == 0) out[piece] = x;\n"
  "}\n"
  "KERNEL places(int64_t n, const uint32_t *restrict first, const double *restrict piece,\n"
  "              double *restrict out)\n"
  "{\n"
  "  int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;\n"
  "  double x = 0;\n"
  "  if (i >= n) return;\n"
  "  for (uint32_t k = first[i]; k < first[i + 1]; k++) x += piece[k];\n"
  "  out[i] = x;\n"
  "}\n";

static void put_macros(text *t, uint32_t sums, bool f32)
{
  text_printf(t, "enum { THREADS = %d, WARPS = %d, SUMS = %u, TURNS = %d, R = 1, r = 0 };\n",
              BIGDATA_THREADS, BIGDATA_THREADS / 32, sums, f32 ? TURNS : 1);
  text_puts(t, "#ifndef __CUDACC_RTC__\n"
               "#define __launch_bounds__(...)\n"
               "#endif\n"
               "#define EACH\n"
               "#define EACH_CALL\n"
               "#define MEMO(k) NORN_KEEP_ALL\n"
               "#define FLOW(g, e) SEL((g) == 0, (lane_real)0, (g) * (e))\n"
               "#define COLUMN(j, r) x##j\n"
               "#define VALUE(j, r) y##j\n"
               "#define INSIDE(mask) bad += !(mask)\n"
               "#define TOTAL(e) a0 += (e)\n"
               "#define SUM(u, e) SUM_##u += (e)\n"
               "#define PUT(u, e) PUT_##u[i] = (e)\n");
  text_printf(t, "#define SUM_PRODUCT(u, g, e) SUM_##u = fma%s((g), (e), SUM_##u)\n", f32 ? "f" : "");
}

static void put_uses(text *t, const fused_shape *s, const uint32_t *sum)
{
  for (uint32_t u = 0; u < s->nuse; u++)
    if (s->use[u].sum) text_printf(t, "#define SUM_%u a%u\n", u, sum[s->use[u].at]);
    else text_printf(t, "#define PUT_%u d%u\n", u, u);
}

/* Blocks that a multiprocessor should hold: as many as registers allow (65536 of them), by what columns and
   sums take beside a density's own.  More warps hide more of the way to memory and back. */
static uint32_t resident_blocks(const fused_shape *s, uint32_t sums, bool f32)
{
  uint32_t registers = f32 ? s->ncolumn + 3 * sums + 40 : 2 * (s->ncolumn + sums) + 80;
  return registers <= 96 ? 5 : registers <= 128 ? 4 : registers <= 168 ? 3 : 2;
}

static bool gathered(const fused_shape *s, uint32_t e) { return s->each[e]->kind == FROM_GATHER; }

static void put_head(text *t, const fused_shape *s, uint32_t sums, bool f32)
{
  text_printf(t, "KERNEL __launch_bounds__(THREADS, %u) block(int64_t n", resident_blocks(s, sums, f32));
  for (uint32_t j = 0; j < s->ncolumn; j++) text_printf(t, ",\n  const lane_real *restrict c%u", j);
  for (uint32_t j = 0; j < s->neach; j++) {
    text_printf(t, ",\n  const double *restrict v%u", j);
    if (gathered(s, j)) text_printf(t, ", const uint32_t *restrict i%u", j);
  }
  for (uint32_t u = 0; u < s->nuse; u++)
    if (!s->use[u].sum) text_printf(t, ",\n  lane_real *restrict d%u", u);
  for (uint32_t j = 0; j < s->nnumber; j++) text_printf(t, ",\n  lane_real s%u", j);
  text_puts(t, ",\n  double *restrict partial)\n");
}

static void put_loads(text *t, const fused_shape *s)
{
  for (uint32_t j = 0; j < s->ncolumn; j++) text_printf(t, "    const lanes x%u = c%u[i];\n", j, j);
  for (uint32_t j = 0; j < s->neach; j++)
    text_printf(t, gathered(s, j) ? "    const lanes y%u = (lane_real)v%u[i%u[i]];\n"
                                  : "    const lanes y%u = (lane_real)v%u[i];\n", j, j, j);
}

/* Sums in single precision are emptied into double ones before they are long. */
static void put_sums(text *t, uint32_t sums, bool f32)
{
  for (uint32_t k = 0; k < sums; k++)
    if (k != SUM_OUTSIDE)
      text_printf(t, f32 ? "  double A%u = 0; lane_real a%u = 0;\n" : "  double a%u = 0;\n", k, k);
  text_puts(t, "  uint32_t bad = 0;\n");
}

static void put_block_sums(text *t, uint32_t sums, bool f32)
{
  text_puts(t, "  SHARED double warp[WARPS * SUMS];\n  double *mine = warp + threadIdx.x / 32 * SUMS, z;\n");
  for (uint32_t k = 0; k < sums; k++) {
    if (k == SUM_OUTSIDE) text_puts(t, "  z = warp_sum(bad);\n");
    else text_printf(t, "  z = warp_sum(%c%u);\n", f32 ? 'A' : 'a', k);
    text_printf(t, "  if (threadIdx.x %% 32 == 0) mine[%u] = z;\n", k);
  }
  text_puts(t, "  __syncthreads();\n"
               "  for (uint32_t k = threadIdx.x; k < SUMS; k += THREADS) {\n"
               "    z = 0;\n"
               "    for (int w = 0; w < WARPS; w++) z += warp[w * SUMS + k];\n"
               "    partial[(int64_t)blockIdx.x * SUMS + k] = z;\n"
               "  }\n"
               "}\n");
}

void bigdata_text(text *t, const fused_shape *s, bool f32)
{
  uint32_t *sum = norn_alloc(s->p->st, NULL, 0, (s->nnumber + 1) * sizeof *sum);
  if (!sum) { t->failed = true; return; }
  uint32_t sums = bigdata_sums(s, sum);
  put_macros(t, sums, f32);
  put_uses(t, s, sum);
  text_puts(t, common);
  put_head(t, s, sums, f32);
  text_puts(t, "{\n");
  put_sums(t, sums, f32);
  text_puts(t, "  const int64_t stride = (int64_t)gridDim.x * THREADS;\n"
               "  int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;\n");
  text_puts(t, f32 ? "  while (i < n) {\n  for (int turn = 0; turn < TURNS && i < n; turn++, i += stride) {\n"
                   : "  for (; i < n; i += stride) {\n");
  put_loads(t, s);
  fused_text_body(t, s, true);
  text_puts(t, "  }\n");
  for (uint32_t k = 0; f32 && k < sums; k++)
    if (k != SUM_OUTSIDE) text_printf(t, "  A%u += a%u, a%u = 0;\n", k, k, k);
  if (f32) text_puts(t, "  }\n");
  put_block_sums(t, sums, f32);
  norn_alloc(s->p->st, sum, (s->nnumber + 1) * sizeof *sum, 0);
}
