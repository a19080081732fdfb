/* test_pool.c: every job is done once, by however many threads; the caller may ask them to end; and
   a pool ends also when it never had work. */
#include "base/pool.h"
#include "unit.h"
#include <time.h>

enum { JOBS = 100 };

typedef struct work { atomic_int count[JOBS], running, most; int plain[JOBS]; } work;

static void job(void *of, int i)
{
  work *w = of;
  int now = atomic_fetch_add(&w->running, 1) + 1, most = atomic_load(&w->most);
  while (now > most && !atomic_compare_exchange_weak(&w->most, &most, now)) { }
  atomic_fetch_add(&w->count[i], 1);
  w->plain[i] += i;                      /* seen by the caller afterwards */
  struct timespec t = {0, 100000};
  nanosleep(&t, NULL);
  atomic_fetch_sub(&w->running, 1);
}

static void test_jobs(int threads)
{
  pthread_t room[8];
  pool p;
  work w = {.most = 0};
  pool_start(&p, room, threads);
  CHECK(p.n == (threads < 2 ? 0 : threads));
  for (int round = 1; round <= 20; round++) {
    if (round % 2) pool_run(&p, round < 20 ? 5 * round : 0, job, NULL, &w);
    else {
      pool_begin(&p, round < 20 ? 5 * round : 0, job, &w);
      pool_wait(&p, NULL);
    }
    for (int i = 0; i < JOBS; i++) {
      int times = round - i / 5 - (round == 20);
      CHECK(atomic_load(&w.count[i]) == (times > 0 ? times : 0));
      CHECK(w.plain[i] == i * (times > 0 ? times : 0));
    }
  }
  CHECK(atomic_load(&w.most) <= (threads < 2 ? 1 : threads));
  pool_end(&p);
}

/* Jobs that go on until they are asked to end. */
typedef struct endless { pool p; atomic_int asked; atomic_int ended; } endless;

static void endless_job(void *of, int i)
{
  endless *e = of;
  struct timespec t = {0, 1000000};
  (void)i;
  while (pool_goes_on(&e->p)) nanosleep(&t, NULL);
  atomic_fetch_add(&e->ended, 1);
}

static bool poll(void *of)
{
  endless *e = of;
  return atomic_fetch_add(&e->asked, 1) < 2;
}

static void test_stop(int threads)
{
  pthread_t room[8];
  endless e = {.asked = 0};
  pool_start(&e.p, room, threads);
  for (int round = 1; round <= 2; round++) {
    atomic_store(&e.asked, 0);
    pool_run(&e.p, 3, endless_job, poll, &e);
    CHECK(atomic_load(&e.ended) == 3 * round);
    CHECK(atomic_load(&e.asked) == 3);
  }
  pool_end(&e.p);
}

int main(void)
{
  CHECK(pool_processors() >= 1);
  for (int threads = 0; threads <= 8; threads++) {
    test_jobs(threads);
    test_stop(threads);
  }
  return unit_end();
}
