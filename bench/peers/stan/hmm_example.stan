data { int<lower=1> N; int<lower=1> K; real y[N]; }
parameters { simplex[K] theta1; simplex[K] theta2; positive_ordered[K] mu; }
model {
  matrix[2, 2] lt;
  real a[K];
  real b[K];
  mu[1] ~ normal(3, 1);
  mu[2] ~ normal(10, 1);
  for (k in 1:K) { lt[1, k] = log(theta1[k]); lt[2, k] = log(theta2[k]); }
  for (k in 1:K) a[k] = normal_lpdf(y[1] | mu[k], 1);
  for (t in 2:N) {
    for (k in 1:K) b[k] = log_sum_exp(a[1] + lt[1, k], a[2] + lt[2, k]) + normal_lpdf(y[t] | mu[k], 1);
    a = b;
  }
  target += log_sum_exp(a);
}
