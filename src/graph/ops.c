/* ops: pieces of instructions (program.h): operands that lie in scattered places are gathered into
   a buffer, the kernel of this CPU level writes the results, and backwards the derivatives are
   spread to where the operands came from: added element by element, by a list, or summed where one
   number serves all. */
#include "graph/program.h"
#include <math.h>
#include <string.h>

/* ---- operands -------------------------------------------------------------------------------- */

/* Are these elements, a chunk or what there is of the last one, in the order of their places. */
static bool has_runs(const segments *s, int64_t k, int64_t n)
{
  return s && !s->order && k % CHUNK == 0 && s->end[s->first[k / CHUNK + 1] - 1] == n;
}

static runs_args runs_of(const segments *s, int64_t k)
{
  uint32_t first = s->first[k / CHUNK];
  return (runs_args){s->place + first, s->end + first, s->first[k / CHUNK + 1] - first};
}

const double *operand_fetch(const program *p, const operand *o, int64_t k, int64_t n,
                            double *buffer,
                            int *step)
{
  *step = 1;
  switch (o->kind) {
  case FROM_VIEW: return p->value + o->at + k;
  case FROM_DATA: return o->data + k;
  case FROM_LOCAL: return p->local + (size_t)o->at * CHUNK;
  case FROM_GATHER:
    if (has_runs(o->segments, k, n)) {
      runs_args a = runs_of(o->segments, k);
      p->level->runs(p->value, &a, buffer);
    } else for (int64_t i = 0; i < n; i++) buffer[i] = p->value[o->places[k + i]];
    for (int64_t i = n; i & 7; i++) buffer[i] = buffer[n - 1];      /* the rest of a register */
    return buffer;
  case FROM_NUMBER: *step = 0; return o->data;
  default: *step = 0; return p->value + o->at;
  }
}

/* The sum of d[order[i]], i from .. end, by four partial ones. */
static double segment_sum(const double *d, const uint32_t *order, uint32_t from, uint32_t end)
{
  double s[4] = {0, 0, 0, 0};
  uint32_t i = from;
  for (; i + 4 <= end; i += 4)
    for (int j = 0; j < 4; j++) s[j] += d[order[i + (uint32_t)j]];
  if (i < end) s[0] += d[order[i]];
  if (i + 1 < end) s[1] += d[order[i + 1]];
  if (i + 2 < end) s[2] += d[order[i + 2]];
  return (s[0] + s[2]) + (s[1] + s[3]);
}

static void segments_spread(program *p, const segments *s, int64_t k, const double *d)
{
  runs_args a = runs_of(s, k);
  uint32_t from = 0;
  if (!s->order) {
    p->level->runs_sum(d, &a, p->adjoint);
    return;
  }
  for (uint32_t i = 0; i < a.n; from = a.end[i++])
    p->adjoint[a.place[i]] += segment_sum(d, s->order + k, from, a.end[i]);
}

void operand_spread(program *p, const operand *o, int64_t k, int64_t n, const double *d)
{
  double *to = p->adjoint + o->at;
  switch (o->kind) {
  case FROM_VIEW:
    p->level->add(to + k, d, n);
    break;
  case FROM_GATHER:
    if (o->segments && k % CHUNK == 0) { segments_spread(p, o->segments, k, d); break; }
    for (int64_t i = 0; i < n; i++) p->adjoint[o->places[k + i]] += d[i];
    break;
  case FROM_SCALAR: *to += n == 1 ? *d : p->level->sum(d, n); break;
  default: break;
  }
}

static bool is_constant(const operand *o) { return o->kind >= FROM_NUMBER; }

unsigned instr_variable(const instr *c)
{
  unsigned bits = 0;
  for (int j = 0; j < c->nargs; j++) bits |= (unsigned)!is_constant(&c->arg[j]) << j;
  return bits;
}

void piece_flow(program *p, const instr *c, int j, int64_t k, int64_t n, const double *d,
                const flow_to *f)
{
  if (!f->to[j]) operand_spread(p, &c->arg[j], k, n, d);
  else if (f->first >> j & 1) memcpy(f->to[j], d, (size_t)n * sizeof *d);
  else p->level->add(f->to[j], d, n);
}

/* ---- sums of products ------------------------------------------------------------------------ */

static void linear_forward(program *p, const instr *c, int64_t k, int64_t n, double *out)
{
  _Alignas(64) double buffer[BUFFER];
  const linear *l = &p->linear[c->aux];
  linear_args a = {.n = n, .at = k, .terms = l->terms, .b = l->value, .col = l->col, .out = out};
  for (uint32_t j = 0; j < l->terms; j++)
    l->value[j] = l->b[j].kind == FROM_NUMBER ? *l->b[j].data : p->value[l->b[j].at];
  if (c->nargs) a.init = operand_fetch(p, &c->arg[0], k, n, buffer, &a.step);
  p->level->linear(&a);
}

static void linear_backward(program *p, const instr *c, int64_t k, int64_t n, const double *g,
                            const flow_to *f)
{
  const linear *l = &p->linear[c->aux];
  double sum;
  bool summed = f->which & 1 && c->arg[0].kind == FROM_SCALAR && n > 1;
  memset(l->slope, 0, l->terms * sizeof *l->slope);
  p->level->dots(&(linear_args){.n = n, .at = k, .terms = l->terms, .col = l->col, .g = g,
                                .db = l->slope, .sum = summed ? &sum : NULL});
  for (uint32_t j = 0; j < l->terms; j++)
    if (l->b[j].kind == FROM_SCALAR) p->adjoint[l->b[j].at] += l->slope[j];
  if (summed) p->adjoint[c->arg[0].at] += sum;
  else if (f->which & 1) piece_flow(p, c, 0, k, n, g, f);
}

/* ---- elementwise ----------------------------------------------------------------------------- */

static void fun_forward(const program *p, const instr *c, int64_t k, int64_t n, double *out)
{
  _Alignas(64) double x[BUFFER];
  int step;
  const double *from = operand_fetch(p, &c->arg[0], k, n, x, &step);
  for (int64_t i = 0; i < n; i++) out[i] = graph_functions[c->aux].f(from[step * i]);
}

static void fun_backward(program *p, const instr *c, int64_t k, int64_t n, const double *z,
                         const double *g, const flow_to *f)
{
  _Alignas(64) double x[BUFFER], d[BUFFER];
  int step;
  const double *from = operand_fetch(p, &c->arg[0], k, n, x, &step);
  for (int64_t i = 0; i < n; i++)
    d[i] = flow(g[i], graph_functions[c->aux].slope(from[step * i], z[i]));
  piece_flow(p, c, 0, k, n, d, f);
}

void piece_forward(program *p, const instr *c, int64_t k, int64_t n, double *out)
{
  _Alignas(64) double x[BUFFER], y[BUFFER];
  if (c->op == G_FUN1) { fun_forward(p, c, k, n, out); return; }
  if (c->op == G_LINEAR) { linear_forward(p, c, k, n, out); return; }
  exec_args a = {.op = c->op, .n = n, .out = out};
  a.x = operand_fetch(p, &c->arg[0], k, n, x, &a.sx);
  if (c->nargs > 1) a.y = operand_fetch(p, &c->arg[1], k, n, y, &a.sy);
  (c->n == 1 ? &exec_one : p->level)->forward(&a);
}

/* What needs no array of derivatives: sums, and a factor that all elements share.  Gives the
   operands that are left. */
static unsigned simple_backward(program *p, const instr *c, int64_t k, int64_t n, const double *g,
                                const exec_args *a, const flow_to *f)
{
  unsigned left = f->which;
  if ((c->op == G_ADD || c->op == G_SUB) && left & 1) {
    piece_flow(p, c, 0, k, n, g, f);
    left &= ~1u;
  }
  if (c->op == G_ADD && left & 2) {
    piece_flow(p, c, 1, k, n, g, f);
    left &= ~2u;
  }
  for (int j = 0; c->op == G_MUL && n > 1 && j < 2; j++) {
    if (!(left >> j & 1) || c->arg[j].kind != FROM_SCALAR || !(j ? a->sx : a->sy)) continue;
    p->adjoint[c->arg[j].at] += p->level->dot(g, j ? a->x : a->y, n);
    left &= ~(1u << j);
  }
  return left;
}

void piece_backward(program *p, const instr *c, int64_t k, int64_t n, const double *z,
                    const double *g,
                    const flow_to *f)
{
  _Alignas(64) double x[BUFFER], y[BUFFER], d[2][BUFFER];
  if (c->op == G_FUN1) { if (f->which) fun_backward(p, c, k, n, z, g, f); return; }
  if (c->op == G_LINEAR) { linear_backward(p, c, k, n, g, f); return; }
  exec_args a = {.op = c->op, .n = n, .z = z, .out = (double *)(uintptr_t)g};
  if (c->op != G_ADD) {
    a.x = operand_fetch(p, &c->arg[0], k, n, x, &a.sx);
    if (c->nargs > 1) a.y = operand_fetch(p, &c->arg[1], k, n, y, &a.sy);
  }
  unsigned left = simple_backward(p, c, k, n, g, &a, f);
  if (!left) return;
  double *to[2];
  for (int j = 0; j < 2; j++) to[j] = f->to[j] && f->first >> j & 1 ? f->to[j] : d[j];
  if (left & 1) a.dx = to[0];
  if (left & 2) a.dy = to[1];
  (c->n == 1 ? &exec_one : p->level)->slopes(&a);
  for (int j = 0; j < 2; j++)
    if (left >> j & 1 && to[j] == d[j]) piece_flow(p, c, j, k, n, d[j], f);
}

void instr_backward(program *p, const instr *c, unsigned which)
{
  flow_to f = {.which = which};
  for (int64_t k = 0; k < c->n; k += CHUNK) {
    int64_t n = c->n - k < CHUNK ? c->n - k : CHUNK;
    piece_backward(p, c, k, n, p->value + c->to + k, p->adjoint + c->to + k, &f);
  }
}

/* ---- densities ------------------------------------------------------------------------------- */

/* Are the parameters of n elements in the family's domain?  Those that are the same for all are
   looked at once; a location is in it if it is finite, and else makes the density so.  Where one
   parameter varies, its values in the domain are an interval (if they must be whole numbers they
   are constants, looked at when the graph was made): the ends are enough. */
static bool in_domain(const program *p, const norn_dist_row *row, const norn_block *b, int np)
{
  double q[NORN_DIST_P] = {0}, ends[2];
  int which;
  unsigned varying = b->many & ~1u;
  if (row->location_is > 0) varying &= ~(1u << row->location_is);
  for (int i = 0; i < np; i++) q[i] = b->arg[i + 1][0];
  if (!varying) return !row->check1(q, &which);
  if (b->n >= 8 && !(varying & (varying - 1))) {
    int i = __builtin_ctz(varying) - 1;
    if (p->level->range(b->arg[i + 1], b->n, ends)) {
      q[i] = ends[0];
      bool good = !row->check1(q, &which);
      q[i] = ends[1];
      return good && !row->check1(q, &which);
    }
  }
  for (int64_t k = 0; k < b->n; k++) {
    for (int i = 0; i < np; i++) q[i] = b->arg[i + 1][b->many >> (i + 1) & 1 ? k : 0];
    if (row->check1(q, &which)) return false;
  }
  return true;
}

static void one_by_one(const norn_dist_row *row, const norn_block *b, int np, bool slopes)
{
  double q[NORN_DIST_P], d[OPERANDS];
  for (int64_t k = 0; k < b->n; k++) {
    for (int i = 0; i < np; i++) q[i] = b->arg[i + 1][b->many >> (i + 1) & 1 ? k : 0];
    double x = b->arg[0][b->many & 1 ? k : 0];
    b->logp[k] = slopes ? row->partials1(x, q, d) : row->logp1(x, q);
    for (int i = 0; slopes && i <= np; i++)
      if (b->d[i]) b->d[i][k] = d[i];
  }
}

bool piece_density(const program *p, const instr *c, int64_t k, int64_t n, double *logp,
                   double *const *d)
{
  _Alignas(64) double buffer[OPERANDS][BUFFER];
  const norn_dist_row *row = (const norn_dist_row *)(uintptr_t)(c->aux & ~(uint64_t)1);
  norn_block b;
  int np = c->nargs - 1;
  b.n = n;
  b.many = 0;
  b.keep = NORN_KEEP_ALL;
  b.logp = logp;
  bool slopes = false;
  for (int i = 0; i <= np; i++) {
    int step;
    b.arg[i] = operand_fetch(p, &c->arg[i], k, n, buffer[i], &step);
    b.many |= (unsigned)step << i;
    b.d[i] = d[i];
    slopes |= d[i] != NULL;
  }
  if (!in_domain(p, row, &b, np)) return false;
  if (row->block && n > 1) {
    if (c->whole) b.n = (n + p->level->lanes - 1) & -(int64_t)p->level->lanes;
    row->block(&b);
  } else one_by_one(row, &b, np, slopes);
  return true;
}

void density_sums(const program *p, const instr *c, int64_t n, const double *logp, double *const *d,
                  double *total)
{
  const double *x[1 + OPERANDS] = {logp};
  double sum[1 + OPERANDS];
  int m = 1, of[1 + OPERANDS] = {0};
  for (int i = 0; i < c->nargs; i++)
    if (d[i] && c->arg[i].kind == FROM_SCALAR) x[m] = d[i], of[m++] = 1 + i;
  if (n > 1) p->level->sums(x, m, n, sum);
  for (int i = 0; i < m; i++) total[of[i]] = n > 1 ? sum[i] : *x[i];
}
