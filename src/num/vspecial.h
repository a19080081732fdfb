/* vspecial: special functions of densities in the dialect of lane.h, beside vmath.h.  special.h has
   the same and more for single numbers. */
#ifndef NORN_VSPECIAL_H
#define NORN_VSPECIAL_H
#include "num/vmath.h"

/* Which arguments a term of a density depends on: x, then the parameters (norn_block.keep). */
enum { K_X = 1, K_1 = 2, K_2 = 4, K_3 = 8, K_4 = 16 };
#define TERM(keep, mask, e) ((keep) & (mask) ? LANE(e) : LANE(0.0))

#if LANES == 1   /* the forms of special.h, until these have their own */
#include "num/special.h"
static inline double v_lgamma(double x) { return special_lgamma(x); }
static inline double v_digamma(double x) { return special_digamma(x); }
static inline double v_stirling_large(double x) { return special_stirling_large(x); }
static inline double v_stirling(double x) { return special_stirling(x); }
static inline double v_deviance(double x, double y) { return special_deviance(x, y); }
static inline double v_lfact(double x) { return special_lfact(x); }
static inline double v_log1pexp(double x) { return special_log1pexp(x); }
static inline double v_log1mexp(double x) { return special_log1mexp(x); }
static inline double v_logit_inv(double x) { return special_logit_inv(x); }
static inline double v_half_gamma_ratio(double x) { return special_half_gamma_ratio(x); }
static inline double v_digamma_tail(double x) { return special_digamma_tail(x); }
static inline double v_lbeta(double x, double y) { return special_lbeta(x, y); }
static inline double v_norm_log_cdf(double x) { return special_norm_log_cdf(x); }
static inline double v_norm_hazard(double x) { return special_norm_hazard(x); }
static inline double v_bessel_i0_log(double x) { return special_bessel_i0_log(x); }
static inline double v_bessel_ratio(double x) { return special_bessel_ratio(x); }
#endif
#endif
