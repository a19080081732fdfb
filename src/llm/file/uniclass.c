/* uniclass.c: characters by binary search among runs of equal kind. */
#include "llm/file/uniclass.h"

/* Runs in which upper and lower case take turns: upper is the even character, or the odd one. */
enum { UPPER_EVEN = 9 };
static const uint32_t runs[] = {
#include "llm/file/uniclass_table.h"
};

uniclass uniclass_of(uint32_t code)
{
  int low = 0, high = (int)(sizeof runs / sizeof *runs);
  if (code > 0x10ffff) return UNI_OTHER;
  while (high - low > 1) {
    int mid = (low + high) / 2;
    if (runs[mid] >> 4 <= code) low = mid;
    else high = mid;
  }
  uint32_t c = runs[low] & 15;
  return c < UPPER_EVEN ? (uniclass)c : (code & 1) == (c - UPPER_EVEN) ? UNI_UPPER : UNI_LOWER;
}
