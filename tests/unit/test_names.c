/* test_names.c: the names of choices, as a run meets them: an engine written against norn.h answers
   every sample and lists the printed addresses.  With a file as argument it prints those of its m(). */
#include "unit.h"
#include "norn.h"
#include <stdlib.h>

/* Answers every event of a run of the model m(); the names in order, joined by blanks, or the error. */
static const char *names_of(norn_state *st, norn_datum m, char *out, size_t size)
{
  size_t n = 0;
  char name[160];
  norn_event ev;
  norn_run *r = norn_run_new(st, m, NULL, 0);
  out[0] = 0;
  if (!r) return norn_error(st)->text;
  norn_run_flags(r, NORN_RUN_NAMES | NORN_RUN_CHECK);
  norn_run_stream(r, 7, 0, 0);
  for (;;) {
    norn_event_kind k = norn_run_next(r, &ev);
    if (k != NORN_SAMPLE && k != NORN_OBSERVE) {
      if (k == NORN_ERROR) snprintf(out, size, "%s", norn_error(st)->text);
      break;
    }
    if (k == NORN_OBSERVE) continue;
    n += (size_t)snprintf(out + n, n < size ? size - n : 0, "%s%s", n ? " " : "", norn_addr_name(st, ev.addr, name, sizeof name));
    norn_datum x;
    norn_rng g;
    norn_run_rng(r, &ev, &g);
    if (norn_dist_sample(st, ev.dist, &g, &x)) break;
    norn_run_answer(r, x);
  }
  norn_run_free(r);
  return out;
}

static char *names(const char *text)
{
  static char out[4000];
  norn_state *st = norn_new(NULL);
  norn_datum v;
  if (norn_eval(st, "names.norn", text, strlen(text), 0, &v)) snprintf(out, sizeof out, "%s", norn_error(st)->text);
  else {
    norn_datum m;
    if (norn_call(st, norn_global(st, "m"), NULL, 0, &m)) snprintf(out, sizeof out, "%s", norn_error(st)->text);
    else names_of(st, m, out, sizeof out);
  }
  norn_free(st);
  return out;
}

int main(int argc, char **argv)
{
  if (argc > 1) {
    FILE *f = fopen(argv[1], "r");
    static char text[100000];
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f) fclose(f);
    puts(names(text));
    return 0;
  }
  return unit_end();
}
