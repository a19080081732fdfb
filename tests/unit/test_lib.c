/* test_lib.c: what natives say about wrong arguments: an expression, and a part of the message. */
#include "norn.h"
#include "unit.h"
#include <stdlib.h>
#include <unistd.h>

static const struct { const char *program, *message; } mistakes[] = {
  /* tables */
  { "tables.nrow([1])", "the table must be a record of columns, got" },
  { "tables.nrow({x: 1})", "column \"x\" of a table must be an array, got an integer" },
  { "tables.select({x: [1]}, 3)", "the columns must be a name or an array of names" },
  { "tables.select({x: [1]}, [\"x\", \"x\"])", "column \"x\" is named twice" },
  { "tables.pick({x: [1]}, [0, -1])", "row -1 is outside a table of 1 rows" },
  { "tables.pick({x: [1]}, [0.5])", "the rows must be an array of integers" },
  { "tables.keep({x: [1]}, [1])", "the choice of rows must be an array of booleans" },
  { "tables.codes([1, 2], [1, 1, 2])", "a level stands twice" },
  { "tables.codes([1, 3], [1, 2])", "is none of the levels" },
  { "tables.count({x: [1]}, [])", "no column is named" },
  { "tables.standardise([1, 1])", "a column of equal values can't be standardised" },
  { "tables.join({x: [1]}, {x: [1]}, \"x\", how = \"outer\")", "how is \"inner\" or \"left\"" },
  { "tables.append({x: [1]}, {y: [1]})", "the columns differ" },
  { "read_csv(\"f\", na = 3)", "na must be a string or an array of strings" },
  { "read_csv(\"f\", na = [1])", "na must be a string or an array of strings" },
  { "read_csv(\"f\", sep = \"ab\")", "the separator must be one ASCII character, got 2 bytes" },
  { "read_csv(\"f\", decimal = \";\")", "the decimal sign must be" },
  { "read_csv(\"f\", sep = \",\", decimal = \",\")", "the decimal sign can't be the separator too" },
  { "read_csv(\"f\", types = [1])", "types must be a record" },
  { "write_csv({x: [\"NA\"]}, \"f\")", "column \"x\" has the text \"NA\", which stands for missing" },
  /* mathematics */
  { "abs(\"a\")", "must be a number or an array of numbers, got" },
  { "abs(-9223372036854775807 - 1)", "abs of -9223372036854775808 overflows" },
  { "floor(true)", "must be a number or an array of numbers" },
  { "int(2.5)", "int needs a whole number, got 2.5" },
  { "int(\"3\")", "int needs a whole number" },
  { "int([1.0, 0.5])", "int needs a whole number, got 0.5" },
  { "real(\"3\")", "must be a number or an array of numbers" },
  { "is_nan(\"x\")", "must be a number" },
  { "min([])", "min of an empty array" },
  { "max(1, \"a\")", "each argument must be a number" },
  { "max(true)", "must be an array of numbers" },
  { "atan2(1, \"a\")", "each argument of atan2 must be a number" },
  { "pow([1, 2], [1, 2, 3])", "pow needs arrays of equal shape" },
  { "gcd(1.5, 2)", "must be an integer" },
  { "lcm(9223372036854775807, 2)", "overflows" },
  { "choose(100, 50)", "choose(100, 50) overflows" },
  { "choose(-1, 2)", "choose needs n >= 0, got -1" },
  { "factorial(30)", "factorial(30) overflows" },
  { "factorial(-1)", "factorial needs n >= 0" },
  { "log_sum_exp(\"a\")", "log_sum_exp" },
  { "softmax(3)", "softmax" },
  { "sqrt(\"a\")", "sqrt" },
  { "round(1.5, \"a\")", "the number of digits" },
  /* arrays */
  { "len(3)", "len needs an array, a string, a record or a map, got" },
  { "zeros(-1)", "a length can't be negative, got -1" },
  { "zeros(\"a\")", "the shape must be a length or an array of lengths" },
  { "full([1, 2, 3, 4, 5, 6, 7, 8, 9], 0)", "at most 8 dimensions" },
  { "range(0, 10, 0)", "the step of range can't be 0" },
  { "range(\"a\")", "each argument of range must be a number" },
  { "range(0, inf)", "has no end" },
  { "linspace(0, 1, -1)", "can't be negative" },
  { "shape(\"a\")", "must be an array" },
  { "reshape([1, 2, 3], [2, 2])", "a shape of 4 elements for an array of 3" },
  { "flatten(1)", "must be an array" },
  { "concat([1, 2])", "each element of concat's argument must be an array" },
  { "repeat([1], -1)", "can't be negative" },
  { "slice(5, 0, 1)", "must be an array or a string" },
  { "take([1, 2], \"a\")", "the number of elements must be an integer" },
  { "drop({a: 1}, 1)", "must be an array or a string" },
  { "first([])", "first of an empty array" },
  { "last([])", "last of an empty array" },
  { "reverse(1)", "must be an array" },
  { "set_at([1, 2], 2, 0)", "index 2 is outside an array of length 2" },
  { "sum([\"a\"])", "must be an array of numbers" },
  { "sum([1, missing])", "the sum of an array with missing values" },
  { "sum([9223372036854775807, 1])", "the sum of these integers overflows" },
  { "prod([9223372036854775807, 2])", "the product of these integers overflows" },
  { "cumsum([\"a\"])", "must be an array of numbers" },
  { "cumprod(1)", "must be an array" },
  { "dot([1, 2], [1, 2, 3])", "dot needs two vectors of equal length" },
  { "outer([1], 2)", "outer" },
  { "diag(\"a\")", "diag" },
  { "contains(1, 2)", "contains must be an array, a string or a map" },
  { "index_of(1, 2)", "must be an array" },
  { "count(1)", "must be an array" },
  { "any([1, 0])", "must be an array of booleans" },
  { "all(3)", "must be an array" },
  { "argmin([])", "argmin of an empty array" },
  { "argmax([1, nan])", "contains nan (at index 1)" },
  { "zip([1, 2], [1])", "zip needs arrays of equal length, got 2 and 1" },
  { "zip([1], 2)", "each argument of zip must be an array" },
  { "indexed(3)", "must be an array" },
  { "sort(3)", "must be an array" },
  { "order([1], 1)", "descending must be true or false" },
  { "unique(1)", "must be an array" },
  /* strings */
  { "upper(1)", "must be a string" },
  { "lower([])", "must be a string" },
  { "trim(1)", "must be a string" },
  { "split(\"a\", \"\")", "the separator can't be empty" },
  { "join(\"a\")", "join" },
  { "replace(\"a\", \"\", \"b\")", "what to replace can't be empty" },
  { "starts_with(1, \"a\")", "must be a string" },
  { "ends_with(\"a\", 1)", "must be a string" },
  { "find(\"a\", 1)", "must be a string" },
  { "chars(1)", "must be a string" },
  { "lines(1)", "must be a string" },
  { "code(\"\")", "code of an empty string" },
  { "char_of(-1)", "-1 is not a code point" },
  { "char_of(55296)", "55296 is not a code point" },
  { "format_real(\"a\", 2)", "the number must be" },
  { "format_real(1.5, 500)", "between 0 and 100" },
  { "parse_int(1)", "must be a string" },
  { "parse_real(1)", "must be a string" },
  { "pad_left(\"a\", 5, \"xy\")", "the filling must be one character, got 2" },
  { "pad_right(1, 5)", "must be a string" },
  /* records and maps */
  { "keys(1)", "must be a record" },
  { "field(1, \"a\")", "must be a record" },
  { "has_field({a: 1}, 1)", "the name of a field must be a string" },
  { "merge({a: 1}, 2)", "must be a record" },
  { "record_of([\"a\"], [1, 2])", "1 names for 2 values" },
  { "record_of([\"a\", \"a\"], [1, 2])", "the field \"a\" twice" },
  { "record_of([1], [1])", "must be an array of strings" },
  { "maps.put(1, 2, 3)", "the first argument must be a map" },
  { "maps.get({a: 1}, \"a\")", "the first argument must be a map" },
  { "maps.has(1, 1)", "must be a map" },
  { "maps.remove(1, 1)", "must be a map" },
  { "maps.size(1)", "must be a map" },
  { "maps.from([1, 2])", "a pair [key, value]" },
  { "maps.keys(1)", "must be a map" },
  { "maps.values(1)", "must be a map" },
  { "maps.pairs(1)", "must be a map" },
  /* statistics */
  { "mean([])", "mean of an empty array" },
  { "mean(3)", "must be an array, a posterior or a distribution" },
  { "mean([\"a\"])", "the mean of" },
  { "sd([1, missing])", "the sd of an array with missing values" },
  { "variance([{a: 1}, {b: 2}])", "some have no field \"a\"" },
  { "median([])", "empty array" },
  { "sd([5])", "the sd of a single value is not defined" },
  { "quantile([1, 2], 1.5)", "a probability must be between 0 and 1, got 1.5" },
  { "quantile([1, 2], \"a\")", "the probability" },
  { "cov([1, 2], [1, 2, 3])", "2 numbers beside 3" },
  { "cor([1], [1])", "two or more pairs are needed, got 1" },
  { "cov([1, 2])", "a matrix (n, k) or a posterior of vectors" },
  { "mean(cauchy(0, 1))", "the mean of cauchy does not exist" },
  { "cdf(1, 2)", "the first argument must be a distribution" },
  { "pdf(1, 2)", "must be a distribution" },
  { "pmf(normal(0, 1))", "can't be listed" },
  { "support_of(1)", "must be a distribution" },
  { "mode([])", "mode of an empty array" },
  /* posteriors */
  { "draws([1])", "must be a posterior, got" },
  { "values(3)", "must be a posterior" },
  { "weights(normal(0, 1))", "must be a posterior" },
  { "log_weights(1)", "must be a posterior" },
  { "evidence(1)", "must be a posterior" },
  { "evidence_se(1)", "must be a posterior" },
  { "summary(1)", "must be a posterior" },
  { "diagnose(1)", "must be a posterior" },
  { "info(1)", "must be a posterior" },
  { "more(1, 10)", "must be a posterior" },
  { "hist(1)", "must be an array or a posterior" },
  { "hist([1, 2], 0)", "the number of bins must be between 1 and 1000" },
  { "hist([])", "hist of an empty array" },
  { "save(1, \"x\")", "must be a posterior" },
  { "load(\"no such file\")", "can't read no such file: No such file or directory" },
  /* files */
  { "read_text(\"no such file\")", "can't read no such file: No such file or directory" },
  { "read_lines(3)", "the name of the file must be a string" },
  { "write_text(\"a\", \"no/such/folder\")", "can't write no/such/folder" },
  { "file_exists(1)", "must be a string" },
  { "read_json(\"no such file\")", "can't read no such file" },
  { "read_json(\"x\", na = \"none\")", "na must be \"missing\" or \"nan\", got \"none\"" },
  { "parse_json(\"[1, 2\")", "text:1:5: not JSON" },
  { "parse_json(\"\\{\\\"a\\\": 1, \\\"a\\\": 2}\")", "duplicate" },
  { "to_json(nan)", "JSON can't hold nan" },
  { "to_json(x -> x)", "JSON can't hold" },
  { "to_json(1, indent = 99)", "the indent must be between 0 and 16" },
  { "write_json(1, \"no/such/folder\")", "can't write" },
  { "read_csv(\"no such file\")", "can't read no such file" },
  { "read_csv(\"x\", sep = \"ab\")", "the separator must be one ASCII character" },
  { "read_csv(\"x\", header = 1)", "header must be true or false" },
  { "write_csv(1, \"x\")", "a record of columns is needed" },
  { "write_csv({a: [1], b: [1, 2]}, \"x\")", "column \"b\" has 2 rows, the first has 1" },
  /* system */
  { "error(\"stop here\")", "stop here" },
  { "assert(1 > 2, \"no\")", "assertion failed: no" },
  { "assert(1)", "what is asserted must be true or false" },
  /* written in Norn */
  { "zip_with([1], [1, 2], (a, b) -> a)", "zip_with needs arrays of equal length, got 1 and 2" },
  { "reduce([], (a, b) -> a)", "first of an empty array" },
  { "prob([1, 2], x -> x)", "prob needs a function that gives true or false" },
  { "lists.remove_at([1], 1)", "index 1 is outside an array of length 1" },
};

static void message_of(norn_state *st, const char *program, const char *wanted)
{
  norn_datum v;
  char text[2048];
  unit.checks++;
  norn_clear(st);
  if (norn_eval(st, "test", program, strlen(program), NORN_LOAD_REPL, &v) == NORN_OK) {
    unit.failed++;
    fprintf(stderr, "%s should fail, but gives %s\n", program, norn_show(st, v, true, 200));
    return;
  }
  norn_error_text(st, norn_error(st), text, sizeof text);
  if (strstr(text, wanted)) return;
  unit.failed++;
  fprintf(stderr, "%s should say: %s\nbut says:\n%s\n", program, wanted, text);
}

static void put_file(const char *path, const char *s)
{
  FILE *f = fopen(path, "w");
  CHECK(f && fputs(s, f) >= 0);
  if (f) fclose(f);
}

/* A program finds its data beside itself, whatever the working directory is. */
static void test_script_dir(norn_state *st)
{
  char folder[] = "/tmp/norn-lib-XXXXXX", program[64], data[64];
  norn_datum v;
  if (!mkdtemp(folder)) return;
  snprintf(program, sizeof program, "%s/program.norn", folder);
  snprintf(data, sizeof data, "%s/of_program.json", folder);
  put_file(program, "read_json(\"of_program.json\")\n");
  put_file(data, "[1, 2]\n");
  norn_clear(st);
  CHECK(norn_eval_file(st, program, &v) == NORN_OK && norn_array_length(v) == 2);
  unlink(program);
  unlink(data);
  rmdir(folder);
  CHECK(norn_eval_file(st, program, &v) == NORN_EIO);
}

static void test_plugin(norn_state *st)
{
  norn_clear(st);
  CHECK(norn_load_plugin(st, "no such object.so") == NORN_EIO);
  CHECK(strstr(norn_error(st)->text, "can't load ./no such object.so") != NULL);
}

int main(void)
{
  norn_config config = norn_config_default();
  norn_datum v;
  const char imports[] = "import maps\nimport lists\nimport tables";
  config.quiet = true;
  norn_state *st = norn_new(&config);
  if (!st) return 1;
  unit_check(norn_eval(st, "imports", imports, strlen(imports), NORN_LOAD_REPL, &v) == NORN_OK,
             "imports", __FILE__, __LINE__);
  for (size_t k = 0; k < sizeof mistakes / sizeof mistakes[0]; k++)
    message_of(st, mistakes[k].program, mistakes[k].message);
  test_script_dir(st);
  test_plugin(st);
  norn_free(st);
  return unit_end();
}
