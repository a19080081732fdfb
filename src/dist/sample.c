/* sample: samplers that families outside kernel_sample.h call too. */
#include "dist/dist.h"
#include "dist/kernel_sample.h"

double dist_draw_log_gamma(norn_rng *g, double shape) { return sample_log_gamma(g, shape); }
double dist_draw_binomial(norn_rng *g, double n, double p) { return binomial_sample(g, n, p); }
double dist_draw_beta_binomial(norn_rng *g, double n, double a, double b)
{
  return beta_binomial_sample(g, n, a, b);
}
