/* delayed_vector.c: vectors of probabilities that are delayed (delayed.h): categorical and multinomial
   counts under a dirichlet, whose weights grow by them.  The marginal is the Polya urn:

       p(x) = n! / prod x_k!  Gamma(A) / Gamma(A + n)  prod Gamma(a_k + x_k) / Gamma(a_k),  A = sum a_k

   and of one category a_y / A. */
#include "lang/symbolic/delayed.h"
#include "num/special.h"
#include <math.h>
#include <string.h>

enum { V_DIRICHLET, V_CATEGORICAL, V_MULTINOMIAL, V_NORMAL, V_NONE };

static int family_of(const norn_dist *d)
{
  static const struct { const char *name; int n; } known[] = {
    [V_DIRICHLET] = {"dirichlet", 1}, [V_CATEGORICAL] = {"categorical", 1},
    [V_MULTINOMIAL] = {"multinomial", 2}, [V_NORMAL] = {"multi_normal", 2},
  };
  int f = 0;
  while (f < V_NONE && !delayed_is(d->row, known[f].name)) f++;
  return f < V_NONE && known[f].n == d->n ? f : V_NONE;
}

/* The dirichlet of a random parameter: 1, 0 there is none, -1 error set. */
static int find_simplex(norn_run *r, const norn_dist *d, int64_t *id, dnode *n)
{
  int f = family_of(d);
  if (f != V_CATEGORICAL && f != V_MULTINOMIAL) return 0;
  val p = d->args[d->n - 1];
  if (!v_is_random(p) || v_rvar(p)->h.aux != RANDOM_SIMPLEX) return 0;
  if (f == V_MULTINOMIAL && (!V_IS_INT(d->args[0]) || d->args[0].i < 0)) return 0;
  *id = v_rvar(p)->node;
  if (!delayed_load(r, *id, n)) return -1;
  return n->at == AT_ROOT;
}

static int sample_dirichlet(norn_run *r, val *dst, const norn_dist *d, uint64_t addr)
{
  norn_state *st = r->st;
  norn_view v;
  if (delayed_args(r, d) || !norn_array_view(d->args[0], &v) || v.rank != 1) return 0;
  if (v.elem != NORN_F64 && v.elem != NORN_I64) return 0;
  if (norn_dist_check(st, d)) return norn_clear(st), 0;     /* the sentence comes where it is sampled */
  double *a;
  val weights = norn_array(st, NORN_F64, 1, &v.n, (void **)&a);
  if (norn_is_none(weights)) return -1;
  for (int64_t k = 0; k < v.n; k++) a[k] = v.elem == NORN_F64 ? v.f[k] : (double)v.i[k];
  dnode n = {.form = NODE_SIMPLEX, .at = AT_ROOT, .parent = -1, .scale = -1, .addr = addr,
             .row = d->row, .n = 1, .v = {weights}};
  return delayed_answer(r, dst, &n, RANDOM_SIMPLEX, 1);
}

int delayed_vector_sample(norn_run *r, val *dst, const norn_dist *d, uint64_t addr)
{
  dnode s;
  int64_t id;
  if (family_of(d) == V_NORMAL) return gauss_sample(r, dst, d, addr);
  if (family_of(d) == V_DIRICHLET) return sample_dirichlet(r, dst, d, addr);
  int k = find_simplex(r, d, &id, &s);
  if (k <= 0) return k;
  dnode n = {.form = NODE_LEAF, .at = AT_CHILD, .parent = -1, .scale = -1, .addr = addr,
             .row = d->row, .n = d->n};
  for (int i = 0; i < d->n; i++) n.v[i] = d->args[i];
  return delayed_answer(r, dst, &n, RANDOM_LEAF, 1);
}

/* How often category k is in y; false: y is no value of d. */
static bool count(const norn_dist *d, val y, int64_t k, int64_t n, double *x)
{
  norn_view v;
  if (d->n == 1) {                                         /* categorical */
    *x = V_IS_INT(y) && y.i == k;
    return V_IS_INT(y) && y.i >= 0 && y.i < n;
  }
  if (!norn_array_view(y, &v) || v.rank != 1 || v.n != n || v.elem != NORN_I64) return false;
  *x = (double)v.i[k];
  return v.i[k] >= 0;
}

int delayed_vector_observe(norn_run *r, const norn_dist *d, val y, double *lp)
{
  dnode n;
  int64_t id;
  norn_view a;
  if (family_of(d) == V_NORMAL) return gauss_observe(r, d, y, lp);
  int k = find_simplex(r, d, &id, &n);
  if (k <= 0) return k;
  norn_array_view(n.v[0], &a);
  double *more, x, sum = 0, total = 0, l = 0;
  val weights = norn_array(r->st, NORN_F64, 1, &a.n, (void **)&more);
  if (norn_is_none(weights)) return -1;
  for (int64_t i = 0; i < a.n; i++) {
    if (!count(d, y, i, a.n, &x)) return 0;
    more[i] = a.f[i] + x;
    sum += a.f[i];
    total += x;
    if (x == 0) continue;
    l += d->n == 1 ? log(a.f[i])
                   : special_lgamma(more[i]) - special_lgamma(a.f[i]) - special_lgamma(x + 1);
  }
  if (d->n == 2) {
    if (total != (double)d->args[0].i) return 0;
    l += special_lgamma(total + 1) + special_lgamma(sum) - special_lgamma(sum + total);
  } else {
    l -= log(sum);
  }
  *lp = l;
  n.v[0] = weights;
  return delayed_store(r, id, &n) ? 1 : -1;
}
