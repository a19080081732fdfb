/* test_io.c: the readers and writers of JSON and CSV, and numbers from text. */
#include "io/csv.h"
#include "io/json.h"
#include "base/number.h"
#include "unit.h"
#include <locale.h>
#include <stdlib.h>

/* ---- numbers ---- */

static void test_numbers(void)
{
  static const char *const good[] = { "0",
                                      "-0",
                                      "1",
                                      "+1",
                                      "1.5",
                                      ".5",
                                      "5.",
                                      "1e3",
                                      "1E-3",
                                      "123456789012345678",
                                      "0.1",
                                      "3.141592653589793238462643",
                                      "1.7976931348623157e308",
                                      "4.9e-324",
                                      "1e400",
                                      "-1e-400",
                                      "9007199254740993",
                                      "123456789.123456789",
                                      "0.000000000000000000000000000001",
                                      "1e22",
                                      "1e23",
                                      "100000000000000000000000" };
  static const char *const bad[] = { "",     "-",   ".",   "e5",    "1e",      "1e+", "1x",
                                     "0x10", "1 2", "--1", "1.2.3", "infinit", "nano" };
  double x;
  int64_t i;
  for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
    unit_check(number_real(good[k], strlen(good[k]), &x), good[k], __FILE__, __LINE__);
    unit_check(x == strtod(good[k], NULL) && !signbit(x) == !signbit(strtod(good[k], NULL)),
               good[k], __FILE__, __LINE__);
  }
  for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
    unit_check(!number_real(bad[k], strlen(bad[k]), &x), bad[k], __FILE__, __LINE__);
  unit_check(number_real("-Inf", 4, &x) && x == -(double)INFINITY, "-Inf", __FILE__, __LINE__);
  unit_check(number_real("NaN", 3, &x) && isnan(x), "NaN", __FILE__, __LINE__);
  unit_check(number_int("-9223372036854775808", 20, &i) && i == INT64_MIN, "the least integer",
             __FILE__, __LINE__);
  unit_check(number_int("9223372036854775807", 19, &i) && i == INT64_MAX, "the greatest integer",
             __FILE__, __LINE__);
  unit_check(!number_int("9223372036854775808", 19, &i), "an integer too great", __FILE__,
             __LINE__);
  unit_check(!number_int("1.0", 3, &i) && !number_int("", 0, &i) && !number_int("-", 1, &i),
             "no integers", __FILE__, __LINE__);
}

/* Reals from random bits, written with 17 digits, come back the same. */
static void test_round_trip(void)
{
  uint64_t seed = 1;
  int wrong = 0;
  for (int k = 0; k < 20000; k++) {
    char s[64];
    double x, y;
    seed = hash_mix(seed + 0x9e3779b97f4a7c15u);
    memcpy(&x, &seed, sizeof x);
    if (k % 2) x = (double)(int64_t)(seed % 100000000) / 10000;
    if (!isfinite(x)) continue;
    int n = snprintf(s, sizeof s, k % 2 ? "%.4f" : "%.17g", x);
    wrong += !number_real(s, (size_t)n, &y) || x != y;
  }
  unit_check(wrong == 0, "20000 reals come back the same", __FILE__, __LINE__);
}

/* ---- JSON ---- */

static void json_is(norn_state *st, const char *s, unsigned flags, const char *shown)
{
  norn_datum v;
  norn_clear(st);
  if (json_read(st, "f.json", s, strlen(s), flags, &v)) {
    unit_str(norn_error(st)->text, shown, s, __FILE__, __LINE__);
    return;
  }
  unit_str(norn_show(st, v, true, 0), shown, s, __FILE__, __LINE__);
}

static void json_fails(norn_state *st, const char *s, const char *message)
{
  norn_datum v;
  norn_clear(st);
  norn_status code = json_read(st, "f.json", s, strlen(s), 0, &v);
  unit_check(code == NORN_EIO, s, __FILE__, __LINE__);
  if (code && !strstr(norn_error(st)->text, message))
    unit_str(norn_error(st)->text, message, s, __FILE__, __LINE__);
}

static norn_elem elem_of(norn_state *st, const char *s, int *rank)
{
  norn_datum v;
  norn_view view = { .rank = -1, .elem = NORN_VALUES };
  if (json_read(st, "f.json", s, strlen(s), 0, &v) == NORN_OK) norn_array_view(v, &view);
  *rank = view.rank;
  return view.elem;
}

static void test_json_read(norn_state *st)
{
  int rank;
  json_is(st, "1", 0, "1");
  json_is(st, "1.0", 0, "1.0");
  json_is(st, "[1, 2.5]", 0, "[1.0, 2.5]");
  json_is(st, "null", 0, "missing");
  json_is(st, "[1, null]", 0, "[1, missing]");
  json_is(st, "[1, null]", JSON_IO_NAN, "[1.0, nan]");
  json_is(st, "{\"a\": true, \"b c\": \"x\\u00e9\"}", 0, "{a: true, \"b c\": \"x\xc3\xa9\"}");
  json_is(st, "[[1, 2], [3, 4]]", 0, "[[1, 2], [3, 4]]");
  json_is(st, "[]", 0, "[]");
  json_is(st, "9223372036854775807", 0, "9223372036854775807");
  json_is(st, "{\"9223372036854775808\": [9223372036854775808, 1]}", 0,
          "{\"9223372036854775808\": [9.223372036854776e18, 1.0]}");
  json_is(st, "{\"$real\": \"nan\"}", JSON_IO_EXACT, "nan");
  json_is(st, "[1.5, {\"$real\": \"-inf\"}]", JSON_IO_EXACT, "[1.5, -inf]");
  unit_check(elem_of(st, "[[1, 2], [3, 4.5]]", &rank) == NORN_F64 && rank == 2,
             "a matrix of reals is packed", __FILE__, __LINE__);
  unit_check(elem_of(st, "[[1, 2], [3, 4]]", &rank) == NORN_I64 && rank == 2,
             "a matrix of integers is packed", __FILE__, __LINE__);
  unit_check(elem_of(st, "[[1, 2], [3]]", &rank) == NORN_VALUES && rank == 1,
             "ragged rows are not packed", __FILE__, __LINE__);
  json_fails(st, "{\"y\": [1],\n \"s\": [15, 10 16]}", "f.json:2:");
  json_fails(st, "{\"a\": 1, \"a\": 2}", "f.json:1:");
  json_fails(st, "", "f.json:1:");
  json_fails(st, "[1] 2", "f.json:1:");
  json_fails(st, "[NaN]", "f.json:1:");
  json_fails(st, "\"\xff\"", "f.json:1:");
  json_fails(st, "1e999", "f.json:1:");
}

static void json_same(norn_state *st, const char *s, int indent, unsigned flags,
                      const char *written)
{
  norn_datum v;
  mem m;
  text t;
  mem_init(&m);
  text_init(&t, &m);
  norn_clear(st);
  if (json_read(st, "f.json", s, strlen(s), flags, &v) || json_write(st, v, indent, flags, &t))
    unit_str(norn_error(st)->text, written, s, __FILE__, __LINE__);
  else unit_str(t.s, written, s, __FILE__, __LINE__);
  text_free(&t);
}

static void test_json_write(norn_state *st)
{
  json_same(st, "{\"a\":1,\"b\":[1.0,2.5],\"c\":null}", 0, 0,
            "{\"a\": 1, \"b\": [1.0, 2.5], \"c\": null}");
  json_same(st, "{\"a\":{\"b\":[1,2]}}", 2, 0, "{\n  \"a\": {\n    \"b\": [1, 2]\n  }\n}");
  json_same(st, "[[1,2],[3,4]]", 1, 0, "[\n [1, 2],\n [3, 4]\n]");
  json_same(st, "\"\\u0001\\\"\\\\\\n\xc3\xa9\"", 0, 0, "\"\\u0001\\\"\\\\\\n\xc3\xa9\"");
  json_same(st, "[{\"$real\": \"inf\"}, {\"$unit\": true}]", 0, JSON_IO_EXACT,
            "[{\"$real\": \"inf\"}, {\"$unit\": true}]");
  json_same(st, "[]", 2, 0, "[]");
  json_same(st, "{}", 2, 0, "{}");
}

/* ---- CSV ---- */

static const char *const na[] = { "NA" }, *const nan_[] = { "nan" }, *const dash[] = { "-", "." };
static const csv_options plain = { .na = na, .nna = 1, .sep = ',', .header = true };
static const csv_options as_nan = { .na = nan_, .nna = 1, .nan = true, .sep = ',', .header = true };
static const csv_options tabs = { .na = na, .nna = 1, .sep = '\t', .header = true };
static const csv_options headless = { .na = dash, .nna = 2, .sep = ';' };
static const csv_options any = { .na = na, .nna = 1, .header = true };
static const csv_options comma = { .na = na, .nna = 1, .header = true, .decimal = ',' };

static void csv_is(norn_state *st, const char *s, const csv_options *how, const char *shown)
{
  norn_datum v;
  norn_clear(st);
  if (csv_table_read(st, "f.csv", s, strlen(s), how, &v)) {
    unit_str(norn_error(st)->text, shown, s, __FILE__, __LINE__);
    return;
  }
  unit_str(norn_show(st, v, true, 0), shown, s, __FILE__, __LINE__);
}

static void csv_fails(norn_state *st, const char *s, const char *message)
{
  norn_datum v;
  norn_clear(st);
  norn_status code = csv_table_read(st, "f.csv", s, strlen(s), &plain, &v);
  unit_check(code == NORN_EIO, s, __FILE__, __LINE__);
  if (code) unit_str(norn_error(st)->text, message, s, __FILE__, __LINE__);
}

static void test_csv_read(norn_state *st)
{
  csv_is(st, "x,y\n1,2.5\n3,4\n", &plain, "{x: [1, 3], y: [2.5, 4.0]}");
  csv_is(st, "x,y\n1,a\n,\"b, \"\"c\"\"\"\n", &plain,
         "{x: [1, missing], y: [\"a\", \"b, \\\"c\\\"\"]}");
  csv_is(st, "x,y\nNA,true\n2,FALSE\n", &plain, "{x: [missing, 2], y: [true, false]}");
  csv_is(st, "x,y\nNA,a\n2,NA\n", &as_nan, "{x: [nan, 2.0], y: [\"a\", missing]}");
  csv_is(st, "1;-\n2;x\n", &headless, "{column1: [1, 2], column2: [missing, \"x\"]}");
  csv_is(st, "\xef\xbb\xbfx\r\n1\r\n\r\n2\r\n", &plain, "{x: [1, 2]}");
  csv_is(st, "x,y\n", &plain, "{x: [], y: []}");
  csv_is(st, " x , y \n 1 , 2", &plain, "{x: [1], y: [2]}");
  csv_is(st, "a,\n1,9223372036854775808\n", &plain, "{a: [1], column2: [9.223372036854776e18]}");
  csv_is(st, "a\n\"two\nlines\"\nx\n", &plain, "{a: [\"two\\nlines\", \"x\"]}");
  csv_is(st, "a\tb\n1\t\n 2\tx y\n", &tabs, "{a: [1, 2], b: [missing, \"x y\"]}");
  csv_is(st, "t\nTrue\nyes\n", &plain, "{t: [\"True\", \"yes\"]}");
  csv_is(st, "t\n1\n2.5\nx\n", &plain, "{t: [\"1\", \"2.5\", \"x\"]}");
  csv_is(st, "t\n1\n-inf\n1e3\n", &plain, "{t: [1.0, -inf, 1000.0]}");
  csv_is(st, "1;-\n.;x\n", &headless, "{column1: [1, missing], column2: [missing, \"x\"]}");
  /* the separator is found in the first row, outside quotes; a comma where there is none */
  csv_is(st, "x;y\n1;2.5\n", &any, "{x: [1], y: [2.5]}");
  csv_is(st, "x\ty\n1\ta,b\n", &any, "{x: [1], y: [\"a,b\"]}");
  csv_is(st, "x|y\n1|2\n", &any, "{x: [1], y: [2]}");
  csv_is(st, "\n\"a;b;c\",y\n1,2\n", &any, "{\"a;b;c\": [1], y: [2]}");
  csv_is(st, "x\n1\n", &any, "{x: [1]}");
  /* a decimal comma: then a comma separates nothing */
  csv_is(st, "x;y\n1,5;2\n-0,25;3\n", &comma, "{x: [1.5, -0.25], y: [2, 3]}");
  csv_is(st, "x\n1,5\n1e2\n", &comma, "{x: [1.5, 100.0]}");
  csv_is(st, "x;y\n1.5;1,2,3\n", &comma, "{x: [\"1.5\"], y: [\"1,2,3\"]}");
  /* "" is a text in a column of texts, and missing elsewhere */
  csv_is(st, "x,y\n\"\",\"\"\n1,a\n,\n", &any,
         "{x: [missing, 1, missing], y: [\"\", \"a\", missing]}");
  csv_fails(st, "x,y\n1,2\n\n3\n5,6\n", "f.csv:4: wrong number of columns: expected 2, got 1");
  csv_fails(st, "x,y\n\"a\nb\",2\n3,4,5\n", "f.csv:4: wrong number of columns: expected 2, got 3");
  csv_fails(st, "x,x\n1,2\n", "f.csv:1: two columns have the name \"x\"");
  csv_fails(st, "", "f.csv: the file is empty");
  csv_fails(st, "x\n\"abc\n1\n", "f.csv:4:1: the last quoted cell has no end");
  csv_fails(st, "x\nab\xff\n", "f.csv:2:3: this is not UTF-8 text");
  csv_fails(st, "x\na\"b\n", "f.csv:2:2: a quote inside a cell that does not begin with one");
}

static void test_csv_write(norn_state *st)
{
  const char table[] = "x,y,z\n1,\"a,b\",NA\n2,\"say \"\"x\"\"\",true\n";
  norn_datum v;
  mem m;
  text t;
  mem_init(&m);
  text_init(&t, &m);
  norn_clear(st);
  unit_check(csv_table_read(st, "f.csv", table, strlen(table), &plain, &v) == NORN_OK, "read",
             __FILE__, __LINE__);
  unit_check(csv_table_write(st, v, &plain, &t) == NORN_OK, "write", __FILE__, __LINE__);
  unit_str(t.s, table, "what was written", __FILE__, __LINE__);
  text_free(&t);
}

int main(void)
{
  norn_state *st = norn_new_bare(NULL);
  if (!st) return 1;
  test_numbers();
  test_round_trip();
  test_json_read(st);
  test_json_write(st);
  test_csv_read(st);
  test_csv_write(st);
  norn_free(st);
  if (setlocale(LC_NUMERIC,
                "de_DE.UTF-8")) { /* where there is one: the decimal comma is not ours */
    double x;
    unit_check(number_real("3.14159265358979323846264", 25, &x) &&
                   fabs(x - 3.14159265358979) < 1e-14,
               "a point in any locale", __FILE__, __LINE__);
  }
  return unit_end();
}
