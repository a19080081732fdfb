/* infer: one inference in progress as its engine sees it: draws, choices, evidence, notes, warnings
   and blame; and the posterior that is made of them. */
#include "infer/infer.h"
#include "infer/posterior.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CELLS_MAX ((size_t)1 << 22)      /* choices kept beside the draws, in all columns */

double infer_seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the slot ---- */

static void infer_slot_free(norn_state *st, void *p)
{
  infer_slot *s = p;
  if (!s) return;
  engine_put(st, s->exact, s->cexact * sizeof *s->exact);      /* the refs die with the state */
  engine_put(st, s, sizeof *s);
}

infer_slot *infer_slot_of(norn_state *st)
{
  void **slot = norn_slot(st, 0);
  if (*slot) return *slot;
  infer_slot *s = engine_get(st, sizeof *s);
  if (!s) return NULL;
  *slot = s;
  norn_slot_on_free(st, 0, infer_slot_free);
  return s;
}

void norn_on_progress(norn_state *st,
                      bool (*f)(void *user, const char *engine, const norn_progress *), void *user)
{
  infer_slot *s = infer_slot_of(st);
  if (!s) return;
  s->progress = f;
  s->user = user;
}

/* ---- making and freeing ---- */

norn_infer *infer_make(norn_state *st, norn_datum model, norn_datum engine, uint64_t stream)
{
  const norn_datum *options;
  const norn_engine *e = engine.tag == NORN_UNIT || norn_is_none(engine)
    ? &engine_auto
    : norn_engine_view(engine, &options);
  char what[120];
  bool many = norn_array_length(model) >= 0;
  if (!many && norn_kind_of(model) != NORN_MODEL) {
    norn_fail(st, NORN_ETYPE, 0, "infer wants a model, got %s",
              norn_describe(st, model, what, sizeof what));
    norn_hint(st, "a model value is a call of a model: infer(name(arguments), engine)");
    return NULL;
  }
  if (!e) {
    norn_fail(st, NORN_ETYPE, 1, "infer wants an engine, got %s",
              norn_describe(st, engine, what, sizeof what));
    norn_hint(st, "engines are enumerate(), smc(), mh(), importance(), rejection(), forward()");
    return NULL;
  }
  norn_infer *inf = engine_get(st, sizeof *inf);
  if (!inf) return NULL;
  inf->st = st;
  if (many) e = &engine_many;
  inf->engine = e;
  inf->by_rule = e == &engine_auto;
  inf->stream = inf->stream0 = stream;
  inf->top = inf;
  inf->start = infer_seconds();
  inf->log_evidence = inf->evidence_se = NAN;
  inf->model = norn_keep(st, model);
  inf->options = norn_keep(st, e == &engine_auto ? norn_unit() : engine);
  inf->self = engine_get(st, e->size);
  if (inf->model && inf->options && inf->self) return inf;
  norn_infer_free(inf);
  return NULL;
}

norn_infer *norn_infer_new(norn_state *st, norn_datum model, norn_datum engine)
{
  infer_slot *s = infer_slot_of(st);
  if (!s) return NULL;
  return infer_make(st, model, engine,
                    norn_stream_split(norn_config_of(st)->seed, ENGINE_LANE, s->count++, 0));
}

norn_status infer_become(norn_infer *inf, norn_datum value)
{
  norn_state *st = inf->st;
  const norn_engine *e = value.tag == NORN_UNIT ? &engine_auto : norn_engine_view(value, NULL);
  void *self = e ? engine_get(st, e->size) : NULL;
  if (!self) return NORN_EMEMORY;
  if (!inf->named && !(inf->named = norn_keep(st, norn_get(inf->options)))) {
    engine_put(st, self, e->size);
    return NORN_EMEMORY;
  }
  if (inf->engine->free) inf->engine->free(inf, inf->self);
  engine_put(st, inf->self, inf->engine->size);
  norn_set(inf->options, value);
  inf->engine = e;
  inf->self = self;
  inf->begun = false;
  return NORN_OK;
}

static void infer_drop_choices(norn_infer *inf)
{
  norn_state *st = inf->st;
  for (size_t i = 0; i < inf->nchoice; i++) column_free(st, &inf->choice[i].c);
  engine_put(st, inf->choice, inf->cchoice * sizeof *inf->choice);
  engine_put(st, inf->slot, inf->nslot * sizeof *inf->slot);
  inf->choice = NULL;
  inf->slot = NULL;
  inf->nchoice = inf->cchoice = inf->nslot = 0;
}

static void infer_free_one(norn_infer *inf)
{
  norn_state *st = inf->st;
  if (inf->self && inf->engine->free) inf->engine->free(inf, inf->self);
  engine_put(st, inf->self, inf->engine->size);
  column_free(st, &inf->values);
  infer_drop_choices(inf);
  column_free(st, &inf->coming);
  infer_stats_free(inf);
  engine_put(st, inf->coming_addr, inf->ccoming * sizeof *inf->coming_addr);
  engine_put(st, inf->logw, inf->clogw * sizeof *inf->logw);
  for (size_t i = 0; i < inf->nnote; i++) norn_drop(inf->note[i].value);
  engine_put(st, inf->note, inf->cnote * sizeof *inf->note);
  engine_put(st, inf->warning, inf->cwarning * sizeof *inf->warning);
  blame_free(st, &inf->dead);
  norn_ref *refs[] = { inf->model, inf->options, inf->named, inf->marginals, inf->resume, inf->answer };
  for (int i = 0; i < NORN_COUNT(refs); i++) if (refs[i]) norn_drop(refs[i]);
  engine_put(st, inf, sizeof *inf);
}

void norn_infer_free(norn_infer *inf)
{
  while (inf) {
    norn_infer *inner = inf->inner;
    infer_free_one(inf);
    inf = inner;
  }
}

/* ---- chains of their own ---- */

static void infer_warn_text(norn_infer *, norn_span, uint64_t key, const char *msg);

norn_infer *infer_branch(norn_infer *trunk, norn_state *st, int chain, size_t size)
{
  norn_infer *inf = engine_get(st, sizeof *inf);
  if (!inf) return NULL;
  *inf = (norn_infer){.st = st, .engine = trunk->engine, .stream = trunk->stream, .stream0 = trunk->stream0,
                      .top = inf, .trunk = trunk, .branch = chain, .chain = chain, .begun = true,
                      .start = trunk->start, .log_evidence = NAN, .evidence_se = NAN,
                      .resume = trunk->resume};
  inf->model = norn_keep(st, norn_get(trunk->model));
  inf->options = norn_keep(st, norn_get(trunk->options));
  inf->self = engine_get(st, size);
  if (inf->model && inf->options && inf->self) return inf;
  engine_put(st, inf->self, size);
  inf->self = NULL;
  infer_branch_free(inf);
  return NULL;
}

void infer_branch_free(norn_infer *inf)
{
  blame_join(inf->trunk->st, &inf->trunk->dead, &inf->dead);
  inf->resume = NULL;
  infer_free_one(inf);
}

/* Draw i of a branch. */
static norn_status take_draw(norn_infer *trunk, norn_infer *from, size_t i)
{
  norn_status s = NORN_OK;
  for (size_t k = 0; k < from->nchoice && !s; k++) {
    if (i >= from->choice[k].c.n) continue;
    norn_datum v = column_at(from->st, &from->choice[k].c, i);
    if (v.tag == NORN_MISSING) continue;
    s = norn_infer_choice(trunk, from->choice[k].addr, v);
  }
  for (size_t k = 0; k < from->nstat && !s; k++)
    if (i < from->stat[k].n) s = norn_infer_stat(trunk, from->stat[k].name, from->stat[k].x[i]);
  norn_infer_chain(trunk, from->branch);
  return s ? s : norn_infer_draw(trunk, column_at(from->st, &from->values, i), from->logw[i]);
}

norn_status infer_take(norn_infer *trunk, norn_infer *from)
{
  norn_status s = NORN_OK;
  trunk->improper |= from->improper;
  for (size_t i = 0; i < from->nwarning; i++)
    infer_warn_text(trunk, from->warning[i].span, from->warning[i].key, from->warning[i].text);
  from->nwarning = 0;
  for (size_t i = 0; i < from->nlogw && !s; i++) s = take_draw(trunk, from, i);
  for (size_t k = 0; k < from->nchoice && !s && from->nlogw && !trunk->no_choices; k++) {
    infer_choice *c = infer_choice_column(trunk, from->choice[k].addr);
    uint64_t first = (uint64_t)from->branch << 32 | k;
    if (c && first < c->first) c->first = first;
    trunk->mixed = true;
  }
  for (size_t k = 0; k < from->nchoice; k++) column_clear(from->st, &from->choice[k].c);
  for (size_t k = 0; k < from->nstat; k++) from->stat[k].n = 0;
  column_clear(from->st, &from->values);
  from->nlogw = from->cells = 0;
  if (trunk->no_choices && !from->no_choices) {
    from->no_choices = true;
    infer_drop_choices(from);
  }
  return s;
}

/* ---- what an engine asks ---- */

norn_state *norn_infer_state(norn_infer *inf) { return inf->st; }
norn_datum norn_infer_model(norn_infer *inf) { return norn_get(inf->model); }
uint64_t norn_infer_stream(norn_infer *inf) { return inf->stream; }
const norn_engine *infer_engine(norn_infer *inf) { return inf->engine; }
norn_datum infer_resumed(norn_infer *inf)
{
  return inf->resume ? norn_get(inf->resume) : norn_none();
}

norn_status infer_resume_lost(norn_state *st)
{
  norn_fail(st, NORN_EINFER, 0, "this posterior does not say where its chains were");
  norn_hint(st, "more() goes on from what infer() gave, not from parts or summaries of it");
  return NORN_EINFER;
}

norn_status infer_resume_chains(norn_infer *inf, uint64_t *stream, int64_t *before, int64_t *warmup)
{
  norn_state *st = inf->st;
  norn_datum post = infer_resumed(inf);
  *stream = norn_stream_split(inf->stream, ENGINE_LANE, 3, 0);
  if (norn_is_none(post)) return NORN_OK;
  norn_datum state = posterior_info(st, post, "resume"), of = norn_record_get(st, state, "stream"),
             at = norn_record_get(st, state, "transitions");
  if (of.tag != NORN_INT || at.tag != NORN_INT) return infer_resume_lost(st);
  *stream = (uint64_t)of.i;
  *before = at.i;
  *warmup = 0;
  return NORN_OK;
}

norn_datum norn_infer_option(norn_infer *inf, int i)
{
  const norn_datum *options;
  if (i < 0 || i >= inf->engine->noptions) return norn_none();
  return norn_engine_view(norn_get(inf->options), &options) ? options[i] : norn_none();
}

norn_run *norn_infer_run(norn_infer *inf, uint32_t lane, uint32_t iter, unsigned flags)
{
  norn_run *r = norn_run_new(inf->st, norn_get(inf->model), NULL, 0);
  if (!r) return NULL;
  norn_run_stream(r, inf->stream, lane, iter);
  norn_run_flags(r, flags);
  return r;
}

/* The table of addresses doubles when half full. */
static bool infer_choice_room(norn_infer *inf)
{
  if (2 * (inf->nchoice + 1) <= inf->nslot) return true;
  norn_state *st = inf->st;
  size_t n = inf->nslot ? 2 * inf->nslot : 64;
  uint32_t *slot = engine_get(st, n * sizeof *slot);
  if (!slot) return false;
  engine_put(st, inf->slot, inf->nslot * sizeof *slot);
  inf->slot = slot;
  inf->nslot = n;
  for (size_t i = 0; i < inf->nchoice; i++) {
    size_t k = inf->choice[i].addr & (n - 1);
    while (slot[k]) k = (k + 1) & (n - 1);
    slot[k] = (uint32_t)i + 1;
  }
  return true;
}

infer_choice *infer_choice_column(norn_infer *inf, uint64_t addr)
{
  if (inf->guess < inf->nchoice && inf->choice[inf->guess].addr == addr)
    return &inf->choice[inf->guess];
  if (!infer_choice_room(inf)) return NULL;
  size_t k = addr & (inf->nslot - 1);
  while (inf->slot[k]) {
    infer_choice *c = &inf->choice[inf->slot[k] - 1];
    if (c->addr == addr) return c;
    k = (k + 1) & (inf->nslot - 1);
  }
  if (!engine_room(inf->st, &inf->choice, &inf->cchoice, inf->nchoice + 1, sizeof *inf->choice))
    return NULL;
  inf->slot[k] = (uint32_t)++inf->nchoice;
  infer_choice *c = &inf->choice[inf->nchoice - 1];
  *c = (infer_choice){.addr = addr, .first = (uint64_t)inf->chain << 32 | (inf->nchoice - 1)};
  return c;
}

norn_status norn_infer_choice(norn_infer *inf, uint64_t addr, norn_datum value)
{
  inf = infer_keeper(inf);
  if (inf->no_choices) return NORN_OK;
  norn_state *st = inf->st;
  if (!engine_room(st, &inf->coming_addr, &inf->ccoming, inf->coming.n + 1,
                   sizeof *inf->coming_addr))
    return NORN_EMEMORY;
  inf->coming_addr[inf->coming.n] = addr;
  return column_push(st, &inf->coming, value) ? NORN_OK : NORN_EMEMORY;
}

void infer_forget_choices(norn_infer *inf)
{
  column_clear(inf->st, &inf->coming);
  inf->ncoming_stat = 0;
}

norn_step infer_next(norn_infer *inf, norn_run *run, bool proposals, norn_event *ev)
{
  norn_datum v;
  double excess;
  norn_step s;
  for (;;)
    switch (ev->kind = norn_run_next(run, ev)) {
    case NORN_SAMPLE:
      if (!engine_sample(inf->st, run, ev, proposals, &v, &excess)) return NORN_STEP_FAIL;
      if (excess != 0) norn_run_add_logw(run, excess);
      if (norn_infer_choice(inf, ev->addr, v)) return NORN_STEP_FAIL;
      norn_run_answer(run, v);
      break;
    case NORN_INFER:
      s = norn_infer_wait(inf, run, ev);
      if (s != NORN_STEP_MORE) return s;
      break;
    default: return NORN_STEP_MORE;
    }
}

/* Choice k of the draw that is being added goes to its column. */
static norn_status infer_choice_add(norn_infer *inf, size_t k)
{
  infer_choice *c = infer_choice_column(inf, inf->coming_addr[k]);
  if (!c) return NORN_EMEMORY;
  inf->guess = (size_t)(c - inf->choice) + 1;
  if (inf->guess == inf->nchoice) inf->guess = 0;
  for (; c->c.n < inf->nlogw; inf->cells++)
    if (!column_push(inf->st, &c->c, norn_missing())) return NORN_EMEMORY;
  /* an address twice in one draw: the first stands */
  if (c->c.n > inf->nlogw) return NORN_OK;
  inf->cells++;
  return column_push(inf->st, &c->c, column_at(inf->st, &inf->coming, k)) ? NORN_OK : NORN_EMEMORY;
}

/* Room for everything of a draw comes before the draw is told: who looks on may stop the work, and
   then has seen what the posterior has. */
static norn_status infer_draw_add(norn_infer *inf, norn_datum value, double logw)
{
  norn_state *st = inf->st;
  for (size_t k = 0; k < inf->coming.n; k++)
    if (infer_choice_add(inf, k)) return NORN_EMEMORY;
  if (infer_stats_add(inf) || infer_chain_add(inf) ||
      !engine_room(st, &inf->logw, &inf->clogw, inf->nlogw + 1, sizeof *inf->logw) ||
      !column_push(st, &inf->values, value))
    return NORN_EMEMORY;
  inf->logw[inf->nlogw++] = logw;
  return infer_tell(inf, value, logw);
}

static void give_up_choices(norn_infer *inf)
{
  inf->no_choices = true;
  infer_drop_choices(inf);
  norn_infer_note(inf, "choices",
                  norn_cstring(inf->st, "not kept: too many; return what you want to see"));
}

norn_status norn_infer_draw(norn_infer *inf, norn_datum value, double logw)
{
  norn_infer *keeper = infer_keeper(inf);
  if (keeper != inf) norn_infer_chain(keeper, inf->branch);
  inf = keeper;
  norn_status status = infer_draw_add(inf, value, logw);
  infer_forget_choices(inf);
  if (!status && inf->cells > CELLS_MAX && !inf->no_choices) give_up_choices(inf);
  return status;
}

void infer_expect(norn_infer *inf, double draws, size_t choices)
{
  infer_slot *s = infer_slot_of(inf->st);
  inf = infer_keeper(inf);
  bool heard = s && s->drawn && !inf->outer;
  if (!heard && !inf->no_choices && draws * (double)choices > (double)CELLS_MAX) give_up_choices(inf);
}

norn_status infer_draw_numbers(norn_infer *inf, uint64_t tag, const void *number, const double *logw,
                               size_t n, bool *done)
{
  norn_state *st = inf->st;
  const infer_slot *s = infer_slot_of(st);
  column *c = &inf->values;
  size_t alive = 0;
  bool told = s && s->drawn && !inf->outer;
  bool with = inf->coming.n || inf->ncoming_stat || inf->chain || inf->of;
  *done = !told && !with && !inf->trunk && !c->heap && (!c->n || c->tag == tag);
  if (!*done) return NORN_OK;
  for (size_t i = 0; i < n; i++) alive += logw[i] != -HUGE_VAL;
  if (!alive) return NORN_OK;
  if (infer_chain_add(inf) ||
      !engine_room(st, &inf->logw, &inf->clogw, inf->nlogw + alive, sizeof *inf->logw) ||
      (c->n + alive > c->cap && !engine_room(st, &c->word, &c->cap, c->n + alive, sizeof *c->word)))
    return NORN_EMEMORY;
  c->tag = tag;
  for (size_t i = 0; i < n; i++) {
    if (logw[i] == -HUGE_VAL) continue;
    memcpy(&c->word[c->n++], (const uint64_t *)number + i, sizeof *c->word);
    inf->logw[inf->nlogw++] = logw[i];
  }
  return NORN_OK;
}

void norn_infer_evidence(norn_infer *inf, double log_evidence, double se)
{
  if (inf->improper) {
    norn_infer_note(inf, "no_evidence",
                    norn_cstring(inf->st, "a prior of this program is improper (it has no normaliser)"));
    return;
  }
  inf->log_evidence = log_evidence;
  inf->evidence_se = se;
}

void norn_infer_note(norn_infer *inf, const char *key, norn_datum value)
{
  for (size_t i = 0; i < inf->nnote; i++)
    if (!strcmp(inf->note[i].key, key)) { norn_set(inf->note[i].value, value); return; }
  if (!engine_room(inf->st, &inf->note, &inf->cnote, inf->nnote + 1, sizeof *inf->note)) return;
  norn_ref *r = norn_keep(inf->st, value);
  if (r) inf->note[inf->nnote++] = (infer_note){ key, r };
}

norn_status infer_note_must(norn_infer *inf, const char *key, norn_datum value)
{
  if (norn_is_none(value)) return NORN_EMEMORY;
  norn_infer_note(inf, key, value);
  for (size_t i = 0; i < inf->nnote; i++) if (!strcmp(inf->note[i].key, key)) return NORN_OK;
  return norn_fail(inf->st, NORN_EMEMORY, -1, "out of memory");
}

norn_datum infer_reals(norn_state *st, int rank, const int64_t *dims, double **data)
{
  void *to = NULL;
  norn_datum out = norn_array(st, NORN_F64, rank, dims, &to);
  *data = to;
  return out;
}

/* One warning a reason: `key` is the reason, the same line twice says nothing new. */
static void infer_warn_text(norn_infer *inf, norn_span span, uint64_t key, const char *msg)
{
  for (size_t i = 0; i < inf->nwarning; i++) {
    infer_warning *w = &inf->warning[i];
    if (w->key == key && w->span.file == span.file && w->span.start == span.start) return;
  }
  if (inf->nwarning >= 32) return;
  if (!engine_room(inf->st, &inf->warning, &inf->cwarning, inf->nwarning + 1, sizeof *inf->warning))
    return;
  infer_warning *w = &inf->warning[inf->nwarning++];
  w->span = span;
  w->key = key;
  snprintf(w->text, sizeof w->text, "%s", msg);
}

void norn_infer_warn(norn_infer *inf, norn_span span, const char *format, ...)
{
  char msg[240];
  va_list ap;
  va_start(ap, format);
  vsnprintf(msg, sizeof msg, format, ap);
  va_end(ap);
  infer_warn_text(inf, span, hash_bytes(format, strlen(format), 0), msg);
}

void infer_inherit(norn_infer *outer, const norn_infer *inner, const char *head)
{
  char msg[240];
  for (size_t i = 0; i < inner->nwarning; i++) {
    const char *t = inner->warning[i].text;
    snprintf(msg, sizeof msg, "%s%.200s", strncmp(t, head, strlen(head)) ? head : "", t);
    infer_warn_text(outer, inner->warning[i].span, inner->warning[i].key, msg);
  }
}

void norn_infer_dead(norn_infer *inf, norn_span span) { blame_add(inf->st, &inf->dead, span); }
norn_span norn_infer_blame(norn_infer *inf, uint64_t *count)
{
  return blame_most(&inf->dead, count);
}
void infer_left_over(norn_infer *inf, double mass) { inf->left_over = mass; }

void infer_chains(norn_infer *inf, int chains, int64_t per_chain)
{
  inf->chains = chains;
  inf->per_chain = per_chain;
}

norn_status infer_marginals(norn_infer *inf, norn_datum record)
{
  if (!inf->marginals) inf->marginals = norn_keep(inf->st, record);
  else norn_set(inf->marginals, record);
  return inf->marginals ? NORN_OK : NORN_EMEMORY;
}

/* ---- the posterior ---- */

static norn_datum infer_warnings(norn_infer *inf)
{
  norn_datum msg[32];
  for (size_t i = 0; i < inf->nwarning; i++) msg[i] = norn_cstring(inf->st, inf->warning[i].text);
  return norn_array_pack(inf->st, msg, (int64_t)inf->nwarning);
}

static norn_datum real_or_missing(double x) { return isnan(x) ? norn_missing() : norn_real(x); }

/* info; an exact posterior is a function of its model alone, so it holds no time. */
static norn_datum infer_info(norn_infer *inf, bool exact, const uint32_t *order)
{
  enum { FIXED = 10, MOST = 34 };
  const char *name[FIXED + MOST] = { "engine", "draws",  "exact",     "log_evidence", "evidence_se",
                                     "ess",    "chains", "left_over", "seconds",      "warnings" };
  norn_datum v[FIXED + MOST];
  v[0] = norn_cstring(inf->st, engine_called(inf->engine));
  v[1] = norn_int((int64_t)inf->nlogw);
  v[2] = norn_bool(exact);
  v[3] = real_or_missing(inf->log_evidence);
  v[4] = real_or_missing(inf->evidence_se);
  /* draws of chains hang together: their engine says by how much, at its end */
  bool chained = inf->nchain > 1 && !inf->done;
  v[5] = exact || chained ? norn_missing() : norn_real(kish(inf->logw, inf->nlogw));
  v[6] = inf->chains ? norn_int(inf->chains)
       : inf->chained ? norn_int(inf->nchain) : norn_missing();
  v[7] = norn_real(inf->left_over);
  v[8] = norn_real(exact ? 0 : infer_seconds() - inf->start);
  v[9] = infer_warnings(inf);
  int n = FIXED;
  if (!inf->done) {
    name[n] = "stopped";
    v[n++] = norn_bool(true);
  }
  norn_datum lengths = infer_lengths(inf);
  if (!norn_is_none(lengths)) {
    name[n] = "chain_lengths";
    v[n++] = lengths;
  }
  if (inf->nstat) {
    name[n] = "stats";
    v[n++] = infer_stats(inf, order);
    if (norn_is_none(v[n - 1])) return v[n - 1];
  }
  for (size_t i = 0; i < inf->nnote && n < FIXED + MOST; i++) {
    int k = 0;
    while (k < n && strcmp(name[k], inf->note[i].key)) k++;
    name[k] = inf->note[i].key;                     /* a note may correct a fixed field: mh's ess */
    v[k] = norn_get(inf->note[i].value);
    if (k == n) n++;
  }
  return norn_record(inf->st, n, name, v);
}

static int by_first(const void *a, const void *b)
{
  uint64_t x = ((const infer_choice *)a)->first, y = ((const infer_choice *)b)->first;
  return (x > y) - (x < y);
}

/* In the order in which one chain after another would have made them. */
static void infer_choices_sort(norn_infer *inf)
{
  qsort(inf->choice, inf->nchoice, sizeof *inf->choice, by_first);
  inf->guess = 0;
  memset(inf->slot, 0, inf->nslot * sizeof *inf->slot);
  for (size_t i = 0; i < inf->nchoice; i++) {
    size_t k = inf->choice[i].addr & (inf->nslot - 1);
    while (inf->slot[k]) k = (k + 1) & (inf->nslot - 1);
    inf->slot[k] = (uint32_t)i + 1;
  }
}

/* address -> column; names that cannot be had are given by their hash. */
static norn_datum infer_choices(norn_infer *inf, const uint32_t *order)
{
  norn_state *st = inf->st;
  if (inf->marginals) return norn_get(inf->marginals);
  if (!inf->nchoice) return norn_unit();
  norn_datum out = norn_none(), *v = engine_get(st, inf->nchoice * sizeof *v);
  const char **name = engine_get(st, inf->nchoice * sizeof *name);
  arena names;
  mem m;
  mem_init(&m);
  arena_init(&names, &m);
  if (inf->mixed) infer_choices_sort(inf);
  for (size_t i = 0; v && name && i < inf->nchoice; i++) {
    infer_choice *c = &inf->choice[i];
    char buf[256];
    if (!norn_addr_name(st, c->addr, buf, sizeof buf))
      snprintf(buf, sizeof buf, "@%016llx", (unsigned long long)c->addr);
    while (c->c.n < inf->nlogw) if (!column_push(st, &c->c, norn_missing())) goto end;
    name[i] = arena_text(&names, buf, strlen(buf));
    v[i] = infer_column(st, &c->c, order);
    if (!name[i] || norn_is_none(v[i])) goto end;
  }
  if (v && name) out = norn_record(st, (int)inf->nchoice, name, v);
end:
  arena_free(&names);
  engine_put(st, v, inf->nchoice * sizeof *v);
  engine_put(st, name, inf->nchoice * sizeof *name);
  return out;
}

/* What was found is said once, of the outermost. */
static void infer_speak(norn_infer *inf)
{
  if (!inf->done || inf->outer || inf->told) return;
  inf->told = true;
  for (size_t i = 0; i < inf->nwarning; i++)
    norn_warning(inf->st, inf->warning[i].span, "%s", inf->warning[i].text);
}

/* The posterior of the draws there are, chain by chain. */
static norn_datum infer_posterior(norn_infer *inf, bool exact)
{
  norn_state *st = inf->st;
  size_t n = inf->nlogw;
  uint32_t *order;
  norn_datum out = norn_none();
  double *logw = inf->logw;
  if (!infer_order(inf, &order)) return out;
  if (order && (logw = engine_get(st, n * sizeof *logw)))
    for (size_t k = 0; k < n; k++) logw[k] = inf->logw[order[k]];
  if (logw) {
    norn_datum values = infer_column(st, &inf->values, order), info = infer_info(inf, exact, order),
               choices = infer_choices(inf, order);
    if (!norn_is_none(values) && !norn_is_none(info) && !norn_is_none(choices))
      out = posterior_make(st, values, logw, info, choices, norn_get(inf->model),
                           norn_get(inf->options), exact ? 0 : inf->stream, exact, inf->distinct);
  }
  if (order) engine_put(st, logw, n * sizeof *logw);
  engine_put(st, order, n * sizeof *order);
  return out;
}

/* Draws so far are a posterior too, also of an inference that was stopped or went wrong. */
norn_datum norn_infer_result(norn_infer *inf)
{
  norn_state *st = inf->st;
  if (inf->spoilt) return norn_none();
  if (inf->answer && inf->engine == &engine_many) infer_speak(inf);
  if (inf->answer) return norn_get(inf->answer);
  if (inf->done && !inf->finished) {
    inf->finished = true;
    if ((inf->engine->finish && inf->engine->finish(inf, inf->self)) ||
        norn_model_check(st, norn_get(inf->model))) {
      inf->failed = inf->spoilt = true;
      return norn_none();
    }
  }
  if (!inf->nlogw && inf->failed) return norn_none();
  if (!inf->nlogw || (!inf->done && inf->engine->flags & NORN_ENGINE_EXACT)) {
    norn_fail(st, NORN_EINFER, -1, "inference by %s has no result yet", inf->engine->name);
    return norn_none();
  }
  infer_speak(inf);
  norn_datum p = infer_posterior(inf, inf->engine->flags & NORN_ENGINE_EXACT);
  if (!inf->resume || norn_is_none(p)) return p;
  return posterior_join(st, norn_get(inf->resume), p,
                        !isnan(inf->log_evidence) && strcmp(inf->engine->name, "rejection"));
}
