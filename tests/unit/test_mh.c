/* test_mh.c: detailed balance of transitions on traces, on programs with few states.

   Every state x of a program is found by drawing; its target is the product of the densities of its
   choices times the weight of its observations to the power beta.  From each state a transition is made
   many times: the flows pi(x) P(x, x') and pi(x') P(x', x) must be equal, for each pair, within the
   error of their counts.  So a bias is found where it stems from, however small its effect on means.

   And transitions on a recorded trace against those by runs, step by step: values, densities, weights
   and what the program returns must be the same but for the rounding of sums. */
#include "unit.h"
#include "infer/infer.h"
#include "infer/chains/mh.h"
#include <stdlib.h>

enum { STATES = 64, TIMES = 3000, DRAWS = 30000 };

typedef struct state { uint64_t id; trace t; double pi; } state;
typedef struct chain {
  norn_state *st;
  norn_infer *inf;
  kernel *k;
  target g;
  state s[STATES]; int n;
  const trace *from;
  double count[STATES][STATES], moved;
} chain;

static uint64_t id_of(const trace *t)
{
  uint64_t h = 1;
  for (size_t i = 0; i < t->n; i++) h = hash_mix(h + t->c[i].addr * 3 + norn_hash(trace_value(&t->c[i])));
  return h;
}

static norn_datum value_in(void *user, const norn_event *ev)
{
  const chain *c = user;
  const trace_choice *x = trace_find(c->from, ev->addr);
  return x ? trace_value(x) : norn_none();
}

static bool start(chain *c, trace *t, const trace *from)
{
  execution x;
  c->from = from;
  bool good = execution_start(&x, c->inf, &c->g, t, from ? value_in : NULL, c) &&
    execution_step(&x) == NORN_STEP_DONE;
  bool alive = !x.dead;
  execution_end(&x);
  if (!good) fprintf(stderr, "%s\n", norn_error(c->st)->text);
  return good && alive;
}

static int find(const chain *c, const trace *t)
{
  uint64_t id = id_of(t);
  for (int i = 0; i < c->n; i++) if (c->s[i].id == id) return i;
  return -1;
}

static void states_find(chain *c)
{
  trace t = {0};
  for (uint32_t i = 0; i < DRAWS; i++) {
    c->g.iter = i;
    if (!start(c, &t, NULL) || find(c, &t) >= 0 || c->n == STATES) continue;
    state *s = &c->s[c->n++];
    start(c, &s->t, &t);
    s->id = id_of(&t);
    for (size_t k = 0; k < t.n; k++) s->pi += t.c[k].logp;
    s->pi = exp(s->pi + c->g.beta * t.logw);
  }
  trace_free(c->st, &t);
}

/* The flow between two states, or between those with n and those with m choices, both ways. */
typedef struct flow { double diff, var; } flow;
static void flow_add(const chain *c, int i, int j, flow *f)
{
  double p = c->count[i][j] / TIMES, q = c->count[j][i] / TIMES, a = c->s[i].pi, b = c->s[j].pi;
  f->diff += a * p - b * q;
  f->var += (a * a * (p * (1 - p) + 1. / TIMES) + b * b * (q * (1 - q) + 1. / TIMES)) / TIMES;
}

static bool balanced(const chain *c, const char *name)
{
  enum { MOST = 10 };
  double worst = 0;
  flow all[MOST][MOST] = {{{0, 0}}};
  for (int i = 0; i < c->n; i++)
    for (int j = 0; j < c->n; j++) {
      flow one = {0, 0};
      flow_add(c, i, j, &one);
      if (i != j) worst = fmax(worst, fabs(one.diff) / sqrt(one.var));
      if (c->s[i].t.n != c->s[j].t.n) flow_add(c, i, j, &all[c->s[i].t.n][c->s[j].t.n]);
    }
  for (int i = 0; i < MOST * MOST; i++)
    if (all[i / MOST][i % MOST].var > 0) worst = fmax(worst, fabs(all[i / MOST][i % MOST].diff) / sqrt(all[i / MOST][i % MOST].var));
  if (worst > 5 || !c->moved) fprintf(stderr, "%s: %d states, z = %.3g\n", name, c->n, worst);
  return worst <= 5 && c->moved;
}

/* Expressions with `m` a model value and `e` an engine, in a program. */
static void check(norn_state *st, const char *lines, target g, int states)
{
  norn_datum out;
  chain *c = calloc(1, sizeof *c);
  trace t = {0};
  CHECK(!norn_eval(st, "mh", lines, strlen(lines), NORN_LOAD_REPL, &out));
  c->st = st;
  c->inf = infer_make(st, norn_global(st, "m"), norn_global(st, "e"), 77);
  c->g = g;
  c->g.stream = 5;
  c->k = kernel_new(c->inf, norn_global(st, "e"), "a test");
  CHECK(c->k);
  states_find(c);
  CHECK(c->n == states);
  if (c->n != states) c->n = 0;
  for (int i = 0; c->k && i < c->n; i++)
    for (uint32_t k = 0; k < TIMES; k++) {
      c->g.lane = (uint32_t)i;
      c->g.iter = k;
      start(c, &t, &c->s[i].t);
      norn_step s = kernel_step(c->k, &c->g, &t);
      if (s != NORN_STEP_DONE) { CHECK(!"step"); break; }
      int to = find(c, &t);
      if (to < 0) { CHECK(!"known state"); break; }
      c->count[i][to]++;
      c->moved += to != i;
    }
  CHECK(balanced(c, lines));
  trace_free(st, &t);
  for (int i = 0; i < c->n; i++) trace_free(st, &c->s[i].t);
  kernel_free(c->k);
  norn_infer_free(c->inf);
  free(c);
}

static bool only_x(void *user, uint64_t addr)
{
  char name[100];
  return *norn_addr_name(user, addr, name, sizeof name) == 'x';
}

#define JUMP "model jump() { let k ~ uniform_of([1, 2, 3])\n" \
  "let xs = for i in 0..k { let x ~ bernoulli(0.3 + 0.1 * k); x }\n" \
  "let z ~ bernoulli(if xs[0] { 0.2 } else { 0.7 }) via bernoulli(0.4)\n" \
  "observe 1 ~ normal(k + real(len([v for v in xs if v])), 1.5)\n" \
  "let w ~ bernoulli(if z { 0.9 } else { 0.3 })\n" \
  "factor(if w and k > 1 { 0.5 } else { -0.2 })\n 0 }\nlet m = jump()\n"
#define TWO "model two() { let a ~ categorical([0.2, 0.3, 0.5])\nlet b ~ bernoulli(0.2 + 0.3 * a)\n" \
  "let c ~ bernoulli(if b { 0.7 } else { 0.4 }) via bernoulli(0.5)\n" \
  "observe 1 ~ normal(a + (if c { 1 } else { 0 }), 1)\n 0 }\nlet m = two()\n"

/* ---- on a graph, and by runs ---- */

static bool near(norn_state *st, norn_datum a, norn_datum b)
{
  double x, y;
  int n = norn_record_size(a);
  if (norn_as_real(a, &x) && norn_as_real(b, &y))
    return a.tag == b.tag && (x == y || fabs(x - y) <= 1e-8 * (1 + fabs(x)));
  if (n != norn_record_size(b) || norn_array_length(a) != norn_array_length(b)) return false;
  for (int i = 0; i < n; i++)
    if (!near(st, norn_record_view(a, &n)[i], norn_record_view(b, &n)[i])) return false;
  for (int64_t i = 0; i < norn_array_length(a); i++)
    if (!near(st, norn_array_at(st, a, i), norn_array_at(st, b, i))) return false;
  return n >= 0 || norn_array_length(a) >= 0 || norn_equal(a, b);
}

static bool same_traces(norn_state *st, const trace *a, const trace *b)
{
  bool same = a->n == b->n && fabs(a->logw - b->logw) <= 1e-8 * (1 + fabs(a->logw)) &&
    near(st, trace_result(a), trace_result(b));
  for (size_t i = 0; same && i < a->n; i++) {
    const trace_choice *c = &a->c[i], *d = &b->c[i];
    same = c->addr == d->addr && c->row == d->row && near(st, trace_value(c), trace_value(d)) &&
      fabs(c->logp - d->logp) <= 1e-8 * (1 + fabs(c->logp));
  }
  return same;
}

/* `share`: of the transitions that are made on the graph, at least. */
static void equal(norn_state *st, const char *model, const char *options, double share)
{
  enum { STEPS = 1500 };
  char program_text[2000];
  norn_datum out;
  trace t[2] = {{0}, {0}};
  kernel *k[2];
  chain c = {.st = st, .g = {.barriers = SIZE_MAX, .beta = 1, .stream = 5}};
  for (int i = 0; i < 2; i++) {
    snprintf(program_text, sizeof program_text, "%s\nlet e%d = mh(%s%s%s)", model, i, options,
             i && *options ? ", " : "", i ? "incremental = false" : "");
    CHECK(!norn_eval(st, "mh", program_text, strlen(program_text), NORN_LOAD_REPL, &out));
  }
  c.inf = infer_make(st, norn_global(st, "m"), norn_global(st, "e0"), 77);
  k[0] = kernel_new(c.inf, norn_global(st, "e0"), "a test");
  k[1] = kernel_new(c.inf, norn_global(st, "e1"), "a test");
  for (c.g.iter = 0; !start(&c, &t[0], NULL) && c.g.iter < 100; c.g.iter++) {}
  CHECK(start(&c, &t[1], NULL));
  int bad = 0;
  for (int i = 0; i < STEPS && !bad; i++) {
    c.g.iter = (uint32_t)(1000 + i);
    ((mh_kernel *)k[0]->self)->graph.wait = 0;         /* whether it pays or not */
    for (int j = 0; j < 2; j++) {
      k[j]->adapts = i < STEPS / 2;
      if (kernel_step(k[j], &c.g, &t[j]) != NORN_STEP_DONE) bad = i + 1;
    }
    if (!bad && !same_traces(st, &t[0], &t[1])) bad = i + 1;
  }
  const mh_graph *g = &((const mh_kernel *)k[0]->self)->graph;
  if (bad) fprintf(stderr, "%s, mh(%s): step %d differs: %s\n", model, options, bad, norn_error(st)->text);
  if (g->steps < share * STEPS)
    fprintf(stderr, "%s: %d of %d on %d graphs%s: %s\n", model, (int)g->steps, STEPS, (int)g->recorded,
            g->off ? ", off" : "", g->why);
  CHECK(!bad);
  CHECK(g->steps >= share * STEPS);
  CHECK(k[0]->accepted == k[1]->accepted && k[0]->accepted > 0);
  for (int j = 0; j < 2; j++) {
    kernel_free(k[j]);
    trace_free(st, &t[j]);
  }
  norn_infer_free(c.inf);
}

static void test_graph(norn_state *st)
{
  static const struct { const char *model; double share; } models[] = {
    {"model bb() { let p ~ beta(1, 1); for i in 0..100 { observe (if i % 3 == 0 { 1 } else { 0 }) ~ bernoulli(p) }; p }\n"
     "let m = bb()", .9},
    {"model chain() { let x = for t in 0..40 with x = 0.0 { let y ~ normal(0.9 * x, 1)\n"
     "observe real(t % 5) ~ normal(y, 0.5)\n next y keep y }\n { last: x.x, all: x.kept } }\nlet m = chain()", .9},
    {"model hier() { let mu ~ normal(0, 5)\nlet tau ~ gamma(2, 1)\n"
     "let th = for i in 0..20 { let z ~ normal(0, 1)\nobserve real(i) ~ normal(mu + tau * z, 1)\n mu + tau * z }\n"
     "{ mu: mu, tau: tau, th: th } }\nlet m = hier()", .9},
    /* a count as a parameter, and one that a branch looks at */
    {"model counts() { let n ~ poisson(3); observe 4.2 ~ normal(n, 1); let k ~ bernoulli(0.3)\n"
     "observe 1 ~ normal(if k { 1 } else { 0 }, 1); { n: n, k: k } }\nlet m = counts()", .1},
    /* supports that move: by the way of densities that change, and that do not */
    {"model wedge() { let a ~ normal(0, 1); let t ~ uniform(0, 1); let x ~ uniform(0, t); factor(log(x))\n"
     "observe 1 ~ normal(a, 1); t + a }\nlet m = wedge()", .02},
    {"model shift() { let a ~ normal(0, 1); let x ~ uniform(a, a + 1); observe 0.7 ~ normal(x, 0.3)\n"
     "{ a: a, x: x } }\nlet m = shift()", .02},
    {"model either() { let b ~ bernoulli(0.5); let c ~ normal(0, 1)\n"
     "if b { let x ~ normal(c, 1); observe 2 ~ normal(x, 1) } else { let x ~ uniform(0, 1); observe 2 ~ normal(x, 1) }\n"
     "b }\nlet m = either()", .05},
    {"model guard() { let a ~ normal(0, 1); let b ~ normal(0, 1); let c ~ normal(0, 1)\n"
     "observe 1 ~ normal(if a > b { a } else { b * 2 }, 0.5); condition(a > -2); observe c ~ normal(0, 1)\n"
     "{ a: a, b: b } }\nlet m = guard()", .1},
    {"model sums() { let xs = for i in 0..20 { let x ~ normal(0, 1); x }; observe 5 ~ normal(sum(xs), 1)\n"
     "let s = for x in xs with s = 0.0 { next s + exp(x) }; observe 30 ~ normal(s, 5)\n { s: s, y: sum(xs) } }\n"
     "let m = sums()", .9},
    {"model vec() { let a ~ normal(0, 1); let v ~ normal(a, [1.0, 2.0, 3.0]); observe [1.0, 2, 3] ~ normal(v, 1)\n"
     "let w ~ multi_normal([a, a], [[1.0, 0.5], [0.5, 1.0]]); { a: a, v: v, w: w } }\nlet m = vec()", .9},
    {"model shape() { let p ~ dirichlet([1.0, 2, 3]); let a ~ normal(p[0], 1); observe 1 ~ normal(a, 1)\n"
     "observe [1, 2, 0] ~ multinomial(3, p); { p: p, a: a } }\nlet m = shape()", .9},
    {"model binom() { let n ~ poisson(10); let p ~ beta(2, 2); let k ~ binomial(n, p); let q ~ beta(2, 3)\n"
     "let j ~ binomial(12, q); observe 5 ~ poisson(j); observe 4 ~ poisson(k + 0.5)\n { n: n, p: p, k: k, j: j } }\n"
     "let m = binom()", .02},
    {"model edge() { let s ~ gamma(2, 1); let x ~ normal(0, s); observe 1 ~ normal(x, 1)\n"
     "let y ~ exponential(1); condition(y < 3); observe 0.5 ~ uniform(0, y); { s: s, x: x, y: y } }\nlet m = edge()", .5},
    {"model line() { let b = for i in 0..3 { let b ~ normal(0, 2); b }\n"
     "let x = [[1.0, 0.2, 3], [0.1, 1, 2], [1, 2, 0.5], [2, 1, 1], [0.3, 0.1, 1], [1, 1, 1]]\n"
     "observe [1.0, 2, 0, 1, 3, 2] ~ normal(x @ b, 1); b }\nlet m = line()", .9},
    /* vectors whose supports move, and a table */
    {"model room() { let t ~ uniform(1, 2); let u ~ uniform(0, [t, 2 * t]); let v ~ iid(exponential(t), 3)\n"
     "let x ~ normal([[0.0, t], [1, 2]], 1); observe 2 ~ normal(sum(u) + x[1, 0] * v[2], 1); { t: t, u: u, x: x } }\n"
     "let m = room()", .3},
    {"model mass() { let w = for i in 0..3 { let g ~ gamma(1, 1); g }; let s = sum(w)\n"
     "for k in [0, 1, 1, 2, 2, 2] { observe k ~ categorical([v / s for v in w]) }; w }\nlet m = mass()", .9},
  };
  for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
    equal(st, models[i].model, "", models[i].share);
    equal(st, models[i].model, "drift = 0.5", 0);
    equal(st, models[i].model, "block = [\"*[1]\", \"*\"], steps = 2", 0);
  }
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  target all = {.barriers = SIZE_MAX, .beta = 1}, first = all, warm = all, part = all, cold = all;
  CHECK(st);
  if (!st) return unit_end();
  first.barriers = 1;
  warm.beta = 0.4;
  part.movable = only_x;
  part.user = st;
  cold.beta = 0.3;
  cold.barriers = 1;
  check(st, JUMP "let e = mh()", all, 56);
  check(st, JUMP "let e = mh(steps = 2)", warm, 56);
  check(st, JUMP "let e = mh()", first, 28);             /* without w */
  check(st, JUMP "let e = mh()", cold, 28);
  check(st, JUMP "let e = mh()", part, 56);
  check(st, JUMP "let e = mh(on = [\"k\", \"z\"])", all, 56);
  check(st, JUMP "let e = mh(block = [\"k\", \"x*\"])", all, 56);
  check(st, JUMP "let e = mh(block = [\"xs*\", \"z\"], on = [\"xs*\", \"z\", \"w\"])", warm, 56);
  check(st, TWO "let e = mh(block = [\"a\", \"c\"])", all, 12);
  check(st, TWO "model q(t) { let a ~ categorical(if t.a == 0 { [0.1, 0.5, 0.4] } else { [0.6, 0.2, 0.2] })\n"
                "let c ~ bernoulli(if t.c { 0.8 } else { 0.3 }) }\n"
                "let e = mh(proposal = t -> q(t))", all, 12);
  /* k and what hangs on it: values that are kept, that are new, and that cease */
  check(st, JUMP "model q(t) { let k ~ uniform_of([1, 2, 3])\n"
                 "let xs = for i in 0..(if k == 3 { 2 } else { 1 }) { let x ~ bernoulli(if t.k == 1 { 0.3 } else "
                 "{ 0.6 }); x } }\n"
                 "let e = mh(proposal = t -> q(t), on = [\"k\", \"xs*\"])", all, 56);
  /* what a proposal gives may differ from what its way back gives */
  check(st, TWO "model q(t) { let a ~ categorical([0.3, 0.3, 0.4])\n"
                "if a == 1 { let b ~ bernoulli(0.6)\n 0 } else { 0 } }\nlet e = mh(proposal = t -> q(t))", warm, 12);
  test_graph(st);
  norn_free(st);
  return unit_end();
}
