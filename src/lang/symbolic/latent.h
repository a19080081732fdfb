/* latent.h: values that a run has not looked at yet (latent.c). */
#ifndef NORN_LANG_LATENT_H
#define NORN_LANG_LATENT_H
#include "lang/symbolic/node.h"
#include "lang/run.h"

static inline bool v_is_latent(val x) { return V_KIND(x) == NORN_LATENT; }
static inline bool v_is_random(val x) { return x.tag == V_RANDOM; }
/* May there be values that somebody has to ask for? */
static inline bool latent_on(const norn_state *st)
{
  return st->latent || (st->current && st->current->flags & NORN_RUN_DELAY);
}
val delayed_look(norn_state *, val x);                   /* delayed.h */
/* Is x, or is inside of it (arrays, records, variants, distributions), a value that `is`. */
bool latent_holds(val x, bool (*is)(val), int depth);
/* What a latent value is; others as they are. */
static inline val latent_value(norn_state *st, val x)
{
  if (v_is_random(x)) return delayed_look(st, x);
  return v_is_latent(x) && st->latent ? st->latent(st->latent_user, x.i) : x;
}
/* Is x the whole number k, for branches; a node leaves a guard. */
static inline bool equals_small(norn_state *st, val x, int k)
{
  if (V_IS_INT(x)) return x.i == k;
  if (V_IS_REAL(x)) return x.d == k;
  if (v_is_latent(x) || v_is_random(x)) return value_equal(latent_value(st, x), norn_int(k));
  return v_is_node(x) ? node_equals(st, x, k) : x.tag == NORN_BIG && value_equal(x, norn_int(k));
}
/* After the instruction at pc has failed: true if registers that it reads held latent values, which
   are now what they stand for: it runs again. */
bool latent_retry(norn_run *, const ins *pc, val *R);
/* Natives see what latent values are, but for those that only carry values: *args becomes `known`
   (room for n).  false: no memory. */
bool latent_native(norn_state *, const norn_native *, const val **args, int n, val *known);
typedef struct latent_visit { bool (*f)(void *user, int64_t k); void *user; } latent_visit;
/* run.c: calls it for the latent values that are live by themselves. */
bool run_visit_live(const norn_run *, const latent_visit *);
#endif
