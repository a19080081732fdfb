/* test_predict.c: loo, prediction and calibration with the n-th allocation failing: an error or
   none, and nothing left behind. */
#include "unit.h"
#include "host.h"
#include "norn.h"
#include <stdlib.h>

static const char *const programs[] = {
  "model m(ys) { let mu ~ normal(0, 1); for y in ys { observe y ~ normal(mu, 1) };"
  " let last = observe 3 ~ poisson(exp(mu)); { mu: mu, last: last } }\n"
  "let p = infer(m([1, 2]), importance(40))\n"
  "loo(p)\n"
  "compare(loo(p), loo(p))\n"
  "posterior_predictive(p, n = 30)\n"
  "prior_predictive(m([1, 2]), 5)\n",
  "model m(n) { let p ~ beta(1, 1); observe n ~ binomial(5, p); p }\n"
  "sbc(m(1), importance(20), n = 20)\n",
  "model m(ys) { let p ~ beta(1, 1); for y in ys { let z ~ bernoulli(p);"
  " observe y ~ normal(if z { 0 } else { 2 }, 1) }; p }\n"
  "loo(infer(m([1, 2]), nuts(draws = 20, warmup = 20, chains = 1)))\n",
};

static void drop_warning(void *user, const norn_err *warning)
{
  (void)user;
  (void)warning;
}

/* How many allocations the program makes; the fail_at-th fails (0: none). */
static long starve(const char *program, long fail_at)
{
  host h = { 0, 0, 0 };
  norn_config cfg = norn_config_default();
  norn_datum out;
  cfg.alloc = host_alloc;
  cfg.alloc_user = &h;
  cfg.quiet = true;
  cfg.threads = 1;
  norn_state *st = norn_new(&cfg);
  long before = h.requests;
  if (st) {
    norn_on_warning(st, drop_warning, NULL);
    h.fail_at = fail_at ? before + fail_at : 0;
    norn_status s = norn_eval(st, "t", program, strlen(program), 0, &out);
    /* an address whose name finds no memory loses it, and is not found by name later: EINFER */
    CHECK(s == NORN_OK || (fail_at && (s == NORN_EMEMORY || s == NORN_EINFER)));
    if (s && s != NORN_EMEMORY && s != NORN_EINFER)
      fprintf(stderr, "allocation %ld: %s\n", fail_at, norn_error(st)->text);
  }
  norn_free(st);
  CHECK(h.blocks == 0);
  return h.requests - before;
}

int main(void)
{
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
    long all = starve(programs[i], 0);
    CHECK(all > 100);
    for (long k = 1; k <= all; k += 1 + k / 12) starve(programs[i], k);
  }
  return unit_end();
}
