/* delayed_link.c: what a distribution is to a random parameter of its (delayed.h): a new variable, a
   child of the normal tree, or something of which the conjugate parent keeps count.

       parent         of it                                              says
       beta p         bernoulli, binomial, geometric of p or 1 - p;      s successes, t failures:
                      neg_binomial(a, p / (1 - p))                       beta(a + s, b + t)
       gamma g        poisson, exponential, gamma, inv_gamma of c g;     gamma(k + s, r + t)
                      normal(m, sqrt(c / g))
       dirichlet p    categorical(p), multinomial(n, p)                  (delayed_vector.c)
       normal x       normal, lognormal(a x + b, s), x of one or more    the Kalman step (delayed_joint.c)
       normal x of    normal(a x + b, sqrt(c / g))                       the same in units of 1/g,
       scale g                                                           and gamma(k + 1/2, r + e^2/2v)

   inv_gamma v is 1/g of a gamma g.  Fink 1997, "A compendium of conjugate priors". */
#include "lang/symbolic/delayed.h"
#include "num/rng.h"
#include "num/special.h"
#include <math.h>
#include <string.h>

#define LOG_2PI 1.8378770664093454836

/* arg: the parameter that may be random; prior: it may itself be a parent; `some`: a value of that
   parameter, for checking the others. */
enum { F_NORMAL, F_LOGNORMAL, F_GAMMA, F_INV_GAMMA, F_BETA, F_EXPONENTIAL, F_POISSON, F_BERNOULLI,
       F_BINOMIAL, F_GEOMETRIC, F_NEG_BINOMIAL, F_NONE };
typedef struct family { const char *name; int n, arg; bool prior; double some; } family;
static const family families[] = {
  [F_NORMAL] = {"normal", 2, 0, true, 0},          [F_LOGNORMAL] = {"lognormal", 2, 0, false, 0},
  [F_GAMMA] = {"gamma", 2, 1, true, 1},            [F_INV_GAMMA] = {"inv_gamma", 2, 1, true, 1},
  [F_BETA] = {"beta", 2, -1, true, 0.5},           [F_EXPONENTIAL] = {"exponential", 1, 0, false, 1},
  [F_POISSON] = {"poisson", 1, 0, false, 1},       [F_BERNOULLI] = {"bernoulli", 1, 0, false, 0.5},
  [F_BINOMIAL] = {"binomial", 2, 1, false, 0.5},   [F_GEOMETRIC] = {"geometric", 1, 0, false, 0.5},
  [F_NEG_BINOMIAL] = {"neg_binomial", 2, 1, false, 1},
};

static int family_of(const norn_dist *d)
{
  int f = 0;
  while (f < F_NONE && !delayed_is(d->row, families[f].name)) f++;
  return f < F_NONE && families[f].n == d->n && d->row->check1 && d->row->sample1 ? f : F_NONE;
}

enum { AGAIN = 2 };
/* A distribution and its random parameters: x, and of a normal its standard deviation sd. */
typedef struct link {
  int family;
  const rvar *x, *sd;
  bool is_sum;                         /* x is: its terms, two or more */
  dsum sum;
  double p[NORN_DIST_P];               /* the others; of the random ones some value */
  dnode node, scale;                    /* of x (a root) and of sd */
} link;

/* ---- parameters ---- */

/* Those of known choices become numbers.  -1: error set; else how many are random. */
static int resolve(norn_run *r, const norn_dist *d)
{
  int left = 0;
  val *a = (val *)(uintptr_t)d->args;
  for (int i = 0; i < d->n; i++) {
    if (!v_is_random(a[i])) continue;
    if (v_rvar(a[i])->h.aux == RANDOM_SUM && ++left) continue;         /* find_sum */
    int known = delayed_known(r, v_rvar(a[i])->node);
    if (known < 0) return -1;
    if (!known) left++;
    else if (norn_is_none(a[i] = delayed_look(r->st, a[i]))) return -1;
  }
  return left;
}

/* All parameters become what they stand for. */
static int forced(norn_run *r, const norn_dist *d)
{
  val *a = (val *)(uintptr_t)d->args;
  for (int i = 0; i < d->n; i++)
    if (norn_is_none(a[i] = delayed_force(r->st, a[i])) && r->st->err.code) return -1;
  return 0;
}

int delayed_of_numbers(const norn_dist *d, bool *prior, double some[NORN_DIST_P])
{
  int f = family_of(d);
  *prior = f != F_NONE && families[f].prior;
  for (int i = 0; f != F_NONE && i < d->n; i++) some[i] = i == families[f].arg ? families[f].some : 1;
  return f != F_NONE;
}

bool delayed_args(norn_run *r, const norn_dist *d)
{
  for (int i = 0; i < d->n; i++)
    if (v_is_random(d->args[i]) || delayed_inside(r->st, d->args[i])) return true;
  return false;
}

static bool is_identity(const rvar *x) { return x->a == 1 && x->b == 0 && x->p == 1; }
static bool is_complement(const rvar *x) { return x->a == -1 && x->b == 1 && x->p == 1; }
static bool is_scaled(const rvar *x) { return x->a > 0 && x->b == 0 && x->p == 1; }
/* sqrt(c / g): the standard deviation of variance a^2 in units of 1/g */
static bool is_deviation(const rvar *x) { return x->a > 0 && x->b == 0 && x->p == -0.5; }

/* Can a node of this form be what family f wants there? */
static bool fits(int f, const rvar *x, const dnode *n)
{
  switch (f) {
  case F_NORMAL: case F_LOGNORMAL:
    return (n->form == NODE_NORMAL && x->h.aux == RANDOM_AFFINE) || rvar_is_row(x);
  case F_GAMMA: case F_INV_GAMMA: case F_EXPONENTIAL: case F_POISSON:
    return n->form == NODE_GAMMA && is_scaled(x);
  case F_BERNOULLI: case F_BINOMIAL: case F_GEOMETRIC:
    return n->form == NODE_BETA && x->h.aux == RANDOM_AFFINE && (is_identity(x) || is_complement(x));
  case F_NEG_BINOMIAL: return n->form == NODE_BETA && x->h.aux == RANDOM_ODDS;
  default: return false;
  }
}

/* A random parameter that the family has no use for is drawn. */
static int drop(norn_run *r, val *a)
{
  return norn_is_none(*a = delayed_look(r->st, *a)) ? -1 : AGAIN;
}

/* The mean *a is of several variables: their sum.  1; AGAIN: of one or none, which it is now; -1: error set. */
static int find_sum(norn_run *r, val *a, link *l)
{
  int k = dsum_of(r, &l->sum, 1, *a);
  if (k <= 0) return k ? k : drop(r, a);
  l->is_sum = l->sum.n > 1;
  if (l->is_sum) return delayed_load(r, l->sum.t[0].id, &l->node) ? 1 : -1;
  *a = dsum_value(r->st, &l->sum);
  return norn_is_none(*a) ? -1 : AGAIN;
}

/* The parameters of a distribution of family f: 1: as l says, 0: nothing to keep, AGAIN: one was
   drawn, -1: error set. */
static int find_link(norn_run *r, const norn_dist *d, int f, link *l)
{
  const family *k = &families[f];
  bool normal = f == F_NORMAL;
  int which;
  val *args = (val *)(uintptr_t)d->args;
  dsum_free(r->st, &l->sum);
  *l = (link){.family = f};
  for (int i = 0; i < d->n; i++) {
    val a = d->args[i];
    if (a.tag == NORN_BIG) return 0;
    if (norn_as_real(a, &l->p[i])) continue;
    if (!v_is_random(a) || (i != k->arg && !(normal && i == 1))) return 0;
    if (i == k->arg) l->x = v_rvar(a);
    else l->sd = v_rvar(a);
    l->p[i] = i == k->arg ? k->some : 1;
  }
  if (d->row->check1(l->p, &which)) return 0;
  if (l->x && !delayed_load(r, l->x->node, &l->node)) return -1;
  if (l->sd && !delayed_load(r, l->sd->node, &l->scale)) return -1;
  if (l->sd && !(l->scale.form == NODE_GAMMA && is_deviation(l->sd))) return drop(r, args + 1);
  if (!l->x) return 1;
  if (!fits(f, l->x, &l->node)) return drop(r, args + k->arg);
  bool strange = l->x->h.aux == RANDOM_SUM || l->node.form == NODE_GROUP;
  return strange ? find_sum(r, args + k->arg, l) : 1;
}

int delayed_settle(norn_run *r, const dsum *x, int64_t wants)
{
  dnode n;
  int state = 1;
  for (int64_t i = 0; i < x->n; i++) {
    if (!delayed_load(r, x->t[i].id, &n)) return -1;
    if (n.scale == wants) continue;
    state = AGAIN;
    if (n.scale >= 0 && !delayed_draw(r, n.scale, &n)) return -1;
  }
  if (state == AGAIN && wants >= 0 && !delayed_draw(r, wants, &n)) return -1;
  return state;
}

/* A mean of scale g goes with a standard deviation of the same; what stands in the way is drawn. */
static int settle_scale(norn_run *r, link *l)
{
  dnode n;
  if (!l->x) return 1;
  if (l->is_sum) return delayed_settle(r, &l->sum, l->sd ? l->sd->node : -1);
  int64_t has = l->node.scale, wants = l->sd ? l->sd->node : -1;
  if (has == wants) return 1;
  if (wants >= 0 && !delayed_draw(r, wants, &n)) return -1;
  if (has >= 0 && !delayed_draw(r, has, &n)) return -1;
  return AGAIN;
}

/* ---- what beta and gamma see ---- */

typedef struct said { double s, t, base; } said;

static bool whole(val y, double *out)
{
  if (V_IS_BOOL(y)) return *out = (double)(y.i != 0), false;
  return y.tag != NORN_BIG && norn_as_real(y, out) && *out >= 0 && *out == floor(*out) && *out < 0x1p53;
}

/* Successes s and failures t; the binomial coefficient in base. */
static bool beta_said(const link *l, val y, said *out)
{
  double k, n = l->p[0];
  bool is_whole = whole(y, &k), truth = V_IS_BOOL(y);
  switch (l->family) {
  case F_BERNOULLI:
    if (!truth && (!is_whole || k > 1)) return false;
    *out = (said){k, 1 - k, 0};
    break;
  case F_BINOMIAL:
    if (!is_whole || k > n) return false;
    *out = (said){k, n - k, special_lchoose(n, k)};
    break;
  case F_GEOMETRIC:
    if (!is_whole) return false;
    *out = (said){1, k, 0};
    break;
  default:                                     /* neg_binomial(n, p / (1 - p)): p^n (1 - p)^k */
    if (!is_whole) return false;
    *out = (said){n, k, special_lgamma(n + k) - special_lgamma(n) - special_lgamma(k + 1)};
  }
  if (l->x->h.aux == RANDOM_AFFINE && l->x->a < 0) {
    double s = out->s;
    out->s = out->t;
    out->t = s;
  }
  return true;
}

static double beta_learn(dnode *n, const said *y)
{
  double lp = y->base - special_lbeta(n->x[0], n->x[1]);
  n->x[0] += y->s;
  n->x[1] += y->t;
  return lp + special_lbeta(n->x[0], n->x[1]);
}

/* y has a density e^base g^s e^(-t g). */
static bool gamma_said(const link *l, double y, bool is_whole, said *out)
{
  double c = l->x ? l->x->a : l->sd->a, k = l->p[0], e = y - k;
  switch (l->family) {
  case F_POISSON:
    if (!is_whole) return false;
    *out = (said){y, c, y * log(c) - special_lgamma(y + 1)};
    return true;
  case F_EXPONENTIAL:
    *out = (said){1, c * y, log(c)};
    return y >= 0;
  case F_GAMMA:
    *out = (said){k, c * y, k * log(c) + (k - 1) * log(y) - special_lgamma(k)};
    return y > 0;
  case F_INV_GAMMA:
    *out = (said){k, c / y, k * log(c) - (k + 1) * log(y) - special_lgamma(k)};
    return y > 0;
  default:                                     /* normal(k, c / sqrt(g)) */
    *out = (said){0.5, e * e / (2 * c * c), -0.5 * LOG_2PI - log(c)};
    return true;
  }
}

/* Integrated: e^base r^k / Gamma(k) Gamma(k + s) / (r + t)^(k + s). */
static double gamma_learn(dnode *n, const said *y)
{
  double k = n->x[0], r = n->x[1], lp = y->base - k * log1p(y->t / r) - y->s * log(r + y->t);
  n->x[0] = k + y->s;
  n->x[1] = r + y->t;
  return lp + special_lgamma(k + y->s) - special_lgamma(k);
}

/* ---- what a normal variable sees ---- */

/* y = a x + b with variance q, in units of 1/scale if there is one.  lp: log density of y. */
static double normal_learn(dnode *n, dnode *scale, const link *l, double q, double y)
{
  double a = l->x->a, m = n->x[0], v = n->x[1], s = a * a * v + q, e = y - (a * m + l->x->b);
  double lp = -0.5 * (LOG_2PI + log(s));
  n->x[0] = m + a * v / s * e;
  n->x[1] = v * q / s;
  if (!scale) return lp - 0.5 * e * e / s;
  said of = {0.5, e * e / (2 * s), lp};
  return gamma_learn(scale, &of);
}

bool delayed_sum_learn(joint *j, const dsum *x, double q, dnode *scale, double y, double *lp)
{
  norm_said n;
  if (!joint_learn(j, x, q, y, &n)) return false;
  double t = n.off * n.off / (2 * n.s);
  said of = {0.5, t, -0.5 * (LOG_2PI + log(n.s))};
  *lp += scale ? gamma_learn(scale, &of) : of.base - t;
  return true;
}

/* The same of a sum. */
static bool sum_observe(norn_run *r, link *l, double q, double y, double *lp)
{
  joint *j = joint_open(r, &l->sum);
  *lp = 0;
  if (!j) return false;
  if (delayed_sum_learn(j, &l->sum, q, l->sd ? &l->scale : NULL, y, lp)) return joint_close(j);
  joint_free(j);
  return false;
}

static int normal_observe(norn_run *r, link *l, val y, double *lp)
{
  double value, q = l->sd ? l->sd->a * l->sd->a : l->p[1] * l->p[1];
  if (y.tag == NORN_BIG || !norn_as_real(y, &value) || !isfinite(value)) return 0;
  bool in_log = l->family == F_LOGNORMAL;
  if (in_log && !(value > 0)) return 0;
  double at = in_log ? log(value) : value;
  if (l->is_sum) {
    if (!sum_observe(r, l, q, at, lp)) return -1;
    if (in_log) *lp -= log(value);
    return !l->sd || delayed_store(r, l->sd->node, &l->scale) ? 1 : -1;
  }
  if (!delayed_rise(r, l->x->node, &l->node)) return -1;
  if (l->node.form == NODE_GROUP) return AGAIN;
  if (l->x->h.aux != RANDOM_ROW) *lp = normal_learn(&l->node, l->sd ? &l->scale : NULL, l, q, at);
  else if (!gauss_learn_row(r->st, &l->node, l->x, q, at, lp)) return -1;
  if (in_log) *lp -= log(value);
  if (l->sd && !delayed_store(r, l->sd->node, &l->scale)) return -1;
  return delayed_store(r, l->x->node, &l->node) ? 1 : -1;
}

/* ---- an observation ---- */

/* y is a value of what l describes: its parent learns of it.  AGAIN: its vector is single numbers now. */
static int learn(norn_run *r, link *l, val y, double *lp)
{
  said of;
  double value;
  if (l->x && (l->node.form == NODE_NORMAL || l->node.form == NODE_VECTOR)) return normal_observe(r, l, y, lp);
  if (l->x && l->node.form == NODE_BETA) {
    if (!beta_said(l, y, &of)) return 0;
    *lp = beta_learn(&l->node, &of);
    return delayed_store(r, l->x->node, &l->node) ? 1 : -1;
  }
  if (V_IS_BOOL(y) || y.tag == NORN_BIG || !norn_as_real(y, &value) || !isfinite(value)) return 0;
  if (!gamma_said(l, value, whole(y, &value), &of)) return 0;
  *lp = gamma_learn(l->x ? &l->node : &l->scale, &of);
  return delayed_store(r, l->x ? l->x->node : l->sd->node, l->x ? &l->node : &l->scale) ? 1 : -1;
}

/* The distribution and its random parameters, drawn where two do not go together.  0: all are
   numbers. */
static int linked(norn_run *r, const norn_dist *d, link *l)
{
  int f = family_of(d), k;
  if (f == F_NONE) return forced(r, d);
  do {
    if ((k = resolve(r, d)) < 0) return -1;
    if (!k) return forced(r, d);
    if ((k = find_link(r, d, f, l)) < 0) return -1;
    if (!k) return forced(r, d);
    if (k == 1) k = settle_scale(r, l);
  } while (k == AGAIN);
  return k;
}

/* y of one distribution of one number. */
static int observe_linked(norn_run *r, const norn_dist *d, val y, double *lp)
{
  link l = {.family = F_NONE};
  int k;
  do
    if ((k = linked(r, d, &l)) > 0) k = learn(r, &l, y, lp);
  while (k == AGAIN);
  dsum_free(r->st, &l.sum);
  return k;
}

int delayed_observe(norn_run *r, const norn_dist *d, val y, double *lp)
{
  int k = delayed_group_observe(r, d, y, lp);
  if (!k) k = delayed_vector_observe(r, d, y, lp);
  if (!k) k = observe_linked(r, d, y, lp);
  if (k == 0) return forced(r, d);
  if (k < 0) return k;
  rgraph *g = delayed_count(r);
  if (!g) return -1;
  g->met++;
  return 1;
}

/* ---- a choice ---- */

int delayed_answer(norn_run *r, val *dst, const dnode *n, int kind, double p)
{
  int64_t id = delayed_add(r, n);
  if (id < 0) return -1;
  val v = delayed_value(r->st, kind, id, 1, 0, p);
  if (norn_is_none(v)) return -1;
  *dst = v;
  return 1;
}

/* A root: its parameters are numbers. */
static int sample_root(norn_run *r, val *dst, const norn_dist *d, int f, uint64_t addr)
{
  double p[NORN_DIST_P];
  int which;
  for (int i = 0; i < d->n; i++)
    if (d->args[i].tag == NORN_BIG || !norn_as_real(d->args[i], &p[i])) return 0;
  if (!families[f].prior || d->row->check1(p, &which)) return 0;
  dnode n = {.at = AT_ROOT, .parent = -1, .scale = -1, .addr = addr, .row = d->row};
  bool inverse = f == F_INV_GAMMA, normal = f == F_NORMAL;
  n.form = normal ? NODE_NORMAL : f == F_BETA ? NODE_BETA : NODE_GAMMA;
  n.x[0] = p[0];
  n.x[1] = normal ? p[1] * p[1] : p[1];
  n.x[2] = inverse ? -1 : n.form == NODE_GAMMA ? 1 : 0;
  return delayed_answer(r, dst, &n, n.form == NODE_GAMMA ? RANDOM_POWER : RANDOM_AFFINE, inverse ? -1 : 1);
}

/* n, a new one, is under x. */
bool delayed_under(norn_run *r, dnode *n, const dsum *x)
{
  int64_t *ids;
  double *w;
  n->at = AT_MANY;
  n->x[0] = 0;
  n->x[1] = x->b;
  n->n = 2;
  n->v[0] = norn_array(r->st, NORN_I64, 1, &x->n, (void **)&ids);
  n->v[1] = norn_is_none(n->v[0]) ? n->v[0] : norn_array(r->st, NORN_F64, 1, &x->n, (void **)&w);
  if (norn_is_none(n->v[1])) return false;
  for (int64_t i = 0; i < x->n; i++) {
    ids[i] = x->t[i].id;
    w[i] = x->t[i].a;
  }
  return true;
}

static int sample_normal(norn_run *r, val *dst, const norn_dist *d, link *l, uint64_t addr)
{
  double q = l->sd ? l->sd->a * l->sd->a : l->p[1] * l->p[1];
  dnode n = {.form = NODE_NORMAL, .parent = -1, .scale = l->sd ? l->sd->node : -1, .addr = addr,
            .row = d->row};
  if (l->x && l->x->h.aux == RANDOM_ROW && !l->is_sum) {               /* of a vector: now as single numbers */
    int k = find_sum(r, (val *)(uintptr_t)d->args, l);
    if (k != 1) return k;
  }
  if (l->is_sum) {
    if (!delayed_under(r, &n, &l->sum)) return -1;
    n.x[2] = q;
  } else if (l->x) {
    n.at = AT_CHILD;
    n.parent = l->x->node;
    n.x[0] = l->x->a;
    n.x[1] = l->x->b;
    n.x[2] = q;
  } else {
    n.at = AT_ROOT;
    n.x[0] = l->p[0];
    n.x[1] = q;
  }
  return delayed_answer(r, dst, &n, RANDOM_AFFINE, 1);
}

static int sample_linked(norn_run *r, val *dst, const norn_dist *d, int f, uint64_t addr, link *l)
{
  int k = linked(r, d, l);
  if (k < 0) return k;
  if (!k) return sample_root(r, dst, d, f, addr);
  if (f == F_LOGNORMAL) return forced(r, d);
  if (f == F_NORMAL) return sample_normal(r, dst, d, l, addr);
  dnode n = {.form = NODE_LEAF, .at = AT_CHILD, .parent = -1, .scale = -1, .addr = addr,
            .row = d->row, .n = d->n};
  for (int i = 0; i < d->n; i++) n.v[i] = d->args[i];
  return delayed_answer(r, dst, &n, RANDOM_LEAF, 1);
}

int delayed_sample_one(norn_run *r, val *dst, const norn_dist *d, uint64_t addr)
{
  link l = {.family = F_NONE};
  int f = family_of(d), k;
  if (f == F_NONE) return (k = delayed_vector_sample(r, dst, d, addr)) ? k : forced(r, d);
  do k = sample_linked(r, dst, d, f, addr, &l);
  while (k == AGAIN);
  dsum_free(r->st, &l.sum);
  return k;
}

int delayed_sample(norn_run *r, val *dst, const norn_dist *d, uint64_t addr)
{
  if (r->flags & NORN_RUN_DRAW && !delayed_forget(r)) return -1;
  int k = delayed_group_sample(r, dst, d, addr);
  return k ? k : delayed_sample_one(r, dst, d, addr);
}

/* Its parent is drawn to draw it, forgotten, and then learns of it. */
static bool draw_from(norn_run *r, const norn_dist *d, norn_rng *g, val *y)
{
  val a[NODE_VALUES];
  norn_dist now = {d->row, a, d->n};
  for (int i = 0; i < d->n; i++) {
    dnode n;
    a[i] = d->args[i];
    if (!v_is_random(a[i])) continue;
    const rvar *x = v_rvar(a[i]);
    if (!delayed_load(r, x->node, &n)) return false;
    if (n.at != AT_KNOWN && !delayed_peek(r, &n, g)) return false;
    a[i] = delayed_of(x, &n);
  }
  return !norn_dist_sample(r->st, &now, g, y);
}

bool delayed_draw_leaf(norn_run *r, dnode *n, norn_rng *g)
{
  norn_dist d = {n->row, n->v, n->n};
  double lp;
  val y;
  if (!draw_from(r, &d, g, &y)) return false;
  int k = delayed_vector_observe(r, &d, y, &lp);
  if (!k) k = observe_linked(r, &d, y, &lp);
  if (k < 0) return false;
  n->v[0] = y;
  n->x[0] = 0;
  return true;
}
