/* state.c: making and freeing a norn_state, its limits, errors, slots and calls from C. */
#include "lang/symbolic/branch.h"
#include "lang/run.h"
#include "lang/value/big.h"
#include "lang/env.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double state_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *norn_version(void) { return NORN_VERSION; }

/* No limit on steps, depth and time; memory at three quarters of the machine's. */
norn_config norn_config_default(void)
{
  norn_config c;
  memset(&c, 0, sizeof c);
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  if (pages > 0 && size > 0) c.max_memory = (size_t)pages / 4 * 3 * (size_t)size;
  c.seed = 1;
  return c;
}

static bool lock_init(norn_state *st)
{
  pthread_mutexattr_t how;
  if (pthread_mutexattr_init(&how)) return false;
  bool good = !pthread_mutexattr_settype(&how, PTHREAD_MUTEX_RECURSIVE) &&
              !pthread_mutex_init(&st->lock, &how);
  pthread_mutexattr_destroy(&how);
  return good;
}

void norn_lock(norn_state *st) { pthread_mutex_lock(&st->lock); }
void norn_unlock(norn_state *st) { pthread_mutex_unlock(&st->lock); }

norn_state *norn_new_bare(const norn_config *config)
{
  norn_config c = config ? *config : norn_config_default();
  mem m;
  mem_init(&m);
  if (c.alloc) {
    m.alloc = c.alloc;
    m.user = c.alloc_user;
  }
  m.limit = c.max_memory;
  norn_state *st = mem_zero(&m, sizeof *st);
  if (!st) return NULL;
  if (!lock_init(st)) {
    mem_put(&m, st, sizeof *st);
    return NULL;
  }
  st->mem = m;
  st->cfg = c;
  st->fuel = STATE_FUEL;
  st->err_arg = -1;
  for (int k = 0; k < 8; k++) st->pairs[k].of = ~(uint64_t)0;      /* holds nothing yet */
  st->top_stream = hash_mix(c.seed + 0x9e3779b97f4a7c15u);
  sources_init(&st->sources, &st->mem);
  diags_init(&st->diags, &st->mem);
  text_init(&st->shown, &st->mem);
  if (!heap_init(st) || !env_init(st)) {
    norn_free(st);
    return NULL;
  }
  return st;
}

static void refs_free(norn_state *st, norn_ref *f)
{
  for (norn_ref *next; f; f = next) {
    next = f->next;
    mem_put(&st->mem, f, sizeof *f);
  }
}

void state_drop_refs(norn_state *st)
{
  refs_free(st, st->refs_fresh);
  refs_free(st, st->refs_old);
  st->refs_fresh = st->refs_old = NULL;
}

/* What norn_want_reals lent to a native ends with it. */
void state_scratch_free(norn_state *st, size_t keep)
{
  while (st->nscratch > keep) {
    st->nscratch--;
    mem_put(&st->mem, st->scratch[st->nscratch].scratch, st->scratch[st->nscratch].size);
  }
}

void norn_free(norn_state *st)
{
  if (!st) return;
  for (int k = 0; k < STATE_SLOTS; k++)
    if (st->slot[k] && st->slot_free[k]) st->slot_free[k](st, st->slot[k]);
  handles_sweep(st, true);
  norn_crew_free(st->crew);
  lane_spares_free(st);
  run_free_all(st);
  state_drop_refs(st);
  env_free(st);
  heap_free(st);
  branch_free(st);
  real_forget();
  state_scratch_free(st, 0);
  if (st->scratch) mem_put(&st->mem, st->scratch, st->cscratch * sizeof *st->scratch);
  if (st->addrs) mem_put(&st->mem, st->addrs, (st->addr_mask + 1) * sizeof *st->addrs);
  if (st->named) mem_put(&st->mem, st->named, (st->named_mask + 1) * sizeof *st->named);
  if (st->globals) mem_put(&st->mem, st->globals, st->cglobals * sizeof *st->globals);
  record_free(st);
  text_free(&st->shown);
  diags_free(&st->diags);
  sources_free(&st->sources);
  pthread_mutex_destroy(&st->lock);
  mem m = st->mem;
  mem_put(&m, st, sizeof *st);
}

norn_config *norn_config_of(norn_state *st)
{
  st->mem.limit = st->cfg.max_memory;
  return &st->cfg;
}

size_t norn_memory_used(norn_state *st) { return st->mem.used; }
void norn_interrupt(norn_state *st) { __atomic_store_n(&st->interrupted, 1, __ATOMIC_RELAXED); }

void norn_seed(norn_state *st, uint64_t seed)
{
  st->cfg.seed = seed;
  st->top_stream = hash_mix(seed + 0x9e3779b97f4a7c15u);
  st->top_iter = 0;
}

void **norn_slot(norn_state *st, int k) { return st->slot + k; }

void norn_slot_on_free(norn_state *st, int k, void (*f)(norn_state *, void *))
{
  st->slot_free[k] = f;
}

void *norn_alloc(norn_state *st, void *p, size_t old, size_t n)
{
  if (!n) {
    mem_put(&st->mem, p, old);
    return NULL;
  }
  return p ? mem_resize(&st->mem, p, old, n) : mem_get(&st->mem, n);
}

/* ---- limits ---- */

void norn_limits_start(norn_state *st)
{
  st->steps = 0;
  st->fuel = STATE_FUEL;
  st->deadline = st->cfg.max_seconds > 0 ? state_now() + st->cfg.max_seconds : 0;
}

norn_status norn_poll(norn_state *st)
{
  if (st->home) return crew_poll(st) ? NORN_OK : st->err.code;
  if (__atomic_load_n(&st->interrupted, __ATOMIC_RELAXED)) {
    __atomic_store_n(&st->interrupted, 0, __ATOMIC_RELAXED);
    return norn_fail(st, NORN_EINTERRUPT, -1, "interrupted");
  }
  if (st->deadline > 0 && state_now() > st->deadline)
    return norn_fail(st, NORN_ELIMIT, -1, "the time limit of %g s is reached", st->cfg.max_seconds);
  return NORN_OK;
}

bool state_poll(norn_state *st)
{
  if (st->home) return crew_poll(st);
  st->fuel = STATE_FUEL;
  st->steps += STATE_FUEL;
  st->mem.limit = st->cfg.max_memory;
  if (norn_poll(st)) return false;
  if (!st->cfg.max_steps || st->steps <= st->cfg.max_steps) return true;
  norn_fail(st, NORN_ELIMIT, -1, "the limit of %llu steps is reached",
            (unsigned long long)st->cfg.max_steps);
  return false;
}

/* ---- output and errors ---- */

void norn_output(norn_state *st, const char *s, size_t n)
{
  if (st->cfg.output) st->cfg.output(st->cfg.output_user, s, n);
  else fwrite(s, 1, n, stdout);
}

void norn_outputf(norn_state *st, const char *format, ...)
{
  va_list a;
  char b[512];
  va_start(a, format);
  int n = vsnprintf(b, sizeof b, format, a);
  va_end(a);
  if (n < 0) return;
  if ((size_t)n < sizeof b) {
    norn_output(st, b, (size_t)n);
    return;
  }
  char *long_text = mem_get(&st->mem, (size_t)n + 1);
  if (!long_text) return;
  va_start(a, format);
  vsnprintf(long_text, (size_t)n + 1, format, a);
  va_end(a);
  norn_output(st, long_text, (size_t)n);
  mem_put(&st->mem, long_text, (size_t)n + 1);
}

norn_status norn_fail(norn_state *st, norn_status code, int arg, const char *format, ...)
{
  va_list a;
  va_start(a, format);
  error_setv(&st->err, code, (norn_span){0, 0, 0}, format, a);
  va_end(a);
  st->err_arg = arg;
  return code;
}

void norn_error_place(norn_state *st, norn_span span)
{
  if (!st->err.span.file) st->err.span = span;
}

void norn_hint(norn_state *st, const char *format, ...)
{
  va_list a;
  va_start(a, format);
  vsnprintf(st->err.hint, sizeof st->err.hint, format, a);
  va_end(a);
}

val state_fail(norn_state *st, norn_status code, const char *format, ...)
{
  va_list a;
  va_start(a, format);
  error_setv(&st->err, code, (norn_span){0, 0, 0}, format, a);
  va_end(a);
  st->err_arg = -1;
  return norn_none();
}

val state_memory(norn_state *st)
{
  if (st->mem.limit)
    norn_fail(st, NORN_EMEMORY, -1, "out of memory: the limit is %zu MB", st->mem.limit >> 20);
  else norn_fail(st, NORN_EMEMORY, -1, "out of memory");
  return norn_none();
}

const norn_err *norn_error(norn_state *st) { return &st->err; }

void norn_clear(norn_state *st)
{
  memset(&st->err, 0, sizeof st->err);
  st->err_arg = -1;
}

static size_t give_text(const text *t, char *out, size_t n)
{
  if (!n) return t->n;
  size_t k = t->n < n - 1 ? t->n : n - 1;
  if (k) memcpy(out, t->s, k);
  out[k] = 0;
  return t->n;
}

size_t norn_error_text(norn_state *st, const norn_err *e, char *out, size_t n)
{
  text t;
  text_init(&t, &st->mem);
  error_print(&t, &st->sources, "error", e);
  size_t k = t.failed ? (size_t)snprintf(out, n, "error: %s\n", e->text) : give_text(&t, out, n);
  text_free(&t);
  return k;
}

const char *norn_span_text(norn_state *st, norn_span s, char *out, size_t n)
{
  const source *f = sources_get(&st->sources, s.file);
  uint32_t line, col;
  if (n) out[0] = 0;
  if (!f) return out;
  sources_place(&st->sources, s, &line, &col);
  snprintf(out, n, "%s:%u:%u", f->name, line, col);
  return out;
}

const char *norn_span_line(norn_state *st, norn_span s, size_t *n, uint32_t *line)
{
  const source *f = sources_get(&st->sources, s.file);
  uint32_t col;
  if (!f || s.start > f->n) return NULL;
  sources_place(&st->sources, s, line, &col);
  size_t from = s.start, to = s.start;
  while (from > 0 && f->text[from - 1] != '\n') from--;
  while (to < f->n && f->text[to] != '\n') to++;
  while (from < to && (f->text[from] == ' ' || f->text[from] == '\t')) from++;
  while (to > from && (f->text[to - 1] == ' ' || f->text[to - 1] == '\r')) to--;
  *n = to - from;
  return f->text + from;
}

void norn_on_warning(norn_state *st, void (*f)(void *, const norn_err *), void *user)
{
  st->on_warning = f;
  st->on_warning_user = user;
}

void norn_warning(norn_state *st, norn_span span, const char *format, ...)
{
  norn_err e;
  va_list a;
  memset(&e, 0, sizeof e);
  va_start(a, format);
  error_setv(&e, NORN_OK, span, format, a);
  va_end(a);
  if (st->on_warning) st->on_warning(st->on_warning_user, &e);
}

void norn_notice(norn_state *st, const char *format, ...)
{
  norn_err e;
  va_list a;
  if (st->cfg.quiet) return;
  memset(&e, 0, sizeof e);
  va_start(a, format);
  error_setv(&e, NORN_OK, (norn_span){0, 0, 0}, format, a);
  va_end(a);
  snprintf(e.hint, sizeof e.hint, "notice");
  if (st->on_warning) st->on_warning(st->on_warning_user, &e);
}

/* ---- roots ---- */

void state_scan_refs(norn_state *st, gc *g)
{
  for (norn_ref *f = st->refs_fresh, *next; f; f = next) {
    next = f->next;
    gc_value(g, &f->v);
    f->fresh = false;
    f->prev = NULL;
    f->next = st->refs_old;
    if (st->refs_old) st->refs_old->prev = f;
    st->refs_old = f;
  }
  st->refs_fresh = NULL;
  if (!gc_minor(g))
    for (norn_ref *f = st->refs_old; f; f = f->next) gc_value(g, &f->v);
}

void state_scan(norn_state *st, gc *g)
{
  for (size_t i = 0; i < st->nglobals; i++) gc_value(g, st->globals + i);
  state_scan_refs(st, g);
  if (gc_minor(g) && !st->consts_fresh) return;
  st->consts_fresh = false;
  for (proto *p = st->protos; p; p = p->next)
    for (uint32_t i = 0; i < p->nconsts; i++) gc_value(g, p->consts + i);
  env_scan(st, g);
}

/* ---- calls from C: sealed runs ---- */

enum { SEALED_MAX = 100 };

static norn_status refuse_effect(norn_state *st, const norn_event *ev)
{
  static const char *const what[] = {"", "sample", "observe", "infer", "observe"};
  norn_status s = norn_fail(st, NORN_EINFER, -1, "%s inside a function that must have no effects",
                            what[ev->kind]);
  st->err.span = ev->span;
  norn_hint(st, "this function is called from C (a density, a callback): only its sampler may "
                "sample");
  return s;
}

static norn_status run_sealed(norn_state *st, norn_run *r, norn_datum *out)
{
  norn_event ev;
  r->sealed = true;
  st->sealed_depth++;
  st->heap.nogc++;
  norn_event_kind k = run_next(r, &ev);
  st->heap.nogc--;
  st->sealed_depth--;
  if (k == RUN_AT_HOME) {                       /* so does whoever called it */
    state_at_home(st);
    return st->err.code;
  }
  if (k == NORN_ERROR) return st->err.code;
  if (k != NORN_DONE) return refuse_effect(st, &ev);
  *out = ev.value;
  return NORN_OK;
}

static norn_status sealed(norn_state *st, norn_datum f, const norn_datum *args, int n,
                          norn_rng *rng, norn_datum *out)
{
  if (st->sealed_depth >= SEALED_MAX)
    return norn_fail(st, NORN_ELIMIT, -1, "calls from C are nested more than %d deep", SEALED_MAX);
  if (f.tag == NORN_FUN && v_clo(f)->p->is_model)
    return norn_fail(st, NORN_EUSE, -1,
                     "%s is a model: make a run or an inference of its model value",
                     v_clo(f)->p->name);
  norn_run *r = norn_run_new(st, f, args, n);
  if (!r) return st->err.code;
  if (rng) {
    uint64_t stream = norn_stream_split(rng->stream, rng->lane, rng->event, rng->iter);
    norn_run_stream(r, stream, rng->draw++, 0);
    norn_run_flags(r, NORN_RUN_DRAW);
  }
  norn_status s = run_sealed(st, r, out);
  norn_run_free(r);
  return s;
}

/* The call of a model makes a model value; nothing runs. */
static norn_status call_model(norn_state *st, norn_datum f, const norn_datum *args, int n,
                              norn_datum *out)
{
  const proto *p = v_clo(f)->p;
  if (n < p->nreq || n > p->nargs)
    return norn_fail(st, NORN_ETYPE, -1, "%s takes %d argument%s, got %d", p->name, p->nargs,
                     p->nargs == 1 ? "" : "s", n);
  modl *m = heap_alloc(st, sizeof *m + (size_t)(n + 2) * sizeof(val));
  if (!m) return st->err.code;
  obj_init(m, NORN_MODEL, 0, (uint32_t)n + 2);
  m->pad = 0;
  m->a[0] = f;
  m->a[1] = norn_unit();
  if (n) memcpy(m->a + 2, args, (size_t)n * sizeof(val));
  *out = v_obj(NORN_MODEL, m);
  return NORN_OK;
}

norn_status norn_call(norn_state *st, norn_datum f, const norn_datum *args, int n, norn_datum *out)
{
  if (f.tag == NORN_NATIVE) {
    *out = vm_native_value(st, f.q, args, n);
    return norn_is_none(*out) ? st->err.code : NORN_OK;
  }
  bool makes_model = f.tag == NORN_FUN && v_clo(f)->p->is_model;
  if (makes_model && st->sealed_depth < SEALED_MAX) return call_model(st, f, args, n, out);
  return sealed(st, f, args, n, NULL, out);
}

norn_status norn_call_random(norn_state *st, norn_datum f, const norn_datum *args, int n,
                             norn_rng *rng, norn_datum *out)
{
  return sealed(st, f, args, n, rng, out);
}
