/* block_level: the formulas of kernel.h over many elements, compiled once per CPU level with LANES
   numbers to a register (configure.ac, src/dist/local.mk).  An argument that is one number is
   spread over the register outside the loop, and what follows from it alone is computed once
   (terms.h); which arguments these are is asked when it runs, so that a family is compiled twice and
   not for every shape of arguments. */
#include "dist/block.h"
#include "dist/kernel.h"

#define BLOCK_JOIN(a, b) a##b
#define BLOCK_NAME(a, b) BLOCK_JOIN(a, b)

typedef lanes (*formula)(terms t, const lanes *a, lanes *d);
#define UNROLL _Pragma("GCC unroll 8")           /* so that arguments and derivatives stay in registers */

/* One register of elements at k: writes their densities and derivatives to logp + k, d[i] + k. */
static inline __attribute__((always_inline)) void block_step(const norn_block *b, int np,
                                                             formula f, bool slopes, terms t,
                                                             const lanes *a, int64_t k)
{
  lanes d[1 + NORN_DIST_P];
  lane_store(b->logp + k, f(t, a, slopes ? d : NULL));
  UNROLL for (int i = 0; slopes && i <= np; i++)
    if (b->d[i]) lane_store(b->d[i] + k, d[i]);
}

/* The elements at k that do not fill a register, by way of buffers. */
static inline __attribute__((always_inline)) void block_rest(const norn_block *b, int np,
                                                             formula f, bool slopes, terms t,
                                                             lanes *a, int64_t k)
{
  double in[LANES], out[2 + NORN_DIST_P][LANES];
  int64_t left = b->n - k;
  for (int i = 0; i <= np; i++) {
    if (!(t->many >> i & 1)) continue;
    for (int j = 0; j < LANES; j++) in[j] = b->arg[i][k + (j < left ? j : left - 1)];
    a[i] = lane_load(in);
  }
  norn_block part = {LANES, b->many, b->keep, {0}, out[0], {0}};
  for (int i = 0; i <= np; i++) part.d[i] = b->d[i] ? out[1 + i] : NULL;
  block_step(&part, np, f, slopes, t, a, 0);
  for (int64_t j = 0; j < left; j++) {
    b->logp[k + j] = out[0][j];
    for (int i = 0; slopes && i <= np; i++)
      if (b->d[i]) b->d[i][k + j] = out[1 + i][j];
  }
}

static inline __attribute__((always_inline)) void block_shape(const norn_block *b, int np,
                                                              formula f, bool slopes,
                                                              unsigned many)
{
  lanes a[1 + NORN_DIST_P];
  struct term_memo memo;
  int64_t k = 0;
  memo.keep = b->keep;
  memo.many = many;
  memset(memo.done, 0, sizeof memo.done);
  for (int i = 0; i <= np; i++) a[i] = LANE(b->arg[i][0]);
  for (; k + LANES <= b->n; k += LANES) {
    UNROLL for (int i = 0; i <= np; i++)
      if (many >> i & 1) a[i] = lane_load(b->arg[i] + k);
    block_step(b, np, f, slopes, &memo, a, k);
  }
  if (k < b->n) block_rest(b, np, f, slopes, &memo, a, k);
}

static inline __attribute__((always_inline)) void block_run(const norn_block *b, int np, formula f)
{
  bool slopes = false;
  for (int i = 0; i <= np; i++) slopes |= b->d[i] != NULL;
  if (b->n < 1) return;
  if (slopes) block_shape(b, np, f, true, b->many);
  else block_shape(b, np, f, false, b->many);
}

/* The parameters after x, and after them d, as NAME_logp and NAME_partials take them. */
#define ARGS_0
#define ARGS_1 , a[1]
#define ARGS_2 , a[1], a[2]
#define ARGS_3 , a[1], a[2], a[3]
#define ARGS_4 , a[1], a[2], a[3], a[4]
#define FAMILY(name, np)                                                                           \
  static inline __attribute__((always_inline)) lanes name##_lanes(terms t, const lanes *a,         \
                                                                  lanes *d)                        \
  {                                                                                                \
    return d ? name##_partials(t, a[0] ARGS_##np, d) : name##_logp(t, a[0] ARGS_##np);             \
  }                                                                                                \
  static void name##_run(const norn_block *b) { block_run(b, np, name##_lanes); }
FAMILIES(FAMILY)
#undef FAMILY

const block_fn BLOCK_NAME(block_, LEVEL)[] = {
#define FAMILY(name, np) name##_run,
  FAMILIES(FAMILY)
#undef FAMILY
};
