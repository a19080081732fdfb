/* particles: what all kinds of them share (particles.h). */
#include "infer/particles/particles.h"
#include "infer/infer.h"
#include "infer/particles/swarm.h"
#include <string.h>

static size_t padded(size_t n) { return (n + 7) / 8 * 8; }

particles *particles_new(norn_infer *inf, const particles_ops *ops, size_t n, bool choices,
                         bool delay, unsigned more)
{
  norn_state *st = norn_infer_state(inf);
  particles *p = engine_get(st, ops->size);
  if (!p) return NULL;
  *p = (particles){ .ops = ops, .inf = inf, .n = n, .choices = choices, .delay = delay, .more = more };
  p->logw = engine_get(st, padded(n) * sizeof *p->logw);
  for (size_t i = n; p->logw && i < padded(n); i++) p->logw[i] = -HUGE_VAL;
  if (!p->logw || ops->start(p)) {
    particles_free(p);
    return NULL;
  }
  return p;
}

void particles_free(particles *p)
{
  if (!p) return;
  norn_state *st = norn_infer_state(p->inf);
  p->ops->free(p);
  engine_put(st, p->logw, padded(p->n) * sizeof *p->logw);
  blame_free(st, &p->met.dead);
  engine_put(st, p, p->ops->size);
}

void particles_leg(particles *p)
{
  p->next = p->met.observing = p->met.running = p->met.dead.n = 0;
}

void particles_met(particles *p, swarm *s)
{
  for (size_t i = 0; i < p->n; i++) {
    p->logw[i] += s->logw[i];
    s->logw[i] = 0;
  }
  p->met.running = s->running;
  p->met.observing = s->running + p->met.dead.n;
  swarm_leg(s);
}

void particles_dead(particles *p, size_t i, norn_span span)
{
  p->logw[i] = -HUGE_VAL;
  norn_infer_dead(p->inf, span);
  blame_add(norn_infer_state(p->inf), &p->met.dead, span);
  memcpy(p->met.dead.why, p->inf->dead.why, sizeof p->met.dead.why);
}
