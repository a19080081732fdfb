/* test_pmmh_lanes.c: pmmh with particles in lanes gives the values and the choices of pmmh with a run for each, to the
   bit: over programs that lanes do (lane_programs.h) and parameters in all places; with one thread and several, and
   when every safepoint collects. */
#include "threads.h"
#include "lane_programs.h"

enum { TEXT = 6000 };

/* What a text with model m and data gives under an engine: hashes and the error; *how: info(p).executor. */
static void result(const char *model, const char *ys, const char *engine, int threads, bool stress, char *out,
                   char *how)
{
  char error[1500] = "", program[TEXT];
  printed p = {NULL, 0, 0};
  norn_posterior post;
  norn_datum answer;
  norn_state *st = state_new(&p, threads, stress);
  snprintf(program, sizeof program, "%s\nlet p = infer(m(%s), %s)\n[p, info(p).executor, info(p).acceptance]", model, ys,
           engine);
  *how = 0;
  if (norn_eval(st, "program", program, strlen(program), 0, &answer)) {
    norn_error_text(st, norn_error(st), error, sizeof error);
    char *hint = strstr(error, "\n");                /* the text of the program is another */
    if (hint) *hint = 0;
    snprintf(out, TEXT, "%s", error);
  } else {
    norn_ref *all = norn_keep(st, answer);
    const char *word = norn_string_view(norn_array_at(st, norn_get(all), 1), NULL);
    snprintf(how, 40, "%s", word ? word : "");
    CHECK(norn_posterior_view(st, norn_array_at(st, norn_get(all), 0), &post));
    snprintf(out, TEXT, "%016llx %016llx %016llx", (unsigned long long)norn_hash(post.values),
             (unsigned long long)norn_hash(post.choices),
             (unsigned long long)norn_hash(norn_array_at(st, norn_get(all), 2)));
    norn_drop(all);
  }
  CHECK(!st->asked);
  norn_free(st);
  free(p.s);
}

typedef struct given { int particles, draws, chains; const char *on; } given;

static void compare(const char *name, const char *model, const char *ys, given g, bool stress, const char *expected)
{
  static const char *const executors[] = {"scalar", "lanes", "auto"};
  char engine[300], on[100] = "", out[2][TEXT] = {"", ""}, how[40];
  if (g.on) snprintf(on, sizeof on, ", on = \"%s\"", g.on);
  for (int k = 0; k < 3; k++)
    for (int threads = 1; threads < (stress ? 2 : 4); threads += 2) {
      if (k == 0 && threads > 1) continue;
      snprintf(engine, sizeof engine, "pmmh(particles = %d, draws = %d, burn = %d, chains = %d%s, executor = \"%s\")",
               g.particles, g.draws, g.draws / 2, g.chains, on, executors[k]);
      result(model, ys, engine, threads, stress, out[k > 0], how);
      if (k == 0) continue;
      CHECK_STR(out[1], out[0]);
      if (strcmp(out[1], out[0])) fprintf(stderr, "  in %s, %s, %d threads\n", name, executors[k], threads);
      if (expected) CHECK_STR(how, expected);
      if (expected && strcmp(how, expected)) fprintf(stderr, "  in %s\n", name);
    }
}

#define YS "[0.3, -0.5, 1.2, 0.1, -1.4, 0.8, 0.2, 1.9, -0.7, 0.4, 1.1, -0.2]"

/* The data, moved by a parameter: what lanes and what runs alone do between. */
static void test_programs(void)
{
  char model[TEXT];
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
    const char *t = programs[i].text;
    const char *m = strstr(t, "model m(") ? strstr(t, "model m(") + 6 : strstr(t, "fn m(") + 3;
    snprintf(model, sizeof model, "%.*sinner%s\nmodel m(ys) { let theta ~ normal(0, 0.5)\nlet r ~ inner([y + theta for y in ys])\n r }",
             (int)(m - t), t, m + 1);
    compare(programs[i].name, model, YS, (given){40, 12, 2, "theta"}, false, NULL);
  }
}

static const struct { const char *name, *on, *executor, *text; } places[] = {
  {"before all", NULL, "lanes", "model m(ys) { let a ~ uniform(-1, 1)\nlet s ~ exponential(1)\n"
   "for y in ys with x = 0.0 { let z ~ normal(a * x, s)\nobserve y ~ normal(z, 1)\n next z } }"},
  {"after states", "a*", "lanes", "model m(ys) { let x0 ~ normal(0, 1)\nlet a ~ uniform(-1, 1)\nlet a_s ~ exponential(1 + abs(a))\n"
   "for y in ys with x = x0 { let z ~ normal(a * x, a_s)\nobserve y ~ normal(z, 1)\n next z }\n [x0, a] }"},
  {"in the middle", "a*", "lanes", "model m(ys) { for t in 0..len(ys) with x = 0.0, c = 1.0 { let z ~ normal(x / 2, c)\n"
   "let d = if t == 4 { let a ~ gamma(2, 2)\n a } else { c }\nobserve ys[t] ~ normal(z, 1)\n next z, d } }"},
  {"of all kinds", "a*", "lanes", "model m(ys) { let a_k ~ bernoulli(0.4)\nlet a_v ~ iid(normal(0, 1), 2)\n"
   "let a_d ~ dirichlet([1, 2, 1])\nlet a_m ~ multi_normal([0, 0], [[1, 0.5], [0.5, 1]])\nlet a_i ~ poisson(2)\n"
   "for y in ys with x = 0.0 { let z ~ normal(a_v[0] * x + a_m[1] + a_d[2], if a_k { 1 } else { 2 })\n"
   "observe y ~ normal(z, 1 + a_i + a_v[1]^2)\n next z / 2 } }"},
  {"with proposals", "a*", NULL, "model m(ys) { let a ~ normal(0, 1) via normal(3, 1)\n"
   "for y in ys with x = a { let z ~ normal(x / 2, 1) via normal(y, 2)\nobserve y ~ normal(z, 1)\n next z } }"},
  {"out of their domain", "a*", NULL, "model m(ys) { let a ~ normal(0.5, 1)\nlet a_b ~ normal(0, a)\n"
   "for y in ys with x = a_b { let z ~ normal(x / 2, a)\nobserve y ~ normal(z, 1)\n next z } }"},
  {"of a state", "a*", "lanes, then scalar", "model m(ys) { let x0 ~ normal(0, 1)\nlet a ~ normal(x0, 1)\n"
   "for y in ys with x = x0 { let z ~ normal(x / 2 + a, 1)\nobserve y ~ normal(z, 1)\n next z } }"},
  {"on two ways", "a*", NULL, "model m(ys) { for y in ys with x = 0.0, c = false { let d ~ bernoulli(0.5)\n"
   "let z ~ normal(x / 2, 1)\nobserve y ~ normal(z, 1)\n next z, d }\n"
   "let u ~ normal(0, 1)\nlet w = if u > 0 { let a ~ normal(0, 1)\n a } else { let a ~ normal(1, 2)\n a }\nobserve 1.0 ~ normal(w, 1)\n w }"},
  {"of some", "a*", NULL, "model m(ys) { let u ~ normal(0, 1)\nlet w = if u > 0 { let a ~ normal(0, 1)\n a } else { let ab ~ normal(1, 2)\n ab }\n"
   "observe 1.0 ~ normal(w, 1)\n w }"},
  {"that end early", "a*", NULL, "fn go(ys, t, x, s) = if t == len(ys) { x } else { let z ~ normal(0.9 * x, s)\n"
   "observe ys[t] ~ normal(z, 1)\n if z > 1.5 { z } else { go(ys, t + 1, z, s) } }\n"
   "model m(ys) { let a ~ exponential(1)\n go(ys, 0, 0.0, a) }"},
  {"and nobody lives", "a*", NULL, "model m(ys) { let a ~ uniform(0, 1)\nfor y in ys { let z ~ normal(0, 1)\ncondition(z > 40 - a) }\n a }"},
  {"and an error", "a*", NULL, "model m(ys) { let a ~ uniform(0, 1)\nfor y in ys { let z ~ normal(0, 1)\n"
   "observe y ~ normal([1, 2][floor(abs(z))], 1) }\n a }"},
  {"twice", "a*", NULL, "model m(ys) { let a ~ uniform(0, 1)\nlet z ~ normal(0, 1)\nlet a ~ uniform(0, z)\nobserve ys[0] ~ normal(a, 1)\n a }"},
  {"and inference, records, text", "a*", NULL, "model inner(u) { let b ~ uniform_of([1, 2, 3]); condition(b > u); b }\n"
   "model m(ys) { let a ~ exponential(1)\nfor y in ys with x = 0.0, seen = \"\" {\n"
   "  let q = mean(infer(inner(if x > 1 { 1 } else { 0 }), importance(20)))\n"
   "  let z ~ normal(x + 0.1 * q, a)\nobserve y ~ normal(z, 1)\n"
   "  let r = parse_json(\"\\{\\\"k{floor(z)}\\\": 1\\}\")\n next z / 2, \"{seen}{floor(z)}\" } }"},
};

static void test_places(bool stress)
{
  given g = {stress ? 20 : 50, stress ? 4 : 30, stress ? 1 : 3, NULL};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    g.on = places[i].on;
    compare(places[i].name, places[i].text, stress ? "[0.3, -0.5, 1.2, 0.1, 0.2]" : YS, g, stress, places[i].executor);
  }
}

/* Long enough for histories to be thinned and for lanes to be gathered often. */
static void test_long(void)
{
  compare("long", "model m(n) { let a ~ uniform(-1, 1)\nlet a_s ~ exponential(1)\n"
          "for t in 0..n with x = 0.0 { let z ~ normal(a * x, a_s)\nlet k ~ bernoulli(0.3)\n"
          "observe sin(t) ~ normal(z + (if k { 1 } else { 0 }), 0.3)\n next z } }", "300",
          (given){200, 6, 1, "a*"}, false, "lanes");
}

int main(void)
{
  test_programs();
  test_places(false);
  test_places(true);
  test_long();
  return unit_end();
}
