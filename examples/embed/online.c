/* online: a particle filter inside of a C program, fed one observation at a time as a sensor would
   give them.  The model is Norn; the host keeps the filter as a value and asks it for its next one. */
#include <norn.h>
#include <stdio.h>
#include <string.h>

static const char text[] =
  "import online\n"
  "model start() { let x ~ normal(20, 5); x }          # a temperature, unknown at first\n"
  "model step(x, y) {\n"
  "  let x2 ~ normal(x, 0.1)                           # drifts\n"
  "  observe y ~ student_t(4, x2, 0.5)                 # is measured, now and then badly\n"
  "  x2\n"
  "}\n"
  "fn feed(f, y) = online.feed(f, y)\n"
  "fn estimate(f) = mean(f.posterior)\n"
  "online.start(start(), step, particles = 2000)\n";

/* f(args): a run, in which inferences run too. */
static norn_status call(norn_state *st, const char *name, const norn_datum *args, int n, norn_datum *out)
{
  norn_datum f;
  norn_status status = norn_eval(st, "online", name, strlen(name), NORN_LOAD_REPL, &f);
  norn_run *run = status ? NULL : norn_run_new(st, f, args, n);
  return run ? norn_drive(st, run, out) : norn_error(st)->code;
}

int main(void)
{
  static const double measured[] = {21.3, 21.1, 35, 21.4, 21.2, 21.5};
  norn_state *st = norn_new(NULL);
  norn_datum v;
  norn_status status = st ? norn_eval(st, "online", text, strlen(text), NORN_LOAD_REPL, &v) : NORN_EMEMORY;
  norn_ref *filter = status ? NULL : norn_keep(st, v);
  for (size_t k = 0; filter && !status && k < sizeof measured / sizeof *measured; k++) {
    norn_datum args[2] = {norn_get(filter), norn_real(measured[k])};
    double x;
    status = call(st, "feed", args, 2, &v);
    if (status) break;
    norn_set(filter, v);
    args[0] = v;
    status = call(st, "estimate", args, 1, &v);
    if (!status && norn_as_real(v, &x)) printf("measured %4.1f, estimate %.0f\n", measured[k], x);
  }
  if (status && st) {
    char message[1024];
    norn_error_text(st, norn_error(st), message, sizeof message);
    fputs(message, stderr);
  }
  if (filter) norn_drop(filter);
  norn_free(st);
  return status != NORN_OK;
}
