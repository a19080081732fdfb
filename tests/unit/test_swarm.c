/* test_swarm.c: particles with their choices.  Resampled at every barrier, they keep O(T + N log N) of them
   and not T N (Jacob, Murray, Rubenthaler 2015); what is kept is what the runs were answered with; a copy
   of a swarm goes on by itself. */
#include "unit.h"
#include "infer/particles/swarm.h"
#include <stdlib.h>

enum { N = 100, T = 400 };

static norn_status answer(void *user, size_t i, norn_run *run, const norn_event *ev, norn_datum *v, double *lw)
{
  (void)i;
  return engine_sample(user, run, ev, true, v, lw) ? NORN_OK : NORN_EDOMAIN;
}

/* Does each particle that has ended return the sum of its choices? */
static bool sums_agree(swarm *s)
{
  uint32_t *path = NULL;
  size_t cpath = 0, n;
  bool good = true;
  for (size_t i = 0; i < s->n; i++) {
    double sum = 0, result = NAN;
    good &= swarm_path(s, i, &path, &cpath, &n) && n == T && s->ended[i] != SWARM_NONE;
    for (size_t k = 0; k < n && good; k++) {
      double x = NAN;
      good &= norn_as_real(column_at(s->st, &s->value, s->choice[path[k]].value), &x);
      sum += x;
    }
    good &= norn_as_real(column_at(s->st, &s->result, s->ended[i]), &result) && fabs(result - sum) < 1e-9;
  }
  engine_put(s->st, path, cpath * sizeof *path);
  return good;
}

static void walk(norn_state *st, norn_infer *inf)
{
  swarm s = { 0 }, copy = { 0 };
  size_t most = 0, all = 0;
  CHECK(swarm_new(inf, &s, N) && swarm_start(&s, 7));
  for (int t = 0; t <= T; t++) {
    double top;
    norn_rng g = { .stream = 3, .iter = (uint32_t)t };
    CHECK(swarm_advance(&s, answer, st) == NORN_STEP_DONE);
    if (s.nchoice > most) most = s.nchoice;
    all += s.n;
    if (!s.running) break;
    double sum = swarm_weights(&s, &top);
    for (size_t i = 0; i < s.n; i++) s.from[i] = (uint32_t)swarm_pick(s.w, s.n, sum, &g);
    CHECK(swarm_copy(&s, s.from, 0));
    if (t != T / 2) continue;
    for (uint32_t i = 0; i < N; i++) s.from[i] = i / 2;
    CHECK(swarm_fork(&copy, &s, s.from, N, inf, 11));
  }
  CHECK(sums_agree(&s));
  CHECK(all == N * (T + 1) && most < 8 * (T + N * 4.6));
  CHECK(copy.barrier == T / 2 + 1 && copy.nchoice < s.cchoice + most);
  while (copy.barrier <= T) {
    CHECK(swarm_advance(&copy, answer, st) == NORN_STEP_DONE);
    swarm_leg(&copy);
  }
  CHECK(sums_agree(&copy) && sums_agree(&s));
  CHECK(copy.run[0] == NULL && copy.lik[0] == copy.lik[0]);
  swarm_free(&copy);
  swarm_free(&s);
}

int main(void)
{
  norn_state *st = norn_new(NULL);
  static const char program[] =
    "model walk(n) { for t in 0..n with x = 0.0 { let e ~ normal(0, 1)\n  observe 1.0 ~ normal(e, 1)\n"
    "  next x + e } }\n[walk(400), smc(2)]";
  norn_datum out = norn_none();
  CHECK(norn_eval(st, "swarm", program, strlen(program), 0, &out) == NORN_OK);
  norn_infer *inf = norn_infer_new(st, norn_array_at(st, out, 0), norn_array_at(st, out, 1));
  CHECK(inf != NULL);
  if (inf) walk(st, inf);
  norn_infer_free(inf);
  norn_free(st);
  return unit_end();
}
