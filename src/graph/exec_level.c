/* exec_level: elementwise operations and their derivatives over arrays, compiled once per CPU level
   (Makefile.am).  The formulas are those of vmath.h and vspecial.h, so that every level gives the
   bits of the scalar VM's graph. */
#include "graph/level.h"
#include "num/vspecial.h"

#define LEVEL_JOIN(a, b) a##b
#define LEVEL_NAME(a, b) LEVEL_JOIN(a, b)

static inline lanes pow_lanes(lanes x, lanes y)
{
#if LANES == 1
  return pow(x, y);
#else
  lanes r;
  for (int i = 0; i < LANES; i++) r[i] = y[i] == 2 ? x[i] * x[i] : pow(x[i], y[i]);
  return r;
#endif
}

static inline lanes log_add_exp(lanes x, lanes y)
{
  lanes top = v_max(x, y), low = v_min(x, y);
  return SEL(top == low, top + V_LOG_2, top + v_log1p(v_exp(low - top)));
}

/* The last elements, which do not fill a register, go by way of buffers. */
typedef struct tail { double x[LANES], y[LANES], z[LANES], g[LANES], dx[LANES], dy[LANES]; } tail;

static inline void tail_fill(const exec_args *a, int64_t k, tail *t, const double *g)
{
  for (int j = 0; j < LANES; j++) {
    int64_t i = k + j < a->n ? k + j : a->n - 1;
    t->x[j] = a->x[a->sx * i];
    if (a->y) t->y[j] = a->y[a->sy * i];
    if (a->z) t->z[j] = a->z[i];
    if (g) t->g[j] = g[i];
  }
}

#define LOAD(p, step, k) ((step) ? lane_load((p) + (k)) : (lanes){0} + (p)[0])
#define FORWARD(NAME, e)                                                                           \
  case G_##NAME:                                                                                   \
    for (int64_t k = 0; k < a->n; k += LANES) {                                                    \
      if (k + LANES <= a->n) {                                                                     \
        lanes x = LOAD(a->x, a->sx, k), y = a->y ? LOAD(a->y, a->sy, k) : x;                       \
        (void)x, (void)y;                                                                          \
        lane_store(a->out + k, e);                                                                 \
      } else {                                                                                     \
        tail_fill(a, k, &t, NULL);                                                                 \
        lanes x = lane_load(t.x), y = a->y ? lane_load(t.y) : x;                                   \
        (void)x, (void)y;                                                                          \
        lane_store(t.z, e);                                                                        \
        for (int64_t j = k; j < a->n; j++) a->out[j] = t.z[j - k];                                 \
      }                                                                                            \
    }                                                                                              \
    break;

static void forward(const exec_args *a)
{
  tail t;
  memset(&t, 0, sizeof t);
  switch (a->op) {
  FORWARD(ADD, x + y)
  FORWARD(SUB, x - y)
  FORWARD(MUL, x * y)
  FORWARD(DIV, x / y)
  FORWARD(POW, pow_lanes(x, y))
  FORWARD(NEG, -x)
  FORWARD(MIN, v_min(x, y))
  FORWARD(MAX, v_max(x, y))
  FORWARD(LOG_ADD_EXP, log_add_exp(x, y))
  FORWARD(EXP, v_exp(x))
  FORWARD(LOG, v_log(x))
  FORWARD(LOG1P, v_log1p(x))
  FORWARD(EXPM1, v_expm1(x))
  FORWARD(SQRT, lane_sqrt(x))
  FORWARD(SQUARE, x * x)
  FORWARD(ABS, v_abs(x))
  FORWARD(INV, 1 / x)
  FORWARD(INV_LOGIT, v_logit_inv(x))
  FORWARD(LOG1P_EXP, v_log1pexp(x))
  FORWARD(LOGIT_JACOBIAN, -v_abs(x) - 2 * v_log1p(v_exp(-v_abs(x))))
  default: break;
  }
}

/* ex, ey: the derivatives of z = op(x, y). */
#define SLOPES(NAME, ex, ey)                                                                       \
  case G_##NAME:                                                                                   \
    for (int64_t k = 0; k < a->n; k += LANES) {                                                    \
      bool whole = k + LANES <= a->n;                                                              \
      if (!whole) tail_fill(a, k, &t, a->out);                                                     \
      lanes x = whole ? LOAD(a->x, a->sx, k) : lane_load(t.x);                                     \
      lanes y = !a->y ? x : whole ? LOAD(a->y, a->sy, k) : lane_load(t.y);                         \
      lanes z = whole ? lane_load(a->z + k) : lane_load(t.z);                                      \
      lanes g = whole ? lane_load(a->out + k) : lane_load(t.g);                                    \
      (void)x, (void)y, (void)z;                                                                   \
      if (a->dx) lane_store(whole ? a->dx + k : t.dx, g * (ex));                                   \
      if (a->dy) lane_store(whole ? a->dy + k : t.dy, g * (ey));                                   \
      for (int64_t j = k; !whole && j < a->n; j++) {                                               \
        if (a->dx) a->dx[j] = t.dx[j - k];                                                         \
        if (a->dy) a->dy[j] = t.dy[j - k];                                                         \
      }                                                                                            \
    }                                                                                              \
    break;
#define ONE ((lanes){0} + 1)
#define ZERO ((lanes){0})

static void slopes(const exec_args *a)
{
  tail t;
  memset(&t, 0, sizeof t);
  switch (a->op) {
  SLOPES(ADD, ONE, ONE)
  SLOPES(SUB, ONE, -ONE)
  SLOPES(MUL, y, x)
  SLOPES(DIV, 1 / y, -z / y)
  SLOPES(POW, y * pow_lanes(x, y - 1), SEL(x > 0, z * v_log(x), 0.0))
  SLOPES(NEG, -ONE, ZERO)
  SLOPES(MIN, SEL(x < y, 1.0, 0.0), SEL(x < y, 0.0, 1.0))
  SLOPES(MAX, SEL(x > y, 1.0, 0.0), SEL(x > y, 0.0, 1.0))
  SLOPES(LOG_ADD_EXP, SEL(z == -HUGE_VAL, 0.0, v_exp(x - z)), SEL(z == -HUGE_VAL, 0.0, v_exp(y - z)))
  SLOPES(EXP, z, ZERO)
  SLOPES(LOG, 1 / x, ZERO)
  SLOPES(LOG1P, 1 / (1 + x), ZERO)
  SLOPES(EXPM1, z + 1, ZERO)
  SLOPES(SQRT, 0.5 / z, ZERO)
  SLOPES(SQUARE, 2 * x, ZERO)
  SLOPES(ABS, SEL(x > 0, 1.0, SEL(x < 0, -1.0, 0.0)), ZERO)
  SLOPES(INV, -z * z, ZERO)
  SLOPES(INV_LOGIT, z * v_logit_inv(-x), ZERO)
  SLOPES(LOG1P_EXP, v_logit_inv(x), ZERO)
  SLOPES(LOGIT_JACOBIAN, v_logit_inv(-x) - v_logit_inv(x), ZERO)
  default: break;
  }
}

const exec_level LEVEL_NAME(exec_, LEVEL) = {forward, slopes};
