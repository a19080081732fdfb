/* exec_level: elementwise operations and their derivatives over arrays, compiled once per CPU level
   (Makefile.am) and once for single numbers (exec_one.c).  The formulas are those of vmath.h and
   vspecial.h, so that every level gives the same bits. */
#include "graph/level.h"
#include "graph/op_formulas.h"

#define LEVEL_JOIN(a, b) a##b
#define LEVEL_NAME(a, b) LEVEL_JOIN(a, b)

#define LOAD(p, step, k) ((step) ? lane_load((p) + (k)) : LANE((p)[0]))
/* The last register may go past n: results and buffers have room for it (program.c). */
#define FORWARD(NAME, e, ex, ey)                                                                   \
  case G_##NAME:                                                                                   \
    for (int64_t k = 0; k < a->n; k += LANES) {                                                    \
      lanes x = LOAD(a->x, a->sx, k), y = a->y ? LOAD(a->y, a->sy, k) : x;                         \
      (void)x, (void)y;                                                                            \
      lane_store(a->out + k, e);                                                                   \
    }                                                                                              \
    break;

static void forward(const exec_args *a)
{
  switch (a->op) {
  OP_FORMULAS(FORWARD)
  default: break;
  }
}

/* ex, ey: the derivatives of z = op(x, y).  Where the adjoint g is 0 nothing flows, also if the
   derivative is infinite or none: a choice of weight 0 in a sum over choices has no say. */
#define FLOW(g, e) SEL((g) == 0, 0.0, (g) * (e))
#define SLOPES(NAME, e, ex, ey)                                                                    \
  case G_##NAME:                                                                                   \
    for (int64_t k = 0; k < a->n; k += LANES) {                                                    \
      lanes x = LOAD(a->x, a->sx, k), y = a->y ? LOAD(a->y, a->sy, k) : x;                         \
      lanes z = lane_load(a->z + k), g = lane_load(a->out + k);                                    \
      (void)x, (void)y, (void)z;                                                                   \
      if (a->dx) lane_store(a->dx + k, FLOW(g, ex));                                               \
      if (a->dy) lane_store(a->dy + k, FLOW(g, ey));                                               \
    }                                                                                              \
    break;
static void slopes(const exec_args *a)
{
  switch (a->op) {
  OP_FORMULAS(SLOPES)
  default: break;
  }
}

static void add(double *to, const double *x, int64_t n)
{
  int64_t k = 0;
  for (; k + LANES <= n; k += LANES) lane_store(to + k, lane_load(to + k) + lane_load(x + k));
  for (; k < n; k++) to[k] += x[k];
}

#define UNROLL _Pragma("GCC unroll 9")
/* C sums side by side, so that one need not wait for the other: each by eight partial ones, which lie in
   8 / LANES registers. */
static inline __attribute__((always_inline)) void sums_of(const double *const *x, int C, int64_t n, double *out)
{
  enum { PARTS = 8 / LANES };
  lanes part[4][PARTS];
  int64_t k = 0;
  UNROLL for (int c = 0; c < C; c++)
    UNROLL for (int j = 0; j < PARTS; j++) part[c][j] = (lanes){0};
  for (; k + 8 <= n; k += 8)
    UNROLL for (int c = 0; c < C; c++)
      UNROLL for (int j = 0; j < PARTS; j++) part[c][j] += lane_load(x[c] + k + j * LANES);
  UNROLL for (int c = 0; c < C; c++) {
    double p[8];
    UNROLL for (int j = 0; j < PARTS; j++) lane_store(p + j * LANES, part[c][j]);
    for (int64_t i = k; i < n; i++) p[i & 7] += x[c][i];
    out[c] = ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
  }
}

static void sums(const double *const *x, int m, int64_t n, double *out)
{
  int c = 0;
  for (; c + 3 <= m; c += 3) sums_of(x + c, 3, n, out + c);
  if (c + 2 == m) sums_of(x + c, 2, n, out + c);
  if (c + 1 == m) sums_of(x + c, 1, n, out + c);
}

static double sum(const double *x, int64_t n)
{
  double s;
  sums_of(&x, 1, n, &s);
  return s;
}

static double dot(const double *g, const double *x, int64_t n)
{
  enum { PARTS = 8 / LANES };
  lanes part[PARTS];
  double p[8];
  int64_t k = 0;
  for (int j = 0; j < PARTS; j++) part[j] = (lanes){0};
  for (; k + 8 <= n; k += 8)
    for (int j = 0; j < PARTS; j++) {
      lanes h = lane_load(g + k + j * LANES);
      part[j] += FLOW(h, lane_load(x + k + j * LANES));
    }
  for (int j = 0; j < PARTS; j++) lane_store(p + j * LANES, part[j]);
  for (; k < n; k++) p[k & 7] += g[k] == 0 ? 0 : g[k] * x[k];
  return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
}

static bool range(const double *x, int64_t n, double *ends)
{
  lanes low = LANE(x[0]), high = low, zero = (lanes){0};
  double p[3][LANES];
  int64_t k = 0;
  for (; k + LANES <= n; k += LANES) {
    lanes y = lane_load(x + k);
    low = v_min(y, low);
    high = v_max(y, high);
    zero += y * 0;
  }
  lane_store(p[0], low);
  lane_store(p[1], high);
  lane_store(p[2], zero);
  double bad = 0;
  ends[0] = ends[1] = x[0];
  for (int i = 0; i < LANES; i++) {
    ends[0] = p[0][i] < ends[0] ? p[0][i] : ends[0];
    ends[1] = p[1][i] > ends[1] ? p[1][i] : ends[1];
    bad += p[2][i];
  }
  for (; k < n; k++) {
    ends[0] = x[k] < ends[0] ? x[k] : ends[0];
    ends[1] = x[k] > ends[1] ? x[k] : ends[1];
    bad += x[k] * 0;
  }
  return bad == 0;
}

/* R registers of rows at k. */
static inline __attribute__((always_inline)) void linear_rows(const linear_args *a, int64_t k,
                                                              int R)
{
  lanes row[4];
  uint32_t j = 0;
  UNROLL for (int r = 0; r < R; r++) {
    if (a->init) row[r] = LOAD(a->init, a->step, k + r * LANES);
    else if (!a->col[0]) row[r] = LANE(a->b[0]);
    else row[r] = LANE(a->b[0]) * lane_load(a->col[0] + a->at + k + r * LANES);
  }
  for (j = !a->init; j < a->terms; j++) {
    lanes b = LANE(a->b[j]);
    const double *x = a->col[j];
    if (!x) {
      UNROLL for (int r = 0; r < R; r++) row[r] += b;
      continue;
    }
    x += a->at + k;
    UNROLL for (int r = 0; r < R; r++) row[r] += b * lane_load(x + r * LANES);
  }
  UNROLL for (int r = 0; r < R; r++) lane_store(a->out + k + r * LANES, row[r]);
}

static void linear(const linear_args *a)
{
  int64_t k = 0;
  for (; k + 3 * LANES < a->n; k += 4 * LANES) linear_rows(a, k, 4);
  for (; k < a->n; k += LANES) linear_rows(a, k, 1);
}

/* C columns from j on, each with the fixed tree of num/stats.h; total: NULL, or becomes the sum of g. */
static inline __attribute__((always_inline)) void dots_columns(const linear_args *a, uint32_t j, int C,
                                                               double *total)
{
  enum { PARTS = 8 / LANES };
  lanes part[9][PARTS];
  int64_t k = 0;
  int all = C + (total != NULL);
  UNROLL for (int c = 0; c < all; c++)
    UNROLL for (int i = 0; i < PARTS; i++) part[c][i] = (lanes){0};
  for (; k + 8 <= a->n; k += 8)
    UNROLL for (int i = 0; i < PARTS; i++) {
      lanes g = lane_load(a->g + k + i * LANES);
      UNROLL for (int c = 0; c < C; c++)
        part[c][i] += g * lane_load(a->col[j + (uint32_t)c] + a->at + k + i * LANES);
      if (total) part[C][i] += g;
    }
  UNROLL for (int c = 0; c < all; c++) {
    double p[8];
    UNROLL for (int i = 0; i < PARTS; i++) lane_store(p + i * LANES, part[c][i]);
    for (int64_t r = k; r < a->n; r++) p[r & 7] += c < C ? a->g[r] * a->col[j + (uint32_t)c][a->at + r] : a->g[r];
    double s = ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
    if (c < C) a->db[j + (uint32_t)c] += s;
    else *total = s;
  }
}

enum { COLUMNS = LANES == 8 ? 8 : LANES == 4 ? 4 : 2 };      /* whose sums fit into registers */
/* c (at most COLUMNS) columns from j on, or where there is none the sum of g. */
static inline __attribute__((always_inline)) void dots_some(const linear_args *a, uint32_t j, uint32_t c, double *total)
{
  switch (c) {
#define DOTS(C) case C: if (C <= COLUMNS) dots_columns(a, j, C, total); break;
  DOTS(1) DOTS(2) DOTS(3) DOTS(4) DOTS(5) DOTS(6) DOTS(7) DOTS(8)
#undef DOTS
  default: if (total) *total = sum(a->g, a->n);
  }
}

static void dots(const linear_args *a)
{
  double total = 0;
  bool wanted = a->sum != NULL, known = false;
  for (uint32_t j = 0; j < a->terms; j++) wanted |= !a->col[j];
  for (uint32_t j = 0, c; j < a->terms; j += c) {
    for (c = 0; c < COLUMNS && j + c < a->terms && a->col[j + c]; c++);
    if (wanted && !known) dots_some(a, j, c, &total);
    else dots_some(a, j, c, NULL);
    known |= wanted;
    if (!c) a->db[j] += total, c = 1;
  }
  if (a->sum) *a->sum = total;
}

/* ---- runs of elements with one place: a gather in the order of places, and back ---------------- */

static void runs(const double *value, const runs_args *a, double *out)
{
  uint32_t i = 0;
  for (uint32_t r = 0; r < a->n; r++) {
    lanes x = LANE(value[a->place[r]]);
    uint32_t end = a->end[r];
    do {
      UNROLL for (int j = 0; j < 8; j += LANES) lane_store(out + i + j, x);
      i += 8;
    } while (i < end);
    i = end;
  }
}

/* Four partial sums of each run. */
typedef double four __attribute__((vector_size(32)));
typedef int64_t four_bits __attribute__((vector_size(32)));
static void runs_sum(const double *d, const runs_args *a, double *to)
{
  static const four_bits first[4] = {{0, 0, 0, 0}, {-1, 0, 0, 0}, {-1, -1, 0, 0}, {-1, -1, -1, 0}};
  uint32_t i = 0;
  for (uint32_t r = 0; r < a->n; r++) {
    four s = {0, 0, 0, 0}, x;
    for (; i + 4 <= a->end[r]; i += 4) {
      memcpy(&x, d + i, sizeof x);
      s += x;
    }
    memcpy(&x, d + i, sizeof x);
    s += (four)((four_bits)x & first[a->end[r] - i]);
    to[a->place[r]] += (s[0] + s[2]) + (s[1] + s[3]);
    i = a->end[r];
  }
}

const exec_level LEVEL_NAME(exec_, LEVEL) = {forward, slopes, add, sum, sums, dot, range, linear, dots, runs,
                                             runs_sum, LANES};
