/* verdict: what draws over R^n say about their chains, by coordinate or by choice. */
#include "infer/trust/verdict.h"
#include "base/pool.h"
#include "infer/infer.h"
#include "infer/posterior.h"
#include <stdio.h>
#include <string.h>

enum { TOGETHER = 8, FEW = 1 << 20 };      /* coordinates gathered at once: a cache line; FEW: numbers */

/* Takes in what is known of the chains of a number. */
static void worse(const verdict_draws *e, verdict *v, const diagnosed *of, int64_t draws, const char *name)
{
  double rhat = e->groups ? of->nested : of->rhat, limit = e->groups ? of->limit : 1.01;
  v->draws = draws;
  if (rhat - limit > v->rhat - v->limit || (v->rhat == 0 && rhat > 0)) {
    v->rhat = rhat;
    v->limit = limit;
    snprintf(v->apart, sizeof v->apart, "%.150s", name);
  }
  if (!(of->ess < v->ess)) return;
  v->ess = of->ess;
  snprintf(v->worst, sizeof v->worst, "%.150s", name);
}

/* ---- coordinates, on threads ---- */

typedef struct hand { double *x; diagnose_room *room; } hand;     /* x (width, chains, draws) */
typedef struct crew {
  const verdict_draws *e;
  int hands;
  int64_t width;
  hand *hand;                            /* (hands) */
  diagnosed *of;                         /* (n) */
} crew;

static void gather(const crew *w, double *x, int64_t from, int64_t n)
{
  const verdict_draws *e = w->e;
  int64_t all = e->chains * e->draws;
  for (int64_t c = 0; c < e->chains; c++)
    for (int64_t k = 0; k < e->draws; k++) {
      const double *q = e->at(e->of, c, k) + from;
      for (int64_t i = 0; i < n; i++) x[i * all + c * e->draws + k] = q[i];
    }
}

/* Hand h has every hands-th piece of the coordinates. */
static void some(void *of, int h)
{
  crew *w = of;
  const verdict_draws *e = w->e;
  const hand *own = &w->hand[h];
  for (int64_t from = h * w->width; from < e->n; from += w->hands * w->width) {
    int64_t n = e->n - from < w->width ? e->n - from : w->width;
    gather(w, own->x, from, n);
    for (int64_t i = 0; i < n; i++)
      diagnose_draws(own->room, own->x + i * e->chains * e->draws, (int)e->groups, &w->of[from + i]);
  }
}

static void run_crew(crew *w, pthread_t *thread)
{
  pool p;
  if (w->hands < 2) { some(w, 0); return; }
  pool_start(&p, thread, w->hands);
  pool_run(&p, w->hands, some, NULL, w);
  pool_end(&p);
}

/* Few numbers take one hand, and very many no more than there is room for. */
static void crew_size(norn_state *st, const verdict_draws *e, crew *w)
{
  int64_t all = e->chains * e->draws, set = norn_config_of(st)->threads,
          most = set > 0 ? set : pool_processors();
  w->width = all > FEW ? 1 : TOGETHER;
  while (w->width > 1 && w->width * most > e->n) w->width--;       /* work for each */
  int64_t pieces = (e->n + w->width - 1) / w->width;
  if (most > pieces) most = pieces;
  if (most > 1 + 32 * FEW / all) most = 1 + 32 * FEW / all;
  w->hands = all * e->n < FEW ? 1 : (int)most;
}

static norn_status worst_of(norn_state *st, const verdict_draws *e, verdict *v)
{
  crew w = {.e = e};
  char name[160];
  crew_size(st, e, &w);
  size_t bytes = (size_t)(w.width * e->chains * e->draws) * sizeof(double), hands = (size_t)w.hands;
  w.hand = engine_get(st, hands * sizeof *w.hand);
  w.of = engine_get(st, (size_t)e->n * sizeof *w.of);
  pthread_t *thread = engine_get(st, hands * sizeof *thread);
  bool good = w.hand && w.of && thread;
  for (int h = 0; h < w.hands && good; h++) {
    w.hand[h].x = engine_get(st, bytes);
    w.hand[h].room = diagnose_room_new(st, (int)e->chains, e->draws);
    good = w.hand[h].x && w.hand[h].room;
  }
  if (good) run_crew(&w, thread);
  for (int64_t i = 0; i < e->n && good; i++)
    worse(e, v, &w.of[i], e->draws, norn_density_name(e->density, i, name, sizeof name));
  for (int h = 0; w.hand && h < w.hands; h++) {
    engine_put(st, w.hand[h].x, bytes);
    diagnose_room_free(w.hand[h].room);
  }
  engine_put(st, w.hand, hands * sizeof *w.hand);
  engine_put(st, w.of, (size_t)e->n * sizeof *w.of);
  engine_put(st, thread, hands * sizeof *thread);
  return good ? NORN_OK : NORN_EMEMORY;
}

/* ---- choices of old and new draws ---- */

/* The numbers of all choices at the new draws, y (chains, draws, m). */
static norn_status constrain_all(const verdict_draws *e, double *y, int64_t m)
{
  norn_status status = NORN_OK;
  for (int64_t c = 0; c < e->chains && !status; c++)
    for (int64_t k = 0; k < e->draws && !status; k++, y += m)
      status = norn_density_constrain(e->density, e->at(e->of, c, k), y);
  return status;
}

/* Of a choice of which `kept` has the old draws: each number of old and new draws together. */
static norn_status worst_choice(norn_state *st, const verdict_draws *e, verdict *v,
                                const norn_density_choice *d, norn_datum kept, const double *y, int64_t m)
{
  int64_t new = e->draws, old = norn_array_length(kept) / e->chains, all = old + new;
  double *x = engine_get(st, (size_t)(e->chains * all) * sizeof *x);
  diagnose_room *room = diagnose_room_new(st, (int)e->chains, all);
  norn_status status = x && room ? NORN_OK : NORN_EMEMORY;
  diagnosed of;
  char address[128] = "", name[160];
  norn_addr_name(st, d->addr, address, sizeof address);
  for (int64_t j = 0; j < d->nelem && !status; j++) {
    for (int64_t c = 0; c < e->chains; c++) {
      double *to = x + c * all;
      for (int64_t k = 0; k < old; k++) to[k] = norn_elem_real(norn_array_at(st, kept, c * old + k), j);
      for (int64_t k = 0; k < new; k++) to[old + k] = y[(c * new + k) * m + d->first + j];
    }
    if (d->rank) snprintf(name, sizeof name, "%s[%lld]", address, (long long)j);
    else snprintf(name, sizeof name, "%s", address);
    diagnose_draws(room, x, (int)e->groups, &of);
    worse(e, v, &of, all, name);
  }
  engine_put(st, x, (size_t)(e->chains * all) * sizeof *x);
  diagnose_room_free(room);
  return status;
}

static norn_status worst_joined(norn_infer *inf, const verdict_draws *e, verdict *v)
{
  norn_state *st = norn_infer_state(inf);
  norn_posterior p;
  int64_t m = 0, n = norn_density_choices(e->density);
  norn_density_choice d;
  char name[256];
  if (!norn_posterior_view(st, infer_resumed(inf), &p)) return NORN_EMEMORY;
  for (int64_t i = 0; i < n; i++) {
    norn_density_choice_at(e->density, i, &d);
    if (d.discrete) continue;
    m += d.nelem;
    if (norn_record_size(p.choices) < 1 || !norn_addr_name(st, d.addr, name, sizeof name) ||
        norn_array_length(norn_record_get(st, p.choices, name)) != p.n)
      return worst_of(st, e, v);
  }
  size_t size = (size_t)(e->chains * e->draws * m) * sizeof(double);
  double *y = engine_get(st, size);
  norn_status status = y ? constrain_all(e, y, m) : NORN_EMEMORY;
  for (int64_t i = 0; i < n && !status; i++) {
    norn_density_choice_at(e->density, i, &d);
    if (d.discrete) continue;
    norn_addr_name(st, d.addr, name, sizeof name);
    status = worst_choice(st, e, v, &d, norn_record_get(st, p.choices, name), y, m);
  }
  engine_put(st, y, size);
  return status;
}

norn_status verdict_of(norn_infer *inf, const verdict_draws *e, verdict *v)
{
  *v = (verdict){.ess = HUGE_VAL, .limit = 1.01};
  return norn_is_none(infer_resumed(inf)) ? worst_of(norn_infer_state(inf), e, v) : worst_joined(inf, e, v);
}

void verdict_energy(const double *e, int64_t n, int64_t step, double *var, double *jump)
{
  double mean = 0;
  for (int64_t i = 0; i < n; i++) mean += e[i * step] / (double)n;
  for (int64_t i = 0; i < n; i++) {
    double x = e[i * step], d = i ? x - e[(i - 1) * step] : 0;
    *var += (x - mean) * (x - mean);
    *jump += d * d;
  }
}
