/* program: from units of nodes (schedule.h) to instructions over arrays (graph.h, program.h). */
#include "dist/block.h"
#include "graph/fused_cc.h"
#include "graph/jit.h"
#include "graph/regression.h"
#include "graph/schedule.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- memory ---------------------------------------------------------------------------------- */

void *blocks_get(blocks *p, size_t n)
{
  if (!n) n = 1;
  graph g = {.st = p->st};           /* only for its room */
  if (!graph_room(&g, &p->block, &p->cap, p->n + 1, sizeof *p->block) ||
      !graph_room(&g, &p->size, &p->cap_size, p->n + 1, sizeof *p->size))
    return NULL;
  n += 64;                           /* a register of padding */
  char *b = norn_alloc(p->st, NULL, 0, n + 64);
  if (!b) return norn_fail(p->st, NORN_EMEMORY, -1, "out of memory"), NULL;
  p->block[p->n] = b;
  p->size[p->n++] = n + 64;
  b += -(uintptr_t)b & 63;           /* registers do not lie across lines of the cache */
  return memset(b, 0, n);
}

void blocks_free(blocks *p)
{
  for (size_t i = 0; i < p->n; i++) norn_alloc(p->st, p->block[i], p->size[i], 0);
  norn_alloc(p->st, p->block, p->cap * sizeof *p->block, 0);
  norn_alloc(p->st, p->size, p->cap_size * sizeof *p->size, 0);
}

static void *block_get(program *p, size_t n) { return blocks_get(&p->own, n); }

void program_free(program *p)
{
  if (!p) return;
  if (p->device) p->device->free(p->device);
  for (size_t i = 0; i < p->nfused; i++) fused_code_free(p->fused[i].code);
  jit_free(p->jit);
  blocks_free(&p->own);
  norn_alloc(p->st, p, sizeof *p, 0);
}

/* ---- operands -------------------------------------------------------------------------------- */

/* Operand j of n nodes, each `step` after the one before in a list. */
typedef struct nodes { const uint32_t *node; uint32_t n, step; } nodes;
static uint32_t nodes_arg(const schedule *r, const nodes *k, uint32_t i, int j)
{
  return schedule_arg(r, k->node[i * k->step], j);
}

/* ---- scattered operands ---------------------------------------------------------------------- */

typedef struct spot { uint32_t place, i; } spot;
static int by_place(const void *a, const void *b)
{
  const spot *x = a, *y = b;
  return x->place != y->place ? (x->place > y->place ? 1 : -1) : (x->i > y->i) - (x->i < y->i);
}

/* The segments of each chunk; out stays NULL where places are too seldom the same to be worth
   it. */
static bool segments_make(program *p, const uint32_t *places, uint32_t n, const segments **out)
{
  spot at[CHUNK];
  uint32_t *order = block_get(p, 3 * n * sizeof *order), *place = order + n, *end = place + n;
  uint32_t *first = block_get(p, (n / CHUNK + 2) * sizeof *first), many = 0;
  segments *s = block_get(p, sizeof *s);
  bool sorted = true;
  if (!order || !first || !s) return false;
  for (uint32_t k = 0; k < n; k += CHUNK) {
    uint32_t m = n - k < CHUNK ? n - k : CHUNK;
    for (uint32_t i = 0; i < m; i++) at[i] = (spot){places[k + i], i};
    qsort(at, m, sizeof *at, by_place);
    first[k / CHUNK] = many;
    for (uint32_t i = 0; i < m; i++) {
      sorted &= at[i].i == i;
      order[k + i] = at[i].i;
      if (i == 0 || at[i].place != at[i - 1].place) place[many++] = at[i].place;
      end[many - 1] = i + 1;
    }
  }
  first[(n + CHUNK - 1) / CHUNK] = many;
  *s = (segments){sorted ? NULL : order, place, end, first};
  if (2 * many <= n) *out = s;
  return true;
}

static bool operand_make(program *p, const schedule *r, const nodes *k, int j, operand *out)
{
  const graph *g = r->g;
  uint32_t first = nodes_arg(r, k, 0, j);
  bool same = true, view = true, numbers = true;
  for (uint32_t i = 0; i < k->n; i++) {
    uint32_t a = nodes_arg(r, k, i, j);
    same &= a == first;
    view &= p->place[a] == p->place[first] + i;
    numbers &= g->node[a].op == G_CONST;
  }
  *out = (operand){.kind = numbers ? (same ? FROM_NUMBER : FROM_DATA)
                                   : same ? FROM_SCALAR : view ? FROM_VIEW : FROM_GATHER,
                   .at = numbers ? 0 : p->place[first]};
  if (numbers) {
    double *d = block_get(p, (same ? 1 : k->n) * sizeof *d);
    if (!d) return false;
    for (uint32_t i = 0; i < (same ? 1 : k->n); i++) d[i] = g->value[nodes_arg(r, k, i, j)];
    out->data = d;
  } else if (out->kind == FROM_GATHER) {
    uint32_t *places = block_get(p, k->n * sizeof *places);
    if (!places) return false;
    for (uint32_t i = 0; i < k->n; i++) places[i] = p->place[nodes_arg(r, k, i, j)];
    out->places = places;
    return k->n < 32 || segments_make(p, places, k->n, &out->segments);
  }
  return true;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static bool call_make(program *p, const graph *g, size_t c)
{
  call_instr *k = &p->call[c];
  k->c = g->call[c];
  k->in = block_get(p, k->c.nin * sizeof *k->in);
  k->x = block_get(p, (2 * (size_t)k->c.nin + k->c.nout) * sizeof *k->x);
  if (!k->in || !k->x) return false;
  k->gx = k->x + k->c.nin;
  for (uint32_t i = 0; i < k->c.nin; i++) {
    uint32_t a = g->arg[k->c.args + i];
    bool constant = g->node[a].op == G_CONST;
    k->x[i] = g->value[a];
    k->in[i] = (operand){.kind = constant ? FROM_NUMBER : FROM_SCALAR, .at = p->place[a],
                         .data = &k->x[i]};
  }
  return true;
}

/* ---- places ---------------------------------------------------------------------------------- */

/* Before a column of a scan lie the numbers with which it begins: as many as its longest lag. */
static uint32_t column_lag(const schedule *r, const unit *u, uint32_t q)
{
  uint32_t most = 0;
  for (uint32_t k = 0; k < u->P; k++)
    for (int j = 0; j < r->g->node[r->member[u->first + k]].nargs; j++) {
      scan_link l = schedule_link(r, u, k, j);
      if (l.inner && l.q == q && l.lag > most) most = l.lag;
    }
  return most;
}

enum { NOWHERE = 0x7fffffff };
static size_t columns_place(program *p, const schedule *r, const unit *u, size_t at)
{
  for (uint32_t q = 0; q < u->P; q++) {
    at += u->T > 1 ? column_lag(r, u, q) : 0;
    for (uint32_t t = 0; t < u->T; t++)
      p->place[r->member[u->first + t * u->P + q]] = (uint32_t)at + t;
    at += u->T == 1 ? 1 : (u->T + 7) / 8 * 8;
  }
  return at;
}

/* A number with which a scan begins is put where the scan wants it, if it is an instruction of its
   own and has no place yet. */
static void adopt(program *p, const schedule *r, uint32_t node, uint32_t place,
                  const uint32_t *unit_of)
{
  uint32_t k = unit_of[node];
  if (p->place[node] != NOWHERE || k == UINT32_MAX || r->g->node[node].op == G_PART) return;
  if (!r->unit[k].P && r->unit[k].n == 1) p->place[node] = place;
}

static void starts_adopt(program *p, const schedule *r, const unit *u, const uint32_t *unit_of)
{
  for (uint32_t q = 0; q < u->P; q++) {
    for (int j = 0; j < r->g->node[r->member[u->first + q]].nargs; j++) {
      scan_link l = schedule_link(r, u, q, j);
      uint32_t to = l.inner ? p->place[r->member[u->first + l.q]] : 0;
      for (uint32_t t = 0; l.inner && t < l.lag; t++)
        adopt(p, r, schedule_arg(r, r->member[u->first + t * u->P + q], j), to + t - l.lag,
              unit_of);
    }
  }
}

static uint32_t *units_of(schedule *r)
{
  uint32_t *unit_of = blocks_get(&r->temp, r->g->nnode * sizeof *unit_of);
  if (!unit_of) return NULL;
  memset(unit_of, 0xff, r->g->nnode * sizeof *unit_of);
  for (uint32_t k = 0; k < r->nunit; k++)
    for (uint32_t i = 0; i < r->unit[k].n; i++) unit_of[r->member[r->unit[k].first + i]] = k;
  return unit_of;
}

/* Places: the inputs, the scans, and the other units in the order of running, each followed by room
   for the rest of a register. */
static bool places_make(program *p, schedule *r, const uint32_t *unit_of)
{
  const graph *g = r->g;
  size_t at = (g->ninput + 7) / 8 * 8, input = 0;
  p->place = block_get(p, g->nnode * sizeof *p->place);
  if (!p->place) return false;
  for (uint32_t i = 0; i < g->nnode; i++)
    p->place[i] = g->node[i].op == G_CONST ? 0x80000000u | i
                                           : g->node[i].op == G_INPUT ? (uint32_t)input++ : NOWHERE;
  for (size_t k = 0; k < r->nunit; k++)
    if (r->unit[k].P) at = columns_place(p, r, &r->unit[k], at);
  for (size_t k = 0; k < r->nunit; k++)
    if (r->unit[k].P) starts_adopt(p, r, &r->unit[k], unit_of);
  for (size_t k = 0; k < r->nunit; k++) {
    const unit *u = &r->unit[k];
    if (u->P || p->place[r->member[u->first]] != NOWHERE) continue;
    if (u->n > 1) at = (at + 7) / 8 * 8;
    for (uint32_t i = 0; i < u->n; i++) p->place[r->member[u->first + i]] = (uint32_t)at++;
    if (u->n > 1) at = (at + 7) / 8 * 8;
  }
  p->nplace = at;
  p->value = block_get(p, at * sizeof *p->value);
  p->adjoint = block_get(p, at * sizeof *p->adjoint);
  p->constant = block_get(p, g->nnode * sizeof *p->constant);
  if (!p->value || !p->adjoint || !p->constant) return false;
  memcpy(p->constant, g->value, g->nnode * sizeof *p->constant);
  return true;
}

/* ---- scans ----------------------------------------------------------------------------------- */

static double edge_sign(int op, int j)
{
  return op == G_ADD ? 1 : op == G_SUB ? (j ? -1 : 1) : op == G_NEG ? -1 : 0;
}

/* Room for what the operand brings in each turn. */
static bool column_room(program *p, scan_column *c, int j, bool inner)
{
  size_t n = (c->c.n + 7) / 8 * 8 * sizeof(double);
  if (c->c.arg[j].kind == FROM_GATHER && !(c->gathered[j] = block_get(p, n))) return false;
  bool computed = inner && c->c.op != G_MUL && edge_sign(c->c.op, j) == 0;
  return !computed || (c->slope[j] = block_get(p, n));
}

static bool column_make(program *p, const schedule *r, const unit *u, uint32_t q, scan_column *c)
{
  const uint32_t *node = r->member + u->first + q;
  const graph_node *a = &r->g->node[*node];
  nodes k = {node, u->T, u->P};
  c->c = (instr){.op = a->op, .nargs = a->nargs, .n = u->T, .to = p->place[*node], .aux = a->aux};
  for (int j = 0; j < a->nargs; j++) {
    scan_link l = schedule_link(r, u, q, j);
    if (l.inner)
      c->c.arg[j] = (operand){.kind = FROM_VIEW, .at = p->place[r->member[u->first + l.q]] - l.lag};
    else if (!operand_make(p, r, &k, j, &c->c.arg[j])) return false;
    c->inner |= (unsigned)l.inner << j;
    if (!column_room(p, c, j, l.inner)) return false;
  }
  return true;
}

static bool edges_make(program *p, scan *s)
{
  s->edge = block_get(p, 2 * s->P * sizeof *s->edge);
  if (!s->edge) return false;
  for (uint32_t q = s->P; q-- > 0;) {
    const scan_column *c = &s->column[q];
    for (uint32_t j = 0; j < c->c.nargs; j++)
      if (c->inner >> j & 1)
        s->edge[s->nedge++] = (scan_edge){.column = q, .operand = j, .from = c->c.to,
                                          .to = c->c.arg[j].at, .sign = edge_sign(c->c.op, (int)j)};
  }
  return true;
}

static bool start_seen(const scan *s, uint32_t to)
{
  for (size_t i = 0; i < s->nstart; i++)
    if (s->start[i].to == to) return true;
  return false;
}

static bool starts_make(program *p, const schedule *r, const unit *u, scan *s)
{
  size_t most = 1;
  for (uint32_t q = 0; q < u->P; q++)
    for (int j = 0; j < s->column[q].c.nargs; j++) most += schedule_link(r, u, q, j).lag;
  s->start = block_get(p, most * sizeof *s->start);
  if (!s->start) return false;
  for (uint32_t q = 0; q < u->P; q++) {
    for (int j = 0; j < s->column[q].c.nargs; j++) {
      scan_link l = schedule_link(r, u, q, j);
      for (uint32_t t = 0; l.inner && t < l.lag; t++) {
        uint32_t from = p->place[schedule_arg(r, r->member[u->first + t * u->P + q], j)];
        uint32_t to = s->column[q].c.arg[j].at + t;
        if (from == to || start_seen(s, to)) continue;
        s->start[s->nstart++] = (scan_start){to, from};
      }
    }
  }
  return true;
}

/* y = x times the y before, or x and y exchanged; z = x + y: the y that a scan may be. */
static int scan_kind(const scan *s)
{
  if (s->P != 2 || s->column[0].c.op != G_MUL || s->column[1].c.op != G_ADD || s->T < 2)
    return SCAN_ANY;
  for (uint32_t q = 0; q < 2; q++) {
    unsigned inner = s->column[q].inner;
    if (inner != 1 && inner != 2) return SCAN_ANY;
    uint32_t at = s->column[q].c.arg[inner == 2].at;
    if (at != (q ? s->column[0].c.to : s->column[1].c.to - 1)) return SCAN_ANY;
  }
  return SCAN_AFFINE;
}

static bool scan_make(program *p, const schedule *r, const unit *u, instr *c)
{
  scan *s = &p->scan[p->nscan];
  *c = (instr){.op = G_SCAN, .n = u->n, .aux = p->nscan++};
  s->P = u->P;
  s->T = u->T;
  s->column = block_get(p, u->P * sizeof *s->column);
  s->pointers = block_get(p, 2 * u->P * sizeof *s->pointers);
  if (!s->column || !s->pointers) return false;
  for (uint32_t q = 0; q < u->P; q++)
    if (!column_make(p, r, u, q, &s->column[q])) return false;
  s->kind = scan_kind(s);
  return edges_make(p, s) && starts_make(p, r, u, s) && loglinear_make(p, s);
}

/* ---- matrix products ------------------------------------------------------------------------- */

enum { ROWS = 8 };                   /* fewer rows stay a call */
static bool is_linear(const graph_called *c)
{
  if (c->type != &graph_matvec_call || c->nout < ROWS) return false;
  const graph_matrix *m = c->self;
  double bad = 0;
  for (int64_t i = 0; i < m->m * m->n; i++) bad += m->x[i] * 0;
  return bad == 0;
}

/* The columns of a matrix, each by itself; some rows at a time, since reading goes by rows. */
static bool linear_columns(program *p, const graph_matrix *m, const double **col)
{
  enum { TILE = 64 };
  size_t room = (size_t)(m->m + 15) / 8 * 8;
  double *x = block_get(p, room * (size_t)m->n * sizeof *x);
  if (!x) return false;
  for (int64_t j = 0; j < m->n; j++) col[j] = x + room * (size_t)j;
  for (int64_t k = 0; k < m->m; k += TILE)
    for (int64_t j = 0; j < m->n; j++)
      for (int64_t i = k; i < m->m && i < k + TILE; i++)
        x[room * (size_t)j + (size_t)i] = m->x[i * m->n + j];
  return true;
}

bool program_linear(program *p, uint32_t terms, linear *l)
{
  l->terms = terms;
  l->b = blocks_get(&p->own, terms * sizeof *l->b);
  l->col = blocks_get(&p->own, terms * sizeof *l->col);
  l->value = blocks_get(&p->own, 2 * terms * sizeof *l->value);
  l->slope = l->value ? l->value + terms : NULL;
  return l->b && l->col && l->value;
}

static bool linear_make(program *p, const graph_called *call, const operand *in, linear *l)
{
  if (!program_linear(p, call->nin, l)) return false;
  memcpy(l->b, in, call->nin * sizeof *in);
  return linear_columns(p, call->self, l->col);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool instr_make(program *p, const schedule *r, const unit *u, instr *c)
{
  nodes k = {r->member + u->first, u->n, 1};
  const graph_node *a = &r->g->node[k.node[0]];
  *c = (instr){.op = a->op, .nargs = a->nargs, .n = u->n, .to = p->place[k.node[0]], .aux = a->aux};
  for (int j = 0; j < a->nargs; j++)
    if (!operand_make(p, r, &k, j, &c->arg[j])) return false;
  if (a->op == G_DENSITY)
    c->whole = block_is_family(((const norn_dist_row *)(uintptr_t)(c->aux & ~(uint64_t)1))->block);
  if (a->op != G_PART) return true;
  c->aux = a->aux >> 32;
  call_instr *call = &p->call[c->aux];
  call->y = p->value + c->to;
  call->gy = p->adjoint + c->to;
  if (!is_linear(&call->c)) return true;
  c->op = G_LINEAR;
  c->aux = p->nlinear++;
  return linear_make(p, &call->c, call->in, &p->linear[c->aux]);
}

static bool code_make(program *p, const schedule *r)
{
  size_t scans = 0, linears = p->ncall;
  p->fused = block_get(p, p->ncall * sizeof *p->fused);
  for (size_t k = 0; k < r->nunit; k++) scans += r->unit[k].P > 0;
  p->code = block_get(p, r->nunit * sizeof *p->code);
  p->scan = block_get(p, scans * sizeof *p->scan);
  p->linear = block_get(p, linears * sizeof *p->linear);
  if (!p->code || !p->scan || !p->linear || !p->fused) return false;
  for (size_t k = 0; k < r->nunit; k++) {
    const unit *u = &r->unit[k];
    instr *c = &p->code[p->ncode++];
    if (!(u->P ? scan_make(p, r, u, c) : instr_make(p, r, u, c))) return false;
  }
  return true;
}

/* Whether each node is read by anything, and how often (0, 1, more) it is a term. */
static void nodes_ask(const graph *g, uint8_t *reads, uint8_t *terms)
{
  for (size_t i = 0; i < g->narg; i++) reads[g->arg[i]] = 1;
  for (size_t i = 0; i < g->nguard; i++) reads[g->guard[i].a] = reads[g->guard[i].b] = 1;
  for (size_t i = 0; i < g->nterm; i++)
    if (terms[g->term[i].node] < 2) terms[g->term[i].node]++;
}

static bool is_regression(const program *p, const instr *c)
{
  return c->op == G_PART && p->call[c->aux].c.type == &graph_regression_call;
}

/* An instruction of which every member is a term once, and nothing reads, is added as a whole. */
static bool targets_make(program *p, schedule *r)
{
  const graph *g = r->g;
  uint8_t *reads = blocks_get(&r->temp, g->nnode), *terms = blocks_get(&r->temp, g->nnode);
  if (!reads || !terms) return false;
  nodes_ask(g, reads, terms);
  for (size_t k = 0; k < r->nunit; k++) {
    instr *c = &p->code[k];
    c->target = c->op == G_DENSITY || (c->op < G_COUNT && c->op != G_PART && c->n > 1) ||
                is_regression(p, c);
    for (uint32_t i = 0; i < c->n && c->target; i++) {
      uint32_t a = r->member[r->unit[k].first + i];
      c->target = !reads[a] && terms[a] == 1;
    }
    if (c->target && is_regression(p, c) && !regression_fuse(p, c)) return false;
  }
  return true;
}

static bool terms_make(program *p, schedule *r, const uint32_t *unit_of)
{
  const graph *g = r->g;
  if (!targets_make(p, r)) return false;
  p->term = block_get(p, g->nterm * sizeof *p->term);
  p->term_of = block_get(p, g->nterm * sizeof *p->term_of);
  uint32_t *places = block_get(p, g->nnode * sizeof *places);      /* the term of each member */
  if (!p->term || !p->term_of || !places) return false;
  for (size_t i = g->nterm; i-- > 0;) {
    uint32_t a = g->term[i].node, k = unit_of[a];
    if (g->node[a].op == G_CONST) { p->base += g->value[a]; continue; }
    if (k != UINT32_MAX && p->code[k].target) {
      places[r->index[a]] = (uint32_t)i;
      p->code[k].term = places + r->unit[k].first;
      continue;
    }
    p->term_of[p->nterm] = (uint32_t)i;
    p->term[p->nterm++] = p->place[a];
  }
  for (size_t i = 0; i < p->ncode; i++) {
    instr *c = &p->code[i];
    if (c->op == G_FUSED) p->fused[c->aux].step[1].c.term = c->term;
    for (int j = 0; c->op == G_DENSITY && !c->target && j < c->nargs; j++)
      if (c->arg[j].kind < FROM_NUMBER && !(c->slope[j] = block_get(p, c->n * sizeof(double))))
        return false;
  }
  return true;
}

static bool guards_make(program *p, const graph *g)
{
  p->guard = block_get(p, g->nguard * sizeof *p->guard);
  if (!p->guard) return false;
  p->nguard = g->nguard;
  for (size_t i = 0; i < g->nguard; i++) {
    p->guard[i] = g->guard[i];
    p->guard[i].a = p->place[g->guard[i].a];
    p->guard[i].b = p->place[g->guard[i].b];
  }
  return true;
}

static bool program_make(program *p, schedule *r)
{
  const graph *g = r->g;
  uint32_t *unit_of = units_of(r);
  if (!unit_of || !places_make(p, r, unit_of)) return false;
  p->call = block_get(p, g->ncall * sizeof *p->call);
  if (!p->call) return false;
  p->ncall = g->ncall;
  for (size_t c = 0; c < g->ncall; c++)
    if (!call_make(p, g, c)) return false;
  return code_make(p, r) && terms_make(p, r, unit_of) && guards_make(p, g) && program_fuse(p);
}

program *program_new(const graph *g)
{
  schedule r;
  clock_t start = clock();
  program *p = norn_alloc(g->st, NULL, 0, sizeof *p);
  if (!p) return norn_fail(g->st, NORN_EMEMORY, -1, "out of memory"), NULL;
  *p = (program){.st = g->st, .own = {.st = g->st}, .level = exec_level_here(),
                 .ninput = g->ninput, .nnode = g->nnode};
  bool good = schedule_make(&r, g) && program_make(p, &r);
  schedule_free(&r);
  p->prepare = (double)(clock() - start) / CLOCKS_PER_SEC;
  if (good) {
    p->jit = jit_new(p);
    return p;
  }
  program_free(p);
  return NULL;
}

bool program_generate(program *p) { return jit_wait(p, p->jit); }

double program_value(const program *p, uint32_t node)
{
  uint32_t at = p->place[node];
  if (p->behind) program_catch_up((program *)(uintptr_t)p);
  return at & 0x80000000u ? p->constant[at & 0x7fffffffu] : p->value[at];
}
