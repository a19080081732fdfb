/* utf8.c: UTF-8 in and out, and hashing of bytes.  Overlong forms, surrogates and code points above
   U+10FFFF are malformed (RFC 3629). */
#include "base/base.h"
#include <string.h>

int utf8_next(const char *s, size_t n, uint32_t *code)
{
  const unsigned char *u = (const unsigned char *)s;
  if (n == 0) return 0;
  if (u[0] < 0x80) {
    *code = u[0];
    return 1;
  }
  int len = u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;
  if (len == 0 || n < (size_t)len) return 0;
  uint32_t c = u[0] & (0x7fu >> len);
  for (int i = 1; i < len; i++) {
    if ((u[i] & 0xc0) != 0x80) return 0;
    c = c << 6 | (u[i] & 0x3fu);
  }
  if (len == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) return 0;
  if (len == 4 && (c < 0x10000 || c > 0x10ffff)) return 0;
  *code = c;
  return len;
}

int utf8_put(uint32_t c, char out[4])
{
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
  int len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (int i = len - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
  out[0] = (char)((0xf00 >> len & 0xff) | c);
  return len;
}

/* A malformed byte counts as one character. */
static int step(const char *s, size_t n, uint32_t *code)
{
  int k = utf8_next(s, n, code);
  if (k == 0) *code = 0xfffd;
  return k ? k : 1;
}

size_t utf8_count(const char *s, size_t n)
{
  size_t count = 0;
  uint32_t code;
  for (size_t i = 0; i < n; count++) i += (size_t)step(s + i, n - i, &code);
  return count;
}

typedef struct { uint32_t from, to; } range;

static bool in_ranges(const range *r, int n, uint32_t c)
{
  for (int i = 0; i < n; i++)
    if (c >= r[i].from && c <= r[i].to) return true;
  return false;
}

/* Blocks, not single characters: combining marks and joiners take no column; East Asian letters and
   pictures take two (Unicode Standard Annex 11). */
static int code_width(uint32_t c)
{
  static const range none[] = {
    {0x300, 0x36f}, {0x483, 0x489}, {0x591, 0x5bd}, {0x610, 0x61a}, {0x64b, 0x65f},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064},
    {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef},
  };
  static const range two[] = {
    {0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xa960, 0xa97f}, {0xac00, 0xd7a3},
    {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x16fe0, 0x18aff},
    {0x1b000, 0x1b2ff}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff},
    {0x20000, 0x3fffd},
  };
  if (c < 0x300) return 1;
  if (in_ranges(none, NORN_COUNT(none), c)) return 0;
  return in_ranges(two, NORN_COUNT(two), c) ? 2 : 1;
}

int utf8_width(const char *s, size_t n)
{
  int width = 0;
  uint32_t code;
  for (size_t i = 0; i < n;) {
    i += (size_t)step(s + i, n - i, &code);
    width += code_width(code);
  }
  return width;
}

/* Up to eight bytes as a little-endian word, on any machine. */
static uint64_t word(const unsigned char *p, size_t n)
{
  uint64_t x = 0;
  for (size_t i = 0; i < n; i++) x |= (uint64_t)p[i] << 8 * i;
  return x;
}

uint64_t hash_bytes(const void *bytes, size_t n, uint64_t seed)
{
  const unsigned char *p = bytes;
  uint64_t h = hash_mix(seed ^ (n * 0x9e3779b97f4a7c15u));
  size_t i = 0;
  for (; i + 8 <= n; i += 8) h = hash_mix(h ^ word(p + i, 8)) + 0x9e3779b97f4a7c15u;
  if (i < n) h = hash_mix(h ^ word(p + i, n - i));
  return h;
}
