/* net_source_crew: simulated runs on threads, where the program can't go in lanes and its runs take long.

   A run is a function of stream and number, so who does it changes nothing.  Each worker of a crew (norn_infer.h) does
   a range of them, in pieces, with a source and places of addresses of its own; what it can't do (a native that
   is not pure) the caller's thread does afterwards.  The crew lives for one call: another one may be wanted
   between two batches (an engine that runs inside of the program that trains). */
#include "infer/infer.h"
#include "infer/net/net_in.h"

enum { WORKERS = 16, PIECE = 16 };
#define WORTH .002                     /* seconds of work that threads are worth */

typedef struct job {
  net_source s;                        /* of the worker */
  net_schema h;
  net_runs runs, piece;
  uint64_t first;
  int n, done;
  net_away away;                       /* why it came back before the end */
  bool failed;
} job;
typedef struct jobs { job job[WORKERS]; int n; norn_crew *crew; } jobs;

static void job_do(void *user, int k, norn_state *st)
{
  job *j = &((jobs *)user)->job[k];
  j->away = NET_HERE;
  while (j->done < j->n && !j->failed) {
    int m = j->n - j->done < PIECE ? j->n - j->done : PIECE;
    bool good = net_runs_alone(&j->s, &j->h, j->first + (uint64_t)j->done, m, &j->piece);
    if (j->s.away) {
      j->away = j->s.away;
      j->s.away = NET_HERE;
      norn_clear(st);
      return;
    }
    if (good) good = net_runs_add(st, &j->h, &j->runs, &j->piece, 0, m);
    j->failed = !good;
    if (good) j->done += m;
  }
}

/* Worker k gets its part; false: error set. */
static bool job_begin(net_source *s, const net_schema *h, jobs *all, int k, uint64_t first, int n)
{
  job *j = &all->job[k];
  norn_state *st = norn_crew_state(all->crew, k);
  *j = (job){ .s = *s, .h = *h };
  j->s.st = st;
  j->s.block = j->s.some = (net_runs){ 0 };
  j->s.away = NET_HERE;
  j->h.places = NULL;
  j->s.what = norn_keep(st, norn_get(s->what));
  j->first = first + (uint64_t)((int64_t)n * k / all->n);
  j->n = (int)((int64_t)n * (k + 1) / all->n - (int64_t)n * k / all->n);
  return j->s.what && net_places_copy(st, &j->h, h) && net_runs_start(st, &j->runs, 0, s->ninput);
}

static void job_end(job *j)
{
  norn_state *st = j->s.st;
  if (!st) return;
  net_runs_free(st, &j->runs);
  net_runs_free(st, &j->piece);
  net_places_free(st, &j->h);
  if (j->s.what) norn_drop(j->s.what);
}

/* What a worker has done, and what it could not.  false: error set. */
static bool take(net_source *s, const net_schema *h, jobs *all, int k, net_runs *out)
{
  job *j = &all->job[k];
  if (j->failed) {
    norn_crew_error(all->crew, k);
    return false;
  }
  if (!net_runs_add(s->st, h, out, &j->runs, 0, j->done)) return false;
  if (j->done == j->n) return true;
  s->threadless = true;
  return net_runs_alone(s, h, j->first + (uint64_t)j->done, j->n - j->done, &j->piece) &&
         net_runs_add(s->st, h, out, &j->piece, 0, j->n - j->done);
}

static bool crew_runs(net_source *s, const net_schema *h, uint64_t first, int n, net_runs *out, int threads)
{
  norn_state *st = s->st;
  jobs *all = engine_get(st, sizeof *all);
  if (!all) return false;
  all->n = threads;
  all->crew = norn_crew_new(st, (size_t)threads, threads);
  bool good = all->crew && net_runs_start(st, out, 0, s->ninput), again = good;
  if (good) all->n = norn_crew_size(all->crew);
  for (int k = 0; good && k < all->n; k++) good = job_begin(s, h, all, k, first, n);
  while (good && again) {
    norn_crew_work(all->crew, job_do, all);
    again = false;
    for (int k = 0; k < all->n; k++) again |= all->job[k].away == NET_COLLECT && !all->job[k].failed;
  }
  if (all->crew) norn_crew_state(all->crew, 0);            /* they lie still */
  for (int k = 0; good && k < all->n; k++) good = take(s, h, all, k, out);
  for (int k = 0; k < WORKERS; k++) job_end(&all->job[k]);
  norn_crew_free(all->crew);
  engine_put(st, all, sizeof *all);
  return good;
}

bool net_runs_threads(net_source *s, const net_schema *h, uint64_t first, int n, net_runs *out)
{
  int most = n / PIECE < WORKERS ? n / PIECE : WORKERS;
  int k = s->threadless || s->each * n < WORTH ? 1 : norn_crew_threads(s->st, 0);
  if (k > most) k = most;
  if (k > 1) return crew_runs(s, h, first, n, out, k);
  double begun = infer_seconds();
  if (!net_runs_alone(s, h, first, n, out)) return false;
  s->each = (infer_seconds() - begun) / n;
  return true;
}
