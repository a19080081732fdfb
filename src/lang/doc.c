/* doc.c: what `norn doc`, :help and completion know: docstrings of builtins, of the library and of
   the session, and a sentence for each keyword of the language. */
#include "lang/env_in.h"
#include "lang/value/big.h"
#include <stdlib.h>
#include <string.h>

/* ---- names that are instructions ---- */

typedef struct special { const char *name, *params; uint8_t effect; const char *doc; } special;
static const special specials[] = {
    {"sample", "d", EFFECT_ANY,
     "A draw from a distribution or model; an anonymous choice.\n"
     "In a model the engine answers; at top level the state's seed does. `let x ~ d` also names "
     "the choice.\n"
     "Example: sample(normal(0, 1))"},
    {"factor", "logw", EFFECT_ANY,
     "Adds to the log weight of the run; only inside inference.\n"
     "Example: factor(-0.5 * x^2)"},
    {"condition", "holds", EFFECT_ANY,
     "Weight 0 unless the condition holds; only inside inference.\n"
     "Example: condition(x > 0)"},
    {"twist", "logw", EFFECT_ANY,
     "Adds to the log weight of the run until the next twist or its end, where it is taken back.\n"
     "A guess of what is still to come: it steers the particles of smc, at a barrier of its own, and leaves every "
     "posterior and its evidence as they are. Engines that weigh whole runs pass it over.\n"
     "Example: twist(-abs(3 - x))"},
    {"infer", "model, engine = missing", EFFECT_ANY,
     "The posterior of a model value under an engine: a distribution again.\n"
     "Without an engine one is picked by a rule, which is printed. Inside a model this nests. An array of models "
     "gives an array of posteriors, each by the same engine; particle filters of one program go side by side.\n"
     "Example: infer(coin([true, false]), importance(1000))"},
    {"mem", "f", EFFECT_NONE,
     "Stochastic memoisation: f called again with equal arguments gives the same value within a "
     "run.\n"
     "One table per run, fresh in each, also for a mem defined outside the model.\n"
     "Example: let height = mem(name -> sample(normal(170, 10)))"},
    {"logpdf", "d, x", EFFECT_NONE,
     "The log density or log probability of x under the distribution d.\n"
     "Example: logpdf(normal(0, 1), 0.5)"},
};

bool env_specials(norn_state *st)
{
  for (int i = 0; i < NORN_COUNT(specials); i++) {
    env_entry *e = arena_get(&st->env->arena, sizeof *e);
    if (!e || !(e->name = sym_intern(st, specials[i].name, strlen(specials[i].name)))) return false;
    e->kind = ENV_NATIVE;
    e->params = specials[i].params, e->doc = specials[i].doc, e->effect = specials[i].effect;
    if (!params_parse(st, e->params, e) || !env_builtin_add(st, e->name, ENV_NATIVE, NULL, e))
      return false;
  }
  return !norn_add_natives(st, NULL, model_natives, NORN_COUNT(model_natives)) &&
         !norn_add_natives(st, NULL, big_natives, NORN_COUNT(big_natives)) &&
         !norn_add_natives(st, NULL, defdist_natives, NORN_COUNT(defdist_natives)) &&
         defdist_init(st);
}

bool env_is_special(norn_state *st, sym name)
{
  const char *s = sym_name(st, name);
  for (int i = 0; i < NORN_COUNT(specials); i++)
    if (!strcmp(s, specials[i].name)) return true;
  return false;
}

/* ---- keywords ---- */

typedef struct keyword { const char *name, *doc; } keyword;
static const keyword keywords[] = {
  {"let",
   "let x = e\n"
   "let x ~ d\n\n"
   "Binds a name; there is no assignment. With ~ the value is drawn from d and the name is "
   "the choice's address.\n"
   "`let x ~ d as \"name\"` sets another address, `let x ~ d via q` proposes from q."},
  {"fn",
   "fn f(a, b = 1) = e\n"
   "fn f(a, b = 1) { ... }\n\n"
   "Defines a function; a block gives its last expression. Annotations are checked at "
   "entry: fn f(x: real(lower = 0)) -> real."},
  {"model",
   "model m(a, b) { ... }\n\n"
   "Defines a program with random choices. m(1, 2) does not run it: it is a model value, a "
   "distribution over what the block returns."},
  {"distribution",
   "distribution d(a, b) {\n"
   "  sample = () -> e\n"
   "  logpdf = x -> e\n"
   "  support = real\n"
   "}\n\n"
   "Defines a distribution. support is real, positive, unit_interval, natural, integer,\n"
   "boolean, anything, interval(lower, upper), or an array of all values. mean and variance\n"
   "may be given too. Densities are asked only inside the support; outside they are 0."},
  {"if",
   "if test { ... } else { ... }\n\n"
   "An expression; without else it gives () when the test fails."},
  {"else", "if test { ... } else { ... }"},
  {"for",
   "for x in xs { ... }\n"
   "for x in xs with acc = 0 { next acc + x }\n\n"
   "Without `with` an array of the bodies' values. With it a fold: every path ends in "
   "`next`, whose values become the states; the result is the final state."},
  {"in", "for x in xs { ... }"},
  {"with",
   "for x in xs with acc = 0 { next acc + x }\n"
   "{ r with a: 3 }\n\n"
   "The states of a fold; or a record with some fields changed."},
  {"next",
   "next value, ... [keep value]\n\n"
   "Ends a turn of a fold and gives the next states. With keep the loop's result is {x: "
   "final, kept: [...]}."},
  {"keep",
   "next x2 keep x2\n\n"
   "Keeps a value of each turn of a fold."},
  {"match",
   "match e { pattern -> e, pattern if test -> e }\n\n"
   "The first arm whose pattern fits. Patterns: _, x, 1, \"a\", C(p, q), [p, q, ..rest], "
   "{a: p}. No fitting arm is an error."},
  {"type",
   "type Tree = Leaf(value) | Node(left, right)\n\n"
   "Declares constructors; they are upper case."},
  {"import",
   "import stats\n"
   "import \"mine.norn\" as mine\n\n"
   "Names of a module are used as stats.mean. Files are searched beside the importing file, "
   "then in $NORN_PATH."},
  {"foreign",
   "foreign \"libm.so.6\" {\n"
   "  fn j0(x: c_double) -> c_double derivative x -> -j1(x)\n"
   "  fn j1(x: c_double) -> c_double\n"
   "}\n\n"
   "Declares functions of a C library. Types: c_double, c_float, c_int8 ... c_uint64, c_int,\n"
   "c_long, c_size, c_bool, c_string, c_pointer, array(c_double), fn(c_double) -> c_double;\n"
   "out, inout and ref before a type. See man 7 norn."},
  {"as",
   "let x ~ d as \"name\"\n"
   "import \"mine.norn\" as mine"},
  {"observe",
   "observe y ~ d\n\n"
   "Conditions on y being a draw from d; gives y. Only inside inference. A missing y is "
   "sampled."},
  {"via",
   "let x ~ d via q\n\n"
   "Proposes from q and weighs by d."},
  {"and",
   "a and b\n\n"
   "True if both hold; b is evaluated only if a holds."},
  {"or",
   "a or b\n\n"
   "True if one holds; b is evaluated only if a does not hold."},
  {"not", "not a"},
  {"true",
   "true\n\n"
   "The boolean; bernoulli gives and scores it."},
  {"false", "false"},
  {"missing",
   "missing\n\n"
   "No datum: NA in data files. Arithmetic on it is an error; observe missing ~ d samples "
   "it."},
};

const char *env_keyword_at(int i)
{
  return i >= 0 && i < NORN_COUNT(keywords) ? keywords[i].name : NULL;
}

const char *env_keyword_doc(const char *name)
{
  for (int i = 0; i < NORN_COUNT(keywords); i++)
    if (!strcmp(name, keywords[i].name)) return keywords[i].doc;
  return NULL;
}

/* ---- lists of names ---- */

typedef struct names { norn_state *st; const char *prefix; const char **v; size_t n, cap; } names;

static void names_try(names *c, const char *name)
{
  if (!name || *name == '@' || strncmp(name, c->prefix, strlen(c->prefix))) return;
  if (mem_grow(&c->st->mem, &c->v, &c->cap, c->n + 1, sizeof *c->v)) c->v[c->n++] = name;
}

static void names_of_module(names *c, const module *m)
{
  for (size_t i = 0; m && m->table && i <= m->mask; i++)
    if (m->table[i]) names_try(c, sym_name(c->st, m->table[i]->name));
}

static int by_name(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In order, once each. */
static void names_sort(names *c)
{
  size_t n = 0;
  if (c->n) qsort(c->v, c->n, sizeof *c->v, by_name);
  for (size_t i = 0; i < c->n; i++)
    if (!n || strcmp(c->v[i], c->v[n - 1])) c->v[n++] = c->v[i];
  c->n = n;
}

static void names_free(names *c)
{
  mem_put(&c->st->mem, c->v, c->cap * sizeof *c->v);
}

/* ---- docs ---- */

static const proto *entry_proto(norn_state *st, const env_entry *e)
{
  if (e->kind != ENV_GLOBAL) return NULL;
  if (e->known) return e->known;
  val v = e->slot < st->nglobals ? st->globals[e->slot] : norn_none();
  return v.tag == NORN_FUN ? v_clo(v)->p : NULL;
}

static void put_signature(norn_state *st, text *t, const env_entry *e, const char *name)
{
  const proto *p = entry_proto(st, e);
  if (p && p->is_model) text_puts(t, "model ");
  text_puts(t, name);
  if (e->kind == ENV_ENGINE) {
    text_putc(t, '(');
    for (int i = 0; i < e->engine->noptions; i++) {
      const norn_option *o = &e->engine->options[i];
      text_printf(t, "%s%s%s%s", i ? ", " : "", o->name, o->fallback ? " = " : "",
                  o->fallback ? o->fallback : "");
    }
    text_putc(t, ')');
  } else if (e->params) {
    text_printf(t, "(%s)", e->params);
  } else if (p) {
    text_putc(t, '(');
    for (int i = 0; i < p->nargs; i++)
      text_printf(t, "%s%s%s", i ? ", " : "", p->params ? sym_name(st, p->params[i]) : "_",
                  i >= p->nreq ? " = ..." : "");
    text_putc(t, ')');
  } else if (e->kind == ENV_CTOR && e->arity) {
    const ctor *c = env_ctor(st, (uint32_t)(e->tag >> 32));
    for (uint32_t i = 0; c && i < c->arity; i++)
      text_printf(t, "%s%s", i ? ", " : "(", sym_name(st, c->fields[i]));
    text_putc(t, ')');
  }
  text_putc(t, '\n');
}

static void put_options(text *t, const norn_engine *engine)
{
  for (int i = 0; i < engine->noptions; i++) {
    const norn_option *o = &engine->options[i];
    text_printf(t, "%s  %s%s%s: %s\n", i ? "" : "\noptions\n", o->name, o->fallback ? " = " : "",
                o->fallback ? o->fallback : "", o->doc ? o->doc : "");
  }
}

static void put_names(norn_state *st, text *t, const module *m)
{
  names c = {.st = st, .prefix = ""};
  size_t line = t->n;
  names_of_module(&c, m);
  names_sort(&c);
  for (size_t i = 0; i < c.n; i++) {
    bool wrap = i && t->n - line + strlen(c.v[i]) > 90;
    text_puts(t, !i ? "\n" : wrap ? ",\n" : ", ");
    if (!i || wrap) line = t->n;
    text_puts(t, c.v[i]);
  }
  if (c.n) text_putc(t, '\n');
  names_free(&c);
}

static void put_value(norn_state *st, text *t, const env_entry *e)
{
  val v = e->kind == ENV_CONST     ? e->value
          : e->slot < st->nglobals ? st->globals[e->slot]
                                   : norn_none();
  if (v.tag == NORN_NONE || v.tag == NORN_FUN || v.tag == NORN_NATIVE) return;
  text_puts(t, "= ");
  value_show(st, t, v, true, 60);
  text_putc(t, '\n');
}

static const char *entry_doc(norn_state *st, const env_entry *e, const char *name)
{
  text *t = &st->env->answer;
  const proto *p = entry_proto(st, e);
  const char *doc = e->doc ? e->doc : p ? p->doc : NULL;
  t->n = 0;
  put_signature(st, t, e, name);
  if (e->kind == ENV_CONST || e->kind == ENV_GLOBAL) put_value(st, t, e);
  if (doc && *doc) text_printf(t, "\n%s\n", doc);
  if (e->kind == ENV_ENGINE) put_options(t, e->engine);
  if (e->kind == ENV_MODULE) put_names(st, t, e->mod);
  return t->failed ? NULL : t->s;
}

/* A registered library, opened; diagnostics of its text would be a fault of the library. */
static module *open_library(norn_state *st, const char *name, size_t n)
{
  for (env_library *l = st->env->libraries; l; l = l->next) {
    const char *s = sym_name(st, l->mod->name);
    if (l->mod == st->env->prelude || strlen(s) != n || memcmp(s, name, n)) continue;
    return env_load_library(st, l, NULL, (norn_span){0});
  }
  return NULL;
}

/* The module that the part of a name before its last dot means, or NULL. */
static module *module_of(norn_state *st, const char *name, size_t n)
{
  sym s = sym_intern(st, name, n);
  env_entry *e = s ? env_lookup(st, st->env->visible, s) : NULL;
  if (e && e->kind == ENV_MODULE) return e->mod;
  return open_library(st, name, n);
}

const char *norn_doc(norn_state *st, const char *name)
{
  const char *dot = strrchr(name, '.');
  sym s = sym_intern(st, dot ? dot + 1 : name, strlen(dot ? dot + 1 : name));
  env_entry *e = NULL;
  if (!s || !*name) return NULL;
  if (dot) {
    module *m = module_of(st, name, (size_t)(dot - name));
    e = m ? env_lookup_in(st, m, s) : NULL;
  } else {
    e = env_lookup(st, st->env->visible, s);
  }
  if (e && *sym_name(st, e->name) != '@') return entry_doc(st, e, name);
  if (dot) return NULL;
  const char *word = env_keyword_doc(name);
  module *m = word ? NULL : open_library(st, name, strlen(name));
  if (!m) return word;
  return entry_doc(st, &(env_entry){.kind = ENV_MODULE, .mod = m}, name);
}

/* ---- completion ---- */

/* Calls f with head (n bytes) and each name behind it, in order, once. */
static void names_give(names *c, const char *head, size_t n,
                       void (*f)(void *user, const char *name), void *user)
{
  text t;
  text_init(&t, &c->st->mem);
  names_sort(c);
  for (size_t i = 0; i < c->n; i++) {
    t.n = 0;
    text_put(&t, head, n);
    text_puts(&t, c->v[i]);
    if (!t.failed) f(user, t.s);
  }
  text_free(&t);
  names_free(c);
}

static void name_try(void *c, const char *name) { names_try(c, name); }

/* The record that a dotted name of globals means; NONE: none. */
static val record_at(norn_state *st, const char *name, size_t n)
{
  const char *dot = memchr(name, '.', n);
  size_t head = dot ? (size_t)(dot - name) : n;
  sym s = sym_intern(st, name, head);
  env_entry *e = s ? env_lookup(st, st->env->visible, s) : NULL;
  if (!e || e->kind != ENV_GLOBAL) return norn_none();
  val v = st->globals[e->slot];
  while (dot && V_KIND(v) == NORN_RECORD) {
    const char *from = dot + 1;
    dot = memchr(from, '.', n - (size_t)(from - name));
    s = sym_intern(st, from, dot ? (size_t)(dot - from) : n - (size_t)(from - name));
    int k = shape_find(v_rec(v)->sh, s);
    v = k < 0 ? norn_none() : v_rec(v)->f[k];
  }
  return v;
}

static void complete_dotted(names *c, const char *name, size_t n)
{
  val v = record_at(c->st, name, n);
  if (v.tag == NORN_HANDLE) {
    field_names(c->st, ((const handle *)v.p)->row, name_try, c);
    norn_clear(c->st);
  } else if (V_KIND(v) == NORN_RECORD) {
    const shape *s = v_rec(v)->sh;
    for (uint32_t i = 0; i < s->n; i++) names_try(c, sym_name(c->st, s->names[i]));
  } else if (!memchr(name, '.', n)) {
    names_of_module(c, module_of(c->st, name, n));
  }
}

static void complete_plain(names *c)
{
  env *e = c->st->env;
  env_load_prelude(c->st);
  names_of_module(c, e->visible);
  names_of_module(c, e->host);
  if (e->prelude && e->prelude->loaded) names_of_module(c, e->prelude);
  for (size_t i = 0; e->builtins && i <= e->builtin_mask; i++)
    if (e->builtins[i].name) names_try(c, sym_name(c->st, e->builtins[i].name));
  for (int i = 0; env_keyword_at(i); i++) names_try(c, env_keyword_at(i));
}

void norn_complete(norn_state *st, const char *prefix, void (*f)(void *user, const char *name),
                   void *user)
{
  const char *dot = strrchr(prefix, '.');
  size_t head = dot ? (size_t)(dot + 1 - prefix) : 0;
  names c = {.st = st, .prefix = prefix + head};
  if (dot) complete_dotted(&c, prefix, head - 1);
  else complete_plain(&c);
  names_give(&c, prefix, head, f, user);
}
