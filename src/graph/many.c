/* many: a program at several points at once (graph.h, program_eval_many).  The points are the lanes:

       value   | place 0: point 0 .. 7 | place 1: point 0 .. 7 | ...

   so that an instruction over n elements is one over 8 n numbers that lie in a row, and an operation on
   few numbers fills registers.  What one point has outside of its domain, or a guard that does not hold
   there, concerns that point only.

   Values are those of single evaluations to the bit; sums over elements are by the same tree, gathered
   ones in order of their elements, so that gradients may differ in the last bits. */
#include "graph/program.h"
#include <math.h>
#include <string.h>

enum { B = POINTS, PIECE = 32, ROOM = B * PIECE };       /* elements of a piece: at most ROOM numbers */

struct many {
  double *value, *adjoint;             /* (nplace, B) */
  double *slope;                       /* (ROOM) of a piece */
  bool outside[B];
};

static double *at(const program *p, uint32_t place) { return p->many->value + (size_t)place * B; }
static double *adj(const program *p, uint32_t place) { return p->many->adjoint + (size_t)place * B; }

/* ---- operands --------------------------------------------------------------------------------- */

/* B n numbers of elements k .. k+n; or one for all, *step 0. */
static const double *fetch(const program *p, const operand *o, int64_t k, int64_t n, double *buffer,
                           int *step)
{
  *step = 1;
  switch (o->kind) {
  case FROM_VIEW: return at(p, o->at + (uint32_t)k);
  case FROM_NUMBER: *step = 0; return o->data;
  case FROM_DATA:
    for (int64_t i = 0; i < n; i++)
      for (int b = 0; b < B; b++) buffer[i * B + b] = o->data[k + i];
    return buffer;
  case FROM_GATHER:
    for (int64_t i = 0; i < n; i++) memcpy(buffer + i * B, at(p, o->places[k + i]), B * sizeof *buffer);
    return buffer;
  default:
    if (n == 1) return at(p, o->at);
    for (int64_t i = 0; i < n; i++) memcpy(buffer + i * B, at(p, o->at), B * sizeof *buffer);
    return buffer;
  }
}

/* Sums over elements, for each point: eight parts, by place, then their tree (num/stats.h). */
typedef struct sums { double part[8][B]; } sums;
static void sums_add(sums *s, const double *d, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    for (int b = 0; b < B; b++) s->part[i & 7][b] += d[i * B + b];
}
static double sums_of(const sums *s, int b)
{
  const double(*p)[B] = s->part;
  return ((p[0][b] + p[4][b]) + (p[2][b] + p[6][b])) + ((p[1][b] + p[5][b]) + (p[3][b] + p[7][b]));
}

static void spread(const program *p, const operand *o, int64_t k, int64_t n, const double *d)
{
  sums s = {0};
  switch (o->kind) {
  case FROM_VIEW: p->level->add(adj(p, o->at + (uint32_t)k), d, n * B); break;
  case FROM_GATHER:
    for (int64_t i = 0; i < n; i++)
      for (int b = 0; b < B; b++) adj(p, o->places[k + i])[b] += d[i * B + b];
    break;
  case FROM_SCALAR:
    sums_add(&s, d, n);
    for (int b = 0; b < B; b++) adj(p, o->at)[b] += sums_of(&s, b);
    break;
  default: break;
  }
}

/* ---- elementwise ------------------------------------------------------------------------------ */

static void linear_rows(const program *p, const instr *c, int64_t k, int64_t n, double *out)
{
  const linear *l = &p->linear[c->aux];
  double buffer[ROOM];
  int step = 0;
  const double *init = c->nargs ? fetch(p, &c->arg[0], k, n, buffer, &step) : NULL;
  for (int64_t i = 0; i < n; i++)
    for (int b = 0; b < B; b++) out[i * B + b] = init ? init[step ? i * B + b : 0] : 0;
  for (uint32_t j = 0; j < l->terms; j++)
    for (int64_t i = 0; i < n; i++) {
      double x = l->col[j] ? l->col[j][k + i] : 1;
      for (int b = 0; b < B; b++)
        out[i * B + b] += (l->b[j].kind == FROM_NUMBER ? *l->b[j].data : at(p, l->b[j].at)[b]) * x;
    }
}

static void linear_slopes(const program *p, const instr *c, int64_t k, int64_t n, const double *g)
{
  const linear *l = &p->linear[c->aux];
  for (uint32_t j = 0; j < l->terms; j++) {
    sums s = {0};
    if (l->b[j].kind != FROM_SCALAR) continue;
    for (int64_t i = 0; i < n; i++)
      for (int b = 0; b < B; b++)
        s.part[i & 7][b] += flow(g[i * B + b], l->col[j] ? l->col[j][k + i] : 1);
    for (int b = 0; b < B; b++) adj(p, l->b[j].at)[b] += sums_of(&s, b);
  }
  if (c->nargs) spread(p, &c->arg[0], k, n, g);
}

/* Elements k .. k+n, n at most PIECE. */
static void piece_values(const program *p, const instr *c, int64_t k, int64_t n)
{
  double x[ROOM], y[ROOM], *out = at(p, c->to + (uint32_t)k);
  if (c->op == G_LINEAR) { linear_rows(p, c, k, n, out); return; }
  exec_args a = {.op = c->op, .n = n * B, .out = out};
  a.x = fetch(p, &c->arg[0], k, n, x, &a.sx);
  if (c->op == G_FUN1) {
    for (int64_t i = 0; i < n * B; i++) out[i] = graph_functions[c->aux].f(a.x[a.sx * i]);
    return;
  }
  if (c->nargs > 1) a.y = fetch(p, &c->arg[1], k, n, y, &a.sy);
  p->level->forward(&a);
}

static void piece_slopes(const program *p, const instr *c, int64_t k, int64_t n)
{
  double x[ROOM], y[ROOM], dx[ROOM], dy[ROOM];
  const double *z = at(p, c->to + (uint32_t)k), *g = adj(p, c->to + (uint32_t)k);
  unsigned which = instr_variable(c);
  if (c->op == G_LINEAR) { linear_slopes(p, c, k, n, g); return; }
  exec_args a = {.op = c->op, .n = n * B, .z = z, .out = (double *)(uintptr_t)g};
  a.x = fetch(p, &c->arg[0], k, n, x, &a.sx);
  if (c->op == G_FUN1) {
    for (int64_t i = 0; i < n * B; i++)
      dx[i] = flow(g[i], graph_functions[c->aux].slope(a.x[a.sx * i], z[i]));
    if (which & 1) spread(p, &c->arg[0], k, n, dx);
    return;
  }
  if (c->nargs > 1) a.y = fetch(p, &c->arg[1], k, n, y, &a.sy);
  if (which & 1) a.dx = dx;
  if (which & 2) a.dy = dy;
  p->level->slopes(&a);
  if (which & 1) spread(p, &c->arg[0], k, n, dx);
  if (which & 2) spread(p, &c->arg[1], k, n, dy);
}

/* ---- densities -------------------------------------------------------------------------------- */

/* Points at which a parameter leaves its domain are outside; their numbers do not matter.  A location
   that is not finite makes the density so. */
static void domains(const program *p, const instr *c, const norn_dist_row *row, const norn_block *b)
{
  double q[NORN_DIST_P];
  int which, np = c->nargs - 1;
  unsigned varying = b->many & ~1u, elements = 0;
  if (row->location_is > 0) varying &= ~(1u << row->location_is);
  for (int i = 1; i <= np; i++)
    if (c->arg[i].kind != FROM_SCALAR) elements |= 1u << i;
  int64_t n = varying & elements ? b->n : varying ? B : 1;
  for (int64_t k = 0; k < n; k++) {
    bool *outside = &p->many->outside[k % B];
    if (n > 1 && *outside) continue;
    for (int i = 0; i < np; i++) q[i] = b->arg[i + 1][b->many >> (i + 1) & 1 ? k : 0];
    if (!row->check1(q, &which)) continue;
    if (n > 1) *outside = true;
    else for (int j = 0; j < B; j++) p->many->outside[j] = true;
  }
}

/* Log densities of elements k .. k+n, and where d[i] is not NULL their derivatives. */
static void piece_logp(const program *p, const instr *c, int64_t k, int64_t n, double *logp,
                       double *const *d)
{
  double buffer[OPERANDS][ROOM], q[NORN_DIST_P], slope[OPERANDS];
  const norn_dist_row *row = (const norn_dist_row *)(uintptr_t)(c->aux & ~(uint64_t)1);
  norn_block b = {.n = n * B, .logp = logp, .keep = NORN_KEEP_ALL};
  int np = c->nargs - 1;
  bool slopes = false;
  for (int i = 0; i <= np; i++) {
    int step;
    b.arg[i] = fetch(p, &c->arg[i], k, n, buffer[i], &step);
    b.many |= (unsigned)step << i;
    b.d[i] = d[i];
    slopes |= d[i] != NULL;
  }
  domains(p, c, row, &b);
  if (row->block) { row->block(&b); return; }
  for (int64_t e = 0; e < b.n; e++) {
    for (int i = 0; i < np; i++) q[i] = b.arg[i + 1][b.many >> (i + 1) & 1 ? e : 0];
    double x = b.arg[0][b.many & 1 ? e : 0];
    if (p->many->outside[e % B]) { logp[e] = -HUGE_VAL; continue; }
    logp[e] = slopes ? row->partials1(x, q, slope) : row->logp1(x, q);
    for (int i = 0; slopes && i <= np; i++)
      if (b.d[i]) b.d[i][e] = slope[i];
  }
}

/* Terms of the target: their sums, and with a gradient their derivatives at once. */
static void density_terms(const program *p, const instr *c, bool gradient, double *logp)
{
  double d[OPERANDS][ROOM], l[ROOM];
  unsigned which = gradient ? instr_variable(c) : 0;
  for (int64_t chunk = 0; chunk < c->n; chunk += CHUNK) {
    sums s = {0};
    int64_t end = chunk + CHUNK < c->n ? chunk + CHUNK : c->n;
    for (int64_t k = chunk; k < end; k += PIECE) {
      int64_t n = end - k < PIECE ? end - k : PIECE;
      double *to[OPERANDS] = {NULL};
      for (int i = 0; i < c->nargs; i++)
        if (which >> i & 1) to[i] = d[i];
      piece_logp(p, c, k, n, l, to);
      sums_add(&s, l, n);
      for (int i = 0; i < c->nargs; i++)
        if (to[i]) spread(p, &c->arg[i], k, n, d[i]);
    }
    for (int b = 0; b < B; b++) logp[b] += sums_of(&s, b);
  }
}

/* Other terms: values that are there already. */
static void value_terms(const program *p, const instr *c, bool gradient, double *logp)
{
  for (int64_t chunk = 0; chunk < c->n; chunk += CHUNK) {
    sums s = {0};
    int64_t n = c->n - chunk < CHUNK ? c->n - chunk : CHUNK;
    sums_add(&s, at(p, c->to + (uint32_t)chunk), n);
    for (int b = 0; b < B; b++) logp[b] += sums_of(&s, b);
  }
  for (int64_t i = 0; gradient && i < (int64_t)c->n * B; i++) adj(p, c->to)[i] = 1;
}

static void density_values(const program *p, const instr *c)
{
  double *const none[OPERANDS] = {NULL};
  for (int64_t k = 0; k < c->n; k += PIECE)
    piece_logp(p, c, k, c->n - k < PIECE ? c->n - k : PIECE, at(p, c->to + (uint32_t)k), none);
}

static void density_slopes(const program *p, const instr *c)
{
  double d[OPERANDS][ROOM], l[ROOM];
  unsigned which = instr_variable(c);
  for (int64_t k = 0; k < c->n; k += PIECE) {
    int64_t n = c->n - k < PIECE ? c->n - k : PIECE;
    const double *g = adj(p, c->to + (uint32_t)k);
    double *to[OPERANDS] = {NULL};
    for (int i = 0; i < c->nargs; i++)
      if (which >> i & 1) to[i] = d[i];
    piece_logp(p, c, k, n, l, to);
    for (int i = 0; i < c->nargs; i++) {
      if (!to[i]) continue;
      for (int64_t e = 0; e < n * B; e++) d[i][e] = flow(g[e], d[i][e]);
      spread(p, &c->arg[i], k, n, d[i]);
    }
  }
}

/* ---- calls and scans --------------------------------------------------------------------------- */

/* A call at point b; its numbers are then in k->x and k->y. */
static bool call_at(const program *p, call_instr *k, int b)
{
  for (uint32_t i = 0; i < k->c.nin; i++)
    if (k->in[i].kind == FROM_SCALAR) k->x[i] = at(p, k->in[i].at)[b];
  if (k->c.type->uses_state) norn_lock(p->st);
  bool good = k->c.type->forward(k->c.self, k->x, k->y);
  if (k->c.type->uses_state) norn_unlock(p->st);
  return good;
}

static void call_values(const program *p, const instr *c)
{
  call_instr *k = &p->call[c->aux];
  for (int b = 0; b < B; b++) {
    if (p->many->outside[b]) continue;
    if (!call_at(p, k, b)) p->many->outside[b] = true;
    for (uint32_t i = 0; i < k->c.nout; i++) at(p, c->to + i)[b] = k->y[i];
  }
}

static void call_slopes(const program *p, const instr *c)
{
  call_instr *k = &p->call[c->aux];
  for (int b = 0; b < B; b++) {
    bool any = false;
    for (uint32_t i = 0; i < k->c.nout; i++) any |= (k->gy[i] = adj(p, c->to + i)[b]) != 0;
    if (!any || p->many->outside[b] || !call_at(p, k, b)) continue;
    memset(k->gx, 0, k->c.nin * sizeof *k->gx);
    if (k->c.type->uses_state) norn_lock(p->st);
    k->c.type->adjoint(k->c.self, k->x, k->y, k->gy, k->gx);
    if (k->c.type->uses_state) norn_unlock(p->st);
    for (uint32_t i = 0; i < k->c.nin; i++)
      if (k->in[i].kind == FROM_SCALAR) adj(p, k->in[i].at)[b] += k->gx[i];
  }
}

/* The operands of a block that came as one (regression.c): numbers and data. */
static void block_numbers(const program *p, const fused *b,
                          void (*f)(const program *, uint32_t, int), int point)
{
  for (uint32_t k = 0; k < b->nstep; k++) {
    const instr *c = &b->step[k].c;
    for (int j = 0; j < c->nargs; j++)
      if (c->arg[j].kind == FROM_SCALAR) f(p, c->arg[j].at, point);
    for (uint32_t j = 0; c->op == G_LINEAR && j < p->linear[c->aux].terms; j++)
      if (p->linear[c->aux].b[j].kind == FROM_SCALAR) f(p, p->linear[c->aux].b[j].at, point);
  }
}

static void number_in(const program *p, uint32_t place, int b)
{
  p->value[place] = at(p, place)[b];
  p->adjoint[place] = 0;
}

static void number_out(const program *p, uint32_t place, int b)
{
  adj(p, place)[b] += p->adjoint[place];
  p->adjoint[place] = 0;
}

/* Its rows fill registers: one point after the other. */
static void block_terms(program *p, const instr *c, bool gradient, double *logp)
{
  const fused *f = &p->fused[c->aux];
  int64_t where;
  for (int b = 0; b < B; b++) {
    if (p->many->outside[b]) continue;
    block_numbers(p, f, number_in, b);
    if (!fused_run(p, f, gradient, &logp[b], &where)) p->many->outside[b] = true;
    else if (gradient) block_numbers(p, f, number_out, b);
  }
}

/* Step by step; each operation of a step fills a register with the points. */
static void scan_values(const program *p, const scan *s)
{
  for (size_t i = 0; i < s->nstart; i++) {
    uint32_t from = s->start[i].from;
    for (int b = 0; b < B; b++)
      at(p, s->start[i].to)[b] = from & 0x80000000u ? p->constant[from & 0x7fffffffu] : at(p, from)[b];
  }
  for (uint32_t t = 0; t < s->T; t++)
    for (uint32_t q = 0; q < s->P; q++) piece_values(p, &s->column[q].c, t, 1);
}

static void scan_slopes(const program *p, const scan *s)
{
  for (uint32_t t = s->T; t-- > 0;)
    for (uint32_t q = s->P; q-- > 0;) piece_slopes(p, &s->column[q].c, t, 1);
  for (size_t i = 0; i < s->nstart; i++)
    for (int b = 0; b < B && !(s->start[i].from & 0x80000000u); b++)
      adj(p, s->start[i].from)[b] += adj(p, s->start[i].to)[b];
}

/* ---- the whole -------------------------------------------------------------------------------- */

static void values(const program *p)
{
  for (size_t i = 0; i < p->ncode; i++) {
    const instr *c = &p->code[i];
    switch (c->op) {
    case G_PART: call_values(p, c); break;
    case G_SCAN: scan_values(p, &p->scan[c->aux]); break;
    case G_FUSED: break;
    case G_DENSITY: if (!c->target) density_values(p, c); break;
    default:
      for (int64_t k = 0; k < c->n; k += PIECE)
        piece_values(p, c, k, c->n - k < PIECE ? c->n - k : PIECE);
    }
  }
}

static void slopes(const program *p)
{
  for (size_t i = p->ncode; i-- > 0;) {
    const instr *c = &p->code[i];
    switch (c->op) {
    case G_PART: call_slopes(p, c); break;
    case G_SCAN: scan_slopes(p, &p->scan[c->aux]); break;
    case G_FUSED: break;
    case G_DENSITY: if (!c->target) density_slopes(p, c); break;
    default:
      for (int64_t k = 0; k < c->n; k += PIECE)
        piece_slopes(p, c, k, c->n - k < PIECE ? c->n - k : PIECE);
    }
  }
}

static bool guard_breaks(const program *p, const graph_guard *g, int b)
{
  double x = g->a & 0x80000000u ? p->constant[g->a & 0x7fffffffu] : at(p, g->a)[b];
  double y = g->b & 0x80000000u ? p->constant[g->b & 0x7fffffffu] : at(p, g->b)[b];
  bool holds = g->kind == GUARD_LT ? x < y : g->kind == GUARD_LE ? x <= y : x == y;
  return holds != g->held;
}

static bool many_room(program *p)
{
  size_t n = p->nplace * B;
  if (p->many) return true;
  norn_lock(p->st);
  struct many *m = blocks_get(&p->own, sizeof *m);
  if (m) m->value = blocks_get(&p->own, 2 * n * sizeof *m->value);
  norn_unlock(p->st);
  if (!m || !m->value) return false;
  m->adjoint = m->value + n;
  p->many = m;
  return true;
}

/* Gradients of the points that are inside; a number that is not finite puts its point outside. */
static void gradients_out(const program *p, eval_status *status, double *logp, double *gradient)
{
  slopes(p);
  for (int b = 0; b < B; b++)
    for (size_t i = 0; i < p->ninput && status[b] == EVAL_OK; i++) {
      double g = gradient[(size_t)b * p->ninput + i] = adj(p, (uint32_t)i)[b];
      if (fabs(g) < HUGE_VAL) continue;
      logp[b] = -HUGE_VAL;
      status[b] = EVAL_OUTSIDE;
    }
}

/* Long arrays fill registers by themselves, and scans and blocks have ways of their own (scan.c, fuse.c)
   that here run step by step: lanes pay where many short instructions are. */
bool program_many_pays(const program *p)
{
  size_t elements = 0;
  for (size_t i = 0; i < p->ncode; i++) elements += p->code[i].n;
  return !p->nscan && !p->nlinear && elements <= 32 * p->ncode;
}

bool program_eval_many(program *p, const double *u, double *logp, double *gradient, eval_status *status)
{
  if (!many_room(p)) return false;
  struct many *m = p->many;
  memset(m->outside, 0, sizeof m->outside);
  for (size_t i = 0; i < p->ninput; i++)
    for (int b = 0; b < B; b++) at(p, (uint32_t)i)[b] = u[(size_t)b * p->ninput + i];
  if (gradient) memset(m->adjoint, 0, p->nplace * B * sizeof *m->adjoint);
  values(p);
  for (int b = 0; b < B; b++) {
    logp[b] = p->base;
    status[b] = EVAL_OK;
    for (size_t i = 0; i < p->nguard && status[b] == EVAL_OK; i++)
      if (guard_breaks(p, &p->guard[i], b)) status[b] = EVAL_GUARD;
  }
  double sum[B] = {0};
  for (size_t i = 0; i < p->ncode; i++) {
    const instr *c = &p->code[i];
    if (!c->target) continue;
    if (c->op == G_DENSITY) density_terms(p, c, gradient != NULL, sum);
    else if (c->op == G_FUSED) block_terms(p, c, gradient != NULL, sum);
    else value_terms(p, c, gradient != NULL, sum);
  }
  for (int b = 0; b < B; b++) {
    for (size_t i = 0; i < p->nterm; i++) {
      logp[b] += at(p, p->term[i])[b];
      if (gradient) adj(p, p->term[i])[b] += 1;
    }
    logp[b] += sum[b];
    if (status[b] == EVAL_OK && (m->outside[b] || !(fabs(logp[b]) < HUGE_VAL))) status[b] = EVAL_OUTSIDE;
    if (status[b] != EVAL_OK) logp[b] = -HUGE_VAL;
  }
  if (gradient) gradients_out(p, status, logp, gradient);
  return true;
}
