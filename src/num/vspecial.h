/* vspecial: special functions of densities in the dialect of lane.h, beside vmath.h.  special.h has
   more, for single numbers.  Sources: DLMF (dlmf.nist.gov) by equation, Loader 2000 ("Fast and
   accurate computation of binomial probabilities"), Didonato and Morris 1992 (TOMS 708).  Rational
   and polynomial coefficients were fitted to MPFR values in 60 digits (the error of the fit beside
   each); measured errors of the functions stand in tests/unit/test_special.c. */
#ifndef NORN_VSPECIAL_H
#define NORN_VSPECIAL_H
#include "num/vmath.h"

#if LANES > 1 || defined __CUDACC_RTC__
#define V_COLD LANE_CALLED                               /* called, not copied into each kernel */
#else
#define V_COLD static inline
#endif

/* c[0] + c[1] x + ... + c[n-1] x^(n-1), Horner */
static inline lanes v_poly(const lane_real *c, int n, lanes x)
{
  lanes y = LANE(c[n - 1]) + 0 * x;
  LANE_UNROLL
  for (int i = n - 2; i >= 0; i--) y = y * x + c[i];
  return y;
}

/* ---- exponentials and logarithms of sums ----------------------------------------------------- */

#ifndef NORN_F32
/* exp x - 1.  With x = k log 2 + r it is 2^k (e + 1) - 1, e = expm1(r) as in v_exp (fdlibm). */
static inline lanes v_expm1(lanes x)
{
  lanes c = SEL(x < -40, -40, SEL(x > 700, 700, x));
  lanes k = (c * 1.44269504088896338700 + V_ROUND) - V_ROUND;
  lanes hi = c - k * 6.93147180369123816490e-01, lo = k * 1.90821492927058770002e-10;
  lanes r = hi - lo, t = r * r;
  lanes q = r - t * (1.66666666666666019037e-01 + t * (-2.77777777770155933842e-03 +
           t * (6.61375632143793436117e-05 + t * (-1.65339022054652515390e-06 +
           t * 4.13813679705723846039e-08))));
  lanes e = hi - (lo - (r * q) / (2 - q));
  lanes s = lane_of((lane_to_bits(k + V_ROUND) + 1023) << 52);
  return SEL(x > 700, v_exp(x), s * e + (s - 1));
}
#endif

static inline lanes v_log1pexp(lanes x) { return v_max(x, 0.0 * x) + v_log1p(v_exp(-v_abs(x))); }
/* log(1 - exp x), x <= 0 (Maechler 2012) */
static inline lanes v_log1mexp(lanes x)
{
  return PICK(x > -V_LOG_2, v_log(-v_expm1(x)), v_log1p(-v_exp(x)));
}
/* 1 / (1 + exp -x), from the side that is small */
static inline lanes v_logit_inv(lanes x)
{
  lanes e = v_exp(-v_abs(x)), r = 1 / (1 + e);
  return SEL(x < 0, e * r, r);
}
/* log(exp x + exp y) */
static inline lanes v_log_add_exp(lanes x, lanes y)
{
  lanes top = v_max(x, y), low = v_min(x, y);
  return SEL(top == low, top + V_LOG_2, top + v_log1p(v_exp(low - top)));
}
/* x^y by the library; x^2 is exact there, so that the short way gives its bits. */
static inline lanes v_pow(lanes x, lanes y)
{
#if LANES == 1
  return pow(x, y);
#else
  lanes r;
  for (int i = 0; i < LANES; i++) r[i] = y[i] == 2 ? x[i] * x[i] : pow(x[i], y[i]);
  return r;
#endif
}
/* x log y, 0 at x = 0 */
static inline lanes v_xlogy(lanes x, lanes y) { return SEL(x == 0, 0.0, x * v_log(y)); }

/* ---- gamma functions ------------------------------------------------------------------------- */

/* lgamma(x) - ((x - 1/2) log x - x + log(2 pi)/2), x >= 10: Stirling's series (DLMF 5.11.1). */
static inline lanes v_stirling_large(lanes x)
{
  lanes r = 1 / x, s = r * r;
  return r * (1.0 / 12 - s * (1.0 / 360 - s * (1.0 / 1260 - s * (1.0 / 1680 - s * (1.0 / 1188 -
         s * (691.0 / 360360 - s * (1.0 / 156)))))));
}

/* log Gamma on 0 < x < 10.  On [1, 3): (x - 1)(x - 2) times a rational function of x - 1 (relative
   error 1.2e-17); elsewhere by Gamma(x+1) = x Gamma(x), downwards from 3 so that nothing cancels. */
V_COLD lanes v_lgamma_small(lanes x)
{
  static const lane_real P[] = {0.57721566490153285456, 1.5930687894613260516,
    1.6597113120479896079, 0.81359639053771077264, 0.19058075108224637119,
    0.019175793114392646384, 0.00060670675114903151684, 1.3270296048892713215e-6};
  static const lane_real Q[] = {1.0, 3.1848064246445958043, 3.9592743566612130195,
    2.4336351632646742377, 0.77355253789761325199, 0.12139630901380694922,
    0.0081071171836464243119, 0.00015662146898804308428};
  lanes y = SEL(x < 1, x + 1, x), product = SEL(x < 1, x, 1 + 0 * x);
  for (int i = 0; i < 7; i++) {
    lane_mask more = y >= 3;
    if (!ANY(more)) break;
    y = SEL(more, y - 1, y);
    product = SEL(more, product * y, product);
  }
  lanes s = y - 1;                                            /* 0 + x: no -0 */
  lanes centre = 0.0 + s * (SEL(x < 1, x - 1, y - 2) * (v_poly(P, 8, s) / v_poly(Q, 8, s)));
  lanes l = v_log(product);
  return SEL(x < 1, centre - l, SEL(x < 3, centre, centre + l));
}

/* log Gamma(x), x > 0 */
LANE_LARGE lanes v_lgamma(lanes x)
{
  lanes l = PICK(x < 10, v_lgamma_small(x),
                 ((x - 0.5) * v_log_normal(x) - x) + (V_LOG_SQRT_2PI + v_stirling_large(x)));
  return SEL(x < V_GAMMA_MAX, l, x * 1e10);
}

static inline lanes v_stirling_table(lanes k)        /* at 1..15 */
{
  static const lane_real S[16] = {0,
    0.08106146679532725822, 0.041340695955409294094, 0.027677925684998339149,
    0.020790672103765093112, 0.016644691189821192163, 0.013876128823070747999,
    0.011896709945891770095, 0.010411265261972096497, 0.0092554621827127329177,
    0.0083305634333628712565, 0.007573675487951840795, 0.0069428401072095298657,
    0.0064089941880042070684, 0.0059513701127588477356, 0.005554733551962801371};
  return lane_table(S, k);
}
static inline lanes v_lfact_table(lanes k)           /* log k! at 0..15 */
{
  static const lane_real F[16] = {0, 0,
    0.69314718055994530942, 1.7917594692280550008, 3.1780538303479456196, 4.7874917427820459942,
    6.5792512120101009951, 8.5251613610654143002, 10.604602902745250228, 12.801827480081469611,
    15.104412573075515295, 17.502307845873885839, 19.98721449566188615, 22.552163853123422886,
    25.1912211827386815, 27.899271383840891566};
  return lane_table(F, k);
}

V_COLD lanes v_stirling_small(lanes x)               /* 0 < x < 10 */
{
  lanes k = v_floor(SEL((x > 0) & (x < 10), x, LANE(1.0)));
  return PICK(x == k, v_stirling_table(k),
              v_lgamma_small(x) - (x - 0.5) * v_log(x) + x - V_LOG_SQRT_2PI);
}
/* As v_stirling_large, for all x > 0. */
static inline lanes v_stirling(lanes x)
{
  return PICK(x >= V_STIRLING, v_stirling_large(x), v_stirling_small(x));
}

/* log k! of a whole number k >= 0 */
static inline lanes v_lfact(lanes k)
{
  lanes small = SEL((k >= 0) & (k < 16), k, 0 * k);
  return PICK(k < 16, v_lfact_table(SEL(small == small, small, 0.0)),
              v_lgamma(k + 1));
}

/* x log(x/m) + m - x >= 0 for x, m > 0 without cancellation near x = m (Loader's bd0): with
   v = (x-m)/(x+m) it is (x-m) v + 2 x v (v^2/3 + v^4/5 + ...). */
static inline lanes v_deviance_near(lanes x, lanes m)
{
  lanes d = x - m, v = d / (x + m), w = v * v;
  lanes series = w * (1.0 / 3 + w * (1.0 / 5 + w * (1.0 / 7 + w * (1.0 / 9 + w * (1.0 / 11 +
                 w * (1.0 / 13 + w * (1.0 / 15 + w / 17)))))));
  return d * v + 2 * x * v * series;
}
static inline lanes v_deviance(lanes x, lanes m)
{
  return PICK(v_abs(x - m) < 0.1 * (x + m), v_deviance_near(x, m),
              SEL(x > 0, x * v_log(x / m) - (x - m), m));
}

/* log x - 1/(2x) - digamma(x), x >= 10: DLMF 5.11.2. */
static inline lanes v_digamma_tail(lanes x)
{
  lanes s = 1 / (x * x);
  return s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 -
         s * (691.0 / 32760 - s * (1.0 / 12)))))));
}
/* digamma(x), x > 0.  Below 10 by the recurrence; the sum of 1/(x+i) is one quotient, that of the
   derivative of x (x+1) ... and that product. */
LANE_LARGE lanes v_digamma(lanes x)
{
  lanes product = 1 + 0 * x, slope = 0 * x, y = x;
  for (int i = 0; i < 10; i++) {
    lane_mask more = y < 10;
    if (!ANY(more)) break;
    slope = SEL(more, slope * y + product, slope);
    product = SEL(more, product * y, product);
    y = SEL(more, y + 1, y);
  }
  return v_log(y) - 0.5 / y - v_digamma_tail(y) - slope / product;
}

/* log B(a, b); large arguments by Stirling's form, its large parts cancelled by hand (TOMS 708,
   algdiv and bcorr). */
static inline lanes v_lbeta_large(lanes a, lanes b)  /* a <= b, b >= 10 */
{
  lanes fix = v_stirling_large(b) - v_stirling_large(a + b), l = v_log1p(a / b);
  return PICK(a < 10,
              v_lgamma(a) + (fix - (b - 0.5) * l - a * v_log(a + b) + a),
              (V_LOG_SQRT_2PI - 0.5 * v_log(b)) + (fix + v_stirling_large(a)) +
              (a - 0.5) * v_log(a / (a + b)) - b * l);
}
V_COLD lanes v_lbeta(lanes x, lanes y)
{
  lanes a = v_min(x, y), b = v_max(x, y);
  return PICK(b < 10, v_lgamma(a) + (v_lgamma(b) - v_lgamma(a + b)), v_lbeta_large(a, b));
}

/* log Gamma(h + 1/2) - log Gamma(h), h > 0; DLMF 5.11.13 for large h. */
static inline lanes v_half_gamma_series(lanes h)
{
  lanes r = 1 / h, s = r * r;
  return 0.5 * v_log(h) - r * (1.0 / 8 - s * (1.0 / 192 - s * (1.0 / 640 - s * (17.0 / 14336 -
         s * (31.0 / 18432)))));
}
LANE_LARGE lanes v_half_gamma_ratio(lanes h)
{
  return PICK(h < 20, v_lgamma(h + 0.5) - v_lgamma(h), v_half_gamma_series(h));
}

/* ---- the normal distribution function -------------------------------------------------------- */

/* exp(y^2) erfc(y), y >= 0: a polynomial in (y - 3)/(y + 3) over 1 + 2 y (after Shepherd and
   Laframboise 1981; relative error of the fit 7e-18). */
V_COLD lanes v_erfcx(lanes y)
{
  static const lane_real C[] = {1.2530080582697296471, -0.13562110612458115851,
    -0.047562294353449196685, 0.12964515870275939232, -0.11927366341538638408,
    0.068308027344009903797, -0.023770514917171336801, 0.0025293918156939695289,
    0.0018886903449991718496, -0.00077983226965433065216, -0.00010515971958448064892,
    0.0001250993424583729101, 4.9491966499683472758e-6, -0.000020100542268525612773,
    -7.3082814687836631104e-7, 3.4723709449771714841e-6, 3.557608668408141473e-7,
    -6.1660114603987649485e-7, -1.4047654315429363888e-7, 1.0183620603843024389e-7,
    4.1064013667946621476e-8, -1.3312919661039894485e-8, -8.2175950587139525738e-9,
    9.8625335103477835452e-10, 8.3937348852675267833e-10};
  lanes t = SEL(y < V_SAFE_MAX, (y - 3) / (y + 3), 1.0);
  return v_poly(C, 25, t) / (1 + 2 * y);
}

/* log Phi(x); right to the far tail */
static inline lanes v_norm_log_cdf(lanes x)
{
  lanes e = v_erfcx(v_abs(x) * V_SQRT_1_2), square = 0.5 * x * x;
  return PICK(x > 0, v_log1p(-0.5 * e * v_exp(-square)), v_log(0.5 * e) - square);
}
/* d log Phi(x) / dx = phi(x) / Phi(x) */
static inline lanes v_norm_hazard(lanes x)
{
  lanes e = v_erfcx(v_abs(x) * V_SQRT_1_2), phi = v_exp(-0.5 * x * x);
  return 0.79788456080286535588 * SEL(x > 0, phi / (2 - e * phi), 1 / e);
}

/* ---- Bessel functions ------------------------------------------------------------------------ */

/* log(e^-x I0(x)), x >= 0: the power series (DLMF 10.25.2); beyond 10 sqrt(2 pi x) e^-x I0(x) as a
   polynomial in 1/x (error of the fit 3.27e-18). */
static inline lanes v_bessel_i0_series(lanes x)
{
  lanes q = 0.25 * x * x, sum = 1 + 0 * x;
  LANE_UNROLL
  for (int k = 25; k > 0; k--) sum = 1 + q * (1.0 / (k * k)) * sum;
  return v_log(sum) - x;
}
static inline lanes v_bessel_i0_far(lanes x)
{
  static const lane_real C[] = {
    1.0064357190398328317, 0.0066322525767983374155, 0.0002083340791901796619,
    0.000012914233973725599218, 1.263655828511284873e-6, 1.7742918940553007878e-7,
    3.4178856184969350399e-8, 8.9222212429276914734e-9, 3.2055920816504903918e-9,
    1.5883446196578658652e-9, 9.444702274513102714e-10, 3.7938330210909159495e-10,
    -2.8968678110960707354e-10, -6.0698742353326730604e-10, -2.2507365297818908182e-10,
    2.5446792490167257674e-10, 1.935838150053427343e-10, -6.0362940056628754596e-11,
    -6.9325079414303781832e-11, 6.8613656052649705746e-12, 1.0621243875698751958e-11};
  return v_log(v_poly(C, 21, 20 / x - 1)) - 0.5 * v_log(x) - V_LOG_SQRT_2PI;
}
LANE_LARGE lanes v_bessel_i0_scaled_log(lanes x)
{
  return PICK(x <= 10, v_bessel_i0_series(x), v_bessel_i0_far(x));
}
/* 1 - I1(x)/I0(x), x >= 0; beyond 10 by 2 x times it (2.24e-17). */
static inline lanes v_bessel_gap_near(lanes x)
{
  lanes q = 0.25 * x * x, i0 = 1 + 0 * x, i1 = 1 + 0 * x;
  LANE_UNROLL
  for (int k = 25; k > 0; k--) {
    i0 = 1 + q * (1.0 / (k * k)) * i0;
    i1 = 1 + q * (1.0 / (k * (k + 1))) * i1;
  }
  return 1 - 0.5 * x * i1 / i0;
}
static inline lanes v_bessel_gap_far(lanes x)
{
  static const lane_real C[] = {
    1.0131796844077149416, 0.013920839860340180581, 0.00081053305414474451139,
    0.000078642479005726129484, 0.000010926349679242828548, 2.0519788805802937812e-6,
    5.1092035911350304513e-7, 1.7037709880925328379e-7, 7.7931328204094974508e-8,
    4.6140843268504959258e-8, 2.645980436372434987e-8, 2.6375113127125827751e-9,
    -2.1728416963854646917e-8, -2.5144486137685010933e-8, -5.0003398841337834798e-10,
    1.8714510863489621927e-8, 6.8136002294584030684e-9, -9.2333718037475280935e-9,
    -4.5806598277082260145e-9, 3.361937030936645877e-9, 1.55436820176561604e-9,
    -8.1904188467766049691e-10, -2.3034786729260029242e-10, 9.831246656882399633e-11};
  return v_poly(C, 24, 20 / x - 1) * (0.5 / x);
}
LANE_LARGE lanes v_bessel_gap(lanes x)
{
  return PICK(x <= 10, v_bessel_gap_near(x), v_bessel_gap_far(x));
}
#endif
