/* crew.c: worker threads for runs.

   A worker is a norn_state of its own: nursery, old space, runs, error, fuel and scratch are its, what
   a program only reads (code, globals, names, shapes, settings) are pointers of `home`, the state that
   it works for.  Each has a range of places; the run at a place lies in its worker's memory.

       home      | caller | met events | caller ...            between barriers the workers are parked
       worker 0  | copies, runs 0 ..       | parked            (in the caller's thread)
       worker 1  | copies, runs n / k ..   | parked

   Memory.  An object is young only to the heap in whose nursery it lies; all others take it for old
   and leave it where it is.  So nothing outside may point into a nursery but the runs that its owner
   scans: a worker's nursery is emptied before one of its runs is copied to another worker, before the
   caller sees a value, and before the caller's thread goes on with one of its runs; home's before the
   workers begin.  Old objects may point anywhere.  A full collection marks and sweeps all heaps at once,
   in the caller's thread.  When the crew ends home adopts its old blocks: nothing is copied.

   What a worker can't do (a new name or shape, a native that is not pure, a nested inference, whatever
   fails) ends the run's leg with RUN_AT_HOME, before the instruction had an effect; the caller's thread
   goes on with it to its event, as home, when all workers are parked.

   Tasks (norn_crew_work) are C code in the workers' threads, which makes and steps runs of the worker's
   own state, engines' chains for one: what such a run can't do there comes to it as NORN_INFER without a
   model, and it ends its task; stepped by the caller's thread the run then goes on as home.  Names of
   addresses that a worker's runs note wait with it until home takes them over. */
#include "lang/run.h"
#include "base/pool.h"
#include "num/real.h"
#include <string.h>

enum { THREADS = 64, BLOCK = 128, SPIN = 4000 };
#define NOWHERE SIZE_MAX

typedef struct kept { size_t place; norn_event ev; } kept;
typedef struct kept_list { kept *v; size_t n, cap; } kept_list;

typedef struct worker {
  norn_state *st;
  size_t first, end, at;                /* its places; the one that is stepped */
  const uint32_t *to, *from; size_t n, copied;    /* copies within its range */
  kept_list kept;
  size_t *home, nhome, chome;           /* places whose runs must go on at home */
  size_t failed;                        /* place of its error; NOWHERE: none */
  norn_err dead; size_t dead_at;        /* why the first of its dead is dead */
  norn_run *away; norn_event event;     /* of a task: an event that the caller's thread must deal with */
} worker;

struct norn_crew {
  norn_state *st;
  size_t n;
  int k;                                /* workers */
  worker *w;
  /* of the leg, and what the caller has seen of it (norn_crew_rest): kept event seen_at of worker
     seen_of, run rest_at of those that worker rest_of has left */
  int seen_of, rest_of;
  size_t seen_at, rest_at;
  norn_run **runs;
  norn_crew_met met;
  norn_crew_task task;                  /* NULL: runs go on */
  void *user;
  atomic_size_t least;                  /* the lowest place with an error */
  /* threads: thread t does the work of worker t + 1, the caller that of worker 0 and of all that have
     no thread */
  pthread_mutex_t lock, memory;
  pthread_cond_t work, rest;
  pthread_t *thread;
  int nthreads, spin, mine;             /* mine: the worker whose work the caller does now */
  bool tasks;                           /* it has tasks */
  atomic_uint leg;                      /* rises by one when work begins */
  atomic_int left;
  atomic_bool quit, working;
};

/* ---- memory of workers: counted at home ---- */

void crew_charge_lock(norn_state *st) { pthread_mutex_lock(&st->home->crew->memory); }
void crew_charge_unlock(norn_state *st) { pthread_mutex_unlock(&st->home->crew->memory); }

static void *crew_alloc(void *user, void *p, size_t old, size_t n)
{
  norn_crew *c = user;
  mem *m = &c->st->mem;
  void *q = NULL;
  pthread_mutex_lock(&c->memory);
  if (!n) mem_put(m, p, old);
  else q = p ? mem_resize(m, p, old, n) : mem_get(m, n);
  pthread_mutex_unlock(&c->memory);
  return q;
}

/* ---- what a worker shares with home ---- */

static void share(norn_state *w, const norn_state *home)
{
  w->cfg = home->cfg;
  w->sources = home->sources;
  w->syms = home->syms;
  w->nsyms = home->nsyms;
  w->csyms = home->csyms;
  w->sym_table = home->sym_table;
  w->sym_mask = home->sym_mask;
  w->shapes = home->shapes;
  w->shape_mask = home->shape_mask;
  w->nshapes = home->nshapes;
  w->env = home->env;
  w->ctors = home->ctors;
  w->nctors = home->nctors;
  w->types = home->types;
  w->ntypes = home->ntypes;
  w->globals = home->globals;
  w->protos = home->protos;
  memcpy(w->memo_stubs, home->memo_stubs, sizeof w->memo_stubs);
  w->addrs = home->addrs;
  w->naddrs = home->naddrs;
  w->addr_mask = home->addr_mask;
  w->named = home->named;
  w->nnamed = home->nnamed;
  w->named_mask = home->named_mask;
  w->top_stream = home->top_stream;
  w->top_iter = home->top_iter;
  w->maker = home->maker;
  memcpy(w->slot, home->slot, sizeof w->slot);
}

val state_at_home(norn_state *st)
{
  return state_fail(st, NORN_EUSE, "this must be done in the thread of the caller");
}

norn_state *crew_worker(const norn_crew *c, int k) { return k < c->k ? c->w[k].st : NULL; }

norn_state *crew_here(norn_state *home)
{
  norn_crew *c = home->crew;
  if (!c || !atomic_load_explicit(&c->working, memory_order_relaxed)) return home;
  pthread_t self = pthread_self();
  for (int t = 0; t < c->nthreads; t++)
    if (pthread_equal(c->thread[t], self)) return c->w[t + 1].st;
  return c->w[c->mine].st;
}

/* Natives that call functions record and use home; posteriors keep what they have found out. */
static bool is_plain(val x)
{
  norn_kind kind = norn_kind_of(x);
  return kind != NORN_FUN && kind != NORN_MODEL && kind != NORN_ENGINE && kind != NORN_NATIVE;
}

bool crew_may_call(const norn_native *f, const val *args, int n)
{
  if (f->f && !(f->flags & NORN_PURE)) return false;
  for (int i = 0; i < n; i++) if (!is_plain(args[i])) return false;
  return true;
}

/* ---- limits ---- */

/* Steps and time are home's; an interrupt is seen by all and taken back by the caller. */
bool crew_poll(norn_state *w)
{
  norn_state *home = w->home;
  norn_crew *c = home->crew;
  w->fuel = STATE_FUEL;
  uint64_t steps = __atomic_add_fetch(&home->steps, STATE_FUEL, __ATOMIC_RELAXED);
  if (__atomic_load_n(&home->interrupted, __ATOMIC_RELAXED))
    norn_fail(w, NORN_EINTERRUPT, -1, "interrupted");
  else if (home->deadline > 0 && state_now() > home->deadline)
    norn_fail(w, NORN_ELIMIT, -1, "the time limit of %g s is reached", home->cfg.max_seconds);
  else if (home->cfg.max_steps && steps > home->cfg.max_steps)
    norn_fail(w, NORN_ELIMIT, -1, "the limit of %llu steps is reached",
              (unsigned long long)home->cfg.max_steps);
  else if (atomic_load_explicit(&c->least, memory_order_relaxed) < c->w[w->worker - 1].at)
    norn_fail(w, NORN_EINTERRUPT, -1, "an earlier run has failed");
  else return true;
  return false;
}

/* ---- the work of one worker ---- */

static bool keep(mem *m, kept_list *l, size_t place, const norn_event *ev)
{
  if (!mem_grow(m, &l->v, &l->cap, l->n + 1, sizeof *l->v)) return false;
  l->v[l->n++] = (kept){place, *ev};
  return true;
}

static void fail_at(norn_crew *c, worker *w, size_t place)
{
  size_t least = atomic_load(&c->least);
  w->failed = place;
  while (place < least && !atomic_compare_exchange_weak(&c->least, &least, place)) { }
}

bool crew_works(const norn_state *w) { return atomic_load_explicit(&w->home->crew->working, memory_order_relaxed); }

/* An event that the caller is to see. */
static bool keep_event(norn_crew *c, worker *w, size_t place, const norn_event *ev)
{
  norn_state *st = w->st;
  if (ev->kind == NORN_DEAD && st->err.code) {
    if (w->dead_at == NOWHERE) {
      w->dead = st->err;
      w->dead_at = place;
    }
    norn_clear(st);
  }
  if (keep(&st->mem, &w->kept, place, ev)) return true;
  state_memory(st);
  fail_at(c, w, place);
  return false;
}

static bool goes_home(norn_crew *c, worker *w, size_t place)
{
  if (mem_grow(&w->st->mem, &w->home, &w->chome, w->nhome + 1, sizeof *w->home)) {
    w->home[w->nhome++] = place;
    return true;
  }
  state_memory(w->st);
  fail_at(c, w, place);
  return false;
}

/* The run at its place goes on; false: there is an error. */
static bool step(norn_crew *c, worker *w, size_t place)
{
  norn_event ev;
  norn_run *r = c->runs[place];
  norn_event_kind k = run_next(r, &ev);
  if (k == RUN_AT_HOME) return goes_home(c, w, place);
  if (k != NORN_ERROR) return c->met(c->user, place, r, &ev) || keep_event(c, w, place, &ev);
  fail_at(c, w, place);
  return false;
}

/* The copies that concern places before `end`: just before these are stepped, so that many runs pass
   through the cache once and not twice. */
static bool follow(worker *w, norn_run **runs, size_t end)
{
  size_t k = w->copied;
  while (k < w->n && (w->to[k] < end || w->from[k] < end)) k++;
  int m = (int)(k - w->copied);
  size_t was = w->copied;
  w->copied = k;
  return !m || norn_runs_copy(runs, w->to + was, w->from + was, m);
}

static inline void prefetch(const norn_run *r)
{
  const char *p = (const char *)r + RUN_RARE;
  for (int i = 0; r && i < 5; i++) __builtin_prefetch(p + 64 * i, 1);
}

static void work(norn_crew *c, worker *w)
{
  if (c->task) {
    c->task(c->user, (int)(w - c->w), w->st);
    if (!heap_is_empty(&w->st->heap)) heap_settle(w->st);
    return;
  }
  while (w->at < w->end && !w->st->full_due) {
    size_t end = w->at + BLOCK < w->end ? w->at + BLOCK : w->end;
    if (!follow(w, c->runs, end)) {
      fail_at(c, w, w->at);
      break;
    }
    for (; w->at < end; w->at++) {
      if (w->at + 3 < end) prefetch(c->runs[w->at + 3]);
      if (!c->runs[w->at]) continue;
      if (atomic_load_explicit(&c->least, memory_order_relaxed) < w->at) break;
      if (!step(c, w, w->at)) break;
    }
    if (w->at < end) break;
  }
  if (w->kept.n && !heap_is_empty(&w->st->heap)) heap_settle(w->st);
}

/* ---- threads ---- */

static void *thread(void *of)
{
  worker *w = of;
  norn_crew *c = w->st->home->crew;
  for (unsigned seen = 0;;) {
    for (int i = 0; i < c->spin && atomic_load(&c->leg) == seen; i++) __builtin_ia32_pause();
    if (atomic_load(&c->leg) == seen) {
      pthread_mutex_lock(&c->lock);
      while (atomic_load(&c->leg) == seen) pthread_cond_wait(&c->work, &c->lock);
      pthread_mutex_unlock(&c->lock);
    }
    if (atomic_load(&c->quit)) break;
    seen++;
    work(c, w);
    if (atomic_fetch_sub(&c->left, 1) != 1) continue;
    pthread_mutex_lock(&c->lock);
    pthread_cond_signal(&c->rest);
    pthread_mutex_unlock(&c->lock);
  }
  real_forget();
  return NULL;
}

/* All workers go on, until each is at its end, has an error, or asks for a full collection. */
static void go(norn_crew *c)
{
  atomic_store(&c->left, c->nthreads);
  atomic_store(&c->working, true);
  pthread_mutex_lock(&c->lock);
  atomic_fetch_add(&c->leg, 1);
  pthread_cond_broadcast(&c->work);
  pthread_mutex_unlock(&c->lock);
  for (int i = 0; i < c->k; i += i ? 1 : c->nthreads + 1) {
    c->mine = i;
    work(c, &c->w[i]);
  }
  for (int i = 0; i < c->spin && atomic_load(&c->left); i++) __builtin_ia32_pause();
  if (atomic_load(&c->left)) {
    pthread_mutex_lock(&c->lock);
    while (atomic_load(&c->left)) pthread_cond_wait(&c->rest, &c->lock);
    pthread_mutex_unlock(&c->lock);
  }
  atomic_store(&c->working, false);
}

/* ---- making and ending ---- */

int norn_crew_threads(norn_state *st, int want)
{
  if (st->home || st->crew || st->graph || st->latent || st->lanes || st->heap.nogc)
    return 1;
  int n = want > 0 ? want : st->cfg.threads > 0 ? st->cfg.threads : pool_processors();
  return n < THREADS ? n : THREADS;
}

static bool worker_new(norn_crew *c, int k)
{
  norn_state *home = c->st, *st = mem_zero(&home->mem, sizeof *st);
  worker *w = &c->w[k];
  if (!st) return false;
  w->st = st;
  w->first = c->n * (size_t)k / (size_t)c->k;
  w->end = c->n * (size_t)(k + 1) / (size_t)c->k;
  st->home = home;
  st->worker = (uint32_t)k + 1;
  mem_init(&st->mem);
  st->mem.alloc = crew_alloc;
  st->mem.user = c;
  st->fuel = STATE_FUEL;
  st->err_arg = -1;
  for (int i = 0; i < 8; i++) st->pairs[i].of = ~(uint64_t)0;
  text_init(&st->shown, &st->mem);
  st->heap.stress = home->heap.stress;
  pthread_mutexattr_t how;
  pthread_mutexattr_init(&how);
  pthread_mutexattr_settype(&how, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&st->lock, &how);
  pthread_mutexattr_destroy(&how);
  return heap_init(st);
}

static void worker_free(norn_crew *c, worker *w)
{
  norn_state *st = w->st, *home = c->st;
  if (!st) return;
  mem_put(&st->mem, w->kept.v, w->kept.cap * sizeof *w->kept.v);
  mem_put(&st->mem, w->home, w->chome * sizeof *w->home);
  run_free_all(st);
  st->ndirty = 0;
  st->all = NULL;
  addr_take(home, st);
  state_drop_refs(st);
  if (st->heap.old) heap_adopt(home, st);
  heap_free(st);
  state_scratch_free(st, 0);
  if (st->scratch) mem_put(&st->mem, st->scratch, st->cscratch * sizeof *st->scratch);
  text_free(&st->shown);
  pthread_mutex_destroy(&st->lock);
  mem_put(&home->mem, st, sizeof *st);
}

static void threads_start(norn_crew *c)
{
  c->spin = c->k <= pool_processors() ? SPIN : 0;
  while (c->nthreads < c->k - 1 &&
         !pthread_create(&c->thread[c->nthreads], NULL, thread, &c->w[c->nthreads + 1]))
    c->nthreads++;
}

norn_crew *norn_crew_new(norn_state *st, size_t places, int threads)
{
  int k = threads < 1 ? 1 : threads < THREADS ? threads : THREADS;
  norn_crew *c = st->crew || st->home ? NULL : mem_zero(&st->mem, sizeof *c);
  if (!c) {
    if (st->crew || st->home) norn_fail(st, NORN_EUSE, -1, "there is a crew already");
    else state_memory(st);
    return NULL;
  }
  c->st = st;
  c->n = places;
  c->k = k;
  pthread_mutex_init(&c->lock, NULL);
  pthread_mutex_init(&c->memory, NULL);
  pthread_cond_init(&c->work, NULL);
  pthread_cond_init(&c->rest, NULL);
  st->crew = c;
  c->w = mem_zero(&st->mem, (size_t)k * sizeof *c->w);
  c->thread = mem_zero(&st->mem, (size_t)k * sizeof *c->thread);
  bool well = c->w && c->thread;
  for (int i = 0; well && i < k; i++) well = worker_new(c, i);
  if (well) threads_start(c);
  if (well) return c;
  norn_crew_free(c);
  state_memory(st);
  return NULL;
}

void norn_crew_free(norn_crew *c)
{
  if (!c) return;
  norn_state *st = c->st;
  pthread_mutex_lock(&c->lock);
  atomic_store(&c->quit, true);
  atomic_fetch_add(&c->leg, 1);
  pthread_cond_broadcast(&c->work);
  pthread_mutex_unlock(&c->lock);
  for (int t = 0; t < c->nthreads; t++) pthread_join(c->thread[t], NULL);
  for (int i = 0; c->w && i < c->k; i++) worker_free(c, &c->w[i]);
  mem_put(&st->mem, c->w, (size_t)c->k * sizeof *c->w);
  mem_put(&st->mem, c->thread, (size_t)c->k * sizeof *c->thread);
  pthread_mutex_destroy(&c->lock);
  pthread_mutex_destroy(&c->memory);
  pthread_cond_destroy(&c->work);
  pthread_cond_destroy(&c->rest);
  st->crew = NULL;
  mem_put(&st->mem, c, sizeof *c);
}

/* ---- a leg ---- */

/* Empty nurseries everywhere, home's first: runs of workers may have been given what lies there. */
static void quiet(norn_crew *c)
{
  if (!heap_is_empty(&c->st->heap)) heap_settle(c->st);
  for (int i = 0; i < c->k; i++)
    if (!heap_is_empty(&c->w[i].st->heap)) heap_settle(c->w[i].st);
}

static bool workers_are_quiet(const norn_crew *c)
{
  for (int i = 0; i < c->k; i++) if (!heap_is_empty(&c->w[i].st->heap)) return false;
  return true;
}

static int worker_of(const norn_crew *c, size_t place, int from)
{
  while (place >= c->w[from].end) from++;
  return from;
}

bool norn_crew_start(norn_crew *c, norn_run *of, norn_run **runs)
{
  for (size_t i = 0; i < c->n; i++) runs[i] = NULL;
  for (int k = 0; k < c->k; k++)
    for (size_t i = c->w[k].first; i < c->w[k].end; i++) {
      norn_run *r = runs[i] = run_fork_to(c->w[k].st, of, (uint32_t)i);
      if (!r) {
        state_memory(c->st);
        return false;
      }
      r->nseen = r->seen_mask = 0;               /* it may be told to check addresses */
    }
  return true;
}

/* Copies from one worker to another are done here, those within one by it. */
static bool copy_across(norn_crew *c, norn_run **runs, const uint32_t *to, const uint32_t *from,
                        size_t n)
{
  for (int i = 0; i < c->k; i++) c->w[i].n = c->w[i].copied = 0;
  int a = 0, b = 0;
  for (size_t k = 0; k < n; k++) {
    a = worker_of(c, from[k], a);
    b = worker_of(c, to[k], b);
    worker *w = &c->w[b];
    if (a == b) {
      if (!w->n++) {
        w->to = to + k;
        w->from = from + k;
      }
      continue;
    }
    norn_run *r = runs[from[k]];
    if (r && run_is_young(r)) heap_settle(r->st);
    if (run_copy_to(w->st, runs, to[k], from[k])) continue;
    state_memory(c->st);
    return false;
  }
  return true;
}

static void leg_begin(norn_crew *c)
{
  atomic_store(&c->least, NOWHERE);
  c->seen_of = c->rest_of = 0;
  c->seen_at = c->rest_at = 0;
  for (int i = 0; i < c->k; i++) {
    worker *w = &c->w[i];
    w->at = w->first;
    w->kept.n = w->nhome = 0;
    w->failed = w->dead_at = NOWHERE;
    share(w->st, c->st);
  }
}

/* Is there a worker that has stopped before its end, and before the first error? */
static bool unfinished(const norn_crew *c)
{
  size_t least = atomic_load(&c->least);
  for (int i = 0; i < c->k; i++)
    if (c->w[i].at < c->w[i].end && c->w[i].at < least) return true;
  return false;
}

/* The run of a worker, all of them parked, goes on as one of home. */
static norn_event_kind at_home(norn_crew *c, norn_run *r, norn_event *ev)
{
  norn_state *st = r->st;
  norn_run *up = st->current;
  if (!workers_are_quiet(c)) quiet(c);
  run_dirty(r);                                /* stays so: home scans what is dirty of workers */
  st->current = r;
  r->st = c->st;
  norn_event_kind k = run_next(r, ev);
  r->st = st;
  st->current = up;
  return k;
}

/* Values live in the runs, where collections since have moved them. */
static void renew(norn_event *ev, const norn_run *r)
{
  if ((ev->kind == NORN_DONE || ev->kind == NORN_OBSERVE) && V_IS_HEAP(ev->value)) ev->value = r->value;
}

/* ---- tasks ---- */

/* Distributions that call Norn code, or keep what they have found out, are home's to ask. */
static bool is_for_home(const norn_dist *d)
{
  if (!d) return false;
  if (d->row->flags & (NORN_DIST_COSTLY | NORN_DIST_POSTERIOR)) return true;
  for (int i = 0; i < d->n; i++) {
    norn_dist inner;
    norn_view a;
    if (norn_dist_view(d->args[i], &inner) && is_for_home(&inner)) return true;
    if (norn_array_view(d->args[i], &a) && a.elem == NORN_VALUES)
      for (int64_t k = 0; k < a.n; k++)
        if (norn_dist_view(a.v[k], &inner) && is_for_home(&inner)) return true;
  }
  return false;
}

static norn_event_kind in_task(norn_crew *c, norn_run *r, norn_event *ev)
{
  worker *w = &c->w[r->st->worker - 1];
  if (w->st->full_due) {                       /* before it goes on the heaps must be collected */
    *ev = (norn_event){.kind = NORN_INFER, .count = 1};
    return NORN_INFER;
  }
  norn_event_kind k = run_next(r, ev);
  if (k == NORN_SAMPLE && (is_for_home(ev->dist) || is_for_home(ev->proposal))) {
    w->away = r;
    w->event = *ev;
  } else if (k != RUN_AT_HOME) {
    return k;
  }
  *ev = (norn_event){.kind = NORN_INFER};
  return NORN_INFER;
}

/* A run of a task goes on in the caller's thread: as home, which records what the worker does.  What it
   met is old when the task's code sees it, and its error is the worker's. */
static norn_event_kind task_at_home(norn_crew *c, norn_run *r, norn_event *ev)
{
  norn_state *home = c->st, *st = r->st;
  worker *w = &c->w[st->worker - 1];
  if (w->away == r) {
    w->away = NULL;
    *ev = w->event;
    return ev->kind;
  }
  home->graph = st->graph;
  home->latent = st->latent;
  home->latent_user = st->latent_user;
  home->asked = st->asked;
  home->asked_user = st->asked_user;
  norn_event_kind k = at_home(c, r, ev);
  home->graph = NULL;
  home->latent = NULL;
  home->asked = NULL;
  if (home->err.code) {
    st->err = home->err;
    norn_clear(home);
  }
  if (!heap_is_empty(&home->heap)) heap_settle(home);
  if (k == NORN_INFER) {
    ev->value = r->R[r->hold];
    ev->engine = r->R[r->hold + 1];
  } else {
    renew(ev, r);
  }
  share(st, home);
  return k;
}

norn_event_kind crew_run_next(norn_run *r, norn_event *ev)
{
  norn_crew *c = r->st->home->crew;
  if (atomic_load_explicit(&c->working, memory_order_relaxed)) return in_task(c, r, ev);
  return c->tasks ? task_at_home(c, r, ev) : at_home(c, r, ev);
}

int norn_crew_size(const norn_crew *c) { return c->k; }

norn_state *norn_crew_state(norn_crew *c, int k)
{
  norn_state *st = c->w[k].st;
  c->tasks = true;
  quiet(c);
  share(st, c->st);
  return st;
}

void norn_crew_work(norn_crew *c, norn_crew_task task, void *user)
{
  bool due = false;
  c->tasks = true;
  quiet(c);
  for (int i = 0; i < c->k; i++) due |= c->w[i].st->full_due;
  if (due) heap_collect_full(c->st);
  leg_begin(c);
  c->task = task;
  c->user = user;
  go(c);
  c->task = NULL;
  for (int i = 0; i < c->k; i++) addr_take(c->st, c->w[i].st);
  quiet(c);
}

void norn_crew_error(norn_crew *c, int k)
{
  norn_state *st = c->w[k].st;
  c->st->err = st->err;
  c->st->err_arg = -1;
  if (st->err.code == NORN_EINTERRUPT) __atomic_store_n(&c->st->interrupted, 0, __ATOMIC_RELAXED);
  norn_clear(st);
}

bool norn_crew_next(norn_crew *c, norn_run **runs, const uint32_t *to, const uint32_t *from, size_t n,
                    norn_crew_met met, void *user, size_t *left)
{
  c->runs = runs;
  c->met = met;
  c->user = user;
  if (!heap_is_empty(&c->st->heap)) heap_settle(c->st);
  leg_begin(c);
  if (!copy_across(c, runs, to, from, n)) return false;
  do {
    bool due = false;
    for (int i = 0; i < c->k; i++) due |= c->w[i].st->full_due;
    if (due) heap_collect_full(c->st);
    go(c);
  } while (unfinished(c));
  *left = 0;
  for (int i = 0; i < c->k; i++) *left += c->w[i].kept.n + c->w[i].nhome;
  return true;
}

/* The next event that was kept; false: there is none before the first error. */
static bool next_kept(norn_crew *c, size_t *place, norn_event *ev)
{
  for (; c->seen_of < c->k; c->seen_of++, c->seen_at = 0) {
    const worker *w = &c->w[c->seen_of];
    if (c->seen_at == w->kept.n) continue;
    const kept *e = &w->kept.v[c->seen_at++];
    if (e->place > atomic_load(&c->least)) return false;
    *place = e->place;
    *ev = e->ev;
    renew(ev, c->runs[e->place]);
    if (ev->kind == NORN_DEAD) norn_clear(c->st);
    if (w->dead_at == e->place) c->st->err = w->dead;
    return true;
  }
  return false;
}

/* The next run that its worker could not go on with: it does so now. */
static bool next_rest(norn_crew *c, size_t *place, norn_event *ev)
{
  for (; c->rest_of < c->k; c->rest_of++, c->rest_at = 0) {
    const worker *w = &c->w[c->rest_of];
    if (c->rest_at == w->nhome) continue;
    *place = w->home[c->rest_at++];
    if (*place > atomic_load(&c->least)) return false;
    at_home(c, c->runs[*place], ev);
    if (ev->kind == NORN_ERROR) atomic_store(&c->least, *place);
    return true;
  }
  return false;
}

bool norn_crew_rest(norn_crew *c, size_t *place, norn_event *ev)
{
  if (next_kept(c, place, ev) || next_rest(c, place, ev)) return true;
  *place = atomic_load(&c->least);
  for (int i = 0; i < c->k; i++)
    if (c->w[i].failed == *place) c->st->err = c->w[i].st->err;
  for (int i = 0; i < c->k; i++) norn_clear(c->w[i].st);
  if (*place == NOWHERE) return false;
  c->st->err_arg = -1;
  if (c->st->err.code == NORN_EINTERRUPT) __atomic_store_n(&c->st->interrupted, 0, __ATOMIC_RELAXED);
  *ev = (norn_event){.kind = NORN_ERROR};
  return true;
}

bool norn_crew_left(const norn_crew *c, size_t k, size_t *place)
{
  for (int i = c->rest_of; i < c->k; i++) {
    size_t from = i == c->rest_of ? c->rest_at : 0, n = c->w[i].nhome - from;
    if (k < n) {
      *place = c->w[i].home[from + k];
      return true;
    }
    k -= n;
  }
  return false;
}
