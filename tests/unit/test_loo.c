/* test_loo.c: estimates of leaving one out against ArviZ. */
#include "unit.h"
#include "infer/trust/predict.h"
#include <stdlib.h>

enum { DRAWS = 2000, ROWS = 8 };

/* Numbers that the other implementation can make too. */
static double uniform_next(uint64_t *s)
{
  *s = *s * 6364136223846793005u + 1442695040888963407u;
  return ((double)(*s >> 11) + .5) * 0x1p-53;
}

/* Log densities -(y_k - m)^2 / 2 / s^2 - log s at m = 4 (u - 1/2), s = 3/2 + v, y_k = k - 3, of
   pairs of uniforms u, v: elpd and k-hat of rows and p_loo by az.loo(reff = 1, pointwise = True)
   of ArviZ 0.23.4. */
static const double elpd[ROWS] = {
  -2.6931085625160796, -1.6447895461926105, -1.0612871059960067, -0.8741454743254069,
  -1.0594427810255196, -1.6375899487050711, -2.6732139739982417, -4.250007482389097 };
static const double khat[ROWS] = {
  0.13633418960427784, 0.10590693030916096, 0.08741230897521646, -0.23485061717863565,
  0.02237820111106132, 0.14534565786032969, 0.21859199013005443, 0.3959745588570236 };
static const double p_loo = 5.05205461139928;

int main(void)
{
  norn_state *st = norn_new(NULL);
  double *ll = malloc(sizeof *ll * DRAWS * ROWS), *lw = malloc(sizeof *lw * DRAWS), p = 0;
  uint64_t s = 1;
  loo_row r, w;
  CHECK(st && ll && lw);
  for (int i = 0; i < DRAWS; i++) {
    double m = 4 * (uniform_next(&s) - .5), sigma = 1.5 + uniform_next(&s);
    for (int k = 0; k < ROWS; k++)
      ll[k * DRAWS + i] = -.5 * (k - 3 - m) * (k - 3 - m) / sigma / sigma - log(sigma);
    lw[i] = 3;
  }
  for (int k = 0; k < ROWS; k++) {
    CHECK(loo_of(st, ll + k * DRAWS, NULL, DRAWS, 0, &r));
    CHECK_NEAR(r.elpd, elpd[k], 1e-10);
    CHECK_NEAR(r.khat, khat[k], 1e-10);
    p += r.lpd - r.elpd;
    /* equal weights weigh nothing */
    CHECK(loo_of(st, ll + k * DRAWS, lw, DRAWS, 0, &w));
    CHECK_NEAR(w.elpd, r.elpd, 1e-11);
    CHECK_NEAR(w.lpd, r.lpd, 1e-11);
  }
  CHECK_NEAR(p, p_loo, 1e-9);
  /* a row that does not depend on the draws is what it is */
  for (int i = 0; i < DRAWS; i++) ll[i] = -1.5;
  CHECK(loo_of(st, ll, NULL, DRAWS, 4, &r));
  CHECK_NEAR(r.elpd, -1.5, 1e-12);
  CHECK(r.khat == -HUGE_VAL);
  free(ll);
  free(lw);
  norn_free(st);
  return unit_end();
}
