/* lane_programs: programs that particles in lanes run as runs of their own do: test_lanes, and test_side, which has
   filters of several data side by side. */
#ifndef NORN_LANE_PROGRAMS_H
#define NORN_LANE_PROGRAMS_H

/* m(ys) is the program; ys: 12 observations.  few: at most that many lanes may go on alone, at
   N = 1000 (-1: any). */
static const struct { const char *name; int few; const char *text; } programs[] = {
  {"lgss", 0, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 0.5)\n"
   "observe y ~ normal(x2, 1)\n next x2 } }"},
  {"volatility", 0, "model m(ys) { for y in ys with h = -1.0 { let g ~ normal(-1 + 0.97 * (h + 1), 0.2)\n"
   "observe y ~ normal(0, exp(g / 2))\n next g } }"},
  {"parameters", 0, "model m(ys) { let phi ~ uniform(0, 1)\nlet s ~ exponential(1.0)\nlet idle ~ lognormal(0, 1)\n"
   "let x = for y in ys with x = 0 { let x2 ~ normal(phi * x, s)\nobserve y ~ student_t(3, x2, 1 + s^2)\n next x2 }\n"
   "{x: x, phi: phi, s: s, idle: idle} }"},
  {"rare jump", -1, "model m(ys) { for y in ys with x = 0.0 { let jump ~ bernoulli(0.1)\n"
   "let x2 ~ normal(0.9 * x, 0.5)\nlet x3 = if jump { let d ~ normal(0, 2)\n x2 + d } else { x2 }\n"
   "observe y ~ normal(x3, 1)\n next x3 } }"},
  {"geometric", -1, "fn geo(p) = if sample(bernoulli(p)) { 0 } else { 1 + geo(p) }\n"
   "model m(ys) { for y in ys with s = 0 { let k = geo(0.4)\nobserve y ~ normal(k + 0.1 * s, 1)\n next s + k } }"},
  {"model recursion", -1, "model geo(p) { let stop ~ bernoulli(p)\n if stop { 0 } else { let rest ~ geo(p)\n 1 + rest } }\n"
   "model m(ys) { let k ~ geo(0.5)\nfor y in ys { observe y ~ normal(k, 3) }\n k }"},
  {"kept", 0, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 0.5)\n"
   "observe y ~ normal(x2, 1)\n next x2 keep x2 } }"},
  {"history read", 0, "model m(ys) { let r = for y in ys with x = 0.0, xs = [] { let x2 ~ normal(0.9 * x, 0.5)\n"
   "observe y ~ normal(x2 + (if len(xs) > 3 { 0.1 * xs[len(xs) - 3] } else { 0 }), 1)\n next x2, push(xs, x2) }\n"
   "sum(r.xs) + r.xs[0] }"},
  {"kept by some", -1, "model m(ys) { let r = for y in ys with x = 0.0, xs = [] { let x2 ~ normal(0.9 * x, 0.5)\n"
   "let c ~ bernoulli(0.4)\nlet z = if c { let u ~ normal(0, 1)\n x2 + 0.1 * u } else { x2 }\n"
   "observe y ~ normal(z + (if len(xs) > 40 { 0.01 * xs[len(xs) - 35] } else { 0 }), 1)\n next z, push(xs, z) }\n"
   "{sum: sum(r.xs), first: r.xs[0], all: r.xs} }"},
  {"records", 0, "model m(ys) { for y in ys with s = {x: 0.0, n: 0, v: [0.0, 1.0]} { let a ~ normal(s.x + s.v[0], 1)\n"
   "let b ~ gamma(2, 1 + s.n)\nobserve y ~ normal(a + b, 1 + s.v[1])\n next {s with x: a / 2, n: s.n + 1, v: [b, abs(a)]} } }"},
  {"closures", 0, "model m(ys) { let a ~ normal(0, 1)\nlet f = x -> a * x + 1\n"
   "for y in ys with g = f { let b ~ normal(g(0.5), 1)\nobserve y ~ normal(g(b), 2)\nlet h = g\n next (x -> h(x) / 2 + b) }\n f(2) }"},
  {"closures made", 0, "fn go(ys, t, g) = if t == len(ys) { g(1) } else { let b ~ normal(g(0.5), 1)\n"
   "observe ys[t] ~ normal(g(b), 2)\n go(ys, t + 1, x -> 0.5 * x + b) }\nmodel m(ys) { go(ys, 0, x -> x) }"},
  {"lists", 0, "type List = Nil | Cons(head, tail)\nfn total(l) = match l { Nil -> 0.0, Cons(h, t) -> h + total(t) }\n"
   "fn go(ys, t, l) = if t == len(ys) { l } else { let x ~ normal(0.3 * total(l), 1)\n"
   "observe ys[t] ~ normal(x, 1)\n go(ys, t + 1, Cons(x, l)) }\nmodel m(ys) { total(go(ys, 0, Nil)) }"},
  {"variants", -1, "type Shape = Round(r) | Square(a) | Point\n"
   "model m(ys) { for y in ys with s = Point { let k ~ categorical([0.3, 0.5, 0.2])\nlet z ~ exponential(1.0)\n"
   "let c = match s { Round(r) -> r, Square(a) -> -a, Point -> 0.0 }\nobserve y ~ normal(c, 1 + k)\n"
   " next (if k == 0 { Round(z) } else if k == 1 { Square(z) } else { Point }) } }"},
  {"ends early", -1, "fn go(ys, t, x) = if t == len(ys) { x } else { let x2 ~ normal(0.9 * x, 1)\n"
   "observe ys[t] ~ normal(x2, 1)\n if x2 > 1.5 { [x2, t] } else { go(ys, t + 1, x2) } }\nmodel m(ys) { go(ys, 0, 0.0) }"},
  {"dead", -1, "model m(ys) { for y in ys with x = 0.0 { let u ~ uniform(-1, 1)\nlet x2 = x + u\ncondition(x2 > -1)\n"
   "observe y ~ uniform(x2 - 4, x2 + 4)\n next x2 } }"},
  {"dead parameters", -1, "model m(ys) { let s ~ normal(1, 1)\nfor y in ys { observe y ~ normal(0, s) }\n s }"},
  {"side dies", -1, "model m(ys) { for y in ys with x = 0.0 { let c ~ bernoulli(0.2)\nlet x2 ~ normal(x, 1)\n"
   "factor(if c { -inf } else if x2 > 1 { -1 } else { -y^2 })\n next x2 } }"},
  {"factors", 0, "model m(ys) { let a ~ normal(0, 1)\nlet k ~ poisson(3)\nfor y in ys { factor(-abs(y - a) - k)\n"
   "condition(a < 3) }\n [a, k] }"},
  {"integers", -1, "model m(ys) { for y in ys with n = 0, b = true { let k ~ poisson(2)\nlet i ~ categorical([0.2, 0.3, 0.5])\n"
   "let j ~ discrete_uniform(0, 2)\nlet n2 = n + k * 2 - i^2 + (n // 3) % 5\nlet w = [0.5, 1.5, 2.5][i]\n"
   "observe y ~ normal(w * n2 / 7 + max(i, j), 1 + 0.1 * i)\n next n2, not b and i == j or k >= 2 } }"},
  {"nested branches", -1, "fn side(x, c) = if c { if x > 0 { x + 1 } else { let z ~ normal(x, 1)\n z } } else { 0.5 * x }\n"
   "fn deep(x, c, d) { let a = side(x, c)\n let b = side(a, d)\n a + b }\n"
   "model m(ys) { for y in ys with x = 0.0 { let c ~ bernoulli(0.5)\nlet d ~ bernoulli(inv_logit(x))\n"
   "let x2 ~ normal(deep(x, c, d) / 3, 1)\nobserve y ~ normal(x2, 1)\n next x2 } }"},
  {"uneven", -1, "model m(ys) { for y in ys with x = 0.0 { let c ~ bernoulli(0.5)\nlet x2 ~ normal(x / 2, 1)\n"
   "if c { observe y ~ normal(x2, 1)\n observe y ~ normal(0, 3) } else { observe y ~ normal(0, 1) }\n next x2 } }"},
  {"typed", -1, "model m(ys) { for y in ys with x = 0.0 { let c ~ bernoulli(0.5)\nlet s = if c { 1.0 } else { 2.5 }\n"
   "let t = if c { 3 } else { 4 }\nobserve y ~ normal(x, s)\nlet v = s * s + 0.5 * s\nlet w = t * t - t\n"
   "let x2 ~ normal(x / 2, v / w)\n next x2 } }"},
  {"loops", -1, "model m(ys) { for y in ys { let n ~ poisson(1.5)\nlet s = sum(for i in 0..n { let z ~ normal(i, 1)\n z })\n"
   "observe y ~ normal(s, 2)\n n } }"},
  {"mem", -1, "model m(ys) { let f = mem(i -> sample(normal(0, 1)))\nfor y in ys with k = 0 { let j ~ categorical([0.5, 0.3, 0.2])\n"
   "observe y ~ normal(f(j) + f(3), 1)\n next j } }"},
  {"mem of data", 0, "model m(ys) { let f = mem(i -> sample(normal(0, 1)))\nfor t in 0..len(ys) { observe ys[t] ~ normal(f(t // 3), 1) }\n f(1) }"},
  {"distributions", 0, "model m(ys) { for y in ys with x = 0.0 { let d = normal(0.5 * x, 1)\nlet x2 ~ d\nfactor(logpdf(normal(0, 2), x2))\n"
   "observe y ~ d\n next x2 } }"},
  {"arrays", -1, "model m(ys) { let mu ~ iid(normal(0, 1), 3)\nfor y in ys { let k ~ categorical([0.2, 0.3, 0.5])\n"
   "observe y ~ normal(mu[k], 1) }\n mu * 2 }"},
  {"natives", 0, "model m(ys) { for y in ys with x = 0.0 { let a ~ normal(x, 1)\nlet b ~ normal(0, 1)\nlet v = [a, b, 0.5]\n"
   "observe y ~ normal(sum(v) + max(a, b) + mean(v), 1 + abs(tanh(floor(a))))\n next sort(v)[1] } }"},
  {"array arithmetic", 0, "model m(ys) { for y in ys with v = [0.0, 0.5] { let x ~ normal(v[0], 1)\nlet k ~ poisson(1)\n"
   "let a = [x, 0.5] * 2 - [1, x] / 3\nlet b = exp(-a^2) + k\nlet c = [k, 2] * [3, k]\n"
   "observe y ~ normal(sum(b) + sum(-a) + c[0] / (1 + c[1]), 1)\n next 0.3 * a + [0.0, v[1]] } }"},
  {"vectors", 0, "model m(ys) { for y in ys with v = [0.0, 0.5] { let x ~ normal(v, [1, 2])\nlet z ~ iid(normal(x[0], 1), 11)\n"
   "let c = [[1 + x[0]^2, x[1]], [x[1], 2 + x[1]^2]]\nlet w ~ multi_normal([z[3], 0], c)\n"
   "let f = cholesky(c + 0.5 * identity_matrix(2)) @ w\nlet g = solve_lower(cholesky(c), f)\n"
   "observe y ~ normal(f[0] + g[1] + x @ w + 0.1 * z[10], 1)\n next 0.3 * x } }"},
  {"vectors observed", 0, "model m(ys) { for y in ys with v = [0.0, 0.5] { let x ~ normal(v, [1, 2])\nlet c = [[1 + x[0]^2, x[1]], [x[1], 2 + x[1]^2]]\n"
   "observe [y, y + 1] ~ multi_normal(x, c)\nobserve [y, 0.5, -y] ~ normal([x[0], 1, x[1]], 2 + x[1]^2)\n"
   "let w ~ multi_normal_cholesky([0, x[1]], [[1, 0], [x[0], 2]])\nobserve w ~ multi_normal_cholesky(x, [[1, 0], [x[1], 2]])\n"
   "observe w ~ iid(student_t(3, x[1], 2), 2)\nobserve [1, 3] ~ poisson(1 + x^2)\nlet z ~ iid(gamma(2, 1 + w[0]^2), 9)\n"
   "observe [y for i in 0..9] ~ normal(z, 2)\nfactor(logpdf(multi_normal([y, 0], c), w) / 9)\n"
   "observe [true, false] ~ bernoulli([inv_logit(x[0]), 0.5])\n next 0.3 * x } }"},
  {"strings", -1, "model m(ys) { for y in ys with w = \"\" { let k ~ categorical([0.2, 0.3, 0.5])\nlet s = [\"a\", \"b\", \"c\"][k]\n"
   "observe y ~ normal(len(w) / 5, 1)\n next \"{w}{s}{k}\" } }"},
  {"proposals", -1, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 1) via normal(y, 1)\n"
   "observe y ~ normal(x2, 1)\n next x2 } }"},
  {"missing", -1, "model m(ys) { for t in 0..len(ys) with x = 0.0 { let x2 ~ normal(0.9 * x, 1)\n"
   "let y ~ normal(x2, 1)\nobserve (if t % 3 == 0 { missing } else { ys[t] }) ~ normal(x2, 1)\n next x2 } }"},
  {"given", -1, "model n(ys) { let p ~ beta(2, 2)\nfor y in ys { let k ~ bernoulli(p)\nobserve y ~ normal(if k { 1 } else { -1 }, 2) }\n p }\n"
   "fn m(ys) = given(n(ys), {p: 0.3})"},
  {"inference inside", -1, "model n(a) { let k ~ bernoulli(0.4)\nobserve a ~ normal(if k { 1 } else { 0 }, 1)\n k }\n"
   "model m(ys) { for t in 0..3 with x = 0.0 { let x2 ~ normal(x, 1)\nlet q = infer(n(x2), enumerate())\n"
   "observe ys[t] ~ normal(prob(q, k -> k), 1)\n next x2 } }"},
  {"annotated", -1, "fn f(x: real, n: int) -> real = x * n\nmodel m(ys) { for y in ys with x = 0.0 { let k ~ poisson(2)\nlet a ~ normal(x, 1)\n"
   "observe y ~ normal(f(a, 2) + f(a, k), 1)\n next a / 4 } }"},
  {"unbounded", -1, "fn f(x) = 1 + f(x + sample(normal(0, 1)))\nmodel m(ys) { let x ~ normal(0, 1)\n"
   "observe ys[0] ~ normal(if x > 2 { f(x) } else { x }, 1)\n x }"},
  {"unbounded in all", -1, "fn f(x) = 1 + f(x + sample(normal(0, 1)))\nmodel m(ys) { let x ~ normal(0, 1)\n"
   "observe ys[0] ~ normal(f(x), 1)\n x }"},
  {"index outside", -1, "model m(ys) { let k ~ poisson(1)\nfor y in ys { observe y ~ normal([1, 2, 3][k], 1) }\n k }"},
  {"overflow", -1, "model m(ys) { for y in ys with n = 1 { let k ~ poisson(1)\nobserve y ~ normal(k, 1)\n next (n + 4)^4 + k } }"},
  {"wrong kind", -1, "model m(ys) { let k ~ bernoulli(0.1)\nlet x ~ normal(0, 1)\nobserve ys[0] ~ normal(x + (if k { \"a\" } else { 1 }), 1)\n x }"},
  {"no case", -1, "model m(ys) { let k ~ categorical([0.5, 0.4, 0.1])\nlet x = match k { 0 -> 1.0, 1 -> 2.0 }\n"
   "observe ys[0] ~ normal(x, 1)\n x }"},
  {"bad parameter", -1, "model m(ys) { observe ys[0] ~ normal(0, -1)\n 1 }"},
  {"taken twice", -1, "model m(ys) { let x ~ normal(0, 1) as \"a\"\nlet z ~ normal(0, 1) as \"a\"\nobserve ys[0] ~ normal(x, 1)\n z }"},
  {"select", 0, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 0.8)\nlet k ~ poisson(1)\n"
   "let a = if x2 > 0 { x2 } else { 0.3 * x2 + 0.1 }\n"
   "let b = if a > 1 and x2 < 1.5 { a + 1 } else if a < -1 or k == 2 { -a } else { max(a, 0.5) }\n"
   "let c = if k > 1 { k - 1 } else { 2 * k }\nlet d = k == 0 or b > 0.7\n"
   "let e = if d { if a < 0.2 { sqrt(abs(b)) } else { exp(-a) } } else { b^2 }\n"
   "let f = if not d { 1.5 } else { 2.0 }\nlet g = if x2 > 0.25 { true } else { d }\n"
   "observe y ~ normal(b / 3 + e / 5 + c, 1)\nfactor(if g { -0.1 } else { -0.2 })\n next 0.3 * (a + b) / f } }"},
  {"select returns", 0, "fn relu(x) = if x > 0 { x } else { 0.1 * x }\n"
   "fn three(x) = if x > 1 { 1.0 } else if x < -1 { -1.0 } else { x * x }\n"
   "fn typed(c) = if c { 1.0 } else { 2.5 }\n"
   "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(x, 1)\nlet c ~ bernoulli(0.4)\n"
   "observe y ~ normal(relu(x2) + three(x2) + (if c { relu(-x2) } else { 0.0 }), typed(c) * typed(not c))\n"
   " next three(x2) } }"},
  {"select elements", 0, "model m(ys) { let w = [0.5, 1.5, 2.5]\nfor y in ys with x = 0.0, v = [0.0, 0.5] {\n"
   "let i ~ discrete_uniform(0, 6)\nlet x2 ~ normal(x, 1)\nlet s = {a: x2, b: 0.5}\n"
   "let a = if i > 2 { if i < 5 { s.b } else { 0.25 } } else { w[i] + s.a }\n"
   "let b = if i > 0 { 6 / i } else { 0.75 }\nlet c = if i > 1 { 7 % i } else { len(w) }\n"
   "let z = if c > 1 { v[0] } else { v[1] }\n"
   "observe y ~ normal(a + z, 1 + b)\n next x2 / 3, [c * 0.2, x2] } }"},
  {"select draws", 0, "model m(ys) { for y in ys with x = 0.0 { let jump ~ bernoulli(0.1)\nlet x2 ~ normal(0.9 * x, 0.5)\n"
   "let x3 = if jump { let far ~ normal(x2, 2)\n far } else { x2 }\n"
   "let x4 = if x3 > 0 { let d ~ exponential(2)\n x3 + d } else if x3 < -1 { let d ~ normal(0, 1)\n d } else { x3 }\n"
   "observe y ~ normal(x4, 1)\n next x4 } }"},
  {"select of two kinds", -1, "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(x, 1)\nlet z = if x2 > 0 { x2 } else { 0 }\n"
   "observe y ~ normal(z, 1)\n next z } }"},
  {"select of what fails", -1, "model m(ys) { for y in ys with x = 0.0, n = 1 { let x2 ~ normal(x, 1)\nlet k ~ poisson(1)\n"
   "let z = if x2 > 0 { let d ~ normal(0, x2)\n d } else { -0.5 }\n"
   "let n2 = if n < 1000000 { (n + k) * (n + 1) * (n + 2) } else { 1 }\n"
   "observe y ~ normal(z + [1, 2, 3][(if k > 4 { 7 } else { k // 2 })], 1)\n next z, n2 } }"},
  {"select, taken twice", -1, "model m(ys) { let c ~ bernoulli(0.5)\nlet x = if c { let a ~ normal(0, 1)\n a } else { let a ~ normal(1, 1)\n a }\n"
   "let z = if x > -9 { let b ~ normal(x, 1) as \"a\"\n b } else { 0.0 }\nobserve ys[0] ~ normal(z, 1)\n z }"},
  {"own distribution", -1, "distribution shifted(a) {\n sample = () -> { let u ~ uniform(0, 1)\n a + u }\n"
   " logpdf = x -> if x >= a and x <= a + 1 { 0 } else { -inf }\n support = real\n}\n"
   "model m(ys) { for y in ys with x = 0.0 { let z ~ shifted(x / 2)\nobserve y ~ normal(z, 1)\n next z } }"},
};

enum { LANE_PROGRAMS = sizeof programs / sizeof *programs };
#endif
