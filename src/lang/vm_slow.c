/* vm_slow.c: the cold halves of instructions: calls of anything but a plain function with the right
   number of arguments, fields and elements of anything but records and arrays, and error places. */
#include "lang/symbolic/delayed.h"
#include "lang/parse/elsewhere.h"
#include "lang/compile/flow.h"
#include "lang/lanes/lanes.h"
#include "lang/run.h"
#include "lang/env.h"
#include "lang/symbolic/node.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- error places ---- */

/* Completes the state's error with its span and the calls that led to it.  What fails inside the
   standard library is the fault of its first caller outside, whose call gets the caret; where there is none (a
   model of the library is inferred), who drives the run knows the place. */
void run_fail(norn_run *r, const ins *pc, int arg)
{
  norn_state *st = r->st;
  norn_err *e = &st->err;
  if (e->span.file) return;
  const val *R = r->R;
  const proto *p = v_clo(R[-1])->p;
  norn_span inside = proto_span(p, (uint32_t)(pc - p->code), arg);
  e->ntrace = 0;
  if (!p->stdlib) e->span = inside;
  while (e->ntrace < NORN_TRACE_MAX) {
    const val *f = R - FRAME_SIZE;
    pc = FRAME_PC(f);
    if (pc == run_water_code) pc = r->wpc;
    if (pc == run_halt_code || FRAME_DIST(f) == 0) break;
    R = (const val *)((const char *)R - FRAME_DIST(f));
    p = v_clo(R[-1])->p;
    if (p->stdlib) continue;
    norn_span s = proto_span(p, (uint32_t)(pc - p->code) - 1, -1);
    if (!s.file) continue;
    if (!e->span.file) e->span = s;
    else e->trace[e->ntrace++] = s;
  }
}

norn_span run_place(const norn_run *r)
{
  const val *R = r->R;
  const ins *pc = r->pc;
  const proto *p = v_clo(R[-1])->p;
  norn_span s = proto_span(p, (uint32_t)(pc - p->code), -1);
  while (p->stdlib) {
    const val *f = R - FRAME_SIZE;
    pc = FRAME_PC(f);
    if (pc == run_water_code) pc = r->wpc;
    if (pc == run_halt_code || FRAME_DIST(f) == 0) break;
    R = (const val *)((const char *)R - FRAME_DIST(f));
    p = v_clo(R[-1])->p;
    s = proto_span(p, (uint32_t)(pc - p->code) - 1, -1);
  }
  return p->stdlib ? (norn_span){0, 0, 0} : s;
}

norn_span norn_here(norn_state *st)
{
  return st->current ? run_place(st->current) : (norn_span){0, 0, 0};
}

/* Can an instruction that failed half-way for want of memory run again?  Not what has effects. */
bool vm_may_run_again(const ins *pc, const val *R)
{
  const val *w = (const val *)((const char *)R + pc->a);
  switch (pc->op) {
  case OP_CALLX:
  case OP_SAMPLE: case OP_SAMPLED: case OP_SAMPLEV:
  case OP_OBSERVE: case OP_OBSERVED:
  case OP_INFER: case OP_MEMNEW: return false;
  case OP_NATIVE: return ((const norn_native *)pc[1].p)->flags & NORN_PURE;
  case OP_CALL: case OP_TCALL:
    return w[FRAME_SIZE - 1].tag == NORN_FUN && !is_method(w[FRAME_SIZE - 1]);
  case OP_GETF: return ((const val *)((const char *)R + pc->b))->tag != NORN_HANDLE;
  default: return true;
  }
}

/* ---- calls ---- */

enum { NATIVE_ARGS = METHOD_ARGS, NAMED_ARGS = 64 };

static const char *plural(int n) { return n == 1 ? "" : "s"; }

static void signature(norn_state *st, const proto *p, char *b, size_t n)
{
  size_t k = (size_t)snprintf(b, n, "%s(", p->name);
  for (int i = 0; i < p->nargs && k < n; i++) {
    const char *name = p->params ? sym_name(st, p->params[i]) : "_";
    const char *value = i >= p->nreq && p->nargs <= 8 ? " = ..." : "";
    k += (size_t)snprintf(b + k, n - k, "%s%s%s", i ? ", " : "", name, value);
  }
  if (k < n) snprintf(b + k, n - k, ")");
}

static void fail_count(norn_state *st, const char *name, int takes, int got)
{
  norn_fail(st, NORN_ETYPE, -1, "%s takes %d argument%s, got %d", name, takes, plural(takes), got);
}

static bool arity_ok(norn_state *st, const proto *p, int n)
{
  char s[200];
  if (n >= p->nreq && n <= p->nargs) return true;
  signature(st, p, s, sizeof s);
  if (p->nreq == p->nargs) fail_count(st, p->name, p->nargs, n);
  else
    norn_fail(st, NORN_ETYPE, -1, "%s takes %d to %d arguments, got %d", p->name, p->nreq,
              p->nargs, n);
  norn_hint(st, "%s", s);
  return false;
}

static val native_value(norn_state *st, const norn_native *f, const val *args, int n)
{
  val out = norn_none();
  size_t lent = st->nscratch;      /* by a native that called us */
  val known[NATIVE_ARGS];
  st->err_arg = -1;
  if (NORN_UNLIKELY(st->home != NULL) && !crew_may_call(f, args, n)) return state_at_home(st);
  if (latent_on(st) && st->current && st->current->delay && !norn_is_none(out = delayed_native(st, f->name, args, n)))
    return out;
  if (latent_on(st) && f->f && n <= NATIVE_ARGS && !latent_native(st, f, &args, n, known)) return out;
  if (st->lanes && f->f && lanes_native(st, f, args, n, &out)) return out;
  if (st->graph && f->f && node_record(st, f, args, n, &out) == NODE_DONE) return out;
  if (!f->f) {
    if (n != 1) return state_fail(st, NORN_ETYPE, "%s takes 1 argument, got %d", f->name, n);
    out = arith_map1(st, f, args[0]);
  } else if (f->f(st, args, n, &out)) {
    out = norn_none();
  } else if (norn_is_none(out)) {
    state_fail(st, NORN_EUSE, "%s gave no value", f->name);
  }
  state_scratch_free(st, lent);
  return out;
}

val vm_native(norn_run *r, const norn_native *f, const val *args, int n)
{
  return native_value(r->st, f, args, n);
}

/* Puts the defaults behind n arguments; the number of all, -1: one has no default. */
static int native_defaults(const env_entry *e, int n, val *args)
{
  int last = e->variadic ? e->npars - 1 : e->npars;      /* the rest of a variadic may be empty */
  for (; n < last; n++) {
    if (norn_is_none(e->pdefaults[n])) return -1;
    args[n] = e->pdefaults[n];
  }
  return n;
}

/* A native called as a value: arity and defaults come from its entry.  NONE: error set. */
val vm_native_value(norn_state *st, const norn_native *f, const val *W, int n)
{
  const env_entry *e = env_of_native(st, f);
  val args[NATIVE_ARGS];
  const val *given = W;
  int all = n;
  if (!e && st->home) return state_at_home(st);
  if (e && n <= NATIVE_ARGS && e->npars <= NATIVE_ARGS) {
    if (!e->variadic && n > e->npars) {
      fail_count(st, f->name, e->npars, n);
      return norn_none();
    }
    for (int i = 0; i < n; i++) args[i] = W[i];
    all = native_defaults(e, n, args);
    if (all < 0) {
      norn_fail(st, NORN_ETYPE, -1, "%s(%s) got only %d argument%s", f->name, e->params, n,
                plural(n));
      return norn_none();
    }
    given = args;
  }
  return native_value(st, f, given, all);
}

static call_result call_model(norn_run *r, val *W, int n, const proto *p)
{
  norn_state *st = r->st;
  if (!arity_ok(st, p, n)) return CALL_FAIL;
  modl *m = heap_alloc(st, sizeof *m + (size_t)(n + 2) * sizeof(val));
  if (!m) return CALL_FAIL;
  obj_init(m, NORN_MODEL, 0, (uint32_t)n + 2);
  m->pad = 0;
  m->a[0] = W[-1];
  m->a[1] = norn_unit();
  memcpy(m->a + 2, W, (size_t)n * sizeof(val));
  W[-FRAME_SIZE] = v_obj(NORN_MODEL, m);
  return CALL_DONE;
}

/* The field that the callee's register got its value from; 0: from elsewhere. */
static sym called_field(const norn_run *r, const val *W)
{
  const proto *p = run_proto(r);
  int reg = (int)(W - 1 - r->R);
  sym name = 0;
  flow f;
  for (uint32_t pc = 0; p->code + pc < r->pc; pc += (uint32_t)f.size) {
    flow_of(p->code, pc, &f);
    if (f.def == reg) name = p->code[pc].op == OP_GETF ? (sym)p->code[pc + 1].i : 0;
  }
  return name;
}

static void hint_nothing(norn_run *r, const val *W)
{
  norn_state *st = r->st;
  sym name = called_field(r, W);
  if (W[-1].tag == NORN_MODEL)
    norn_hint(st, "a model value has its arguments already: sample it with ~ or give it to infer");
  else if (name) norn_hint(st, "%s is a field, which is written without ()", sym_name(st, name));
  else if (W[-1].tag == NORN_ARRAY) norn_hint(st, "an element is written with brackets: a[i]");
}

static call_result call_nothing(norn_run *r, const val *W)
{
  char b[120];
  norn_fail(r->st, NORN_ETYPE, -1, "only functions can be called, this is %s",
            norn_describe(r->st, W[-1], b, sizeof b));
  hint_nothing(r, W);
  return CALL_FAIL;
}

call_result vm_call(norn_run *r, val *W, int n, const proto **out)
{
  norn_state *st = r->st;
  val f = W[-1];
  if (f.tag == NORN_NATIVE) {
    val v = vm_native_value(st, f.q, W, n);
    if (norn_is_none(v)) return CALL_FAIL;
    W[-FRAME_SIZE] = v;
    return CALL_DONE;
  }
  if (f.tag != NORN_FUN) return call_nothing(r, W);
  const proto *p = v_clo(f)->p;
  if (p->is_model) return call_model(r, W, n, p);
  if (!arity_ok(st, p, n)) return CALL_FAIL;
  if (is_method(f)) {
    val v = method_call(st, v_clo(f), W, n);
    if (norn_is_none(v)) return CALL_FAIL;
    W[-FRAME_SIZE] = v;
    return CALL_DONE;
  }
  if ((char *)W + p->bytes > (char *)r->lim && !(W = run_grow(r, W, p->bytes))) return CALL_FAIL;
  for (int i = n; i < p->nargs; i++) W[i] = norn_none();
  *out = p;
  return CALL_ENTER;
}

/* ---- calls with named arguments ---- */

/* The place of argument i, whose name is 0 if it is positional; -1: error set. */
static int named_place(norn_state *st, const proto *p, sym name, int i, int n)
{
  char b[240];
  nearest near;
  int k = i;
  if (name)
    for (k = 0; k < p->nargs && p->params[k] != name; k++) { }
  if (k < p->nargs) return k;
  if (name) norn_fail(st, NORN_ETYPE, i, "%s has no parameter %s", p->name, sym_name(st, name));
  else fail_count(st, p->name, p->nargs, n);
  signature(st, p, b, sizeof b);
  nearest_init(&near, name ? sym_name(st, name) : "");
  for (k = 0; name && k < p->nargs; k++) nearest_try(&near, sym_name(st, p->params[k]));
  const char *close = name ? nearest_found(&near) : NULL;
  norn_hint(st, "%s%s%s%s", close ? "did you mean " : "", close ? close : "", close ? "? " : "", b);
  return -1;
}

/* Spreads n arguments at W over the parameters' places; the others are none. */
static bool spread_named(norn_state *st, const proto *p, const val *W, int n, const int64_t *names,
                         val *args)
{
  for (int i = 0; i < p->nargs; i++) args[i] = norn_none();
  for (int i = 0; i < n; i++) {
    int k = named_place(st, p, (sym)names[i], i, n);
    if (k < 0) return false;
    if (!norn_is_none(args[k])) {
      norn_fail(st, NORN_ETYPE, i, "%s gets its parameter %s twice", p->name,
                sym_name(st, p->params[k]));
      return false;
    }
    args[k] = W[i];
  }
  return true;
}

/* Puts named arguments into their places.  names: one symbol an argument, 0 for positional ones. */
bool vm_call_named(norn_run *r, val *W, int n, val names, int *count)
{
  norn_state *st = r->st;
  norn_view v;
  val f = W[-1], args[NAMED_ARGS];
  char b[120];
  norn_array_view(names, &v);
  if (f.tag != NORN_FUN) {
    norn_fail(st, NORN_ETYPE, -1, "only functions take named arguments here, this is %s",
              norn_describe(st, f, b, sizeof b));
    if (f.tag != NORN_NATIVE) hint_nothing(r, W);
    return false;
  }
  if (st->home && is_method(f)) return state_at_home(st), false;
  const proto *p = v_clo(f)->p;
  if (p->nargs > NAMED_ARGS || n > NAMED_ARGS) {
    norn_fail(st, NORN_ETYPE, -1, "too many arguments");
    return false;
  }
  if (!spread_named(st, p, W, n, v.i, args)) return false;
  int last = p->nargs;
  while (last > 0 && norn_is_none(args[last - 1])) last--;
  for (int i = 0; i < last && i < p->nreq; i++)
    if (norn_is_none(args[i])) {
      norn_fail(st, NORN_ETYPE, -1, "%s needs its parameter %s", p->name,
                sym_name(st, p->params[i]));
      return false;
    }
  if ((char *)(W + last + 2) > (char *)r->lim) {
    W = run_grow(r, W, (size_t)(last + 2) * sizeof(val));
    if (!W) return false;
  }
  for (int i = 0; i < last; i++) W[i] = args[i];
  *count = last;
  return true;
}

/* ---- fields ---- */

/* Elsewhere x.length is a field; here it may be a function. */
static void hint_function(norn_state *st, const char *name)
{
  const char *here = elsewhere_find(name);
  if (!here || strchr(here, ' ')) here = name;
  env_entry *f = st->home ? NULL : env_lookup(st, env_session(st), sym_intern(st, here, strlen(here)));
  if (f && (f->known || f->native)) norn_hint(st, "%s is a function: %s(x)", here, here);
}

static val no_field(norn_state *st, val x, sym name)
{
  char b[200];
  nearest near;
  const char *want = sym_name(st, name);
  norn_fail(st, NORN_ETYPE, -1, "no field %s in %s", want, norn_describe(st, x, b, sizeof b));
  nearest_init(&near, want);
  if (x.tag == NORN_RECORD) {
    const shape *sh = v_rec(x)->sh;
    for (uint32_t i = 0; i < sh->n; i++) nearest_try(&near, sym_name(st, sh->names[i]));
  }
  if (nearest_found(&near)) norn_hint(st, "did you mean %s?", nearest_found(&near));
  else hint_function(st, want);
  return norn_none();
}

static val dist_field(norn_state *st, val x, const char *name)
{
  norn_dist d;
  val out = norn_none();
  norn_dist_view(x, &d);
  if (!d.row->field) return norn_none();
  if (d.row->field(st, &d, name, &out)) return norn_none();
  return out;
}

/* cache: the literal of the instruction, see GETF. */
val vm_getf(norn_run *r, val x, sym name, uint64_t *cache)
{
  norn_state *st = r->st;
  st->err.code = NORN_OK;
  if (x.tag == NORN_RECORD) {
    int i = shape_find(v_rec(x)->sh, name);
    if (i < 0) return no_field(st, x, name);
    __atomic_store_n(cache, (uint64_t)v_rec(x)->sh->id << 32 | (uint32_t)i, __ATOMIC_RELAXED);
    return v_rec(x)->f[i];
  }
  if (x.tag == NORN_DIST) {
    val v = dist_field(st, x, sym_name(st, name));
    return norn_is_none(v) && !st->err.code ? no_field(st, x, name) : v;
  }
  if (x.tag == NORN_HANDLE) return field_of_handle(st, x, name);
  if (V_KIND(x) == NORN_DATA) {
    const ctor *c = env_ctor(st, V_CTOR(x));
    for (uint32_t i = 0; c && c->fields && i < c->arity; i++)
      if (c->fields[i] == name) return ((data *)x.p)->f[i];
  }
  return no_field(st, x, name);
}

/* ---- elements ---- */

static val array_index(norn_state *st, const vec *v, val i)
{
  char b[120];
  if (!V_IS_INT(i)) {
    norn_fail(st, NORN_ETYPE, 1, "an index must be an integer, got %s",
              norn_describe(st, i, b, sizeof b));
    if (V_IS_REAL(i)) norn_hint(st, "floor(x) or round(x) makes an integer of a real");
    return norn_none();
  }
  if (i.i < 0 || i.i >= v->len) {
    long long last = (long long)v->len - 1;
    norn_fail(st, NORN_EDOMAIN, 1, "index %lld is outside an array of length %lld", (long long)i.i,
              last + 1);
    norn_hint(st, v->len ? "indices run from 0 to %lld" : "the array is empty", last);
    return norn_none();
  }
  return vec_at(st, v, i.i);             /* near the end of a shared history no copy is made */
}

static val record_index(norn_state *st, val x, val i)
{
  char b[96];
  size_t n;
  const char *s = norn_string_view(i, &n);
  if (!s) {
    norn_fail(st, NORN_ETYPE, 1, "a record is indexed by a string, got %s",
              norn_describe(st, i, b, sizeof b));
    return norn_none();
  }
  sym name = sym_intern(st, s, n);
  int k = shape_find(v_rec(x)->sh, name);
  return k < 0 ? no_field(st, x, name) : v_rec(x)->f[k];
}

/* A name, or the number of one of the parts of an array: post[i] is the choice "[i]". */
static val posterior_index(norn_state *st, val x, val i)
{
  char part[32];
  const char *s = norn_string_view(i, NULL);
  if (V_IS_INT(i)) {
    snprintf(part, sizeof part, "[%lld]", (long long)i.i);
    s = part;
  }
  val v = s ? dist_field(st, x, s) : norn_none();
  if (!norn_is_none(v) || st->err.code) return v;
  norn_fail(st, NORN_ETYPE, 1, "no choice or field %s in this posterior",
            s ? s : norn_show(st, i, true, 60));
  norn_hint(st, "mh, nuts, enumerate and importance keep named choices; smc does so "
                "with keep = \"choices\"");
  return norn_none();
}

/* Bytes of the character at s; what is malformed counts as one. */
static size_t character(const char *s, size_t n)
{
  uint32_t code;
  int k = utf8_next(s, n, &code);
  return k ? (size_t)k : 1;
}

static val string_index(norn_state *st, val x, int64_t i)
{
  size_t n, k = 0;
  const char *s = norn_string_view(x, &n);
  int64_t left = i;
  for (; left > 0 && k < n; left--) k += character(s + k, n - k);
  if (i >= 0 && left == 0 && k < n) {
    uint32_t code;
    return norn_string(st, s + k, (size_t)utf8_next(s + k, n - k, &code));
  }
  norn_fail(st, NORN_EDOMAIN, 1, "index %lld is outside a string of length %zu", (long long)i,
            utf8_count(s, n));
  return norn_none();
}

static val map_index(norn_state *st, val x, val key)
{
  val v = norn_map_get(x, key);
  if (norn_is_none(v))
    norn_fail(st, NORN_EDOMAIN, 1, "the map has no key %s", norn_show(st, key, true, 60));
  return v;
}

val vm_index(norn_run *r, val x, val i)
{
  norn_state *st = r->st;
  char b[120];
  st->err.code = NORN_OK;
  st->err_arg = -1;
  i = latent_value(st, i);
  if (v_is_random(x) && v_rvar(x)->h.aux == RANDOM_VECTOR && V_IS_INT(i)) {
    val row = gauss_index(st, v_rvar(x), i.i);
    if (!norn_is_none(row)) return row;
  }
  if (v_is_lanes(i)) return lanes_index(st, x, i);
  if (x.tag == NORN_ARRAY) return array_index(st, v_vec(x), i);
  if (x.tag == NORN_RECORD) return record_index(st, x, i);
  if (x.tag == NORN_DIST) return posterior_index(st, x, i);
  if (x.tag == NORN_MAP) return map_index(st, x, i);
  if (x.tag == NORN_STR && V_IS_INT(i)) return string_index(st, x, i.i);
  norn_fail(st, NORN_ETYPE, 0, "%s can't be indexed", norn_describe(st, x, b, sizeof b));
  return norn_none();
}

val vm_index_many(norn_run *r, const val *w, int n, unsigned which)
{
  val places[NORN_RANK_MAX];
  if (!latent_on(r->st) || n > NORN_RANK_MAX) return vec_index(r->st, w[0], w + 1, n, which);
  for (int i = 0; i < n; i++) places[i] = latent_value(r->st, w[i + 1]);
  return vec_index(r->st, w[0], places, n, which);
}

val vm_len(norn_run *r, val x)
{
  if (v_is_random(x) && v_rvar(x)->h.aux == RANDOM_VECTOR) return norn_int(gauss_length(v_rvar(x)));
  if (x.tag == NORN_STR) return norn_int(v_str(x)->chars);
  if (x.tag == NORN_ARRAY) return norn_int(v_vec(x)->len);
  if (x.tag == NORN_RECORD) return norn_int(v_rec(x)->sh->n);
  if (x.tag == NORN_MAP) return norn_int(norn_map_size(x));
  vm_want(r->st, 0, "len needs an array, a string, a record or a map", x);
  return norn_none();
}

val vm_iterlen(norn_run *r, val x)
{
  norn_state *st = r->st;
  if (x.tag == NORN_ARRAY) return norn_int(v_vec(x)->len);
  vm_want(st, 0, "a loop needs an array or a range", x);
  if (V_IS_INT(x)) norn_hint(st, "for i in 0..n counts from 0 to n - 1");
  else if (x.tag == NORN_STR) norn_hint(st, "chars(s) gives the characters of a string");
  else if (x.tag == NORN_RECORD) norn_hint(st, "keys(r) has the names of the fields of a record");
  else if (x.tag == NORN_MAP) norn_hint(st, "maps.pairs(m) has the keys and values of a map");
  else if (x.tag == NORN_DIST)
    norn_hint(st, "draws(post) gives the draws of a posterior as an array");
  return norn_none();
}

/* ---- what instructions refuse ---- */

bool vm_holds_lanes(norn_run *r, const val *v, int n)
{
  for (int i = 0; i < n; i++)
    if (lanes_inside(v[i])) {
      r->st->current == r ? lanes_alone(r->st, "a value that holds lanes") : (void)0;
      return true;
    }
  return false;
}

void vm_want(norn_state *st, int arg, const char *rule, val got)
{
  char b[120];
  norn_fail(st, NORN_ETYPE, arg, "%s, got %s", rule, norn_describe(st, got, b, sizeof b));
}

void vm_bad_weight(norn_state *st, double lw)
{
  norn_fail(st, NORN_EDOMAIN, 0, "the log weight of factor is %s",
            lw != lw ? "not a number" : "infinite");
}

void vm_bad_twist(norn_state *st, double lw)
{
  norn_fail(st, NORN_EDOMAIN, 0, "the log weight of twist is %s", lw != lw ? "not a number" : "infinite");
  if (lw == -INFINITY) norn_hint(st, "what is ruled out stays so: condition(false)");
}

val vm_logpdf_big(norn_state *st, const norn_dist *d, val x)
{
  val out = norn_none();
  return norn_dist_logp_big(st, d, x, 0, &out) ? norn_none() : out;
}

int vm_expand(norn_run *r, val *w, uint64_t comp)
{
  norn_dist d;
  val m;
  if (!norn_dist_view(*w, &d) || !d.row->expand || event_is_fixed(r, addr_event(r->addr, comp))) return 0;
  if (d.row->expand(r->st, &d, &m)) return -1;
  if (norn_is_none(m)) return 0;
  *w = m;
  return 1;
}

/* Is every element of an array a model value?  false: error set. */
static bool all_models(norn_state *st, val a)
{
  char what[120];
  for (int64_t i = 0, n = norn_array_length(a); i < n; i++) {
    val x = norn_array_at(st, a, i);
    if (x.tag == NORN_MODEL) continue;
    norn_fail(st, NORN_ETYPE, 0, "infer needs an array of models, but element %lld is %s", (long long)i,
              norn_describe(st, x, what, sizeof what));
    norn_hint(st, "a model value is a call of a model: infer([m(y) for y in ys], engine)");
    return false;
  }
  return true;
}

bool vm_can_infer(norn_state *st, val *w)
{
  norn_dist d;
  val m;
  for (int i = 0; i < 2 && st->current->delay; i++)      /* runs of another program know no delays */
    if (norn_is_none(w[i] = delayed_force(st, w[i]))) return false;
  if (norn_dist_view(w[0], &d) && d.row->expand) {
    if (d.row->expand(st, &d, &m)) return false;
    if (!norn_is_none(m)) w[0] = m;
  }
  if (w[0].tag == NORN_ARRAY && !all_models(st, w[0])) return false;
  if (w[0].tag != NORN_MODEL && w[0].tag != NORN_ARRAY) {
    vm_want(st, 0, "infer needs a model", w[0]);
    if (w[0].tag == NORN_FUN && v_clo(w[0])->p->is_model)
      norn_hint(st, "call the model with its arguments: infer(%s(...))", v_clo(w[0])->p->name);
    else if (w[0].tag == NORN_DIST)
      norn_hint(st, "a model of it is model m() { let x ~ d; x }; sample(d), mean(d) and quantile(d, p) ask it itself");
    return false;
  }
  if (w[1].tag != NORN_ENGINE && w[1].tag != NORN_UNIT) {
    vm_want(st, 1, "infer needs an engine", w[1]);
    char b[40];
    const char *got = norn_describe(st, w[1], b, sizeof b);
    norn_hint(st, !strcmp(got, "a net") ? "a net is asked by infer(model, amortized(net))"
                  : w[1].tag == NORN_FUN ? "an engine is what its call gives: infer(m, nuts()), not infer(m, nuts)"
                                         : "for example infer(m, smc(particles = 1000))");
    return false;
  }
  return true;
}

void vm_unset(norn_run *r, uint64_t slot)
{
  const char *name = env_slot_name(r->st, (uint32_t)slot);
  state_fail(r->st, NORN_EDOMAIN, "%s is used before its definition has run",
             name ? name : "this name");
}

void vm_matchfail(norn_run *r, val x, bool in_let)
{
  norn_state *st = r->st;
  const char *shown = norn_show(st, x, true, 80);
  if (in_let) {
    norn_fail(st, NORN_EDOMAIN, 0, "this pattern does not match %s", shown);
    norn_hint(st, "a let takes one form only; match tries several");
  } else {
    norn_fail(st, NORN_EDOMAIN, 0, "no case matches %s", shown);
    norn_hint(st, "a last case `_ -> ...` takes everything else");
  }
}
