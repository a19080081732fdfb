/* stream: a model written in Norn, inferred from C, with results while it runs.

   The caller owns the loop: norn_infer_step does a bounded piece of work, norn_infer_result gives
   the posterior so far, and leaving the loop is all it takes to stop. */
#include <norn.h>
#include <stdio.h>
#include <string.h>

static const char program[] =
  "model line(xs, ys) {\n"
  "  let slope ~ normal(0, 3)\n"
  "  let intercept ~ normal(0, 3)\n"
  "  for i in 0..len(xs) { observe ys[i] ~ normal(intercept + slope * xs[i], 1) }\n"
  "  { slope: slope, intercept: intercept }\n"
  "}\n";
static const char engine_text[] = "importance(n = 100000)";

static int fail(norn_state *st)
{
  char message[1024];
  norn_error_text(st, norn_error(st), message, sizeof message);
  fputs(message, stderr);
  return 1;
}

/* Weighted mean of one field of the draws. */
static double mean_of(norn_state *st, norn_datum posterior, const char *field)
{
  norn_posterior p;
  norn_datum column;
  double sum = 0;
  if (!norn_posterior_view(st, posterior, &p)) return 0;
  if (norn_posterior_column(st, posterior, field, &column) != NORN_OK) return 0;
  for (int64_t i = 0; i < p.n; i++) sum += norn_elem_real(p.weights, i) * norn_elem_real(column, i);
  return sum;
}

static int watch(norn_state *st, norn_infer *in)
{
  norn_progress at;
  norn_step step;
  double next = 0;
  do {
    step = norn_infer_step(in);
    norn_infer_progress(in, &at);
    if (next == 0) next = at.total / 4;
    if (step != NORN_STEP_MORE || at.done < next) continue;
    next += at.total / 4;
    double slope = mean_of(st, norn_infer_result(in), "slope");
    printf("%3.0f %%: slope %.1f\n", 100 * at.done / at.total, slope);
  } while (step == NORN_STEP_MORE);
  if (step == NORN_STEP_FAIL) return fail(st);
  norn_datum posterior = norn_infer_result(in);
  printf("slope %.1f, ", mean_of(st, posterior, "slope"));
  printf("intercept %.1f\n", mean_of(st, posterior, "intercept"));
  return 0;
}

int main(void)
{
  static const double xs[] = { 0, 1, 2, 3, 4 }, ys[] = { 1.1, 2.9, 5.2, 7.1, 8.8 };
  norn_datum v, model, engine, args[2];
  norn_state *st = norn_new(NULL);
  if (!st) return 1;
  if (norn_eval(st, "line", program, sizeof program - 1, NORN_LOAD_REPL, &v)) return fail(st);
  if (norn_eval(st, "engine", engine_text, sizeof engine_text - 1, NORN_LOAD_REPL, &engine))
    return fail(st);
  norn_ref *kept = norn_keep(st, engine);
  args[0] = norn_array_f64(st, xs, 5);
  args[1] = norn_array_f64(st, ys, 5);
  if (norn_call(st, norn_global(st, "line"), args, 2, &model)) return fail(st);
  norn_infer *in = norn_infer_new(st, model, norn_get(kept));
  if (!in) return fail(st);
  int code = watch(st, in);
  norn_infer_free(in);
  norn_drop(kept);
  norn_free(st);
  return code;
}
