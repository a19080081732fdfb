/* test_lanes: particles in lanes, and in lanes of generated code, against runs of their own: the same draws,
   weights and evidence (of smc, and of importance beside its runs that keep choices), to the bit, and the same
   errors, at numbers of particles around where groups are dissolved. */
#include "lane_programs.h"
#include "lang/state.h"
#include "unit.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>


static norn_state *st;
static bool stress;           /* collect at every safepoint */
static const char *engine = "smc";
static const char *observed = "[0.3, 1.2, -0.5, 2.0, 0.1, 0.7, 1.9, -1.1, 0.4, 0.0, 1.0, 0.6]";

/* What came of a run: a hash of draws and weights, the evidence, or the error. */
typedef struct outcome {
  uint64_t hash; size_t n;
  char evidence[64], error[900];
  int64_t alone, generated;
} outcome;

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
  const unsigned char *s = p;
  for (size_t i = 0; i < n; i++) h = (h ^ s[i]) * 0x100000001b3u;
  return h;
}

static bool drawn(void *user, norn_infer *inf, const norn_drawn *d)
{
  outcome *o = user;
  const char *shown = norn_show(st, d->value, true, 0);
  (void)inf;
  o->hash = mix(o->hash, &d->logw, sizeof d->logw);
  o->hash = mix(o->hash, shown, strlen(shown));
  o->n++;
  return true;
}

static void run(const char *model, const char *executor, const char *options, outcome *o)
{
  char program[4000];
  norn_config c = norn_config_default();
  norn_datum out, v;
  memset(o, 0, sizeof *o);
  c.seed = 7;
  c.threads = 3;                                   /* of generated code, from 4096 lanes on */
  c.quiet = true;
  c.max_depth = 3000;
  st = norn_new(&c);
  norn_on_draw(st, drawn, o);
  st->heap.stress = stress && strcmp(executor, "scalar");
  snprintf(program, sizeof program,
           "let ys = %s\n%s\n"
           "let post = infer(m(ys), %s(executor = \"%s\", delayed = false%s))\n"
           "info(post)",
           observed, model, engine, executor, options);
  if (norn_eval(st, "lanes.norn", program, strlen(program), 0, &out))
  {
    norn_error_text(st, norn_error(st), o->error, sizeof o->error);
    CHECK(norn_error(st)->span.file > 0);
    CHECK(!norn_eval(st, "after.norn", "1 + 1", 5, 0, &out) && out.i == 2);      /* nothing is lost */
  } else {
    snprintf(o->evidence, sizeof o->evidence, "%s", norn_show(st, norn_record_get(st, out, "log_evidence"), true, 0));
    v = norn_record_get(st, out, "lanes_alone");
    o->alone = v.tag == NORN_INT ? v.i : -1;
    v = norn_record_get(st, out, "generated_legs");
    o->generated = v.tag == NORN_INT ? v.i : -1;
  }
  norn_free(st);
}

static bool is_same(const outcome *a, const outcome *b)
{
  return a->hash == b->hash && a->n == b->n && !strcmp(a->evidence, b->evidence) && !strcmp(a->error, b->error);
}

static int generated_somewhere, generated_importance;   /* programs of which generated code ran a leg */

static void compare(const char *name, const char *program, const char *options, int few)
{
  static const char *const executors[] = { "lanes", "generated" };
  outcome a, b;
  run(program, "scalar", options, &a);
  CHECK(a.n > 0 || a.error[0]);
  for (int i = 0; i < 2; i++) {
    run(program, executors[i], options, &b);
    bool same = is_same(&a, &b), alone = few < 0 || b.alone <= few;
    CHECK(same);
    CHECK(alone);
    if (getenv("LANES_SAY"))
      printf("%-18s %-42s %6zu alone %lld generated %lld %s %s\n", name, options, b.n, (long long)b.alone,
             (long long)b.generated, b.evidence, b.error);
    if (!same)
      fprintf(stderr, "  %s (%s): %zu draws, %s, %s\n  %s: %zu draws, %s, %s\n", name, options, a.n, a.evidence,
              a.error, executors[i], b.n, b.evidence, b.error);
    if (!alone) fprintf(stderr, "  %s (%s): %lld lanes went on alone\n", name, options, (long long)b.alone);
    generated_somewhere += b.generated > 0;
  }
}

/* Importance: the runs that keep choices are the reference.  Which of several errors is met first depends on
   the order; what `via` and an observation after it weigh is added up in another order. */
static void compare_importance(const char *name, const char *program, int n)
{
  static const char *const executors[] = { "auto", "scalar", "lanes", "generated" };
  outcome a, b;
  char options[60];
  bool is_near = !strcmp(name, "proposals");
  engine = "importance";
  snprintf(options, sizeof options, ", n = %d", n);
  run(program, "auto", options, &a);
  CHECK(a.n > 0 || a.error[0]);
  snprintf(options, sizeof options, ", n = %d, keep = \"value\"", n);
  for (int i = 0; i < 4; i++) {
    run(program, executors[i], options, &b);
    bool same = a.error[0]  ? b.error[0] != 0
                : is_near   ? a.n == b.n && !b.error[0] && fabs(atof(a.evidence) - atof(b.evidence)) < 1e-9
                            : is_same(&a, &b);
    CHECK(same);
    if (!same)
      fprintf(stderr, "  importance, %s (%d): %zu draws, %s, %s\n  %s: %zu draws, %s, %s\n", name, n, a.n, a.evidence,
              a.error, executors[i], b.n, b.evidence, b.error);
    generated_importance += b.generated > 0;
  }
  engine = "smc";
}

/* ---- numbers that all return at once ---- */

/* Values and weights of a posterior as text, to be freed.  Nobody hears the draws, as when a program runs: only
   then are numbers taken as the vector that they are. */
static char *text_of_draws(const char *model, const char *executor, const char *options)
{
  char program[2000];
  norn_config c = norn_config_default();
  norn_datum out;
  c.seed = 7;
  c.quiet = true;
  st = norn_new(&c);
  snprintf(program, sizeof program,
           "let ys = %s\n%s\nlet post = infer(m(ys), smc(executor = \"%s\", delayed = false%s))\n"
           "[values(post), weights(post)]",
           observed, model, executor, options);
  CHECK(!norn_eval(st, "numbers.norn", program, strlen(program), 0, &out));
  const char *shown = norn_show(st, out, true, 0);
  char *copy = malloc(strlen(shown) + 1);
  strcpy(copy, shown);
  norn_free(st);
  return copy;
}

static void test_numbers(void)
{
  static const char *const models[] = {
    "model m(ys) { let x ~ normal(0, 1)\nfor y in ys { observe y ~ normal(x, 1) }\n3 * x }",
    "model m(ys) { let x ~ normal(0, 1)\ncondition(x > -1)\nx }",
    "model m(ys) { let x ~ normal(0, 1)\nfor y in ys { observe y ~ normal(x, 1)\ncondition(x < y + 3) }\nx }",
    "model m(ys) { let k ~ poisson(2)\nfor y in ys { observe y ~ normal(k, 1) }\nk + 1 }",
    "model m(ys) { let b ~ bernoulli(0.3)\nlet x ~ normal(0, 1)\nfactor(x)\nb }",
    "model m(ys) { let x ~ normal(0, 1)\nobserve 0.5 ~ uniform(0, exp(x))\nx }",
  };
  static const char *const options[] = {
    ", particles = 16, threshold = 1", ", particles = 17, threshold = 0", ", particles = 1003, threshold = 1",
    ", particles = 1024, threshold = 0",
  };
  for (int i = 0; i < (int)(sizeof models / sizeof *models); i++)
    for (int k = 0; k < (int)(sizeof options / sizeof *options); k++) {
      char *lanes = text_of_draws(models[i], "lanes", options[k]);
      char *scalar = text_of_draws(models[i], "scalar", options[k]);
      bool same = !strcmp(lanes, scalar);
      CHECK(same);
      if (!same) fprintf(stderr, "  numbers (%s) of %s\n", options[k], models[i]);
      free(lanes);
      free(scalar);
    }
}

/* Lanes that ended together and are copied have the copied numbers, which are no vector in order any more. */
static void test_numbers_copied(void)
{
  enum { N = 20 };
  const char *program = "model m() { let x ~ normal(0, 1)\nfactor(x)\nx }";
  const uint32_t to[] = { 3, 7, 19 }, from[] = { 2, 5, 18 };
  norn_lanes_leg leg = { .dead = NULL };
  norn_datum model;
  double logw[N + 32] = { 0 };
  uint64_t tag;
  st = norn_new(NULL);
  CHECK(!norn_eval(st, "copied.norn", program, strlen(program), 0, &model));
  CHECK(!norn_call(st, norn_global(st, "m"), NULL, 0, &model));
  norn_run *r = norn_run_new(st, model, NULL, 0);
  norn_run_stream(r, 99, 0, 0);
  norn_run_flags(r, NORN_RUN_SCORE | NORN_RUN_STOP | NORN_RUN_DRAW);
  norn_lanes *l = norn_lanes_new(r, N);
  while (norn_lanes_next(l, logw, &leg) == NORN_OBSERVE && leg.running) { }
  const double *x = norn_lanes_numbers(l, &tag);
  CHECK(x && tag == NORN_REAL);
  for (int i = 0; x && i < N; i++) CHECK(x[i] == logw[i] && norn_lanes_value(l, (size_t)i).d == logw[i]);
  CHECK(norn_lanes_copy(l, to, from, 3));
  CHECK(!norn_lanes_numbers(l, &tag));
  for (int k = 0; k < 3; k++) CHECK(norn_lanes_value(l, to[k]).d == logw[from[k]]);
  CHECK(norn_lanes_value(l, 4).d == logw[4]);
  norn_lanes_free(l);
  norn_free(st);
}

/* A cache of its own, and a compiler that is quick. */
static char cache[] = "/tmp/norn-lanes-XXXXXX";
static void cache_begin(void)
{
#ifdef __SANITIZE_ADDRESS__      /* one lane, and looked at by the sanitizers too */
  static const char *const mine = " -O1 -DLANES=1 -fsanitize=address,undefined -fno-sanitize-recover=undefined";
#else
  static const char *const mine = " -O0";
#endif
  char cc[300];
  const char *given = getenv("CC");
  snprintf(cc, sizeof cc, "%s%s", given && *given ? given : "cc", mine);
  bool made = mkdtemp(cache) && !setenv("XDG_CACHE_HOME", cache, 1) && !setenv("CC", cc, 1);
  CHECK(made);
}
static void cache_end(void)
{
  char command[100];
  snprintf(command, sizeof command, "rm -rf %s", cache);
  int gone = system(command);
  CHECK(gone == 0);
}

/* Where no compiler is to be had, auto does without, and "generated" is an error that says so. */
static void without_compiler(void)
{
  outcome a, b;
  char folder[200], *was = strdup(getenv("CC"));
  snprintf(folder, sizeof folder, "%s/none", cache);
  bool set = !setenv("CC", "/bin/false", 1) && !setenv("XDG_CACHE_HOME", folder, 1) && !mkdir(folder, 0700);
  CHECK(set);
  run(programs[0].text, "scalar", ", particles = 100", &a);
  run(programs[0].text, "auto", ", particles = 100", &b);
  CHECK(is_same(&a, &b) && b.generated <= 0);
  run(programs[0].text, "generated", ", particles = 100", &b);
  CHECK(strstr(b.error, "there is no generated code for these particles: the C compiler did not make it"));
  set = !setenv("CC", was, 1) && !setenv("XDG_CACHE_HOME", cache, 1);
  CHECK(set);
  free(was);
}

int main(int argc, char **argv)
{
  static const char *const options[] = {
    ", particles = 2", ", particles = 15, threshold = 1", ", particles = 16", ", particles = 17, threshold = 1",
    ", particles = 100", ", particles = 1000, threshold = 1", ", particles = 1003, resample = \"multinomial\"",
  };
  cache_begin();
  if (argc < 2) without_compiler();
  if (argc < 2 || !strcmp(argv[1], "numbers")) {
    test_numbers();
    test_numbers_copied();
  }
  for (int i = 0; i < (int)(sizeof programs / sizeof *programs); i++) {
    if (argc > 1 && strcmp(argv[1], programs[i].name)) continue;
    for (int k = 0; k < (int)(sizeof options / sizeof *options); k++)
      compare(programs[i].name, programs[i].text, options[k], k >= 5 ? programs[i].few : -1);
    compare_importance(programs[i].name, programs[i].text, 17);
    compare_importance(programs[i].name, programs[i].text, 1000);
  }
  for (int i = 0; i < (int)(sizeof programs / sizeof *programs); i++) {
    static const char *const large[] = { "lgss", "parameters", "integers", "dead parameters", "mem of data" };
    for (int k = 0; k < (int)(sizeof large / sizeof *large); k++)
      if (!strcmp(large[k], programs[i].name) && (argc < 2 || !strcmp(argv[1], programs[i].name)))
        compare(programs[i].name, programs[i].text, ", particles = 5003, threshold = 1", -1);
  }
  observed = "for t in 0..200 { sin(t * t) }";         /* histories long enough to be closed up */
  for (int i = 0; i < (int)(sizeof programs / sizeof *programs); i++) {
    static const char *const longs[] = { "kept", "history read", "closures made", "rare jump", "dead", "ends early",
                                         "nested branches", "parameters", "kept by some" };
    bool is_long = false;
    for (int k = 0; k < (int)(sizeof longs / sizeof *longs); k++) is_long |= !strcmp(longs[k], programs[i].name);
    if (!is_long || (argc > 1 && strcmp(argv[1], programs[i].name))) continue;
    compare(programs[i].name, programs[i].text, ", particles = 100, threshold = 1", -1);
    compare(programs[i].name, programs[i].text, ", particles = 300", -1);
  }
  observed = "[0.3, 1.2, -0.5, 2.0, 0.1, 0.7]";
  stress = true;
  for (int i = 0; i < (int)(sizeof programs / sizeof *programs); i++)
    if (argc < 2 || !strcmp(argv[1], programs[i].name))
      compare(programs[i].name, programs[i].text, ", particles = 40", -1);
  cache_end();
  CHECK(argc > 1 || (generated_somewhere > 100 && generated_importance > 20));
  return unit_end();
}
