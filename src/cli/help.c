/* :help and `norn doc`: a few pages of text, and what the state knows about a name. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

static const char page_help[] =
  "An expression is evaluated and printed; definitions join the session.\n"
  "A statement may span lines: the prompt changes to ... until it is whole.\n"
  "\n"
  "  :help language        the language on one page\n"
  "  :help distributions   what can be sampled and observed\n"
  "  :help engines         how to infer\n"
  "  :help commands        lines that start with a colon\n"
  "  :help NAME            any function, distribution, engine or name of yours\n"
  "\n"
  "Ctrl-C stops a computation or clears the line; Tab completes; Ctrl-D leaves.\n";

static const char page_language[] =
  "let x = 3                              a name; there is no assignment\n"
  "fn f(a, b = 2) = a + b                 a function; f(1, b = 3)\n"
  "x -> x^2, (x, y) -> x + y              functions without a name\n"
  "if c { a } else { b }                  everything is an expression\n"
  "[1, 2, 3], a[0], a[1..3], m[i, j]      arrays; 0..n leaves n out\n"
  "{a: 1, b: 2}, r.a, {r with a: 3}       records\n"
  "[x^2 for x in xs if x > 0]             comprehensions\n"
  "for x in xs { x + 1 }                  a loop is the array of its bodies\n"
  "for x in xs with s = 0 { next s + x }  a fold: its result is the last s\n"
  "type T = Leaf(v) | Node(l, r)          variants;  match t { Leaf(v) -> v, Node(l, r) -> 0 }\n"
  "xs |> map(f) |> sum                    a |> f(b) is f(a, b)\n"
  "\"{x} items\"                            interpolation; r\"raw\"\n"
  "\n"
  "model m(y) {                           a program with random choices\n"
  "  let x ~ normal(0, 1)                 sample\n"
  "  observe y ~ normal(x, 0.5)           condition on data\n"
  "  x                                    what it returns\n"
  "}\n"
  "let post = infer(m(2.1), importance(10000))\n"
  "mean(post), sd(post), quantile(post, 0.9), prob(post, x -> x > 1), evidence(post)\n"
  "\n"
  "factor(logw), condition(b), twist(logw), sample(d), mem(f), given(m, {x: 1}); man 7 norn has all of it.\n";

static const struct { const char *name, *title; } shelves[] = {
  { "normal uniform cauchy student_t laplace logistic lognormal", "on the real line" },
  { "exponential gamma inv_gamma half_normal half_cauchy beta dirichlet",
    "positive, bounded, simplex" },
  { "bernoulli binomial categorical uniform_of discrete_uniform poisson geometric", "discrete" },
  { "truncate mixture iid product transform zero_inflated ordered noncentered", "made of others" },
  { "delta empirical flat flat_simplex flat_ordered flat_corr", "points, draws, improper" },
};

/* The first line of a name's documentation, if it has any. */
static void print_one(cli *c, const char *name, size_t n)
{
  char own[64];
  snprintf(own, sizeof own, "%.*s", (int)n, name);
  const char *doc = norn_doc(c->st, own);
  if (doc) norn_outputf(c->st, "  %.*s\n", (int)strcspn(doc, "\n"), doc);
}

static void help_distributions(cli *c)
{
  for (size_t i = 0; i < sizeof shelves / sizeof shelves[0]; i++) {
    norn_outputf(c->st, "%s\n", shelves[i].title);
    for (const char *p = shelves[i].name; *p;) {
      size_t n = strcspn(p, " ");
      print_one(c, p, n);
      p += n + strspn(p + n, " ");
    }
  }
  norn_outputf(c->st, "Arrays of parameters make a product. :help NAME gives the formula.\n");
}

void help_engines(cli *c)
{
  for (int i = 0; cli_engine_at(c, i); i++) {
    const norn_engine *e = cli_engine_at(c, i);
    const char *doc = e->doc ? e->doc : "";
    norn_outputf(c->st, "%-12s %.*s\n", e->name, (int)strcspn(doc, "\n"), doc);
  }
  norn_outputf(c->st, ":engine NAME gives an engine's options.\n");
}

bool help_engine(cli *c, const char *name)
{
  for (int i = 0; cli_engine_at(c, i); i++) {
    const norn_engine *e = cli_engine_at(c, i);
    if (strcmp(e->name, name) != 0) continue;
    norn_outputf(c->st, "%s: %s\n", e->name, e->doc ? e->doc : "");
    for (int k = 0; k < e->noptions; k++) {
      const norn_option *o = &e->options[k];
      char left[96];
      if (o->fallback) snprintf(left, sizeof left, "%s = %s", o->name, o->fallback);
      else snprintf(left, sizeof left, "%s", o->name);
      norn_outputf(c->st, "  %-26s %s\n", left, o->doc ? o->doc : "");
    }
    return true;
  }
  return false;
}

static bool help_name(cli *c, const char *name)
{
  char near[64];
  const char *doc = norn_doc(c->st, name);
  if (doc) {
    size_t n = strlen(doc);
    norn_outputf(c->st, "%s%s", doc, n > 0 && doc[n - 1] == '\n' ? "" : "\n");
    return true;
  }
  if (cli_nearest(c, name, near, sizeof near))
    cli_complain(c, "nothing is known about %s; did you mean %s?", name, near);
  else
    cli_complain(c, "nothing is known about %s", name);
  return false;
}

bool help_topic(cli *c, const char *topic)
{
  if (strcmp(topic, "help") == 0) norn_outputf(c->st, "%s", page_help);
  else if (strcmp(topic, "language") == 0) norn_outputf(c->st, "%s", page_language);
  else if (strcmp(topic, "engines") == 0) help_engines(c);
  else if (strcmp(topic, "distributions") == 0) help_distributions(c);
  else return help_engine(c, topic) || help_name(c, topic);
  fflush(stdout);
  return true;
}
