/* pool.h: a fixed number of threads that do numbered jobs together while the caller waits.

   A job only computes: memory and everything else of a state is used by the caller, or under
   norn_lock.  Which thread does which job is left open, so nothing may depend on it. */
#ifndef NORN_POOL_H
#define NORN_POOL_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct pool {
  pthread_mutex_t lock;
  pthread_cond_t work, rest;             /* there are jobs, or it ends; all jobs are done */
  pthread_t *thread;                     /* (n), the caller's memory */
  int n;                                 /* 0: the caller does the jobs itself */
  int jobs, next, left;
  bool quit;
  void (*job)(void *of, int i);
  bool (*poll)(void *of);
  void *of;
  atomic_bool stop;
} pool;

/* The processors that this process may run on, at least 1. */
int  pool_processors(void);
/* n threads (n < 2: none), or fewer if the system gives no more; room: (n). */
void pool_start(pool *, pthread_t *room, int n);
/* job(of, i) for i = 0 .. jobs - 1, in any order and at once.  poll (may be NULL) is asked now and
   then by the caller's thread: false asks the jobs to end early, which pool_goes_on tells them.
   Returns when all have ended. */
void pool_run(pool *, int jobs, void (*job)(void *of, int i), bool (*poll)(void *of), void *of);
/* The same in two: between them the caller does something else, in memory that no job touches.  Without threads
   pool_begin does it all. */
void pool_begin(pool *, int jobs, void (*job)(void *of, int i), void *of);
void pool_wait(pool *, bool (*poll)(void *of));
/* For jobs: false once poll has said so. */
bool pool_goes_on(pool *);
void pool_end(pool *);
#endif
