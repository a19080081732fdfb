/* Addresses: printing what runs noted, reading what people write, and that the two agree. */
#include "unit.h"
#include "lang/state.h"

static uint64_t note(norn_state *st, uint64_t path, uint64_t comp)
{
  uint64_t hash = addr_push(path, comp);
  addr_note(st, hash, path, comp);
  return hash;
}

static uint64_t name(norn_state *st, uint64_t path, const char *s)
{
  return note(st, path, addr_component(st, ADDR_NAME, sym_intern(st, s, strlen(s)), 0));
}

/* Prints as `want`, and `want` reads as the same hash. */
static void both_ways(norn_state *st, uint64_t hash, const char *want)
{
  char got[200];
  uint64_t back = 0;
  CHECK_STR(norn_addr_name(st, hash, got, sizeof got), want);
  CHECK(addr_parse(st, 0, want, &back));
  CHECK(back == hash);
}

static void test_both_ways(norn_state *st)
{
  uint64_t theta = name(st, 0, "theta");
  both_ways(st, theta, "theta");
  both_ways(st, name(st, note(st, theta, addr_index(3)), "z"), "theta.z[3]");
  uint64_t ij = note(st, note(st, 0, addr_index(12)), addr_index(-1));
  both_ways(st, name(st, ij, "x"), "x[12, -1]");
  both_ways(st, name(st, note(st, name(st, ij, "x"), addr_index(0)), "y"), "x[12, -1].y[0]");
  sym f = sym_intern(st, "f", 1);
  uint64_t call = note(st, 0, addr_component(st, ADDR_CALL, f, 2));
  both_ways(st, call, "f#2");
  both_ways(st, note(st, call, addr_numbered(ADDR_ANON, 7)), "f#2.#7");
  both_ways(st, note(st, note(st, theta, addr_index(5)), addr_numbered(ADDR_ANON, 1)),
            "theta.#1[5]");
  both_ways(st, name(st, theta, "größe"), "theta.größe");
}

static void test_unreadable(norn_state *st)
{
  static const char *const bad[] = {"",     ".",  "x.",    ".x",   "x[", "x[]", "x[1",
                                    "x[a]", "x]", "x[1]y", "x..y", "#",  "f#",  "x[1.5]"};
  uint64_t hash;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!addr_parse(st, 0, bad[i], &hash));
}

static void test_printing(norn_state *st)
{
  char got[40], small[6];
  CHECK(norn_addr_name(st, 0x1234, got, sizeof got)[0] == '@');
  CHECK_STR(norn_addr_name(st, name(st, 0, "abcdefgh"), small, sizeof small), "abcde");
  uint64_t path = 0;
  for (int i = 0; i < 1000; i++) path = name(st, path, "rest");
  char deep[1000];
  CHECK(!strncmp(norn_addr_name(st, path, deep, sizeof deep), "...rest.rest", 12));
  uint64_t memo = note(st, 99, (uint64_t)ADDR_MEMO << 56 | 0xabcdef);
  CHECK_STR(norn_addr_name(st, name(st, memo, "h"), deep, sizeof deep), "mem{abcdef}.h");
}

int main(void)
{
  norn_state *st = norn_new_bare(NULL);
  if (!st) return 99;
  test_both_ways(st);
  test_unreadable(st);
  test_printing(st);
  norn_free(st);
  return unit_end();
}
