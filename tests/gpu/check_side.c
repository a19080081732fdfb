/* check_side.c: infer() of an array of models with device = "gpu" (infer/particles/particles_side.c): filters that have a
   block each, against the same filters on the CPU, whose random bits they have: evidence, its error, course, draws and
   weights, by the programs that lanes are tested with. */
#include "gpu_test.h"
#include "../unit/lane_programs.h"
#include "lang/state.h"
#include <dlfcn.h>

/* All that a posterior says but how it was computed, as text: numbers to six digits behind the point. */
#define SAY                                                                                                        \
  "fn near(x) = round(x, 6)\n"                                                                                     \
  "fn say(p) = { let i = info(p)\n let w = weights(p)\n {z: near(i.log_evidence), se: near(i.evidence_se),\n"       \
  "least: near(i.least_ess), eves: i.ancestors, n: i.draws, barriers: i.barriers, resamplings: i.resamplings,\n"   \
  "ess: [near(x) for x in i.course.ess], log: [near(x) for x in i.course.log_evidence],\n"                         \
  "ancestors: i.course.ancestors, steps: i.course.barrier, warnings: i.warnings,\n"                                \
  "values: show_of(values(p)), weights: [near(x) for x in w]} }\n"
static const char *observed = "[0.3, 1.2, -0.5, 2.0, 0.1, 0.7]";

typedef struct outcome { char *text; long long together; bool failed; } outcome;

static outcome run(const char *program, const char *posts)
{
  char whole[6000];
  norn_datum out;
  outcome o = { NULL, 0, false };
  norn_state *st = gpu_test_state();
  snprintf(whole, sizeof whole,
           "let ys = %s\n%s\nfn show_of(v) = v\n" SAY "let posts = %s\n"
           "fn together(p) = if contains(keys(info(p)), \"filters_together\") { info(p).filters_together } else { 0 }\n"
           "[sum([together(p) for p in posts]), [say(p) for p in posts]]",
           observed, program, posts);
  if (norn_eval(st, "side.norn", whole, strlen(whole), 0, &out)) {
    char error[900];
    norn_error_text(st, norn_error(st), error, sizeof error);
    o = (outcome){ strdup(error), 0, true };
  } else {
    o.together = norn_array_at(st, out, 0).i;
    o.text = strdup(norn_show(st, norn_array_at(st, out, 1), true, 0));
  }
  norn_free(st);
  return o;
}

static const char five[] = "[for t in 0..len(ys) { ys[t] + 0.1 * k * (t % 3) } for k in 0..5]";

/* together: filters that must have gone side by side, by each; -1: any. */
static void compare(const char *name, const char *program, const char *options, int together)
{
  char posts[600];
  outcome o[2];
  for (int i = 0; i < 2; i++) {
    snprintf(posts, sizeof posts, "infer([m(y) for y in %s], smc(%s, delayed = false%s))", five,
             i ? "device = \"gpu\"" : "executor = \"scalar\"", options);
    o[i] = run(program, posts);
  }
  bool same = o[0].failed == o[1].failed && (o[0].failed || !strcmp(o[0].text, o[1].text));
  CHECK(same && o[0].together == 0 && (together < 0 || o[1].together == together));
  if (!same || getenv("SIDE_SAY"))
    fprintf(stderr, "  %s (%s), %lld by each:\n%.900s\n%.900s\n", name, options, o[1].together, o[0].text, o[1].text);
  else if (together >= 0 && o[1].together != together)
    fprintf(stderr, "  %s (%s): %lld side by side, by each; %.300s\n", name, options, o[1].together, o[1].text);
  free(o[0].text);
  free(o[1].text);
}

/* What goes wrong there is an error or fewer filters at once, and the state goes on. */
static void trouble(void)
{
  static const struct { const char *order, *want; } some[] = {
    { "memory=1500000", "[29, 29, 29]" },      /* in parts from the start */
    { "alloc=12", "[16, 16, 16]" },            /* no room for all after all: half of them at once */
    { "refuse=4", "launching" },
    { "launch=4", "lost" },
  };
  static const char program[] =
    "model m(y, s) { let a ~ normal(0, s)\nobserve y ~ normal(a, 1)\nlet b ~ normal(a, 1)\nobserve y ~ normal(b, 1)\n b }\n"
    "let p = infer([m(0.1 * k, 1 + k) for k in 0..32], smc(512, threshold = 1.0, device = \"gpu\"))\n"
    "[info(p[k]).filters_together for k in [0, 5, 11]]";
  for (int i = 0; i < NORN_COUNT(some); i++) {
    norn_datum out;
    char say[900];
    setenv("NORN_MOCK", some[i].order, 1);
    norn_state *st = gpu_test_state();
    if (norn_eval(st, "trouble.norn", program, strlen(program), 0, &out)) norn_error_text(st, norn_error(st), say, sizeof say);
    else snprintf(say, sizeof say, "%s", norn_show(st, out, true, 0));
    CHECK(strstr(say, some[i].want) != NULL);
    if (!strstr(say, some[i].want)) fprintf(stderr, "  %s: %s\n", some[i].order, say);
    CHECK(!norn_eval(st, "after.norn", "1 + 1", 5, 0, &out) && out.i == 2);
    norn_free(st);
  }
  unsetenv("NORN_MOCK");
}

/* Each request for the host's memory that fails is an error, or fewer filters go at once. */
static void memory(void)
{
  static const char program[] =
    "model m(a, ys) { for y in ys with x = 0.0 { let x2 ~ normal(a * x, 0.5)\nobserve y ~ normal(x2, 1)\n next x2 } }\n"
    "len(infer([m(0.1 * k, [0.5, k, 1.5]) for k in 0..4], smc(40, threshold = 1.0, device = \"gpu\")))";
  norn_datum out;
  int failed = 0, ended = 0;
  for (uint64_t at = 1; at < 100000 && ended < 2; at += 1 + at / 24) {
    norn_state *st = gpu_test_state();
    st->mem.fail_at = st->mem.requests + at;
    norn_status s = norn_eval(st, "memory.norn", program, strlen(program), 0, &out);
    bool good = s == NORN_OK ? out.i == 4 : s == NORN_EMEMORY;
    CHECK(good);
    if (!good) fprintf(stderr, "  request %llu: %s\n", (unsigned long long)at, norn_error(st)->text);
    failed += s != NORN_OK;
    ended += s == NORN_OK && st->mem.requests < st->mem.fail_at;
    st->mem.fail_at = 0;
    CHECK(!norn_eval(st, "after.norn", "1 + 1", 5, 0, &out) && out.i == 2);
    norn_free(st);
  }
  CHECK(failed > 20 && ended == 2);
}

/* Calls of the driver so far. */
static long calls_so_far(void *mock)
{
  long (*tell)(int, const char **, double *), all = 0, n;
  const char *name;
  double bytes;
  void *f = dlsym(mock, "mock_calls");
  CHECK(f != NULL);
  if (!f) return 0;
  memcpy(&tell, &f, sizeof tell);
  for (int k = 0; (n = tell(k, &name, &bytes)) >= 0; k++) all += n;
  return all;
}

/* A step of many filters asks the driver as often as one of few: nothing goes there, or comes from there, filter by
   filter, and no memory is taken for a step.  (Each of these costs some 10 to 100 us on a card, and nothing here.) */
static void calls(void)
{
  static const int filters[] = { 40, 6000 }, steps[] = { 10, 74 };
  long count[2][2];
  char program[600];
  setenv("NORN_MOCK", "run=0,races=0", 1);
  gpu_test_mock("mock_cuda.so");
  void *mock = dlopen(getenv("NORN_CUDA"), RTLD_NOW);
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < 2; k++) {
      norn_datum out;
      norn_state *st = gpu_test_state();
      long before = calls_so_far(mock);
      snprintf(program, sizeof program,
               "model m(ys) { for y in ys with x = 0.0 { let x2 ~ normal(0.9 * x, 0.5)\nobserve y ~ normal(x2, 1)\n next x2 } }\n"
               "let ps = infer([m([sin(1.0 * t * k) for t in 0..%d]) for k in 0..%d], smc(3, threshold = 1.0,\n"
               "  device = \"gpu\", precision = \"f32\"))\ninfo(ps[0]).filters_together", steps[k], filters[i]);
      bool good = !norn_eval(st, "calls.norn", program, strlen(program), 0, &out) && out.i == filters[i];
      CHECK(good);
      if (!good) fprintf(stderr, "  calls: %s\n", norn_error(st)->text);
      norn_free(st);
      count[i][k] = calls_so_far(mock) - before;
    }
  double few = (double)(count[0][1] - count[0][0]) / (steps[1] - steps[0]),
         many = (double)(count[1][1] - count[1][0]) / (steps[1] - steps[0]);
  CHECK(many < few + .4 && many < 5.6);          /* .4: memory, which doubles */
  if (!(many < few + .4 && many < 5.6) || getenv("SIDE_SAY"))
    fprintf(stderr, "  calls of the driver a step: %.2f of %d filters, %.2f of %d\n", few, filters[0], many, filters[1]);
  dlclose(mock);
  unsetenv("NORN_MOCK");
}

int main(int argc, char **argv)
{
  if (!gpu_test_real() && (argc < 2 || !strcmp(argv[1], "calls"))) calls();
  if (!gpu_test_real() && (argc < 2 || !strcmp(argv[1], "memory"))) memory();
  if (!gpu_test_real() && (argc < 2 || !strcmp(argv[1], "trouble"))) trouble();
  static const struct { const char *name; int together; } some[] = {
    { "lgss", 25 }, { "volatility", 25 }, { "parameters", 25 }, { "kept", 25 }, { "records", 25 }, { "factors", 25 },
    { "select draws", 25 }, { "natives", -1 }, { "rare jump", -1 },
  };
  for (int k = 0; k < NORN_COUNT(some); k++) {
    int i = 0;
    while (i < LANE_PROGRAMS && strcmp(programs[i].name, some[k].name)) i++;
    CHECK(i < LANE_PROGRAMS);
    if (i == LANE_PROGRAMS || (argc > 1 && strcmp(argv[1], some[k].name))) continue;
    compare(some[k].name, programs[i].text, ", particles = 100", some[k].together);
    compare(some[k].name, programs[i].text, ", particles = 33, threshold = 1, resample = \"stratified\"", -1);
    compare(some[k].name, programs[i].text, ", particles = 100, resample = \"residual\"", some[k].together);
    compare(some[k].name, programs[i].text, ", particles = 40, threshold = 1, resample = \"multinomial\"", some[k].together);
  }
  observed = "for t in 0..40 { sin(t * t) }";          /* families grow together */
  compare("lgss", programs[0].text, ", particles = 70, threshold = 1", -1);
  return unit_end();
}
