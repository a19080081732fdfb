/* vm_slow.c: the cold halves of instructions: calls of anything but a plain function with the right
   number of arguments, fields and elements of anything but records and arrays, and error places. */
#include "lang/run.h"
#include "lang/env.h"
#include <stdio.h>
#include <string.h>

/* ---- error places ---- */

/* Completes the state's error with its span and the calls that led to it.  What fails inside the
   standard library is the fault of its first caller outside, whose call gets the caret. */
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
    norn_span s = p->stdlib ? (norn_span){ 0, 0, 0 } : proto_span(p, (uint32_t)(pc - p->code) - 1, -1);
    if (!s.file) continue;
    if (!e->span.file) e->span = s;
    else e->trace[e->ntrace++] = s;
  }
  if (!e->span.file) e->span = inside;
}

/* ---- calls ---- */

static const char *plural(int n) { return n == 1 ? "" : "s"; }

static void signature(norn_state *st, const proto *p, char *b, size_t n)
{
  size_t k = (size_t)snprintf(b, n, "%s(", p->name);
  for (int i = 0; i < p->nargs && k < n; i++)
    k += (size_t)snprintf(b + k, n - k, "%s%s%s", i ? ", " : "", p->params ? sym_name(st, p->params[i]) : "_", i >= p->nreq ? " = ..." : "");
  if (k < n) snprintf(b + k, n - k, ")");
}

static bool arity_ok(norn_state *st, const proto *p, int n)
{
  if (n >= p->nreq && n <= p->nargs) return true;
  char s[200];
  signature(st, p, s, sizeof s);
  if (p->nreq == p->nargs) norn_fail(st, NORN_ETYPE, -1, "%s takes %d argument%s, got %d", p->name, p->nargs, plural(p->nargs), n);
  else norn_fail(st, NORN_ETYPE, -1, "%s takes %d to %d arguments, got %d", p->name, p->nreq, p->nargs, n);
  norn_hint(st, "%s", s);
  return false;
}

val vm_native(norn_run *r, const norn_native *f, const val *args, int n)
{
  norn_state *st = r->st;
  val out = norn_none();
  (void)r;
  st->err_arg = -1;
  if (!f->f) {
    if (n != 1) return state_fail(st, NORN_ETYPE, "%s takes 1 argument, got %d", f->name, n);
    out = arith_map1(st, f, args[0]);
  } else if (f->f(st, args, n, &out)) out = norn_none();
  else if (norn_is_none(out)) state_fail(st, NORN_EUSE, "%s gave no value", f->name);
  while (st->nscratch) { st->nscratch--; mem_put(&st->mem, st->scratch[st->nscratch].scratch, st->scratch[st->nscratch].size); }
  return out;
}

/* A native called as a value: arity and defaults come from its entry. */
static call_result call_native(norn_run *r, val *W, int n, const norn_native *f)
{
  norn_state *st = r->st;
  env_entry *e = env_of_native(st, f);
  val args[24];
  if (e && (n > 24 || e->npars > 24)) e = NULL;
  if (e && !e->variadic && n > e->npars) { norn_fail(st, NORN_ETYPE, -1, "%s takes %d argument%s, got %d", f->name, e->npars, plural(e->npars), n); return CALL_FAIL; }
  int k = n;
  for (int i = 0; i < n && i < 24; i++) args[i] = W[i];
  for (; e && k < e->npars && !(e->variadic && k == e->npars - 1); k++) {
    if (norn_is_none(e->pdefaults[k])) { norn_fail(st, NORN_ETYPE, -1, "%s(%s) got only %d argument%s", f->name, e->params, n, plural(n)); return CALL_FAIL; }
    args[k] = e->pdefaults[k];
  }
  val v = vm_native(r, f, e ? args : W, k);
  if (norn_is_none(v)) return CALL_FAIL;
  W[-FRAME_SIZE] = v;
  return CALL_DONE;
}

static call_result call_model(norn_run *r, val *W, int n, const proto *p)
{
  norn_state *st = r->st;
  if (!arity_ok(st, p, n)) return CALL_FAIL;
  modl *m = heap_alloc(st, sizeof *m + (size_t)(n + 2) * sizeof(val));
  if (!m) return CALL_FAIL;
  m->h.kind = NORN_MODEL; m->h.aux = 0; m->h.n = (uint32_t)n + 2; m->pad = 0;
  m->a[0] = W[-1]; m->a[1] = norn_unit();
  memcpy(m->a + 2, W, (size_t)n * sizeof(val));
  W[-FRAME_SIZE] = v_obj(NORN_MODEL, m);
  return CALL_DONE;
}

call_result vm_call(norn_run *r, val *W, int n, const proto **out)
{
  norn_state *st = r->st;
  val f = W[-1];
  char b[120];
  if (f.tag == NORN_NATIVE) return call_native(r, W, n, f.q);
  if (f.tag != NORN_FUN) {
    norn_fail(st, NORN_ETYPE, -1, "only functions can be called, this is %s", norn_describe(st, f, b, sizeof b));
    if (f.tag == NORN_MODEL) norn_hint(st, "a model value has its arguments already: sample it with ~ or give it to infer");
    else if (f.tag == NORN_ARRAY) norn_hint(st, "an element is written with brackets: a[i]");
    return CALL_FAIL;
  }
  const proto *p = v_clo(f)->p;
  if (p->is_model) return call_model(r, W, n, p);
  if (!arity_ok(st, p, n)) return CALL_FAIL;
  if ((char *)W + p->bytes > (char *)r->lim && !(W = run_grow(r, W, p->bytes))) return CALL_FAIL;
  for (int i = n; i < p->nargs; i++) W[i] = norn_none();
  *out = p;
  return CALL_ENTER;
}

/* Puts named arguments into their places.  names: one symbol per argument, 0 for positional ones. */
bool vm_call_named(norn_run *r, val *W, int n, val names, int *count)
{
  norn_state *st = r->st;
  norn_view v;
  val f = W[-1], args[64];
  char b[120];
  norn_array_view(names, &v);
  if (f.tag != NORN_FUN) { norn_fail(st, NORN_ETYPE, -1, "only functions take named arguments here, this is %s", norn_describe(st, f, b, sizeof b)); return false; }
  const proto *p = v_clo(f)->p;
  if (p->nargs > 64 || n > 64) { norn_fail(st, NORN_ETYPE, -1, "too many arguments"); return false; }
  for (int i = 0; i < p->nargs; i++) args[i] = norn_none();
  for (int i = 0; i < n; i++) {
    int k = i;
    if (v.i[i]) { for (k = 0; k < p->nargs && p->params[k] != (sym)v.i[i]; k++) { } }
    if (k >= p->nargs) {
      if (v.i[i]) norn_fail(st, NORN_ETYPE, i, "%s has no parameter %s", p->name, sym_name(st, (sym)v.i[i]));
      else norn_fail(st, NORN_ETYPE, -1, "%s takes %d argument%s, got %d", p->name, p->nargs, plural(p->nargs), n);
      signature(st, p, b, sizeof b); norn_hint(st, "%s", b);
      return false;
    }
    if (!norn_is_none(args[k])) { norn_fail(st, NORN_ETYPE, i, "%s gets its parameter %s twice", p->name, sym_name(st, p->params[k])); return false; }
    args[k] = W[i];
  }
  int last = p->nargs;
  while (last > 0 && norn_is_none(args[last - 1])) last--;
  for (int i = 0; i < last; i++) if (norn_is_none(args[i]) && i < p->nreq) {
    norn_fail(st, NORN_ETYPE, -1, "%s needs its parameter %s", p->name, sym_name(st, p->params[i]));
    return false;
  }
  if ((char *)(W + last) + sizeof(val) * 2 > (char *)r->lim && !(W = run_grow(r, W, (size_t)(last + 2) * sizeof(val)))) return false;
  for (int i = 0; i < last; i++) W[i] = args[i];
  *count = last;
  return true;
}

/* ---- fields and elements ---- */

static val no_field(norn_state *st, val x, sym name)
{
  char b[200];
  nearest near;
  const char *want = sym_name(st, name);
  norn_fail(st, NORN_ETYPE, -1, "no field %s in %s", want, norn_describe(st, x, b, sizeof b));
  nearest_init(&near, want);
  if (x.tag == NORN_RECORD) for (uint32_t i = 0; i < v_rec(x)->sh->n; i++) nearest_try(&near, sym_name(st, v_rec(x)->sh->names[i]));
  if (nearest_found(&near)) norn_hint(st, "did you mean %s?", nearest_found(&near));
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

val vm_getf(norn_run *r, val x, sym name, uint64_t *cache)
{
  norn_state *st = r->st;
  st->err.code = NORN_OK;
  if (x.tag == NORN_RECORD) {
    int i = shape_find(v_rec(x)->sh, name);
    if (i < 0) return no_field(st, x, name);
    *cache = (uint64_t)v_rec(x)->sh->id << 32 | (uint32_t)i;
    return v_rec(x)->f[i];
  }
  if (x.tag == NORN_DIST) {
    val v = dist_field(st, x, sym_name(st, name));
    return norn_is_none(v) && !st->err.code ? no_field(st, x, name) : v;
  }
  if (V_KIND(x) == NORN_DATA) {
    const ctor *c = env_ctor(st, V_CTOR(x));
    for (uint32_t i = 0; c && c->fields && i < c->arity; i++) if (c->fields[i] == name) return ((data *)x.p)->f[i];
  }
  return no_field(st, x, name);
}

static val record_index(norn_state *st, val x, val i)
{
  size_t n;
  const char *s = norn_string_view(i, &n);
  sym name = s ? sym_intern(st, s, n) : 0;
  if (!s) { char b[96]; norn_fail(st, NORN_ETYPE, 1, "a record is indexed by a string, got %s", norn_describe(st, i, b, sizeof b)); return norn_none(); }
  int k = shape_find(v_rec(x)->sh, name);
  return k < 0 ? no_field(st, x, name) : v_rec(x)->f[k];
}

val vm_index(norn_run *r, val x, val i)
{
  norn_state *st = r->st;
  char b[120];
  st->err.code = NORN_OK; st->err_arg = -1;
  if (x.tag == NORN_ARRAY) {
    vec *v = v_vec(x);
    if (!V_IS_INT(i)) {
      norn_fail(st, NORN_ETYPE, 1, "an index must be an integer, got %s", norn_describe(st, i, b, sizeof b));
      if (V_IS_REAL(i)) norn_hint(st, "floor(x) or round(x) makes an integer of a real");
      return norn_none();
    }
    if (i.i < 0 || i.i >= v->len) {
      norn_fail(st, NORN_EDOMAIN, 1, "index %lld is outside an array of length %lld", (long long)i.i, (long long)v->len);
      norn_hint(st, v->len ? "indices run from 0 to %lld" : "the array is empty", (long long)v->len - 1);
      return norn_none();
    }
    return vec_at(st, v, i.i);                                    /* near the end of a shared history no copy is made */
  }
  if (x.tag == NORN_RECORD) return record_index(st, x, i);
  if (x.tag == NORN_DIST) {
    char part[32];
    const char *s = norn_string_view(i, NULL);
    if (V_IS_INT(i)) { snprintf(part, sizeof part, "[%lld]", (long long)i.i); s = part; }
    val v = s ? dist_field(st, x, s) : norn_none();
    if (norn_is_none(v) && !st->err.code) {
      norn_fail(st, NORN_ETYPE, 1, "no choice or field %s in this posterior", s ? s : norn_show(st, i, true, 60));
      norn_hint(st, "mh, enumerate and importance keep named choices; smc does so with keep = \"choices\"");
    }
    return v;
  }
  if (x.tag == NORN_MAP) {
    val v = norn_map_get(x, i);
    if (norn_is_none(v)) norn_fail(st, NORN_EDOMAIN, 1, "the map has no key %s", norn_show(st, i, true, 60));
    return v;
  }
  if (x.tag == NORN_STR && V_IS_INT(i)) {
    size_t n, k = 0;
    const char *s = norn_string_view(x, &n);
    int64_t at = i.i;
    for (; at > 0 && k < n; at--) { uint32_t c; int w = utf8_next(s + k, n - k, &c); k += w ? (size_t)w : 1; }
    if (at || i.i < 0 || k >= n) { norn_fail(st, NORN_EDOMAIN, 1, "index %lld is outside a string of length %zu", (long long)i.i, utf8_count(s, n)); return norn_none(); }
    uint32_t c; int w = utf8_next(s + k, n - k, &c);
    return norn_string(st, s + k, (size_t)w);
  }
  norn_fail(st, NORN_ETYPE, 0, "%s can't be indexed", norn_describe(st, x, b, sizeof b));
  return norn_none();
}

val vm_len(norn_run *r, val x)
{
  norn_state *st = r->st;
  char b[120];
  if (x.tag == NORN_STR) return norn_int(v_str(x)->chars);
  if (x.tag == NORN_ARRAY) return norn_int(v_vec(x)->len);
  if (x.tag == NORN_RECORD) return norn_int(v_rec(x)->sh->n);
  if (x.tag == NORN_MAP) return norn_int(norn_map_size(x));
  norn_fail(st, NORN_ETYPE, 0, "len needs an array, a string, a record or a map, got %s", norn_describe(st, x, b, sizeof b));
  return norn_none();
}

val vm_iterlen(norn_run *r, val x)
{
  norn_state *st = r->st;
  char b[120];
  if (x.tag == NORN_ARRAY) return norn_int(v_vec(x)->len);
  norn_fail(st, NORN_ETYPE, 0, "a loop needs an array or a range, got %s", norn_describe(st, x, b, sizeof b));
  if (V_IS_INT(x)) norn_hint(st, "for i in 0..n counts from 0 to n - 1");
  else if (x.tag == NORN_STR) norn_hint(st, "chars(s) gives the characters of a string");
  else if (x.tag == NORN_DIST) norn_hint(st, "draws(post) gives the draws of a posterior as an array");
  return norn_none();
}

void vm_unset(norn_run *r, uint64_t slot)
{
  const char *name = env_slot_name(r->st, (uint32_t)slot);
  state_fail(r->st, NORN_EDOMAIN, "%s is used before its definition has run", name ? name : "this name");
}

void vm_matchfail(norn_run *r, val x, bool in_let)
{
  norn_state *st = r->st;
  const char *shown = norn_show(st, x, true, 80);
  norn_fail(st, NORN_EDOMAIN, 0, in_let ? "this pattern does not match %s" : "no case matches %s", shown);
  if (in_let) norn_hint(st, "a let takes one form only; match tries several");
  else norn_hint(st, "a last case `_ -> ...` takes everything else");
}
