/* traced: see traced.h. */
#include "graph/traced.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { KEPT = 16 };

struct traced {
  norn_state *st;
  traced_kind kind;
  int64_t nx, nout;                  /* numbers of the arguments and of the result */
  norn_ref *f;
  bool plain, may_be_plain;          /* called as it is; so if it can't be recorded */
  norn_datum *node; size_t nnode, cnode;     /* captured */
  double *p; int32_t *lane; int64_t k;       /* (nnode + 1) */
  bool *active; int64_t nactive;     /* (nnode + 1): read by one of the tapes */
  tape *tape[KEPT]; uint64_t used[KEPT]; int ntape, last;
  bool ready[KEPT];                  /* the parameters are set */
  uint64_t clock;
  double *work;                      /* (nx + 2 nout) of a plain function */
};

static void *get(norn_state *st, size_t n)
{
  void *p = norn_alloc(st, NULL, 0, n ? n : 1);
  if (p) memset(p, 0, n);
  else norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  return p;
}

void traced_free(traced *t)
{
  if (!t) return;
  norn_state *st = t->st;
  for (int i = 0; i < t->ntape; i++) graph_tape_free(t->tape[i]);
  if (t->f) norn_drop(t->f);
  norn_alloc(st, t->node, t->cnode * sizeof *t->node, 0);
  norn_alloc(st, t->p, t->p ? (t->nnode + 1) * sizeof *t->p : 0, 0);
  norn_alloc(st, t->active, t->active ? (t->nnode + 1) * sizeof *t->active : 0, 0);
  norn_alloc(st, t->lane, t->lane ? (t->nnode + 1) * sizeof *t->lane : 0, 0);
  norn_alloc(st, t->work, t->work ? (size_t)(t->nx + 2 * t->nout) * sizeof *t->work : 0, 0);
  norn_alloc(st, t, sizeof *t, 0);
}

int64_t traced_captured(const traced *t, const norn_datum **nodes)
{
  *nodes = t->node;
  return (int64_t)t->nnode;
}

const bool *traced_active(const traced *t, int64_t *n)
{
  *n = t->nactive;
  return t->active;
}

/* ---- captured nodes
   --------------------------------------------------------------------------- */

static size_t place_of(const traced *t, norn_datum node)
{
  size_t i = 0;
  while (i < t->nnode && graph_index(t->node[i]) != graph_index(node)) i++;
  return i;
}

static norn_datum note(void *user, norn_datum node)
{
  traced *t = user;
  if (place_of(t, node) < t->nnode) return node;
  if (t->nnode == t->cnode) {
    size_t n = t->cnode ? 2 * t->cnode : 16;
    norn_datum *p = norn_alloc(t->st, t->node, t->cnode * sizeof *p, n * sizeof *p);
    if (!p) return norn_fail(t->st, NORN_EMEMORY, -1, "out of memory"), norn_none();
    t->node = p;
    t->cnode = n;
  }
  return t->node[t->nnode++] = node;
}

/* ---- recording
   -------------------------------------------------------------------------------- */

/* Arguments of numbers, or nodes, x (nx). */
static bool arguments(const traced *t, const norn_datum *x, norn_datum *args)
{
  for (int i = 0; i < t->kind.nargs; i++) {
    int64_t n = t->kind.size[i];
    if (n < 0) { args[i] = *x++; continue; }
    args[i] = norn_array_pack(t->st, x, n);
    if (norn_is_none(args[i])) return false;
    x += n;
  }
  return true;
}

static bool wrong_result(const traced *t, norn_datum v)
{
  char b[120], wants[60] = "a number";
  norn_describe(t->st, v, b, sizeof b);
  if (t->kind.result >= 0)
    snprintf(wants, sizeof wants, "an array of %lld number%s", (long long)t->kind.result,
             t->kind.result == 1 ? "" : "s");
  norn_fail(t->st, NORN_ETYPE, 0, "the function that %s is given must give %s, got %s", t->kind.who,
            wants, b);
  return false;
}

static bool is_number(norn_datum v)
{
  return v.tag == NORN_REAL || v.tag == NORN_INT || graph_is_node(v);
}

/* The numbers or nodes of a result. */
static bool results(const traced *t, norn_datum v, norn_datum *out)
{
  norn_view a;
  if (t->kind.result < 0) return *out = v, is_number(v) || wrong_result(t, v);
  if (!norn_array_view(v, &a) || a.rank != 1 || a.n != t->nout || a.elem == NORN_B8)
    return wrong_result(t, v);
  for (int64_t i = 0; i < a.n; i++) {
    out[i] = norn_array_at(t->st, v, i);
    if (!is_number(out[i])) return wrong_result(t, v);
  }
  return true;
}

typedef struct renaming { const traced *t; const norn_datum *in; } renaming;
static norn_datum rename_node(void *user, norn_datum node)
{
  const renaming *r = user;
  size_t i = place_of(r->t, node);
  return i < r->t->nnode ? r->in[i] : norn_real(node.d);
}

/* Records at x with the present parameters; NULL: error set. */
static tape *record(const traced *t, const double *x)
{
  norn_state *st = t->st;
  size_t nin = (size_t)t->nx + t->nnode, n = nin + (size_t)t->nout;
  norn_datum *in = get(st, n * sizeof *in), args[2], v;
  graph *g = in ? graph_new(st) : NULL;
  tape *made = NULL;
  bool good = g != NULL;
  for (size_t i = 0; good && i < nin; i++) {
    in[i] = graph_input(g, i < (size_t)t->nx ? x[i] : t->p[i - (size_t)t->nx]);
    good = !norn_is_none(in[i]);
  }
  renaming r = {t, in ? in + t->nx : NULL};
  norn_datum f = good ? traced_replace(st, norn_get(t->f), rename_node, &r) : norn_none();
  good = good && !norn_is_none(f) && arguments(t, in, args) &&
         !traced_call(st, g, f, args, t->kind.nargs, &v) && results(t, v, in + nin);
  if (good) made = graph_tape(g, (uint32_t)t->nx, in + nin, (uint32_t)t->nout);
  else graph_free(g);
  norn_alloc(st, in, in ? n * sizeof *in : 0, 0);
  return made;
}

/* A place for a tape: the least recently used one goes. */
static int place_take(traced *t)
{
  if (t->ntape < KEPT) return t->ntape++;
  int at = 0;
  for (int i = 1; i < KEPT; i++)
    if (t->used[i] < t->used[at]) at = i;
  graph_tape_free(t->tape[at]);
  return at;
}

static traced_status plain_eval(traced *t, const double *x, double *out);

static void tape_keep(traced *t, int at, tape *made)
{
  t->last = at;
  t->tape[at] = made;
  t->ready[at] = false;
  for (size_t i = 0; i < t->nnode; i++)
    if (!t->active[i] && tape_reads(made, (uint32_t)(t->nx + (int64_t)i))) {
      t->active[i] = true;
      t->nactive++;
    }
}

/* Anew at x, where no tape is valid; becomes the last. */
static traced_status record_again(traced *t, const double *x)
{
  norn_lock(t->st);
  tape *made = record(t, x);
  bool memory = !made && norn_error(t->st)->code == NORN_EMEMORY;
  if (!made && !memory) norn_clear(t->st);
  norn_unlock(t->st);
  if (!made) return memory ? TRACED_STOP : TRACED_OUTSIDE;
  tape_keep(t, place_take(t), made);
  return TRACED_OK;
}

traced *traced_new(norn_state *st, const traced_kind *kind, norn_datum f, const double *x,
                   bool derivative)
{
  traced *t = get(st, sizeof *t);
  if (!t) return NULL;
  *t = (traced){.st = st, .kind = *kind, .nout = kind->result < 0 ? 1 : kind->result};
  for (int i = 0; i < kind->nargs; i++) t->nx += kind->size[i] < 0 ? 1 : kind->size[i];
  t->f = norn_keep(st, f);
  bool good = t->f && !norn_is_none(traced_replace(st, f, note, t));
  good = good && (t->p = get(st, (t->nnode + 1) * sizeof *t->p)) &&
         (t->active = get(st, (t->nnode + 1) * sizeof *t->active)) &&
         (t->lane = get(st, (t->nnode + 1) * sizeof *t->lane)) &&
         (t->work = get(st, (size_t)(t->nx + 2 * t->nout) * sizeof *t->work));
  for (size_t i = 0; good && i < t->nnode; i++) {
    t->p[i] = t->node[i].d;
    t->lane[i] = -1;
  }
  t->may_be_plain = !t->nnode && !derivative;
  tape *made = good ? record(t, x) : NULL;
  if (made) return tape_keep(t, place_take(t), made), t;
  if (good && t->may_be_plain && norn_error(st)->code != NORN_EMEMORY) {
    norn_clear(st);
    t->plain = true;
    if (plain_eval(t, x, t->work + t->nx) != TRACED_STOP) return t;
  }
  traced_free(t);
  return NULL;
}

/* ---- evaluation
   ------------------------------------------------------------------------------- */

traced_status traced_params(traced *t, const double *p, int64_t k, const int32_t *lane)
{
  memcpy(t->p, p, t->nnode * sizeof *p);
  for (size_t i = 0; i < t->nnode; i++) t->lane[i] = k ? lane[i] : -1;
  t->k = k;
  memset(t->ready, 0, sizeof t->ready);
  return TRACED_OK;
}

static bool ready(traced *t, int i, bool *memory)
{
  bool room;
  if (t->ready[i]) return true;
  norn_lock(t->st);
  tape_params(t->tape[i], t->p, t->k, t->lane, &room);
  norn_unlock(t->st);
  *memory = room;
  return t->ready[i] = room;
}

static bool all_finite(const double *x, int64_t n)
{
  double s = 0;
  for (int64_t i = 0; i < n; i++) s += fabs(x[i]);
  return s < HUGE_VAL;
}

/* Runs a tape whose guards hold: the last used first, then the others, then a new one. */
static traced_status run_tape(traced *t, const double *x, int64_t skip, const double *dx,
                              double *out, double *dout)
{
  int first = t->last;
  for (int i = -1; i <= t->ntape; i++) {
    bool memory = true;
    int at = i < 0 ? first : i;
    if (i >= 0 && i < t->ntape && at == first) continue;
    if (i == t->ntape) {
      traced_status s = record_again(t, x);
      if (s == TRACED_OUTSIDE && t->may_be_plain) {
        t->plain = true;
        return dout ? traced_tangent(t, x, skip, dx, out, dout) : plain_eval(t, x, out);
      }
      if (s) return s;
      at = t->last;
      i = KEPT;
    }
    if (!ready(t, at, &memory))
      return norn_fail(t->st, NORN_EMEMORY, -1, "out of memory"), TRACED_STOP;
    tape_status s = dout ? tape_tangent(t->tape[at], x, (uint32_t)skip, dx, out, dout)
                         : tape_eval(t->tape[at], x, out);
    if (s == TAPE_GUARD) continue;
    t->last = at;
    t->used[at] = ++t->clock;
    return s == TAPE_OUTSIDE || !all_finite(out, t->nout) ? TRACED_OUTSIDE : TRACED_OK;
  }
  return TRACED_OUTSIDE;             /* a comparison with what is not a number */
}

/* The function as it is, in a sealed run. */
static traced_status plain_eval(traced *t, const double *x, double *out)
{
  norn_state *st = t->st;
  size_t n = (size_t)(t->nx + t->nout);
  norn_datum *in = get(st, n * sizeof *in), args[2], v;
  bool good = in != NULL;
  for (int64_t i = 0; good && i < t->nx; i++) in[i] = norn_real(x[i]);
  good = good && arguments(t, in, args) &&
         !traced_call(st, NULL, norn_get(t->f), args, t->kind.nargs, &v) &&
         results(t, v, in + t->nx);
  for (int64_t i = 0; good && i < t->nout; i++) norn_as_real(in[t->nx + i], &out[i]);
  norn_alloc(st, in, in ? n * sizeof *in : 0, 0);
  return !good ? TRACED_STOP : all_finite(out, t->nout) ? TRACED_OK : TRACED_OUTSIDE;
}

traced_status traced_eval(traced *t, const double *x, double *out)
{
  return t->plain ? plain_eval(t, x, out) : run_tape(t, x, 0, NULL, out, NULL);
}

/* The derivative of a plain function in argument number i, by central differences: step
   eps^(1/3). */
static traced_status difference(traced *t, const double *x, int64_t i, double *d)
{
  double *at = t->work, *lower = at + t->nx, *upper = lower + t->nout;
  double h = 6.0554544523933395e-6 * (fabs(x[i]) > 1 ? fabs(x[i]) : 1);
  memcpy(at, x, (size_t)t->nx * sizeof *x);
  at[i] = x[i] - h;
  traced_status s = plain_eval(t, at, lower);
  if (s) return s;
  at[i] = x[i] + h;
  double width = at[i] - (x[i] - h);
  if ((s = plain_eval(t, at, upper))) return s;
  for (int64_t j = 0; j < t->nout; j++) d[j] = (upper[j] - lower[j]) / width;
  return TRACED_OK;
}

traced_status traced_tangent(traced *t, const double *x, int64_t first, const double *dx,
                             double *out, double *dout)
{
  int64_t row = tape_row(t->k);
  if (!t->plain) return run_tape(t, x, first, dx, out, dout);
  traced_status s = plain_eval(t, x, out);
  memset(dout, 0, (size_t)(t->nout * row) * sizeof *dout);
  for (int64_t i = first; i < t->nx && !s; i++, dx += row) {
    bool moves = false;
    for (int64_t l = 0; l < t->k && !moves; l++) moves = dx[l] != 0;
    if (!moves || (s = difference(t, x, i, t->work + t->nx))) continue;
    for (int64_t j = 0; j < t->nout; j++)
      for (int64_t l = 0; l < t->k; l++) dout[j * row + l] += t->work[t->nx + j] * dx[l];
  }
  return s;
}

traced_status traced_adjoint(traced *t, const double *x, double *out, const double *gout,
                             double *gin)
{
  traced_status s = traced_eval(t, x, out);
  if (s) return s;
  if (!t->plain) return tape_adjoint(t->tape[t->last], gout, gin), TRACED_OK;
  for (int64_t i = 0; i < t->nx; i++) {
    gin[i] = 0;
    if ((s = difference(t, x, i, t->work + t->nx))) return s;
    for (int64_t j = 0; j < t->nout; j++) gin[i] += gout[j] * t->work[t->nx + j];
  }
  return TRACED_OK;
}
