/* Log density of a logistic regression with its derivatives, row by row with the C library. */
#include "limits.h"
#include <math.h>

double limit_logistic(const double *x, const double *y, int n, int k, double alpha,
                      const double *beta, double *grad /* (1 + k) */)
{
  double logp = 0;
  for (int j = 0; j <= k; j++) grad[j] = 0;
  for (int i = 0; i < n; i++) {
    const double *row = x + i * k;
    double eta = alpha;
    for (int j = 0; j < k; j++) eta += row[j] * beta[j];
    double q = exp(-fabs(eta)), p = eta > 0 ? 1 / (1 + q) : q / (1 + q), r = y[i] - p;
    logp += y[i] * eta - (eta > 0 ? eta : 0) - log1p(q);
    grad[0] += r;
    for (int j = 0; j < k; j++) grad[1 + j] += r * row[j];
  }
  return logp;
}
