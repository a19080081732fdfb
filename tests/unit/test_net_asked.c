/* test_net_asked.c: posteriors by nets that have learned nothing (infer/net/amortized.h): the weights make any proposal
   right, so whatever first weights a net has, evidence is unbiased and expectations are exact; a Jacobian that is wrong,
   a choice that is scored otherwise than it was drawn, an order of tokens that differs between the two, all show.
   Expected values are closed forms, or enumerate()'s. */
#include "unit.h"
#include "infer/net/amortized.h"
#include "infer/infer.h"
#include "infer/net/net.h"
#include <stdlib.h>
#include <unistd.h>

/* ---- a net with first weights, as the global `net` ---- */

typedef struct wanted { net_kind kind; const char *head, *inputs; double subsets; uint64_t seed; } wanted;

static net *make(norn_state *st, const char *what, const char *model, const wanted *w)
{
  net_spec spec = {.kind = w->kind, .shape = {.d = 16, .layers = 2, .heads = 2, .ff = 32}, .bars = 12, .components = 3,
                   .head = w->head ? w->head : "auto", .subsets = w->subsets, .batch = 32, .most_batch = 32,
                   .steps = 1, .rate = 1e-3, .clip = 1, .inputs = norn_missing()};
  net_schema schema = {.nsite = 0};
  norn_datum m, v = norn_none();
  if (w->inputs && norn_eval(st, "inputs", w->inputs, strlen(w->inputs), 0, &spec.inputs)) return NULL;
  if (norn_eval(st, "what", what, strlen(what), NORN_LOAD_REPL, &v)) return NULL;
  norn_ref *keep = norn_keep(st, v);
  net_source *src = net_source_new(st, v, spec.inputs, 17);
  net *n = NULL;
  if (src && net_schema_learn(st, &schema, src, &spec, 300)) {
    spec.inputs = norn_none();
    n = net_new(st, &spec, &schema, w->seed, false);
  }
  net_source_free(src);
  norn_drop(keep);
  if (!n || norn_eval(st, "model", model, strlen(model), NORN_LOAD_REPL, &m)) return NULL;
  n->program = net_program(st, m);
  snprintf(n->model_name, sizeof n->model_name, "m");
  return n;
}

static void failed(norn_state *st, const char *what)
{
  char said[2000];
  norn_error_text(st, norn_error(st), said, sizeof said);
  fprintf(stderr, "%s: %s\n", what, said);
  CHECK(!"no error");
}

/* Defines `program`, makes a net of `what` (trained on it, were it trained), and asks whether `test` gives true. */
static void check_net(const char *name, const char *program, const char *what, const char *model, wanted w,
                      const char *test)
{
  norn_config c = norn_config_default();
  c.quiet = true;
  c.seed = 11;
  norn_state *st = norn_new(&c);
  norn_datum v;
  CHECK(st);
  if (norn_eval(st, name, program, strlen(program), NORN_LOAD_REPL, &v)) failed(st, name);
  net *n = make(st, what, model, &w);
  if (n) {
    norn_set_global(st, "net", net_datum(st, n));
    static const char plain[] = "let plain = n -> amortized(net, draws = n, fallback = false, check = 0)";
    norn_datum out;
    if (norn_eval(st, name, plain, sizeof plain - 1, NORN_LOAD_REPL, &out)) failed(st, name);
    else if (norn_eval(st, name, test, strlen(test), NORN_LOAD_REPL, &out)) failed(st, name);
    else if (!(out.tag == NORN_BOOL && out.i)) {
      fprintf(stderr, "%s: %s\n", name, norn_show(st, out, true, 300));
      CHECK(!"what the test gives");
    } else CHECK(true);
  } else {
    failed(st, name);
  }
  norn_free(st);
}

/* What all tests share: unnormalised estimates of R replicates, E[w f] = Z E[f | y]; gives true, or what is wrong. */
#define CHECKS                                                                                                       \
  "fn z(name, xs, truth, scale) {\n"                                                                                 \
  "  let se = sd(xs) / sqrt(len(xs))\n"                                                                              \
  "  if se > 0.05 * scale { \"{name}: the error {se} is above 5 % of {scale}\" }\n"                                  \
  "  else if abs(mean(xs) - truth) < 5 * se { true }\n"                                                              \
  "  else { \"{name}: {mean(xs)} +- {se}, not {truth}\" } }\n"                                                       \
  "fn first_wrong(rs) = find_first(rs, r -> type_of(r) == \"string\", true)\n"                                       \
  "fn raw(p, n, f) = sum(for i in 0..len(values(p)) { exp(info(p).stats.log_ratio[i]) * f(values(p)[i]) }) / n\n"

/* ---- programs ---- */

/* Stochastic recursion: the structure itself is drawn. */
static const char recursion[] = CHECKS
  "fn steps(n) { let go ~ bernoulli(0.6); if go and n < 6 { steps(n + 1) } else { n } }\n"
  "model m(y) { let n = steps(0)\n observe y ~ normal(n, 1.5)\n n }\n";
static const char recursion_test[] =
  "let exact = infer(m(3.0), enumerate())\n"
  "let rs = for r in 0..500 { infer(m(3.0), plain(40)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 40, x -> 1)) , exp(evidence(exact)), exp(evidence(exact))),\n"
  "  z(\"mean\", map(rs, p -> raw(p, 40, x -> x)), exp(evidence(exact)) * mean(exact), exp(evidence(exact))),\n"
  "  z(\"evidence\", map(rs, p -> exp(evidence(p) - evidence(exact))), 1, 1)])\n";

/* Categories whose number depends on a choice, and booleans. */
static const char choices[] = CHECKS
  "model m(y) { let k ~ discrete_uniform(1, 4)\n let c ~ categorical(for i in 0..k { 1.0 / k })\n"
  "  let b ~ bernoulli(0.3)\n observe y ~ normal(c + (if b { 2 } else { 0 }), 1)\n 10 * k + c + (if b { 5 } else { 0 }) }\n";
static const char choices_test[] =
  "let exact = infer(m(2.5), enumerate())\n"
  "let rs = for r in 0..500 { infer(m(2.5), plain(40)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 40, x -> 1)), exp(evidence(exact)), exp(evidence(exact))),\n"
  "  z(\"mean\", map(rs, p -> raw(p, 40, x -> x)), exp(evidence(exact)) * mean(exact), exp(evidence(exact)) * sd(exact))])\n";

/* Supports with maps: lower bound (gamma-Poisson), interval (beta-binomial), bounds that are drawn. */
static const char positive[] = CHECKS
  "model m(y) { let rate ~ gamma(2, 0.5)\n observe y ~ poisson(rate)\n rate }\n";
static const char positive_test[] =
  "let truth = logpdf(neg_binomial(2, 0.5), 6)\n"
  "let rs = for r in 0..500 { infer(m(6), plain(60)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 60, x -> 1)), exp(truth), exp(truth)),\n"
  "  z(\"mean\", map(rs, p -> raw(p, 60, x -> x)), exp(truth) * 8 / 1.5, exp(truth) * 5)])\n";
static const char interval[] = CHECKS
  "model m(y) { let a ~ uniform(1, 3)\n let x ~ uniform(a, 5)\n observe y ~ normal(x, 1)\n x }\n";
static const char interval_test[] =
  "let zq = integrate(a -> integrate(x -> exp(logpdf(normal(x, 1), 3.0)) / (5 - a), a, 5) / 2, 1, 3)\n"
  "let mq = integrate(a -> integrate(x -> x * exp(logpdf(normal(x, 1), 3.0)) / (5 - a), a, 5) / 2, 1, 3)\n"
  "let rs = for r in 0..500 { infer(m(3.0), plain(60)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 60, x -> 1)), zq, zq),\n"
  "  z(\"mean\", map(rs, p -> raw(p, 60, x -> x)), mq, zq)])\n";

/* Several coordinates, one after the other: a vector with a covariance, and a simplex. */
static const char vectors[] = CHECKS
  "model m(y) { let t ~ multi_normal([0, 1], [[1, 0.5], [0.5, 2]])\n observe y ~ normal(t[0] + t[1], 0.7)\n t[0] }\n";
static const char vectors_test[] =
  /* t0 + t1 ~ N(1, 4); cov(t0, s) = 1.5 */
  "let v = 4 + 0.49\nlet zt = exp(logpdf(normal(1, sqrt(v)), 2.0))\n"
  "let rs = for r in 0..500 { infer(m(2.0), plain(60)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 60, x -> 1)), zt, zt),\n"
  "  z(\"mean\", map(rs, p -> raw(p, 60, x -> x)), zt * 1.5 / v, zt)])\n";
static const char simplex[] = CHECKS
  "model m(ys) { let p ~ dirichlet([1.5, 2, 3])\n for i in 0..len(ys) { observe ys[i] ~ categorical(p) }\n p[0] }\n";
static const char simplex_test[] =
  /* sequential: (1.5 / 6.5) (2.5 / 7.5) (2 / 8.5) */
  "let zt = 1.5 / 6.5 * 2.5 / 7.5 * 2 / 8.5\n"
  "let rs = for r in 0..500 { infer(m([0, 0, 1]), plain(60)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 60, x -> 1)), zt, zt),\n"
  "  z(\"mean\", map(rs, p -> raw(p, 60, x -> x)), zt * 3.5 / 9.5, zt * 0.3)])\n";

/* Counts without a bound, and a mixture whose label decides which real is there. */
static const char counts[] = CHECKS
  "model m(y) { let n ~ poisson(4)\n observe y ~ binomial(n, 0.5)\n n }\n";
static const char counts_test[] =
  "let zt = exp(logpdf(poisson(2), 3))\n"
  "let rs = for r in 0..500 { infer(m(3), plain(60)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 60, x -> 1)), zt, zt),\n"
  "  z(\"mean\", map(rs, p -> raw(p, 60, x -> x)), zt * 5, zt * 1.5)])\n";
static const char mixture[] = CHECKS
  "model m(y) { let k ~ bernoulli(0.4)\n"
  "  let mu = if k { let a ~ normal(2, 1)\n a } else { let b ~ exponential(1)\n -b }\n"
  "  observe y ~ normal(mu, 0.8)\n k }\n";
static const char mixture_test[] =
  "let one = 0.4 * exp(logpdf(normal(2, sqrt(1.64)), 0.5))\n"
  "let two = 0.6 * integrate(b -> exp(-b + logpdf(normal(-b, 0.8), 0.5)), 0, 30)\n"
  "let rs = for r in 0..500 { infer(m(0.5), plain(60)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 60, x -> 1)), one + two, one + two),\n"
  "  z(\"k\", map(rs, p -> raw(p, 60, x -> if x { 1 } else { 0 })), one, one + two)])\n";

/* Missing data and given choices. */
static const char missing[] = CHECKS
  "model m(ys) { let mu ~ normal(0, 1)\n"
  "  let all = for i in 0..len(ys) { let y = observe ys[i] ~ normal(mu, 1)\n y }\n { mu: mu, y1: all[1] } }\n";
static const char missing_test[] =
  "let zt = exp(logpdf(multi_normal([0, 0], [[2, 1], [1, 2]]), [1.0, 2.0]))\n"
  "let rs = for r in 0..500 { infer(m([1.0, missing, 2.0]), plain(60)) }\n"
  "let gz = exp(logpdf(normal(0.4, 1), 1.0) + logpdf(normal(0.4, 1), 2.0) + logpdf(normal(0, 1), 0.4))\n"
  "let gs = for r in 0..500 { infer(given(m([1.0, missing, 2.0]), { mu: 0.4 }), plain(60)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 60, x -> 1)), zt, zt),\n"
  "  z(\"mu\", map(rs, p -> raw(p, 60, x -> x.mu)), zt, zt),\n"
  "  z(\"y1\", map(rs, p -> raw(p, 60, x -> x.y1)), zt, zt),\n"
  "  z(\"given Z\", map(gs, p -> raw(p, 60, x -> 1)), gz, gz),\n"
  "  z(\"given y1\", map(gs, p -> raw(p, 60, x -> x.y1)), gz * 0.4, gz)])\n";

/* Priors that are inputs: their arguments differ from run to run. */
static const char inputs[] = CHECKS
  "model m(a, b, ys) { let p ~ beta(a, b)\n for i in 0..len(ys) { observe ys[i] ~ bernoulli(p) }\n p }\n"
  "fn any() { let a ~ uniform(0.5, 5)\n let b ~ uniform(0.5, 5)\n"
  "  let n ~ discrete_uniform(1, 8)\n m(a, b, for i in 0..n { true }) }\n";
static const char inputs_test[] =
  "let zt = 2.0 / 5 * 3 / 6 * 3 / 7\n"
  "let rs = for r in 0..500 { infer(m(2, 3, [true, true, false]), plain(60)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 60, x -> 1)), zt, zt),\n"
  "  z(\"p\", map(rs, p -> raw(p, 60, x -> x)), zt * 4 / 8, zt * 0.2)])\n";

static const char no_data_test[] =
  "let rs = for r in 0..300 { infer(m(2, 3, []), amortized(net, draws = 60, fallback = false)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> raw(p, 60, x -> 1)), 1, 1), z(\"p\", map(rs, p -> raw(p, 60, x -> x)), 0.4, 0.2)])\n";

/* ---- inside smc, and as proposals of chains ---- */

static const char series[] = CHECKS
  "model m(ys) {\n"
  "  for y in ys with s = 0 {\n    let z ~ categorical(if s == 0 { [0.7, 0.3] } else { [0.2, 0.8] })\n"
  "    observe y ~ normal(2 * z, 1)\n    next z } }\n";
static const char series_test[] =
  "let ys = [0.3, 1.9, -0.4, 2.2]\nlet exact = infer(m(ys), enumerate())\n"
  "let by = amortized(net, correct = smc(particles = 4, threshold = 1), fallback = false, check = 0)\n"
  "let rs = for r in 0..1500 { infer(m(ys), by) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> exp(evidence(p) - evidence(exact))), 1, 1),\n"
  "  z(\"last\", map(rs, p -> exp(evidence(p) - evidence(exact)) * mean(p)), mean(exact), 1)])\n";
static const char walk[] = CHECKS
  "model m(ys) {\n  for y in ys with x = 0.0 {\n    let x2 ~ normal(0.9 * x, 1)\n    observe y ~ normal(x2, 0.5)\n"
  "    next x2 } }\n";
static const char walk_test[] =
  "let ys = [0.3, 1.9, -0.4]\n"
  "let k = for y in ys with m = 0.0, v = 0.0, l = 0.0 {\n"
  "  let pm = 0.9 * m\n  let pv = 0.81 * v + 1\n  let g = pv / (pv + 0.25)\n"
  "  next pm + g * (y - pm), (1 - g) * pv, l + logpdf(normal(pm, sqrt(pv + 0.25)), y) }\n"
  "let by = amortized(net, correct = smc(particles = 100, threshold = 0.5), fallback = false, check = 0)\n"
  "let rs = for r in 0..300 { infer(m(ys), by) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> exp(evidence(p) - k.l)), 1, 1),\n"
  "  z(\"last\", map(rs, p -> exp(evidence(p) - k.l) * mean(p)), k.m, 1)])\n";
static const char chain_test[] =
  "let exact = infer(m(3.0), enumerate())\n"
  "let by = amortized(net, correct = mh(draws = 2000, burn = 200, chains = 2), fallback = false, check = 0)\n"
  "let rs = for r in 0..20 { mean(infer(m(3.0), by)) }\n"
  "z(\"mean\", rs, mean(exact), sd(exact))\n";

/* ---- what is said ---- */

static const char said_test[] =
  "let p = infer(m(3.0), amortized(net, draws = 400, fallback = false, check = 0))\n"
  "let i = info(p)\n"
  "let un = info(infer(m(3.0), amortized(net, draws = 400, correct = false)))\n"
  "let far = infer(m(300.0), amortized(net))\n"
  "if abs(i.efficiency - i.ess / 400) > 1e-9 { \"efficiency\" }\n"
  "else if not contains(diagnose(p), \"khat\") { \"diagnose\" }\n"
  "else if un.correction != \"none\" or is_missing(un.uncorrected) { \"uncorrected\" }\n"
  "else if not contains(info(far).fallback, \"unlike the prior\") { info(far).fallback }\n"
  "else if info(far).engine != \"enumerate\" { info(far).engine } else { true }\n";

/* log q is a density: over an interval that has all of the mass it integrates to 1, and it is what the draws have. */
static const char density_test[] =
  "let q = log_q(net, m(6), for i in 0..4001 { { rate: 0.0005 + i * 0.01 } })\n"
  "let far = 1 - sum(for l in q { 0.01 * exp(l) })\n"
  "let p = infer(m(6), amortized(net, draws = 4000, correct = false))\n"
  "let below = sum(for i in 0..400 { 0.01 * exp(q[i]) })\n"
  "let share = prob(p, x -> x < 4)\n"
  "if far > 0.2 or far < -0.02 { \"mass {far}\" }\n"
  "else if abs(share - below) > 0.04 { \"{share} of the draws, not {below}\" } else { true }\n";

/* What a pfn answers: distributions that draws agree with; alone, where only data are missing, corrected. */
static const char pfn_program[] = CHECKS
  "model m(ys) { let mu ~ normal(0, 1)\n for i in 0..len(ys) { observe ys[i] ~ gamma(2, exp(mu)) }\n mu }\n"
  "model alone(ys) { for i in 0..len(ys) with y = 0.0 { let z = observe ys[i] ~ normal(0.5 * y, 1)\n next z } }\n";
static const char pfn_test[] =
  "let d = answer(net, m([1.0, missing, 2.0, missing]))\n"
  "let p = infer(m([1.0, missing, 2.0, missing]), amortized(net, draws = 4000))\n"
  "let q = quantile(d[0], 0.3)\n"
  "let mass = integrate(x -> exp(logpdf(d[1], x)), 0, quantile(d[1], 0.9))\n"
  "if len(d) != 2 { \"not 2\" }\n"
  "else if abs(cdf(d[0], q) - 0.3) > 1e-4 { \"cdf\" }\n"
  "else if abs(mass - 0.9) > 0.005 { \"mass {mass}\" }\n"
  "else if abs(prob(p, v -> v[\"ys[1]\"] < q) - 0.3) > 0.04 { \"draws\" }\n"
  "else if abs(mean(for i in 0..4000 { if sample(d[0]) < q { 1.0 } else { 0.0 } }) - 0.3) > 0.04 { \"sample\" }\n"
  "else if is_missing(info(p).uncorrected) { \"silent\" } else { true }\n";
static const char alone_test[] =
  /* y1 between y0 = 1 and y2 = 2: mean (.5 * 1 + .5 * 2) / 1.25, variance .8 */
  "let zt = exp(logpdf(normal(0, 1), 1.0) + logpdf(normal(0.25, sqrt(1.25)), 2.0))\n"
  "let rs = for r in 0..500 { infer(alone([1.0, missing, 2.0]), plain(60)) }\n"
  "first_wrong([z(\"Z\", map(rs, p -> exp(evidence(p))), zt, zt),\n"
  "  z(\"y\", map(rs, p -> exp(evidence(p)) * mean(p[\"ys[1]\"])), zt * 1.2, zt)])\n";

/* A value that is scored has the density with which it was drawn: log weights without the prior's part again, from
   log_q of each draw's choices. */
#define AGAIN(choices, joint)                                                                                        \
  "let p = infer(m(Y), amortized(net, draws = 60, defensive = 0, fallback = false, check = 0))\n"                     \
  "let rows = for i in 0..len(values(p)) { " choices " }\n"                                                           \
  "let q = log_q(net, m(Y), rows)\n"                                                                                 \
  "let off = for i in 0..len(rows) { let r = rows[i]\n abs(" joint " - q[i] - info(p).stats.log_ratio[i]) }\n"        \
  "if max(off) < 1e-4 { true } else { \"log q differs by {max(off)}\" }\n"
static const char vectors_again[] = "let Y = 2.0\n"
  AGAIN("{ t: values(p[\"t\"])[i] }",
        "logpdf(multi_normal([0, 1], [[1, 0.5], [0.5, 2]]), r.t) + logpdf(normal(r.t[0] + r.t[1], 0.7), Y)");
static const char counts_again[] = "let Y = 3\n"
  AGAIN("{ n: values(p[\"n\"])[i] }", "logpdf(poisson(4), r.n) + logpdf(binomial(r.n, 0.5), Y)");
static const char choices_again[] = "let Y = 2.5\n"
  AGAIN("{ k: values(p[\"k\"])[i], c: values(p[\"c\"])[i], b: values(p[\"b\"])[i] }",
        "2 * log(1.0 / r.k) + log(r.k / 4.0) + logpdf(bernoulli(0.3), r.b) "
        "+ logpdf(normal(r.c + (if r.b { 2 } else { 0 }), 1), Y)");

/* Draws that can't be trusted: another engine gives the answer. */
static const char sharp[] = CHECKS
  "model m(ys) { let mu ~ normal(0, 5)\n let s ~ exponential(1)\n"
  "  for i in 0..len(ys) { observe ys[i] ~ normal(mu, s) }\n mu }\n";
static const char sharp_test[] =
  "let ys = for i in 0..200 { 2.0 + 0.05 * sin(1.7 * i) }\n"
  "let p = infer(m(ys), amortized(net))\n"
  "if is_missing(info(p).fallback) or not contains(info(p).fallback, \"k-hat\") { \"no k-hat\" }\n"
  "else if info(p).engine != \"nuts\" { info(p).engine }\n"
  "else if abs(mean(p) - mean(ys)) > 0.002 { \"mean {mean(p)}\" } else { true }\n";
static const char elsewhere[] = CHECKS
  "model m(a, y) { let x ~ normal(a, 0.3)\n observe y ~ normal(x, 0.3)\n x }\n";
static const char elsewhere_data[] = CHECKS
  "model m(y) { let x ~ normal(0, 1)\n observe y ~ normal(x, 0.1)\n x }\n";
static const char elsewhere_test[] =
  "let p = infer(m(5, 5.4), amortized(net))\n"
  "let kept = infer(m(5, 5.4), amortized(net, fallback = false, draws = 4000))\n"
  "if is_missing(info(p).fallback) { \"no fallback\" }\n"
  "else if abs(mean(p) - 5.2) > 0.05 { \"mean {mean(p)}\" }\n"
  "else if info(kept).prior_share < 0.9 { \"share {info(kept).prior_share}\" }\n"
  "else if len(info(kept).warnings) == 0 { \"no warning\" }\n"
  "else if abs(mean(kept) - 5.2) > 0.1 { \"kept {mean(kept)}\" } else { true }\n";
static const char longer_test[] =
  "let p = infer(m([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]), amortized(net))\n"
  "if contains(info(p).fallback, \"tokens\") and abs(mean(map(p, v -> v.mu)) - 0.45) < 0.1 { true } "
  "else { info(p).fallback }\n";

/* Inside of a program; the same again; and errors. */
static const char nested_test[] =
  "let exact = evidence(infer(m(3.0), enumerate()))\n"
  "model outer() { let b ~ bernoulli(0.5)\n let p = infer(m(if b { 3.0 } else { 1.0 }), plain(200))\n"
  "  factor(evidence(p))\n if b { 1.0 } else { 0.0 } }\n"
  "let other = evidence(infer(m(1.0), enumerate()))\n"
  "let truth = exp(exact) / (exp(exact) + exp(other))\n"
  "let o = infer(outer(), importance(400))\n"
  "if abs(mean(o) - truth) < 0.1 { true } else { \"{mean(o)} instead of {truth}\" }\n";

/* diagnose: a net that has learned nothing is found out; so is one of another place; the data sets are the prior's. */
static const char diagnose_test[] =
  "let d = diagnose(net, sbc = 60, what = m(1.0))\n"
  "if d.calibrated { \"calibrated\" }\n"
  "else if len(d.khat) != 60 or len(d.efficiency) != 60 { \"not 60\" }\n"
  "else if d.unlike > 0.1 { \"unlike {d.unlike}\" }\n"
  "else if d.coverage.c95 > 0.9 and d.coverage.c50 > 0.4 { \"coverage {d.coverage}\" }\n"
  "else if not contains(summary(d), \"importance efficiency\") { summary(d) } else { true }\n";
static const char diagnose_pfn_test[] =
  "let d = diagnose(net, sbc = 60, what = m([1.0, 2.0, 3.0, 4.0]))\n"
  "if len(d.parameters) != 1 or d.parameters[0].name != \"prediction\" { \"{d.parameters}\" }\n"
  "else if min(d.parameters[0].u) < 0 or max(d.parameters[0].u) > 1 { \"u\" }\n"
  "else if not contains(summary(d), \"mean log density\") { summary(d) } else { true }\n";

static norn_state *state_with(const char *program, const char *what, const wanted *w, net **n)
{
  norn_config c = norn_config_default();
  norn_datum v;
  c.quiet = true;
  c.seed = 11;
  norn_state *st = norn_new(&c);
  if (norn_eval(st, "program", program, strlen(program), NORN_LOAD_REPL, &v)) failed(st, "program");
  *n = make(st, what, what, w);
  CHECK(*n);
  return st;
}

static void check_refused(norn_state *st, const char *test, const char *why)
{
  norn_datum out;
  CHECK(norn_eval(st, "test", test, strlen(test), NORN_LOAD_REPL, &out));
  if (!strstr(norn_error(st)->text, why)) fprintf(stderr, "not \"%s\": %s\n", why, norn_error(st)->text);
  CHECK(strstr(norn_error(st)->text, why));
  norn_clear(st);
}

static void test_errors(const char *file)
{
  const wanted npe = {.kind = NET_NPE, .seed = 3}, pfn = {.kind = NET_PFN, .seed = 3};
  static const char two[] = "model other(y) { let x ~ normal(0, 1)\n observe y ~ normal(x, 2)\n x }\n"
                            "model m(ys) { let x ~ normal(0, 1)\n for i in 0..len(ys) { observe ys[i] ~ normal(x, 1) }\n x }\n"
                            "model inner(y) { let x ~ normal(0, 1)\n observe y ~ normal(x, 1)\n x }\n";
  net *n;
  norn_state *st = state_with(two, "m([1.0, 2.0])", &pfn, &n);
  norn_set_global(st, "net", net_datum(st, n));
  check_refused(st, "infer(other(1.0), amortized(net))", "other");
  check_refused(st, "infer(m([1.0, 2.0]), amortized(net))", "none of these is missing");
  check_refused(st, "infer(m([1.0, 2.0]), amortized(3))", "wants a net or the name of its file, got an integer");
  check_refused(st, "infer(m([1.0, 2.0]), amortized(net, defensive = 1))", "at least 0 and below 1");
  check_refused(st, "infer(m([1.0, 2.0]), amortized(net, draws = 3))", "at least 25");
  check_refused(st, "infer(m([1.0, 2.0]), amortized(net, correct = nuts()))", "must be true, false, smc(...) or mh(...)");
  check_refused(st, "infer(m([1.0, 2.0]), amortized(net, correct = mh(drift = 1)))", "drift of mh has no place");
  check_refused(st, "infer(m([1.0, 2.0]), amortized(\"nowhere.safetensors\"))", "nowhere.safetensors");
  check_refused(st, "answer(net, m([1.0, 2.0]))", "none of these is missing");
  check_refused(st, "answer(net, [m([1.0, missing]), m([1.0, 2.0])])", "none of these is missing");
  check_refused(st, "answer(net, [m([1.0, missing]), 3])", "wants models, got an integer");
  check_refused(st, "answer(net, [m([1.0, missing]), other(missing)])", "other");
  norn_free(st);
  st = state_with(two, "m([1.0, 2.0])", &npe, &n);
  CHECK(!net_save(st, n, file));
  norn_set_global(st, "net", net_datum(st, n));
  check_refused(st, "answer(net, m([1.0, missing]))", "wants a pfn net");
  check_refused(st, "answer(net, [m([1.0, missing])])", "wants a pfn net, got one of npe");
  check_refused(st, "log_q(net, m([1.0, 2.0]), { y: 1 })", "no value of x");
  check_refused(st, "log_q(net, m([1.0, 2.0]), 3)", "a record of choices by address");
  FILE *f = fopen(file, "r+b");
  fseek(f, 30, SEEK_SET);
  fputs("not a net", f);
  fclose(f);
  char call[300];
  snprintf(call, sizeof call, "infer(m([1.0, 2.0]), amortized(\"%s\"))", file);
  check_refused(st, call, file);
  norn_free(st);
}

/* ---- the n-th request for memory fails ---- */

typedef struct scarce { long left, held; } scarce;       /* left < 0: there is enough */

static void *scarce_alloc(void *user, void *p, size_t old, size_t n)
{
  scarce *s = user;
  if (!n) {
    s->held -= p != NULL;
    free(p);
    return NULL;
  }
  if (s->left >= 0 && s->left-- == 0) return NULL;
  void *q = realloc(p, n);
  (void)old;
  s->held += q && !p;
  return q;
}

static void test_faults(const char *program, const char *what, const char *call, net_kind kind)
{
  const wanted w = {.kind = kind, .seed = 3};
  long step = 1;
  bool well = false;
  scarce s = {.left = -1};
  norn_config c = norn_config_default();
  norn_datum v;
  c.quiet = true;
  c.threads = 2;
  c.alloc = scarce_alloc;
  c.alloc_user = &s;
  norn_state *st = norn_new(&c);
  CHECK(!norn_eval(st, "program", program, strlen(program), NORN_LOAD_REPL, &v));
  net *n = make(st, what, what, &w);
  CHECK(n);
  norn_set_global(st, "net", net_datum(st, n));
  for (long k = 0; !well && k < 100000; k += step, step += k / 40) {
    s.left = k;
    norn_status code = norn_eval(st, "call", call, strlen(call), NORN_LOAD_REPL, &v);
    well = s.left > 0;
    s.left = -1;
    if (code && norn_error(st)->code != NORN_EMEMORY) failed(st, call);
    norn_clear(st);
  }
  CHECK(well);
  if (norn_eval(st, "call", call, strlen(call), NORN_LOAD_REPL, &v)) failed(st, call);
  norn_free(st);
  CHECK(s.held == 0);
}

/* ---- on threads: the same bits ---- */

/* All that a posterior of 5,000 draws shows of itself, on so many threads; malloc'ed. */
static char *said_on(int threads, const char *program, const char *what, const char *model, net_kind kind)
{
  const wanted w = {.kind = kind, .seed = 3};
  norn_config c = norn_config_default();
  norn_datum v;
  char call[400];
  c.quiet = true;
  c.seed = 11;
  c.threads = threads;
  norn_state *st = norn_new(&c);
  if (norn_eval(st, "program", program, strlen(program), NORN_LOAD_REPL, &v)) failed(st, "program");
  net *n = make(st, what, model, &w);
  CHECK(n);
  norn_set_global(st, "net", net_datum(st, n));
  snprintf(call, sizeof call, "let post = infer(%s, amortized(net, draws = 5000, fallback = false, check = 0))\n"
           "\"{values(post)} {weights(post)} {info(post).ess}\"", model);
  if (norn_eval(st, "call", call, strlen(call), NORN_LOAD_REPL, &v)) failed(st, call);
  char *all = strdup(norn_string_view(v, NULL) ? norn_string_view(v, NULL) : "");
  norn_free(st);
  return all;
}

static void test_on_threads(const char *program, const char *what, const char *model, net_kind kind)
{
  char *one = said_on(1, program, what, model, kind), *three = said_on(3, program, what, model, kind);
  CHECK(strlen(one) > 5000 && strcmp(one, three) == 0);
  free(one);
  free(three);
}

/* The error is that of the lowest draw, whoever makes it. */
static void test_thread_errors(void)
{
  static const char bad[] = "model m(y) { let k ~ poisson(20); let x = [1, 2][if k > 31 { k } else { 1 }]\n"
                            "observe y ~ normal(x, 1); k }\n";
  char said[2][600];
  for (int i = 0; i < 2; i++) {
    const wanted w = {.kind = NET_NPE, .seed = 3};
    norn_config c = norn_config_default();
    norn_datum v;
    c.quiet = true;
    c.threads = 1 + 2 * i;
    norn_state *st = norn_new(&c);
    static const char fine[] = "model m(y) { let k ~ poisson(20); observe y ~ normal(1, 1); k }\n";
    CHECK(!norn_eval(st, "fine", fine, strlen(fine), NORN_LOAD_REPL, &v));
    net *n = make(st, "m(2)", "m(2)", &w);
    CHECK(n && !norn_eval(st, "bad", bad, strlen(bad), NORN_LOAD_REPL, &v));
    if (n && !norn_eval(st, "model", "m(2)", 4, NORN_LOAD_REPL, &v)) n->program = net_program(st, v);
    norn_set_global(st, "net", net_datum(st, n));
    static const char call[] = "infer(m(2), amortized(net, draws = 5000, fallback = false, check = 0))";
    CHECK(norn_eval(st, "call", call, strlen(call), NORN_LOAD_REPL, &v));
    norn_error_text(st, norn_error(st), said[i], sizeof said[i]);
    norn_free(st);
  }
  CHECK(strstr(said[0], "bad:1:"));
  CHECK_STR(said[0], said[1]);
}

/* ---- checkpoints: the same bits from wherever it was saved ---- */

static norn_infer *begin(norn_state *st, const char *file, const char *options)
{
  char call[300];
  norn_datum model, engine;
  snprintf(call, sizeof call, "amortized(\"%s\"%s)", file, options);
  if (norn_eval(st, "engine", call, strlen(call), NORN_LOAD_REPL, &engine)) return NULL;
  norn_set_global(st, "by", engine);
  if (norn_eval(st, "model", "m(3.0)", 6, NORN_LOAD_REPL, &model)) return NULL;
  return infer_make(st, model, norn_global(st, "by"), 99);
}

static void result_of(norn_state *st, norn_infer *inf, double *mean, double *z)
{
  norn_posterior post;
  norn_step s;
  norn_clear(st);
  do s = norn_infer_step(inf); while (s == NORN_STEP_MORE);
  *mean = *z = NAN;
  if (s == NORN_STEP_DONE && norn_posterior_view(st, norn_infer_result(inf), &post)) {
    norn_view w;
    norn_array_view(post.weights, &w);
    *mean = 0;
    for (int64_t i = 0; i < post.n; i++) *mean += w.f[i] * norn_elem_real(post.values, i);
    *z = post.log_evidence;
  } else {
    failed(st, "checkpoint");
  }
  norn_infer_free(inf);
}

static void test_checkpoint(const char *file, const char *saved, const char *options, int steps)
{
  const wanted npe = {.kind = NET_NPE, .seed = 3};
  double mean, z, mean2, z2;
  net *n;
  norn_state *st = state_with(recursion, "m(0.5)", &npe, &n);
  CHECK(!net_save(st, n, file));
  net_free(n);
  norn_infer *inf = begin(st, file, options);
  CHECK(inf);
  for (int k = 0; inf && k < steps; k++) norn_infer_step(inf);
  if (inf && norn_infer_save(inf, saved)) failed(st, options);
  if (inf) result_of(st, inf, &mean, &z);
  norn_free(st);
  st = state_with(recursion, "m(0.5)", &npe, &n);
  net_free(n);
  inf = begin(st, file, options);
  if (inf && norn_infer_load(inf, saved)) failed(st, "load");
  if (inf) {
    result_of(st, inf, &mean2, &z2);
    CHECK(mean == mean2 && (z == z2 || (isnan(z) && isnan(z2))));
  }
  norn_free(st);
  remove(saved);
}

/* A draw of weight above 0 that has no value is refused, by the walk that writes and reads: chains would take it. */
static void test_damaged(const char *file, const char *saved)
{
  const wanted npe = {.kind = NET_NPE, .seed = 3};
  static const char options[] = ", fallback = false, correct = mh(draws = 50, burn = 20, chains = 2)";
  net *n;
  norn_state *st = state_with(recursion, "m(0.5)", &npe, &n);
  CHECK(!net_save(st, n, file));
  net_free(n);
  norn_infer *inf = begin(st, file, options);
  amortized *e = inf ? inf->self : NULL;
  for (int k = 0; e && k < 50 && !e->done; k++) norn_infer_step(inf);
  CHECK(e && e->done > 0 && e->logw[0] > -HUGE_VAL);
  if (e) e->s.ended[0] = SWARM_NONE;
  CHECK(inf && norn_infer_save(inf, saved));
  CHECK(strstr(norn_error(st)->text, "its draws do not fit") != NULL);
  norn_clear(st);
  norn_infer_free(inf);
  norn_free(st);
  remove(saved);
}

/* Weights of a net that is nearly right have no tail, whatever the shape of the few at its edge; one that found a
   mode which the net has missed has. */
static void test_even(void)
{
  norn_state *st = norn_new(NULL);
  double w[1000], khat;
  for (int i = 0; i < 1000; i++) w[i] = 1e-3 * sin(i) + (i >= 995 ? 0.04 * (i - 994) : 0);
  CHECK(amortized_khat(st, w, 1000, &khat) && khat == -HUGE_VAL);
  CHECK(w[999] > .19);
  for (int i = 0; i < 1000; i++) w[i] = 1e-3 * sin(i) + (i >= 995 ? 0.6 * (i - 994) : 0);
  CHECK(amortized_khat(st, w, 1000, &khat) && khat > .7);
  norn_free(st);
}

int main(void)
{
  const wanted npe = {.kind = NET_NPE, .seed = 3}, other = {.kind = NET_NPE, .seed = 4, .head = "mixture"},
               parts = {.kind = NET_NPE, .seed = 5, .subsets = .5},
               pfn = {.kind = NET_PFN, .seed = 8}, run_time = {.kind = NET_DISTRIBUTION, .seed = 6};
  check_net("recursion", recursion, "m(0.5)", "m(0.5)", npe, recursion_test);
  check_net("choices", choices, "m(0.5)", "m(0.5)", npe, choices_test);
  check_net("positive", positive, "m(1)", "m(1)", npe, positive_test);
  check_net("positive, mixture", positive, "m(1)", "m(1)", other, positive_test);
  check_net("interval", interval, "m(1)", "m(1)", npe, interval_test);
  check_net("vectors", vectors, "m(1)", "m(1)", npe, vectors_test);
  check_net("simplex", simplex, "m([0, 1, 2])", "m([0, 1, 2])", other, simplex_test);
  check_net("counts", counts, "m(1)", "m(1)", npe, counts_test);
  check_net("mixture", mixture, "m(1)", "m(1)", other, mixture_test);
  check_net("missing", missing, "m([1.0, 2.0, 3.0])", "m([1.0, 2.0, 3.0])", parts, missing_test);
  check_net("inputs", inputs, "() -> any()", "m(1, 1, [true])", run_time, inputs_test);
  check_net("no data", inputs, "() -> any()", "m(1, 1, [true])", run_time, no_data_test);
  check_net("smc of states", series, "m([1.0, 2.0, 3.0, 1.0])", "m([1.0])", npe, series_test);
  check_net("smc of reals", walk, "m([1.0, 2.0, 3.0])", "m([1.0])", npe, walk_test);
  check_net("chains", recursion, "m(0.5)", "m(0.5)", npe, chain_test);
  check_net("what is said", recursion, "m(0.5)", "m(0.5)", npe, said_test);
  check_net("log q", positive, "m(1)", "m(1)", npe, density_test);
  check_net("pfn", pfn_program, "m([1.0, 2.0, 3.0, 4.0])", "m([1.0])", pfn, pfn_test);
  check_net("pfn alone", pfn_program, "alone([1.0, 2.0, 3.0, 4.0])", "alone([1.0])", pfn, alone_test);
  check_net("vectors again", vectors, "m(1)", "m(1)", npe, vectors_again);
  check_net("counts again", counts, "m(1)", "m(1)", npe, counts_again);
  check_net("choices again", choices, "m(0.5)", "m(0.5)", npe, choices_again);
  check_net("sharp", sharp, "m(for i in 0..200 { 1.0 })", "m([1.0])", npe, sharp_test);
  check_net("elsewhere", elsewhere, "m(0, 0.1)", "m(0, 0.1)", npe, elsewhere_test);
  check_net("longer", missing, "m([1.0, 2.0, 3.0])", "m([1.0, 2.0, 3.0])", npe, longer_test);
  check_net("nested", recursion, "m(0.5)", "m(0.5)", npe, nested_test);
  check_net("diagnose", elsewhere_data, "m(1.0)", "m(1.0)", npe, diagnose_test);
  check_net("diagnose pfn", pfn_program, "m([1.0, 2.0, 3.0, 4.0])", "m([1.0])", pfn, diagnose_pfn_test);
  char file[64], saved[64];
  snprintf(file, sizeof file, "/tmp/test_net_asked.%ld.safetensors", (long)getpid());
  snprintf(saved, sizeof saved, "/tmp/test_net_asked.%ld.saved", (long)getpid());
  test_even();
  test_errors(file);
  static const int steps[] = {1, 2, 4, 7, 9};
  for (int i = 0; i < 5; i++) {
    test_checkpoint(file, saved, ", fallback = false, draws = 400", steps[i]);
    test_checkpoint(file, saved, ", fallback = false, correct = mh(draws = 50, burn = 20, chains = 2)", steps[i]);
    test_checkpoint(file, saved, ", correct = false, draws = 300", steps[i]);
  }
  test_checkpoint(file, saved, ", fallback = false, draws = 6000", 3);
  test_damaged(file, saved);
  remove(file);
  test_faults(vectors, "m(1)", "infer(m(2.0), amortized(net, draws = 140, fallback = false))", NET_NPE);
  test_faults(vectors, "m(1)", "infer(m(2.0), amortized(net, correct = smc(20), fallback = false))", NET_NPE);
  test_faults(pfn_program, "m([1.0, 2.0])", "answer(net, m([missing, 2.0]))", NET_PFN);
  test_faults(pfn_program, "m([1.0, 2.0])", "answer(net, [m([missing, 2.0]), m([1.0, missing])])", NET_PFN);
  static const char words[] =
    "model m(y) { let k ~ poisson(3); let v ~ iid(normal(k, 1), 3)\n"
    "let t = if clock() < 0 { 1 } else { 0 }\n"              /* no worker can do this */
    "observe y ~ normal(sum(v) + t, 1); { k: k, v: v, word: \"a{k}\" } }\n";
  test_on_threads(recursion, "m(0.5)", "m(0.5)", NET_NPE);
  test_on_threads(words, "m(2)", "m(2)", NET_NPE);
  test_on_threads(pfn_program, "m([1.0, 2.0, 3.0])", "m([1.0, missing, 2.0])", NET_PFN);
  test_on_threads(pfn_program, "alone([1.0, 2.0, 3.0, 4.0])", "alone([1.0, missing])", NET_PFN);
  test_thread_errors();
  test_faults(vectors, "m(1)", "infer(m(2.0), amortized(net, draws = 2300, fallback = false))", NET_NPE);
  test_faults(pfn_program, "m([1.0, 2.0])", "infer(m([missing, 2.0]), amortized(net, draws = 30))", NET_PFN);
  return unit_end();
}
