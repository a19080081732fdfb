/* op_formulas: what the operations of graphs compute, once, in the dialect of num/lane.h: the value of
   op(x, y), and its derivatives in x and y, in which z is the value.  exec_level.c makes loops of the
   list, op_text.c text for generated code. */
#ifndef NORN_GRAPH_OP_FORMULAS_H
#define NORN_GRAPH_OP_FORMULAS_H
#include "num/vspecial.h"

/* F(NAME, value, slope in x, slope in y); operands of one operation have no slope in y. */
#define OP_FORMULAS(F)                                                                              \
  F(ADD, x + y, LANE(1.0), LANE(1.0))                                                               \
  F(SUB, x - y, LANE(1.0), LANE(-1.0))                                                              \
  F(MUL, x * y, y, x)                                                                               \
  F(DIV, x / y, 1 / y, -z / y)                                                                      \
  F(POW, v_pow(x, y), y * v_pow(x, y - 1), SEL(x > 0, z * v_log(x), 0.0))                           \
  F(NEG, -x, LANE(-1.0), LANE(0.0))                                                                 \
  F(MIN, v_min(x, y), SEL(x < y, 1.0, 0.0), SEL(x < y, 0.0, 1.0))                                   \
  F(MAX, v_max(x, y), SEL(x > y, 1.0, 0.0), SEL(x > y, 0.0, 1.0))                                   \
  F(LT, SEL(x < y, 1.0, 0.0), LANE(0.0), LANE(0.0))                                                 \
  F(LE, SEL(x <= y, 1.0, 0.0), LANE(0.0), LANE(0.0))                                                \
  F(EQ, SEL(x == y, 1.0, 0.0), LANE(0.0), LANE(0.0))                                                \
  F(WHEN, SEL(x != 0, y, 0.0), LANE(0.0), SEL(x != 0, 1.0, 0.0))                                    \
  F(UNLESS, SEL(x == 0, y, 0.0), LANE(0.0), SEL(x == 0, 1.0, 0.0))                                  \
  F(OR_ONE, SEL(x != 0, y, 1.0), LANE(0.0), SEL(x != 0, 1.0, 0.0))                                  \
  F(LOG_ADD_EXP, v_log_add_exp(x, y), SEL(z == -HUGE_VAL, 0.0, v_exp(x - z)),                       \
    SEL(z == -HUGE_VAL, 0.0, v_exp(y - z)))                                                         \
  F(EXP, v_exp(x), z, LANE(0.0))                                                                    \
  F(LOG, v_log(x), 1 / x, LANE(0.0))                                                                \
  F(LOG1P, v_log1p(x), 1 / (1 + x), LANE(0.0))                                                      \
  F(EXPM1, v_expm1(x), z + 1, LANE(0.0))                                                            \
  F(SQRT, lane_sqrt(x), 0.5 / z, LANE(0.0))                                                         \
  F(SQUARE, x * x, 2 * x, LANE(0.0))                                                                \
  F(ABS, v_abs(x), SEL(x > 0, 1.0, SEL(x < 0, -1.0, 0.0)), LANE(0.0))                               \
  F(INV, 1 / x, -z * z, LANE(0.0))                                                                  \
  F(INV_LOGIT, v_logit_inv(x), z * v_logit_inv(-x), LANE(0.0))                                      \
  F(LOG1P_EXP, v_log1pexp(x), v_logit_inv(x), LANE(0.0))                                            \
  F(LOGIT_JACOBIAN, -v_abs(x) - 2 * v_log1p(v_exp(-v_abs(x))),                                      \
    v_logit_inv(-x) - v_logit_inv(x), LANE(0.0))
#endif
