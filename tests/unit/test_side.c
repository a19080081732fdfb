/* test_side: infer() of an array of models.  Filters side by side (particles_side.c) against each by itself: the same
   evidence, its error, draws, weights and course, to the bit, and the same errors; by the programs that lanes are
   tested with, at other data in each filter. */
#include "lane_programs.h"
#include "lang/state.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that a posterior says but how it was computed, as text; to be freed. */
#define SAY                                                                                                        \
  "fn say(p) = { let i = info(p)\n {z: i.log_evidence, se: i.evidence_se, least: i.least_ess, eves: i.ancestors,\n"  \
  "n: i.draws, barriers: i.barriers, resamplings: i.resamplings, course: i.course, warnings: i.warnings,\n"          \
  "values: values(p), weights: weights(p)} }\n"
static const char *observed = "[0.3, 1.2, -0.5, 2.0, 0.1, 0.7]";
static int threads = 2;                         /* of the state */
static bool stress;

typedef struct outcome { char *text; long long together; bool failed; } outcome;

/* program: with `model m(ys)`, or a function m that gives a model; posts: an expression for the posteriors, of which
   the first are told. */
static outcome run(const char *program, const char *posts, int first)
{
  char whole[6000];
  norn_config c = norn_config_default();
  norn_datum out;
  outcome o = { NULL, 0, false };
  c.seed = 7;
  c.threads = threads;
  c.quiet = true;
  c.max_depth = 3000;
  norn_state *st = norn_new(&c);
  st->heap.stress = stress;
  snprintf(whole, sizeof whole,
           "let ys = %s\n%s\n" SAY "let posts = %s\n"
           "fn together(p) = if contains(keys(info(p)), \"filters_together\") { info(p).filters_together } else { 0 }\n"
           "[sum([together(p) for p in posts]), [say(posts[k]) for k in 0..min(len(posts), %d)]]",
           observed, program, posts, first);
  if (norn_eval(st, "side.norn", whole, strlen(whole), 0, &out)) {
    char error[900];
    norn_error_text(st, norn_error(st), error, sizeof error);
    o = (outcome){ strdup(error), 0, true };
    CHECK(!norn_eval(st, "after.norn", "1 + 1", 5, 0, &out) && out.i == 2);
  } else {
    o.together = norn_array_at(st, out, 0).i;
    o.text = strdup(norn_show(st, norn_array_at(st, out, 1), true, 0));
  }
  norn_free(st);
  return o;
}

/* arguments: an expression for those of the models; filters that must have gone side by side, -1: any. */
static int compare(const char *name, const char *program, const char *arguments, const char *options, int together)
{
  static const char *const executors[] = { "scalar", "generated" };
  char posts[600];
  outcome o[2];
  for (int i = 0; i < 2; i++) {
    snprintf(posts, sizeof posts, "infer([m(y) for y in %s], smc(executor = \"%s\", delayed = false%s))", arguments,
             executors[i], options);
    o[i] = run(program, posts, 100);
  }
  bool same = !strcmp(o[0].text, o[1].text) && o[0].failed == o[1].failed;
  CHECK(same);
  CHECK(o[0].together == 0 && (together < 0 || o[1].together == together));
  if (!same) fprintf(stderr, "  %s (%s):\n%.400s\n%.400s\n", name, options, o[0].text, o[1].text);
  if (together >= 0 && o[1].together != together)
    fprintf(stderr, "  %s (%s): %lld side by side, by each; %.300s\n", name, options, o[1].together, o[1].text);
  if (getenv("SIDE_SAY")) printf("%-20s %-40s %lld\n", name, options, o[1].together);
  int all = (int)o[1].together;
  free(o[0].text);
  free(o[1].text);
  return all;
}

static const char five[] = "[for t in 0..len(ys) { ys[t] + 0.1 * k * (t % 3) } for k in 0..5]";

/* A model's posterior depends on its place and on nothing else of the array, nor on threads or collections. */
static void test_places(void)
{
  static const char lgss[] = "model m(a, ys) { for y in ys with x = 0.0 { let x2 ~ normal(a * x, 0.5)\n"
                             "observe y ~ normal(x2, 1)\n next x2 } }";
  static const char *const arrays[] = {
    "infer([m(0.9, ys), m(0.1, ys), m(0.9, [1, 2, 3])], smc(64, delayed = false))",
    "infer([m(0.9, ys), m(0.1, ys), m(0.9, [1, 2, 3])], smc(64, delayed = false, executor = \"generated\"))",
    "infer([m(0.9, ys), m(0.1, ys), m(0.9, [1, 2, 3])] ++ [m(0.1 * k, ys) for k in 0..40],\n"
    "smc(64, delayed = false, executor = \"generated\"))",
    "infer([m(0.9, ys), m(0.1, ys), m(0.9, [1, 2, 3])] ++ [m(0.1 * k, [1, 2, 3]) for k in 0..9],\n"
    "smc(64, delayed = false))",
  };
  static const long long together[] = { 0, 4, 42 * 42, 0 };
  outcome first = run(lgss, arrays[0], 3);
  CHECK(!first.failed);
  for (int i = 0; i < 8; i++) {
    threads = i < 4 ? 2 : 5;
    stress = i == 5;
    outcome o = run(lgss, arrays[i % 4], 3);
    bool same = !strcmp(o.text, first.text);
    CHECK(same);
    CHECK(o.together == together[i % 4]);
    free(o.text);
  }
  threads = 2;
  stress = false;
  free(first.text);
}

/* Each request for memory that fails is an error, and nothing else is lost; at last none does. */
static void test_memory(void)
{
  static const char program[] =
    "model m(a, ys) { for y in ys with x = 0.0 { let x2 ~ normal(a * x, 0.5)\nobserve y ~ normal(x2, 1)\n next x2 } }\n"
    "len(infer([m(0.1 * k, [0.5, k, 1.5]) for k in 0..4], smc(40, delayed = false, executor = \"generated\")))";
  norn_config c = norn_config_default();
  norn_datum out;
  int failed = 0, ended = 0;
  c.quiet = true;
  c.threads = 2;
  for (uint64_t at = 1; at < 100000 && ended < 3; at += 1 + at / 16) {
    norn_state *st = norn_new(&c);
    st->mem.fail_at = st->mem.requests + at;
    norn_status s = norn_eval(st, "memory.norn", program, strlen(program), 0, &out);
    CHECK(s == NORN_OK ? out.i == 4 : s == NORN_EMEMORY);
    failed += s != NORN_OK;
    ended += s == NORN_OK && st->mem.requests < st->mem.fail_at;
    st->mem.fail_at = 0;
    CHECK(!norn_eval(st, "after.norn", "1 + 1", 5, 0, &out) && out.i == 2);
    norn_free(st);
  }
  CHECK(failed > 20 && ended == 3);
}

int main(int argc, char **argv)
{
  /* Each with how many have gone side by side, in all their filters; -1: as it comes. */
  static const struct { const char *name; int together; } some[] = {
    {"lgss", 25}, {"volatility", 25}, {"parameters", 25}, {"kept", 25}, {"records", 25}, {"factors", 25},
    {"integers", -1}, {"dead", -1}, {"select draws", 25}, {"missing", -1}, {"natives", 25}, {"bad parameter", -1},
    {"strings", 0}, {"index outside", -1},
  };
  static char cache[] = "/tmp/norn-side-XXXXXX";
  char command[100];
  bool made = mkdtemp(cache) && !setenv("XDG_CACHE_HOME", cache, 1) && !setenv("CC", "cc -O0", 1);
  CHECK(made);
  if (argc < 2) test_places();
  if (argc < 2 || !strcmp(argv[1], "memory")) test_memory();
  for (int k = 0; k < (int)(sizeof some / sizeof *some); k++) {
    int i = 0;
    while (i < LANE_PROGRAMS && strcmp(programs[i].name, some[k].name)) i++;
    CHECK(i < LANE_PROGRAMS);
    if (i == LANE_PROGRAMS || (argc > 1 && strcmp(argv[1], some[k].name))) continue;
    compare(some[k].name, programs[i].text, five, ", particles = 100", some[k].together);
    compare(some[k].name, programs[i].text, five, ", particles = 33, threshold = 1, resample = \"stratified\"", -1);
  }
  observed = "for t in 0..70 { sin(t * t) }";          /* histories long enough to be closed up */
  for (int i = 0; i < LANE_PROGRAMS; i++) {
    if (strcmp(programs[i].name, "kept") && strcmp(programs[i].name, "history read")) continue;
    if (argc > 1 && strcmp(argv[1], programs[i].name)) continue;
    compare(programs[i].name, programs[i].text, five, ", particles = 100, threshold = 1", 25);
  }
  snprintf(command, sizeof command, "rm -rf %s", cache);
  CHECK(!system(command));
  return unit_end();
}
