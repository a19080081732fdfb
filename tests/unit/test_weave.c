/* test_weave.c: draws of several chains that come in any order stand by chain in the posterior,
   with their weights, choices and numbers; who looks on sees each of them once and may stop the
   work; what was drawn then is not lost.  The engine of this test leaves draw k of chain c as 100 c
   + k. */
#include "norn.h"
#include "unit.h"

static norn_state *st;

enum { CHAINS = 3, TOTAL = 8 };
/* which chain each draw is of: chains of 3, 3 and 2 */
static const int order[TOTAL] = {2, 0, 1, 1, 0, 2, 1, 0};

typedef struct weave { int at, count[CHAINS]; } weave;

static norn_step weave_step(norn_infer *inf, void *self)
{
  weave *e = self;
  if (e->at == TOTAL) return NORN_STEP_DONE;
  int c = order[e->at++], k = e->count[c]++;
  norn_infer_chain(inf, c);
  double x = 100 * c + k;
  if (norn_infer_stat(inf, "lp", -x) ||
      (k == 1 && norn_infer_stat(inf, "late", x)) ||          /* not of every draw */
      norn_infer_choice(inf, 77, norn_string(st, &"abc"[c], 1)) ||
      norn_infer_draw(inf, norn_real(x), c == 1 ? log(2) : 0))
    return NORN_STEP_FAIL;
  return NORN_STEP_MORE;
}

static const norn_engine engine = {.version = NORN_ENGINE_VERSION, .name = "weave",
                                   .size = sizeof(weave), .step = weave_step};

static norn_datum model(void)
{
  norn_datum v = norn_none();
  const char *text = "model m() { let x ~ normal(0, 1)\n x }\n m()";
  CHECK(!norn_eval(st, "m", text, strlen(text), NORN_LOAD_REPL, &v));
  return v;
}

/* Draws stand chain by chain: lengths says how many of each there should be. */
static void check_post(norn_datum post, const int *lengths, int stopped)
{
  norn_posterior p;
  CHECK(norn_posterior_view(st, post, &p));
  norn_datum stats = norn_record_get(st, p.info, "stats"), lp = norn_record_get(st, stats, "lp"),
             late = norn_record_get(st, stats, "late"), choice, chains;
  CHECK(norn_record_size(p.choices) == 1 && norn_record_at(st, p.choices, 0, &choice));
  int i = 0;
  double sum = lengths[0] + 2 * lengths[1] + lengths[2];
  for (int c = 0; c < CHAINS; c++)
    for (int k = 0; k < lengths[c]; k++, i++) {
      double x = 100 * c + k;
      CHECK_NEAR(norn_elem_real(p.values, i), x, 0);
      CHECK_NEAR(norn_elem_real(p.weights, i), (c == 1 ? 2 : 1) / sum, 1e-15);
      CHECK_NEAR(norn_elem_real(lp, i), -x, 0);
      double y = norn_elem_real(late, i);
      if (k == 1) CHECK_NEAR(y, x, 0);
      else CHECK(isnan(y));
      CHECK(*norn_string_view(norn_array_at(st, choice, i), NULL) == "abc"[c]);
    }
  CHECK(p.n == i);
  chains = norn_record_get(st, p.info, "chains");
  CHECK(chains.tag == NORN_INT && chains.i == CHAINS);
  CHECK(norn_is_none(norn_record_get(st, p.info, "stopped")) == !stopped);
  norn_datum each = norn_record_get(st, p.info, "chain_lengths");
  bool even = lengths[0] == lengths[1] && lengths[1] == lengths[2];
  CHECK(norn_is_none(each) == even);
  for (int c = 0; c < CHAINS && !even; c++) CHECK_NEAR(norn_elem_real(each, c), lengths[c], 0);
}

typedef struct onlooker { int seen, stop_at; } onlooker;

static bool look(void *user, norn_infer *inf, const norn_drawn *d)
{
  onlooker *o = user;
  double x = 0;
  (void)inf;
  CHECK(d->chain == order[o->seen] && norn_as_real(d->value, &x) && (int)x / 100 == d->chain);
  CHECK_NEAR(d->logw, d->chain == 1 ? log(2) : 0, 0);
  CHECK(d->nstat == 1 + ((int)x % 100 == 1) && !strcmp(d->stat_name[0], "lp") && d->stat[0] == -x);
  CHECK(d->nchoice == 1 && d->addr[0] == 77 &&
        *norn_string_view(d->choice[0], NULL) == "abc"[d->chain]);
  return ++o->seen != o->stop_at;
}

static void test_order(void)
{
  onlooker o = {0, 0};
  norn_datum post;
  norn_on_draw(st, look, &o);
  CHECK(!norn_infer_all(st, model(), norn_engine_new(st, &engine, NULL, 0), &post));
  CHECK(o.seen == TOTAL);
  check_post(post, (const int[]){3, 3, 2}, 0);
}

/* Stopped by who looks on: an error, but the draws are there; so they are half way. */
static void test_stop(void)
{
  onlooker o = {0, 6};
  norn_infer *inf = norn_infer_new(st, model(), norn_engine_new(st, &engine, NULL, 0));
  CHECK(inf);
  norn_on_draw(st, look, &o);
  for (int i = 0; i < 6; i++) CHECK(norn_infer_step(inf) == NORN_STEP_MORE);    /* one begins it */
  check_post(norn_infer_result(inf), (const int[]){2, 2, 1}, 1);
  CHECK(norn_infer_step(inf) == NORN_STEP_FAIL && norn_error(st)->code == NORN_EINTERRUPT);
  CHECK(o.seen == 6);
  norn_clear(st);
  check_post(norn_infer_result(inf), (const int[]){2, 2, 2}, 1);
  norn_infer_free(inf);
}

int main(void)
{
  st = norn_new(NULL);
  CHECK(st && !norn_add_engines(st, &engine, 1));
  test_order();
  test_stop();
  norn_free(st);
  return unit_end();
}
