/* hello: the smallest program that runs Norn.  A text is evaluated, its value comes back as a
   datum; an error comes back as a status and prints itself. */
#include <norn.h>
#include <stdio.h>
#include <string.h>

static norn_status eval(norn_state *st, const char *text, norn_datum *out)
{
  norn_status status = norn_eval(st, "hello", text, strlen(text), NORN_LOAD_REPL, out);
  if (status != NORN_OK) {
    char message[1024];
    norn_error_text(st, norn_error(st), message, sizeof message);
    fputs(message, stderr);
  }
  return status;
}

int main(void)
{
  norn_datum v;
  double x;
  norn_state *st = norn_new(NULL);
  if (!st) return 1;
  eval(st, "print(\"Hello from Norn {1 + 1}\")", &v);
  eval(st, "let squares = [k^2 for k in 1..11]; sum(squares)", &v);
  if (norn_as_real(v, &x))
    printf("the sum of the first ten squares is %g\n", x);
  if (eval(st, "squares[10]", &v) == NORN_EDOMAIN)
    puts("and that was an error with its place");
  norn_free(st);
  return 0;
}
