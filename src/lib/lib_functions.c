/* lib_functions.c: integrate, find_root, solve_powell and minimize: natives that take a
   function.

   In a gradient each result is one call of the graph, with what the function captures among its
   inputs.  An integral's derivative is the integral of the derivative, and f at the bounds; those
   of a root x of F(x, p) = 0 and of a minimum follow from the implicit function theorem:

       dx/dp = -(dF/dx)^-1 dF/dp,      F = the gradient of f for a minimum

   What fails is a rejected point there, and an error elsewhere. */
#include "lib/functions.h"
#include "num/la.h"
#include "num/minimise.h"
#include "num/quadrature.h"
#include "num/roots.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum { INTEGRATE, FIND_ROOT, SOLVE, MINIMIZE } task_kind;
static const char *const names[] = {"integrate", "find_root", "solve_powell", "minimize"};

typedef struct task {
  norn_state *st;
  task_kind what;
  traced *f;
  bool scalar;                       /* x is a number */
  int64_t n, own, np, nout;          /* numbers in x; own inputs, captured nodes; results */
  double tol, abs_tol; int64_t most;
  bool *node;                        /* (own + np) */
  int32_t *lane;                     /* (np) of captured nodes: INTEGRATE only */
  double *last, *out;                /* (own + np), (nout) */
  bool solved, good, stop;
  int end;                           /* of the enum that belongs to `what` */
  double at, other;                  /* what a message says */
  int64_t active, k, row;
  double *x, *y, *j, *gin, *work;    /* sized by make_room */
  void *fixed, *block; size_t fixed_size, block_size;
} task;

static void task_free(norn_state *st, void *self)
{
  task *k = self;
  traced_free(k->f);
  norn_alloc(st, k->fixed, k->fixed_size, 0);
  norn_alloc(st, k->block, k->block_size, 0);
  norn_alloc(st, k, sizeof *k, 0);
}

/* ---- room
   ------------------------------------------------------------------------------------- */

static size_t work_of(const task *k)
{
  quadrature q = {.m = 1 + k->k, .intervals = k->most};
  switch (k->what) {
  case INTEGRATE: return quadrature_room(&q) + (size_t)(1 + k->k);
  case FIND_ROOT: return 1;
  case SOLVE: return roots_room(k->n);
  default: return minimise_room(k->n);
  }
}

/* Directions and memory: of an integral the captured nodes that have been read, else those of x. */
static bool make_room(task *k)
{
  int64_t n = k->n, active, d = 0;
  const bool *read = traced_active(k->f, &active);
  for (int64_t i = 0; i < k->np; i++) {
    bool moves = k->what == INTEGRATE && k->node[k->own + i] && read[i];
    k->lane[i] = moves ? (int32_t)d++ : -1;
  }
  k->k = k->what == INTEGRATE ? d : n;
  k->row = tape_row(k->k);
  size_t parts[] = {(size_t)n, (size_t)n, (size_t)((2 * n + 1) * k->row + n * n),
                    (size_t)(2 * (n + k->np)),                     work_of(k)};
  double **to[] = {&k->x, &k->y, &k->j, &k->gin, &k->work};
  size_t all = 0;
  for (int i = 0; i < 5; i++) all += parts[i];
  norn_lock(k->st);
  double *at = lib_memory(k->st, all * sizeof(double) + 16);
  if (at) norn_alloc(k->st, k->block, k->block_size, 0);
  norn_unlock(k->st);
  if (!at) return k->active = -1, k->stop = true, false;
  k->active = active;
  k->block = at;
  k->block_size = all * sizeof(double) + 16;
  for (int i = 0; i < 5; at += parts[i++]) *to[i] = at;
  return true;
}

/* ---- integrals
   -------------------------------------------------------------------------------- */

static int integrand(void *user, double x, double *out)
{
  task *k = user;
  if (k->k == 0) return (int)traced_eval(k->f, &x, out);
  int status = (int)traced_tangent(k->f, &x, 1, NULL, out, k->j);
  memcpy(out + 1, k->j, (size_t)k->k * sizeof *out);
  for (int64_t i = 0; i < k->k && !status; i++) status = !(fabs(out[1 + i]) < HUGE_VAL);
  return status;
}

/* Into work: the derivatives of the integral by its directions stay there. */
static bool integral(task *k, const double *in)
{
  quadrature q = {.m = 1 + k->k, .f = integrand, .user = k, .rel_tol = k->tol,
                  .abs_tol = k->abs_tol, .intervals = k->most};
  quadrature_report r;
  traced_params(k->f, in + k->own, k->k, k->lane);
  k->end = (int)quadrature_run(&q, in[0], in[1], k->work, k->work + q.m, &r);
  k->out[0] = k->work[0];
  k->at = k->end == QUADRATURE_INTERVALS ? k->out[0] : r.x;
  k->other = r.error;
  k->stop = k->end == QUADRATURE_STOP;
  for (int i = 0; i < 2 && k->end == QUADRATURE_DONE; i++)      /* f at bounds that move */
    if (k->node[i] && traced_eval(k->f, &in[i], &k->gin[i])) return false;
  return k->end == QUADRATURE_DONE && fabs(k->out[0]) < HUGE_VAL;
}

/* ---- roots
   ------------------------------------------------------------------------------------ */

static int value(void *user, const double *x, double *y)
{
  task *k = user;
  return (int)traced_eval(k->f, x, y);
}
static int value1(void *user, double x, double *y) { return value(user, &x, y); }

/* y and j (n, n) */
static int jacobian(void *user, const double *x, double *y, double *j)
{
  task *k = user;
  int64_t n = k->n, row = k->row;
  double *unit = k->j, *d = unit + n * row;
  memset(unit, 0, (size_t)(n * row) * sizeof *unit);
  for (int64_t i = 0; i < n; i++) unit[i * row + i] = 1;
  int status = (int)traced_tangent(k->f, x, 0, unit, y, d);
  for (int64_t i = 0; i < n && !status; i++)
    for (int64_t l = 0; l < n; l++) {
      j[i * n + l] = d[i * row + l];
      if (!(fabs(j[i * n + l]) < HUGE_VAL)) status = 1;
    }
  return status;
}

static bool root(task *k, const double *in)
{
  int64_t n = k->n;
  roots_system q = {.n = n, .f = value, .jac = jacobian, .user = k, .tol = k->tol,
                    .max_steps = k->most};
  traced_params(k->f, in + k->own, n, k->lane);
  memcpy(k->x, in, (size_t)n * sizeof *in);
  if (k->what == SOLVE) k->end = (int)roots_near(&q, k->x, k->y, k->work);
  else k->end = (int)roots_between(value1, k, in[0], in[1], k->tol, k->most, k->x, k->y);
  k->at = k->x[0];
  k->other = k->y[0];
  for (int64_t i = 1; i < n; i++) k->other = fmax(fabs(k->other), fabs(k->y[i]));
  k->stop = k->end == ROOTS_STOP;
  memcpy(k->out, k->x, (size_t)n * sizeof *in);
  return k->end == ROOTS_DONE;
}

/* gin += the derivatives by parameters of -lambda' F, where J' lambda = gout. */
static void root_adjoint(task *k, const double *in, const double *gout, double *gin)
{
  int64_t n = k->n;
  double *j = k->j + 2 * n * k->row, *lambda = k->x;
  traced_params(k->f, in + k->own, n, k->lane);
  memcpy(k->x, k->out, (size_t)n * sizeof *gout);
  bool good = !jacobian(k, k->out, k->y, j);
  for (int64_t i = 0; i < n; i++)
    for (int64_t l = 0; l < i; l++) {            /* transposed */
      double a = j[i * n + l];
      j[i * n + l] = j[l * n + i];
      j[l * n + i] = a;
    }
  for (int64_t i = 0; i < n; i++) lambda[i] = -gout[i];
  good = good && la_solve(j, n, lambda, 1) && !traced_adjoint(k->f, k->out, k->y, lambda, k->gin);
  for (int64_t i = 0; i < k->np; i++) gin[k->own + i] += good ? k->gin[n + i] : (double)NAN;
}

/* ---- minima
   ----------------------------------------------------------------------------------- */

static int slope(void *user, const double *x, double *y, double *gradient)
{
  task *k = user;
  const double one = 1;
  int status = (int)traced_adjoint(k->f, x, y, &one, k->gin);
  for (int64_t i = 0; i < k->n && !status; i++) {
    gradient[i] = k->gin[i];
    if (!(fabs(gradient[i]) < HUGE_VAL)) status = 1;
  }
  return status;
}

static minimise minimum_of(task *k)
{
  return (minimise){.n = k->n, .f = slope, .user = k, .tol = k->tol, .max_steps = k->most};
}

static bool minimum(task *k, const double *in)
{
  minimise q = minimum_of(k);
  traced_params(k->f, in + k->own, 0, NULL);
  memcpy(k->x, in, (size_t)k->n * sizeof *in);
  k->end = (int)minimise_run(&q, k->x, k->out + k->n, k->work);
  memcpy(k->out, k->x, (size_t)k->n * sizeof *in);
  k->at = k->x[0];
  k->stop = k->end == MINIMISE_STOP;
  return k->end == MINIMISE_DONE;
}

/* With H lambda = gout of x: gin gets gout of the value times df/dp, less lambda' d2f/dx dp,
   which is the change of df/dp along lambda. */
static void minimum_adjoint(task *k, const double *in, const double *gout, double *gin)
{
  int64_t n = k->n;
  minimise q = minimum_of(k);
  double *h = k->work, *lambda = h + n * n, *at = lambda + n, *g = k->gin + n + k->np, y;
  traced_params(k->f, in + k->own, 0, NULL);
  memcpy(lambda, gout, (size_t)n * sizeof *gout);
  bool good = !minimise_hessian(&q, k->out, h, at) && !la_cholesky(h, n);
  if (good) {
    la_solve_lower(false, h, n, lambda, 1);
    la_solve_lower(true, h, n, lambda, 1);
  }
  good = good && !slope(k, k->out, &y, at);
  for (int64_t i = 0; i < k->np; i++)
    gin[k->own + i] += good ? gout[n] * k->gin[n + i] : (double)NAN;
  double size = sqrt(la_dot(lambda, lambda, n)), far = sqrt(la_dot(k->out, k->out, n));
  if (!good || size == 0) return;
  double step = 6.0554544523933395e-6 * (1 + far) / size;
  for (int side = -1; side <= 1; side += 2) {
    for (int64_t i = 0; i < n; i++) at[i] = k->out[i] + side * step * lambda[i];
    good = good && !slope(k, at, &y, at + n);
    if (side < 0) memcpy(g, k->gin, (size_t)(n + k->np) * sizeof *g);
  }
  for (int64_t i = 0; i < k->np; i++)
    gin[k->own + i] -= good ? (k->gin[n + i] - g[n + i]) / (2 * step) : (double)NAN;
}

/* ---- the call
   --------------------------------------------------------------------------------- */

static bool once(task *k, const double *in)
{
  switch (k->what) {
  case INTEGRATE: return integral(k, in);
  case MINIMIZE: return minimum(k, in);
  default: return root(k, in);
  }
}

static bool solution(task *k, const double *in, double *out)
{
  int64_t active;
  size_t size = (size_t)(k->own + k->np) * sizeof *in;
  if (!k->solved || memcmp(k->last, in, size)) {
    memcpy(k->last, in, size);
    k->stop = false;
    k->good = k->active >= 0 || make_room(k);
    while (k->good) {
      k->good = once(k, in);
      traced_active(k->f, &active);
      if (active == k->active || k->what != INTEGRATE) break;      /* else a branch reads another */
      k->good = make_room(k);
    }
    k->solved = !k->stop;
  }
  if (k->good) memcpy(out, k->out, (size_t)k->nout * sizeof *out);
  return k->good;
}

/* Want of memory rejects one point. */
static bool forward(void *self, const double *in, double *out)
{
  task *k = self;
  if (solution(k, in, out)) return true;
  if (k->stop) {
    norn_lock(k->st);
    norn_clear(k->st);
    norn_unlock(k->st);
  }
  return false;
}

static void adjoint(void *self, const double *in, const double *out, const double *gout,
                    double *gin)
{
  task *k = self;
  (void)out;
  if (k->what == MINIMIZE) { minimum_adjoint(k, in, gout, gin); return; }
  if (k->what != INTEGRATE) { root_adjoint(k, in, gout, gin); return; }
  if (k->node[0]) gin[0] -= gout[0] * k->gin[0];
  if (k->node[1]) gin[1] += gout[0] * k->gin[1];
  for (int64_t i = 0; i < k->np; i++)
    if (k->lane[i] >= 0) gin[2 + i] += gout[0] * k->work[1 + k->lane[i]];
}

static const graph_call task_call = {"function of a function", forward, adjoint, task_free,
                                     .uses_state = false};

/* ---- messages
   --------------------------------------------------------------------------------- */

static norn_status not_finite(const task *k)
{
  return norn_fail(k->st, NORN_EDOMAIN, 0, "the function that %s is given is not finite at %s%g",
                   names[k->what], k->n > 1 ? "a point whose first number is " : "", k->at);
}

static norn_status integral_failed(const task *k)
{
  norn_state *st = k->st;
  if (k->end == QUADRATURE_OUTSIDE) {
    norn_status s = not_finite(k);
    norn_hint(st, "split the integral there: at its bounds it is not evaluated");
    return s;
  }
  if (k->end == QUADRATURE_SMALL) {
    return norn_fail(st, NORN_EDOMAIN, 0,
                     "integrate can't go on near %g: the integral may not exist", k->at);
  }
  norn_fail(st, NORN_EDOMAIN, 0,
            "integrate has found %g, but with an error of perhaps %g after %lld intervals", k->at,
            k->other, (long long)k->most);
  norn_hint(st, "rel_tol = asks for less and max_intervals = for more work; the integral may not "
            "exist");
  return NORN_EDOMAIN;
}

static norn_status root_failed(task *k, const double *in)
{
  norn_state *st = k->st;
  double fa = 0, fb = 0;
  switch (k->end) {
  case ROOTS_OUTSIDE: return not_finite(k);
  case ROOTS_BRACKET:
    traced_eval(k->f, &in[0], &fa);
    traced_eval(k->f, &in[1], &fb);
    norn_fail(st, NORN_EDOMAIN, 0,
              "find_root needs different signs at its ends, but f(%g) = %g and f(%g) = %g", in[0],
              fa, in[1], fb);
    norn_hint(st, "solve_powell(f, x0) starts from one point");
    return NORN_EDOMAIN;
  case ROOTS_STUCK:
    norn_fail(st, NORN_EDOMAIN, 0, "%s is stuck at %s%g, where f is %g: no root is near",
              names[k->what], k->n > 1 ? "a point whose first number is " : "", k->at, k->other);
    norn_hint(st, "start elsewhere");
    return NORN_EDOMAIN;
  default:
    return norn_fail(st, NORN_EDOMAIN, 0, "%s has not converged in max_steps = %lld steps",
                     names[k->what], (long long)k->most);
  }
}

static norn_status minimum_failed(const task *k)
{
  norn_state *st = k->st;
  static const char *const hint = "a minimum needs a function that rises on all sides of it";
  switch (k->end) {
  case MINIMISE_OUTSIDE: return not_finite(k);
  case MINIMISE_FLAT:
    norn_fail(st, NORN_EDOMAIN, 0, "minimize ends at a point where f is flat or a saddle: the "
              "minimum is not unique, or elsewhere");
    break;
  case MINIMISE_FAR: norn_fail(st, NORN_EDOMAIN, 0, "f falls without end"); break;
  default:
    norn_fail(st, NORN_EDOMAIN, 0, "minimize has not converged in max_steps = %lld steps",
              (long long)k->most);
  }
  norn_hint(st, "%s", hint);
  return NORN_EDOMAIN;
}

static norn_status failed(task *k, const double *in)
{
  if (k->stop) return lib_failed(k->st);
  return k->what == INTEGRATE ? integral_failed(k) : k->what == MINIMIZE ? minimum_failed(k)
                                                                         : root_failed(k, in);
}

/* ---- the natives
   ------------------------------------------------------------------------------ */

static bool fixed_room(task *k, const inputs *in)
{
  int64_t n = in->n;
  k->fixed_size = (size_t)(n + k->nout) * sizeof(double) + (size_t)(k->np + 1) * sizeof(int32_t) +
                  (size_t)n * sizeof(bool);
  k->fixed = lib_memory(k->st, k->fixed_size);
  if (!k->fixed) return k->fixed_size = 0, false;
  k->last = k->fixed;
  k->out = k->last + n;
  k->lane = (int32_t *)(void *)(k->out + k->nout);
  k->node = (bool *)(k->lane + k->np + 1);
  for (int64_t i = 0; i < n; i++) k->node[i] = graph_is_node(in->x[i]);
  return true;
}

/* The result of numbers or nodes v (nout). */
static norn_status give(const task *k, const norn_datum *v, norn_datum *out)
{
  static const char *const fields[] = {"x", "value"};
  norn_datum x = k->scalar ? v[0] : norn_array_pack(k->st, v, k->n);
  if (k->what != MINIMIZE) return lib_give(k->st, x, out);
  norn_datum both[] = {x, v[k->n]};
  if (norn_is_none(x)) return lib_failed(k->st);
  return lib_give(k->st, norn_record(k->st, 2, fields, both), out);
}

/* Takes k.  In a recording what fails here stands at its start: the point is rejected later. */
static norn_status finish(task *k, const inputs *in, norn_datum *out)
{
  norn_state *st = k->st;
  norn_datum keep, *v = lib_values(st, k->nout, &keep);
  double *x = lib_reals(st, k->nout, &keep);
  norn_status status = NORN_OK;
  if (!v || !x) {
    task_free(st, k);
    return lib_failed(st);
  }
  bool good = solution(k, in->value, x);
  if (!good && (!in->node || k->stop)) {
    status = failed(k, in->value);
    task_free(st, k);
    return status;
  }
  for (int64_t i = 0; i < k->nout; i++) {
    if (!good) x[i] = k->what != INTEGRATE && i < k->n ? in->value[i] : 0;
    v[i] = norn_real(x[i]);
  }
  task shape = *k;                   /* the graph owns k from here on, also where it fails */
  if (!in->node) task_free(st, k);
  else if (!graph_called_new(traced_graph(st), &task_call, k, in->x, (uint32_t)in->n, x, v,
                             (uint32_t)k->nout)) return lib_failed(st);
  return give(&shape, v, out);
}

/* Records the function, with the own inputs of the task in `in`. */
static norn_status start(task *k, norn_datum f, inputs *in, norn_datum *out)
{
  norn_state *st = k->st;
  const norn_datum *captured = NULL;
  bool one = k->what == INTEGRATE || k->what == MINIMIZE;        /* f gives a number */
  traced_kind kind = {names[k->what], 1, {k->scalar ? -1 : k->n}, one || k->scalar ? -1 : k->n};
  double x0 = k->what != INTEGRATE ? 0 : fabs(in->value[0]) < HUGE_VAL ? in->value[0] + 0.5 : 0.5;
  if (k->what == INTEGRATE && fabs(in->value[0]) < HUGE_VAL && fabs(in->value[1]) < HUGE_VAL)
    x0 = 0.5 * (in->value[0] + in->value[1]);
  k->own = in->n;
  k->nout = k->what == MINIMIZE ? k->n + 1 : k->n;
  bool moves = in->node && k->what == INTEGRATE;
  k->f = traced_new(k->st, &kind, f, k->what == INTEGRATE ? &x0 : in->value, moves);
  if (k->f) k->np = traced_captured(k->f, &captured);
  if (k->f && inputs_nodes(in, captured, k->np) && fixed_room(k, in) && make_room(k))
    return finish(k, in, out);
  task_free(st, k);
  return lib_failed(st);
}

static bool read_most(task *k, const norn_datum *args, int i, const char *what)
{
  if (!norn_want_int(k->st, args, i, what, &k->most)) return false;
  if (k->most >= 1 && k->most <= 10000000) return true;
  norn_fail(k->st, NORN_EDOMAIN, i, "%s must be from 1 to 10,000,000, got %lld", what,
            (long long)k->most);
  return false;
}

/* Bounds a and b, or x0, and the options. */
static bool read(task *k, const norn_datum *args, inputs *in)
{
  norn_state *st = k->st;
  bool pair = k->what == INTEGRATE || k->what == FIND_ROOT;
  char what[40];
  snprintf(what, sizeof what, "f of %s", names[k->what]);
  if (!lib_want_function(st, args, 0, what)) return false;
  k->scalar = pair || norn_array_length(args[1]) < 0;
  k->n = 1;
  bool good = pair ? inputs_number(in, args, 1, "a") && inputs_number(in, args, 2, "b")
            : k->scalar ? inputs_number(in, args, 1, "x0")
                        : inputs_array(in, args, 1, "x0", &k->n);
  if (!good) return false;
  if (k->n == 0) return norn_fail(st, NORN_EDOMAIN, 1, "x0 is empty"), false;
  for (int i = 0; i < in->n; i++)
    if (isnan(in->value[i]) || (k->what != INTEGRATE && isinf(in->value[i])))
      return norn_fail(st, NORN_EDOMAIN, pair ? 1 + i : 1, "%s must be %s, got %g",
                       !pair ? "x0" : i ? "b" : "a", pair ? "a number" : "finite", in->value[i]),
             false;
  int at = pair ? 3 : 2;
  if (!lib_want_above(st, args, at, k->what == INTEGRATE ? "rel_tol" : "tol", 0, &k->tol))
    return false;
  if (k->what != INTEGRATE) return read_most(k, args, at + 1, "max_steps");
  if (!norn_want_real(st, args, 4, "abs_tol", &k->abs_tol)) return false;
  if (!(k->abs_tol >= 0))
    return norn_fail(st, NORN_EDOMAIN, 4, "abs_tol must not be negative"), false;
  return read_most(k, args, 5, "max_intervals");
}

static norn_status run(norn_state *st, task_kind what, const norn_datum *args, norn_datum *out)
{
  inputs in = {.st = st};
  norn_status status;
  task *k = lib_memory(st, sizeof *k);
  if (!k) return lib_failed(st);
  k->st = st;
  k->what = what;
  if (read(k, args, &in)) {
    status = start(k, args[0], &in, out);
  } else {
    task_free(st, k);
    status = lib_failed(st);
  }
  inputs_free(&in);
  return status;
}

#define NATIVE(name, what) \
  static norn_status name(norn_state *st, const norn_datum *args, int n, norn_datum *out) \
  { (void)n; return run(st, what, args, out); }
NATIVE(n_integrate, INTEGRATE)
NATIVE(n_find_root, FIND_ROOT)
NATIVE(n_solve_powell, SOLVE)
NATIVE(n_minimize, MINIMIZE)

static const norn_native natives[] = {
  { "integrate", "f, a, b, rel_tol = 1e-8, abs_tol = 0.0, max_intervals = 1000",
    "The integral of f from a to b, each of which may be infinite.\n"
    "By bisection with the rule of Gauss and Kronrod of 21 points, until the estimated error is\n"
    "below abs_tol or rel_tol of the result; else it is an error.  f is not evaluated at the\n"
    "bounds.  In models it can be differentiated in a, b and whatever f captures.\n"
    "Example: integrate(x -> exp(-x^2 / 2), -inf, inf)^2 / (2 * pi) |> round(6)\n=> 1.0",
    n_integrate, NORN_PURE, NULL },
  { "find_root", "f, a, b, tol = 1e-12, max_steps = 200",
    "The x between a and b where f(x) is 0; f has different signs at a and b.\n"
    "By Brent's method, to tol (1 + |x|).  In models x can be differentiated in what f captures.\n"
    "Example: find_root(x -> cos(x) - x, 0, 1) |> round(6)\n=> 0.739085",
    n_find_root, NORN_PURE, NULL },
  { "solve_powell", "f, x0, tol = 1e-10, max_steps = 200",
    "An x near x0 where f(x) is 0: x and f(x) are arrays of the same length, or numbers.\n"
    "By Powell's hybrid of Newton's steps and steepest descent, with the Jacobian of f, until a\n"
    "step is below tol (1 + |x|).  In models x can be differentiated in what f captures.\n"
    "Example: solve_powell(v -> [v[0] + v[1] - 3, v[0] * v[1] - 2], [3, 0]) |> map(x -> round(x))\n"
    "=> [2, 1]",
    n_solve_powell, NORN_PURE, NULL },
  { "minimize", "f, x0, tol = 1e-8, max_steps = 1000",
    "A local minimum of f near x0, an array or a number: a record of x and the value there.\n"
    "By BFGS with the gradient of f, ended by Newton's steps.  In models both can be\n"
    "differentiated in what f captures.\n"
    "Example: round(minimize(x -> exp(x) - 2 * x, 0).x, 6)\n=> 0.693147",
    n_minimize, NORN_PURE, NULL },
};

norn_status lib_functions_open(norn_state *st)
{
  return norn_add_natives(st, NULL, natives, NORN_COUNT(natives));
}
