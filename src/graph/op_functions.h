/* op_functions: the real functions of natives that graphs record beside their operations, and their
   derivatives: a list from which functions.c makes the table of the executors and generated code the
   functions fun_NAME(x) and fun_NAME_slope(x, y), y = fun_NAME(x).  Those of the C library are called;
   what comes from GSL on the host has a form of the dialect here, for generated code, which differs
   from it by a few units in the last place. */
#ifndef NORN_GRAPH_OP_FUNCTIONS_H
#define NORN_GRAPH_OP_FUNCTIONS_H
#include "num/vspecial.h"

#define FUN_SQRT_2_PI 0.79788456080286535588    /* sqrt(2/pi) */
#define FUN_2_BY_SQRT_PI 1.12837916709551257390

/* F(NAME, value, slope); P(psi), LG(amma), ND, TRI: digamma, log gamma, normal_cdf, trigamma. */
#define OP_FUNCTIONS(F, P, LG, ND, TRI)                                                             \
  F(log2, log2(x), 1 / (x * V_LOG_2))                                                               \
  F(log10, log10(x), 1 / (x * 2.30258509299404568402))                                              \
  F(sin, sin(x), cos(x))                                                                            \
  F(cos, cos(x), -sin(x))                                                                           \
  F(tan, tan(x), 1 + y * y)                                                                         \
  F(asin, asin(x), 1 / sqrt((1 - x) * (1 + x)))                                                     \
  F(acos, acos(x), -1 / sqrt((1 - x) * (1 + x)))                                                    \
  F(atan, atan(x), 1 / (1 + x * x))                                                                 \
  F(sinh, sinh(x), cosh(x))                                                                         \
  F(cosh, cosh(x), sinh(x))                                                                         \
  F(tanh, tanh(x), 1 - y * y)                                                                       \
  F(asinh, asinh(x), 1 / sqrt(x * x + 1))                                                           \
  F(acosh, acosh(x), 1 / sqrt((x - 1) * (x + 1)))                                                   \
  F(atanh, atanh(x), 1 / ((1 - x) * (1 + x)))                                                       \
  F(lgamma, LG(x), P(x))                                                                            \
  F(gamma_fn, tgamma(x), y * P(x))                                                                  \
  F(digamma, P(x), TRI(x))                                                                          \
  F(erf, erf(x), FUN_2_BY_SQRT_PI * exp(-x * x))                                                    \
  F(erfc, erfc(x), -FUN_2_BY_SQRT_PI * exp(-x * x))                                                 \
  F(normal_cdf, ND(x), 0.5 * FUN_SQRT_2_PI * exp(-0.5 * x * x))                                     \
  F(logit, log(x) - log1p(-x), 1 / (x * (1 - x)))

#ifdef NORN_OP_FUNCTIONS                         /* the functions: in generated code */
#if LANES == 1
#define FUN_MAP(f, x) ((lanes)f(x))
#define FUN_MAP2(f, x, y) ((lanes)f(x, y))
#else
#define FUN_MAP(f, x) fun_map(f, x)
#define FUN_MAP2(f, x, y) fun_map2(f, x, y)
static inline lanes fun_map(lane_real (*f)(lane_real), lanes x)
{
  lanes r;
  for (int i = 0; i < LANES; i++) r[i] = f(x[i]);
  return r;
}
static inline lanes fun_map2(lane_real (*f)(lane_real, lane_real), lanes x, lanes y)
{
  lanes r;
  for (int i = 0; i < LANES; i++) r[i] = f(x[i], y[i]);
  return r;
}
#endif

/* Below 0 by reflection (DLMF 5.5.4); tail: 5.11.2 from 10 on. */
static inline lane_real fun_psi(lane_real x)
{
  lane_real shift = 0, y = x > 0 ? x : 1 - x;
  if (!(fabs(x) < HUGE_VAL) || (x <= 0 && x == floor(x))) return (lane_real)NAN;
  for (; y < 10; y += 1) shift += 1 / y;
  lane_real s = 1 / (y * y);
  lane_real tail = s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 -
                s * (691.0 / 32760 - s * (1.0 / 12)))))));
  lane_real psi = log(y) - 0.5 / y - tail - shift;
  return x > 0 ? psi : psi - V_PI / tan(V_PI * (x - floor(x)));
}
/* DLMF 5.15.8 from 15 on, below by recurrence; x > 0 */
static inline lane_real fun_trigamma(lane_real x)
{
  lane_real sum = 0, y = x;
  if (!(x > 1 / V_SQUARE_MAX && x < V_SAFE_MAX)) return (lane_real)NAN;
  for (; y < 15; y += 1) sum += 1 / (y * y);
  lane_real r = 1 / y, s = r * r;
  lane_real tail = s * (1.0 / 6 - s * (1.0 / 30 - s * (1.0 / 42 - s * (1.0 / 30 - s * (5.0 / 66 -
                s * (691.0 / 2730 - s * (7.0 / 6)))))));
  return sum + r * (1 + 0.5 * r + tail);
}
static inline lane_real fun_log_gamma(lane_real x) { return lgamma(x); }
static inline lane_real fun_norm_cdf(lane_real x) { return 0.5 * erfc(-x * V_SQRT_1_2); }

#define FUN_DEFINE(name, value, slope)                                                              \
  static inline lane_real fun_##name(lane_real x) { return value; }                                       \
  static inline lane_real fun_##name##_slope(lane_real x, lane_real y) { (void)x, (void)y; return slope; }
OP_FUNCTIONS(FUN_DEFINE, fun_psi, fun_log_gamma, fun_norm_cdf, fun_trigamma)
#endif
#endif
