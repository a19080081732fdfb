/* density_models.h: models with a density over R^n, of every shape that recordings have: for the tests
   that compare evaluations of them. */
#ifndef NORN_DENSITY_MODELS_H
#define NORN_DENSITY_MODELS_H

#define SERIES "let ys = for i in 0..37 { (i * 17 % 23) / 7.0 - 1.5 }\n"
#define LONG "let ys = for i in 0..300 { (i * 17 % 23) / 7.0 - 1.5 }\n" \
  "let xs = for i in 0..300 { (i * 7 % 31) / 9.0 - 1.5 }\nlet zs = for i in 0..300 { i % 3 == 0 }\n"
static const struct { const char *name, *text; } models[] = {
  {"normal", "model m() { let x ~ normal(1, 2); observe 3 ~ normal(x, 0.5); x }"},
  {"supports", "model m() { let a ~ exponential(2); let b ~ beta(2, 3); let c ~ normal(a, b); "
   "let d ~ uniform(-1, a); observe 0.3 ~ student_t(4, c + d, a); {a: a, c: c} }"},
  {"loop", "let ys = [1.2, 0.4, -0.7, 2.2, 1.1, 0.3, 5.0, -1.0, 0.5]\n"
   "model m() { let mu ~ normal(0, 5); let s ~ half_cauchy(2); "
   "for y in ys { observe y ~ normal(mu, s) }; mu }"},
  {"schools", "let y = [28, 8, -3, 7, -1, 1, 18, 12]\nlet s = [15, 10, 16, 11, 9, 11, 10, 18]\n"
   "model m() { let mu ~ normal(0, 5); let tau ~ half_cauchy(5)\n let theta = for j in 0..8 { "
   "let z ~ normal(0, 1)\n mu + tau * z }\n for j in 0..8 { observe y[j] ~ normal(theta[j], s[j]) }"
   "\n {mu: mu, theta: theta} }"},
  {"vector", "let X = [[1.0, 2.0, 0.5, 1.0, 3.0], [0.3, -1.0, 2.0, 0.1, 0.2], [1.0, 1.0, 1.0, 0.0, -1.0]]\n"
   "model m() { let b ~ normal([0, 0, 0, 0, 0], 2); let eta = X @ b\n"
   "let s ~ exponential(1); observe [0.1, 0.2, 0.3] ~ normal(eta, s); b }"},
  {"logit", "let xs = [0.5, -1.0, 2.0, 1.5]\nlet ys = [true, false, true, true]\n"
   "model m() { let a ~ normal(0, 1); let b ~ normal(0, 1)\n"
   "for i in 0..4 { observe ys[i] ~ bernoulli(inv_logit(a + b * xs[i])) }; a }"},
  {"groups", "let g = [0, 1, 1, 2, 0, 2]\nlet ys = [1.0, 2.0, 2.5, 0.1, 1.1, 0.4]\n"
   "model m() { let mu ~ iid(normal(0, 1), 3); let s ~ gamma(2, 2)\n"
   "for i in 0..6 { observe ys[i] ~ normal(mu[g[i]], s) }; mu }"},
  {"walk", "let ys = [1.0, 2.0, 2.5, 0.1, 1.1, 0.4]\n"
   "model m() { let phi ~ uniform(-1, 1); let s ~ half_normal(1)\n"
   "for y in ys with x = 0.0 { let e ~ normal(0, 1)\n let x2 = phi * x + s * e\n"
   "observe y ~ normal(x2, 0.5)\n next x2 } }"},
  {"garch", "let ys = [0.1, 0.2, -0.3, 0.4, 1.1, -2.0]\nmodel m() { let w ~ exponential(1)\n"
   "let a ~ uniform(0, 1)\n let b ~ uniform(0, 1 - a)\n"
   "for y in ys with h = 0.5 { observe y ~ normal(0, sqrt(h))\n next w + a * y^2 + b * h } }"},
  {"garch long", SERIES "model m() { let mu ~ normal(0, 1)\nlet w ~ exponential(1)\n"
   "let a ~ uniform(0, 1)\n let b ~ uniform(0, 1 - a)\n"
   "for t in 1..37 with h = 1.0 { let h2 = w + a * (ys[t - 1] - mu)^2 + b * h\n"
   "observe ys[t] ~ normal(mu, sqrt(h2))\n next h2 } }"},
  {"sigma", SERIES "model m() { let w ~ exponential(1)\nlet a ~ uniform(0, 1)\nlet b ~ uniform(0, 1 - a)\n"
   "for y in ys with s = 0.5 { observe y ~ normal(0, s)\n next sqrt(w + a * y^2 + b * s^2) } }"},
  {"hmm", SERIES "model m() { let p ~ iid(beta(2, 2), 2)\nlet mu ~ ordered(iid(normal(0, 3), 2))\n"
   "let A = [[log(p[0]), log1p(-p[0])], [log1p(-p[1]), log(p[1])]]\n"
   "let lp = for y in ys with lp = [0.0, -1.0] { next for j in 0..2 {\n"
   "log_sum_exp(lp[0] + A[0][j], lp[1] + A[1][j]) + logpdf(normal(mu[j], 1), y) } }\n"
   "factor(log_sum_exp(lp))\n mu }"},
  {"hmm long", LONG "model m() { let p ~ iid(beta(2, 2), 2)\nlet mu ~ ordered(iid(normal(0, 3), 2))\n"
   "let A = [[log(p[0]), log1p(-p[0])], [log1p(-p[1]), log(p[1])]]\n"
   "let lp = for y in ys with lp = [0.0, -1.0] { next for j in 0..2 {\n"
   "log_sum_exp(lp[0] + A[0][j], lp[1] + A[1][j]) + logpdf(normal(mu[j], 0.3), y) } }\n"
   "factor(log_sum_exp(lp))\n mu }"},
  {"hmm far", LONG "model m() { let p ~ iid(beta(2, 2), 2)\nlet mu ~ ordered(iid(normal(0, 3), 2))\n"
   "let A = [[log(p[0]), log1p(-p[0])], [log1p(-p[1]), log(p[1])]]\n"
   "let lp = for y in ys with lp = [0.0, -1.0] { next for j in 0..2 {\n"
   "log_sum_exp(lp[0] + A[0][j], lp[1] + A[1][j]) + logpdf(normal(mu[j], 0.1), y) } }\n"
   "factor(log_sum_exp(lp))\n mu }"},
  {"hmm one way", LONG "model m() { let p ~ iid(beta(2, 2), 2)\nlet mu ~ ordered(iid(normal(0, 3), 2))\n"
   "let A = [[log(p[0]), log1p(-p[0])], [log(0.0), p[1] / 9 - 1]]\n"
   "let lp = for y in ys with lp = [0.0, log(0.0)] { next for j in 0..2 {\n"
   "log_sum_exp(lp[0] + A[0][j], lp[1] + A[1][j]) + logpdf(normal(mu[j], 0.5), y) } }\n"
   "factor(log_sum_exp(lp))\n mu }"},
  {"hmm of 3", SERIES "model m() { let p ~ dirichlet([2, 2, 2])\nlet q ~ dirichlet([1, 2, 3])\n"
   "let mu ~ iid(normal(0, 3), 3)\nlet A = [log(p), log(q), [-1.0, -1.1, -1.2]]\n"
   "let lp = for y in ys with lp = [log(p[0]), log(p[1]), log(p[2])] { next for j in 0..3 {\n"
   "log_sum_exp(for i in 0..3 { lp[i] + A[i][j] }) + logpdf(normal(mu[j], 1), y) } }\n"
   "factor(log_sum_exp(lp))\n mu }"},
  {"states", SERIES "model m() { let phi ~ uniform(-1, 1)\nlet s ~ half_normal(1)\nlet e ~ iid(normal(0, 1), 37)\n"
   "for t in 0..37 with x = s * 2 { let x2 = phi * x + s * e[t]\n"
   "observe ys[t] ~ normal(exp(x2 / 4), 0.5 + s)\n next x2 } }"},
  {"two lags", SERIES "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 0.3)\nlet c ~ normal(0, 0.3)\n"
   "for y in ys with x = [a, b, 0.1] { let z = tanh(b * x[0] / 3 - c * x[1] / (4 + x[2]^2)) + y / 9\n"
   "observe y ~ normal(z, 1)\n next [z, x[0], x[1]] } }"},
  {"interleaved", SERIES "model m() { let a ~ uniform(0, 1)\nlet b ~ uniform(0, 1)\n"
   "for y in ys with x = [1.0, 2.0] { let p = a * x[0] + y\nlet q = b * x[1] - y * a\n"
   "observe y ~ normal(p, 1 + q^2)\n next [p, q] } }"},
  {"one then one", SERIES "model m() { let a ~ uniform(0, 1)\nlet b ~ uniform(0, 1)\n"
   "let s = for y in ys with x = 1.0 { next a * x + y }\n"
   "let r = for y in ys with x = s { observe y ~ normal(x, 1 + s^2)\n next b * x + y * a }\n"
   "observe 1 ~ normal(r, 2)\n r }"},
  {"there and back", SERIES "model m() { let a ~ uniform(0, 1)\nlet s ~ half_normal(1)\n"
   "let h = for y in ys { a * y + s }\n let x = cumsum(h)\nlet g = for v in x { exp(-v^2 / 40) }\n"
   "let c = cumprod(for v in g { 1 + v / 9 })\n"
   "for t in 0..37 { observe ys[t] ~ normal(g[t] + sum(h) / 9, 1 + c[36 - t]) }\n c }"},
  {"sides", SERIES "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\n"
   "for y in ys with x = a { let z = if x > y { a * x - y } else { max(b * x, -3.0) + min(y, a) }\n"
   "observe y ~ normal(z / 2, 1)\n next z / (1 + abs(z)) } }"},
  {"uneven", SERIES "model m() { let a ~ uniform(0, 1)\nlet b ~ normal(0, 1)\n"
   "for t in 0..23 with x = b { observe ys[t] ~ normal(x, 1)\n"
   "next if t % 5 == 3 { sin(x) } else { if t % 7 == 2 { x * a - b } else { a * x + b } } } }"},
  {"blocks", LONG "model m() { let a ~ normal(0, 1)\nlet b ~ iid(normal(0, 1), 3)\nlet s ~ half_normal(1)\n"
   "let mu ~ iid(normal(0, 1), 7)\n"
   "for i in 0..300 { observe ys[i] ~ normal(b[0] * ys[i] + a + b[1] * xs[i] + mu[i % 7] + ys[i] * b[2], s) }\n"
   "for i in 0..300 { let e = mu[i // 43] + a * xs[i]\n observe xs[i] ~ student_t(4, e, exp(e / 9)) }\n a }"},
  {"matrix", LONG "let X = for i in 0..300 { [xs[i], 1.0, ys[i], xs[i] * ys[i], 0.5] }\n"
   "model m() { let b ~ iid(normal(0, 1), 5)\nlet a ~ normal(0, 1)\nlet eta = X @ b\n"
   "observe zs ~ bernoulli_logit(eta + a)\nlet f = X @ [a, 1.0, b[0], 0.5, a]\n"
   "for i in 0..300 { observe xs[i] ~ normal(f[i], 1 + f[i]^2) }\n eta }"},
  {"mixtures", LONG "model m() { let w ~ beta(2, 2)\nlet mu ~ ordered(iid(normal(0, 2), 2))\nlet s ~ half_normal(2)\n"
   "for y in ys { factor(log_sum_exp(log(w) + logpdf(normal(mu[0], s), y), "
   "log1p(-w) + logpdf(normal(mu[1], 1 + s), y))) }\nfor y in xs { factor(-(y * w - mu[0])^2) }\n w }"},
  {"by hand", "let ys = [0.1, 3.2, 2.9, -0.4]\nmodel m() { let w ~ beta(2, 2)\nlet a ~ normal(0, 1)\n"
   "for y in ys { factor(log_sum_exp(log(w) + logpdf(normal(a, 1), y), "
   "log1p(-w) + logpdf(normal(3, 1), y))) }\n w }"},
  {"impossible", "model m() { let w ~ beta(2, 2)\nlet r ~ gamma(2, 2)\nlet a ~ normal(0, 1)\n"
   "for y in [-0.5, 1.5, 0.0, -2.0] { factor(log_sum_exp(log(w) + logpdf(gamma(2 + r, r), y), "
   "log(0 * w) + a * y, log1p(-w) + logpdf(normal(a, 1), y), logpdf(uniform(0, r), -1))) }\n w }"},
  {"branch", "model m() { let x ~ normal(0, 1)\nlet y = if x > 0.3 { x^2 } else { exp(x) }\n"
   "observe 1.0 ~ normal(y, 1)\n y }"},
  {"functions", "model m() { let x ~ gamma(3, 2)\nlet y = lgamma(x) + sin(x) * cos(x) - tanh(x) / (1 + x) "
   "+ log1p(x) ^ 3 + abs(x - 1.5) + max(x, 1.0) * min(x, 2) - expm1(-x)\nobserve y ~ cauchy(0, 1)\n y }"},
  {"simplex", "model m() { let p ~ dirichlet([1.5, 2, 3])\nlet q ~ dirichlet([2, 2])\n"
   "observe 0.4 ~ normal(dot(p, [1, 2, 3]) * q[0], 1)\n {p: p, q: q} }"},
  {"counts", "let ys = [3, 0, 2, 9, 4]\nmodel m() { let l ~ gamma(2, 1)\nlet f ~ gamma(2, 0.5)\n"
   "for y in ys { observe y ~ neg_binomial_2(l, f) }\nobserve 3 ~ poisson(l)\n"
   "observe 2 ~ binomial(5, inv_logit(l - 1)) \n l }"},
  {"flat", "model m() { let a ~ flat()\nlet s ~ flat(lower = 0)\nlet t ~ flat(lower = s, upper = s + 2)\n"
   "for y in [1.0, 2.0, 4.0] { observe y ~ normal(a * t, s) }\n a }"},
  {"truncated", "model m() { let s ~ exponential(1)\nlet a ~ normal(0, 1)\n"
   "let b ~ truncate(normal(a, s), lower = a - 1)\nlet c ~ truncate(gamma(s, 2), upper = 3)\n"
   "observe [1.5, 2] ~ truncate(student_t([3, 4], a, s), lower = [b - 9, 1])\n b }"},
  {"mixture", "model m() { let w ~ beta(2, 3)\nlet mu ~ ordered(iid(normal(0, 2), 2))\n"
   "let s ~ iid(half_normal(1), 2)\nfor y in [0.2, 3, -1.2] { observe y ~ "
   "mixture([w, 1 - w], [normal(mu[0], s[0]), normal(mu[1], s[1])]) }\n mu }"},
  {"products", "model m() { let s ~ exponential(1)\n"
   "let p ~ product([normal(0, s), exponential(s), uniform(-1, 2)])\n"
   "let t ~ transform(normal(p[0], s), exp)\nlet q ~ iid(transform(normal(0, s), affine(p[0], p[1])), 2)\n"
   "observe 2 ~ transform(normal(t, s), [affine(q[0], p[1]), exp])\n p }"},
  {"bounds", "model m() { let s ~ exponential(1)\nlet q ~ iid(uniform(s - 1, s + 2), 2)\n"
   "let r ~ mixture([0.5, 0.5], [uniform(q[0], 50), truncate(exponential(s), lower = 0.1)])\n"
   "let t ~ truncate(uniform(-1, s), lower = [-0.9, -0.9 * inv_logit(s)])\n"
   "observe {a: 1, b: 0.5} ~ product({a: normal(r, s), b: exponential(s)})\n t }"},
  {"noncentered", "model m() { let mu ~ normal(0, 5)\nlet tau ~ half_cauchy(5)\n"
   "let t ~ noncentered(normal([mu, mu + 1], tau))\nlet q ~ iid(noncentered(student_t(4, mu, tau)), 2)\n"
   "let r ~ noncentered(normal(0, 2))\nobserve [1, 2] ~ normal(t, q[0]^2 + 1)\n r }"},
  {"inflated", "model m() { let p ~ uniform(0, 1)\nlet l ~ gamma(2, 1)\n"
   "observe [0, 3, 2, 0] ~ zero_inflated(p, poisson([l, l, 2 * l, l]))\n"
   "observe 1 ~ truncate(poisson(l), lower = 1)\n l }"},
  {"process", "model m() { let a ~ half_normal(1)\nlet r ~ inv_gamma(5, 5)\nlet s ~ exponential(3)\n"
   "let c ~ normal(0, 1)\nlet f ~ gaussian_process([0, 1], matern52(1, r), noise = 0.3)\n"
   "observe [0.3, 1, -0.5] ~ gaussian_process([0, 0.5, 1.2], kernel_sum(rbf(a, r), linear(0.5)), "
   "mean = c, noise = s + 0.2)\n f }"},
  {"matrices", "model m() { let l ~ lkj_corr_cholesky(3, 2)\nlet r ~ lkj_corr(2, 1.5)\n"
   "let w ~ wishart(4, [[1, 0.2], [0.2, 2]])\nlet v ~ inv_wishart(5, [[2, 0.1], [0.1, 1]])\n"
   "let mu ~ multi_normal([0, 1], [[1, 0.5], [0.5, 1]])\nobserve [0.1, 2] ~ multi_normal(mu, w)\n"
   "observe [0.3, 0.2, -1] ~ multi_normal_cholesky([mu[0], 0, 0], l)\n"
   "observe [1, 1] ~ multi_student_t(4, mu, v)\nobserve [0.2, -0.3] ~ multi_normal_prec([0, 0], r)\n"
   "mu }"},
  {"foreign", "foreign \"libm.so.6\" { fn cosine(x: c_double) -> c_double as \"cos\" derivative x -> -sin(x)\n"
   "fn power(x: c_double, y: c_double) -> c_double as \"pow\" derivative (x, y) -> [y * x ^ (y - 1), x ^ y * log(x)]\n"
   "fn scaled(x: c_double, k: c_int) -> c_double as \"ldexp\" derivative (x, k) -> 2.0 ^ k }\n"
   "model m() { let a ~ gamma(2, 2)\nlet b ~ normal(0, 1)\n"
   "observe 1 ~ normal(cosine(b) + power(a, b) + scaled(b, 2) * power(a, 2), 1)\n b }"},
  {"steps", "model m() { let a ~ normal(0, 5)\nlet b ~ gamma(4, 2)\n"
   "let y = floor(a) * b + ceil(a) - trunc(a * b) + round(b) + sign(a) * b + sum(floor([a, b]))\n"
   "observe y ~ normal(0, 9)\n y }"},
  {"remainders", "model m() { let a ~ normal(0, 5)\nlet b ~ gamma(4, 2)\n"
   "let y = a % b + a // b + b % 0.6 + 7 % b + [1, 2, 3, 4][argmax([a, b, 1])] * a + order([b, a])[0]\n"
   "observe y ~ normal(0, 9)\n y }"},
  {"sorted", "model m() { let a ~ iid(normal(0, 1), 5)\nlet s = sort([a[0], a[1], 0.1, a[2]], descending = true)\n"
   "observe s[0] - 2 * s[1] + s[3] * sort(a)[2] ~ normal(median(a), 0.1 + sd(a))\n"
   "observe 1 ~ normal(median(a[0..4]) + a[argmin(a)], variance(a))\n s }"},
  {"polygon", "model m() { let a ~ iid(normal(1, 2), 3)\nlet t = interp(a, [0, 1, 2.5], [1, 4, 2])\n"
   "observe sum(t) + interp(a[0], [-1, 2], [a[1], a[2]]) * interp(0.3, [0, 1, 2], a) ~ normal(0, 2)\n t }"},
  {"own", "distribution laplace2(m, b) { sample = () -> m\n logpdf = x -> -log(2 * b) - abs(x - m) / b\n support = real }\n"
   "model m() { let s ~ exponential(1)\nlet a ~ normal(0, 1)\nobserve 1.5 ~ laplace2(a, s)\n a }"},
  {"simplexes", "let ys = [2, 0, 1, 3, 1, 0, 2]\nmodel m() { let al ~ iid(gamma(2, 1), 3)\nlet p ~ dirichlet(al)\n"
   "let q ~ dirichlet([0.5, 1, 2, 4])\nlet c ~ ordered(iid(gamma(2, p[0]), 3))\nlet d ~ ordered(iid(normal(q[1], 2), 2))\n"
   "for y in ys { observe 0.4 * y ~ normal(p[0] * c[2] + p[1] * d[0] - q[3], 1) }\n p }"},
  {"factors", "model m() { let s ~ iid(half_normal(1), 3)\nlet l ~ lkj_corr_cholesky(3, 1.5)\n"
   "let lower = for i in 0..3 { for j in 0..3 { s[i] * l[i, j] } }\n"
   "let mu ~ iid(normal(0, 1), 3)\nlet r ~ lkj_corr(3, 2)\n"
   "for y in [[0.3, 0.2, -1], [1.0, -0.4, 0.3]] { observe y ~ multi_normal_cholesky(mu, lower) }\n"
   "observe [0.1, 0.2, 0.4] ~ multi_normal(mu, r)\n l }"},
  /* branches on parameters: few numbers, arrays, a loop with a carry, domains of the way that is not gone */
  {"branch", LONG "model m() { let tau ~ uniform(0, 300)\nlet a ~ normal(0, 1)\nlet b ~ normal(0, 1)\nlet s ~ exponential(1)\n"
   "for i in 0..300 { observe ys[i] ~ normal(if i < tau { a } else { b }, s) }; a }"},
  {"branch observes", LONG "model m() { let a ~ normal(0, 1)\nlet s ~ exponential(1)\n"
   "if a > 0.1 { for y in ys { observe y ~ normal(a, s) } } else { for y in ys { observe y ~ student_t(4, a, s + 0.3) } }; a }"},
  {"branch carry", LONG "model m() { let a ~ normal(0, 1)\nlet c ~ normal(0, 1)\nfor y in ys with h = 0.0 { "
   "let g = if h > c { a + 0.5 * h } else { 1 - 0.3 * h }\nobserve y ~ normal(g, 1)\nnext 0.5 * g + 0.2 * y } }"},
  {"branch domains", LONG "model m() { let a ~ normal(0, 1)\nlet b ~ normal(0, 1)\n"
   "for x in xs { if a > x { observe 0.3 ~ gamma(2 + a - x, exp(b)) } else { observe 0.6 ~ weibull(0.5 + x - a, log(2 + x - a)) } }; a }"},
};
#endif
