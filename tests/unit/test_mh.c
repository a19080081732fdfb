/* test_mh.c: detailed balance of transitions on traces, on programs with few states.

   Every state x of a program is found by drawing; its target is the product of the densities of its
   choices times the weight of its observations to the power beta.  From each state a transition is made
   many times: the flows pi(x) P(x, x') and pi(x') P(x', x) must be equal, for each pair, within the
   error of their counts.  So a bias is found where it stems from, however small its effect on means. */
#include "unit.h"
#include "infer/infer.h"
#include "infer/kernel.h"
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
static void check(norn_state *st, const char *program, target g, int states)
{
  norn_datum out;
  chain *c = calloc(1, sizeof *c);
  trace t = {0};
  CHECK(!norn_eval(st, "mh", program, strlen(program), NORN_LOAD_REPL, &out));
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
  CHECK(balanced(c, program));
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
  norn_free(st);
  return unit_end();
}
