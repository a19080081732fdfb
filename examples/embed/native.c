/* native: a function of the host that Norn calls, and an array of the host that Norn reads.

   A native gets numbered arguments, checks them with norn_want_..., and writes its result or fails;
   the error then points at the argument in the caller's text. */
#include <norn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Saturation vapour pressure over water in hPa at t degrees Celsius, Bolton (1980), equation 10:
   6.112 exp(17.67 t / (t + 243.5)). */
static norn_status vapour(norn_state *st, const norn_datum *args, int n, norn_datum *out)
{
  double t;
  (void)n;
  if (!norn_want_real(st, args, 0, "t", &t)) return norn_error(st)->code;
  if (t < -60 || t > 60)
    return norn_fail(st, NORN_EDOMAIN, 0, "the formula holds from -60 to 60 degrees, got %g", t);
  *out = norn_real(6.112 * exp(17.67 * t / (t + 243.5)));
  return NORN_OK;
}

static const norn_native natives[] = {
  { .name = "vapour", .params = "t", .f = vapour, .flags = NORN_PURE,
    .doc = "Saturation vapour pressure in hPa at t degrees Celsius." },
};

static int run(norn_state *st, const char *text)
{
  norn_datum v;
  char message[1024];
  if (norn_eval(st, "weather", text, strlen(text), NORN_LOAD_REPL, &v) == NORN_OK) return 0;
  norn_error_text(st, norn_error(st), message, sizeof message);
  fputs(message, stdout);
  return 1;
}

int main(void)
{
  static const double celsius[] = { 12.5, 14.0, 9.5, 17.25 };
  norn_state *st = norn_new(NULL);
  if (!st || norn_add_natives(st, NULL, natives, 1) != NORN_OK) return 1;
  if (norn_set_global(st, "celsius", norn_array_f64(st, celsius, 4)) != NORN_OK) return 1;
  int bad = run(st, "print(\"mean {mean(celsius)} degrees\")\n"
                    "print(\"at most {round(max(celsius |> map(vapour)))} hPa\")\n");
  int refused = run(st, "print(vapour(100))");
  norn_free(st);
  return bad || !refused;
}
