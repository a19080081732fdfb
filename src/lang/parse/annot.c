/* annot.c: annotations: what `x: real(lower = 0)` means, and its check at entry.

   annot_describe turns the syntax into a value that the code keeps among its constants:

       [code, p, q]     p and q depend on the code:
         REAL, INT        bounds or missing
         ARRAY            description of the elements or missing, length or missing
         FN               number of arguments or missing
         TYPE             number of the type
         RECORD           array of names, array of descriptions; or missing
         others           -

   Types: real, int, big, bool, string, unit, any, array, vector, matrix, record, fn, model,
   distribution, posterior, engine, map, and types declared with `type`.  A real takes integers too.
 */
#include "lang/env_in.h"
#include "lang/parse/ast.h"
#include "lang/symbolic/delayed.h"
#include "lang/lanes/lanes.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum annot_code {
  T_ANY, T_REAL, T_INT, T_BOOL, T_STRING, T_UNIT, T_ARRAY, T_RECORD, T_FN, T_MODEL, T_DIST,
  T_POSTERIOR, T_ENGINE, T_MAP, T_BIG, T_TYPE
};

typedef struct type_word { const char *name; int code; } type_word;
static const type_word type_words[] = {
  {"any", T_ANY}, {"real", T_REAL}, {"int", T_INT}, {"bool", T_BOOL}, {"string", T_STRING},
  {"unit", T_UNIT}, {"array", T_ARRAY}, {"vector", T_ARRAY}, {"matrix", T_ARRAY},
  {"record", T_RECORD}, {"fn", T_FN}, {"model", T_MODEL}, {"distribution", T_DIST},
  {"posterior", T_POSTERIOR}, {"engine", T_ENGINE}, {"map", T_MAP},
  {"big", T_BIG},
};

/* ---- describing ---- */

typedef struct annot { norn_state *st; module *m; bool failed; } annot;

static val describe(annot *a, const ast *type);

static val triple(annot *a, int code, val p, val q)
{
  const int64_t n = 3;
  void *at;
  val v = norn_array(a->st, NORN_VALUES, 1, &n, &at);
  if (v.tag == NORN_NONE) {
    a->failed = true;
    return v;
  }
  ((val *)at)[0] = norn_int(code), ((val *)at)[1] = p, ((val *)at)[2] = q;
  return v;
}

static val refuse(annot *a, norn_span span, const char *format, const char *name)
{
  diags_add(&a->st->diags, false, span, format, name);
  a->failed = true;
  return norn_missing();
}

/* A number written out, perhaps with a minus sign. */
static val literal_of(annot *a, const ast *e)
{
  if (e->kind == AST_INT) return norn_int(e->u.i);
  if (e->kind == AST_REAL) return norn_real(e->u.d);
  if (e->kind == AST_UNARY && e->op == UN_NEG) {
    val v = literal_of(a, e->u.bin.a);
    return v.tag == NORN_INT ? norn_int(-v.i) : v.tag == NORN_REAL ? norn_real(-v.d) : v;
  }
  return refuse(a, e->span, "a bound in an annotation must be a number%s", "");
}

static val describe_number(annot *a, int code, const ast *t)
{
  val lower = norn_missing(), upper = norn_missing();
  for (uint32_t i = 0; i < t->u.tname.n; i++) {
    const ast_arg *arg = &t->u.tname.v[i];
    if (arg->name.s && !strcmp(arg->name.s, "lower")) lower = literal_of(a, arg->value);
    else if (arg->name.s && !strcmp(arg->name.s, "upper")) upper = literal_of(a, arg->value);
    else refuse(a, arg->value->span, "%s takes lower = and upper =", t->u.tname.name);
  }
  return triple(a, code, lower, upper);
}

/* array(T, n), vector(T, n), matrix(T) */
static val describe_array(annot *a, const ast *t)
{
  val elem = norn_missing(), length = norn_missing();
  bool matrix = !strcmp(t->u.tname.name, "matrix"), vector = !strcmp(t->u.tname.name, "vector");
  for (uint32_t i = 0; i < t->u.tname.n; i++) {
    const ast *x = t->u.tname.v[i].value;
    if (x->kind == AST_TYPE_NAME || x->kind == AST_TYPE_FN) elem = describe(a, x);
    else if (x->kind == AST_INT) length = norn_int(x->u.i);
    else refuse(a, x->span, "%s takes a type and a length", t->u.tname.name);
  }
  if ((matrix || vector) && elem.tag == NORN_MISSING)
    elem = triple(a, T_REAL, norn_missing(), norn_missing());
  if (matrix) elem = triple(a, T_ARRAY, elem, norn_missing());
  return triple(a, T_ARRAY, elem, length);
}

/* record(a = real, b = int) is written record(a = real): named arguments that are types. */
static val describe_record(annot *a, const ast *t)
{
  uint32_t n = t->u.tname.n;
  if (!n) return triple(a, T_RECORD, norn_missing(), norn_missing());
  int64_t dims = n;
  void *names_at, *types_at;
  val names = norn_array(a->st, NORN_VALUES, 1, &dims, &names_at),
      types = norn_array(a->st, NORN_VALUES, 1, &dims, &types_at);
  if (names.tag == NORN_NONE || types.tag == NORN_NONE) {
    a->failed = true;
    return norn_missing();
  }
  for (uint32_t i = 0; i < n; i++) {
    const ast_arg *arg = &t->u.tname.v[i];
    ((val *)names_at)[i] = norn_cstring(a->st, arg->name.s ? arg->name.s : "");
    ((val *)types_at)[i] = norn_missing();
    if (!arg->name.s)
      refuse(a, arg->value->span, "fields of a record have names: record(x = real)%s", "");
    else if (arg->value->kind == AST_NAME) {
      const ast type = {
          .kind = AST_TYPE_NAME, .span = arg->value->span, .u.tname = {.name = arg->value->u.name}};
      ((val *)types_at)[i] = describe(a, &type);
    } else if (arg->value->kind == AST_TYPE_NAME || arg->value->kind == AST_TYPE_FN) {
      ((val *)types_at)[i] = describe(a, arg->value);
    } else {
      refuse(a, arg->value->span, "the type of %s must be a name", arg->name.s);
    }
  }
  return triple(a, T_RECORD, names, types);
}

/* The type of that name whose constructors a module defines, or -1. */
static int64_t type_in(norn_state *st, const module *m, const char *name)
{
  int64_t best = -1;
  for (size_t i = 0; m && m->table && i <= m->mask; i++) {
    const env_entry *e = m->table[i];
    const ctor *c = e && e->kind == ENV_CTOR ? env_ctor(st, (uint32_t)(e->tag >> 32)) : NULL;
    if (c && (int64_t)c->type > best && !strcmp(sym_name(st, st->types[c->type].name), name))
      best = c->type;
  }
  return best;
}

static val describe_declared(annot *a, const ast *t)
{
  norn_state *st = a->st;
  const char *name = t->u.tname.name;
  int64_t found = -1;
  if (t->u.tname.module) {
    sym s = sym_intern(st, t->u.tname.module, strlen(t->u.tname.module));
    env_entry *e = env_lookup(st, a->m, s);
    if (e && e->kind == ENV_MODULE && !e->mod) {       /* a failed import, said already */
      a->failed = true;
      return norn_missing();
    }
    found = type_in(st, e && e->kind == ENV_MODULE ? e->mod : NULL, name);
  } else {
    found = type_in(st, a->m, name);
    if (found < 0 && env_load_prelude(st)) found = type_in(st, st->env->prelude, name);
  }
  if (found >= 0) return triple(a, T_TYPE, norn_int(found), norn_missing());
  static const char *const others[][2] = {
      {"integer", "int"}, {"float", "real"},   {"double", "real"},
      {"number", "real"}, {"boolean", "bool"}, {"str", "string"},
      {"list", "array"},  {"function", "fn"},  {"dist", "distribution"}};
  nearest near;
  nearest_init(&near, name);
  for (int i = 0; i < NORN_COUNT(others); i++)
    if (!strcmp(name, others[i][0])) near.best = others[i][1], near.distance = 0;
  for (int i = 0; i < NORN_COUNT(type_words); i++) nearest_try(&near, type_words[i].name);
  for (size_t i = 0; i < st->ntypes; i++) nearest_try(&near, sym_name(st, st->types[i].name));
  diag *d =
      diags_add(&st->diags, false, t->span, "there is no type %s%s%s",
                t->u.tname.module ? t->u.tname.module : "", t->u.tname.module ? "." : "", name);
  if (d && nearest_found(&near)) error_hint(&d->e, "did you mean %s?", nearest_found(&near));
  a->failed = true;
  return norn_missing();
}

static val describe(annot *a, const ast *t)
{
  if (t->kind == AST_TYPE_FN)
    return triple(a, T_FN, t->u.tfn.n || t->u.tfn.result ? norn_int(t->u.tfn.n) : norn_missing(),
                  norn_missing());
  if (t->kind != AST_TYPE_NAME) return triple(a, T_ANY, norn_missing(), norn_missing());
  for (int i = 0; i < NORN_COUNT(type_words) && !t->u.tname.module; i++) {
    if (strcmp(type_words[i].name, t->u.tname.name)) continue;
    int code = type_words[i].code;
    if (code == T_REAL || code == T_INT) return describe_number(a, code, t);
    if (code == T_ARRAY) return describe_array(a, t);
    if (code == T_RECORD) return describe_record(a, t);
    if (t->u.tname.n) refuse(a, t->span, "%s takes no arguments in an annotation", t->u.tname.name);
    return triple(a, code, norn_missing(), norn_missing());
  }
  return describe_declared(a, t);
}

/* false: a diagnostic was added (or there is no memory). */
bool annot_describe(norn_state *st, module *m, const ast *type, val *out)
{
  annot a = {.st = st, .m = m};
  *out = describe(&a, type);
  return !a.failed;
}

/* For the verifier: is this a description, all the way down? */
bool annot_valid(norn_state *st, val d)
{
  norn_view v;
  if (!norn_array_view(d, &v) || v.rank != 1 || v.n != 3 || v.elem != NORN_VALUES) return false;
  if (v.v[0].tag != NORN_INT || v.v[0].i < 0 || v.v[0].i > T_TYPE) return false;
  switch (v.v[0].i) {
  case T_TYPE: return v.v[1].tag == NORN_INT && v.v[1].i >= 0 && (size_t)v.v[1].i < st->ntypes;
  case T_ARRAY: return v.v[1].tag == NORN_MISSING || annot_valid(st, v.v[1]);
  case T_RECORD:
    if (v.v[1].tag == NORN_MISSING) return true;
    if (norn_array_length(v.v[1]) < 0 || norn_array_length(v.v[1]) != norn_array_length(v.v[2]))
      return false;
    for (int64_t i = 0; i < norn_array_length(v.v[1]); i++)
      if (norn_array_at(st, v.v[1], i).tag != NORN_STR ||
          !annot_valid(st, norn_array_at(st, v.v[2], i)))
        return false;
    return true;
  default: return true;
  }
}

/* ---- how a description reads ---- */

static void put_bounds(norn_state *st, text *t, val lower, val upper)
{
  if (lower.tag != NORN_MISSING) {
    text_puts(t, " of at least ");
    value_show(st, t, lower, true, 40);
  }
  if (upper.tag != NORN_MISSING) {
    text_puts(t, lower.tag != NORN_MISSING ? " and at most " : " of at most ");
    value_show(st, t, upper, true, 40);
  }
}

static void put_wanted(norn_state *st, text *t, val d)
{
  static const char *const nouns[] = {
    "anything", "a real number", "an integer", "a boolean", "a string", "()", "an array",
    "a record", "a function", "a model", "a distribution", "a posterior", "an engine", "a map",
    "a big real", "",
  };
  norn_view v;
  norn_array_view(d, &v);
  int code = (int)v.v[0].i;
  text_puts(t, nouns[code]);
  if (code == T_REAL || code == T_INT) put_bounds(st, t, v.v[1], v.v[2]);
  if (code == T_TYPE) text_printf(t, "a %s", sym_name(st, st->types[v.v[1].i].name));
  if (code == T_FN && v.v[1].tag == NORN_INT)
    text_printf(t, " of %" PRId64 " argument%s", v.v[1].i, v.v[1].i == 1 ? "" : "s");
  for (int64_t i = 0; code == T_RECORD && i < norn_array_length(v.v[1]); i++)
    text_printf(t, "%s%s", i ? ", " : " with ",
                norn_string_view(norn_array_at(st, v.v[1], i), NULL));
  if (code == T_ARRAY && v.v[2].tag == NORN_INT) text_printf(t, " of length %" PRId64, v.v[2].i);
  if (code == T_ARRAY && v.v[1].tag != NORN_MISSING) {
    text_puts(t, " whose elements are each ");
    put_wanted(st, t, v.v[1]);
  }
}

/* ---- checking ---- */

/* Where a value does not fit: the description and the part of the value at fault. */
typedef struct fault { val wanted, got; int64_t at; } fault;     /* at: index in an array, or -1 */

static bool fits(norn_state *st, val d, val x, fault *f);

static bool in_bounds(val lower, val upper, val x)
{
  double lo, hi, at = 0;
  norn_as_real(x, &at);
  if (norn_as_real(lower, &lo) && !(at >= lo)) return false;
  return !norn_as_real(upper, &hi) || at <= hi;
}

static bool elements_fit(norn_state *st, val d, val x, fault *f)
{
  norn_view v, elem;
  norn_array_view(x, &v);
  norn_array_view(d, &elem);
  bool bounded = elem.v[1].tag != NORN_MISSING || elem.v[2].tag != NORN_MISSING;
  if (v.rank == 1 && !bounded) {               /* packed arrays are known by their kind */
    int code = (int)elem.v[0].i;
    if (code == T_ANY || (v.elem == NORN_F64 && code == T_REAL) ||
        (v.elem == NORN_B8 && code == T_BOOL))
      return true;
    if (v.elem == NORN_I64 && (code == T_INT || code == T_REAL)) return true;
  }
  for (int64_t i = 0; i < v.dims[0]; i++) {
    if (fits(st, d, norn_array_at(st, x, i), f)) continue;
    if (f->at < 0) f->at = i;
    return false;
  }
  return true;
}

static bool array_fits(norn_state *st, const val *d, val x, fault *f)
{
  if (x.tag != NORN_ARRAY) return false;
  if (d[1].tag == NORN_INT && norn_array_length(x) != d[1].i) return false;
  return d[0].tag == NORN_MISSING || elements_fit(st, d[0], x, f);
}

static bool record_fits(norn_state *st, const val *d, val x, fault *f)
{
  if (x.tag != NORN_RECORD) return false;
  int64_t n = d[0].tag == NORN_MISSING ? 0 : norn_array_length(d[0]);
  for (int64_t i = 0; i < n; i++) {
    val y = norn_record_get(st, x, norn_string_view(norn_array_at(st, d[0], i), NULL));
    if (y.tag == NORN_NONE || !fits(st, norn_array_at(st, d[1], i), y, f)) return false;
  }
  return true;
}

static bool function_fits(val arity, val x)
{
  if (x.tag == NORN_NATIVE) return true;
  if (x.tag != NORN_FUN) return false;
  const proto *p = v_clo(x)->p;
  return arity.tag != NORN_INT || (arity.i >= p->nreq && arity.i <= p->nargs);
}

static bool dist_fits(val x, bool posterior)
{
  norn_dist d;
  if (!posterior && x.tag == NORN_MODEL) return true;
  return norn_dist_view(x, &d) && (!posterior || d.row->flags & NORN_DIST_POSTERIOR);
}

static bool fits_kind(norn_state *st, int code, const val *d, val x, fault *f)
{
  bool anywhere = code == T_ANY || (code == T_REAL && d[0].tag == NORN_MISSING && d[1].tag == NORN_MISSING);
  if (anywhere && v_is_random(x) && v_rvar(x)->h.aux != RANDOM_LEAF) return true;   /* not yet drawn */
  x = latent_value(st, x);
  switch (code) {
  case T_REAL:
    if (V_KIND(x) == NORN_NODE) x = norn_real(x.d);
    if (v_is_lanes(x)) return lanes_fit(st, x, d[0], d[1]);
    return (V_IS_REAL(x) || V_IS_INT(x)) && in_bounds(d[0], d[1], x);
  case T_INT: return V_IS_INT(x) && in_bounds(d[0], d[1], x);
  case T_BOOL: return V_IS_BOOL(x);
  case T_STRING: return x.tag == NORN_STR;
  case T_UNIT: return x.tag == NORN_UNIT;
  case T_ARRAY: return array_fits(st, d, x, f);
  case T_RECORD: return record_fits(st, d, x, f);
  case T_FN: return function_fits(d[0], x);
  case T_MODEL: return x.tag == NORN_MODEL || (x.tag == NORN_FUN && v_clo(x)->p->is_model);
  case T_DIST: return dist_fits(x, false);
  case T_POSTERIOR: return dist_fits(x, true);
  case T_ENGINE: return x.tag == NORN_ENGINE;
  case T_MAP: return x.tag == NORN_MAP;
  case T_BIG: return x.tag == NORN_BIG;
  case T_TYPE: {
    const ctor *c =
        V_KIND(x) == NORN_ENUM || V_KIND(x) == NORN_DATA ? env_ctor(st, V_CTOR(x)) : NULL;
    return c && c->type == (uint32_t)d[0].i;
  }
  default: return true;
  }
}

/* An argument that was not given has no kind yet: its default is checked, not its absence. */
static bool fits(norn_state *st, val d, val x, fault *f)
{
  norn_view v;
  norn_array_view(d, &v);
  if (x.tag == NORN_NONE || fits_kind(st, (int)v.v[0].i, v.v + 1, x, f)) return true;
  if (f->got.tag == NORN_NONE) f->wanted = d, f->got = x;
  return false;
}

const char *annot_check(norn_state *st, val description, val x, char *out, size_t n)
{
  fault f = {.got = norn_none(), .at = -1};
  char got[160], place[40] = "";
  if (fits(st, description, x, &f)) return NULL;
  text t;
  text_init(&t, &st->mem);
  put_wanted(st, &t, f.wanted);
  if (f.got.tag == NORN_FUN && !v_clo(f.got)->p->is_model)
    snprintf(got, sizeof got, "a function of %u argument%s", v_clo(f.got)->p->nargs,
             v_clo(f.got)->p->nargs == 1 ? "" : "s");
  else if (V_IS_HEAP(f.got)) norn_describe(st, f.got, got, sizeof got);
  else snprintf(got, sizeof got, "%s", norn_show(st, f.got, true, 60));
  if (f.at >= 0) snprintf(place, sizeof place, " at element %" PRId64, f.at);
  snprintf(out, n, "the annotation asks for %s, got %s%s", t.s ? t.s : "?", got, place);
  text_free(&t);
  return out;
}
