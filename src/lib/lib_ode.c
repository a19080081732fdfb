/* lib_ode.c: ode_rk45 and ode_bdf: differential equations whose right side is a Norn function.

   In a gradient the solution is one call of the graph with the inputs y0, t0, ts and what the
   function captures.  Each input that is a node is a *direction* in which the solution is
   differentiated along with it (num/ode.h); the adjoint multiplies.  A solution that fails is a
   rejected point there, and an error elsewhere. */
#include "lib/functions.h"
#include "num/ode.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct method {
  const char *name;
  bool stiff;
  ode_end (*solve)(const ode_system *, const ode_options *, double t0, const double *ts, int64_t nt,
                   const double *y, const double *s, double *out, double *sout, double *work,
                   ode_report *);
} method;
static const method rk45 = {"ode_rk45", false, ode_rk45}, bdf = {"ode_bdf", true, ode_bdf};

typedef struct problem {
  norn_state *st;
  const method *method;
  traced *f;
  int64_t n, nt, np, nin;            /* states, times, captured nodes, inputs */
  bool *node;                        /* (nin) the input is a node */
  int32_t *lane;                     /* (nin) its direction; -1: none */
  double *last; bool solved, good;   /* (nin) the inputs that `out` is for */
  double *out;                       /* (nt, n) */
  bool ts_move; double *slope;       /* (nt, n) f at ts, if a time is a node */
  ode_options q;
  ode_system o;
  double *unit, *s, *sout, *dx, *dout, *work;    /* sized by the directions: in `block` */
  int64_t active;                    /* captured nodes that had a direction; -1: there is no room */
  void *block, *fixed; size_t block_size, fixed_size;
  double *x;                         /* (1 + n) t, y */
  ode_report report;
  ode_end end;
} problem;

static void problem_free(norn_state *st, void *self)
{
  problem *p = self;
  traced_free(p->f);
  norn_alloc(st, p->block, p->block_size, 0);
  norn_alloc(st, p->fixed, p->fixed_size, 0);
  norn_alloc(st, p, sizeof *p, 0);
}

/* ---- the right side
   --------------------------------------------------------------------------- */

static const double *arguments(problem *p, double t, const double *y)
{
  p->x[0] = t;
  for (int64_t i = 0; i < p->n; i++) p->x[1 + i] = y[i];
  return p->x;
}

/* The codes of traced_status and of num/ode.h are the same. */
static int slope(void *user, double t, const double *y, double *dy)
{
  problem *p = user;
  return (int)traced_eval(p->f, arguments(p, t, y), dy);
}

static int slope_moving(void *user, double t, const double *y, const double *s, double *dy,
                        double *ds)
{
  problem *p = user;
  return (int)traced_tangent(p->f, arguments(p, t, y), 1, s, dy, ds);
}

/* Directions of the stiff method: the states, then those of the inputs. */
static int jacobian(void *user, double t, const double *y, double *dy, double *j)
{
  problem *p = user;
  return (int)traced_tangent(p->f, arguments(p, t, y), 1, p->dx, dy, j);
}

static int stiff_slope(void *user, double t, const double *y, const double *s, double *dy,
                       double *ds)
{
  problem *p = user;
  int64_t n = p->n, row = p->o.row, jrow = p->o.jrow;
  int status = jacobian(user, t, y, dy, p->dout);
  memset(ds, 0, (size_t)(n * row) * sizeof *ds);
  for (int64_t i = 0; i < n; i++)
    for (int64_t l = 0; l < p->o.k; l++) {
      double x = p->dout[i * jrow + n + l];
      for (int64_t k = 0; k < n; k++) x += p->dout[i * jrow + k] * s[k * row + l];
      ds[i * row + l] = x;
    }
  return status;
}

/* ---- directions
   ------------------------------------------------------------------------------- */

/* Gives each input that moves the solution its direction, and makes room. */
static bool directions(problem *p)
{
  int64_t n = p->n, k = 0, active;
  const bool *read = traced_active(p->f, &active);
  for (int64_t i = 0; i < p->nin; i++) {
    bool ts = i > n && i <= n + p->nt;
    bool moves = p->node[i] && !ts && (i <= n || read[i - n - 1 - p->nt]);
    p->lane[i] = moves ? (int32_t)k++ : -1;
  }
  ode_system *o = &p->o;
  *o = (ode_system){.n = n, .k = k, .row = tape_row(k), .jrow = tape_row(n + k), .f = slope,
                    .fs = p->method->stiff ? stiff_slope : slope_moving, .jac = jacobian,
                    .user = p};
  size_t work = p->method->stiff ? ode_bdf_room(n, o->row, o->jrow) : ode_rk45_room(n, o->row);
  size_t parts[] = {(size_t)k, (size_t)(n * o->row), (size_t)(p->nt * n * o->row),
                    (size_t)(n * o->jrow), (size_t)(n * o->jrow), work};
  double **to[] = {&p->unit, &p->s, &p->sout, &p->dx, &p->dout, &p->work};
  size_t all = 0;
  for (int i = 0; i < 6; i++) all += parts[i];
  norn_lock(p->st);
  double *at = lib_memory(p->st, all * sizeof(double) + 16);
  if (at) norn_alloc(p->st, p->block, p->block_size, 0);
  norn_unlock(p->st);
  if (!at) return p->active = -1, p->end = ODE_END_STOP, false;
  p->active = active;
  p->block = at;
  p->block_size = all * sizeof(double) + 16;
  for (int i = 0; i < 6; at += parts[i++]) *to[i] = at;
  for (int64_t i = 0; p->method->stiff && i < n; i++) p->dx[i * o->jrow + i] = 1;
  p->q.unit = p->unit;
  return true;
}

/* ---- a solution
   ------------------------------------------------------------------------------- */

/* The values of the captured nodes, their directions, and where S begins. */
static bool begin(problem *p, const double *in)
{
  int64_t n = p->n, row = p->o.row, first = n + 1 + p->nt;
  int32_t shift = p->method->stiff ? (int32_t)n : 0;
  for (int64_t i = 0; i < p->nin; i++)
    if (p->lane[i] >= 0) p->unit[p->lane[i]] = in[i] != 0 ? 1 / fabs(in[i]) : 1;
  for (int64_t i = first; i < p->nin; i++)
    if (p->lane[i] >= 0) p->lane[i] += shift;
  traced_params(p->f, in + first, p->o.k + shift, p->lane + first);
  for (int64_t i = first; i < p->nin; i++)
    if (p->lane[i] >= 0) p->lane[i] -= shift;
  memset(p->s, 0, (size_t)(n * row) * sizeof *p->s);
  for (int64_t i = 0; i < n; i++)
    if (p->lane[i] >= 0) p->s[i * row + p->lane[i]] = 1;
  if (p->lane[n] < 0) return true;
  double *dy = p->work;              /* dy/dt0 = -f(t0, y0) at t0 */
  if (slope(p, in[n], in, dy)) return false;
  for (int64_t i = 0; i < n; i++) p->s[i * row + p->lane[n]] = -dy[i];
  return true;
}

static bool times_good(const problem *p, const double *in)
{
  for (int64_t i = 0; i < p->nin; i++)
    if (!(fabs(in[i]) < HUGE_VAL)) return false;
  for (int64_t i = 0; i < p->nt; i++)
    if (in[p->n + 1 + i] < in[p->n + i]) return false;
  return true;
}

static bool solve_once(problem *p, const double *in)
{
  const double *t0 = in + p->n, *ts = t0 + 1;
  if (!begin(p, in)) return p->end = ODE_END_OUTSIDE, false;
  p->end = p->method->solve(&p->o, &p->q, *t0, ts, p->nt, in, p->s, p->out, p->sout, p->work,
                            &p->report);
  if (p->end != ODE_DONE) return false;
  for (int64_t i = 0; p->ts_move && i < p->nt; i++)
    if (slope(p, ts[i], p->out + i * p->n, p->slope + i * p->n))
      return p->end = ODE_END_OUTSIDE, false;
  return true;
}

/* The solution for `in`, unless it is there already.  A branch may read captured nodes that had no
   direction: then once more with them. */
static bool solution(problem *p, const double *in, double *out)
{
  int64_t active;
  if (!p->solved || memcmp(p->last, in, (size_t)p->nin * sizeof *in)) {
    memcpy(p->last, in, (size_t)p->nin * sizeof *in);
    p->good = times_good(p, in);
    p->end = p->good ? ODE_DONE : ODE_END_OUTSIDE;
    if (p->active < 0) p->good = p->good && directions(p);
    while (p->good) {
      p->good = solve_once(p, in);
      traced_active(p->f, &active);
      if (active == p->active) break;
      p->good = directions(p);
    }
    p->solved = p->end != ODE_END_STOP;
  }
  if (p->good) memcpy(out, p->out, (size_t)(p->nt * p->n) * sizeof *out);
  return p->good;
}

/* Want of memory rejects one point. */
static bool forward(void *self, const double *in, double *out)
{
  problem *p = self;
  if (solution(p, in, out)) return true;
  if (p->end == ODE_END_STOP) {
    norn_lock(p->st);
    norn_clear(p->st);
    norn_unlock(p->st);
  }
  return false;
}

static void adjoint(void *self, const double *in, const double *out, const double *gout,
                    double *gin)
{
  problem *p = self;
  int64_t n = p->n, row = p->o.row, k = p->o.k;
  (void)in, (void)out;
  double *sum = p->work;
  memset(sum, 0, (size_t)row * sizeof *sum);
  for (int64_t i = 0; i < p->nt * n; i++)
    for (int64_t l = 0; l < k; l++) sum[l] += gout[i] * p->sout[i * row + l];
  for (int64_t i = 0; i < p->nin; i++)
    if (p->lane[i] >= 0) gin[i] += sum[p->lane[i]];
  for (int64_t i = 0; p->ts_move && i < p->nt * n; i++)
    if (p->node[n + 1 + i / n]) gin[n + 1 + i / n] += gout[i] * p->slope[i];
}

static const graph_call ode_call = {"differential equation", forward, adjoint, problem_free,
                                    .uses_state = false};

/* ---- the natives
   ------------------------------------------------------------------------------ */

static bool problem_fixed(problem *p, const inputs *in)
{
  int64_t n = p->n, nin = in->n;
  size_t doubles = (size_t)(nin + 1 + n + 2 * p->nt * n);
  p->fixed_size = doubles * sizeof(double) + (size_t)nin * (sizeof(int32_t) + sizeof(bool));
  p->fixed = lib_memory(p->st, p->fixed_size);
  if (!p->fixed) return p->fixed_size = 0, false;
  p->nin = nin;
  p->last = p->fixed;
  p->x = p->last + nin;
  p->out = p->x + 1 + n;
  p->slope = p->out + p->nt * n;
  p->lane = (int32_t *)(void *)(p->slope + p->nt * n);
  p->node = (bool *)(p->lane + nin);
  for (int64_t i = 0; i < nin; i++) {
    p->node[i] = graph_is_node(in->x[i]);
    p->ts_move |= p->node[i] && i > n && i <= n + p->nt;
  }
  return true;
}

static norn_status failed(const problem *p)
{
  norn_state *st = p->st;
  const char *who = p->method->name;
  double t = p->report.t;
  switch (p->end) {
  case ODE_END_STEPS:
    norn_fail(st, NORN_EDOMAIN, 0, "%s has taken max_steps = %lld steps and is only at t = %g", who,
              (long long)p->q.max_steps, t);
    break;
  case ODE_END_SMALL:
    norn_fail(st, NORN_EDOMAIN, 0, "%s can't go on at t = %g: its steps have become too small",
              who, t);
    break;
  case ODE_END_OUTSIDE:
    norn_fail(st, NORN_EDOMAIN, 0, "the function that %s is given is not finite at t = %g", who, t);
    norn_hint(st, "at the initial state it must give numbers: look for 0 / 0, log or sqrt of what "
              "is negative");
    return NORN_EDOMAIN;
  default: return lib_failed(st);
  }
  norn_hint(st, "%s", p->method->stiff
            ? "the solution may have a singularity there, or the function a jump"
            : "ode_bdf is for stiff problems; else the solution may have a singularity there");
  return NORN_EDOMAIN;
}

/* Arguments but the function: y0, t0, ts and the options. */
static norn_status read(problem *p, const norn_datum *args, inputs *in)
{
  norn_state *st = p->st;
  char what[40];
  snprintf(what, sizeof what, "f of %s", p->method->name);
  if (!lib_want_function(st, args, 0, what)) return lib_failed(st);
  if (!inputs_array(in, args, 1, "y0", &p->n)) {
    if (lib_is_number(args[1])) norn_hint(st, "one number alone is [y0]");
    return lib_failed(st);
  }
  if (!inputs_number(in, args, 2, "t0") || !inputs_array(in, args, 3, "ts", &p->nt) ||
      !lib_want_above(st, args, 4, "rel_tol", 0, &p->q.rel_tol) ||
      !lib_want_above(st, args, 5, "abs_tol", 0, &p->q.abs_tol) ||
      !norn_want_int(st, args, 6, "max_steps", &p->q.max_steps)) return lib_failed(st);
  if (p->q.max_steps < 1)
    return norn_fail(st, NORN_EDOMAIN, 6, "max_steps must be 1 or more, got %lld",
                     (long long)p->q.max_steps);
  if (p->n == 0) return norn_fail(st, NORN_EDOMAIN, 1, "y0 is empty: there is nothing to solve");
  for (int64_t i = 0; i < in->n; i++)
    if (!(fabs(in->value[i]) < HUGE_VAL) && !graph_is_node(in->x[i]))
      return norn_fail(st, NORN_EDOMAIN, i < p->n ? 1 : i == p->n ? 2 : 3,
                       "%s must be finite, got %g", i < p->n ? "y0" : i == p->n ? "t0" : "ts",
                       in->value[i]);
  const double *t = in->value + p->n;
  for (int64_t i = 0; i < p->nt && !in->node; i++)
    if (t[i + 1] < t[i] && i == 0)
      return norn_fail(st, NORN_EDOMAIN, 3, "ts must not begin before t0 = %g, got %g", t[0], t[1]);
    else if (t[i + 1] < t[i])
      return norn_fail(st, NORN_EDOMAIN, 3, "ts must not fall, but %g follows %g at %lld", t[i + 1],
                       t[i], (long long)i);
  return NORN_OK;
}

/* The recorded solution: nodes.  Takes p.  Where it fails here it stands at y0: the point itself is
   rejected when it is evaluated. */
static norn_status record(problem *p, const inputs *in, norn_datum *out)
{
  norn_state *st = p->st;
  int64_t n = p->nt * p->n, dims[] = {p->nt, p->n};
  norn_datum keep, *nodes = lib_values(st, n, &keep);
  double *value = lib_reals(st, n, &keep);
  if (!nodes || !value) return problem_free(st, p), lib_failed(st);
  if (!solution(p, in->value, value)) {
    if (p->end == ODE_END_STOP) return problem_free(st, p), lib_failed(st);
    for (int64_t i = 0; i < n; i++) value[i] = in->value[i % p->n];
  }
  if (!graph_called_new(traced_graph(st), &ode_call, p, in->x, (uint32_t)in->n, value, nodes,
                        (uint32_t)n)) return lib_failed(st);
  return lib_give(st, lib_nested(st, nodes, 2, dims), out);
}

static norn_status plain(problem *p, const inputs *in, norn_datum *out)
{
  norn_state *st = p->st;
  void *to;
  norn_status status = NORN_OK;
  norn_datum made = norn_array(st, NORN_F64, 2, (int64_t[]){p->nt, p->n}, &to);
  if (norn_is_none(made)) status = lib_failed(st);
  else if (!solution(p, in->value, to)) status = failed(p);
  *out = made;
  problem_free(st, p);
  return status;
}

static norn_status solve(norn_state *st, const method *m, const norn_datum *args, norn_datum *out)
{
  inputs in = {.st = st};
  const norn_datum *captured = NULL;
  problem *p = lib_memory(st, sizeof *p);
  if (!p) return lib_failed(st);
  p->st = st;
  p->method = m;
  norn_status status = read(p, args, &in);
  if (!status && p->nt == 0) {
    problem_free(st, p);
    inputs_free(&in);
    return lib_give(st, norn_array(st, NORN_VALUES, 1, (int64_t[]){0}, &(void *){NULL}), out);
  }
  double *x = status ? NULL : lib_memory(st, (size_t)(1 + p->n) * sizeof *x);
  if (x) {
    x[0] = in.value[p->n];
    memcpy(x + 1, in.value, (size_t)p->n * sizeof *x);
    traced_kind kind = {m->name, 2, {-1, p->n}, p->n};
    p->f = traced_new(st, &kind, args[0], x, in.node);
    if (p->f) p->np = traced_captured(p->f, &captured);
  }
  norn_alloc(st, x, x ? (size_t)(1 + p->n) * sizeof *x : 0, 0);
  if (status || !p->f || !inputs_nodes(&in, captured, p->np) || !problem_fixed(p, &in) ||
      !directions(p)) {
    problem_free(st, p);
    status = lib_failed(st);
  } else {
    status = in.node ? record(p, &in, out) : plain(p, &in, out);
  }
  inputs_free(&in);
  return status;
}

static norn_status n_rk45(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return solve(st, &rk45, args, out);
}
static norn_status n_bdf(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  (void)n;
  return solve(st, &bdf, args, out);
}

static const norn_native natives[] = {
  { "ode_rk45", "f, y0, t0, ts, rel_tol = 1e-6, abs_tol = 1e-6, max_steps = 100000",
    "The solution of y' = f(t, y) from y0 at t0: an array of its states at the times ts.\n"
    "f gives an array of as many numbers as y0 has.  By the Runge-Kutta method of Dormand and\n"
    "Prince; each step's error is below abs_tol + rel_tol |y|.  For stiff problems see ode_bdf.\n"
    "In models the solution can be differentiated in y0, t0, ts and whatever f captures;\n"
    "max_steps (between two of ts) taken in vain reject the point.\n"
    "Where f jumps at a time that depends on a choice, end one solution there and begin another:\n"
    "the derivative does not see the jump move.\n"
    "Example: ode_rk45((t, y) -> [-y[0]], [1], 0, [1, 2])[1, 0] |> round(6)\n=> 0.135335",
    n_rk45, NORN_PURE, NULL },
  { "ode_bdf", "f, y0, t0, ts, rel_tol = 1e-6, abs_tol = 1e-8, max_steps = 100000",
    "The solution of a stiff problem y' = f(t, y), as ode_rk45 has it.\n"
    "By backward differentiation formulas of orders 1 to 5 with the Jacobian of f.\n"
    "Example: ode_bdf((t, y) -> [-1000 * (y[0] - cos(t))], [0], 0, [1])[0, 0] |> round(4)\n"
    "=> 0.5411",
    n_bdf, NORN_PURE, NULL },
};

norn_status lib_ode_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
