/* stats: what is told about draws beside their values: the chain of each, and numbers by name.

   An engine that runs several chains at once leaves their draws in the order in which they come;
   the posterior has those of chain 0 first, then those of chain 1.  The draws of a chain keep their
   order, so a sort by counting is all there is to do. */
#include "infer/infer.h"
#include <string.h>

/* ---- numbers ---- */

norn_status norn_infer_stat(norn_infer *inf, const char *name, double x)
{
  inf = infer_keeper(inf);
  if (!engine_room(inf->st, &inf->coming_stat, &inf->cstat_value, inf->ncoming_stat + 1,
                   sizeof *inf->coming_stat) ||
      !engine_room(inf->st, &inf->coming_name, &inf->cstat_name, inf->ncoming_stat + 1,
                   sizeof *inf->coming_name))
    return NORN_EMEMORY;
  inf->coming_name[inf->ncoming_stat] = name;
  inf->coming_stat[inf->ncoming_stat++] = x;
  return NORN_OK;
}

static infer_stat *stat_of(norn_infer *inf, const char *name, size_t guess)
{
  if (guess < inf->nstat && inf->stat[guess].name == name) return &inf->stat[guess];
  for (size_t i = 0; i < inf->nstat; i++)
    if (!strcmp(inf->stat[i].name, name)) return &inf->stat[i];
  if (!engine_room(inf->st, &inf->stat, &inf->cstat, inf->nstat + 1, sizeof *inf->stat))
    return NULL;
  inf->stat[inf->nstat].name = name;
  return &inf->stat[inf->nstat++];
}

/* Fills up to n draws: those without that number have NaN. */
static bool stat_fill(norn_state *st, infer_stat *s, size_t n)
{
  if (!engine_room(st, &s->x, &s->cap, n, sizeof *s->x)) return false;
  for (; s->n < n; s->n++) s->x[s->n] = NAN;
  return true;
}

/* The numbers of draw nlogw, which is about to be added; of a name that comes twice the last
   stands. */
norn_status infer_stats_add(norn_infer *inf)
{
  size_t k = inf->nlogw;
  for (size_t i = 0; i < inf->ncoming_stat; i++) {
    infer_stat *s = stat_of(inf, inf->coming_name[i], i);
    if (!s || !stat_fill(inf->st, s, k + 1)) return NORN_EMEMORY;
    s->x[k] = inf->coming_stat[i];
  }
  return NORN_OK;
}

norn_datum infer_stats(norn_infer *inf, const uint32_t *order)
{
  norn_state *st = inf->st;
  const char **name = engine_get(st, inf->nstat * sizeof *name);
  norn_datum out = norn_none(), *v = engine_get(st, inf->nstat * sizeof *v);
  int64_t n = (int64_t)inf->nlogw;
  bool good = name && v;
  for (size_t i = 0; good && i < inf->nstat; i++) {
    infer_stat *s = &inf->stat[i];
    void *to;
    good = stat_fill(st, s, inf->nlogw) &&
      !norn_is_none(v[i] = norn_array(st, NORN_F64, 1, &n, &to));
    name[i] = s->name;
    for (int64_t k = 0; good && k < n; k++) ((double *)to)[k] = s->x[order ? order[k] : k];
  }
  if (good) out = norn_record(st, (int)inf->nstat, name, v);
  engine_put(st, name, inf->nstat * sizeof *name);
  engine_put(st, v, inf->nstat * sizeof *v);
  return out;
}

/* ---- chains ---- */

void norn_infer_chain(norn_infer *inf, int chain)
{
  inf->chained = true;
  inf->chain = chain < 0 ? 0 : chain;
}

/* The chain of draw nlogw.  Until a second chain comes nothing is kept. */
norn_status infer_chain_add(norn_infer *inf)
{
  size_t k = inf->nlogw;
  if (inf->chain >= inf->nchain) inf->nchain = inf->chain + 1;
  if (!inf->chain && !inf->of) return NORN_OK;
  if (!engine_room(inf->st, &inf->of, &inf->cof, k + 1, sizeof *inf->of)) return NORN_EMEMORY;
  inf->of[k] = (uint32_t)inf->chain;
  return NORN_OK;
}

norn_datum infer_lengths(norn_infer *inf)
{
  int64_t m = inf->nchain, *n;
  void *to = NULL;
  norn_datum out = norn_array(inf->st, NORN_I64, 1, &m, &to);
  if (norn_is_none(out)) return out;
  n = to;
  for (int64_t c = 0; c < m; c++) n[c] = 0;
  for (size_t k = 0; k < inf->nlogw; k++) n[inf->of ? inf->of[k] : 0]++;
  bool even = true;
  for (int64_t c = 1; c < m; c++) even &= n[c] == n[0];
  return even ? norn_none() : out;
}

bool infer_order(norn_infer *inf, uint32_t **order)
{
  norn_state *st = inf->st;
  size_t n = inf->nlogw, m = (size_t)inf->nchain + 1;
  *order = NULL;
  if (!inf->of) return true;
  bool sorted = true;
  for (size_t k = 1; k < n; k++) sorted &= inf->of[k] >= inf->of[k - 1];
  if (sorted) return true;
  uint32_t *to = engine_get(st, n * sizeof *to), *first = engine_get(st, m * sizeof *first);
  if (to && first) {
    for (size_t k = 0; k < n; k++) first[inf->of[k] + 1]++;
    for (size_t c = 1; c < m; c++) first[c] += first[c - 1];
    for (size_t k = 0; k < n; k++) to[first[inf->of[k]]++] = (uint32_t)k;
    *order = to;
  } else {
    engine_put(st, to, n * sizeof *to);
  }
  engine_put(st, first, m * sizeof *first);
  return *order != NULL;
}

norn_datum infer_column(norn_state *st, const column *c, const uint32_t *order)
{
  if (!order) return column_array(st, c);
  norn_datum *v = engine_get(st, c->n * sizeof *v), out = norn_none();
  for (size_t k = 0; v && k < c->n; k++) v[k] = column_at(st, c, order[k]);
  if (v) out = norn_array_pack(st, v, (int64_t)c->n);
  engine_put(st, v, c->n * sizeof *v);
  return out;
}

/* ---- who looks on ---- */

void norn_on_draw(norn_state *st, bool (*f)(void *user, norn_infer *, const norn_drawn *),
                  void *user)
{
  infer_slot *s = infer_slot_of(st);
  if (!s) return;
  s->drawn = f;
  s->drawn_user = user;
}

norn_status infer_tell(norn_infer *inf, norn_datum value, double logw)
{
  norn_state *st = inf->st;
  infer_slot *s = infer_slot_of(st);
  if (!s || !s->drawn || inf->outer || inf->trunk) return NORN_OK;      /* the trunk tells what it takes */
  size_t n = inf->coming.n;
  norn_datum *choice = engine_get(st, n * sizeof *choice);
  if (!choice) return NORN_EMEMORY;
  for (size_t i = 0; i < n; i++) choice[i] = column_at(st, &inf->coming, i);
  norn_drawn d = {.chain = inf->chain, .logw = logw, .value = value, .nchoice = (int)n,
                  .addr = inf->coming_addr, .choice = choice, .nstat = (int)inf->ncoming_stat,
                  .stat_name = inf->coming_name, .stat = inf->coming_stat};
  bool on = s->drawn(s->drawn_user, inf, &d);
  engine_put(st, choice, n * sizeof *choice);
  return on ? NORN_OK : norn_fail(st, NORN_EINTERRUPT, -1, "interrupted");
}

bool infer_tell_again(norn_infer *inf, size_t n, bool (*f)(void *user, norn_infer *, const norn_drawn *), void *user)
{
  norn_state *st = inf->st;
  uint64_t *addr = engine_get(st, inf->nchoice * sizeof *addr);
  norn_datum *choice = engine_get(st, inf->nchoice * sizeof *choice);
  double *stat = engine_get(st, inf->nstat * sizeof *stat);
  const char **name = engine_get(st, inf->nstat * sizeof *name);
  bool on = addr && choice && stat && name;
  for (size_t i = 0; on && i < n; i++) {
    norn_drawn d = { .chain = inf->of ? (int)inf->of[i] : 0, .logw = inf->logw[i], .addr = addr, .choice = choice,
                     .stat_name = name, .stat = stat };
    for (size_t k = 0; k < inf->nchoice; k++) {
      const column *c = &inf->choice[k].c;
      norn_datum v = i < c->n ? column_at(st, c, i) : norn_missing();
      if (v.tag == NORN_MISSING) continue;              /* this draw has it not */
      addr[d.nchoice] = inf->choice[k].addr;
      choice[d.nchoice++] = v;
    }
    for (size_t k = 0; k < inf->nstat; k++) {
      if (i >= inf->stat[k].n || isnan(inf->stat[k].x[i])) continue;
      name[d.nstat] = inf->stat[k].name;
      stat[d.nstat++] = inf->stat[k].x[i];
    }
    d.value = column_at(st, &inf->values, i);
    on = f(user, inf, &d);
  }
  engine_put(st, addr, inf->nchoice * sizeof *addr);
  engine_put(st, choice, inf->nchoice * sizeof *choice);
  engine_put(st, stat, inf->nstat * sizeof *stat);
  engine_put(st, name, inf->nstat * sizeof *name);
  return on;
}

void infer_stats_free(norn_infer *inf)
{
  norn_state *st = inf->st;
  for (size_t i = 0; i < inf->nstat; i++)
    engine_put(st, inf->stat[i].x, inf->stat[i].cap * sizeof(double));
  engine_put(st, inf->stat, inf->cstat * sizeof *inf->stat);
  engine_put(st, inf->coming_stat, inf->cstat_value * sizeof *inf->coming_stat);
  engine_put(st, inf->coming_name, inf->cstat_name * sizeof *inf->coming_name);
  engine_put(st, inf->of, inf->cof * sizeof *inf->of);
}
