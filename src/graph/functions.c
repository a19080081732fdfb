/* functions: the real functions of natives that can be recorded, with their derivatives. */
#include "graph/record.h"
#include <math.h>
#include <string.h>

#define SQRT_2_PI 0.79788456080286535588    /* sqrt(2/pi) */
#define TWO_BY_SQRT_PI 1.12837916709551257390

static double logit(double x) { return log(x) - log1p(-x); }
#define SLOPE(name, e) static double name(double x, double y) { (void)x, (void)y; return e; }
SLOPE(d_log2, 1 / (x * V_LOG_2))
SLOPE(d_log10, 1 / (x * 2.30258509299404568402))
SLOPE(d_sin, cos(x))
SLOPE(d_cos, -sin(x))
SLOPE(d_tan, 1 + y * y)
SLOPE(d_asin, 1 / sqrt((1 - x) * (1 + x)))
SLOPE(d_acos, -1 / sqrt((1 - x) * (1 + x)))
SLOPE(d_atan, 1 / (1 + x * x))
SLOPE(d_sinh, cosh(x))
SLOPE(d_cosh, sinh(x))
SLOPE(d_tanh, 1 - y * y)
SLOPE(d_asinh, 1 / sqrt(x * x + 1))
SLOPE(d_acosh, 1 / sqrt((x - 1) * (x + 1)))
SLOPE(d_atanh, 1 / ((1 - x) * (1 + x)))
SLOPE(d_lgamma, special_digamma(x))
SLOPE(d_gamma, y * special_digamma(x))
SLOPE(d_digamma, special_trigamma(x))
SLOPE(d_erf, TWO_BY_SQRT_PI * exp(-x * x))
SLOPE(d_erfc, -TWO_BY_SQRT_PI * exp(-x * x))
SLOPE(d_normal_cdf, 0.5 * SQRT_2_PI * exp(-0.5 * x * x))
SLOPE(d_logit, 1 / (x * (1 - x)))

#define OP(name, op) {name, op, NULL, NULL}
#define FUN(name, f, slope) {name, G_FUN1, f, slope}
const graph_fun graph_functions[] = {
  OP("exp", G_EXP), OP("log", G_LOG), OP("log1p", G_LOG1P), OP("expm1", G_EXPM1),
  OP("sqrt", G_SQRT), OP("square", G_SQUARE), OP("abs", G_ABS), OP("inv_logit", G_INV_LOGIT),
  OP("log1p_exp", G_LOG1P_EXP), FUN("log2", log2, d_log2), FUN("log10", log10, d_log10),
  FUN("sin", sin, d_sin), FUN("cos", cos, d_cos), FUN("tan", tan, d_tan),
  FUN("asin", asin, d_asin), FUN("acos", acos, d_acos), FUN("atan", atan, d_atan),
  FUN("sinh", sinh, d_sinh), FUN("cosh", cosh, d_cosh), FUN("tanh", tanh, d_tanh),
  FUN("asinh", asinh, d_asinh), FUN("acosh", acosh, d_acosh), FUN("atanh", atanh, d_atanh),
  FUN("lgamma", special_lgamma, d_lgamma), FUN("gamma_fn", tgamma, d_gamma),
  FUN("digamma", special_digamma, d_digamma), FUN("erf", erf, d_erf), FUN("erfc", erfc, d_erfc),
  FUN("normal_cdf", special_norm_cdf, d_normal_cdf), FUN("logit", logit, d_logit),
  {NULL, G_FUN1, NULL, NULL}
};

int graph_function(const char *name)
{
  for (int i = 0; graph_functions[i].name; i++)
    if (!strcmp(graph_functions[i].name, name)) return i;
  return -1;
}
