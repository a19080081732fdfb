/* test_random.c: random programs against a plain evaluator.  A program is a tree of numbers, names,
   arithmetic, comparisons, lets that hide each other, folds of one or two states, local functions and
   lambdas that catch what is around them, matches.  The tree is written as text for Norn, and worked out
   here on the tree itself.  An argument gives the first seed, so that a failure can be looked at. */
#include "unit.h"
#include "norn.h"
#include <stdarg.h>
#include <stdlib.h>

typedef enum {
  INT,
  REAL,
  VAR,
  ADD,
  SUB,
  MUL,
  IDIV,
  MOD,
  NEG,
  IF,
  LET,
  FOLD,
  FN,
  LAMBDA,
  MATCH
} kind;
typedef struct node { kind k; double v; int op, var[3], n; struct node *e[6]; } node;

enum { NODES = 4000, NAMES = 6, DEPTH = 7, TEXT = 200000 };
static const double WRAP = 10007;

typedef struct maker { uint64_t seed; node pool[NODES]; int n; bool bound[NAMES]; } maker;

static uint32_t roll(maker *m, uint32_t n)
{
  m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(m->seed >> 33) % n;
}

static node *make(maker *m, int depth);

static node *bind(maker *m, int var, int depth)      /* a tree in which var has a value */
{
  bool was = m->bound[var];
  m->bound[var] = true;
  node *e = make(m, depth);
  m->bound[var] = was;
  return e;
}

static node *leaf(maker *m, node *e)
{
  int v = (int)roll(m, NAMES);
  if (roll(m, 3) && m->bound[v]) { e->k = VAR; e->var[0] = v; return e; }
  e->k = roll(m, 3) ? INT : REAL;
  e->v = e->k == INT ? roll(m, 20) : roll(m, 40) / 4.0;
  return e;
}

static void make_fold(maker *m, node *e, int depth)
{
  bool was[NAMES];
  e->n = 1 + (int)roll(m, 2);
  e->v = roll(m, 6);
  for (int i = 0; i < 3; i++)
    e->var[i] = (int)((roll(m, 2) + 2 * (uint32_t)i) % NAMES); /* all different */
  for (int i = 0; i < e->n; i++) e->e[i] = make(m, depth);
  memcpy(was, m->bound, sizeof was);
  for (int i = 0; i < 3; i++) if (i < e->n || i == 2) m->bound[e->var[i]] = true;
  for (int i = 0; i < 2 * e->n; i++) e->e[2 + i] = make(m, depth); /* next in both branches */
  memcpy(m->bound, was, sizeof was);
}

static node *make(maker *m, int depth)
{
  if (m->n >= NODES) abort();
  node *e = m->pool + m->n++;
  *e = (node){ 0 };
  if (depth == 0 || m->n > NODES / 2 || !roll(m, 6)) return leaf(m, e);
  e->k = (kind)(ADD + roll(m, MATCH - ADD + 1));
  e->op = (int)roll(m, 6);
  e->var[0] = (int)roll(m, NAMES);
  switch (e->k) {
  case FOLD: make_fold(m, e, depth - 2 > 0 ? depth - 2 : 0); break;
  case LET:
  case LAMBDA:
    e->e[0] = make(m, depth - 1);
    e->e[1] = bind(m, e->var[0], depth - 1);
    break;
  case FN:
    e->e[0] = make(m, depth - 1);
    e->e[1] = bind(m, e->var[0], depth - 1);
    e->e[2] = make(m, depth - 1);
    break;
  default:
    for (int i = 0; i < 4; i++)
      e->e[i] = i < 2 || e->k == IF || e->k == MATCH ? make(m, depth - 1) : NULL;
  }
  if (e->k == IDIV || e->k == MOD) e->v = 1 + roll(m, 9);
  return e;
}

/* ---- as text ---- */

typedef struct out { char *s; size_t n; } out;
static void put(out *o, const char *format, ...) NORN_PRINTF(2, 3);
static void put(out *o, const char *format, ...)
{
  va_list a;
  va_start(a, format);
  if (o->n < TEXT) o->n += (size_t)vsnprintf(o->s + o->n, TEXT - o->n, format, a);
  va_end(a);
}

static const char *const compare[] = { "<", "<=", ">", ">=", "==", "!=" };
static const char names[] = "abcdef";

static void write_tree(out *o, const node *e);
static void pair(out *o, const char *before, const node *a, const char *between, const node *b,
                 const char *after)
{
  put(o, "%s", before);
  write_tree(o, a);
  put(o, "%s", between);
  write_tree(o, b);
  put(o, "%s", after);
}

static void write_fold(out *o, const node *e)
{
  const char *i = names + e->var[2];
  put(o, "(for %c in 0..%d with ", *i, (int)e->v);
  for (int k = 0; k < e->n; k++) {
    put(o, "%s%c = ", k ? ", " : "", names[e->var[k]]);
    write_tree(o, e->e[k]);
  }
  put(o, " { if %c %% 2 %s 0 { next ", *i, compare[4 + e->op % 2]);
  for (int k = 0; k < 2 * e->n; k++) {
    if (k == e->n) put(o, " } else { next ");
    else if (k) put(o, ", ");
    put(o, "(");
    write_tree(o, e->e[2 + k]);
    put(o, ") %% 10007");
  }
  put(o, " } })");
  if (e->n == 2) put(o, ".%c", names[e->var[e->op % 2]]);
}

static void write_tree(out *o, const node *e)
{
  char b[64];
  switch (e->k) {
  case INT: put(o, "%d", (int)e->v); break;
  case REAL: put(o, "%.2f", e->v); break;
  case VAR: put(o, "%c", names[e->var[0]]); break;
  case ADD: pair(o, "(", e->e[0], " + ", e->e[1], ")"); break;
  case SUB: pair(o, "(", e->e[0], " - ", e->e[1], ")"); break;
  case MUL: pair(o, "((", e->e[0], ") * (", e->e[1], ") % 10007)"); break;
  case IDIV:
  case MOD:
    put(o, "((");
    write_tree(o, e->e[0]);
    put(o, ") %s %d)", e->k == MOD ? "%" : "//", (int)e->v);
    break;
  case NEG: put(o, "(-("); write_tree(o, e->e[0]); put(o, "))"); break;
  case IF:
    snprintf(b, sizeof b, " %s ", compare[e->op]);
    pair(o, "(if ", e->e[0], b, e->e[1], " { ");
    pair(o, "", e->e[2], " } else { ", e->e[3], " })");
    break;
  case LET:
    snprintf(b, sizeof b, "({ let %c = ", names[e->var[0]]);
    pair(o, b, e->e[0], "; ", e->e[1], " })");
    break;
  case LAMBDA:
    put(o, "((%c -> ", names[e->var[0]]);
    pair(o, "", e->e[1], ")(", e->e[0], "))");
    break;
  case FN:
    put(o, "({ fn g(%c) = ", names[e->var[0]]);
    pair(o, "", e->e[1], "; g(", e->e[0], ")");
    pair(o, " + g(", e->e[2], ") % 10007 + (", e->e[2], ") })");
    break;
  case MATCH:
    pair(o, "(match (", e->e[0], ") % 3 { 0 -> ", e->e[1], "");
    pair(o, ", 1 -> ", e->e[2], ", _ -> ", e->e[3], " })");
    break;
  case FOLD: write_fold(o, e); break;
  }
}

/* ---- worked out ---- */

static double wrap(double a, double b)
{
  double r = fmod(a, b);
  return r != 0 && r < 0 ? r + b : r;
}

static bool holds(int op, double a, double b)
{
  switch (op) {
  case 0: return a < b;
  case 1: return a <= b;
  case 2: return a > b;
  case 3: return a >= b;
  case 4: return a == b;
  default: return a != b;
  }
}

static double value(const node *e, double *env);

static double with(const node *e, double *env, int var, double x)
{
  double was = env[var], y;
  env[var] = x;
  y = value(e, env);
  env[var] = was;
  return y;
}

static double value_fold(const node *e, double *env)
{
  double s[2], t[2], was[NAMES];
  for (int k = 0; k < e->n; k++) s[k] = value(e->e[k], env);
  memcpy(was, env, sizeof was);
  for (int i = 0; i < (int)e->v; i++) {
    env[e->var[2]] = i;
    for (int k = 0; k < e->n; k++) env[e->var[k]] = s[k];
    int at = holds(4 + e->op % 2, i % 2, 0) ? 2 : 2 + e->n;
    for (int k = 0; k < e->n; k++) t[k] = wrap(value(e->e[at + k], env), WRAP);
    memcpy(s, t, sizeof s);
  }
  memcpy(env, was, sizeof was);
  return e->n == 2 ? s[e->op % 2] : s[0];
}

static double value(const node *e, double *env)
{
  switch (e->k) {
  case INT: case REAL: return e->v;
  case VAR: return env[e->var[0]];
  case ADD: return value(e->e[0], env) + value(e->e[1], env);
  case SUB: return value(e->e[0], env) - value(e->e[1], env);
  case MUL: return wrap(value(e->e[0], env) * value(e->e[1], env), WRAP);
  case IDIV: return floor(value(e->e[0], env) / e->v);
  case MOD: return wrap(value(e->e[0], env), e->v);
  case NEG: return -value(e->e[0], env);
  case IF: return value(e->e[holds(e->op, value(e->e[0], env), value(e->e[1], env)) ? 2 : 3], env);
  case LET: case LAMBDA: return with(e->e[1], env, e->var[0], value(e->e[0], env));
  case FN: {
    double c = value(e->e[2], env);
    return with(e->e[1], env, e->var[0], value(e->e[0], env)) +
           wrap(with(e->e[1], env, e->var[0], c), WRAP) + c;
  }
  case MATCH: {
    double x = wrap(value(e->e[0], env), 3);
    return value(e->e[x == 0 ? 1 : x == 1 ? 2 : 3], env); }
  default: return value_fold(e, env);
  }
}

static void once(norn_state *st, maker *m, char *space, uint64_t seed)
{
  double env[NAMES] = { 0 }, got = 0;
  norn_datum v;
  m->seed = seed * 0x9e3779b97f4a7c15u;
  m->n = 0;
  memset(m->bound, 0, sizeof m->bound);
  node *e = make(m, 3 + (int)(seed % (DEPTH - 2)));
  out o = { space, 0 };
  write_tree(&o, e);
  if (o.n >= TEXT) return;
  double want = value(e, env);
  norn_status s = norn_eval(st, "random.norn", o.s, o.n, 0, &v);
  unit.checks++;
  if (s == NORN_OK && norn_as_real(v, &got) && got == want) return;
  unit_fail(__FILE__, __LINE__);
  fprintf(stderr, "seed %llu: %.17g, not %.17g %s\n%s\n", (unsigned long long)seed, got, want,
          s ? norn_error(st)->text : "", o.s);
}

int main(int argc, char **argv)
{
  uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1,
           n = argc > 2 ? strtoull(argv[2], NULL, 10) : 3000;
  maker *m = malloc(sizeof *m);
  char *space = malloc(TEXT);
  norn_state *st = NULL;
  for (uint64_t k = 0; k < n && unit.failed < 5; k++) {
    if (k % 200 == 0) { norn_free(st); st = norn_new(NULL); }
    once(st, m, space, first + k);
  }
  norn_free(st);
  free(m);
  free(space);
  return unit_end();
}
