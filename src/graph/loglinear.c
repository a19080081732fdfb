/* loglinear: scans of log probabilities whose carry only has numbers added to it and is summed by
   log_sum_exp (the forward algorithm of a hidden Markov model), forwards.

       next_j[t] = log sum over i of exp(carry_i + a_ij[t]) + b_j[t]

   In logarithms one step waits for an exponential and a logarithm of the one before.  The same sums
   are products and sums of probabilities, if these are scaled by powers of two now and then;
   exponentials of what is added come before and logarithms after, in lanes.  Where a number is too
   small or large for that (a weight below e^-400 of the others that is not 0) the scan goes step by
   step as it stands.  Derivatives are those of any scan. */
#include "graph/program.h"
#include <math.h>

#define TINY 1e-270                  /* below: the rest may be lost */
#define LARGE 0x1p300                /* carries sum to between 1 / LARGE and LARGE */
#define REACH 490.0                  /* log(DBL_MAX) - log(LARGE), and some room */

typedef struct log_step {
  bool sum;                          /* x + y, else x times the factor */
  const double *x, *y;
  double *factor, *out;              /* (T) or one; value of the column */
  int step;
} log_step;
struct loglinear {
  double *now, *carry;               /* (P) */
  double *scale;                     /* (T) log scale of each step */
  log_step *step;                    /* (P) */
  bool *carried;                     /* (P) read one step later */
  double bound;                      /* of what is added */
};

/* ---- is a scan of this kind ------------------------------------------------------------------ */

/* The column and lag of inner operand j; false: further back than one step. */
static bool link_of(const scan *s, const scan_column *c, int j, uint32_t *q, uint32_t *lag)
{
  for (*q = 0; *q < s->P; ++*q) {
    *lag = s->column[*q].c.to - c->c.arg[j].at;
    if (*lag <= 1) return true;
  }
  return false;
}

static bool column_fits(const scan_column *c)
{
  if (c->c.op == G_LOG_ADD_EXP) return c->inner == 3;
  return (c->c.op == G_ADD && (c->inner == 1 || c->inner == 2)) ||
    (c->c.op == G_SUB && c->inner == 1);
}

/* How many numbers are added on the way to a column within a step, at most; 0: not of this kind. */
static uint32_t additions(const scan *s, uint32_t *depth)
{
  uint32_t most = 1;
  bool sums = false;
  for (uint32_t k = 0; k < s->P; k++) {
    const scan_column *c = &s->column[k];
    if (!column_fits(c)) return 0;
    sums |= c->c.op == G_LOG_ADD_EXP;
    depth[k] = 0;
    for (int j = 0; j < 2; j++) {
      uint32_t q, lag;
      if (!(c->inner >> j & 1)) continue;
      if (!link_of(s, c, j, &q, &lag)) return 0;
      if (lag == 0 && depth[q] > depth[k]) depth[k] = depth[q];
    }
    depth[k] += c->c.op != G_LOG_ADD_EXP;
    if (depth[k] > most) most = depth[k];
  }
  return sums ? most : 0;
}

static bool steps_make(program *p, const scan *s, struct loglinear *l)
{
  for (uint32_t k = 0; k < s->P; k++) {
    const scan_column *c = &s->column[k];
    log_step *t = &l->step[k];
    const double *from[2] = {NULL, NULL};
    for (int j = 0; j < 2; j++) {
      uint32_t q, lag;
      if (!(c->inner >> j & 1)) continue;
      link_of(s, c, j, &q, &lag);
      from[j] = lag ? &l->carry[q] : &l->now[q];
      if (lag) l->carried[q] = true;
    }
    *t = (log_step){.sum = c->c.op == G_LOG_ADD_EXP, .x = c->inner & 1 ? from[0] : from[1],
                    .y = from[1],
                    .out = p->value + c->c.to};
    if (!t->sum && !(t->factor = blocks_get(&p->own, (s->T + 8) * sizeof(double)))) return false;
  }
  return true;
}

bool loglinear_make(program *p, scan *s)
{
  enum { MOST = 400 };
  uint32_t depth[MOST];
  uint32_t n = s->T >= 8 && s->P <= MOST ? additions(s, depth) : 0;
  if (!n) return true;
  struct loglinear *l = blocks_get(&p->own, sizeof *l);
  if (!l) return false;
  l->now = blocks_get(&p->own, 2 * s->P * sizeof *l->now);
  l->scale = blocks_get(&p->own, (s->T + 8) * sizeof *l->scale);
  l->step = blocks_get(&p->own, s->P * sizeof *l->step);
  l->carried = blocks_get(&p->own, s->P);
  if (!l->now || !l->scale || !l->step || !l->carried) return false;
  l->carry = l->now + s->P;
  l->bound = REACH / n;
  if (!steps_make(p, s, l)) return false;
  s->log = l;
  return true;
}

/* ---- an evaluation --------------------------------------------------------------------------- */

/* exp of what a column adds; false: too far from 0. */
static bool factor_find(const program *p, const scan_column *c, log_step *t, double bound)
{
  int j = c->inner == 1;
  const double *x = c->in[j];
  int64_t n = c->step[j] ? c->c.n : 1;
  double ends[2], sign = c->c.op == G_SUB ? -1 : 1;
  t->step = c->step[j];
  if (!p->level->range(x, n, ends)) {
    for (int64_t i = 0; i < n; i++)            /* -inf may be added: a probability of 0 */
      if (!(fabs(x[i]) <= bound || sign * x[i] == -HUGE_VAL)) return false;
  } else if (ends[0] < -bound || ends[1] > bound) return false;
  const exec_level *level = n == 1 ? &exec_one : p->level;
  exec_args a = {.op = G_EXP, .n = n, .x = x, .sx = 1, .out = t->factor};
  if (sign < 0) {
    level->forward(&(exec_args){.op = G_NEG, .n = n, .x = x, .sx = 1, .out = t->factor});
    a.x = t->factor;
  }
  level->forward(&a);
  return true;
}

/* The carries before the first step, relative to the largest, whose logarithm is *scale. */
static bool begin(const program *p, const scan *s, const struct loglinear *l, double *scale)
{
  double top = -HUGE_VAL;
  for (uint32_t q = 0; q < s->P; q++)
    if (l->carried[q] && !(p->value[s->column[q].c.to - 1] <= top))
      top = p->value[s->column[q].c.to - 1];
  if (!(fabs(top) < HUGE_VAL)) return false;
  for (uint32_t q = 0; q < s->P; q++) {
    if (!l->carried[q]) continue;
    double x = p->value[s->column[q].c.to - 1];
    l->carry[q] = graph_compute(G_EXP, x - top, 0);
    if (l->carry[q] < TINY && x > -HUGE_VAL) return false;
  }
  *scale = top;
  return true;
}

/* The carries of the next step, scaled if they are far from 1: by 2 to the -result; *good false:
   one is lost by it. */
static int carry_on(const scan *s, const struct loglinear *l, bool *good)
{
  double top = 0;
  int e = 0;
  for (uint32_t q = 0; q < s->P; q++)
    if (l->carried[q]) {
      l->carry[q] = l->now[q];
      top += l->now[q];              /* a sum: which is largest would be a guess for the CPU */
    }
  if ((top > 1 / LARGE && top < LARGE) || top == 0) return 0;
  if (!(top < HUGE_VAL)) return *good = false, 0;
  frexp(top, &e);
  for (uint32_t q = 0; q < s->P; q++) {
    double x = l->carry[q];
    l->carry[q] = ldexp(x, -e);
    if (x != 0 && l->carry[q] < TINY) *good = false;
  }
  return e;
}

static bool steps_run(const scan *s, const struct loglinear *l, double scale)
{
  bool good = true;
  int64_t exponent = 0;
  for (uint32_t t = 0; t < s->T && good; t++) {
    l->scale[t] = scale + (double)exponent * V_LOG_2;
    for (uint32_t q = 0; q < s->P; q++) {
      const log_step *k = &l->step[q];
      double x = *k->x, r;
      if (k->sum) r = x + *k->y;
      else {
        double f = k->factor[t * (uint32_t)k->step];
        r = x * f;
        if (r < TINY && x != 0 && f != 0) return false;
      }
      l->now[q] = k->out[t] = r;
    }
    exponent += carry_on(s, l, &good);
  }
  return good;
}

/* Logarithms in the place of the probabilities of a column. */
static void column_log(const program *p, const scan *s, uint32_t q)
{
  double *z = s->log->step[q].out;
  exec_args a = {.op = G_LOG, .n = s->T, .x = z, .sx = 1, .out = z};
  p->level->forward(&a);
  p->level->add(z, s->log->scale, s->T);
}

bool loglinear_forward(program *p, scan *s)
{
  struct loglinear *l = s->log;
  double scale;
  if (!begin(p, s, l, &scale)) return false;
  for (uint32_t q = 0; q < s->P; q++)
    if (!l->step[q].sum && !factor_find(p, &s->column[q], &l->step[q], l->bound)) return false;
  if (!steps_run(s, l, scale)) return false;
  for (uint32_t q = 0; q < s->P; q++)
    if (l->carried[q] || l->step[q].sum) column_log(p, s, q);
  for (uint32_t q = 0; q < s->P; q++)
    for (int64_t k = 0; !l->carried[q] && !l->step[q].sum && k < s->T; k += CHUNK)
      piece_forward(p, &s->column[q].c, k, s->T - k < CHUNK ? s->T - k : CHUNK,
                    p->value + s->column[q].c.to + k);
  return true;
}
