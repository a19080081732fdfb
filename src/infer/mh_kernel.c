/* mh_kernel: single-site Metropolis-Hastings on traces (Wingate, Stuhlmueller, Goodman 2011,
   "Lightweight implementations of probabilistic programming languages", with the ratio of Le, Yang,
   Wood 2016).

   A transition picks one of the choices at random, runs the program again, draws that choice anew, and
   gives the others their old values.  An old value is used only where the address, the family and the
   support of the choice are the same: a symmetric relation, so the way back is possible whenever the
   way there is.  All else is fresh.

       log alpha = beta (log w' - log w)              observations, factors
                 + log n/n'                         numbers of choices: the way back picks with 1/n'
                 + sum over reused (log p' - log p) their densities under changed parameters
                 + sum over fresh e' - sum over stale e

   Fresh and stale choices (and the one that was picked) are drawn from their prior, whose density
   cancels against the target's; under `via` what is left of each is e = log prior - log proposal.

   Random numbers: choices by the program's own; which choice (draw 0) and the acceptance (draw 8) from
   the engine's stream in the same lane and iteration.  Further transitions of a step (steps > 1) have
   streams of their own. */
#include "infer/kernel.h"
#include "infer/infer.h"

enum { OPTION_STEPS = 4 };

typedef struct mh_kernel {
  int64_t steps, left;                 /* transitions of a step; still to come of this one */
  bool going;
  execution x;
  target g;                            /* of this transition */
  trace new;
  const trace *old;
  size_t site;                         /* in `old`; its size: there is nothing to pick */
  uint64_t of, own;                    /* own: stream of the kernel's decisions under stream `of` */
  double log_ratio, old_excess;
} mh_kernel;

static norn_status mh_kernel_init(kernel *k)
{
  mh_kernel *m = k->self;
  return kernel_int(k, OPTION_STEPS, 1, &m->steps) ? NORN_OK : NORN_EDOMAIN;
}

static norn_rng own_numbers(mh_kernel *m, uint32_t draw)
{
  const target *g = &m->g;
  if (g->stream != m->of || !m->own) m->own = norn_stream_split(g->stream, ENGINE_LANE, 4, 0);
  m->of = g->stream;
  return (norn_rng){.stream = m->own, .lane = g->lane, .iter = g->iter, .draw = draw};
}

static bool mh_meet(void *user, execution *x, const norn_event *ev)
{
  mh_kernel *m = user;
  trace_choice *old = trace_find(m->old, ev->addr);
  uint64_t support = support_key(norn_infer_state(x->inf), ev->dist);
  bool reuse = old && old != &m->old->c[m->site] && old->row == ev->dist->row &&
    old->support == support;
  trace_choice *c = execution_add(x, ev, support, reuse ? trace_value(old) : norn_none());
  if (!c) return false;
  if (reuse) {
    m->log_ratio += c->logp - old->logp;
    m->old_excess -= old->excess;
  } else {
    m->log_ratio += c->excess;
  }
  return true;
}

static bool transition_begin(kernel *k, const target *g, const trace *t)
{
  mh_kernel *m = k->self;
  int64_t i = m->steps - m->left;
  m->g = *g;
  if (i) m->g.stream = norn_stream_split(g->stream, ENGINE_LANE, 7, (uint32_t)i);
  norn_rng r = own_numbers(m, 0);
  size_t n = trace_movables(t, g);
  m->site = n ? trace_movable(t, g, (size_t)norn_rng_below(&r, n)) : t->n;
  m->old = t;
  m->log_ratio = 0;
  m->old_excess = t->excess;
  m->going = execution_begin(&m->x, k->inf, &m->g, &m->new, 0, mh_meet, m);
  return m->going;
}

/* The proposal has been run. */
static void transition_judge(kernel *k, trace *t)
{
  mh_kernel *m = k->self;
  norn_rng r = own_numbers(m, 8);
  bool take = !m->x.dead && !m->x.impossible;
  if (take) {
    double a = m->g.beta * (m->new.logw - t->logw) + m->log_ratio - m->old_excess;
    size_t n = trace_movables(t, &m->g), to = trace_movables(&m->new, &m->g);
    if (n) a += log((double)n / (double)to);
    take = a >= 0 || log(norn_rng_uniform(&r)) < a;
  }
  k->proposed++;
  execution_end(&m->x);
  m->going = false;
  if (!take) return;
  k->accepted++;
  trace old = *t;
  *t = m->new;
  m->new = old;
}

static norn_step mh_kernel_step(kernel *k, const target *g, trace *t)
{
  mh_kernel *m = k->self;
  if (!m->left) m->left = m->steps;
  while (m->left) {
    /* nothing may change; with no choice at all the program is run again, for its nested draws */
    if (g->movable && !trace_movables(t, g)) { m->left = 0; break; }
    if (!m->going && !transition_begin(k, g, t)) return NORN_STEP_FAIL;
    norn_step s = execution_step(&m->x);
    if (s != NORN_STEP_DONE) return s;
    transition_judge(k, t);
    m->left--;
  }
  return NORN_STEP_DONE;
}

static void mh_kernel_free(kernel *k)
{
  mh_kernel *m = k->self;
  if (m->going) execution_end(&m->x);
  trace_free(norn_infer_state(k->inf), &m->new);
}

const kernel_row kernel_mh = { .engine = &engine_mh,
                               .size = sizeof(mh_kernel),
                               .init = mh_kernel_init,
                               .step = mh_kernel_step,
                               .free = mh_kernel_free };
