/* field.c: fields of handles (norn.h: norn_handle_row's module).

   h.f is what the module of h's row says of f.  A function of one parameter is called with h, and gives the
   field; one of more is a method: the field is the function of its other parameters, with their names and
   defaults.  A method is a closure over h whose code, made once for each, puts h in front and goes on:

        of Norn     GETCAP h; MOVE ...; TCALLG        the function's own code fills defaults in
        a model     GETCAP h; MOVE ...; MODEL; RET
        a native    JGIVEN, LOADK (defaults); GETCAP h; MOVE ...; NATIVE; RET

   Calls of a native's method do without that code (method_call), so that an error is the caller's. */
#include "lang/env_in.h"
#include "lang/lanes/lanes.h"
#include "lang/run.h"
#include <stdio.h>
#include <string.h>

/* ---- modules of rows ---- */

static module *open_module(norn_state *st, const char *name)
{
  env_library *l = env_library_find(st, name);
  int before = st->diags.errors;
  module *m = l ? env_load_library(st, l, NULL, (norn_span){0}) : NULL;
  if (m && env_prelude_ready(st)) {
    norn_datum ignored;
    if (!m->init || norn_call(st, v_obj(NORN_FUN, m->init->self), NULL, 0, &ignored) == NORN_OK) return m;
  }
  if (!l) norn_fail(st, NORN_EUSE, -1, "there is no module %s, which the fields of handles are in", name);
  else if (st->diags.errors > before && st->diags.n)
    norn_fail(st, NORN_EUSE, -1, "the module %s, which the fields of handles are in: %s", name,
              st->diags.v[st->diags.n - 1].e.text);
  else if (!st->err.code) state_memory(st);
  return NULL;
}

/* The module of a row, opened when a field is first asked for; NULL: error set. */
static module *module_of(norn_state *st, const norn_handle_row *row)
{
  env *e = st->env;
  for (size_t i = 0; i < e->nfields; i++)
    if (e->fields[i].row == row) return e->fields[i].mod;
  if (st->home) return state_at_home(st), NULL;
  module *m = open_module(st, row->module);
  if (!m || !mem_grow(&st->mem, &e->fields, &e->cfields, e->nfields + 1, sizeof *e->fields)) {
    if (m) state_memory(st);
    return NULL;
  }
  e->fields[e->nfields++] = (env_fields){row, m};
  return m;
}

bool field_module_open(norn_state *st, const char *file, size_t len)
{
  for (size_t k = 0; k < st->nhandle_rows; k++) {
    const char *name = st->handle_rows[k]->module;
    if (name && len == strlen(name) + 2 && *file == '<' && !memcmp(file + 1, name, len - 2))
      return module_of(st, st->handle_rows[k]) != NULL;
  }
  return false;
}

/* Is this a field?  Functions with a first parameter are, but those whose names begin with _ or @. */
static bool is_field(norn_state *st, const env_entry *e)
{
  const char *name = sym_name(st, e->name);
  if (*name == '_' || *name == '@') return false;
  if (e->kind == ENV_NATIVE) return e->native && e->npars > 0 && !e->variadic;
  return e->kind == ENV_GLOBAL && e->known && e->known->nargs > 0;
}

void field_names(norn_state *st, const norn_handle_row *row, void (*f)(void *user, const char *name), void *user)
{
  const module *m = row->module ? module_of(st, row) : NULL;
  for (size_t i = 0; m && m->table && i <= m->mask; i++)
    if (m->table[i] && is_field(st, m->table[i])) f(user, sym_name(st, m->table[i]->name));
}

/* ---- errors ---- */

typedef struct known_names { nearest near; const char *v[64]; int n; } known_names;

static void add_name(void *user, const char *name)
{
  known_names *k = user;
  nearest_try(&k->near, name);
  if (k->n == NORN_COUNT(k->v)) return;
  int i = k->n++;
  for (; i > 0 && strcmp(k->v[i - 1], name) > 0; i--) k->v[i] = k->v[i - 1];
  k->v[i] = name;
}

static val no_field(norn_state *st, const norn_handle_row *row, const char *want)
{
  char b[200], did[80] = "";
  known_names k = { .n = 0 };
  size_t at = 0;
  nearest_init(&k.near, want);
  field_names(st, row, add_name, &k);
  norn_fail(st, NORN_ETYPE, -1, "no field %s in a %s", want, row->name);
  if (nearest_found(&k.near)) snprintf(did, sizeof did, "did you mean %s? ", nearest_found(&k.near));
  for (int i = 0; i < k.n && at < sizeof b; i++)
    at += (size_t)snprintf(b + at, sizeof b - at, "%s%s", i ? ", " : "", k.v[i]);
  if (k.n) norn_hint(st, "%sa %s has %s", did, row->name, b);
  return norn_none();
}

/* ---- methods ---- */

typedef struct stub { ins *code; uint32_t n; } stub;

static void emit(stub *s, unsigned op, unsigned a, unsigned b, int c)
{
  s->code[s->n++] = (ins){{(uint16_t)op, (uint16_t)(16 * a), (uint16_t)b, (uint16_t)c}};
}

static void literal(stub *s, const void *p) { s->code[s->n++].p = p; }

/* The handle and the method's own m parameters, from register w on. */
static void emit_arguments(stub *s, unsigned w, unsigned m)
{
  emit(s, OP_GETCAP, w, 0, 0);
  for (unsigned i = 0; i < m; i++) emit(s, OP_MOVE, w + 1 + i, 16 * i, 0);
}

static void emit_native(stub *s, const env_entry *e, unsigned m)
{
  for (unsigned i = 0; i < m; i++) {
    emit(s, OP_JGIVEN, i, 0, 3);
    emit(s, OP_LOADK, i, 0, 0);
    s->code[s->n++].i = i;
  }
  emit_arguments(s, m, m);
  emit(s, OP_NATIVE, m, m + 1, 0);
  literal(s, e->native);
  emit(s, OP_RET, m, 0, 0);
}

static void emit_function(stub *s, const proto *p, unsigned m)
{
  if (p->is_model) {
    emit_arguments(s, m, m);
    emit(s, OP_MODEL, m, 16 * m, (int)m + 1);
    literal(s, p);
    emit(s, OP_RET, m, 0, 0);
    return;
  }
  emit_arguments(s, m + FRAME_SIZE, m);
  emit(s, OP_TCALLG, m, m + 1, 0);
  literal(s, p);
}

/* The names of all parameters but the first, and the defaults of a native's: constants of the code. */
static bool describe(norn_state *st, proto *p, const env_entry *e, unsigned m)
{
  const sym *names = e->kind == ENV_NATIVE ? e->pnames : e->known->params;
  sym *own = mem_zero(&st->mem, (m + 1) * sizeof *own);
  p->params = own;
  for (unsigned i = 0; own && i < m; i++) own[i] = names ? names[i + 1] : 0;
  if (!own) return false;
  if (e->kind != ENV_NATIVE) {
    p->nreq = e->known->nreq ? (uint16_t)(e->known->nreq - 1) : 0;
    return true;
  }
  if (!(p->consts = mem_zero(&st->mem, m * sizeof *p->consts))) return false;
  p->nconsts = m;
  for (unsigned i = 0; i < m; i++) {
    p->consts[i] = e->pdefaults[i + 1];
    if (norn_is_none(p->consts[i])) p->nreq = (uint16_t)(i + 1);
  }
  return true;
}

proto *method_stub(norn_state *st, module *mod, env_entry *e)
{
  if (e->method) return e->method;
  if (st->home) return state_at_home(st), NULL;
  bool native = e->kind == ENV_NATIVE;
  unsigned m = (unsigned)(native ? e->npars : e->known->nargs) - 1;
  proto *p = mem_zero(&st->mem, sizeof *p);
  if (!p) return state_memory(st), NULL;
  stub s = {.code = mem_get(&st->mem, ((size_t)4 * m + 5) * sizeof *s.code)};
  p->nargs = (uint16_t)m;
  p->ncap = 1;
  p->nregs = (uint16_t)(2 * m + 1 + FRAME_SIZE);
  p->bytes = p->nregs * 16u;
  p->samples = p->stdlib = true;
  p->aside = native;
  p->method_of = e;
  p->name = sym_name(st, e->name);
  p->doc = native ? e->native->doc : e->known->doc;
  if (s.code && native) emit_native(&s, e, m);
  else if (s.code) emit_function(&s, e->known, m);
  ins *fit = s.code ? mem_resize(&st->mem, s.code, ((size_t)4 * m + 5) * sizeof *s.code, s.n * sizeof *s.code) : NULL;
  p->code = fit ? fit : s.code, p->ncode = fit ? s.n : s.code ? 4 * m + 5 : 0;
  if (!fit || !describe(st, p, e, m) || !code_liveness(st, p)) {
    proto_free(st, p);
    return state_memory(st), NULL;
  }
  e->mod = mod;
  p->next = st->protos;
  return st->protos = e->method = p;
}

/* The native behind a closure's method with n arguments at W, which may lack some in between.  NONE: error set. */
val method_call(norn_state *st, const clo *c, const val *W, int n)
{
  const env_entry *e = c->p->method_of;
  val args[METHOD_ARGS];
  args[0] = c->cap[0];
  for (int i = 1; i < e->npars; i++) {
    args[i] = i <= n && !norn_is_none(W[i - 1]) ? W[i - 1] : e->pdefaults[i];
    if (norn_is_none(args[i]))
      return state_fail(st, NORN_ETYPE, "%s needs its parameter %s", c->p->name, sym_name(st, e->pnames[i]));
  }
  return vm_native_value(st, e->native, args, e->npars);
}

static val method_of(norn_state *st, module *mod, env_entry *e, val h)
{
  if (e->kind == ENV_NATIVE && e->npars > METHOD_ARGS)
    return state_fail(st, NORN_EUSE, "%s has too many parameters", e->native->name);
  proto *p = method_stub(st, mod, e);
  clo *c = p ? heap_alloc(st, sizeof *c + sizeof(val)) : NULL;
  if (!c) return norn_none();
  obj_init(c, NORN_FUN, 0, 1);
  c->p = p;
  c->cap[0] = h;
  return v_obj(NORN_FUN, c);
}

env_entry *field_entry(norn_state *st, module *m, sym name)
{
  env_entry *e = env_lookup_in(st, m, name);
  return e && is_field(st, e) ? e : NULL;
}

val field_of_handle(norn_state *st, val h, sym name)
{
  const norn_handle_row *row = ((const handle *)h.p)->row;
  if (!row->module) return no_field(st, row, sym_name(st, name));
  module *m = module_of(st, row);
  if (!m) return norn_none();
  env_entry *e = field_entry(st, m, name);
  if (!e) return no_field(st, row, sym_name(st, name));
  if (e->kind == ENV_NATIVE) return e->npars == 1 ? vm_native_value(st, e->native, &h, 1) : method_of(st, m, e, h);
  if (e->known->nargs > 1) return method_of(st, m, e, h);
  if (st->home) return state_at_home(st);
  if (st->lanes) return lanes_alone(st, "a field of a handle"), norn_none();
  norn_datum out = norn_none();
  if (!norn_call(st, v_obj(NORN_FUN, e->known->self), &h, 1, &out)) return out;
  st->err.span = (norn_span){0, 0, 0};           /* who asks for the field is at fault */
  st->err.ntrace = 0;
  return norn_none();
}
