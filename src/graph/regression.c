/* regression: families *_glm (dist/glm.c) in a graph: rows of data with one linear predictor, as one
   operation.  Recorded row by row ten million rows would be as many nodes; here they stay what they
   are, arrays: the matrix by columns, so that a register takes a number of each of its rows.

   Where the log density is a term of the target and nothing else reads it, it runs as a block
   (program.h, `fused`) of two steps, which may so be run on a device; else as a call, whose sums are
   made in the same order. */
#include "graph/regression.h"
#include "base/base.h"
#include "dist/dist.h"
#include <string.h>

static const struct { const char *glm, *family; bool scale; } kinds[] = {
  {"normal_id_glm", "normal", true}, {"bernoulli_logit_glm", "bernoulli_logit", false},
  {"poisson_log_glm", "poisson_log", false}, {"neg_binomial_2_log_glm", "neg_binomial_2_log", true}};

/* ---- recording ------------------------------------------------------------------------------- */

static void regression_free(norn_state *st, void *self)
{
  graph_regression *r = self;
  norn_alloc(st, r->memory, r->bytes, 0);
  norn_alloc(st, r, sizeof *r, 0);
}

static double number_at(const norn_view *v, int64_t i)
{
  return v->elem == NORN_F64 ? v->f[i] : (double)v->i[i];
}

/* The columns of a matrix by rows, some rows at a time, since reading goes by rows. */
static void columns_fill(graph_regression *r, const norn_view *x)
{
  enum { TILE = 64 };
  for (int64_t k = 0; k < r->n; k += TILE)
    for (uint32_t j = 0; j < r->k; j++)
      for (int64_t i = k; i < r->n && i < k + TILE; i++)
        r->x[r->stride * j + (size_t)i] = number_at(x, i * r->k + j);
}

static graph_regression *regression_new(norn_state *st, int64_t n, int64_t k, int rows)
{
  graph_regression *r = norn_alloc(st, NULL, 0, sizeof *r);
  if (!r) return norn_fail(st, NORN_EMEMORY, -1, "out of memory"), NULL;
  size_t stride = ((size_t)n + 15) / 8 * 8;
  *r = (graph_regression){.n = n, .k = (uint32_t)k, .stride = stride,
                          .bytes = stride * ((size_t)k + 1 + (size_t)rows) * sizeof(double) + 128};
  r->memory = norn_alloc(st, NULL, 0, r->bytes);
  if (r->memory) {
    r->y = (double *)(void *)((char *)memset(r->memory, 0, r->bytes) + (-(uintptr_t)r->memory & 63));
    r->x = r->y + stride * (1 + (size_t)rows);
    return r;
  }
  norn_fail(st, NORN_EMEMORY, -1, "out of memory: %lld rows of %lld numbers take %.3g GB", (long long)n,
            (long long)k, (double)r->bytes / 1e9);
  norn_alloc(st, r, sizeof *r, 0);
  return NULL;
}

/* An argument that is one number or has one for each row: the rows, or NULL. */
static double *rows_fill(const graph_regression *r, norn_datum a, double *to)
{
  norn_view v;
  if (!norn_array_view(a, &v)) return NULL;
  for (int64_t i = 0; i < r->n; i++) to[i] = number_at(&v, i);
  return to;
}

/* Are arguments what they must be, with numbers for nodes; *value: the log density. */
static bool arguments_good(norn_state *st, const norn_dist *d, norn_datum y, double *value)
{
  norn_datum args[4];
  norn_dist c = {d->row, args, d->n};
  for (int i = 0; i < d->n; i++) {
    args[i] = graph_is_node(d->args[i]) ? norn_real(d->args[i].d) : d->args[i];
    if (i != 2 || !norn_has_node(d->args[i])) continue;
    void *to;
    int64_t k = norn_array_length(d->args[i]);
    args[i] = norn_array(st, NORN_F64, 1, &k, &to);
    for (int64_t j = 0; j < k && !norn_is_none(args[i]); j++) {
      norn_datum b = norn_array_at(st, d->args[i], j);
      ((double *)to)[j] = b.tag == NORN_INT ? (double)b.i : b.d;
    }
    if (norn_is_none(args[i])) return false;
  }
  return !norn_dist_check(st, &c) && !norn_dist_logp(st, &c, y, value);
}

static bool is_number(norn_datum v)
{
  return v.tag == NORN_REAL || v.tag == NORN_INT || graph_is_node(v);
}

/* Of the kind that is recorded so: X and the values are numbers, and so are alpha and the scale where
   they have rows.  -1: not. */
static int kind_of(norn_state *st, const norn_dist *d, norn_datum y)
{
  norn_view x;
  (void)st;
  for (int i = 0; i < NORN_COUNT(kinds); i++) {
    if (strcmp(d->row->name, kinds[i].glm)) continue;
    if (d->n != 3 + kinds[i].scale || norn_has_node(d->args[0]) || norn_has_node(y) ||
        !norn_array_view(d->args[0], &x) || x.rank != 2 || x.elem == NORN_VALUES || !x.dims[0] ||
        !x.dims[1] || norn_array_length(d->args[2]) != x.dims[1])
      return -1;
    for (int j = 1; j < d->n; j += 2)
      if (!is_number(d->args[j]) && norn_has_node(d->args[j])) return -1;
    return i;
  }
  return -1;
}

static norn_datum record(graph *g, const norn_dist *d, norn_datum y, int kind, double value)
{
  norn_state *st = g->st;
  norn_view x, v;
  const double *from;
  void *list;
  norn_datum out, none = norn_none();
  norn_array_view(d->args[0], &x);
  bool scale = kinds[kind].scale;
  int rows = !is_number(d->args[1]) + (scale && !is_number(d->args[3]));
  graph_regression *r = regression_new(st, x.dims[0], x.dims[1], rows);
  if (!r) return none;
  r->family = dist_find(kinds[kind].family);
  r->has_scale = scale;
  columns_fill(r, &x);
  r->alpha_rows = rows_fill(r, d->args[1], r->y + r->stride);
  if (scale) r->scale_rows = rows_fill(r, d->args[3], r->y + r->stride * (size_t)rows);
  int64_t nin = r->k + !r->alpha_rows + (scale && !r->scale_rows), at = 0;
  norn_datum in = norn_array(st, NORN_VALUES, 1, &nin, &list);
  if (norn_is_none(in) || !norn_array_view(y, &v) || dist_values_at(st, r->family, &v, 0, r->n, r->y, &from))
    return regression_free(st, r), none;
  if (from != r->y) memcpy(r->y, from, (size_t)r->n * sizeof *from);
  for (int64_t i = 0; i < nin; i++) ((norn_datum *)list)[i] = norn_unit();
  if (!r->alpha_rows) ((norn_datum *)list)[at++] = d->args[1];
  for (uint32_t j = 0; j < r->k; j++) ((norn_datum *)list)[at++] = norn_array_at(st, d->args[2], j);
  if (at < nin) ((norn_datum *)list)[at] = d->args[3];
  return graph_called_new(g, &graph_regression_call, r, list, (uint32_t)nin, &value, &out, 1) ? out : none;
}

bool graph_regression_record(graph *g, const norn_dist *d, norn_datum y, norn_datum *out)
{
  double value;
  int kind = kind_of(g->st, d, y);
  if (kind < 0) return false;
  *out = norn_none();
  if (arguments_good(g->st, d, y, &value)) *out = record(g, d, y, kind, value);
  return true;
}

/* ---- as a call ------------------------------------------------------------------------------- */

/* Where its inputs are. */
typedef struct inputs { const double *alpha, *beta, *scale; int alpha_step, scale_step; } inputs;
static inputs inputs_of(const graph_regression *r, const double *in)
{
  inputs i = {.alpha = r->alpha_rows, .alpha_step = r->alpha_rows != NULL, .scale = r->scale_rows,
              .scale_step = r->scale_rows != NULL};
  if (!i.alpha) i.alpha = in++;
  i.beta = in;
  if (!i.scale) i.scale = in + r->k;
  return i;
}

/* The density of rows k .. k+n, and their derivatives in the predictor and the scale. */
static void rows_density(const graph_regression *r, const inputs *i, int64_t k, int64_t n, double *eta,
                         double *logp, double *residual, double *dscale)
{
  const double *const *col;
  const double *columns[64];
  double part[CHUNK];
  const exec_level *level = exec_level_here();
  col = columns;
  for (uint32_t j = 0; j < r->k; j += 64) {
    uint32_t m = r->k - j < 64 ? r->k - j : 64;
    for (uint32_t c = 0; c < m; c++) columns[c] = r->x + r->stride * (j + c);
    if (j) memcpy(part, eta, (size_t)n * sizeof *part);
    level->linear(&(linear_args){.n = n, .at = k, .terms = m, .b = i->beta + j, .col = col, .out = eta,
                                 .init = j ? part : i->alpha + (i->alpha_step ? k : 0),
                                 .step = j ? 1 : i->alpha_step});
  }
  norn_block b = {.n = n, .many = 3u | (unsigned)i->scale_step << 2, .keep = NORN_KEEP_ALL,
                  .arg = {r->y + k, eta, r->has_scale ? i->scale + (i->scale_step ? k : 0) : NULL},
                  .logp = logp, .d = {NULL, residual, dscale}};
  r->family->block(&b);
}

static bool regression_forward(void *self, const double *in, double *out)
{
  const graph_regression *r = self;
  double eta[CHUNK + 8], logp[CHUNK + 8];
  inputs i = inputs_of(r, in);
  *out = 0;
  if (r->has_scale && !r->scale_rows && !(*i.scale > 0 && *i.scale < HUGE_VAL)) return false;
  for (int64_t k = 0; k < r->n; k += CHUNK) {
    int64_t n = r->n - k < CHUNK ? r->n - k : CHUNK;
    rows_density(r, &i, k, n, eta, logp, NULL, NULL);
    *out += exec_level_here()->sum(logp, n);
  }
  return *out == *out;
}

static void regression_adjoint(void *self, const double *in, const double *out, const double *gout,
                               double *gin)
{
  const graph_regression *r = self;
  const exec_level *level = exec_level_here();
  double eta[CHUNK + 8], logp[CHUNK + 8], residual[CHUNK + 8], dscale[CHUNK + 8];
  inputs i = inputs_of(r, in);
  double *gbeta = gin + !r->alpha_rows;
  (void)out;
  for (int64_t k = 0; k < r->n; k += CHUNK) {
    int64_t n = r->n - k < CHUNK ? r->n - k : CHUNK;
    bool scale = r->has_scale && !r->scale_rows;
    rows_density(r, &i, k, n, eta, logp, residual, scale ? dscale : NULL);
    for (int64_t e = 0; e < n; e++) residual[e] *= gout[0];
    if (!r->alpha_rows) *gin += level->sum(residual, n);
    for (uint32_t j = 0; j < r->k; j++) {
      const double *col = r->x + r->stride * j;
      level->dots(&(linear_args){.n = n, .at = k, .terms = 1, .col = &col, .g = residual, .db = gbeta + j});
    }
    if (scale) gbeta[r->k] += gout[0] * level->sum(dscale, n);
  }
}

const graph_call graph_regression_call = {"regression", regression_forward, regression_adjoint,
                                          regression_free, .uses_state = false};

/* ---- as a block ------------------------------------------------------------------------------ */

static operand rows_of(const double *x) { return (operand){.kind = FROM_DATA, .data = x}; }

bool regression_fuse(program *p, instr *c)
{
  const call_instr *call = &p->call[c->aux];
  const graph_regression *r = call->c.self;
  fused *b = &p->fused[p->nfused];
  linear *l = &p->linear[p->nlinear];
  const operand *in = call->in;
  b->step = blocks_get(&p->own, 2 * sizeof *b->step);
  if (!b->step || !program_linear(p, r->k, l)) return false;
  b->n = (uint32_t)r->n;
  b->nstep = 2;
  operand alpha = r->alpha_rows ? rows_of(r->alpha_rows) : *in++;
  for (uint32_t j = 0; j < r->k; j++) {
    l->b[j] = *in++;
    l->col[j] = r->x + r->stride * j;
  }
  b->step[0].c = (instr){.op = G_LINEAR, .nargs = 1, .n = b->n, .to = c->to, .aux = p->nlinear++,
                         .arg = {alpha}};
  b->step[1].c = (instr){.op = G_DENSITY, .nargs = (uint16_t)(2 + r->has_scale), .n = b->n, .to = c->to,
                         .target = true, .whole = true, .aux = (uint64_t)(uintptr_t)r->family,
                         .arg = {rows_of(r->y), {.kind = FROM_LOCAL, .at = 0}}};
  if (r->has_scale) b->step[1].c.arg[2] = r->scale_rows ? rows_of(r->scale_rows) : *in;
  *c = (instr){.op = G_FUSED, .n = 1, .to = c->to, .target = true, .aux = p->nfused++};
  return true;
}
