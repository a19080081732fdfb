/* replay.h: makes a fuzz target a test.  A target defines LLVMFuzzerTestOneInput and includes this
   last.  Built with --enable-fuzz it is a libFuzzer program; otherwise its main runs the files it
   is given, and some simple mutations of each, always the same ones. */
#ifndef NORN_FUZZ_REPLAY_H
#define NORN_FUZZ_REPLAY_H
#ifndef NORN_FUZZ
#include "base/base.h"
#include <stdio.h>
#include <string.h>

enum { MUTANTS = 40, EDITS = 4, LARGEST = 1 << 16 };

/* Changes s in place: bytes flipped, dropped, doubled, replaced by what programs are made of. */
static size_t mutate(char *s, size_t n, uint64_t seed)
{
  static const char marks[] = "(){}[],;:=.\"\\#@'|><-+*/^0e~\n";
  for (int i = 0; i < EDITS && n > 0; i++) {
    uint64_t r = hash_mix(seed * EDITS + (uint64_t)i + 1);
    size_t at = (size_t)(r >> 8) % n, len = 1 + (size_t)(r >> 50) % 12;
    if (len > n - at) len = n - at;
    switch (r % 4) {
    case 0: s[at] = (char)(s[at] ^ 1 << (r >> 4) % 8); break;
    case 1: s[at] = marks[(r >> 32) % (sizeof marks - 1)]; break;
    case 2: memmove(s + at, s + at + len, n - at - len); n -= len; break;
    default: memmove(s + (size_t)(r >> 24) % (n - len + 1), s + at, len); break;
    }
  }
  return n;
}

static int replay(mem *m, const char *path)
{
  size_t n;
  const char *why;
  char *s = file_read(m, path, &n, &why);
  if (!s) {
    fprintf(stderr, "%s: %s\n", path, why);
    return 1;
  }
  LLVMFuzzerTestOneInput((const uint8_t *)s, n);
  char *copy = n <= LARGEST ? mem_get(m, n) : NULL;
  for (uint64_t k = 0; copy && k < MUTANTS; k++) {
    memcpy(copy, s, n);
    size_t len = mutate(copy, n, hash_bytes(path, strlen(path), k));
    LLVMFuzzerTestOneInput((const uint8_t *)copy, len);
  }
  mem_put(m, copy, n);
  mem_put(m, s, n + 1);
  return 0;
}

int main(int argc, char **argv)
{
  mem m;
  mem_init(&m);
  int bad = argc < 2;
  for (int i = 1; i < argc; i++) bad |= replay(&m, argv[i]);
  return bad;
}
#endif
#endif
