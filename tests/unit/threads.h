/* threads.h: a program run with so many threads, as text: what it printed, and its error.  Static, for one
   test. */
#ifndef NORN_TEST_THREADS_H
#define NORN_TEST_THREADS_H
#include "unit.h"
#include "lang/run.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

typedef struct printed { char *s; size_t n, cap; } printed;

static inline void print(void *user, const char *s, size_t n)
{
  printed *p = user;
  if (p->n + n + 1 > p->cap) p->s = realloc(p->s, p->cap = 2 * (p->n + n) + 100);
  memcpy(p->s + p->n, s, n);
  p->n += n;
  p->s[p->n] = 0;
}

static inline norn_state *state_new(printed *p, int threads, bool stress)
{
  norn_config c = norn_config_default();
  c.output = print;
  c.output_user = p;
  c.quiet = true;
  c.threads = threads;
  c.max_depth = 5000;
  norn_state *st = norn_new(&c);
  if (stress) {
    st->heap.stress = true;
    st->heap.soft = st->heap.n0;
  }
  return st;
}

static inline char *run(const char *program, int threads, bool stress)
{
  printed p = {NULL, 0, 0};
  char error[2000];
  norn_datum out;
  norn_state *st = state_new(&p, threads, stress);
  if (norn_eval(st, "program", program, strlen(program), 0, &out)) {
    norn_error_text(st, norn_error(st), error, sizeof error);
    print(&p, error, strlen(error));
  }
  print(&p, "", 0);
  CHECK(st->crew == NULL);
  norn_free(st);
  return p.s;
}

/* Each program with one thread, then with others: the same text. */
static inline void programs_compare(const char *const *programs, size_t n, bool stress)
{
  static const int threads[] = {2, 3, 8};
  for (size_t i = 0; i < n; i++) {
    char *one = run(programs[i], 1, false);
    for (int k = 0; k < (stress ? 1 : 3); k++) {
      char *more = run(programs[i], threads[k], stress);
      if (strcmp(one, more))
        fprintf(stderr, "program %zu, %d threads%s:\n", i, threads[k], stress ? ", stress" : "");
      CHECK_STR(more, one);
      free(more);
    }
    if (getenv("SHOW")) fprintf(stderr, "%s\n", one);
    free(one);
  }
}

/* ---- what ends too early ---- */

/* After some milliseconds. */
static inline void *interrupts(void *st)
{
  struct timespec t = {0, 30000000};
  nanosleep(&t, NULL);
  norn_interrupt(st);
  return NULL;
}

/* An endless program on two threads ends by an interrupt of another thread, and by the limits of time and
   steps, and the state is usable after it. */
static inline void ends_compare(const char *endless, const char *short_one)
{
  printed p = {NULL, 0, 0};
  norn_datum out;
  pthread_t t;
  norn_state *st = state_new(&p, 2, false);
  for (int i = 0; i < 5; i++) {
    CHECK(!pthread_create(&t, NULL, interrupts, st));
    norn_status s = norn_eval(st, "endless", endless, strlen(endless), 0, &out);
    pthread_join(t, NULL);
    CHECK(s == NORN_EINTERRUPT);
    CHECK(st->crew == NULL);
  }
  norn_config_of(st)->max_seconds = .05;
  CHECK(norn_eval(st, "endless", endless, strlen(endless), 0, &out) == NORN_ELIMIT);
  norn_config_of(st)->max_seconds = 0;
  norn_config_of(st)->max_steps = 100000;
  CHECK(norn_eval(st, "endless", endless, strlen(endless), 0, &out) == NORN_ELIMIT);
  norn_config_of(st)->max_steps = 0;
  norn_clear(st);
  CHECK(norn_eval(st, "short", short_one, strlen(short_one), 0, &out) == NORN_OK);
  CHECK(st->crew == NULL);
  norn_free(st);
  free(p.s);
}

/* The n-th request for memory fails. */
static inline void memory_fails(const char *program, uint64_t most)
{
  printed p = {NULL, 0, 0};
  norn_datum out;
  norn_state *st = state_new(&p, 2, false);
  int failed = 0;
  for (uint64_t n = 1; n < most; n += 1 + n / 4) {
    st->mem.fail_at = st->mem.requests + n;
    norn_status s = norn_eval(st, "program", program, strlen(program), 0, &out);
    CHECK(s == NORN_OK || s == NORN_EMEMORY);
    if (s && s != NORN_EMEMORY) fprintf(stderr, "request %d: %s\n", (int)n, norn_error(st)->text);
    failed += s == NORN_EMEMORY;
    CHECK(st->crew == NULL);
  }
  st->mem.fail_at = 0;
  CHECK(failed > 10);
  CHECK(norn_eval(st, "program", program, strlen(program), 0, &out) == NORN_OK);
  norn_free(st);
  free(p.s);
}
#endif
