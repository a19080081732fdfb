/* foreign.c: C functions declared in Norn.

       foreign "libm.so.6" { fn j0(x: c_double) -> c_double derivative x -> -j1(x) }

   Each declaration becomes a native of its module, so calls, named arguments, docs and carets are
   those of any builtin.  Here the declaration is checked; the maker (src/lib/lib_ffi.c) opens the
   library and gives the native its function.  `norn check` opens nothing. */
#include "lang/compile/comp.h"
#include "lang/env_in.h"
#include "base/foreign.h"
#include <string.h>

void foreign_made_by(norn_state *st, const foreign_maker *m)
{
  st->maker = m;
}

/* ---- words ---- */

#define SIGNED(type)                                                                               \
  (sizeof(type) == 8   ? FOREIGN_INT64                                                             \
   : sizeof(type) == 4 ? FOREIGN_INT32                                                             \
   : sizeof(type) == 2 ? FOREIGN_INT16                                                             \
                       : FOREIGN_INT8)
#define UNSIGNED(type) (SIGNED(type) - FOREIGN_INT8 + FOREIGN_UINT8)

static const struct { const char *name; int kind; } words[] = {
  {"c_double", FOREIGN_DOUBLE}, {"c_float", FOREIGN_FLOAT},
  {"c_int8", FOREIGN_INT8}, {"c_int16", FOREIGN_INT16},
  {"c_int32", FOREIGN_INT32}, {"c_int64", FOREIGN_INT64},
  {"c_uint8", FOREIGN_UINT8}, {"c_uint16", FOREIGN_UINT16},
  {"c_uint32", FOREIGN_UINT32}, {"c_uint64", FOREIGN_UINT64},
  {"c_short", SIGNED(short)}, {"c_int", SIGNED(int)}, {"c_long", SIGNED(long)},
  {"c_uint", UNSIGNED(unsigned)}, {"c_ulong", UNSIGNED(unsigned long)},
  {"c_size", UNSIGNED(size_t)},
  {"c_bool", FOREIGN_BOOL}, {"c_string", FOREIGN_STRING}, {"c_pointer", FOREIGN_POINTER},
  {"c_void", FOREIGN_VOID},
};

static bool is_integer(foreign_kind k) { return k >= FOREIGN_INT8 && k <= FOREIGN_UINT64; }
static bool is_element(foreign_kind k) { return k >= FOREIGN_DOUBLE && k <= FOREIGN_BOOL; }

/* A declaration being read. */
typedef struct reading {
  comp *c;
  const ast_fn *fn;
  foreign_param *params;
  bool well;
} reading;

static void *get(reading *r, size_t n)
{
  void *p = arena_get(&r->c->st->env->arena, n);
  if (!p) r->c->memory = true, r->well = false;
  return p;
}

#define WRONG(r, span, ...) ((r)->well = false, comp_error((r)->c, span, __VA_ARGS__))

static bool word_read(reading *r, ast_name word, foreign_kind *kind)
{
  nearest near;
  nearest_init(&near, word.s);
  for (int i = 0; i < NORN_COUNT(words); i++) {
    if (!strcmp(words[i].name, word.s)) {
      *kind = (foreign_kind)words[i].kind;
      return true;
    }
    nearest_try(&near, words[i].name);
  }
  diag *d = WRONG(r, word.span, "%s is no type of C", word.s);
  if (d && nearest_found(&near)) error_hint(&d->e, "did you mean %s?", nearest_found(&near));
  else if (d)
    error_hint(&d->e, "such as c_double, c_int, c_size, c_bool, c_string, array(c_double)");
  return false;
}

/* ---- sizes: whole numbers made of arguments ---- */

typedef struct sizing { reading *r; foreign_op *v; int n, depth, upto; } sizing;

static void size_op(sizing *s, char op, int64_t v)
{
  if (s->n == 64) return;
  s->v[s->n++] = (foreign_op){op, v};
}

static int param_named(const reading *r, const char *name)
{
  for (uint32_t i = 0; i < r->fn->nparams; i++)
    if (!strcmp(r->fn->params[i].name.s, name)) return (int)i;
  return -1;
}

/* The parameter that a size speaks of; -1: reported. */
static int size_param(sizing *s, const ast *e, bool array)
{
  const char *name = e->kind == AST_NAME ? e->u.name : "";
  int i = param_named(s->r, name);
  const foreign_type *t = i < 0 ? NULL : &s->r->params[i].type;
  if (i < 0) WRONG(s->r, e->span, "a size is made of the parameters of %s", s->r->fn->name.s);
  else if (s->r->params[i].arg < 0 && (array || !s->r->params[i].fallback))
    WRONG(s->r, e->span, "%s is no argument of %s", name, s->r->fn->name.s), i = -1;
  else if (array && !t->array) WRONG(s->r, e->span, "%s is no array", name), i = -1;
  else if (!array && (t->array || !is_integer(t->kind)))
    WRONG(s->r, e->span, "%s is no whole number", name), i = -1;
  else if (!array && i >= s->upto && s->r->fn->params[i].fallback)
    WRONG(s->r, e->span, "%s comes after this parameter and has a default itself", name), i = -1;
  return i;
}

static void size_read(sizing *s, const ast *e)
{
  static const struct { int op; char c; } ops[] = {
    {BIN_ADD, '+'}, {BIN_SUB, '-'}, {BIN_MUL, '*'}, {BIN_IDIV, '/'}};
  bool call = e->kind == AST_CALL && e->u.call.n == 1 && e->u.call.fn->kind == AST_NAME;
  if (s->n == 64 || s->depth >= FOREIGN_SIZE_DEPTH) {
    if (s->r->well) WRONG(s->r, e->span, "this is too long for a size");
    return;
  }
  s->depth++;
  if (e->kind == AST_INT) size_op(s, 'k', e->u.i);
  else if (e->kind == AST_NAME) size_op(s, 'p', size_param(s, e, false));
  else if (call && !strcmp(e->u.call.fn->u.name, "len"))
    size_op(s, 'l', size_param(s, e->u.call.v[0].value, true));
  else if (call && !strcmp(e->u.call.fn->u.name, "size"))
    size_op(s, 's', size_param(s, e->u.call.v[0].value, true));
  else {
    for (int i = 0; i < NORN_COUNT(ops); i++) {
      if (e->kind != AST_BINARY || (int)e->op != ops[i].op) continue;
      size_read(s, e->u.bin.a);
      size_read(s, e->u.bin.b);
      size_op(s, ops[i].c, 0);
      s->depth--;
      return;
    }
    diag *d = WRONG(s->r, e->span, "a size is made of whole numbers and parameters");
    if (d) error_hint(&d->e, "of 3, n, len(x), size(x) with + - * and //");
  }
  s->depth--;
}

/* upto: from this parameter on, those with a default may not occur: nothing goes in circles. */
static const foreign_size *size_make(reading *r, const ast *e, int upto)
{
  foreign_op ops[64];
  sizing s = {r, ops, 0, 0, upto};
  size_read(&s, e);
  foreign_size *made = r->well ? get(r, sizeof *made) : NULL;
  foreign_op *v = made ? get(r, (size_t)s.n * sizeof *v) : NULL;
  if (!v) return NULL;
  memcpy(v, ops, (size_t)s.n * sizeof *v);
  *made = (foreign_size){s.n, v};
  return made;
}

/* ---- types ---- */

static foreign_mode mode_of(const char *word)
{
  if (!word) return FOREIGN_VALUE;
  return word[0] == 'r' ? FOREIGN_REF : word[0] == 'o' ? FOREIGN_OUT : FOREIGN_INOUT;
}

static const foreign_fn *callback_read(reading *r, const ast *e);

/* What the parser made of it, without sizes. */
static void type_read(reading *r, const ast *e, foreign_type *t)
{
  const ast_ctype *x = e->u.ctype;
  *t = (foreign_type){.mode = mode_of(x->mode), .array = x->elem != NULL, .word = "fn"};
  if (x->elem) {
    foreign_type elem;
    type_read(r, x->elem, &elem);
    t->kind = elem.kind, t->word = elem.word;
    if (!r->well) return;
    if (elem.array || elem.mode || !is_element(elem.kind))
      WRONG(r, x->elem->span, "arrays for C are of numbers or of booleans");
    else if (t->mode == FOREIGN_REF)
      WRONG(r, e->span, "an array is passed by reference anyway: leave out ref");
  } else if (!strcmp(x->word.s, "fn")) {
    t->kind = FOREIGN_FN;
    if (t->mode) WRONG(r, e->span, "a function can only be passed by value");
  } else {
    t->word = env_keep_text(r->c->st, x->word.s);
    if (!t->word) r->c->memory = true, r->well = false;
    else if (word_read(r, x->word, &t->kind) && t->mode &&
             (t->kind == FOREIGN_STRING || t->kind == FOREIGN_VOID))
      WRONG(r, e->span, "a pointer to a %s is not supported", t->word);
  }
}

/* Reading a type to its end: sizes and callbacks, which may name all parameters. */
static void type_finish(reading *r, const ast *e, foreign_type *t)
{
  const ast_ctype *x = e->u.ctype;
  if (x->size) t->size = size_make(r, x->size, (int)r->fn->nparams);
  else if (t->array && t->mode == FOREIGN_OUT) {
    diag *d = WRONG(r, e->span, "an array that goes out needs its number of elements");
    if (d) error_hint(&d->e, "out array(%s, n)", t->word);
  }
  if (t->kind == FOREIGN_FN) t->fn = callback_read(r, e);
}

static void result_read(reading *r, const ast *e, foreign_type *t, bool callback)
{
  *t = (foreign_type){.word = "c_void"};
  if (!e) return;
  type_read(r, e, t);
  if (!r->well) return;
  if (t->mode || t->kind == FOREIGN_FN) WRONG(r, e->span, "a C function can't give this");
  else if (callback && (t->array || t->kind == FOREIGN_STRING))
    WRONG(r, e->span, "a callback can't give an array or a string");
  else if (t->array && !e->u.ctype->size)
    WRONG(r, e->span, "the number of elements is missing: array(%s, n)", t->word);
  else type_finish(r, e, t);
}

/* A value for C needs a type that has values. */
static void param_check(reading *r, const ast_param *a, const foreign_param *p, bool callback)
{
  bool hidden = !strcmp(p->name, "_");
  norn_span span = a->type ? a->type->span : a->name.span;
  if (p->type.kind == FOREIGN_VOID) WRONG(r, span, "a parameter can't be c_void");
  else if (callback && p->type.kind == FOREIGN_FN)
    WRONG(r, span, "a callback gets no functions");
  else if (callback && p->type.array && !a->type->u.ctype->size)
    WRONG(r, span, "the number of elements is missing: array(%s, n)", p->type.word);
  else if (hidden && !callback && (foreign_by_pointer(&p->type) || p->type.kind == FOREIGN_FN))
    WRONG(r, span, "a parameter _ is a number or a pointer");
}

/* The parameters, without sizes and defaults. */
static foreign_param *params_read(reading *r, const ast_param *v, uint32_t n, foreign_fn *f,
                                  bool callback)
{
  foreign_param *params = get(r, (n + 1) * sizeof *params);
  if (!params) return NULL;
  for (uint32_t i = 0; i < n && r->well; i++) {
    foreign_param *p = &params[i];
    p->name = env_keep_text(r->c->st, v[i].name.s ? v[i].name.s : "");
    if (!p->name) { r->c->memory = true, r->well = false; return NULL; }
    if (v[i].type) type_read(r, v[i].type, &p->type);
    else p->type = (foreign_type){.kind = FOREIGN_POINTER, .word = "c_pointer"};
    if (r->well) param_check(r, &v[i], p, callback);
    bool given = strcmp(p->name, "_") && p->type.mode != FOREIGN_OUT;
    p->arg = given ? f->nargs++ : -1;
    f->nouts += foreign_goes_out(&p->type);
  }
  f->n = (int)n;
  f->params = params;
  return params;
}

/* Several results make a record: they need names. */
static void outs_check(reading *r, const foreign_fn *f, norn_span span)
{
  if (f->nouts + (f->result.kind != FOREIGN_VOID) < 2) return;
  for (int i = 0; i < f->n && r->well; i++) {
    const foreign_param *p = &f->params[i];
    if (!foreign_goes_out(&p->type)) continue;
    if (!*p->name || !strcmp(p->name, "result") || !strcmp(p->name, "_"))
      WRONG(r, span, "what goes out beside other results needs a name, other than result");
  }
}

static const foreign_fn *callback_read(reading *r, const ast *e)
{
  const ast_ctype *x = e->u.ctype;
  foreign_fn *f = get(r, sizeof *f);
  if (x->n > FOREIGN_PARAMS) WRONG(r, e->span, "at most %d parameters", FOREIGN_PARAMS);
  foreign_param *p = r->well ? params_read(r, x->params, x->n, f, true) : NULL;
  if (!p) return f;
  for (uint32_t i = 0; i < x->n && r->well; i++)
    if (x->params[i].type) type_finish(r, x->params[i].type, &p[i].type);
  if (r->well) result_read(r, x->result, &f->result, true);
  if (r->well) outs_check(r, f, e->span);
  return f;
}

/* ---- declarations ---- */

/* Whole numbers may be computed from other arguments; others have literals. */
static void fallback_read(reading *r, const ast_param *a, int i)
{
  foreign_param *p = &r->params[i];
  const ast *e = a->fallback;
  if (!e) return;
  if (p->type.mode == FOREIGN_OUT || p->type.array || p->type.kind == FOREIGN_FN)
    WRONG(r, e->span, "%s can't have a default", p->name);
  else if (is_integer(p->type.kind)) p->fallback = size_make(r, e, i);
  else if (p->arg < 0 || (e->kind != AST_REAL && e->kind != AST_INT && e->kind != AST_BOOL))
    WRONG(r, e->span, "the default of %s must be a literal number or boolean", p->name);
}

static foreign_fn *function_read(reading *r)
{
  const ast_fn *fn = r->fn;
  foreign_fn *f = get(r, sizeof *f);
  bool open = false;
  if (!f) return NULL;
  if (fn->nparams > FOREIGN_PARAMS) {
    WRONG(r, fn->name.span, "a C function has at most %d parameters here", FOREIGN_PARAMS);
    return NULL;
  }
  f->name = env_keep_text(r->c->st, fn->name.s);
  r->params = params_read(r, fn->params, fn->nparams, f, false);
  for (uint32_t i = 0; i < fn->nparams && r->well; i++) fallback_read(r, &fn->params[i], (int)i);
  for (uint32_t i = 0; i < fn->nparams && r->well; i++)
    type_finish(r, fn->params[i].type, &r->params[i].type);
  for (uint32_t i = 0; i < fn->nparams && r->well; i++) {
    if (r->params[i].arg < 0) continue;
    if (open && !fn->params[i].fallback)
      WRONG(r, fn->params[i].name.span, "%s has no default, but one before it has",
            r->params[i].name);
    open |= fn->params[i].fallback != NULL;
  }
  if (r->well) result_read(r, fn->result, &f->result, false);
  if (r->well) outs_check(r, f, fn->name.span);
  return r->well ? f : NULL;
}

/* ---- texts for the docs ---- */

static void put_source(comp *c, text *t, uint32_t from, uint32_t to)
{
  const source *s = sources_get(&c->st->sources, c->file);
  if (s && from <= to && to <= s->n) text_put(t, s->text + from, to - from);
}

/* Of the arguments: as the table of natives writes them, or as in the source. */
static const char *params_text(comp *c, const ast_fn *fn, const foreign_fn *f, bool plain)
{
  text t;
  int n = 0;
  text_init(&t, &c->st->mem);
  for (int i = 0; f && i < f->n; i++) {
    const ast_param *p = &fn->params[i];
    if (f->params[i].arg < 0) continue;
    if (n++) text_puts(&t, ", ");
    if (!plain) {
      put_source(c, &t, p->name.span.start, (p->fallback ? p->fallback : p->type)->span.end);
      continue;
    }
    text_puts(&t, p->name.s);
    if (f->params[i].fallback) text_puts(&t, " = missing");
    else if (p->fallback) {
      text_puts(&t, " = ");
      put_source(c, &t, p->fallback->span.start, p->fallback->span.end);
    }
  }
  const char *kept = t.failed ? NULL : env_keep_text(c->st, t.n ? t.s : "");
  text_free(&t);
  if (!kept) c->memory = true;
  return kept;
}

static const char *doc_text(comp *c, const ast_cfn *x, const char *library)
{
  text t;
  const ast_fn *fn = x->fn;
  uint32_t end = fn->name.span.end;
  for (uint32_t i = 0; i < fn->nparams; i++)
    end = (fn->params[i].fallback ? fn->params[i].fallback : fn->params[i].type)->span.end;
  text_init(&t, &c->st->mem);
  if (fn->doc) text_printf(&t, "%s\n\n", fn->doc);
  text_printf(&t, "The C function %s of %s: fn ", x->symbol, *library ? library : "the program");
  put_source(c, &t, fn->name.span.start, end);
  text_puts(&t, fn->nparams ? ")" : "()");
  if (fn->result) {
    text_puts(&t, " -> ");
    put_source(c, &t, fn->result->span.start, fn->result->span.end);
  }
  const char *kept = t.failed ? NULL : env_keep_text(c->st, t.s);
  text_free(&t);
  if (!kept) c->memory = true;
  return kept;
}

/* ---- making ---- */

/* The state's error as a diagnostic at span. */
static void report(comp *c, norn_span span)
{
  norn_state *st = c->st;
  norn_err e = st->err;
  norn_clear(st);
  if (e.code == NORN_EMEMORY) c->memory = true;
  diag *d = comp_error(c, span, "%s", e.text);
  if (d && *e.hint) error_hint(&d->e, "%s", e.hint);
}

/* Stands in a row whose library was not opened: where there are errors, and when checking. */
static norn_status unopened(norn_state *st, const val *args, int n, val *out)
{
  (void)args, (void)n, (void)out;
  return norn_fail(st, NORN_EUSE, -1, "the library was not opened");
}

static void declare_one(comp *c, const ast_foreign *s, ast_cfn *x, void *library, bool opened)
{
  reading r = {.c = c, .fn = x->fn, .well = true};
  foreign_fn *f = function_read(&r);
  norn_native *row = arena_get(&c->st->env->arena, sizeof *row);
  /* what is not understood takes whatever it is called with */
  const char *plain = f ? params_text(c, x->fn, f, true) : "any...";
  const char *params = params_text(c, x->fn, f, false);
  const char *doc = f ? doc_text(c, x, s->library) : "";
  if (!row || !plain || !params || !doc) {
    c->memory = true;
    return;
  }
  *row = (norn_native){.name = env_keep_text(c->st, x->fn->name.s), .params = plain, .doc = doc,
                       .f = unopened};
  if (f && opened && c->st->maker->make(c->st, library, x->symbol, f, row)) report(c, x->at);
  if (!c->repl && env_lookup_in(c->st, c->mod, comp_sym(c, x->fn->name.s)))
    comp_error(c, x->fn->name.span, "%s is defined twice", x->fn->name.s);
  env_entry *e = env_define(c->st, c->mod, comp_sym(c, x->fn->name.s), ENV_NATIVE,
                            x->fn->name.span);
  if (!e || !row->name || !env_native_entry(c->st, e, row)) {
    c->memory = true;
    return;
  }
  e->params = params;
  x->native = row;
}

void declare_foreign(comp *c, const ast *s)
{
  const ast_foreign *f = s->u.foreign;
  norn_state *st = c->st;
  const source *file = sources_get(&st->sources, c->file);
  const char *slash = file ? strrchr(file->name, '/') : NULL;
  char dir[4096] = "";
  void *library = NULL;
  bool opened = false;
  if (slash && (size_t)(slash - file->name) < sizeof dir)
    memcpy(dir, file->name, (size_t)(slash - file->name));
  if (st->cfg.no_foreign || !st->maker) {
    diag *d = comp_error(c, s->span, "foreign functions are turned off here");
    if (d && st->cfg.no_foreign) error_hint(&d->e, "norn --safe and hosts can forbid them");
  } else if (!st->checking) {
    opened = st->maker->open(st, f->library, slash ? dir : NULL, &library) == NORN_OK;
    if (!opened) report(c, f->at);
  }
  for (uint32_t i = 0; i < f->n && !c->memory; i++)
    declare_one(c, f, &f->v[i], library, opened);
}

/* ---- derivatives: stored when the top level runs ---- */

/* @derivative(f, d) */
void comp_foreign(comp *c, const ast *s)
{
  env_entry *e = env_builtin(c->st, comp_sym(c, "@derivative"));
  for (uint32_t i = 0; i < s->u.foreign->n; i++) {
    const ast_cfn *x = &s->u.foreign->v[i];
    if (!x->derivative || !x->native || !e) continue;
    int top = c->f->top, w = temps(c, 2);
    emit_p(c, OP_LOADNAT, w, 0, 0, x->native);
    expr(c, x->derivative, w + 1, TAIL_NO);
    int at = emit_p(c, OP_NATIVE, w, 2, 0, e->native);
    emit_span(c, at, -1, x->derivative->span);
    emit_span(c, at, 1, x->derivative->span);
    c->f->top = top;
  }
}
