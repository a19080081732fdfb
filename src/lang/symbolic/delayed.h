/* delayed.h: choices that a run has not made yet (NORN_RUN_DELAY): random variables as values, and
   the graph that says what is known of each.

   Murray, Lunden, Kudlicka, Broman, Schon 2018, "Delayed sampling and automatic Rao-Blackwellization
   of probabilistic programs", with one difference.  A tree of normal variables is closed under the
   reversal of an edge, so nothing has to be drawn to observe one of its leaves: the tree is rerooted
   at the variable that is observed.  The root alone has a marginal; every other node has a law given
   its neighbour on the way to the root:

        x1 -> x2 -> x3 (root)         observe y ~ normal(x1, 1):  x1 (root) <- x2 <- x3

   Where sums of variables are parents, or are seen, the tree is a directed graph without cycles, and what
   is looked at is brought to its front (delayed_joint.c).

   A node's state stands in a persistent map of the run (id -> node), so a fork shares what its original
   knew; it is changed in place only where it is no fork's (stamp).
   Values refer to nodes by id and carry a map of their own, so that
   2 * x + 1 is random too:

        value   id | a | b | p          a x^p + b
        node    form, at | parent | scale | x ...

        at        x of NORMAL              x of GAMMA    x of BETA     LEAF
        ROOT      mean, variance           shape, rate   alpha, beta
        CHILD     a, c, q: a parent + c                                v: its parameters
                  with variance q
        MANY      -, c, q; v: their ids and
                  a: a . parents + c
        KNOWN     the number; v[0]: what the program sees of it

   SIMPLEX has in v[0] the weights of its dirichlet; VECTOR in v what NORMAL has in x: m, P; or a, c, Q.
   GROUP is a choice that is an array; v[0] are its elements, whose nodes are members: they are no choices
   themselves.

   `scale` of a NORMAL is a GAMMA node g, or -1: its variances are in units of 1/g.  All nodes of a
   tree have the same. */
#ifndef NORN_LANG_DELAYED_H
#define NORN_LANG_DELAYED_H
#include "lang/symbolic/latent.h"
#include <string.h>

/* What a value may still become without being drawn: AFFINE p is 1; POWER b is 0 (of positive
   numbers); ODDS x/(1-x); ROW a (w x) + b and VECTOR w x + c of a normal vector x, with w and c behind
   the struct (delayed_gauss.c); SUM a (w x) + b of normal nodes x, with w and their ids behind it
   (delayed_sum.c); LEAF and SIMPLEX nothing. */
enum { RANDOM_AFFINE, RANDOM_POWER, RANDOM_ODDS, RANDOM_LEAF, RANDOM_SIMPLEX,
       RANDOM_ROW, RANDOM_VECTOR, RANDOM_SUM, RANDOM_LAST = RANDOM_SUM };
typedef struct rvar { obj h; int64_t node; double a, b, p; } rvar;            /* aux: of the above */

enum { NODE_NORMAL, NODE_GAMMA, NODE_BETA, NODE_LEAF, NODE_SIMPLEX, NODE_VECTOR, NODE_GROUP, NODE_LAST = NODE_GROUP };
enum { AT_ROOT, AT_CHILD, AT_KNOWN, AT_MANY, AT_LAST = AT_MANY };
enum { NODE_MEMBER = 32 };                                 /* beside the form: it is in a group */
enum { NODE_VALUES = NORN_DIST_P };
/* n: values in v */
typedef struct rnode {
  obj h;
  int32_t form, at;
  int64_t parent, scale;
  uint64_t addr;
  const norn_dist_row *row;        /* of the family it was sampled from */
  double x[3];
  int64_t stamp;                   /* of the graph that wrote it */
  val v[];
} rnode;

typedef struct rgraph {
  obj h;
  uint32_t made, met, drawn;       /* norn_delayed */
  uint32_t least;                  /* nodes, before it is worth looking which are needed */
  int64_t next;
  val nodes;                       /* map: id -> V_RANDOM, a node */
  bool members;                    /* what is added is in a group; false between events */
  int64_t stamp;                   /* one more than that of the graph that it is a copy of, so that its nodes
                                      with the same are its own, and may be written to */
} rgraph;
enum { RANDOM_NODE = 16, RANDOM_GRAPH };                   /* aux of the objects that are no values */
enum { GRAPH_SHARED = 1 };                                 /* in n of a graph: by forks */

static inline rvar *v_rvar(val x) { return (rvar *)x.p; }
static inline bool rvar_has_arrays(const obj *o)
{
  return o->aux == RANDOM_ROW || o->aux == RANDOM_VECTOR || o->aux == RANDOM_SUM;
}
static inline val *rvar_arrays(const rvar *x) { return (val *)(uintptr_t)(x + 1); }
static inline bool rvar_is_row(const rvar *x) { return x->h.aux == RANDOM_ROW || x->h.aux == RANDOM_SUM; }
/* A number, if it is one. */
static inline bool rvar_is_affine(const rvar *x) { return x->h.aux <= RANDOM_POWER || rvar_is_row(x); }

static inline size_t delayed_size(const obj *o)
{
  if (o->aux == RANDOM_NODE) return sizeof(rnode) + o->n * sizeof(val);
  if (o->aux == RANDOM_GRAPH) return sizeof(rgraph);
  return sizeof(rvar) + (rvar_has_arrays(o) ? 2 * sizeof(val) : 0);
}

/* Is this the family's name?  Most differ in their first letter. */
static inline bool delayed_is(const norn_dist_row *row, const char *name)
{
  return row->name[0] == name[0] && row->name[1] == name[1] && !strcmp(row->name, name);
}

/* A node out of its object, as it is now: under a neighbour that is known it is a root, and in the
   units of a scale that is known. */
typedef struct dnode {
  int form, at;
  bool member;
  int64_t parent, scale;
  uint64_t addr;
  const norn_dist_row *row;
  double x[3];
  int n;
  val v[NODE_VALUES];
} dnode;

/* A sum of normal nodes, by rising ids: t . x + b. */
typedef struct dterm { int64_t id; double a; } dterm;
typedef struct dsum { dterm *t; size_t cap; int64_t n; double b; } dsum;

/* ---- delayed.c.  false and NONE: error set ---- */
bool delayed_load(norn_run *, int64_t id, dnode *);
int  delayed_known(norn_run *, int64_t id);               /* is it: 1, 0; -1 error set */
bool delayed_has(const norn_run *, int64_t id);           /* was it not forgotten */
bool delayed_store(norn_run *, int64_t id, const dnode *);
/* A new node; its id, or -1. */
int64_t delayed_add(norn_run *, const dnode *);
/* The node, a root in its tree now.  It must be stored: its old root has it as its parent. */
bool delayed_root(norn_run *, int64_t id, dnode *);
bool delayed_rise(norn_run *, int64_t id, dnode *);        /* the same of one that is loaded */
/* n, a root, gets a value, of which nobody knows. */
bool delayed_peek(norn_run *, dnode *, norn_rng *);
/* Drawn, unless it is known. */
bool delayed_draw(norn_run *, int64_t id, dnode *);
/* Forgets nodes that nothing can ask for any more. */
bool delayed_forget(norn_run *);
/* The counts, on a graph of the run's own. */
rgraph *delayed_count(norn_run *);

/* ---- delayed_value.c ---- */
val  delayed_value(norn_state *, int kind, int64_t id, double a, double b, double p);
/* The number (or other value) that x stands for; drawn if it must be. */
val  delayed_look(norn_state *, val x);
val  delayed_of(const rvar *, const dnode *);             /* the same, of a node with its number */
/* x with all that is random in it drawn, in the captures of functions too. */
val  delayed_force(norn_state *, val x);
bool delayed_inside(norn_state *, val x);                 /* is there any */
val  delayed_arith(norn_state *, arith, val x, val y);    /* x or y is random */
val  delayed_sqrt(norn_state *, val x);
/* What the run returned: drawn, and with choices kept all the others too.  false: error set. */
bool delayed_end(norn_run *);
/* Gives the ids in x to v->f; false: it said so, or there is too much to look at. */
typedef struct delayed_visit {
  norn_state *st;
  bool (*f)(void *user, int64_t id);
  void *user;
  int64_t left;                        /* values that may still be looked at */
} delayed_visit;
bool delayed_visit_value(delayed_visit *, val x);
bool delayed_visit_ids(delayed_visit *, val ids);          /* an array of them */

/* ---- delayed_link.c: 1 done, 0 not of this kind (all arguments are numbers now), -1 error set ---- */
int  delayed_sample(norn_run *, val *dst, const norn_dist *d, uint64_t addr);
/* *lp: the log density of y with the random parameter integrated out, which then knows of y. */
int  delayed_observe(norn_run *, const norn_dist *d, val y, double *lp);
/* The same of what is no array. */
int  delayed_sample_one(norn_run *, val *dst, const norn_dist *d, uint64_t addr);
/* Is d of a family of numbers that may be delayed; parameters that it could have. */
int  delayed_of_numbers(const norn_dist *d, bool *prior, double some[NORN_DIST_P]);
/* All that x is of must have the scale of its noise, `wants`: 1; 2: what has not is drawn; -1: error set. */
int  delayed_settle(norn_run *, const dsum *x, int64_t wants);
/* n gets x as its parents and mean. */
bool delayed_under(norn_run *, dnode *n, const dsum *x);
/* Parameters of d that are random, or hold what is. */
bool delayed_args(norn_run *, const norn_dist *d);
/* *dst gets the value of a new node: 1, or -1. */
int  delayed_answer(norn_run *, val *dst, const dnode *, int kind, double p);
/* delayed_vector.c: the same for families of vectors. */
int  delayed_vector_sample(norn_run *, val *dst, const norn_dist *d, uint64_t addr);
int  delayed_vector_observe(norn_run *, const norn_dist *d, val y, double *lp);
/* ---- delayed_group.c: choices and observations that are arrays; vectors as single numbers ---- */
/* iid, arrays of parameters, and normal vectors whose mean is a sum: as above. */
int     delayed_group_sample(norn_run *, val *dst, const norn_dist *, uint64_t addr);
int     delayed_group_observe(norn_run *, const norn_dist *, val y, double *lp);
/* n, a normal vector that is not known, and a root or under a vector that is a group, becomes one. */
bool    delayed_split(norn_run *, int64_t id, dnode *n);
/* May this distribution be a value while parameters are random?  1: yes; 0: they must be drawn; -1: the others
   are wrong, error set. */
int     delayed_dist(norn_state *, const norn_dist *);
/* The distribution of an event out of a register, with parameters of its own. */
bool    delayed_own_dist(norn_run *, norn_dist *);

/* ---- delayed_sum.c ---- */
bool    dsum_term(norn_state *, dsum *, int64_t id, double a);             /* += a x[id] */
bool    dsum_add(norn_state *, dsum *y, double s, const dsum *x);          /* y += s x */
double  dsum_take(dsum *, int64_t id);                                     /* the term goes: its a */
void    dsum_free(norn_state *, dsum *);
/* y += s x, where what is known is a number: 1, 0 x is no such sum, -1 error set. */
int     dsum_of(norn_run *, dsum *y, double s, val x);
val     dsum_value(norn_state *, const dsum *);
/* The following give NONE without an error where they do not apply. */
val     delayed_sum(norn_state *, val x, double sign, val y);              /* x + sign y */
val     delayed_matmul(norn_state *, val, val);
val     delayed_native(norn_state *, const char *name, const val *args, int n);   /* sum, mean, dot */
val     delayed_rows(norn_state *, val x);                                 /* a VECTOR as an array of ROWs */
val     delayed_element(norn_state *, val x, int64_t i);                   /* of an array or a VECTOR */
val     sum_look(norn_state *, const rvar *);

/* ---- delayed_joint.c: nodes with several parents ---- */
typedef struct joint joint;
/* All that x is of, at the front of its graph, to be written back by close; NULL: error set. */
joint  *joint_open(norn_run *, const dsum *x);
/* y = x + N(0, q): what it is off by, and its variance. */
typedef struct norm_said { double off, s; } norm_said;
bool    joint_learn(joint *, const dsum *x, double q, double y, norm_said *);
/* The same with the log density of y added to lp; scale: q is in units of it. */
bool    delayed_sum_learn(joint *, const dsum *x, double q, dnode *scale, double y, double *lp);
bool    joint_close(joint *);
void    joint_free(joint *);
bool    joint_root(norn_run *, int64_t id);                                /* the node gets a root */

/* ---- delayed_gauss.c: normal vectors.  NONE without an error: not of this kind ---- */
val     gauss_value(norn_state *, int kind, int64_t id, double a, double b, val w, val c);
val     gauss_row(norn_state *, const rvar *, double a, double b);         /* the same ROW or SUM with these */
val     gauss_rows(norn_state *, const rvar *, const rvar *, double sign); /* x + sign y, both of one node */
int64_t gauss_length(const rvar *);                                       /* of a VECTOR */
val     gauss_look(norn_state *, const rvar *, const dnode *);
val     gauss_arith(norn_state *, arith, val x, val y);
val     gauss_matmul(norn_state *, val x, val y);
val     gauss_index(norn_state *, const rvar *, int64_t i);
bool    gauss_reverse(norn_state *, dnode *u, dnode *w, int64_t id_of_w);
bool    gauss_renew(norn_state *, dnode *, val parent);
bool    gauss_learn_row(norn_state *, dnode *, const rvar *, double variance, double y, double *lp);
int     gauss_sample(norn_run *, val *dst, const norn_dist *, uint64_t addr);
int     gauss_observe(norn_run *, const norn_dist *, val y, double *lp);
/* A leaf gets its value: a draw, and its parent knows of it. */
bool delayed_draw_leaf(norn_run *, dnode *, norn_rng *);
#endif
