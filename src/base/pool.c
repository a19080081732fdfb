/* pool: threads that wait for jobs.  One lock guards the list of jobs; a thread holds it only to
   take the next number.  The caller sleeps and wakes every POLL milliseconds to see whether the
   work is still wanted.  Without threads (n = 0) the caller does the jobs and asks itself. */
#include "base/pool.h"
#include <sched.h>
#include <time.h>
#include <unistd.h>

enum { POLL = 50 };                      /* milliseconds */

int pool_processors(void)
{
  cpu_set_t set;
  long n = sched_getaffinity(0, sizeof set, &set) ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
  return n > 0 ? (int)n : 1;
}

/* Takes jobs until there are none; the lock is held here, not while a job runs. */
static void pool_work(pool *p)
{
  while (p->next < p->jobs) {
    int i = p->next++;
    pthread_mutex_unlock(&p->lock);
    p->job(p->of, i);
    pthread_mutex_lock(&p->lock);
    if (!--p->left) pthread_cond_signal(&p->rest);
  }
}

static void *pool_thread(void *of)
{
  pool *p = of;
  pthread_mutex_lock(&p->lock);
  while (!p->quit) {
    pool_work(p);
    if (!p->quit) pthread_cond_wait(&p->work, &p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

void pool_start(pool *p, pthread_t *room, int n)
{
  pthread_condattr_t how;
  *p = (pool){.thread = room};
  atomic_init(&p->stop, false);
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  pthread_condattr_init(&how);
  pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
  pthread_cond_init(&p->rest, &how);
  pthread_condattr_destroy(&how);
  while (n > 1 && p->n < n && !pthread_create(&room[p->n], NULL, pool_thread, p)) p->n++;
}

static struct timespec pool_later(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += POLL * 1000000L;
  if (t.tv_nsec >= 1000000000L) { t.tv_nsec -= 1000000000L; t.tv_sec++; }
  return t;
}

void pool_begin(pool *p, int jobs, void (*job)(void *of, int i), void *of)
{
  atomic_store(&p->stop, false);
  p->poll = NULL;
  p->of = of;
  if (!p->n) {
    for (int i = 0; i < jobs; i++) job(of, i);
    return;
  }
  pthread_mutex_lock(&p->lock);
  p->job = job;
  p->jobs = p->left = jobs;
  p->next = 0;
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
}

void pool_wait(pool *p, bool (*poll)(void *of))
{
  if (!p->n) return;
  pthread_mutex_lock(&p->lock);
  while (p->left) {
    struct timespec until = pool_later();
    bool woken = !pthread_cond_timedwait(&p->rest, &p->lock, &until);
    if (woken || !p->left || !poll || atomic_load(&p->stop)) continue;
    pthread_mutex_unlock(&p->lock);
    if (!poll(p->of)) atomic_store(&p->stop, true);
    pthread_mutex_lock(&p->lock);
  }
  p->jobs = 0;
  pthread_mutex_unlock(&p->lock);
}

void pool_run(pool *p, int jobs, void (*job)(void *of, int i), bool (*poll)(void *of), void *of)
{
  if (p->n) {
    pool_begin(p, jobs, job, of);
    pool_wait(p, poll);
    return;
  }
  atomic_store(&p->stop, false);
  p->poll = poll;
  p->of = of;
  for (int i = 0; i < jobs; i++) job(of, i);
}

bool pool_goes_on(pool *p)
{
  if (p->n) return !atomic_load_explicit(&p->stop, memory_order_relaxed);
  if (p->poll && !atomic_load_explicit(&p->stop, memory_order_relaxed) && !p->poll(p->of))
    atomic_store(&p->stop, true);
  return !atomic_load_explicit(&p->stop, memory_order_relaxed);
}

void pool_end(pool *p)
{
  pthread_mutex_lock(&p->lock);
  p->quit = true;
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < p->n; i++) pthread_join(p->thread[i], NULL);
  pthread_cond_destroy(&p->rest);
  pthread_cond_destroy(&p->work);
  pthread_mutex_destroy(&p->lock);
}
