/* limits: what hand-written C needs for the jobs of `make bench`, measured in the same run. */
#ifndef NORN_BENCH_LIMITS_H
#define NORN_BENCH_LIMITS_H
#include <stdint.h>

/* Bootstrap filter, scalar, one xoshiro256++ and a Ziggurat normal a particle-step: log evidence. */
double limit_filter(int steps, int particles, const double *y, uint64_t seed);
/* Their parts: w = exp(logw - greatest), gives the sum; ancestors by systematic resampling. */
double limit_weights(const double *logw, double *w, int n);
void   limit_resample(const double *w, double sum, double u, uint32_t *from, int n);
/* Bootstrap filters of three models (filter_lanes.c) by vectors: log evidence; of N a multiple of 16. */
enum { LIMIT_LGSS, LIMIT_SV, LIMIT_JUMP };
double limit_filter_avx2(int model, int steps, int particles, const double *y, uint64_t seed);
double limit_filter_avx512(int model, int steps, int particles, const double *y, uint64_t seed);
/* Exact log evidence of the same model by the Kalman filter. */
double limit_kalman(int steps, const double *y);
/* Single-site MH with prior proposals on beta(1, 1), 100 bernoulli observations: posterior mean. */
double limit_mh(int draws, const int *y, int n, uint64_t seed);
double limit_gibbs(long sweeps, const double *y, int n, int means, uint64_t seed);
double limit_mh_chain(long steps, const double *y, int n, uint64_t seed);
/* Depth-first enumeration of `flips` coins, an array made for each leaf: number of leaves. */
long   limit_enumerate(int flips, double p);
/* n numbers: xoshiro256++, the Ziggurat on it; Philox in plain loops (n a multiple of 1024). */
void   limit_xoshiro(double *out, int n, uint64_t seed);
void   limit_ziggurat(double *out, int n, uint64_t seed);
void   limit_uniforms(double *out, int n, uint32_t event);
void   limit_normals(double *out, int n, uint32_t event);
long   limit_fib(int n);
long   limit_mandel(int n);
double limit_lpdf(int n);
long   limit_trees(int trees, int depth);
long   limit_closures(int rounds);

/* a a of a matrix (n, n) into c; the Cholesky factor of a into the lower half of l. */
void   limit_product(const double *a, double *c, int n);
void   limit_cholesky(const double *a, double *l, int n);
/* A logistic regression, x (n, k): log density, and its derivatives in alpha and beta into grad. */
double limit_logistic(const double *x, const double *y, int n, int k, double alpha,
                      const double *beta, double *grad);

/* Log densities of models of bench/gradient.c at u, their gradients into g; y: the data. */
double limit_radon(const double *u, const double *y, double *g);
double limit_ark(const double *u, const double *y, double *g);
double limit_garch(const double *u, const double *y, double *g);
double limit_hmm(const double *u, const double *y, double *g);

/* Log densities by the C library: the i-th (NULL past the last), and over n numbers. */
typedef struct {
  const char *name;
  double (*logp)(double x, const double *p);
  double p[3];
} limit_density;
const limit_density *limit_density_at(int i);
void limit_density_run(const limit_density *, const double *x, double *out, int n, const double *p);
#endif
