/* test_base.c: memory, arenas, text, UTF-8, hashing, nearest names, sources, the printer, files.

   All of it runs first with memory, then again with the n-th request failing for every n: nothing
   may leak, crash, or claim success with half an answer. */
#include "base/base.h"
#include "unit.h"
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- memory ---- */

/* A host's allocator that checks the sizes it is told. */
typedef struct { size_t bytes; int blocks, wrong; } host;

static void *host_alloc(void *user, void *p, size_t old, size_t n)
{
  host *h = user;
  size_t *block = p ? (size_t *)p - 2 : NULL;   /* two words in front keep the size */
  if ((block ? block[0] : 0) != old) h->wrong++;
  h->bytes -= old;
  h->blocks -= block != NULL;
  if (n == 0) {
    free(block);
    return NULL;
  }
  block = realloc(block, n + 2 * sizeof *block);
  if (!block) return NULL;
  block[0] = n;
  h->bytes += n;
  h->blocks++;
  return block + 2;
}

static void test_mem(void)
{
  host h = {0};
  mem m;
  mem_init(&m);
  m.alloc = host_alloc;
  m.user = &h;
  char *a = mem_get(&m, 100), *z = mem_zero(&m, 50), *none = mem_get(&m, 0);
  CHECK(a && z && none);
  CHECK(m.used == 151 && h.bytes == 151 && h.blocks == 3);
  int sum = 0;
  for (int i = 0; i < 50; i++) sum += z[i];
  CHECK(sum == 0);
  memset(a, 7, 100);
  a = mem_resize(&m, a, 100, 1000);
  CHECK(a && a[99] == 7 && m.used == 1051 && m.peak >= 1051);
  a = mem_resize(&m, a, 1000, 10);
  CHECK(a && a[9] == 7 && m.used == 61);
  char *fresh = mem_resize(&m, NULL, 0, 5);
  CHECK(fresh != NULL);
  mem_put(&m, fresh, 5);
  mem_put(&m, a, 10);
  mem_put(&m, z, 50);
  mem_put(&m, none, 0);
  mem_put(&m, NULL, 12);
  CHECK(m.used == 0 && h.bytes == 0 && h.blocks == 0 && h.wrong == 0);
}

static void test_mem_limits(void)
{
  mem m;
  mem_init(&m);
  m.limit = 1000;
  char *a = mem_get(&m, 600);
  CHECK(a != NULL);
  CHECK(mem_get(&m, 401) == NULL);
  CHECK(mem_get(&m, SIZE_MAX) == NULL);
  CHECK(mem_resize(&m, a, 600, 1001) == NULL);
  CHECK(m.used == 600);
  a = mem_resize(&m, a, 600, 1000);
  CHECK(a != NULL);
  m.limit = 10;   /* a limit below what is held: shrinking is still allowed */
  char *b = mem_resize(&m, a, 1000, 500);
  CHECK(b != NULL);
  mem_put(&m, b, 500);
  CHECK(m.used == 0);
  m.limit = 0;
  m.fail_at = m.requests + 2;
  a = mem_get(&m, 1);
  CHECK(a && mem_get(&m, 1) == NULL);
  b = mem_get(&m, 1);
  CHECK(b != NULL);
  mem_put(&m, a, 1);
  mem_put(&m, b, 1);
}

static void test_mem_grow(void)
{
  mem m;
  mem_init(&m);
  int *v = NULL;
  size_t cap = 0;
  for (size_t i = 0; i < 10000; i++) {
    if (!mem_grow(&m, &v, &cap, i + 1, sizeof *v)) break;
    v[i] = (int)i;
  }
  CHECK(cap >= 10000 && cap < 20000 && v[9999] == 9999);
  CHECK(m.requests < 40);
  CHECK(!mem_grow(&m, &v, &cap, SIZE_MAX / 2, sizeof *v));
  CHECK(v[9999] == 9999);
  mem_put(&m, v, cap * sizeof *v);
  CHECK(m.used == 0);
}

static void test_arena(void)
{
  mem m;
  mem_init(&m);
  arena a;
  arena_init(&a, &m);
  char *last = NULL;
  for (size_t n = 0; n < 3000; n += 7) {
    char *p = arena_get(&a, n);
    bool clear = p != NULL;
    for (size_t i = 0; i < n; i++) clear = clear && p[i] == 0;
    CHECK(clear && (uintptr_t)p % 16 == 0 && p != last);
    memset(p, 255, n);
    last = p;
  }
  CHECK_STR(arena_text(&a, "abcdef", 3), "abc");
  CHECK_STR(arena_text(&a, NULL, 0), "");
  CHECK_STR(arena_printf(&a, "%d %s", 12, "things"), "12 things");
  char *big = arena_get(&a, 10 << 20);
  CHECK(big && big[(10 << 20) - 1] == 0);
  CHECK(arena_get(&a, SIZE_MAX) == NULL);
  CHECK(arena_get(&a, SIZE_MAX / 2) == NULL);
  arena_free(&a);
  CHECK(m.used == 0);
  CHECK(arena_get(&a, 5) != NULL);
  arena_free(&a);
  CHECK(m.used == 0);
}

/* ---- text ---- */

static void check_real(double x, const char *want)
{
  mem m;
  mem_init(&m);
  text t;
  text_init(&t, &m);
  text_real(&t, x);
  CHECK_STR(t.s, want);
  text_free(&t);
}

static void test_real(void)
{
  check_real(1, "1.0");
  check_real(-1, "-1.0");
  check_real(0, "0.0");
  check_real(-0.0, "-0.0");
  check_real(0.1, "0.1");
  check_real(-2.5e-10, "-2.5e-10");
  check_real(0.1 + 0.2, "0.30000000000000004");
  check_real(1.0 / 3, "0.3333333333333333");
  check_real(999999999999999, "999999999999999.0");
  check_real(1e15, "1e15");
  check_real(1e300, "1e300");
  check_real(1e-5, "1e-5");
  check_real(1.5e-5, "1.5e-5");
  check_real(123456789012345680.0, "1.2345678901234568e17");
  check_real(5e-324, "5e-324");
  check_real(2.2250738585072014e-308, "2.2250738585072014e-308");
  check_real(1.7976931348623157e308, "1.7976931348623157e308");
  check_real((double)NAN, "nan");
  check_real(-(double)NAN, "nan");
  check_real((double)INFINITY, "inf");
  check_real(-(double)INFINITY, "-inf");
}

/* Every double reads back equal: bit patterns from all over. */
static void test_real_round_trip(void)
{
  mem m;
  mem_init(&m);
  text t;
  text_init(&t, &m);
  int wrong = 0;
  for (uint64_t i = 1; i <= 100000; i++) {
    uint64_t bits = hash_mix(i * 0x9e3779b97f4a7c15u);
    double x;
    memcpy(&x, &bits, sizeof x);
    if (!isfinite(x)) continue;
    t.n = 0;
    text_real(&t, x);
    wrong += strtod(t.s, NULL) != x || strlen(t.s) > 25 || !strpbrk(t.s, ".e");
  }
  CHECK(wrong == 0);
  text_free(&t);
}

static void test_text(void)
{
  mem m;
  mem_init(&m);
  text t;
  text_init(&t, &m);
  text_put(&t, NULL, 0);
  text_puts(&t, "");
  CHECK(t.n == 0 && !t.failed);
  text_puts(&t, "a");
  text_putc(&t, 'b');
  text_put(&t, "cde", 1);
  text_printf(&t, "-%s-%d", "x", 5);
  CHECK_STR(t.s, "abc-x-5");
  text_printf(&t, "%*s", 1000, "y");
  CHECK(t.n == 1007 && strlen(t.s) == 1007 && t.s[1006] == 'y');
  for (int i = 0; i < 100000; i++) text_putc(&t, 'z');
  CHECK(t.n == 101007 && strlen(t.s) == 101007);
  text_free(&t);
  CHECK(m.used == 0 && t.s == NULL);

  text_quoted(&t, "a\"b\\c{d}\n\t\r\x01\x7f\0z", 15);
  CHECK_STR(t.s, "\"a\\\"b\\\\c\\{d}\\n\\t\\r\\u{1}\\u{7f}\\u{0}z\"");
  text_free(&t);
  text_quoted(&t, "\xc3\xa9", 2);
  CHECK_STR(t.s, "\"\xc3\xa9\"");
  text_free(&t);

  m.limit = 100;
  text_puts(&t, "before");
  text_printf(&t, "%*s", 500, "");
  text_puts(&t, "after");
  CHECK(t.failed);
  CHECK_STR(t.s, "before");
  text_free(&t);
  CHECK(m.used == 0);
}

/* ---- UTF-8 and hashing ---- */

static void test_utf8(void)
{
  int wrong = 0;
  for (uint32_t c = 0; c < 0x110100; c++) {
    char s[4] = {0};
    uint32_t back = 0;
    int n = utf8_put(c, s);
    bool point = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    wrong += (n > 0) != point;
    if (n > 0) wrong += utf8_next(s, 4, &back) != n || back != c;
    for (int k = 0; k < n; k++) wrong += utf8_next(s, (size_t)k, &back) != 0;
  }
  CHECK(wrong == 0);
  static const char *const malformed[] = {
    "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
    "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe", "\xc3(",
    "\xe6\x97" "A", "\xf0\x9f\x98" "A",
  };
  uint32_t code;
  for (int i = 0; i < NORN_COUNT(malformed); i++)
    CHECK(utf8_next(malformed[i], strlen(malformed[i]), &code) == 0);
  CHECK(utf8_next("", 0, &code) == 0);
  CHECK(utf8_next("\0", 1, &code) == 1 && code == 0);
  CHECK(utf8_count("a\xc3\xa9\xe6\x97\xa5\xff", 7) == 4);
  CHECK(utf8_width("abc", 3) == 3);
  CHECK(utf8_width("\xc3\xa9", 2) == 1);
  CHECK(utf8_width("\xe6\x97\xa5\xe6\x9c\xac", 6) == 4);
  CHECK(utf8_width("e\xcc\x81", 3) == 1);            /* e and a combining accent */
  CHECK(utf8_width("\xf0\x9f\x98\x80", 4) == 2);     /* a face */
  CHECK(utf8_width("\xce\xb1\xe2\x89\xa4", 5) == 2); /* alpha, less or equal */
}

static void test_hash(void)
{
  char s[64] = {0};
  CHECK(hash_bytes("", 0, 0) != hash_bytes("", 0, 1));
  CHECK(hash_bytes("abc", 3, 0) == hash_bytes("abcd", 3, 0));
  int equal = 0, far = 0;
  for (size_t n = 0; n < 40; n++) equal += hash_bytes(s, n, 0) == hash_bytes(s, n + 1, 0);
  CHECK(equal == 0);
  for (size_t bit = 0; bit < 320; bit++) {   /* one bit in changes about half the bits out */
    uint64_t h = hash_bytes(s, 40, 9);
    s[bit / 8] ^= (char)(1 << bit % 8);
    int d = __builtin_popcountll(h ^ hash_bytes(s, 40, 9));
    s[bit / 8] ^= (char)(1 << bit % 8);
    far += d < 12 || d > 52;
  }
  CHECK(far == 0);
  CHECK(hash_mix(0) == 0 && hash_mix(1) != hash_mix(2));
}

/* ---- nearest names ---- */

static const char *found(const char *want)
{
  static const char *const names[] = {
    "normal", "gamma", "mean", "median", "mu", "poisson", "exponential", "PI",
  };
  nearest n;
  nearest_init(&n, want);
  for (int i = 0; i < NORN_COUNT(names); i++) nearest_try(&n, names[i]);
  return nearest_found(&n);
}

static void test_nearest(void)
{
  CHECK(edit_distance("", "", 3) == 0);
  CHECK(edit_distance("abc", "abc", 3) == 0);
  CHECK(edit_distance("abc", "", 5) == 3);
  CHECK(edit_distance("kitten", "sitting", 5) == 3);
  CHECK(edit_distance("kitten", "sitting", 1) == 2);
  CHECK(edit_distance("norml", "normal", 2) == 1);
  CHECK(edit_distance("noraml", "normal", 2) == 1);
  CHECK(edit_distance("ca", "abc", 9) == 3);   /* no edit between the swapped */
  CHECK(edit_distance("ab", "ba", 0) == 1);
  CHECK(edit_distance("xxxxxxxx", "yyyyyyyy", 3) == 4);
  char long1[300], long2[300];
  memset(long1, 'a', 299);
  long1[299] = 0;
  memcpy(long2, long1, 300);
  CHECK(edit_distance(long1, long2, 2) == 0);
  long2[200] = 'b';
  CHECK(edit_distance(long1, long2, 2) == 3);

  CHECK_STR(found("nromal"), "normal");
  CHECK_STR(found("norml"), "normal");
  CHECK_STR(found("Normal"), "normal");
  CHECK_STR(found("MEAN"), "mean");
  CHECK_STR(found("pi"), "PI");
  CHECK_STR(found("exponental"), "exponential");
  CHECK_STR(found("meam"), "mean");
  CHECK_STR(found("zzz"), NULL);
  CHECK_STR(found("x"), NULL);
  CHECK_STR(found(""), NULL);
}

/* ---- sources and the printer ---- */

static mem pm;
static sources ps;

/* What the printer says of bytes [start, start + n) of a text. */
static void check_print(const char *source_text, const char *at, size_t n, const char *want)
{
  norn_err e;
  text t;
  text_init(&t, &pm);
  uint32_t file = sources_add(&ps, "t.norn", source_text, strlen(source_text));
  const char *found_at = at ? strstr(source_text, at) : source_text + strlen(source_text);
  uint32_t start = (uint32_t)(found_at - source_text);
  error_set(&e, NORN_ETYPE, (norn_span){file, start, start + (uint32_t)n}, "bad");
  error_print(&t, &ps, "error", &e);
  CHECK_STR(t.s, want);
  text_free(&t);
}

static void test_print(void)
{
  mem_init(&pm);
  sources_init(&ps, &pm);
  check_print("1 + x", "x", 1, "t.norn:1:5: error: bad\n 1 | 1 + x\n   |     ^\n");
  check_print("1 + xyz\n", "xyz", 3, "t.norn:1:5: error: bad\n 1 | 1 + xyz\n   |     ^^^\n");
  check_print("1 + xyz\r\n2", "xyz", 3, "t.norn:1:5: error: bad\n 1 | 1 + xyz\n   |     ^^^\n");
  check_print("a\n\tb + c", "c", 1, "t.norn:2:6: error: bad\n 2 | \tb + c\n   | \t    ^\n");
  check_print("\xc3\xa9 + c", "c", 1, "t.norn:1:5: error: bad\n 1 | \xc3\xa9 + c\n   |     ^\n");
  check_print("\xe6\x97\xa5 + c", "c", 1,
    "t.norn:1:5: error: bad\n 1 | \xe6\x97\xa5 + c\n   |      ^\n");
  check_print("\xe6\x97\xa5\xe6\x9c\xac", "\xe6", 6,
    "t.norn:1:1: error: bad\n 1 | \xe6\x97\xa5\xe6\x9c\xac\n   | ^^^^\n");
  check_print("\xff\x01 c", "c", 1, "t.norn:1:4: error: bad\n 1 | ?? c\n   |    ^\n");
  check_print("f(a,\n  b)\n", "f(", 8, "t.norn:1:1: error: bad\n 1 | f(a,\n   | ^^^^\n");
  check_print("1 +", NULL, 0, "t.norn:1:4: error: bad\n 1 | 1 +\n   |    ^\n");
  check_print("1 +\n", NULL, 0, "t.norn:2:1: error: bad\n 2 |\n   | ^\n");
  check_print("1 +\n", "\n", 1, "t.norn:1:4: error: bad\n 1 | 1 +\n   |    ^\n");
  check_print("", NULL, 0, "t.norn:1:1: error: bad\n 1 |\n   | ^\n");
  check_print("\n\n\n\n\n\n\n\n\nx", "x", 1, "t.norn:10:1: error: bad\n 10 | x\n    | ^\n");
  check_print("x", NULL, 100, "t.norn:1:2: error: bad\n 1 | x\n   |  ^\n");
  sources_free(&ps);
  CHECK(pm.used == 0);
}

/* A long line is cut around the caret, wherever it stands, and the caret stays under its text. */
static void test_print_long(void)
{
  enum { N = 3000 };
  char *line = malloc(N + 1);
  mem_init(&pm);
  sources_init(&ps, &pm);
  memset(line, 'a', N);
  line[N] = 0;
  uint32_t file = sources_add(&ps, "long", line, N);
  for (uint32_t at = 0; at < N; at += 37) {
    norn_err e;
    text t;
    text_init(&t, &pm);
    line[at] = 'X';
    sources_free(&ps);
    file = sources_add(&ps, "long", line, N);
    error_set(&e, NORN_ETYPE, (norn_span){file, at, N}, "bad");
    error_print(&t, &ps, "error", &e);
    const char *shown = strchr(t.s, '\n') + 1, *carets = strchr(shown, '\n') + 1;
    const char *x = strchr(shown, 'X');
    CHECK(x && x < carets && carets[x - shown] == '^' && carets[x - shown - 1] != '^');
    CHECK(strlen(carets) < 120 && carets - shown < 120);
    line[at] = 'a';
    text_free(&t);
  }
  sources_free(&ps);
  free(line);
}

static void test_print_parts(void)
{
  mem m;
  mem_init(&m);
  sources s;
  sources_init(&s, &m);
  text t;
  text_init(&t, &m);
  norn_err e;
  const char *program = "fn f(x) = g(x)\nf(2)\n";
  uint32_t file = sources_add(&s, "p", program, strlen(program));
  error_set(&e, NORN_EDOMAIN, (norn_span){file, 10, 14}, "got %d", 7);
  error_hint(&e, "try %s", "h");
  e.trace[e.ntrace++] = (norn_span){file, 15, 19};
  e.trace[e.ntrace++] = (norn_span){0, 0, 0};
  error_print(&t, &s, "warning", &e);
  CHECK_STR(t.s, "p:1:11: warning: got 7\n 1 | fn f(x) = g(x)\n   |           ^^^^\n"
    "hint: try h\ncalled at p:2:1: f(2)\n");
  text_free(&t);
  error_set(&e, NORN_EIO, (norn_span){0, 0, 0}, "nowhere");
  error_print(&t, &s, "error", &e);
  CHECK_STR(t.s, "error: nowhere\n");
  text_free(&t);
  uint32_t line, column;
  sources_place(&s, (norn_span){file, 16, 16}, &line, &column);
  CHECK(line == 2 && column == 2);
  sources_place(&s, (norn_span){file, 999, 999}, &line, &column);
  CHECK(line == 3 && column == 1);
  sources_place(&s, (norn_span){9, 0, 0}, &line, &column);
  CHECK(line == 0 && column == 0);
  CHECK(sources_get(&s, 0) == NULL && sources_get(&s, 2) == NULL);
  CHECK(sources_get(&s, file)->nlines == 3);
  sources_free(&s);
  CHECK(m.used == 0);
}

/* Messages that are too long are cut between characters. */
static void test_error_cut(void)
{
  norn_err e;
  char s[600];
  for (size_t i = 0; i < 598; i += 2) memcpy(s + i, "\xc3\xa9", 3);
  error_set(&e, NORN_EIO, (norn_span){0, 0, 0}, "%s", s);
  CHECK(strlen(e.text) == 478);
  error_set(&e, NORN_EIO, (norn_span){0, 0, 0}, "x%s", s);
  CHECK(strlen(e.text) == 479);
  error_hint(&e, "%s", s);
  CHECK(strlen(e.hint) == 238);
  error_set(&e, NORN_EIO, (norn_span){0, 0, 0}, "%500d", 1);
  CHECK(strlen(e.text) == 479 && e.hint[0] == 0);
}

static void test_diags(void)
{
  mem m;
  mem_init(&m);
  diags d;
  diags_init(&d, &m);
  for (int i = 0; i < 100; i++)
    CHECK(diags_add(&d, i % 2, (norn_span){1, 2, 3}, "number %d", i) != NULL);
  CHECK(d.n == 100 && d.errors == 50 && !d.failed);
  CHECK_STR(d.v[99].e.text, "number 99");
  CHECK(d.v[99].warning && d.v[99].e.span.end == 3);
  diags_free(&d);

  /* Settled: in the order of their places, one error for each place; warnings stay. */
  diags_add(&d, false, (norn_span){1, 9, 10}, "late");
  diags_add(&d, false, (norn_span){1, 2, 3}, "first");
  diags_add(&d, false, (norn_span){1, 2, 4}, "again");
  diags_add(&d, true, (norn_span){1, 2, 3}, "warning");
  diags_settle(&d);
  CHECK(d.n == 3 && d.errors == 2);
  CHECK_STR(d.v[0].e.text, "first");
  CHECK(d.v[1].warning);
  CHECK_STR(d.v[2].e.text, "late");
  diags_free(&d);
  CHECK(m.used == 0);
}

/* ---- files ---- */

static void test_file(void)
{
  mem m;
  mem_init(&m);
  size_t n;
  const char *why = NULL;
  char path[] = "/tmp/norn-test-XXXXXX";
  int fd = mkstemp(path);
  FILE *f = fdopen(fd, "wb");
  for (int i = 0; i < 100000; i++) putc(i & 255, f);
  fclose(f);
  char *s = file_read(&m, path, &n, &why);
  CHECK(s && n == 100000 && s[n] == 0 && (unsigned char)s[255] == 255 && m.used == n + 1);
  mem_put(&m, s, n + 1);
  f = fopen(path, "wb");
  fclose(f);
  s = file_read(&m, path, &n, &why);
  CHECK(s && n == 0 && s[0] == 0);
  mem_put(&m, s, n + 1);
  unlink(path);
  CHECK(file_read(&m, path, &n, &why) == NULL);
  CHECK_STR(why, "No such file or directory");
  CHECK(file_read(&m, "/", &n, &why) == NULL);
  CHECK_STR(why, "Is a directory");
  m.limit = 1000;
  CHECK(file_read(&m, "/proc/self/maps", &n, &why) == NULL);
  CHECK_STR(why, "not enough memory");
  CHECK(m.used == 0);
}

/* ---- rare things made frequent ---- */

/* A bit of everything; true if all of it succeeded. */
static bool work(mem *m)
{
  bool ok = true;
  arena a;
  arena_init(&a, m);
  for (size_t n = 1; n < 5000; n *= 3) ok = arena_get(&a, n) && ok;
  ok = arena_text(&a, "abc", 3) && ok;
  ok = arena_printf(&a, "%d", 5) && ok;
  sources s;
  sources_init(&s, m);
  diags d;
  diags_init(&d, m);
  text t;
  text_init(&t, m);
  for (uint32_t i = 0; i < 20; i++) {
    uint32_t file = sources_add(&s, "name", "a\nb\nc", 5);
    ok = file == s.n && file && ok;
    diag *g = diags_add(&d, false, (norn_span){file, 2, 3}, "x");
    if (g) error_print(&t, &s, "error", &g->e);
    ok = g && ok;
  }
  ok = ok && !d.failed && !t.failed;
  size_t n;
  const char *why = NULL;
  char *f = file_read(m, "/proc/self/status", &n, &why);
  ok = f && ok;
  CHECK(f || why);
  mem_put(m, f, n + 1);
  text_free(&t);
  diags_free(&d);
  sources_free(&s);
  arena_free(&a);
  return ok;
}

static void test_faults(void)
{
  mem m;
  mem_init(&m);
  CHECK(work(&m) && m.used == 0);
  uint64_t requests = m.requests;
  CHECK(requests > 50);
  for (uint64_t k = 1; k <= requests; k++) {
    host h = {0};
    mem_init(&m);
    m.alloc = host_alloc;
    m.user = &h;
    m.fail_at = k;
    CHECK(!work(&m));
    CHECK(m.used == 0 && h.bytes == 0 && h.blocks == 0 && h.wrong == 0);
  }
}

int main(void)
{
  test_mem();
  test_mem_limits();
  test_mem_grow();
  test_arena();
  test_real();
  test_real_round_trip();
  /* The same in a language that writes 1,5, if this machine has one. */
  if (setlocale(LC_ALL, "de_DE.UTF-8") || setlocale(LC_ALL, "fr_FR.UTF-8")) check_real(0.1, "0.1");
  setlocale(LC_ALL, "C");
  test_text();
  test_utf8();
  test_hash();
  test_nearest();
  test_print();
  test_print_long();
  test_print_parts();
  test_error_cut();
  test_diags();
  test_file();
  test_faults();
  return unit_end();
}
