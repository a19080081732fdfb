/* test_net_train.c: training a net (infer/net/net_train.c): for given steps it is the same, to the bit, on any number of
   threads and through a file in the middle; it learns; what is not finite is skipped and then ends it, and the last
   good net stays; budgets of simulations; wrong options are refused. */
#include "infer/net/net_train.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

static const char coins[] =
  "model coin(flips) { let p ~ beta(2, 2); for f in flips { observe f ~ bernoulli(p) }; p }\n"
  "model coins() { let n ~ discrete_uniform(0, 8); coin(repeat(false, n)) }\n"
  "model halves(y) { let k ~ bernoulli(0.5); for i in 0..3 { observe y[i] ~ normal(if k { 2 } else { -2 }, 1) }; k }\n"
  "model wild(y) { let s ~ half_cauchy(1); let x ~ normal(0, exp(s)); observe y ~ normal(x, 1); x }\n";

static norn_state *state(int threads)
{
  norn_config c = norn_config_default();
  c.threads = threads;
  c.quiet = true;
  norn_state *st = norn_new(&c);
  if (!st || norn_eval(st, "coins", coins, sizeof coins - 1, NORN_LOAD_REPL, NULL)) exit(99);
  return st;
}

static norn_datum value(norn_state *st, const char *program)
{
  norn_datum v = norn_none();
  if (norn_eval(st, "value", program, strlen(program), NORN_LOAD_REPL, &v)) printf("%s\n", norn_error(st)->text);
  return v;
}

static bool spec_of(norn_state *st, const char *program, net_spec *out)
{
  return net_spec_read(st, value(st, program), out);
}

/* A training of `what` by a spec, begun; NULL: said why. */
static net_training *begin(norn_state *st, const char *what, const char *spec, int64_t steps, uint64_t seed)
{
  net_spec s;
  if (!spec_of(st, spec, &s)) return NULL;
  s.steps = steps;
  return net_training_new(st, value(st, what), &s, 0, seed);
}

static norn_step go(net_training *t, int64_t steps)
{
  norn_step s = NORN_STEP_MORE;
  for (int64_t i = 0; i < steps && s == NORN_STEP_MORE; i++) s = net_training_step(t);
  return s;
}

#define SMALL "npe(d = 16, layers = 1, batch = 32)"

/* The net after so many steps; its weights, (count) floats, malloc'ed. */
static float *weights(const net *n)
{
  float *w = malloc(n->params.count * sizeof *w);
  memcpy(w, n->params.w, n->params.count * sizeof *w);
  return w;
}

static net *trained(norn_state *st, const char *spec, int64_t steps, uint64_t seed)
{
  net_training *t = begin(st, "coins", spec, steps, seed);
  if (!t) printf("%s\n", norn_error(st)->text);
  if (!t) exit(1);
  CHECK(go(t, 1 << 20) == NORN_STEP_DONE);
  net *n = net_training_result(t);
  net_training_free(t);
  return n;
}

static void test_threads(const char *spec)
{
  float *w[3];
  size_t count = 0;
  static const int threads[] = { 1, 2, 8 };
  double held[3], score[3], marginal[3];
  for (int i = 0; i < 3; i++) {
    norn_state *st = state(threads[i]);
    net *n = trained(st, spec, 30, 7);
    count = n->params.count;
    w[i] = weights(n);
    held[i] = n->held_out;
    score[i] = n->spec.kind == NET_PFN ? n->kl : n->efficiency;
    marginal[i] = n->marginal;
    CHECK(n->step == 30 && n->runs >= 30 * 32 && isfinite(n->loss) && isfinite(n->held_out));
    net_free(n);
    norn_free(st);
  }
  for (int i = 1; i < 3; i++) {
    CHECK(memcmp(w[0], w[i], count * sizeof **w) == 0);
    CHECK(held[0] == held[i] && score[0] == score[i] && marginal[0] == marginal[i]);
  }
  CHECK(score[0] > 0 && score[0] < 1);
  for (int i = 0; i < 3; i++) free(w[i]);
}

/* Another seed makes another net; more steps a better one. */
static void test_learns(void)
{
  norn_state *st = state(0);
  net *few = trained(st, SMALL, 5, 1), *other = trained(st, SMALL, 5, 2), *many = trained(st, SMALL, 400, 1);
  CHECK(memcmp(few->params.w, other->params.w, few->params.count * sizeof(float)) != 0);
  if (!(many->held_out < few->held_out - .1)) printf("held out %g, %g\n", many->held_out, few->held_out);
  CHECK(many->held_out < few->held_out - .1);
  CHECK(fabs(many->loss - many->held_out) < .2);
  CHECK(many->efficiency > few->efficiency + .05 && many->efficiency < 1);
  CHECK(many->kl < few->kl - .05 && many->kl > 0);
  CHECK(few->marginal == many->marginal && many->held_out < many->marginal);
  CHECK_STR(many->model_name, "coins");
  net_free(few);
  net_free(other);
  net_free(many);
  norn_free(st);
}

static void test_resume(const char *spec)
{
  static const char file[] = "test_net_train.safetensors";
  norn_state *st = state(0);
  net_training *whole = begin(st, "coins", spec, 60, 3), *half = begin(st, "coins", spec, 60, 3);
  CHECK(whole && half);
  go(half, 23);
  CHECK(net_training_save(half, file) == NORN_OK);
  net_training_free(half);
  half = net_training_load(st, value(st, "coins"), file);
  if (!half) printf("%s\n", norn_error(st)->text);
  CHECK(half != NULL);
  if (half) {
    net_progress p, q;
    CHECK(go(whole, 1 << 20) == NORN_STEP_DONE && go(half, 1 << 20) == NORN_STEP_DONE);
    net *a = net_training_result(whole), *b = net_training_result(half);
    CHECK(memcmp(a->params.w, b->params.w, a->params.count * sizeof(float)) == 0);
    if (a->loss != b->loss) printf("%s: loss %a %a, held out %a %a, steps %d %d, runs %g %g\n", spec, a->loss, b->loss,
                                   a->held_out, b->held_out, (int)a->step, (int)b->step, a->runs, b->runs);
    CHECK(a->loss == b->loss && a->held_out == b->held_out && a->step == b->step && a->runs == b->runs);
    CHECK(a->marginal == b->marginal && (a->efficiency == b->efficiency || isnan(a->efficiency + b->efficiency)) &&
          (a->kl == b->kl || isnan(a->kl + b->kl)));
    if (whole->mine) CHECK(memcmp(whole->mean, half->mean, a->params.count * sizeof(float)) == 0);
    net_training_progress(whole, &p);
    net_training_progress(half, &q);
    CHECK(p.fraction == 1 && q.fraction == 1 && p.step == q.step && p.batch == q.batch);
    net_free(a);
    net_free(b);
  }
  net_training *other = net_training_load(st, value(st, "wild(0)"), file);
  CHECK(!other && strstr(norn_error(st)->text, "coins"));
  net_training_free(half);
  net_training_free(whole);
  remove(file);
  norn_free(st);
}

/* A file of another training than the one that is asked for is refused, with all that differs. */
static void test_another(void)
{
  static const char file[] = "test_net_train.another";
  static const struct { const char *rest, *said; } wrong[] = {
    { "npe(d = 8, layers = 1, batch = 32), steps = 20, seed = 3", "d is 16 there and 8 here" },
    { "npe(d = 16, layers = 2, batch = 64, rate = 0.004), steps = 20, seed = 3",
      "layers is 1 there and 2 here; batch is 32 there and 64 here" },
    { "npe(d = 16, layers = 1, batch = 32), steps = 21, seed = 3", "the length is 20 steps there and 21 steps here" },
    { "npe(d = 16, layers = 1, batch = 32), seconds = 2.5, seed = 3", "the length is 20 steps there and 2.5 seconds here" },
    { "npe(d = 16, layers = 1, batch = 32), steps = 20, seed = 4", "the seed is 3 there and 4 here" },
    { "npe(d = 16, layers = 1, batch = 32, activation = \"swiglu\"), steps = 20, seed = 3",
      "activation is gelu there and swiglu here" },
    { "npe(d = 16, layers = 1, batch = 32, inputs = [\"flips\"]), steps = 20, seed = 3",
      "inputs is [] there and [\"flips\"] here" },
    { "npe(d = 16, layers = 1, batch = 32, clip = 1.00000001), steps = 20, seed = 3",
      "clip is 1 there and 1.0000000099999999 here" },
    { "pfn(d = 16, layers = 1, batch = 32), steps = 20, seed = 3", "the kind is npe there and pfn here" },
    { "npe(d = 16, layers = 1, batch = 32), steps = 20, seed = 3", NULL },
    { "npe(d = 16, layers = 1, batch = 32), steps = 20", NULL }
  };
  norn_state *st = state(1);
  net_training *t = begin(st, "coins", SMALL, 20, 3);
  char program[300];
  go(t, 7);
  CHECK(net_training_save(t, file) == NORN_OK);
  for (size_t i = 0; i < NORN_COUNT(wrong); i++) {
    norn_datum v;
    snprintf(program, sizeof program, "info(train(coins, %s, checkpoint = \"%s\", resume = true)).steps", wrong[i].rest,
             file);
    norn_status s = norn_eval(st, "again", program, strlen(program), NORN_LOAD_REPL, &v);
    const char *says = norn_error(st)->text;
    bool right = wrong[i].said ? s && strstr(says, wrong[i].said) : !s && v.tag == NORN_INT && v.i == 20;
    if (!right) printf("%s: %s\n", wrong[i].rest, s ? says : "goes on");
    CHECK(right);
  }
  /* from C, only what is given counts */
  uint64_t seed = 4;
  norn_datum d = value(st, "npe(d = 16)"), size = value(st, "npe(size = \"medium\")");
  CHECK(!net_training_agrees(t, file, norn_none(), false, 0, 0, NULL));
  CHECK(!net_training_agrees(t, file, d, false, 0, 20, NULL));
  CHECK(net_training_agrees(t, file, size, false, 0, 20, NULL) && strstr(norn_error(st)->text, "bars is 64 there and 300"));
  CHECK(net_training_agrees(t, file, d, false, 0, 0, &seed) && strstr(norn_error(st)->text, "the seed is 3 there"));
  net_training_free(t);
  remove(file);
  norn_free(st);
}

/* A rate without measure: the first steps ruin the weights, all others are skipped. */
static void test_not_finite(void)
{
  norn_state *st = state(0);
  net_training *t = begin(st, "coins", "npe(d = 16, layers = 1, batch = 32, rate = 1e30, clip = 0, warm = 0)", 100, 4);
  net_progress p;
  CHECK(t && go(t, 1 << 20) == NORN_STEP_FAIL);
  if (!t) return;
  const char *said = norn_error(st)->text;
  CHECK(strstr(said, "training stopped at step") && strstr(said, "seed 4") && strstr(said, "runs "));
  net_training_progress(t, &p);
  CHECK(p.skipped >= 8 && p.step < 100);
  net *n = net_training_result(t);
  CHECK(n && n->step < p.step);
  for (size_t i = 0; n && i < n->params.count; i++)
    if (!(fabsf(n->params.w[i]) < 100)) { CHECK(!"the last good net"); break; }
  CHECK(net_training_step(t) == NORN_STEP_FAIL);
  if (n) net_free(n);
  net_training_free(t);
  norn_free(st);
}

static void test_budget(void)
{
  norn_state *st = state(0);
  net_training *t = begin(st, "coins", "npe(d = 16, layers = 1, batch = 32, simulations = 200, patience = 3)", 5000, 4);
  net_progress p;
  CHECK(t != NULL);
  if (!t) return;
  CHECK(go(t, 1 << 20) == NORN_STEP_DONE);
  net_training_progress(t, &p);
  CHECK(p.step < 5000);                /* it was stopped: nothing more is to be learnt from 180 runs */
  net *n = net_training_result(t);
  CHECK(n && n->runs == 180 && n->step <= p.step && isfinite(n->held_out));
  CHECK(isnan(n->efficiency) && isnan(n->kl));       /* a twentieth of the budget is no data set of 100 draws */
  if (n) net_free(n);
  net_training_free(t);
  norn_free(st);
}

/* Of a budget the net is a mean of the weights at the ends of rounds, round k with weight 7 / (k + 6) when it comes, and of
   these means the one that did best; whoever looks leaves what learns as it is. */
static void test_mean(void)
{
  norn_state *st = state(1);
  net_training *t = begin(st, "coins", "npe(d = 16, layers = 1, batch = 30, simulations = 200, patience = 1000)", 240, 4);
  CHECK(t != NULL);
  if (!t) return;
  size_t count = t->n->params.count;
  double *mean = calloc(count, sizeof *mean), *best = calloc(count, sizeof *best), least = INFINITY;
  for (int k = 1; k <= 40; k++) {                              /* 180 runs: six steps a round */
    CHECK(go(t, 6) == NORN_STEP_MORE && t->looks == k);
    for (size_t i = 0; i < count; i++) mean[i] += 7.0 / (k + 6) * ((double)t->n->params.w[i] - mean[i]);
    if (t->n->held_out < least) {
      least = t->n->held_out;
      memcpy(best, mean, count * sizeof *best);
    }
    if (k != 10) continue;
    float *now = weights(t->n);
    net *early = net_training_result(t);
    CHECK(early && early->held_out == least && !memcmp(now, t->n->params.w, count * sizeof *now));
    if (early) net_free(early);
    free(now);
  }
  CHECK(go(t, 1) == NORN_STEP_DONE && t->looks == 40);
  net *n = net_training_result(t);
  double off = 0;
  for (size_t i = 0; n && i < count; i++) off = fmax(off, fabs((double)n->params.w[i] - best[i]));
  CHECK(n && n->held_out == least && off < 1e-6);              /* floats of size 1, a sum of 40 */
  if (n) net_free(n);
  free(mean), free(best);
  net_training_free(t);
  norn_free(st);
}

/* While it learns the clock allows it; a program that can't be asked has none, and learns all the same. */
static void test_score(void)
{
  norn_state *st = state(1);
  net_training *t = begin(st, "coins", SMALL, 3000, 4);
  net_progress p = { .efficiency = NAN };
  while (t && isnan(p.efficiency) && net_training_step(t) == NORN_STEP_MORE) net_training_progress(t, &p);
  CHECK(t && p.efficiency > 0 && p.efficiency < 1 && isfinite(p.kl) && p.step < 3000);
  if (t) {
    norn_progress shown;
    net_progress_text(&p, &shown);
    CHECK(strstr(shown.state, "ESS ") != NULL);
  }
  net_training_free(t);
  static const char *const pfn = "pfn(d = 16, layers = 1, batch = 32)";
  t = begin(st, "halves([0.0, 0.0, 0.0])", pfn, 5, 4);
  CHECK(t && go(t, 1 << 20) == NORN_STEP_DONE);
  net *n = t ? net_training_result(t) : NULL;
  CHECK(n && isnan(n->kl) && isnan(n->efficiency) && isfinite(n->marginal));
  if (n) net_free(n);
  net_training_free(t);
  norn_free(st);
}

static void test_refused(void)
{
  static const char *const wrong[][2] = {
    { "npe(d = 30, heads = 4)", "multiple of its heads" }, { "npe(size = \"huge\")", "\"small\", \"medium\" or \"large\"" },
    { "npe(layers = 1000)", "layers of npe must be at most 96" }, { "npe(rate = -1)", "rate of npe must be positive" },
    { "pfn(subsets = 0.5)", "pfn always hides" }, { "npe(subsets = 2)", "from 0 to 1" },
    { "distribution_transformer(head = \"bars\")", "with mixtures, not with bars" },
    { "npe(inputs = 3)", "array of names" }, { "npe(simulations = 5)", "from 20" }, { "npe(bars = 2)", "at least 3" },
    { "npe(adapt = 1)", "true or false" }, { "smc()", "train wants npe(...)" }, { "3", "train wants npe(...)" }
  };
  norn_state *st = state(0);
  net_spec s;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    bool good = spec_of(st, wrong[i][0], &s);
    CHECK(!good && strstr(norn_error(st)->text, wrong[i][1]));
    if (good || !strstr(norn_error(st)->text, wrong[i][1])) printf("%s: %s\n", wrong[i][0], norn_error(st)->text);
  }
  CHECK(spec_of(st, "npe()", &s) && s.shape.d == 32 && s.shape.layers == 3 && s.bars == 64 && s.batch == 128);
  CHECK_NEAR(s.rate, .002, 1e-12);
  CHECK(spec_of(st, "pfn(size = \"medium\", batch = 16)", &s) && s.shape.d == 64 && s.bars == 300 && s.batch == 16);
  CHECK(spec_of(st, "npe()", &s) && strcmp(s.head, "mixture") == 0 && spec_of(st, "npe(bars = 100)", &s) &&
        strcmp(s.head, "bars") == 0 && s.bars == 100 && spec_of(st, "pfn()", &s) && strcmp(s.head, "auto") == 0);
  CHECK(spec_of(st, "distribution_transformer()", &s) && strcmp(s.head, "mixture") == 0 && s.components == 10);
  norn_free(st);
}

int main(void)
{
  test_refused();
  test_threads(SMALL);
  test_threads("pfn(d = 16, layers = 1, batch = 32)");
  test_threads("npe(d = 16, layers = 1, batch = 32, adapt = true, most_batch = 64)");
  test_learns();
  test_resume(SMALL);
  test_resume("npe(d = 16, layers = 1, batch = 32, simulations = 300)");
  test_resume("pfn(d = 16, layers = 1, batch = 32, adapt = true, most_batch = 64)");
  test_another();
  test_not_finite();
  test_budget();
  test_mean();
  test_score();
  return unit_end();
}
