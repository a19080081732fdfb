/* functions: the real functions of natives that can be recorded, with their derivatives. */
#include "graph/op_functions.h"
#include "graph/record.h"
#include <math.h>
#include <string.h>

#define FUN(name, value, slope) \
  static double f_##name(double x) { return value; } \
  static double d_##name(double x, double y) { (void)x, (void)y; return slope; }
OP_FUNCTIONS(FUN, special_digamma, special_lgamma, special_norm_cdf, special_trigamma)
#undef FUN

#define OP(name, op) {name, op, NULL, NULL},
#define FUN(name, value, slope) {#name, G_FUN1, f_##name, d_##name},
const graph_fun graph_functions[] = {
  OP("exp", G_EXP) OP("log", G_LOG) OP("log1p", G_LOG1P) OP("expm1", G_EXPM1)
  OP("sqrt", G_SQRT) OP("square", G_SQUARE) OP("abs", G_ABS) OP("inv_logit", G_INV_LOGIT)
  OP("log1p_exp", G_LOG1P_EXP)
  OP_FUNCTIONS(FUN, , , , )
  {NULL, G_FUN1, NULL, NULL}
};

int graph_function(const char *name)
{
  for (int i = 0; graph_functions[i].name; i++)
    if (!strcmp(graph_functions[i].name, name)) return i;
  return -1;
}
