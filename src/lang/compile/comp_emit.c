/* comp_emit.c: putting instructions into a function under construction, and finishing it. */
#include "lang/compile/comp.h"
#include "lang/compile/flow.h"
#include <stdlib.h>
#include <string.h>

static bool code_room(comp *c, size_t n)
{
  fnstate *f = c->f;
  if (f->n + n <= f->ccode) return true;
  if (mem_grow(&c->st->mem, &f->code, &f->ccode, f->n + n, sizeof *f->code)) return true;
  c->memory = true;
  return false;
}

int emit(comp *c, int op, int a, int b, int k)
{
  fnstate *f = c->f;
  int nlit = op_table[op].nlit;
  if (!code_room(c, (size_t)nlit + 1)) { if (f->n + 8 < f->ccode) return (int)f->n; return 0; }
  int at = (int)f->n;
  const char *m = op_table[op].modes;
  memset(f->code + at, 0, sizeof *f->code * (size_t)(nlit + 1));
  ins *i = f->code + at;
  i->op = (uint16_t)op;
  i->a = (uint16_t)(strchr("ij-", m[0]) ? a : a * 16);
  i->b = (uint16_t)(strchr("ij-", m[1]) ? b : b * 16);
  i->c = (uint16_t)(strchr("ij-", m[2]) ? k : k * 16);
  if (m[0] == 'C' || m[0] == 'N' || m[0] == 'V') i->b = (uint16_t)b;
  f->n += (size_t)nlit + 1;
  return at;
}

void emit_lit(comp *c, int at, int k, uint64_t u) { if (!c->memory) c->f->code[at + 1 + k].u = u; }
int emit_i(comp *c, int op, int a, int b, int64_t i)
{
  int at = emit(c, op, a, b, 0);
  if (!c->memory) c->f->code[at + 1].i = i;
  return at;
}
int emit_f(comp *c, int op, int a, int b, double d)
{
  int at = emit(c, op, a, b, 0);
  if (!c->memory) c->f->code[at + 1].f = d;
  return at;
}
int emit_p(comp *c, int op, int a, int b, int k, const void *p)
{
  int at = emit(c, op, a, b, k);
  if (!c->memory) c->f->code[at + 1].p = p;
  return at;
}

void emit_span(comp *c, int at, int arg, norn_span s)
{
  fnstate *f = c->f;
  if (!mem_grow(&c->st->mem, &f->spans, &f->cspans, f->nspans + 1, sizeof *f->spans)) {
    c->memory = true;
    return;
  }
  f->spans[f->nspans++] = (span_at){ (uint32_t)at, (int16_t)arg, s.start, s.end };
}

static void set_jump(comp *c, int at, int64_t d)
{
  if (c->memory) return;
  ins *i = c->f->code + at;
  if (i->op == OP_JMPF) { i[1].i = d; return; }
  if (d < INT16_MIN || d > INT16_MAX) c->f->too_large = true;
  i->c = (uint16_t)d;
}

void land(comp *c, int at) { set_jump(c, at, (int64_t)c->f->n - at); }
void jump_back(comp *c, int at, int to) { set_jump(c, at, (int64_t)to - at); }

void jumps_add(comp *c, jumps *j, int at)
{
  if (j->n == j->cap) {
    size_t cap = j->cap ? 2 * j->cap : 8;
    int *v = comp_get(c, cap * sizeof *v);
    if (!v) return;
    if (j->n) memcpy(v, j->v, j->n * sizeof *v);
    j->v = v; j->cap = cap;
  }
  j->v[j->n++] = at;
}

void jumps_land(comp *c, jumps *j) { for (size_t i = 0; i < j->n; i++) land(c, j->v[i]); j->n = 0; }

int temp(comp *c)
{
  fnstate *f = c->f;
  if (f->top >= 4000) { f->too_large = true; return f->top - 1; }
  if (++f->top > f->max) f->max = f->top;
  return f->top - 1;
}

int temps(comp *c, int n)
{
  int r = c->f->top;
  for (int i = 0; i < n; i++) temp(c);
  return r;
}

int64_t constant(comp *c, val v)
{
  fnstate *f = c->f;
  for (size_t i = f->nconsts > 64 ? f->nconsts - 64 : 0; i < f->nconsts; i++)
    if (f->consts[i].tag == v.tag && v.tag == NORN_STR && value_equal(f->consts[i], v))
      return (int64_t)i;
  if (!mem_grow(&c->st->mem, &f->consts, &f->cconsts, f->nconsts + 1, sizeof *f->consts)) {
    c->memory = true;
    return 0;
  }
  f->consts[f->nconsts] = v;
  c->st->consts_fresh = true;
  return (int64_t)f->nconsts++;
}

/* ---- protos ---- */

proto *proto_new(comp *c, const ast_fn *fn, const char *name, bool is_model, norn_span span)
{
  norn_state *st = c->st;
  proto *p = mem_zero(&st->mem, sizeof *p);
  if (!p) { c->memory = true; return NULL; }
  p->next = c->protos; c->protos = p;
  p->name = env_keep_text(st, name);
  p->span = span;
  p->file = c->file;
  p->is_model = p->aside = is_model;
  p->stdlib = c->mod->stdlib;
  uint32_t n = fn ? fn->nparams : 0;
  sym *names = mem_zero(&st->mem, (n + 1) * sizeof *names);
  clo *self = mem_zero(&st->mem, sizeof *self);
  p->params = names; p->self = self; p->nargs = (uint16_t)n;
  if (!names || !self || !p->name || n > 1000) { c->memory = true; return p; }
  for (uint32_t i = 0; i < n; i++) {
    names[i] = comp_sym(c, fn->params[i].name.s);
    if (!fn->params[i].fallback) p->nreq = (uint16_t)(i + 1);
  }
  self->h.kind = NORN_FUN; self->h.flags = OBJ_STATIC | OBJ_OLD; self->p = p;
  if (fn && fn->doc) p->doc = env_keep_text(st, fn->doc);
  return p;
}

void proto_free(norn_state *st, proto *p)
{
  mem *m = &st->mem;
  if (p->code) mem_put(m, (void *)(uintptr_t)p->code, p->ncode * sizeof(ins));
  if (p->params) mem_put(m, (void *)(uintptr_t)p->params, ((size_t)p->nargs + 1) * sizeof(sym));
  if (p->self) mem_put(m, p->self, sizeof *p->self);
  if (p->consts) mem_put(m, p->consts, p->nconsts * sizeof(val));
  if (p->live) mem_put(m, p->live, (size_t)p->ncode * p->live_words * sizeof(uint64_t));
  if (p->spans) mem_put(m, p->spans, p->nspans * sizeof(span_at));
  mem_put(m, p, sizeof *p);
}

static int by_pc(const void *a, const void *b)
{
  const span_at *x = a, *y = b;
  if (x->pc != y->pc) return x->pc < y->pc ? -1 : 1;
  return x->arg - y->arg;
}

/* An exact copy, so that freeing needs no capacities. */
static void *exact(comp *c, void *p, size_t n, size_t cap, size_t size)
{
  if (!n) { mem_put(&c->st->mem, p, cap * size); return NULL; }
  void *q = mem_get(&c->st->mem, n * size);
  if (q) memcpy(q, p, n * size); else c->memory = true;
  mem_put(&c->st->mem, p, cap * size);
  return q;
}

bool fn_finish(comp *c, proto *p)
{
  fnstate *f = c->f;
  if (f->nspans) qsort(f->spans, f->nspans, sizeof *f->spans, by_pc);
  p->nregs = (uint16_t)(f->max > p->nargs ? f->max : p->nargs);
  if (!p->nregs) p->nregs = 1;
  p->bytes = (uint32_t)p->nregs * 16;
  p->ncode = (uint32_t)f->n; p->code = exact(c, f->code, f->n, f->ccode, sizeof *f->code);
  p->nspans = (uint32_t)f->nspans;
  p->spans = exact(c, f->spans, f->nspans, f->cspans, sizeof *f->spans);
  p->nconsts = (uint32_t)f->nconsts;
  p->consts = exact(c, f->consts, f->nconsts, f->cconsts, sizeof *f->consts);
  if (c->memory) {
    if (!p->code) p->ncode = 0;
    if (!p->spans) p->nspans = 0;
    if (!p->consts) p->nconsts = 0;
    return false;
  }
  return true;
}
