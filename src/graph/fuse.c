/* fuse: the second list of a program's instructions, for gradients (program.h).

   A block is a target (all of its members are terms) with the instructions that serve only it,
   element by element; they have its length.  In a block a chain of additions of products of one
   number and constants (a linear predictor) is one instruction, whose sum goes in the order of the
   chain. */
#include "graph/program.h"
#include <stdlib.h>
#include <string.h>

typedef struct fusing {
  program *p;
  blocks temp;
  uint32_t *owner;                   /* (nplace) 1 + the instruction whose result stands there */
  uint32_t *reads, *met;             /* (ncode) readers element by element; those in this block */
  uint8_t *other;                    /* (ncode) something else reads it */
  uint32_t *block;                   /* (ncode) 1 + the target it was fused with */
  uint32_t *list, *step_of;          /* (ncode) members of a block; their steps */
  size_t nlist, nlocal;
} fusing;

/* ---- who reads what -------------------------------------------------------------------------- */

static bool is_array(const instr *c) { return c->op != G_SCAN && c->op != G_PART && c->n > 1; }

/* The instruction of which operand o of n elements is the result, element by element; NULL:
   none. */
static const instr *result_of(const fusing *f, const operand *o, uint32_t n)
{
  if (o->kind != FROM_VIEW || !f->owner[o->at]) return NULL;
  const instr *c = &f->p->code[f->owner[o->at] - 1];
  return is_array(c) && c->to == o->at && c->n == n ? c : NULL;
}

static void read_place(fusing *f, uint32_t place)
{
  if (place < f->p->nplace && f->owner[place]) f->other[f->owner[place] - 1] = 1;
}

static void read_operand(fusing *f, const operand *o, uint32_t n, bool by_element)
{
  const instr *c = by_element ? result_of(f, o, n) : NULL;
  if (c) { f->reads[c - f->p->code]++; return; }
  if (o->kind == FROM_SCALAR) read_place(f, o->at);
  for (uint32_t i = 0; o->kind == FROM_VIEW && i < n; i++) read_place(f, o->at + i);
  for (uint32_t i = 0; o->kind == FROM_GATHER && i < n; i++) read_place(f, o->places[i]);
}

static void read_instr(fusing *f, const instr *c)
{
  program *p = f->p;
  for (int j = 0; j < c->nargs; j++) read_operand(f, &c->arg[j], c->n, is_array(c));
  if (c->op == G_LINEAR)
    for (uint32_t j = 0; j < p->linear[c->aux].terms; j++)
      read_operand(f, &p->linear[c->aux].b[j], 1, false);
  if (c->op == G_PART)
    for (uint32_t j = 0; j < p->call[c->aux].c.nin; j++)
      read_operand(f, &p->call[c->aux].in[j], 1, false);
  for (uint32_t k = 0; c->op == G_FUSED && k < p->fused[c->aux].nstep; k++)
    read_instr(f, &p->fused[c->aux].step[k].c);
  if (c->op != G_SCAN) return;
  const scan *s = &p->scan[c->aux];
  for (uint32_t q = 0; q < s->P; q++) {
    const instr *k = &s->column[q].c;
    for (int j = 0; j < k->nargs; j++) read_operand(f, &k->arg[j], k->n, false);
  }
  for (size_t i = 0; i < s->nstart; i++) read_place(f, s->start[i].from);
}

static bool readers_find(fusing *f)
{
  program *p = f->p;
  size_t n = p->ncode;
  f->owner = blocks_get(&f->temp, p->nplace * sizeof *f->owner);
  f->reads = blocks_get(&f->temp, 5 * n * sizeof *f->reads);
  f->other = blocks_get(&f->temp, n);
  if (!f->owner || !f->reads || !f->other) return false;
  f->met = f->reads + n;
  f->block = f->met + n;
  f->list = f->block + n;
  f->step_of = f->list + n;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = 0; p->code[i].op != G_SCAN && k < p->code[i].n; k++)
      f->owner[p->code[i].to + k] = i + 1;
  for (size_t i = 0; i < n; i++) read_instr(f, &p->code[i]);
  for (size_t i = 0; i < p->nterm; i++) read_place(f, p->term[i]);
  for (size_t i = 0; i < p->nguard; i++) {
    read_place(f, p->guard[i].a);
    read_place(f, p->guard[i].b);
  }
  return true;
}

/* ---- members --------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* The target i and what serves only it, in the order of running. */
static void members_find(fusing *f, uint32_t i)
{
  program *p = f->p;
  f->nlist = 0;
  f->list[f->nlist++] = i;
  f->block[i] = i + 1;
  for (size_t k = 0; k < f->nlist; k++) {
    const instr *c = &p->code[f->list[k]];
    for (int j = 0; j < c->nargs; j++) {
      const instr *o = result_of(f, &c->arg[j], c->n);
      if (!o || o->target) continue;
      uint32_t at = (uint32_t)(o - p->code);
      if (++f->met[at] < f->reads[at] || f->other[at] || f->block[at]) continue;
      f->block[at] = i + 1;
      f->list[f->nlist++] = at;
    }
  }
  for (size_t k = 0; k < f->nlist; k++) {        /* forget those that were met too seldom */
    const instr *c = &p->code[f->list[k]];
    for (int j = 0; j < c->nargs; j++) {
      const instr *o = result_of(f, &c->arg[j], c->n);
      if (o) f->met[o - p->code] = 0;
    }
  }
  qsort(f->list, f->nlist, sizeof *f->list, by_number);
}

/* ---- linear predictors ----------------------------------------------------------------------- */

/* What a step is as a sum of products: `from` (a step that is one; NONE) or an init, plus terms. */
enum { NONE = 0x7fffffff };
typedef struct sum_form {
  bool is, gone;                     /* gone: it became part of another */
  uint32_t from, uses, terms;        /* terms: in all */
  bool has_init; operand init;
  operand b; const double *col;      /* its own term, if it is no product of a matrix */
} sum_form;

static bool is_number(const operand *o) { return o->kind == FROM_SCALAR || o->kind == FROM_NUMBER; }

static bool is_finite(const operand *o, uint32_t n)
{
  double bad = 0;
  for (uint32_t i = 0; i < n; i++) bad += o->data[i] * 0;
  return bad == 0;
}

static void product_form(const instr *c, sum_form *s)
{
  for (int j = 0; j < 2 && !s->is; j++) {
    if (!is_number(&c->arg[j]) || c->arg[!j].kind != FROM_DATA || !is_finite(&c->arg[!j], c->n))
      continue;
    s->is = true;
    s->terms = 1;
    s->b = c->arg[j];
    s->col = c->arg[!j].data;
  }
}

static bool is_product(const sum_form *all, const operand *o)
{
  if (o->kind != FROM_LOCAL) return false;
  const sum_form *s = &all[o->at];
  return s->is && s->uses == 1 && s->terms == 1 && s->from == NONE && !s->has_init && s->col;
}

/* x + y with y a product or one number. */
static bool sum_of(sum_form *all, sum_form *s, const operand *x, const operand *y)
{
  bool product = is_product(all, y), before = x->kind == FROM_LOCAL && all[x->at].is &&
                                              all[x->at].uses == 1;
  if (!product && !(before && is_number(y))) return false;
  s->is = true;
  s->from = NONE;
  s->b = product ? all[y->at].b : *y;
  s->col = product ? all[y->at].col : NULL;
  s->terms = 1;
  if (product) all[y->at].gone = true;
  if (before) {
    s->from = x->at;
    s->terms += all[x->at].terms;
    s->has_init = all[x->at].has_init;
    all[x->at].gone = true;
  } else {
    s->has_init = true;
    s->init = *x;
  }
  return true;
}

/* The linear instruction of step k. */
static bool linear_of(fusing *f, fused_step *steps, sum_form *all, uint32_t k)
{
  program *p = f->p;
  linear *l = &p->linear[p->nlinear];
  instr *c = &steps[k].c;
  uint32_t i = all[k].terms, at = k;
  if (!program_linear(p, i, l)) return false;
  for (;; at = all[at].from) {
    const linear *matrix = steps[at].c.op == G_LINEAR ? &p->linear[steps[at].c.aux] : NULL;
    if (matrix && at != k) {
      memcpy(l->b, matrix->b, matrix->terms * sizeof *l->b);
      memcpy(l->col, matrix->col, matrix->terms * sizeof *l->col);
      break;
    }
    l->b[--i] = all[at].b;
    l->col[i] = all[at].col;
    if (all[at].from == NONE) break;
  }
  *c = (instr){.op = G_LINEAR, .n = c->n, .nargs = all[k].has_init, .aux = p->nlinear++};
  if (all[k].has_init) c->arg[0] = all[at].init;
  return true;
}

static bool linears_find(fusing *f, fused_step *steps, uint32_t n)
{
  sum_form *all = blocks_get(&f->temp, n * sizeof *all);
  if (!all) return false;
  for (uint32_t k = 0; k < n; k++) {
    const instr *c = &steps[k].c;
    for (int j = 0; j < c->nargs; j++)
      if (c->arg[j].kind == FROM_LOCAL) all[c->arg[j].at].uses++;
  }
  for (uint32_t k = 0; k + 1 < n; k++) {
    const instr *c = &steps[k].c;
    all[k].from = NONE;
    if (c->op == G_MUL) product_form(c, &all[k]);
    if (c->op == G_LINEAR) all[k].is = true, all[k].terms = f->p->linear[c->aux].terms;
    if (c->op == G_ADD && !sum_of(all, &all[k], &c->arg[0], &c->arg[1]))
      sum_of(all, &all[k], &c->arg[1], &c->arg[0]);
  }
  for (uint32_t k = 0; k < n; k++)
    if (all[k].is && !all[k].gone && steps[k].c.op == G_ADD && !linear_of(f, steps, all, k))
      return false;
  for (uint32_t k = 0; k < n; k++)
    if (all[k].gone) steps[k].c.n = 0;           /* left out */
  return true;
}

/* ---- buffers --------------------------------------------------------------------------------- */

/* Buffers of values, then, from the last step back, of adjoints.  A sum hands its adjoint on as it
   is to an operand that nothing else reads. */
static void buffers_make(fusing *f, fused_step *s, uint32_t n, uint8_t *uses, uint8_t *met)
{
  uint32_t local = 0;
  for (uint32_t k = 0; k < n; k++) {
    s[k].value = local++;
    s[k].adjoint = NONE;
    for (int j = 0; j < s[k].c.nargs; j++)
      if (s[k].c.arg[j].kind == FROM_LOCAL && uses[s[k].c.arg[j].at] < 2) uses[s[k].c.arg[j].at]++;
  }
  for (uint32_t k = n; k-- > 0;) {
    instr *c = &s[k].c;
    bool passes = c->op == G_ADD || c->op == G_LINEAR;
    if (s[k].adjoint == NONE) s[k].adjoint = local++;
    s[k].which = instr_variable(c);
    for (int j = 0; j < c->nargs; j++) {
      if (c->arg[j].kind != FROM_LOCAL) {
        s[k].slope[j] = c->op == G_DENSITY ? local++ : 0;
        continue;
      }
      fused_step *o = &s[c->arg[j].at];
      bool only = uses[c->arg[j].at] == 1;
      if (only && (passes || (c->op == G_SUB && j == 0))) {
        o->adjoint = s[k].adjoint;
        s[k].which &= ~(1u << j);
      } else if (o->adjoint == NONE) o->adjoint = local++;
      if (!met[c->arg[j].at]) s[k].first |= 1u << j;
      met[c->arg[j].at] = 1;
      s[k].to[j] = o->adjoint;
      if (c->op == G_DENSITY) s[k].slope[j] = only ? o->adjoint : local++;
    }
  }
  for (uint32_t k = 0; k < n; k++)
    for (int j = 0; j < s[k].c.nargs; j++)
      if (s[k].c.arg[j].kind == FROM_LOCAL) s[k].c.arg[j].at = s[s[k].c.arg[j].at].value;
  if (local > f->nlocal) f->nlocal = local;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* The members as steps, whose operands in the block are LOCAL; at: the step until buffers are
   made. */
static void steps_make(fusing *f, fused_step *s)
{
  for (uint32_t k = 0; k < f->nlist; k++) {
    uint32_t i = f->list[k];
    s[k].c = f->p->code[i];
    f->step_of[i] = k;
    for (int j = 0; j < s[k].c.nargs; j++) {
      const instr *o = result_of(f, &s[k].c.arg[j], s[k].c.n);
      if (o && f->block[o - f->p->code] == f->block[i])
        s[k].c.arg[j] = (operand){.kind = FROM_LOCAL, .at = f->step_of[o - f->p->code]};
    }
  }
}

/* Drops the steps that became part of another; gives how many are left. */
static uint32_t steps_pack(fused_step *s, uint32_t n, uint32_t *now)
{
  uint32_t m = 0;
  for (uint32_t k = 0; k < n; k++) {
    now[k] = m;
    if (!s[k].c.n) continue;
    for (int j = 0; j < s[k].c.nargs; j++)
      if (s[k].c.arg[j].kind == FROM_LOCAL) s[k].c.arg[j].at = now[s[k].c.arg[j].at];
    s[m++] = s[k];
  }
  return m;
}

static bool block_make(fusing *f, const instr *target, instr *out)
{
  program *p = f->p;
  uint32_t n = (uint32_t)f->nlist;
  fused *b = &p->fused[p->nfused];
  b->step = blocks_get(&p->own, n * sizeof *b->step);
  uint8_t *uses = blocks_get(&f->temp, 2 * n);
  uint32_t *now = blocks_get(&f->temp, n * sizeof *now);
  if (!b->step || !uses || !now) return false;
  steps_make(f, b->step);
  if (!linears_find(f, b->step, n)) return false;
  b->n = target->n;
  b->nstep = steps_pack(b->step, n, now);
  buffers_make(f, b->step, b->nstep, uses, uses + n);
  *out = (instr){.op = G_FUSED, .n = target->n, .target = true, .term = target->term,
                 .aux = p->nfused++};
  for (uint32_t k = 0; k < n; k++) p->block_of[f->list[k]] = p->nfused;
  return true;
}

/* Blocks that are there already (regression.c) get their buffers. */
static void blocks_ready(fusing *f)
{
  for (size_t i = 0; i < f->p->nfused; i++) {
    uint8_t uses[2] = {0}, met[2] = {0};
    buffers_make(f, f->p->fused[i].step, f->p->fused[i].nstep, uses, met);
  }
}

static bool fast_make(fusing *f)
{
  program *p = f->p;
  size_t targets = 0;
  for (size_t i = 0; i < p->ncode; i++) targets += p->code[i].target;
  const fused *before = p->fused;
  blocks_ready(f);
  linear *all = blocks_get(&p->own, (p->nlinear + p->ncode) * sizeof *all);
  p->fast = blocks_get(&p->own, p->ncode * sizeof *p->fast);
  p->fused = blocks_get(&p->own, targets * sizeof *p->fused);
  instr *made = blocks_get(&f->temp, p->ncode * sizeof *made);
  p->block_of = blocks_get(&p->own, p->ncode * sizeof *p->block_of);
  if (!all || !p->fast || !p->fused || !made || !p->block_of) return false;
  for (size_t i = 0; i < p->ncode; i++)
    if (p->code[i].op == G_FUSED) p->block_of[i] = (uint32_t)p->code[i].aux + 1;
  memcpy(p->fused, before, p->nfused * sizeof *p->fused);
  memcpy(all, p->linear, p->nlinear * sizeof *all);
  p->linear = all;                   /* room for one more an addition */
  for (uint32_t i = 0; i < p->ncode; i++) {
    made[i] = p->code[i];
    if (!p->code[i].target || p->code[i].n == 1) continue;
    members_find(f, i);
    if (f->nlist == 1) f->block[i] = 0;
    else if (!block_make(f, &p->code[i], &made[i])) return false;
  }
  for (uint32_t i = 0; i < p->ncode; i++)
    if (!f->block[i] || f->block[i] == i + 1) p->fast[p->nfast++] = made[i];
  p->local = blocks_get(&p->own, f->nlocal * CHUNK * sizeof *p->local);
  return p->local != NULL;
}

/* The adjoints that must be 0 before: all but those of what blocks keep to themselves, with the rest of a register
   behind arrays. */
static bool clear_make(fusing *f)
{
  enum { GAP = 64 };                 /* shorter ones are cleared too */
  program *p = f->p;
  uint32_t at = 0;
  p->clear = blocks_get(&p->own, (p->ncode + p->nplace / GAP + 2) * sizeof *p->clear);
  uint8_t *skip = blocks_get(&f->temp, p->nplace);
  if (!p->clear || !skip) return false;
  for (size_t i = 0; i < p->ncode; i++)
    if (p->code[i].target ? p->code[i].op == G_DENSITY || f->block[i] : f->block[i] != 0)
      memset(skip + p->code[i].to, 1, p->code[i].n > 1 ? (p->code[i].n + 7) / 8 * 8 : 1);
  while (at < p->nplace) {
    uint32_t from = at, end = at, gap = 0;
    for (; at < p->nplace && gap < GAP; at++) {
      gap = skip[at] ? gap + 1 : 0;
      if (!skip[at]) end = at + 1;
    }
    if (end > from) p->clear[p->nclear++] = (struct range){from, end - from};
  }
  return true;
}

bool program_fuse(program *p)
{
  fusing f = {.p = p, .temp = {.st = p->st}};
  bool good = readers_find(&f) && fast_make(&f) && clear_make(&f);
  blocks_free(&f.temp);
  return good;
}
