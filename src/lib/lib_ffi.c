/* lib_ffi.c: calls C functions through libffi, and lets C call Norn's.

   A declaration (base/foreign.h) becomes a native whose code is a libffi closure; c_double ->
   c_double needs none: it is a native of the kind that the VM applies to arrays by itself.  Every
   pointer that C gets leads to a private copy with guard bytes behind it, since values of Norn do
   not change.  A function of Norn becomes a C function for the time of one call; it runs sealed
   (norn_call), and once it has failed it answers 0 until C returns. */
#include "lib/cvalue.h"
#include "lib/lib.h"
#include <dlfcn.h>
#include <ffi.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { GUARD = 16, GUARD_BYTE = 0xa5, SLOT = 3 };

/* A signature as libffi wants it. */
typedef struct signature {
  const foreign_fn *fn;
  ffi_cif cif;
  ffi_type *types[FOREIGN_PARAMS];
} signature;

typedef struct library { struct library *next; void *handle; char *name; } library;

typedef struct foreign {
  struct foreign *next;
  const norn_native *row;
  void (*symbol)(void);
  signature sig;
  signature *callbacks[FOREIGN_PARAMS];
  ffi_closure *closure;          /* NULL: the VM calls the symbol itself */
  norn_ref *derivative;
} foreign;

typedef struct shelf {
  foreign *all;
  library *libraries;
  ffi_cif native;                /* of a norn_native_fn */
  ffi_type *native_types[4];
} shelf;

/* ---- libraries ---- */

static shelf *shelf_of(norn_state *st) { return *norn_slot(st, SLOT); }

static norn_status no_memory(norn_state *st)
{
  return norn_fail(st, NORN_EMEMORY, -1, "out of memory");
}

/* A name with a slash is a file, in the working directory or beside the program; others are for the
   linker. */
static const char *find(const char *name, const char *dir, char *buf, size_t n)
{
  if (!*name) return NULL;
  if (!strchr(name, '/') || name[0] == '/' || !dir || access(name, F_OK) == 0) return name;
  if ((size_t)snprintf(buf, n, "%s/%s", dir, name) >= n || access(buf, F_OK) != 0) return name;
  return buf;
}

static norn_status not_opened(norn_state *st, const char *name, const char *dir)
{
  char path[4096];
  const char *why = dlerror();
  bool absent = !why || strstr(why, "No such file");
  norn_fail(st, NORN_EIO, -1, absent ? "there is no library %s" : "can't open the library %s: %s",
            name, why);
  snprintf(path, sizeof path, "%s/%s", dir ? dir : ".", name);
  if (absent && !strchr(name, '/') && (access(name, F_OK) == 0 || access(path, F_OK) == 0))
    norn_hint(st, "a file is named with its path: \"./%s\"", name);
  else if (absent && !strchr(name, '/'))
    norn_hint(st, "the linker looks for it; a file of yours is named with its path: \"./%s\"",
              name);
  return NORN_EIO;
}

static norn_status ffi_open(norn_state *st, const char *name, const char *dir, void **out)
{
  char path[4096];
  shelf *s = shelf_of(st);
  library *l = norn_alloc(st, NULL, 0, sizeof *l);
  char *kept = norn_alloc(st, NULL, 0, strlen(name) + 1);
  if (!l || !kept) {
    if (l) norn_alloc(st, l, sizeof *l, 0);
    if (kept) norn_alloc(st, kept, strlen(name) + 1, 0);
    return no_memory(st);
  }
  strcpy(kept, name);
  *l = (library){s->libraries, dlopen(find(name, dir, path, sizeof path), RTLD_NOW | RTLD_LOCAL),
                 kept};
  s->libraries = l;
  *out = l;
  return l->handle ? NORN_OK : not_opened(st, name, dir);
}

/* ---- signatures ---- */

static ffi_type *type_of(const foreign_type *t)
{
  static ffi_type *const types[FOREIGN_KINDS_COUNT] = {
    [FOREIGN_VOID] = &ffi_type_void, [FOREIGN_DOUBLE] = &ffi_type_double,
    [FOREIGN_FLOAT] = &ffi_type_float, [FOREIGN_INT8] = &ffi_type_sint8,
    [FOREIGN_INT16] = &ffi_type_sint16, [FOREIGN_INT32] = &ffi_type_sint32,
    [FOREIGN_INT64] = &ffi_type_sint64, [FOREIGN_UINT8] = &ffi_type_uint8,
    [FOREIGN_UINT16] = &ffi_type_uint16, [FOREIGN_UINT32] = &ffi_type_uint32,
    [FOREIGN_UINT64] = &ffi_type_uint64, [FOREIGN_BOOL] = &ffi_type_uint8,
    [FOREIGN_STRING] = &ffi_type_pointer, [FOREIGN_POINTER] = &ffi_type_pointer,
    [FOREIGN_FN] = &ffi_type_pointer,
  };
  return foreign_by_pointer(t) ? &ffi_type_pointer : types[t->kind];
}

static bool signature_prepare(signature *s, const foreign_fn *fn)
{
  s->fn = fn;
  for (int i = 0; i < fn->n; i++) s->types[i] = type_of(&fn->params[i].type);
  return ffi_prep_cif(&s->cif, FFI_DEFAULT_ABI, (unsigned)fn->n, type_of(&fn->result), s->types) ==
         FFI_OK;
}

/* ---- a call ---- */

typedef union cvalue {
  ffi_arg word; double d; float f; void *p; uint64_t u; uint8_t u8; uint16_t u16; uint32_t u32;
} cvalue;
/* Memory that C gets a pointer to: its elements, and the shape of what it was copied from. */
typedef struct buffer { void *p; int64_t n, dims[NORN_RANK_MAX]; int rank; } buffer;
typedef struct callback callback;
typedef struct call {
  norn_state *st;
  foreign *f;
  const norn_datum *args;
  int n;
  mem mem;
  arena arena;
  cvalue value[FOREIGN_PARAMS];
  void *at[FOREIGN_PARAMS];
  buffer buf[FOREIGN_PARAMS];
  callback *callbacks;
  norn_status failed;            /* of a callback */
} call;
struct callback {
  callback *next;
  call *call;
  const foreign_param *param;
  const foreign_fn *fn;
  norn_datum f;
  ffi_closure *closure;
};

static cvalue_place place(const call *c, int i)
{
  const foreign_param *p = i < 0 ? NULL : &c->f->sig.fn->params[i];
  return (cvalue_place){c->st, p ? p->name : NULL, c->f->sig.fn->name, p ? p->arg : -1};
}

static norn_datum given(const call *c, int i)
{
  int arg = c->f->sig.fn->params[i].arg;
  if (arg < 0 || arg >= c->n) return norn_none();
  return c->args[arg];
}

static bool is_given(norn_datum v) { return v.tag != NORN_NONE && v.tag != NORN_MISSING; }

/* ---- sizes ---- */

static norn_status size_eval(const call *c, const foreign_size *s, int64_t *out);

/* A parameter as a whole number, computed if it was left out. */
static norn_status whole(const call *c, int i, int64_t *out)
{
  const foreign_param *p = &c->f->sig.fn->params[i];
  cvalue_place where = place(c, i);
  norn_datum v = given(c, i);
  if (!is_given(v) && p->fallback) return size_eval(c, p->fallback, out);
  if (v.tag != NORN_INT) return cvalue_wrong(&where, "an integer", v);
  *out = v.i;
  return NORN_OK;
}

static norn_status extent(const call *c, int i, bool all, int64_t *out)
{
  norn_view v;
  cvalue_place where = place(c, i);
  if (!norn_array_view(given(c, i), &v)) return cvalue_wrong(&where, "an array", given(c, i));
  *out = all ? v.n : v.dims[0];
  return NORN_OK;
}

/* a op b; false: overflow or division by zero.  Division floors. */
static bool operate(char op, int64_t a, int64_t b, int64_t *out)
{
  switch (op) {
  case '+': return !__builtin_add_overflow(a, b, out);
  case '-': return !__builtin_sub_overflow(a, b, out);
  case '*': return !__builtin_mul_overflow(a, b, out);
  default: break;
  }
  if (b == 0 || (a == INT64_MIN && b == -1)) return false;
  *out = a / b - (a % b != 0 && (a < 0) != (b < 0));
  return true;
}

static norn_status size_eval(const call *c, const foreign_size *s, int64_t *out)
{
  int64_t stack[FOREIGN_SIZE_DEPTH + 1];
  int top = 0;
  for (int i = 0; i < s->n; i++) {
    const foreign_op *o = &s->v[i];
    norn_status code = NORN_OK;
    if (o->op == 'k') stack[top++] = o->v;
    else if (o->op == 'p') code = whole(c, (int)o->v, &stack[top++]);
    else if (o->op == 'l' || o->op == 's')
      code = extent(c, (int)o->v, o->op == 's', &stack[top++]);
    else if (!operate(o->op, stack[top - 2], stack[top - 1], &stack[top - 2]))
      return norn_fail(c->st, NORN_EDOMAIN, -1, "a size of %s is %lld %c %lld: %s",
                       c->f->sig.fn->name, (long long)stack[top - 2],
                       o->op, (long long)stack[top - 1],
                       o->op == '/' ? "division by zero" : "too large");
    else top--;
    if (code) return code;
  }
  *out = stack[0];
  return NORN_OK;
}

/* How many elements array i (of the function, or of a callback's parameter) has. */
static norn_status count_of(const call *c, const foreign_type *t, const char *name, int64_t *n)
{
  norn_status s = size_eval(c, t->size, n);
  if (!s && *n < 0)
    return norn_fail(c->st, NORN_EDOMAIN, -1, "%s of %s would have %lld elements", name,
                     c->f->sig.fn->name, (long long)*n);
  return s;
}

/* ---- callbacks ---- */

/* What C gives a callback as Norn values; hidden parameters and those that go out are none. */
static norn_status callback_args(callback *k, const cvalue_place *where, void **args,
                                 norn_datum *v, int64_t *counts)
{
  int n = 0;
  norn_status s = NORN_OK;
  for (int i = 0; i < k->fn->n && !s; i++) {
    const foreign_param *p = &k->fn->params[i];
    const void *from = args[i];
    if (p->type.array) s = count_of(k->call, &p->type, *p->name ? p->name : "an array", &counts[i]);
    if (s || !strcmp(p->name, "_")) continue;
    if (foreign_by_pointer(&p->type)) {
      from = *(void **)args[i];
      if (!from && (!p->type.array || counts[i]))
        return norn_fail(k->call->st, NORN_EDOMAIN, where->arg,
                         "C gave the callback %s of %s a null pointer", k->param->name,
                         k->call->f->sig.fn->name);
    }
    if (p->arg < 0) continue;
    s = p->type.array ? cvalue_load_all(where, &p->type, from, 1, &counts[i], &v[n++])
                      : cvalue_load(where, &p->type, from, &v[n++]);
  }
  return s;
}

/* A small result goes back as a whole word (libffi's manual, "The Closure API"). */
static norn_status callback_result(const cvalue_place *where, const foreign_type *t, norn_datum v,
                                   void *ret)
{
  cvalue x = {0};
  size_t n = cvalue_bytes(t->kind);
  norn_status s = cvalue_store(where, t, v, &x);
  if (s) return s;
  if (t->kind <= FOREIGN_FLOAT || n >= sizeof(ffi_arg)) {
    memcpy(ret, &x, n);
    return NORN_OK;
  }
  if (v.tag == NORN_INT || v.tag == NORN_BOOL) *(ffi_arg *)ret = (ffi_arg)v.i;
  return NORN_OK;
}

static norn_status callback_out(callback *k, const cvalue_place *where, const foreign_param *p,
                                norn_datum v, int64_t count, void *to)
{
  norn_view view;
  if (!p->type.array) return cvalue_store(where, &p->type, v, to);
  if (!norn_array_view(v, &view)) return cvalue_wrong(where, "an array", v);
  if (view.n != count)
    return norn_fail(k->call->st, NORN_EDOMAIN, where->arg,
                     "%s must have %lld elements, got %lld", where->name, (long long)count,
                     (long long)view.n);
  return cvalue_store_all(where, &p->type, &view, to);
}

/* The value of the Norn function to where C wants it: alone, or fields of a record. */
static norn_status callback_give(callback *k, norn_datum v, void *ret, void **args,
                                 const int64_t *counts)
{
  char what[160];
  snprintf(what, sizeof what, "what %s of %s gives", k->param->name, k->call->f->sig.fn->name);
  cvalue_place where = {k->call->st, what, NULL, k->param->arg};
  bool record = k->fn->nouts + (k->fn->result.kind != FOREIGN_VOID) > 1;
  norn_status s = NORN_OK;
  if (record && norn_kind_of(v) != NORN_RECORD) return cvalue_wrong(&where, "a record", v);
  if (k->fn->result.kind != FOREIGN_VOID)
    s = callback_result(&where, &k->fn->result,
                        record ? norn_record_get(k->call->st, v, "result") : v, ret);
  for (int i = 0; i < k->fn->n && !s; i++) {
    const foreign_param *p = &k->fn->params[i];
    if (!foreign_goes_out(&p->type)) continue;
    s = callback_out(k, &where, p, record ? norn_record_get(k->call->st, v, p->name) : v, counts[i],
                     *(void **)args[i]);
  }
  return s;
}

static norn_status callback_answer(callback *k, void *ret, void **args)
{
  norn_datum v[FOREIGN_PARAMS], out;
  int64_t counts[FOREIGN_PARAMS];
  char what[160];
  snprintf(what, sizeof what, "what %s of %s gets", k->param->name, k->call->f->sig.fn->name);
  cvalue_place where = {k->call->st, what, NULL, k->param->arg};
  norn_status s = callback_args(k, &where, args, v, counts);
  if (!s) s = norn_call(k->call->st, k->f, v, k->fn->nargs, &out);
  return s ? s : callback_give(k, out, ret, args, counts);
}

static void callback_run(ffi_cif *cif, void *ret, void **args, void *user)
{
  callback *k = user;
  size_t n = cvalue_bytes(k->fn->result.kind);
  (void)cif;
  if (n) memset(ret, 0, n < sizeof(ffi_arg) ? sizeof(ffi_arg) : n);
  if (k->call->failed) return;
  k->call->failed = callback_answer(k, ret, args);
  if (k->call->failed && n) memset(ret, 0, n < sizeof(ffi_arg) ? sizeof(ffi_arg) : n);
}

static norn_status callback_make(call *c, int i, norn_datum f, void **code)
{
  const foreign_param *p = &c->f->sig.fn->params[i];
  cvalue_place where = place(c, i);
  if (f.tag != NORN_FUN && f.tag != NORN_NATIVE) return cvalue_wrong(&where, "a function", f);
  callback *k = arena_get(&c->arena, sizeof *k);
  if (!k) return no_memory(c->st);
  *k = (callback){c->callbacks, c, p, p->type.fn, f, ffi_closure_alloc(sizeof(ffi_closure), code)};
  if (!k->closure) return no_memory(c->st);
  c->callbacks = k;
  if (ffi_prep_closure_loc(k->closure, &c->f->callbacks[i]->cif, callback_run, k, *code) != FFI_OK)
    return norn_fail(c->st, NORN_EUSE, -1, "libffi can't make a function here");
  return NORN_OK;
}

/* ---- arguments ---- */

static void *guarded(call *c, size_t n)
{
  char *p = arena_get(&c->arena, n + GUARD);
  if (p) memset(p + n, GUARD_BYTE, GUARD);
  return p;
}

static norn_status array_in(call *c, int i, buffer *b)
{
  const foreign_type *t = &c->f->sig.fn->params[i].type;
  cvalue_place where = place(c, i);
  norn_view v = {.n = 0};
  bool in = t->mode != FOREIGN_OUT;
  if (in && !norn_array_view(given(c, i), &v)) return cvalue_wrong(&where, "an array", given(c, i));
  b->n = v.n;
  norn_status s = t->size ? count_of(c, t, where.name, &b->n) : NORN_OK;
  if (s) return s;
  if (in && b->n != v.n)
    return norn_fail(c->st, NORN_EDOMAIN, where.arg, "%s of %s must have %lld elements, got %lld",
                     where.name, where.function, (long long)b->n, (long long)v.n);
  b->rank = in ? v.rank : 1;
  b->dims[0] = b->n;
  if (in) memcpy(b->dims, v.dims, sizeof b->dims);
  size_t size = cvalue_bytes(t->kind);
  if ((size_t)b->n > SIZE_MAX / 4 / size || !(b->p = guarded(c, (size_t)b->n * size)))
    return no_memory(c->st);
  return in ? cvalue_store_all(&where, t, &v, b->p) : NORN_OK;
}

/* The value of parameter i, whether given, computed, or 0. */
static norn_status scalar_in(call *c, int i, void *to)
{
  const foreign_param *p = &c->f->sig.fn->params[i];
  cvalue_place where = place(c, i);
  norn_datum v = given(c, i);
  int64_t n;
  if (p->type.kind == FOREIGN_FN) return callback_make(c, i, v, to);
  if (p->fallback && !is_given(v)) {
    norn_status s = size_eval(c, p->fallback, &n);
    if (s) return s;
    v = norn_int(n);
  } else if (p->arg < 0) return NORN_OK;
  return cvalue_store(&where, &p->type, v, to);
}

static norn_status arguments(call *c)
{
  const foreign_fn *fn = c->f->sig.fn;
  norn_status s = NORN_OK;
  for (int i = 0; i < fn->n && !s; i++) {
    const foreign_type *t = &fn->params[i].type;
    buffer *b = &c->buf[i];
    b->p = NULL;
    c->value[i] = (cvalue){0};
    c->at[i] = &c->value[i];
    if (t->array) s = array_in(c, i, b);
    else if (!foreign_by_pointer(t)) s = scalar_in(c, i, &c->value[i]);
    else {
      b->n = 1;
      b->p = guarded(c, cvalue_bytes(t->kind));
      s = !b->p ? no_memory(c->st) : t->mode == FOREIGN_OUT ? NORN_OK : scalar_in(c, i, b->p);
    }
    if (b->p) c->value[i].p = b->p;
  }
  return s;
}

/* ---- results ---- */

static norn_status guards_hold(const call *c)
{
  const foreign_fn *fn = c->f->sig.fn;
  unsigned char whole_guard[GUARD];
  memset(whole_guard, GUARD_BYTE, GUARD);
  for (int i = 0; i < fn->n; i++) {
    const buffer *b = &c->buf[i];
    if (!b->p) continue;
    const char *end = (const char *)b->p + (size_t)b->n * cvalue_bytes(fn->params[i].type.kind);
    if (!memcmp(end, whole_guard, GUARD)) continue;
    norn_fail(c->st, NORN_EUSE, fn->params[i].arg, "%s wrote beyond the end of %s", fn->name,
              fn->params[i].name);
    norn_hint(c->st, "its declaration gives %s %lld elements", fn->params[i].name,
              (long long)b->n);
    return NORN_EUSE;
  }
  return NORN_OK;
}

static norn_status result_load(call *c, cvalue *ret, norn_datum *out)
{
  const foreign_type *t = &c->f->sig.fn->result;
  cvalue_place where = place(c, -1);
  int64_t n;
  if (!t->array) {
    size_t size = cvalue_bytes(t->kind);
    bool small = t->kind >= FOREIGN_INT8 && t->kind <= FOREIGN_BOOL && size < 8;
    if (small && size == 1) ret->u8 = (uint8_t)ret->word;      /* it came as a whole word */
    else if (small && size == 2) ret->u16 = (uint16_t)ret->word;
    else if (small) ret->u32 = (uint32_t)ret->word;
    return cvalue_load(&where, t, ret, out);
  }
  *out = norn_missing();
  norn_status s = ret->p ? count_of(c, t, "the result", &n) : NORN_OK;
  return s || !ret->p ? s : cvalue_load_all(&where, t, ret->p, 1, &n, out);
}

/* The result and what goes out: alone, or a record. */
static norn_status results(call *c, cvalue *ret, norn_datum *out)
{
  const foreign_fn *fn = c->f->sig.fn;
  const char *names[FOREIGN_PARAMS + 1];
  norn_datum v[FOREIGN_PARAMS + 1];
  int n = 0;
  norn_status s = guards_hold(c);
  if (!s && fn->result.kind != FOREIGN_VOID) {
    names[n] = "result";
    s = result_load(c, ret, &v[n++]);
  }
  for (int i = 0; i < fn->n && !s; i++) {
    const foreign_type *t = &fn->params[i].type;
    cvalue_place where = place(c, i);
    if (!foreign_goes_out(t)) continue;
    names[n] = fn->params[i].name;
    s = t->array ? cvalue_load_all(&where, t, c->buf[i].p, c->buf[i].rank, c->buf[i].dims, &v[n])
                 : cvalue_load(&where, t, c->buf[i].p, &v[n]);
    n++;
  }
  if (s) return s;
  *out = n == 0 ? norn_unit() : n == 1 ? v[0] : norn_record(c->st, n, names, v);
  return norn_is_none(*out) ? no_memory(c->st) : NORN_OK;
}

static norn_status foreign_call(foreign *f, norn_state *st, const norn_datum *args, int n,
                                norn_datum *out)
{
  cvalue ret = {0};
  call c;          /* 3 KB: what belongs to a parameter is set when its turn comes */
  c.st = st, c.f = f, c.args = args, c.n = n;
  c.callbacks = NULL, c.failed = NORN_OK;
  c.mem = lib_mem(st);
  arena_init(&c.arena, &c.mem);
  norn_status s = arguments(&c);
  if (!s) {
    ffi_call(&f->sig.cif, f->symbol, &ret, c.at);
    s = c.failed ? c.failed : results(&c, &ret, out);
  }
  for (callback *k = c.callbacks; k; k = k->next) ffi_closure_free(k->closure);
  arena_free(&c.arena);
  return s;
}

/* What the VM calls as a norn_native_fn. */
static void native_run(ffi_cif *cif, void *ret, void **args, void *user)
{
  (void)cif;
  *(ffi_arg *)ret = (ffi_arg)foreign_call(user, *(norn_state **)args[0],
                                          *(const norn_datum **)args[1], *(int *)args[2],
                                          *(norn_datum **)args[3]);
}

/* ---- making one ---- */

static void foreign_free(norn_state *st, foreign *f)
{
  for (int i = 0; i < FOREIGN_PARAMS; i++)
    if (f->callbacks[i]) norn_alloc(st, f->callbacks[i], sizeof(signature), 0);
  if (f->closure) ffi_closure_free(f->closure);
  if (f->derivative) norn_drop(f->derivative);
  norn_alloc(st, f, sizeof *f, 0);
}

static bool is_real1(const foreign_fn *fn)
{
  const foreign_param *p = fn->params;
  return fn->n == 1 && fn->nargs == 1 && p->type.kind == FOREIGN_DOUBLE &&
         !foreign_by_pointer(&p->type) && fn->result.kind == FOREIGN_DOUBLE && !fn->result.array;
}

static norn_status callbacks_prepare(norn_state *st, foreign *f, const foreign_fn *fn)
{
  for (int i = 0; i < fn->n; i++) {
    if (fn->params[i].type.kind != FOREIGN_FN) continue;
    signature *s = f->callbacks[i] = norn_alloc(st, NULL, 0, sizeof *s);
    if (!s) return no_memory(st);
    if (!signature_prepare(s, fn->params[i].type.fn))
      return norn_fail(st, NORN_EUSE, -1, "libffi can't call this");
  }
  return NORN_OK;
}

/* ISO C has no cast between pointers to data and to functions. */
static norn_status closure_prepare(norn_state *st, foreign *f, norn_native *row)
{
  void *code;
  shelf *s = shelf_of(st);
  f->closure = ffi_closure_alloc(sizeof *f->closure, &code);
  if (!f->closure) return no_memory(st);
  if (ffi_prep_closure_loc(f->closure, &s->native, native_run, f, code) != FFI_OK)
    return norn_fail(st, NORN_EUSE, -1, "libffi can't make a function here");
  memcpy(&row->f, &code, sizeof row->f);
  return NORN_OK;
}

static norn_status ffi_make(norn_state *st, void *from, const char *symbol, const foreign_fn *fn,
                            norn_native *row)
{
  shelf *s = shelf_of(st);
  library *l = from;
  void *found = dlsym(l->handle, symbol);
  if (!found)
    return norn_fail(st, NORN_EIO, -1, "%s has no function %s",
                     *l->name ? l->name : "the program", symbol);
  foreign *f = norn_alloc(st, NULL, 0, sizeof *f);
  if (!f) return no_memory(st);
  memset(f, 0, sizeof *f);
  f->row = row;
  memcpy(&f->symbol, &found, sizeof f->symbol);
  norn_status code = NORN_OK;
  if (!signature_prepare(&f->sig, fn))
    code = norn_fail(st, NORN_EUSE, -1, "libffi can't call this");
  if (!code) code = callbacks_prepare(st, f, fn);
  if (!code && is_real1(fn)) {
    memcpy(&row->real1, &found, sizeof row->real1);
    row->f = NULL;
  } else if (!code) code = closure_prepare(st, f, row);
  if (code) {
    foreign_free(st, f);
    return code;
  }
  f->next = s->all;
  s->all = f;
  return NORN_OK;
}

/* ---- derivatives ---- */

static foreign *foreign_of(norn_state *st, norn_datum v)
{
  shelf *s = shelf_of(st);
  if (v.tag != NORN_NATIVE || !s) return NULL;
  foreign *f = s->all;
  while (f && f->row != v.q) f = f->next;
  return f;
}

norn_datum norn_foreign_derivative(norn_state *st, norn_datum v)
{
  foreign *f = foreign_of(st, v);
  return f && f->derivative ? norn_get(f->derivative) : norn_none();
}

static norn_status f_store(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  foreign *f = foreign_of(st, args[0]);
  (void)n;
  if (!f) return norn_fail(st, NORN_EUSE, 0, "only foreign functions have declared derivatives");
  if (args[1].tag != NORN_FUN && args[1].tag != NORN_NATIVE)
    return lib_wrong(st, args, 1, "the derivative", "a function");
  norn_ref *r = norn_keep(st, args[1]);
  if (!r) return no_memory(st);
  if (f->derivative) norn_drop(f->derivative);
  f->derivative = r;
  *out = norn_unit();
  return NORN_OK;
}

static norn_status f_derivative(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  if (args[0].tag != NORN_FUN && args[0].tag != NORN_NATIVE)
    return lib_wrong(st, args, 0, "f", "a function");
  *out = norn_foreign_derivative(st, args[0]);
  if (!norn_is_none(*out)) return NORN_OK;
  bool known = foreign_of(st, args[0]) != NULL;
  norn_fail(st, NORN_ETYPE, 0, known ? "%s is declared without its derivative"
                                     : "only foreign functions have declared derivatives",
            known ? ((const norn_native *)args[0].q)->name : "");
  if (known) norn_hint(st, "behind its declaration: derivative x -> ...");
  return NORN_ETYPE;
}

/* ---- the shelf ---- */

static void shelf_free(norn_state *st, void *p)
{
  shelf *s = p;
  for (foreign *f = s->all, *next; f; f = next) {
    next = f->next;
    foreign_free(st, f);
  }
  for (library *l = s->libraries, *next; l; l = next) {
    next = l->next;
    if (l->handle) dlclose(l->handle);
    norn_alloc(st, l->name, strlen(l->name) + 1, 0);
    norn_alloc(st, l, sizeof *l, 0);
  }
  norn_alloc(st, s, sizeof *s, 0);
}

static const foreign_maker maker = {ffi_open, ffi_make};

static const norn_native natives[] = {
  {"@derivative", "f, d", "Keeps the derivative that is declared with a foreign function.", f_store,
   0, NULL},
  {"derivative", "f",
   "The derivative that was declared with a foreign function.\n"
   "It takes the same arguments, and gives the partial derivative in the real argument, or an\n"
   "array of them if there are several. See foreign.\n"
   "Example: foreign \"libm.so.6\" { fn sin(x: c_double) -> c_double derivative x -> cos(x) }; "
   "derivative(sin)(0)\n=> 1.0",
   f_derivative, 0, NULL},
};

norn_status lib_ffi_open(norn_state *st)
{
  norn_datum null = norn_unit();
  shelf *s = norn_alloc(st, NULL, 0, sizeof *s);
  if (!s) return no_memory(st);
  memset(s, 0, sizeof *s);
  *norn_slot(st, SLOT) = s;
  norn_slot_on_free(st, SLOT, shelf_free);
  s->native_types[0] = s->native_types[1] = s->native_types[3] = &ffi_type_pointer;
  s->native_types[2] = &ffi_type_sint;
  if (ffi_prep_cif(&s->native, FFI_DEFAULT_ABI, 4, &ffi_type_uint, s->native_types) != FFI_OK)
    return norn_fail(st, NORN_EUSE, -1, "libffi does not work here");
  foreign_made_by(st, &maker);
  null.tag = NORN_POINTER;
  null.p = NULL;
  norn_status code =
      norn_add_constant(st, "c_null", null, "The null pointer, for foreign functions.");
  return code ? code : norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
