/* lane_ops: chooses the CPU level at which lane_ops_level.c runs. */
#include "num/lane_ops.h"
#include "num/vspecial.h"
#include <math.h>

static const lane_fns *const levels[LEVELS] = {
  &lane_ops_base,
#ifdef HAVE_X86_LEVELS
  &lane_ops_avx2, &lane_ops_avx512,
#endif
};

const lane_fns *lane_ops_at(int level) { return levels[level]; }
const lane_fns *lane_ops(void) { return levels[level_best()]; }

double lane_exp(double x) { return v_exp(x); }
double lane_inv_logit(double x) { return v_logit_inv(x); }
double lane_log1p_exp(double x) { return v_log1pexp(x); }

int lane_map_of(double (*f)(double))
{
  return f == sqrt             ? LANE_MAP_SQRT
         : f == lane_exp       ? LANE_MAP_EXP
         : f == lane_inv_logit ? LANE_MAP_INV_LOGIT
         : f == lane_log1p_exp ? LANE_MAP_LOG1P_EXP
                               : -1;
}
